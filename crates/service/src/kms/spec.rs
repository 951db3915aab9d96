//! Which key specs there are, what each is for, and what it does it with ("Key spec reference" of the AWS KMS Developer
//! Guide).

use claviger_wire::fault::Code;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::error::{Error, Result};
use crate::kms::shapes::{
    EncapsulationAlgorithm, EncryptionAlgorithm, KeyAgreementAlgorithm, KeySpec, KeyUsage, MacAlgorithm,
    SigningAlgorithm,
};

/// What a key does its work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Of a key that encrypts.
    Encryption(EncryptionAlgorithm),
    /// Of a key that signs.
    Signing(SigningAlgorithm),
    /// Of a key that authenticates messages.
    Mac(MacAlgorithm),
    /// Of a key that agrees on secrets.
    KeyAgreement(KeyAgreementAlgorithm),
    /// Of a key that secrets are encapsulated to.
    Encapsulation(EncapsulationAlgorithm),
}

/// The table: the algorithms of a spec for a usage, in the order in which AWS lists them. A pair that has none does not
/// exist.
pub const fn algorithms(spec: KeySpec, usage: KeyUsage) -> &'static [Algorithm] {
    use EncryptionAlgorithm::{RsaesOaepSha1, RsaesOaepSha256, Sm2Pke, SymmetricDefault};
    use SigningAlgorithm as Sign;
    const OAEP: &[Algorithm] =
        &[Algorithm::Encryption(RsaesOaepSha1), Algorithm::Encryption(RsaesOaepSha256)];
    const RSASSA: &[Algorithm] = &[
        Algorithm::Signing(Sign::RsassaPkcs1V15Sha256),
        Algorithm::Signing(Sign::RsassaPkcs1V15Sha384),
        Algorithm::Signing(Sign::RsassaPkcs1V15Sha512),
        Algorithm::Signing(Sign::RsassaPssSha256),
        Algorithm::Signing(Sign::RsassaPssSha384),
        Algorithm::Signing(Sign::RsassaPssSha512),
    ];
    const ED25519: &[Algorithm] =
        &[Algorithm::Signing(Sign::Ed25519Sha512), Algorithm::Signing(Sign::Ed25519PhSha512)];
    const ECDH: &[Algorithm] = &[Algorithm::KeyAgreement(KeyAgreementAlgorithm::Ecdh)];
    match usage {
        KeyUsage::EncryptDecrypt => match spec {
            KeySpec::SymmetricDefault => &[Algorithm::Encryption(SymmetricDefault)],
            KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => OAEP,
            KeySpec::Sm2 => &[Algorithm::Encryption(Sm2Pke)],
            _ => &[],
        },
        KeyUsage::SignVerify => match spec {
            KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => RSASSA,
            KeySpec::EccNistP256 | KeySpec::EccSecgP256k1 => &[Algorithm::Signing(Sign::EcdsaSha256)],
            KeySpec::EccNistP384 => &[Algorithm::Signing(Sign::EcdsaSha384)],
            KeySpec::EccNistP521 => &[Algorithm::Signing(Sign::EcdsaSha512)],
            KeySpec::EccNistEdwards25519 => ED25519,
            KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => {
                &[Algorithm::Signing(Sign::MlDsaShake256)]
            }
            KeySpec::Sm2 => &[Algorithm::Signing(Sign::Sm2Dsa)],
            _ => &[],
        },
        KeyUsage::GenerateVerifyMac => match spec {
            KeySpec::Hmac224 => &[Algorithm::Mac(MacAlgorithm::HmacSha224)],
            KeySpec::Hmac256 => &[Algorithm::Mac(MacAlgorithm::HmacSha256)],
            KeySpec::Hmac384 => &[Algorithm::Mac(MacAlgorithm::HmacSha384)],
            KeySpec::Hmac512 => &[Algorithm::Mac(MacAlgorithm::HmacSha512)],
            _ => &[],
        },
        KeyUsage::KeyAgreement => match spec {
            KeySpec::EccNistP256 | KeySpec::EccNistP384 | KeySpec::EccNistP521 | KeySpec::Sm2 => ECDH,
            _ => &[],
        },
        KeyUsage::EncapsulateDecapsulate => match spec {
            KeySpec::MlKem512 | KeySpec::MlKem768 | KeySpec::MlKem1024 => {
                &[Algorithm::Encapsulation(EncapsulationAlgorithm::MlKem)]
            }
            _ => &[],
        },
    }
}

