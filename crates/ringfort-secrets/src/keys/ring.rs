// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ring of named keys: versions, rotation, schedules.
//!
//! In: names, messages. Out: signatures and MACs of the newest version, whether one holds and which version made it,
//! derived keys, public halves.
//!
//! **Invariant:** only the newest version signs, and never after its time: an overdue key is rotated first, under the
//! writer's lock, or it does not sign. Every operation is told to the audit before it happens. A key that a provider has
//! made is used once before it is kept. Old versions verify; of a key with public halves their private ones are
//! destroyed when the next one takes over.

mod error;
mod info;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringfort_core::clock::Clock;
use sha2::{Digest as _, Sha256};

use super::audit::{Cause, KeyAudit, Operation, Stage, What};
use super::record::{KeyName, Record, RecordError, VERSIONS_MAX, Version, VersionState};
use super::shelf::Shelf;
use super::sshsig::{self, Content, Parsed};
use super::{KeyError, KeyHandle, KeyKind, KeyProvider, software};
use crate::locked::Locked;

pub use error::RingError;
pub use info::{Derived, Due, KeyInfo, Listed, Old, Signature, Verified, VersionInfo, Wish};
use info::{due, info};

/// Shortest period of a rotation. [`VERSIONS_MAX`] versions are kept.
pub const ROTATE_EVERY_MIN: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest period of a rotation.
pub const ROTATE_EVERY_MAX: Duration = Duration::from_secs(3660 * 24 * 60 * 60);
/// What a new key signs to show that it is one.
const TRIAL: &[u8] = b"ringfort: a new key signs this once";

/// The named keys.
pub struct KeyRing {
    shelf: Mutex<Box<dyn Shelf>>,
    providers: Vec<Arc<dyn KeyProvider>>,
    audit: Arc<dyn KeyAudit>,
    clock: Arc<dyn Clock>,
}

impl KeyRing {
    /// A ring over `shelf`, with the providers that are configured.
    pub fn new(
        shelf: Box<dyn Shelf>,
        providers: Vec<Arc<dyn KeyProvider>>,
        audit: Arc<dyn KeyAudit>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { shelf: Mutex::new(shelf), providers, audit, clock }
    }

    /// Every key, by name.
    ///
    /// # Errors
    ///
    /// [`RingError::Shelf`].
    pub fn list(&self) -> Result<Vec<Listed>, RingError> {
        let mut shelf = self.shelf();
        let names = shelf.names().map_err(RingError::Shelf)?;
        let now = self.clock.now();
        let info = |name: KeyName| {
            let info = load(shelf.as_mut(), &name).map(|record| info(&record, now));
            Listed { name, info }
        };
        Ok(names.into_iter().map(info).collect())
    }

    /// What is known of one key.
    ///
    /// # Errors
    ///
    /// [`RingError`].
    pub fn info(&self, name: &KeyName) -> Result<KeyInfo, RingError> {
        Ok(info(&load(self.shelf().as_mut(), name)?, self.clock.now()))
    }

    /// Makes a key.
    ///
    /// # Errors
    ///
    /// [`RingError`]: there is no new key.
    pub fn generate(&self, name: &KeyName, wish: &Wish) -> Result<KeyInfo, RingError> {
        check_period(wish.rotate_every)?;
        self.provider(&wish.provider)?;
        let mut shelf = self.shelf();
        let _lock = shelf.lock().map_err(RingError::Shelf)?;
        if shelf.load(name).map_err(RingError::Shelf)?.is_some() {
            return Err(RingError::Exists { name: name.clone() });
        }
        let mut record = Record {
            name: name.clone(),
            kind: wish.kind,
            provider: wish.provider.clone(),
            rotate_every: wish.rotate_every,
            versions: Vec::new(),
        };
        let operation = operation(&record, What::Generate, 1, Cause::Asked);
        self.told(&operation, || {
            let version = self.make(&record, 1)?;
            self.put(shelf.as_mut(), &mut record, version)
        })?;
        Ok(info(&record, self.clock.now()))
    }

