// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds start-up files and git folders: shallow ones first, and it says what it did not look at.
//!
//! In: an open workspace and limits. Out: [`Found`]. Breadth first, so that a deep or wide tree cannot push out what
//! lies near the top; a folder too large to list is asked for every fixed name directly.
//!
//! **Invariant:** no link is followed; what was not visited is named in `unvisited` (or `overflow` is set), never
//! taken for empty. It changes nothing and judges nothing.

use super::beneath::{self, Kind, Root};
use super::repository::{GitDirectory, GitKind, git_file_target};
use super::trigger::{GIT_FILE, Scope, TRIGGERS, Trigger};
use rustix::io::Errno;
use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Most unvisited folders that are named one by one.
pub(super) const UNVISITED_MAX: usize = 1_024;
/// Most start-up files of one walk.
pub(super) const HITS_MAX: usize = 65_536;
/// Most git folders of one walk.
pub(super) const GIT_DIRECTORIES_MAX: usize = 1_024;

/// How far a walk goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct WalkLimits {
    pub(super) depth_max: usize,
    pub(super) directories_max: usize,
    pub(super) entries_max: usize,
    /// Folders of generated or downloaded files, left for the walk at the end.
    pub(super) skip: &'static [&'static str],
}

/// Before the start: on the path of every run.
pub(super) const BEFORE: WalkLimits = WalkLimits {
    depth_max: 8,
    directories_max: 1_024,
    entries_max: 65_536,
    skip: &[
        "node_modules",
        "bower_components",
        "target",
        "venv",
        ".venv",
        ".tox",
        ".nox",
        "__pycache__",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".cache",
        ".gradle",
        ".terraform",
        ".next",
        ".nuxt",
        ".svn",
        ".pnpm-store",
    ],
};

/// At the end: everything that a person may enter.
pub(super) const AFTER: WalkLimits =
    WalkLimits { depth_max: 64, directories_max: 262_144, entries_max: 2_097_152, skip: &[] };

/// One start-up file.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    /// Relative to the workspace.
    pub(super) path: PathBuf,
    pub(super) trigger: &'static Trigger,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) hits: Vec<Hit>,
    pub(super) git: Vec<GitDirectory>,
    /// Folders that were not looked into.
    pub(super) unvisited: Vec<PathBuf>,
    /// More was left out than `unvisited` names.
    pub(super) overflow: bool,
    /// `.git` files that lead out of the workspace, or nowhere.
    pub(super) outside: Vec<(PathBuf, PathBuf)>,
    git_seen: BTreeSet<PathBuf>,
}

impl Found {
    pub(super) fn unvisited(&mut self, path: PathBuf) {
        if self.unvisited.len() < UNVISITED_MAX {
            self.unvisited.push(path);
        } else {
            self.overflow = true;
        }
    }

    pub(super) fn hit(&mut self, path: PathBuf, trigger: &'static Trigger) {
        if self.hits.len() < HITS_MAX {
            self.hits.push(Hit { path, trigger });
        } else {
            self.overflow = true;
        }
    }

    pub(super) fn git(&mut self, path: PathBuf, kind: GitKind) {
        if self.git.len() >= GIT_DIRECTORIES_MAX {
            self.unvisited(path);
        } else if self.git_seen.insert(path.clone()) {
            self.git.push(GitDirectory { path, kind });
        }
    }
}

struct Names {
    dotted: Vec<&'static Trigger>,
    plain: Vec<&'static Trigger>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let (dotted, plain) = TRIGGERS.iter().partition(|t| t.pattern.starts_with('.'));
    Names { dotted, plain }
});

/// Walks the workspace; git folders are named in the result but not entered.
///
/// # Errors
///
/// The workspace itself cannot be listed. Nothing was changed.
pub(super) fn walk(root: &Root, workspace: &Path, limits: WalkLimits) -> Result<Found, Errno> {
    let mut walker = Walker { root, workspace, limits, found: Found::default(), queue: VecDeque::new() };
    walker.queue.push_back((PathBuf::new(), 0));
    let (mut directories, mut entries) = (0, 0);
    while let Some((path, depth)) = walker.queue.pop_front() {
        if directories >= limits.directories_max || entries >= limits.entries_max {
            walker.found.unvisited(path);
            continue;
        }
        directories += 1;
        match walker.directory(&path, depth, limits.entries_max - entries) {
            Ok(seen) => entries += seen,
            Err(Errno::NOENT | Errno::NOTDIR) if depth > 0 => {}
            Err(_) if depth > 0 => walker.found.unvisited(path),
            Err(error) => return Err(error),
        }
    }
    Ok(walker.found)
}

struct Walker<'a> {
    root: &'a Root,
    workspace: &'a Path,
    limits: WalkLimits,
    found: Found,
    queue: VecDeque<(PathBuf, usize)>,
}

