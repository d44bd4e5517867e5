// SPDX-License-Identifier: MIT OR Apache-2.0
//! A writer is killed at random moments; the store opens, holds the old state or the new one, and no plain value is on
//! the disk.
//!
//! Forty kills, or as many as `RINGFORT_SOAK` says. `RINGFORT_SOAK_SEED` chooses other moments.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ringfort_secrets::locked::Locked;
use ringfort_secrets::store::{Change, Earlier, Existing, Item, StoreError, Vault};

use crate::rekey::check_of;
use crate::support::{NOW, Place, ROOT, id, setting};

const KILLS: u64 = 40;
/// Names the folder of the store, in the child.
const FOLDER: &str = "RINGFORT_TEST_CRASH";
/// The number of the first operation, in the child.
const FIRST: &str = "RINGFORT_TEST_CRASH_FIRST";
/// What every value begins with, and nothing else on the disk may hold.
const PLANTED: &str = "pl4nted-value-7c1f";
/// Ids in use.
const IDS: u64 = 7;

/// The values of a store, as they should be.
type Model = BTreeMap<String, (u64, Vec<u8>)>;

fn planted(number: u64) -> Vec<u8> {
    // Long enough to be written in several parts now and then.
    let repeat = if number.is_multiple_of(5) { 400 } else { 1 };
    format!("{PLANTED}-{number}-").repeat(repeat).into_bytes()
}

fn name(number: u64) -> String {
    format!("crash.entry-{}", number % IDS)
}

fn items(number: u64) -> Vec<Item> {
    let item = |index: u64| Item {
        id: id(&format!("crash.import-{index}")),
        value: Locked::copy_of(&planted(number)).unwrap(),
        change: Change::at(NOW),
    };
    (0..5).map(item).collect()
}

/// Whether the operation of this number is a new store key.
fn is_rekey(number: u64) -> bool {
    number % 8 == 6
}

/// The operation of this number, on the store. What is not there is not deleted or rotated.
fn run(vault: &mut Vault, number: u64) {
    let at = id(&name(number));
    let done = match number % 4 {
        2 if is_rekey(number) => {
            let reached = vault.header().reach(&ROOT).unwrap();
            vault.rekey(&reached, &[], Earlier::Forgotten).map(drop)
        }
        0 | 1 if number % 8 > 3 => vault.set(&at, &planted(number), &Change::at(NOW)).map(drop),
        0 => vault.delete(&at),
        1 | 2 => vault.rotate(&at, &planted(number), NOW).map(drop),
        _ => vault.import(&items(number), Existing::Replace).map(drop),
    };
    assert!(matches!(done, Ok(()) | Err(StoreError::NotFound { .. })), "{number}: {done:?}");
}

/// The same operation, on the model.
fn expect(model: &mut Model, number: u64) {
    let value = planted(number);
    let set = |model: &mut Model, name: String| {
        let entry = model.entry(name).or_insert((0, Vec::new()));
        *entry = (entry.0 + 1, value.clone());
    };
    match number % 4 {
        2 if is_rekey(number) => {}
        0 | 1 if number % 8 > 3 => set(model, name(number)),
        0 => drop(model.remove(&name(number))),
        1 | 2 if model.contains_key(&name(number)) => set(model, name(number)),
        1 | 2 => {}
        _ => (0..5).for_each(|index| set(model, format!("crash.import-{index}"))),
    }
}

fn read(vault: &Vault) -> Model {
    let value = |name: &ringfort_secrets::id::SecretId| vault.get(name, NOW).unwrap();
    vault.list().map(|meta| (meta.id.to_string(), (meta.version, value(&meta.id).value.expose().to_vec()))).collect()
}

#[expect(clippy::disallowed_methods, reason = "a test that starts itself many times")]
fn start(place: &Place, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::write_until_killed", "--nocapture"])
        .current_dir(place.temp.path())
        .env(FOLDER, &place.path)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Whether any file below `folder` holds the planted text: temporary and core files too.
fn holds_plain(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holds_plain(&path));
        } else if is_plain(&fs::read(&path).unwrap()) {
            found.push(path);
        }
    }
    found
}

