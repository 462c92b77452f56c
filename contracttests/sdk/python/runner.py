"""Takes the steps of the SDK scenario with the client that openapi-python-client makes from openapi.yaml.

It prints what the typed answers say; judging is the work of contracttests/sdk/run.
"""

import json
import os
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID

import signatures
import webhooks
from mailstack import AuthenticatedClient
from mailstack.api.api_keys import create_api_key, list_api_keys, revoke_api_key
from mailstack.api.billing import get_usage
from mailstack.api.domains import create_domain, delete_domain, get_domain, list_domains, verify_domain
from mailstack.api.emails import get_email, send_batch, send_email
from mailstack.models import (
    ApiKey,
    CreateApiKeyRequest,
    CreateDomainRequest,
    CreatedApiKey,
    Domain,
    Email,
    EmailStatus,
    BatchResult,
    Problem,
    QueuedEmail,
    SendBatchRequest,
    SendEmailRequest,
    Usage,
)
from mailstack.types import UNSET, Response, Unset

Observed = dict[str, Any]
Step = dict[str, Any]
T = TypeVar("T")

SENT_LIMIT_SECONDS = 30


def client_of(step: Step) -> AuthenticatedClient:
    url = os.environ["MAILSTACK_FUTURE_URL" if step.get("client") == "future" else "MAILSTACK_URL"]
    key = os.environ["MAILSTACK_EXHAUSTED_API_KEY" if step.get("client") == "exhausted" else "MAILSTACK_API_KEY"]
    return AuthenticatedClient(base_url=url, token=key)


def decoded(answer: Response[Any], kind: type[T]) -> T:
    """The body of an answer, which must be of the type that the client promises."""
    if not isinstance(answer.parsed, kind):
        raise TypeError(f"the answer was decoded as {answer.parsed!r}, not as {kind.__name__}")
    return answer.parsed


def refused(status: HTTPStatus, problem: Problem) -> Observed:
    return {
        "http": status,
        "status": problem.status,
        "type": problem.type_,
        "code": problem.code,
        "title": problem.title,
        "detail": problem.detail,
        "requestId": problem.request_id,
        "pointers": [one.pointer for one in problem.errors or []],
    }


