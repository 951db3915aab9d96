//! Services that call on behalf of users, and the keys that AWS manages for them.

use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use claviger_service::account::Operator;
use claviger_service::{Installation, Moment, Regions, Service, ServiceDefinition, Services};
use serde_json::{Value, json};

use crate::actor::{Actor, Reply, allow, credentials, give, new_user, trusts};
use crate::enclave_requests::trusted;
use crate::policies::open_to;
use crate::world::{ALICE, Ask, BOB, REGION, Root, START, World, base64, block_on};

/// A storage system.
pub(crate) const STORAGE: Root = Root {
    name: "storage",
    account: ALICE.account,
    access_key_id: "AKIASTORAGE000000001",
    secret: "storage/secret/access/key/of/forty/chars",
};
/// Another service.
const QUEUES: Root = Root {
    name: "queues",
    account: ALICE.account,
    access_key_id: "AKIAQUEUES0000000001",
    secret: "queues/secret/access/key/of/forty/chars0",
};
const S3_KEY: &str = "alias/aws/s3";
const FORWARD: &str = "x-amz-forward-access";
const TOKEN: &str = "x-amz-forward-access-token";

const OPERATOR: Operator = Operator { uid: 0 };

fn definition(root: Root, name: &str, title: &str, protects: &str) -> ServiceDefinition {
    ServiceDefinition {
        name: name.to_owned(),
        title: Some(title.to_owned()),
        protects: Some(protects.to_owned()),
        access_key_id: root.access_key_id.to_owned(),
        secret_access_key: root.secret.to_owned().into(),
        operations: None,
    }
}

/// A world with both services, whose other roots are as ever.
fn with_services() -> World {
    served(World::new(), None)
}

/// The world with both services, of which the storage system may call these operations.
pub(crate) fn served(mut world: World, operations: Option<&[&str]>) -> World {
    let operations = operations.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    let storage = ServiceDefinition { operations, ..definition(STORAGE, "s3", "S3", "S3 objects") };
    let definitions = vec![storage, definition(QUEUES, "sqs", "SQS", "SQS messages")];
    let services = block_on(Services::seal(&*world.vault, ALICE.account, definitions)).unwrap();
    let domain = world.vault.domain();
    let opened = Installation::open(Arc::clone(&world.store), &*world.vault, domain, Regions::Any, START);
    let installation = block_on(opened).unwrap().with_attestation(trusted().roots());
    world.installation = Arc::new(installation.with_services(services));
    let vault = Arc::clone(&world.vault);
    let (ledger, entropy) = (Arc::clone(&world.ledger), Arc::clone(&world.entropy));
    world.service = Service::new(Arc::clone(&world.installation), vault, ledger, entropy);
    world
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a service passes on of a request that was signed for it: by AWS's description, without our own signer.
fn signed_for(actor: &Actor, service: &str, region: &str, at: Moment) -> String {
    let stamp: String = at.iso().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let scope = format!("{}/{region}/{service}/aws4_request", stamp.get(..8).unwrap());
    let request = "PUT\n/bucket/object\n\nhost:storage.example\n\nhost\nUNSIGNED-PAYLOAD";
    let hash = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
    let mac = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
    };
    let secret = format!("AWS4{}", actor.secret).into_bytes();
    let key = scope.split('/').fold(secret, |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hash}")));
    let id = &actor.access_key_id;
    format!("Credential={id}/{scope}, SignedAt={stamp}, RequestHash={hash}, Signature={signature}")
}

/// Sends a call and finds its event among those that were written.
pub(crate) fn send(world: &World, ask: &Ask, operation: &str) -> Reply {
    let before = world.ledger.len();
    let handled = block_on(world.service.handle(&ask.incoming(world.now()), world.now()));
    let events = world.ledger.since(before).into_iter();
    let events = events.map(|event| serde_json::from_slice::<Value>(&event).unwrap());
    let mut own = events.filter(|event| event["requestID"] == handled.outgoing.request_id);
    let event = own.next().unwrap_or(Value::Null);
    assert!(own.next().is_none(), "more than one event of {operation}");
    let body = String::from_utf8(handled.outgoing.body.to_vec()).unwrap();
    Reply { status: handled.outgoing.status, body, event }
}

