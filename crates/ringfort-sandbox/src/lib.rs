// SPDX-License-Identifier: MIT OR Apache-2.0
//! Isolates: starts a program inside a cage and says what the kernel really enforced.
//!
//! In: a permit, a [`profile::Profile`] (what the program may see) and a [`launch::Spawn`] (what is started, with which
//! descriptors). Out: a [`launch::Cage`] to wait for, signal and kill, with an [`achieved::Achieved`] that was probed
//! from inside the child after its confinement and before its program.
//!
//! **Invariant:** the program's first instruction runs only after every required promise was seen to hold; when that
//! cannot be, nothing has run. Unsafe code lives in the module `syscall` and nowhere else.
//! This crate decides nothing: which paths and promises a request needs is the runtime's business.

pub mod achieved;
mod client;
mod container;
pub mod cow;
pub mod footprint;
pub mod group;
pub mod guest;
pub mod inherit;
pub mod launch;
pub mod orphans;
pub mod probe;
pub mod profile;
mod runtimes;
pub mod schedule;
pub mod startup;
pub mod stub;
#[expect(unsafe_code, reason = "the one place of this crate where system calls are made by hand")]
mod syscall;
