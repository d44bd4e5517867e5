// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which mounts a profile becomes, and in which order.
//!
//! In: a profile whose paths were checked. Out: the steps that the child carries out.
//!
//! **Invariant:** a mount point is created only in file systems of our own; one inside a folder of the host has to
//! exist already. Mounts are ordered by depth, so that what takes away lies above what grants.
//! Nothing is mounted here.

mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use super::ProfileError;
use super::step::{Source, Step};
use crate::profile::{BindMode, CowView, HomeView, Profile};
use crate::syscall::{Depth, NODEV, NOEXEC, NOSUID, RDONLY};

/// Parts of `/etc` that hold secrets or decide who may do what. Covered in every view.
pub(super) const ETC_SECRETS: &[&str] = &[
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/security/opasswd",
    "/etc/ssl/private",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/ssh_host_dsa_key",
    "/etc/krb5.keytab",
    "/etc/NetworkManager/system-connections",
    "/etc/wireguard",
    "/etc/kubernetes",
    "/etc/docker",
    "/etc/ssl/keys",
    "/etc/pki/tls/private",
    "/etc/ringfort",
];

/// Parts of /proc that tell about the machine or its keys. Covered where the kernel has them.
const PROC_COVERED: &[&str] = &["keys", "key-users", "sysrq-trigger", "kcore", "kmsg"];
/// Further parts that only the owner root could read; others cannot anyway.
const PROC_COVERED_FOR_ROOT: &[&str] =
    &["timer_list", "vmallocinfo", "kpagecount", "kpageflags", "kpagecgroup", "slabinfo", "pagetypeinfo", "kallsyms"];

const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// The mount that holds everything private while the view is built; detached at the end.
pub(super) const STORE: &str = ".store";
/// An empty file that Landlock must refuse to open: the probe for Landlock itself.
pub(super) const CANARY: &str = "/.ringfort-canary";
/// Where staged files appear.
pub(super) const STAGED: &str = "/run/ringfort/staged";

/// Folders of the private store and where they appear, with their modes.
pub(super) const FRESH: [(&str, &str, u32); 4] =
    [("tmp", "/tmp", 0o1777), ("vartmp", "/var/tmp", 0o1777), ("run", "/run", 0o755), ("shm", "/dev/shm", 0o1777)];

/// Most overlays of one view: one bit each in the report.
const OVERLAYS_MAX: u8 = 64;

/// What lies at a path of the view.
enum Layer {
    Fresh(&'static str),
    System,
    HomeRead(PathBuf),
    HomeScratch(PathBuf),
    HomeWrite(PathBuf),
    Workspace,
    Anchor,
    Protected,
    Staged(usize),
    Hidden,
}

impl Layer {
    /// Among layers of one depth, later ones lie above earlier ones.
    fn order(&self) -> u8 {
        match self {
            Self::System => 0,
            Self::Fresh(_) => 1,
            Self::HomeRead(_) | Self::HomeScratch(_) | Self::HomeWrite(_) => 2,
            Self::Workspace => 3,
            Self::Anchor => 4,
            Self::Protected | Self::Staged(_) => 5,
            Self::Hidden => 6,
        }
    }
}

/// Who may create mount points below a mount.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backing {
    Ours,
    Host,
}

/// A file or a folder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
}

/// The steps of a view and what its overlays are.
pub(super) struct View {
    pub(super) steps: Vec<Step>,
    pub(super) overlays: Vec<PathBuf>,
    /// Top-level trees of the system that are folders of their own: what Landlock grants.
    pub(super) system: Vec<PathBuf>,
    /// Scratch binds that had to become read-only because they are files.
    pub(super) scratch_files: Vec<PathBuf>,
}

/// Plans the view of `profile` for the user `uid`.
pub(super) fn plan(profile: &Profile, uid: u32) -> Result<View, ProfileError> {
    let mut planner = Planner::new(profile);
    planner.base(uid)?;
    planner.layers(uid)?;
    planner.names()?;
    planner.view.steps.push(Step::Detach { path: c_path(Path::new(STORE))? });
    Ok(planner.view)
}

