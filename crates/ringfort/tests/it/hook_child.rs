// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: whatever happens to the process that judges, or to the hook itself, the agent is told no.
//!
//! In: the real binary, whose judging copy is held at a lock that the test has taken, and real signals and limits. Out:
//! the answer, and that nothing of it is left.

use std::fs;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::hook::{bash, read, verdict};
use crate::support::{Output, Place, Running, binary, until};

/// How long a copy is looked for.
const FOUND_WITHIN: Duration = Duration::from_secs(30);
/// Longest answer of a hook whose copy hangs: its own wait of 10 s, and a busy machine.
const ANSWERED_WITHIN: Duration = Duration::from_secs(40);

/// A hook whose judging copy waits for the counters, which the test holds.
struct Held {
    place: Place,
    running: Running,
    copy: Pid,
    _locks: Vec<fs::File>,
}

impl Held {
    fn new() -> Self {
        let place = Place::new();
        assert_eq!(verdict(&place, &bash(&place, "cat notes.txt")).0, "none", "it would be let through");
        let files = fs::read_dir(place.state.join("guard")).unwrap();
        let locks: Vec<fs::File> = files.map(|file| fs::File::open(file.unwrap().path()).unwrap()).collect();
        assert!(!locks.is_empty());
        for lock in &locks {
            rustix::fs::flock(lock.as_fd(), rustix::fs::FlockOperation::LockExclusive).unwrap();
        }
        let mut program = place.ringfort(["hook", "claude-code"]);
        program.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = program.spawn();
        let message = bash(&place, "cat notes.txt").to_string();
        running.0.stdin.take().unwrap().write_all(message.as_bytes()).unwrap();
        let pid = running.pid();
        let children = format!("/proc/{pid}/task/{pid}/children");
        let copy = until(FOUND_WITHIN, || {
            let text = fs::read_to_string(&children).ok()?;
            let copy: i32 = text.split_whitespace().next()?.parse().ok()?;
            // It has read everything and waits: in the system call for locks.
            let waits = fs::read_to_string(format!("/proc/{copy}/syscall")).ok()?.starts_with(FLOCK);
            waits.then(|| Pid::from_raw(copy))?
        });
        Self { place, running, copy: copy.expect("a copy that waits"), _locks: locks }
    }

    /// The answer of the hook, after `event` has happened to its copy.
    fn after(mut self, event: impl FnOnce(&Self)) -> (String, String, Duration) {
        event(&self);
        let started = Instant::now();
        let status = self.running.wait(ANSWERED_WITHIN);
        let elapsed = started.elapsed();
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        std::io::copy(&mut self.running.0.stdout.take().unwrap(), &mut stdout).unwrap();
        std::io::copy(&mut self.running.0.stderr.take().unwrap(), &mut stderr).unwrap();
        let (answer, why) = read(&Output::new(status, stdout, stderr));
        let gone = until(FOUND_WITHIN, || (!is_alive(self.copy)).then_some(()));
        assert!(gone.is_some(), "the copy is still there");
        drop(self.place);
        (answer, why, elapsed)
    }
}

/// The number of `flock` on this machine, as `/proc/PID/syscall` begins.
#[cfg(target_arch = "x86_64")]
const FLOCK: &str = "73 ";
/// The number of `flock` on every newer machine.
#[cfg(not(target_arch = "x86_64"))]
const FLOCK: &str = "32 ";

/// Whether a process runs: one that has ended and was not waited for does not.
fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| !stat.rsplit(") ").next().unwrap().starts_with('Z'))
}

#[test]
fn deny_when_the_judge_is_killed() {
    for signal in [Signal::KILL, Signal::TERM, Signal::SEGV, Signal::ABORT] {
        let (answer, why, elapsed) = Held::new().after(|held| kill_process(held.copy, signal).unwrap());
        assert!(answer == "deny" && why.contains("could not judge"), "{signal:?}: {answer} {why}");
        assert!(elapsed < Duration::from_secs(9), "at once, not at the end of its time: {elapsed:?}");
    }
}

#[test]
fn deny_when_the_judge_is_stopped_or_hangs() {
    for stop in [true, false] {
        let (answer, why, _) = Held::new().after(|held| {
            if stop {
                kill_process(held.copy, Signal::STOP).unwrap();
            }
        });
        assert!(answer == "deny" && why.contains("could not judge"), "stopped: {stop}: {answer} {why}");
    }
}

#[test]
fn deny_when_the_hook_itself_is_ended() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::ABORT] {
        let (answer, why, _) = Held::new().after(|held| {
            let hook = Pid::from_raw(held.running.pid().try_into().unwrap()).unwrap();
            kill_process(hook, signal).unwrap();
        });
        assert!(answer == "deny" && !why.is_empty(), "{signal:?}: {answer} {why}");
    }
}

#[test]
fn a_killed_hook_takes_its_judge_with_it() {
    let held = Held::new();
    let hook = Pid::from_raw(held.running.pid().try_into().unwrap()).unwrap();
    kill_process(hook, Signal::KILL).unwrap();
    assert!(until(FOUND_WITHIN, || (!is_alive(held.copy)).then_some(())).is_some());
}

#[test]
fn deny_when_memory_is_short() {
    let place = Place::new();
    let message = bash(&place, "cat notes.txt").to_string();
    let with = |kilobytes: u32| {
        let text = format!("ulimit -v {kilobytes} && exec \"$RF\" hook claude-code");
        place.program("sh", ["-c", &text]).env("RF", binary()).input(message.clone()).output()
    };
    assert_eq!(read(&with(4 << 20)).0, "none", "with enough memory it is let through");
    let (mut denied, mut started) = (0, 0);
    for kilobytes in (2_000..200_000).step_by(3_000) {
        let output = with(kilobytes);
        // What cannot even be loaded has said nothing in its own form: what set it up turns that into a denial.
        if matches!(output.code(), Some(126 | 127) | None) {
            continue;
        }
        started += 1;
        let (answer, why) = read(&output);
        match answer.as_str() {
            "deny" => denied += 1,
            "none" => assert!(output.stderr.is_empty() && crate::hook::record(&place).contains("cat notes.txt")),
            other => panic!("{kilobytes} kB: {other} {why}"),
        }
    }
    assert!(denied > 0 && started > denied, "{denied} denials of {started}");
}

#[test]
fn deny_when_there_is_no_message_or_no_end_of_it() {
    let place = Place::new();
    let closed = place.program("sh", ["-c", "exec \"$RF\" hook claude-code <&-"]).env("RF", binary()).output();
    assert_eq!(read(&closed).0, "deny", "{closed}");
    let text = "(printf '{\"session_id\":'; sleep 60) | { \"$RF\" hook claude-code; echo status-$?; kill 0; }";
    let open = place.program("sh", ["-c", text]).env("RF", binary()).output();
    assert!(open.out().contains("status-2"), "{open}");
}

#[test]
fn deny_when_the_answer_cannot_be_written() {
    let place = Place::new();
    let message = bash(&place, "rm -rf ~").to_string();
    for stream in [">&-", "> /dev/full", "> /dev/null"] {
        let text = &format!("exec \"$RF\" hook claude-code {stream}");
        let output = place.program("sh", ["-c", text.as_str()]).env("RF", binary()).input(message.clone()).output();
        assert_eq!(output.code(), Some(2), "{text}: {output}");
    }
}
