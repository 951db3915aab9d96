//! The scenarios of the permission matrix, as data.

use serde_json::{Value, json};

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The root user of the account that owns the keys.
    Root,
    /// A user of it.
    User,
    /// A session of a role of it.
    Session,
    /// A user of another account.
    Stranger,
    /// The root user of that account.
    StrangersRoot,
}

/// What a policy lets do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    /// There is no policy.
    Nothing,
    Everything,
    /// Only the actions that the operation needs.
    OnlyThis,
    AllButThis,
    /// Everything is allowed and the operation's actions are denied.
    DeniedThis,
}

/// Whom a statement of the key policy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    Account,
    User,
    Role,
    /// The session of the role, by its ARN.
    Session,
    /// The other account.
    StrangersAccount,
    Stranger,
    Everyone,
}

/// One column of the matrix.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) caller: Caller,
    /// The statements of every key's policy.
    pub(crate) key: &'static [(Named, May)],
    /// The caller's identity policy.
    pub(crate) identity: May,
    /// Its permissions boundary.
    pub(crate) boundary: Option<May>,
    /// Its session policy.
    pub(crate) session: Option<May>,
    /// To whom a grant of what the operation needs is given, on every key.
    pub(crate) grant: Option<Named>,
    /// What the policy of the VPC endpoint lets everyone do that the operation is asked through.
    pub(crate) endpoint: Option<May>,
}

impl May {
    fn statements(self, actions: &[String]) -> Vec<Value> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Everything => vec![json!({"Effect": "Allow", "Action": "*"})],
            Self::OnlyThis => vec![json!({"Effect": "Allow", "Action": actions})],
            Self::AllButThis => vec![json!({"Effect": "Allow", "NotAction": actions})],
            Self::DeniedThis => {
                vec![json!({"Effect": "Allow", "Action": "*"}), json!({"Effect": "Deny", "Action": actions})]
            }
        }
    }

    /// A policy on the caller's side; `None` where there is to be none.
    pub(crate) fn document(self, actions: &[String]) -> Option<String> {
        let mut statements = self.statements(actions);
        statements.iter_mut().for_each(|statement| statement["Resource"] = json!("*"));
        let document = json!({"Version": "2012-10-17", "Statement": statements});
        (self != Self::Nothing).then(|| document.to_string())
    }
}

impl Named {
    pub(crate) fn arn(self) -> &'static str {
        match self {
            Self::Account => "arn:aws:iam::111122223333:root",
            Self::User => "arn:aws:iam::111122223333:user/User",
            Self::Role => "arn:aws:iam::111122223333:role/Role",
            Self::Session => "arn:aws:sts::111122223333:assumed-role/Role/session",
            Self::StrangersAccount => "arn:aws:iam::444455556666:root",
            Self::Stranger => "arn:aws:iam::444455556666:user/Stranger",
            Self::Everyone => "*",
        }
    }
}

