// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a caged program may see and use, as plain data.
//!
//! In: built by the runtime from policy and request. Out: read by the sandbox, serialized for the record.
//!
//! **Invariant:** whatever is not named here does not exist inside (with mount namespaces) or cannot be opened
//! (without). A profile grants; `hidden` and `protected` take away again.
//! No path is looked up here; the sandbox does that when it starts.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use ringfort_core::degree::Degree;
use ringfort_core::obligation::Promise;
use ringfort_core::syscalls::SyscallGroups;
use serde::{Deserialize, Serialize};

use crate::group::Group;

mod engine;

pub use self::engine::{CONTAINER_PROCESSES, COVER_FOLDER, Container, Engine, WORKSPACE};

/// What a caged program may see and use.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// Which runtime makes the cage: `native`, `bubblewrap`, `docker` or `podman`.
    pub runtime: String,
    /// What the other runtimes than `native` work with.
    pub engine: Option<Engine>,
    /// The writable folder; absolute and canonical; appears at the same path inside.
    pub workspace: PathBuf,
    /// Where the program starts; the workspace or below it.
    pub cwd: PathBuf,
    /// Trees that may be read and executed, see [`Profile::system_default`]. Links among them stay links.
    pub system: Vec<PathBuf>,
    /// Further folders that are writable, each at its own path, as the workspace is.
    pub writable: Vec<PathBuf>,
    /// The private home.
    pub home: HomeView,
    /// Paths that are not to be seen, whatever grants them: an empty file or folder without rights covers each.
    /// One that does not exist when the program starts is passed over.
    pub hidden: Vec<PathBuf>,
    /// Existing files and folders inside the workspace that cannot be changed, replaced or renamed.
    pub protected: Vec<PathBuf>,
    /// Files inside the workspace whose changes stay inside the cage.
    pub staged: Vec<Staged>,
    /// The workspace is seen and written through this, and the real one is not reached. Nothing in it is protected or
    /// staged then: no change is real before a person applies it.
    pub cow: Option<CowView>,
    /// A folder outside the workspace, made by the caller, that is writable where the degree is
    /// [`Degree::Minimal`]: there is no private home or `/tmp` then.
    pub scratch: Option<PathBuf>,
    /// The environment, complete and final.
    #[serde(skip)]
    pub environment: Vec<(OsString, OsString)>,
    /// Bounds on resources.
    pub limits: Limits,
    /// The session's control group; made from `limits` for this cage alone where there is none.
    #[serde(skip)]
    pub group: Option<Group>,
    /// A number that every process of the session bears where there is no process namespace, so that a later start
    /// finds what a killed supervisor left.
    #[serde(skip)]
    pub mark: Option<u64>,
    /// Which system calls there are.
    pub syscalls: SyscallGroups,
    /// What of the programs that are started later is shown to whoever launched the cage.
    pub tracing: Tracing,
    /// What of the network exists inside.
    pub network: Network,
    /// How much isolation to try for.
    pub degree: DegreeRequest,
    /// The weakest degree with which the program starts.
    pub degree_min: Degree,
    /// Promises without which nothing starts.
    pub require: BTreeSet<Promise>,
}

/// The home folder inside: empty, private and thrown away, with the named parts of the real one on top.
#[derive(Clone, Debug, Serialize)]
pub struct HomeView {
    /// Where it appears: the caller's real home.
    pub path: PathBuf,
    /// Parts of the real home (or other folders) that appear in it.
    pub binds: Vec<HomeBind>,
    /// Small files that are written into it: relative path and content.
    #[serde(skip)]
    pub files: Vec<(PathBuf, Vec<u8>)>,
}

/// One folder or file that appears in the private home.
#[derive(Clone, Debug, Serialize)]
pub struct HomeBind {
    /// What appears; absolute and canonical.
    pub source: PathBuf,
    /// Where, relative to the home.
    pub target: PathBuf,
    /// What may be done with it.
    pub mode: BindMode,
}

/// What may be done with a part of the home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BindMode {
    /// Read and execute.
    ReadOnly,
    /// As it is, writable, and every change is thrown away; read-only (and reported) where the host cannot do that.
    Scratch,
    /// As it is, writable, and every change stays.
    Writable,
}

