// SPDX-License-Identifier: MIT OR Apache-2.0
//! Opens a settings file of a client.
//!
//! **Invariant:** what is judged (kind, owner, mode, size) is the opened file; nothing waits for a pipe. What lies where
//! an agent writes, by name or in truth, is not read.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, open};

use super::Settings;

/// Largest settings file. Bytes.
const BYTES_MAX: u64 = 256 << 10;

/// The text of a file that is the caller's or the system's own; `None` for any other.
pub(super) fn text(path: &Path, settings: &Settings<'_>) -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(open(path, flags, Mode::empty()).ok()?);
    let real = real_path(&file)?;
    let is_written = |path: &Path| settings.written.iter().any(|folder| path.starts_with(folder));
    if is_written(path) || is_written(&real) {
        return None;
    }
    let meta = file.metadata().ok()?;
    let own = [0, rustix::process::getuid().as_raw()];
    if !meta.is_file() || !own.contains(&meta.uid()) || meta.mode() & 0o002 != 0 || meta.size() > BYTES_MAX {
        return None;
    }
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Where an open file really is.
fn real_path(file: &File) -> Option<PathBuf> {
    use std::os::fd::AsRawFd as _;
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())).ok()
}

/// The lines `key = value` of an ini file, with the section that each stands in. A line that begins with a blank goes on
/// with the value before it.
pub(super) fn ini(text: &str) -> Vec<(String, String, String)> {
    let mut all: Vec<(String, String, String)> = Vec::new();
    let mut section = String::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.trim().clone_into(&mut section);
            continue;
        }
        let goes_on = line.starts_with([' ', '\t']) && !trimmed.contains('=');
        match (trimmed.split_once('='), all.last_mut()) {
            (_, Some((_, _, value))) if goes_on => {
                value.push(' ');
                value.push_str(trimmed);
            }
            (Some((key, value)), _) => {
                let value = value.trim().trim_matches('"').to_owned();
                all.push((section.clone(), key.trim().to_owned(), value));
            }
            (None, _) => {}
        }
    }
    all
}
