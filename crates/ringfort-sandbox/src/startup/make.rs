// SPDX-License-Identifier: MIT OR Apache-2.0
//! The plan: which start-up files exist, and what the cage has to do with each.
//!
//! In: a canonical workspace and an empty scratch folder of the caller's. Out: [`Plan`]. Cheap: one bounded walk, and
//! the contents of the few files it finds. **Invariant:** a start-up file that was found is in the plan or in a
//! notice. Nothing in the workspace is written.

use super::beneath::{self, Identity, Kind, Root};
use super::gitconfig::Config;
use super::gitkeys::{Place, Submodule};
use super::repository::{self, GitDirectory, GitKind};
use super::snapshot::{Body, Snapshot};
use super::trigger::{GIT_NAMED, LINKED, Treatment, Trigger};
use super::walk::{self, BEFORE, Found};
use super::{Notice, Plan, StagedFile};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// Name of the folder that a plan makes in the scratch folder.
const SCRATCH_NAME: &str = "startup";
/// Longest chain of links that is followed to protect what a linked start-up file leads to.
const LINKS_FOLLOWED_MAX: usize = 4;
/// Most paths that a cage is asked to mount read-only.
const PROTECTED_MAX: usize = 1_024;
/// Most files that are staged; further ones are read-only inside.
const STAGED_MAX: usize = 128;

