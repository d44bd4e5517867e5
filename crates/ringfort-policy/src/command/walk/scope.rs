// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compound commands, nested substitutions, assignments and redirections.
//!
//! In: parts of the tree. Out: visits of every command in them, and the state after them. **Invariant:** after a
//! construct that may not have run, or may have run often, only what holds in every case is kept.

use ringfort_core::effect::Span;

use super::super::analysis::{Argument, Arity, PlaceKind, Redirection, Source};
use super::super::effect::Subject;
use super::super::syntax::{
    Assignment, Body, Compound, CompoundKind, Piece, Redirect, RedirectOp, Script, document_text, is_name,
};
use super::super::value;
use super::repeat::plain;
use super::{Frame, Map, Unit, Walker};

impl Walker<'_> {
    pub(super) fn compound(&mut self, unit: Unit<'_, '_>, compound: &Compound<'_>, frame: Frame) {
        let span = unit.map.span(compound.span);
        let first = self.out.commands.len();
        for word in &compound.words {
            self.inside(unit, &word.body, frame);
        }
        if compound.kind == CompoundKind::For {
            self.loop_words(unit, compound, frame, first);
        }
        let redirected = !compound.redirects.is_empty();
        let outer = if redirected { self.input.clone() } else { None };
        if !compound.redirects.is_empty() {
            let redirections = self.redirections(unit, &compound.redirects, frame);
            self.execute(Vec::new(), Vec::new(), redirections, frame, span);
            let index = self.out.commands.len().saturating_sub(1);
            if let Some(input) = self.input_of(index) {
                self.input = Some(input);
            }
        }
        match compound.kind {
            CompoundKind::Group => self.bodies(unit, &compound.bodies, frame),
            CompoundKind::Subshell | CompoundKind::Coprocess => {
                if let Some(name) = compound.name.as_ref().and_then(plain) {
                    // A coprocess leaves its descriptors in a variable of this name.
                    self.loads(name, span);
                    self.set_variable(name, None);
                }
                self.isolated(unit, &compound.bodies, frame.kind(PlaceKind::Subshell))
            }
            CompoundKind::If | CompoundKind::Case => self.branches(unit, &compound.bodies, frame),
            CompoundKind::Loop | CompoundKind::For => self.repeated(unit, compound, frame),
            CompoundKind::Function => self.function(unit, compound, frame, span),
            CompoundKind::Test => self.test(unit, compound, frame),
            CompoundKind::Arithmetic => self.arithmetic(unit, compound, frame),
        }
        if self.out.commands.is_empty() && matches!(compound.kind, CompoundKind::Test | CompoundKind::Arithmetic) {
            // A condition or a sum alone is a command too, though it names no program.
            self.execute(Vec::new(), Vec::new(), Vec::new(), frame, span);
        }
        if redirected {
            self.input = outer;
        }
        self.output = None;
    }

    /// The words of a loop become the values of its variable, like an assignment; nothing is recorded where no command
    /// or variable is among them.
    fn loop_words(&mut self, unit: Unit<'_, '_>, compound: &Compound<'_>, frame: Frame, first: usize) {
        let Some(name) = compound.name.as_ref().and_then(plain) else { return };
        let mut values = Vec::new();
        for word in compound.words.iter().filter(|word| matches!(word.body, Body::Pieces(_))) {
            let value = value::scalar(word, &self.variables, unit.map.span(word.span));
            if value.source.is_some() {
                values.push((name.to_vec(), value));
            }
        }
        let (Some(start), Some(end)) = (values.first(), values.last()) else { return };
        let span = Span::new(start.1.span.start, end.1.span.end);
        let inside = first..self.out.commands.len();
        let index = self.execute(Vec::new(), values, Vec::new(), frame, span);
        for position in inside {
            if let Some(command) = self.out.commands.get_mut(position) {
                command.via = command.via.or(Some(index));
            }
        }
    }

    fn bodies(&mut self, unit: Unit<'_, '_>, bodies: &[Script<'_>], frame: Frame) {
        for body in bodies {
            self.script(unit, body, frame);
        }
    }

    /// Runs `bodies` so that no state comes back.
    fn isolated(&mut self, unit: Unit<'_, '_>, bodies: &[Script<'_>], frame: Frame) {
        let (variables, tables) = (self.variables.clone(), self.tables.clone());
        let folder = (self.cwd.clone(), self.fallback.clone(), self.entered, self.input.clone());
        self.bodies(unit, bodies, frame);
        (self.variables, self.tables) = (variables, tables);
        (self.cwd, self.fallback, self.entered, self.input) = folder;
    }

    pub(super) fn branches(&mut self, unit: Unit<'_, '_>, bodies: &[Script<'_>], frame: Frame) {
        for body in bodies {
            let (before, tables) = (self.variables.clone(), self.tables.clone());
            let cwd = self.cwd.clone();
            self.script(unit, body, frame.perhaps());
            self.variables.join(&before);
            self.tables.retain(|table| tables.contains(table));
            if self.cwd != cwd {
                self.cwd = None;
                self.fallback = cwd;
            }
        }
    }

    fn function(&mut self, unit: Unit<'_, '_>, compound: &Compound<'_>, frame: Frame, span: Span) {
        let name = compound.name.as_ref().map(|word| value::scalar(word, &self.variables, unit.map.span(word.span)));
        let known = name.as_ref().and_then(Argument::known).map(<[u8]>::to_vec);
        if let Some(name) = &known {
            self.define(name, span);
            self.functions.push(name.clone());
        }
        let variables = self.variables.clone();
        self.variables.forget();
        let folder = (self.cwd.take(), self.fallback.take());
        self.cwd.clone_from(&folder.0);
        // Whoever calls it decides what it reads.
        let input = self.input.replace(Argument::hole(Source::Input, span));
        self.bodies(unit, &compound.bodies, frame.kind(PlaceKind::Function).perhaps());
        self.input = input;
        (self.cwd, self.fallback) = folder;
        let inner = std::mem::replace(&mut self.variables, variables);
        self.variables.inherit(&inner);
        if known.is_some() {
            self.functions.pop();
        }
    }

    /// `[[ … ]]`: shells without it see a command, whose `&&`, `||` and `>` have their usual meaning.
    fn test(&mut self, unit: Unit<'_, '_>, compound: &Compound<'_>, frame: Frame) {
        self.condition(unit, &compound.words, frame);
        let (mut start, mut otherwise) = (None, false);
        for (at, word) in compound.words.iter().enumerate() {
            match plain(word) {
                Some(joint @ (b"&&" | b"||")) => {
                    start = Some(at + 1);
                    otherwise = joint == b"||";
                }
                // Where there is no such command, `||` goes on with the next word, and `&&` does not.
                Some(name)
                    if start == Some(at)
                        && !matches!(name.first(), Some(b'-' | b'!' | b'('))
                        && (otherwise || super::catalogue::lookup(name).is_some()) =>
                {
                    let rest = compound.words.get(at..).unwrap_or(&[]);
                    let operator = matches!(
                        rest.get(1).and_then(plain),
                        Some(b"==" | b"=" | b"!=" | b"=~" | b"<" | b">" | b"-eq" | b"-ne" | b"-lt" | b"-gt")
                    );
                    if operator {
                        self.mention(name, frame, unit.map.span(word.span));
                    } else {
                        let mut words = Vec::new();
                        for word in rest.iter().take_while(|w| !matches!(plain(w), Some(b"&&" | b"||"))) {
                            value::expand(word, &self.variables, unit.map.span(word.span), &mut words);
                        }
                        self.execute(
                            words,
                            Vec::new(),
                            Vec::new(),
                            frame.kind(PlaceKind::Dialect).perhaps(),
                            unit.map.span(word.span),
                        );
                    }
                }
                Some(b">") => {
                    if let Some(file) =
                        compound.words.get(at + 1).filter(|w| matches!(&w.body, Body::Plain(b) if b.contains(&b'/')))
                    {
                        let target = value::scalar(file, &self.variables, unit.map.span(file.span));
                        let redirection = Redirection { op: RedirectOp::Write, descriptor: None, target };
                        self.execute(
                            Vec::new(),
                            Vec::new(),
                            vec![redirection],
                            frame.kind(PlaceKind::Dialect).perhaps(),
                            unit.map.span(file.span),
                        );
                    }
                }
                _ => {}
            }
        }
    }

    /// `(( … ))`: variables in it may change; shells without it see two subshells.
    fn arithmetic(&mut self, unit: Unit<'_, '_>, compound: &Compound<'_>, frame: Frame) {
        for word in &compound.words {
            let Body::Pieces(pieces) = &word.body else { continue };
            let span = unit.map.span(word.span);
            self.calculates(pieces, span, frame);
            let text = value::joined(pieces, &self.variables, span);
            let mut script = false;
            for part in text.bytes.split(|b| matches!(b, b'(' | b'|' | b'&' | b';' | b'!' | b'\n')) {
                let mut words = part.split(|b| b.is_ascii_whitespace()).filter(|word| !word.is_empty());
                let (Some(first), second) = (words.next(), words.next().unwrap_or(&[])) else { continue };
                // No calculation has an option or a second name there.
                let spoken = match second {
                    [b'-', letter, ..] => letter.is_ascii_alphabetic(),
                    [letter, ..] => is_name(*letter),
                    [] => false,
                };
                let known = first.len() > 1 && super::catalogue::lookup(first).is_some();
                if spoken || known && (!second.is_empty() || part.trim_ascii().len() > first.len()) {
                    script = true;
                } else if first.iter().all(|b| is_name(*b)) && !first.iter().all(u8::is_ascii_digit) {
                    self.mention(first, frame, span);
                }
            }
            // `(((name)))` is a calculation in bash, and three subshells elsewhere.
            let nested = text.bytes.trim_ascii().first() == Some(&b'(');
            if script || (nested || text.bytes.contains(&b';')) && compound.kind == CompoundKind::Arithmetic {
                let bytes = text.bytes.iter().map(|b| if *b == super::HOLE { b'_' } else { *b }).collect::<Vec<u8>>();
                let inner =
                    Frame { depth: frame.depth + 1, runs: frame.runs + 1, ..frame.kind(PlaceKind::Dialect).perhaps() };
                self.text(&bytes, Map::Whole(text.span), inner);
            }
        }
    }

    /// Visits the commands inside a word.
    pub(super) fn inside(&mut self, unit: Unit<'_, '_>, body: &Body<'_>, frame: Frame) {
        if let Body::Pieces(pieces) = body {
            self.pieces(unit, pieces, frame);
        }
    }

    pub(super) fn pieces(&mut self, unit: Unit<'_, '_>, pieces: &[Piece<'_>], frame: Frame) {
        for piece in pieces {
            match piece {
                Piece::Text { .. } => {}
                Piece::Parameter(parameter) => {
                    self.pieces(unit, &parameter.index, frame);
                    self.pieces(unit, &parameter.operand, frame);
                    if parameter.operator == b'=' {
                        self.loads(parameter.name, unit.map.span(parameter.span));
                        self.set_variable(parameter.name, None);
                    }
                    self.parameter(parameter, unit.map.span(parameter.span), frame);
                }
                Piece::Command { script, .. } => self.substituted(unit, script, frame, PlaceKind::Substitution),
                Piece::Process { script, .. } => self.substituted(unit, script, frame, PlaceKind::Process),
                Piece::Backquote { text, span, .. } => {
                    let exact = text.len() == span.end - span.start;
                    let map = if exact { unit.map.at(span.start) } else { Map::Whole(unit.map.span(*span)) };
                    let variables = self.variables.clone();
                    let folder = (self.cwd.clone(), self.fallback.clone(), self.entered, self.input.take());
                    let inner = self.nested_frame(frame, PlaceKind::Substitution);
                    self.text(text, map, inner);
                    self.variables = variables;
                    (self.cwd, self.fallback, self.entered, self.input) = folder;
                }
                Piece::Arithmetic { pieces, span } => {
                    self.pieces(unit, pieces, frame);
                    self.calculates(pieces, unit.map.span(*span), frame);
                }
            }
        }
    }

    fn substituted(&mut self, unit: Unit<'_, '_>, script: &Script<'_>, frame: Frame, kind: PlaceKind) {
        let input = self.input.take();
        if kind == PlaceKind::Process {
            // `>( … )` reads what the command writes, which is not known.
            self.input = Some(Argument::hole(Source::Process, Span::new(0, 0)));
        }
        let output = self.output.take();
        let inner = self.nested_frame(frame, kind);
        self.isolated(unit, std::slice::from_ref(script), inner);
        self.input = input;
        self.output = output;
    }

    /// A substitution has pipelines of its own and is linked to the command that uses it later.
    fn nested_frame(&mut self, frame: Frame, kind: PlaceKind) -> Frame {
        let mut inner = Frame { via: None, depth: frame.depth + 1, ..frame.kind(kind) };
        inner.place.pipeline = self.flows.len();
        inner.place.stage = 0;
        self.flows.push(None);
        inner
    }

    /// The value of an assignment; commands in it are visited.
    pub(super) fn assigned(&mut self, unit: Unit<'_, '_>, assignment: &Assignment<'_>, frame: Frame) -> Argument {
        self.inside(unit, &assignment.value.body, frame);
        self.pieces(unit, &assignment.index, frame);
        self.assigns(unit, assignment, frame);
        for element in &assignment.elements {
            self.inside(unit, &element.body, frame);
        }
        let span = unit.map.span(assignment.span);
        if assignment.elements.is_empty() {
            return Argument { span, ..value::scalar(&assignment.value, &self.variables, span) };
        }
        Argument { arity: Arity::Any, ..Argument::hole(Source::Variable, span) }
    }

    pub(super) fn redirections(
        &mut self,
        unit: Unit<'_, '_>,
        redirects: &[Redirect<'_>],
        frame: Frame,
    ) -> Vec<Redirection> {
        let mut found = Vec::with_capacity(redirects.len());
        for redirect in redirects {
            let span = unit.map.span(redirect.span);
            let target = match redirect.document.and_then(|index| unit.documents.get(index)) {
                Some(document) => {
                    self.pieces(unit, &document.pieces, frame);
                    let whole = unit.map.span(Span::new(document.start, document.start + document.raw.len()));
                    match document_text(document) {
                        Some(text) => Argument::exact(&text, whole),
                        None => value::joined(&document.pieces, &self.variables, whole),
                    }
                }
                None => {
                    self.inside(unit, &redirect.target.body, frame);
                    value::scalar(&redirect.target, &self.variables, unit.map.span(redirect.target.span))
                }
            };
            found.push(Redirection {
                op: redirect.op,
                descriptor: redirect.descriptor,
                target: Argument { span: if redirect.document.is_some() { target.span } else { span }, ..target },
            });
        }
        found
    }

    /// The effects of a command's redirections.
    pub(super) fn redirect_effects(&mut self, index: usize, subject: &mut Subject) {
        let Some(command) = self.out.commands.get_mut(index) else { return };
        if command.redirections.is_empty() {
            return;
        }
        let redirections = std::mem::take(&mut command.redirections);
        for redirection in &redirections {
            let target = &redirection.target;
            let bytes = target.bytes.as_slice();
            let descriptor =
                bytes == b"-" || !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_digit() || *b == b'-');
            match redirection.op {
                RedirectOp::Read if super::super::effect::is_socket(bytes) => self.socket(target, bytes, subject),
                RedirectOp::Read => self.read(target, bytes, subject),
                RedirectOp::Write | RedirectOp::Append | RedirectOp::ReadWrite | RedirectOp::WriteBoth => {
                    self.write(target, bytes, subject)
                }
                RedirectOp::DuplicateOutput if !descriptor => self.write(target, bytes, subject),
                _ => {}
            }
        }
        if let Some(command) = self.out.commands.get_mut(index) {
            command.redirections = redirections;
        }
    }
}
