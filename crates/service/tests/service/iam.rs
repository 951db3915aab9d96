//! The operations of IAM: what they answer, what they refuse, and who may call them.

use serde_json::{Value, json};

use crate::actor::{Actor, allow, give, new_user, trusts};
use crate::world::{ALICE, BOB, World};

const ADMIN: &str = "arn:aws:iam::111122223333:user/Ann";

#[test]
fn users_come_and_go() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let made = root.does(&world, "CreateUser", &[("UserName", "Ann"), ("Path", "/team/")]);
    assert_eq!(made.element("Arn"), "arn:aws:iam::111122223333:user/team/Ann");
    assert!(made.element("UserId").starts_with("AIDA") && made.element("UserId").len() == 21);
    let event = &made.event;
    assert_eq!(event["eventSource"], "iam.amazonaws.com");
    assert_eq!((&event["awsRegion"], &event["readOnly"]), (&json!("us-east-1"), &json!(false)));
    assert_eq!(event["requestParameters"], json!({"userName": "Ann", "path": "/team/"}));
    assert_eq!(event["responseElements"]["user"]["userId"], made.element("UserId"));
    assert_eq!(root.refused(&world, "CreateUser", &[("UserName", "ANN")]), "EntityAlreadyExists");
    let missing = root.iam(&world, "GetUser", &[("UserName", "Bea")]);
    assert_eq!((missing.status, missing.element("Code")), (404, "NoSuchEntity"));
    assert_eq!(missing.element("Message"), "The user with name Bea cannot be found.");
    assert_eq!(missing.event["errorCode"], "NoSuchEntityException");
    let bad = root.iam(&world, "CreateUser", &[("UserName", "a/b")]);
    assert_eq!(bad.element("Code"), "ValidationError");
    assert!(bad.element("Message").contains("Value at 'userName' failed to satisfy constraint"));
    root.does(&world, "DeleteUser", &[("UserName", "Ann")]);
    assert_eq!(root.refused(&world, "DeleteUser", &[("UserName", "Ann")]), "NoSuchEntity");
    // Nothing is left of it but what says that it was.
    let left: Vec<_> = world.record_names().into_iter().filter(|name| name.contains("ann")).collect();
    assert_eq!(left, [""; 0]);
}

/// What something hangs on is not deleted (`DeleteConflict`).
#[test]
fn what_is_in_use_is_not_deleted() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    let user = [("UserName", "Ann")];
    let refused = |action: &str, members: &[(&str, &str)]| {
        let reply = root.iam(&world, action, members);
        assert_eq!((reply.status, reply.element("Code")), (409, "DeleteConflict"));
        reply.element("Message").to_owned()
    };
    assert_eq!(refused("DeleteUser", &user), "Cannot delete entity, must delete access keys first.");
    root.does(&world, "DeleteAccessKey", &[("UserName", "Ann"), ("AccessKeyId", &ann.access_key_id)]);
    give(&world, ALICE, "Ann", &allow(&["kms:*"]));
    assert_eq!(refused("DeleteUser", &user), "Cannot delete entity, must delete policies first.");
    root.does(&world, "DeleteUserPolicy", &[("UserName", "Ann"), ("PolicyName", "p")]);
    let document = allow(&["kms:*"]);
    let made = root.does(&world, "CreatePolicy", &[("PolicyName", "P"), ("PolicyDocument", &document)]);
    let arn = made.element("Arn").to_owned();
    root.does(&world, "AttachUserPolicy", &[("UserName", "Ann"), ("PolicyArn", &arn)]);
    assert_eq!(refused("DeleteUser", &user), "Cannot delete entity, must detach all policies first.");
    let policy = [("PolicyArn", &*arn)];
    assert_eq!(refused("DeletePolicy", &policy), "Cannot delete a policy attached to entities.");
    root.does(&world, "DetachUserPolicy", &[("UserName", "Ann"), ("PolicyArn", &arn)]);
    root.does(&world, "PutUserPermissionsBoundary", &[("UserName", "Ann"), ("PermissionsBoundary", &arn)]);
    refused("DeletePolicy", &policy);
    root.does(&world, "CreateGroup", &[("GroupName", "G")]);
    root.does(&world, "AddUserToGroup", &[("GroupName", "G"), ("UserName", "Ann")]);
    assert_eq!(refused("DeleteUser", &user), "Cannot delete entity, must remove user from all groups first.");
    assert_eq!(
        refused("DeleteGroup", &[("GroupName", "G")]),
        "Cannot delete entity, must remove users from group first."
    );
    root.does(&world, "RemoveUserFromGroup", &[("GroupName", "G"), ("UserName", "Ann")]);
    root.does(&world, "DeleteGroup", &[("GroupName", "G")]);
    // A deleted user bounds nothing any more.
    root.does(&world, "DeleteUser", &user);
    root.does(&world, "CreatePolicyVersion", &[("PolicyArn", &arn), ("PolicyDocument", &document)]);
    assert!(refused("DeletePolicy", &policy).contains("more than one version"));
    root.does(&world, "DeletePolicyVersion", &[("PolicyArn", &arn), ("VersionId", "v2")]);
    assert!(refused("DeletePolicyVersion", &[("PolicyArn", &arn), ("VersionId", "v1")]).contains("default"));
    root.does(&world, "DeletePolicy", &policy);
    assert_eq!(root.refused(&world, "GetPolicy", &policy), "NoSuchEntity");
}

