"""Quotas as a client of AWS meets them: throttling, which the SDK waits out, and keys that there is no room for."""

import pytest
from botocore.exceptions import ClientError

from harness.http import Connection
from harness.installation import Installation
from harness.oracle import CANARY
from harness.process import wait_until
from harness.server import ACCOUNT

THROTTLED = {
    "Code": "ThrottlingException",
    "Message": "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.",
}


def error_of(call, **arguments) -> dict:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]


def test_who_calls_too_fast_is_told_so_and_retries_through_it(installation: Installation):
    """The rates are so low that no machine is slow enough to earn another request between two."""
    rates = {"CryptographicOperationsSymmetric": 0.001, "DescribeKey": 0.2}
    installation.settings["quotas"] = {"requests": "aws", "rates": rates}
    installation.start()
    kms = installation.client()
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=CANARY)["CiphertextBlob"]
    for _ in range(2):
        assert error_of(kms.decrypt, CiphertextBlob=blob) == THROTTLED
    # Another bucket has room; what it has not, the SDK waits for.
    patient = installation.client(attempts=20)
    retries = [patient.describe_key(KeyId=key)["ResponseMetadata"]["RetryAttempts"] for _ in range(2)]
    assert retries[0] == 0 and retries[1] > 0
    events = installation.books.events()
    codes = {name: [it.get("errorCode") for it in events if it["eventName"] == name] for name in ("Decrypt", "DescribeKey")}
    assert codes["Decrypt"] == ["ThrottlingException"] * 2
    assert codes["DescribeKey"].count(None) == 2
    assert codes["DescribeKey"].count("ThrottlingException") == sum(retries)
    assert installation.metric('claviger_throttled_total{bucket="CryptographicOperationsSymmetric"}') == 2
    installation.stop()


def test_iam_and_sts_are_throttled_in_their_own_words(installation: Installation):
    installation.settings["quotas"] = {"requests": "aws", "rates": {"STS": 0.001}}
    installation.start()
    sts = installation.client("sts")
    assert sts.get_caller_identity()["Account"] == ACCOUNT
    assert error_of(sts.get_caller_identity) == {"Type": "Sender", "Code": "Throttling", "Message": "Rate exceeded"}
    installation.stop()


def test_an_account_has_as_many_keys_and_aliases_as_it_may(installation: Installation):
    installation.settings["quotas"] = {"keys": 9, "accounts": {ACCOUNT: {"keys": 2, "aliases_per_key": 1}}}
    installation.start()
    kms = installation.client()
    keys = [kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2)]
    assert error_of(kms.create_key)["Code"] == "LimitExceededException"
    installation.client(region="eu-central-1").create_key()
    kms.create_alias(AliasName="alias/one", TargetKeyId=keys[0])
    refused = error_of(kms.create_alias, AliasName="alias/two", TargetKeyId=keys[0])
    assert refused["Code"] == "LimitExceededException"
    installation.stop()


def test_nobody_is_throttled_unless_asked_for(installation: Installation):
    installation.start()
    kms = installation.client()
    for _ in range(20):
        kms.create_key()
    installation.stop()


def test_what_is_no_request_is_counted_by_its_source(installation: Installation):
    """Attack A20: garbage is answered, and noted as often as its source may send it."""
    installation.settings["quotas"] = {"requests": "aws", "rates": {"Unauthenticated": 0.001}}
    installation.start()
    throttled = 'claviger_throttled_total{bucket="Unauthenticated"}'
    for number in range(4):
        with Connection(installation.port) as connection:
            connection.send(b"garbage\r\n\r\n")
            assert connection.reply().status == 400
    wait_until(lambda: installation.metric(throttled) == 3, "three that were one too many")
    assert [line["status"] for line in installation.books.security_lines()] == [400]
    installation.stop()
