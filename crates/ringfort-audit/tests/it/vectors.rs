// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vectors: a clean trail and what can be done to it, each named by the fault it shows.
//!
//! The folders are checked in. `RINGFORT_WRITE_VECTORS=1` writes them anew from the table here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use ringfort_audit::verify::{verify, verify_copy};
use ringfort_audit::{Durability, FaultKind, NoteKind};
use serde_json::{Value, json};

use crate::forge::{Forge, first, rehashed};
use crate::support::{Place, entry};

/// Entries of the clean trail besides headers.
const ENTRIES: u64 = 24;

/// Size of its segments.
const SEGMENT_BYTES_MAX: u64 = 3500;

type Damage = fn(&mut Forge);

/// Name, first entry at fault, what was done. The part of the name before `--` is the fault.
const VECTORS: &[(&str, u64, Damage)] = &[
    ("bad-hash", 6, |trail| trail.edit(6, "\"number\":", "\"numbes\":")),
    ("bad-hash--first", 0, |trail| trail.edit(0, "ringfort-trail", "ringfort-trial")),
    ("bad-hash--last", 27, |trail| trail.edit(27, "\"allow\"", "\"deny\"")),
    ("bad-hash--time", 9, |trail| trail.edit(9, "T17:", "T18:")),
    ("bad-hash--hash", 7, |trail| *trail.line(7) = with_hash(trail, 7, |hash| hash.replace(['0', '1', '2', '3'], "4"))),
    ("bad-hash--prev", 7, |trail| {
        let zeros = "0".repeat(64);
        let text = trail.text(7);
        let prev = text[text.find("\"prev\":\"").unwrap() + 8..][..64].to_owned();
        trail.edit(7, &prev, &zeros);
    }),
    ("broken-link", 7, |trail| trail.forge(6, "\"number\":", "\"numbes\":")),
    ("broken-link--first", 1, |trail| trail.forge(0, "\"time\":\"2026", "\"time\":\"2025")),
    ("missing-entry", 10, |trail| drop(trail.remove(10))),
    ("missing-entry--two", 10, |trail| {
        trail.remove(11);
        trail.remove(10);
    }),
    ("reordered", 10, |trail| {
        let line = trail.remove(10);
        trail.insert(11, line);
    }),
    ("duplicate-seq", 11, |trail| {
        let line = trail.line(10).clone();
        trail.insert(11, line);
    }),
    ("duplicate-seq--inserted", 12, |trail| {
        let forged = trail.text(11).replacen("\"allow\"", "\"deny\"", 1);
        trail.insert(11, rehashed(forged.as_bytes()));
    }),
    ("truncated", 27, |trail| drop(trail.remove(27))),
    ("truncated--within-line", 27, |trail| trail.line(27).truncate(100)),
    ("truncated--last-newline", 27, |trail| assert!(trail.line(27).pop().is_some())),
    ("truncated--sealed", 6, |trail| drop(trail.remove(6))),
    ("truncated--sealed-within-line", 6, |trail| trail.line(6).truncate(50)),
    ("truncated--emptied", 21, |trail| *trail.files.get_mut(&trail.newest()).unwrap() = Vec::new()),
    ("torn-tail", 28, |trail| trail.files.get_mut(&trail.newest()).unwrap().push(b"{\"v\":1,\"seq\":28,\"ti".to_vec())),
    ("not-canonical--member-order", 4, |trail| {
        trail.forge(4, "\"decision\":\"allow\",\"risk\":\"low\"", "\"risk\":\"low\",\"decision\":\"allow\"");
    }),
    ("not-canonical--fact-order", 4, |trail| trail.forge(4, "\"exit\":0,\"number\":3", "\"number\":3,\"exit\":0")),
    ("not-canonical--white-space", 4, |trail| trail.forge(4, "\"kind\":", "\"kind\": ")),
    ("not-canonical--escape", 4, |trail| trail.forge(4, "\"git ", "\"\\u0067it ")),
    ("not-canonical--slash", 4, |trail| trail.forge(4, "\"git ", "\"\\/git ")),
    ("not-canonical--surrogate", 4, |trail| trail.forge(4, "\"git ", "\"\\ud800git ")),
    ("not-canonical--raw-utf8", 4, |trail| trail.forge(4, "\"git ", "\"g\u{ef}t ")),
    ("not-canonical--raw-delete", 4, |trail| trail.forge(4, "\"git ", "\"git\u{7f} ")),
    ("not-canonical--number", 4, |trail| trail.forge(4, "\"number\":3", "\"number\":3.0")),
    ("not-canonical--exponent", 4, |trail| trail.forge(4, "\"number\":3", "\"number\":3e0")),
    ("not-canonical--minus-zero", 4, |trail| trail.forge(4, "\"number\":3", "\"number\":-0")),
    ("not-canonical--large-number", 4, |trail| trail.forge(4, "\"number\":3", "\"number\":18446744073709551616")),
    ("not-canonical--nan", 4, |trail| trail.forge(4, "\"number\":3", "\"number\":NaN")),
    ("not-canonical--null-member", 4, |trail| trail.forge(4, "\"session\":\"s-0\"", "\"session\":null")),
    ("not-canonical--empty-rules", 4, |trail| trail.forge(4, "[\"command-001\",\"path-002\"]", "[]")),
    ("not-canonical--kind-missing", 4, |trail| trail.forge(4, "\"kind\":\"intent\",", "")),
    ("not-canonical--algorithm", 4, |trail| trail.forge(4, "\"kind\":", "\"alg\":\"md5\",\"kind\":")),
    ("not-canonical--time", 4, |trail| trail.forge(4, "\"time\":\"2026-11-", "\"time\":\"2026-13-")),
    ("not-canonical--leading-zero", 4, |trail| trail.forge(4, "\"seq\":4", "\"seq\":04")),
    ("not-canonical--upper-hash", 4, |trail| *trail.line(4) = with_hash(trail, 4, |hash| hash.to_uppercase())),
    ("not-canonical--trailing-bytes", 4, |trail| trail.edit(4, "\"}\n", "\"} \n")),
    ("not-canonical--carriage-return", 4, |trail| trail.edit(4, "\"}\n", "\"}\r\n")),
    ("not-canonical--joined-lines", 4, |trail| trail.edit(4, "\"}\n", "\"} ")),
    ("not-canonical--split-line", 4, |trail| trail.edit(4, ",\"session\"", "\n\"session\"")),
    ("not-canonical--empty-line", 4, |trail| trail.insert(4, b"\n".to_vec())),
    ("not-canonical--no-json", 4, |trail| trail.insert(4, b"\0\0\0\0\n".to_vec())),
    ("not-canonical--hash-removed", 4, |trail| {
        let text = trail.text(4);
        let cut = text.rfind(",\"hash\"").unwrap();
        *trail.line(4) = format!("{}}}\n", &text[..cut]).into_bytes();
    }),
    ("duplicate-member", 4, |trail| {
        trail.forge(4, "\"decision\":\"allow\"", "\"decision\":\"deny\",\"decision\":\"allow\"")
    }),
    ("duplicate-member--fact", 4, |trail| trail.forge(4, "\"number\":3", "\"number\":3,\"number\":4")),
    ("duplicate-member--nested", 2, |trail| trail.forge(2, "{\"a\":[true,-3],", "{\"a\":1,\"a\":[true,-3],")),
    ("unknown-version", 4, |trail| trail.forge(4, "{\"v\":1,", "{\"v\":2,")),
    ("not-utf8", 4, |trail| {
        let line = trail.line(4);
        let place = line.windows(4).position(|window| window == b"git ").unwrap();
        line[place] = 0xff;
    }),
    ("bad-header", 21, |trail| {
        trail.edit(21, "trail.segment", "other.segment");
        refit_newest(trail);
    }),
    ("bad-header--previous", 21, |trail| {
        trail.edit(21, "\"previous_seq\":20", "\"previous_seq\":19");
        refit_newest(trail);
    }),
    ("segment-missing", 7, |trail| drop(trail.files.remove(&trail.name(1)))),
    ("segment-missing--first", 0, |trail| drop(trail.files.remove(&trail.name(0)))),
    ("segment-missing--last", 21, |trail| drop(trail.files.remove(&trail.newest()))),
    ("segment-order", 7, |trail| {
        let (a, b) = (trail.name(1), trail.name(2));
        let (first, second) = (trail.files[&a].clone(), trail.files[&b].clone());
        trail.files.insert(a, second);
        trail.files.insert(b, first);
    }),
    ("segment-order--renamed", 7, |trail| {
        let lines = trail.files.remove(&trail.name(1)).unwrap();
        trail.files.insert("000000000005.jsonl".to_owned(), lines);
    }),
    ("head-missing", 28, |trail| trail.head.clear()),
    ("head-damaged", 28, |trail| trail.head[700] ^= 1),
    ("head-damaged--short", 28, |trail| trail.head.truncate(1536)),
    ("head-mismatch", 27, |trail| trail.forge(27, "\"allow\"", "\"deny\"")),
    ("head-mismatch--rewritten", 27, |trail| {
        trail.edit(25, "\"allow\"", "\"deny\"");
        trail.relink(25);
    }),
];

