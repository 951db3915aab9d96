//! Each family: what is made can be taken in again, signs, verifies, encrypts; what is not sound is refused.

use std::sync::OnceLock;

use claviger_hsm_proto::MessageKind;
use der::Encode;
use der::asn1::{BitStringRef, OctetStringRef};
use pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfo};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use sec1::EcPrivateKey;

use super::*;
use crate::random::SystemEntropy;

mod import;

fn entropy() -> Entropy {
    Entropy::new(Box::new(SystemEntropy::default())).unwrap()
}

/// A key of this spec, the same for all tests: some take long to make.
pub(crate) fn key_of(spec: Spec) -> &'static Material {
    static MADE: [OnceLock<Material>; Spec::ALL.len()] = [const { OnceLock::new() }; Spec::ALL.len()];
    let at = Spec::ALL.iter().position(|one| *one == spec).unwrap();
    MADE[at].get_or_init(|| generate(spec, &entropy()).unwrap())
}

fn kind(spec: Spec) -> Kind {
    let usage = Usage::ALL.iter().find_map(|usage| Kind::new(spec, *usage).ok());
    usage.unwrap()
}

fn signing_key(spec: &str, material: &Material) -> Box<dyn Signing> {
    match PrivateKey::parse(Kind::parse(spec, "SIGN_VERIFY").unwrap(), &material.private).unwrap() {
        PrivateKey::Signing(key) => key,
        _ => panic!("{spec} does not sign"),
    }
}

/// The curve of a key spec.
fn curve(spec: &str) -> ObjectIdentifier {
    let name = match spec {
        "ECC_NIST_P256" => "1.2.840.10045.3.1.7",
        "ECC_NIST_P384" => "1.3.132.0.34",
        "ECC_NIST_P521" => "1.3.132.0.35",
        "ECC_SECG_P256K1" => "1.3.132.0.10",
        "SM2" => "1.2.156.10197.1.301",
        other => panic!("{other} has no curve"),
    };
    ObjectIdentifier::new_unwrap(name)
}

fn ec_algorithm(curve: &ObjectIdentifier) -> AlgorithmIdentifierRef<'_> {
    let oid = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    AlgorithmIdentifierRef { oid, parameters: Some(curve.into()) }
}

/// A scalar as a PKCS #8 key, without a public key.
pub(crate) fn ec_private(spec: &str, scalar: &[u8]) -> Vec<u8> {
    let inner = EcPrivateKey { private_key: scalar, parameters: None, public_key: None }.to_der().unwrap();
    let inner = OctetStringRef::new(&inner).unwrap();
    PrivateKeyInfoRef::new(ec_algorithm(&curve(spec)), inner).to_der().unwrap()
}

/// A point as a SubjectPublicKeyInfo.
pub(crate) fn ec_public(spec: &str, point: &[u8]) -> Vec<u8> {
    let curve = curve(spec);
    let subject_public_key = BitStringRef::from_bytes(point).unwrap();
    SubjectPublicKeyInfo { algorithm: ec_algorithm(&curve), subject_public_key }.to_der().unwrap()
}

/// A seed of ML-DSA or ML-KEM as a PKCS #8 key.
pub(crate) fn seed_private(spec: &str, seed: &[u8]) -> Vec<u8> {
    let name = match spec {
        "ML_DSA_44" => "2.16.840.1.101.3.4.3.17",
        "ML_DSA_65" => "2.16.840.1.101.3.4.3.18",
        "ML_DSA_87" => "2.16.840.1.101.3.4.3.19",
        "ML_KEM_512" => "2.16.840.1.101.3.4.4.1",
        "ML_KEM_768" => "2.16.840.1.101.3.4.4.2",
        "ML_KEM_1024" => "2.16.840.1.101.3.4.4.3",
        other => panic!("{other} has no seed"),
    };
    encoding::write_seed(ObjectIdentifier::new_unwrap(name), seed).unwrap().to_vec()
}

