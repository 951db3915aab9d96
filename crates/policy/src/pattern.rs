//! Wildcards, policy variables and ARN patterns.
//!
//! `*` matches any run of characters and `?` one. What a variable stands for is literal text, also when it has `*` or `?`
//! in it. A pattern is kept as the runs between its stars: the first is anchored at the start, the last at the end, and
//! those between are found leftmost first, which is right because a later start never helps. Nothing backtracks. A run
//! of plain text is found in linear time; a run with `?` between two stars costs its length times the subject's, so a
//! document has a budget of them.

use std::borrow::Cow;

use crate::malformed::Problem;
use crate::request::{Context, Scope, Values};

/// Most characters that a document may have in runs with `?` between stars.
const SEARCH_BUDGET: usize = 1024;

/// Components of an ARN: `arn:partition:service:region:account:resource`. The last keeps further colons.
const ARN_COMPONENTS: usize = 6;

/// How letters compare. Only ASCII letters ever fold: U+212A (Kelvin) is not `k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// As they are.
    Sensitive,
    /// `a` is `A`.
    AsciiInsensitive,
}

/// `${key}` or `${key, 'default'}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    /// The condition key in ASCII lower case.
    pub(crate) key: Box<str>,
    /// What stands in when the request has no such key.
    pub(crate) default: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Atom {
    Text(Box<str>),
    AnyOne,
    Variable(Variable),
}

type Run = Box<[Atom]>;

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    /// The runs between the stars; never empty.
    runs: Box<[Run]>,
}

/// Which characters of a pattern are special.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wildcards {
    /// `*` and `?` are wildcards.
    Special,
    /// `*` and `?` are themselves.
    Literal,
}

/// Compiles the patterns of one document.
pub(crate) struct Compiler {
    /// Whether `${..}` is a variable (version 2012-10-17) or literal text (2008-10-17).
    variables: bool,
    budget: usize,
}

/// A compiled ARN pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArnPattern {
    components: [Glob; ARN_COMPONENTS],
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Lexeme {
    Char(char),
    AnyRun,
    AnyOne,
    Variable(Variable),
}

impl Compiler {
    pub(crate) fn new(variables: bool) -> Self {
        Self { variables, budget: SEARCH_BUDGET }
    }

    /// A pattern, or literal text, with policy variables.
    pub(crate) fn glob(&mut self, text: &str, wildcards: Wildcards) -> Result<Glob, Problem> {
        let lexemes = self.lex(text, wildcards)?;
        self.glob_of(&lexemes)
    }

    /// A pattern in which `${..}` means nothing.
    pub(crate) fn glob_without_variables(&mut self, text: &str) -> Result<Glob, Problem> {
        let lexemes: Vec<Lexeme> = text.chars().map(|c| Lexeme::of(c, Wildcards::Special)).collect();
        self.glob_of(&lexemes)
    }

    /// An ARN pattern of six components, or of at least three, which stands for one with `*` in those that miss
    /// ("Resource" in the IAM User Guide). `None` when the text is not an ARN.
    pub(crate) fn resource(&mut self, text: &str) -> Result<Option<ArnPattern>, Problem> {
        let lexemes = self.lex(text, Wildcards::Special)?;
        let mut components = split_arn(&lexemes);
        if components.len() < 3 || !is_arn(&components) {
            return Ok(None);
        }
        let has_variable = |part: &&[Lexeme]| part.iter().any(|it| matches!(it, Lexeme::Variable(_)));
        if components.iter().take(ARN_COMPONENTS - 1).any(has_variable) {
            return Err(Problem::InvalidVariable(text.to_owned()));
        }
        components.resize(ARN_COMPONENTS, &[Lexeme::AnyRun]);
        self.arn_of(&components)
    }

