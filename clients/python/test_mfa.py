"""Devices for multi-factor authentication, and passwords, through boto3."""

import base64
import hashlib
import hmac
import json
import struct
import time

import pytest

from harness.server import ACCOUNT, Server
from test_iam import client, refused


class Telephone:
    """What a user does with the seed: RFC 6238, by the book."""

    def __init__(self, seed: bytes):
        self.key = base64.b32decode(seed + b"=" * (-len(seed) % 8))

    def shows(self, steps: int = 0) -> str:
        digest = hmac.digest(self.key, struct.pack(">Q", int(time.time()) // 30 + steps), hashlib.sha1)
        offset = digest[-1] & 15
        return f"{(struct.unpack('>I', digest[offset : offset + 4])[0] & 0x7FFFFFFF) % 10**6:06}"


@pytest.fixture(scope="module")
def iam(server: Server):
    return client(server, "iam")


def test_a_device_from_its_making_to_its_end(server: Server, iam):
    iam.create_user(UserName="Mia")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}]}
    iam.put_user_policy(UserName="Mia", PolicyName="p", PolicyDocument=json.dumps(everything))
    keys = iam.create_access_key(UserName="Mia")["AccessKey"]
    device = iam.create_virtual_mfa_device(VirtualMFADeviceName="Mia", Tags=[{"Key": "a", "Value": "b"}])["VirtualMFADevice"]
    serial = device["SerialNumber"]
    assert serial == f"arn:aws:iam::{ACCOUNT}:mfa/Mia" and device["QRCodePNG"].startswith(b"\x89PNG")
    telephone = Telephone(device["Base32StringSeed"])
    both = {"UserName": "Mia", "SerialNumber": serial}
    refused(
        iam.enable_mfa_device, "InvalidAuthenticationCode", AuthenticationCode1="000000", AuthenticationCode2="000000", **both
    )
    iam.enable_mfa_device(AuthenticationCode1=telephone.shows(-2), AuthenticationCode2=telephone.shows(-1), **both)
    assert [it["SerialNumber"] for it in iam.list_mfa_devices(UserName="Mia")["MFADevices"]] == [serial]
    listed = iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"]
    assert [it["User"]["UserName"] for it in listed if it["SerialNumber"] == serial] == ["Mia"]

    sts = client(server, "sts", keys)
    plain = sts.get_session_token()["Credentials"]
    refused(client(server, "iam", plain).get_user, "InvalidClientTokenId")
    code = telephone.shows()
    strong = sts.get_session_token(SerialNumber=serial, TokenCode=code)["Credentials"]
    assert client(server, "iam", strong).get_user()["User"]["UserName"] == "Mia"
    refused(sts.get_session_token, "AccessDenied", SerialNumber=serial, TokenCode=code)
    event = server.books.events()[-2]
    assert event["userIdentity"]["sessionContext"]["attributes"]["mfaAuthenticated"] == "true"

    refused(iam.delete_virtual_mfa_device, "DeleteConflict", SerialNumber=serial)
    iam.deactivate_mfa_device(**both)
    iam.delete_virtual_mfa_device(SerialNumber=serial)
    iam.delete_user_policy(UserName="Mia", PolicyName="p")
    iam.delete_access_key(UserName="Mia", AccessKeyId=keys["AccessKeyId"])
    iam.delete_user(UserName="Mia")


def test_passwords_and_their_policy(iam):
    iam.create_user(UserName="Pam")
    refused(iam.create_login_profile, "PasswordPolicyViolation", UserName="Pam", Password="password")
    made = iam.create_login_profile(UserName="Pam", Password="Good-Password-1", PasswordResetRequired=True)
    assert made["LoginProfile"]["PasswordResetRequired"] is True
    iam.update_account_password_policy(MinimumPasswordLength=16, RequireSymbols=True)
    policy = iam.get_account_password_policy()["PasswordPolicy"]
    assert (policy["MinimumPasswordLength"], policy["RequireSymbols"], policy["ExpirePasswords"]) == (16, True, False)
    refused(iam.update_login_profile, "PasswordPolicyViolation", UserName="Pam", Password="Good-Password-2")
    iam.update_login_profile(UserName="Pam", Password="Longer-Password-2", PasswordResetRequired=False)
    assert iam.get_login_profile(UserName="Pam")["LoginProfile"]["PasswordResetRequired"] is False
    iam.delete_account_password_policy()
    iam.delete_login_profile(UserName="Pam")
    refused(iam.get_login_profile, "NoSuchEntity", UserName="Pam")
    iam.delete_user(UserName="Pam")
    summary = iam.get_account_summary()["SummaryMap"]
    assert summary["AccessKeysPerUserQuota"] == 2 and summary["MFADevicesInUse"] == 0


def test_encoded_messages_are_none_of_ours(server: Server):
    sts = client(server, "sts")
    refused(sts.decode_authorization_message, "InvalidAuthorizationMessageException", EncodedMessage="abc")
