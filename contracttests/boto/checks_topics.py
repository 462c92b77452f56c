"""Checks of the simulated SNS, SQS and STS: every operation, and every error that it gives."""

import json

from simulator import ACCOUNT, REGION, SIGNED, name, refused, refused_with

checks = []


def check(function):
    checks.append(function)
    return function


def topic(world):
    return world.sns.create_topic(Name=name())["TopicArn"]


def queue(world, **attributes):
    url = world.sqs.create_queue(QueueName=name("q"), Attributes=attributes)["QueueUrl"]
    return url, world.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def missing(arn):
    return arn + "x"


# STS


@check
def get_caller_identity(world):
    answer = world.sts.get_caller_identity()
    assert answer["Account"] == ACCOUNT and answer["Arn"].startswith("arn:aws:iam::")


# SNS


@check
def create_topic(world):
    called = name()
    arn = world.sns.create_topic(Name=called, Attributes={"SignatureVersion": "2"})["TopicArn"]
    assert arn == f"arn:aws:sns:{REGION}:{ACCOUNT}:{called}"
    assert world.sns.create_topic(Name=called)["TopicArn"] == arn
    refused(world.sns, "InvalidParameterException", 400, world.sns.create_topic, Name="not a name")
    refused(world.sns, "InvalidParameterException", 400, world.sns.create_topic, Name=name(), Attributes={"Whim": "1"})


@check
def topic_attributes(world):
    arn = topic(world)
    world.sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="Events")
    attributes = world.sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert attributes["DisplayName"] == "Events" and attributes["Owner"] == ACCOUNT and attributes["TopicArn"] == arn
    for what, value in (("Whim", "1"), ("Policy", "no policy"), ("SignatureVersion", "3")):
        refused(
            world.sns, "InvalidParameterException", 400, world.sns.set_topic_attributes,
            TopicArn=arn, AttributeName=what, AttributeValue=value,
        )
    refused(
        world.sns, "NotFoundException", 404, world.sns.set_topic_attributes,
        TopicArn=missing(arn), AttributeName="DisplayName", AttributeValue="x",
    )
    refused(world.sns, "NotFoundException", 404, world.sns.get_topic_attributes, TopicArn=missing(arn))
    refused(world.sns, "InvalidParameterException", 400, world.sns.get_topic_attributes, TopicArn="no ARN")


@check
def subscribe(world):
    arn, (_, queue_arn) = topic(world), queue(world)
    subscription = world.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)["SubscriptionArn"]
    assert subscription.startswith(arn + ":")
    pending = world.sns.subscribe(TopicArn=arn, Protocol="http", Endpoint="http://127.0.0.1:1/x")["SubscriptionArn"]
    assert pending == "pending confirmation"
    listed = world.sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    assert {one["SubscriptionArn"] for one in listed} == {subscription, "PendingConfirmation"}
    refused(world.sns, "NotFoundException", 404, world.sns.subscribe, TopicArn=missing(arn), Protocol="sqs", Endpoint=queue_arn)
    for wrong in (
        {"Protocol": "whim", "Endpoint": "x"}, {"Protocol": "https", "Endpoint": "http://127.0.0.1:1/x"},
        {"Protocol": "sqs", "Endpoint": missing(queue_arn)},
        {"Protocol": "sqs", "Endpoint": queue_arn, "Attributes": {"Whim": "1"}},
    ):
        refused(world.sns, "InvalidParameterException", 400, world.sns.subscribe, TopicArn=arn, **wrong)


@check
def list_subscriptions_in_pages(world):
    arn = topic(world)
    for i in range(101):
        world.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue(world)[1])
    first = world.sns.list_subscriptions_by_topic(TopicArn=arn)
    rest = world.sns.list_subscriptions_by_topic(TopicArn=arn, NextToken=first["NextToken"])
    assert len(first["Subscriptions"]) == 100 and len(rest["Subscriptions"]) == 1 and "NextToken" not in rest
    refused(world.sns, "NotFoundException", 404, world.sns.list_subscriptions_by_topic, TopicArn=missing(arn))
    refused(world.sns, "InvalidParameterException", 400, world.sns.list_subscriptions_by_topic, TopicArn=arn, NextToken="?")


