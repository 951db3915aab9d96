//! What condition keys say: with each of them an Allow and a Deny hold on the value that is there, and on no other.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::actor::{Actor, allow, trusts};
use crate::condition_keys::{ANN, SOURCE, Scene, Way, action, allow_if, bind};
use crate::policies::open_to;
use crate::services::{STORAGE, send, served};
use crate::world::{ALICE, Ask, World, base64, block_on};

/// SHA-384 registers of the documents that the tests' enclaves show, and another.
const FIRST: &str =
    "010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101";
const EIGHTH: &str =
    "080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808080808";

/// A request, by its label; a condition key, how it is compared, the value that it has, and one that it has not.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

const IS: &str = "StringEquals";
const LIKE: &str = "StringLike";
const ANY: &str = "ForAnyValue:StringEquals";
const BOOL: &str = "Bool";
const NUMBER: &str = "NumericEquals";
const DATE: &str = "DateEquals";
const ARN: &str = "ArnEquals";

/// What a request says of itself.
const OF_REQUESTS: &[Row] = &[
    ("CreateGrant", "kms:EncryptionContext:Tenant", IS, "a", "b"),
    ("CreateGrant", "kms:EncryptionContextKeys", ANY, "Tenant", "Team"),
    (
        "CreateGrant",
        "kms:GrantConstraintSourceArn",
        ARN,
        SOURCE,
        "arn:aws:ec2:us-east-1:111122223333:volume/2",
    ),
    ("CreateGrant", "kms:GrantConstraintType", IS, "EncryptionContextEquals", "EncryptionContextSubset"),
    ("CreateGrant", "kms:GrantIsForAWSResource", BOOL, "false", "true"),
    ("CreateGrant", "kms:GrantOperations", ANY, "Decrypt", "Sign"),
    ("CreateGrant", "kms:GranteePrincipal", IS, ANN, "arn:aws:iam::111122223333:user/Ben"),
    (
        "CreateGrant (to a service)",
        "kms:GranteeServicePrincipal",
        IS,
        "ec2.amazonaws.com",
        "s3.amazonaws.com",
    ),
    ("CreateGrant", "kms:RetiringPrincipal", IS, ANN, "arn:aws:iam::111122223333:user/Ben"),
    (
        "CreateGrant (to a service)",
        "kms:RetiringServicePrincipal",
        IS,
        "ec2.amazonaws.com",
        "s3.amazonaws.com",
    ),
    ("CreateKey", "aws:RequestTag/Team", IS, "blue", "red"),
    ("CreateKey", "aws:TagKeys", ANY, "Team", "Tenant"),
    ("CreateKey", "kms:BypassPolicyLockoutSafetyCheck", BOOL, "true", "false"),
    ("CreateKey", "kms:CustomerMasterKeySpec", IS, "SYMMETRIC_DEFAULT", "RSA_2048"),
    ("CreateKey", "kms:CustomerMasterKeyUsage", IS, "ENCRYPT_DECRYPT", "SIGN_VERIFY"),
    ("CreateKey", "kms:KeyOrigin", IS, "AWS_KMS", "EXTERNAL"),
    ("CreateKey", "kms:MultiRegionKeyType", IS, "PRIMARY", "REPLICA"),
    ("Decrypt", "kms:EncryptionContext:tenant", IS, "a", "b"),
    ("Decrypt", "kms:RecipientAttestation:ImageSha384", IS, FIRST, EIGHTH),
    ("Decrypt", "kms:RecipientAttestation:PCR0", IS, FIRST, EIGHTH),
    ("Decrypt (NitroTPM)", "kms:RecipientAttestation:NitroTPMPCR7", IS, EIGHTH, FIRST),
    ("DeriveSharedSecret", "kms:KeyAgreementAlgorithm", IS, "ECDH", "ECDHE"),
    ("DescribeKey", "kms:RequestAlias", IS, "alias/app", "alias/other"),
    ("DisableKey", "kms:TrailingDaysWithoutKeyUsage", NUMBER, "0", "1"),
    ("EnableKeyRotation", "kms:RotationPeriodInDays", NUMBER, "180", "365"),
    ("Encrypt", "kms:EncryptionAlgorithm", IS, "SYMMETRIC_DEFAULT", "RSAES_OAEP_SHA_256"),
    ("GenerateDataKeyPair", "kms:DataKeyPairSpec", IS, "ECC_NIST_P256", "RSA_2048"),
    ("GenerateMac", "kms:MacAlgorithm", IS, "HMAC_SHA_256", "HMAC_SHA_512"),
    ("GetKeyPolicy", "kms:PolicyName", IS, "default", "other"),
    ("GetParametersForImport", "kms:WrappingAlgorithm", IS, "RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"),
    ("GetParametersForImport", "kms:WrappingKeySpec", IS, "RSA_2048", "RSA_4096"),
    ("ImportKeyMaterial", "kms:ExpirationModel", IS, "KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"),
    ("ImportKeyMaterial", "kms:ValidTo", NUMBER, "1795176100", "1795176101"),
    ("ImportKeyMaterial", "kms:ValidTo", DATE, "2026-11-20T12:01:40Z", "2026-11-20T12:01:41Z"),
    ("PutKeyPolicy", "kms:BypassPolicyLockoutSafetyCheck", BOOL, "false", "true"),
    ("PutKeyPolicy", "kms:PolicyName", IS, "default", "other"),
    ("ReEncrypt (from)", "kms:EncryptionContext:Tenant", IS, "a", "b"),
    ("ReEncrypt (from)", "kms:ReEncryptOnSameKey", BOOL, "false", "true"),
    ("ReEncrypt (from)", "kms:RequestAlias", IS, "alias/app", "alias/other"),
    ("ReEncrypt (from the same)", "kms:ReEncryptOnSameKey", BOOL, "true", "false"),
    ("ReEncrypt (to)", "kms:EncryptionContext:Tenant", IS, "b", "a"),
    ("ReEncrypt (to)", "kms:ReEncryptOnSameKey", BOOL, "false", "true"),
    ("ReEncrypt (to)", "kms:RequestAlias", IS, "alias/other", "alias/app"),
    ("ReEncrypt (to the same)", "kms:ReEncryptOnSameKey", BOOL, "true", "false"),
    ("ReplicateKey", "kms:ReplicaRegion", IS, "ap-south-1", "eu-west-1"),
    ("ReplicateKey (replica)", "aws:RequestedRegion", IS, "ap-south-1", "us-east-1"),
    ("ReplicateKey (replica)", "kms:MultiRegionKeyType", IS, "REPLICA", "PRIMARY"),
    ("RetireGrant", "kms:GrantConstraintType", IS, "EncryptionContextEquals", "EncryptionContextSubset"),
    ("ScheduleKeyDeletion", "kms:ScheduleKeyDeletionPendingWindowInDays", NUMBER, "8", "30"),
    ("Sign", "kms:MessageType", IS, "RAW", "DIGEST"),
    ("Sign", "kms:SigningAlgorithm", IS, "ECDSA_SHA_256", "ECDSA_SHA_384"),
    ("TagResource", "aws:RequestTag/Team", IS, "blue", "red"),
    ("UntagResource", "aws:TagKeys", ANY, "Team", "Tenant"),
    ("UpdatePrimaryRegion", "kms:PrimaryRegion", IS, "eu-west-1", "us-east-1"),
];

