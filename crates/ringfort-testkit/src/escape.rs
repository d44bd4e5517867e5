// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shared escape suite: whatever a hostile program tries, and what came of it, seen from outside.
//!
//! In: a runner that starts a program in some cage, and what that cage offers. Out: a verdict for each attempt.
//! The program is `ringfort-escape` (numbered attempts, `E001` …), linked statically so that it runs anywhere.
//!
//! **Invariant:** the attacker's own word counts only where nothing outside could show what it got (`answer`);
//! everything else is judged by [`World`]: secrets that came out, files, processes, listeners and memory outside.
//! Attempts run many at a time; where anything shows, each runs again alone in a fresh world, so that the effect has a
//! name.

mod manifest;
mod outside;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

pub use self::world::{NAME_OF_PROGRAM, NAME_OF_SCENE, World};

/// The hostile program, a static executable.
pub fn program() -> &'static [u8] {
    include_bytes!(concat!(env!("OUT_DIR"), "/ringfort-escape"))
}

/// How an attempt is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By what is seen outside.
    Effect,
    /// By the kernel's answer to the attacker.
    Answer,
}

/// One attempt of the list.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// `E001` and so on.
    pub id: String,
    /// Its class.
    pub class: String,
    /// How it is judged.
    pub proof: Proof,
    /// What it takes to succeed outside, where that is not certain.
    pub needs: String,
    /// What it tries.
    pub what: String,
}

/// Every attempt, as the program lists them.
///
/// # Errors
///
/// The program cannot be started, or its list cannot be read. Nothing was attempted.
pub fn attempts() -> io::Result<Vec<Attempt>> {
    let text = world::output_of_program(&["list"])?;
    let parse = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [id, class, proof, needs, what] = fields.as_slice() else {
            return Err(io::Error::other(format!("what is `{line}`?")));
        };
        let proof = if *proof == "effect" { Proof::Effect } else { Proof::Answer };
        let text = |field: &str| field.to_owned();
        Ok(Attempt { id: text(id), class: text(class), proof, needs: text(needs), what: text(what) })
    };
    text.lines().map(parse).collect()
}

/// What a runner has besides a cage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offers {
    /// Start-up files are protected, and what is made of them is inspected at the end.
    pub startup: bool,
    /// The cage inherits a broker.
    pub broker: bool,
}

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It came to nothing; what the attacker says about it.
    Stopped(String),
    /// It escaped; what was seen.
    Escaped(Vec<String>),
}

/// Starts the program with these words in the cage under test and returns everything that it wrote.
pub type Runner<'a> = dyn Fn(&World, &[String]) -> io::Result<Vec<u8>> + Sync + 'a;

/// Most attempts in one run.
const TOGETHER: usize = 32;

/// Worlds at once.
const WORKERS: usize = 4;

/// Classes that need a world of their own for what is looked at afterwards.
const STARTUP: [&str; 2] = ["protected files", "start-up files"];
const BROKER: &str = "broker";

