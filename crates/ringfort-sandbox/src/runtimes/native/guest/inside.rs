// SPDX-License-Identifier: MIT OR Apache-2.0
//! The side inside: receives what to do, and becomes the keeper.
//!
//! In: the number of an inherited socket, or the path of one to connect to. Out: an exit status; the keeper's reports
//! and events go over the descriptors that it received.
//!
//! **Invariant:** without a whole brief and all its descriptors nothing is executed.

use std::ffi::{CString, OsStr};
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags, SocketType,
};
use zeroize::Zeroizing;

use super::brief::{BRIEF_BYTES_MAX, Brief, c_string};
use crate::profile::Tracing;
use crate::runtimes::native::filter::Sockets;
use crate::runtimes::native::keeper::{self, Descriptors, GROUPS_MAX, Plan};
use crate::runtimes::native::landlock::Rules;
use crate::runtimes::native::prepare::DESCRIPTOR_MIN;
use crate::runtimes::native::witness::Witness;
use crate::syscall::{self, ExecVectors, Variable};

/// Exit status of a keeper that has no brief.
pub(crate) const EXIT_UNUSABLE: u8 = 125;
/// Longest wait for the brief. Milliseconds.
const BRIEF_MS_MAX: u32 = 20_000;
/// Brief, report, control, three streams; then perhaps a terminal, a broker and control groups.
const DESCRIPTORS_MIN: usize = 6;
const DESCRIPTORS_MAX: usize = 8 + GROUPS_MAX;

/// Takes the hand-over at `place` and keeps the program until it has ended.
pub(crate) fn enter(place: &OsStr) -> u8 {
    let Some(received) = door(place).and_then(|socket| receive(&socket)) else { return EXIT_UNUSABLE };
    let Some((mut plan, _descriptors)) = plan(received) else { return EXIT_UNUSABLE };
    // The main thread of a fresh process: everything was allocated, and no signal is wanted from here on.
    if syscall::block_all_signals().is_err() {
        return EXIT_UNUSABLE;
    }
    keeper::keep(&mut plan)
}

/// The socket: an inherited one by number, or one to connect to by path.
fn door(place: &OsStr) -> Option<OwnedFd> {
    if let Some(number) = place.to_str().and_then(|text| text.parse::<i32>().ok()) {
        return crate::inherit::socket(number);
    }
    let address = SocketAddrUnix::new(place.as_bytes()).ok()?;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).ok()?;
    rustix::net::connect(&socket, &address).ok()?;
    Some(socket)
}

struct Received {
    brief: Brief,
    descriptors: Vec<OwnedFd>,
}

fn receive(socket: &OwnedFd) -> Option<Received> {
    let Ok([true]) = syscall::poll_readable([socket.as_raw_fd()], Some(BRIEF_MS_MAX)) else { return None };
    let mut mark = [0; 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let message = rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut mark)], &mut ancillary, flags).ok()?;
    let mut descriptors: Vec<OwnedFd> = Vec::new();
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            descriptors.extend(received);
        }
    }
    if message.bytes != 1 || descriptors.len() < DESCRIPTORS_MIN {
        return None;
    }
    let brief = Brief::decode(&Zeroizing::new(read_brief(&descriptors.remove(0))?))?;
    let expected = DESCRIPTORS_MIN - 1 + usize::from(brief.terminal) + usize::from(brief.broker) + brief.groups;
    (descriptors.len() == expected).then_some(Received { brief, descriptors })
}

fn read_brief(file: &OwnedFd) -> Option<Vec<u8>> {
    let size = usize::try_from(rustix::fs::fstat(file).ok()?.st_size).ok().filter(|size| *size <= BRIEF_BYTES_MAX)?;
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *rest, filled as u64)).ok()? {
            0 => return None,
            count => filled += count,
        }
    }
    Some(bytes)
}

fn plan(received: Received) -> Option<(Plan, Vec<OwnedFd>)> {
    let Received { brief, descriptors } = received;
    let moved: Vec<OwnedFd> =
        descriptors.iter().map(|fd| fcntl_dupfd_cloexec(fd, DESCRIPTOR_MIN).ok()).collect::<Option<_>>()?;
    let mut numbers = moved.iter().map(|fd| fd.as_raw_fd());
    let descriptors = Descriptors {
        report: numbers.next()?,
        control: numbers.next()?,
        stdin: numbers.next()?,
        stdout: numbers.next()?,
        stderr: numbers.next()?,
        terminal: if brief.terminal { numbers.next() } else { None },
        broker: if brief.broker { numbers.next() } else { None },
        groups: std::array::from_fn(|_| numbers.next()),
    };
    let list = |strings: &[Vec<u8>]| strings.iter().map(|string| c_string(string)).collect::<Option<Vec<CString>>>();
    let mut rules = Rules::new(brief.landlock_abi);
    for (path, grant) in &brief.grants {
        rules.allow(c_string(path)?, *grant);
    }
    rules.leave_network();
    let plan = Plan {
        sockets: Sockets::Namespaced,
        namespaced: false,
        tracing: Tracing::Off,
        identity: None,
        network: brief.network_plan(),
        workspace: CString::default(),
        steps: Vec::new(),
        cwd: c_string(&brief.cwd)?,
        limits: brief.limits.clone(),
        rules,
        filter: brief.filter.clone(),
        witness: Witness {
            namespaced: true,
            landlock_abi: brief.landlock_abi,
            is_traceable: brief.is_traceable,
            supervisor: 0,
            uncreatable: list(&brief.uncreatable)?,
            unreadable: list(&brief.unreadable)?,
            landlock_canary: c_string(&brief.canary)?,
            protected: list(&brief.protected)?,
            anchored: list(&brief.anchored)?,
            home: c_string(&brief.home)?,
            home_outside: brief.home_outside,
            root_outside: brief.root_outside,
            network_outside: brief.network_outside,
            pids_outside: brief.pids_outside,
        },
        required: brief.required(),
        landlock_required: brief.landlock_required,
        exec: ExecVectors::new(
            c_string(&brief.find_program())?,
            list(&brief.argv)?,
            brief.environment.iter().map(|line| Variable::of_line(line)).collect::<Option<_>>()?,
        ),
        descriptors,
        started_by_main_thread: false,
    };
    Some((plan, moved))
}
