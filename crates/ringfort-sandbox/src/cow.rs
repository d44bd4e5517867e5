// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copy-on-write runs: what a program changes in the workspace is kept beside it, until a person applies or discards it.
//!
//! In: a workspace and an empty private folder ([`begin`]); after the run that folder again ([`changes`], [`apply`]).
//! Out: a [`CowView`](crate::profile::CowView) for the cage; then a list of changes, each with what stands against
//! applying it; then the same changes in the real tree, all or none.
//!
//! **Invariant:** before [`apply`] nothing real has changed. Everything in the real tree is opened beneath its handle
//! and through no link, and what was replaced is compared, after it was taken out, with what was seen before.
//! A real file that changed since the run began is a conflict, and then nothing is applied.
//! Who may apply, and what goes on the record, is decided elsewhere.

mod apply;
mod begin;
mod change;
mod commit;
mod compare;
mod copy;
mod facts;
mod journal;
mod layer;
mod remove;
mod renamed;
mod stage;

pub use apply::{Allow, Applied, ApplyError, Refusal, Resumed, apply, resume};
pub use begin::{BeginError, Begun, COPY_BYTES_MAX, Wish, begin};
pub use change::{Aspect, Change, Changes, ReadError, Side, What};
pub use compare::changes;
pub use facts::Kind;
pub use layer::{Form, Layer, Mark, RelativePath};
pub use remove::{GONE, remove, remove_rest};

use std::path::Path;

use rustix::io::Errno;

use crate::startup::beneath::Root;

/// Name of the folder with the changes, in the private folder of a run.
const UPPER: &str = "upper";
/// Name of the kernel's folder beside it.
const WORK: &str = "work";
/// Name of the copy of a workspace.
const COPY: &str = "copy";

/// Most entries of one layer, and of one workspace that is copied.
pub const ENTRIES_MAX: usize = 1 << 20;

/// The part of a run's private folder that holds what the program wrote.
fn open_layer(layer: &Layer, folder: &Path) -> Result<Root, Errno> {
    let name = match layer.form {
        Form::Overlay => UPPER,
        Form::Copy => COPY,
    };
    Root::open(&folder.join(name))
}

/// Keeps what the real entries are that a run has changed, so that whatever happens to them later is noticed.
///
/// # Errors
///
/// It is not kept; changes from outside are then told by the times of the kernel alone.
pub fn keep_seen(folder: &Path, changes: &Changes) -> std::io::Result<()> {
    journal::Seen::write(folder, changes.list.iter().map(|change| (change.path.clone(), change.old)).collect())
}

/// Reads a regular file of a layer as far as `bytes_max`, for showing it.
///
/// # Errors
///
/// It is no regular file, is too large, or cannot be read.
pub fn read_new(layer: &Layer, folder: &Path, path: &Path, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    let root = open_layer(layer, folder)?;
    let mut opened = facts::Opened::default();
    let fd = facts::open_in_layer(&root, path, &mut opened)?;
    read_file(fd, bytes_max)
}

/// Reads a regular file of the real workspace as far as `bytes_max`, for showing it.
///
/// # Errors
///
/// It is no regular file, is too large, or cannot be read.
pub fn read_old(layer: &Layer, path: &Path, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    let root = Root::open(&layer.workspace)?;
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    read_file(root.open_at(path, flags, rustix::fs::Mode::empty())?, bytes_max)
}

fn read_file(fd: std::os::fd::OwnedFd, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let file = std::fs::File::from(fd);
    if !file.metadata()?.is_file() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests;
