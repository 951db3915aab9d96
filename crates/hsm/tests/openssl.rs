//! Agreement with OpenSSL: what it wraps is imported, what is enveloped here it opens. Fails where there is no
//! `openssl` (version 3) to run.

#![expect(clippy::disallowed_methods, reason = "these tests run the openssl program")]

#[cfg(test)]
#[path = "openssl/harness.rs"]
mod harness;

use claviger_hsm::Session;
use claviger_hsm_proto::{
    Binding, Command, Disclosed, ImportTerms, MessageKind, RecipientKey, Reply, WrappedKey,
};
use harness::{
    A, NOW, OpenSsl, VALID_TO_MS, create, decrypt, encrypt, encrypt_with_oaep, engine, enveloped, import,
    session, wrap_with_aes,
};

#[test]
fn openssl_opens_envelopes_of_every_length() {
    let engine = engine();
    let mut session = session(&engine);
    let (material, token) = create(&mut session);
    let key = WrappedKey { binding: A, material, token: &token };
    for bits in [2048, 3072, 4096] {
        let openssl = OpenSsl::new();
        let public = openssl.key_pair(bits);
        for length in [1, 15, 16, 17, 32, 1024, 4096] {
            let plaintext: Vec<u8> = (0..length).map(|at: usize| at.to_le_bytes()[0]).collect();
            let blob = encrypt(&mut session, key, &plaintext);
            let envelope = enveloped(decrypt(&mut session, key, &blob, Some(&public)));
            assert!(envelope.len() <= 6144, "{} bytes", envelope.len());
            assert_eq!(openssl.open(&envelope), plaintext, "{bits} bits, {length} bytes");
        }
    }
}

#[test]
fn openssl_opens_data_keys_and_random_bytes() {
    let engine = engine();
    let mut session = session(&engine);
    let (material, token) = create(&mut session);
    let key = WrappedKey { binding: A, material, token: &token };
    let openssl = OpenSsl::new();
    let public = openssl.key_pair(2048);
    let recipient = Some(RecipientKey(&public));
    let command = Command::GenerateDataKey { key, context: &[], length: 32, disclose: true, recipient };
    let (blob, envelope) = match session.answer(NOW, &command) {
        Reply::DataKey { blob, plaintext: None, enveloped: Some(content) } => {
            (blob.to_vec(), content.to_vec())
        }
        other => panic!("{other:?}"),
    };
    let data_key = openssl.open(&envelope);
    assert_eq!(data_key.len(), 32);
    match decrypt(&mut session, key, &blob, None) {
        Reply::Plaintext { plaintext: Disclosed(plaintext) } => assert_eq!(plaintext, data_key),
        other => panic!("{other:?}"),
    }
    let random = |session: &mut Session<'_>| {
        openssl.open(&enveloped(session.answer(NOW, &Command::GenerateRandom { length: 1024, recipient })))
    };
    let (one, other) = (random(&mut session), random(&mut session));
    assert_eq!((one.len(), other.len()), (1024, 1024));
    assert_ne!(one, other);
}

#[test]
fn openssl_opens_data_key_pairs() {
    let engine = engine();
    let mut session = session(&engine);
    let (material, token) = create(&mut session);
    let key = WrappedKey { binding: A, material, token: &token };
    let openssl = OpenSsl::new();
    let der = openssl.key_pair(2048);
    let recipient = Some(RecipientKey(&der));
    for pair in ["RSA_4096", "ECC_NIST_P521"] {
        let command = Command::GenerateDataKeyPair { key, context: &[], pair, disclose: true, recipient };
        let (envelope, public) = match session.answer(NOW, &command) {
            Reply::DataKeyPair { public, private: None, enveloped: Some(content), .. } => {
                (content.to_vec(), public.to_vec())
            }
            other => panic!("{other:?}"),
        };
        openssl.write("private", &openssl.open(&envelope));
        assert_eq!(openssl.run("pkey -inform DER -in private -pubout -outform DER"), public, "{pair}");
    }
}

