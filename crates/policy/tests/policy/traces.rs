//! What the layers say of a request, and which statement came nearest. That the conclusion is always the decision is
//! held by the model's test.

use claviger_policy::{Finding, Kind, Layer, Miss, Policies, Request, trace};

use crate::support::{
    ALLOW_OTHER, BOB, EVE, HOME, KEY, Keys, SESSION, document, grants, guarded, key_policy,
};

/// A finding in a few words: `silent`, `silent, 2 but for Condition`, `allows 0`..
fn words(finding: Finding<'_>) -> String {
    match finding {
        Finding::Absent => "absent".to_owned(),
        Finding::Silent(None) => "silent".to_owned(),
        Finding::Silent(Some(near)) => {
            format!("silent, {} but for {:?}", near.statement.statement, near.miss)
        }
        Finding::Denies(it) => format!("denies {}", it.statement),
        Finding::Allows(it) => format!("allows {}", it.statement),
        Finding::AllowsWithinCaps(it) => format!("allows within caps {}", it.statement),
        Finding::Delegates(it) => format!("delegates {}", it.statement),
    }
}

#[test]
fn a_key_policy_says_how_far_it_goes() {
    let check = |statements: &[String], caller, expected: &str| {
        let policy = key_policy(&statements.join(","));
        let keys = Keys::default();
        let request = Request { principal: caller, action: "kms:Encrypt", resource: KEY, context: &keys };
        assert_eq!(words(trace(&request, &guarded(&policy)).resource), expected, "{statements:?}");
    };
    let account = grants("Allow", HOME);
    let bob = grants("Allow", "arn:aws:iam::111122223333:user/bob");
    let role = grants("Allow", "arn:aws:iam::111122223333:role/ops/admin");
    let narrow = bob.replace("\"Resource\"", r#""Condition":{"StringEquals":{"x:one":"a"}},"Resource""#);
    let elsewhere =
        bob.replace(r#""Resource":"*""#, r#""Resource":"arn:aws:kms:us-east-1:111122223333:key/no""#);
    let other = bob.replace("kms:*", "kms:Decrypt");
    check(std::slice::from_ref(&account), BOB, "delegates 0");
    check(&[account.clone(), bob.clone()], BOB, "allows 1");
    check(&[account, role.clone()], SESSION, "allows within caps 1");
    check(&[bob.clone(), grants("Deny", "*")], BOB, "denies 1");
    check(&[other], BOB, "silent");
    check(&[role, elsewhere.clone()], BOB, "silent, 0 but for Principal");
    check(std::slice::from_ref(&elsewhere), BOB, "silent, 0 but for Resource");
    check(&[elsewhere, bob.clone(), narrow], EVE, "silent, 1 but for Principal");
    let narrow = bob.replace("\"Resource\"", r#""Condition":{"StringEquals":{"x:one":"a"}},"Resource""#);
    check(&[bob.replace("kms:*", "kms:Decrypt"), narrow], BOB, "silent, 1 but for Condition");
}

#[test]
fn every_layer_is_asked_also_behind_the_one_that_decided() {
    let policy = key_policy(&grants("Allow", HOME));
    let other = document(Kind::Identity, ALLOW_OTHER);
    let endpoint = document(Kind::Endpoint, &grants("Deny", "*"));
    let keys = Keys::default();
    let request = Request { principal: BOB, action: "kms:Encrypt", resource: KEY, context: &keys };
    let policies = Policies { boundary: Some(&other), endpoint: Some(&endpoint), ..guarded(&policy) };
    let found = trace(&request, &policies).findings().map(|(layer, finding)| (layer, words(finding)));
    let expected = [
        (Layer::Endpoint, "denies 0"),
        (Layer::Resource, "delegates 0"),
        (Layer::Boundary, "silent"),
        (Layer::Session, "absent"),
        (Layer::Identity, "silent"),
    ];
    assert_eq!(found, expected.map(|(layer, text)| (layer, text.to_owned())));
    assert_eq!(Miss::Condition.max(Miss::Principal), Miss::Condition);
}
