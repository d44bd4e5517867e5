// SPDX-License-Identifier: MIT OR Apache-2.0
//! The beginning of a copy-on-write run: an overlay where the host allows one, else a copy of the workspace.
//!
//! In: the workspace and an empty private folder. Out: [`Begun`]: what the cage is told, and what has to be known later.
//!
//! **Invariant:** nothing in the workspace is written. What a copy leaves out is named in the layer, and is never taken
//! for deleted. A copy that would be too large fails before anything runs.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::copy::{Owner, copy_content, dress, fresh_file, fresh_folder, fresh_other};
use super::facts::{Facts, Kind, facts_at, facts_of, xattrs_of};
use super::layer::{Form, Known, Layer, RelativePath, mark};
use super::{COPY, ENTRIES_MAX, UPPER, WORK};
use crate::profile::CowView;
use crate::runtimes::native;
use crate::startup::beneath::{self, Root};

/// Most bytes of a workspace that are copied.
pub const COPY_BYTES_MAX: u64 = 64 << 30;
/// Deepest folder that is copied.
const DEPTH_MAX: usize = 256;
/// Entries between two words about progress.
const PROGRESS_ENTRIES: usize = 512;
/// Largest list of mounts that is read. Bytes.
const MOUNTS_BYTES_MAX: usize = 16 << 20;
/// File systems whose clock is this machine's: the moment of a change can be compared with the start of a run.
const LOCAL: [u32; 9] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
    0x2fc1_2fc1, // zfs
    0xf2f5_2010, // f2fs
    0xca45_1a4e, // bcachefs
    0x794c_7630, // overlay
    0x8584_58f6, // ramfs
];
/// Name of the file with the identities of what was copied.
pub(super) const MANIFEST: &str = "manifest";

/// How the changes are to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// An overlay where that works, else a copy.
    Auto,
    /// A copy: there will be no mount of the native kind.
    Copy,
}

/// Why there is no layer. Nothing in the workspace has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BeginError {
    /// The workspace cannot be read.
    #[error("cannot copy `{}` of the workspace", shown(path))]
    Read {
        /// The path, relative to it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The private folder cannot be written.
    #[error("cannot write `{}` of the copy", shown(path))]
    Write {
        /// The path, relative to it.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The workspace is too large to be copied.
    #[error("the workspace has more than {most} {what}, and has to be copied here")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        most: u64,
    },
}

fn shown(path: &Path) -> String {
    crate::startup::shown(path).to_string()
}