/// A call of a service on behalf of a user who has just asked it.
pub(crate) fn behalf(world: &World, service: Root, actor: &Actor, operation: &str, request: &Value) -> Reply {
    let name = if service == STORAGE { "s3" } else { "sqs" };
    let proof = signed_for(actor, name, REGION, world.now());
    let mut ask = Ask::new(service, operation, request.clone()).header(FORWARD, &proof);
    if let Some(token) = &actor.token {
        ask = ask.header(TOKEN, token);
    }
    send(world, &ask, operation)
}

fn data_key(key: &str) -> Value {
    json!({"KeyId": key, "NumberOfBytes": 32, "EncryptionContext": {"aws:s3:arn": "arn:aws:s3:::bucket/object"}})
}

fn json_of(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.body);
    serde_json::from_str(&reply.body).unwrap()
}

#[track_caller]
fn check_denied(reply: &Reply, text: &str) {
    assert_eq!(reply.code().as_deref(), Some("AccessDeniedException"), "{}", reply.body);
    assert!(reply.body.contains(text), "{}", reply.body);
    assert_eq!(reply.event["errorCode"], "AccessDenied", "{}", reply.event);
}

/// Names of the keys in the store.
fn keys(world: &World) -> Vec<String> {
    world.record_names().into_iter().filter(|name| name.starts_with("key/")).collect()
}

#[test]
fn a_service_encrypts_for_its_user_under_a_key_that_is_made_when_it_is_first_used() {
    let world = with_services();
    // The user may do nothing by itself: the key's policy lets everyone in the account use it through the service.
    let ann = new_user(&world, ALICE, "Ann");
    let made = behalf(&world, STORAGE, &ann, "GenerateDataKey", &data_key(S3_KEY));
    let blob = json_of(&made)["CiphertextBlob"].clone();
    let who = &made.event["userIdentity"];
    assert_eq!(
        (&who["type"], &who["userName"], &who["invokedBy"]),
        (&json!("IAMUser"), &json!("Ann"), &json!("s3.amazonaws.com"))
    );
    assert_eq!(who["accessKeyId"], ann.access_key_id);
    for member in ["sourceIPAddress", "userAgent"] {
        assert_eq!(made.event[member], "s3.amazonaws.com");
    }
    assert_eq!(made.event["recipientAccountId"], ALICE.account);
    let context = json!({"aws:s3:arn": "arn:aws:s3:::bucket/object"});
    let opened = json!({"CiphertextBlob": blob, "EncryptionContext": context});
    let opened = json_of(&behalf(&world, STORAGE, &ann, "Decrypt", &opened));
    assert_eq!(opened["Plaintext"], json_of(&made)["Plaintext"]);
    // The key: made once, and told of.
    assert_eq!(keys(&world).len(), 1);
    let told = world.service_events("CreateKey");
    assert_eq!((told.len(), &told[0]["serviceEventDetails"]["aliasName"]), (1, &json!(S3_KEY)));
    let described = world.succeed(ALICE, "DescribeKey", json!({"KeyId": S3_KEY}))["KeyMetadata"].clone();
    assert_eq!(described["KeyManager"], "AWS");
    assert_eq!(
        described["Description"],
        "Default key that protects my S3 objects when no other key is defined"
    );
    let id = json!({"KeyId": described["KeyId"]});
    let rotation = world.succeed(ALICE, "GetKeyRotationStatus", id.clone());
    assert_eq!(
        (&rotation["KeyRotationEnabled"], &rotation["RotationPeriodInDays"]),
        (&json!(true), &json!(365))
    );
    let policy = world.succeed(ALICE, "GetKeyPolicy", id)["Policy"].clone();
    let policy: Value = serde_json::from_str(policy.as_str().unwrap()).unwrap();
    assert_eq!(
        policy["Statement"][0]["Condition"],
        json!({"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com", "kms:CallerAccount": ALICE.account}})
    );
    // Another account, another Region: another key.
    json_of(&behalf(&world, STORAGE, &Actor::from(BOB), "GenerateDataKey", &data_key(S3_KEY)));
    assert_eq!(keys(&world).len(), 2);
}

