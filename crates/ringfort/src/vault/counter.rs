// SPDX-License-Identifier: MIT OR Apache-2.0
//! The counter of the TPM that follows the store: it knows the newest generation where no restored disk takes it back.
//!
//! In: `secrets.tpm2_counter`, and what the store's header names. Out: how the store has to be opened; what is to be told.
//!
//! **Invariant:** a store that names a counter is opened with that counter or not at all, whatever the configuration says; one
//! that names none is not opened where the configuration asks for one. Only `restore` changes either.

use std::sync::Arc;

use ringfort_ops::checks::CounterSeen;
use ringfort_secrets::backend::PROBE_TIMEOUT;
use ringfort_secrets::backend::tpm2::{TpmAnchor, TpmOptions, usable};
use ringfort_secrets::root::{RootKeyError, SlotData};
use ringfort_secrets::store::anchor::Anchor;
use ringfort_secrets::store::{Header, Options, Vault};

use super::{Opener, Which};
use crate::commands::Failure;

/// What there is to do about a counter.
const TAKE_BACK: &str = "nothing was changed; if this is the newest state that you know of, `ringfort secrets restore` takes \
                         it as it is, with a counter of its own";

impl Opener<'_> {
    /// Whether a counter is to follow the store. Only that of the secrets has one.
    fn counts(&self) -> bool {
        self.which == Which::Secrets && self.config.tpm2_counter
    }

    /// How the store of `header` is opened: with the counter that it names.
    ///
    /// # Errors
    ///
    /// It names none and should, or something that is none.
    pub(crate) fn options(&self, header: &Header) -> Result<Options, Failure> {
        match &header.anchor {
            Some(kept) => Ok(Options { anchor: Some(Arc::new(self.counter(kept)?)), ..Options::default() }),
            None if self.counts() => {
                let error = anyhow::anyhow!(
                    "no counter of the TPM follows this store, and `secrets.tpm2_counter` says that one does: it is from \
                     before, or an older one was put back"
                );
                Err(Failure::guard(error).help(TAKE_BACK))
            }
            None => Ok(Options::default()),
        }
    }

    fn counter(&self, kept: &SlotData) -> Result<TpmAnchor, Failure> {
        TpmAnchor::named(self.tpm(), kept).map_err(|error| {
            let error = anyhow::Error::from(error).context("the counter that the store names cannot be asked");
            Failure::guard(error).help(TAKE_BACK)
        })
    }

    /// Fails where a counter is wanted and the TPM cannot be used, before anything is made.
    ///
    /// # Errors
    ///
    /// It cannot.
    pub(super) fn can_count(&self) -> Result<(), Failure> {
        if !self.counts() {
            return Ok(());
        }
        usable(&self.tpm()).map(drop).map_err(|error| {
            let error = anyhow::Error::from(error).context("a counter of the TPM is to follow the store");
            Failure::guard(error)
                .help("nothing was changed; see `ringfort doctor`, or take `secrets.tpm2_counter` back")
        })
    }

    /// Lets a new counter follow the store, where one is wanted and none does.
    ///
    /// # Errors
    ///
    /// None does; the store stands.
    pub(crate) fn count(&self, vault: &mut Vault) -> Result<(), Failure> {
        if !self.counts() || vault.header().anchor.is_some() {
            return Ok(());
        }
        let make = |store, generation| match TpmAnchor::create(self.tpm(), store, generation) {
            Ok(anchor) => Ok(Arc::new(anchor) as Arc<dyn Anchor>),
            Err(error) => Err(RootKeyError::from(error).to_string()),
        };
        vault.follow(&make).map_err(|error| self.unusable(error))
    }

    /// How a store that a person takes back is opened: with its counter, if that still answers and is wanted, so that it goes
    /// on counting; else without one.
    ///
    /// # Errors
    ///
    /// A counter is wanted and the TPM cannot be used. Nothing was changed.
    pub(crate) fn taking_back(&self, header: &Header) -> Result<Options, Failure> {
        self.can_count()?;
        let wanted = header.anchor.as_ref().filter(|_| self.counts());
        let anchor = wanted.and_then(|kept| TpmAnchor::named(self.tpm(), kept).ok());
        let anchor = anchor.filter(|anchor| anchor.latest(&header.store).is_ok());
        Ok(Options { anchor: anchor.map(|anchor| Arc::new(anchor) as Arc<dyn Anchor>), ..Options::default() })
    }

    /// After a store was taken back: gives it a new counter where it is to have one, and removes the one that it had where
    /// it is to have none.
    ///
    /// # Errors
    ///
    /// It has no counter; it was taken back all the same.
    pub(crate) fn taken_back(&self, vault: &mut Vault, before: &Header) -> Result<(), Failure> {
        if let (false, Some(kept)) = (self.counts(), &before.anchor)
            && let Ok(anchor) = TpmAnchor::named(self.tpm(), kept)
        {
            // One that is out of reach stays, and no store names it any more.
            anchor.forget().unwrap_or_default();
        }
        self.count(vault)
    }

    /// What there is to tell of the counter; `None` where none follows the store and none is wanted.
    pub(crate) fn counter_seen(&self, header: Option<&Header>) -> Option<CounterSeen> {
        let header = header?;
        let Some(kept) = &header.anchor else { return self.counts().then_some(CounterSeen::Missing) };
        let options = TpmOptions { timeout: PROBE_TIMEOUT, ..self.tpm() };
        let latest = TpmAnchor::named(options, kept).map_err(|error| error.to_string());
        Some(match latest.and_then(|anchor| anchor.latest(&header.store)) {
            Ok(Some(latest)) if latest > header.generation => CounterSeen::Older { found: header.generation, latest },
            Ok(_) => CounterSeen::Follows { generation: header.generation, wanted: self.counts() },
            Err(message) => CounterSeen::Silent { message },
        })
    }
}
