// SPDX-License-Identifier: MIT OR Apache-2.0
//! The analysis against real shells: no program may start that the analysis does not name.
//!
//! Every program that a generated line can start is a script that only notes its own name. Where the analysis does
//! not name what bash or dash started, it must say that something is not known. `RINGFORT_SOAK_SECONDS` makes the
//! search longer; the seed is new in every run and printed with what was missed.

mod grammar;
mod known;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRunner};
use ringfort_core::effect::EffectKind;
use ringfort_policy::command::analysis::Program;
use ringfort_policy::command::{Analysis, Context, analyze};

/// Lines in a run that is not a soak.
const LINES: usize = 2050;
/// Longest time that one line may run.
const LINE_MAX: Duration = Duration::from_millis(2500);
/// Most choices that make one line.
const CHOICES_MAX: usize = 40;
/// Folders that a worker takes in turn, so that what a line left running cannot be taken for another's.
const FOLDERS: usize = 8;
/// Real programs that lines may use.
const TOOLS: [&str; 11] = ["bash", "cat", "cp", "env", "find", "nice", "sh", "tee", "timeout", "true", "xargs"];
/// Shells that must be there; zsh is used where it is.
const SHELLS: [&str; 4] = ["bash", "dash", "bash -O expand_aliases -O extglob", "zsh"];

fn find(program: &str) -> Option<PathBuf> {
    ["/usr/bin", "/bin", "/usr/local/bin"].iter().map(|folder| Path::new(folder).join(program)).find(|p| p.exists())
}

/// A folder with markers, tools, a log and a working folder.
struct Folder {
    bin: PathBuf,
    log: PathBuf,
    work: PathBuf,
}

