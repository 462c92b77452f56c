"""Proof that the judge notices changes: every recorded response is changed in every place, and each change must be noticed.

A judge that passes everything would otherwise look like a simulator without a fault.
"""

import copy
import json
import re

from judge import failed, judge


def places(value, path=()):
    """The paths of all members of structures and maps, and of all items."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield (*path, key)
        yield from places(one, (*path, key))


def at(value, path):
    for key in path:
        value = value[key]
    return value


def changed_json(body):
    """The body with one member renamed, one value of another type, or one null."""
    value = json.loads(body)
    for path in places(value):
        if isinstance(path[-1], str):
            renamed = copy.deepcopy(value)
            parent = at(renamed, path[:-1])
            parent[path[-1] + "x"] = parent.pop(path[-1])
            yield f"rename {path}", renamed
        for what, other in (("another type", 1 if isinstance(at(value, path), (str, bool, list, dict)) else "text"), ("null", None)):
            replaced = copy.deepcopy(value)
            at(replaced, path[:-1])[path[-1]] = other
            yield f"{what} at {path}", replaced
    yield "a member more", {**value, "Whim": "x"}
    yield "a list", [value]


def json_mutations(status, headers, body):
    for what, value in changed_json(body):
        yield what, status, headers, json.dumps(value).encode()
    yield "no JSON", status, headers, body[:-1]
    for name in headers:
        if name.lower() in ("content-type", "x-amzn-requestid", "x-amzn-errortype", "x-amzn-query-error"):
            yield f"without {name}", status, {other: headers[other] for other in headers if other != name}, body


def xml_mutations(status, headers, body):
    text = body.decode()
    for name in sorted(set(re.findall(r"<(\w+)[ >]", text))):
        renamed = re.sub(rf"<(/?){name}([ >])", rf"<\1{name}x\2", text)
        yield f"rename {name}", status, headers, renamed.encode()
    for key in sorted(set(re.findall(r"<key>(\w+)</key>", text))):
        yield f"rename the key {key}", status, headers, text.replace(f"<key>{key}<", f"<key>{key}x<").encode()
    yield "another namespace", status, headers, re.sub(r'xmlns="[^"]*"', 'xmlns="http://example.com/"', text).encode()
    yield "an element more", status, headers, re.sub(r"(</\w+>)$", r"<Whim>x</Whim>\1", text).encode()
    yield "no XML", status, headers, body[:-1]


def responses(protocol, status, headers, body):
    """All changes of a response."""
    yield from (xml_mutations if protocol == "query" else json_mutations)(status, headers, body)
    yield "another status", 418 if failed(status) else 201, headers, body
    if failed(status):
        whim = re.sub(rb"<Code>[^<]*", b"<Code>Whim", re.sub(rb'"__type":"[^"]*"', b'"__type":"Whim"', body))
        yield "another error", status, {**headers, "X-Amzn-ErrorType": "Whim", "x-amzn-query-error": "Whim;Sender"}, whim


def excused(operation, what):
    """A key of a map that the user chooses may have any name."""
    return what.startswith("rename") and "'Policies'," in what


def unnoticed(records):
    """How many changes of the records there are, and which of them the judge does not notice."""
    total, missed = 0, []
    for operation, status, headers, body in records:
        protocol = operation.service_model.metadata["protocol"]
        for what, *response in responses(protocol, status, dict(headers), body):
            if excused(operation, what):
                continue
            total += 1
            if not judge(operation, *response):
                missed.append(f"{operation.name} {status}: {what}")
    return total, missed
