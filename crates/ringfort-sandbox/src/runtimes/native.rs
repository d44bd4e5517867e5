// SPDX-License-Identifier: MIT OR Apache-2.0
//! The native Linux runtime: namespaces where the host allows them, Landlock, seccomp, limits.
//!
//! In: a checked profile, the promises that are required, what to start. Out: the keeper's process and what the child
//! reported, or an error after which nothing has run.
//!
//! **Invariant:** everything is prepared before the clone; between clone and `execve` the child makes system calls
//! only. A host without user namespaces gets Landlock and seccomp, and the promises that then fail are named.

mod door;
mod filter;
pub(crate) mod guest;
mod keeper;
mod landlock;
mod limits;
mod minimal;
mod prepare;
mod step;
mod sweep;
mod trace;
mod view;
mod wire;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use ringfort_core::obligation::Promise;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use self::door::{Asked, NetworkPlan};
pub(crate) use self::keeper::BROKER;
pub(crate) use self::landlock::ABI_MAX as LANDLOCK_ABI_MAX;
use self::prepare::Host;
use self::wire::{Message, REPORT_BYTES, Report, Stage};
use self::witness::Findings;
use super::{Leftover, Runtime};
use crate::achieved::{Achieved, Degree, Held};
use crate::group::Leaf;
use crate::launch::{DoorSockets, Event, LaunchError, Question, Spawn};
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
    /// Programs are to be traced, which only the native runtime does.
    #[error("the runtime `{runtime}` cannot trace what is started inside")]
    Tracing {
        /// The runtime's name.
        runtime: String,
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
    /// A port cannot be caught by a door: it is 0, named twice, or taken by the door itself.
    #[error("port {port} cannot be caught")]
    Port {
        /// The port.
        port: u16,
    },
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
    pub(crate) leaf: Option<Leaf>,
    pub(crate) door: Option<DoorSockets>,
    /// What is to be taken away when it is gone.
    pub(crate) leftover: Option<Leftover>,
}

/// What was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Every namespace, made by way of a user namespace.
    Namespaced,
    /// Every namespace but the user's, made by root's own rights.
    Rooted,
    /// No namespace.
    Minimal,
}

impl Mode {
    fn is_namespaced(self) -> bool {
        self != Self::Minimal
    }

    /// The strongest degree that it can give with this Landlock.
    fn degree(self, abi: u32) -> Degree {
        match self {
            Self::Namespaced if abi >= landlock::ABI_WITH_SCOPES => Degree::Full,
            Self::Namespaced | Self::Rooted => Degree::Reduced,
            Self::Minimal => Degree::Minimal,
        }
    }

    fn namespaces(self) -> u64 {
        match self {
            Self::Namespaced => NAMESPACES | libc::CLONE_NEWUSER as u64,
            Self::Rooted => NAMESPACES,
            Self::Minimal => 0,
        }
    }
}

/// What is tried for a request, strongest first, and with which Landlock.
fn modes(request: DegreeRequest, abi: u32) -> Vec<(Mode, u32)> {
    let is_root = syscall::effective_ids().0 == 0;
    match request {
        DegreeRequest::Auto if is_root => vec![(Mode::Namespaced, abi), (Mode::Rooted, abi), (Mode::Minimal, abi)],
        DegreeRequest::Auto => vec![(Mode::Namespaced, abi), (Mode::Minimal, abi)],
        DegreeRequest::Full => vec![(Mode::Namespaced, abi)],
        DegreeRequest::Reduced if is_root => vec![(Mode::Rooted, abi), (Mode::Minimal, abi)],
        DegreeRequest::Reduced => vec![(Mode::Namespaced, 0), (Mode::Minimal, abi)],
        DegreeRequest::Minimal => vec![(Mode::Minimal, abi)],
    }
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
    let floor = match profile.degree {
        DegreeRequest::Full => Degree::Full,
        _ => profile.degree_min,
    };
    let mut limited = limits::resolve(profile)?;
    let entrances = limited.leaf.as_mut().map(Leaf::take_entrances).unwrap_or_default();
    let mut warnings = Vec::new();
    for (mode, abi) in modes(profile.degree, abi) {
        if !mode.degree(abi).reaches(floor) {
            // What is weaker still tells nothing more.
            warnings.push(too_weak(mode, abi));
            break;
        }
        let host = Host { abi, floor, rlimits: &limited.rlimits, entrances: &entrances };
        match attempt(mode, profile, require, spawn, &host, &mut warnings) {
            Ok(mut started) => {
                started.achieved.limits = limited.held;
                started.leaf = limited.leaf;
                return Ok(started);
            }
            Err(Attempt::Final(error)) => return Err(error),
            Err(Attempt::Unavailable(reason)) => warnings.push(reason),
        }
    }
    let reason = warnings.join("; ");
    Err(match floor {
        Degree::Minimal => LaunchError::Unavailable { reason },
        required => LaunchError::degree(required, reason, abi < landlock::ABI_WITH_SCOPES),
    })
}

