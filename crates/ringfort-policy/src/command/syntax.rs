// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shell syntax: the tree of what a shell would run, or the reason why there is none.
//!
//! In: bytes as a POSIX shell, bash or zsh would get them. Out: [`Parsed`], whose words keep their raw span
//! and their quoting, with every nested substitution as a tree of its own.
//!
//! **Invariant:** nothing is skipped. What is not understood is a [`Fault`] with a place, and what was complete
//! before it stays in the tree, because a shell runs it before it meets the fault. Time is linear in the
//! length; depth, nodes and length are bounded. Backquoted text is kept as text (shells read it late): the
//! walk parses it. This module judges nothing and expands nothing.

mod cursor;
mod expansion;
mod grammar;
mod heredoc;
mod simple;
mod word;

use std::borrow::Cow;

use ringfort_core::effect::Span;
use ringfort_core::limits::COMMAND_BYTES_MAX;

pub(crate) use cursor::is_name;
pub(crate) use heredoc::{decode_ansi_c, document_text};

/// Longest text that is analysed, in bytes.
pub const INPUT_BYTES_MAX: usize = COMMAND_BYTES_MAX;
/// Deepest nesting of commands and words that is followed.
pub const DEPTH_MAX: u32 = 64;
/// Most words, pieces and commands in one text.
pub const NODES_MAX: u32 = 600_000;

/// Why a text has no complete tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Longer than [`INPUT_BYTES_MAX`].
    TooLong,
    /// Nested deeper than [`DEPTH_MAX`].
    TooDeep,
    /// More than [`NODES_MAX`] parts.
    TooManyParts,
    /// A quote, substitution or construct that does not end.
    Unterminated,
    /// A token where the grammar has no place for it.
    Unexpected,
    /// A place that shells read differently.
    Ambiguous,
}

/// The first place where parsing had to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// Where.
    pub span: Span,
}

/// Parsing has stopped; the [`Fault`] stands in the parser, so that results stay as small as what they carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped;

pub(crate) type Parse<T> = Result<T, Stopped>;

/// The tree of one text.
#[derive(Debug, Default)]
pub struct Parsed<'a> {
    /// The commands, up to the fault if there is one.
    pub script: Script<'a>,
    /// The bodies of here-documents; redirections point here.
    pub documents: Vec<Document<'a>>,
    /// Why the tree is not complete.
    pub fault: Option<Fault>,
}

/// A list of pipelines.
#[derive(Debug, Default)]
pub struct Script<'a> {
    /// In order of appearance.
    pub items: Vec<Item<'a>>,
}

/// A pipeline and how it is joined to the next one.
#[derive(Debug)]
pub struct Item<'a> {
    /// The pipeline.
    pub pipeline: Pipeline<'a>,
    /// What stands after it.
    pub joint: Joint,
}

/// What stands between two pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// `;`, a newline or the end.
    Sequence,
    /// `&`
    Background,
    /// `&&`
    And,
    /// `||`
    Or,
}

/// Commands joined by `|` or `|&`.
#[derive(Debug)]
pub struct Pipeline<'a> {
    /// At least one, unless only `!` or `time` was written.
    pub stages: Vec<Command<'a>>,
}

/// One stage of a pipeline.
#[derive(Debug)]
pub enum Command<'a> {
    /// Assignments, words and redirections.
    Simple(Simple<'a>),
    /// Everything with a body.
    Compound(Box<Compound<'a>>),
}

/// A simple command as written.
#[derive(Debug)]
pub struct Simple<'a> {
    /// Assignments before the first word.
    pub assignments: Vec<Assignment<'a>>,
    /// Program and arguments.
    pub words: Vec<Word<'a>>,
    /// Redirections, in order.
    pub redirects: Vec<Redirect<'a>>,
    /// Whether it holds `$'…'` or `$"…"`, where some shells see a dollar sign before a quote.
    pub dollar_quotes: bool,
    /// Where it stands.
    pub span: Span,
}

/// `name=value`, `name+=value`, `name[index]=value` or `name=(words)`.
#[derive(Debug)]
pub struct Assignment<'a> {
    /// The variable.
    pub name: &'a [u8],
    /// The subscript, if any.
    pub index: Vec<Piece<'a>>,
    /// Whether the value is set, appended or an array.
    pub form: AssignForm,
    /// The value of a scalar.
    pub value: Word<'a>,
    /// The elements of an array.
    pub elements: Vec<Word<'a>>,
    /// Where it stands.
    pub span: Span,
}

/// How an assignment changes its variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignForm {
    /// `=`
    Set,
    /// `+=`
    Append,
    /// `=( … )`, or one element of an array
    Array,
}

/// The kinds of compound command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompoundKind {
    /// `{ … }`
    Group,
    /// `( … )`
    Subshell,
    /// `if`: conditions and bodies in order
    If,
    /// `while` or `until`: condition, body
    Loop,
    /// `for` or `select`: one body; `words` is what is iterated
    For,
    /// `case`: `words` holds the subject and the patterns
    Case,
    /// A definition: `name` and one body
    Function,
    /// `[[ … ]]`: operands and operators in `words`
    Test,
    /// `(( … ))`: one word
    Arithmetic,
    /// `coproc`
    Coprocess,
}

/// A command with bodies.
#[derive(Debug)]
pub struct Compound<'a> {
    /// Which one.
    pub kind: CompoundKind,
    /// Function, loop variable or coprocess name.
    pub name: Option<Word<'a>>,
    /// Words that are expanded; see [`CompoundKind`].
    pub words: Vec<Word<'a>>,
    /// Nested lists, in order of appearance.
    pub bodies: Vec<Script<'a>>,
    /// Redirections after it.
    pub redirects: Vec<Redirect<'a>>,
    /// Where it stands.
    pub span: Span,
}

