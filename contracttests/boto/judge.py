"""Holds answers and errors against AWS's own models of its services, which botocore ships.

A difference is: a member that the model does not have, a required member that is missing, a value of another type, a value
outside its enum, length or pattern, a key of a map that AWS does not document, an error that the operation does not declare,
another HTTP status than the model's, or a form (headers, elements, namespace) that the protocol does not have.

What the models do not say is in the tables below, with AWS's page beside it.
"""

import base64
import binascii
import json
import re
import xml.etree.ElementTree as ElementTree

# Errors of every operation. The first group is AWS's current list, the second the list of the older query protocol, which the
# pages of SNS, SQS and STS still have.
# https://docs.aws.amazon.com/awsconsolehelpdocs/latest/gsg/common-errors.html
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/CommonErrors.html
COMMON = {
    "AccessDeniedException": 403, "ExpiredTokenException": 403, "IncompleteSignature": 403, "InternalFailure": 500,
    "MalformedHttpRequestException": 400, "NotAuthorized": 401, "OptInRequired": 403, "RequestAbortedException": 400,
    "RequestEntityTooLargeException": 413, "RequestExpired": 400, "RequestTimeoutException": 408, "ServiceUnavailable": 503,
    "ThrottlingException": 400, "UnknownOperationException": 404, "UnrecognizedClientException": 403, "ValidationError": 400,
    "InvalidAction": 400, "InvalidClientTokenId": 403, "InvalidParameterCombination": 400, "InvalidParameterValue": 400,
    "InvalidQueryParameter": 400, "MalformedQueryString": 404, "MissingAction": 400, "MissingAuthenticationToken": 403,
    "MissingParameter": 400,
}
# SQS answers in JSON and names its older code in a header, where it has another name.
# https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#aws-protocols-awsquerycompatible-trait
OLDER_CODES = {
    "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue", "QueueNameExists": "QueueAlreadyExists",
    **{name: "AWS.SimpleQueueService." + name for name in (
        "BatchEntryIdsNotDistinct", "BatchRequestTooLong", "EmptyBatchRequest", "InvalidBatchEntryId", "QueueDeletedRecently",
        "TooManyEntriesInBatchRequest", "UnsupportedOperation")},
}
REQUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def documented_keys(shape):
    """The keys that AWS documents for a map of attributes: its enum, or what its description marks as names."""
    if shape.key.enum:
        return set(shape.key.enum)
    return set(re.findall(r"<li>\s*<p>\s*<code>([A-Z][A-Za-z]+)</code>", shape.documentation))


class Scalars:
    """Values without parts, in JSON or as the text of an element."""

    def scalar(self, shape, value, where):
        kind = shape.type_name
        if kind == "boolean":
            return [] if isinstance(value, bool) else [f"{where}: {value!r} is no boolean"]
        if kind in ("integer", "long"):
            return [] if isinstance(value, int) and not isinstance(value, bool) else [f"{where}: {value!r} is no integer"]
        if kind in ("double", "float", "timestamp"):  # a time in JSON is the seconds since 1970
            ok = isinstance(value, (int, float)) and not isinstance(value, bool)
            return [] if ok else [f"{where}: {value!r} is no number"]
        if not isinstance(value, str):
            return [f"{where}: {value!r} is no {kind}"]
        if kind == "blob":
            try:
                base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                return [f"{where}: it is not base64"]
            return []
        return self.string(shape, value, where)

    def string(self, shape, value, where):
        if shape.enum and value not in shape.enum:
            return [f"{where}: {value!r} is none of {shape.enum}"]
        least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
        if len(value) < least or most is not None and len(value) > most:
            return [f"{where}: {len(value)} characters are not {least} to {most}"]
        pattern = shape.metadata.get("pattern")
        if pattern and not re.search(pattern, value):
            return [f"{where}: {value!r} does not match {pattern}"]
        return []

    def keys(self, shape, keys, where):
        known = documented_keys(shape)
        return [f"{where}: no such key is documented: {key}" for key in keys if known and key not in known]


