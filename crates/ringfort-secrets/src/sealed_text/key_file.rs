// SPDX-License-Identifier: MIT OR Apache-2.0
//! The key file of `enc2:` and `enc:`: `.secret_key` beside the configuration, 32 bytes as hex text.
//!
//! In: a folder. Out: the key, or the reason why the file is not trusted.
//!
//! **Invariant:** the file is reached from the opened folder, without following a link, and what is judged (kind, owner,
//! mode, names, length) is the opened file. A file that is there is never written; a new one appears whole or not at all.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::enc2::hex;
use crate::locked::{Locked, LockedError};
use crate::owned::{OwnedError, OwnedFile};
use crate::root::KEY_LEN;

/// The name of the key file.
pub const KEY_FILE: &str = ".secret_key";
/// Longest content of a key file: the hex text and blanks around it. Bytes.
const FILE_BYTES_MAX: usize = 4 * KEY_LEN;

/// Why there is no key of a key file. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// There is none.
    #[error("there is no key file `{}`; the values can be opened only with the one that sealed them", .0.display())]
    Missing(PathBuf),
    /// It is there already, or is not trusted, or the system refused.
    #[error(transparent)]
    File(OwnedError),
    /// It does not hold a key.
    #[error("the key file `{}` does not hold {} hex digits", .0.display(), 2 * KEY_LEN)]
    Content(PathBuf),
    /// There is no memory for the key.
    #[error(transparent)]
    Memory(#[from] LockedError),
}

/// The key of a key file.
#[derive(Debug)]
pub struct Enc2Key(Locked);

impl Enc2Key {
    /// Takes a key that was kept elsewhere; `None` if it has another length.
    pub fn of(key: Locked) -> Option<Self> {
        (key.len() == KEY_LEN).then_some(Self(key))
    }

    pub(super) const fn bytes(&self) -> &Locked {
        &self.0
    }

    /// Reads the key file in `folder`, which may be a link that its owner has set.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`].
    pub fn read(folder: &Path) -> Result<Self, KeyFileError> {
        let path = place(folder);
        let text = match OwnedFile::at(&path).and_then(|file| file.read(FILE_BYTES_MAX)) {
            Err(OwnedError::Absent { .. }) => return Err(KeyFileError::Missing(path)),
            other => other.map_err(KeyFileError::File)?,
        };
        parse(text.expose())?.map(Self).ok_or(KeyFileError::Content(path))
    }

    /// Makes a key file in `folder`.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`]; one that is there is as it was.
    pub fn create(folder: &Path) -> Result<Self, KeyFileError> {
        let key = Locked::random(KEY_LEN)?;
        let text = Zeroizing::new(hex(key.expose()));
        let file = OwnedFile::at(&place(folder)).map_err(KeyFileError::File)?;
        file.create(text.as_bytes()).map_err(KeyFileError::File)?;
        Ok(Self(key))
    }

    /// Reads the key file in `folder`, or makes one where there is none.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`].
    pub fn read_or_create(folder: &Path) -> Result<Self, KeyFileError> {
        match Self::read(folder) {
            Err(KeyFileError::Missing(_)) => match Self::create(folder) {
                Err(KeyFileError::File(OwnedError::Exists { .. })) => Self::read(folder),
                other => other,
            },
            other => other,
        }
    }
}

/// Where the key file of a folder is. The folder is resolved here and checked, as it is then, when it is opened.
fn place(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned()).join(KEY_FILE)
}

/// The key that 64 hex digits say, in either case; blanks around them count for nothing.
fn parse(text: &[u8]) -> Result<Option<Locked>, LockedError> {
    let mut key = Locked::zeroed(KEY_LEN)?;
    let (pairs, rest) = text.trim_ascii().as_chunks::<2>();
    if pairs.len() != KEY_LEN || !rest.is_empty() {
        return Ok(None);
    }
    for (byte, [high, low]) in key.expose_mut().iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        match (digit(*high), digit(*low)) {
            (Some(high), Some(low)) => *byte = (high << 4) | low,
            _ => return Ok(None),
        }
    }
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const HEX: &str = "00112233445566778899aAbBcCdDeEfF00112233445566778899aabbccddeeff";

    fn folder(content: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(KEY_FILE);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_key_file_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Enc2Key::read(folder.path()), Err(KeyFileError::Missing(_))));
        let made = Enc2Key::read_or_create(folder.path()).unwrap();
        let path = folder.path().join(KEY_FILE);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), hex(made.bytes().expose()));
        assert!(matches!(Enc2Key::create(folder.path()), Err(KeyFileError::File(OwnedError::Exists { .. }))));
        assert!(Enc2Key::read_or_create(folder.path()).unwrap().bytes().equals(made.bytes().expose()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn blanks_around_the_digits_count_for_nothing() {
        for content in [HEX.to_owned(), format!("{HEX}\n"), format!(" {HEX}\r\n")] {
            let (folder, _path) = folder(&content, 0o600);
            assert_eq!(Enc2Key::read(folder.path()).unwrap().bytes().expose()[..4], [0, 0x11, 0x22, 0x33]);
        }
    }

    #[test]
    fn deny_key_files_that_hold_no_key() {
        for content in ["", "00", &HEX[2..], &format!("{HEX}00"), &format!("{}zz", &HEX[2..]), &" ".repeat(99)] {
            let (folder, path) = folder(content, 0o600);
            assert!(matches!(Enc2Key::read(folder.path()), Err(KeyFileError::Content(_))), "{content:?}");
            assert_eq!(fs::read_to_string(path).unwrap(), content);
            assert!(Enc2Key::read_or_create(folder.path()).is_err(), "a bad key file is not replaced");
        }
    }

    #[test]
    fn deny_key_files_that_others_can_reach_and_links() {
        let fault = |folder: &Path| match Enc2Key::read_or_create(folder) {
            Err(KeyFileError::File(OwnedError::Fault { fault, .. })) => fault,
            other => panic!("{other:?}"),
        };
        for mode in [0o640, 0o604, 0o620, 0o666, 0o601] {
            let (folder, _path) = folder(HEX, mode);
            assert!(fault(folder.path()).contains("reached by others"), "{mode:o}");
        }
        let (linked, path) = folder(HEX, 0o600);
        fs::hard_link(&path, linked.path().join("other")).unwrap();
        assert!(fault(linked.path()).contains("2 names"));
        let at = tempfile::tempdir().unwrap();
        symlink(linked.path().join("other"), at.path().join(KEY_FILE)).unwrap();
        assert!(fault(at.path()).contains("symbolic link"));
    }

    #[test]
    fn the_folder_itself_may_be_a_link_of_its_owner() {
        let (real, _path) = folder(HEX, 0o600);
        let at = tempfile::tempdir().unwrap();
        symlink(real.path(), at.path().join("config")).unwrap();
        assert!(Enc2Key::read(&at.path().join("config")).is_ok());
        assert!(matches!(Enc2Key::read(&at.path().join("none")), Err(KeyFileError::Missing(_))));
    }
}
