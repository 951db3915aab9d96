//! Shapes of grants.

use claviger_wire::codec::{self, Member, Notes, Path, WrongType};
use claviger_wire::json::Value;
use claviger_wire::{choice, shape, text};
use serde::Serialize;
use serde::ser::SerializeMap;

use super::MAX_LISTED;
use crate::kms::context::EncryptionContext;

text! {
    /// ARN of a principal.
    pub struct PrincipalId: 1..=256, "^[\\w+=,.@:/-]+$",
        |text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b))
}

text! {
    /// Host name of a service.
    pub struct ServicePrincipal: 1..=128, "^([A-Za-z0-9\\-]+)\\.([A-Za-z0-9\\-]+)(\\.[A-Za-z0-9\\-]+)+$", is_host_name
}

text! {
    /// What a grant is called by who made it.
    pub struct GrantName: 1..=256, "^[a-zA-Z0-9:/_-]+$",
        |text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":/_-".contains(&b))
}

text! {
    /// Id of a grant.
    pub struct GrantId: 1..=128
}

text! {
    /// For which resource a service must call.
    pub struct GrantSourceArn: 20..=512, "^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$", is_source_arn
}

choice! {
    /// What a grant allows.
    pub enum GrantOperation {
        /// To decrypt.
        Decrypt = "Decrypt",
        /// To encrypt.
        Encrypt = "Encrypt",
        /// To make a data key.
        GenerateDataKey = "GenerateDataKey",
        /// To make a data key without seeing it.
        GenerateDataKeyWithoutPlaintext = "GenerateDataKeyWithoutPlaintext",
        /// To decrypt what is then encrypted under another key.
        ReEncryptFrom = "ReEncryptFrom",
        /// To encrypt what was encrypted under another key.
        ReEncryptTo = "ReEncryptTo",
        /// To sign.
        Sign = "Sign",
        /// To verify signatures.
        Verify = "Verify",
        /// To read the public key.
        GetPublicKey = "GetPublicKey",
        /// To grant what this grant allows, or less.
        CreateGrant = "CreateGrant",
        /// To give the grant up.
        RetireGrant = "RetireGrant",
        /// To describe the key.
        DescribeKey = "DescribeKey",
        /// To make a data key pair.
        GenerateDataKeyPair = "GenerateDataKeyPair",
        /// To make a data key pair without seeing its private key.
        GenerateDataKeyPairWithoutPlaintext = "GenerateDataKeyPairWithoutPlaintext",
        /// To authenticate a message.
        GenerateMac = "GenerateMac",
        /// To verify a message authentication code.
        VerifyMac = "VerifyMac",
        /// To agree on a secret.
        DeriveSharedSecret = "DeriveSharedSecret",
        /// To encapsulate a secret.
        Encapsulate = "Encapsulate",
        /// To open an encapsulated secret.
        Decapsulate = "Decapsulate",
    }
}

list! {
    /// What a grant allows. The model has no bound; duplicates are tolerated.
    GrantOperations(GrantOperation): 0..=MAX_LISTED, true
}

shape! {
    /// When a grant allows what it does.
    #[derive(Debug, Clone, Default)]
    pub struct GrantConstraints {
        /// Pairs that the encryption context must have.
        optional subset: EncryptionContext = "encryptionContextSubset",
        /// Pairs that the encryption context must be.
        optional equals: EncryptionContext = "encryptionContextEquals",
        /// For which resource a service must call.
        optional source_arn: GrantSourceArn = "sourceArn",
    }
}

/// Three labels or more.
fn is_host_name(text: &str) -> bool {
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    text.split('.').count() >= 3 && text.split('.').all(is_label)
}

fn is_source_arn(text: &str) -> bool {
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    claviger_wire::arn::Arn::parse(text).is_some_and(|arn| {
        let rest = arn.partition.strip_prefix("aws");
        rest.is_some_and(|rest| rest.bytes().all(lower))
            && !arn.service.is_empty()
            && arn.service.bytes().chain(arn.region.bytes()).all(lower)
            && claviger_wire::arn::is_account(arn.account)
            && !arn.resource.is_empty()
            && !arn.resource.contains(['\n', '\r'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_the_models() {
        for (text, expected) in [
            ("ec2.us-east-1.amazonaws.com", true),
            ("ec2.amazonaws.com", true),
            ("amazonaws.com", false),
            ("ec2..amazonaws.com", false),
            ("ec2_x.amazonaws.com", false),
            (".amazonaws.com", false),
        ] {
            assert_eq!(is_host_name(text), expected, "{text}");
        }
        for (text, expected) in [
            ("arn:aws:ec2:us-east-1:111122223333:volume/vol-1", true),
            ("arn:aws-us-gov:s3::111122223333:b:c", true),
            ("arn:aws:ec2:us-east-1:1111222233:volume/vol-1", false),
            ("arn:aws:ec2:us-east-1:111122223333:", false),
            ("arn:aws::us-east-1:111122223333:x", false),
            ("arn:gcp:ec2:us-east-1:111122223333:x", false),
            ("arn:aws:EC2:us-east-1:111122223333:x", false),
        ] {
            assert_eq!(is_source_arn(text), expected, "{text}");
        }
    }
}
