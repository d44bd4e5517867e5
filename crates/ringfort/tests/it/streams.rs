// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: standard streams, exit status and signals pass through; secrets in captured output do not.
//!
//! In: programs that write, read, end and refuse to end. Out: what arrives outside, byte for byte, and when.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::pty::Pty;
use crate::support::{Place, TIME_MAX, until};

/// A token as a code host gives them out, made up; assembled so that no scanner takes this file for a leak.
fn token() -> String {
    format!("ghp_{}", "A1b2C3d4E5f6G7h8J9k0L1m2N3p4Q5r6S7t8")
}

#[test]
fn two_hundred_megabytes_pass_through_a_pipe_both_ways() {
    let place = Place::new();
    let bytes: u64 = 200_000_000;
    // Text that no detector minds, different in every line, so that a lost or doubled block changes the sum.
    let make = format!("seq -f 'line %.0f of the stream that goes both ways' 1 9000000 | head -c {bytes}");
    let binary = crate::support::binary();
    let started = Instant::now();
    let text = format!(
        "{make} | tee >(sha256sum > a) | '{}' run -- cat | sha256sum > b; while [ ! -s a ]; do sleep 0.1; done; cat a b",
        binary.display()
    );
    let sums = place.program("bash", ["-c", &text]).time_max(Duration::from_secs(240)).output().exits(0);
    let out = sums.out();
    let mut lines = out.lines();
    assert_eq!(lines.next(), lines.next(), "{sums}");
    eprintln!("200 MB through `run -- cat`: {:?}", started.elapsed());
}

#[test]
fn binary_bytes_arrive_as_they_are() {
    let place = Place::new();
    // Every byte after every byte.
    let all: Vec<u8> = (0..=255_u8).flat_map(|first| (0..=255_u8).flat_map(move |second| [first, second])).collect();
    let ran = place.run(["cat"]).input(all.clone()).output().exits(0);
    assert!(ran.stdout == all, "the bytes differ: {} of {}", ran.stdout.len(), all.len());
    assert!(ran.stderr.is_empty(), "{ran}");
}

#[test]
fn standard_error_is_a_stream_of_its_own() {
    let place = Place::new();
    let ran = place.run(["echo out; echo err >&2; echo out2"]).output().exits(0);
    assert_eq!((ran.out().as_str(), ran.err().as_str()), ("out\nout2\n", "err\n"));
}

#[test]
fn a_reader_that_leaves_early_ends_the_program() {
    let place = Place::new();
    let binary = crate::support::binary();
    let text = format!("'{}' run -- yes | head -n 1; echo \"${{PIPESTATUS[0]}}\"", binary.display());
    let ran = place.program("bash", ["-c", &text]).output().exits(0);
    // 141 is SIGPIPE, as `yes | head` gives without us.
    assert_eq!(ran.out(), "y\n141\n", "{ran}");
}

#[test]
fn a_slow_reader_loses_nothing() {
    let place = Place::new();
    let mut program = place.run(["seq 1 200000"]);
    program.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = program.spawn();
    let mut stdout = running.0.stdout.take().unwrap();
    let mut all = Vec::new();
    let mut part = [0; 30_000];
    for _ in 0..10 {
        std::thread::park_timeout(Duration::from_millis(100));
        let count = stdout.read(&mut part).unwrap();
        all.extend_from_slice(&part[..count]);
    }
    stdout.read_to_end(&mut all).unwrap();
    assert!(running.wait(TIME_MAX).success());
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    assert!(all == expected.as_bytes(), "{} of {} bytes", all.len(), expected.len());
}

#[test]
fn nothing_is_lost_at_the_end() {
    let place = Place::new();
    for _ in 0..5 {
        let ran = place.run(["head -c 300000 /dev/zero; echo last >&2; printf end"]).output().exits(0);
        assert_eq!(ran.stdout.len(), 300_003);
        assert!(ran.out().ends_with("end") && ran.err() == "last\n");
    }
}

#[test]
fn redact_secrets_on_both_captured_streams() {
    let place = Place::new();
    let token = token();
    place.write("say.sh", format!("echo \"token {token} here\"\necho \"again {token} there\" >&2\n"));
    let ran = place.run(["sh", "say.sh"]).output().exits(0);
    for text in [ran.out(), ran.err()] {
        assert!(!text.contains(&token[8..]), "{ran}");
        assert!(text.contains("*[REDACTED]"), "the seed's form: {ran}");
    }
    assert!(ran.out().starts_with("token ") && ran.out().ends_with(" here\n"), "only the secret is replaced: {ran}");
}

#[test]
fn redact_a_secret_that_comes_in_two_parts() {
    let place = Place::new();
    let token = token();
    let (first, second) = token.split_at(15);
    place.write("say.sh", format!("printf 'token {first}'\nsleep 0.05\nprintf '{second} here\\n'\n"));
    let ran = place.run(["sh", "say.sh"]).output().exits(0);
    assert!(ran.out().contains("*[REDACTED]") && !ran.out().contains(second), "{ran}");
}

