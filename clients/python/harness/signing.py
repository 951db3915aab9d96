"""Signed requests by the AWS SDK's own signer, with every part of them under the test's control."""

import datetime
import json
from dataclasses import dataclass, field
from unittest import mock

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from harness.http import Request

JSON = "application/x-amz-json-1.1"


@dataclass(frozen=True)
class Credentials:
    """An access key."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True)
class Signer:
    """Signs requests for one host, Region and service."""

    credentials: Credentials
    host: str
    region: str = "us-east-1"
    service: str = "kms"

    def call(self, operation: str, body: dict | bytes = b"{}", **more) -> Request:
        """A call of a KMS operation."""
        return self.request(f"TrentService.{operation}", body, **more)

    def request(
        self,
        target: str | None,
        body: dict | bytes = b"{}",
        *,
        method: str = "POST",
        path: str = "/",
        content_type: str | None = JSON,
        headers: tuple[tuple[str, str], ...] = (),
        at: datetime.datetime | None = None,
    ) -> Request:
        """A signed request. `at` is when it claims to be signed."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        unsigned = botocore.awsrequest.AWSRequest(method=method, url=f"http://{self.host}{path}", data=data)
        pairs = [("Host", self.host), ("Content-Type", content_type), ("X-Amz-Target", target), *headers]
        for name, value in pairs:
            if value is not None:
                unsigned.headers.add_header(name, value)
        keys = botocore.credentials.Credentials(self.credentials.access_key_id, self.credentials.secret_access_key)
        now = at or datetime.datetime.now(datetime.timezone.utc)
        with mock.patch("botocore.auth.get_current_datetime", lambda: now):
            botocore.auth.SigV4Auth(keys, self.service, self.region).add_auth(unsigned)
        return Request(method, path, tuple(unsigned.headers.items()), data)

    def unsigned(self, target: str | None, body: bytes = b"{}", **more) -> Request:
        """The same without any sign of who sends it."""
        return self.request(target, body, **more).without("Authorization", "X-Amz-Date")
