//! Many at a time: each element of a request counts, wherever it stands, and each request of many is judged for itself.

use serde_json::{Value, json};

use crate::actor::{Actor, give, new_user};
use crate::world::{ALICE, Ask, Key, World, block_on};

/// Ann, who may do everything unless a condition holds.
fn ann_unless(world: &World, condition: &Value) -> Actor {
    let ann = new_user(world, ALICE, "Ann");
    let statements = json!([
        {"Effect": "Allow", "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "kms:*", "Resource": "*", "Condition": condition}]);
    give(world, ALICE, "Ann", &json!({"Version": "2012-10-17", "Statement": statements}).to_string());
    ann
}

/// How many elements a request has.
const COUNT: usize = 5;

/// With the forbidden element at every place among others, and without it. `request` makes one of the elements.
fn check(condition: Value, operation: &str, forbidden: &str, request: impl Fn(&Key, &[String]) -> Value) {
    let world = World::new();
    let (key, ann) = (world.key(ALICE), ann_unless(&world, &condition));
    let ask = |names: &[String]| ann.kms(&world, operation, &request(&key, names)).code();
    let harmless =
        |place: usize| ["Encrypt", "GenerateDataKey", "DescribeKey", "CreateGrant", "RetireGrant"][place];
    let names: Vec<String> = (0..COUNT).map(|place| harmless(place).to_owned()).collect();
    assert_eq!(ask(&names), None, "{operation} {condition}");
    for place in 0..COUNT {
        let mut names = names.clone();
        names[place] = forbidden.to_owned();
        assert_eq!(ask(&names).as_deref(), Some("AccessDeniedException"), "{operation} {condition} {place}");
    }
}

fn tags(names: &[String]) -> Value {
    names.iter().map(|name| json!({"TagKey": name, "TagValue": "v"})).collect()
}

/// Attack B23: only one of many is forbidden, and it stands anywhere.
#[test]
fn b23_one_forbidden_element_of_many_is_enough() {
    let any = |key: &str| json!({"ForAnyValue:StringEquals": {key: "secret"}});
    let tag = |key: &Key, names: &[String]| json!({"KeyId": key.arn, "Tags": tags(names)});
    check(any("aws:TagKeys"), "TagResource", "secret", tag);
    check(json!({"StringEquals": {"aws:RequestTag/secret": "v"}}), "TagResource", "secret", tag);
    let create = |_: &Key, names: &[String]| json!({"Tags": tags(names)});
    check(any("aws:TagKeys"), "CreateKey", "secret", create);
    let untag = |key: &Key, names: &[String]| json!({"KeyId": key.arn, "TagKeys": names});
    check(any("aws:TagKeys"), "UntagResource", "secret", untag);
    let encrypt = |key: &Key, names: &[String]| {
        let context: serde_json::Map<_, _> = names.iter().map(|name| (name.clone(), json!("v"))).collect();
        json!({"KeyId": key.arn, "Plaintext": "eA==", "EncryptionContext": context})
    };
    check(any("kms:EncryptionContextKeys"), "Encrypt", "secret", encrypt);
    check(json!({"StringEquals": {"kms:EncryptionContext:secret": "v"}}), "Encrypt", "secret", encrypt);
    let grant = |key: &Key, names: &[String]| json!({"KeyId": key.arn, "GranteePrincipal": "arn:aws:iam::111122223333:root", "Operations": names});
    let operations = json!({"ForAnyValue:StringEquals": {"kms:GrantOperations": "Decrypt"}});
    check(operations, "CreateGrant", "Decrypt", grant);
}

/// Attack A26: requests with a right and with a forged signature, of one key id and interleaved on many threads.
#[test]
fn a26_no_forged_request_passes_among_right_ones() {
    const THREADS: usize = 8;
    const EACH: usize = 500;
    let world = World::new();
    let key = world.key(ALICE);
    let now = world.now();
    let right = Ask::new(ALICE, "DescribeKey", json!({"KeyId": key.id})).incoming(now);
    let forge = |alter: &dyn Fn(&str) -> String| {
        let mut forged = Ask::new(ALICE, "DescribeKey", json!({"KeyId": key.id})).incoming(now);
        let header = forged.headers.get("authorization").unwrap().to_str().unwrap();
        let altered = alter(header).parse().unwrap();
        forged.headers.insert("authorization", altered);
        forged
    };
    let last = |header: &str| {
        let (head, digit) = header.split_at(header.len() - 1);
        format!("{head}{}", if digit == "0" { "1" } else { "0" })
    };
    let other_scope = |header: &str| header.replace("/us-east-1/", "/eu-west-1/");
    let forged = [forge(&last), forge(&other_scope)];
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (world, right, forged) = (&world, &right, &forged);
            scope.spawn(move || {
                for number in 0..EACH {
                    let passes = (thread + number).is_multiple_of(2);
                    let incoming = if passes { right } else { &forged[number / 2 % 2] };
                    let code = block_on(world.service.handle(incoming, now)).code;
                    let expected = (!passes).then_some("InvalidSignatureException");
                    assert_eq!(code, expected, "{thread} {number}");
                }
            });
        }
    });
}
