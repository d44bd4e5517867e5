// SPDX-License-Identifier: MIT OR Apache-2.0
//! The store of the private halves: it moves to another root key, takes a new store key, and comes back when it was put
//! back or damaged; what it signed holds all the while.

use std::fs;

use serde_json::Value;

use super::keys;
use crate::hook::record;
use crate::support::{Output, Place};

/// The name and value of a variable that opens stores.
const VARIABLE: (&str, &str) = ("RINGFORT_SECRET_STORE_KEY", "a long value from elsewhere");

fn with_variable(place: &Place, words: &str) -> Output {
    place.ringfort(["keys"].into_iter().chain(words.split_whitespace())).env(VARIABLE.0, VARIABLE.1).output()
}

fn signed() -> Place {
    let place = Place::new();
    place.write("file", "content");
    keys(&place, "generate release").exits(0);
    let signature = keys(&place, "sign release file").exits(0);
    place.write("file.sig", &signature.stdout);
    place
}

#[track_caller]
fn holds(place: &Place, with: impl Fn(&Place, &str) -> Output) {
    with(place, "verify release --signature file.sig file").exits(0);
    with(place, "sign release file").exits(0);
}

fn sources(output: &Output) -> Vec<(String, Value)> {
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    let slots = value["slots"].as_array().unwrap().iter();
    slots.map(|slot| (slot["source"].as_str().unwrap().to_owned(), slot["opens"].clone())).collect()
}

#[test]
fn the_private_halves_move_to_another_root_key() {
    let place = signed();
    assert_eq!(sources(&keys(&place, "status --json").exits(0)), [("key-file".to_owned(), true.into())]);
    for (words, status, expected) in [
        ("slot add key-file", 2, "already"),
        ("slot add passphrase", 2, "when nobody is there"),
        ("slot add pkcs11", 2, "when nobody is there"),
        ("slot add something", 2, "when nobody is there"),
        ("slot add env", 2, "RINGFORT_SECRET_STORE_KEY"),
        ("slot remove 1 --yes", 2, "nothing else opens the store"),
        ("slot remove 2 --yes", 2, "there is no slot 2"),
        ("slot remove 1", 2, "--yes"),
    ] {
        let refused = keys(&place, words).exits(status);
        assert!(refused.err().contains(expected), "{words}: {refused}");
    }
    with_variable(&place, "slot add env").exits(0);
    holds(&place, keys);
    with_variable(&place, "slot remove 1 --yes").exits(0);
    assert!(!place.state.join("keys/keys.key").exists(), "the key file went with its slot");
    holds(&place, with_variable);
    // Without the variable nothing opens them, nothing new is put in their place, and it is said what would.
    for words in ["sign release file", "generate other", "list"] {
        let shut = keys(&place, words).exits(3);
        assert!(shut.err().contains("env") && shut.err().contains("help: "), "{words}: {shut}");
    }
    let status = keys(&place, "status --json").exits(3);
    assert_eq!(sources(&status), [("env".to_owned(), false.into())]);
    assert!(keys(&place, "status").exits(3).out().contains("env: does not open"));
    assert!(with_variable(&place, "status").exits(0).out().contains("env: opens"));
    let told = record(&place);
    assert!(told.contains("\"event\":\"keys.slot\"") && told.contains("\"change\":\"removed\""), "{told}");
}

#[test]
fn the_private_halves_take_a_new_store_key() {
    let place = signed();
    with_variable(&place, "slot add env").exits(0);
    let file = place.state.join("keys/store.ringfort");
    let before = fs::read(&file).unwrap();
    let refused = keys(&place, "rekey").exits(2);
    assert!(refused.err().contains("`ringfort keys rekey --drop env`"), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), before);
    let done = with_variable(&place, "rekey").exits(0);
    assert!(
        done.out().contains("the store of the keys has a new key; it opens with: env, key-file")
            || done.out().contains("it opens with: key-file, env"),
        "{done}"
    );
    assert!(!place.state.join("keys/store.previous").exists());
    holds(&place, keys);
    keys(&place, "rekey --drop env").exits(0);
    holds(&place, keys);
    // The file of before opens nothing: the record is of the new key.
    let now = fs::read(&file).unwrap();
    fs::write(&file, &before).unwrap();
    keys(&place, "sign release file").exits(3);
    fs::write(&file, &now).unwrap();
    assert!(record(&place).contains("\"event\":\"keys.rekey\""));
}

#[test]
fn deny_older_or_damaged_private_halves_until_a_person_takes_them_back() {
    let place = signed();
    let file = place.state.join("keys/store.ringfort");
    let older = fs::read(&file).unwrap();
    keys(&place, "generate other").exits(0);
    fs::write(&file, &older).unwrap();
    let refused = keys(&place, "sign release file").exits(3);
    assert!(refused.err().contains("`ringfort keys restore`"), "{refused}");
    keys(&place, "restore").exits(2);
    let restored = keys(&place, "restore --yes").exits(0);
    assert!(restored.out().contains("restored: 1 key;"), "{restored}");
    holds(&place, keys);
    keys(&place, "generate third").exits(0);
    let mut damaged = fs::read(&file).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&file, &damaged).unwrap();
    let refused = keys(&place, "sign release file").exits(3);
    assert!(refused.err().contains("`ringfort keys restore --previous`"), "{refused}");
    keys(&place, "restore --yes").exits(3);
    keys(&place, "restore --previous --yes").exits(0);
    holds(&place, keys);
    assert!(!keys(&place, "list").exits(0).out().contains("third"));
}

#[test]
fn deny_the_store_of_the_private_halves_inside_a_cage() {
    let place = signed();
    for words in ["slot list", "slot add keyutils", "rekey", "restore --previous --yes", "status"] {
        let line = format!("ringfort keys {words}; echo status=$?");
        let path = format!("{}:/usr/bin:/bin", crate::support::binary().parent().unwrap().display());
        let output = place.ringfort(["run", "--", "sh", "-c", line.as_str()]).env("PATH", path).output();
        assert!(!output.out().contains("status=0"), "{words}: {output}");
    }
    assert_eq!(sources(&keys(&place, "status --json").exits(0)), [("key-file".to_owned(), true.into())]);
    holds(&place, keys);
}
