//! What decisions about grants ask of a call.

use std::borrow::Cow;

use claviger_policy as policy;
use policy::Values;

use super::{Asks, Call, one};
use crate::kms::shapes::{GrantConstraints, GrantOperation};

/// What a request says of a grant that is to be made; of one that is to be retired, only its constraints.
#[derive(Clone, Copy)]
pub(crate) struct GrantAsks<'a> {
    /// None where no grant is to be made.
    pub(crate) operations: &'a [GrantOperation],
    pub(crate) constraints: &'a GrantConstraints,
    pub(crate) grantee: Option<&'a str>,
    pub(crate) grantee_service: Option<&'a str>,
    pub(crate) retiring: Option<&'a str>,
    pub(crate) retiring_service: Option<&'a str>,
}

impl<'a> GrantAsks<'a> {
    /// Of a grant with such constraints.
    pub(crate) fn constrained(constraints: &'a GrantConstraints) -> Self {
        Self {
            operations: &[],
            constraints,
            grantee: None,
            grantee_service: None,
            retiring: None,
            retiring_service: None,
        }
    }

    /// The value of a condition key, without its prefix `kms:`.
    pub(super) fn value(&self, name: &str) -> Option<Values<'a>> {
        match name {
            "grantconstrainttype" => self.constraints.kind().and_then(one),
            "grantconstraintsourcearn" if !self.operations.is_empty() => {
                self.constraints.source_arn.as_deref().and_then(one)
            }
            "grantoperations" if !self.operations.is_empty() => {
                let names = self.operations.iter().map(|operation| Cow::Borrowed(operation.as_str()));
                Some(Values::Set(names.collect()))
            }
            "granteeprincipal" => self.grantee.and_then(one),
            "granteeserviceprincipal" => self.grantee_service.and_then(one),
            "retiringprincipal" => self.retiring.and_then(one),
            "retiringserviceprincipal" => self.retiring_service.and_then(one),
            _ => None,
        }
    }
}

impl Call<'_> {
    /// The resource for which a service makes the call (`aws:SourceArn`). Constraints of grants on it are held against
    /// this.
    pub(crate) fn source_arn(&self) -> Option<&str> {
        self.subject.caller.source_arn()
    }

    /// Whether a service makes the call for its user (`kms:GrantIsForAWSResource`).
    pub(crate) fn is_for_aws_resource(&self) -> bool {
        self.subject.caller.is_via_service()
    }

    /// What conditions on `CreateGrant`, `ListGrants` and `RevokeGrant` may ask of the call.
    pub(crate) fn asks_on_grants<'a>(&self) -> Asks<'a> {
        Asks { for_aws_resource: Some(self.is_for_aws_resource()), ..Asks::default() }
    }
}
