// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small files that belong to this user alone: read with every check, written whole or not at all.
//!
//! In: a path, bytes. Out: the bytes, in locked memory.
//!
//! **Invariant:** a file counts only if it is a regular file of this user, readable by nobody else, with one name, in a
//! folder that nobody else can write; no link is followed in its last two steps. What fails a check is left as it is.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, Stat, fstat, fsync, linkat, openat, renameat, renameat_with, unlinkat,
};
use rustix::io::Errno;

use crate::locked::{Locked, LockedError};
use crate::ours;
use crate::store::Unfit;

/// What is wrong with a file, or why it could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnedError {
    /// There is no such file, or no such folder. Nothing was made.
    #[error("`{}` does not exist", path.display())]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// There is such a file already; it was left as it is.
    #[error("`{}` exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It, or its folder, is not what it must be; it was left as it is.
    #[error("`{}` {fault}", path.display())]
    Fault {
        /// The file or its folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        fault: String,
    },
    /// The system refused. What was there is there still.
    #[error("cannot {operation} `{}`", path.display())]
    System {
        /// What was attempted.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no memory for it.
    #[error(transparent)]
    Memory(#[from] LockedError),
}

/// The name of one such file: its folder, held open, and its name there.
#[derive(Debug)]
pub struct OwnedFile {
    folder: OwnedFd,
    name: std::ffi::OsString,
    path: PathBuf,
}

/// The rights to write that others may not have in the folder.
const OTHERS_WRITE: u32 = 0o022;
/// The mode of what is made.
const OWNER_ONLY: Mode = Mode::from_raw_mode(ours::FILE_MODE);

impl OwnedFile {
    /// Opens the folder of `path` and checks it.
    ///
    /// # Errors
    ///
    /// [`OwnedError`].
    pub fn at(path: &Path) -> Result<Self, OwnedError> {
        let fault = |fault: &str| OwnedError::Fault { path: path.to_owned(), fault: fault.to_owned() };
        let name = path.file_name().ok_or_else(|| fault("names no file"))?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let opened = openat(CWD, folder, ours::FOLDER, Mode::empty()).map_err(|errno| match errno {
            Errno::NOENT => OwnedError::Absent { path: path.to_owned() },
            Errno::LOOP | Errno::NOTDIR => OwnedError::Fault {
                path: folder.to_owned(),
                fault: "is a symbolic link or no folder; name the folder itself".to_owned(),
            },
            errno => OwnedError::System { operation: "open the folder", path: folder.to_owned(), source: errno.into() },
        })?;
        let seen = stat(&opened, "look at", folder)?;
        let me = rustix::process::geteuid().as_raw();
        if seen.st_uid != me && seen.st_uid != 0 {
            let fault = format!("belongs to user {}, not to you (user {me})", seen.st_uid);
            return Err(OwnedError::Fault { path: folder.to_owned(), fault });
        }
        if seen.st_mode & OTHERS_WRITE != 0 && seen.st_mode & Mode::SVTX.as_raw_mode() == 0 {
            let fault = format!("can be written by others (mode {:o}); `chmod go-w` it", seen.st_mode & 0o7777);
            return Err(OwnedError::Fault { path: folder.to_owned(), fault });
        }
        Ok(Self { folder: opened, name: name.to_owned(), path: path.to_owned() })
    }

    /// Its content, at most `bytes_max` bytes.
    ///
    /// # Errors
    ///
    /// [`OwnedError`].
    pub fn read(&self, bytes_max: usize) -> Result<Locked, OwnedError> {
        let fd = self.open()?;
        let seen = stat(&fd, "look at", &self.path)?;
        if let Some(fault) = fault(&seen, bytes_max) {
            return Err(OwnedError::Fault { path: self.path.clone(), fault });
        }
        let length = usize::try_from(seen.st_size).unwrap_or(usize::MAX).min(bytes_max);
        let mut content = Locked::zeroed(length)?;
        let mut filled = 0;
        while let Some(rest) = content.expose_mut().get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match rustix::io::read(&fd, rest) {
                Ok(0) => {
                    let fault = "became shorter while it was read".to_owned();
                    return Err(OwnedError::Fault { path: self.path.clone(), fault });
                }
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.system("read", errno)),
            }
        }
        Ok(content)
    }

    /// Writes a file that must not exist yet.
    ///
    /// # Errors
    ///
    /// [`OwnedError`].
    pub fn create(&self, content: &[u8]) -> Result<(), OwnedError> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::TMPFILE;
        match openat(&self.folder, ".", flags, OWNER_ONLY) {
            Ok(fd) => {
                self.fill(&fd, content)?;
                // A file without a name leaves nothing behind when this process is killed.
                let unnamed = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
                match linkat(CWD, unnamed, &self.folder, &*self.name, AtFlags::SYMLINK_FOLLOW) {
                    Ok(()) => return self.settle(),
                    Err(Errno::EXIST) => return Err(OwnedError::Exists { path: self.path.clone() }),
                    // No /proc here: by way of a name.
                    Err(Errno::NOENT) => {}
                    Err(errno) => return Err(self.system("name", errno)),
                }
            }
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => {}
            Err(errno) => return Err(self.system("create", errno)),
        }
        self.by_way_of_a_name(content, |draft| {
            renameat_with(&self.folder, draft, &self.folder, &*self.name, RenameFlags::NOREPLACE)
        })
    }

    /// Writes the file, new or in place of the old one: whoever reads sees one of them whole.
    ///
    /// # Errors
    ///
    /// [`OwnedError`].
    pub fn replace(&self, content: &[u8]) -> Result<(), OwnedError> {
        self.by_way_of_a_name(content, |draft| renameat(&self.folder, draft, &self.folder, &*self.name))
    }

    /// Removes the file; one that is not there is removed already.
    ///
    /// # Errors
    ///
    /// [`OwnedError`].
    pub fn remove(&self) -> Result<(), OwnedError> {
        match unlinkat(&self.folder, &*self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => fsync(&self.folder).map_err(|errno| self.system("settle", errno)),
            Err(errno) => Err(self.system("remove", errno)),
        }
    }

    fn open(&self) -> Result<OwnedFd, OwnedError> {
        openat(&self.folder, &*self.name, OFlags::RDONLY | ours::THERE, Mode::empty()).map_err(|errno| match errno {
            Errno::NOENT => OwnedError::Absent { path: self.path.clone() },
            Errno::LOOP => {
                let fault = "is a symbolic link; put the file itself there".to_owned();
                OwnedError::Fault { path: self.path.clone(), fault }
            }
            errno => self.system("open", errno),
        })
    }

    fn by_way_of_a_name(
        &self,
        content: &[u8],
        put: impl FnOnce(&OsStr) -> rustix::io::Result<()>,
    ) -> Result<(), OwnedError> {
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).map_err(|error| OwnedError::System {
            operation: "name a draft of",
            path: self.path.clone(),
            source: io::Error::other(error),
        })?;
        let mut draft = std::ffi::OsString::from(".");
        draft.push(&self.name);
        draft.push(format!(".{:016x}", u64::from_ne_bytes(random)));
        let fd = openat(&self.folder, &*draft, ours::NEW, OWNER_ONLY).map_err(|errno| self.system("create", errno))?;
        let put = self.fill(&fd, content).and_then(|()| {
            put(&draft).map_err(|errno| match errno {
                Errno::EXIST => OwnedError::Exists { path: self.path.clone() },
                errno => self.system("replace", errno),
            })
        });
        match put {
            Ok(()) => self.settle(),
            Err(error) => {
                // The draft stays if this fails too: a file of this user alone, which nobody reads.
                unlinkat(&self.folder, &*draft, AtFlags::empty()).ok();
                Err(error)
            }
        }
    }

    fn fill(&self, fd: &OwnedFd, mut content: &[u8]) -> Result<(), OwnedError> {
        rustix::fs::fchmod(fd, OWNER_ONLY).map_err(|errno| self.system("protect", errno))?;
        while !content.is_empty() {
            match rustix::io::write(fd, content) {
                Ok(count) => content = content.get(count..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(self.system("write", errno)),
            }
        }
        fsync(fd).map_err(|errno| self.system("settle", errno))
    }

    fn settle(&self) -> Result<(), OwnedError> {
        fsync(&self.folder).map_err(|errno| self.system("settle", errno))
    }

    fn system(&self, operation: &'static str, errno: Errno) -> OwnedError {
        OwnedError::System { operation, path: self.path.clone(), source: errno.into() }
    }
}

