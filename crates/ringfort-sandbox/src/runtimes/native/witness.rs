// SPDX-License-Identifier: MIT OR Apache-2.0
//! The attempts that a confined child makes before its program starts: each must fail.
//!
//! In: what to try, prepared before the clone. Out: for each promise 0 (held) or the number of a [`Fault`].
//!
//! **Invariant:** a promise counts as held only when its attempts were made and refused. The attempts are harmless
//! where they succeed: empty files that are removed at once, signal 0, sockets that are closed at once.
//! A probe shows that a restriction is there, not that it has no hole; the escape suite is for that.

use std::ffi::{CString, c_int, c_long};

use ringfort_core::obligation::Promise;

use crate::profile::PROXY_PORT;
use crate::syscall::{self, Answer, Errno, FileId};

/// Why a promise is not held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Fault {
    WroteOutside = 1,
    ReadHidden,
    HomeInView,
    LandlockAsleep,
    LandlockOld,
    StartupWritable,
    StartupUnmounted,
    NoMountNamespace,
    SocketOpened,
    NetworkShared,
    ProcessesInView,
    SignalledOutside,
    CallAnswered,
    RightsLeft,
    StatusUnread,
    KeeperMortal,
    RootInView,
    NetworkReached,
}

/// Every fault with its sentence.
const FAULTS: [(Fault, &str); 18] = [
    (Fault::WroteOutside, "a folder outside could be written"),
    (Fault::ReadHidden, "a hidden path could be opened"),
    (Fault::HomeInView, "the real home folder is in view"),
    (Fault::LandlockAsleep, "Landlock does not refuse what it should"),
    (Fault::LandlockOld, "this kernel's Landlock cannot refuse truncation (it needs ABI 3, Linux 6.2)"),
    (Fault::StartupWritable, "a start-up file could be written"),
    (Fault::StartupUnmounted, "a start-up file or a folder above it could be renamed"),
    (Fault::NoMountNamespace, "without a mount namespace files inside the workspace cannot be protected"),
    (Fault::SocketOpened, "a socket could be opened"),
    (Fault::NetworkShared, "the network namespace is shared with the host"),
    (Fault::ProcessesInView, "processes outside are in view (there is no pid namespace)"),
    (Fault::SignalledOutside, "a process outside could be signalled"),
    (Fault::CallAnswered, "a dangerous system call was not refused"),
    (Fault::RightsLeft, "capabilities or a way to gain rights are left"),
    (Fault::StatusUnread, "the process status could not be read"),
    (Fault::KeeperMortal, "without a pid namespace and Landlock's signal scope the program can kill its keeper"),
    (Fault::RootInView, "the root folder is the host's"),
    (Fault::NetworkReached, "there is a way to an address outside the cage"),
];

/// The sentence for a fault number from the child.
pub(super) fn sentence(number: u8) -> &'static str {
    FAULTS.iter().find(|(fault, _)| *fault as u8 == number).map_or("it was not probed", |(_, text)| *text)
}

/// Number of promises; they are reported in the order of [`Promise::ALL`].
pub(super) const PROMISES: usize = Promise::ALL.len();

/// The number that stands for "nobody tried".
pub(super) const UNPROBED: u8 = u8::MAX;

/// What the child found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Findings {
    /// 0 or a fault's number, in the order of [`Promise::ALL`].
    pub(super) faults: [u8; PROMISES],
    /// Whether the filter was seen to refuse.
    pub(super) seccomp: bool,
    pub(super) no_new_privileges: bool,
    pub(super) capabilities_dropped: bool,
    /// Whether Landlock was seen to refuse.
    pub(super) landlock: bool,
}

/// Who connects the program's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connecting {
    /// The kernel, at once.
    Direct,
    /// The supervisor, in the host's network.
    Supervised,
}

/// The namespace files of a process whose inodes tell whether a namespace is its own.
const NETWORK: &std::ffi::CStr = c"/proc/self/ns/net";
const PIDS: &std::ffi::CStr = c"/proc/self/ns/pid";

