// SPDX-License-Identifier: MIT OR Apache-2.0
//! Acceptance of a user file: its owner has read this content and wants it.
//!
//! In: a user file and the folder of accepted copies. Out: whether the content is accepted, the difference to what
//! was, and, on the owner's word, a new accepted copy.
//!
//! **Invariant:** what is in force is the accepted copy, whatever happens to the file afterwards: neither an edit nor
//! a removal changes a ruling before its owner has said so. [`accept`] stores only the content that was shown.

mod hidden;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ringfort_core::digest::{Digest, DigestWriter};
use ringfort_core::text::escape_bytes;

use crate::file::{self, FileError, Links};

/// Most lines of either side that are compared line by line; beyond, everything counts as replaced.
const DIFF_LINES_MAX: usize = 2000;
/// Equal lines shown around a change.
const DIFF_CONTEXT: usize = 3;

/// What has become of a user file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Neither file nor accepted copy.
    Absent,
    /// A file that was never accepted.
    NotAccepted {
        /// Digest of the file.
        current: Digest,
    },
    /// The file is the accepted one.
    Accepted {
        /// Its content.
        text: String,
    },
    /// The file differs from the accepted one.
    Changed {
        /// The accepted content.
        accepted: String,
    },
    /// The file is gone, or cannot be trusted as it is now.
    Removed {
        /// The accepted content.
        accepted: String,
    },
}

/// Why acceptance could not be told or stored. The accepted copy is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The folder or copy could not be written.
    #[error("cannot write below `{}`", path.display())]
    Write {
        /// The folder of accepted copies.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not the one that was shown.
    #[error("`{}` has changed since it was shown; look at the difference again", .0.display())]
    Moved(PathBuf),
}

/// What accepting would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// A unified diff from the accepted copy to the file, escaped for a terminal, without values of secrets; empty where
    /// nothing else changed.
    pub text: String,
    /// How many values of secrets were hidden.
    pub hidden: usize,
    /// What the difference was made for; [`accept`] takes it back.
    pub shown: Shown,
}

/// The content for which a difference was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A file with this digest.
    File(Digest),
    /// No file: accepting forgets the accepted copy.
    NoFile,
}

/// The place of the accepted copy of `path`.
fn copy_of(accepted: &Path, path: &Path) -> PathBuf {
    let mut writer = DigestWriter::new("ringfort.accepted.v1");
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    writer.bytes(absolute.as_os_str().as_encoded_bytes());
    accepted.join(format!("{}.toml", writer.finish()))
}

