// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is certain at a point of the walk: folder, variables, names, input and output.
//!
//! In: changes. Out: answers, absent where something is not certain. **Invariant:** what some path may have
//! changed is forgotten.

use std::rc::Rc;

use ringfort_core::effect::Span;

use super::super::analysis::{Argument, Certainty, PlaceKind};
use super::super::bytes::Bytes;
use super::super::effect::{Job, Subject};
use super::super::hazard;
use super::super::syntax::{AssignForm, Assignment, RedirectOp};
use super::super::target::{self, Target};
use super::{Frame, Walker};

/// Most names and files that are remembered.
pub(super) const NAMES_MAX: usize = 256;
/// Most texts written to one file that are followed when it runs.
const TEXTS_MAX: usize = 16;
/// Longest output or file text that is remembered, in bytes.
const TEXT_BYTES_MAX: usize = 64 << 10;

impl Walker<'_> {
    pub(in crate::command) fn cwd(&self) -> Option<&[u8]> {
        self.cwd.as_deref()
    }

    /// The folder that holds if the last `cd` failed, where that is possible.
    pub(in crate::command) fn fallback_cwd(&self) -> Option<Rc<[u8]>> {
        if self.entered { None } else { self.fallback.clone() }
    }

    pub(in crate::command) fn replace_cwd(&mut self, folder: Option<Rc<[u8]>>) -> Option<Rc<[u8]>> {
        self.variables.folder.clone_from(&folder);
        std::mem::replace(&mut self.cwd, folder)
    }

    /// Changes the folder; the one before is kept for the case that it fails.
    pub(in crate::command) fn enter(&mut self, folder: Option<Vec<u8>>) {
        self.fallback = self.replace_cwd(folder.map(Rc::from)).or(self.fallback.take());
    }

    pub(in crate::command) fn resolve(&self, arg: &Argument, bytes: &[u8]) -> Target {
        target::resolve(arg, bytes, self.cwd(), self.context)
    }

    pub(in crate::command) fn set_variable(&mut self, name: &[u8], value: Option<Bytes>) {
        self.variables.set(name, value);
    }

    /// A loop or expansion sets this variable: shown where it decides which code later programs load.
    pub(in crate::command) fn loads(&mut self, name: &[u8], span: Span) {
        if super::super::effect::decides_code(name) {
            self.hazard(&hazard::ENVIRONMENT_LOADS_CODE, span);
        }
    }

    pub(in crate::command) fn forget_variables(&mut self) {
        self.variables.forget();
    }

    /// A function or alias of this name exists from here on.
    pub(in crate::command) fn define(&mut self, name: &[u8], span: Span) {
        if super::catalogue::lookup(name).is_some() {
            self.hazard(&hazard::DEFINES_KNOWN_NAME, span);
        }
        if self.defined.len() >= NAMES_MAX {
            self.problem(&hazard::TOO_MANY_PARTS, span);
        } else {
            self.defined.push(name.to_vec());
        }
    }

    /// Sets a variable as far as its value is certain.
    pub(super) fn assign(&mut self, assignment: &Assignment<'_>, value: &Argument) {
        let number = value.source == Some(super::Source::Arithmetic)
            && assignment.form == AssignForm::Set
            && value.bytes.iter().all(|b| b.is_ascii_digit() || *b == super::HOLE);
        if number {
            self.variables.set_number(assignment.name);
        } else {
            let value = self.new_value(assignment, value);
            self.set_variable(assignment.name, value);
        }
    }

    /// The value of a variable after `assignment`, if it is certain.
    fn new_value(&self, assignment: &Assignment<'_>, value: &Argument) -> Option<Bytes> {
        let text = value.known()?;
        match assignment.form {
            AssignForm::Set => Some(value.bytes.clone()),
            AssignForm::Append => {
                let mut all = self.variables.value(assignment.name)?.to_vec();
                all.extend_from_slice(text);
                Some(all.into())
            }
            AssignForm::Array => None,
        }
    }

    /// What command `index` reads from standard input; `None` when that is a person or nothing.
    pub(in crate::command) fn input_of(&self, index: usize) -> Option<Argument> {
        let command = self.out.commands.get(index)?;
        for redirection in command.redirections.iter().rev() {
            let input = redirection.descriptor.is_none_or(|d| d == 0);
            match redirection.op {
                RedirectOp::Document | RedirectOp::Text if input => return Some(redirection.target.clone()),
                RedirectOp::Read | RedirectOp::ReadWrite | RedirectOp::DuplicateInput if input => {
                    let path = self.resolve(&redirection.target, &redirection.target.bytes).path;
                    let known = self.written.iter().rev().find(|(file, _)| *file == path).map(|(_, text)| text.clone());
                    return Some(known.unwrap_or_else(|| Argument {
                        source: Some(super::Source::Input),
                        ..redirection.target.clone()
                    }));
                }
                _ => {}
            }
        }
        self.input.clone()
    }

    /// `exec` with a redirection changes what the commands after it read.
    pub(super) fn replaces_input(&mut self, index: usize, frame: Frame) {
        let Some(input) = self.input_of(index) else { return };
        let certain = frame.place.certainty == Certainty::Always;
        self.input = Some(if certain { input } else { Argument::hole(super::Source::Input, input.span) });
    }

    /// If the file that runs was written here with known text, that text is walked too.
    pub(in crate::command) fn follow_written(&mut self, arg: &Argument, subject: &mut Subject) {
        let path = self.resolve(arg, &arg.bytes).path;
        let texts: Vec<Argument> =
            self.written.iter().filter(|(file, _)| *file == path).map(|(_, text)| text.clone()).collect();
        if !texts.is_empty() {
            self.rule(subject, &hazard::WRITTEN_EXECUTED, arg.span);
        }
        // A later text may have been appended, or never written: each is followed.
        let last = texts.len().saturating_sub(TEXTS_MAX);
        if last > 0 {
            self.problem(&hazard::TOO_MANY_PARTS, arg.span);
        }
        subject.jobs.extend(texts.into_iter().skip(last).map(|text| Job::Text { text, kind: PlaceKind::Document }));
    }

    /// Remembers what `echo`, `printf` or `cat` of a document prints, and into which file.
    pub(super) fn record_output(&mut self, index: usize, words: &[Argument]) {
        let Some(command) = self.out.commands.get(index) else { return };
        let text = match command.program.name() {
            Some(b"echo" | b"print") => echoed(words, command.span),
            Some(b"printf") => formatted(words, command.span),
            Some(b"cat") if words.iter().any(|word| word.bytes != b"-") => None,
            // What is read is handed on.
            Some(b"cat" | b"tee") => self.input_of(index),
            _ => None,
        };
        let Some(text) = text.filter(|t| t.bytes.len() <= TEXT_BYTES_MAX) else { return };
        let place = command.place;
        let tee = command.program.name() == Some(b"tee");
        let mut files: Vec<Vec<u8>> = Vec::new();
        for redirection in &command.redirections {
            let writes = matches!(redirection.op, RedirectOp::Write | RedirectOp::Append | RedirectOp::WriteBoth);
            if writes && redirection.target.source.is_none() && redirection.descriptor.is_none_or(|d| d == 1) {
                files.push(self.resolve(&redirection.target, &redirection.target.bytes).path);
            }
        }
        if tee {
            files.extend(
                words
                    .iter()
                    .filter(|w| w.source.is_none() && w.bytes.first() != Some(&b'-'))
                    .map(|w| self.resolve(w, &w.bytes).path),
            );
        }
        if files.is_empty() {
            self.output = Some((place.pipeline, place.stage, text));
            return;
        }
        for file in files {
            if self.written.len() < NAMES_MAX {
                self.written.push((file, text.clone()));
            }
        }
    }
}

