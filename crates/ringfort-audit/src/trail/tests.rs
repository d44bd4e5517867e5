// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a single writer sees: numbers, links, rotation, repair, refusal.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use ringfort_core::clock::Timestamp;
use ringfort_core::entry::EntryKind;

use super::*;
use crate::fault::FaultKind;
use crate::head::{SLOT_BYTES, boot_id};
use crate::scan::scan;

struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp(1_790_000_000_000 + self.0.fetch_add(7, Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

struct Place {
    _temp: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        Self { path: temp.path().join("trail"), _temp: temp }
    }

    fn options(&self) -> Options {
        Options { lock_wait: Duration::from_millis(200), ..Options::new(Arc::new(Ticks(AtomicU64::new(0)))) }
    }

    fn small(&self) -> Options {
        Options { segment_bytes_max: 1500, ..self.options() }
    }

    fn open(&self) -> Trail {
        Trail::open(&self.path, self.options()).unwrap()
    }

    fn filled(count: usize) -> Self {
        let place = Self::new();
        let trail = place.open();
        for number in 0..count {
            trail.append(&entry(number), Durability::Synced).unwrap();
        }
        place
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn first(&self) -> PathBuf {
        self.file("000000000000.jsonl")
    }

    fn lines(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.path).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        names.sort();
        names
            .iter()
            .flat_map(|path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    fn torn_files(&self) -> usize {
        let names = fs::read_dir(&self.path).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("torn-")).count()
    }
}

fn entry(number: usize) -> Entry {
    Entry::event("test").fact("number", number)
}

fn fault(result: Result<Trail, OpenError>) -> (u64, FaultKind) {
    match result.map(drop) {
        Err(OpenError::Chain(ChainError::Tampered { seq, fault })) => (seq, fault),
        other => panic!("not refused as tampered: {other:?}"),
    }
}

/// Every line scans, is numbered in order, linked, and has the hash it names.
fn assert_chained(lines: &[String]) {
    let mut prev = "0".repeat(64);
    for (number, line) in lines.iter().enumerate() {
        let parsed = scan(line.as_bytes()).unwrap_or_else(|| panic!("not canonical: {line}"));
        assert_eq!(parsed.seq, number as u64);
        assert_eq!(parsed.prev[..], *prev.as_bytes(), "{line}");
        assert!(crate::repair::has_own_hash(&parsed), "{line}");
        prev = String::from_utf8(parsed.hash.to_vec()).unwrap();
    }
}

#[test]
fn entries_are_numbered_linked_and_kept() {
    let place = Place::new();
    let trail = place.open();
    let mut receipts = Vec::new();
    for number in 0..20 {
        let durability = if number % 3 == 0 { Durability::Synced } else { Durability::Written };
        receipts.push(trail.append(&entry(number), durability).unwrap());
    }
    trail.sync().unwrap();
    let lines = place.lines();
    assert_chained(&lines);
    assert_eq!(lines.len(), 21, "a header and twenty entries");
    for receipt in receipts {
        assert!(lines[receipt.seq as usize].ends_with(&format!("\"hash\":\"{}\"}}", receipt.hash)));
    }
}

#[test]
fn a_receipt_for_the_disk_is_given_after_the_sync() {
    let place = Place::new();
    let trail = Trail::open(&place.path, place.small()).unwrap();
    let synced = || {
        let dir = Dir::open_or_create(&place.path).unwrap();
        let head = crate::head::Head::open(&dir, crate::dir::Access::Read).unwrap().unwrap();
        head.mark(&dir, crate::head::Pair::Synced).unwrap().unwrap().next
    };
    let mut last = 0;
    for number in 0..30 {
        let before = synced();
        let written = trail.append(&entry(number), Durability::Written).unwrap();
        assert!(synced() == before || written.seq != last + 1, "only a rotation syncs what is only written");
        last = trail.append(&entry(number), Durability::Synced).unwrap().seq;
        assert!(synced() > last);
    }
    let written = trail.append(&entry(30), Durability::Written).unwrap();
    trail.sync().unwrap();
    assert!(synced() > written.seq);
}

#[test]
fn a_value_never_ends_its_line() {
    let place = Place::new();
    let trail = place.open();
    let fake = "x\n{\"v\":1,\"seq\":9,\"hash\":\"00\"}\r\u{2028}\u{85}\u{0}\u{1b}[2J";
    let mut hostile = entry(0).fact(fake, fake);
    hostile.session = Some(fake.to_owned());
    hostile.action = Some(fake.to_owned());
    hostile.rules = vec![fake.to_owned()];
    trail.append(&hostile, Durability::Written).unwrap();
    let lines = place.lines();
    assert_eq!(lines.len(), 2);
    assert_chained(&lines);
    assert_eq!(crate::entry::decode(lines[1].as_bytes()).unwrap().entry, hostile);
}

#[test]
fn deny_entries_that_cannot_be_recorded() {
    let place = Place::new();
    let trail = place.open();
    for bad in [
        entry(0).fact("long", "x".repeat(ringfort_core::limits::TRAIL_LINE_BYTES_MAX)),
        entry(0).fact("deep", (0..40).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]))),
        Entry::event("trail.repaired"),
        Entry::event("trail.segment"),
    ] {
        assert!(matches!(trail.append(&bad, Durability::Synced), Err(AppendError::Entry(_))));
    }
    let mut other = Entry::event("trail.segment");
    other.kind = EntryKind::Outcome;
    trail.append(&other, Durability::Synced).unwrap();
    assert_eq!(place.lines().len(), 2);
}

