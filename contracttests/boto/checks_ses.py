"""Checks of the simulated SES: every operation, and every error that it gives."""

import json
import re
from datetime import datetime, timedelta, timezone

from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from simulator import SIGNED, name, refused

checks = []


def check(function):
    checks.append(function)
    return function


def domain_name():
    return name() + ".example"


def email(sender, **changes):
    return {
        "FromEmailAddress": f"Acme <hello@{sender}>",
        "Destination": {"ToAddresses": ["user@example.com"]},
        "Content": {"Simple": {"Subject": {"Data": "Wêlcome"}, "Body": {"Html": {"Data": "<p>Hi</p>"}, "Text": {"Data": "Hi"}}}},
        **changes,
    }


def verified(ses):
    domain = domain_name()
    ses.create_email_identity(EmailIdentity=domain)
    assert ses.get_email_identity(EmailIdentity=domain)["VerifiedForSendingStatus"] is True
    return domain


# Identities


@check
def create_email_identity(ses, world):
    answer = ses.create_email_identity(EmailIdentity=domain_name().upper())
    assert answer["IdentityType"] == "DOMAIN"
    dkim = answer["DkimAttributes"]
    assert dkim["SigningEnabled"] is True and dkim["SigningAttributesOrigin"] == "AWS_SES"
    assert len(dkim["Tokens"]) == 3 and all(re.fullmatch("[a-z0-9]{32}", token) for token in dkim["Tokens"])


@check
def create_email_identity_already_exists(ses, world):
    domain = verified(ses)
    refused(ses, "AlreadyExistsException", 400, ses.create_email_identity, EmailIdentity=domain)


@check
def create_email_identity_bad_request(ses, world):
    refused(ses, "BadRequestException", 400, ses.create_email_identity, EmailIdentity="-not-a-domain")


@check
def get_email_identity(ses, world):
    domain = verified(ses)
    answer = ses.get_email_identity(EmailIdentity=domain)
    assert answer["VerificationStatus"] == "SUCCESS" and answer["DkimAttributes"]["Status"] == "SUCCESS"
    assert answer["FeedbackForwardingStatus"] is True and answer["Policies"] == {} and answer["Tags"] == []


@check
def get_email_identity_not_found(ses, world):
    refused(ses, "NotFoundException", 404, ses.get_email_identity, EmailIdentity=domain_name())


@check
def put_email_identity_mail_from_attributes(ses, world):
    domain = verified(ses)
    ses.put_email_identity_mail_from_attributes(
        EmailIdentity=domain, MailFromDomain="mail." + domain, BehaviorOnMxFailure="USE_DEFAULT_VALUE"
    )
    mail_from = ses.get_email_identity(EmailIdentity=domain)["MailFromAttributes"]
    assert mail_from["MailFromDomain"] == "mail." + domain and mail_from["BehaviorOnMxFailure"] == "USE_DEFAULT_VALUE"
    assert mail_from["MailFromDomainStatus"] == "SUCCESS"


@check
def put_email_identity_mail_from_attributes_bad_request(ses, world):
    refused(
        ses, "BadRequestException", 400, ses.put_email_identity_mail_from_attributes,
        EmailIdentity=verified(ses), MailFromDomain="mail.elsewhere.example",
    )


@check
def put_email_identity_mail_from_attributes_not_found(ses, world):
    domain = domain_name()
    refused(
        ses, "NotFoundException", 404, ses.put_email_identity_mail_from_attributes,
        EmailIdentity=domain, MailFromDomain="mail." + domain,
    )


@check
def delete_email_identity(ses, world):
    domain = verified(ses)
    ses.delete_email_identity(EmailIdentity=domain)
    refused(ses, "NotFoundException", 404, ses.get_email_identity, EmailIdentity=domain)


@check
def delete_email_identity_not_found(ses, world):
    refused(ses, "NotFoundException", 404, ses.delete_email_identity, EmailIdentity=domain_name())


