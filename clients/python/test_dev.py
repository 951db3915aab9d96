"""`claviger dev` as a program: what it refuses, how it ends, what it says of itself, what it makes of damage."""

import json
import re
import shutil
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from harness.http import Connection
from harness.oracle import CANARY, UUID, check_no_secret
from harness.process import DEADLINE_SECONDS, check_stays, free_ports, is_running, wait_until
from harness.server import Server, run


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--listen", "0.0.0.0:7080"], "`dev` listens on loopback addresses only, not on 0.0.0.0"),
        (["--listen", "[::]:7080"], "`dev` listens on loopback addresses only, not on ::"),
        (["--listen", "192.0.2.1:7080"], "`dev` listens on loopback addresses only, not on 192.0.2.1"),
        (["--listen", "127.0.0.1:65535"], "the port is too high"),
        (["--account", "1234"], "`--account` must be twelve digits"),
        (["--region", "Europe"], "`--region`: `Europe` is not a Region name"),
    ],
)
def test_bad_options_are_refused_and_nothing_is_stored(tmp_path: Path, options, complaint):
    ended = run("dev", "--data-dir", tmp_path / "data", *options)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", f"claviger: {complaint}\n")
    assert not (tmp_path / "data/data").exists() and not (tmp_path / "data/seal").exists()


def test_an_address_in_use_is_refused(server: Server, tmp_path: Path):
    listen = f"127.0.0.1:{server.port}"
    ended = run("dev", "--data-dir", tmp_path / "data", "--listen", listen)
    assert ended.returncode == 1 and f"cannot listen on {listen}" in ended.stderr


def test_a_second_server_on_the_same_folder_is_refused_and_the_first_goes_on(make_server):
    server: Server = make_server().start()
    kms = server.client()
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    blob = kms.encrypt(KeyId=arn, Plaintext=CANARY)["CiphertextBlob"]
    before = server.books.store_hash()
    ended = run("dev", "--data-dir", server.dir, "--listen", f"127.0.0.1:{free_ports(3)}")
    assert ended.returncode == 1 and "ready" not in ended.stdout, ended.stderr
    assert server.books.store_hash() == before
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == CANARY
    # The first one's HSM is still its own, also when it has to be started again.
    killed = server.kill_hsm()
    server.find_hsm(after=killed)
    wait_until(lambda: served(kms, blob), "the first server serves again")
    server.stop()


def served(kms, blob: bytes) -> bool:
    try:
        return kms.decrypt(CiphertextBlob=blob)["Plaintext"] == CANARY
    except ClientError as error:
        assert error.response["Error"]["Code"] == "DependencyTimeoutException"
        return False


def test_a_request_in_flight_is_answered_before_an_orderly_end(make_server):
    server: Server = make_server().start()
    key = server.client().create_key()["KeyMetadata"]["KeyId"]
    # `100 Continue` says that the server has begun to read the request; only then is it asked to end.
    request = server.signer().call("GenerateDataKey", {"KeyId": key, "KeySpec": "AES_256"})
    request = request.adding(("Content-Length", str(len(request.body))), ("Expect", "100-continue"))
    with server.connect() as connection, server.connect() as idle:
        connection.send(request.head())
        assert connection.reply().status == 100
        server.program.process.terminate()
        # Idle connections are closed at once: the server has begun to end.
        assert idle.is_closed()
        check_stays(lambda: is_running(server.hsm_pid), "the HSM was ended before the request that needs it")
        connection.send(request.body)
        reply = connection.reply()
        assert (reply.status, reply.json().get("__type")) == (200, None)
        assert connection.is_closed()
    assert server.program.process.wait(DEADLINE_SECONDS) == 0
    assert not is_running(server.hsm_pid)
    assert [event["eventName"] for event in server.books.events()] == ["CreateKey", "GenerateDataKey"]
    assert server.books.verify().returncode == 0


def spoil(folder: Path) -> None:
    for copy in folder.iterdir():
        copy.write_bytes(copy.read_bytes()[:-1])


def empty(folder: Path) -> None:
    for copy in folder.iterdir():
        copy.unlink()


def truncate(folder: Path) -> None:
    for copy in folder.iterdir():
        copy.write_bytes(b"")


@pytest.mark.parametrize("damage", [empty, spoil, truncate, shutil.rmtree])
def test_a_store_whose_seal_is_gone_is_refused_and_no_new_seal_is_made(make_server, tmp_path: Path, damage):
    server: Server = make_server().start()
    blob = (kms := server.client()).encrypt(KeyId=kms.create_key()["KeyMetadata"]["KeyId"], Plaintext=CANARY)
    server.stop()
    seal, kept = server.dir / "seal", tmp_path / "kept"
    shutil.copytree(seal, kept)
    damage(seal)
    before = {path.name: path.read_bytes() for path in seal.iterdir()} if seal.exists() else {}
    store = server.books.store_hash()
    ended = run("dev", "--data-dir", server.dir, "--listen", f"127.0.0.1:{server.port}")
    assert ended.returncode == 1 and "ready" not in ended.stdout, ended.stdout
    after = {path.name: path.read_bytes() for path in seal.iterdir()} if seal.exists() else {}
    assert after == before, "a seal was made or changed"
    assert server.books.store_hash() == store
    shutil.rmtree(seal, ignore_errors=True)
    shutil.copytree(kept, seal)
    server.start()
    assert kms.decrypt(CiphertextBlob=blob["CiphertextBlob"])["Plaintext"] == CANARY
    server.stop()


