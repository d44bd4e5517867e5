// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts a program inside a cage, under a permit.
//!
//! In: a permit, a profile and a [`Spawn`]. Out: a [`Cage`]: events, signals, the end, and what was achieved.
//!
//! **Invariant:** [`launch`] answers `Ok` only when every required promise was seen to hold from inside and `execve`
//! succeeded. After an error nothing has run. When a [`Cage`] is dropped everything in it is killed.

mod begun;
mod connects;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use ringfort_core::clock::Timestamp;
use ringfort_core::digest::Digest;
use ringfort_core::execute::Execute;
use ringfort_core::obligation::{LimitObligation, Obligations, Promise};
use ringfort_core::permit::{Permit, PermitError};

pub use self::begun::{Answer, BEGUN_BYTES_MAX, Begun, Question};
pub use self::connects::Connects;
pub(crate) use self::connects::Served;
use crate::achieved::{Achieved, Degree};
use crate::group::{Group, Leaf};
use crate::profile::{CowView, Limits, Profile, Tracing};
pub use crate::runtimes::native::ProfileError;
use crate::runtimes::{self, Leftover, native};
use crate::syscall::{self, Errno, Patience, Which};

/// Number of the broker's descriptor in the program.
pub const BROKER_DESCRIPTOR: i32 = native::BROKER;

/// What to start, and with which descriptors. Nothing else that is open here is passed on.
#[derive(Debug)]
pub struct Spawn {
    /// The program, absolute, as seen inside.
    pub program: PathBuf,
    /// Its arguments, the first being its name.
    pub argv: Vec<OsString>,
    /// Standard input: no folder, no socket.
    pub stdin: OwnedFd,
    /// Standard output: no folder, no socket.
    pub stdout: OwnedFd,
    /// Standard error: no folder, no socket.
    pub stderr: OwnedFd,
    /// The slave of a pseudo-terminal that becomes the controlling terminal; otherwise there is none.
    pub terminal: Option<OwnedFd>,
    /// One connected socket to the supervisor, at [`BROKER_DESCRIPTOR`].
    pub broker: Option<OwnedFd>,
}

/// How connections for the proxy come out of a cage.
#[derive(Debug)]
pub enum Front {
    /// By a listener inside.
    Listener(OwnedFd),
    /// One by one, made out here: the cage has no network of its own. Such a door has nothing else.
    Connects(Connects),
}

/// The listeners that a cage's door has inside, held outside. They keep the cage's network alive as long as they are
/// open; nothing inside holds them. All are non-blocking.
#[derive(Debug)]
pub struct DoorSockets {
    /// Takes HTTP and SOCKS connections.
    pub proxy: Front,
    /// The port of [`DoorSockets::proxy`] on 127.0.0.1, as programs inside see it.
    pub proxy_port: u16,
    /// Each caught port and its listener. The local address of an accepted connection is the address that the program
    /// meant: refuse those outside [`SYNTHETIC_NET`](crate::profile::SYNTHETIC_NET), which are the cage's own.
    pub caught: Vec<(u16, OwnedFd)>,
    /// Receives questions for names.
    pub dns_udp: Option<OwnedFd>,
    /// Takes connections with questions for names.
    pub dns_tcp: Option<OwnedFd>,
}

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Descriptor 0.
    Stdin,
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

impl std::fmt::Display for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Stdin => "standard input",
            Self::Stdout => "standard output",
            Self::Stderr => "standard error",
        })
    }
}

