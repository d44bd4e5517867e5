// SPDX-License-Identifier: MIT OR Apache-2.0
//! A supervisor that is killed at any moment leaves no process, mount or namespace behind in full mode; in the lesser
//! ones the next start ends what is left and says so.
//!
//! In: runs that are killed after a random time, from before the first clone until after the end.
//! Out: whatever of them is still there. `RINGFORT_SOAK_SECONDS` is the time for each degree.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Dice, Place, TIME_MAX, is_namespaced, until};

/// Time for each degree in the short form. Seconds.
const SECONDS: u64 = 5;
/// Longest delay before the kill: a whole run takes less. Microseconds.
const DELAY_US_MAX: usize = 120_000;
/// How long a cage may take to be gone. A machine under load may be slow.
const GONE_MAX: Duration = Duration::from_secs(10);
/// Promises that the degree `minimal` keeps.
const MINIMAL: &str = "[sandbox]\nrequire = [\"confine-writes\", \"confine-reads\", \"no-network\", \"confine-syscalls\", \"no-privilege\"]\n";

/// Leaves sessions of its own that ignore signals, and ends after a moment.
const SCRIPT: &str = "trap '' HUP TERM INT
(setsid sh -c 'trap \"\" HUP TERM INT; exec sleep 300' >/dev/null 2>&1 &)
setsid sleep 300 </dev/null >/dev/null 2>&1 &
echo x >made; sleep 0.05; exit 0\n";

#[expect(clippy::disallowed_methods, reason = "the long form is asked for by the script")]
fn seconds() -> u64 {
    std::env::var("RINGFORT_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(SECONDS)
}

/// Processes and mounts that belong to this place.
fn residue(place: &Place) -> Vec<String> {
    let mark = place.root.to_str().unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if pid == std::process::id() {
            continue;
        }
        let text = |name: &str| {
            fs::read(entry.path().join(name))
                .map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "))
                .unwrap_or_default()
        };
        let link = |name: &str| {
            fs::read_link(entry.path().join(name)).map(|path| path.display().to_string()).unwrap_or_default()
        };
        let about = [text("cmdline"), text("environ"), link("cwd"), link("exe"), link("root")];
        let is_dead =
            text("stat").rsplit_once(") ").is_none_or(|(_, after)| after.starts_with('Z') || after.starts_with('X'));
        if !is_dead && about.iter().any(|about| about.contains(mark)) {
            found.push(format!("process {pid}: {}", about[0]));
        }
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    found.extend(mounts.lines().filter(|line| line.contains(mark)).map(|line| format!("mount {line}")));
    found
}

/// Kills runs in this degree until the time is over; says how many, and how many left something.
fn kill_again_and_again(degree: &str) -> (usize, usize) {
    let place = Place::new();
    place.write("work.sh", SCRIPT);
    let policy = place.write(place.outside.join("policy.toml"), if degree == "minimal" { MINIMAL } else { "" });
    let policy = policy.to_str().unwrap();
    let mut dice = Dice::new(0x5eed_0000 + degree.len() as u64);
    let end = Instant::now() + Duration::from_secs(seconds());
    let (mut kills, mut left) = (0, 0);
    while Instant::now() < end {
        let number = kills.to_string();
        let words = ["run", "--policy", policy, "--degree", degree, "--", "/bin/sh", "work.sh", &number];
        let mut program = place.ringfort(words);
        program.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = program.spawn();
        std::thread::park_timeout(Duration::from_micros(dice.pick(DELAY_US_MAX) as u64));
        let pid = Pid::from_raw(i32::try_from(running.pid()).unwrap()).unwrap();
        // It may have ended by itself.
        kill_process(pid, Signal::KILL).unwrap_or(());
        running.wait(TIME_MAX);
        kills += 1;
        let gone = || residue(&place).is_empty().then_some(());
        if until(if degree == "minimal" { Duration::from_millis(300) } else { GONE_MAX }, gone).is_some() {
            continue;
        }
        assert_eq!(degree, "minimal", "after {kills} kills: {:#?}", residue(&place));
        left += 1;
        let next = place.ringfort(["run", "--policy", policy, "--degree", degree, "--", "/bin/true", &number]).output();
        assert!(next.err().contains("ended"), "nothing was said of {:#?}\n{next}", residue(&place));
        assert!(until(GONE_MAX, gone).is_some(), "after the next start: {:#?}\n{next}", residue(&place));
    }
    place.ringfort(["trail", "verify"]).output().exits(0);
    (kills, left)
}

#[test]
fn escape_by_a_supervisor_that_is_killed_at_any_moment() {
    let degrees: &[&str] = if is_namespaced(&Place::new()) { &["full", "reduced", "minimal"] } else { &["minimal"] };
    for degree in degrees {
        let (kills, left) = kill_again_and_again(degree);
        eprintln!("{degree}: {kills} kills, {left} left something for the next start");
        assert!(kills > 3, "{degree}: only {kills} kills");
    }
}
