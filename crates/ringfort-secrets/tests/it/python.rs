// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reader in Python, written from `docs/formats/secrets.md` alone, opens what this crate wrote and refuses the rest.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use ringfort_secrets::store::Change;
use serde_json::Value;

use crate::support::{NOW, Place, ROOT, filled, id};

#[expect(clippy::disallowed_methods, reason = "the other implementation")]
fn read(files: &[PathBuf]) -> Vec<Value> {
    let reader = crate::support::tests().join("it/reader.py");
    let output = Command::new("python3").arg(reader).arg("5a".repeat(32)).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

#[test]
fn the_format_page_is_enough_to_read_a_store() {
    assert_eq!(ROOT.0, 0x5a);
    let place = Place::new();
    let mut vault = filled(&place);
    // Longer than several blocks of the cipher.
    let long = "x".repeat(1000);
    vault.set(&id("long"), long.as_bytes(), &Change::at(NOW)).unwrap();
    let lines = read(&[place.file()]);
    let found = |line: &Value| {
        (line["id"].as_str().unwrap().to_owned(), line["version"].as_u64(), line["value"].as_str().unwrap().to_owned())
    };
    let found: BTreeSet<_> = lines.iter().map(found).collect();
    let expected = [
        ("models.providers.example.apiKey", 1, "first value"),
        ("gateway.auth.password", 2, "second value, anew"),
        ("gateway.auth.password", 1, "second value"),
        ("channels.example.token", 1, "third value"),
        ("long", 1, &long),
    ];
    let expected = expected.map(|(id, version, value)| (id.to_owned(), Some(version), value.to_owned()));
    assert_eq!(found, expected.into_iter().collect());
}

/// Vectors whose fault is in the file itself; the others need the record, which the reader does not ask for.
#[test]
fn deny_vectors_by_another_implementation_too() {
    let vectors = crate::support::tests().join("vectors");
    let mut files: Vec<_> = fs::read_dir(vectors).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.iter_mut().for_each(|file| file.push("store.ringfort"));
    let lines = read(&files);
    let (mut refused, mut whole) = (0, 0);
    for file in &files {
        let name = file.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let expected = ["clean", "older", "forked", "anchor"].iter().any(|kind| name.starts_with(kind));
        let own: Vec<_> = lines.iter().filter(|line| line["file"] == file.to_str().unwrap()).collect();
        let is_whole = !own.is_empty() && own.iter().all(|line| line["fault"].is_null());
        assert_eq!(is_whole, expected, "{name}: {own:?}");
        if is_whole { whole += 1 } else { refused += 1 }
    }
    assert!(refused > 40 && whole > 5);
}
