// SPDX-License-Identifier: MIT OR Apache-2.0
//! What calls of Python do with their arguments.
//!
//! In: the position of a call. Out: touches, or that it is not understood. **Invariant:** an argument that is not
//! certain is touched without a name, never left out.

use std::ops::Range;

use super::super::Touch;
use super::super::token::Kind;
use super::{Call, Reader, wraps};

/// Variables of the environment that hold no credential.
const PLAIN_VARIABLES: &str =
    "HOME PATH USER LOGNAME PWD OLDPWD LANG LC_ALL TERM SHELL TMPDIR HOSTNAME EDITOR DEBUG CI COLUMNS LINES DISPLAY";

/// Whether a variable of the environment holds no credential.
pub(in super::super) fn is_plain_variable(name: &[u8]) -> bool {
    PLAIN_VARIABLES.split_ascii_whitespace().any(|plain| plain.as_bytes() == name)
}

impl Reader<'_, '_> {
    /// A call whose name ends before `open`; `from` is where the name starts.
    pub(super) fn call(&mut self, call: Call, from: usize, open: usize) {
        if call == Call::Environment {
            return self.environment(from, open);
        }
        if !self.tokens.is_op(open, b"(") {
            if call != Call::Path {
                // A function as a value: whoever gets it may call it.
                self.unknown(from, open.saturating_sub(1));
            }
            return;
        }
        let parts = self.tokens.parts(open);
        let first = parts.first().cloned().unwrap_or(open..open);
        let second = parts.get(1).cloned().unwrap_or(open..open);
        let close = self.tokens.partner(open);
        match call {
            Call::Path | Call::Environment => {}
            Call::Shell => {
                let text = self.value(first);
                self.found(Touch::Shell(text), from, close);
                self.settings(&parts);
            }
            Call::Command => self.command(&parts, from, close),
            Call::Program => self.program(&parts, from, close),
            Call::Open => self.open(&parts, from, close),
            Call::Read => self.path(Touch::Read, first, from, close),
            Call::List => self.path(Touch::List, first, from, close),
            Call::Write => self.path(Touch::Write, first, from, close),
            Call::Copy => {
                self.path(Touch::Read, first, from, close);
                self.path(Touch::Write, second, from, close);
            }
            Call::Move => {
                self.path(Touch::Read, first.clone(), from, close);
                self.path(Touch::Delete, first, from, close);
                self.path(Touch::Write, second, from, close);
            }
            Call::Delete => self.path(Touch::Delete, first, from, close),
            Call::DeleteTree => self.path(Touch::DeleteTree, first, from, close),
            Call::Url => self.path(Touch::Network, first, from, close),
            Call::SecondUrl => self.path(Touch::Network, second, from, close),
            Call::Retrieve => {
                self.path(Touch::Network, first, from, close);
                self.path(Touch::Write, second, from, close);
            }
            Call::Listen => self.found(Touch::Listens, from, close),
            Call::Address => {
                let host = if self.tokens.is_op(first.start, b"(") {
                    self.tokens.parts(first.start).into_iter().next().unwrap_or(first)
                } else {
                    first
                };
                self.path(Touch::Network, host, from, close);
            }
            Call::Network => self.found(Touch::Network(None), from, close),
            Call::Kill => self.found(Touch::Kill, from, close),
            Call::Privilege => self.found(Touch::Privilege, from, close),
        }
    }

    /// Records a touch of the argument in `range`.
    fn path(&mut self, touch: fn(Option<Vec<u8>>) -> Touch, range: Range<usize>, from: usize, close: usize) {
        let value = self.value(self.without_keyword(range));
        self.found(touch(value), from, close);
    }

    /// `name=value` without the name.
    fn without_keyword(&self, range: Range<usize>) -> Range<usize> {
        if self.tokens.name(range.start).is_some() && self.tokens.is_op(range.start + 1, b"=") {
            return range.start + 2..range.end;
        }
        range
    }

    /// The value of the argument called `name`.
    fn keyword(&self, parts: &[Range<usize>], name: &[u8]) -> Option<Range<usize>> {
        parts
            .iter()
            .find(|part| self.tokens.is_name(part.start, name) && self.tokens.is_op(part.start + 1, b"="))
            .map(|part| part.start + 2..part.end)
    }

