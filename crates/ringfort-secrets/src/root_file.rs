// SPDX-License-Identifier: MIT OR Apache-2.0
//! The root key from a key file: 32 random bytes in a file of this user alone.
//!
//! In: a path. Out: the root key, derived from the file's bytes for one store.
//!
//! **Invariant:** a key file is made whole and never replaced; one that others could have read or put there opens nothing.
//! Whoever can read the disk can open the store: only the file's rights protect it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::locked::{Locked, wiping};
use crate::owned::{OwnedError, OwnedFile};
use crate::root::{KEY_LEN, RootKeyError, RootKeySource, SlotData, StoreId};

/// The name of the key file as a source.
pub const KEY_FILE: &str = "key-file";
/// What the root key is derived for.
const ROOT: &[u8] = b"ringfort key file 1: root key";
/// What the mark of a file is derived for.
const MARK: &[u8] = b"ringfort key file 1: mark";
/// Length of the mark by which a file is told from another. Bytes.
const MARK_LEN: usize = 8;

/// What a slot keeps.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Tells this key file from another; says nothing of its bytes.
    mark: String,
    /// Whether the file was made for this slot.
    made: bool,
}

/// A key file.
#[derive(Debug)]
pub struct KeyFileSource {
    path: PathBuf,
}

impl KeyFileSource {
    /// The key file at `path`. It is looked at when it is used.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn refused(&self, error: OwnedError) -> RootKeyError {
        match error {
            OwnedError::Absent { path } => RootKeyError::Absent {
                source_name: KEY_FILE,
                message: format!("`{}` does not exist; put it back, or open the store another way", path.display()),
            },
            OwnedError::Memory(error) => RootKeyError::Memory(error),
            error => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                RootKeyError::Broken { source_name: KEY_FILE, message: format!("{error}{cause}") }
            }
        }
    }

    fn read(&self) -> Result<Locked, RootKeyError> {
        let bytes =
            OwnedFile::at(&self.path).and_then(|file| file.read(KEY_LEN)).map_err(|error| self.refused(error))?;
        if bytes.len() != KEY_LEN {
            let message = format!("`{}` has {} bytes instead of {KEY_LEN}", self.path.display(), bytes.len());
            return Err(RootKeyError::Broken { source_name: KEY_FILE, message });
        }
        if bytes.equals(&[0; KEY_LEN]) {
            let message = format!("`{}` holds only zeros", self.path.display());
            return Err(RootKeyError::Broken { source_name: KEY_FILE, message });
        }
        Ok(bytes)
    }

    fn derive(&self, bytes: &Locked, store: StoreId, what: &[u8], out: &mut [u8]) -> Result<(), RootKeyError> {
        wiping(|| Hkdf::<Sha256>::new(Some(&store.0), bytes.expose()).expand(what, out))
            .map_err(|error| RootKeyError::Broken { source_name: KEY_FILE, message: error.to_string() })
    }

    fn mark(&self, bytes: &Locked, store: StoreId) -> Result<String, RootKeyError> {
        let mut mark = [0; MARK_LEN];
        self.derive(bytes, store, MARK, &mut mark)?;
        Ok(STANDARD.encode(mark))
    }

    fn root_key(&self, bytes: &Locked, store: StoreId) -> Result<Locked, RootKeyError> {
        let mut key = Locked::zeroed(KEY_LEN)?;
        self.derive(bytes, store, ROOT, key.expose_mut())?;
        Ok(key)
    }

    /// What the slot kept, and the file if it is the one of the slot.
    fn matching(&self, store: StoreId, slot: &SlotData) -> Result<(Kept, Locked), RootKeyError> {
        if slot.source != KEY_FILE {
            let message = format!("the slot belongs to `{}`", slot.source.escape_debug());
            return Err(RootKeyError::Wrong { source_name: KEY_FILE, message });
        }
        let kept = Kept::deserialize(&slot.data).map_err(|error| RootKeyError::Broken {
            source_name: KEY_FILE,
            message: format!("the slot cannot be read: {error}"),
        })?;
        let bytes = self.read()?;
        if self.mark(&bytes, store)? != kept.mark {
            let message = format!(
                "`{}` is another key file than the store was made with; put that one back",
                self.path.display()
            );
            return Err(RootKeyError::Wrong { source_name: KEY_FILE, message });
        }
        Ok((kept, bytes))
    }
}

