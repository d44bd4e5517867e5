// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a tree looks: for each path its kind, mode, owner, times, attributes and content.
//!
//! In: folders and what to leave out. Out: a map, and the differences of two.
//!
//! **Invariant:** no link is followed, nothing is changed.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Largest file whose content is compared. Bytes.
const CONTENT_BYTES_MAX: u64 = 4 << 20;

/// Everything below some folders.
pub(super) type Manifest = BTreeMap<PathBuf, Entry>;

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    mode: u32,
    owner: (u32, u32),
    changed: (i64, i64),
    links: u64,
    attributes: Vec<u8>,
    content: Vec<u8>,
}

impl Entry {
    fn read(path: &Path, meta: &Metadata) -> Self {
        let content = if meta.is_symlink() {
            fs::read_link(path).map(|to| to.into_os_string().into_encoded_bytes()).unwrap_or_default()
        } else if meta.is_file() && meta.len() <= CONTENT_BYTES_MAX {
            fs::read(path).unwrap_or_default()
        } else {
            Vec::new()
        };
        // A folder's own times and links change with what is in it, which is looked at itself.
        let is_folder = meta.is_dir();
        Self {
            mode: meta.mode(),
            owner: (meta.uid(), meta.gid()),
            changed: if is_folder { (0, 0) } else { (meta.mtime(), meta.mtime_nsec()) },
            links: if is_folder { 0 } else { meta.nlink() },
            attributes: attributes(path),
            content,
        }
    }

    /// Whether it runs as its owner, is a device, or has rights of its own.
    pub(super) fn is_dangerous(&self) -> bool {
        const SET_USER: u32 = 0o4000;
        let kind = self.mode & 0o170_000;
        let is_file = kind == 0o100_000;
        (is_file && self.mode & SET_USER != 0)
            || kind == 0o020_000
            || kind == 0o060_000
            || self.attributes.windows(19).any(|name| name == b"security.capability")
    }

    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }
}

fn attributes(path: &Path) -> Vec<u8> {
    let mut names = [0u8; 1024];
    match rustix::fs::llistxattr(path, &mut names[..]) {
        Ok(length) => names.get(..length).unwrap_or_default().to_vec(),
        Err(_) => Vec::new(),
    }
}

/// Looks at everything below `folders` but what `leave_out` names.
pub(super) fn manifest(folders: &[&Path], leave_out: &dyn Fn(&Path) -> bool) -> io::Result<Manifest> {
    let mut found = Manifest::new();
    let mut todo: Vec<PathBuf> = folders.iter().map(|folder| folder.to_path_buf()).collect();
    while let Some(path) = todo.pop() {
        if leave_out(&path) {
            continue;
        }
        let Ok(meta) = path.symlink_metadata() else { continue };
        if meta.is_dir() {
            // A folder that cannot be listed shows by its mode.
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            todo.extend(entries.map(|entry| entry.path()));
        }
        let entry = Entry::read(&path, &meta);
        found.insert(path, entry);
    }
    Ok(found)
}

/// What differs, in words.
pub(super) fn differences(before: &Manifest, after: &Manifest) -> Vec<String> {
    let mut found = Vec::new();
    for (path, old) in before {
        match after.get(path) {
            None => found.push(format!("`{}` is gone", path.display())),
            Some(new) if new != old => found.push(format!("`{}` has changed", path.display())),
            Some(_) => {}
        }
    }
    let new = after.keys().filter(|path| !before.contains_key(*path));
    found.extend(new.map(|path| format!("`{}` is new", path.display())));
    found
}
