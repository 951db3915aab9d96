//! Answers to attested recipients: only the enclave can read them, only a document that is trusted gets one, and conditions
//! ask what the document says.

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey};
use coset::cbor;
use expect_test::expect_file;
use serde_json::{Value, json};

use crate::enclave::{Chain, Document, recipient};
use crate::enclave_requests::{named, trusted};
use crate::kinds::{make, public_key};
use crate::world::{ALICE, Answer, Ask, DAY_MS, START, World, base64, unbase64};

/// The primitive values of BER, one after the other; lengths may be indefinite.
fn leaves<'b>(mut ber: &'b [u8], found: &mut Vec<(u8, &'b [u8])>) -> &'b [u8] {
    while let [tag, length, rest @ ..] = ber {
        let (content, after): (&[u8], &[u8]) = match *length {
            _ if (*tag, *length) == (0, 0) => return rest,
            0x80 => {
                ber = leaves(rest, found);
                continue;
            }
            short @ 0..0x80 => rest.split_at(usize::from(short)),
            long => {
                let (digits, rest) = rest.split_at(usize::from(long & 0x7f));
                rest.split_at(digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)))
            }
        };
        if tag & 0x20 == 0 {
            found.push((*tag, content));
        } else {
            leaves(content, found);
        }
        ber = after;
    }
    ber
}

/// Opens an envelope as the enclave does, with the key that its document names.
fn open(envelope: &Value) -> Vec<u8> {
    let (envelope, mut found) = (unbase64(envelope), Vec::new());
    assert_eq!(leaves(&envelope, &mut found), b"", "nothing follows");
    let octets: Vec<_> = found.iter().filter(|(tag, _)| *tag == 0x04).map(|(_, content)| *content).collect();
    let [key, iv, content] = octets[..] else { panic!("{found:?}") };
    let rsa = OaepPrivateDecryptingKey::new(recipient().clone()).unwrap();
    let mut room = vec![0; 256];
    let key = rsa.decrypt(&OAEP_SHA256_MGF1SHA256, key, &mut room, None).unwrap();
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key).unwrap()).unwrap();
    let iv = DecryptionContext::Iv128(FixedLength::from(<&[u8; 16]>::try_from(iv).unwrap()));
    let mut content = content.to_vec();
    cipher.decrypt(&mut content, iv).unwrap().to_vec()
}

fn document() -> Document {
    Document::enclave(trusted(), START)
}

fn with(request: &Value, member: &str, value: Value) -> Value {
    let mut request = request.clone();
    request[member] = value;
    request
}

/// A request of every operation that can have a recipient, with the member that the envelope stands for.
fn uses(world: &World) -> Vec<(&'static str, &'static str, Value)> {
    let key = world.key(ALICE);
    let (rsa, ec) =
        (make(world, "RSA_2048", "ENCRYPT_DECRYPT"), make(world, "ECC_NIST_P256", "KEY_AGREEMENT"));
    let blob = world.encrypt(ALICE, &key, b"secret", json!({"a": "b"}));
    let encrypt =
        json!({"KeyId": rsa.id, "Plaintext": base64(b"secret"), "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    let ciphertext = &world.succeed(ALICE, "Encrypt", encrypt)["CiphertextBlob"];
    let peer = base64(&public_key(world, "ECC_NIST_P256", &make(world, "ECC_NIST_P256", "KEY_AGREEMENT")));
    vec![
        ("Decrypt", "Plaintext", json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "b"}})),
        (
            "Decrypt",
            "Plaintext",
            json!({"KeyId": rsa.id, "CiphertextBlob": ciphertext, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}),
        ),
        (
            "DeriveSharedSecret",
            "SharedSecret",
            json!({"KeyId": ec.id, "KeyAgreementAlgorithm": "ECDH", "PublicKey": peer}),
        ),
        ("GenerateDataKey", "Plaintext", json!({"KeyId": key.id, "KeySpec": "AES_256"})),
        ("GenerateDataKeyPair", "PrivateKeyPlaintext", json!({"KeyId": key.id, "KeyPairSpec": "RSA_2048"})),
        ("GenerateRandom", "Plaintext", json!({"NumberOfBytes": 1024})),
    ]
}

