// SPDX-License-Identifier: MIT OR Apache-2.0
//! Commands: what a command line would do, read from its text alone.
//!
//! In: the bytes of a shell text or the words of an argument vector, and a [`Context`]. Out: [`Analysis`]: every
//! simple command that could execute, its effects and risk, dangerous chains, and the places that could not be read.
//!
//! **Invariant:** analysis is a pure function of its arguments. It opens no file, looks up no program and depends
//! on nothing installed. It never fails and never panics; what it does not understand is in
//! [`Analysis::unanalysable`] with a risk of at least high. It decides nothing: rules do.

pub mod analysis;
mod bytes;
mod catalogue;
mod chain;
mod character;
mod code;
mod effect;
pub mod hazard;
pub mod shape;
pub mod syntax;
mod target;
mod value;
mod walk;

use ringfort_core::effect::Span;
use ringfort_core::limits::ARGV_WORDS_MAX;

pub use analysis::{Analysis, Argument, Context, SimpleCommand};
pub use bytes::Bytes;

use walk::{Frame, Map, Walker};

/// Analyses the text that a shell would be given. Spans are byte offsets in `text`.
pub fn analyze(text: &[u8], context: &Context<'_>) -> Analysis {
    let mut walker = Walker::new(context, text.len());
    character::inspect(text.get(..syntax::INPUT_BYTES_MAX).unwrap_or(text), |rule, span| walker.hazard(rule, span));
    walker.text(text, Map::Offset(0), Frame::top());
    if walker.out.commands.is_empty() && walker.out.unanalysable.is_empty() {
        walker.hazard(&hazard::EMPTY_COMMAND, Span::new(0, text.len()));
    }
    walker.find_chains(text);
    walker.judge_own();
    walker.out
}

/// Analyses words that are handed to `execve` as they are: nothing in them is expanded.
///
/// Spans are byte offsets in the words joined by one space each.
pub fn analyze_argv<W: AsRef<[u8]>>(words: &[W], context: &Context<'_>) -> Analysis {
    let length = words.iter().map(|word| word.as_ref().len() + 1).sum::<usize>().saturating_sub(1);
    let whole = Span::new(0, length);
    let mut walker = Walker::new(context, length);
    if words.is_empty() {
        walker.hazard(&hazard::EMPTY_COMMAND, whole);
        return walker.out;
    }
    if words.len() > ARGV_WORDS_MAX || length > syntax::INPUT_BYTES_MAX {
        walker.problem(&hazard::TOO_LONG, whole);
        return walker.out;
    }
    let mut arguments = Vec::with_capacity(words.len());
    let mut start = 0;
    for word in words {
        let bytes = word.as_ref();
        let span = Span::new(start, start + bytes.len());
        character::inspect(bytes, |rule, found| walker.hazard(rule, Span::new(found.start + start, found.end + start)));
        if bytes.contains(&0) {
            walker.problem(&hazard::NUL_BYTE, span);
        }
        arguments.push(Argument::exact(bytes, span));
        start += bytes.len() + 1;
    }
    walker.execute(arguments, Vec::new(), Vec::new(), Frame::top(), whole);
    walker.find_chains(&[]);
    walker.judge_own();
    walker.out
}

/// Number of program names that the catalogue knows.
pub fn known_programs() -> usize {
    catalogue::len()
}