/// What is true of the key, of the caller and of the moment.
const OF_REST: &[Row] = &[
    ("ImportKeyMaterial", "kms:KeyOrigin", IS, "EXTERNAL", "AWS_KMS"),
    ("Sign", "kms:KeySpec", IS, "ECC_NIST_P256", "SYMMETRIC_DEFAULT"),
    ("Sign", "kms:KeyUsage", IS, "SIGN_VERIFY", "KEY_AGREEMENT"),
    ("Sign", "kms:CustomerMasterKeySpec", IS, "ECC_NIST_P256", "SYMMETRIC_DEFAULT"),
    ("Sign", "kms:CustomerMasterKeyUsage", IS, "SIGN_VERIFY", "KEY_AGREEMENT"),
    ("DescribeKey", "kms:CallerAccount", IS, "111122223333", "444455556666"),
    ("DescribeKey", "kms:MultiRegion", BOOL, "true", "false"),
    ("DescribeKey", "kms:MultiRegionKeyType", IS, "PRIMARY", "REPLICA"),
    ("DescribeKey", "kms:ResourceAliases", ANY, "alias/app", "alias/other"),
    ("DescribeKey", "aws:ResourceTag/Team", IS, "red", "blue"),
    ("DescribeKey", "aws:ResourceAccount", IS, "111122223333", "444455556666"),
    ("DescribeKey", "aws:RequestedRegion", IS, "us-east-1", "eu-west-1"),
    ("DescribeKey", "aws:PrincipalAccount", IS, "111122223333", "444455556666"),
    ("DescribeKey", "aws:PrincipalArn", ARN, ANN, "arn:aws:iam::111122223333:user/Ben"),
    ("DescribeKey", "aws:PrincipalIsAWSService", BOOL, "false", "true"),
    ("DescribeKey", "aws:PrincipalTag/Team", IS, "green", "red"),
    ("DescribeKey", "aws:PrincipalType", IS, "User", "Account"),
    ("DescribeKey", "aws:userid", LIKE, "AIDA*", "AROA*"),
    ("DescribeKey", "aws:username", IS, "Ann", "Ben"),
    ("DescribeKey", "aws:ViaAWSService", BOOL, "false", "true"),
    ("DescribeKey", "aws:CurrentTime", DATE, "2026-11-20T12:00:00Z", "2026-11-20T12:00:01Z"),
    ("DescribeKey", "aws:EpochTime", NUMBER, "1795176000", "1795176001"),
    ("DescribeKey", "aws:EpochTime", DATE, "2026-11-20T12:00:00Z", "2026-11-20T12:00:01Z"),
    ("DescribeKey", "aws:Referer", IS, "https://console.example/", "https://other.example/"),
    ("DescribeKey", "aws:SecureTransport", BOOL, "false", "true"),
    ("DescribeKey", "aws:SourceIp", "IpAddress", "192.0.2.10", "192.0.2.11"),
    ("DescribeKey", "aws:UserAgent", LIKE, "aws-cli/*", "Boto3/*"),
];