# Configuration sets


@check
def create_and_get_configuration_set(ses, world):
    ses.create_configuration_set(ConfigurationSetName="created", SuppressionOptions={"SuppressedReasons": []})
    answer = ses.get_configuration_set(ConfigurationSetName="created")
    assert answer["ConfigurationSetName"] == "created" and answer["SuppressionOptions"] == {"SuppressedReasons": []}
    assert answer["SendingOptions"]["SendingEnabled"] is True


@check
def create_configuration_set_already_exists(ses, world):
    ses.create_configuration_set(ConfigurationSetName="twice")
    refused(ses, "AlreadyExistsException", 400, ses.create_configuration_set, ConfigurationSetName="twice")


@check
def create_configuration_set_bad_request(ses, world):
    refused(ses, "BadRequestException", 400, ses.create_configuration_set, ConfigurationSetName="not a name")


@check
def get_configuration_set_not_found(ses, world):
    refused(ses, "NotFoundException", 404, ses.get_configuration_set, ConfigurationSetName="none")


@check
def put_configuration_set_suppression_options(ses, world):
    ses.create_configuration_set(ConfigurationSetName="changed")
    for reasons in (["BOUNCE"], [], ["BOUNCE", "COMPLAINT"]):
        ses.put_configuration_set_suppression_options(ConfigurationSetName="changed", SuppressedReasons=reasons)
        answer = ses.get_configuration_set(ConfigurationSetName="changed")
        assert answer["SuppressionOptions"]["SuppressedReasons"] == reasons


@check
def put_configuration_set_suppression_options_bad_request(ses, world):
    ses.create_configuration_set(ConfigurationSetName="unchanged")
    refused(
        ses, "BadRequestException", 400, ses.put_configuration_set_suppression_options,
        ConfigurationSetName="unchanged", SuppressedReasons=["WHIM"],
    )


@check
def put_configuration_set_suppression_options_not_found(ses, world):
    refused(
        ses, "NotFoundException", 404, ses.put_configuration_set_suppression_options,
        ConfigurationSetName="none", SuppressedReasons=[],
    )


# The account


@check
def get_account(ses, world):
    before = ses.get_account()
    assert before["SendingEnabled"] is True and before["ProductionAccessEnabled"] is True
    assert before["EnforcementStatus"] == "HEALTHY"
    world.simulator.control("PUT", "account", {"max24Hour": 1000, "maxPerSecond": 14})
    ses.send_email(**email(verified(ses)))
    quota = ses.get_account()["SendQuota"]
    assert quota["Max24HourSend"] == 1000.0 and quota["MaxSendRate"] == 14.0
    assert quota["SentLast24Hours"] == before["SendQuota"]["SentLast24Hours"] + 1


@check
def get_account_suspended(ses, world):
    world.simulator.control("PUT", "account", {"enforcementStatus": "SHUTDOWN"})
    answer = ses.get_account()
    assert answer["EnforcementStatus"] == "SHUTDOWN" and answer["SendingEnabled"] is False


@check
def get_account_throttled(ses, world):
    world.simulator.control("POST", "faults", {"operations": ["GetAccount"], "throttle": 1})
    refused(ses, "TooManyRequestsException", 429, ses.get_account)
    ses.get_account()


# Sending


@check
def send_email(ses, world):
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
    kept = next(one for one in world.simulator.messages() if one["id"] == answer["MessageId"])
    assert kept["from"] == f"Acme <hello@below.{domain}>" and kept["subject"] == "Wêlcome"
    assert (kept["to"], kept["cc"], kept["bcc"]) == (["a@example.com"], ["b@example.com"], ["c@example.com"])
    assert kept["replyTo"] == ["support@" + domain] and kept["html"] == "<p>Hi</p>" and kept["text"] == "Hi"
    assert kept["tags"] == [{"name": "mailstack-message-id", "value": "one"}] and kept["configurationSet"] == "sending"