#[test]
fn policies_have_versions_and_are_where_they_are_attached() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let document = allow(&["kms:*"]);
    let made = root.does(&world, "CreatePolicy", &[("PolicyName", "P"), ("PolicyDocument", &document)]);
    let arn = made.element("Arn").to_owned();
    assert_eq!(arn, "arn:aws:iam::111122223333:policy/P");
    let version = [("PolicyArn", &*arn), ("PolicyDocument", &*document)];
    for number in 2..=5 {
        let made = root.does(&world, "CreatePolicyVersion", &version);
        assert_eq!(made.element("VersionId"), format!("v{number}"));
    }
    assert_eq!(root.refused(&world, "CreatePolicyVersion", &version), "LimitExceeded");
    root.does(&world, "DeletePolicyVersion", &[("PolicyArn", &arn), ("VersionId", "v3")]);
    assert_eq!(root.does(&world, "CreatePolicyVersion", &version).element("VersionId"), "v6");
    let listed = root.does(&world, "ListPolicyVersions", &[("PolicyArn", &arn)]);
    assert_eq!(listed.elements("VersionId"), ["v6", "v5", "v4", "v2", "v1"]);
    let told = root.does(&world, "GetPolicyVersion", &[("PolicyArn", &arn), ("VersionId", "v1")]);
    assert!(told.element("Document").starts_with("%7B%22Statement%22%3A"), "{}", told.body);
    root.does(
        &world,
        "CreateRole",
        &[("RoleName", "R"), ("AssumeRolePolicyDocument", &trusts(ALICE.account))],
    );
    root.does(&world, "CreateUser", &[("UserName", "Ann")]);
    root.does(&world, "CreateGroup", &[("GroupName", "G")]);
    for (action, member, name) in [
        ("AttachUserPolicy", "UserName", "Ann"),
        ("AttachGroupPolicy", "GroupName", "G"),
        ("AttachRolePolicy", "RoleName", "R"),
        ("AttachRolePolicy", "RoleName", "R"),
    ] {
        root.does(&world, action, &[(member, name), ("PolicyArn", &arn)]);
    }
    assert_eq!(root.does(&world, "GetPolicy", &[("PolicyArn", &arn)]).element("AttachmentCount"), "3");
    let entities = root.does(&world, "ListEntitiesForPolicy", &[("PolicyArn", &arn)]);
    assert_eq!(entities.element("UserName"), "Ann");
    assert_eq!(entities.element("GroupName"), "G");
    assert_eq!(entities.element("RoleName"), "R");
    let only = root.does(&world, "ListEntitiesForPolicy", &[("PolicyArn", &arn), ("EntityFilter", "Role")]);
    assert_eq!((only.elements("RoleName").len(), only.elements("UserName").len()), (1, 0));
    let attached = root.does(&world, "ListAttachedRolePolicies", &[("RoleName", "R")]);
    assert_eq!(attached.elements("PolicyArn"), [&*arn]);
    root.does(&world, "DetachRolePolicy", &[("RoleName", "R"), ("PolicyArn", &arn)]);
    let again = [("RoleName", "R"), ("PolicyArn", &*arn)];
    assert_eq!(root.refused(&world, "DetachRolePolicy", &again), "NoSuchEntity");
    let foreign = [("RoleName", "R"), ("PolicyArn", "arn:aws:iam::444455556666:policy/P")];
    assert_eq!(root.refused(&world, "AttachRolePolicy", &foreign), "NoSuchEntity");
    let malformed = [("RoleName", "R"), ("PolicyArn", "arn:aws:s3:::bucket/policy/P")];
    assert_eq!(root.refused(&world, "AttachRolePolicy", &malformed), "InvalidInput");
}

