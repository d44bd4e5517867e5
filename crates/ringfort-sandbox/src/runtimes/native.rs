// SPDX-License-Identifier: MIT OR Apache-2.0
//! The native Linux runtime: namespaces where the host allows them, Landlock, seccomp, limits.
//!
//! In: a checked profile, the promises that are required, what to start. Out: the keeper's process and what the child
//! reported, or an error after which nothing has run.
//!
//! **Invariant:** everything is prepared before the clone; between clone and `execve` the child makes system calls
//! only. A host without user namespaces gets Landlock and seccomp, and the promises that then fail are named.

mod filter;
mod keeper;
mod landlock;
mod minimal;
mod prepare;
mod step;
mod sweep;
mod view;
mod wire;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use ringfort_core::obligation::Promise;

pub(crate) use self::keeper::BROKER;
pub(crate) use self::landlock::ABI_MAX as LANDLOCK_ABI_MAX;
use self::wire::{Message, REPORT_BYTES, Report, Stage};
use self::witness::Findings;
use super::Runtime;
use crate::achieved::{Achieved, Degree, Held};
use crate::launch::{Event, LaunchError, Spawn};
use crate::profile::{DegreeRequest, Profile};
use crate::syscall::{self, Answer, Errno, Patience};

/// Why a profile cannot be used. Nothing has run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// A path is relative, or not the canonical one.
    #[error("`{}` is no absolute path without links", path.display())]
    NotCanonical {
        /// The path.
        path: PathBuf,
    },
    /// The workspace may not be this folder.
    #[error("`{}` cannot be a workspace", path.display())]
    Workspace {
        /// The path.
        path: PathBuf,
    },
    /// A path has to lie inside the workspace.
    #[error("`{}` lies outside the workspace", path.display())]
    Outside {
        /// The path.
        path: PathBuf,
    },
    /// A staged file's copy has no folder of its own outside the workspace.
    #[error("the copy `{}` of a staged file needs a folder of its own outside the workspace", path.display())]
    Staged {
        /// The copy.
        path: PathBuf,
    },
    /// Something that a profile names cannot be looked at.
    #[error("cannot read `{}`", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A path, an argument or a variable contains a null byte.
    #[error("a path, argument or variable contains a null byte")]
    NullByte,
    /// A list is too long.
    #[error("more than {most} {what}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        most: usize,
    },
}

impl ProfileError {
    pub(crate) fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Unreadable { path: path.to_path_buf(), source }
    }
}

/// Lets go of an answer that nothing can be done about.
fn ignore<T>(_: Answer<T>) {}

/// Longest time from the clone to `execve`. Milliseconds.
const START_MS_MAX: u32 = 20_000;

/// A cage whose program runs.
pub(crate) struct Started {
    pub(crate) pid: i32,
    pub(crate) pidfd: OwnedFd,
    pub(crate) control: OwnedFd,
    pub(crate) achieved: Achieved,
}

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Namespaced,
    Minimal,
}

/// How one attempt ended without a running program.
enum Attempt {
    /// The host does not allow this; a weaker mode may work.
    Unavailable(String),
    /// It is no use to try anything else.
    Final(LaunchError),
}

impl From<LaunchError> for Attempt {
    fn from(error: LaunchError) -> Self {
        Self::Final(error)
    }
}

/// The name of this runtime.
pub(crate) const NAME: &str = "native";

pub(super) const ENTRY: Runtime = Runtime { name: NAME, start };

/// Starts `spawn` inside a cage, or says why not; then nothing has run.
fn start(profile: &Profile, require: &BTreeSet<Promise>, spawn: &Spawn) -> Result<Started, LaunchError> {
    prepare::check(profile)?;
    let abi = syscall::landlock_abi().unwrap_or(0);
    let mut warnings = Vec::new();
    if profile.degree == DegreeRequest::Auto {
        match attempt(Mode::Namespaced, profile, require, spawn, abi, &mut warnings) {
            Ok(started) => return Ok(started),
            Err(Attempt::Final(error)) => return Err(error),
            Err(Attempt::Unavailable(reason)) => {
                warnings.clear();
                warnings.push(format!("no namespaces: {reason}"));
            }
        }
    }
    match attempt(Mode::Minimal, profile, require, spawn, abi, &mut warnings) {
        Ok(started) => Ok(started),
        Err(Attempt::Final(error)) => Err(error),
        Err(Attempt::Unavailable(reason)) => Err(LaunchError::Unavailable { reason }),
    }
}

