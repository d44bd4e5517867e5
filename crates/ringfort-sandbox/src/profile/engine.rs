// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a runtime works with that uses a program of others: bubblewrap, or the client of a container engine.
//!
//! In: built by the wiring from the configuration and the environment of an ungoverned caller. Out: read by the runtimes.
//!
//! **Invariant:** nothing here comes from a governed program or from a file of the workspace; the client's program lies
//! outside everything that is writable inside.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::Serialize;

/// The program that makes the cage, and how it is started.
#[derive(Clone, Debug, Serialize)]
pub struct Engine {
    /// `bwrap`, or the client of the container engine: absolute and canonical.
    pub program: PathBuf,
    /// The environment of that program; the caged program never sees it.
    #[serde(skip)]
    pub environment: Vec<(OsString, OsString)>,
    /// A folder of this run, mode 0700, outside the workspace: for sockets and files that the container is given.
    pub folder: PathBuf,
    /// This binary: it runs inside as the keeper, see [`crate::guest`].
    pub entry: PathBuf,
    /// What containers are made with; `None` for bubblewrap.
    pub container: Option<Container>,
}

/// How a container is made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Container {
    /// The image, as a name or a digest; what it stood for at the start is recorded.
    pub image: String,
    /// The engine's network. `none` has none; anything else breaks the promise of no network, and is seen to.
    pub network: String,
    /// Most memory, in bytes.
    pub memory_bytes: u64,
    /// Most processors.
    pub cpus: f64,
    /// Whether the root file system is read-only.
    pub read_only_root: bool,
    /// Whether the workspace is there, at [`WORKSPACE`].
    pub mount_workspace: bool,
    /// Most processes and threads.
    pub processes_max: u64,
    /// The name of the run: the container carries it, and the next start finds what a killed supervisor left behind.
    pub run: String,
}

/// Where the workspace is inside a container.
pub const WORKSPACE: &str = "/workspace";

/// A folder without rights in [`Engine::folder`], which covers what is hidden. Nobody but root can look into it to
/// remove it with everything in it: it is empty, and is removed by itself.
pub const COVER_FOLDER: &str = "no-folder";

/// Most processes and threads of a container unless the policy says fewer.
pub const CONTAINER_PROCESSES: u64 = 1024;
