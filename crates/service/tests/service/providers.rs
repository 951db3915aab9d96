//! OpenID Connect providers as IAM keeps them.

use serde_json::json;

use crate::actor::{Actor, unsigned};
use crate::federation::{AUDIENCE, ISSUER, PROVIDER, exchange, token, with_provider};
use crate::issuer::{Signer, serve};
use crate::world::{ALICE, BOB};

#[test]
fn providers_are_registered_and_changed() {
    let (world, _) = with_provider();
    let root = Actor::from(ALICE);
    let arn = [("OpenIDConnectProviderArn", PROVIDER)];
    let with = |name: &'static str, value: &'static str| [arn[0], (name, value)];
    let shown = root.does(&world, "GetOpenIDConnectProvider", &arn);
    assert_eq!(shown.element("Url"), "issuer.example/realm");
    assert_eq!(shown.element("ClientIDList"), format!("<member>{AUDIENCE}</member>"));
    assert_eq!(shown.element("ThumbprintList"), format!("<member>{}</member>", "a".repeat(40)));
    assert_eq!(root.does(&world, "ListOpenIDConnectProviders", &[]).elements("Arn"), [PROVIDER]);
    assert_eq!(Actor::from(BOB).does(&world, "ListOpenIDConnectProviders", &[]).elements("Arn"), [""; 0]);
    assert_eq!(
        root.refused(&world, "CreateOpenIDConnectProvider", &[("Url", ISSUER)]),
        "EntityAlreadyExists"
    );
    for url in
        ["http://issuer.example", "issuer.example", "https://issuer.example?x=1", "https://u@issuer.example"]
    {
        assert_eq!(
            root.refused(&world, "CreateOpenIDConnectProvider", &[("Url", url)]),
            "InvalidInput",
            "{url}"
        );
    }
    let not_hex = "z".repeat(40);
    let members = [("Url", "https://x.example"), ("ThumbprintList.member.1", &*not_hex)];
    assert_eq!(root.refused(&world, "CreateOpenIDConnectProvider", &members), "InvalidInput");
    root.does(
        &world,
        "TagOpenIDConnectProvider",
        &[arn[0], ("Tags.member.1.Key", "a"), ("Tags.member.1.Value", "b")],
    );
    assert_eq!(root.does(&world, "ListOpenIDConnectProviderTags", &arn).element("Value"), "b");
    root.does(&world, "UntagOpenIDConnectProvider", &with("TagKeys.member.1", "a"));
    assert!(root.does(&world, "ListOpenIDConnectProviderTags", &arn).elements("Value").is_empty());
    root.does(&world, "UpdateOpenIDConnectProviderThumbprint", &[arn[0], ("ThumbprintList", "")]);
    assert_eq!(root.does(&world, "GetOpenIDConnectProvider", &arn).elements("member"), [AUDIENCE]);
    let unknown = [("OpenIDConnectProviderArn", "arn:aws:iam::111122223333:oidc-provider/unknown.example")];
    assert_eq!(root.refused(&world, "GetOpenIDConnectProvider", &unknown), "NoSuchEntity");
    root.does(&world, "DeleteOpenIDConnectProvider", &unknown);
    assert_eq!(Actor::from(BOB).refused(&world, "GetOpenIDConnectProvider", &arn), "NoSuchEntity");
    let no_arn = [("OpenIDConnectProviderArn", "arn:aws:iam::111122223333:role/Web")];
    assert_eq!(root.refused(&world, "DeleteOpenIDConnectProvider", &no_arn), "InvalidInput");
    let ann = crate::actor::new_user(&world, ALICE, "Ann");
    assert_eq!(ann.refused(&world, "GetOpenIDConnectProvider", &arn), "AccessDenied");
    assert_eq!(
        ann.refused(&world, "CreateOpenIDConnectProvider", &[("Url", "https://y.example")]),
        "AccessDenied"
    );
    for number in 0..99 {
        root.does(&world, "CreateOpenIDConnectProvider", &[("Url", &format!("https://i{number}.example"))]);
    }
    assert_eq!(
        root.refused(&world, "CreateOpenIDConnectProvider", &[("Url", "https://z.example")]),
        "LimitExceeded"
    );
}

