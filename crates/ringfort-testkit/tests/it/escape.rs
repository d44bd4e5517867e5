// SPDX-License-Identifier: MIT OR Apache-2.0
//! The escape suite proves something: its attempts succeed where nothing holds them.

use std::process::{Command, Stdio};

use ringfort_testkit::escape::{Offers, Verdict, World, attempts, run_suite};

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
    for name in ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"] {
        shell.env(name, world.secret("caller"));
    }
    let harmless = [
        ("LD_LIBRARY_PATH", "/nonexistent"),
        ("BASH_ENV", "/dev/null"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("SSH_AUTH_SOCK", "/nonexistent"),
        ("RINGFORT_POLICY", "/nonexistent"),
    ];
    let output = shell.envs(harmless).stdin(Stdio::null()).stderr(Stdio::null()).output()?;
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