impl Walker<'_> {
    /// Looks at each entry of one folder; says how many there were.
    fn directory(&mut self, path: &Path, depth: usize, entries_max: usize) -> Result<usize, Errno> {
        let folder = self.root.directory(path)?;
        let (mut seen, mut parts) = (0, Parts::default());
        let truncated = beneath::visit(folder.as_fd(), entries_max, |name, kind| {
            seen += 1;
            parts.note(name);
            if self.entry(path, depth, name, kind) == Inside::Look && kind == Kind::Directory {
                self.descend(path.join(name), depth);
            }
        })?;
        // A repository without a working tree: git uses it from inside. It may hold other start-up files besides.
        if parts.is_repository() {
            self.found.git(path.to_owned(), GitKind::Bare);
        }
        if truncated {
            self.probe_all(path, depth);
            self.found.unvisited(path.to_owned());
        }
        Ok(seen)
    }

    fn descend(&mut self, path: PathBuf, depth: usize) {
        let skipped = path.file_name().is_some_and(|name| self.limits.skip.iter().any(|s| name == *s));
        // Whatever waits in the queue was counted as an entry of its folder, so the queue is bounded with them.
        if skipped || depth >= self.limits.depth_max {
            self.found.unvisited(path);
        } else {
            self.queue.push_back((path, depth + 1));
        }
    }

    /// Notes one entry; says whether a folder of that name is to be entered.
    fn entry(&mut self, path: &Path, depth: usize, name: &OsStr, kind: Kind) -> Inside {
        if name == ".git" {
            self.git_entry(path.join(name), depth, kind);
            return Inside::Leave;
        }
        let bytes = name.as_bytes();
        let names = &*NAMES;
        let list = if bytes.first() == Some(&b'.') { &names.dotted } else { &names.plain };
        let mut inside = Inside::Look;
        for trigger in list.iter().filter(|t| t.starts_at(bytes) && (depth == 0 || t.scope == Scope::Anywhere)) {
            match trigger.head().1 {
                None => {
                    self.found.hit(path.join(name), trigger);
                    inside = Inside::Leave;
                }
                Some(rest) => {
                    if let Some(at) = probe(self.root, path.join(name), kind, rest) {
                        self.found.hit(at, trigger);
                    }
                }
            }
        }
        inside
    }

    fn git_entry(&mut self, path: PathBuf, depth: usize, kind: Kind) {
        match kind {
            Kind::Directory => {
                // Its objects are many; what other tools would start in it is asked for by name.
                if depth < self.limits.depth_max {
                    self.probe_all(&path, depth + 1);
                }
                self.found.git(path, GitKind::Main);
            }
            Kind::Link | Kind::Other => self.found.hit(path, &GIT_FILE),
            Kind::File => {
                match git_file_target(self.root, self.workspace, &path) {
                    Ok(inside) => {
                        let is = |name: &str| inside.iter().any(|part| part == name);
                        let kind = if is("modules") {
                            GitKind::Module
                        } else if is("worktrees") {
                            GitKind::Worktree
                        } else {
                            GitKind::Main
                        };
                        self.found.git(inside, kind);
                    }
                    Err(target) => self.found.outside.push((path.clone(), target)),
                }
                self.found.hit(path, &GIT_FILE);
            }
        }
    }

    /// Asks for each fixed name: the folder has more entries than are read.
    fn probe_all(&mut self, path: &Path, depth: usize) {
        let mut asked: BTreeSet<&str> = TRIGGERS
            .iter()
            .filter(|t| !t.pattern.starts_with('*') && (depth == 0 || t.scope == Scope::Anywhere))
            .map(|t| t.head().0)
            .collect();
        asked.insert(".git");
        let known: BTreeSet<PathBuf> = self.found.hits.iter().map(|hit| hit.path.clone()).collect();
        for name in asked {
            let at = path.join(name);
            if known.contains(&at) {
                continue;
            }
            if let Ok(Some(identity)) = self.root.identity(&at) {
                self.entry(path, depth, OsStr::new(name), identity.kind);
            }
        }
    }
}

/// Which parts of a git folder were seen.
#[derive(Default)]
struct Parts {
    head: bool,
    objects: bool,
    refs: bool,
    common: bool,
}

impl Parts {
    fn note(&mut self, name: &OsStr) {
        match name.as_bytes() {
            b"HEAD" => self.head = true,
            b"objects" => self.objects = true,
            b"refs" => self.refs = true,
            b"commondir" => self.common = true,
            _ => {}
        }
    }

    /// As git itself tells one.
    fn is_repository(&self) -> bool {
        self.head && ((self.objects && self.refs) || self.common)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Look,
    Leave,
}

/// Where `start`/`rest` exists, or where a link or an odd thing stands on the way to it.
pub(super) fn probe(root: &Root, start: PathBuf, kind: Kind, rest: &str) -> Option<PathBuf> {
    if kind != Kind::Directory {
        return (kind == Kind::Link).then_some(start);
    }
    let mut at = start;
    for part in rest.split('/') {
        at.push(part);
        match root.identity(&at) {
            Ok(Some(identity)) if identity.kind == Kind::Directory => {}
            Ok(Some(identity)) => {
                let is_last = at.ends_with(rest);
                return (is_last || identity.kind == Kind::Link).then_some(at);
            }
            Ok(None) => return None,
            // A link was put on the way just now: name the place, the judge looks again.
            Err(_) => return Some(at),
        }
    }
    Some(at)
}
