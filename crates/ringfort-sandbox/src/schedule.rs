// SPDX-License-Identifier: MIT OR Apache-2.0
//! When a thread of ours runs beside the programs that it serves.
//!
//! In: nothing but the calling thread. Out: how the kernel schedules it from now on.
//!
//! **Invariant:** a thread never gets more than it had: every change here makes it wait longer, not shorter.

use std::io;

use crate::syscall;

/// Makes the calling thread one that works in batches (`SCHED_BATCH`, sched(7)): it does not take the processor from the
/// thread that wakes it, so that more is there when it runs. Threads that it starts afterwards
/// are the same.
///
/// # Errors
///
/// The kernel refuses, and the thread runs as before.
pub fn work_in_batches() -> io::Result<()> {
    Ok(syscall::schedule_in_batches()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The scheduling policy of a thread of this process, by proc(5): field 41 of `stat`.
    fn policy(thread: i32) -> u32 {
        let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        fields.split_whitespace().nth(38).unwrap().parse().unwrap()
    }

    #[test]
    fn only_the_thread_that_asks_waits() {
        let asked = std::thread::spawn(|| {
            work_in_batches().unwrap();
            policy(syscall::gettid())
        });
        assert_eq!(asked.join().unwrap(), 3);
        assert_eq!(policy(syscall::gettid()), 0);
    }
}
