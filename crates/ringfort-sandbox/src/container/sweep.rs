// SPDX-License-Identifier: MIT OR Apache-2.0
//! Containers whose supervisor is dead.
//!
//! In: the engine's list of containers with our label. Out: a sentence for each one that was removed.
//!
//! **Invariant:** only a container of this user and this process namespace is removed, and only when the very process
//! that made it, by number and start time, is gone. What cannot be read is left alone.

use std::io::Read as _;

use super::Caller;
use crate::syscall;

/// The label with the name of the run.
pub(super) const RUN: &str = "ringfort.run";
/// The label with the mark of the supervisor.
pub(super) const SUPERVISOR: &str = "ringfort.supervisor";
/// Most containers that are looked at in one start.
const CONTAINERS_MAX: usize = 64;
/// Largest `/proc/PID/stat` that is read, in bytes.
const STAT_BYTES_MAX: u64 = 4096;

/// The mark of this process: user, process namespace, process, start time.
pub(super) fn own_mark() -> String {
    let pid = syscall::getpid();
    format!("{}.{}.{pid}.{}", syscall::effective_ids().0, namespace(), started(pid).unwrap_or(0))
}

/// Removes what dead supervisors left behind. An engine that does not answer here will not answer the next call either.
pub(super) fn sweep(caller: &Caller<'_>) -> Vec<String> {
    let filter = format!("label={SUPERVISOR}");
    let Ok(listed) = caller.call(["ps", "--all", "--quiet", "--no-trunc", "--filter", filter.as_str()]) else {
        return Vec::new();
    };
    let listed = String::from_utf8_lossy(&listed.output).into_owned();
    let ids: Vec<&str> = listed.split_whitespace().take(CONTAINERS_MAX).collect();
    if ids.is_empty() {
        return Vec::new();
    }
    let format =
        format!("{{{{.Id}}}} {{{{index .Config.Labels \"{SUPERVISOR}\"}}}} {{{{index .Config.Labels \"{RUN}\"}}}}");
    // One that is removed meanwhile makes the call fail; those are found at the next start.
    let words = ["inspect", "--type", "container", "--format", &format].into_iter().chain(ids);
    let Ok(inspected) = caller.call(words) else { return Vec::new() };
    let inspected = String::from_utf8_lossy(&inspected.output).into_owned();
    let dead = inspected.lines().filter_map(|line| {
        let mut parts = line.split_whitespace();
        let (id, mark, run) = (parts.next()?, parts.next()?, parts.next()?);
        is_dead(mark).then_some((id, run))
    });
    dead.filter(|(id, _)| caller.call(["rm", "--force", "--volumes", id]).is_ok())
        .map(|(_, run)| format!("session {run} was killed: its container was removed"))
        .collect()
}

/// Whether the process of a mark is one of ours and gone.
fn is_dead(mark: &str) -> bool {
    let parts: Vec<u64> = mark.split('.').map_while(|part| part.parse().ok()).collect();
    let [user, space, pid, start] = parts.as_slice() else { return false };
    if *user != u64::from(syscall::effective_ids().0) || *space != namespace() || *space == 0 {
        return false;
    }
    i32::try_from(*pid).is_ok_and(|pid| started(pid) != Some(*start))
}

/// The number of this process's process namespace; 0 where it cannot be read.
fn namespace() -> u64 {
    syscall::stat(c"/proc/self/ns/pid").map_or(0, |found| found.inode)
}

/// When a process was started, in the kernel's ticks; `None` when it is gone.
fn started(pid: i32) -> Option<u64> {
    let mut text = String::new();
    std::fs::File::open(format!("/proc/{pid}/stat")).ok()?.take(STAT_BYTES_MAX).read_to_string(&mut text).ok()?;
    // The name may hold anything, but nothing after it holds a closing bracket; the start is the twentieth field then.
    text.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_removing_what_lives_or_is_not_ours() {
        let own = own_mark();
        assert!(!is_dead(&own), "{own}");
        let parts: Vec<&str> = own.split('.').collect();
        let [user, space, pid, start] = parts.as_slice() else { panic!("{own}") };
        for (mark, expected) in [
            (format!("{user}.{space}.{pid}.1"), true),
            (format!("{user}.{space}.2147483646.{start}"), true),
            (format!("4294967294.{space}.{pid}.1"), false),
            (format!("{user}.1.{pid}.1"), false),
            (format!("{user}.{space}.{pid}"), false),
            (format!("{user}.{space}.x.1"), false),
            (String::new(), false),
        ] {
            assert_eq!(is_dead(&mark), expected, "{mark}");
        }
    }
}
