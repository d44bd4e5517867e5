// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this host offers to a cage, found by trying.
//!
//! In: nothing. Out: [`HostFeatures`] for `doctor`.
//!
//! **Invariant:** every answer comes from the kernel's behaviour, never from a version number or a settings file.

use std::path::Path;

use serde::Serialize;

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
    /// Whether the unified control group hierarchy is mounted (limits by group; not used yet).
    pub unified_cgroup: bool,
}

/// Finds out what this host offers. Starts one child that ends at once.
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
        unified_cgroup: Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
    }
}