/// Makes every attempt that `offers` allows for, through `runner`; `together` is the most in one run.
///
/// # Errors
///
/// The world could not be made, or the runner failed. What was attempted until then is undone with its world.
pub fn run_suite(offers: Offers, together: usize, runner: &Runner<'_>) -> io::Result<BTreeMap<String, Verdict>> {
    let all = attempts()?;
    let fits = |attempt: &&Attempt| {
        (offers.startup || !STARTUP.contains(&attempt.class.as_str())) && (offers.broker || attempt.class != BROKER)
    };
    let wanted: Vec<&Attempt> = all.iter().filter(fits).collect();
    let classes = wanted.chunk_by(|a, b| a.class == b.class);
    let chunks: Vec<&[&Attempt]> = classes.flat_map(|class| class.chunks(together.clamp(1, TOGETHER))).collect();
    let next = AtomicUsize::new(0);
    let verdicts = Mutex::new(BTreeMap::new());
    let work = || -> io::Result<()> {
        while let Some(chunk) = chunks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let judged = judge(chunk, runner)?;
            verdicts.lock().unwrap_or_else(PoisonError::into_inner).extend(judged);
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        let panicked = |_| Err(io::Error::other("a worker panicked"));
        let ended: Vec<io::Result<()>> =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(panicked)).collect();
        ended.into_iter().collect::<io::Result<()>>()
    })?;
    Ok(verdicts.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Runs some attempts in one world, and each alone where something shows.
fn judge(chunk: &[&Attempt], runner: &Runner<'_>) -> io::Result<BTreeMap<String, Verdict>> {
    let mut verdicts = BTreeMap::new();
    let (effects, words) = one_run(chunk, runner)?;
    if effects.is_empty() {
        verdicts.extend(chunk.iter().map(|attempt| (attempt.id.clone(), by_answer(attempt, &words))));
        return Ok(verdicts);
    }
    if let [attempt] = chunk {
        verdicts.insert(attempt.id.clone(), Verdict::Escaped(effects));
        return Ok(verdicts);
    }
    for attempt in chunk {
        let (effects, words) = one_run(&[attempt], runner)?;
        let verdict = if effects.is_empty() { by_answer(attempt, &words) } else { Verdict::Escaped(effects) };
        verdicts.insert(attempt.id.clone(), verdict);
    }
    if escaped(&verdicts).is_empty() {
        return Err(io::Error::other(format!("together they left what none leaves alone: {effects:#?}")));
    }
    Ok(verdicts)
}

/// One world, one run: what was seen outside, and what the attackers said.
fn one_run(chunk: &[&Attempt], runner: &Runner<'_>) -> io::Result<(Vec<String>, String)> {
    let mut world = World::new()?;
    let mut words = vec!["run".to_owned(), world.scene().display().to_string()];
    words.extend(chunk.iter().map(|attempt| attempt.id.clone()));
    let output = runner(&world, &words)?;
    let classes: BTreeSet<&str> = chunk.iter().map(|attempt| attempt.class.as_str()).collect();
    let effects = world.effects(&output, &classes)?;
    let text = String::from_utf8_lossy(&output).into_owned();
    // An attacker that ended the whole run has done so in view of everybody; one that says nothing has not run.
    let spoke = chunk.iter().any(|attempt| text.contains(&format!("{} ", attempt.id)));
    if effects.is_empty() && !spoke {
        return Err(io::Error::other(format!("the attack did not start: {text}")));
    }
    Ok((effects, text))
}

/// What the attacker claims to have achieved.
fn claim<'a>(words: &'a str, id: &str) -> Option<&'a str> {
    words.lines().find_map(|line| line.strip_prefix(id)?.strip_prefix(" CLAIMED: "))
}

fn by_answer(attempt: &Attempt, words: &str) -> Verdict {
    match claim(words, &attempt.id) {
        Some(how) if attempt.proof == Proof::Answer => Verdict::Escaped(vec![how.to_owned()]),
        Some(how) => Verdict::Stopped(format!("it believes to have succeeded: {how}")),
        None => {
            let why = words.lines().find_map(|line| line.strip_prefix(&attempt.id)?.strip_prefix(" BLOCKED: "));
            Verdict::Stopped(why.unwrap_or("it did not come to its end").to_owned())
        }
    }
}

/// The numbers that escaped.
pub fn escaped(verdicts: &BTreeMap<String, Verdict>) -> BTreeSet<&str> {
    let is_out = |verdict: &Verdict| matches!(verdict, Verdict::Escaped(_));
    verdicts.iter().filter(|(_, verdict)| is_out(verdict)).map(|(id, _)| id.as_str()).collect()
}

/// What a lesser degree does not stop, from its file: number, who runs it (`any`, `root`, `user`), why.
pub fn documented(degree: &str, is_root: bool) -> Option<BTreeMap<&'static str, &'static str>> {
    let text = LISTS.iter().find(|(name, _)| *name == degree)?.1;
    let rows = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let row = |line: &'static str| {
        let (id, rest) = line.split_once(' ')?;
        let (who, why) = rest.split_once(' ')?;
        (who == "any" || (who == "root") == is_root).then_some((id, why))
    };
    Some(rows.filter_map(row).collect())
}

/// The list of each degree.
pub static LISTS: &[(&str, &str)] = &[
    ("minimal", include_str!("escape/minimal.txt")),
    ("reduced", include_str!("escape/reduced.txt")),
    ("bubblewrap", include_str!("escape/bubblewrap.txt")),
    ("docker", include_str!("escape/docker.txt")),
];
