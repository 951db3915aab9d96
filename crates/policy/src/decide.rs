//! The decision: everything denies by default, an explicit Deny wins over all, and the rest is who may allow what.
//!
//! "Policy evaluation logic" in the IAM User Guide; "Key policies" and "Allowing users in other accounts to use a KMS
//! key" in the KMS Developer Guide.

use std::sync::Arc;

use crate::document::{Document, Kind};
use crate::principal::{Grip, Principal};
use crate::request::{Context, Request, Values};

/// The policies that apply to a request.
#[derive(Clone, Copy)]
pub struct Policies<'a> {
    /// The resource's own policy.
    pub resource: ResourceSide<'a>,
    /// What the key's grants say.
    pub grant: Grant,
    /// The caller's identity policies: its own, and those of its groups.
    pub identity: &'a [Arc<Document>],
    /// The permissions boundary of the caller's user or role.
    pub boundary: Option<&'a Document>,
    /// The session policies; `None` when the session has none. Any of them may allow, as they count as one.
    pub session: Option<&'a [Arc<Document>]>,
    /// The policy of the VPC endpoint that the request came through.
    pub endpoint: Option<&'a Document>,
}

/// What guards the resource.
#[derive(Clone, Copy)]
pub enum ResourceSide<'a> {
    /// The resource has no policy, or the action no resource (`CreateKey`, `ListKeys`..): identity policies decide
    /// alone. It belongs to the caller's account.
    Unguarded,
    /// A key with its key policy.
    Guarded {
        /// The key policy.
        policy: &'a Document,
        /// The account that owns the key, 12 digits.
        account: &'a str,
    },
    /// A key whose policy can only deny the action: `RetireGrant`, which grants and identity policies decide.
    Denying {
        /// The key policy.
        policy: &'a Document,
    },
}

/// Whether a valid grant allows the operation to the caller. The service checks operations and constraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// None does.
    None,
    /// One whose grantee is the caller's account: needs an identity policy that allows, too (inferred).
    ToAccount,
    /// One whose grantee is the caller's user, role or session.
    ToCaller,
}

/// A kind of policy, by what it is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// VPC endpoint policy.
    Endpoint,
    /// Key policy.
    Resource,
    /// Permissions boundary.
    Boundary,
    /// Session policy.
    Session,
    /// Identity policy.
    Identity,
}

/// The statement that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementRef<'a> {
    /// The layer of its document.
    pub layer: Layer,
    /// Index of its document in the layer, from 0.
    pub document: usize,
    /// Index of the statement in the document, from 0.
    pub statement: usize,
    /// Its `Sid`.
    pub sid: Option<&'a str>,
}

/// The answer, with what decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision<'a> {
    /// The request may proceed.
    Allow(Grantor<'a>),
    /// The request is refused.
    Deny(Reason<'a>),
}

impl Decision<'_> {
    /// Whether the request may proceed.
    pub fn is_allow(&self) -> bool {
        matches!(self, Self::Allow(_))
    }
}

/// What allowed a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grantor<'a> {
    /// A statement of the key policy that names the caller, or of an identity policy.
    Statement(StatementRef<'a>),
    /// A grant on the key.
    Grant,
    /// The root user has all permissions in its account.
    Root,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason<'a> {
    /// A statement denies it.
    Explicit(StatementRef<'a>),
    /// No policy of this layer allows it, and one had to.
    Implicit(Layer),
}

/// Decides `request`.
pub fn decide<'a>(request: &Request<'_>, policies: &Policies<'a>) -> Decision<'a> {
    if let Some(statement) = explicit_deny(request, policies) {
        return Decision::Deny(Reason::Explicit(statement));
    }
    match permit(request, policies) {
        Ok(grantor) => Decision::Allow(grantor),
        Err(layer) => Decision::Deny(Reason::Implicit(layer)),
    }
}

/// The lockout safety check of `PutKeyPolicy`, `CreateKey` and `ReplicateKey`: whether under the policy `new` the caller
/// could still put a key policy.
///
/// A statement that allows it to the caller's account counts as an allow, as the identity policies that it delegates to
/// may be any (inferred). `request` gives principal, resource and context; its action is not read. The key belongs to
/// the caller's account: other accounts cannot put key policies.
pub fn would_allow_put_key_policy(new: &Document, request: &Request<'_>) -> bool {
    let request = Request { action: "kms:PutKeyPolicy", ..*request };
    let shown = Shown { policy: new, context: request.context };
    let denied = new.statements().iter().any(|statement| statement.denies(&shown.request(&request)));
    !denied && Holds::of(new, &request).any()
}

/// The circumstances as a resource policy sees them. Key policies cannot ask for the key's tags and aliases: those are
/// condition keys of IAM policies only ("ABAC for AWS KMS"), and read as absent.
pub(crate) struct Shown<'a> {
    pub(crate) policy: &'a Document,
    pub(crate) context: &'a dyn Context,
}

