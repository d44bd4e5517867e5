// SPDX-License-Identifier: MIT OR Apache-2.0
//! A new store key: every way in is kept or named, and what the old key opens is nowhere in the state folder any more.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{PASSPHRASE, VALUE, holding, is_kept, nowhere, secrets, stored, with_passphrase};
use crate::hook::record;
use crate::pty::Pty;
use crate::support::{Output, Place};

/// What tells a store key from another one: a member of the header.
fn check_of(file: &Path) -> String {
    let text = String::from_utf8(fs::read(file).unwrap()).unwrap();
    text.split("\"check\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn file(place: &Place) -> std::path::PathBuf {
    place.state.join("secrets/store.ringfort")
}

fn value_of(place: &Place) -> String {
    let output = place.ringfort(["--json", "secrets", "get", "a.b", "--reveal"]).output().exits(0);
    serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["value"].as_str().unwrap().to_owned()
}

#[test]
fn deny_the_old_key_everything_that_is_left_in_the_state_folder() {
    let place = stored("a.b", "");
    secrets(&place, "set c.d", "other").exits(0);
    // A file that was refused and put aside opens with the old key too.
    let whole = fs::read(file(&place)).unwrap();
    fs::write(file(&place), &whole[..whole.len() / 2]).unwrap();
    secrets(&place, "restore --previous --yes", "").exits(0);
    secrets(&place, "rotate a.b", VALUE).exits(0);
    let old = check_of(&file(&place));
    assert_eq!(holding(&place.state, old.as_bytes()).len(), 3, "the store, the one before, the one put aside");
    let output = secrets(&place, "rekey", "").exits(0);
    assert!(output.out().contains("opens with: key-file") && output.out().contains("destroy them"), "{output}");
    assert_eq!(holding(&place.state, old.as_bytes()), [] as [String; 0]);
    assert_eq!(value_of(&place), VALUE);
    assert!(record(&place).contains("\"event\":\"secrets.rekey\""));
    // A copy from before is refused, and is not what the record of the newest generation knows.
    let now = fs::read(file(&place)).unwrap();
    fs::write(file(&place), &whole).unwrap();
    secrets(&place, "list", "").exits(3);
    fs::write(file(&place), &now).unwrap();
    nowhere(&place, &secrets(&place, "list", "").exits(0));
}

#[test]
fn values_that_were_sealed_in_a_configuration_open_after_a_new_store_key() {
    let place = Place::new();
    let path = place.home.join(".config/ringfort/ringfort.toml");
    place.write(&path, format!("[channels_config.webhook]\nsecret = \"{VALUE}\"\n"));
    secrets(&place, "seal-config", "").exits(0);
    place.ringfort(["policy", "accept", "--yes"]).output().exits(0);
    let sealed = fs::read_to_string(&path).unwrap();
    let opens = |place: &Place| secrets(place, "seal-config --check", "");
    assert!(opens(&place).exits(0).out().contains("enc3 and opens"));
    let output = secrets(&place, "rekey", "").exits(0);
    assert!(output.out().contains("seal-config --migrate"), "{output}");
    assert!(opens(&place).exits(0).out().contains("enc3 and opens"));
    // Sealed anew, it does not need the seed of before; a copy of the old text then opens no more.
    assert!(secrets(&place, "seal-config --migrate", "").exits(0).out().contains("enc3, was enc3"));
    assert_ne!(fs::read_to_string(&path).unwrap(), sealed);
    assert!(secrets(&place, "seal-config --migrate", "").exits(0).out().contains("nothing to seal"));
    secrets(&place, "rekey --forget-sealed", "").exits(0);
    assert!(opens(&place).exits(1).out().contains("belongs to another key"));
    // What is listed and exported knows nothing of it.
    assert!(!secrets(&place, "--json list", "").exits(0).out().contains("texts"));
    nowhere(&place, &output);
}

#[test]
fn deny_a_new_store_key_that_would_lose_a_way_in() {
    let place = stored("a.b", "");
    let with = |words: &[&str]| -> Output {
        let line = ["secrets"].iter().chain(words).copied();
        place.ringfort(line).env("RINGFORT_SECRET_STORE_KEY", "a long value from elsewhere").output()
    };
    with(&["slot", "add", "env"]).exits(0);
    let before = fs::read(file(&place)).unwrap();
    for (line, expected) in [
        ("rekey", "rekey --drop env"),
        ("rekey --drop tpm2", "no slot of the store is for `tpm2`"),
        ("rekey --drop env --drop key-file", "nothing would open"),
    ] {
        let refused = secrets(&place, line, "").exits(2);
        assert!(refused.err().contains(expected), "{line}: {refused}");
        assert_eq!(fs::read(file(&place)).unwrap(), before, "{line}");
    }
    assert!(with(&["rekey"]).exits(0).out().contains("opens with: key-file, env"));
    with(&["list"]).exits(0);
    fs::rename(place.state.join("keys/secrets.key"), place.root.join("away")).unwrap();
    with(&["list"]).exits(0);
    with(&["rekey"]).exits(2);
    assert!(with(&["rekey", "--drop", "key-file"]).exits(0).out().contains("opens no more with: key-file"));
    fs::rename(place.root.join("away"), place.state.join("keys/secrets.key")).unwrap();
    secrets(&place, "get a.b", "").exits(2);
    with(&["get", "a.b"]).exits(0);
}

#[test]
fn the_passphrase_is_asked_for_and_what_the_kernel_holds_is_replaced() {
    let place = Place::new();
    with_passphrase(&place);
    let old = check_of(&file(&place));
    // Nobody there: nothing happens, though the store is unlocked.
    assert!(secrets(&place, "rekey", "").exits(2).err().contains("terminal"));
    let mut pty = Pty::start(&place.ringfort(["secrets", "rekey"]));
    pty.wait_for("Passphrase of the secrets");
    pty.send("not the passphrase\n");
    pty.wait_for("That is not the passphrase");
    pty.wait_for("Passphrase of the secrets");
    assert_eq!(check_of(&file(&place)), old);
    pty.send(format!("{PASSPHRASE}\n"));
    pty.wait_for("has a new key");
    assert!(pty.ended().success());
    assert_ne!(check_of(&file(&place)), old);
    if !is_kept(&place) {
        return;
    }
    assert_eq!(value_of(&place), VALUE, "another process is still not asked");
    secrets(&place, "lock", "").exits(0);
    secrets(&place, "get a.b", "").exits(2);
    let mut pty = Pty::start(&place.ringfort(["secrets", "unlock"]));
    pty.wait_for("Passphrase of the secrets");
    pty.send(format!("{PASSPHRASE}\n"));
    pty.wait_for("30 minutes");
    assert!(pty.ended().success());
    secrets(&place, "lock", "").exits(0);
}

#[test]
fn a_new_store_key_that_is_killed_at_any_moment_leaves_the_old_one_or_the_new_one() {
    let place = stored("a.b", "");
    let begun = std::time::Instant::now();
    secrets(&place, "rekey", "").exits(0);
    let whole = begun.elapsed();
    let (kills, mut changed) = (24_u32, 0);
    for kill in 0..kills {
        let old = check_of(&file(&place));
        let mut child = place.ringfort(["secrets", "rekey", "--forget-sealed"]).spawn();
        std::thread::park_timeout((whole * (2 * kill + 4) / kills).min(Duration::from_secs(5)));
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        let new = check_of(&file(&place));
        changed += u32::from(new != old);
        assert_eq!(value_of(&place), VALUE, "kill {kill}");
        if new != old {
            assert_eq!(holding(&place.state, old.as_bytes()), [] as [String; 0], "kill {kill}");
        }
        assert!(holding(&place.root, VALUE.as_bytes()).is_empty());
    }
    assert!(0 < changed && changed < kills, "{changed} of {kills} had changed the key: the moments are none");
    secrets(&place, "rotate a.b", VALUE).exits(0);
    place.ringfort(["trail", "verify"]).output().exits(0);
}
