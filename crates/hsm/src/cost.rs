//! What a command is expected to cost, before anything of it is done.
//!
//! The estimate decides where a command is carried out: at once by the thread of its connection, or by a pool's
//! worker; and how much of its connection's share it uses up there. It is a function of the command, the key's spec and
//! the algorithm alone, never of a key or a message, so that where a command runs tells nothing about a secret.
//!
//! The figures are means over one core of a server of 2.5 GHz; only their proportions matter. A spec that the table
//! does not know costs as much as the dearest one, so that a forgotten line makes a command wait its turn, not others.

use claviger_hsm_proto::{Command, RecipientKey, SYMMETRIC_DEFAULT};

/// Dearest command that the thread of a connection carries out itself. What follows on the same connection waits for
/// it, and handing a command over costs about half as much.
const INLINE_MAX: u32 = 20;
/// Dearest command that counts as short. The dearest is a re-encryption from RSA-4096 to RSA-4096, some 3 ms; the
/// cheapest that is long, an RSA-2048 key, takes twenty times that.
const SHORT_MAX: u32 = 20_000;

/// An estimate of a command's cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost(u32);

/// Who carries out a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The thread of its connection, at once.
    Inline,
    /// A worker.
    Short,
    /// A worker of those that step back for all others.
    Long,
}

impl Cost {
    /// Microseconds of one core.
    pub const fn micros(self) -> u32 {
        self.0
    }

    /// Who carries out a command of this cost.
    pub const fn class(self) -> Class {
        if self.0 <= INLINE_MAX {
            Class::Inline
        } else if self.0 <= SHORT_MAX {
            Class::Short
        } else {
            Class::Long
        }
    }
}

/// Microseconds that a key of one spec takes.
struct Costs {
    name: &'static str,
    /// Making it.
    generate: u32,
    /// Reading it from its PKCS #8 or seed, with the checks that go with that. Keys in the cache have been read, but
    /// whether a key is there is not known before it is looked for.
    load: u32,
    /// Using the private part: signing, decrypting, decapsulating.
    private: u32,
    /// Using the public part: verifying, encrypting, encapsulating.
    public: u32,
    /// Agreeing on a secret.
    agree: u32,
}

const fn spec(name: &'static str, generate: u32, load: u32, [private, public, agree]: [u32; 3]) -> Costs {
    Costs { name, generate, load, private, public, agree }
}

/// What a spec costs that is not listed: as the dearest.
const DEAREST: Costs = spec("RSA_4096", 640_000, 496, [1471, 59, 1471]);

/// `KeySpec`, `DataKeyPairSpec` and `WrappingKeySpec` as the API spells them.
const COSTS: &[Costs] = &[
    spec("RSA_2048", 64_000, 175, [245, 16, 245]),
    spec("RSA_3072", 240_000, 310, [704, 34, 704]),
    DEAREST,
    spec("ECC_NIST_P256", 9, 10, [15, 50, 45]),
    spec("ECC_NIST_P384", 51, 51, [83, 196, 141]),
    spec("ECC_NIST_P521", 80, 80, [165, 333, 233]),
    spec("ECC_SECG_P256K1", 45, 40, [34, 52, 60]),
    spec("ECC_NIST_EDWARDS25519", 6, 8, [8, 36, 36]),
    spec("ML_DSA_44", 33, 29, [88, 23, 88]),
    spec("ML_DSA_65", 60, 50, [127, 37, 127]),
    spec("ML_DSA_87", 88, 82, [154, 57, 154]),
    spec("ML_KEM_512", 11, 11, [10, 11, 10]),
    spec("ML_KEM_768", 13, 13, [16, 14, 16]),
    spec("ML_KEM_1024", 18, 18, [23, 19, 23]),
    spec("SM2", 95, 95, [196, 190, 190]),
];

/// Enveloping an answer to a recipient: reading an RSA key, and encrypting to it with OAEP.
const ENVELOPE: u32 = 80;
/// A new domain key: the seal's two copies are made durable.
const ROTATION: u32 = 10_000;
/// Whatever takes a few microseconds at most: AES, HMAC, random bytes, looking at the cache.
const CHEAP: u32 = 2;

