//! Virtual devices for multi-factor authentication, and what a code of one gives.

use serde_json::{Value, json};
use totp_rs::{Builder, Secret, Totp};

use crate::actor::{Actor, Reply, allow, credentials, give, new_user, trusts};
use crate::world::{ALICE, BOB, World};

pub(crate) const SERIAL: &str = "arn:aws:iam::111122223333:mfa/Ann";
const ROLE: &str = "arn:aws:iam::111122223333:role/R";
const WRONG: &str = "MultiFactorAuthentication failed with invalid MFA one time pass code.";

/// A telephone, with the seed that it was shown.
pub(crate) struct Telephone(Totp);

impl Telephone {
    pub(crate) fn of(reply: &Reply) -> Self {
        let seed = base64_simd::STANDARD.decode_to_vec(reply.element("Base32StringSeed")).unwrap();
        let seed = Secret::try_from_base32(String::from_utf8(seed).unwrap()).unwrap();
        Self(Builder::new().with_secret(seed).build().unwrap())
    }

    /// The code that it shows so many time steps from now.
    pub(crate) fn shows(&self, world: &World, steps: i64) -> String {
        let at = world.now().seconds() + 30 * steps;
        self.0.generate(u64::try_from(at).unwrap()).to_string()
    }
}

/// A user with a device that is not enabled, and a role that asks for a code.
fn with_device() -> (World, Actor, Telephone) {
    let world = World::new();
    let ann = new_user(&world, ALICE, "Ann");
    let root = Actor::from(ALICE);
    let made = root.does(&world, "CreateVirtualMFADevice", &[("VirtualMFADeviceName", "Ann")]);
    assert_eq!(made.element("SerialNumber"), SERIAL);
    let picture = base64_simd::STANDARD.decode_to_vec(made.element("QRCodePNG")).unwrap();
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
    assert!(!made.event.to_string().contains(made.element("Base32StringSeed")));
    let telephone = Telephone::of(&made);
    let mut trust: Value = serde_json::from_str(&trusts("arn:aws:iam::111122223333:user/Ann")).unwrap();
    trust["Statement"][0]["Condition"] = json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}});
    root.does(&world, "CreateRole", &[("RoleName", "R"), ("AssumeRolePolicyDocument", &trust.to_string())]);
    (world, ann, telephone)
}

pub(crate) fn enable(world: &World, telephone: &Telephone) -> Reply {
    let (first, second) = (telephone.shows(world, -1), telephone.shows(world, 0));
    let members = [
        ("UserName", "Ann"),
        ("SerialNumber", SERIAL),
        ("AuthenticationCode1", &*first),
        ("AuthenticationCode2", &*second),
    ];
    Actor::from(ALICE).iam(world, "EnableMFADevice", &members)
}

fn with_enabled() -> (World, Actor, Telephone) {
    let (world, ann, telephone) = with_device();
    assert_eq!(enable(&world, &telephone).status, 200);
    world.clock.advance(30_000);
    (world, ann, telephone)
}

fn session(world: &World, actor: &Actor, code: &str) -> Reply {
    actor.sts(world, "GetSessionToken", &[("SerialNumber", SERIAL), ("TokenCode", code)])
}

#[test]
fn a_code_makes_a_session_that_may_call_iam() {
    let (world, ann, telephone) = with_enabled();
    give(&world, ALICE, "Ann", &allow(&["iam:*", "kms:*"]));
    let plain = credentials(&ann.sts(&world, "GetSessionToken", &[]));
    assert_eq!(plain.refused(&world, "ListUsers", &[]), "InvalidClientTokenId");
    let reply = session(&world, &ann, &telephone.shows(&world, 0));
    assert_eq!(reply.event["requestParameters"], json!({"serialNumber": SERIAL}));
    let strong = credentials(&reply);
    let used = strong.does(&world, "ListUsers", &[]);
    let attributes = &used.event["userIdentity"]["sessionContext"]["attributes"];
    assert_eq!(attributes["mfaAuthenticated"], "true");
    assert_eq!(strong.sts(&world, "GetSessionToken", &[]).code().unwrap(), "InvalidClientTokenId");
    // Conditions see it, and how long ago it was.
    world.clock.advance(100_000);
    let under = |seconds: u32| {
        let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*",
            "Resource": "*", "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"},
            "NumericLessThan": {"aws:MultiFactorAuthAge": seconds.to_string()}}}]});
        give(&world, ALICE, "Ann", &policy.to_string());
        [&strong, &plain, &ann].map(|actor| actor.kms(&world, "ListKeys", &json!({})).status)
    };
    assert_eq!(under(101), [200, 400, 400]);
    assert_eq!(under(100), [400, 400, 400]);
}

