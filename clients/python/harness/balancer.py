"""A load balancer that speaks the PROXY protocol, version 2, to the server behind it."""

import contextlib
import ipaddress
import socket
import threading

from harness.process import DEADLINE_SECONDS

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
# AWS's extension, and the kind of it that holds the id of a VPC endpoint.
AWS, VPC_ENDPOINT = 0xEA, b"\x01"


def extension(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + len(value).to_bytes(2, "big") + value


def header(source: str | None, endpoint: str | None = None, *, command: int = 0x21, more: bytes = b"") -> bytes:
    """What stands before a connection of `source`, through a VPC endpoint if one is named."""
    if source is None:
        family, addresses = 0x00, b""
    else:
        address = ipaddress.ip_address(source)
        family = 0x11 if address.version == 4 else 0x21
        addresses = address.packed * 2 + (12345).to_bytes(2, "big") + (443).to_bytes(2, "big")
    rest = addresses + (extension(AWS, VPC_ENDPOINT + endpoint.encode()) if endpoint else b"") + more
    return SIGNATURE + bytes([command, family]) + len(rest).to_bytes(2, "big") + rest


class Balancer:
    """Passes connections on to a port, each with this before it."""

    def __init__(self, port: int, before: bytes):
        self.target, self.before = port, before
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Balancer":
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target), DEADLINE_SECONDS)
                server.sendall(self.before)
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass_on(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
