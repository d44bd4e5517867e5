// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the secrets of a configuration stand: in a text, by the schema; in a loaded configuration, by its types.
//!
//! In: a text, or a [`Config`]. Out: the dotted key of each secret, its form, and its place in the text.
//!
//! **Invariant:** both lists hold every field of the type `SecretText` and nothing else (tested against the schema);
//! a place covers exactly the value as it is written, so that a value can be replaced and nothing else changes.

use std::ops::Range;
use std::path::Path;

use ringfort_core::form::{Form, UnknownForm};
use ringfort_core::secret::Secret;
use ringfort_core::text::escape_bytes;
use serde_json::Value;
use toml::de::{DeTable, DeValue};

use crate::config::{Config, SCHEMA_FORMAT, SecretText};
use crate::document;
use crate::load::LoadError;
use crate::schema;

/// Most secrets that one text may hold.
pub const PLACES_MAX: usize = 1024;

/// One secret of a text.
#[derive(Debug)]
pub struct SecretPlace {
    /// Its dotted key; a sealed value is bound to it.
    pub key: String,
    /// The value as it is written, quotes included: byte offsets.
    pub span: Range<usize>,
    /// Its line, from 1.
    pub line: usize,
    /// Its form, or why it has none that is known.
    pub form: Result<Form, UnknownForm>,
    /// The value itself.
    pub text: Secret<String>,
}

/// Every secret of a system, user or `--policy` file, in the order of the text. The text need not load: what only a
/// migration reads is found too.
///
/// # Errors
///
/// [`LoadError`]: the text is no TOML, or a secret is no text, or there are more than [`PLACES_MAX`].
pub fn find(path: &Path, text: &str) -> Result<Vec<SecretPlace>, LoadError> {
    let root = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let message = escape_bytes(error.message().trim().replace('\n', "; ").as_bytes());
        LoadError::Syntax { at: document::locate(path, text, offset), message }
    })?;
    let mut search = Search { path, text, found: Vec::new(), segments: Vec::new() };
    search.table(root.get_ref(), &schema::config())?;
    search.found.sort_by_key(|place| place.span.start);
    Ok(search.found)
}

struct Search<'t> {
    path: &'t Path,
    text: &'t str,
    found: Vec<SecretPlace>,
    segments: Vec<String>,
}

impl Search<'_> {
    fn table(&mut self, table: &DeTable<'_>, schema: &Value) -> Result<(), LoadError> {
        for (name, value) in table {
            let Some(inner) = document::member(schema, name.get_ref()) else { continue };
            self.segments.push(segment(name.get_ref()));
            if is_secret(inner) {
                self.secret(value.get_ref(), value.span())?;
            } else if let Some(table) = value.get_ref().as_table() {
                self.table(table, inner)?;
            }
            self.segments.pop();
        }
        Ok(())
    }

    fn secret(&mut self, value: &DeValue<'_>, span: Range<usize>) -> Result<(), LoadError> {
        let key = self.segments.join(".");
        let at = document::locate(self.path, self.text, span.start);
        let fault = |message: &str| LoadError::Value { at: at.clone(), key: key.clone(), message: message.to_owned() };
        let Some(text) = value.as_str() else { return Err(fault("a secret is a text")) };
        if self.found.len() >= PLACES_MAX {
            return Err(fault("there are too many secrets in one file"));
        }
        let (form, text) = (Form::of(text), Secret::new(text.to_owned()));
        self.found.push(SecretPlace { line: at.line, key, span, form, text });
        Ok(())
    }
}

/// A part of a dotted key, quoted where it would not be one: two places never have the same key.
fn segment(name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if !name.is_empty() && name.bytes().all(bare) { name.to_owned() } else { format!("\"{}\"", name.escape_debug()) }
}

fn is_secret(schema: &Value) -> bool {
    let direct = schema.get("format").and_then(Value::as_str) == Some(SCHEMA_FORMAT);
    direct || schema.get("anyOf").and_then(Value::as_array).is_some_and(|any| any.iter().any(is_secret))
}

