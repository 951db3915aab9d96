//! Passwords of users.

use serde_json::json;

use crate::actor::{Actor, allow, give, new_user};
use crate::world::{ALICE, World};

const FIRST: &str = "First-Password-1";
const SECOND: &str = "Second-Password-2";

fn with_password() -> (World, Actor) {
    let world = World::new();
    let ann = new_user(&world, ALICE, "Ann");
    let members = [("UserName", "Ann"), ("Password", FIRST), ("PasswordResetRequired", "true")];
    let made = Actor::from(ALICE).does(&world, "CreateLoginProfile", &members);
    assert_eq!(made.element("PasswordResetRequired"), "true");
    (world, ann)
}

#[test]
fn a_password_from_its_making_to_its_end() {
    let (world, ann) = with_password();
    let root = Actor::from(ALICE);
    let of_ann = [("UserName", "Ann")];
    assert_eq!(
        root.refused(&world, "CreateLoginProfile", &[of_ann[0], ("Password", SECOND)]),
        "EntityAlreadyExists"
    );
    assert_eq!(root.does(&world, "GetLoginProfile", &of_ann).element("UserName"), "Ann");
    let change = [("OldPassword", FIRST), ("NewPassword", SECOND)];
    assert_eq!(ann.refused(&world, "ChangePassword", &change), "AccessDenied");
    give(&world, ALICE, "Ann", &allow(&["iam:ChangePassword"]));
    let wrong = ann.iam(&world, "ChangePassword", &[("OldPassword", SECOND), ("NewPassword", SECOND)]);
    assert_eq!(wrong.element("Message"), "The old password was incorrect.");
    ann.does(&world, "ChangePassword", &change);
    assert_eq!(root.does(&world, "GetLoginProfile", &of_ann).element("PasswordResetRequired"), "false");
    assert_eq!(ann.refused(&world, "ChangePassword", &change), "AccessDenied");
    assert_eq!(root.refused(&world, "ChangePassword", &change), "InvalidUserType");
    root.does(&world, "UpdateLoginProfile", &[of_ann[0], ("Password", FIRST)]);
    ann.does(&world, "ChangePassword", &change);
    assert_eq!(
        root.refused(&world, "UpdateLoginProfile", &[of_ann[0], ("Password", "short")]),
        "PasswordPolicyViolation"
    );
    root.does(&world, "DeleteUserPolicy", &[of_ann[0], ("PolicyName", "p")]);
    root.does(&world, "DeleteAccessKey", &[of_ann[0], ("AccessKeyId", &ann.access_key_id)]);
    let conflict = root.iam(&world, "DeleteUser", &of_ann);
    assert_eq!(conflict.element("Message"), "Cannot delete entity, must delete login profile first.");
    root.does(&world, "DeleteLoginProfile", &of_ann);
    assert_eq!(root.refused(&world, "DeleteLoginProfile", &of_ann), "NoSuchEntity");
    assert_eq!(root.refused(&world, "UpdateLoginProfile", &of_ann), "NoSuchEntity");
    root.does(&world, "DeleteUser", &of_ann);
    // Neither the trail nor the store knows a password.
    for password in [FIRST, SECOND] {
        let holds = |bytes: &[u8]| bytes.windows(password.len()).any(|window| window == password.as_bytes());
        assert!(!world.ledger.since(0).iter().any(|event| holds(event)));
        assert!(!world.content().iter().any(|record| holds(&record.value)));
    }
}

/// Attack A21: passwords are guessed through ChangePassword.
#[test]
fn a21_guesses_of_a_password_are_few() {
    let (world, ann) = with_password();
    give(&world, ALICE, "Ann", &allow(&["iam:ChangePassword"]));
    let change =
        |old: &str| ann.iam(&world, "ChangePassword", &[("OldPassword", old), ("NewPassword", SECOND)]);
    for number in 0..5 {
        assert_eq!(change(&format!("wrong{number}")).status, 403);
    }
    assert_eq!(change(FIRST).element("Message"), "The old password was incorrect.");
    world.clock.advance(5 * 60 * 1000);
    assert_eq!(change(FIRST).status, 200);
}

