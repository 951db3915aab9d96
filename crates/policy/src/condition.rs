//! Condition operators: how they are read, and when they hold.
//!
//! "IAM JSON policy elements: Condition operators" and "Multivalued context keys" in the IAM User Guide.

use std::cmp::Ordering;
use std::net::IpAddr;

use crate::json::Json;
use crate::malformed::Problem;
use crate::pattern::{ArnPattern, Case, Compiler, Glob, Wildcards, condition_key};
use crate::request::{KEY_WORK, Scope, Values};
use crate::statement::{ENTRY_WORK, Effect};
use crate::value::{Decimal, Network, is_canonical_base64};

/// One operator over one key. A statement applies when all of its conditions hold.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    /// In ASCII lower case.
    key: Box<str>,
    quantifier: Quantifier,
    negated: bool,
    if_exists: bool,
    test: Test,
    /// Keys of the policy variables in it.
    variables: Box<[Box<str>]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    /// No set operator. Over a set: some value for a positive operator, none for a negated one (inferred: AWS leaves
    /// this undefined).
    Plain,
    /// `ForAllValues:`
    All,
    /// `ForAnyValue:`
    Any,
}

/// A positive test: whether one value of the request matches one value of the policy.
#[derive(Clone, Debug)]
enum Test {
    Text(Case, Box<[Glob]>),
    Arn(Box<[ArnPattern]>),
    Number(Comparison, Box<[Decimal]>),
    Date(Comparison, Box<[Decimal]>),
    /// `true`, `false`, or a policy variable.
    Bool(Box<[Glob]>),
    /// Canonical base64, which is equal where the bytes are.
    Binary(Box<[Box<str>]>),
    Address(Box<[Network]>),
    /// Whether the key is to be absent.
    Null(Box<[bool]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// The operators without prefix and suffix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Text(Case, Wildcards),
    Arn,
    Number(Comparison),
    Date(Comparison),
    Bool,
    Binary,
    Address,
    Null,
}

/// Name, family, negated.
const OPERATORS: &[(&str, Family, bool)] = &[
    ("StringEquals", Family::Text(Case::Sensitive, Wildcards::Literal), false),
    ("StringNotEquals", Family::Text(Case::Sensitive, Wildcards::Literal), true),
    ("StringEqualsIgnoreCase", Family::Text(Case::AsciiInsensitive, Wildcards::Literal), false),
    ("StringNotEqualsIgnoreCase", Family::Text(Case::AsciiInsensitive, Wildcards::Literal), true),
    ("StringLike", Family::Text(Case::Sensitive, Wildcards::Special), false),
    ("StringNotLike", Family::Text(Case::Sensitive, Wildcards::Special), true),
    ("NumericEquals", Family::Number(Comparison::Equal), false),
    ("NumericNotEquals", Family::Number(Comparison::Equal), true),
    ("NumericLessThan", Family::Number(Comparison::Less), false),
    ("NumericLessThanEquals", Family::Number(Comparison::LessOrEqual), false),
    ("NumericGreaterThan", Family::Number(Comparison::Greater), false),
    ("NumericGreaterThanEquals", Family::Number(Comparison::GreaterOrEqual), false),
    ("DateEquals", Family::Date(Comparison::Equal), false),
    ("DateNotEquals", Family::Date(Comparison::Equal), true),
    ("DateLessThan", Family::Date(Comparison::Less), false),
    ("DateLessThanEquals", Family::Date(Comparison::LessOrEqual), false),
    ("DateGreaterThan", Family::Date(Comparison::Greater), false),
    ("DateGreaterThanEquals", Family::Date(Comparison::GreaterOrEqual), false),
    ("Bool", Family::Bool, false),
    ("BinaryEquals", Family::Binary, false),
    ("IpAddress", Family::Address, false),
    ("NotIpAddress", Family::Address, true),
    ("ArnEquals", Family::Arn, false),
    ("ArnLike", Family::Arn, false),
    ("ArnNotEquals", Family::Arn, true),
    ("ArnNotLike", Family::Arn, true),
    ("Null", Family::Null, false),
];

#[derive(Clone, Copy)]
struct Operator {
    family: Family,
    negated: bool,
    quantifier: Quantifier,
    if_exists: bool,
}

impl Operator {
    /// Reads for instance `ForAnyValue:StringNotLikeIfExists`. Operator names are case-sensitive, so that a name in
    /// another spelling is refused and not dropped.
    fn parse(name: &str) -> Option<Self> {
        let (quantifier, rest) = match name.split_once(':') {
            None => (Quantifier::Plain, name),
            Some(("ForAllValues", rest)) => (Quantifier::All, rest),
            Some(("ForAnyValue", rest)) => (Quantifier::Any, rest),
            Some(_) => return None,
        };
        let (base, if_exists) = match rest.strip_suffix("IfExists") {
            Some(base) => (base, true),
            None => (rest, false),
        };
        let (_, family, negated) = OPERATORS.iter().find(|(known, ..)| *known == base).copied()?;
        let only_null = family == Family::Null && (if_exists || quantifier != Quantifier::Plain);
        (!only_null).then_some(Self { family, negated, quantifier, if_exists })
    }
}

/// Reads a `Condition` element.
pub(crate) fn parse(element: &Json, compiler: &mut Compiler) -> Result<Box<[Condition]>, Problem> {
    let wrong = |expected| Problem::WrongType { element: "Condition", expected };
    let Json::Object(operators) = element else { return Err(wrong("an object")) };
    let mut conditions = Vec::new();
    for (name, keys) in operators {
        let operator = Operator::parse(name).ok_or_else(|| Problem::UnknownOperator(name.clone()))?;
        let Json::Object(keys) = keys else { return Err(wrong("an object of objects")) };
        for (key, values) in keys {
            let key = condition_key(key).ok_or_else(|| Problem::InvalidConditionKey(key.clone()))?;
            let values = match values {
                Json::Array(values) if values.is_empty() => return Err(wrong("never without values")),
                Json::Array(values) => values.as_slice(),
                one => std::slice::from_ref(one),
            };
            let test = parse_test(operator.family, name, values, compiler)?;
            let variables = test.variables();
            let Operator { negated, quantifier, if_exists, .. } = operator;
            conditions.push(Condition { key, quantifier, negated, if_exists, test, variables });
        }
    }
    Ok(conditions.into())
}

fn parse_test(
    family: Family,
    operator: &str,
    values: &[Json],
    compiler: &mut Compiler,
) -> Result<Test, Problem> {
    let invalid =
        |value: &Json| Problem::InvalidConditionValue { operator: operator.to_owned(), value: shown(value) };
    // A fraction has no one spelling, so it is a number and never a text.
    let text = |value: &Json| match (value, family) {
        (Json::Decimal(_), family) if !matches!(family, Family::Number(_) | Family::Date(_)) => None,
        (Json::String(text) | Json::Integer(text) | Json::Decimal(text), _) => Some(text.clone()),
        (Json::Bool(value), _) => Some(value.to_string()),
        _ => None,
    };
    let texts = values
        .iter()
        .map(|value| text(value).ok_or_else(|| invalid(value)))
        .collect::<Result<Vec<String>, Problem>>()?;
    let refused = |text: &str| invalid(&Json::String(text.to_owned()));
    Ok(match family {
        Family::Text(case, wildcards) => Test::Text(case, each(&texts, |it| compiler.glob(it, wildcards))?),
        Family::Arn => Test::Arn(each(&texts, |it| compiler.arn(it)?.ok_or_else(|| refused(it)))?),
        Family::Number(comparison) => {
            Test::Number(comparison, each(&texts, |it| Decimal::parse(it).ok_or_else(|| refused(it)))?)
        }
        Family::Date(comparison) => {
            Test::Date(comparison, each(&texts, |it| Decimal::parse_date(it).ok_or_else(|| refused(it)))?)
        }
        Family::Bool => Test::Bool(each(&texts, |it| {
            let glob = compiler.glob(it, Wildcards::Literal)?;
            let known = glob.literal().is_none_or(|it| parse_bool(it).is_some());
            known.then_some(glob).ok_or_else(|| refused(it))
        })?),
        Family::Binary => Test::Binary(each(&texts, |it| {
            is_canonical_base64(it).then(|| Box::from(it)).ok_or_else(|| refused(it))
        })?),
        Family::Address => Test::Address(each(&texts, |it| Network::parse(it).ok_or_else(|| refused(it)))?),
        Family::Null => Test::Null(each(&texts, |it| parse_bool(it).ok_or_else(|| refused(it)))?),
    })
}

fn each<T>(texts: &[String], parse: impl FnMut(&str) -> Result<T, Problem>) -> Result<Box<[T]>, Problem> {
    texts.iter().map(String::as_str).map(parse).collect()
}

fn shown(value: &Json) -> String {
    match value {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Integer(text) | Json::Decimal(text) | Json::String(text) => text.clone(),
        Json::Array(_) => "an array".to_owned(),
        Json::Object(_) => "an object".to_owned(),
    }
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// Keys that carry one value each, so that `ForAllValues` over them only adds the requests that lack them.
const SINGLE_VALUED: [&str; 4] =
    ["kms:encryptioncontext:", "aws:requesttag/", "aws:resourcetag/", "aws:principaltag/"];

impl Condition {
    /// The key, when this is `ForAllValues` over a single-valued encryption context or tag key, which KMS refuses.
    /// It does so under any effect (inferred).
    pub(crate) fn overly_permissive(&self) -> Option<&str> {
        let single = SINGLE_VALUED.iter().any(|prefix| self.key.starts_with(prefix));
        (single && self.quantifier == Quantifier::All).then_some(&self.key)
    }

    /// Whether this names the callers: a positive comparison of `aws:PrincipalArn` that an absent key fails.
    pub(crate) fn names_principals(&self) -> bool {
        let positive = !self.negated && !self.if_exists && self.quantifier != Quantifier::All;
        positive && &*self.key == "aws:principalarn" && matches!(self.test, Test::Text(..) | Test::Arn(_))
    }

    /// Whether the condition holds. What is ambiguous holds in a Deny and fails in an Allow.
    pub(crate) fn holds(&self, scope: &Scope<'_>, effect: Effect) -> bool {
        if scope.is_ambiguous(&self.variables) {
            return effect == Effect::Deny;
        }
        scope.context.spend(KEY_WORK);
        let values = scope.context.values(&self.key);
        if let Some(Values::Set(values) | Values::Conflicting(values)) = &values {
            scope.context.spend(ENTRY_WORK * values.len());
        }
        match &values {
            None => self.holds_without_key(),
            Some(Values::Set(values)) if values.is_empty() => self.holds_without_key(),
            Some(Values::One(value)) => self.holds_for(std::slice::from_ref(value), scope),
            Some(Values::Set(values)) => self.holds_for(values, scope),
            Some(Values::Conflicting(values)) => {
                let mut each = values.iter().map(|value| self.holds_for(std::slice::from_ref(value), scope));
                match effect {
                    Effect::Allow => each.all(|holds| holds),
                    Effect::Deny => each.any(|holds| holds),
                }
            }
        }
    }

    fn holds_without_key(&self) -> bool {
        match (&self.test, self.quantifier) {
            (Test::Null(absent), _) => absent.contains(&true),
            _ if self.if_exists => true,
            (_, Quantifier::All) => true,
            (_, Quantifier::Any) => false,
            (_, Quantifier::Plain) => self.negated,
        }
    }

    fn holds_for<T: AsRef<str>>(&self, values: &[T], scope: &Scope<'_>) -> bool {
        if let Test::Null(absent) = &self.test {
            return absent.contains(&false);
        }
        let matches = |value: &T| self.test.matches(value.as_ref(), scope);
        match (self.quantifier, self.negated) {
            (Quantifier::Plain | Quantifier::Any, false) => values.iter().any(matches),
            (Quantifier::All, false) => values.iter().all(matches),
            (Quantifier::Plain | Quantifier::All, true) => !values.iter().any(matches),
            (Quantifier::Any, true) => !values.iter().all(matches),
        }
    }
}

impl Test {
    fn variables(&self) -> Box<[Box<str>]> {
        match self {
            Self::Text(_, globs) | Self::Bool(globs) => {
                globs.iter().flat_map(Glob::variables).map(Box::from).collect()
            }
            Self::Arn(patterns) => patterns.iter().flat_map(ArnPattern::variables).map(Box::from).collect(),
            _ => Box::default(),
        }
    }

    /// How many values the policy has.
    fn entries(&self) -> usize {
        match self {
            Self::Text(_, globs) | Self::Bool(globs) => globs.len(),
            Self::Arn(patterns) => patterns.len(),
            Self::Number(_, bounds) | Self::Date(_, bounds) => bounds.len(),
            Self::Binary(texts) => texts.len(),
            Self::Address(networks) => networks.len(),
            Self::Null(_) => 1,
        }
    }

    /// Whether `value` matches any value of the policy. What cannot be read matches none.
    fn matches(&self, value: &str, scope: &Scope<'_>) -> bool {
        scope.context.spend(ENTRY_WORK * self.entries());
        if scope.context.is_spent() {
            return false;
        }
        match self {
            Self::Text(case, globs) => globs.iter().any(|glob| glob.matches(value, *case, scope)),
            Self::Arn(patterns) => patterns.iter().any(|pattern| pattern.matches(value, scope)),
            Self::Number(comparison, bounds) => compares(Decimal::parse(value), *comparison, bounds),
            Self::Date(comparison, bounds) => compares(Decimal::parse_date(value), *comparison, bounds),
            Self::Bool(globs) => {
                parse_bool(value).is_some()
                    && globs.iter().any(|glob| glob.matches(value, Case::AsciiInsensitive, scope))
            }
            Self::Binary(texts) => texts.iter().any(|text| **text == *value),
            Self::Address(networks) => value
                .parse::<IpAddr>()
                .is_ok_and(|address| networks.iter().any(|network| network.contains(address))),
            // Asks for presence only, which `holds_for` answers.
            Self::Null(_) => false,
        }
    }
}

fn compares(value: Option<Decimal>, comparison: Comparison, bounds: &[Decimal]) -> bool {
    value.is_some_and(|value| bounds.iter().any(|bound| comparison.holds(value.cmp(bound))))
}