struct Planner<'a> {
    profile: &'a Profile,
    view: View,
    mounts: BTreeMap<PathBuf, Backing>,
    made: BTreeSet<PathBuf>,
}

impl<'a> Planner<'a> {
    fn new(profile: &'a Profile) -> Self {
        let view = View { steps: Vec::new(), overlays: Vec::new(), system: Vec::new(), scratch_files: Vec::new() };
        let mounts = BTreeMap::from([(PathBuf::from("/"), Backing::Ours)]);
        Self { profile, view, mounts, made: BTreeSet::new() }
    }

    /// The store, /dev and /proc.
    fn base(&mut self, uid: u32) -> Result<(), ProfileError> {
        let size = CString::new(self.profile.limits.scratch_bytes_max.to_string()).unwrap_or_default();
        self.folder(Path::new(STORE), 0o700)?;
        self.push(Step::Tmpfs { path: c_path(Path::new(STORE))?, size });
        for (name, _, mode) in FRESH {
            self.folder(&Path::new(STORE).join(name), mode)?;
        }
        self.folder(&Path::new(STORE).join("home"), 0o700)?;
        self.folder(&Path::new(STORE).join("no-folder"), 0)?;
        self.file(&Path::new(STORE).join("no-file"), 0, Vec::new())?;
        self.file(Path::new(CANARY), 0o444, Vec::new())?;
        self.devices()?;
        self.processes(uid)?;
        for (path, target) in [("/var/run", "/run"), ("/var/lock", "/run")] {
            self.make_parents(Path::new(path))?;
            self.push(Step::Link { path: c_path(Path::new(path))?, target: c_string(Path::new(target))? });
        }
        Ok(())
    }

    fn devices(&mut self) -> Result<(), ProfileError> {
        self.folder(Path::new("/dev"), 0o755)?;
        for name in DEVICES {
            let path = Path::new("/dev").join(name);
            self.file(&path, 0o666, Vec::new())?;
            self.push(Step::Bind {
                source: Source::Outside(c_string(&path)?),
                path: c_path(&path)?,
                depth: Depth::Tree,
                attributes: NOSUID | NOEXEC,
            });
        }
        for (name, target) in [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
            ("ptmx", "pts/ptmx"),
        ] {
            let path = c_path(&Path::new("/dev").join(name))?;
            self.push(Step::Link { path, target: c_string(Path::new(target))? });
        }
        self.folder(Path::new("/dev/pts"), 0o755)?;
        self.push(Step::Terminals { path: c_path(Path::new("/dev/pts"))? });
        Ok(())
    }

    fn processes(&mut self, uid: u32) -> Result<(), ProfileError> {
        self.folder(Path::new("/proc"), 0o555)?;
        self.push(Step::Proc { path: c_path(Path::new("/proc"))? });
        let for_root: &[&str] = if uid == 0 { PROC_COVERED_FOR_ROOT } else { &[] };
        for name in PROC_COVERED.iter().chain(for_root) {
            let path = Path::new("/proc").join(name);
            if path.symlink_metadata().is_ok() {
                self.cover(&path, Kind::File)?;
            }
        }
        Ok(())
    }

