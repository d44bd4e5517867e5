// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hooks in and out of files that say other things too.

use std::path::{Path, PathBuf};

use super::*;
use crate::setup::line::Stopper;

const EVENTS: &[Event] = &[Event::before("Pre"), Event::session("Start")];

fn ground(binary: &str) -> Ground {
    Ground {
        home: PathBuf::from("/home/u"),
        project: PathBuf::from("/home/u/p"),
        config: PathBuf::from("/home/u/.config"),
        told: Vec::new(),
        binary: PathBuf::from(binary),
        stopper: Stopper::Timeout("/usr/bin/timeout"),
    }
}

fn file(shape: Shape) -> HookFile {
    HookFile {
        path: PathBuf::from("/home/u/.x/hooks.json"),
        dialect: Dialect::Strict,
        shape,
        events: EVENTS,
        entry: |_, line| json!({ "type": "command", "command": line }),
        key: "command",
        words: |_| vec!["x"],
    }
}

fn wire(shape: Shape, binary: &str, text: Option<&str>) -> Result<Change, SetupError> {
    file(shape).wire(&ground(binary), &|_: &Path| Ok(text.map(ToOwned::to_owned)))
}

fn strip(shape: Shape, text: &str) -> String {
    file(shape).strip(&|_: &Path| Ok(Some(text.to_owned()))).unwrap().after.unwrap()
}

fn look(shape: Shape, binary: &str, text: &str) -> Look {
    file(shape).look(&ground(binary), &|_: &Path| Ok(Some(text.to_owned()))).unwrap()
}

#[test]
fn in_and_out_again_leaves_the_file_as_it_was() {
    let theirs = "{\n  \"env\": {\"TOKEN\": \"t\"},\n  \"hooks\": {\n    \"Pre\": [\n      {\"matcher\": \"Bash\", \
                  \"hooks\": [{\"type\": \"command\", \"command\": \"mine\"}]}\n    ]\n  },\n  \"z\": 1\n}\n";
    for (shape, text) in [
        (Shape::Groups, theirs),
        (Shape::Flat, "{\"version\":1,\"hooks\":{\"Pre\":[{\"command\":\"mine\"}]}}"),
        (Shape::Groups, "{\n    \"a\": []\n}"),
    ] {
        let wired = wire(shape, "/usr/bin/ringfort", Some(text)).unwrap().after.unwrap();
        assert!(matches!(look(shape, "/usr/bin/ringfort", &wired), Look::Wired { .. }), "{wired}");
        let again = wire(shape, "/usr/bin/ringfort", Some(&wired)).unwrap();
        assert!(again.is_empty(), "a second run changes nothing");
        assert_eq!(strip(shape, &wired), text);
        assert_eq!(look(shape, "/usr/bin/ringfort", text), Look::Absent);
    }
}

#[test]
fn a_binary_that_has_moved_is_noticed_and_replaced() {
    let wired = wire(Shape::Groups, "/old/ringfort", None).unwrap().after.unwrap();
    assert!(matches!(look(Shape::Groups, "/new/ringfort", &wired), Look::Changed { .. }));
    let moved = wire(Shape::Groups, "/new/ringfort", Some(&wired)).unwrap().after.unwrap();
    assert!(!moved.contains("/old/ringfort"), "{moved}");
    assert!(matches!(look(Shape::Groups, "/new/ringfort", &moved), Look::Wired { .. }));
}

#[test]
fn deny_to_call_a_weakened_file_wired() {
    let wired = wire(Shape::Groups, "/usr/bin/ringfort", None).unwrap().after.unwrap();
    for (from, to) in [
        ("\"*\"", "\"Read\""),
        ("exit 2", "exit 0"),
        ("/usr/bin/ringfort", "/tmp/ringfort"),
        ("' x\"", "' x || true\""),
        ("\"command\",", "\"command\", \"async\": true,"),
    ] {
        let weak = wired.replacen(from, to, 1);
        if weak == wired {
            continue;
        }
        assert!(matches!(look(Shape::Groups, "/usr/bin/ringfort", &weak), Look::Changed { .. }), "{weak}");
    }
    assert_ne!(wired, wired.replacen("exit 2", "exit 0", 1));
    assert_ne!(wired, wired.replacen("\"*\"", "\"Read\"", 1));
}

#[test]
fn a_group_that_somebody_joined_stays_with_them() {
    let wired = wire(Shape::Groups, "/usr/bin/ringfort", None).unwrap().after.unwrap();
    let root: Value = serde_json::from_str(&wired).unwrap();
    let mut joined = root.clone();
    joined["hooks"]["Pre"][0]["hooks"].as_array_mut().unwrap().push(json!({ "command": "theirs" }));
    let left: Value = serde_json::from_str(&strip(Shape::Groups, &joined.to_string())).unwrap();
    assert_eq!(left, json!({ "hooks": { "Pre": [{ "matcher": "*", "hooks": [{ "command": "theirs" }] }] } }));
}

#[test]
fn deny_a_file_that_its_program_could_not_read() {
    for text in ["{", "[]", "{\"hooks\": []}", "{\"hooks\": {\"Pre\": {}}}", "{\"hooks\":{},\"hooks\":{}}", "// no\n{}"]
    {
        assert!(wire(Shape::Groups, "/usr/bin/ringfort", Some(text)).is_err(), "{text}");
    }
}
