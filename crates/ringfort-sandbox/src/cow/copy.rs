// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes one entry like another: content with its holes, mode, times and attributes.
//!
//! In: open files and folders. Out: fresh entries, never an existing one.
//!
//! **Invariant:** what is made is made with no rights for others and gets its mode last, so that nothing is ever more
//! open than its model. Nothing here chooses names.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, SeekFrom, Timespec, Timestamps, UTIME_OMIT, XattrFlags};
use rustix::io::Errno;

use super::facts::{Facts, Kind, Xattr, own_path};
use crate::startup::beneath::Moment;

/// Bytes that one call copies at most.
const CHUNK_BYTES: usize = 8 << 20;
/// The buffer where the kernel cannot copy by itself. Bytes.
const BUFFER_BYTES: usize = 128 << 10;

/// Copies the content of `from` into the empty file `to`: shared blocks where the file system can, else block by
/// block, holes as holes. Answers how many bytes of data were written.
pub(super) fn copy_content(from: BorrowedFd<'_>, to: BorrowedFd<'_>, size: u64) -> Result<u64, Errno> {
    if size == 0 || rustix::fs::ioctl_ficlone(to, from).is_ok() {
        return Ok(0);
    }
    let mut copied = 0;
    let mut at = 0_u64;
    while at < size {
        let data = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(data) => data,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            // A file system that knows no holes.
            Err(Errno::INVAL) => at,
            Err(error) => return Err(error),
        };
        let end = rustix::fs::seek(from, SeekFrom::Hole(data)).unwrap_or(size).min(size);
        if end <= data {
            break;
        }
        copied += copy_range(from, to, data, end)?;
        at = end;
    }
    rustix::fs::ftruncate(to, size)?;
    Ok(copied)
}

fn copy_range(from: BorrowedFd<'_>, to: BorrowedFd<'_>, start: u64, end: u64) -> Result<u64, Errno> {
    let (mut source, mut target) = (start, start);
    while source < end {
        let want = usize::try_from(end - source).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        match rustix::fs::copy_file_range(from, Some(&mut source), to, Some(&mut target), want) {
            // The file got shorter meanwhile; its identity tells whoever asks.
            Ok(0) => break,
            Ok(_) => {}
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM) => {
                return copy_by_hand(from, to, source, end).map(|more| source - start + more);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(source - start)
}

fn copy_by_hand(from: BorrowedFd<'_>, to: BorrowedFd<'_>, start: u64, end: u64) -> Result<u64, Errno> {
    let mut buffer = vec![0_u8; BUFFER_BYTES];
    let mut at = start;
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(BUFFER_BYTES).min(BUFFER_BYTES);
        let read = match rustix::io::pread(from, buffer.get_mut(..want).unwrap_or_default(), at) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        if read == 0 {
            break;
        }
        let mut written = 0;
        while written < read {
            let rest = buffer.get(written..read).unwrap_or_default();
            written += rustix::io::pwrite(to, rest, at + written as u64)?;
        }
        at += read as u64;
    }
    Ok(at - start)
}

/// A new empty file for its owner alone.
pub(super) fn fresh_file(folder: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)
}

/// A new empty folder for its owner alone, open.
pub(super) fn fresh_folder(folder: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    rustix::fs::mkdirat(folder, name, Mode::RWXU)?;
    open_folder(folder, name)
}

pub(super) fn open_folder(folder: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty())
}

/// A new named pipe.
pub(super) fn fresh_pipe(folder: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    rustix::fs::mknodat(folder, name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
}

/// Whom it belongs to, its attributes, mode and time of change, as `facts` say. In this order: each step may undo a
/// part of a later one.
pub(super) fn dress(fd: BorrowedFd<'_>, facts: &Facts, owner: Owner, xattrs: &[Xattr]) -> Result<(), Errno> {
    set_owner(fd, owner)?;
    for (name, value) in xattrs {
        rustix::fs::setxattr(own_path(fd), name.as_os_str(), value, XattrFlags::empty())?;
    }
    rustix::fs::chmod(own_path(fd), Mode::from_raw_mode(facts.mode))?;
    set_modified(fd, facts.modified)
}

/// Whom an entry is to belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// Whoever makes it.
    Maker,
    /// This user and group, as far as the caller may give it to them.
    Of(u32, u32),
}

fn set_owner(fd: BorrowedFd<'_>, owner: Owner) -> Result<(), Errno> {
    let Owner::Of(user, group) = owner else { return Ok(()) };
    let now = super::facts::facts_of(fd)?;
    if (now.user, now.group) == (user, group) {
        return Ok(());
    }
    let both = (Some(rustix::fs::Uid::from_raw(user)), Some(rustix::fs::Gid::from_raw(group)));
    match rustix::fs::chownat(fd, "", both.0, both.1, AtFlags::EMPTY_PATH) {
        // An ordinary user may keep a group of its own, and gives nothing away.
        Err(Errno::PERM) => match rustix::fs::chownat(fd, "", None, both.1, AtFlags::EMPTY_PATH) {
            Err(Errno::PERM) => Ok(()),
            other => other,
        },
        other => other,
    }
}

/// Sets the time of the last change of what is open.
pub(super) fn set_modified(fd: BorrowedFd<'_>, modified: Moment) -> Result<(), Errno> {
    rustix::fs::utimensat(rustix::fs::CWD, own_path(fd), &times(modified), AtFlags::empty())
}

/// Sets the time of the last change of a link itself.
pub(super) fn set_link_modified(folder: BorrowedFd<'_>, name: &OsStr, modified: Moment) -> Result<(), Errno> {
    rustix::fs::utimensat(folder, name, &times(modified), AtFlags::SYMLINK_NOFOLLOW)
}

fn times(modified: Moment) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: modified.seconds, tv_nsec: i64::from(modified.nanoseconds) },
    }
}

/// Whether the bytes of two open files of `size` bytes are the same.
pub(super) fn is_same_content(one: BorrowedFd<'_>, other: BorrowedFd<'_>, size: u64) -> Result<bool, Errno> {
    let (mut left, mut right) = (vec![0_u8; BUFFER_BYTES], vec![0_u8; BUFFER_BYTES]);
    let mut at = 0;
    while at < size {
        let length = read_full(one, &mut left, at)?;
        if length == 0 || read_full(other, &mut right, at)? != length || left.get(..length) != right.get(..length) {
            return Ok(false);
        }
        at += length as u64;
    }
    Ok(true)
}

fn read_full(fd: BorrowedFd<'_>, buffer: &mut [u8], at: u64) -> Result<usize, Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(fd, buffer.get_mut(filled..).unwrap_or_default(), at + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Makes `name` in `folder` a copy of the link, pipe or empty file of this kind. Files and folders are not made here.
pub(super) fn fresh_other(
    folder: BorrowedFd<'_>,
    name: &OsStr,
    facts: &Facts,
    target: Option<&OsStr>,
) -> Result<(), Errno> {
    match (facts.kind, target) {
        (Kind::Link, Some(target)) => {
            rustix::fs::symlinkat(target, folder, name)?;
            set_link_modified(folder, name, facts.modified)
        }
        (Kind::Pipe, _) => {
            fresh_pipe(folder, name)?;
            let fd = rustix::fs::openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty())?;
            dress(fd.as_fd(), facts, Owner::Maker, &[])
        }
        _ => Err(Errno::OPNOTSUPP),
    }
}
