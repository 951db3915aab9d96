//! What is asked: a principal, an action, a resource, and the circumstances.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::pattern::Variable;
use crate::principal::Principal;

/// One question to [`crate::decide`].
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub principal: Principal<'a>,
    /// The action with its service prefix, for instance `kms:Encrypt`.
    pub action: &'a str,
    /// ARN of the resource, or `*` for an action without one.
    pub resource: &'a str,
    /// The circumstances that conditions and policy variables ask for.
    pub context: &'a dyn Context,
}

/// The condition keys of one request.
///
/// A key is computed only when a condition or a policy variable asks for it, so a caller need not build a map.
pub trait Context {
    /// The value of `key`, or `None` when the request does not carry it.
    ///
    /// `key` is in ASCII lower case (`aws:principaltag/team`); names compare without regard to ASCII case. Numbers,
    /// dates, booleans, addresses and ARNs are given as text: decimal digits, ISO 8601 or seconds since 1970, `true` or
    /// `false`, and so on. A value that its operator cannot read matches nothing.
    fn values(&self, key: &str) -> Option<Values<'_>>;

    /// Work that is about to be done for the request: about the number of bytes that are looked at. Where a caller and the
    /// owner of a policy together could ask for any amount, [`Work`] bounds it.
    fn spend(&self, _bytes: usize) {}

    /// Whether that has become too much. Then no Allow holds any more and every Deny does: what was left out may not widen
    /// anything.
    fn is_spent(&self) -> bool {
        false
    }
}

/// What it costs to have a condition key computed, in bytes that could be searched instead.
pub(crate) const KEY_WORK: usize = 64;

/// A bound on the work of decisions.
#[derive(Debug)]
pub struct Work {
    left: AtomicUsize,
}

impl Work {
    /// So many bytes that may be looked at.
    pub const fn new(bytes: usize) -> Self {
        Self { left: AtomicUsize::new(bytes) }
    }

    /// [`Context::spend`].
    pub fn spend(&self, bytes: usize) {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(bytes), Ordering::Relaxed);
    }

    /// Allows so many from now on.
    pub fn refill(&self, bytes: usize) {
        self.left.store(bytes, Ordering::Relaxed);
    }

    /// [`Context::is_spent`].
    pub fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

/// What a request carries under one condition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values<'a> {
    /// A single-valued key.
    One(Cow<'a, str>),
    /// A multivalued key; without values it counts as absent.
    Set(Vec<Cow<'a, str>>),
    /// A single-valued key for which the request carries several values, because names that differ in case only are
    /// one condition key (`Dept` and `dept` in an encryption context). An Allow must hold for each of them, and a Deny
    /// for any, so that nothing is allowed by ambiguity.
    Conflicting(Vec<Cow<'a, str>>),
}

/// The context during the matching of one statement.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) context: &'a dyn Context,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(context: &'a dyn Context) -> Self {
        Self { context }
    }

    /// The text of a variable; `None` when it has no single value.
    pub(crate) fn resolve<'s>(&'s self, variable: &'s Variable) -> Option<Cow<'s, str>> {
        match self.context.values(&variable.key) {
            Some(Values::One(value)) => {
                self.context.spend(KEY_WORK + value.len());
                Some(value)
            }
            None => variable.default.as_deref().map(Cow::Borrowed),
            // Variables stand for single-valued keys only.
            Some(Values::Set(_) | Values::Conflicting(_)) => None,
        }
    }

    /// Whether the request carries several values for any of these keys, each of which should be single. An element with
    /// such a variable means nothing certain, so it fails in an Allow and holds in a Deny.
    pub(crate) fn is_ambiguous(&self, variables: &[Box<str>]) -> bool {
        self.context.spend(KEY_WORK * variables.len());
        variables.iter().any(|key| matches!(self.context.values(key), Some(Values::Conflicting(_))))
    }
}
