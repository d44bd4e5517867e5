// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bounds of a container, and whether the kernel really has them.
//!
//! In: limits of the profile, the settings of containers, the process inside as seen from outside. Out: what the engine
//! is told, resource limits for what no engine holds, and for each limit what holds it.
//!
//! **Invariant:** a limit that a policy asks for counts as held only when the control group of the process shows it;
//! otherwise nothing is started. The bound that only a container setting asks for is missed with a warning.

use std::ffi::c_uint;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::achieved::{HeldLimit, Means};
use crate::launch::LaunchError;
use crate::profile::{Container, Limits, Profile};

/// The process of ours that stands above the program.
pub(super) const KEEPER_PROCESSES: u64 = 1;
/// Allowance by which the kernel may round a bound: one page of the largest size.
const PAGE_BYTES: u64 = 64 << 10;
/// Largest file of the kernel that is read here, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;
/// Where the kernel shows control groups.
const GROUPS: &str = "/sys/fs/cgroup";

/// What the engine is told: the smaller of what the policy and the settings ask for.
#[derive(Debug, PartialEq)]
pub(super) struct Bounds {
    pub(super) memory: u64,
    pub(super) processes: u64,
    pub(super) cpus: f64,
}

impl Bounds {
    pub(super) fn new(limits: &Limits, container: &Container) -> Self {
        let least = |asked: Option<u64>, set: u64| asked.map_or(set, |asked| asked.min(set));
        let percent = limits.cpu_percent_max.and_then(|percent| u32::try_from(percent).ok());
        Self {
            memory: least(limits.memory_bytes_max, container.memory_bytes),
            processes: least(limits.processes_max, container.processes_max),
            cpus: percent.map_or(container.cpus, |percent| container.cpus.min(f64::from(percent) / 100.0)),
        }
    }
}

/// What no engine holds, for the program's own process.
pub(super) fn rlimits(limits: &Limits) -> Vec<(c_uint, u64)> {
    by_resource(limits)
        .into_iter()
        .map(|(_, resource, bound)| (resource, bound))
        .chain([(libc::RLIMIT_CORE, limits.core_bytes_max)])
        .collect()
}

fn by_resource(limits: &Limits) -> Vec<(&'static str, c_uint, u64)> {
    [
        ("descriptors", libc::RLIMIT_NOFILE, limits.descriptors_max),
        ("file_mb", libc::RLIMIT_FSIZE, limits.file_bytes_max),
        ("cpu_secs", libc::RLIMIT_CPU, limits.cpu_s_max),
    ]
    .into_iter()
    .filter_map(|(limit, resource, bound)| Some((limit, resource, bound?)))
    .collect()
}

/// A bound that an engine was told.
struct Told {
    limit: &'static str,
    controller: &'static str,
    bound: u64,
    /// Whether a policy asks for it.
    is_asked: bool,
    /// Whether what the kernel shows is this bound or less.
    is_held: bool,
}

/// What holds each limit of the container that `pid` is in, and a warning for each that nothing holds.
///
/// # Errors
///
/// A limit that the policy asks for is not held.
pub(super) fn seen(
    pid: i32,
    profile: &Profile,
    container: &Container,
) -> Result<(Vec<HeldLimit>, Vec<String>), LaunchError> {
    let limits = &profile.limits;
    let bounds = Bounds::new(limits, container);
    let groups = Groups::of(pid);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "settings bound it to 0 … 4096")]
    let percent = (bounds.cpus * 100.0).ceil() as u64;
    let shown = |controller, v1, v2| groups.shown(controller, v1, v2);
    let memory = shown("memory", "memory.limit_in_bytes", "memory.max");
    let processes = shown("pids", "pids.max", "pids.max");
    let told = [
        Told {
            limit: "memory_mb",
            controller: "memory",
            bound: bounds.memory,
            is_asked: limits.memory_bytes_max.is_some(),
            is_held: memory.is_some_and(|shown| shown <= bounds.memory.saturating_add(PAGE_BYTES)),
        },
        Told {
            limit: "processes",
            controller: "pids",
            bound: bounds.processes,
            is_asked: limits.processes_max.is_some(),
            is_held: processes.is_some_and(|shown| shown <= bounds.processes.saturating_add(KEEPER_PROCESSES)),
        },
        Told {
            limit: "cpu_percent",
            controller: "cpu",
            bound: percent,
            is_asked: limits.cpu_percent_max.is_some(),
            is_held: groups.percent().is_some_and(|shown| shown <= percent),
        },
    ];
    let (mut held, mut warnings) = (Vec::new(), Vec::new());
    for Told { limit, controller, bound, is_asked, is_held } in told {
        if is_held {
            held.push(HeldLimit { limit, bound, means: Means::Engine });
        } else if is_asked {
            let reason = format!("the engine has set no such bound for `{controller}`");
            return Err(LaunchError::Limit { limit, reason });
        } else {
            warnings.push(format!("the engine holds no bound for `{controller}` here"));
        }
    }
    held.extend(by_resource(limits).into_iter().map(|(limit, _, bound)| HeldLimit {
        limit,
        bound,
        means: Means::Rlimit,
    }));
    Ok((held, warnings))
}