/// What is made is in the form that is stored: taking it in changes nothing, and gives the same public key.
#[test]
fn what_is_made_can_be_taken_in_again() {
    for spec in Spec::ALL {
        let made = key_of(*spec);
        let given = match spec.name() {
            name if name.starts_with("ML_") => seed_private(name, &made.private),
            _ => made.private.to_vec(),
        };
        let usage = kind(*spec).usage.name();
        let taken = import(spec.name(), usage, &given).unwrap_or_else(|_| panic!("{}", spec.name()));
        assert_eq!(*taken.private, *made.private, "{}", spec.name());
        assert_eq!(taken.public, made.public, "{}", spec.name());
        let is_secret =
            matches!(kind(*spec).usage, Usage::GenerateVerifyMac) || *spec == Spec::SymmetricDefault;
        assert_eq!(made.public.is_none(), is_secret, "{}", spec.name());
    }
}

/// Lengths of NIST's and AWS's documents: public keys in SubjectPublicKeyInfo, and what is stored.
#[test]
fn lengths() {
    for (spec, stored, public) in [
        ("SYMMETRIC_DEFAULT", Some(32), None),
        ("HMAC_224", Some(28), None),
        ("HMAC_256", Some(32), None),
        ("HMAC_384", Some(48), None),
        ("HMAC_512", Some(64), None),
        ("RSA_2048", None, Some(294)),
        ("RSA_3072", None, Some(422)),
        ("RSA_4096", None, Some(550)),
        ("ECC_NIST_P256", None, Some(91)),
        ("ECC_NIST_P384", None, Some(120)),
        ("ECC_NIST_P521", None, Some(158)),
        ("ECC_SECG_P256K1", None, Some(88)),
        ("ECC_NIST_EDWARDS25519", None, Some(44)),
        ("ML_DSA_44", Some(32), Some(1334)),
        ("ML_DSA_65", Some(32), Some(1974)),
        ("ML_DSA_87", Some(32), Some(2614)),
        ("ML_KEM_512", Some(64), Some(822)),
        ("ML_KEM_768", Some(64), Some(1206)),
        ("ML_KEM_1024", Some(64), Some(1590)),
        ("SM2", None, Some(91)),
    ] {
        let made = key_of(Spec::parse(spec).unwrap());
        assert!(stored.is_none_or(|length: usize| made.private.len() == length), "{spec}");
        assert!(made.private.len() <= MAX_MATERIAL_LEN, "{spec}");
        assert_eq!(made.public.as_ref().map(Vec::len), public, "{spec}");
    }
}

#[test]
fn signatures_verify_and_nothing_else_does() {
    let messages = [MessageKind::Raw, MessageKind::Digest, MessageKind::ExternalMu];
    let mut checked = 0;
    for spec in Spec::ALL {
        let Ok(kind) = Kind::new(*spec, Usage::SignVerify) else { continue };
        let made = key_of(*spec);
        let key = signing_key(spec.name(), made);
        let public = verifying(*spec, made.public.as_ref().unwrap()).unwrap();
        // Another RSA key of any size is as good as another, and quick to make.
        let other_spec = if spec.name().starts_with("RSA_") { Spec::Rsa2048 } else { *spec };
        let other = verifying(*spec, &generate(other_spec, &entropy()).unwrap().public.unwrap()).unwrap();
        for algorithm in SigningAlgorithm::ALL.iter().filter(|one| kind.signs(**one).is_ok()) {
            for message_kind in messages {
                let input = (0..=64).rev().map(|length| vec![7_u8; length]);
                let Some(input) =
                    input.into_iter().find(|text| algorithm.message(message_kind, text).is_ok())
                else {
                    continue;
                };
                let message = algorithm.message(message_kind, &input).unwrap();
                let signature = sign(&*key, *algorithm, message, &entropy()).unwrap();
                let name = format!("{} {} {message_kind:?}", spec.name(), algorithm.name());
                assert!(public.verify(*algorithm, message, &signature), "{name}");
                assert!(!other.verify(*algorithm, message, &signature), "{name}");
                let mut changed = input.clone();
                changed[0] ^= 1;
                let changed = algorithm.message(message_kind, &changed).unwrap();
                assert!(!public.verify(*algorithm, changed, &signature), "{name}");
                for wrong in [0, signature.len() / 2, signature.len() - 1] {
                    let mut flipped = signature.clone();
                    flipped[wrong] ^= 1;
                    assert!(!public.verify(*algorithm, message, &flipped), "{name}: byte {wrong}");
                    assert!(
                        !public.verify(*algorithm, message, &signature[..wrong]),
                        "{name}: {wrong} bytes"
                    );
                }
                assert!(!public.verify(*algorithm, message, &[&signature[..], &[0]].concat()), "{name}");
                checked += 1;
            }
        }
    }
    // RSA 3 * 6 * 2, four curves and SM2 twice, Ed25519 two, ML-DSA 3 * 2.
    assert_eq!(checked, 36 + 10 + 2 + 6);
}