/// The key rotates by itself, and what it encrypted before decrypts.
#[test]
fn an_aws_managed_key_rotates_every_year() {
    let world = with_services();
    let root = Actor::from(ALICE);
    let blob =
        json_of(&behalf(&world, STORAGE, &root, "Encrypt", &json!({"KeyId": S3_KEY, "Plaintext": "eA=="})));
    world.clock.advance(365 * crate::world::DAY_MS);
    world.run_due();
    assert_eq!(world.service_events("RotateKey").len(), 1);
    let opened =
        behalf(&world, STORAGE, &root, "Decrypt", &json!({"CiphertextBlob": blob["CiphertextBlob"]}));
    assert_eq!(json_of(&opened)["Plaintext"], "eA==");
}

/// Only a service presents forward access, and only a service's calls come through a service.
#[test]
fn b18_nobody_but_a_service_calls_for_another() {
    let world = with_services();
    let ann = new_user(&world, ALICE, "Ann");
    json_of(&behalf(&world, STORAGE, &ann, "GenerateDataKey", &data_key(S3_KEY)));
    let proof = signed_for(&ann, "s3", REGION, world.now());
    for root in [ALICE, BOB] {
        for (name, value) in [(FORWARD, &*proof), (FORWARD, "x"), (TOKEN, "x")] {
            let ask = Ask::new(root, "GenerateDataKey", data_key(S3_KEY)).header(name, value);
            check_denied(&send(&world, &ask, "GenerateDataKey"), "is not a service");
        }
    }
    // Headers that only name a service say nothing.
    for name in ["x-amz-via-service", "x-amz-source-arn", "x-amz-source-account", "x-amz-invoked-by"] {
        let ask = Ask::new(ALICE, "GenerateDataKey", data_key(S3_KEY))
            .header(name, "s3.us-east-1.amazonaws.com")
            .header("user-agent", "s3.amazonaws.com");
        let reply = send(&world, &ask, "GenerateDataKey");
        check_denied(&reply, "because no resource-based policy allows the kms:GenerateDataKey action");
        assert_eq!(reply.event["sourceIPAddress"], "192.0.2.10");
    }
}

