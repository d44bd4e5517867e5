// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mount calls of Linux 5.12 and later.
//!
//! In: descriptors of detached mounts. Out: mounts with their attributes set *before* they are attached.
//!
//! **Invariant:** attributes are only ever added, so flags that the outer namespace locked stay as they are.

use std::ffi::{CStr, c_int, c_uint};

use super::{Answer, check_int, check_unit};

/// Mount attributes (`MOUNT_ATTR_*`).
pub(crate) const RDONLY: u64 = libc::MOUNT_ATTR_RDONLY;
/// No set-user-id.
pub(crate) const NOSUID: u64 = libc::MOUNT_ATTR_NOSUID;
/// No device nodes.
pub(crate) const NODEV: u64 = libc::MOUNT_ATTR_NODEV;
/// Nothing is executed.
pub(crate) const NOEXEC: u64 = libc::MOUNT_ATTR_NOEXEC;

const FSCONFIG_SET_FLAG: c_uint = 0;
const FSCONFIG_SET_STRING: c_uint = 1;
const FSCONFIG_CMD_CREATE: c_uint = 6;
const FSOPEN_CLOEXEC: c_uint = 1;
const FSMOUNT_CLOEXEC: c_uint = 1;
const OPEN_TREE_CLONE: c_uint = 1;
const MOVE_MOUNT_F_EMPTY_PATH: c_uint = 0x04;
const MOVE_MOUNT_T_EMPTY_PATH: c_uint = 0x40;

/// Stops propagation in both directions for everything that is mounted here.
pub(crate) fn make_all_private() -> Answer<()> {
    // SAFETY: the strings are literals; source, type and data may be null for a propagation change.
    check_unit(unsafe {
        libc::syscall(
            libc::SYS_mount,
            std::ptr::null::<u8>(),
            c"/".as_ptr(),
            std::ptr::null::<u8>(),
            libc::MS_REC | libc::MS_PRIVATE,
            std::ptr::null::<u8>(),
        )
    })
}

pub(crate) fn fsopen(kind: &CStr) -> Answer<c_int> {
    // SAFETY: `kind` outlives the call.
    check_int(unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) })
}

pub(crate) fn fsconfig_string(context: c_int, key: &CStr, value: &CStr) -> Answer<()> {
    // SAFETY: both strings outlive the call.
    check_unit(unsafe {
        libc::syscall(libc::SYS_fsconfig, context, FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr(), 0)
    })
}

pub(crate) fn fsconfig_flag(context: c_int, key: &CStr) -> Answer<()> {
    // SAFETY: `key` outlives the call.
    check_unit(unsafe {
        libc::syscall(libc::SYS_fsconfig, context, FSCONFIG_SET_FLAG, key.as_ptr(), std::ptr::null::<u8>(), 0)
    })
}

pub(crate) fn fsconfig_create(context: c_int) -> Answer<()> {
    // SAFETY: this command takes no key and no value.
    check_unit(unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context,
            FSCONFIG_CMD_CREATE,
            std::ptr::null::<u8>(),
            std::ptr::null::<u8>(),
            0,
        )
    })
}

pub(crate) fn fsmount(context: c_int, attributes: u64) -> Answer<c_int> {
    // SAFETY: no memory is passed.
    check_int(unsafe { libc::syscall(libc::SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes) })
}

/// A detached copy of the mount tree at `path`; a final link is not followed.
///
/// With an empty `path` the tree at `directory` itself.
pub(crate) fn open_tree_clone(directory: c_int, path: &CStr) -> Answer<c_int> {
    let flags = OPEN_TREE_CLONE
        | libc::O_CLOEXEC as c_uint
        | libc::AT_RECURSIVE as c_uint
        | libc::AT_SYMLINK_NOFOLLOW as c_uint
        | libc::AT_EMPTY_PATH as c_uint;
    // SAFETY: `path` outlives the call.
    check_int(unsafe { libc::syscall(libc::SYS_open_tree, directory, path.as_ptr(), flags) })
}

/// Whether a change goes for a mount alone or for the tree below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    One,
    Tree,
}

/// Adds attributes; none is taken away.
pub(crate) fn mount_setattr(mount: c_int, depth: Depth, attributes: u64) -> Answer<()> {
    let attr = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if depth == Depth::Tree { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a literal, `attr` outlives the call and the size is its own.
    check_unit(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount,
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    })
}

/// Attaches a detached mount at `path`.
pub(crate) fn move_mount_to_path(mount: c_int, path: &CStr) -> Answer<()> {
    // SAFETY: both strings outlive the call.
    check_unit(unsafe {
        libc::syscall(libc::SYS_move_mount, mount, c"".as_ptr(), libc::AT_FDCWD, path.as_ptr(), MOVE_MOUNT_F_EMPTY_PATH)
    })
}

/// Attaches a detached mount at what `target` has open, so that no path is walked twice.
pub(crate) fn move_mount_to(mount: c_int, target: c_int) -> Answer<()> {
    // SAFETY: the strings are literals.
    check_unit(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            mount,
            c"".as_ptr(),
            target,
            c"".as_ptr(),
            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
        )
    })
}

/// Makes the current folder the root and lets go of the old one.
pub(crate) fn pivot_here() -> Answer<()> {
    // SAFETY: the strings are literals.
    check_unit(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) })?;
    unmount_detached(c".")
}

pub(crate) fn unmount_detached(path: &CStr) -> Answer<()> {
    // SAFETY: `path` outlives the call.
    check_unit(unsafe { libc::syscall(libc::SYS_umount2, path.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) })
}
