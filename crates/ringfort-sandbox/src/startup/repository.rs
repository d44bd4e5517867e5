// SPDX-License-Identifier: MIT OR Apache-2.0
//! Git folders: which files in one make git run code, and where the others hide.
//!
//! In: git folders that the walk found. Out: the start-up files in them and in their modules and worktrees, and what
//! their configuration names. **Invariant:** `modules/` and `worktrees/` are followed within bounds, `gitdir:` files
//! only to inside the workspace; what is beyond is reported as unvisited.

use super::beneath::{Kind, Root};
use super::gitconfig::{Config, Name};
use super::gitkeys::{self, Place, Submodule};
use super::lexical;
use super::trigger::{GIT_LINK, GIT_TRIGGERS};
use super::walk::{Found, probe};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Most entries of a git folder that are looked at.
const GIT_ENTRIES_MAX: usize = 4_096;
/// Deepest nesting of names below `modules/`.
const MODULE_DEPTH_MAX: usize = 8;
/// Largest `.git` file. Bytes.
const GIT_FILE_BYTES_MAX: usize = 8 << 10;
/// Most paths that one configuration names.
const NAMED_MAX: usize = 64;

/// What a git folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GitKind {
    /// `.git` of a working tree.
    Main,
    /// A repository without a working tree.
    Bare,
    /// Of a submodule, below `modules/`.
    Module,
    /// Of a linked worktree, below `worktrees/`.
    Worktree,
}

/// A git folder of the workspace.
#[derive(Clone, Debug)]
pub(super) struct GitDirectory {
    /// Relative to the workspace.
    pub(super) path: PathBuf,
    pub(super) kind: GitKind,
}

impl GitDirectory {
    pub(super) fn place(&self) -> Place<'_> {
        let submodule = if self.kind == GitKind::Module { Submodule::Yes } else { Submodule::No };
        Place::Repository { directory: &self.path, submodule }
    }
}

/// Looks into every git folder of `found`, including those that this finds.
pub(super) fn expand(root: &Root, found: &mut Found) {
    let mut next = 0;
    while let Some(git) = found.git.get(next).cloned() {
        next += 1;
        if let Err(error) = enter(root, &git, found)
            && !matches!(error, Errno::NOENT | Errno::NOTDIR)
        {
            found.unvisited(git.path);
        }
    }
}

fn enter(root: &Root, git: &GitDirectory, found: &mut Found) -> Result<(), Errno> {
    let listing = root.list(&git.path, GIT_ENTRIES_MAX)?;
    if listing.truncated {
        found.unvisited(git.path.clone());
    }
    for trigger in GIT_TRIGGERS {
        let (head, rest) = trigger.head();
        let at = git.path.join(head);
        let kind = match listing.entries.iter().find(|entry| entry.name == head) {
            Some(entry) => entry.kind,
            None if listing.truncated => match root.identity(&at)? {
                Some(identity) => identity.kind,
                None => continue,
            },
            None => continue,
        };
        match rest {
            None => found.hit(at, trigger),
            Some(rest) => {
                if let Some(at) = probe(root, at, kind, rest) {
                    found.hit(at, trigger);
                }
            }
        }
    }
    for entry in &listing.entries {
        let is_trigger = GIT_TRIGGERS.iter().any(|t| t.starts_at(entry.name.as_bytes()));
        if entry.kind == Kind::Link && !is_trigger {
            found.hit(git.path.join(&entry.name), &GIT_LINK);
        }
    }
    if git.kind != GitKind::Worktree {
        modules(root, git.path.join("modules"), MODULE_DEPTH_MAX, found);
        let worktrees = git.path.join("worktrees");
        each_directory(root, &worktrees, found, |found, path| found.git(path, GitKind::Worktree));
    }
    links(root, git.path.join("logs"), MODULE_DEPTH_MAX, found);
    Ok(())
}

/// Git folders below `modules/`; names of submodules may have slashes, so a folder without `HEAD` is only a way.
fn modules(root: &Root, path: PathBuf, depth_left: usize, found: &mut Found) {
    let mut inner = Vec::new();
    each_directory(root, &path, found, |_, path| inner.push(path));
    for path in inner {
        match root.identity(&path.join("HEAD")) {
            Ok(None) if depth_left > 0 => modules(root, path, depth_left - 1, found),
            Ok(Some(_)) => found.git(path, GitKind::Module),
            _ => found.unvisited(path),
        }
    }
}

