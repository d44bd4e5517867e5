// SPDX-License-Identifier: MIT OR Apache-2.0
//! `run --trace`: the rulings hold for what a program starts later, however it starts it.

use std::fs;

use crate::support::{Output, Place, binary, is_namespaced};

/// Deletes a folder and reads a page as an agent's script would, by a child of a child, under another name.
const SCRIPT: &str = r#"
import os, subprocess, sys
def say(what, status): print(what, "ran" if status == 0 else "did not run", flush=True)
say("harmless", subprocess.call(["/bin/echo", "hello"]))
say("delete", subprocess.call(["rm", "-rf", "precious"]))
say("shell", subprocess.call(["sh", "-c", "rm -rf precious; true"]) if not os.path.exists("precious") else 1)
say("renamed", subprocess.call(["ls", "-rf", "precious"], executable="/bin/rm"))
subprocess.call(["setsid", "-f", "rm", "-rf", "precious"])
print("precious is", "there" if os.path.exists("precious/file") else "gone", flush=True)
"#;

fn place() -> Place {
    let place = Place::new();
    fs::create_dir(place.work.join("precious")).unwrap();
    place.write("precious/file", "kept");
    place.write("agent.py", SCRIPT);
    place
}

fn run(place: &Place, words: &[&str]) -> Output {
    let path = format!("{}:/usr/bin:/bin", binary().parent().unwrap().display());
    place.ringfort(["run"].iter().chain(words)).env("PATH", path).output()
}

fn trail(place: &Place) -> Vec<serde_json::Value> {
    let text = place.ringfort(["trail", "tail", "--count", "500", "--json"]).output().exits(0).out();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The entries of programs that were started, with decision and action.
fn starts(place: &Place) -> Vec<(String, String)> {
    let text = |entry: &serde_json::Value, name: &str| {
        entry.pointer(&format!("/entry/{name}")).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    };
    let entries = trail(place);
    let starts = entries.iter().filter(|entry| text(entry, "door") == "start");
    starts.map(|entry| (text(entry, "decision"), text(entry, "action"))).collect()
}

#[test]
fn deny_what_a_script_starts_later_and_only_when_traced() {
    let traced = place();
    if !is_namespaced(&traced) {
        return;
    }
    let words = ["/usr/bin/python3", "agent.py"];
    let output = run(&traced, &["--trace", "--", words[0], words[1]]);
    let out = output.out();
    assert!(out.contains("harmless ran") && out.contains("hello"), "{output}");
    assert!(out.contains("delete did not run") && out.contains("renamed did not run"), "{output}");
    assert!(out.contains("precious is there"), "{output}");
    assert_eq!(fs::read_to_string(traced.work.join("precious/file")).unwrap(), "kept");
    assert!(output.err().contains("not started: rm -rf precious"), "{output}");
    let starts = starts(&traced);
    assert!(
        starts.iter().any(|(decision, action)| decision == "allow" && action.contains("/bin/echo hello")),
        "{starts:?}"
    );
    assert!(starts.iter().any(|(decision, action)| decision == "deny" && action.contains("rm -rf")), "{starts:?}");

    let free = place();
    let output = run(&free, &["--", words[0], words[1]]);
    assert!(output.out().contains("precious is gone"), "without a trace the cage alone bounds it: {output}");
    assert!(self::starts(&free).is_empty());
}

#[test]
fn deny_by_a_policy_of_ones_own() {
    let place = place();
    if !is_namespaced(&place) {
        return;
    }
    place.write("fetch.py", "import subprocess\nprint(subprocess.call(['curl', '--version']), flush=True)\nprint(subprocess.call(['/bin/true']))\n");
    let rule = "autonomy.deny=[\"curl\"]";
    let output = run(&place, &["--set", rule, "--set", "sandbox.trace=true", "--", "/usr/bin/python3", "fetch.py"]);
    assert_eq!(output.out(), "-9\n0\n", "{output}");
    let output = run(&place, &["--set", rule, "--", "/usr/bin/python3", "fetch.py"]);
    assert!(output.out().starts_with("curl ") && output.out().ends_with("0\n0\n"), "{output}");
}

#[test]
fn ordinary_work_goes_on_under_a_trace() {
    let place = Place::new();
    if !is_namespaced(&place) {
        return;
    }
    place.write("m.c", "#include <stdio.h>\nint main(void) { puts(\"built\"); return 0; }\n");
    place.write("Makefile", "m: m.c\n\tcc -O1 -o m m.c\n");
    let script = "make -s && ./m && git init -q . && git add m.c && git -c user.name=a -c user.email=a@b commit -qm first \
        && git log --format=%s && sh -c 'echo $(seq 3 | sort -r | head -1)' & wait";
    let output = run(&place, &["--trace", "--", "/bin/sh", "-c", script]);
    assert_eq!(output.out(), "built\nfirst\n3\n", "{output}");
    assert!(!output.err().contains("not started"), "{output}");
}

#[test]
fn deny_in_a_nested_run_as_well() {
    let place = place();
    if !is_namespaced(&place) {
        return;
    }
    place.write(
        "nested.sh",
        "ringfort run -- /usr/bin/python3 agent.py; echo $?; ringfort run --trace -- /bin/true; echo $?",
    );
    let output = run(&place, &["--trace", "--", "/bin/sh", "nested.sh"]);
    let out = output.out();
    assert!(out.contains("delete did not run") && out.contains("precious is there"), "{output}");
    // Whether there is a trace is decided outside: the option is refused, here before the client has run at all.
    assert!(out.ends_with("0\n137\n"), "{output}");
}

#[test]
fn deny_calls_of_a_group_that_the_policy_closes() {
    let place = Place::new();
    if !is_namespaced(&place) {
        return;
    }
    let socket = "import socket\ntry:\n    socket.socket(socket.AF_UNIX)\n    print('opened')\nexcept PermissionError:\n    print('refused')\n";
    place.write("opens.py", socket);
    let words = ["/usr/bin/python3", "opens.py"];
    assert_eq!(run(&place, &["--", words[0], words[1]]).exits(0).out(), "opened\n");
    let closed = "sandbox.syscalls_denied=[\"network\"]";
    assert_eq!(run(&place, &["--set", closed, "--", words[0], words[1]]).exits(0).out(), "refused\n");
    for wrong in [
        "sandbox.syscalls_denied=[\"files\"]",
        "sandbox.syscalls_allowed=[\"network\"]",
        "sandbox.syscalls_allowed=[\"mount\"]",
    ] {
        let output = run(&place, &["--set", wrong, "--", "/bin/true"]);
        assert_eq!(output.code(), Some(2), "{wrong}: {output}");
    }
    // A debugger is there when a person says so, and inside the cage only.
    if std::path::Path::new("/usr/bin/strace").exists() {
        let strace = ["/usr/bin/strace", "-o", "/dev/null", "/bin/echo", "traced"];
        let refused = run(&place, &[&["--"], &strace[..]].concat());
        assert!(!refused.out().contains("traced\n"), "{refused}");
        let words = [&["--set", "sandbox.syscalls_allowed=[\"debug\"]", "--"], &strace[..]].concat();
        assert_eq!(run(&place, &words).exits(0).out(), "traced\n");
    }
}
