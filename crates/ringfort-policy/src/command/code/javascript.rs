// SPDX-License-Identifier: MIT OR Apache-2.0
//! JavaScript given inline, as Node runs it.
//!
//! In: the text. Out: what it calls. **Invariant:** every value in an understood text comes from listed objects and
//! from the text itself, every method that is called is listed or defined in the text, and no name leads to a
//! constructor of functions: neither by a dot, nor by text, nor by a key that is computed.

mod calls;
mod names;
mod tokens;

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::fold::Constants;
use super::token::{Kind, Tokens, is_word};
use super::{Finder, Touch};
use names::{Call, GLOBALS, Global, MEMBERS, Member, is_forbidden};

/// Calls that return what they are given.
fn wraps(name: &[u8]) -> bool {
    matches!(name, b"String" | b"resolve" | b"normalize")
}

/// Most names that are looked at as counters.
const COUNTERS_MAX: usize = 16;
/// Most names that a text may give to modules.
const NAMES_MAX: usize = 128;

/// Reads a program.
pub(super) fn read(code: &[u8], finder: &mut Finder) -> Option<()> {
    let Some(tokens) = tokens::tokens(code) else {
        finder.unknown(0..code.len());
        return None;
    };
    let constants = Constants::new(&tokens, wraps);
    let mut reader =
        Reader { tokens, constants, finder, modules: HashMap::new(), bound: HashSet::new(), counters: Vec::new() };
    reader.names();
    let mut at = 0;
    while at < reader.tokens.len() {
        at = reader.token(at);
    }
    Some(())
}

struct Reader<'a, 'f> {
    tokens: Tokens<'a>,
    constants: Constants,
    finder: &'f mut Finder,
    /// Names that modules and their members have here.
    modules: HashMap<Vec<u8>, Vec<u8>>,
    /// Names that the text binds somewhere.
    bound: HashSet<Vec<u8>>,
    /// Names that only ever hold numbers.
    counters: Vec<Vec<u8>>,
}

impl Reader<'_, '_> {
    /// Finds names for modules, and names that only hold numbers.
    fn names(&mut self) {
        let mut tried = 0;
        let mut patterns: Vec<bool> = Vec::new();
        for at in 0..self.tokens.len() {
            self.binding(at, &mut patterns);
            if self.tokens.is_name(at, b"require") && self.tokens.is_op(at + 1, b"(") {
                self.module_name(at);
            }
            let number = self.tokens.get(at + 2).is_some_and(|t| t.kind == Kind::Number)
                && self
                    .tokens
                    .get(at + 3)
                    .is_some_and(|t| t.kind == Kind::Op && matches!(t.text.as_ref(), b";" | b","));
            let declared =
                at.checked_sub(1).and_then(|at| self.tokens.name(at)).is_some_and(|n| matches!(n, b"let" | b"var"));
            if number
                && declared
                && tried < COUNTERS_MAX
                && self.tokens.is_op(at + 1, b"=")
                && let Some(name) = self.tokens.name(at).map(<[u8]>::to_vec)
            {
                tried += 1;
                if self.only_counts(&name, at) {
                    self.counters.push(name);
                }
            }
        }
    }

    /// Notes a name that is bound at `at`, or may be.
    fn binding(&mut self, at: usize, patterns: &mut Vec<bool>) {
        let Some(token) = self.tokens.get(at) else { return };
        match (token.kind, token.text.as_ref()) {
            (Kind::Op, b"(" | b"[" | b"{") => {
                let after = self.tokens.partner(at) + 1;
                let binds = [&b"=>"[..], b"{", b"="].iter().any(|op| self.tokens.is_op(after, op))
                    || self.tokens.is_name(after, b"of");
                patterns.push(binds || patterns.last() == Some(&true) && token.text != b"{" as &[u8]);
            }
            (Kind::Op, b")" | b"]" | b"}") => {
                patterns.pop();
            }
            (Kind::Name, name) => {
                let declared = at.checked_sub(1).and_then(|at| self.tokens.name(at)).is_some_and(|before| {
                    matches!(before, b"const" | b"let" | b"var" | b"function" | b"class" | b"async")
                });
                let listed = self.tokens.is_op_before(at, b",") || self.tokens.is_op_before(at, b"*");
                let given = self.tokens.is_op(at + 1, b"=") || self.tokens.is_op(at + 1, b"=>");
                let member = self.tokens.is_op_before(at, b".");
                if !member
                    && (declared
                        || given
                        || patterns.last() == Some(&true)
                        || listed && self.tokens.is_op(at + 1, b";"))
                {
                    let name = name.to_vec();
                    self.bound.insert(name);
                }
            }
            _ => {}
        }
    }

