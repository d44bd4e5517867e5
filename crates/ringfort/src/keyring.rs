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
use ringfort_policy::config::SecretsConfig;
use ringfort_secrets::keys::KeyProvider;
use ringfort_secrets::keys::audit::{AuditError, Cause, KeyAudit, Operation, Stage};
use ringfort_secrets::keys::place::Place;
use ringfort_secrets::keys::ring::KeyRing;
use ringfort_secrets::keys::shelf::VaultShelf;
use ringfort_secrets::keys::software::SoftwareKeys;
use ringfort_secrets::root::RootKeySource;
use ringfort_secrets::store::StoreError;

use crate::vault::sources::TPM2;

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

/// What a ring is made of.
pub(crate) struct Parts<'a> {
    /// The state folder.
    pub(crate) state: &'a Path,
    pub(crate) config: &'a SecretsConfig,
    /// What may open their store besides its key file, without a person.
    pub(crate) sources: Vec<Box<dyn RootKeySource>>,
    pub(crate) audit: Arc<dyn KeyAudit>,
    pub(crate) clock: &'a Arc<dyn Clock>,
    /// Where keys are besides in this process.
    pub(crate) device: Option<Arc<dyn KeyProvider>>,
}

/// The ring over the keys below the state folder; `None` where there are none and none are to be made.
///
/// # Errors
///
/// The store of the keys cannot be used.
pub(crate) fn open(parts: Parts<'_>, missing: Missing) -> Result<Option<KeyRing>, StoreError> {
    let Parts { state, config, sources, audit, clock, device } = parts;
    // New keys go where the configuration says; what is there stays where it is.
    let wants_tpm = config.backend.trim().eq_ignore_ascii_case(TPM2);
    let place = sources.into_iter().fold(Place::below(state), |place, source| match source.name() {
        TPM2 if wants_tpm => place.prefer(source),
        _ => place.or(source),
    });
    let vault = match missing {
        Missing::Make => Some(place.open_or_make(clock.as_ref())?),
        Missing::Leave => place.open()?,
    };
    let mut providers: Vec<Arc<dyn KeyProvider>> = vec![Arc::new(SoftwareKeys)];
    providers.extend(device);
    Ok(vault.map(|vault| {
        KeyRing::new(Box::new(VaultShelf::new(vault, Arc::clone(clock))), providers, audit, Arc::clone(clock))
    }))
}
