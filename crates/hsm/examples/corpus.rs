//! Makes the corpus of a release: a seal, and wrapped keys, ciphertexts, signatures and tokens of its domain, each with what
//! it must give. Every later release must read it (`tests/corpus.rs`). Run once for each release, in a new folder:
//! `cargo run -p claviger-hsm --example corpus -- crates/hsm/tests/corpus/<version>`.
//!
//! The domain guards nothing: its keys lie open beside what they wrap.

#![expect(clippy::print_stdout, reason = "a program that says what it has made")]

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey,
};
use claviger_hsm::seal::file::FileSeal;
use claviger_hsm::{Engine, Session, SystemEntropy, create_domain};
use claviger_hsm_proto::{
    Binding, Command, CredentialBinding, HostKeyLabel, ImportTerms, MaterialId, MessageKind, Reply, VERSION,
    WrappedCredential, WrappedKey, encode_context,
};

use pkcs8::DecodePublicKey;
use sm2::elliptic_curve::rand_core::{TryCryptoRng, TryRng};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Every spec and usage, with the algorithms to use it with.
const KINDS: &[(&str, &str, &[&str])] = &[
    ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", &["SYMMETRIC_DEFAULT"]),
    ("HMAC_224", "GENERATE_VERIFY_MAC", &["HMAC_SHA_224"]),
    ("HMAC_256", "GENERATE_VERIFY_MAC", &["HMAC_SHA_256"]),
    ("HMAC_384", "GENERATE_VERIFY_MAC", &["HMAC_SHA_384"]),
    ("HMAC_512", "GENERATE_VERIFY_MAC", &["HMAC_SHA_512"]),
    ("RSA_2048", "ENCRYPT_DECRYPT", &["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"]),
    ("RSA_3072", "SIGN_VERIFY", &["RSASSA_PSS_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384"]),
    ("RSA_4096", "SIGN_VERIFY", &["RSASSA_PSS_SHA_512"]),
    ("ECC_NIST_P256", "SIGN_VERIFY", &["ECDSA_SHA_256"]),
    ("ECC_NIST_P384", "SIGN_VERIFY", &["ECDSA_SHA_384"]),
    ("ECC_NIST_P521", "SIGN_VERIFY", &["ECDSA_SHA_512"]),
    ("ECC_NIST_P256", "KEY_AGREEMENT", &["ECDH"]),
    ("ECC_NIST_P384", "KEY_AGREEMENT", &["ECDH"]),
    ("ECC_NIST_P521", "KEY_AGREEMENT", &["ECDH"]),
    ("ECC_SECG_P256K1", "SIGN_VERIFY", &["ECDSA_SHA_256"]),
    ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY", &["ED25519_SHA_512"]),
    ("ML_DSA_44", "SIGN_VERIFY", &["ML_DSA_SHAKE_256"]),
    ("ML_DSA_65", "SIGN_VERIFY", &["ML_DSA_SHAKE_256"]),
    ("ML_DSA_87", "SIGN_VERIFY", &["ML_DSA_SHAKE_256"]),
    ("ML_KEM_512", "ENCAPSULATE_DECAPSULATE", &["ML_KEM"]),
    ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE", &["ML_KEM"]),
    ("ML_KEM_1024", "ENCAPSULATE_DECAPSULATE", &["ML_KEM"]),
    ("SM2", "ENCRYPT_DECRYPT", &["SM2PKE"]),
    ("SM2", "SIGN_VERIFY", &["SM2DSA"]),
    ("SM2", "KEY_AGREEMENT", &["ECDH"]),
];

/// Every way of wrapping what is imported, with the wrapping key that is made fastest.
const WRAPPINGS: &[(&str, &str)] = &[
    ("RSA_2048", "RSAES_OAEP_SHA_1"),
    ("RSA_2048", "RSAES_OAEP_SHA_256"),
    ("RSA_2048", "RSA_AES_KEY_WRAP_SHA_1"),
    ("RSA_2048", "RSA_AES_KEY_WRAP_SHA_256"),
    ("SM2", "SM2PKE"),
];

const HOME: Binding<'static> = Binding {
    account: "111122223333",
    region: "us-east-1",
    key_id: "mrk-1234abcd12ab34cd56ef1234567890ab",
    spec: "SYMMETRIC_DEFAULT",
    usage: "ENCRYPT_DECRYPT",
};
const MESSAGE: &[u8] = b"what every release must read";

