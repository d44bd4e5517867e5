// SPDX-License-Identifier: MIT OR Apache-2.0
//! Folders and files that configuration names: absolute, below the home folder, or below the workspace.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::{Setting, is_below, joined};

/// Most bytes of a configured path.
const PLACE_BYTES_MAX: usize = 4096;

/// A configured path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    anchor: Anchor,
    /// Normal, with a slash before each component; empty for the anchor itself.
    rest: Vec<u8>,
    /// As it was written, for messages.
    written: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    Root,
    Home,
    Workspace,
}

/// Why a text is no place. Nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlaceError(&'static str);

impl Place {
    /// Reads a configured path. A relative one lies in the workspace.
    ///
    /// # Errors
    ///
    /// [`PlaceError`]: it is empty, too long, holds control characters, patterns or variables, or climbs out.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        if text.is_empty() || text.len() > PLACE_BYTES_MAX {
            return Err(PlaceError("a path is neither empty nor longer than 4096 bytes"));
        }
        if text.chars().any(|c| c.is_control() || ringfort_core::text::is_invisible(c)) {
            return Err(PlaceError("a path holds no control and no invisible characters"));
        }
        if text.contains(['*', '?', '[', '$']) {
            return Err(PlaceError("a path holds no patterns and no variables; a folder covers what is below it"));
        }
        let (anchor, rest) = match text.as_bytes() {
            [b'/', rest @ ..] => (Anchor::Root, rest),
            [b'~'] => (Anchor::Home, &[][..]),
            [b'~', b'/', rest @ ..] => (Anchor::Home, rest),
            [b'~', ..] => return Err(PlaceError("`~` stands for the caller's own home folder only")),
            rest => (Anchor::Workspace, rest),
        };
        if rest.split(|b| *b == b'/').any(|part| part == b"..") {
            return Err(PlaceError("a path holds no `..`"));
        }
        let rest = match joined(b"/", rest).as_slice() {
            b"/" => Vec::new(),
            normal => normal.to_owned(),
        };
        Ok(Self { anchor, rest, written: text.to_owned() })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The path itself; `None` where its anchor is not known.
    pub fn to_path(&self, setting: &Setting<'_>) -> Option<PathBuf> {
        let mut bytes = self.base(setting)?.to_vec();
        if bytes == b"/" {
            bytes.clear();
        }
        bytes.extend_from_slice(&self.rest);
        if bytes.is_empty() {
            bytes.push(b'/');
        }
        Some(PathBuf::from(OsString::from_vec(bytes)))
    }

    /// Whether it names something below the home folder, not the home folder itself.
    pub fn is_below_home(&self) -> bool {
        self.anchor == Anchor::Home && !self.rest.is_empty()
    }

    /// Whether it is absolute and spelled like this.
    pub(super) fn is_absolute(&self, path: &str) -> bool {
        self.anchor == Anchor::Root && self.rest == path.as_bytes()
    }

    fn base<'s>(&self, setting: &'s Setting<'_>) -> Option<&'s [u8]> {
        match self.anchor {
            Anchor::Root => Some(b""),
            Anchor::Home => setting.home.as_deref(),
            Anchor::Workspace => setting.workspace.as_deref(),
        }
    }

    /// Whether a normal path is this place or lies below it.
    pub(crate) fn holds(&self, path: &[u8], setting: &Setting<'_>) -> bool {
        let Some(base) = self.base(setting) else { return false };
        let base = if base == b"/" { b"" } else { base };
        path.strip_prefix(base)
            .and_then(|rest| rest.strip_prefix(self.rest.as_slice()))
            .is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
    }

    /// Whether this place lies in the folder `path`, so that removing `path` removes it.
    pub(crate) fn is_under(&self, path: &[u8], setting: &Setting<'_>) -> bool {
        self.base(setting).is_some_and(|base| is_below(&[base, self.rest.as_slice()].concat(), path))
    }
}