impl<'a> Shown<'a> {
    pub(crate) fn request(&'a self, request: &Request<'a>) -> Request<'a> {
        Request { context: self, ..*request }
    }
}

impl Context for Shown<'_> {
    fn values(&self, key: &str) -> Option<Values<'_>> {
        let hidden = self.policy.kind() == Kind::Key
            && (key.starts_with("aws:resourcetag/") || key == "kms:resourcealiases");
        if hidden { None } else { self.context.values(key) }
    }

    fn spend(&self, bytes: usize) {
        self.context.spend(bytes);
    }

    fn is_spent(&self) -> bool {
        self.context.is_spent()
    }
}

/// The first explicit Deny, in the order in which AWS reports them.
fn explicit_deny<'a>(request: &Request<'_>, policies: &Policies<'a>) -> Option<StatementRef<'a>> {
    let key_policy = match policies.resource {
        ResourceSide::Guarded { policy, .. } | ResourceSide::Denying { policy } => Some(policy),
        ResourceSide::Unguarded => None,
    };
    let deny = |layer, document, index| {
        let shown = Shown { policy: document, context: request.context };
        find(layer, document, index, |it| it.denies(&shown.request(request)))
    };
    let shared = |layer, documents: &'a [Arc<Document>]| {
        documents.iter().enumerate().find_map(|(index, document)| deny(layer, document, index))
    };
    (policies.endpoint.and_then(|it| deny(Layer::Endpoint, it, 0)))
        .or_else(|| deny(Layer::Resource, key_policy?, 0))
        .or_else(|| deny(Layer::Boundary, policies.boundary?, 0))
        .or_else(|| shared(Layer::Session, policies.session?))
        .or_else(|| shared(Layer::Identity, policies.identity))
}

/// What allows the request, or the layer that had to and does not. Knows nothing of Deny.
fn permit<'a>(request: &Request<'_>, policies: &Policies<'a>) -> Result<Grantor<'a>, Layer> {
    if policies.endpoint.is_some_and(|it| allow(Layer::Endpoint, it, 0, request).is_none()) {
        return Err(Layer::Endpoint);
    }
    let (policy, owner) = match policies.resource {
        ResourceSide::Unguarded => return by_identity(request, policies),
        ResourceSide::Guarded { policy, account } => (policy, account),
        ResourceSide::Denying { .. } => return across_accounts(request, policies, Holds::default()),
    };
    let holds = Holds::of(policy, request);
    let same_side = request.principal.account().is_none_or(|account| account == owner);
    if !same_side {
        return across_accounts(request, policies, holds);
    }
    if let Some(statement) = holds.direct {
        return Ok(Grantor::Statement(statement));
    }
    if policies.grant == Grant::ToCaller {
        return Ok(Grantor::Grant);
    }
    match (holds.capped, holds.account) {
        // The account's delegation has the same caps and needs more, so it cannot save what they refuse.
        (Some(statement), _) => within_caps(request, policies).map(|()| Grantor::Statement(statement)),
        (None, Some(_)) => by_identity(request, policies),
        (None, None) if policies.grant == Grant::ToAccount => by_identity(request, policies),
        (None, None) => Err(Layer::Resource),
    }
}

