// SPDX-License-Identifier: MIT OR Apache-2.0
//! Members in their order; limits.

use ringfort_core::decision::{Decision, Risk};
use ringfort_core::door::{DoorKind, Standing};
use ringfort_core::principal::Principal;

use super::*;

#[test]
fn members_stand_in_their_order() {
    let mut entry = Entry::event("x").fact("b", 2).fact("a", serde_json::json!({"z": [], "y": 1.5}));
    entry.kind = EntryKind::Intent;
    entry.principal = Some(Principal::try_user("ada").unwrap().try_child("agent").unwrap());
    entry.session = Some("s-1".to_owned());
    entry.request = Some(Digest::of(b"abc"));
    entry.action = Some("ls\n-la".to_owned());
    entry.decision = Some(Decision::Allow);
    entry.risk = Some(Risk::Low);
    entry.rules = vec!["command-001".to_owned()];
    let entry = entry.at(DoorKind::Run, Standing::Caged);
    let expected = concat!(
        r#""kind":"intent","principal":["ada","agent"],"session":"s-1","door":"run","standing":"caged","#,
        r#""request":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","action":"ls\n-la","#,
        r#""decision":"allow","risk":"low","rules":["command-001"],"#,
        r#""facts":{"a":{"y":"1.5","z":[]},"b":2,"event":"x"}"#,
    );
    assert_eq!(String::from_utf8(encode(&entry).unwrap()).unwrap(), expected);
}

#[test]
fn deny_more_than_a_line_holds() {
    let entry = |length: usize| {
        let mut entry = Entry::event("x");
        entry.action = Some("a".repeat(length));
        entry
    };
    let room = MEMBERS_BYTES_MAX - encode(&entry(0)).unwrap().len();
    assert!(encode(&entry(room)).is_ok());
    assert_eq!(encode(&entry(room + 1)), Err(EncodeError::TooLong { bytes: MEMBERS_BYTES_MAX + 1 }));
    // Each byte of a control character takes six as text.
    assert!(encode(&entry(0).fact("x", "\u{1}".repeat(MEMBERS_BYTES_MAX / 5))).is_err());
}