/// What a request carries that a service makes on behalf of its user.
const THROUGH: &[Row] = &[
    ("CreateGrant", "kms:GrantIsForAWSResource", BOOL, "true", "false"),
    ("Encrypt", "kms:ViaService", IS, "s3.us-east-1.amazonaws.com", "sqs.us-east-1.amazonaws.com"),
    ("Encrypt", "aws:CalledVia", ANY, "s3.amazonaws.com", "sqs.amazonaws.com"),
    ("Encrypt", "aws:CalledViaFirst", IS, "s3.amazonaws.com", "sqs.amazonaws.com"),
    ("Encrypt", "aws:CalledViaLast", IS, "s3.amazonaws.com", "sqs.amazonaws.com"),
    ("Encrypt", "aws:ViaAWSService", BOOL, "true", "false"),
    ("Encrypt", "aws:username", IS, "Ann", "Ben"),
];

/// What a request carries that a service makes for itself.
const ITSELF: &[Row] = &[
    ("Encrypt", "aws:PrincipalIsAWSService", BOOL, "true", "false"),
    ("Encrypt", "aws:PrincipalServiceName", IS, "s3.amazonaws.com", "sqs.amazonaws.com"),
    (
        "Encrypt",
        "aws:PrincipalServiceNamesList",
        ANY,
        "s3.us-east-1.amazonaws.com",
        "sqs.us-east-1.amazonaws.com",
    ),
    ("Encrypt", "aws:SourceAccount", IS, "111122223333", "444455556666"),
    ("Encrypt", "aws:SourceArn", ARN, "arn:aws:s3:::bucket", "arn:aws:s3:::other"),
];

/// What a request to assume a role carries.
const OF_ROLES: &[Row] = &[
    ("sts:AssumeRole", "sts:ExternalId", IS, "agreed", "other"),
    ("sts:AssumeRole", "sts:RoleSessionName", IS, "session", "other"),
    ("sts:AssumeRole", "sts:SourceIdentity", IS, "ann", "ben"),
    ("sts:AssumeRole", "sts:TransitiveTagKeys", ANY, "Team", "Tenant"),
    ("sts:AssumeRole", "aws:RequestTag/Team", IS, "blue", "red"),
    ("sts:AssumeRole", "aws:TagKeys", ANY, "Team", "Tenant"),
    ("sts:SetSourceIdentity", "sts:SourceIdentity", IS, "ann", "ben"),
    ("sts:TagSession", "sts:TransitiveTagKeys", ANY, "Team", "Tenant"),
    ("sts:TagSession", "aws:RequestTag/Team", IS, "blue", "red"),
];

/// What a request carries that attaches a policy to a user who has a permissions boundary.
const OF_USERS: &[Row] = &[
    (
        "iam:AttachUserPolicy",
        "iam:PolicyARN",
        ARN,
        "arn:aws:iam::111122223333:policy/Q",
        "arn:aws:iam::111122223333:policy/P",
    ),
    (
        "iam:AttachUserPolicy",
        "iam:PermissionsBoundary",
        ARN,
        "arn:aws:iam::111122223333:policy/B",
        "arn:aws:iam::111122223333:policy/P",
    ),
    ("iam:AttachUserPolicy", "iam:ResourceTag/Team", IS, "green", "red"),
    ("iam:AttachUserPolicy", "aws:ResourceTag/Team", IS, "green", "red"),
];

