// SPDX-License-Identifier: MIT OR Apache-2.0
//! Applies the changes of a run to the real workspace: all that are selected, or none.
//!
//! In: a layer, which paths, and how much is agreed to. Out: [`Applied`], or why nothing was.
//!
//! **Invariant:** check, prepare beside, journal, rename. An error before the journal leaves the workspace as it was;
//! one after it is undone; a crash leaves the journal, with which [`resume`] goes on.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::change::{Change, Changes, ReadError, What};
use super::commit::{self, Failure};
use super::compare::changes;
use super::facts::{Kind, facts_beneath};
use super::journal::{Accepted, Journal, Phase};
use super::layer::Layer;
use super::open_layer;
use super::remove::remove_at;
use super::stage::{open_staging, reopen, staging_name};
use crate::startup::beneath::Root;

/// Most refusals that are named.
const REFUSALS_MAX: usize = 1_000;

/// How much a person agrees to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    /// What only changes files.
    Ordinary,
    /// Also what makes programs outside run code: start-up files, set-user bits, pipes.
    Startup,
}

/// Why a change is in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Relative to the workspace.
    pub path: PathBuf,
    /// Why.
    pub why: String,
    /// Whether an explicit yes would lift it.
    pub is_concern: bool,
}

/// Why nothing was applied, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The changes cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A path that was named is no change, and none is below it.
    #[error("`{}` has no changes to apply", crate::startup::shown(path))]
    NoChange {
        /// The path.
        path: PathBuf,
    },
    /// Some changes must not be applied.
    #[error("{} of the changes cannot be applied as they are", refusals.len())]
    Refused {
        /// Which, and why.
        refusals: Vec<Refusal>,
    },
    /// An earlier application did not end.
    #[error("an earlier `apply` of these changes was interrupted")]
    Unfinished,
    /// What is to be applied could not be prepared.
    #[error("cannot prepare `{}`", crate::startup::shown(path))]
    Prepare {
        /// Relative to the workspace.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A step failed, and all before it were undone.
    #[error("cannot change `{}`; everything was put back", crate::startup::shown(path))]
    Undone {
        /// Relative to the workspace.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// Whether somebody changed it at the same time.
        is_conflict: bool,
    },
    /// A step failed and something could not be undone: a part is applied. The journal is kept.
    #[error("cannot change `{}`, and not everything could be put back", crate::startup::shown(path))]
    Partial {
        /// Relative to the workspace.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The private folder of the run cannot be used.
    #[error("cannot use the private folder of the run")]
    Folder(#[source] io::Error),
}

impl ApplyError {
    pub(super) fn prepare(path: &Path, errno: Errno) -> Self {
        Self::Prepare { path: path.to_owned(), source: errno.into() }
    }
}

/// What was applied.
#[derive(Debug, Default)]
pub struct Applied {
    /// The changes.
    pub changes: Vec<Change>,
    /// What was not, because it never is.
    pub left_out: Vec<Refusal>,
}

/// What became of an application that was interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// There was none.
    Nothing,
    /// It was carried out to its end: so many steps.
    Done(usize),
}

/// Applies the changes of the layer in `folder` that are at or below the paths in `select`; all if there are none.
///
/// # Errors
///
/// [`ApplyError`]: nothing was applied, unless it is [`ApplyError::Partial`].
pub fn apply(layer: &Layer, folder: &Path, select: &[PathBuf], allow: Allow) -> Result<Applied, ApplyError> {
    if Journal::read(folder).map_err(ApplyError::Folder)?.is_some() {
        return Err(ApplyError::Unfinished);
    }
    let found = changes(layer, folder)?;
    let mut selection = Selection::new(&found, select)?;
    selection.check(allow)?;
    let left_out = std::mem::take(&mut selection.left_out);
    let only_times = select.is_empty() && !found.folder_times.is_empty();
    if selection.is_empty() && !only_times {
        return Ok(Applied { changes: Vec::new(), left_out });
    }
    let real = Root::open(&layer.workspace)
        .map_err(|errno| ReadError::Workspace { path: PathBuf::new(), source: errno.into() })?;
    let new = open_layer(layer, folder).map_err(|errno| ApplyError::Folder(errno.into()))?;
    let name = staging_name(folder);
    match prepare(&selection, &found, (&real, &new), &name) {
        Ok((place, journal)) => {
            journal.write(folder).map_err(ApplyError::Folder)?;
            commit_all(&real, &place, &journal, folder)?;
        }
        Err(error) => {
            clear_staging(&real, &name);
            return Err(error);
        }
    }
    let applied = selection.applied();
    Ok(Applied { changes: applied, left_out })
}

/// Goes on with an application that was interrupted.
///
/// # Errors
///
/// [`ApplyError::Partial`]: it could still not be carried out.
pub fn resume(layer: &Layer, folder: &Path) -> Result<Resumed, ApplyError> {
    let Some((journal, phase)) = Journal::read(folder).map_err(ApplyError::Folder)? else {
        return Ok(Resumed::Nothing);
    };
    let partial = |path: &Path, errno: Errno| ApplyError::Partial { path: path.to_owned(), source: errno.into() };
    let real = Root::open(&layer.workspace).map_err(|errno| partial(Path::new(""), errno))?;
    if phase == Phase::Steps {
        let staging = Path::new(&journal.staging);
        let place = reopen(&real, &journal).map_err(|errno| partial(staging, errno))?;
        commit::carry_out(&real, &place, &journal).map_err(|failure| partial(&failure.path, failure.errno))?;
        Journal::steps_are_done(folder).map_err(ApplyError::Folder)?;
    }
    end(&real, &journal, folder)?;
    Ok(Resumed::Done(journal.steps.len()))
}

fn commit_all(real: &Root, place: &Root, journal: &Journal, folder: &Path) -> Result<(), ApplyError> {
    match commit::carry_out(real, place, journal) {
        Ok(()) => {
            Journal::steps_are_done(folder).map_err(ApplyError::Folder)?;
            end(real, journal, folder)
        }
        Err(Failure { path, errno, is_conflict }) => match commit::undo(real, place, journal) {
            Ok(()) => {
                clear_staging(real, &journal.staging);
                restore_top(real, journal);
                Journal::clear(folder).map_err(ApplyError::Folder)?;
                Err(ApplyError::Undone { path, source: errno.into(), is_conflict })
            }
            Err(failure) => Err(ApplyError::Partial { path: failure.path, source: errno.into() }),
        },
    }
}

/// The last acts: what was replaced goes, folders get their times, and what stands is remembered.
fn end(real: &Root, journal: &Journal, folder: &Path) -> Result<(), ApplyError> {
    let partial = |path: &Path, errno: Errno| ApplyError::Partial { path: path.to_owned(), source: errno.into() };
    let staging = Path::new(&journal.staging);
    let top = real.directory(Path::new("")).map_err(|errno| partial(staging, errno))?;
    remove_at(top.as_fd(), OsStr::new(&journal.staging)).map_err(|errno| partial(staging, errno))?;
    // The staging folder alone has changed the time of the folder around it, where no step did.
    if !journal.steps.iter().any(|step| step.path.0.parent() == Some(Path::new(""))) {
        restore_top(real, journal);
    }
    commit::finish(real, journal).map_err(|failure| partial(&failure.path, failure.errno))?;
    remember(real, journal, folder).map_err(ApplyError::Folder)?;
    Journal::clear(folder).map_err(ApplyError::Folder)
}

/// Notes what stands now, so that the next application does not take it for a change from outside.
fn remember(real: &Root, journal: &Journal, folder: &Path) -> io::Result<()> {
    let mut lines = Vec::new();
    let parents = journal.steps.iter().filter_map(|step| step.path.0.parent());
    let touched = journal.steps.iter().map(|step| step.path.0.as_path());
    let folders = journal.finish.iter().map(|finish| finish.path.0.as_path());
    let mut paths: Vec<&Path> = parents.chain(touched).chain(folders).collect();
    paths.sort();
    paths.dedup();
    for path in paths {
        lines.push((path.to_owned(), facts_beneath(real, path)?));
    }
    Accepted::add(folder, lines)
}

fn clear_staging(real: &Root, name: &str) {
    // What is left of it is removed by the next attempt, which uses the same name.
    if let Ok(top) = real.directory(Path::new("")) {
        remove_at(top.as_fd(), OsStr::new(name)).ok();
    }
}

/// The workspace folder's own time, which the staging folder has moved.
fn restore_top(real: &Root, journal: &Journal) {
    // A time that cannot be set back is no harm.
    if let Ok(fd) = real.directory(Path::new("")) {
        super::copy::set_modified(fd.as_fd(), journal.top_modified.into()).ok();
    }
}

fn prepare<'a>(
    selection: &Selection<'_>,
    found: &Changes,
    (real, new): (&'a Root, &'a Root),
    name: &str,
) -> Result<(Root, Journal), ApplyError> {
    let top = Path::new("");
    let before = facts_beneath(real, top).map_err(|errno| ApplyError::prepare(top, errno))?;
    let mut staging = open_staging(real, new, name)?;
    for chosen in &selection.chosen {
        match chosen {
            Chosen::Whole { change, within } => staging.add(change, within)?,
            Chosen::Below { path, .. } => staging.remove(path)?,
        }
    }
    // A folder whose entries were exchanged one by one has the time that it has in the layer.
    if selection.select.is_empty() {
        for parent in staging.parents() {
            if let Ok(Some(facts)) = facts_beneath(new, &parent) {
                staging.finish_time(&parent, &facts);
            }
        }
    }
    let mut is_top_done = false;
    for (path, modified) in &found.folder_times {
        if selection.names(path) {
            staging.finish_at(path, (*modified).into());
            is_top_done |= path == top;
        }
    }
    if !is_top_done && let Some(before) = &before {
        staging.finish_time(top, before);
    }
    staging.into_parts()
}