/// The clear value is not in the answer, and the envelope holds it.
#[test]
fn a_recipient_gets_what_nobody_else_does() {
    let world = World::new();
    let sent = named(&document().sign());
    for (operation, member, request) in uses(&world) {
        let clear = world.succeed(ALICE, operation, request.clone());
        assert!(clear.get("CiphertextForRecipient").is_none());
        let answer = world.succeed(ALICE, operation, with(&request, "Recipient", sent.clone()));
        assert_eq!(answer.get(member), None, "{operation} answers nothing in the clear");
        let opened = open(&answer["CiphertextForRecipient"]);
        let rest = |answer: &Value| {
            let members = answer.as_object().unwrap().keys();
            let other = |name: &&String| ![member, "CiphertextForRecipient"].contains(&name.as_str());
            members.filter(other).cloned().collect::<Vec<_>>()
        };
        // AWS leaves out which material it was.
        let leaves_out =
            |name: &String| name == "KeyMaterialId" && ["Decrypt", "GenerateDataKey"].contains(&operation);
        let expected: Vec<_> = rest(&clear).into_iter().filter(|name| !leaves_out(name)).collect();
        assert_eq!(rest(&answer), expected, "{operation}");
        match operation {
            "Decrypt" => assert_eq!(opened, b"secret"),
            "DeriveSharedSecret" => assert_eq!(base64(&opened), clear[member]),
            "GenerateRandom" => assert_eq!(opened.len(), 1024),
            _ => {
                let blob = if operation == "GenerateDataKey" {
                    "CiphertextBlob"
                } else {
                    "PrivateKeyCiphertextBlob"
                };
                let decrypt = json!({"CiphertextBlob": answer[blob]});
                assert_eq!(world.succeed(ALICE, "Decrypt", decrypt)["Plaintext"], base64(&opened));
            }
        }
    }
}

/// A NitroTPM's document does as well.
#[test]
fn an_instance_with_a_tpm_is_a_recipient() {
    let world = World::new();
    let sent = named(&Document::nitrotpm(trusted(), START).sign());
    let answer = world.succeed(ALICE, "GenerateRandom", json!({"NumberOfBytes": 32, "Recipient": sent}));
    assert_eq!((open(&answer["CiphertextForRecipient"]).len(), answer.get("Plaintext")), (32, None));
}

