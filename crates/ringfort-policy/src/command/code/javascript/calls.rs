// SPDX-License-Identifier: MIT OR Apache-2.0
//! What calls and keys of JavaScript do.
//!
//! In: the position of a call, member or bracket. Out: touches, or that it is not understood. **Invariant:** a key is
//! a number or a text that is known; a method that is called is listed or defined in the text.

use std::ops::Range;

use super::super::Touch;
use super::super::python::calls::is_plain_variable;
use super::super::token::Kind;
use super::Reader;
use super::names::{Call, METHODS, is_forbidden};

impl Reader<'_, '_> {
    /// A member of a value.
    pub(super) fn member(&mut self, at: usize) {
        let Some(name) = self.tokens.name(at) else { return };
        let called = self.tokens.is_op(at + 1, b"(")
            || self.tokens.is_op(at + 1, b"?.")
            || self.tokens.get(at + 1).is_some_and(|t| matches!(t.kind, Kind::Text | Kind::Built));
        if called && METHODS.find(name).is_none() {
            self.unknown(at, at);
        }
    }

    /// A `[`: a list, a key of a value, or a key that is computed.
    pub(super) fn bracket(&mut self, at: usize) {
        let close = self.tokens.partner(at);
        let indexes = self.tokens.before(at).is_some_and(|t| match t.kind {
            Kind::Name => !matches!(
                t.text.as_ref(),
                b"const"
                    | b"let"
                    | b"var"
                    | b"of"
                    | b"in"
                    | b"return"
                    | b"case"
                    | b"typeof"
                    | b"new"
                    | b"await"
                    | b"yield"
                    | b"else"
                    | b"do"
                    | b"void"
                    | b"delete"
                    | b"throw"
                    | b"default"
                    | b"instanceof"
            ),
            Kind::Op => matches!(t.text.as_ref(), b")" | b"]" | b"}" | b"?."),
            Kind::Text | Kind::Built | Kind::Pattern => true,
            _ => false,
        });
        if indexes {
            if !self.is_known_key(at + 1..close) {
                self.unknown(at, close);
            }
            // A function that is found by its key.
            if self.tokens.is_op(close + 1, b"(") || self.tokens.is_op(close + 1, b"?.") {
                self.unknown(at, close + 1);
            }
            return;
        }
        let key = self.tokens.is_op(close + 1, b":") || self.tokens.is_op(close + 1, b"(");
        let chosen = self.tokens.is_op_before(at, b"?");
        if key && !chosen {
            self.unknown(at, close);
        }
    }

    /// Whether a key is a number, or a text that leads nowhere.
    fn is_known_key(&self, range: Range<usize>) -> bool {
        if range.is_empty() {
            return false;
        }
        if range.len() == 1
            && let Some(token) = self.tokens.get(range.start)
            && token.kind == Kind::Text
        {
            return !is_forbidden(&token.text);
        }
        let mut difference = false;
        let mut other = false;
        for at in range {
            let Some(token) = self.tokens.get(at) else { return false };
            match (token.kind, token.text.as_ref()) {
                (Kind::Number, _) => {}
                (Kind::Op, b"-") => difference = true,
                (Kind::Op, b"+" | b"*" | b"/" | b"%" | b"." | b"(" | b")") => other |= token.text == b"+" as &[u8],
                (Kind::Name, name) => {
                    let counts = self.counters.iter().any(|counter| counter == name);
                    let length = name == b"length" && self.tokens.is_op_before(at, b".");
                    let holder = self.tokens.is_op(at + 1, b".") && self.tokens.is_name(at + 2, b"length");
                    if !(counts || length || holder) {
                        return false;
                    }
                    // The length of something that is no list may be a text: only a difference is a number.
                    if length && !difference && !self.tokens.is_op(at + 1, b"-") {
                        return false;
                    }
                }
                _ => return false,
            }
        }
        !(other && !difference && self.counters.is_empty())
    }

