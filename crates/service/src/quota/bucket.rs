//! The buckets of request quotas, as data: which operation is counted in which, and what each lets through by default
//! (AWS KMS Developer Guide, "Request quotas"; values of 2026).

use std::collections::HashMap;
use std::sync::LazyLock;

use claviger_wire::arn;

use super::rate::Rate;
use crate::kms::shapes::{DataKeyPairSpec, KeySpec};

/// Names one bucket: its place in [`Table::buckets`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bucket(u8);

impl Bucket {
    /// Its name in the configuration, in metrics and in the log.
    pub(crate) fn name(self) -> &'static str {
        TABLE.buckets.get(self.place()).map_or("-", |(name, _)| name)
    }

    /// The bucket of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        all().find(|bucket| bucket.name() == name)
    }

    /// What it lets through in a Region when nobody says otherwise.
    pub(crate) fn usual(self, region: &str) -> Rate {
        let usual = TABLE.buckets.get(self.place()).map_or(Usual::Each(1000), |(_, usual)| *usual);
        Rate::of_thousandths(usual.thousandths(region))
    }

    /// Its place among all buckets.
    pub(crate) fn place(self) -> usize {
        usize::from(self.0)
    }
}

/// Every bucket.
pub(crate) fn all() -> impl Iterator<Item = Bucket> {
    (0..=u8::MAX).map(Bucket).take(TABLE.buckets.len())
}

/// How an operation's bucket is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It is always the same.
    Fixed(Bucket),
    /// By the spec of each key that is used.
    ByKey,
    /// By the spec of the data key pair that is made.
    ByPair,
}

impl Rule {
    /// The rule of an operation of KMS. What is none is counted where a request is that came to no key.
    pub(crate) fn of(operation: &str) -> Self {
        TABLE.rules.get(operation).copied().unwrap_or_else(|| Self::Fixed(unknown_key()))
    }

    /// The rule of all operations of a service of the query protocol.
    pub(crate) fn of_service(service: &str) -> Self {
        Self::Fixed(TABLE.named(if service == "sts" { STS } else { IAM }))
    }
}

/// Requests a second by default, in thousandths.
#[derive(Debug, Clone, Copy)]
enum Usual {
    /// In every Region.
    Each(u64),
    /// In AWS's Regions, and in those of the partition `aws-cn`.
    OutsideAndIn { china: u64, elsewhere: u64 },
    /// By the size of the Region ("Quotas for cryptographic operations").
    BySize,
}

impl Usual {
    fn thousandths(self, region: &str) -> u64 {
        match self {
            Self::Each(thousandths) => thousandths,
            Self::OutsideAndIn { china, .. } if arn::partition(region) == "aws-cn" => china,
            Self::OutsideAndIn { elsewhere, .. } => elsewhere,
            Self::BySize => match region {
                "us-east-1" | "us-west-2" | "eu-west-1" => 100_000_000,
                "us-east-2" | "ap-southeast-1" | "ap-southeast-2" | "ap-northeast-1" | "eu-central-1"
                | "eu-west-2" => 20_000_000,
                _ => 10_000_000,
            },
        }
    }
}

const SYMMETRIC: &str = "CryptographicOperationsSymmetric";
const RSA: &str = "CryptographicOperationsRsa";
const ECC: &str = "CryptographicOperationsEcc";
const ML_DSA: &str = "CryptographicOperationsMlDsa";
const ML_KEM: &str = "CryptographicOperationsMlKem";
const IAM: &str = "IAM";
const STS: &str = "STS";
const STRANGERS: &str = "Unauthenticated";

/// Buckets that several operations share. AWS does not publish the quotas of ML-KEM keys (taken to be those of ML-DSA)
/// nor of IAM; that of STS is 600 ("IAM and AWS STS quotas").
const SHARED: &[(&str, Usual)] = &[
    (SYMMETRIC, Usual::BySize),
    (RSA, Usual::Each(1_000_000)),
    (ECC, Usual::Each(1_000_000)),
    (ML_DSA, Usual::Each(1_000_000)),
    (ML_KEM, Usual::Each(1_000_000)),
    ("GenerateDataKeyPair-RSA_2048", Usual::OutsideAndIn { china: 1000, elsewhere: 20_000 }),
    ("GenerateDataKeyPair-RSA_3072", Usual::OutsideAndIn { china: 500, elsewhere: 4000 }),
    ("GenerateDataKeyPair-RSA_4096", Usual::OutsideAndIn { china: 100, elsewhere: 1000 }),
    ("GenerateDataKeyPair-ECC_NIST_P256", Usual::Each(100_000)),
    ("GenerateDataKeyPair-ECC_NIST_P384", Usual::Each(100_000)),
    ("GenerateDataKeyPair-ECC_NIST_P521", Usual::Each(100_000)),
    ("GenerateDataKeyPair-ECC_SECG_P256K1", Usual::Each(100_000)),
    ("GenerateDataKeyPair-ECC_NIST_EDWARDS25519", Usual::Each(100_000)),
    ("GenerateDataKeyPair-SM2", Usual::Each(25_000)),
    ("GenerateDataKeyPair-ML_KEM_512", Usual::Each(100_000)),
    ("GenerateDataKeyPair-ML_KEM_768", Usual::Each(100_000)),
    ("GenerateDataKeyPair-ML_KEM_1024", Usual::Each(100_000)),
    (IAM, Usual::Each(100_000)),
    (STS, Usual::Each(600_000)),
    // Of each source address. AWS's is not known.
    (STRANGERS, Usual::Each(10_000)),
];

