// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the keys of this machine are, and what opens them.
//!
//! In: the state folder, sources of a root key. Out: the open store of the keys.
//!
//! **Invariant:** the keys open without a person, as the record is signed when nobody is there: only sources that ask
//! nobody are used. They are tried in their order, and only those that a person has given a slot; a store whose key is
//! gone is never replaced by a new one.

use std::path::{Path, PathBuf};

use ringfort_core::clock::Clock;
use rustix::fs::Mode;
use rustix::io::Errno;

use super::shelf::lock_folder;
use crate::root::RootKeySource;
use crate::root_file::KeyFileSource;
use crate::store::{Header, StoreError, Vault};

/// The folder of the keys in the state folder.
pub const FOLDER: &str = "keys";
/// The key file that opens the keys where nothing else was chosen.
pub const KEY_FILE_NAME: &str = "keys.key";

/// Where the keys are, and what may open them.
pub struct Place {
    folder: PathBuf,
    sources: Vec<Box<dyn RootKeySource>>,
}

impl Place {
    /// The keys below the state folder `state`, opened by a key file beside them.
    pub fn below(state: &Path) -> Self {
        let folder = state.join(FOLDER);
        let file = KeyFileSource::new(folder.join(KEY_FILE_NAME));
        Self { folder, sources: vec![Box::new(file)] }
    }

    /// Prefers a source that needs no person, and makes new keys with it.
    #[must_use]
    pub fn prefer(mut self, source: Box<dyn RootKeySource>) -> Self {
        self.sources.retain(|known| known.name() != source.name());
        self.sources.insert(0, source);
        self
    }

    /// Adds a source for a store that has a slot for it; a new store is not made with it. The first of a name counts.
    #[must_use]
    pub fn or(mut self, source: Box<dyn RootKeySource>) -> Self {
        if self.sources.iter().all(|known| known.name() != source.name()) {
            self.sources.push(source);
        }
        self
    }

    /// The folder of the keys.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The store of the keys; `None` where no key was ever made. Nothing is made.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn open(&self) -> Result<Option<Vault>, StoreError> {
        let header = match Header::read(&self.folder) {
            Ok(header) => header,
            Err(StoreError::Absent { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut refused = None;
        for source in &self.sources {
            match Vault::open(&self.folder, source.as_ref()) {
                Ok(vault) => return Ok(Some(vault)),
                Err(StoreError::NoSlot { .. }) => {}
                Err(error @ (StoreError::Root(_) | StoreError::WrongKey { .. })) => {
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(refused.unwrap_or_else(|| {
            let from = self.sources.iter().map(|source| source.name()).collect::<Vec<_>>().join(", ");
            StoreError::NoSlot { from, slots: header.slots.iter().map(|slot| slot.data.source.clone()).collect() }
        }))
    }

    /// The store of the keys, made if there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn open_or_make(&self, clock: &dyn Clock) -> Result<Vault, StoreError> {
        if let Some(vault) = self.open()? {
            return Ok(vault);
        }
        let absent = || StoreError::Absent { path: self.folder.clone() };
        let source = self.sources.first().ok_or_else(absent)?;
        self.make_folder()?;
        // Two that make the store at once would make one root key, and the slower one would take it away again.
        let _lock = lock_folder(&self.folder)?;
        match self.open()? {
            Some(vault) => Ok(vault),
            None => Vault::create(&self.folder, source.as_ref(), clock),
        }
    }

    fn make_folder(&self) -> Result<(), StoreError> {
        match rustix::fs::mkdir(&self.folder, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => {
                Err(StoreError::Io { act: "make", path: self.folder.clone(), source: std::io::Error::from(errno) })
            }
        }
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("folder", &self.folder).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::support::Noon;

    #[test]
    fn the_store_is_made_once_and_opens_without_a_person() {
        let state = tempfile::tempdir().unwrap();
        let place = Place::below(state.path());
        assert!(place.open().unwrap().is_none());
        assert!(!place.folder().exists(), "looking makes nothing");
        let made = place.open_or_make(&Noon).unwrap();
        assert_eq!(place.open().unwrap().unwrap().id(), made.id());
        assert_eq!(place.open_or_make(&Noon).unwrap().id(), made.id());
        let file = place.folder().join(KEY_FILE_NAME);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    }

    #[test]
    fn many_that_make_it_at_once_make_one() {
        for _ in 0..10 {
            let state = tempfile::tempdir().unwrap();
            let make = || Place::below(state.path()).open_or_make(&Noon).unwrap().id();
            let ids: Vec<_> = std::thread::scope(|scope| {
                let makers: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
                makers.into_iter().map(|maker| maker.join().unwrap()).collect()
            });
            let made = Place::below(state.path()).open().unwrap().unwrap().id();
            assert!(ids.iter().all(|id| *id == made));
        }
    }

    #[test]
    fn deny_a_store_whose_key_is_gone_or_another() {
        let state = tempfile::tempdir().unwrap();
        let place = Place::below(state.path());
        place.open_or_make(&Noon).unwrap();
        let file = place.folder().join(KEY_FILE_NAME);
        let key = std::fs::read(&file).unwrap();
        let before = std::fs::read(place.folder().join("store.ringfort")).unwrap();
        for (content, what) in [(None, "gone"), (Some([7; 32]), "another")] {
            std::fs::remove_file(&file).unwrap_or_default();
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
                std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            }
            assert!(place.open().is_err(), "{what}");
            assert!(place.open_or_make(&Noon).is_err(), "{what}: a new store is never put in its place");
        }
        assert_eq!(std::fs::read(place.folder().join("store.ringfort")).unwrap(), before);
        std::fs::write(&file, key).unwrap();
        assert!(place.open().unwrap().is_some());
    }
}
