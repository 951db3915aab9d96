//! Lists, a page at a time.

use serde_json::{Value, json};

use crate::world::{ALICE, Ask, BOB, Key, World};

/// How many entries each list has.
const ENTRIES: usize = 7;

/// A list: its operation, what its request says beside the page, and where the answer has the entries and their names.
struct List {
    operation: &'static str,
    request: Value,
    entries: &'static str,
    name: &'static str,
}

/// A world in which each list has entries, and the lists.
fn lists() -> (World, Key, Vec<List>) {
    let world = World::new();
    let tags: Value =
        (0..ENTRIES).map(|number| json!({"TagKey": format!("t{number}"), "TagValue": ""})).collect();
    let key = world.key_with(ALICE, json!({"Tags": tags}));
    let other = world.key(ALICE);
    for _ in 2..ENTRIES {
        world.key(ALICE);
    }
    for number in 0..ENTRIES {
        let target = if number % 2 == 0 { &key } else { &other };
        let name = format!("alias/{}", "a".repeat(number + 1));
        world.succeed(ALICE, "CreateAlias", json!({"AliasName": name, "TargetKeyId": target.id}));
    }
    world.key(BOB);
    let list = |operation, request, entries, name| List { operation, request, entries, name };
    let all = vec![
        list("ListKeys", json!({}), "Keys", "KeyId"),
        list("ListAliases", json!({}), "Aliases", "AliasName"),
        list("ListAliases", json!({"KeyId": key.id}), "Aliases", "AliasName"),
        list("ListResourceTags", json!({"KeyId": key.id}), "Tags", "TagKey"),
    ];
    (world, key, all)
}

impl List {
    fn page(&self, limit: usize, marker: Option<&Value>) -> Value {
        let mut request = self.request.clone();
        request["Limit"] = json!(limit);
        if let Some(marker) = marker {
            request["Marker"] = marker.clone();
        }
        request
    }

    /// All names, gathered page by page.
    fn walk(&self, world: &World, limit: usize) -> Vec<String> {
        let (mut names, mut marker) = (Vec::new(), None);
        loop {
            let page = world.succeed(ALICE, self.operation, self.page(limit, marker.as_ref()));
            let entries = page[self.entries].as_array().unwrap();
            assert!(entries.len() <= limit);
            names.extend(entries.iter().map(|entry| entry[self.name].as_str().unwrap().to_owned()));
            assert_eq!(page["Truncated"] == true, page.get("NextMarker").is_some(), "{page}");
            match page.get("NextMarker") {
                Some(next) => marker = Some(next.clone()),
                None => return names,
            }
            assert!(names.len() <= ENTRIES, "the list goes round");
        }
    }
}

#[test]
fn every_page_size_gives_the_same_list() {
    let (world, _, lists) = lists();
    for list in lists {
        let whole = list.walk(&world, 1000);
        let expected =
            if list.request.get("KeyId").is_some() && list.operation == "ListAliases" { 4 } else { ENTRIES };
        assert_eq!(whole.len(), expected, "{}", list.operation);
        assert!(whole.is_sorted(), "{whole:?}");
        for size in 1..=ENTRIES + 1 {
            assert_eq!(list.walk(&world, size), whole, "{} by {size}", list.operation);
        }
    }
}

#[test]
fn a_list_goes_on_where_its_last_entry_was_deleted() {
    let (world, _, _) = lists();
    let first = world.succeed(ALICE, "ListAliases", json!({"Limit": 3}));
    world.succeed(ALICE, "DeleteAlias", json!({"AliasName": "alias/aaa"}));
    let rest = world.succeed(ALICE, "ListAliases", json!({"Marker": first["NextMarker"]}));
    assert_eq!(rest["Aliases"][0]["AliasName"], "alias/aaaa");
    assert_eq!(rest["Aliases"].as_array().map(Vec::len), Some(ENTRIES - 3));
}

