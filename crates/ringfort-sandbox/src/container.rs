// SPDX-License-Identifier: MIT OR Apache-2.0
//! A container as a cage, whichever engine makes it.
//!
//! In: a checked profile, the promises that are required, what to start, and how the engine's client differs. Out: the
//! process inside and its keeper's channel, or an error after which nothing has run.
//!
//! The container's first process is our own keeper, given to it with its libraries. It connects to a socket of this
//! run, gets the program, its words, variables and descriptors over it, drops all rights, probes every promise and
//! only then becomes the parent of the program. So the engine never sees a variable or a word of the program, and a
//! supervisor that is killed ends the container by the end of that socket.
//!
//! **Invariant:** nothing is pulled; the image is resolved once and run by its digest. Every call of the client is
//! bounded in time. A container that was made is removed, whatever happens; what a killed supervisor left is removed at
//! the next start.

mod create;
mod image;
mod libraries;
mod limits;
mod sweep;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringfort_core::degree::Degree;
use ringfort_core::obligation::Promise;
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use self::create::Plan;
use crate::client::{Client, ClientError, Said};
use crate::launch::{LaunchError, Spawn};
use crate::profile::{Container, DegreeRequest, Engine, Profile};
use crate::runtimes::Leftover;
use crate::runtimes::native::Started;
use crate::runtimes::native::guest::{self, Brief, Place, Rights};
use crate::syscall;

/// Longest time that an engine gets to answer one call.
const ANSWER: Duration = Duration::from_secs(10);
/// Longest time from the engine's word that a container runs to the first word of our process in it. Milliseconds.
const CONNECT_MS_MAX: u32 = 10_000;

/// How the client of an engine differs from others.
pub(crate) struct Flavour {
    /// The name of the runtime.
    pub(crate) name: &'static str,
    /// What a person can do when the engine does not answer as it should.
    pub(crate) help: &'static str,
    /// What a person can do when an image is missing.
    pub(crate) help_image: &'static str,
    /// How a private folder gets its owner.
    pub(crate) owner: Owner,
    /// Further words of `create` for a caller that is not root.
    pub(crate) rootless: &'static [&'static str],
}

/// How a private folder gets its owner, which the options of clients name differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// By numbers.
    Numbers,
    /// By the word that means the user of the container.
    Word,
}

/// An engine that is called.
struct Caller<'a> {
    flavour: &'static Flavour,
    engine: &'a Engine,
}

impl Caller<'_> {
    fn call<W: Into<OsString>>(&self, words: impl IntoIterator<Item = W>) -> Result<Said, ClientError> {
        let words = words.into_iter().map(Into::into).collect();
        let Engine { program, environment, .. } = self.engine;
        Client { program, words, environment, descriptors: Vec::new() }.run(ANSWER)
    }

    fn failed(&self, error: &ClientError) -> LaunchError {
        LaunchError::engine(error.to_string(), self.flavour.help)
    }
}

/// Starts `spawn` in a container, or says why not; then nothing has run, and no container is left.
pub(crate) fn start(
    flavour: &'static Flavour,
    profile: &Profile,
    require: &BTreeSet<Promise>,
    spawn: &Spawn,
) -> Result<Started, LaunchError> {
    guest::check(profile)?;
    let unset = || LaunchError::engine(format!("`{}` was not set up", flavour.name), flavour.help);
    let engine = profile.engine.as_ref().ok_or_else(unset)?;
    let container = engine.container.as_ref().ok_or_else(unset)?;
    let caller = Caller { flavour, engine };
    if guest::floor(profile) == Degree::Full || profile.degree == DegreeRequest::Minimal {
        let problem = format!("the runtime `{}` has the degree `reduced`", flavour.name);
        return Err(LaunchError::engine(problem, "leave `--degree` out, require less, or use the runtime `native`"));
    }
    refuse_network(container, flavour)?;
    let image = image::resolve(&caller, &container.image)?;
    let mut warnings = sweep::sweep(&caller);
    let door = Door::open(&engine.folder)?;
    let plan = Plan::new(flavour, profile, engine, container, &image)?;
    warnings.extend(plan.warnings.iter().cloned());
    let made = caller.call(plan.words.iter().cloned()).map_err(|error| caller.failed(&error))?;
    warnings.extend(made.errors.lines().map(|line| format!("{}: {}", flavour.name, line.trim())));
    let id = String::from_utf8_lossy(&made.output).trim().to_owned();
    let made = Made { caller: &caller, id };
    let place = place(profile, container, &image);
    let brief = Brief::new(profile, require, spawn, place)?;
    caller.call(["start", made.id.as_str()]).map_err(|error| caller.failed(&error))?;
    let (socket, pid) = door.accept(&made)?;
    let pidfd = syscall::pidfd_open(pid).map_err(LaunchError::host("a descriptor for the container's process"))?;
    let (held, unheld) = limits::seen(pid, profile, container)?;
    warnings.extend(unheld);
    match guest::hand_over(socket.as_fd(), &brief, spawn, &[]) {
        Ok(handed) => {
            let mut achieved = handed.achieved;
            achieved.namespaces = vec!["mount", "pid", "net"];
            achieved.runtime = flavour.name;
            achieved.image = Some(image.digest);
            achieved.limits = held;
            achieved.warnings = warnings;
            Ok(Started {
                pid,
                pidfd,
                control: handed.control,
                achieved,
                leaf: None,
                door: handed.door,
                leftover: Some(made.into_leftover()),
            })
        }
        Err(error) => {
            // It has not executed anything; its end is the container's.
            let _ignored: Result<(), _> = syscall::pidfd_kill(pidfd.as_raw_fd(), libc::SIGKILL);
            Err(error)
        }
    }
}

