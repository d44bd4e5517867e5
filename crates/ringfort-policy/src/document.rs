// SPDX-License-Identifier: MIT OR Apache-2.0
//! Places and names in a TOML text: where a key stands, which key was meant.
//!
//! In: a text that parses as TOML, and the JSON schema of what it should hold. Out: lines, columns, unknown keys and
//! the nearest valid key.
//!
//! **Invariant:** used to word errors only; whether a text is accepted is decided by the types.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ringfort_core::text::escape_bytes;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, or `flags` for what the command line and the environment said.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` line {}, column {}", self.path.display(), self.line, self.column)
    }
}

/// The place of a byte offset.
pub(crate) fn locate(path: &Path, text: &str, offset: usize) -> Location {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    Location { path: path.to_owned(), line, column }
}

/// A key as it is written: segments joined by dots, escaped for people.
pub(crate) fn dotted(segments: &[&str]) -> String {
    escape_bytes(segments.join(".").as_bytes())
}

/// A key that the schema does not know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownKey {
    pub(crate) key: String,
    pub(crate) offset: usize,
    pub(crate) nearest: Option<String>,
}

/// The first key, in the order of the text, that the schema does not know.
pub(crate) fn first_unknown(text: &str, schema: &Value) -> Option<UnknownKey> {
    let root = DeTable::parse(text).ok()?;
    let mut found = Vec::new();
    let mut path = Vec::new();
    walk_unknown(root.get_ref(), schema, &mut path, &mut found);
    let (segments, offset) = found.into_iter().min_by_key(|(_, offset)| *offset)?;
    let borrowed: Vec<&str> = segments.iter().map(String::as_str).collect();
    Some(UnknownKey { key: dotted(&borrowed), offset, nearest: nearest(&borrowed, schema) })
}

fn walk_unknown(table: &DeTable<'_>, schema: &Value, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, usize)>) {
    if members(schema).is_none() && any_member(schema).is_none() {
        return;
    }
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        match (member(schema, key.get_ref()), value.get_ref()) {
            (None, _) => found.push((path.clone(), key.span().start)),
            (Some(inner), DeValue::Table(table)) => walk_unknown(table, inner, path, found),
            (Some(inner), DeValue::Array(items)) => {
                let tables = items.iter().filter_map(|item| item.get_ref().as_table());
                if let Some(inner) = inner.get("items") {
                    tables.for_each(|table| walk_unknown(table, inner, path, found));
                }
            }
            _ => {}
        }
        path.pop();
    }
}

/// What a member of an object may be: as it is named, else what every other member may be.
pub(crate) fn member<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    members(schema).and_then(|members| members.get(name)).or_else(|| any_member(schema))
}

/// A member, looked at through the list that the object stands in.
fn below<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    member(schema.get("items").unwrap_or(schema), name)
}

/// What members of any name may be, where an object is a map.
fn any_member(schema: &Value) -> Option<&Value> {
    let direct = schema.get("additionalProperties").filter(|any| any.is_object());
    direct.or_else(|| schema.get("anyOf")?.as_array()?.iter().find_map(any_member))
}

/// The members of an object schema, looked through `anyOf` (optional sections).
fn members(schema: &Value) -> Option<&serde_json::Map<String, Value>> {
    let direct = schema.get("properties").and_then(Value::as_object);
    direct.or_else(|| schema.get("anyOf")?.as_array()?.iter().find_map(members))
}

/// Whether the schema knows a dotted key.
pub(crate) fn is_known(key: &str, schema: &Value) -> bool {
    key.split('.').try_fold(schema, below).is_some()
}

/// The valid key that was most likely meant: a sibling of nearly the same spelling, else the same name elsewhere.
fn nearest(segments: &[&str], schema: &Value) -> Option<String> {
    let (name, parents) = segments.split_last()?;
    let siblings = parents.iter().try_fold(schema, |schema, segment| below(schema, segment));
    let siblings = siblings.map(|schema| schema.get("items").unwrap_or(schema));
    let close = siblings.and_then(members).and_then(|members| {
        let near = members.keys().map(|candidate| (distance(name, candidate), candidate));
        near.filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()).div_ceil(3)).min()
    });
    if let Some((_, candidate)) = close {
        let mut full = parents.to_vec();
        full.push(candidate);
        return Some(dotted(&full));
    }
    let mut all = Vec::new();
    all_keys(schema, "", &mut all);
    all.into_iter().find(|key| key.rsplit('.').next() == Some(name))
}

fn all_keys(schema: &Value, prefix: &str, keys: &mut Vec<String>) {
    for (name, inner) in members(schema).into_iter().flatten() {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        all_keys(inner, &key, keys);
        keys.push(key);
    }
}