/// What a caller does who hashes himself: SHA-2 of the message, signed as a digest, verifies as the message.
#[test]
fn a_digest_stands_for_its_message() {
    use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
    for (spec, algorithm, hash) in [
        ("RSA_2048", "RSASSA_PSS_SHA_384", &SHA384),
        ("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512", &SHA512),
        ("ECC_NIST_P256", "ECDSA_SHA_256", &SHA256),
        ("ECC_NIST_P384", "ECDSA_SHA_384", &SHA384),
        ("ECC_NIST_P521", "ECDSA_SHA_512", &SHA512),
        ("ECC_SECG_P256K1", "ECDSA_SHA_256", &SHA256),
    ] {
        let made = key_of(Spec::parse(spec).unwrap());
        let key = signing_key(spec, made);
        let algorithm = SigningAlgorithm::parse(algorithm).unwrap();
        let hashed = digest(hash, b"message");
        let signature = sign(&*key, algorithm, Message::Digest(hashed.as_ref()), &entropy()).unwrap();
        assert!(key.public().verify(algorithm, Message::Raw(b"message"), &signature), "{spec}");
    }
}

/// ECDSA has two signatures of each kind, `s` and `n - s` (FIPS 186-5): both verify, on every curve.
#[test]
fn both_values_of_s_verify() {
    use k256::ecdsa::Signature;
    let made = key_of(Spec::EccSecgP256k1);
    let key = signing_key("ECC_SECG_P256K1", made);
    let algorithm = SigningAlgorithm::EcdsaSha256;
    let signature = sign(&*key, algorithm, Message::Raw(b"m"), &entropy()).unwrap();
    let low = Signature::from_der(&signature).unwrap();
    assert_eq!(low.normalize_s(), low);
    let high = Signature::from_scalars(low.r().to_bytes(), (-*low.s()).to_bytes()).unwrap();
    assert_ne!(high, low);
    assert!(key.public().verify(algorithm, Message::Raw(b"m"), high.to_der().as_bytes()));
}

/// A key whose signatures are wrong: what a fault would do.
struct Faulty(Box<dyn Signing>);

impl Signing for Faulty {
    fn sign(
        &self,
        algorithm: SigningAlgorithm,
        message: Message<'_>,
        entropy: &Entropy,
    ) -> Result<Vec<u8>, Refusal> {
        let mut signature = self.0.sign(algorithm, message, entropy)?;
        let last = signature.len() - 1;
        signature[last] ^= 1;
        Ok(signature)
    }

    fn public(&self) -> &dyn Verifying {
        self.0.public()
    }
}

#[test]
fn a_wrong_signature_does_not_leave() {
    for (spec, algorithm) in [
        ("RSA_2048", SigningAlgorithm::PssSha256),
        ("ECC_NIST_P256", SigningAlgorithm::EcdsaSha256),
        ("ECC_NIST_EDWARDS25519", SigningAlgorithm::Ed25519Sha512),
        ("ML_DSA_44", SigningAlgorithm::MlDsaShake256),
    ] {
        let made = key_of(Spec::parse(spec).unwrap());
        let key = Faulty(signing_key(spec, made));
        assert_eq!(sign(&key, algorithm, Message::Raw(b"m"), &entropy()), Err(Refusal::Internal), "{spec}");
    }
}

