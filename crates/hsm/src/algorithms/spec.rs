//! Key specs, usages and algorithms as the KMS API names them, and which of them go together.
//!
//! The names come in as text, are read once, and everything behind works with these types. What is not in this
//! table does not exist for the HSM: the host cannot make it use a key for something else.

use claviger_hsm_proto::{MessageKind, Refusal};

/// Longest message to sign or to authenticate, in bytes (`PlaintextType` of the KMS API).
const MAX_MESSAGE_LEN: usize = 4096;
/// Length of the representative of FIPS 204, in bytes.
const MU_LEN: usize = 64;

/// What has a name in the API.
#[cfg(test)]
pub(crate) trait Named {
    /// The name.
    fn name(self) -> &'static str;
}

/// Declares an enum of names and how each is read.
macro_rules! names {
    ($(#[$about:meta])* $name:ident { $($(#[$note:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum $name {
            $($(#[$note])* #[doc = concat!("`", $text, "`.")] $variant,)*
        }

        impl $name {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Reads the API's name.
            ///
            /// # Errors
            /// [`Refusal::Usage`] for any other text.
            pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(Refusal::Usage),
                }
            }

        }

        #[cfg(test)]
        impl Named for $name {
            fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }
    };
}

names! {
    /// `KeySpec`, and also `DataKeyPairSpec`, whose names are some of these.
    Spec {
        SymmetricDefault = "SYMMETRIC_DEFAULT",
        Hmac224 = "HMAC_224",
        Hmac256 = "HMAC_256",
        Hmac384 = "HMAC_384",
        Hmac512 = "HMAC_512",
        Rsa2048 = "RSA_2048",
        Rsa3072 = "RSA_3072",
        Rsa4096 = "RSA_4096",
        EccNistP256 = "ECC_NIST_P256",
        EccNistP384 = "ECC_NIST_P384",
        EccNistP521 = "ECC_NIST_P521",
        EccSecgP256k1 = "ECC_SECG_P256K1",
        EccNistEdwards25519 = "ECC_NIST_EDWARDS25519",
        MlDsa44 = "ML_DSA_44",
        MlDsa65 = "ML_DSA_65",
        MlDsa87 = "ML_DSA_87",
        MlKem512 = "ML_KEM_512",
        MlKem768 = "ML_KEM_768",
        MlKem1024 = "ML_KEM_1024",
        Sm2 = "SM2",
    }
}

names! {
    /// `KeyUsageType`.
    Usage {
        EncryptDecrypt = "ENCRYPT_DECRYPT",
        SignVerify = "SIGN_VERIFY",
        GenerateVerifyMac = "GENERATE_VERIFY_MAC",
        KeyAgreement = "KEY_AGREEMENT",
        EncapsulateDecapsulate = "ENCAPSULATE_DECAPSULATE",
    }
}

names! {
    /// `EncryptionAlgorithmSpec`.
    EncryptionAlgorithm {
        SymmetricDefault = "SYMMETRIC_DEFAULT",
        OaepSha1 = "RSAES_OAEP_SHA_1",
        OaepSha256 = "RSAES_OAEP_SHA_256",
        Sm2Pke = "SM2PKE",
    }
}

names! {
    /// `MacAlgorithmSpec`.
    MacAlgorithm {
        HmacSha224 = "HMAC_SHA_224",
        HmacSha256 = "HMAC_SHA_256",
        HmacSha384 = "HMAC_SHA_384",
        HmacSha512 = "HMAC_SHA_512",
    }
}

names! {
    /// `SigningAlgorithmSpec`.
    SigningAlgorithm {
        PssSha256 = "RSASSA_PSS_SHA_256",
        PssSha384 = "RSASSA_PSS_SHA_384",
        PssSha512 = "RSASSA_PSS_SHA_512",
        Pkcs1Sha256 = "RSASSA_PKCS1_V1_5_SHA_256",
        Pkcs1Sha384 = "RSASSA_PKCS1_V1_5_SHA_384",
        Pkcs1Sha512 = "RSASSA_PKCS1_V1_5_SHA_512",
        EcdsaSha256 = "ECDSA_SHA_256",
        EcdsaSha384 = "ECDSA_SHA_384",
        EcdsaSha512 = "ECDSA_SHA_512",
        Ed25519Sha512 = "ED25519_SHA_512",
        Ed25519PhSha512 = "ED25519_PH_SHA_512",
        MlDsaShake256 = "ML_DSA_SHAKE_256",
        Sm2Dsa = "SM2DSA",
    }
}

/// A key spec with a usage that it allows ("Key spec reference" of the AWS KMS Developer Guide).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) spec: Spec,
    pub(crate) usage: Usage,
}

