// SPDX-License-Identifier: MIT OR Apache-2.0
//! Aliases: what a command runs whose name is one, and text that only some shells run.
//!
//! In: the definition or use of a name. Out: jobs for what the shell would read in its place. **Invariant:** every
//! value that a name may have had is followed; a value that could change how the text after it is read is a problem.

use super::super::analysis::{Argument, Arity, Knowledge, PlaceKind, Program, SimpleCommand};
use super::super::effect::{Job, Subject, split_value};
use super::super::hazard;
use super::super::syntax::{RedirectOp, Simple, Word};
use super::super::value;
use super::{Frame, Risk, Span, Unit, Walker};

/// Most values of one alias that are followed.
const VALUES_MAX: usize = 4;
/// Words that mean something to the grammar, which an alias of that name takes away.
const RESERVED: [&[u8]; 20] = [
    b"!",
    b"{",
    b"}",
    b"[[",
    b"if",
    b"then",
    b"elif",
    b"else",
    b"fi",
    b"for",
    b"do",
    b"done",
    b"while",
    b"until",
    b"case",
    b"esac",
    b"select",
    b"function",
    b"time",
    b"in",
];

impl Walker<'_> {
    /// `alias`: remembers the values.
    pub(super) fn remember_aliases(&mut self, args: &[Argument]) {
        for arg in args {
            let (name, Some(value)) = split_value(&arg.bytes) else {
                if arg.bytes.first() == Some(&b'-') && arg.bytes.iter().any(|b| matches!(b, b'g' | b's')) {
                    self.problem(&hazard::AMBIGUOUS, arg.span);
                }
                continue;
            };
            let changes_reading = value.ends_with(b"\\") || value.windows(2).any(|pair| pair == b"<<");
            if changes_reading || RESERVED.contains(&name) || self.aliases.len() >= super::state::NAMES_MAX {
                self.problem(&hazard::AMBIGUOUS, arg.span);
                continue;
            }
            let value = Argument { bytes: value.into(), ..arg.clone() };
            if !self.aliases.iter().any(|(known, text)| known == name && text.bytes == value.bytes) {
                self.aliases.push((name.to_vec(), value));
            }
        }
    }

    /// Queues what the alias `name` stands for, with the words after it.
    pub(super) fn use_alias(&mut self, name: &[u8], words: &[Argument], subject: &mut Subject) {
        let values: Vec<Argument> =
            self.aliases.iter().filter(|(known, _)| known == name).map(|(_, value)| value.clone()).collect();
        if values.len() > VALUES_MAX {
            self.problem(&hazard::TOO_MANY_PARTS, subject.span);
        }
        for value in values.into_iter().take(VALUES_MAX) {
            let next = words.first().and_then(Argument::known);
            if value.bytes.ends_with(b" ") && next.is_some_and(|word| self.aliases.iter().any(|(name, _)| name == word))
            {
                self.problem(&hazard::AMBIGUOUS, subject.span);
            }
            let plain = |b: &u8| {
                b.is_ascii_alphanumeric() || matches!(b, b' ' | b'-' | b'_' | b'/' | b'.' | b',' | b':' | b'+')
            };
            if value.source.is_none() && value.bytes.iter().all(plain) {
                let mut all: Vec<Argument> = value
                    .bytes
                    .split(|b| *b == b' ')
                    .filter(|word| !word.is_empty())
                    .map(|word| Argument::exact(word, value.span))
                    .collect();
                if all.first().is_some_and(|word| word.bytes == name) {
                    // A shell does not expand a name inside itself.
                    all.insert(0, Argument::exact(b"command", value.span));
                }
                all.extend_from_slice(words);
                subject.jobs.push(Job::Words(all));
            } else if !words.is_empty() || value.source.is_some() {
                subject.jobs.push(Job::Text { text: with_words(&value, words), kind: PlaceKind::Alias });
            }
        }
    }

    /// `&>` in the middle: shells without it end the command at `&`, and the words after the file are another one.
    pub(super) fn after_background(&mut self, unit: Unit<'_, '_>, simple: &Simple<'_>, frame: Frame) {
        let Some(redirect) = simple.redirects.iter().find(|redirect| redirect.op == RedirectOp::WriteBoth) else {
            return;
        };
        let after = |word: &&Word<'_>| word.span.start >= redirect.span.end;
        let mut rest = Vec::new();
        for word in simple.words.iter().filter(after) {
            value::expand(word, &self.variables, unit.map.span(word.span), &mut rest);
        }
        if rest.is_empty() || simple.words.iter().all(|word| after(&word)) {
            // Nothing stands after it, or nothing before it, so that all shells see the same words.
            return;
        }
        let span = unit.map.span(Span::new(redirect.span.end.min(simple.span.end), simple.span.end));
        self.execute(rest, Vec::new(), Vec::new(), frame.kind(PlaceKind::Dialect).perhaps(), span);
    }

    /// A command that only some shells would see here: its name is shown, its words are judged where they stand.
    pub(super) fn mention(&mut self, name: &[u8], frame: Frame, span: Span) {
        let end = self.out.effects.len();
        if self.out.commands.len() >= super::COMMANDS_MAX {
            self.problem(&hazard::TOO_MANY_PARTS, span);
            return;
        }
        self.out.commands.push(SimpleCommand {
            program: Program::Known(name.into()),
            args: Vec::new(),
            assignments: Vec::new(),
            redirections: Vec::new(),
            place: frame.kind(PlaceKind::Dialect).perhaps().place,
            via: frame.via,
            span,
            risk: Risk::Low,
            effects: end..end,
            knowledge: Knowledge::Defined,
            caged: self.caged,
        });
        self.traits.push(0);
    }
}

/// The text of an alias and quoted words.
fn with_words(value: &Argument, words: &[Argument]) -> Argument {
    let mut bytes = value.bytes.to_vec();
    let mut source = value.source;
    for word in words {
        bytes.extend_from_slice(b" '");
        for byte in word.bytes.iter() {
            if *byte == b'\'' { bytes.extend_from_slice(b"'\\''") } else { bytes.push(*byte) }
        }
        bytes.push(b'\'');
        source = source.or(word.source);
    }
    Argument { bytes: bytes.into(), source, arity: Arity::One, span: value.span }
}