/// What is to be done.
enum Chosen<'a> {
    /// A change, with the changes in it that are selected.
    Whole { change: &'a Change, within: Vec<&'a Change> },
    /// A part of a folder that is to go.
    Below { change: &'a Change, path: PathBuf },
}

struct Selection<'a> {
    select: &'a [PathBuf],
    chosen: Vec<Chosen<'a>>,
    /// What is never applied.
    left_out: Vec<Refusal>,
}

impl<'a> Selection<'a> {
    fn new(found: &'a Changes, select: &'a [PathBuf]) -> Result<Self, ApplyError> {
        let mut selection = Self { select, chosen: Vec::new(), left_out: Vec::new() };
        let mut used = vec![select.is_empty(); select.len()];
        let mut open: Option<(&Change, Vec<&Change>)> = None;
        for change in &found.list {
            if !change.is_within {
                selection.close(open.take());
            }
            let whole = select.is_empty() || select.iter().any(|path| change.path.starts_with(path));
            let part = select.iter().any(|path| path.starts_with(&change.path) && *path != change.path);
            for (used, path) in used.iter_mut().zip(select) {
                *used |= change.path.starts_with(path);
            }
            if let Some(why) = change.left_out.as_ref().filter(|_| whole) {
                let refusal = Refusal { path: change.path.clone(), why: why.clone(), is_concern: false };
                selection.left_out.push(refusal);
            }
            if change.left_out.is_some() {
                continue;
            }
            match (&mut open, change.is_within) {
                (Some((_, within)), true) if whole || part => within.push(change),
                (_, false) if whole => open = Some((change, Vec::new())),
                (_, false) if part => selection.part(change, &mut used, &mut open),
                _ => {}
            }
        }
        selection.close(open);
        for (path, modified) in select.iter().zip(&mut used) {
            *modified |= found.folder_times.iter().any(|(folder, _)| folder.starts_with(path));
        }
        match select.iter().zip(used).find(|(_, used)| !used) {
            Some((path, _)) => Err(ApplyError::NoChange { path: path.clone() }),
            None => Ok(selection),
        }
    }