#[test]
fn segments_are_sealed_and_linked() {
    let place = Place::new();
    let trail = Trail::open(&place.path, place.small()).unwrap();
    for number in 0..40 {
        trail.append(&entry(number), Durability::Written).unwrap();
    }
    trail.append(&entry(40).fact("large", "x".repeat(9000)), Durability::Written).unwrap();
    trail.append(&entry(41), Durability::Synced).unwrap();
    assert_chained(&place.lines());
    let names = fs::read_dir(&place.path)
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".jsonl"));
    assert!(names.count() > 8);
    drop(trail);
    let trail = Trail::open(&place.path, place.small()).unwrap();
    trail.append(&entry(42), Durability::Synced).unwrap();
    assert_chained(&place.lines());
    assert!(trail.repairs().is_empty());
}

#[test]
fn a_torn_line_is_repaired_wherever_it_was_torn() {
    let whole = Place::filled(3);
    let before = fs::read(whole.first()).unwrap();
    whole.open().append(&entry(3), Durability::Written).unwrap();
    let line = fs::read(whole.first()).unwrap()[before.len()..].to_vec();
    for length in 1..=line.len() {
        let place = Place::filled(3);
        let start = fs::metadata(place.first()).unwrap().len();
        let file = fs::OpenOptions::new().write(true).open(place.first()).unwrap();
        // Chained to this trail's own last entry it would be adopted; as it is, a whole line is tampering.
        file.write_all_at(&line[..length], start).unwrap();
        if length == line.len() {
            let adopted = Trail::open(&place.path, place.options());
            assert!(adopted.is_ok(), "the same clock and entries give the same chain: {:?}", adopted.err());
            assert_eq!(place.lines().len(), 5);
            continue;
        }
        let trail = place.open();
        let repairs = trail.repairs();
        assert_eq!(repairs.len(), 1, "torn at {length}");
        assert_eq!(repairs[0].bytes, length as u64);
        assert_eq!(fs::read(place.file(&repairs[0].file)).unwrap(), line[..length]);
        trail.append(&entry(9), Durability::Synced).unwrap();
        let lines = place.lines();
        assert_chained(&lines);
        assert_eq!(lines.len(), 6);
        assert!(lines[4].contains("trail.repaired"));
    }
}

#[test]
fn a_torn_header_is_repaired() {
    let place = Place::new();
    drop(place.open());
    fs::write(place.first(), b"{\"v\":1,\"se").unwrap();
    let trail = place.open();
    trail.append(&entry(0), Durability::Synced).unwrap();
    let lines = place.lines();
    assert_chained(&lines);
    assert!(lines[0].contains("trail.segment") && lines[1].contains("trail.repaired"));
}

