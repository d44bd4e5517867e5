// SPDX-License-Identifier: MIT OR Apache-2.0
//! Docker as a runtime.
//!
//! In: a checked profile, the promises that are required, what to start. Out: a container, see `crate::container`.
//!
//! **Invariant:** as that of `crate::container`; only what this client says differently stands here.

use std::collections::BTreeSet;

use ringfort_core::obligation::Promise;

use super::Runtime;
use super::native::Started;
use crate::container::{self, Flavour, Owner};
use crate::launch::{LaunchError, Spawn};
use crate::profile::Profile;

pub(super) const ENTRY: Runtime = Runtime { name: "docker", start };

static FLAVOUR: Flavour = Flavour {
    name: "docker",
    help: "`docker info` has to answer for this user; version 20.10 or later is needed",
    help_image: "`docker image ls` lists what is there; pull it yourself, or name another with `runtime.docker.image`",
    owner: Owner::Numbers,
    rootless: &[],
};

fn start(profile: &Profile, require: &BTreeSet<Promise>, spawn: &Spawn) -> Result<Started, LaunchError> {
    container::start(&FLAVOUR, profile, require, spawn)
}
