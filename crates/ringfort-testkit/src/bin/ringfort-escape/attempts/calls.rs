// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls that a caged program has no use for. Arguments are such that a call that gets through changes nothing.

use super::{Attempt, Blocked, answer, done, reaches};
use crate::sys;

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    answer(380, "makes a ring for input and output", |_| { let parameters = [0u32; 30]; done(sys::call(sys::IO_URING_SETUP, [1, parameters.as_ptr() as usize])) }).needs("io_uring"),
    answer(381, "enters a ring", |_| reaches(sys::call(sys::IO_URING_ENTER, [sys::NONE, 0, 0, 0, 0, 0]))).needs("io_uring"),
    answer(382, "joins a session of keys", |_| reaches(sys::call(sys::KEYCTL, [0, -3_isize as usize, 0, 0, 0]))).needs("keys"),
    answer(383, "adds a key", |_| { let (kind, name) = (sys::c("user"), sys::c("ringfort-escape")); reaches(sys::call(sys::ADD_KEY, [sys::at(&kind), sys::at(&name), sys::address(b"x"), 1, -2_isize as usize])) }).needs("keys"),
    answer(384, "asks for a key", |_| { let (kind, name) = (sys::c("user"), sys::c("ringfort-escape-none")); reaches(sys::call(sys::REQUEST_KEY, [sys::at(&kind), sys::at(&name), 0, 0])) }).needs("keys"),
    answer(385, "loads a program into the kernel", |_| reaches(sys::call(sys::BPF, [0x7fff, 0, 0]))).needs("root, or bpf for users"),
    answer(386, "measures the machine", |_| reaches(sys::call(sys::PERF_EVENT_OPEN, [0, 0, sys::NONE, sys::NONE, 0]))).needs("perf for users"),
    answer(387, "handles faults of memory itself", |_| done(sys::call(sys::USERFAULTFD, [1 | 0o4000]))),
    answer(388, "loads another kernel", |_| reaches(sys::call(sys::KEXEC_LOAD, [0, 1 << 20, 0, 0]))).needs("root"),
    answer(389, "loads a module from memory", |_| reaches(sys::call(sys::INIT_MODULE, [0, 0, 0]))).needs("root"),
    answer(390, "loads a module from a file", |_| reaches(sys::call(sys::FINIT_MODULE, [sys::NONE, 0, 0]))).needs("root"),
    answer(391, "restarts the machine, with a wrong word", |_| reaches(sys::call(sys::REBOOT, [0, 0, 0, 0]))).needs("root"),
    answer(392, "asks the kernel's log for its size", |_| done(sys::call(sys::SYSLOG, [10, 0, 0]))).needs("root, or dmesg for users"),
    answer(393, "asks for quotas", |_| reaches(sys::call(sys::QUOTACTL, [0x7fff, 0, 0, 0]))),
    answer(394, "asks for quotas by a file", |_| reaches(sys::call(sys::QUOTACTL_FD, [sys::NONE, 0, 0, 0]))),
    answer(395, "swaps memory to a file", |_| reaches(sys::call(sys::SWAPON, [0, 0]))).needs("root"),
    answer(396, "records processes", |_| { let path = sys::c("/nonexistent/x"); reaches(sys::call(sys::ACCT, [sys::at(&path)])) }).needs("root"),
    answer(397, "sets a clock that is not there", |_| reaches(sys::call(sys::CLOCK_SETTIME, [9999, 0]))).needs("root"),
    answer(398, "sets the time, without a time", |_| reaches(sys::call(sys::SETTIMEOFDAY, [0, 1]))).needs("root"),
    answer(399, "sets the name of the machine, of a wrong length", |_| reaches(sys::call(sys::SETHOSTNAME, [0, sys::NONE]))).needs("root"),
    answer(400, "makes what can be read executable", |_| done(sys::call(sys::PERSONALITY, [0x40_0000]))),
    answer(401, "a call that this kernel does not know", |_| match sys::call(4242, [0]) { Err(sys::Errno(sys::ENOSYS)) => Err("not there".into()), other => reaches(other) }).needs("a later kernel"),
    answer(402, "the entry for 32 bits in 64", |_| reaches(sys::call(0x4000_0000 | sys::GETPID, [0]))).needs("x32"),
    answer(403, "the entry for programs of 32 bits", |_| { let answer = sys::getpid_32(); if answer > 0 { Ok(format!("answered {answer}")) } else { Err(Blocked(format!("answered {answer}"))) } }).needs("calls of 32 bits"),
    answer(404, "ports of the machine", |_| reaches(sys::call(if cfg!(target_arch = "x86_64") { 172 } else { 4242 }, [0]))).needs("x86_64"),
    answer(405, "tables of segments", |_| reaches(sys::call(if cfg!(target_arch = "x86_64") { 154 } else { 4242 }, [0, 0, 0]))).needs("x86_64"),
    answer(406, "places memory", |_| reaches(sys::call(sys::MBIND, [0, 0, 0, 0, 0, 0]))).needs("NUMA"),
    answer(407, "moves the memory of processes", |s| reaches(sys::call(sys::MIGRATE_PAGES, [s.victim(), 0, 0, 0]))).needs("NUMA"),
    answer(408, "adjusts the clock", |_| { let mut nothing = [0u8; 256]; nothing[0] = 1; reaches(sys::call(sys::ADJTIMEX, [sys::address_mut(&mut nothing)])) }).needs("root"),
    answer(410, "sets a label of its own", |_| reaches(sys::call(sys::LSM_SET_SELF_ATTR, [0, 0, 0, 0]))).needs("a later kernel"),
];
