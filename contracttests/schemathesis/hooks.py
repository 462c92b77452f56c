"""What the schemas of the document leave to prose, told to Schemathesis.

- formats: generators for the formats of our own
- complete: a positive case is given what no schema can say: a verified domain, a body, a time to come
- sent, delivery, KEPT: there is a message to read, a delivery to replay, a suppressed address, so that links of lists lead on
- spare: the run does not delete what it lives on: its key, its domain, and the first of everything else
- make_room: the limits of an organization do not end the positive cases
- judges_items, batch_items: an exception, and the stricter check that stands in its place
- revoked: the other exception, a revoked key, which can be read
"""

import os
import re
import string
from datetime import datetime, timedelta, timezone
from random import Random
from uuid import uuid4

import jsonschema_rs
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import EnsureResourceAvailability, UseAfterFree

# The domain that `mailstack dev` has verified.
VERIFIED = "mail.test"
LIMIT = 60  # seconds for a request of our own

caller = requests.Session()
caller.headers["Authorization"] = "Bearer " + os.environ["MAILSTACK_API_KEY"]
url = os.environ["MAILSTACK_URL"]


def listed(path):
    answer = caller.get(url + path, timeout=LIMIT)
    answer.raise_for_status()
    return answer.json()


# Generators. They stay within what every mail system takes: the edges of the grammars of mail are the business of the
# tests of impl/mail. Each draws a single number: Schemathesis draws thousands of values to find one of a certain length.

LOWER, DIGITS = string.ascii_lowercase, string.digits
# Without the percent sign: of a value that a link carries into a path, Schemathesis takes "%e9" for an escaped byte, and asks
# for another address.
ATOM = string.ascii_letters + DIGITS + "!#$&'*+/=?^_`{|}~-"


def drawn(make):
    return st.integers(0, 2**32).map(lambda number: make(Random(number)))


def word(random, letters, longest):
    return "".join(random.choices(letters, k=random.randint(1, longest)))


def label(random):
    return word(random, LOWER + DIGITS, 22)


def domain(random):
    return ".".join([label(random) for _ in range(random.randint(1, 2))] + ["test"])


def address(random):
    return word(random, ATOM, 32) + "@" + domain(random)


def sender(random):
    return word(random, ATOM, 32) + "@" + random.choice(["", label(random) + "."]) + VERIFIED


def element(random):
    return random.choice([
        address(random),
        f"{word(random, string.ascii_letters, 20)} <{address(random)}>",
        f'"{word(random, string.ascii_letters + ",;@ ", 20)}" <{address(random)}>',
    ])


def addresses(random):
    # A message has at most 50 recipients, in three fields.
    return random.choice([",", ";", ", ", " ; "]).join(element(random) for _ in range(random.randint(1, 16)))


def tags(random):
    return ",".join(word(random, string.ascii_letters + DIGITS + "_.-", 64) for _ in range(random.randint(1, 10)))


def time_to_come(random):
    return (datetime(2090, 1, 1) + timedelta(seconds=random.randint(0, 10**8))).isoformat() + "Z"


schemathesis.openapi.format("mailbox", drawn(sender))
schemathesis.openapi.format("mailbox-list", drawn(addresses))
schemathesis.openapi.format("tag-list", drawn(tags))
schemathesis.openapi.format("sending-domain", drawn(domain))
schemathesis.openapi.format("dns-label", drawn(label))
# The only time in a request is when a key expires.
schemathesis.openapi.format("date-time", drawn(time_to_come))

# What the generators make. Schemathesis also makes strings of its own, from the lengths alone.
ATOMS = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,32}"
MAILBOX = rf"{ATOMS}@([a-z0-9]{{1,22}}\.)+[a-z]{{2,22}}"
ELEMENT = rf'({MAILBOX}|[A-Za-z]+ <{MAILBOX}>|"[A-Za-z,;@ ]+" <{MAILBOX}>)'
A_SENDER = re.compile(rf"{ATOMS}@([a-z0-9]{{1,22}}\.)?{re.escape(VERIFIED)}")
A_LIST = re.compile(rf"{ELEMENT}( ?[,;] ?{ELEMENT}){{0,15}}")
TAGS = re.compile(r"[A-Za-z0-9_.-]{1,64}(,[A-Za-z0-9_.-]{1,64}){0,9}")
A_DOMAIN = re.compile(r"([a-z0-9]{1,22}\.){1,2}test|yourdomain\.com")


def replace(body, member, pattern, value):
    if isinstance(body.get(member), str) and not pattern.fullmatch(body[member]):
        body[member] = value


def complete_email(body):
    replace(body, "from", A_SENDER, "hello@" + VERIFIED)
    for member in ("to", "cc", "bcc", "replyTo"):
        replace(body, member, A_LIST, "user@example.com")
    replace(body, "tags", TAGS, "welcome")
    # An id that is made up names no published template.
    body.pop("templateId", None)
    if not body.get("html") and not body.get("text"):
        body["text"] = "Hi"
    # With variables, braces are a template, and this one is not well-formed or lacks a value.
    braces = any("{{" in (body.get(member) or "") for member in ("subject", "html", "text"))
    if braces or body.get("variables") and not renders(body["variables"]):
        body.pop("variables", None)


