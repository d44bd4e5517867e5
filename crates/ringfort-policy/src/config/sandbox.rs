// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sections `[sandbox]`, `[redact]` and `[trail]`.

use std::collections::BTreeSet;

use ringfort_core::degree::Degree;
use ringfort_core::obligation::{LimitObligation, Promise};
use ringfort_core::syscalls::SyscallGroup;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The section `[sandbox]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxConfig {
    /// The promises that the cage must keep; a host that cannot keep one does not run the command.
    #[schemars(schema_with = "promises")]
    pub require: BTreeSet<Promise>,
    /// The weakest degree of isolation with which a command runs.
    #[schemars(schema_with = "degree")]
    pub degree_min: Degree,
    /// Bounds on what a command may use.
    pub limits: LimitsConfig,
    /// Paths that are not there inside the cage.
    pub hidden: Vec<String>,
    /// Folders below the home folder that are shown read-only inside the cage, besides the toolchains.
    pub home_read_only: Vec<String>,
    /// Whether each program that a command starts is ruled on before its first instruction, as `run --trace` does.
    pub trace: bool,
    /// Groups of system calls that a command does without.
    #[schemars(schema_with = "closed_groups")]
    pub syscalls_denied: BTreeSet<SyscallGroup>,
    /// Groups of system calls besides the usual ones: `debug`, for tracing and debuggers inside the cage.
    #[schemars(schema_with = "opened_groups")]
    pub syscalls_allowed: BTreeSet<SyscallGroup>,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            require: Promise::ALL.into(),
            degree_min: Degree::Minimal,
            limits: LimitsConfig::default(),
            hidden: Vec::new(),
            home_read_only: Vec::new(),
            trace: false,
            syscalls_denied: BTreeSet::new(),
            syscalls_allowed: BTreeSet::new(),
        }
    }
}

/// The schema of groups that a program can do without.
pub(crate) fn closed_groups(_: &mut SchemaGenerator) -> Schema {
    let optional = SyscallGroup::ALL.into_iter().filter(|group| group.is_optional());
    let words: Vec<&str> = optional.map(SyscallGroup::as_str).collect();
    json_schema!({ "type": "array", "uniqueItems": true, "items": { "type": "string", "enum": words } })
}

/// The schema of groups that are not among the usual ones.
fn opened_groups(_: &mut SchemaGenerator) -> Schema {
    let words = [SyscallGroup::Debug.as_str()];
    json_schema!({ "type": "array", "uniqueItems": true, "items": { "type": "string", "enum": words } })
}

/// The schema of a set of promises; the words are those of the core.
pub(crate) fn promises(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<&str> = Promise::ALL.iter().map(|promise| promise.as_str()).collect();
    json_schema!({ "type": "array", "uniqueItems": true, "items": { "type": "string", "enum": words } })
}

/// The schema of a degree; the words are those of the core.
pub(crate) fn degree(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Degree::ALL.map(Degree::as_str) })
}

/// The section `[sandbox.limits]`; an absent key is no bound. A bound that nothing on this host holds is an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Longest run, in seconds.
    pub wall_secs: Option<u64>,
    /// Most processor time of one process, in seconds.
    pub cpu_secs: Option<u64>,
    /// Most processor time of everything together, in percent of one processor. A control group has to hold it.
    pub cpu_percent: Option<u64>,
    /// Most memory of everything together, in MiB; address space of one process where no control group holds it.
    pub memory_mb: Option<u64>,
    /// Most processes and threads at once.
    pub processes: Option<u64>,
    /// Most output that is passed on, in MiB.
    pub output_mb: Option<u64>,
    /// Largest file that may be written, in MiB.
    pub file_mb: Option<u64>,
}

impl LimitsConfig {
    /// The same bounds in the units of the core.
    pub fn to_obligation(self) -> LimitObligation {
        let milliseconds = |seconds: u64| seconds.saturating_mul(1000);
        let bytes = |mebibytes: u64| mebibytes.saturating_mul(1 << 20);
        LimitObligation {
            wall_ms_max: self.wall_secs.map(milliseconds),
            cpu_ms_max: self.cpu_secs.map(milliseconds),
            memory_bytes_max: self.memory_mb.map(bytes),
            processes_max: self.processes,
            output_bytes_max: self.output_mb.map(bytes),
            file_bytes_max: self.file_mb.map(bytes),
            cpu_percent_max: self.cpu_percent,
        }
    }
}

/// The section `[redact]`. Captured output is always redacted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedactConfig {
    /// Whether output to an interactive terminal is redacted as well.
    pub terminal: bool,
}

/// The section `[trail]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrailConfig {
    /// When a verdict that no effect waits for reaches the disk; the intent of an effect is always there first.
    pub durability: Durability,
}

impl Default for TrailConfig {
    fn default() -> Self {
        Self { durability: Durability::Second }
    }
}

/// When a verdict reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Within a second.
    Second,
    /// Before the answer.
    Sync,
}
