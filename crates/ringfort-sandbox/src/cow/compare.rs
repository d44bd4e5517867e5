// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads a layer into a list of changes: what the program left, against the real workspace.
//!
//! In: a layer and its private folder. Out: [`Changes`], folders before what is in them, each with what stands against
//! applying it.
//!
//! **Invariant:** the real tree is only read. What the layer cannot say (a hidden path, a file that was left out) is
//! never a change. A change is a conflict unless the real entry is shown to be as it was when the run began.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::begin::{Line, MANIFEST};
use super::change::{Aspect, Change, Changes, ReadError, Side, What};
use super::copy::is_same_content;
use super::facts::{Facts, Kind, Opened, facts_beneath, open_in_layer, overlay_words, xattrs_of};
use super::journal::{Accepted, Seen};
use super::layer::{Form, Known, Layer};
use super::{ENTRIES_MAX, open_layer};
use crate::startup::beneath::{self, Moment, Root};
use crate::startup::concern::{Act, Doing, concern};

/// Lists the changes of the layer in the private folder `folder`.
///
/// # Errors
///
/// [`ReadError`]: the list would not be whole.
pub fn changes(layer: &Layer, folder: &Path) -> Result<Changes, ReadError> {
    let failed = |errno: Errno| ReadError::Layer { path: PathBuf::new(), source: errno.into() };
    let new = open_layer(layer, folder).map_err(failed)?;
    let real = Root::open(&layer.workspace)
        .map_err(|errno| ReadError::Workspace { path: PathBuf::new(), source: errno.into() })?;
    let known = match layer.form {
        Form::Overlay => None,
        Form::Copy => Some(read_manifest(folder).map_err(failed_manifest)?),
    };
    let accepted = Accepted::read(folder).map_err(failed_manifest)?;
    let seen = Seen::read(folder).map_err(failed_manifest)?;
    let mut comparer = Comparer {
        layer,
        new: &new,
        real: &real,
        known: known.as_ref(),
        accepted,
        seen,
        found: Changes::default(),
        entries: 0,
        names: BTreeMap::new(),
    };
    comparer.top()?;
    comparer.link_names();
    let mut found = comparer.found;
    super::renamed::find(&mut found.list, &new, &real);
    Ok(found)
}

fn failed_manifest(source: io::Error) -> ReadError {
    ReadError::Layer { path: PathBuf::from(MANIFEST), source }
}

/// How an entry was when it was copied, and the inode of its copy.
type Copied = BTreeMap<PathBuf, (Known, u64)>;

fn read_manifest(folder: &Path) -> io::Result<Copied> {
    let mut known = BTreeMap::new();
    for line in BufReader::new(std::fs::File::open(folder.join(MANIFEST))?).lines().take(ENTRIES_MAX) {
        let line: Line = serde_json::from_str(&line?)?;
        known.insert(line.path.0, (line.known, line.copy));
    }
    Ok(known)
}

struct Comparer<'a> {
    layer: &'a Layer,
    new: &'a Root,
    real: &'a Root,
    /// How the real entries were when they were copied.
    known: Option<&'a Copied>,
    accepted: Accepted,
    seen: Seen,
    found: Changes,
    entries: usize,
    /// Files of the layer with several names: their changes, by inode.
    names: BTreeMap<u64, Vec<usize>>,
}

/// Why something that is not there is a conflict.
const DELETED: &str = "it was deleted outside since the run began";

/// Where a folder of the layer stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    /// Over a real folder that shows through.
    Folder,
    /// Over a real folder that does not.
    Opaque,
    /// Over nothing, or over something else.
    Nothing,
}

