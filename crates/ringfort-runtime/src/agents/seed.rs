// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies what an agent keeps in the home into a folder that is the caged agent's own.
//!
//! In: a folder or file of the real home. Out: its copy, made once; credentials are brought up to date.
//!
//! **Invariant:** the target folder may have been written by a caged agent: it is opened beneath handles, no link in it
//! is followed, and a file is made under a new name and renamed. Links, devices and sockets of the source are left out.
//! Everything is bounded.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags, fstat, mkdirat, openat, renameat_with, statat};
use rustix::io::Errno;

/// Most entries of one folder that are copied.
const ENTRIES_MAX: usize = 4096;
/// Most folders inside one another.
const DEPTH_MAX: usize = 16;
/// Largest file that is copied. Bytes.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// Most bytes of one folder that are copied.
const BYTES_MAX: u64 = 64 << 20;
/// Where the files stand for settings that do not exist.
const EMPTY: &str = "no-settings";

/// Why the copy cannot be made. What was there before is still there.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the caged agent's copy of `{}`", path.display())]
pub struct SeedError {
    /// What was being copied.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

fn failed(path: &Path) -> impl Fn(Errno) -> SeedError {
    move |errno| SeedError { path: path.to_owned(), source: errno.into() }
}

/// How much of a folder was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Copied {
    /// All of it, or it was there already.
    Whole,
    /// Some of it was too large, too deep or too much.
    InPart,
}

struct Budget {
    entries: usize,
    bytes: u64,
    copied: Copied,
}

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Makes `copy` (and what is above it) if it is missing, with the content of `real`.
pub(super) fn folder(real: &Path, copy: &Path) -> Result<Copied, SeedError> {
    let whole = Ok(Copied::Whole);
    match copy.symlink_metadata() {
        Ok(meta) if meta.is_dir() => return whole,
        Ok(_) => return Err(failed(copy)(Errno::NOTDIR)),
        Err(_) => {}
    }
    let (Some(parent), Some(name)) = (copy.parent(), copy.file_name()) else { return Err(failed(copy)(Errno::INVAL)) };
    make_private(parent)?;
    let parent = rustix::fs::open(parent, FOLDER, Mode::empty()).map_err(failed(copy))?;
    // Under another name until it is whole: a copy that was interrupted is not taken for one.
    let draft = format!(".draft-{}", rustix::process::getpid().as_raw_nonzero());
    remove(&parent, &draft, copy)?;
    mkdirat(&parent, &draft, Mode::RWXU).map_err(failed(copy))?;
    let mut budget = Budget { entries: 0, bytes: 0, copied: Copied::Whole };
    if let Ok(source) = rustix::fs::open(real, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        let target = openat(&parent, &draft, FOLDER, Mode::empty()).map_err(failed(copy))?;
        copy_folder(&source, &target, 0, &mut budget).map_err(failed(real))?;
    }
    match renameat_with(&parent, &draft, &parent, name, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(budget.copied),
        // Another run has made it meanwhile.
        Err(Errno::EXIST) => remove(&parent, &draft, copy).map(|()| Copied::Whole),
        Err(errno) => Err(failed(copy)(errno)),
    }
}

fn make_private(path: &Path) -> Result<(), SeedError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| SeedError { path: path.to_owned(), source })
}

