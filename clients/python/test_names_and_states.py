"""Keys and aliases that are not there, not named so, not here, or not in a state to be used."""

import base64

import pytest

from harness.oracle import CANARY, error
from harness.server import ACCOUNT, REGION

UNKNOWN = "12345678-1234-1234-1234-123456789abc"
OTHER_ACCOUNT = f"arn:aws:kms:{REGION}:444455556666"
ROOT_ARN = f"arn:aws:iam::{ACCOUNT}:root"
PLAIN = base64.b64encode(CANARY).decode()

# One good body of each operation that takes a key, but for the key.
TAKE_A_KEY_ID = {
    "DescribeKey": {},
    "EnableKey": {},
    "DisableKey": {},
    "UpdateKeyDescription": {"Description": "new"},
    "ScheduleKeyDeletion": {"PendingWindowInDays": 7},
    "CancelKeyDeletion": {},
    "GetKeyPolicy": {},
    "PutKeyPolicy": {"Policy": "{}"},
    "ListKeyPolicies": {},
    "ListResourceTags": {},
    "TagResource": {"Tags": [{"TagKey": "a", "TagValue": "b"}]},
    "UntagResource": {"TagKeys": ["a"]},
    "Encrypt": {"Plaintext": PLAIN},
    "Decrypt": {"CiphertextBlob": PLAIN},
    "GenerateDataKey": {"KeySpec": "AES_256"},
    "GenerateDataKeyWithoutPlaintext": {"KeySpec": "AES_256"},
    "ListAliases": {},
}
TAKE_AN_ALIAS = {"DescribeKey", "Encrypt", "Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"}
KEY_ONLY = sorted(TAKE_A_KEY_ID.keys() - TAKE_AN_ALIAS)


def refuse(server, witness, connection, operation: str, body: dict, kind: str, message: str | None) -> dict:
    """The call is refused so; gives its event."""
    before = witness.standing()
    reply = connection.exchange(server.signer().call(operation, body))
    (event,) = witness.check_denied(before, [reply], status=400, body=error(kind, message))
    return event


