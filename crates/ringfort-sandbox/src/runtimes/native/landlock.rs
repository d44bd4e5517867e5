// SPDX-License-Identifier: MIT OR Apache-2.0
//! Landlock: which files, ports, sockets and processes a caged program may touch.
//!
//! In: the kernel's ABI and a list of grants. Out: a ruleset that the child applies to itself.
//!
//! **Invariant:** every right that the ABI knows is handled, so what is not granted is refused; nothing is dropped
//! silently: a rule that cannot be added, or a seventeenth layer (E2BIG), is an error.
//! Landlock cannot subtract: a path below a grant is reachable. Names of hidden files stay visible to `stat`.

use std::ffi::{CStr, CString, c_int};

use serde::{Deserialize, Serialize};

use crate::syscall::{self, Answer, Errno, LandlockHandled};

const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const MAKE_CHAR: u64 = 1 << 6;
const MAKE_BLOCK: u64 = 1 << 11;
const TRUNCATE: u64 = 1 << 14;
const IOCTL_DEV: u64 = 1 << 15;
const RESOLVE_UNIX: u64 = 1 << 16;
/// Rights that make sense for a file; others on a file are EINVAL.
const FILE_RIGHTS: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV | RESOLVE_UNIX;

const BIND_AND_CONNECT_TCP: u64 = 3;
const ABSTRACT_SOCKETS_AND_SIGNALS: u64 = 3;

/// The newest ABI whose rights are known here; a newer kernel is asked for these.
pub(crate) const ABI_MAX: u32 = 9;
/// The first ABI that keeps signals inside.
pub(crate) const ABI_WITH_SCOPES: u32 = 6;

/// What a grant lets the program do below a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Grant {
    /// List folders.
    List,
    /// Read and execute.
    Read,
    /// Read only, nothing is executed.
    Look,
    /// Everything but making device nodes.
    Write,
    /// Read, write and control devices.
    Device,
}

/// The rights that an ABI handles.
pub(super) fn handled(abi: u32) -> LandlockHandled {
    // Files: 13 rights at first, then REFER, TRUNCATE, IOCTL_DEV and RESOLVE_UNIX.
    let files = match abi {
        0 => 0,
        1 => (1 << 13) - 1,
        2 => (1 << 14) - 1,
        3 | 4 => (1 << 15) - 1,
        5..=8 => (1 << 16) - 1,
        _ => (1 << 17) - 1,
    };
    LandlockHandled {
        files,
        network: if abi >= 4 { BIND_AND_CONNECT_TCP } else { 0 },
        scopes: if abi >= ABI_WITH_SCOPES { ABSTRACT_SOCKETS_AND_SIGNALS } else { 0 },
    }
}

fn rights(grant: Grant) -> u64 {
    match grant {
        Grant::List => READ_DIR,
        Grant::Read => EXECUTE | READ_FILE | READ_DIR,
        Grant::Look => READ_FILE | READ_DIR,
        Grant::Write => !(MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV),
        Grant::Device => READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | IOCTL_DEV,
    }
}

/// A prepared ruleset.
pub(super) struct Rules {
    abi: u32,
    handled: LandlockHandled,
    grants: Vec<(CString, u64)>,
}

impl Rules {
    /// Starts with nothing granted.
    pub(super) fn new(abi: u32) -> Self {
        let abi = abi.min(ABI_MAX);
        Self { abi, handled: handled(abi), grants: Vec::new() }
    }

    /// Leaves TCP alone: the network namespace is the program's own, and what runs in it listens and connects there.
    pub(super) fn leave_network(&mut self) {
        self.handled.network = 0;
    }

    /// The ABI whose rights are handled; 0 when the kernel has no Landlock.
    pub(super) fn abi(&self) -> u32 {
        self.abi
    }

    /// Grants `grant` at and below `path`; a path that does not exist when the rules are applied grants nothing.
    pub(super) fn allow(&mut self, path: CString, grant: Grant) {
        self.grants.push((path, rights(grant)));
    }

    /// Applies the rules to the calling process; without Landlock nothing happens and the probe will say so.
    ///
    /// What `streams` have open may be opened again by name (`/dev/stderr`) with the access that they have already.
    pub(super) fn apply(&self, streams: &[c_int]) -> Answer<()> {
        if self.abi == 0 {
            return Ok(());
        }
        let ruleset = syscall::landlock_create(&self.handled)?;
        for stream in streams {
            self.apply_stream(ruleset, *stream)?;
        }
        for (path, rights) in &self.grants {
            self.apply_one(ruleset, path, *rights)?;
        }
        syscall::landlock_restrict(ruleset)?;
        syscall::close(ruleset);
        Ok(())
    }

    fn apply_stream(&self, ruleset: c_int, stream: c_int) -> Answer<()> {
        let rights = match syscall::access_mode(stream)? {
            libc::O_RDONLY => READ_FILE | IOCTL_DEV,
            libc::O_WRONLY => WRITE_FILE | TRUNCATE | IOCTL_DEV,
            _ => READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV,
        };
        match syscall::landlock_allow(ruleset, stream, rights & self.handled.files) {
            // Pipes have no place in a file tree; Landlock does not restrict them.
            Err(Errno(libc::EBADFD)) => Ok(()),
            answer => answer,
        }
    }

    fn apply_one(&self, ruleset: c_int, path: &CStr, rights: u64) -> Answer<()> {
        let descriptor = match syscall::openat(libc::AT_FDCWD, path, libc::O_PATH, 0) {
            Ok(descriptor) => descriptor,
            Err(Errno(libc::ENOENT | libc::ENOTDIR | libc::EACCES)) => return Ok(()),
            Err(errno) => return Err(errno),
        };
        let result = match self.allow_what(ruleset, descriptor, rights) {
            // A right of folders on a file. Trying costs less than asking first what each path is.
            Err(Errno(libc::EINVAL)) => self.allow_what(ruleset, descriptor, rights & FILE_RIGHTS),
            answer => answer,
        };
        syscall::close(descriptor);
        result
    }

    fn allow_what(&self, ruleset: c_int, descriptor: c_int, rights: u64) -> Answer<()> {
        match rights & self.handled.files {
            0 => Ok(()),
            files => syscall::landlock_allow(ruleset, descriptor, files),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_only_adds_rights() {
        let mut before = handled(0);
        assert_eq!(before, LandlockHandled::default());
        for abi in 1..=ABI_MAX {
            let now = handled(abi);
            assert_eq!(now.files & before.files, before.files, "ABI {abi} loses a file right");
            assert_eq!(now.network & before.network, before.network, "ABI {abi} loses a network right");
            assert_eq!(now.scopes & before.scopes, before.scopes, "ABI {abi} loses a scope");
            before = now;
        }
        assert_eq!(handled(ABI_MAX + 5), handled(ABI_MAX));
        for (abi, files, network, scopes) in [
            (1, 0x1fff, 0, 0),
            (2, 0x3fff, 0, 0),
            (3, 0x7fff, 0, 0),
            (4, 0x7fff, 3, 0),
            (5, 0xffff, 3, 0),
            (6, 0xffff, 3, 3),
        ] {
            assert_eq!(handled(abi), LandlockHandled { files, network, scopes }, "ABI {abi}");
        }
    }

    #[test]
    fn deny_devices_in_writable_folders() {
        assert_eq!(rights(Grant::Write) & (MAKE_CHAR | MAKE_BLOCK | IOCTL_DEV), 0);
        assert_eq!(rights(Grant::Read) & (WRITE_FILE | TRUNCATE), 0);
        assert_eq!(rights(Grant::Look) & EXECUTE, 0);
    }
}
