// SPDX-License-Identifier: MIT OR Apache-2.0
//! The attempts: numbered, sorted by class, each one function.
//!
//! In: the scene. Out: what the attacker believes it achieved. What it says is a hint only; what it read is in its
//! words, so that whoever watches outside finds the secret there.
//!
//! **Invariant:** every attempt is harmless where it succeeds: it touches what the scene names, or changes nothing.

mod broker;
mod calls;
mod descriptors;
mod environment;
mod links;
mod memory;
mod metadata;
mod mounts;
mod persistence;
mod processes;
mod procfs;
mod protected;
mod reading;
mod rights;
mod shared;
mod sockets;
mod terminals;
mod triggers;
mod writing;

pub(crate) use persistence::beat_at;
use std::io::{self, Read as _};
use std::os::fd::AsRawFd;
use std::path::Path;

use crate::scene::Scene;
use crate::sys::{self, Answer, Errno};

/// Why an attempt came to nothing.
pub(crate) struct Blocked(pub(crate) String);

impl From<io::Error> for Blocked {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<Errno> for Blocked {
    fn from(error: Errno) -> Self {
        Self(error.to_string())
    }
}

impl From<&str> for Blocked {
    fn from(why: &str) -> Self {
        Self(why.to_owned())
    }
}

/// What an attempt came to, in its own words.
pub(crate) type Outcome = Result<String, Blocked>;

/// How it is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// By what is seen outside.
    Effect,
    /// By the kernel's answer: it let the call through, which nothing outside can show.
    Answer,
}

/// One attempt.
pub(crate) struct Attempt {
    pub(crate) number: u16,
    pub(crate) what: &'static str,
    pub(crate) needs: &'static str,
    pub(crate) proof: Proof,
    pub(crate) run: fn(&Scene) -> Outcome,
}

impl Attempt {
    /// What it takes to succeed outside every cage, where that is not certain.
    pub(crate) const fn needs(mut self, needs: &'static str) -> Self {
        self.needs = needs;
        self
    }
}

pub(crate) const fn effect(number: u16, what: &'static str, run: fn(&Scene) -> Outcome) -> Attempt {
    Attempt { number, what, needs: "", proof: Proof::Effect, run }
}

pub(crate) const fn answer(number: u16, what: &'static str, run: fn(&Scene) -> Outcome) -> Attempt {
    Attempt { number, what, needs: "", proof: Proof::Answer, run }
}

/// Every class with its attempts; the numbers ascend.
pub(crate) static CLASSES: &[(&str, &[Attempt])] = &[
    ("files read", reading::ATTEMPTS),
    ("files written", writing::ATTEMPTS),
    ("metadata", metadata::ATTEMPTS),
    ("links", links::ATTEMPTS),
    ("protected files", protected::ATTEMPTS),
    ("start-up files", triggers::ATTEMPTS),
    ("/proc and /sys", procfs::ATTEMPTS),
    ("mounts and namespaces", mounts::ATTEMPTS),
    ("processes and signals", processes::ATTEMPTS),
    ("memory of others", memory::ATTEMPTS),
    ("shared memory", shared::ATTEMPTS),
    ("system calls", calls::ATTEMPTS),
    ("rights", rights::ATTEMPTS),
    ("sockets", sockets::ATTEMPTS),
    ("descriptors and devices", descriptors::ATTEMPTS),
    ("terminals", terminals::ATTEMPTS),
    ("environment and loader", environment::ATTEMPTS),
    ("persistence", persistence::ATTEMPTS),
    ("broker", broker::ATTEMPTS),
];

/// The attempt with this number.
pub(crate) fn find(number: u16) -> Option<&'static Attempt> {
    CLASSES.iter().flat_map(|(_, attempts)| attempts.iter()).find(|attempt| attempt.number == number)
}

/// Most bytes of a file that are shown.
const SHOWN_BYTES_MAX: usize = 16_384;

/// Shows bytes as one line.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes.get(..SHOWN_BYTES_MAX).unwrap_or(bytes));
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Reads a file and shows it.
pub(crate) fn leak(path: impl AsRef<Path>) -> Outcome {
    leak_file(std::fs::File::open(path)?)
}

pub(crate) fn leak_file(file: impl io::Read) -> Outcome {
    let mut content = Vec::new();
    file.take(SHOWN_BYTES_MAX as u64).read_to_end(&mut content)?;
    if content.is_empty() { Err("it is empty".into()) } else { Ok(shown(&content)) }
}

/// Lists a folder and shows the names.
pub(crate) fn names(path: impl AsRef<Path>) -> Outcome {
    let names: Vec<_> = std::fs::read_dir(path)?.flatten().map(|entry| entry.file_name()).collect();
    if names.is_empty() { Err("nothing in it".into()) } else { Ok(shown(format!("{names:?}").as_bytes())) }
}

/// Opens with the flags of an attack, and closes again.
pub(crate) fn opens(path: impl AsRef<Path>, flags: usize) -> Outcome {
    let path = sys::c(path);
    sys::call(sys::OPENAT, [sys::HERE, sys::at(&path), flags, 0o600])?;
    Ok(format!("opened {}", path.to_string_lossy()))
}

pub(crate) const READ: usize = 0;
pub(crate) const WRITE: usize = 1;
pub(crate) const READ_WRITE: usize = 2;
/// An unnamed file that leaves nothing behind.
pub(crate) const TMPFILE: usize = if cfg!(target_arch = "x86_64") { 0x41_0000 } else { 0x40_4000 };

/// Whatever succeeded is done.
pub(crate) fn done<T, E: Into<Blocked>>(result: Result<T, E>) -> Outcome {
    result.map(|_| "done".to_owned()).map_err(Into::into)
}

/// The kernel looked at it, whatever it answered: only EPERM, EACCES and ENOSYS say that it was refused.
pub(crate) fn reaches(answer: Answer) -> Outcome {
    match answer {
        Err(error @ Errno(sys::EPERM | sys::EACCES | sys::ENOSYS)) => Err(error.into()),
        Err(error) => Ok(format!("the kernel looked at it: {error}")),
        Ok(answer) => Ok(format!("answered {answer}")),
    }
}

/// The number of an open file as a word.
pub(crate) fn word(file: &impl AsRawFd) -> usize {
    usize::try_from(file.as_raw_fd()).unwrap_or(sys::NONE)
}

/// Processes in view.
pub(crate) fn processes() -> Vec<usize> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
