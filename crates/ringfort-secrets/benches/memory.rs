// SPDX-License-Identifier: MIT OR Apache-2.0
//! What locked memory and key derivation cost here: the parameters that are chosen, how long they really take, and what a
//! place for a value costs beside an ordinary one. Nothing here is a test.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use ringfort_core::clock::{Clock, Timestamp};
use ringfort_secrets::kdf::{self, Argon2Params, Purpose, SALT_LEN, ScryptParams, TARGET};
use ringfort_secrets::locked::{Locked, locked_bytes, protection, wiping};
use ringfort_secrets::root::StoreId;
use rustix::time::{ClockId, clock_gettime};

struct Running(Instant);

impl Clock for Running {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The time of the processor, which others on the machine hardly change.
struct OfTheProcessor;

impl Clock for OfTheProcessor {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn monotonic(&self) -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
    }
}

/// What is expected of the chosen parameters by this clock, and what they take by it.
fn expectation(name: &str, clock: &dyn Clock) {
    let measured = kdf::measure(TARGET, clock).unwrap();
    let purpose = Purpose { store: StoreId([0; 16]), source: "bench" };
    let mut times: Vec<Duration> = (0..5)
        .map(|_| {
            let start = clock.monotonic();
            drop(black_box(kdf::derive(b"bench", &[0; SALT_LEN], purpose, measured.params).unwrap()));
            clock.monotonic() - start
        })
        .collect();
    times.sort_unstable();
    let (expected, real) = (measured.expected.as_secs_f64(), times.get(2).unwrap().as_secs_f64());
    let off = (expected / real - 1.0) * 100.0;
    println!(
        "{name}: {}: expected {:.0} ms, really {:.0} ms: {off:+.0} %",
        measured.params,
        expected * 1e3,
        real * 1e3
    );
}

/// The middle of `runs` times.
fn middle(runs: usize, mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times.get(runs / 2).copied().unwrap_or_default()
}

fn derivation() {
    let clock = Running(Instant::now());
    let start = Instant::now();
    let measured = kdf::measure(TARGET, &clock).unwrap();
    println!("measuring took {} ms", start.elapsed().as_millis());
    let purpose = Purpose { store: StoreId([0; 16]), source: "bench" };
    for (name, params) in [("chosen", measured.params), ("default", Argon2Params::default())] {
        let took = middle(3, || drop(black_box(kdf::derive(b"bench", &[0; SALT_LEN], purpose, params).unwrap())));
        println!("{name}: {params}: {} ms", took.as_millis());
    }
    expectation("by the clock", &Running(Instant::now()));
    expectation("of the processor", &OfTheProcessor);
    let scrypt = ScryptParams::default();
    let took = middle(3, || drop(black_box(kdf::scrypt_derive(b"bench", &[0; 16], scrypt, 32).unwrap())));
    println!("scrypt, N=131072 r=8 p=1: {} ms", took.as_millis());
}

fn places() {
    println!("memory for secrets: {:?}", protection());
    for length in [32, 200, 2000, 4096, 20_000, 1_000_000] {
        let bytes = vec![7; length];
        let locked = middle(2001, || drop(black_box(Locked::copy_of(&bytes).unwrap())));
        let ordinary = middle(2001, || drop(black_box(bytes.clone())));
        println!("a value of {length} bytes: locked {} ns, ordinary {} ns", locked.as_nanos(), ordinary.as_nanos());
    }
    let start = Instant::now();
    let many: Vec<Locked> = (0..10_000).map(|_| Locked::copy_of(&[7; 48]).unwrap()).collect();
    println!("10,000 values: {} µs, {} KiB locked", start.elapsed().as_micros(), locked_bytes() / 1024);
    drop(black_box(many));
    println!("wiping the stack: {} ns", middle(2001, || assert!(wiping(|| black_box(true)))).as_nanos());
}

fn main() {
    derivation();
    places();
}
