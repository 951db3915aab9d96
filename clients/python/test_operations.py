"""Every operation that is served, through boto3, each reply held against botocore's own model of it."""

import datetime
import json
import re
from collections.abc import Callable

import boto3
import pytest
from botocore.exceptions import ClientError

from harness.importing import import_material
from harness.model import Checker
from harness.oracle import CANARY, Witness, error
from harness.server import ACCOUNT, REGION, Server

CONTEXT = {"tenant": "a", "schlüssel": "größe", "": "empty names are allowed"}
HEX = re.compile(r"[0-9a-f]{64}")
ROOT_ARN = f"arn:aws:iam::{ACCOUNT}:root"


@pytest.fixture(scope="module")
def checked(server: Server):
    """A client whose replies are checked against the model."""
    client = server.client()
    client.checker = Checker(client)
    return client


def raises(kms, call: Callable[[], object], kind: str, message: str = "") -> None:
    """The call is refused with this error and text."""
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["Error"] == {"Code": kind, "Message": message}


def test_a_key_through_its_whole_life(checked):
    kms = checked
    started = datetime.datetime.now(datetime.timezone.utc)
    tags = [{"TagKey": "team", "TagValue": "a"}, {"TagKey": "empty", "TagValue": ""}]
    made = kms.create_key(Description="first", Tags=tags, KeyUsage="ENCRYPT_DECRYPT", KeySpec="SYMMETRIC_DEFAULT")
    made = made["KeyMetadata"]
    key_id, arn = made["KeyId"], made["Arn"]
    assert arn == f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key_id}"
    assert HEX.fullmatch(made["CurrentKeyMaterialId"])
    assert abs(made["CreationDate"] - started) < datetime.timedelta(seconds=60)
    assert {name: made[name] for name in made.keys() - {"CreationDate", "CurrentKeyMaterialId"}} == {
        "AWSAccountId": ACCOUNT,
        "KeyId": key_id,
        "Arn": arn,
        "Enabled": True,
        "Description": "first",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": "Enabled",
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": False,
    }

    def now(name: str):
        return kms.describe_key(KeyId=key_id)["KeyMetadata"].get(name)

    assert kms.describe_key(KeyId=arn)["KeyMetadata"] == made
    assert {"KeyId": key_id, "KeyArn": arn} in kms.list_keys(Limit=1000)["Keys"]
    kms.update_key_description(KeyId=key_id, Description="second")
    assert now("Description") == "second"
    kms.disable_key(KeyId=key_id)
    assert (now("KeyState"), now("Enabled")) == ("Disabled", False)
    raises(kms, lambda: kms.encrypt(KeyId=key_id, Plaintext=CANARY), "DisabledException", f"{arn} is disabled.")
    kms.enable_key(KeyId=arn)
    assert (now("KeyState"), now("Enabled")) == ("Enabled", True)

    doomed = kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    assert (doomed["KeyId"], doomed["KeyState"], doomed["PendingWindowInDays"]) == (arn, "PendingDeletion", 7)
    assert doomed["DeletionDate"] == now("DeletionDate")
    assert abs(doomed["DeletionDate"] - started - datetime.timedelta(days=7)) < datetime.timedelta(seconds=60)
    pending = f"{arn} is pending deletion."
    raises(kms, lambda: kms.encrypt(KeyId=key_id, Plaintext=CANARY), "KMSInvalidStateException", pending)
    raises(kms, lambda: kms.enable_key(KeyId=key_id), "KMSInvalidStateException", pending)
    assert kms.cancel_key_deletion(KeyId=key_id)["KeyId"] == arn
    assert (now("KeyState"), now("DeletionDate")) == ("Disabled", None)
    not_pending = f"{arn} is not pending deletion."
    raises(kms, lambda: kms.cancel_key_deletion(KeyId=key_id), "KMSInvalidStateException", not_pending)


