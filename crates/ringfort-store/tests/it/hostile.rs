// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that are not what they should be: nothing is granted, and nothing of them is lost.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;

use ringfort_core::store::{ApprovalDesk, ApprovalStore, Extent, ONCE_LIFE, StoreError, Taken, Which};
use ringfort_store::ApprovalDb;
use rusqlite::Connection;

use crate::support::{NOW, Place, question};

/// A store with one approval that holds.
fn granted() -> Place {
    let place = Place::new();
    let store = place.store();
    store.ask(&question("a"), NOW).unwrap();
    store.allow(&question("a").keys.exact, Extent::Session, ONCE_LIFE, "ada", NOW).unwrap();
    place
}

#[test]
fn the_file_is_ours_alone() {
    let place = granted();
    let store = place.store();
    store.ask(&question("b"), NOW).unwrap();
    for entry in fs::read_dir(place.root()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{}", entry.path().display());
    }
}

#[test]
fn deny_links_foreign_modes_and_other_kinds() {
    type Change = fn(&Place);
    let cases: [(&str, Change); 8] = [
        ("a link", |place| {
            let elsewhere = place.root().join("elsewhere.db");
            fs::rename(place.file(), &elsewhere).unwrap();
            symlink(&elsewhere, place.file()).unwrap();
        }),
        ("a link to nothing", |place| {
            fs::remove_file(place.file()).unwrap();
            symlink(place.root().join("nothing"), place.file()).unwrap();
        }),
        ("a second name", |place| fs::hard_link(place.file(), place.root().join("other")).unwrap()),
        ("others may read it", |place| {
            fs::set_permissions(place.file(), fs::Permissions::from_mode(0o644)).unwrap();
        }),
        ("a folder", |place| {
            fs::remove_file(place.file()).unwrap();
            fs::create_dir(place.file()).unwrap();
        }),
        ("a pipe", |place| {
            fs::remove_file(place.file()).unwrap();
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mknodat(rustix::fs::CWD, place.file(), rustix::fs::FileType::Fifo, mode, 0).unwrap();
        }),
        ("a log that is a link", |place| {
            symlink("/dev/null", place.root().join("ringfort.db-wal")).unwrap();
        }),
        ("a journal that is a link", |place| {
            symlink("/dev/null", place.root().join("ringfort.db-journal")).unwrap();
        }),
    ];
    for (what, change) in cases {
        let place = granted();
        change(&place);
        let store = place.store();
        let taken = store.take(&question("a").keys, NOW);
        assert!(matches!(taken, Err(StoreError::Unusable { .. })), "{what}: {taken:?}");
        assert!(store.ask(&question("b"), NOW).is_err(), "{what}");
        assert!(store.grants(Which::All, NOW).is_err(), "{what}");
    }
}

#[test]
fn deny_content_that_is_damaged_newer_or_foreign() {
    type Change = fn(&Place);
    let cases: [(&str, Change); 7] = [
        ("text", |place| fs::write(place.file(), "approved: everything\n".repeat(1000)).unwrap()),
        ("cut", |place| {
            let bytes = fs::read(place.file()).unwrap();
            fs::write(place.file(), &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("overwritten pages", |place| {
            let mut bytes = fs::read(place.file()).unwrap();
            bytes[4096..].fill(0xa5);
            fs::write(place.file(), bytes).unwrap();
        }),
        ("newer", |place| Connection::open(place.file()).unwrap().execute_batch("PRAGMA user_version = 99").unwrap()),
        ("foreign", |place| {
            Connection::open(place.file()).unwrap().execute_batch("PRAGMA application_id = 1").unwrap()
        }),
        ("without its tables", |place| {
            Connection::open(place.file()).unwrap().execute_batch("DROP TABLE approval_grant").unwrap();
        }),
        ("unknown words", |place| {
            let sql =
                "PRAGMA ignore_check_constraints = ON; UPDATE approval_grant SET extent = 'forever', principal = 'x'";
            Connection::open(place.file()).unwrap().execute_batch(sql).unwrap();
        }),
    ];
    for (what, change) in cases {
        let place = granted();
        change(&place);
        let before = fs::read(place.file()).unwrap();
        let store = place.store();
        match store.take(&question("a").keys, NOW) {
            Err(StoreError::Damaged { .. } | StoreError::Newer { found: 99, .. } | StoreError::Unusable { .. }) => {}
            // A row that says something else than it may is no approval.
            Ok(Taken::Nothing) if what == "unknown words" => assert!(store.grants(Which::All, NOW).is_err()),
            other => panic!("{what}: {other:?}"),
        }
        drop(store);
        assert!(fs::read(place.file()).unwrap() == before, "{what}: the file was changed");
    }
}

/// What the child of the next test does, on a disk of its own.
#[test]
fn store_on_a_full_disk() {
    let Some(folder) = child_folder() else { return };
    let store = ApprovalDb::new(&folder);
    store.ask(&question("a"), NOW).unwrap();
    store.allow(&question("a").keys.exact, Extent::Session, ONCE_LIFE, "ada", NOW).unwrap();
    drop(store);
    let filler = folder.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[1; 512]).is_ok() {}
    drop(file);
    let store = ApprovalDb::new(&folder);
    let asked = store.ask(&question("b"), NOW);
    assert!(asked.is_err(), "{asked:?}");
    // It may still be found, where there is room left for the note that it was used; it is never a crash.
    let taken = store.take(&question("a").keys, NOW);
    assert!(
        matches!(taken, Ok(Taken::Granted { .. }) | Err(StoreError::Write(_) | StoreError::Unusable { .. })),
        "{taken:?}"
    );
    drop(store);
    fs::remove_file(&filler).unwrap();
    let store = ApprovalDb::new(&folder);
    let again = store.take(&question("a").keys, NOW);
    assert!(matches!(again, Ok(Taken::Granted { .. })), "first {asked:?}, {taken:?}; with room again {again:?}");
    store.ask(&question("b"), NOW).unwrap();
    println!("full disk: kept");
}

#[expect(clippy::disallowed_methods, reason = "the test tells its own child what to do")]
fn child_folder() -> Option<PathBuf> {
    std::env::var_os("RINGFORT_TEST_FULL_DISK").map(PathBuf::from)
}

#[test]
fn deny_on_a_full_disk_and_keep_what_is_there() {
    let place = Place::new();
    let script = "mount -t tmpfs -o size=128k,mode=700 tmpfs \"$D\" && RINGFORT_TEST_FULL_DISK=$D exec \"$EXE\" --exact \
                  hostile::store_on_a_full_disk --nocapture --test-threads=1";
    #[expect(clippy::disallowed_methods, reason = "a disk of its own needs a process of its own")]
    let output = std::process::Command::new("unshare")
        .args(["-Urm", "sh", "-c", script])
        .env("D", place.root())
        .env("EXE", std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if text.contains("unshare failed") || text.contains("Operation not permitted") || text.contains("permission denied")
    {
        println!("skipped: no namespace with a disk of its own: {text}");
        return;
    }
    assert!(text.contains("full disk: kept") && output.status.success(), "{text}");
}

#[test]
fn deny_while_another_process_holds_it() {
    let place = granted();
    let other = Connection::open(place.file()).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let store = place.store();
    assert_eq!(store.take(&question("a").keys, NOW), Err(StoreError::Busy));
    other.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(store.take(&question("a").keys, NOW), Ok(Taken::Granted { .. })));
}
