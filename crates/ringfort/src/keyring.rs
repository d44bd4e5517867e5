// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keys of this machine, wired to the record.
//!
//! In: the state folder, the trail, who asks. Out: a [`KeyRing`] whose every use is on the trail.
//!
//! **Invariant:** an intent to change keys is on the disk before the change; entries hold names, versions and digests, and
//! never a key.

use std::path::Path;
use std::sync::Arc;

use ringfort_audit::{Durability, Trail};
use ringfort_core::clock::Clock;
use ringfort_core::entry::Entry;
use ringfort_core::principal::Principal;
use ringfort_secrets::backend::tpm2::{TpmKeys, TpmOptions};
use ringfort_secrets::keys::KeyProvider;
use ringfort_secrets::keys::audit::{AuditError, Cause, KeyAudit, Operation, Stage};
use ringfort_secrets::keys::place::Place;
use ringfort_secrets::keys::ring::KeyRing;
use ringfort_secrets::keys::shelf::VaultShelf;
use ringfort_secrets::keys::software::SoftwareKeys;
use ringfort_secrets::store::StoreError;

/// Tells the trail what is done with keys.
pub(crate) struct TrailAudit {
    pub(crate) trail: Arc<Trail>,
    pub(crate) principal: Principal,
}

impl KeyAudit for TrailAudit {
    fn record(&self, operation: &Operation, stage: Stage<'_>) -> Result<(), AuditError> {
        let result = match stage {
            Stage::Intent => "intent",
            Stage::Done => "done",
            Stage::Failed(_) => "failed",
        };
        let action = format!("key `{}`, version {}", operation.key, operation.version);
        let entry = Entry::event(operation.what.name());
        let mut entry = Entry { principal: Some(self.principal.clone()), action: Some(action), ..entry }
            .fact("key", operation.key.as_str())
            .fact("version", operation.version)
            .fact("kind", operation.kind.name())
            .fact("provider", operation.provider.as_str())
            .fact("result", result);
        if operation.cause == Cause::Schedule {
            entry = entry.fact("by", "schedule");
        }
        if let Some(digest) = &operation.digest {
            entry = entry.fact("sha256", digest.as_str());
        }
        if let Stage::Failed(why) = stage {
            entry = entry.fact("why", why);
        }
        let durability = if operation.what.changes() { Durability::Synced } else { Durability::Written };
        let recorded = self.trail.append(&entry, durability);
        recorded.map(drop).map_err(|error| AuditError { message: error.to_string() })
    }
}

/// What a ring does where there are no keys yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It makes their store.
    Make,
    /// There is no ring.
    Leave,
}

/// The ring over the keys below `state`, in software and in a TPM, which is asked for its own keys only; `None`
/// where there are none and none are to be made.
///
/// # Errors
///
/// The store of the keys cannot be used.
pub(crate) fn open(
    state: &Path,
    audit: Arc<dyn KeyAudit>,
    clock: &Arc<dyn Clock>,
    missing: Missing,
    tpm: TpmOptions,
) -> Result<Option<KeyRing>, StoreError> {
    let place = Place::below(state);
    let vault = match missing {
        Missing::Make => Some(place.open_or_make(clock.as_ref())?),
        Missing::Leave => place.open()?,
    };
    let providers: Vec<Arc<dyn KeyProvider>> = vec![Arc::new(SoftwareKeys), Arc::new(TpmKeys::new(tpm))];
    Ok(vault.map(|vault| {
        KeyRing::new(Box::new(VaultShelf::new(vault, Arc::clone(clock))), providers, audit, Arc::clone(clock))
    }))
}
