//! Encrypting, opening, encrypting anew, data keys, random bytes, and dry runs of them.

use expect_test::{expect, expect_file};
use serde_json::{Value, json};

use crate::world::{ALICE, Ask, Root, Transcript, World, base64, check, unbase64};

fn open(world: &World, blob: &str, context: Value) -> Result<Vec<u8>, &'static str> {
    let answer = world.send(&Ask::new(
        ALICE,
        "Decrypt",
        json!({"CiphertextBlob": blob, "EncryptionContext": context}),
    ));
    match answer.code {
        Some(code) => Err(code),
        None => Ok(unbase64(&serde_json::from_str::<Value>(&answer.body).unwrap()["Plaintext"])),
    }
}

#[test]
fn answers_have_awss_members() {
    let world = World::new();
    let key = world.key(ALICE);
    let other = world.key(ALICE);
    world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/app", "TargetKeyId": key.id}));
    let mut calls = Transcript::of(&world);
    let encrypted = calls.ask(ALICE, "Encrypt", json!({"KeyId": "alias/app", "Plaintext": base64(b"hello")}));
    let blob = serde_json::from_str::<Value>(&encrypted.body).unwrap()["CiphertextBlob"].clone();
    calls.ask(ALICE, "Decrypt", json!({"CiphertextBlob": blob}));
    for name in [&*key.id, &*key.arn, "alias/app", "arn:aws:kms:us-east-1:111122223333:alias/app"] {
        calls.ask(ALICE, "Decrypt", json!({"CiphertextBlob": blob, "KeyId": name}));
    }
    calls.ask(ALICE, "ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": other.arn}));
    calls.ask(
        ALICE,
        "ReEncrypt",
        json!({"CiphertextBlob": blob, "SourceKeyId": "alias/app", "DestinationKeyId": key.id}),
    );
    calls.ask(ALICE, "GenerateDataKey", json!({"KeyId": key.id, "KeySpec": "AES_256"}));
    calls.ask(ALICE, "GenerateDataKeyWithoutPlaintext", json!({"KeyId": key.id, "KeySpec": "AES_128"}));
    calls.ask(ALICE, "GenerateRandom", json!({"NumberOfBytes": 24}));

    calls.note("The wrong key.");
    calls.ask(ALICE, "Decrypt", json!({"CiphertextBlob": blob, "KeyId": other.id}));
    calls.ask(
        ALICE,
        "ReEncrypt",
        json!({"CiphertextBlob": blob, "SourceKeyId": other.id, "DestinationKeyId": key.id}),
    );
    calls.note("The wrong context.");
    calls.ask(ALICE, "Decrypt", json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "b"}}));
    calls.note("What is no blob of this installation.");
    calls.ask(ALICE, "Decrypt", json!({"CiphertextBlob": base64(b"x")}));
    calls.ask(ALICE, "Decrypt", json!({"CiphertextBlob": base64(b"x"), "KeyId": key.id}));
    calls.send(&Ask::new(ALICE, "Decrypt", json!({"CiphertextBlob": blob})).region("eu-west-1"));
    calls.note("Algorithms of other kinds of keys.");
    let algorithm = "RSAES_OAEP_SHA_256";
    calls.ask(
        ALICE,
        "Encrypt",
        json!({"KeyId": key.id, "Plaintext": base64(b"x"), "EncryptionAlgorithm": algorithm}),
    );
    calls.ask(ALICE, "Decrypt", json!({"CiphertextBlob": blob, "EncryptionAlgorithm": algorithm}));
    for side in ["SourceEncryptionAlgorithm", "DestinationEncryptionAlgorithm"] {
        let mut request = json!({"CiphertextBlob": blob, "DestinationKeyId": other.id});
        request[side] = json!(algorithm);
        calls.ask(ALICE, "ReEncrypt", request);
    }
    calls.compare(&expect_file!["golden/crypto.txt"]);
}

