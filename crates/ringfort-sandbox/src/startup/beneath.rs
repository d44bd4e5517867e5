// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files below one open folder: a path is opened, never checked and then used.
//!
//! In: a folder handle and paths relative to it. Out: handles, identities, bytes, listings, fresh files.
//!
//! **Invariant:** every path is resolved by `openat2` beneath the handle, through no symbolic link and no magic link,
//! and the last name is never followed. Whoever swaps a folder for a link gets an error, not our write elsewhere.
//! What a name *means* is not decided here.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, StatxFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How often a resolution that a concurrent rename disturbed is tried again.
const RESOLVE_TRIES_MAX: u32 = 64;
/// Size of the buffer for reading folders. Bytes.
const LISTING_BUFFER_BYTES: usize = 16 << 10;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Link,
    /// A device, a socket or a named pipe.
    Other,
}

/// A point in a file system's own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

/// What the kernel says about one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: (u32, u32),
    pub(crate) inode: u64,
    pub(crate) kind: Kind,
    /// Permission bits, set-user and set-group bits included.
    pub(crate) mode: u32,
    pub(crate) links: u32,
    pub(crate) size: u64,
    pub(crate) modified: Moment,
    pub(crate) changed: Moment,
    /// When it was made, where the file system tells: the number of a file that is gone is given to others.
    pub(crate) born: Moment,
}

/// A folder, and everything below it.
#[derive(Debug)]
pub(crate) struct Root {
    fd: OwnedFd,
    /// Folders that were shut at or after this moment are opened up to look into them; others stay shut.
    opens_since: Option<Moment>,
}

/// One name of a listing.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) name: OsString,
    pub(crate) kind: Kind,
}

/// The names of a folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub(crate) entries: Vec<Listed>,
    /// Whether there were more than asked for.
    pub(crate) truncated: bool,
}

impl Root {
    pub(crate) fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)?;
        Ok(Self::from_fd(fd))
    }

    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Self { fd, opens_since: None }
    }

    /// The same folder; what was shut in it since `moment` is opened up by giving its owner all rights.
    pub(crate) fn opening(&self, moment: Moment) -> Result<Self, Errno> {
        Ok(Self { fd: self.directory(Path::new(""))?, opens_since: Some(moment) })
    }

    pub(crate) fn open_at(&self, path: &Path, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut tries = 0;
        loop {
            match rustix::fs::openat2(&self.fd, path, flags, mode, resolve) {
                Err(Errno::AGAIN | Errno::INTR) if tries < RESOLVE_TRIES_MAX => tries += 1,
                result => return result,
            }
        }
    }

    /// The folder at `path` (empty: the root), for reading.
    pub(crate) fn directory(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let open = || self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK, Mode::empty());
        match (open(), self.opens_since) {
            (Err(Errno::ACCESS), Some(since)) => {
                self.open_up(path, since)?;
                open()
            }
            (result, _) => result,
        }
    }

    /// Makes the folders on the way to `path`, and the one there, readable if they were shut since `since`.
    fn open_up(&self, path: &Path, since: Moment) -> Result<(), Errno> {
        let mut way = PathBuf::new();
        for part in path {
            way.push(part);
            let (parent, name) = self.parent(&way)?;
            let identity = identity_at(parent.as_fd(), name)?;
            if identity.kind == Kind::Directory && identity.mode & 0o500 != 0o500 && identity.changed >= since {
                make_accessible(parent.as_fd(), name)?;
            }
        }
        Ok(())
    }

    /// The folder that holds `path`, and its name there. `None` for a path without a last name.
    pub(crate) fn parent<'a>(&self, path: &'a Path) -> Result<(Parent<'_>, &'a OsStr), Errno> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        match path.parent() {
            None => Ok((Parent::Borrowed(self.fd.as_fd()), name)),
            Some(parent) if parent.as_os_str().is_empty() => Ok((Parent::Borrowed(self.fd.as_fd()), name)),
            Some(parent) => {
                let fd = self.open_at(parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
                Ok((Parent::Owned(fd), name))
            }
        }
    }

    /// What stands at `path`; `None` if nothing does, or something on the way is no folder.
    ///
    /// A link on the way is `ELOOP`.
    pub(crate) fn identity(&self, path: &Path) -> Result<Option<Identity>, Errno> {
        let found = self.parent(path).and_then(|(parent, name)| identity_at(parent.as_fd(), name));
        match found {
            Ok(identity) => Ok(Some(identity)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bytes of the regular file at `path`, with what it was when they were read; `None` beyond `bytes_max`.
    pub(crate) fn read(&self, path: &Path, bytes_max: usize) -> Result<Option<(Vec<u8>, Identity)>, Errno> {
        let fd = self.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())?;
        let identity = identity_of(fd.as_fd())?;
        if identity.kind != Kind::File {
            return Err(Errno::INVAL);
        }
        if identity.size > bytes_max as u64 {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(identity.size).unwrap_or(0).saturating_add(1));
        let limit = (bytes_max as u64).saturating_add(1);
        File::from(fd).take(limit).read_to_end(&mut bytes).map_err(|e| errno(&e))?;
        Ok((bytes.len() <= bytes_max).then_some((bytes, identity)))
    }

    pub(crate) fn link_target(&self, path: &Path) -> Result<PathBuf, Errno> {
        let (parent, name) = self.parent(path)?;
        let target = rustix::fs::readlinkat(parent.as_fd(), name, Vec::new())?;
        Ok(PathBuf::from(OsStr::from_bytes(target.to_bytes())))
    }

    pub(crate) fn list(&self, path: &Path, entries_max: usize) -> Result<Listing, Errno> {
        list(self.directory(path)?.as_fd(), entries_max)
    }

    /// Makes the folders on the way to `path` where they are missing; never through a link.
    pub(crate) fn make_parents(&self, path: &Path) -> Result<(), Errno> {
        let mut way = PathBuf::new();
        for part in path.parent().unwrap_or(Path::new("")) {
            way.push(part);
            let (parent, name) = self.parent(&way)?;
            match rustix::fs::mkdirat(parent.as_fd(), name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Puts a fresh file with `bytes` at `path`, replacing in one step what stands there. Synced.
    pub(crate) fn replace(&self, path: &Path, temporary: &OsStr, bytes: &[u8], mode: u32) -> Result<(), Errno> {
        let (parent, name) = self.parent(path)?;
        let file = write_fresh(parent.as_fd(), temporary, bytes, mode)?;
        let synced = file.sync_data().map_err(|e| errno(&e));
        let moved = synced.and_then(|()| rustix::fs::renameat(parent.as_fd(), temporary, parent.as_fd(), name));
        if moved.is_err() {
            // The temporary is ours alone; if it cannot go either, the error below tells of the parent.
            rustix::fs::unlinkat(parent.as_fd(), temporary, AtFlags::empty()).ok();
        }
        moved
    }
}

/// The folder that holds an entry.
pub(crate) enum Parent<'a> {
    Borrowed(BorrowedFd<'a>),
    Owned(OwnedFd),
}

impl AsFd for Parent<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Borrowed(fd) => fd.as_fd(),
            Self::Owned(fd) => fd.as_fd(),
        }
    }
}

/// A new file `name` in `parent`, never an existing one.
pub(crate) fn write_fresh(parent: BorrowedFd<'_>, name: &OsStr, bytes: &[u8], mode: u32) -> Result<File, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600))?;
    let mut file = File::from(fd);
    file.write_all(bytes).map_err(|e| errno(&e))?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o777))?;
    Ok(file)
}

