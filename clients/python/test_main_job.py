"""The main job: files encrypted and decrypted by AWS's own clients, also after a restart and after a crash."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import aws_encryption_sdk
import botocore.session
import pytest
from aws_encryption_sdk.identifiers import CommitmentPolicy

from harness.oracle import CANARY
from harness.process import environment
from harness.server import Server

BIN = Path(sys.executable).parent
# A multiple of no frame length.
FILE_LEN = 10 * 1024 * 1024 + 1


def shell(server: Server, commands: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs commands in bash, with the clients of this environment on the path."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    given = environment(PATH=path, HOME=str(folder), **more)
    return subprocess.run(
        ["bash", "-c", commands], cwd=folder, env=given, capture_output=True, text=True, timeout=120, check=False
    )


def profile(server: Server) -> dict[str, str]:
    aws = server.dir / "aws"
    return {
        "AWS_CONFIG_FILE": str(aws / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(aws / "credentials"),
        "AWS_PROFILE": "claviger",
    }


def test_the_example_that_dev_prints_works_as_printed(server: Server, tmp_path: Path):
    ran = shell(server, f"set -euo pipefail\n{server.example()}", tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "hello\n", "")
    assert b"hello" not in (tmp_path / "hello.enc").read_bytes()


def test_the_aws_cli_does_the_main_job_over_tls(server: Server, tmp_path: Path):
    (tmp_path / "plain").write_bytes(CANARY)
    # `ca_bundle` of the profile makes the CLI trust the server.
    commands = f"""
        set -euo pipefail
        aws() {{ command aws --endpoint-url {server.tls_url} "$@"; }}
        KEY=$(aws kms create-key --tags TagKey=team,TagValue=cli --query KeyMetadata.Arn --output text)
        aws kms create-alias --alias-name alias/cli --target-key-id $KEY
        aws kms encrypt --key-id alias/cli --plaintext fileb://plain --encryption-context tenant=a \
            --query CiphertextBlob --output text | base64 -d > blob
        aws kms decrypt --ciphertext-blob fileb://blob --encryption-context tenant=a --key-id $KEY \
            --query Plaintext --output text | base64 -d > opened
        aws kms list-resource-tags --key-id $KEY
        aws sts get-caller-identity
        aws kms decrypt --ciphertext-blob fileb://blob --encryption-context tenant=b && exit 1 || echo "exit $?"
    """
    ran = shell(server, commands, tmp_path, **profile(server))
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "opened").read_bytes() == CANARY
    assert "An error occurred (InvalidCiphertextException) when calling the Decrypt operation" in ran.stderr
    outputs, _, code = ran.stdout.rpartition("exit ")
    assert code in ("254\n", "255\n")
    tags, end = json.JSONDecoder().raw_decode(outputs)
    assert tags == {"Tags": [{"TagKey": "team", "TagValue": "cli"}]}
    root = {"UserId": "111122223333", "Account": "111122223333", "Arn": "arn:aws:iam::111122223333:root"}
    assert json.loads(outputs[end:]) == root


class EncryptionSdk:
    """The AWS Encryption SDK for Python, over TLS with the generated authority."""

    def __init__(self, server: Server, arn: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("AWS_CA_BUNDLE", str(server.ca))
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", server.tls_url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.credentials.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.credentials.secret_access_key)
        policy = CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
        self.client = aws_encryption_sdk.EncryptionSDKClient(commitment_policy=policy)
        self.arn = arn

    def keys(self) -> aws_encryption_sdk.StrictAwsKmsMasterKeyProvider:
        """A provider with a session of its own: no connection and no data key is kept from one use to the next."""
        session = botocore.session.Session()
        return aws_encryption_sdk.StrictAwsKmsMasterKeyProvider(key_ids=[self.arn], botocore_session=session)

    def encrypt(self, source: Path, into: Path, context: dict[str, str]) -> None:
        with source.open("rb") as plain, into.open("wb") as sealed:
            with self.client.stream(
                mode="e", source=plain, key_provider=self.keys(), encryption_context=context, frame_length=65536
            ) as stream:
                for chunk in stream:
                    sealed.write(chunk)

    def decrypt(self, source: Path) -> tuple[str, dict[str, str]]:
        """The hash of what was encrypted, and its context."""
        digest = hashlib.sha256()
        with source.open("rb") as sealed:
            with self.client.stream(mode="d", source=sealed, key_provider=self.keys()) as stream:
                for chunk in stream:
                    digest.update(chunk)
                return digest.hexdigest(), dict(stream.header.encryption_context)


def test_the_encryption_sdk_decrypts_a_file_across_restart_and_crash(make_server, tmp_path: Path, monkeypatch):
    server: Server = make_server().start()
    key = server.client(tls=True).create_key()["KeyMetadata"]
    sdk = EncryptionSdk(server, key["Arn"], monkeypatch)
    plain, sealed = tmp_path / "plain", tmp_path / "sealed"
    plain.write_bytes(os.urandom(FILE_LEN))
    expected = hashlib.sha256(plain.read_bytes()).hexdigest()
    context = {"department": "legal", "größe": "10 MiB", "tenant": "a"}
    sdk.encrypt(plain, sealed, context)

    def check_decrypts() -> None:
        found, bound = sdk.decrypt(sealed)
        assert found == expected
        assert bound.items() >= context.items()
        last = server.books.events()[-1]
        assert last["requestParameters"]["encryptionContext"].items() >= context.items()
        assert last["tlsDetails"]["tlsVersion"] == "TLSv1.3"

    check_decrypts()
    server.stop()
    server.start()
    check_decrypts()
    server.kill()
    server.start()
    check_decrypts()
    names = [event["eventName"] for event in server.books.events()]
    assert names == ["CreateKey", "GenerateDataKey", "Decrypt", "Decrypt", "Decrypt"]
    server.stop()
    assert server.books.verify().returncode == 0


def test_what_was_acknowledged_before_a_crash_is_there_after_it(make_server):
    server: Server = make_server().start()
    kms = server.client()
    arn = kms.create_key(Description="kept", Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]["Arn"]
    kms.create_alias(AliasName="alias/kept", TargetKeyId=arn)
    kms.disable_key(KeyId=arn)
    server.kill()
    credentials = server.credentials
    server.start()
    assert server.credentials == credentials
    described = kms.describe_key(KeyId="alias/kept")["KeyMetadata"]
    assert (described["Arn"], described["KeyState"], described["Description"]) == (arn, "Disabled", "kept")
    assert kms.list_resource_tags(KeyId=arn)["Tags"] == [{"TagKey": "a", "TagValue": "b"}]
    names = [event["eventName"] for event in server.books.events()]
    assert names == ["CreateKey", "CreateAlias", "DisableKey", "DescribeKey", "ListResourceTags"]
