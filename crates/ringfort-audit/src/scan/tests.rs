// SPDX-License-Identifier: MIT OR Apache-2.0
//! One accepted spelling, and many that are refused and named.

use proptest::prelude::*;
use ringfort_core::digest::Digest;
use ringfort_core::entry::Entry;
use serde_json::{Value, json};

use super::*;
use crate::chain::hex_digits;

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn line_of(members: &str) -> String {
    let body = format!("{{\"v\":1,\"seq\":7,\"time\":\"2026-11-20T17:00:00.000Z\",\"prev\":\"{ZEROS}\",{members}");
    let hash = String::from_utf8(hex_digits(&Digest::of(body.as_bytes())).to_vec()).unwrap();
    format!("{body},\"hash\":\"{hash}\"}}")
}

#[test]
fn reads_what_is_canonical() {
    for members in [
        r#""kind":"event""#,
        r#""kind":"intent","principal":["ada","agent"],"session":"","door":"run","standing":"caged""#,
        r#""kind":"outcome","action":"a\"\\\b\f\n\r\t\u0000\u007f\u00e4\u202e\ud83d\ude00","decision":"deny","risk":"low""#,
        r#""kind":"event","rules":["a-001"],"facts":{"":null,"a":[],"b":{},"c":[0,-1,18446744073709551615],"\u00e4":true}"#,
        r#""kind":"event","facts":{"n":-9223372036854775808}"#,
    ] {
        let line = line_of(members);
        let parsed = scan(line.as_bytes()).unwrap_or_else(|| panic!("refused: {line}"));
        assert_eq!((parsed.seq, peek_seq(line.as_bytes())), (7, Some(7)));
        assert!(crate::repair::has_own_hash(&parsed));
    }
}

