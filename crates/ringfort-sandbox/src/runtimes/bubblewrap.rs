// SPDX-License-Identifier: MIT OR Apache-2.0
//! bubblewrap as a runtime: it makes namespaces and the view; our keeper inside does the rest.
//!
//! In: a checked profile, the promises that are required, what to start. Out: the process of `bwrap` and the keeper's
//! channel, or an error after which nothing has run.
//!
//! **Invariant:** the view is the one that the native runtime plans, step for step; what bubblewrap cannot make is
//! narrower (scratch folders and staged files are read-only) and said. Capabilities, Landlock, the system call filter
//! and the probes are our own, inside: nothing that bubblewrap says about itself is believed.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ringfort_core::obligation::Promise;
use rustix::fs::{MemfdFlags, Mode, OFlags, ResolveFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::Runtime;
use super::native::Started;
use super::native::guest::{self, Brief, Item, Place, Rights};
use crate::achieved::Achieved;
use crate::client::{Client, FIRST, Running};
use crate::group::Leaf;
use crate::launch::{LaunchError, Spawn};
use crate::profile::{DegreeRequest, Engine, Network, Profile};
use crate::syscall;

pub(super) const ENTRY: Runtime = Runtime { name: "bubblewrap", start };

const HELP: &str = "install bubblewrap (Debian: `apt-get install bubblewrap`), or use another runtime";
const HELP_DEGREE: &str = "leave `--degree` out, or use the runtime `native`";
/// Where our binary is inside.
const KEEPER: &str = "/.ringfort/keeper";
/// Most options; they are passed in one file.
const WORDS_MAX: usize = 40_000;

/// Starts `spawn` in a view of bubblewrap, or says why not; then nothing has run.
fn start(profile: &Profile, require: &BTreeSet<Promise>, spawn: &Spawn) -> Result<Started, LaunchError> {
    guest::check(profile)?;
    let engine = profile.engine.as_ref().ok_or(LaunchError::engine("bubblewrap was not found", HELP))?;
    let abi = match profile.degree {
        DegreeRequest::Minimal => return Err(LaunchError::engine("bubblewrap has no degree `minimal`", HELP_DEGREE)),
        DegreeRequest::Reduced => 0,
        DegreeRequest::Auto | DegreeRequest::Full => syscall::landlock_abi().unwrap_or(0),
    };
    let mut limited = guest::resolve_limits(profile)?;
    let entrances = limited.leaf.as_mut().map(Leaf::take_entrances).unwrap_or_default();
    let depicted = guest::depict(profile)?;
    let mut plan = Words::new(profile);
    for item in &depicted.items {
        plan.item(item)?;
    }
    plan.own(engine)?;
    let mut warnings = depicted.warnings;
    warnings.append(&mut plan.warnings);
    let place = Place {
        map: Rc::new(Path::to_path_buf),
        cwd: profile.cwd.clone(),
        environment: profile.environment.clone(),
        unwritable: ["/", "/usr", "/etc", "/dev", "/proc"].map(PathBuf::from).to_vec(),
        unreadable: profile.hidden.iter().cloned().chain([PathBuf::from("/etc/shadow")]).collect(),
        grants: if abi == 0 { Vec::new() } else { depicted.grants },
        canary: depicted.canary,
        // With a user of its own bubblewrap makes a second user namespace, without rights in the network's.
        rights: if syscall::effective_ids().0 == 0 { Rights::Held } else { Rights::None },
        rlimits: limited.rlimits,
        groups: entrances.len(),
    };
    let brief = Brief::new(profile, require, spawn, place)?;
    let (running, socket) = plan.start(engine)?;
    match guest::hand_over(socket.as_fd(), &brief, spawn, &entrances) {
        Ok(handed) => {
            let Running { pid, pidfd, .. } = running;
            let achieved = Achieved { runtime: ENTRY.name, limits: limited.held, warnings, ..handed.achieved };
            Ok(Started {
                pid,
                pidfd,
                control: handed.control,
                achieved,
                leaf: limited.leaf,
                door: handed.door,
                leftover: None,
            })
        }
        Err(error) => {
            running.kill();
            let said = running.said();
            // Without a view there is nobody to answer, and bubblewrap says why.
            match error {
                LaunchError::Silent | LaunchError::Setup { .. } if !said.is_empty() => {
                    Err(LaunchError::engine(format!("bubblewrap could not make the view: {said}"), HELP_HOST))
                }
                error => Err(error),
            }
        }
    }
}

const HELP_HOST: &str = "`bwrap --unshare-all --ro-bind / / true` has to work on this host; it needs user namespaces, \
    and version 0.8.0 with `--bind-fd`, or later";

/// The options of `bwrap` under construction.
struct Words<'a> {
    profile: &'a Profile,
    words: Vec<OsString>,
    descriptors: Vec<OwnedFd>,
    warnings: Vec<String>,
}