    /// Makes the next version of a key, which signs from now on.
    ///
    /// # Errors
    ///
    /// [`RingError`]; after [`RingError::Remains`] the new version signs.
    pub fn rotate(&self, name: &KeyName, old: Old) -> Result<KeyInfo, RingError> {
        let mut shelf = self.shelf();
        let _lock = shelf.lock().map_err(RingError::Shelf)?;
        let mut record = load(shelf.as_mut(), name)?;
        self.rotate_locked(shelf.as_mut(), &mut record, old, Cause::Asked)?;
        Ok(info(&record, self.clock.now()))
    }

    /// Changes how often a key is rotated.
    ///
    /// # Errors
    ///
    /// [`RingError`].
    pub fn schedule(&self, name: &KeyName, rotate_every: Option<Duration>) -> Result<KeyInfo, RingError> {
        check_period(rotate_every)?;
        let mut shelf = self.shelf();
        let _lock = shelf.lock().map_err(RingError::Shelf)?;
        let mut record = load(shelf.as_mut(), name)?;
        let operation = operation(&record, What::Schedule, active(&record)?.number, Cause::Asked);
        record.rotate_every = rotate_every;
        self.told(&operation, || self.save(shelf.as_mut(), &record))?;
        Ok(info(&record, self.clock.now()))
    }

    /// Signs `message` with the newest version, or authenticates it with a MAC key. An overdue key is rotated first.
    ///
    /// # Errors
    ///
    /// [`RingError`].
    pub fn sign(&self, name: &KeyName, message: &[u8]) -> Result<Signature, RingError> {
        self.sign_as(name, message, hex_digest(message))
    }

    /// Signs a file, in a way that no other signature can be taken for, see [`sshsig`]. Out: the text of the signature
    /// too. The record names the file's own digest.
    ///
    /// # Errors
    ///
    /// [`RingError`]; a MAC key signs no files, as nobody else could verify it.
    pub fn sign_file(&self, name: &KeyName, content: &Content) -> Result<(Signature, String), RingError> {
        let kind = load(self.shelf().as_mut(), name)?.kind;
        if !kind.has_public() {
            return Err(KeyError::Unsupported { provider: software::NAME, operation: "sign a file", kind }.into());
        }
        let signature = self.sign_as(name, &content.to_sign(), content.sha256())?;
        let text = sshsig::write(kind, signature.public.as_deref().unwrap_or_default(), &signature.bytes)?;
        Ok((signature, text))
    }

    fn sign_as(&self, name: &KeyName, message: &[u8], digest: String) -> Result<Signature, RingError> {
        let record = self.current(name)?;
        let version = active(&record)?;
        let provider = self.provider(&record.provider)?;
        let operation = digested(operation(&record, What::Sign, version.number, Cause::Asked), digest);
        let bytes = self.told(&operation, || {
            let key = handle(&record, version)?;
            let bytes = provider.sign(&key, message)?;
            prove(provider.as_ref(), &key, message, &bytes)?;
            Ok(bytes)
        })?;
        Ok(Signature { version: version.number, kind: record.kind, public: version.public.clone(), bytes })
    }

    /// Whether a version of the key made `signature` over `message`, and which; `version` if it is known.
    ///
    /// # Errors
    ///
    /// [`RingError::NotSigned`] if none did; others if it is not known.
    pub fn verify(
        &self,
        name: &KeyName,
        message: &[u8],
        signature: &[u8],
        version: Option<u64>,
    ) -> Result<Verified, RingError> {
        let record = load(self.shelf().as_mut(), name)?;
        let asked: Vec<&Version> = match version {
            Some(number) => vec![find(&record, number)?],
            None => record.versions.iter().rev().filter(|version| version.state != VersionState::Destroyed).collect(),
        };
        for version in asked {
            let fits = match &version.public {
                Some(public) => software::verify_public(record.kind, public, message, signature)?,
                None => self.provider(&record.provider)?.verify(&handle(&record, version)?, message, signature)?,
            };
            if fits {
                return Ok(Verified { version: version.number, state: version.state });
            }
        }
        Err(RingError::NotSigned { name: name.clone() })
    }

    /// Whether a version of the key signed a file, and which.
    ///
    /// # Errors
    ///
    /// As [`KeyRing::verify`]; [`RingError::Destroyed`]: a version did that does not hold any more.
    pub fn verify_file(&self, name: &KeyName, content: &Content, signature: &Parsed) -> Result<Verified, RingError> {
        let record = load(self.shelf().as_mut(), name)?;
        let not_signed = || RingError::NotSigned { name: name.clone() };
        let named = |version: &&Version| version.public.as_ref() == Some(&signature.public);
        let number = record.versions.iter().find(named).ok_or_else(not_signed)?.number;
        let version = find(&record, number)?;
        if record.kind != signature.kind || !signature.fits(content) {
            return Err(not_signed());
        }
        Ok(Verified { version: version.number, state: version.state })
    }

