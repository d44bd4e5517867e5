// SPDX-License-Identifier: MIT OR Apache-2.0
//! The escape suite proves something: its attempts succeed where nothing holds them, and a cage alone, without a
//! supervisor, stops them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::process::{Command, Stdio};

use ringfort_core::clock::Timestamp;
use ringfort_core::digest::Digest;
use ringfort_core::obligation::Obligations;
use ringfort_core::permit::Permit;
use ringfort_sandbox::achieved::Degree;
use ringfort_sandbox::launch::{Spawn, launch};
use ringfort_sandbox::profile::{DegreeRequest, Profile, Staged};
use ringfort_sandbox::startup::{self, Enforcement};
use ringfort_testkit::escape::{LISTS, Offers, Verdict, World, attempts, documented, escaped, run_suite};
use ringfort_testkit::source::workspace_root;

/// Fewest attempts.
const ATTEMPTS_MIN: usize = 160;
/// Least share of the attempts that succeed outside every cage, in percent.
const OUTSIDE_PERCENT_MIN: usize = 60;

#[test]
fn attempts_are_numbered_and_say_what_they_try() {
    let all = attempts().unwrap();
    assert!(all.len() >= ATTEMPTS_MIN, "only {}", all.len());
    assert!(all.is_sorted_by(|a, b| a.id < b.id), "numbers ascend and are there once");
    assert!(all.iter().all(|attempt| attempt.id.len() == 4 && attempt.what.len() > 5));
}

#[expect(clippy::disallowed_methods, reason = "this is what no cage means")]
fn uncaged(world: &World, words: &[String]) -> std::io::Result<Vec<u8>> {
    let left_open = world.outside.join("left-open");
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg("exec 5<>\"$0\" 6<\"$1\"; shift; exec \"$@\"").arg(left_open).arg(&world.outside);
    shell.arg(world.attacker()).args(words).current_dir(&world.work).env("HOME", &world.home);
    shell.envs(world.caller_variables()).env("RINGFORT_POLICY", "/nonexistent");
    let output = shell.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    Ok(output.stdout)
}

#[test]
fn escape_attempts_succeed_outside() {
    let offers = Offers { startup: true, broker: false };
    let all = attempts().unwrap();
    let verdicts = run_suite(offers, 1, &uncaged).unwrap();
    let mut surprising = Vec::new();
    for attempt in all.iter().filter(|attempt| verdicts.contains_key(&attempt.id)) {
        if let Verdict::Stopped(why) = &verdicts[&attempt.id] {
            println!("not here: {} {} (needs {}): {why}", attempt.id, attempt.what, attempt.needs);
            if attempt.needs.is_empty() {
                surprising.push(format!("{} {}: {why}", attempt.id, attempt.what));
            }
        }
    }
    let count = verdicts.values().filter(|verdict| matches!(verdict, Verdict::Escaped(_))).count();
    println!("{count} of {} attempts succeed outside", verdicts.len());
    assert!(surprising.is_empty(), "they need nothing, and prove nothing: {surprising:#?}");
    assert!(count * 100 >= verdicts.len() * OUTSIDE_PERCENT_MIN, "{count} of {}", verdicts.len());
}