/// A service calls for nobody who did not ask that very service, here, a moment ago.
#[test]
fn forward_access_is_the_users_fresh_word_to_this_service() {
    let world = with_services();
    let ann = new_user(&world, ALICE, "Ann");
    let ask = |proof: &str| {
        let ask = Ask::new(STORAGE, "GenerateDataKey", data_key(S3_KEY)).header(FORWARD, proof);
        send(&world, &ask, "GenerateDataKey")
    };
    let refused = "The forward access that s3.amazonaws.com presents is not valid";
    let now = world.now();
    let seconds = |seconds: i64| Moment(now.0 + seconds * 1000);
    for proof in [
        // For another service or Region.
        signed_for(&ann, "sqs", REGION, now),
        signed_for(&ann, "kms", REGION, now),
        signed_for(&ann, "iam", REGION, now),
        signed_for(&ann, "s3", "eu-west-1", now),
        // Stale, or of the future.
        signed_for(&ann, "s3", REGION, seconds(-901)),
        signed_for(&ann, "s3", REGION, seconds(301)),
        // By nobody that there is, with another's secret, by a service.
        signed_for(
            &Actor { access_key_id: "AKIANOBODY0000000001".to_owned(), ..ann.clone() },
            "s3",
            REGION,
            now,
        ),
        signed_for(&Actor { secret: ALICE.secret.to_owned(), ..ann.clone() }, "s3", REGION, now),
        signed_for(&Actor::from(STORAGE), "s3", REGION, now),
        signed_for(&Actor::from(QUEUES), "s3", REGION, now),
        // No forward access at all.
        String::new(),
        "Credential=x".to_owned(),
    ] {
        let reply = ask(&proof);
        check_denied(&reply, refused);
        assert_eq!(
            reply.event["userIdentity"],
            json!({"type": "AWSService", "invokedBy": "s3.amazonaws.com"})
        );
    }
    // Altered anywhere.
    let good = signed_for(&ann, "s3", REGION, now);
    for (place, character) in good.char_indices().filter(|(_, c)| c.is_ascii_alphanumeric()) {
        let other = if character == '1' { "2" } else { "1" };
        let mut altered = good.clone();
        altered.replace_range(place..=place, other);
        check_denied(&ask(&altered), refused);
    }
    assert_eq!(keys(&world), [""; 0], "a refused call made a key");
    for at in [seconds(-899), seconds(299)] {
        json_of(&ask(&signed_for(&ann, "s3", REGION, at)));
    }
    // What ends the user's credential ends it here.
    let root = Actor::from(ALICE);
    root.does(&world, "DeleteAccessKey", &[("UserName", "Ann"), ("AccessKeyId", &ann.access_key_id)]);
    check_denied(&ask(&good), refused);
}

/// A session is passed on with its token, and with no other.
#[test]
fn a_session_is_passed_on_with_its_own_token() {
    let world = with_services();
    let root = Actor::from(ALICE);
    let ann = new_user(&world, ALICE, "Ann");
    give(&world, ALICE, "Ann", &allow(&["sts:AssumeRole"]));
    let trust = trusts("arn:aws:iam::111122223333:user/Ann");
    root.does(&world, "CreateRole", &[("RoleName", "R"), ("AssumeRolePolicyDocument", &trust)]);
    root.does(
        &world,
        "PutRolePolicy",
        &[("RoleName", "R"), ("PolicyName", "p"), ("PolicyDocument", &allow(&["s3:*"]))],
    );
    let members = [("RoleArn", "arn:aws:iam::111122223333:role/R"), ("RoleSessionName", "one")];
    let session = credentials(&ann.sts(&world, "AssumeRole", &members));
    let other = credentials(&ann.sts(&world, "AssumeRole", &members));
    let made = behalf(&world, STORAGE, &session, "GenerateDataKey", &data_key(S3_KEY));
    assert_eq!(json_of(&made)["KeyId"].as_str().map(|arn| arn.contains(":key/")), Some(true));
    let who = &made.event["userIdentity"];
    assert_eq!((&who["type"], &who["invokedBy"]), (&json!("AssumedRole"), &json!("s3.amazonaws.com")));
    for token in [None, other.token, Some("x".to_owned()), Some("é".to_owned())] {
        let wrong = Actor { token, ..session.clone() };
        check_denied(&behalf(&world, STORAGE, &wrong, "GenerateDataKey", &data_key(S3_KEY)), "is not valid");
    }
    root.does(&world, "DeleteRolePolicy", &[("RoleName", "R"), ("PolicyName", "p")]);
    root.does(&world, "DeleteRole", &[("RoleName", "R")]);
    check_denied(&behalf(&world, STORAGE, &session, "GenerateDataKey", &data_key(S3_KEY)), "is not valid");
}

