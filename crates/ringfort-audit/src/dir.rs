// SPDX-License-Identifier: MIT OR Apache-2.0
//! The folder of a trail, held open, and the files in it.
//!
//! In: a path, once; then plain file names. Out: files that are regular, unshared and closed to others.
//!
//! **Invariant:** every file is opened beneath the held folder without following links, and what was opened is what
//! was checked: owner, mode, type and link count are read from the open file. Nothing is repaired here.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};

/// Most names in the folder of a trail.
pub(crate) const NAMES_MAX: usize = 1 << 20;

/// Why a file or folder of the trail cannot be used. Nothing was written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system refused.
    #[error("cannot {act} `{}`", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Others could read or change it.
    #[error("`{}` is not safe for a trail: {what}", path.display())]
    Unsafe {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl FileError {
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
    Create,
    CreateNew,
}

/// Who may own and read the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modes {
    /// The owner of the folder, and nobody else.
    Enforced,
    /// A copy somewhere else; modes say nothing.
    Ignored,
}

/// What tells one file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

/// The folder.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
    owner: u32,
    modes: Modes,
}

impl Dir {
    /// Opens the folder for writing, and makes it (not its parents) if it is not there. It must be the caller's own.
    pub(crate) fn open_or_create(path: &Path) -> Result<Self, FileError> {
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Ok(()) => sync_parent(path)?,
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(io_error("make", path, error.into())),
        }
        let dir = Self::open(path, Modes::Enforced)?;
        if dir.owner != rustix::process::geteuid().as_raw() {
            return Err(FileError::Unsafe { path: dir.path, what: "it belongs to another user" });
        }
        Ok(dir)
    }

    /// Opens the folder, whoever owns it.
    pub(crate) fn open(path: &Path, modes: Modes) -> Result<Self, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| io_error("open", path, error.into()))?;
        let stat = rustix::fs::fstat(&fd).map_err(|error| io_error("examine", path, error.into()))?;
        if modes == Modes::Enforced && stat.st_mode & 0o077 != 0 {
            return Err(FileError::Unsafe { path: path.into(), what: "others can reach it; its mode must be 0700" });
        }
        Ok(Self { fd, path: path.into(), owner: stat.st_uid, modes })
    }

    /// Opens the file `name`, which has no slash in it.
    pub(crate) fn file(&self, name: &str, access: Access) -> Result<File, FileError> {
        let how = match access {
            Access::Read => OFlags::RDONLY,
            Access::Write => OFlags::RDWR,
            Access::Create => OFlags::RDWR | OFlags::CREATE,
            Access::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        // A pipe in the file's place must not stop us; it is refused below.
        let flags = how | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let path = self.path.join(name);
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| io_error("open", &path, error.into()))?;
        let stat = rustix::fs::fstat(&fd).map_err(|error| io_error("examine", &path, error.into()))?;
        match self.complaint(&stat) {
            Some(what) => Err(FileError::Unsafe { path, what }),
            None => Ok(File::from(fd)),
        }
    }

    fn complaint(&self, stat: &Stat) -> Option<&'static str> {
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Some("it is no regular file");
        }
        if self.modes == Modes::Ignored {
            return None;
        }
        if stat.st_uid != self.owner {
            return Some("it belongs to another user than its folder");
        }
        if stat.st_mode & 0o077 != 0 {
            return Some("others can reach it; its mode must be 0600");
        }
        (stat.st_nlink > 1).then_some("it has a second name elsewhere")
    }

    /// What stands at `name` now, with its size; `None` if nothing does.
    pub(crate) fn stat(&self, name: &str) -> Result<Option<(Identity, u64)>, FileError> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some((identity(&stat), u64::try_from(stat.st_size).unwrap_or(0)))),
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(io_error("examine", &self.path.join(name), error.into())),
        }
    }

    /// What `file` is.
    pub(crate) fn identity(&self, file: &File) -> Result<Identity, FileError> {
        let stat = rustix::fs::fstat(file).map_err(|error| io_error("examine", &self.path, error.into()))?;
        Ok(identity(&stat))
    }

    /// The names in the folder, sorted; an error if there are too many.
    pub(crate) fn names(&self) -> Result<Vec<String>, FileError> {
        let fail = |error: rustix::io::Errno| io_error("list", &self.path, error.into());
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(fail)? {
            let name = entry.map_err(fail)?.file_name().to_string_lossy().into_owned();
            if name == "." || name == ".." {
                continue;
            }
            if names.len() >= NAMES_MAX {
                return Err(FileError::Unsafe { path: self.path.clone(), what: "it holds too many files" });
            }
            names.push(name);
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Gives the file `from` the name `to`, replacing what had it.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to)
            .map_err(|error| io_error("rename", &self.path.join(from), error.into()))
    }

    /// Makes the names in the folder durable.
    pub(crate) fn sync(&self) -> Result<(), FileError> {
        rustix::fs::fsync(&self.fd).map_err(|error| io_error("sync", &self.path, error.into()))
    }

    /// An error about the file `name`.
    pub(crate) fn error(&self, act: &'static str, name: &str, source: io::Error) -> FileError {
        io_error(act, &self.path.join(name), source)
    }
}

fn sync_parent(path: &Path) -> Result<(), FileError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(parent, flags, Mode::empty())
        .and_then(rustix::fs::fsync)
        .map_err(|error| io_error("sync", parent, error.into()))
}

fn identity(stat: &Stat) -> Identity {
    Identity { device: stat.st_dev, inode: stat.st_ino }
}

fn io_error(act: &'static str, path: &Path, source: io::Error) -> FileError {
    FileError::Io { act, path: path.into(), source: Arc::new(source) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn deny_folders_that_others_reach() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("trail");
        Dir::open_or_create(&path).unwrap();
        for open in [0o770, 0o705, 0o711] {
            mode(&path, open);
            assert!(matches!(Dir::open_or_create(&path), Err(FileError::Unsafe { .. })), "{open:o}");
        }
        mode(&path, 0o700);
        symlink(&path, temp.path().join("link")).unwrap();
        assert!(Dir::open_or_create(&temp.path().join("link")).is_err());
        assert!(Dir::open_or_create(&temp.path().join("missing/trail")).is_err());
    }

    #[test]
    fn deny_files_that_are_not_plainly_ours() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("trail");
        let dir = Dir::open_or_create(&path).unwrap();
        dir.file("good", Access::CreateNew).unwrap();
        assert!(dir.file("good", Access::CreateNew).is_err());
        dir.file("good", Access::Write).unwrap();
        symlink(path.join("good"), path.join("link")).unwrap();
        assert!(dir.file("link", Access::Write).is_err());
        rustix::fs::mknodat(rustix::fs::CWD, path.join("pipe"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(matches!(dir.file("pipe", Access::Read), Err(FileError::Unsafe { .. })));
        std::fs::create_dir(path.join("folder")).unwrap();
        assert!(dir.file("folder", Access::Read).is_err());
        std::fs::hard_link(path.join("good"), temp.path().join("second")).unwrap();
        assert!(matches!(dir.file("good", Access::Write), Err(FileError::Unsafe { .. })));
        std::fs::remove_file(temp.path().join("second")).unwrap();
        mode(&path.join("good"), 0o640);
        assert!(matches!(dir.file("good", Access::Read), Err(FileError::Unsafe { .. })));
        assert!(Dir::open(&path, Modes::Ignored).unwrap().file("good", Access::Read).is_ok());
    }
}
