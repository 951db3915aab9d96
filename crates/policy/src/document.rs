//! A policy document: parsed once, matched many times.

use crate::json::{self, Json};
use crate::malformed::{Malformed, Problem};
use crate::pattern::Compiler;
use crate::principal::PrincipalName;
use crate::statement::Statement;

/// What a document is for; decides its grammar and its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Key policy: `Principal` required; a statement without `Action` or `Resource` is accepted and has no effect.
    Key,
    /// Identity policy, permissions boundary or session policy: `Principal` forbidden, `Action` and `Resource`
    /// required.
    Identity,
    /// VPC endpoint policy: `Principal`, `Action` and `Resource` required.
    Endpoint,
    /// Trust policy of a role: `Principal` and `Action` required, `Resource` forbidden, identity providers allowed.
    Trust,
}

impl Kind {
    /// Longest document in bytes. For key policies it is the quota of KMS, for endpoint policies that of AWS PrivateLink;
    /// for the others a bound on the text, as their quotas do not count white space and are the service's to check.
    pub const fn max_bytes(self) -> usize {
        match self {
            Self::Key => 32_768,
            Self::Endpoint => 20_480,
            Self::Identity | Self::Trust => 131_072,
        }
    }
}

/// A compiled policy document. Immutable; share it in an `Arc`.
#[derive(Clone, Debug)]
pub struct Document {
    kind: Kind,
    id: Option<Box<str>>,
    statements: Box<[Statement]>,
}

impl Document {
    /// Parses `text`. Everything in it must be understood: an element, operator, principal or value that is not known
    /// refuses the document, because what is ignored may be what was to deny.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, Malformed> {
        check_text(text, kind)?;
        let document = |problem| Malformed::Grammar { statement: None, problem };
        let Json::Object(members) = json::read(text).map_err(Malformed::Json)? else {
            return Err(document(Problem::WrongType { element: "policy", expected: "an object" }));
        };
        let mut header = Header::default();
        for (name, value) in members {
            header.take(name, value).map_err(document)?;
        }
        let mut compiler = Compiler::new(header.has_variables(kind).map_err(document)?);
        let elements = header.statements().map_err(document)?;
        let mut statements: Vec<Statement> = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let problem = |problem| Malformed::Grammar { statement: Some(index), problem };
            let statement = Statement::parse(element, kind, &mut compiler).map_err(problem)?;
            if let Some(sid) = statement.sid.as_ref().filter(|sid| !sid.is_empty())
                && kind == Kind::Identity
                && statements.iter().any(|other| other.sid.as_ref() == Some(sid))
            {
                return Err(problem(Problem::InvalidSid(sid.to_string())));
            }
            statements.push(statement);
        }
        Ok(Self { kind, id: header.id, statements: statements.into() })
    }

    /// Binds the users, roles and role sessions that the document names to unique ids, as KMS does when it saves a key
    /// policy.
    ///
    /// `unique_id` is asked for each [`PrincipalName::User`], [`PrincipalName::Role`] and [`PrincipalName::Session`]
    /// (for the id of its role); where it gives `None`, the principal does not exist and the document is refused.
    pub fn bind(
        mut self,
        mut unique_id: impl FnMut(&PrincipalName) -> Option<Box<str>>,
    ) -> Result<Self, Malformed> {
        for (index, statement) in self.statements.iter_mut().enumerate() {
            for name in statement.principals.names_mut() {
                if name.arn().is_none() {
                    continue;
                }
                let found = unique_id(name);
                if found.is_none() {
                    let name = name.arn().unwrap_or_default().to_owned();
                    let problem = Problem::InvalidPrincipal { kind: "AWS".to_owned(), name };
                    return Err(Malformed::Grammar { statement: Some(index), problem });
                }
                name.bind(found);
            }
        }
        Ok(self)
    }

    /// The kind it was parsed as.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The `Id` element.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The `Sid` of each statement, in order.
    pub fn statement_ids(&self) -> impl ExactSizeIterator<Item = Option<&str>> {
        self.statements.iter().map(|statement| statement.sid.as_deref())
    }

    /// All principals that the statements name, in `Principal` and `NotPrincipal`, in order and with repetitions.
    pub fn principals(&self) -> impl Iterator<Item = &PrincipalName> {
        self.statements.iter().flat_map(|statement| statement.principals.names())
    }

    pub(crate) fn statements(&self) -> &[Statement] {
        &self.statements
    }
}

fn check_text(text: &str, kind: Kind) -> Result<(), Malformed> {
    let limit = kind.max_bytes();
    if text.len() > limit {
        return Err(Malformed::TooLong { bytes: text.len(), limit });
    }
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}');
    match text.char_indices().find(|(_, c)| !allowed(*c)) {
        Some((offset, character)) => Err(Malformed::Character { character, offset }),
        None => Ok(()),
    }
}

/// The elements of the document itself.
#[derive(Default)]
struct Header {
    version: Option<String>,
    id: Option<Box<str>>,
    statement: Option<Json>,
}

impl Header {
    fn take(&mut self, name: String, value: Json) -> Result<(), Problem> {
        match (name.as_str(), value) {
            ("Version", Json::String(text)) => self.version = Some(text),
            ("Version", _) => return Err(Problem::WrongType { element: "Version", expected: "a string" }),
            ("Id", Json::String(text)) => self.id = Some(text.into()),
            ("Id", _) => return Err(Problem::WrongType { element: "Id", expected: "a string" }),
            ("Statement", value) => self.statement = Some(value),
            _ => return Err(Problem::UnknownElement(name)),
        }
        Ok(())
    }

    /// Whether `${..}` is a variable. Key policies must state their version; elsewhere the older one is the default.
    fn has_variables(&self, kind: Kind) -> Result<bool, Problem> {
        match self.version.as_deref() {
            Some("2012-10-17") => Ok(true),
            Some("2008-10-17") => Ok(false),
            Some(other) => Err(Problem::UnknownVersion(other.to_owned())),
            None if kind == Kind::Key => Err(Problem::MissingElement("Version")),
            None => Ok(false),
        }
    }

    fn statements(&self) -> Result<&[Json], Problem> {
        match &self.statement {
            None => Err(Problem::MissingElement("Statement")),
            Some(Json::Array(elements)) if elements.is_empty() => {
                Err(Problem::WrongType { element: "Statement", expected: "at least one" })
            }
            Some(Json::Array(elements)) => Ok(elements),
            Some(one) => Ok(std::slice::from_ref(one)),
        }
    }
}