impl Kind {
    /// Pairs a spec and a usage.
    ///
    /// # Errors
    /// [`Refusal::Usage`] where the spec does not allow the usage.
    pub(crate) fn new(spec: Spec, usage: Usage) -> Result<Self, Refusal> {
        use Usage::{EncapsulateDecapsulate, EncryptDecrypt, GenerateVerifyMac, KeyAgreement, SignVerify};
        let allowed = match spec {
            Spec::SymmetricDefault => usage == EncryptDecrypt,
            Spec::Hmac224 | Spec::Hmac256 | Spec::Hmac384 | Spec::Hmac512 => usage == GenerateVerifyMac,
            Spec::Rsa2048 | Spec::Rsa3072 | Spec::Rsa4096 => matches!(usage, EncryptDecrypt | SignVerify),
            Spec::Sm2 => matches!(usage, EncryptDecrypt | SignVerify | KeyAgreement),
            Spec::EccNistP256 | Spec::EccNistP384 | Spec::EccNistP521 => {
                matches!(usage, SignVerify | KeyAgreement)
            }
            Spec::EccSecgP256k1 | Spec::EccNistEdwards25519 => usage == SignVerify,
            Spec::MlDsa44 | Spec::MlDsa65 | Spec::MlDsa87 => usage == SignVerify,
            Spec::MlKem512 | Spec::MlKem768 | Spec::MlKem1024 => usage == EncapsulateDecapsulate,
        };
        if allowed { Ok(Self { spec, usage }) } else { Err(Refusal::Usage) }
    }

    /// Reads a spec and a usage.
    ///
    /// # Errors
    /// [`Refusal::Usage`] for unknown names, or where the spec does not allow the usage.
    pub(crate) fn parse(spec: &str, usage: &str) -> Result<Self, Refusal> {
        Self::new(Spec::parse(spec)?, Usage::parse(usage)?)
    }

    /// The usage is this one.
    ///
    /// # Errors
    /// [`Refusal::Usage`] where it is not.
    pub(crate) fn requires(self, usage: Usage) -> Result<Self, Refusal> {
        if self.usage == usage { Ok(self) } else { Err(Refusal::Usage) }
    }

    /// The key encrypts with this algorithm.
    ///
    /// # Errors
    /// [`Refusal::Usage`] where it does not.
    pub(crate) fn encrypts(self, algorithm: EncryptionAlgorithm) -> Result<(), Refusal> {
        use EncryptionAlgorithm::{OaepSha1, OaepSha256, Sm2Pke, SymmetricDefault};
        let fits = match self.spec {
            Spec::SymmetricDefault => algorithm == SymmetricDefault,
            Spec::Rsa2048 | Spec::Rsa3072 | Spec::Rsa4096 => matches!(algorithm, OaepSha1 | OaepSha256),
            Spec::Sm2 => algorithm == Sm2Pke,
            _ => false,
        };
        if fits { self.requires(Usage::EncryptDecrypt).map(drop) } else { Err(Refusal::Usage) }
    }

    /// The key signs with this algorithm.
    ///
    /// # Errors
    /// [`Refusal::Usage`] where it does not.
    pub(crate) fn signs(self, algorithm: SigningAlgorithm) -> Result<(), Refusal> {
        use SigningAlgorithm as Algorithm;
        let fits = match self.spec {
            Spec::Rsa2048 | Spec::Rsa3072 | Spec::Rsa4096 => algorithm.is_rsa(),
            Spec::EccNistP256 | Spec::EccSecgP256k1 => algorithm == Algorithm::EcdsaSha256,
            Spec::EccNistP384 => algorithm == Algorithm::EcdsaSha384,
            Spec::EccNistP521 => algorithm == Algorithm::EcdsaSha512,
            Spec::EccNistEdwards25519 => {
                matches!(algorithm, Algorithm::Ed25519Sha512 | Algorithm::Ed25519PhSha512)
            }
            Spec::MlDsa44 | Spec::MlDsa65 | Spec::MlDsa87 => algorithm == Algorithm::MlDsaShake256,
            Spec::Sm2 => algorithm == Algorithm::Sm2Dsa,
            _ => false,
        };
        if fits { self.requires(Usage::SignVerify).map(drop) } else { Err(Refusal::Usage) }
    }

    /// The key authenticates with this algorithm: the one of its own number.
    ///
    /// # Errors
    /// [`Refusal::Usage`] where it does not.
    pub(crate) fn authenticates(self, algorithm: MacAlgorithm) -> Result<(), Refusal> {
        if self.spec.mac_algorithm() == Some(algorithm) { Ok(()) } else { Err(Refusal::Usage) }
    }
}

