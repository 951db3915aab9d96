//! What each kind of policy says of a request: the whole walk that a decision took, for an explanation.
//!
//! [`decide`](crate::decide) stops where it knows; this does not, so it is slower. Its [conclusion](Trace::conclusion)
//! comes from the findings alone and is the decision: tests hold the two against each other.

use std::sync::Arc;

use crate::decide::{Decision, Grant, Grantor, Layer, Policies, Reason, ResourceSide, Shown, StatementRef};
use crate::document::Document;
use crate::principal::{Grip, Principal};
use crate::request::Request;

/// What the policies of one layer say of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding<'a> {
    /// There is no policy of this kind that applies.
    Absent,
    /// There is, and no statement of it applies; with the Allow that came nearest to it.
    Silent(Option<Nearest<'a>>),
    /// A statement denies.
    Denies(StatementRef<'a>),
    /// A statement allows; in a resource's policy, it names the caller itself.
    Allows(StatementRef<'a>),
    /// A statement of the resource's policy allows it to everyone, or to the role whose session calls: within the
    /// permissions boundary and the session policies.
    AllowsWithinCaps(StatementRef<'a>),
    /// A statement of the resource's policy leaves it to the caller's account: to its identity policies.
    Delegates(StatementRef<'a>),
}

/// A statement that allows the action, but does not apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nearest<'a> {
    /// The statement.
    pub statement: StatementRef<'a>,
    /// Why it does not apply.
    pub miss: Miss,
}

/// What of a statement that allows the action does not fit; the first of these. The last is the nearest miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Miss {
    /// The resource.
    Resource,
    /// The caller.
    Principal,
    /// A condition.
    Condition,
}

/// What every layer says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace<'a> {
    /// The VPC endpoint's policy.
    pub endpoint: Finding<'a>,
    /// The resource's own policy.
    pub resource: Finding<'a>,
    /// The key's grants.
    pub grant: Grant,
    /// The caller's permissions boundary.
    pub boundary: Finding<'a>,
    /// The session policies.
    pub session: Finding<'a>,
    /// The caller's identity policies.
    pub identity: Finding<'a>,
    /// Whether the caller is a root user, which needs no identity policy.
    pub root: bool,
    /// Whether a resource with a policy is of another account than the caller.
    pub across_accounts: bool,
}

/// Asks every layer about a request.
pub fn trace<'a>(request: &Request<'_>, policies: &Policies<'a>) -> Trace<'a> {
    let one = |layer, document: Option<&'a Document>| match document {
        None => Finding::Absent,
        Some(document) => consider(layer, &[document], request),
    };
    let many = |layer, documents: &'a [Arc<Document>]| {
        consider(layer, &documents.iter().map(|it| &**it).collect::<Vec<_>>(), request)
    };
    let (resource, owner) = match policies.resource {
        ResourceSide::Unguarded => (None, None),
        ResourceSide::Guarded { policy, account } => (Some(policy), Some(account)),
        ResourceSide::Denying { policy } => (Some(policy), None),
    };
    let account = request.principal.account();
    Trace {
        endpoint: one(Layer::Endpoint, policies.endpoint),
        resource: match (policies.resource, one(Layer::Resource, resource)) {
            (ResourceSide::Denying { .. }, finding) if !matches!(finding, Finding::Denies(_)) => {
                Finding::Silent(None)
            }
            (_, finding) => finding,
        },
        grant: policies.grant,
        boundary: one(Layer::Boundary, policies.boundary),
        session: policies.session.map_or(Finding::Absent, |documents| many(Layer::Session, documents)),
        identity: many(Layer::Identity, policies.identity),
        root: matches!(request.principal, Principal::Root { .. }),
        across_accounts: owner.is_some() && account.is_some_and(|account| Some(account) != owner),
    }
}

/// Asks documents of one layer. A Deny goes before every Allow, and what needs the least before what needs more.
fn consider<'a>(layer: Layer, documents: &[&'a Document], request: &Request<'_>) -> Finding<'a> {
    let mut allows: Option<(Grip, StatementRef<'a>)> = None;
    let mut nearest: Option<Nearest<'a>> = None;
    for (index, document) in documents.iter().enumerate() {
        let shown = Shown { policy: document, context: request.context };
        let request = &shown.request(request);
        for (number, statement) in document.statements().iter().enumerate() {
            let sid = statement.sid.as_deref();
            let found = StatementRef { layer, document: index, statement: number, sid };
            if statement.denies(request) {
                return Finding::Denies(found);
            }
            match (statement.allows(request), statement.misses(request)) {
                (Some(grip), _) if allows.is_none_or(|(best, _)| grip > best) => {
                    allows = Some((grip, found));
                }
                (None, Some(miss)) if nearest.is_none_or(|best| miss > best.miss) => {
                    nearest = Some(Nearest { statement: found, miss });
                }
                _ => {}
            }
        }
    }
    match allows {
        // Only a resource's policy names callers; what the others allow, they allow to whom they are attached to.
        Some((_, found)) if layer != Layer::Resource => Finding::Allows(found),
        Some((Grip::Direct, found)) => Finding::Allows(found),
        Some((Grip::Capped, found)) => Finding::AllowsWithinCaps(found),
        Some((Grip::Account, found)) => Finding::Delegates(found),
        None => Finding::Silent(nearest),
    }
}

impl<'a> Trace<'a> {
    /// The findings in the order in which their denials are reported.
    pub fn findings(&self) -> [(Layer, Finding<'a>); 5] {
        [
            (Layer::Endpoint, self.endpoint),
            (Layer::Resource, self.resource),
            (Layer::Boundary, self.boundary),
            (Layer::Session, self.session),
            (Layer::Identity, self.identity),
        ]
    }

    /// What follows from the findings.
    pub fn conclusion(&self) -> Decision<'a> {
        for (_, finding) in self.findings() {
            if let Finding::Denies(statement) = finding {
                return Decision::Deny(Reason::Explicit(statement));
            }
        }
        if let Finding::Silent(_) = self.endpoint {
            return Decision::Deny(Reason::Implicit(Layer::Endpoint));
        }
        match (self.resource, self.grant) {
            (Finding::Absent, _) => self.by_identity(),
            (Finding::Allows(statement), _) if !self.across_accounts => {
                Decision::Allow(Grantor::Statement(statement))
            }
            (_, Grant::ToCaller) => Decision::Allow(Grantor::Grant),
            (Finding::AllowsWithinCaps(statement), _) if !self.across_accounts => match self.cap() {
                Some(layer) => Decision::Deny(Reason::Implicit(layer)),
                None => Decision::Allow(Grantor::Statement(statement)),
            },
            (Finding::Silent(_), Grant::None) => Decision::Deny(Reason::Implicit(Layer::Resource)),
            _ => self.by_identity(),
        }
    }

    fn by_identity(&self) -> Decision<'a> {
        let grantor = match self.identity {
            _ if self.root => Grantor::Root,
            Finding::Allows(statement) => Grantor::Statement(statement),
            _ => return Decision::Deny(Reason::Implicit(Layer::Identity)),
        };
        match self.cap() {
            Some(layer) => Decision::Deny(Reason::Implicit(layer)),
            None => Decision::Allow(grantor),
        }
    }

    /// The cap that does not allow.
    fn cap(&self) -> Option<Layer> {
        match (self.boundary, self.session) {
            (Finding::Silent(_), _) => Some(Layer::Boundary),
            (_, Finding::Silent(_)) => Some(Layer::Session),
            _ => None,
        }
    }
}