def test_one_good_copy_of_the_seal_repairs_the_other(make_server):
    server: Server = make_server().start()
    server.stop()
    copies = sorted((server.dir / "seal").iterdir())
    whole = copies[0].read_bytes()
    copies[0].write_bytes(whole[: len(whole) // 2])
    server.start()
    assert copies[0].read_bytes() == whole
    server.stop()


@pytest.mark.parametrize("what", ["store", "seal"])
def test_files_are_for_their_owner_only(server: Server, what):
    assert what in {path.stem.split("-")[0] for path in server.dir.rglob("*")}
    for path in server.dir.rglob("*"):
        if not path.is_socket():
            assert path.stat().st_mode & 0o077 == 0, path


def test_metrics_count_requests_by_operation_and_outcome(make_server):
    server: Server = make_server().start()
    kms = server.client()
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    kms.encrypt(KeyId=arn, Plaintext=CANARY)
    server.client(tls=True).encrypt(KeyId=arn, Plaintext=CANARY)
    with pytest.raises(ClientError):
        kms.encrypt(KeyId="alias/nope", Plaintext=CANARY)
    with server.connect() as connection:
        assert connection.exchange(server.signer().unsigned("TrentService.Made up by the caller")).status == 400
    for name, expected in [
        ('claviger_requests_total{operation="CreateKey",outcome="answered"}', 1),
        ('claviger_requests_total{operation="Encrypt",outcome="answered"}', 2),
        ('claviger_requests_total{operation="Encrypt",outcome="refused"}', 1),
        ('claviger_requests_total{operation="Encrypt",outcome="failed"}', 0),
        ('claviger_requests_total{operation="other",outcome="refused"}', 1),
        ('claviger_request_seconds_count{operation="Encrypt"}', 3),
        ("claviger_unauthenticated_total", 1),
        ('claviger_tls_handshakes_total{key_exchange="x25519"}', 1),
    ]:
        assert server.metric(name) == expected, name
    wait_until(lambda: server.metric("claviger_ledger_sequence") == 4, "the gauge of the ledger")
    status, text = server.status("/metrics")
    assert status == 200 and "Made up" not in text
    check_no_secret(server, text)
    assert server.status("/healthz") == (200, '{"hsm":true,"audit":true}\n')
    assert server.status("/")[0] == 404
    with Connection(server.status_port) as connection:
        assert connection.exchange(server.signer().call("ListKeys")).status == 404
    server.stop()


FIELDS = {
    "CreateKey": {"status": 200, "level": "INFO"},
    "Encrypt": {"status": 200, "level": "INFO"},
    "Decrypt": {"status": 400, "level": "INFO", "error": "InvalidCiphertextException"},
    "ListKeys": {"status": 400, "level": "INFO", "error": "MissingAuthenticationTokenException"},
}


def test_each_request_has_one_line_in_the_log_and_no_secret_in_it(make_server):
    server: Server = make_server().start()
    kms = server.client(tls=True)
    arn = kms.create_key(Description="said")["KeyMetadata"]["Arn"]
    context = {"secretly": "told"}
    blob = kms.encrypt(KeyId=arn, Plaintext=CANARY, EncryptionContext=context)["CiphertextBlob"]
    with pytest.raises(ClientError):
        kms.decrypt(CiphertextBlob=blob)
    with server.connect() as connection:
        assert connection.exchange(server.signer().unsigned("TrentService.ListKeys")).status == 400

    def lines() -> list[dict]:
        read = [json.loads(line) for line in server.log().splitlines()]
        return [line for line in read if line.get("message") == "request"]

    wait_until(lambda: len(lines()) == len(FIELDS), "four lines")
    events = {event["requestID"]: number for number, event in enumerate(server.books.events(), 1)}
    for line, (operation, fields) in zip(lines(), FIELDS.items()):
        assert line["operation"] == operation and fields.items() <= line.items()
        assert UUID.fullmatch(line["request_id"]) and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line["time"])
        assert line["peer"] == "127.0.0.1" and line["micros"] > 0 and line["bytes_in"] > 0 and line["bytes_out"] > 0
        assert line.get("event") == events.get(line["request_id"])
        known = operation != "ListKeys"
        assert (line.get("access_key_id") == server.credentials.access_key_id) == known
        assert line.get("key_exchange") == ("x25519" if known else None)
    for hidden in ("told", "said", arn):
        assert hidden not in server.log(), "what a caller sent stands in the log"
    check_no_secret(server, server.log())
    server.stop()
    quiet: Server = make_server("--no-request-log").start()
    quiet.client().list_keys()
    quiet.stop()
    assert '"message":"request"' not in quiet.log()
