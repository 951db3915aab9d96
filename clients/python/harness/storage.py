"""A tiny storage service that speaks enough of S3 for boto3, and encrypts every object as S3 does with SSE-KMS.

It knows no user's secret. What a user signed it passes on to Claviger, which verifies it and decides for that user.
"""

import base64
import hashlib
import http.server
import os
import threading
import urllib.parse

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from harness.http import Connection, Reply
from harness.signing import Credentials, Signer


def canonical_request(method: str, target: str, headers: dict[str, str], signed: str) -> str:
    """What the user signed ("Create a signed AWS API request", for Amazon S3), from what arrived."""
    path, _, query = target.partition("?")
    pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    canonical_query = "&".join(f"{urllib.parse.quote(k, '-_.~')}={urllib.parse.quote(v, '-_.~')}" for k, v in pairs)
    lines = [f"{name}:{' '.join(headers[name].split())}" for name in signed.split(";")]
    return "\n".join([method, path, canonical_query, *lines, "", signed, headers["x-amz-content-sha256"]])


def forward_access(method: str, target: str, headers: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """The headers by which the service shows that the user asked."""
    parts = dict(part.strip().split("=", 1) for part in headers["authorization"].split(" ", 1)[1].split(","))
    hashed = hashlib.sha256(canonical_request(method, target, headers, parts["SignedHeaders"]).encode()).hexdigest()
    proof = (
        f"Credential={parts['Credential']}, SignedAt={headers['x-amz-date']}, RequestHash={hashed}, "
        f"Signature={parts['Signature']}"
    )
    token = headers.get("x-amz-security-token")
    return (("X-Amz-Forward-Access", proof), *((("X-Amz-Forward-Access-Token", token),) if token else ()))


class Storage:
    """The service: a port, a credential of its own, and objects that only Claviger's keys open."""

    def __init__(self, kms_port: int, credentials: Credentials):
        self.kms_port, self.credentials = kms_port, credentials
        self.objects: dict[str, tuple[str, bytes, bytes]] = {}
        self.tamper = lambda headers: headers
        storage = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                storage.put(self, self.rfile.read(int(self.headers["Content-Length"])))

            def do_GET(self) -> None:
                storage.get(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self) -> "Storage":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def put(self, request, body: bytes) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            return answer(request, 400, b"the body is not what was signed")
        key = headers.get("x-amz-server-side-encryption-aws-kms-key-id", "alias/aws/s3")
        made = self.kms(request, headers, "GenerateDataKey", {"KeyId": key, "KeySpec": "AES_256"})
        if made.status != 200:
            return refuse(request, made)
        data_key, blob = base64.b64decode(made.json()["Plaintext"]), made.json()["CiphertextBlob"]
        nonce = os.urandom(12)
        self.objects[request.path] = blob, nonce, AESGCM(data_key).encrypt(nonce, body, None)
        answer(request, 200, b"", ("x-amz-server-side-encryption-aws-kms-key-id", made.json()["KeyId"]))

    def get(self, request) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        blob, nonce, sealed = self.objects[request.path]
        opened = self.kms(request, headers, "Decrypt", {"CiphertextBlob": blob})
        if opened.status != 200:
            return refuse(request, opened)
        answer(request, 200, AESGCM(base64.b64decode(opened.json()["Plaintext"])).decrypt(nonce, sealed, None))

    def kms(self, request, headers: dict[str, str], operation: str, body: dict) -> Reply:
        """Calls Claviger as itself, on behalf of the user whose request this is."""
        arn = f"arn:aws:s3:::{request.path.lstrip('/')}"
        context = {"EncryptionContext": {"aws:s3:arn": arn}}
        forwarded = self.tamper(forward_access(request.command, request.path, headers))
        signer = Signer(self.credentials, f"127.0.0.1:{self.kms_port}")
        with Connection(self.kms_port) as connection:
            return connection.exchange(signer.call(operation, body | context, headers=forwarded))


def answer(request, status: int, body: bytes, *headers: tuple[str, str]) -> None:
    request.send_response(status)
    for name, value in (("Content-Length", str(len(body))), *headers):
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


def refuse(request, reply: Reply) -> None:
    """As S3 answers for its KMS."""
    error = reply.json()
    code, message = error["__type"].removesuffix("Exception"), error.get("Message", error.get("message", ""))
    answer(request, 403, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())
