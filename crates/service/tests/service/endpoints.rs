//! VPC endpoints: what a request carries that comes through one, and what the endpoint's policy lets through.

use std::sync::Arc;

use claviger_service::{Endpoint, Endpoints};
use claviger_wire::incoming::{Incoming, Origin};
use serde_json::{Value, json};

use crate::actor::{Actor, allow, give, new_user, send, trusts, unsigned_query};
use crate::federation;
use crate::issuer::Documents;
use crate::policies::open_to;
use crate::world::{ALICE, Ask, BOB, Key, World, base64, block_on, origin};

/// Lets everything through.
const OPEN: &str = "vpce-0123456789abcdef0";
/// Lets through only `kms:Encrypt` and `kms:DescribeKey`, by whomever.
pub(crate) const FEW_ACTIONS: &str = "vpce-00000001";
/// Lets through only Alice's account.
pub(crate) const ALICES: &str = "vpce-00000002";
/// Lets everything through but what denies: any use by the user Ann, and `kms:Decrypt` by anyone.
pub(crate) const DENYING: &str = "vpce-00000003";
/// Lets through only keys with this tag.
const TAGGED: &str = "vpce-00000004";

const VPC: &str = "vpc-0123abcd";
/// Owns the endpoints.
const OWNER: &str = "777788889999";

/// The endpoints of every world.
pub(crate) fn configured() -> Endpoints {
    let statement = |effect: &str, principal: Value, action: Value| json!({"Effect": effect, "Principal": principal, "Action": action, "Resource": "*"});
    let anyone = json!("*");
    let mut tagged = statement("Allow", anyone.clone(), json!("*"));
    tagged["Condition"] = json!({"StringEquals": {"aws:ResourceTag/Net": "inside"}});
    let policies = [
        (OPEN, None),
        (
            FEW_ACTIONS,
            Some(vec![statement("Allow", anyone.clone(), json!(["kms:Encrypt", "kms:DescribeKey"]))]),
        ),
        (ALICES, Some(vec![statement("Allow", json!({"AWS": ALICE.account}), json!("kms:*"))])),
        (
            DENYING,
            Some(vec![
                statement("Allow", anyone.clone(), json!("*")),
                statement("Deny", anyone, json!("kms:Decrypt")),
                statement("Deny", json!({"AWS": "arn:aws:iam::111122223333:user/Ann"}), json!("*")),
            ]),
        ),
        (TAGGED, Some(vec![tagged])),
    ];
    let endpoints = policies.into_iter().map(|(id, statements)| {
        let text = statements
            .map(|statements| json!({"Version": "2012-10-17", "Statement": statements}).to_string());
        Endpoint::new(id, VPC, OWNER, text.as_deref()).unwrap()
    });
    Endpoints::new(endpoints).unwrap()
}

/// One endpoint, with this policy, and where requests through it come from.
pub(crate) fn one(policy: &str) -> (Endpoints, Origin) {
    let endpoint = Endpoint::new(OPEN, VPC, OWNER, Some(policy)).unwrap();
    (Endpoints::new([endpoint]).unwrap(), through(OPEN))
}

/// Where a request comes from that uses an endpoint.
pub(crate) fn through(id: &str) -> Origin {
    Origin { endpoint: Some(id.into()), ..origin() }
}

fn from(peer: &str) -> Origin {
    Origin { peer: peer.parse::<std::net::IpAddr>().unwrap().into(), ..origin() }
}

/// A key whose policy has these further statements.
fn with_statements(world: &World, statements: &[Value]) -> Key {
    let key = world.key(ALICE);
    let mut all = vec![open_to(ALICE.account)];
    all.extend_from_slice(statements);
    let document = json!({"Version": "2012-10-17", "Statement": all}).to_string();
    world.succeed(ALICE, "PutKeyPolicy", json!({"KeyId": key.id, "Policy": document}));
    key
}

/// Whether a key may be described whose policy allows that under the condition.
fn check(ask: impl Fn(Ask) -> Ask, condition: &Value, expected: bool) {
    let world = World::new();
    let statement = json!({"Effect": "Allow", "Principal": {"AWS": BOB.account}, "Action": "kms:DescribeKey",
        "Resource": "*", "Condition": condition});
    let key = with_statements(&world, &[statement]);
    let answer = world.send(&ask(Ask::new(BOB, "DescribeKey", json!({"KeyId": key.arn}))));
    assert_eq!(answer.code.is_none(), expected, "{condition}: {}", answer.body);
}