/// Why no plan could be made. Nothing was changed in the workspace, and no cage may start without a plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The workspace is not an absolute path.
    #[error("the workspace `{}` is not an absolute path", path.display())]
    Relative {
        /// The path.
        path: PathBuf,
    },
    /// The kernel has no `openat2` (before 5.6), or a filter hides it.
    #[error("this system cannot open files safely below a folder (openat2)")]
    Unsupported,
    /// The workspace cannot be opened or listed.
    #[error("cannot look for start-up files in `{}`", path.display())]
    Workspace {
        /// The workspace.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The scratch folder cannot be written, or is in use by another plan.
    #[error("cannot use the scratch folder `{}`", path.display())]
    Scratch {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Finds the start-up files below `workspace` (canonical). Copies of staged files go below `scratch_dir`, which must
/// exist, belong to the caller, lie outside the workspace and serve this one run.
///
/// # Errors
///
/// See [`PlanError`]; nothing was changed in the workspace.
pub fn plan(workspace: &Path, scratch_dir: &Path) -> Result<Plan, PlanError> {
    if !workspace.is_absolute() {
        return Err(PlanError::Relative { path: workspace.to_owned() });
    }
    let workspace_error = |error: Errno| match error {
        Errno::NOSYS => PlanError::Unsupported,
        error => PlanError::Workspace { path: workspace.to_owned(), source: error.into() },
    };
    let scratch_error = |error: Errno| PlanError::Scratch { path: scratch_dir.to_owned(), source: error.into() };
    let root = Root::open(workspace).map_err(workspace_error)?;
    let outer = Root::open(scratch_dir).map_err(scratch_error)?;
    let own = Path::new(SCRATCH_NAME);
    let (parent, name) = outer.parent(own).map_err(scratch_error)?;
    rustix::fs::mkdirat(parent.as_fd(), name, Mode::RWXU).map_err(scratch_error)?;
    let fd = outer.directory(own).map_err(scratch_error)?;
    let started = beneath::identity_of(fd.as_fd()).map_err(scratch_error)?.changed;
    let mut found = walk::walk(&root, workspace, BEFORE).map_err(workspace_error)?;
    repository::expand(&root, &mut found);
    let snapshot = Snapshot {
        root,
        workspace: workspace.to_owned(),
        scratch: Root::from_fd(fd),
        started,
        items: Default::default(),
        staged: Vec::new(),
        awaited: Vec::new(),
        unvisited: std::mem::take(&mut found.unvisited),
        overflow: found.overflow,
        bytes: 0,
    };
    let mut making = Making { snapshot, protected: BTreeSet::new(), staged: Vec::new(), notices: Vec::new() };
    making.notices(&found);
    for hit in &found.hits {
        making.treat(&hit.path, hit.trigger, &found.git, scratch_dir).map_err(scratch_error)?;
    }
    Ok(making.finish())
}

struct Making {
    snapshot: Snapshot,
    protected: BTreeSet<PathBuf>,
    staged: Vec<StagedFile>,
    notices: Vec<Notice>,
}

impl Making {
    fn notices(&mut self, found: &Found) {
        self.notices.extend(self.snapshot.unvisited.iter().cloned().map(Notice::Unvisited));
        if found.overflow {
            self.notices.push(Notice::UnvisitedMany);
        }
        for (path, target) in &found.outside {
            self.notices.push(Notice::GitOutside { path: path.clone(), target: target.clone() });
        }
    }

    fn treat(
        &mut self,
        path: &Path,
        trigger: &'static Trigger,
        git: &[GitDirectory],
        scratch_dir: &Path,
    ) -> Result<(), Errno> {
        if trigger.treatment == Treatment::Report {
            return Ok(());
        }
        let Some(identity) = self.snapshot.keep(path, trigger, &mut self.notices) else {
            // It cannot even be looked at: a mount over the name still keeps it as it is.
            self.protected.insert(path.to_owned());
            return Ok(());
        };
        match (identity.kind, trigger.treatment) {
            (Kind::Link, Treatment::Protect | Treatment::Stage) => self.protect_link(path, LINKS_FOLLOWED_MAX),
            (Kind::File, Treatment::Stage) => return self.stage(path, identity, git, scratch_dir),
            (_, Treatment::Inspect | Treatment::Report) => {}
            (_, Treatment::Protect | Treatment::Stage) => {
                self.protected.insert(path.to_owned());
            }
        }
        Ok(())
    }

    /// Protects a link and, inside the workspace, what it leads to.
    fn protect_link(&mut self, path: &Path, follow_left: usize) {
        self.protected.insert(path.to_owned());
        let Ok(target) = self.snapshot.root.link_target(path) else { return };
        let parent = path.parent().unwrap_or(Path::new(""));
        let inside = repository::inside_of(&self.snapshot.workspace, parent, &target);
        let Some(inside) = inside.filter(|path| !path.as_os_str().is_empty()) else { return };
        match self.snapshot.keep(&inside, &LINKED, &mut self.notices).map(|identity| identity.kind) {
            Some(Kind::Link) if follow_left > 0 => self.protect_link(&inside, follow_left - 1),
            Some(_) => {
                self.protected.insert(inside);
            }
            None => self.snapshot.awaited.push((inside, &LINKED)),
        }
    }

    fn stage(
        &mut self,
        path: &Path,
        identity: Identity,
        git: &[GitDirectory],
        scratch_dir: &Path,
    ) -> Result<(), Errno> {
        let parsed = match self.snapshot.items.get(path).map(|item| &item.body) {
            Some(Body::Bytes(bytes)) => Config::parse(bytes).map(|config| (config, bytes.clone())),
            _ => Err(super::ConfigError::TooLarge),
        };
        let full = self.staged.len() >= STAGED_MAX;
        let (config, bytes) = match parsed {
            Ok(read) if !full => read,
            other => {
                let why = other.err().map_or_else(|| "too many files are staged".to_owned(), |e| e.to_string());
                self.notices.push(Notice::NotStaged { path: path.to_owned(), why });
                self.protected.insert(path.to_owned());
                return Ok(());
            }
        };
        self.protect_named(path, &config, git);
        let folder = self.staged.len().to_string();
        let name = path.file_name().unwrap_or(OsStr::new("config"));
        let at = Path::new(&folder).join(name);
        rustix::fs::mkdirat(self.snapshot.scratch.directory(Path::new(""))?, folder.as_str(), Mode::RWXU)?;
        let (parent, name) = self.snapshot.scratch.parent(&at)?;
        beneath::write_fresh(parent.as_fd(), name, &bytes, identity.mode & 0o600 | 0o400)?;
        self.staged.push(StagedFile {
            path: self.snapshot.workspace.join(path),
            scratch: scratch_dir.join(SCRATCH_NAME).join(&at),
        });
        self.snapshot.staged.push((path.to_owned(), at));
        Ok(())
    }

    /// Protects what a git configuration makes git read or run.
    fn protect_named(&mut self, path: &Path, config: &Config, git: &[GitDirectory]) {
        let from = path.parent().unwrap_or(Path::new(""));
        let owner = git.iter().find(|g| g.path == from);
        let place = match owner {
            Some(owner) => owner.place(),
            None => Place::Repository { directory: from, submodule: Submodule::No },
        };
        let tree = match owner.map(|g| g.kind) {
            Some(GitKind::Main) => from.parent().unwrap_or(Path::new("")),
            _ => from,
        };
        for named in repository::named_paths(&self.snapshot.workspace, config, place, from, tree) {
            if git.iter().any(|g| g.path.starts_with(&named)) {
                // Read-only, it would take the whole repository with it.
                self.notices.push(Notice::Unvisited(named));
                continue;
            }
            match self.snapshot.keep(&named, &GIT_NAMED, &mut self.notices).map(|identity| identity.kind) {
                Some(Kind::Link) => self.protect_link(&named, LINKS_FOLLOWED_MAX),
                Some(_) => {
                    self.protected.insert(named);
                }
                None => self.snapshot.awaited.push((named, &GIT_NAMED)),
            }
        }
    }

    fn finish(mut self) -> Plan {
        let mut protected: Vec<PathBuf> = Vec::new();
        for path in &self.protected {
            // A `BTreeSet` of paths has each folder before what is below it.
            if protected.last().is_some_and(|outer| path.starts_with(outer)) {
                continue;
            }
            if protected.len() < PROTECTED_MAX {
                protected.push(path.clone());
            } else {
                self.notices.push(Notice::NotProtected(path.clone()));
            }
        }
        let absolute = protected.iter().map(|path| self.snapshot.workspace.join(path)).collect();
        Plan { protected: absolute, staged: self.staged, notices: self.notices, snapshot: self.snapshot }
    }
}
