// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a confined child tries, to show that it cannot.
//!
//! In: a few facts of the world outside (a file, a folder, a port, a process). Out: one line for each attempt, with the
//! promise that it would break.
//!
//! **Invariant:** each attempt would succeed for the same user outside, or needs a right that the cage has to take away,
//! and none does harm if it succeeds: files are canaries made for the purpose, signals are signal 0, connections go to
//! listeners of our own on loopback. Every promise of the vocabulary has an attempt.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ringfort_core::obligation::Promise;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket, socket_with};
use serde::{Deserialize, Serialize};

/// One attempt, and how it came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The promise that it would break; `None` for one on a limit.
    pub promise: Option<Promise>,
    /// What was tried.
    pub name: String,
    /// Whether it failed, as it must.
    pub blocked: bool,
    /// What the system said, or what came of it.
    pub detail: String,
}

/// Facts of the world outside that the child is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct World {
    /// A file outside the workspace that the caller can read.
    pub file: PathBuf,
    /// A folder outside the workspace that the caller can write.
    pub folder: PathBuf,
    /// The state folder.
    pub state: PathBuf,
    /// A start-up file inside the workspace.
    pub startup: PathBuf,
    /// A socket outside the workspace on which the caller listens.
    pub socket: PathBuf,
    /// A port of loopback on which the caller listens.
    pub port: u16,
    /// A process of the caller.
    pub process: i32,
    /// A file inside the workspace by which the process that is to outlive the cage says that it runs.
    pub lingering: PathBuf,
}

/// What a confined child is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Try everything.
    Attempts,
    /// Live on after everything else, holding what it was given.
    Linger,
    /// Start more than a limit on processes allows.
    Processes,
    /// Use more than a limit on memory allows.
    Memory,
}

impl Part {
    /// The part of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Attempts, Self::Linger, Self::Processes, Self::Memory].into_iter().find(|part| part.as_str() == word)
    }

    /// Its word on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Linger => "linger",
            Self::Processes => "processes",
            Self::Memory => "memory",
        }
    }
}

/// The limit on processes under which [`Part::Processes`] is tried.
pub const PROCESSES_MAX: u64 = 24;
/// How many are started without being refused before the attempt counts as a success.
const PROCESSES_TRIED: u64 = 4 * PROCESSES_MAX;
/// The limit on memory under which [`Part::Memory`] is tried. Bytes.
pub const MEMORY_BYTES_MAX: u64 = 256 << 20;
/// How much is used before the attempt counts as a success. Bytes.
const MEMORY_BYTES_TRIED: u64 = 2 * MEMORY_BYTES_MAX;
/// Size of one piece of it. Bytes.
const PIECE_BYTES: usize = 4 << 20;
/// Longest wait for the process that is to outlive the cage.
const LINGERING_MAX: Duration = Duration::from_secs(5);
/// How long that process lives where nothing ends it.
const LINGER: Duration = Duration::from_secs(60);

type Try = fn(&World) -> Result<String, String>;