def test_aliases_name_keys(checked, new_key):
    kms, one, other = checked, new_key(), new_key()

    def named(key: dict) -> dict[str, str]:
        return {alias["AliasName"]: alias["AliasArn"] for alias in kms.list_aliases(KeyId=key["KeyId"])["Aliases"]}

    kms.create_alias(AliasName="alias/life/a_b-c", TargetKeyId=one["KeyId"])
    arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/life/a_b-c"
    assert named(one) == {"alias/life/a_b-c": arn}
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["Arn"] == one["Arn"]
    blob = kms.encrypt(KeyId="alias/life/a_b-c", Plaintext=CANARY)["CiphertextBlob"]
    taken = f"An alias with the name {arn} already exists"
    again = {"AliasName": "alias/life/a_b-c", "TargetKeyId": other["KeyId"]}
    raises(kms, lambda: kms.create_alias(**again), "AlreadyExistsException", taken)
    kms.update_alias(**again)
    assert (named(one), named(other)) == ({}, {"alias/life/a_b-c": arn})
    # What was encrypted through the alias still opens: the blob names its key.
    assert kms.decrypt(CiphertextBlob=blob)["KeyId"] == one["Arn"]
    wrong = "The key ID in the request does not identify a CMK that can perform this operation."
    raises(kms, lambda: kms.decrypt(CiphertextBlob=blob, KeyId="alias/life/a_b-c"), "IncorrectKeyException", wrong)
    kms.delete_alias(AliasName="alias/life/a_b-c")
    gone = f"Alias {arn} is not found."
    raises(kms, lambda: kms.describe_key(KeyId="alias/life/a_b-c"), "NotFoundException", gone)
    raises(kms, lambda: kms.delete_alias(AliasName="alias/life/a_b-c"), "NotFoundException", gone)


def test_tags_are_set_replaced_and_removed(checked, new_key):
    kms, key_id = checked, new_key(Tags=[{"TagKey": "a", "TagValue": "1"}])["KeyId"]

    def tags() -> dict[str, str]:
        return {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=key_id)["Tags"]}

    kms.tag_resource(KeyId=key_id, Tags=[{"TagKey": "a", "TagValue": "2"}, {"TagKey": "b c:/=+-@_.é", "TagValue": ""}])
    assert tags() == {"a": "2", "b c:/=+-@_.é": ""}
    kms.untag_resource(KeyId=key_id, TagKeys=["a", "not there"])
    assert tags() == {"b c:/=+-@_.é": ""}
    many = [{"TagKey": f"k{number}", "TagValue": "v"} for number in range(50)]
    raises(kms, lambda: kms.tag_resource(KeyId=key_id, Tags=many), "TagException", "Too many tags")
    assert tags() == {"b c:/=+-@_.é": ""}


def policy(*statements: dict) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


ALL = {"Effect": "Allow", "Principal": {"AWS": ROOT_ARN}, "Action": "kms:*", "Resource": "*"}


