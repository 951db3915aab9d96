//! The rules of tags.

use expect_test::expect_file;
use serde_json::{Value, json};

use crate::world::{ALICE, Transcript, World};

fn tag(key: &str, value: &str) -> Value {
    json!({"TagKey": key, "TagValue": value})
}

#[test]
fn tags_follow_rules() {
    let world = World::new();
    let key = world.key_with(ALICE, json!({"Tags": [tag("Owner", "ops"), tag("empty", "")]}));
    let mut calls = Transcript::of(&world);
    let list =
        |calls: &mut Transcript<'_>| drop(calls.ask(ALICE, "ListResourceTags", json!({"KeyId": key.id})));
    let put = |tags: Value| json!({"KeyId": key.id, "Tags": tags});
    list(&mut calls);
    calls.note("Tags are added and replaced; their keys are case-sensitive.");
    calls.ask(
        ALICE,
        "TagResource",
        put(json!([tag("Owner", "dev"), tag("owner", "ä ö_./=+-:@"), tag("n", "1")])),
    );
    list(&mut calls);
    calls.note("Tags that do not exist are removed without complaint.");
    calls.ask(ALICE, "UntagResource", json!({"KeyId": key.arn, "TagKeys": ["owner", "none"]}));
    list(&mut calls);
    calls.note("What is not a tag.");
    for tags in [
        json!([tag("a", "1"), tag("a", "2")]),
        json!([tag("aws:x", "1")]),
        json!([tag("AwS:x", "1")]),
        json!([tag("a,b", "1")]),
        json!([tag("a", "<b>")]),
        json!([tag("a\nb", "1")]),
        json!([tag("a", "1\t2")]),
        json!([tag("", "1")]),
        json!([{"TagKey": "a"}]),
        json!([{"TagValue": "a"}]),
        json!([tag(&"k".repeat(129), &"v".repeat(257))]),
        json!("a"),
        json!([["a"]]),
        Value::Null,
    ] {
        calls.ask(ALICE, "TagResource", put(tags));
    }
    for keys in [json!(["aws:x"]), json!(["a,b"]), json!([""])] {
        calls.ask(ALICE, "UntagResource", json!({"KeyId": key.id, "TagKeys": keys}));
    }
    for tags in [json!([tag("a", "1"), tag("a", "2")]), json!([tag("aws:a", "")])] {
        calls.ask(ALICE, "CreateKey", json!({"Tags": tags}));
    }
    list(&mut calls);
    calls.compare(&expect_file!["golden/tags.txt"]);
}

#[test]
fn a_key_has_at_most_fifty_tags() {
    let world = World::new();
    let tags = |count: usize| (0..count).map(|number| tag(&format!("k{number}"), "v")).collect::<Value>();
    let key = world.key_with(ALICE, json!({"Tags": tags(50)}));
    let put = |tags: Value| json!({"KeyId": key.id, "Tags": tags});
    // Replacing values needs no room.
    world.succeed(ALICE, "TagResource", put(tags(50)));
    let answer = world.send(&crate::world::Ask::new(ALICE, "TagResource", put(json!([tag("more", "")]))));
    assert_eq!(answer.body, r#"{"__type":"TagException","message":"Too many tags"}"#);
    assert_eq!(world.refuse(ALICE, "TagResource", put(tags(51))), "TagException");
    assert_eq!(world.refuse(ALICE, "CreateKey", json!({"Tags": tags(51)})), "TagException");
    world.succeed(ALICE, "UntagResource", json!({"KeyId": key.id, "TagKeys": ["k0"]}));
    world.succeed(ALICE, "TagResource", put(json!([tag("more", "")])));
}