/// Why a program was not started. Nothing has run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The permit is not for this, or too old.
    #[error("the permit was refused")]
    Permit(#[from] PermitError),
    /// The permit carries obligations that this version does not know.
    #[error("the obligation `{name}` is unknown here")]
    Obligation {
        /// Its name.
        name: String,
    },
    /// The profile cannot be used.
    #[error("the sandbox profile cannot be used")]
    Profile(#[from] ProfileError),
    /// A standard stream is something that may not be passed on.
    #[error("{stream} is a {kind}, which is not passed into a cage; use a pipe, a file or a terminal")]
    Descriptor {
        /// Which one.
        stream: Stream,
        /// What it is.
        kind: &'static str,
    },
    /// A promise is required and this host does not keep it.
    #[error("this host cannot keep the promise `{}`: {reason}", promise.as_str())]
    Missing {
        /// The promise.
        promise: Promise,
        /// What was seen.
        reason: String,
        /// The way out.
        help: &'static str,
    },
    /// The degree that is required cannot be had here.
    #[error("the degree `{}` is required and cannot be had here: {reason}", required.as_str())]
    Degree {
        /// What is required.
        required: Degree,
        /// What is missing.
        reason: String,
        /// The way out.
        help: &'static str,
    },
    /// A limit is asked for that nothing on this host holds.
    #[error("this host cannot hold the limit `{limit}`: {reason}")]
    Limit {
        /// Its key under `[sandbox.limits]`.
        limit: &'static str,
        /// What was seen.
        reason: String,
    },
    /// This host allows neither namespaces nor the weaker form.
    #[error("no form of the native sandbox works here: {reason}")]
    Unavailable {
        /// What failed.
        reason: String,
    },
    /// A program that this runtime needs is missing, failed, or did not answer.
    #[error("{problem}")]
    Engine {
        /// What is wrong.
        problem: String,
        /// The way out.
        help: &'static str,
    },
    /// A step failed.
    #[error("cannot start the cage: {what}")]
    Setup {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Everything was ready, and the program could not be executed (not found, not executable, wrong format).
    #[error("cannot execute `{}`", program.display())]
    Execute {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The child ended, or took too long, without a word.
    #[error("the cage ended before its program started")]
    Silent,
}

/// What a host must offer so that every promise can be kept.
const HELP_NAMESPACES: &str = "allow unprivileged user namespaces (sysctl user.max_user_namespaces, \
    kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns; in a container allow unshare and \
    mount), or drop the requirement in the policy";
/// The same where namespaces are there.
const HELP_KERNEL: &str = "use a kernel with Landlock and seccomp (Linux 6.12 or later), or drop the requirement in \
    the policy";

/// What a host must offer so that a limit can be held.
const HELP_LIMIT: &str = "give this user a control group (`systemd-run --user --scope -p Delegate=yes ringfort run …`, \
    or as root a writable /sys/fs/cgroup), or take the limit out of `[sandbox.limits]`";

impl LaunchError {
    pub(crate) fn host(what: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::Setup { what: what.to_owned(), source: errno.into() }
    }

    pub(crate) fn engine(problem: impl Into<String>, help: &'static str) -> Self {
        Self::Engine { problem: problem.into(), help }
    }

    pub(crate) fn missing(promise: Promise, reason: &str, no_namespaces: bool) -> Self {
        let help = if no_namespaces { HELP_NAMESPACES } else { HELP_KERNEL };
        Self::Missing { promise, reason: reason.to_owned(), help }
    }

    /// A degree that cannot be had: for want of Landlock, or of namespaces.
    pub(crate) fn degree(required: Degree, reason: String, lacks_landlock: bool) -> Self {
        let help = if lacks_landlock { HELP_KERNEL } else { HELP_NAMESPACES };
        Self::Degree { required, reason, help }
    }

    /// The way out, where there is one.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Missing { help, .. } | Self::Degree { help, .. } | Self::Engine { help, .. } => Some(help),
            Self::Unavailable { .. } => Some(HELP_NAMESPACES),
            Self::Limit { .. } => Some(HELP_LIMIT),
            _ => None,
        }
    }
}

/// Starts `spawn` inside the cage that `profile` describes.
///
/// The promises that the permit's obligations name are required as well, and its limits bind where they are smaller.
/// Takes at most 20 seconds.
///
/// # Errors
///
/// [`LaunchError`]: nothing has run, and the permit is used up.
pub fn launch(
    permit: Permit,
    request: &Digest,
    now: Timestamp,
    profile: &Profile,
    spawn: Spawn,
) -> Result<Cage, LaunchError> {
    let grant = permit.redeem(request, now)?;
    let obligations = grant.obligations();
    if let Some(name) = obligations.unknown.first() {
        return Err(LaunchError::Obligation { name: name.clone() });
    }
    if profile.tracing != Tracing::Off && profile.runtime != native::NAME {
        return Err(ProfileError::Tracing { runtime: profile.runtime.clone() }.into());
    }
    let require = required(profile, obligations);
    let bounded;
    let profile = if obligations.limits.is_empty() {
        profile
    } else {
        bounded = Profile { limits: narrowed(profile.limits, &obligations.limits), ..profile.clone() };
        &bounded
    };
    if profile.runtime != native::NAME && matches!(profile.cow, Some(CowView::Overlay { .. })) {
        let reason = format!("`{}` has no overlay of the workspace: it needs a copy", profile.runtime);
        return Err(LaunchError::Unavailable { reason });
    }
    let started = (runtimes::select(&profile.runtime)?.start)(profile, &require, &spawn)?;
    Ok(Cage {
        pid: started.pid,
        pidfd: started.pidfd,
        control: started.control,
        achieved: started.achieved,
        leaf: started.leaf,
        door: started.door,
        leftover: started.leftover,
        waiting: Vec::new(),
        exit: None,
        reaped: false,
    })
}

/// What [`Native`] does: this program, with this profile.
#[derive(Debug)]
pub struct CagedRun {
    /// What the program may see.
    pub profile: Profile,
    /// The program.
    pub spawn: Spawn,
}

/// The native runtime as an effect; the same as [`launch`].
#[derive(Clone, Copy, Debug)]
pub struct Native;

impl Execute for Native {
    type Task = CagedRun;
    type Output = Cage;
    type Error = LaunchError;

    fn execute(&self, permit: Permit, request: &Digest, now: Timestamp, task: CagedRun) -> Result<Cage, LaunchError> {
        launch(permit, request, now, &task.profile, task.spawn)
    }
}

fn required(profile: &Profile, obligations: &Obligations) -> BTreeSet<Promise> {
    profile.require.iter().chain(obligations.isolate.iter().flatten()).copied().collect()
}

/// The smaller bound of each kind. Wall time and output are bounded by whoever waits and reads.
fn narrowed(limits: Limits, by: &LimitObligation) -> Limits {
    let smaller = |own: Option<u64>, other: Option<u64>| own.into_iter().chain(other).min();
    Limits {
        processes_max: smaller(limits.processes_max, by.processes_max),
        file_bytes_max: smaller(limits.file_bytes_max, by.file_bytes_max),
        memory_bytes_max: smaller(limits.memory_bytes_max, by.memory_bytes_max),
        cpu_s_max: smaller(limits.cpu_s_max, by.cpu_ms_max.map(|ms| ms.div_ceil(1000))),
        cpu_percent_max: smaller(limits.cpu_percent_max, by.cpu_percent_max),
        ..limits
    }
}

/// What happened to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was stopped by this signal; [`Cage::signal`] with SIGCONT lets it go on.
    Stopped(i32),
    /// It goes on. Not told when it stops again at once.
    Continued,
    /// It ended with this status.
    Exited(i32),
    /// It was ended by this signal.
    Signaled(i32),
    /// The cage was killed before the program's end was known.
    Lost,
    /// In a traced cage a program was started, and waits: [`Cage::begun`] tells which, [`Cage::answer`] decides.
    Executed(Question),
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// The cage was killed as a whole.
    Killed,
}

