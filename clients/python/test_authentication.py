"""Requests that authenticate nobody, or not who they claim to be: AWS's errors, no event, one security line each."""

import base64
import dataclasses
import datetime
import hashlib
import re

import pytest

from harness.http import Request
from harness.oracle import CANARY, error
from harness.signing import Credentials, Signer

BODY = {"KeyId": "x", "Plaintext": base64.b64encode(CANARY).decode()}
MISMATCH = error(
    "InvalidSignatureException",
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details.",
)
INVALID_TOKEN = error("UnrecognizedClientException", "The security token included in the request is invalid.")
MISSING = error("MissingAuthenticationTokenException", "Missing Authentication Token")
STAMP = r"\d{8}T\d{6}Z"


def good(signer: Signer, **more) -> Request:
    return signer.call("Encrypt", BODY, **more)


def check(witness, connection, request: Request, expected: dict) -> None:
    before = witness.standing()
    witness.check_unauthenticated(before, [connection.exchange(request)], status=400, body=expected)


def authorization(request: Request, old: str, new: str) -> Request:
    """The request with a part of its Authorization header replaced."""
    value = request.header("Authorization")
    assert old in value
    return request.having(("Authorization", value.replace(old, new)))


def incomplete(text: str) -> dict:
    return error("IncompleteSignatureException", re.compile(text))


def invalid(text: str) -> dict:
    return error("InvalidSignatureException", re.compile(text))


def other_keys(signer: Signer, **more: str) -> Signer:
    return dataclasses.replace(signer, credentials=dataclasses.replace(signer.credentials, **more))


HASHED = r"\(Hashed with SHA-256 and encoded with Base64\) Authorization=[A-Za-z0-9+/]{43}="


def lacking(part: str) -> dict:
    return incomplete(f"Authorization header requires '{part}' parameter. {HASHED}")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        pytest.param(make, expected, id=name)
        for name, make, expected in [
            ("unsigned", lambda s: s.unsigned("TrentService.Encrypt"), MISSING),
            ("no authorization", lambda s: good(s).without("Authorization"), MISSING),
            (
                "unknown access key",
                lambda s: good(other_keys(s, access_key_id="AKIAAAAAAAAAAAAAAAAA")),
                INVALID_TOKEN,
            ),
            ("wrong secret", lambda s: good(other_keys(s, secret_access_key="A" * 40)), MISMATCH),
            ("secret without its last character", lambda s: good(shorter(s)), MISMATCH),
            ("tampered body", lambda s: dataclasses.replace(good(s), body=good(s).body + b" "), MISMATCH),
            ("empty object for body", lambda s: dataclasses.replace(good(s), body=b"{}"), MISMATCH),
            ("tampered target", lambda s: good(s).having(("X-Amz-Target", "TrentService.Decrypt")), MISMATCH),
            ("tampered host", lambda s: good(s).having(("Host", "kms.example.com")), MISMATCH),
            (
                "tampered content type",
                lambda s: good(s).having(("Content-Type", "application/x-amz-json-1.1; charset=utf-8")),
                MISMATCH,
            ),
            ("tampered query", lambda s: dataclasses.replace(good(s), target="/?a=b"), MISMATCH),
            ("another date of the same day", lambda s: redated(good(s)), MISMATCH),
            (
                "unsigned extra header",
                lambda s: good(s).adding(("X-Amz-Evil", "1")),
                invalid(".*'x-amz-evil' must be.*"),
            ),
            ("signature of zeros", lambda s: signature(good(s), "0" * 64), MISMATCH),
            ("signature in capitals", lambda s: signature(good(s), good_signature(s).upper()), MISMATCH),
            ("signature cut short", lambda s: signature(good(s), good_signature(s)[:-1]), MISMATCH),
            ("empty signature", lambda s: signature(good(s), ""), lacking("Signature")),
            ("session token of nobody", lambda s: good(s, headers=(("X-Amz-Security-Token", "x"),)), INVALID_TOKEN),
            (
                "wrong service",
                lambda s: good(dataclasses.replace(s, service="sts")),
                error("InvalidSignatureException", "Credential should be scoped to correct service: 'kms'. "),
            ),
            (
                "wrong terminator",
                lambda s: authorization(good(s), "/aws4_request", "/aws5_request"),
                error(
                    "InvalidSignatureException",
                    "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'. ",
                ),
            ),
            (
                "wrong day",
                lambda s: authorization(good(s), "/" + good(s).header("X-Amz-Date")[:8] + "/", "/20200101/"),
                invalid(
                    r"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
                    rf"'20200101' != '\d{{8}}', from '{STAMP}'\."
                ),
            ),
            (
                "not a Region",
                lambda s: good(dataclasses.replace(s, region="nowhere")),
                error("InvalidSignatureException", "Credential should be scoped to a valid region. "),
            ),
            (
                "everything wrong with the scope",
                lambda s: authorization(
                    good(dataclasses.replace(s, region="nowhere", service="s3")), "/aws4_request", "/x"
                ),
                error(
                    "InvalidSignatureException",
                    "Credential should be scoped to a valid region. Credential should be scoped to correct service: "
                    "'kms'. Credential should be scoped with a valid terminator: 'aws4_request', not 'x'. ",
                ),
            ),
            (
                "a credential of four elements",
                lambda s: authorization(good(s), "/aws4_request", ""),
                incomplete("Credential must have exactly 5 slash-delimited elements.*"),
            ),
            ("no credential", lambda s: authorization(good(s), "Credential=", "Credentials="), incomplete(".*")),
            ("an equal sign too few", lambda s: authorization(good(s), "Signature=", "Signature"), incomplete(".*")),
            ("another algorithm", lambda s: authorization(good(s), "HMAC-SHA256", "HMAC-SHA1"), incomplete(".*")),
            (
                "no date",
                lambda s: good(s).without("X-Amz-Date"),
                incomplete(
                    "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. " + HASHED
                ),
            ),
            (
                "a date that is none",
                lambda s: good(s).having(("X-Amz-Date", "yesterday")),
                incomplete("Date must be.*"),
            ),
            ("two dates", lambda s: good(s).adding(("X-Amz-Date", "20200101T000000Z")), invalid(".*more than once.*")),
            (
                "two authorizations",
                lambda s: good(s).adding(("Authorization", good(s).header("Authorization"))),
                invalid(".*more than once.*"),
            ),
            (
                "header and query",
                lambda s: dataclasses.replace(good(s), target="/?X-Amz-Algorithm=AWS4-HMAC-SHA256"),
                error(
                    "InvalidSignatureException",
                    "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
                ),
            ),
            (
                "unsigned payload",
                lambda s: good(s, headers=(("X-Amz-Content-SHA256", "UNSIGNED-PAYLOAD"),)),
                invalid(".*"),
            ),
            (
                "hash of another payload",
                lambda s: good(s, headers=(("X-Amz-Content-SHA256", hashlib.sha256(b"x").hexdigest()),)),
                invalid(".*"),
            ),
            ("basic", lambda s: good(s).having(("Authorization", "Basic Y2FuYXJ5OmNhbmFyeQ==")), incomplete(".*")),
            ("bearer", lambda s: good(s).having(("Authorization", "Bearer abc")), incomplete(".*")),
            ("empty", lambda s: good(s).having(("Authorization", "")), incomplete(".*")),
        ]
    ],
)
def test_who_is_not_authenticated(server, witness, connection, make, expected):
    check(witness, connection, make(server.signer()), expected)


