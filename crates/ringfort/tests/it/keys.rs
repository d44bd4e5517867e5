// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: keys sign with their newest version and in their time, every use is on the record first, and nothing that is
//! governed reaches them.
//!
//! In: the command line, files, other programs. Out: status, signatures, the record.

mod store;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringfort_core::clock::{Clock, Timestamp};
use ringfort_secrets::keys::KeyKind;
use ringfort_secrets::keys::audit::{AuditError, KeyAudit, Operation, Stage};
use ringfort_secrets::keys::place::Place as Keys;
use ringfort_secrets::keys::ring::{KeyRing, Wish};
use ringfort_secrets::keys::shelf::VaultShelf;
use ringfort_secrets::keys::software::SoftwareKeys;
use serde_json::Value;

use crate::support::{Output, Place, binary, skips_are_errors};

fn keys(place: &Place, words: &str) -> Output {
    place.ringfort(["keys"].into_iter().chain(words.split_whitespace())).output()
}

/// What the record tells of keys: event, key, version, result.
fn recorded(place: &Place) -> Vec<String> {
    let text = place.ringfort(["trail", "tail", "--count", "500", "--json"]).output().exits(0).out();
    let entries = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let told = entries.filter_map(|entry| {
        let fact = |name: &str| entry.pointer(&format!("/entry/facts/{name}")).cloned();
        let event = fact("event")?.as_str()?.strip_prefix("key.")?.to_owned();
        let by = fact("by").map_or_else(String::new, |by| format!(" by {}", by.as_str().unwrap_or_default()));
        Some(format!("{event} {} {}{by} {}", fact("key")?.as_str()?, fact("version")?, fact("result")?.as_str()?))
    });
    told.collect()
}

#[test]
fn a_new_user_signs_rotates_and_verifies() {
    let place = Place::new();
    place.write("dist.tar", "content");
    assert!(keys(&place, "list").exits(0).out().contains("ringfort keys generate"));
    assert!(!place.state.exists(), "looking makes nothing");
    keys(&place, "generate release --rotate-every 90d").exits(0);
    let signature = keys(&place, "sign release dist.tar").exits(0);
    place.write("dist.tar.sig", &signature.stdout);
    keys(&place, "verify release --signature dist.tar.sig dist.tar").exits(0);
    keys(&place, "rotate release").exits(0);
    let good = keys(&place, "verify release --signature dist.tar.sig dist.tar").exits(0);
    assert_eq!(good.out(), "the signature holds: key `release`, version 1 (verify-only)\n");
    let list = keys(&place, "list").exits(0).out();
    assert!(list.contains("every 90 days") && list.contains("version 2    active"), "{list}");
    assert_eq!(
        recorded(&place),
        [
            "generate release 1 intent",
            "generate release 1 done",
            "sign release 1 intent",
            "sign release 1 done",
            "rotate release 2 intent",
            "rotate release 2 done",
        ]
    );
    for file in fs::read_dir(place.state.join("keys")).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600);
    }
    place.ringfort(["trail", "verify"]).output().exits(0);
}

#[test]
fn signatures_are_verified_by_others() {
    let place = Place::new();
    if !std::path::Path::new("/usr/bin/ssh-keygen").exists() {
        assert!(!skips_are_errors(), "there is no ssh-keygen");
        eprintln!("skipped: there is no ssh-keygen");
        return;
    }
    place.write("file", "content");
    for kind in ["ed25519", "ecdsa-p256"] {
        keys(&place, &format!("generate {kind} --kind {kind}")).exits(0);
        place.write("sig", keys(&place, &format!("sign {kind} file")).exits(0).stdout);
        let public = keys(&place, &format!("public {kind}")).exits(0).out();
        place.write("signers", format!("{kind} {public}"));
        let words = ["-Y", "verify", "-f", "signers", "-I", kind, "-n", "file", "-s", "sig"];
        place.program("/usr/bin/ssh-keygen", words).input("content").output().exits(0);
        assert_ne!(place.program("/usr/bin/ssh-keygen", words).input("contents").output().code(), Some(0));
        // And theirs here, by a key that is not ours.
        place.program("/usr/bin/ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", kind]).output().exits(0);
        place.program("/usr/bin/ssh-keygen", ["-q", "-Y", "sign", "-f", kind, "-n", "file", "file"]).output().exits(0);
        let foreign = keys(&place, &format!("verify {kind} --signature file.sig file")).exits(1);
        assert!(foreign.err().contains("not one of the key"), "{foreign}");
        fs::remove_file(place.work.join("file.sig")).unwrap();
    }
}

