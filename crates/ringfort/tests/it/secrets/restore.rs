// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stores that are older than the newest, or damaged, and how a person takes them back.

use super::{VALUE, given, nowhere, secrets};
use crate::hook::record;
use crate::support::Place;

#[test]
fn deny_an_older_store_until_a_person_takes_it_back() {
    let place = Place::new();
    secrets(&place, "set github.token", VALUE).exits(0);
    let file = place.state.join("secrets/store.ringfort");
    let older = std::fs::read(&file).unwrap();
    secrets(&place, "set other.token", VALUE).exits(0);
    std::fs::write(&file, &older).unwrap();
    let refused = secrets(&place, "list", "").exits(3);
    assert!(refused.err().contains("older file was put back"), "{refused}");
    assert!(refused.err().contains("`ringfort secrets restore`"), "{refused}");
    given(&place, "--secret github.token", "echo ran").output().exits(125);
    assert_eq!(std::fs::read(&file).unwrap(), older, "nothing was changed");
    let unasked = secrets(&place, "restore", "").exits(2);
    assert!(unasked.err().contains("--yes"), "{unasked}");
    let restored = secrets(&place, "restore --yes", "").exits(0);
    assert!(restored.out().contains("restored: 1 secret;"), "{restored}");
    let output = given(&place, "--secret github.token", "echo ${#GITHUB_TOKEN}").output().exits(0);
    assert_eq!(output.out().trim(), VALUE.len().to_string(), "{output}");
    assert!(record(&place).contains("\"event\":\"secrets.restore\""));
    nowhere(&place, &restored);
}

#[test]
fn deny_a_damaged_store_and_go_back_by_one_change() {
    let place = Place::new();
    secrets(&place, "restore --previous --yes", "").exits(2);
    secrets(&place, "set github.token", VALUE).exits(0);
    secrets(&place, "set other.token", VALUE).exits(0);
    let file = place.state.join("secrets/store.ringfort");
    let mut damaged = std::fs::read(&file).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    let refused = secrets(&place, "list", "").exits(3);
    assert!(refused.err().contains("`ringfort secrets restore --previous`"), "{refused}");
    // What is not authentic is not taken, whoever says so.
    secrets(&place, "restore --yes", "").exits(3);
    let restored = secrets(&place, "restore --previous --yes", "").exits(0);
    assert!(restored.out().contains("restored: 1 secret;") && restored.out().contains("store.refused"), "{restored}");
    assert_eq!(std::fs::read(file.with_file_name("store.refused")).unwrap(), damaged);
    assert!(secrets(&place, "list", "").exits(0).out().contains("github.token"));
}
