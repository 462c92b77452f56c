"""boto3 drives the simulator of Amazon SES: every operation that MailStack uses, every error that it tells apart.

The simulator was written beside the Go SDK. boto3 reads the same service from its own description of it: a wrong path, a
wrong member, a time in a wrong form or an error that is not the typed one shows here.

    drive.py BINARY        starts `BINARY simulator` and ends it
"""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from datetime import datetime, timedelta, timezone
from uuid import UUID, uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

STARTS_WITHIN = 30  # seconds
checks = []


def check(function):
    checks.append(function)
    return function


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
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read() or b"null")

    def messages(self):
        return self.control("GET", "messages")["data"]

    def end(self):
        self.process.terminate()
        self.process.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def client(url, **options):
    return boto3.client(
        "sesv2",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        # What an error is must be seen, not what a second try makes of it.
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, **options),
    )


def name():
    return f"d{uuid4().hex}.example"


def email(sender, **changes):
    return {
        "FromEmailAddress": f"Acme <hello@{sender}>",
        "Destination": {"ToAddresses": ["user@example.com"]},
        "Content": {"Simple": {"Subject": {"Data": "Wêlcome"}, "Body": {"Html": {"Data": "<p>Hi</p>"}, "Text": {"Data": "Hi"}}}},
        **changes,
    }


def refused(ses, error, status, call, **arguments):
    """Expects the typed error of the operation, with a message."""
    try:
        call(**arguments)
    except getattr(ses.exceptions, error) as caught:
        answer = caught.response
        assert answer["Error"]["Code"] == error, answer
        assert answer["Error"]["Message"], answer
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == status, answer
        assert UUID(answer["ResponseMetadata"]["RequestId"]), answer
        assert answer["ResponseMetadata"]["RetryAttempts"] == 0, answer
        return answer["Error"]["Message"]
    raise AssertionError(f"{error} was not raised")


def verified(ses):
    domain = name()
    ses.create_email_identity(EmailIdentity=domain)
    assert ses.get_email_identity(EmailIdentity=domain)["VerifiedForSendingStatus"] is True
    return domain


# Identities


@check
def create_email_identity(ses, simulator):
    answer = ses.create_email_identity(EmailIdentity=name().upper())
    assert answer["IdentityType"] == "DOMAIN"
    dkim = answer["DkimAttributes"]
    assert dkim["SigningEnabled"] is True and dkim["SigningAttributesOrigin"] == "AWS_SES"
    assert len(dkim["Tokens"]) == 3 and all(re.fullmatch("[a-z0-9]{32}", token) for token in dkim["Tokens"])


@check
def create_email_identity_already_exists(ses, simulator):
    domain = verified(ses)
    refused(ses, "AlreadyExistsException", 400, ses.create_email_identity, EmailIdentity=domain)


@check
def create_email_identity_bad_request(ses, simulator):
    refused(ses, "BadRequestException", 400, ses.create_email_identity, EmailIdentity="-not-a-domain")


@check
def get_email_identity(ses, simulator):
    domain = verified(ses)
    answer = ses.get_email_identity(EmailIdentity=domain)
    assert answer["VerificationStatus"] == "SUCCESS" and answer["DkimAttributes"]["Status"] == "SUCCESS"
    assert answer["FeedbackForwardingStatus"] is True and answer["Policies"] == {} and answer["Tags"] == []


@check
def get_email_identity_not_found(ses, simulator):
    refused(ses, "NotFoundException", 404, ses.get_email_identity, EmailIdentity=name())


@check
def put_email_identity_mail_from_attributes(ses, simulator):
    domain = verified(ses)
    ses.put_email_identity_mail_from_attributes(
        EmailIdentity=domain, MailFromDomain="mail." + domain, BehaviorOnMxFailure="USE_DEFAULT_VALUE"
    )
    mail_from = ses.get_email_identity(EmailIdentity=domain)["MailFromAttributes"]
    assert mail_from["MailFromDomain"] == "mail." + domain and mail_from["BehaviorOnMxFailure"] == "USE_DEFAULT_VALUE"
    assert mail_from["MailFromDomainStatus"] == "SUCCESS"