/// Every field as OpenSSL reads it.
#[test]
fn openssl_reads_every_field() {
    let engine = engine();
    let mut session = session(&engine);
    let openssl = OpenSsl::new();
    let public = openssl.key_pair(2048);
    let recipient = Some(RecipientKey(&public));
    let envelope = enveloped(session.answer(NOW, &Command::GenerateRandom { length: 20, recipient }));
    openssl.write("envelope", &envelope);
    openssl.write("public", &public);
    let text = String::from_utf8(openssl.run("cms -cmsout -print -noout -inform DER -in envelope")).unwrap();
    let mut lines = text.lines().map(str::trim);
    for expected in [
        "contentType: pkcs7-envelopedData (1.2.840.113549.1.7.3)",
        "version: 2",
        "originatorInfo: <ABSENT>",
        "d.ktri:",
        "version: 2",
        "d.subjectKeyIdentifier:",
        "algorithm: rsaesOaep (1.2.840.113549.1.1.7)",
        "encryptedKey:",
        "contentType: pkcs7-data (1.2.840.113549.1.7.1)",
        "algorithm: aes-256-cbc (2.16.840.1.101.3.4.1.42)",
        "parameter: OCTET STRING:",
        "encryptedContent:",
        "unprotectedAttrs:",
        "<ABSENT>",
    ] {
        assert!(lines.any(|line| line == expected), "no {expected:?} in order in:\n{text}");
    }
    assert_eq!(text.matches("d.ktri:").count(), 1, "one recipient");

    let text = String::from_utf8(openssl.run("asn1parse -inform DER -in envelope")).unwrap();
    let parsed: Vec<&str> =
        text.lines().filter_map(|line| line.split_once(": ").map(|(_, rest)| rest.trim())).collect();
    assert_eq!(parsed.iter().filter(|line| line.ends_with(":sha256")).count(), 2, "{text}");
    assert_eq!(parsed.iter().filter(|line| line.ends_with(":mgf1")).count(), 1, "{text}");
    let digest = openssl.run("dgst -sha256 -binary public");
    assert!(envelope.windows(34).any(|window| window == [&[0x80, 0x20], &digest[..]].concat()));
}

#[test]
fn symmetric_keys_that_openssl_wraps_are_imported() {
    let engine = engine();
    let mut session = session(&engine);
    let openssl = OpenSsl::new();
    openssl.write("material", &[0x3c; 32]);
    for (name, hash) in [("SHA_1", "sha1"), ("SHA_256", "sha256")] {
        for wrapping_key in ["RSA_2048", "RSA_3072"] {
            for (algorithm, with_aes) in [("RSAES_OAEP", false), ("RSA_AES_KEY_WRAP", true)] {
                let algorithm = format!("{algorithm}_{name}");
                let terms = ImportTerms { wrapping_key, algorithm: &algorithm, valid_to_ms: VALID_TO_MS };
                let (material, token, public) = import(&mut session, &openssl, A, terms, || {
                    if with_aes {
                        wrap_with_aes(&openssl, hash);
                    } else {
                        encrypt_with_oaep(&openssl, hash, "material", "wrapped");
                    }
                });
                assert_eq!(public, None);
                let key = WrappedKey { binding: A, material, token: &token };
                let blob = encrypt(&mut session, key, b"plaintext");
                match decrypt(&mut session, key, &blob, None) {
                    Reply::Plaintext { plaintext } => assert_eq!(plaintext, Disclosed(b"plaintext")),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

/// OpenSSL makes a private key, and verifies what it signs once it is imported.
#[test]
fn private_keys_that_openssl_wraps_are_imported() {
    let engine = engine();
    let mut session = session(&engine);
    for (spec, options, signing, algorithm) in [
        (
            "RSA_3072",
            "RSA -pkeyopt rsa_keygen_bits:3072",
            "RSASSA_PKCS1_V1_5_SHA_256",
            "RSA_AES_KEY_WRAP_SHA_256",
        ),
        ("ECC_NIST_P256", "EC -pkeyopt ec_paramgen_curve:P-256", "ECDSA_SHA_256", "RSA_AES_KEY_WRAP_SHA_1"),
        ("ECC_NIST_P256", "EC -pkeyopt ec_paramgen_curve:P-256", "ECDSA_SHA_256", "RSAES_OAEP_SHA_256"),
    ] {
        let openssl = OpenSsl::new();
        openssl.run(&format!("genpkey -algorithm {options} -out private.pem"));
        openssl.run("pkcs8 -topk8 -nocrypt -in private.pem -outform DER -out material");
        let binding = Binding { spec, usage: "SIGN_VERIFY", ..A };
        let terms = ImportTerms { wrapping_key: "RSA_2048", algorithm, valid_to_ms: VALID_TO_MS };
        let hash = if algorithm.ends_with("SHA_1") { "sha1" } else { "sha256" };
        let (material, token, public) = import(&mut session, &openssl, binding, terms, || {
            if algorithm.starts_with("RSA_AES") {
                wrap_with_aes(&openssl, hash);
            } else {
                encrypt_with_oaep(&openssl, hash, "material", "wrapped");
            }
        });
        assert_eq!(public.unwrap(), openssl.run("pkey -in private.pem -pubout -outform DER"), "{spec}");
        let key = WrappedKey { binding, material, token: &token };
        let (kind, message) = (MessageKind::Raw, &b"message"[..]);
        match session.answer(NOW, &Command::Sign { key, algorithm: signing, kind, message }) {
            Reply::Signature { signature } => openssl.write("signature", signature),
            other => panic!("{other:?}"),
        }
        openssl.write("message", message);
        openssl.run("pkey -in private.pem -pubout -out public.pem");
        let verified = openssl.run("dgst -sha256 -verify public.pem -signature signature message");
        assert_eq!(verified, b"Verified OK\n");
    }
}
