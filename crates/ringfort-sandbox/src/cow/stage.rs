// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prepares what is to be applied beside the real files: everything that can fail for want of space or rights fails
//! here, before anything real is touched.
//!
//! In: the selected changes. Out: a staging folder in the workspace, and the steps that put its content into place.
//!
//! **Invariant:** outside the staging folder nothing is written. It belongs to the caller, nobody else may enter it,
//! and it is worked on through one open handle.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::apply::ApplyError;
use super::change::{Aspect, Change, What};
use super::copy::{Owner, copy_content, dress, fresh_file, fresh_folder, fresh_other};
use super::facts::{Facts, Kind, Opened, Xattr, facts_beneath, facts_of, open_in_layer, xattrs_of};
use super::journal::{Doing, Finish, Journal, Step, Which};
use super::layer::RelativePath;
use super::remove::remove_at;
use crate::startup::beneath::Root;

/// The rights that a folder's owner needs to move it and what is in it.
const MOVABLE: u32 = 0o700;

/// A staging folder.
pub(super) struct Staging<'a> {
    real: &'a Root,
    new: &'a Root,
    place: Root,
    journal: Journal,
    /// Files with several names: where the first one was put.
    first: BTreeMap<u64, PathBuf>,
    /// Folders that were made, to be dressed when they are full.
    folders: Vec<(PathBuf, Facts, Owner, Vec<Xattr>)>,
}

/// Makes the staging folder `name`, empty; one that an earlier attempt left goes.
pub(super) fn open_staging<'a>(real: &'a Root, new: &'a Root, name: &str) -> Result<Staging<'a>, ApplyError> {
    let failed = |errno: Errno| ApplyError::prepare(Path::new(name), errno);
    let top = real.directory(Path::new("")).map_err(failed)?;
    let top_modified = facts_of(top.as_fd()).map_err(failed)?.modified.into();
    remove_at(top.as_fd(), OsStr::new(name)).map_err(failed)?;
    let place = fresh_folder(top.as_fd(), OsStr::new(name)).map_err(failed)?;
    let staging_is = Which::from(&facts_of(place.as_fd()).map_err(failed)?);
    let journal = Journal {
        staging: name.to_owned(),
        staging_is,
        top_modified,
        steps: Vec::new(),
        shut: Vec::new(),
        finish: Vec::new(),
    };
    Ok(Staging { real, new, place: Root::from_fd(place), journal, first: BTreeMap::new(), folders: Vec::new() })
}

