// SPDX-License-Identifier: MIT OR Apache-2.0
//! The view of the native runtime, in terms that another program can carry out.
//!
//! In: a checked profile. Out: [`Depicted`]: what is to be where, in order, with absolute paths inside.
//!
//! **Invariant:** it comes from the very steps that the native runtime carries out. What has no equivalent becomes
//! narrower and is named in a warning; nothing becomes wider.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::super::landlock::Grant;
use super::super::step::{Source, Step};
use super::super::view::{self, CANARY, FRESH, STAGED, STORE};
use super::super::{ProfileError, prepare};
use crate::profile::Profile;
use crate::syscall::{self, RDONLY};

/// One thing of a view.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A folder of the root.
    Folder { path: PathBuf, mode: u32 },
    /// A file with this content.
    File { path: PathBuf, mode: u32, content: Vec<u8> },
    /// A symbolic link.
    Link { path: PathBuf, target: PathBuf },
    /// A private folder in memory.
    Private { path: PathBuf, mode: u32, bytes: u64 },
    /// The processes of the namespace.
    Processes { path: PathBuf },
    /// The usual devices, private terminals, links to the standard streams.
    Devices { path: PathBuf },
    /// Something of the outside.
    Bind { source: PathBuf, path: PathBuf, read_only: bool },
    /// A part of the workspace over itself: it can be neither renamed nor replaced.
    Pinned { relative: PathBuf, path: PathBuf, read_only: bool },
    /// A file of our own in the place of one of the system.
    Replaced { path: PathBuf, content: Vec<u8> },
    /// Nothing, without rights, over what is to be hidden.
    Cover { path: PathBuf, is_folder: bool },
}

/// What a view is made of.
pub(crate) struct Depicted {
    /// In order: later ones lie above earlier ones.
    pub(crate) items: Vec<Item>,
    /// What Landlock grants inside.
    pub(crate) grants: Vec<(PathBuf, Grant)>,
    /// A file that only Landlock refuses.
    pub(crate) canary: PathBuf,
    /// What is narrower than asked for.
    pub(crate) warnings: Vec<String>,
    /// Files of the store, by name, and what they hold.
    stored: Vec<(PathBuf, Vec<u8>)>,
}

/// The view of `profile`.
pub(crate) fn depict(profile: &Profile) -> Result<Depicted, ProfileError> {
    let (uid, _) = syscall::effective_ids();
    let view = view::plan(profile, uid)?;
    let grants = prepare::view_grants(profile, &view.system);
    let read_only = |path: &PathBuf| format!("`{}` is read-only: only folders can be scratch", path.display());
    let mut depicted = Depicted {
        items: Vec::new(),
        grants,
        canary: PathBuf::from(CANARY),
        warnings: view.scratch_files.iter().map(read_only).collect(),
        stored: Vec::new(),
    };
    for step in &view.steps {
        depicted.step(step, profile);
    }
    Ok(depicted)
}

/// A path of the view, which a step names without its root.
fn inside(path: &CString) -> PathBuf {
    Path::new("/").join(outside(path))
}

fn outside(path: &CString) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(path.to_bytes()))
}

/// What the other program makes as a whole, or has no use for.
fn is_made_otherwise(path: &Path) -> bool {
    let store = Path::new("/").join(STORE);
    let parts = ["/dev", "/proc", "/run/ringfort"];
    path.starts_with(store) || parts.iter().any(|part| path.starts_with(part))
}

impl Depicted {
    fn step(&mut self, step: &Step, profile: &Profile) {
        match step {
            Step::Folder { path, mode } => self.folder(inside(path), *mode),
            Step::File { path, mode, content } => self.file(inside(path), *mode, content),
            Step::Link { path, target } if !is_made_otherwise(&inside(path)) => {
                self.items.push(Item::Link { path: inside(path), target: outside(target) });
            }
            Step::Proc { path } => self.items.push(Item::Processes { path: inside(path) }),
            Step::Bind { source: Source::Outside(source), path, attributes, .. } => {
                self.bind(outside(source), inside(path), attributes & RDONLY != 0);
            }
            Step::Bind { source: Source::Workspace(relative), path, attributes, .. } => {
                let read_only = attributes & RDONLY != 0;
                self.items.push(Item::Pinned { relative: outside(relative), path: inside(path), read_only });
            }
            Step::Bind { source: Source::Inside(source), path, .. } => {
                self.private(&outside(source), inside(path), profile);
            }
            Step::Overlay { source, path, .. } => {
                let path = inside(path);
                self.warnings.push(format!("`{}` is read-only: this runtime has no scratch folders", path.display()));
                self.items.push(Item::Bind { source: outside(source), path, read_only: true });
            }
            // Refused before: there is no workspace without it.
            Step::Layered { .. } => {}
            Step::Link { .. } | Step::Tmpfs { .. } | Step::Terminals { .. } | Step::Detach { .. } => {}
        }
    }

    fn folder(&mut self, path: PathBuf, mode: u32) {
        if path == Path::new("/dev") {
            self.items.push(Item::Devices { path });
        } else if !is_made_otherwise(&path) {
            self.items.push(Item::Folder { path, mode });
        }
    }

