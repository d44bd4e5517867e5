// SPDX-License-Identifier: MIT OR Apache-2.0
//! Quarantine: a file loses its name at once, and never its content.
//!
//! In: an entry of the workspace and why it goes. Out: a folder of its own (mode 0700) with `content` and
//! `record.json` (mode 0600, see [`Record`]). On one file system the move is one rename; else the entry is first
//! renamed in place, then copied, synced and removed.
//!
//! **Invariant:** links are moved, never followed; an entry is removed only after its copy is on disk; what cannot
//! be copied stays in the workspace under a name that no program reads. Putting back is a person's decision and not
//! done here: move `content` to the `path` of the record.

use super::beneath::{self, Identity, Kind, Root};
use super::{Change, shown};
use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Most that is copied of one entry when quarantine lies on another file system. Bytes.
pub const QUARANTINE_COPY_BYTES_MAX: u64 = 256 << 20;
/// Most entries of one copied folder.
const COPY_ENTRIES_MAX: u32 = 65_536;
/// Deepest entry of a copied folder.
const COPY_DEPTH_MAX: usize = 64;
/// How many names are tried for one item.
const NAME_TRIES_MAX: u32 = 1_024;
/// Entries of a folder that are copied before it is listed again.
const COPY_BATCH_ENTRIES: usize = 1_024;

/// What `record.json` says about the `content` beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this form: 1.
    pub version: u32,
    /// The workspace, escaped where it is not plain text.
    pub workspace: String,
    /// The original path, relative to the workspace, escaped where it is not plain text.
    pub path: String,
    /// The bytes of the original path, in hexadecimal.
    pub path_hex: String,
    /// What it is.
    pub what: String,
    /// Why it was moved.
    pub why: String,
    /// `file`, `directory`, `link` or `other` (a device, socket or pipe, which has no content).
    pub kind: String,
    /// Its permissions, octal.
    pub mode: String,
    /// Its size. Bytes.
    pub size: u64,
}

/// Why an entry is not in quarantine.
#[derive(Debug)]
pub(super) enum TakeError {
    /// It lost its name and lies at this path of the workspace.
    Aside(PathBuf, Errno),
    /// It is still where it was.
    InPlace(Errno),
}

/// The quarantine of one settlement.
#[derive(Debug)]
pub(super) struct Quarantine {
    path: PathBuf,
    root: Result<Root, Errno>,
    prefix: String,
    next: u32,
}

