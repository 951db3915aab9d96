"""Where one request ends and the next begins: nobody hides a request in another, and nothing half-read is carried out.

Behind each request stands a second one, good and signed. Where the first is ambiguous, the second is never reached.
"""

import dataclasses

import pytest
from harness.process import wait_until

from harness.http import Request
from harness.server import Server
from harness.signing import Signer

CHUNKED = ("Transfer-Encoding", "chunked")
LENGTH = ("Content-Length", "2")
IN_CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"


def listing(signer: Signer) -> Request:
    """The first request; its body is two bytes."""
    return signer.call("ListKeys", b"{}")


def with_length(request: Request, length: str) -> bytes:
    return request.adding(("Content-Length", length)).head() + request.body


def with_header(request: Request, name: str, value: str) -> bytes:
    return request.adding((name, value)).encode()


def in_chunks(request: Request, body: bytes = IN_CHUNKS) -> bytes:
    return request.adding(CHUNKED).head() + body


def coded(request: Request, coding: str) -> bytes:
    return request.adding(("Transfer-Encoding", coding), LENGTH).head() + request.body


def replaced(request: Request, old: bytes, new: bytes) -> bytes:
    encoded = request.encode()
    assert old in encoded
    return encoded.replace(old, new)


# Refused by HTTP itself: status, and how the bytes are made from the first request.
MALFORMED = {
    "length with a sign": (400, lambda r: with_length(r, "+2")),
    "negative length": (400, lambda r: with_length(r, "-2")),
    "hexadecimal length": (400, lambda r: with_length(r, "0x2")),
    "empty length": (400, lambda r: with_length(r, "")),
    "list of lengths": (400, lambda r: with_length(r, "2, 2")),
    "length beyond all numbers": (400, lambda r: with_length(r, "9" * 30)),
    "two lengths": (400, lambda r: r.adding(LENGTH, ("Content-Length", "0")).head() + r.body),
    "coding identity": (400, lambda r: coded(r, "identity")),
    "coding unknown": (400, lambda r: coded(r, "xchunked")),
    "chunked is not the last coding": (400, lambda r: coded(r, "chunked, identity")),
    "space before the colon": (400, lambda r: replaced(r, b"Content-Length:", b"X-A : b\r\nContent-Length:")),
    "chunk length is no number": (400, lambda r: in_chunks(r, b"zz\r\n{}\r\n0\r\n\r\n")),
    "chunk length with a sign": (400, lambda r: in_chunks(r, b"+2\r\n{}\r\n0\r\n\r\n")),
    "chunk length beyond all numbers": (400, lambda r: in_chunks(r, b"f" * 18 + b"\r\n{}\r\n0\r\n\r\n")),
    "chunks with bare line feeds": (400, lambda r: in_chunks(r, b"2\n{}\n0\n\n")),
    "trailers": (400, lambda r: in_chunks(r, b"2\r\n{}\r\n0\r\nX-Amz-Target: TrentService.CreateKey\r\n\r\n")),
    "zero byte in a value": (400, lambda r: with_header(r, "X-A", "b\0c")),
    "zero byte in a name": (400, lambda r: with_header(r, "X-\0A", "b")),
    "bare carriage return": (400, lambda r: with_header(r, "X-A", "b\rX-Amz-Target: TrentService.CreateKey")),
    "folded value": (400, lambda r: with_header(r, "X-A", "b\r\n c")),
    "folded target": (400, lambda r: replaced(r, b"TrentService.", b"TrentService.\r\n ")),
    "space in the request target": (400, lambda r: replaced(r, b"POST / ", b"POST / / ")),
    "no version": (400, lambda r: replaced(r, b"POST / HTTP/1.1", b"POST /")),
    "version 3": (400, lambda r: replaced(r, b"HTTP/1.1", b"HTTP/3.0")),
    "a TLS handshake": (400, lambda r: b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\0" * 32),
    "101 header fields": (431, lambda r: r.adding(LENGTH, *((f"X-{n}", "v") for n in range(101))).head() + r.body),
    "a head of 200 KiB": (431, lambda r: with_header(r, "X-Long", "v" * 200 * 1024)),
    "a head of 70 KiB": (431, lambda r: with_header(r, "X-Long", "v" * 70 * 1024)),
    "a coding under the chunks": (501, lambda r: r.adding(("Transfer-Encoding", "gzip, chunked")).head() + IN_CHUNKS),
    "a request target of 70 KiB": (414, lambda r: dataclasses.replace(r, target="/?" + "x" * 70_000).encode()),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_requests_are_refused_and_end_the_connection(server: Server, witness, name):
    status, make = MALFORMED[name]
    before = witness.standing()
    signer = server.signer()
    with server.connect() as connection:
        connection.send(make(listing(signer)) + signer.call("GenerateRandom", {"NumberOfBytes": 1}).encode())
        reply = connection.reply()
        assert (reply.status, reply.body) == (status, b"")
        assert connection.is_closed(), "a second request was answered"
    check_noted(witness, before)


def check_noted(witness, before):
    """Nothing was carried out, and the security log has one line more: it is written once the connection has ended."""
    lines = before.security_lines + 1
    wait_until(lambda: witness.standing().security_lines == lines, "a line in the security log")
    after = witness.standing()
    assert (after.events, after.store) == (before.events, before.store), "it was carried out"


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda r, n: r.adding(("Content-Length", str(n)), CHUNKED).head() + IN_CHUNKS, id="CL.TE"),
        pytest.param(lambda r, n: r.adding(CHUNKED, ("Content-Length", str(n))).head() + IN_CHUNKS, id="TE.CL"),
        pytest.param(lambda r, _: r.adding(CHUNKED, ("Content-Length", "0")).head() + IN_CHUNKS, id="TE.CL of nothing"),
        pytest.param(lambda r, _: r.adding(("Transfer-Encoding", "\tchunked"), LENGTH).head() + IN_CHUNKS, id="tab"),
    ],
)
def test_a_request_with_two_lengths_is_the_last_of_its_connection(server: Server, witness, make):
    """RFC 9112, section 6.3: the chunks count, and whatever follows is not taken for a request."""
    before = witness.standing()
    signer = server.signer()
    hidden = signer.call("GenerateRandom", {"NumberOfBytes": 1}).encode()
    with server.connect() as connection:
        connection.send(make(listing(signer), len(IN_CHUNKS) + len(hidden)) + hidden)
        assert connection.reply().status == 200
        assert connection.is_closed(), "a second request was answered"
    assert [event["eventName"] for event in witness.new_events(before)] == ["ListKeys"]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda r: r.encode(), id="plain"),
        pytest.param(in_chunks, id="chunked"),
        pytest.param(lambda r: in_chunks(r, b"1;a=b\r\n{\r\n1\r\n}\r\n0\r\n\r\n"), id="two chunks and an extension"),
        pytest.param(lambda r: r.adding(LENGTH, LENGTH).head() + r.body, id="the same length twice"),
        pytest.param(lambda r: replaced(r, b"\r\n", b"\n"), id="bare line feeds"),
        pytest.param(lambda r: dataclasses.replace(r, target="http://elsewhere.example/").encode(), id="absolute form"),
        pytest.param(lambda r: with_header(r, "Connection", "Upgrade, HTTP2-Settings"), id="upgrade"),
    ],
)
def test_what_is_unambiguous_is_followed_by_the_next_request(server: Server, witness, make):
    before = witness.standing()
    signer = server.signer()
    with server.connect() as connection:
        connection.send(make(listing(signer)) + signer.call("GenerateRandom", {"NumberOfBytes": 1}).encode())
        replies = [connection.reply(), connection.reply()]
    assert [reply.status for reply in replies] == [200, 200]
    events = witness.new_events(before)
    assert [event["eventName"] for event in events] == ["ListKeys", "GenerateRandom"]
    assert [event["requestID"] for event in events] == [reply.request_id for reply in replies]