/// Operations that are counted by the key they use.
const BY_KEY: &[&str] = &[
    "Decapsulate",
    "Decrypt",
    "DeriveSharedSecret",
    "Encapsulate",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "ReEncrypt",
    "Sign",
    "Verify",
    "VerifyMac",
];

/// Operations that are counted by what they make.
const BY_PAIR: &[&str] = &["GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"];

/// Cryptographic operations without a key.
const KEYLESS: &[&str] = &["GenerateRandom"];

/// Operations that have a bucket of their own each, which bears their name; by requests a second.
#[rustfmt::skip]
const OWN: &[(u64, &[&str])] = &[
    (2000, &["DescribeKey", "GetPublicKey", "ListResourceTags"]),
    (1000, &["GetKeyPolicy", "GetKeyRotationStatus"]),
    (500,  &["ListAliases", "ListKeys"]),
    (100,  &["ListGrants", "ListKeyPolicies", "ListKeyRotations", "ListRetirableGrants"]),
    (50,   &["CreateGrant", "RetireGrant", "RevokeGrant"]),
    (15,   &["DeleteAlias", "DeleteImportedKeyMaterial", "EnableKeyRotation", "ImportKeyMaterial", "PutKeyPolicy",
             "ScheduleKeyDeletion"]),
    (10,   &["TagResource"]),
    (5,    &["CancelKeyDeletion", "ConnectCustomKeyStore", "CreateAlias", "CreateCustomKeyStore", "CreateKey",
             "DeleteCustomKeyStore", "DescribeCustomKeyStores", "DisableKey", "DisableKeyRotation",
             "DisconnectCustomKeyStore", "EnableKey", "GetKeyLastUsage", "ReplicateKey", "RotateKeyOnDemand",
             "UntagResource", "UpdateAlias", "UpdateCustomKeyStore", "UpdateKeyDescription", "UpdatePrimaryRegion"]),
    (1,    &["GetParametersForImport"]),
];

struct Table {
    buckets: Vec<(&'static str, Usual)>,
    rules: HashMap<&'static str, Rule>,
}

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

impl Table {
    fn new() -> Self {
        let own = OWN.iter().flat_map(|(rate, names)| names.iter().map(|name| (*name, 1000 * *rate)));
        let own = own.map(|(name, thousandths)| (name, Usual::Each(thousandths)));
        let mut table =
            Self { buckets: SHARED.iter().copied().chain(own.clone()).collect(), rules: HashMap::new() };
        let keyless = Rule::Fixed(table.named(SYMMETRIC));
        table.rules.extend(BY_KEY.iter().map(|name| (*name, Rule::ByKey)));
        table.rules.extend(BY_PAIR.iter().map(|name| (*name, Rule::ByPair)));
        table.rules.extend(KEYLESS.iter().map(|name| (*name, keyless)));
        let own: Vec<_> = own.map(|(name, _)| (name, Rule::Fixed(table.named(name)))).collect();
        table.rules.extend(own);
        table
    }