    /// Whether every other place that could bind `name` adds or takes a number.
    fn only_counts(&self, name: &[u8], declared: usize) -> bool {
        if self.counters.iter().any(|known| known == name) {
            return true;
        }
        (0..self.tokens.len()).filter(|at| *at != declared && self.tokens.is_name(*at, name)).all(|at| {
            let before = self.tokens.before(at);
            let binds = before.is_some_and(|t| match t.kind {
                Kind::Name => matches!(t.text.as_ref(), b"let" | b"var" | b"const" | b"function" | b"class"),
                Kind::Op => matches!(t.text.as_ref(), b"{" | b"..." | b":" | b"."),
                _ => false,
            });
            let Some(next) = self.tokens.get(at + 1).filter(|t| t.kind == Kind::Op) else { return !binds };
            let op = next.text.as_ref();
            let steps = matches!(op, b"++" | b"--")
                || matches!(op, b"+=" | b"-=") && self.tokens.get(at + 2).is_some_and(|t| t.kind == Kind::Number);
            let tests = matches!(
                op,
                b"<" | b">" | b"<=" | b">=" | b"===" | b"!==" | b"==" | b"!=" | b"+" | b"-" | b"*" | b"/" | b"%" | b"]"
            );
            let read = matches!(op, b")" | b";" | b"," | b"}")
                && before.is_some_and(|t| {
                    t.kind == Kind::Op
                        && matches!(
                            t.text.as_ref(),
                            b"+" | b"-" | b"*" | b"/" | b"%" | b"<" | b">" | b"<=" | b"++" | b"--" | b"="
                        )
                });
            !binds && (steps || tests || read)
        })
    }

    /// `NAME = require('x')` and `{ a, b } = require('x')`.
    fn module_name(&mut self, at: usize) {
        let Some(module) = self.required(at) else { return };
        let close = self.tokens.partner(at + 1);
        if self.tokens.is_op(close + 1, b".") && self.tokens.name(close + 2).is_none() {
            return;
        }
        // `require('fs').promises` as a value keeps its name.
        let mut full = module;
        let mut end = close;
        while self.tokens.is_op(end + 1, b".") {
            let Some(part) = self.tokens.name(end + 2) else { return };
            full.push(b'.');
            full.extend_from_slice(part);
            end += 2;
        }
        if !self.tokens.is_op_before(at, b"=") || self.tokens.is_op(end + 1, b"(") {
            return;
        }
        let Some(target) = at.checked_sub(2) else { return };
        if let Some(name) = self.tokens.name(target).map(<[u8]>::to_vec) {
            if !self.tokens.is_op_before(target, b".") {
                self.name_module(name, full, target);
            }
            return;
        }
        if self.tokens.is_op(target, b"}") {
            let open = self.tokens.partner(target);
            for part in self.tokens.parts(open) {
                let Some(member) = self.tokens.name(part.start).map(<[u8]>::to_vec) else {
                    self.unknown(part.start, part.end.saturating_sub(1));
                    continue;
                };
                let alias = match part.len() {
                    1 => Some(member.clone()),
                    3 if self.tokens.is_op(part.start + 1, b":") => {
                        self.tokens.name(part.start + 2).map(<[u8]>::to_vec)
                    }
                    _ => None,
                };
                let mut name = full.clone();
                name.push(b'.');
                name.extend_from_slice(&member);
                match alias {
                    Some(alias) => self.name_module(alias, name, part.start),
                    None => self.unknown(part.start, part.end.saturating_sub(1)),
                }
            }
        }
    }

