// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ends every descendant where there is no pid namespace that would do it.
//!
//! In: the program's process group. Out: no child is left, or the bound was reached.
//!
//! **Invariant:** only processes whose parent is this one are killed; orphans become its children, because it is a
//! child subreaper. Nothing here allocates.
//! A process that outran every round (a fork bomb that never pauses) would be left; a pid namespace has no such hole.

use std::ffi::{CStr, c_int};

use super::ignore;
use crate::syscall::{self, Errno, Patience, Which};

/// Most rounds; each ends one generation.
const ROUNDS_MAX: u32 = 10_000;
/// Bytes of one read of the process list.
const LIST_BYTES: usize = 8192;
/// Bytes read of a process's `stat`; the parent stands within the first hundred.
const STAT_BYTES: usize = 512;

/// Kills and reaps until no child is left.
pub(super) fn sweep_descendants(group: i32) {
    ignore(syscall::kill(group.saturating_neg(), libc::SIGKILL));
    let mut patience = Patience::Look; // Usually nothing is left, and the list of processes need not be read.
    for _ in 0..ROUNDS_MAX {
        match syscall::wait_child(Which::Any, patience) {
            Err(Errno(libc::ECHILD)) => return,
            _ => while matches!(syscall::wait_child(Which::Any, Patience::Look), Ok(Some(_))) {},
        }
        kill_children();
        patience = Patience::Wait;
    }
}

fn kill_children() {
    let Ok(list) = syscall::openat(libc::AT_FDCWD, c"/proc", libc::O_RDONLY | libc::O_DIRECTORY, 0) else {
        return;
    };
    let own = syscall::getpid();
    let mut buffer = [0; LIST_BYTES];
    while let Ok(length @ 1..) = syscall::list_directory(list, &mut buffer) {
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let Some((name, next)) = first_entry(rest) {
            if let Some(pid) = number(name.to_bytes())
                && parent_of(list, name) == Some(own)
            {
                ignore(syscall::kill(pid, libc::SIGKILL));
            }
            rest = next;
        }
    }
    syscall::close(list);
}

/// The name of the first entry of a directory listing and what follows it.
fn first_entry(listing: &[u8]) -> Option<(&CStr, &[u8])> {
    const LENGTH_OFFSET: usize = 16;
    const NAME_OFFSET: usize = 19;
    let length = usize::from(u16::from_ne_bytes(*listing.get(LENGTH_OFFSET..)?.first_chunk::<2>()?));
    let name = CStr::from_bytes_until_nul(listing.get(NAME_OFFSET..length)?).ok()?;
    Some((name, listing.get(length..)?))
}

fn parent_of(list: c_int, name: &CStr) -> Option<i32> {
    let folder = syscall::openat(list, name, libc::O_PATH | libc::O_DIRECTORY, 0).ok()?;
    let file = syscall::openat(folder, c"stat", libc::O_RDONLY, 0);
    syscall::close(folder);
    let file = file.ok()?;
    let mut buffer = [0; STAT_BYTES];
    let length = syscall::read(file, &mut buffer);
    syscall::close(file);
    parent_in(buffer.get(..length.ok()?)?)
}

/// The parent in a `stat` line. The name in brackets may hold anything, brackets and spaces included.
fn parent_in(stat: &[u8]) -> Option<i32> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    number(stat.get(end..)?.split(|byte| *byte == b' ').nth(2)?)
}

fn number(digits: &[u8]) -> Option<i32> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_are_found_behind_hostile_names() {
        for (stat, expected) in [
            ("17 (sh) S 4 17 17 0", Some(4)),
            ("17 (a) S 99 (b) R 5 1 1", Some(5)),
            ("17 (x y z)) Z 6 1 1", Some(6)),
            ("17 (sh", None),
            ("", None),
        ] {
            assert_eq!(parent_in(stat.as_bytes()), expected, "`{stat}`");
        }
    }
}
