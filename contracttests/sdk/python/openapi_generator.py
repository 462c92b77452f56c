"""Takes the steps of the SDK scenario with the Python client that openapi-generator makes from the document.

It prints what the typed answers say; judging is the work of contracttests/sdk/run.
"""

import json
import os
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import signatures
from mailstack import (
    ApiClient,
    ApiException,
    ApiKeysApi,
    BillingApi,
    Configuration,
    CreateApiKeyRequest,
    CreateDomainRequest,
    DomainsApi,
    Email,
    EmailsApi,
    EmailStatus,
    Problem,
    SendBatchRequest,
    SendEmailRequest,
    WebhookDomainEvent,
    WebhookEmailEvent,
)

Observed = dict[str, Any]
Step = dict[str, Any]

SENT_LIMIT_SECONDS = 30


def client_of(step: Step) -> ApiClient:
    url = os.environ["MAILSTACK_FUTURE_URL" if step.get("client") == "future" else "MAILSTACK_URL"]
    key = os.environ["MAILSTACK_EXHAUSTED_API_KEY" if step.get("client") == "exhausted" else "MAILSTACK_API_KEY"]
    return ApiClient(Configuration(host=url, access_token=key))


def refused(call: Callable[[], Any]) -> Observed:
    """The problem of a call, which must be refused. A status that the document does not list comes without a type."""
    try:
        call()
    except ApiException as refusal:
        problem = refusal.data or Problem.from_json(refusal.body)
        if not isinstance(problem, Problem):
            raise TypeError(f"the answer was decoded as {problem!r}") from refusal
        return {
            "http": refusal.status,
            "status": problem.status,
            "type": problem.type,
            "code": problem.code,
            "title": problem.title,
            "detail": problem.detail,
            "requestId": problem.request_id,
            "pointers": [one.pointer for one in problem.errors or []],
        }
    raise LookupError("the call was not refused")


def recipients(email: Email) -> Observed:
    return {
        "recipientEmails": [one.email for one in email.recipients],
        "recipientKinds": [one.kind for one in email.recipients],
        "recipientStatuses": [one.status for one in email.recipients],
    }


def email_event(step: Step) -> Observed:
    event = WebhookEmailEvent.from_json(step["input"]["body"])
    return {
        "id": event.id,
        "type": event.type,
        "createdAt": event.created_at,
        "emailId": event.data.id,
        "fromEmail": event.data.from_email,
        "toEmail": event.data.to_email,
        "subject": event.data.subject,
        "tags": event.data.tags,
        "status": event.data.status,
        "errorMessage": event.data.error_message,
        "providerMessageId": event.data.provider_message_id,
        "bounceType": event.data.details.bounce_type,
    }


def domain_event(step: Step) -> Observed:
    event = WebhookDomainEvent.from_json(step["input"]["body"])
    return {
        "id": event.id,
        "type": event.type,
        "createdAt": event.created_at,
        "domainId": event.data.id,
        "domain": event.data.domain,
        "status": event.data.status,
        "statusReason": event.data.status_reason,
    }


def future_event(step: Step) -> Observed:
    event = WebhookEmailEvent.from_json(step["input"]["body"])
    return {
        "id": event.id,
        "type": event.type,
        "createdAt": event.created_at,
        "emailId": event.data.id,
        "toEmail": event.data.to_email,
        "subject": event.data.subject,
        "status": event.data.status,
    }


