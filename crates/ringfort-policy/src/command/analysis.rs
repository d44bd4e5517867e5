// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an analysis says: the commands that could run, their effects, and what could not be read.
//!
//! In: nothing; these are values. Out: [`Analysis`] for rules, doors and people.
//!
//! **Invariant:** a value that is only known at run time has a [`Source`] and is never shown as known; every
//! span lies inside the input. What a policy allows is not decided here.

use std::ops::Range;

use ringfort_core::decision::Risk;
use ringfort_core::effect::{Effect, Span};

use super::bytes::Bytes;
use super::hazard::Rule;

/// Marks, inside the bytes of an [`Argument`], a part that is only known at run time. Never valid in UTF-8.
pub const HOLE: u8 = 0xff;

/// Where and for whom a command would run. Nothing is looked up: what is absent is unknown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'c> {
    /// Absolute working folder.
    pub cwd: Option<&'c [u8]>,
    /// Absolute home folder.
    pub home: Option<&'c [u8]>,
    /// Absolute root of the workspace.
    pub workspace: Option<&'c [u8]>,
}

/// The result of an analysis.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// Every simple command that could execute.
    pub commands: Vec<SimpleCommand>,
    /// Every effect; the effects of one command are adjacent, see [`SimpleCommand::effects`].
    pub effects: Vec<Effect>,
    /// Effects that are dangerous together.
    pub chains: Vec<Chain>,
    /// Places that need attention whatever the effects are.
    pub hazards: Vec<Hazard>,
    /// What could not be read. Not empty: nobody knows all that would run.
    pub unanalysable: Vec<Problem>,
    /// The highest risk of anything above.
    pub risk: Risk,
}

impl Analysis {
    /// An empty result for an input of `length` bytes.
    pub(super) fn new(length: usize) -> Self {
        // A guess that saves most of the growth on long scripts and costs little on short commands.
        let commands = (length / 28).clamp(1, 4096);
        Self {
            commands: Vec::with_capacity(commands),
            effects: if commands > 1 { Vec::with_capacity(commands.min(64)) } else { Vec::new() },
            chains: Vec::new(),
            hazards: Vec::new(),
            unanalysable: Vec::new(),
            risk: Risk::Low,
        }
    }

    /// Whether everything that would run is known by program and analysed to its end.
    pub fn is_complete(&self) -> bool {
        self.unanalysable.is_empty() && self.commands.iter().all(|c| matches!(c.program, Program::Known(_)))
    }
}

/// One simple command that could execute.
#[derive(Clone, Debug)]
pub struct SimpleCommand {
    /// The program or builtin, as the shell would look it up.
    pub program: Program,
    /// Its arguments, in order.
    pub args: Vec<Argument>,
    /// Assignments in effect for it alone.
    pub assignments: Vec<(Vec<u8>, Argument)>,
    /// Its redirections.
    pub redirections: Vec<Redirection>,
    /// Where it stands.
    pub place: Place,
    /// Index of the command that runs this one or takes its output as a word.
    pub via: Option<usize>,
    /// The bytes of the input it comes from.
    pub span: Span,
    /// Its own risk.
    pub risk: Risk,
    /// Its effects, as a range of [`Analysis::effects`].
    pub effects: Range<usize>,
    /// What is known about its program.
    pub knowledge: Knowledge,
    /// Whether `ringfort run` in the same text starts it, in the cage.
    pub caged: bool,
}

/// The first word of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// The exact bytes.
    Known(Bytes),
    /// Decided at run time.
    Unknown(Source),
    /// There is none: only assignments or redirections.
    Absent,
}

impl Program {
    /// The last path component, when the program is known.
    pub fn name(&self) -> Option<&[u8]> {
        match self {
            Self::Known(bytes) => bytes.rsplit(|b| *b == b'/').next(),
            Self::Unknown(_) | Self::Absent => None,
        }
    }
}

/// What the analysis knows about a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knowledge {
    /// In the catalogue, and every argument was understood.
    Catalogue,
    /// In the catalogue, but an argument or sub-command was not understood.
    Partial,
    /// Defined as a function or alias in the same text, where its body was analysed.
    Defined,
    /// Not in the catalogue.
    Unknown,
}