    /// An ARN pattern of exactly six components, or `*`. `None` when the text is neither.
    pub(crate) fn arn(&mut self, text: &str) -> Result<Option<ArnPattern>, Problem> {
        let lexemes = self.lex(text, Wildcards::Special)?;
        if matches!(&*lexemes, [Lexeme::AnyRun]) {
            return self.arn_of(&[&[Lexeme::AnyRun] as &[Lexeme]; ARN_COMPONENTS]);
        }
        let components = split_arn(&lexemes);
        match components.len() == ARN_COMPONENTS && is_arn(&components) {
            true => self.arn_of(&components),
            false => Ok(None),
        }
    }

    fn arn_of(&mut self, components: &[&[Lexeme]]) -> Result<Option<ArnPattern>, Problem> {
        let globs = components.iter().map(|part| self.glob_of(part)).collect::<Result<Vec<_>, _>>()?;
        Ok(<[Glob; ARN_COMPONENTS]>::try_from(globs).ok().map(|components| ArnPattern { components }))
    }

    fn glob_of(&mut self, lexemes: &[Lexeme]) -> Result<Glob, Problem> {
        let mut runs: Vec<Run> = lexemes.split(|it| *it == Lexeme::AnyRun).map(run_of).collect();
        if let [_, middle @ .., _] = &mut *runs {
            for run in middle.iter().filter(|run| run.contains(&Atom::AnyOne)) {
                self.charge(run)?;
            }
        }
        // `**` is `*`: runs without atoms count at the ends only.
        let last = runs.len() - 1;
        let mut position = 0;
        runs.retain(|run| {
            let at_end = position == 0 || position == last;
            position += 1;
            at_end || !run.is_empty()
        });
        Ok(Glob { runs: runs.into() })
    }

    fn charge(&mut self, run: &Run) -> Result<(), Problem> {
        let mut cost = 0;
        for atom in run {
            cost += match atom {
                Atom::Text(text) => text.len(),
                Atom::AnyOne => 1,
                // The length of its value is the caller's choice, so no budget would bound it.
                Atom::Variable(_) => return Err(Problem::TooComplex),
            };
        }
        self.budget = self.budget.checked_sub(cost).ok_or(Problem::TooComplex)?;
        Ok(())
    }

    fn lex(&self, text: &str, wildcards: Wildcards) -> Result<Vec<Lexeme>, Problem> {
        let mut lexemes = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            match rest.strip_prefix("${") {
                Some(inside) if self.variables => {
                    let (lexeme, after) =
                        lex_variable(inside).ok_or_else(|| Problem::InvalidVariable(text.to_owned()))?;
                    lexemes.push(lexeme);
                    rest = after;
                }
                _ => {
                    lexemes.push(Lexeme::of(c, wildcards));
                    rest = rest.split_at_checked(c.len_utf8()).map_or("", |(_, after)| after);
                }
            }
        }
        Ok(lexemes)
    }
}

impl Lexeme {
    fn of(c: char, wildcards: Wildcards) -> Self {
        match (c, wildcards) {
            ('*', Wildcards::Special) => Self::AnyRun,
            ('?', Wildcards::Special) => Self::AnyOne,
            _ => Self::Char(c),
        }
    }
}

/// Reads a variable whose `${` was taken off; gives it and what follows its `}`.
fn lex_variable(inside: &str) -> Option<(Lexeme, &str)> {
    let (name, after) = inside.split_at_checked(inside.find([',', '}'])?)?;
    if let Some(after) = after.strip_prefix('}') {
        let literal = match name {
            "*" => Some('*'),
            "?" => Some('?'),
            "$" => Some('$'),
            _ => None,
        };
        if let Some(c) = literal {
            return Some((Lexeme::Char(c), after));
        }
        let variable = Variable { key: condition_key(name)?, default: None };
        return Some((Lexeme::Variable(variable), after));
    }
    let quoted = after.strip_prefix(',')?.trim_start_matches(' ').strip_prefix('\'')?;
    let (default, after) = quoted.split_once('\'')?;
    let after = after.trim_start_matches(' ').strip_prefix('}')?;
    let variable =
        Variable { key: condition_key(name.trim_end_matches(' '))?, default: Some(default.into()) };
    Some((Lexeme::Variable(variable), after))
}