    fn file(&mut self, path: PathBuf, mode: u32, content: &[u8]) {
        if let Ok(name) = path.strip_prefix(Path::new("/").join(STORE)) {
            self.stored.push((name.to_owned(), content.to_vec()));
        }
        // An empty file that anybody may read is the place of a mount.
        let is_place = content.is_empty() && mode == MOUNT_POINT && path != Path::new(CANARY);
        if !is_place && !is_made_otherwise(&path) {
            self.items.push(Item::File { path, mode, content: content.to_vec() });
        }
    }

    fn bind(&mut self, source: PathBuf, path: PathBuf, read_only: bool) {
        if !path.starts_with("/dev") && !path.starts_with(STAGED) {
            self.items.push(Item::Bind { source, path, read_only });
        }
    }

    /// A bind of something in the store of the native runtime, by its name there.
    fn private(&mut self, source: &Path, path: PathBuf, profile: &Profile) {
        let name = source.strip_prefix(STORE).unwrap_or(source).to_str().unwrap_or_default();
        let bytes = profile.limits.scratch_bytes_max;
        match name {
            "no-folder" => self.items.push(Item::Cover { path, is_folder: true }),
            "no-file" => self.items.push(Item::Cover { path, is_folder: false }),
            "home" => self.items.push(Item::Private { path, mode: 0o700, bytes }),
            _ if self.stored.iter().any(|(stored, _)| *stored == Path::new(name)) => self.replaced(name, path),
            _ => match FRESH.iter().find(|(fresh, _, _)| *fresh == name) {
                Some((_, _, mode)) => self.items.push(Item::Private { path, mode: *mode, bytes }),
                None => self.staged(path, profile),
            },
        }
    }

    fn replaced(&mut self, name: &str, path: PathBuf) {
        let found = self.stored.iter().find(|(stored, _)| *stored == Path::new(name));
        let content = found.map(|(_, content)| content.clone()).unwrap_or_default();
        self.items.push(Item::Replaced { path, content });
    }

    /// The link of a staged file: it leads to a folder that is not there, so the file itself is protected.
    fn staged(&mut self, path: PathBuf, profile: &Profile) {
        self.warnings.push(format!("`{}` is read-only: this runtime has no staged files", path.display()));
        let relative = path.strip_prefix(&profile.workspace).unwrap_or(&path).to_owned();
        self.items.push(Item::Pinned { relative, path, read_only: true });
    }
}

/// The mode of a file that is only there to be mounted on.
const MOUNT_POINT: u32 = 0o644;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{DoorView, Network, Staged};

    fn depicted(change: impl FnOnce(&mut Profile, &Path)) -> (Depicted, PathBuf, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let workspace = root.join("home/work");
        std::fs::create_dir_all(workspace.join(".git/hooks")).unwrap();
        std::fs::write(workspace.join(".git/config"), "x").unwrap();
        let mut profile = Profile::new(workspace.clone(), root.join("home"));
        change(&mut profile, &root);
        (depict(&profile).unwrap(), workspace, folder)
    }

    #[test]
    fn what_is_protected_is_pinned_with_all_that_is_above_it() {
        let (depicted, workspace, _folder) = depicted(|profile, root| {
            profile.protected.push(profile.workspace.join(".git/hooks"));
            let staged = profile.workspace.join(".git/config");
            profile.staged.push(Staged { path: staged, scratch: root.join("copy/config") });
        });
        let pinned = |relative: &str, read_only| Item::Pinned {
            relative: relative.into(),
            path: workspace.join(relative),
            read_only,
        };
        for item in [pinned(".git", false), pinned(".git/hooks", true), pinned(".git/config", true)] {
            assert!(depicted.items.contains(&item), "{item:?} is missing in {:#?}", depicted.items);
        }
        let at = |wanted: &Item| depicted.items.iter().position(|item| item == wanted).unwrap();
        assert!(at(&pinned(".git", false)) < at(&pinned(".git/hooks", true)));
        assert_eq!(depicted.warnings.len(), 1, "{:?}", depicted.warnings);
    }

    #[test]
    fn questions_for_names_are_led_to_the_door() {
        let (depicted, ..) = depicted(|profile, _| {
            profile.network = Network::Door(DoorView { caught_ports: Vec::new(), names: true });
        });
        let found = depicted.items.iter().find_map(|item| match item {
            Item::Replaced { path, content } if path == Path::new("/etc/resolv.conf") => Some(content),
            _ => None,
        });
        if Path::new("/etc/resolv.conf").exists() {
            assert!(found.unwrap().ends_with(b"nameserver 127.0.0.1\n"), "{:#?}", depicted.items);
        }
        assert_eq!(depicted.warnings, [""; 0]);
    }

    #[test]
    fn deny_what_is_hidden() {
        let (depicted, workspace, _folder) = depicted(|profile, _| profile.hidden.push(profile.workspace.join(".git")));
        assert!(depicted.items.contains(&Item::Cover { path: workspace.join(".git"), is_folder: true }));
        let shadow =
            |item: &Item| matches!(item, Item::Cover { path, is_folder: false } if path == Path::new("/etc/shadow"));
        assert!(depicted.items.iter().any(shadow), "{:#?}", depicted.items);
    }

    #[test]
    fn deny_anything_of_the_outside_that_the_native_view_does_not_show() {
        let (depicted, workspace, _folder) = depicted(|_, _| {});
        for item in &depicted.items {
            let Item::Bind { source, path, read_only } = item else { continue };
            assert_eq!(source, path, "{item:?}");
            assert!(*read_only || *path == workspace, "{item:?}");
        }
    }
}
