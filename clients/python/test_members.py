"""Members of the wrong type, outside their constraints, or missing: AWS's texts, all violations in one message.

Everything here is signed, so each refusal leaves exactly one event, with the same error.
"""

import base64
import json
import re

import pytest

from harness.oracle import CANARY, error

UNKNOWN_ID = "00000000-0000-0000-0000-000000000000"
PLAIN = base64.b64encode(CANARY).decode()
LIST = "Start of list found where not expected"
OBJECT = "Start of structure or map found where not expected."


def refuse(server, witness, connection, operation: str, body: dict | bytes, expected: dict) -> None:
    before = witness.standing()
    reply = connection.exchange(server.signer().call(operation, body))
    (event,) = witness.check_denied(before, [reply], status=400, body=expected)
    assert event["eventName"] == operation


def blob(reason: str) -> str:
    return f"'' can not be converted to a Blob: {reason}"


def length(count: int) -> str:
    return blob(f"Base64 encoded length is expected a multiple of 4 bytes but found: {count}")


@pytest.mark.parametrize(
    ("operation", "body", "message"),
    [
        ("DescribeKey", {"KeyId": 5}, "NUMBER_VALUE can not be converted to a String"),
        ("DescribeKey", {"KeyId": 5.5}, "NUMBER_VALUE can not be converted to a String"),
        ("DescribeKey", {"KeyId": True}, "TRUE_VALUE can not be converted to a String"),
        ("DescribeKey", {"KeyId": False}, "FALSE_VALUE can not be converted to a String"),
        ("DescribeKey", {"KeyId": ["x"]}, LIST),
        ("DescribeKey", {"KeyId": {"x": 1}}, OBJECT),
        ("ListKeys", {"Limit": "5"}, "class java.lang.String can not be converted to an Integer"),
        ("ListKeys", {"Limit": True}, "class java.lang.Boolean can not be converted to an Integer"),
        ("ListKeys", {"Limit": False}, "class java.lang.Boolean can not be converted to an Integer"),
        ("ListKeys", {"Limit": [5]}, LIST),
        ("ListKeys", {"Limit": {}}, OBJECT),
        ("CreateKey", {"MultiRegion": "maybe"}, "'MAYBE' can not be converted to an Boolean"),
        ("CreateKey", {"MultiRegion": []}, LIST),
        ("CreateKey", {"MultiRegion": {}}, OBJECT),
        ("CreateKey", {"Tags": "a"}, "Expected list or null"),
        ("CreateKey", {"Tags": 1}, "Expected list or null"),
        ("CreateKey", {"Tags": {"TagKey": "a"}}, OBJECT),
        ("CreateKey", {"Tags": ["a"]}, "Expected null"),
        ("CreateKey", {"Tags": [[]]}, LIST),
        ("CreateKey", {"Tags": [{"TagKey": 1, "TagValue": "a"}]}, "NUMBER_VALUE can not be converted to a String"),
        ("Encrypt", {"KeyId": "x", "EncryptionContext": "a"}, "Expected map or null"),
        ("Encrypt", {"KeyId": "x", "EncryptionContext": ["a"]}, LIST),
        ("Encrypt", {"KeyId": "x", "EncryptionContext": {"a": 1}}, "NUMBER_VALUE can not be converted to a String"),
        ("Encrypt", {"KeyId": "x", "EncryptionContext": {"a": {"b": "c"}}}, OBJECT),
        ("Encrypt", {"KeyId": "x", "Plaintext": 1}, "NUMBER_VALUE can not be converted to a Blob"),
        ("Encrypt", {"KeyId": "x", "Plaintext": [1, 2]}, LIST),
        ("Encrypt", {"KeyId": "x", "Plaintext": PLAIN[:-1]}, length(len(PLAIN) - 1)),
        ("Encrypt", {"KeyId": "x", "Plaintext": PLAIN + "\n"}, length(len(PLAIN) + 1)),
        ("Encrypt", {"KeyId": "x", "Plaintext": "A"}, length(1)),
        ("Encrypt", {"KeyId": "x", "Plaintext": "AA*A"}, blob("Invalid Base64 character: '*'")),
        ("Encrypt", {"KeyId": "x", "Plaintext": "AA-_"}, blob("Invalid Base64 character: '-'")),
        ("Encrypt", {"KeyId": "x", "Plaintext": "AA A"}, blob("Invalid Base64 character: ' '")),
        ("Encrypt", {"KeyId": "x", "Plaintext": "=AAA"}, blob("Invalid Base64 character: '='")),
        ("Encrypt", {"KeyId": "x", "Plaintext": "AB=="}, blob("Invalid last non-pad Base64 character dectected")),
        ("Encrypt", {"KeyId": "x", "Plaintext": "AAF="}, blob("Invalid last non-pad Base64 character dectected")),
        ("Decrypt", {"CiphertextBlob": {}}, OBJECT),
        ("Decrypt", {"CiphertextBlob": "!!!!"}, blob("Invalid Base64 character: '!'")),
    ],
)
def test_wrong_types(server, witness, connection, operation, body, message):
    refuse(server, witness, connection, operation, body, error("SerializationException", message))


