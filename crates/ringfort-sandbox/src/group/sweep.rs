// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of groups, and the removal of those whose maker is gone.
//!
//! In: a folder in which groups are made. Out: which groups of dead makers were removed.
//!
//! **Invariant:** a group is touched only when its name says that this user's process, in this very process namespace,
//! made it, and no process with that number and that start lives. A group of a living maker, of another user or of
//! another container is left alone, and so is everything that is not called as ours are.

use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::syscall;

/// What the name of a group begins with.
const PREFIX: &str = "ringfort-";
/// Most groups that one sweep looks at.
const GROUPS_MAX: usize = 1024;
/// Most rounds of killing in one group; each ends what was in it when the round began.
const ROUNDS_MAX: usize = 64;

/// Counts the groups of this process.
static MADE: AtomicU32 = AtomicU32::new(0);

/// Who made a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Maker {
    pid: i32,
    /// Start of the process in ticks since boot, so that a number that was used again is another maker.
    started: u64,
    /// Inode of the process namespace in which `pid` is meant.
    namespace: u64,
}

impl Maker {
    /// This process.
    pub(super) fn own() -> Option<Self> {
        let pid = syscall::getpid();
        let namespace = std::fs::metadata("/proc/self/ns/pid").ok()?.ino();
        Some(Self { pid, started: started(pid)?, namespace })
    }

    /// A name that no other group has.
    pub(super) fn name(self) -> String {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        format!("{PREFIX}{}-{}-{}-{number}", self.pid, self.started, self.namespace)
    }

    /// The maker that a name tells of.
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.split('-');
        let maker = Self {
            pid: parts.next()?.parse().ok()?,
            started: parts.next()?.parse().ok()?,
            namespace: parts.next()?.parse().ok()?,
        };
        let _number: u32 = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(maker)
    }

    fn is_gone(self, own: Self) -> bool {
        self.namespace == own.namespace && started(self.pid) != Some(self.started)
    }
}

/// When a process was started; `None` when there is none.
fn started(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    // A zombie makes no groups any more.
    if state == "Z" || state == "X" { None } else { fields.nth(18)?.parse().ok() }
}

/// Writes a file that exists; none is made.
pub(super) fn put(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::File::options().write(true).open(path)?.write_all(text.as_bytes())
}

/// Makes the folder of a group.
pub(super) fn make(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().mode(0o755).create(path)
}

/// Removes the groups in `place` whose maker is gone, with what is left in them; returns their names.
pub(super) fn sweep(place: &Path) -> Vec<String> {
    let (Some(own), Ok(entries)) = (Maker::own(), std::fs::read_dir(place)) else { return Vec::new() };
    let user = syscall::effective_ids().0;
    let mut swept = Vec::new();
    for entry in entries.flatten().take(GROUPS_MAX) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == user);
        if is_ours && Maker::parse(&name).is_some_and(|maker| maker.is_gone(own)) {
            let group = entry.path();
            end(&group);
            if remove(&group) {
                swept.push(name);
            }
        }
    }
    swept
}

/// Removes a group and the groups in it. They have to be empty of processes.
pub(super) fn remove(group: &Path) -> bool {
    children(group).iter().for_each(|child| drop(std::fs::remove_dir(child)));
    match std::fs::remove_dir(group) {
        Ok(()) => true,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// The groups in a group.
fn children(group: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(group) else { return Vec::new() };
    let folders = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).take(GROUPS_MAX).collect()
}

/// Kills every process of a group and of the groups in it.
pub(super) fn end(group: &Path) {
    if put(&group.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    // An older kernel: nothing new may start where that can be bounded, then one after the other.
    let _unbounded: std::io::Result<()> = put(&group.join("pids.max"), "0");
    let groups: Vec<PathBuf> = children(group).into_iter().chain([group.to_path_buf()]).collect();
    for _ in 0..ROUNDS_MAX {
        let members: Vec<i32> = groups.iter().flat_map(|group| members(group)).collect();
        if members.is_empty() {
            return;
        }
        for pid in members {
            kill_member(pid, group);
        }
    }
}

fn members(group: &Path) -> Vec<i32> {
    let list = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    list.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect()
}

/// Kills `pid` if it still is in `group`: the number may mean another process by now.
fn kill_member(pid: i32, group: &Path) {
    let Ok(descriptor) = syscall::pidfd_open(pid) else { return };
    let Some(name) = group.file_name().map(|name| name.to_string_lossy().into_owned()) else { return };
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    if groups.lines().any(|line| line.split('/').any(|part| part == name)) {
        // Gone already, or not ours to kill; the removal of the group tells.
        let _gone: Result<(), _> = syscall::pidfd_kill(descriptor.as_raw_fd(), libc::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_maker() {
        let own = Maker::own().unwrap();
        let (one, two) = (own.name(), own.name());
        assert_ne!(one, two);
        assert_eq!(Maker::parse(&one), Some(own));
        for name in ["ringfort-", "ringfort-1-2-3", "ringfort-1-2-3-4-5", "ringfort-x-2-3-4", "other-1-2-3-4", ""] {
            assert_eq!(Maker::parse(name), None, "{name}");
        }
    }

    #[test]
    fn deny_touching_what_is_alive_or_foreign() {
        let folder = tempfile::tempdir().unwrap();
        let own = Maker::own().unwrap();
        let dead = Maker { started: own.started + 1, ..own };
        let foreign = Maker { namespace: own.namespace + 1, ..dead };
        let names = [own.name(), foreign.name(), "docker".to_owned(), "ringfort-no".to_owned()];
        for name in names.iter().chain([&dead.name()]) {
            std::fs::create_dir_all(folder.path().join(name).join("1")).unwrap();
        }
        let swept = sweep(folder.path());
        assert_eq!(swept.len(), 1, "{swept:?}");
        assert!(Maker::parse(&swept[0]) == Some(dead));
        for name in names {
            assert!(folder.path().join(&name).exists(), "{name}");
        }
    }
}
