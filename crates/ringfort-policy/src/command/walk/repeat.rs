// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loops: each value of a short list is followed; of anything else, only what every turn leaves as it is.
//!
//! In: a loop. Out: visits of its body. **Invariant:** a variable that any turn may change has a value in the body
//! only where this turn sets it.

use ringfort_core::effect::Span;

use super::super::analysis::{Argument, Arity, Source};
use super::super::catalogue;
use super::super::hazard;
use super::super::syntax::{Assignment, Body, Command, Compound, CompoundKind, Document, Piece, Script, Simple, Word};
use super::super::value;
use super::evaluate::changed;
use super::{Frame, Unit, Walker};

/// Longest list whose values are followed one by one.
const VALUES_MAX: usize = 16;
/// Most variables that are followed through a loop.
const NAMES_MAX: usize = 256;

impl Walker<'_> {
    pub(super) fn repeated(&mut self, unit: Unit<'_, '_>, compound: &Compound<'_>, frame: Frame) {
        if compound.kind == CompoundKind::For && compound.name.is_none() {
            for word in &compound.words {
                if let Body::Pieces(pieces) = &word.body {
                    self.calculates(pieces, unit.map.span(word.span), frame);
                }
            }
        }
        let mut changes = Changes { documents: unit.documents, names: Vec::new(), any: false, depth: 0 };
        compound.words.iter().for_each(|word| changes.word(word));
        compound.bodies.iter().for_each(|body| changes.script(body));
        let Changes { names, any, .. } = changes;
        if any {
            self.forget_variables();
        }
        for (name, number) in names {
            if number && self.variables.is_number(&name) {
                self.variables.set_number(&name);
            } else {
                self.set_variable(&name, None);
            }
        }
        let Some(name) = compound.name.as_ref().and_then(plain) else {
            self.branches(unit, &compound.bodies, frame);
            return;
        };
        self.over(unit, name, compound, frame);
    }

    /// `for name in …`
    fn over(&mut self, unit: Unit<'_, '_>, name: &[u8], compound: &Compound<'_>, frame: Frame) {
        let span = unit.map.span(compound.name.as_ref().map_or_else(|| Span::new(0, 0), |word| word.span));
        self.loads(name, span);
        let mut values = Vec::new();
        for word in &compound.words {
            value::expand(word, &self.variables, unit.map.span(word.span), &mut values);
        }
        if matches!(name, b"path" | b"fpath" | b"module_path") && values.iter().any(is_folder) {
            // zsh keeps them equal to what decides where programs are found.
            self.hazard(&hazard::ENVIRONMENT_LOADS_CODE, span);
        }
        let numbers = !compound.words.is_empty()
            && (values.iter().all(|value| value.known().is_some_and(value::is_digits))
                || compound.words.iter().all(counts));
        let exact = !values.is_empty()
            && values.len() <= VALUES_MAX
            && values.iter().all(|value| value.source.is_none() && value.arity == Arity::One);
        let length =
            compound.span.end.saturating_sub(compound.span.start).saturating_mul(values.len().saturating_sub(1));
        if exact && self.can_spend(length) {
            for value in values {
                self.set_variable(name, Some(value.bytes));
                self.branches(unit, &compound.bodies, frame);
            }
        } else if numbers {
            self.variables.set_number(name);
            self.branches(unit, &compound.bodies, frame);
        } else {
            self.set_variable(name, None);
            self.branches(unit, &compound.bodies, frame);
        }
        if numbers {
            self.variables.set_number(name);
        } else {
            self.set_variable(name, None);
        }
    }
}

/// Whether a value may be a folder with programs: not one that is a name of a file in this folder.
fn is_folder(value: &Argument) -> bool {
    match value.source {
        None | Some(Source::Glob) => matches!(value.bytes.first(), Some(b'/' | b'.' | b'~')),
        Some(_) => true,
    }
}

/// Whether a word is the output of a program that counts.
fn counts(word: &Word<'_>) -> bool {
    let Body::Pieces(pieces) = &word.body else { return false };
    let [Piece::Command { script, .. }] = pieces.as_slice() else { return false };
    let [item] = script.items.as_slice() else { return false };
    let [Command::Simple(simple)] = item.pipeline.stages.as_slice() else { return false };
    let mut words = simple.words.iter().map(plain);
    words.next() == Some(Some(b"seq")) && simple.words.len() < 5 && words.all(|word| word.is_some_and(value::is_digits))
}

/// The bytes of a word without quotes or expansions.
pub(super) fn plain<'w>(word: &Word<'w>) -> Option<&'w [u8]> {
    match word.body {
        Body::Plain(bytes) => Some(bytes),
        Body::Pieces(_) => None,
    }
}

/// The variables that a loop may change, and whether each change leaves a number.
struct Changes<'d, 't> {
    documents: &'d [Document<'t>],
    names: Vec<(Vec<u8>, bool)>,
    /// Any variable may change.
    any: bool,
    depth: u32,
}

impl Changes<'_, '_> {
    fn add(&mut self, name: &[u8], number: bool) {
        self.any |= self.names.len() >= NAMES_MAX;
        if !self.any && !self.names.iter().any(|(known, same)| known == name && *same == number) {
            self.names.push((name.to_vec(), number));
        }
    }