    /// Arguments that change what a command means: folder, environment, program, code before it.
    fn settings(&mut self, parts: &[Range<usize>]) {
        const PLAIN: [&[u8]; 17] = [
            b"shell",
            b"check",
            b"text",
            b"capture_output",
            b"stdout",
            b"stderr",
            b"stdin",
            b"timeout",
            b"input",
            b"encoding",
            b"universal_newlines",
            b"errors",
            b"bufsize",
            b"close_fds",
            b"mode",
            b"buffering",
            b"start_new_session",
        ];
        for part in parts {
            let keyword = self.tokens.name(part.start).filter(|_| self.tokens.is_op(part.start + 1, b"="));
            let spread = self.tokens.is_op(part.start, b"*") || self.tokens.is_op(part.start, b"**");
            if spread || keyword.is_some_and(|name| !PLAIN.contains(&name)) {
                self.unknown(part.start, part.end.saturating_sub(1));
            }
        }
    }

    /// `subprocess.run` and the like.
    fn command(&mut self, parts: &[Range<usize>], from: usize, close: usize) {
        self.settings(parts);
        let first = self.keyword(parts, b"args").or_else(|| parts.first().cloned()).unwrap_or(close..close);
        let shell = self.keyword(parts, b"shell").is_some_and(|value| !self.tokens.is_name(value.start, b"False"));
        // A shell given a list, and positional settings, are rare enough not to be followed.
        let positional = parts.iter().skip(1).any(|part| !self.tokens.is_op(part.start + 1, b"="));
        if positional {
            self.unknown(from, close);
        }
        if self.tokens.is_op(first.start, b"[") && self.tokens.partner(first.start) + 1 == first.end && !shell {
            let words: Vec<_> = self.tokens.parts(first.start).into_iter().map(|part| self.value(part)).collect();
            return self.words(words, from, close);
        }
        let text = self.split_text(&first).or_else(|| self.value(first));
        self.found(Touch::Shell(text), from, close);
    }

    /// `"a b".split()` and `shlex.split("a b")` as the text.
    fn split_text(&self, range: &Range<usize>) -> Option<Vec<u8>> {
        let text = self.tokens.get(range.start).filter(|t| t.kind == Kind::Text)?;
        let splits = self.tokens.is_op(range.start + 1, b".")
            && self.tokens.is_name(range.start + 2, b"split")
            && self.tokens.is_op(range.start + 3, b"(")
            && range.end == range.start + 5;
        splits.then(|| text.text.to_vec())
    }

    fn words(&mut self, words: Vec<Option<Vec<u8>>>, from: usize, close: usize) {
        if words.is_empty() {
            return self.unknown(from, close);
        }
        self.found(Touch::Words(words), from, close);
    }

    /// `os.execvp` and the like: only the plain forms with a list are followed.
    fn program(&mut self, parts: &[Range<usize>], from: usize, close: usize) {
        let [program, list] = parts else {
            self.found(Touch::Shell(None), from, close);
            return self.unknown(from, close);
        };
        let is_list = self.tokens.is_op(list.start, b"[") && self.tokens.partner(list.start) + 1 == list.end;
        if !is_list {
            self.found(Touch::Shell(None), from, close);
            return self.unknown(from, close);
        }
        let mut words = vec![self.value(program.clone())];
        words.extend(self.tokens.parts(list.start).into_iter().skip(1).map(|part| self.value(part)));
        self.words(words, from, close);
    }

    /// `open(file, mode)`.
    fn open(&mut self, parts: &[Range<usize>], from: usize, close: usize) {
        let os = self.tokens.is_name(from, b"os");
        let file = self.keyword(parts, b"file").or_else(|| parts.first().cloned()).unwrap_or(close..close);
        if self.keyword(parts, b"opener").is_some() || self.tokens.is_op(file.start, b"*") {
            self.unknown(from, close);
        }
        let mode = self
            .keyword(parts, b"mode")
            .or_else(|| parts.get(1).filter(|part| !self.tokens.is_op(part.start + 1, b"=")).cloned());
        let is_number = self.tokens.get(file.start).is_some_and(|t| t.kind == Kind::Number) && file.len() == 1;
        if is_number {
            return;
        }
        self.opened(mode, os, |reader| reader.value(file.clone()), reader_argument(self, &file), from, close);
    }

    /// What is read and written by opening a file in the mode in `mode`.
    fn opened(
        &mut self,
        mode: Option<Range<usize>>,
        flags: bool,
        path: impl Fn(&Self) -> Option<Vec<u8>>,
        operand: bool,
        from: usize,
        close: usize,
    ) {
        let text = mode.as_ref().map(|mode| self.value(mode.clone()));
        let writes = flags && mode.is_some()
            || match &text {
                Some(Some(mode)) => mode.iter().any(|b| matches!(b, b'w' | b'a' | b'x' | b'+')),
                Some(None) => true,
                None => false,
            };
        let reads = match &text {
            Some(Some(mode)) if !flags => mode.contains(&b'r') || mode.contains(&b'+') || !writes,
            _ => true,
        };
        let value = path(self);
        if reads && !(operand && value.is_none()) {
            self.found(Touch::Read(value.clone()), from, close);
        }
        if writes {
            self.found(Touch::Write(value), from, close);
        }
    }

