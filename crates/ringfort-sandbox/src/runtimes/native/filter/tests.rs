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
                    JUMP_AT_LEAST => word >= instruction.value,
                    JUMP_ANY_BIT => word & instruction.value != 0,
                    _ => return None,
                };
                at += usize::from(if taken { instruction.if_true } else { instruction.if_false });
            }
        }
    }
    None
}

fn usual(sockets: Sockets) -> Vec<Instruction> {
    build(sockets, &SyscallGroups::default())
}

const ALL: [Sockets; 3] = [Sockets::Namespaced, Sockets::Shared, Sockets::Supervised];

fn call(number: c_long) -> u32 {
    u32::try_from(number).unwrap()
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
        (Sockets::Shared, groups::FCHMODAT2, [0, 0, 0o6777, 0, 0, 0], EPERM),
        (Sockets::Shared, libc::SYS_prlimit64, [0, 4, 1, 0, 0, 0], ALLOW),
        (Sockets::Shared, libc::SYS_prlimit64, [7, 4, 1, 0, 0, 0], EPERM),
        // The mark by which a later start finds what a killed supervisor left.
        (Sockets::Shared, libc::SYS_prlimit64, [0, 10, 1, 0, 0, 0], EPERM),
        (Sockets::Shared, libc::SYS_prlimit64, [0, 10, 1 << 32, 0, 0, 0], EPERM),
        (Sockets::Shared, libc::SYS_prlimit64, [0, 10, 0, 1, 0, 0], ALLOW),
        (Sockets::Shared, libc::SYS_setrlimit, [10, 1, 0, 0, 0, 0], EPERM),
        (Sockets::Shared, libc::SYS_setrlimit, [7, 1, 0, 0, 0, 0], ALLOW),
        (Sockets::Namespaced, libc::SYS_prlimit64, [0, 10, 1, 0, 0, 0], ALLOW),
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
        (Sockets::Shared, libc::SYS_socketpair, [1, 0x8_0005, 0, 0, 0, 0], ALLOW),
        (Sockets::Shared, libc::SYS_socketpair, [1, 0x8_0002, 0, 0, 0, 0], EPERM),
        (Sockets::Shared, libc::SYS_socketpair, [1, upper | 3, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_socketpair, [1, 2, 0, 0, 0, 0], ALLOW),
        (Sockets::Supervised, libc::SYS_connect, [0; 6], TELL),
        (Sockets::Supervised, libc::SYS_bind, [0; 6], EPERM),
        (Sockets::Supervised, libc::SYS_listen, [0; 6], EPERM),
        (Sockets::Supervised, libc::SYS_sendto, [3, 0, 0, libc::MSG_NOSIGNAL as u64, 0, 0], ALLOW),
        (Sockets::Supervised, libc::SYS_sendto, [3, 0, 0, upper | libc::MSG_FASTOPEN as u64, 0, 0], EPERM),
        (Sockets::Supervised, libc::SYS_sendmsg, [3, 0, libc::MSG_NOSIGNAL as u64, 0, 0, 0], ALLOW),
        (Sockets::Supervised, libc::SYS_sendmsg, [3, 0, 0x2000_4000, 0, 0, 0], EPERM),
        (Sockets::Supervised, libc::SYS_sendmmsg, [3, 0, 1, 0x2000_4000, 0, 0], EPERM),
        (Sockets::Supervised, libc::SYS_sendmmsg, [3, 0, 0x2000_0000, 0, 0, 0], ALLOW), // the number of messages
        (Sockets::Supervised, libc::SYS_socket, [2, 1, 0, 0, 0, 0], ALLOW),
        (Sockets::Supervised, libc::SYS_socket, [upper | 10, 0x8_0801, upper | 6, 0, 0, 0], ALLOW),
        (Sockets::Supervised, libc::SYS_socket, [2, 1, 262, 0, 0, 0], EPERM), // MPTCP
        (Sockets::Supervised, libc::SYS_socket, [2, 1, upper | 132, 0, 0, 0], EPERM), // SCTP
        (Sockets::Supervised, libc::SYS_socket, [2, 5, 0, 0, 0, 0], EPERM),
        (Sockets::Supervised, libc::SYS_socket, [2, 2, 0, 0, 0, 0], EPERM),
        (Sockets::Supervised, libc::SYS_socket, [10, upper | 2, 17, 0, 0, 0], EPERM),
        (Sockets::Supervised, libc::SYS_socket, [2, 3, 6, 0, 0, 0], EPERM),
        (Sockets::Supervised, libc::SYS_socket, [1, 1, 0, 0, 0, 0], EPERM),
        (Sockets::Supervised, libc::SYS_socket, [16, 3, 0, 0, 0, 0], EPERM),
        (Sockets::Supervised, libc::SYS_socket, [43, 1, 0, 0, 0, 0], EPERM), // SMC
        (Sockets::Supervised, libc::SYS_socketpair, [1, 2, 0, 0, 0, 0], EPERM),
        (Sockets::Supervised, libc::SYS_ioctl, [0, libc::FIONREAD, 0, 0, 0, 0], ALLOW),
        (Sockets::Supervised, libc::SYS_ioctl, [0, libc::FIONBIO, 0, 0, 0, 0], ALLOW),
        (Sockets::Supervised, libc::SYS_ioctl, [0, 0x8905, 0, 0, 0, 0], ALLOW), // SIOCATMARK
        (Sockets::Supervised, libc::SYS_ioctl, [0, 0x8912, 0, 0, 0, 0], EPERM), // SIOCGIFCONF
        (Sockets::Supervised, libc::SYS_ioctl, [0, upper | 0x890b, 0, 0, 0, 0], EPERM), // SIOCADDRT
        (Sockets::Supervised, libc::SYS_ioctl, [0, 0x8b01, 0, 0, 0, 0], EPERM), // SIOCGIWNAME
        (Sockets::Supervised, libc::SYS_ioctl, [0, libc::TIOCSTI, 0, 0, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_ioctl, [0, 0x8912, 0, 0, 0, 0], ALLOW),
        (Sockets::Supervised, libc::SYS_prlimit64, [7, 4, 1, 0, 0, 0], EPERM),
        (Sockets::Supervised, libc::SYS_shmget, [0; 6], EPERM),
        (Sockets::Supervised, libc::SYS_ptrace, [0; 6], EPERM),
        (Sockets::Namespaced, libc::SYS_openat2, [0; 6], ENOSYS),
        (Sockets::Namespaced, libc::SYS_openat, [0, 0, 0o101, 0o2755, 0, 0], ALLOW),
        (Sockets::Namespaced, libc::SYS_openat, [0, 0, 0o101, 0o4755, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_openat, [0, 0, libc::O_TMPFILE as u64 | 1, upper | 0o4755, 0, 0], EPERM),
        (Sockets::Namespaced, libc::SYS_openat, [0, 0, libc::O_DIRECTORY as u64, 0o4755, 0, 0], ALLOW), // no mode then
        (Sockets::Namespaced, libc::SYS_mknodat, [0, 0, 0o104_755, 0, 0, 0], EPERM),
    ] {
        let answer = run(&usual(sockets), ARCHITECTURE, call(number), arguments);
        assert_eq!(answer, Some(expected), "call {number} with {arguments:x?} under {sockets:?}");
    }
}

#[test]
fn escape_by_architecture_is_refused() {
    let filter = usual(Sockets::Namespaced);
    assert_eq!(run(&filter, 0x4000_0003, 1, [0; 6]), Some(KILL), "i386");
    for (number, what) in [
        (0x4000_0000, "x32"),
        (0x4000_003b, "x32 execve"),
        (groups::NUMBER_MAX + 1, "newer than this file"),
        (u32::MAX, "no call at all"),
    ] {
        assert_eq!(run(&filter, ARCHITECTURE, number, [0; 6]), Some(ENOSYS), "{what}");
    }
}

/// Each call stands in one place, and every number of it gets what that place says.
#[test]
fn a_call_is_allowed_by_its_group_only() {
    let mut places: Vec<(c_long, Option<SyscallGroup>)> = groups::refused().map(|number| (number, None)).collect();
    for (group, calls) in groups::groups() {
        places.extend(calls.iter().map(|number| (*number, Some(group))));
    }
    places.sort_by_key(|(number, _)| *number);
    let doubled = places.windows(2).find(|pair| pair[0].0 == pair[1].0);
    assert!(doubled.is_none(), "a call is listed twice: {doubled:?}");
    for sockets in ALL {
        let filter = usual(sockets);
        let looked_at: Vec<c_long> = looks(sockets).into_iter().map(|(number, _)| number).collect();
        for number in 0..=i64::from(groups::NUMBER_MAX) {
            let inside_only = sockets != Sockets::Namespaced;
            let expected = match places.iter().find(|(listed, _)| *listed == number) {
                None => ENOSYS,
                Some((_, None | Some(SyscallGroup::Debug))) => EPERM,
                Some((_, Some(SyscallGroup::Ipc))) if inside_only => EPERM,
                Some(_) if looked_at.contains(&number) => continue,
                Some(_) => ALLOW,
            };
            assert_eq!(run(&filter, ARCHITECTURE, call(number), [0; 6]), Some(expected), "call {number} {sockets:?}");
        }
    }
}

/// What the kernel's header of this machine names is judged by name, but for calls that were taken out of Linux.
#[cfg(target_arch = "x86_64")]
#[test]
fn every_call_of_the_header_was_judged() {
    let header = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h";
    let Ok(header) = std::fs::read_to_string(header) else {
        eprintln!("skipped: there is no {header}");
        return;
    };
    const GONE: [&str; 19] = [
        "create_module",
        "get_kernel_syms",
        "query_module",
        "getpmsg",
        "putpmsg",
        "afs_syscall",
        "tuxcall",
        "security",
        "vserver",
        "epoll_ctl_old",
        "epoll_wait_old",
        "set_thread_area",
        "get_thread_area",
        "clone3",
        "openat2",
        "nfsservctl",
        "uselib",
        "_sysctl",
        "uretprobe",
    ];
    let judged: Vec<c_long> =
        groups::groups().flat_map(|(_, calls)| calls.iter().copied()).chain(groups::refused()).collect();
    let named = header.lines().filter_map(|line| line.strip_prefix("#define __NR_")?.split_once(' '));
    let mut count = 0;
    for (name, number) in named {
        let number: c_long = number.trim().parse().unwrap();
        count += 1;
        assert!(judged.contains(&number) || GONE.contains(&name), "call {number}, `{name}`, was never judged");
    }
    assert!(count > 300, "the header names {count} calls");
}

#[test]
fn deny_what_a_profile_leaves_out() {
    let calls = |wanted| groups::groups().filter(move |(group, _)| *group == wanted).flat_map(|(_, calls)| calls);
    for group in SyscallGroup::ALL.into_iter().filter(|group| group.is_optional()) {
        let filter = build(Sockets::Namespaced, &SyscallGroups::default().without(group));
        for number in calls(group) {
            assert_eq!(run(&filter, ARCHITECTURE, call(*number), [0; 6]), Some(EPERM), "call {number} of {group:?}");
        }
    }
    // Tracing has to be asked for, and where processes outside are in reach it is not given.
    let debug = SyscallGroups::default().with_debug();
    for (sockets, groups, expected) in [
        (Sockets::Namespaced, &debug, ALLOW),
        (Sockets::Shared, &debug, EPERM),
        (Sockets::Supervised, &debug, EPERM),
        (Sockets::Namespaced, &SyscallGroups::default(), EPERM),
        (Sockets::Shared, &SyscallGroups::default(), EPERM),
    ] {
        for number in calls(SyscallGroup::Debug) {
            let answer = run(&build(sockets, groups), ARCHITECTURE, call(*number), [0; 6]);
            assert_eq!(answer, Some(expected), "call {number} under {sockets:?}");
        }
    }
}

#[test]
fn the_filter_is_short() {
    for sockets in ALL {
        let length = usual(sockets).len();
        assert!(length <= INSTRUCTIONS_EXPECTED_MAX, "{length} instructions under {sockets:?}");
    }
}

/// A filter that grows beyond this is felt at every start.
const INSTRUCTIONS_EXPECTED_MAX: usize = 420;

proptest! {
    #[test]
    fn the_filter_answers_every_call(number: u32, small in 0_u32..500, arguments: [u64; 6], which in 0_usize..3) {
        let filter = usual(ALL[which]);
        for number in [number, small] {
            let answer = run(&filter, ARCHITECTURE, number, arguments);
            let told = if ALL[which] == Sockets::Supervised && number == call(libc::SYS_connect) { TELL } else { ALLOW };
            let is_known = answer == Some(told) || matches!(answer, Some(ALLOW | EPERM | ENOSYS));
            prop_assert!(is_known, "{number}: {answer:?}");
        }
    }
}
