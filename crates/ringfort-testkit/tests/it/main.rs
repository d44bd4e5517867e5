// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shared suites and fakes, applied to what we ship.
//!
//! In: the registry of providers, the pipeline, the fickle provider. Out: what the runtime keeps whatever a provider
//! does.

#[cfg(test)]
mod desk;
#[cfg(test)]
mod escape;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod native;
#[cfg(test)]
mod pipeline;
#[cfg(test)]
mod seams;
#[cfg(test)]
mod stage;