    /// Everything that a profile names, shallow mounts first.
    fn layers(&mut self, uid: u32) -> Result<(), ProfileError> {
        let profile = self.profile;
        let secrets = ETC_SECRETS.iter().map(PathBuf::from).filter(|secret| is_below_any(secret, &profile.system));
        // Links are taken away by taking away what they lead to. Resolved before the mounts are put in order.
        let hidden: BTreeSet<PathBuf> = profile
            .hidden
            .iter()
            .cloned()
            .chain(secrets)
            .chain(closed_to_others(profile, uid))
            .filter_map(|path| path.canonicalize().ok())
            .collect();
        let is_hidden = |path: &Path| path.ancestors().any(|parent| hidden.contains(parent));
        let mut layers: Vec<(PathBuf, Layer)> = Vec::new();
        layers.extend(profile.system.iter().map(|path| (path.clone(), Layer::System)));
        layers.extend(FRESH.iter().map(|(name, path, _)| (PathBuf::from(path), Layer::Fresh(name))));
        layers.push((profile.home.path.clone(), Layer::Fresh("home")));
        for bind in &profile.home.binds {
            let layer = match bind.mode {
                BindMode::ReadOnly => Layer::HomeRead(bind.source.clone()),
                BindMode::Scratch => Layer::HomeScratch(bind.source.clone()),
                BindMode::Writable => Layer::HomeWrite(bind.source.clone()),
            };
            layers.push((profile.home.path.join(&bind.target), layer));
        }
        layers.push((profile.workspace.clone(), Layer::Workspace));
        let mounts = profile.cow.iter().flat_map(CowView::mounts);
        layers.extend(mounts.filter(|path| !is_hidden(path)).map(|path| (path.clone(), Layer::Protected)));
        layers.extend(profile.writable.iter().map(|path| (path.clone(), Layer::Workspace)));
        // A mount over a path of the real workspace would be a way past the copy into it.
        let is_covered = |path: &Path| profile.cow.is_some() || is_hidden(path);
        let protected: BTreeSet<&PathBuf> = profile.protected.iter().filter(|path| !is_covered(path)).collect();
        let staged = profile.staged.iter().enumerate().filter(|(_, staged)| !is_covered(&staged.path));
        let mut anchors = BTreeSet::new();
        for path in protected.iter().copied().chain(staged.clone().map(|(_, staged)| &staged.path)) {
            let parents = path.ancestors().skip(1).take_while(|parent| *parent != profile.workspace);
            anchors.extend(parents.filter(|parent| !protected.contains(&parent.to_path_buf())).map(Path::to_path_buf));
        }
        layers.extend(protected.into_iter().map(|path| (path.clone(), Layer::Protected)));
        layers.extend(anchors.into_iter().map(|path| (path, Layer::Anchor)));
        layers.extend(staged.map(|(number, staged)| (staged.path.clone(), Layer::Staged(number))));
        layers.extend(hidden.iter().cloned().map(|path| (path, Layer::Hidden)));
        layers.sort_by_key(|(path, layer)| (path.components().count(), layer.order()));
        for (path, layer) in layers {
            self.layer(&path, layer)?;
        }
        Ok(())
    }

    fn layer(&mut self, path: &Path, layer: Layer) -> Result<(), ProfileError> {
        match layer {
            Layer::Fresh(name) => self.fresh(path, name),
            Layer::System => self.system(path),
            Layer::HomeRead(source) => self.bind(&source, path, RDONLY),
            Layer::HomeScratch(source) => self.scratch(&source, path),
            Layer::HomeWrite(source) => self.bind(&source, path, 0),
            Layer::Workspace => self.workspace(path),
            Layer::Anchor => self.inside_workspace(path, 0),
            Layer::Protected => self.inside_workspace(path, RDONLY),
            Layer::Staged(number) => self.staged(path, number),
            Layer::Hidden => self.hidden(path),
        }
    }

    fn fresh(&mut self, path: &Path, name: &str) -> Result<(), ProfileError> {
        self.mount_point(path, Kind::Folder)?;
        self.push(Step::Bind {
            source: Source::Inside(c_path(&Path::new(STORE).join(name))?),
            path: c_path(path)?,
            depth: Depth::Tree,
            attributes: NOSUID | NODEV,
        });
        self.mounts.insert(path.to_path_buf(), Backing::Ours);
        if path == self.profile.home.path {
            self.home_files()?;
        }
        Ok(())
    }

    fn home_files(&mut self) -> Result<(), ProfileError> {
        let HomeView { path: home, files, .. } = &self.profile.home;
        for (name, content) in files {
            let path = home.join(name);
            self.make_parents(&path)?;
            self.file(&path, 0o600, content.clone())?;
        }
        Ok(())
    }

    fn system(&mut self, path: &Path) -> Result<(), ProfileError> {
        let Ok(metadata) = path.symlink_metadata() else {
            return Ok(()); // This host does not have it.
        };
        if metadata.is_symlink() {
            let target = std::fs::read_link(path).map_err(|source| ProfileError::unreadable(path, source))?;
            self.make_parents(path)?;
            self.push(Step::Link { path: c_path(path)?, target: c_string(&target)? });
            return Ok(());
        }
        self.view.system.push(path.to_path_buf());
        self.bind(path, path, RDONLY)
    }

