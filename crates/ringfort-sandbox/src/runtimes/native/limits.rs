// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds each limit: a control group where there is one, a resource limit where that means the same or less.
//!
//! In: a profile. Out: the cage's control group, resource limits for the child, and by which means each limit is held.
//!
//! **Invariant:** a limit that nothing on this host holds is an error; nothing is started without it.

use std::ffi::c_uint;

use crate::achieved::{HeldLimit, Means};
use crate::group::{Controller, Group, Leaf, Version};
use crate::launch::LaunchError;
use crate::profile::{Limits, Profile};
use crate::syscall;

/// What bounds one cage.
pub(crate) struct Limited {
    pub(crate) leaf: Option<Leaf>,
    pub(crate) rlimits: Vec<(c_uint, u64)>,
    pub(crate) held: Vec<HeldLimit>,
}

/// Finds what holds the limits of `profile`, and makes the control group.
pub(crate) fn resolve(profile: &Profile) -> Result<Limited, LaunchError> {
    let limits = &profile.limits;
    let group = profile.group.clone().or_else(|| Group::for_limits(limits));
    let mut limited =
        Limited { leaf: None, rlimits: vec![(libc::RLIMIT_CORE, limits.core_bytes_max)], held: Vec::new() };
    for (limit, controller) in
        [("memory_mb", Controller::Memory), ("processes", Controller::Pids), ("cpu_percent", Controller::Cpu)]
    {
        if let Some(bound) = controller.asked(limits) {
            limited.hold(limit, controller, bound, group.as_ref())?;
        }
    }
    for (limit, resource, bound) in [
        ("descriptors", libc::RLIMIT_NOFILE, limits.descriptors_max),
        ("file_mb", libc::RLIMIT_FSIZE, limits.file_bytes_max),
        ("cpu_secs", libc::RLIMIT_CPU, limits.cpu_s_max),
    ] {
        if let Some(bound) = bound {
            limited.rlimits.push((resource, bound));
            limited.held.push(HeldLimit { limit, bound, means: Means::Rlimit });
        }
    }
    if let Some(group) = group {
        limited.leaf = leaf(&group, limits)?;
    }
    Ok(limited)
}

fn leaf(group: &Group, limits: &Limits) -> Result<Option<Leaf>, LaunchError> {
    group
        .leaf(limits)
        .map(Some)
        .map_err(|source| LaunchError::Setup { what: "making a control group".to_owned(), source })
}

impl Limited {
    fn hold(
        &mut self,
        limit: &'static str,
        controller: Controller,
        bound: u64,
        group: Option<&Group>,
    ) -> Result<(), LaunchError> {
        let missing = |also: &str| {
            let why = group.and_then(|group| group.missing(controller)).unwrap_or("there is no control group");
            LaunchError::Limit { limit, reason: format!("{why}{also}") }
        };
        let means = match (group.and_then(|group| group.bound(controller)), controller) {
            (Some((_, Version::V2)), _) => Means::CgroupV2,
            (Some((_, Version::V1)), _) => Means::CgroupV1,
            (None, Controller::Memory) => {
                self.rlimits.push((libc::RLIMIT_AS, bound));
                Means::Rlimit
            }
            (None, Controller::Pids) if is_counted() => {
                self.rlimits.push((libc::RLIMIT_NPROC, bound));
                Means::Rlimit
            }
            (None, Controller::Pids) => return Err(missing("; and root is exempt from the resource limit")),
            (None, Controller::Cpu) => return Err(missing("; and no resource limit bounds a share of the processors")),
        };
        self.held.push(HeldLimit { limit, bound, means });
        Ok(())
    }
}

/// Whether the kernel counts this user's processes: the root of the machine is exempt, one of a user namespace is not.
fn is_counted() -> bool {
    if syscall::effective_ids().0 != 0 {
        return true;
    }
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let outside = map.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        (words.next()? == "0").then_some(words.next()?)
    });
    outside.is_some_and(|outside| outside != "0")
}