@check
def subscription_attributes(world):
    arn, (_, queue_arn), (_, dead_arn) = topic(world), queue(world), queue(world)
    subscription = world.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)["SubscriptionArn"]
    change = lambda what, value, of=subscription: dict(SubscriptionArn=of, AttributeName=what, AttributeValue=value)
    world.sns.set_subscription_attributes(**change("RedrivePolicy", json.dumps({"deadLetterTargetArn": dead_arn})))
    world.sns.set_subscription_attributes(**change("RawMessageDelivery", "true"))
    attributes = world.sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"] == dead_arn and attributes["RawMessageDelivery"] == "true"
    assert attributes["TopicArn"] == arn and attributes["PendingConfirmation"] == "false"
    longest = {"minDelayTarget": 60, "maxDelayTarget": 60, "numRetries": 60, "numMinDelayRetries": 60}
    world.sns.set_subscription_attributes(**change("DeliveryPolicy", json.dumps({"healthyRetryPolicy": longest})))
    for what, value in (
        ("Whim", "1"), ("RawMessageDelivery", "maybe"), ("RedrivePolicy", "{"),
        ("RedrivePolicy", json.dumps({"deadLetterTargetArn": dead_arn.replace(REGION, "eu-west-1")})), ("DeliveryPolicy", "{"),
        ("DeliveryPolicy", json.dumps({"healthyRetryPolicy": {**longest, "numRetries": 61}})),
        ("DeliveryPolicy", json.dumps({"healthyRetryPolicy": {**longest, "numRetries": 101}})),
        ("DeliveryPolicy", json.dumps({"healthyRetryPolicy": {**longest, "minDelayTarget": 61}})),
    ):
        refused(world.sns, "InvalidParameterException", 400, world.sns.set_subscription_attributes, **change(what, value))
    gone = missing(subscription)
    refused(world.sns, "NotFoundException", 404, world.sns.set_subscription_attributes, **change("RawMessageDelivery", "true", gone))
    refused(world.sns, "NotFoundException", 404, world.sns.get_subscription_attributes, SubscriptionArn=gone)


# SQS


@check
def create_queue(world):
    called = name("q")
    made = world.sqs.create_queue(QueueName=called, Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    assert world.sqs.get_queue_url(QueueName=called)["QueueUrl"] == made
    assert world.sqs.create_queue(QueueName=called)["QueueUrl"] == made
    refused(world.sqs, "QueueNameExists", 400, world.sqs.create_queue, QueueName=called, Attributes={"VisibilityTimeout": "61"})
    refused(world.sqs, "InvalidAttributeName", 400, world.sqs.create_queue, QueueName=name("q"), Attributes={"Whim": "1"})
    for attributes in (
        {"VisibilityTimeout": "43201"}, {"MessageRetentionPeriod": "59"}, {"ReceiveMessageWaitTimeSeconds": "21"},
        {"RedrivePolicy": json.dumps({"deadLetterTargetArn": "arn:aws:sqs:x", "maxReceiveCount": 1001})}, {"Policy": "{"},
    ):
        refused(world.sqs, "InvalidAttributeValue", 400, world.sqs.create_queue, QueueName=name("q"), Attributes=attributes)
    refused_with(world.sqs, "InvalidParameterValue", world.sqs.create_queue, QueueName="not a name")
    refused(world.sqs, "QueueDoesNotExist", 400, world.sqs.get_queue_url, QueueName="none")


@check
def queue_attributes(world):
    url, arn = queue(world)
    world.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "61"})
    attributes = world.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["QueueArn"] == arn and attributes["VisibilityTimeout"] == "61"
    assert attributes["ApproximateNumberOfMessages"] == "0"
    refused(world.sqs, "InvalidAttributeName", 400, world.sqs.get_queue_attributes, QueueUrl=url, AttributeNames=["Whim"])
    refused(world.sqs, "InvalidAttributeName", 400, world.sqs.set_queue_attributes, QueueUrl=url, Attributes={"Whim": "1"})
    refused(world.sqs, "InvalidAttributeValue", 400, world.sqs.set_queue_attributes, QueueUrl=url, Attributes={"DelaySeconds": "x"})
    gone = missing(url)
    refused(world.sqs, "QueueDoesNotExist", 400, world.sqs.get_queue_attributes, QueueUrl=gone, AttributeNames=["All"])
    refused(world.sqs, "QueueDoesNotExist", 400, world.sqs.set_queue_attributes, QueueUrl=gone, Attributes={})


