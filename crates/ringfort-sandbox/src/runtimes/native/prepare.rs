// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turns a profile and a program into everything that the child needs.
//!
//! In: profile, required promises, what to start. Out: a [`Plan`] and the supervisor's ends of two channels.
//!
//! **Invariant:** after this nothing is looked up by a name that a governed process chose: paths are checked here
//! and opened without links in the child.

use std::collections::BTreeSet;
use std::ffi::{CString, OsStr, OsString, c_uint};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ringfort_core::obligation::Promise;
use ringfort_core::syscalls::SyscallGroup;
use rustix::fs::FileType;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::pipe::PipeFlags;

use super::door::{self, NetworkPlan};
use super::filter::{self, Sockets};
use super::keeper::{Descriptors, GROUPS_MAX, Plan, TryPlan};
use super::landlock::{Grant, Rules};
use super::step::Step;
use super::view::{self, View, c_string};
use super::witness::{self, Witness};
use super::{Mode, ProfileError, minimal};
use crate::achieved::Degree;
use crate::launch::{LaunchError, Spawn, Stream};
use crate::profile::{CowView, Network, Profile};
use crate::syscall::{self, ExecVectors, Variable};

/// Most paths in each list of a profile.
const PATHS_MAX: usize = 4096;
/// Descriptors are moved above this before the clone, so that none stands where the program wants another.
pub(super) const DESCRIPTOR_MIN: i32 = 10;

/// The resource that carries the mark of a session: the kernel has not used it since Linux 2.4, it is inherited, its
/// hard bound can only be lowered, and everybody may read it.
pub(super) const MARK_RESOURCE: c_uint = libc::RLIMIT_LOCKS;

/// What was found out once for every attempt.
pub(super) struct Host<'a> {
    /// The Landlock ABI to use.
    pub(super) abi: u32,
    /// The weakest degree that will do.
    pub(super) floor: Degree,
    /// Resource limits of the child.
    pub(super) rlimits: &'a [(c_uint, u64)],
    /// Where the child enters its control groups.
    pub(super) entrances: &'a [OwnedFd],
}

/// What `attempt` needs.
pub(super) struct Prepared {
    pub(super) plan: Plan,
    /// Where the child's reports are read.
    pub(super) report: OwnedFd,
    /// The supervisor's end of the keeper's channel.
    pub(super) control: OwnedFd,
    /// The child's copies; closed in the supervisor after the clone.
    pub(super) child_ends: Vec<OwnedFd>,
    pub(super) view: Degraded,
}

/// What the view could not have.
pub(super) struct Degraded {
    overlays: Vec<PathBuf>,
    notes: Vec<String>,
}

impl Degraded {
    /// What to warn about, given which overlays the child had to mount read-only.
    pub(super) fn warnings(&self, overlays_refused: u64) -> Vec<String> {
        let refused = self.overlays.iter().enumerate().filter(|(number, _)| overlays_refused >> number & 1 == 1);
        refused
            .map(|(_, path)| format!("`{}` is read-only: overlays are unavailable", path.display()))
            .chain(self.notes.iter().cloned())
            .collect()
    }
}

/// Trees below which nothing is made writable, whatever a profile says.
const FORBIDDEN_WRITABLE: [&str; 12] =
    ["/proc", "/dev", "/sys", "/run", "/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/boot", "/var/run"];