#[test]
fn an_open_handle_repairs_what_another_writer_left() {
    let place = Place::filled(1);
    let (mine, other) = (place.open(), place.open());
    mine.append(&entry(1), Durability::Written).unwrap();
    let size = fs::metadata(place.first()).unwrap().len();
    fs::OpenOptions::new().write(true).open(place.first()).unwrap().write_all_at(b"{\"v\":1", size).unwrap();
    other.append(&entry(2), Durability::Written).unwrap();
    mine.append(&entry(3), Durability::Written).unwrap();
    assert_eq!((mine.repairs().len(), other.repairs().len(), place.torn_files()), (0, 1, 1));
    assert_chained(&place.lines());
}

#[test]
fn deny_to_continue_a_trail_that_was_tampered_with() {
    let check = |damage: &dyn Fn(&Place), expected: (u64, FaultKind)| {
        let place = Place::filled(4);
        damage(&place);
        let before = fs::read(place.first()).unwrap_or_default();
        assert_eq!(fault(Trail::open(&place.path, place.options())), expected);
        assert_eq!(fs::read(place.first()).unwrap_or_default(), before, "a refused trail is not changed");
        assert_eq!(place.torn_files(), 0);
    };
    let edit = |place: &Place, change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        fs::write(place.first(), change(fs::read(place.first()).unwrap())).unwrap();
    };
    let replace = |from: &'static str, to: &'static str| {
        move |content: Vec<u8>| String::from_utf8(content).unwrap().replace(from, to).into_bytes()
    };
    check(&|place| edit(place, &replace("\"number\":3", "\"number\":8")), (4, FaultKind::BadHash));
    check(&|place| edit(place, &replace("\"number\":3", "\"number\": ")), (4, FaultKind::NotCanonical));
    check(
        &|place| {
            edit(place, &|mut content| {
                content.truncate(content.len() - 1);
                content
            })
        },
        (4, FaultKind::Truncated),
    );
    check(
        &|place| {
            edit(place, &|content| {
                let cut = content.len() / 2;
                content[..cut].to_vec()
            })
        },
        (4, FaultKind::Truncated),
    );
    check(
        &|place| {
            edit(place, &|mut content| {
                content.extend_from_slice(b"{}\n");
                content
            })
        },
        (5, FaultKind::NotCanonical),
    );
    check(
        &|place| {
            edit(place, &|content| {
                let last = content[..content.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
                [&content[..], &content[last + 1..]].concat()
            })
        },
        (5, FaultKind::BrokenLink),
    );
    check(&|place| fs::remove_file(place.first()).unwrap(), (0, FaultKind::SegmentMissing));
    check(&|place| fs::remove_file(place.file("head")).unwrap(), (0, FaultKind::HeadMissing));
    check(&|place| fs::write(place.file("head"), "").unwrap(), (0, FaultKind::HeadDamaged));
}

#[test]
fn deny_files_that_were_replaced_under_an_open_trail() {
    for name in ["000000000000.jsonl", "head", "lock"] {
        let place = Place::filled(2);
        let trail = place.open();
        let copy = fs::read(place.file(name)).unwrap();
        fs::remove_file(place.file(name)).unwrap();
        assert!(trail.append(&entry(2), Durability::Written).is_err(), "`{name}` is gone");
        fs::write(place.file(name), &copy).unwrap();
        assert!(trail.append(&entry(2), Durability::Written).is_err(), "`{name}` is readable by others");
    }
}

/// Opens the trail as after a loss of power: the kernel has started again.
fn reopened(place: &Place) -> Result<Trail, OpenError> {
    Trail::open_in(&place.path, place.options(), "another-boot".to_owned())
}

#[test]
fn after_a_loss_of_power_all_that_was_synced_is_there() {
    let place = Place::filled(3);
    let synced = fs::metadata(place.first()).unwrap().len();
    let trail = place.open();
    for number in 3..6 {
        trail.append(&entry(number), Durability::Written).unwrap();
    }
    drop(trail);
    let full = fs::read(place.first()).unwrap();
    let head = fs::read(place.file("head")).unwrap();
    for length in (synced..full.len() as u64).step_by(13).chain([full.len() as u64]) {
        for garbage in [&b""[..], &[0; 64], b"\n\n", b"{\"v\":1}\n"] {
            fs::write(place.first(), [&full[..length as usize], garbage].concat()).unwrap();
            fs::write(place.file("head"), &head).unwrap();
            let trail = reopened(&place).unwrap_or_else(|error| panic!("{length}: {error}"));
            trail.append(&entry(9), Durability::Synced).unwrap();
            let lines = place.lines();
            assert_chained(&lines);
            assert!(lines.len() >= 5 && lines[3].contains("\"number\":2"), "{length}");
        }
    }
    fs::write(place.first(), &full[..synced as usize - 1]).unwrap();
    fs::write(place.file("head"), &head).unwrap();
    assert_eq!(fault(reopened(&place)), (3, FaultKind::Truncated));
}