/// Nobody uses an AWS managed key but through its service: not the root user, not another service, not the service for
/// itself, not another account.
#[test]
fn an_aws_managed_key_serves_its_service_alone() {
    let world = with_services();
    let ann = new_user(&world, ALICE, "Ann");
    give(&world, ALICE, "Ann", &allow(&["*"]));
    let made = json_of(&behalf(&world, STORAGE, &ann, "GenerateDataKey", &data_key(S3_KEY)));
    let arn = made["KeyId"].as_str().unwrap();
    let decrypt = json!({"CiphertextBlob": made["CiphertextBlob"], "KeyId": arn,
        "EncryptionContext": {"aws:s3:arn": "arn:aws:s3:::bucket/object"}});
    for (operation, request) in [("GenerateDataKey", data_key(arn)), ("Decrypt", decrypt)] {
        let denied = format!("because no resource-based policy allows the kms:{operation} action");
        check_denied(&ann.kms(&world, operation, &request), &denied);
        check_denied(&Actor::from(ALICE).kms(&world, operation, &request), &denied);
        check_denied(&behalf(&world, QUEUES, &ann, operation, &request), &denied);
        let itself = send(&world, &Ask::new(STORAGE, operation, request.clone()), operation);
        check_denied(
            &itself,
            &format!("User: s3.amazonaws.com is not authorized to perform: kms:{operation}"),
        );
        check_denied(
            &behalf(&world, STORAGE, &Actor::from(BOB), operation, &request),
            "does not exist in this Region",
        );
    }
    let queues = json!({"KeyId": "alias/aws/sqs", "Plaintext": "eA=="});
    assert_eq!(
        behalf(&world, STORAGE, &ann, "Encrypt", &queues).code().as_deref(),
        Some("NotFoundException")
    );
    assert_eq!(keys(&world).len(), 1);
}

