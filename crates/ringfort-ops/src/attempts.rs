// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a confined child tries, to show that it cannot.
//!
//! In: a few facts of the world outside (a file, a folder, a port, a process). Out: one line for each attempt.
//!
//! **Invariant:** each attempt would succeed for the same user outside, and none does harm if it succeeds: files are
//! canaries made for the purpose, signals are signal 0, connections go to a listener of our own on loopback.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketType, connect, socket, socket_with};
use serde::{Deserialize, Serialize};

/// One attempt, and how it came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
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
    /// A port of loopback on which the caller listens.
    pub port: u16,
    /// A process of the caller.
    pub process: i32,
}

type Try = fn(&World) -> Result<String, String>;

/// Every attempt: its name, and the act that must fail.
const ATTEMPTS: [(&str, Try); 14] = [
    ("read a file outside the workspace", |world| told(fs::read(&world.file), |_| "it was read")),
    ("write a file outside the workspace", |world| {
        told(fs::write(world.folder.join("escaped"), "x"), |()| "it was written")
    }),
    ("link a file into the workspace", |world| {
        told(fs::hard_link(&world.file, "linked-by-doctor"), |()| "it was linked")
    }),
    ("read the state folder", |world| told(fs::read_dir(&world.state).and_then(first), |_| "it was listed")),
    ("read the password hashes", |_| told(fs::read("/etc/shadow").and_then(not_empty), |_| "they were read")),
    ("change a start-up file", |world| told(fs::write(&world.startup, "x"), |()| "it was changed")),
    ("rename the folder of a start-up file", |world| told(rename_parent(&world.startup), |()| "it was renamed")),
    ("signal a process outside", |world| told(signal(world.process), |()| "it could be signalled")),
    ("see a process outside", |world| told(see(world.process), |()| "it could be seen")),
    ("connect to loopback", |world| told(reach(world.port), |()| "it was connected")),
    ("listen on a port", |_| told(listen_outside(), |_| "it listened outside")),
    ("open a raw socket", |_| told(raw(), |()| "it was opened")),
    ("mount a file system", |_| told(mount(), |()| "it was mounted")),
    ("write the kernel's settings", |_| {
        told(fs::write("/proc/sys/kernel/core_pattern", "core"), |()| "they were written")
    }),
];

/// Tries everything.
pub fn run(world: &World) -> Vec<Attempt> {
    ATTEMPTS
        .iter()
        .map(|(name, attempt)| {
            let (blocked, detail) = match attempt(world) {
                Ok(came_of_it) => (false, came_of_it),
                Err(refused) => (true, refused),
            };
            Attempt { name: (*name).to_owned(), blocked, detail }
        })
        .collect()
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

fn see(process: i32) -> io::Result<()> {
    // Inside a pid namespace the same number may be a process of our own; the supervisor's name tells them apart.
    let name = fs::read_to_string(format!("/proc/{process}/environ"))?;
    if name.is_empty() { Err(io::Error::other("nothing is shown")) } else { Ok(()) }
}

fn reach(port: u16) -> io::Result<()> {
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    Ok(connect(&fd, &SocketAddr::from(([127, 0, 0, 1], port)))?)
}

fn listen_outside() -> io::Result<()> {
    // Inside an empty network namespace there is no loopback to bind to.
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    drop(listener);
    Ok(())
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
