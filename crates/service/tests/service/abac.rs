//! Permissions by a key's tags and aliases: condition keys of IAM policies, which key policies do not see.

use serde_json::{Value, json};

use crate::actor::{Actor, allow, give, new_user};
use crate::policies::{open_to, policy};
use crate::world::{ALICE, BOB, Key, World, block_on};

/// A user who may describe keys on a condition, and manage nothing.
fn user_with(world: &World, condition: &Value) -> Actor {
    let user = new_user(world, ALICE, "Ann");
    let statement =
        json!({"Effect": "Allow", "Action": "kms:DescribeKey", "Resource": "*", "Condition": condition});
    give(world, ALICE, "Ann", &policy(statement));
    user
}

fn may(world: &World, user: &Actor, key: &Key) -> bool {
    let reply = user.kms(world, "DescribeKey", &json!({"KeyId": key.arn}));
    assert!([None, Some("AccessDeniedException")].contains(&reply.code().as_deref()), "{}", reply.body);
    reply.status == 200
}

#[test]
fn a_keys_tags_decide_from_the_next_request_on() {
    let world = World::new();
    let key = world.key(ALICE);
    let user = user_with(&world, &json!({"StringEquals": {"aws:ResourceTag/Team": "a"}}));
    assert!(!may(&world, &user, &key), "no tag");
    let tag = |value: &str| {
        let tags = json!([{"TagKey": "Team", "TagValue": value}]);
        world.succeed(ALICE, "TagResource", json!({"KeyId": key.id, "Tags": tags}));
    };
    tag("b");
    assert!(!may(&world, &user, &key), "another value");
    tag("a");
    assert!(may(&world, &user, &key));
    world.succeed(ALICE, "UntagResource", json!({"KeyId": key.id, "TagKeys": ["Team"]}));
    assert!(!may(&world, &user, &key), "no tag again");
}

#[test]
fn a_keys_aliases_decide_from_the_next_request_on() {
    let world = World::new();
    let (key, other) = (world.key(ALICE), world.key(ALICE));
    let user = user_with(&world, &json!({"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/app/*"}}));
    let check = |expected: [bool; 2]| {
        assert_eq!([may(&world, &user, &key), may(&world, &user, &other)], expected);
    };
    check([false, false]);
    world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/else", "TargetKeyId": key.id}));
    check([false, false]);
    world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/app/one", "TargetKeyId": key.id}));
    check([true, false]);
    world.succeed(ALICE, "UpdateAlias", json!({"AliasName": "alias/app/one", "TargetKeyId": other.id}));
    check([false, true]);
    world.succeed(ALICE, "DeleteAlias", json!({"AliasName": "alias/app/one"}));
    check([false, false]);
}

/// A Deny by alias holds from the answer of CreateAlias on, whichever host made it.
#[test]
fn a_deny_by_alias_serves_no_later_call() {
    let world = World::new();
    let key = world.key(ALICE);
    let user = new_user(&world, ALICE, "Ann");
    let statements = json!([
        {"Effect": "Allow", "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "kms:*", "Resource": "*",
            "Condition": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/closed"}}}]);
    let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    give(&world, ALICE, "Ann", &document);
    let host = world.another_host();
    let describe = user.json(&world, "DescribeKey", &json!({"KeyId": key.id}));
    let code = || block_on(host.handle(&describe, world.now())).code;
    for _ in 0..3 {
        assert_eq!(code(), None);
        world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/closed", "TargetKeyId": key.id}));
        assert_eq!(code(), Some("AccessDeniedException"));
        world.succeed(ALICE, "DeleteAlias", json!({"AliasName": "alias/closed"}));
    }
}

/// In a key policy they are absent ("aws:ResourceTag", "kms:ResourceAliases": IAM policies only).
#[test]
fn a_key_policy_does_not_see_tags_and_aliases() {
    let world = World::new();
    let key = world.key_with(ALICE, json!({"Tags": [{"TagKey": "Team", "TagValue": "a"}]}));
    world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key.id}));
    let user = new_user(&world, ALICE, "Ann");
    for (condition, expected) in [
        (json!({"StringEquals": {"aws:ResourceTag/Team": "a"}}), false),
        (json!({"Null": {"aws:ResourceTag/Team": "true"}}), true),
        (json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/app"}}), false),
        (json!({"Null": {"kms:ResourceAliases": "true"}}), true),
    ] {
        let direct = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/Ann"},
            "Action": "kms:DescribeKey", "Resource": "*", "Condition": condition});
        let both = json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), direct]});
        world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": both.to_string()}));
        assert_eq!(may(&world, &user, &key), expected, "{condition}");
    }
}

