// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one entry is, on the real side or in a layer: facts of its inode, its extended attributes, and what an overlay
//! says about it.
//!
//! In: an open folder and a name. Out: [`Facts`]; handles for reading, also of what its owner has shut.
//!
//! **Invariant:** a name is looked up without following it. What is opened up to be read gets its mode back when the
//! [`Opened`] is dropped. Nothing here compares or judges.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use crate::startup::beneath::{Moment, Root};

/// Largest list of attribute names of one file. Bytes.
const XATTR_NAMES_BYTES_MAX: usize = 64 << 10;
/// Largest value of one attribute: the kernel's own bound. Bytes.
const XATTR_VALUE_BYTES_MAX: usize = 64 << 10;
/// Attributes by which an overlay whose owner has no rights speaks to itself.
const OVERLAY: &[u8] = b"user.overlay.";

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
    /// A character or block device.
    Device,
}

/// What the kernel says about one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) kind: Kind,
    /// Permission bits with the set-user, set-group and sticky bits.
    pub(super) mode: u32,
    pub(super) user: u32,
    pub(super) group: u32,
    pub(super) size: u64,
    /// Device of the file system, and number of the inode in it.
    pub(super) device: (u32, u32),
    pub(super) inode: u64,
    pub(super) links: u32,
    /// Which device it is, for a device.
    pub(super) number: (u32, u32),
    pub(super) modified: Moment,
    pub(super) changed: Moment,
    /// The mount it lies in; 0 where the kernel does not say.
    pub(super) mount: u64,
}

impl Facts {
    /// How an overlay says in its layer that a name is gone.
    pub(super) fn is_whiteout(&self) -> bool {
        self.kind == Kind::Device && self.number == (0, 0)
    }
}