class JSONBody(Scalars):
    def holds(self, shape, value, where):
        if value is None:
            return [f"{where}: null"]
        kind = shape.type_name
        if kind == "structure":
            return self.structure(shape, value, where)
        if kind == "list":
            if not isinstance(value, list):
                return [f"{where}: {value!r} is no list"]
            return [d for i, one in enumerate(value) for d in self.holds(shape.member, one, f"{where}[{i}]")]
        if kind == "map":
            if not isinstance(value, dict):
                return [f"{where}: {value!r} is no map"]
            found = self.keys(shape, value, where)
            return found + [d for key, one in value.items() for d in self.holds(shape.value, one, f"{where}.{key}")]
        return self.scalar(shape, value, where)

    def structure(self, shape, value, where):
        if not isinstance(value, dict):
            return [f"{where}: {value!r} is no structure"]
        members = {
            member.serialization.get("name", name): member for name, member in shape.members.items()
            if "location" not in member.serialization
        }
        found = [f"{where}: the model has no member {name}" for name in value if name not in members]
        found += [f"{where}: {name} is required" for name in shape.required_members if name not in value]
        return found + [d for name in value if name in members for d in self.holds(members[name], value[name], f"{where}.{name}")]


class XMLBody(Scalars):
    """Elements of the query protocol. https://smithy.io/2.0/aws/protocols/aws-query-protocol.html"""

    def __init__(self, namespace):
        self.prefix = "{" + namespace + "}"

    def named(self, element):
        return element.tag[len(self.prefix):] if element.tag.startswith(self.prefix) else "another namespace's " + element.tag

    def only(self, parent, names, where):
        """The children by name, each exactly once."""
        children = {}
        found = []
        for child in parent:
            if self.named(child) not in names or self.named(child) in children:
                found.append(f"{where}: unexpected {self.named(child)}")
            children.setdefault(self.named(child), child)
        found += [f"{where}: no {name}" for name in names if name not in children]
        return children, found

    def holds(self, shape, element, where):
        kind = shape.type_name
        if kind == "structure":
            return self.structure(shape, element, where)
        if kind == "list":
            wanted = shape.member.serialization.get("name", "member")
            found = [f"{where}: unexpected {self.named(one)}" for one in element if self.named(one) != wanted]
            return found + [d for one in element for d in self.holds(shape.member, one, where + "[]")]
        if kind == "map":
            return self.map(shape, element, where)
        if len(element):
            return [f"{where}: elements instead of a {kind}"]
        text = element.text or ""
        if kind in ("string", "blob"):
            return self.scalar(shape, text, where)
        try:
            return self.scalar(shape, json.loads(text), where)
        except ValueError:
            return [f"{where}: {text!r} is no {kind}"]

    def structure(self, shape, element, where):
        members = {member.serialization.get("name", name): member for name, member in shape.members.items()}
        names = [self.named(child) for child in element]
        found = [f"{where}: the model has no member {name}" for name in names if name not in members]
        found += [f"{where}: {name} is required" for name in shape.required_members if name not in names]
        for child in element:
            if self.named(child) in members:
                found += self.holds(members[self.named(child)], child, f"{where}.{self.named(child)}")
        return found

    def map(self, shape, element, where):
        found, keys = [], []
        for entry in element:
            if self.named(entry) != "entry":
                found.append(f"{where}: unexpected {self.named(entry)}")
                continue
            parts, wrong = self.only(entry, ["key", "value"], where + ".entry")
            found += wrong
            if not wrong:
                keys.append(parts["key"].text or "")
                found += self.holds(shape.value, parts["value"], f"{where}.{keys[-1]}")
        return found + self.keys(shape, keys, where)


def judge(operation, status, headers, body):
    """The differences between an HTTP response and the model of its operation."""
    protocol = operation.service_model.metadata["protocol"]
    headers = {name.lower(): value for name, value in headers.items()}
    return {"rest-json": rest_json, "json": plain_json, "query": query}[protocol](operation, status, headers, body)


def failed(status):
    return status >= 300


def code_of(operation, status, headers, body):
    """The code of an error."""
    if operation.service_model.metadata["protocol"] == "query":
        found = re.search(rb"<Code>([^<]*)</Code>", body)
        return found.group(1).decode() if found else ""
    try:
        return json.loads(body).get("__type", "").rpartition("#")[2]
    except (ValueError, AttributeError):
        return ""


