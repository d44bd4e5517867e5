// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verifier in the format page agrees with ours on every vector.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::support::Place;
use crate::vectors::{expected, folder};

/// The program in the format page.
pub(crate) fn program() -> String {
    let page = include_str!("../../../../docs/formats/trail.md");
    let start = page.find("```python\n").unwrap() + "```python\n".len();
    page[start..start + page[start..].find("```").unwrap()].to_owned()
}

#[test]
fn an_independent_verifier_agrees() {
    let place = Place::new();
    fs::create_dir(&place.path).unwrap();
    let script = place.path.join("verify.py");
    fs::write(&script, program()).unwrap();
    let names: Vec<String> = expected().into_keys().collect();
    #[expect(clippy::disallowed_methods, reason = "a test that runs the program of the format page")]
    let output =
        Command::new("python3").arg(&script).args(&names).current_dir(folder()).output().expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let verdicts: BTreeMap<String, (u64, bool)> = serde_json::from_slice(&output.stdout).unwrap();
    for (name, expected) in expected() {
        let wanted = match expected["fault"].as_str() {
            None => (expected["entries"].as_u64().unwrap(), true),
            Some(_) => (expected["seq"].as_u64().unwrap(), false),
        };
        assert_eq!(verdicts[&name], wanted, "vector `{name}`");
    }
}