/// Estimates a command's cost.
pub fn cost(command: &Command<'_>) -> Cost {
    Cost(match command {
        Command::Hello { .. }
        | Command::CreateCredential { .. }
        | Command::SigningKey { .. }
        | Command::Evict { .. }
        | Command::HostKey { .. }
        | Command::Rewrap { .. }
        | Command::GenerateMac { .. }
        | Command::VerifyMac { .. }
        | Command::TransferOut { .. } => CHEAP,
        Command::Encrypt { key, algorithm, .. } => encrypt(key.binding.spec, algorithm),
        Command::Decrypt { key, algorithm, recipient, .. } => {
            decrypt(key.binding.spec, algorithm).saturating_add(envelope(*recipient))
        }
        Command::ReEncrypt { source, destination, source_algorithm, destination_algorithm, .. } => {
            decrypt(source.binding.spec, source_algorithm)
                .saturating_add(encrypt(destination.binding.spec, destination_algorithm))
        }
        Command::GenerateDataKey { recipient, .. } | Command::GenerateRandom { recipient, .. } => {
            CHEAP.saturating_add(envelope(*recipient))
        }
        Command::CreateKey { binding } => generate(binding.spec),
        Command::RotateDomainKey { .. } => ROTATION,
        Command::Sign { key, .. } => {
            // Verified before it leaves.
            let Costs { load, private, public, .. } = find(key.binding.spec);
            load + private + public
        }
        Command::Verify { key, .. } | Command::Encapsulate { key } => {
            let Costs { load, public, .. } = find(key.binding.spec);
            load + public
        }
        Command::Decapsulate { key, .. } => {
            let Costs { load, private, .. } = find(key.binding.spec);
            load + private
        }
        Command::DeriveSharedSecret { key, recipient, .. } => {
            let Costs { load, agree, .. } = find(key.binding.spec);
            (load + agree).saturating_add(envelope(*recipient))
        }
        Command::GenerateDataKeyPair { pair, recipient, .. } => {
            generate(pair).saturating_add(envelope(*recipient))
        }
        Command::ImportParameters { terms, .. } => generate(terms.wrapping_key),
        Command::ImportKey { binding, terms, .. } => {
            let Costs { load, private, .. } = find(terms.wrapping_key);
            (load + private).saturating_add(take_in(binding.spec)).saturating_add(prove(binding.spec))
        }
        Command::TransferIn { binding, .. } => take_in(binding.spec),
    })
}

fn encrypt(name: &str, algorithm: &str) -> u32 {
    if algorithm == SYMMETRIC_DEFAULT {
        return CHEAP;
    }
    let Costs { load, public, .. } = find(name);
    load + public
}

fn decrypt(name: &str, algorithm: &str) -> u32 {
    if algorithm == SYMMETRIC_DEFAULT {
        return CHEAP;
    }
    let Costs { load, private, .. } = find(name);
    load + private
}

fn generate(name: &str) -> u32 {
    if is_symmetric(name) { CHEAP } else { find(name).generate }
}

/// Checking material that was made elsewhere.
fn take_in(name: &str) -> u32 {
    if is_symmetric(name) { CHEAP } else { find(name).load }
}

/// Testing whether an RSA key's factors are primes: 64 rounds for each, which take about as long as 128 signatures, as AWS-LC
/// squares as often again after each exponentiation.
fn prove(name: &str) -> u32 {
    let costs = find(name);
    if costs.name.starts_with("RSA_") && !is_symmetric(name) { costs.private.saturating_mul(128) } else { 0 }
}

fn is_symmetric(name: &str) -> bool {
    name == SYMMETRIC_DEFAULT || matches!(name, "HMAC_224" | "HMAC_256" | "HMAC_384" | "HMAC_512")
}

fn envelope(recipient: Option<RecipientKey<'_>>) -> u32 {
    if recipient.is_some() { ENVELOPE } else { 0 }
}

fn find(name: &str) -> &'static Costs {
    COSTS.iter().find(|costs| costs.name == name).unwrap_or(&DEAREST)
}

