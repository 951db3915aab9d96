//! What a call is counted as. Each is charged to the caller's account, once for each bucket it concerns, whatever its
//! outcome: refused and dry-run requests count.

use super::{Asks, Call};
use crate::authn::Principal;
use crate::error::{Error, Result};
use crate::kms::key::Key;
use crate::quota::{self, Bucket, Quotas, Rule, bucket};

/// What a call was charged.
#[derive(Default)]
pub(crate) struct Charge<'a> {
    /// `None` where nothing is counted.
    against: Option<(&'a Quotas, Rule)>,
    /// A call has two keys at the most.
    taken: [Option<Bucket>; 2],
    /// Whether the call was counted in the other Region where it has an effect.
    elsewhere: bool,
    /// The bucket that had no room.
    pub(crate) refused_by: Option<&'static str>,
}

impl Charge<'_> {
    fn is_taken(&self, bucket: Bucket) -> bool {
        self.taken.contains(&Some(bucket))
    }
}

impl<'a> Call<'a> {
    /// Counts the call from now on by a rule; refuses it where the rule is all that has to be known.
    ///
    /// # Errors
    /// `ThrottlingException`.
    pub(crate) fn charge_by(&mut self, quotas: &'a Quotas, rule: Rule) -> Result<()> {
        self.charge.against = Some((quotas, rule));
        match rule {
            Rule::Fixed(_) if self.subject.caller.web_identity().is_some() => Ok(()),
            Rule::Fixed(bucket) => self.charge(bucket),
            Rule::ByKey | Rule::ByPair => Ok(()),
        }
    }

    /// Counts the call of someone whom an identity provider vouches for, whom the account's role lets in. Whoever else has
    /// a token of the issuer, which may be the public's, is counted by the address ([`Call::charged`]).
    ///
    /// # Errors
    /// `ThrottlingException`.
    pub(super) fn charge_let_in(&mut self) -> Result<()> {
        match self.charge.against {
            Some((_, Rule::Fixed(bucket))) => self.charge(bucket),
            Some((_, Rule::ByKey | Rule::ByPair)) | None => Ok(()),
        }
    }

    /// Counts the use of a key that the caller may use, where the bucket depends on it. Before that is decided a key has
    /// no bucket of its own: what is counted would tell a stranger of what kind it is.
    ///
    /// # Errors
    /// `ThrottlingException`.
    pub(super) fn charge_key(&mut self, key: &Key, asks: &Asks<'_>) -> Result<()> {
        match self.charge.against {
            Some((_, Rule::ByKey)) => self.charge(bucket::of_key(key.spec)),
            Some((_, Rule::ByPair)) => {
                self.charge(asks.data_key_pair_spec.map_or_else(bucket::unknown_key, bucket::of_pair))
            }
            Some((_, Rule::Fixed(_))) | None => Ok(()),
        }
    }

    /// Counts the call as so many requests for an operation in another Region, where it has an effect too.
    ///
    /// # Errors
    /// `ThrottlingException`.
    pub(crate) fn charge_elsewhere(&mut self, region: &str, operation: &str, count: u64) -> Result<()> {
        let Some((quotas, _)) = self.charge.against else { return Ok(()) };
        let Rule::Fixed(bucket) = Rule::of(operation) else { return Ok(()) };
        if self.charge.elsewhere || quotas.admits(self.charged_to(), region, bucket, count) {
            self.charge.elsewhere = true;
            return Ok(());
        }
        Err(self.throttled(region, bucket))
    }

    /// The outcome of the call, once it is counted: one that came to no key is counted without.
    ///
    /// # Errors
    /// `ThrottlingException` in place of another refusal.
    pub(crate) fn charged<T>(&mut self, outcome: Result<T>) -> Result<T> {
        let (error, quotas, rule) = match (outcome, self.charge.against) {
            (Err(error), Some((quotas, rule))) if self.charge.taken == [None; 2] => (error, quotas, rule),
            (outcome, _) => return outcome,
        };
        if self.charge.refused_by.is_some() {
            return Err(error);
        }
        match rule {
            // Nobody's role let the caller in. Faults of the installation are nobody's.
            Rule::Fixed(bucket) => {
                let (peer, fault) = (*self.subject.incoming.origin.peer, error.code.json_status() >= 500);
                if !fault && !quotas.admits_stranger(peer) {
                    self.charge.refused_by = Some(bucket::strangers().name());
                    return Err(quota::exceeded(false));
                }
                self.charge(bucket)?;
            }
            Rule::ByKey | Rule::ByPair => self.charge(bucket::unknown_key())?,
        }
        Err(error)
    }

    /// Whose requests are counted: the caller's account's, or those of a service that calls for itself.
    fn charged_to(&self) -> &'a str {
        let caller = self.subject.caller;
        if caller.principal() == Principal::Service { caller.arn() } else { caller.account() }
    }

    /// Whether the call is of a stranger who is one too many at the address: there is no event of it.
    pub(crate) fn is_turned_away(&self) -> bool {
        self.charge.refused_by == Some(bucket::strangers().name())
    }

    fn charge(&mut self, bucket: Bucket) -> Result<()> {
        let Some((quotas, _)) = self.charge.against else { return Ok(()) };
        if self.charge.is_taken(bucket) {
            return Ok(());
        }
        let region = self.subject.region;
        if !quotas.admits(self.charged_to(), region, bucket, 1) {
            return Err(self.throttled(region, bucket));
        }
        if let Some(place) = self.charge.taken.iter_mut().find(|place| place.is_none()) {
            *place = Some(bucket);
        }
        Ok(())
    }

    fn throttled(&mut self, region: &str, bucket: Bucket) -> Error {
        self.charge.refused_by = Some(bucket.name());
        let (account, name) = (self.charged_to(), bucket.name());
        quota::exceeded(self.subject.event_source == "kms.amazonaws.com")
            .because(format!("account {account} has used up the requests `{name}` in {region}"))
    }
}
