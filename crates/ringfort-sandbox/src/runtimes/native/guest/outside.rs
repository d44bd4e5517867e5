// SPDX-License-Identifier: MIT OR Apache-2.0
//! The side outside: hands the program over to the process inside, and reads what it found.
//!
//! In: a brief, the program's descriptors, a socket whose other end is inside. Out: the keeper's channel and what was
//! achieved; or why the program was not started.
//!
//! **Invariant:** an answer that is missing, late or cut is a failure: nothing has run, and the caller ends the view.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use ringfort_core::degree::Degree;
use ringfort_core::obligation::Promise;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg,
};
use rustix::pipe::PipeFlags;
use zeroize::Zeroizing;

use super::brief::{BRIEF_BYTES_MAX, Brief};
use crate::achieved::Achieved;
use crate::launch::{DoorSockets, LaunchError, Spawn};
use crate::runtimes::native::door;
use crate::runtimes::native::keeper::GROUPS_MAX;
use crate::runtimes::native::prepare::{inspect_streams, os};
use crate::runtimes::native::wire::{Report, Stage};
use crate::runtimes::native::witness::{self, Findings};
use crate::runtimes::native::{Mode, achieved, read_reports};

/// A program that runs in a view of others.
pub(crate) struct Handed {
    /// The keeper's channel.
    pub(crate) control: OwnedFd,
    /// What is enforced.
    pub(crate) achieved: Achieved,
    /// The listeners of the door.
    pub(crate) door: Option<DoorSockets>,
}

/// Most descriptors in one message.
const DESCRIPTORS_MAX: usize = 8 + GROUPS_MAX;

/// Hands the program over and waits until it runs, or is known not to.
pub(crate) fn hand_over(
    socket: BorrowedFd<'_>,
    brief: &Brief,
    spawn: &Spawn,
    entrances: &[OwnedFd],
) -> Result<Handed, LaunchError> {
    inspect_streams(spawn)?;
    let file = write_brief(brief)?;
    let (report, report_inside) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(os("opening a pipe"))?;
    let (control, control_inside) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(os("opening a socket pair"))?;
    let mut descriptors = vec![
        file.as_fd(),
        report_inside.as_fd(),
        control_inside.as_fd(),
        spawn.stdin.as_fd(),
        spawn.stdout.as_fd(),
        spawn.stderr.as_fd(),
    ];
    descriptors.extend(spawn.terminal.iter().chain(&spawn.broker).chain(entrances).map(|fd| fd.as_fd()));
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(failed("handing over the descriptors", io::Error::from_raw_os_error(libc::E2BIG)));
    }
    sendmsg(socket, &[IoSlice::new(&[1])], &mut ancillary, SendFlags::NOSIGNAL)
        .map_err(os("handing the program over"))?;
    drop((report_inside, control_inside));
    let findings = judge(brief, spawn, read_reports(&report, None))?;
    let door = door::receive(&control, &brief.network_plan())?;
    Ok(Handed { control, door, achieved: achieved(Mode::Namespaced, brief.landlock_abi, findings, Vec::new()) })
}

fn failed(what: &str, source: io::Error) -> LaunchError {
    LaunchError::Setup { what: what.to_owned(), source }
}

/// A sealed file in memory: the other side reads what was written, and nobody can change it.
fn write_brief(brief: &Brief) -> Result<OwnedFd, LaunchError> {
    let bytes = brief.encode().map(Zeroizing::new).map_err(|error| failed("writing the brief", error.into()))?;
    if bytes.len() > BRIEF_BYTES_MAX {
        return Err(failed("writing the brief", io::Error::from_raw_os_error(libc::E2BIG)));
    }
    let file = rustix::fs::memfd_create("brief", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .map_err(os("making a file in memory"))?;
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, rest)).map_err(os("writing the brief"))?;
        rest = rest.get(written..).unwrap_or_default();
    }
    rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)
        .map_err(os("sealing the brief"))?;
    Ok(file)
}

fn judge(brief: &Brief, spawn: &Spawn, reports: (Option<Report>, Option<Report>)) -> Result<Findings, LaunchError> {
    match reports {
        (Some(Report::Ready { findings, .. }), None) => Ok(findings),
        (Some(Report::Ready { .. }), Some(Report::NotExecuted { errno })) => {
            Err(LaunchError::Execute { program: spawn.program.clone(), source: io::Error::from_raw_os_error(errno) })
        }
        (Some(Report::Refused { findings, .. }), _) => {
            let all = brief.required().into_iter().zip(findings.faults).zip(Promise::ALL);
            let broken = all.into_iter().find(|((required, fault), _)| *required && *fault != 0);
            if broken.is_none() && brief.landlock_required && !findings.landlock {
                let reason = "Landlock does not refuse what it should".to_owned();
                return Err(LaunchError::degree(Degree::Full, reason, true));
            }
            let (promise, fault) =
                broken.map_or((Promise::ConfineWrites, witness::UNPROBED), |((_, fault), promise)| (promise, fault));
            Err(LaunchError::missing(promise, witness::sentence(fault), false))
        }
        (Some(Report::Failed { stage, errno, .. }), _)
        | (Some(Report::Ready { .. }), Some(Report::Failed { stage, errno, .. })) => {
            let what = if stage == Stage::View { "preparing the view" } else { stage.describe() };
            Err(failed(what, io::Error::from_raw_os_error(errno)))
        }
        _ => Err(LaunchError::Silent),
    }
}