impl Algorithm {
    /// The algorithm as AWS spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Encryption(algorithm) => algorithm.as_str(),
            Self::Signing(algorithm) => algorithm.as_str(),
            Self::Mac(algorithm) => algorithm.as_str(),
            Self::KeyAgreement(algorithm) => algorithm.as_str(),
            Self::Encapsulation(algorithm) => algorithm.as_str(),
        }
    }
}

impl From<EncryptionAlgorithm> for Algorithm {
    fn from(algorithm: EncryptionAlgorithm) -> Self {
        Self::Encryption(algorithm)
    }
}

impl From<SigningAlgorithm> for Algorithm {
    fn from(algorithm: SigningAlgorithm) -> Self {
        Self::Signing(algorithm)
    }
}

impl From<MacAlgorithm> for Algorithm {
    fn from(algorithm: MacAlgorithm) -> Self {
        Self::Mac(algorithm)
    }
}

impl From<KeyAgreementAlgorithm> for Algorithm {
    fn from(algorithm: KeyAgreementAlgorithm) -> Self {
        Self::KeyAgreement(algorithm)
    }
}

impl From<EncapsulationAlgorithm> for Algorithm {
    fn from(algorithm: EncapsulationAlgorithm) -> Self {
        Self::Encapsulation(algorithm)
    }
}

/// Whether keys of a spec exist in a partition: SM2 only in China, ML-KEM everywhere else.
fn is_offered(spec: KeySpec, partition: &str) -> bool {
    let in_china = is_china(partition);
    match spec {
        KeySpec::Sm2 => in_china,
        KeySpec::MlKem512 | KeySpec::MlKem768 | KeySpec::MlKem1024 => !in_china,
        _ => true,
    }
}

/// Whether the algorithms of China's standards are offered in a partition.
pub(crate) fn is_china(partition: &str) -> bool {
    partition == "aws-cn"
}

/// Refuses a spec where the partition does not have it; `member` is the request's name for it.
///
/// # Errors
/// `UnsupportedOperationException`.
pub(crate) fn offered(member: &str, spec: KeySpec, partition: &str) -> Result<()> {
    if is_offered(spec, partition) {
        return Ok(());
    }
    Err(Error::new(Code::UnsupportedOperation, not_here(member, spec.as_str())))
}

/// What is said of a value that other Regions take.
pub(crate) fn not_here(member: &str, value: &str) -> String {
    format!("{member} {value} is not supported in this Region")
}

/// Whether keys of a spec have a public key.
pub const fn is_asymmetric(spec: KeySpec) -> bool {
    !matches!(
        spec,
        KeySpec::SymmetricDefault | KeySpec::Hmac224 | KeySpec::Hmac256 | KeySpec::Hmac384 | KeySpec::Hmac512
    )
}

/// Longest plaintext in bytes. RSAES-OAEP: what is left of the modulus beside two digests and two octets (RFC 8017,
/// section 7.1.1).
const fn max_plaintext_len(spec: KeySpec, algorithm: EncryptionAlgorithm) -> usize {
    let digest = match algorithm {
        EncryptionAlgorithm::SymmetricDefault => return 4096,
        EncryptionAlgorithm::Sm2Pke => return 1024,
        EncryptionAlgorithm::RsaesOaepSha1 => 20,
        EncryptionAlgorithm::RsaesOaepSha256 => 32,
    };
    let modulus: usize = match spec {
        KeySpec::Rsa2048 => 256,
        KeySpec::Rsa3072 => 384,
        KeySpec::Rsa4096 => 512,
        _ => 0,
    };
    modulus.saturating_sub(2 * digest + 2)
}

/// Refuses a plaintext that is longer than the key can encrypt.
///
/// # Errors
/// `ValidationException`.
pub(crate) fn fits(spec: KeySpec, algorithm: EncryptionAlgorithm, length: usize) -> Result<()> {
    if length > max_plaintext_len(spec, algorithm) { Err(too_long(spec, algorithm)) } else { Ok(()) }
}

