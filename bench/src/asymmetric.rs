//! Operations with private keys and the like: through HTTP, beside the library alone in the same run.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use crate::library;
use crate::report::{Measured, Plan, ROUNDS, WARM_UP, Windows, calls, measure, sign, text};
use crate::requests::Credentials;
use crate::subject::Claviger;

/// Keys of each kind; requests go round them.
const KEYS: usize = 4;
/// Requests of each pool.
const POOL: usize = 1_024;
/// Length of what is signed, in bytes.
const MESSAGE: [u8; 256] = [3; 256];

/// One row: an operation on one kind of key.
struct Case {
    operation: &'static str,
    spec: &'static str,
    usage: &'static str,
    algorithm: &'static str,
}

impl Case {
    /// Who asks: SM2 keys are made in Regions of China only.
    fn credentials(&self, subject: &Claviger) -> Credentials {
        let mut credentials = subject.credentials.clone();
        if self.spec == "SM2" {
            credentials.scope.region = "cn-north-1".to_owned();
        }
        credentials
    }
}

const fn case(
    operation: &'static str,
    spec: &'static str,
    usage: &'static str,
    algorithm: &'static str,
) -> Case {
    Case { operation, spec, usage, algorithm }
}

/// Every signing spec once, and one case for each other operation and size.
const CASES: &[Case] = &[
    case("Sign", "RSA_2048", "SIGN_VERIFY", "RSASSA_PSS_SHA_256"),
    case("Verify", "RSA_2048", "SIGN_VERIFY", "RSASSA_PSS_SHA_256"),
    case("Sign", "RSA_3072", "SIGN_VERIFY", "RSASSA_PSS_SHA_256"),
    case("Verify", "RSA_3072", "SIGN_VERIFY", "RSASSA_PSS_SHA_256"),
    case("Sign", "RSA_4096", "SIGN_VERIFY", "RSASSA_PSS_SHA_256"),
    case("Verify", "RSA_4096", "SIGN_VERIFY", "RSASSA_PSS_SHA_256"),
    case("Sign", "ECC_NIST_P256", "SIGN_VERIFY", "ECDSA_SHA_256"),
    case("Verify", "ECC_NIST_P256", "SIGN_VERIFY", "ECDSA_SHA_256"),
    case("Sign", "ECC_NIST_P384", "SIGN_VERIFY", "ECDSA_SHA_384"),
    case("Verify", "ECC_NIST_P384", "SIGN_VERIFY", "ECDSA_SHA_384"),
    case("Sign", "ECC_NIST_P521", "SIGN_VERIFY", "ECDSA_SHA_512"),
    case("Verify", "ECC_NIST_P521", "SIGN_VERIFY", "ECDSA_SHA_512"),
    case("Sign", "ECC_SECG_P256K1", "SIGN_VERIFY", "ECDSA_SHA_256"),
    case("Verify", "ECC_SECG_P256K1", "SIGN_VERIFY", "ECDSA_SHA_256"),
    case("Sign", "ECC_NIST_EDWARDS25519", "SIGN_VERIFY", "ED25519_SHA_512"),
    case("Verify", "ECC_NIST_EDWARDS25519", "SIGN_VERIFY", "ED25519_SHA_512"),
    case("Sign", "ML_DSA_44", "SIGN_VERIFY", "ML_DSA_SHAKE_256"),
    case("Verify", "ML_DSA_44", "SIGN_VERIFY", "ML_DSA_SHAKE_256"),
    case("Sign", "ML_DSA_65", "SIGN_VERIFY", "ML_DSA_SHAKE_256"),
    case("Verify", "ML_DSA_65", "SIGN_VERIFY", "ML_DSA_SHAKE_256"),
    case("Sign", "ML_DSA_87", "SIGN_VERIFY", "ML_DSA_SHAKE_256"),
    case("Verify", "ML_DSA_87", "SIGN_VERIFY", "ML_DSA_SHAKE_256"),
    case("Sign", "SM2", "SIGN_VERIFY", "SM2DSA"),
    case("Verify", "SM2", "SIGN_VERIFY", "SM2DSA"),
    case("Decrypt", "RSA_2048", "ENCRYPT_DECRYPT", "RSAES_OAEP_SHA_256"),
    case("Decrypt", "RSA_3072", "ENCRYPT_DECRYPT", "RSAES_OAEP_SHA_256"),
    case("Decrypt", "RSA_4096", "ENCRYPT_DECRYPT", "RSAES_OAEP_SHA_256"),
    case("Decrypt", "SM2", "ENCRYPT_DECRYPT", "SM2PKE"),
    case("DeriveSharedSecret", "ECC_NIST_P256", "KEY_AGREEMENT", "ECDH"),
    case("DeriveSharedSecret", "ECC_NIST_P384", "KEY_AGREEMENT", "ECDH"),
    case("DeriveSharedSecret", "ECC_NIST_P521", "KEY_AGREEMENT", "ECDH"),
    case("DeriveSharedSecret", "SM2", "KEY_AGREEMENT", "ECDH"),
    case("Encapsulate", "ML_KEM_512", "ENCAPSULATE_DECAPSULATE", "ML_KEM"),
    case("Decapsulate", "ML_KEM_512", "ENCAPSULATE_DECAPSULATE", "ML_KEM"),
    case("Encapsulate", "ML_KEM_768", "ENCAPSULATE_DECAPSULATE", "ML_KEM"),
    case("Decapsulate", "ML_KEM_768", "ENCAPSULATE_DECAPSULATE", "ML_KEM"),
    case("Encapsulate", "ML_KEM_1024", "ENCAPSULATE_DECAPSULATE", "ML_KEM"),
    case("Decapsulate", "ML_KEM_1024", "ENCAPSULATE_DECAPSULATE", "ML_KEM"),
    case("GenerateMac", "HMAC_256", "GENERATE_VERIFY_MAC", "HMAC_SHA_256"),
    case("GenerateDataKeyPair", "ECC_NIST_P256", "ENCRYPT_DECRYPT", ""),
    case("GenerateDataKeyPair", "RSA_2048", "ENCRYPT_DECRYPT", ""),
];

