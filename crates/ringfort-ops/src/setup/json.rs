// SPDX-License-Identifier: MIT OR Apache-2.0
//! Settings of other programs, edited in place: what is not ours stays byte for byte.
//!
//! In: the text of a JSON file, as its program reads it (strict, with comments, or JSON5). Out: the same text with a
//! member or element more or less.
//!
//! **Invariant:** an edit touches the bytes of its own entry and the comma beside it, nothing else; a text that the
//! program itself could not read, or that says one key twice on the way to the entry, is refused.

use std::ops::Range;

use serde_json::{Map, Value};

/// Deepest nesting that is read. Levels.
const DEPTH_MAX: usize = 64;

/// What a program takes for JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// RFC 8259.
    Strict,
    /// With comments.
    Comments,
    /// JSON5: also trailing commas, bare keys and single quotes.
    Json5,
}

/// Why a text cannot be edited. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// It is not JSON of this dialect.
    #[error("line {line}: {what}")]
    Syntax {
        /// Where, counted from 1.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// Something on the way to the entry is of another kind.
    #[error("`{key}` is not {kind}")]
    Kind {
        /// The key.
        key: String,
        /// What it should be.
        kind: &'static str,
    },
    /// A key on the way is said twice: which one counts is up to the program.
    #[error("`{0}` is said twice")]
    Twice(String),
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its bytes.
    pub span: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// An object's members, in order.
    Object(Vec<Member>),
    /// An array's elements.
    Array(Vec<Node>),
    /// Anything else.
    Scalar(Value),
}

