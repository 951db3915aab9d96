"""Web identities through boto3, with an OpenID Connect issuer that is really served over HTTPS."""

import base64
import datetime
import hashlib
import http.server
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import boto3.session
import botocore
import botocore.config
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

from harness.server import ACCOUNT, REGION, Server
from test_iam import ALLOW_KMS, Checker, client, refused

AUDIENCE = "sts.amazonaws.com"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8))


class Authority:
    """A certificate authority, and the certificate of one server that it signed."""

    def __init__(self, folder: Path, name: str):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self.signed(subject, subject, key, key, [x509.BasicConstraints(True, None)])
        server_key = ec.generate_private_key(ec.SECP256R1())
        addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        extensions = [x509.SubjectAlternativeName(addresses), x509.BasicConstraints(False, None)]
        server = self.signed(server_name, subject, server_key, key, extensions)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.pem(self.certificate))
        self.chain = folder / f"{name}-server.pem"
        private = server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.chain.write_bytes(private + self.pem(server) + self.pem(self.certificate))

    @staticmethod
    def pem(certificate: x509.Certificate) -> bytes:
        return certificate.public_bytes(serialization.Encoding.PEM)

    @staticmethod
    def signed(subject, issuer, key, signing_key, extensions) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=1))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(signing_key, hashes.SHA256())

    @property
    def thumbprint(self) -> str:
        return hashlib.sha1(self.certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


class Issuer:
    """An issuer on a port of its own; counts what is asked of it."""

    def __init__(self, authority: Authority, path: str = "/realm"):
        issuer = self
        self.key = rsa.generate_private_key(65537, 2048)
        self.asked: list[str] = []
        self.redirect: str | None = None

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                document = issuer.documents().get(self.path)
                if issuer.redirect is not None:
                    self.send_response(302)
                    self.send_header("Location", issuer.redirect)
                elif document is None:
                    self.send_response(404)
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(document)))
                self.end_headers()
                if document is not None and issuer.redirect is None:
                    self.wfile.write(document)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.chain)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.path = path
        self.address = f"localhost:{self.server.server_port}{path}"
        self.url = f"https://{self.address}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def documents(self) -> dict[str, bytes]:
        public = self.key.public_key().public_numbers()
        jwk = {"kty": "RSA", "kid": "k1", "use": "sig", "alg": "RS256", "n": number(public.n), "e": number(public.e)}
        configuration = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        return {
            f"{self.path}/.well-known/openid-configuration": json.dumps(configuration).encode(),
            f"{self.path}/keys": json.dumps({"keys": [jwk]}).encode(),
        }

    def token(self, **changes: object) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "sub": "system:app", "aud": AUDIENCE, "iat": now, "exp": now + 600} | changes
        header = {"alg": "RS256", "kid": "k1", "typ": "JWT"}
        message = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
        return f"{message}.{encoded(self.key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "trusted")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("other"), "stranger")


@pytest.fixture(scope="module")
def federated(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Server]:
    """A server that trusts the authority."""
    running = Server(tmp_path_factory.mktemp("f"), "--oidc-ca", authority.file).start()
    try:
        yield running
        running.stop()
    finally:
        running.destroy()


@pytest.fixture
def make_issuer(request: pytest.FixtureRequest):
    def make(authority: Authority) -> Issuer:
        issuer = Issuer(authority)
        request.addfinalizer(issuer.stop)
        return issuer

    return make


def unsigned(server: Server):
    """A client of STS without credentials."""
    config = botocore.config.Config(signature_version=botocore.UNSIGNED, retries={"total_max_attempts": 1})
    made = boto3.session.Session(region_name=REGION).client("sts", endpoint_url=server.url, config=config)
    Checker(made)
    return made


def register(server: Server, issuer: Issuer, role: str, **more: object) -> dict[str, str]:
    """Registers the issuer, and makes a role that trusts one subject of it."""
    iam = client(server, "iam")
    provider = iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=[AUDIENCE], **more)
    arn = provider["OpenIDConnectProviderArn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer.address}"
    condition = {"StringEquals": {f"{issuer.address}:sub": "system:app", f"{issuer.address}:aud": AUDIENCE}}
    statement = {
        "Effect": "Allow",
        "Principal": {"Federated": arn},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": condition,
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=document)["Role"]
    iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=ALLOW_KMS)
    return {"provider": arn, "role": made["Arn"]}