@check
def put_email_identity_mail_from_attributes_bad_request(ses, simulator):
    refused(
        ses, "BadRequestException", 400, ses.put_email_identity_mail_from_attributes,
        EmailIdentity=verified(ses), MailFromDomain="mail.elsewhere.example",
    )


@check
def put_email_identity_mail_from_attributes_not_found(ses, simulator):
    domain = name()
    refused(
        ses, "NotFoundException", 404, ses.put_email_identity_mail_from_attributes,
        EmailIdentity=domain, MailFromDomain="mail." + domain,
    )


@check
def delete_email_identity(ses, simulator):
    domain = verified(ses)
    ses.delete_email_identity(EmailIdentity=domain)
    refused(ses, "NotFoundException", 404, ses.get_email_identity, EmailIdentity=domain)


@check
def delete_email_identity_not_found(ses, simulator):
    refused(ses, "NotFoundException", 404, ses.delete_email_identity, EmailIdentity=name())


# Configuration sets


@check
def create_and_get_configuration_set(ses, simulator):
    ses.create_configuration_set(ConfigurationSetName="created", SuppressionOptions={"SuppressedReasons": []})
    answer = ses.get_configuration_set(ConfigurationSetName="created")
    assert answer["ConfigurationSetName"] == "created" and answer["SuppressionOptions"] == {"SuppressedReasons": []}
    assert answer["SendingOptions"]["SendingEnabled"] is True


@check
def create_configuration_set_already_exists(ses, simulator):
    ses.create_configuration_set(ConfigurationSetName="twice")
    refused(ses, "AlreadyExistsException", 400, ses.create_configuration_set, ConfigurationSetName="twice")


@check
def create_configuration_set_bad_request(ses, simulator):
    refused(ses, "BadRequestException", 400, ses.create_configuration_set, ConfigurationSetName="not a name")


@check
def get_configuration_set_not_found(ses, simulator):
    refused(ses, "NotFoundException", 404, ses.get_configuration_set, ConfigurationSetName="none")


@check
def put_configuration_set_suppression_options(ses, simulator):
    ses.create_configuration_set(ConfigurationSetName="changed")
    for reasons in (["BOUNCE"], [], ["BOUNCE", "COMPLAINT"]):
        ses.put_configuration_set_suppression_options(ConfigurationSetName="changed", SuppressedReasons=reasons)
        answer = ses.get_configuration_set(ConfigurationSetName="changed")
        assert answer["SuppressionOptions"]["SuppressedReasons"] == reasons


@check
def put_configuration_set_suppression_options_bad_request(ses, simulator):
    ses.create_configuration_set(ConfigurationSetName="unchanged")
    refused(
        ses, "BadRequestException", 400, ses.put_configuration_set_suppression_options,
        ConfigurationSetName="unchanged", SuppressedReasons=["WHIM"],
    )


@check
def put_configuration_set_suppression_options_not_found(ses, simulator):
    refused(
        ses, "NotFoundException", 404, ses.put_configuration_set_suppression_options,
        ConfigurationSetName="none", SuppressedReasons=[],
    )


# The account


@check
def get_account(ses, simulator):
    before = ses.get_account()
    assert before["SendingEnabled"] is True and before["ProductionAccessEnabled"] is True
    assert before["EnforcementStatus"] == "HEALTHY"
    simulator.control("PUT", "account", {"max24Hour": 1000, "maxPerSecond": 14})
    ses.send_email(**email(verified(ses)))
    quota = ses.get_account()["SendQuota"]
    assert quota["Max24HourSend"] == 1000.0 and quota["MaxSendRate"] == 14.0
    assert quota["SentLast24Hours"] == before["SendQuota"]["SentLast24Hours"] + 1


@check
def get_account_suspended(ses, simulator):
    simulator.control("PUT", "account", {"enforcementStatus": "SHUTDOWN"})
    answer = ses.get_account()
    assert answer["EnforcementStatus"] == "SHUTDOWN" and answer["SendingEnabled"] is False


@check
def get_account_throttled(ses, simulator):
    simulator.control("POST", "faults", {"operations": ["GetAccount"], "throttle": 1})
    refused(ses, "TooManyRequestsException", 429, ses.get_account)
    ses.get_account()