/// What the owner of a key may do with it, nobody may do with an AWS managed key; its alias is reserved.
#[test]
fn an_aws_managed_key_cannot_be_changed() {
    let world = with_services();
    let root = Actor::from(ALICE);
    let made = json_of(&behalf(&world, STORAGE, &root, "GenerateDataKey", &data_key(S3_KEY)));
    let key = made["KeyId"].clone();
    let policy = json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account)]}).to_string();
    let own = world.key(ALICE);
    for (operation, more) in [
        ("CancelKeyDeletion", json!({})),
        ("CreateAlias", json!({"AliasName": "alias/mine", "TargetKeyId": key})),
        ("DisableKey", json!({})),
        ("DisableKeyRotation", json!({})),
        ("EnableKey", json!({})),
        ("EnableKeyRotation", json!({"RotationPeriodInDays": 90})),
        ("PutKeyPolicy", json!({"Policy": policy, "BypassPolicyLockoutSafetyCheck": true})),
        ("RotateKeyOnDemand", json!({})),
        ("ScheduleKeyDeletion", json!({})),
        ("TagResource", json!({"Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        ("UntagResource", json!({"TagKeys": ["a"]})),
        ("UpdateKeyDescription", json!({"Description": "mine"})),
    ] {
        let mut request = more;
        if operation != "CreateAlias" {
            request["KeyId"] = key.clone();
        }
        let denied = format!("because no resource-based policy allows the kms:{operation} action");
        check_denied(&root.kms(&world, operation, &request), &denied);
    }
    world.succeed(ALICE, "CreateAlias", json!({"AliasName": "alias/mine", "TargetKeyId": own.id}));
    check_denied(
        &root.kms(&world, "UpdateAlias", &json!({"AliasName": "alias/mine", "TargetKeyId": key})),
        "because no resource-based policy allows the kms:UpdateAlias action",
    );
    for (operation, request) in [
        ("CreateAlias", json!({"AliasName": "alias/aws/mine", "TargetKeyId": own.id})),
        ("CreateAlias", json!({"AliasName": "alias/aws/sqs", "TargetKeyId": own.id})),
        ("UpdateAlias", json!({"AliasName": S3_KEY, "TargetKeyId": own.id})),
        ("DeleteAlias", json!({"AliasName": S3_KEY})),
    ] {
        assert_eq!(world.refuse(ALICE, operation, request), "NotAuthorizedException", "{operation}");
    }
}

/// A service does what it was given, for users and for itself, and nothing else of any API.
#[test]
fn a_service_calls_only_what_it_was_given() {
    let world = with_services();
    let root = Actor::from(ALICE);
    let key = world.key(ALICE);
    let on_key = json!({"KeyId": key.arn});
    for (operation, request) in [
        ("CreateKey", json!({})),
        ("ListKeys", json!({})),
        ("ListAliases", json!({})),
        ("GenerateRandom", json!({"NumberOfBytes": 1})),
        ("GetKeyPolicy", on_key.clone()),
        ("DisableKey", on_key.clone()),
        ("ScheduleKeyDeletion", on_key),
    ] {
        let denied = format!("s3.amazonaws.com is not configured to call {operation}.");
        check_denied(&behalf(&world, STORAGE, &root, operation, &request), &denied);
        check_denied(&send(&world, &Ask::new(STORAGE, operation, request), operation), &denied);
    }
    for (service, action) in [("iam", "ListUsers"), ("sts", "GetCallerIdentity")] {
        let reply =
            crate::actor::send(&world, action, &Actor::from(STORAGE).query(&world, service, action, &[]));
        assert_eq!((reply.status, reply.code().as_deref()), (403, Some("AccessDenied")), "{action}");
    }
}

/// A key that the customer made is used through a service by who may use it, and by nobody else.
#[test]
fn a_customers_key_is_used_through_a_service_by_permission() {
    let world = with_services();
    let ann = new_user(&world, ALICE, "Ann");
    let key = world.key(ALICE);
    let request = json!({"KeyId": key.arn, "Plaintext": base64(b"x")});
    let denied = "because no identity-based policy allows the kms:Encrypt action";
    check_denied(&behalf(&world, STORAGE, &ann, "Encrypt", &request), denied);
    // Only through S3, and not if a policy denies it.
    let mut statement = json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Condition": {
        "StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com", "kms:CallerAccount": ALICE.account},
        "Bool": {"aws:ViaAWSService": "true", "aws:PrincipalIsAWSService": "false"},
        "ForAnyValue:StringEquals": {"aws:CalledVia": ["s3.amazonaws.com"]},
        "Null": {"aws:SourceIp": "true", "aws:SourceVpce": "true", "aws:SourceArn": "true"}}});
    give(&world, ALICE, "Ann", &json!({"Version": "2012-10-17", "Statement": [statement]}).to_string());
    json_of(&behalf(&world, STORAGE, &ann, "Encrypt", &request));
    check_denied(&behalf(&world, QUEUES, &ann, "Encrypt", &request), denied);
    check_denied(&ann.kms(&world, "Encrypt", &request), denied);
    statement["Effect"] = json!("Deny");
    let both = json!({"Version": "2012-10-17",
        "Statement": [statement, {"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    give(&world, ALICE, "Ann", &both.to_string());
    check_denied(&behalf(&world, STORAGE, &ann, "Encrypt", &request), "with an explicit deny");
    json_of(&ann.kms(&world, "Encrypt", &request));
    // AWS's example: from listed addresses, or through a service.
    let example = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {
            "NotIpAddress": {"aws:SourceIp": ["198.51.100.0/24"]}, "Bool": {"aws:ViaAWSService": "false"}}}]});
    give(&world, ALICE, "Ann", &example.to_string());
    json_of(&behalf(&world, STORAGE, &ann, "Encrypt", &request));
    check_denied(&ann.kms(&world, "Encrypt", &request), "with an explicit deny");
}

