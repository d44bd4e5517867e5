// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seccomp filter: which system calls a caged program may make.
//!
//! In: the groups of a profile, and where the program's sockets lead. Out: BPF instructions.
//!
//! **Invariant:** architecture and x32 are judged first; a call that stands in no group is refused, whatever it is; an
//! argument that the kernel reads as 32 bits is compared on its low 32 bits, whatever stands above them.
//! Pointers cannot be judged here, so `clone3` and `openat2` answer ENOSYS and libraries fall back.

mod groups;

use std::ffi::c_long;

use ringfort_core::syscalls::{SyscallGroup, SyscallGroups};

use crate::syscall::Instruction;

/// Where the program's sockets lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sockets {
    /// Into an empty network namespace: internet families are harmless there, and programs open them to look around.
    Namespaced,
    /// Into the host's network: no socket may be opened, only pairs of connected Unix sockets.
    Shared,
    /// Into the host's network, by the supervisor: TCP sockets may be opened, and it connects them, or does not.
    Supervised,
}

impl Sockets {
    /// Whether nothing lies between the program and the host's other processes and network but this filter.
    fn are_the_hosts(self) -> bool {
        self != Self::Namespaced
    }
}

const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const JUMP_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
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
/// The call waits for the supervisor's answer, which takes its place.
const TELL: u32 = libc::SECCOMP_RET_USER_NOTIF;
const fn errno(number: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | number as u32
}

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the native sandbox knows the system calls of x86_64 and aarch64 only");

/// New namespaces, as `clone` and `unshare` name them: mount, cgroup, uts, ipc, user, pid, net.
const NEW_NAMESPACES: u32 = 0x7e02_0000;
/// The time namespace; in `clone` this bit belongs to the exit signal, so only `unshare` knows it.
const NEW_TIME: u32 = 0x80;

/// In `clone`: the new process escapes from whoever traces this one. Nothing but an escape wants that.
const UNTRACED: u32 = libc::CLONE_UNTRACED as u32;

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

/// The resource that carries the mark of a session.
const MARK_RESOURCE: u32 = super::prepare::MARK_RESOURCE;

/// Calls that reach other processes of the user without a process namespace, with the arguments (index, value) by which
/// a program means itself.
const ON_OTHERS: &[(c_long, &[(u32, u32)])] = &[
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
    (groups::FCHMODAT2, 2),
];
/// Calls that open a file, with the argument that holds the flags; a mode follows it, and counts where one is made.
const OPEN_CALLS: &[(c_long, u32)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1),
    (libc::SYS_openat, 2),
];
/// Flags with which `open` makes a file (the second is the bit that only `O_TMPFILE` has).
const MAKES_FILE: u32 = (libc::O_CREAT | (libc::O_TMPFILE & !libc::O_DIRECTORY)) as u32;

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
    /// Appends the answers for the runs, each of which begins at its number and ends where the next one begins.
    ///
    /// A search by halves instead of a list: the kernel runs the filter once for each call when it is installed.
    fn look_up(&mut self, runs: &[(u32, Verdict)]) {
        let Some((left, right @ [(first, _), ..])) = runs.split_at_checked(runs.len() / 2) else { return };
        if left.is_empty() {
            match right {
                [(_, Verdict::Look(program)), ..] => self.program.extend(program),
                [(_, Verdict::Answer(action)), ..] => self.answer(*action),
                [] => {}
            }
            return;
        }
        let mut lower = Self { program: Vec::new() };
        lower.look_up(left);
        match u8::try_from(lower.program.len()) {
            Ok(length) => self.push(JUMP_AT_LEAST, *first, length, 0),
            // Too far for a condition.
            Err(_) => {
                self.push(JUMP_AT_LEAST, *first, 0, 1);
                self.push(JUMP, u32::try_from(lower.program.len()).unwrap_or(u32::MAX), 0, 0);
            }
        }
        self.program.append(&mut lower.program);
        self.look_up(right);
    }
}

/// What a call gets: an answer, or a look at its arguments (which answers on every path).
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Answer(u32),
    Look(Vec<Instruction>),
}

