// What was received by a webhook: its signatures, and its body as the type that a client has for it.

import { createHmac, timingSafeEqual } from "node:crypto";
import { Webhook, WebhookVerificationError } from "standardwebhooks";
import type { Observed, Step } from "./scenario.js";

interface Delivery {
  secret: string;
  headers: Record<string, string>;
  body: string;
}

/** The parts of the generated types that the scenario looks at; a generated type that lacks one does not compile. */
export interface EmailEventLike {
  id: string;
  type: string;
  createdAt: string;
  data: { id: string; toEmail: string; subject: string; status: string };
}

/** The body of the delivery that the input holds. */
export function received<T>(step: Step): T {
  return JSON.parse((step.input as { body: string }).body) as T;
}

/** An event of another type than the step is about. */
export function mistaken(event: { type: string }): Error {
  return new Error(`the event was decoded as ${event.type}`);
}

export function seenOf(event: EmailEventLike): Observed {
  return {
    id: event.id,
    type: event.type,
    createdAt: event.createdAt,
    emailId: event.data.id,
    toEmail: event.data.toEmail,
    subject: event.data.subject,
    status: event.data.status,
  };
}

function accept(step: Step, genuine: (delivery: Delivery) => boolean): Observed {
  return { accepted: (step.input as { deliveries: Delivery[] }).deliveries.map(genuine) };
}

function signed({ secret, headers, body }: Delivery): boolean {
  try {
    new Webhook(secret).verify(body, headers);
  } catch (refusal) {
    if (refusal instanceof WebhookVerificationError) {
      return false;
    }
    throw refusal;
  }
  return true;
}

function authentic({ secret, headers, body }: Delivery): boolean {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const given = Buffer.from(headers["X-MailStack-Signature"] ?? "", "hex");
  const code = createHmac("sha256", key).update(body).digest();
  return given.length === code.length && timingSafeEqual(given, code);
}

/** The steps that are the same with every client. */
export const signatureSteps: Record<string, (step: Step) => Promise<Observed>> = {
  "verify what was delivered": async (step) => accept(step, signed),
  "refuse what was altered, is replayed or was signed by others": async (step) => accept(step, signed),
  "verify the HMAC of the body alone": async (step) => accept(step, authentic),
};