/// Links in the folder of reference logs, which git appends to.
fn links(root: &Root, path: PathBuf, depth_left: usize, found: &mut Found) {
    let Ok(listing) = root.list(&path, GIT_ENTRIES_MAX) else { return };
    if listing.truncated {
        found.unvisited(path.clone());
    }
    for entry in listing.entries {
        let at = path.join(entry.name);
        match entry.kind {
            Kind::Link => found.hit(at, &GIT_LINK),
            Kind::Directory if depth_left > 0 => links(root, at, depth_left - 1, found),
            Kind::Directory => found.unvisited(at),
            Kind::File | Kind::Other => {}
        }
    }
}

fn each_directory(root: &Root, path: &Path, found: &mut Found, mut visit: impl FnMut(&mut Found, PathBuf)) {
    match root.list(path, GIT_ENTRIES_MAX) {
        Ok(listing) => {
            if listing.truncated {
                found.unvisited(path.to_owned());
            }
            for entry in listing.entries {
                let at = path.join(&entry.name);
                match entry.kind {
                    Kind::Directory => visit(found, at),
                    Kind::Link => found.hit(at, &GIT_LINK),
                    Kind::File | Kind::Other => {}
                }
            }
        }
        Err(Errno::NOENT | Errno::NOTDIR) => {}
        Err(Errno::LOOP) => found.hit(path.to_owned(), &GIT_LINK),
        Err(_) => found.unvisited(path.to_owned()),
    }
}

/// Where the `.git` file at `path` leads: inside the workspace (relative to it), or the text that leads elsewhere.
pub(super) fn git_file_target(root: &Root, workspace: &Path, path: &Path) -> Result<PathBuf, PathBuf> {
    let text = match root.read(path, GIT_FILE_BYTES_MAX) {
        Ok(Some((text, _))) => text,
        _ => return Err(PathBuf::new()),
    };
    let line = text.strip_prefix(b"gitdir: ").unwrap_or_default();
    let end = line.iter().rposition(|b| !matches!(b, b'\n' | b'\r')).map_or(0, |last| last + 1);
    let target = PathBuf::from(OsStr::from_bytes(line.get(..end).unwrap_or_default()));
    let parent = path.parent().unwrap_or(Path::new(""));
    let inside = if target.as_os_str().is_empty() { None } else { inside_of(workspace, parent, &target) };
    inside.filter(|inside| !inside.as_os_str().is_empty()).ok_or(target)
}

/// `target`, seen from the folder `base` of the workspace, as a path relative to the workspace if it lies in it.
pub(super) fn inside_of(workspace: &Path, base: &Path, target: &Path) -> Option<PathBuf> {
    if target.is_absolute() {
        lexical(Path::new(""), target.strip_prefix(workspace).ok()?)
    } else {
        lexical(base, target)
    }
}

/// Files and folders of the workspace that a configuration makes git read or run, relative to the workspace.
///
/// `from`: the folder of the configuration file. `tree`: where commands start and the hooks path counts from.
pub(super) fn named_paths(
    workspace: &Path,
    config: &Config,
    place: Place<'_>,
    from: &Path,
    tree: &Path,
) -> Vec<PathBuf> {
    let mut named = Vec::new();
    for variable in config.variables() {
        let Some(value) = variable.value.as_deref().filter(|value| !value.is_empty()) else { continue };
        if named.len() >= NAMED_MAX || gitkeys::judge(place, &variable.name, Some(value)).is_none() {
            continue;
        }
        let Some(name) = Name::split(&variable.name) else { continue };
        let (base, target) = match (name.section, name.key) {
            (b"include" | b"includeif", b"path") => (from, value),
            (b"core", b"hookspath" | b"attributesfile" | b"excludesfile") => (tree, value),
            _ => {
                let command = value.strip_prefix(b"!").unwrap_or(value);
                let word = command.split(|b| b.is_ascii_whitespace() || b"'\";|&".contains(b)).find(|w| !w.is_empty());
                let Some(word) = word.filter(|word| word.contains(&b'/')) else { continue };
                (tree, word)
            }
        };
        let target = Path::new(OsStr::from_bytes(target));
        if let Some(inside) = inside_of(workspace, base, target).filter(|path| !path.as_os_str().is_empty()) {
            named.push(inside);
        }
    }
    named
}