/// The edit distance of two names (insertions, deletions, replacements), over at most 64 characters of each.
fn distance(a: &str, b: &str) -> usize {
    const CHARACTERS_MAX: usize = 64;
    let b: Vec<char> = b.chars().take(CHARACTERS_MAX).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(CHARACTERS_MAX).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = *cell;
            left = replaced.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// The offset at which a dotted key stands in a text.
pub(crate) fn offset_of(text: &str, key: &str) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let mut segments = key.split('.').peekable();
    while let Some(segment) = segments.next() {
        let (name, value) = table.iter().find(|(name, _)| name.get_ref() == segment)?;
        if segments.peek().is_none() {
            return Some(name.span().start);
        }
        table = value.get_ref().as_table()?;
    }
    None
}

/// The dotted key whose value, or name, covers an offset.
pub(crate) fn key_at(text: &str, offset: usize) -> Option<String> {
    let root = DeTable::parse(text).ok()?;
    let mut path = Vec::new();
    deepest(root.get_ref(), offset, &mut path);
    let borrowed: Vec<&str> = path.iter().map(String::as_str).collect();
    (!path.is_empty()).then(|| dotted(&borrowed))
}

fn deepest(table: &DeTable<'_>, offset: usize, path: &mut Vec<String>) {
    let covers = |range: Range<usize>| range.start <= offset && offset < range.end.max(range.start + 1);
    let inside = |value: &Spanned<DeValue<'_>>| value.get_ref().as_table().is_some_and(|table| has(table, offset));
    for (key, value) in table {
        if covers(key.span()) || covers(value.span()) || inside(value) {
            path.push(key.get_ref().to_string());
            if let Some(table) = value.get_ref().as_table() {
                deepest(table, offset, path);
            }
            return;
        }
    }
}

/// Whether a key or value below a table covers an offset.
fn has(table: &DeTable<'_>, offset: usize) -> bool {
    table.iter().any(|(key, value)| {
        key.span().contains(&offset)
            || value.span().contains(&offset)
            || value.get_ref().as_table().is_some_and(|inner| has(inner, offset))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({ "properties": {
            "a": { "properties": { "level": {}, "allowed_commands": {} } },
            "b": { "anyOf": [{ "properties": { "port": {} } }, { "type": "null" }] },
            "c": { "items": { "properties": { "tool": {}, "arguments": {
                "anyOf": [{ "additionalProperties": { "properties": { "pattern": {} } } }, { "type": "null" }],
            } } } },
        } })
    }

    #[test]
    fn unknown_keys_are_named_with_what_was_meant() {
        for (text, expected) in [
            ("[a]\nlevle = 1", Some(("a.levle", 4, Some("a.level")))),
            ("[a]\nlevel = 1\nallowed_comands = 2", Some(("a.allowed_comands", 14, Some("a.allowed_commands")))),
            ("level = 1", Some(("level", 0, Some("a.level")))),
            ("b.prot = 1", Some(("b.prot", 2, Some("b.port")))),
            ("zzz = 1\n[a]\nx = 1", Some(("zzz", 0, None))),
            ("[a]\nlevel = 1\n[b]\nport = 2", None),
            ("[[c]]\ntool = 1\n[[c]]\ntoll = 1", Some(("c.toll", 21, Some("c.tool")))),
            ("[[c]]\narguments.x = { patern = 1 }", Some(("c.arguments.x.patern", 22, Some("c.arguments.x.pattern")))),
            ("[[c]]\narguments.x = { pattern = 1 }", None),
        ] {
            let found = first_unknown(text, &schema());
            let found = found.as_ref().map(|found| (found.key.as_str(), found.offset, found.nearest.as_deref()));
            assert_eq!(found, expected, "`{text}`");
        }
    }

    #[test]
    fn offsets_lead_to_keys_and_back() {
        let text = "[a]\nlevel = 12\n[a.c]\nd = [1, 2]\n";
        assert_eq!(offset_of(text, "a.level"), Some(4));
        assert_eq!(offset_of(text, "a.c.d"), Some(21));
        assert_eq!(offset_of(text, "a.x"), None);
        assert_eq!(key_at(text, 12).as_deref(), Some("a.level"));
        assert_eq!(key_at(text, 26).as_deref(), Some("a.c.d"));
        assert_eq!(locate(Path::new("f"), text, 21).to_string(), "`f` line 4, column 1");
    }

    #[test]
    fn distances_are_edit_distances() {
        for (a, b, expected) in
            [("", "", 0), ("a", "", 1), ("levle", "level", 2), ("kitten", "sitting", 3), ("same", "same", 0)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