/// Attacks B1 to B4 and B21, through the API: what is not understood in full is refused where it is put.
#[test]
fn b01_policies_that_are_not_understood_are_refused() {
    let world = World::new();
    let root = Actor::from(ALICE);
    root.does(&world, "CreateUser", &[("UserName", "Ann")]);
    let statement = |more: Value| {
        let mut statement = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"});
        statement.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    };
    let deep = format!("{}{}", "[".repeat(3_000), "]".repeat(3_000));
    for document in [
        "{",
        "[]",
        "{}",
        &deep,
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}]}"#,
        &statement(json!({"Conditions": {}})),
        &statement(json!({"NotAction": "kms:Encrypt"})),
        &statement(json!({"Principal": "*"})),
        &statement(json!({"Effect": "deny"})),
        &statement(json!({"Condition": {"StringEqual": {"aws:username": "x"}}})),
        &statement(json!({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/33"}}})),
        &statement(json!({"Condition": {"NumericEquals": {"aws:x": "1e309"}}})),
    ] {
        let members = [("UserName", "Ann"), ("PolicyName", "p"), ("PolicyDocument", document)];
        let code = root.refused(&world, "PutUserPolicy", &members);
        assert_eq!(code, "MalformedPolicyDocument", "{}", document.get(..80).unwrap_or(document));
        let members = [("PolicyName", "p"), ("PolicyDocument", document)];
        assert_eq!(root.refused(&world, "CreatePolicy", &members), "MalformedPolicyDocument");
        let members = [("RoleName", "r"), ("AssumeRolePolicyDocument", document)];
        let code = root.refused(&world, "CreateRole", &members);
        assert!(["MalformedPolicyDocument", "LimitExceeded"].contains(&&*code), "{code}");
    }
    let long = allow(&[&*format!("kms:{}", "a".repeat(2_048))]);
    let members = [("UserName", "Ann"), ("PolicyName", "p"), ("PolicyDocument", &*long)];
    assert_eq!(root.refused(&world, "PutUserPolicy", &members), "LimitExceeded");
    for principal in ["arn:aws:iam::111122223333:user/None", "AROAAAAAAAAAAAAAAAAAA"] {
        let members = [("RoleName", "r"), ("AssumeRolePolicyDocument", &*trusts(principal))];
        assert_eq!(root.refused(&world, "CreateRole", &members), "MalformedPolicyDocument");
    }
}

/// Lists go on where they stopped; a marker is for one list and one caller (attack C18).
#[test]
fn c18_lists_go_on_where_they_stopped() {
    let world = World::new();
    let root = Actor::from(ALICE);
    for number in 0..5 {
        let name = format!("user{number}");
        let path = if number == 3 { "/b/" } else { "/a/" };
        root.does(&world, "CreateUser", &[("UserName", &name), ("Path", path)]);
    }
    let mut names = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let mut members = vec![("MaxItems", "2")];
        members.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let page = root.does(&world, "ListUsers", &members);
        names.extend(page.elements("UserName").into_iter().map(str::to_owned));
        let truncated = page.element("IsTruncated") == "true";
        assert_eq!(truncated, !page.elements("Marker").is_empty());
        marker = page.elements("Marker").first().map(|marker| (*marker).to_owned());
        if !truncated {
            break;
        }
        let marker = marker.as_deref().unwrap();
        for (actor, action) in [(Actor::from(BOB), "ListUsers"), (root.clone(), "ListGroups")] {
            assert_eq!(actor.refused(&world, action, &[("Marker", marker)]), "ValidationError");
        }
    }
    assert_eq!(names, ["user0", "user1", "user2", "user3", "user4"]);
    let filtered = root.does(&world, "ListUsers", &[("PathPrefix", "/a/")]);
    assert_eq!(filtered.elements("UserName").len(), 4);
    assert_eq!(root.refused(&world, "ListUsers", &[("Marker", "forged")]), "ValidationError");
    for bad in ["0", "1001", "-1", "x", "1.5"] {
        let code = root.refused(&world, "ListUsers", &[("MaxItems", bad)]);
        assert_eq!(code, "ValidationError", "{bad}");
    }
    assert!(Actor::from(BOB).does(&world, "ListUsers", &[]).elements("UserName").is_empty());
}

