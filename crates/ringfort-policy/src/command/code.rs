// SPDX-License-Identifier: MIT OR Apache-2.0
//! Code of a programming language given inline: what it calls.
//!
//! In: the text of a short program. Out: a [`Reading`]: what it touches, and whether all of it was understood.
//!
//! **Invariant:** a text is understood only if every name in it is the language's own, bound in the text, or on a
//! list of what is known; anything else, and anything that the tokenizer does not follow, is not understood. Work is
//! linear in the text. Nothing is decided here, and no program is run.

mod fold;
mod javascript;
mod perl;
mod python;
mod ruby;
mod table;
mod token;

use std::ops::Range;

use super::catalogue::Language;

/// Most things that one text may touch; more is not understood.
const TOUCHES_MAX: usize = 256;

/// What a text was found to do.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// What it touches, in order.
    pub(super) found: Vec<Found>,
    /// Whether that is all.
    pub(super) understood: bool,
    /// The first place that was not understood, if it is known.
    pub(super) why: Option<Range<usize>>,
}

/// One thing that a text does besides computing and printing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) touch: Touch,
    /// Where, in bytes of the text.
    pub(super) at: Range<usize>,
}

/// What is touched; a value that is absent is only known at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Touch {
    /// Text for a shell.
    Shell(Option<Vec<u8>>),
    /// Words of a command; an absent word is not known.
    Words(Vec<Option<Vec<u8>>>),
    Read(Option<Vec<u8>>),
    List(Option<Vec<u8>>),
    Write(Option<Vec<u8>>),
    Delete(Option<Vec<u8>>),
    DeleteTree(Option<Vec<u8>>),
    /// A host or URL.
    Network(Option<Vec<u8>>),
    /// Waits for connections.
    Listens,
    /// The environment, with the credentials in it.
    Environment,
    /// Gives up, gains or hands on rights.
    Privilege,
    Kill,
}

/// Reads `code`. Languages without a reader are never understood.
pub(super) fn read(language: Language, code: &[u8]) -> Reading {
    let mut finder = Finder::default();
    let understood = match language {
        Language::Python => python::read(code, &mut finder),
        Language::JavaScript => javascript::read(code, &mut finder),
        Language::Perl => perl::read(code, &mut finder),
        Language::Ruby => ruby::read(code, &mut finder),
        _ => None,
    };
    let understood = understood.is_some() && finder.unknown.is_none() && finder.found.len() <= TOUCHES_MAX;
    finder.found.truncate(TOUCHES_MAX);
    Reading { found: finder.found, understood, why: finder.unknown }
}

/// Whether the reader for this language would be asked at all.
pub(super) fn has_reader(language: Language) -> bool {
    matches!(language, Language::Python | Language::JavaScript | Language::Perl | Language::Ruby)
}

/// Whether a module can be loaded without anything happening but definitions.
pub(super) fn is_harmless_module(language: Language, name: &[u8]) -> bool {
    match language {
        Language::Perl => perl::is_harmless_module(name),
        Language::Ruby => ruby::is_harmless_module(name),
        _ => false,
    }
}

/// Collects what is found.
#[derive(Default)]
struct Finder {
    found: Vec<Found>,
    unknown: Option<Range<usize>>,
}

impl Finder {
    fn add(&mut self, touch: Touch, at: Range<usize>) {
        if self.found.len() <= TOUCHES_MAX {
            self.found.push(Found { touch, at });
        }
    }

    /// Something was not understood.
    fn unknown(&mut self, at: Range<usize>) {
        if self.unknown.is_none() {
            self.unknown = Some(at);
        }
    }
}

#[cfg(test)]
mod tests;