    fn bind(&mut self, source: &Path, path: &Path, attributes: u64) -> Result<(), ProfileError> {
        self.mount_point(path, kind_of(source)?)?;
        self.push(Step::Bind {
            source: Source::Outside(c_string(source)?),
            path: c_path(path)?,
            depth: Depth::Tree,
            attributes: attributes | NOSUID | NODEV,
        });
        self.mounts.insert(path.to_path_buf(), Backing::Host);
        Ok(())
    }

    /// A writable folder at its own path; the workspace itself may be a copy or an overlay.
    fn workspace(&mut self, path: &Path) -> Result<(), ProfileError> {
        match &self.profile.cow {
            Some(CowView::Copy { folder, .. }) if path == self.profile.workspace => self.bind(folder, path, 0),
            Some(CowView::Overlay { upper, work }) if path == self.profile.workspace => {
                self.mount_point(path, Kind::Folder)?;
                self.push(Step::Layered { upper: c_string(upper)?, work: c_string(work)?, path: c_path(path)? });
                self.mounts.insert(path.to_path_buf(), Backing::Host);
                Ok(())
            }
            _ => self.bind(path, path, 0),
        }
    }

    fn scratch(&mut self, source: &Path, path: &Path) -> Result<(), ProfileError> {
        let metadata = source.metadata().map_err(|error| ProfileError::unreadable(source, error))?;
        if !metadata.is_dir() {
            self.view.scratch_files.push(path.to_path_buf());
            return self.bind(source, path, RDONLY);
        }
        let number = u8::try_from(self.view.overlays.len()).unwrap_or(u8::MAX);
        if number >= OVERLAYS_MAX {
            return Err(ProfileError::TooMany { what: "scratch folders", most: usize::from(OVERLAYS_MAX) });
        }
        let parts = Path::new(STORE).join(format!("overlay-{number}"));
        let (upper, work) = (parts.join("upper"), parts.join("work"));
        self.folder(&parts, 0o700)?;
        // The merged folder shows the mode of the upper one.
        self.folder(&upper, metadata.permissions().mode() & 0o777)?;
        self.folder(&work, 0o700)?;
        self.mount_point(path, Kind::Folder)?;
        self.push(Step::Overlay {
            source: c_string(source)?,
            upper: c_path(&upper)?,
            work: c_path(&work)?,
            path: c_path(path)?,
            number,
        });
        self.view.overlays.push(path.to_path_buf());
        self.mounts.insert(path.to_path_buf(), Backing::Host);
        Ok(())
    }

    /// Mounts a path of the workspace over itself, which also makes it impossible to rename or replace.
    fn inside_workspace(&mut self, path: &Path, attributes: u64) -> Result<(), ProfileError> {
        let relative = path.strip_prefix(&self.profile.workspace).unwrap_or(path);
        self.push(Step::Bind {
            source: Source::Workspace(c_string(relative)?),
            path: c_path(path)?,
            depth: Depth::Tree,
            attributes: attributes | NOSUID | NODEV,
        });
        Ok(())
    }

    /// Puts a link over the file; it leads to a folder of its own where lock file and rename work.
    fn staged(&mut self, path: &Path, number: usize) -> Result<(), ProfileError> {
        let Some(staged) = self.profile.staged.get(number) else {
            return Ok(());
        };
        let missing = || ProfileError::Staged { path: staged.scratch.clone() };
        let (folder, name) =
            (staged.scratch.parent().ok_or_else(missing)?, staged.scratch.file_name().ok_or_else(missing)?);
        let place = Path::new(STAGED).join(number.to_string());
        self.make_parents(&place)?;
        self.folder(&place, 0o700)?;
        self.push(Step::Bind {
            source: Source::Outside(c_string(folder)?),
            path: c_path(&place)?,
            depth: Depth::Tree,
            attributes: NOSUID | NODEV | NOEXEC,
        });
        let link = Path::new(STORE).join(format!("link-{number}"));
        self.push(Step::Link { path: c_path(&link)?, target: c_string(&place.join(name))? });
        self.push(Step::Bind {
            source: Source::Inside(c_path(&link)?),
            path: c_path(path)?,
            depth: Depth::One,
            attributes: RDONLY,
        });
        Ok(())
    }

