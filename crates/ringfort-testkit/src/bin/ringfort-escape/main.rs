// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hostile program: it tries to escape from wherever it is started, and says what it believes it achieved.
//!
//! In: `list`, `run SCENE NUMBER…`, `victim …`, `race …`, `under …`, `show FILE`, `beat FILE`. Out: one line for each attempt. What
//! it says is a hint; `ringfort_testkit::escape` judges from outside by what really happened.
//!
//! **Invariant:** standard library only, one file to link statically, so that it runs in any container; every attempt
//! runs in a process of its own with an end.
#![allow(
    clippy::disallowed_methods,
    clippy::exit,
    reason = "a hostile program dials, starts processes and reads its environment"
)]

mod attempts;
mod race;
mod scene;
mod sys;
mod under;
mod victim;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use attempts::{Attempt, Blocked, CLASSES, Proof, find};
use scene::Scene;

/// Longest time for one attempt.
const ATTEMPT_MAX: Duration = Duration::from_secs(25);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["list"] => list(),
        ["run", scene, numbers @ ..] => run(Path::new(scene), numbers),
        ["victim", rest @ ..] => victim::serve(rest),
        ["race", rest @ ..] => race::race(rest),
        ["under", rest @ ..] => under::under(rest),
        ["show", file] => std::fs::read_to_string(file).and_then(|text| say(&text)),
        ["beat", file] => attempts::beat_at(Path::new(file)),
        _ => {
            Err(std::io::Error::other("list | run SCENE NUMBER… | victim … | race … | under … | show FILE | beat FILE"))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "{error}"));
            ExitCode::from(2)
        }
    }
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Number, class, proof, needs and what is tried, between tabs.
fn list() -> std::io::Result<()> {
    for (class, attempts) in CLASSES {
        for Attempt { number, what, needs, proof, .. } in *attempts {
            let proof = if *proof == Proof::Effect { "effect" } else { "answer" };
            say(&format!("E{number:03}\t{class}\t{proof}\t{needs}\t{what}"))?;
        }
    }
    Ok(())
}

fn run(scene: &Path, numbers: &[&str]) -> std::io::Result<()> {
    let scene = Scene::read(scene)?;
    // What is asked for relative to the workspace means the workspace.
    std::env::set_current_dir(&scene.work)?;
    for name in numbers {
        let number = name.trim_start_matches('E').parse().ok();
        match number.and_then(find) {
            Some(attempt) => one(&scene, attempt)?,
            None => say(&format!("{name} UNKNOWN: there is no such attempt"))?,
        }
    }
    say("DONE")
}

/// Makes one attempt in a process of its own.
fn one(scene: &Scene, attempt: &Attempt) -> std::io::Result<()> {
    let Attempt { number, run, .. } = attempt;
    match sys::split() {
        Ok(0) => {
            let line = match run(scene) {
                Ok(how) => format!("E{number:03} CLAIMED: {how}"),
                Err(Blocked(why)) => format!("E{number:03} BLOCKED: {why}"),
            };
            drop(say(&line.replace('\n', " ")));
            sys::end(0)
        }
        Ok(child) => {
            let start = Instant::now();
            let status = loop {
                match sys::wait(child, true) {
                    Some(status) => break Some(status),
                    None if start.elapsed() > ATTEMPT_MAX => break None,
                    None => std::thread::sleep(Duration::from_millis(1)),
                }
            };
            match status {
                Some(0) => Ok(()),
                Some(status) => say(&format!("E{number:03} BLOCKED: ended by {status:#x}")),
                None => {
                    sys::quietly(sys::call(sys::KILL, [usize::try_from(child).unwrap_or(0), 9]));
                    sys::wait(child, false);
                    say(&format!("E{number:03} BLOCKED: no end"))
                }
            }
        }
        Err(error) => say(&format!("E{number:03} BLOCKED: {error}")),
    }
}