    fn name_module(&mut self, alias: Vec<u8>, full: Vec<u8>, at: usize) {
        if self.modules.len() >= NAMES_MAX {
            return self.unknown(at, at);
        }
        if self.modules.insert(alias, full.clone()).is_some_and(|old| old != full) {
            self.unknown(at, at);
        }
    }

    /// The module of a `require` at `at`, by a known text.
    fn required(&self, at: usize) -> Option<Vec<u8>> {
        let close = self.tokens.partner(at + 1);
        let text = self.tokens.get(at + 2).filter(|t| t.kind == Kind::Text && close == at + 3)?;
        let name = text.text.strip_prefix(b"node:").unwrap_or(&text.text);
        let name: Vec<u8> = name.iter().map(|b| if *b == b'/' { b'.' } else { *b }).collect();
        matches!(MEMBERS.find(&name), Some(Member::Object)).then_some(name)
    }

    fn unknown(&mut self, from: usize, to: usize) {
        let range = self.tokens.range(from, to.max(from));
        self.finder.unknown(range);
    }

    fn found(&mut self, touch: Touch, from: usize, to: usize) {
        let range = self.tokens.range(from, to);
        self.finder.add(touch, range);
    }

    fn value(&self, range: Range<usize>) -> Option<Vec<u8>> {
        self.constants.value(&self.tokens, range, wraps)
    }

    /// Looks at the token at `at`; returns the position after what was looked at.
    fn token(&mut self, at: usize) -> usize {
        let Some(token) = self.tokens.get(at) else { return at + 1 };
        match token.kind {
            Kind::Text if is_forbidden(&token.text) && token.text.iter().all(|b| is_word(*b) || *b == b'$') => {
                self.unknown(at, at);
                at + 1
            }
            Kind::Op if token.text == b"[" as &[u8] => {
                self.bracket(at);
                at + 1
            }
            Kind::Name => self.word(at),
            _ => at + 1,
        }
    }

    fn word(&mut self, at: usize) -> usize {
        let Some(name) = self.tokens.name(at) else { return at + 1 };
        if is_forbidden(name) {
            self.unknown(at, at);
            return at + 1;
        }
        if self.tokens.is_op_before(at, b".") || self.tokens.is_op_before(at, b"?.") {
            self.member(at);
            return at + 1;
        }
        // A key of an object, or a label.
        let key = self.tokens.is_op(at + 1, b":")
            && (self.tokens.is_op_before(at, b"{") || self.tokens.is_op_before(at, b","));
        if key {
            return at + 1;
        }
        if let Some(full) = self.modules.get(name).cloned() {
            // Where it is bound.
            if self.tokens.is_op(at + 1, b"=") || self.is_pattern(at) {
                return at + 1;
            }
            return self.chain(at, at, full);
        }
        match GLOBALS.find(name) {
            Some(Global::Keyword | Global::Value) => at + 1,
            Some(Global::Closed) => {
                // Node gives every module a name of its own.
                if MEMBERS.find(name) == Some(Member::Object) {
                    return self.chain(at, at, name.to_vec());
                }
                self.unknown(at, at);
                at + 1
            }
            Some(Global::Object) => {
                let full = name.to_vec();
                if self.tokens.is_op(at + 1, b".") || self.tokens.is_op(at + 1, b"?.") {
                    return self.chain(at, at, full);
                }
                // The classes among them are called, made, or passed as functions.
                if !matches!(
                    full.as_slice(),
                    b"Object" | b"Array" | b"String" | b"Number" | b"Date" | b"RegExp" | b"Promise"
                ) || self.tokens.is_op(at + 1, b"[")
                {
                    self.unknown(at, at);
                }
                at + 1
            }
            Some(Global::Require) => self.require(at),
            Some(Global::Fetch) => {
                self.call(Call::Url, at, at + 1);
                at + 1
            }
            Some(Global::Deno) => self.chain(at, at, name.to_vec()),
            None if self.bound.contains(name) => at + 1,
            None if MEMBERS.find(name) == Some(Member::Object) => self.chain(at, at, name.to_vec()),
            None => {
                self.unknown(at, at);
                at + 1
            }
        }
    }