    /// A call whose name ends before `open`.
    pub(super) fn call(&mut self, call: Call, from: usize, open: usize) {
        if call == Call::Environment {
            return self.environment(from, open);
        }
        if !self.tokens.is_op(open, b"(") {
            return self.unknown(from, open.saturating_sub(1));
        }
        let parts = self.tokens.parts(open);
        let close = self.tokens.partner(open);
        let first = parts.first().cloned().unwrap_or(close..close);
        let second = parts.get(1).cloned().unwrap_or(close..close);
        if parts.iter().any(|part| self.tokens.is_op(part.start, b"...")) {
            self.unknown(from, close);
        }
        match call {
            Call::Environment => {}
            Call::Shell => {
                let text = self.value(first);
                self.found(Touch::Shell(text), from, close);
                self.settings(&parts, from, close);
            }
            Call::Program => self.program(&parts, from, close),
            Call::Read => {
                let input =
                    self.tokens.get(first.start).is_some_and(|t| t.kind == Kind::Number && t.text == b"0" as &[u8]);
                if first.len() == 1 && input || self.is_operand(&first) {
                    return;
                }
                self.path(Touch::Read, first, from, close);
            }
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
            Call::Delete => {
                let touch = if parts.len() > 1 { Touch::DeleteTree } else { Touch::Delete };
                self.path(touch, first, from, close);
            }
            Call::DeleteTree => self.path(Touch::DeleteTree, first, from, close),
            Call::Url => self.path(Touch::Network, first, from, close),
            Call::Network => self.found(Touch::Network(None), from, close),
            Call::Listen => self.found(Touch::Listens, from, close),
            Call::Kill => self.found(Touch::Kill, from, close),
            Call::Privilege => self.found(Touch::Privilege, from, close),
        }
    }

    fn path(&mut self, touch: fn(Option<Vec<u8>>) -> Touch, range: Range<usize>, from: usize, close: usize) {
        let value = self.value(range);
        self.found(touch(value), from, close);
    }

    /// Whether the file is a word of the command line, which is judged as such.
    fn is_operand(&self, range: &Range<usize>) -> bool {
        range.len() == 6
            && self.tokens.is_name(range.start, b"process")
            && self.tokens.is_name(range.start + 2, b"argv")
            && self.tokens.is_op(range.start + 3, b"[")
            && self.tokens.get(range.start + 4).is_some_and(|t| t.kind == Kind::Number)
    }

    /// Settings of a command that change its folder, environment or shell.
    fn settings(&mut self, parts: &[Range<usize>], from: usize, close: usize) {
        const PLAIN: [&[u8]; 6] = [b"encoding", b"stdio", b"timeout", b"maxBuffer", b"input", b"windowsHide"];
        for part in parts.iter().skip(1) {
            let is_settings = self.tokens.is_op(part.start, b"{");
            let is_list = self.tokens.is_op(part.start, b"[");
            let is_function = self.tokens.is_op(part.start, b"(") || self.tokens.is_name(part.start, b"function");
            let plain = is_settings
                && self.tokens.parts(part.start).into_iter().all(|setting| {
                    self.tokens.name(setting.start).is_some_and(|name| PLAIN.contains(&name))
                        && self.tokens.is_op(setting.start + 1, b":")
                });
            let arrow = part.len() > 1 && self.tokens.is_op(part.start + 1, b"=>");
            if !(plain || is_list || is_function || arrow) {
                self.unknown(from, close);
            }
        }
    }

    /// `spawn(program, [words])`.
    fn program(&mut self, parts: &[Range<usize>], from: usize, close: usize) {
        self.settings(parts, from, close);
        let Some(first) = parts.first() else { return self.unknown(from, close) };
        let mut words = vec![self.value(first.clone())];
        if let Some(list) = parts.get(1)
            && self.tokens.is_op(list.start, b"[")
        {
            if self.tokens.partner(list.start) + 1 != list.end {
                self.unknown(from, close);
            }
            for part in self.tokens.parts(list.start) {
                if self.tokens.is_op(part.start, b"...") {
                    self.unknown(part.start, part.end.saturating_sub(1));
                }
                words.push(self.value(part));
            }
        }
        self.found(Touch::Words(words), from, close);
    }

    /// `process.env`: one plain variable by name is harmless.
    fn environment(&mut self, from: usize, open: usize) {
        let (name, end) = if self.tokens.is_op(open, b".") {
            (self.tokens.name(open + 1).map(<[u8]>::to_vec), open + 1)
        } else if self.tokens.is_op(open, b"[") {
            let close = self.tokens.partner(open);
            (self.value(open + 1..close), close)
        } else {
            (None, open.saturating_sub(1))
        };
        if self.tokens.is_op(end + 1, b"=") {
            // What is started later sees it.
            return self.unknown(from, end);
        }
        if !name.is_some_and(|name| is_plain_variable(&name)) {
            self.found(Touch::Environment, from, end);
        }
    }
}