/// Whatever is not a trusted, fresh and whole document: no answer at all, least of all a clear one.
#[test]
fn a_recipient_that_is_not_trusted_gets_nothing() {
    let world = World::new();
    let good = document().sign();
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    let other_root = Document::enclave(&Chain::new(START), START).sign();
    let no_key = document().without("public_key").sign();
    let old = Document::enclave(trusted(), world.later(0, -6 * 60 * 1000)).sign();
    let early = Document::enclave(trusted(), world.later(0, 6 * 60 * 1000)).sign();
    let refused =
        json!({"__type": "ValidationException", "message": "the attestation document is not valid"});
    let incomplete = json!({"__type": "ValidationException",
        "message": "Recipient needs an AttestationDocument and a KeyEncryptionAlgorithm."});
    for (sent, expected) in [
        (named(b"x"), &refused),
        (named(&forged), &refused),
        (named(&good[1..]), &refused),
        (named(&other_root), &refused),
        (named(&no_key), &refused),
        (named(&old), &refused),
        (named(&early), &refused),
        (json!({}), &incomplete),
        (json!({"AttestationDocument": base64(&good)}), &incomplete),
        (json!({"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}), &incomplete),
    ] {
        for (operation, _, request) in uses(&world) {
            let answer = world.send(&Ask::new(ALICE, operation, with(&request, "Recipient", sent.clone())));
            assert_eq!((&answer.body, answer.status), (&expected.to_string(), 400), "{operation}");
            assert_eq!(answer.commands, [""; 0]);
        }
    }
    // A document is good for five minutes.
    let request = json!({"NumberOfBytes": 1, "Recipient": named(&good)});
    world.succeed(ALICE, "GenerateRandom", request.clone());
    world.clock.advance(5 * 60 * 1000 + 1);
    assert_eq!(world.refuse(ALICE, "GenerateRandom", request.clone()), "ValidationException");
    world.clock.advance(DAY_MS);
    assert_eq!(world.refuse(ALICE, "GenerateRandom", request), "ValidationException");
}

/// Asks under a policy that allows a decryption on a condition only; answers whether it was allowed.
fn allowed(world: &World, condition: &Value, sent: Option<&Value>) -> bool {
    let key = world.key(ALICE);
    let blob = world.encrypt(ALICE, &key, b"secret", json!({}));
    let of = |action: &str, condition: &Value| {
        json!({"Effect": "Allow", "Principal": {"AWS": ALICE.account}, action: "kms:Decrypt", "Resource": "*",
            "Condition": condition})
    };
    let document =
        json!({"Version": "2012-10-17", "Statement": [of("NotAction", &json!({})), of("Action", condition)]});
    world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": document.to_string()}));
    let mut request = json!({"CiphertextBlob": blob, "KeyId": key.id});
    if let Some(sent) = sent {
        request["Recipient"] = sent.clone();
    }
    match world.send(&Ask::new(ALICE, "Decrypt", request)).code {
        None => true,
        Some("AccessDeniedException") => false,
        Some(other) => panic!("{other}"),
    }
}

/// Registers of a document, in lower-case hexadecimal; without a document there are none, whatever the request says.
#[test]
fn conditions_ask_what_the_document_says() {
    let world = World::new();
    let enclave = named(&document().sign());
    let tpm = named(&Document::nitrotpm(trusted(), START).sign());
    let equals = |name: &str, value: &str| json!({"StringEquals": {format!("kms:RecipientAttestation:{name}"): value}});
    let register = |byte: &str| byte.repeat(48);
    for (condition, sent, expected) in [
        (equals("ImageSha384", &register("01")), Some(&enclave), true),
        (equals("ImageSha384", &register("02")), Some(&enclave), false),
        (equals("ImageSha384", &register("01")), Some(&tpm), false),
        (equals("ImageSha384", &register("01")), None, false),
        (equals("PCR0", &register("01")), Some(&enclave), true),
        (equals("PCR8", &register("09")), Some(&enclave), true),
        (equals("PCR15", &register("10")), Some(&enclave), true),
        (equals("PCR16", &register("11")), Some(&enclave), false),
        (equals("PCR8", &register("08")), Some(&enclave), false),
        (equals("PCR8", &register("09")), None, false),
        (equals("NitroTPMPCR7", &register("08")), Some(&tpm), true),
        (equals("NitroTPMPCR7", &register("08")), Some(&enclave), false),
        (equals("PCR7", &register("08")), Some(&tpm), false),
        (json!({"Null": {"kms:RecipientAttestation:PCR0": "true"}}), None, true),
        (json!({"Null": {"kms:RecipientAttestation:PCR0": "true"}}), Some(&enclave), false),
        (
            json!({"StringEqualsIgnoreCase": {"kms:RecipientAttestation:PCR9": register("0A")}}),
            Some(&enclave),
            true,
        ),
        (equals("PCR9", &register("0A")), Some(&enclave), false),
    ] {
        assert_eq!(allowed(&world, &condition, sent), expected, "{condition}");
    }
}

/// What the trail says of a recipient: who it is and what was measured, never the document or a key.
#[test]
fn the_trail_names_the_recipient() {
    let world = World::new();
    let zeros = |index: u8| if index == 3 { 0 } else { index + 1 };
    let registers =
        (0..16).map(|index| (cbor::Value::from(index), cbor::Value::from(vec![zeros(index); 48])));
    let enclave = document().with("pcrs", cbor::Value::Map(registers.collect())).sign();
    let tpm = Document::nitrotpm(trusted(), START).sign();
    let mut shown = String::new();
    let mut note = |answer: &Answer| {
        let text = answer.event["additionalEventData"].to_string();
        shown.push_str(&format!("{} {}\n", answer.event["eventName"], world.normalize(&text)));
    };
    for sent in [&enclave, &tpm] {
        for (operation, _, request) in uses(&world) {
            let answer = world.send(&Ask::new(ALICE, operation, with(&request, "Recipient", named(sent))));
            assert_eq!(answer.code, None);
            assert!(!answer.event.to_string().contains(&base64(sent)));
            assert_eq!(answer.event["requestParameters"].get("recipient"), None);
            note(&answer);
        }
    }
    expect_file!["golden/recipients_in_trail.txt"].assert_eq(&shown);
}

/// A dry run looks at the document too.
#[test]
fn a_dry_run_looks_at_the_recipient() {
    let world = World::new();
    for (sent, expected) in
        [(document().sign(), "DryRunOperationException"), (b"x".to_vec(), "ValidationException")]
    {
        for (operation, _, request) in uses(&world) {
            if operation != "GenerateRandom" {
                let request = with(&request, "DryRun", json!(true));
                let request = with(&request, "Recipient", named(&sent));
                assert_eq!(world.refuse(ALICE, operation, request), expected, "{operation}");
            }
        }
    }
}
