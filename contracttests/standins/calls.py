"""The calls that all stand-ins get, in their order: label, service, method, arguments, and what later calls need of the answer."""

EMAIL = {
    "FromEmailAddress": "hello@acme.example",
    "Destination": {"ToAddresses": ["user@example.com"]},
    "Content": {"Simple": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hi"}}}},
}


def email(**changes):
    return {**EMAIL, **changes}


def keep(name, member):
    def store(state, answer):
        state[name] = member(answer)

    return store


def ses(label, method, *, kept=None, **arguments):
    return label, "sesv2", method, lambda state: arguments, kept


def calls():
    yield from identities()
    yield from configuration_sets()
    yield from mail()
    yield from topics()
    yield from queues()
    yield "whose credentials", "sts", "get_caller_identity", lambda state: {}, None


def identities():
    yield ses("create an identity", "create_email_identity", EmailIdentity="acme.example")
    yield ses("create it again", "create_email_identity", EmailIdentity="acme.example")
    yield ses("create an identity that is no name", "create_email_identity", EmailIdentity="-no-name")
    yield ses("read an identity", "get_email_identity", EmailIdentity="acme.example")
    yield ses("read an absent identity", "get_email_identity", EmailIdentity="none.example")
    yield ses("list identities", "list_email_identities", PageSize=10)
    yield ses("list identities from no token", "list_email_identities", NextToken="?")
    yield ses("delete an absent identity", "delete_email_identity", EmailIdentity="none.example")


def configuration_sets():
    yield ses("create a configuration set", "create_configuration_set", ConfigurationSetName="one")
    yield ses("create that set again", "create_configuration_set", ConfigurationSetName="one")
    yield ses("create a set that is no name", "create_configuration_set", ConfigurationSetName="no name")
    yield ses("read a configuration set", "get_configuration_set", ConfigurationSetName="one")
    yield ses("read an absent set", "get_configuration_set", ConfigurationSetName="none")
    yield ses("list configuration sets", "list_configuration_sets")
    yield ses("delete an absent set", "delete_configuration_set", ConfigurationSetName="none")
    yield ses("read the account", "get_account")
    yield ses("suppress an address", "put_suppressed_destination", EmailAddress="a@example.com", Reason="BOUNCE")
    yield ses("read an absent suppression", "get_suppressed_destination", EmailAddress="none@example.com")


def mail():
    yield ses("send", "send_email", **email())
    yield ses("send from an unverified domain", "send_email", **email(FromEmailAddress="me@unknown.example"))
    yield ses("send to no address", "send_email", **email(Destination={"ToAddresses": ["nobody"]}))
    yield ses("send to nobody", "send_email", **email(Destination={}))
    many = [f"user{i}@example.com" for i in range(51)]
    yield ses("send to 51 recipients", "send_email", **email(Destination={"ToAddresses": many}))
    yield ses("send with an invalid tag", "send_email", **email(EmailTags=[{"Name": "no name", "Value": "x"}]))
    yield ses("send with an absent set", "send_email", **email(ConfigurationSetName="none"))


def topics():
    yield "create a topic", "sns", "create_topic", lambda state: {"Name": "one"}, keep("topic", lambda a: a["TopicArn"])
    yield "create a topic that is no name", "sns", "create_topic", lambda state: {"Name": "no name"}, None
    yield "read a topic", "sns", "get_topic_attributes", lambda state: {"TopicArn": state["topic"]}, None
    yield "read an absent topic", "sns", "get_topic_attributes", lambda state: {"TopicArn": state["topic"] + "x"}, None
    for what, name, value in (("an unknown attribute", "Whim", "1"), ("no policy", "Policy", "{"), ("a name", "DisplayName", "x")):
        yield (
            f"give a topic {what}", "sns", "set_topic_attributes",
            lambda state, name=name, value=value: {"TopicArn": state["topic"], "AttributeName": name, "AttributeValue": value}, None,
        )
    yield (
        "subscribe a web server", "sns", "subscribe",
        lambda state: {"TopicArn": state["topic"], "Protocol": "http", "Endpoint": "http://127.0.0.1:1/x"}, None,
    )
    yield (
        "subscribe by no protocol", "sns", "subscribe",
        lambda state: {"TopicArn": state["topic"], "Protocol": "whim", "Endpoint": "x"}, None,
    )
    yield "list subscriptions", "sns", "list_subscriptions_by_topic", lambda state: {"TopicArn": state["topic"]}, None
    yield "list subscriptions of an absent topic", "sns", "list_subscriptions_by_topic", lambda state: {"TopicArn": state["topic"] + "x"}, None
    yield (
        "read an absent subscription", "sns", "get_subscription_attributes",
        lambda state: {"SubscriptionArn": state["topic"] + ":00000000-0000-0000-0000-000000000000"}, None,
    )


def queues():
    def about(label, method, kept=None, gone="", **arguments):
        return label, "sqs", method, lambda state: {"QueueUrl": state["queue"] + gone, **arguments}, kept

    yield "create a queue", "sqs", "create_queue", lambda state: {"QueueName": "one"}, keep("queue", lambda a: a["QueueUrl"])
    yield (
        "create that queue with other attributes", "sqs", "create_queue",
        lambda state: {"QueueName": "one", "Attributes": {"VisibilityTimeout": "61"}}, None,
    )
    for what, attributes in (("an unknown attribute", {"Whim": "1"}), ("a timeout out of range", {"VisibilityTimeout": "43201"})):
        yield (
            f"create a queue with {what}", "sqs", "create_queue",
            lambda state, given=attributes: {"QueueName": "two", "Attributes": given}, None,
        )
    yield "find an absent queue", "sqs", "get_queue_url", lambda state: {"QueueName": "none"}, None
    yield about("read a queue", "get_queue_attributes", AttributeNames=["All"])
    yield about("read an absent queue", "get_queue_attributes", gone="x", AttributeNames=["All"])
    yield about("read an unknown attribute", "get_queue_attributes", AttributeNames=["Whim"])
    yield about("receive nothing", "receive_message")
    yield about("receive eleven", "receive_message", MaxNumberOfMessages=11)
    yield about("receive from an absent queue", "receive_message", gone="x")
    yield about("delete by no handle", "delete_message", ReceiptHandle="none")
    entry = {"Id": "a", "ReceiptHandle": "none"}
    yield about("delete none", "delete_message_batch", Entries=[])
    yield about("delete eleven", "delete_message_batch", Entries=[{**entry, "Id": str(i)} for i in range(11)])
    yield about("delete two of the same id", "delete_message_batch", Entries=[entry, entry])
