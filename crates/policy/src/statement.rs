//! One statement: to whom, to what and when it applies.

use crate::condition::{self, Condition};
use crate::document::Kind;
use crate::json::Json;
use crate::malformed::Problem;
use crate::pattern::{ArnPattern, Case, Compiler, Glob};
use crate::principal::{Forms, Grip, PrincipalName, Principals};
use crate::request::{Request, Scope};
use crate::trace::Miss;

/// What a statement does when it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It allows.
    Allow,
    /// It denies, whatever else allows.
    Deny,
}

/// A compiled statement.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) sid: Option<Box<str>>,
    pub(crate) effect: Effect,
    pub(crate) principals: Principals,
    actions: Clause<Glob>,
    resources: Clause<ResourcePattern>,
    /// Keys of the policy variables in the resources.
    variables: Box<[Box<str>]>,
    conditions: Box<[Condition]>,
    /// Whether a condition names the callers by `aws:PrincipalArn`.
    names_principals: bool,
}

/// An element and its negation.
#[derive(Clone, Debug)]
enum Clause<T> {
    /// Neither was given, which key policies accept: the statement has no effect.
    Nothing,
    /// Neither is allowed, in trust policies: the resource is the role.
    Implied,
    Only(Box<[T]>),
    Except(Box<[T]>),
}

#[derive(Clone, Debug)]
enum ResourcePattern {
    Any,
    Arn(ArnPattern),
}

impl<T> Clause<T> {
    fn entries(&self) -> &[T] {
        match self {
            Self::Nothing | Self::Implied => &[],
            Self::Only(patterns) | Self::Except(patterns) => patterns,
        }
    }

    fn covers(&self, matches: impl FnMut(&T) -> bool) -> bool {
        match self {
            Self::Nothing => false,
            Self::Implied => true,
            Self::Only(patterns) => patterns.iter().any(matches),
            Self::Except(patterns) => !patterns.iter().any(matches),
        }
    }
}

impl ResourcePattern {
    fn variables(&self) -> impl Iterator<Item = &str> {
        let pattern = match self {
            Self::Any => None,
            Self::Arn(pattern) => Some(pattern),
        };
        pattern.into_iter().flat_map(ArnPattern::variables)
    }
}

impl Statement {
    /// Compiles a statement of a document of the given kind.
    pub(crate) fn parse(element: &Json, kind: Kind, compiler: &mut Compiler) -> Result<Self, Problem> {
        let Json::Object(members) = element else {
            return Err(Problem::WrongType {
                element: "Statement",
                expected: "an object or an array of objects",
            });
        };
        if let Some((name, _)) = members.iter().find(|(name, _)| !ELEMENTS.contains(&name.as_str())) {
            return Err(Problem::UnknownElement(name.clone()));
        }
        let elements = Elements { members };
        let conditions = match elements.member("Condition") {
            Some(element) => condition::parse(element, compiler)?,
            None => Box::default(),
        };
        if kind == Kind::Key
            && let Some(key) = conditions.iter().find_map(Condition::overly_permissive)
        {
            return Err(Problem::OverlyPermissiveCondition { key: key.to_owned() });
        }
        let (sid, effect) = (parse_sid(&elements, kind)?, parse_effect(&elements)?);
        let principals = parse_principals(&elements, kind)?;
        let actions = parse_actions(&elements, kind, compiler)?;
        let resources = parse_resources(&elements, kind, compiler)?;
        let variables = resources.entries().iter().flat_map(ResourcePattern::variables).map(Box::from);
        let variables = variables.collect();
        let names_principals = conditions.iter().any(Condition::names_principals);
        Ok(Self { sid, effect, principals, actions, resources, variables, conditions, names_principals })
    }

    /// How this takes hold of the caller when it is an Allow that applies to the request.
    pub(crate) fn allows(&self, request: &Request<'_>) -> Option<Grip> {
        let grip = self.principals.allows(&request.principal)?;
        // "Everyone", narrowed to the callers that a condition names, is as good as naming them. Everyone without such
        // a condition is capped (inferred).
        let everyone = || self.principals.names().iter().any(PrincipalName::is_everyone);
        let grip = match grip {
            Grip::Capped if self.names_principals && everyone() => Grip::Direct,
            grip => grip,
        };
        let allows = self.effect == Effect::Allow && !request.context.is_spent() && self.covers(request);
        // It may be spent on the way.
        (allows && !request.context.is_spent()).then_some(grip)
    }