#[test]
fn a_request_through_an_endpoint_carries_its_keys() {
    let inside = |ask: Ask| ask.origin(through(OPEN));
    let outside = |ask: Ask| ask;
    for (operator, key, value) in [
        ("StringEquals", "aws:SourceVpce", OPEN),
        ("StringEquals", "aws:SourceVpc", VPC),
        ("StringEquals", "aws:VpceAccount", OWNER),
        ("ArnEquals", "aws:SourceVpcArn", "arn:aws:ec2:us-east-1:777788889999:vpc/vpc-0123abcd"),
        ("IpAddress", "aws:VpcSourceIp", "192.0.2.0/24"),
    ] {
        check(inside, &json!({operator: {key: value}}), true);
        check(outside, &json!({operator: {key: value}}), false);
        check(outside, &json!({"Null": {key: "true"}}), true);
    }
    check(inside, &json!({"StringEquals": {"aws:SourceVpce": FEW_ACTIONS}}), false);
    check(inside, &json!({"IpAddress": {"aws:VpcSourceIp": "198.51.100.0/24"}}), false);
    // The public address is that of requests that come in without an endpoint, and of no other.
    check(inside, &json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}), false);
    check(inside, &json!({"Null": {"aws:SourceIp": "true"}}), true);
    check(outside, &json!({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}), true);
}

/// Attack B18: a request that came through no endpoint, or through another, does not say so by a header.
#[test]
fn b18_no_header_names_a_vpc_endpoint() {
    let forged = |ask: Ask| {
        ["x-amz-vpce", "x-amz-source-vpce", "x-amz-vpc-endpoint-id", "x-amz-vpce-id", "x-vpce"]
            .into_iter()
            .fold(ask, |ask, name| ask.header(name, OPEN))
            .header("x-amz-source-vpc", VPC)
            .header("x-amz-vpc-source-ip", "198.51.100.1")
            .header("x-forwarded-for", "198.51.100.1")
            .header("user-agent", OPEN)
    };
    for key in ["aws:SourceVpce", "aws:SourceVpc", "aws:VpcSourceIp", "aws:VpceAccount", "aws:SourceVpcArn"] {
        check(forged, &json!({"Null": {key: "false"}}), false);
    }
    let other = |ask: Ask| forged(ask).origin(through(DENYING));
    check(other, &json!({"StringEquals": {"aws:SourceVpce": OPEN}}), false);
    check(other, &json!({"StringEquals": {"aws:SourceVpce": DENYING}}), true);
    check(other, &json!({"IpAddress": {"aws:VpcSourceIp": "198.51.100.0/24"}}), false);
}

/// AWS's example "Denies access to AWS based on the source IP": nobody but from the listed networks. A request through an
/// endpoint has no public address, and is denied.
#[test]
fn the_example_policy_denies_all_but_the_listed_addresses() {
    let deny = json!({"Effect": "Deny", "Principal": {"AWS": BOB.account}, "Action": "kms:*", "Resource": "*",
    "Condition": {
        "NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "203.0.113.0/24"]},
        "Bool": {"aws:ViaAWSService": "false"},
    }});
    let world = World::new();
    let key = with_statements(&world, &[open_to(BOB.account), deny]);
    let request = json!({"KeyId": key.arn, "Plaintext": base64(b"x")});
    let encrypt = |origin: Origin, header: (&'static str, &str)| {
        let ask = Ask::new(BOB, "Encrypt", request.clone()).origin(origin).header(header.0, header.1);
        world.send(&ask).code
    };
    let denied = Some("AccessDeniedException");
    let plain = ("x-nothing", "x");
    for peer in ["192.0.2.10", "203.0.113.255", "::ffff:203.0.113.1"] {
        assert_eq!(encrypt(from(peer), plain), None, "{peer}");
    }
    for peer in ["192.0.3.1", "198.51.100.7", "10.0.0.1", "2001:db8::1", "::ffff:192.0.3.1", "::c000:20a"] {
        assert_eq!(encrypt(from(peer), plain), denied, "{peer}");
        for header in ["x-forwarded-for", "x-real-ip", "x-amz-source-ip", "x-amz-via-aws-service"] {
            assert_eq!(encrypt(from(peer), (header, "192.0.2.10")), denied, "{header}");
        }
    }
    assert_eq!(encrypt(through(OPEN), plain), denied);
    let event = world.send(&Ask::new(BOB, "Encrypt", request).origin(from("198.51.100.7"))).event;
    assert_eq!(
        (&event["errorCode"], &event["sourceIPAddress"]),
        (&json!("AccessDenied"), &json!("198.51.100.7"))
    );
}

