"""A storage service that encrypts for its users with keys of Claviger, as Amazon S3 does with SSE-KMS."""

import base64
import json
import secrets
from collections.abc import Iterator

import boto3
import botocore.config
import pytest
from botocore.exceptions import ClientError

from harness.installation import Installation
from harness.oracle import CANARY
from harness.signing import Credentials
from harness.storage import Storage
from test_serve import serve

STORAGE_KEY = "AKIASTORAGESERVICE01"


@pytest.fixture
def storage(installation: Installation) -> Iterator[Storage]:
    """An installation, and a storage service that may call it on behalf of users."""
    file = installation.folder / "storage-secret"
    file.touch(mode=0o600)
    file.write_text(secrets.token_urlsafe(30))
    section = {"name": "s3", "access_key_id": STORAGE_KEY, "secret_access_key_file": file, "protects": "S3 objects"}
    installation.write_config(service=[section])
    installation.start()
    with Storage(installation.port, Credentials(STORAGE_KEY, file.read_text())) as running:
        yield running


def new_user(installation: Installation, name: str, *actions: str) -> dict:
    iam = installation.client("iam")
    iam.create_user(UserName=name)
    if actions:
        allow(installation, name, {"Effect": "Allow", "Action": actions, "Resource": "*"})
    return iam.create_access_key(UserName=name)["AccessKey"]


def allow(installation: Installation, name: str, statement: dict) -> None:
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    installation.client("iam").put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)


def session_of(key: dict) -> boto3.session.Session:
    return boto3.session.Session(
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key.get("SessionToken"),
        region_name="us-east-1",
    )


def s3(storage: Storage, key: dict):
    """A boto3 client of the storage service."""
    config = botocore.config.Config(
        s3={"addressing_style": "path", "payload_signing_enabled": True},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"total_max_attempts": 1},
    )
    url = f"http://127.0.0.1:{storage.port}"
    return session_of(key).client("s3", endpoint_url=url, config=config)


def refused(call, **arguments) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    return caught.value.response["Error"]["Message"]


def test_objects_are_encrypted_under_the_services_key_for_whoever_may_use_the_service(storage, installation):
    ann = new_user(installation, "Ann")
    client = s3(storage, ann)
    client.put_object(Bucket="bucket", Key="a b/ä?.txt", Body=CANARY)
    assert all(CANARY not in sealed for _, _, sealed in storage.objects.values())
    assert client.get_object(Bucket="bucket", Key="a b/ä?.txt")["Body"].read() == CANARY
    kms = installation.client()
    key = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert (key["KeyManager"], key["Description"].split(" when ")[0]) == (
        "AWS",
        "Default key that protects my S3 objects",
    )
    events = [event for event in installation.books.events() if event["eventName"] in ("GenerateDataKey", "Decrypt")]
    for event in events:
        who = event["userIdentity"]
        assert (who["userName"], who["invokedBy"]) == ("Ann", "s3.amazonaws.com")
        assert event["sourceIPAddress"] == event["userAgent"] == "s3.amazonaws.com"
        assert event["resources"][0]["ARN"] == key["Arn"]
    assert [event["eventName"] for event in events] == ["GenerateDataKey", "Decrypt"]
    # Nobody uses the key without the service.
    (blob, _, _), name = next(iter(storage.objects.values())), next(iter(storage.objects))
    direct = session_of(ann).client("kms", endpoint_url=installation.url)
    for client in (direct, kms):
        with pytest.raises(ClientError) as caught:
            client.decrypt(
                CiphertextBlob=base64.b64decode(blob),
                KeyId=key["Arn"],
                EncryptionContext={"aws:s3:arn": f"arn:aws:s3:::{name.lstrip('/')}"},
            )
        assert "no resource-based policy allows the kms:Decrypt action" in str(caught.value)


def test_a_customers_key_is_used_by_permission_of_the_user(storage, installation):
    kms = installation.client()
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    ann = new_user(installation, "Ann")
    client = s3(storage, ann)
    put = {"Bucket": "b", "Key": "k", "Body": CANARY, "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": arn}
    assert "no identity-based policy allows the kms:GenerateDataKey action" in refused(client.put_object, **put)
    via = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    statement = {"Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": arn, "Condition": via}
    allow(installation, "Ann", statement)
    client.put_object(**put)
    assert client.get_object(Bucket="b", Key="k")["Body"].read() == CANARY
    with pytest.raises(ClientError):
        session_of(ann).client("kms", endpoint_url=installation.url).generate_data_key(KeyId=arn, KeySpec="AES_256")
    kms.disable_key(KeyId=arn)
    with pytest.raises(ClientError) as caught:
        client.get_object(Bucket="b", Key="k")
    assert "is disabled" in str(caught.value)


def test_sessions_are_passed_on_and_end_with_what_they_came_from(storage, installation):
    ann = new_user(installation, "Ann")
    sts = session_of(ann).client("sts", endpoint_url=installation.url)
    session = sts.get_session_token()["Credentials"]
    client = s3(storage, session)
    client.put_object(Bucket="b", Key="k", Body=CANARY)
    assert client.get_object(Bucket="b", Key="k")["Body"].read() == CANARY
    iam = installation.client("iam")
    iam.update_access_key(UserName="Ann", AccessKeyId=ann["AccessKeyId"], Status="Inactive")
    for user in (ann, session):
        assert "is not valid" in refused(s3(storage, user).get_object, Bucket="b", Key="k")


@pytest.mark.parametrize(
    "tamper",
    [
        lambda headers: (("X-Amz-Forward-Access", headers[0][1].replace("/s3/", "/kms/")),),
        lambda headers: (("X-Amz-Forward-Access", headers[0][1][:-1] + "0"),),
        lambda headers: (("X-Amz-Forward-Access", headers[0][1].replace("SignedAt=20", "SignedAt=19")),),
        lambda headers: (*headers, ("X-Amz-Forward-Access-Token", "x")),
    ],
)
def test_a_service_acts_for_nobody_without_the_users_signature(storage, installation, tamper):
    ann = new_user(installation, "Ann")

    def changed(headers):
        made = tamper(headers)
        return made if made != headers else (("X-Amz-Forward-Access", headers[0][1][:-1] + "1"),)

    storage.tamper = changed
    message = refused(s3(storage, ann).put_object, Bucket="b", Key="k", Body=CANARY)
    assert message.startswith("The forward access that s3.amazonaws.com presents is not valid")
    assert storage.objects == {}
    event = installation.books.events()[-1]
    assert event["userIdentity"] == {"type": "AWSService", "invokedBy": "s3.amazonaws.com"}


def test_a_service_is_declared_whole(installation: Installation):
    file = installation.folder / "storage-secret"
    file.touch(mode=0o600)
    file.write_text(secrets.token_urlsafe(30))
    good = {"name": "s3", "access_key_id": STORAGE_KEY, "secret_access_key_file": file}
    for change, complaint in [
        ({"name": "kms"}, "its name"),
        ({"operations": ["PutKeyPolicy"]}, "PutKeyPolicy"),
        ({"secret_access_key_file": installation.folder / "nowhere"}, "nowhere"),
    ]:
        code, said = serve(installation.write_config(service=[good | change]), "--check-config")
        assert code == 1 and complaint in said, said
    own = installation.credentials.access_key_id
    code, said = serve(installation.write_config(service=[good | {"access_key_id": own}]))
    assert code == 1 and "same access key id" in said, said
    file.chmod(0o644)
    code, said = serve(installation.write_config(service=[good]), "--check-config")
    assert code == 1 and "only its owner" in said, said