/// Name, entries, notes, what was done: trails that are clean, or cannot be known not to be.
const CLEAN: &[(&str, u64, &[NoteKind], Damage)] = &[
    ("clean", 28, &[], |_| {}),
    ("clean--empty", 0, &[], |trail| {
        trail.files.clear();
        zero_head(trail);
    }),
    ("clean--empty-segment", 0, &[], |trail| {
        trail.files = BTreeMap::from([("000000000000.jsonl".to_owned(), Vec::new())]);
        zero_head(trail);
    }),
    ("clean--beyond-head", 28, &[NoteKind::BeyondHead], |trail| {
        let hash = hash_at(trail, 25);
        trail.edit_head(|mark| {
            mark.insert("next".to_owned(), json!(26));
            mark.insert("hash".to_owned(), json!(hash));
        });
    }),
    ("clean--time-backwards", 28, &[NoteKind::TimeBackwards], |trail| {
        trail.edit(24, "\"time\":\"2026", "\"time\":\"2025");
        refit_newest(trail);
    }),
    // Only an anchor outside can tell these from the truth; see the format page.
    ("clean--rolled-back", 26, &[], |trail| {
        trail.remove(27);
        trail.remove(26);
        let hash = hash_at(trail, 25);
        trail.edit_head(|mark| {
            mark.insert("next".to_owned(), json!(26));
            mark.insert("hash".to_owned(), json!(hash));
        });
    }),
    ("clean--rewritten", 28, &[], |trail| {
        trail.edit(25, "\"allow\"", "\"deny\"");
        refit_newest(trail);
    }),
];