def test_a_key_policy_decides(checked, new_key):
    kms, key = checked, new_key()
    key_id = key["KeyId"]
    default = json.loads(kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"])
    assert default["Statement"][0]["Principal"] == {"AWS": ROOT_ARN}
    assert kms.list_key_policies(KeyId=key_id)["PolicyNames"] == ["default"]
    denies = {"Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}
    text = policy(ALL, denies)
    kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy=text)
    assert kms.get_key_policy(KeyId=key_id)["Policy"] == text
    blob = kms.encrypt(KeyId=key_id, Plaintext=CANARY)["CiphertextBlob"]
    denied = (
        f"User: {ROOT_ARN} is not authorized to perform: kms:Decrypt on resource: {key['Arn']} with an explicit deny "
        "in a resource-based policy"
    )
    raises(kms, lambda: kms.decrypt(CiphertextBlob=blob, KeyId=key_id), "AccessDeniedException", denied)
    hidden = (
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you "
        "are not allowed to access."
    )
    raises(kms, lambda: kms.decrypt(CiphertextBlob=blob), "AccessDeniedException", hidden)
    kms.put_key_policy(KeyId=key_id, Policy=policy(ALL))
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == CANARY


def test_conditions_see_the_request(checked, new_key):
    condition = {"StringEquals": {"kms:EncryptionContext:tenant": "a"}}
    manage = {**ALL, "NotAction": ["kms:Encrypt", "kms:Decrypt"]}
    del manage["Action"]
    use = {**ALL, "Action": ["kms:Encrypt", "kms:Decrypt"], "Condition": condition}
    kms, key = checked, new_key(Policy=policy(manage, use))
    encrypt = {"KeyId": key["KeyId"], "Plaintext": CANARY}
    blob = kms.encrypt(**encrypt, EncryptionContext={"tenant": "a", "more": "b"})["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext={"more": "b", "tenant": "a"})["Plaintext"] == CANARY
    reason = "because no resource-based policy allows the kms:Encrypt action"
    denied = f"User: {ROOT_ARN} is not authorized to perform: kms:Encrypt on resource: {key['Arn']} {reason}"
    for context in ({}, {"tenant": "b"}, {"Tenant": "b", "x": "a"}):
        raises(kms, lambda: kms.encrypt(**encrypt, EncryptionContext=context), "AccessDeniedException", denied)


LOCKOUT = "The new key policy will not allow you to update the key policy in the future."
PRINCIPALS = "Policy contains a statement with one or more invalid principals."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (policy({**ALL, "Action": "kms:Encrypt"}), LOCKOUT),
        (policy({**ALL, "Effect": "Deny"}), LOCKOUT),
        (policy({**ALL, "Principal": {"AWS": "arn:aws:iam::444455556666:root"}}), LOCKOUT),
        (policy({**ALL, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/nobody"}}), PRINCIPALS),
        (
            policy({key: ALL[key] for key in ALL if key != "Principal"}),
            "Policy contains a statement with no principal.",
        ),
    ],
)
def test_a_policy_that_locks_out_or_names_nobody_is_refused(server, witness, key, text, message):
    before = witness.standing()
    request = server.signer().call("PutKeyPolicy", {"KeyId": key["KeyId"], "PolicyName": "default", "Policy": text})
    with server.connect() as connection:
        reply = connection.exchange(request)
    witness.check_denied(before, [reply], status=400, body=error("MalformedPolicyDocumentException", message))


def test_data_is_encrypted_and_decrypted(checked, key):
    kms = checked
    for length in (1, 20, 4096):
        plaintext = (CANARY * 205)[:length]
        sealed = kms.encrypt(KeyId=key["Arn"], Plaintext=plaintext, EncryptionContext=CONTEXT)
        assert (sealed["KeyId"], sealed["EncryptionAlgorithm"]) == (key["Arn"], "SYMMETRIC_DEFAULT")
        reordered = dict(reversed(CONTEXT.items()))
        opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=reordered)
        del opened["ResponseMetadata"]
        assert opened == {
            "KeyId": key["Arn"],
            "Plaintext": plaintext,
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "KeyMaterialId": key["CurrentKeyMaterialId"],
        }
    again = kms.encrypt(KeyId=key["Arn"], Plaintext=plaintext, EncryptionContext=CONTEXT)["CiphertextBlob"]
    assert again != sealed["CiphertextBlob"], "the same blob twice"


def test_reencryption_moves_data_to_another_key_and_context(checked, key, new_key):
    kms, other = checked, new_key()
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=CANARY, EncryptionContext=CONTEXT)["CiphertextBlob"]
    moved = kms.re_encrypt(
        CiphertextBlob=blob,
        SourceEncryptionContext=CONTEXT,
        SourceKeyId=key["KeyId"],
        DestinationKeyId=other["KeyId"],
        DestinationEncryptionContext={"new": "context"},
    )
    del moved["ResponseMetadata"]
    new_blob = moved.pop("CiphertextBlob")
    assert moved == {
        "SourceKeyId": key["Arn"],
        "KeyId": other["Arn"],
        "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "SourceKeyMaterialId": key["CurrentKeyMaterialId"],
        "DestinationKeyMaterialId": other["CurrentKeyMaterialId"],
    }
    assert kms.decrypt(CiphertextBlob=new_blob, EncryptionContext={"new": "context"})["Plaintext"] == CANARY
    raises(kms, lambda: kms.decrypt(CiphertextBlob=new_blob, EncryptionContext=CONTEXT), "InvalidCiphertextException")


@pytest.mark.parametrize(
    ("asked", "length"),
    [
        ({"KeySpec": "AES_256"}, 32),
        ({"KeySpec": "AES_128"}, 16),
        ({"NumberOfBytes": 1}, 1),
        ({"NumberOfBytes": 64}, 64),
        ({"NumberOfBytes": 1024}, 1024),
    ],
)
def test_data_keys_have_the_length_asked_for(checked, key, asked, length):
    kms = checked
    made = kms.generate_data_key(KeyId=key["KeyId"], EncryptionContext=CONTEXT, **asked)
    bare = kms.generate_data_key_without_plaintext(KeyId=key["KeyId"], EncryptionContext=CONTEXT, **asked)
    assert "Plaintext" not in bare and len(made["Plaintext"]) == length
    for reply in (made, bare):
        assert (reply["KeyId"], reply["KeyMaterialId"]) == (key["Arn"], key["CurrentKeyMaterialId"])
        opened = kms.decrypt(CiphertextBlob=reply["CiphertextBlob"], EncryptionContext=CONTEXT)["Plaintext"]
        assert opened == made["Plaintext"] if reply is made else len(opened) == length


def test_random_bytes_are_as_many_as_asked_for(checked):
    for length in (1, 32, 1024):
        made = {checked.generate_random(NumberOfBytes=length)["Plaintext"] for _ in range(2)}
        assert {len(random) for random in made} == {length}
    assert len(made) == 2


def test_a_dry_run_says_so_and_does_nothing(server, witness: Witness, checked, key):
    kms, key_id = checked, key["KeyId"]
    blob = kms.encrypt(KeyId=key_id, Plaintext=CANARY)["CiphertextBlob"]
    text = "The request would have succeeded, but the DryRun option is set."
    ignore = {"DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
    calls = [
        lambda: kms.encrypt(KeyId=key_id, Plaintext=CANARY, DryRun=True),
        lambda: kms.decrypt(CiphertextBlob=blob, DryRun=True),
        lambda: kms.decrypt(KeyId=key_id, DryRun=True, **ignore),
        lambda: kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key_id, DryRun=True),
        lambda: kms.re_encrypt(SourceKeyId=key_id, DestinationKeyId=key_id, DryRun=True, **ignore),
        lambda: kms.generate_data_key(KeyId=key_id, KeySpec="AES_256", DryRun=True),
        lambda: kms.generate_data_key_without_plaintext(KeyId=key_id, KeySpec="AES_256", DryRun=True),
    ]
    before = witness.standing()
    for call in calls:
        raises(kms, call, "DryRunOperationException", text)
    events = witness.new_events(before)
    assert [event["errorCode"] for event in events] == ["DryRunOperationException"] * len(calls)
    assert witness.standing().store == before.store
    # A dry run that would not have succeeded says why.
    disabled = kms.create_key()["KeyMetadata"]
    kms.disable_key(KeyId=disabled["KeyId"])
    refused = {"KeyId": disabled["KeyId"], "Plaintext": CANARY, "DryRun": True}
    raises(kms, lambda: kms.encrypt(**refused), "DisabledException", f"{disabled['Arn']} is disabled.")


def test_sts_says_who_calls(server: Server, witness: Witness):
    before = witness.standing()
    identity = server.client("sts", tls=True).get_caller_identity()
    metadata = identity.pop("ResponseMetadata")
    assert identity == {"UserId": ACCOUNT, "Account": ACCOUNT, "Arn": ROOT_ARN}
    (event,) = witness.new_events(before)
    assert (event["eventSource"], event["eventName"]) == ("sts.amazonaws.com", "GetCallerIdentity")
    assert event["requestID"] == metadata["RequestId"]


def test_every_region_that_a_scope_names_is_a_world_of_its_own(server: Server, key):
    elsewhere = server.client(region="eu-central-1")
    made = elsewhere.create_key()["KeyMetadata"]
    assert made["Arn"].startswith(f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/")
    there = f"Key 'arn:aws:kms:eu-central-1:{ACCOUNT}:key/{key['KeyId']}' does not exist"
    raises(elsewhere, lambda: elsewhere.describe_key(KeyId=key["KeyId"]), "NotFoundException", there)
    assert made["KeyId"] in [entry["KeyId"] for entry in elsewhere.list_keys()["Keys"]]


def test_keys_of_every_kind(checked):
    kms = checked

    def key(spec: str, usage: str) -> str:
        return kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]

    signs, authenticates = key("ECC_NIST_P256", "SIGN_VERIFY"), key("HMAC_256", "GENERATE_VERIFY_MAC")
    agrees, encapsulates = key("ECC_NIST_P384", "KEY_AGREEMENT"), key("ML_KEM_768", "ENCAPSULATE_DECAPSULATE")
    what = {"KeyId": signs, "Message": CANARY, "SigningAlgorithm": "ECDSA_SHA_256"}
    signed = kms.sign(**what)
    assert kms.verify(**what, Signature=signed["Signature"])["SignatureValid"] is True
    what = {"KeyId": authenticates, "Message": CANARY, "MacAlgorithm": "HMAC_SHA_256"}
    assert kms.verify_mac(**what, Mac=kms.generate_mac(**what)["Mac"])["MacValid"] is True
    public = kms.get_public_key(KeyId=agrees)
    assert public["KeyAgreementAlgorithms"] == ["ECDH"]
    agreed = kms.derive_shared_secret(KeyId=agrees, KeyAgreementAlgorithm="ECDH", PublicKey=public["PublicKey"])
    assert len(agreed["SharedSecret"]) == 48
    sealed = kms.encapsulate(KeyId=encapsulates, EncapsulationAlgorithm="ML_KEM")
    opened = kms.decapsulate(
        KeyId=encapsulates,
        EncapsulationAlgorithm="ML_KEM",
        SharedSecretCiphertextBlob=sealed["SharedSecretCiphertextBlob"],
    )
    assert opened["SharedSecret"] == sealed["SharedSecret"]
    symmetric = key("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT")
    pair = kms.generate_data_key_pair(KeyId=symmetric, KeyPairSpec="ECC_NIST_P256")
    opened = kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"])["Plaintext"]
    assert opened == pair["PrivateKeyPlaintext"]
    assert "PrivateKeyPlaintext" not in kms.generate_data_key_pair_without_plaintext(
        KeyId=symmetric, KeyPairSpec="ECC_SECG_P256K1"
    )
    assert kms.get_key_last_usage(KeyId=symmetric)["KeyId"].endswith(symmetric)


def test_the_life_of_key_material(checked):
    kms = checked
    rotating = kms.create_key()["KeyMetadata"]
    first = kms.encrypt(KeyId=rotating["KeyId"], Plaintext=CANARY)["CiphertextBlob"]
    kms.enable_key_rotation(KeyId=rotating["KeyId"], RotationPeriodInDays=90)
    status = kms.get_key_rotation_status(KeyId=rotating["KeyId"])
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 90)
    assert kms.rotate_key_on_demand(KeyId=rotating["KeyId"])["KeyId"] == rotating["Arn"]
    rotations = kms.list_key_rotations(KeyId=rotating["KeyId"])["Rotations"]
    assert [rotation["RotationType"] for rotation in rotations] == ["ON_DEMAND"]
    assert rotations[0]["KeyMaterialId"] != rotating["CurrentKeyMaterialId"]
    assert kms.decrypt(CiphertextBlob=first)["KeyMaterialId"] == rotating["CurrentKeyMaterialId"]
    kms.disable_key_rotation(KeyId=rotating["KeyId"])
    assert kms.get_key_rotation_status(KeyId=rotating["KeyId"])["KeyRotationEnabled"] is False

    waiting = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]
    assert (waiting["KeyState"], waiting["Enabled"]) == ("PendingImport", False)
    material = bytes(range(32))
    import_material(kms, waiting["KeyId"], material, "RSAES_OAEP_SHA_256", "RSA_2048")
    blob = kms.encrypt(KeyId=waiting["KeyId"], Plaintext=CANARY)["CiphertextBlob"]
    kms.delete_imported_key_material(KeyId=waiting["KeyId"])
    with pytest.raises(kms.exceptions.KMSInvalidStateException):
        kms.decrypt(CiphertextBlob=blob)
    import_material(kms, waiting["KeyId"], material, "RSA_AES_KEY_WRAP_SHA_256", "RSA_3072")
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == CANARY