@check
def send_email_message_rejected(ses, world):
    assert "not verified" in refused(ses, "MessageRejected", 400, ses.send_email, **email(domain_name()))


@check
def send_email_message_rejected_in_the_sandbox(ses, world):
    domain = verified(ses)
    world.simulator.control("PUT", "account", {"productionAccess": False})
    refused(ses, "MessageRejected", 400, ses.send_email, **email(domain))
    ses.send_email(**email(domain, Destination={"ToAddresses": ["success@simulator.amazonses.com"]}))


@check
def send_email_bad_request(ses, world):
    domain = verified(ses)
    for changes in (
        {"Destination": {"ToAddresses": ["nobody"]}},
        {"Destination": {"ToAddresses": [f"user{i}@example.com" for i in range(51)]}},
        {"EmailTags": [{"Name": "not a name", "Value": "x"}]},
    ):
        refused(ses, "BadRequestException", 400, ses.send_email, **email(domain, **changes))


@check
def send_email_not_found(ses, world):
    refused(ses, "NotFoundException", 404, ses.send_email, **email(verified(ses), ConfigurationSetName="none"))


@check
def send_email_too_many_requests(ses, world):
    domain = verified(ses)
    world.simulator.control("POST", "faults", {"throttle": 1})
    assert refused(ses, "TooManyRequestsException", 429, ses.send_email, **email(domain)) == "Maximum sending rate exceeded."
    ses.send_email(**email(domain))
    world.simulator.control("PUT", "account", {"maxPerSecond": 0})
    refused(ses, "TooManyRequestsException", 429, ses.send_email, **email(domain))


@check
def send_email_limit_exceeded(ses, world):
    domain = verified(ses)
    world.simulator.control("PUT", "account", {"max24Hour": 0})
    assert refused(ses, "LimitExceededException", 400, ses.send_email, **email(domain)) == "Daily message quota exceeded."


@check
def send_email_sending_paused(ses, world):
    domain = verified(ses)
    world.simulator.control("PUT", "account", {"sendingEnabled": False})
    refused(ses, "SendingPausedException", 400, ses.send_email, **email(domain))


@check
def send_email_account_suspended(ses, world):
    domain = verified(ses)
    world.simulator.control("PUT", "account", {"enforcementStatus": "SHUTDOWN"})
    refused(ses, "AccountSuspendedException", 400, ses.send_email, **email(domain))


@check
def send_email_unavailable(ses, world):
    domain = verified(ses)
    world.simulator.control("POST", "faults", {"status5xx": 1})
    try:
        ses.send_email(**email(domain))
    except ses.exceptions.ClientError as caught:
        assert caught.response["ResponseMetadata"]["HTTPStatusCode"] == 503, caught.response
    else:
        raise AssertionError("a 503 went by unseen")


@check
def send_email_without_an_answer(ses, world):
    domain = verified(ses)
    for fault, error, taken in (
        ("dropRequest", ConnectionClosedError, 0),
        ("dropAnswer", ConnectionClosedError, 1),
        ("hang", ReadTimeoutError, 0),
    ):
        before = len(world.simulator.messages())
        world.simulator.control("POST", "faults", {fault: 1})
        try:
            world.recorder.client("sesv2", world.simulator.url, read_timeout=3 if fault == "hang" else 60).send_email(**email(domain))
        except error:
            assert len(world.simulator.messages()) == before + taken, fault
        else:
            raise AssertionError(f"{fault}: answered")


# Suppressed destinations


@check
def put_and_get_suppressed_destination(ses, world):
    for reason in ("BOUNCE", "COMPLAINT"):
        ses.put_suppressed_destination(EmailAddress="Sam+x@example.com", Reason=reason)
        found = ses.get_suppressed_destination(EmailAddress="Sam+x@example.com")["SuppressedDestination"]
        assert found["EmailAddress"] == "Sam+x@example.com" and found["Reason"] == reason
        assert abs(datetime.now(timezone.utc) - found["LastUpdateTime"]) < timedelta(minutes=1)