@pytest.mark.parametrize("operation", TAKE_A_KEY_ID)
def test_a_key_that_is_not_there(server, witness, connection, operation):
    def check(named: str, kind: str, message: str) -> None:
        body = {**TAKE_A_KEY_ID[operation], "KeyId": named}
        refuse(server, witness, connection, operation, body, kind, message)

    arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{UNKNOWN}"
    check(UNKNOWN, "NotFoundException", f"Key '{arn}' does not exist")
    check(arn, "NotFoundException", f"Key '{arn}' does not exist")
    check("fake-key-id", "NotFoundException", "Invalid keyId 'fake-key-id'")
    check(UNKNOWN.upper(), "NotFoundException", f"Invalid keyId '{UNKNOWN.upper()}'")
    check(UNKNOWN.replace("-", ""), "NotFoundException", f"Invalid keyId '{UNKNOWN.replace('-', '')}'")
    check(f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/{UNKNOWN}", "NotFoundException", "Invalid arn eu-west-1")
    check("arn:aws:s3:::bucket", "InvalidArnException", "Invalid arn arn:aws:s3:::bucket")
    elsewhere = (
        f"User: {ROOT_ARN} is not authorized to perform: kms:{operation} on this resource because the resource does "
        "not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly "
        "denies access"
    )
    check(f"{OTHER_ACCOUNT}:key/{UNKNOWN}", "AccessDeniedException", elsewhere)


@pytest.mark.parametrize("operation", sorted(TAKE_AN_ALIAS))
def test_an_alias_that_is_not_there(server, witness, connection, operation):
    arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/nope"
    for named in ("alias/nope", arn):
        body = {**TAKE_A_KEY_ID[operation], "KeyId": named}
        refuse(server, witness, connection, operation, body, "NotFoundException", f"Alias {arn} is not found.")


@pytest.mark.parametrize("operation", KEY_ONLY)
def test_an_alias_where_only_a_key_is_taken(server, witness, connection, kms, new_key, operation):
    name = f"alias/only-{operation}"
    kms.create_alias(AliasName=name, TargetKeyId=new_key()["KeyId"])
    body = {**TAKE_A_KEY_ID[operation], "KeyId": name}
    refuse(server, witness, connection, operation, body, "NotFoundException", f"Invalid keyId {name}")
    body["KeyId"] = f"arn:aws:kms:{REGION}:{ACCOUNT}:{name}"
    text = "Key Aliases are not supported for this operation."
    refuse(server, witness, connection, operation, body, "InvalidArnException", text)


@pytest.mark.parametrize("state", ["disabled", "pending deletion"])
def test_a_key_that_may_not_be_used(server, witness, connection, kms, key, new_key, state):
    made = new_key()
    arn = made["Arn"]
    blob = base64.b64encode(kms.encrypt(KeyId=arn, Plaintext=CANARY)["CiphertextBlob"]).decode()
    other = base64.b64encode(kms.encrypt(KeyId=key["Arn"], Plaintext=CANARY)["CiphertextBlob"]).decode()
    if state == "disabled":
        kms.disable_key(KeyId=arn)
        kind = "DisabledException"
    else:
        kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
        kind = "KMSInvalidStateException"
    for operation, body in [
        ("Encrypt", {"KeyId": arn, "Plaintext": PLAIN}),
        ("Decrypt", {"CiphertextBlob": blob}),
        ("Decrypt", {"CiphertextBlob": blob, "KeyId": arn}),
        ("GenerateDataKey", {"KeyId": arn, "KeySpec": "AES_256"}),
        ("GenerateDataKeyWithoutPlaintext", {"KeyId": arn, "NumberOfBytes": 5}),
        ("ReEncrypt", {"CiphertextBlob": blob, "DestinationKeyId": key["Arn"]}),
        ("ReEncrypt", {"CiphertextBlob": other, "DestinationKeyId": arn}),
    ]:
        event = refuse(server, witness, connection, operation, body, kind, f"{arn} is {state}.")
        assert arn in [resource["ARN"] for resource in event["resources"]]
    if state == "disabled":
        kms.enable_key(KeyId=arn)
        assert kms.decrypt(CiphertextBlob=base64.b64decode(blob))["Plaintext"] == CANARY
        return
    pending = f"{arn} is pending deletion."
    for operation, body in [
        ("EnableKey", {}),
        ("DisableKey", {}),
        ("ScheduleKeyDeletion", {}),
        ("UpdateKeyDescription", {"Description": "x"}),
        ("TagResource", TAKE_A_KEY_ID["TagResource"]),
        ("UntagResource", TAKE_A_KEY_ID["UntagResource"]),
    ]:
        refuse(server, witness, connection, operation, {"KeyId": arn, **body}, kind, pending)
    alias = {"AliasName": "alias/doomed", "TargetKeyId": arn}
    refuse(server, witness, connection, "CreateAlias", alias, kind, pending)


def test_what_is_encrypted_in_one_region_does_not_open_in_another(server, witness, connection, kms, key):
    blob = base64.b64encode(kms.encrypt(KeyId=key["Arn"], Plaintext=CANARY)["CiphertextBlob"]).decode()
    elsewhere = server.signer(region="eu-west-1")
    before = witness.standing()
    unnamed = connection.exchange(elsewhere.call("Decrypt", {"CiphertextBlob": blob}))
    text = (
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you "
        "are not allowed to access."
    )
    witness.check_denied(before, [unnamed], status=400, body=error("AccessDeniedException", text))
    before = witness.standing()
    named = connection.exchange(elsewhere.call("Decrypt", {"CiphertextBlob": blob, "KeyId": key["Arn"]}))
    witness.check_denied(before, [named], status=400, body=error("NotFoundException", f"Invalid arn {REGION}"))