#[test]
fn deny_signatures_that_do_not_hold() {
    let place = Place::new();
    place.write("file", "content");
    place.write("other", "contents");
    keys(&place, "generate release").exits(0);
    keys(&place, "generate other").exits(0);
    let signature = keys(&place, "sign release file").exits(0).out();
    place.write("sig", &signature);
    for words in ["verify release --signature sig other", "verify other --signature sig file"] {
        let denied = keys(&place, words).exits(1);
        assert!(denied.err().contains("not one of the key") && denied.out().is_empty(), "{denied}");
        let denied = keys(&place, &format!("{words} --json")).exits(1);
        assert_eq!(serde_json::from_str::<Value>(&denied.out()).unwrap()["valid"], false);
    }
    for (text, what) in [
        (String::new(), "nothing"),
        (signature.replacen('A', "B", 1), "changed"),
        (signature.replace("SSH", "PGP"), "another kind"),
        ("x".repeat(1 << 20), "huge"),
    ] {
        place.write("bad", text);
        let denied = keys(&place, "verify release --signature bad file");
        assert!(matches!(denied.code(), Some(1 | 2)), "{what}: {denied}");
    }
    keys(&place, "rotate release --destroy-old").exits(0);
    let denied = keys(&place, "verify release --signature sig file").exits(1);
    assert!(denied.err().contains("destroyed"), "{denied}");
}

/// The clock of some days ago.
struct Ago(u64);

impl Clock for Ago {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "a test makes what was made some time ago")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Timestamp(u64::try_from(now.as_millis()).unwrap() - self.0 * 24 * 60 * 60 * 1000)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

struct Silent;

impl KeyAudit for Silent {
    fn record(&self, _operation: &Operation, _stage: Stage<'_>) -> Result<(), AuditError> {
        Ok(())
    }
}

/// Makes a key as it was made some days ago.
fn made_ago(place: &Place, name: &str, days: u64, every: u64) {
    // The state folder, made by the binary.
    keys(place, "generate first").exits(0);
    let clock = Arc::new(Ago(days));
    let vault = Keys::below(&place.state).open().unwrap().unwrap();
    let shelf = Box::new(VaultShelf::new(vault, clock.clone()));
    let ring = KeyRing::new(shelf, vec![Arc::new(SoftwareKeys)], Arc::new(Silent), clock);
    let rotate_every = Some(Duration::from_secs(every * 24 * 60 * 60));
    let wish = Wish { kind: KeyKind::Ed25519, provider: "software".to_owned(), rotate_every };
    ring.generate(&name.parse().unwrap(), &wish).unwrap();
}

#[test]
fn an_overdue_key_is_told_and_rotated_before_it_signs() {
    let place = Place::new();
    made_ago(&place, "release", 31, 30);
    let list = keys(&place, "list").exits(0).out();
    assert!(list.contains("overdue for 24 h") && list.contains("version 1    active"), "{list}");
    let doctor = place.ringfort(["doctor"]).output().out();
    assert!(doctor.contains("the key `release` is overdue"), "{doctor}");
    let signed = place.ringfort(["keys", "sign", "release", "--json"]).input("content").output().exits(0);
    assert_eq!(serde_json::from_str::<Value>(&signed.out()).unwrap()["version"], 2);
    let told = recorded(&place);
    assert_eq!(
        told[told.len() - 4..],
        [
            "rotate release 2 by schedule intent",
            "rotate release 2 by schedule done",
            "sign release 2 intent",
            "sign release 2 done"
        ]
    );
}

