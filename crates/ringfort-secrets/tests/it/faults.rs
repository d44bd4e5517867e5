// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files and folders that are not plainly ours: refused by name, by readers and writers, and left as they are.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringfort_secrets::root::StoreId;
use ringfort_secrets::store::anchor::Anchor;
use ringfort_secrets::store::{Change, Earlier, Existing, FILE_BYTES_MAX, Item, Options, StoreError, Unfit, Vault};
use ringfort_secrets::store::{ENTRIES_MAX, SLOTS_MAX, VALUE_BYTES_MAX};

use crate::support::{Fixed, NOW, Noon, Place, ROOT, filled, id, write};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Moves a file away and puts a symbolic link to it in its place.
fn linked(place: &Place, path: &Path) {
    let away = place.temp.path().join("away");
    fs::rename(path, &away).unwrap();
    symlink(&away, path).unwrap();
}

fn replaced_by_pipe(path: &Path) {
    fs::remove_file(path).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
}

fn replaced_by_folder(path: &Path) {
    fs::remove_file(path).unwrap();
    fs::DirBuilder::new().mode(0o700).create(path).unwrap();
}

type Damage = fn(&Place);

const WRONG: &[(&str, Damage, Unfit)] = &[
    ("file for its group", |place| mode(&place.file(), 0o640), Unfit::Mode { mode: 0o640, wanted: 0o600 }),
    ("file for all", |place| mode(&place.file(), 0o604), Unfit::Mode { mode: 0o604, wanted: 0o600 }),
    ("file others may run", |place| mode(&place.file(), 0o601), Unfit::Mode { mode: 0o601, wanted: 0o600 }),
    ("folder for its group", |place| mode(&place.path, 0o750), Unfit::Mode { mode: 0o750, wanted: 0o700 }),
    ("folder others may enter", |place| mode(&place.path, 0o701), Unfit::Mode { mode: 0o701, wanted: 0o700 }),
    ("record for its group", |place| mode(&place.record(), 0o660), Unfit::Mode { mode: 0o660, wanted: 0o600 }),
    ("file is a link", |place| linked(place, &place.file()), Unfit::Link),
    ("folder is a link", |place| linked(place, &place.path), Unfit::Link),
    ("record is a link", |place| linked(place, &place.record()), Unfit::Link),
    (
        "file dangles",
        |place| {
            linked(place, &place.file());
            fs::remove_file(place.temp.path().join("away")).unwrap();
        },
        Unfit::Link,
    ),
    (
        "file has two names",
        |place| fs::hard_link(place.file(), place.temp.path().join("second")).unwrap(),
        Unfit::SecondName,
    ),
    (
        "two names in the folder",
        |place| fs::hard_link(place.file(), place.path.join("second")).unwrap(),
        Unfit::SecondName,
    ),
    ("file is a pipe", |place| replaced_by_pipe(&place.file()), Unfit::Kind),
    ("file is a folder", |place| replaced_by_folder(&place.file()), Unfit::Kind),
    (
        "folder is a file",
        |place| {
            fs::rename(&place.path, place.temp.path().join("away")).unwrap();
            fs::write(&place.path, "").unwrap();
        },
        Unfit::NotFolder,
    ),
    (
        "file is too large",
        |place| {
            fs::OpenOptions::new().write(true).open(place.file()).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        },
        Unfit::Size { size: FILE_BYTES_MAX + 1 },
    ),
];

/// What only writers touch.
const WRONG_FOR_WRITERS: &[(&str, Damage, Unfit)] = &[
    ("lock is a link", |place| linked(place, &place.path.join("lock")), Unfit::Link),
    ("lock for all", |place| mode(&place.path.join("lock"), 0o606), Unfit::Mode { mode: 0o606, wanted: 0o600 }),
    ("lock is a pipe", |place| replaced_by_pipe(&place.path.join("lock")), Unfit::Kind),
    (
        "lock has two names",
        |place| {
            fs::hard_link(place.path.join("lock"), place.path.join("second")).unwrap();
        },
        Unfit::SecondName,
    ),
];