/// The redirection operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectOp {
    /// `<`
    Read,
    /// `>` and `>|`
    Write,
    /// `>>`
    Append,
    /// `<>`
    ReadWrite,
    /// `<&`
    DuplicateInput,
    /// `>&`
    DuplicateOutput,
    /// `&>` and `&>>`
    WriteBoth,
    /// `<<` and `<<-`
    Document,
    /// `<<<`
    Text,
}

/// One redirection.
#[derive(Debug)]
pub struct Redirect<'a> {
    /// The operator.
    pub op: RedirectOp,
    /// Descriptor number as written, if written.
    pub descriptor: Option<u32>,
    /// File, descriptor, delimiter or text.
    pub target: Word<'a>,
    /// Index into [`Parsed::documents`].
    pub document: Option<usize>,
    /// Where it stands.
    pub span: Span,
}

/// The body of a here-document.
#[derive(Debug, Default)]
pub struct Document<'a> {
    /// The lines as written, without the delimiter line.
    pub raw: &'a [u8],
    /// Offset of the body.
    pub start: usize,
    /// The expanded pieces; empty when the delimiter was quoted.
    pub pieces: Vec<Piece<'a>>,
    /// Whether the delimiter was quoted, so that nothing is expanded.
    pub literal: bool,
    /// Whether leading tabs are removed (`<<-`).
    pub strip_tabs: bool,
    /// Whether the delimiter line was found.
    pub terminated: bool,
}

/// A word as written.
#[derive(Debug)]
pub struct Word<'a> {
    /// Where it stands.
    pub span: Span,
    /// What it is made of.
    pub body: Body<'a>,
}

/// The parts of a word.
#[derive(Debug)]
pub enum Body<'a> {
    /// No quoting and no expansion but, perhaps, globs and braces.
    Plain(&'a [u8]),
    /// Anything else.
    Pieces(Vec<Piece<'a>>),
}

/// One part of a word.
#[derive(Debug)]
pub enum Piece<'a> {
    /// Decoded bytes.
    Text {
        /// The bytes after quote removal.
        bytes: Cow<'a, [u8]>,
        /// Quoted text is neither split nor matched nor brace-expanded.
        quoted: bool,
    },
    /// `$name` or `${…}`.
    Parameter(Box<Parameter<'a>>),
    /// `$( … )`.
    Command {
        /// The commands.
        script: Script<'a>,
        /// Whether the result is split.
        quoted: bool,
        /// Where it stands.
        span: Span,
    },
    /// Backquoted text, unescaped once, not parsed yet.
    Backquote {
        /// What the shell parses.
        text: Cow<'a, [u8]>,
        /// Whether the result is split.
        quoted: bool,
        /// Offsets of the text between the quotes.
        span: Span,
    },
    /// `$(( … ))`, `$[ … ]` or the inside of `(( … ))`.
    Arithmetic {
        /// Nested expansions and text.
        pieces: Vec<Piece<'a>>,
        /// Where it stands.
        span: Span,
    },
    /// `<( … )`, `>( … )` or `=( … )`.
    Process {
        /// The commands.
        script: Script<'a>,
        /// Where it stands.
        span: Span,
    },
}

/// A parameter expansion.
#[derive(Debug)]
pub struct Parameter<'a> {
    /// The variable or special parameter.
    pub name: &'a [u8],
    /// First byte of the operator; 0 when there is none.
    pub operator: u8,
    /// `${#name}` or `${!name}`: the sign, else 0.
    pub sign: u8,
    /// Subscript.
    pub index: Vec<Piece<'a>>,
    /// Text after the operator.
    pub operand: Vec<Piece<'a>>,
    /// Whether the result is split.
    pub quoted: bool,
    /// Where it stands.
    pub span: Span,
}

/// Parses a whole text. Never fails: see [`Parsed::fault`].
///
/// Bytes of value 0 must have been removed before; they end the text here.
pub fn parse(text: &[u8]) -> Parsed<'_> {
    let mut items = Vec::new();
    let parsed = parse_each(text, 0, |item, _| items.push(item));
    Parsed { script: Script { items }, ..parsed }
}

/// Parses text that was found `depth` levels down inside other text. `visit` gets the items of the script in order,
/// each as soon as it and the bodies of its here-documents have been read, and owns it: the script that is returned
/// is empty.
pub(crate) fn parse_each<'a>(text: &'a [u8], depth: u32, visit: impl FnMut(Item<'a>, &[Document<'a>])) -> Parsed<'a> {
    let fault = |kind| Parsed { fault: Some(Fault { kind, span: Span::new(0, text.len()) }), ..Parsed::default() };
    if text.len() > INPUT_BYTES_MAX {
        return fault(FaultKind::TooLong);
    }
    if depth >= DEPTH_MAX {
        return fault(FaultKind::TooDeep);
    }
    cursor::Parser::new(text, depth).run(visit)
}

/// The expansions in `text`, which a shell reads as if it stood between double quotes: no quote in it has a meaning.
pub(crate) fn parse_expansions(text: &[u8], depth: u32) -> (Vec<Piece<'_>>, Parsed<'_>) {
    if text.len() > INPUT_BYTES_MAX || depth >= DEPTH_MAX {
        let kind = if depth >= DEPTH_MAX { FaultKind::TooDeep } else { FaultKind::TooLong };
        let fault = Some(Fault { kind, span: Span::new(0, text.len()) });
        return (Vec::new(), Parsed { fault, ..Parsed::default() });
    }
    cursor::Parser::new(text, depth).expansions()
}

#[cfg(test)]
mod tests;