/// Tags that a key is made with are asked about as those of that key, of which nobody knows the id before: a policy has
/// to name all keys of the account and Region.
#[test]
fn b14_tags_of_a_new_key_are_decided_about_as_a_keys() {
    let world = World::serving(&["us-east-1", "eu-west-1"]);
    let primary = world.key_with(ALICE, json!({"MultiRegion": true}));
    let user = new_user(&world, ALICE, "Ann");
    let here = "arn:aws:kms:us-east-1:111122223333:key/*";
    let there = "arn:aws:kms:eu-west-1:111122223333:key/*";
    let makes = json!({"Effect": "Allow", "Action": ["kms:CreateKey", "kms:ReplicateKey"], "Resource": "*"});
    let tags = json!([{"TagKey": "Team", "TagValue": "a"}]);
    let create = json!({"Tags": tags});
    let replicate = json!({"KeyId": primary.id, "ReplicaRegion": "eu-west-1", "Tags": tags});
    let check = |statements: Value, made: bool, replicated: bool| {
        let mut all = vec![makes.clone()];
        all.extend(statements.as_array().unwrap().iter().cloned());
        give(&world, ALICE, "Ann", &json!({"Version": "2012-10-17", "Statement": all}).to_string());
        for (operation, request, may) in
            [("CreateKey", &create, made), ("ReplicateKey", &replicate, replicated)]
        {
            let handled = block_on(world.service.handle(&user.json(&world, operation, request), world.now()));
            let body = String::from_utf8_lossy(&handled.outgoing.body).into_owned();
            assert_eq!(handled.code.is_none(), may, "{operation} {statements} {body}");
            if !may {
                assert!(body.contains("is not authorized to perform: kms:TagResource "), "{body}");
                assert!(!body.contains(":key/"), "it was not made: {body}");
            }
        }
    };
    let on = |effect: &str, resource: &str| json!({"Effect": effect, "Action": "kms:TagResource", "Resource": resource});
    check(json!([]), false, false);
    check(json!([on("Allow", &primary.arn)]), false, false);
    check(json!([on("Allow", "*"), on("Deny", "arn:aws:kms:*:111122223333:key/*")]), false, false);
    check(json!([on("Allow", "arn:aws:kms:*:444455556666:key/*")]), false, false);
    check(json!([on("Allow", here)]), true, false);
    check(json!([on("Allow", "*"), on("Deny", here)]), false, true);
    world.succeed_in("eu-west-1", ALICE, "ScheduleKeyDeletion", json!({"KeyId": primary.id}));
    check(json!([on("Allow", "*"), on("Deny", there)]), true, false);
}

/// `aws:ResourceAccount` is there also where there is no key: an account's own resources, and what has none.
#[test]
fn every_resource_is_of_an_account() {
    let world = World::new();
    let key = world.key(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    let check = |account: &str, allowed: bool| {
        let condition = json!({"StringEquals": {"aws:ResourceAccount": account}});
        let mut statement = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        statement["Condition"] = condition;
        give(&world, ALICE, "Ann", &json!({"Version": "2012-10-17", "Statement": [statement]}).to_string());
        let expected = if allowed { 200 } else { 400 };
        let tags = json!([{"TagKey": "k", "TagValue": "v"}]);
        for (operation, request) in [
            ("CreateKey", json!({})),
            ("CreateKey", json!({"Tags": tags})),
            ("ListKeys", json!({})),
            ("ListAliases", json!({})),
            ("GenerateRandom", json!({"NumberOfBytes": 8})),
            ("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key.id})),
            ("UpdateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key.id})),
            ("DeleteAlias", json!({"AliasName": "alias/a"})),
            ("DescribeKey", json!({"KeyId": key.id})),
        ] {
            assert_eq!(ann.kms(&world, operation, &request).status, expected, "{operation} {account}");
        }
        let listed = ann.iam(&world, "ListUsers", &[]).status;
        assert_eq!(listed == 200, allowed);
    };
    check(ALICE.account, true);
    check(BOB.account, false);
}

/// `iam:PermissionsBoundary` is there where a request changes what a user or role may do, and nowhere else.
#[test]
fn what_bounds_a_user_is_told_where_its_permissions_change() {
    let world = World::new();
    let (ann, root) = (new_user(&world, ALICE, "Ann"), Actor::from(ALICE));
    let made = root.does(&world, "CreatePolicy", &[("PolicyName", "B"), ("PolicyDocument", &allow(&["*"]))]);
    let guard = made.element("Arn");
    let only = |condition: Value| {
        let statement =
            json!({"Effect": "Allow", "Action": "iam:*", "Resource": "*", "Condition": condition});
        give(&world, ALICE, "Ann", &json!({"Version": "2012-10-17", "Statement": [statement]}).to_string());
    };
    let user = ("UserName", "Ben");
    let policy = allow(&["kms:*"]);
    let own = [user, ("PolicyName", "own"), ("PolicyDocument", &*policy)];
    root.does(&world, "CreateUser", &[user, ("PermissionsBoundary", guard)]);
    let changes: [(&str, &[(&str, &str)]); 6] = [
        ("PutUserPolicy", &own),
        ("DeleteUserPolicy", &own[..2]),
        ("AttachUserPolicy", &[user, ("PolicyArn", guard)]),
        ("DetachUserPolicy", &[user, ("PolicyArn", guard)]),
        ("PutUserPermissionsBoundary", &[user, ("PermissionsBoundary", guard)]),
        ("CreateUser", &[("UserName", "Cy"), ("PermissionsBoundary", guard)]),
    ];
    let others: [(&str, &[(&str, &str)]); 4] = [
        ("GetUser", &[user]),
        ("CreateAccessKey", &[user]),
        ("TagUser", &[user, ("Tags.member.1.Key", "k"), ("Tags.member.1.Value", "v")]),
        ("DeleteUser", &[("UserName", "Cy")]),
    ];
    only(json!({"StringEquals": {"iam:PermissionsBoundary": guard}}));
    changes.iter().for_each(|(action, members)| drop(ann.does(&world, action, members)));
    others
        .iter()
        .for_each(|(action, members)| assert_eq!(ann.refused(&world, action, members), "AccessDenied"));
    only(json!({"Null": {"iam:PermissionsBoundary": "true"}}));
    changes
        .iter()
        .for_each(|(action, members)| assert_eq!(ann.refused(&world, action, members), "AccessDenied"));
    others.iter().for_each(|(action, members)| drop(ann.does(&world, action, members)));
}
