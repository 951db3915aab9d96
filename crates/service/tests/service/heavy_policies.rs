//! Attack B7: policies and values that together make a decision dear. What would be too much work is not done, and allows
//! nothing.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::actor::Actor;
use crate::policies::{open_to, policy};
use crate::world::{ALICE, Ask, World};

/// So many patterns that are searched for in all of a value.
fn patterns(count: usize) -> Value {
    (0..count).map(|number| format!("*{number:04}z*")).collect()
}

#[test]
fn b07_a_condition_that_takes_too_much_work_allows_nothing() {
    let world = World::new();
    let check = |effect: &str, operator: &str, agent: usize, expected: Option<&str>| {
        let key = world.key(ALICE);
        let mut statement = open_to(ALICE.account);
        statement["Effect"] = json!(effect);
        statement["Action"] = json!("kms:ListResourceTags");
        statement["Condition"] = json!({operator: {"aws:UserAgent": patterns(2_000)}});
        let mut statements = vec![statement, open_to(ALICE.account)];
        if effect == "Allow" {
            statements[1]["NotAction"] = json!("kms:ListResourceTags");
            statements[1].as_object_mut().unwrap().remove("Action");
        }
        let policy = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": policy}));
        let ask = Ask::new(ALICE, "ListResourceTags", json!({"KeyId": key.id}));
        let answer = world.send(&ask.header("user-agent", &"a".repeat(agent)));
        assert_eq!(answer.code, expected, "{effect} {operator}, {agent} bytes");
        // Nobody is told that a statement denied it which did not.
        let record = world.ledger.records(world.ledger.len() - 1).remove(0);
        let says = String::from_utf8(record).unwrap().contains("take too much work");
        assert_eq!(says, expected.is_some());
        assert!(!answer.body.contains("explicit deny"), "{}", answer.body);
    };
    let denied = Some("AccessDeniedException");
    check("Allow", "StringNotLike", 100, None);
    check("Allow", "StringNotLike", 60_000, denied);
    check("Deny", "StringLike", 100, None);
    check("Deny", "StringLike", 60_000, denied);
    // What is compared from the front on costs nothing, however long it is.
    let key = world.key(ALICE);
    let mut statement = open_to(ALICE.account);
    let texts: Vec<_> = (0..2_000).map(|number| format!("{number:04}a*")).collect();
    statement["Condition"] = json!({"StringNotLike": {"aws:UserAgent": texts}});
    let put = json!({"KeyId": key.id, "Policy": policy(statement)});
    world.succeed(ALICE, "PutKeyPolicy", put);
    let ask = Ask::new(ALICE, "DescribeKey", json!({"KeyId": key.id}));
    assert_eq!(world.send(&ask.header("user-agent", &"a".repeat(60_000))).code, None);
}

/// Policies, actions and values of a condition key.
fn simulate(policy: &Value, actions: usize, values: usize, value: &str) -> Option<String> {
    let (world, policy) = (World::new(), policy.to_string());
    let mut members = vec![("PolicyInputList.member.1".to_owned(), policy)];
    members.extend((1..=actions).map(|n| (format!("ActionNames.member.{n}"), format!("kms:A{n}"))));
    let entry = "ContextEntries.member.1.";
    members.push((format!("{entry}ContextKeyName"), "aws:x".to_owned()));
    members.push((format!("{entry}ContextKeyType"), "stringList".to_owned()));
    members.extend((1..=values).map(|n| {
        let mut name = entry.to_owned();
        write!(name, "ContextKeyValues.member.{n}").unwrap();
        (name, value.to_owned())
    }));
    let members: Vec<_> = members.iter().map(|(name, value)| (&**name, &**value)).collect();
    Actor::from(ALICE).iam(&world, "SimulateCustomPolicy", &members).code()
}

#[test]
fn b07_a_simulation_that_takes_too_much_work_is_refused() {
    let of = |statements: Value| json!({"Version": "2012-10-17", "Statement": statements});
    let condition = |count: usize| json!({"ForAnyValue:StringLike": {"aws:x": patterns(count)}});
    let deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
    let searches = |count: usize| {
        let mut statement = deny.clone();
        statement["Condition"] = condition(count);
        of(json!([statement]))
    };
    let long = "a".repeat(4_096);
    assert_eq!(simulate(&searches(100), 10, 2, &long), None);
    assert_eq!(simulate(&searches(10_000), 1, 50, &long), Some("InvalidInput".to_owned()));
    // As is an answer that would name too many statements.
    let many = of(vec![deny; 2_000].into());
    assert_eq!(simulate(&many, 10, 1, "a"), None);
    assert_eq!(simulate(&many, 100, 1, "a"), Some("InvalidInput".to_owned()));
}