/// What an endpoint's policy lets through, and nothing more than what others allow.
#[test]
fn an_endpoints_policy_caps_what_goes_through_it() {
    let world = World::new();
    let key = with_statements(&world, &[open_to(BOB.account)]);
    world.succeed(
        ALICE,
        "TagResource",
        json!({"KeyId": key.id, "Tags": [{"TagKey": "Net", "TagValue": "inside"}]}),
    );
    let untagged = with_statements(&world, &[open_to(BOB.account)]);
    let blob = world.encrypt(ALICE, &key, b"x", json!({}));
    let (describe, decrypt) = (json!({"KeyId": key.arn}), json!({"CiphertextBlob": blob, "KeyId": key.arn}));
    let encrypt = json!({"KeyId": key.arn, "Plaintext": base64(b"x")});
    for (id, caller, operation, request, expected) in [
        (OPEN, ALICE, "Decrypt", &decrypt, None),
        (FEW_ACTIONS, ALICE, "Encrypt", &encrypt, None),
        (FEW_ACTIONS, BOB, "DescribeKey", &describe, None),
        (
            FEW_ACTIONS,
            ALICE,
            "Decrypt",
            &decrypt,
            Some("because no VPC endpoint policy allows the kms:Decrypt action"),
        ),
        (
            FEW_ACTIONS,
            ALICE,
            "ListKeys",
            &json!({}),
            Some("because no VPC endpoint policy allows the kms:ListKeys action"),
        ),
        (ALICES, ALICE, "Decrypt", &decrypt, None),
        (ALICES, BOB, "DescribeKey", &describe, Some("on this resource because the resource does not exist")),
        (DENYING, ALICE, "Encrypt", &encrypt, None),
        (DENYING, ALICE, "Decrypt", &decrypt, Some("with an explicit deny in a VPC endpoint policy")),
        (TAGGED, ALICE, "DescribeKey", &describe, None),
        (
            TAGGED,
            ALICE,
            "DescribeKey",
            &json!({"KeyId": untagged.arn}),
            Some("because no VPC endpoint policy allows"),
        ),
    ] {
        let answer = world.send(&Ask::new(caller, operation, request.clone()).origin(through(id)));
        match expected {
            None => assert_eq!(answer.code, None, "{id} {operation}: {}", answer.body),
            Some(text) => {
                assert_eq!(answer.code, Some("AccessDeniedException"), "{id} {operation}");
                assert!(answer.body.contains(text), "{}", answer.body);
            }
        }
        assert_eq!(answer.event["vpcEndpointId"], id);
        assert_eq!(answer.event["vpcEndpointAccountId"], OWNER);
        assert_eq!(answer.event["sourceIPAddress"], "192.0.2.10");
    }
    let direct = world.send(&Ask::new(ALICE, "DescribeKey", describe)).event;
    assert!(direct.get("vpcEndpointId").is_none() && direct.get("vpcEndpointAccountId").is_none());
}

/// A policy that allows what nothing else does allows nothing.
#[test]
fn an_endpoints_policy_adds_nothing() {
    let world = World::new();
    let key = with_statements(&world, &[]);
    for operation in ["DescribeKey", "EnableKey", "GetKeyPolicy"] {
        let ask = Ask::new(BOB, operation, json!({"KeyId": key.arn})).origin(through(DENYING));
        assert_eq!(world.send(&ask).code, Some("AccessDeniedException"), "{operation}");
    }
}

/// The policy decides about users by name, and about IAM and STS as about KMS.
#[test]
fn an_endpoints_policy_is_asked_about_users_and_about_iam() {
    let world = World::new();
    let key = world.key(ALICE);
    let (ann, ben) = (new_user(&world, ALICE, "Ann"), new_user(&world, ALICE, "Ben"));
    for user in ["Ann", "Ben"] {
        give(&world, ALICE, user, &allow(&["*"]));
    }
    let describe = |actor: &Actor, id: Option<&str>| {
        let mut incoming = actor.json(&world, "DescribeKey", &json!({"KeyId": key.arn}));
        incoming.origin = Origin { endpoint: id.map(Into::into), ..origin() }.into();
        send(&world, "DescribeKey", &incoming).code()
    };
    assert_eq!(describe(&ann, None), None);
    assert_eq!(describe(&ben, Some(DENYING)), None);
    assert_eq!(describe(&ann, Some(DENYING)).as_deref(), Some("AccessDeniedException"));
    assert_eq!(describe(&ann, Some(ALICES)), None);
    let list = |actor: &Actor, id: &str| {
        let mut incoming = actor.query(&world, "iam", "ListUsers", &[]);
        incoming.origin = through(id).into();
        send(&world, "ListUsers", &incoming)
    };
    assert_eq!(list(&ben, OPEN).status, 200);
    let refused = list(&ben, FEW_ACTIONS);
    assert_eq!(refused.code().as_deref(), Some("AccessDenied"));
    assert!(
        refused.element("Message").contains("because no VPC endpoint policy allows the iam:ListUsers action")
    );
    assert_eq!(refused.event["vpcEndpointId"], FEW_ACTIONS);
}

