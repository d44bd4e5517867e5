// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values: what stands behind a name and a separator, in the notations of programs, shells and configuration files.
//!
//! In: a name in its text. Out: the span of its value without quotes, and the style it is written in.
//!
//! **Invariant:** the span ends where the notation says; what only looks like an assignment (prose, a call, a path with
//! `::`) has no value.

use std::ops::Range;

use super::super::Candidate;
use super::name::{Mark, Name, Notion};

/// Longest type between a name and its value, as in `token: &str = "…"`. Bytes.
const TYPE_BYTES_MAX: usize = 48;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Between quotes of this kind.
    Quoted(u8),
    /// `NAME=value`, as a shell or an environment file has it.
    Environment,
    /// Without quotes.
    Bare,
    /// Behind an option: `--name value`.
    Flag,
    /// Behind nothing but a blank: `token q7…`.
    Apposed,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) span: Range<usize>,
    pub(super) style: Style,
}

/// What stands between a name and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Separator {
    Equals,
    Colon,
    Comma,
    Blank,
    Angle,
}

impl Value {
    pub(super) fn parse(candidate: &Candidate<'_>, name: &Name) -> Option<Self> {
        let closed = close_name(candidate, name.end);
        let (separator, behind) = separator(candidate, name, closed)?;
        let at = candidate.skip_blanks(behind);
        // `'Password: '` ends here, and nothing is given to it.
        if name.mark == Mark::Quoted && closed == name.end && candidate.byte(at) == candidate.before(name.start) {
            return None;
        }
        if separator == Separator::Colon
            && let Some(at) = behind_type(candidate, at)
        {
            return quoted(candidate, at);
        }
        let apposed = separator == Separator::Blank && name.mark != Mark::Flag;
        if let Some(value) = quoted(candidate, at) {
            return match separator {
                Separator::Comma => is_pair(candidate, name, &value).then_some(value),
                _ if apposed => Some(Self { style: Style::Apposed, ..value }),
                _ => Some(value),
            };
        }
        let style = match (separator, name.mark) {
            (Separator::Comma, _) => return None,
            _ if apposed => Style::Apposed,
            (_, Mark::Flag) => Style::Flag,
            (Separator::Equals, Mark::Capitals) if closed == name.end && at == closed + 1 => Style::Environment,
            _ => Style::Bare,
        };
        bare(candidate, at, style, separator)
    }
}

/// Skips what closes a name: `"`, `'`, `\"`, `"]`, `)`.
fn close_name(candidate: &Candidate<'_>, at: usize) -> usize {
    let mut at = candidate.skip_colours(at);
    while candidate.byte(at) == Some(b'\\') {
        at += 1;
    }
    at += usize::from(matches!(candidate.byte(at), Some(b'"' | b'\'' | b'`')));
    at + usize::from(candidate.byte(at) == Some(b']'))
}

fn separator(candidate: &Candidate<'_>, name: &Name, closed: usize) -> Option<(Separator, usize)> {
    let at = candidate.skip_blanks(closed);
    let found = match candidate.rest(at) {
        [b'=', b'=', b'=', ..] | [b'!', b'=', b'=', ..] => (Separator::Equals, at + 3),
        [b'=', b'=' | b'>', ..] | [b'!' | b'?' | b'+' | b':', b'=', ..] => (Separator::Equals, at + 2),
        [b':', b':', ..] => return None,
        [b'=', ..] => (Separator::Equals, at + 1),
        [b':', ..] if name.notion != Notion::Lone => (Separator::Colon, at + 1),
        [b',', ..] if closed > name.end => (Separator::Comma, at + 1),
        [b'>', ..] if name.mark == Mark::Element && at == name.end => (Separator::Angle, at + 1),
        // `<input name="token" value="…">`, `<add key="ApiKey" value="…">`
        [b'v' | b'V', ..] if closed > name.end && at > closed && starts(candidate, at, b"value=") => {
            (Separator::Equals, at + 6)
        }
        [b'-', b' ', ..] if name.notion == Notion::Secret && at > closed => (Separator::Blank, at + 1),
        _ if closed == name.end && at > closed && (name.mark == Mark::Flag || name.notion == Notion::Secret) => {
            (Separator::Blank, at)
        }
        _ => return None,
    };
    Some(found)
}

