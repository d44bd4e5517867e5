// SPDX-License-Identifier: MIT OR Apache-2.0
//! A cage whose view somebody else has made: the same keeper, probes, Landlock and filter inside it.
//!
//! In, outside: a profile, what the view looks like, a connected socket to the process inside. Out: what was achieved
//! and the channel of its keeper. In, inside: one message with a [`brief::Brief`] and the descriptors.
//!
//! **Invariant:** the program's first instruction runs only after every required promise was seen to hold from inside.
//! Words, variables and descriptors of the program go over the socket, so the engine that made the view sees none.

mod brief;
mod inside;
mod items;
mod outside;

pub(crate) use self::brief::{Brief, Place, floor};
pub(crate) use self::inside::{EXIT_UNUSABLE, enter};
pub(crate) use self::items::{Item, depict};
pub(crate) use self::outside::hand_over;
pub(crate) use super::door::Rights;
pub(crate) use super::limits::resolve as resolve_limits;
use super::{ProfileError, prepare};
use crate::launch::LaunchError;
use crate::profile::Profile;

/// Refuses profiles that would not mean what they say.
pub(crate) fn check(profile: &Profile) -> Result<(), ProfileError> {
    prepare::check(profile)
}

/// The error of a system call that was made for `what`.
pub(crate) fn os(what: &'static str) -> impl Fn(rustix::io::Errno) -> LaunchError {
    prepare::os(what)
}