@check
def put_suppressed_destination_bad_request(ses, world):
    refused(ses, "BadRequestException", 400, ses.put_suppressed_destination, EmailAddress="nobody", Reason="BOUNCE")
    refused(ses, "BadRequestException", 400, ses.put_suppressed_destination, EmailAddress="a@example.com", Reason="WHIM")


@check
def get_suppressed_destination_not_found(ses, world):
    refused(ses, "NotFoundException", 404, ses.get_suppressed_destination, EmailAddress="nobody@example.com")


@check
def delete_suppressed_destination(ses, world):
    ses.put_suppressed_destination(EmailAddress="gone@example.com", Reason="BOUNCE")
    ses.delete_suppressed_destination(EmailAddress="gone@example.com")
    refused(ses, "NotFoundException", 404, ses.get_suppressed_destination, EmailAddress="gone@example.com")


@check
def delete_suppressed_destination_not_found(ses, world):
    refused(ses, "NotFoundException", 404, ses.delete_suppressed_destination, EmailAddress="nobody@example.com")


@check
def send_email_to_a_suppressed_destination(ses, world):
    domain = verified(ses)
    ses.put_suppressed_destination(EmailAddress="bounced@example.com", Reason="BOUNCE")
    sent = ses.send_email(**email(domain, Destination={"ToAddresses": ["Bounced@example.com"]}))["MessageId"]
    kept = next(one for one in world.simulator.messages() if one["id"] == sent)
    assert kept["suppressed"] == ["Bounced@example.com"]




# What the SDK does not send by itself


@check
def malformed_requests(ses, world):
    """A body that is not JSON, and a NextToken that is none."""
    model = ses.meta.service_model
    for operation, method, path in (
        ("CreateEmailIdentity", "POST", "/v2/email/identities"), ("SendEmail", "POST", "/v2/email/outbound-emails"),
        ("CreateConfigurationSet", "POST", "/v2/email/configuration-sets"),
        ("PutSuppressedDestination", "PUT", "/v2/email/suppression/addresses"),
        ("PutAccountSendingAttributes", "PUT", "/v2/email/account/sending"),
    ):
        status = world.recorder.raw(world.simulator.url, model.operation_model(operation), method, path, b"{", Authorization=SIGNED)
        assert status == 400, (operation, status)


# Lists


@check
def list_email_identities(ses, world):
    wanted = {domain_name() for _ in range(3)}
    for domain in wanted:
        ses.create_email_identity(EmailIdentity=domain, Tags=[{"Key": "a", "Value": "b"}])
    found, token = {}, {}
    while True:
        answer = ses.list_email_identities(PageSize=2, **token)
        found.update({one["IdentityName"]: one for one in answer["EmailIdentities"]})
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert wanted <= set(found) and all(one["IdentityType"] in ("DOMAIN", "EMAIL_ADDRESS") for one in found.values())
    refused(ses, "BadRequestException", 400, ses.list_email_identities, NextToken="?")
    refused(ses, "BadRequestException", 400, ses.list_email_identities, PageSize=1001)


@check
def list_configuration_sets(ses, world):
    for each in ("listed-a", "listed-b"):
        ses.create_configuration_set(ConfigurationSetName=each)
    first = ses.list_configuration_sets(PageSize=1)
    assert len(first["ConfigurationSets"]) == 1 and first["NextToken"]
    assert ses.list_configuration_sets(PageSize=1, NextToken=first["NextToken"])["ConfigurationSets"] != first["ConfigurationSets"]
    refused(ses, "BadRequestException", 400, ses.list_configuration_sets, NextToken="?")