/// A role is not assumed through an endpoint whose policy does not allow it.
#[test]
fn an_endpoints_policy_is_asked_before_a_role_is_assumed() {
    let world = World::new();
    let ben = new_user(&world, ALICE, "Ben");
    give(&world, ALICE, "Ben", &allow(&["sts:AssumeRole"]));
    let trust = trusts("arn:aws:iam::111122223333:user/Ben");
    Actor::from(ALICE).does(&world, "CreateRole", &[("RoleName", "R"), ("AssumeRolePolicyDocument", &trust)]);
    let members = [("RoleArn", "arn:aws:iam::111122223333:role/R"), ("RoleSessionName", "s1")];
    for (id, status) in [(OPEN, 200), (DENYING, 200), (FEW_ACTIONS, 403), (ALICES, 403)] {
        let mut incoming = ben.query(&world, "sts", "AssumeRole", &members);
        incoming.origin = through(id).into();
        assert_eq!(send(&world, "AssumeRole", &incoming).status, status, "{id}");
    }
}

/// AWS's example "Allow all AWS STS actions for specific accounts": those who sign by their account, those whom an
/// identity provider vouches for, who have none yet, by the account of their role.
#[test]
fn the_example_policy_for_sts_tells_federated_callers_by_their_role() {
    let (world, _) = federation::with_provider();
    let ben = new_user(&world, ALICE, "Ben");
    let trust = trusts("arn:aws:iam::111122223333:user/Ben");
    Actor::from(ALICE).does(&world, "CreateRole", &[("RoleName", "R"), ("AssumeRolePolicyDocument", &trust)]);
    let token = federation::token(&world, &json!({}));
    let members = [("RoleArn", federation::ROLE), ("RoleSessionName", "s1"), ("WebIdentityToken", &token)];
    let exchange = unsigned_query("AssumeRoleWithWebIdentity", &members);
    let members = [("RoleArn", "arn:aws:iam::111122223333:role/R"), ("RoleSessionName", "s1")];
    let assume = ben.query(&world, "sts", "AssumeRole", &members);
    let who = |actor: &Actor| actor.query(&world, "sts", "GetCallerIdentity", &[]);
    let (own, foreign) = (who(&ben), who(&Actor::from(BOB)));

    let only = |principal: Value, action: &str, key: &str, value: &str| {
        json!({"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*",
        "Condition": {"StringEquals": {key: value}}})
    };
    let signed = only(json!({"AWS": "*"}), "sts:*", "aws:PrincipalAccount", ALICE.account);
    let of_role = |account| only(json!("*"), "sts:AssumeRole*", "aws:ResourceAccount", account);
    let arn = only(json!("*"), "*", "aws:PrincipalArn", federation::PROVIDER);
    let service = only(json!("*"), "*", "aws:PrincipalIsAWSService", "false");
    for (statements, request, status) in [
        (vec![&signed], &own, 200),
        (vec![&signed], &foreign, 403),
        (vec![&signed], &assume, 200),
        (vec![&signed], &exchange, 403),
        (vec![&arn], &exchange, 403),
        (vec![&service], &exchange, 403),
        (vec![&service], &own, 200),
        (vec![&signed, &of_role(ALICE.account)], &exchange, 200),
        (vec![&signed, &of_role(BOB.account)], &exchange, 403),
        (vec![&of_role(ALICE.account)], &assume, 200),
        (vec![&of_role(BOB.account)], &assume, 403),
        (vec![&of_role(ALICE.account)], &own, 403),
    ] {
        let (endpoints, origin) = one(&json!({"Version": "2012-10-17", "Statement": statements}).to_string());
        let host = world.host(|installation| {
            installation.with_endpoints(endpoints).with_fetcher(Arc::<Documents>::clone(&world.web))
        });
        let request = Incoming { origin: origin.into(), ..request.clone() };
        let handled = block_on(host.handle(&request, world.now()));
        let body = String::from_utf8_lossy(&handled.outgoing.body);
        assert_eq!(handled.outgoing.status, status, "{statements:?}: {body}");
    }
}
