// SPDX-License-Identifier: MIT OR Apache-2.0
//! System calls made for real inside a cage: what no group holds is refused, and what a profile leaves out as well.
//!
//! The caller is this very test binary, started inside with a list of numbers. Every argument is null or -1, so that a
//! call that is not refused fails by itself with another error, or does nothing.
#![expect(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "calls are made by hand, with arguments that lead nowhere"
)]

use std::ffi::c_long;

use ringfort_core::syscalls::SyscallGroup;
use ringfort_sandbox::launch::Exit;
use ringfort_sandbox::profile::{BindMode, DegreeRequest, HomeBind};

use crate::cage::{DEGREES, Place};

/// The variable that makes this binary a caller: numbers, each with a first argument.
const VARIABLE: &str = "RINGFORT_TEST_CALLS";
/// Marks a line of the answer.
const MARK: &str = "CALL";

#[test]
#[expect(clippy::disallowed_methods, reason = "the calls come through the environment of the cage")]
fn caller() {
    let Ok(word) = std::env::var(VARIABLE) else {
        return;
    };
    for number in word.split_whitespace() {
        let number: c_long = number.parse().unwrap();
        let answer = unsafe { libc::syscall(number, -1_i64, 0_i64, 0_i64, 0_i64, -1_i64, 0_i64) };
        let errno = if answer == -1 { std::io::Error::last_os_error().raw_os_error().unwrap_or(0) } else { 0 };
        println!("\n{MARK} {number} {errno}");
    }
}

/// The error numbers that `numbers` answer inside `place`, in their order.
fn answers(place: &mut Place, numbers: &[c_long]) -> Vec<(c_long, i32)> {
    let binary = std::env::current_exe().unwrap().canonicalize().unwrap();
    place.profile.home.binds.push(HomeBind {
        source: binary.clone(),
        target: "caller".into(),
        mode: BindMode::ReadOnly,
    });
    let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    place.profile.environment.push((VARIABLE.into(), list.join(" ").into()));
    let program = if place.is_namespaced_quietly() { place.home.join("caller") } else { binary };
    let words = ["caller", "--exact", "calls::caller", "--nocapture", "--test-threads=1"];
    let outcome = place.run(program.to_str().unwrap(), &words).unwrap();
    let lines = outcome.out.lines().filter_map(|line| line.strip_prefix(MARK)?.trim().split_once(' '));
    let answers: Vec<_> = lines.map(|(number, errno)| (number.parse().unwrap(), errno.parse().unwrap())).collect();
    assert_eq!(answers.len(), numbers.len(), "{outcome:#?}");
    answers
}

/// Calls that are there on any Linux and refused, whatever they are asked for.
#[rustfmt::skip]
const REFUSED: &[c_long] = &[
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_chroot, libc::SYS_move_mount,
    libc::SYS_open_tree, libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick,
    libc::SYS_mount_setattr, 467, libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_quotactl, libc::SYS_quotactl_fd,
    libc::SYS_setns, libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev,
    libc::SYS_process_madvise, libc::SYS_process_mrelease, libc::SYS_kcmp, libc::SYS_pidfd_getfd, libc::SYS_bpf,
    libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register, libc::SYS_fanotify_init, libc::SYS_fanotify_mark, libc::SYS_add_key,
    libc::SYS_request_key, libc::SYS_keyctl, libc::SYS_name_to_handle_at, libc::SYS_open_by_handle_at,
    libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_kexec_load,
    libc::SYS_kexec_file_load, libc::SYS_reboot, libc::SYS_syslog, libc::SYS_acct, libc::SYS_settimeofday,
    libc::SYS_clock_settime, libc::SYS_clock_adjtime, libc::SYS_adjtimex, libc::SYS_sethostname,
    libc::SYS_setdomainname, libc::SYS_vhangup, 460, libc::SYS_mbind, libc::SYS_set_mempolicy,
    libc::SYS_set_mempolicy_home_node, libc::SYS_migrate_pages, libc::SYS_move_pages,
    // With this first argument: every flag at once, a family and a domain that do not exist.
    libc::SYS_unshare, libc::SYS_clone, libc::SYS_socket, libc::SYS_socketpair,
];

#[test]
fn deny_every_refused_call_for_real() {
    for degree in DEGREES {
        for (number, errno) in answers(&mut Place::new(degree), REFUSED) {
            assert_eq!(errno, libc::EPERM, "call {number}, {degree:?}");
        }
    }
}