#[test]
fn redact_a_secret_in_a_stream_to_a_file() {
    let place = Place::new();
    let token = token();
    place.write("say.sh", format!("echo {token}\n"));
    let mut program = place.run(["sh", "say.sh"]);
    let file = fs::File::create(place.outside.join("log")).unwrap();
    program.command.stdin(Stdio::null()).stdout(file).stderr(Stdio::null());
    assert!(program.spawn().wait(TIME_MAX).success());
    let log = fs::read_to_string(place.outside.join("log")).unwrap();
    assert!(log.contains("*[REDACTED]") && !log.contains(&token[8..]), "{log}");
}

#[test]
fn a_person_at_a_terminal_sees_everything_unless_asked_otherwise() {
    let place = Place::new();
    let token = token();
    place.write("say.sh", format!("echo {token}; echo done-\n"));
    let mut plain = Pty::start(&place.run(["sh", "say.sh"]));
    plain.wait_for("done-");
    assert!(plain.ended().success());
    assert!(plain.everything().contains(&token), "{}", plain.everything());
    let mut redacted = Pty::start(&place.ringfort(["run", "--redact", "--", "sh", "say.sh"]));
    redacted.wait_for("done-");
    assert!(redacted.ended().success());
    assert!(!redacted.everything().contains(&token[8..]), "{}", redacted.everything());
}

#[test]
fn the_exit_status_passes_through() {
    let place = Place::new();
    for status in [0, 1, 2, 3, 42, 77, 124, 125, 126, 127, 128, 129, 200, 254, 255] {
        let ran = place.run(["sh", "-c", &format!("exit {status}")]).output();
        assert_eq!(ran.code(), Some(status), "{ran}");
    }
}

#[test]
fn a_signal_that_ends_the_program_ends_ringfort() {
    let place = Place::new();
    for signal in [1, 2, 6, 9, 11, 13, 15] {
        place.write("die.py", format!("import os, resource, signal\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nos.kill(os.getpid(), {signal})\nimport time\ntime.sleep(30)\n"));
        let ran = place.run(["python3", "-S", "die.py"]).output();
        // A program of std ignores SIGPIPE and cannot end by it: 141 is what a shell makes of it anyway.
        let by_status = signal == 13 && ran.code() == Some(128 + 13);
        assert!(ran.status.signal() == Some(signal) || by_status, "signal {signal}: {ran}");
    }
}

#[test]
fn standard_input_may_be_anything() {
    let place = Place::new();
    place.write("in.txt", "from a file\n");
    let open = |path: &str| fs::File::open(path).unwrap();
    let file = place.work.join("in.txt");
    for (what, stdin, expected) in
        [("a file", Stdio::from(open(file.to_str().unwrap())), "from a file\n"), ("the null device", Stdio::null(), "")]
    {
        let mut program = place.run(["cat"]);
        program.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = program.spawn();
        let status = running.wait(TIME_MAX);
        let mut text = String::new();
        running.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(status.success() && text == expected, "{what}: {status} `{text}`");
    }
    assert_eq!(place.run(["cat"]).input("from a pipe\n").output().exits(0).out(), "from a pipe\n");
    let binary = crate::support::binary();
    let closed = format!("'{}' run -- sh -c 'cat; echo end' <&-", binary.display());
    assert!(place.program("bash", ["-c", &closed]).output().exits(0).out().ends_with("end\n"));
    let folder = format!("'{}' run -- ls < .", binary.display());
    let refused = place.program("bash", ["-c", &folder]).output().exits(125);
    assert!(refused.err().contains("folder"), "{refused}");
}

#[test]
fn input_is_not_read_ahead_of_the_program() {
    let place = Place::new();
    let binary = crate::support::binary();
    let text = format!("printf 'one\\ntwo\\n' | ( '{}' run -- head -c 4; cat )", binary.display());
    assert_eq!(place.program("bash", ["-c", &text]).output().exits(0).out(), "one\ntwo\n");
}

#[test]
fn closed_outputs_hang_nothing() {
    let place = Place::new();
    let binary = crate::support::binary();
    for closed in [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        let text = format!(
            "'{}' run -- sh -c 'echo a; echo b >&2; exit 0' {closed}; echo \"end $?\" >> ended",
            binary.display()
        );
        place.program("bash", ["-c", &text]).output();
    }
    let ended = fs::read_to_string(place.work.join("ended")).unwrap();
    assert_eq!(ended.lines().count(), 4, "{ended}");
}

