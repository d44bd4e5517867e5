// SPDX-License-Identifier: MIT OR Apache-2.0
//! How fast the trail is, beside what it is measured against, in one run.
//!
//! Durable appends against one `fdatasync` per entry, verification against SHA-256 over the same bytes, and the cost
//! of opening a long trail beside a short one. The ratios stand at the end; nothing here is a test.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use ringfort_audit::read::Reader;
use ringfort_audit::verify::verify;
use ringfort_audit::{Durability, Options, Trail};
use ringfort_core::clock::{Clock, Timestamp};
use ringfort_core::digest::Digest;
use ringfort_core::entry::{Entry, EntryKind};

struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        Timestamp(1_795_194_000_000 + self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn open(path: &Path) -> Trail {
    Trail::open(path, Options::new(Arc::new(Ticks(AtomicU64::new(0))))).unwrap()
}

/// An entry of the usual size: its line has about 500 bytes.
fn entry() -> Entry {
    let mut entry =
        Entry::event("tool.call").fact("exit", 0).fact("elapsed_ms", 12).fact("workspace", "/home/ada/project");
    entry.kind = EntryKind::Outcome;
    entry.session = Some("7f0c3d7e-6a5a-4a43-9d6e-2f1f3b7a1c55".to_owned());
    entry.request = Some(Digest::of(b"request"));
    entry.action = Some("cargo test --workspace --all-features -- --nocapture".to_owned());
    entry.rules = vec!["command-014".to_owned()];
    entry
}

fn append(trail: &Trail, durability: Durability) {
    trail.append(&entry(), durability).unwrap();
}

/// A fresh folder in the target folder, which is on a real disk where `/tmp` may not be.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The best time of each measurement, for the ratios. Seconds per round.
type Best = Mutex<BTreeMap<String, f64>>;

fn keep(best: &Best, name: &str, rounds: u64, took: Duration) {
    let time = took.as_secs_f64() / rounds as f64;
    let mut best = best.lock().unwrap();
    let old = best.entry(name.to_owned()).or_insert(f64::MAX);
    *old = old.min(time);
}

/// Runs `rounds` rounds on each of `writers` threads.
fn race(writers: u64, rounds: u64, append: impl Fn() + Sync) -> Duration {
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..writers {
            scope.spawn(|| (0..rounds).for_each(|_| append()));
        }
    });
    begun.elapsed()
}

fn appends(criterion: &mut Criterion, best: &Best) {
    let mut group = criterion.benchmark_group("append");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    for writers in [1, 8, 64] {
        group.throughput(Throughput::Elements(writers));
        let temp = folder();
        let trail = open(&temp.path().join("trail"));
        let name = format!("durable/{writers}");
        group.bench_function(&name, |bencher| {
            bencher.iter_custom(|rounds| {
                let took = race(writers, rounds, || append(&trail, Durability::Synced));
                keep(best, &name, rounds, took);
                took
            });
        });
        let plain = Mutex::new(File::create(temp.path().join("plain")).unwrap());
        let line = fs::read(temp.path().join("trail/000000000000.jsonl")).unwrap();
        let line = line.split_inclusive(|byte| *byte == b'\n').nth(1).unwrap().to_vec();
        let name = format!("fsync-each/{writers}");
        group.bench_function(&name, |bencher| {
            bencher.iter_custom(|rounds| {
                let took = race(writers, rounds, || {
                    let mut file = plain.lock().unwrap();
                    file.write_all(&line).unwrap();
                    file.sync_data().unwrap();
                });
                keep(best, &name, rounds, took);
                took
            });
        });
    }
    let temp = folder();
    let trail = open(&temp.path().join("trail"));
    group.throughput(Throughput::Elements(1));
    group.bench_function("written/1", |bencher| bencher.iter(|| trail.append(&entry(), Durability::Written).unwrap()));
    group.finish();
}

fn filled(temp: &Path, entries: u64) -> PathBuf {
    let path = temp.join(format!("trail-{entries}"));
    let trail = open(&path);
    (0..entries).for_each(|_| append(&trail, Durability::Written));
    trail.sync().unwrap();
    path
}

fn verifying(criterion: &mut Criterion, best: &Best, path: &Path) {
    let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|name| name.extension().is_some_and(|extension| extension == "jsonl"));
    let bytes: Vec<u8> = names.iter().flat_map(|name| fs::read(name).unwrap()).collect();
    let mut group = criterion.benchmark_group("verify");
    group.sample_size(10).throughput(Throughput::Bytes(bytes.len() as u64));
    let mut measure = |name: &str, work: &dyn Fn()| {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let begun = Instant::now();
                (0..rounds).for_each(|_| work());
                let took = begun.elapsed();
                keep(best, name, rounds, took);
                took
            });
        });
    };
    measure("verify", &|| assert!(verify(path).unwrap().is_clean()));
    measure("sha256", &|| {
        std::hint::black_box(Digest::of(&bytes));
    });
    group.finish();
}

fn opening(criterion: &mut Criterion, best: &Best, short: &Path, long: &Path) {
    let mut group = criterion.benchmark_group("open");
    for (name, path) in [("open/10", short), ("open/100000", long)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let begun = Instant::now();
                (0..rounds).for_each(|_| drop(open(path)));
                keep(best, name, rounds, begun.elapsed());
                begun.elapsed()
            });
        });
    }
    group.bench_function("open+append+close", |bencher| {
        bencher.iter(|| open(long).append(&entry(), Durability::Written).unwrap());
    });
    group.bench_function("tail/20", |bencher| {
        bencher.iter(|| assert_eq!(Reader::open(long).unwrap().tail(20).unwrap().len(), 20));
    });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().without_plots();
    let best = Best::default();
    appends(&mut criterion, &best);
    let temp = folder();
    let (short, long) = (filled(temp.path(), 10), filled(temp.path(), 100_000));
    verifying(&mut criterion, &best, &long);
    opening(&mut criterion, &best, &short, &long);
    criterion.final_summary();
    let best = best.into_inner().unwrap();
    let ratio = |name: &str, base: &str, what: &str| {
        if let (Some(time), Some(base_time)) = (best.get(name), best.get(base)) {
            println!("{name} is {:.2} times as {what} as {base}", base_time / time);
        }
    };
    for writers in [1, 8, 64] {
        ratio(&format!("durable/{writers}"), &format!("fsync-each/{writers}"), "fast");
    }
    ratio("verify", "sha256", "fast");
    ratio("open/100000", "open/10", "fast");
}
