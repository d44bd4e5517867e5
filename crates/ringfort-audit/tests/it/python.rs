// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verifier in the format page agrees with ours on every vector.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use ringfort_audit::verify::verify_copy;

use crate::forge::{Forge, try_rehashed};
use crate::vectors::{expected, folder};

/// How many forgeries both must agree on.
const FORGERIES: usize = 600;

/// The program in the format page.
pub(crate) fn program() -> String {
    let page = include_str!("../../../../docs/formats/trail.md");
    let start = page.find("```python\n").unwrap() + "```python\n".len();
    page[start..start + page[start..].find("```").unwrap()].to_owned()
}

/// What it says of folders beneath `within`: how many entries are good, and whether the trail is clean.
fn verdicts(within: &Path, names: &[String]) -> BTreeMap<String, (u64, bool)> {
    let temp = tempfile::tempdir().unwrap();
    let script = temp.path().join("verify.py");
    fs::write(&script, program()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test that runs the program of the format page")]
    let output = Command::new("python3").arg(&script).args(names).current_dir(within).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn an_independent_verifier_agrees() {
    let names: Vec<String> = expected().into_keys().collect();
    let verdicts = verdicts(&folder(), &names);
    for (name, expected) in expected() {
        let wanted = match expected["fault"].as_str() {
            None => (expected["entries"].as_u64().unwrap(), true),
            Some(_) => (expected["seq"].as_u64().unwrap(), false),
        };
        assert_eq!(verdicts[&name], wanted, "vector `{name}`");
    }
}

/// Lines are edited at random and given the hash that fits, so that only their spelling can be wrong.
#[test]
fn an_independent_verifier_agrees_on_forgeries() {
    const ALPHABET: &[u8] = b"\"\\/{}[],:.-+0123789abefhnrtuE \n\r\t\x00\x7f\xc3\xff";
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let edits = (0_u64..28, any::<Index>(), any::<Index>(), 0..4);
    let temp = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for number in 0..FORGERIES {
        let (seq, at, letter, edit) = edits.new_tree(&mut runner).unwrap().current();
        let mut trail = Forge::read(&folder().join("clean"));
        let line = trail.line(seq);
        let (at, letter) = (at.index(line.len()), *letter.get(ALPHABET));
        match edit {
            0 => line[at] = letter,
            1 => drop(line.drain(at..=at)),
            2 => line.insert(at, letter),
            _ => line.splice(at..at, [b'\\', letter]).for_each(drop),
        }
        if let Some(forged) = try_rehashed(line) {
            *line = forged;
        }
        let name = number.to_string();
        trail.write(&temp.path().join(&name));
        names.push(name);
    }
    for (name, verdict) in verdicts(temp.path(), &names) {
        let report = verify_copy(&temp.path().join(&name)).unwrap();
        let lines: Vec<u8> = Forge::read(&temp.path().join(&name)).files.into_values().flatten().flatten().collect();
        let near =
            String::from_utf8_lossy(&lines).lines().nth(usize::try_from(report.entries).unwrap()).map(str::to_owned);
        assert_eq!(verdict, (report.entries, report.is_clean()), "{report}: {near:?}");
    }
}
