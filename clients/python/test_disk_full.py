"""A disk without room: requests are refused and have no effect, and all goes on by itself once there is room.

The data folder is on a small tmpfs of its own, which only the superuser can mount.
"""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.http import Reply
from harness.installation import Installation
from harness.process import is_running, wait_until

# Room for the store, and for two to three segments of the ledger, of 1 MiB each.
DISK = "8m"
SEGMENT = 1 << 20
# More events than two segments hold: the shortest is longer than 500 bytes.
MOST_EVENTS = 3 * SEGMENT // 500
CONNECTIONS = 4


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.fail("this test mounts a small disk: run it as root", pytrace=False)
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def small(disk: Path, tmp_path: Path) -> Iterator[Installation]:
    data = disk / "data"
    made = Installation(tmp_path / "i", data, audit={"segment_bytes": SEGMENT}, metrics=None)
    try:
        yield made.start_hsm("--init").start()
    finally:
        made.destroy()


def fill(disk: Path) -> Path:
    """Takes all the room there is."""
    filler = disk / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return filler


class Load:
    """Calls one operation on a few connections until it is refused, and keeps every reply."""

    def __init__(self, server: Installation):
        self.server = server
        self.replies: list[Reply] = []

    def call(self, operation: str, body: dict) -> Reply:
        with self.server.connect() as connection:
            reply = connection.exchange(self.server.signer().call(operation, body))
        self.replies.append(reply)
        return reply

    def until_refused(self, operation: str, body: dict) -> None:
        """Each connection stops at its first refusal, which must be of the kind that clients retry."""

        def run(_: int) -> list[Reply]:
            replies: list[Reply] = []
            with self.server.connect() as connection:
                while not replies or replies[-1].status == 200:
                    replies.append(connection.exchange(self.server.signer().call(operation, body)))
                    assert len(replies) < MOST_EVENTS, "a full disk refuses nothing"
            return replies

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for replies in pool.map(run, range(CONNECTIONS)):
                assert (replies[-1].status, replies[-1].json()["__type"]) in RETRYABLE, replies[-1].body
                self.replies += replies

    def ids(self, *, good: bool) -> set[str]:
        return {reply.request_id for reply in self.replies if (reply.status == 200) == good}


RETRYABLE = {(500, "KMSInternalException"), (500, "DependencyTimeoutException")}
# A description as long as may be, so that the store has to grow soon.
KEY = {"Description": "x" * 8192}


def check_books(server: Installation, load: Load) -> None:
    """What was answered, what happened and what was recorded are the same."""
    verified = server.books.verify()
    assert verified.returncode == 0, verified.stderr
    events = server.books.events()
    succeeded = {event["requestID"] for event in events if "errorCode" not in event}
    failed = {event["requestID"] for event in events if "errorCode" in event}
    assert succeeded == load.ids(good=True)
    assert failed <= load.ids(good=False)
    assert len(events) == len(succeeded) + len(failed), "an event stands twice"
    made = {
        event["responseElements"]["keyMetadata"]["keyId"]
        for event in events
        if event["eventName"] == "CreateKey" and "errorCode" not in event
    }
    listed = {key["KeyId"] for page in server.client().get_paginator("list_keys").paginate() for key in page["Keys"]}
    assert listed == made


@pytest.mark.parametrize("operation", ["GenerateRandom", "CreateKey"])
def test_a_full_disk_refuses_and_recovers(small: Installation, disk: Path, operation: str):
    load = Load(small)
    body = {"NumberOfBytes": 8} if operation == "GenerateRandom" else KEY
    assert load.call("CreateKey", KEY).status == 200
    filler = fill(disk)
    load.until_refused(operation, body)
    assert is_running(small.host.pid), small.host.stderr()
    before = small.books.store_hash()
    refused = [load.call(operation, body) for _ in range(20)]
    assert all((reply.status, reply.json()["__type"]) in RETRYABLE for reply in refused)
    if operation == "GenerateRandom":
        # A commit that finds no room may have begun to write; `check_books` shows that nothing came of it.
        assert small.books.store_hash() == before, "a refused request changed the store"
    filler.unlink()
    wait_until(lambda: load.call(operation, body).status == 200, "requests are served again")
    check_books(small, load)
    small.stop()


def test_a_host_that_ends_with_its_disk_full_starts_again_when_there_is_room(small: Installation, disk: Path):
    load = Load(small)
    assert load.call("CreateKey", KEY).status == 200
    filler = fill(disk)
    load.until_refused("CreateKey", KEY)
    small.host.destroy()
    filler.unlink()
    small.start()
    assert load.call("CreateKey", KEY).status == 200
    check_books(small, load)
    small.stop()