fn main() -> Outcome<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).ok_or("name a new folder")?;
    std::fs::create_dir_all(&folder)?;
    let mut seal = open(&folder)?;
    create_domain(&mut seal, Box::new(SystemEntropy::default()))?;
    drop(seal);
    let engine = Engine::start(Box::new(open(&folder)?), Box::new(SystemEntropy::default()), 16)?;
    let mut session = engine.session();
    let Reply::Hello { domain, .. } = session.answer(Duration::ZERO, &Command::Hello { version: VERSION })
    else {
        return Err("no hello".into());
    };
    let mut lines = String::new();
    for generation in [1, 2] {
        for (spec, usage, algorithms) in KINDS {
            let binding = Binding { spec, usage, ..HOME };
            record_key(&mut session, &mut lines, binding, algorithms, domain)?;
        }
        for (wrapping_key, algorithm) in WRAPPINGS {
            record_import(&mut session, &mut lines, wrapping_key, algorithm)?;
        }
        record_credential(&mut session, &mut lines)?;
        if generation == 1 {
            session.answer(Duration::ZERO, &Command::RotateDomainKey { newest: 1 });
        }
    }
    for (name, label) in [
        ("records", HostKeyLabel::Records),
        ("markers", HostKeyLabel::Markers),
        ("sessions", HostKeyLabel::Sessions),
        ("grant-tokens", HostKeyLabel::GrantTokens),
        ("seeds", HostKeyLabel::Seeds),
        ("passwords", HostKeyLabel::Passwords),
    ] {
        let Reply::HostKey { key } = session.answer(Duration::ZERO, &Command::HostKey { label }) else {
            return Err("no host key".into());
        };
        writeln!(lines, "host {name} {}", hex(key.0))?;
    }
    std::fs::write(folder.join("corpus.txt"), &lines)?;
    println!("{} lines in {}", lines.lines().count(), folder.display());
    Ok(())
}