/// Refuses profiles that would not mean what they say.
pub(super) fn check(profile: &Profile) -> Result<(), ProfileError> {
    let workspace = &profile.workspace;
    let real = workspace.canonicalize().map_err(|source| ProfileError::unreadable(workspace, source))?;
    if real != *workspace {
        return Err(ProfileError::NotCanonical { path: workspace.clone() });
    }
    let home = &profile.home.path;
    let forbidden = ["/proc", "/dev", "/sys", "/run"].iter().any(|tree| workspace.starts_with(tree));
    if workspace.parent().is_none() || forbidden || home.starts_with(workspace) {
        return Err(ProfileError::Workspace { path: workspace.clone() });
    }
    for path in &profile.writable {
        let real = path.canonicalize().map_err(|source| ProfileError::unreadable(path, source))?;
        let system = FORBIDDEN_WRITABLE.iter().any(|tree| path.starts_with(tree));
        let overlaps = path.starts_with(workspace) || workspace.starts_with(path) || home.starts_with(path);
        if real != *path || path.parent().is_none() || system || overlaps {
            return Err(ProfileError::Workspace { path: path.clone() });
        }
    }
    let binds = &profile.home.binds;
    let absolute = profile.system.iter().chain([home]).chain(&profile.hidden).chain(binds.iter().map(|b| &b.source));
    if let Some(path) = absolute.into_iter().find(|path| !is_plain_absolute(path)) {
        return Err(ProfileError::NotCanonical { path: path.clone() });
    }
    let relative = binds.iter().map(|bind| &bind.target).chain(profile.home.files.iter().map(|(path, _)| path));
    if let Some(path) = relative.into_iter().find(|path| !is_plain_relative(path)) {
        return Err(ProfileError::NotCanonical { path: path.clone() });
    }
    let inside = profile.protected.iter().chain(profile.staged.iter().map(|staged| &staged.path));
    if let Some(path) =
        inside.clone().find(|path| !is_plain_absolute(path) || !path.starts_with(workspace) || *path == workspace)
    {
        return Err(ProfileError::Outside { path: path.clone() });
    }
    if !is_plain_absolute(&profile.cwd) || !profile.cwd.starts_with(workspace) {
        return Err(ProfileError::Outside { path: profile.cwd.clone() });
    }
    for staged in &profile.staged {
        if staged.scratch.starts_with(workspace) || !is_plain_absolute(&staged.scratch) {
            return Err(ProfileError::Staged { path: staged.scratch.clone() });
        }
    }
    let folders: Vec<&Path> = profile.cow.iter().flat_map(CowView::folders).collect();
    if let Some(folder) =
        folders.iter().find(|f| !is_plain_absolute(f) || f.starts_with(workspace) || workspace.starts_with(f))
    {
        // An overlay in itself, or a copy that the copied program writes as the real one.
        return Err(ProfileError::Workspace { path: folder.to_path_buf() });
    }
    door::check(&profile.network)?;
    for (what, count) in [
        ("hidden paths", profile.hidden.len()),
        ("protected paths", profile.protected.len()),
        ("staged files", profile.staged.len()),
        ("parts of the home", binds.len()),
    ] {
        if count > PATHS_MAX {
            return Err(ProfileError::TooMany { what, most: PATHS_MAX });
        }
    }
    Ok(())
}

fn is_plain_absolute(path: &Path) -> bool {
    path.strip_prefix("/").is_ok_and(|rest| !rest.as_os_str().is_empty() && is_plain_relative(rest))
}

fn is_plain_relative(path: &Path) -> bool {
    path.components().all(|part| matches!(part, std::path::Component::Normal(_)))
}

