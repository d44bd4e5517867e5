// SPDX-License-Identifier: MIT OR Apache-2.0
//! Limits of a run: they bind everything that it starts, whoever starts it, and the person is told what was hit.

use std::fs;

use crate::support::{Place, Program, binary};

/// A run with these settings.
fn run(place: &Place, settings: &[&str], words: &[&str]) -> Program {
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let words = ["run", "--verbose"].into_iter().chain(settings).chain(["--"]).chain(words.iter().copied());
    let path = format!("{}:/usr/bin:/bin", binary().parent().unwrap().display());
    place.ringfort(words).env("PATH", path)
}

fn last_outcome(place: &Place) -> serde_json::Value {
    let text = place.ringfort(["trail", "tail", "--count", "200", "--json"]).output().exits(0).out();
    let mut entries = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let outcome = entries.rfind(|entry| entry.pointer("/entry/facts/degree").is_some());
    outcome.unwrap_or_else(|| panic!("no outcome in {text}"))
}

/// Whether control groups hold the limits of a run here; says so where not.
fn is_grouped(place: &Place) -> bool {
    let output = run(place, &["sandbox.limits.memory_mb=512"], &["/bin/true"]).output().exits(0);
    let grouped = output.err().contains("by cgroup-v");
    if !grouped {
        assert!(output.err().contains("by rlimit"), "{output}");
        eprintln!("skipped: no control groups for this user");
    }
    grouped
}

#[test]
fn deny_more_memory_than_allowed_and_say_so() {
    let place = Place::new();
    if !is_grouped(&place) {
        return;
    }
    place.write("hog.py", "b = []\nfor i in range(400):\n    b.append(b'x' * (1 << 20))\nprint('SURVIVED')\n");
    for degree in ["auto", "minimal"] {
        let minimal = "sandbox.require=[\"confine-writes\"]";
        let settings = ["sandbox.limits.memory_mb=64", minimal];
        let words = ["run", "--degree", degree, "--set", settings[0], "--set", settings[1], "--"];
        let output = place.ringfort(words.iter().chain(&["/usr/bin/python3", "hog.py"])).output();
        assert!(!output.out().contains("SURVIVED"), "{degree}: {output}");
        assert!(output.err().contains("the memory was used up") && output.err().contains("memory_mb"), "{output}");
        let outcome = last_outcome(&place);
        assert!(
            outcome.pointer("/entry/facts/memory_kills").is_some_and(|count| count.as_u64() > Some(0)),
            "{outcome}"
        );
        let held = outcome.pointer("/entry/facts/limits/0").unwrap().as_str().unwrap();
        assert!(held.starts_with("memory_mb 67108864 by cgroup-v"), "{held}");
    }
}

#[test]
fn deny_a_fork_bomb_more_than_its_share() {
    let place = Place::new();
    if !is_grouped(&place) {
        return;
    }
    // Never pauses, and each generation is in a session of its own.
    place.write(
        "bomb.sh",
        "echo x >> count\nsetsid sh bomb.sh 2>/dev/null &\nsetsid sh bomb.sh 2>/dev/null &\nsleep 3\n",
    );
    let output =
        run(&place, &["sandbox.limits.processes=24", "sandbox.limits.wall_secs=8"], &["/bin/sh", "bomb.sh"]).output();
    assert!(output.err().contains("starting a process was refused"), "{output}");
    assert!(output.err().contains("limit `processes`: 24 by cgroup-v"), "{output}");
    assert!(last_outcome(&place).pointer("/entry/facts/starts_refused").is_some());
    // Nothing of it is left.
    let before = fs::metadata(place.work.join("count")).unwrap().len();
    std::thread::park_timeout(std::time::Duration::from_millis(1200));
    assert_eq!(fs::metadata(place.work.join("count")).unwrap().len(), before, "{output}");
}

#[test]
fn no_escalation_of_limits_by_nested_runs() {
    let place = Place::new();
    if !is_grouped(&place) {
        return;
    }
    // Each nested run is a cage of its own, beside the first; together they may have no more than one.
    place.write("hold.sh", "i=0; while [ $i -lt 12 ]; do sleep 2 & i=$((i+1)); done; echo held >> held; wait\n");
    place.write("nest.sh", "for n in 1 2 3 4; do ringfort run -- /bin/sh hold.sh & done; wait\n");
    let output = run(&place, &["sandbox.limits.processes=30"], &["/bin/sh", "nest.sh"]).output();
    assert!(output.err().contains("starting a process was refused"), "{output}");
    let held = fs::read_to_string(place.work.join("held")).unwrap_or_default().lines().count();
    assert!(held <= 2, "{held} nested runs had 12 processes each within 30: {output}");
}

#[test]
fn no_escalation_of_limits_by_a_project() {
    let place = Place::new();
    if !is_grouped(&place) {
        return;
    }
    for (project, expected) in [("processes = 9000", "100"), ("processes = 50", "50"), ("cpu_percent = 30", "100")] {
        place.write("ringfort.toml", format!("[sandbox.limits]\n{project}\n"));
        let output = run(&place, &["sandbox.limits.processes=100"], &["/bin/true"]).output().exits(0);
        assert!(output.err().contains(&format!("limit `processes`: {expected} by")), "{project}: {output}");
    }
    assert!(last_outcome(&place).pointer("/entry/facts/limits").unwrap().to_string().contains("cpu_percent 30"));
}

#[test]
fn deny_limits_that_mean_nothing() {
    let place = Place::new();
    for setting in ["processes=0", "cpu_percent=0", "memory_mb=0", "cpu_percent=9000000", "threads=5", "memory_mb=-1"] {
        let output = run(&place, &[&format!("sandbox.limits.{setting}")], &["/bin/true"]).output();
        assert!(matches!(output.code(), Some(2 | 125)), "{setting}: {output}");
    }
}

/// As an ordinary user on a host that gives no control group: what a resource limit can hold is held by it, and the
/// rest is an error before anything runs.
#[test]
fn deny_limits_that_nothing_holds() {
    let place = Place::new();
    let hide = "import os, sys, ctypes\nlibc = ctypes.CDLL(None)\n\
        assert libc.unshare(0x20000) == 0 and libc.mount(b'none', b'/', None, 0x4000 | 0x40000, None) == 0\n\
        assert libc.mount(b'none', b'/sys/fs/cgroup', b'tmpfs', 0, None) == 0\nos.execv(sys.argv[1], sys.argv[1:])\n";
    let ringfort = binary();
    let start = |setting: &str| {
        let words =
            ["-c", hide, ringfort.to_str().unwrap(), "run", "--verbose", "--set", setting, "--", "/bin/echo", "ran"];
        place.program("python3", words).output()
    };
    let output = start("sandbox.limits.memory_mb=512");
    if output.err().contains("AssertionError") {
        eprintln!("skipped: this user cannot hide the control groups");
        return;
    }
    assert!(output.err().contains("limit `memory_mb`: 536870912 by rlimit"), "{output}");
    for limit in ["cpu_percent=50", "processes=50"] {
        let output = start(&format!("sandbox.limits.{limit}"));
        assert_eq!((output.code(), output.out().as_str()), (Some(125), ""), "{limit}: {output}");
        assert!(output.err().contains("cannot hold the limit") && output.err().contains("Delegate"), "{output}");
    }
}