#[test]
fn what_stays_in_the_background_is_ended() {
    let place = Place::new();
    for text in
        ["sleep 100 & echo started", "(setsid sleep 100 &) ; echo started", "nohup sleep 100 >&2 & echo started"]
    {
        let started = Instant::now();
        let ran = place.run(["bash", "-c", text]).time_max(Duration::from_secs(30)).output().exits(0);
        assert!(ran.out().contains("started"), "{ran}");
        assert!(started.elapsed() < Duration::from_secs(20), "`{text}` took {:?}", started.elapsed());
    }
}

/// A run whose program says when it is there, and how long everything of it may live after `end`.
#[track_caller]
fn ends_everything(place: &Place, words: &[&str], end: impl FnOnce(u32)) -> std::process::ExitStatus {
    let marker = format!("4{:06}{}", std::process::id(), place.work.as_os_str().len() + words.len());
    let text = format!("sleep {marker} & sleep {marker} & echo up; wait");
    let mut all: Vec<&str> = words.to_vec();
    all.push(&text);
    let mut program = place.run(all);
    program.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = program.spawn();
    let mut up = [0; 3];
    running.0.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
    until(TIME_MAX, || (processes(&marker) >= 2).then_some(())).expect("both sleep");
    end(running.pid());
    let status = running.wait(Duration::from_secs(30));
    let gone = until(Duration::from_secs(10), || (processes(&marker) == 0).then_some(()));
    assert!(gone.is_some(), "{} processes are left", processes(&marker));
    status
}

/// How many processes of this host have `word` in their command line and are alive.
fn processes(word: &str) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line.starts_with(b"sleep\0") && String::from_utf8_lossy(line).contains(word)).count()
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn ending_ringfort_ends_everything_inside() {
    let place = Place::new();
    let status = ends_everything(&place, &["bash", "-c"], |pid| signal(pid, rustix::process::Signal::TERM));
    assert_eq!(status.signal(), Some(15), "{status}");
    let status = ends_everything(&place, &["bash", "-c"], |pid| signal(pid, rustix::process::Signal::HUP));
    assert_eq!(status.signal(), Some(1), "{status}");
}

#[test]
fn killing_ringfort_ends_everything_inside() {
    let place = Place::new();
    let status = ends_everything(&place, &["bash", "-c"], |pid| signal(pid, rustix::process::Signal::KILL));
    assert_eq!(status.signal(), Some(9), "{status}");
    // The next start says what was left, and works.
    let next = place.run(["echo", "fine"]).output().exits(0);
    assert_eq!(next.out(), "fine\n");
    assert!(next.err().contains("was killed"), "{next}");
    place.ringfort(["trail", "verify"]).output().exits(0);
}

#[test]
fn a_time_limit_around_ringfort_works() {
    let place = Place::new();
    let binary = crate::support::binary();
    let started = Instant::now();
    let words = ["2", binary.to_str().unwrap(), "run", "--", "sleep", "100"];
    let ran = place.program("timeout", words).output();
    assert_eq!(ran.code(), Some(124), "{ran}");
    assert!(started.elapsed() < Duration::from_secs(20), "{ran}");
}

#[test]
fn ringfort_runs_in_the_background() {
    let place = Place::new();
    let binary = crate::support::binary();
    let text = format!("'{0}' run -- sh -c 'echo a; exit 3' & wait $!; echo $?", binary.display());
    assert_eq!(place.program("bash", ["-c", &text]).output().exits(0).out(), "a\n3\n");
    // With a terminal that it is not in front of: nothing is read from it, nothing is stopped.
    let mut pty = Pty::start(&place.program("bash", ["--norc", "-i"]).env("PS1", "> "));
    pty.wait_for("> ");
    pty.send(format!(
        "'{}' run -- sh -c 'echo in-$((40+2))' < /dev/null > out.txt 2>&1 & wait $!; echo status-$?-\r",
        binary.display()
    ));
    pty.wait_for("status-0-");
    pty.send("exit\r");
    pty.ended();
    assert_eq!(fs::read_to_string(place.work.join("out.txt")).unwrap(), "in-42\n");
}

#[test]
fn many_writers_share_one_output() {
    let place = Place::new();
    let ran = place.run(["for i in 1 2 3 4 5 6 7 8; do (seq -f \"$i-%g\" 1 500) & done; wait"]).output().exits(0);
    assert_eq!(ran.out().lines().count(), 4000, "{}", ran.status);
}

#[test]
fn a_conversation_over_pipes_is_not_held_up() {
    let place = Place::new();
    let mut program = place.run(["cat"]);
    program.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut running = program.spawn();
    let (mut stdin, mut stdout) = (running.0.stdin.take().unwrap(), running.0.stdout.take().unwrap());
    for round in 0..10 {
        let line = format!("question {round}\n");
        stdin.write_all(line.as_bytes()).unwrap();
        let mut answer = vec![0; line.len()];
        stdout.read_exact(&mut answer).unwrap();
        assert_eq!(answer, line.as_bytes());
    }
    drop(stdin);
    assert!(running.wait(TIME_MAX).success());
}