/// Prepares one attempt.
pub(super) fn prepare(
    mode: Mode,
    wanted: &Profile,
    require: &BTreeSet<Promise>,
    spawn: &Spawn,
    host: &Host<'_>,
) -> Result<Prepared, LaunchError> {
    let abi = host.abi;
    let (uid, gid) = syscall::effective_ids();
    let moved;
    let profile = match mode {
        Mode::Namespaced | Mode::Rooted => wanted,
        Mode::Minimal => {
            let reason = "without mounts a copy-on-write workspace has to be a copy".to_owned();
            moved = wanted.without_mounts().ok_or(LaunchError::Unavailable { reason })?;
            &moved
        }
    };
    let mut rules = Rules::new(abi);
    let (steps, degraded) = match mode {
        Mode::Namespaced | Mode::Rooted => {
            let View { steps, overlays, system, scratch_files } = view::plan(profile, uid)?;
            grant_view(&mut rules, profile, &system)?;
            rules.leave_network();
            let notes = scratch_files
                .iter()
                .map(|path| format!("`{}` is read-only: only folders can be scratch", path.display()))
                .collect();
            (steps, Degraded { overlays, notes })
        }
        Mode::Minimal => {
            let mut notes = minimal::grant(&mut rules, profile)?;
            if profile.network != Network::None && !profile.syscalls.contains(SyscallGroup::Network) {
                notes.push(door::NO_SOCKETS.to_owned());
            }
            (Vec::new(), Degraded { overlays: Vec::new(), notes })
        }
    };
    let sockets = if mode.is_namespaced() { Sockets::Namespaced } else { Sockets::Shared };
    let identity = (mode == Mode::Namespaced).then(|| (identity_line(uid), identity_line(gid)));
    let channels = Channels::open(spawn, host.entrances)?;
    let mut required = [false; witness::PROMISES];
    for (flag, promise) in required.iter_mut().zip(Promise::ALL) {
        *flag = require.contains(&promise);
    }
    let mut limits = host.rlimits.to_vec();
    if let Some(mark) = profile.mark.filter(|_| mode == Mode::Minimal) {
        limits.push((MARK_RESOURCE, mark));
    }
    let plan = Plan {
        sockets,
        namespaced: mode.is_namespaced(),
        identity,
        network: NetworkPlan::new(mode, &profile.network, &profile.syscalls),
        workspace: c_string(&profile.workspace)?,
        steps,
        cwd: c_string(&profile.cwd)?,
        limits,
        tracing: profile.tracing,
        rules,
        filter: filter::build(sockets, &profile.syscalls),
        witness: make_witness(mode, (profile, wanted), abi)?,
        required,
        landlock_required: host.floor == Degree::Full,
        exec: vectors(profile, &wanted.moved(&spawn.program, profile), spawn)?,
        descriptors: channels.descriptors,
        started_by_main_thread: syscall::getpid() == syscall::gettid(),
    };
    let Channels { report, control, child_ends, .. } = channels;
    Ok(Prepared { plan, report, control, child_ends, view: degraded })
}

fn identity_line(id: u32) -> CString {
    CString::new(format!("{id} {id} 1")).unwrap_or_default()
}

/// What Landlock grants inside a view of our own.
fn grant_view(rules: &mut Rules, profile: &Profile, system: &[PathBuf]) -> Result<(), ProfileError> {
    view_grants(profile, system).into_iter().try_for_each(|(path, grant)| {
        rules.allow(c_string(&path)?, grant);
        Ok(())
    })
}

/// What is granted inside a view that was planned for `profile`.
pub(super) fn view_grants(profile: &Profile, system: &[PathBuf]) -> Vec<(PathBuf, Grant)> {
    let fixed = [
        ("/", Grant::List),
        ("/proc", Grant::Look),
        ("/dev", Grant::Device),
        ("/dev/shm", Grant::Write),
        ("/tmp", Grant::Write),
        ("/var/tmp", Grant::Write),
        ("/run", Grant::Write),
    ];
    let fixed = fixed.map(|(path, grant)| (PathBuf::from(path), grant));
    let own = profile.writable.iter().chain([&profile.workspace, &profile.home.path]).map(|path| (path, Grant::Write));
    let system = system.iter().map(|path| (path, Grant::Read));
    system.chain(own).map(|(path, grant)| (path.clone(), grant)).chain(fixed).collect()
}

