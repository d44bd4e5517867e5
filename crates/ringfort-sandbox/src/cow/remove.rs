// SPDX-License-Identifier: MIT OR Apache-2.0
//! Removes a tree that a hostile program may have shaped: shut folders, and deeper than a path can say.
//!
//! In: an open folder and a name in it. Out: nothing of that name is left, or an error that says what is in the way.
//!
//! **Invariant:** no link is followed and no mount is entered. Memory and descriptors are bounded whatever the tree's
//! shape: what lies too deep is lifted to the top first.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::facts::{Kind, facts_at, facts_of};
use crate::startup::beneath::{self, Root};

/// Deepest folder that is emptied in its place.
const DEPTH_MAX: usize = 64;
/// Names that are read from a folder before they are removed.
const BATCH: usize = 4_096;

/// Begins the name of a folder that is being removed.
pub const GONE: &str = ".gone-";

/// Removes the folder `path` and everything in it, under another name first: half a layer would read as other changes.
///
/// # Errors
///
/// Something could not be removed; what is left stands under a name that begins with [`GONE`], or all is as it was.
pub fn remove(path: &Path) -> std::io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(std::io::ErrorKind::InvalidInput.into());
    };
    let parent = Root::open(parent)?;
    let folder = parent.directory(Path::new(""))?;
    let folder = folder.as_fd();
    let mut gone = OsString::from(GONE);
    gone.push(name);
    remove_at(folder, &gone)?;
    match rustix::fs::renameat(folder, name, folder, &gone) {
        Ok(()) => Ok(remove_at(folder, &gone)?),
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Goes on with a removal that was interrupted; `path` is what is left.
///
/// # Errors
///
/// Something could not be removed; the rest may be gone.
pub fn remove_rest(path: &Path) -> std::io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(std::io::ErrorKind::InvalidInput.into());
    };
    let folder = Root::open(parent)?.directory(Path::new(""))?;
    Ok(remove_at(folder.as_fd(), name)?)
}

/// Removes `name` in `folder`; nothing there is no error.
pub(super) fn remove_at(folder: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    let Some(facts) = facts_at(folder, name)? else { return Ok(()) };
    if facts.kind != Kind::Folder {
        return unlink(folder, name, AtFlags::empty());
    }
    let mount = facts_of(folder)?.mount;
    let mut lifted = 0_u64;
    loop {
        let top = open_up(folder, name, mount)?;
        let mut remover = Remover { top: top.as_fd(), mount, lifted };
        remover.empty(top.as_fd(), 0)?;
        let more = remover.lifted > lifted;
        lifted = remover.lifted;
        if !more {
            return unlink(folder, name, AtFlags::REMOVEDIR);
        }
    }
}

struct Remover<'a> {
    top: BorrowedFd<'a>,
    mount: u64,
    /// How many folders were lifted so far; each gets a name of its own.
    lifted: u64,
}

impl Remover<'_> {
    fn empty(&mut self, folder: BorrowedFd<'_>, depth: usize) -> Result<(), Errno> {
        loop {
            let before = self.lifted;
            let listing = beneath::list(reopened(folder)?.as_fd(), BATCH)?;
            for entry in &listing.entries {
                self.one(folder, &entry.name, depth)?;
            }
            // At the top there are new names after a lift; they are the next round's.
            if !listing.truncated && (depth > 0 || self.lifted == before) {
                return Ok(());
            }
        }
    }

    fn one(&mut self, folder: BorrowedFd<'_>, name: &OsStr, depth: usize) -> Result<(), Errno> {
        let Some(facts) = facts_at(folder, name)? else { return Ok(()) };
        if facts.kind != Kind::Folder {
            return unlink(folder, name, AtFlags::empty());
        }
        let inner = open_up(folder, name, self.mount)?;
        if depth < DEPTH_MAX {
            self.empty(inner.as_fd(), depth + 1)?;
            return unlink(folder, name, AtFlags::REMOVEDIR);
        }
        self.lifted += 1;
        let aside = OsString::from(format!(".lifted-{}-{}", self.lifted, facts.inode));
        rustix::fs::renameat(folder, name, self.top, aside)
    }
}

/// A handle of its own, so that listing begins at the beginning.
fn reopened(folder: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(folder, ".", flags, Mode::empty())
}

/// Opens a folder that is to be emptied, with the rights for that.
fn open_up(folder: BorrowedFd<'_>, name: &OsStr, mount: u64) -> Result<OwnedFd, Errno> {
    let open = || super::copy::open_folder(folder, name);
    let facts = facts_at(folder, name)?.ok_or(Errno::NOENT)?;
    if facts.kind == Kind::Folder && facts.mode & 0o700 != 0o700 {
        // If this fails the opening or the removal says so.
        beneath::make_accessible(folder, name).ok();
    }
    let fd = open()?;
    // A mount in the tree is somebody else's: neither entered nor taken for empty.
    if facts_of(fd.as_fd())?.mount != mount { Err(Errno::BUSY) } else { Ok(fd) }
}

fn unlink(folder: BorrowedFd<'_>, name: &OsStr, flags: AtFlags) -> Result<(), Errno> {
    match rustix::fs::unlinkat(folder, name, flags) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}