/// A policy that says who may do what with these resources; a trust policy names none.
fn resource_policy(who: &[(Named, May)], actions: &[String], resource: Option<&str>) -> String {
    let mut statements = Vec::new();
    for (named, may) in who {
        for mut statement in may.statements(actions) {
            statement["Principal"] = json!({"AWS": named.arn()});
            if let Some(resource) = resource {
                statement["Resource"] = json!(resource);
            }
            statements.push(statement);
        }
    }
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

impl Scenario {
    /// The policy of each key that an operation with these actions touches.
    pub(crate) fn key_policy(&self, actions: &[String]) -> String {
        resource_policy(self.key, actions, Some("*"))
    }

    /// What a role's trust policy says where a key's policy says this.
    pub(crate) fn trust_policy(&self, actions: &[String]) -> String {
        // Of all actions it may name those of STS only.
        resource_policy(self.key, actions, None).replace(r#""Action":"*""#, r#""Action":"sts:*""#)
    }

    /// The policy of the VPC endpoint that the operation is asked through, if it is.
    pub(crate) fn endpoint_policy(&self, actions: &[String]) -> Option<String> {
        self.endpoint.map(|may| resource_policy(&[(Named::Everyone, may)], actions, Some("*")))
    }

    /// Whether nothing but the caller's own policies and the endpoint's makes it: what there is to ask where there is no key.
    pub(crate) fn is_about_the_callers_side(&self) -> bool {
        let capped = self.boundary.is_some() || self.session.is_some();
        let denied = [self.identity].into_iter().chain(self.boundary).chain(self.session);
        let denied = denied.into_iter().any(|may| may == DeniedThis);
        self.grant.is_none()
            && (self.key == ROOT_STATEMENT || (denied && (capped || self.identity == DeniedThis)))
    }

    /// What it is, in a line.
    pub(crate) fn describe(&self) -> String {
        let Self { name, caller, key, identity, boundary, session, grant, endpoint } = self;
        let caps = [("boundary", boundary), ("session policy", session), ("endpoint policy", endpoint)];
        let caps = caps.iter().filter_map(|(what, may)| may.map(|may| format!("; {what} {may:?}")));
        let caps: String = caps.collect();
        let grant = grant.map_or_else(String::new, |grantee| format!("; grant to {grantee:?}"));
        format!("{name}\n# {caller:?}; key policy {key:?}; identity policy {identity:?}{caps}{grant}")
    }
}

/// The default key policy's one statement.
const ROOT_STATEMENT: &[(Named, May)] = &[(Named::Account, Everything)];

/// A key policy that says nothing of users.
const OTHERS: &[(Named, May)] = &[(Named::Role, Everything)];

const fn scenario(
    name: &'static str,
    caller: Caller,
    key: &'static [(Named, May)],
    identity: May,
) -> Scenario {
    Scenario { name, caller, key, identity, boundary: None, session: None, grant: None, endpoint: None }
}

const fn capped(
    name: &'static str,
    (caller, identity): (Caller, May),
    key: &'static [(Named, May)],
    boundary: Option<May>,
    session: Option<May>,
) -> Scenario {
    Scenario { name, caller, key, identity, boundary, session, grant: None, endpoint: None }
}

const fn granted(grantee: Named, scenario: Scenario) -> Scenario {
    Scenario { grant: Some(grantee), ..scenario }
}

const fn through(endpoint: May, scenario: Scenario) -> Scenario {
    Scenario { endpoint: Some(endpoint), ..scenario }
}

use Caller::{Root, Session, Stranger, StrangersRoot, User};
use May::{AllButThis, DeniedThis, Everything, Nothing, OnlyThis};

/// Every column of the matrix.
pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("root", Root, ROOT_STATEMENT, Nothing),
    scenario("root, whom the key policy allows all but this", Root, &[(Named::Account, AllButThis)], Nothing),
    scenario("root without the root statement", Root, &[(Named::User, Everything)], Nothing),
    scenario("no permission", User, ROOT_STATEMENT, Nothing),
    scenario("only this action, through the root statement", User, ROOT_STATEMENT, OnlyThis),
    scenario("all but this action, through the root statement", User, ROOT_STATEMENT, AllButThis),
    scenario("everything, without the root statement", User, &[(Named::Role, Everything)], Everything),
    scenario("a root statement of all but this", User, &[(Named::Account, AllButThis)], Everything),
    scenario("key policy user", User, &[(Named::User, Everything)], Nothing),
    scenario("key policy user, only this action", User, &[(Named::User, OnlyThis)], Nothing),
    scenario("key policy user, all but this action", User, &[(Named::User, AllButThis)], Nothing),
    scenario("role session, through the root statement", Session, ROOT_STATEMENT, Everything),
    scenario("role session without permission", Session, ROOT_STATEMENT, Nothing),
    scenario("role session, its role in the key policy", Session, &[(Named::Role, Everything)], Nothing),
    scenario("role session, itself in the key policy", Session, &[(Named::Session, Everything)], Nothing),
    capped("a boundary that lacks it", (User, Everything), ROOT_STATEMENT, Some(AllButThis), None),
    capped("a boundary that has only it", (User, Everything), ROOT_STATEMENT, Some(OnlyThis), None),
    capped("a boundary alone gives nothing", (User, Nothing), ROOT_STATEMENT, Some(Everything), None),
    capped(
        "key policy user, whose boundary lacks it",
        (User, Nothing),
        &[(Named::User, Everything)],
        Some(AllButThis),
        None,
    ),
    capped(
        "everyone in the key policy, for a user whose boundary lacks it",
        (User, Nothing),
        &[(Named::Everyone, Everything)],
        Some(AllButThis),
        None,
    ),
    capped("a session policy that lacks it", (Session, Everything), ROOT_STATEMENT, None, Some(AllButThis)),
    capped("a session policy that has only it", (Session, Everything), ROOT_STATEMENT, None, Some(OnlyThis)),
    capped(
        "a session policy alone gives nothing",
        (Session, Nothing),
        ROOT_STATEMENT,
        None,
        Some(Everything),
    ),
    capped(
        "role in the key policy, its session policy lacks it",
        (Session, Nothing),
        &[(Named::Role, Everything)],
        None,
        Some(AllButThis),
    ),
    capped(
        "role in the key policy, its boundary lacks it",
        (Session, Nothing),
        &[(Named::Role, Everything)],
        Some(AllButThis),
        None,
    ),
    capped(
        "session in the key policy, its session policy lacks it",
        (Session, Nothing),
        &[(Named::Session, Everything)],
        None,
        Some(AllButThis),
    ),
    scenario("across accounts, neither side", Stranger, ROOT_STATEMENT, Nothing),
    scenario("across accounts, the key's side only", Stranger, &[(Named::Stranger, Everything)], Nothing),
    scenario(
        "across accounts, everyone in the key policy",
        Stranger,
        &[(Named::Everyone, Everything)],
        Nothing,
    ),
    scenario("across accounts, the caller's side only", Stranger, ROOT_STATEMENT, Everything),
    scenario("across accounts, both sides", Stranger, &[(Named::Stranger, Everything)], Everything),
    scenario(
        "across accounts, both sides, only this action",
        Stranger,
        &[(Named::StrangersAccount, OnlyThis)],
        OnlyThis,
    ),
    scenario(
        "across accounts, all but this in the key policy",
        Stranger,
        &[(Named::StrangersAccount, AllButThis)],
        Everything,
    ),
    scenario(
        "the root user of another account, named",
        StrangersRoot,
        &[(Named::StrangersAccount, Everything)],
        Nothing,
    ),
    scenario("the root user of another account, not named", StrangersRoot, ROOT_STATEMENT, Nothing),
    scenario("an explicit deny in the key policy", User, &[(Named::User, DeniedThis)], Everything),
    scenario(
        "an explicit deny in the key policy, for root",
        Root,
        &[(Named::Account, Everything), (Named::Everyone, DeniedThis)],
        Nothing,
    ),
    scenario("an explicit deny in the identity policy", User, &[(Named::User, Everything)], DeniedThis),
    capped(
        "an explicit deny in the boundary",
        (User, Everything),
        &[(Named::User, Everything)],
        Some(DeniedThis),
        None,
    ),
    capped(
        "an explicit deny in the session policy",
        (Session, Everything),
        &[(Named::Session, Everything)],
        None,
        Some(DeniedThis),
    ),
    scenario(
        "across accounts, an explicit deny in the key policy",
        Stranger,
        &[(Named::Stranger, DeniedThis)],
        Everything,
    ),
    scenario(
        "across accounts, an explicit deny on the caller's side",
        Stranger,
        &[(Named::Stranger, Everything)],
        DeniedThis,
    ),
    granted(Named::User, scenario("a grant", User, OTHERS, Nothing)),
    granted(
        Named::User,
        capped("a grant, and a boundary that lacks it", (User, Nothing), OTHERS, Some(AllButThis), None),
    ),
    granted(Named::User, scenario("a grant, denied by the identity policy", User, OTHERS, DeniedThis)),
    granted(
        Named::User,
        scenario("a grant, denied by the key policy", User, &[(Named::User, DeniedThis)], Nothing),
    ),
    granted(Named::Role, scenario("a grant to a role", Session, ROOT_STATEMENT, Nothing)),
    granted(
        Named::Role,
        scenario("a grant to a role, denied by its identity policy", Session, ROOT_STATEMENT, DeniedThis),
    ),
    granted(Named::User, scenario("a grant to somebody else", Session, ROOT_STATEMENT, Nothing)),
    granted(Named::Stranger, scenario("across accounts, a grant", Stranger, ROOT_STATEMENT, Nothing)),
    granted(
        Named::StrangersAccount,
        scenario("across accounts, a grant to the account", Stranger, ROOT_STATEMENT, Everything),
    ),
    granted(
        Named::StrangersAccount,
        scenario("across accounts, a grant to the account alone", Stranger, ROOT_STATEMENT, Nothing),
    ),
    through(AllButThis, scenario("an endpoint whose policy lacks it", User, ROOT_STATEMENT, Everything)),
    through(OnlyThis, scenario("an endpoint whose policy has only it", User, ROOT_STATEMENT, Everything)),
    through(
        DeniedThis,
        scenario("an explicit deny in the endpoint's policy", User, ROOT_STATEMENT, Everything),
    ),
    through(Everything, scenario("an endpoint's policy alone gives nothing", User, ROOT_STATEMENT, Nothing)),
    through(
        AllButThis,
        scenario(
            "key policy user, through an endpoint that lacks it",
            User,
            &[(Named::User, Everything)],
            Nothing,
        ),
    ),
    through(
        AllButThis,
        granted(Named::User, scenario("a grant, through an endpoint that lacks it", User, OTHERS, Nothing)),
    ),
    through(AllButThis, scenario("root, through an endpoint that lacks it", Root, ROOT_STATEMENT, Nothing)),
    through(OnlyThis, scenario("root, through an endpoint that has only it", Root, ROOT_STATEMENT, Nothing)),
    through(
        DeniedThis,
        scenario("root, an explicit deny in the endpoint's policy", Root, ROOT_STATEMENT, Nothing),
    ),
    through(
        AllButThis,
        scenario("role session, through an endpoint that lacks it", Session, ROOT_STATEMENT, Everything),
    ),
    through(
        AllButThis,
        scenario(
            "role session, itself in the key policy, through an endpoint that lacks it",
            Session,
            &[(Named::Session, Everything)],
            Nothing,
        ),
    ),
    through(
        AllButThis,
        scenario(
            "across accounts, both sides, through an endpoint that lacks it",
            Stranger,
            &[(Named::Stranger, Everything)],
            Everything,
        ),
    ),
    through(
        DeniedThis,
        scenario(
            "across accounts, an explicit deny in the endpoint's policy",
            Stranger,
            &[(Named::Stranger, Everything)],
            Everything,
        ),
    ),
    through(
        Everything,
        scenario(
            "across accounts, an endpoint's policy alone gives nothing",
            Stranger,
            ROOT_STATEMENT,
            Nothing,
        ),
    ),
];
