// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files and descriptors.
//!
//! In: C strings and descriptor numbers. Out: raw descriptor numbers, which the caller closes.
//!
//! **Invariant:** as the parent module: nothing allocates. Descriptors are numbers here because their owner is the
//! process that is about to become something else; everything is closed by `close_range` or by `execve`.

use std::ffi::{CStr, c_int, c_long};

use super::{Answer, check, check_int, check_unit};

/// What `fstat` says, as far as a cage needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) mode: u32,
}

pub(crate) fn openat(directory: c_int, path: &CStr, flags: c_int, mode: u32) -> Answer<c_int> {
    // SAFETY: `path` is a C string that outlives the call.
    check_int(unsafe {
        libc::syscall(libc::SYS_openat, directory, path.as_ptr(), flags | libc::O_CLOEXEC, mode as libc::c_ulong)
    })
}

/// Opens `path` with the given `RESOLVE_*` flags.
pub(crate) fn openat2(directory: c_int, path: &CStr, flags: c_int, resolve: u64) -> Answer<c_int> {
    #[repr(C)]
    struct OpenHow {
        flags: u64,
        mode: u64,
        resolve: u64,
    }
    let how = OpenHow { flags: (flags | libc::O_CLOEXEC) as u64, mode: 0, resolve };
    // SAFETY: `path` and `how` outlive the call and the size is that of `how`.
    check_int(unsafe {
        libc::syscall(libc::SYS_openat2, directory, path.as_ptr(), &raw const how, size_of::<OpenHow>())
    })
}

pub(crate) fn unlink(path: &CStr) -> Answer<()> {
    // SAFETY: `path` is a C string that outlives the call.
    check_unit(unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path.as_ptr(), 0 as c_long) })
}

pub(crate) fn close(descriptor: c_int) {
    // SAFETY: closing a number has no memory effects; the caller owns the descriptor.
    unsafe { libc::syscall(libc::SYS_close, descriptor) };
}

pub(crate) fn close_range(first: u32, last: u32, flags: u32) -> Answer<()> {
    // SAFETY: no memory is passed; the callers own every descriptor of the range.
    check_unit(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) })
}

pub(crate) fn duplicate_to(from: c_int, to: c_int) -> Answer<()> {
    // SAFETY: no memory is passed.
    check_unit(unsafe { libc::syscall(libc::SYS_dup3, from, to, 0) })
}

/// `O_RDONLY`, `O_WRONLY` or `O_RDWR` of an open descriptor.
pub(crate) fn access_mode(descriptor: c_int) -> Answer<c_int> {
    // SAFETY: no memory is passed.
    check_int(unsafe { libc::syscall(libc::SYS_fcntl, descriptor, libc::F_GETFL, 0 as c_long) })
        .map(|flags| flags & libc::O_ACCMODE)
}

pub(crate) fn read(descriptor: c_int, buffer: &mut [u8]) -> Answer<usize> {
    // SAFETY: the buffer is writable for its length.
    #[expect(clippy::cast_sign_loss, reason = "the answer was checked against -1")]
    check(unsafe { libc::syscall(libc::SYS_read, descriptor, buffer.as_mut_ptr(), buffer.len()) }).map(|n| n as usize)
}

pub(crate) fn write(descriptor: c_int, bytes: &[u8]) -> Answer<usize> {
    // SAFETY: the bytes are readable for their length.
    #[expect(clippy::cast_sign_loss, reason = "the answer was checked against -1")]
    check(unsafe { libc::syscall(libc::SYS_write, descriptor, bytes.as_ptr(), bytes.len()) }).map(|n| n as usize)
}

/// Writes everything; a short write goes on where it stopped.
pub(crate) fn write_all(descriptor: c_int, mut bytes: &[u8]) -> Answer<()> {
    while !bytes.is_empty() {
        let written = write(descriptor, bytes)?;
        bytes = bytes.get(written..).unwrap_or_default();
    }
    Ok(())
}

pub(crate) fn mkdirat(directory: c_int, path: &CStr, mode: u32) -> Answer<()> {
    // SAFETY: `path` outlives the call.
    check_unit(unsafe { libc::syscall(libc::SYS_mkdirat, directory, path.as_ptr(), mode as libc::c_ulong) })
}

pub(crate) fn symlinkat(target: &CStr, directory: c_int, path: &CStr) -> Answer<()> {
    // SAFETY: both strings outlive the call.
    check_unit(unsafe { libc::syscall(libc::SYS_symlinkat, target.as_ptr(), directory, path.as_ptr()) })
}

pub(crate) fn chdir(path: &CStr) -> Answer<()> {
    // SAFETY: `path` outlives the call.
    check_unit(unsafe { libc::syscall(libc::SYS_chdir, path.as_ptr()) })
}

pub(crate) fn fchdir(directory: c_int) -> Answer<()> {
    // SAFETY: no memory is passed.
    check_unit(unsafe { libc::syscall(libc::SYS_fchdir, directory) })
}

fn file_id(stat: &libc::stat) -> FileId {
    FileId { device: stat.st_dev, inode: stat.st_ino, mode: stat.st_mode }
}

/// Follows links, so that `/proc/self/ns/...` names the namespace.
pub(crate) fn stat(path: &CStr) -> Answer<FileId> {
    // SAFETY: all-zero bytes are a valid `stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `path` outlives the call and `stat` is writable.
    check_unit(c_long::from(unsafe { libc::stat(path.as_ptr(), &raw mut stat) }))?;
    Ok(file_id(&stat))
}

/// Whether `path` is the root of a mount; a final link is not followed.
pub(crate) fn is_mount_root(path: &CStr) -> Answer<bool> {
    // SAFETY: all-zero bytes are a valid `statx`.
    let mut statx: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: `path` outlives the call and `statx` is writable.
    check_unit(c_long::from(unsafe {
        libc::statx(libc::AT_FDCWD, path.as_ptr(), libc::AT_SYMLINK_NOFOLLOW, 0, &raw mut statx)
    }))?;
    let known = statx.stx_attributes_mask & libc::STATX_ATTR_MOUNT_ROOT as u64 != 0;
    Ok(known && statx.stx_attributes & libc::STATX_ATTR_MOUNT_ROOT as u64 != 0)
}

/// Reads the next entries of a directory as the kernel lays them out; 0 at the end.
pub(crate) fn list_directory(directory: c_int, buffer: &mut [u8]) -> Answer<usize> {
    // SAFETY: the buffer is writable for its length.
    #[expect(clippy::cast_sign_loss, reason = "the answer was checked against -1")]
    check(unsafe { libc::syscall(libc::SYS_getdents64, directory, buffer.as_mut_ptr(), buffer.len()) })
        .map(|n| n as usize)
}
