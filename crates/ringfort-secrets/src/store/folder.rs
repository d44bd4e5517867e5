// SPDX-License-Identifier: MIT OR Apache-2.0
//! The folder of a store, held open, and the few files in it.
//!
//! In: a path, once; then plain file names. Out: their bytes; files that are replaced as a whole.
//!
//! **Invariant:** a file is opened beneath the held folder without following links, and what was opened is what is
//! checked: kind, owner, mode and names are read from the open file. A replaced file is on the disk before it gets its
//! name; until then the old one stands.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, Stat, fstat, fsync, openat};
use rustix::io::Errno;

use crate::ours::{self, FILE_MODE, FOLDER_MODE};
use crate::store::FILE_BYTES_MAX;
use crate::store::error::{StoreError, Unfit};

/// Name of the lock file.
const LOCK: &str = "lock";
/// Longest pause between two tries for the lock.
const PAUSE_MAX: Duration = Duration::from_millis(10);
/// How often a file is opened anew because a writer has replaced it in between.
const RACES_MAX: u32 = 64;
/// Longest text in the lock file that is looked at. Bytes.
const HOLDER_BYTES_MAX: u64 = 16;

/// Whether a file is on the disk before it gets its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It is.
    Synced,
    /// It may be empty after a loss of power.
    Written,
}

