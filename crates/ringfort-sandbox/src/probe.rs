// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this host offers to a cage, found by trying.
//!
//! In: nothing. Out: [`HostFeatures`] for `doctor`.
//!
//! **Invariant:** every answer comes from the kernel's behaviour, never from a version number or a settings file.

use serde::Serialize;

use crate::group::{Controller, Group, Version};
use crate::syscall;

/// What this host offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostFeatures {
    /// The kernel's release, for the report only.
    pub kernel_release: String,
    /// The Landlock ABI; `None` where the kernel has none or it is switched off.
    pub landlock_abi: Option<u32>,
    /// The newest ABI whose rights this version uses.
    pub landlock_abi_known: u32,
    /// Whether system call filters can be installed.
    pub seccomp: bool,
    /// Whether this user may make a user namespace with all the others and map itself into it.
    pub user_namespaces: bool,
    /// Whether mounts can be made inside one.
    pub mounts: bool,
    /// Whether overlays can be mounted inside one; without, scratch folders are read-only.
    pub overlays: bool,
    /// Whether this user's own rights make the other namespaces without one (root).
    pub root_namespaces: bool,
    /// What can be bounded for everything that a session starts, and by which form of control groups.
    pub groups: Vec<(Controller, Version)>,
}

/// Finds out what this host offers. Starts two children that end at once, and makes control groups that are removed at once.
pub fn probe() -> HostFeatures {
    let tried = crate::runtimes::native::try_namespaces();
    HostFeatures {
        kernel_release: rustix::system::uname().release().to_string_lossy().into_owned(),
        landlock_abi: syscall::landlock_abi().ok(),
        landlock_abi_known: crate::runtimes::native::LANDLOCK_ABI_MAX,
        seccomp: syscall::filter_available(),
        user_namespaces: tried.identity,
        mounts: tried.mounts,
        overlays: tried.overlays,
        root_namespaces: crate::runtimes::native::try_rooted().mounts,
        groups: Group::available(),
    }
}