/// Who is in a group, and which groups it is in; a group made again has nobody.
#[test]
fn groups_have_users() {
    let world = World::new();
    let root = Actor::from(ALICE);
    root.does(&world, "CreateUser", &[("UserName", "Ann")]);
    root.does(&world, "CreateGroup", &[("GroupName", "G"), ("Path", "/p/")]);
    root.does(&world, "AddUserToGroup", &[("GroupName", "G"), ("UserName", "Ann")]);
    root.does(&world, "AddUserToGroup", &[("GroupName", "G"), ("UserName", "Ann")]);
    root.does(&world, "UpdateGroup", &[("GroupName", "G"), ("NewGroupName", "H")]);
    root.does(&world, "UpdateUser", &[("UserName", "Ann"), ("NewUserName", "Anna")]);
    assert_eq!(root.refused(&world, "GetGroup", &[("GroupName", "G")]), "NoSuchEntity");
    let group = root.does(&world, "GetGroup", &[("GroupName", "H")]);
    assert_eq!(group.elements("UserName"), ["Anna"]);
    assert_eq!(group.element("Arn"), "arn:aws:iam::111122223333:group/p/H");
    let groups = root.does(&world, "ListGroupsForUser", &[("UserName", "Anna")]);
    assert_eq!(groups.elements("GroupName"), ["H"]);
    root.does(&world, "RemoveUserFromGroup", &[("GroupName", "H"), ("UserName", "Anna")]);
    let gone = [("GroupName", "H"), ("UserName", "Anna")];
    assert_eq!(root.refused(&world, "RemoveUserFromGroup", &gone), "NoSuchEntity");
    assert!(root.does(&world, "GetGroup", &[("GroupName", "H")]).elements("UserName").is_empty());
}

#[test]
fn roles_are_shown_as_aws_shows_them() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let trust = trusts(ALICE.account);
    let members =
        [("RoleName", "R"), ("AssumeRolePolicyDocument", &*trust), ("Description", "d"), ("Path", "/x/")];
    let made = root.does(&world, "CreateRole", &members);
    assert!(made.elements("MaxSessionDuration").is_empty());
    assert_eq!(made.element("Arn"), "arn:aws:iam::111122223333:role/x/R");
    let told = root.does(&world, "GetRole", &[("RoleName", "r")]);
    assert_eq!((told.element("MaxSessionDuration"), told.element("Description")), ("3600", "d"));
    assert!(told.element("AssumeRolePolicyDocument").starts_with("%7B"));
    let changed = root.does(&world, "UpdateRoleDescription", &[("RoleName", "R"), ("Description", "e")]);
    assert_eq!(changed.element("Description"), "e");
    assert_eq!(root.does(&world, "ListRoles", &[]).elements("RoleName"), ["R"]);
    let signin = [("RoleName", "R"), ("MaxSigninSessionDuration", "3600")];
    assert_eq!(root.refused(&world, "UpdateRole", &signin), "UnsupportedOperationException");
    let tag = [("RoleName", "R"), ("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")];
    root.does(&world, "TagRole", &tag);
    assert_eq!(root.does(&world, "ListRoleTags", &[("RoleName", "R")]).elements("Key"), ["k"]);
    root.does(&world, "UntagRole", &[("RoleName", "R"), ("TagKeys.member.1", "K")]);
    assert!(root.does(&world, "ListRoleTags", &[("RoleName", "R")]).elements("Key").is_empty());
}