/// What to try. Made in the supervisor.
pub(super) struct Witness {
    pub(super) namespaced: bool,
    pub(super) landlock_abi: u32,
    /// Whether processes inside may trace each other.
    pub(super) is_traceable: bool,
    /// The supervisor's process id, to try a signal on (without a pid namespace).
    pub(super) supervisor: i32,
    /// Files that do not exist, in folders outside that must not be writable.
    pub(super) uncreatable: Vec<CString>,
    /// Paths that must not be readable.
    pub(super) unreadable: Vec<CString>,
    /// A path that only Landlock refuses.
    pub(super) landlock_canary: CString,
    /// Start-up files and folders that must not be writable.
    pub(super) protected: Vec<CString>,
    /// Those and the folders above them, which must be mount points.
    pub(super) anchored: Vec<CString>,
    /// The real home and root, by identity, and where they appear.
    pub(super) home: CString,
    pub(super) home_outside: Option<FileId>,
    pub(super) root_outside: Option<FileId>,
    pub(super) network_outside: Option<FileId>,
    pub(super) pids_outside: Option<FileId>,
}

/// Identities of the supervisor's own namespaces.
pub(super) fn own_namespaces() -> (Option<FileId>, Option<FileId>) {
    (syscall::stat(NETWORK).ok(), syscall::stat(PIDS).ok())
}

type Verdict = Result<(), Fault>;

fn refused<T>(answer: &Answer<T>, fault: Fault) -> Verdict {
    if answer.is_err() { Ok(()) } else { Err(fault) }
}

impl Witness {
    /// Makes every attempt. Called in the child, after its confinement.
    pub(super) fn examine(&self, connecting: Connecting) -> Findings {
        let landlock = self.landlock();
        let status = Status::read();
        let mut faults = [UNPROBED; PROMISES];
        for (fault, promise) in faults.iter_mut().zip(Promise::ALL) {
            let verdict = match promise {
                Promise::ConfineWrites => self.writes(landlock),
                Promise::ConfineReads => self.reads(landlock),
                Promise::ProtectStartup => self.startup(),
                Promise::NoNetwork => self.network(connecting),
                Promise::ConfineProcesses => self.processes(),
                Promise::ConfineSyscalls => calls(self.is_traceable),
                Promise::NoPrivilege => rights(status),
                Promise::KillAll => self.end(),
                _ => continue,
            };
            *fault = verdict.err().map_or(0, |fault| fault as u8);
        }
        Findings {
            faults,
            seccomp: calls(self.is_traceable).is_ok() && status.is_some_and(|status| status.filtered),
            no_new_privileges: status.is_some_and(|status| status.no_new_privileges),
            capabilities_dropped: status.is_some_and(|status| status.no_capabilities),
            landlock: landlock.is_ok(),
        }
    }

    /// Something that exists, is readable for everybody, and that only Landlock refuses.
    fn landlock(&self) -> Verdict {
        if self.landlock_abi == 0 {
            return Err(Fault::LandlockAsleep);
        }
        match open(&self.landlock_canary, libc::O_RDONLY) {
            Err(Errno(libc::EACCES)) => Ok(()),
            _ => Err(Fault::LandlockAsleep),
        }
    }

    fn writes(&self, landlock: Verdict) -> Verdict {
        if self.namespaced {
            self.root_replaced()?;
        } else {
            landlock?;
            if self.landlock_abi < 3 {
                return Err(Fault::LandlockOld);
            }
        }
        self.uncreatable.iter().try_for_each(uncreated)
    }

    fn reads(&self, landlock: Verdict) -> Verdict {
        if self.namespaced {
            self.root_replaced()?;
            if self.home_outside.is_some() && syscall::stat(&self.home).ok() == self.home_outside {
                return Err(Fault::HomeInView);
            }
        } else {
            landlock?;
            refused(&open(&self.home, libc::O_RDONLY), Fault::HomeInView)?;
        }
        self.unreadable.iter().try_for_each(|path| refused(&open(path, libc::O_RDONLY), Fault::ReadHidden))
    }

    fn root_replaced(&self) -> Verdict {
        match (syscall::stat(c"/"), self.root_outside) {
            (Ok(inside), Some(outside)) if inside != outside => Ok(()),
            _ => Err(Fault::RootInView),
        }
    }