/// Removes what an interrupted copy has left.
fn remove(parent: &OwnedFd, name: &str, shown: &Path) -> Result<(), SeedError> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(parent))).join(name);
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(SeedError { path: shown.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

fn copy_folder(source: &OwnedFd, target: &OwnedFd, depth: usize, budget: &mut Budget) -> rustix::io::Result<()> {
    for entry in rustix::fs::Dir::read_from(source)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        budget.entries += 1;
        if budget.entries > ENTRIES_MAX {
            budget.copied = Copied::InPart;
            return Ok(());
        }
        let Ok(status) = statat(source, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        match FileType::from_raw_mode(status.st_mode) {
            FileType::Directory if depth >= DEPTH_MAX => budget.copied = Copied::InPart,
            FileType::Directory => {
                let Ok(inner) = openat(source, name, FOLDER, Mode::empty()) else { continue };
                mkdirat(target, name, Mode::RWXU)?;
                copy_folder(&inner, &openat(target, name, FOLDER, Mode::empty())?, depth + 1, budget)?;
            }
            FileType::RegularFile => {
                let size = u64::try_from(status.st_size).unwrap_or(u64::MAX);
                if size > FILE_BYTES_MAX || budget.bytes.saturating_add(size) > BYTES_MAX {
                    budget.copied = Copied::InPart;
                    continue;
                }
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let Ok(from) = openat(source, name, flags, Mode::empty()) else { continue };
                budget.bytes += copy_file(File::from(from), target, name, status.st_mode)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Copies one open file under a name that does not exist yet.
fn copy_file<P: rustix::path::Arg>(from: File, target: &OwnedFd, name: P, mode: u32) -> rustix::io::Result<u64> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let kept = Mode::from_raw_mode(mode & 0o700) | Mode::RUSR | Mode::WUSR;
    let mut to = File::from(openat(target, name, flags, kept)?);
    let copied = io::copy(&mut from.take(FILE_BYTES_MAX), &mut to).and_then(|bytes| to.flush().map(|()| bytes));
    copied.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Opens the folder that holds `relative` below `own`, made where it is missing, without following a link.
fn parent_below(own: &Path, relative: &Path) -> Result<(OwnedFd, PathBuf), SeedError> {
    let shown = own.join(relative);
    let mut current = rustix::fs::open(own, FOLDER, Mode::empty()).map_err(failed(&shown))?;
    let mut parts: Vec<Component<'_>> = relative.components().collect();
    let last = parts.pop();
    for part in parts {
        let Component::Normal(name) = part else { return Err(failed(&shown)(Errno::INVAL)) };
        match mkdirat(&current, name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed(&shown)(errno)),
        }
        current = openat(&current, name, FOLDER, Mode::empty()).map_err(failed(&shown))?;
    }
    match last {
        Some(Component::Normal(name)) => Ok((current, PathBuf::from(name))),
        _ => Err(failed(&shown)(Errno::INVAL)),
    }
}

/// Replaces the file `relative` below `own` by `real` where that is newer; a missing `real` changes nothing.
pub(super) fn newer(real: &Path, own: &Path, relative: &Path) -> Result<(), SeedError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(from) = rustix::fs::open(real, flags, Mode::empty()) else { return Ok(()) };
    let status = fstat(&from).map_err(failed(real))?;
    let is_file = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile;
    if !is_file || u64::try_from(status.st_size).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Ok(());
    }
    let (parent, name) = parent_below(own, relative)?;
    let current = statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW).ok();
    if current
        .is_some_and(|current| (current.st_mtime, current.st_mtime_nsec) >= (status.st_mtime, status.st_mtime_nsec))
    {
        return Ok(());
    }
    let draft = format!(".draft-{}", rustix::process::getpid().as_raw_nonzero());
    match rustix::fs::unlinkat(&parent, &draft, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(failed(real)(errno)),
    }
    copy_file(File::from(from), &parent, &draft, status.st_mode).map_err(failed(real))?;
    rustix::fs::renameat(&parent, &draft, &parent, &name).map_err(failed(real))
}

/// Makes sure that a file can be mounted over `relative`: whatever else the agent has put there is moved aside.
pub(super) fn place_for(own: &Path, relative: &Path) -> Result<(), SeedError> {
    let shown = own.join(relative);
    let (parent, name) = parent_below(own, relative)?;
    let kind = statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW).map(|status| FileType::from_raw_mode(status.st_mode));
    match kind {
        Ok(FileType::RegularFile) => return Ok(()),
        Ok(_) => {
            let aside = format!("{}.aside-{}", name.display(), rustix::process::getpid().as_raw_nonzero());
            rustix::fs::renameat(&parent, &name, &parent, aside).map_err(failed(&shown))?;
        }
        Err(Errno::NOENT) => {}
        Err(errno) => return Err(failed(&shown)(errno)),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(&parent, &name, flags, Mode::RUSR | Mode::WUSR).map(drop).map_err(failed(&shown))
}

/// A file that stands for settings that the real home does not have.
pub(super) fn empty(own: &Path, relative: &str, content: &str) -> Result<PathBuf, SeedError> {
    let folder = own.join(EMPTY);
    make_private(&folder)?;
    let path = folder.join(relative.replace('/', "_"));
    // Outside every folder that an agent sees, so that nothing but this writes it.
    let written = std::fs::read(&path).is_ok_and(|there| there == content.as_bytes());
    let result = if written { Ok(()) } else { std::fs::write(&path, content) };
    result.map_err(|source| SeedError { path: path.clone(), source }).map(|()| path)
}
