// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a hook costs: from the start of its process until its answer has been read and it has ended.
//!
//! In: this host. Out: medians over `cat`, which only reads its input (and over `codex execpolicy check` where `codex` is
//! installed), taken in turns in one run so that a busy machine slows all of them alike.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    missing_docs,
    clippy::print_stdout,
    reason = "a benchmark starts plain processes as the measure and prints ratios"
)]

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Rounds of the comparison; the median of each kind is printed.
const ROUNDS: usize = 400;
/// Rounds that are not counted.
const WARM_UP: usize = 20;
/// Rounds of a peer that takes long.
const PEER_ROUNDS: usize = 40;

/// A process that is timed.
struct Kind {
    name: &'static str,
    program: PathBuf,
    words: Vec<String>,
    input: Vec<u8>,
    rounds: usize,
    times: Vec<Duration>,
}

impl Kind {
    fn new(name: &'static str, program: impl Into<PathBuf>, words: &[&str], input: &str) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self { name, program: program.into(), words, input: input.into(), rounds: ROUNDS, times: Vec::new() }
    }

    fn run(&self, home: &Path) -> (Duration, Vec<u8>) {
        let mut command = Command::new(&self.program);
        command.args(&self.words).current_dir(home.join("work")).env_clear().env("HOME", home);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let started = Instant::now();
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&self.input).unwrap();
        let mut answer = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut answer).unwrap();
        child.wait().unwrap();
        (started.elapsed(), answer)
    }

    fn median(&mut self) -> f64 {
        self.times.sort();
        self.times[self.times.len() / 2].as_secs_f64() * 1e3
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().canonicalize().unwrap();
    let work = home.join("work");
    std::fs::create_dir_all(&work).unwrap();
    let message = |event: &str, command: &str, more: &str| {
        format!(
            r#"{{"session_id":"bench","cwd":"{}","permission_mode":"default","hook_event_name":"{event}","tool_name":"Bash","tool_input":{{"command":"{command}"}}{more}}}"#,
            work.display()
        )
    };
    let output = format!(r#","tool_response":{{"stdout":"{}"}}"#, "a line of a program's output\\n".repeat(200));
    let ringfort =
        std::env::var_os("RINGFORT_BIN").map_or_else(|| env!("CARGO_BIN_EXE_ringfort").into(), PathBuf::from);
    let before = message("PreToolUse", "git status", "");
    let mut kinds = vec![
        Kind::new("cat", "/bin/cat", &[], &before),
        Kind::new("hook, allowed", &ringfort, &["hook", "claude-code"], &before),
        Kind::new("hook, denied", &ringfort, &["hook", "claude-code"], &message("PreToolUse", "rm -rf ~", "")),
        Kind::new("hook, after a tool", &ringfort, &["hook", "claude-code"], &message("PostToolUse", "ls", &output)),
    ];
    if let Some(codex) = in_path("codex") {
        let rules = work.join("codex.rules");
        std::fs::write(&rules, "prefix_rule(pattern = [\"git\", \"status\"], decision = \"allow\")\n").unwrap();
        let words = ["execpolicy", "check", "--rules", rules.to_str().unwrap(), "git", "status"];
        kinds.push(Kind { rounds: PEER_ROUNDS, ..Kind::new("codex execpolicy check", codex, &words, "") });
    }
    let (_, allowed) = kinds[1].run(&home);
    let (_, denied) = kinds[2].run(&home);
    assert!(allowed.is_empty() && !denied.is_empty(), "the hook answers as it should");
    for round in 0..ROUNDS + WARM_UP {
        for kind in &mut kinds {
            if round < kind.rounds + WARM_UP {
                let (elapsed, _) = kind.run(&home);
                if round >= WARM_UP {
                    kind.times.push(elapsed);
                }
            }
        }
    }
    let floor = kinds[0].median();
    for kind in &mut kinds {
        let median = kind.median();
        println!(
            "{:24} median {median:7.2} ms  over cat {:+6.2} ms  ratio {:5.2}",
            kind.name,
            median - floor,
            median / floor
        );
    }
}
