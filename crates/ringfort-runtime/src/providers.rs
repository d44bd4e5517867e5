// SPDX-License-Identifier: MIT OR Apache-2.0
//! The registry of security providers, and how a session selects one.
//!
//! In: a name from the configuration. Out: the provider to be asked beside `native`, or an error that stops the
//! agent from starting.
//!
//! **Invariant:** this is the only list of providers; every surface enumerates it. An unknown or unavailable provider
//! is an error, never a fall-back.

pub mod native;
pub mod worker;

use std::sync::Arc;

use ringfort_core::provider::{Availability, SecurityProvider};
use ringfort_policy::config::Config;
use ringfort_policy::rule::Policy;

/// One entry of the registry.
#[derive(Clone, Copy)]
pub struct ProviderEntry {
    /// Its name in configuration, lists and the trail.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Builds it over the policies of a session, outermost first.
    pub build: fn(Arc<[Policy]>) -> Arc<dyn SecurityProvider>,
}

/// Every provider, in the order in which they are listed.
pub static PROVIDERS: &[ProviderEntry] = &[native::ENTRY];

/// Why a provider could not be selected. The session does not start.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SelectError {
    /// No provider has this name.
    #[error("unknown security provider `{name}`; known: {known}")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The provider cannot be asked here.
    #[error("security provider `{name}` is unavailable: {reason}")]
    Unavailable {
        /// Its name.
        name: &'static str,
        /// Why, and what to do.
        reason: String,
    },
}

/// The provider that the configuration selects for an agent, built and ready; `None` is whoever has no name there.
///
/// # Errors
///
/// [`SelectError`]: nothing was built, and the agent must not start.
pub fn select_for(
    registry: &[ProviderEntry],
    config: &Config,
    agent: Option<&str>,
    chain: &Arc<[Policy]>,
) -> Result<Arc<dyn SecurityProvider>, SelectError> {
    select(registry, config.provider_for(agent), chain)
}

/// The provider called `name`, built and ready.
///
/// # Errors
///
/// [`SelectError`]: nothing was built, and the session must not start.
pub fn select(
    registry: &[ProviderEntry],
    name: &str,
    chain: &Arc<[Policy]>,
) -> Result<Arc<dyn SecurityProvider>, SelectError> {
    let Some(entry) = registry.iter().find(|entry| entry.name == name) else {
        let known = registry.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ");
        return Err(SelectError::Unknown { name: name.to_owned(), known });
    };
    let provider = (entry.build)(Arc::clone(chain));
    match provider.availability() {
        Availability::Ready => Ok(provider),
        Availability::Unavailable { reason } => Err(SelectError::Unavailable { name: entry.name, reason }),
    }
}
