"""TLS: versions and suites, what is refused, and what the trail says of a connection."""

import socket
import ssl

import pytest

from harness.http import Connection
from harness.oracle import UUID
from harness.process import DEADLINE_SECONDS
from harness.server import Server

CALL = {"NumberOfBytes": 8}


def context(server: Server, **settings) -> ssl.SSLContext:
    made = server.tls_context()
    for name, value in settings.items():
        setattr(made, name, value)
    return made


def only(server: Server, version: ssl.TLSVersion) -> ssl.SSLContext:
    return context(server, minimum_version=version, maximum_version=version)


def refused(server: Server, made: ssl.SSLContext, *reasons: str, name: str = "localhost") -> None:
    """The handshake fails for one of these reasons."""
    with pytest.raises((ssl.SSLError, ssl.CertificateError)) as caught:
        Connection(server.tls_port, made, name).close()
    said = str(caught.value).upper().replace(" ", "_")
    assert any(one in said for one in reasons), said


TLS13 = (ssl.TLSVersion.TLSv1_3, None, "TLSv1.3", "TLS_AES_256_GCM_SHA384")
TLS12 = [
    (ssl.TLSVersion.TLSv1_2, offered, "TLSv1.2", registered)
    for offered, registered in [
        ("ECDHE-ECDSA-AES256-GCM-SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"),
    ]
]


@pytest.mark.parametrize(
    ("agreed", "curve", "group"),
    [
        *((agreed, None, "x25519") for agreed in [TLS13, *TLS12]),
        *((agreed, "prime256v1", "secp256r1") for agreed in [TLS13, *TLS12]),
        # In TLS 1.2 the curves that a client offers also bound the certificates it takes, and this one is on P-256.
        (TLS13, "secp384r1", "secp384r1"),
    ],
)
def test_the_trail_names_what_was_agreed_as_iana_does(server, witness, agreed, curve, group):
    version, offered, named, suite = agreed
    made = only(server, version)
    if offered:
        made.set_ciphers(offered)
    if curve:
        made.set_ecdh_curve(curve)
    before = witness.standing()
    signer = server.signer(host=f"localhost:{server.tls_port}")
    with Connection(server.tls_port, made) as connection:
        reply = connection.exchange(signer.call("GenerateRandom", CALL))
    assert reply.status == 200
    (event,) = witness.new_events(before)
    assert event["tlsDetails"] == {
        "tlsVersion": named,
        "cipherSuite": suite,
        "clientProvidedHostHeader": f"localhost:{server.tls_port}",
        "keyExchange": group,
    }
    assert event["requestID"] == reply.request_id


def test_a_plain_request_has_no_tls_details(server, witness, connection):
    before = witness.standing()
    reply = connection.exchange(server.signer().call("GenerateRandom", CALL))
    assert reply.status == 200 and UUID.fullmatch(reply.request_id)
    (event,) = witness.new_events(before)
    assert "tlsDetails" not in event


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_are_refused(server, version):
    made = only(server, version)
    made.set_ciphers("ALL:@SECLEVEL=0")
    refused(server, made, "ALERT_PROTOCOL_VERSION", "ALERT_HANDSHAKE_FAILURE")


@pytest.mark.parametrize(
    "suites",
    [
        "AES256-GCM-SHA384:AES128-GCM-SHA256",
        "DHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA",
        "ECDHE-RSA-AES256-GCM-SHA384",
    ],
)
def test_suites_without_forward_secrecy_or_authenticated_encryption_are_refused(server, suites):
    made = only(server, ssl.TLSVersion.TLSv1_2)
    made.set_ciphers(suites + ":@SECLEVEL=0")
    refused(server, made, "HANDSHAKE_FAILURE")


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), ([], None)]
)
def test_http_1_1_is_negotiated(server, offered, chosen):
    made = server.tls_context()
    if offered:
        made.set_alpn_protocols(offered)
    with Connection(server.tls_port, made) as connection:
        assert connection.socket.selected_alpn_protocol() == chosen
        signer = server.signer(host=f"127.0.0.1:{server.tls_port}")
        assert connection.exchange(signer.call("GenerateRandom", CALL)).status == 200


def test_a_protocol_that_is_not_spoken_is_not_negotiated(server):
    made = server.tls_context()
    made.set_alpn_protocols(["h2"])
    refused(server, made, "NO_APPLICATION_PROTOCOL")


def test_clients_notice_an_authority_they_do_not_trust_and_a_name_that_is_not_the_servers(server):
    refused(server, ssl.create_default_context(), "CERTIFICATE_VERIFY_FAILED")
    refused(server, server.tls_context(), "CERTIFICATE_VERIFY_FAILED", name="kms.us-east-1.amazonaws.com")


def test_plain_http_on_the_tls_port_is_not_answered(server, witness):
    before = witness.standing()
    with Connection(server.tls_port) as connection:
        connection.send(server.signer().call("GenerateRandom", CALL).encode())
        connection.finish_sending()
        # At most a TLS alert comes back, and no byte of HTTP.
        assert b"HTTP" not in connection.socket.recv(4096)
    assert witness.standing() == before


def test_a_handshake_that_is_given_up_harms_nobody(server):
    for sent in (b"", b"\x16\x03\x01", b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"\0" * 4096):
        with socket.create_connection(("127.0.0.1", server.tls_port), DEADLINE_SECONDS) as given_up:
            given_up.sendall(sent)
    signer = server.signer(host=f"127.0.0.1:{server.tls_port}")
    with Connection(server.tls_port, server.tls_context()) as connection:
        assert connection.exchange(signer.call("GenerateRandom", CALL)).status == 200


def test_a_resumed_session_is_authenticated_anew(server, witness):
    """The session is TLS's; who calls is decided for each request."""
    made = only(server, ssl.TLSVersion.TLSv1_2)
    signer = server.signer(host=f"127.0.0.1:{server.tls_port}")
    with Connection(server.tls_port, made) as first:
        assert first.exchange(signer.call("GenerateRandom", CALL)).status == 200
        session = first.socket.session
    before = witness.standing()
    raw = socket.create_connection(("127.0.0.1", server.tls_port), DEADLINE_SECONDS)
    with made.wrap_socket(raw, server_hostname="localhost", session=session) as resumed:
        assert resumed.session_reused
        resumed.sendall(signer.unsigned("TrentService.GenerateRandom").encode())
        assert resumed.recv(4096).startswith(b"HTTP/1.1 400")
    after = witness.standing()
    assert (after.events, after.security_lines) == (before.events, before.security_lines + 1)