fn stat(fd: impl AsFd, operation: &'static str, path: &Path) -> Result<Stat, OwnedError> {
    fstat(fd).map_err(|errno| OwnedError::System { operation, path: path.to_owned(), source: errno.into() })
}

/// What is wrong with a file that was opened.
fn fault(seen: &Stat, bytes_max: usize) -> Option<String> {
    let me = rustix::process::geteuid().as_raw();
    match ours::file(seen) {
        Ok(()) => {}
        Err(Unfit::Kind) => return Some("is no ordinary file".to_owned()),
        Err(Unfit::Owner { owner }) => return Some(format!("belongs to user {owner}, not to you (user {me})")),
        Err(Unfit::Mode { mode, wanted }) => {
            return Some(format!(
                "can be reached by others (mode {mode:o}); `chmod {wanted:o}` it, and make a new one if it was read"
            ));
        }
        Err(Unfit::SecondName) => {
            return Some(format!("has {} names (hard links); it must have one", seen.st_nlink));
        }
        Err(unfit) => return Some(format!("cannot be used: {unfit}")),
    }
    match usize::try_from(seen.st_size) {
        Ok(size) if size <= bytes_max => None,
        _ => Some(format!("has {} bytes, more than {bytes_max}", seen.st_size)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use rustix::fs::FileType;

    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_stays() {
        let folder = folder();
        let file = OwnedFile::at(&folder.path().join("key")).unwrap();
        assert!(matches!(file.read(64), Err(OwnedError::Absent { .. })));
        file.create(b"first").unwrap();
        assert!(file.read(64).unwrap().equals(b"first"));
        assert!(matches!(file.create(b"second"), Err(OwnedError::Exists { .. })));
        assert!(matches!(
            file.by_way_of_a_name(b"third", |draft| renameat_with(
                &file.folder,
                draft,
                &file.folder,
                "key",
                RenameFlags::NOREPLACE
            )),
            Err(OwnedError::Exists { .. })
        ));
        assert!(file.read(64).unwrap().equals(b"first"));
        file.replace(b"fourth").unwrap();
        assert!(file.read(6).unwrap().equals(b"fourth"));
        assert_eq!(fs::metadata(folder.path().join("key")).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(names(folder.path()), ["key"]);
        file.remove().unwrap();
        file.remove().unwrap();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn deny_files_that_others_made_or_can_reach() {
        let folder = folder();
        let path = folder.path().join("key");
        let check = |what: &str, expected: &str| {
            let error = OwnedFile::at(&path).unwrap().read(64).unwrap_err();
            assert!(error.to_string().contains(expected), "{what}: {error}");
        };
        let fresh = || {
            drop(fs::remove_file(&path));
            fs::write(&path, b"value").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        for mode in [0o640, 0o604, 0o620, 0o610, 0o666] {
            fresh();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            check("mode", "can be reached by others");
        }
        fresh();
        fs::hard_link(&path, folder.path().join("second")).unwrap();
        check("hard link", "has 2 names");
        fs::rename(&path, folder.path().join("third")).unwrap();
        symlink(folder.path().join("third"), &path).unwrap();
        check("symlink", "is a symbolic link");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        check("folder", "no ordinary file");
        fs::remove_dir(&path).unwrap();
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, OWNER_ONLY, 0).unwrap();
        check("pipe", "no ordinary file");
        fresh();
        fs::write(&path, [b'x'; 65]).unwrap();
        check("size", "more than 64");
        if rustix::process::geteuid().is_root() {
            fresh();
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            check("owner", "belongs to user 65534");
        }
    }

    #[test]
    fn deny_folders_that_others_can_write() {
        let folder = folder();
        fs::create_dir(folder.path().join("real")).unwrap();
        symlink(folder.path().join("real"), folder.path().join("link")).unwrap();
        assert!(matches!(OwnedFile::at(&folder.path().join("link/key")), Err(OwnedError::Fault { .. })));
        for mode in [0o770, 0o707, 0o777] {
            fs::set_permissions(folder.path().join("real"), fs::Permissions::from_mode(mode)).unwrap();
            let error = OwnedFile::at(&folder.path().join("real/key")).unwrap_err();
            assert!(error.to_string().contains("can be written by others"), "{mode:o}: {error}");
        }
        assert!(matches!(OwnedFile::at(&folder.path().join("none/key")), Err(OwnedError::Absent { .. })));
        assert!(matches!(OwnedFile::at(Path::new("/")), Err(OwnedError::Fault { .. })));
    }
}
