"""Fixtures: servers, clients, keys. The suite's own settings keep out whatever AWS profile the tester has."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

from harness.http import Connection  # noqa: E402
from harness.oracle import Witness, check_no_secret  # noqa: E402
from harness.server import Server  # noqa: E402


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server that most tests share. When it ends, nothing secret may stand in anything that it wrote."""
    running = Server(tmp_path_factory.mktemp("s")).start()
    try:
        yield running
        running.stop()
        verified = running.books.verify()
        assert verified.returncode == 0, verified.stderr
        written = [running.log(), str(running.books.events()), str(running.books.security_lines())]
        check_no_secret(running, *written, (running.books.data / "store.redb").read_bytes())
    finally:
        running.destroy()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers of a test's own, which it may stop and kill."""
    made: list[Server] = []

    def make(*options: object) -> Server:
        made.append(Server(tmp_path / f"s{len(made)}", *options))
        return made[-1]

    yield make
    for one in made:
        one.destroy()


@pytest.fixture(scope="session")
def witness(server: Server) -> Witness:
    return Witness(server)


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    with server.connect() as made:
        yield made


@pytest.fixture(scope="session")
def kms(server: Server):
    """A boto3 client that does not retry."""
    return server.client()


@pytest.fixture(scope="session")
def key(kms) -> dict:
    """A key that tests share and leave as it is."""
    return kms.create_key(Description="shared")["KeyMetadata"]


@pytest.fixture
def new_key(kms) -> Callable[..., dict]:
    """Makes keys of a test's own."""
    return lambda **more: kms.create_key(**more)["KeyMetadata"]