pub(crate) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

pub(crate) fn identity_at(parent: BorrowedFd<'_>, name: &OsStr) -> Result<Identity, Errno> {
    identify(parent, name, AtFlags::SYMLINK_NOFOLLOW)
}

pub(crate) fn identity_of(fd: BorrowedFd<'_>) -> Result<Identity, Errno> {
    identify(fd, OsStr::new(""), AtFlags::EMPTY_PATH)
}

fn identify(fd: BorrowedFd<'_>, name: &OsStr, flags: AtFlags) -> Result<Identity, Errno> {
    let stat = rustix::fs::statx(fd, name, flags, StatxFlags::BASIC_STATS | StatxFlags::BTIME)?;
    let moment = |t: &rustix::fs::StatxTimestamp| Moment { seconds: t.tv_sec, nanoseconds: t.tv_nsec };
    let mode = u32::from(stat.stx_mode);
    Ok(Identity {
        device: (stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
        kind: kind_of(FileType::from_raw_mode(mode)),
        mode: mode & 0o7777,
        links: stat.stx_nlink,
        size: stat.stx_size,
        modified: moment(&stat.stx_mtime),
        changed: moment(&stat.stx_ctime),
        born: moment(&stat.stx_btime),
    })
}

fn kind_of(kind: FileType) -> Kind {
    match kind {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        _ => Kind::Other,
    }
}

/// The names in `directory`, at most `entries_max`.
pub(crate) fn list(directory: BorrowedFd<'_>, entries_max: usize) -> Result<Listing, Errno> {
    let mut listing = Listing::default();
    listing.truncated = visit(directory, entries_max, |name, kind| {
        listing.entries.push(Listed { name: name.to_owned(), kind });
    })?;
    Ok(listing)
}

/// Shows each name in `directory`, at most `entries_max`; says whether there are more.
pub(crate) fn visit(
    directory: BorrowedFd<'_>,
    entries_max: usize,
    mut each: impl FnMut(&OsStr, Kind),
) -> Result<bool, Errno> {
    let mut buffer = [MaybeUninit::<u8>::uninit(); LISTING_BUFFER_BYTES];
    let mut reader = RawDir::new(directory, &mut buffer);
    let mut seen = 0;
    while let Some(entry) = reader.next() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        if seen >= entries_max {
            return Ok(true);
        }
        seen += 1;
        let kind = match entry.file_type() {
            FileType::Unknown => match identity_at(directory, name) {
                Ok(identity) => identity.kind,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error),
            },
            known => kind_of(known),
        };
        each(name, kind);
    }
    Ok(false)
}

/// Gives the owner all rights on the file or folder `name`, if it is one: what is unreadable cannot be judged.
pub(crate) fn make_accessible(parent: BorrowedFd<'_>, name: &OsStr) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    let identity = identity_of(fd.as_fd())?;
    let add = match identity.kind {
        Kind::Directory => 0o700,
        Kind::File => 0o600,
        Kind::Link | Kind::Other => return Err(Errno::INVAL),
    };
    // SECURITY: the handle's own entry in /proc leads to the very inode that was looked at, whatever the name is now.
    let own = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::chmod(own.as_str(), Mode::from_raw_mode((identity.mode & 0o777) | add))
}
