"""HTTP one byte at a time: requests that no client library would send, and replies as they stand on the wire."""

import http.client
import json
import socket
import ssl
from dataclasses import dataclass, replace
from email.message import Message

from harness.process import DEADLINE_SECONDS

# A body of this many bytes is accepted, one more is not.
MAX_BODY = 1024 * 1024


@dataclass(frozen=True)
class Reply:
    """One reply, whole."""

    status: int
    headers: Message
    body: bytes

    @property
    def request_id(self) -> str:
        return self.headers["x-amzn-RequestId"]

    def json(self) -> dict:
        return json.loads(self.body)


@dataclass(frozen=True)
class Request:
    """One request, with every header under the test's control."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def without(self, *names: str) -> "Request":
        """The same without some headers."""
        lower = {name.lower() for name in names}
        return replace(self, headers=tuple(pair for pair in self.headers if pair[0].lower() not in lower))

    def having(self, *pairs: tuple[str, str]) -> "Request":
        """The same with some headers replaced, or added at the end."""
        return self.without(*(name for name, _ in pairs)).adding(*pairs)

    def adding(self, *pairs: tuple[str, str]) -> "Request":
        """The same with more headers, beside any of the same name."""
        return replace(self, headers=self.headers + pairs)

    def header(self, name: str) -> str:
        return next(value for key, value in self.headers if key.lower() == name.lower())

    def head(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    def encode(self) -> bytes:
        """Head and body. A length is added unless the request has one, or is chunked."""
        framed = {name.lower() for name, _ in self.headers} & {"content-length", "transfer-encoding"}
        whole = self if framed else self.adding(("Content-Length", str(len(self.body))))
        return whole.head() + self.body


class Connection:
    """One connection."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None, name: str = "localhost"):
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=name)
        self._reader = self.socket.makefile("rb")

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def finish_sending(self) -> None:
        """Says that nothing more comes."""
        self.socket.shutdown(socket.SHUT_WR)

    def reply(self, method: str = "POST") -> Reply | None:
        """The next reply; `None` where the server closed the connection instead."""
        try:
            line = self._reader.readline()
        except ConnectionResetError:
            return None
        if not line:
            return None
        version, status, _ = line.decode().split(" ", 2)
        assert version == "HTTP/1.1", line
        headers = http.client.parse_headers(self._reader)
        length = 0 if method == "HEAD" or status.startswith("1") else int(headers["Content-Length"])
        return Reply(int(status), headers, self._reader.read(length))

    def exchange(self, request: Request) -> Reply:
        """Sends a request and gives its reply, which must come."""
        self.send(request.encode())
        reply = self.reply(request.method)
        assert reply is not None, f"the connection was closed without a reply to {request.method} {request.target}"
        return reply

    def is_closed(self) -> bool:
        """Waits for what comes next; whether it is the end of the connection."""
        try:
            return self._reader.read(1) == b""
        except ConnectionResetError:
            return True
