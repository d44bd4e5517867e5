// SPDX-License-Identifier: MIT OR Apache-2.0
//! The resident memory of a process that has started and now mostly waits.
//!
//! In: nothing. Out: less resident memory.
//!
//! **Invariant:** nothing is lost: only what stands unchanged in the program's file is given back, and read again when it
//! is used.

use crate::syscall;

/// Gives back the pages of this program's code that its start has used. Costs a fault for each that is used again.
pub fn forget_start() {
    // A convenience: without it the process is only larger.
    let _ignored: Result<(), _> = syscall::forget_code();
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_goes_on_with_less_memory() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        let before = resident();
        super::forget_start();
        assert!(resident() < before, "{before} KiB of code were there before");
    }
}
