// SPDX-License-Identifier: MIT OR Apache-2.0
//! Puts prepared entries into place, one rename each; undoes that, or goes on with it after a crash.
//!
//! In: a journal that is on disk, and its staging folder. Out: every step done, or every step undone.
//!
//! **Invariant:** a name is resolved beneath the workspace and through no link, at the moment of its rename. What came
//! out of the real tree is looked at afterwards; where it is not what the journal names it goes back. Nothing that was
//! there is removed before every step is done.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, RenameFlags, XattrFlags};
use rustix::io::Errno;

use super::copy::set_modified;
use super::facts::{Kind, facts_at, facts_beneath, facts_of, own_path, xattrs_of};
use super::journal::{Doing, Finish, Journal, Step, Which};
use crate::startup::beneath::Root;

/// A step that could not be done.
pub(super) struct Failure {
    pub(super) path: PathBuf,
    pub(super) errno: Errno,
    /// Whether something else than expected stood there.
    pub(super) is_conflict: bool,
}

/// How far a step has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Done,
    /// Neither what was nor what is to be stands there.
    Lost,
}

/// Carries out what is left of a journal.
pub(super) fn carry_out(real: &Root, place: &Root, journal: &Journal) -> Result<(), Failure> {
    open_shut(real, journal)?;
    for step in &journal.steps {
        let failed = |errno: Errno| Failure { path: step.path.0.clone(), errno, is_conflict: false };
        match state(real, place, step).map_err(failed)? {
            State::Done => {}
            State::Open => one(real, place, step)?,
            State::Lost => return Err(Failure { is_conflict: true, ..failed(Errno::BUSY) }),
        }
    }
    Ok(())
}

/// Takes back every step that was done.
pub(super) fn undo(real: &Root, place: &Root, journal: &Journal) -> Result<(), Failure> {
    for step in journal.steps.iter().rev() {
        let failed = |errno: Errno| Failure { path: step.path.0.clone(), errno, is_conflict: false };
        if state(real, place, step).map_err(failed)? == State::Done {
            back(real, place, step).map_err(failed)?;
        }
    }
    restore_shut(real, journal)
}

fn state(real: &Root, place: &Root, step: &Step) -> Result<State, Errno> {
    let slot = facts_beneath(place, Path::new(&step.slot))?.as_ref().map(Which::from);
    let there = facts_beneath(real, &step.path.0)?.as_ref().map(Which::from);
    Ok(match step.doing {
        Doing::Add { new } if slot == Some(new) => State::Open,
        Doing::Add { new } if there == Some(new) => State::Done,
        Doing::Swap { new, .. } if slot == Some(new) => State::Open,
        Doing::Swap { new, old } if slot == Some(old) && there == Some(new) => State::Done,
        Doing::Remove { old } if slot == Some(old) => State::Done,
        Doing::Remove { .. } if slot.is_none() => State::Open,
        _ => State::Lost,
    })
}

fn one(real: &Root, place: &Root, step: &Step) -> Result<(), Failure> {
    let failed = |errno: Errno| Failure { path: step.path.0.clone(), errno, is_conflict: errno == Errno::EXIST };
    let conflict = || Failure { path: step.path.0.clone(), errno: Errno::BUSY, is_conflict: true };
    let (parent, name) = real.parent(&step.path.0).map_err(failed)?;
    let parent = parent.as_fd();
    let staging = place.directory(Path::new("")).map_err(failed)?;
    let slot = OsStr::new(&step.slot);
    match step.doing {
        Doing::Add { .. } => rename(staging.as_fd(), slot, parent, name, RenameFlags::NOREPLACE).map_err(failed),
        Doing::Swap { old, .. } => {
            rename(staging.as_fd(), slot, parent, name, RenameFlags::EXCHANGE).map_err(failed)?;
            if is_there(staging.as_fd(), slot, old).map_err(failed)? {
                return Ok(());
            }
            rename(staging.as_fd(), slot, parent, name, RenameFlags::EXCHANGE).map_err(failed)?;
            Err(conflict())
        }
        Doing::Remove { old } => {
            rename(parent, name, staging.as_fd(), slot, RenameFlags::NOREPLACE).map_err(failed)?;
            if is_there(staging.as_fd(), slot, old).map_err(failed)? {
                return Ok(());
            }
            rename(staging.as_fd(), slot, parent, name, RenameFlags::NOREPLACE).map_err(failed)?;
            Err(conflict())
        }
    }
}

