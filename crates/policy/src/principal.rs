//! Who asks, and whom a statement names.

use crate::json::Json;
use crate::malformed::Problem;

/// The caller of a request, as authentication established it.
///
/// Accounts are 12 digits; ARNs and unique ids are given whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal<'a> {
    /// The root user of an account.
    Root {
        /// The account.
        account: &'a str,
    },
    /// An IAM user.
    User {
        /// `arn:aws:iam::111122223333:user/path/name`
        arn: &'a str,
        /// Unique id (`AIDA..`).
        id: &'a str,
        /// The account.
        account: &'a str,
    },
    /// A session of a role.
    RoleSession {
        /// `arn:aws:iam::111122223333:role/path/name`
        role_arn: &'a str,
        /// Unique id of the role (`AROA..`).
        role_id: &'a str,
        /// `arn:aws:sts::111122223333:assumed-role/name/session`
        session_arn: &'a str,
        /// The account.
        account: &'a str,
    },
    /// A session of `GetFederationToken`.
    FederatedUser {
        /// `arn:aws:sts::111122223333:federated-user/name`
        arn: &'a str,
        /// ARN of the user who vouches for it.
        user_arn: &'a str,
        /// Unique id of that user.
        user_id: &'a str,
        /// The account.
        account: &'a str,
    },
    /// Someone whom an identity provider vouches for, who asks for a session of a role.
    WebIdentity {
        /// `arn:aws:iam::111122223333:oidc-provider/issuer.example`
        provider: &'a str,
    },
    /// A service that calls on its own behalf.
    Service {
        /// Host name of the service, for instance `ec2.amazonaws.com`.
        name: &'a str,
    },
}

impl<'a> Principal<'a> {
    /// The account that the caller belongs to; services and those of identity providers belong to none.
    pub fn account(&self) -> Option<&'a str> {
        match *self {
            Self::Root { account }
            | Self::User { account, .. }
            | Self::RoleSession { account, .. }
            | Self::FederatedUser { account, .. } => Some(account),
            Self::WebIdentity { .. } | Self::Service { .. } => None,
        }
    }
}

/// A principal that a policy names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalName {
    /// `*` where it stands alone, but for trust policies: everyone, those whom identity providers vouch for as well.
    Anyone,
    /// `*` under `AWS`, and in trust policies: everyone else.
    Everyone,
    /// An account, written as 12 digits or as the ARN of its root.
    Account(Box<str>),
    /// A user.
    User {
        /// ARN as written.
        arn: Box<str>,
        /// Unique id that [`crate::Document::bind`] bound it to. Once bound, the id alone decides, so that a user who
        /// is deleted and made again under the same name is somebody else.
        id: Option<Box<str>>,
    },
    /// A role: all of its sessions.
    Role {
        /// ARN as written.
        arn: Box<str>,
        /// Unique id that [`crate::Document::bind`] bound it to.
        id: Option<Box<str>>,
    },
    /// One session of a role.
    Session {
        /// ARN as written.
        arn: Box<str>,
        /// Unique id of the role, which [`crate::Document::bind`] bound it to. Once bound, the session must be of that
        /// very role, too.
        id: Option<Box<str>>,
    },
    /// ARN of a federated user.
    FederatedUser(Box<str>),
    /// Unique id of a user (`AIDA..`) or role (`AROA..`).
    UniqueId(Box<str>),
    /// Host name of a service.
    Service(Box<str>),
    /// Identity provider, in trust policies only.
    Federated(Box<str>),
}

/// How a statement names the caller, weakest first ("Policy evaluation logic", the table of principals).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grip {
    /// By its account: delegates to the account's identity policies.
    Account,
    /// By its role, or as one of everyone: boundary and session policies cap it.
    Capped,
    /// In person: nothing but an explicit deny limits it.
    Direct,
}

impl PrincipalName {
    /// The ARN as written, of what [`crate::Document::bind`] binds to a unique id.
    pub fn arn(&self) -> Option<&str> {
        match self {
            Self::User { arn, .. } | Self::Role { arn, .. } | Self::Session { arn, .. } => Some(arn),
            _ => None,
        }
    }

    /// Whether it is `*`.
    pub(crate) fn is_everyone(&self) -> bool {
        matches!(self, Self::Anyone | Self::Everyone)
    }

    /// Binds it to a unique id.
    pub(crate) fn bind(&mut self, found: Option<Box<str>>) {
        if let Self::User { id, .. } | Self::Role { id, .. } | Self::Session { id, .. } = self {
            *id = found;
        }
    }