/// Builds the filter.
pub(super) fn build(sockets: Sockets, groups: &SyscallGroups) -> Vec<Instruction> {
    let mut filter = Assembler { program: Vec::with_capacity(512) };
    filter.load(ARCHITECTURE_OFFSET);
    filter.push(JUMP_EQUAL, ARCHITECTURE, 1, 0);
    filter.answer(KILL);
    filter.load(NUMBER_OFFSET);
    let mut runs: Vec<(u32, Verdict)> = Vec::new();
    for (number, verdict) in (0..).zip(verdicts(sockets, groups)) {
        // Looks are at one call each; equal answers beside each other are one run.
        if runs.last().is_none_or(|(_, last)| *last != verdict || matches!(last, Verdict::Look(_))) {
            runs.push((number, verdict));
        }
    }
    filter.look_up(&runs);
    filter.program
}

/// What each call gets, by its number; the last one stands for every number from there on, x32 calls among them.
fn verdicts(sockets: Sockets, allowed: &SyscallGroups) -> Vec<Verdict> {
    let unknown = Verdict::Answer(errno(libc::ENOSYS));
    let mut verdicts = vec![unknown; groups::NUMBER_MAX as usize + 2];
    let mut set = |number: c_long, verdict: Verdict| {
        if let Some(place) = usize::try_from(number).ok().and_then(|number| verdicts.get_mut(number)) {
            *place = verdict;
        }
    };
    for number in groups::refused() {
        set(number, Verdict::Answer(errno(libc::EPERM)));
    }
    for (group, calls) in groups::groups() {
        let action = if is_open(group, sockets, allowed) { ALLOW } else { errno(libc::EPERM) };
        calls.iter().for_each(|number| set(*number, Verdict::Answer(action)));
    }
    for (number, program) in looks(sockets) {
        // Arguments make a call narrower, never wider: one whose group is closed stays refused.
        let place = usize::try_from(number).ok().and_then(|number| verdicts.get_mut(number));
        if let Some(place) = place.filter(|verdict| **verdict == Verdict::Answer(ALLOW)) {
            *place = Verdict::Look(program);
        }
    }
    verdicts
}

/// Without namespaces, queues and memory by key are those of the user's other processes, and tracing is not kept inside.
fn is_open(group: SyscallGroup, sockets: Sockets, allowed: &SyscallGroups) -> bool {
    let inside_only = matches!(group, SyscallGroup::Ipc | SyscallGroup::Debug);
    allowed.contains(group) && (sockets == Sockets::Namespaced || !inside_only)
}

