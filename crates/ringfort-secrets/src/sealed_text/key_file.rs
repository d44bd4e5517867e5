// SPDX-License-Identifier: MIT OR Apache-2.0
//! The key file of `enc2:` and `enc:`: `.secret_key` beside the configuration, 32 bytes as hex text.
//!
//! In: a folder. Out: the key, or the reason why the file is not trusted.
//!
//! **Invariant:** the file is reached from the opened folder, without following a link, and what is judged (kind, owner,
//! mode, names, length) is the opened file. A file that is there is never written; a new one appears whole or not at all.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, fsync, linkat, open, openat, unlinkat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::enc2::hex;
use crate::locked::{Locked, LockedError};
use crate::root::KEY_LEN;

/// The name of the key file.
pub const KEY_FILE: &str = ".secret_key";
/// Longest content of a key file: the hex text and blanks around it. Bytes.
const FILE_BYTES_MAX: u64 = 4 * KEY_LEN as u64;
/// Most names that are tried for the file that becomes the key file.
const NAMES_MAX: u32 = 16;

/// Why there is no key of a key file. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// There is none.
    #[error("there is no key file `{}`; copy the one that sealed the values, they cannot be opened without it", .0.display())]
    Missing(PathBuf),
    /// There is one already.
    #[error("there is a key file `{}` already", .0.display())]
    Exists(PathBuf),
    /// It is a link, a folder, a pipe or a device.
    #[error("the key file `{}` is not a regular file; a link is not followed", .0.display())]
    NotRegular(PathBuf),
    /// It belongs to somebody else.
    #[error("the key file `{}` belongs to somebody else", .0.display())]
    Owner(PathBuf),
    /// Others may read or write it.
    #[error("the key file `{}` is open to others (mode {mode:03o}); close it with `chmod 600` and take it for known", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It has a second name somewhere.
    #[error("the key file `{}` has {names} names (hard links); it must have one", path.display())]
    Names {
        /// The file.
        path: PathBuf,
        /// How many it has.
        names: u64,
    },
    /// It does not hold a key.
    #[error("the key file `{}` does not hold 64 hex digits", .0.display())]
    Content(PathBuf),
    /// The system refused.
    #[error("cannot {what} the key file `{}`", path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no memory for the key.
    #[error(transparent)]
    Memory(#[from] LockedError),
}

/// The key of a key file.
#[derive(Debug)]
pub struct Enc2Key(Locked);

impl Enc2Key {
    /// Takes a key.
    #[cfg(test)]
    pub(super) const fn new(key: Locked) -> Self {
        Self(key)
    }

    pub(super) const fn bytes(&self) -> &Locked {
        &self.0
    }

    /// Reads the key file in `folder`.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`].
    pub fn read(folder: &Path) -> Result<Self, KeyFileError> {
        let path = folder.join(KEY_FILE);
        let handle = match open_folder(folder) {
            Err(Errno::NOENT) => return Err(KeyFileError::Missing(path)),
            other => other.map_err(|errno| system("reach", &path, errno))?,
        };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match openat(&handle, KEY_FILE, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Err(KeyFileError::Missing(path)),
            Err(Errno::LOOP) => return Err(KeyFileError::NotRegular(path)),
            other => File::from(other.map_err(|errno| system("open", &path, errno))?),
        };
        check(&file, &path)?;
        let mut text = Zeroizing::new(Vec::with_capacity(FILE_BYTES_MAX as usize + 1));
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(|source| KeyFileError::System {
            what: "read",
            path: path.clone(),
            source,
        })?;
        parse(&text)?.map(Self).ok_or(KeyFileError::Content(path))
    }