/// IAM's own actions need permission, on the very entity; who it is about is not told to those without.
#[test]
fn iam_itself_is_decided_about() {
    let world = World::new();
    let ann = new_user(&world, ALICE, "Ann");
    Actor::from(ALICE).does(&world, "CreateUser", &[("UserName", "Bea"), ("Path", "/team/")]);
    let denied = ann.iam(&world, "GetUser", &[("UserName", "Bea")]);
    assert_eq!((denied.status, denied.element("Code")), (403, "AccessDenied"));
    assert_eq!(
        denied.element("Message"),
        format!(
            "User: {ADMIN} is not authorized to perform: iam:GetUser on resource: \
             arn:aws:iam::111122223333:user/team/Bea because no identity-based policy allows the iam:GetUser action"
        )
    );
    assert_eq!(
        (&denied.event["errorCode"], &denied.event["requestParameters"]),
        (&json!("AccessDenied"), &Value::Null)
    );
    assert_eq!(ann.refused(&world, "GetUser", &[("UserName", "None")]), "AccessDenied");
    let statement = |resource: &str| {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iam:GetUser", "Resource": resource}]})
        .to_string()
    };
    give(&world, ALICE, "Ann", &statement("arn:aws:iam::111122223333:user/${aws:username}"));
    assert_eq!(ann.does(&world, "GetUser", &[]).element("UserName"), "Ann");
    assert_eq!(ann.refused(&world, "GetUser", &[("UserName", "Bea")]), "AccessDenied");
    give(&world, ALICE, "Ann", &statement("arn:aws:iam::111122223333:user/team/*"));
    ann.does(&world, "GetUser", &[("UserName", "Bea")]);
    assert_eq!(ann.refused(&world, "GetUser", &[("UserName", "None")]), "AccessDenied");
    // Another account's user of the same name is another user.
    let eve = new_user(&world, BOB, "Ann");
    give(&world, BOB, "Ann", &allow(&["iam:*"]));
    assert_eq!(eve.refused(&world, "GetUser", &[("UserName", "Bea")]), "NoSuchEntity");
}

