// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many processes with many threads write one trail and are killed at random; nothing acknowledged is lost.
//!
//! Ten seconds, or as many as `RINGFORT_SOAK_SECONDS` says. `RINGFORT_SOAK_SEED` chooses another order of kills.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ringfort_audit::read::Reader;
use ringfort_audit::verify::verify;
use ringfort_audit::{Durability, FaultKind};

use crate::support::{Place, entry};

const PROCESSES: usize = 8;
const THREADS: u64 = 4;
const SECONDS: u64 = 10;

/// Small, so that rotations are killed too. Bytes.
const SEGMENT_BYTES_MAX: u64 = 256 << 10;

/// Names the folder of the trail, in a writing process.
const FOLDER: &str = "RINGFORT_TEST_SOAK";

#[expect(clippy::disallowed_methods, reason = "the length of a test is set from outside")]
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Numbers that are random enough to choose victims.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

#[expect(clippy::disallowed_methods, reason = "a test that starts itself many times")]
fn start(place: &Place, acknowledged: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "soak::write_until_killed", "--nocapture"])
        .env(FOLDER, &place.path)
        .stdout(OpenOptions::new().append(true).create(true).open(acknowledged).unwrap())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

#[test]
fn killed_writers_lose_nothing_that_was_acknowledged() {
    let place = Place::new();
    let logs = tempfile::tempdir().unwrap();
    let seconds = setting("RINGFORT_SOAK_SECONDS", SECONDS);
    let mut dice = Dice(setting("RINGFORT_SOAK_SEED", 0x5eed));
    let log = |index: usize| logs.path().join(index.to_string());
    let mut writers: Vec<Child> = (0..PROCESSES).map(|index| start(&place, &log(index))).collect();
    let (begun, mut kills, mut checks) = (Instant::now(), 0, 0);
    while begun.elapsed() < Duration::from_secs(seconds) {
        thread::park_timeout(Duration::from_millis(5 + dice.roll(60)));
        let victim = usize::try_from(dice.roll(PROCESSES as u64)).unwrap();
        assert_eq!(writers[victim].try_wait().unwrap(), None, "a writer ended by itself");
        writers[victim].kill().unwrap();
        writers[victim].wait().unwrap();
        writers[victim] = start(&place, &log(victim));
        kills += 1;
        if kills % 20 == 0 {
            let report = verify(&place.path).unwrap();
            let torn = report.fault.as_ref().is_none_or(|fault| fault.kind == FaultKind::TornTail);
            assert!(torn, "while others write, at most a torn tail is seen: {report}");
            checks += 1;
        }
    }
    for writer in &mut writers {
        writer.kill().unwrap();
        writer.wait().unwrap();
    }
    drop(place.open(SEGMENT_BYTES_MAX));
    let report = verify(&place.path).unwrap();
    assert!(report.is_clean(), "{report}");
    let hashes = all_hashes(&place);
    assert_eq!(hashes.len() as u64, report.entries);
    let mut acknowledged = 0;
    for index in 0..PROCESSES {
        for line in fs::read_to_string(log(index)).unwrap().lines().filter_map(|line| line.strip_prefix("ack ")) {
            let Some((seq, hash)) = line.split_once(' ').filter(|(_, hash)| hash.len() == 64) else { continue };
            assert_eq!(hashes.get(&seq.parse().unwrap()).map(String::as_str), Some(hash), "entry {seq} is lost");
            acknowledged += 1;
        }
    }
    println!("{kills} kills, {checks} live checks, {acknowledged} acknowledged, {report}");
    assert!(acknowledged > 100 && kills > 20, "the test did something");
    assert!(report.segments > 1, "segments were rotated");
}

fn all_hashes(place: &Place) -> BTreeMap<u64, String> {
    let reader = Reader::open(&place.path).unwrap();
    reader
        .records(0)
        .unwrap()
        .map(|record| record.map(|record| (record.seq, record.hash.to_string())).unwrap())
        .collect()
}

/// Writes and acknowledges for ever; does something only when it is started by the test above.
#[test]
fn write_until_killed() {
    #[expect(clippy::disallowed_methods, reason = "the test that started this says where")]
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let options = ringfort_audit::Options {
        segment_bytes_max: SEGMENT_BYTES_MAX,
        lock_wait: Duration::from_secs(30),
        ..ringfort_audit::Options::new(crate::support::Ticks::new())
    };
    let trail = ringfort_audit::Trail::open(Path::new(&folder), options).unwrap();
    thread::scope(|scope| {
        for writer in 0..THREADS {
            let trail = &trail;
            scope.spawn(move || {
                // One write for each acknowledgement, so that a kill leaves whole lines.
                let mut out = File::from(rustix::io::dup(std::io::stdout()).unwrap());
                for number in writer.. {
                    let durability = if number % 3 == 0 { Durability::Synced } else { Durability::Written };
                    let receipt = trail.append(&entry(number), durability).unwrap();
                    out.write_all(format!("ack {} {}\n", receipt.seq, receipt.hash).as_bytes()).unwrap();
                }
            });
        }
    });
}
