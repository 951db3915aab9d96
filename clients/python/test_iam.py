"""IAM and STS through AWS's own clients: boto3, and the command line. Every reply is held against AWS's model."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import boto3.session
import botocore.config
import botocore.exceptions
import botocore.model
import pytest

from harness.server import ACCOUNT, REGION, Server

ALLOW_KMS = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}
)


def trust(principal: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": ["sts:AssumeRole", "sts:TagSession"]}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def check_element(shape: botocore.model.Shape, element: ElementTree.Element, at: str) -> None:
    """An element of a reply is of its shape: nothing that the model does not know, everything that it requires."""
    children = [(child.tag.rpartition("}")[2], child) for child in element]
    match shape.type_name:
        case "structure":
            names = {name for name, _ in children}
            unknown = names - shape.members.keys()
            assert not unknown, f"{at} has members that the model does not know: {unknown}"
            # The root user has no name.
            missing = set(shape.required_members) - names - ({"UserName"} if shape.name == "User" else set())
            assert not missing, f"{at} lacks {missing}"
            for name, child in children:
                check_element(shape.members[name], child, f"{at}.{name}")
        case "list":
            for name, child in children:
                assert name == "member", f"{at} has a {name}"
                check_element(shape.member, child, f"{at}[]")
        case "string" if shape.name == "PermissionsBoundaryAttachmentType":
            # AWS answers this, and not what its model says.
            assert element.text == "Policy", f"{at} is {element.text}"
        case "string" if shape.name == "PolicySourceType":
            # This as well.
            assert element.text == "IAM Policy", f"{at} is {element.text}"
        case "string" if shape.enum:
            assert element.text in shape.enum, f"{at} is {element.text}"
        case "boolean":
            assert element.text in ("true", "false"), f"{at} is {element.text}"
        case "integer":
            assert element.text.isdigit(), f"{at} is {element.text}"


class Checker:
    """Listens to a client and checks every reply before the client drops what it does not know."""

    def __init__(self, client):
        client.meta.events.register("after-call.*", self.check)

    def check(self, http_response, parsed, model: botocore.model.OperationModel, **_) -> None:
        assert http_response.headers["content-type"] == "text/xml"
        root = ElementTree.fromstring(http_response.content)
        if http_response.status_code != 200:
            declared = {shape.metadata["error"]["code"] for shape in model.error_shapes if "error" in shape.metadata}
            common = {"AccessDenied", "ValidationError", "InvalidClientTokenId", "ExpiredToken"}
            assert parsed["Error"]["Code"] in declared | common, f"{model.name} does not declare {parsed['Error']}"
            return
        assert root.tag.rpartition("}")[2] == f"{model.name}Response"
        result = [child for child in root if child.tag.endswith("Result")]
        assert len(result) == (0 if model.output_shape is None else 1), model.name
        for child in result:
            check_element(model.output_shape, child, model.name)


def client(server: Server, service: str, credentials: dict | None = None):
    """A client of a service, of the root user or with the credentials of an answer."""
    given = credentials or {
        "AccessKeyId": server.credentials.access_key_id,
        "SecretAccessKey": server.credentials.secret_access_key,
    }
    session = boto3.session.Session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given.get("SessionToken"),
        region_name=REGION,
    )
    config = botocore.config.Config(retries={"total_max_attempts": 1, "mode": "standard"})
    made = session.client(service, endpoint_url=server.url, config=config)
    if service != "kms":
        Checker(made)
    return made


@pytest.fixture(scope="module")
def iam(server: Server):
    return client(server, "iam")


def refused(call, code: str, **members) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**members)
    assert caught.value.response["Error"]["Code"] == code, caught.value.response
    return caught.value.response["Error"]["Message"]


def test_a_role_from_its_making_to_its_end(server, iam, key):
    """A user, its keys, a role and its session use a key of KMS, until each is taken away."""
    user = iam.create_user(UserName="Ann", Path="/team/", Tags=[{"Key": "team", "Value": "red"}])["User"]
    assert user["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/Ann" and user["UserId"].startswith("AIDA")
    keys = iam.create_access_key(UserName="Ann")["AccessKey"]
    assert len(keys["SecretAccessKey"]) == 40 and keys["Status"] == "Active"
    sts = client(server, "sts", keys)
    assert sts.get_caller_identity()["Arn"] == user["Arn"]
    refused(client(server, "kms", keys).describe_key, "AccessDeniedException", KeyId=key["KeyId"])

    role = iam.create_role(RoleName="Operator", AssumeRolePolicyDocument=trust(user["Arn"]))["Role"]
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"AWS": user["Arn"]}
    policy = iam.create_policy(PolicyName="UseKeys", PolicyDocument=ALLOW_KMS, Description="d")["Policy"]
    iam.attach_role_policy(RoleName="Operator", PolicyArn=policy["Arn"])
    assert iam.get_policy_version(PolicyArn=policy["Arn"], VersionId="v1")["PolicyVersion"]["Document"] == json.loads(
        ALLOW_KMS
    )

    assumed = sts.assume_role(
        RoleArn=role["Arn"], RoleSessionName="s1", Tags=[{"Key": "ticket", "Value": "1"}], DurationSeconds=900
    )
    assert assumed["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/Operator/s1"
    kms = client(server, "kms", assumed["Credentials"])
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    session = client(server, "sts", assumed["Credentials"])
    assert session.get_caller_identity()["UserId"] == assumed["AssumedRoleUser"]["AssumedRoleId"]

    refused(iam.delete_role, "DeleteConflict", RoleName="Operator")
    iam.detach_role_policy(RoleName="Operator", PolicyArn=policy["Arn"])
    refused(kms.decrypt, "AccessDeniedException", CiphertextBlob=blob)
    iam.delete_role(RoleName="Operator")
    refused(kms.decrypt, "UnrecognizedClientException", CiphertextBlob=blob)
    refused(session.get_caller_identity, "InvalidClientTokenId")
    iam.delete_policy(PolicyArn=policy["Arn"])
    iam.delete_access_key(UserName="Ann", AccessKeyId=keys["AccessKeyId"])
    refused(sts.get_caller_identity, "InvalidClientTokenId")
    iam.delete_user(UserName="Ann")
    refused(iam.get_user, "NoSuchEntity", UserName="Ann")


def test_lists_have_pages(iam):
    names = [f"page-{number}" for number in range(5)]
    for name in names:
        iam.create_user(UserName=name)
        iam.create_group(GroupName=name)
    pages = list(iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2}))
    found = [user["UserName"] for page in pages for user in page["Users"]]
    assert [name for name in found if name.startswith("page-")] == names and len(pages) > 2
    for name in names:
        iam.add_user_to_group(GroupName=names[0], UserName=name)
    members = iam.get_paginator("get_group").paginate(GroupName=names[0], PaginationConfig={"PageSize": 2})
    assert {user["UserName"] for page in members for user in page["Users"]} == set(names)
    for name in names:
        assert [group["GroupName"] for group in iam.list_groups_for_user(UserName=name)["Groups"]] == [names[0]]
        iam.remove_user_from_group(GroupName=names[0], UserName=name)
        iam.delete_user(UserName=name)
    for name in names:
        iam.delete_group(GroupName=name)


def test_every_operation_answers_in_the_form_of_the_model(server, iam):
    """What no other test here asks for."""
    iam.create_user(UserName="Form")
    iam.create_group(GroupName="Form")
    iam.create_role(RoleName="Form", AssumeRolePolicyDocument=trust(f"arn:aws:iam::{ACCOUNT}:root"))
    arn = iam.create_policy(PolicyName="Form", PolicyDocument=ALLOW_KMS)["Policy"]["Arn"]
    for kind in ("user", "group", "role"):
        name = {f"{kind.title()}Name": "Form"}

        def call(operation: str, **more):
            return getattr(iam, operation.format(kind))(**name, **more)

        call("put_{}_policy", PolicyName="inline", PolicyDocument=ALLOW_KMS)
        assert call("get_{}_policy", PolicyName="inline")["PolicyDocument"] == json.loads(ALLOW_KMS)
        assert call("list_{}_policies")["PolicyNames"] == ["inline"]
        call("attach_{}_policy", PolicyArn=arn)
        assert call("list_attached_{}_policies")["AttachedPolicies"] == [{"PolicyName": "Form", "PolicyArn": arn}]
        if kind != "group":
            call("put_{}_permissions_boundary", PermissionsBoundary=arn)
            assert call("get_{}")[kind.title()]["PermissionsBoundary"]["PermissionsBoundaryArn"] == arn
            call("delete_{}_permissions_boundary")
            call("tag_{}", Tags=[{"Key": "a", "Value": "b"}])
            assert call("list_{}_tags")["Tags"] == [{"Key": "a", "Value": "b"}]
            call("untag_{}", TagKeys=["a"])
    entities = iam.list_entities_for_policy(PolicyArn=arn)
    assert [len(entities[kind]) for kind in ("PolicyUsers", "PolicyGroups", "PolicyRoles")] == [1, 1, 1]
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=ALLOW_KMS, SetAsDefault=True)
    assert [version["VersionId"] for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]] == ["v2", "v1"]
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
    iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "a", "Value": "b"}])
    assert iam.list_policy_tags(PolicyArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    iam.untag_policy(PolicyArn=arn, TagKeys=["a"])
    assert arn in [policy["Arn"] for policy in iam.list_policies(OnlyAttached=True)["Policies"]]
    iam.update_role(RoleName="Form", Description="d", MaxSessionDuration=7200)
    assert iam.update_role_description(RoleName="Form", Description="e")["Role"]["MaxSessionDuration"] == 7200
    iam.update_assume_role_policy(RoleName="Form", PolicyDocument=trust(f"arn:aws:iam::{ACCOUNT}:user/Form"))
    assert "Form" in [role["RoleName"] for role in iam.list_roles()["Roles"]]
    iam.update_user(UserName="Form", NewPath="/p/")
    iam.update_group(GroupName="Form", NewPath="/p/")
    keys = iam.create_access_key(UserName="Form")["AccessKey"]
    assert iam.list_access_keys(UserName="Form")["AccessKeyMetadata"][0]["AccessKeyId"] == keys["AccessKeyId"]
    iam.update_access_key(UserName="Form", AccessKeyId=keys["AccessKeyId"], Status="Inactive")
    refused(client(server, "sts", keys).get_caller_identity, "InvalidClientTokenId")
    iam.update_access_key(UserName="Form", AccessKeyId=keys["AccessKeyId"], Status="Active")
    temporary = client(server, "sts", keys).get_session_token()["Credentials"]
    assert client(server, "sts", temporary).get_caller_identity()["Arn"].endswith(":user/p/Form")
    assert client(server, "sts").get_access_key_info(AccessKeyId=keys["AccessKeyId"])["Account"] == ACCOUNT
    assert iam.get_access_key_last_used(AccessKeyId=keys["AccessKeyId"])["AccessKeyLastUsed"]["ServiceName"] == "sts"
    simulated = iam.simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:user/p/Form", ActionNames=["kms:Encrypt", "iam:GetUser"]
    )
    assert [it["EvalDecision"] for it in simulated["EvaluationResults"]] == ["allowed", "implicitDeny"]
    matched = [[it["SourcePolicyId"] for it in one["MatchedStatements"]] for one in simulated["EvaluationResults"]]
    assert matched == [["user_Form_inline", "Form"], []]
    custom = iam.simulate_custom_policy(PolicyInputList=[ALLOW_KMS], ActionNames=["kms:Encrypt"])
    assert custom["EvaluationResults"][0]["EvalDecision"] == "allowed"
    assert iam.get_user()["User"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    for kind in ("user", "group", "role"):
        name = {f"{kind.title()}Name": "Form"}
        getattr(iam, f"detach_{kind}_policy")(**name, PolicyArn=arn)
        getattr(iam, f"delete_{kind}_policy")(**name, PolicyName="inline")
    iam.delete_access_key(UserName="Form", AccessKeyId=keys["AccessKeyId"])
    iam.delete_user(UserName="Form")
    iam.delete_group(GroupName="Form")
    iam.delete_role(RoleName="Form")
    iam.delete_policy(PolicyArn=arn)


def test_the_trail_knows_who_it_was(server, iam):
    first = len(server.books.events()) + 1
    iam.create_user(UserName="Trail")
    refused(iam.create_user, "EntityAlreadyExists", UserName="Trail")
    iam.delete_user(UserName="Trail")
    events = server.books.events(first)
    assert [event["eventName"] for event in events] == ["CreateUser", "CreateUser", "DeleteUser"]
    assert {event["eventSource"] for event in events} == {"iam.amazonaws.com"}
    assert events[0]["responseElements"]["user"]["userName"] == "Trail"
    assert events[1]["errorCode"] == "EntityAlreadyExistsException" and events[1]["responseElements"] is None


def test_the_command_line(server, iam, tmp_path: Path):
    """`aws iam` and `aws sts`, as a person types them."""

    def aws(*arguments: str, **more: str) -> dict:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "AWS_ACCESS_KEY_ID": server.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": server.credentials.secret_access_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": server.url,
            "AWS_PAGER": "",
        }
        argv = [str(Path(sys.executable).with_name("aws")), *arguments, "--output", "json"]
        done = subprocess.run(argv, env=environment | more, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else {}

    aws("iam", "create-user", "--user-name", "Cli")
    made = aws("iam", "create-role", "--role-name", "Cli", "--assume-role-policy-document", trust(ACCOUNT))
    aws("iam", "put-role-policy", "--role-name", "Cli", "--policy-name", "p", "--policy-document", ALLOW_KMS)
    everything = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:*", "Resource": "*"}]}
    )
    aws("iam", "put-user-policy", "--user-name", "Cli", "--policy-name", "p", "--policy-document", everything)
    keys = aws("iam", "create-access-key", "--user-name", "Cli")["AccessKey"]
    own = {"AWS_ACCESS_KEY_ID": keys["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"]}
    arn = made["Role"]["Arn"]
    given = aws("sts", "assume-role", "--role-arn", arn, "--role-session-name", "cli", **own)["Credentials"]
    session = {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }
    assert aws("sts", "get-caller-identity", **session)["Arn"].endswith(":assumed-role/Cli/cli")
    assert aws("kms", "create-key", **session)["KeyMetadata"]["AWSAccountId"] == ACCOUNT
    assert "Cli" in [user["UserName"] for user in aws("iam", "list-users")["Users"]]
    aws("iam", "delete-access-key", "--user-name", "Cli", "--access-key-id", keys["AccessKeyId"])
    aws("iam", "delete-user-policy", "--user-name", "Cli", "--policy-name", "p")
    aws("iam", "delete-user", "--user-name", "Cli")
    aws("iam", "delete-role-policy", "--role-name", "Cli", "--policy-name", "p")
    aws("iam", "delete-role", "--role-name", "Cli")