/// Keys of other callers and connections, and the tests that are about these.
const ELSEWHERE: [(&str, &str); 10] = [
    ("aws:VpcSourceIp", include_str!("endpoints.rs")),
    ("aws:SourceVpce", include_str!("endpoints.rs")),
    ("aws:SourceVpc", include_str!("endpoints.rs")),
    ("aws:SourceVpcArn", include_str!("endpoints.rs")),
    ("aws:VpceAccount", include_str!("endpoints.rs")),
    ("aws:MultiFactorAuthAge", include_str!("devices.rs")),
    ("aws:MultiFactorAuthPresent", include_str!("devices.rs")),
    ("aws:FederatedProvider", include_str!("federation.rs")),
    ("aws:TokenIssueTime", include_str!("sessions.rs")),
    ("aws:SourceIdentity", include_str!("sessions.rs")),
];

fn rows() -> impl Iterator<Item = &'static Row> {
    [OF_REQUESTS, OF_REST, THROUGH, ITSELF, OF_ROLES, OF_USERS].into_iter().flatten()
}

/// An Allow and a Deny on each value, and on whether there is one, hold where they should; `allows` asks under a policy.
fn check(allows: impl Fn(&[Value]) -> bool, action: &str, row: &Row) {
    let (label, key, operator, value, other) = *row;
    let is = |value: &str| json!({operator: {key: value}});
    let absent = |value: &str| json!({"Null": {key: value}});
    for (condition, holds) in
        [(is(value), true), (is(other), false), (absent("false"), true), (absent("true"), false)]
    {
        assert_eq!(allows(&allow_if(action, &condition)), holds, "{label}: Allow if {condition}");
        let deny = json!({"Effect": "Deny", "Action": action, "Resource": "*", "Condition": condition});
        let open = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        assert_eq!(allows(&[open, deny]), !holds, "{label}: Deny if {condition}");
    }
}

#[test]
fn conditions_hold_on_what_a_request_says_and_on_nothing_else() {
    let scene = Scene::set();
    let tag = [("UserName", "Ann"), ("Tags.member.1.Key", "Team"), ("Tags.member.1.Value", "green")];
    Actor::from(ALICE).does(&scene.world, "TagUser", &tag);
    for row in OF_REQUESTS.iter().chain(OF_REST) {
        check(|statements| scene.allows(Way::Direct, row.0, statements), &action(row.0), row);
    }
    for row in THROUGH {
        check(|statements| scene.allows(Way::Through, row.0, statements), &action(row.0), row);
    }
}

#[test]
fn conditions_hold_on_the_service_that_calls() {
    let world = served(World::new(), None);
    let key = world.key(ALICE);
    let allows = |statements: &[Value]| {
        let mut all = vec![open_to(ALICE.account)];
        for statement in statements {
            let mut statement = statement.clone();
            statement["Principal"] = json!({"Service": "s3.amazonaws.com"});
            all.push(statement);
        }
        let policy = json!({"Version": "2012-10-17", "Statement": all}).to_string();
        world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": policy}));
        let ask = Ask::new(STORAGE, "Encrypt", json!({"KeyId": key.arn, "Plaintext": base64(b"x")}))
            .header("x-amz-source-arn", "arn:aws:s3:::bucket")
            .header("x-amz-source-account", ALICE.account);
        send(&world, &ask, "Encrypt").status == 200
    };
    for row in ITSELF {
        check(allows, "kms:Encrypt", row);
    }
}

/// Whether a user whose only policy has these statements is let through by IAM or STS, in a world of its own.
fn allows(scene: &Scene, service: &str, request: (&str, &[(&str, &str)]), statements: &[Value]) -> bool {
    let world = scene.world.copy();
    bind(&world, statements);
    let incoming = scene.ann.query(&world, service, request.0, request.1);
    match block_on(world.service.handle(&incoming, world.now())).code {
        None => true,
        Some("AccessDenied") => false,
        Some(other) => panic!("{other}"),
    }
}

#[test]
fn conditions_hold_on_the_session_that_is_asked_for() {
    let scene = Scene::set();
    let trust = trusts("arn:aws:iam::111122223333:root");
    let role = [("RoleName", "R"), ("AssumeRolePolicyDocument", &*trust)];
    Actor::from(ALICE).does(&scene.world, "CreateRole", &role);
    let members = [
        ("RoleArn", "arn:aws:iam::111122223333:role/R"),
        ("RoleSessionName", "session"),
        ("ExternalId", "agreed"),
        ("SourceIdentity", "ann"),
        ("Tags.member.1.Key", "Team"),
        ("Tags.member.1.Value", "blue"),
        ("TransitiveTagKeys.member.1", "Team"),
    ];
    for row in OF_ROLES {
        check(|statements| allows(&scene, "sts", ("AssumeRole", &members), statements), row.0, row);
    }
}

