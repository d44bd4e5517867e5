// SPDX-License-Identifier: MIT OR Apache-2.0
//! No single byte of a trail can be changed, removed or added without being noticed.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use ringfort_audit::Durability;
use ringfort_audit::verify::verify;

use crate::support::{Place, entry};
use crate::vectors::folder;

/// The files of the clean vector, in a folder of their own.
fn place() -> (Place, Vec<(PathBuf, Vec<u8>)>) {
    let place = Place::copy_of(&folder().join("clean"));
    let mut files: Vec<_> = fs::read_dir(&place.path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert!(verify(&place.path).unwrap().is_clean() && files.len() == 5);
    (place, files)
}

#[test]
fn every_flipped_bit_is_detected() {
    let place = Place::new();
    let trail = place.open(900);
    for number in 0..3 {
        trail.append(&entry(number), Durability::Synced).unwrap();
    }
    drop(trail);
    let mut paths: Vec<PathBuf> = fs::read_dir(&place.path).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.metadata().unwrap().len() > 0);
    assert!(paths.len() > 2, "segments and a head");
    for path in paths {
        let content = fs::read(&path).unwrap();
        for at in 0..content.len() {
            let mut edited = content.clone();
            edited[at] ^= 1 << (at % 8);
            fs::write(&path, &edited).unwrap();
            let report = verify(&place.path).unwrap();
            assert!(!report.is_clean(), "byte {at} of `{}`: {report}", path.display());
        }
        fs::write(&path, content).unwrap();
        assert!(verify(&place.path).unwrap().is_clean());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_edit_is_detected(file in 0_usize..5, at: prop::sample::Index, byte: u8, edit in 0..3) {
        let (place, files) = place();
        let (path, content) = &files[file];
        let at = at.index(content.len());
        let mut edited = content.clone();
        match edit {
            0 => edited[at] = byte,
            1 => drop(edited.drain(at..=at)),
            _ => edited.insert(at, byte),
        }
        if edited != *content {
            fs::write(path, &edited).unwrap();
            let report = verify(&place.path).unwrap();
            prop_assert!(!report.is_clean(), "{} {} {}: {}", file, at, edit, report);
        }
    }
}
