// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shared escape suite against the real binary: zero escapes in full mode, and elsewhere exactly what is documented.
//!
//! In: the attempts, the world and the judge of the testkit. Out: a failure that names what escaped, or what is stopped
//! by now although the threat model says that it is not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};

use ringfort_testkit::escape::{Offers, Verdict, World, attempts, documented, escaped, run_suite};

use crate::support::{Place, binary, is_namespaced, skips_are_errors};

/// Promises that the degree `minimal` keeps.
const MINIMAL: &str = "[sandbox]\nrequire = [\"confine-writes\", \"confine-reads\", \"no-network\", \"confine-syscalls\", \"no-privilege\"]\n";
/// The image that `scripts/engine.sh` makes.
const IMAGE: &str = "[runtime]\nkind = \"docker\"\n[runtime.docker]\nimage = \"ringfort-test:1\"\n";
/// Attempts in one run.
const TOGETHER: usize = 32;

/// A way to run the attacker.
struct Setup {
    options: &'static [&'static str],
    policy: &'static str,
    engine: Option<std::ffi::OsString>,
    offers: Offers,
    /// The list of what escapes.
    list: Option<&'static str>,
}

const NATIVE: Offers = Offers { startup: true, broker: true };

impl Setup {
    fn native(options: &'static [&'static str], list: Option<&'static str>) -> Self {
        let policy = if list == Some("minimal") { MINIMAL } else { "" };
        Self { options, policy, engine: None, offers: NATIVE, list }
    }

    /// `ringfort run` with these options, from a caller that leaves files open and has secrets in its environment.
    #[expect(clippy::disallowed_methods, reason = "a test starts the binary as a user does")]
    fn run(&self, world: &World, words: &[String]) -> std::io::Result<Vec<u8>> {
        let policy = world.root.join("policy.toml");
        std::fs::write(&policy, self.policy)?;
        let mut shell = Command::new("/bin/sh");
        let left_open = world.outside.join("left-open");
        shell.arg("-c").arg("exec 5<>\"$0\" 6<\"$1\"; shift; exec \"$@\"").arg(left_open).arg(&world.outside);
        shell.arg(binary()).arg("run").arg("--policy").arg(&policy).args(self.options).arg("--");
        // Relative: a container has the workspace at another path.
        let words = words.iter().map(|word| if Path::new(word) == world.scene() { "scene" } else { word });
        shell.arg("./attacker").args(words).current_dir(&world.work);
        shell.env_clear().env("HOME", &world.home).env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
        shell.envs(world.caller_variables()).stdin(Stdio::null());
        if let Some(engine) = &self.engine {
            shell.env("DOCKER_HOST", engine);
        }
        let output = shell.output()?;
        Ok([output.stdout, output.stderr].concat())
    }

    /// What escapes is what is documented, no more and no less.
    #[track_caller]
    fn check(&self) {
        let verdicts = run_suite(self.offers, TOGETHER, &|world: &World, words: &[String]| self.run(world, words));
        let verdicts = verdicts.unwrap();
        if self.offers == NATIVE {
            assert_eq!(verdicts.len(), attempts().unwrap().len());
        }
        let is_root = rustix::process::geteuid().is_root();
        let list = self.list.map(|name| documented(name, is_root).unwrap()).unwrap_or_default();
        let documented: BTreeSet<&str> = list.into_keys().collect();
        let out = escaped(&verdicts);
        let more: BTreeSet<&str> = out.difference(&documented).copied().collect();
        assert!(more.is_empty(), "escaped, and nobody says so: {:#?}", lines(&verdicts, &more));
        let fewer: BTreeSet<&str> = documented.difference(&out).copied().collect();
        assert!(fewer.is_empty(), "stopped by now; document it: {:#?}", lines(&verdicts, &fewer));
    }
}

fn lines(verdicts: &BTreeMap<String, Verdict>, ids: &BTreeSet<&str>) -> Vec<String> {
    let all = attempts().unwrap();
    let what = |id: &str| all.iter().find(|attempt| attempt.id == id).map_or("", |attempt| &attempt.what).to_owned();
    ids.iter().map(|id| format!("{id} {}: {:?}", what(id), verdicts.get(*id))).collect()
}

#[test]
fn escape_attempts_are_stopped_in_the_default_cage() {
    if is_namespaced(&Place::new()) {
        Setup::native(&["--require", "full"], None).check();
    }
}

#[test]
fn escape_attempts_are_stopped_in_a_cage_with_a_door() {
    if is_namespaced(&Place::new()) {
        Setup::native(&["--require", "full", "--network", "door"], None).check();
    }
}

#[test]
fn escape_attempts_are_stopped_in_a_traced_cage() {
    if is_namespaced(&Place::new()) {
        Setup::native(&["--require", "full", "--trace"], None).check();
    }
}

#[test]
fn escape_attempts_are_stopped_in_a_copy_on_write_cage() {
    if is_namespaced(&Place::new()) {
        // It has no nested runs.
        let offers = Offers { startup: true, broker: false };
        Setup { offers, ..Setup::native(&["--require", "full", "--cow"], None) }.check();
    }
}

#[test]
fn escape_attempts_are_stopped_in_the_reduced_cage() {
    if is_namespaced(&Place::new()) {
        Setup::native(&["--degree", "reduced"], Some("reduced")).check();
    }
}

#[test]
fn escape_attempts_that_minimal_does_not_stop_are_the_documented_ones() {
    Setup::native(&["--degree", "minimal"], Some("minimal")).check();
}

#[test]
fn escape_attempts_that_minimal_with_a_door_does_not_stop_are_the_same() {
    Setup::native(&["--degree", "minimal", "--network", "door"], Some("minimal")).check();
}

#[test]
fn escape_attempts_are_stopped_in_bubblewrap() {
    if !is_namespaced(&Place::new()) || !Path::new("/usr/bin/bwrap").exists() {
        assert!(!skips_are_errors() || Path::new("/usr/bin/bwrap").exists(), "bubblewrap is not installed");
        return;
    }
    let offers = Offers { startup: true, broker: true };
    let options = &["--runtime", "bubblewrap"];
    Setup { options, policy: "", engine: None, offers, list: Some("bubblewrap") }.check();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test script says where the engine is")]
fn escape_attempts_are_stopped_in_a_container() {
    let Some(engine) = std::env::var_os("RINGFORT_TEST_DOCKER_HOST").filter(|told| told != "skip") else {
        eprintln!("skipped: RINGFORT_TEST_DOCKER_HOST names no engine");
        return;
    };
    let offers = Offers { startup: true, broker: false };
    let options = &["--runtime", "docker"];
    Setup { options, policy: IMAGE, engine: Some(engine), offers, list: Some("docker") }.check();
}
