//! The front door: requests that are no calls, callers that are nobody, and the order in which both are found out.

use claviger_wire::incoming::Incoming;
use expect_test::expect_file;
use http::Request;
use http::request::Builder;
use serde_json::Value;

use crate::world::{ALICE, BOB, DAY_MS, Root, World, block_on, origin, signed};

const AWS_JSON: &str = "application/x-amz-json-1.1";
const FORM: &str = "application/x-www-form-urlencoded";
const WHO_AM_I: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// A request of a method to a path, of a content type, with a target; `-` stands for none.
fn request(method: &str, path: &str, content_type: &str, target: &str) -> Builder {
    let mut request =
        Request::builder().method(method).uri(path).header("host", "kms.us-east-1.amazonaws.com");
    for (name, value) in [("content-type", content_type), ("x-amz-target", target)] {
        if value != "-" {
            request = request.header(name, value);
        }
    }
    request
}

/// Sends a request; says what came back, and how many events it left. Whatever it was, the store is as before and the
/// HSM was not asked.
fn send(world: &World, incoming: &Incoming) -> String {
    let (before, events) = (world.content(), world.ledger.len());
    world.vault.forget_sent();
    let handled = block_on(world.service.handle(incoming, world.now()));
    assert_eq!((world.content(), world.vault.sent()), (before, Vec::new()));
    let written = world.ledger.since(events);
    assert_eq!(written.len(), usize::from(handled.account.is_some()), "events of those who are somebody");
    assert_eq!(handled.event.is_some(), handled.account.is_some());
    for event in &written {
        let event: Value = serde_json::from_slice(event).unwrap();
        assert_eq!(event["requestID"], handled.outgoing.request_id);
    }
    let reply = &handled.outgoing;
    let body = String::from_utf8(reply.body.to_vec()).unwrap().replace(&reply.request_id, "<request id>");
    let kind = reply.content_type.unwrap_or("-");
    let name = handled.operation;
    format!(
        "{} {kind} [{name}, {} events] {}",
        reply.status,
        written.len(),
        body.trim_end().replace('\n', "\n    ")
    )
}

fn sign_for(caller: Root, service: &str, world: &World, request: Builder, body: &str) -> Incoming {
    signed(caller, (service, "us-east-1"), request, body, origin(), world.now())
}

/// The same requests signed and unsigned: what is wrong with a request is told before who sent it is known, and is
/// recorded where that is known.
#[test]
fn requests_that_are_no_calls_are_told_apart() {
    let world = World::new();
    let mut said = String::new();
    let long = format!("TrentService.{}", "x".repeat(4000));
    for (method, path, content_type, target, body) in [
        ("GET", "/", AWS_JSON, "TrentService.ListKeys", "{}"),
        ("PUT", "/", AWS_JSON, "TrentService.ListKeys", "{}"),
        ("OPTIONS", "/", "-", "-", ""),
        ("POST", "/", AWS_JSON, "TrentService.ListKeys", ""),
        ("POST", "/", AWS_JSON, "TrentService.Sign", ""),
        ("POST", "/", AWS_JSON, "TrentService.NoSuch", ""),
        ("POST", "/", "text/plain", "TrentService.ListKeys", ""),
        ("POST", "/", "text/plain", "-", "{}"),
        ("POST", "/", "text/plain", "TrentService.ListKeys", "{}"),
        ("POST", "/", "application/x-amz-json-1.0", "TrentService.ListKeys", "{}"),
        ("POST", "/", "application/json", "TrentService.ListKeys", "{}"),
        ("POST", "/", "application/json", "TrentService.ListKeys", "[]"),
        ("POST", "/", AWS_JSON, "TrentService.ListKeys", "[]"),
        ("POST", "/", AWS_JSON, "TrentService.ListKeys", "{}{}"),
        ("POST", "/", AWS_JSON, "-", "{}"),
        ("POST", "/", AWS_JSON, "trentservice.ListKeys", "{}"),
        ("POST", "/", AWS_JSON, "TrentService.listkeys", "{}"),
        ("POST", "/", AWS_JSON, "DynamoDB_20120810.ListTables", "{}"),
        ("POST", "/", AWS_JSON, &long, "{}"),
        ("POST", "/", FORM, "-", "Action=AssumeRoot&Version=2011-06-15"),
        ("POST", "/", FORM, "-", "Action=AssumeNothing&Version=2011-06-15"),
        ("POST", "/", FORM, "-", "Action=GetCallerIdentity&Version=2011-06-15&A=1&A.b=2"),
        ("POST", "/", FORM, "-", "Action=GetCallerIdentity&Version=2010-01-01"),
        ("POST", "/", FORM, "-", ""),
    ] {
        let service = if content_type == FORM { "sts" } else { "kms" };
        let unsigned = Incoming {
            headers: request(method, path, content_type, target).body(()).unwrap().into_parts().0.headers,
            ..sign_for(ALICE, service, &world, request(method, path, content_type, target), body)
        };
        let sent = sign_for(ALICE, service, &world, request(method, path, content_type, target), body);
        let target = target.get(..40).unwrap_or(target);
        said.push_str(&format!("{method} {path} {content_type} {target} {body}\n"));
        said.push_str(&format!("    unsigned: {}\n", send(&world, &unsigned)));
        said.push_str(&format!("    signed:   {}\n\n", send(&world, &sent)));
    }
    expect_file!["golden/front.txt"].assert_eq(&said);
}