    /// The bucket of a name that stands in the tables above.
    fn named(&self, name: &str) -> Bucket {
        let place = self.buckets.iter().position(|(known, _)| *known == name);
        Bucket(place.and_then(|place| u8::try_from(place).ok()).unwrap_or_default())
    }
}

/// Where requests are counted that came to no key: those that were refused before, and those that must not tell anything
/// of the key they name.
pub(crate) fn unknown_key() -> Bucket {
    TABLE.named(SYMMETRIC)
}

/// Where requests of a source address are counted that authenticate nobody.
pub(crate) fn strangers() -> Bucket {
    TABLE.named(STRANGERS)
}

/// The bucket of cryptographic operations with keys of a spec.
pub(crate) fn of_key(spec: KeySpec) -> Bucket {
    TABLE.named(match spec {
        KeySpec::SymmetricDefault
        | KeySpec::Hmac224
        | KeySpec::Hmac256
        | KeySpec::Hmac384
        | KeySpec::Hmac512 => SYMMETRIC,
        KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => RSA,
        KeySpec::EccNistP256
        | KeySpec::EccNistP384
        | KeySpec::EccNistP521
        | KeySpec::EccSecgP256k1
        | KeySpec::EccNistEdwards25519
        | KeySpec::Sm2 => ECC,
        KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => ML_DSA,
        KeySpec::MlKem512 | KeySpec::MlKem768 | KeySpec::MlKem1024 => ML_KEM,
    })
}

/// The bucket in which data key pairs of a spec are counted.
pub(crate) fn of_pair(spec: DataKeyPairSpec) -> Bucket {
    let pairs =
        SHARED.iter().filter_map(|(name, _)| Some((*name, name.strip_prefix("GenerateDataKeyPair-")?)));
    let name = pairs.filter(|(_, pair)| *pair == spec.as_str()).map(|(name, _)| name).next();
    name.map_or_else(unknown_key, |name| TABLE.named(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::kms;

    /// A new operation cannot be forgotten, nor stand in two rows; and no row is of an operation that is none.
    #[test]
    fn every_operation_has_one_row() {
        let own = OWN.iter().flat_map(|(_, names)| names.iter());
        let rows: Vec<&str> = [BY_KEY, BY_PAIR, KEYLESS].into_iter().flatten().chain(own).copied().collect();
        let served = kms::ops::ALL.iter().map(|entry| entry.name);
        let api: BTreeSet<&str> = served.chain(kms::NOT_SERVED.iter().copied()).collect();
        assert_eq!(rows.iter().copied().collect::<BTreeSet<_>>(), api);
        assert_eq!(rows.len(), api.len(), "an operation stands in two rows");
    }

    #[test]
    fn buckets_have_names_of_their_own() {
        let names: BTreeSet<&str> = all().map(Bucket::name).collect();
        assert_eq!(names.len(), TABLE.buckets.len());
        assert!(all().all(|bucket| Bucket::named(bucket.name()) == Some(bucket)));
        assert!(TABLE.buckets.len() <= usize::from(u8::MAX));
        assert_eq!(Bucket::named("Symmetric"), None);
    }

    #[test]
    fn defaults_are_awss() {
        let check = |name: &str, region: &str, per_second: f64| {
            let usual = Bucket::named(name).unwrap().usual(region);
            assert_eq!(usual, Rate::per_second(per_second).unwrap(), "{name} in {region}");
        };
        check(SYMMETRIC, "eu-west-1", 100_000.0);
        check(SYMMETRIC, "eu-central-1", 20_000.0);
        check(SYMMETRIC, "eu-north-1", 10_000.0);
        check(RSA, "eu-north-1", 1000.0);
        check("GenerateDataKeyPair-RSA_4096", "eu-west-1", 1.0);
        check("GenerateDataKeyPair-RSA_4096", "cn-north-1", 0.1);
        check("GenerateDataKeyPair-RSA_3072", "cn-north-1", 0.5);
        check("GenerateDataKeyPair-SM2", "cn-north-1", 25.0);
        check("DescribeKey", "eu-west-1", 2000.0);
        check("GetParametersForImport", "eu-west-1", 1.0);
        check("TagResource", "eu-west-1", 10.0);
        check(STS, "us-east-1", 600.0);
    }

    #[test]
    fn the_spec_of_a_key_or_pair_says_the_bucket() {
        for spec in DataKeyPairSpec::ALL {
            assert_eq!(of_pair(*spec).name(), format!("GenerateDataKeyPair-{}", spec.as_str()));
        }
        let check = |spec, name| assert_eq!(of_key(spec).name(), name);
        check(KeySpec::SymmetricDefault, SYMMETRIC);
        check(KeySpec::Hmac512, SYMMETRIC);
        check(KeySpec::Rsa3072, RSA);
        check(KeySpec::Sm2, ECC);
        check(KeySpec::MlDsa65, ML_DSA);
        check(KeySpec::MlKem768, ML_KEM);
        assert_eq!(Rule::of("Encrypt"), Rule::ByKey);
        assert_eq!(Rule::of("GenerateRandom"), Rule::Fixed(of_key(KeySpec::SymmetricDefault)));
        assert_eq!(Rule::of("Frobnicate"), Rule::Fixed(unknown_key()));
    }
}