impl Folder {
    fn new(root: PathBuf) -> Self {
        let folder = Self { bin: root.join("bin"), log: root.join("log"), work: root.join("work") };
        fs::create_dir_all(&folder.bin).unwrap();
        for digit in 0..10_u8 {
            let path = folder.bin.join(format!("m{digit}"));
            // What a marker prints names another one, so that its output is worth running.
            let next = (digit + 3) % 10;
            let text = format!("#!/bin/sh\necho m{digit} >> '{}'\necho m{next}\n", folder.log.display());
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for tool in TOOLS {
            let real = if tool == "sh" { find("dash").or_else(|| find("sh")) } else { find(tool) };
            std::os::unix::fs::symlink(real.unwrap(), folder.bin.join(tool)).unwrap();
        }
        folder
    }

    /// Runs `line` under `shell`; the markers that started.
    fn run(&self, shell: &str, line: &str) -> BTreeSet<String> {
        drop(fs::remove_file(&self.log));
        drop(fs::remove_dir_all(&self.work));
        fs::create_dir_all(&self.work).unwrap();
        fs::write(self.work.join("m1"), "").unwrap();
        let mut words = shell.split(' ');
        let program = find(words.next().unwrap()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the oracle of this test is the real shell, and markers only")]
        let mut command = std::process::Command::new(program);
        if shell.starts_with("bash") {
            command.args(["--norc", "--noprofile"]);
        } else if shell == "zsh" {
            command.arg("-f");
        }
        let text = format!("ulimit -t 2; ulimit -f 64; ulimit -n 64\n{line}\nwait");
        command.args(words).arg("-c").arg(text).env_clear().env("PATH", &self.bin).env("HOME", &self.work);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).current_dir(&self.work);
        let mut child = command.process_group(0).spawn().unwrap();
        let started = Instant::now();
        while child.try_wait().unwrap().is_none() && started.elapsed() < LINE_MAX {
            std::thread::sleep(Duration::from_micros(300));
        }
        if let Some(group) = rustix::process::Pid::from_raw(child.id().try_into().unwrap()) {
            let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        drop(child.wait());
        fs::read_to_string(&self.log).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn look(&self, line: &str) -> Analysis {
        let work = self.work.to_str().unwrap().as_bytes();
        analyze(line.as_bytes(), &Context { cwd: Some(work), home: Some(work), workspace: Some(work) })
    }
}

/// Whether the analysis says that it does not know everything that runs.
fn admits(analysis: &Analysis) -> bool {
    !analysis.unanalysable.is_empty()
        || analysis.commands.iter().any(|command| matches!(command.program, Program::Unknown(_)))
        || analysis.hazards.iter().any(|hazard| matches!(hazard.rule.id, "command-010" | "command-011" | "command-050"))
        || analysis.effects.iter().any(|effect| effect.kind == EffectKind::ExecuteText && effect.target.is_none())
}

/// The markers that started and that the analysis neither named nor covered.
fn missed(analysis: &Analysis, started: &BTreeSet<String>) -> Vec<String> {
    if admits(analysis) {
        return Vec::new();
    }
    let named: BTreeSet<&[u8]> = analysis.commands.iter().filter_map(|command| command.program.name()).collect();
    started.iter().filter(|name| !named.contains(name.as_bytes())).cloned().collect()
}

/// What one worker saw.
#[derive(Default)]
struct Tally {
    lines: AtomicUsize,
    /// Lines in which the analysis names everything.
    exact: AtomicUsize,
    /// Lines that started something.
    live: AtomicUsize,
    /// Lines that started something and in which the analysis names everything.
    proved: AtomicUsize,
}

fn shells() -> Vec<&'static str> {
    SHELLS.into_iter().filter(|shell| *shell != "zsh" || find("zsh").is_some()).collect()
}

/// Whether a line starts what the analysis did not see where nothing else has run: what an earlier line left behind, out
/// of reach of the signal to its group, may have written into the log of this one.
fn is_confirmed(shell: &str, line: &str) -> bool {
    let fresh = tempfile::tempdir().unwrap();
    let folder = Folder::new(fresh.path().join("confirm"));
    (0..5).any(|_| !missed(&folder.look(line), &folder.run(shell, line)).is_empty())
}

/// Checks one line under every shell; the first miss as text.
fn check(folders: &[Folder], turn: usize, line: &str, tally: &Tally) -> Option<String> {
    let folder = &folders[turn % folders.len()];
    let analysis = folder.look(line);
    let exact = !admits(&analysis);
    let mut live = false;
    for shell in shells() {
        // The third form differs from the first only where aliases or patterns are written.
        if shell.contains("-O") && !turn.is_multiple_of(4) {
            continue;
        }
        let started = folder.run(shell, line);
        live |= !started.is_empty();
        let lost = missed(&analysis, &started);
        if !lost.is_empty() && is_confirmed(shell, line) {
            return Some(format!("{shell} started {lost:?}: {line:?}"));
        }
    }
    tally.lines.fetch_add(1, Ordering::Relaxed);
    tally.exact.fetch_add(usize::from(exact), Ordering::Relaxed);
    tally.live.fetch_add(usize::from(live), Ordering::Relaxed);
    tally.proved.fetch_add(usize::from(live && exact), Ordering::Relaxed);
    None
}

#[expect(clippy::disallowed_methods, reason = "tests have no wiring: the variable makes this a soak")]
fn soak() -> Option<Duration> {
    std::env::var("RINGFORT_SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).map(Duration::from_secs)
}

/// Whether the shells are there; where the run must not skip, their absence is a failure.
fn present() -> bool {
    let there = find("bash").is_some() && find("dash").is_some();
    #[expect(clippy::disallowed_methods, reason = "tests have no wiring: the variable turns a skip into a failure")]
    let strict = std::env::var_os("RINGFORT_NO_SKIP").is_some();
    assert!(there || !strict, "bash or dash is not installed");
    there
}

#[test]
fn deny_no_program_starts_unseen() {
    if !present() {
        eprintln!("skipped: bash or dash is not installed");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let tally = Tally::default();
    let misses = Mutex::new(BTreeSet::new());
    let (started, soak) = (Instant::now(), soak());
    let most = if soak.is_some() { 100 } else { 1 };
    let goes_on = || {
        let open = soak.map_or(tally.lines.load(Ordering::Relaxed) < LINES, |time| started.elapsed() < time);
        open && misses.lock().unwrap().len() < most
    };
    let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let (root, tally, misses, goes_on) = (root.path(), &tally, &misses, &goes_on);
            scope.spawn(move || {
                let folders: Vec<Folder> =
                    (0..FOLDERS).map(|n| Folder::new(root.join(format!("{worker}-{n}")))).collect();
                let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
                let choices = proptest::collection::vec(proptest::num::u16::ANY, 1..CHOICES_MAX);
                let mut turn = 0;
                while goes_on() {
                    turn += 1;
                    let mut tree = choices.new_tree(&mut runner).unwrap();
                    let Some(first) = check(&folders, turn, &grammar::line(&tree.current()), tally) else { continue };
                    let mut shortest = first;
                    let until = Instant::now() + Duration::from_secs(5);
                    while Instant::now() < until {
                        let step = match check(&folders, turn * 4, &grammar::line(&tree.current()), tally) {
                            Some(miss) => {
                                shortest = miss;
                                tree.simplify()
                            }
                            None => tree.complicate(),
                        };
                        if !step {
                            break;
                        }
                    }
                    misses.lock().unwrap().insert(shortest);
                }
            });
        }
    });
    let misses = misses.into_inner().unwrap();
    let count = |cell: &AtomicUsize| cell.load(Ordering::Relaxed);
    let (lines, exact, live, proved) =
        (count(&tally.lines), count(&tally.exact), count(&tally.live), count(&tally.proved));
    let time = started.elapsed().as_secs_f32();
    println!("{lines} lines in {time:.1} s: {exact} exact, {live} started programs, {proved} both");
    assert!(misses.is_empty(), "{} missed:\n{}", misses.len(), misses.into_iter().collect::<Vec<_>>().join("\n"));
    // The test would prove nothing if most lines started nothing or were given up on.
    assert!(proved * 6 > lines, "only {proved} of {lines} lines prove anything");
}

#[test]
fn deny_no_form_of_the_grammar_hides_a_program() {
    if !present() {
        eprintln!("skipped: bash or dash is not installed");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let folders = [Folder::new(root.path().join("forms"))];
    let tally = Tally::default();
    let forms = grammar::every_form();
    let misses: Vec<String> =
        forms.iter().filter_map(|choices| check(&folders, 0, &grammar::line(choices), &tally)).collect();
    assert!(misses.is_empty(), "{} of {}:\n{}", misses.len(), forms.len(), misses.join("\n"));
}

#[test]
fn deny_what_was_missed_before() {
    if !present() {
        eprintln!("skipped: bash or dash is not installed");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::new(root.path().join("known"));
    let mut misses = Vec::new();
    for line in known::LINES {
        let analysis = folder.look(line);
        for shell in shells() {
            let lost = missed(&analysis, &folder.run(shell, line));
            if !lost.is_empty() {
                misses.push(format!("{shell} started {lost:?}: {line:?}"));
            }
        }
    }
    assert!(misses.is_empty(), "{} of {}:\n{}", misses.len(), known::LINES.len(), misses.join("\n"));
}