/// A file of the workspace that the program may update (also by lock file and rename) without reaching the real one.
///
/// Inside, `path` becomes a link to a private folder, as `git` resolves links before it makes its lock file.
#[derive(Clone, Debug, Serialize)]
pub struct Staged {
    /// An existing regular file inside the workspace.
    pub path: PathBuf,
    /// The copy that the program reads and changes: made by the caller, outside the workspace, in a folder of its
    /// own (mode 0700) that holds nothing else. Inspect it at the end.
    pub scratch: PathBuf,
}

/// Where the changes to the workspace go instead of into it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CowView {
    /// An overlay: what is written goes to `upper`, and what is not is read from the real workspace.
    Overlay {
        /// An empty folder of the caller's, outside the workspace, with the workspace's own mode.
        upper: PathBuf,
        /// An empty folder beside it, for the kernel.
        work: PathBuf,
    },
    /// A copy of the workspace, in its place; at its own path where there is no mount namespace.
    Copy {
        /// The copy.
        folder: PathBuf,
        /// Places below the workspace where another file system is mounted: seen, and read-only.
        mounts: Vec<PathBuf>,
    },
}

impl CowView {
    /// Places below the workspace that are seen and cannot be written.
    pub fn mounts(&self) -> &[PathBuf] {
        match self {
            Self::Overlay { .. } => &[],
            Self::Copy { mounts, .. } => mounts,
        }
    }

    /// Folders outside the workspace that it is made of.
    pub fn folders(&self) -> Vec<&Path> {
        match self {
            Self::Overlay { upper, work } => vec![upper, work],
            Self::Copy { folder, .. } => vec![folder],
        }
    }
}

/// What of the network exists inside. With namespaces there is a loopback interface of the cage's own, and it is up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Nothing else.
    #[default]
    None,
    /// Listeners whose connections arrive outside, see [`DoorSockets`](crate::launch::DoorSockets). Nothing else is
    /// reachable. Where there is no network namespace connections to the proxy are made one by one
    /// ([`Connects`](crate::launch::Connects)), and there is nothing else of the view; where that cannot be had either
    /// there is no door, and a warning says so.
    Door(DoorView),
}

/// Which listeners a door has inside the cage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorView {
    /// Ports that are listened on at every local address, those of [`SYNTHETIC_NET`] included; at most
    /// [`CAUGHT_PORTS_MAX`]. A caught port is taken: no program inside can listen on it.
    pub caught_ports: Vec<u16>,
    /// Whether names are asked at the door: UDP and TCP port 53 of 127.0.0.1, and a private `/etc/resolv.conf`.
    pub names: bool,
}

/// Port of 127.0.0.1 on which a door takes HTTP and SOCKS inside the cage.
pub const PROXY_PORT: u16 = 3128;
/// Port of 127.0.0.1 on which a door is asked for names inside the cage.
pub const NAMES_PORT: u16 = 53;
/// Most ports that a door catches.
pub const CAUGHT_PORTS_MAX: usize = 16;
/// The addresses (with the bits of the prefix) that are local inside a cage with a door: what the door answers for a
/// name lies here, and a program that connects to it arrives at a caught port.
pub const SYNTHETIC_NET: (Ipv4Addr, u8) = (Ipv4Addr::new(198, 18, 0, 0), 15);

/// The address that the loopback interface of a cage with a door has besides 127.0.0.1, among the synthetic ones. C
/// libraries look names up only where some address is not a loopback one (`AI_ADDRCONFIG`).
pub const OWN_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 19, 255, 254);

/// Bounds on resources; `None` leaves the caller's own bound. None is ever raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Largest core file, in bytes.
    pub core_bytes_max: u64,
    /// Most open descriptors of one process.
    pub descriptors_max: Option<u64>,
    /// Most processes and threads of the session; of this user where no control group holds it.
    pub processes_max: Option<u64>,
    /// Largest file that may be written, in bytes.
    pub file_bytes_max: Option<u64>,
    /// Most memory of the session, in bytes; address space of one process where no control group holds it.
    pub memory_bytes_max: Option<u64>,
    /// Most processor time of the session, in percent of one processor. Only a control group can hold it.
    pub cpu_percent_max: Option<u64>,
    /// Most processor time of one process, in seconds.
    pub cpu_s_max: Option<u64>,
    /// Most bytes in the private home, `/tmp`, `/var/tmp`, `/run` and `/dev/shm` together.
    pub scratch_bytes_max: u64,
}

