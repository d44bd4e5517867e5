// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the attacker is told about the outside: everything but the secrets.
//!
//! In: lines `name=value` of a file in the workspace. Out: paths and numbers. A stranger would have to guess these;
//! the attempts are stronger for not having to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The scene of an attack.
pub(crate) struct Scene {
    /// The real home, which holds credentials.
    pub(crate) home: PathBuf,
    /// The workspace.
    pub(crate) work: PathBuf,
    /// A folder that the attacker has no business in.
    pub(crate) outside: PathBuf,
    values: BTreeMap<String, String>,
}

impl Scene {
    /// Reads the scene; a runtime may show the workspace under another name, so its place is that of the file.
    pub(crate) fn read(path: &Path) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let values: BTreeMap<String, String> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let folder = |name: &str| PathBuf::from(values.get(name).map_or("/nonexistent", String::as_str));
        let work = path.canonicalize()?.parent().map_or_else(|| folder("work"), Path::to_path_buf);
        Ok(Self { home: folder("home"), work, outside: folder("outside"), values })
    }

    /// A value; empty when it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// A number; 0 when it is not there.
    pub(crate) fn number(&self, name: &str) -> usize {
        self.text(name).parse().unwrap_or(0)
    }

    /// The process outside that is attacked.
    pub(crate) fn victim(&self) -> usize {
        self.number("victim")
    }

    /// A word that no other scene has, for names that are made.
    pub(crate) fn tag(&self) -> &str {
        self.text("tag")
    }
}
