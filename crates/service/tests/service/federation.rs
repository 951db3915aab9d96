//! Identity providers, and the sessions of those whom they vouch for.

use aws_lc_rs::hmac;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::actor::{Actor, Reply, allow, credentials, send, unsigned};
use crate::issuer::{Signer, base64url, serve};
use crate::world::{ALICE, BOB, Key, World};

pub(crate) const ISSUER: &str = "https://issuer.example/realm";
pub(crate) const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/issuer.example/realm";
pub(crate) const ROLE: &str = "arn:aws:iam::111122223333:role/Web";
pub(crate) const AUDIENCE: &str = "sts.amazonaws.com";
const HEADER: &str = r#"{"alg":"RS256","typ":"JWT","kid":"k1"}"#;

/// A provider whose issuer is served, a role that trusts one subject of it, and a key.
pub(crate) fn with_provider() -> (World, Key) {
    let world = World::new();
    serve(&world.web, ISSUER, &[Signer::rsa().jwk("k1")]);
    let root = Actor::from(ALICE);
    let print = "A".repeat(40);
    let members =
        [("Url", ISSUER), ("ClientIDList.member.1", AUDIENCE), ("ThumbprintList.member.1", &*print)];
    assert_eq!(
        root.does(&world, "CreateOpenIDConnectProvider", &members).element("OpenIDConnectProviderArn"),
        PROVIDER
    );
    root.does(
        &world,
        "CreateRole",
        &[("RoleName", "Web"), ("AssumeRolePolicyDocument", &trust(&condition()))],
    );
    give_role(&world, &allow(&["kms:*"]));
    let key = world.key(ALICE);
    (world, key)
}

fn give_role(world: &World, policy: &str) {
    let members = [("RoleName", "Web"), ("PolicyName", "p"), ("PolicyDocument", policy)];
    Actor::from(ALICE).does(world, "PutRolePolicy", &members);
}

fn condition() -> Value {
    json!({"StringEquals": {"issuer.example/realm:aud": AUDIENCE, "issuer.example/realm:sub": "system:app"}})
}

fn trust(condition: &Value) -> String {
    let statement = json!({"Effect": "Allow", "Principal": {"Federated": PROVIDER},
        "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"], "Condition": condition});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

fn claims(world: &World) -> Value {
    let now = world.now().seconds();
    json!({"iss": ISSUER, "sub": "system:app", "aud": AUDIENCE, "iat": now, "exp": now + 600, "amr": ["pwd", "otp"]})
}

/// The claims with others in place of some, or without those that are `null`.
fn but(world: &World, changes: &Value) -> String {
    let mut claims = claims(world);
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims.to_string()
}

pub(crate) fn token(world: &World, changes: &Value) -> String {
    Signer::rsa().token(HEADER, &but(world, changes))
}

fn exchange_more(world: &World, token: &str, more: &[(&str, &str)]) -> Reply {
    let members =
        [&[("RoleArn", ROLE), ("RoleSessionName", "app"), ("WebIdentityToken", token)], more].concat();
    unsigned(world, "AssumeRoleWithWebIdentity", &members)
}

pub(crate) fn exchange(world: &World, token: &str) -> Reply {
    exchange_more(world, token, &[])
}

/// A token that must be refused before anyone is authenticated: no event, and this error.
fn check_refused(world: &World, token: &str, code: &str, message: &str) {
    let reply = exchange(world, token);
    assert_eq!(reply.code().as_deref(), Some(code), "{}", reply.body);
    assert!(reply.element("Message").contains(message), "{}", reply.body);
    assert!(reply.event.is_null(), "{reply:?}");
}

const MALFORMED: &str = "The ID Token provided is not a valid JWT.";
const NO_KEY: &str = "Couldn't retrieve verification key from your identity provider";