#[test]
fn deny_keys_to_what_is_governed() {
    let place = Place::new();
    keys(&place, "generate release").exits(0);
    let before = recorded(&place);
    // A copy in the workspace is there in the cage, under a name that says nothing.
    fs::copy(binary(), place.work.join("tool")).unwrap();
    for words in ["list", "sign release", "public release", "rotate release", "generate mine"] {
        // An agent at a hook: the command itself.
        let ruled = place.ringfort(["check", "--", &format!("ringfort keys {words}")]).output().exits(1);
        assert!(ruled.out().contains("deny"), "{words}: {ruled}");
        // A program in a cage, and one that hides that it is in one: the keys are not there.
        let state = place.state.display();
        place.write(
            "try.sh",
            format!(
                "./tool keys {words} < /dev/null; echo told $?\n\
                 env -i HOME=$HOME PATH=$PATH ./tool keys {words} < /dev/null; echo hidden $?\n\
                 env -i HOME=$HOME PATH=$PATH ./tool --state {state} keys {words} < /dev/null; echo named $?\n"
            ),
        );
        let inside = place.run(["/bin/sh", "try.sh"]).output();
        assert!(inside.out().contains("told 1\n"), "{words}: {inside}");
        assert!(inside.err().contains("inside a cage the keys are out of reach"), "{words}: {inside}");
        assert!(!inside.out().contains("ssh-ed25519") && !inside.out().contains("SIGNATURE"), "{words}: {inside}");
        assert!(!inside.out().contains("release  ed25519"), "{words}: {inside}");
    }
    let files = ["keys.key", "store.ringfort"].map(|name| place.state.join("keys").join(name));
    place.write("read.sh", files.map(|file| format!("cat '{}'; echo read $?\n", file.display())).concat());
    let inside = place.run(["/bin/sh", "read.sh"]).output();
    assert_eq!(inside.out(), "read 1\nread 1\n", "{inside}");
    assert_eq!(recorded(&place), before, "no key was used");
}

#[test]
fn deny_what_cannot_be_recorded() {
    let place = Place::new();
    keys(&place, "generate release").exits(0);
    let store = place.state.join("keys/store.ringfort");
    let trail = place.state.join("trail");
    fs::remove_dir_all(&trail).unwrap();
    fs::write(&trail, "").unwrap();
    let kept = fs::read(&store).unwrap();
    for words in ["generate mine", "rotate release", "rotate release --destroy-old", "sign release", "public release"] {
        let denied = keys(&place, words).exits(3);
        assert!(denied.out().is_empty(), "{words}: {denied}");
        assert_eq!(fs::read(&store).unwrap(), kept, "{words}");
    }
}

#[test]
fn deny_keys_that_others_could_have_reached() {
    let place = Place::new();
    keys(&place, "generate release").exits(0);
    for (name, mode) in [("keys.key", 0o640), ("store.ringfort", 0o604), ("", 0o750)] {
        let path = place.state.join("keys").join(name);
        let good = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for words in ["list", "sign release", "rotate release", "generate other"] {
            let denied = keys(&place, words).exits(3);
            assert!(denied.out().is_empty() && denied.err().contains("help: "), "{name} {words}: {denied}");
        }
        fs::set_permissions(&path, good).unwrap();
        keys(&place, "list").exits(0);
    }
    fs::remove_file(place.state.join("keys/keys.key")).unwrap();
    let denied = keys(&place, "sign release").exits(3);
    assert!(denied.err().contains("put it back"), "{denied}");
    keys(&place, "generate other").exits(3);
    assert!(!place.state.join("keys/keys.key").exists(), "no other key file is put in its place");
}

#[test]
fn every_refusal_says_what_to_do() {
    let place = Place::new();
    keys(&place, "generate release").exits(0);
    keys(&place, "generate mac --kind hmac-sha256").exits(0);
    place.write("file", "content");
    for (words, status, expected) in [
        ("generate release", 2, "`rotate` makes its next version"),
        ("generate Release", 2, "lower-case"),
        ("generate ../x", 2, "lower-case"),
        ("generate x --kind rsa", 2, "possible values"),
        ("generate x --provider hsm", 2, "`hsm`, which is not configured"),
        ("generate x --provider pkcs11", 2, "secrets.pkcs11_module"),
        ("generate x --rotate-every 1h", 2, "1 to 3660 days"),
        ("generate x --rotate-every often", 2, "no duration"),
        ("rotate absent", 2, "ringfort keys list"),
        ("rotate release --never --rotate-every 9d", 2, "cannot be used with"),
        ("public absent", 2, "ringfort keys list"),
        ("public release --version 2", 2, "has no version 2"),
        ("public mac", 2, "ed25519"),
        ("sign mac file", 2, "ed25519"),
        ("sign release absent", 2, "cannot read `absent`"),
        ("sign release .", 2, "cannot read `.`"),
        ("verify release --signature absent file", 2, "cannot read the signature"),
        ("verify release --signature file file", 2, "keys sign NAME FILE"),
        ("verify release file", 2, "--signature"),
        ("", 2, "Usage"),
    ] {
        let refused = keys(&place, words).exits(status);
        assert!(refused.err().contains(expected), "{words}: {refused}");
    }
    let list = keys(&place, "list --json").exits(0).out();
    let names: Vec<Value> =
        list.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["key"].clone()).collect();
    assert_eq!(names, ["mac", "release"]);
}