    /// Whether this is a Deny that applies to the request.
    pub(crate) fn denies(&self, request: &Request<'_>) -> bool {
        self.effect == Effect::Deny
            && self.principals.denies(&request.principal)
            && (request.context.is_spent() || self.covers(request) || request.context.is_spent())
    }

    /// Why this does not apply to the request, when it is an Allow of the action that does not.
    pub(crate) fn misses(&self, request: &Request<'_>) -> Option<Miss> {
        let scope = Scope::new(request.context);
        let acts = |glob: &Glob| glob.matches(request.action, Case::AsciiInsensitive, &scope);
        if self.effect != Effect::Allow || request.context.is_spent() || !self.actions.covers(acts) {
            return None;
        }
        match () {
            () if !self.covers_resource(request.resource, &scope) => Some(Miss::Resource),
            () if self.principals.allows(&request.principal).is_none() => Some(Miss::Principal),
            () if !self.covers(request) => Some(Miss::Condition),
            () => None,
        }
    }

    fn covers(&self, request: &Request<'_>) -> bool {
        let scope = Scope::new(request.context);
        scope.context.spend(ENTRY_WORK * (self.actions.entries().len() + self.resources.entries().len()));
        self.actions.covers(|glob| glob.matches(request.action, Case::AsciiInsensitive, &scope))
            && self.covers_resource(request.resource, &scope)
            && self.conditions.iter().all(|condition| condition.holds(&scope, self.effect))
    }

    fn covers_resource(&self, resource: &str, scope: &Scope<'_>) -> bool {
        if scope.is_ambiguous(&self.variables) {
            return self.effect == Effect::Deny;
        }
        self.resources.covers(|pattern| match pattern {
            ResourcePattern::Any => true,
            ResourcePattern::Arn(pattern) => pattern.matches(resource, scope),
        })
    }
}

/// What it costs to look at an entry of a list, in bytes that could be searched instead.
pub(crate) const ENTRY_WORK: usize = 16;

const ELEMENTS: [&str; 9] = [
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

/// The members of a statement.
struct Elements<'j> {
    members: &'j [(String, Json)],
}