# Sending


@check
def send_email(ses, simulator):
    domain = verified(ses)
    ses.create_configuration_set(ConfigurationSetName="sending")
    answer = ses.send_email(**email(
        "below." + domain,
        Destination={"ToAddresses": ["a@example.com"], "CcAddresses": ["b@example.com"], "BccAddresses": ["c@example.com"]},
        ReplyToAddresses=["support@" + domain],
        EmailTags=[{"Name": "mailstack-message-id", "Value": "one"}],
        ConfigurationSetName="sending",
    ))
    assert re.fullmatch(r"[0-9a-f]{16}-[0-9a-f-]{36}-000000", answer["MessageId"])
    kept = next(one for one in simulator.messages() if one["id"] == answer["MessageId"])
    assert kept["from"] == f"Acme <hello@below.{domain}>" and kept["subject"] == "Wêlcome"
    assert (kept["to"], kept["cc"], kept["bcc"]) == (["a@example.com"], ["b@example.com"], ["c@example.com"])
    assert kept["replyTo"] == ["support@" + domain] and kept["html"] == "<p>Hi</p>" and kept["text"] == "Hi"
    assert kept["tags"] == [{"name": "mailstack-message-id", "value": "one"}] and kept["configurationSet"] == "sending"


@check
def send_email_message_rejected(ses, simulator):
    assert "not verified" in refused(ses, "MessageRejected", 400, ses.send_email, **email(name()))


@check
def send_email_message_rejected_in_the_sandbox(ses, simulator):
    domain = verified(ses)
    simulator.control("PUT", "account", {"productionAccess": False})
    refused(ses, "MessageRejected", 400, ses.send_email, **email(domain))
    ses.send_email(**email(domain, Destination={"ToAddresses": ["success@simulator.amazonses.com"]}))


@check
def send_email_bad_request(ses, simulator):
    domain = verified(ses)
    for changes in (
        {"Destination": {"ToAddresses": ["nobody"]}},
        {"Destination": {"ToAddresses": [f"user{i}@example.com" for i in range(51)]}},
        {"EmailTags": [{"Name": "not a name", "Value": "x"}]},
    ):
        refused(ses, "BadRequestException", 400, ses.send_email, **email(domain, **changes))


@check
def send_email_not_found(ses, simulator):
    refused(ses, "NotFoundException", 404, ses.send_email, **email(verified(ses), ConfigurationSetName="none"))


@check
def send_email_too_many_requests(ses, simulator):
    domain = verified(ses)
    simulator.control("POST", "faults", {"throttle": 1})
    assert refused(ses, "TooManyRequestsException", 429, ses.send_email, **email(domain)) == "Maximum sending rate exceeded."
    ses.send_email(**email(domain))
    simulator.control("PUT", "account", {"maxPerSecond": 0})
    refused(ses, "TooManyRequestsException", 429, ses.send_email, **email(domain))


@check
def send_email_limit_exceeded(ses, simulator):
    domain = verified(ses)
    simulator.control("PUT", "account", {"max24Hour": 0})
    assert refused(ses, "LimitExceededException", 400, ses.send_email, **email(domain)) == "Daily message quota exceeded."


@check
def send_email_sending_paused(ses, simulator):
    domain = verified(ses)
    simulator.control("PUT", "account", {"sendingEnabled": False})
    refused(ses, "SendingPausedException", 400, ses.send_email, **email(domain))


@check
def send_email_account_suspended(ses, simulator):
    domain = verified(ses)
    simulator.control("PUT", "account", {"enforcementStatus": "SHUTDOWN"})
    refused(ses, "AccountSuspendedException", 400, ses.send_email, **email(domain))


@check
def send_email_unavailable(ses, simulator):
    domain = verified(ses)
    simulator.control("POST", "faults", {"status5xx": 1})
    try:
        ses.send_email(**email(domain))
    except ses.exceptions.ClientError as caught:
        assert caught.response["ResponseMetadata"]["HTTPStatusCode"] == 503, caught.response
    else:
        raise AssertionError("a 503 went by unseen")