/// RFC 8032 section 7.3: Ed25519ph of `abc`. KMS hashes what it is given, so what is given here is `abc` itself; that
/// it is not 64 bytes long is checked before, by [`SigningAlgorithm::message`].
#[test]
fn ed25519ph_has_the_answer_of_rfc_8032() {
    let seed = hex("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42");
    let pkcs8 = [&hex("302e020100300506032b657004220420")[..], &seed].concat();
    let made = import("ECC_NIST_EDWARDS25519", "SIGN_VERIFY", &pkcs8).unwrap();
    let key = signing_key("ECC_NIST_EDWARDS25519", &made);
    let signature =
        sign(&*key, SigningAlgorithm::Ed25519PhSha512, Message::Digest(b"abc"), &entropy()).unwrap();
    let expected = hex(concat!(
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41",
        "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
    ));
    assert_eq!(signature, expected);
    assert!(!key.public().verify(SigningAlgorithm::Ed25519Sha512, Message::Raw(b"abc"), &signature));
}

fn encryption_key(spec: &str, material: &Material) -> Box<dyn Encryption> {
    match PrivateKey::parse(Kind::parse(spec, "ENCRYPT_DECRYPT").unwrap(), &material.private).unwrap() {
        PrivateKey::Encryption(key) => key,
        _ => panic!("{spec} does not encrypt"),
    }
}

/// The largest plaintexts of "RSA key specs" and "SM2 key spec" in AWS's developer guide.
#[test]
fn encryption_opens_and_is_bounded() {
    for (spec, algorithm, largest, ciphertext_len) in [
        ("RSA_2048", "RSAES_OAEP_SHA_1", 214, Some(256)),
        ("RSA_2048", "RSAES_OAEP_SHA_256", 190, Some(256)),
        ("RSA_3072", "RSAES_OAEP_SHA_1", 342, Some(384)),
        ("RSA_3072", "RSAES_OAEP_SHA_256", 318, Some(384)),
        ("RSA_4096", "RSAES_OAEP_SHA_1", 470, Some(512)),
        ("RSA_4096", "RSAES_OAEP_SHA_256", 446, Some(512)),
        ("SM2", "SM2PKE", 1024, None),
    ] {
        let made = key_of(Spec::parse(spec).unwrap());
        let key = encryption_key(spec, made);
        let algorithm = EncryptionAlgorithm::parse(algorithm).unwrap();
        let (mut sealed, mut opened) = (Vec::new(), Vec::new());
        for length in [1, largest] {
            key.encrypt(algorithm, &vec![7; length], &entropy(), &mut sealed).unwrap();
            assert!(ciphertext_len.is_none_or(|expected| sealed.len() == expected));
            key.decrypt(algorithm, &sealed, &mut opened).unwrap();
            assert_eq!(opened, vec![7; length], "{spec}");
        }
        let too_long = key.encrypt(algorithm, &vec![7; largest + 1], &entropy(), &mut Vec::new());
        assert_eq!(too_long, Err(Refusal::Length), "{spec}");
        for at in [0, sealed.len() / 2, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            for wrong in [&changed[..], &sealed[..at], &[&sealed[..], &[0]].concat()] {
                assert_eq!(key.decrypt(algorithm, wrong, &mut opened), Err(Refusal::Ciphertext), "{spec}");
            }
        }
    }
}

#[test]
fn the_two_hashes_of_oaep_are_kept_apart() {
    let made = key_of(Spec::Rsa2048);
    let key = encryption_key("RSA_2048", made);
    let (mut sealed, mut opened) = (Vec::new(), Vec::new());
    key.encrypt(EncryptionAlgorithm::OaepSha1, b"p", &entropy(), &mut sealed).unwrap();
    let other = key.decrypt(EncryptionAlgorithm::OaepSha256, &sealed, &mut opened);
    assert_eq!(other, Err(Refusal::Ciphertext));
}

