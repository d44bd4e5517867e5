// SPDX-License-Identifier: MIT OR Apache-2.0
//! The presets: what holds before any file speaks.
//!
//! In: a name. Out: the TOML that the layers are laid over.
//!
//! **Invariant:** each preset is a file of the same format as the user's, and passes the same checks (tested).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A named starting point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Nobody is there to ask: what is not known is denied.
    Locked,
    /// Low-risk actions inside the workspace go ahead, a person is asked about the rest.
    Supervised,
    /// A person is asked about high risk only, and the agent may read and write outside the workspace.
    Trusted,
}

impl Preset {
    /// Every preset, the strictest first.
    pub const ALL: [Self; 3] = [Self::Locked, Self::Supervised, Self::Trusted];

    /// The word used in files and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Supervised => "supervised",
            Self::Trusted => "trusted",
        }
    }

    /// Reads the word; `None` for anything else.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == word)
    }

    /// The preset's file.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Locked => include_str!("preset/locked.toml"),
            Self::Supervised => include_str!("preset/supervised.toml"),
            Self::Trusted => include_str!("preset/trusted.toml"),
        }
    }
}