@check
def send_email_without_an_answer(ses, simulator):
    domain = verified(ses)
    for fault, error, taken in (
        ("dropRequest", ConnectionClosedError, 0),
        ("dropAnswer", ConnectionClosedError, 1),
        ("hang", ReadTimeoutError, 0),
    ):
        before = len(simulator.messages())
        simulator.control("POST", "faults", {fault: 1})
        try:
            client(simulator.url, read_timeout=0.5).send_email(**email(domain))
        except error:
            assert len(simulator.messages()) == before + taken, fault
        else:
            raise AssertionError(f"{fault}: answered")


# Suppressed destinations


@check
def put_and_get_suppressed_destination(ses, simulator):
    for reason in ("BOUNCE", "COMPLAINT"):
        ses.put_suppressed_destination(EmailAddress="Sam+x@example.com", Reason=reason)
        found = ses.get_suppressed_destination(EmailAddress="Sam+x@example.com")["SuppressedDestination"]
        assert found["EmailAddress"] == "Sam+x@example.com" and found["Reason"] == reason
        assert abs(datetime.now(timezone.utc) - found["LastUpdateTime"]) < timedelta(minutes=1)


@check
def put_suppressed_destination_bad_request(ses, simulator):
    refused(ses, "BadRequestException", 400, ses.put_suppressed_destination, EmailAddress="nobody", Reason="BOUNCE")
    refused(ses, "BadRequestException", 400, ses.put_suppressed_destination, EmailAddress="a@example.com", Reason="WHIM")


@check
def get_suppressed_destination_not_found(ses, simulator):
    refused(ses, "NotFoundException", 404, ses.get_suppressed_destination, EmailAddress="nobody@example.com")


@check
def delete_suppressed_destination(ses, simulator):
    ses.put_suppressed_destination(EmailAddress="gone@example.com", Reason="BOUNCE")
    ses.delete_suppressed_destination(EmailAddress="gone@example.com")
    refused(ses, "NotFoundException", 404, ses.get_suppressed_destination, EmailAddress="gone@example.com")


@check
def delete_suppressed_destination_not_found(ses, simulator):
    refused(ses, "NotFoundException", 404, ses.delete_suppressed_destination, EmailAddress="nobody@example.com")


@check
def send_email_to_a_suppressed_destination(ses, simulator):
    domain = verified(ses)
    ses.put_suppressed_destination(EmailAddress="bounced@example.com", Reason="BOUNCE")
    sent = ses.send_email(**email(domain, Destination={"ToAddresses": ["Bounced@example.com"]}))["MessageId"]
    kept = next(one for one in simulator.messages() if one["id"] == sent)
    assert kept["suppressed"] == ["Bounced@example.com"]


OPERATIONS = {
    "CreateEmailIdentity", "GetEmailIdentity", "PutEmailIdentityMailFromAttributes", "DeleteEmailIdentity",
    "CreateConfigurationSet", "GetConfigurationSet", "PutConfigurationSetSuppressionOptions", "GetAccount", "SendEmail",
    "PutSuppressedDestination", "GetSuppressedDestination", "DeleteSuppressedDestination",
}
HEALTHY = {
    "max24Hour": -1, "maxPerSecond": 100000, "sendingEnabled": True, "enforcementStatus": "HEALTHY", "productionAccess": True,
}


def main(binary):
    passed, called = 0, set()
    with Simulator(binary) as simulator:
        ses = client(simulator.url, read_timeout=10)
        ses.meta.events.register("before-call.sesv2", lambda model, **_: called.add(model.name))
        for one in checks:
            simulator.control("PUT", "account", HEALTHY)
            simulator.control("DELETE", "faults")
            try:
                one(ses, simulator)
                passed += 1
            except Exception as failure:  # every check is run, whatever became of the others
                print(f"{one.__name__}: {type(failure).__name__}: {failure}", file=sys.stderr)
    if called != OPERATIONS:
        print(f"operations called: {sorted(called)}", file=sys.stderr)
    print(f"boto3: {passed}/{len(checks)} passed")
    return 0 if passed == len(checks) and called == OPERATIONS else 1


sys.exit(main(sys.argv[1]))