fn optional(path: &Path, links: Links) -> Result<Option<String>, FileError> {
    match file::read(path, links) {
        Ok(text) => Ok(Some(text)),
        Err(FileError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells what has become of a user file.
///
/// # Errors
///
/// [`AcceptError::File`]: the file or its copy is there and cannot be read or trusted. Nothing is in force.
pub fn state(accepted: &Path, path: &Path) -> Result<State, AcceptError> {
    let copy = optional(&copy_of(accepted, path), Links::Refuse)?;
    let current = optional(path, Links::Follow)?;
    Ok(match (copy, current) {
        (None, None) => State::Absent,
        (None, Some(current)) => State::NotAccepted { current: Digest::of(current.as_bytes()) },
        (Some(copy), Some(current)) if copy == current => State::Accepted { text: current },
        (Some(accepted), Some(_)) => State::Changed { accepted },
        (Some(accepted), None) => State::Removed { accepted },
    })
}

/// Shows what accepting the present content would change.
///
/// # Errors
///
/// [`AcceptError::File`]: the file or its copy cannot be read. Nothing was changed.
pub fn difference(accepted: &Path, path: &Path) -> Result<Difference, AcceptError> {
    let copy = optional(&copy_of(accepted, path), Links::Refuse)?.unwrap_or_default();
    let current = optional(path, Links::Follow)?;
    let shown = current.as_ref().map_or(Shown::NoFile, |text| Shown::File(Digest::of(text.as_bytes())));
    let hidden = hidden::hide(path, &copy, current.as_deref().unwrap_or(""));
    Ok(Difference { text: unified(&hidden.old, &hidden.new), hidden: hidden.count, shown })
}

/// Accepts the content for which a difference was shown, or forgets the copy of a file that is gone.
///
/// # Errors
///
/// [`AcceptError`]: the accepted copy is as it was.
pub fn accept(accepted: &Path, path: &Path, shown: Shown) -> Result<(), AcceptError> {
    let current = optional(path, Links::Follow)?;
    let failed = |source: io::Error| AcceptError::Write { path: accepted.to_owned(), source };
    let copy = copy_of(accepted, path);
    match (current, shown) {
        (None, Shown::NoFile) => match fs::remove_file(&copy) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => sync_folder(accepted).map_err(failed),
        },
        (Some(text), Shown::File(digest)) if Digest::of(text.as_bytes()) == digest => {
            store(accepted, &copy, text.as_bytes()).map_err(failed)
        }
        _ => Err(AcceptError::Moved(path.to_owned())),
    }
}

/// Writes a copy beside its place, syncs it and moves it there.
fn store(accepted: &Path, copy: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(accepted)?;
    let fresh = copy.with_extension(format!("{}.new", std::process::id()));
    let written = (|| {
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, copy)?;
        sync_folder(accepted)
    })();
    if written.is_err() {
        // The copy that counts is untouched; a leftover beside it is never read.
        drop(fs::remove_file(&fresh));
    }
    written
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    match fs::File::open(folder) {
        Ok(handle) => handle.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// One line of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit<'t> {
    Keep(&'t str),
    Remove(&'t str),
    Add(&'t str),
}

/// A unified diff of two texts, escaped for a terminal.
fn unified(old: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    let edits = edits(&old, &new);
    let near = |at: usize| {
        let window = edits.get(at.saturating_sub(DIFF_CONTEXT)..(at + DIFF_CONTEXT + 1).min(edits.len()));
        window.is_some_and(|window| window.iter().any(|edit| !matches!(edit, Edit::Keep(_))))
    };
    let mut out = String::from("--- accepted\n+++ now\n");
    let (mut old_line, mut new_line, mut open) = (1_usize, 1_usize, false);
    for (at, edit) in edits.iter().enumerate() {
        let shown = near(at);
        if shown && !open {
            out.push_str(&format!("@@ -{old_line} +{new_line} @@\n"));
        }
        open = shown;
        let (mark, line) = match edit {
            Edit::Keep(line) => (' ', line),
            Edit::Remove(line) => ('-', line),
            Edit::Add(line) => ('+', line),
        };
        old_line += usize::from(mark != '+');
        new_line += usize::from(mark != '-');
        if shown {
            out.push(mark);
            out.push_str(&escape_bytes(line.strip_suffix('\n').unwrap_or(line).as_bytes()));
            out.push('\n');
            if !line.ends_with('\n') {
                out.push_str("\\ no newline at the end\n");
            }
        }
    }
    out
}

/// The edits from one list of lines to another, by their longest common subsequence.
fn edits<'t>(old: &[&'t str], new: &[&'t str]) -> Vec<Edit<'t>> {
    if old.len() > DIFF_LINES_MAX || new.len() > DIFF_LINES_MAX {
        return old.iter().map(|line| Edit::Remove(line)).chain(new.iter().map(|line| Edit::Add(line))).collect();
    }
    let width = new.len() + 1;
    let mut lengths = vec![0_u32; (old.len() + 1) * width];
    let length = |lengths: &[u32], i: usize, j: usize| lengths.get(i * width + j).copied().unwrap_or(0);
    for (i, old_line) in old.iter().enumerate().rev() {
        for (j, new_line) in new.iter().enumerate().rev() {
            let value = if old_line == new_line {
                length(&lengths, i + 1, j + 1) + 1
            } else {
                length(&lengths, i + 1, j).max(length(&lengths, i, j + 1))
            };
            if let Some(cell) = lengths.get_mut(i * width + j) {
                *cell = value;
            }
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::with_capacity(old.len().max(new.len())));
    loop {
        match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => {
                out.push(Edit::Keep(a));
                (i, j) = (i + 1, j + 1);
            }
            (Some(a), b) if b.is_none() || length(&lengths, i + 1, j) >= length(&lengths, i, j + 1) => {
                out.push(Edit::Remove(a));
                i += 1;
            }
            (_, Some(b)) => {
                out.push(Edit::Add(b));
                j += 1;
            }
            (_, None) => return out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_unified_and_escaped() {
        for (old, new, expected) in [
            ("a\n", "a\n", ""),
            ("", "a\n", "--- accepted\n+++ now\n@@ -1 +1 @@\n+a\n"),
            ("a\nb\n", "a\nc\n", "--- accepted\n+++ now\n@@ -1 +1 @@\n a\n-b\n+c\n"),
            ("a\n", "a\n\u{1b}[2J", "--- accepted\n+++ now\n@@ -1 +1 @@\n a\n+\\u{1b}[2J\n\\ no newline at the end\n"),
            (
                "1\n2\n3\n4\n5\n6\n7\n8\n9\n",
                "1\n2\n3\n4\n5\n6\n7\n8\n",
                "--- accepted\n+++ now\n@@ -6 +6 @@\n 6\n 7\n 8\n-9\n",
            ),
        ] {
            assert_eq!(unified(old, new), expected, "{old:?} {new:?}");
        }
    }

    #[test]
    fn a_huge_difference_is_bounded() {
        let old = "x\n".repeat(DIFF_LINES_MAX + 1);
        assert_eq!(unified(&old, "y\n").lines().count(), DIFF_LINES_MAX + 5);
    }
}
