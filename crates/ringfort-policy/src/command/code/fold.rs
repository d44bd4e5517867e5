// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values that are certain: texts, their sums, and names that are bound once.
//!
//! In: tokens of an expression. Out: its bytes, if every one is known. **Invariant:** a name has a value only if the
//! text binds it exactly once, before anything else, to a text.

use std::collections::HashMap;
use std::ops::Range;

use super::token::{Kind, Tokens};

/// Most tokens of an expression whose value is computed.
const EXPRESSION_TOKENS_MAX: usize = 24;
/// Most names whose value is kept.
const NAMES_MAX: usize = 256;
/// Longest value, in bytes.
const VALUE_BYTES_MAX: usize = 64 << 10;

/// Names that are bound exactly once.
#[derive(Default)]
pub(super) struct Constants(HashMap<Vec<u8>, Option<Vec<u8>>>);

impl Constants {
    /// The names that the text binds by `=` to a text, once and at the start of a statement. `wraps` says which calls
    /// return their only argument.
    pub(super) fn new(tokens: &Tokens<'_>, wraps: fn(&[u8]) -> bool) -> Self {
        let mut found = Self::default();
        let mut patterns = Vec::new();
        let mut head = false;
        let mut within = 0_usize;
        for index in 0..tokens.len() {
            let Some(token) = tokens.get(index) else { break };
            match (token.kind, token.text.as_ref()) {
                (Kind::Op, b"(" | b"[" | b"{") => {
                    let pattern = is_pattern(tokens, index);
                    within += usize::from(pattern);
                    patterns.push(pattern);
                }
                (Kind::Op, b")" | b"]" | b"}") => within -= usize::from(patterns.pop() == Some(true)),
                (Kind::Name, b"lambda" | b"for" | b"del" | b"global" | b"nonlocal" | b"import" | b"with") => {
                    head = true
                }
                (Kind::Name, b"in" | b"of") | (Kind::Op, b":" | b";") | (Kind::Line, _) => head = false,
                _ => {}
            }
            if token.kind == Kind::Name {
                found.name(tokens, index, head || within > 0, wraps);
            }
        }
        found
    }

    fn name(&mut self, tokens: &Tokens<'_>, index: usize, spoilt: bool, wraps: fn(&[u8]) -> bool) {
        let Some(token) = tokens.get(index) else { return };
        let before = tokens.before(index);
        let starts = before.is_none_or(|t| match t.kind {
            Kind::Line => true,
            Kind::Op => matches!(t.text.as_ref(), b";" | b"{" | b"}"),
            Kind::Name => matches!(t.text.as_ref(), b"const" | b"let" | b"var"),
            _ => false,
        });
        let binds = starts && tokens.is_op(index + 1, b"=");
        let changes = tokens.get(index + 1).filter(|t| t.kind == Kind::Op).is_some_and(|t| {
            let op = t.text.as_ref();
            matches!(op, b"++" | b"--" | b"=>")
                || op.ends_with(b"=") && !matches!(op, b"==" | b"!=" | b"<=" | b">=" | b"===" | b"!==")
        }) || before.is_some_and(|t| {
            matches!(
                (t.kind, t.text.as_ref()),
                (Kind::Op, b"++" | b"--") | (Kind::Name, b"as" | b"def" | b"class" | b"function")
            )
        });
        // On the left of a list of names, or in one.
        let listed = starts && tokens.is_op(index + 1, b",")
            || before.is_some_and(|t| t.kind == Kind::Op && t.text == b"," as &[u8])
                && tokens.get(index + 1).is_none_or(|t| t.kind == Kind::Op && matches!(t.text.as_ref(), b"=" | b","));
        if !(binds || changes || spoilt || listed) {
            return;
        }
        if self.0.len() >= NAMES_MAX && !self.0.contains_key(token.text.as_ref()) {
            return;
        }
        let value =
            if binds && !spoilt { self.value(tokens, index + 2..end_of(tokens, index + 2), wraps) } else { None };
        self.0.entry(token.text.to_vec()).and_modify(|old| *old = None).or_insert(value);
    }

    /// The value of an expression, if it is certain.
    pub(super) fn value(&self, tokens: &Tokens<'_>, range: Range<usize>, wraps: fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        if range.is_empty() || range.len() > EXPRESSION_TOKENS_MAX {
            return None;
        }
        let mut value = Vec::new();
        let mut joins = true;
        let mut at = range.start;
        while at < range.end {
            let token = tokens.get(at)?;
            match token.kind {
                Kind::Text => value.extend_from_slice(&token.text),
                Kind::Name | Kind::Variable if joins => {
                    if let Some(Some(known)) = self
                        .0
                        .get(token.text.as_ref())
                        .filter(|_| !tokens.is_op(at + 1, b"(") && !tokens.is_op(at + 1, b"."))
                    {
                        value.extend_from_slice(known);
                    } else {
                        let open = call_of(tokens, at, wraps)?;
                        let close = tokens.partner(open);
                        value.extend(self.value(tokens, open + 1..close, wraps)?);
                        at = close;
                    }
                }
                Kind::Op if token.text == b"+" as &[u8] && !joins => {
                    joins = true;
                    at += 1;
                    continue;
                }
                Kind::Op if token.text == b"(" as &[u8] && joins => {
                    let close = tokens.partner(at);
                    value.extend(self.value(tokens, at + 1..close, wraps)?);
                    at = close;
                }
                _ => return None,
            }
            if value.len() > VALUE_BYTES_MAX {
                return None;
            }
            joins = false;
            at += 1;
        }
        if joins { None } else { Some(value) }
    }
}

/// The bracket of a call such as `a.b.c(` at `at`, if its name is one that returns its argument.
fn call_of(tokens: &Tokens<'_>, at: usize, wraps: fn(&[u8]) -> bool) -> Option<usize> {
    let mut end = at;
    while tokens.is_op(end + 1, b".") && tokens.name(end + 2).is_some() && end < at + 8 {
        end += 2;
    }
    (wraps(tokens.name(end)?) && tokens.is_op(end + 1, b"(")).then_some(end + 1)
}

/// Whether names in the brackets that open at `open` may be bound there: parameters, patterns, heads of blocks.
fn is_pattern(tokens: &Tokens<'_>, open: usize) -> bool {
    let after = tokens.get(tokens.partner(open) + 1);
    let binds = after.is_some_and(|t| match t.kind {
        Kind::Op => matches!(t.text.as_ref(), b"=" | b"=>" | b":" | b"{" | b"->"),
        Kind::Name => matches!(t.text.as_ref(), b"in" | b"of"),
        _ => false,
    });
    let defines = open.checked_sub(2).and_then(|at| tokens.name(at)).is_some_and(|n| matches!(n, b"def" | b"function"));
    (binds || defines) && !tokens.is_op(open, b"{") || binds && tokens.is_op(tokens.partner(open) + 1, b"=")
}

/// The end of the expression that starts at `from`.
fn end_of(tokens: &Tokens<'_>, from: usize) -> usize {
    let mut at = from;
    while let Some(token) = tokens.get(at) {
        let ends = match token.kind {
            Kind::Line => true,
            Kind::Op => matches!(token.text.as_ref(), b";" | b"," | b")" | b"]" | b"}"),
            _ => false,
        };
        if ends || at > from + EXPRESSION_TOKENS_MAX {
            return at;
        }
        at = tokens.partner(at).max(at) + 1;
    }
    at
}