/// What `name` in `folder` is; `None` if nothing is there.
pub(super) fn facts_at(folder: BorrowedFd<'_>, name: &OsStr) -> Result<Option<Facts>, Errno> {
    match facts(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(facts) => Ok(Some(facts)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What an open file or folder is.
pub(super) fn facts_of(fd: BorrowedFd<'_>) -> Result<Facts, Errno> {
    facts(fd, OsStr::new(""), AtFlags::EMPTY_PATH)
}

fn facts(fd: BorrowedFd<'_>, name: &OsStr, flags: AtFlags) -> Result<Facts, Errno> {
    let stat = rustix::fs::statx(fd, name, flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)?;
    let moment = |t: &rustix::fs::StatxTimestamp| Moment { seconds: t.tv_sec, nanoseconds: t.tv_nsec };
    let mode = u32::from(stat.stx_mode);
    let kind = match FileType::from_raw_mode(mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Folder,
        FileType::Symlink => Kind::Link,
        FileType::Fifo => Kind::Pipe,
        FileType::Socket => Kind::Socket,
        _ => Kind::Device,
    };
    let has_mount = stat.stx_mask & StatxFlags::MNT_ID.bits() != 0;
    Ok(Facts {
        kind,
        mode: mode & 0o7777,
        user: stat.stx_uid,
        group: stat.stx_gid,
        size: stat.stx_size,
        device: (stat.stx_dev_major, stat.stx_dev_minor),
        inode: stat.stx_ino,
        links: stat.stx_nlink,
        number: (stat.stx_rdev_major, stat.stx_rdev_minor),
        modified: moment(&stat.stx_mtime),
        changed: moment(&stat.stx_ctime),
        mount: if has_mount { stat.stx_mnt_id } else { 0 },
    })
}

/// Facts of what stands at `path` below `root`; `None` if nothing does. A link on the way is an error.
pub(super) fn facts_beneath(root: &Root, path: &Path) -> Result<Option<Facts>, Errno> {
    if path.as_os_str().is_empty() {
        return facts_of(root.open_at(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?.as_fd()).map(Some);
    }
    match root.parent(path) {
        Ok((parent, name)) => facts_at(parent.as_fd(), name),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The own entry of a handle in `/proc`: it leads to the very inode, whatever its name is now.
pub(super) fn own_path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Entries that were opened up to be read; their modes come back when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Opened(Vec<(OwnedFd, u32)>);

impl Opened {
    /// Gives the owner of `path` the rights in `add`, and whatever is needed on the way to it.
    ///
    /// Only for a layer, which nobody else writes to.
    pub(super) fn open_up(&mut self, root: &Root, path: &Path, add: u32) -> Result<(), Errno> {
        let mut way = PathBuf::new();
        for part in path {
            way.push(part);
            self.open_one(root, &way, add)?;
        }
        Ok(())
    }

    /// The same for the last name only; a folder is opened up to be listed and entered.
    pub(super) fn open_one(&mut self, root: &Root, path: &Path, add: u32) -> Result<(), Errno> {
        let (parent, name) = root.parent(path)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(parent.as_fd(), name, flags, Mode::empty())?;
        let facts = facts_of(fd.as_fd())?;
        let add = if facts.kind == Kind::Folder { 0o500 } else { add };
        if matches!(facts.kind, Kind::Folder | Kind::File) && facts.mode & add != add {
            rustix::fs::chmod(own_path(fd.as_fd()), Mode::from_raw_mode(facts.mode | add))?;
            self.0.push((fd, facts.mode));
        }
        Ok(())
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // The innermost first. What cannot be shut again stays readable for its owner alone.
        for (fd, mode) in self.0.iter().rev() {
            rustix::fs::chmod(own_path(fd.as_fd()), Mode::from_raw_mode(*mode)).ok();
        }
    }
}

/// Opens the file or folder `path` of a layer for reading, and opens it up where it is shut.
pub(super) fn open_in_layer(root: &Root, path: &Path, opened: &mut Opened) -> Result<OwnedFd, Errno> {
    let open = || root.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty());
    match open() {
        Err(Errno::ACCESS) => {
            opened.open_up(root, path, 0o400)?;
            open()
        }
        result => result,
    }
}

/// An extended attribute.
pub(super) type Xattr = (OsString, Vec<u8>);

/// The attributes of an open file or folder that mean something outside: the user's own, and access lists.
pub(super) fn xattrs_of(fd: BorrowedFd<'_>) -> Result<Vec<Xattr>, Errno> {
    let path = own_path(fd);
    let mut found = Vec::new();
    for name in xattr_names(&path)? {
        let bytes = name.as_bytes();
        let outside = match bytes.strip_prefix(OVERLAY) {
            // What a program calls by such a name is kept under a longer one.
            Some(own) => match own.strip_prefix(b"overlay.") {
                Some(rest) => OsString::from_vec([OVERLAY, rest].concat()),
                None => continue,
            },
            None if bytes.starts_with(b"user.") || bytes.starts_with(b"system.posix_acl_") => name.clone(),
            None => continue,
        };
        if let Some(value) = xattr(&path, &name)? {
            found.push((outside, value));
        }
    }
    found.sort();
    Ok(found)
}

/// What an overlay says about an open folder or file of its layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OverlayWords {
    /// Nothing of the lower folder shows through.
    pub(super) is_opaque: bool,
    /// A plain file that stands for a name that is gone.
    pub(super) is_whiteout: bool,
    /// It leads elsewhere, or holds no content of its own: not made by the cage, and not understood here.
    pub(super) is_foreign: bool,
}

pub(super) fn overlay_words(fd: BorrowedFd<'_>) -> Result<OverlayWords, Errno> {
    let path = own_path(fd);
    let mut words = OverlayWords::default();
    for name in xattr_names(&path)? {
        match name.as_bytes().strip_prefix(OVERLAY) {
            Some(b"opaque") => {
                let value = xattr(&path, &name)?;
                words.is_opaque |= value.as_deref() == Some(b"y");
            }
            Some(b"whiteout") => words.is_whiteout = true,
            Some(b"redirect" | b"metacopy") => words.is_foreign = true,
            _ => {}
        }
    }
    Ok(words)
}

fn xattr_names(path: &str) -> Result<Vec<OsString>, Errno> {
    let mut buffer = vec![0_u8; 1024];
    let length = match rustix::fs::listxattr(path, &mut buffer) {
        Err(Errno::RANGE) => {
            buffer.resize(XATTR_NAMES_BYTES_MAX, 0);
            rustix::fs::listxattr(path, &mut buffer)?
        }
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        result => result?,
    };
    let names = buffer.get(..length).unwrap_or_default().split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| OsStr::from_bytes(name).to_owned()).collect())
}

fn xattr(path: &str, name: &OsStr) -> Result<Option<Vec<u8>>, Errno> {
    let mut buffer = vec![0_u8; 1024];
    let length = match rustix::fs::getxattr(path, name, &mut buffer) {
        Err(Errno::RANGE) => {
            buffer.resize(XATTR_VALUE_BYTES_MAX, 0);
            rustix::fs::getxattr(path, name, &mut buffer)?
        }
        Err(Errno::NODATA) => return Ok(None),
        result => result?,
    };
    buffer.truncate(length);
    Ok(Some(buffer))
}
