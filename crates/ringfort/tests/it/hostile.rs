// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: what a hostile caller or program does with the ends of pipes, files that wait, sockets and the terminal
//! turns no denial into something else, and stops nobody from answering or ending.
//!
//! In: such callers and programs. Out: statuses, what the terminal showed, what the supervisor spent.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use crate::pty::Pty;
use crate::support::{Place, is_namespaced, until};

/// Where a question ends.
const QUESTION: &str = "[N] no: ";
/// What ends a string that a program has left open on the terminal.
const STRING_END: &str = "\u{18}\u{1b}\\";

/// The writing end of a pipe that nobody reads.
fn unread() -> Stdio {
    let (read, write) = std::io::pipe().unwrap();
    drop(read);
    Stdio::from(write)
}

#[test]
fn deny_reads_as_allowed_to_nobody_who_has_closed_the_pipe() {
    let place = Place::new();
    for words in [&["check", "--", "rm -rf /"][..], &["check", "--json", "--", "rm -rf /"], &["trail", "verify"]] {
        place.run(["true"]).output().exits(0);
        let mut program = place.ringfort(words);
        program.command.stdin(Stdio::null()).stdout(unread()).stderr(Stdio::null());
        let status = program.spawn().wait(Duration::from_secs(60));
        assert_eq!(status.code(), Some(3), "{words:?}: no answer is a failure");
    }
    let mut program = place.run(["rm -rf /"]);
    program.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(unread());
    assert_eq!(program.spawn().wait(Duration::from_secs(60)).code(), Some(126), "denied, whoever reads it");
}

#[test]
fn deny_waiting_for_files_that_never_end() {
    let place = Place::new();
    let ran = place.run(["cat", "/proc/kmsg"]).time_max(Duration::from_secs(30)).output();
    assert_ne!(ran.code(), Some(0), "{ran}");
}

#[test]
fn a_question_is_readable_whatever_the_program_has_left_open() {
    let place = Place::new();
    // SOS, APC, OSC and DCS strings swallow what follows; so do a concealing attribute and a short scrolling region.
    let script = "printf '\\033[8m\\033[24;24r\\033X'; rf=$HOME/.local/bin/ringfort; [ -x \"$rf\" ] || rf=$(command -v ringfort)\n\
                  \"$rf\" run -- git push --force origin main; echo status-$?-\n";
    place.write("agent.sh", script);
    let mut pty = Pty::start(&place.run(["sh", "agent.sh"]));
    let shown = pty.wait_for(QUESTION);
    let before = shown.split("a person's approval").next().unwrap();
    let opened = before.rfind("\u{1b}X").expect("the string was opened");
    let rest = &before[opened + 2..];
    for reset in [STRING_END, "\u{1b}[!p", "\u{1b}[0m", "\u{1b}[r"] {
        assert!(rest.contains(reset), "`{}` is missing: {}", reset.escape_debug(), rest.escape_debug());
    }
    pty.send("n\r");
    pty.wait_for("status-126-");
    pty.ended();
}

#[test]
fn no_escalation_by_a_policy_file_in_the_workspace() {
    let place = Place::new();
    if !is_namespaced(&place) {
        return;
    }
    let text = "[autonomy]\nask = \"medium\"\n";
    let file = place.write("conf/pol.toml", text);
    place.write("agent.sh", "echo '[autonomy]' > conf/pol.toml; rm -f conf/pol.toml; mv conf away; echo done\n");
    let words = ["run", "--policy", "conf/pol.toml", "--", "sh", "agent.sh"];
    let ran = place.ringfort(words).output().exits(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "{ran}");
    let ran = place.run(["sh", "agent.sh"]).env("RINGFORT_POLICY", "conf/pol.toml").output().exits(0);
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "{ran}");
    // Where it cannot be protected, nothing starts; nor through a link that could be turned.
    let minimal = ["run", "--degree", "minimal", "--policy", "conf/pol.toml", "--", "/bin/true"];
    place.ringfort(minimal).output().exits(125);
    std::os::unix::fs::symlink(&file, place.work.join("link.toml")).unwrap();
    place.ringfort(["run", "--policy", "link.toml", "--", "/bin/true"]).output().exits(2);
}

#[test]
fn deny_when_ctrl_c_is_the_answer() {
    let place = Place::new();
    let mut pty = Pty::start(&place.ringfort(["run", "--set", "autonomy.ask=all", "--", "touch", "made"]));
    pty.wait_for(QUESTION);
    pty.send("\u{3}");
    assert_eq!(pty.ended().code(), Some(126), "{}", pty.everything());
    assert!(!place.work.join("made").exists());
}