impl Spec {
    /// A spec of which data key pairs can be made (`DataKeyPairSpec`).
    ///
    /// # Errors
    /// [`Refusal::Usage`] for any other name.
    pub(crate) fn parse_pair(text: &str) -> Result<Self, Refusal> {
        let spec = Self::parse(text)?;
        let is_pair = match spec {
            Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 | Self::Sm2 => true,
            Self::EccNistP256 | Self::EccNistP384 | Self::EccNistP521 => true,
            Self::EccSecgP256k1 | Self::EccNistEdwards25519 => true,
            Self::MlKem512 | Self::MlKem768 | Self::MlKem1024 => true,
            Self::MlDsa44 | Self::MlDsa65 | Self::MlDsa87 => false,
            Self::SymmetricDefault | Self::Hmac224 | Self::Hmac256 | Self::Hmac384 | Self::Hmac512 => false,
        };
        if is_pair { Ok(spec) } else { Err(Refusal::Usage) }
    }

    /// The only algorithm of an HMAC key.
    pub(crate) fn mac_algorithm(self) -> Option<MacAlgorithm> {
        match self {
            Self::Hmac224 => Some(MacAlgorithm::HmacSha224),
            Self::Hmac256 => Some(MacAlgorithm::HmacSha256),
            Self::Hmac384 => Some(MacAlgorithm::HmacSha384),
            Self::Hmac512 => Some(MacAlgorithm::HmacSha512),
            _ => None,
        }
    }
}

impl SigningAlgorithm {
    fn is_rsa(self) -> bool {
        matches!(self, Self::PssSha256 | Self::PssSha384 | Self::PssSha512)
            || matches!(self, Self::Pkcs1Sha256 | Self::Pkcs1Sha384 | Self::Pkcs1Sha512)
    }

    /// Checks that the algorithm has this kind of message and that the message has a length of that kind.
    ///
    /// # Errors
    /// [`Refusal::Usage`] where the algorithm does not have the kind, [`Refusal::Length`].
    pub(crate) fn message<'m>(self, kind: MessageKind, message: &'m [u8]) -> Result<Message<'m>, Refusal> {
        match (kind, self) {
            (MessageKind::Raw, Self::Ed25519PhSha512) => Err(Refusal::Usage),
            (MessageKind::Raw, _) => within_bounds(message).map(|()| Message::Raw(message)),
            (MessageKind::Digest, _) => match self.digest_len() {
                Some(length) if message.len() == length => Ok(Message::Digest(message)),
                Some(_) => Err(Refusal::Length),
                None => Err(Refusal::Usage),
            },
            (MessageKind::ExternalMu, Self::MlDsaShake256) => {
                message.try_into().map(Message::ExternalMu).map_err(|_| Refusal::Length)
            }
            (MessageKind::ExternalMu, _) => Err(Refusal::Usage),
        }
    }

    /// Length of the digest that can be given instead of the message, in bytes.
    fn digest_len(self) -> Option<usize> {
        match self {
            Self::PssSha256 | Self::Pkcs1Sha256 | Self::EcdsaSha256 | Self::Sm2Dsa => Some(32),
            Self::PssSha384 | Self::Pkcs1Sha384 | Self::EcdsaSha384 => Some(48),
            Self::PssSha512 | Self::Pkcs1Sha512 | Self::EcdsaSha512 | Self::Ed25519PhSha512 => Some(64),
            Self::Ed25519Sha512 | Self::MlDsaShake256 => None,
        }
    }
}