/// What a run begins with.
#[derive(Debug)]
pub struct Begun {
    /// For the profile of its cage.
    pub view: CowView,
    /// To be kept for later.
    pub layer: Layer,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Makes the layer of a run in `folder`, which is empty, private and outside the workspace.
///
/// `hidden` are absolute paths that the cage does not show, `guarded` absolute paths that need an explicit yes later.
/// `progress` hears how many entries and bytes were copied.
///
/// # Errors
///
/// [`BeginError`]: there is no layer, and nothing in the workspace has changed.
pub fn begin(
    workspace: &Path,
    folder: &Path,
    wish: Wish,
    (hidden, guarded): (&[PathBuf], &[PathBuf]),
    progress: &mut dyn FnMut(usize, u64),
) -> Result<Begun, BeginError> {
    let own = |errno: Errno| BeginError::Write { path: PathBuf::new(), source: errno.into() };
    let read = |errno: Errno| BeginError::Read { path: PathBuf::new(), source: errno.into() };
    let root = Root::open(workspace).map_err(read)?;
    let home = Root::open(folder).map_err(own)?;
    let home = home.directory(Path::new("")).map_err(own)?;
    let started = mark(home.as_fd()).map_err(own)?;
    let inside = |paths: &[PathBuf]| -> Vec<RelativePath> {
        let inside = paths.iter().filter_map(|path| path.strip_prefix(workspace).ok());
        inside.filter(|path| !path.as_os_str().is_empty()).map(|path| RelativePath(path.to_owned())).collect()
    };
    // What is hidden is found by what its links lead to, as the cage does.
    let hidden: Vec<PathBuf> = hidden.iter().filter_map(|path| path.canonicalize().ok()).collect();
    let mounts = mounts_below(workspace);
    let inode = facts_of(root.directory(Path::new("")).map_err(read)?.as_fd()).map_err(read)?.inode;
    let mut layer = Layer {
        workspace: workspace.to_owned(),
        inode,
        form: Form::Overlay,
        started,
        copied: started,
        hidden: inside(&hidden),
        guarded: inside(guarded),
    };
    if wish == Wish::Auto
        && mounts.is_empty()
        && is_local(&root).map_err(read)?
        && overlay_works(workspace, folder, home.as_fd())
    {
        let (upper, work) = (folder.join(UPPER), folder.join(WORK));
        drop(fresh_folder(home.as_fd(), OsStr::new(WORK)).map_err(own)?);
        let made = fresh_folder(home.as_fd(), OsStr::new(UPPER)).map_err(own)?;
        dress_like(&root, made.as_fd()).map_err(own)?;
        return Ok(Begun { view: CowView::Overlay { upper, work }, layer, notes: Vec::new() });
    }
    layer.form = Form::Copy;
    let mut notes = Vec::new();
    for mount in &mounts {
        notes.push(format!("`{}` is another file system: it is not copied and cannot be written", shown(mount)));
    }
    layer.hidden.extend(inside(&mounts));
    let manifest = fresh_file(home.as_fd(), OsStr::new(MANIFEST)).map_err(own)?;
    let copy = fresh_folder(home.as_fd(), OsStr::new(COPY)).map_err(own)?;
    let mut copier = Copier {
        root: &root,
        layer: &mut layer,
        manifest: BufWriter::new(File::from(manifest)),
        linked: BTreeMap::new(),
        copy: copy.as_fd(),
        entries: 0,
        bytes: 0,
        notes: &mut notes,
        progress,
    };
    copier.folder(Path::new(""), copy.as_fd(), 0)?;
    copier.manifest.flush().map_err(|source| BeginError::Write { path: PathBuf::from(MANIFEST), source })?;
    dress_like(&root, copy.as_fd()).map_err(own)?;
    layer.copied = mark(home.as_fd()).map_err(own)?;
    Ok(Begun { view: CowView::Copy { folder: folder.join(COPY), mounts }, layer, notes })
}

/// Gives an open folder the mode, time and attributes of the workspace itself.
fn dress_like(root: &Root, made: BorrowedFd<'_>) -> Result<(), Errno> {
    let model = root.directory(Path::new(""))?;
    let facts = facts_of(model.as_fd())?;
    dress(made, &facts, Owner::Maker, &xattrs_of(model.as_fd()).unwrap_or_default())
}

fn is_local(root: &Root) -> Result<bool, Errno> {
    let kind = rustix::fs::fstatfs(root.directory(Path::new(""))?)?.f_type;
    // The type's width and sign differ between machines; its low 32 bits are the number.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the low 32 bits are what counts")]
    Ok(LOCAL.contains(&(kind as u32)))
}

/// Tries an overlay of the workspace, with folders of its own in the place where the real ones will be.
fn overlay_works(workspace: &Path, folder: &Path, home: BorrowedFd<'_>) -> bool {
    let name = OsStr::new("probe");
    let Ok(place) = fresh_folder(home, name) else { return false };
    let made = [UPPER, WORK].iter().all(|part| fresh_folder(place.as_fd(), OsStr::new(part)).is_ok());
    let path = folder.join(name);
    let works = made && native::try_layered(workspace, &path.join(UPPER), &path.join(WORK));
    // What cannot be removed is removed with the whole folder.
    super::remove::remove_at(home, name).ok();
    works
}

/// Where other file systems are mounted below the workspace, outermost only.
fn mounts_below(workspace: &Path) -> Vec<PathBuf> {
    let Ok(text) = read_bounded("/proc/self/mountinfo", MOUNTS_BYTES_MAX) else { return Vec::new() };
    let mut found: Vec<PathBuf> = text
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(|field| PathBuf::from(OsString::from_vec(unescaped(field))))
        .filter(|path| path != workspace && path.starts_with(workspace))
        .collect();
    found.sort();
    let mut outermost: Vec<PathBuf> = Vec::new();
    for path in found {
        if !outermost.iter().any(|outer| path.starts_with(outer)) {
            outermost.push(path);
        }
    }
    outermost
}

fn read_bounded(path: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A field of the list of mounts: blanks and the like are written as `\` and three octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| *first == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// One line of the manifest.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Line {
    pub(super) path: RelativePath,
    pub(super) known: Known,
    /// The inode of its copy: a copied file that was moved here from elsewhere is another.
    pub(super) copy: u64,
}

struct Copier<'a> {
    root: &'a Root,
    layer: &'a mut Layer,
    manifest: BufWriter<File>,
    /// Where files with several names were copied to first.
    linked: BTreeMap<((u32, u32), u64), PathBuf>,
    copy: BorrowedFd<'a>,
    entries: usize,
    bytes: u64,
    notes: &'a mut Vec<String>,
    progress: &'a mut dyn FnMut(usize, u64),
}

impl Copier<'_> {
    fn folder(&mut self, path: &Path, to: BorrowedFd<'_>, depth: usize) -> Result<(), BeginError> {
        let read = |errno: Errno| BeginError::Read { path: path.to_owned(), source: errno.into() };
        if depth > DEPTH_MAX {
            return Err(BeginError::TooLarge { what: "folders in each other", most: DEPTH_MAX as u64 });
        }
        let from = self.root.directory(path).map_err(read)?;
        let left = ENTRIES_MAX.saturating_sub(self.entries);
        let listing = beneath::list(from.as_fd(), left).map_err(read)?;
        if listing.truncated {
            return Err(BeginError::TooLarge { what: "entries", most: ENTRIES_MAX as u64 });
        }
        for entry in listing.entries {
            self.entry(&path.join(&entry.name), (from.as_fd(), to), &entry.name, depth)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        path: &Path,
        (from, to): (BorrowedFd<'_>, BorrowedFd<'_>),
        name: &OsStr,
        depth: usize,
    ) -> Result<(), BeginError> {
        let read = |errno: Errno| BeginError::Read { path: path.to_owned(), source: errno.into() };
        let write = |errno: Errno| BeginError::Write { path: path.to_owned(), source: errno.into() };
        self.entries += 1;
        if self.entries.is_multiple_of(PROGRESS_ENTRIES) {
            (self.progress)(self.entries, self.bytes);
        }
        // Removed since it was listed.
        let Some(facts) = facts_at(from, name).map_err(read)? else { return Ok(()) };
        if self.layer.hidden.iter().any(|hidden| hidden.0 == path) {
            return placeholder(to, name, facts.kind).map_err(write);
        }
        if matches!(facts.kind, Kind::Socket | Kind::Device) {
            return Ok(());
        }
        if facts.links > 1 && facts.kind != Kind::Folder {
            let identity = (facts.device, facts.inode);
            if let Some(first) = self.linked.get(&identity) {
                rustix::fs::linkat(self.copy, first, to, name, AtFlags::empty()).map_err(write)?;
                return self.note(path, &facts, (to, name));
            }
            self.linked.insert(identity, path.to_owned());
        }
        match facts.kind {
            Kind::File => match self.file((from, to), name, &facts) {
                Err(Errno::ACCESS | Errno::PERM) => return self.unreadable(path, to, name, facts.kind),
                result => result.map_err(write)?,
            },
            Kind::Folder => {
                let inner = match self.root.directory(path) {
                    Err(Errno::ACCESS | Errno::PERM) => return self.unreadable(path, to, name, facts.kind),
                    result => result.map_err(read)?,
                };
                let xattrs = xattrs_of(inner.as_fd()).map_err(read)?;
                let made = fresh_folder(to, name).map_err(write)?;
                self.folder(path, made.as_fd(), depth + 1)?;
                dress(made.as_fd(), &facts, Owner::Maker, &xattrs).map_err(write)?;
            }
            Kind::Link => {
                let target = rustix::fs::readlinkat(from, name, Vec::new()).map_err(read)?;
                let target = OsStr::from_bytes(target.to_bytes());
                fresh_other(to, name, &facts, Some(target)).map_err(write)?;
            }
            Kind::Pipe => fresh_other(to, name, &facts, None).map_err(write)?,
            Kind::Socket | Kind::Device => {}
        }
        self.note(path, &facts, (to, name))
    }

    fn file(&mut self, (from, to): (BorrowedFd<'_>, BorrowedFd<'_>), name: &OsStr, facts: &Facts) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let source = rustix::fs::openat(from, name, flags, Mode::empty())?;
        let made = fresh_file(to, name)?;
        let xattrs = xattrs_of(source.as_fd())?;
        self.bytes = self.bytes.saturating_add(copy_content(source.as_fd(), made.as_fd(), facts.size)?);
        if self.bytes > COPY_BYTES_MAX {
            return Err(Errno::FBIG);
        }
        dress(made.as_fd(), facts, Owner::Maker, &xattrs)
    }

    /// What the caller cannot read cannot be copied: an empty thing stands for it, of which nothing is applied.
    fn unreadable(&mut self, path: &Path, to: BorrowedFd<'_>, name: &OsStr, kind: Kind) -> Result<(), BeginError> {
        self.notes.push(format!("`{}` cannot be read: it is empty in the copy, and stays as it is", shown(path)));
        self.layer.hidden.push(RelativePath(path.to_owned()));
        placeholder(to, name, kind).map_err(|errno| BeginError::Write { path: path.to_owned(), source: errno.into() })
    }

    fn note(&mut self, path: &Path, facts: &Facts, (to, name): (BorrowedFd<'_>, &OsStr)) -> Result<(), BeginError> {
        let write = |errno: Errno| BeginError::Write { path: path.to_owned(), source: errno.into() };
        let copy = facts_at(to, name).map_err(write)?.map_or(0, |made| made.inode);
        let line = Line { path: RelativePath(path.to_owned()), known: Known::from(facts), copy };
        let failed = |source| BeginError::Write { path: PathBuf::from(MANIFEST), source };
        serde_json::to_writer(&mut self.manifest, &line).map_err(|error| failed(error.into()))?;
        self.manifest.write_all(b"\n").map_err(failed)
    }
}

/// Something empty and shut in the place of what is not copied.
fn placeholder(to: BorrowedFd<'_>, name: &OsStr, kind: Kind) -> Result<(), Errno> {
    if kind == Kind::Folder {
        return rustix::fs::mkdirat(to, name, Mode::RUSR | Mode::XUSR);
    }
    let file = match fresh_file(to, name) {
        Err(Errno::EXIST) => return Ok(()), // A copy that was begun and then refused.
        result => result?,
    };
    rustix::fs::fchmod(&file, Mode::empty())
}