/// A member of an object.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its key, unescaped.
    pub key: String,
    /// Where key and value stand.
    pub span: Range<usize>,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// The value, without its place.
    pub fn value(&self) -> Value {
        match &self.kind {
            Kind::Object(members) => {
                Value::Object(members.iter().map(|m| (m.key.clone(), m.value.value())).collect::<Map<_, _>>())
            }
            Kind::Array(nodes) => Value::Array(nodes.iter().map(Self::value).collect()),
            Kind::Scalar(value) => value.clone(),
        }
    }

    /// The elements of an array.
    pub fn elements(&self) -> Option<&[Self]> {
        if let Kind::Array(nodes) = &self.kind { Some(nodes) } else { None }
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// This is no object, or the key is said twice.
    pub fn member(&self, key: &str) -> Result<Option<&Member>, JsonError> {
        let Kind::Object(members) = &self.kind else {
            return Err(JsonError::Kind { key: key.to_owned(), kind: "in an object" });
        };
        let mut found = members.iter().filter(|member| member.key == key);
        let first = found.next();
        if found.next().is_some() { Err(JsonError::Twice(key.to_owned())) } else { Ok(first) }
    }

    /// The value at a path of keys, if every key is there.
    ///
    /// # Errors
    ///
    /// As [`Node::member`].
    pub fn at(&self, path: &[&str]) -> Result<Option<&Self>, JsonError> {
        let mut node = self;
        for key in path {
            match node.member(key)? {
                Some(member) => node = &member.value,
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }
}

/// Reads a whole text.
///
/// # Errors
///
/// [`JsonError::Syntax`]: it is not JSON of this dialect.
pub fn parse(text: &str, dialect: Dialect) -> Result<Node, JsonError> {
    let mut reader = Reader { text, at: 0, dialect };
    if text.starts_with('\u{feff}') {
        reader.at = '\u{feff}'.len_utf8();
    }
    reader.blank()?;
    let node = reader.node(0)?;
    reader.blank()?;
    if reader.at < text.len() { Err(reader.wrong("something follows the value")) } else { Ok(node) }
}

/// The text with a value more at the end of the array at `path`; what is missing on the way is made.
///
/// # Errors
///
/// [`JsonError`]: it cannot be edited.
pub fn push(text: &str, dialect: Dialect, path: &[&str], value: &Value) -> Result<String, JsonError> {
    let root = parse(text, dialect)?;
    let mut node = &root;
    for (depth, key) in path.iter().enumerate() {
        match node.member(key)? {
            Some(member) => node = &member.value,
            None => {
                let rest = path.get(depth + 1..).unwrap_or_default();
                let made = rest.iter().rev().fold(Value::Array(vec![value.clone()]), |inner, key| {
                    Value::Object(Map::from_iter([((*key).to_owned(), inner)]))
                });
                return Ok(insert(text, node, Some(key), &made));
            }
        }
    }
    if node.elements().is_none() {
        return Err(JsonError::Kind { key: path.join("."), kind: "an array" });
    }
    Ok(insert(text, node, None, value))
}

/// The text with the value at `path` set; what is missing on the way is made.
///
/// # Errors
///
/// [`JsonError`]: it cannot be edited.
pub fn set(text: &str, dialect: Dialect, path: &[&str], value: &Value) -> Result<String, JsonError> {
    let root = parse(text, dialect)?;
    let mut node = &root;
    for (depth, key) in path.iter().enumerate() {
        match node.member(key)? {
            Some(member) => node = &member.value,
            None => {
                let rest = path.get(depth + 1..).unwrap_or_default();
                let made = rest
                    .iter()
                    .rev()
                    .fold(value.clone(), |inner, key| Value::Object(Map::from_iter([((*key).to_owned(), inner)])));
                return Ok(insert(text, node, Some(key), &made));
            }
        }
    }
    Ok(replaced(text, node.span.clone(), &value.to_string()))
}

/// The text without one element or member of `container`, the comma beside it gone with it.
pub fn remove(text: &str, container: &Node, index: usize) -> String {
    let spans: Vec<Range<usize>> = match &container.kind {
        Kind::Object(members) => members.iter().map(|member| member.span.clone()).collect(),
        Kind::Array(nodes) => nodes.iter().map(|node| node.span.clone()).collect(),
        Kind::Scalar(_) => Vec::new(),
    };
    let Some(own) = spans.get(index) else { return text.to_owned() };
    // With what stands before it, back to the end of its predecessor; the first takes what follows instead.
    let range = match (index.checked_sub(1).and_then(|before| spans.get(before)), spans.get(index + 1)) {
        (Some(before), _) => before.end..own.end,
        (None, Some(after)) => own.start..after.start,
        (None, None) => container.span.start + 1..container.span.end.saturating_sub(1),
    };
    replaced(text, range, "")
}

fn replaced(text: &str, range: Range<usize>, with: &str) -> String {
    let (before, after) = (text.get(..range.start).unwrap_or_default(), text.get(range.end..).unwrap_or_default());
    [before, with, after].concat()
}

/// Puts a member or an element at the end of a container, laid out as the file is.
fn insert(text: &str, container: &Node, key: Option<&str>, value: &Value) -> String {
    let inside = container.span.start + 1..container.span.end.saturating_sub(1);
    let last = match &container.kind {
        Kind::Object(members) => members.last().map(|member| member.span.clone()),
        Kind::Array(nodes) => nodes.last().map(|node| node.span.clone()),
        Kind::Scalar(_) => None,
    };
    let body = text.get(inside.clone()).unwrap_or_default();
    let unit = indent_unit(text);
    let own = line_indent(text, container.span.start);
    // A file in one line stays in one line; an empty one gets the usual layout.
    let tall = body.contains('\n') || (last.is_none() && (text.contains('\n') || text.trim() == "{}"));
    let name = key.map(|key| format!("{}:{}", Value::from(key), if tall { " " } else { "" })).unwrap_or_default();
    let inner = format!("{own}{unit}");
    let laid = if tall { tall_text(value, &unit).replace('\n', &format!("\n{inner}")) } else { value.to_string() };
    let Some(last) = last else {
        let made = if tall { format!("\n{inner}{name}{laid}\n{own}") } else { format!("{name}{laid}") };
        // Comments in an empty container stay where they are.
        let keep = body.trim_end();
        return replaced(text, inside, &format!("{keep}{made}"));
    };
    let rest = text.get(last.end..inside.end).unwrap_or_default();
    let comma = trailing_comma(rest);
    let at = last.end + comma.unwrap_or(0);
    let lead = if comma.is_some() { "" } else { "," };
    let made = if tall { format!("{lead}\n{inner}{name}{laid}") } else { format!("{lead}{name}{laid}") };
    replaced(text, at..at, &made)
}

/// The length of what stands up to and with a trailing comma, comments skipped.
fn trailing_comma(rest: &str) -> Option<usize> {
    let mut reader = Reader { text: rest, at: 0, dialect: Dialect::Json5 };
    reader.blank().ok()?;
    (reader.peek() == Some(b',')).then_some(reader.at + 1)
}

fn tall_text(value: &Value, unit: &str) -> String {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(unit.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    let written = serde::Serialize::serialize(value, &mut serializer);
    // A value of plain JSON cannot fail to be written to memory; the flat form would be the answer if it did.
    if written.is_err() { value.to_string() } else { String::from_utf8_lossy(&out).into_owned() }
}

/// The blanks that start the line of a place.
fn line_indent(text: &str, at: usize) -> String {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    text.get(start..at).unwrap_or_default().chars().take_while(|c| matches!(c, ' ' | '\t')).collect()
}

/// One step of indentation, as the file's first indented line has it.
fn indent_unit(text: &str) -> String {
    let indented = text.lines().map(|line| line.len() - line.trim_start_matches([' ', '\t']).len());
    let first = text.lines().zip(indented).find(|(line, blanks)| *blanks > 0 && !line.trim().is_empty());
    first.and_then(|(line, blanks)| line.get(..blanks)).map_or_else(|| "  ".to_owned(), ToOwned::to_owned)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    dialect: Dialect,
}

impl Reader<'_> {
    fn wrong(&self, what: &'static str) -> JsonError {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        JsonError::Syntax { line: before.matches('\n').count() + 1, what }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skips blanks, and comments where they are allowed.
    fn blank(&mut self) -> Result<(), JsonError> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(b'/') if self.dialect != Dialect::Strict => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn comment(&mut self) -> Result<(), JsonError> {
        let rest = self.rest();
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map(|end| end + 2).ok_or_else(|| self.wrong("a comment has no end"))?
        } else {
            return Err(self.wrong("a value is expected"));
        };
        self.at += length;
        Ok(())
    }

    fn node(&mut self, depth: usize) -> Result<Node, JsonError> {
        if depth > DEPTH_MAX {
            return Err(self.wrong("it is nested too deeply"));
        }
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => Kind::Scalar(Value::String(self.string()?)),
            Some(b'\'') if self.dialect == Dialect::Json5 => Kind::Scalar(Value::String(self.string()?)),
            Some(_) => self.word()?,
            None => return Err(self.wrong("it ends too early")),
        };
        Ok(Node { span: start..self.at, kind })
    }

    fn object(&mut self, depth: usize) -> Result<Kind, JsonError> {
        self.at += 1;
        let mut members = Vec::new();
        let mut comma = false;
        loop {
            self.blank()?;
            if self.closes(b'}', comma)? {
                return Ok(Kind::Object(members));
            }
            let start = self.at;
            let key = self.key()?;
            self.blank()?;
            if self.peek() != Some(b':') {
                return Err(self.wrong("a colon is expected"));
            }
            self.at += 1;
            self.blank()?;
            let value = self.node(depth + 1)?;
            members.push(Member { key, span: start..self.at, value });
            comma = self.separator(b'}')?;
        }
    }

    fn array(&mut self, depth: usize) -> Result<Kind, JsonError> {
        self.at += 1;
        let mut nodes = Vec::new();
        let mut comma = false;
        loop {
            self.blank()?;
            if self.closes(b']', comma)? {
                return Ok(Kind::Array(nodes));
            }
            nodes.push(self.node(depth + 1)?);
            comma = self.separator(b']')?;
        }
    }

    /// Whether the container ends here; after a comma only where trailing commas are allowed.
    fn closes(&mut self, end: u8, comma: bool) -> Result<bool, JsonError> {
        if self.peek() != Some(end) {
            return Ok(false);
        }
        if comma && self.dialect != Dialect::Json5 {
            return Err(self.wrong("a comma stands before the end"));
        }
        self.at += 1;
        Ok(true)
    }

    /// Takes a comma if there is one; else the end has to follow.
    fn separator(&mut self, end: u8) -> Result<bool, JsonError> {
        self.blank()?;
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == end => Ok(false),
            _ => Err(self.wrong("a comma or the end is expected")),
        }
    }

    fn key(&mut self) -> Result<String, JsonError> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'\'') if self.dialect == Dialect::Json5 => self.string(),
            Some(byte) if self.dialect == Dialect::Json5 && is_bare(byte) => {
                let length = self.rest().bytes().take_while(|byte| is_bare(*byte)).count();
                let key = self.rest().get(..length).unwrap_or_default().to_owned();
                self.at += length;
                Ok(key)
            }
            _ => Err(self.wrong("a key is expected")),
        }
    }

    /// A string, unescaped by the library that everybody trusts; single quotes are turned into double ones first.
    fn string(&mut self) -> Result<String, JsonError> {
        let quote = self.peek().unwrap_or(b'"');
        let mut length = 1;
        let mut escaped = false;
        for byte in self.rest().bytes().skip(1) {
            length += 1;
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                _ if byte == quote => {
                    let raw = self.rest().get(..length).unwrap_or_default();
                    let text = if quote == b'"' { raw.to_owned() } else { doubled(raw) };
                    let string = serde_json::from_str(&text).map_err(|_| self.wrong("a string is not well formed"))?;
                    self.at += length;
                    return Ok(string);
                }
                _ => {}
            }
        }
        Err(self.wrong("a string has no end"))
    }

    fn word(&mut self) -> Result<Kind, JsonError> {
        let length =
            self.rest().bytes().take_while(|byte| is_bare(*byte) || matches!(byte, b'+' | b'-' | b'.')).count();
        let word = self.rest().get(..length).unwrap_or_default();
        let value = match serde_json::from_str(word) {
            Ok(value) => value,
            // Numbers that only JSON5 knows (`.5`, `0x10`, `Infinity`): kept as they stand, nobody here reads them.
            Err(_) if self.dialect == Dialect::Json5 && !word.is_empty() => Value::String(word.to_owned()),
            Err(_) => return Err(self.wrong("a value is expected")),
        };
        self.at += length;
        Ok(Kind::Scalar(value))
    }
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

/// A single-quoted string with double quotes.
fn doubled(raw: &str) -> String {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    format!("\"{}\"", inner.replace("\\'", "'").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