fn back(real: &Root, place: &Root, step: &Step) -> Result<(), Errno> {
    let (parent, name) = real.parent(&step.path.0)?;
    let staging = place.directory(Path::new(""))?;
    let slot = OsStr::new(&step.slot);
    match step.doing {
        Doing::Add { .. } => rename(parent.as_fd(), name, staging.as_fd(), slot, RenameFlags::NOREPLACE),
        Doing::Swap { .. } => rename(staging.as_fd(), slot, parent.as_fd(), name, RenameFlags::EXCHANGE),
        Doing::Remove { .. } => rename(staging.as_fd(), slot, parent.as_fd(), name, RenameFlags::NOREPLACE),
    }
}

fn rename(from: BorrowedFd<'_>, old: &OsStr, to: BorrowedFd<'_>, new: &OsStr, flags: RenameFlags) -> Result<(), Errno> {
    rustix::fs::renameat_with(from, old, to, new, flags)
}

fn is_there(folder: BorrowedFd<'_>, name: &OsStr, which: Which) -> Result<bool, Errno> {
    Ok(facts_at(folder, name)?.as_ref().map(Which::from) == Some(which))
}

/// Opens the folders up that are in the way, the outermost first.
fn open_shut(real: &Root, journal: &Journal) -> Result<(), Failure> {
    let mut paths: Vec<&Path> = journal.shut.iter().map(|(path, _)| path.0.as_path()).collect();
    paths.sort_by_key(|path| path.components().count());
    for path in paths {
        let failed = |errno: Errno| Failure { path: path.to_owned(), errno, is_conflict: false };
        let open = || -> Result<(), Errno> {
            let fd = real.open_at(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
            let facts = facts_of(fd.as_fd())?;
            rustix::fs::chmod(own_path(fd.as_fd()), Mode::from_raw_mode(facts.mode | 0o700))
        };
        match open() {
            // It has gone with a step that was done before.
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            // Whoever has no right to its mode may have the right to write in it all the same.
            Err(Errno::PERM) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

fn restore_shut(real: &Root, journal: &Journal) -> Result<(), Failure> {
    finish_all(real, journal.shut.iter().map(reshut).collect())
}

fn reshut((path, mode): &(super::layer::RelativePath, u32)) -> Finish {
    Finish { path: path.clone(), mode: Some(*mode), xattrs: None, modified: None }
}

/// Gives every folder what it is to have in the end, the innermost first.
pub(super) fn finish(real: &Root, journal: &Journal) -> Result<(), Failure> {
    let all = journal.shut.iter().map(reshut).chain(journal.finish.iter().cloned()).collect();
    finish_all(real, all)
}

fn finish_all(real: &Root, mut all: Vec<Finish>) -> Result<(), Failure> {
    all.sort_by_key(|finish| std::cmp::Reverse(finish.path.0.components().count()));
    for finish in &all {
        let path = finish.path.0.as_path();
        match finish_one(real, path, finish) {
            // What was opened up to be taken away is gone.
            Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => return Err(Failure { path: path.to_owned(), errno, is_conflict: false }),
        }
    }
    Ok(())
}

fn finish_one(real: &Root, path: &Path, finish: &Finish) -> Result<(), Errno> {
    let fd = real.open_at(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
    let facts = facts_of(fd.as_fd())?;
    if facts.kind != Kind::Folder {
        return Ok(());
    }
    let own = own_path(fd.as_fd());
    if let Some(wanted) = &finish.xattrs {
        let names: BTreeSet<&OsStr> = wanted.iter().map(|(name, _)| name.as_os_str()).collect();
        for (name, _) in xattrs_of(fd.as_fd())?.iter().filter(|(name, _)| !names.contains(name.as_os_str())) {
            rustix::fs::removexattr(own.as_str(), name.as_os_str())?;
        }
        for (name, value) in wanted {
            rustix::fs::setxattr(own.as_str(), name.as_os_str(), value, XattrFlags::empty())?;
        }
    }
    if let Some(mode) = finish.mode.filter(|mode| *mode != facts.mode) {
        rustix::fs::chmod(own.as_str(), Mode::from_raw_mode(mode))?;
    }
    if let Some(modified) = finish.modified.filter(|modified| *modified != facts.modified.into()) {
        set_modified(fd.as_fd(), modified.into())?;
    }
    Ok(())
}