#[test]
fn agreement_is_mutual_and_keeps_to_its_curve() {
    let key = |spec: &str| {
        let made = generate(Spec::parse(spec).unwrap(), &entropy()).unwrap();
        let kind = Kind::parse(spec, "KEY_AGREEMENT").unwrap();
        match PrivateKey::parse(kind, &made.private).unwrap() {
            PrivateKey::Agreement(key) => (key, made.public.unwrap()),
            _ => panic!("{spec} does not agree"),
        }
    };
    let specs = [("ECC_NIST_P256", 32), ("ECC_NIST_P384", 48), ("ECC_NIST_P521", 66), ("SM2", 32)];
    for (spec, length) in specs {
        let ((one, one_public), (other, other_public)) = (key(spec), key(spec));
        let (mut left, mut right) = (Vec::new(), Vec::new());
        one.agree(&other_public, &mut left).unwrap();
        other.agree(&one_public, &mut right).unwrap();
        assert_eq!((left.len(), &left), (length, &right));
        for (elsewhere, _) in specs.iter().filter(|(name, _)| *name != spec) {
            let refused = one.agree(&key(elsewhere).1, &mut left);
            assert_eq!(refused, Err(Refusal::PublicKey), "{spec} with {elsewhere}");
        }
        let point = &other_public[other_public.len() - 2 * length - 1..];
        let mut off_curve = other_public.clone();
        *off_curve.last_mut().unwrap() ^= 1;
        let infinite = [&other_public[..other_public.len() - point.len()], &[0]].concat();
        for wrong in [point, &off_curve, &infinite, &[], &[&other_public[..], &[0]].concat()] {
            assert_eq!(one.agree(wrong, &mut left), Err(Refusal::PublicKey), "{spec}");
        }
        assert_eq!(left.len(), length, "a refusal appends nothing");
    }
}

/// The secret shared with the curve's generator (GB/T 32918.5) is the x-coordinate of the key's own point, whether the
/// peer's point comes whole or compressed.
#[test]
fn agreement_with_the_generator_of_sm2_gives_the_keys_own_x() {
    let x = hex("32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7");
    let y = hex("bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0");
    let made = generate(Spec::Sm2, &entropy()).unwrap();
    let public = made.public.unwrap();
    let kind = Kind::parse("SM2", "KEY_AGREEMENT").unwrap();
    let PrivateKey::Agreement(key) = PrivateKey::parse(kind, &made.private).unwrap() else {
        panic!("SM2 does not agree")
    };
    for point in [[&[4][..], &x, &y].concat(), [&[2][..], &x].concat()] {
        let mut secret = Vec::new();
        key.agree(&ec_public("SM2", &point), &mut secret).unwrap();
        assert_eq!(secret, public[public.len() - 64..public.len() - 32]);
    }
}

#[test]
fn encapsulated_secrets_open_and_altered_ones_give_another() {
    for (spec, length) in [(Spec::MlKem512, 768), (Spec::MlKem768, 1088), (Spec::MlKem1024, 1568)] {
        let made = generate(spec, &entropy()).unwrap();
        let PrivateKey::Encapsulation(key) = PrivateKey::parse(kind(spec), &made.private).unwrap() else {
            panic!("{} does not encapsulate", spec.name())
        };
        let open = |ciphertext: &[u8]| {
            let mut secret = Vec::new();
            key.decapsulate(ciphertext, &mut secret).map(|()| secret)
        };
        let (mut secret, mut ciphertext) = (Vec::new(), Vec::new());
        key.encapsulate(&mut secret, &mut ciphertext).unwrap();
        assert_eq!((secret.len(), ciphertext.len()), (32, length));
        assert_eq!(open(&ciphertext), Ok(secret.clone()));
        assert_eq!(open(&ciphertext[1..]), Err(Refusal::Ciphertext));
        assert_eq!(open(&[&ciphertext[..], &[0]].concat()), Err(Refusal::Ciphertext));
        ciphertext[0] ^= 1;
        let other = open(&ciphertext).unwrap();
        assert_eq!((other.len(), other == secret, open(&ciphertext)), (32, false, Ok(other.clone())));
    }
}