/// The control groups of a process, each with its controllers.
struct Groups(Vec<(String, PathBuf)>);

impl Groups {
    fn of(pid: i32) -> Self {
        Self::parse(&read(Path::new(&format!("/proc/{pid}/cgroup"))).unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let mut parts = line.splitn(3, ':').skip(1);
            Some((parts.next()?.to_owned(), PathBuf::from(parts.next()?.trim_start_matches('/'))))
        };
        Self(text.lines().filter_map(line).collect())
    }

    /// The folder of a controller in the old form, or of the unified one, which is named by no controller.
    fn folder(&self, controller: &str) -> Option<(PathBuf, bool)> {
        let named = |wanted: &str| self.0.iter().find(|(names, _)| names.split(',').any(|name| name == wanted));
        if let Some((_, path)) = named(controller) {
            return Some((Path::new(GROUPS).join(controller).join(path), true));
        }
        named("").map(|(_, path)| (Path::new(GROUPS).join(path), false))
    }

    /// The number in the file of a controller; `None` where there is none or it is no bound.
    fn shown(&self, controller: &str, v1: &str, v2: &str) -> Option<u64> {
        let (folder, is_old) = self.folder(controller)?;
        read(&folder.join(if is_old { v1 } else { v2 }))?.trim().parse().ok()
    }

    /// The share of the processors, in percent of one.
    fn percent(&self) -> Option<u64> {
        let (folder, is_old) = self.folder("cpu")?;
        let (quota, period) = if is_old {
            (read(&folder.join("cpu.cfs_quota_us"))?, read(&folder.join("cpu.cfs_period_us"))?)
        } else {
            let text = read(&folder.join("cpu.max"))?;
            let (quota, period) = text.trim().split_once(' ')?;
            (quota.to_owned(), period.to_owned())
        };
        // No bound is `-1` or `max`, which is no such number.
        let (quota, period): (u64, u64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
        quota.checked_mul(100)?.checked_div(period)
    }
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container() -> Container {
        Container {
            image: "x".into(),
            network: "none".into(),
            memory_bytes: 1000,
            cpus: 1.5,
            read_only_root: true,
            mount_workspace: true,
            processes_max: 100,
            run: "r".into(),
        }
    }

    #[test]
    fn the_smaller_bound_counts() {
        let limits = |memory, processes, percent| Limits {
            memory_bytes_max: memory,
            processes_max: processes,
            cpu_percent_max: percent,
            ..Limits::default()
        };
        let bounds = |memory, processes, cpus| Bounds { memory, processes, cpus };
        for (limits, expected) in [
            (limits(None, None, None), bounds(1000, 100, 1.5)),
            (limits(Some(10), Some(5), Some(50)), bounds(10, 5, 0.5)),
            (limits(Some(2000), Some(500), Some(400)), bounds(1000, 100, 1.5)),
        ] {
            assert_eq!(Bounds::new(&limits, &container()), expected);
        }
    }

    #[test]
    fn groups_are_found_in_both_forms() {
        let old = Groups::parse("5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n0::/y\n");
        assert_eq!(old.folder("memory"), Some((PathBuf::from("/sys/fs/cgroup/memory/docker/x"), true)));
        assert_eq!(old.folder("cpu"), Some((PathBuf::from("/sys/fs/cgroup/cpu/docker/x"), true)));
        assert_eq!(old.folder("pids"), Some((PathBuf::from("/sys/fs/cgroup/y"), false)));
        assert_eq!(Groups::parse("").folder("cpu"), None);
    }

    #[test]
    fn deny_a_limit_that_nothing_holds() {
        let mut profile = Profile::new("/w".into(), "/h".into());
        // This process is in no container: no bound of it is that small.
        let own = i32::try_from(std::process::id()).unwrap();
        let (held, warnings) = seen(own, &profile, &container()).unwrap();
        assert!(held.is_empty(), "{held:?}");
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        profile.limits.memory_bytes_max = Some(1000);
        assert!(matches!(seen(own, &profile, &container()), Err(LaunchError::Limit { limit: "memory_mb", .. })));
    }
}