    fn startup(&self) -> Verdict {
        if !self.namespaced {
            return Err(Fault::NoMountNamespace);
        }
        for path in &self.protected {
            refused(&open(path, libc::O_WRONLY | libc::O_NOFOLLOW), Fault::StartupWritable)?;
            refused(&open(path, libc::O_TMPFILE | libc::O_WRONLY | libc::O_NOFOLLOW), Fault::StartupWritable)?;
        }
        let anchored = self.anchored.iter().all(|path| syscall::is_mount_root(path) == Ok(true));
        if anchored { Ok(()) } else { Err(Fault::StartupUnmounted) }
    }

    fn network(&self, connecting: Connecting) -> Verdict {
        if connecting == Connecting::Supervised {
            return supervised();
        }
        if !self.namespaced {
            refused(&socket(libc::AF_UNIX), Fault::SocketOpened)?;
            refused(&socket(libc::AF_INET6), Fault::SocketOpened)?;
            return refused(&socket(libc::AF_INET), Fault::SocketOpened);
        }
        match (syscall::stat(NETWORK), self.network_outside) {
            (Ok(inside), Some(outside)) if inside.inode != outside.inode => {}
            _ => return Err(Fault::NetworkShared),
        }
        refused(&socket(libc::AF_PACKET), Fault::SocketOpened)?;
        refused(&socket(libc::AF_VSOCK), Fault::SocketOpened)?;
        for (family, kind, attempt) in ELSEWHERE {
            // Where there is no such socket there is nothing to reach with it.
            if let Ok(socket) = syscall::socket(family, kind, 0) {
                let reached = attempt(socket);
                syscall::close(socket);
                refused(&reached, Fault::NetworkReached)?;
            }
        }
        Ok(())
    }

    fn processes(&self) -> Verdict {
        self.apart()?;
        // In a pid namespace of one's own everything outside has no number at all.
        if syscall::getppid() == 1 { Ok(()) } else { Err(Fault::ProcessesInView) }
    }

    fn apart(&self) -> Verdict {
        match (syscall::stat(PIDS), self.pids_outside) {
            (Ok(inside), Some(outside)) if self.namespaced && inside.inode != outside.inode => Ok(()),
            _ => Err(Fault::ProcessesInView),
        }
    }

    /// Whether what the program leaves behind can be found and ended.
    fn end(&self) -> Verdict {
        if self.apart().is_ok() {
            return Ok(());
        }
        let keeper = syscall::kill(syscall::getppid(), 0);
        let supervisor = syscall::kill(self.supervisor, 0);
        match (keeper, supervisor) {
            (Err(Errno(libc::EPERM)), Err(Errno(libc::EPERM))) => Ok(()),
            (Err(_), Err(_)) => Err(Fault::KeeperMortal),
            _ => Err(Fault::SignalledOutside),
        }
    }
}

/// What is tried with a socket.
type Attempt = fn(c_int) -> Answer<()>;

/// Sockets that may not be opened where the supervisor connects: everything but plain TCP.
const CLOSED: [(c_int, c_int, c_int); 8] = [
    (libc::AF_UNIX, libc::SOCK_STREAM, 0),
    (libc::AF_UNIX, libc::SOCK_DGRAM, 0),
    (libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE),
    (libc::AF_PACKET, libc::SOCK_RAW, 0),
    (libc::AF_INET, libc::SOCK_DGRAM, 0),
    (libc::AF_INET6, libc::SOCK_DGRAM, 0),
    (libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP),
    (libc::AF_INET, libc::SOCK_SEQPACKET, libc::IPPROTO_SCTP),
];

