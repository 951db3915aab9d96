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
    check_all(&strings(&['a', 'b', '*', '?'], 5), &strings(&['a', 'b'], 6));
    check_all(&strings(&['a', '*', '?'], 4), &strings(&['a', '*', '?', '\u{e9}'], 4));
    check_all(&strings(&['a', '*'], 7), &strings(&['a', 'b'], 6));
}

#[test]
fn every_small_arn_matches_component_by_component() {
    let naive_arn = |pattern: &str, subject: &str| {
        let parts: Vec<&str> = pattern.splitn(6, ':').collect();
        let own: Vec<&str> = subject.splitn(6, ':').collect();
        own.len() == 6 && parts.iter().zip(&own).all(|(p, s)| naive(&chars(p), &chars(s)))
    };
    let subjects: Vec<String> = strings(&['a', ':'], 6).iter().map(|it| format!("arn:p:s{it}")).collect();
    let mut compared = 0;
    for tail in strings(&['a', ':', '*'], 6) {
        let pattern = format!("arn:p:s{tail}");
        let Some(compiled) = Compiler::new(false).arn(&pattern).unwrap() else {
            assert!(pattern.matches(':').count() < 5, "{pattern}");
            continue;
        };
        for subject in &subjects {
            let found = compiled.matches(subject, &Scope::new(&Bare));
            assert_eq!(found, naive_arn(&pattern, subject), "{pattern} {subject}");
            compared += 1;
        }
    }
    assert!(compared > 10_000);
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
    let searched = |length: usize| format!("*{}?*", "a".repeat(length - 1));
    let mut compiler = Compiler::new(true);
    assert!(compiler.glob(&searched(1000), Wildcards::Special).is_ok());
    assert!(compiler.glob(&searched(24), Wildcards::Special).is_ok());
    assert_eq!(compiler.glob(&searched(2), Wildcards::Special), Err(Problem::TooComplex));
    assert_eq!(Compiler::new(true).glob("*${x:a}?*", Wildcards::Special), Err(Problem::TooComplex));
    assert!(compiler.glob("????-*-????", Wildcards::Special).is_ok(), "anchored runs need no search");
}