    /// Derives a key for `context` from a MAC key: from its newest version, which is rotated first if it is overdue, or
    /// from the version that is named.
    ///
    /// # Errors
    ///
    /// [`RingError`].
    pub fn derive(&self, name: &KeyName, context: &[u8], version: Option<u64>) -> Result<Derived, RingError> {
        let record = match version {
            Some(_) => load(self.shelf().as_mut(), name)?,
            None => self.current(name)?,
        };
        let version = version.map_or_else(|| active(&record), |number| find(&record, number))?;
        let provider = self.provider(&record.provider)?;
        let operation = digested(operation(&record, What::Derive, version.number, Cause::Asked), hex_digest(context));
        let key = self.told(&operation, || Ok(provider.derive(&handle(&record, version)?, context)?))?;
        Ok(Derived { version: version.number, key })
    }

    /// The public half of a version, the newest if none is named, for others to verify with. Told to the audit.
    ///
    /// # Errors
    ///
    /// [`RingError`]: there is none, or the version was destroyed.
    pub fn public(&self, name: &KeyName, version: Option<u64>) -> Result<(u64, KeyKind, Vec<u8>), RingError> {
        let record = load(self.shelf().as_mut(), name)?;
        let version = version.map_or_else(|| active(&record), |number| find(&record, number))?;
        let operation = operation(&record, What::Export, version.number, Cause::Asked);
        let unsupported = || {
            let (operation, kind) = ("show a public half", record.kind);
            RingError::Key(KeyError::Unsupported { provider: software::NAME, operation, kind })
        };
        let public = version.public.clone().ok_or_else(unsupported)?;
        self.told(&operation, || Ok((version.number, record.kind, public)))
    }

    /// Destroys every version before `version`: what they signed does not hold any more.
    ///
    /// # Errors
    ///
    /// [`RingError`]: some of them may be destroyed; doing it again does the rest.
    pub fn destroy_before(&self, name: &KeyName, version: u64) -> Result<KeyInfo, RingError> {
        let mut shelf = self.shelf();
        let _lock = shelf.lock().map_err(RingError::Shelf)?;
        let mut record = load(shelf.as_mut(), name)?;
        find(&record, version)?;
        let operation = operation(&record, What::Destroy, version.saturating_sub(1), Cause::Asked);
        self.told(&operation, || self.destroy_locked(shelf.as_mut(), &mut record, version))?;
        Ok(info(&record, self.clock.now()))
    }

    /// The key as it may sign now: rotated, if it was overdue.
    fn current(&self, name: &KeyName) -> Result<Record, RingError> {
        let mut shelf = self.shelf();
        let record = load(shelf.as_mut(), name)?;
        if !matches!(due(&record, self.clock.now()), Due::Since(_)) {
            return Ok(record);
        }
        let overdue = |source| RingError::Overdue { name: name.clone(), source: Box::new(source) };
        let _lock = shelf.lock().map_err(|error| overdue(RingError::Shelf(error)))?;
        // Another process may have been faster.
        let mut record = load(shelf.as_mut(), name)?;
        if matches!(due(&record, self.clock.now()), Due::Since(_)) {
            match self.rotate_locked(shelf.as_mut(), &mut record, Old::Verifies, Cause::Schedule) {
                // The new version is there, and it is what signs.
                Ok(()) | Err(RingError::Remains { .. }) => {}
                Err(error) => return Err(overdue(error)),
            }
        }
        Ok(record)
    }

