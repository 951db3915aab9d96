//! Each operator, present and absent keys, sets and ambiguity.

use crate::support::{BOB, Keys, allows};

/// The default key, so that a check names only what it is about.
const KEY: &str = "x:k";

/// Whether a statement with this condition applies, asked through an Allow and through a Deny.
fn check(condition: &str, keys: &Keys, expected: bool) {
    assert_eq!(allowed(condition, keys), expected, "Allow {condition}");
    assert_eq!(denied(condition, keys), expected, "Deny {condition}");
}

fn allowed(condition: &str, keys: &Keys) -> bool {
    allows(&statement("Allow", condition), BOB, keys)
}

fn denied(condition: &str, keys: &Keys) -> bool {
    let always = r#"{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}"#;
    !allows(&format!("{always},{}", statement("Deny", condition)), BOB, keys)
}

fn statement(effect: &str, condition: &str) -> String {
    format!(
        r#"{{"Effect":"{effect}","Principal":"*","Action":"kms:Encrypt","Resource":"*","Condition":{{{condition}}}}}"#
    )
}

fn over(operator: &str, values: &str) -> String {
    format!(r#""{operator}":{{"X:K":{values}}}"#)
}

/// Operator, policy values, value of the request, whether it holds.
const SINGLE: &[(&str, &str, &str, bool)] = &[
    ("StringEquals", r#"["a","b"]"#, "b", true),
    ("StringEquals", r#""a""#, "A", false),
    ("StringEquals", r#""a*""#, "ab", false),
    ("StringEquals", r#""a*""#, "a*", true),
    ("StringEquals", "true", "true", true),
    ("StringEquals", "12", "12", true),
    ("StringNotEquals", r#"["a","b"]"#, "b", false),
    ("StringNotEquals", r#"["a","b"]"#, "c", true),
    ("StringEqualsIgnoreCase", r#""aB""#, "Ab", true),
    ("StringNotEqualsIgnoreCase", r#""aB""#, "Ab", false),
    ("StringLike", r#""a*c?""#, "abbcd", true),
    ("StringLike", r#""a*c?""#, "abbc", false),
    ("StringNotLike", r#""a*""#, "ab", false),
    ("StringNotLike", r#""a*""#, "b", true),
    ("NumericEquals", "10", "10.0", true),
    ("NumericEquals", r#""10""#, "9", false),
    ("NumericNotEquals", "[1,2]", "2", false),
    ("NumericNotEquals", "[1,2]", "3", true),
    ("NumericLessThan", "1.5", "1.4", true),
    ("NumericLessThan", "10", "10", false),
    ("NumericLessThan", "10", "9", true),
    ("NumericLessThanEquals", "10", "10", true),
    ("NumericGreaterThan", "10", "10", false),
    ("NumericGreaterThan", "9", "10", true),
    ("NumericGreaterThanEquals", "10", "10", true),
    ("NumericEquals", "10", "ten", false),
    ("NumericNotEquals", "10", "ten", true),
    ("DateEquals", r#""2026-11-24T16:00:00Z""#, "1795536000", true),
    ("DateNotEquals", r#""2026-11-24T16:00:00Z""#, "2026-11-24T17:00:00+01:00", false),
    ("DateLessThan", r#""2026-11-24""#, "2026-11-23T23:59:59Z", true),
    ("DateLessThanEquals", "1795536000", "2026-11-24T16:00:00Z", true),
    ("DateGreaterThan", r#""2026""#, "2026-01-01T00:00:00Z", false),
    ("DateGreaterThanEquals", r#""2026""#, "2026-01-01T00:00:00Z", true),
    ("Bool", "true", "true", true),
    ("Bool", r#""True""#, "true", true),
    ("Bool", r#""false""#, "true", false),
    ("Bool", r#"["true","false"]"#, "maybe", false),
    ("BinaryEquals", r#""AAE=""#, "AAE=", true),
    ("BinaryEquals", r#""AAE=""#, "AAI=", false),
    ("IpAddress", r#"["10.0.0.0/8","2001:db8::/32"]"#, "2001:db8::1", true),
    ("IpAddress", r#""10.0.0.0/8""#, "11.0.0.1", false),
    ("IpAddress", r#""10.0.0.0/8""#, "::ffff:10.0.0.1", true),
    ("IpAddress", r#""0.0.0.0/0""#, "010.0.0.1", false),
    ("NotIpAddress", r#""10.0.0.0/8""#, "::ffff:10.0.0.1", false),
    ("NotIpAddress", r#""10.0.0.0/8""#, "11.0.0.1", true),
    ("ArnLike", r#""arn:aws:s3:::b/*""#, "arn:aws:s3:::b/k:1", true),
    ("ArnEquals", r#""arn:aws:s3:*:*:b""#, "arn:aws:s3:::b", true),
    ("ArnLike", r#""*""#, "arn:aws:s3:::b", true),
    ("ArnLike", r#""*""#, "b", false),
    ("ArnNotLike", r#""arn:aws:s3:::*""#, "arn:aws:s3:::b", false),
    ("ArnNotEquals", r#""arn:aws:s3:::b""#, "arn:aws:s3:::c", true),
    ("Null", "true", "a", false),
    ("Null", r#""false""#, "a", true),
    ("StringEqualsIfExists", r#""a""#, "b", false),
    ("StringEqualsIfExists", r#""a""#, "a", true),
    ("ForAllValues:StringEquals", r#""a""#, "b", false),
    ("ForAnyValue:StringNotEquals", r#""a""#, "b", true),
];

#[test]
fn operators_compare() {
    for (operator, values, value, expected) in SINGLE {
        check(&over(operator, values), &Keys::one(KEY, value), *expected);
    }
}

#[test]
fn b05_kelvin_sign_does_not_fold() {
    check(&over("StringEqualsIgnoreCase", r#""kms""#), &Keys::one(KEY, "\u{212a}ms"), false);
    check(&over("StringEqualsIgnoreCase", r#""\u212ams""#), &Keys::one(KEY, "kms"), false);
    check(&over("StringEqualsIgnoreCase", r#""\u017f""#), &Keys::one(KEY, "s"), false);
    check(&over("StringEqualsIgnoreCase", r#""\u0131""#), &Keys::one(KEY, "I"), false);
    check(&over("StringEqualsIgnoreCase", r#""\u00e9""#), &Keys::one(KEY, "\u{c9}"), false);
}

#[test]
fn b20_absent_keys() {
    for (operator, expected) in [
        ("StringEquals", false),
        ("StringNotEquals", true),
        ("StringLike", false),
        ("StringNotLike", true),
        ("StringEqualsIfExists", true),
        ("StringNotEqualsIfExists", true),
        ("ForAllValues:StringEquals", true),
        ("ForAllValues:StringNotEquals", true),
        ("ForAnyValue:StringEquals", false),
        ("ForAnyValue:StringNotEquals", false),
        ("ForAnyValue:StringEqualsIfExists", true),
    ] {
        check(&over(operator, r#""a""#), &Keys::default(), expected);
        check(&over(operator, r#""a""#), &Keys::set(KEY, &[]), expected);
    }
    for keys in [Keys::default(), Keys::set(KEY, &[])] {
        check(&over("Null", "true"), &keys, true);
        check(&over("Null", "false"), &keys, false);
        check(&over("Bool", "false"), &keys, false);
        check(&over("NotIpAddress", r#""10.0.0.0/8""#), &keys, true);
        check(&over("ArnNotLike", r#""arn:aws:s3:::b""#), &keys, true);
        check(&over("NumericLessThanIfExists", "1"), &keys, true);
    }
}

#[test]
fn sets() {
    let ab = r#"["a","b"]"#;
    for (operator, values, expected) in [
        ("ForAllValues:StringEquals", &["a", "b", "a"][..], true),
        ("ForAllValues:StringEquals", &["a", "c"], false),
        ("ForAllValues:StringNotEquals", &["c", "d"], true),
        ("ForAllValues:StringNotEquals", &["c", "a"], false),
        ("ForAnyValue:StringEquals", &["c", "a"], true),
        ("ForAnyValue:StringEquals", &["c", "d"], false),
        ("ForAnyValue:StringNotEquals", &["a", "c"], true),
        ("ForAnyValue:StringNotEquals", &["a", "b"], false),
        ("StringEquals", &["c", "a"], true),
        ("StringNotEquals", &["c", "a"], false),
        ("StringNotEquals", &["c", "d"], true),
    ] {
        check(&over(operator, ab), &Keys::set(KEY, values), expected);
    }
    // Attack B23: the one forbidden element is seen wherever it stands.
    for index in 0..4 {
        let mut values = ["a"; 4];
        values[index] = "x";
        check(&over("ForAllValues:StringEquals", ab), &Keys::set(KEY, &values), false);
        check(&over("ForAnyValue:StringEquals", r#""x""#), &Keys::set(KEY, &values), true);
    }
}

#[test]
fn all_operators_and_keys_must_hold() {
    let both = r#""StringEquals":{"x:k":"a","x:other":"b"}"#;
    check(both, &Keys::one(KEY, "a"), false);
    let mut keys = Keys::one(KEY, "a");
    keys.0.extend(Keys::one("x:other", "b").0);
    check(both, &keys, true);
    check(r#""StringEquals":{"x:k":"a"},"StringNotEquals":{"x:other":"b"}"#, &keys, false);
    check(r#""StringEquals":{"x:k":"a","X:K":"b"}"#, &keys, false);
}

#[test]
fn b08_variables_are_literal_and_undefined_ones_do_not_match() {
    let mut keys = Keys::one(KEY, "anything");
    keys.0.extend(Keys::one("aws:username", "*").0);
    check(&over("StringLike", r#""${aws:username}""#), &keys, false);
    check(&over("StringNotLike", r#""${aws:username}""#), &keys, true);
    check(&over("StringLike", r#""${aws:none}*""#), &keys, false);
    check(&over("StringNotLike", r#""${aws:none}*""#), &keys, true);
    check(&over("StringLike", r#""${aws:none, 'any'}*""#), &keys, true);
    check(&over("StringEquals", r#""${x:k}""#), &keys, true);
    let star = Keys::one(KEY, "*");
    check(&over("StringLike", r#""${*}""#), &star, true);
    check(&over("StringLike", r#""${?}""#), &star, false);
    check(&over("StringEquals", r#""${*}""#), &star, true);
    check(&over("StringEquals", r#""${$}""#), &Keys::one(KEY, "$"), true);
    check(&over("Bool", r#""${x:k}""#), &Keys::one(KEY, "true"), true);
    check(&over("ArnLike", r#""arn:aws:s3:::${x:none,'b'}/*""#), &Keys::one(KEY, "arn:aws:s3:::b/c"), true);
}

#[test]
fn b22_names_that_differ_in_case_only_never_allow_by_ambiguity() {
    let keys = Keys::conflicting(KEY, &["good", "bad"]);
    for condition in [
        over("StringEquals", r#""good""#),
        over("StringNotEquals", r#""bad""#),
        over("ForAnyValue:StringEquals", r#""good""#),
        over("StringEqualsIfExists", r#""good""#),
        over("StringLike", r#""${x:k}""#),
        over("StringNotLike", r#""${x:k}""#),
    ] {
        assert!(!allowed(&condition, &keys), "{condition}");
        assert!(denied(&condition, &keys), "{condition}");
    }
    check(&over("StringEquals", r#"["good","bad"]"#), &keys, true);
    check(&over("StringEquals", r#""other""#), &keys, false);
    check(&over("Null", "false"), &keys, true);
    let mut both = keys.clone();
    both.0.extend(Keys::one("x:other", "good").0);
    let through_variable = r#""StringEquals":{"x:other":"${x:k}"}"#;
    assert!(!allowed(through_variable, &both) && denied(through_variable, &both));
}
