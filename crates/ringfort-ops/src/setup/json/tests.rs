// SPDX-License-Identifier: MIT OR Apache-2.0
//! Edits in place: what is read, what is refused, and that nothing else moves.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn dialects_read_what_their_programs_read() {
    use Dialect::{Comments, Json5, Strict};
    for (text, least) in [
        ("{\"a\": [1, 2.5e3, true, null, \"x\\n\\u00e4\"]}", Some(Strict)),
        ("\u{feff}{}", Some(Strict)),
        (" [ ] ", Some(Strict)),
        ("{\"a\": 1, // why\n /* and */ \"b\": 2}", Some(Comments)),
        ("{\"a\": 1, // why\n }", Some(Json5)),
        ("[1,]", Some(Json5)),
        ("{a: 'it\\'s \"x\"', $b_1: .5, c: +1, d: Infinity,}", Some(Json5)),
        ("{\"a\": 1", None),
        ("{\"a\" 1}", None),
        ("{\"a\": 1}}", None),
        ("[1 2]", None),
        ("[,]", None),
        ("\"open", None),
        ("{\"a\": /* open }", None),
        ("", None),
    ] {
        for dialect in [Strict, Comments, Json5] {
            let rank = |dialect| [Strict, Comments, Json5].iter().position(|other| *other == dialect).unwrap();
            let expected = least.is_some_and(|least| rank(dialect) >= rank(least));
            assert_eq!(parse(text, dialect).is_ok(), expected, "{dialect:?}: {text}");
        }
    }
}

#[test]
fn deny_what_is_nested_without_end() {
    let text = "[".repeat(100_000);
    assert!(parse(&text, Dialect::Strict).is_err());
}

#[test]
fn an_edit_touches_nothing_but_its_own_entry() {
    let value = json!({ "command": "x" });
    for (text, expected) in [
        ("{}\n", "{\n  \"hooks\": {\n    \"E\": [\n      {\n        \"command\": \"x\"\n      }\n    ]\n  }\n}\n"),
        ("{\"a\":1}", "{\"a\":1,\"hooks\":{\"E\":[{\"command\":\"x\"}]}}"),
        (
            "{\n\t\"a\": 1, // why\n}\n",
            "{\n\t\"a\": 1,\n\t\"hooks\": {\n\t\t\"E\": [\n\t\t\t{\n\t\t\t\t\"command\": \"x\"\n\t\t\t}\n\t\t]\n\t} // why\n}\n",
        ),
        (
            "{\n    \"hooks\": {\n        \"E\": [\n            1\n        ]\n    },\n    \"z\":   2\n}",
            "{\n    \"hooks\": {\n        \"E\": [\n            1,\n            {\n                \"command\": \"x\"\n            }\n        ]\n    },\n    \"z\":   2\n}",
        ),
        ("{\"hooks\": {\"E\": []}}", "{\"hooks\": {\"E\": [{\"command\":\"x\"}]}}"),
    ] {
        let edited = push(text, Dialect::Json5, &["hooks", "E"], &value).unwrap();
        assert_eq!(edited, expected, "{text}");
        parse(&edited, Dialect::Json5).unwrap();
    }
}

#[test]
fn deny_an_edit_on_an_unclear_way() {
    for text in ["[]", "{\"hooks\": 1}", "{\"hooks\": {\"E\": {}}}", "{\"hooks\": {}, \"hooks\": {}}"] {
        assert!(push(text, Dialect::Strict, &["hooks", "E"], &json!(1)).is_err(), "{text}");
    }
}

#[test]
fn a_value_is_set_and_taken_out() {
    let text = "{plugins: {entries: {other: {enabled: false}}}, // mine\n}";
    let set_to = set(text, Dialect::Json5, &["plugins", "entries", "us", "enabled"], &json!(true)).unwrap();
    assert_eq!(set_to, "{plugins: {entries: {other: {enabled: false},\"us\":{\"enabled\":true}}}, // mine\n}");
    let root = parse(&set_to, Dialect::Json5).unwrap();
    let entries = root.at(&["plugins", "entries"]).unwrap().unwrap();
    assert_eq!(remove(&set_to, entries, 1), text);
    assert_eq!(remove("[1, 2, 3]", &parse("[1, 2, 3]", Dialect::Strict).unwrap(), 0), "[2, 3]");
    assert_eq!(remove("[ 1 ]", &parse("[ 1 ]", Dialect::Strict).unwrap(), 0), "[]");
}

fn arbitrary() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        "[ -~äß\n\"\\\\]{0,8}".prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever serde reads is read the same here.
    #[test]
    fn reads_as_everybody_does(value in arbitrary()) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            prop_assert_eq!(parse(&text, Dialect::Strict).unwrap().value(), value.clone());
        }
    }

    /// Random text neither panics nor reads more than serde does.
    #[test]
    fn refuses_as_everybody_does(text in "[\\[\\]{}:,\"a1 \\\\ntrue]{0,24}") {
        let ours = parse(&text, Dialect::Strict).is_ok();
        let theirs = serde_json::from_str::<Value>(&text).is_ok();
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    /// What is pushed is there afterwards, and everything else is what it was.
    #[test]
    fn a_push_adds_one_thing(value in arbitrary(), pretty in any::<bool>()) {
        let mut root = json!({ "before": value, "hooks": { "E": [1] }, "z": [] });
        let text = if pretty { serde_json::to_string_pretty(&root).unwrap() } else { root.to_string() };
        let edited = push(&text, Dialect::Strict, &["hooks", "E"], &value).unwrap();
        root["hooks"]["E"].as_array_mut().unwrap().push(value);
        prop_assert_eq!(serde_json::from_str::<Value>(&edited).unwrap(), root);
        let node = parse(&edited, Dialect::Strict).unwrap();
        let array = node.at(&["hooks", "E"]).unwrap().unwrap();
        prop_assert_eq!(remove(&edited, array, 1), text);
    }
}
