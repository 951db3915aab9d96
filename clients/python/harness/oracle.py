"""The universal oracle: what must hold for every refusal, whatever it refuses.

A refused request changes nothing; it leaves exactly one event when someone was authenticated, and otherwise none and
one line in the security log; and no secret stands in the answer, the event or the log.
"""

import base64
import re
from dataclasses import dataclass

from harness.http import Reply
from harness.server import Server

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Stands in the plaintexts of tests; must never stand anywhere that a reply to its owner does not.
CANARY = b"canary-4f7c1e0a9d3b"
JSON = "application/x-amz-json-1.1"


def spellings(secret: bytes) -> list[bytes]:
    """The ways in which a secret may stand in a text."""
    return [secret, base64.b64encode(secret).rstrip(b"=")[:-1], secret.hex().encode()]


def check_no_secret(server: Server, *places: bytes | str) -> None:
    """None of the places holds a canary or the root user's secret."""
    secrets = [CANARY, server.credentials.secret_access_key.encode()]
    for place in places:
        text = place if isinstance(place, bytes) else place.encode()
        for secret in secrets:
            for spelling in spellings(secret):
                assert spelling not in text, f"{spelling!r} stands in {text[:2000]!r}"


def matches(expected: object, actual: object) -> bool:
    """Equality, in which a compiled pattern equals every text that it matches as a whole."""
    if isinstance(expected, re.Pattern):
        return isinstance(actual, str) and expected.fullmatch(actual) is not None
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(matches(expected[key], actual[key]) for key in expected)
    return expected == actual


def error(kind: str, message: str | re.Pattern | None = None) -> dict:
    """The body of an error, with AWS's spelling of `message`."""
    name = "Message" if kind in ("AccessDeniedException", "SerializationException") else "message"
    return {"__type": kind} | ({name: message} if message is not None else {})


@dataclass(frozen=True)
class Standing:
    """The books as they stand at a moment."""

    events: int
    security_lines: int
    store: str


class Witness:
    """Holds the answers of one server against its books."""

    def __init__(self, server: Server):
        self.server = server
        self._seen = 0

    def standing(self) -> Standing:
        """How the books stand now."""
        books = self.server.books
        self._seen += len(books.events(self._seen + 1))
        return Standing(self._seen, len(books.security_lines()), books.store_hash())

    def new_events(self, since: Standing) -> list[dict]:
        return self.server.books.events(since.events + 1)

    def check_denied(self, before: Standing, replies: list[Reply], **expected) -> list[dict]:
        """The replies refuse requests that authenticated someone. Gives their events."""
        for reply in replies:
            self._check_reply(reply, **expected)
        events = self.new_events(before)
        assert [event["requestID"] for event in events] == [reply.request_id for reply in replies]
        for event, reply in zip(events, replies):
            self._check_event(event, reply)
        after = self.standing()
        assert after.security_lines == before.security_lines
        assert after.store == before.store, "a refused request changed the store"
        return events

    def check_unauthenticated(self, before: Standing, replies: list[Reply], **expected) -> None:
        """The replies refuse requests that authenticated nobody."""
        for reply in replies:
            self._check_reply(reply, **expected)
        after = self.standing()
        assert after.events == before.events, "a request of nobody stands in the ledger"
        assert after.store == before.store, "a request of nobody changed the store"
        lines = self.server.books.security_lines()[before.security_lines :]
        assert [line["request_id"] for line in lines] == [reply.request_id for reply in replies]
        for line, reply in zip(lines, replies):
            assert line["status"] == reply.status and line["peer"] == "127.0.0.1"
            check_no_secret(self.server, str(line))

    def _check_reply(self, reply: Reply, *, status: int, body: dict | bytes, content_type: str | None = JSON) -> None:
        actual = reply.json() if isinstance(body, dict) else reply.body
        assert (reply.status, reply.headers["Content-Type"]) == (status, content_type), (reply.status, reply.body)
        assert matches(body, actual), f"{actual}\nis not\n{body}"
        assert UUID.fullmatch(reply.request_id)
        assert reply.headers["Cache-Control"] == "no-cache, no-store, must-revalidate, private"
        check_no_secret(self.server, reply.body, str(reply.headers))

    def _check_event(self, event: dict, reply: Reply) -> None:
        check_no_secret(self.server, str(event))
        assert event["eventVersion"] == "1.11" and UUID.fullmatch(event["eventID"])
        assert event["userIdentity"]["accessKeyId"] == self.server.credentials.access_key_id
        assert event["responseElements"] is None
        if reply.headers["Content-Type"] != JSON:
            return
        body = reply.json()
        kind = body.get("__type") or body["Output"]["__type"].rpartition("#")[2]
        code = "AccessDenied" if kind == "AccessDeniedException" else kind
        message = body.get("message", body.get("Message"))
        shown = None if message is None else message.encode()[:1024].decode(errors="ignore")
        assert (event["errorCode"], event.get("errorMessage")) == (code, shown)