fn attempt(
    mode: Mode,
    profile: &Profile,
    require: &BTreeSet<Promise>,
    spawn: &Spawn,
    abi: u32,
    warnings: &mut Vec<String>,
) -> Result<Started, Attempt> {
    let prepared = prepare::prepare(mode, profile, require, spawn, abi)?;
    let flags = match mode {
        Mode::Namespaced => NAMESPACES,
        Mode::Minimal => 0,
    } | libc::CLONE_PIDFD as u64;
    let mask = syscall::block_all_signals().map_err(LaunchError::host("blocking signals"))?;
    let cloned = syscall::clone_process(flags, || keeper::keep(&prepared.plan));
    let restored = syscall::restore_signals(mask);
    let cloned = match cloned {
        Ok(cloned) => cloned,
        Err(Errno(errno)) if mode == Mode::Namespaced => {
            return Err(Attempt::Unavailable(format!("clone answers: {}", io::Error::from_raw_os_error(errno))));
        }
        Err(errno) => return Err(LaunchError::host("starting a process")(errno).into()),
    };
    let prepare::Prepared { plan, report, control, child_ends, view } = prepared;
    drop(child_ends);
    let Some(pidfd) = cloned.pidfd else {
        return Err(LaunchError::host("a descriptor for the process")(Errno(libc::ENOSYS)).into());
    };
    let outcome = restored.map_err(|errno| LaunchError::host("restoring signals")(errno).into()).and_then(|()| {
        let reports = read_reports(&report);
        judge(mode, &plan, spawn, reports)
    });
    match outcome {
        Ok((findings, overlays_refused)) => {
            warnings.extend(view.warnings(overlays_refused));
            let achieved = achieved(mode, plan.rules.abi(), findings, std::mem::take(warnings));
            Ok(Started { pid: cloned.pid, pidfd, control, achieved })
        }
        Err(attempt) => {
            ignore(syscall::pidfd_kill(pidfd.as_raw_fd(), libc::SIGKILL));
            ignore(syscall::wait_child(syscall::Which::One(cloned.pid), Patience::Wait));
            Err(attempt)
        }
    }
}