/// RFC 4231 section 4.2.
#[test]
fn hmac_has_the_answers_of_rfc_4231() {
    let (key, message) = ([0x0b; 20], b"Hi There");
    for (algorithm, expected) in [
        (MacAlgorithm::HmacSha224, "896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22"),
        (MacAlgorithm::HmacSha256, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (
            MacAlgorithm::HmacSha384,
            "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
        ),
        (
            MacAlgorithm::HmacSha512,
            concat!(
                "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde",
                "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"
            ),
        ),
    ] {
        let expected = hex(expected);
        let mut code = Vec::new();
        generate_mac(algorithm, &key, message, &mut code);
        assert_eq!(code, expected);
        assert!(verify_mac(algorithm, &key, message, &code));
        assert!(!verify_mac(algorithm, &key, b"Hi there", &code));
        for length in 0..code.len() {
            assert!(!verify_mac(algorithm, &key, message, &code[..length]), "{length} bytes");
        }
        assert!(!verify_mac(algorithm, &key, message, &[&code[..], &[0]].concat()));
    }
}

/// GB/T 32918.2 section 5.5: what is signed is the digest of `Z` and the message, and `Z` that of id, curve and key.
#[test]
fn sm2_digests_are_those_with_the_default_id() {
    use sm3::Digest;
    let made = generate(Spec::Sm2, &entropy()).unwrap();
    let key = signing_key("SM2", &made);
    let public = made.public.unwrap();
    let point = &public[public.len() - 64..];
    // a, b and the base point of GM/T 0003.5.
    let curve = hex(concat!(
        "fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc",
        "28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93",
        "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7",
        "bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"
    ));
    let z = sm3::Sm3::digest([&[0, 128], &b"1234567812345678"[..], &curve, point].concat());
    let digest = sm3::Sm3::digest([&z[..], b"message"].concat());
    let signature = sign(&*key, SigningAlgorithm::Sm2Dsa, Message::Digest(&digest), &entropy()).unwrap();
    assert!(key.public().verify(SigningAlgorithm::Sm2Dsa, Message::Raw(b"message"), &signature));
}

/// GB/T 32918.5 annex C: what was encrypted to the key of annex A, in the DER of GM/T 0009.
#[test]
fn sm2_opens_the_example_of_its_standard() {
    let scalar = hex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8");
    let made = import("SM2", "ENCRYPT_DECRYPT", &ec_private("SM2", &scalar)).unwrap();
    let ciphertext = hex(concat!(
        "307c",
        "022004ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73",
        "022100e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0",
        "042059983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766",
        "041321886ca989ca9c7d58087307ca93092d651efa"
    ));
    let mut opened = Vec::new();
    encryption_key("SM2", &made).decrypt(EncryptionAlgorithm::Sm2Pke, &ciphertext, &mut opened).unwrap();
    assert_eq!(opened, b"encryption standard");
}

/// Attack D7: what a library makes with its own generator is stopped by ours too.
#[test]
fn a_broken_generator_makes_and_signs_nothing() {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    let broken = |then| {
        let good = Arc::new(AtomicUsize::new(1));
        Entropy::new(Box::new(crate::random::tests::Breaking { good, then })).unwrap()
    };
    for spec in Spec::ALL {
        assert_eq!(generate(*spec, &broken(None)).err(), Some(Refusal::Randomness), "{}", spec.name());
        let stuck = broken(Some(0));
        stuck.check().err();
        assert_eq!(generate(*spec, &stuck).err(), Some(Refusal::Randomness), "{}", spec.name());
    }
    let made = generate(Spec::EccNistP256, &entropy()).unwrap();
    let key = signing_key("ECC_NIST_P256", &made);
    let signed = sign(&*key, SigningAlgorithm::EcdsaSha256, Message::Raw(b"m"), &broken(None));
    assert_eq!(signed, Err(Refusal::Randomness));
}

/// Stored material of another kind does not become a key.
#[test]
fn material_of_another_spec_does_not_parse() {
    for spec in Spec::ALL {
        for usage in Usage::ALL {
            let Ok(kind) = Kind::new(*spec, *usage) else { continue };
            for wrong in [&[][..], &[7; 31], &[7; 33], &[0x30, 0x00], &[0xff; 200]] {
                assert!(PrivateKey::parse(kind, wrong).is_err(), "{} {}", spec.name(), usage.name());
            }
        }
    }
}

fn hex(digits: &str) -> Vec<u8> {
    let nibble = |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap();
    digits.as_bytes().chunks(2).map(|pair| nibble(pair[0]) * 16 + nibble(pair[1])).collect()
}