def violation(path: str, constraint: str, value: str | None = None) -> str:
    shown = "Value" if value is None else f"Value '{value}'"
    return f"{shown} at '{path}' failed to satisfy constraint: {constraint}"


def missing(path: str) -> str:
    return f"Value null at '{path}' failed to satisfy constraint: Member must not be null"


def least(what: str, bound: int) -> str:
    return f"Member must have {what} greater than or equal to {bound}"


def most(what: str, bound: int) -> str:
    return f"Member must have {what} less than or equal to {bound}"


PATTERN = "Member must satisfy regular expression pattern: "
BIG_BLOB = base64.b64encode(b"x" * 4097).decode()
HUGE_BLOB = base64.b64encode(b"x" * 6145).decode()


@pytest.mark.parametrize(
    ("operation", "body", "violations"),
    [
        ("ListKeys", {"Limit": 0}, [violation("limit", least("value", 1), "0")]),
        ("ListKeys", {"Limit": 1001}, [violation("limit", most("value", 1000), "1001")]),
        ("ListKeys", {"Limit": -5}, [violation("limit", least("value", 1), "-5")]),
        ("ListKeys", {"Limit": 0.9}, [violation("limit", least("value", 1), "0")]),
        ("ListKeys", {"Limit": 1e300}, [violation("limit", most("value", 1000), "2147483647")]),
        ("ListKeys", {"Limit": -(2**70)}, [violation("limit", least("value", 1), "-2147483648")]),
        ("ListKeys", {"Marker": ""}, [violation("marker", least("length", 1), "")]),
        ("GenerateRandom", {"NumberOfBytes": 1025}, [violation("numberOfBytes", most("value", 1024), "1025")]),
        (
            "ScheduleKeyDeletion",
            {"KeyId": UNKNOWN_ID, "PendingWindowInDays": 6},
            [violation("pendingWindowInDays", least("value", 7), "6")],
        ),
        (
            "ScheduleKeyDeletion",
            {"KeyId": UNKNOWN_ID, "PendingWindowInDays": 31},
            [violation("pendingWindowInDays", most("value", 30), "31")],
        ),
        ("DescribeKey", {}, [missing("keyId")]),
        ("DescribeKey", {"KeyId": None}, [missing("keyId")]),
        ("DescribeKey", {"keyId": "ignored: names are case-sensitive"}, [missing("keyId")]),
        ("DescribeKey", {"KeyId": ""}, [violation("keyId", least("length", 1), "")]),
        ("DescribeKey", {"KeyId": "x" * 2049}, [violation("keyId", most("length", 2048), "x" * 2048)]),
        ("Encrypt", {}, [missing("keyId"), missing("plaintext")]),
        ("Encrypt", {"KeyId": "x", "Plaintext": ""}, [violation("plaintext", least("length", 1))]),
        ("Encrypt", {"KeyId": "x", "Plaintext": BIG_BLOB}, [violation("plaintext", most("length", 4096))]),
        ("Decrypt", {"CiphertextBlob": HUGE_BLOB}, [violation("ciphertextBlob", most("length", 6144))]),
        ("Decrypt", {}, [missing("ciphertextBlob")]),
        ("CreateAlias", {}, [missing("aliasName"), missing("targetKeyId")]),
        (
            "CreateAlias",
            {"AliasName": "alias/sp ace", "TargetKeyId": ""},
            [
                violation("aliasName", PATTERN + "^[a-zA-Z0-9:/_-]+$", "alias/sp ace"),
                violation("targetKeyId", least("length", 1), ""),
            ],
        ),
        (
            "TagResource",
            {"KeyId": "x", "Tags": [{"TagKey": "a", "TagValue": "b"}, {"TagKey": "", "TagValue": "v" * 257}, {}]},
            [
                violation("tags.2.member.tagKey", least("length", 1), ""),
                violation("tags.2.member.tagValue", most("length", 256), "v" * 257),
                missing("tags.3.member.tagKey"),
                missing("tags.3.member.tagValue"),
            ],
        ),
        (
            "PutKeyPolicy",
            {"KeyId": "x", "PolicyName": "no spaces", "Policy": "☠"},
            [
                violation("policyName", PATTERN + r"[\w]+", "no spaces"),
                violation("policy", PATTERN + r"[\u0009\u000A\u000D\u0020-\u00FF]+", "☠"),
            ],
        ),
    ],
)
def test_constraints_are_all_named_in_one_message(server, witness, connection, operation, body, violations):
    count = f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected: "
    # The order of members is the service's own; the message is the same but for that.
    before = witness.standing()
    reply = connection.exchange(server.signer().call(operation, body))
    witness.check_denied(before, [reply], status=400, body=error("ValidationException", re.compile(r"[\s\S]*")))
    message = reply.json()["message"]
    assert message.startswith(count)
    assert sorted(message.removeprefix(count).split("; ")) == sorted(violations)


