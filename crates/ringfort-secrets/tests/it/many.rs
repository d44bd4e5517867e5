// SPDX-License-Identifier: MIT OR Apache-2.0
//! Eight processes read and write one store at once; no update is lost, and no reader ever sees half of one.
//!
//! Five seconds, or as many as `RINGFORT_SOAK_SECONDS` says.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ringfort_secrets::store::{Change, Options, Vault};

use crate::support::{NOW, Place, ROOT, id, setting};

const PROCESSES: u64 = 8;
const SECONDS: u64 = 5;
/// Names the folder of the store, in the child.
const FOLDER: &str = "RINGFORT_TEST_MANY";
/// The number of the child.
const NUMBER: &str = "RINGFORT_TEST_MANY_NUMBER";

#[expect(clippy::disallowed_methods, reason = "a test that starts itself many times")]
fn start(place: &Place, number: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "many::write_for_a_while", "--nocapture"])
        .env(FOLDER, &place.path)
        .env(NUMBER, number.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

#[test]
fn no_update_of_eight_processes_is_lost() {
    let place = Place::new();
    let mut vault = place.create();
    vault.set(&id("shared"), b"0", &Change::at(NOW)).unwrap();
    let first = vault.generation();
    let children: Vec<Child> = (0..PROCESSES).map(|number| start(&place, number)).collect();
    let (mut writes, mut reads, mut least) = (0, 0, u64::MAX);
    let mut last = vec![0; usize::try_from(PROCESSES).unwrap()];
    for (number, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        let told = text.lines().find_map(|line| line.strip_prefix("done ")).unwrap();
        let (done, read) = told.split_once(' ').unwrap();
        last[number] = done.parse::<u64>().unwrap();
        writes += last[number];
        least = least.min(last[number]);
        reads += read.parse::<u64>().unwrap();
    }
    let vault = place.open().unwrap();
    assert_eq!(vault.meta(&id("shared")).unwrap().version, 1 + writes, "each rotation is one version");
    for (number, last) in last.iter().enumerate() {
        let released = vault.get(&id(&format!("own.p{number}")), NOW).unwrap();
        assert!(released.value.equals(last.to_string().as_bytes()), "process {number}: {last}");
        assert_eq!(released.meta.version, *last);
    }
    assert_eq!(vault.generation(), first + 2 * writes, "nothing else was written");
    println!("{writes} rounds of two writes, {reads} reads, at least {least} rounds a process");
    assert!(least > 0, "everybody had a turn");
}

/// Writes and reads until the time is over; does something only when it is started by the test above.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test that started this says where")]
fn write_for_a_while() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let number: u64 = std::env::var(NUMBER).unwrap().parse().unwrap();
    let options = Options { wait: Some(Duration::from_secs(60)), ..Options::default() };
    let mut vault = Vault::open_as(Path::new(&folder), &ROOT, options).unwrap();
    let (own, shared) = (id(&format!("own.p{number}")), id("shared"));
    let (begun, length) = (Instant::now(), Duration::from_secs(setting("RINGFORT_SOAK_SECONDS", SECONDS)));
    let (mut writes, mut reads, mut seen) = (0_u64, 0_u64, 0);
    while begun.elapsed() < length {
        writes += 1;
        vault.set(&own, writes.to_string().as_bytes(), &Change::at(NOW)).unwrap();
        let version = vault.rotate(&shared, format!("{number}-{writes}").as_bytes(), NOW).unwrap();
        assert!(version > seen, "versions only grow");
        seen = version;
        for _ in 0..3 {
            let reader = Vault::open(Path::new(&folder), &ROOT).unwrap();
            let found = reader.get(&shared, NOW).unwrap();
            assert!(found.meta.version >= seen, "a reader never goes back");
            seen = found.meta.version;
            assert!(reader.get(&own, NOW).unwrap().value.equals(writes.to_string().as_bytes()));
            reads += 1;
        }
    }
    let mut out = fs::File::from(rustix::io::dup(std::io::stdout()).unwrap());
    out.write_all(format!("\ndone {writes} {reads}\n").as_bytes()).unwrap();
}