fn starts(candidate: &Candidate<'_>, at: usize, text: &[u8]) -> bool {
    candidate.slice(at..at + text.len()).eq_ignore_ascii_case(text)
}

/// Where the value begins when a type stands first: `: Option<&str> = "…"`.
fn behind_type(candidate: &Candidate<'_>, at: usize) -> Option<usize> {
    let head = candidate.slice(at..candidate.text.len().min(at + TYPE_BYTES_MAX));
    let equals = memchr::memchr(b'=', head)?;
    let (kind, behind) = (head.get(..equals)?, head.get(equals + 1..)?);
    let is_type = kind.ends_with(b" ")
        && kind.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'<' | b'>' | b'&' | b'\'' | b'[' | b']' | b' ' | b'|' | b':' | b'.' | b'?')
        });
    (is_type && behind.first() == Some(&b' ')).then(|| candidate.skip_blanks(at + equals + 1))
}

/// A value between quotes, with the letters that some languages put before them.
fn quoted(candidate: &Candidate<'_>, at: usize) -> Option<Value> {
    let mut at = at;
    let letters = candidate
        .rest(at)
        .iter()
        .take(2)
        .take_while(|byte| matches!(byte, b'r' | b'b' | b'f' | b'u' | b'R' | b'B' | b'F' | b'U' | b'@' | b'L'))
        .count();
    if matches!(candidate.byte(at + letters), Some(b'"' | b'\'')) {
        at += letters;
    }
    let escapes = candidate.rest(at).iter().take(8).take_while(|byte| **byte == b'\\').count();
    let quote = candidate.byte(at + escapes).filter(|byte| matches!(byte, b'"' | b'\'' | b'`'))?;
    let start = at + escapes + 1;
    let mut slashes = 0_usize;
    for (offset, byte) in candidate.rest(start).iter().enumerate() {
        if *byte == quote && slashes <= escapes {
            let end = start + offset - slashes.min(escapes);
            return Some(Value { span: start..end, style: Style::Quoted(quote) });
        }
        slashes = if *byte == b'\\' { slashes + 1 } else { 0 };
    }
    Some(Value { span: start..candidate.text.len(), style: Style::Quoted(quote) })
}

/// Whether name and value are all there is between brackets, as in `("password", "…")`.
fn is_pair(candidate: &Candidate<'_>, name: &Name, value: &Value) -> bool {
    let opened = name.start.checked_sub(2).and_then(|at| candidate.byte(at));
    let closed = candidate.byte(value.span.end + 1);
    matches!(opened, Some(b'(' | b'[')) && matches!(closed, Some(b')' | b']'))
}

/// Whether a byte can be part of a value without quotes.
pub(super) fn is_bare(byte: u8) -> bool {
    byte > b' '
        && !matches!(
            byte,
            b'"' | b'\''
                | b'`'
                | b','
                | b';'
                | b'&'
                | b'<'
                | b'>'
                | b'('
                | b')'
                | b'['
                | b']'
                | b'{'
                | b'}'
                | b'|'
                | b'\\'
                | 0x7f
        )
}

fn bare(candidate: &Candidate<'_>, start: usize, style: Style, separator: Separator) -> Option<Value> {
    let in_value = if style == Style::Environment {
        |byte| byte > b' ' && !matches!(byte, b'"' | b'\'' | b'`' | 0x7f)
    } else {
        is_bare
    };
    let length = candidate.rest(start).iter().take_while(|byte| in_value(**byte)).count();
    let mut span = start..start + length;
    if style != Style::Environment {
        // A full stop or colon ends a sentence, not a value.
        let stops = candidate
            .slice(span.clone())
            .iter()
            .rev()
            .take_while(|byte| matches!(byte, b'.' | b':' | b'!' | b'?'))
            .count();
        span.end -= stops;
        // A call, an index, a block or an element is code.
        if matches!(candidate.byte(span.end), Some(b'(' | b'[' | b'{')) {
            return None;
        }
        if candidate.byte(span.end) == Some(b'<') && separator != Separator::Angle {
            return None;
        }
    }
    let option = style == Style::Flag && candidate.byte(start) == Some(b'-');
    (length > 0 && !option).then_some(Value { span, style })
}
