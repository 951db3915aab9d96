"""`claviger explain`: why a past request was answered as it was, asked of a server that runs."""

import json
import subprocess
import uuid

import botocore.exceptions
import pytest

from harness.server import ACCOUNT, Server, run


def policy(*statements: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(action: object, **more: object) -> dict:
    return {"Effect": "Allow", "Action": action, "Resource": "*"} | more


ACCOUNT_STATEMENT = allow("kms:*", Sid="Account", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"})


class Explained:
    """Explanations of the requests of one user."""

    def __init__(self, server: Server, name: str):
        self.server = server
        self.iam = server.client("iam")
        self.name = name
        self.arn = self.iam.create_user(UserName=name)["User"]["Arn"]
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        self.kms = server.client_of(key["AccessKeyId"], key["SecretAccessKey"])

    def call(self, operation: str, **request: object) -> tuple[str, str | None]:
        """The id of a request, and its error."""
        try:
            answer, error = getattr(self.kms, operation)(**request), None
        except botocore.exceptions.ClientError as raised:
            answer, error = raised.response, raised.response["Error"]["Code"]
        return answer["ResponseMetadata"]["RequestId"], error

    def explain(self, *options: str) -> subprocess.CompletedProcess[str]:
        return run("explain", "--data-dir", self.server.books.folder, *options)

    def check(self, call: tuple[str, str | None], *steps: dict) -> None:
        """The decisions of a call, in order, have at least these members; both forms and both ids agree."""
        request_id, error = call
        explained = self.explain("--request", request_id, "--json")
        assert explained.returncode == 0, explained.stderr
        found = json.loads(explained.stdout)
        assert found["requestId"] == request_id
        assert (error is None) == ("error" not in found)
        assert len(found["decisions"]) == len(steps), found
        for decision, expected in zip(found["decisions"], steps):
            assert {name: decision.get(name) for name in expected} == expected, decision
        assert self.explain("--event", found["eventId"], "--json").stdout == explained.stdout
        text = self.explain("--event", found["eventId"])
        assert text.returncode == 0, text.stderr
        for decision in found["decisions"]:
            verdict = "allowed" if decision["allowed"] else "denied"
            assert f"{decision['action']} on {decision['resource']}: {verdict}" in text.stdout


@pytest.fixture
def user(server: Server) -> Explained:
    return Explained(server, f"u-{uuid.uuid4().hex[:8]}")


def test_each_reason_is_told(user: Explained, new_key) -> None:
    root = user.server.client()
    key, other = new_key(Policy=policy(ACCOUNT_STATEMENT)), new_key(Policy=policy(ACCOUNT_STATEMENT))
    request = {"KeyId": key["Arn"], "Plaintext": b"x"}
    on_key = {"action": "kms:Encrypt", "resource": key["Arn"]}

    denied = user.call("encrypt", **request)
    user.check(denied, on_key | {"allowed": False, "by": "identity-policy", "explicit": False})

    user.iam.put_user_policy(UserName=user.name, PolicyName="use", PolicyDocument=policy(allow("kms:*")))
    allowed = user.call("encrypt", **request)
    by_identity = {"allowed": True, "by": "identity-policy", "policy": "use", "holder": f"user/{user.name}"}
    user.check(allowed, on_key | by_identity)

    document = policy(allow("kms:Decrypt", Sid="Reads"))
    cap = user.iam.create_policy(PolicyName=f"cap-{user.name}", PolicyDocument=document)["Policy"]["Arn"]
    user.iam.put_user_permissions_boundary(UserName=user.name, PermissionsBoundary=cap)
    bounded = user.call("encrypt", **request)
    user.check(bounded, on_key | {"allowed": False, "by": "permissions-boundary", "explicit": False})
    assert f"permissions boundary: {cap} v1" in user.explain("--request", bounded[0]).stdout
    user.iam.delete_user_permissions_boundary(UserName=user.name)

    never = {"Sid": "Never", "Effect": "Deny", "Action": "kms:Encrypt", "Resource": "*", "Principal": "*"}
    root.put_key_policy(KeyId=key["KeyId"], Policy=policy(ACCOUNT_STATEMENT, never))
    explicit = user.call("encrypt", **request)
    by_never = {"by": "key-policy", "explicit": True, "statement": 1, "sid": "Never"}
    user.check(explicit, on_key | {"allowed": False} | by_never)

    direct = allow("kms:Encrypt", Sid="Named", Principal={"AWS": user.arn})
    root.put_key_policy(KeyId=key["KeyId"], Policy=policy(ACCOUNT_STATEMENT, direct))
    named = user.call("encrypt", **request)
    user.check(named, on_key | {"allowed": True, "by": "key-policy", "statement": 1, "sid": "Named"})

    blob = root.encrypt(**request)["CiphertextBlob"]
    again = {"CiphertextBlob": blob, "DestinationKeyId": other["Arn"]}
    source = {"action": "kms:ReEncryptFrom", "resource": key["Arn"], "allowed": True, "by": "identity-policy"}
    target = {"action": "kms:ReEncryptTo", "resource": other["Arn"]}
    user.check(user.call("re_encrypt", **again), source, target | {"allowed": True, "by": "identity-policy"})
    root.put_key_policy(
        KeyId=other["KeyId"],
        Policy=policy(allow("kms:*", Principal={"AWS": "444455556666"})),
        BypassPolicyLockoutSafetyCheck=True,
    )
    user.check(user.call("re_encrypt", **again), source, target | {"allowed": False, "by": "key-policy"})

    # None of what was changed meanwhile has changed what was decided.
    user.check(denied, on_key | {"allowed": False, "by": "identity-policy", "explicit": False})
    user.check(explicit, on_key | {"allowed": False} | by_never)


def test_what_no_policy_decided_is_told(user: Explained, key: dict) -> None:
    signer = user.server.signer()
    for operation, body, code in [
        ("Encrypt", {"KeyId": key["KeyId"]}, "ValidationException"),
        ("DescribeKey", {"KeyId": "00000000-0000-4000-8000-000000000000"}, "NotFoundException"),
        ("Nonsense", {}, "UnknownOperationException"),
    ]:
        with user.server.connect() as connection:
            answer = connection.exchange(signer.call(operation, body))
        explained = user.explain("--request", answer.request_id)
        assert explained.returncode == 0, explained.stderr
        assert code in explained.stdout and "No policy was asked" in explained.stdout


def test_who_was_not_authenticated_is_told(user: Explained) -> None:
    stranger = user.server.client_of("AKIANOBODYNOBODYNOBO", "x" * 40)
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        stranger.list_keys()
    request_id = raised.value.response["ResponseMetadata"]["RequestId"]
    explained = user.explain("--request", request_id)
    assert explained.returncode == 0, explained.stderr
    assert "UnrecognizedClientException" in explained.stdout and "authenticated nobody" in explained.stdout
    found = json.loads(user.explain("--request", request_id, "--json").stdout)
    assert found["basis"] == {"kind": "nobodyAuthenticated"} and found["decisions"] == []


@pytest.mark.parametrize("options", [("--event", "nothing"), ("--request", "nothing"), ("--event", "\x1b[31m")])
def test_an_unknown_id_is_an_error(user: Explained, options: tuple[str, str]) -> None:
    explained = user.explain(*options)
    assert explained.returncode == 1 and explained.stdout == ""
    assert "there is no" in explained.stderr and "\x1b" not in explained.stderr


def test_a_call_names_one_id(user: Explained) -> None:
    assert user.explain().returncode == 2
    assert user.explain("--event", "a", "--request", "b").returncode == 2
