// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ends what a killed supervisor left behind where there was no process namespace to end it.
//!
//! In: the mark that every process of the session bears. Out: how many were ended.
//!
//! **Invariant:** only this user's processes that bear the mark are killed, each by a descriptor that was opened before
//! the mark was read again. A mark is the hard bound of a resource that the kernel does not use any more: it is inherited
//! by whatever is started, can only be lowered, and tells nobody anything.

use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;

use crate::syscall;

/// The line of `/proc/PID/limits` that shows the mark.
const LINE: &str = "Max file locks";
/// Most rounds; each ends what it finds.
const ROUNDS_MAX: u32 = 64;
/// Hex digits of a session's name that make its mark: 60 bits, below every bound that a host may set.
const DIGITS: usize = 15;

/// The mark of a session, from its name in hex; `None` where the name is too short or something else.
pub fn mark_of(session: &str) -> Option<u64> {
    // Zero would be a bound that a host might have set.
    u64::from_str_radix(session.get(..DIGITS)?, 16).ok().filter(|mark| *mark != 0)
}

/// Kills every process of this user that bears `mark`; answers how many there were.
pub fn sweep(mark: u64) -> usize {
    let mut ended = 0;
    for _ in 0..ROUNDS_MAX {
        let found = round(mark);
        ended += found;
        if found == 0 {
            break;
        }
    }
    ended
}

fn round(mark: u64) -> usize {
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let user = syscall::effective_ids().0;
    let own = syscall::getpid();
    let pids = entries.flatten().filter_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        (pid != own).then_some(pid)
    });
    pids.filter(|pid| is_marked(*pid, user, mark) && kill(*pid, user, mark)).count()
}

fn kill(pid: i32, user: u32, mark: u64) -> bool {
    // The number may mean another process by now: what the descriptor holds is read again.
    syscall::pidfd_open(pid).is_ok_and(|descriptor| {
        is_marked(pid, user, mark) && syscall::pidfd_kill(descriptor.as_raw_fd(), libc::SIGKILL).is_ok()
    })
}

fn is_marked(pid: i32, user: u32, mark: u64) -> bool {
    let owned = std::fs::metadata(format!("/proc/{pid}")).is_ok_and(|meta| meta.uid() == user);
    owned
        && std::fs::read_to_string(format!("/proc/{pid}/limits")).is_ok_and(|limits| shows(&limits, mark))
        && !is_dead(pid)
}

/// Whether a process has ended already and only waits to be reaped.
fn is_dead(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| matches!(rest.trim_start().chars().next(), Some('Z' | 'X') | None))
}

/// Whether the hard bound that is shown is `mark`.
fn shows(limits: &str, mark: u64) -> bool {
    let line = limits.lines().find_map(|line| line.strip_prefix(LINE));
    line.and_then(|line| line.split_ascii_whitespace().nth(1)).is_some_and(|hard| hard.parse() == Ok(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_made_of_random_names() {
        assert_eq!(mark_of("0123456789abcdef0123456789abcdef"), Some(0x0012_3456_789a_bcde));
        for name in ["", "0123456789abcd", "000000000000000f", "not a session at all", "é123456789abcdef"] {
            assert_eq!(mark_of(name), None, "{name}");
        }
    }

    #[test]
    fn deny_killing_what_bears_no_mark() {
        let limits =
            |soft: &str, hard: &str| format!("Max cpu time  77 77 seconds\nMax file locks  {soft}  {hard}  locks\n");
        assert!(shows(&limits("77", "77"), 77) && shows(&limits("5", "77"), 77));
        for (soft, hard) in [("unlimited", "unlimited"), ("77", "unlimited"), ("77", "78"), ("", "")] {
            assert!(!shows(&limits(soft, hard), 77), "{soft} {hard}");
        }
        assert!(!shows("", 77));
        assert_eq!(sweep(0x00de_adbe_efca_fe11), 0);
    }
}
