// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the files of an agent said before: the way back.
//!
//! In: the changes of a set-up. Out: a file in the state folder, and from it the changes that undo.
//!
//! **Invariant:** a file that still says what set-up wrote is put back byte for byte; one that was edited since loses
//! our entries and nothing else. The record is written before the first file is changed.

use std::path::{Path, PathBuf};

use ringfort_core::digest::Digest;
use serde::{Deserialize, Serialize};

use super::{Agent, Change, Ground, Read, Scope, SetupError};

/// One file of a set-up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The file.
    pub path: PathBuf,
    /// What it said; `None` if it was not there.
    pub before: Option<String>,
    /// Digest of what set-up wrote.
    pub after: String,
}

/// A set-up that can be undone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The agent.
    pub agent: String,
    /// Its files.
    pub files: Vec<Kept>,
    /// Folders that were made, the outer before the inner.
    pub folders: Vec<PathBuf>,
}

fn digest(text: &str) -> String {
    Digest::of(text.as_bytes()).to_string()
}

/// Where the record of one agent and scope is kept in the state folder.
pub fn path(state: &Path, agent: &Agent, scope: Scope, ground: &Ground) -> PathBuf {
    let name = match scope {
        Scope::User => format!("{}-user.json", agent.name),
        Scope::Project => {
            let digest = Digest::of(ground.project.as_os_str().as_encoded_bytes()).to_string();
            format!("{}-project-{}.json", agent.name, digest.get(..16).unwrap_or_default())
        }
    };
    state.join("setup").join(name)
}

impl Record {
    /// The record for these changes; `earlier` is that of a set-up which was not undone, `stripped` what the files say
    /// without our entries.
    pub fn of(agent: &Agent, changes: &[Change], stripped: &[Change], earlier: Option<&Self>) -> Self {
        let files = changes.iter().filter_map(|change| {
            let after = digest(change.after.as_deref()?);
            let kept = earlier.and_then(|record| record.files.iter().find(|kept| kept.path == change.path));
            let now = change.before.as_deref();
            let before = match kept {
                // Untouched since the earlier set-up: what was before it is what is put back.
                Some(kept) if now.is_some_and(|text| digest(text) == kept.after) => kept.before.clone(),
                _ => stripped
                    .iter()
                    .find(|other| other.path == change.path)
                    .map_or_else(|| change.before.clone(), |stripped| stripped.after.clone()),
            };
            Some(Kept { path: change.path.clone(), before, after })
        });
        let folders = earlier.map(|record| record.folders.clone()).unwrap_or_default();
        Self { agent: agent.name.to_owned(), files: files.collect(), folders }
    }

    /// The changes that undo, given what the files say without our entries. The flag says whether each file is put
    /// back byte for byte.
    ///
    /// # Errors
    ///
    /// [`SetupError`]: a file cannot be read.
    pub fn undo(&self, stripped: Vec<Change>, read: Read<'_>) -> Result<Vec<(Change, Way)>, SetupError> {
        let mut changes = Vec::new();
        for kept in &self.files {
            let before = read(&kept.path)?;
            if before.as_deref().is_some_and(|text| digest(text) == kept.after) {
                let change = Change { path: kept.path.clone(), before, after: kept.before.clone() };
                changes.push((change, Way::Restored));
            }
        }
        for change in stripped {
            if !changes.iter().any(|(other, _)| other.path == change.path) {
                changes.push((change, Way::Stripped));
            }
        }
        Ok(changes)
    }
}

/// How a file was brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It says what it said before, byte for byte.
    Restored,
    /// It was edited since: only our entries were taken out.
    Stripped,
}