impl Quarantine {
    /// Opens or makes the folder. A failure shows at the first use.
    pub(super) fn open(path: &Path, prefix: String) -> Self {
        let root = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| beneath::errno(&error))
            .and_then(|()| Root::open(path));
        Self { path: path.to_owned(), root, prefix, next: 0 }
    }

    /// A name that nobody else uses.
    pub(super) fn fresh_name(&mut self) -> OsString {
        self.next = self.next.saturating_add(1);
        OsString::from(format!(".ringfort-aside-{}-{}", self.prefix, self.next))
    }

    /// Moves the entry at `path` here and returns its folder.
    pub(super) fn take(&mut self, root: &Root, workspace: &Path, change: &Change) -> Result<PathBuf, TakeError> {
        let path = change.path.as_path();
        let (parent, name) = root.parent(path).map_err(TakeError::InPlace)?;
        let parent = parent.as_fd();
        let identity = beneath::identity_at(parent, name).map_err(TakeError::InPlace)?;
        if identity.kind == Kind::Directory && identity.mode & 0o700 != 0o700 {
            // A folder without write permission cannot change its parent. If this fails the rename says so.
            beneath::make_accessible(parent, name).ok();
        }
        let item = self.item(workspace, change, &identity);
        let error = match &item {
            // A file with other names is copied, so that those names do not lead into quarantine.
            Ok(_) if identity.kind == Kind::File && identity.links > 1 => Errno::XDEV,
            Ok((item, _)) => match rustix::fs::renameat(parent, name, &item.fd, "content") {
                Ok(()) => {
                    drop_rights(item.fd.as_fd());
                    return Ok(item.path.clone());
                }
                Err(error) => error,
            },
            Err(error) => *error,
        };
        let aside = self.fresh_name();
        match rustix::fs::renameat_with(parent, name, parent, aside.as_os_str(), RenameFlags::NOREPLACE) {
            Err(Errno::INVAL) => rustix::fs::renameat(parent, name, parent, aside.as_os_str()),
            result => result,
        }
        .map_err(TakeError::InPlace)?;
        let copied = match item {
            Ok((item, _)) if error == Errno::XDEV => {
                let mut budget = Budget { bytes: QUARANTINE_COPY_BYTES_MAX, entries: COPY_ENTRIES_MAX };
                let to = (item.fd.as_fd(), OsStr::new("content"));
                move_entry((parent, &aside), to, COPY_DEPTH_MAX, &mut budget).map(|()| item.path)
            }
            _ => Err(error),
        };
        let parent_path = path.parent().unwrap_or(Path::new(""));
        copied.map_err(|error| TakeError::Aside(parent_path.join(&aside), error))
    }

    /// Keeps `bytes`, which stood for `change`, here; returns the folder.
    pub(super) fn keep_bytes(&mut self, workspace: &Path, change: &Change, bytes: &[u8]) -> Result<PathBuf, Errno> {
        let zero = beneath::Moment { seconds: 0, nanoseconds: 0 };
        let identity = Identity {
            device: (0, 0),
            inode: 0,
            kind: Kind::File,
            mode: 0o600,
            links: 1,
            size: bytes.len() as u64,
            modified: zero,
            changed: zero,
            born: zero,
        };
        let (item, _) = self.item(workspace, change, &identity)?;
        let file = beneath::write_fresh(item.fd.as_fd(), OsStr::new("content"), bytes, 0o600)?;
        file.sync_data().map_err(|error| beneath::errno(&error))?;
        Ok(item.path)
    }

    /// A new folder with its record.
    fn item(&mut self, workspace: &Path, change: &Change, identity: &Identity) -> Result<(Item, u32), Errno> {
        let root = self.root.as_ref().map_err(|error| *error)?;
        for _ in 0..NAME_TRIES_MAX {
            self.next = self.next.saturating_add(1);
            let name = PathBuf::from(format!("{}-{}", self.prefix, self.next));
            let (parent, last) = root.parent(&name)?;
            match rustix::fs::mkdirat(parent.as_fd(), last, Mode::RWXU) {
                Ok(()) => {}
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(error),
            }
            let fd = root.directory(&name)?;
            let record = record(workspace, change, identity)?;
            beneath::write_fresh(fd.as_fd(), OsStr::new("record.json"), &record, 0o600)?;
            return Ok((Item { fd, path: self.path.join(name) }, self.next));
        }
        Err(Errno::EXIST)
    }
}

struct Item {
    fd: std::os::fd::OwnedFd,
    path: PathBuf,
}

fn record(workspace: &Path, change: &Change, identity: &Identity) -> Result<Vec<u8>, Errno> {
    let hex = change.path.as_os_str().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let record = Record {
        version: 1,
        workspace: shown(workspace).to_string(),
        path: shown(&change.path).to_string(),
        path_hex: hex,
        what: change.what.clone(),
        why: change.why.clone(),
        kind: match identity.kind {
            Kind::File => "file",
            Kind::Directory => "directory",
            Kind::Link => "link",
            Kind::Other => "other",
        }
        .to_owned(),
        mode: format!("{:04o}", identity.mode),
        size: identity.size,
    };
    let mut line = serde_json::to_vec_pretty(&record).map_err(|_| Errno::INVAL)?;
    line.push(b'\n');
    Ok(line)
}

