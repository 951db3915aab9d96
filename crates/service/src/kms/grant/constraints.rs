//! Constraints: when a grant allows what it does, and which are as strict as others.
//!
//! Keys of an encryption context compare without regard to ASCII case here, values with it (API reference,
//! `GrantConstraints`). A context that names a key twice so has it not once: nothing is allowed by ambiguity.

use crate::kms::context::EncryptionContext;
use crate::kms::shapes::{GrantConstraints, GrantSourceArn};
use crate::record::grant::ConstraintsRecord;

fn pairs(context: &EncryptionContext) -> Vec<(String, String)> {
    context.pairs().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Whether a context has all of the pairs, and each of their keys once.
fn has(context: &EncryptionContext, wanted: &EncryptionContext) -> bool {
    wanted.pairs().all(|(key, value)| {
        let mut found = context.pairs().filter(|(own, _)| own.eq_ignore_ascii_case(key));
        found.next().is_some_and(|(_, own)| own == value) && found.next().is_none()
    })
}

/// Whether two contexts have the same pairs, each of their keys once.
fn same(one: &EncryptionContext, other: &EncryptionContext) -> bool {
    has(one, other) && has(other, one)
}

impl GrantConstraints {
    pub(crate) fn stored(read: ConstraintsRecord) -> Self {
        Self {
            subset: read.subset.map(EncryptionContext::of),
            equals: read.equals.map(EncryptionContext::of),
            source_arn: read.source_arn.map(GrantSourceArn),
        }
    }

    /// As a record holds them; `None` where there are none.
    pub(crate) fn record(&self) -> Option<ConstraintsRecord> {
        let source_arn = self.source_arn.as_ref().map(|arn| arn.0.clone());
        let record = ConstraintsRecord {
            equals: self.equals.as_ref().map(pairs),
            subset: self.subset.as_ref().map(pairs),
            source_arn,
        };
        (!self.is_empty()).then_some(record)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.context().is_none() && self.source_arn.is_none()
    }

    /// The pairs of the one constraint on the encryption context.
    pub(crate) fn context(&self) -> Option<&EncryptionContext> {
        self.equals.as_ref().or(self.subset.as_ref())
    }

    /// `kms:GrantConstraintType`
    pub(crate) fn kind(&self) -> Option<&'static str> {
        match (&self.equals, &self.subset) {
            (Some(_), _) => Some("EncryptionContextEquals"),
            (None, Some(_)) => Some("EncryptionContextSubset"),
            (None, None) => None,
        }
    }

    /// Whether an encryption context meets them.
    pub(crate) fn are_met_by(&self, context: Option<&EncryptionContext>) -> bool {
        let none = EncryptionContext::default();
        let context = context.unwrap_or(&none);
        self.equals.as_ref().is_none_or(|wanted| same(context, wanted))
            && self.subset.as_ref().is_none_or(|wanted| has(context, wanted))
    }

    /// Whether a call on behalf of this resource meets them; of none where nobody but the caller asks.
    pub(crate) fn are_met_for(&self, source_arn: Option<&str>) -> bool {
        self.source_arn
            .as_deref()
            .is_none_or(|wanted| source_arn.is_some_and(|arn| claviger_policy::arn_like(wanted, arn)))
    }

    /// Whether others are as strict as these, or stricter.
    pub(crate) fn bind(&self, other: &Self) -> bool {
        let same_source = self.source_arn.is_none() || self.source_arn == other.source_arn;
        let equals = |wanted| other.equals.as_ref().is_some_and(|own| same(own, wanted));
        let subset = |wanted| other.context().is_some_and(|own| has(own, wanted));
        same_source && self.equals.as_ref().is_none_or(equals) && self.subset.as_ref().is_none_or(subset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
        EncryptionContext::of(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    fn equals(pairs: &[(&str, &str)]) -> GrantConstraints {
        GrantConstraints { equals: Some(context(pairs)), ..Default::default() }
    }

    fn subset(pairs: &[(&str, &str)]) -> GrantConstraints {
        GrantConstraints { subset: Some(context(pairs)), ..Default::default() }
    }

    fn source(arn: &str) -> GrantConstraints {
        GrantConstraints { source_arn: Some(GrantSourceArn(arn.to_owned())), ..Default::default() }
    }

    #[test]
    fn contexts_meet_constraints() {
        let check = |constraints: &GrantConstraints, pairs: &[(&str, &str)], expected: bool| {
            assert_eq!(constraints.are_met_by(Some(&context(pairs))), expected, "{constraints:?} {pairs:?}");
        };
        let ab = [("a", "1"), ("b", "2")];
        for (pairs, by_equals, by_subset) in [
            (&ab[..], true, true),
            (&[("b", "2"), ("A", "1")], true, true),
            (&[("a", "1"), ("b", "2"), ("c", "3")], false, true),
            (&[("a", "1")], false, false),
            (&[("a", "1"), ("b", "3")], false, false),
            (&[("a", "1"), ("A", "1"), ("b", "2")], false, false),
            (&[("a", "1"), ("A", "2"), ("b", "2")], false, false),
            (&[], false, false),
        ] {
            check(&equals(&ab), pairs, by_equals);
            check(&subset(&ab), pairs, by_subset);
            check(&GrantConstraints::default(), pairs, true);
        }
        let twice = [("a", "1"), ("A", "1")];
        check(&equals(&twice), &twice, false);
        check(&subset(&twice), &twice, false);
        assert!(equals(&[]).are_met_by(None) && subset(&[]).are_met_by(None));
        assert!(!equals(&ab).are_met_by(None));
        check(&equals(&[]), &ab, false);
    }

    #[test]
    fn a_resource_meets_its_constraint() {
        const VOLUME: &str = "arn:aws:ec2:us-east-1:111122223333:volume/vol-1";
        for (constraint, arn, expected) in [
            (VOLUME, Some(VOLUME), true),
            (VOLUME, None, false),
            (VOLUME, Some("arn:aws:ec2:us-east-1:111122223333:volume/vol-2"), false),
            ("arn:aws:ec2:us-east-1:111122223333:volume/*", Some(VOLUME), true),
            ("arn:aws:ec2:us-east-1:444455556666:volume/*", Some(VOLUME), false),
        ] {
            assert_eq!(source(constraint).are_met_for(arn), expected, "{constraint} {arn:?}");
        }
        assert!(GrantConstraints::default().are_met_for(None));
    }

    #[test]
    fn constraints_are_as_strict_or_not() {
        let (one, two) = ([("a", "1")], [("A", "1"), ("b", "2")]);
        let none = GrantConstraints::default();
        for (parent, child, expected) in [
            (none.clone(), none.clone(), true),
            (none.clone(), equals(&one), true),
            (equals(&one), equals(&one), true),
            (equals(&one), equals(&two), false),
            (equals(&one), subset(&one), false),
            (equals(&one), none.clone(), false),
            (subset(&one), subset(&one), true),
            (subset(&one), subset(&two), true),
            (subset(&one), equals(&two), true),
            (subset(&two), subset(&one), false),
            (subset(&one), none.clone(), false),
            (subset(&[]), none.clone(), false),
            (subset(&one), subset(&[("a", "2")]), false),
            (source("arn:aws:s3:::a"), source("arn:aws:s3:::a"), true),
            (source("arn:aws:s3:::a"), source("arn:aws:s3:::b"), false),
            (source("arn:aws:s3:::a"), none.clone(), false),
            (none, source("arn:aws:s3:::a"), true),
        ] {
            assert_eq!(parent.bind(&child), expected, "{parent:?} {child:?}");
        }
    }
}
