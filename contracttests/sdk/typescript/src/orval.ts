// The client is the one that orval makes from openapi.yaml, with fetch.

import {
  createApiKey,
  createDomain,
  deleteDomain,
  getDomain,
  getEmail,
  getUsage,
  listApiKeys,
  listDomains,
  revokeApiKey,
  sendBatch,
  sendEmail,
  verifyDomain,
  type CreateApiKeyRequest,
  type CreateDomainRequest,
  type Email,
  type SendBatchRequest,
  type SendEmailRequest,
  type WebhookEmailEvent,
  type WebhookEvent,
} from "./api.js";
import { as } from "./orval-target.js";
import { kept, refused, run, untilSent, type Observed, type Step } from "./scenario.js";
import { mistaken, received, seenOf, signatureSteps } from "./webhooks.js";

let domainId: string | undefined;
let emailId: string | undefined;
let keyId: string | undefined;

/** The response, whose status must be the one given: the type of the body follows from it. */
function having<Response extends { status: number; data: unknown }, Status extends Response["status"]>(
  response: Response,
  status: Status,
): Extract<Response, { status: Status }> {
  if (response.status !== status) {
    throw new Error(`the status is ${response.status}: ${JSON.stringify(response.data)}`);
  }
  return response as Extract<Response, { status: Status }>;
}

function recipientsOf(email: Email): Observed {
  return {
    recipientEmails: email.recipients.map((one) => one.email),
    recipientKinds: email.recipients.map((one) => one.kind),
    recipientStatuses: email.recipients.map((one) => one.status),
  };
}

async function refusedSend(step: Step): Promise<Observed> {
  const answer = await sendEmail(step.input as SendEmailRequest, as(step.client));
  return refused(answer.status, answer.status === 202 ? undefined : answer.data);
}

function getGiven(step: Step) {
  return getEmail((step.input as { id: string }).id, as(step.client));
}

async function refusedRead(step: Step): Promise<Observed> {
  const answer = await getGiven(step);
  return refused(answer.status, answer.status === 200 ? undefined : answer.data);
}