    /// Reads an entry under `AWS`: `*`, an account, a unique id, or the ARN of a principal.
    pub fn parse_aws(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everyone);
        }
        if is_account(text) {
            return Some(Self::Account(text.into()));
        }
        if is_unique_id(text) {
            return Some(Self::UniqueId(text.into()));
        }
        let mut parts = text.splitn(6, ':');
        let (arn, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        if arn != "arn" || !is_partition(partition) || !region.is_empty() || !is_account(account) {
            return None;
        }
        let (kind, rest) = resource.split_once('/').unwrap_or((resource, ""));
        match (service, kind) {
            ("iam", "root") if resource == "root" => Some(Self::Account(account.into())),
            ("iam", "user") if is_path_and_name(rest) => Some(Self::User { arn: text.into(), id: None }),
            ("iam", "role") if is_path_and_name(rest) => Some(Self::Role { arn: text.into(), id: None }),
            ("sts", "assumed-role") => {
                let (role, session) = rest.split_once('/')?;
                (is_name(role) && is_name(session)).then(|| Self::Session { arn: text.into(), id: None })
            }
            ("sts", "federated-user") if is_name(rest) => Some(Self::FederatedUser(text.into())),
            _ => None,
        }
    }

    fn parse_service(text: &str) -> Option<Self> {
        let label_ok =
            |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (text.contains('.') && text.split('.').all(label_ok)).then(|| Self::Service(text.into()))
    }

    /// How this names `caller`, if it does.
    fn grip(&self, caller: &Principal<'_>) -> Option<Grip> {
        let (names, grip) = match (self, caller) {
            (Self::Anyone | Self::Everyone, _) => (true, Grip::Capped),
            (Self::Account(account), _) => (caller.account() == Some(account), Grip::Account),
            (Self::User { arn, id }, Principal::User { arn: own, id: own_id, .. }) => {
                (is_bound(arn, id.as_deref(), own, own_id), Grip::Direct)
            }
            // Whom a user vouches for is that user as well, within what the session may ("Policy evaluation for requests
            // within a single account"). That a Deny of the user applies, too, is inferred.
            (Self::User { arn, id }, Principal::FederatedUser { user_arn, user_id, .. }) => {
                (is_bound(arn, id.as_deref(), user_arn, user_id), Grip::Capped)
            }
            (Self::UniqueId(id), Principal::FederatedUser { user_id, .. }) => {
                (**id == **user_id, Grip::Capped)
            }
            (Self::Role { arn, id }, Principal::RoleSession { role_arn, role_id, .. }) => {
                (is_bound(arn, id.as_deref(), role_arn, role_id), Grip::Capped)
            }
            (Self::Session { arn, id }, Principal::RoleSession { session_arn, role_id, .. }) => {
                let same_role = id.as_deref().is_none_or(|id| id == *role_id);
                (**arn == **session_arn && same_role, Grip::Direct)
            }
            (Self::FederatedUser(arn), Principal::FederatedUser { arn: own, .. }) => {
                (**arn == **own, Grip::Direct)
            }
            (Self::UniqueId(id), Principal::User { id: own, .. }) => (**id == **own, Grip::Direct),
            (Self::UniqueId(id), Principal::RoleSession { role_id, .. }) => (**id == **role_id, Grip::Capped),
            (Self::Federated(arn), Principal::WebIdentity { provider }) => {
                (**arn == **provider, Grip::Direct)
            }
            (Self::Service(name), Principal::Service { name: own }) => (**name == **own, Grip::Direct),
            _ => (false, Grip::Account),
        };
        names.then_some(grip)
    }
}

fn is_bound(arn: &str, id: Option<&str>, own_arn: &str, own_id: &str) -> bool {
    match id {
        Some(id) => id == own_id,
        None => arn == own_arn,
    }
}

/// `Principal` or `NotPrincipal` of a statement.
#[derive(Clone, Debug)]
pub(crate) enum Principals {
    /// The kind of document has none: whoever it is attached to.
    Implied,
    /// `Principal`
    Named(Box<[PrincipalName]>),
    /// `NotPrincipal`
    Except(Box<[PrincipalName]>),
}

/// What forms of principals a kind of document allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forms {
    /// Accounts, IAM and STS principals, services.
    Resource,
    /// The same, and identity providers.
    Trust,
}

impl Principals {
    /// Reads the value of `Principal`.
    pub(crate) fn named(element: &Json, forms: Forms) -> Result<Self, Problem> {
        parse_names(element, forms).map(Self::Named)
    }

    /// Reads the value of `NotPrincipal`. Everyone is no exception: the statement would apply to nobody (inferred).
    pub(crate) fn except(element: &Json, forms: Forms) -> Result<Self, Problem> {
        let names = parse_names(element, forms)?;
        match names.iter().any(PrincipalName::is_everyone) {
            true => Err(invalid("STAR", "*")),
            false => Ok(Self::Except(names)),
        }
    }

    pub(crate) fn names(&self) -> &[PrincipalName] {
        match self {
            Self::Implied => &[],
            Self::Named(names) | Self::Except(names) => names,
        }
    }