fn with_hash(trail: &mut Forge, seq: u64, change: impl Fn(&str) -> String) -> Vec<u8> {
    let hash = hash_at(trail, seq);
    trail.text(seq).replacen(&hash, &change(&hash), 1).into_bytes()
}

fn hash_at(trail: &mut Forge, seq: u64) -> String {
    let text = trail.text(seq);
    text[text.rfind("\"hash\":\"").unwrap() + 8..][..64].to_owned()
}

/// Recomputes the newest segment and the head: what a rewrite of the chain's end looks like.
fn refit_newest(trail: &mut Forge) {
    let hash = trail.relink(first(&trail.newest()));
    trail.edit_head(|mark| {
        if mark["next"] == json!(28) {
            mark.insert("hash".to_owned(), json!(hash));
        }
    });
}

fn zero_head(trail: &mut Forge) {
    trail.edit_head(|mark| {
        for (name, value) in [("next", 0), ("segment", 0), ("segments", 1), ("bytes", 0), ("line", 0)] {
            mark.insert(name.to_owned(), json!(value));
        }
        mark.insert("previous".to_owned(), Value::Null);
        mark.insert("hash".to_owned(), json!("0".repeat(64)));
    });
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// The clean trail, the same on every machine.
fn clean() -> Forge {
    static TRAIL: LazyLock<Forge> = LazyLock::new(make_clean);
    TRAIL.clone()
}

fn make_clean() -> Forge {
    let place = Place::new();
    let trail = place.open(SEGMENT_BYTES_MAX);
    for number in 0..ENTRIES {
        trail.append(&entry(number), Durability::Synced).unwrap();
    }
    Forge::read(&place.path)
}

/// What `expected.json` says: for each vector the fault and its entry, or that it is clean.
pub(crate) fn expected() -> BTreeMap<String, Value> {
    let faults = VECTORS.iter().map(|(name, seq, _)| {
        let kind = name.split("--").next().unwrap();
        ((*name).to_owned(), json!({"fault": kind, "seq": seq}))
    });
    let clean = CLEAN.iter().map(|(name, entries, notes, _)| {
        let notes: Vec<&str> = notes.iter().map(|note| note.as_str()).collect();
        ((*name).to_owned(), json!({"fault": null, "entries": entries, "notes": notes}))
    });
    faults.chain(clean).collect()
}

#[test]
fn the_vectors_are_what_the_table_makes() {
    let place = Place::new();
    let damages = VECTORS.iter().map(|(name, _, damage)| (name, damage));
    for (name, damage) in damages.chain(CLEAN.iter().map(|(name, _, _, damage)| (name, damage))) {
        let mut trail = clean();
        damage(&mut trail);
        trail.write(&place.path.join(name));
    }
    fs::write(place.path.join("expected.json"), format!("{:#}\n", json!(expected()))).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a test that writes files only when it is told to")]
    if std::env::var_os("RINGFORT_WRITE_VECTORS").is_some() {
        fs::remove_dir_all(folder()).unwrap_or_default();
        copy(&place.path, &folder());
    }
    assert_eq!(tree(&folder()), tree(&place.path), "run once with RINGFORT_WRITE_VECTORS=1 and look at the difference");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn tree(path: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                files.insert(entry.strip_prefix(path).unwrap().to_owned(), fs::read(&entry).unwrap());
            }
        }
    }
    files
}

