// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reader in Python, written from `docs/formats/secrets.md` alone, opens what this crate wrote and refuses the rest.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ringfort_secrets::store::Change;

use crate::support::{NOW, Place, ROOT, filled, id};

#[expect(clippy::disallowed_methods, reason = "the other implementation")]
fn read(file: &Path) -> Output {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/reader.py");
    Command::new("python3").arg(reader).arg(file).arg("5a".repeat(32)).output().unwrap()
}

fn lines(output: &Output) -> BTreeSet<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn line(id: &str, version: u64, value: &str) -> String {
    format!("{{\"id\": \"{id}\", \"version\": {version}, \"value\": \"{value}\"}}")
}

#[test]
fn the_format_page_is_enough_to_read_a_store() {
    assert_eq!(ROOT.0, 0x5a);
    let place = Place::new();
    let mut vault = filled(&place);
    // Longer than several blocks of the cipher.
    vault.set(&id("long"), "x".repeat(1000).as_bytes(), &Change::at(NOW)).unwrap();
    let output = read(&place.file());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = [
        line("models.providers.example.apiKey", 1, "first value"),
        line("gateway.auth.password", 2, "second value, anew"),
        line("gateway.auth.password", 1, "second value"),
        line("channels.example.token", 1, "third value"),
        line("long", 1, &"x".repeat(1000)),
    ];
    assert_eq!(lines(&output), expected.into_iter().collect());
}

/// Vectors whose fault is in the file itself; the others need the record, which the reader does not ask for.
#[test]
fn deny_vectors_by_another_implementation_too() {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let (mut refused, mut read_whole) = (0, 0);
    for entry in fs::read_dir(vectors).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let whole = ["clean", "older", "forked", "anchor"].iter().any(|kind| name.starts_with(kind));
        let output = read(&entry.path().join("store.ringfort"));
        assert_eq!(output.status.success(), whole, "{name}: {}", String::from_utf8_lossy(&output.stderr));
        if whole { read_whole += 1 } else { refused += 1 }
    }
    assert!(refused > 40 && read_whole > 5);
}
