// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel of this host offers to a cage, tried and not read from a version number.

use ringfort_sandbox::group::{Controller, Version};

use super::{Check, Report, Subject};

pub(super) const ENTRY: Check = Check { id: "kernel", title: "what this host offers", look };

/// The Landlock ABI from which signals and abstract sockets can be kept inside.
const LANDLOCK_SCOPES: u32 = 6;

/// Which limits control groups can hold for everything that a session starts.
fn groups(groups: &[(Controller, Version)]) -> Report {
    let form = |version: &Version| match version {
        Version::V1 => "v1",
        Version::V2 => "v2",
    };
    let held: Vec<String> =
        groups.iter().map(|(controller, version)| format!("{} ({})", controller.as_str(), form(version))).collect();
    match held.len() {
        0 => ENTRY.warn(
            "control groups hold no limit for this user: `memory_mb` binds each process alone, `cpu_percent` cannot be had",
            "start Ringfort in a delegated group: `systemd-run --user --scope -p Delegate=yes ringfort run …`",
        ),
        _ => ENTRY.pass(format!("control groups hold limits: {}", held.join(", "))),
    }
}

fn look(subject: &Subject<'_>) -> Vec<Report> {
    let host = &subject.host;
    let mut reports = vec![match host.landlock_abi {
        Some(abi) if abi >= LANDLOCK_SCOPES => {
            ENTRY.pass(format!("Landlock ABI {abi} on Linux {}", host.kernel_release))
        }
        Some(abi) => ENTRY.warn(
            format!("Landlock ABI {abi} is older than {LANDLOCK_SCOPES}: signals and abstract sockets need namespaces"),
            "use Linux 6.12 or later",
        ),
        None => ENTRY
            .fail("this kernel has no Landlock", "boot with Landlock enabled (`lsm=landlock,…`), Linux 5.13 or later"),
    }];
    reports.push(if host.seccomp {
        ENTRY.pass("system calls can be filtered")
    } else {
        ENTRY.fail("this kernel has no seccomp filter", "use a kernel with CONFIG_SECCOMP_FILTER")
    });
    reports.push(if host.user_namespaces && host.mounts {
        ENTRY.pass("user namespaces with mounts work here")
    } else if host.root_namespaces {
        ENTRY.warn(
            "user namespaces do not work here: cages are reduced, made by root's own rights",
            "allow user namespaces (sysctl user.max_user_namespaces) for full ones",
        )
    } else {
        ENTRY.warn(
            "user namespaces do not work here: cages are minimal, and start-up files in the workspace cannot be protected",
            "allow unprivileged user namespaces, or set `require` under `[sandbox]` to what a minimal cage keeps",
        )
    });
    reports.push(groups(&host.groups));
    reports.push(if host.overlays {
        ENTRY.pass("scratch copies of caches work here")
    } else {
        ENTRY.warn("overlays do not work here: caches of toolchains are read-only inside", "use Linux 5.11 or later")
    });
    reports
}