/// A password that may not be is refused before any is hashed, and what was not looked at is no guess.
#[test]
fn a_password_that_may_not_be_costs_no_hash() {
    let (world, ann) = with_password();
    give(&world, ALICE, "Ann", &allow(&["iam:ChangePassword"]));
    let change = |old: &str, new: &str| {
        ann.iam(&world, "ChangePassword", &[("OldPassword", old), ("NewPassword", new)])
    };
    for _ in 0..6 {
        assert_eq!(change("wrong", "short").code().as_deref(), Some("PasswordPolicyViolation"));
        assert_eq!(change(FIRST, "short").code().as_deref(), Some("PasswordPolicyViolation"));
    }
    assert_eq!(change(FIRST, SECOND).status, 200);
}

/// Who knows the password does not lock itself out by what else is wrong.
#[test]
fn right_passwords_are_no_guesses() {
    let (world, ann) = with_password();
    give(&world, ALICE, "Ann", &allow(&["iam:ChangePassword"]));
    Actor::from(ALICE).does(&world, "UpdateAccountPasswordPolicy", &[("PasswordReusePrevention", "1")]);
    let change = |old: &str, new: &str| {
        ann.iam(&world, "ChangePassword", &[("OldPassword", old), ("NewPassword", new)])
    };
    for _ in 0..6 {
        assert_eq!(change(FIRST, FIRST).code().as_deref(), Some("PasswordPolicyViolation"));
    }
    assert_eq!(change(FIRST, SECOND).status, 200);
}

#[test]
fn an_account_says_what_passwords_must_be_like() {
    let (world, _) = with_password();
    let root = Actor::from(ALICE);
    assert_eq!(root.refused(&world, "GetAccountPasswordPolicy", &[]), "NoSuchEntity");
    assert_eq!(root.refused(&world, "DeleteAccountPasswordPolicy", &[]), "NoSuchEntity");
    let policy = [
        ("MinimumPasswordLength", "12"),
        ("RequireSymbols", "true"),
        ("MaxPasswordAge", "90"),
        ("PasswordReusePrevention", "2"),
    ];
    root.does(&world, "UpdateAccountPasswordPolicy", &policy);
    let shown = root.does(&world, "GetAccountPasswordPolicy", &[]);
    let values =
        ["MinimumPasswordLength", "RequireSymbols", "RequireNumbers", "ExpirePasswords", "MaxPasswordAge"]
            .map(|name| shown.element(name));
    assert_eq!(values, ["12", "true", "false", "true", "90"]);
    let set = |password: &str| {
        root.iam(&world, "UpdateLoginProfile", &[("UserName", "Ann"), ("Password", password)]).code()
    };
    let refused = || Some("PasswordPolicyViolation".to_owned());
    assert_eq!(set("NoSymbolsHere1"), refused());
    assert_eq!(set("Short-1"), refused());
    assert_eq!(set(FIRST), refused(), "the one that it has");
    assert_eq!(set(SECOND), None);
    assert_eq!(set(FIRST), refused(), "the one before");
    assert_eq!(set("Third-Password-3"), None);
    assert_eq!(set(FIRST), None);
    root.does(&world, "DeleteAccountPasswordPolicy", &[]);
    assert_eq!(set("NoSymbolsHere1"), None);
    assert_eq!(
        root.refused(&world, "UpdateAccountPasswordPolicy", &[("MinimumPasswordLength", "5")]),
        "ValidationError"
    );
}

#[test]
fn an_encoded_message_is_none_of_ours() {
    let (world, ann) = with_password();
    let decode =
        |actor: &Actor| actor.sts(&world, "DecodeAuthorizationMessage", &[("EncodedMessage", "abc")]).code();
    assert_eq!(decode(&ann).as_deref(), Some("AccessDenied"));
    give(&world, ALICE, "Ann", &allow(&["sts:DecodeAuthorizationMessage"]));
    assert_eq!(decode(&ann).as_deref(), Some("InvalidAuthorizationMessageException"));
}

#[test]
fn an_account_is_summed_up() {
    let (world, _) = with_password();
    let root = Actor::from(ALICE);
    root.does(&world, "CreateVirtualMFADevice", &[("VirtualMFADeviceName", "d")]);
    let summary = root.does(&world, "GetAccountSummary", &[]);
    let pairs: Vec<_> = summary.elements("key").into_iter().zip(summary.elements("value")).collect();
    for pair in [
        ("Users", "1"),
        ("Groups", "0"),
        ("MFADevices", "1"),
        ("MFADevicesInUse", "0"),
        ("AccessKeysPerUserQuota", "2"),
    ] {
        assert!(pairs.contains(&pair), "{pair:?} in {pairs:?}");
    }
    assert_eq!(json!(summary.event["readOnly"]), json!(true));
}