#[test]
fn requests_out_of_bounds_are_refused() {
    let world = World::new();
    let key = world.key(ALICE);
    let mut calls = Transcript::of(&world);
    calls.note("Plaintexts are never repeated.");
    for plaintext in [
        json!(""),
        json!(base64(&[7; 4097])),
        json!("c2VjcmV0IQ"),
        json!("c2Vj*mV0"),
        json!("c2VjcmV="),
        json!(["c2VjcmV0"]),
        Value::Null,
    ] {
        calls.ask(ALICE, "Encrypt", json!({"KeyId": key.id, "Plaintext": plaintext}));
    }
    calls.note("Ciphertexts.");
    for blob in [json!(""), json!(base64(&[7; 6145])), json!("AAA"), Value::Null] {
        calls.ask(ALICE, "Decrypt", json!({"CiphertextBlob": blob}));
        calls.ask(ALICE, "ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": key.id}));
    }
    calls.note("Contexts.");
    for context in [json!([]), json!("a"), json!({"a": 1}), json!({"a": null}), json!({"a": {}})] {
        calls.ask(
            ALICE,
            "Encrypt",
            json!({"KeyId": key.id, "Plaintext": base64(b"x"), "EncryptionContext": context}),
        );
    }
    let twice =
        format!(r#"{{"KeyId":"{}","Plaintext":"eA==","EncryptionContext":{{"a":"1","a":"2"}}}}"#, key.id);
    calls.send(&Ask::raw(ALICE, "Encrypt", &twice));
    calls.note("Lengths of data keys and random bytes.");
    for operation in ["GenerateDataKey", "GenerateDataKeyWithoutPlaintext"] {
        for length in [
            json!({}),
            json!({"KeySpec": "AES_256", "NumberOfBytes": 32}),
            json!({"NumberOfBytes": 0}),
            json!({"NumberOfBytes": 1025}),
            json!({"KeySpec": "AES_192"}),
        ] {
            let mut request = length;
            request["KeyId"] = json!(key.id);
            calls.ask(ALICE, operation, request);
        }
    }
    for request in [
        json!({}),
        json!({"NumberOfBytes": 0}),
        json!({"NumberOfBytes": 1025}),
        json!({"NumberOfBytes": "1"}),
    ] {
        calls.ask(ALICE, "GenerateRandom", request);
    }
    calls.compare(&expect_file!["golden/crypto_bounds.txt"]);
}

#[test]
fn what_this_version_does_not_have_says_so() {
    let world = World::new();
    let key = world.key(ALICE);
    let mut calls = Transcript::of(&world);
    calls.ask(ALICE, "GenerateRandom", json!({"NumberOfBytes": 1, "CustomKeyStoreId": "cks-1"}));
    let token = json!(["a-grant-token"]);
    for (operation, mut request) in [
        ("DescribeKey", json!({"KeyId": key.id})),
        ("Encrypt", json!({"KeyId": key.id, "Plaintext": base64(b"x")})),
        ("Decrypt", json!({"CiphertextBlob": base64(b"x")})),
        ("ReEncrypt", json!({"CiphertextBlob": base64(b"x"), "DestinationKeyId": key.id})),
        ("GenerateDataKey", json!({"KeyId": key.id, "NumberOfBytes": 1})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key.id, "NumberOfBytes": 1})),
    ] {
        request["GrantTokens"] = token.clone();
        calls.ask(ALICE, operation, request);
    }
    calls.compare(&expect_file!["golden/not_served.txt"]);
}