    /// A path is selected that lies in a folder which is new, or gone, as a whole.
    fn part(&mut self, change: &'a Change, used: &mut [bool], open: &mut Option<(&'a Change, Vec<&'a Change>)>) {
        let is_folder = |side: Option<super::Side>| side.is_some_and(|side| side.kind == Kind::Folder);
        match change.what {
            // The folder has to be there for what is in it.
            What::Added if is_folder(change.after) => *open = Some((change, Vec::new())),
            What::Deleted if is_folder(change.before) => {
                for (path, used) in self.select.iter().zip(used) {
                    if path.starts_with(&change.path) && *path != change.path {
                        self.chosen.push(Chosen::Below { change, path: path.clone() });
                        *used = true;
                    }
                }
            }
            // Something else took the folder's place: that cannot be had by halves.
            _ => {}
        }
    }

    fn close(&mut self, open: Option<(&'a Change, Vec<&'a Change>)>) {
        if let Some((change, within)) = open {
            self.chosen.push(Chosen::Whole { change, within });
        }
    }

    fn is_empty(&self) -> bool {
        self.chosen.is_empty()
    }

    /// Whether a folder's own time is to be set.
    fn names(&self, path: &Path) -> bool {
        self.select.is_empty() || self.select.iter().any(|selected| path.starts_with(selected))
    }

    /// Refuses what must not be applied.
    fn check(&self, allow: Allow) -> Result<(), ApplyError> {
        let mut refusals = Vec::new();
        for change in self.chosen.iter().flat_map(Chosen::changes) {
            let refusal =
                |why: &String, is_concern| Refusal { path: change.path.clone(), why: why.clone(), is_concern };
            if let Some(why) = &change.conflict {
                refusals.push(refusal(why, false));
            } else if let Some(why) = change.concern.as_ref().filter(|_| allow == Allow::Ordinary) {
                refusals.push(refusal(why, true));
            }
            if refusals.len() >= REFUSALS_MAX {
                break;
            }
        }
        if refusals.is_empty() { Ok(()) } else { Err(ApplyError::Refused { refusals }) }
    }

    fn applied(&self) -> Vec<Change> {
        self.chosen.iter().flat_map(Chosen::changes).cloned().collect()
    }
}

impl Chosen<'_> {
    fn changes(&self) -> impl Iterator<Item = &Change> {
        let (change, within): (Option<&Change>, &[&Change]) = match self {
            Self::Whole { change, within } => (Some(*change), within.as_slice()),
            Self::Below { change, .. } => (Some(*change), &[]),
        };
        change.into_iter().chain(within.iter().copied())
    }
}