def shorter(signer: Signer) -> Signer:
    return other_keys(signer, secret_access_key=signer.credentials.secret_access_key[:-1])


def signature(request: Request, value: str) -> Request:
    return request.having(("Authorization", request.header("Authorization")[:-64] + value))


def good_signature(signer: Signer) -> str:
    return good(signer).header("Authorization")[-64:]


def redated(request: Request) -> Request:
    """The same request, one second off: within the window, and not what was signed."""
    date = datetime.datetime.strptime(request.header("X-Amz-Date"), "%Y%m%dT%H%M%SZ")
    second = date.replace(second=(date.second + 1) % 60)
    return request.having(("X-Amz-Date", second.strftime("%Y%m%dT%H%M%SZ")))


@pytest.mark.parametrize(
    ("off", "text"),
    [
        (-6, rf"Signature expired: {STAMP} is now earlier than {STAMP} \({STAMP} - 5 min\.\)"),
        (-60 * 24 * 365, rf"Signature expired: {STAMP} is now earlier than {STAMP} \({STAMP} - 5 min\.\)"),
        (6, rf"Signature not yet current: {STAMP} is still later than {STAMP} \({STAMP} \+ 5 min\.\)"),
        (60 * 24, rf"Signature not yet current: {STAMP} is still later than {STAMP} \({STAMP} \+ 5 min\.\)"),
    ],
)
def test_a_clock_that_is_more_than_five_minutes_off(server, witness, connection, off, text):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=off)
    request = good(server.signer(), at=at)
    check(witness, connection, request, invalid(text))
    before = witness.standing()
    reply = connection.exchange(request)
    assert request.header("X-Amz-Date") in reply.json()["message"]
    assert witness.standing().events == before.events


@pytest.mark.parametrize("minutes", [-4, 4])
def test_a_clock_that_is_less_than_five_minutes_off_is_accepted(server, connection, minutes):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    reply = connection.exchange(server.signer().call("GenerateRandom", {"NumberOfBytes": 8}, at=at))
    assert reply.status == 200


def test_a_repeated_request_is_carried_out_again_and_recorded_again(server, witness, connection):
    """SigV4 has no nonce: within its window a request is as good as its signature. The trail shows each time."""
    request = server.signer().call("GenerateRandom", {"NumberOfBytes": 8})
    before = witness.standing()
    replies = [connection.exchange(request) for _ in range(2)]
    assert [reply.status for reply in replies] == [200, 200]
    assert [event["requestID"] for event in witness.new_events(before)] == [reply.request_id for reply in replies]


def test_an_access_key_id_tells_only_that_it_exists(server, connection):
    """As AWS does, an id that nobody has is answered otherwise than a wrong secret; neither answer tells more."""

    def answer(access_key_id: str, secret: str) -> tuple:
        signer = Signer(Credentials(access_key_id, secret), f"127.0.0.1:{server.port}")
        reply = connection.exchange(good(signer))
        varies = ("x-amzn-requestid", "date")
        return reply.status, [item for item in reply.headers.items() if item[0].lower() not in varies], reply.json()

    known, secret = server.signer().credentials.access_key_id, server.signer().credentials.secret_access_key
    nearly = known[:-1] + ("A" if known[-1] != "A" else "B")
    unknown = [answer(other, secret) for other in (nearly, known.lower(), "AKIA" + "A" * 16, "x", "x" * 200)]
    wrong = [answer(known, other) for other in (secret[:-1], secret + "x", secret.swapcase(), "x", "y" * 200)]
    for answers, body in ((unknown, INVALID_TOKEN), (wrong, MISMATCH)):
        assert (answers[0][0], answers[0][2]) == (400, body)
        assert all(other == answers[0] for other in answers), answers