/// A condition key in ASCII lower case; `None` when it is not `service:name`.
pub(crate) fn condition_key(name: &str) -> Option<Box<str>> {
    let (service, rest) = name.split_once(':')?;
    // The keys of an identity provider begin with its address: `issuer.example/path:sub`.
    let service_ok =
        !service.is_empty() && service.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/%".contains(&b));
    let rest_ok = !rest.is_empty()
        && rest.trim() == rest
        && !rest.chars().any(|c| c.is_control() || matches!(c, '$' | '{' | '}'));
    (service_ok && rest_ok).then(|| name.to_ascii_lowercase().into_boxed_str())
}

fn split_arn(lexemes: &[Lexeme]) -> Vec<&[Lexeme]> {
    lexemes.splitn(ARN_COMPONENTS, |it| *it == Lexeme::Char(':')).collect()
}

fn is_arn(components: &[&[Lexeme]]) -> bool {
    const ARN: &[Lexeme] = &[Lexeme::Char('a'), Lexeme::Char('r'), Lexeme::Char('n')];
    match components {
        [first, partition, service, ..] => *first == ARN && !partition.is_empty() && !service.is_empty(),
        _ => false,
    }
}

fn run_of(lexemes: &[Lexeme]) -> Run {
    let mut atoms = Vec::new();
    let mut text = String::new();
    for lexeme in lexemes {
        let atom = match lexeme {
            Lexeme::Char(c) => {
                text.push(*c);
                continue;
            }
            // Stars separate runs; there is none inside.
            Lexeme::AnyRun => continue,
            Lexeme::AnyOne => Atom::AnyOne,
            Lexeme::Variable(variable) => Atom::Variable(variable.clone()),
        };
        if !text.is_empty() {
            atoms.push(Atom::Text(std::mem::take(&mut text).into()));
        }
        atoms.push(atom);
    }
    if !text.is_empty() {
        atoms.push(Atom::Text(text.into()));
    }
    atoms.into()
}

impl Glob {
    /// Whether the whole of `subject` matches. A variable without a value matches nothing.
    pub(crate) fn matches(&self, subject: &str, case: Case, scope: &Scope<'_>) -> bool {
        match &*self.runs {
            [] => false,
            [only] => strip_front(only, subject, case, scope) == Some(""),
            [head, middle @ .., tail] => {
                let inner = strip_front(head, subject, case, scope)
                    .and_then(|inner| strip_back(tail, inner, case, scope));
                let Some(mut rest) = inner else { return false };
                middle.iter().all(|run| match strip_through(run, rest, case, scope) {
                    Some(after) => {
                        rest = after;
                        true
                    }
                    None => false,
                })
            }
        }
    }

