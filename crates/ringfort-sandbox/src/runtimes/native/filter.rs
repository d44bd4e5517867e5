// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seccomp filter: which system calls a caged program is refused.
//!
//! In: whether the program has a network namespace of its own. Out: BPF instructions.
//!
//! **Invariant:** architecture and x32 are judged first; a call that is newer than this file is refused; an argument
//! that the kernel reads as 32 bits is compared on its low 32 bits, whatever stands above them.
//! Pointers cannot be judged here, so `clone3` and `openat2` answer ENOSYS and libraries fall back.

use std::ffi::c_long;

use crate::syscall::Instruction;

/// Where the program's sockets lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sockets {
    /// Into an empty network namespace: internet families are harmless there, and programs open them to look around.
    Namespaced,
    /// Into the host's network: no socket may be opened, only pairs of connected Unix sockets.
    Shared,
}

const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JUMP_GREATER: u16 = (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K) as u16;
const JUMP_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const JUMP_ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Offsets into `struct seccomp_data`.
const NUMBER_OFFSET: u32 = 0;
const ARCHITECTURE_OFFSET: u32 = 4;
const ARGUMENTS_OFFSET: u32 = 16;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;
const fn errno(number: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | number as u32
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the native sandbox knows the system calls of x86_64 and aarch64 only");

/// The newest call that was judged for this filter (`file_setattr`, Linux 6.17); later ones answer ENOSYS.
/// x32 calls have bit 30 set and are refused by the same comparison.
const NUMBER_MAX: u32 = 469;

/// New namespaces, as `clone` and `unshare` name them: mount, cgroup, uts, ipc, user, pid, net.
const NEW_NAMESPACES: u32 = 0x7e02_0000;
/// The time namespace; in `clone` this bit belongs to the exit signal, so only `unshare` knows it.
const NEW_TIME: u32 = 0x80;

/// Terminal requests that put words into the input of a terminal, take its output or change its protocol.
const TERMINAL_REQUESTS: [u32; 4] = [
    libc::TIOCSTI as u32,
    libc::TIOCLINUX as u32,
    0x5423, // TIOCSETD
    0x541d, // TIOCCONS
];

/// Execution domains that change nothing that a guard relies on: Linux, 32-bit names, old version numbers, no address
/// randomisation (debuggers and some test runners), and the question which one is set.
const PERSONALITIES: [u32; 6] = [0, 0x0008, 0x0002_0000, 0x0002_0008, 0x0004_0000, 0xffff_ffff];

/// Calls that reach other processes of the user without a process namespace, with the arguments (index, value) by which
/// a program means itself.
const ON_OTHERS: &[(c_long, &[(u32, u32)])] = &[
    (libc::SYS_prlimit64, &[(0, 0)]),
    (libc::SYS_setpriority, &[(0, 0), (1, 0)]), // PRIO_PROCESS; PRIO_USER means everything that the user runs.
    (libc::SYS_ioprio_set, &[(0, 1), (1, 0)]),  // IOPRIO_WHO_PROCESS
];

/// Calls that set a file's mode or make a file with one, with the argument that is the mode.
const MODE_CALLS: &[(c_long, u32)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1),
    (libc::SYS_mknodat, 2),
    (libc::SYS_fchmod, 1),
    (libc::SYS_fchmodat, 2),
    (FCHMODAT2, 2),
];
const FCHMODAT2: c_long = 452;
/// Calls that open a file, with the argument that holds the flags; a mode follows it, and counts where one is made.
const OPEN_CALLS: &[(c_long, u32)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1),
    (libc::SYS_openat, 2),
];
/// Flags with which `open` makes a file (the second is the bit that only `O_TMPFILE` has).
const MAKES_FILE: u32 = (libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY)) as u32;

