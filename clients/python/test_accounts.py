"""`claviger account`: several accounts of one installation, made and closed while it serves."""

import configparser
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import botocore.exceptions
import pytest

from harness.server import ACCOUNT, Server, run

OTHER = "444455556666"


def account(server: Server, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run("account", "--data-dir", server.books.folder, *arguments)


def done(server: Server, *arguments: object) -> dict:
    """A command that succeeds."""
    answer = account(server, "--json", *arguments)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def refused(server: Server, *arguments: object) -> str:
    """What a command that is refused says."""
    answer = account(server, *arguments)
    assert answer.returncode == 1 and answer.stdout == "", answer
    return answer.stderr


def error_of(call: Callable[[], object]) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        call()
    return raised.value.response["Error"]["Code"]


@pytest.fixture
def server(make_server) -> Server:
    return make_server().start()


def new_account(server: Server, account_id: str = OTHER):
    """A client of the root user of a new account, and the client's access key."""
    made = done(server, "create", "--name", "Other", "--id", account_id)
    return server.client_of(made["accessKeyId"], made["secretAccessKey"]), made


def open_to(*accounts: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": list(accounts)}, "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_accounts_are_apart_until_a_key_policy_lets_them_meet(server: Server) -> None:
    kms = server.client()
    other, made = new_account(server)
    assert made["account"]["id"] == OTHER and made["account"]["rootKeys"] == [made["accessKeyId"]]
    sts = server.client_of(made["accessKeyId"], made["secretAccessKey"], "sts")
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{OTHER}:root"
    key = kms.create_key()["KeyMetadata"]
    assert other.list_keys()["Keys"] == []
    assert error_of(lambda: other.encrypt(KeyId=key["Arn"], Plaintext=b"x")) == "AccessDeniedException"
    kms.put_key_policy(KeyId=key["KeyId"], Policy=open_to(ACCOUNT, OTHER))
    blob = other.encrypt(KeyId=key["Arn"], Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    # What only the owner may do stays the owner's.
    assert error_of(lambda: other.put_key_policy(KeyId=key["Arn"], Policy=open_to(OTHER))) == "AccessDeniedException"


def test_a_closed_account_stops_at_once_and_keeps_its_keys(server: Server) -> None:
    kms = server.client()
    other, made = new_account(server)
    credentials = (made["accessKeyId"], made["secretAccessKey"])
    iam, sts = server.client_of(*credentials, "iam"), server.client_of(*credentials, "sts")
    iam.create_user(UserName="eve")
    user_key = iam.create_access_key(UserName="eve")["AccessKey"]
    user = server.client_of(user_key["AccessKeyId"], user_key["SecretAccessKey"], "sts")
    session_key = sts.get_session_token()["Credentials"]
    session = server.client_of(session_key["AccessKeyId"], session_key["SecretAccessKey"], token=session_key["SessionToken"])
    key = other.create_key(Policy=open_to(ACCOUNT, OTHER))["KeyMetadata"]
    blob = other.encrypt(KeyId=key["KeyId"], Plaintext=b"kept")["CiphertextBlob"]
    assert user.get_caller_identity()["Account"] == OTHER
    assert session.list_keys()["Keys"] and kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"

    done(server, "close", OTHER)
    assert error_of(other.list_keys) == "UnrecognizedClientException"
    assert error_of(session.list_keys) == "UnrecognizedClientException"
    assert error_of(user.get_caller_identity) == "InvalidClientTokenId"
    assert error_of(lambda: kms.decrypt(CiphertextBlob=blob)) == "AccessDeniedException"
    assert error_of(lambda: kms.describe_key(KeyId=key["Arn"])) == "AccessDeniedException"
    assert done(server, "show", OTHER)["accounts"][0]["closed"]
    assert "closed already" in refused(server, "close", OTHER)
    server.stop()
    server.start()
    assert error_of(other.list_keys) == "UnrecognizedClientException"

    done(server, "reopen", OTHER)
    assert "open already" in refused(server, "reopen", OTHER)
    assert other.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
    assert user.get_caller_identity()["Account"] == OTHER


def test_root_keys_are_rotated(server: Server, tmp_path: Path) -> None:
    old, made = new_account(server)
    file = tmp_path / "credentials"
    done(server, "root-key", "create", OTHER, "--credentials-file", file)
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    profile = configparser.ConfigParser()
    profile.read(file)
    new = server.client_of(profile["default"]["aws_access_key_id"], profile["default"]["aws_secret_access_key"])
    assert new.list_keys()["Keys"] == old.list_keys()["Keys"] == []
    assert "2 access keys already" in refused(server, "root-key", "create", OTHER)
    # A file that is there is never written over, and nothing is made for it, nor where none can be written.
    nowhere = tmp_path / "nowhere/credentials"
    assert "No such file" in refused(server, "root-key", "create", OTHER, "--credentials-file", nowhere)
    assert "exists already" in refused(server, "root-key", "create", OTHER, "--credentials-file", file)
    done(server, "root-key", "delete", OTHER, made["accessKeyId"])
    assert error_of(old.list_keys) == "UnrecognizedClientException"
    assert new.list_keys()["Keys"] == []
    assert "has no access key" in refused(server, "root-key", "delete", OTHER, made["accessKeyId"])
    # Those of other accounts and of users are not root keys of this one.
    mine = server.credentials.access_key_id
    assert "has no access key" in refused(server, "root-key", "delete", OTHER, mine)
    assert server.client().list_keys()["Keys"] == []


def test_bad_input_is_refused_and_leaves_one_event(server: Server) -> None:
    done(server, "create", "--name", "Other", "--id", OTHER)
    before = done(server, "list")
    long = "x" * 51
    for arguments, why in [
        (("create", "--name", "a", "--id", OTHER), "exists already"),
        (("create", "--name", "a", "--id", ACCOUNT), "exists already"),
        (("create", "--name", "a", "--id", "12345678901"), "twelve digits"),
        (("create", "--name", "a", "--id", "1234567890123"), "twelve digits"),
        (("create", "--name", "a", "--id", "../../../etc"), "twelve digits"),
        (("create", "--name", "", "--id", "777788889999"), "1 to 50"),
        (("create", "--name", "\u00e9\n", "--id", "777788889999"), "1 to 50"),
        (("create", "--name", long, "--id", "777788889999"), "1 to 50"),
        (("close", "777788889999"), "no account"),
        (("close", "root"), "no account"),
        (("root-key", "create", "777788889999"), "no account"),
        (("root-key", "delete", OTHER, "root"), "no access key"),
    ]:
        events = len(server.books.events())
        assert why in refused(server, *arguments)
        [event] = server.books.events()[events:]
        assert event["errorCode"] and event["userIdentity"]["type"] == "Operator", event
    assert "no account" in refused(server, "show", "777788889999")
    assert done(server, "list") == before


def test_the_trail_says_who_did_it(server: Server) -> None:
    _, made = new_account(server)
    random = done(server, "create", "--name", "Random")
    assert random["account"]["id"].isdigit() and len(random["account"]["id"]) == 12
    done(server, "close", OTHER)
    listed = done(server, "list")["accounts"]
    assert {one["id"] for one in listed} == {ACCOUNT, OTHER, random["account"]["id"]}
    events = [event for event in server.books.events() if event["userIdentity"].get("type") == "Operator"]
    assert [event["eventName"] for event in events] == ["CreateAccount", "CreateAccount", "CloseAccount"]
    assert events[0]["userIdentity"]["principalId"] == f"uid:{os.geteuid()}"
    assert events[2]["recipientAccountId"] == OTHER
    explained = run("explain", "--data-dir", server.books.folder, "--event", events[2]["eventID"])
    assert "An operator of this installation" in explained.stdout
    secrets = [made["secretAccessKey"], random["secretAccessKey"]]
    written = [server.log(), str(server.books.events()), (server.books.data / "store.redb").read_bytes().decode("latin1")]
    assert not any(secret in text for secret in secrets for text in written)


def test_the_socket_is_the_servers_users_alone(server: Server) -> None:
    socket = server.books.data / "admin.sock"
    assert stat.S_IMODE(os.stat(socket).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(server.books.data).st_mode) == 0o700
    assert os.geteuid() == 0, "this test becomes another user: run it as root"
    # Even where the modes of the socket and of its folder would let another user in, the peer's user id is checked.
    os.chmod(server.books.data, 0o711)
    os.chmod(socket, 0o666)
    code = (
        f"import os, socket, sys; os.chdir({str(server.books.data)!r})\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX); s.connect('admin.sock'); print('connected')\n"
        "s.sendall(b'{\"do\":\"list-accounts\"}\\n'); print(s.recv(100).decode())"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    # The server may close the connection before or after the request is written.
    assert answer.stdout.strip() == "connected", answer
    assert done(server, "list")["accounts"]
    assert "no server runs" in run("account", "--data-dir", server.output.parent / "nowhere", "list").stderr
    server.stop()
    assert "no server runs" in refused(server, "list")
    assert not socket.exists()


def test_a_killed_server_leaves_a_socket_that_the_next_one_replaces(server: Server) -> None:
    server.kill()
    assert "no server runs" in refused(server, "list")
    server.start()
    assert [one["id"] for one in done(server, "list")["accounts"]] == [ACCOUNT]
