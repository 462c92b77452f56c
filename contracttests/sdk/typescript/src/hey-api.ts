// The client is the one that hey-api makes from openapi.yaml.

import { createClient, createConfig, type Client } from "./api/client/index.js";
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
} from "./api/index.js";
import { decoded, kept, refused, run, target, untilSent, type Observed, type Step } from "./scenario.js";
import { mistaken, received, seenOf, signatureSteps } from "./webhooks.js";

let domainId: string | undefined;
let emailId: string | undefined;
let keyId: string | undefined;

function clientOf(step: Step): Client {
  const { baseUrl, key } = target(step.client);
  return createClient(createConfig({ baseUrl, auth: key }));
}

function recipientsOf(email: Email): Observed {
  return {
    recipientEmails: email.recipients.map((one) => one.email),
    recipientKinds: email.recipients.map((one) => one.kind),
    recipientStatuses: email.recipients.map((one) => one.status),
  };
}

async function refusedSend(step: Step): Promise<Observed> {
  const { error, response } = await sendEmail({ client: clientOf(step), body: step.input as SendEmailRequest });
  return refused(response.status, error);
}

function getGiven(step: Step) {
  return getEmail({ client: clientOf(step), path: { id: (step.input as { id: string }).id } });
}

async function refusedRead(step: Step): Promise<Observed> {
  const { error, response } = await getGiven(step);
  return refused(response.status, error);
}

await run({
  "register a domain": async (step) => {
    const answer = await createDomain({ client: clientOf(step), body: step.input as CreateDomainRequest });
    const domain = decoded(answer);
    domainId = domain.id;
    return {
      http: answer.response.status,
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
    const { error, response } = await createDomain({ client: clientOf(step), body: step.input as CreateDomainRequest });
    return refused(response.status, error);
  },
  "list the domains": async (step) => {
    const answer = await listDomains({ client: clientOf(step) });
    const domains = decoded(answer);
    return {
      http: answer.response.status,
      domains: domains.map((domain) => domain.domain),
      ids: domains.map((domain) => domain.id),
    };
  },
  "get the domain": async (step) => {
    const answer = await getDomain({ client: clientOf(step), path: { id: kept(domainId) } });
    const domain = decoded(answer);
    return { http: answer.response.status, id: domain.id, domain: domain.domain, status: domain.status };
  },
  "verify the domain": async (step) => {
    const answer = await verifyDomain({ client: clientOf(step), path: { id: kept(domainId) } });
    const domain = decoded(answer);
    return {
      http: answer.response.status,
      id: domain.id,
      status: domain.status,
      statusReason: domain.statusReason,
      verifiedAt: domain.verifiedAt,
      recordStatuses: domain.dnsRecords.map((record) => record.status),
    };
  },
  "send an email": async (step) => {
    const answer = await sendEmail({ client: clientOf(step), body: step.input as SendEmailRequest });
    const queued = decoded(answer);
    emailId = queued.id;
    return { http: answer.response.status, id: queued.id, status: queued.status };
  },
  "send a batch with one rejected item": async (step) => {
    const answer = await sendBatch({ client: clientOf(step), body: step.input as SendBatchRequest });
    const { accepted, rejected, results } = decoded(answer);
    return {
      http: answer.response.status,
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
      () => getEmail({ client: clientOf(step), path: { id: kept(emailId) } }),
      (answer) => decoded(answer).status,
    );
    const email = decoded(answer);
    return {
      http: answer.response.status,
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
    const answer = await createApiKey({ client: clientOf(step), body: step.input as CreateApiKeyRequest });
    const { key, fullKey } = decoded(answer);
    keyId = key.id;
    return {
      http: answer.response.status,
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
    const { response } = await revokeApiKey({ client: clientOf(step), path: { id: kept(keyId) } });
    return { http: response.status };
  },
  "list the keys": async (step) => {
    const answer = await listApiKeys({ client: clientOf(step) });
    const keys = decoded(answer);
    return {
      http: answer.response.status,
      names: keys.map((key) => key.name),
      active: keys.map((key) => key.isActive),
      revokedAt: keys.map((key) => key.revokedAt),
      expiresAt: keys.map((key) => key.expiresAt),
    };
  },
  "read the usage": async (step) => {
    const answer = await getUsage({ client: clientOf(step) });
    const usage = decoded(answer);
    return {
      http: answer.response.status,
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
    const { response } = await deleteDomain({ client: clientOf(step), path: { id: kept(domainId) } });
    return { http: response.status };
  },
  "decode an answer with members and values that are not in the document": async (step) => {
    const answer = await getGiven(step);
    const email = decoded(answer);
    return { http: answer.response.status, id: email.id, subject: email.subject, status: email.status, ...recipientsOf(email) };
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
