// SPDX-License-Identifier: MIT OR Apache-2.0
//! A full disk is an error, nothing that was acknowledged is lost, and the trail stays whole.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ringfort_audit::verify::verify;
use ringfort_audit::{AppendError, ChainError, Durability, FileError};

use crate::support::{Place, entry};

/// Names the folder to fill, in the process that has little room.
const FOLDER: &str = "RINGFORT_TEST_FULL_DISK";

#[expect(clippy::disallowed_methods, reason = "a test that starts itself in a narrower place")]
fn shell(program: &str, script: &str, place: &Place) -> Output {
    let arguments: &[&str] = if program == "sh" { &[] } else { &["-Urm", "sh"] };
    Command::new(program)
        .args(arguments)
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(&place.path)
        .env(FOLDER, &place.path)
        .output()
        .unwrap()
}

const RUN_CHILD: &str = "exec \"$0\" --exact disk::with_little_room --nocapture";

#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let place = Place::new();
    // 64 blocks of 512 bytes per file; without the signal, writing on is an error as on a full disk.
    let output = shell("sh", &format!("trap '' XFSZ; ulimit -f 64; {RUN_CHILD}"), &place);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("the disk was full"));
    assert!(verify(&place.path).unwrap().is_clean());
    let before = verify(&place.path).unwrap().entries;
    let trail = place.open(1 << 20);
    assert!(trail.repairs().is_empty(), "the piece that did not fit was taken back");
    trail.append(&entry(0), Durability::Synced).unwrap();
    assert_eq!(verify(&place.path).unwrap().entries, before + 1);
}

#[test]
fn a_full_file_system_is_an_error_and_loses_nothing() {
    let place = Place::new();
    fs::create_dir(&place.path).unwrap();
    let mount = "mount -t tmpfs -o size=64k,mode=0700 none \"$1\" || exit 77";
    let output = shell("unshare", &format!("{mount}; {RUN_CHILD}"), &place);
    if output.status.success() {
        assert!(String::from_utf8_lossy(&output.stdout).contains("the disk was full"));
    } else {
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert!(!stdout.contains("panicked") && !stdout.contains("FAILED"), "{stdout}");
        println!("skipped: no file system can be mounted here: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Fills the folder; does something only when it is started by the tests above.
#[test]
fn with_little_room() {
    #[expect(clippy::disallowed_methods, reason = "the test that started this says where")]
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let path = Path::new(&folder);
    let options = ringfort_audit::Options::new(crate::support::Ticks::new());
    let trail = ringfort_audit::Trail::open(path, options).unwrap();
    let mut acknowledged = Vec::new();
    let error = loop {
        let number = acknowledged.len() as u64;
        let durability = if number.is_multiple_of(2) { Durability::Synced } else { Durability::Written };
        match trail.append(&entry(number), durability) {
            Ok(receipt) => acknowledged.push(receipt),
            Err(error) => break error,
        }
        assert!(number < 100_000, "there is no limit here");
    };
    assert!(matches!(error, AppendError::Chain(ChainError::File(FileError::Io { act: "write", .. }))), "{error}");
    assert!(acknowledged.len() > 20);
    let report = verify(path).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.head, acknowledged.last().copied(), "all that was acknowledged, and nothing else");
    // A shorter entry may still fit; it continues the chain.
    let short = trail.append(&ringfort_core::entry::Entry::event("e"), Durability::Written);
    let report = verify(path).unwrap();
    assert!(report.is_clean());
    assert_eq!(report.entries, acknowledged.len() as u64 + 1 + u64::from(short.is_ok()));
    println!("the disk was full after {} entries", report.entries);
}
