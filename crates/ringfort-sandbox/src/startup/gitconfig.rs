// SPDX-License-Identifier: MIT OR Apache-2.0
//! Git's configuration format: what this parser accepts, git reads as the same names and values.
//!
//! In: the bytes of one file. Out: its variables in order, flattened as git flattens them (`section.subsection.key`),
//! with the bytes each one occupies, and an edit that changes named variables and leaves all other text as it was.
//!
//! **Invariant:** whatever git would read differently, or what is too large to say, is an error and never a guess.
//! One exception: gits before 2.45 turn tabs and carriage returns inside an unquoted value into spaces; here they
//! stay, and `gitkeys` finds no value with them harmless. Stricter than git: NUL bytes and variables outside a
//! section are refused. Includes are never followed; what a key *means* is judged in `gitkeys`, not here.

use std::collections::BTreeMap;
use std::ops::Range;

/// Largest configuration file that is read. Bytes.
pub(super) const CONFIG_BYTES_MAX: usize = 256 << 10;
/// Most variables of one file.
pub(super) const VARIABLES_MAX: usize = 8_192;

/// Why a configuration could not be read. Nothing of it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// More than the largest size, or too many variables.
    #[error("the git configuration is larger than what is read")]
    TooLarge,
    /// It has a NUL byte, at which other readers stop.
    #[error("the git configuration has a NUL byte")]
    Nul,
    /// It is not a git configuration.
    #[error("the git configuration is malformed at line {line}")]
    Malformed {
        /// Line, from 1.
        line: usize,
    },
}

/// One variable as git reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Variable {
    /// `section.key` or `section.subsection.key`; section and key in lower case.
    pub(super) name: Vec<u8>,
    /// `None` for a key without `=` (git: true).
    pub(super) value: Option<Vec<u8>>,
    /// The bytes from the key's first letter to the end of its last line, line break included.
    pub(super) span: Range<usize>,
}

/// Values by name, in order of appearance.
pub(super) type Values = BTreeMap<Vec<u8>, Vec<Option<Vec<u8>>>>;

/// A parsed file.
#[derive(Clone, Debug)]
pub(super) struct Config {
    text: Vec<u8>,
    variables: Vec<Variable>,
    sections: Vec<Section>,
}

#[derive(Clone, Debug)]
struct Section {
    /// `section.` or `section.subsection.`, the stem of the names in it.
    stem: Vec<u8>,
    header: Range<usize>,
}

/// The parts of a name, cut as git cuts them: at the first and at the last dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a> {
    pub(super) section: &'a [u8],
    pub(super) subsection: Option<&'a [u8]>,
    pub(super) key: &'a [u8],
}

impl<'a> Name<'a> {
    pub(super) fn split(name: &'a [u8]) -> Option<Self> {
        let first = name.iter().position(|b| *b == b'.')?;
        let last = name.iter().rposition(|b| *b == b'.')?;
        let section = name.get(..first)?;
        let key = name.get(last + 1..)?;
        let subsection = if last > first { Some(name.get(first + 1..last)?) } else { None };
        Some(Self { section, subsection, key })
    }
}

impl Config {
    /// Reads `text`.
    pub(super) fn parse(text: &[u8]) -> Result<Self, ConfigError> {
        if text.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLarge);
        }
        if text.contains(&0) {
            return Err(ConfigError::Nul);
        }
        let mut scan = Scan { text, at: 0, ended: false };
        match scan.file() {
            Some((variables, _)) if variables.len() > VARIABLES_MAX => Err(ConfigError::TooLarge),
            Some((variables, sections)) => Ok(Self { text: text.to_vec(), variables, sections }),
            None => {
                let read = text.get(..scan.at.min(text.len())).unwrap_or(text);
                Err(ConfigError::Malformed { line: 1 + read.iter().filter(|b| **b == b'\n').count() })
            }
        }
    }

    pub(super) fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// All values by name.
    pub(super) fn values(&self) -> Values {
        let mut values = Values::new();
        for variable in &self.variables {
            values.entry(variable.name.clone()).or_default().push(variable.value.clone());
        }
        values
    }

    /// The text in which each name of `changes` has exactly the given values (none: removed), everything else as it
    /// was. `None` if the result would not read back as that; then nothing may be written.
    pub(super) fn edit(&self, changes: &Values) -> Option<Vec<u8>> {
        let mut text = self.text.clone();
        // From the end, so that earlier offsets stay true. The first occurrence takes the new values.
        let mut first_of: BTreeMap<&[u8], usize> = BTreeMap::new();
        for (index, variable) in self.variables.iter().enumerate() {
            first_of.entry(&variable.name).or_insert(index);
        }
        for (index, variable) in self.variables.iter().enumerate().rev() {
            let Some(values) = changes.get(&variable.name) else { continue };
            let is_first = first_of.get(variable.name.as_slice()) == Some(&index);
            let lines = if is_first { render(&variable.name, values)? } else { Vec::new() };
            let range = self.cut(variable, lines.is_empty());
            text.splice(range, lines);
        }
        for (name, values) in changes {
            if !values.is_empty() && !first_of.contains_key(name.as_slice()) {
                text = insert(&text, name, values)?;
            }
        }
        let text = drop_emptied(&text, self, changes)?;
        let mut expected = self.values();
        for (name, values) in changes {
            if values.is_empty() {
                expected.remove(name);
            } else {
                expected.insert(name.clone(), values.clone());
            }
        }
        (Self::parse(&text).ok()?.values() == expected).then_some(text)
    }

    /// The bytes to replace for `variable`: its indentation too, when it starts its line and goes away.
    fn cut(&self, variable: &Variable, goes: bool) -> Range<usize> {
        let before = self.text.get(..variable.span.start).unwrap_or_default();
        let indent = before.iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let start = variable.span.start - indent;
        let starts_line = start == 0 || before.get(start - 1) == Some(&b'\n');
        if starts_line {
            start..variable.span.end
        } else if goes {
            // The header stands on the same line: keep the line break.
            variable.span.start..variable.span.end.saturating_sub(1).max(variable.span.start)
        } else {
            variable.span.clone()
        }
    }
}