def test_a_multi_region_key(server: Server, checked):
    kms, there = checked, server.client(region="eu-west-1")
    primary = kms.create_key(MultiRegion=True)["KeyMetadata"]
    kms.replicate_key(KeyId=primary["KeyId"], ReplicaRegion="eu-west-1")
    blob = kms.encrypt(KeyId=primary["KeyId"], Plaintext=CANARY)["CiphertextBlob"]
    opened = there.decrypt(CiphertextBlob=blob)
    assert opened["Plaintext"] == CANARY and ":eu-west-1:" in opened["KeyId"]
    kms.update_primary_region(KeyId=primary["KeyId"], PrimaryRegion="eu-west-1")
    described = kms.describe_key(KeyId=primary["KeyId"])["KeyMetadata"]["MultiRegionConfiguration"]
    assert (described["MultiRegionKeyType"], described["PrimaryKey"]["Region"]) == ("REPLICA", "eu-west-1")


def user(server: Server, name: str):
    """A new user of IAM: its ARN, and a client for it."""
    iam = server.client("iam")
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    keys = iam.create_access_key(UserName=name)["AccessKey"]
    session = boto3.session.Session(keys["AccessKeyId"], keys["SecretAccessKey"], region_name=REGION)
    return arn, session.client("kms", endpoint_url=server.url)


