// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: a judge that dies, stops, hangs, panics or answers by halves gives no answer, and is gone afterwards.
//!
//! In: judges of each kind. Out: the answer, or why there is none.
//!
//! A process with several threads makes no judge, and the test harness has some: this program has one and is its own
//! harness.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test ends by panicking, says what it did, and starts itself"
)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ringfort_sandbox::stub::{Answer, BUFFER_BYTES, Judge, NoAnswer, judge, set_last_words};

/// Names the signal that a process is started for to say its last words.
const LAST_WORDS: &str = "RINGFORT_TEST_LAST_WORDS";
/// How long the judges of these tests may take.
const WAIT: Duration = Duration::from_millis(1500);

fn allow() -> Answer {
    Answer { stdout: b"allowed".to_vec(), stderr: Vec::new(), status: 0 }
}

fn kill_self(signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
}

/// What each judge does.
fn behave(case: &str, judge: Judge) {
    match case {
        "answers" => judge.answer(&allow()).unwrap(),
        "answers, then dies" => {
            judge.answer(&allow()).unwrap();
            kill_self(rustix::process::Signal::KILL);
        }
        "panics" => panic!("a defect"),
        "aborts" => std::process::abort(),
        "is killed" => kill_self(rustix::process::Signal::KILL),
        "is stopped" => kill_self(rustix::process::Signal::STOP),
        "hangs" => std::thread::park(),
        "says nothing" => drop(judge),
        "answers too much" => {
            let long = Answer { stdout: vec![b'x'; BUFFER_BYTES], ..allow() };
            assert!(judge.answer(&long).is_err());
        }
        "overflows its stack" => assert!(deepen(1) > 0),
        "runs out of memory" => {
            rustix::process::setrlimit(
                rustix::process::Resource::As,
                rustix::process::Rlimit { current: Some(64 << 20), maximum: Some(64 << 20) },
            )
            .unwrap();
            let mut all: Vec<Vec<u8>> = Vec::new();
            loop {
                all.push(vec![1; 1 << 20]);
            }
        }
        other => panic!("no case `{other}`"),
    }
}

#[expect(unconditional_recursion, reason = "this is what the test is about")]
fn deepen(n: u64) -> u64 {
    std::hint::black_box(n) + deepen(n + 1)
}

/// What came of a judge that behaves like this.
fn result(case: &str) -> &'static str {
    let mut buffer = vec![0; BUFFER_BYTES];
    let started = Instant::now();
    let word = match judge(&mut buffer, WAIT, |judge| behave(case, judge)) {
        Ok(said) if said.stdout == b"allowed" && said.stderr.is_empty() && said.status == 0 => "answered",
        Ok(_) => "something else",
        Err(NoAnswer::Broken) => "broken",
        Err(NoAnswer::TimedOut) => "timed out",
        Err(error) => panic!("{case}: {error}: {error:?}"),
    };
    // Every judge ends: by itself, or killed where it gave no answer.
    assert!(rustix::process::wait(rustix::process::WaitOptions::empty()).unwrap().is_some(), "{case}");
    assert!(started.elapsed() < WAIT * 10, "{case}");
    word
}

/// Says its last words instead of dying by the signal.
fn last_words() {
    let program = std::env::current_exe().unwrap();
    for signal in ["ABRT", "TERM", "INT", "HUP"] {
        let mut command = Command::new(&program);
        let output = command.env(LAST_WORDS, signal).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{signal}: {output:?}");
        assert!(output.stdout == b"out\n" && output.stderr == b"err\n", "{signal}: {output:?}");
    }
}

fn main() {
    if let Ok(signal) = std::env::var(LAST_WORDS) {
        set_last_words(b"first\n", b"", 0).unwrap();
        set_last_words(b"out\n", b"err\n", 2).unwrap();
        let signal = match signal.as_str() {
            "TERM" => rustix::process::Signal::TERM,
            "INT" => rustix::process::Signal::INT,
            "HUP" => rustix::process::Signal::HUP,
            _ => std::process::abort(),
        };
        kill_self(signal);
        return;
    }
    for (case, expected) in [
        ("answers", "answered"),
        ("answers, then dies", "answered"),
        ("panics", "broken"),
        ("aborts", "broken"),
        ("is killed", "broken"),
        ("is stopped", "timed out"),
        ("hangs", "timed out"),
        ("says nothing", "broken"),
        ("answers too much", "broken"),
        ("overflows its stack", "broken"),
        ("runs out of memory", "broken"),
    ] {
        assert_eq!(result(case), expected, "{case}");
        println!("test deny_without_a_whole_answer::{} ... ok", case.replace(' ', "_"));
    }
    last_words();
    println!("test last_words ... ok");
}
