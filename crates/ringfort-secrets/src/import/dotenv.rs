// SPDX-License-Identifier: MIT OR Apache-2.0
//! dotenv files: `NAME=value`, line by line.
//!
//! In: bytes. Out: names and values.
//!
//! **Invariant:** nothing is expanded: `$` stands for itself, and where another program would expand it, that is told. A
//! line that could be read in two ways is a fault.

use zeroize::Zeroizing;

use super::{ImportError, Imported, Names, Reading, shown};

/// Reads a dotenv file: blank lines, `#` comments, `NAME=value` with an optional `export` before it. A value without
/// quotes ends at ` #` or with its line and is taken as it is; in `'…'` too, on one line; in `"…"` the escapes `\n`, `\r`,
/// `\t`, `\"`, `\\` and `\$` count, and it may go over several lines.
///
/// # Errors
///
/// [`ImportError`]: nothing was imported; each fault has its line.
pub fn dotenv(text: &[u8], names: &Names) -> Result<Imported, ImportError> {
    let mut reading = Reading::new(names);
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut lines = Lines { rest: text, number: 0 };
    while let Some(line) = lines.next() {
        let number = lines.number;
        match assignment(line, &mut lines) {
            Ok(None) => {}
            Ok(Some(found)) => {
                if found.would_expand {
                    let name = shown(found.name);
                    reading.notice(number, format!("`$` in `{name}` is taken as it is; nothing is expanded"));
                }
                reading.entry(number, found.name, &found.value, None)?;
            }
            Err(message) => reading.fault(number, message),
        }
    }
    reading.finish()
}

/// The lines of a text, without their ends.
struct Lines<'t> {
    rest: &'t [u8],
    number: usize,
}

impl<'t> Lines<'t> {
    fn next(&mut self) -> Option<&'t [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (self.rest.get(..end)?, self.rest.get(end + 1..)?),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        self.number += 1;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

struct Assignment<'t> {
    name: &'t str,
    value: Zeroizing<Vec<u8>>,
    would_expand: bool,
}

fn assignment<'t>(line: &'t [u8], lines: &mut Lines<'t>) -> Result<Option<Assignment<'t>>, String> {
    let line = line.trim_ascii_start();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let Some(equals) = line.iter().position(|byte| *byte == b'=') else {
        return Err("there is no `=`".to_owned());
    };
    let (before, after) = line.split_at_checked(equals).unwrap_or((line, &[]));
    let name = name(before)?;
    let raw = after.get(1..).unwrap_or_default().trim_ascii_start();
    let (value, expandable) = match raw.split_first() {
        Some((b'"', inner)) => (double_quoted(inner, lines)?, true),
        Some((b'\'', inner)) => (single_quoted(inner)?, false),
        Some((b'`', _)) => return Err(format!("the value of `{name}` begins with a backtick; use other quotes")),
        _ => (plain(raw), true),
    };
    if value.contains(&0) {
        return Err(format!("the value of `{name}` contains a zero byte"));
    }
    if std::str::from_utf8(&value).is_err() {
        return Err(format!("the value of `{name}` is not UTF-8 text"));
    }
    let would_expand = expandable && has_expansion(raw);
    Ok(Some(Assignment { name, value, would_expand }))
}

fn name(before: &[u8]) -> Result<&str, String> {
    let mut name = before.trim_ascii();
    if let Some(rest) = name.strip_prefix(b"export")
        && rest.first().is_some_and(u8::is_ascii_whitespace)
    {
        name = rest.trim_ascii_start();
    }
    let good = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    match std::str::from_utf8(name) {
        Ok(name)
            if !name.is_empty()
                && name.bytes().all(|b| good(&b))
                && !name.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            Ok(name)
        }
        // What stands before `=` may be the rest of a value whose quotes were forgotten: it is not shown.
        _ => Err("what stands before `=` is no name".to_owned()),
    }
}

/// A value without quotes: up to a comment, without blanks at its end.
fn plain(raw: &[u8]) -> Zeroizing<Vec<u8>> {
    let comment = (0..raw.len()).find(|at| {
        let blank = at.checked_sub(1).and_then(|before| raw.get(before)).is_none_or(u8::is_ascii_whitespace);
        raw.get(*at) == Some(&b'#') && blank
    });
    Zeroizing::new(raw.get(..comment.unwrap_or(raw.len())).unwrap_or_default().trim_ascii_end().to_vec())
}

fn single_quoted(inner: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
    let Some(end) = inner.iter().position(|byte| *byte == b'\'') else {
        return Err("the quote `'` is not closed on its line".to_owned());
    };
    ends_after_quote(inner.get(end + 1..).unwrap_or_default())?;
    Ok(Zeroizing::new(inner.get(..end).unwrap_or_default().to_vec()))
}

fn double_quoted<'t>(inner: &'t [u8], lines: &mut Lines<'t>) -> Result<Zeroizing<Vec<u8>>, String> {
    // Never grows: no copy is left behind.
    let mut value = Zeroizing::new(Vec::with_capacity(inner.len() + 1 + lines.rest.len()));
    let mut line = inner;
    loop {
        let mut bytes = line.iter().enumerate();
        while let Some((at, byte)) = bytes.next() {
            match byte {
                b'"' => {
                    ends_after_quote(line.get(at + 1..).unwrap_or_default())?;
                    return Ok(value);
                }
                b'\\' => value.push(match bytes.next().map(|(_, byte)| byte) {
                    Some(b'n') => b'\n',
                    Some(b'r') => b'\r',
                    Some(b't') => b'\t',
                    Some(byte @ (b'"' | b'\\' | b'$')) => *byte,
                    _ => {
                        return Err("a `\\` in `\"…\"` is followed by none of n, r, t, \", \\ and $; \
                            write `\\\\`, or use `'…'`"
                            .to_owned());
                    }
                }),
                byte => value.push(*byte),
            }
        }
        value.push(b'\n');
        line = lines.next().ok_or("the quote `\"` is not closed")?;
    }
}

/// After a closing quote only blanks and a comment may stand.
fn ends_after_quote(rest: &[u8]) -> Result<(), String> {
    let trimmed = rest.trim_ascii_start();
    if trimmed.is_empty() || (trimmed.starts_with(b"#") && trimmed.len() < rest.len()) {
        return Ok(());
    }
    Err("something stands after the closing quote".to_owned())
}

/// Whether a shell would put something in place of a part of the first line: `$NAME`, `${…}`, `$(…)`.
fn has_expansion(raw: &[u8]) -> bool {
    raw.windows(2).enumerate().any(|(at, pair)| {
        let escaped = at.checked_sub(1).and_then(|before| raw.get(before)) == Some(&b'\\');
        matches!(pair, [b'$', next] if !escaped && (next.is_ascii_alphabetic() || matches!(next, b'{' | b'(' | b'_')))
    })
}