def test_a_header_hidden_behind_a_bare_line_feed_steers_nothing(server: Server, witness, connection):
    """A proxy may take it for part of a value. Here it is a header of its own, and one that was not signed."""
    before = witness.standing()
    signer = server.signer()
    for hidden in ("X-Amz-Target: TrentService.CreateKey", "Host: elsewhere", "X-Amz-Security-Token: x"):
        connection.send(with_header(listing(signer), "X-A", f"b\n{hidden}"))
        assert connection.reply().status == 400
    after = witness.standing()
    assert (after.events, after.store) == (before.events, before.store)
    assert after.security_lines == before.security_lines + 3


def test_http_2_without_negotiation_is_not_spoken(server: Server, witness):
    before = witness.standing()
    with server.connect() as connection:
        connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert connection.is_closed()
    check_noted(witness, before)


def test_a_connection_that_ends_in_the_middle_of_a_request_leaves_nothing(server: Server, witness):
    before = witness.standing()
    encoded = server.signer().call("CreateKey", b'{"Description":"never"}').encode()
    body = encoded.index(b"\r\n\r\n") + 4
    for cut in (1, body // 2, body - 1, body, body + 1, len(encoded) - 1):
        with server.connect() as connection:
            connection.send(encoded[:cut])
            connection.finish_sending()
            reply = connection.reply()
            assert reply is None or reply.status == 400, (cut, reply)
    after = witness.standing()
    assert (after.events, after.store) == (before.events, before.store)
