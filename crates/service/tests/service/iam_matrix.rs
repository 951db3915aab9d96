//! Every operation of IAM for callers with and without its permission, through the API.

use claviger_service::iam::ops;
use expect_test::expect_file;

use crate::actor::{Actor, allow, trusts};
use crate::permission_matrix::{Principals, asked, caller, grouped, principals, reason};
use crate::scenarios::{Caller, SCENARIOS, Scenario};
use crate::world::{ALICE, World};

/// An account with one of everything that IAM knows, and a request that fits every operation: each takes what it knows.
struct Account {
    world: World,
    principals: Principals,
    members: Vec<(String, String)>,
}

impl Account {
    fn set() -> Self {
        let world = World::new();
        let principals = principals(&world);
        let root = Actor::from(ALICE);
        let (document, trust) = (allow(&["s3:*"]), trusts("arn:aws:iam::111122223333:root"));
        let made = root.does(&world, "CreatePolicy", &[("PolicyName", "P"), ("PolicyDocument", &document)]);
        let arn = made.element("Arn").to_owned();
        root.does(&world, "CreateUser", &[("UserName", "Target")]);
        let key = root.does(&world, "CreateAccessKey", &[("UserName", "Target")]);
        let key = key.element("AccessKeyId").to_owned();
        root.does(&world, "CreateGroup", &[("GroupName", "Group")]);
        root.does(&world, "AddUserToGroup", &[("GroupName", "Group"), ("UserName", "Target")]);
        let role = [("RoleName", "Target"), ("AssumeRolePolicyDocument", &*trust)];
        root.does(&world, "CreateRole", &role);
        for (kind, member, name) in [("User", "UserName", "Target"), ("Role", "RoleName", "Target")] {
            root.does(&world, &format!("Attach{kind}Policy"), &[(member, name), ("PolicyArn", &arn)]);
            let policy = [(member, name), ("PolicyName", "p"), ("PolicyDocument", &document)];
            root.does(&world, &format!("Put{kind}Policy"), &policy);
        }
        let group = [("GroupName", "Group"), ("PolicyName", "p"), ("PolicyDocument", &document)];
        root.does(&world, "PutGroupPolicy", &group);
        root.does(&world, "AttachGroupPolicy", &[("GroupName", "Group"), ("PolicyArn", &arn)]);
        let provider = [("Url", "https://issuer.example"), ("ClientIDList.member.1", "client")];
        let provider = root.does(&world, "CreateOpenIDConnectProvider", &provider);
        let provider = provider.element("OpenIDConnectProviderArn").to_owned();
        let device = root.does(&world, "CreateVirtualMFADevice", &[("VirtualMFADeviceName", "Device")]);
        let device = device.element("SerialNumber").to_owned();
        let members = [
            ("UserName", "Target"),
            ("GroupName", "Group"),
            ("RoleName", "Target"),
            ("PolicyName", "p"),
            ("PolicyArn", &arn),
            ("PolicyDocument", &document),
            ("AssumeRolePolicyDocument", &trust),
            ("PolicyInputList.member.1", &document),
            ("PolicySourceArn", "arn:aws:iam::111122223333:user/Target"),
            ("ActionNames.member.1", "s3:GetObject"),
            ("AccessKeyId", &key),
            ("Status", "Inactive"),
            ("VersionId", "v1"),
            ("Description", "d"),
            ("Tags.member.1.Key", "k"),
            ("Tags.member.1.Value", "v"),
            ("TagKeys.member.1", "k"),
            ("OpenIDConnectProviderArn", &provider),
            ("Url", "https://other.example"),
            ("ClientID", "client"),
            ("ClientIDList.member.1", "client"),
            ("ThumbprintList.member.1", "0123456789abcdef0123456789abcdef01234567"),
            ("VirtualMFADeviceName", "Other"),
            ("SerialNumber", &device),
            ("AuthenticationCode1", "000000"),
            ("AuthenticationCode2", "000001"),
            ("Password", "Correct-horse-9"),
            ("OldPassword", "Correct-horse-9"),
            ("NewPassword", "Correct-horse-8"),
        ];
        let members = members.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self { world, principals, members }
    }

    fn cell(&self, operation: &str, scenario: &Scenario) -> String {
        let world = self.world.copy();
        let actions = [format!("iam:{operation}")];
        let actor = caller(&world, &self.principals, scenario, &actions);
        let mut members: Vec<(&str, &str)> =
            self.members.iter().map(|(name, value)| (&**name, &**value)).collect();
        // To make something with tags needs a second permission, and a role has a trust policy.
        members.retain(|(name, _)| operation.starts_with("Tag") || !name.starts_with("Tags."));
        if operation == "UpdateAssumeRolePolicy" {
            members.retain(|(name, _)| *name != "PolicyDocument");
            let trust = members.iter().find(|(name, _)| *name == "AssumeRolePolicyDocument").copied();
            members.push(("PolicyDocument", trust.unwrap().1));
        }
        if operation.contains("PermissionsBoundary") {
            let arn = members.iter().find(|(name, _)| *name == "PolicyArn").map(|(_, arn)| *arn);
            members.push(("PermissionsBoundary", arn.unwrap()));
        }
        let request = actor.query(&world, "iam", operation, &members);
        let handled = asked(&world, scenario, &actions, request);
        let body = String::from_utf8(handled.outgoing.body.to_vec()).unwrap();
        match (handled.code, reason(&body)) {
            (None, _) => "allowed".to_owned(),
            (Some("AccessDenied"), Some(why)) => format!("denied: {why}"),
            (Some(code), _) => format!("allowed, then {code}"),
        }
    }
}

#[test]
fn every_operation_of_iam_is_decided_about() {
    let account = Account::set();
    let applies = |scenario: &&Scenario| {
        scenario.is_about_the_callers_side()
            && matches!(scenario.caller, Caller::Root | Caller::User | Caller::Session)
    };
    let cells = |scenario: &Scenario| {
        let names = ops::ALL.iter().map(|entry| entry.name);
        names.map(|name| (account.cell(name, scenario), name)).collect()
    };
    let table: String =
        SCENARIOS.iter().filter(applies).map(|it| grouped(&it.describe(), cells(it))).collect();
    expect_file!["golden/permissions_of_iam.txt"].assert_eq(&table);
}