/// The order in which a context was written does not matter; everything else of it does.
#[test]
fn a_context_binds_its_pairs_and_nothing_else() {
    let world = World::new();
    let key = world.key(ALICE);
    let encrypt = |context: &str| {
        let body = format!(r#"{{"KeyId":"{}","Plaintext":"eA==","EncryptionContext":{context}}}"#, key.id);
        let answer = world.send(&Ask::raw(ALICE, "Encrypt", &body));
        serde_json::from_str::<Value>(&answer.body).unwrap()["CiphertextBlob"].as_str().unwrap().to_owned()
    };
    let opens = |blob: &str, context: &str| {
        let body = format!(r#"{{"CiphertextBlob":"{blob}","EncryptionContext":{context}}}"#);
        world.send(&Ask::raw(ALICE, "Decrypt", &body)).code
    };
    let blob = encrypt(r#"{"a":"1","b":"2","ä":""}"#);
    assert_eq!(opens(&blob, r#"{"ä":"","b":"2","a":"1"}"#), None);
    assert_eq!(opens(&blob, r#"{"\u0061":"\u0031","b":"2","\u00e4":""}"#), None);
    for wrong in [
        "null",
        "{}",
        r#"{"a":"1","b":"2"}"#,
        r#"{"a":"2","b":"1","ä":""}"#,
        r#"{"A":"1","b":"2","ä":""}"#,
        r#"{"a":"1","b":"2","a\u0308":""}"#,
        r#"{"a":"1","b":"2","ä":"","c":""}"#,
        r#"{"a":"1b","":"2","ä":""}"#,
    ] {
        assert_eq!(opens(&blob, wrong), Some("InvalidCiphertextException"), "{wrong}");
    }
    // No context and an empty one are the same.
    assert_eq!(opens(&encrypt("{}"), "null"), None);
    assert_eq!(opens(&encrypt("null"), "{}"), None);
}

#[test]
fn sizes_at_their_bounds_are_served() {
    let world = World::new();
    let key = world.key(ALICE);
    for length in [1, 4096] {
        let blob = world.encrypt(ALICE, &key, &vec![7; length], json!({}));
        assert_eq!(open(&world, &blob, json!({})), Ok(vec![7; length]));
    }
    // 8,192 bytes: four for the count, eight and its text for each pair.
    let context = |length: usize| json!({"k": "v".repeat(length - 4 - 8 - 1)});
    let blob = world.encrypt(ALICE, &key, b"x", context(8192));
    assert_eq!(open(&world, &blob, context(8192)), Ok(b"x".to_vec()));
    let request = json!({"KeyId": key.id, "Plaintext": "eA==", "EncryptionContext": context(8193)});
    check(
        &world,
        ALICE,
        "Encrypt",
        request,
        &expect![[
            r#"400 {"__type":"ValidationException","message":"1 validation error detected: Value at 'encryptionContext' failed to satisfy constraint: Member must have length less than or equal to 8192"}"#
        ]],
    );
    for length in [1, 16, 1024] {
        let made = world.succeed(ALICE, "GenerateDataKey", json!({"KeyId": key.id, "NumberOfBytes": length}));
        let plaintext = unbase64(&made["Plaintext"]);
        assert_eq!(plaintext.len(), length);
        assert_eq!(open(&world, made["CiphertextBlob"].as_str().unwrap(), json!({})), Ok(plaintext));
        let request = json!({"KeyId": key.id, "NumberOfBytes": length, "EncryptionContext": {"a": "b"}});
        let hidden = world.succeed(ALICE, "GenerateDataKeyWithoutPlaintext", request);
        let opened = open(&world, hidden["CiphertextBlob"].as_str().unwrap(), json!({"a": "b"}));
        assert_eq!(opened.map(|bytes| bytes.len()), Ok(length));
        let random = world.succeed(ALICE, "GenerateRandom", json!({"NumberOfBytes": length}));
        assert_eq!(unbase64(&random["Plaintext"]).len(), length);
    }
    // The same question gets another answer each time.
    let again = || world.encrypt(ALICE, &key, b"x", json!({}));
    assert_ne!(again(), again());
}

#[test]
fn a_blob_is_encrypted_anew_under_any_key_and_context() {
    let world = World::new();
    let (one, two) = (world.key(ALICE), world.key(ALICE));
    let old = world.encrypt(ALICE, &one, b"secret", json!({"v": "1"}));
    for (destination, context) in [(&one, json!({"v": "2"})), (&two, json!({})), (&two, json!({"v": "1"}))] {
        let request = json!({"CiphertextBlob": old, "SourceEncryptionContext": {"v": "1"},
            "DestinationKeyId": destination.id, "DestinationEncryptionContext": context});
        let answer = world.send(&Ask::new(ALICE, "ReEncrypt", request));
        assert_eq!(answer.commands, ["ReEncrypt"], "the plaintext stays in the HSM");
        let made: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((&made["SourceKeyId"], &made["KeyId"]), (&json!(one.arn), &json!(destination.arn)));
        let new = made["CiphertextBlob"].as_str().unwrap();
        assert_eq!(open(&world, new, context), Ok(b"secret".to_vec()));
        assert_eq!(open(&world, new, json!({"v": "3"})), Err("InvalidCiphertextException"));
        let request =
            json!({"CiphertextBlob": new, "KeyId": destination.id, "EncryptionContext": {"v": "3"}});
        assert_eq!(world.refuse(ALICE, "Decrypt", request), "InvalidCiphertextException");
    }
    let wrong = json!({"CiphertextBlob": old, "DestinationKeyId": two.id});
    assert_eq!(world.refuse(ALICE, "ReEncrypt", wrong), "InvalidCiphertextException");
    assert_eq!(open(&world, &old, json!({"v": "1"})), Ok(b"secret".to_vec()));
}

/// Every bit of a blob matters, and none of its altered forms opens or tells more than that it does not.
#[test]
fn an_altered_blob_does_not_open() {
    let world = World::new();
    let key = world.key(ALICE);
    let blob = unbase64(&json!(world.encrypt(ALICE, &key, b"secret", json!({}))));
    let refused = |altered: &[u8], named: bool| {
        let mut request = json!({"CiphertextBlob": base64(altered)});
        if named {
            request["KeyId"] = json!(key.id);
        }
        let handled = world.handle(&Ask::new(ALICE, "Decrypt", request));
        let code = handled.code.unwrap_or("none");
        let expected = [
            "InvalidCiphertextException",
            if named { "IncorrectKeyException" } else { "AccessDeniedException" },
        ];
        assert!(expected.contains(&code), "{code}");
    };
    for bit in 0..blob.len() * 8 {
        let mut altered = blob.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        refused(&altered, bit % 2 == 0);
    }
    for length in 1..blob.len() {
        refused(&blob[..length], length % 2 == 0);
    }
    for named in [true, false] {
        refused(&[&*blob, &[0]].concat(), named);
        refused(&[&blob[..], &blob[..]].concat(), named);
    }
    let opened = world.succeed(ALICE, "Decrypt", json!({"CiphertextBlob": base64(&blob)}));
    assert_eq!(unbase64(&opened["Plaintext"]), b"secret");
}

fn dry(
    world: &World,
    caller: Root,
    operation: &str,
    mut request: Value,
) -> (&'static str, Vec<&'static str>) {
    request["DryRun"] = json!(true);
    let answer = world.send(&Ask::new(caller, operation, request));
    (answer.code.unwrap(), answer.commands)
}

#[test]
fn a_dry_run_says_what_would_happen_and_does_nothing() {
    let world = World::new();
    let (key, other) = (world.key(ALICE), world.key(ALICE));
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    let would_succeed = "DryRunOperationException";
    for (operation, request) in [
        ("Encrypt", json!({"KeyId": key.id, "Plaintext": "eA=="})),
        ("GenerateDataKey", json!({"KeyId": key.id, "NumberOfBytes": 1})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key.id, "NumberOfBytes": 1})),
    ] {
        assert_eq!(dry(&world, ALICE, operation, request), (would_succeed, vec![]), "{operation}");
    }
    let opens = json!({"CiphertextBlob": blob});
    let moves = json!({"CiphertextBlob": blob, "DestinationKeyId": other.id});
    assert_eq!(dry(&world, ALICE, "Decrypt", opens.clone()).0, would_succeed);
    assert_eq!(dry(&world, ALICE, "ReEncrypt", moves.clone()).0, would_succeed);
    let with = |request: &Value, member: &str, value: Value| {
        let mut request = request.clone();
        request[member] = value;
        request
    };
    let wrong = json!({"a": "b"});
    let decrypt = with(&opens, "EncryptionContext", wrong.clone());
    assert_eq!(dry(&world, ALICE, "Decrypt", decrypt).0, "InvalidCiphertextException");
    let reencrypt = with(&moves, "SourceEncryptionContext", wrong);
    assert_eq!(dry(&world, ALICE, "ReEncrypt", reencrypt).0, "InvalidCiphertextException");
    let decrypt = with(&opens, "KeyId", json!(other.id));
    assert_eq!(dry(&world, ALICE, "Decrypt", decrypt).0, "IncorrectKeyException");
    // `false` and `null` are no dry run.
    for value in [json!(false), json!("false"), Value::Null] {
        world.succeed(ALICE, "Decrypt", with(&opens, "DryRun", value));
    }
}

#[test]
fn a_dry_run_may_ignore_the_ciphertext() {
    let world = World::new();
    let (key, other) = (world.key(ALICE), world.key(ALICE));
    let ignore = json!(["IGNORE_CIPHERTEXT"]);
    let mut calls = Transcript::of(&world);
    for request in [
        json!({"KeyId": key.id, "DryRun": true, "DryRunModifiers": ignore}),
        json!({"KeyId": key.id, "DryRun": true, "DryRunModifiers": ignore, "CiphertextBlob": base64(b"x")}),
        json!({"DryRun": true, "DryRunModifiers": ignore}),
        json!({"KeyId": key.id, "DryRun": false, "DryRunModifiers": ignore, "CiphertextBlob": base64(b"x")}),
        json!({"KeyId": key.id, "DryRunModifiers": ignore}),
        json!({"KeyId": key.id, "DryRun": true, "DryRunModifiers": []}),
        json!({"KeyId": key.id, "DryRun": true, "DryRunModifiers": ["ALL"]}),
        json!({"KeyId": key.id, "DryRun": true}),
    ] {
        assert_eq!(calls.ask(ALICE, "Decrypt", request.clone()).commands, [""; 0]);
        let mut moves = request;
        let source = moves.as_object_mut().unwrap().remove("KeyId");
        if let Some(source) = source {
            moves["SourceKeyId"] = source;
        }
        moves["DestinationKeyId"] = json!(other.id);
        assert_eq!(calls.ask(ALICE, "ReEncrypt", moves).commands, [""; 0]);
    }
    calls.compare(&expect_file!["golden/dry_run.txt"]);
}