/// The lines that say `values` of `name`, without a header.
fn render(name: &[u8], values: &[Option<Vec<u8>>]) -> Option<Vec<u8>> {
    let key = Name::split(name)?.key;
    let mut lines = Vec::new();
    for value in values {
        lines.push(b'\t');
        lines.extend_from_slice(key);
        if let Some(value) = value {
            lines.extend_from_slice(b" = ");
            quote(value, &mut lines);
        }
        lines.push(b'\n');
    }
    Some(lines)
}

fn quote(value: &[u8], out: &mut Vec<u8>) {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_./:@+*,%~^=".contains(b);
    if !value.is_empty() && value.iter().all(plain) {
        out.extend_from_slice(value);
        return;
    }
    out.push(b'"');
    for byte in value {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            other => out.push(*other),
        }
    }
    out.push(b'"');
}

/// Adds `values` at the end of the last section of their stem, or in a new section at the end of the file.
fn insert(text: &[u8], name: &[u8], values: &[Option<Vec<u8>>]) -> Option<Vec<u8>> {
    let config = Config::parse(text).ok()?;
    let lines = render(name, values)?;
    let cut = name.iter().rposition(|b| *b == b'.')? + 1;
    let stem = name.get(..cut)?;
    let position = config.sections.iter().rposition(|section| section.stem == stem);
    let (at, header) = match position {
        Some(index) => {
            let header_end = config.sections.get(index)?.header.end;
            let next = config.sections.get(index + 1).map_or(text.len(), |section| section.header.start);
            let inside = config.variables.iter().filter(|v| v.span.start >= header_end && v.span.end <= next);
            (inside.map(|v| v.span.end).max().unwrap_or(header_end), Vec::new())
        }
        None => (text.len(), header(Name::split(name)?)?),
    };
    let mut result = text.get(..at)?.to_vec();
    if !result.is_empty() && result.last() != Some(&b'\n') {
        result.push(b'\n');
    }
    result.extend_from_slice(&header);
    result.extend_from_slice(&lines);
    let rest = text.get(at..)?;
    // A header without variables ends within its line; what follows it there starts a line of its own.
    result.extend_from_slice(
        rest.strip_prefix(b"\n").filter(|_| text.get(at.wrapping_sub(1)) != Some(&b'\n')).unwrap_or(rest),
    );
    Some(result)
}

fn header(name: Name<'_>) -> Option<Vec<u8>> {
    let mut out = vec![b'['];
    out.extend_from_slice(name.section);
    if let Some(subsection) = name.subsection {
        if subsection.contains(&b'\n') {
            return None;
        }
        out.extend_from_slice(b" \"");
        for byte in subsection {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(*byte);
        }
        out.push(b'"');
    }
    out.extend_from_slice(b"]\n");
    Some(out)
}

/// Removes the headers that lost their last variable to `changes`; headers that were empty before stay.
fn drop_emptied(text: &[u8], before: &Config, changes: &Values) -> Option<Vec<u8>> {
    let emptied = |stem: &[u8]| {
        let had = before.variables.iter().any(|v| stem_of(&v.name) == stem);
        let touched = changes.iter().any(|(name, values)| values.is_empty() && stem_of(name) == stem);
        had && touched
    };
    let after = Config::parse(text).ok()?;
    let mut text = text.to_vec();
    for (index, section) in after.sections.iter().enumerate().rev() {
        let end = after.sections.get(index + 1).map_or(text.len(), |next| next.header.start);
        let body = text.get(section.header.end..end).unwrap_or_default();
        let still_used = after.variables.iter().any(|v| stem_of(&v.name) == section.stem);
        if !still_used && emptied(&section.stem) && body.iter().all(u8::is_ascii_whitespace) {
            text.drain(section.header.start..end);
        }
    }
    Some(text)
}