/// New namespaces of a full cage.
const NAMESPACES: u64 = (libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u64;

/// Their names, for the record.
const NAMESPACE_NAMES: [&str; 7] = ["user", "mount", "pid", "net", "ipc", "uts", "cgroup"];

/// Reads what the child says until its program runs (the pipe closes at `execve`) or it has ended.
fn read_reports(pipe: &OwnedFd) -> (Option<Report>, Option<Report>) {
    let (mut first, mut second) = (None, None);
    for slot in [&mut first, &mut second] {
        let mut buffer = [0; REPORT_BYTES];
        match syscall::poll_readable([pipe.as_raw_fd()], Some(START_MS_MAX)) {
            Ok([true]) => {}
            _ => return (None, None), // Too slow, which is as good as broken.
        }
        match syscall::read(pipe.as_raw_fd(), &mut buffer) {
            Ok(REPORT_BYTES) => *slot = Report::decode(&buffer),
            _ => break,
        }
        if slot.is_none() {
            break;
        }
    }
    (first, second)
}

fn judge(
    mode: Mode,
    plan: &keeper::Plan,
    spawn: &Spawn,
    reports: (Option<Report>, Option<Report>),
) -> Result<(Findings, u64), Attempt> {
    let executed =
        |errno| LaunchError::Execute { program: spawn.program.clone(), source: io::Error::from_raw_os_error(errno) };
    match reports {
        (Some(Report::Ready { findings, overlays_refused }), None) => Ok((findings, overlays_refused)),
        (Some(Report::Ready { .. }), Some(Report::NotExecuted { errno })) => Err(executed(errno).into()),
        (Some(Report::Refused { findings, .. }), _) => {
            let broken = plan.required.iter().zip(findings.faults).zip(Promise::ALL);
            let (promise, fault) = broken
                .filter(|((required, fault), _)| **required && *fault != 0)
                .map(|((_, fault), promise)| (promise, fault))
                .next()
                .unwrap_or((Promise::ConfineWrites, witness::UNPROBED));
            Err(LaunchError::missing(promise, witness::sentence(fault), mode == Mode::Minimal).into())
        }
        (Some(Report::Failed { stage, index, errno }), _)
        | (Some(Report::Ready { .. }), Some(Report::Failed { stage, index, errno })) => {
            let what = match (stage, plan.steps.get(usize::from(index))) {
                (Stage::View, Some(step)) => step.describe(),
                _ => stage.describe().to_owned(),
            };
            let source = io::Error::from_raw_os_error(errno);
            let refused = matches!(errno, libc::EPERM | libc::EACCES | libc::ENOSYS | libc::EINVAL | libc::ENODEV);
            if mode == Mode::Namespaced && refused && matches!(stage, Stage::Identity | Stage::View) {
                return Err(Attempt::Unavailable(format!("{what}: {source}")));
            }
            Err(LaunchError::Setup { what, source }.into())
        }
        _ => Err(LaunchError::Silent.into()),
    }
}

fn achieved(mode: Mode, abi: u32, findings: Findings, warnings: Vec<String>) -> Achieved {
    let promises: BTreeMap<Promise, Held> = Promise::ALL
        .into_iter()
        .zip(findings.faults)
        .map(|(promise, fault)| match fault {
            0 => (promise, Held::Yes),
            fault => (promise, Held::No(witness::sentence(fault).to_owned())),
        })
        .collect();
    let landlock_abi = (findings.landlock && abi > 0).then_some(abi);
    let degree = match mode {
        Mode::Minimal => Degree::Minimal,
        Mode::Namespaced if landlock_abi >= Some(landlock::ABI_WITH_SCOPES) => Degree::Full,
        Mode::Namespaced => Degree::Reduced,
    };
    Achieved {
        degree,
        landlock_abi,
        namespaces: if mode == Mode::Namespaced { NAMESPACE_NAMES.to_vec() } else { Vec::new() },
        seccomp: findings.seccomp,
        no_new_privileges: findings.no_new_privileges,
        capabilities_dropped: findings.capabilities_dropped,
        promises,
        warnings,
    }
}

/// The next event of a cage; `None` when there is none yet.
pub(crate) fn receive_event(control: &OwnedFd, patience: Patience) -> Option<Event> {
    let mut buffer = [0; wire::EVENT_BYTES];
    loop {
        return match syscall::receive(control.as_raw_fd(), &mut buffer, patience) {
            Err(Errno(libc::EINTR)) => continue,
            Err(Errno(libc::EAGAIN)) => None,
            Err(_) | Ok(0) => Some(Event::Lost),
            Ok(length) => match buffer.get(..length).and_then(Message::decode) {
                Some(Message::Exited(status)) => Some(Event::Exited(status)),
                Some(Message::Signaled(signal)) => Some(Event::Signaled(signal)),
                Some(Message::Stopped(signal)) => Some(Event::Stopped(signal)),
                Some(Message::Continued) => Some(Event::Continued),
                Some(Message::Signal(_)) | None => Some(Event::Lost),
            },
        };
    }
}

/// Asks the keeper to send a signal to the program's group.
pub(crate) fn send_signal(control: &OwnedFd, signal: i32) -> Answer<()> {
    syscall::send(control.as_raw_fd(), &Message::Signal(signal).encode(), Patience::Look)
}

/// What could be done inside new namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tried {
    pub(crate) identity: bool,
    pub(crate) mounts: bool,
    pub(crate) overlays: bool,
}

/// Makes every namespace, maps the user, mounts a view with one overlay and ends. Nothing outside changes.
pub(crate) fn try_namespaces() -> Tried {
    prepare::try_plan().map_or_else(|_| Tried::default(), |plan| keeper::try_out(NAMESPACES, &plan))
}

/// Whether the workspace `lower` can be mounted with its changes kept in `upper`, inside new namespaces.
pub(crate) fn try_layered(lower: &Path, upper: &Path, work: &Path) -> bool {
    prepare::try_layered_plan(lower, upper, work).is_ok_and(|plan| keeper::try_out(NAMESPACES, &plan).mounts)
}

#[cfg(test)]
mod tests;