#[test]
fn a_client_that_talks_on_its_channel_keeps_nobody_awake() {
    let place = Place::new();
    place.write(
        "talk.py",
        "import socket, os, array, json, time\n\
         s = socket.socket(fileno=os.dup(int(os.environ['RINGFORT_BROKER'])))\n\
         mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n\
         n = os.open('/dev/null', os.O_RDWR)\n\
         words = [list(w) for w in (b'sleep', b'6')]\n\
         packet = {'v': 1, 'op': 'run', 'words': words, 'cwd': list(os.getcwdb()), 'env': [[list(b'PATH'), list(b'/usr/bin:/bin')]]}\n\
         fds = array.array('i', [theirs.fileno(), n, n, n])\n\
         s.sendmsg([json.dumps(packet).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])\n\
         mine.send(b'noise')\n\
         open('talking', 'w').close()\n\
         print(mine.recv(100000).decode(), flush=True)\n",
    );
    let mut program = place.run(["python3", "talk.py"]);
    program.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = program.spawn();
    until(Duration::from_secs(30), || place.work.join("talking").exists().then_some(())).expect("it talks");
    let before = spent(running.pid());
    std::thread::park_timeout(Duration::from_secs(3));
    let ticks = spent(running.pid()) - before;
    assert!(ticks < 60, "the supervisor was awake for {ticks} of 300 ticks");
    assert_eq!(running.wait(Duration::from_secs(60)).code(), Some(0));
}

/// Processor time of a process, in ticks of 10 ms.
fn spent(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn deny_an_attempt_that_is_too_long_for_the_record() {
    let place = Place::new();
    let words = ["cat", "/etc/shadow", &"\u{1b}".repeat(100_000)];
    let ran = place.run(words).output().exits(126);
    assert!(!ran.err().contains("cannot be recorded") && ran.err().len() < 20_000, "{}", &ran.err()[..2000]);
    let tail = place.ringfort(["--json", "trail", "tail"]).output().exits(0).out();
    assert!(tail.contains("cat /etc/shadow") && tail.contains("\"result\":\"denied\""), "{tail}");
    place.ringfort(["trail", "verify"]).output().exits(0);
}

#[test]
fn deny_nested_attempts_without_a_trace() {
    let place = Place::new();
    fs::write(place.outside.join("tool"), "#!/bin/sh\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(place.outside.join("tool"), mode).unwrap();
    // The same answer for a program that is there outside and for one that is not, also by a path that climbs.
    let script = "rf=$HOME/.local/bin/ringfort; [ -x \"$rf\" ] || rf=$(command -v ringfort)\n\
                  for tool in tool none; do \"$rf\" run -- ./../../outside/$tool x 2>&1 | sed s/$tool/T/; done\n\
                  cd /tmp; \"$rf\" run -- ls x\n";
    place.write("agent.sh", script);
    let ran = place.run(["sh", "agent.sh"]).output();
    let out = ran.out();
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1] && lines[0].contains("no program"), "{ran}");
    let tail = place.ringfort(["--json", "trail", "tail"]).output().exits(0).out();
    assert_eq!(tail.matches("broker.refused").count(), 3, "{tail}");
    place.ringfort(["trail", "verify"]).output().exits(0);
}

#[test]
fn deny_a_workspace_of_keys() {
    let place = Place::new();
    for folder in [".ssh", ".aws", ".gnupg/private-keys-v1.d", ".ssh/odd\nname"] {
        let folder = place.home.join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("key"), "sesame\n").unwrap();
        let ran = place.run(["sh"]).cwd(&folder).input("cat k*\n").output().exits(2);
        assert!(!ran.out().contains("sesame") && ran.err().contains("as workspace"), "{ran}");
    }
}

#[test]
fn no_escalation_by_the_workspace_of_a_line() {
    let place = Place::new();
    place.write("sub/ringfort.toml", "[autonomy]\ndeny = [\"ls\"]\n");
    let sub = place.work.join("sub");
    let lines = format!(
        "{{\"command\":\"ls\",\"cwd\":\"{}\"}}\n{{\"command\":\"ls\",\"cwd\":\"sub\"}}\n{{\"command\":\"ls\"}}\n",
        sub.display()
    );
    let answers = place.ringfort(["check", "--batch"]).input(lines).output().exits(0).out();
    let decisions: Vec<String> = answers
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["decision"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(decisions, ["deny", "deny", "allow"], "{answers}");
}
