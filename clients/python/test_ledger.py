"""`claviger audit`: the whole chain is checked, and the first bad record is named."""

import re
import shutil
from pathlib import Path

import pytest

from harness.oracle import UUID
from harness.server import Server, run

EVENTS = 12


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory):
    """A stopped server with some events."""
    server = Server(tmp_path_factory.mktemp("ledger")).start()
    kms = server.client()
    for _ in range(EVENTS):
        kms.generate_random(NumberOfBytes=8)
    server.stop()
    yield server
    server.destroy()


@pytest.fixture
def copy(recorded: Server, tmp_path: Path):
    """A copy of its ledger, and the segment that holds the events. Removed at once: segments are large."""
    shutil.copytree(recorded.books.data / "ledger", tmp_path / "ledger")
    yield tmp_path / "ledger"
    shutil.rmtree(tmp_path / "ledger")


def segment(ledger: Path) -> Path:
    return sorted(ledger.iterdir())[0]


def change(file: Path, offset: int, to: bytes | None = None) -> None:
    """Writes some bytes at an offset, or flips one bit there."""
    with file.open("r+b") as opened:
        opened.seek(offset)
        old = opened.read(1)
        opened.seek(offset)
        opened.write(to or bytes([old[0] ^ 1]))


def places(file: Path) -> list[int]:
    """Where in a segment the events stand."""
    return [found.start() for found in re.finditer(rb'\{"eventVersion"', file.read_bytes()[: 1 << 20])]


def test_a_whole_ledger_is_verified_and_shown(recorded: Server):
    verified = recorded.books.verify()
    assert verified.returncode == 0
    assert re.fullmatch(rf"ok: {EVENTS} events, 1 to {EVENTS}, in \d+ segments; chain [0-9a-f]+\n", verified.stdout)
    events = recorded.books.events()
    assert len(events) == EVENTS and all(UUID.fullmatch(event["requestID"]) for event in events)
    assert recorded.books.events(5) == events[4:]
    assert recorded.books.events(EVENTS + 1) == []


@pytest.mark.parametrize("number", [1, 2, 7, EVENTS - 1])
@pytest.mark.parametrize("part", ["payload", "what stands before it"])
def test_a_flipped_bit_is_found_and_its_record_named(copy: Path, number: int, part: str):
    file = segment(copy)
    at = places(file)[number - 1]
    change(file, at + 100 if part == "payload" else at - 1)
    verified = run("audit", "verify", "--data-dir", copy.parent)
    assert verified.returncode == 1 and verified.stdout == ""
    assert verified.stderr.startswith(f"claviger: {copy}: record {number} (segment 1, "), verified.stderr
    shown = run("audit", "show", "--data-dir", copy.parent)
    assert shown.returncode == 1, "a bad record was shown as if it were good"


def test_records_that_change_places_are_found(copy: Path):
    file = segment(copy)
    data = file.read_bytes()[: 1 << 20]
    third, fourth, fifth = places(file)[2:5]
    assert fourth - third == fifth - fourth, "the events of this test are of one length"
    change(file, third, data[fourth:fifth] + data[third:fourth])
    verified = run("audit", "verify", "--data-dir", copy.parent)
    assert verified.returncode == 1 and ": record 3 (segment 1, " in verified.stderr, verified.stderr


def test_a_ledger_that_is_not_there_is_an_error(tmp_path: Path):
    for command in ("verify", "show"):
        ended = run("audit", command, "--data-dir", tmp_path / "nowhere")
        assert ended.returncode == 1 and "nowhere" in ended.stderr, ended


def test_a_damaged_ledger_is_not_served_on(recorded: Server, tmp_path: Path):
    """A server refuses to add to what it cannot vouch for, and leaves it as it is."""
    folder = tmp_path / "data"
    shutil.copytree(recorded.dir, folder, ignore=shutil.ignore_patterns("*.sock"))
    file = segment(folder / "data/ledger")
    change(file, places(file)[3] + 100)
    before = file.read_bytes()
    ended = run("dev", "--data-dir", folder, "--listen", f"127.0.0.1:{recorded.port}")
    assert ended.returncode == 1 and "ready" not in ended.stdout, ended.stderr
    assert file.read_bytes() == before
    shutil.rmtree(folder)


def test_the_ledger_can_be_read_while_it_is_written(server: Server, kms):
    for _ in range(3):
        kms.generate_random(NumberOfBytes=8)
        assert server.books.verify().returncode == 0
        assert server.books.events()[-1]["eventName"] == "GenerateRandom"
