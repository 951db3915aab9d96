//! That nothing is answered without a decision.

use bytes::Bytes;
use claviger_wire::incoming::{Incoming, Origin};
use http::{HeaderMap, Method};

use super::*;

/// Calls a test back with a call that has just begun.
fn with_call(test: impl FnOnce(Call<'_>)) {
    let caller = Caller::of_root_for_tests("111122223333");
    let incoming = Incoming {
        method: Method::POST,
        path: "/".to_owned(),
        query: String::new(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
        origin: Arc::new(Origin { peer: std::net::Ipv4Addr::LOCALHOST.into(), tls: None, endpoint: None }),
    };
    test(Call::new(Subject {
        caller: &caller,
        incoming: &incoming,
        endpoint: None,
        now: Moment(0),
        event_source: "kms.amazonaws.com",
        event_name: "Forgetful",
        region: "us-east-1",
        request_id: "r",
        event_id: "e",
        read_only: true,
    }));
}

/// Invariant I3: an operation that forgot to ask is refused; so is one whose decision was undone by a new attempt.
#[test]
fn a_call_without_a_decision_is_refused() {
    with_call(|mut call| {
        let refused = |call: &Call<'_>| call.must_be_decided().err().map(|error| error.code);
        assert_eq!(refused(&call), Some(Code::KmsInternal));
        call.authorize_account("kms:ListKeys", Asks::default()).unwrap();
        assert_eq!(refused(&call), None);
        call.start_over();
        assert_eq!(refused(&call), Some(Code::KmsInternal));
    });
}

/// A replica is made in its own Region, as what it will be: policies that look at the request can tell.
#[test]
fn a_key_to_be_made_is_asked_for_in_its_region() {
    let new_key =
        Some((KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt, crate::kms::shapes::Origin::AwsKms));
    let replica = Asks {
        new_key,
        new_key_type: Some(MultiRegionKeyType::Replica),
        region: Some("eu-west-1"),
        ..Asks::default()
    };
    let single = Asks { new_key, ..Asks::default() };
    with_call(|call| {
        let said = |asks, key: &str| {
            let context = Circumstances { call: &call, key: None, resource: "*", asks };
            match policy::Context::values(&context, key) {
                Some(policy::Values::One(value)) => value.into_owned(),
                Some(_) => "many".to_owned(),
                None => "none".to_owned(),
            }
        };
        for (key, of_replica, of_single) in [
            ("kms:multiregion", "true", "false"),
            ("kms:multiregionkeytype", "REPLICA", "none"),
            ("aws:requestedregion", "eu-west-1", "us-east-1"),
            ("kms:keyspec", "SYMMETRIC_DEFAULT", "SYMMETRIC_DEFAULT"),
        ] {
            assert_eq!((&*said(replica, key), &*said(single, key)), (of_replica, of_single), "{key}");
        }
    });
}
