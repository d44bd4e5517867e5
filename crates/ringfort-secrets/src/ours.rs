// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether an open file or folder is this user's alone: judged here, for the store and for every small file beside it.
//!
//! In: what the system says of an open file. Out: nothing, or what is wrong with it.
//!
//! **Invariant:** what was opened is what is judged, never a path.

use rustix::fs::{FileType, OFlags, Stat};

use crate::store::Unfit;

/// The mode of a file.
pub(crate) const FILE_MODE: u32 = 0o600;
/// The mode of a folder.
pub(crate) const FOLDER_MODE: u32 = 0o700;
/// The rights that nobody but the owner may have.
const OTHERS: u32 = 0o077;
/// How a file that is there is opened: no link, and a pipe in its place must not stop us; it is refused afterwards.
pub(crate) const THERE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
/// How a new file is opened.
pub(crate) const NEW: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// How a folder is opened.
pub(crate) const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What a file is.
pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Whether owner and mode keep others out.
pub(crate) fn alone(stat: &Stat, wanted: u32) -> Result<(), Unfit> {
    if stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Unfit::Owner { owner: stat.st_uid });
    }
    if stat.st_mode & OTHERS != 0 {
        return Err(Unfit::Mode { mode: stat.st_mode & 0o7777, wanted });
    }
    Ok(())
}

/// Whether it is a regular file of one name that keeps others out.
pub(crate) fn file(stat: &Stat) -> Result<(), Unfit> {
    if kind(stat) != FileType::RegularFile {
        return Err(Unfit::Kind);
    }
    alone(stat, FILE_MODE)?;
    if stat.st_nlink > 1 { Err(Unfit::SecondName) } else { Ok(()) }
}
