//! What a new grant may say.

use crate::error::{Error, Result};
use crate::kms::context::EncryptionContext;
use crate::kms::key::Key;
use crate::kms::shapes::{GrantConstraints, GrantOperation, KeyUsage, Origin};
use crate::kms::spec;

/// Most pairs of a constraint.
const MAX_PAIRS: usize = 8;
/// Longest value of a pair in characters.
const MAX_VALUE: usize = 384;

/// The operations that a request asks for, each once, in the order in which it names them.
///
/// # Errors
/// `ValidationException`.
pub(crate) fn operations(asked: &[GrantOperation]) -> Result<Vec<GrantOperation>> {
    let mut operations: Vec<GrantOperation> = Vec::new();
    for operation in asked {
        if !operations.contains(operation) {
            operations.push(*operation);
        }
    }
    match &*operations {
        [] => Err(Error::validation("A grant must contain at least one operation.")),
        [GrantOperation::CreateGrant] => {
            Err(Error::validation("Grants must not contain only the CreateGrant operation."))
        }
        _ => Ok(operations),
    }
}

/// Checks constraints by themselves.
///
/// # Errors
/// `ValidationException`.
pub(crate) fn check_constraints(constraints: &GrantConstraints) -> Result<()> {
    if constraints.equals.is_some() && constraints.subset.is_some() {
        return Err(Error::validation(
            "A grant can have either an EncryptionContextEquals or an EncryptionContextSubset constraint, not both.",
        ));
    }
    let none = EncryptionContext::default();
    let context = constraints.context().unwrap_or(&none);
    if context.pairs().count() > MAX_PAIRS {
        return Err(Error::validation(format!(
            "An encryption context constraint can have at most {MAX_PAIRS} pairs."
        )));
    }
    if context.pairs().any(|(_, value)| value.chars().count() > MAX_VALUE) {
        return Err(Error::validation(format!(
            "A value of an encryption context constraint can have at most {MAX_VALUE} characters."
        )));
    }
    Ok(())
}

/// Checks that what is granted fits the kind of the key ("Grant operations" of the Developer Guide).
///
/// # Errors
/// `ValidationException`.
pub(crate) fn check_fit(
    key: &Key,
    operations: &[GrantOperation],
    constraints: &GrantConstraints,
) -> Result<()> {
    if let Some(operation) = operations.iter().find(|operation| !fits(key, **operation)) {
        let (operation, spec, usage) = (operation.as_str(), key.spec.as_str(), key.usage.as_str());
        return Err(Error::validation(format!(
            "Operation {operation} is not compatible with KeySpec {spec} and KeyUsage {usage}."
        )));
    }
    if constraints.context().is_some() && !key.is_symmetric() {
        return Err(Error::validation(
            "Encryption context constraints are supported only in grants on symmetric encryption KMS keys.",
        ));
    }
    Ok(())
}

fn fits(key: &Key, operation: GrantOperation) -> bool {
    use GrantOperation as Operation;
    match operation {
        Operation::CreateGrant | Operation::RetireGrant | Operation::DescribeKey => true,
        Operation::Encrypt | Operation::Decrypt | Operation::ReEncryptFrom | Operation::ReEncryptTo => {
            key.usage == KeyUsage::EncryptDecrypt
        }
        Operation::GenerateDataKey | Operation::GenerateDataKeyWithoutPlaintext => key.is_symmetric(),
        Operation::GenerateDataKeyPair | Operation::GenerateDataKeyPairWithoutPlaintext => {
            key.is_symmetric() && matches!(key.origin, Origin::AwsKms | Origin::External)
        }
        Operation::Sign | Operation::Verify => key.usage == KeyUsage::SignVerify,
        Operation::GenerateMac | Operation::VerifyMac => key.usage == KeyUsage::GenerateVerifyMac,
        Operation::DeriveSharedSecret => key.usage == KeyUsage::KeyAgreement,
        Operation::Encapsulate | Operation::Decapsulate => key.usage == KeyUsage::EncapsulateDecapsulate,
        Operation::GetPublicKey => spec::is_asymmetric(key.spec),
    }
}