impl Config {
    /// Every secret that is set, with its dotted key.
    pub fn secret_texts(&self) -> Vec<(&'static str, &SecretText)> {
        let channels = &self.channels_config;
        let webhook = channels.webhook.as_ref().and_then(|webhook| webhook.secret.as_ref());
        let whatsapp = channels.whatsapp.as_ref().and_then(|whatsapp| whatsapp.app_secret.as_ref());
        let all = [("channels_config.webhook.secret", webhook), ("channels_config.whatsapp.app_secret", whatsapp)];
        all.into_iter().filter_map(|(key, text)| text.map(|text| (key, text))).collect()
    }

    /// The dotted keys of the secrets that stand in the configuration in clear.
    pub fn secrets_in_clear(&self) -> Vec<&'static str> {
        let clear = |text: &SecretText| text.form() == Form::Plain && !text.is_empty();
        self.secret_texts().into_iter().filter(|(_, text)| clear(text)).map(|(key, _)| key).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PATH: &str = "ringfort.toml";

    /// The dotted keys of every secret that the schema knows, and whether it stands in a list or a map.
    fn by_schema(schema: &Value, prefix: &str, keys: &mut BTreeSet<String>) {
        if is_secret(schema) {
            keys.insert(prefix.to_owned());
        }
        let any = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
        any.for_each(|schema| by_schema(schema, prefix, keys));
        for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            by_schema(inner, &if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") }, keys);
        }
        for (inner, mark) in [("items", "[]"), ("additionalProperties", "{}")] {
            if let Some(inner) = schema.get(inner).filter(|inner| inner.is_object()) {
                by_schema(inner, &format!("{prefix}{mark}"), keys);
            }
        }
    }

    #[test]
    fn every_secret_of_the_schema_is_found_in_texts_and_in_configurations() {
        let mut keys = BTreeSet::new();
        by_schema(&schema::config(), "", &mut keys);
        // A secret in a list or map would need a key that stays the same when its neighbours change.
        assert!(keys.len() >= 2 && keys.iter().all(|key| !key.contains(['[', '{'])), "{keys:?}");
        let text: String = keys.iter().map(|key| format!("{key} = \"x\"\n")).collect();
        let found: BTreeSet<String> = find(PATH.as_ref(), &text).unwrap().into_iter().map(|place| place.key).collect();
        assert_eq!(found, keys);
        let config = crate::load::validate(PATH.as_ref(), &text).unwrap();
        let typed: BTreeSet<String> = config.secret_texts().into_iter().map(|(key, _)| key.to_owned()).collect();
        assert_eq!(typed, keys);
        assert_eq!(config.secrets_in_clear().len(), keys.len());
        assert!(find(PATH.as_ref(), "").unwrap().is_empty());
    }

    #[test]
    fn a_place_covers_the_value_as_it_is_written() {
        for (written, value) in [
            ("\"x\\ty\"", "x\ty"),
            ("'x\"y'", "x\"y"),
            ("\"\"\"\nx\ny\"\"\"", "x\ny"),
            ("'''x'y'''", "x'y"),
            ("\"\"", ""),
            ("\"enc2:00\"", "enc2:00"),
        ] {
            for (before, after) in [
                ("# ä \"x\"\n[channels_config.webhook]\nsecret   =\t", "  # kept\n"),
                ("channels_config = { webhook = { secret = ", " } }"),
                ("[channels_config]\nwebhook.\"secret\"=", "\n[egress]\n"),
            ] {
                let text = format!("{before}{written}{after}");
                let found = find(PATH.as_ref(), &text).unwrap();
                let [place] = &found[..] else { panic!("{found:?}") };
                assert_eq!(&text[place.span.clone()], written, "{text}");
                assert_eq!(place.text.expose(), value);
                assert_eq!(place.key, "channels_config.webhook.secret");
                assert_eq!(place.line, before.lines().count() + usize::from(before.ends_with('\n')));
            }
        }
    }

    #[test]
    fn deny_texts_that_are_none_and_secrets_that_are_no_texts() {
        for text in ["secret = ", "[channels_config.webhook]\nsecret = 7", "[channels_config.webhook.secret]\na = 1"] {
            assert!(find(PATH.as_ref(), text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_that_are_no_bare_keys_are_quoted() {
        for (name, expected) in [("a-b_1", "a-b_1"), ("a.b", "\"a.b\""), ("", "\"\""), ("a\"", "\"a\\\"\"")] {
            assert_eq!(segment(name), expected);
        }
    }
}