#[test]
fn a_token_is_exchanged_for_a_session() {
    let (world, key) = with_provider();
    let token = token(&world, &json!({}));
    let reply = exchange(&world, &token);
    assert_eq!(reply.element("SubjectFromWebIdentityToken"), "system:app");
    assert_eq!(reply.element("Audience"), AUDIENCE);
    assert_eq!(reply.element("Provider"), "issuer.example/realm");
    assert_eq!(reply.element("Arn"), "arn:aws:sts::111122223333:assumed-role/Web/app");
    let who = &reply.event["userIdentity"];
    let expected = json!({"type": "WebIdentityUser", "principalId": format!("{PROVIDER}:{AUDIENCE}:system:app"),
        "userName": "system:app", "identityProvider": PROVIDER});
    assert_eq!(*who, expected);
    assert_eq!(reply.event["requestParameters"], json!({"roleArn": ROLE, "roleSessionName": "app"}));
    assert_eq!(reply.event["responseElements"]["subjectFromWebIdentityToken"], "system:app");
    assert_eq!(reply.event["recipientAccountId"], ALICE.account);
    let session = credentials(&reply);
    let used = session.kms(&world, "DescribeKey", &json!({"KeyId": key.arn}));
    assert_eq!(used.status, 200, "{}", used.body);
    let context = &used.event["userIdentity"]["sessionContext"];
    assert_eq!(context["webIdFederationData"], json!({"federatedProvider": PROVIDER, "attributes": {}}));
    assert_eq!(context["sessionIssuer"]["arn"], ROLE);
    // Neither the trail nor the store knows the token: its signature, as text or as it is.
    let text = token.rsplit('.').next().unwrap();
    let signature = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(text).unwrap();
    for needle in [&text.as_bytes()[text.len() - 40..], &signature[signature.len() - 30..]] {
        let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        assert!(!world.ledger.since(0).iter().any(|event| holds(event)));
        assert!(!world.content().iter().any(|record| holds(&record.value)));
    }
}

