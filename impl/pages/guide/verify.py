import base64
import hashlib
import hmac
import json
import os
import time
from http.server import BaseHTTPRequestHandler, HTTPServer


def verify(secret, headers, body):
    """Raises ValueError unless the body (bytes) was signed with the secret within the last five minutes."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    timestamp = headers.get("webhook-timestamp", "")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > 300:
        raise ValueError("the timestamp is missing or too old")
    signed = f"{headers.get('webhook-id')}.{timestamp}.".encode() + body
    want = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    given = headers.get("webhook-signature", "").split(" ")
    if not any(hmac.compare_digest(signature.encode(), want) for signature in given):
        raise ValueError("no signature fits")


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            verify(os.environ["WEBHOOK_SECRET"], self.headers, body)
        except ValueError as error:
            self.send_error(400, str(error))
            return
        event = json.loads(body)
        print(f"event {event['id']}: {event['type']}")
        self.send_response(204)
        self.end_headers()


host, port = os.environ["WEBHOOK_ADDRESS"].split(":")
HTTPServer((host, int(port)), Receiver).serve_forever()