    fn hidden(&mut self, path: &Path) -> Result<(), ProfileError> {
        if self.backing_of(path) == Backing::Ours {
            return Ok(()); // Nothing of the host is there.
        }
        self.cover(path, kind_of(path)?)
    }

    fn cover(&mut self, path: &Path, kind: Kind) -> Result<(), ProfileError> {
        let empty = if kind == Kind::Folder { "no-folder" } else { "no-file" };
        self.push(Step::Bind {
            source: Source::Inside(c_path(&Path::new(STORE).join(empty))?),
            path: c_path(path)?,
            depth: Depth::One,
            attributes: RDONLY | NOSUID | NODEV | NOEXEC,
        });
        self.mounts.insert(path.to_path_buf(), Backing::Ours);
        Ok(())
    }

    /// Makes sure that something can be mounted at `path`.
    fn mount_point(&mut self, path: &Path, kind: Kind) -> Result<(), ProfileError> {
        if self.backing_of(path) == Backing::Host {
            return Ok(()); // It has to exist; the child fails when it does not.
        }
        if self.made.contains(path) {
            return Ok(());
        }
        self.make_parents(path)?;
        match kind {
            Kind::Folder => self.folder(path, 0o755),
            Kind::File => self.file(path, 0o644, Vec::new()),
        }
    }

    fn make_parents(&mut self, path: &Path) -> Result<(), ProfileError> {
        let parents: Vec<&Path> = path.ancestors().skip(1).filter(|parent| parent.parent().is_some()).collect();
        for parent in parents.into_iter().rev() {
            if !self.made.contains(parent)
                && !self.mounts.contains_key(parent)
                && self.backing_of(parent) == Backing::Ours
            {
                self.folder(parent, 0o755)?;
            }
        }
        Ok(())
    }

    fn backing_of(&self, path: &Path) -> Backing {
        path.ancestors().find_map(|parent| self.mounts.get(parent)).copied().unwrap_or(Backing::Ours)
    }

    fn folder(&mut self, path: &Path, mode: u32) -> Result<(), ProfileError> {
        self.made.insert(path.to_path_buf());
        self.push(Step::Folder { path: c_path(path)?, mode });
        Ok(())
    }

    fn file(&mut self, path: &Path, mode: u32, content: Vec<u8>) -> Result<(), ProfileError> {
        self.made.insert(path.to_path_buf());
        self.push(Step::File { path: c_path(path)?, mode, content });
        Ok(())
    }

    fn push(&mut self, step: Step) {
        self.view.steps.push(step);
    }
}

pub(super) fn is_below_any(path: &Path, trees: &[PathBuf]) -> bool {
    trees.iter().any(|tree| path.starts_with(tree))
}

/// What the root caller alone can read at the top of `/etc`: without rights root still opens root's files.
fn closed_to_others(profile: &Profile, uid: u32) -> Vec<PathBuf> {
    let etc = PathBuf::from("/etc");
    if uid != 0 || !profile.system.contains(&etc) {
        return Vec::new();
    }
    let Ok(entries) = std::fs::read_dir(&etc) else { return Vec::new() };
    let is_closed = |entry: &std::fs::DirEntry| {
        entry.metadata().is_ok_and(|meta| !meta.is_symlink() && meta.permissions().mode() & 0o004 == 0)
    };
    entries.flatten().filter(is_closed).map(|entry| entry.path()).collect()
}

fn kind_of(path: &Path) -> Result<Kind, ProfileError> {
    let metadata = path.metadata().map_err(|source| ProfileError::unreadable(path, source))?;
    Ok(if metadata.is_dir() { Kind::Folder } else { Kind::File })
}

/// A path as a C string.
pub(super) fn c_string(path: &Path) -> Result<CString, ProfileError> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| ProfileError::NullByte)
}

/// A path of the view as a C string relative to the new root.
fn c_path(path: &Path) -> Result<CString, ProfileError> {
    let relative: PathBuf = path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    c_string(&relative)
}
