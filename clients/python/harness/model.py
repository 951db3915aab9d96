"""AWS's own model of its APIs, as botocore carries it: what a reply may hold."""

import base64
import json

import botocore.model
from botocore.hooks import HierarchicalEmitter


def check_value(shape: botocore.model.Shape, value: object, at: str) -> None:
    """A value of a reply is of its shape: every member known and typed, every required one there."""
    kinds = {
        "string": str,
        "boolean": bool,
        "integer": int,
        "long": int,
        "timestamp": (int, float),
        "list": list,
        "map": dict,
        "structure": dict,
        "blob": str,
    }
    assert isinstance(value, kinds[shape.type_name]), f"{at} is {value!r}, not a {shape.type_name}"
    assert shape.type_name == "boolean" or not isinstance(value, bool), f"{at} is {value!r}"
    match shape.type_name:
        case "structure":
            unknown = value.keys() - shape.members.keys()
            assert not unknown, f"{at} has members that the model does not know: {unknown}"
            assert value.keys() >= set(shape.required_members), f"{at} lacks a required member"
            for name, member in value.items():
                check_value(shape.members[name], member, f"{at}.{name}")
        case "list":
            for index, element in enumerate(value):
                check_value(shape.member, element, f"{at}[{index}]")
        case "map":
            for name, element in value.items():
                check_value(shape.value, element, f"{at}[{name}]")
        case "blob":
            decoded = base64.b64decode(value, validate=True)
            assert base64.b64encode(decoded).decode() == value, f"{at} is not in canonical base64"
        # The deprecated member says what KeySpec says, also where its own shape has not kept up.
        case "string" if shape.enum and shape.name != "CustomerMasterKeySpec":
            assert value in shape.enum, f"{at} is {value!r}, not one of {shape.enum}"


class Checker:
    """Listens to a client and checks every reply against the model, before the client drops what it does not know."""

    def __init__(self, client):
        self.seen: list[str] = []
        events: HierarchicalEmitter = client.meta.events
        events.register("after-call.*", self._check)

    def _check(self, http_response, parsed, model: botocore.model.OperationModel, **_) -> None:
        headers = http_response.headers
        assert headers["x-amzn-requestid"] == parsed["ResponseMetadata"]["RequestId"]
        assert headers["content-type"] == "application/x-amz-json-1.1"
        self.seen.append(model.name)
        if http_response.status_code != 200:
            kind = json.loads(http_response.content)["__type"]
            declared = {shape.name for shape in model.error_shapes} | {"ValidationException", "AccessDeniedException"}
            assert kind in declared, f"{model.name} does not declare {kind}"
        elif model.output_shape is None:
            assert http_response.content == b"", f"{model.name} answers nothing in the model"
        else:
            check_value(model.output_shape, json.loads(http_response.content), model.name)
