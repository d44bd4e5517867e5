// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an effect must respect: isolation, redaction, limits, approval.
//!
//! In: the obligations of several rulings. Out: their union, with profiles intersected, limits at their smallest and
//! the strongest approval channel.
//!
//! **Invariant:** [`Obligations::merge`] is commutative, associative, idempotent and monotone: the result demands
//! everything that each side demands. An obligation that a door does not know is a denial at that door.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What a cage may promise. Each is probed from inside before it counts as kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Promise {
    /// Nothing outside the workspace and the private folders is written.
    ConfineWrites,
    /// Nothing outside the workspace, the system and the toolchains is read.
    ConfineReads,
    /// Start-up files inside the workspace cannot be changed, replaced or renamed.
    ProtectStartup,
    /// No network is reachable; where the cage has a door, what the door lets through and nothing else.
    NoNetwork,
    /// Processes outside are neither seen nor signalled nor traced.
    ConfineProcesses,
    /// Dangerous system calls are refused.
    ConfineSyscalls,
    /// No right is gained, none is kept.
    NoPrivilege,
    /// Everything that was started is gone at the end.
    KillAll,
}

impl Promise {
    /// Every promise, in order.
    pub const ALL: [Self; 8] = [
        Self::ConfineWrites,
        Self::ConfineReads,
        Self::ProtectStartup,
        Self::NoNetwork,
        Self::ConfineProcesses,
        Self::ConfineSyscalls,
        Self::NoPrivilege,
        Self::KillAll,
    ];

    /// The word used in JSON and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfineWrites => "confine-writes",
            Self::ConfineReads => "confine-reads",
            Self::ProtectStartup => "protect-startup",
            Self::NoNetwork => "no-network",
            Self::ConfineProcesses => "confine-processes",
            Self::ConfineSyscalls => "confine-syscalls",
            Self::NoPrivilege => "no-privilege",
            Self::KillAll => "kill-all",
        }
    }
}

/// Who must say yes where a ruling asks, ordered by strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ApprovalChannel {
    /// Any person at any door that can ask.
    Person,
    /// A person at a terminal or device that no governed process can open.
    Trusted,
    /// Two people with two credentials.
    TwoPersons,
}

/// Bounds on what an effect may use; `None` is no bound of this policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitObligation {
    /// Longest run, in milliseconds.
    pub wall_ms_max: Option<u64>,
    /// Most processor time of one process, in milliseconds.
    pub cpu_ms_max: Option<u64>,
    /// Most memory of everything together, in bytes; where no control group holds it, address space of one process.
    pub memory_bytes_max: Option<u64>,
    /// Most processes and threads at once.
    pub processes_max: Option<u64>,
    /// Most bytes of output that are passed on.
    pub output_bytes_max: Option<u64>,
    /// Largest file that may be written, in bytes.
    pub file_bytes_max: Option<u64>,
    /// Most processor time of everything together, in percent of one processor.
    pub cpu_percent_max: Option<u64>,
}

impl LimitObligation {
    fn merge(self, other: Self) -> Self {
        Self {
            wall_ms_max: smallest(self.wall_ms_max, other.wall_ms_max),
            cpu_ms_max: smallest(self.cpu_ms_max, other.cpu_ms_max),
            memory_bytes_max: smallest(self.memory_bytes_max, other.memory_bytes_max),
            processes_max: smallest(self.processes_max, other.processes_max),
            output_bytes_max: smallest(self.output_bytes_max, other.output_bytes_max),
            file_bytes_max: smallest(self.file_bytes_max, other.file_bytes_max),
            cpu_percent_max: smallest(self.cpu_percent_max, other.cpu_percent_max),
        }
    }

    /// Whether nothing is bounded.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn smallest(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// Everything that an effect must respect. The default demands nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Obligations {
    /// Only inside a cage that keeps these promises; `None` where no cage is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolate: Option<BTreeSet<Promise>>,
    /// What leaves is redacted first.
    #[serde(skip_serializing_if = "is_not_demanded")]
    pub redact: Demand,
    /// Bounds on what it may use.
    #[serde(skip_serializing_if = "LimitObligation::is_empty")]
    pub limits: LimitObligation,
    /// Sandbox profiles that may be used; `None` is any. An empty set is a denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profiles: Option<BTreeSet<String>>,
    /// Who must say yes, where a person is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalChannel>,
    /// Obligations of a provider that this version does not know: every door denies them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub unknown: BTreeSet<String>,
}

/// Whether something is demanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// It is not.
    #[default]
    NotDemanded,
    /// It is.
    Demanded,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_not_demanded(demand: &Demand) -> bool {
    *demand == Demand::NotDemanded
}

impl Obligations {
    /// Demands what either side demands.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            isolate: match (self.isolate, other.isolate) {
                (Some(a), Some(b)) => Some(a.union(&b).copied().collect()),
                (one, other) => one.or(other),
            },
            redact: self.redact.max(other.redact),
            limits: self.limits.merge(other.limits),
            profiles: match (self.profiles, other.profiles) {
                (Some(a), Some(b)) => Some(a.intersection(&b).cloned().collect()),
                (one, other) => one.or(other),
            },
            approval: self.approval.max(other.approval),
            unknown: self.unknown.union(&other.unknown).cloned().collect(),
        }
    }

    /// Whether no profile is left that every policy accepts.
    pub fn is_unsatisfiable(&self) -> bool {
        self.profiles.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// Whether the effect must happen inside a cage.
    pub fn is_isolated(&self) -> bool {
        self.isolate.is_some()
    }

    /// The words used in JSON: one for each kind of obligation.
    pub fn to_words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(promises) = &self.isolate {
            words.push("isolate".to_owned());
            words.extend(promises.iter().map(|promise| format!("isolate:{}", promise.as_str())));
        }
        if self.redact == Demand::Demanded {
            words.push("redact".to_owned());
        }
        if !self.limits.is_empty() {
            words.push("limits".to_owned());
        }
        if let Some(profiles) = &self.profiles {
            words.push(format!("profiles:{}", profiles.iter().map(String::as_str).collect::<Vec<_>>().join(",")));
        }
        match self.approval {
            Some(ApprovalChannel::Person) => words.push("approval:person".to_owned()),
            Some(ApprovalChannel::Trusted) => words.push("approval:trusted".to_owned()),
            Some(ApprovalChannel::TwoPersons) => words.push("approval:two-persons".to_owned()),
            None => {}
        }
        words.extend(self.unknown.iter().map(|name| format!("unknown:{name}")));
        words
    }
}