    /// Whether the name at `at` stands in the pattern of a `require`.
    fn is_pattern(&self, at: usize) -> bool {
        let mut end = at + 1;
        let mut left = 32;
        while left > 0
            && self
                .tokens
                .get(end)
                .is_some_and(|t| t.kind == Kind::Name || t.kind == Kind::Op && matches!(t.text.as_ref(), b"," | b":"))
        {
            end += 1;
            left -= 1;
        }
        self.tokens.is_op(end, b"}") && self.tokens.is_op(end + 1, b"=") && self.tokens.is_name(end + 2, b"require")
    }

    fn require(&mut self, at: usize) -> usize {
        let close = self.tokens.partner(at + 1);
        if !self.tokens.is_op(at + 1, b"(") {
            self.unknown(at, at);
            return at + 1;
        }
        match self.required(at) {
            // A name for it was noted; elsewhere a member has to follow.
            Some(full) if self.tokens.is_op(close + 1, b".") => self.chain(at, close, full),
            Some(_) if self.tokens.is_op_before(at, b"=") => close + 1,
            Some(_) => {
                self.unknown(at, close);
                close + 1
            }
            None => {
                let text = self.tokens.get(at + 2).filter(|t| t.kind == Kind::Text && close == at + 3);
                // What is not one of these may be a folder with code, or a file with a longer name.
                let file = text.map(|t| t.text.to_vec()).filter(|path| is_description(path));
                if file.is_some() {
                    self.found(Touch::Read(file), at, close);
                } else {
                    self.unknown(at, close);
                }
                close + 1
            }
        }
    }

    /// The members after a listed object that ends at `last`.
    fn chain(&mut self, from: usize, last: usize, full: Vec<u8>) -> usize {
        let (mut full, mut last) = (full, last);
        loop {
            match MEMBERS.find(&full) {
                Some(Member::Harmless) => return last + 1,
                Some(Member::Call(call)) => {
                    self.call(call, from, last + 1);
                    return last + 1;
                }
                None if GLOBALS.find(&full) == Some(Global::Object) => {}
                Some(Member::Object) => {}
                None => {
                    self.unknown(from, last);
                    return last + 1;
                }
            }
            let dotted = self.tokens.is_op(last + 1, b".") || self.tokens.is_op(last + 1, b"?.");
            let Some(part) = self.tokens.name(last + 2).filter(|_| dotted) else {
                let looped =
                    full == b"process.stdin" && self.tokens.before(from).is_some_and(|t| t.text == b"of" as &[u8]);
                let made = full == b"process.stdin" && self.is_input(from);
                if !looped && !made {
                    // An object of the system as a value of its own.
                    self.unknown(from, last);
                }
                return last + 1;
            };
            full.push(b'.');
            full.extend_from_slice(part);
            last += 2;
        }
    }

    /// Whether `process.stdin` at `at` is what `readline.createInterface({input: process.stdin})` reads.
    fn is_input(&self, at: usize) -> bool {
        self.tokens.is_op_before(at, b":") && at.checked_sub(2).is_some_and(|at| self.tokens.is_name(at, b"input"))
    }
}

/// Files that describe a project, whose plain names nothing else is loaded for.
fn is_description(path: &[u8]) -> bool {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or(path);
    path.starts_with(b".")
        && matches!(
            name,
            b"package.json"
                | b"package-lock.json"
                | b"tsconfig.json"
                | b"composer.json"
                | b"manifest.json"
                | b"version.json"
        )
}
