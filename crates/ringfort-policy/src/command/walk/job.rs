// SPDX-License-Identifier: MIT OR Apache-2.0
//! Jobs: what one command runs in turn, words or text.
//!
//! In: a job and the command that runs it. Out: visits of everything in it. **Invariant:** text with holes is walked
//! as far as it is known and always said to be unknown; a new shell knows no variable of the old one.

use ringfort_core::decision::Risk;
use ringfort_core::effect::{EffectKind, Span};

use super::super::analysis::{Argument, HOLE, PlaceKind};
use super::super::effect::{Job, RUNS_WORD};
use super::super::hazard;
use super::super::syntax;
use super::super::value::Variables;
use super::{Frame, Map, RUN_DEPTH_MAX, Walker};

impl Walker<'_> {
    /// Walks what a command runs.
    pub(super) fn job(&mut self, job: Job, index: usize, frame: Frame) {
        let span = match &job {
            Job::Words(words) => words.first().map_or(Span::new(0, 0), |w| w.span),
            Job::Text { text, .. } => text.span,
        };
        if frame.runs >= RUN_DEPTH_MAX {
            self.problem(&hazard::TOO_DEEP, span);
            return;
        }
        // What it runs reads what it would have read.
        let input = self.input_of(index).map(|input| self.input.replace(input));
        let mut inner = Frame { via: Some(index), runs: frame.runs + 1, depth: frame.depth + 1, ..frame };
        match job {
            Job::Words(words) => {
                let end = words.last().map_or(span.end, |w| w.span.end).max(span.end);
                inner.place.kind = PlaceKind::Wrapped;
                let redirections = self.out.commands.get(index).map(|c| c.redirections.clone()).unwrap_or_default();
                let inherited = redirections
                    .into_iter()
                    .filter(|r| r.op == syntax::RedirectOp::Document || r.op == syntax::RedirectOp::Text)
                    .collect();
                self.execute(words, Vec::new(), inherited, inner, Span::new(span.start, end));
            }
            Job::Text { text, kind } => {
                inner.place.kind = kind;
                if text.source.is_some() {
                    self.unknown_text(&text, index);
                }
                if self.dollar_quotes {
                    // A shell without such quotes hands on a dollar sign, which makes a variable of the first word.
                    self.problem(&hazard::AMBIGUOUS, text.span);
                }
                let map = self.text_map(&text);
                let bytes: Vec<u8> = text.bytes.iter().map(|b| if *b == HOLE { b'_' } else { *b }).collect();
                let outer = self.starts_shell(index, kind).then(|| self.new_shell(index));
                if text.source.is_none() || bytes.iter().any(|b| *b != b'_') {
                    self.text(&bytes, map, inner);
                }
                match outer {
                    Some(outer) => self.variables = outer,
                    None => self.forget_variables(),
                }
            }
        }
        if let Some(input) = input {
            self.input = input;
        }
    }

    /// Whether the text is read by a shell of its own and not by this one.
    fn starts_shell(&self, index: usize, kind: PlaceKind) -> bool {
        let name = self.out.commands.get(index).and_then(|command| command.program.name());
        matches!(kind, PlaceKind::Text | PlaceKind::Document)
            && self.traits.get(index).is_some_and(|traits| {
                traits & super::super::effect::SHELL != 0 && name.is_some_and(|name| name.ends_with(b"sh"))
            })
    }

    /// The variables of a new shell, in place of the ones here, which are returned. What is exported is not told
    /// from what is not, so that neither is certain.
    fn new_shell(&mut self, index: usize) -> Variables {
        let handed =
            self.out.commands.get(index).is_none_or(|command| command.via.is_some() || !command.assignments.is_empty());
        let mut fresh = self.variables.fresh(handed);
        fresh.set(b"IFS", Some(b" \t\n"[..].into()));
        std::mem::replace(&mut self.variables, fresh)
    }

    /// Text that is run but only partly known.
    fn unknown_text(&mut self, text: &Argument, index: usize) {
        self.hazard(&hazard::TEXT_EXECUTED, text.span);
        if let Some(traits) = self.traits.get_mut(index) {
            *traits |= RUNS_WORD;
        }
        let effects = self.out.effects.len();
        if let Some(command) = self.out.commands.get_mut(index) {
            command.risk = command.risk.max(Risk::High);
            if command.effects.end == effects {
                self.out.effects.push(ringfort_core::effect::Effect {
                    kind: EffectKind::ExecuteText,
                    target: None,
                    span: text.span,
                });
                command.effects.end += 1;
            }
        }
    }

    fn text_map(&self, text: &Argument) -> Map {
        let raw = text.span.end.saturating_sub(text.span.start);
        let length = text.bytes.len();
        match raw.checked_sub(length) {
            Some(0) => Map::Offset(text.span.start),
            // One quote on each side: the decoded bytes stand in the input as they are.
            Some(2) if text.source.is_none() => Map::Offset(text.span.start + 1),
            _ => Map::Whole(text.span),
        }
    }
}
