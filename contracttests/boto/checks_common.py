"""Checks of what is common to all operations: throttling, unknown credentials, no signature, an outage."""

from simulator import SIGNED

checks = []
FAULTS = ("throttle", "forbid", "status5xx")


def check(function):
    checks.append(function)
    return function


def least(shape):
    """The least value that the model allows in a request."""
    kind = shape.type_name
    if kind == "structure":
        return {name: least(shape.members[name]) for name in shape.required_members}
    if kind == "list":
        return [least(shape.member)] * shape.metadata.get("min", 0)
    if kind == "map":
        return {}
    if kind == "string":
        return shape.enum[0] if shape.enum else "x" * max(1, shape.metadata.get("min", 1))
    return {"boolean": True, "blob": b"x"}.get(kind, 1)


def call(world, service, operation):
    client = getattr(world, service)
    arguments = least(operation.input_shape) if operation.input_shape else {}
    method = next(m for m, name in client.meta.method_to_api_mapping.items() if name == operation.name)
    return getattr(client, method)(**arguments)


@check
def every_operation_fails_as_documented(world):
    for service, operation in world.operations():
        for fault in FAULTS:
            world.simulator.control("POST", "faults", {"operations": ["*"], fault: 1})
            try:
                call(world, service, operation)
            except getattr(world, service).exceptions.ClientError as caught:
                status = caught.response["ResponseMetadata"]["HTTPStatusCode"]
                assert status == {"forbid": 403, "status5xx": 503}.get(fault, status), (operation.name, fault, status)
            else:
                raise AssertionError(f"{operation.name}: {fault} went by unseen")


@check
def every_operation_wants_a_signature(world):
    for service, operation in world.operations():
        path, body, headers = operation.http["requestUri"], b"{}", {}
        for name in ("EmailIdentity", "ConfigurationSetName", "EventDestinationName", "EmailAddress"):
            path = path.replace("{" + name + "}", "x")
        if service in ("sns", "sts"):
            body = f"Action={operation.name}&Version={operation.service_model.api_version}".encode()
        if service == "sqs":
            headers = {"X-Amz-Target": "AmazonSQS." + operation.name}
        for authorization in ({}, {"Authorization": "Bearer x"}, {"Authorization": SIGNED[:30]}):
            status = world.recorder.raw(world.simulator.url, operation, operation.http["method"], path, body, **headers, **authorization)
            assert status == 403, (operation.name, authorization, status)