def test_a_web_identity_from_its_token_to_its_end(federated: Server, authority: Authority, make_issuer):
    issuer = make_issuer(authority)
    names = register(federated, issuer, "Web")
    first = len(federated.books.events()) + 1
    sts = unsigned(federated)
    answer = sts.assume_role_with_web_identity(
        RoleArn=names["role"], RoleSessionName="app", WebIdentityToken=issuer.token(), DurationSeconds=900
    )
    assert answer["SubjectFromWebIdentityToken"] == "system:app" and answer["Audience"] == AUDIENCE
    assert answer["Provider"] == issuer.address
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/Web/app"
    kms = client(federated, "kms", answer["Credentials"])
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"hello")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"hello"
    # One look at the issuer serves many tokens.
    for _ in range(5):
        sts.assume_role_with_web_identity(RoleArn=names["role"], RoleSessionName="app", WebIdentityToken=issuer.token())
    assert issuer.asked == ["/realm/.well-known/openid-configuration", "/realm/keys"]
    events = federated.books.events(first)
    assert events[0]["userIdentity"]["type"] == "WebIdentityUser"
    assert events[0]["userIdentity"]["identityProvider"] == names["provider"]
    context = events[1]["userIdentity"]["sessionContext"]
    assert context["webIdFederationData"]["federatedProvider"] == names["provider"]

    ask = {"RoleArn": names["role"], "RoleSessionName": "app"}
    exchange = sts.assume_role_with_web_identity
    refused(exchange, "AccessDenied", WebIdentityToken=issuer.token(sub="system:other"), **ask)
    refused(exchange, "InvalidIdentityToken", WebIdentityToken=issuer.token(aud="another"), **ask)
    refused(exchange, "ExpiredTokenException", WebIdentityToken=issuer.token(exp=int(time.time()) - 1), **ask)
    refused(exchange, "InvalidIdentityToken", WebIdentityToken=issuer.token() + "A", **ask)

    client(federated, "iam").delete_open_id_connect_provider(OpenIDConnectProviderArn=names["provider"])
    refused(kms.describe_key, "UnrecognizedClientException", KeyId=key)
    refused(exchange, "InvalidIdentityToken", WebIdentityToken=issuer.token(), **ask)


def test_a_server_is_vouched_for(federated: Server, stranger: Authority, make_issuer):
    """An authority that nobody trusts counts where the provider has its thumbprint, and nowhere else."""
    issuer = make_issuer(stranger)
    names = register(federated, issuer, "Pinned", ThumbprintList=["0" * 40])
    ask = {"RoleArn": names["role"], "RoleSessionName": "app"}
    exchange = unsigned(federated).assume_role_with_web_identity
    refused(exchange, "IDPCommunicationError", WebIdentityToken=issuer.token(), **ask)
    assert issuer.asked == []
    client(federated, "iam").update_open_id_connect_provider_thumbprint(
        OpenIDConnectProviderArn=names["provider"], ThumbprintList=[stranger.thumbprint]
    )
    assert exchange(WebIdentityToken=issuer.token(), **ask)["Audience"] == AUDIENCE


def test_redirects_are_not_followed(federated: Server, authority: Authority, make_issuer):
    """Attack: an issuer that sends the server somewhere else."""
    issuer, elsewhere = make_issuer(authority), make_issuer(authority)
    names = register(federated, issuer, "Moved")
    issuer.redirect = f"{elsewhere.url}/.well-known/openid-configuration"
    exchange = unsigned(federated).assume_role_with_web_identity
    ask = {"RoleArn": names["role"], "RoleSessionName": "app", "WebIdentityToken": issuer.token()}
    refused(exchange, "IDPCommunicationError", **ask)
    assert elsewhere.asked == [] and issuer.asked == ["/realm/.well-known/openid-configuration"]
    # It is not asked again at once.
    issuer.redirect = None
    refused(exchange, "IDPCommunicationError", **ask)
    assert len(issuer.asked) == 1


def test_every_call_of_providers_has_its_form(federated: Server, authority: Authority, make_issuer):
    iam, issuer = client(federated, "iam"), make_issuer(authority)
    tags = [{"Key": "a", "Value": "b"}]
    made = iam.create_open_id_connect_provider(Url=issuer.url, Tags=tags, ThumbprintList=["A" * 40])
    assert made["Tags"] == tags
    arn = {"OpenIDConnectProviderArn": made["OpenIDConnectProviderArn"]}
    iam.add_client_id_to_open_id_connect_provider(ClientID="one", **arn)
    iam.remove_client_id_from_open_id_connect_provider(ClientID="one", **arn)
    iam.tag_open_id_connect_provider(Tags=[{"Key": "c", "Value": "d"}], **arn)
    iam.untag_open_id_connect_provider(TagKeys=["a"], **arn)
    assert iam.list_open_id_connect_provider_tags(**arn)["Tags"] == [{"Key": "c", "Value": "d"}]
    shown = iam.get_open_id_connect_provider(**arn)
    assert shown["Url"] == issuer.address and shown["ThumbprintList"] == ["a" * 40] and shown["ClientIDList"] == []
    assert made["OpenIDConnectProviderArn"] in [it["Arn"] for it in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]]
    refused(iam.create_open_id_connect_provider, "EntityAlreadyExists", Url=issuer.url)
    refused(iam.create_open_id_connect_provider, "InvalidInput", Url="http://issuer.example")
    iam.delete_open_id_connect_provider(**arn)
    refused(iam.get_open_id_connect_provider, "NoSuchEntity", **arn)
