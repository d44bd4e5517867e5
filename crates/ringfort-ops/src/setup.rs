// SPDX-License-Identifier: MIT OR Apache-2.0
//! Set-up: puts Ringfort's hook into the configuration of an agent, and takes it out again.
//!
//! In: an agent's files as they are, where home and project are, where the binary is. Out: [`Change`]s, which the
//! caller shows or writes; and what an installation looks like now.
//!
//! **Invariant:** everything here is a function of the texts that it is given; only [`mod@file`] and [`record`] touch the
//! disk. A configuration that cannot be read as its program reads it is refused, and nothing is changed.

pub mod agents;
pub mod diff;
pub mod file;
pub mod hooks;
pub mod json;
pub mod line;
pub mod record;

use std::path::{Path, PathBuf};

pub use agents::{AGENTS, Agent};
use json::JsonError;
use line::{Stands, Stopper};

/// Whose configuration is edited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The user's own: every project.
    User,
    /// The project's.
    Project,
}

impl Scope {
    /// Both, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self::User, Self::Project];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
        }
    }
}

/// Where things are.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The user's home.
    pub home: PathBuf,
    /// The project.
    pub project: PathBuf,
    /// The folder of configurations, usually `~/.config`.
    pub config: PathBuf,
    /// The folders that agents were told of by their own variables: variable and value.
    pub told: Vec<(&'static str, PathBuf)>,
    /// This program.
    pub binary: PathBuf,
    /// Whether a hook that stands still can be stopped.
    pub stopper: Stopper,
}

/// The variables by which agents are told where their configuration is.
pub const TOLD_VARIABLES: &[&str] =
    &["CLAUDE_CONFIG_DIR", "CODEX_HOME", "COPILOT_HOME", "OPENCODE_CONFIG_DIR", "OPENCLAW_STATE_DIR"];

impl Ground {
    /// The folder that a variable names, else one below the home.
    pub fn folder(&self, variable: &str, below_home: &str) -> PathBuf {
        let told = self.told.iter().find(|(name, _)| *name == variable);
        told.map_or_else(|| self.home.join(below_home), |(_, path)| path.clone())
    }

    /// The line that an agent is given for an event.
    ///
    /// # Errors
    ///
    /// [`SetupError::Binary`].
    pub fn line(&self, words: &[&str], stands: Stands) -> Result<String, SetupError> {
        line::line(&self.binary, words, stands, self.stopper)
    }
}

/// Why something cannot be set up. Nothing was changed unless the variant says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// This program's path cannot stand in a command line.
    #[error("the path of this program, `{}`, cannot be written into a command line", path.display())]
    Binary {
        /// The path.
        path: PathBuf,
    },
    /// A configuration is not what its program reads.
    #[error("cannot edit `{}`", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Why.
        source: JsonError,
    },
    /// A configuration in TOML is not what its program reads, before or after the edit.
    #[error("cannot edit `{}`: {message}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        message: String,
    },
    /// A file that would be ours alone is somebody else's.
    #[error("`{}` is there already and was not written by Ringfort", .0.display())]
    Foreign(PathBuf),
    /// The agent has no place in which this could be put.
    #[error("{0}")]
    NoPlace(&'static str),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] file::FileError),
}

/// One file, before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The file.
    pub path: PathBuf,
    /// Its text now; `None` if it is not there.
    pub before: Option<String>,
    /// Its text to be; `None` if it is to go.
    pub after: Option<String>,
}

impl Change {
    /// Whether anything changes.
    pub fn is_empty(&self) -> bool {
        self.before == self.after
    }
}

/// Reads a file of an agent; `None` if it is not there.
pub type Read<'a> = &'a dyn Fn(&Path) -> Result<Option<String>, SetupError>;

/// How an agent stands to Ringfort in one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing of ours is there.
    Absent,
    /// Everything is as this binary would write it. The line is the one before a tool call.
    Wired {
        /// The registered line, or the program where the agent has no lines.
        line: String,
    },
    /// Something of ours is there, and not as it should be.
    Changed {
        /// What.
        what: String,
    },
    /// It is there, and the agent is told not to ask it.
    Off {
        /// By what.
        what: String,
    },
}

/// What a hook that was run said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its exit status; `None` if it was killed.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// How the agent takes an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The call is blocked, for this reason.
    Blocked(String),
    /// The person is asked.
    Asked,
    /// The hook has no opinion.
    Silent,
    /// The call is let through past the agent's own permissions, or the answer is not understood and lets it through.
    Through(String),
}
