// SPDX-License-Identifier: MIT OR Apache-2.0
//! The filter, run by a small interpreter: it ends on every path, and each call gets the answer meant for it.

use proptest::prelude::*;

use super::*;

/// Runs the filter as the kernel would; `None` when it leaves the program or runs on without an answer.
fn run(program: &[Instruction], architecture: u32, number: u32, arguments: [u64; 6]) -> Option<u32> {
    let (mut at, mut word) = (0_usize, 0_u32);
    for _ in 0..=program.len() {
        let instruction = program.get(at)?;
        at += 1;
        match instruction.code {
            LOAD_WORD => {
                word = match instruction.value {
                    NUMBER_OFFSET => number,
                    ARCHITECTURE_OFFSET => architecture,
                    offset => {
                        let offset = (offset - ARGUMENTS_OFFSET) as usize;
                        let argument = arguments[offset / 8];
                        if offset.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
                    }
                }
            }
            AND => word &= instruction.value,
            JUMP => at += instruction.value as usize,
            RETURN => return Some(instruction.value),
            jump => {
                let taken = match jump {
                    JUMP_EQUAL => word == instruction.value,
                    JUMP_GREATER => word > instruction.value,
                    JUMP_ANY_BIT => word & instruction.value != 0,
                    _ => return None,
                };
                at += usize::from(if taken { instruction.if_true } else { instruction.if_false });
            }
        }
    }
    None
}

const EPERM: u32 = errno(libc::EPERM);
const ENOSYS: u32 = errno(libc::ENOSYS);