/// Every attempt: the promise, its name, and the act that must fail.
const ATTEMPTS: [(Promise, &str, Try); 20] = [
    (Promise::ConfineWrites, "write a file outside the workspace", |world| {
        told(fs::write(world.folder.join("escaped"), "x"), |()| "it was written")
    }),
    (Promise::ConfineWrites, "link a file into the workspace", |world| {
        told(fs::hard_link(&world.file, "linked-by-doctor"), |()| "it was linked")
    }),
    (Promise::ConfineWrites, "write the kernel's settings", |_| {
        told(fs::write("/proc/sys/kernel/core_pattern", "core"), |()| "they were written")
    }),
    (Promise::ConfineReads, "read a file outside the workspace", |world| {
        told(fs::read(&world.file), |_| "it was read")
    }),
    (Promise::ConfineReads, "read the state folder", |world| {
        told(fs::read_dir(&world.state).and_then(first), |_| "it was listed")
    }),
    (Promise::ConfineReads, "read the password hashes", |_| {
        told(fs::read("/etc/shadow").and_then(not_empty), |_| "they were read")
    }),
    (Promise::ProtectStartup, "change a start-up file", |world| {
        told(fs::write(&world.startup, "x"), |()| "it was changed")
    }),
    (Promise::ProtectStartup, "rename the folder of a start-up file", |world| {
        told(rename_parent(&world.startup), |()| "it was renamed")
    }),
    (Promise::NoNetwork, "connect to the host's loopback", |world| told(reach(world.port), |()| "it was connected")),
    (Promise::NoNetwork, "connect to a socket of the user", |world| {
        told(reach_path(&world.socket), |()| "it was connected")
    }),
    (Promise::NoNetwork, "send to an address outside", |_| told(send_outside(), |()| "it was sent")),
    (Promise::NoNetwork, "open a raw socket", |_| told(raw(), |()| "it was opened")),
    (Promise::ConfineProcesses, "signal a process outside", |world| {
        told(signal(world.process), |()| "it could be signalled")
    }),
    (Promise::ConfineProcesses, "see a process outside", |world| told(see(world.process), |()| "it could be seen")),
    (Promise::ConfineSyscalls, "mount a file system", |_| told(mount(), |()| "it was mounted")),
    (Promise::ConfineSyscalls, "prepare a file system", |_| told(prepare(), |()| "it was prepared")),
    (Promise::ConfineSyscalls, "enter a namespace", |_| told(enter(), |()| "it was entered")),
    (Promise::NoPrivilege, "make a program that runs as its owner", |_| told(own(), |()| "it was made")),
    (Promise::NoPrivilege, "have a capability", |_| told(capable(), |()| "it has one")),
    (Promise::KillAll, "signal the keeper of the cage", |_| told(signal_keeper(), |()| "it could be signalled")),
];

/// Tries everything, once the process that is to outlive the cage runs.
pub fn run(world: &World) -> Vec<Attempt> {
    let waited = Instant::now();
    while !world.lingering.exists() && waited.elapsed() < LINGERING_MAX {
        std::thread::sleep(Duration::from_millis(1));
    }
    ATTEMPTS
        .iter()
        .map(|(promise, name, attempt)| {
            let (blocked, detail) = match attempt(world) {
                Ok(came_of_it) => (false, came_of_it),
                Err(refused) => (true, refused),
            };
            Attempt { promise: Some(*promise), name: (*name).to_owned(), blocked, detail }
        })
        .collect()
}

/// Says that it runs, and lives on.
pub fn linger(world: &World) {
    if fs::write(&world.lingering, "x").is_ok() {
        std::thread::sleep(LINGER);
    }
}

/// Starts threads, which count as processes do, until one is refused.
pub fn start_many() -> Attempt {
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut threads = Vec::new();
    let refused = loop {
        let stopped = std::sync::Arc::clone(&stop);
        let wait = move || {
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        match std::thread::Builder::new().stack_size(64 << 10).spawn(wait) {
            Ok(thread) => threads.push(thread),
            Err(error) => break Some(error),
        }
        if threads.len() as u64 >= PROCESSES_TRIED {
            break None;
        }
    };
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let started = threads.len();
    // What a thread of ours came to is of no interest.
    threads.into_iter().for_each(|thread| drop(thread.join()));
    let detail = match &refused {
        Some(error) => format!("after {started} more: {error}"),
        None => format!("{started} were started"),
    };
    limit("start more processes than allowed", refused.is_some() && (started as u64) < PROCESSES_MAX, detail)
}

/// Uses memory until it is refused, or this process is ended, which is as good.
pub fn use_much() -> Attempt {
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    while (pieces.len() * PIECE_BYTES) as u64 <= MEMORY_BYTES_TRIED {
        let mut piece = Vec::new();
        if let Err(error) = piece.try_reserve_exact(PIECE_BYTES) {
            return limit(USE_MUCH, true, format!("after {} MiB: {error}", (pieces.len() * PIECE_BYTES) >> 20));
        }
        // Only what is written is used.
        piece.resize(PIECE_BYTES, 0x5a);
        pieces.push(piece);
    }
    limit(USE_MUCH, false, format!("{} MiB were used", (pieces.len() * PIECE_BYTES) >> 20))
}

/// Name of the attempt on the limit on memory.
pub const USE_MUCH: &str = "use more memory than allowed";

/// An attempt on a limit.
pub fn limit(name: &str, blocked: bool, detail: String) -> Attempt {
    Attempt { promise: None, name: name.to_owned(), blocked, detail }
}

fn told<T>(result: io::Result<T>, what: fn(T) -> &'static str) -> Result<String, String> {
    result.map(|value| what(value).to_owned()).map_err(|error| error.to_string())
}

fn first(mut entries: fs::ReadDir) -> io::Result<()> {
    // An empty folder laid over the real one shows nothing.
    entries.next().map_or_else(|| Err(io::Error::other("it is empty inside")), |entry| entry.map(|_| ()))
}

fn not_empty(content: Vec<u8>) -> io::Result<Vec<u8>> {
    if content.is_empty() { Err(io::Error::other("it is empty inside")) } else { Ok(content) }
}

fn rename_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::rename(parent, parent.with_extension("moved-by-doctor"))
}

