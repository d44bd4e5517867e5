// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a cage costs: from the call of `launch` until `/bin/true` has ended and everything is gone.
//!
//! In: this host. Out: criterion's figures, and the medians over plain fork and exec (and `bwrap` where it is
//! installed), taken in turns in one run so that a busy machine slows all of them alike.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    missing_docs,
    clippy::print_stdout,
    reason = "a benchmark starts plain processes as the measure and prints ratios"
)]

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use ringfort_core::clock::Timestamp;
use ringfort_core::digest::Digest;
use ringfort_core::obligation::Obligations;
use ringfort_core::permit::Permit;
use ringfort_sandbox::launch::{Exit, Spawn, launch};
use ringfort_sandbox::profile::{DegreeRequest, DoorView, Network, Profile};

/// Rounds of the comparison; the median of each kind is printed.
const ROUNDS: usize = 300;

fn caged(profile: &Profile) {
    let request = Digest::of(b"bench");
    let permit = Permit::issue(request, Obligations::default(), Timestamp(0));
    let null = || File::options().read(true).write(true).open("/dev/null").unwrap().into();
    let spawn = Spawn {
        program: "/bin/true".into(),
        argv: vec!["true".into()],
        stdin: null(),
        stdout: null(),
        stderr: null(),
        terminal: None,
        broker: None,
    };
    let mut cage = launch(permit, &request, Timestamp(1), profile, spawn).unwrap();
    assert_eq!(cage.wait(), Exit::Exited(0));
}

fn plain() {
    let status =
        Command::new("/bin/true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success());
}

const BUBBLEWRAP: &str = "/usr/bin/bwrap";

fn bubblewrap() {
    let binds =
        ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt", "/etc"].into_iter().filter(|path| Path::new(path).exists());
    let mut command = Command::new(BUBBLEWRAP);
    for path in binds {
        command.args(["--ro-bind", path, path]);
    }
    command.args(["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", "/var/tmp"]);
    command.args(["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "/bin/true"]);
    assert!(command.status().unwrap().success());
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// What is timed, by name.
type Kind<'a> = (&'a str, Box<dyn Fn() + 'a>);

fn compare(profiles: &[(&str, Profile)]) {
    let mut kinds: Vec<Kind<'_>> = vec![("plain spawn", Box::new(plain))];
    for (name, profile) in profiles {
        kinds.push((name, Box::new(move || caged(profile))));
    }
    if Path::new(BUBBLEWRAP).exists() {
        kinds.push(("bwrap --unshare-all", Box::new(bubblewrap)));
    }
    let mut times = vec![Vec::new(); kinds.len()];
    for _ in 0..ROUNDS {
        for ((_, run), times) in kinds.iter().zip(&mut times) {
            let start = Instant::now();
            run();
            times.push(start.elapsed());
        }
    }
    let medians: Vec<Duration> = times.into_iter().map(median).collect();
    let base = medians.first().copied().unwrap_or_default();
    for ((name, _), median) in kinds.iter().zip(&medians) {
        let over = median.as_secs_f64() * 1e3 - base.as_secs_f64() * 1e3;
        let ratio = median.as_secs_f64() / base.as_secs_f64();
        println!("{name:22} median {median:>10.2?}  over plain {over:+.2} ms  ratio {ratio:.2}");
    }
}

fn benches(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let (home, workspace) = (root.join("home"), root.join("home/work"));
    std::fs::create_dir_all(&workspace).unwrap();
    let full = Profile::new(workspace, home);
    let minimal = Profile { degree: DegreeRequest::Minimal, ..full.clone() };
    let view = DoorView { caught_ports: vec![80, 443], names: true };
    let door = Profile { network: Network::Door(view), ..full.clone() };
    let profiles = [("launch, minimal", minimal), ("launch, full", full), ("launch, full, door", door)];
    compare(&profiles);
    let mut group = criterion.benchmark_group("launch");
    group.bench_function("plain", |bencher| bencher.iter(plain));
    for (name, profile) in &profiles {
        group.bench_function(*name, |bencher| bencher.iter(|| caged(profile)));
    }
    group.finish();
}

criterion_group!(launches, benches);
criterion_main!(launches);
