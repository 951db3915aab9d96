//! Every small pattern against every small subject, and the hostile ones.

use super::{Case, Compiler, Wildcards};
use crate::malformed::Problem;
use crate::request::{Context, Scope, Values};

struct Bare;

impl Context for Bare {
    fn values(&self, key: &str) -> Option<Values<'_>> {
        match key {
            "x:a" => Some(Values::One("a*".into())),
            "x:empty" => Some(Values::One("".into())),
            "x:set" => Some(Values::Set(vec!["a".into()])),
            _ => None,
        }
    }
}

fn matches(pattern: &str, subject: &str) -> bool {
    let glob = Compiler::new(true).glob(pattern, Wildcards::Special).unwrap();
    glob.matches(subject, Case::Sensitive, &Scope::new(&Bare))
}

/// The definition of a match, which takes exponential time.
fn naive(pattern: &[char], subject: &[char]) -> bool {
    match (pattern, subject) {
        ([], []) => true,
        (['*', rest @ ..], _) => {
            naive(rest, subject) || subject.split_first().is_some_and(|(_, tail)| naive(pattern, tail))
        }
        (['?', rest @ ..], [_, tail @ ..]) => naive(rest, tail),
        ([p, rest @ ..], [s, tail @ ..]) => p == s && naive(rest, tail),
        _ => false,
    }
}