/// Why a mode is not tried where more is required.
fn too_weak(mode: Mode, abi: u32) -> String {
    match mode {
        Mode::Namespaced => format!("Landlock has ABI {abi}, {} is needed", landlock::ABI_WITH_SCOPES),
        Mode::Rooted | Mode::Minimal => format!("`{}` is all that is left", mode.degree(abi).as_str()),
    }
}

fn attempt(
    mode: Mode,
    profile: &Profile,
    require: &BTreeSet<Promise>,
    spawn: &Spawn,
    host: &Host<'_>,
    warnings: &mut Vec<String>,
) -> Result<Started, Attempt> {
    let mut prepared = prepare::prepare(mode, profile, require, spawn, host)?;
    let flags = mode.namespaces() | libc::CLONE_PIDFD as u64;
    let mask = syscall::block_all_signals().map_err(LaunchError::host("blocking signals"))?;
    let cloned = syscall::clone_process(flags, || keeper::keep(&mut prepared.plan));
    let restored = syscall::restore_signals(mask);
    let cloned = match cloned {
        Ok(cloned) => cloned,
        Err(Errno(errno)) if mode.is_namespaced() => {
            let error = io::Error::from_raw_os_error(errno);
            return Err(Attempt::Unavailable(format!("{}: clone answers: {error}", mode.missing())));
        }
        Err(errno) => return Err(LaunchError::host("starting a process")(errno).into()),
    };
    let prepare::Prepared { plan, report, control, child_ends, view } = prepared;
    drop(child_ends);
    let Some(pidfd) = cloned.pidfd else {
        return Err(LaunchError::host("a descriptor for the process")(Errno(libc::ENOSYS)).into());
    };
    let outcome = restored.map_err(|errno| LaunchError::host("restoring signals")(errno).into()).and_then(|()| {
        let mut asked = Asked::new(&plan.network, &control);
        let reports = read_reports(&report, Some(&mut asked));
        let (findings, overlays_refused) = judge(mode, &plan, spawn, reports)?;
        let door = match plan.network {
            NetworkPlan::Supervised { .. } => asked.door(),
            _ => Ok(door::receive(&control, &plan.network)?),
        };
        Ok((findings, overlays_refused, door))
    });
    match outcome {
        Ok((findings, overlays_refused, door)) => {
            warnings.extend(view.warnings(overlays_refused));
            let door = door.unwrap_or_else(|missing| {
                warnings.push(missing.to_owned());
                None
            });
            let achieved = achieved(mode, plan.rules.abi(), findings, std::mem::take(warnings));
            Ok(Started { pid: cloned.pid, pidfd, control, achieved, door, leftover: None, leaf: None })
        }
        Err(attempt) => {
            ignore(syscall::pidfd_kill(pidfd.as_raw_fd(), libc::SIGKILL));
            ignore(syscall::wait_child(syscall::Which::One(cloned.pid), Patience::Wait));
            Err(attempt)
        }
    }
}

/// New namespaces of a cage, but for the user's.
const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u64;

/// Their names, for the record.
const NAMESPACE_NAMES: [&str; 7] = ["user", "mount", "pid", "net", "ipc", "uts", "cgroup"];

impl Mode {
    fn names(self) -> Vec<&'static str> {
        match self {
            Self::Namespaced => NAMESPACE_NAMES.to_vec(),
            Self::Rooted => NAMESPACE_NAMES.iter().skip(1).copied().collect(),
            Self::Minimal => Vec::new(),
        }
    }

    /// What a host lacks where this does not work.
    fn missing(self) -> &'static str {
        match self {
            Self::Namespaced => "no user namespace",
            Self::Rooted | Self::Minimal => "no namespaces",
        }
    }
}