/// Takes execution and set-user rights from a file in quarantine. Its folder keeps others out in any case.
fn drop_rights(item: BorrowedFd<'_>) {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(fd) = rustix::fs::openat(item, "content", flags, Mode::empty()) else { return };
    if beneath::identity_of(fd.as_fd()).is_ok_and(|identity| identity.kind == Kind::File) {
        let own = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&fd));
        rustix::fs::chmod(own.as_str(), Mode::from_raw_mode(0o600)).ok();
    }
}

struct Budget {
    bytes: u64,
    entries: u32,
}

type Place<'a> = (BorrowedFd<'a>, &'a OsStr);

/// Copies one entry to another file system and removes it, each part after its copy is on disk.
fn move_entry(from: Place<'_>, to: Place<'_>, depth_left: usize, budget: &mut Budget) -> Result<(), Errno> {
    budget.entries = budget.entries.checked_sub(1).ok_or(Errno::FBIG)?;
    let identity = beneath::identity_at(from.0, from.1)?;
    match identity.kind {
        Kind::File => {
            move_file(from, to, budget)?;
            rustix::fs::unlinkat(from.0, from.1, AtFlags::empty())
        }
        Kind::Link => {
            let target = rustix::fs::readlinkat(from.0, from.1, Vec::new())?;
            rustix::fs::symlinkat(target.as_c_str(), to.0, to.1)?;
            rustix::fs::unlinkat(from.0, from.1, AtFlags::empty())
        }
        Kind::Other => rustix::fs::unlinkat(from.0, from.1, AtFlags::empty()),
        Kind::Directory => {
            let depth_left = depth_left.checked_sub(1).ok_or(Errno::NAMETOOLONG)?;
            move_folder(from, to, depth_left, budget)?;
            rustix::fs::unlinkat(from.0, from.1, AtFlags::REMOVEDIR)
        }
    }
}

fn move_file(from: Place<'_>, to: Place<'_>, budget: &mut Budget) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(from.0, from.1, flags, Mode::empty());
    let fd = match open() {
        Err(Errno::ACCESS) => {
            beneath::make_accessible(from.0, from.1)?;
            open()?
        }
        result => result?,
    };
    if beneath::identity_of(fd.as_fd())?.kind != Kind::File {
        return Err(Errno::INVAL);
    }
    let copy = beneath::write_fresh(to.0, to.1, &[], 0o600)?;
    let mut reader = File::from(fd).take(budget.bytes.saturating_add(1));
    let mut writer = std::io::BufWriter::new(copy);
    let written = std::io::copy(&mut reader, &mut writer).map_err(|error| beneath::errno(&error))?;
    budget.bytes = budget.bytes.checked_sub(written).ok_or(Errno::FBIG)?;
    writer.flush().map_err(|error| beneath::errno(&error))?;
    writer.get_ref().sync_data().map_err(|error| beneath::errno(&error))
}

fn move_folder(from: Place<'_>, to: Place<'_>, depth_left: usize, budget: &mut Budget) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(from.0, from.1, flags, Mode::empty());
    if beneath::identity_at(from.0, from.1)?.mode & 0o700 != 0o700 {
        beneath::make_accessible(from.0, from.1)?;
    }
    let folder = open()?;
    rustix::fs::mkdirat(to.0, to.1, Mode::RWXU)?;
    let copy = rustix::fs::openat(to.0, to.1, flags, Mode::empty())?;
    loop {
        // Listed anew each time: entries were removed meanwhile. Bounded by the budget.
        let listing = beneath::list(open()?.as_fd(), COPY_BATCH_ENTRIES)?;
        if listing.entries.is_empty() {
            break;
        }
        for entry in &listing.entries {
            let name = entry.name.as_os_str();
            move_entry((folder.as_fd(), name), (copy.as_fd(), name), depth_left, budget)?;
        }
    }
    rustix::fs::fsync(&copy)
}
