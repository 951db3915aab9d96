"""What the front end refuses before it knows an operation: methods, content types, targets, bodies.

Each case is sent twice, signed and unsigned: the answer is the same, but only the first leaves an event.
"""

import json

import pytest

from harness.http import MAX_BODY, Connection, Reply, Request
from harness.oracle import CANARY, JSON, Witness, error
from harness.server import Server

XML = "application/xml"
NO_OPERATION = (
    b"<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized</Message>\n"
    b"</AccessDeniedException>\n"
)
UNKNOWN_XML = b"<UnknownOperationException/>\n"
BROKEN = error("SerializationException")
UNKNOWN = error("UnknownOperationException")
PLAIN = "application/json"
PLAIN_BROKEN = {"Output": {"__type": "com.amazon.coral.service#SerializationException"}, "Version": "1.0"}
PLAIN_UNKNOWN = {"Output": {"__type": "com.amazon.coral.service#UnknownOperationException"}, "Version": "1.0"}
ENCRYPT = "TrentService.Encrypt"
SECRET_BODY = json.dumps({"KeyId": "x", "Plaintext": CANARY.decode()}).encode()


def deep(depth: int) -> bytes:
    return b'{"KeyId":' + b"[" * depth + b"]" * depth + b"}"


def check(server: Server, witness: Witness, connection: Connection, request: Request, **expected) -> None:
    """The request is refused so, whoever sends it."""
    before = witness.standing()
    witness.check_denied(before, [connection.exchange(request)], **expected)
    before = witness.standing()
    nobody = request.without("Authorization", "X-Amz-Date")
    witness.check_unauthenticated(before, [connection.exchange(nobody)], **expected)


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "TRACE", "DELETE", "PATCH", "FANCY"])
def test_methods_other_than_post(server, witness, connection, method):
    request = server.signer().request(ENCRYPT, SECRET_BODY, method=method, headers=(("Origin", "http://evil"),))
    body = b"" if method == "HEAD" else NO_OPERATION
    check(server, witness, connection, request, status=403, body=body, content_type=XML)


