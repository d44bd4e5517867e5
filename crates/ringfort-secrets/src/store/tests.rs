// SPDX-License-Identifier: MIT OR Apache-2.0
//! The store from inside.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::support::{Fixed, NOW, Noon, id};

fn new() -> (tempfile::TempDir, PathBuf, Vault) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("secrets");
    let vault = Vault::create(&path, &Fixed(1), &Noon).unwrap();
    (temp, path, vault)
}

fn value(vault: &Vault, name: &str) -> Vec<u8> {
    vault.get(&id(name), NOW).unwrap().value.expose().to_vec()
}

fn open(path: &Path) -> Vault {
    Vault::open(path, &Fixed(1)).unwrap()
}

#[test]
fn what_is_set_is_found_by_another_process() {
    let (_temp, path, mut vault) = new();
    assert_eq!(vault.set(&id("a.b"), b"one", &Change::at(NOW)).unwrap(), 1);
    assert_eq!(vault.set(&id("a.c"), b"", &Change::at(NOW)).unwrap(), 1);
    let mut other = open(&path);
    assert_eq!((value(&other, "a.b"), value(&other, "a.c")), (b"one".to_vec(), Vec::new()));
    assert_eq!(other.rotate(&id("a.b"), b"two", NOW.after(Duration::from_secs(1))).unwrap(), 2);
    assert_eq!(value(&vault, "a.b"), b"one");
    assert!(vault.reload().unwrap() && !vault.reload().unwrap());
    let released = vault.get(&id("a.b"), NOW).unwrap();
    assert!(released.value.equals(b"two"));
    assert_eq!((released.meta.version, released.meta.created, released.meta.previous.len()), (2, NOW, 1));
    assert!(vault.get_version(&id("a.b"), 1, NOW).unwrap().value.equals(b"one"));
    vault.delete(&id("a.c")).unwrap();
    let ids: Vec<_> = open(&path).list().map(|meta| meta.id.to_string()).collect();
    assert_eq!(ids, ["a.b"]);
    let kept = Locked::copy_of(vault.store_key().expose()).unwrap();
    assert_eq!(value(&Vault::open_with(&path, kept).unwrap(), "a.b"), b"two");
}

#[test]
fn deny_what_is_not_there_by_any_name() {
    let (_temp, path, mut vault) = new();
    vault.set(&id("talk.providers.one.apiKey"), b"value", &Change::at(NOW)).unwrap();
    for name in ["talk", "talk.providers", "talk.providers.two.apiKey", "TALK.providers.one.apiKey"] {
        assert!(matches!(vault.get(&id(name), NOW), Err(StoreError::NotFound { .. })), "{name}");
        assert!(matches!(vault.rotate(&id(name), b"x", NOW), Err(StoreError::NotFound { .. })), "{name}");
        assert!(matches!(vault.delete(&id(name)), Err(StoreError::NotFound { .. })), "{name}");
    }
    assert!(matches!(Vault::create(&path, &Fixed(1), &Noon), Err(StoreError::Exists { .. })));
    assert!(matches!(Vault::open(&path, &Fixed(2)), Err(StoreError::WrongKey { .. })));
    assert!(matches!(Vault::open_with(&path, Locked::zeroed(32).unwrap()), Err(StoreError::WrongKey { .. })));
    assert!(matches!(Vault::open(&path.join("x"), &Fixed(1)), Err(StoreError::Absent { .. })));
}