/// Where the supervisor connects: nothing but TCP to its proxy, no listener, no name. The connection to the proxy is
/// asked for as well: the supervisor looks whether it could make it.
fn supervised() -> Verdict {
    for (family, kind, protocol) in CLOSED {
        refused(&syscall::socket(family, kind, protocol).map(syscall::close), Fault::SocketOpened)?;
    }
    let attempts: [(c_int, Attempt); 5] = [
        (libc::AF_INET, syscall::connect_nowhere),
        (libc::AF_INET6, syscall::connect_nowhere_v6),
        (libc::AF_INET, syscall::send_ahead_nowhere),
        (libc::AF_INET, syscall::bind_anywhere),
        (libc::AF_INET, |socket| syscall::start_listening(socket, 1)),
    ];
    for (family, attempt) in attempts {
        if let Ok(socket) = syscall::socket(family, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0) {
            let reached = attempt(socket);
            syscall::close(socket);
            let is_on_its_way = reached == Err(Errno(libc::EINPROGRESS));
            refused(&reached, Fault::NetworkReached)?;
            if is_on_its_way {
                return Err(Fault::NetworkReached);
            }
        }
    }
    if let Ok(socket) = syscall::socket(libc::AF_INET, libc::SOCK_STREAM, 0) {
        // Whether it could be made is no matter of the promise.
        let _ignored: Answer<()> = syscall::connect_own(socket, PROXY_PORT);
        syscall::close(socket);
    }
    Ok(())
}

/// A family, a kind of socket, and what is tried with one.
type Way = (c_int, c_int, Attempt);

/// Ways to an address that is neither the cage's own nor one of those that its door catches.
const ELSEWHERE: [Way; 4] = [
    (libc::AF_INET, libc::SOCK_DGRAM, syscall::connect_nowhere),
    (libc::AF_INET, libc::SOCK_DGRAM, syscall::send_nowhere),
    (libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, connect_at_once),
    (libc::AF_INET6, libc::SOCK_DGRAM, syscall::connect_nowhere_v6),
];

/// A connection that is on its way counts as made: there is a route.
fn connect_at_once(socket: c_int) -> Answer<()> {
    match syscall::connect_nowhere(socket) {
        Err(Errno(libc::EINPROGRESS)) => Ok(()),
        answer => answer,
    }
}

fn open(path: &CString, flags: c_int) -> Answer<()> {
    let nowhere = libc::O_NONBLOCK | libc::O_NOCTTY;
    syscall::openat(libc::AT_FDCWD, path, flags | nowhere, 0).map(syscall::close)
}

/// Tries to create a file. A nameless one would not do: it is made, with all that costs, before Landlock refuses it.
fn uncreated(path: &CString) -> Verdict {
    match open(path, libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_NOFOLLOW) {
        Ok(()) => {
            // It is empty; the fault is told whatever becomes of it.
            let _ignored: Answer<()> = syscall::unlink(path);
            Err(Fault::WroteOutside)
        }
        Err(Errno(libc::EEXIST)) => Err(Fault::WroteOutside), // Nothing was seen to be refused.
        Err(_) => Ok(()),
    }
}

fn socket(family: c_int) -> Answer<()> {
    syscall::socket(family, libc::SOCK_DGRAM, 0).map(syscall::close)
}

/// Calls that must be refused, with a first argument that makes them harmless, and the answer of the filter.
const FORBIDDEN: [(c_long, libc::c_ulong, i32); 8] = [
    (libc::SYS_unshare, libc::CLONE_NEWUSER as libc::c_ulong, libc::EPERM),
    (libc::SYS_mount, 0, libc::EPERM),
    (libc::SYS_clone3, 0, libc::ENOSYS),
    (libc::SYS_io_uring_setup, 0, libc::EPERM),
    (libc::SYS_keyctl, INVALID, libc::EPERM),
    (libc::SYS_bpf, INVALID, libc::EPERM),
    (libc::SYS_ptrace, INVALID, libc::EPERM),
    (libc::SYS_open_by_handle_at, 0, libc::EPERM),
];
/// A command number that no kernel knows.
const INVALID: libc::c_ulong = 0x7fff_ff00;

/// `is_traceable`: the profile opens tracing inside, so that `ptrace` is no sign of a missing filter.
fn calls(is_traceable: bool) -> Verdict {
    let all = FORBIDDEN
        .iter()
        .filter(|(number, ..)| !(is_traceable && *number == libc::SYS_ptrace))
        .all(|(number, first, expected)| syscall::try_forbidden(*number, *first) == Err(Errno(*expected)));
    if all { Ok(()) } else { Err(Fault::CallAnswered) }
}

fn rights(status: Option<Status>) -> Verdict {
    match status {
        None => Err(Fault::StatusUnread),
        Some(status) if status.no_new_privileges && status.no_capabilities => Ok(()),
        Some(_) => Err(Fault::RightsLeft),
    }
}

