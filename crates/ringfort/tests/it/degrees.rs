// SPDX-License-Identifier: MIT OR Apache-2.0
//! Degrees of isolation: on lesser hosts, in containers, when more is required than there is, and after a kill.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::{Place, Program, Running, TIME_MAX, binary, until};

static LISTENER: OnceLock<TcpListener> = OnceLock::new();
/// Makes a process see a lesser host.
const HOST: &str = include_str!("../attack/host.py");
/// What the degree `minimal` keeps, as a policy.
const MINIMAL: &str = "[sandbox]\nrequire = [\"confine-writes\", \"confine-reads\", \"no-network\", \"confine-syscalls\", \
                       \"no-privilege\", \"kill-all\"]\n";
/// What must be refused in every degree, and what is refused only where there are mount namespaces.
const TRIES: &str = "cat ../../outside/secret 2>/dev/null && echo READ-OUTSIDE\n\
    echo x > ../../outside/made 2>/dev/null && echo WROTE-OUTSIDE\n\
    cat /etc/shadow 2>/dev/null | grep -q . && echo READ-SHADOW\n\
    (echo core > /proc/sys/kernel/core_pattern) 2>/dev/null && echo WROTE-KERNEL\n\
    python3 -c 'import socket, sys; socket.create_connection((\"127.0.0.1\", int(sys.argv[1])), 1)' $1 2>/dev/null && echo NETWORK\n\
    (echo x > .envrc) 2>/dev/null && echo WROTE-STARTUP\n\
    echo done\n";

fn policy(place: &Place) -> String {
    place.write(place.outside.join("minimal.toml"), MINIMAL).to_str().unwrap().to_owned()
}

/// Whether this host gives everything: what lesser hosts are made of here. Says so where it does not.
fn is_full(place: &Place) -> bool {
    let output = place.ringfort(["run", "--verbose", "--", "/bin/true"]).output();
    let full = output.err().contains("degree `full`");
    if !full {
        eprintln!("skipped: this host keeps no full cage: {}", output.err());
    }
    full
}

/// A run of `TRIES` as on a host of this kind.
fn on_host(place: &Place, kind: &str, words: &[&str]) -> Program {
    // Somebody outside listens; a connection would be made without being accepted.
    let listener = LISTENER.get_or_init(|| TcpListener::bind(("127.0.0.1", 0)).unwrap());
    let port = &listener.local_addr().unwrap().port().to_string();
    place.write(place.outside.join("secret"), "outside");
    place.write(place.work.join(".git/HEAD"), "ref: refs/heads/main\n");
    place.write(place.work.join(".envrc"), "export A=1\n");
    place.write("tries.sh", TRIES);
    let host = place.write(place.outside.join("host.py"), HOST);
    let ringfort = binary();
    let policy = policy(place);
    let start: Vec<&str> = match kind {
        "" => vec![ringfort.to_str().unwrap()],
        kind => vec!["/usr/bin/python3", host.to_str().unwrap(), kind, ringfort.to_str().unwrap()],
    };
    let run = ["run", "--verbose", "--policy", policy.as_str()];
    let words: Vec<&str> = start.iter().copied().chain(run).chain(words.iter().copied()).collect();
    place.program(words[0], words[1..].iter().chain(&["--", "/bin/sh", "tries.sh", port]))
}

/// The degree that the record tells of.
fn recorded(place: &Place, key: &str) -> serde_json::Value {
    let text = place.ringfort(["trail", "tail", "--count", "200", "--json"]).output().exits(0).out();
    let entries = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let facts: Vec<serde_json::Value> =
        entries.filter_map(|entry| entry.pointer(&format!("/entry/facts/{key}")).cloned()).collect();
    facts.last().cloned().unwrap_or_else(|| panic!("no `{key}` in {text}"))
}

/// Kinds of hosts, and the degree that is had on each.
const HOSTS: [(&str, &str); 5] = [
    ("", "full"),
    ("no-userns", "reduced"),
    ("few-rights", "reduced"),
    ("nobody", "minimal"),
    ("container", "minimal"),
];