def or_none(value: T | Unset) -> T | None:
    """Members that may be left out are UNSET in this client."""
    return None if isinstance(value, Unset) else value


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
            "decode a problem with a status and a code that are not in the document": self.future_problem,
            "decode an event about a message": webhooks.email_event,
            "decode an event about a domain": webhooks.domain_event,
            "decode an event of a type and with members that are not in the document": webhooks.future_event,
            "verify what was delivered": signatures.verify,
            "refuse what was altered, is replayed or was signed by others": signatures.verify,
            "verify the HMAC of the body alone": signatures.verify_body,
        }

    def register_domain(self, step: Step) -> Observed:
        answer = create_domain.sync_detailed(client=client_of(step), body=CreateDomainRequest.from_dict(step["input"]))
        domain = decoded(answer, Domain)
        self.domain = domain.id
        return {
            "http": answer.status_code,
            "id": domain.id,
            "domain": domain.domain,
            "status": domain.status,
            "customMailFromDomain": domain.custom_mail_from_domain,
            "recordTypes": [record.type_ for record in domain.dns_records],
            "recordPurposes": [record.purpose for record in domain.dns_records],
            "recordTtls": [record.ttl for record in domain.dns_records],
            "verifiedAt": domain.verified_at,
            "createdAt": domain.created_at,
        }

    def refused_domain(self, step: Step) -> Observed:
        answer = create_domain.sync_detailed(client=client_of(step), body=CreateDomainRequest.from_dict(step["input"]))
        return refused(answer.status_code, decoded(answer, Problem))

    def list_domains(self, step: Step) -> Observed:
        answer = list_domains.sync_detailed(client=client_of(step))
        domains: list[Domain] = decoded(answer, list)
        return {
            "http": answer.status_code,
            "domains": [domain.domain for domain in domains],
            "ids": [domain.id for domain in domains],
        }

    def get_domain(self, step: Step) -> Observed:
        answer = get_domain.sync_detailed(self.domain, client=client_of(step))
        domain = decoded(answer, Domain)
        return {"http": answer.status_code, "id": domain.id, "domain": domain.domain, "status": domain.status}

    def verify_domain(self, step: Step) -> Observed:
        answer = verify_domain.sync_detailed(self.domain, client=client_of(step))
        domain = decoded(answer, Domain)
        return {
            "http": answer.status_code,
            "id": domain.id,
            "status": domain.status,
            "statusReason": domain.status_reason,
            "verifiedAt": domain.verified_at,
            "recordStatuses": [record.status for record in domain.dns_records],
        }

    def delete_domain(self, step: Step) -> Observed:
        return {"http": delete_domain.sync_detailed(self.domain, client=client_of(step)).status_code}

    def send(self, step: Step) -> Observed:
        answer = send_email.sync_detailed(client=client_of(step), body=SendEmailRequest.from_dict(step["input"]))
        queued = decoded(answer, QueuedEmail)
        self.email = queued.id
        return {"http": answer.status_code, "id": queued.id, "status": queued.status}

    def refused_send(self, step: Step) -> Observed:
        answer = send_email.sync_detailed(client=client_of(step), body=SendEmailRequest.from_dict(step["input"]))
        return refused(answer.status_code, decoded(answer, Problem))

    def send_batch(self, step: Step) -> Observed:
        answer = send_batch.sync_detailed(client=client_of(step), body=SendBatchRequest.from_dict(step["input"]))
        result = decoded(answer, BatchResult)
        return {
            "http": answer.status_code,
            "accepted": result.accepted,
            "rejected": result.rejected,
            "indexes": [item.index for item in result.results],
            "statuses": [item.status for item in result.results],
            "ids": [or_none(item.id) for item in result.results],
            "codes": [or_none(item.code) for item in result.results],
            "errors": [or_none(item.error) for item in result.results],
            "pointers": [[one.pointer for one in item.errors or []] for item in result.results],
        }

    def read_back(self, step: Step) -> Observed:
        deadline = time.monotonic() + SENT_LIMIT_SECONDS
        while True:
            answer = get_email.sync_detailed(self.email, client=client_of(step))
            email = decoded(answer, Email)
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
            **self.recipients(email),
        }

    def recipients(self, email: Email) -> Observed:
        return {
            "recipientEmails": [one.email for one in email.recipients],
            "recipientKinds": [one.kind for one in email.recipients],
            "recipientStatuses": [one.status for one in email.recipients],
        }

    def create_key(self, step: Step) -> Observed:
        answer = create_api_key.sync_detailed(client=client_of(step), body=CreateApiKeyRequest.from_dict(step["input"]))
        created = decoded(answer, CreatedApiKey)
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
        return {"http": revoke_api_key.sync_detailed(self.key, client=client_of(step)).status_code}

    def list_keys(self, step: Step) -> Observed:
        answer = list_api_keys.sync_detailed(client=client_of(step))
        keys: list[ApiKey] = decoded(answer, list)
        return {
            "http": answer.status_code,
            "names": [key.name for key in keys],
            "active": [key.is_active for key in keys],
            "revokedAt": [key.revoked_at for key in keys],
            "expiresAt": [key.expires_at for key in keys],
        }

    def usage(self, step: Step) -> Observed:
        answer = get_usage.sync_detailed(client=client_of(step))
        usage = decoded(answer, Usage)
        return {
            "http": answer.status_code,
            "periodKey": usage.period_key,
            "periodStart": usage.period_start,
            "emailsSent": usage.emails_sent,
            "freeMonthlyAllowance": usage.free_monthly_allowance,
            "freeRemaining": usage.free_remaining,
            "billableEmails": usage.billable_emails,
            "pricePer1kCents": usage.price_per_1_k_cents,
            "hasPaymentMethod": usage.has_payment_method,
            "monthlySpendCapCents": usage.monthly_spend_cap_cents,
        }

    def refused_email(self, step: Step) -> Observed:
        answer = get_email.sync_detailed(UUID(step["input"]["id"]), client=client_of(step))
        return refused(answer.status_code, decoded(answer, Problem))

    def future_email(self, step: Step) -> Observed:
        answer = get_email.sync_detailed(UUID(step["input"]["id"]), client=client_of(step))
        email = decoded(answer, Email)
        return {
            "http": answer.status_code,
            "id": email.id,
            "subject": email.subject,
            "status": email.status,
            **self.recipients(email),
        }

    def future_problem(self, step: Step) -> Observed:
        """The client has no type for a status that the document does not list; its model decodes the body."""
        answer = get_email.sync_detailed(UUID(step["input"]["id"]), client=client_of(step))
        return refused(answer.status_code, Problem.from_dict(json.loads(answer.content)))


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
