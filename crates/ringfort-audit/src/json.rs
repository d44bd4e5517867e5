// SPDX-License-Identifier: MIT OR Apache-2.0
//! Canonical JSON: one text for each value, the same in every language and in every build of this one.
//!
//! In: strings and [`serde_json::Value`]s. Out: printable ASCII without white space.
//!
//! **Invariant:** the members of an object are sorted by code point here, not by the map of `serde_json` (whose order
//! is a feature flag that any crate may set); a fraction is written as a string, because languages print it differently.

use std::io::Write as _;

use serde_json::Value;

/// Deepest nesting of a fact.
pub(crate) const DEPTH_MAX: usize = 32;

/// The value is nested deeper than [`DEPTH_MAX`].
#[derive(Debug)]
pub(crate) struct TooDeep;

/// Whether `byte` stands for itself in a canonical string.
pub(crate) const fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'
}

/// Writes `text` with its quotes.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text;
    loop {
        let plain = rest.bytes().position(|byte| !is_plain(byte)).unwrap_or(rest.len());
        // The first byte that is not plain starts a character, so this is a boundary.
        let (head, tail) = rest.split_at_checked(plain).unwrap_or((rest, ""));
        out.extend_from_slice(head.as_bytes());
        let mut chars = tail.chars();
        let Some(c) = chars.next() else { break };
        write_escape(out, c);
        rest = chars.as_str();
    }
    out.push(b'"');
}

fn write_escape(out: &mut Vec<u8>, c: char) {
    let short: &[u8] = match c {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\u{8}' => b"\\b",
        '\u{c}' => b"\\f",
        '\n' => b"\\n",
        '\r' => b"\\r",
        '\t' => b"\\t",
        _ => b"",
    };
    out.extend_from_slice(short);
    if short.is_empty() {
        for unit in c.encode_utf16(&mut [0; 2]) {
            write_number(out, format_args!("\\u{unit:04x}"));
        }
    }
}

/// Writes `value`; fails, with `out` half written, when it is nested too deep.
pub(crate) fn write_value(out: &mut Vec<u8>, value: &Value, depth: usize) -> Result<(), TooDeep> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::String(text) => write_string(out, text),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => write_number(out, format_args!("{number}")),
            (None, Some(number)) => write_number(out, format_args!("{number}")),
            (None, None) => match number.as_f64() {
                Some(fraction) => write_string(out, &format!("{fraction:?}")),
                None => write_string(out, &number.to_string()),
            },
        },
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                separate(out, index);
                write_value(out, item, deeper(depth)?)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut members: Vec<(&str, &Value)> = members.iter().map(|(name, value)| (name.as_str(), value)).collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            write_members(out, &members, deeper(depth)?)?;
        }
    }
    Ok(())
}

/// Writes an object whose members are sorted already.
pub(crate) fn write_members(out: &mut Vec<u8>, sorted: &[(&str, &Value)], depth: usize) -> Result<(), TooDeep> {
    out.push(b'{');
    for (index, (name, value)) in sorted.iter().enumerate() {
        separate(out, index);
        write_string(out, name);
        out.push(b':');
        write_value(out, value, depth)?;
    }
    out.push(b'}');
    Ok(())
}

fn deeper(depth: usize) -> Result<usize, TooDeep> {
    if depth >= DEPTH_MAX { Err(TooDeep) } else { Ok(depth + 1) }
}

fn separate(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.push(b',');
    }
}

/// Writes formatted digits.
pub(crate) fn write_number(out: &mut Vec<u8>, digits: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail; if it did, the line would not scan and would not be written.
    if out.write_fmt(digits).is_err() {
        out.push(b'?');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: &Value, expected: &str) {
        let mut out = Vec::new();
        write_value(&mut out, value, 0).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn one_text_for_each_value() {
        check(&json!({"b": 1, "a": [null, true, false]}), r#"{"a":[null,true,false],"b":1}"#);
        check(&json!({"z": 1, "\u{e4}": 2, "\u{1f600}": 3}), r#"{"z":1,"\u00e4":2,"\ud83d\ude00":3}"#);
        check(&json!([u64::MAX, i64::MIN, 0, -1]), "[18446744073709551615,-9223372036854775808,0,-1]");
        check(&json!([0.5, 1e300, -0.0]), r#"["0.5","1e300","-0.0"]"#);
        check(&json!("a\n\"\\\u{0}\u{7f}\u{202e}\t"), r#""a\n\"\\\u0000\u007f\u202e\t""#);
        check(&json!({"a": {}, "b": []}), r#"{"a":{},"b":[]}"#);
    }

    #[test]
    fn deny_endless_nesting() {
        let nest = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        assert!(write_value(&mut Vec::new(), &nest(DEPTH_MAX), 0).is_ok());
        assert!(write_value(&mut Vec::new(), &nest(DEPTH_MAX + 1), 0).is_err());
    }
}