/// The host's network, or that of another container, is no network of a cage.
fn refuse_network(container: &Container, flavour: &Flavour) -> Result<(), LaunchError> {
    let network = container.network.as_str();
    let shared = network == "host" || network.starts_with("container:") || network.starts_with("ns:");
    let is_option = network.starts_with('-') || network.is_empty();
    if shared || is_option {
        let problem =
            format!("`runtime.docker.network = \"{network}\"` is not served by the runtime `{}`", flavour.name);
        return Err(LaunchError::engine(problem, "set it to `none`, or name a network of the engine"));
    }
    Ok(())
}

/// What the keeper inside is told of the view.
fn place(profile: &Profile, container: &Container, image: &image::Image) -> Place {
    let inside = create::inside(profile);
    let own = |name: &std::ffi::OsStr| name == "PATH" || name == "RINGFORT_BROKER";
    let mut environment: Vec<_> = profile.environment.iter().filter(|(name, _)| !own(name)).cloned().collect();
    environment.push(("PATH".into(), image.path.clone()));
    environment.sort();
    let unwritable: &[&str] = if container.read_only_root { &["/", "/usr", "/etc", "/bin", "/var"] } else { &[] };
    let hidden = profile.hidden.iter().filter(|path| path.starts_with(&profile.workspace));
    let mapped = inside.clone();
    Place {
        unreadable: hidden.map(|path| mapped(path)).collect(),
        cwd: if container.mount_workspace { mapped(&profile.cwd) } else { PathBuf::from("/tmp") },
        map: inside,
        environment,
        unwritable: unwritable.iter().map(PathBuf::from).collect(),
        grants: Vec::new(),
        canary: PathBuf::from("/"),
        rights: Rights::None,
        rlimits: limits::rlimits(&profile.limits),
        groups: 0,
    }
}

/// A container that was made, until it is gone.
struct Made<'a> {
    caller: &'a Caller<'a>,
    id: String,
}

impl Made<'_> {
    /// What is to be done after its end.
    fn into_leftover(self) -> Leftover {
        let (program, environment) = (self.caller.engine.program.clone(), self.caller.engine.environment.clone());
        let id = self.id.clone();
        std::mem::forget(self);
        Leftover::new(move || remove(&program, &environment, &id))
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        let Engine { program, environment, .. } = self.caller.engine;
        remove(program, environment, &self.id);
    }
}

/// Most attempts to remove a container that the engine is removing by itself at that moment.
const REMOVALS_MAX: usize = 100;
/// Between two of them.
const REMOVAL_PAUSE: Duration = Duration::from_millis(50);

/// Removes a container and waits until it is gone. What cannot be removed carries its label; the next start sweeps it.
fn remove(program: &Path, environment: &[(OsString, OsString)], id: &str) {
    for _ in 0..REMOVALS_MAX {
        let words = ["rm", "--force", "--volumes", id].map(OsString::from).to_vec();
        match (Client { program, words, environment, descriptors: Vec::new() }).run(ANSWER) {
            Err(ClientError::Failed { said, .. }) if said.contains("already in progress") => {
                std::thread::sleep(REMOVAL_PAUSE);
            }
            _ => return,
        }
    }
}

/// The socket on which the process inside reports.
struct Door {
    listener: OwnedFd,
    path: PathBuf,
}

/// Its name in the folder of the run.
const DOOR: &str = "door";

impl Door {
    fn open(folder: &Path) -> Result<Self, LaunchError> {
        let what = "making the socket for the container";
        let path = folder.join(DOOR);
        // The path may be longer than a socket's name can be.
        let directory = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(guest::os(what))?;
        // A nested run uses the folder again.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LaunchError::Setup { what: what.to_owned(), source: error });
            }
            _ => {}
        }
        let address =
            SocketAddrUnix::new(format!("/proc/self/fd/{}/{DOOR}", directory.as_raw_fd())).map_err(guest::os(what))?;
        let listener = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(guest::os(what))?;
        rustix::net::bind(&listener, &address).map_err(guest::os(what))?;
        rustix::net::listen(&listener, 1).map_err(guest::os(what))?;
        // Nobody else may enter the folder, and the user inside may be another one.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))
            .map_err(|source| LaunchError::Setup { what: what.to_owned(), source })?;
        Ok(Self { listener, path })
    }

    /// The first connection, and the process that made it.
    fn accept(self, made: &Made<'_>) -> Result<(OwnedFd, i32), LaunchError> {
        let help = "the engine has to run on this machine: the workspace and a socket are handed to the container";
        if syscall::poll_readable([self.listener.as_raw_fd()], Some(CONNECT_MS_MAX)) != Ok([true]) {
            let said = made.caller.call(["logs", made.id.as_str()]).map(|said| said.errors).unwrap_or_default();
            let problem = format!("the container was started and did not report within 10 s {said}");
            return Err(LaunchError::engine(problem.trim(), help));
        }
        let socket = rustix::net::accept_with(&self.listener, SocketFlags::CLOEXEC)
            .map_err(guest::os("accepting the container's connection"))?;
        let peer = rustix::net::sockopt::socket_peercred(&socket).map_err(guest::os("asking who has connected"))?;
        Ok((socket, peer.pid.as_raw_nonzero().get()))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // The folder goes with the run.
        drop(std::fs::remove_file(&self.path));
    }
}