/// A service that calls for itself is a principal of its own, for which key policies have `Service`.
#[test]
fn a_service_calls_for_itself_as_a_service_principal() {
    let world = with_services();
    let key = world.key(ALICE);
    let request = json!({"KeyId": key.arn, "Plaintext": base64(b"x")});
    let call = |root: Root, arn: &str, account: &str| {
        let ask = Ask::new(root, "Encrypt", request.clone());
        let ask = if arn.is_empty() { ask } else { ask.header("x-amz-source-arn", arn) };
        let ask = if account.is_empty() { ask } else { ask.header("x-amz-source-account", account) };
        send(&world, &ask, "Encrypt")
    };
    const BUCKET: &str = "arn:aws:s3:::bucket";
    check_denied(&call(STORAGE, BUCKET, ALICE.account), "User: s3.amazonaws.com is not authorized");
    let statement = json!({"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "kms:Encrypt",
        "Resource": "*", "Condition": {
            "ArnLike": {"aws:SourceArn": "arn:aws:s3:::buck*"}, "StringEquals": {"aws:SourceAccount": ALICE.account},
            "Bool": {"aws:PrincipalIsAWSService": "true", "aws:ViaAWSService": "false"},
            "Null": {"kms:ViaService": "true", "kms:CallerAccount": "true", "aws:SourceIp": "true",
                "aws:PrincipalArn": "true", "aws:PrincipalAccount": "true"}}});
    let policy =
        json!({"Version": "2012-10-17", "Statement": [open_to(ALICE.account), statement]}).to_string();
    world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": policy}));
    let reply = call(STORAGE, BUCKET, ALICE.account);
    json_of(&reply);
    assert_eq!(reply.event["userIdentity"], json!({"type": "AWSService", "invokedBy": "s3.amazonaws.com"}));
    assert_eq!(reply.event["recipientAccountId"], ALICE.account);
    // A service is of no account, that of its credential included.
    let close = claviger_service::account::close(&world.service, OPERATOR, ALICE.account, world.now());
    block_on(close).unwrap();
    assert_eq!(call(STORAGE, BUCKET, ALICE.account).code().as_deref(), Some("NotFoundException"));
    let reopen = claviger_service::account::reopen(&world.service, OPERATOR, ALICE.account, world.now());
    block_on(reopen).unwrap();
    json_of(&call(STORAGE, BUCKET, ALICE.account));
    check_denied(&call(STORAGE, "arn:aws:s3:::other", ALICE.account), "not authorized");
    check_denied(&call(STORAGE, BUCKET, BOB.account), "not authorized");
    check_denied(&call(STORAGE, "", ""), "not authorized");
    check_denied(&call(QUEUES, BUCKET, ALICE.account), "not authorized");
    check_denied(&call(STORAGE, "bucket", ALICE.account), "x-amz-source-arn is not an ARN");
    check_denied(&call(STORAGE, BUCKET, "1"), "x-amz-source-account is not an account");
    check_denied(&call(BOB, BUCKET, ALICE.account), "not authorized");
}