    /// The keys of its variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.runs.iter().flatten().filter_map(|atom| match atom {
            Atom::Variable(variable) => Some(&*variable.key),
            Atom::Text(_) | Atom::AnyOne => None,
        })
    }

    /// The text, when the pattern is nothing but text.
    pub(crate) fn literal(&self) -> Option<&str> {
        match &*self.runs {
            [only] => match &**only {
                [] => Some(""),
                [Atom::Text(text)] => Some(text),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Whether an ARN matches a pattern as `ArnLike` compares them: six components, one by one, with `*` and `?` in each.
pub fn arn_like(pattern: &str, arn: &str) -> bool {
    struct Nothing;
    impl Context for Nothing {
        fn values(&self, _key: &str) -> Option<Values<'_>> {
            None
        }
    }
    let compiled = Compiler::new(false).arn(pattern);
    compiled.is_ok_and(|found| found.is_some_and(|pattern| pattern.matches(arn, &Scope::new(&Nothing))))
}

impl ArnPattern {
    /// The keys of its variables.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.components.iter().flat_map(Glob::variables)
    }

    /// Whether `subject` is an ARN whose six components match, one by one.
    pub(crate) fn matches(&self, subject: &str, scope: &Scope<'_>) -> bool {
        let mut parts = subject.splitn(ARN_COMPONENTS, ':');
        self.components
            .iter()
            .all(|glob| parts.next().is_some_and(|part| glob.matches(part, Case::Sensitive, scope)))
    }
}

/// What is left of `subject` after `run` at its start.
fn strip_front<'s>(run: &[Atom], subject: &'s str, case: Case, scope: &Scope<'_>) -> Option<&'s str> {
    run.iter().try_fold(subject, |rest, atom| match atom {
        Atom::Text(text) => strip_prefix(rest, text, case),
        Atom::Variable(variable) => strip_prefix(rest, &scope.resolve(variable)?, case),
        Atom::AnyOne => {
            let mut chars = rest.chars();
            chars.next().map(|_| chars.as_str())
        }
    })
}

/// What is left of `subject` before `run` at its end.
fn strip_back<'s>(run: &[Atom], subject: &'s str, case: Case, scope: &Scope<'_>) -> Option<&'s str> {
    run.iter().rev().try_fold(subject, |rest, atom| match atom {
        Atom::Text(text) => strip_suffix(rest, text, case),
        Atom::Variable(variable) => strip_suffix(rest, &scope.resolve(variable)?, case),
        Atom::AnyOne => {
            let mut chars = rest.chars();
            chars.next_back().map(|_| chars.as_str())
        }
    })
}

/// What is left of `subject` after the first place where `run` matches.
fn strip_through<'s>(run: &[Atom], subject: &'s str, case: Case, scope: &Scope<'_>) -> Option<&'s str> {
    if scope.context.is_spent() {
        return None;
    }
    scope.context.spend(subject.len().saturating_mul(run.len()));
    // Actions are the only subjects that fold; they are short and the engine's own.
    if case == Case::AsciiInsensitive || run.contains(&Atom::AnyOne) {
        let starts = subject.char_indices().map(|(at, _)| at);
        return starts
            .filter_map(|at| subject.get(at..))
            .find_map(|rest| strip_front(run, rest, case, scope));
    }
    let needle = match run {
        [Atom::Text(text)] => Cow::Borrowed(&**text),
        _ => Cow::Owned(text_of(run, scope, subject.len())?),
    };
    subject.split_once(&*needle).map(|(_, after)| after)
}

/// The text of a run without `?`, unless it is longer than what it is looked for in.
fn text_of(run: &[Atom], scope: &Scope<'_>, longest: usize) -> Option<String> {
    let mut text = String::new();
    for atom in run {
        if text.len() > longest {
            return None;
        }
        match atom {
            Atom::Text(part) => text.push_str(part),
            Atom::Variable(variable) => text.push_str(&scope.resolve(variable)?),
            Atom::AnyOne => return None,
        }
    }
    Some(text)
}

fn strip_prefix<'s>(subject: &'s str, prefix: &str, case: Case) -> Option<&'s str> {
    match case {
        Case::Sensitive => subject.strip_prefix(prefix),
        Case::AsciiInsensitive => {
            let (head, tail) = subject.split_at_checked(prefix.len())?;
            head.eq_ignore_ascii_case(prefix).then_some(tail)
        }
    }
}

fn strip_suffix<'s>(subject: &'s str, suffix: &str, case: Case) -> Option<&'s str> {
    match case {
        Case::Sensitive => subject.strip_suffix(suffix),
        Case::AsciiInsensitive => {
            let (head, tail) = subject.split_at_checked(subject.len().checked_sub(suffix.len())?)?;
            tail.eq_ignore_ascii_case(suffix).then_some(head)
        }
    }
}

#[cfg(test)]
mod tests;
