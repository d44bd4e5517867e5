// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run costs, from the start until everything is gone: `launch` alone, the whole command, the command with a door
//! to the network, beside a plain start and beside `bwrap` with the same binds; what a traced run adds to each program
//! that is started; and the resident memory of the supervisor.
//!
//! In: this host. Out: medians over a plain start, taken in turns in one run so that a busy machine slows all alike.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    missing_docs,
    clippy::print_stdout,
    reason = "a benchmark starts plain processes as the measure and prints ratios"
)]

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ringfort_core::clock::Timestamp;
use ringfort_core::digest::Digest;
use ringfort_core::obligation::Obligations;
use ringfort_core::permit::Permit;
use ringfort_sandbox::launch::{Exit, Spawn, launch};
use ringfort_sandbox::profile::{DegreeRequest, Profile};

/// Rounds of the comparison.
const ROUNDS: usize = 200;
/// Rounds that are not counted.
const WARM_UP: usize = 10;
/// Programs that one shell starts, for the cost of a trace.
const STARTS: u32 = 1000;
/// Rounds of that.
const START_ROUNDS: usize = 3;

struct Place {
    home: PathBuf,
    work: PathBuf,
    _folder: tempfile::TempDir,
}

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

/// The same system trees as [`Profile::new`]: links stay links, as they do there.
fn bubblewrap(place: &Place) -> Command {
    let mut command = Command::new("/usr/bin/bwrap");
    for path in Profile::system_default() {
        match (path.read_link(), path.exists()) {
            (Ok(target), _) => command.arg("--symlink").args([target.as_path(), path.as_path()]),
            (_, true) => command.arg("--ro-bind").args([&path, &path]),
            _ => &mut command,
        };
    }
    command.args(["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", "/var/tmp"]);
    command.arg("--tmpfs").arg(&place.home).arg("--bind").args([&place.work, &place.work]);
    command.args(["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "/bin/true"]);
    command
}

fn ringfort(place: &Place, options: &[&str], words: &[&str]) -> Command {
    let binary = std::env::var_os("RINGFORT_BIN").map_or_else(|| env!("CARGO_BIN_EXE_ringfort").into(), PathBuf::from);
    let mut command = Command::new(binary);
    command.args(["run", "--state"]).arg(place.home.join("state")).args(options).arg("--").args(words);
    command.current_dir(&place.work).env_clear().env("HOME", &place.home).env("PATH", "/usr/bin:/bin");
    command
}

fn ended(mut command: Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}");
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

/// What is timed, by name.
type Kind<'a> = (&'a str, Box<dyn Fn() + 'a>);

fn in_turns(kinds: &[Kind<'_>], rounds: usize, warm_up: usize) -> Vec<f64> {
    let mut times = vec![Vec::new(); kinds.len()];
    for round in 0..rounds + warm_up {
        for ((_, run), times) in kinds.iter().zip(&mut times) {
            let start = Instant::now();
            run();
            if round >= warm_up {
                times.push(start.elapsed());
            }
        }
    }
    times.iter_mut().map(|times| median(times)).collect()
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().canonicalize().unwrap();
    let place = Place { work: home.join("work"), home, _folder: folder };
    std::fs::create_dir_all(&place.work).unwrap();
    let full = Profile::new(place.work.clone(), place.home.clone());
    let minimal = Profile { degree: DegreeRequest::Minimal, ..full.clone() };
    let mut kinds: Vec<Kind<'_>> = vec![
        ("plain start", Box::new(|| ended(Command::new("/bin/true")))),
        ("launch, minimal", Box::new(|| caged(&minimal))),
        ("launch, full", Box::new(|| caged(&full))),
        ("run", Box::new(|| ended(ringfort(&place, &["--network", "off"], &["/bin/true"])))),
        ("run, with a door", Box::new(|| ended(ringfort(&place, &["--network", "door"], &["/bin/true"])))),
    ];
    if Path::new("/usr/bin/bwrap").exists() {
        kinds.push(("bwrap --unshare-all", Box::new(|| ended(bubblewrap(&place)))));
    }
    let medians = in_turns(&kinds, ROUNDS, WARM_UP);
    for ((name, _), median) in kinds.iter().zip(&medians) {
        println!("{name:22} median {median:6.2} ms  over plain {:+6.2} ms", median - medians[0]);
    }
    traced(&place);
    for (name, options) in [("off", &["--network", "off"][..]), ("door", &["--network", "door"])] {
        println!("resident memory of the supervisor, network {name}: {} KiB", resident(&place, options));
    }
}

/// One shell that starts many programs, with and without a trace.
fn traced(place: &Place) {
    let script = format!("i=0; while [ $i -lt {STARTS} ]; do /bin/true; i=$((i+1)); done");
    let words = ["/bin/sh", "loop.sh"];
    std::fs::write(place.work.join("loop.sh"), script).unwrap();
    let kinds: Vec<Kind<'_>> = vec![
        ("run", Box::new(|| ended(ringfort(place, &["--network", "off"], &words)))),
        ("run --trace", Box::new(|| ended(ringfort(place, &["--network", "off", "--trace"], &words)))),
    ];
    let medians = in_turns(&kinds, START_ROUNDS, 0);
    for ((name, _), median) in kinds.iter().zip(&medians) {
        println!("{name:22} {:6.3} ms for each of {STARTS} programs", median / f64::from(STARTS));
    }
}

/// The most that the supervisor held while a program ran, in KiB.
fn resident(place: &Place, options: &[&str]) -> u64 {
    let mut command = ringfort(place, options, &["/bin/sh", "-c", "echo up; cat"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    drop(child.stdin.take());
    child.wait().unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}