#[test]
fn after_a_loss_of_power_a_stale_head_is_brought_forward() {
    let place = Place::filled(3);
    let head = fs::read(place.file("head")).unwrap();
    let trail = place.open();
    for number in 3..6 {
        trail.append(&entry(number), Durability::Synced).unwrap();
    }
    drop(trail);
    fs::write(place.file("head"), &head).unwrap();
    let trail = reopened(&place).unwrap();
    assert!(trail.repairs().is_empty());
    trail.append(&entry(6), Durability::Synced).unwrap();
    let lines = place.lines();
    assert_chained(&lines);
    assert_eq!(lines.len(), 8);
}

#[test]
fn an_interrupted_rotation_is_finished() {
    let place = Place::new();
    let trail = Trail::open(&place.path, place.small()).unwrap();
    let mut number = 0;
    let newest = loop {
        number += 1;
        let receipt = trail.append(&entry(number), Durability::Written).unwrap();
        if let Some(name) = fs::read_dir(&place.path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .find(|name| name.to_string_lossy() == crate::segment::name(receipt.seq - 1) && receipt.seq > 1)
        {
            break name;
        }
    };
    drop(trail);
    // As if the writer had died between naming the new segment and writing into it: take its marks from the run before.
    let path = place.path.join(&newest);
    let content = fs::read(&path).unwrap();
    let head = fs::read(place.file("head")).unwrap();
    let slots: Vec<&[u8]> = head.chunks(SLOT_BYTES).collect();
    let opening = slots[..2].iter().find(|slot| String::from_utf8_lossy(slot).contains("\"bytes\":0,")).unwrap();
    let head = [opening, opening, slots[2], slots[3]].map(<[u8]>::to_vec).concat();
    for (boot, length) in [
        (boot_id(), None),
        (boot_id(), Some(0)),
        (boot_id(), Some(9)),
        ("new".to_owned(), None),
        ("new".to_owned(), Some(40)),
    ] {
        fs::write(place.file("head"), &head).unwrap();
        match length {
            None => fs::remove_file(&path).unwrap(),
            Some(length) => {
                fs::write(&path, &content[..length]).unwrap();
                fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            }
        }
        let trail = Trail::open_in(&place.path, place.small(), boot).unwrap();
        trail.append(&entry(99), Durability::Synced).unwrap();
        assert_chained(&place.lines());
        assert_eq!(trail.repairs().len(), usize::from(length.is_some_and(|length| length > 0)));
    }
}

#[test]
fn deny_to_wait_for_ever() {
    let place = Place::filled(1);
    let trail = place.open();
    let lock = fs::File::open(place.file("lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(trail.append(&entry(1), Durability::Written), Err(AppendError::Chain(ChainError::Busy { .. }))));
    assert!(matches!(Trail::open(&place.path, place.options()), Err(OpenError::Chain(ChainError::Busy { .. }))));
    lock.unlock().unwrap();
    trail.append(&entry(1), Durability::Written).unwrap();
    assert_chained(&place.lines());
}

#[test]
fn threads_share_one_trail() {
    let place = Place::new();
    let trail = Trail::open(&place.path, place.small()).unwrap();
    let receipts: Vec<Receipt> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let trail = &trail;
                scope.spawn(move || {
                    let append = |number: usize| {
                        let durability =
                            if number.is_multiple_of(5) { Durability::Synced } else { Durability::Written };
                        trail.append(&entry(writer * 1000 + number), durability).unwrap()
                    };
                    (0..50).map(append).collect::<Vec<_>>()
                })
            })
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let lines = place.lines();
    assert_chained(&lines);
    for receipt in &receipts {
        assert!(lines[receipt.seq as usize].contains(&receipt.hash.to_string()));
    }
    let distinct: std::collections::BTreeSet<u64> = receipts.iter().map(|receipt| receipt.seq).collect();
    assert_eq!((receipts.len(), distinct.len()), (400, 400));
}
