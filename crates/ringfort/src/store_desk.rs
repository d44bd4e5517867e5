// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `ringfort secrets` and `ringfort keys` do with their stores in the same way: ways in, restoring, a new store key.
//!
//! In: which of the two stores, a person's choice. Out: the store as it is afterwards.
//!
//! **Invariant:** what changes a store is on the record first, and what cannot be recorded does not happen.

pub(crate) mod rekey;
pub(crate) mod restore;
pub(crate) mod slots;

use ringfort_audit::{Durability, Trail};
use ringfort_core::entry::Entry;
use ringfort_core::principal::Principal;
use ringfort_runtime::supervisor::Signals;
use ringfort_secrets::store::StoreError;
use serde_json::Value;

use crate::commands::Failure;
use crate::vault::Opener;

/// What a command on one of the stores works with.
pub(crate) struct StoreDesk<'a> {
    pub(crate) opener: Opener<'a>,
    pub(crate) trail: &'a Trail,
    pub(crate) person: &'a Principal,
    pub(crate) signals: &'a Signals,
    pub(crate) json: bool,
}

/// Puts an event on the record: what cannot be recorded does not happen.
pub(crate) fn record(trail: &Trail, person: &Principal, event: Entry, facts: &[(&str, Value)]) -> Result<(), Failure> {
    let mut entry = Entry { principal: Some(person.clone()), ..event };
    for (name, value) in facts {
        entry = entry.fact(name, value.clone());
    }
    trail.append(&entry, Durability::Synced).map(drop).map_err(|error| {
        let failure = Failure::guard(anyhow::Error::from(error).context("it cannot be recorded, so nothing was done"));
        failure.help("see `ringfort trail verify`, and the space left on the state folder")
    })
}

impl StoreDesk<'_> {
    /// Puts what is about to be done to the store on the record.
    fn record(&self, act: &str, facts: &[(&str, Value)]) -> Result<(), Failure> {
        let event = format!("{}.{act}", self.opener.which.command());
        record(self.trail, self.person, Entry::event(&event), facts)
    }

    /// Records that what was announced did not happen, and passes the failure on.
    fn failed(&self, act: &str, failure: Failure) -> Failure {
        let why = format!("{:#}", failure.error);
        // The failure itself is told; that it is not on the record as well adds nothing to do.
        drop(self.record(act, &[("result", "failed".into()), ("error", why.into())]));
        failure
    }

    fn not_done(&self, act: &str, error: StoreError) -> Failure {
        self.failed(act, self.opener.unusable(error))
    }

    /// A command line that does what `words` say here.
    fn line(&self, words: &str) -> String {
        format!("`ringfort {} {words}`", self.opener.which.command())
    }
}