/// Size of the private folders unless a profile says otherwise. Bytes; memory is used only for what is written.
pub const SCRATCH_BYTES: u64 = 4 << 30;

impl Default for Limits {
    fn default() -> Self {
        Self {
            core_bytes_max: 0,
            descriptors_max: None,
            processes_max: None,
            file_bytes_max: None,
            memory_bytes_max: None,
            cpu_percent_max: None,
            cpu_s_max: None,
            scratch_bytes_max: SCRATCH_BYTES,
        }
    }
}

/// What is shown of the programs that a caged program starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tracing {
    /// Nothing: they are bounded by the cage.
    Off,
    /// Each program, before its first instruction: it runs only when
    /// [`Cage::answer`](crate::launch::Cage::answer) says so.
    Programs,
}

/// How much isolation to try for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DegreeRequest {
    /// As much as the host can.
    Auto,
    /// Everything, or nothing starts.
    Full,
    /// No more than a host without user namespaces gives to root, or one without Landlock to others.
    Reduced,
    /// No more than Landlock, seccomp and limits: no namespaces.
    Minimal,
}

impl DegreeRequest {
    /// The request of this word.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "auto" => Some(Self::Auto),
            "full" => Some(Self::Full),
            "reduced" => Some(Self::Reduced),
            "minimal" => Some(Self::Minimal),
            _ => None,
        }
    }

    /// The degree that this stands for where the host gives it.
    pub const fn degree(self) -> Degree {
        match self {
            Self::Auto | Self::Full => Degree::Full,
            Self::Reduced => Degree::Reduced,
            Self::Minimal => Degree::Minimal,
        }
    }
}

/// The trees of a usual system: programs, libraries, their settings. Nothing of it is written.
const SYSTEM: [&str; 10] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/etc", "/nix/store"];

/// The runtime that needs nothing installed.
pub const NATIVE: &str = "native";

impl Profile {
    /// A profile for `workspace` with nothing but the system in view.
    pub fn new(workspace: PathBuf, home: PathBuf) -> Self {
        Self {
            runtime: NATIVE.to_owned(),
            engine: None,
            cwd: workspace.clone(),
            workspace,
            system: Self::system_default(),
            writable: Vec::new(),
            home: HomeView { path: home, binds: Vec::new(), files: Vec::new() },
            hidden: Vec::new(),
            protected: Vec::new(),
            staged: Vec::new(),
            cow: None,
            scratch: None,
            environment: Vec::new(),
            limits: Limits::default(),
            group: None,
            mark: None,
            syscalls: SyscallGroups::default(),
            tracing: Tracing::Off,
            network: Network::None,
            degree: DegreeRequest::Auto,
            degree_min: Degree::Minimal,
            require: BTreeSet::new(),
        }
    }

    /// The usual system trees; those that a host lacks are passed over. Secrets in `/etc` are covered in any case.
    pub fn system_default() -> Vec<PathBuf> {
        SYSTEM.iter().map(PathBuf::from).collect()
    }

    /// The folder whose content appears as the workspace.
    #[must_use]
    pub fn workspace_source(&self) -> &Path {
        match &self.cow {
            Some(CowView::Copy { folder, .. }) => folder,
            Some(CowView::Overlay { .. }) | None => &self.workspace,
        }
    }

    /// This profile where there is no mount namespace: a copy of the workspace is a workspace at its own path.
    ///
    /// `None` where that cannot be: an overlay needs a mount.
    #[must_use]
    pub fn without_mounts(&self) -> Option<Self> {
        match &self.cow {
            None => Some(self.clone()),
            Some(CowView::Overlay { .. }) => None,
            Some(CowView::Copy { folder, .. }) => {
                let inside = |path: &Path| folder.join(path.strip_prefix(&self.workspace).unwrap_or(Path::new("")));
                Some(Self { workspace: folder.clone(), cwd: inside(&self.cwd), cow: None, ..self.clone() })
            }
        }
    }

    /// Where a path of the workspace is once the workspace has moved to the profile `to`.
    #[must_use]
    pub fn moved(&self, path: &Path, to: &Self) -> PathBuf {
        path.strip_prefix(&self.workspace).map_or_else(|_| path.to_owned(), |rest| to.workspace.join(rest))
    }
}