def test_grants(checked, new_key):
    kms, key = checked, new_key()
    constraints = {"EncryptionContextEquals": {"tenant": "a"}}
    asked = {
        "KeyId": key["KeyId"],
        "GranteePrincipal": ROOT_ARN,
        "RetiringPrincipal": ROOT_ARN,
        "Operations": ["Encrypt", "Decrypt"],
        "Constraints": constraints,
        "Name": "for/root",
    }
    made = kms.create_grant(**asked)
    assert HEX.fullmatch(made["GrantId"])
    again = kms.create_grant(**asked)
    assert again["GrantId"] == made["GrantId"] and again["GrantToken"] != made["GrantToken"]
    (shown,) = kms.list_grants(KeyId=key["Arn"])["Grants"]
    assert {name: shown[name] for name in shown.keys() - {"CreationDate"}} == {
        **{name: asked[name] for name in asked.keys() - {"KeyId"}},
        "KeyId": key["Arn"],
        "GrantId": made["GrantId"],
        "IssuingAccount": ROOT_ARN,
    }
    assert kms.list_retirable_grants(RetiringPrincipal=ROOT_ARN)["Grants"] == [shown]
    text = "Grants must not contain only the CreateGrant operation."
    only = {**asked, "Operations": ["CreateGrant"]}
    raises(kms, lambda: kms.create_grant(**only), "ValidationException", text)
    kms.retire_grant(GrantToken=again["GrantToken"])
    assert kms.list_grants(KeyId=key["KeyId"])["Grants"] == []
    other = kms.create_grant(**asked)["GrantId"]
    assert other != made["GrantId"]
    kms.revoke_grant(KeyId=key["KeyId"], GrantId=other)
    gone = f"Grant ID {other} not found"
    raises(kms, lambda: kms.revoke_grant(KeyId=key["KeyId"], GrantId=other), "NotFoundException", gone)