def test_a_browser_may_ask_for_a_page(server, witness, connection):
    """Answered before anybody is authenticated, and logged as of nobody. What the page then sends needs a signature."""
    asked = (("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "X-Amz-Target,Authorization"))
    request = server.signer().request(ENCRYPT, SECRET_BODY, method="OPTIONS", headers=(("Origin", "http://evil"), *asked))
    read = {
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "x-amzn-RequestId,x-amzn-ErrorType,x-amzn-ErrorMessage,Date",
    }
    asking = {
        "access-control-allow-headers": "X-Amz-Target,Authorization",
        "access-control-allow-methods": "POST",
        "access-control-max-age": "172800",
    }
    for sent in (request, request.without("Authorization", "X-Amz-Date")):
        before = witness.standing()
        reply = connection.exchange(sent)
        witness.check_unauthenticated(before, [reply], status=200, body=b"", content_type=None)
        assert cross_origin(reply) == read | asking
    call = server.signer().request(ENCRYPT, SECRET_BODY, headers=(("Origin", "http://evil"),))
    for sent, expected in ((call, read), (call.without("Authorization"), read), (call.without("Origin"), {})):
        reply = connection.exchange(sent)
        assert (reply.status, cross_origin(reply)) == (400, expected)


def cross_origin(reply: Reply) -> dict[str, str]:
    """What a reply tells browsers."""
    told = ((name.lower(), value) for name, value in reply.headers.items())
    return {name: value for name, value in told if name.startswith("access-control-")}


@pytest.mark.parametrize(
    ("content_type", "target", "status", "kind", "body"),
    [
        ("text/plain", ENCRYPT, 404, XML, UNKNOWN_XML),
        ("text/plain", None, 403, XML, NO_OPERATION),
        (None, ENCRYPT, 404, XML, UNKNOWN_XML),
        (None, None, 403, XML, NO_OPERATION),
        ("application/x-amz-json-1.0", ENCRYPT, 404, XML, UNKNOWN_XML),
        ("application/cbor", ENCRYPT, 404, XML, UNKNOWN_XML),
        ("application/x-amz-json-1.1, text/plain", ENCRYPT, 404, XML, UNKNOWN_XML),
        ("application/json", ENCRYPT, 404, PLAIN, PLAIN_UNKNOWN),
        ("application/json", None, 404, PLAIN, PLAIN_UNKNOWN),
    ],
)
def test_content_types_other_than_aws_json(server, witness, connection, content_type, target, status, kind, body):
    request = server.signer().request(target, SECRET_BODY, content_type=content_type)
    check(server, witness, connection, request, status=status, body=body, content_type=kind)


@pytest.mark.parametrize(
    "target",
    [
        None,
        "TrentService.encrypt",
        "trentservice.Encrypt",
        "TrentService.Nope",
        "TrentService.",
        "TrentService",
        "Encrypt",
        ".Encrypt",
        "TrentService.Encrypt.Encrypt",
        "TrentService.TrentService.Encrypt",
        "AWSKMS.Encrypt",
        "DynamoDB_20120810.ListTables",
        "TrentService." + "x" * 5000,
    ],
)
def test_unknown_targets(server, witness, connection, target):
    check(server, witness, connection, server.signer().request(target, SECRET_BODY), status=400, body=UNKNOWN)


def test_a_target_that_stands_twice_is_none(server, witness, connection):
    """Which of the two would be carried out must not depend on who reads first. The signer signs both."""
    request = server.signer().request(ENCRYPT, SECRET_BODY, headers=(("X-Amz-Target", "TrentService.ListKeys"),))
    before = witness.standing()
    witness.check_unauthenticated(before, [connection.exchange(request)], status=400, body=UNKNOWN)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(body, id=repr(body[:24]))
        for body in [
            b"",
            b" ",
            b"{",
            b"{}{}",
            b"{} x",
            b"[]",
            b"null",
            b'"text"',
            b"1",
            b"{'KeyId':'x'}",
            b'{"KeyId":}',
            b'{"KeyId":"x",}',
            b'{"KeyId":"x"',
            b'{"KeyId":NaN}',
            b'{"KeyId":01e400}',
            b'{"KeyId":01}',
            b'{"KeyId":"\xff"}',
            b'{"KeyId":"\\ud800"}',
            b'{"KeyId":"\n"}',
            b"\xef\xbb\xbf{}",
            "{}".encode("utf-16"),
            b"KeyId=x",
            b'{"KeyId":"a","KeyId":"b"}',
            b'{"KeyId":"a","\\u004beyId":"b"}',
            b'{"EncryptionContext":{"a":"1","a":"1"}}',
            deep(32),
            deep(100_000),
            b'{"a":' * 100_000,
            b"{" + b'"a":1,' * 1000 + b'"a":1}',
        ]
    ],
)
def test_bodies_that_are_no_json_object(server, witness, connection, body):
    check(server, witness, connection, server.signer().call("DescribeKey", body), status=400, body=BROKEN)
    plain = server.signer().request("TrentService.DescribeKey", body, content_type="application/json")
    check(server, witness, connection, plain, status=400, body=PLAIN_BROKEN, content_type=PLAIN)


@pytest.mark.parametrize("number", [b"1e400", b"-1e400", b"1" + b"0" * 400], ids=["large", "small", "long"])
def test_numbers_that_no_double_holds_are_numbers(server, witness, connection, number):
    before = witness.standing()
    expected = error("SerializationException", "NUMBER_VALUE can not be converted to a String")
    reply = connection.exchange(server.signer().call("DescribeKey", b'{"KeyId":' + number + b"}"))
    witness.check_denied(before, [reply], status=400, body=expected)
    reply = connection.exchange(server.signer().call("GenerateRandom", b'{"NumberOfBytes":16,"Other":' + number + b"}"))
    assert reply.status == 200