    fn rotate_locked(
        &self,
        shelf: &mut dyn Shelf,
        record: &mut Record,
        old: Old,
        cause: Cause,
    ) -> Result<(), RingError> {
        let number = active(record)?.number.checked_add(1).ok_or_else(|| full(record))?;
        self.provider(&record.provider)?;
        let rotation = operation(record, What::Rotate, number, cause);
        self.told(&rotation, || {
            let version = self.make(record, number)?;
            self.put(shelf, record, version)
        })?;
        let remains =
            |record: &Record, source| RingError::Remains { name: record.name.clone(), source: Box::new(source) };
        match old {
            Old::Verifies => self.settle(shelf, record).map_err(|error| {
                let told = self.audit.record(&rotation, Stage::Failed("remains of the old version are still there"));
                remains(record, told.map_or_else(RingError::Audit, |()| error))
            }),
            Old::Destroyed => {
                let destruction = operation(record, What::Destroy, number.saturating_sub(1), cause);
                let done = self.told(&destruction, || self.destroy_locked(shelf, record, number));
                done.map_err(|error| remains(record, error))
            }
        }
    }

    /// Makes a version, and lets it sign once: what a provider gives is a key only if it works as one.
    fn make(&self, record: &Record, number: u64) -> Result<Version, RingError> {
        let provider = self.provider(&record.provider)?;
        let key = provider.generate(record.kind, &format!("ringfort {} {number}", record.name))?;
        let tried = || {
            if key.kind != record.kind || key.private.is_empty() || key.public.is_some() != record.kind.has_public() {
                return Err(KeyError::Invalid { kind: record.kind, message: "the provider gave something else" });
            }
            let signature = provider.sign(&key, TRIAL)?;
            prove(provider.as_ref(), &key, TRIAL, &signature)
        };
        if let Err(error) = tried() {
            // It was never a key of ours; what the device still holds of it does nobody harm.
            drop(provider.destroy(&key));
            return Err(error.into());
        }
        let KeyHandle { public, private, .. } = key;
        let (created, state) = (self.clock.now(), VersionState::Active);
        Ok(Version { number, state, created, replaced: None, destroyed: None, public, private: Some(private) })
    }

    /// Saves the record with a new version, which takes over. Where it was not saved the record is as it was.
    fn put(&self, shelf: &mut dyn Shelf, record: &mut Record, version: Version) -> Result<(), RingError> {
        if record.versions.len() >= VERSIONS_MAX {
            // Versions that hold nothing any more make room.
            record.versions.retain(|version| version.state != VersionState::Destroyed);
        }
        let now = version.created;
        if let Some(before) = record.versions.last_mut() {
            before.state = VersionState::VerifyOnly;
            before.replaced = Some(now);
        }
        record.versions.push(version);
        let saved = if record.versions.len() > VERSIONS_MAX { Err(full(record)) } else { self.save(shelf, record) };
        if saved.as_ref().is_err_and(|error| !matches!(error, RingError::Unsure { .. }))
            && let Some(unsaved) = record.versions.pop()
        {
            // The private half was never kept; the device need not keep it either.
            if let (Ok(provider), Ok(key)) = (self.provider(&record.provider), handle(record, &unsaved)) {
                drop(provider.destroy(&key));
            }
            if let Some(before) = record.versions.last_mut() {
                before.state = VersionState::Active;
                before.replaced = None;
            }
        }
        saved
    }

    /// Destroys the private halves of versions that only verify, where public ones do that.
    fn settle(&self, shelf: &mut dyn Shelf, record: &mut Record) -> Result<(), RingError> {
        if record.kind.has_public() {
            self.drop_privates(record, |version| version.state == VersionState::VerifyOnly)?;
            self.save(shelf, record)?;
        }
        shelf.forget_previous().map_err(RingError::Shelf)
    }

    fn destroy_locked(&self, shelf: &mut dyn Shelf, record: &mut Record, before: u64) -> Result<(), RingError> {
        self.drop_privates(record, |version| version.number < before)?;
        let now = self.clock.now();
        for version in record.versions.iter_mut().filter(|version| version.number < before) {
            version.state = VersionState::Destroyed;
            version.destroyed.get_or_insert(now);
        }
        self.save(shelf, record)?;
        shelf.forget_previous().map_err(RingError::Shelf)
    }

    /// The device first: where this ends early, the record still says where the rest is.
    fn drop_privates(&self, record: &mut Record, which: impl Fn(&Version) -> bool) -> Result<(), RingError> {
        let provider = Arc::clone(self.provider(&record.provider)?);
        for version in record.versions.iter().filter(|version| version.private.is_some() && which(version)) {
            provider.destroy(&handle(record, version)?)?;
        }
        for version in record.versions.iter_mut().filter(|version| which(version)) {
            version.private = None;
        }
        Ok(())
    }

