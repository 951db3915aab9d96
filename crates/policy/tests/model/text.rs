//! Wildcards and policy variables, by definition ("IAM JSON policy elements: Variables and tags").

use claviger_policy::Values;

use super::generate::Keys;
use super::seen::Seen;

/// One place of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// A character as it stands in the policy.
    Written(char),
    /// A character of a variable's value.
    Filled(char),
    /// `*`
    AnyRun,
    /// `?`
    AnyOne,
}

/// How the texts of a document are to be read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// What variables stand for; `None` where `${..}` is text, as in version 2008-10-17.
    pub(crate) variables: Option<&'a Keys>,
    pub(crate) seen: &'a Seen,
}

/// A variable: its key as written, its default, and the text behind it.
struct Variable<'t> {
    name: &'t str,
    default: Option<&'t str>,
    behind: &'t str,
}

/// Takes a variable apart, whose `${` has been taken away.
fn variable(text: &str) -> Variable<'_> {
    let end = text.find('}').unwrap();
    match text.find('\'').filter(|quote| *quote < end) {
        None => Variable { name: &text[..end], default: None, behind: &text[end + 1..] },
        Some(quote) => {
            let (default, behind) = text[quote + 1..].split_once('\'').unwrap();
            let name = text[..quote].trim_end_matches([' ', ',']);
            Variable { name, default: Some(default), behind: behind.split_once('}').unwrap().1 }
        }
    }
}

impl Reading<'_> {
    /// A text of the policy, place by place; `None` where one of its variables has no value: nothing matches it.
    pub(crate) fn signs(&self, text: &str, wildcards: bool) -> Option<Vec<Sign>> {
        let mut signs = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if rest.starts_with("${") {
                self.seen.note("the version has variables", self.variables.is_some());
            }
            if let (Some(keys), Some(inside)) = (self.variables, rest.strip_prefix("${")) {
                let Variable { name, default, behind } = variable(inside);
                rest = behind;
                if ["*", "?", "$"].contains(&name) {
                    signs.extend(name.chars().map(Sign::Written));
                    continue;
                }
                let value = match keys.0.get(&*name.to_lowercase()) {
                    Some(Values::One(value)) => Some(value.to_string()),
                    Some(_) => None,
                    None => default.map(str::to_owned),
                };
                self.seen.note("variable has a value", value.is_some());
                self.seen.note("variable takes its default", value.as_deref() == default);
                signs.extend(value?.chars().map(Sign::Filled));
                continue;
            }
            signs.push(match first {
                '*' if wildcards => Sign::AnyRun,
                '?' if wildcards => Sign::AnyOne,
                other => Sign::Written(other),
            });
            rest = &rest[first.len_utf8()..];
        }
        Some(signs)
    }

    /// Whether the text refers to a key of which the request has several values where one is meant.
    pub(crate) fn is_ambiguous(&self, text: &str) -> bool {
        let Some(keys) = self.variables else { return false };
        text.split("${").skip(1).any(|inside| {
            let name = variable(inside).name.to_lowercase();
            matches!(keys.0.get(&*name), Some(Values::Conflicting(_)))
        })
    }

    /// Whether an ARN matches a pattern, component by component; missing components of the pattern are `*`.
    pub(crate) fn arn(&self, pattern: &str, subject: &str) -> bool {
        let Some(signs) = self.signs(pattern, true) else { return false };
        let mut parts: Vec<&[Sign]> = signs.splitn(6, |sign| *sign == Sign::Written(':')).collect();
        parts.resize(6, &[Sign::AnyRun]);
        let own: Vec<&str> = subject.splitn(6, ':').collect();
        own.len() == 6 && parts.iter().zip(own).all(|(part, own)| like(part, own, false))
    }
}

/// Whether the whole text matches, ASCII letters alike if `fold`.
pub(crate) fn like(signs: &[Sign], text: &str, fold: bool) -> bool {
    let Some((sign, signs)) = signs.split_first() else { return text.is_empty() };
    let mut chars = text.chars();
    let first = chars.next();
    match sign {
        Sign::AnyRun => {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| like(signs, &text[at..], fold))
        }
        Sign::AnyOne => first.is_some() && like(signs, chars.as_str(), fold),
        Sign::Written(c) | Sign::Filled(c) => {
            let same = |t: char| t == *c || (fold && t.eq_ignore_ascii_case(c));
            first.is_some_and(same) && like(signs, chars.as_str(), fold)
        }
    }
}

/// Whether an action matches a pattern: without variables, and without regard to case.
pub(crate) fn action(pattern: &str, action: &str) -> bool {
    let signs: Vec<Sign> = pattern
        .chars()
        .map(|c| match c {
            '*' => Sign::AnyRun,
            '?' => Sign::AnyOne,
            other => Sign::Written(other),
        })
        .collect();
    like(&signs, action, true)
}