#[test]
fn escape_by_system_call_is_refused() {
    let upper = 0xdead_beef_0000_0000_u64;
    for (sockets, number, arguments, expected) in [
        (Sockets::Namespaced, libc::SYS_read, [0; 6], ALLOW),
        (Sockets::Namespaced, libc::SYS_execve, [0; 6], ALLOW),
        (Sockets::Namespaced, libc::SYS_mount, [0; 6], EPERM),
        (Sockets::Namespaced, libc::SYS_ptrace, [0; 6], EPERM),
        (Sockets::Namespaced, libc::SYS_io_uring_setup, [0; 6], EPERM),
        (Sockets::Namespaced, libc::SYS_clone3, [0; 6], ENOSYS),
        (Sockets::Namespaced, libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0, 0, 0], ALLOW),
        (Sockets::Namespaced, libc::SYS_clone, [0x0101_0000 | libc::SIGCHLD as u64, 0, 0, 0, 0, 0], ALLOW),
        (Sockets::Namespaced, libc::SYS_clone, [libc::CLONE_NEWUSER as u64, 0, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_clone, [upper | libc::CLONE_NEWNS as u64, 0, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_unshare, [libc::CLONE_FILES as u64, 0, 0, 0, 0, 0], ALLOW),
        (Sockets::Namespaced, libc::SYS_unshare, [libc::CLONE_NEWPID as u64, 0, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_unshare, [u64::from(NEW_TIME), 0, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_fchmod, [0, 0o2755, 0, 0, 0, 0], ALLOW),
        (Sockets::Namespaced, libc::SYS_fchmod, [0, 0o4755, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_fchmodat, [0, 0, upper | 0o4755, 0, 0, 0], EPERM),
        (Sockets::Shared, FCHMODAT2, [0, 0, 0o6777, 0, 0, 0], EPERM),
        (Sockets::Shared, libc::SYS_prlimit64, [0, 4, 1, 0, 0, 0], ALLOW),
        (Sockets::Shared, libc::SYS_prlimit64, [7, 4, 1, 0, 0, 0], EPERM),
        (Sockets::Shared, libc::SYS_setpriority, [0, 0, 5, 0, 0, 0], ALLOW),
        (Sockets::Shared, libc::SYS_setpriority, [0, 7, 5, 0, 0, 0], EPERM),
        (Sockets::Shared, libc::SYS_setpriority, [2, 0, 5, 0, 0, 0], EPERM),
        (Sockets::Shared, libc::SYS_ioprio_set, [1, 0, 0, 0, 0, 0], ALLOW),
        (Sockets::Shared, libc::SYS_ioprio_set, [3, 0, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_prlimit64, [7, 4, 1, 0, 0, 0], ALLOW),
        (Sockets::Namespaced, libc::SYS_ioctl, [0, libc::TCGETS, 0, 0, 0, 0], ALLOW),
        (Sockets::Namespaced, libc::SYS_ioctl, [0, libc::TIOCSTI, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_ioctl, [0, upper | libc::TIOCSTI, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_ioctl, [0, upper | libc::TIOCLINUX, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_personality, [0xffff_ffff; 6], ALLOW),
        (Sockets::Namespaced, libc::SYS_personality, [0x0040_0000, 0, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_socket, [1, 5, 0, 0, 0, 0], ALLOW),
        (Sockets::Namespaced, libc::SYS_socket, [2, 0x8_0801, 0, 0, 0, 0], ALLOW),
        (Sockets::Namespaced, libc::SYS_socket, [10, 2, 0, 0, 0, 0], ALLOW),
        (Sockets::Namespaced, libc::SYS_socket, [2, 3, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_socket, [upper | 17, 3, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_socket, [40, 1, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_socket, [38, 5, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_socket, [16, 3, 0, 0, 0, 0], ALLOW),
        (Sockets::Namespaced, libc::SYS_socket, [16, 3, 9, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_socketpair, [1, 1, 0, 0, 0, 0], ALLOW),
        (Sockets::Namespaced, libc::SYS_socketpair, [30, 1, 0, 0, 0, 0], EPERM),
        (Sockets::Shared, libc::SYS_socket, [1, 1, 0, 0, 0, 0], EPERM),
        (Sockets::Shared, libc::SYS_socket, [2, 2, 0, 0, 0, 0], EPERM),
        (Sockets::Shared, libc::SYS_shmget, [0; 6], EPERM),
        (Sockets::Shared, libc::SYS_mq_open, [0; 6], EPERM),
        (Sockets::Namespaced, libc::SYS_shmget, [0; 6], ALLOW),
        (Sockets::Shared, libc::SYS_socketpair, [1, 1, 0, 0, 0, 0], ALLOW),
    ] {
        let answer = run(&build(sockets), ARCHITECTURE, call(number), arguments);
        assert_eq!(answer, Some(expected), "call {number} with {arguments:x?} under {sockets:?}");
    }
}

#[test]
fn escape_by_architecture_is_refused() {
    let filter = build(Sockets::Namespaced);
    assert_eq!(run(&filter, 0x4000_0003, 1, [0; 6]), Some(KILL), "i386");
    assert_eq!(run(&filter, ARCHITECTURE, 0x4000_0000, [0; 6]), Some(ENOSYS), "x32");
    assert_eq!(run(&filter, ARCHITECTURE, NUMBER_MAX + 1, [0; 6]), Some(ENOSYS), "newer than this file");
    assert_eq!(run(&filter, ARCHITECTURE, u32::MAX, [0; 6]), Some(ENOSYS), "no call at all");
}

#[test]
fn every_refused_call_is_refused_under_both() {
    for sockets in [Sockets::Namespaced, Sockets::Shared] {
        let filter = build(sockets);
        for number in REFUSED.iter().chain(REFUSED_HERE) {
            assert_eq!(run(&filter, ARCHITECTURE, call(*number), [0; 6]), Some(EPERM), "call {number}");
        }
    }
}

proptest! {
    #[test]
    fn the_filter_answers_every_call(number: u32, small in 0_u32..500, arguments: [u64; 6], shared: bool) {
        let filter = build(if shared { Sockets::Shared } else { Sockets::Namespaced });
        for number in [number, small] {
            let answer = run(&filter, ARCHITECTURE, number, arguments);
            prop_assert!(matches!(answer, Some(ALLOW | EPERM | ENOSYS)), "{number}: {answer:?}");
        }
    }
}
