// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an action would do, as far as its analysis knows.
//!
//! In: an analysed command or tool call. Out: effects that rules, workspace and egress policy speak about.
//!
//! **Invariant:** what is not known is [`EffectKind::Unknown`], never left out.

use serde::{Deserialize, Serialize};

/// A byte range of the input, end excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(usize, usize)", into = "(usize, usize)")]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// The bytes from `start` up to `end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

impl From<(usize, usize)> for Span {
    fn from((start, end): (usize, usize)) -> Self {
        Self { start, end }
    }
}

impl From<Span> for (usize, usize) {
    fn from(span: Span) -> Self {
        (span.start, span.end)
    }
}

/// One thing that an action would do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Effect {
    /// What happens.
    pub kind: EffectKind,
    /// The path, host or program it happens to; `None` where it is only known at run time.
    pub target: Option<String>,
    /// The words of the input that say so.
    pub span: Span,
}

/// The kinds of effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EffectKind {
    /// Reads a file.
    ReadPath,
    /// Sees the names, sizes or types of files, not what they hold.
    ListPath,
    /// Creates or changes a file.
    WritePath,
    /// Removes one file.
    DeletePath,
    /// Removes a whole tree, or many files.
    DeleteTree,
    /// Runs a program file.
    ExecuteFile,
    /// Runs text that nobody has read: a script, a build, inline or downloaded code.
    ExecuteText,
    /// Sends to, or receives from, a host.
    OpenNetwork,
    /// Asks a service by its own client, in words that are written out; nothing local is sent.
    QueryService,
    /// Reads a credential.
    ReadSecret,
    /// Gains, drops or hands on rights.
    ChangePrivilege,
    /// Makes something run later by itself.
    Persist,
    /// Rewrites or discards version history.
    RewriteHistory,
    /// Publishes to others.
    Publish,
    /// Spends money.
    Spend,
    /// Stops processes or the machine.
    Kill,
    /// Uses up a resource.
    Exhaust,
    /// Changes the environment in which later programs run.
    ChangeEnvironment,
    /// Something that the analysis does not know.
    Unknown,
}

impl EffectKind {
    /// Every kind, in order.
    pub const ALL: [Self; 19] = [
        Self::ReadPath,
        Self::ListPath,
        Self::WritePath,
        Self::DeletePath,
        Self::DeleteTree,
        Self::ExecuteFile,
        Self::ExecuteText,
        Self::OpenNetwork,
        Self::QueryService,
        Self::ReadSecret,
        Self::ChangePrivilege,
        Self::Persist,
        Self::RewriteHistory,
        Self::Publish,
        Self::Spend,
        Self::Kill,
        Self::Exhaust,
        Self::ChangeEnvironment,
        Self::Unknown,
    ];

    /// The word used in JSON and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadPath => "read-path",
            Self::ListPath => "list-path",
            Self::WritePath => "write-path",
            Self::DeletePath => "delete-path",
            Self::DeleteTree => "delete-tree",
            Self::ExecuteFile => "execute-file",
            Self::ExecuteText => "execute-text",
            Self::OpenNetwork => "open-network",
            Self::QueryService => "query-service",
            Self::ReadSecret => "read-secret",
            Self::ChangePrivilege => "change-privilege",
            Self::Persist => "persist",
            Self::RewriteHistory => "rewrite-history",
            Self::Publish => "publish",
            Self::Spend => "spend",
            Self::Kill => "kill",
            Self::Exhaust => "exhaust",
            Self::ChangeEnvironment => "change-environment",
            Self::Unknown => "unknown",
        }
    }
}