#[test]
fn each_algorithm_that_is_accepted_is() {
    let (world, _) = with_provider();
    let curve = Signer::curve();
    serve(&world.web, ISSUER, &[Signer::rsa().jwk("k1"), curve.jwk("k2")]);
    let payload = claims(&world).to_string();
    for (signer, header) in [
        (Signer::rsa(), HEADER),
        (Signer::rsa(), r#"{"alg":"RS512","kid":"k1"}"#),
        (&curve, r#"{"alg":"ES256","kid":"k2"}"#),
    ] {
        assert_eq!(exchange(&world, &signer.token(header, &payload)).status, 200, "{header}");
    }
}

/// Attack A18: a token without a signature, in every spelling.
#[test]
fn a18_alg_none_is_refused() {
    let (world, _) = with_provider();
    let payload = base64url(claims(&world).to_string().as_bytes());
    for algorithm in ["none", "None", "NONE", "", "nOnE"] {
        let header = base64url(format!(r#"{{"alg":"{algorithm}","kid":"k1"}}"#).as_bytes());
        for signature in ["", "AAAA"] {
            check_refused(
                &world,
                &format!("{header}.{payload}.{signature}"),
                "InvalidIdentityToken",
                MALFORMED,
            );
        }
        check_refused(&world, &format!("{header}.{payload}"), "InvalidIdentityToken", MALFORMED);
    }
    assert!(world.web.take_fetched().is_empty(), "no fetch for what cannot be a token");
}

/// Attack A18: the issuer's public key taken for a shared secret (MinIO CVE-2026-33322).
#[test]
fn a18_hs256_with_the_public_key_is_refused() {
    let (world, _) = with_provider();
    let payload = base64url(claims(&world).to_string().as_bytes());
    for algorithm in ["HS256", "HS384", "HS512"] {
        let message =
            format!("{}.{payload}", base64url(format!(r#"{{"alg":"{algorithm}","kid":"k1"}}"#).as_bytes()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &Signer::rsa().public());
        let tag = hmac::sign(&key, message.as_bytes());
        check_refused(
            &world,
            &format!("{message}.{}", base64url(tag.as_ref())),
            "InvalidIdentityToken",
            MALFORMED,
        );
    }
}

/// Attack A18: keys that are not the issuer's, and algorithms that are not the key's.
#[test]
fn a18_another_issuers_key_is_refused() {
    let (world, _) = with_provider();
    let (other, payload) = (Signer::curve(), claims(&world).to_string());
    // Another key under the id of one of the issuer's.
    serve(&world.web, ISSUER, &[Signer::rsa().jwk("k1"), Signer::curve().jwk("k2")]);
    let wrong = other.token(r#"{"alg":"ES256","kid":"k2"}"#, &payload);
    check_refused(&world, &wrong, "InvalidIdentityToken", "The signature of the token is not valid");
    // A key that comes along in the header is nobody's.
    let header = json!({"alg": "ES256", "kid": "k9", "jwk": other.jwk("k9")}).to_string();
    check_refused(&world, &other.token(&header, &payload), "InvalidIdentityToken", NO_KEY);
    let mixed = other.token(r#"{"alg":"ES256","kid":"k1"}"#, &payload);
    check_refused(&world, &mixed, "InvalidIdentityToken", NO_KEY);
    let without = Signer::rsa().token(r#"{"alg":"RS256"}"#, &payload);
    check_refused(&world, &without, "InvalidIdentityToken", MALFORMED);
    // Signed, then altered.
    let good = token(&world, &json!({}));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (head, _) = message.split_once('.').unwrap();
    let altered = base64url(but(&world, &json!({"sub": "system:app", "email": "x"})).as_bytes());
    check_refused(&world, &format!("{head}.{altered}.{signature}"), "InvalidIdentityToken", "signature");
    // A provider that signs tokens of another issuer.
    let foreign = token(&world, &json!({"iss": "https://other.example"}));
    check_refused(
        &world,
        &foreign,
        "InvalidIdentityToken",
        "No OpenIDConnect provider found in your account for https://other.example",
    );
    serve(&world.web, "https://other.example", &[Signer::rsa().jwk("k1")]);
    Actor::from(BOB).does(&world, "CreateOpenIDConnectProvider", &[("Url", "https://other.example")]);
    check_refused(&world, &foreign, "InvalidIdentityToken", "No OpenIDConnect provider found");
}

#[test]
fn a_token_for_somebody_else_is_refused() {
    let (world, _) = with_provider();
    let check = |changes: Value, message: &str| {
        check_refused(&world, &token(&world, &changes), "InvalidIdentityToken", message)
    };
    check(json!({"aud": "another"}), "Incorrect token audience");
    check(json!({"aud": []}), "Incorrect token audience");
    check(json!({"aud": null}), "Missing a required claim: aud");
    check(json!({"azp": "another"}), "Incorrect token audience");
    check(json!({"sub": null}), "Missing a required claim: sub");
    check(json!({"sub": ""}), "sub");
    check(json!({"sub": "s".repeat(256)}), "sub");
    check(json!({"sub": 7}), MALFORMED);
    check(json!({"iss": format!("{ISSUER}/")}), "No OpenIDConnect provider found");
    check(json!({"iss": "http://issuer.example/realm"}), "No OpenIDConnect provider found");
    let azp = exchange(&world, &token(&world, &json!({"azp": AUDIENCE, "aud": "another"})));
    assert_eq!((azp.status, azp.element("Audience")), (200, AUDIENCE));
    // Trusted is one subject only.
    let denied = exchange(&world, &token(&world, &json!({"sub": "system:other"})));
    assert_eq!(denied.code().unwrap(), "AccessDenied");
    assert_eq!(denied.element("Message"), "Not authorized to perform sts:AssumeRoleWithWebIdentity");
    assert_eq!(denied.event["errorCode"], "AccessDenied");
}

#[test]
fn a_token_out_of_its_time_is_refused() {
    let (world, _) = with_provider();
    let now = world.now().seconds();
    let check = |changes: Value, code: &str, message: &str| {
        check_refused(&world, &token(&world, &changes), code, message)
    };
    let expired =
        format!("Token expired: current date/time {now} must be before the expiration date/time {now}");
    check(json!({"exp": now}), "ExpiredTokenException", &expired);
    check(json!({"exp": now - 1}), "ExpiredTokenException", "Token expired");
    check(json!({"exp": null}), "InvalidIdentityToken", "Missing a required claim: exp");
    check(json!({"iat": null}), "InvalidIdentityToken", "Missing a required claim: iat");
    check(json!({"exp": "soon"}), "InvalidIdentityToken", MALFORMED);
    check(json!({"nbf": now + 61}), "InvalidIdentityToken", "not yet valid");
    check(json!({"iat": now + 61}), "InvalidIdentityToken", "issued-at");
    check(json!({"iat": now - 86_401}), "InvalidIdentityToken", "within the last 24 hours");
    for good in
        [json!({"nbf": now + 60}), json!({"iat": now + 60}), json!({"exp": now + 1}), json!({"exp": 1e300})]
    {
        assert_eq!(exchange(&world, &token(&world, &good)).status, 200, "{good}");
    }
    // A clock that is set back does not bring a token back.
    let short = token(&world, &json!({"exp": now + 5}));
    world.clock.advance(5_000);
    check_refused(&world, &short, "ExpiredTokenException", "Token expired");
    world.clock.advance(-5_000);
    check_refused(&world, &short, "ExpiredTokenException", "Token expired");
}

/// Attack: one reader takes the first of two members, another the last.
#[test]
fn a_token_with_members_that_stand_twice_is_refused() {
    let (world, _) = with_provider();
    let payload = claims(&world).to_string();
    let twice = payload.replacen('{', r#"{"sub":"system:app","#, 1);
    check_refused(&world, &Signer::rsa().token(HEADER, &twice), "InvalidIdentityToken", MALFORMED);
    let nested = payload.replacen('{', r#"{"x":{"a":1,"a":2},"#, 1);
    check_refused(&world, &Signer::rsa().token(HEADER, &nested), "InvalidIdentityToken", MALFORMED);
    let header = r#"{"alg":"RS256","kid":"k1","kid":"k2"}"#;
    check_refused(&world, &Signer::rsa().token(header, &payload), "InvalidIdentityToken", MALFORMED);
    let critical = r#"{"alg":"RS256","kid":"k1","crit":["b64"],"b64":false}"#;
    check_refused(&world, &Signer::rsa().token(critical, &payload), "InvalidIdentityToken", MALFORMED);
}

#[test]
fn a_huge_token_is_refused() {
    let (world, _) = with_provider();
    let huge = token(&world, &json!({"padding": "x".repeat(20_000)}));
    let reply = exchange(&world, &huge);
    assert_eq!(reply.code().unwrap(), "ValidationError");
    assert!(reply.body.contains("Member must have length less than or equal to 20000"), "{}", reply.body);
    assert!(!reply.body.contains(huge.split_at(64).0), "the token is not repeated");
    for text in ["....", "a.b.c", "a.b.c.d", "eyJ9.eyJ9.", &"A".repeat(20_000), &".".repeat(20_000)] {
        check_refused(&world, text, "InvalidIdentityToken", MALFORMED);
    }
    let deep = format!("{}{}", r#"{"a":"#, "[".repeat(5_000));
    check_refused(&world, &Signer::rsa().token(HEADER, &deep), "InvalidIdentityToken", MALFORMED);
}

/// Attack A20: whoever has tokens of a registered issuer cannot make this server ask it more than once a minute.
#[test]
fn a20_storms_of_unknown_keys_make_few_fetches() {
    let (world, _) = with_provider();
    let unknown = |number: usize| {
        let header = format!(r#"{{"alg":"RS256","kid":"u{number}"}}"#);
        Signer::rsa().token(&header, &claims(&world).to_string())
    };
    assert_eq!(exchange(&world, &token(&world, &json!({}))).status, 200);
    assert_eq!(world.web.take_fetched().len(), 2, "the configuration and the keys");
    for number in 0..50 {
        check_refused(&world, &unknown(number), "InvalidIdentityToken", NO_KEY);
    }
    assert!(world.web.take_fetched().is_empty());
    world.clock.advance(60_000);
    for number in 0..50 {
        check_refused(&world, &unknown(number), "InvalidIdentityToken", NO_KEY);
    }
    assert_eq!(world.web.take_fetched().len(), 2);
    // Known keys need none meanwhile; a key that is new is found after the pause.
    let new = Signer::curve();
    serve(&world.web, ISSUER, &[Signer::rsa().jwk("k1"), new.jwk("new")]);
    let signed = |world: &World| new.token(r#"{"alg":"ES256","kid":"new"}"#, &claims(world).to_string());
    assert_eq!(exchange(&world, &token(&world, &json!({}))).status, 200);
    check_refused(&world, &signed(&world), "InvalidIdentityToken", NO_KEY);
    world.clock.advance(60_000);
    assert_eq!(exchange(&world, &signed(&world)).status, 200);
}

/// Attack A24: an issuer that does not answer, or not as it must, vouches for nobody.
#[test]
fn a24_an_issuer_that_fails_vouches_for_nobody() {
    let (world, _) = with_provider();
    let check = |configuration: &str, keys: &str| {
        world.web.clear();
        world.clock.advance(11 * 60 * 1000);
        world.web.serve(&format!("{ISSUER}/.well-known/openid-configuration"), configuration);
        world.web.serve(&format!("{ISSUER}/keys"), keys);
        check_refused(&world, &token(&world, &json!({})), "IDPCommunicationError", "");
        let fetched = world.web.take_fetched();
        assert!(fetched.iter().all(|source| source.url.starts_with(ISSUER)), "{fetched:?}");
        // It is not asked again at once.
        check_refused(&world, &token(&world, &json!({})), "IDPCommunicationError", "");
        assert!(world.web.take_fetched().is_empty());
    };
    let good = json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/keys")}).to_string();
    let keys = json!({"keys": [Signer::rsa().jwk("k1")]}).to_string();
    let other = |member: &str, value: &str| {
        let mut configuration: Value = serde_json::from_str(&good).unwrap();
        configuration[member] = json!(value);
        configuration.to_string()
    };
    check("", &keys);
    check("[]", &keys);
    check(&other("issuer", "https://other.example"), &keys);
    check(&other("jwks_uri", "http://issuer.example/realm/keys"), &keys);
    check(&other("jwks_uri", "file:///etc/passwd"), &keys);
    check(&other("jwks_uri", "https://user@issuer.example/realm/keys"), &keys);
    check(&good.replacen('{', r#"{"issuer":"https://issuer.example/realm","#, 1), &keys);
    check(&good, "");
    check(&good, &keys.replacen('{', r#"{"keys":[],"#, 1));
    check(&good, &" ".repeat(300 * 1024));
    // Keys that were fetched are good for ten minutes, and not longer.
    world.clock.advance(11 * 60 * 1000);
    serve(&world.web, ISSUER, &[Signer::rsa().jwk("k1")]);
    assert_eq!(exchange(&world, &token(&world, &json!({}))).status, 200);
    world.web.clear();
    world.clock.advance(10 * 60 * 1000 - 1);
    assert_eq!(exchange(&world, &token(&world, &json!({}))).status, 200);
    world.clock.advance(1);
    check_refused(&world, &token(&world, &json!({})), "IDPCommunicationError", "");
}

/// Attack: keys that are too short to mean anything.
#[test]
fn a_short_rsa_key_verifies_nothing() {
    let (world, _) = with_provider();
    let short = json!({"kty": "RSA", "kid": "k1", "n": base64url(&[0xc5; 128]), "e": "AQAB"});
    serve(&world.web, ISSUER, &[short]);
    check_refused(&world, &token(&world, &json!({})), "InvalidIdentityToken", NO_KEY);
}

/// Attacks A1 and A25: one action is reached without a signature, and no other.
#[test]
fn a25_one_action_is_reached_without_a_signature() {
    let (world, _) = with_provider();
    for api in claviger_service::query::APIS {
        for entry in api.entries {
            let body = format!("Action={}&Version={}", entry.name, api.version);
            let request = Request::builder()
                .method(Method::POST)
                .uri("/")
                .header("content-type", "application/x-www-form-urlencoded");
            let reply = send(&world, entry.name, &crate::actor::bare(request, &body));
            let open = entry.name == "AssumeRoleWithWebIdentity";
            let expected = if open { "ValidationError" } else { "MissingAuthenticationToken" };
            assert_eq!(reply.code().unwrap(), expected, "{}", entry.name);
            assert!(reply.event.is_null());
        }
    }
    for entry in claviger_service::kms::ops::ALL {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/")
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("TrentService.{}", entry.name));
        let reply = send(&world, entry.name, &crate::actor::bare(request, "{}"));
        assert_eq!(reply.code().unwrap(), "MissingAuthenticationTokenException", "{}", entry.name);
    }
    // A token gives what it gives and nothing besides: another action with it is not signed.
    let token = token(&world, &json!({}));
    let members = [("RoleArn", ROLE), ("RoleSessionName", "app"), ("WebIdentityToken", &*token)];
    for action in ["AssumeRole", "GetSessionToken", "GetCallerIdentity"] {
        assert_eq!(unsigned(&world, action, &members).code().unwrap(), "MissingAuthenticationToken");
    }
}

/// Attack A18: sessions die with the role and with the provider; one made again under the same address is another.
#[test]
fn a18_a_session_ends_with_its_provider_and_with_its_role() {
    let (world, key) = with_provider();
    let root = Actor::from(ALICE);
    let session = credentials(&exchange(&world, &token(&world, &json!({}))));
    let describe = |actor: &Actor| actor.kms(&world, "DescribeKey", &json!({"KeyId": key.arn})).code();
    assert_eq!(describe(&session), None);
    root.does(&world, "DeleteOpenIDConnectProvider", &[("OpenIDConnectProviderArn", PROVIDER)]);
    assert_eq!(describe(&session).as_deref(), Some("UnrecognizedClientException"));
    check_refused(
        &world,
        &token(&world, &json!({})),
        "InvalidIdentityToken",
        "No OpenIDConnect provider found",
    );
    root.does(&world, "CreateOpenIDConnectProvider", &[("Url", ISSUER), ("ClientIDList.member.1", AUDIENCE)]);
    assert_eq!(describe(&session).as_deref(), Some("UnrecognizedClientException"));
    let again = credentials(&exchange(&world, &token(&world, &json!({}))));
    assert_eq!(describe(&again), None);
    root.does(&world, "DeleteRolePolicy", &[("RoleName", "Web"), ("PolicyName", "p")]);
    root.does(&world, "DeleteRole", &[("RoleName", "Web")]);
    assert_eq!(describe(&again).as_deref(), Some("UnrecognizedClientException"));
    let denied = exchange(&world, &token(&world, &json!({})));
    assert_eq!(denied.element("Message"), "Not authorized to perform sts:AssumeRoleWithWebIdentity");
}

/// What the provider said is what conditions of later requests see.
#[test]
fn claims_follow_a_session() {
    let (world, key) = with_provider();
    let allowed = |condition: Value, changes: Value| {
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Condition": condition}]});
        give_role(&world, &policy.to_string());
        let session = credentials(&exchange(&world, &token(&world, &changes)));
        session.kms(&world, "DescribeKey", &json!({"KeyId": key.arn})).status == 200
    };
    let none = || json!({});
    assert!(allowed(json!({"StringEquals": {"issuer.example/realm:sub": "system:app"}}), none()));
    assert!(allowed(json!({"StringEquals": {"ISSUER.example/Realm:AUD": AUDIENCE}}), none()));
    assert!(!allowed(json!({"StringEquals": {"issuer.example/realm:sub": "system:other"}}), none()));
    assert!(!allowed(json!({"StringEquals": {"other.example/realm:sub": "system:app"}}), none()));
    assert!(!allowed(json!({"StringEquals": {"issuer.example/realm:email": "a@b"}}), none()));
    assert!(allowed(json!({"StringEquals": {"issuer.example/realm:email": "a@b"}}), json!({"email": "a@b"})));
    assert!(allowed(json!({"ForAnyValue:StringEquals": {"issuer.example/realm:amr": "otp"}}), none()));
    assert!(!allowed(json!({"ForAnyValue:StringEquals": {"issuer.example/realm:amr": "face"}}), none()));
    assert!(allowed(json!({"StringEquals": {"aws:FederatedProvider": PROVIDER}}), none()));
    assert!(!allowed(json!({"StringEquals": {"aws:FederatedProvider": "x"}}), none()));
    // Tags and source identity come from the token, and must be allowed.
    let tagged = json!({"https://aws.amazon.com/tags": {"principal_tags": {"team": ["red"]}},
        "https://aws.amazon.com/source_identity": "ann@example"});
    let both = json!({"StringEquals": {"aws:PrincipalTag/team": "red", "aws:SourceIdentity": "ann@example"}});
    assert!(allowed(both.clone(), tagged.clone()));
    assert!(!allowed(both, none()));
    for bad in [
        json!({"https://aws.amazon.com/tags": {"principal_tags": {"team": ["red", "blue"]}}}),
        json!({"https://aws.amazon.com/tags": {"principal_tags": {"aws:team": ["red"]}}}),
        json!({"https://aws.amazon.com/tags": {"principal_tags": {"a": ["1"], "A": ["2"]}}}),
        json!({"https://aws.amazon.com/tags": {"transitive_tag_keys": ["a"]}}),
        json!({"https://aws.amazon.com/source_identity": "a b"}),
    ] {
        let reply = exchange(&world, &token(&world, &bad));
        assert_eq!((reply.status, reply.code().as_deref()), (403, Some("IDPRejectedClaim")), "{bad}");
    }
    let plain = trust(&condition()).replace(r#","sts:TagSession","sts:SetSourceIdentity""#, "");
    Actor::from(ALICE).does(
        &world,
        "UpdateAssumeRolePolicy",
        &[("RoleName", "Web"), ("PolicyDocument", &plain)],
    );
    let denied = exchange(&world, &token(&world, &tagged));
    assert_eq!(denied.element("Message"), "Not authorized to perform sts:TagSession");
}

/// A token that names several audiences that are registered is trusted only where each of them is.
#[test]
fn several_audiences_must_all_be_trusted() {
    let (world, _) = with_provider();
    let root = Actor::from(ALICE);
    let both = token(&world, &json!({"aud": [AUDIENCE, "second"]}));
    assert_eq!(exchange(&world, &both).status, 200);
    let members = [("OpenIDConnectProviderArn", PROVIDER), ("ClientID", "second")];
    root.does(&world, "AddClientIDToOpenIDConnectProvider", &members);
    assert_eq!(exchange(&world, &both).code().unwrap(), "AccessDenied");
    root.does(&world, "RemoveClientIDFromOpenIDConnectProvider", &members);
    assert_eq!(exchange(&world, &both).status, 200);
}

#[test]
fn session_policies_and_durations_cap_a_web_identity() {
    let (world, key) = with_provider();
    let token = token(&world, &json!({}));
    let list = allow(&["kms:ListKeys"]);
    let capped = credentials(&exchange_more(&world, &token, &[("Policy", &list)]));
    assert_eq!(capped.kms(&world, "ListKeys", &json!({})).status, 200);
    assert_eq!(capped.kms(&world, "DescribeKey", &json!({"KeyId": key.arn})).status, 400);
    let long = exchange_more(&world, &token, &[("DurationSeconds", "3601")]);
    assert_eq!(
        long.element("Message"),
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    );
    let access = exchange_more(&world, &token, &[("ProviderId", "www.amazon.com")]);
    assert_eq!(access.code().unwrap(), "InvalidParameterValue");
    let foreign = [
        ("RoleArn", "arn:aws:iam::444455556666:role/Web"),
        ("RoleSessionName", "app"),
        ("WebIdentityToken", &*token),
    ];
    assert_eq!(
        unsigned(&world, "AssumeRoleWithWebIdentity", &foreign).code().unwrap(),
        "InvalidIdentityToken"
    );
    let wrong = [
        ("RoleArn", "arn:aws:s3:::some-bucket-name"),
        ("RoleSessionName", "app"),
        ("WebIdentityToken", &*token),
    ];
    assert_eq!(unsigned(&world, "AssumeRoleWithWebIdentity", &wrong).code().unwrap(), "ValidationError");
    assert_eq!(capped.sts(&world, "GetSessionToken", &[]).code().unwrap(), "AccessDenied");
}

/// A role that trusts users only is not for tokens, nor is one that trusts tokens for users.
#[test]
fn only_roles_that_name_the_provider_are_assumed() {
    let (world, _) = with_provider();
    let root = Actor::from(ALICE);
    let users = crate::actor::trusts(ALICE.account).replace("sts:AssumeRole", "sts:*");
    root.does(&world, "UpdateAssumeRolePolicy", &[("RoleName", "Web"), ("PolicyDocument", &users)]);
    assert_eq!(exchange(&world, &token(&world, &json!({}))).code().unwrap(), "AccessDenied");
    let ann = crate::actor::new_user(&world, ALICE, "Ann");
    crate::actor::give(&world, ALICE, "Ann", &allow(&["sts:*"]));
    let web = trust(&json!({})).replace("sts:AssumeRoleWithWebIdentity", "sts:*");
    root.does(&world, "UpdateAssumeRolePolicy", &[("RoleName", "Web"), ("PolicyDocument", &web)]);
    let assumed = ann.sts(&world, "AssumeRole", &[("RoleArn", ROLE), ("RoleSessionName", "s1")]);
    assert_eq!(assumed.code().unwrap(), "AccessDenied");
    let unknown = trust(&json!({})).replace("issuer.example/realm", "unknown.example");
    let members = [("RoleName", "Web"), ("PolicyDocument", &*unknown)];
    let refused = root.iam(&world, "UpdateAssumeRolePolicy", &members);
    assert_eq!(refused.code().unwrap(), "MalformedPolicyDocument");
    assert!(refused.body.contains("FEDERATED"), "{}", refused.body);
}

/// A role trusts whom a provider vouches for only by naming the provider: `*` means principals of AWS.
#[test]
fn a_star_trusts_no_web_identity() {
    let (world, _) = with_provider();
    let put = |principal: &Value, effect: &str| {
        let statement = |effect: &str, principal: &Value| json!({"Effect": effect, "Principal": principal, "Action": "sts:AssumeRoleWithWebIdentity"});
        let provider = statement("Allow", &json!({"Federated": PROVIDER}));
        let other = statement(effect, principal);
        let statements = if effect == "Allow" { vec![other] } else { vec![provider, other] };
        let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let members = [("RoleName", "Web"), ("PolicyDocument", &*document)];
        Actor::from(ALICE).does(&world, "UpdateAssumeRolePolicy", &members);
        exchange(&world, &token(&world, &json!({}))).code()
    };
    assert_eq!(put(&json!({"Federated": PROVIDER}), "Allow"), None);
    for star in [json!("*"), json!({"AWS": "*"})] {
        assert_eq!(put(&star, "Allow").as_deref(), Some("AccessDenied"));
        assert_eq!(put(&star, "Deny").as_deref(), Some("AccessDenied"));
    }
}
