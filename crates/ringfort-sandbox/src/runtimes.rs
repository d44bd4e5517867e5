// SPDX-License-Identifier: MIT OR Apache-2.0
//! The implementations of a cage, one file each.
//!
//! In: a profile and what to start. Out: a running, confined program.
//!
//! **Invariant:** each passes the same escape suite, and none stands in for another: what was asked for is what starts,
//! or nothing does.

use std::collections::BTreeSet;

use ringfort_core::obligation::Promise;

use crate::launch::{LaunchError, Spawn};
use crate::profile::Profile;

mod bubblewrap;
mod docker;
pub(crate) mod native;
mod podman;

/// One implementation of a cage.
pub(crate) struct Runtime {
    /// Its name in profiles and records.
    pub(crate) name: &'static str,
    /// Starts a program under a profile, with the promises that must hold.
    pub(crate) start: fn(&Profile, &BTreeSet<Promise>, &Spawn) -> Result<native::Started, LaunchError>,
}

/// Every runtime; the first is the one that needs nothing installed.
pub(crate) static RUNTIMES: &[Runtime] = &[native::ENTRY, bubblewrap::ENTRY, docker::ENTRY, podman::ENTRY];

/// What a runtime has made outside the cage and takes away after its end.
pub(crate) struct Leftover(Box<dyn FnOnce() + Send>);

impl Leftover {
    pub(crate) fn new(remove: impl FnOnce() + Send + 'static) -> Self {
        Self(Box::new(remove))
    }

    /// Takes it away. What cannot be taken away now is found at the next start.
    pub(crate) fn remove(self) {
        (self.0)();
    }
}

impl std::fmt::Debug for Leftover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Leftover")
    }
}

/// The runtime called `name`.
///
/// # Errors
///
/// There is none; nothing has run.
pub(crate) fn select(name: &str) -> Result<&'static Runtime, LaunchError> {
    RUNTIMES
        .iter()
        .find(|runtime| runtime.name == name)
        .ok_or_else(|| LaunchError::Unavailable { reason: format!("there is no sandbox runtime `{name}`") })
}