#[test]
fn every_fault_is_detected_and_named() {
    for (name, expected) in expected() {
        let place = Place::copy_of(&folder().join(&name));
        let report = verify(&place.path).unwrap();
        let fault = report.fault.as_ref().map(|fault| (fault.kind.as_str(), fault.seq));
        let wanted = expected["fault"].as_str().map(|kind| (kind, expected["seq"].as_u64().unwrap()));
        assert_eq!(fault, wanted, "vector `{name}`: {report}");
        match &report.fault {
            None => {
                let notes: Vec<&str> = report.notes.iter().map(|note| note.kind.as_str()).collect();
                assert_eq!(
                    (json!(report.entries), json!(notes)),
                    (expected["entries"].clone(), expected["notes"].clone())
                );
            }
            Some(fault) => {
                assert_eq!(report.entries, fault.seq, "vector `{name}`: all before the fault is good");
                assert!(!fault.message.is_empty() && !fault.segment.is_empty());
            }
        }
        assert_eq!(verify_copy(&folder().join(&name)).unwrap().fault, report.fault, "modes aside");
    }
}

#[test]
fn every_kind_of_fault_has_a_vector_or_a_test() {
    let elsewhere = [FaultKind::LineTooLong, FaultKind::WrongMode];
    for kind in FaultKind::ALL.iter().filter(|kind| !elsewhere.contains(kind)) {
        let has = VECTORS.iter().any(|(name, ..)| name.split("--").next() == Some(kind.as_str()));
        assert!(has, "no vector shows `{kind}`");
    }
    let page = include_str!("../../../../docs/formats/trail.md");
    for name in FaultKind::ALL.iter().map(|kind| kind.as_str()).chain(NoteKind::ALL.iter().map(|kind| kind.as_str())) {
        assert!(page.contains(&format!("`{name}`")), "the format page does not name `{name}`");
    }
}

#[test]
fn a_line_that_is_too_long_is_named() {
    for length in [262_144_usize, 300_000, 3_000_000] {
        let mut trail = clean();
        let filler = "x".repeat(length - trail.line(11).len());
        trail.forge(11, "\"git ", &format!("\"git {filler}"));
        let before = trail.line(11).len();
        assert_eq!(before, length);
        let place = Place::new();
        trail.write(&place.path);
        let fault = verify_copy(&place.path).unwrap().fault.unwrap();
        let kind = if length > 262_144 { FaultKind::LineTooLong } else { FaultKind::BrokenLink };
        assert_eq!((fault.kind, fault.seq), (kind, if length > 262_144 { 11 } else { 12 }));
    }
}

#[test]
fn deny_files_that_others_can_reach() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let check = |damage: &dyn Fn(&Path), expected: Option<FaultKind>| {
        let place = Place::copy_of(&folder().join("clean"));
        damage(&place.path);
        let report = verify(&place.path).unwrap();
        assert_eq!(report.fault.as_ref().map(|fault| fault.kind), expected, "{report}");
    };
    check(&|_| {}, None);
    check(&|path| mode(path, 0o750), Some(FaultKind::WrongMode));
    check(&|path| mode(&path.join("head"), 0o644), Some(FaultKind::WrongMode));
    check(&|path| mode(&path.join("000000000007.jsonl"), 0o620), Some(FaultKind::WrongMode));
    check(
        &|path| fs::hard_link(path.join("000000000007.jsonl"), path.join("second")).unwrap(),
        Some(FaultKind::WrongMode),
    );
    check(&|path| fs::write(path.join("notes.txt"), "").unwrap(), None);
    let linked = |path: &Path| {
        fs::rename(path.join("000000000007.jsonl"), path.join("moved")).unwrap();
        symlink(path.join("moved"), path.join("000000000007.jsonl")).unwrap();
    };
    let place = Place::copy_of(&folder().join("clean"));
    linked(&place.path);
    assert!(verify(&place.path).is_err() || !verify(&place.path).unwrap().is_clean());
}