def filled(world, texts):
    """A queue with messages that came through a topic. It hides nothing that is received."""
    arn, (url, queue_arn) = topic(world), queue(world)
    world.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [{
        "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": queue_arn,
    }]})})
    world.sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)
    for text in texts:
        world.simulator.control("POST", "publish", {"topic": arn, "text": text})
    return url


def received(world, url, count):
    messages = []
    while len(messages) < count:
        messages += world.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=10, MessageSystemAttributeNames=["All"]
        )["Messages"]
    return messages


@check
def receive_and_delete(world):
    url = filled(world, ["one", "two", "three"])
    messages = received(world, url, 3)
    assert {json.loads(one["Body"])["Message"] for one in messages} == {"one", "two", "three"}
    assert messages[0]["Attributes"]["ApproximateReceiveCount"] == "1"
    assert "Messages" not in world.sqs.receive_message(QueueUrl=url)
    world.sqs.delete_message(QueueUrl=url, ReceiptHandle=messages[0]["ReceiptHandle"])
    entries = [{"Id": f"e{i}", "ReceiptHandle": one["ReceiptHandle"]} for i, one in enumerate(messages[1:])]
    answer = world.sqs.delete_message_batch(QueueUrl=url, Entries=entries + [{"Id": "no", "ReceiptHandle": "no handle"}])
    assert {one["Id"] for one in answer["Successful"]} == {"e0", "e1"}
    assert answer["Failed"][0]["Id"] == "no" and answer["Failed"][0]["SenderFault"] is True
    left = world.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    assert left == {"ApproximateNumberOfMessages": "0"}


@check
def receive_and_delete_refusals(world):
    url, _ = queue(world)
    for wrong in ({"MaxNumberOfMessages": 11}, {"WaitTimeSeconds": 21}, {"VisibilityTimeout": 43201}):
        refused_with(world.sqs, "InvalidParameterValue", world.sqs.receive_message, QueueUrl=url, **wrong)
    refused(world.sqs, "ReceiptHandleIsInvalid", 400, world.sqs.delete_message, QueueUrl=url, ReceiptHandle="no handle")
    entry = {"Id": "a", "ReceiptHandle": "x"}
    for error, entries in (
        ("EmptyBatchRequest", []), ("TooManyEntriesInBatchRequest", [{**entry, "Id": str(i)} for i in range(11)]),
        ("BatchEntryIdsNotDistinct", [entry, entry]), ("InvalidBatchEntryId", [{**entry, "Id": "no id"}]),
    ):
        refused(world.sqs, error, 400, world.sqs.delete_message_batch, QueueUrl=url, Entries=entries)
    gone = missing(url)
    refused(world.sqs, "QueueDoesNotExist", 400, world.sqs.receive_message, QueueUrl=gone)
    refused(world.sqs, "QueueDoesNotExist", 400, world.sqs.delete_message, QueueUrl=gone, ReceiptHandle="x")
    refused(world.sqs, "QueueDoesNotExist", 400, world.sqs.delete_message_batch, QueueUrl=gone, Entries=[entry])


# What the SDKs do not send by themselves


@check
def unknown_actions(world):
    for service, method, body, headers, status in (
        ("sns", "CreateTopic", b"Action=Whim&Version=2010-03-31", {}, 400),
        ("sts", "GetCallerIdentity", b"Action=Whim&Version=2011-06-15", {}, 400),
        ("sqs", "CreateQueue", b"{}", {"X-Amz-Target": "AmazonSQS.Whim"}, 404),
        ("sqs", "CreateQueue", b"{", {"X-Amz-Target": "AmazonSQS.CreateQueue"}, 400),
        ("sns", "CreateTopic", b"Action=%zz&Version=2010-03-31", {}, 404),
    ):
        model = getattr(world, service).meta.service_model.operation_model(method)
        got = world.recorder.raw(world.simulator.url, model, "POST", "/", body, Authorization=SIGNED, **headers)
        assert got == status, (service, body, got)