#[test]
fn deny_calls_that_nobody_has_judged() {
    // Newer than any list, x32 forms, and numbers that never were; `clone3` because its flags lie in memory.
    let unknown = (470..520).chain([600, 1000, 0x4000_0000, 0x4000_003b, 0x4000_0213, libc::SYS_clone3]);
    let unknown: Vec<c_long> = unknown.collect();
    for degree in DEGREES {
        for (number, errno) in answers(&mut Place::new(degree), &unknown) {
            assert_eq!(errno, libc::ENOSYS, "call {number}, {degree:?}");
        }
    }
}

/// The first calls of a group, none of which does anything with such arguments.
const OF_OPTIONAL_GROUPS: [(SyscallGroup, &[c_long]); 5] = [
    (SyscallGroup::Network, &[libc::SYS_bind, libc::SYS_connect, libc::SYS_sendto, libc::SYS_recvmsg]),
    (SyscallGroup::Ipc, &[libc::SYS_shmat, libc::SYS_semctl, libc::SYS_msgrcv, libc::SYS_mq_open]),
    (SyscallGroup::Scheduling, &[libc::SYS_sched_setparam, libc::SYS_setpriority, libc::SYS_ioprio_get]),
    (SyscallGroup::Aio, &[libc::SYS_io_destroy, libc::SYS_io_submit]),
    (SyscallGroup::Confinement, &[libc::SYS_seccomp, libc::SYS_landlock_restrict_self]),
];

#[test]
fn deny_the_calls_of_a_group_that_a_profile_leaves_out() {
    if !Place::new(DegreeRequest::Auto).is_namespaced() {
        return; // Without namespaces some groups are closed anyway, which the next test is about.
    }
    for (group, calls) in OF_OPTIONAL_GROUPS {
        let with = answers(&mut Place::new(DegreeRequest::Auto), calls);
        assert!(with.iter().all(|(_, errno)| *errno != libc::EPERM), "{group:?} is among the usual ones: {with:?}");
        let mut place = Place::new(DegreeRequest::Auto);
        place.profile.syscalls = place.profile.syscalls.without(group);
        let without = answers(&mut place, calls);
        assert!(without.iter().all(|(_, errno)| *errno == libc::EPERM), "{group:?} was left out: {without:?}");
    }
}

#[test]
fn deny_queues_and_tracing_where_they_are_shared_with_the_user() {
    let mut place = Place::new(DegreeRequest::Minimal);
    place.profile.syscalls = place.profile.syscalls.with_debug();
    let calls = [libc::SYS_shmget, libc::SYS_semget, libc::SYS_msgget, libc::SYS_mq_open, libc::SYS_ptrace];
    for (number, errno) in answers(&mut place, &calls) {
        assert_eq!(errno, libc::EPERM, "call {number}");
    }
}

#[test]
fn debuggers_work_where_the_profile_says_so_and_are_refused_elsewhere() {
    let mut place = Place::new(DegreeRequest::Auto);
    if !place.is_namespaced() {
        return;
    }
    let tools: [(&str, &str, &str); 2] = [
        ("/usr/bin/strace", "strace -f -o /dev/null /bin/echo traced", "traced"),
        ("/usr/bin/gdb", "gdb -q -nx -batch -ex run --args /bin/echo traced 2>&1", "traced"),
    ];
    let there: Vec<_> = tools.into_iter().filter(|(program, ..)| std::path::Path::new(program).exists()).collect();
    if there.is_empty() {
        eprintln!("skipped: there is no debugger");
    }
    for (program, script, expected) in &there {
        let refused = place.shell(script);
        assert!(!refused.out.lines().any(|line| line == *expected), "{program} without the group: {refused:#?}");
    }
    place.profile.syscalls = place.profile.syscalls.clone().with_debug();
    for (program, script, expected) in &there {
        let outcome = place.shell(script);
        assert_eq!(outcome.exit, Exit::Exited(0), "{program}: {outcome:#?}");
        assert!(outcome.out.contains(expected), "{program}: {outcome:#?}");
    }
    // What may be traced is inside: the keeper cannot be, and nothing outside has a number here.
    if std::path::Path::new("/usr/bin/strace").exists() {
        let outcome = place.shell("strace -o /dev/null -p 1 2>&1");
        assert!(outcome.out.contains("not permitted"), "the keeper: {outcome:#?}");
    }
}