fn unfit(result: Result<(), StoreError>, name: &str) -> Unfit {
    match result {
        Err(StoreError::Unsafe { unfit, .. }) => unfit,
        other => panic!("{name}: {other:?}"),
    }
}

fn set(vault: &mut Vault) -> Result<(), StoreError> {
    vault.set(&id("more"), b"more", &Change::at(NOW)).map(drop)
}

#[test]
fn deny_files_that_others_reach_or_that_are_something_else() {
    for (name, damage, expected) in WRONG {
        let place = Place::new();
        let mut vault = filled(&place);
        damage(&place);
        let before = listing(place.temp.path());
        assert_eq!(unfit(place.open().map(drop), name), *expected, "{name}");
        assert_eq!(unfit(set(&mut vault), name), *expected, "{name}");
        assert_eq!(unfit(vault.reload().map(drop), name), *expected, "{name}");
        if !name.starts_with("record") {
            let created = Vault::create(&place.path, &ROOT, &Noon).map(drop);
            assert_eq!(unfit(created, name), *expected, "{name}");
        }
        assert_eq!(listing(place.temp.path()), before, "{name}: nothing changed");
    }
    for (name, damage, expected) in WRONG_FOR_WRITERS {
        let place = Place::new();
        let mut vault = filled(&place);
        damage(&place);
        let before = listing(place.temp.path());
        assert_eq!(unfit(set(&mut vault), name), *expected, "{name}");
        assert_eq!(listing(place.temp.path()), before, "{name}: nothing changed");
        assert!(place.open().is_ok(), "{name}: readers take no lock");
    }
}

/// Every file below a folder: its path, mode, links and content; links and pipes are not followed.
fn listing(folder: &Path) -> Vec<(std::path::PathBuf, u32, u64, Vec<u8>)> {
    use std::os::unix::fs::MetadataExt as _;
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let (path, about) = (entry.path(), entry.path().symlink_metadata().unwrap());
        let small = about.is_file() && about.len() < 1 << 20;
        let content = if small { fs::read(&path).unwrap() } else { about.len().to_be_bytes().to_vec() };
        if about.is_dir() {
            found.extend(listing(&path));
        }
        found.push((path, about.mode(), about.nlink(), content));
    }
    found.sort();
    found
}

#[test]
fn deny_files_of_another_owner() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give files away");
        return;
    }
    for which in [Place::file as fn(&Place) -> std::path::PathBuf, |place| place.path.clone(), Place::record] {
        let place = Place::new();
        let mut vault = filled(&place);
        std::os::unix::fs::chown(which(&place), Some(4242), None).unwrap();
        assert_eq!(unfit(place.open().map(drop), "owner"), Unfit::Owner { owner: 4242 });
        assert_eq!(unfit(set(&mut vault), "owner"), Unfit::Owner { owner: 4242 });
    }
}

/// What was planted under the names that a write uses is replaced, never followed or written to.
#[test]
fn deny_planted_names_of_temporary_files() {
    let place = Place::new();
    let mut vault = filled(&place);
    let target = place.temp.path().join("target");
    fs::write(&target, "untouched").unwrap();
    for name in ["store.ringfort.new", "store.previous.new"] {
        symlink(&target, place.path.join(name)).unwrap();
        set(&mut vault).unwrap();
        fs::hard_link(&target, place.path.join(name)).unwrap();
        set(&mut vault).unwrap();
        assert!(!place.path.join(name).exists());
    }
    fs::remove_file(place.path.join("store.previous")).unwrap();
    symlink(&target, place.path.join("store.previous")).unwrap();
    set(&mut vault).unwrap();
    assert!(place.path.join("store.previous").symlink_metadata().unwrap().is_file());
    assert_eq!(fs::read_to_string(&target).unwrap(), "untouched");
    place.open().unwrap();
}