/// A message in a form that its algorithm has, of a length that it allows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Message<'m> {
    /// The message itself, 1 to 4,096 bytes.
    Raw(&'m [u8]),
    /// Its digest, of the algorithm's length.
    Digest(&'m [u8]),
    /// The representative of FIPS 204.
    ExternalMu(&'m [u8; MU_LEN]),
}

/// A message to sign or to authenticate has 1 to 4,096 bytes.
///
/// # Errors
/// [`Refusal::Length`].
pub(crate) fn within_bounds(message: &[u8]) -> Result<(), Refusal> {
    if (1..=MAX_MESSAGE_LEN).contains(&message.len()) { Ok(()) } else { Err(Refusal::Length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_as_they_are_written_and_nothing_else_does() {
        for spec in Spec::ALL {
            assert_eq!(Spec::parse(spec.name()), Ok(*spec));
        }
        for text in ["", "RSA_1024", "rsa_2048", "RSA_2048 ", "HMAC_SHA_256", "ECC_NIST_P224"] {
            assert_eq!(Spec::parse(text), Err(Refusal::Usage), "{text}");
        }
        assert_eq!(SigningAlgorithm::parse("RSASSA_PKCS1_V1_5_SHA_1"), Err(Refusal::Usage));
        assert_eq!(EncryptionAlgorithm::parse("RSAES_PKCS1_V1_5"), Err(Refusal::Usage));
    }

    /// Attack D17: every spec with every usage, against the table of AWS's developer guide.
    #[test]
    fn specs_allow_their_usages_only() {
        let mut pairs = 0;
        for spec in Spec::ALL {
            for usage in Usage::ALL {
                let name = spec.name();
                let expected = match usage {
                    Usage::EncryptDecrypt => {
                        name == "SYMMETRIC_DEFAULT" || name.starts_with("RSA_") || name == "SM2"
                    }
                    Usage::SignVerify => {
                        ["RSA_", "ECC_", "ML_DSA_"].iter().any(|start| name.starts_with(start))
                            || name == "SM2"
                    }
                    Usage::GenerateVerifyMac => name.starts_with("HMAC_"),
                    Usage::KeyAgreement => name.starts_with("ECC_NIST_P") || name == "SM2",
                    Usage::EncapsulateDecapsulate => name.starts_with("ML_KEM_"),
                };
                assert_eq!(Kind::parse(name, usage.name()).is_ok(), expected, "{name} {}", usage.name());
                pairs += usize::from(expected);
            }
        }
        assert_eq!(pairs, 28);
    }

    /// Attack D17: each kind of key has exactly the algorithms of the developer guide.
    #[test]
    fn kinds_have_their_algorithms_only() {
        let kind = |spec, usage| Kind::parse(spec, usage).unwrap();
        let signs = |kind: Kind| SigningAlgorithm::ALL.iter().filter(|one| kind.signs(**one).is_ok()).count();
        let encrypts =
            |kind: Kind| EncryptionAlgorithm::ALL.iter().filter(|one| kind.encrypts(**one).is_ok()).count();
        for (spec, usage, signing, encryption) in [
            ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", 0, 1),
            ("RSA_2048", "ENCRYPT_DECRYPT", 0, 2),
            ("RSA_2048", "SIGN_VERIFY", 6, 0),
            ("ECC_NIST_P256", "SIGN_VERIFY", 1, 0),
            ("ECC_NIST_P256", "KEY_AGREEMENT", 0, 0),
            ("ECC_SECG_P256K1", "SIGN_VERIFY", 1, 0),
            ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY", 2, 0),
            ("ML_DSA_65", "SIGN_VERIFY", 1, 0),
            ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE", 0, 0),
            ("SM2", "SIGN_VERIFY", 1, 0),
            ("SM2", "ENCRYPT_DECRYPT", 0, 1),
            ("SM2", "KEY_AGREEMENT", 0, 0),
            ("HMAC_256", "GENERATE_VERIFY_MAC", 0, 0),
        ] {
            let kind = kind(spec, usage);
            assert_eq!((signs(kind), encrypts(kind)), (signing, encryption), "{spec} {usage}");
        }
        let hmac = kind("HMAC_384", "GENERATE_VERIFY_MAC");
        for algorithm in MacAlgorithm::ALL {
            assert_eq!(hmac.authenticates(*algorithm).is_ok(), *algorithm == MacAlgorithm::HmacSha384);
        }
    }

    #[test]
    fn messages_have_the_kinds_and_lengths_of_their_algorithm() {
        use MessageKind::{Digest, ExternalMu, Raw};
        let check = |algorithm, kind, length, refusal: Option<Refusal>| {
            let message = vec![7; length];
            let got = SigningAlgorithm::parse(algorithm).unwrap().message(kind, &message);
            assert_eq!(got.err(), refusal, "{algorithm} {kind:?} {length}");
        };
        for algorithm in SigningAlgorithm::ALL {
            let refusal = (*algorithm == SigningAlgorithm::Ed25519PhSha512).then_some(Refusal::Usage);
            check(algorithm.name(), Raw, 1, refusal);
            check(algorithm.name(), Raw, 4096, refusal);
            check(algorithm.name(), Raw, 0, refusal.or(Some(Refusal::Length)));
            check(algorithm.name(), Raw, 4097, refusal.or(Some(Refusal::Length)));
            let refusal = (*algorithm != SigningAlgorithm::MlDsaShake256).then_some(Refusal::Usage);
            check(algorithm.name(), ExternalMu, 64, refusal);
        }
        for length in [0, 63, 65, 4096] {
            check("ML_DSA_SHAKE_256", ExternalMu, length, Some(Refusal::Length));
        }
        for (algorithm, length) in [
            ("RSASSA_PSS_SHA_256", 32),
            ("RSASSA_PKCS1_V1_5_SHA_384", 48),
            ("ECDSA_SHA_512", 64),
            ("ED25519_PH_SHA_512", 64),
            ("SM2DSA", 32),
        ] {
            check(algorithm, Digest, length, None);
            check(algorithm, Digest, length - 1, Some(Refusal::Length));
            check(algorithm, Digest, length + 1, Some(Refusal::Length));
            check(algorithm, Digest, 0, Some(Refusal::Length));
        }
        check("ED25519_SHA_512", Digest, 64, Some(Refusal::Usage));
        check("ML_DSA_SHAKE_256", Digest, 64, Some(Refusal::Usage));
    }
}