/// Attack C18: markers that are altered, or given to another caller, Region, operation or filter.
#[test]
fn c18_markers_work_only_where_they_were_given() {
    let (world, key, lists) = lists();
    let marker = |list: &List| world.succeed(ALICE, list.operation, list.page(1, None))["NextMarker"].clone();
    let markers: Vec<Value> = lists.iter().map(marker).collect();
    for (own, list) in lists.iter().enumerate() {
        for (number, marker) in markers.iter().enumerate() {
            let answer = world.send(&Ask::new(ALICE, list.operation, list.page(1, Some(marker))));
            let expected = (number != own).then_some("InvalidMarkerException");
            assert_eq!(answer.code, expected, "{}", answer.body);
        }
        let text = format!("Invalid Marker passed in {} operation.", list.operation);
        for forged in [json!("AAAA"), json!("x"), json!(format!("{}AAAA", markers[own].as_str().unwrap()))] {
            let answer = world.send(&Ask::new(ALICE, list.operation, list.page(1, Some(&forged))));
            let expected = json!({"__type": "InvalidMarkerException", "message": text}).to_string();
            assert_eq!(answer.body, expected);
        }
    }
    for (list, marker) in lists.iter().zip(&markers).take(2) {
        let request = list.page(1, Some(marker));
        assert_eq!(world.refuse(BOB, list.operation, request.clone()), "InvalidMarkerException");
        let elsewhere = world.send(&Ask::new(ALICE, list.operation, request).region("eu-west-1"));
        assert_eq!(elsewhere.code, Some("InvalidMarkerException"));
    }
    // The one list without pages takes no marker either.
    let policies = json!({"KeyId": key.id, "Marker": markers[3]});
    assert_eq!(world.refuse(ALICE, "ListKeyPolicies", policies), "InvalidMarkerException");
}

/// Attack C18: a marker goes on the list of the owners that it was given for, in whatever order they are named.
#[test]
fn c18_a_marker_is_of_the_owners_it_was_given_for() {
    let (world, _, _) = lists();
    let (own, others) = ("SELF", "OTHER_ACCOUNTS_VIA_RAM");
    let owners = [
        ("own", json!(null)),
        ("own", json!([own])),
        ("own", json!([own, own])),
        ("both", json!([own, others])),
        ("both", json!([others, own])),
        ("others", json!([others])),
    ];
    // Nothing is shared, so a list of others' keys gives no marker.
    for (given, of) in &owners[..5] {
        let request = json!({"Limit": 2, "ResourceOwners": of});
        let marker = world.succeed(ALICE, "ListKeys", request)["NextMarker"].take();
        for (asked, of) in &owners {
            let request = json!({"ResourceOwners": of, "Marker": marker});
            let answer = world.send(&Ask::new(ALICE, "ListKeys", request));
            let expected = (asked != given).then_some("InvalidMarkerException");
            assert_eq!(answer.code, expected, "given for {given}, asked for {of}");
        }
    }
}

/// A marker holds over a restart: its key comes from the HSM's domain.
#[test]
fn markers_survive_a_restart() {
    let (mut world, _, _) = lists();
    let first = world.succeed(ALICE, "ListKeys", json!({"Limit": 2}));
    world.restart();
    let second = world.succeed(ALICE, "ListKeys", json!({"Limit": 1000, "Marker": first["NextMarker"]}));
    assert_eq!(second["Keys"].as_array().map(Vec::len), Some(ENTRIES - 2));
}

#[test]
fn pages_have_a_largest_size() {
    let (world, _, lists) = lists();
    for list in lists {
        for limit in [json!(0), json!(-1), json!(1001)] {
            let mut request = list.request.clone();
            request["Limit"] = limit;
            assert_eq!(world.refuse(ALICE, list.operation, request), "ValidationException");
        }
    }
    let many: Value = (0..50).map(|n| json!({"TagKey": format!("t{n}"), "TagValue": ""})).collect();
    let key = world.key_with(ALICE, json!({"Tags": many}));
    for number in 0..55 {
        let target = if number < 50 { &key } else { &world.key(ALICE) };
        let name = format!("alias/many/{number}");
        world.succeed(ALICE, "CreateAlias", json!({"AliasName": name, "TargetKeyId": target.id}));
    }
    let length = |operation: &str, request: Value, entries: &str| {
        world.succeed(ALICE, operation, request)[entries].as_array().map(Vec::len)
    };
    assert_eq!(length("ListAliases", json!({}), "Aliases"), Some(50));
    assert_eq!(length("ListAliases", json!({"Limit": 1000}), "Aliases"), Some(ENTRIES + 55));
    assert_eq!(length("ListResourceTags", json!({"KeyId": key.id, "Limit": 1000}), "Tags"), Some(50));
}

#[test]
fn nothing_is_shared_between_accounts() {
    let (world, _, _) = lists();
    let shared = world.succeed(ALICE, "ListKeys", json!({"ResourceOwners": ["OTHER_ACCOUNTS_VIA_RAM"]}));
    assert_eq!(shared, json!({"Keys": [], "Truncated": false}));
    let both =
        world.succeed(ALICE, "ListKeys", json!({"ResourceOwners": ["SELF", "OTHER_ACCOUNTS_VIA_RAM"]}));
    assert_eq!(both["Keys"].as_array().map(Vec::len), Some(ENTRIES));
}
