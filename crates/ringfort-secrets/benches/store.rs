// SPDX-License-Identifier: MIT OR Apache-2.0
//! How fast the store is: a value from an open store, a store of 10,000 entries opened with its key at hand, a write.
//!
//! Beside each stands what it cannot be faster than: the locked memory of a value, the MAC over the same bytes, a
//! synced file of the same size. Figures and ratios stand at the end; nothing here is a test.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use criterion::Criterion;
use ringfort_core::clock::{Clock, Timestamp};
use ringfort_secrets::id::SecretId;
use ringfort_secrets::locked::Locked;
use ringfort_secrets::root::{KEY_LEN, RootKeyError, RootKeySource, SlotData, StoreId};
use ringfort_secrets::store::{Change, Existing, FILE_NAME, Item, Vault};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest as _, Sha256};

const NOW: Timestamp = Timestamp(1_795_194_000_000);
const ENTRIES: usize = 10_000;

struct Fixed;

impl RootKeySource for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn key_source(&self) -> String {
        "fixed".to_owned()
    }

    fn create(&self, _: StoreId) -> Result<(SlotData, Locked), RootKeyError> {
        let data = SlotData { source: "fixed".to_owned(), data: serde_json::Value::Null };
        Ok((data, Locked::copy_of(&[7; KEY_LEN])?))
    }

    fn open(&self, _: StoreId, _: &SlotData) -> Result<Locked, RootKeyError> {
        Ok(Locked::copy_of(&[7; KEY_LEN])?)
    }

    fn forget(&self, _: StoreId, _: &SlotData) -> Result<(), RootKeyError> {
        Ok(())
    }
}

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

fn id(number: usize) -> SecretId {
    format!("models.providers.example-{number}.apiKey").parse().unwrap()
}

/// An entry of the usual kind: a token of 64 bytes, a label, a host, a tool.
fn item(number: usize) -> Item {
    let change = Change {
        labels: Some(BTreeMap::from([("team".to_owned(), "billing".to_owned())])),
        hosts: Some(vec!["api.example.com".to_owned()]),
        tools: Some(vec!["http_request".to_owned()]),
        ..Change::at(NOW)
    };
    Item { id: id(number), value: Locked::copy_of(&[b't'; 64]).unwrap(), change }
}

fn filled(temp: &Path, entries: usize) -> PathBuf {
    let path = temp.join(format!("secrets-{entries}"));
    let mut vault = Vault::create(&path, &Fixed, &Fixed).unwrap();
    // Values wait in locked memory, of which there is not much.
    for start in (0..entries).step_by(500) {
        let items: Vec<Item> = (start..entries.min(start + 500)).map(item).collect();
        vault.import(&items, Existing::Refuse).unwrap();
    }
    path
}

/// The best times of each measurement: of the clock, and of the processor, which others on the machine do not change.
/// Seconds.
type Best = Mutex<BTreeMap<String, (f64, f64)>>;

fn cpu_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn measure(criterion: &mut Criterion, best: &Best, name: &str, mut work: impl FnMut()) {
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|rounds| {
            let (begun, cpu_begun) = (Instant::now(), cpu_time());
            (0..rounds).for_each(|_| work());
            let (took, cpu) = (begun.elapsed(), cpu_time() - cpu_begun);
            let mut best = best.lock().unwrap();
            let old = best.entry(name.to_owned()).or_insert((f64::MAX, f64::MAX));
            *old = (old.0.min(took.as_secs_f64() / rounds as f64), old.1.min(cpu / rounds as f64));
            took
        });
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args().without_plots().sample_size(20);
    let best = Best::default();
    // The target folder is on a real disk where `/tmp` may not be.
    let temp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (small, large) = (filled(temp.path(), 10), filled(temp.path(), ENTRIES));
    for (name, path) in [("10", &small), ("10000", &large)] {
        let vault = Vault::open(path, &Fixed).unwrap();
        let wanted = id(7);
        measure(&mut criterion, &best, &format!("get/{name}"), || {
            std::hint::black_box(vault.get(&wanted, NOW).unwrap());
        });
        let bytes = fs::read(path.join(FILE_NAME)).unwrap();
        measure(&mut criterion, &best, &format!("open/{name}"), || {
            std::hint::black_box(Vault::open_with(path, Locked::copy_of(vault.store_key().expose()).unwrap()).unwrap());
        });
        measure(&mut criterion, &best, &format!("sha256/{name}"), || {
            std::hint::black_box(Sha256::digest(&bytes));
        });
        let mut writer = Vault::open(path, &Fixed).unwrap();
        measure(&mut criterion, &best, &format!("set/{name}"), || {
            writer.set(&wanted, b"value", &Change::at(NOW)).unwrap();
        });
        let plain = temp.path().join("plain");
        measure(&mut criterion, &best, &format!("synced-file/{name}"), || {
            let mut file = File::create(&plain).unwrap();
            file.write_all(&bytes).unwrap();
            file.sync_all().unwrap();
        });
    }
    measure(&mut criterion, &best, "locked/64", || {
        std::hint::black_box(Locked::zeroed(64).unwrap());
    });
    criterion.final_summary();
    let best = best.into_inner().unwrap();
    for (name, (time, cpu)) in &best {
        println!("{name}: {:.1} us, of the processor {:.1} us", time * 1e6, cpu * 1e6);
    }
    let ratio = |name: &str, base: &str| {
        if let (Some((time, cpu)), Some((base_time, base_cpu))) = (best.get(name), best.get(base)) {
            let (time, cpu) = (time / base_time, cpu / base_cpu);
            println!("{name} takes {time:.2} times as long as {base}, of the processor {cpu:.2} times");
        }
    };
    ratio("get/10000", "locked/64");
    ratio("get/10000", "get/10");
    ratio("open/10000", "sha256/10000");
    ratio("set/10", "synced-file/10");
    ratio("set/10000", "synced-file/10000");
}