def test_a_user_uses_a_grant_with_its_token(server: Server, checked, new_key):
    kms, key = checked, new_key()
    arn, ann = user(server, "Grantee")
    context = {"tenant": "a"}
    encrypt = {"KeyId": key["Arn"], "Plaintext": CANARY, "EncryptionContext": context}
    with pytest.raises(ClientError, match="AccessDeniedException"):
        ann.encrypt(**encrypt)
    made = kms.create_grant(
        KeyId=key["KeyId"],
        GranteePrincipal=arn,
        Operations=["Encrypt", "Decrypt", "RetireGrant"],
        Constraints={"EncryptionContextSubset": {"Tenant": "a"}},
    )
    token = {"GrantTokens": [made["GrantToken"]]}
    blob = ann.encrypt(**encrypt, **token)["CiphertextBlob"]
    assert ann.decrypt(CiphertextBlob=blob, EncryptionContext=context, **token)["Plaintext"] == CANARY
    assert ann.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == CANARY
    with pytest.raises(ClientError, match="AccessDeniedException"):
        ann.encrypt(KeyId=key["Arn"], Plaintext=CANARY, EncryptionContext={"tenant": "b"}, **token)
    with pytest.raises(ClientError, match="AccessDeniedException"):
        ann.describe_key(KeyId=key["Arn"], **token)
    with pytest.raises(ClientError, match="InvalidGrantTokenException"):
        ann.encrypt(**encrypt, GrantTokens=[made["GrantToken"][:-4] + "AAAA"])
    ann.retire_grant(GrantToken=made["GrantToken"])
    with pytest.raises(ClientError, match="AccessDeniedException"):
        ann.encrypt(**encrypt, **token)


def test_every_operation_of_the_api_is_served_and_checked_here_or_says_that_it_is_not(server, witness, checked):
    """Runs last in this file: it looks at what the tests before it have called."""
    client = boto3.client("kms", region_name=REGION)
    missing = sorted(set(client.meta.service_model.operation_names) - set(checked.checker.seen))
    before = witness.standing()
    signer = server.signer()
    with server.connect() as connection:
        replies = [connection.exchange(signer.call(name, b"{}")) for name in missing]
    for name, reply in zip(missing, replies):
        text = f"{name} is not served by this version of Claviger."
        assert (reply.status, reply.json()) == (400, error("UnsupportedOperationException", text)), name
    body = error("UnsupportedOperationException", re.compile(r"\w+ is not served by this version of Claviger\."))
    events = witness.check_denied(before, replies, status=400, body=body)
    assert [event["eventName"] for event in events] == missing
