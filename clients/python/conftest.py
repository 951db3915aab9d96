"""Fixtures: servers, clients, keys. The suite's own settings keep out whatever AWS profile the tester has."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

from harness.installation import Installation  # noqa: E402
from harness.http import Connection  # noqa: E402
from harness.process import DEADLINE_SECONDS, tcp_sockets  # noqa: E402
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


class SlowClients:
    """Connections that send a part of something, and then nothing; and one that asks and takes no answers."""

    def __init__(self, server: Server):
        self.server = server
        self.baseline = tcp_sockets(server.program.pid)
        request = server.signer().call("CreateKey", {"Description": "never"})
        encoded = request.encode()
        head = encoded.index(b"\r\n\r\n") + 4
        chunked = request.adding(("Transfer-Encoding", "chunked")).head()
        self.clients = {
            "nothing": self._open(server.port, b""),
            "half a method": self._open(server.port, b"PO"),
            "half a head": self._open(server.port, encoded[: head // 2]),
            "a head without its end": self._open(server.port, encoded[: head - 2]),
            "no body": self._open(server.port, encoded[:head]),
            "half a body": self._open(server.port, encoded[:-5]),
            "a body without its last chunk": self._open(server.port, chunked + b"2\r\n{}\r\n"),
            "no handshake": self._open(server.tls_port, b""),
            "half a handshake": self._open(server.tls_port, b"\x16\x03\x01\x02\x00\x01"),
        }
        self.deaf = self._deafen(server.port)

    @staticmethod
    def _deafen(port: int) -> socket.socket:
        """Sends requests and reads nothing, until both ends have no room for more."""
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", port))
        client.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while True:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
        return client

    @staticmethod
    def _open(port: int, sent: bytes) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)
        client.sendall(sent)
        return client


@pytest.fixture(scope="session", autouse=True)
def slow_clients(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """Opened first of all, if a test wants them: by the time it runs, the server has lost its patience."""
    if not any(item.get_closest_marker("slow_clients") for item in request.session.items):
        yield None
        return
    server = Server(tmp_path_factory.mktemp("slow")).start()
    try:
        yield SlowClients(server)
        server.stop()
    finally:
        server.destroy()


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


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """A configuration of `claviger serve` with a new HSM that runs."""
    made = Installation(tmp_path / "i")
    try:
        yield made.start_hsm("--init")
    finally:
        made.destroy()


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