/// A running program and everything that it started.
#[derive(Debug)]
pub struct Cage {
    pid: i32,
    pidfd: OwnedFd,
    control: OwnedFd,
    achieved: Achieved,
    leaf: Option<Leaf>,
    door: Option<DoorSockets>,
    leftover: Option<Leftover>,
    /// Programs that wait for an answer.
    waiting: Vec<(Question, OwnedFd)>,
    exit: Option<Exit>,
    reaped: bool,
}

impl Cage {
    /// The keeper's process id as seen here; the program is below it.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Readable when the whole cage is gone.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Readable when [`Cage::next_event`] has something to say.
    pub fn events(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// What is enforced.
    pub fn achieved(&self) -> &Achieved {
        &self.achieved
    }

    /// The control group that bounds it, if it has one.
    pub fn group(&self) -> Option<&Group> {
        self.leaf.as_ref().map(Leaf::group)
    }

    /// The listeners of the cage's door, once; `None` where the profile wanted none or the degree has none.
    pub fn take_door(&mut self) -> Option<DoorSockets> {
        self.door.take()
    }

    /// The next event, without waiting. After an end there is none.
    pub fn next_event(&mut self) -> Option<Event> {
        self.event(Patience::Look)
    }

    fn event(&mut self, patience: Patience) -> Option<Event> {
        if self.exit.is_some() {
            return None;
        }
        let (event, process) = native::receive_event(&self.control, patience)?;
        if let (Event::Executed(question), Some(process)) = (event, process) {
            self.waiting.push((question, process));
        }
        self.exit = match event {
            Event::Exited(status) => Some(Exit::Exited(status)),
            Event::Signaled(signal) => Some(Exit::Signaled(signal)),
            Event::Lost => Some(Exit::Killed),
            Event::Stopped(_) | Event::Continued | Event::Executed(_) => None,
        };
        Some(event)
    }

    /// The program that waits for an answer to `question`.
    ///
    /// # Errors
    ///
    /// It has gone, or cannot be read; it still waits, if it is there. Answer [`Answer::End`] then.
    pub fn begun(&self, question: Question) -> io::Result<Begun> {
        let process = self.waiting.iter().find(|(waiting, _)| *waiting == question).map(|(_, process)| process);
        begun::read(process.ok_or_else(|| io::Error::other("nothing waits for this answer"))?)
    }

    /// Answers a question, once.
    ///
    /// # Errors
    ///
    /// The keeper could not be told: the program goes on waiting, and ends with the cage.
    pub fn answer(&mut self, question: Question, answer: Answer) -> io::Result<()> {
        let place = self.waiting.iter().position(|(waiting, _)| *waiting == question);
        self.waiting.swap_remove(place.ok_or_else(|| io::Error::other("nothing waits for this answer"))?);
        native::answer(&self.control, question.0, answer).map_err(io::Error::from)
    }

    /// Sends a signal to the program's process group. Returns at once.
    ///
    /// # Errors
    ///
    /// The cage is gone, or its keeper does not keep up; the signal was not sent.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        native::send_signal(&self.control, signal).map_err(io::Error::from)
    }