#[test]
fn conditions_hold_on_the_policy_that_is_attached() {
    let scene = Scene::set();
    let root = Actor::from(ALICE);
    let open = allow(&["*"]);
    for name in ["B", "Q"] {
        root.does(&scene.world, "CreatePolicy", &[("PolicyName", name), ("PolicyDocument", &open)]);
    }
    let boundary = ("PermissionsBoundary", "arn:aws:iam::111122223333:policy/B");
    let tag = [("Tags.member.1.Key", "Team"), ("Tags.member.1.Value", "green")];
    root.does(&scene.world, "CreateUser", &[("UserName", "Ben"), boundary, tag[0], tag[1]]);
    let members = [("UserName", "Ben"), ("PolicyArn", "arn:aws:iam::111122223333:policy/Q")];
    for row in OF_USERS {
        check(|statements| allows(&scene, "iam", ("AttachUserPolicy", &members), statements), row.0, row);
    }
}

/// What stands in quotation marks on the left of a function's match arms, and in what it takes off the front of a name; of
/// each line.
fn arms(source: &str, function: &str) -> Vec<Vec<String>> {
    let start = source.find(&format!("fn {function}")).unwrap_or_else(|| panic!("there is no {function}"));
    let (before, rest) = source.split_at(start);
    let line = before.rsplit('\n').next().unwrap();
    let indent = " ".repeat(line.len() - line.trim_start().len());
    let (body, _) = rest.split_once(&format!("\n{indent}}}\n")).unwrap();
    let lines = body.lines().filter_map(|line| {
        let taken = ["strip_prefix(", "starts_with("].iter().find_map(|call| line.split_once(call));
        let left = match taken {
            Some((_, rest)) => rest.split(')').next(),
            None => line.split("=>").next().filter(|left| left.trim_start().starts_with(['"', '('])),
        };
        Some(left?.split('"').skip(1).step_by(2).map(str::to_owned).collect())
    });
    lines.collect()
}

/// Every condition key that the engine knows, in lower case; of those with a name behind them, what they begin with.
fn engines() -> BTreeSet<String> {
    const CALL: &str = include_str!("../../src/call.rs");
    const GRANT: &str = include_str!("../../src/call/grant.rs");
    const PRINCIPAL: &str = include_str!("../../src/call/principal.rs");
    const IAM: &str = include_str!("../../src/call/iam.rs");
    let mut found = BTreeSet::new();
    for (prefix, source, function) in [
        ("kms:", CALL, "kms("),
        ("kms:", GRANT, "value("),
        ("aws:", CALL, "global("),
        ("aws:", PRINCIPAL, "value<"),
        ("aws:", PRINCIPAL, "of_service<"),
        ("aws:", PRINCIPAL, "of_caller<"),
    ] {
        let arms = arms(source, function).concat();
        assert!(arms.len() > 3, "the arms of {function} were read");
        found.extend(arms.iter().map(|name| format!("{prefix}{name}")));
    }
    let pairs = arms(IAM, "values(").into_iter().filter(|names| names.len() == 2);
    found.extend(pairs.map(|names| names.join(":")));
    found
}

/// The engine knows these keys of a service, and no others.
pub(crate) fn check_known(prefix: &str, known: &BTreeSet<&str>) {
    let lower = |key: &str| {
        let key = key.to_lowercase();
        match key.rsplit_once(['/', ':']) {
            Some((name, _)) if key.contains('/') => format!("{name}/"),
            Some((name, _)) if name.contains(':') => format!("{name}:"),
            _ => key,
        }
    };
    let known: BTreeSet<String> =
        known.iter().map(|key| lower(key)).filter(|key| key.starts_with(prefix)).collect();
    let engines = engines().into_iter().filter(|key| key.starts_with(prefix)).collect();
    let differ: Vec<_> = known.symmetric_difference(&engines).collect();
    assert!(differ.is_empty(), "the tables and the engine differ in {differ:?}");
}

/// No condition key that the engine knows is left out.
#[test]
fn the_tables_are_whole() {
    let known: BTreeSet<&str> =
        rows().map(|(_, key, ..)| *key).chain(ELSEWHERE.map(|(key, _)| key)).collect();
    for prefix in ["aws:", "kms:", "sts:"] {
        check_known(prefix, &known);
    }
    for (key, tests) in ELSEWHERE {
        assert!(tests.contains(&format!("\"{key}\"")), "{key}");
    }
}