fn signal(process: i32) -> io::Result<()> {
    let pid = rustix::process::Pid::from_raw(process).ok_or_else(|| io::Error::other("no process"))?;
    Ok(rustix::process::test_kill_process(pid)?)
}

/// The keeper is the parent. In a process namespace of its own it is the first process there, which no signal from
/// inside ends: that it can be asked for shows nothing then.
fn signal_keeper() -> io::Result<()> {
    let keeper = rustix::process::getppid().ok_or_else(|| io::Error::other("there is no keeper in view"))?;
    if keeper.as_raw_nonzero().get() == 1 {
        return Err(io::Error::other("it is the first process of its namespace"));
    }
    Ok(rustix::process::test_kill_process(keeper)?)
}

fn see(process: i32) -> io::Result<()> {
    // Inside a pid namespace the same number may be a process of our own; the supervisor's name tells them apart.
    let name = fs::read_to_string(format!("/proc/{process}/environ"))?;
    if name.is_empty() { Err(io::Error::other("nothing is shown")) } else { Ok(()) }
}

fn reach(port: u16) -> io::Result<()> {
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    Ok(connect(&fd, &SocketAddr::from(([127, 0, 0, 1], port)))?)
}

fn reach_path(path: &Path) -> io::Result<()> {
    let fd = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    Ok(connect(&fd, &SocketAddrUnix::new(path)?)?)
}

/// To an address of the documentation: nobody answers there, and only a way to it is needed.
fn send_outside() -> io::Result<()> {
    let fd = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    Ok(connect(&fd, &SocketAddr::from(([192, 0, 2, 1], 9)))?)
}

fn raw() -> io::Result<()> {
    let flags = rustix::net::SocketFlags::CLOEXEC;
    drop(socket_with(AddressFamily::INET, SocketType::RAW, flags, Some(rustix::net::ipproto::ICMP))?);
    Ok(())
}

fn mount() -> io::Result<()> {
    let flags = rustix::mount::MountFlags::empty();
    Ok(rustix::mount::mount("none", "/tmp", "tmpfs", flags, None)?)
}

fn prepare() -> io::Result<()> {
    drop(rustix::mount::fsopen("tmpfs", rustix::mount::FsOpenFlags::FSOPEN_CLOEXEC)?);
    Ok(())
}

fn enter() -> io::Result<()> {
    let namespace = fs::File::open("/proc/self/ns/uts")?;
    let kind = Some(rustix::thread::LinkNameSpaceType::HostNameAndNISDomainName);
    Ok(rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind)?)
}

fn own() -> io::Result<()> {
    fs::write("made-by-doctor", "x")?;
    fs::set_permissions("made-by-doctor", fs::Permissions::from_mode(0o4755))
}

fn capable() -> io::Result<()> {
    let status = fs::read_to_string("/proc/self/status")?;
    let mut sets = status.lines().filter_map(|line| line.strip_prefix("CapEff:").or(line.strip_prefix("CapPrm:")));
    let has_one = sets.any(|set| set.trim().bytes().any(|digit| digit != b'0'));
    if has_one { Ok(()) } else { Err(io::Error::other("it has none")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_promise_has_an_attempt() {
        for promise in Promise::ALL {
            assert!(ATTEMPTS.iter().any(|(of, _, _)| *of == promise), "{promise:?}");
        }
    }

    #[test]
    fn what_is_not_limited_is_not_blocked() {
        // This process is under no limit: the attempts come through, so that being blocked means something.
        let many = start_many();
        assert!(!many.blocked, "{many:?}");
        let much = use_much();
        assert!(!much.blocked, "{much:?}");
    }

    #[test]
    fn words_of_parts_are_read_back() {
        for part in [Part::Attempts, Part::Linger, Part::Processes, Part::Memory] {
            assert_eq!(Part::parse(part.as_str()), Some(part));
        }
        assert_eq!(Part::parse(""), None);
    }
}