impl Staging<'_> {
    /// Prepares one change and, if it is a folder that is new, what is selected of the changes in it.
    pub(super) fn add(&mut self, change: &Change, within: &[&Change]) -> Result<(), ApplyError> {
        let failed = |errno: Errno| ApplyError::prepare(&change.path, errno);
        let is_folder = |facts: &Option<Facts>| facts.is_some_and(|facts| facts.kind == Kind::Folder);
        if change.what == What::Modified && is_folder(&change.new) {
            return self.folder_attributes(change);
        }
        let slot = format!("{}", self.journal.steps.len());
        if is_folder(&change.old)
            && let Some(old) = &change.old
        {
            self.make_movable(&change.path, old);
        }
        let old = change.old.as_ref().map(Which::from);
        let new = match &change.new {
            None => None,
            Some(facts) => {
                let path = Path::new(&slot);
                self.make(change, facts, path)?;
                for inner in within {
                    let below = inner.path.strip_prefix(&change.path).unwrap_or(Path::new(""));
                    if let Some(facts) = &inner.new {
                        self.make(inner, facts, &path.join(below))?;
                    }
                }
                self.dress_folders(change, path)?;
                let made = facts_beneath(&self.place, path).map_err(failed)?.ok_or(Errno::NOENT).map_err(failed)?;
                Some(Which::from(&made))
            }
        };
        let doing = match (old, new) {
            (None, Some(new)) => Doing::Add { new },
            (Some(old), Some(new)) => Doing::Swap { new, old },
            (Some(old), None) => Doing::Remove { old },
            (None, None) => return Ok(()),
        };
        self.open_parent(&change.path)?;
        self.journal.steps.push(Step { path: RelativePath(change.path.clone()), slot, doing });
        Ok(())
    }

    /// A path that is not a change of its own: something below a folder that is to go.
    pub(super) fn remove(&mut self, path: &Path) -> Result<(), ApplyError> {
        let failed = |errno: Errno| ApplyError::prepare(path, errno);
        let Some(facts) = facts_beneath(self.real, path).map_err(failed)? else { return Ok(()) };
        if facts.kind == Kind::Folder {
            self.make_movable(path, &facts);
        }
        self.open_parent(path)?;
        let slot = format!("{}", self.journal.steps.len());
        let doing = Doing::Remove { old: Which::from(&facts) };
        self.journal.steps.push(Step { path: RelativePath(path.to_owned()), slot, doing });
        Ok(())
    }

    fn make(&mut self, change: &Change, facts: &Facts, path: &Path) -> Result<(), ApplyError> {
        let failed = |errno: Errno| ApplyError::prepare(&change.path, errno);
        let owner = match (&change.old, change.what) {
            (Some(old), What::Modified) => Owner::Of(old.user, old.group),
            _ => Owner::Of(facts.user, facts.group),
        };
        let (parent, name) = self.place.parent(path).map_err(failed)?;
        let parent = parent.as_fd();
        if facts.kind == Kind::File && facts.links > 1 && change.aspects.contains(&Aspect::Links) {
            if let Some(first) = self.first.get(&facts.inode) {
                let place = self.place.directory(Path::new("")).map_err(failed)?;
                return rustix::fs::linkat(&place, first, parent, name, AtFlags::empty()).map_err(failed);
            }
            self.first.insert(facts.inode, path.to_owned());
        }
        match facts.kind {
            Kind::File => {
                let mut opened = Opened::default();
                let source = open_in_layer(self.new, &change.path, &mut opened).map_err(failed)?;
                let xattrs = xattrs_of(source.as_fd()).map_err(failed)?;
                let made = fresh_file(parent, name).map_err(failed)?;
                copy_content(source.as_fd(), made.as_fd(), facts.size).map_err(failed)?;
                dress(made.as_fd(), facts, owner, &xattrs).map_err(failed)
            }
            Kind::Folder => {
                let mut opened = Opened::default();
                let source = open_in_layer(self.new, &change.path, &mut opened).map_err(failed)?;
                let xattrs = xattrs_of(source.as_fd()).map_err(failed)?;
                drop(fresh_folder(parent, name).map_err(failed)?);
                self.folders.push((path.to_owned(), *facts, owner, xattrs));
                Ok(())
            }
            Kind::Link => {
                let target = self.new.link_target(&change.path).map_err(failed)?;
                fresh_other(parent, name, facts, Some(target.as_os_str())).map_err(failed)
            }
            Kind::Pipe => fresh_other(parent, name, facts, None).map_err(failed),
            Kind::Socket | Kind::Device => Err(failed(Errno::OPNOTSUPP)),
        }
    }

    /// Gives full folders their modes and times, the innermost first; the outermost stays movable until it stands.
    fn dress_folders(&mut self, change: &Change, top: &Path) -> Result<(), ApplyError> {
        let failed = |errno: Errno| ApplyError::prepare(&change.path, errno);
        for (path, facts, owner, xattrs) in std::mem::take(&mut self.folders).into_iter().rev() {
            let fd = self.place.directory(&path).map_err(failed)?;
            let mut facts = facts;
            if path == top && facts.mode & MOVABLE != MOVABLE {
                self.finish(&change.path, Some(facts.mode), None);
                facts.mode |= MOVABLE;
            }
            if path == top {
                // A move between folders may touch it.
                self.finish_time(&change.path, &facts);
            }
            dress(fd.as_fd(), &facts, owner, &xattrs).map_err(failed)?;
        }
        Ok(())
    }

    fn folder_attributes(&mut self, change: &Change) -> Result<(), ApplyError> {
        let failed = |errno: Errno| ApplyError::prepare(&change.path, errno);
        let Some(new) = &change.new else { return Ok(()) };
        let mode = change.aspects.contains(&Aspect::Mode).then_some(new.mode);
        let xattrs = if change.aspects.contains(&Aspect::Attributes) {
            let mut opened = Opened::default();
            let source = open_in_layer(self.new, &change.path, &mut opened).map_err(failed)?;
            Some(xattrs_of(source.as_fd()).map_err(failed)?)
        } else {
            None
        };
        self.finish(&change.path, mode, xattrs);
        self.finish_time(&change.path, new);
        Ok(())
    }

    /// The time that a folder is to have in the end.
    pub(super) fn finish_time(&mut self, path: &Path, facts: &Facts) {
        self.finish_at(path, facts.modified.into());
    }

    pub(super) fn finish_at(&mut self, path: &Path, modified: super::layer::Mark) {
        let path = RelativePath(path.to_owned());
        self.journal.finish.push(Finish { path, mode: None, xattrs: None, modified: Some(modified) });
    }

    fn finish(&mut self, path: &Path, mode: Option<u32>, xattrs: Option<Vec<Xattr>>) {
        let path = RelativePath(path.to_owned());
        self.journal.finish.push(Finish { path, mode, xattrs, modified: None });
    }

    /// A real folder that moves, or in which something moves, has to be open to its owner meanwhile.
    fn make_movable(&mut self, path: &Path, facts: &Facts) {
        let known = || self.journal.shut.iter().any(|(known, _)| known.0 == path);
        if facts.mode & MOVABLE != MOVABLE && !known() {
            self.journal.shut.push((RelativePath(path.to_owned()), facts.mode));
        }
    }

    fn open_parent(&mut self, path: &Path) -> Result<(), ApplyError> {
        let parent = path.parent().unwrap_or(Path::new(""));
        let failed = |errno: Errno| ApplyError::prepare(parent, errno);
        let facts = facts_beneath(self.real, parent).map_err(failed)?.ok_or(Errno::NOENT).map_err(failed)?;
        let place = self.place.directory(Path::new("")).map_err(failed)?;
        if facts.mount != facts_of(place.as_fd()).map_err(failed)?.mount {
            return Err(failed(Errno::XDEV));
        }
        self.make_movable(parent, &facts);
        Ok(())
    }

    /// The folders in which something will be moved.
    pub(super) fn parents(&self) -> BTreeSet<PathBuf> {
        let parents = self.journal.steps.iter().filter_map(|step| step.path.0.parent());
        parents.map(Path::to_owned).collect()
    }

    /// Everything is prepared and on disk.
    pub(super) fn into_parts(self) -> Result<(Root, Journal), ApplyError> {
        let name = PathBuf::from(&self.journal.staging);
        let failed = |errno: Errno| ApplyError::prepare(&name, errno);
        let place: OwnedFd = self.place.directory(Path::new("")).map_err(failed)?;
        rustix::fs::syncfs(&place).map_err(failed)?;
        Ok((self.place, self.journal))
    }
}

/// The name of the staging folder for the run whose private folder is `folder`.
pub(super) fn staging_name(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().as_bytes();
    format!(".ringfort-apply-{}", name.escape_ascii())
}

/// Opens a staging folder that was made before, if it is the very one.
pub(super) fn reopen(real: &Root, journal: &Journal) -> Result<Root, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let fd = real.open_at(Path::new(&journal.staging), flags, Mode::empty())?;
    if Which::from(&facts_of(fd.as_fd())?) == journal.staging_is { Ok(Root::from_fd(fd)) } else { Err(Errno::STALE) }
}