/// The profile as it is carried out, and as it was wanted: a workspace that was copied must not be written either.
fn make_witness(mode: Mode, (profile, wanted): (&Profile, &Profile), abi: u32) -> Result<Witness, LaunchError> {
    let strings = |paths: &[&Path]| paths.iter().copied().map(c_string).collect::<Result<Vec<CString>, ProfileError>>();
    let home = c_string(&profile.home.path)?;
    let hidden: Vec<&Path> = profile.hidden.iter().map(PathBuf::as_path).chain([Path::new("/etc/shadow")]).collect();
    let protected: Vec<&Path> = profile.protected.iter().map(PathBuf::as_path).collect();
    let mut outside: Vec<&Path> = vec![Path::new("/"), Path::new("/usr"), Path::new("/etc")];
    if !mode.is_namespaced() {
        outside.extend([Path::new("/tmp"), Path::new("/var/tmp"), Path::new("/dev/shm"), &profile.home.path]);
        outside.extend(profile.workspace.parent());
        outside.extend((wanted.workspace != profile.workspace).then_some(wanted.workspace.as_path()));
    }
    let (network_outside, pids_outside) = witness::own_namespaces();
    let name = probe_name()?;
    let uncreatable: Vec<PathBuf> = outside.iter().map(|folder| folder.join(&name)).collect();
    let uncreatable: Vec<&Path> = uncreatable.iter().map(PathBuf::as_path).collect();
    Ok(Witness {
        namespaced: mode.is_namespaced(),
        landlock_abi: abi,
        is_traceable: mode != Mode::Minimal && profile.syscalls.contains(SyscallGroup::Debug),
        supervisor: syscall::getpid(),
        uncreatable: strings(&uncreatable)?,
        unreadable: strings(&hidden)?,
        landlock_canary: CString::new(if mode.is_namespaced() { view::CANARY } else { "/" }).unwrap_or_default(),
        protected: strings(&protected)?,
        anchored: anchored(profile).into_iter().map(c_string).collect::<Result<_, _>>()?,
        home_outside: syscall::stat(&home).ok(),
        home,
        root_outside: syscall::stat(c"/").ok(),
        network_outside,
        pids_outside,
    })
}

/// A name that nobody can have taken before.
pub(super) fn probe_name() -> Result<String, LaunchError> {
    let mut random = [0_u8; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()).map_err(os("asking for randomness"))?;
    Ok(format!(".ringfort-probe-{:016x}", u64::from_ne_bytes(random)))
}

/// What must be a mount point of its own, so that nothing protected is renamed: it, and every folder above it.
pub(super) fn anchored(profile: &Profile) -> BTreeSet<&Path> {
    let protected: Vec<&Path> = profile.protected.iter().map(PathBuf::as_path).collect();
    let mut anchored: BTreeSet<&Path> = BTreeSet::new();
    for path in profile.protected.iter().chain(profile.staged.iter().map(|staged| &staged.path)) {
        anchored.extend(path.ancestors().take_while(|parent| *parent != profile.workspace));
    }
    // What lies below a protected folder is protected by it; below a hidden one nothing is left to protect.
    anchored.retain(|path| !path.ancestors().skip(1).any(|parent| protected.contains(&parent)));
    let is_hidden = |path: &Path| profile.hidden.iter().any(|hidden| path.starts_with(hidden));
    anchored.retain(|path| !is_hidden(path));
    anchored
}

/// A path of a profile as a C string.
pub(super) fn c_path(path: &Path) -> Result<CString, ProfileError> {
    c_string(path)
}

fn vectors(profile: &Profile, program: &Path, spawn: &Spawn) -> Result<ExecVectors, ProfileError> {
    let string = |bytes: &OsStr| CString::new(bytes.as_bytes()).map_err(|_| ProfileError::NullByte);
    let argv = spawn.argv.iter().map(|word| string(word)).collect::<Result<_, _>>()?;
    let variable = |(name, value): &(OsString, OsString)| Variable::of(name, value).ok_or(ProfileError::NullByte);
    let variables = profile.environment.iter().map(variable);
    Ok(ExecVectors::new(c_string(program)?, argv, variables.collect::<Result<_, _>>()?))
}

/// The descriptors of an attempt.
struct Channels {
    descriptors: Descriptors,
    report: OwnedFd,
    control: OwnedFd,
    child_ends: Vec<OwnedFd>,
}