def declared(operation, code, status):
    """Whether the operation has the error, or every operation has it, and with this status."""
    for shape in operation.error_shapes:
        error = shape.metadata.get("error") or {}
        if error.get("code", shape.name) == code:
            # The models of SQS name no status. The protocol then has 400 for an error of the sender.
            wanted = error.get("httpStatusCode", 400)
            return [] if status == wanted else [f"{code}: status {status}, and the model has {wanted}"]
    if code in COMMON:
        return [] if status == COMMON[code] else [f"{code}: status {status}, and AWS documents {COMMON[code]}"]
    return [f"{operation.name} declares no error {code!r}"]


def read_json(body):
    try:
        return json.loads(body), []
    except ValueError:
        return None, ["the body is not JSON"]


def json_answer(operation, status, headers, body, media):
    found = [] if headers.get("content-type") == media else [f"Content-Type is {headers.get('content-type')}"]
    if not REQUEST_ID.fullmatch(headers.get("x-amzn-requestid", "")):
        found.append("no x-amzn-RequestId")
    value, unreadable = read_json(body)
    if unreadable:
        return found + unreadable
    if not failed(status):
        if status != operation.http.get("responseCode", 200):
            found.append(f"status {status}")
        if operation.output_shape is None:
            return found + ([] if value == {} else ["the operation answers nothing"])
        return found + JSONBody().holds(operation.output_shape, value, operation.name)
    if not isinstance(value, dict):
        return found + ["an error is a structure"]
    if set(value) != {"__type", "message"}:
        found.append(f"an error has __type and message, not {sorted(value)}")
    if not value.get("message") or not isinstance(value["message"], str):
        found.append("an error has a message")
    return found + declared(operation, code_of(operation, status, headers, body), status)


def rest_json(operation, status, headers, body):
    """https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html"""
    found = json_answer(operation, status, headers, body, "application/json")
    if failed(status) and headers.get("x-amzn-errortype") != code_of(operation, status, headers, body):
        found.append("X-Amzn-ErrorType is not the code of the body")
    return found


def plain_json(operation, status, headers, body):
    """https://smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html"""
    found = json_answer(operation, status, headers, body, "application/x-amz-json-" + operation.service_model.metadata["jsonVersion"])
    if failed(status) and "awsQueryCompatible" in operation.service_model.metadata:
        code = code_of(operation, status, headers, body)
        wanted = OLDER_CODES.get(code, code) + (";Receiver" if status >= 500 else ";Sender")
        if headers.get("x-amzn-query-error") != wanted:
            found.append(f"x-amzn-query-error is {headers.get('x-amzn-query-error')}, not {wanted}")
    return found


def query(operation, status, headers, body):
    found = [] if headers.get("content-type") == "text/xml" else [f"Content-Type is {headers.get('content-type')}"]
    xml = XMLBody(operation.service_model.metadata["xmlNamespace"])
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError:
        return found + ["the body is not XML"]
    if failed(status):
        return found + query_error(operation, status, xml, root)
    if status != 200:
        found.append(f"status {status}")
    output = operation.output_shape
    names = ["ResponseMetadata"] + ([operation.name + "Result"] if output is not None else [])
    if xml.named(root) != operation.name + "Response":
        found.append(f"the root is {xml.named(root)}")
    parts, wrong = xml.only(root, names, "the response")
    found += wrong
    if "ResponseMetadata" in parts:
        found += request_id(xml, xml.only(parts["ResponseMetadata"], ["RequestId"], "ResponseMetadata"))
    if output is not None and names[1] in parts:
        found += xml.holds(output, parts[names[1]], operation.name)
    return found


def request_id(xml, only):
    parts, found = only
    if "RequestId" in parts and not REQUEST_ID.fullmatch(parts["RequestId"].text or ""):
        found.append("the RequestId is none")
    return found


def query_error(operation, status, xml, root):
    if xml.named(root) != "ErrorResponse":
        return [f"the root of an error is {xml.named(root)}"]
    parts, found = xml.only(root, ["Error", "RequestId"], "ErrorResponse")
    found += request_id(xml, ({"RequestId": parts["RequestId"]}, []) if "RequestId" in parts else ({}, []))
    if "Error" not in parts:
        return found
    error, wrong = xml.only(parts["Error"], ["Type", "Code", "Message"], "Error")
    found += wrong
    if wrong:
        return found
    wanted = "Receiver" if status >= 500 else "Sender"
    if error["Type"].text != wanted:
        found.append(f"Type is {error['Type'].text}, not {wanted}")
    if not error["Message"].text:
        found.append("an error has a message")
    return found + declared(operation, error["Code"].text or "", status)