#[test]
fn deny_a_new_store_where_only_the_previous_one_is_left() {
    let place = Place::new();
    let mut vault = filled(&place);
    fs::remove_file(place.file()).unwrap();
    assert!(matches!(Vault::create(&place.path, &ROOT, &Noon), Err(StoreError::OnlyPrevious { .. })));
    assert!(matches!(place.open(), Err(StoreError::OnlyPrevious { .. })));
    assert!(matches!(set(&mut vault), Err(StoreError::OnlyPrevious { .. })));
    assert!(place.path.join("store.previous").exists());
}

#[test]
fn files_and_folders_are_made_for_their_owner_alone() {
    let place = Place::new();
    filled(&place);
    for (path, expected) in [
        (place.path.clone(), 0o700),
        (place.file(), 0o600),
        (place.path.join("store.previous"), 0o600),
        (place.path.join("lock"), 0o600),
        (place.record(), 0o600),
    ] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, expected, "{}", path.display());
    }
}

#[test]
fn a_writer_waits_and_then_says_who_holds_the_store() {
    let place = Place::new();
    filled(&place);
    let options = Options { wait: Some(Duration::from_millis(30)), ..Options::default() };
    let mut vault = Vault::open_as(&place.path, &ROOT, options).unwrap();
    let lock = fs::OpenOptions::new().write(true).open(place.path.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let error = set(&mut vault).unwrap_err();
    assert!(matches!(error, StoreError::Busy { holder: Some(holder), .. } if holder == std::process::id()), "{error}");
    assert!(place.open().is_ok(), "readers do not wait");
    drop(lock);
    set(&mut vault).unwrap();
}

#[test]
fn deny_what_is_out_of_bounds() {
    let place = Place::new();
    let mut vault = filled(&place);
    let before = vault.generation();
    let too_long = vault.set(&id("long"), &vec![7; VALUE_BYTES_MAX + 1], &Change::at(NOW));
    assert!(matches!(too_long, Err(StoreError::ValueTooLong { .. })));
    for change in [
        Change { hosts: Some(vec![String::new()]), ..Change::at(NOW) },
        Change { tools: Some(vec!["x".repeat(257)]), ..Change::at(NOW) },
        Change { principals: Some(vec!["line\nbreak".to_owned()]), ..Change::at(NOW) },
        Change { environments: Some(vec!["A".to_owned(); 65]), ..Change::at(NOW) },
        Change { labels: Some([(String::new(), "x".to_owned())].into()), ..Change::at(NOW) },
        Change { keep: Some(17), ..Change::at(NOW) },
    ] {
        assert!(matches!(vault.set(&id("x"), b"x", &change), Err(StoreError::Meta(_))), "{change:?}");
        let updated = vault.update_meta(&id("gateway.auth.password"), &change);
        assert!(matches!(updated, Err(StoreError::Meta(_))), "{change:?}");
    }
    for slots in 2..=SLOTS_MAX {
        assert_eq!(vault.add_slot(&Fixed(u8::try_from(slots).unwrap()), NOW).unwrap() + 1, slots);
    }
    assert!(matches!(vault.add_slot(&Fixed(99), NOW), Err(StoreError::SlotsFull)));
    assert_eq!(vault.generation(), before + 7);
    vault.set(&id("long"), &vec![7; VALUE_BYTES_MAX], &Change::at(NOW)).unwrap();
    assert_eq!(place.open().unwrap().get(&id("long"), NOW).unwrap().value.len(), VALUE_BYTES_MAX);
    const { assert!(ENTRIES_MAX >= 100_000) };
}

/// Slots come and go; what was removed opens nothing, not the generation before either.
#[test]
fn deny_a_key_whose_slot_was_removed() {
    let place = Place::new();
    let mut vault = filled(&place);
    let old = place.contents();
    assert_eq!(vault.add_slot(&Fixed(2), NOW).unwrap(), 1);
    assert!(Vault::open(&place.path, &Fixed(2)).is_ok() && place.open().is_ok());
    let gone = vault.remove_slot(0).unwrap();
    assert_eq!(gone.data, serde_json::json!({ "byte": ROOT.0 }));
    assert!(matches!(place.open(), Err(StoreError::WrongKey { .. })));
    assert!(!place.path.join("store.previous").exists());
    assert!(matches!(vault.remove_slot(0), Err(StoreError::Slot { .. })));
    assert!(matches!(vault.remove_slot(7), Err(StoreError::Slot { .. })));
    let kept = ringfort_secrets::locked::Locked::copy_of(vault.store_key().expose()).unwrap();
    vault.add_slot(&Fixed(3), NOW).unwrap();
    write(&place.path.join("store.refused"), &fs::read(place.file()).unwrap());
    let [second, third] = [2, 3].map(|byte| vault.header().reach(&Fixed(byte)).unwrap());
    let before = place.contents();
    let out_of_reach = vault.rekey(&third, &[], Earlier::Kept).unwrap_err();
    assert!(matches!(&out_of_reach, StoreError::OutOfReach { sources } if sources.len() == 1), "{out_of_reach}");
    let all = vault.header().slots.iter().map(|slot| slot.data.clone()).collect::<Vec<_>>();
    assert!(matches!(vault.rekey(&third, &all, Earlier::Kept), Err(StoreError::Slot { .. })));
    assert_eq!(place.contents(), before, "nothing was changed");
    let done = vault.rekey(&third, &all[..1], Earlier::Kept).unwrap();
    assert_eq!((done.kept.len(), done.dropped), (1, all[..1].to_vec()));
    let stale: Vec<_> = second.into_iter().chain(third).collect();
    assert!(matches!(vault.rekey(&stale, &[], Earlier::Kept), Err(StoreError::OutOfReach { .. })));
    for (name, opened) in [
        ("the slot before", Vault::open(&place.path, &Fixed(2))),
        ("what was reached before", Vault::open_by(&place.path, &stale[1], Options::default())),
        ("the store key before", Vault::open_with(&place.path, kept)),
    ] {
        assert!(matches!(opened, Err(StoreError::WrongKey { .. })), "{name}");
    }
    assert!(!place.path.join("store.previous").exists() && !place.path.join("store.refused").exists());
    let again = Vault::open(&place.path, &Fixed(3)).unwrap();
    assert!(again.get(&id("gateway.auth.password"), NOW).unwrap().value.equals(b"second value, anew"));
    assert!(again.get_version(&id("gateway.auth.password"), 1, NOW).unwrap().value.equals(b"second value"));
    // The whole file of before: its key is right, and it is older than the record, which that key did not write.
    crate::support::write(&place.file(), &old[Path::new("secrets/store.ringfort")]);
    assert!(matches!(place.open(), Err(StoreError::Fault { .. })));
}

#[test]
fn an_import_is_one_transaction() {
    let place = Place::new();
    let mut vault = filled(&place);
    let item = |name: &str| Item {
        id: id(name),
        value: ringfort_secrets::locked::Locked::copy_of(name.as_bytes()).unwrap(),
        change: Change::at(NOW),
    };
    let (before, there) = (vault.generation(), "gateway.auth.password");
    let refused = vault.import(&[item("new.a"), item(there)], Existing::Refuse);
    assert!(matches!(refused, Err(StoreError::EntryExists { .. })));
    let refused = vault.import(&[item("new.a"), item("new.a")], Existing::Replace);
    assert!(matches!(refused, Err(StoreError::EntryExists { .. })));
    assert_eq!((vault.generation(), vault.meta(&id("new.a"))), (before, None));
    let kept = vault.import(&[item("new.a"), item(there)], Existing::Keep).unwrap();
    assert_eq!((kept.added, kept.kept), (vec![id("new.a")], vec![id(there)]));
    assert!(vault.get(&id(there), NOW).unwrap().value.equals(b"second value, anew"));
    let replaced = vault.import(&[item("new.b"), item(there)], Existing::Replace).unwrap();
    assert_eq!((replaced.added, replaced.replaced), (vec![id("new.b")], vec![id(there)]));
    assert_eq!(vault.generation(), before + 2);
    assert!(place.open().unwrap().get(&id(there), NOW).unwrap().value.equals(there.as_bytes()));
}

#[test]
fn deny_expired_values_and_versions_that_are_not_kept() {
    let place = Place::new();
    let mut vault = place.create();
    let name = id("a");
    let expires = NOW.after(Duration::from_secs(60));
    vault.set(&name, b"1", &Change { expires: Some(Some(expires)), keep: Some(2), ..Change::at(NOW) }).unwrap();
    assert!(vault.get(&name, NOW).is_ok());
    for late in [expires, expires.after(Duration::from_secs(1))] {
        assert!(matches!(vault.get(&name, late), Err(StoreError::Expired { .. })));
        assert!(matches!(vault.get_version(&name, 1, late), Err(StoreError::Expired { .. })));
    }
    vault.update_meta(&name, &Change { expires: Some(None), ..Change::at(NOW) }).unwrap();
    for value in [b"2", b"3", b"4"] {
        vault.rotate(&name, value, NOW).unwrap();
    }
    let found = |vault: &Vault, version| vault.get_version(&name, version, NOW).map(|found| found.value.expose()[0]);
    assert_eq!((found(&vault, 4).unwrap(), found(&vault, 3).unwrap(), found(&vault, 2).unwrap()), (b'4', b'3', b'2'));
    for version in [0, 1, 5] {
        assert!(matches!(found(&vault, version), Err(StoreError::NoVersion { .. })));
    }
    vault.update_meta(&name, &Change { keep: Some(0), ..Change::at(NOW) }).unwrap();
    assert!(matches!(found(&vault, 3), Err(StoreError::NoVersion { .. })));
    let again = place.open().unwrap();
    assert!(found(&again, 4).is_ok() && found(&again, 3).is_err());
}

/// A counter outside, as a TPM has one.
struct Counter(AtomicU64, &'static str);

impl Anchor for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn latest(&self, _: &StoreId) -> Result<Option<u64>, String> {
        if self.1 == "silent" { Err("it does not answer".to_owned()) } else { Ok(Some(self.0.load(Ordering::Relaxed))) }
    }

    fn advance(&self, _: &StoreId, generation: u64) -> Result<(), String> {
        if self.1 == "stuck" {
            return Err("it does not move".to_owned());
        }
        self.0.fetch_max(generation, Ordering::Relaxed);
        Ok(())
    }
}

/// The folder and the record beside it put back together: only an anchor elsewhere sees it.
#[test]
fn deny_a_whole_state_folder_put_back() {
    let place = Place::new();
    let anchor = |kind| Options { anchor: Some(Arc::new(Counter(AtomicU64::new(0), kind))), ..Options::default() };
    let options = anchor("");
    let mut vault = Vault::create_as(&place.path, &ROOT, &Noon, options.clone()).unwrap();
    set(&mut vault).unwrap();
    let old = place.contents();
    set(&mut vault).unwrap();
    place.put(&old);
    assert!(place.open().is_ok(), "this is what the record alone cannot see");
    let refused = Vault::open_as(&place.path, &ROOT, options.clone()).map(drop);
    assert!(matches!(&refused, Err(StoreError::Fault { fault, .. }) if fault.name() == "older"), "{refused:?}");
    assert!(set(&mut vault).is_err());
    Vault::accept_generation(&place.path, &ROOT, options.clone()).unwrap();
    assert_eq!(Vault::open_as(&place.path, &ROOT, options).unwrap().generation(), 4);
    let silent = Vault::open_as(&place.path, &ROOT, anchor("silent")).map(drop);
    assert!(matches!(silent, Err(StoreError::Anchor { .. })));
    let mut stuck = Vault::open_as(&place.path, &ROOT, anchor("stuck")).unwrap();
    assert!(matches!(set(&mut stuck), Err(StoreError::AnchorBehind { .. })));
    assert_eq!(place.open().unwrap().generation(), stuck.generation());
}