#[cfg(test)]
mod tests {
    use claviger_hsm_proto::{
        Binding, CredentialBinding, HostKeyLabel, ImportTerms, MaterialId, MessageKind, VERSION,
        WrappedCredential, WrappedKey,
    };

    use super::*;
    use crate::algorithms::{Named, Spec};

    const RECIPIENT: Option<RecipientKey<'static>> = Some(RecipientKey(b""));

    fn binding(spec: &str) -> Binding<'_> {
        Binding { account: "", region: "", key_id: "", spec, usage: "" }
    }

    fn key(spec: &str) -> WrappedKey<'_> {
        WrappedKey { binding: binding(spec), material: MaterialId([0; 32]), token: &[] }
    }

    fn sign(spec: &str) -> Command<'_> {
        Command::Sign { key: key(spec), algorithm: "", kind: MessageKind::Raw, message: &[] }
    }

    fn verify(spec: &str) -> Command<'_> {
        Command::Verify {
            key: key(spec),
            algorithm: "",
            kind: MessageKind::Raw,
            message: &[],
            signature: &[],
        }
    }

    fn encrypt<'a>(spec: &'a str, algorithm: &'a str) -> Command<'a> {
        Command::Encrypt { key: key(spec), context: &[], plaintext: &[], algorithm }
    }

    fn decrypt<'a>(spec: &'a str, algorithm: &'a str, recipient: Option<RecipientKey<'a>>) -> Command<'a> {
        Command::Decrypt { key: key(spec), context: &[], blob: &[], algorithm, recipient }
    }

    fn re_encrypt<'a>(from: [&'a str; 2], to: [&'a str; 2]) -> Command<'a> {
        let ([source, source_algorithm], [destination, destination_algorithm]) = (from, to);
        Command::ReEncrypt {
            source: key(source),
            source_context: &[],
            blob: &[],
            destination: key(destination),
            destination_context: &[],
            source_algorithm,
            destination_algorithm,
        }
    }

    fn pair<'a>(pair: &'a str, recipient: Option<RecipientKey<'a>>) -> Command<'a> {
        Command::GenerateDataKeyPair {
            key: key(SYMMETRIC_DEFAULT),
            context: &[],
            pair,
            disclose: true,
            recipient,
        }
    }

    fn terms(wrapping_key: &str) -> ImportTerms<'_> {
        ImportTerms { wrapping_key, algorithm: "RSAES_OAEP_SHA_256", valid_to_ms: 0 }
    }

    fn transfer_in(spec: &str) -> Command<'_> {
        let material = MaterialId([0; 32]);
        Command::TransferIn { binding: binding(spec), from: "", material, package: &[] }
    }

    fn check(class: Class, commands: &[Command<'_>]) {
        for command in commands {
            assert_eq!(cost(command).class(), class, "{command:?} {:?}", cost(command));
        }
    }

    /// All of these were carried out by the connection's thread before there was a pool.
    #[test]
    fn what_is_cheap_stays_with_its_connection() {
        let (aes, credential) = (SYMMETRIC_DEFAULT, CredentialBinding { account: "", access_key_id: "" });
        check(
            Class::Inline,
            &[
                Command::Hello { version: VERSION },
                Command::CreateKey { binding: binding(aes) },
                Command::CreateKey { binding: binding("HMAC_512") },
                encrypt(aes, aes),
                decrypt(aes, aes, None),
                re_encrypt([aes, aes], [aes, aes]),
                Command::GenerateDataKey {
                    key: key(aes),
                    context: &[],
                    length: 1024,
                    disclose: true,
                    recipient: None,
                },
                Command::GenerateRandom { length: 1024, recipient: None },
                Command::CreateCredential { binding: credential, secret: None },
                Command::SigningKey {
                    credential: WrappedCredential { binding: credential, token: &[] },
                    date: "",
                    region: "",
                    service: "",
                },
                Command::Evict { materials: Vec::new() },
                Command::HostKey { label: HostKeyLabel::Records },
                Command::Rewrap { key: key("RSA_4096") },
                Command::GenerateMac { key: key("HMAC_512"), algorithm: "HMAC_SHA_512", message: &[] },
                Command::VerifyMac {
                    key: key("HMAC_512"),
                    algorithm: "HMAC_SHA_512",
                    message: &[],
                    mac: &[],
                },
                Command::CreateKey { binding: binding("ECC_NIST_P256") },
                Command::TransferOut { key: key("RSA_4096"), domain: [0; 16], region: "" },
                transfer_in("HMAC_256"),
            ],
        );
    }

    #[test]
    fn private_keys_at_work_are_short() {
        let oaep = "RSAES_OAEP_SHA_256";
        let recipient = RECIPIENT;
        for spec in COSTS.iter().filter(|spec| !spec.name.starts_with("ML_KEM")) {
            check(Class::Short, &[sign(spec.name), verify(spec.name)]);
        }
        check(
            Class::Short,
            &[
                encrypt("RSA_2048", oaep),
                decrypt("RSA_4096", oaep, RECIPIENT),
                decrypt(SYMMETRIC_DEFAULT, SYMMETRIC_DEFAULT, RECIPIENT),
                re_encrypt(["RSA_4096", oaep], ["RSA_4096", oaep]),
                re_encrypt(["RSA_2048", oaep], [SYMMETRIC_DEFAULT, SYMMETRIC_DEFAULT]),
                re_encrypt([SYMMETRIC_DEFAULT, SYMMETRIC_DEFAULT], ["SM2", "SM2PKE"]),
                Command::GenerateRandom { length: 1, recipient },
                Command::GenerateDataKey {
                    key: key(SYMMETRIC_DEFAULT),
                    context: &[],
                    length: 1,
                    disclose: true,
                    recipient,
                },
                Command::DeriveSharedSecret { key: key("ECC_NIST_P256"), peer: &[], recipient: None },
                Command::Encapsulate { key: key("ML_KEM_1024") },
                Command::Decapsulate { key: key("ML_KEM_768"), ciphertext: &[] },
                Command::CreateKey { binding: binding("ECC_NIST_P521") },
                pair("ECC_NIST_P384", None),
                pair("ECC_NIST_P256", RECIPIENT),
                Command::ImportKey {
                    binding: binding("SYMMETRIC_DEFAULT"),
                    terms: terms("RSA_4096"),
                    token: &[],
                    material: &[],
                },
                transfer_in("RSA_4096"),
                transfer_in("ML_DSA_87"),
                Command::RotateDomainKey { newest: 1 },
            ],
        );
    }

    #[test]
    fn rsa_keys_are_long_work_and_so_is_what_nobody_knows() {
        for spec in ["RSA_2048", "RSA_3072", "RSA_4096", "RSA_8192", "", "ecc_nist_p256"] {
            check(
                Class::Long,
                &[
                    Command::CreateKey { binding: binding(spec) },
                    pair(spec, None),
                    Command::ImportParameters { binding: binding(SYMMETRIC_DEFAULT), terms: terms(spec) },
                    Command::ImportKey {
                        binding: binding(spec),
                        terms: terms("RSA_2048"),
                        token: &[],
                        material: &[],
                    },
                ],
            );
        }
        assert_eq!(cost(&sign("RSA_8192")), cost(&sign("RSA_4096")));
        assert_eq!(cost(&encrypt("RSA_2048", "anything")), cost(&encrypt("RSA_2048", "RSAES_OAEP_SHA_1")));
    }

    #[test]
    fn every_spec_has_its_line() {
        for name in Spec::ALL.iter().map(|spec| spec.name()) {
            let lines = COSTS.iter().filter(|costs| costs.name == name).count();
            assert_eq!(lines, usize::from(!is_symmetric(name)), "{name}");
        }
    }

    #[test]
    fn no_spec_is_dearer_than_what_is_assumed_of_unknown_ones() {
        for spec in COSTS {
            let dearest = [DEAREST.generate, DEAREST.load, DEAREST.private + DEAREST.public, DEAREST.agree];
            let costs = [spec.generate, spec.load, spec.private + spec.public, spec.agree];
            assert!(costs.iter().zip(dearest).all(|(cost, most)| *cost <= most), "{}", spec.name);
        }
    }
}