/// The error of a plaintext that is longer than the key can encrypt.
pub(crate) fn too_long(spec: KeySpec, algorithm: EncryptionAlgorithm) -> Error {
    Error::validation(format!(
        "Algorithm {} and key spec {} cannot encrypt data larger than {} bytes.",
        algorithm.as_str(),
        spec.as_str(),
        max_plaintext_len(spec, algorithm),
    ))
}

/// Length of an encapsulated secret in bytes (FIPS 203, table 3).
pub const fn encapsulated_len(spec: KeySpec) -> Option<usize> {
    match spec {
        KeySpec::MlKem512 => Some(768),
        KeySpec::MlKem768 => Some(1088),
        KeySpec::MlKem1024 => Some(1568),
        _ => None,
    }
}

/// The algorithms of a key under the name that its usage gives the list; serializes as a map of one entry.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    name: &'static str,
    algorithms: &'static [Algorithm],
}

impl Listed {
    /// With the name that answers have.
    pub const fn in_answers(spec: KeySpec, usage: KeyUsage) -> Self {
        let name = match usage {
            KeyUsage::EncryptDecrypt => "EncryptionAlgorithms",
            KeyUsage::SignVerify => "SigningAlgorithms",
            KeyUsage::GenerateVerifyMac => "MacAlgorithms",
            KeyUsage::KeyAgreement => "KeyAgreementAlgorithms",
            KeyUsage::EncapsulateDecapsulate => "EncapsulationAlgorithms",
        };
        Self { name, algorithms: algorithms(spec, usage) }
    }

    /// With the name that the trail has.
    pub const fn in_trail(spec: KeySpec, usage: KeyUsage) -> Self {
        let name = match usage {
            KeyUsage::EncryptDecrypt => "encryptionAlgorithms",
            KeyUsage::SignVerify => "signingAlgorithms",
            KeyUsage::GenerateVerifyMac => "macAlgorithms",
            KeyUsage::KeyAgreement => "keyAgreementAlgorithms",
            KeyUsage::EncapsulateDecapsulate => "encapsulationAlgorithms",
        };
        Self { name, algorithms: algorithms(spec, usage) }
    }
}