/// One argument after expansion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The bytes; parts that are not known are [`HOLE`]s.
    pub bytes: Bytes,
    /// Why it is not fully known; `None` for exact bytes.
    pub source: Option<Source>,
    /// Whether it may become several words, or none.
    pub arity: Arity,
    /// The word it comes from.
    pub span: Span,
}

impl Argument {
    /// The exact bytes, if they are known.
    pub fn known(&self) -> Option<&[u8]> {
        if self.source.is_none() { Some(&self.bytes) } else { None }
    }

    /// The known bytes before the first part that is not known.
    pub fn prefix(&self) -> &[u8] {
        let length = self.bytes.iter().position(|b| *b == HOLE || (self.source == Some(Source::Glob) && is_glob(*b)));
        self.bytes.get(..length.unwrap_or(self.bytes.len())).unwrap_or(&[])
    }

    pub(super) fn exact(bytes: &[u8], span: Span) -> Self {
        Self { bytes: Bytes::from(bytes), source: None, arity: Arity::One, span }
    }

    pub(super) fn hole(source: Source, span: Span) -> Self {
        Self { bytes: Bytes::from(&[HOLE][..]), source: Some(source), arity: Arity::Any, span }
    }
}

pub(super) fn is_glob(byte: u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[')
}

/// How many words an argument becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Exactly one.
    One,
    /// Any number, also none.
    Any,
}

/// Where a value comes from that is only known at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A variable or parameter.
    Variable,
    /// The output of a command.
    Substitution,
    /// File names.
    Glob,
    /// An arithmetic result.
    Arithmetic,
    /// The name of a pipe made by process substitution.
    Process,
    /// Standard input, as with `xargs`.
    Input,
    /// A brace expansion that is too large.
    Brace,
}

/// A redirection after expansion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirection {
    /// The operator.
    pub op: super::syntax::RedirectOp,
    /// The descriptor as written.
    pub descriptor: Option<u32>,
    /// File, descriptor, or the text of a here-document or here-string.
    pub target: Argument,
}

/// Where a command stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// What kind of text it stands in.
    pub kind: PlaceKind,
    /// Number of its pipeline.
    pub pipeline: usize,
    /// Its stage in that pipeline, from 0.
    pub stage: usize,
    /// Whether it runs in the background.
    pub timing: Timing,
    /// Whether it certainly runs when the text runs.
    pub certainty: Certainty,
}

/// Whether the shell waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// It does.
    Foreground,
    /// It does not.
    Background,
}

/// Whether a command runs in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// Straight-line code.
    Always,
    /// In a branch, loop, function or after `&&` or `||`.
    Perhaps,
}

/// The kind of text a command stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    /// The input itself.
    Top,
    /// `( … )`
    Subshell,
    /// `$( … )` or backquotes
    Substitution,
    /// `<( … )` or `>( … )`
    Process,
    /// The body of a function
    Function,
    /// The value of an alias
    Alias,
    /// The action of `trap`
    Trap,
    /// Text given to a shell by `-c`, `eval` and the like
    Text,
    /// A here-document or here-string read by a shell
    Document,
    /// Output of an earlier stage, read by a shell
    Pipe,
    /// Arguments of a program that runs them
    Wrapped,
    /// What another shell than bash would see
    Dialect,
}

/// Effects that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// What they amount to.
    pub rule: &'static Rule,
    /// The command in which it starts, as index of [`Analysis::commands`].
    pub from: usize,
    /// The command in which it ends.
    pub to: usize,
    /// Bytes that cover the end of the chain.
    pub span: Span,
}

/// A place that needs attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hazard {
    /// What was seen.
    pub rule: &'static Rule,
    /// Where.
    pub span: Span,
    /// Whether it stands in what `ringfort run` starts in the cage.
    pub caged: bool,
}

/// A place that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Why.
    pub rule: &'static Rule,
    /// Where.
    pub span: Span,
}