fn strings(alphabet: &[char], longest: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut from = 0;
    for _ in 0..longest {
        let to = all.len();
        for index in from..to {
            for c in alphabet {
                all.push(format!("{}{c}", all[index]));
            }
        }
        from = to;
    }
    all
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

fn check_all(patterns: &[String], subjects: &[String]) {
    let scope = Scope::new(&Bare);
    let subjects: Vec<(Vec<char>, &String)> = subjects.iter().map(|it| (chars(it), it)).collect();
    for pattern in patterns {
        let glob = Compiler::new(false).glob(pattern, Wildcards::Special).unwrap();
        let parts = chars(pattern);
        for (expected_of, subject) in &subjects {
            let expected = naive(&parts, expected_of);
            assert_eq!(glob.matches(subject, Case::Sensitive, &scope), expected, "{pattern} {subject}");
            assert_eq!(
                glob.matches(subject, Case::AsciiInsensitive, &scope),
                expected,
                "{pattern} {subject}"
            );
        }
    }
}

#[test]
fn every_small_pattern_matches_as_defined() {
    check_all(&strings(&['a', 'b', '*', '?', ':', '/'], 4), &strings(&['a', 'b', ':', '/'], 4));
    check_all(&strings(&['a', 'b', '*', '?'], 5), &strings(&['a', 'b'], 6));
    check_all(&strings(&['a', '*', '?'], 4), &strings(&['a', '*', '?', '\u{e9}'], 4));
    check_all(&strings(&['a', '*'], 7), &strings(&['a', 'b'], 6));
}

/// The definition for ARNs: split at the first five colons, and each component by itself. What a resource leaves out at its
/// end is `*`.
fn naive_arn(pattern: &str, subject: &str) -> bool {
    let mut parts: Vec<&str> = pattern.splitn(6, ':').collect();
    parts.resize(6, "*");
    let own: Vec<&str> = subject.splitn(6, ':').collect();
    own.len() == 6 && parts.iter().zip(&own).all(|(p, s)| naive(&chars(p), &chars(s)))
}

#[test]
fn every_small_arn_matches_component_by_component() {
    let subjects = |alphabet: &[char], longest| -> Vec<String> {
        strings(alphabet, longest).iter().map(|it| format!("arn:p:s{it}")).collect()
    };
    let (mut arns, mut resources) = (0, 0);
    for (alphabet, longest, subjects) in [
        (&['a', ':', '*'][..], 6, subjects(&['a', ':'], 6)),
        (&['a', 'b', '*', '?', ':', '/'], 4, subjects(&['a', 'b', ':', '/'], 4)),
        (&['*', '?', ':'], 6, subjects(&['*', ':'], 6)),
    ] {
        for tail in strings(alphabet, longest) {
            let pattern = format!("arn:p:s{tail}");
            let arn = Compiler::new(false).arn(&pattern).unwrap();
            assert_eq!(arn.is_some(), pattern.matches(':').count() >= 5, "{pattern}");
            let resource = Compiler::new(false).resource(&pattern).unwrap().unwrap();
            for subject in &subjects {
                let expected = naive_arn(&pattern, subject);
                assert_eq!(resource.matches(subject, &Scope::new(&Bare)), expected, "{pattern} {subject}");
                resources += 1;
                if let Some(arn) = &arn {
                    assert_eq!(arn.matches(subject, &Scope::new(&Bare)), expected, "{pattern} {subject}");
                    arns += 1;
                }
            }
        }
    }
    assert!(arns > 50_000 && resources > 500_000, "{arns} {resources}");
}

#[test]
fn variables_are_literal_text() {
    for (pattern, subject, expected) in [
        ("${x:a}", "a*", true),
        ("${x:a}", "ab", false),
        ("${X:A}", "a*", true),
        ("p${x:a}*s", "pa*middle-s", true),
        ("*${x:a}*", "..a*..", true),
        ("*${x:a}*", "..ab..", false),
        ("*-${x:a}/*", "1-a*/2", true),
        ("a${x:empty}b", "ab", true),
        ("*${x:empty}*", "", true),
        ("${x:none}", "", false),
        ("*${x:none}*", "anything", false),
        ("${x:none, 'd,}*'}", "d,}*", true),
        ("${x:none,'d'}", "d", true),
        ("${x:a, 'd'}", "d", false),
        ("${x:set}", "a", false),
        ("${*}${?}${$}", "*?$", true),
        ("${*}", "b", false),
        ("$", "$", true),
        ("$x{}", "$x{}", true),
    ] {
        assert_eq!(matches(pattern, subject), expected, "{pattern} {subject}");
    }
    for pattern in
        ["${", "${}", "${x}", "${x:a", "${x:a,}", "${x:a,d}", "${x:a,'d}", "${x:${x:a}}", "${ x:a}"]
    {
        let found = Compiler::new(true).glob(pattern, Wildcards::Special);
        assert_eq!(found, Err(Problem::InvalidVariable(pattern.to_owned())));
        let old = Compiler::new(false).glob(pattern, Wildcards::Special).unwrap();
        assert!(old.matches(pattern, Case::Sensitive, &Scope::new(&Bare)));
    }
}

/// Attack B7. Backtracking would not end; the budget bounds the one search that is not linear.
#[test]
fn b07_many_stars_end() {
    let subject = "a".repeat(2048);
    assert!(matches(&"*".repeat(2048), &subject));
    assert!(!matches(&format!("{}b", "*".repeat(2048)), &subject));
    assert!(!matches(&format!("{}b", "a*".repeat(1024)), &subject));
    assert!(!matches(&format!("{}b*", "*a".repeat(1024)), &subject));
    assert!(matches(&"*a".repeat(1024), &subject));
    assert!(!matches(&format!("*{}b*", "a".repeat(1024)), &subject));
    let arn = |tail: &str| Compiler::new(true).resource(&format!("arn:aws:kms:*:*:{tail}")).unwrap().unwrap();
    let key = format!("arn:aws:kms:us-east-1:111122223333:key/{subject}");
    assert!(!arn(&format!("{}b", "*a".repeat(1024))).matches(&key, &Scope::new(&Bare)));
    assert!(arn(&"*a".repeat(1024)).matches(&key, &Scope::new(&Bare)));
    let searched = |length: usize| format!("*{}?*", "a".repeat(length - 1));
    let mut compiler = Compiler::new(true);
    assert!(compiler.glob(&searched(1000), Wildcards::Special).is_ok());
    assert!(compiler.glob(&searched(24), Wildcards::Special).is_ok());
    assert_eq!(compiler.glob(&searched(2), Wildcards::Special), Err(Problem::TooComplex));
    assert_eq!(Compiler::new(true).glob("*${x:a}?*", Wildcards::Special), Err(Problem::TooComplex));
    assert!(compiler.glob("????-*-????", Wildcards::Special).is_ok(), "anchored runs need no search");
}
