// SPDX-License-Identifier: MIT OR Apache-2.0
//! A signal: something that may become an incident. A response: the containment that answers it.
//!
//! In: a denial, a finding, a broken measurement, a faulty provider. Out: what to contain.
//!
//! **Invariant:** responses merge by union ([`Response::merge`]): a provider adds containment, it never removes any.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::decision::Risk;
use crate::digest::Digest;
use crate::principal::Principal;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SignalKind {
    /// A request was denied.
    Denial,
    /// A detector found something.
    Finding,
    /// A measurement could not be taken or does not match.
    Measurement,
    /// A provider failed.
    ProviderFault,
    /// A start-up file was changed inside the cage.
    StartupFile,
}

/// Something that may become an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// What happened.
    pub kind: SignalKind,
    /// How bad it is.
    pub severity: Risk,
    /// Who caused it, where that is known.
    pub principal: Option<Principal>,
    /// The request it belongs to.
    pub request: Option<Digest>,
    /// A plain sentence.
    pub message: String,
}

/// A step that contains an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Containment {
    /// Deny everything of this principal until released.
    FreezePrincipal,
    /// Deny everything until released.
    FreezeAll,
    /// End the session.
    EndSession,
}

/// The answer to a signal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// What is contained.
    pub contain: BTreeSet<Containment>,
}

impl Response {
    /// Everything that either side contains.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.contain.extend(other.contain);
        self
    }
}
