// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of tools in lists: exact where they allow, in every spelling where they deny.
//!
//! In: the text of a list. Out: [`ToolPattern`].
//!
//! **Invariant:** an entry that allows covers its own spelling only; one that denies or asks covers every spelling that
//! an agent could take for the same.

use ringfort_core::text::is_invisible;

use super::NAME_BYTES_MAX;

/// A name of a tool in a list; a `*` at the end stands for any rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolPattern {
    name: String,
    open: bool,
}

/// Why a text is no pattern of tools. Nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ToolPatternError(&'static str);

impl ToolPattern {
    /// Reads a name, or the beginning of one and `*`.
    ///
    /// # Errors
    ///
    /// [`ToolPatternError`]: it is no pattern.
    pub fn parse(text: &str) -> Result<Self, ToolPatternError> {
        let (name, open) = text.strip_suffix('*').map_or((text, false), |name| (name, true));
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(ToolPatternError("a tool's name is neither empty nor longer than 256 bytes"));
        }
        if name.contains('*') {
            return Err(ToolPatternError("a `*` stands only at the end"));
        }
        if name.chars().any(|c| !c.is_ascii_graphic() && c != ' ' || is_invisible(c)) {
            return Err(ToolPatternError("a tool's name holds printable ASCII only"));
        }
        Ok(Self { name: name.to_owned(), open })
    }

    /// Whether it allows this tool: the exact spelling.
    pub fn allows(&self, tool: &str) -> bool {
        if self.open { tool.starts_with(&self.name) } else { tool == self.name }
    }

    /// Whether it denies or asks about this tool: any spelling that an agent could take for the same.
    pub fn names(&self, tool: &str) -> bool {
        let separator = |c: char| matches!(c, '_' | '-' | '.' | ' ');
        let folded = |name: &str| -> String {
            name.chars().map(|c| if separator(c) { '_' } else { c.to_ascii_lowercase() }).collect()
        };
        let (mine, other) = (folded(&self.name), folded(tool));
        if self.open {
            return other.starts_with(&mine);
        }
        mine.replace('_', "") == other.replace('_', "")
    }
}
