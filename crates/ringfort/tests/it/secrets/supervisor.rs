// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: whoever started a run with a secret keeps it to itself for as long as the run takes: no other process of the
//! same user reads or traces it, no core is left of it, and nothing of the environment that was made for the program stays.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{VALUE, stored};
use crate::support::{Place, Running, binary, is_namespaced};

const VARIABLE: &str = "GIVEN_IN_THIS_TEST";
/// Promises that the degree `minimal` keeps.
const MINIMAL: &str = "[sandbox]\nrequire = [\"confine-writes\", \"confine-reads\", \"no-network\", \"confine-syscalls\", \"no-privilege\"]\n";

/// The options of a run of this degree.
fn of_degree(place: &Place, degree: &str) -> Vec<OsString> {
    let policy = place.write(place.outside.join("minimal.toml"), MINIMAL);
    ["--degree".into(), degree.into(), "--policy".into(), policy.into()].into()
}

/// A run whose program waits, and whose supervisor may leave a core; its input holds it.
fn waiting(place: &Place, options: &[OsString]) -> Running {
    // What ends the run in the end is that its input ends.
    let line = "ulimit -c \"$(ulimit -Hc)\"; exec \"$0\" \"$@\"";
    let mut words = vec!["-c".into(), line.into(), binary().into_os_string(), "run".into()];
    words.extend(options.iter().cloned());
    words.extend(["--", "sh", "-c", "echo ready; read -r line"].map(Into::into));
    let mut program = place.program("/bin/sh", words);
    program.command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = program.spawn();
    let mut first = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "ready\n");
    child
}

/// The process and everything below it but the program itself, which has the value.
fn ours(pid: u32) -> Vec<u32> {
    let name = fs::read_link(format!("/proc/{pid}/exe"))
        .or_else(|_hidden| fs::read_to_string(format!("/proc/{pid}/comm")).map(PathBuf::from));
    if !name.unwrap().to_string_lossy().trim().contains("ringfort") {
        return Vec::new();
    }
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let below = children.split_whitespace().flat_map(|child| ours(child.parse().unwrap()));
    [pid].into_iter().chain(below).collect()
}

/// What a process can write; nothing where it may not be read.
fn memory(pid: u32) -> std::io::Result<Vec<u8>> {
    let folder = Path::new("/proc").join(pid.to_string());
    let file = fs::File::open(folder.join("mem"))?;
    let mut all = Vec::new();
    for line in fs::read_to_string(folder.join("maps"))?.lines() {
        let Some((range, _)) = line.split_once(" rw") else { continue };
        let (start, end) = range.split_once('-').unwrap();
        let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        for at in (start..end).step_by(4096) {
            let mut page = [0; 4096];
            if file.read_at(&mut page, at).is_ok() {
                all.extend_from_slice(&page);
            }
        }
    }
    Ok(all)
}

fn holds(memory: &[u8], text: &str) -> bool {
    memory.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Ends the run by the end of its input.
fn ended(mut child: Running) {
    drop(child.0.stdin.take());
    child.wait(Duration::from_secs(20));
}

#[test]
fn deny_reading_a_supervisor_that_holds_a_secret() {
    let place = stored("a.b", "");
    let secret = format!("a.b={VARIABLE}");
    let line = format!("{VARIABLE}={VALUE}");
    for degree in ["auto", "minimal"] {
        let child =
            waiting(&place, &[&of_degree(&place, degree)[..], &["--secret".into(), secret.clone().into()]].concat());
        let processes = ours(child.pid());
        assert!(processes.len() >= 2, "{degree}: the supervisor and the keeper: {processes:?}");
        for pid in &processes {
            match memory(*pid) {
                // An administrator reads everything: what was made for the program is gone all the same.
                Ok(memory) => {
                    assert!(rustix::process::geteuid().is_root(), "{degree}: {pid} can be read by its user");
                    assert!(holds(&memory, "ringfort"), "{degree}: {pid}: the right memory was read");
                    assert!(!holds(&memory, &line), "{degree}: {pid} still holds the environment of the program");
                }
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{degree}: {error}"),
            }
        }
        ended(child);
    }
}

#[test]
fn deny_a_core_of_a_supervisor_that_holds_a_secret() {
    let place = stored("a.b", "");
    let crashed = |options: &[OsString]| {
        let mut child = waiting(&place, options);
        kill_process(Pid::from_child(&child.0), Signal::ILL).unwrap();
        child.wait(Duration::from_secs(20))
    };
    let with = crashed(&["--secret".into(), "a.b".into()]);
    assert!(with.signal().is_some() && !with.core_dumped(), "{with}");
    if !crashed(&[]).core_dumped() {
        eprintln!("skipped: core dumps go nowhere here, so that none was seen proves nothing");
    }
}

/// The supervisor is closed to others, and everything that it needs `/proc` and tracing for works all the same.
#[test]
fn a_closed_supervisor_makes_every_kind_of_cage() {
    let place = stored("a.b", "");
    let full = is_namespaced(&place);
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    for options in [
        of_degree(&place, "auto"),
        of_degree(&place, "minimal"),
        words(&["--trace"]),
        words(&["--runtime", "bubblewrap"]),
        words(&["--cow"]),
    ] {
        if options.contains(&"bubblewrap".into()) && !full {
            continue;
        }
        let whole = [
            words(&["run", "--secret", "a.b=B"]),
            options.clone(),
            words(&["--", "sh", "-c", "echo ${#B}; ls >/dev/null"]),
        ];
        let output = place.ringfort(whole.concat()).output();
        let expected = VALUE.len().to_string();
        assert_eq!((output.code(), output.out().trim()), (Some(0), expected.as_str()), "{options:?} {output}");
    }
}