def test_the_deepest_body_is_read_and_one_level_more_is_not(server, witness, connection):
    """Here the limit is the neighbour of `deep(32)` above; what is read is then a list where a text belongs."""
    before = witness.standing()
    expected = error("SerializationException", "Start of list found where not expected")
    reply = connection.exchange(server.signer().call("DescribeKey", deep(31)))
    witness.check_denied(before, [reply], status=400, body=expected)


@pytest.mark.parametrize(("target", "body"), [(None, UNKNOWN), ("TrentService.Nope", UNKNOWN), (ENCRYPT, BROKEN)])
def test_an_empty_body_is_judged_by_its_target(server, witness, connection, target, body):
    check(server, witness, connection, server.signer().request(target, b""), status=400, body=body)


@pytest.mark.parametrize("path", ["/x", "//", "/index.html", "/%2e%2e/", "/TrentService.Encrypt", "/healthz"])
def test_paths_other_than_the_root(server, witness, connection, path):
    request = server.signer().request(ENCRYPT, SECRET_BODY, path=path)
    check(server, witness, connection, request, status=404, body=UNKNOWN_XML, content_type=XML)


def padded(length: int) -> bytes:
    """A good request of so many bytes."""
    return b'{"NumberOfBytes":16}' + b" " * (length - 20)


def test_the_largest_body_is_read_and_one_byte_more_is_not(server, witness):
    signer = server.signer()
    with server.connect() as connection:
        before = witness.standing()
        reply = connection.exchange(signer.call("GenerateRandom", padded(MAX_BODY)))
        assert reply.status == 200
        (event,) = witness.new_events(before)
        assert event["requestID"] == reply.request_id
    # The head alone is refused: the body is never waited for. Chunked bodies are counted as they come.
    too_large = signer.call("GenerateRandom", padded(MAX_BODY + 1))
    announced = too_large.adding(("Content-Length", str(MAX_BODY + 1))).head()
    chunked = too_large.adding(("Transfer-Encoding", "chunked")).head() + b"100001\r\n" + too_large.body
    for data in (announced, chunked):
        before = witness.standing()
        with server.connect() as connection:
            connection.send(data)
            reply = connection.reply()
            assert (reply.status, reply.body) == (413, b"")
            assert connection.is_closed()
        after = witness.standing()
        assert (after.events, after.store) == (before.events, before.store)
        assert server.books.security_lines()[before.security_lines :][0]["status"] == 413


def test_sts_refuses_in_its_own_words(server, witness, connection):
    form = "application/x-www-form-urlencoded"
    signer = server.signer(service="sts")
    for body, code, message in [
        (b"Action=Nope&Version=2011-06-15", "InvalidAction", "Could not find operation Nope for version 2011-06-15"),
        (b"Action=GetCallerIdentity&Version=2010-01-01", "InvalidAction", "Could not find operation GetCallerIdentity"),
        (b"Version=2011-06-15", "InvalidAction", "Could not find operation"),
    ]:
        before = witness.standing()
        reply = connection.exchange(signer.request(None, body, content_type=form))
        assert (reply.status, reply.headers["Content-Type"]) == (400, "text/xml")
        assert f"<Code>{code}</Code>" in reply.body.decode() and message in reply.body.decode()
        assert [event["requestID"] for event in witness.new_events(before)] == [reply.request_id]
        assert f"<RequestId>{reply.request_id}</RequestId>" in reply.body.decode()
    before = witness.standing()
    nobody = signer.unsigned(None, b"Action=GetCallerIdentity&Version=2011-06-15", content_type=form)
    reply = connection.exchange(nobody)
    assert (reply.status, reply.headers["Content-Type"]) == (403, "text/xml")
    assert b"<Code>MissingAuthenticationToken</Code>" in reply.body
    assert witness.standing().events == before.events


def test_a_head_that_is_answered_leaves_the_connection_usable(server, connection):
    """The reply to HEAD has a length and no body; what follows on the connection is the next reply, not its rest."""
    connection.exchange(server.signer().request(None, b"", method="HEAD", content_type=JSON))
    assert connection.exchange(server.signer().call("GenerateRandom", padded(20))).status == 200