    pub(crate) fn names_mut(&mut self) -> &mut [PrincipalName] {
        match self {
            Self::Implied => &mut [],
            Self::Named(names) | Self::Except(names) => names,
        }
    }

    /// How an Allow takes hold of `caller`, if it does. With `NotPrincipal` it must list none of what the caller is.
    pub(crate) fn allows(&self, caller: &Principal<'_>) -> Option<Grip> {
        match self {
            Self::Implied => Some(Grip::Direct),
            // Whom an identity provider vouches for is no principal of AWS ("Control access to AWS STS with VPC endpoint
            // policies"), and a role trusts it only by naming the provider (inferred).
            Self::Named(names) if matches!(caller, Principal::WebIdentity { .. }) => {
                let named = names.iter().filter(|name| **name != PrincipalName::Everyone);
                named.filter_map(|name| name.grip(caller)).max()
            }
            Self::Except(_) if matches!(caller, Principal::WebIdentity { .. }) => None,
            Self::Named(names) => names.iter().filter_map(|name| name.grip(caller)).max(),
            Self::Except(names) => match names.iter().any(|name| name.grip(caller).is_some()) {
                true => None,
                false => Some(Grip::Capped),
            },
        }
    }

    /// Whether a Deny applies to `caller`. With `NotPrincipal` it does unless everything that the caller is, is listed:
    /// the account and the user, or the account, the role and the session; of one whom a user vouches for the account,
    /// the user and the session (inferred).
    pub(crate) fn denies(&self, caller: &Principal<'_>) -> bool {
        let names = match self {
            Self::Implied => return true,
            Self::Named(names) => return names.iter().any(|name| name.grip(caller).is_some()),
            Self::Except(names) => names,
        };
        let lists = |grip: Grip| names.iter().any(|name| name.grip(caller) == Some(grip));
        let all_listed = match caller {
            Principal::Root { .. } => lists(Grip::Account),
            Principal::User { .. } => lists(Grip::Account) && lists(Grip::Direct),
            Principal::RoleSession { .. } | Principal::FederatedUser { .. } => {
                lists(Grip::Account) && lists(Grip::Capped) && lists(Grip::Direct)
            }
            Principal::WebIdentity { .. } | Principal::Service { .. } => lists(Grip::Direct),
        };
        !all_listed
    }
}

fn parse_names(element: &Json, forms: Forms) -> Result<Box<[PrincipalName]>, Problem> {
    let members = match element {
        Json::String(text) if text == "*" => {
            return Ok([match forms {
                Forms::Resource => PrincipalName::Anyone,
                Forms::Trust => PrincipalName::Everyone,
            }]
            .into());
        }
        Json::String(text) => return Err(invalid("STAR", text)),
        Json::Object(members) => members,
        _ => return Err(Problem::WrongType { element: "Principal", expected: "`*` or an object" }),
    };
    let mut names = Vec::new();
    for (kind, values) in members {
        let values = match values {
            Json::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            let Json::String(text) = value else { return Err(invalid(kind, "")) };
            let name = match (kind.as_str(), forms) {
                ("AWS", _) => PrincipalName::parse_aws(text),
                ("Service", _) => PrincipalName::parse_service(text),
                ("Federated", Forms::Trust) if !text.contains(['*', '?']) && !text.is_empty() => {
                    Some(PrincipalName::Federated(text.as_str().into()))
                }
                // `Federated` and `CanonicalUser` mean nothing in a key policy (inferred: refused).
                _ => None,
            };
            names.push(name.ok_or_else(|| invalid(kind, text))?);
        }
    }
    match names.is_empty() {
        true => Err(Problem::NoPrincipal),
        false => Ok(names.into()),
    }
}

fn invalid(kind: &str, name: &str) -> Problem {
    Problem::InvalidPrincipal { kind: kind.to_owned(), name: name.to_owned() }
}

/// Twelve ASCII digits.
fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// `aws`, `aws-cn`, `aws-us-gov`..
fn is_partition(text: &str) -> bool {
    let label_ok = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase());
    text.split('-').next() == Some("aws") && text.split('-').all(label_ok)
}

/// Ids of users and roles; those of groups and others are no principals.
fn is_unique_id(text: &str) -> bool {
    let prefix_ok = text.starts_with("AIDA") || text.starts_with("AROA");
    let rest_ok = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    prefix_ok && rest_ok && (16..=128).contains(&text.len())
}

fn is_path_and_name(text: &str) -> bool {
    let (path, name) = text.rsplit_once('/').map_or((None, text), |(path, name)| (Some(path), name));
    let path_ok = |path: &str| {
        path.len() <= 510 && path.bytes().all(|b| b.is_ascii_graphic() && b != b'*' && b != b'?')
    };
    path.is_none_or(path_ok) && is_name(name)
}

/// Names of users, roles and sessions: up to 64 of the characters that IAM allows, none of them a wildcard.
fn is_name(text: &str) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(ok)
}