/// Attack B11: with every action of IAM but one, that one is refused; with that one alone, it is allowed and no other
/// is.
#[test]
fn b11_every_action_needs_its_own_permission() {
    let world = World::new();
    let ann = new_user(&world, ALICE, "Ann");
    let own = claviger_service::iam::API.entries.iter().map(|entry| entry.name);
    let arn = "arn:aws:iam::111122223333:policy/None";
    let document = allow(&["kms:*"]);
    let members: Vec<(&str, &str)> = vec![
        ("UserName", "None"),
        ("GroupName", "None"),
        ("RoleName", "None"),
        ("PolicyName", "None"),
        ("PolicyArn", arn),
        ("PolicySourceArn", "arn:aws:iam::111122223333:user/None"),
        ("PermissionsBoundary", arn),
        ("PolicyDocument", &document),
        ("PolicyInputList.member.1", &document),
        ("ActionNames.member.1", "kms:Encrypt"),
        ("AssumeRolePolicyDocument", "{}"),
        ("Description", "d"),
        ("VersionId", "v1"),
        ("AccessKeyId", "AKIAAAAAAAAAAAAAAAAA"),
        ("Status", "Active"),
        ("Tags.member.1.Key", "k"),
        ("Tags.member.1.Value", "v"),
        ("TagKeys.member.1", "k"),
        ("Url", "https://issuer.example"),
        ("OpenIDConnectProviderArn", "arn:aws:iam::111122223333:oidc-provider/none.example"),
        ("ClientID", "client"),
        ("ThumbprintList.member.1", "0123456789012345678901234567890123456789"),
        ("VirtualMFADeviceName", "None"),
        ("SerialNumber", "arn:aws:iam::111122223333:mfa/None"),
        ("AuthenticationCode1", "123456"),
        ("AuthenticationCode2", "123456"),
        ("Password", "Some-Password-1"),
        ("OldPassword", "Some-Password-1"),
        ("NewPassword", "Some-Password-1"),
    ];
    for action in own {
        let but = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "NotAction": format!("iam:{action}"), "Resource": "*"}]});
        give(&world, ALICE, "Ann", &but.to_string());
        let denied = ann.iam(&world, action, &members);
        assert_eq!(denied.code().as_deref(), Some("AccessDenied"), "{action}: {}", denied.body);
        assert!(denied.element("Message").contains(&format!("iam:{action} on resource")), "{}", denied.body);
        let only = format!("iam:{action}");
        let tags = only.replace("CreateVirtual", "Tag").replace("Create", "Tag");
        give(&world, ALICE, "Ann", &allow(&[&only, &tags]));
        assert_ne!(ann.iam(&world, action, &members).code().as_deref(), Some("AccessDenied"), "{action}");
        let other = if action == "ListUsers" { "ListGroups" } else { "ListUsers" };
        assert_eq!(ann.refused(&world, other, &[]), "AccessDenied");
        for made in ["DeleteUser", "DeleteGroup", "DeleteRole"] {
            let kind = made.trim_start_matches("Delete");
            Actor::from(ALICE).iam(&world, made, &[(&*format!("{kind}Name"), "None")]);
        }
        Actor::from(ALICE).iam(&world, "DeletePolicy", &[("PolicyArn", arn)]);
    }
}

/// When an access key was last used is told, also after a restart.
#[test]
fn the_last_use_of_a_key_is_known() {
    let mut world = World::new();
    let root = Actor::from(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    let last =
        |world: &World| root.does(world, "GetAccessKeyLastUsed", &[("AccessKeyId", &ann.access_key_id)]);
    assert_eq!(last(&world).element("ServiceName"), "N/A");
    world.clock.advance(3_000);
    ann.kms(&world, "ListKeys", &json!({}));
    let used = last(&world);
    assert_eq!((used.element("ServiceName"), used.element("Region")), ("kms", "us-east-1"));
    assert_eq!((used.element("LastUsedDate"), used.element("UserName")), ("2026-11-20T12:00:03Z", "Ann"));
    // It is written down with the next commit.
    root.does(&world, "CreateUser", &[("UserName", "Bea")]);
    world.restart();
    assert_eq!(last(&world).element("LastUsedDate"), "2026-11-20T12:00:03Z");
    let unknown = [("AccessKeyId", "AKIAAAAAAAAAAAAAAAAA")];
    assert_eq!(root.refused(&world, "GetAccessKeyLastUsed", &unknown), "NoSuchEntity");
}

/// The root user is told of as AWS tells of it, and what needs a user says so.
#[test]
fn the_root_user_is_no_user() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let told = root.does(&world, "GetUser", &[]);
    assert_eq!(
        (told.element("UserId"), told.element("Arn")),
        (ALICE.account, "arn:aws:iam::111122223333:root")
    );
    assert!(told.elements("UserName").is_empty());
    assert_eq!(root.refused(&world, "CreateAccessKey", &[]), "ValidationError");
    assert_eq!(root.refused(&world, "ListAccessKeys", &[]), "ValidationError");
}