/// Which of an element and its negation was given.
enum Given<'j> {
    Neither,
    Plain(&'j Json),
    Negated(&'j Json),
}

impl<'j> Elements<'j> {
    fn member(&self, name: &str) -> Option<&'j Json> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    fn either(&self, plain: &'static str, negated: &'static str) -> Result<Given<'j>, Problem> {
        match (self.member(plain), self.member(negated)) {
            (Some(_), Some(_)) => Err(Problem::ExclusiveElements(plain, negated)),
            (Some(element), None) => Ok(Given::Plain(element)),
            (None, Some(element)) => Ok(Given::Negated(element)),
            (None, None) => Ok(Given::Neither),
        }
    }
}

/// IAM's own policies allow letters and digits only; key policies any text.
fn parse_sid(elements: &Elements<'_>, kind: Kind) -> Result<Option<Box<str>>, Problem> {
    match elements.member("Sid") {
        None => Ok(None),
        Some(Json::String(sid)) => {
            let strict = matches!(kind, Kind::Identity | Kind::Trust);
            match strict && !sid.bytes().all(|b| b.is_ascii_alphanumeric()) {
                true => Err(Problem::InvalidSid(sid.clone())),
                false => Ok(Some(sid.as_str().into())),
            }
        }
        Some(_) => Err(Problem::WrongType { element: "Sid", expected: "a string" }),
    }
}

fn parse_effect(elements: &Elements<'_>) -> Result<Effect, Problem> {
    match elements.member("Effect") {
        None => Err(Problem::MissingElement("Effect")),
        Some(Json::String(text)) => match text.as_str() {
            "Allow" => Ok(Effect::Allow),
            "Deny" => Ok(Effect::Deny),
            _ => Err(Problem::UnknownEffect(text.clone())),
        },
        Some(_) => Err(Problem::WrongType { element: "Effect", expected: "a string" }),
    }
}

fn parse_principals(elements: &Elements<'_>, kind: Kind) -> Result<Principals, Problem> {
    let forms = if kind == Kind::Trust { Forms::Trust } else { Forms::Resource };
    match (elements.either("Principal", "NotPrincipal")?, kind) {
        (Given::Neither, Kind::Identity) => Ok(Principals::Implied),
        (_, Kind::Identity) => Err(Problem::ForbiddenElement("Principal")),
        (Given::Neither, _) => Err(Problem::NoPrincipal),
        (Given::Negated(_), Kind::Trust) => Err(Problem::ForbiddenElement("NotPrincipal")),
        (Given::Plain(element), _) => Principals::named(element, forms),
        (Given::Negated(element), _) => Principals::except(element, forms),
    }
}

fn parse_actions(
    elements: &Elements<'_>,
    kind: Kind,
    compiler: &mut Compiler,
) -> Result<Clause<Glob>, Problem> {
    let given = elements.either("Action", "NotAction")?;
    clause(given, "Action", kind == Kind::Key, |text| {
        if !is_action(text) {
            return Err(Problem::InvalidAction(text.to_owned()));
        }
        compiler.glob_without_variables(text)
    })
}

fn parse_resources(
    elements: &Elements<'_>,
    kind: Kind,
    compiler: &mut Compiler,
) -> Result<Clause<ResourcePattern>, Problem> {
    let given = elements.either("Resource", "NotResource")?;
    match (kind, &given) {
        (Kind::Trust, Given::Neither) => return Ok(Clause::Implied),
        (Kind::Trust, _) => return Err(Problem::ForbiddenElement("Resource")),
        _ => {}
    }
    clause(given, "Resource", kind == Kind::Key, |text| match text {
        "*" => Ok(ResourcePattern::Any),
        _ => match compiler.resource(text)? {
            Some(pattern) => Ok(ResourcePattern::Arn(pattern)),
            None => Err(Problem::InvalidResource(text.to_owned())),
        },
    })
}

/// `*`, which `*:*` is as well, or `service:pattern`. The service has no other wildcards.
fn is_action(text: &str) -> bool {
    let name_ok = |name: &str, extra: &[u8]| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b))
    };
    matches!(text, "*" | "*:*")
        || text
            .split_once(':')
            .is_some_and(|(service, name)| name_ok(service, b"-") && name_ok(name, b"*?-_"))
}

/// Compiles a string or an array of strings. Where `optional`, its absence and an empty array make the statement void.
fn clause<T>(
    given: Given<'_>,
    element: &'static str,
    optional: bool,
    compile: impl FnMut(&str) -> Result<T, Problem>,
) -> Result<Clause<T>, Problem> {
    let wrong = Problem::WrongType { element, expected: "a string or an array of strings" };
    let (value, negated) = match given {
        Given::Neither if optional => return Ok(Clause::Nothing),
        Given::Neither => return Err(Problem::MissingElement(element)),
        Given::Plain(value) => (value, false),
        Given::Negated(value) => (value, true),
    };
    let values = match value {
        // A negated element without entries would cover everything.
        Json::Array(values) if values.is_empty() && !optional => {
            return Err(Problem::MissingElement(element));
        }
        Json::Array(values) if values.is_empty() && negated => return Err(wrong),
        Json::Array(values) if values.is_empty() => return Ok(Clause::Nothing),
        Json::Array(values) => values.as_slice(),
        one => std::slice::from_ref(one),
    };
    let texts = values
        .iter()
        .map(|value| match value {
            Json::String(text) => Ok(text.as_str()),
            _ => Err(wrong.clone()),
        })
        .collect::<Result<Vec<&str>, Problem>>()?;
    let patterns = texts.into_iter().map(compile).collect::<Result<Box<[T]>, Problem>>()?;
    Ok(if negated { Clause::Except(patterns) } else { Clause::Only(patterns) })
}
