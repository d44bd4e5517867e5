// SPDX-License-Identifier: MIT OR Apache-2.0
//! A full disk is an error, and the store stays as it was.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use ringfort_secrets::store::{Change, StoreError, Vault};

use crate::support::{NOW, Noon, Place, ROOT, id};

/// Names the folder to fill, in the process that has little room.
const FOLDER: &str = "RINGFORT_TEST_FULL_DISK";
const RUN_CHILD: &str = "exec \"$0\" --exact disk::with_little_room --nocapture";

#[expect(clippy::disallowed_methods, reason = "a test that starts itself in a narrower place")]
fn shell(program: &str, script: &str, place: &Place) -> Output {
    let arguments: &[&str] = if program == "sh" { &[] } else { &["-Urm", "sh"] };
    Command::new(program)
        .args(arguments)
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(place.temp.path())
        .env(FOLDER, &place.path)
        .output()
        .unwrap()
}

#[test]
fn a_full_disk_leaves_the_old_state() {
    let place = Place::new();
    // 64 blocks of 512 bytes per file; without the signal, writing on is an error as on a full disk.
    let output = shell("sh", &format!("trap '' XFSZ; ulimit -f 64; {RUN_CHILD}"), &place);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && stdout.contains("the disk was full"), "{stdout}");
    let mut vault = place.open().unwrap();
    vault.set(&id("more.room"), &[b'x'; 9000], &Change::at(NOW)).unwrap();
}

#[test]
fn a_full_file_system_leaves_the_old_state() {
    let place = Place::new();
    let mount = "mount -t tmpfs -o size=128k,mode=0700 none \"$1\" || exit 77";
    let output = shell("unshare", &format!("{mount}; {RUN_CHILD}"), &place);
    let stdout = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        assert!(stdout.contains("the disk was full"), "{stdout}");
    } else {
        assert!(!stdout.contains("panicked") && !stdout.contains("FAILED"), "{stdout}");
        println!("skipped: no file system can be mounted here: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Fills the folder; does something only when it is started by the tests above.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test that started this says where")]
fn with_little_room() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let path = Path::new(&folder);
    let mut vault = Vault::create(path, &ROOT, &Noon).unwrap();
    let name = |number: u64| id(&format!("fill.n{number}"));
    let (mut number, error) = (0, loop_until_full(&mut vault));
    assert!(matches!(error, StoreError::Io { act: "write" | "sync", .. }), "{error:?}");
    let again = Vault::open(path, &ROOT).unwrap();
    while again.meta(&name(number)).is_some() {
        assert!(again.get(&name(number), NOW).unwrap().value.equals(&[b'v'; 700]));
        number += 1;
    }
    assert!(number > 10 && again.len() as u64 == number);
    assert_eq!((vault.generation(), vault.len()), (again.generation(), again.len()));
    let left: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_str().unwrap().ends_with(".new")), "{left:?}");
    println!("the disk was full after {number} secrets");
}

fn loop_until_full(vault: &mut Vault) -> StoreError {
    for number in 0..10_000 {
        if let Err(error) = vault.set(&id(&format!("fill.n{number}")), &[b'v'; 700], &Change::at(NOW)) {
            return error;
        }
    }
    panic!("there is no limit here");
}
