"""VPC endpoints and load balancers: what a listener says of a connection, and who may say it in the listener's place."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from harness.balancer import SIGNATURE, Balancer, extension, header
from harness.http import Connection
from harness.installation import Installation
from harness.process import free_ports, wait_until
from test_serve import serve

VPC, ONE, OTHER = "vpc-0123abcd", "vpce-0123456789abcdef0", "vpce-0fedcba9876543210"


def policy(*statements: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


ROOT = {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"}


def only_if(condition: dict) -> str:
    """A key policy under which DescribeKey needs this."""
    return policy(
        ROOT | {"Action": "kms:PutKeyPolicy"},
        ROOT | {"Action": "kms:DescribeKey", "Condition": condition},
    )


@pytest.fixture
def behind(installation: Installation, tmp_path: Path) -> Iterator[Installation]:
    """The plain listener is the endpoint `ONE`; the one with TLS is behind a load balancer, as is a third."""
    text = tmp_path / "endpoint.json"
    allow = {"Effect": "Allow", "Principal": "*", "Resource": "*"}
    text.write_text(policy(allow | {"Action": ["kms:DescribeKey", "kms:Encrypt", "kms:ListKeys"]}))
    plain, secure = installation.settings["listener"]
    trusted = {"proxy_protocol": {"trusted": ["127.0.0.1"]}}
    installation.third = free_ports(3)
    installation.strange, installation.direct = installation.third + 1, installation.third + 2
    installation.write_config(
        listener=[
            plain | {"vpce": ONE},
            secure | trusted,
            {"address": f"127.0.0.1:{installation.third}"} | trusted,
            {"address": f"127.0.0.1:{installation.strange}", "proxy_protocol": {"trusted": ["192.0.2.0/24", "::1"]}},
            {"address": f"127.0.0.1:{installation.direct}"},
        ],
        endpoint=[{"vpce": ONE, "vpc": VPC, "policy": text}, {"vpce": OTHER, "vpc": VPC, "account": "444455556666"}],
    )
    further = [installation.third, installation.strange, installation.direct]
    yield installation.start(" ".join([installation.tls_url, *(f"http://127.0.0.1:{port}" for port in further)]))


def client(installation: Installation, port: int, tls: bool = False):
    """A boto3 client of another port."""
    kept = installation.port, installation.tls_port
    installation.port = installation.tls_port = port
    made = installation.client(tls=tls)
    installation.port, installation.tls_port = kept
    return made


def refusal(call, **arguments) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    return caught.value.response["Error"]["Message"]


def test_a_listener_is_a_vpc_endpoint(behind: Installation):
    inside, outside = behind.client(), client(behind, behind.direct)
    arn = outside.create_key()["KeyMetadata"]["Arn"]
    blob = inside.encrypt(KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    message = refusal(inside.decrypt, CiphertextBlob=blob, KeyId=arn)
    assert message.endswith("because no VPC endpoint policy allows the kms:Decrypt action")
    assert outside.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    outside.put_key_policy(KeyId=arn, Policy=only_if({"StringEquals": {"aws:SourceVpce": ONE, "aws:SourceVpc": VPC}}))
    assert inside.describe_key(KeyId=arn)
    refusal(outside.describe_key, KeyId=arn)
    outside.put_key_policy(KeyId=arn, Policy=only_if({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}))
    assert outside.describe_key(KeyId=arn)
    refusal(inside.describe_key, KeyId=arn)
    last = behind.books.events()[-1]
    assert (last["vpcEndpointId"], last["vpcEndpointAccountId"]) == (ONE, "111122223333")
    assert last["sourceIPAddress"] == "127.0.0.1" and last["errorCode"] == "AccessDenied"


@pytest.mark.parametrize("tls", [False, True])
def test_a_load_balancer_says_who_connects(behind: Installation, tls: bool):
    outside = client(behind, behind.direct)
    arn = outside.create_key()["KeyMetadata"]["Arn"]
    port = behind.tls_port if tls else behind.third
    listed = ["192.0.2.0/24", "2001:db8::/32"]
    deny = {"NotIpAddress": {"aws:SourceIp": listed}, "Bool": {"aws:ViaAWSService": "false"}}
    refusing = ROOT | {"Effect": "Deny", "Principal": "*", "Action": "kms:DescribeKey", "Condition": deny}
    outside.put_key_policy(KeyId=arn, Policy=policy(ROOT, refusing))
    for source, allowed in [("192.0.2.7", True), ("2001:db8::7", True), ("198.51.100.7", False), ("::1", False)]:
        with Balancer(port, header(source)) as balancer:
            kms = client(behind, balancer.port, tls)
            if allowed:
                assert kms.describe_key(KeyId=arn)
            else:
                assert "explicit deny in a resource-based policy" in refusal(kms.describe_key, KeyId=arn)
        event = behind.books.events()[-1]
        assert event["sourceIPAddress"] == source and "vpcEndpointId" not in event
    # The load balancer looks whether anyone answers, as itself.
    with Balancer(port, header(None, command=0x20)) as balancer:
        refusal(client(behind, balancer.port, tls).describe_key, KeyId=arn)
    assert behind.books.events()[-1]["sourceIPAddress"] == "127.0.0.1"


def test_a_load_balancer_names_the_vpc_endpoint(behind: Installation):
    arn = client(behind, behind.direct).create_key()["KeyMetadata"]["Arn"]
    with Balancer(behind.third, header("10.1.2.3", OTHER)) as balancer:
        assert client(behind, balancer.port).describe_key(KeyId=arn)
    event = behind.books.events()[-1]
    assert (event["vpcEndpointId"], event["vpcEndpointAccountId"]) == (OTHER, "444455556666")
    assert event["sourceIPAddress"] == "10.1.2.3"
    with Balancer(behind.third, header("10.1.2.3", ONE)) as balancer:
        message = refusal(client(behind, balancer.port).get_key_policy, KeyId=arn)
        assert message.endswith("because no VPC endpoint policy allows the kms:GetKeyPolicy action")


def check_turned_away(installation: Installation, port: int, sent: bytes, why: str) -> None:
    """A connection that begins so is closed without a word, and noted."""
    request = installation.signer().call("ListKeys").encode()
    before = len(installation.books.events())
    with Connection(port) as connection:
        try:
            connection.send(sent + request)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert connection.reply() is None, why
    lines = installation.books.security_lines
    wait_until(lambda: lines() and lines()[-1]["error"] == why, f"a line that says {why}")
    assert lines()[-1]["peer"] == "127.0.0.1"
    assert len(installation.books.events()) == before


def test_b19_a_proxy_header_is_believed_of_trusted_peers_only(behind: Installation):
    good = header("192.0.2.7", OTHER)
    # Of somebody else on a listener behind load balancers, with a header or without.
    check_turned_away(behind, behind.strange, good, "ProxyNotTrusted")
    check_turned_away(behind, behind.strange, b"", "ProxyNotTrusted")
    # On a listener that is behind none it is no request.
    with Connection(behind.direct) as connection:
        connection.send(good + behind.signer().call("ListKeys").encode())
        reply = connection.reply()
        assert reply is None or reply.status == 400
    assert behind.books.events() == []


def test_what_a_trusted_load_balancer_must_not_leave_out(behind: Installation):
    for sent, why in [
        (b"", "ProxyHeaderMalformed"),
        (b"PROXY TCP4 192.0.2.7 127.0.0.1 12345 443\r\n", "ProxyHeaderMalformed"),
        (SIGNATURE + b"\x11\x11\0\0", "ProxyHeaderMalformed"),
        (header("192.0.2.7", more=b"\xea\0\x09\x01"), "ProxyHeaderMalformed"),
        (header("192.0.2.7", OTHER, more=extension(0xEA, b"\x01" + ONE.encode())), "ProxyHeaderMalformed"),
        (header("192.0.2.7", more=extension(4, bytes(5000))), "ProxyHeaderTooLong"),
        (header(None), "ProxyHeaderWithoutAddress"),
        (SIGNATURE + b"\x21\x31\0\xd8" + bytes(216), "ProxyHeaderWithoutAddress"),
        (header("192.0.2.7", "vpce-99999999"), "UnknownVpcEndpoint"),
    ]:
        check_turned_away(behind, behind.third, sent, why)
    with Balancer(behind.tls_port, b"") as balancer, pytest.raises(Exception) as caught:
        client(behind, balancer.port, tls=True).list_keys()
    assert not isinstance(caught.value, ClientError)
    # A header that never ends is not waited for.
    with Connection(behind.third) as connection, Connection(behind.third) as other:
        connection.send(header("192.0.2.7")[:20])
        assert connection.is_closed() and other.is_closed()
    assert behind.books.events() == []


def test_no_header_says_where_a_request_comes_from(behind: Installation):
    outside = client(behind, behind.direct)
    arn = outside.create_key()["KeyMetadata"]["Arn"]
    condition = {"StringEquals": {"aws:SourceVpce": ONE}}
    outside.put_key_policy(KeyId=arn, Policy=only_if(condition))
    names = ["X-Amz-Vpce", "X-Amz-Source-Vpce", "X-Amz-Vpc-Endpoint-Id", "X-Vpce", "Forwarded", "X-Forwarded-For"]
    signer = behind.signer(host=f"127.0.0.1:{behind.direct}")
    request = signer.call("DescribeKey", {"KeyId": arn}, headers=tuple((name, ONE) for name in names))
    with Connection(behind.direct) as connection:
        assert connection.exchange(request).json()["__type"] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("{", "malformed"),
        ('{"Statement": []}', "malformed"),
        (policy({"Effect": "Allow", "Action": "kms:*", "Resource": "*"}), "malformed"),
        (policy({"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*", "Conditions": {}}), "malformed"),
        (None, "No such file"),
    ],
)
def test_a_bad_endpoint_policy_is_named_before_anything_is_served(
    installation: Installation, tmp_path: Path, written: str | None, complaint: str
):
    text = tmp_path / "endpoint.json"
    if written is not None:
        text.write_text(written)
    plain, secure = installation.settings["listener"]
    config = installation.write_config(listener=[plain | {"vpce": ONE, "vpc": VPC, "policy": text}, secure])
    for options in (["--check-config"], []):
        code, said = serve(config, *options)
        assert code == 1 and complaint in said and ONE in said, said
    assert not installation.data.exists()