/// What one account takes for an issuer's keys is nothing to another that trusts other authorities.
#[test]
fn accounts_do_not_share_what_they_trust() {
    let (world, _) = with_provider();
    Actor::from(BOB).does(
        &world,
        "CreateOpenIDConnectProvider",
        &[("Url", ISSUER), ("ClientIDList.member.1", AUDIENCE)],
    );
    assert_eq!(exchange(&world, &token(&world, &json!({}))).status, 200);
    let fetched = world.web.take_fetched();
    assert!(fetched.iter().all(|source| source.thumbprints == ["a".repeat(40)]), "{fetched:?}");
    let role = "arn:aws:iam::444455556666:role/None";
    let token = token(&world, &json!({}));
    let members = [("RoleArn", role), ("RoleSessionName", "app"), ("WebIdentityToken", &*token)];
    assert_eq!(unsigned(&world, "AssumeRoleWithWebIdentity", &members).code().unwrap(), "AccessDenied");
    let fetched = world.web.take_fetched();
    assert!(fetched.len() == 2 && fetched.iter().all(|source| source.thumbprints.is_empty()), "{fetched:?}");
}

/// Attack: an administrator of an account has the host ask a server of the operator's network, for which the account itself
/// vouches.
#[test]
fn thumbprints_vouch_for_the_issuers_own_server_only() {
    let print = "a".repeat(40);
    let check = |address: &str, own: bool| {
        let (world, _) = with_provider();
        let configuration = json!({"issuer": ISSUER, "jwks_uri": address}).to_string();
        world.web.serve(&format!("{ISSUER}/.well-known/openid-configuration"), configuration);
        world.web.serve(address, json!({"keys": [Signer::rsa().jwk("k1")]}).to_string());
        assert_eq!(exchange(&world, &token(&world, &json!({}))).status, 200, "{address}");
        let fetched = world.web.take_fetched();
        assert_eq!(fetched[0].thumbprints, [&*print]);
        assert_eq!(fetched[1].url, address);
        assert_eq!(fetched[1].thumbprints.is_empty(), !own, "{address}");
    };
    check("https://issuer.example/keys?v=1", true);
    check("https://ISSUER.example:443/keys", true);
    check("https://issuer.example:8443/keys", false);
    check("https://issuer.example.other/keys", false);
    check("https://10.0.0.5:8443/any?query", false);
}

/// Attack A20: an administrator whose changes of a provider make a new issuer of it each time, so that each may be asked.
#[test]
fn a20_changes_of_providers_make_few_fetches() {
    let (world, _) = with_provider();
    let root = Actor::from(ALICE);
    world.web.clear();

    for number in 0..150 {
        let print = format!("{number:040x}");
        let members = [("OpenIDConnectProviderArn", PROVIDER), ("ThumbprintList.member.1", &*print)];
        root.does(&world, "UpdateOpenIDConnectProviderThumbprint", &members);
        let reply = exchange(&world, &token(&world, &json!({})));
        assert_eq!(reply.code().as_deref(), Some("IDPCommunicationError"), "{}", reply.body);
    }
    assert_eq!(world.web.take_fetched().len(), 120);
    // Another account is not concerned, and neither is this one a minute later.
    serve(&world.web, ISSUER, &[Signer::rsa().jwk("k1")]);
    let members = [("Url", ISSUER), ("ClientIDList.member.1", AUDIENCE)];
    Actor::from(BOB).does(&world, "CreateOpenIDConnectProvider", &members);
    let token_of_now = token(&world, &json!({}));
    let members = [
        ("RoleArn", "arn:aws:iam::444455556666:role/None"),
        ("RoleSessionName", "app"),
        ("WebIdentityToken", &*token_of_now),
    ];
    assert_eq!(unsigned(&world, "AssumeRoleWithWebIdentity", &members).code().unwrap(), "AccessDenied");
    world.clock.advance(60_000);
    assert_eq!(exchange(&world, &token(&world, &json!({}))).status, 200);
}
