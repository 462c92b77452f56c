"""The simulator as a process, and clients of it whose responses are recorded."""

import hashlib
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from uuid import UUID, uuid4

import boto3
from botocore.config import Config

STARTS_WITHIN = 120  # seconds
REGION, ACCOUNT = "us-east-1", "000000000000"
SERVICES = ("sesv2", "sns", "sqs", "sts")
PREFIXES = {"sesv2": "ses", "sns": "sns", "sqs": "sqs", "sts": "sts"}
# An Authorization header in the form of version 4; simulators do not verify it.
SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/x/aws4_request, SignedHeaders=host, Signature=" + hashlib.sha256().hexdigest()


class Simulator:
    def __init__(self, binary):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = "http://" + address
        self.process = subprocess.Popen([binary, "simulator", "--addr", address], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + STARTS_WITHIN
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.end()
                raise SystemExit("the simulator did not start")
            time.sleep(0.05)

    def answers(self):
        try:
            return self.control("GET", "stats") is not None
        except OSError:
            return False

    def control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_sim/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def messages(self):
        return self.control("GET", "messages")["data"]

    def end(self):
        self.process.terminate()
        self.process.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Recorder:
    """What the services answered: operation, status, headers and body."""

    def __init__(self):
        self.records = []

    def client(self, service, url=None, **options):
        made = boto3.client(
            service,
            endpoint_url=url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            # What an error is must be seen, not what a second try makes of it. The simulator is to refuse what is out of range.
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=60, **options),
        )
        made.meta.events.register(f"before-parse.{service}", self.record)
        return made

    def record(self, operation_model, response_dict, **_):
        self.add(operation_model, response_dict["status_code"], response_dict["headers"], response_dict["body"])

    def add(self, operation, status, headers, body):
        self.records.append((operation, status, dict(headers), body))

    def raw(self, url, operation, method, path, body, **headers):
        """Sends what no SDK sends, and records the response as one of the operation."""
        request = urllib.request.Request(url + path, body, {"Content-Type": "application/x-www-form-urlencoded", **headers}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                self.add(operation, answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as refusal:
            self.add(operation, refusal.code, refusal.headers, refusal.read())
        return self.records[-1][1]


class World:
    """What a check gets: the clients, the simulator, the recorder."""

    def __init__(self, simulator, recorder):
        self.simulator, self.recorder = simulator, recorder
        for service in SERVICES:
            setattr(self, service, recorder.client(service, simulator.url, read_timeout=60))

    def operations(self):
        """All operations that the simulator offers: name of the service and model of the operation."""
        offered = self.simulator.control("GET", "operations")
        for service in SERVICES:
            model = getattr(self, service).meta.service_model
            for name in offered[PREFIXES[service]]:
                yield service, model.operation_model(name)


def name(kind="d"):
    return f"{kind}{uuid4().hex}"


def refused(client, error, status, call, **arguments):
    """Expects the typed error of the operation, with a message."""
    try:
        call(**arguments)
    except getattr(client.exceptions, error) as caught:
        answer = caught.response
        assert answer["Error"]["Message"], answer
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == status, answer
        assert UUID(answer["ResponseMetadata"]["RequestId"]), answer
        assert answer["ResponseMetadata"]["RetryAttempts"] == 0, answer
        return answer["Error"]["Message"]
    raise AssertionError(f"{error} was not raised")


def refused_with(client, code, call, **arguments):
    """Expects an error that the operation shares with all others, so that it has no type."""
    try:
        call(**arguments)
    except client.exceptions.ClientError as caught:
        assert caught.response["Error"]["Code"] == code, caught.response
        return
    raise AssertionError(f"{code} was not raised")