class Runner:
    """Keeps what a later step needs from an earlier one."""

    domain: UUID
    email: UUID
    key: UUID

    def steps(self) -> dict[str, Callable[[Step], Observed]]:
        return {
            "register a domain": self.register_domain,
            "be refused the same domain again (409)": self.refused_domain,
            "list the domains": self.list_domains,
            "get the domain": self.get_domain,
            "verify the domain": self.verify_domain,
            "send an email": self.send,
            "send a batch with one rejected item": self.send_batch,
            "read the email back until it is sent": self.read_back,
            "create a key": self.create_key,
            "revoke the key": self.revoke_key,
            "list the keys": self.list_keys,
            "read the usage": self.usage,
            "be refused an address that is none (400)": self.refused_send,
            "be refused without an allowance (402)": self.refused_send,
            "be refused an email that is not there (404)": self.refused_email,
            "delete the domain": self.delete_domain,
            "decode an answer with members and values that are not in the document": self.future_email,
            "decode a problem with a status and a code that are not in the document": self.refused_email,
            "decode an event about a message": email_event,
            "decode an event about a domain": domain_event,
            "decode an event of a type and with members that are not in the document": future_event,
            "verify what was delivered": signatures.verify,
            "refuse what was altered, is replayed or was signed by others": signatures.verify,
            "verify the HMAC of the body alone": signatures.verify_body,
        }

    def register_domain(self, step: Step) -> Observed:
        answer = DomainsApi(client_of(step)).create_domain_with_http_info(CreateDomainRequest.from_dict(step["input"]))
        domain = answer.data
        self.domain = domain.id
        return {
            "http": answer.status_code,
            "id": domain.id,
            "domain": domain.domain,
            "status": domain.status,
            "customMailFromDomain": domain.custom_mail_from_domain,
            "recordTypes": [record.type for record in domain.dns_records],
            "recordPurposes": [record.purpose for record in domain.dns_records],
            "recordTtls": [record.ttl for record in domain.dns_records],
            "verifiedAt": domain.verified_at,
            "createdAt": domain.created_at,
        }

    def refused_domain(self, step: Step) -> Observed:
        return refused(lambda: DomainsApi(client_of(step)).create_domain(CreateDomainRequest.from_dict(step["input"])))

    def list_domains(self, step: Step) -> Observed:
        answer = DomainsApi(client_of(step)).list_domains_with_http_info()
        return {
            "http": answer.status_code,
            "domains": [domain.domain for domain in answer.data],
            "ids": [domain.id for domain in answer.data],
        }

    def get_domain(self, step: Step) -> Observed:
        answer = DomainsApi(client_of(step)).get_domain_with_http_info(self.domain)
        domain = answer.data
        return {"http": answer.status_code, "id": domain.id, "domain": domain.domain, "status": domain.status}

    def verify_domain(self, step: Step) -> Observed:
        answer = DomainsApi(client_of(step)).verify_domain_with_http_info(self.domain)
        domain = answer.data
        return {
            "http": answer.status_code,
            "id": domain.id,
            "status": domain.status,
            "statusReason": domain.status_reason,
            "verifiedAt": domain.verified_at,
            "recordStatuses": [record.status for record in domain.dns_records],
        }

    def delete_domain(self, step: Step) -> Observed:
        return {"http": DomainsApi(client_of(step)).delete_domain_with_http_info(self.domain).status_code}

    def send(self, step: Step) -> Observed:
        answer = EmailsApi(client_of(step)).send_email_with_http_info(SendEmailRequest.from_dict(step["input"]))
        self.email = answer.data.id
        return {"http": answer.status_code, "id": answer.data.id, "status": answer.data.status}

    def refused_send(self, step: Step) -> Observed:
        return refused(lambda: EmailsApi(client_of(step)).send_email(SendEmailRequest.from_dict(step["input"])))

    def send_batch(self, step: Step) -> Observed:
        answer = EmailsApi(client_of(step)).send_batch_with_http_info(SendBatchRequest.from_dict(step["input"]))
        result = answer.data
        return {
            "http": answer.status_code,
            "accepted": result.accepted,
            "rejected": result.rejected,
            "indexes": [item.index for item in result.results],
            "statuses": [item.status for item in result.results],
            "ids": [item.id for item in result.results],
            "codes": [item.code for item in result.results],
            "errors": [item.error for item in result.results],
            "pointers": [[one.pointer for one in item.errors or []] for item in result.results],
        }

    def read_back(self, step: Step) -> Observed:
        deadline = time.monotonic() + SENT_LIMIT_SECONDS
        while True:
            answer = EmailsApi(client_of(step)).get_email_with_http_info(self.email)
            email = answer.data
            if email.status != EmailStatus.QUEUED:
                break
            if time.monotonic() > deadline:
                raise TimeoutError("the message is still queued")
            time.sleep(0.1)
        return {
            "http": answer.status_code,
            "id": email.id,
            "fromEmail": email.from_email,
            "fromName": email.from_name,
            "cc": email.cc,
            "replyTo": email.reply_to,
            "subject": email.subject,
            "status": email.status,
            "tags": email.tags,
            "providerMessageId": email.provider_message_id,
            "errorMessage": email.error_message,
            "sentAt": email.sent_at,
            **recipients(email),
        }

    def create_key(self, step: Step) -> Observed:
        answer = ApiKeysApi(client_of(step)).create_api_key_with_http_info(CreateApiKeyRequest.from_dict(step["input"]))
        created = answer.data
        self.key = created.key.id
        return {
            "http": answer.status_code,
            "id": created.key.id,
            "name": created.key.name,
            "scopes": created.key.scopes,
            "expiresAt": created.key.expires_at,
            "lastUsedAt": created.key.last_used_at,
            "isActive": created.key.is_active,
            "maskedKey": created.key.masked_key,
            "fullKey": created.full_key,
        }

    def revoke_key(self, step: Step) -> Observed:
        return {"http": ApiKeysApi(client_of(step)).revoke_api_key_with_http_info(self.key).status_code}

    def list_keys(self, step: Step) -> Observed:
        answer = ApiKeysApi(client_of(step)).list_api_keys_with_http_info()
        return {
            "http": answer.status_code,
            "names": [key.name for key in answer.data],
            "active": [key.is_active for key in answer.data],
            "revokedAt": [key.revoked_at for key in answer.data],
            "expiresAt": [key.expires_at for key in answer.data],
        }

    def usage(self, step: Step) -> Observed:
        answer = BillingApi(client_of(step)).get_usage_with_http_info()
        usage = answer.data
        return {
            "http": answer.status_code,
            "periodKey": usage.period_key,
            "periodStart": usage.period_start,
            "emailsSent": usage.emails_sent,
            "freeMonthlyAllowance": usage.free_monthly_allowance,
            "freeRemaining": usage.free_remaining,
            "billableEmails": usage.billable_emails,
            "pricePer1kCents": usage.price_per1k_cents,
            "hasPaymentMethod": usage.has_payment_method,
            "monthlySpendCapCents": usage.monthly_spend_cap_cents,
        }

    def refused_email(self, step: Step) -> Observed:
        return refused(lambda: EmailsApi(client_of(step)).get_email(UUID(step["input"]["id"])))

    def future_email(self, step: Step) -> Observed:
        answer = EmailsApi(client_of(step)).get_email_with_http_info(UUID(step["input"]["id"]))
        email = answer.data
        return {
            "http": answer.status_code,
            "id": email.id,
            "subject": email.subject,
            "status": email.status,
            **recipients(email),
        }


def text_of(value: object) -> str:
    """Ids and times, which JSON does not know."""
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat()) if isoformat else str(value)


def main() -> None:
    with open(os.environ["MAILSTACK_SCENARIO"], encoding="utf-8") as file:
        scenario = json.load(file)
    steps = Runner().steps()
    for step in scenario["steps"]:
        take = steps.pop(step["name"], None)
        if take is None:
            raise LookupError(f"the runner lacks the step {step['name']!r}")
        print(json.dumps({"step": step["name"], "observed": take(step)}, default=text_of), flush=True)
    if steps:
        raise LookupError(f"the runner adds the steps {sorted(steps)}")


main()