#[test]
fn deny_every_other_spelling() {
    use FaultKind::{DuplicateMember, NotCanonical, NotUtf8, UnknownVersion};
    for (members, expected) in [
        (r#""kind":"event" "#, NotCanonical),
        (r#""kind":"Event""#, NotCanonical),
        (r#""kind":"""#, NotCanonical),
        (r#""kind":null"#, NotCanonical),
        (r#""session":"s","kind":"event""#, NotCanonical),
        (r#""kind":"event","alg":"md5""#, NotCanonical),
        (r#""kind":"event","kind":"event""#, DuplicateMember),
        (r#""kind":"event","facts":{"a":1,"b":2,"a":3}"#, DuplicateMember),
        (r#""kind":"event","facts":{"a":[{"b":1,"\u0062":2}]}"#, DuplicateMember),
        (r#""kind":"event","facts":{"b":1,"a":2}"#, NotCanonical),
        (r#""kind":"event","facts":{"\u00e4":1,"z":2}"#, NotCanonical),
        (r#""kind":"event","facts":{}"#, NotCanonical),
        (r#""kind":"event","facts":[]"#, NotCanonical),
        (r#""kind":"event","rules":[]"#, NotCanonical),
        (r#""kind":"event","rules":[1]"#, NotCanonical),
        (r#""kind":"event","principal":[]"#, NotCanonical),
        (r#""kind":"event","request":"abc""#, NotCanonical),
        (r#""kind":"event","action":"\u0041""#, NotCanonical),
        (r#""kind":"event","action":"\u000a""#, NotCanonical),
        (r#""kind":"event","action":"\u00E4""#, NotCanonical),
        (r#""kind":"event","action":"\/""#, NotCanonical),
        (r#""kind":"event","action":"\ud800""#, NotCanonical),
        (r#""kind":"event","action":"\ude00\ud83d""#, NotCanonical),
        ("\"kind\":\"event\",\"action\":\"\u{e4}\"", NotCanonical),
        ("\"kind\":\"event\",\"action\":\"\u{7f}\"", NotCanonical),
        ("\"kind\":\"event\",\"action\":\"\t\"", NotCanonical),
        (r#""kind":"event","facts":{"n":1.0}"#, NotCanonical),
        (r#""kind":"event","facts":{"n":1e3}"#, NotCanonical),
        (r#""kind":"event","facts":{"n":-0}"#, NotCanonical),
        (r#""kind":"event","facts":{"n":18446744073709551616}"#, NotCanonical),
        (r#""kind":"event","facts":{"n":-9223372036854775809}"#, NotCanonical),
        (r#""kind":"event","facts":{"n":tru}"#, NotCanonical),
    ] {
        let line = line_of(members);
        assert_eq!(scan(line.as_bytes()), None, "accepted: {line}");
        assert_eq!(diagnose(line.as_bytes()), expected, "{line}");
    }
    let good = line_of(r#""kind":"event""#);
    let nest =
        |levels: usize| format!(r#""kind":"event","facts":{{"a":{}1{}}}"#, "[".repeat(levels), "]".repeat(levels));
    assert!(scan(line_of(&nest(DEPTH_MAX - 1)).as_bytes()).is_some());
    for (wrong, expected) in [
        (line_of(&nest(DEPTH_MAX)), NotCanonical),
        (line_of(&nest(100_000)), NotCanonical),
        (good.replacen("\"v\":1", "\"v\":2", 1), UnknownVersion),
        (good.replacen("\"v\":1", "\"v\":01", 1), NotCanonical),
        (good.replacen("\"seq\":7", "\"seq\":07", 1), NotCanonical),
        (good.replacen("\"seq\":7", "\"seq\":-7", 1), NotCanonical),
        (good.replacen("\"seq\":7", "\"seq\":99999999999999999999", 1), NotCanonical),
        (good.replacen("11-20T", "11-31T", 1), NotCanonical),
        (good.replacen("{\"v\"", "{ \"v\"", 1), NotCanonical),
        (format!("{good} "), NotCanonical),
        (format!("{good}\r"), NotCanonical),
        (format!("\u{feff}{good}"), NotCanonical),
        (String::new(), NotCanonical),
    ] {
        assert_eq!(scan(wrong.as_bytes()), None, "accepted: {wrong}");
        assert_eq!(diagnose(wrong.as_bytes()), expected, "{wrong}");
    }
    assert_eq!(diagnose(b"{\"v\":1\xff}"), NotUtf8);
}

fn facts() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|members| json!(members)),
        ]
    })
}

proptest! {
    /// What is encoded is canonical, whatever it holds, and means the same (but for fractions) when read back.
    #[test]
    fn what_is_encoded_is_accepted(text in any::<String>(), fact in facts(), rules in prop::collection::vec(any::<String>(), 0..3)) {
        let mut entry = Entry::event("test").fact("fact", fact).fact(&text, text.as_str());
        entry.action = Some(text.clone());
        entry.session = Some(text);
        entry.rules = rules;
        let members = String::from_utf8(crate::entry::encode(&entry).unwrap()).unwrap();
        let line = line_of(&members);
        prop_assert!(scan(line.as_bytes()).is_some(), "refused: {}", line);
        let read = crate::entry::decode(line.as_bytes()).unwrap().entry;
        prop_assert_eq!(crate::entry::encode(&read).unwrap(), members.into_bytes());
        prop_assert_eq!(read.action, entry.action);
    }

    /// No bytes whatever make the scanner panic, and what it accepts it accepts only in that form.
    #[test]
    fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..400, byte: u8) {
        prop_assert!(scan(&bytes).is_none());
        diagnose(&bytes);
        let good = line_of(r#""kind":"event","action":"\u00e4","facts":{"a":[1,{"b":"c"}],"d":-5}"#).into_bytes();
        let mut edited = good.clone();
        if let Some(place) = edited.get_mut(at) {
            *place = byte;
        }
        if let Some(line) = scan(&edited) {
            prop_assert!(edited == good || !crate::repair::has_own_hash(&line) || line.hash != scan(&good).unwrap().hash);
        }
    }
}