impl RootKeySource for KeyFileSource {
    fn name(&self) -> &'static str {
        KEY_FILE
    }

    fn key_source(&self) -> String {
        format!("{KEY_FILE}:{}", self.path.display())
    }

    /// Makes the file. One that is there already and passes every check is used: a person put it there, or a first try
    /// was interrupted after it was made.
    fn create(&self, store: StoreId) -> Result<(SlotData, Locked), RootKeyError> {
        let fresh = Locked::random(KEY_LEN)?;
        let made = match OwnedFile::at(&self.path).and_then(|file| file.create(fresh.expose())) {
            Ok(()) => true,
            Err(OwnedError::Exists { .. }) => false,
            Err(error) => return Err(self.refused(error)),
        };
        let bytes = self.read()?;
        let kept = Kept { mark: self.mark(&bytes, store)?, made };
        let data = serde_json::to_value(kept)
            .map_err(|error| RootKeyError::Broken { source_name: KEY_FILE, message: error.to_string() })?;
        Ok((SlotData { source: KEY_FILE.to_owned(), data }, self.root_key(&bytes, store)?))
    }

    fn open(&self, store: StoreId, slot: &SlotData) -> Result<Locked, RootKeyError> {
        let (_, bytes) = self.matching(store, slot)?;
        self.root_key(&bytes, store)
    }

    /// Removes the file if it was made for this slot; one that was there before, or is another one by now, stays.
    fn forget(&self, store: StoreId, slot: &SlotData) -> Result<(), RootKeyError> {
        match self.matching(store, slot) {
            Ok((Kept { made: true, .. }, _)) => {
                OwnedFile::at(&self.path).and_then(|file| file.remove()).map_err(|error| self.refused(error))
            }
            Ok(_) | Err(RootKeyError::Absent { .. } | RootKeyError::Wrong { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const STORE: StoreId = StoreId([1; 16]);

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        folder
    }

    #[test]
    fn a_key_file_is_made_once_and_opens_what_it_made() {
        let folder = folder();
        let path = folder.path().join("secrets.key");
        let source = KeyFileSource::new(&path);
        let (slot, key) = source.create(STORE).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.len(), metadata.permissions().mode() & 0o7777), (32, 0o600));
        assert!(source.open(STORE, &slot).unwrap().equals(key.expose()));
        assert!(!key.equals(&fs::read(&path).unwrap()), "the root key is derived");
        let before = fs::read(&path).unwrap();
        let (second, other) = source.create(StoreId([2; 16])).unwrap();
        assert_eq!(fs::read(&path).unwrap(), before, "made once");
        assert!(!other.equals(key.expose()) && second.data != slot.data, "each store has its own");
        assert_eq!(source.key_source(), format!("key-file:{}", path.display()));
        source.forget(StoreId([2; 16]), &second).unwrap();
        assert!(path.exists(), "it was not made for the second");
        source.forget(STORE, &slot).unwrap();
        assert!(!path.exists());
        source.forget(STORE, &slot).unwrap();
    }

    #[test]
    fn deny_another_a_damaged_and_an_exposed_key_file() {
        let folder = folder();
        let path = folder.path().join("secrets.key");
        let source = KeyFileSource::new(&path);
        let (slot, _) = source.create(STORE).unwrap();
        let good = fs::read(&path).unwrap();
        let check = |expected: &str| {
            let error = source.open(STORE, &slot).unwrap_err();
            assert!(error.to_string().contains(expected), "{expected}: {error}");
        };
        let mut flipped = good.clone();
        flipped[31] ^= 1;
        for (content, expected) in [
            (&flipped[..], "another key file"),
            (&[0; 32][..], "only zeros"),
            (&good[..31], "31 bytes instead of 32"),
            (&[7; 33][..], "more than 32"),
            (&[][..], "0 bytes instead of 32"),
        ] {
            fs::write(&path, content).unwrap();
            check(expected);
            drop(source.forget(STORE, &slot));
            assert!(path.exists(), "another file is never removed");
        }
        fs::write(&path, &good).unwrap();
        source.open(STORE, &slot).unwrap();
        let other = source.open(StoreId([9; 16]), &slot).unwrap_err();
        assert!(matches!(other, RootKeyError::Wrong { .. }), "another store");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        check("can be reached by others");
        assert!(source.create(STORE).is_err(), "nor does a new store begin with it");
        fs::remove_file(&path).unwrap();
        check("does not exist");
        let foreign = SlotData { source: "passphrase".to_owned(), data: slot.data.clone() };
        assert!(matches!(source.open(STORE, &foreign), Err(RootKeyError::Wrong { .. })));
    }
}