/// The calls that are judged by their arguments.
fn looks(sockets: Sockets) -> Vec<(c_long, Vec<Instruction>)> {
    let mut looks = Vec::new();
    let mut look = |number: c_long, body: &dyn Fn(&mut Assembler)| {
        let mut assembler = Assembler { program: Vec::new() };
        body(&mut assembler);
        looks.push((number, assembler.program));
    };
    for (number, flags) in
        [(libc::SYS_clone, NEW_NAMESPACES | UNTRACED), (libc::SYS_unshare, NEW_NAMESPACES | NEW_TIME)]
    {
        look(number, &|body| {
            body.load_argument(0);
            body.push(JUMP_ANY_BIT, flags, 0, 1);
            body.answer(errno(libc::EPERM));
            body.answer(ALLOW);
        });
    }
    look(libc::SYS_ioctl, &|body| {
        body.load_argument(1);
        if sockets == Sockets::Supervised {
            // Beyond reading and writing, requests of a socket are about the host's interfaces and routes.
            body.push(JUMP_AT_LEAST, DEVICE_REQUESTS.0, 0, 2);
            body.push(JUMP_AT_LEAST, DEVICE_REQUESTS.1, 1, 0);
            body.answer(errno(libc::EPERM));
        }
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
        if sockets.are_the_hosts() {
            // One end of a pair of datagram sockets can be sent from, and connected, to any path.
            body.load_argument(1);
            body.push(AND, SOCKET_KIND_MASK, 0, 0);
            body.answer_if_equal(libc::SOCK_DGRAM as u32, errno(libc::EPERM));
            body.answer_if_equal(libc::SOCK_RAW as u32, errno(libc::EPERM)); // The same by its other name.
        }
        body.answer(ALLOW);
    });
    look(libc::SYS_socket, &|body| socket(body, sockets));
    if sockets == Sockets::Supervised {
        supervised(&mut look);
    }
    if sockets.are_the_hosts() {
        on_the_host(&mut look);
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
    looks
}

/// Takes a call's number and what is appended for it.
type Look<'l> = &'l mut dyn FnMut(c_long, &dyn Fn(&mut Assembler));

/// The calls that reach other processes of the user, where they are in reach.
fn on_the_host(look: Look<'_>) {
    look(libc::SYS_prlimit64, &|body| {
        body.load_argument(0);
        body.push(JUMP_EQUAL, 0, 1, 0);
        body.answer(errno(libc::EPERM));
        body.load_argument(1);
        body.push(JUMP_EQUAL, MARK_RESOURCE, 1, 0);
        body.answer(ALLOW);
        // Reading the mark is fine: there is no new value then, and both halves of its address are zero.
        for half in [0, 4] {
            body.load(ARGUMENTS_OFFSET + 8 * 2 + half);
            body.push(JUMP_EQUAL, 0, 1, 0);
            body.answer(errno(libc::EPERM));
        }
        body.answer(ALLOW);
    });
    look(libc::SYS_setrlimit, &|body| {
        body.load_argument(0);
        body.answer_if_equal(MARK_RESOURCE, errno(libc::EPERM));
        body.answer(ALLOW);
    });
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

/// The calls by which a TCP socket of the host's network gets a name or a peer: the supervisor connects, nobody binds or
/// listens (to listen on a socket without a name gives it one), and nothing is sent ahead of a connection.
fn supervised(look: Look<'_>) {
    look(libc::SYS_connect, &|body| body.answer(TELL));
    for number in [libc::SYS_bind, libc::SYS_listen] {
        look(number, &|body| body.answer(errno(libc::EPERM)));
    }
    for (number, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
        look(number, &|body| {
            body.load_argument(flags);
            body.push(JUMP_ANY_BIT, libc::MSG_FASTOPEN as u32, 0, 1);
            body.answer(errno(libc::EPERM));
            body.answer(ALLOW);
        });
    }
}

/// Judges `socket`, family by family. Whatever is not named is refused: packet, vsock, alg, bluetooth, xdp, can, …
fn socket(body: &mut Assembler, sockets: Sockets) {
    if sockets == Sockets::Shared {
        // Unix sockets by path would reach the user's own services (D-Bus: `systemd-run --user`), UDP the network.
        body.answer(errno(libc::EPERM));
        return;
    }
    if sockets == Sockets::Supervised {
        // Plain TCP and nothing else: other protocols of a stream (MPTCP, SCTP) have other ways to connect.
        body.load_argument(0);
        body.push(JUMP_EQUAL, libc::AF_INET as u32, 2, 0);
        body.push(JUMP_EQUAL, libc::AF_INET6 as u32, 1, 0);
        body.answer(errno(libc::EPERM));
        body.load_argument(1);
        body.push(AND, SOCKET_KIND_MASK, 0, 0);
        body.push(JUMP_EQUAL, libc::SOCK_STREAM as u32, 1, 0);
        body.answer(errno(libc::EPERM));
        body.load_argument(2);
        body.answer_if_equal(0, ALLOW);
        body.answer_if_equal(libc::IPPROTO_TCP as u32, ALLOW);
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

/// Requests about interfaces and routes, radio ones included: from the first to before the second.
const DEVICE_REQUESTS: (u32, u32) = (0x8908, 0x8c00);

/// The part of a socket's type that is its kind; the rest is flags.
const SOCKET_KIND_MASK: u32 = 0xf;

#[cfg(test)]
mod tests;