fn open(folder: &Path) -> Outcome<FileSeal> {
    Ok(FileSeal::open(folder, Box::new(SystemEntropy::default()), Box::new(|_| {}))?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn record_key(
    session: &mut Session<'_>,
    lines: &mut String,
    binding: Binding<'_>,
    algorithms: &[&str],
    domain: [u8; 16],
) -> Outcome<()> {
    let Reply::KeyWrapped { material, token, public } =
        session.answer(Duration::ZERO, &Command::CreateKey { binding })
    else {
        return Err(format!("no {}", binding.spec).into());
    };
    let (token, public) = (token.to_vec(), public.unwrap_or_default().to_vec());
    let Binding { spec, usage, .. } = binding;
    writeln!(lines, "key {spec} {usage} {} {}", hex(&material.0), hex(&token))?;
    let key = WrappedKey { binding, material, token: &token };
    for algorithm in algorithms {
        record_use(session, lines, key, algorithm, &public)?;
    }
    let command = Command::TransferOut { key, domain, region: "eu-west-1" };
    let Reply::Transfer { package } = session.answer(Duration::ZERO, &command) else {
        return Err("no package".into());
    };
    writeln!(lines, "transfer eu-west-1 {}", hex(package))?;
    Ok(())
}

/// What the key has made, and what it must give back.
fn record_use(
    session: &mut Session<'_>,
    lines: &mut String,
    key: WrappedKey<'_>,
    algorithm: &str,
    public: &[u8],
) -> Outcome<()> {
    let context = encode_context([("purpose", "corpus")]);
    let context = if algorithm == "SYMMETRIC_DEFAULT" { &*context } else { &[] };
    let kind = MessageKind::Raw;
    let command = match key.binding.usage {
        "ENCRYPT_DECRYPT" => Command::Encrypt { key, context, plaintext: MESSAGE, algorithm },
        "SIGN_VERIFY" => Command::Sign { key, algorithm, kind, message: MESSAGE },
        "GENERATE_VERIFY_MAC" => Command::GenerateMac { key, algorithm, message: MESSAGE },
        "KEY_AGREEMENT" => Command::DeriveSharedSecret { key, peer: public, recipient: None },
        _ => Command::Encapsulate { key },
    };
    let message = hex(MESSAGE);
    match session.answer(Duration::ZERO, &command) {
        Reply::Ciphertext { blob } => {
            writeln!(lines, "decrypt {algorithm} x{} {} {message}", hex(context), hex(blob))?;
        }
        Reply::Signature { signature } => writeln!(lines, "verify {algorithm} {message} {}", hex(signature))?,
        Reply::Mac { mac } => writeln!(lines, "mac {algorithm} {message} {}", hex(mac))?,
        Reply::SharedSecret { secret } => writeln!(lines, "agree {} {}", hex(public), hex(secret.0))?,
        Reply::Encapsulated { secret, ciphertext } => {
            writeln!(lines, "decapsulate {} {}", hex(ciphertext), hex(secret.0))?;
        }
        other => return Err(format!("{algorithm}: {other:?}").into()),
    }
    Ok(())
}

fn record_import(
    session: &mut Session<'_>,
    lines: &mut String,
    wrapping_key: &str,
    algorithm: &str,
) -> Outcome<()> {
    let terms = ImportTerms { wrapping_key, algorithm, valid_to_ms: 1_795_000_000_000 };
    let command = Command::ImportParameters { binding: HOME, terms };
    let Reply::ImportParameters { public, token } = session.answer(Duration::ZERO, &command) else {
        return Err("no import parameters".into());
    };
    let (wrapped, token) = (wrap(algorithm, public, &[7; 32])?, token.to_vec());
    let command = Command::ImportKey { binding: HOME, terms, token: &token, material: &wrapped };
    let Reply::KeyWrapped { material: MaterialId(id), .. } = session.answer(Duration::ZERO, &command) else {
        return Err("no import".into());
    };
    let (token, wrapped) = (hex(&token), hex(&wrapped));
    writeln!(
        lines,
        "import {wrapping_key} {algorithm} {} {token} {wrapped} {}",
        terms.valid_to_ms,
        hex(&id)
    )?;
    Ok(())
}

/// Wraps material with a public key, as the algorithm has it.
fn wrap(algorithm: &str, public: &[u8], material: &[u8]) -> Outcome<Vec<u8>> {
    if algorithm == "SM2PKE" {
        let key = sm2::PublicKey::from_public_key_der(public)?;
        return Ok(sm2::pke::EncryptingKey::new(key).encrypt_der(&mut Generator, material)?);
    }
    let hash = if algorithm.ends_with("SHA_1") { &OAEP_SHA1_MGF1SHA1 } else { &OAEP_SHA256_MGF1SHA256 };
    let key = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(public)?)?;
    let oaep = |clear: &[u8]| -> Outcome<Vec<u8>> {
        let mut sealed = vec![0; key.ciphertext_size()];
        Ok(key.encrypt(hash, clear, &mut sealed, None)?.to_vec())
    };
    if !algorithm.starts_with("RSA_AES") {
        return oaep(material);
    }
    let mut wrapped = vec![0; material.len() + 16];
    let wrapped = AesKek::new(&AES_256, &[9; 32])?.wrap_with_padding(material, &mut wrapped)?;
    Ok([&oaep(&[9; 32])?, &*wrapped].concat())
}

/// The cryptographic library's random numbers.
struct Generator;

impl TryRng for Generator {
    type Error = std::io::Error;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut drawn = [0; 4];
        self.try_fill_bytes(&mut drawn)?;
        Ok(u32::from_le_bytes(drawn))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut drawn = [0; 8];
        self.try_fill_bytes(&mut drawn)?;
        Ok(u64::from_le_bytes(drawn))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        aws_lc_rs::rand::fill(out).map_err(std::io::Error::other)
    }
}

impl TryCryptoRng for Generator {}

fn record_credential(session: &mut Session<'_>, lines: &mut String) -> Outcome<()> {
    let binding = CredentialBinding { account: HOME.account, access_key_id: "AKIAIOSFODNN7EXAMPLE" };
    let secret = b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let command = Command::CreateCredential { binding, secret: Some(secret) };
    let Reply::CredentialWrapped { token, .. } = session.answer(Duration::ZERO, &command) else {
        return Err("no credential".into());
    };
    let token = token.to_vec();
    let credential = WrappedCredential { binding, token: &token };
    let (date, region, service) = ("20261124", "us-east-1", "kms");
    let command = Command::SigningKey { credential, date, region, service };
    let Reply::SigningKey { key } = session.answer(Duration::ZERO, &command) else {
        return Err("no signing key".into());
    };
    writeln!(lines, "credential {} {} {}", binding.access_key_id, hex(&token), hex(key.0))?;
    Ok(())
}