/// A caller of another account needs the key's side and its own. A grant to itself is both.
fn across_accounts<'a>(
    request: &Request<'_>,
    policies: &Policies<'a>,
    holds: Holds<'_>,
) -> Result<Grantor<'a>, Layer> {
    match policies.grant {
        Grant::ToCaller => Ok(Grantor::Grant),
        Grant::ToAccount => by_identity(request, policies),
        Grant::None if holds.any() => by_identity(request, policies),
        Grant::None => Err(Layer::Resource),
    }
}

/// The caller's side: its identity policies allow, and nothing caps them. The root user of an account needs none; for
/// one of another account than the key's this is inferred.
fn by_identity<'a>(request: &Request<'_>, policies: &Policies<'a>) -> Result<Grantor<'a>, Layer> {
    let grantor = match request.principal {
        Principal::Root { .. } => Grantor::Root,
        _ => policies
            .identity
            .iter()
            .enumerate()
            .find_map(|(index, document)| allow(Layer::Identity, document, index, request))
            .map(Grantor::Statement)
            .ok_or(Layer::Identity)?,
    };
    within_caps(request, policies)?;
    Ok(grantor)
}

/// Boundary and session policies, where there are any, allow.
fn within_caps(request: &Request<'_>, policies: &Policies<'_>) -> Result<(), Layer> {
    if policies.boundary.is_some_and(|it| allow(Layer::Boundary, it, 0, request).is_none()) {
        return Err(Layer::Boundary);
    }
    let allows = |document: &Arc<Document>| allow(Layer::Session, document, 0, request).is_some();
    match policies.session {
        Some(documents) if !documents.iter().any(allows) => Err(Layer::Session),
        _ => Ok(()),
    }
}

/// The first statement of a resource policy that takes hold of the caller, by each grip.
#[derive(Clone, Copy, Default)]
struct Holds<'a> {
    direct: Option<StatementRef<'a>>,
    capped: Option<StatementRef<'a>>,
    account: Option<StatementRef<'a>>,
}

impl<'a> Holds<'a> {
    fn of(policy: &'a Document, request: &Request<'_>) -> Self {
        let mut holds = Self::default();
        let shown = Shown { policy, context: request.context };
        for (index, statement) in policy.statements().iter().enumerate() {
            let Some(grip) = statement.allows(&shown.request(request)) else { continue };
            let found = match grip {
                Grip::Direct => &mut holds.direct,
                Grip::Capped => &mut holds.capped,
                Grip::Account => &mut holds.account,
            };
            let sid = statement.sid.as_deref();
            found.get_or_insert(StatementRef { layer: Layer::Resource, document: 0, statement: index, sid });
        }
        holds
    }

    fn any(&self) -> bool {
        self.direct.or(self.capped).or(self.account).is_some()
    }
}

/// How many statements of a document allow the request, each by itself. Decides nothing: a simulation shows what had a
/// part in its outcome.
pub fn allowing(document: &Document, request: &Request<'_>) -> usize {
    document.statements().iter().filter(|statement| statement.allows(request).is_some()).count()
}

/// How many deny it.
pub fn denying(document: &Document, request: &Request<'_>) -> usize {
    document.statements().iter().filter(|statement| statement.denies(request)).count()
}

fn allow<'a>(
    layer: Layer,
    document: &'a Document,
    index: usize,
    request: &Request<'_>,
) -> Option<StatementRef<'a>> {
    find(layer, document, index, |statement| statement.allows(request).is_some())
}

fn find(
    layer: Layer,
    document: &Document,
    index: usize,
    test: impl Fn(&crate::statement::Statement) -> bool,
) -> Option<StatementRef<'_>> {
    let (statement, found) = document.statements().iter().enumerate().find(|(_, it)| test(it))?;
    Some(StatementRef { layer, document: index, statement, sid: found.sid.as_deref() })
}