@check
def list_suppressed_destinations(ses, world):
    for i, reason in enumerate(["BOUNCE", "COMPLAINT"]):
        ses.put_suppressed_destination(EmailAddress=f"listed{i}@example.com", Reason=reason)
    found = ses.list_suppressed_destinations(Reasons=["COMPLAINT"])["SuppressedDestinationSummaries"]
    assert {one["Reason"] for one in found} == {"COMPLAINT"}
    assert ses.list_suppressed_destinations(PageSize=1)["NextToken"]
    refused(ses, "InvalidNextTokenException", 400, ses.list_suppressed_destinations, NextToken="?")
    refused(ses, "BadRequestException", 400, ses.list_suppressed_destinations, PageSize=1001)
    refused(ses, "BadRequestException", 400, ses.list_suppressed_destinations, Reasons=["WHIM"])


# Deleting configuration sets, DKIM, the account's switch, limits


@check
def delete_configuration_set(ses, world):
    ses.create_configuration_set(ConfigurationSetName="deleted")
    ses.delete_configuration_set(ConfigurationSetName="deleted")
    refused(ses, "NotFoundException", 404, ses.get_configuration_set, ConfigurationSetName="deleted")
    refused(ses, "NotFoundException", 404, ses.delete_configuration_set, ConfigurationSetName="deleted")


@check
def put_email_identity_dkim_signing_attributes(ses, world):
    domain = verified(ses)
    answer = ses.put_email_identity_dkim_signing_attributes(EmailIdentity=domain, SigningAttributesOrigin="AWS_SES")
    assert answer["DkimStatus"] == "SUCCESS"
    assert set(answer["DkimTokens"]) == set(ses.get_email_identity(EmailIdentity=domain)["DkimAttributes"]["Tokens"])
    for error, status, identity, origin in (
        ("BadRequestException", 400, domain, "WHIM"), ("NotFoundException", 404, domain_name(), "AWS_SES"),
    ):
        refused(
            ses, error, status, ses.put_email_identity_dkim_signing_attributes,
            EmailIdentity=identity, SigningAttributesOrigin=origin,
        )


@check
def an_address_as_identity(ses, world):
    address = f"me@{domain_name()}"
    assert ses.create_email_identity(EmailIdentity=address)["IdentityType"] == "EMAIL_ADDRESS"
    assert ses.get_email_identity(EmailIdentity=address)["IdentityType"] == "EMAIL_ADDRESS"


@check
def put_account_sending_attributes(ses, world):
    ses.put_account_sending_attributes(SendingEnabled=False)
    assert ses.get_account()["SendingEnabled"] is False
    ses.put_account_sending_attributes(SendingEnabled=True)


@check
def limits_of_the_account(ses, world):
    world.simulator.control("PUT", "account", {"maxIdentities": 1, "maxConfigurationSets": 1})
    refused(ses, "LimitExceededException", 400, ses.create_email_identity, EmailIdentity=domain_name())
    refused(ses, "LimitExceededException", 400, ses.create_configuration_set, ConfigurationSetName="beyond")


@check
def send_email_mail_from_not_verified(ses, world):
    domain = verified(ses)
    ses.put_email_identity_mail_from_attributes(
        EmailIdentity=domain, MailFromDomain="mail." + domain, BehaviorOnMxFailure="REJECT_MESSAGE"
    )
    world.simulator.control("POST", "faults", {"failMailFrom": 1})
    refused(ses, "MailFromDomainNotVerifiedException", 400, ses.send_email, **email(domain))


# Event destinations


def destination(topic, **changes):
    return {"Enabled": True, "MatchingEventTypes": ["SEND", "BOUNCE"], "SnsDestination": {"TopicArn": topic}, **changes}