def renders(value, depth=1):
    """Whether variables are what the description of `variables` says."""
    match value:
        case str():
            return not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", value)
        case bool() | None:
            return True
        case int() | float():
            return abs(value) < 2**53
        case list():
            return depth <= 8 and all(renders(inner, depth + 1) for inner in value)
        case dict():
            return depth <= 8 and all(is_name(name) and renders(inner, depth + 1) for name, inner in value.items())


def is_name(text):
    return 1 <= len(text.encode()) <= 200 and not re.search(r"[\x00-\x1f\x7f]", text)


def complete_domain(body):
    replace(body, "domain", A_DOMAIN, f"d{uuid4().hex[:20]}.test")


def complete_key(body):
    if body.get("expiresAt") and body["expiresAt"] < datetime.now(timezone.utc).isoformat():
        body["expiresAt"] = "2099-01-01T00:00:00Z"


def complete_suppressions(body):
    body["addresses"] = [one if re.fullmatch(MAILBOX, one) else "user@example.com" for one in body["addresses"]]


def complete_template(body):
    # What is made up between braces is hardly ever a tag, and a template without a body is none.
    for member in ("subject", "html", "text"):
        if "{{" in (body.get(member) or ""):
            body[member] = "Hi {{name}}"
    if "html" in body and not body["html"] or "text" in body and not body["text"] or "name" in body and not body.get("html"):
        body["text"] = body.get("text") or "Hi"


def complete_preview(body):
    # The template that is there has one version.
    body.pop("version", None)
    if body.get("variables") and not renders(body["variables"]):
        body.pop("variables")


def complete_query(operation, query, follows):
    # A cursor that is made up is none, and a list takes one filter; a filter that is made up leaves no item to follow.
    query.pop("cursor", None)
    if follows and operation in ("GET /v1/emails", "GET /v1/suppressions"):
        for name in [name for name in query if name != "limit"]:
            query.pop(name)
    if operation == "GET /v1/emails":
        for name in [name for name in ("status", "to", "from", "tag") if name in query][1:]:
            query.pop(name)
    for name in ("to", "from", "address"):
        replace(query, name, re.compile(MAILBOX), "user@example.com")


CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def without_controls(value):
    """Texts without the characters that the document refuses in words. Variables have rules of their own."""
    match value:
        case str():
            return CONTROLS.sub("_", value)
        case list():
            return [without_controls(inner) for inner in value]
        case dict():
            return {name: inner if name == "variables" else without_controls(inner) for name, inner in value.items()}
        case _:
            return value


def complete(operation, body):
    body.update(without_controls(body))
    if isinstance(body.get("name"), str) and not body["name"].strip():
        body["name"] = "not blank"
    match operation:
        case "POST /v1/suppressions":
            complete_suppressions(body)
        case "POST /v1/templates" | "PATCH /v1/templates/{id}":
            complete_template(body)
        case "POST /v1/templates/{id}/preview":
            complete_preview(body)
        case "POST /v1/emails":
            complete_email(body)
        case "POST /v1/emails/batch":
            for item in body["emails"]:
                complete_email(item)
        case "POST /v1/domains":
            complete_domain(body)
        case "POST /v1/api-keys":
            complete_key(body)


def positive(case):
    return case.meta is not None and case.meta.generation.mode.is_positive


def send():
    email = {"from": "hello@" + VERIFIED, "to": "user@example.com", "subject": "Welcome", "text": "Hi"}
    answer = caller.post(url + "/v1/emails", json=email, timeout=LIMIT)
    answer.raise_for_status()
    return answer.json()["id"]


def deliver():
    """The path of a delivery. The links to one begin at a webhook, and an id that is made up names none."""
    webhook = {"url": f"https://hooks.{VERIFIED}/events", "events": ["email.bounced"]}
    answer = caller.post(url + "/v1/webhooks", json=webhook, timeout=LIMIT)
    answer.raise_for_status()
    test = caller.post(f"{url}/v1/webhooks/{answer.json()['id']}/test", timeout=LIMIT)
    test.raise_for_status()
    return {"id": answer.json()["id"], "deliveryId": test.json()["id"]}


def suppress(address):
    caller.post(url + "/v1/suppressions", json={"addresses": [address]}, timeout=LIMIT).raise_for_status()


def compose():
    answer = caller.post(url + "/v1/templates", json={"name": "Kept", "subject": "Welcome", "text": "Hi"}, timeout=LIMIT)
    answer.raise_for_status()
    return answer.json()["id"]


