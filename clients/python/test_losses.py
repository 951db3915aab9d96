"""What an operator may lose or take away between two starts, and what clients and readers may hold on to."""

import shutil
import socket

import pytest
from botocore.exceptions import ClientError

from harness.installation import Installation
from harness.process import DEADLINE_SECONDS, wait_until
from harness.server import ACCOUNT, Server, run


def refused_start(server: Server, *options: object) -> str:
    """What a start says that is refused."""
    listen = f"127.0.0.1:{server.port}"
    ended = run("dev", "--data-dir", server.dir, "--listen", listen, *options)
    assert ended.returncode == 1 and ended.stdout == "", ended
    return ended.stderr


def test_a_store_that_is_gone_is_not_made_anew(make_server):
    server: Server = make_server().start()
    server.client().create_key()
    server.stop()
    store = server.dir / "data/store.redb"
    kept = server.output.parent / "kept.redb"
    shutil.move(store, kept)
    for _ in range(2):
        assert "the audit ledger ends with event 1, and the store is gone: bring the store back" in refused_start(server)
    assert "bring the store back" in refused_start(server, "--accept-lost-events"), "keys cannot be done without"
    shutil.move(kept, store)
    server.start()
    assert len(server.client().list_keys()["Keys"]) == 1
    server.stop()


@pytest.mark.parametrize("loss", ["all", "end"])
def test_a_ledger_that_lost_events_is_told(make_server, loss: str):
    server: Server = make_server().start()
    kms = server.client()
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    ledger = server.dir / "data/ledger"
    kept = server.output.parent / "kept"
    # A stop in good order has the store know how far the ledger has come; a copy is taken of what there is before.
    server.stop()
    shutil.copytree(ledger, kept)
    server.start()
    blob = server.client().encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]
    server.stop()
    whole = server.output.parent / "whole"
    shutil.move(ledger, whole)
    if loss == "end":
        shutil.copytree(kept, ledger)
        assert server.books.verify().returncode == 0, "the chain alone does not tell"
    last = 1 if loss == "end" else 0
    complaint = f"the audit ledger ends with event {last}, and event 2 was in it: events are lost"
    assert complaint in refused_start(server)
    assert ledger.exists() == (loss == "end"), "nothing is made where the ledger belongs"
    # With what was lost it starts as if nothing had been.
    shutil.rmtree(ledger, ignore_errors=True)
    shutil.copytree(whole, ledger)
    server.start()
    server.stop()
    # And without it when the operator says so, once.
    shutil.rmtree(ledger)
    if loss == "end":
        shutil.copytree(kept, ledger)
    server.options = ("--accept-lost-events",)
    server.start()
    assert server.client().decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
    server.stop()
    server.options = ()
    server.start()
    assert [event["eventName"] for event in server.books.events()] == ["CreateKey"] * last + ["Decrypt"]
    server.stop()


def test_a_root_key_that_was_deleted_stays_deleted(installation: Installation):
    installation.start()
    named = installation.credentials.access_key_id
    installation.client().create_key()
    new = installation.folder / "credentials"
    account = ("account", "--data-dir", installation.data)
    assert run(*account, "root-key", "create", ACCOUNT, "--credentials-file", new).returncode == 0
    assert run(*account, "root-key", "delete", ACCOUNT, named).returncode == 0
    for start in range(2):
        if start:
            installation.stop()
            installation.start()
        with pytest.raises(ClientError) as caught:
            installation.client().list_keys()
        assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException"
        assert named not in run(*account, "list").stdout
    assert "was deleted and stays so" in installation.host.stderr()
    # Without any in the configuration none is made either: the account has had its own.
    installation.stop()
    installation.write_config(root=None)
    installation.start()
    assert not (installation.data / "root-credentials").exists()
    assert run(*account, "list").stdout.count("AKIA") == 1
    installation.stop()


def test_credentials_that_were_moved_away_are_not_made_again(installation: Installation):
    installation.write_config(root=None)
    installation.start()
    (installation.data / "root-credentials").unlink()
    account = ("account", "--data-dir", installation.data)
    before = run(*account, "list").stdout
    installation.stop()
    installation.start()
    assert run(*account, "list").stdout == before
    assert not (installation.data / "root-credentials").exists()
    installation.stop()


def test_c06_idle_connections_leave_descriptors_to_the_rest(make_server):
    """Where descriptors are few, connections are fewer: those that are served go on, and so does the program."""
    server: Server = make_server("--threads", 2).start(before=("prlimit", "--nofile=400:400"))
    kms = server.client()
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    idle = [socket.create_connection(("127.0.0.1", server.port), DEADLINE_SECONDS) for _ in range(500)]
    kms.encrypt(KeyId=key, Plaintext=b"x")
    server.kill_hsm()
    server.find_hsm(server.hsm_pid)
    wait_until(lambda: encrypts(kms, key), "the link to the new HSM")
    for connection in idle:
        connection.close()
    wait_until(lambda: encrypts(server.client(), key), "new connections")
    assert "Too many open files" not in server.log()
    server.stop()


def encrypts(kms, key: str) -> bool:
    try:
        kms.encrypt(KeyId=key, Plaintext=b"x")
    except Exception:  # noqa: BLE001 - closed, reset, or 500 while the HSM is away
        return False
    return True


def test_a_log_that_nobody_reads_stops_nobody(make_server):
    server: Server = make_server().start(reads_log=False)
    kms = server.client()
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    for _ in range(500):
        kms.describe_key(KeyId=key)
    # The end of the HSM and the loss of the link to it are told in the log, by the threads that serve among others.
    for _ in range(3):
        server.kill_hsm()
        server.find_hsm(server.hsm_pid)
        wait_until(lambda: encrypts(kms, key), "requests are served")
    server.stop()