@check
def event_destinations(ses, world):
    topic = world.sns.create_topic(Name=name())["TopicArn"]
    ses.create_configuration_set(ConfigurationSetName="publishing")
    at = {"ConfigurationSetName": "publishing", "EventDestinationName": "mine"}
    create, update, delete = (
        getattr(ses, verb + "_configuration_set_event_destination") for verb in ("create", "update", "delete")
    )
    refused(ses, "BadRequestException", 400, create, **at, EventDestination=destination(topic))
    world.sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps({"Statement": [{
        "Effect": "Allow", "Principal": {"Service": "ses.amazonaws.com"}, "Action": "sns:Publish", "Resource": topic,
    }]}))
    create(**at, EventDestination=destination(topic))
    refused(ses, "AlreadyExistsException", 400, create, **at, EventDestination=destination(topic))
    none = {**at, "ConfigurationSetName": "none"}
    refused(ses, "NotFoundException", 404, create, **none, EventDestination=destination(topic))
    update(**at, EventDestination=destination(topic, Enabled=False))
    for changes in ({"MatchingEventTypes": ["WHIM"]}, {"SnsDestination": {"TopicArn": topic + "x"}}):
        refused(ses, "BadRequestException", 400, update, **at, EventDestination=destination(topic, **changes))
    for elsewhere in (none, {**at, "EventDestinationName": "none"}):
        refused(ses, "NotFoundException", 404, update, **elsewhere, EventDestination=destination(topic))
        refused(ses, "NotFoundException", 404, delete, **elsewhere)
    found = ses.get_configuration_set_event_destinations(ConfigurationSetName="publishing")["EventDestinations"]
    assert [one["Enabled"] for one in found] == [False] and found[0]["SnsDestination"]["TopicArn"] == topic
    refused(ses, "NotFoundException", 404, ses.get_configuration_set_event_destinations, ConfigurationSetName="none")
    for i in range(9):
        create(ConfigurationSetName="publishing", EventDestinationName=f"another{i}", EventDestination=destination(topic))
    refused(
        ses, "LimitExceededException", 400, create,
        ConfigurationSetName="publishing", EventDestinationName="beyond", EventDestination=destination(topic),
    )
    delete(**at)


# Tenants


@check
def tenants(ses, world):
    domain, tenant = verified(ses), name()
    made = ses.create_tenant(TenantName=tenant)
    assert made["TenantName"] == tenant and made["SendingStatus"] == "ENABLED"
    assert ses.get_tenant(TenantName=tenant)["Tenant"]["TenantArn"] == made["TenantArn"]
    assert tenant in [one["TenantName"] for one in ses.list_tenants(PageSize=1000)["Tenants"]]
    refused(ses, "BadRequestException", 400, ses.send_email, TenantName=tenant, **email(domain))
    identity = made["TenantArn"].split(":tenant/")[0] + ":identity/" + domain
    ses.create_tenant_resource_association(TenantName=tenant, ResourceArn=identity)
    assert ses.send_email(TenantName=tenant, **email(domain))["MessageId"]
    refused(ses, "AlreadyExistsException", 400, ses.create_tenant_resource_association, TenantName=tenant, ResourceArn=identity)


@check
def tenants_refused(ses, world):
    tenant = name()
    refused(ses, "NotFoundException", 404, ses.get_tenant, TenantName=tenant)
    refused(ses, "NotFoundException", 404, ses.send_email, TenantName=tenant, **email(verified(ses)))
    refused(ses, "BadRequestException", 400, ses.create_tenant, TenantName="two words")
    refused(ses, "BadRequestException", 400, ses.list_tenants, NextToken="?")
    ses.create_tenant(TenantName=tenant)
    refused(ses, "AlreadyExistsException", 400, ses.create_tenant, TenantName=tenant)
    arn = "arn:aws:ses:us-east-1:000000000000:identity/absent.example"
    refused(ses, "NotFoundException", 404, ses.create_tenant_resource_association, TenantName=tenant, ResourceArn=arn)
    refused(ses, "NotFoundException", 404, ses.create_tenant_resource_association, TenantName=name(), ResourceArn=arn)