REPLAY = "POST /v1/webhooks/{id}/deliveries/{deliveryId}/replay"
KEPT = "kept@example.com"
sent = send()
delivery = deliver()
suppress(KEPT)
template = compose()

# The run lives on this key, on this domain, and on what was just made.
spared = {one["id"] for path in ("/v1/api-keys", "/v1/domains") for one in listed(path)} | {delivery["id"], template, KEPT}
stand_ins = set()


def named(case):
    """The id or address in the path."""
    return case.path_parameters.get("id") or case.path_parameters.get("address")


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.method.upper() == "DELETE" and named(case) in spared:
        stand_in = {"id": str(uuid4())} if "id" in case.path_parameters else {"address": uuid4().hex + "@example.com"}
        case.path_parameters.update(stand_in)
        stand_ins.update(stand_in.values())
    if not positive(case):
        return
    if isinstance(case.body, dict):
        complete(case.operation.label, case.body)
    if case.headers and "Idempotency-Key" in case.headers:
        # A key that came with another request before is refused, and one with the same replays what may be gone since.
        case.headers["Idempotency-Key"] = (case.headers["Idempotency-Key"] + uuid4().hex)[-255:]
    if isinstance(case.query, dict):
        complete_query(case.operation.label, case.query, case.meta.phase.name == "stateful")
    # A link from a member that is null leads nowhere.
    if case.path_parameters.get("id") in (None, "None") and "{id}" in case.operation.path:
        case.path_parameters["id"] = sent if case.operation.path.startswith("/v1/emails/") else str(uuid4())
        stand_ins.add(case.path_parameters["id"])
    if case.operation.label == "GET /v1/emails/{id}" and case.meta.phase.name != "stateful":
        # Half of the ids that are made up name a message.
        if case.path_parameters["id"][-1] in "02468ace":
            case.path_parameters["id"] = sent
    if case.operation.label == REPLAY and case.meta.phase.name != "stateful" and case.path_parameters["deliveryId"][-1] in "02468ace":
        case.path_parameters.update(delivery)
    if case.operation.label == "GET /v1/webhooks/{id}/deliveries" and case.meta.phase.name == "stateful":
        # To a webhook that was just made nothing was posted.
        case.path_parameters["id"] = delivery["id"]


@schemathesis.hook
def after_call(context, case, response):
    """make_room: of as many domains, keys or webhooks as there may be, the older half goes."""
    if response.status_code != 409 or not response.json()["code"].endswith("-limit-reached"):
        return
    path = case.operation.path
    found = listed(path)
    found = found["data"] if isinstance(found, dict) else found
    active = [one for one in found if one.get("isActive", True) and one["id"] not in spared]
    for one in active[len(active) // 2 :]:
        caller.delete(f"{url}{path}/{one['id']}", timeout=LIMIT).raise_for_status()


BATCH = "POST /v1/emails/batch"


def is_envelope(body):
    return isinstance(body, dict) and list(body) == ["emails"] and isinstance(body["emails"], list) and 1 <= len(body["emails"]) <= 100


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """judges_items: a batch whose envelope is right is answered 202 whatever its items are; each is judged by itself,
    as the document says. batch_items looks at them instead. revoked: a revoked key stays readable for 90 days, and says
    so. And an id that stands in for a spared one is not there."""
    if isinstance(failure, AcceptedNegativeData):
        return not (case.operation.label == BATCH and response.status_code == 202 and is_envelope(case.body))
    if isinstance(failure, EnsureResourceAvailability):
        return named(case) not in stand_ins
    if isinstance(failure, UseAfterFree) and case.operation.label == "GET /v1/api-keys/{id}":
        return not response.json()["revokedAt"]
    return True


def item_schema(document):
    """The schema of an email in the words of JSON Schema, without the formats."""
    schema = {**document["components"]["schemas"]["SendEmailRequest"]}
    schema["properties"] = {
        member: {
            **{word: value for word, value in rules.items() if word not in ("nullable", "format", "example")},
            "type": [rules["type"], "null"] if rules.get("nullable") else rules["type"],
        }
        for member, rules in schema["properties"].items()
    }
    return jsonschema_rs.Draft202012Validator(schema)


@schemathesis.check
def batch_items(ctx, response, case):
    """Every item that breaks its schema is rejected with a reason, and no item of a positive case is."""
    if case.operation.label != BATCH or response.status_code != 202:
        return
    answer = response.json()
    results = answer["results"]
    assert [one["index"] for one in results] == list(range(len(case.body["emails"]))), "not one result per item, in order"
    assert answer["rejected"] == sum(one["status"] == "rejected" for one in results), "rejected items are counted wrongly"
    schema = item_schema(case.operation.schema.raw_schema)
    for item, result in zip(case.body["emails"], results):
        if not schema.is_valid(item):
            assert result["status"] == "rejected" and result["code"] and result["error"], f"took an item that breaks the schema: {item}"
        if positive(case):
            assert result["status"] == "queued" and result["id"], f"rejected a valid item: {result}"