fn is_plain(bytes: &[u8]) -> bool {
    bytes.windows(PLANTED.len()).any(|window| window == PLANTED.as_bytes())
}

#[test]
fn a_writer_that_is_killed_leaves_the_old_state_or_the_new_one() {
    let place = Place::new();
    drop(place.create());
    // Long enough for several writes, each of which may take longer than one that nobody disturbs.
    let window = 30 * time_of_a_write();
    let kills = setting("RINGFORT_SOAK", KILLS);
    let mut seed = setting("RINGFORT_SOAK_SEED", 0x5eed) | 1;
    let (mut model, mut next, mut between, mut unanchored) = (Model::new(), 1, 0, 0);
    for kill in 0..kills {
        let mut child = start(&place, next);
        let mut out = child.stdout.take().unwrap();
        // The harness says what it runs; the first mark says that the child has begun.
        let mut said = Vec::new();
        let mut byte = [0];
        while !said.ends_with(b"begun\n") {
            assert_eq!(out.read(&mut byte).unwrap(), 1, "the child ended: {}", String::from_utf8_lossy(&said));
            said.push(byte[0]);
        }
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        thread::park_timeout(Duration::from_micros(seed % window));
        assert_eq!(child.try_wait().unwrap(), None, "the child ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        said.clear();
        out.read_to_end(&mut said).unwrap();
        let acknowledged = String::from_utf8(said).unwrap().lines().filter_map(|line| line.parse().ok()).next_back();
        for number in next..=acknowledged.unwrap_or(next - 1) {
            expect(&mut model, number);
        }
        next = acknowledged.map_or(next, |last: u64| last + 1);
        let record = fs::read(place.record()).unwrap();
        let found = read(&place.open().unwrap());
        if found != model {
            expect(&mut model, next);
            assert_eq!(found, model, "kill {kill}: after operation {next} or before it");
            next += 1;
            between += 1;
        }
        unanchored += u32::from(fs::read(place.record()).unwrap() != record);
        let previous = place.path.join("store.previous");
        let same = !previous.exists() || check_of(&previous) == check_of(&place.file());
        assert!(same, "kill {kill}: the generation before opens with a store key that was replaced");
        let text_key = place.open().unwrap().text_key().unwrap();
        assert_eq!(text_key.store(), place.open().unwrap().id(), "kill {kill}");
        assert_eq!(holds_plain(place.temp.path()), Vec::<std::path::PathBuf>::new(), "kill {kill}");
    }
    println!("{kills} kills, {next} operations, {between} made and not told, {unanchored} before the record");
    assert!(next > 1 + kills / 8, "the test did something");
}

/// How long a write takes here and now, in microseconds: disks differ.
fn time_of_a_write() -> u64 {
    let place = Place::new();
    let mut vault = place.create();
    let begun = Instant::now();
    for number in 0..4 {
        vault.set(&id("a"), &planted(number), &Change::at(NOW)).unwrap();
    }
    u64::try_from(begun.elapsed().as_micros() / 4).unwrap().max(1000)
}

/// The search of the test above finds what it is for.
#[test]
fn a_planted_value_would_be_found() {
    let place = Place::new();
    drop(place.create());
    assert!(holds_plain(place.temp.path()).is_empty());
    fs::write(place.path.join("store.ringfort.new"), [b"\0\0".to_vec(), planted(3)].concat()).unwrap();
    assert_eq!(holds_plain(place.temp.path()).len(), 1);
}

/// Writes for ever; does something only when it is started by the test above.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test that started this says where")]
fn write_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let mut vault = Vault::open(Path::new(&folder), &ROOT).unwrap();
    let mut out = fs::File::from(rustix::io::dup(std::io::stdout()).unwrap());
    out.write_all(b"\nbegun\n").unwrap();
    for number in first.. {
        run(&mut vault, number);
        out.write_all(format!("{number}\n").as_bytes()).unwrap();
    }
}
