// SPDX-License-Identifier: MIT OR Apache-2.0
//! Strings among the arguments of a call: all of them, and what they look like.
//!
//! **Invariant:** the walk is bounded and leaves no string out: names of members count like values.

use serde_json::Value;

use super::DEPTH_MAX;

/// Calls `visit` for every string, names of members included. `false` where some lie deeper than is followed, and
/// not every one was visited.
pub(crate) fn each<'a>(value: &'a Value, visit: &mut dyn FnMut(&'a str)) -> bool {
    each_at(value, visit, 0)
}

fn each_at<'a>(value: &'a Value, visit: &mut dyn FnMut(&'a str), depth: usize) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    match value {
        Value::String(text) => {
            visit(text);
            true
        }
        Value::Array(items) => items.iter().all(|item| each_at(item, visit, depth + 1)),
        Value::Object(members) => members.iter().all(|(name, value)| {
            visit(name);
            each_at(value, visit, depth + 1)
        }),
        _ => true,
    }
}

/// The URLs that a text names.
pub(super) fn urls(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`' | '(' | ')' | '[' | ']');
    text.split(ends)
        .map(|word| word.trim_end_matches(['.', ',', ';', '!', '?', ':']))
        .filter(|word| word.contains("://"))
}

/// Whether a word may name a place outside: an absolute path, one below a home folder, one that climbs, a URL.
pub(super) fn is_place(word: &str) -> bool {
    if word.len() > ringfort_core::limits::PATH_BYTES_MAX || word.chars().any(char::is_whitespace) {
        return false;
    }
    word.starts_with(['/', '~']) && word.len() > 1
        || word.starts_with("$HOME")
        || word.starts_with("${HOME}")
        || word.split('/').any(|part| part == "..")
        || word.contains("://")
}
