// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shared escape suite against the real binary: zero escapes in full mode, and in lesser degrees exactly what is
//! documented.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use ringfort_testkit::escape::{Offers, Verdict, World, attempts, documented, escaped, run_suite};

use crate::support::{Place, binary, is_namespaced};

/// Promises that the degree `minimal` keeps.
const MINIMAL: &str = "[sandbox]\nrequire = [\"confine-writes\", \"confine-reads\", \"no-network\", \"confine-syscalls\", \"no-privilege\"]\n";
const OFFERS: Offers = Offers { startup: true, broker: true };
/// Attempts in one run.
const TOGETHER: usize = 32;

/// `ringfort run` with these options, from a caller that leaves files open and has secrets in its environment.
#[expect(clippy::disallowed_methods, reason = "a test starts the binary as a user does")]
fn caged(world: &World, options: &[&str], words: &[String]) -> std::io::Result<Vec<u8>> {
    let policy = world.root.join("minimal.toml");
    std::fs::write(&policy, MINIMAL)?;
    let mut shell = Command::new("/bin/sh");
    shell
        .arg("-c")
        .arg("exec 5<>\"$0\" 6<\"$1\"; shift; exec \"$@\"")
        .arg(world.outside.join("left-open"))
        .arg(&world.outside);
    shell.arg(binary()).arg("run");
    if options.contains(&"minimal") {
        shell.arg("--policy").arg(&policy);
    }
    shell.args(options).arg("--").arg(world.attacker()).args(words).current_dir(&world.work);
    shell.env_clear().env("HOME", &world.home).env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
    for name in ["AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"] {
        shell.env(name, world.secret("caller"));
    }
    let harmless = [
        ("LD_LIBRARY_PATH", "/nonexistent"),
        ("BASH_ENV", "/dev/null"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("SSH_AUTH_SOCK", "/nonexistent"),
    ];
    shell.envs(harmless).stdin(Stdio::null());
    let output = shell.output()?;
    let mut all = output.stdout;
    // What it says on the other stream is for a person, who may be shown the names of what is kept.
    all.extend_from_slice(&output.stderr);
    Ok(all)
}

fn lines(verdicts: &BTreeMap<String, Verdict>, ids: &BTreeSet<&str>) -> Vec<String> {
    let all = attempts().unwrap();
    let what = |id: &str| all.iter().find(|attempt| attempt.id == id).map_or("", |attempt| &attempt.what).to_owned();
    ids.iter().map(|id| format!("{id} {}: {:?}", what(id), verdicts.get(*id))).collect()
}

#[test]
fn escape_attempts_are_stopped_in_the_default_cage() {
    if !is_namespaced(&Place::new()) {
        return;
    }
    let verdicts = run_suite(OFFERS, TOGETHER, &|world: &World, words: &[String]| caged(world, &[], words)).unwrap();
    let out = escaped(&verdicts);
    assert_eq!(verdicts.len(), attempts().unwrap().len());
    assert!(out.is_empty(), "escaped: {:#?}", lines(&verdicts, &out));
}

#[test]
fn escape_attempts_that_minimal_does_not_stop_are_the_documented_ones() {
    let runner = |world: &World, words: &[String]| caged(world, &["--degree", "minimal"], words);
    let verdicts = run_suite(OFFERS, TOGETHER, &runner).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let documented: BTreeSet<&str> = documented("minimal", is_root).unwrap().into_keys().collect();
    let out = escaped(&verdicts);
    let more: BTreeSet<&str> = out.difference(&documented).copied().collect();
    assert!(more.is_empty(), "escaped, and nobody says so: {:#?}", lines(&verdicts, &more));
    let fewer: BTreeSet<&str> = documented.difference(&out).copied().collect();
    assert!(fewer.is_empty(), "stopped by now; document it: {:#?}", lines(&verdicts, &fewer));
}