#[test]
fn deny_the_same_on_lesser_hosts_and_say_what_is_missing() {
    if !is_full(&Place::new()) {
        return;
    }
    for (kind, degree) in HOSTS {
        let place = Place::new();
        let output = on_host(&place, kind, &[]).output().exits(0);
        let mut expected = vec!["done"];
        if degree == "minimal" {
            // The honest limit: a file inside a granted folder cannot be protected.
            expected.insert(0, "WROTE-STARTUP");
        }
        assert_eq!(output.out().lines().collect::<Vec<_>>(), expected, "{kind}: {output}");
        assert!(output.err().contains(&format!("degree `{degree}`")), "{kind}: {output}");
        assert!(degree == "full" || output.err().contains("no user namespace"), "{kind} is silent: {output}");
        assert_eq!(recorded(&place, "degree"), degree, "{kind}");
        let namespaces = recorded(&place, "namespaces");
        assert_eq!(namespaces.as_array().unwrap().is_empty(), degree == "minimal", "{kind}: {namespaces}");
        // What was changed is put back at the end.
        assert_eq!(fs::read_to_string(place.work.join(".envrc")).unwrap(), "export A=1\n", "{kind}: {output}");
    }
}

#[test]
fn deny_what_is_required_and_cannot_be_had() {
    if !is_full(&Place::new()) {
        return;
    }
    for (kind, words, starts) in [
        ("", &["--require", "full"][..], true),
        ("", &["--degree", "reduced", "--require", "reduced"], true),
        ("", &["--degree", "minimal", "--require", "minimal"], true),
        ("", &["--degree", "minimal", "--require", "kill-all,no-network"], true),
        ("no-userns", &["--require", "reduced"], true),
        ("no-userns", &["--require", "full"], false),
        ("no-userns", &["--degree", "full"], false),
        ("no-userns", &["--set", "sandbox.degree_min=full"], false),
        ("nobody", &["--require", "reduced"], false),
        ("container", &["--require", "full"], false),
        ("container", &["--require", "protect-startup"], false),
        ("", &["--degree", "minimal", "--require", "protect-startup"], false),
        ("", &["--degree", "minimal", "--require", "full"], false),
        ("", &["--degree", "reduced", "--require", "full"], false),
        ("", &["--degree", "minimal", "--set", "sandbox.degree_min=reduced"], false),
    ] {
        let place = Place::new();
        let output = on_host(&place, kind, words).output();
        assert_eq!(output.code(), Some(if starts { 0 } else { 125 }), "{kind} {words:?}: {output}");
        assert_eq!(output.out().contains("done"), starts, "{kind} {words:?}: {output}");
        if !starts {
            let err = output.err();
            assert!(err.contains("cannot") && err.contains("user namespaces"), "{kind} {words:?}: {output}");
        }
    }
    let place = Place::new();
    for words in [["--require", "strong"], ["--require", ""], ["--require", "full,"], ["--degree", "none"]] {
        let output = on_host(&place, "", &words).output();
        assert_eq!(output.code(), Some(2), "{words:?}: {output}");
    }
}