@pytest.mark.parametrize(
    ("operation", "member", "value"),
    [
        ("CreateKey", "KeySpec", "AES_512"),
        ("CreateKey", "KeySpec", "symmetric_default"),
        ("CreateKey", "KeyUsage", "ENCRYPT"),
        ("CreateKey", "Origin", ""),
        ("GenerateDataKey", "KeySpec", "AES_192"),
        ("Encrypt", "EncryptionAlgorithm", "AES"),
    ],
)
def test_enumerations_name_every_value_of_the_model(server, witness, connection, kms, operation, member, value):
    shape = kms.meta.service_model.operation_model(operation).input_shape.members[member]
    body = {"KeyId": "x", "Plaintext": PLAIN, member: value}
    before = witness.standing()
    reply = connection.exchange(server.signer().call(operation, body))
    witness.check_denied(before, [reply], status=400, body=error("ValidationException", re.compile(r"[\s\S]*")))
    path = member[0].lower() + member[1:]
    prefix = f"1 validation error detected: Value '{value}' at '{path}' failed to satisfy constraint: Member must "
    said = reply.json()["message"].removeprefix(prefix)
    listed = said.removeprefix("satisfy enum value set: [").removesuffix("]").split(", ")
    assert sorted(listed) == sorted(shape.enum)