impl Channels {
    fn open(spawn: &Spawn, entrances: &[OwnedFd]) -> Result<Self, LaunchError> {
        inspect_streams(spawn)?;
        let (report, report_child) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(os("opening a pipe"))?;
        let (control, control_child) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(os("opening a socket pair"))?;
        let mut child_ends = Vec::new();
        let mut above = |descriptor: &OwnedFd| -> Result<i32, LaunchError> {
            let copy = fcntl_dupfd_cloexec(descriptor, DESCRIPTOR_MIN).map_err(os("copying a descriptor"))?;
            let number = copy.as_raw_fd();
            child_ends.push(copy);
            Ok(number)
        };
        let mut groups = [None; GROUPS_MAX];
        for (slot, entrance) in groups.iter_mut().zip(entrances) {
            *slot = Some(above(entrance)?);
        }
        let descriptors = Descriptors {
            groups,
            stdin: above(&spawn.stdin)?,
            stdout: above(&spawn.stdout)?,
            stderr: above(&spawn.stderr)?,
            terminal: spawn.terminal.as_ref().map(&mut above).transpose()?,
            broker: spawn.broker.as_ref().map(&mut above).transpose()?,
            control: above(&control_child)?,
            report: above(&report_child)?,
        };
        Ok(Self { descriptors, report, control, child_ends })
    }
}

pub(super) fn os(what: &'static str) -> impl Fn(rustix::io::Errno) -> LaunchError {
    move |errno| LaunchError::Setup { what: what.to_owned(), source: io::Error::from(errno) }
}

/// Refuses standard streams that would be a way out.
pub(super) fn inspect_streams(spawn: &Spawn) -> Result<(), LaunchError> {
    let streams = [(Stream::Stdin, &spawn.stdin), (Stream::Stdout, &spawn.stdout), (Stream::Stderr, &spawn.stderr)];
    streams.into_iter().try_for_each(|(stream, descriptor)| inspect(stream, descriptor))
}

/// A folder as a descriptor would let the program walk out by `..` and a socket would lead to whoever holds its other end.
fn inspect(stream: Stream, descriptor: &OwnedFd) -> Result<(), LaunchError> {
    let stat = rustix::fs::fstat(descriptor).map_err(os("inspecting a descriptor"))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Err(LaunchError::Descriptor { stream, kind: "folder" }),
        FileType::Socket => Err(LaunchError::Descriptor { stream, kind: "socket" }),
        FileType::BlockDevice => Err(LaunchError::Descriptor { stream, kind: "block device" }),
        _ => Ok(()),
    }
}

/// The smallest view with everything that may be refused: a fresh /proc and an overlay.
pub(super) fn try_plan(mode: Mode) -> Result<TryPlan, ProfileError> {
    let (uid, gid) = syscall::effective_ids();
    let path = |text: &str| c_string(Path::new(text));
    let folder = |text: &str| Ok::<_, ProfileError>(Step::Folder { path: path(text)?, mode: 0o755 });
    let steps = vec![
        folder("proc")?,
        Step::Proc { path: path("proc")? },
        folder("upper")?,
        folder("work")?,
        folder("merged")?,
        Step::Overlay {
            source: path("/usr")?,
            upper: path("upper")?,
            work: path("work")?,
            path: path("merged")?,
            number: 0,
        },
    ];
    let identity = (mode == Mode::Namespaced).then(|| (identity_line(uid), identity_line(gid)));
    Ok(TryPlan { identity, workspace: path("/")?, steps })
}

/// An overlay of a workspace and nothing else.
pub(super) fn try_layered_plan(
    mode: Mode,
    (lower, upper, work): (&Path, &Path, &Path),
) -> Result<TryPlan, ProfileError> {
    let (uid, gid) = syscall::effective_ids();
    let merged = c_string(Path::new("merged"))?;
    let steps = vec![
        Step::Folder { path: merged.clone(), mode: 0o755 },
        Step::Layered { upper: c_string(upper)?, work: c_string(work)?, path: merged },
    ];
    let identity = (mode == Mode::Namespaced).then(|| (identity_line(uid), identity_line(gid)));
    Ok(TryPlan { identity, workspace: c_string(lower)?, steps })
}