/// A signature for one service does not serve for another (attack A8).
#[test]
fn a08_a_signature_is_for_one_service() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let mut incoming = root.query(&world, "sts", "GetCallerIdentity", &[]);
    let text = String::from_utf8(incoming.body.to_vec()).unwrap();
    incoming.body =
        text.replace("GetCallerIdentity&Version=2011-06-15", "ListUsers&Version=2010-05-08").into();
    let reply = crate::actor::send(&world, "ListUsers", &incoming);
    assert_eq!(reply.code().unwrap(), "SignatureDoesNotMatch");
    assert!(reply.body.contains("Credential should be scoped to correct service: 'iam'."), "{}", reply.body);
}

/// The simulator decides as the decision itself does, and says which condition keys it missed.
#[test]
fn the_simulator_tells_what_would_be_decided() {
    let world = World::new();
    let root = Actor::from(ALICE);
    new_user(&world, ALICE, "Ann");
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "kms:*", "Resource": "*",
         "Condition": {"StringEquals": {"kms:KeyUsage": "ENCRYPT_DECRYPT"}}},
        {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"}]})
    .to_string();
    give(&world, ALICE, "Ann", &document);
    let actions = [
        ("ActionNames.member.1", "kms:Encrypt"),
        ("ActionNames.member.2", "kms:Decrypt"),
        ("ActionNames.member.3", "s3:GetObject"),
    ];
    let usage = [
        ("ContextEntries.member.1.ContextKeyName", "kms:KeyUsage"),
        ("ContextEntries.member.1.ContextKeyValues.member.1", "ENCRYPT_DECRYPT"),
        ("ContextEntries.member.1.ContextKeyType", "string"),
    ];
    let ask = |action: &str, source: (&str, &str), more: &[(&str, &str)]| {
        let members = [&[source], &actions[..], more].concat();
        let reply = root.does(&world, action, &members);
        reply.elements("EvalDecision").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let decided = ["allowed", "explicitDeny", "implicitDeny"];
    assert_eq!(ask("SimulatePrincipalPolicy", ("PolicySourceArn", ADMIN), &usage), decided);
    assert_eq!(ask("SimulateCustomPolicy", ("PolicyInputList.member.1", &document), &usage), decided);
    let without = ask("SimulateCustomPolicy", ("PolicyInputList.member.1", &document), &[]);
    assert_eq!(without, ["implicitDeny", "explicitDeny", "implicitDeny"]);
    let cap = allow(&["s3:*"]);
    let bounded = [&usage[..], &[("PermissionsBoundaryPolicyInputList.member.1", &*cap)]].concat();
    let capped = ask("SimulatePrincipalPolicy", ("PolicySourceArn", ADMIN), &bounded);
    assert_eq!(capped, ["implicitDeny", "explicitDeny", "implicitDeny"]);
    let scp = [("OrderedOrganizationPolicyInputList.member.1.ServiceControlPolicyInputList.member.1", &*cap)];
    let members = [&[("PolicyInputList.member.1", &*document)], &actions[..], &scp].concat();
    assert_eq!(root.refused(&world, "SimulateCustomPolicy", &members), "UnsupportedOperationException");
}

/// Beside a decision stands which policies had a part in it, as AWS was seen to name them.
#[test]
fn a_simulation_names_the_policies_that_matched() {
    let world = World::new();
    let root = Actor::from(ALICE);
    new_user(&world, ALICE, "Ann");
    give(&world, ALICE, "Ann", &allow(&["kms:Encrypt"]));
    let managed = [("PolicyName", "M"), ("PolicyDocument", &*allow(&["kms:*"]))];
    root.does(&world, "CreatePolicy", &managed);
    let attached = [("UserName", "Ann"), ("PolicyArn", "arn:aws:iam::111122223333:policy/M")];
    root.does(&world, "AttachUserPolicy", &attached);
    let inline = root.does(&world, "ListUserPolicies", &[("UserName", "Ann")]).element("member").to_owned();
    let deny = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"},
        {"Effect": "Deny", "Action": "kms:De*", "Resource": "*"},
        {"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"}]});
    let (deny, bounds) = (deny.to_string(), allow(&["kms:Encrypt"]));
    let ask = |action: &str, more: &[(&str, &str)]| {
        let source =
            [("PolicySourceArn", "arn:aws:iam::111122223333:user/Ann"), ("ActionNames.member.1", action)];
        let reply = root.does(&world, "SimulatePrincipalPolicy", &[&source, more].concat());
        let text = |name: &str| reply.elements(name).join(" ");
        assert!(reply.elements("SourcePolicyType").iter().all(|kind| *kind == "IAM Policy"));
        [text("EvalDecision"), text("SourcePolicyId"), text("AllowedByPermissionsBoundary")]
    };
    let more = [("PolicyInputList.member.1", &*bounds), ("PolicyInputList.member.2", &*deny)];
    let bounded = [("PermissionsBoundaryPolicyInputList.member.1", &*bounds)];
    let cap = [("PermissionsBoundaryPolicyInputList.member.1", &*deny)];
    let both = format!("user_Ann_{inline} M");
    for (action, more, expected) in [
        ("kms:Encrypt", &[][..], ["allowed", &both, ""]),
        ("kms:Sign", &[], ["allowed", "M", ""]),
        ("s3:GetObject", &[], ["implicitDeny", "", ""]),
        ("kms:Encrypt", &more, ["allowed", &format!("{both} PolicyInputList.1 PolicyInputList.2"), ""]),
        ("kms:Decrypt", &more, ["explicitDeny", "PolicyInputList.2 PolicyInputList.2", ""]),
        ("kms:DescribeKey", &more, ["explicitDeny", "PolicyInputList.2", ""]),
        ("kms:Encrypt", &bounded, ["allowed", &both, "true"]),
        ("kms:Sign", &bounded, ["implicitDeny", "", "false"]),
        ("kms:DescribeKey", &cap, ["explicitDeny", "PermissionsBoundaryPolicyInputList.1", "false"]),
    ] {
        assert_eq!(ask(action, more), expected, "{action} {more:?}");
    }
}

