// SPDX-License-Identifier: MIT OR Apache-2.0
//! A program that was started inside a traced cage and waits for an answer.
//!
//! In: a descriptor for the stopped process. Out: [`Begun`]: its words, the file that runs, its folder.
//!
//! **Invariant:** what is read belongs to the process of the descriptor: it was alive after the last read, so its number
//! had not been given to another. It has run nothing yet, so the words are those that the kernel laid out for it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::syscall;

/// Most bytes of a program's words that are read; the kernel allows a little more than 2 MiB.
pub const BEGUN_BYTES_MAX: u64 = 4 << 20;

/// Names one waiting program of a cage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question(pub(crate) i32);

/// What is to become of a waiting program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It runs.
    Run,
    /// Its process is killed before its first instruction.
    End,
}

/// A program that has begun and has run nothing yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The file that is executed, as it is named inside; for a script its interpreter.
    pub program: PathBuf,
    /// Its words, the first of which is whatever its starter chose.
    pub argv: Vec<OsString>,
    /// Its working folder, as it is named inside.
    pub cwd: PathBuf,
}

/// Reads what the process behind `pidfd` is about to run.
pub(super) fn read(pidfd: &OwnedFd) -> io::Result<Begun> {
    let gone = || io::Error::other("the process has gone");
    let facts = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let pid = facts.lines().find_map(|line| line.strip_prefix("Pid:")).map(str::trim).ok_or_else(gone)?;
    let pid: u32 = pid.parse().map_err(|_negative_when_gone| gone())?;
    let mut words = Vec::new();
    let list = File::open(format!("/proc/{pid}/cmdline"))?;
    list.take(BEGUN_BYTES_MAX + 1).read_to_end(&mut words)?;
    if words.len() as u64 > BEGUN_BYTES_MAX {
        return Err(io::Error::other("the command is too long"));
    }
    let program = std::fs::read_link(format!("/proc/{pid}/exe"))?;
    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd"))?;
    // Signal 0 reaches a process that is there, and only the one of the descriptor.
    syscall::pidfd_kill(pidfd.as_raw_fd(), 0)?;
    Ok(Begun { program, argv: split(&words), cwd })
}

/// The words of a command line as the kernel shows it: each ends with a null byte.
fn split(bytes: &[u8]) -> Vec<OsString> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_stands_between_null_bytes() {
        for (bytes, expected) in [
            (&b"sh\0-c\0a b\0"[..], &["sh", "-c", "a b"][..]),
            (b"a\0\0b\0", &["a", "", "b"]),
            (b"a\0\0", &["a", ""]),
            (b"\0", &[""]),
            (b"", &[""]),
        ] {
            assert_eq!(split(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn the_process_of_a_descriptor_is_read_and_no_other() {
        let own = i32::try_from(std::process::id()).unwrap();
        let pidfd = rustix::process::pidfd_open(
            rustix::process::Pid::from_raw(own).unwrap(),
            rustix::process::PidfdFlags::empty(),
        )
        .unwrap();
        let begun = read(&pidfd).unwrap();
        assert_eq!(begun.program, std::env::current_exe().unwrap());
        assert_eq!(begun.argv, std::env::args_os().collect::<Vec<_>>());
        assert_eq!(begun.cwd, std::env::current_dir().unwrap());
        assert!(read(&File::open("/dev/null").unwrap().into()).is_err(), "no process at all");
    }
}