/// Measures every case and prints the table.
pub(crate) async fn run(plan: &Plan, subject: &Claviger) -> Result<(), String> {
    println!(
        "| operation, TLS, {} connections | req/s | p50 us | p99 us | host us | HSM us | library us | of it \
         verification | all but the library us | library's share |",
        plan.connections
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let wanted = |case: &&Case| {
        plan.only.as_deref().is_none_or(|only| {
            only == case.operation || only.split_once(' ') == Some((case.operation, case.spec))
        })
    };
    let mut keys = Keys::default();
    for case in CASES.iter().filter(wanted) {
        let bodies = keys.bodies(subject, case).await?;
        let signed = sign(&case.credentials(subject), &subject.tls, case.operation, &bodies)?;
        let got = measure(&subject.tls, signed, plan.connections, plan.window, || subject.cpu()).await?;
        // Each signature is verified before it leaves: that is the library's work as well.
        let verification = match case.operation {
            "Sign" => library::micros("Verify", case.spec)?,
            _ => 0.0,
        };
        print_row(case, &got, library::micros(case.operation, case.spec)? + verification, verification);
    }
    println!();
    Ok(())
}

fn print_row(case: &Case, got: &Measured, library: f64, verification: f64) {
    println!(
        "| {} {} | {:.0} | {} | {} | {:.1} | {:.1} | {library:.1} | {verification:.1} | {:.1} | {:.0} % |",
        case.operation,
        case.spec,
        got.seen.per_second(),
        got.seen.percentile(50),
        got.seen.percentile(99),
        got.host_micros,
        got.hsm_micros,
        got.total() - library,
        100.0 * library / got.total(),
    );
}

/// Connections of what is stalled, and of what stalls it.
const STALLED: usize = 16;

/// Before Decrypt is measured alone again: right after key pairs its p99 is twice what it is a moment later.
const PAUSE: Duration = Duration::from_secs(2);

/// What may stall others: a name for many of it a second, the operation, and the spec and usage of its key.
const STALLING: &[(&str, Case)] = &[
    ("RSA_2048 key pairs", case("GenerateDataKeyPair", "RSA_2048", "ENCRYPT_DECRYPT", "")),
    ("RSA_4096 signatures", case("Sign", "RSA_4096", "SIGN_VERIFY", "RSASSA_PSS_SHA_256")),
];

/// What Decrypt waits for while keys are made, or used, on other connections; and alone, in turn.
pub(crate) async fn stalls(plan: &Plan, subject: &Claviger, decrypts: Vec<Bytes>) -> Result<(), String> {
    let window = 2 * plan.slice();
    let decrypting = || measure(&subject.tls, decrypts.clone(), STALLED, window, || subject.cpu());
    println!("| Decrypt, TLS, {STALLED} connections | req/s | p50 us | p99 us |");
    println!("|---|---|---|---|");
    let (mut keys, mut ratios) = (Keys::default(), Vec::new());
    for (name, case) in STALLING {
        let bodies = keys.bodies(subject, case).await?;
        let stalling = sign(&subject.credentials, &subject.tls, case.operation, &bodies)?;
        let (mut alone, mut beside, mut made) = (Windows::default(), Windows::default(), Vec::new());
        for _ in 0..ROUNDS {
            alone.add(decrypting().await?);
            let (target, stalling) = (subject.tls.clone(), stalling.clone());
            let making = WARM_UP + window;
            let makers =
                tokio::task::spawn_blocking(move || crate::load::run(&target, &stalling, STALLED, making));
            beside.add(decrypting().await?);
            made.push(makers.await.map_err(|error| error.to_string())??.per_second());
            tokio::time::sleep(PAUSE).await;
        }
        let rate = made.iter().sum::<f64>() / f64::from(u32::try_from(made.len()).unwrap_or(u32::MAX));
        print_stall("alone", &alone);
        print_stall(&format!("beside {rate:.0} {name} a second on {STALLED} more"), &beside);
        ratios.push(format!("{:.2} beside {name}", beside.percentile(99) / alone.percentile(99)));
    }
    println!("\np99 of Decrypt, times that alone: {}\n", ratios.join(", "));
    Ok(())
}

fn print_stall(what: &str, got: &Windows) {
    let (p50, p99) = (got.percentile(50), got.percentile(99));
    println!("| {what} | {:.0} | {p50:.0} | {p99:.0} |", got.rate());
}

/// Keys made so far, by spec and usage.
#[derive(Default)]
struct Keys(BTreeMap<(&'static str, &'static str), Vec<String>>);

impl Keys {
    async fn get(&mut self, subject: &Claviger, case: &Case) -> Result<Vec<String>, String> {
        let spec = if case.operation == "GenerateDataKeyPair" { "SYMMETRIC_DEFAULT" } else { case.spec };
        if let Some(made) = self.0.get(&(spec, case.usage)) {
            return Ok(made.clone());
        }
        let body = format!(r#"{{"KeySpec":"{spec}","KeyUsage":"{}"}}"#, case.usage);
        let answers = calls(subject, &case.credentials(subject), "CreateKey", &vec![body; KEYS]).await?;
        let ids: Vec<String> =
            answers.iter().map(|answer| text(answer.pointer("/KeyMetadata/KeyId"))).collect();
        self.0.insert((spec, case.usage), ids.clone());
        Ok(ids)
    }

    /// Request bodies of a case: for the second half of a pair of operations, with what the first half answered.
    async fn bodies(&mut self, subject: &Claviger, case: &Case) -> Result<Vec<String>, String> {
        let ids = self.get(subject, case).await?;
        let message = base64_simd::STANDARD.encode_to_string(MESSAGE);
        let body = |first: &str, id: &String| match first {
            "Sign" => {
                format!(r#"{{"KeyId":"{id}","Message":"{message}","SigningAlgorithm":"{}"}}"#, case.algorithm)
            }
            "Encrypt" => {
                let plaintext = base64_simd::STANDARD.encode_to_string([7; 64]);
                let algorithm = case.algorithm;
                format!(r#"{{"KeyId":"{id}","Plaintext":"{plaintext}","EncryptionAlgorithm":"{algorithm}"}}"#)
            }
            "DeriveSharedSecret" => {
                format!(r#"{{"KeyId":"{id}","KeyAgreementAlgorithm":"ECDH","PublicKey":"{{peer}}"}}"#)
            }
            "Encapsulate" => format!(r#"{{"KeyId":"{id}","EncapsulationAlgorithm":"ML_KEM"}}"#),
            "GenerateMac" => {
                format!(r#"{{"KeyId":"{id}","Message":"{message}","MacAlgorithm":"{}"}}"#, case.algorithm)
            }
            _ => format!(r#"{{"KeyId":"{id}","KeyPairSpec":"{}"}}"#, case.spec),
        };
        let made: Vec<String> = match case.operation {
            "Verify" => {
                let first: Vec<String> = ids.iter().map(|id| body("Sign", id)).collect();
                let answers = calls(subject, &case.credentials(subject), "Sign", &first).await?;
                first.iter().zip(&answers).map(|(body, answer)| with(body, "Signature", answer)).collect()
            }
            "Decrypt" => {
                let first: Vec<String> = ids.iter().map(|id| body("Encrypt", id)).collect();
                let answers = calls(subject, &case.credentials(subject), "Encrypt", &first).await?;
                let without = ids
                    .iter()
                    .map(|id| format!(r#"{{"KeyId":"{id}","EncryptionAlgorithm":"{}"}}"#, case.algorithm));
                without.zip(&answers).map(|(body, answer)| with(&body, "CiphertextBlob", answer)).collect()
            }
            "Decapsulate" => {
                let first: Vec<String> = ids.iter().map(|id| body("Encapsulate", id)).collect();
                let answers = calls(subject, &case.credentials(subject), "Encapsulate", &first).await?;
                first
                    .iter()
                    .zip(&answers)
                    .map(|(body, answer)| with(body, "SharedSecretCiphertextBlob", answer))
                    .collect()
            }
            "DeriveSharedSecret" => {
                let peer = base64_simd::STANDARD.encode_to_string(library::peer(case.spec)?);
                ids.iter().map(|id| body(case.operation, id).replace("{peer}", &peer)).collect()
            }
            other => ids.iter().map(|id| body(other, id)).collect(),
        };
        Ok(made.into_iter().cycle().take(POOL).collect())
    }
}

/// A body with one more member, taken from an answer.
fn with(body: &str, member: &str, answer: &Value) -> String {
    let value = text(answer.get(member));
    format!(r#"{},"{member}":"{value}"}}"#, body.trim_end_matches('}'))
}