    fn script(&mut self, script: &Script<'_>) {
        self.depth += 1;
        self.any |= self.depth > super::RUN_DEPTH_MAX;
        for command in script.items.iter().flat_map(|item| &item.pipeline.stages) {
            if self.any {
                break;
            }
            match command {
                Command::Simple(simple) => self.simple(simple),
                Command::Compound(compound) => {
                    if let Some(name) = compound.name.as_ref().and_then(plain) {
                        self.add(name, false);
                    }
                    if compound.kind == CompoundKind::Arithmetic {
                        compound.words.iter().for_each(|word| self.calculation(word));
                    }
                    compound.words.iter().for_each(|word| self.word(word));
                    compound.redirects.iter().for_each(|redirect| self.redirect(redirect));
                    compound.bodies.iter().for_each(|body| self.script(body));
                }
            }
        }
        self.depth -= 1;
    }

    fn simple(&mut self, simple: &Simple<'_>) {
        for assignment in &simple.assignments {
            self.assignment(assignment);
        }
        simple.words.iter().for_each(|word| self.word(word));
        simple.redirects.iter().for_each(|redirect| self.redirect(redirect));
        let Some(first) = simple.words.first() else { return };
        let Some(name) = plain(first) else {
            self.any = true;
            return;
        };
        match name {
            b"eval" | b"source" | b"." | b"let" | b"builtin" | b"command" | b"trap" | b"wait" | b"set" | b"shift"
            | b"vared" | b"integer" | b"float" => self.any = true,
            b"printf" => {
                self.any |= simple.words.iter().any(|word| plain(word).is_none_or(|text| text.starts_with(b"-v")))
            }
            b"read" | b"mapfile" | b"readarray" | b"declare" | b"typeset" | b"local" | b"export" | b"readonly"
            | b"unset" | b"getopts" => {
                for word in simple.words.iter().skip(1) {
                    let text = match &word.body {
                        Body::Plain(text) => text,
                        Body::Pieces(pieces) => match pieces.first() {
                            Some(Piece::Text { bytes, .. }) if bytes.contains(&b'=') => &**bytes,
                            // The prompt of `read` and the like.
                            _ if name == b"read" && pieces.iter().all(|piece| matches!(piece, Piece::Text { .. })) => {
                                continue;
                            }
                            _ => {
                                self.any = true;
                                return;
                            }
                        },
                    };
                    let end = text.iter().position(|b| matches!(b, b'=' | b'+' | b'[')).unwrap_or(text.len());
                    self.add(text.get(..end).unwrap_or(text), false);
                }
                self.add(b"REPLY", false);
                self.add(b"MAPFILE", false);
            }
            _ => {
                let base = name.rsplit(|b| *b == b'/').next().unwrap_or(name);
                self.any |= catalogue::lookup(base).is_none() && !name.contains(&b'/');
            }
        }
    }

    fn assignment(&mut self, assignment: &Assignment<'_>) {
        let number = assignment.elements.is_empty()
            && assignment.index.is_empty()
            && match &assignment.value.body {
                Body::Plain(bytes) => value::is_digits(bytes),
                Body::Pieces(pieces) => match pieces.as_slice() {
                    [Piece::Arithmetic { .. }] => true,
                    [Piece::Command { script, .. }] => value::prints_number(script),
                    _ => false,
                },
            };
        self.add(assignment.name, number);
        self.pieces(&assignment.index);
        self.word(&assignment.value);
        assignment.elements.iter().for_each(|element| self.word(element));
    }

    fn redirect(&mut self, redirect: &super::super::syntax::Redirect<'_>) {
        self.word(&redirect.target);
        let documents = self.documents;
        if let Some(document) = redirect.document.and_then(|index| documents.get(index)) {
            self.pieces(&document.pieces);
        }
    }

    fn word(&mut self, word: &Word<'_>) {
        if let Body::Pieces(pieces) = &word.body {
            self.pieces(pieces);
        }
    }

    fn calculation(&mut self, word: &Word<'_>) {
        if let Body::Pieces(pieces) = &word.body {
            self.calculated(pieces);
        }
    }

    fn calculated(&mut self, pieces: &[Piece<'_>]) {
        for piece in pieces {
            if let Piece::Text { bytes, .. } = piece {
                changed(bytes).for_each(|name| self.add(name, true));
            }
        }
    }

    fn pieces(&mut self, pieces: &[Piece<'_>]) {
        for piece in pieces {
            match piece {
                Piece::Text { .. } | Piece::Command { .. } | Piece::Backquote { .. } | Piece::Process { .. } => {}
                Piece::Parameter(parameter) => {
                    if parameter.operator == b'=' {
                        self.add(parameter.name, false);
                    }
                    self.calculated(&parameter.index);
                    self.pieces(&parameter.index);
                    if parameter.operator == b':' {
                        self.calculated(&parameter.operand);
                    }
                    self.pieces(&parameter.operand);
                }
                Piece::Arithmetic { pieces, .. } => {
                    self.calculated(pieces);
                    self.pieces(pieces);
                }
            }
        }
    }
}