await run({
  "register a domain": async (step) => {
    const answer = having(await createDomain(step.input as CreateDomainRequest, as(step.client)), 201);
    const domain = answer.data;
    domainId = domain.id;
    return {
      http: answer.status,
      id: domain.id,
      domain: domain.domain,
      status: domain.status,
      customMailFromDomain: domain.customMailFromDomain,
      recordTypes: domain.dnsRecords.map((record) => record.type),
      recordPurposes: domain.dnsRecords.map((record) => record.purpose),
      recordTtls: domain.dnsRecords.map((record) => record.ttl),
      verifiedAt: domain.verifiedAt,
      createdAt: domain.createdAt,
    };
  },
  "be refused the same domain again (409)": async (step) => {
    const answer = await createDomain(step.input as CreateDomainRequest, as(step.client));
    return refused(answer.status, answer.status === 201 ? undefined : answer.data);
  },
  "list the domains": async (step) => {
    const answer = having(await listDomains(as(step.client)), 200);
    const domains = answer.data;
    return {
      http: answer.status,
      domains: domains.map((domain) => domain.domain),
      ids: domains.map((domain) => domain.id),
    };
  },
  "get the domain": async (step) => {
    const answer = having(await getDomain(kept(domainId), as(step.client)), 200);
    const domain = answer.data;
    return { http: answer.status, id: domain.id, domain: domain.domain, status: domain.status };
  },
  "verify the domain": async (step) => {
    const answer = having(await verifyDomain(kept(domainId), as(step.client)), 200);
    const domain = answer.data;
    return {
      http: answer.status,
      id: domain.id,
      status: domain.status,
      statusReason: domain.statusReason,
      verifiedAt: domain.verifiedAt,
      recordStatuses: domain.dnsRecords.map((record) => record.status),
    };
  },
  "send an email": async (step) => {
    const answer = having(await sendEmail(step.input as SendEmailRequest, as(step.client)), 202);
    const queued = answer.data;
    emailId = queued.id;
    return { http: answer.status, id: queued.id, status: queued.status };
  },
  "send a batch with one rejected item": async (step) => {
    const answer = having(await sendBatch(step.input as SendBatchRequest, as(step.client)), 202);
    const { accepted, rejected, results } = answer.data;
    return {
      http: answer.status,
      accepted,
      rejected,
      indexes: results.map((item) => item.index),
      statuses: results.map((item) => item.status),
      ids: results.map((item) => item.id ?? null),
      codes: results.map((item) => item.code ?? null),
      errors: results.map((item) => item.error ?? null),
      pointers: results.map((item) => (item.errors ?? []).map((one) => one.pointer)),
    };
  },
  "read the email back until it is sent": async (step) => {
    const answer = await untilSent(
      async () => having(await getEmail(kept(emailId), as(step.client)), 200),
      (answer) => answer.data.status,
    );
    const email = answer.data;
    return {
      http: answer.status,
      id: email.id,
      fromEmail: email.fromEmail,
      fromName: email.fromName,
      cc: email.cc,
      replyTo: email.replyTo,
      subject: email.subject,
      status: email.status,
      tags: email.tags,
      providerMessageId: email.providerMessageId,
      errorMessage: email.errorMessage,
      sentAt: email.sentAt,
      ...recipientsOf(email),
    };
  },
  "create a key": async (step) => {
    const answer = having(await createApiKey(step.input as CreateApiKeyRequest, as(step.client)), 201);
    const { key, fullKey } = answer.data;
    keyId = key.id;
    return {
      http: answer.status,
      id: key.id,
      name: key.name,
      scopes: key.scopes,
      expiresAt: key.expiresAt,
      lastUsedAt: key.lastUsedAt,
      isActive: key.isActive,
      maskedKey: key.maskedKey,
      fullKey,
    };
  },
  "revoke the key": async (step) => {
    const answer = having(await revokeApiKey(kept(keyId), as(step.client)), 204);
    return { http: answer.status };
  },
  "list the keys": async (step) => {
    const answer = having(await listApiKeys(undefined, as(step.client)), 200);
    const keys = answer.data;
    return {
      http: answer.status,
      names: keys.map((key) => key.name),
      active: keys.map((key) => key.isActive),
      revokedAt: keys.map((key) => key.revokedAt),
      expiresAt: keys.map((key) => key.expiresAt),
    };
  },
  "read the usage": async (step) => {
    const answer = having(await getUsage(as(step.client)), 200);
    const usage = answer.data;
    return {
      http: answer.status,
      periodKey: usage.periodKey,
      periodStart: usage.periodStart,
      emailsSent: usage.emailsSent,
      freeMonthlyAllowance: usage.freeMonthlyAllowance,
      freeRemaining: usage.freeRemaining,
      billableEmails: usage.billableEmails,
      pricePer1kCents: usage.pricePer1kCents,
      hasPaymentMethod: usage.hasPaymentMethod,
      monthlySpendCapCents: usage.monthlySpendCapCents,
    };
  },
  "be refused an address that is none (400)": refusedSend,
  "be refused without an allowance (402)": refusedSend,
  "be refused an email that is not there (404)": refusedRead,
  "delete the domain": async (step) => {
    const answer = having(await deleteDomain(kept(domainId), as(step.client)), 204);
    return { http: answer.status };
  },
  "decode an answer with members and values that are not in the document": async (step) => {
    const answer = having(await getGiven(step), 200);
    const email = answer.data;
    return { http: answer.status, id: email.id, subject: email.subject, status: email.status, ...recipientsOf(email) };
  },
  "decode a problem with a status and a code that are not in the document": refusedRead,
  "decode an event about a message": async (step) => {
    const event = received<WebhookEvent>(step);
    if (event.type !== "email.bounced") {
      throw mistaken(event);
    }
    return {
      ...seenOf(event),
      fromEmail: event.data.fromEmail,
      tags: event.data.tags,
      errorMessage: event.data.errorMessage,
      providerMessageId: event.data.providerMessageId,
      bounceType: event.data.details["bounceType"],
    };
  },
  "decode an event about a domain": async (step) => {
    const event = received<WebhookEvent>(step);
    if (event.type !== "domain.verified") {
      throw mistaken(event);
    }
    return {
      id: event.id,
      type: event.type,
      createdAt: event.createdAt,
      domainId: event.data.id,
      domain: event.data.domain,
      status: event.data.status,
      statusReason: event.data.statusReason,
    };
  },
  "decode an event of a type and with members that are not in the document": async (step) =>
    seenOf(received<WebhookEmailEvent>(step)),
  ...signatureSteps,
});
