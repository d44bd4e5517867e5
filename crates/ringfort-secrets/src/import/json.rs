// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON: one object, flat or nested; nested names are joined by dots.
//!
//! In: bytes. Out: names and values.
//!
//! **Invariant:** a secret is a text: lists, numbers, booleans and nothing at all are faults with their names. A name that
//! is there twice is a fault, whichever way it is written.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{ImportError, Imported, Names, Reading, shown};

/// Deepest object.
const DEPTH_MAX: usize = 8;
/// Longest joined name. Bytes.
const NAME_BYTES_MAX: usize = 1024;

/// Reads an object of texts; `{"a": {"b": "…"}}` is the name `a.b`.
///
/// # Errors
///
/// [`ImportError`]: nothing was imported; each fault has its name.
pub fn json(text: &[u8], names: &Names) -> Result<Imported, ImportError> {
    let mut reading = Reading::new(names);
    let mut memory = None;
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let walk = Walk { reading: &mut reading, memory: &mut memory, name: String::new(), depth: 0 };
    let read = walk.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if let Some(error) = memory {
        return Err(ImportError::Memory(error));
    }
    if let Err(error) = read {
        // The parser's own words may quote the text.
        let message = format!("it cannot be read from line {}, column {} on", error.line(), error.column());
        return Err(ImportError::Kind { kind: "JSON object of secrets", message });
    }
    reading.finish()
}

/// Walks one value.
struct Walk<'r, 'n> {
    reading: &'r mut Reading<'n>,
    memory: &'r mut Option<crate::locked::LockedError>,
    name: String,
    depth: usize,
}

impl Walk<'_, '_> {
    fn refuse(self, what: &str) {
        let name = shown(&self.name);
        let message = match self.depth {
            0 => format!("it is {what}, not an object"),
            _ => format!("`{name}` is {what}; a secret is a text"),
        };
        self.reading.fault(0, message);
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        if self.depth == 0 {
            self.refuse("a text");
            return Ok(());
        }
        if let Err(error) = self.reading.entry(0, &self.name, text.as_bytes(), None) {
            *self.memory = Some(error);
            return Err(E::custom("no memory"));
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.refuse("a boolean");
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.refuse("a number");
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.refuse("a number");
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.refuse("a number");
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.refuse("null");
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        self.refuse("a list");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.depth >= DEPTH_MAX {
            let name = shown(&self.name);
            self.reading.fault(0, format!("`{name}` lies deeper than {DEPTH_MAX} objects"));
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        let mut seen = std::collections::BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let name = if self.name.is_empty() { key.clone() } else { format!("{}.{key}", self.name) };
            if name.len() > NAME_BYTES_MAX {
                return Err(A::Error::custom("a name is too long"));
            }
            if !seen.insert(key) {
                self.reading.fault(0, format!("`{}` is there twice", shown(&name)));
            }
            let walk = Walk { reading: &mut *self.reading, memory: &mut *self.memory, name, depth: self.depth + 1 };
            map.next_value_seed(walk)?;
        }
        Ok(())
    }
}

/// Reads a JSON text whose shape is known. The parser's own words may quote the text: only the place is told.
pub(super) fn typed<T: serde::de::DeserializeOwned>(text: &[u8], kind: &'static str) -> Result<T, ImportError> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let read = T::deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    read.map_err(|error| {
        let message = format!("it does not fit from line {}, column {} on", error.line(), error.column());
        ImportError::Kind { kind, message }
    })
}