/// A browser asks before a page may call: it is answered before anybody is authenticated, and nothing happens. Everything
/// but that is what it is without a page.
#[test]
fn a_page_is_told_nothing_but_that_it_may_call() {
    let world = World::new();
    let from_page = |request: Builder| request.header("origin", "https://page.example");
    let preflight = |path: &str, method: &str| {
        let asked = request(method, path, "-", "-").header("access-control-request-method", "POST");
        from_page(asked).header("access-control-request-headers", "X-Amz-Target,Authorization")
    };
    let list = || from_page(request("POST", "/", AWS_JSON, "TrentService.ListKeys"));
    let mut said = String::new();
    for (what, request, body) in [
        ("a preflight", preflight("/", "OPTIONS"), ""),
        ("one for an action", preflight(&format!("/?{WHO_AM_I}"), "OPTIONS"), ""),
        (
            "one with a call in it",
            from_page(request("OPTIONS", "/", AWS_JSON, "TrentService.CreateKey")),
            "{}",
        ),
        ("another path", preflight("/x", "OPTIONS"), ""),
        ("another method", preflight("/", "PUT"), ""),
        ("a call of a page", list(), "{}"),
    ] {
        let sent = sign_for(ALICE, "kms", &world, request, body);
        let mut unsigned = sent.clone();
        unsigned.headers.remove("authorization");
        said.push_str(&format!("{what}\n    unsigned: {}\n", send(&world, &unsigned)));
        said.push_str(&format!("    signed:   {}\n\n", send(&world, &sent)));
    }
    expect_file!["golden/pages.txt"].assert_eq(&said);
}

/// A request that would be a good one, but for who sent it.
#[test]
fn callers_who_are_nobody_leave_no_trace_but_the_answer() {
    let world = World::new();
    let list = || request("POST", "/", AWS_JSON, "TrentService.ListKeys");
    let good = || sign_for(ALICE, "kms", &world, list(), "{}");
    let mut said = String::new();
    let mut show =
        |what: &str, incoming: &Incoming| said.push_str(&format!("{what}: {}\n\n", send(&world, incoming)));
    show("a good request", &good());
    let mut unsigned = good();
    unsigned.headers.remove("authorization");
    show("no signature", &unsigned);
    let mut malformed = good();
    malformed
        .headers
        .insert("authorization", http::HeaderValue::from_static("AWS4-HMAC-SHA256 Credential=x"));
    show("half a signature", &malformed);
    let mut altered = good();
    altered.body = bytes::Bytes::from_static(b"{ }");
    show("an altered body", &altered);
    let mut retargeted = good();
    retargeted.headers.insert("x-amz-target", http::HeaderValue::from_static("TrentService.CreateKey"));
    show("an altered target", &retargeted);
    let wrong = Root { secret: "not/the/secret/of/alice/at/all/000000000", ..ALICE };
    show("a wrong secret", &sign_for(wrong, "kms", &world, list(), "{}"));
    let unknown = Root { access_key_id: "AKIANOBODY0000000001", ..ALICE };
    show("an unknown access key", &sign_for(unknown, "kms", &world, list(), "{}"));
    show("another service", &sign_for(ALICE, "iam", &world, list(), "{}"));
    let mut with_token = good();
    with_token.headers.insert("x-amz-security-token", http::HeaderValue::from_static("token"));
    show("a session token that is not signed", &with_token);
    let old = good();
    world.clock.advance(5 * 60 * 1000);
    show("five minutes old", &old);
    world.clock.advance(1000);
    show("a second older", &old);
    world.clock.advance(DAY_MS);
    show("a day old", &old);
    expect_file!["golden/nobody.txt"].assert_eq(&said);
}

#[test]
fn everybody_may_ask_who_they_are() {
    let world = World::new();
    let mut said = String::new();
    for caller in [ALICE, BOB] {
        let posted = sign_for(caller, "sts", &world, request("POST", "/", FORM, "-"), WHO_AM_I);
        let got = sign_for(caller, "sts", &world, request("GET", &format!("/?{WHO_AM_I}"), "-", "-"), "");
        let for_kms = sign_for(caller, "kms", &world, request("POST", "/", FORM, "-"), WHO_AM_I);
        for incoming in [posted, got, for_kms] {
            said.push_str(&format!("{}\n\n", send(&world, &incoming)));
        }
    }
    expect_file!["golden/who_am_i.txt"].assert_eq(&said);
}