def test_what_aws_takes_is_taken(server, witness, connection, key):
    """Unknown members and nulls are ignored, fractions floored, large numbers clamped, booleans read from texts."""
    before = witness.standing()
    signer = server.signer()
    bodies = [
        ("DescribeKey", {"KeyId": key["KeyId"], "Nope": [{"deep": 1}], "GrantTokens": None}),
        ("ListKeys", {"Limit": 1.9}),
        ("GenerateRandom", {"NumberOfBytes": 16.5}),
        ("Encrypt", {"KeyId": key["KeyId"], "Plaintext": PLAIN, "DryRun": "no"}),
        ("ListKeys", b'{ "Limit" : 1e0 }\n\t\r '),
    ]
    replies = [connection.exchange(signer.call(operation, body)) for operation, body in bodies]
    assert [reply.status for reply in replies] == [200] * len(bodies)
    assert len(replies[1].json()["Keys"]) == 1
    assert len(base64.b64decode(replies[2].json()["Plaintext"])) == 16
    assert [event["requestID"] for event in witness.new_events(before)] == [reply.request_id for reply in replies]


PREFIX = (
    'Alias must start with the prefix "alias/". Please see '
    "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html"
)
DATA_KEY = "Please specify either number of bytes or key spec."


@pytest.mark.parametrize(
    ("operation", "body", "kind", "message"),
    [
        ("GenerateRandom", {}, "ValidationException", "NumberOfBytes is required."),
        ("GenerateDataKey", {"KeyId": "x"}, "ValidationException", DATA_KEY),
        ("GenerateDataKey", {"KeyId": "x", "KeySpec": "AES_256", "NumberOfBytes": 1}, "ValidationException", DATA_KEY),
        ("GenerateDataKeyWithoutPlaintext", {"KeyId": "x"}, "ValidationException", DATA_KEY),
        ("CreateAlias", {"AliasName": "app", "TargetKeyId": UNKNOWN_ID}, "ValidationException", PREFIX),
        ("DeleteAlias", {"AliasName": "Alias/app"}, "ValidationException", PREFIX),
        ("CreateAlias", {"AliasName": "alias/aws/s3", "TargetKeyId": UNKNOWN_ID}, "NotAuthorizedException", None),
        ("DeleteAlias", {"AliasName": "alias/aws/s3"}, "NotAuthorizedException", None),
        ("CreateAlias", {"AliasName": "alias/", "TargetKeyId": UNKNOWN_ID}, "InvalidAliasNameException", None),
        (
            "CreateAlias",
            {"AliasName": "alias/a", "TargetKeyId": "alias/b"},
            "ValidationException",
            "Aliases must refer to keys. Not aliases",
        ),
        (
            "CreateKey",
            {"KeySpec": "RSA_2048"},
            "ValidationException",
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
        ),
        (
            "CreateKey",
            {"KeyUsage": "SIGN_VERIFY"},
            "ValidationException",
            "KeyUsage SIGN_VERIFY is not compatible with KeySpec SYMMETRIC_DEFAULT",
        ),
        (
            "CreateKey",
            {"Origin": "AWS_CLOUDHSM"},
            "UnsupportedOperationException",
            "Origin AWS_CLOUDHSM is not served by this version of Claviger.",
        ),
        (
            "CreateKey",
            {"Tags": [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]},
            "TagException",
            "Duplicate tag keys",
        ),
        (
            "CreateKey",
            {"Tags": [{"TagKey": "AWS:x", "TagValue": "1"}]},
            "TagException",
            "Tags beginning with aws: are reserved",
        ),
        ("CreateKey", {"Tags": [{"TagKey": "a,b", "TagValue": "1"}]}, "TagException", "Invalid tag"),
        ("Decrypt", {"CiphertextBlob": PLAIN, "GrantTokens": ["x"]}, "InvalidGrantTokenException", None),
        (
            "Decrypt",
            {"DryRunModifiers": ["IGNORE_CIPHERTEXT"], "KeyId": UNKNOWN_ID},
            "ValidationException",
            "DryRunModifiers needs DryRun to be true.",
        ),
        ("CreateKey", {"Policy": "{"}, "MalformedPolicyDocumentException", re.compile(".+")),
        ("CreateKey", {"Policy": json.dumps({"Statement": "x" * 33_000})}, "LimitExceededException", re.compile(".+")),
    ],
)
def test_what_is_well_formed_and_wrong(server, witness, connection, operation, body, kind, message):
    refuse(server, witness, connection, operation, body, error(kind, message))