/// Calls that answer EPERM, with what they would open.
#[rustfmt::skip]
const REFUSED: &[c_long] = &[
    // Mounts and roots: the view of the cage is made of them.
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_chroot, libc::SYS_move_mount,
    libc::SYS_open_tree, libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick,
    libc::SYS_mount_setattr, OPEN_TREE_ATTR, libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    // Namespaces of others.
    libc::SYS_setns,
    // Other processes: tracing, their memory, their descriptors.
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_process_madvise,
    libc::SYS_process_mrelease, libc::SYS_kcmp, libc::SYS_pidfd_getfd,
    // Kernel interfaces with a long record of faults, useless without rights or beyond any other filter.
    libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter, libc::SYS_io_uring_register, libc::SYS_fanotify_init, libc::SYS_fanotify_mark,
    // Key rings are shared by everything that the user runs.
    libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl,
    // Files by handle pass by every path.
    libc::SYS_name_to_handle_at, libc::SYS_open_by_handle_at,
    // The machine: modules, restart, clock, log, names, accounting.
    libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_kexec_load,
    libc::SYS_kexec_file_load, libc::SYS_reboot, libc::SYS_syslog, libc::SYS_acct, libc::SYS_settimeofday,
    libc::SYS_clock_settime, libc::SYS_clock_adjtime, libc::SYS_adjtimex, libc::SYS_sethostname,
    libc::SYS_setdomainname, libc::SYS_vhangup, libc::SYS_nfsservctl, LOOKUP_DCOOKIE, LSM_SET_SELF_ATTR,
    // Placement of memory, of oneself and of others.
    libc::SYS_mbind, libc::SYS_set_mempolicy, libc::SYS_set_mempolicy_home_node, libc::SYS_migrate_pages,
    libc::SYS_move_pages,
];
/// Numbers that the C library's table lacks on some of the architectures.
const OPEN_TREE_ATTR: c_long = 467;
const LSM_SET_SELF_ATTR: c_long = 460;
#[cfg(target_arch = "x86_64")]
const LOOKUP_DCOOKIE: c_long = 212;
#[cfg(target_arch = "aarch64")]
const LOOKUP_DCOOKIE: c_long = 18;

/// Calls of one architecture only that answer EPERM: ports, descriptor tables, old interfaces.
#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[c_long] = &[
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
    libc::SYS__sysctl,
];
#[cfg(target_arch = "aarch64")]
const REFUSED_HERE: &[c_long] = &[];

/// Without an IPC namespace these reach what other processes of the user share.
#[rustfmt::skip]
const SHARED_MEMORY: &[c_long] = &[
    libc::SYS_shmget, libc::SYS_shmat, libc::SYS_shmctl, libc::SYS_semget, libc::SYS_semop, libc::SYS_semtimedop,
    libc::SYS_semctl, libc::SYS_msgget, libc::SYS_msgsnd, libc::SYS_msgrcv, libc::SYS_msgctl, libc::SYS_mq_open,
    libc::SYS_mq_unlink,
];

/// A program under construction.
struct Assembler {
    program: Vec<Instruction>,
}

impl Assembler {
    fn push(&mut self, code: u16, value: u32, if_true: u8, if_false: u8) {
        self.program.push(Instruction { code, if_true, if_false, value });
    }
    fn load(&mut self, offset: u32) {
        self.push(LOAD_WORD, offset, 0, 0);
    }
    /// Loads the low 32 bits of an argument (both architectures are little-endian).
    fn load_argument(&mut self, index: u32) {
        self.load(ARGUMENTS_OFFSET + 8 * index);
    }
    fn answer(&mut self, action: u32) {
        self.push(RETURN, action, 0, 0);
    }
    /// Answers `action` when the loaded word is `value`.
    fn answer_if_equal(&mut self, value: u32, action: u32) {
        self.push(JUMP_EQUAL, value, 0, 1);
        self.answer(action);
    }
    /// Appends what `body` writes and jumps over it unless the comparison before this succeeded.
    fn enclosed(&mut self, mut body: Self) {
        self.push(JUMP, u32::try_from(body.program.len()).unwrap_or(u32::MAX), 0, 0);
        self.program.append(&mut body.program);
    }
    /// Looks the loaded call up among `verdicts`, which are sorted; what is not among them is allowed.
    ///
    /// A search by halves instead of a list: the kernel runs the filter once for each call when it is installed.
    fn look_up(&mut self, verdicts: &[(u32, Verdict)]) {
        const LEAF: usize = 3;
        let middle = verdicts.len() / 2;
        match verdicts.split_at_checked(middle) {
            Some((left, right @ [(first, _), ..])) if verdicts.len() > LEAF => {
                let mut lower = Self { program: Vec::new() };
                lower.look_up(left);
                self.push(JUMP_AT_LEAST, *first, 0, 1);
                self.enclosed(lower);
                self.look_up(right);
            }
            _ => {
                for (number, verdict) in verdicts {
                    match verdict {
                        Verdict::Answer(action) => self.answer_if_equal(*number, *action),
                        Verdict::Look(program) => {
                            self.push(JUMP_EQUAL, *number, 1, 0);
                            self.enclosed(Self { program: program.clone() });
                        }
                    }
                }
                self.answer(ALLOW);
            }
        }
    }
}