impl Comparer<'_> {
    fn layer_error<'e>(path: &'e Path) -> impl Fn(Errno) -> ReadError + 'e {
        move |errno| ReadError::Layer { path: path.to_owned(), source: errno.into() }
    }

    fn real_error<'e>(path: &'e Path) -> impl Fn(Errno) -> ReadError + 'e {
        move |errno| ReadError::Workspace { path: path.to_owned(), source: errno.into() }
    }

    fn count(&mut self) -> Result<(), ReadError> {
        self.entries += 1;
        if self.entries > ENTRIES_MAX { Err(ReadError::TooMany) } else { Ok(()) }
    }

    fn top(&mut self) -> Result<(), ReadError> {
        let path = Path::new("");
        let (new, old) = (facts_beneath(self.new, path), facts_beneath(self.real, path));
        let new = new.map_err(Self::layer_error(path))?;
        let old = old.map_err(Self::real_error(path))?;
        if old.is_none_or(|old| old.inode != self.layer.inode) {
            let source = io::Error::other("another folder stands at the path of the workspace");
            return Err(ReadError::Workspace { path: path.to_owned(), source });
        }
        if let (Some(new), Some(old)) = (new, old) {
            self.folder_attributes(path, &old, &new)?;
        }
        let over = if self.layer.form == Form::Copy { Over::Opaque } else { Over::Folder };
        self.folder(path, over, false)
    }

    /// Every entry of one folder of the layer, and what it hides of the real one.
    fn folder(&mut self, path: &Path, over: Over, is_within: bool) -> Result<(), ReadError> {
        let mut opened = Opened::default();
        // Names may be readable while what they lead to is not.
        if !path.as_os_str().is_empty() {
            opened.open_one(self.new, path, 0).map_err(Self::layer_error(path))?;
        }
        let fd = open_in_layer(self.new, path, &mut opened).map_err(Self::layer_error(path))?;
        let listing = beneath::list(fd.as_fd(), ENTRIES_MAX).map_err(Self::layer_error(path))?;
        if listing.truncated {
            return Err(ReadError::TooMany);
        }
        let mut names: Vec<OsString> = listing.entries.into_iter().map(|entry| entry.name).collect();
        names.sort();
        if over == Over::Opaque {
            for name in self.real_names(path)? {
                if names.binary_search(&name).is_err() {
                    let child = path.join(&name);
                    if self.known.is_none_or(|known| known.contains_key(&child)) {
                        self.deleted(&child)?;
                    }
                }
            }
        }
        for name in names {
            self.entry(&path.join(name), over, is_within)?;
        }
        Ok(())
    }

    fn real_names(&self, path: &Path) -> Result<Vec<OsString>, ReadError> {
        let listing = match self.real.list(path, ENTRIES_MAX) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
            listing => listing.map_err(Self::real_error(path))?,
        };
        let mut names: Vec<OsString> = listing.entries.into_iter().map(|entry| entry.name).collect();
        names.sort();
        if listing.truncated { Err(ReadError::TooMany) } else { Ok(names) }
    }

    fn entry(&mut self, path: &Path, over: Over, is_within: bool) -> Result<(), ReadError> {
        self.count()?;
        if self.layer.is_hidden(path) {
            return Ok(());
        }
        let new = facts_beneath(self.new, path).map_err(Self::layer_error(path))?;
        let Some(new) = new else { return Ok(()) };
        let mut is_opaque = self.layer.form == Form::Copy;
        if self.layer.form == Form::Overlay {
            if new.is_whiteout() {
                return self.deleted(path);
            }
            if new.kind == Kind::Folder || (new.kind == Kind::File && new.size == 0) {
                let mut opened = Opened::default();
                let fd = open_in_layer(self.new, path, &mut opened).map_err(Self::layer_error(path))?;
                let words = overlay_words(fd.as_fd()).map_err(Self::layer_error(path))?;
                if words.is_foreign {
                    return Err(ReadError::Foreign { path: path.to_owned() });
                }
                if words.is_whiteout && new.kind == Kind::File {
                    return self.deleted(path);
                }
                is_opaque = words.is_opaque;
            }
        } else if self.is_untouched(path, &new) {
            return Ok(());
        }
        let old = match over {
            Over::Nothing => None,
            Over::Folder | Over::Opaque => facts_beneath(self.real, path).map_err(Self::real_error(path))?,
        };
        match (new.kind, old) {
            (Kind::Folder, Some(old)) if old.kind == Kind::Folder => {
                self.folder_attributes(path, &old, &new)?;
                // Below what hides the real folder nothing of it shows through either.
                let hides = is_opaque || over == Over::Opaque;
                self.folder(path, if hides { Over::Opaque } else { Over::Folder }, is_within)
            }
            (kind, old) => {
                let what = match &old {
                    None => What::Added,
                    Some(old) if old.kind == kind => What::Modified,
                    Some(_) => What::Replaced,
                };
                if what == What::Modified && kind != Kind::Folder {
                    return self.same_kind(path, old, new);
                }
                self.push(path, what, old, Some(new), BTreeSet::new(), is_within)?;
                if kind == Kind::Folder { self.folder(path, Over::Nothing, true) } else { Ok(()) }
            }
        }
    }

    /// Whether the program has not touched this entry of a copy. Folders are always looked into.
    fn is_untouched(&self, path: &Path, new: &Facts) -> bool {
        let is_same = self.known.and_then(|known| known.get(path)).is_some_and(|(_, copy)| *copy == new.inode);
        is_same && new.kind != Kind::Folder && Moment::from(self.layer.copied) >= new.changed
    }

    /// A file, link or the like over another of its kind.
    fn same_kind(&mut self, path: &Path, old: Option<Facts>, new: Facts) -> Result<(), ReadError> {
        let Some(before) = old else { return Ok(()) };
        let mut aspects = self.attributes(path, &before, &new)?;
        let same = match new.kind {
            Kind::File if before.size != new.size => false,
            Kind::File => self.same_bytes(path, new.size)?,
            Kind::Link => {
                let new = self.new.link_target(path).map_err(Self::layer_error(path))?;
                new == self.real.link_target(path).map_err(Self::real_error(path))?
            }
            _ => true,
        };
        if !same {
            aspects.insert(Aspect::Content);
        }
        // Another name may be new; whether it is, is known at the end.
        let is_linked = new.kind == Kind::File && new.links > 1;
        if aspects.is_empty() && !is_linked {
            return Ok(());
        }
        self.push(path, What::Modified, old, Some(new), aspects, false)
    }

    fn attributes(&self, path: &Path, old: &Facts, new: &Facts) -> Result<BTreeSet<Aspect>, ReadError> {
        let mut aspects = BTreeSet::new();
        if new.kind != Kind::Link && new.mode != old.mode {
            aspects.insert(Aspect::Mode);
        }
        if new.modified != old.modified {
            aspects.insert(Aspect::Times);
        }
        if matches!(new.kind, Kind::File | Kind::Folder) {
            let mut opened = Opened::default();
            let ours = open_in_layer(self.new, path, &mut opened).and_then(|fd| xattrs_of(fd.as_fd()));
            let ours = ours.map_err(Self::layer_error(path))?;
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
            // What the caller cannot read it cannot have changed but by replacing it.
            let theirs = self.real.open_at(path, flags, Mode::empty()).and_then(|fd| xattrs_of(fd.as_fd()));
            if theirs.is_ok_and(|theirs| theirs != ours) {
                aspects.insert(Aspect::Attributes);
            }
        }
        Ok(aspects)
    }

    fn same_bytes(&self, path: &Path, size: u64) -> Result<bool, ReadError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let Ok(old) = self.real.open_at(path, flags, Mode::empty()) else { return Ok(false) };
        let mut opened = Opened::default();
        let new = open_in_layer(self.new, path, &mut opened).map_err(Self::layer_error(path))?;
        is_same_content(new.as_fd(), old.as_fd(), size).map_err(Self::layer_error(path))
    }

    /// A folder that is there on both sides: its own attributes.
    fn folder_attributes(&mut self, path: &Path, old: &Facts, new: &Facts) -> Result<(), ReadError> {
        let mut aspects = self.attributes(path, old, new)?;
        if let Some((known, _)) = self.known.and_then(|known| known.get(path)) {
            // In a copy every folder stands, touched or not: only what the program changed counts.
            if known.mode == new.mode {
                aspects.remove(&Aspect::Mode);
            }
            if Moment::from(known.modified) == new.modified {
                aspects.remove(&Aspect::Times);
            }
        }
        if aspects.iter().all(|aspect| *aspect == Aspect::Times) {
            if !aspects.is_empty() {
                self.found.folder_times.push((path.to_owned(), new.modified));
            }
            return Ok(());
        }
        self.push(path, What::Modified, Some(*old), Some(*new), aspects, false)
    }

    fn deleted(&mut self, path: &Path) -> Result<(), ReadError> {
        if self.layer.is_hidden(path) {
            return Ok(());
        }
        let old = facts_beneath(self.real, path).map_err(Self::real_error(path))?;
        let Some(old) = old else { return Ok(()) };
        self.push(path, What::Deleted, Some(old), None, BTreeSet::new(), false)
    }

    fn push(
        &mut self,
        path: &Path,
        what: What,
        old: Option<Facts>,
        new: Option<Facts>,
        aspects: BTreeSet<Aspect>,
        is_within: bool,
    ) -> Result<(), ReadError> {
        let mut change = Change {
            path: path.to_owned(),
            what,
            before: old.as_ref().map(Side::from),
            after: new.as_ref().map(Side::from),
            aspects,
            renamed_from: None,
            below: 0,
            is_within,
            conflict: self.conflict(path, old.as_ref()),
            concern: None,
            left_out: None,
            old,
            new,
        };
        self.judge(&mut change);
        // What goes with a folder is looked at one by one.
        let goes = matches!(what, What::Deleted | What::Replaced) && old.is_some_and(|old| old.kind == Kind::Folder);
        if goes && let Some(old) = old {
            self.below(path, &old, &mut change)?;
        }
        if let Some(new) = new.filter(|new| new.kind == Kind::File && new.links > 1) {
            self.names.entry(new.inode).or_default().push(self.found.list.len());
        }
        self.found.list.push(change);
        Ok(())
    }

    /// What a person has to say yes to, and what is never applied.
    fn judge(&self, change: &mut Change) {
        let goes = matches!(change.what, What::Deleted | What::Replaced);
        if self.layer.is_guarded(&change.path, goes) {
            change.concern = Some("Ringfort itself or its policy is read from there".to_owned());
        }
        if let Some(new) = &change.new {
            match new.kind {
                Kind::Socket => change.left_out = Some("a socket cannot be carried over".to_owned()),
                Kind::Device => change.left_out = Some("a device is never made".to_owned()),
                Kind::Pipe => change.concern = Some("a named pipe can hold up who reads it".to_owned()),
                Kind::File if new.mode & 0o6000 != 0 => {
                    change.concern = Some("it runs with its owner's rights (set-user or set-group bit)".to_owned());
                }
                Kind::Folder if new.mode & 0o4000 != 0 => {
                    change.concern = Some("it has the set-user bit".to_owned());
                }
                _ => {}
            }
        }
        if let Some(why) = self.startup(&change.path, change.new.as_ref(), change.old.as_ref()) {
            change.concern = Some(why);
        }
    }

    fn startup(&self, path: &Path, new: Option<&Facts>, old: Option<&Facts>) -> Option<String> {
        let kind = |facts: &Facts| match facts.kind {
            Kind::File => beneath::Kind::File,
            Kind::Folder => beneath::Kind::Directory,
            Kind::Link => beneath::Kind::Link,
            _ => beneath::Kind::Other,
        };
        concern(&Act {
            workspace: &self.layer.workspace,
            new: self.new,
            old: old.map(|_| self.real),
            path,
            doing: new.map_or(Doing::Remove, |new| Doing::Put(kind(new))),
            exists: &|path| self.exists_afterwards(path),
        })
    }

    fn exists_afterwards(&self, path: &Path) -> bool {
        match facts_beneath(self.new, path) {
            Ok(Some(new)) => !new.is_whiteout(),
            // What shows through, unless a folder above it is gone.
            Ok(None) if self.layer.form == Form::Overlay => {
                let is_gone =
                    |above: &Path| matches!(facts_beneath(self.new, above), Ok(Some(facts)) if facts.is_whiteout());
                let above = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty());
                !above.into_iter().any(is_gone) && matches!(facts_beneath(self.real, path), Ok(Some(_)))
            }
            _ => false,
        }
    }

    /// Why the real entry is not what it was when the run began.
    fn conflict(&self, path: &Path, old: Option<&Facts>) -> Option<String> {
        let text = |why: &str| Some(why.to_owned());
        let is_accepted = old.is_some_and(|old| self.accepted.holds(path, old)) || self.accepted.is_removed(path);
        if !is_accepted && self.seen.differs(path, old) {
            return text(if old.is_some() { "it was changed outside since the run ended" } else { DELETED });
        }
        let Some(old) = old else {
            let existed = self.known.is_some_and(|known| known.contains_key(path));
            return if existed && !self.accepted.is_removed(path) { text(DELETED) } else { None };
        };
        if self.accepted.holds(path, old) {
            return None;
        }
        match self.known {
            Some(known) => match known.get(path) {
                None if path.as_os_str().is_empty() => None,
                None => text("it was made outside since the run began"),
                Some((known, _)) if old.kind == Kind::Folder => {
                    (known.kind != old.kind || known.inode != old.inode || known.mode != old.mode)
                        .then(|| "it was changed outside since the run began".to_owned())
                }
                Some((known, _)) if *known == Known::from(old) => None,
                Some(_) => text("it was changed outside since the run began"),
            },
            // The kernel alone sets this time; renaming a file over another moves it as well.
            None if old.changed > Moment::from(self.layer.started) => {
                text("it was changed outside since the run began")
            }
            None => None,
        }
    }

    /// Everything in a real folder that is to go has to be as it was, too.
    fn below(&mut self, path: &Path, top: &Facts, change: &mut Change) -> Result<(), ReadError> {
        let mut waiting = vec![path.to_owned()];
        while let Some(folder) = waiting.pop() {
            for name in self.real_names(&folder)? {
                self.count()?;
                let path = folder.join(&name);
                let Some(facts) = facts_beneath(self.real, &path).map_err(Self::real_error(&path))? else { continue };
                change.below += 1;
                if facts.mount != top.mount {
                    let why = format!("another file system is mounted at `{}`", crate::startup::shown(&path));
                    change.conflict.get_or_insert(why);
                    continue;
                }
                if self.layer.is_hidden(&path) {
                    let why = format!("`{}` in it was not shown to the program", crate::startup::shown(&path));
                    change.conflict.get_or_insert(why);
                }
                if let Some(why) = self.conflict(&path, Some(&facts)) {
                    change.conflict.get_or_insert(format!("`{}` in it: {why}", crate::startup::shown(&path)));
                }
                if change.concern.is_none()
                    && let Some(why) = self.startup(&path, None, Some(&facts))
                {
                    change.concern = Some(format!("`{}` in it: {why}", crate::startup::shown(&path)));
                }
                if facts.kind == Kind::Folder {
                    waiting.push(path);
                }
            }
        }
        Ok(())
    }

    /// Files that are one under several names: those that do not differ otherwise are changes only together.
    fn link_names(&mut self) {
        let mut dropped = BTreeSet::new();
        for indices in self.names.values() {
            let is_plain = |index: &usize| {
                self.found.list.get(*index).is_some_and(|one| one.what == What::Modified && one.aspects.is_empty())
            };
            let already_one = || {
                let inodes: BTreeSet<_> = indices
                    .iter()
                    .filter_map(|index| self.found.list.get(*index)?.old.map(|old| (old.device, old.inode)))
                    .collect();
                inodes.len() == 1
            };
            if indices.iter().all(is_plain) && (indices.len() == 1 || already_one()) {
                dropped.extend(indices.iter().copied());
                continue;
            }
            for index in indices {
                if let Some(change) = self.found.list.get_mut(*index).filter(|_| indices.len() > 1) {
                    change.aspects.insert(Aspect::Links);
                }
            }
        }
        let mut index = 0;
        self.found.list.retain(|change| {
            let is_nothing = change.what == What::Modified && change.aspects.is_empty();
            let goes = is_nothing || dropped.contains(&index);
            index += 1;
            !goes
        });
    }
}