/// A folder that is ours alone, or the one above it.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// The lock of a folder; given back when it is dropped, or when its process dies.
#[derive(Debug)]
#[must_use = "the lock is given back when this is dropped"]
pub(crate) struct Lock(#[expect(dead_code, reason = "an open file holds the lock")] File);

impl Folder {
    /// Makes the folder (not those above it) if it is not there, and opens it.
    pub(crate) fn create(path: &Path) -> Result<Self, StoreError> {
        match rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(FOLDER_MODE)) {
            Ok(()) => {
                let folder = Self::open(path)?;
                folder.above()?.sync()?;
                Ok(folder)
            }
            Err(Errno::EXIST) => Self::open(path),
            Err(errno) => Err(failed("make", path, errno)),
        }
    }

    /// Opens the folder.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let refuse = |unfit| StoreError::Unsafe { path: path.to_owned(), unfit };
        let fd = match openat(CWD, path, ours::FOLDER, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Err(StoreError::Absent { path: path.to_owned() }),
            Err(Errno::LOOP) => return Err(refuse(Unfit::Link)),
            Err(Errno::NOTDIR) => {
                let is_link = rustix::fs::lstat(path).is_ok_and(|stat| ours::kind(&stat) == FileType::Symlink);
                return Err(refuse(if is_link { Unfit::Link } else { Unfit::NotFolder }));
            }
            Err(errno) => return Err(failed("open", path, errno)),
        };
        let stat = fstat(&fd).map_err(|errno| failed("examine", path, errno))?;
        ours::alone(&stat, FOLDER_MODE).map_err(refuse)?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// The folder in which this one is. It need not be closed to others.
    pub(crate) fn above(&self) -> Result<Self, StoreError> {
        let path = self.path.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let fd = openat(&self.fd, "..", ours::FOLDER, Mode::empty()).map_err(|errno| failed("open", path, errno))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The bytes of a file; `None` where there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_start(name, FILE_BYTES_MAX + 1)
    }

    /// The first `limit` bytes of a file.
    pub(crate) fn read_start(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some((file, stat)) = self.file(name, OFlags::RDONLY)? else { return Ok(None) };
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let path = self.join(name);
        let too_large = |size| StoreError::Unsafe { path: path.clone(), unfit: Unfit::Size { size } };
        if size > FILE_BYTES_MAX {
            return Err(too_large(size));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size.min(limit)).unwrap_or(0).saturating_add(1));
        let read = file.take(limit).read_to_end(&mut bytes);
        let read = read.map_err(|source| StoreError::Io { act: "read", path: path.clone(), source })?;
        if read as u64 > FILE_BYTES_MAX {
            return Err(too_large(read as u64));
        }
        Ok(Some(bytes))
    }

    /// Opens a file that is ours alone; `None` where there is none and `flags` make none.
    fn file(&self, name: &str, flags: OFlags) -> Result<Option<(File, Stat)>, StoreError> {
        for _ in 0..RACES_MAX {
            match self.file_once(name, flags)? {
                // A writer has put another file in its place since it was opened.
                Some((_, stat)) if stat.st_nlink == 0 => {}
                found => return Ok(found),
            }
        }
        Err(failed("open", &self.join(name), Errno::AGAIN))
    }

    fn file_once(&self, name: &str, flags: OFlags) -> Result<Option<(File, Stat)>, StoreError> {
        let path = self.join(name);
        let fd = match openat(&self.fd, name, flags | ours::THERE, Mode::from_raw_mode(FILE_MODE)) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(StoreError::Unsafe { path, unfit: Unfit::Link }),
            Err(Errno::ISDIR | Errno::NXIO) => return Err(StoreError::Unsafe { path, unfit: Unfit::Kind }),
            Err(errno) => return Err(failed("open", &path, errno)),
        };
        let stat = fstat(&fd).map_err(|errno| failed("examine", &path, errno))?;
        ours::file(&stat).map_err(|unfit| StoreError::Unsafe { path, unfit })?;
        Ok(Some((File::from(fd), stat)))
    }

    /// Replaces a file as a whole. The caller holds the lock.
    ///
    /// Until the last step the old file stands; when only that step fails, the error is `Unsynced`.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.exchange(name, bytes, Durability::Synced)?;
        self.sync()
    }

    /// As `replace`, without making the name durable: after a loss of power the old file may stand.
    pub(crate) fn exchange(&self, name: &str, bytes: &[u8], durability: Durability) -> Result<(), StoreError> {
        let temporary = format!("{name}.new");
        // Somebody was killed while writing it.
        self.remove(&temporary)?;
        let path = self.join(&temporary);
        let made = self.write_new(&temporary, bytes, durability).and_then(|()| {
            let renamed = step().and_then(|()| rustix::fs::renameat(&self.fd, temporary.as_str(), &self.fd, name));
            renamed.map_err(|errno| failed("rename", &path, errno))
        });
        if made.is_err() {
            // The error that is told is the first one; the next writer sweeps.
            rustix::fs::unlinkat(&self.fd, temporary.as_str(), AtFlags::empty()).unwrap_or_default();
        }
        made
    }

    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> Result<(), StoreError> {
        let path = self.join(name);
        let io = |act| {
            let path = path.clone();
            move |source: std::io::Error| StoreError::Io { act, path, source }
        };
        step().map_err(|errno| failed("make", &path, errno))?;
        let fd = openat(&self.fd, name, ours::NEW, Mode::from_raw_mode(FILE_MODE))
            .map_err(|errno| failed("make", &path, errno))?;
        // The caller's mask may have taken bits away that the owner needs.
        rustix::fs::fchmod(&fd, Mode::from_raw_mode(FILE_MODE)).map_err(|errno| failed("make", &path, errno))?;
        let mut file = File::from(fd);
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        file.write_all(first).map_err(io("write"))?;
        step().map_err(|errno| failed("write", &path, errno))?;
        file.write_all(rest).map_err(io("write"))?;
        if durability == Durability::Written {
            return Ok(());
        }
        step().map_err(|errno| failed("sync", &path, errno))?;
        file.sync_all().map_err(io("sync"))
    }

    /// Removes a file; removing what is not there succeeds.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StoreError> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed("remove", &self.join(name), errno)),
        }
    }

    /// Gives a file another name, for good. The caller holds the lock.
    pub(crate) fn rename(&self, name: &str, to: &str) -> Result<(), StoreError> {
        let renamed = rustix::fs::renameat(&self.fd, name, &self.fd, to);
        renamed.map_err(|errno| failed("rename", &self.join(name), errno))
    }

    /// Makes the names in the folder durable.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let synced = step().and_then(|()| fsync(&self.fd));
        synced.map_err(|errno| StoreError::Unsynced { path: self.path.clone(), source: errno.into() })
    }

    /// Takes the lock, waiting at most `wait`.
    pub(crate) fn lock(&self, wait: Duration) -> Result<Lock, StoreError> {
        let (mut pause, mut waited) = (Duration::from_micros(50), Duration::ZERO);
        let Some((mut file, stat)) = self.file(LOCK, OFlags::RDWR | OFlags::CREATE)? else {
            return Err(failed("make", &self.join(LOCK), Errno::NOENT));
        };
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK | Errno::INTR) if waited >= wait => {
                    return Err(StoreError::Busy { holder: holder(&mut file), waited: wait });
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => {
                    thread::sleep(pause);
                    waited += pause;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(errno) => return Err(failed("lock", &self.join(LOCK), errno)),
            }
        }
        let now = rustix::fs::statat(&self.fd, LOCK, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|errno| failed("examine", &self.join(LOCK), errno))?;
        if (now.st_dev, now.st_ino) != (stat.st_dev, stat.st_ino) {
            // Somebody removed it while we waited; another holder may have a new one.
            return Err(failed("lock", &self.join(LOCK), Errno::STALE));
        }
        // Only those who wait in vain read it, so that failing to write it costs a number in their error.
        let _ignored = rustix::fs::ftruncate(&file, 0).map(|()| write!(file, "{}", std::process::id()));
        Ok(Lock(file))
    }
}

/// Who holds the lock, as it said.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(HOLDER_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn failed(act: &'static str, path: &Path, errno: Errno) -> StoreError {
    StoreError::Io { act, path: path.to_owned(), source: errno.into() }
}

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "in tests it fails")]
const fn step() -> Result<(), Errno> {
    Ok(())
}

#[cfg(test)]
pub(crate) use fault_injection::step;

/// Failing at a chosen step, for tests.
#[cfg(test)]
pub(crate) mod fault_injection {
    use std::cell::Cell;

    use rustix::io::Errno;

    thread_local! {
        static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
    }

    /// Lets `steps` steps of this thread succeed and the next one fail as on a full disk; `None` lets all succeed.
    pub(crate) fn fail_after(steps: Option<u32>) {
        LEFT.set(steps);
    }

    pub(crate) fn step() -> Result<(), Errno> {
        match LEFT.get() {
            None => Ok(()),
            Some(0) => {
                LEFT.set(None);
                Err(Errno::NOSPC)
            }
            Some(left) => {
                LEFT.set(Some(left - 1));
                Ok(())
            }
        }
    }
}