/// What the doctor says as on a host of this kind.
fn doctor(place: &Place, kind: &str) -> Vec<serde_json::Value> {
    let host = place.write(place.outside.join("host.py"), HOST);
    let ringfort = binary();
    let words: Vec<&str> = match kind {
        "" => vec![ringfort.to_str().unwrap()],
        kind => vec!["/usr/bin/python3", host.to_str().unwrap(), kind, ringfort.to_str().unwrap()],
    };
    let output = place.program(words[0], words[1..].iter().chain(&["--json", "doctor"])).output();
    assert!(matches!(output.code(), Some(0 | 1)), "{output}");
    output.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn deny_a_doctor_that_finds_everything_well_on_a_lesser_host() {
    if !is_full(&Place::new()) {
        return;
    }
    for (kind, degree) in HOSTS {
        let reports = doctor(&Place::new(), kind);
        let about = |words: &str| -> Vec<&str> {
            let of = reports.iter().filter(|one| one["message"].as_str().is_some_and(|text| text.starts_with(words)));
            of.map(|one| one["status"].as_str().unwrap()).collect()
        };
        assert!(!reports.iter().any(|one| one["message"].to_string().contains("ESCAPED")), "{kind}: {reports:#?}");
        // Each promise of the degree is tried, and what the degree does not keep is no pass.
        assert_eq!(about(&format!("{degree}: no-network holds")).first(), Some(&"pass"), "{kind}: {reports:#?}");
        let startup = about(&format!("{degree}: protect-startup"));
        assert_eq!(startup.first() == Some(&"pass"), degree != "minimal", "{kind}: {reports:#?}");
        assert_eq!(about("user namespaces do not work").len(), usize::from(degree != "full"), "{kind}: {reports:#?}");
        assert!(about("limits: ").iter().all(|status| *status != "fail"), "{kind}: {reports:#?}");
        assert_eq!(about("limits: ").len(), 2, "{kind}: {reports:#?}");
    }
}

#[test]
fn no_escalation_by_a_project_that_lowers_the_degree() {
    let place = Place::new();
    place.write("ringfort.toml", "[sandbox]\ndegree_min = \"minimal\"\n");
    let output = on_host(&place, "", &["--degree", "minimal", "--set", "sandbox.degree_min=full"]).output();
    assert_eq!(output.code(), Some(125), "{output}");
    place.write("ringfort.toml", "[sandbox]\ndegree_min = \"full\"\n");
    let output = on_host(&place, "", &["--degree", "minimal"]).output();
    assert_eq!(output.code(), Some(125), "{output}");
}

#[test]
fn inside_itself_the_supervisor_outside_decides() {
    let place = Place::new();
    let own = "ringfort run -- /bin/echo nested; echo $?\n\
        ringfort run --degree minimal -- /bin/echo ESCAPED; echo $?\n\
        ringfort run --require minimal -- /bin/echo ESCAPED; echo $?\n\
        exec 3<&-; ringfort run -- /bin/echo ESCAPED; echo $?\n\
        unset RINGFORT_BROKER; ringfort run --state /tmp/s -- /bin/echo alone; echo $?\n";
    place.write("own.sh", own);
    let path = format!("{}:/usr/bin:/bin", binary().parent().unwrap().display());
    let output = place.run(["/bin/sh", "own.sh"]).env("PATH", path).output().exits(0);
    let out = output.out();
    assert!(out.starts_with("nested\n0\n126\n126\n125\n"), "{output}");
    assert!(!out.contains("ESCAPED"), "{output}");
}

/// The children of a process.
fn children(parent: i32) -> Vec<i32> {
    let is_child = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let ppid = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1)?.parse().ok());
        ppid == Some(parent)
    };
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_child).collect()
}