/// Reads what the child says until its program runs (the pipe closes at `execve`) or it has ended.
fn read_reports(pipe: &OwnedFd, mut asked: Option<&mut Asked<'_>>) -> (Option<Report>, Option<Report>) {
    let (mut first, mut second) = (None, None);
    for slot in [&mut first, &mut second] {
        let mut buffer = [0; REPORT_BYTES];
        // After the first report it is the program that asks, and nobody serves it here.
        let is_readable = match asked.take() {
            Some(asked) => asked.serve_until_readable(pipe),
            None => syscall::poll_readable([pipe.as_raw_fd()], Some(START_MS_MAX)) == Ok([true]),
        };
        if !is_readable {
            return (None, None); // Too slow, which is as good as broken.
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
            let found = broken
                .filter(|((required, fault), _)| **required && *fault != 0)
                .map(|((_, fault), promise)| (promise, fault))
                .next();
            if found.is_none() && plan.landlock_required && !findings.landlock {
                let reason = "Landlock does not refuse what it should".to_owned();
                return Err(LaunchError::degree(Degree::Full, reason, true).into());
            }
            let (promise, fault) = found.unwrap_or((Promise::ConfineWrites, witness::UNPROBED));
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
            if mode.is_namespaced() && refused && matches!(stage, Stage::Identity | Stage::Network | Stage::View) {
                return Err(Attempt::Unavailable(format!("{}: {what}: {source}", mode.missing())));
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
    let degree = mode.degree(landlock_abi.unwrap_or(0));
    Achieved {
        runtime: NAME,
        image: None,
        degree,
        landlock_abi,
        namespaces: mode.names(),
        seccomp: findings.seccomp,
        no_new_privileges: findings.no_new_privileges,
        capabilities_dropped: findings.capabilities_dropped,
        promises,
        limits: Vec::new(),
        warnings,
    }
}

/// The next event of a cage, and the descriptor that came with it; `None` when there is none yet.
pub(crate) fn receive_event(control: &OwnedFd, patience: Patience) -> Option<(Event, Option<OwnedFd>)> {
    let mut bytes = [0; wire::EVENT_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let flags = match patience {
        Patience::Wait => RecvFlags::CMSG_CLOEXEC,
        Patience::Look => RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
    };
    let (received, descriptor) = loop {
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        match recvmsg(control, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags) {
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => return None,
            Err(_) => return Some((Event::Lost, None)),
            Ok(received) => {
                let descriptor = ancillary.drain().find_map(|message| match message {
                    RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
                    _ => None,
                });
                break (received.bytes, descriptor);
            }
        }
    };
    let event = match bytes.get(..received).and_then(Message::decode) {
        Some(Message::Exited(status)) => Event::Exited(status),
        Some(Message::Signaled(signal)) => Event::Signaled(signal),
        Some(Message::Stopped(signal)) => Event::Stopped(signal),
        Some(Message::Continued) => Event::Continued,
        Some(Message::Executed(number)) => Event::Executed(Question(number)),
        // What only the keeper is told, the door (which comes first), an end without a message.
        _ => Event::Lost,
    };
    Some((event, descriptor))
}

/// Tells the keeper what becomes of a program that waits.
pub(crate) fn answer(control: &OwnedFd, number: i32, answer: crate::launch::Answer) -> Answer<()> {
    let message = match answer {
        crate::launch::Answer::Run => Message::MayRun(number),
        crate::launch::Answer::End => Message::MayNotRun(number),
    };
    syscall::send(control.as_raw_fd(), &message.encode(), Patience::Look)
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
    tried(Mode::Namespaced)
}

/// The same without a user namespace, by the caller's own rights.
pub(crate) fn try_rooted() -> Tried {
    tried(Mode::Rooted)
}

fn tried(mode: Mode) -> Tried {
    prepare::try_plan(mode).map_or_else(|_| Tried::default(), |plan| keeper::try_out(mode.namespaces(), &plan))
}

/// Whether the workspace `lower` can be mounted with its changes kept in `upper`, inside new namespaces.
pub(crate) fn try_layered(lower: &Path, upper: &Path, work: &Path) -> bool {
    let works = |mode: Mode| {
        let plan = prepare::try_layered_plan(mode, (lower, upper, work));
        mode.is_namespaced() && plan.is_ok_and(|plan| keeper::try_out(mode.namespaces(), &plan).mounts)
    };
    modes(DegreeRequest::Auto, 0).into_iter().any(|(mode, _)| works(mode))
}

#[cfg(test)]
mod tests;