/// Attack A21: a code twice, also for something else (CVE-2025-6014, CVE-2025-6015).
#[test]
fn a21_each_code_is_used_once() {
    let (world, ann, telephone) = with_enabled();
    let code = telephone.shows(&world, 0);
    assert_eq!(session(&world, &ann, &code).status, 200);
    let again = session(&world, &ann, &code);
    assert_eq!((again.code().as_deref(), again.element("Message")), (Some("AccessDenied"), WRONG));
    let members =
        [("RoleArn", ROLE), ("RoleSessionName", "s1"), ("SerialNumber", SERIAL), ("TokenCode", &*code)];
    assert_eq!(ann.sts(&world, "AssumeRole", &members).element("Message"), WRONG);
    // Nor a code from before one that was used, nor one that enabled the device.
    assert_eq!(session(&world, &ann, &telephone.shows(&world, -1)).element("Message"), WRONG);
    world.clock.advance(30_000);
    let next = telephone.shows(&world, 0);
    let members =
        [("RoleArn", ROLE), ("RoleSessionName", "s1"), ("SerialNumber", SERIAL), ("TokenCode", &*next)];
    assert_eq!(ann.sts(&world, "AssumeRole", &members).status, 200);
    assert_eq!(session(&world, &ann, &next).element("Message"), WRONG);
}

/// Attack A21: codes are guessed.
#[test]
fn a21_guesses_are_few() {
    let (world, ann, telephone) = with_enabled();
    let wrong = |number: usize| {
        let right = [-1, 0, 1].map(|steps| telephone.shows(&world, steps));
        let mut codes = (number..).map(|code| format!("{code:06}")).filter(|code| !right.contains(code));
        codes.next().unwrap()
    };
    for number in 0..5 {
        assert_eq!(session(&world, &ann, &wrong(number * 7)).element("Message"), WRONG);
    }
    world.clock.advance(30_000);
    assert_eq!(
        session(&world, &ann, &telephone.shows(&world, 0)).element("Message"),
        WRONG,
        "too many guesses"
    );
    world.clock.advance(5 * 60 * 1000);
    assert_eq!(session(&world, &ann, &telephone.shows(&world, 0)).status, 200);
}

#[test]
fn a_role_may_ask_for_a_code() {
    let (world, ann, telephone) = with_enabled();
    let assume = |more: &[(&str, &str)]| {
        ann.sts(&world, "AssumeRole", &[&[("RoleArn", ROLE), ("RoleSessionName", "s1")], more].concat())
    };
    assert_eq!(assume(&[]).code().unwrap(), "AccessDenied");
    let code = telephone.shows(&world, 0);
    let half = assume(&[("SerialNumber", SERIAL)]);
    assert!(half.element("Message").contains("must provide both"), "{}", half.body);
    assert!(assume(&[("TokenCode", &code)]).element("Message").contains("must provide both"));
    let other = assume(&[("SerialNumber", "arn:aws:iam::111122223333:mfa/Bob"), ("TokenCode", &code)]);
    assert!(other.element("Message").contains("verify your MFA serial number"), "{}", other.body);
    let reply = assume(&[("SerialNumber", SERIAL), ("TokenCode", &code)]);
    let parameters = json!({"roleArn": ROLE, "roleSessionName": "s1", "serialNumber": SERIAL});
    assert_eq!(reply.event["requestParameters"], parameters);
    let strong = credentials(&reply);
    let used = strong.sts(&world, "GetCallerIdentity", &[]);
    assert_eq!(used.event["userIdentity"]["sessionContext"]["attributes"]["mfaAuthenticated"], "true");
}

/// A device is its user's: nobody else's code counts, and none after it was taken away.
#[test]
fn a_device_serves_its_user_only() {
    let (world, ann, telephone) = with_enabled();
    let bea = new_user(&world, ALICE, "Bea");
    let code = telephone.shows(&world, 0);
    for actor in [&bea, &Actor::from(ALICE), &Actor::from(BOB)] {
        let refused = session(&world, actor, &code);
        assert!(refused.element("Message").contains("verify your MFA serial number"), "{}", refused.body);
    }
    let root = Actor::from(ALICE);
    let of_bea = [("UserName", "Bea"), ("SerialNumber", SERIAL)];
    assert_eq!(root.refused(&world, "DeactivateMFADevice", &of_bea), "NoSuchEntity");
    root.does(&world, "DeactivateMFADevice", &[("UserName", "Ann"), ("SerialNumber", SERIAL)]);
    assert!(session(&world, &ann, &code).element("Message").contains("verify your MFA serial number"));
}

