// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a cage really enforces, as seen from inside it.
//!
//! In: the report that the child sent after its confinement and before its program. Out: [`Achieved`], for receipts,
//! the trail and `doctor`.
//!
//! **Invariant:** a promise counts as held only when the child tried to break it and failed; "not tried" is "not
//! held". Nothing here is derived from what was asked for.

use std::collections::BTreeMap;

pub use ringfort_core::degree::Degree;
use ringfort_core::obligation::Promise;
use serde::Serialize;

/// Whether a promise is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Held {
    /// It is: an attempt to break it from inside failed.
    Yes,
    /// It is not, with the reason.
    No(String),
}

/// What holds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// The unified control groups: everything of the session together.
    CgroupV2,
    /// The old control groups: everything of the session together.
    CgroupV1,
    /// The container engine, seen to do so in the kernel's own words.
    Engine,
    /// A resource limit: of each process alone, or of all processes of the user.
    Rlimit,
}

impl Means {
    /// The word used in JSON and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CgroupV2 => "cgroup-v2",
            Self::CgroupV1 => "cgroup-v1",
            Self::Engine => "engine",
            Self::Rlimit => "rlimit",
        }
    }
}

/// A limit that was asked for, and what holds it. One that nothing holds is an error before anything runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HeldLimit {
    /// Its key under `[sandbox.limits]`.
    pub limit: &'static str,
    /// The bound, in the unit of the profile.
    pub bound: u64,
    /// What holds it.
    pub means: Means,
}

/// What a cage enforces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Achieved {
    /// The runtime that made the cage.
    pub runtime: &'static str,
    /// The digest of the image, for a container.
    pub image: Option<String>,
    /// How much isolation in one word.
    pub degree: Degree,
    /// The Landlock ABI whose rights are enforced; `None` without Landlock.
    pub landlock_abi: Option<u32>,
    /// The namespaces that the program has for itself.
    pub namespaces: Vec<&'static str>,
    /// Whether the system call filter was seen to refuse.
    pub seccomp: bool,
    /// Whether no right can be gained by executing something.
    pub no_new_privileges: bool,
    /// Whether all capability sets that could give a right are empty.
    pub capabilities_dropped: bool,
    /// Each promise of the vocabulary, kept or not.
    pub promises: BTreeMap<Promise, Held>,
    /// Each limit that was asked for, and what holds it.
    pub limits: Vec<HeldLimit>,
    /// What was asked for, is no promise, and could not be had.
    pub warnings: Vec<String>,
}

impl Achieved {
    /// Whether `promise` is kept. A promise that nobody probed is not.
    pub fn holds(&self, promise: Promise) -> bool {
        matches!(self.promises.get(&promise), Some(Held::Yes))
    }

    /// The promises that are kept, in order.
    pub fn held(&self) -> impl Iterator<Item = Promise> + '_ {
        self.promises.iter().filter(|(_, held)| **held == Held::Yes).map(|(promise, _)| *promise)
    }
}