/// What the kernel says about this process; a filter that was inherited cannot fake it as it could a call's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status {
    no_new_privileges: bool,
    filtered: bool,
    /// Nothing effective, permitted, inheritable or ambient. The bounding set gives nothing under `no_new_privs`.
    no_capabilities: bool,
}

/// Bytes of `/proc/self/status` that are read; it is about 1500 long.
const STATUS_BYTES_MAX: usize = 4096;

impl Status {
    fn read() -> Option<Self> {
        let mut buffer = [0; STATUS_BYTES_MAX];
        let file = syscall::openat(libc::AT_FDCWD, c"/proc/self/status", libc::O_RDONLY, 0).ok()?;
        let length = syscall::read(file, &mut buffer);
        syscall::close(file);
        Self::parse(buffer.get(..length.ok()?)?)
    }

    /// `None` when a line is missing.
    fn parse(text: &[u8]) -> Option<Self> {
        let field = |name: &[u8]| {
            text.split(|byte| *byte == b'\n')
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(b":"))
                .map(<[u8]>::trim_ascii)
        };
        let is_empty = |name: &[u8]| Some(field(name)?.iter().all(|digit| *digit == b'0'));
        Some(Self {
            no_new_privileges: field(b"NoNewPrivs")? == b"1",
            filtered: field(b"Seccomp")? == b"2",
            no_capabilities: is_empty(b"CapInh")?
                && is_empty(b"CapPrm")?
                && is_empty(b"CapEff")?
                && is_empty(b"CapAmb")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_its_sentence() {
        for (index, (fault, text)) in FAULTS.iter().enumerate() {
            assert_eq!(usize::from(*fault as u8), index + 1);
            assert_eq!(sentence(*fault as u8), *text);
        }
        assert_eq!(sentence(UNPROBED), "it was not probed");
    }

    #[test]
    fn deny_a_status_that_is_incomplete_or_has_rights() {
        let good = "Name:\tx\nCapInh:\t0000\nCapPrm:\t0000\nCapEff:\t0000\nCapBnd:\t00ff\nCapAmb:\t0000\nNoNewPrivs:\t1\nSeccomp:\t2\n";
        let held = |text: &str| rights(Status::parse(text.as_bytes()));
        assert_eq!(held(good), Ok(()));
        assert_eq!(held(&good.replace("CapEff:\t0000", "CapEff:\t0001")), Err(Fault::RightsLeft));
        assert_eq!(held(&good.replace("NoNewPrivs:\t1", "NoNewPrivs:\t0")), Err(Fault::RightsLeft));
        assert_eq!(held(&good.replace("CapAmb:\t0000\n", "")), Err(Fault::StatusUnread));
        assert_eq!(held(""), Err(Fault::StatusUnread));
    }

    #[test]
    fn deny_what_an_unconfined_process_would_promise() {
        // This process is not confined, so the same attempts succeed here and every promise is broken.
        assert_eq!(calls(false), Err(Fault::CallAnswered));
        assert_eq!(supervised(), Err(Fault::SocketOpened));
        let findings = Witness {
            namespaced: true,
            landlock_abi: 7,
            is_traceable: false,
            supervisor: syscall::getpid(),
            uncreatable: vec![CString::new("/tmp/.ringfort-probe-test").unwrap()],
            unreadable: vec![CString::new("/etc/passwd").unwrap()],
            landlock_canary: CString::new("/etc/passwd").unwrap(),
            protected: vec![CString::new("/tmp").unwrap()],
            anchored: vec![CString::new("/tmp/.").unwrap()],
            home: CString::new("/").unwrap(),
            home_outside: syscall::stat(c"/").ok(),
            root_outside: syscall::stat(c"/").ok(),
            network_outside: own_namespaces().0,
            pids_outside: own_namespaces().1,
        }
        .examine(Connecting::Direct);
        for (promise, fault) in Promise::ALL.iter().zip(findings.faults) {
            assert_ne!(fault, 0, "{promise:?} counted as held");
        }
        assert!(!findings.seccomp && !findings.landlock);
    }
}
