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

struct Running(Instant);

impl Clock for Running {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
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
    let real = middle(5, || {
        drop(black_box(kdf::derive(b"bench", &[0; SALT_LEN], purpose, measured.params).unwrap()));
    });
    let off = (measured.expected.as_secs_f64() / real.as_secs_f64() - 1.0) * 100.0;
    println!(
        "expected of the chosen: {} ms, really {} ms: {off:+.0} %",
        measured.expected.as_millis(),
        real.as_millis()
    );
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