fn stem_of(name: &[u8]) -> &[u8] {
    name.iter().rposition(|b| *b == b'.').and_then(|dot| name.get(..=dot)).unwrap_or_default()
}

/// A reader that returns characters as git's own does: CR LF is LF, and the end reads as a line break.
struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    ended: bool,
}

impl Scan<'_> {
    fn next(&mut self) -> u8 {
        match self.text.get(self.at) {
            None => {
                self.ended = true;
                b'\n'
            }
            Some(b'\r') if self.text.get(self.at + 1) == Some(&b'\n') => {
                self.at += 2;
                b'\n'
            }
            Some(byte) => {
                self.at += 1;
                *byte
            }
        }
    }

    fn file(&mut self) -> Option<(Vec<Variable>, Vec<Section>)> {
        const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
        let (mut variables, mut sections) = (Vec::new(), Vec::<Section>::new());
        let mut comment = false;
        if self.text.starts_with(BYTE_ORDER_MARK) {
            self.at = BYTE_ORDER_MARK.len();
        }
        loop {
            let start = self.at;
            let byte = self.next();
            match byte {
                b'\n' if self.ended => return Some((variables, sections)),
                b'\n' => comment = false,
                _ if comment || is_space(byte) => {}
                b'#' | b';' => comment = true,
                b'[' => {
                    let stem = self.section()?;
                    sections.push(Section { stem, header: start..self.at });
                }
                letter if letter.is_ascii_alphabetic() => {
                    let mut name = sections.last()?.stem.clone();
                    name.push(letter.to_ascii_lowercase());
                    let value = self.variable(&mut name)?;
                    variables.push(Variable { name, value, span: start..self.at });
                    if variables.len() > VARIABLES_MAX {
                        return Some((variables, sections));
                    }
                }
                _ => return None,
            }
        }
    }

    fn section(&mut self) -> Option<Vec<u8>> {
        let mut stem = Vec::new();
        loop {
            let byte = self.next();
            if self.ended {
                return None;
            }
            match byte {
                b']' if stem.is_empty() => return None,
                b']' => break,
                space if is_space(space) => {
                    self.subsection(space, &mut stem)?;
                    break;
                }
                key if is_key(key) || key == b'.' => stem.push(key.to_ascii_lowercase()),
                _ => return None,
            }
        }
        stem.push(b'.');
        Some(stem)
    }

    fn subsection(&mut self, mut byte: u8, stem: &mut Vec<u8>) -> Option<()> {
        while is_space(byte) {
            if byte == b'\n' {
                return None;
            }
            byte = self.next();
        }
        if byte != b'"' {
            return None;
        }
        stem.push(b'.');
        loop {
            match self.next() {
                b'\n' => return None,
                b'"' => break,
                b'\\' => match self.next() {
                    b'\n' => return None,
                    escaped => stem.push(escaped),
                },
                other => stem.push(other),
            }
        }
        (self.next() == b']').then_some(())
    }

    fn variable(&mut self, name: &mut Vec<u8>) -> Option<Option<Vec<u8>>> {
        let mut byte = self.next();
        while is_key(byte) {
            name.push(byte.to_ascii_lowercase());
            byte = self.next();
        }
        while matches!(byte, b' ' | b'\t') {
            byte = self.next();
        }
        match byte {
            b'\n' => Some(None),
            b'=' => self.value().map(Some),
            _ => None,
        }
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let (mut value, mut trim) = (Vec::new(), 0);
        let (mut quoted, mut comment) = (false, false);
        loop {
            let byte = self.next();
            if byte == b'\n' {
                if quoted {
                    return None;
                }
                if trim > 0 {
                    value.truncate(trim);
                }
                return Some(value);
            }
            if comment {
                continue;
            }
            if is_space(byte) && !quoted {
                if trim == 0 {
                    trim = value.len();
                }
                if !value.is_empty() {
                    value.push(byte);
                }
                continue;
            }
            if !quoted && matches!(byte, b';' | b'#') {
                comment = true;
                continue;
            }
            trim = 0;
            match byte {
                b'\\' => match self.next() {
                    b'\n' => {}
                    b't' => value.push(b'\t'),
                    b'b' => value.push(0x08),
                    b'n' => value.push(b'\n'),
                    same @ (b'\\' | b'"') => value.push(same),
                    _ => return None,
                },
                b'"' => quoted = !quoted,
                other => value.push(other),
            }
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

#[cfg(test)]
mod tests;