fn kill(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Starts a program that leaves an orphan in a session of its own, which tells its number as it is outside.
fn with_orphan(place: &Place, words: &[&str]) -> (Running, i32) {
    // It would take its mark off if it could.
    place.write(
        "orphan.sh",
        "python3 -c 'import resource; resource.setrlimit(10, (1, 1)); open(\"unmarked\", \"w\")' 2>/dev/null\n\
         (ulimit -x 1) 2>/dev/null && echo > unmarked\necho up > beat; while :; do sleep 0.05; echo x >> beat; done\n",
    );
    place.write("start.sh", "(setsid sh orphan.sh &)\nsleep 1000\n");
    let policy = policy(place);
    let run = ["run", "--policy", policy.as_str()];
    let mut program = place.ringfort(run.iter().chain(words).chain(&["--", "/bin/sh", "start.sh"]));
    program.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let running = program.spawn();
    until(TIME_MAX, || beat(place)).expect("the orphan starts");
    let supervisor = i32::try_from(running.pid()).unwrap();
    let keeper = children(supervisor)[0];
    (running, keeper)
}

fn beat(place: &Place) -> Option<u64> {
    fs::metadata(place.work.join("beat")).ok().map(|meta| meta.len()).filter(|length| *length > 0)
}

/// Whether somebody goes on writing.
fn beats(place: &Place) -> bool {
    let before = beat(place);
    until(Duration::from_millis(1500), || (beat(place) != before).then_some(())).is_some()
}

#[test]
fn escape_by_killing_supervisor_and_keeper_is_swept_at_the_next_start() {
    for degree in ["full", "reduced", "minimal"] {
        let place = Place::new();
        if !is_full(&place) {
            continue;
        }
        let (mut running, keeper) = with_orphan(&place, &["--degree", degree]);
        let supervisor = i32::try_from(running.pid()).unwrap();
        // Both at once: neither may see the other's end.
        kill(supervisor, Signal::STOP);
        kill(keeper, Signal::KILL);
        kill(supervisor, Signal::KILL);
        running.wait(TIME_MAX);
        assert!(degree != "minimal" || !place.work.join("unmarked").exists(), "the mark was taken off");
        assert_eq!(beats(&place), degree == "minimal", "{degree}: a process namespace ends with its first process");
        let output = place.run(["/bin/true"]).output().exits(0);
        let said = output.err().contains("one process that it left was ended")
            || output.err().contains("processes that it left were ended");
        assert_eq!(said, degree == "minimal", "{degree}: {output}");
        assert!(output.err().contains("was killed"), "{degree}: {output}");
        assert!(!beats(&place), "{degree}: the orphan lives on");
        let entries = place.ringfort(["trail", "tail", "--count", "200", "--json"]).output().out();
        assert!(entries.contains("session.swept"), "{entries}");
        // Once is enough.
        let output = place.run(["/bin/true"]).output().exits(0);
        assert!(!output.err().contains("was killed"), "{degree}: {output}");
    }
}

#[test]
fn deny_sweeping_what_is_alive() {
    let place = Place::new();
    let (running, keeper) = with_orphan(&place, &["--degree", "minimal"]);
    for _ in 0..3 {
        place.run(["/bin/true"]).output().exits(0);
    }
    assert!(beats(&place), "a living session was swept");
    assert!(test_kill_process(Pid::from_raw(keeper).unwrap()).is_ok());
    drop(running);
}

/// Control groups of a process, by their name.
fn groups_of(pid: u32) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![(Path::new("/sys/fs/cgroup").to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
            if entry.file_name().to_string_lossy().starts_with(&format!("ringfort-{pid}-")) {
                found.push(entry.path());
            } else if depth < 4 {
                folders.push((entry.path(), depth + 1));
            }
        }
    }
    found
}

#[test]
fn groups_of_a_killed_supervisor_are_removed_at_the_next_start() {
    let limits = ["--set", "sandbox.limits.memory_mb=256"];
    for degree in ["auto", "minimal"] {
        let place = Place::new();
        let (mut running, keeper) = with_orphan(&place, &[&["--degree", degree], &limits[..]].concat());
        let pid = running.pid();
        if groups_of(pid).is_empty() {
            eprintln!("skipped: no control groups for this user");
            return;
        }
        let supervisor = i32::try_from(pid).unwrap();
        kill(supervisor, Signal::STOP);
        kill(keeper, Signal::KILL);
        kill(supervisor, Signal::KILL);
        running.wait(TIME_MAX);
        assert!(!groups_of(pid).is_empty(), "a killed process removes nothing");
        place.run(["/bin/true"]).output().exits(0);
        assert!(!beats(&place), "{degree}: the orphan lives on");
        let left = until(TIME_MAX, || {
            let left = groups_of(pid);
            // What was still ending then is removed by the start after that.
            if !left.is_empty() {
                place.run(["/bin/true"]).output().exits(0);
                drop(place.ringfort(["run", limits[0], limits[1], "--", "/bin/true"]).output());
            }
            groups_of(pid).is_empty().then_some(left)
        });
        assert!(left.is_some(), "{degree}: {:?}", groups_of(pid));
    }
}

#[test]
fn deny_the_network_where_sockets_are_closed_and_do_not_pretend_a_door() {
    let place = Place::new();
    let text = format!("{MINIMAL}syscalls_denied = [\"network\"]\n[egress]\ndomains = [\"a.example\"]\n");
    let policy = place.write(place.outside.join("door.toml"), &text);
    let run = ["run", "--degree", "minimal", "--policy", policy.to_str().unwrap(), "--", "env"];
    let output = place.ringfort(run).output();
    assert!(output.err().contains("there is no door in the degree `minimal`"), "{}", output.err());
    assert!(!output.out().to_lowercase().contains("_proxy="), "{}", output.out());
}