impl Serialize for Listed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names: Vec<&str> = self.algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.name, &names)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair, against the developer guide written down a second time.
    #[test]
    fn the_table_is_awss() {
        let mut table = String::new();
        for spec in KeySpec::ALL {
            for usage in KeyUsage::ALL {
                let names: Vec<_> = algorithms(*spec, *usage).iter().map(|one| one.as_str()).collect();
                if !names.is_empty() {
                    table.push_str(&format!("{} {}: {}\n", spec.as_str(), usage.as_str(), names.join(" ")));
                }
            }
        }
        expect_test::expect![[r"
            RSA_2048 SIGN_VERIFY: RSASSA_PKCS1_V1_5_SHA_256 RSASSA_PKCS1_V1_5_SHA_384 RSASSA_PKCS1_V1_5_SHA_512 RSASSA_PSS_SHA_256 RSASSA_PSS_SHA_384 RSASSA_PSS_SHA_512
            RSA_2048 ENCRYPT_DECRYPT: RSAES_OAEP_SHA_1 RSAES_OAEP_SHA_256
            RSA_3072 SIGN_VERIFY: RSASSA_PKCS1_V1_5_SHA_256 RSASSA_PKCS1_V1_5_SHA_384 RSASSA_PKCS1_V1_5_SHA_512 RSASSA_PSS_SHA_256 RSASSA_PSS_SHA_384 RSASSA_PSS_SHA_512
            RSA_3072 ENCRYPT_DECRYPT: RSAES_OAEP_SHA_1 RSAES_OAEP_SHA_256
            RSA_4096 SIGN_VERIFY: RSASSA_PKCS1_V1_5_SHA_256 RSASSA_PKCS1_V1_5_SHA_384 RSASSA_PKCS1_V1_5_SHA_512 RSASSA_PSS_SHA_256 RSASSA_PSS_SHA_384 RSASSA_PSS_SHA_512
            RSA_4096 ENCRYPT_DECRYPT: RSAES_OAEP_SHA_1 RSAES_OAEP_SHA_256
            ECC_NIST_P256 SIGN_VERIFY: ECDSA_SHA_256
            ECC_NIST_P256 KEY_AGREEMENT: ECDH
            ECC_NIST_P384 SIGN_VERIFY: ECDSA_SHA_384
            ECC_NIST_P384 KEY_AGREEMENT: ECDH
            ECC_NIST_P521 SIGN_VERIFY: ECDSA_SHA_512
            ECC_NIST_P521 KEY_AGREEMENT: ECDH
            ECC_SECG_P256K1 SIGN_VERIFY: ECDSA_SHA_256
            SYMMETRIC_DEFAULT ENCRYPT_DECRYPT: SYMMETRIC_DEFAULT
            HMAC_224 GENERATE_VERIFY_MAC: HMAC_SHA_224
            HMAC_256 GENERATE_VERIFY_MAC: HMAC_SHA_256
            HMAC_384 GENERATE_VERIFY_MAC: HMAC_SHA_384
            HMAC_512 GENERATE_VERIFY_MAC: HMAC_SHA_512
            SM2 SIGN_VERIFY: SM2DSA
            SM2 ENCRYPT_DECRYPT: SM2PKE
            SM2 KEY_AGREEMENT: ECDH
            ML_DSA_44 SIGN_VERIFY: ML_DSA_SHAKE_256
            ML_DSA_65 SIGN_VERIFY: ML_DSA_SHAKE_256
            ML_DSA_87 SIGN_VERIFY: ML_DSA_SHAKE_256
            ECC_NIST_EDWARDS25519 SIGN_VERIFY: ED25519_SHA_512 ED25519_PH_SHA_512
            ML_KEM_512 ENCAPSULATE_DECAPSULATE: ML_KEM
            ML_KEM_768 ENCAPSULATE_DECAPSULATE: ML_KEM
            ML_KEM_1024 ENCAPSULATE_DECAPSULATE: ML_KEM
        "]]
        .assert_eq(&table);
    }

    /// The lengths of the developer guide's tables.
    #[test]
    fn plaintexts_have_awss_bounds() {
        use EncryptionAlgorithm::{RsaesOaepSha1, RsaesOaepSha256, Sm2Pke, SymmetricDefault};
        for (spec, algorithm, longest) in [
            (KeySpec::SymmetricDefault, SymmetricDefault, 4096),
            (KeySpec::Rsa2048, RsaesOaepSha1, 214),
            (KeySpec::Rsa2048, RsaesOaepSha256, 190),
            (KeySpec::Rsa3072, RsaesOaepSha1, 342),
            (KeySpec::Rsa3072, RsaesOaepSha256, 318),
            (KeySpec::Rsa4096, RsaesOaepSha1, 470),
            (KeySpec::Rsa4096, RsaesOaepSha256, 446),
            (KeySpec::Sm2, Sm2Pke, 1024),
        ] {
            assert!(fits(spec, algorithm, longest).is_ok());
            let says = fits(spec, algorithm, longest + 1).unwrap_err().message.unwrap();
            assert!(says.ends_with(&format!("cannot encrypt data larger than {longest} bytes.")), "{says}");
        }
    }

    #[test]
    fn partitions_have_their_specs() {
        for spec in KeySpec::ALL {
            let name = spec.as_str();
            for partition in ["aws", "aws-us-gov", "aws-eusc"] {
                assert_eq!(offered("KeySpec", *spec, partition).is_ok(), name != "SM2", "{name} {partition}");
            }
            assert_eq!(offered("KeySpec", *spec, "aws-cn").is_ok(), !name.starts_with("ML_KEM_"), "{name}");
        }
        let refused = offered("KeyPairSpec", KeySpec::Sm2, "aws").unwrap_err();
        assert_eq!(refused.message.as_deref(), Some("KeyPairSpec SM2 is not supported in this Region"));
    }

    /// What has several usages, a public key, and a length of encapsulated secrets.
    #[test]
    fn kinds_of_specs_are_told_apart() {
        for spec in KeySpec::ALL {
            let name = spec.as_str();
            assert!(
                KeyUsage::ALL.iter().any(|usage| !algorithms(*spec, *usage).is_empty()),
                "{name} has a use"
            );
            let symmetric = name == "SYMMETRIC_DEFAULT" || name.starts_with("HMAC_");
            assert_eq!(is_asymmetric(*spec), !symmetric, "{name}");
            assert_eq!(encapsulated_len(*spec).is_some(), name.starts_with("ML_KEM_"), "{name}");
        }
    }
}