impl<'a> Words<'a> {
    fn new(profile: &'a Profile) -> Self {
        let (uid, gid) = syscall::effective_ids();
        let mut words = Self { profile, words: Vec::new(), descriptors: Vec::new(), warnings: Vec::new() };
        let namespaces = ["user", "pid", "net", "ipc", "uts", "cgroup-try"];
        namespaces.iter().for_each(|name| words.push(&[&format!("--unshare-{name}")]));
        words.push(&[&"--die-with-parent", &"--as-pid-1", &"--clearenv", &"--cap-drop", &"ALL"]);
        if profile.network != Network::None {
            // The keeper makes the door with them, and drops them before the program starts.
            words.push(&[&"--cap-add", &"CAP_NET_ADMIN", &"--cap-add", &"CAP_NET_BIND_SERVICE"]);
        }
        words.push(&[&"--uid", &uid.to_string(), &"--gid", &gid.to_string()]);
        words
    }

    fn push(&mut self, words: &[&dyn AsRef<OsStr>]) {
        self.words.extend(words.iter().map(|word| word.as_ref().to_owned()));
    }

    /// Passes a descriptor on; answers its number in `bwrap`.
    fn pass(&mut self, descriptor: OwnedFd) -> String {
        self.descriptors.push(descriptor);
        (usize::try_from(FIRST).unwrap_or(0) + self.descriptors.len() - 1).to_string()
    }

    fn content(&mut self, bytes: &[u8]) -> Result<String, LaunchError> {
        let file = rustix::fs::memfd_create("content", MemfdFlags::CLOEXEC).map_err(guest::os("making a file"))?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let written =
                rustix::io::retry_on_intr(|| rustix::io::write(&file, rest)).map_err(guest::os("writing a file"))?;
            rest = rest.get(written..).unwrap_or_default();
        }
        rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).map_err(guest::os("writing a file"))?;
        Ok(self.pass(file))
    }

    fn item(&mut self, item: &Item) -> Result<(), LaunchError> {
        match item {
            Item::Folder { path, mode } => self.push(&[&"--perms", &octal(*mode), &"--dir", path]),
            Item::File { path, mode, content } => {
                let number = self.content(content)?;
                self.push(&[&"--perms", &octal(*mode), &"--file", &number, path]);
            }
            Item::Link { path, target } => self.push(&[&"--symlink", target, path]),
            Item::Private { path, mode, bytes } => {
                self.push(&[&"--perms", &octal(*mode), &"--size", &bytes.to_string(), &"--tmpfs", path]);
            }
            Item::Processes { path } => self.push(&[&"--proc", path]),
            Item::Devices { path } => self.push(&[&"--dev", path]),
            Item::Bind { source, path, read_only } => {
                self.push(&[if *read_only { &"--ro-bind" } else { &"--bind" }, source, path]);
            }
            Item::Pinned { relative, path, read_only } => {
                let number = self.open_in_workspace(relative)?;
                self.push(&[if *read_only { &"--ro-bind-fd" } else { &"--bind-fd" }, &number, path]);
            }
            Item::Replaced { path, content } => {
                let number = self.content(content)?;
                self.push(&[&"--perms", &"0444", &"--ro-bind-data", &number, path]);
            }
            Item::Cover { path, is_folder: true } => {
                self.push(&[&"--perms", &"0000", &"--tmpfs", path, &"--remount-ro", path]);
            }
            Item::Cover { path, is_folder: false } => {
                let number = self.content(&[])?;
                self.push(&[&"--perms", &"0000", &"--ro-bind-data", &number, path]);
            }
        }
        Ok(())
    }

    /// What the view needs besides: the keeper, and that nothing of it can be written.
    fn own(&mut self, engine: &Engine) -> Result<(), LaunchError> {
        self.push(&[&"--ro-bind", &engine.entry, &KEEPER]);
        ["/proc", "/dev", "/"].iter().for_each(|path| self.push(&[&"--remount-ro", path]));
        if self.words.len() > WORDS_MAX {
            return Err(LaunchError::engine("the profile is too large for bubblewrap", HELP));
        }
        Ok(())
    }

    /// A part of the workspace, reached without links: check and use are one.
    fn open_in_workspace(&mut self, relative: &Path) -> Result<String, LaunchError> {
        let opened = rustix::fs::open(
            &self.profile.workspace,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .and_then(|folder| {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            rustix::fs::openat2(folder, relative, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
        })
        .map_err(guest::os("opening a protected path"))?;
        Ok(self.pass(opened))
    }

    /// Starts `bwrap`; the socket leads to the keeper inside.
    fn start(mut self, engine: &Engine) -> Result<(Running, OwnedFd), LaunchError> {
        let (outside, inside) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(guest::os("opening a socket pair"))?;
        let number = self.pass(inside);
        let mut options = Vec::new();
        for word in &self.words {
            options.extend_from_slice(word.as_bytes());
            options.push(0);
        }
        let options = self.content(&options)?;
        let client = Client {
            program: &engine.program,
            words: ["--args", &options, "--", KEEPER, crate::guest::WORD, &number].map(OsString::from).to_vec(),
            environment: &[],
            descriptors: self.descriptors,
        };
        let running = client.start().map_err(|error| LaunchError::engine(error.to_string(), HELP))?;
        Ok((running, outside))
    }
}

fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}