    fn save(&self, shelf: &mut dyn Shelf, record: &Record) -> Result<(), RingError> {
        let bytes = record.write().map_err(|error| match error {
            RecordError::TooLarge => full(record),
            source => RingError::Damaged { name: record.name.clone(), source },
        })?;
        let saved = shelf.save(&record.name, &bytes, self.clock.now());
        saved.map_err(|error| RingError::save(&record.name, error))
    }

    /// Does something with a key: told before it happens, and after it.
    fn told<T>(&self, operation: &Operation, act: impl FnOnce() -> Result<T, RingError>) -> Result<T, RingError> {
        self.audit.record(operation, Stage::Intent)?;
        match act() {
            Ok(done) => {
                let told = self.audit.record(operation, Stage::Done);
                let (name, what) = (operation.key.clone(), operation.what);
                told.map(|()| done).map_err(|source| RingError::Unrecorded { name, what: what.name(), source })
            }
            Err(error) => {
                self.audit.record(operation, Stage::Failed(&error.to_string()))?;
                Err(error)
            }
        }
    }

    fn provider(&self, name: &str) -> Result<&Arc<dyn KeyProvider>, RingError> {
        let missing = || RingError::NoProvider { provider: name.to_owned() };
        self.providers.iter().find(|provider| provider.name() == name).ok_or_else(missing)
    }

    fn shelf(&self) -> MutexGuard<'_, Box<dyn Shelf>> {
        // A panic elsewhere left the shelf as it was last saved.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyRing").finish_non_exhaustive()
    }
}

fn load(shelf: &mut dyn Shelf, name: &KeyName) -> Result<Record, RingError> {
    let bytes = shelf.load(name).map_err(RingError::Shelf)?;
    let bytes = bytes.ok_or_else(|| RingError::Absent { name: name.clone() })?;
    Record::read(name, &bytes).map_err(|source| RingError::Damaged { name: name.clone(), source })
}

/// A version that is there and was not destroyed.
fn find(record: &Record, number: u64) -> Result<&Version, RingError> {
    let missing = || RingError::NoVersion { name: record.name.clone(), version: number };
    let version = record.versions.iter().find(|version| version.number == number).ok_or_else(missing)?;
    if version.state == VersionState::Destroyed {
        return Err(RingError::Destroyed { name: record.name.clone(), version: number });
    }
    Ok(version)
}

fn active(record: &Record) -> Result<&Version, RingError> {
    record.active().map_err(|source| RingError::Damaged { name: record.name.clone(), source })
}

fn full(record: &Record) -> RingError {
    RingError::Full { name: record.name.clone() }
}

fn handle(record: &Record, version: &Version) -> Result<KeyHandle, RingError> {
    let private = version.private.as_ref().ok_or_else(|| RingError::Damaged {
        name: record.name.clone(),
        source: RecordError::Shape("a private half is missing"),
    })?;
    let private = Locked::copy_of(private.expose())?;
    Ok(KeyHandle { kind: record.kind, public: version.public.clone(), private })
}

/// Whether what a provider gave as a signature is one: a wrong one would be believed until somebody verifies it.
fn prove(provider: &dyn KeyProvider, key: &KeyHandle, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
    let fits = match &key.public {
        Some(public) => software::verify_public(key.kind, public, message, signature)?,
        None => signature.len() == software::MAC_LEN && provider.verify(key, message, signature)?,
    };
    if fits {
        return Ok(());
    }
    let message = "its signature does not fit its key".to_owned();
    Err(KeyError::Broken { provider: provider.name(), operation: "sign", message })
}

fn check_period(every: Option<Duration>) -> Result<(), RingError> {
    if every.is_some_and(|every| !(ROTATE_EVERY_MIN..=ROTATE_EVERY_MAX).contains(&every)) {
        return Err(RingError::Period);
    }
    Ok(())
}

fn operation(record: &Record, what: What, version: u64, cause: Cause) -> Operation {
    let (key, kind, provider) = (record.name.clone(), record.kind, record.provider.clone());
    Operation { what, key, version, kind, provider, cause, digest: None }
}

fn digested(operation: Operation, digest: String) -> Operation {
    Operation { digest: Some(digest), ..operation }
}

fn hex_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
