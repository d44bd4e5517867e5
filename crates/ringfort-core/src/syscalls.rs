// SPDX-License-Identifier: MIT OR Apache-2.0
//! The groups of system calls that a caged program may use, by name.
//!
//! In: nothing. Out: [`SyscallGroup`], which a policy names, and [`SyscallGroups`], a set of them.
//!
//! **Invariant:** a set starts as the usual one; a group outside it has to be added by name. Which calls a group holds
//! is known to the sandbox alone.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A group of system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SyscallGroup {
    /// Reading and writing what is open, descriptors, pipes.
    BasicIo,
    /// Files and folders by name, their attributes.
    Files,
    /// Waiting for something to happen.
    Events,
    /// Memory of one's own.
    Memory,
    /// Starting, ending and describing processes.
    Processes,
    /// Locks between threads.
    Sync,
    /// Signals.
    Signals,
    /// Clocks and timers.
    Timers,
    /// Users and groups of the process; none of these gains a right here.
    Identity,
    /// Priorities and processors.
    Scheduling,
    /// Queues, semaphores and memory shared by key.
    Ipc,
    /// Sockets.
    Network,
    /// The kernel's own interface for asynchronous file access.
    Aio,
    /// Further restrictions that a program puts on itself.
    Confinement,
    /// Tracing of processes inside the cage, their memory. Not among the usual ones.
    Debug,
}

impl SyscallGroup {
    /// Every group, in order.
    pub const ALL: [Self; 15] = [
        Self::BasicIo,
        Self::Files,
        Self::Events,
        Self::Memory,
        Self::Processes,
        Self::Sync,
        Self::Signals,
        Self::Timers,
        Self::Identity,
        Self::Scheduling,
        Self::Ipc,
        Self::Network,
        Self::Aio,
        Self::Confinement,
        Self::Debug,
    ];

    /// The word used in JSON and settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BasicIo => "basic-io",
            Self::Files => "files",
            Self::Events => "events",
            Self::Memory => "memory",
            Self::Processes => "processes",
            Self::Sync => "sync",
            Self::Signals => "signals",
            Self::Timers => "timers",
            Self::Identity => "identity",
            Self::Scheduling => "scheduling",
            Self::Ipc => "ipc",
            Self::Network => "network",
            Self::Aio => "aio",
            Self::Confinement => "confinement",
            Self::Debug => "debug",
        }
    }

    /// Whether a program can start without it.
    pub const fn is_optional(self) -> bool {
        matches!(self, Self::Scheduling | Self::Ipc | Self::Network | Self::Aio | Self::Confinement | Self::Debug)
    }
}

/// The groups that a program may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct SyscallGroups(BTreeSet<SyscallGroup>);

impl Default for SyscallGroups {
    /// The usual ones: everything but [`SyscallGroup::Debug`].
    fn default() -> Self {
        Self(SyscallGroup::ALL.into_iter().filter(|group| *group != SyscallGroup::Debug).collect())
    }
}

impl SyscallGroups {
    /// Whether `group` may be used.
    pub fn contains(&self, group: SyscallGroup) -> bool {
        self.0.contains(&group)
    }

    /// The same without `group`; one that no program can start without stays.
    #[must_use]
    pub fn without(mut self, group: SyscallGroup) -> Self {
        if group.is_optional() {
            self.0.remove(&group);
        }
        self
    }

    /// The same and tracing inside the cage, for debuggers.
    #[must_use]
    pub fn with_debug(mut self) -> Self {
        self.0.insert(SyscallGroup::Debug);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_settings() {
        for group in SyscallGroup::ALL {
            assert_eq!(serde_json::to_value(group).unwrap(), group.as_str());
        }
    }

    #[test]
    fn deny_debugging_unless_it_is_added() {
        let usual = SyscallGroups::default();
        assert!(!usual.contains(SyscallGroup::Debug));
        assert!(usual.clone().with_debug().contains(SyscallGroup::Debug));
        assert!(!usual.clone().with_debug().without(SyscallGroup::Debug).contains(SyscallGroup::Debug));
        assert!(!usual.clone().without(SyscallGroup::Network).contains(SyscallGroup::Network));
        assert_eq!(usual.clone().without(SyscallGroup::BasicIo), usual);
    }
}