    /// Makes a key file in `folder`.
    ///
    /// # Errors
    ///
    /// [`KeyFileError::Exists`]: there is one; it is as it was.
    pub fn create(folder: &Path) -> Result<Self, KeyFileError> {
        let path = folder.join(KEY_FILE);
        let handle = open_folder(folder).map_err(|errno| system("reach", &path, errno))?;
        let key = Locked::random(KEY_LEN)?;
        let (name, mut file) = new_file(&handle).map_err(|errno| system("make", &path, errno))?;
        let text = Zeroizing::new(hex(key.expose()));
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|source| KeyFileError::System { what: "write", path: path.clone(), source })
            .and_then(|()| match linkat(&handle, &name, &handle, KEY_FILE, AtFlags::empty()) {
                Err(Errno::EXIST) => Err(KeyFileError::Exists(path.clone())),
                other => other.map_err(|errno| system("make", &path, errno)),
            });
        let removed = unlinkat(&handle, &name, AtFlags::empty());
        written?;
        removed.and_then(|()| fsync(&handle)).map_err(|errno| system("secure", &path, errno))?;
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
                Err(KeyFileError::Exists(_)) => Self::read(folder),
                other => other,
            },
            other => other,
        }
    }
}

fn open_folder(folder: &Path) -> Result<OwnedFd, Errno> {
    open(folder, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn system(what: &'static str, path: &Path, errno: Errno) -> KeyFileError {
    KeyFileError::System { what, path: path.to_owned(), source: errno.into() }
}

fn check(file: &File, path: &Path) -> Result<(), KeyFileError> {
    let metadata =
        file.metadata().map_err(|source| KeyFileError::System { what: "look at", path: path.to_owned(), source })?;
    let (path, mode) = (path.to_owned(), metadata.permissions().mode() & 0o777);
    if !metadata.is_file() {
        return Err(KeyFileError::NotRegular(path));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(KeyFileError::Owner(path));
    }
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Mode { path, mode });
    }
    if metadata.nlink() != 1 {
        return Err(KeyFileError::Names { path, names: metadata.nlink() });
    }
    Ok(())
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

/// A new file beside the one that is to appear.
fn new_file(folder: &OwnedFd) -> Result<(String, File), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let process = rustix::process::Pid::as_raw(Some(rustix::process::getpid()));
    let mut last = Errno::EXIST;
    for number in 0..NAMES_MAX {
        let name = format!("{KEY_FILE}.ringfort-{process}-{number}");
        match openat(folder, &name, flags, Mode::RUSR | Mode::WUSR) {
            Ok(handle) => return Ok((name, File::from(handle))),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

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
        assert!(matches!(Enc2Key::create(folder.path()), Err(KeyFileError::Exists(_))));
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
        for content in ["", "00", &HEX[2..], &format!("{HEX}00"), &format!("{}zz", &HEX[2..]), &" ".repeat(500)] {
            let (folder, path) = folder(content, 0o600);
            assert!(matches!(Enc2Key::read(folder.path()), Err(KeyFileError::Content(_))), "{content:?}");
            assert_eq!(fs::read_to_string(path).unwrap(), content);
            assert!(Enc2Key::read_or_create(folder.path()).is_err(), "a bad key file is not replaced");
        }
    }

    #[test]
    fn deny_key_files_that_others_can_reach() {
        for mode in [0o640, 0o604, 0o620, 0o666, 0o601] {
            let (folder, _path) = folder(HEX, mode);
            assert!(matches!(Enc2Key::read(folder.path()), Err(KeyFileError::Mode { .. })), "{mode:o}");
        }
        let (linked, path) = folder(HEX, 0o600);
        fs::hard_link(&path, linked.path().join("other")).unwrap();
        assert!(matches!(Enc2Key::read(linked.path()), Err(KeyFileError::Names { names: 2, .. })));
    }

    #[test]
    fn deny_links_folders_and_pipes() {
        let (target, path) = folder(HEX, 0o600);
        let at = tempfile::tempdir().unwrap();
        symlink(&path, at.path().join(KEY_FILE)).unwrap();
        assert!(matches!(Enc2Key::read(at.path()), Err(KeyFileError::NotRegular(_))));
        assert!(Enc2Key::read_or_create(at.path()).is_err());
        drop(target);
        let at = tempfile::tempdir().unwrap();
        fs::create_dir(at.path().join(KEY_FILE)).unwrap();
        assert!(matches!(Enc2Key::read(at.path()), Err(KeyFileError::NotRegular(_))));
        let at = tempfile::tempdir().unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at.path().join(KEY_FILE), rustix::fs::FileType::Fifo, Mode::RUSR, 0)
            .unwrap();
        assert!(matches!(Enc2Key::read(at.path()), Err(KeyFileError::NotRegular(_))));
    }
}