/// What a call gets: an answer, or a look at its arguments (which answers on every path).
enum Verdict {
    Answer(u32),
    Look(Vec<Instruction>),
}

/// A call's number as the filter sees it; a negative number (none has one) matches nothing.
fn call(number: c_long) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Builds the filter.
pub(super) fn build(sockets: Sockets) -> Vec<Instruction> {
    let mut filter = Assembler { program: Vec::with_capacity(320) };
    filter.load(ARCHITECTURE_OFFSET);
    filter.push(JUMP_EQUAL, ARCHITECTURE, 1, 0);
    filter.answer(KILL);
    filter.load(NUMBER_OFFSET);
    filter.push(JUMP_GREATER, NUMBER_MAX, 0, 1);
    filter.answer(errno(libc::ENOSYS));
    filter.look_up(&verdicts(sockets));
    filter.program
}

/// Every call that is not simply allowed, sorted by number.
fn verdicts(sockets: Sockets) -> Vec<(u32, Verdict)> {
    // Their arguments lie in memory: namespaces there, a mode here. Libraries fall back.
    let unknown = [libc::SYS_clone3, libc::SYS_openat2];
    let mut verdicts = Vec::from(unknown.map(|number| (call(number), Verdict::Answer(errno(libc::ENOSYS)))));
    let shared: &[c_long] = if sockets == Sockets::Shared { SHARED_MEMORY } else { &[] };
    let refused = REFUSED.iter().chain(REFUSED_HERE).chain(shared);
    verdicts.extend(refused.map(|number| (call(*number), Verdict::Answer(errno(libc::EPERM)))));
    let mut look = |number: c_long, body: &dyn Fn(&mut Assembler)| {
        let mut assembler = Assembler { program: Vec::new() };
        body(&mut assembler);
        verdicts.push((call(number), Verdict::Look(assembler.program)));
    };
    for (number, flags) in [(libc::SYS_clone, NEW_NAMESPACES), (libc::SYS_unshare, NEW_NAMESPACES | NEW_TIME)] {
        look(number, &|body| {
            body.load_argument(0);
            body.push(JUMP_ANY_BIT, flags, 0, 1);
            body.answer(errno(libc::EPERM));
            body.answer(ALLOW);
        });
    }
    look(libc::SYS_ioctl, &|body| {
        body.load_argument(1);
        for request in TERMINAL_REQUESTS {
            body.answer_if_equal(request, errno(libc::EPERM));
        }
        body.answer(ALLOW);
    });
    look(libc::SYS_personality, &|body| {
        body.load_argument(0);
        for personality in PERSONALITIES {
            body.answer_if_equal(personality, ALLOW);
        }
        body.answer(errno(libc::EPERM));
    });
    look(libc::SYS_socketpair, &|body| {
        body.load_argument(0);
        body.push(JUMP_EQUAL, libc::AF_UNIX as u32, 1, 0);
        body.answer(errno(libc::EPERM));
        if sockets == Sockets::Shared {
            // One end of a pair of datagram sockets can be sent from, and connected, to any path.
            body.load_argument(1);
            body.push(AND, SOCKET_KIND_MASK, 0, 0);
            body.answer_if_equal(libc::SOCK_DGRAM as u32, errno(libc::EPERM));
            body.answer_if_equal(libc::SOCK_RAW as u32, errno(libc::EPERM)); // The same by its other name.
        }
        body.answer(ALLOW);
    });
    look(libc::SYS_socket, &|body| socket(body, sockets));
    if sockets == Sockets::Shared {
        for (number, arguments) in ON_OTHERS {
            look(*number, &|body| {
                for argument in *arguments {
                    body.load_argument(argument.0);
                    body.push(JUMP_EQUAL, argument.1, 1, 0);
                    body.answer(errno(libc::EPERM));
                }
                body.answer(ALLOW);
            });
        }
    }
    // A program that runs as its owner, left in the workspace, gives whoever starts it the caller's rights. A file that
    // is made with the bit is empty, but where root writes to it later it keeps the bit.
    for (number, argument) in MODE_CALLS {
        look(*number, &|body| {
            body.load_argument(*argument);
            body.push(JUMP_ANY_BIT, libc::S_ISUID, 0, 1);
            body.answer(errno(libc::EPERM));
            body.answer(ALLOW);
        });
    }
    for (number, argument) in OPEN_CALLS {
        look(*number, &|body| {
            body.load_argument(*argument);
            body.push(JUMP_ANY_BIT, MAKES_FILE, 1, 0);
            body.answer(ALLOW);
            body.load_argument(*argument + 1);
            body.push(JUMP_ANY_BIT, libc::S_ISUID, 0, 1);
            body.answer(errno(libc::EPERM));
            body.answer(ALLOW);
        });
    }
    verdicts.sort_by_key(|(number, _)| *number);
    verdicts
}

