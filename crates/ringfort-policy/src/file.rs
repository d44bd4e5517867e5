// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads one configuration file, once, through one handle.
//!
//! In: a path. Out: its text, or the reason why it is not trusted.
//!
//! **Invariant:** what is judged (kind, mode, size) is the opened file itself, never the name; a pipe or device
//! cannot make the reader wait. A file that anybody else may write is not read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ringfort_core::limits::CONFIG_BYTES_MAX;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

/// Why a file was not read. Nothing of it is in use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It is not there.
    #[error("`{}` does not exist", .0.display())]
    Missing(PathBuf),
    /// The system refused.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is a folder, a link where none may be, a pipe, a socket or a device.
    #[error("`{}` is not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// It is larger than a configuration may be.
    #[error("`{}` is larger than {CONFIG_BYTES_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    /// Others than its owner may write it.
    #[error("`{}` can be written by everybody; remove that right with `chmod o-w`", .0.display())]
    Writable(PathBuf),
    /// It is not UTF-8.
    #[error("`{}` is not UTF-8 text", .0.display())]
    NotText(PathBuf),
}

/// Whether a name may be a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// The owner chose it, for example to keep the file in a repository of settings.
    Follow,
    /// Somebody else may have made it.
    Refuse,
}

/// Reads a configuration file.
///
/// # Errors
///
/// [`FileError`]: nothing of the file is in use.
pub(crate) fn read(path: &Path, links: Links) -> Result<String, FileError> {
    let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    if links == Links::Refuse {
        flags |= OFlags::NOFOLLOW;
    }
    let failed = |source: io::Error| FileError::Read { path: path.to_owned(), source };
    let handle = match open(path, flags, Mode::empty()) {
        Ok(handle) => handle,
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(FileError::Missing(path.to_owned())),
        Err(Errno::LOOP) => return Err(FileError::NotRegular(path.to_owned())),
        Err(errno) => return Err(failed(errno.into())),
    };
    let file = File::from(handle);
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(FileError::NotRegular(path.to_owned()));
    }
    if metadata.permissions().mode() & 0o002 != 0 {
        return Err(FileError::Writable(path.to_owned()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.size()).unwrap_or(0).min(CONFIG_BYTES_MAX));
    file.take(CONFIG_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > CONFIG_BYTES_MAX {
        return Err(FileError::TooLarge(path.to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| FileError::NotText(path.to_owned()))
}