/// Predefined aliases are shown without a key until theirs is made, which describing it does.
#[test]
fn predefined_aliases_have_no_key_until_it_is_needed() {
    let world = with_services();
    let own = world.key(ALICE);
    for name in ["alias/a", "alias/aws-like", "alias/z"] {
        world.succeed(ALICE, "CreateAlias", json!({"AliasName": name, "TargetKeyId": own.id}));
    }
    let pages = |size: usize| {
        let (mut shown, mut marker) = (Vec::new(), Value::Null);
        loop {
            let mut request = json!({"Limit": size});
            if !marker.is_null() {
                request["Marker"] = marker;
            }
            let page = world.succeed(ALICE, "ListAliases", request);
            let aliases = page["Aliases"].as_array().unwrap();
            assert!(aliases.len() <= size);
            shown.extend(aliases.iter().map(|alias| {
                let text = |member: &str| alias[member].as_str().map(str::to_owned);
                (text("AliasName").unwrap(), text("TargetKeyId"), alias["CreationDate"].is_number())
            }));
            if page["Truncated"] == false {
                return shown;
            }
            marker = page["NextMarker"].clone();
        }
    };
    let id = Some(own.id.clone());
    let expected = |s3: Option<String>| {
        let alias = |name: &str, id: &Option<String>| (name.to_owned(), id.clone(), id.is_some());
        vec![
            alias("alias/a", &id),
            alias("alias/aws-like", &id),
            alias(S3_KEY, &s3),
            alias("alias/aws/sqs", &None),
            alias("alias/z", &id),
        ]
    };
    for size in 1..=6 {
        assert_eq!(pages(size), expected(None), "pages of {size}");
    }
    let filtered = world.succeed(ALICE, "ListAliases", json!({"KeyId": own.id}));
    assert_eq!(filtered["Aliases"].as_array().unwrap().len(), 3);
    let described = send(&world, &Ask::new(ALICE, "DescribeKey", json!({"KeyId": S3_KEY})), "DescribeKey");
    let described = json_of(&described)["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    for size in 1..=6 {
        assert_eq!(pages(size), expected(Some(described.clone())), "pages of {size}");
    }
    assert_eq!(world.refuse(ALICE, "DescribeKey", json!({"KeyId": "alias/aws/ebs"})), "NotFoundException");
    assert_eq!(
        world.refuse(ALICE, "Encrypt", json!({"KeyId": "alias/aws/sqs", "Plaintext": "eA=="})),
        "NotFoundException"
    );
}

/// No key is made by who may not use it, by a dry run, or to decrypt under.
#[test]
fn a_call_that_is_refused_makes_no_key() {
    let world = with_services();
    let ann = new_user(&world, ALICE, "Ann");
    let deny = json!({"Version": "2012-10-17",
        "Statement": [{"Effect": "Deny", "Action": "kms:*", "Resource": "*"}]});
    give(&world, ALICE, "Ann", &deny.to_string());
    let root = Actor::from(ALICE);
    check_denied(&behalf(&world, STORAGE, &ann, "GenerateDataKey", &data_key(S3_KEY)), "explicit deny");
    check_denied(&ann.kms(&world, "DescribeKey", &json!({"KeyId": S3_KEY})), "explicit deny");
    let mut dry = data_key(S3_KEY);
    dry["DryRun"] = json!(true);
    let code = |reply: &Reply| reply.code().unwrap();
    assert_eq!(code(&behalf(&world, STORAGE, &root, "GenerateDataKey", &dry)), "DryRunOperationException");
    let decrypt = json!({"KeyId": S3_KEY, "CiphertextBlob": base64(&[1; 80])});
    assert_eq!(code(&behalf(&world, STORAGE, &root, "Decrypt", &decrypt)), "NotFoundException");
    let both = json!({"KeyId": S3_KEY, "NumberOfBytes": 1, "KeySpec": "AES_256"});
    assert_eq!(code(&behalf(&world, STORAGE, &root, "GenerateDataKey", &both)), "ValidationException");
    assert_eq!(keys(&world), [""; 0]);
}

/// However many use it first, there is one key.
#[test]
fn an_aws_managed_key_is_made_once() {
    let world = with_services();
    let (root, world) = (Actor::from(ALICE), &world);
    let arns: Vec<Value> = std::thread::scope(|scope| {
        let uses = (0..8).map(|_| {
            let proof = signed_for(&root, "s3", REGION, world.now());
            let ask = Ask::new(STORAGE, "GenerateDataKey", data_key(S3_KEY)).header(FORWARD, &proof);
            scope.spawn(move || {
                let handled = block_on(world.service.handle(&ask.incoming(world.now()), world.now()));
                assert_eq!(handled.outgoing.status, 200);
                serde_json::from_slice::<Value>(&handled.outgoing.body).unwrap()["KeyId"].clone()
            })
        });
        uses.collect::<Vec<_>>().into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(arns.iter().all(|arn| *arn == arns[0]), "{arns:?}");
    assert_eq!((keys(world).len(), world.service_events("CreateKey").len()), (1, 1));
}
