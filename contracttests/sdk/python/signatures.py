"""The steps that verify what a webhook received. They need no generated client."""

import base64
import hashlib
import hmac
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


def verify(step: dict[str, Any]) -> dict[str, Any]:
    return {"accepted": [is_signed(one) for one in step["input"]["deliveries"]]}


def is_signed(delivery: dict[str, Any]) -> bool:
    try:
        Webhook(delivery["secret"]).verify(delivery["body"], delivery["headers"], json_parse=False)
    except WebhookVerificationError:
        return False
    return True


def verify_body(step: dict[str, Any]) -> dict[str, Any]:
    return {"accepted": [is_authentic(one) for one in step["input"]["deliveries"]]}


def is_authentic(delivery: dict[str, Any]) -> bool:
    key = base64.b64decode(delivery["secret"].removeprefix("whsec_"))
    code = hmac.new(key, delivery["body"].encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(code, delivery["headers"]["X-MailStack-Signature"])