#[test]
fn devices_from_their_making_to_their_end() {
    let (world, ann, telephone) = with_device();
    let root = Actor::from(ALICE);
    let serial = [("SerialNumber", SERIAL)];
    let of_ann = [("UserName", "Ann"), ("SerialNumber", SERIAL)];
    let twice = [("VirtualMFADeviceName", "ANN")];
    assert_eq!(root.refused(&world, "CreateVirtualMFADevice", &twice), "EntityAlreadyExists");
    let listed = |status: &str| {
        let reply = root.does(&world, "ListVirtualMFADevices", &[("AssignmentStatus", status)]);
        assert!(!reply.body.contains("Seed"), "{}", reply.body);
        reply.elements("SerialNumber").len()
    };
    assert_eq!([listed("Any"), listed("Assigned"), listed("Unassigned")], [1, 0, 1]);
    // Codes that do not follow each other.
    let code = telephone.shows(&world, 0);
    let both = [of_ann[0], of_ann[1], ("AuthenticationCode1", &*code), ("AuthenticationCode2", &*code)];
    let refused = root.iam(&world, "EnableMFADevice", &both);
    assert_eq!((refused.status, refused.code().unwrap().as_str()), (403, "InvalidAuthenticationCode"));
    assert_eq!(enable(&world, &telephone).status, 200);
    assert_eq!(enable(&world, &telephone).code().unwrap(), "EntityAlreadyExists");
    assert_eq!([listed("Any"), listed("Assigned"), listed("Unassigned")], [1, 1, 0]);
    let mine = root.does(&world, "ListMFADevices", &[("UserName", "Ann")]);
    assert_eq!((mine.element("SerialNumber"), mine.element("UserName")), (SERIAL, "Ann"));
    assert_eq!(root.refused(&world, "DeleteVirtualMFADevice", &serial), "DeleteConflict");
    root.does(&world, "DeleteAccessKey", &[("UserName", "Ann"), ("AccessKeyId", &ann.access_key_id)]);
    let conflict = root.iam(&world, "DeleteUser", &[("UserName", "Ann")]);
    assert_eq!(conflict.element("Message"), "Cannot delete entity, must delete MFA device first.");
    // A clock that is ten minutes ahead is found again.
    world.clock.advance(-600_000);
    let ahead = [telephone.shows(&world, 21), telephone.shows(&world, 22)];
    let codes =
        [of_ann[0], of_ann[1], ("AuthenticationCode1", &*ahead[0]), ("AuthenticationCode2", &*ahead[1])];
    assert_eq!(root.refused(&world, "ResyncMFADevice", &codes), "InvalidAuthenticationCode");
    world.clock.advance(120_000);
    let ahead = [telephone.shows(&world, 18), telephone.shows(&world, 19)];
    let codes =
        [of_ann[0], of_ann[1], ("AuthenticationCode1", &*ahead[0]), ("AuthenticationCode2", &*ahead[1])];
    root.does(&world, "ResyncMFADevice", &codes);
    root.does(&world, "DeactivateMFADevice", &of_ann);
    root.does(&world, "DeleteVirtualMFADevice", &serial);
    assert_eq!(root.refused(&world, "DeleteVirtualMFADevice", &serial), "NoSuchEntity");
    root.does(&world, "DeleteUser", &[("UserName", "Ann")]);
}

/// A row that is copied over another, or a seed of another device, does not open.
#[test]
fn a_seed_is_shown_once_and_sealed() {
    let world = World::new();
    let root = Actor::from(ALICE);
    let made = root.does(&world, "CreateVirtualMFADevice", &[("VirtualMFADeviceName", "Ann")]);
    let text = made.element("Base32StringSeed");
    let base32 = base64_simd::STANDARD.decode_to_vec(text).unwrap();
    let seed = Secret::try_from_base32(String::from_utf8(base32.clone()).unwrap()).unwrap();
    for needle in [text.as_bytes(), &base32, seed.as_bytes()] {
        let holds = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        assert!(!world.ledger.since(0).iter().any(|event| holds(event)));
        assert!(!world.content().iter().any(|record| holds(&record.value)));
    }
}