/// Starts the attacker in a cage of this degree, as a supervisor would, and settles what it left.
fn caged(degree: DegreeRequest, world: &World, words: &[String]) -> io::Result<Vec<u8>> {
    let mut profile = Profile::new(world.work.clone(), world.home.clone());
    profile.degree = degree;
    profile.environment = vec![("PATH".into(), "/usr/bin:/bin".into()), ("HOME".into(), world.home.clone().into())];
    let scratch = world.root.join("scratch");
    std::fs::create_dir(&scratch)?;
    let plan = startup::plan(&world.work, &scratch).map_err(io::Error::other)?;
    profile.protected = plan.protected.clone();
    profile.staged =
        plan.staged.iter().map(|file| Staged { path: file.path.clone(), scratch: file.scratch.clone() }).collect();
    let (mut output, stdout) = io::pipe()?;
    let null = || File::options().read(true).write(true).open("/dev/null");
    let spawn = Spawn {
        program: world.attacker(),
        argv: ["attacker"].into_iter().map(OsString::from).chain(words.iter().map(OsString::from)).collect(),
        stdin: null()?.into(),
        stdout: stdout.into(),
        stderr: null()?.into(),
        terminal: None,
        broker: None,
    };
    let request = Digest::of(b"an attack");
    #[expect(clippy::disallowed_methods, reason = "there is no pipeline here; the permit itself is tested in core")]
    let permit = Permit::issue(request, Obligations::default(), Timestamp(0));
    let mut cage = launch(permit, &request, Timestamp(1), &profile, spawn).map_err(io::Error::other)?;
    let mut said = Vec::new();
    output.read_to_end(&mut said)?;
    cage.wait();
    let enforcement =
        if cage.achieved().degree == Degree::Minimal { Enforcement::Unenforced } else { Enforcement::Mounted };
    let settled = startup::settle(&plan, enforcement, &world.root.join("quarantine"));
    if enforcement == Enforcement::Mounted && !settled.faults.is_empty() {
        return Err(io::Error::other(format!("{:?}", settled.faults)));
    }
    Ok(said)
}

const STARTUP_ONLY: Offers = Offers { startup: true, broker: false };
/// Attempts in one run.
const TOGETHER: usize = 32;

fn shown(verdicts: &BTreeMap<String, Verdict>, ids: impl IntoIterator<Item = String>) -> Vec<String> {
    ids.into_iter().map(|id| format!("{id}: {:?}", verdicts.get(&id))).collect()
}

#[test]
fn escape_attempts_are_stopped_by_a_cage_alone() {
    let runner = |world: &World, words: &[String]| caged(DegreeRequest::Auto, world, words);
    let verdicts = run_suite(STARTUP_ONLY, TOGETHER, &runner).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    // A host without user namespaces has no full cage: the list of that degree holds.
    let features = ringfort_sandbox::probe::probe();
    let full = features.user_namespaces && features.mounts;
    let open = if full { BTreeMap::new() } else { documented("minimal", is_root).unwrap() };
    let out: BTreeSet<String> = escaped(&verdicts).into_iter().map(str::to_owned).collect();
    let expected: BTreeSet<String> = open.into_keys().map(str::to_owned).collect();
    assert_eq!(out, expected, "{:#?}", shown(&verdicts, out.difference(&expected).cloned()));
}

#[test]
fn escape_attempts_that_a_minimal_cage_alone_does_not_stop_are_documented() {
    let runner = |world: &World, words: &[String]| caged(DegreeRequest::Minimal, world, words);
    let verdicts = run_suite(STARTUP_ONLY, TOGETHER, &runner).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let expected: BTreeSet<String> = documented("minimal", is_root).unwrap().into_keys().map(str::to_owned).collect();
    let out: BTreeSet<String> = escaped(&verdicts).into_iter().map(str::to_owned).collect();
    let differing = out.symmetric_difference(&expected).cloned();
    assert_eq!(out, expected, "{:#?}", shown(&verdicts, differing));
}

#[test]
fn the_threat_model_names_what_each_degree_does_not_stop() {
    let text = std::fs::read_to_string(workspace_root().join("docs/THREAT_MODEL.md")).unwrap();
    for (degree, list) in LISTS {
        let heading = format!(" `{degree}` does not stop\n");
        let section = text.split(&heading).nth(1).unwrap_or("").split("\n## ").next().unwrap_or("");
        let rows = section.lines().filter(|line| line.starts_with("| E"));
        let mut told: BTreeMap<&str, &str> = BTreeMap::new();
        for cells in rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>()) {
            told.extend(cells[0].split(' ').map(|id| (id, cells[2])));
        }
        let listed = list.lines().filter(|line| line.starts_with('E')).map(|line| {
            let words: Vec<&str> = line.splitn(3, ' ').collect();
            (words[0], words[1])
        });
        assert_eq!(told, listed.collect(), "{degree}");
        let all = attempts().unwrap();
        assert!(told.keys().all(|id| all.iter().any(|attempt| attempt.id == **id)), "{degree}: an unknown number");
    }
}
