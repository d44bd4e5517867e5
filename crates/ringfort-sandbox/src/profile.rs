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
use std::path::{Path, PathBuf};

use ringfort_core::obligation::Promise;
use serde::Serialize;

/// What a caged program may see and use.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
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
    /// [`Degree::Minimal`](crate::achieved::Degree::Minimal): there is no private home or `/tmp` then.
    pub scratch: Option<PathBuf>,
    /// The environment, complete and final.
    #[serde(skip)]
    pub environment: Vec<(OsString, OsString)>,
    /// Bounds on resources.
    pub limits: Limits,
    /// How much isolation to try for.
    pub degree: DegreeRequest,
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

/// Bounds on resources; `None` leaves the caller's own bound. None is ever raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Largest core file, in bytes.
    pub core_bytes_max: u64,
    /// Most open descriptors of one process.
    pub descriptors_max: Option<u64>,
    /// Most processes and threads of this user; root is exempt from it.
    pub processes_max: Option<u64>,
    /// Largest file that may be written, in bytes.
    pub file_bytes_max: Option<u64>,
    /// Most address space of one process, in bytes.
    pub memory_bytes_max: Option<u64>,
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
            cpu_s_max: None,
            scratch_bytes_max: SCRATCH_BYTES,
        }
    }
}

/// How much isolation to try for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DegreeRequest {
    /// As much as the host can.
    Auto,
    /// No user namespace: Landlock, seccomp and resource limits only.
    Minimal,
}

/// The trees of a usual system: programs, libraries, their settings. Nothing of it is written.
const SYSTEM: [&str; 10] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/etc", "/nix/store"];

impl Profile {
    /// A profile for `workspace` with nothing but the system in view.
    pub fn new(workspace: PathBuf, home: PathBuf) -> Self {
        Self {
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
            degree: DegreeRequest::Auto,
            require: BTreeSet::new(),
        }
    }

    /// The usual system trees; those that a host lacks are passed over. Secrets in `/etc` are covered in any case.
    pub fn system_default() -> Vec<PathBuf> {
        SYSTEM.iter().map(PathBuf::from).collect()
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