/// What `echo` prints.
fn echoed(words: &[Argument], span: Span) -> Option<Argument> {
    let options = words
        .iter()
        .take_while(|w| {
            w.bytes.len() > 1
                && w.bytes.first() == Some(&b'-')
                && w.bytes.iter().skip(1).all(|b| matches!(b, b'n' | b'e' | b'E'))
        })
        .count();
    let escapes = words.iter().take(options).any(|w| w.bytes.contains(&b'e'));
    let words = words.get(options..)?;
    let mut text = joined(words, b' ', span)?;
    if text.bytes.contains(&b'\\') {
        // Some shells read escapes where others do not, and an octal number has its own form here.
        let alike = escapes && escapes_alike(&text.bytes, false);
        text = Argument { bytes: crate::command::syntax::decode_ansi_c(&text.bytes).into(), span, ..text };
        text.source = text.source.or((!alike).then_some(super::Source::Input));
    }
    Some(text)
}

/// What `printf` prints, for formats that only copy their arguments.
fn formatted(words: &[Argument], span: Span) -> Option<Argument> {
    let (format, rest) = words.split_first()?;
    if matches!(format.bytes.as_slice(), b"%s" | b"%s\\n" | b"%b" | b"%b\\n" | b"%s\n") {
        let text = joined(rest, b'\n', span)?;
        let alike = !format.bytes.contains(&b'b') || escapes_alike(&text.bytes, false);
        let bytes = if format.bytes.contains(&b'b') {
            crate::command::syntax::decode_ansi_c(&text.bytes).into()
        } else {
            text.bytes
        };
        let source = text.source.or((!alike).then_some(super::Source::Input));
        return Some(Argument { bytes, source, ..text });
    }
    if format.bytes.contains(&b'%') {
        return None;
    }
    let source = format.source.or((!escapes_alike(&format.bytes, true)).then_some(super::Source::Input));
    let bytes = crate::command::syntax::decode_ansi_c(&format.bytes).into();
    Some(Argument { bytes, span, source, ..format.clone() })
}

/// Whether every shell decodes the backslashes of `text` alike; octal numbers are written alike only in formats.
fn escapes_alike(text: &[u8], format: bool) -> bool {
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        if *byte != b'\\' {
            continue;
        }
        match bytes.next() {
            Some(b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'\\') => {}
            // Where this is not decoded it stays in the name of a program, which then is none.
            Some(b'x') => {}
            Some(b'0'..=b'7') if format => {}
            _ => return false,
        }
    }
    true
}

fn joined(words: &[Argument], by: u8, span: Span) -> Option<Argument> {
    if let [only] = words {
        return Some(only.clone());
    }
    let first = words.first()?;
    let mut bytes = Vec::new();
    let mut source = None;
    for (count, word) in words.iter().enumerate() {
        if count > 0 {
            bytes.push(by);
        }
        bytes.extend_from_slice(&word.bytes);
        source = source.or(word.source);
    }
    Some(Argument { bytes: bytes.into(), source, span, ..first.clone() })
}