/// Judges `socket`, family by family. Whatever is not named is refused: packet, vsock, alg, bluetooth, xdp, can, …
fn socket(body: &mut Assembler, sockets: Sockets) {
    if sockets == Sockets::Shared {
        // Unix sockets by path would reach the user's own services (D-Bus: `systemd-run --user`), UDP the network.
        body.answer(errno(libc::EPERM));
        return;
    }
    // Unix: paths outside the view do not exist, abstract names are those of the empty network namespace.
    body.load_argument(0);
    body.answer_if_equal(libc::AF_UNIX as u32, ALLOW);
    // Route queries list the (empty) interfaces; runtimes fail to start without. Other netlink protocols are kernel
    // interfaces that nothing here needs.
    let mut netlink = Assembler { program: Vec::new() };
    netlink.load_argument(2);
    netlink.answer_if_equal(libc::NETLINK_ROUTE as u32, ALLOW);
    netlink.answer(errno(libc::EPERM));
    body.push(JUMP_EQUAL, libc::AF_NETLINK as u32, 1, 0);
    body.push(JUMP, u32::try_from(netlink.program.len()).unwrap_or(u32::MAX), 0, 0);
    body.program.append(&mut netlink.program);
    // Internet: streams and datagrams only; raw sockets need rights that nobody has here.
    body.push(JUMP_EQUAL, libc::AF_INET as u32, 2, 0);
    body.push(JUMP_EQUAL, libc::AF_INET6 as u32, 1, 0);
    body.answer(errno(libc::EPERM));
    body.load_argument(1);
    body.push(AND, SOCKET_KIND_MASK, 0, 0);
    body.answer_if_equal(libc::SOCK_STREAM as u32, ALLOW);
    body.answer_if_equal(libc::SOCK_DGRAM as u32, ALLOW);
    body.answer(errno(libc::EPERM));
}

/// The part of a socket's type that is its kind; the rest is flags.
const SOCKET_KIND_MASK: u32 = 0xf;

#[cfg(test)]
mod tests;
