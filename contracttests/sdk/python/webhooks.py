"""The steps that decode what a webhook received."""

import json
from typing import Any

from mailstack.models import WebhookDomainEvent, WebhookEmailEvent


def email_event(step: dict[str, Any]) -> dict[str, Any]:
    event = WebhookEmailEvent.from_dict(json.loads(step["input"]["body"]))
    return {
        "id": event.id,
        "type": event.type_,
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


def domain_event(step: dict[str, Any]) -> dict[str, Any]:
    event = WebhookDomainEvent.from_dict(json.loads(step["input"]["body"]))
    return {
        "id": event.id,
        "type": event.type_,
        "createdAt": event.created_at,
        "domainId": event.data.id,
        "domain": event.data.domain,
        "status": event.data.status,
        "statusReason": event.data.status_reason,
    }


def future_event(step: dict[str, Any]) -> dict[str, Any]:
    event = WebhookEmailEvent.from_dict(json.loads(step["input"]["body"]))
    return {
        "id": event.id,
        "type": event.type_,
        "createdAt": event.created_at,
        "emailId": event.data.id,
        "toEmail": event.data.to_email,
        "subject": event.data.subject,
        "status": event.data.status,
    }