/// Makes each step of a write fail in turn. What is on the disk is then the old state or, when only the last syncs
/// failed, the new one and an error that says so; it always opens, and the next write succeeds.
#[test]
fn a_disk_that_is_full_at_any_step_leaves_the_old_state() {
    type Write = fn(&mut Vault) -> Result<(), StoreError>;
    let writes: [(&str, Write); 6] = [
        ("set", |vault| vault.set(&id("a"), b"new", &Change::at(NOW)).map(drop)),
        ("rotate", |vault| vault.rotate(&id("a"), b"new", NOW).map(drop)),
        ("delete", |vault| vault.delete(&id("a"))),
        ("add_slot", |vault| vault.add_slot(&Fixed(2), NOW).map(drop)),
        ("remove_slot", |vault| vault.remove_slot(1).map(drop)),
        ("rekey", |vault| {
            let mut reached = vault.header().reach(&Fixed(1))?;
            reached.extend(vault.header().reach(&Fixed(2))?);
            vault.rekey(&reached, &[], Earlier::Kept).map(drop)
        }),
    ];
    for (name, write) in writes {
        for step in 0.. {
            let (_temp, path, mut vault) = new();
            vault.set(&id("a"), b"old", &Change::at(NOW)).unwrap();
            vault.set(&id("b"), b"other", &Change::at(NOW)).unwrap();
            vault.add_slot(&Fixed(2), NOW).unwrap();
            let before = (vault.generation(), vault.header().slots.len());
            folder::fault_injection::fail_after(Some(step));
            let written = write(&mut vault);
            folder::fault_injection::fail_after(None);
            let again = open(&path);
            match written {
                Ok(()) => {
                    assert!(step > 8, "{name}: {step} steps");
                    break;
                }
                Err(StoreError::Unsynced { .. } | StoreError::AnchorBehind { .. })
                    if again.generation() == before.0 + 1 =>
                {
                    assert_eq!(vault.generation(), before.0 + 1, "{name} {step}");
                }
                Err(error) => {
                    assert!(!error.to_string().contains("was made"), "{name} {step}: {error}");
                    assert_eq!((again.generation(), again.header().slots.len()), before, "{name} {step}: {error}");
                    assert_eq!(value(&again, "a"), b"old", "{name} {step}");
                    assert_eq!(value(&vault, "a"), b"old", "{name} {step}");
                }
            }
            assert_eq!(value(&again, "b"), b"other", "{name} {step}");
            vault.set(&id("c"), b"next", &Change::at(NOW)).unwrap();
            assert_eq!(value(&open(&path), "c"), b"next", "{name} {step}");
            let names: Vec<_> = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert!(names.iter().all(|name| !name.to_str().unwrap().ends_with(".new")), "{names:?}");
        }
    }
}

#[test]
fn times_of_use_are_kept_apart_and_may_be_lost() {
    let (_temp, path, mut vault) = new();
    for name in ["a", "b"] {
        vault.set(&id(name), b"value", &Change::at(NOW)).unwrap();
    }
    let file = std::fs::read(path.join(FILE_NAME)).unwrap();
    let used = |name: &str| open(&path).meta(&id(name)).unwrap().used;
    assert_eq!(used("a"), None);
    for (seconds, expected) in [(0, 0), (59, 0), (60, 60), (30, 60)] {
        let vault = open(&path);
        vault.get(&id("a"), NOW.after(Duration::from_secs(seconds))).unwrap();
        drop(vault);
        assert_eq!((used("a"), used("b")), (Some(NOW.after(Duration::from_secs(expected))), None), "{seconds}");
    }
    assert_eq!(std::fs::read(path.join(FILE_NAME)).unwrap(), file, "the store itself is not written");
    vault.reload().unwrap();
    let reached = vault.header().reach(&Fixed(1)).unwrap();
    vault.rekey(&reached, &[], Earlier::Kept).unwrap();
    assert_eq!(used("a"), Some(NOW.after(Duration::from_secs(60))), "a new key keeps them");
    let mut times = std::fs::read(path.join("used")).unwrap();
    assert!(!times.windows(4).any(|window| window == b"1795"));
    times[30] ^= 1;
    std::fs::write(path.join("used"), &times).unwrap();
    assert_eq!(used("a"), None, "what was changed is not read");
    open(&path).get(&id("b"), NOW).unwrap();
    assert_eq!((used("a"), used("b")), (None, Some(NOW)));
    std::fs::remove_file(path.join("used")).unwrap();
    assert_eq!(value(&open(&path), "a"), b"value");
}

#[test]
fn many_that_make_a_store_at_once_keep_the_key_file_of_the_one_that_is_made() {
    for _ in 0..10 {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("secrets");
        let source = || crate::root_file::KeyFileSource::new(path.join("key"));
        let made = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8).map(|_| scope.spawn(|| Vault::create(&path, &source(), &Noon))).collect();
            let made = makers.into_iter().map(|maker| maker.join().unwrap());
            made.filter_map(Result::ok).map(|vault| vault.id()).collect::<Vec<_>>()
        });
        assert_eq!(made, [Vault::open(&path, &source()).unwrap().id()]);
    }
}