    /// A method of a path object.
    pub(super) fn file_method(&mut self, call: Call, at: usize) {
        let dot = at.saturating_sub(1);
        let value = self.receiver(dot);
        let open = at + 1;
        let close = self.tokens.partner(open);
        let parts = self.tokens.parts(open);
        match call {
            Call::Open => {
                let mode = self
                    .keyword(&parts, b"mode")
                    .or_else(|| parts.first().filter(|part| !self.tokens.is_op(part.start + 1, b"=")).cloned());
                self.opened(mode, false, |_| value.clone(), false, at, close);
            }
            Call::Read => self.found(Touch::Read(value), at, close),
            Call::List => self.listed(value, &parts, at, close),
            Call::Write => self.found(Touch::Write(value), at, close),
            Call::Move => {
                self.found(Touch::Delete(value), at, close);
                let first = parts.into_iter().next().unwrap_or(close..close);
                self.path(Touch::Write, first, at, close);
            }
            Call::Delete => self.found(Touch::Delete(value), at, close),
            _ => self.unknown(at, close),
        }
    }

    /// Names below a folder: a pattern that climbs leaves it.
    fn listed(&mut self, value: Option<Vec<u8>>, parts: &[Range<usize>], at: usize, close: usize) {
        let climbs = parts
            .iter()
            .any(|part| self.value(part.clone()).is_none_or(|text| text.windows(2).any(|pair| pair == b"..")));
        if self.tokens.is_name(at, b"expanduser") || self.tokens.is_name(at, b"absolute") {
            return;
        }
        self.found(Touch::List(if climbs { None } else { value }), at, close);
    }

    /// `list.remove(x)`: modules are never values, so that it is no file.
    pub(super) fn remove(&mut self, _at: usize) {}

    /// `text.replace(a, b)`; with one argument it moves a file.
    pub(super) fn replace(&mut self, at: usize) {
        let parts = self.tokens.parts(at + 1);
        let named = parts.iter().any(|part| self.tokens.is_op(part.start + 1, b"="));
        let spread = parts.iter().any(|part| self.tokens.is_op(part.start, b"*"));
        if parts.len() < 2 && !named || spread {
            self.file_method(Call::Move, at);
        }
    }

    /// `os.environ` and `os.getenv`: one plain variable by name is harmless.
    fn environment(&mut self, from: usize, open: usize) {
        let bracket =
            if self.tokens.is_op(open, b".") && self.tokens.is_name(open + 1, b"get") { open + 2 } else { open };
        let is_call = self.tokens.is_op(bracket, b"(") || self.tokens.is_op(bracket, b"[");
        let close = self.tokens.partner(bracket);
        if is_call {
            let first = self.tokens.parts(bracket).into_iter().next().unwrap_or(bracket..bracket);
            let plain = self.value(first).is_some_and(|name| is_plain_variable(&name));
            if plain && !self.tokens.is_op(close + 1, b"=") {
                return;
            }
            if self.tokens.is_op(close + 1, b"=") {
                // What is started later sees it.
                return self.unknown(from, close);
            }
        } else if self.tokens.is_op(open, b".") {
            let reads = matches!(self.tokens.name(open + 1), Some(b"items" | b"keys" | b"values" | b"copy"));
            if !reads {
                self.unknown(from, open);
            }
        }
        self.found(Touch::Environment, from, if is_call { close } else { open.saturating_sub(1) });
    }
}

/// Whether the file is a word of the command line, which is judged as such.
fn reader_argument(reader: &Reader<'_, '_>, file: &Range<usize>) -> bool {
    let list = if reader.tokens.is_name(file.start, b"sys") { file.start + 2 } else { file.start };
    reader.tokens.is_name(list, b"argv")
        && reader.imports.contains_key(if list == file.start { &b"argv"[..] } else { b"sys" })
        && reader.tokens.is_op(list + 1, b"[")
        && reader.tokens.partner(list + 1) + 1 == file.end
        && reader.tokens.get(list + 2).is_some_and(|t| t.kind == Kind::Number)
        && file.len() <= 6
        && wraps(b"str")
}