/// The pages of a simulation are the whole of it, in its order.
#[test]
fn a_simulation_is_read_in_pages() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let (first, second) =
        ("arn:aws:kms:us-east-1:111122223333:key/1", "arn:aws:kms:us-east-1:111122223333:key/2");
    let document = allow(&["kms:Encrypt"]);
    let members = [
        ("PolicyInputList.member.1", &*document),
        ("ActionNames.member.1", "kms:Encrypt"),
        ("ActionNames.member.2", "kms:Decrypt"),
        ("ActionNames.member.3", "kms:Sign"),
        ("ResourceArns.member.1", first),
        ("ResourceArns.member.2", second),
    ];
    let check = |max: &str, pages: usize| {
        let mut found = Vec::new();
        let mut marker: Option<String> = None;
        for page in 1..=pages {
            let mut asked = [&members[..], &[("MaxItems", max)]].concat();
            asked.extend(marker.as_deref().map(|marker| ("Marker", marker)));
            let reply = root.does(&world, "SimulateCustomPolicy", &asked);
            let column = |name: &str| reply.elements(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
            let (actions, resources) = (column("EvalActionName"), column("EvalResourceName"));
            let rows = actions.into_iter().zip(resources).zip(column("EvalDecision"));
            found.extend(rows.map(|((action, resource), decision)| [action, resource, decision]));
            let more = if page == pages { "false" } else { "true" };
            assert_eq!(reply.element("IsTruncated"), more, "{max} {page}");
            marker = reply.elements("Marker").first().map(|marker| (*marker).to_owned());
        }
        let decided =
            [("kms:Encrypt", "allowed"), ("kms:Decrypt", "implicitDeny"), ("kms:Sign", "implicitDeny")];
        let whole = decided.map(|(action, decision)| [first, second].map(|name| [action, name, decision]));
        assert_eq!(found, whole.concat(), "{max}");
    };
    check("1", 6);
    check("4", 2);
    check("5", 2);
    check("6", 1);
    check("1000", 1);
    let forged = [&members[..], &[("Marker", "0000000001")]].concat();
    assert_eq!(root.refused(&world, "SimulateCustomPolicy", &forged), "ValidationError");
}
