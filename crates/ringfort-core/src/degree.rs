// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much isolation a cage has, and what each degree stands for.
//!
//! In: nothing. Out: [`Degree`], and for each the promises that hold and what does not.
//!
//! **Invariant:** a weaker degree promises nothing that a stronger one does not. The documents and the doctor take their
//! words from here, and a test compares them. What a cage really achieved is probed and told by the sandbox.

use serde::{Deserialize, Serialize};

use crate::obligation::Promise;

/// How much isolation a cage has, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Degree {
    /// Namespaces of its own, a user namespace among them, Landlock with scopes, seccomp, limits.
    Full,
    /// Namespaces, but no user namespace (root's own rights made them), or Landlock is missing or too old to keep
    /// signals inside.
    Reduced,
    /// No namespaces: Landlock, seccomp, limits.
    Minimal,
}

/// What holds in [`Degree::Minimal`] where the kernel has Landlock with scopes.
const WITHOUT_NAMESPACES: [Promise; 6] = [
    Promise::ConfineWrites,
    Promise::ConfineReads,
    Promise::NoNetwork,
    Promise::ConfineSyscalls,
    Promise::NoPrivilege,
    Promise::KillAll,
];

impl Degree {
    /// Every degree, strongest first.
    pub const ALL: [Self; 3] = [Self::Full, Self::Reduced, Self::Minimal];

    /// The word used in JSON, settings and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Reduced => "reduced",
            Self::Minimal => "minimal",
        }
    }

    /// The degree of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|degree| degree.as_str() == word)
    }

    /// Whether this is at least as strong as `floor`.
    pub fn reaches(self, floor: Self) -> bool {
        self <= floor
    }

    /// What it is made of, for the documents.
    pub const fn means(self) -> &'static str {
        match self {
            Self::Full => {
                "user, mount, process, network, IPC, host-name and cgroup namespaces, Landlock, seccomp, limits"
            }
            Self::Reduced => {
                "the same without a user namespace (as root), or with a Landlock that is missing or too old to keep \
                 signals inside"
            }
            Self::Minimal => "Landlock, seccomp and limits",
        }
    }

    /// The promises that hold.
    pub const fn promises(self) -> &'static [Promise] {
        match self {
            Self::Full | Self::Reduced => &Promise::ALL,
            Self::Minimal => &WITHOUT_NAMESPACES,
        }
    }

    /// What does not hold, or holds by something weaker.
    pub const fn reservations(self) -> &'static [&'static str] {
        match self {
            Self::Full => &["a root caller sees read-only mounts: root without capabilities still opens root's files"],
            Self::Reduced => &[
                "a root caller is not remapped and sees read-only mounts: root without capabilities still opens root's \
                 files",
                "without Landlock the view of the file system is kept by the mounts alone",
            ],
            Self::Minimal => &[
                "files inside a granted folder cannot be protected",
                "metadata outside stays visible",
                "UDP and path sockets are closed by seccomp alone, which with a door hands each connection to the supervisor",
                "a killed supervisor's children are swept at the next start",
            ],
        }
    }

    /// The weakest degree in which `promise` holds.
    pub fn weakest_with(promise: Promise) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|degree| degree.promises().contains(&promise))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_more_promises_to_a_weaker_degree() {
        for (stronger, weaker) in Degree::ALL.iter().zip(Degree::ALL.iter().skip(1)) {
            assert!(stronger.reaches(*weaker) && !weaker.reaches(*stronger), "{stronger:?} {weaker:?}");
            assert!(weaker.promises().iter().all(|promise| stronger.promises().contains(promise)), "{weaker:?}");
        }
        assert_eq!(Degree::weakest_with(Promise::ProtectStartup), Some(Degree::Reduced));
        assert_eq!(Degree::weakest_with(Promise::KillAll), Some(Degree::Minimal));
    }

    #[test]
    fn words_are_read_back() {
        for degree in Degree::ALL {
            assert_eq!(Degree::parse(degree.as_str()), Some(degree));
            assert_eq!(serde_json::to_value(degree).unwrap(), degree.as_str());
        }
        for word in ["", "Full", "none", "auto"] {
            assert_eq!(Degree::parse(word), None, "{word}");
        }
    }
}