    /// Waits for the program's end, and until everything that it started is gone.
    pub fn wait(&mut self) -> Exit {
        loop {
            if let Some(exit) = self.exit {
                // The keeper ends what is left; the kernel does so at once and leaves nothing that outruns it.
                self.kill_group();
                self.reap();
                return exit;
            }
            // A stop or a continuation is no end. Who only waits lets nothing further begin.
            if let Some(Event::Executed(question)) = self.event(Patience::Wait) {
                let _ignored: io::Result<()> = self.answer(question, Answer::End);
            }
        }
    }

    /// Kills everything inside and waits until it is gone. Returns how the program ended if that was known before.
    pub fn kill_all(&mut self) -> Exit {
        if !self.reaped {
            while self.exit.is_none() && self.next_event().is_some() {}
            self.close_control();
            self.kill_group();
            self.reap_killing();
        }
        *self.exit.get_or_insert(Exit::Killed)
    }

    /// Tells the keeper that nobody listens any more: it sweeps what it keeps and ends.
    fn close_control(&mut self) {
        // A failure means that the other end is gone already.
        let _ignored: Result<(), _> = rustix::net::shutdown(&self.control, rustix::net::Shutdown::Both);
    }

    fn kill_group(&self) {
        if let Some(leaf) = &self.leaf {
            // Where the kernel cannot, the keeper and the end of the group do it.
            let _at_once: bool = leaf.kill();
        }
    }

    fn reap_killing(&mut self) {
        let swept = syscall::poll_readable([self.pidfd.as_raw_fd()], Some(SWEEP_MS_MAX));
        if swept != Ok([true]) {
            // With a pid namespace this alone ends everything.
            let _ignored: Result<(), _> = syscall::pidfd_kill(self.pidfd.as_raw_fd(), libc::SIGKILL);
        }
        self.reap();
    }

    fn reap(&mut self) {
        if !self.reaped {
            // ECHILD: somebody else has reaped it, or the supervisor ignores SIGCHLD. It is gone in each case.
            let _ignored: Result<_, _> = syscall::wait_child(Which::One(self.pid), Patience::Wait);
            if let Some(leftover) = self.leftover.take() {
                // No child of this process: its end is seen by the descriptor.
                let _ignored: Result<_, _> = syscall::poll_readable([self.pidfd.as_raw_fd()], Some(SWEEP_MS_MAX));
                leftover.remove();
            }
            self.reaped = true;
        }
    }
}

/// Longest time that a keeper gets to end what it keeps before it is killed itself. Milliseconds.
const SWEEP_MS_MAX: u32 = 2_000;

impl Drop for Cage {
    fn drop(&mut self) {
        self.kill_all();
    }
}

#[cfg(test)]
mod tests;
