// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sections `[runtime]` and `[runtime.docker]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[runtime]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeConfig {
    /// In what a command runs.
    pub kind: RuntimeKind,
    /// How the container is made, where `kind` is `docker` or `podman`.
    pub docker: DockerConfig,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self { kind: RuntimeKind::Native, docker: DockerConfig::default() }
    }
}

/// In what a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// A caged process on this machine.
    Native,
    /// A process in a view that bubblewrap makes.
    Bubblewrap,
    /// A container of Docker.
    Docker,
    /// A container of Podman.
    Podman,
}

/// The section `[runtime.docker]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DockerConfig {
    /// The image.
    pub image: String,
    /// The container's network; `none` has none.
    pub network: String,
    /// Most memory, in MiB.
    pub memory_limit_mb: u64,
    /// Most processors.
    pub cpu_limit: f64,
    /// Whether the root file system is read-only.
    pub read_only_rootfs: bool,
    /// Whether the workspace is mounted.
    pub mount_workspace: bool,
}

impl Default for DockerConfig {
    fn default() -> Self {
        Self {
            image: "alpine:3.20".to_owned(),
            network: "none".to_owned(),
            memory_limit_mb: 512,
            cpu_limit: 1.0,
            read_only_rootfs: true,
            mount_workspace: true,
        }
    }
}
