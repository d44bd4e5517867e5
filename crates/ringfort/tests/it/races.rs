// SPDX-License-Identifier: MIT OR Apache-2.0
//! Races are lost by the attacker: against what is read, written, protected, copied and moved, inside and beside.
//!
//! One cage races in a workspace while further sessions start, work and end in it. Whatever a session copies, judges or
//! puts back may be swapped under it. Afterwards the judge of the escape suite looks.
//! `RINGFORT_SOAK_SECONDS` is the length of each race.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use ringfort_testkit::escape::World;

use crate::support::{Place, Program, Running, binary, is_namespaced, program_in};

/// Length of each race in the short form. Seconds.
const RACE_SECONDS: u64 = 5;
/// Promises that the degree `minimal` keeps.
const MINIMAL: &str = "[sandbox]\nrequire = [\"confine-writes\", \"confine-reads\", \"no-network\", \"confine-syscalls\", \"no-privilege\"]\n";
/// What a session beside does: reads what may have been swapped, writes what is staged, makes what is judged. It changes
/// no settings that were there before: that takes the other session's cover away, see `covers`.
const BESIDE: &str = "cat .git/config .git/hooks/pre-commit .mcp.json sub/deep/.envrc below/.git/config below/.envrc \
    below/.vscode/tasks.json .git/config.worktree 2>/dev/null
printf '[user]\\n\\tname = a\\n' >>below/.git/config
mkdir -p made; echo x >made/.envrc; mv made/.envrc below/.envrc 2>/dev/null; true\n";

#[expect(clippy::disallowed_methods, reason = "the long form is asked for by the script")]
fn race_seconds() -> u64 {
    std::env::var("RINGFORT_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(RACE_SECONDS)
}

fn ringfort(world: &World, degree: &str, words: &[&str]) -> Program {
    let policy = world.root.join("policy.toml");
    std::fs::write(&policy, if degree == "minimal" { MINIMAL } else { "" }).unwrap();
    let options = ["run", "--policy", policy.to_str().unwrap(), "--degree", degree, "--"];
    program_in(binary(), options.iter().chain(words), &world.work, &world.home)
}

fn start(mut program: Program) -> Running {
    program.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    program.spawn()
}

/// Whether further sessions work in the workspace meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crowd {
    Alone,
    Others,
}

/// Steps of the racer, and how many sessions ran beside it.
fn race(kind: &str, degree: &str, crowd: Crowd) -> (String, usize) {
    let mut world = World::new().unwrap();
    std::fs::write(world.work.join("beside.sh"), BESIDE).unwrap();
    let seconds = race_seconds().to_string();
    let mut racer = start(ringfort(&world, degree, &["./attacker", "race", kind, &seconds, "scene"]));
    let mut pipe = racer.0.stdout.take().unwrap();
    let said = std::thread::spawn(move || {
        let mut text = Vec::new();
        pipe.read_to_end(&mut text).unwrap();
        text
    });
    let (mut all, mut sessions) = (Vec::new(), 0);
    while racer.0.try_wait().unwrap().is_none() {
        if crowd == Crowd::Alone {
            std::thread::park_timeout(Duration::from_millis(20));
            continue;
        }
        // It may fail to start while its ground is moved; it must not hang, and it must not do harm.
        let beside = ringfort(&world, degree, &["/bin/sh", "beside.sh", &sessions.to_string()]).output();
        all.extend([beside.stdout, beside.stderr].concat());
        sessions += 1;
    }
    let status = racer.wait(Duration::from_secs(20));
    let said = said.join().unwrap();
    let steps = String::from_utf8_lossy(&said).lines().last().unwrap_or("").to_owned();
    all.extend(said);
    // New start-up files only where it was alone: what one session makes of another's is documented.
    let classes = if crowd == Crowd::Alone { BTreeSet::from(["start-up files"]) } else { BTreeSet::new() };
    let mut effects = world.effects(&all, &classes).unwrap();
    if degree == "minimal" {
        // Nothing protects them there.
        effects.retain(|effect| {
            !effect.contains(&world.work.display().to_string()) && !effect.contains("settings of git")
        });
    }
    assert!(effects.is_empty(), "{kind} in {degree}: {effects:#?}\n{}", String::from_utf8_lossy(&all));
    assert_eq!(status.code(), Some(0), "the racer itself ends well");
    assert!(
        (sessions > 1 || crowd == Crowd::Alone) && steps.ends_with("steps"),
        "no race: {sessions} sessions, `{steps}`"
    );
    (steps, sessions)
}

fn races(kind: &str) {
    let full = [("full", Crowd::Alone), ("full", Crowd::Others)];
    let ways = if is_namespaced(&Place::new()) { full.as_slice() } else { &[] };
    for (degree, crowd) in ways.iter().chain(&[("minimal", Crowd::Others)]) {
        let (steps, sessions) = race(kind, degree, *crowd);
        eprintln!("{kind} in {degree}: {steps}, {sessions} sessions beside, no win");
    }
}

#[test]
fn escape_by_racing_with_renames() {
    races("rename");
}

#[test]
fn escape_by_racing_with_links() {
    races("symlink");
}

#[test]
fn escape_by_racing_with_second_names() {
    races("hardlink");
}

#[test]
fn escape_by_racing_with_mounts() {
    races("mount");
}
