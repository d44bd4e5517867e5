// SPDX-License-Identifier: MIT OR Apache-2.0
//! The file of a store as text: a header, a line for each entry, a last line.
//!
//! In: lines. Out: their parts, and lines again. `docs/formats/secrets.md` is the norm.
//!
//! **Invariant:** pure functions over bytes. Nothing that is read here is trusted before `check` has found the last
//! line's MAC right; only the header is read before there is a key.

use ringfort_core::clock::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::root::{SlotData, StoreId};
use crate::store::error::Fault;
use crate::store::seal::{self, UID_LEN};
use crate::store::{ENTRIES_MAX, SLOTS_MAX, texts};

/// Name of the format.
pub(crate) const FORMAT: &str = "ringfort-store";
/// Version of the format.
pub(crate) const VERSION: u32 = 1;
/// Longest header. Bytes.
pub(crate) const HEADER_BYTES_MAX: usize = 256 * 1024;
/// Longest that a source may keep in its slot. Bytes of JSON.
pub(crate) const SLOT_BYTES_MAX: usize = 16 * 1024;
/// What stands before the digest of a header.
const SUM: &[u8] = b",\"sum\":\"";
/// Digits of a SHA-256 or an HMAC-SHA-256.
const DIGITS: usize = 64;

/// A slot: what opens the store key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The source's part.
    pub data: SlotData,
    /// When it was made.
    pub made: Timestamp,
    /// The store key, wrapped.
    pub(crate) wrapped: Vec<u8>,
}

/// The header of a store: what can be read without a key, and is proven by none until the store is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The store's id.
    pub store: StoreId,
    /// Counts the writes.
    pub generation: u64,
    /// When the store was made.
    pub created: Timestamp,
    /// How many entries it has.
    pub entries: usize,
    /// What opens it.
    pub slots: Vec<Slot>,
    /// What remembers its newest generation outside; `None`: only the record beside its folder does.
    pub anchor: Option<SlotData>,
    pub(crate) check: [u8; 16],
    /// The seeds of the keys for sealed texts, sealed.
    pub(crate) texts: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderLine {
    format: String,
    version: u32,
    store: String,
    generation: u64,
    created: Timestamp,
    entries: usize,
    check: String,
    texts: String,
    slots: Vec<SlotLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anchor: Option<SlotData>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotLine {
    source: String,
    made: Timestamp,
    data: serde_json::Value,
    key: String,
}

#[derive(Deserialize)]
struct AnyVersion {
    format: String,
    version: u32,
}

impl Header {
    /// The header as a line, without its end.
    pub(crate) fn line(&self) -> Vec<u8> {
        let slot = |slot: &Slot| SlotLine {
            source: slot.data.source.clone(),
            made: slot.made,
            data: slot.data.data.clone(),
            key: seal::encode(&slot.wrapped),
        };
        let line = HeaderLine {
            format: FORMAT.to_owned(),
            version: VERSION,
            store: self.store.to_string(),
            generation: self.generation,
            created: self.created,
            entries: self.entries,
            check: seal::hex(&self.check),
            texts: seal::encode(&self.texts),
            slots: self.slots.iter().map(slot).collect(),
            anchor: self.anchor.clone(),
        };
        with_sum(serde_json::to_vec(&line).unwrap_or_default())
    }

    /// Reads the header's line, without its end.
    pub(crate) fn parse(line: &[u8]) -> Result<Self, Fault> {
        if line.len() > HEADER_BYTES_MAX {
            return Err(Fault::Header);
        }
        let Some(whole) = without_sum(line) else {
            let is_like =
                line.starts_with(b"{\"format\":\"ringfort-") || line.windows(SUM.len()).any(|part| part == SUM);
            return Err(if is_like { Fault::Header } else { Fault::NotAStore });
        };
        // What a newer format looks like is not known, apart from these two members and the sum.
        let any: AnyVersion = serde_json::from_slice(line).map_err(|_| Fault::NotAStore)?;
        if any.format != FORMAT {
            return Err(Fault::NotAStore);
        }
        if any.version > VERSION {
            return Err(Fault::NewerFormat { found: any.version, known: VERSION });
        }
        let line: HeaderLine = serde_json::from_slice(&whole).map_err(|_| Fault::Header)?;
        let header = Self::from_line(line).ok_or(Fault::Header)?;
        if header.entries > ENTRIES_MAX || header.slots.len() > SLOTS_MAX || header.slots.is_empty() {
            return Err(Fault::Header);
        }
        Ok(header)
    }

    fn from_line(line: HeaderLine) -> Option<Self> {
        let slot = |slot: SlotLine| {
            let data = SlotData { source: slot.source, data: slot.data };
            Some(Slot { data, made: slot.made, wrapped: seal::decode(&slot.key)? })
        };
        (line.version == VERSION).then_some(())?;
        Some(Self {
            store: StoreId(seal::unhex(&line.store)?),
            generation: line.generation,
            created: line.created,
            entries: line.entries,
            check: seal::unhex(&line.check)?,
            texts: seal::decode(&line.texts).filter(|sealed| texts::is_length(sealed.len()))?,
            slots: line.slots.into_iter().map(slot).collect::<Option<_>>()?,
            anchor: line.anchor,
        })
    }
}

/// Puts the digest of an object before its closing brace, so that damage is told from a wrong key.
fn with_sum(mut object: Vec<u8>) -> Vec<u8> {
    let sum = {
        object.pop();
        Sha256::digest(&object)
    };
    object.extend_from_slice(SUM);
    object.extend_from_slice(seal::hex(&sum).as_bytes());
    object.extend_from_slice(b"\"}");
    object
}

/// The object without its digest, if that is right.
fn without_sum(line: &[u8]) -> Option<Vec<u8>> {
    const AROUND: usize = SUM.len() + DIGITS + b"\"}".len();
    let (body, rest) = line.split_at_checked(line.len().checked_sub(AROUND)?)?;
    let digits = rest.strip_prefix(SUM)?.strip_suffix(b"\"}")?;
    (seal::hex(&Sha256::digest(body)).as_bytes() == digits).then(|| [body, b"}"].concat())
}

/// The last line: what proves the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// MAC of the header's line.
    pub(crate) head: [u8; 32],
    /// MAC of every line before this one.
    pub(crate) mac: [u8; 32],
    /// MAC of the two others, so that damage to them is told from damage to what they prove.
    pub(crate) tag: [u8; 32],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndLine {
    head: String,
    mac: String,
    tag: String,
}

impl End {
    pub(crate) fn line(&self) -> Vec<u8> {
        let line = EndLine { head: seal::hex(&self.head), mac: seal::hex(&self.mac), tag: seal::hex(&self.tag) };
        serde_json::to_vec(&line).unwrap_or_default()
    }

    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let line_text: EndLine = serde_json::from_slice(line).ok()?;
        let end = Self {
            head: seal::unhex(&line_text.head)?,
            mac: seal::unhex(&line_text.mac)?,
            tag: seal::unhex(&line_text.tag)?,
        };
        // One way to write it: nothing in the file is outside of a MAC.
        (end.line() == line).then_some(end)
    }
}

/// The line of an entry, its texts still sealed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntryLine<'a> {
    store: &'a str,
    uid: &'a str,
    pub(crate) version: u64,
    #[serde(borrow)]
    pub(crate) values: Vec<ValueLine<'a>>,
    pub(crate) meta: &'a str,
}

/// A sealed value in the line of an entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ValueLine<'a> {
    pub(crate) version: u64,
    /// The wrapped data key.
    pub(crate) key: &'a str,
    /// The sealed value.
    pub(crate) data: &'a str,
}

impl<'a> EntryLine<'a> {
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    pub(crate) fn store(&self) -> Option<StoreId> {
        seal::unhex(self.store).map(StoreId)
    }

    pub(crate) fn uid(&self) -> Option<[u8; UID_LEN]> {
        seal::unhex(self.uid)
    }

    /// The line up to its sealed meta: what that is bound to.
    pub(crate) fn bound(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        line.strip_suffix(b"\"}")?.strip_suffix(self.meta.as_bytes())?.strip_suffix(b",\"meta\":\"")
    }
}

/// The line of an entry up to its sealed meta.
pub(crate) fn entry_start(store: StoreId, uid: [u8; UID_LEN], version: u64, values: &[ValueLine<'_>]) -> Vec<u8> {
    let values = serde_json::to_string(values).unwrap_or_default();
    let uid = seal::hex(&uid);
    format!("{{\"store\":\"{store}\",\"uid\":\"{uid}\",\"version\":{version},\"values\":{values}").into_bytes()
}

/// Closes the line of an entry with its sealed meta.
pub(crate) fn entry_end(mut start: Vec<u8>, meta: &[u8]) -> Vec<u8> {
    start.extend_from_slice(b",\"meta\":\"");
    start.extend_from_slice(seal::encode(meta).as_bytes());
    start.extend_from_slice(b"\"}");
    start
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slot() -> impl Strategy<Value = Slot> {
        let value = prop_oneof![
            any::<u64>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            "\\PC{0,20}".prop_map(serde_json::Value::from),
            any::<bool>().prop_map(serde_json::Value::from),
            Just(serde_json::Value::Null),
        ];
        let data = proptest::collection::btree_map("[a-z\"\n]{0,6}", value, 0..5);
        let data = data.prop_map(|map| serde_json::Value::Object(map.into_iter().collect()));
        ("[a-z-]{1,12}", data, any::<u64>(), proptest::collection::vec(any::<u8>(), 0..80)).prop_map(
            |(source, data, made, wrapped)| Slot { data: SlotData { source, data }, made: Timestamp(made), wrapped },
        )
    }

    fn header() -> impl Strategy<Value = Header> {
        let slots = proptest::collection::vec(slot(), 1..=SLOTS_MAX);
        let texts = (1..=texts::SEEDS_MAX).prop_map(|seeds| vec![7; texts::sealed_length(seeds)]);
        let numbers = (any::<u64>(), any::<u64>(), 0..=ENTRIES_MAX);
        let anchor = proptest::option::of(slot().prop_map(|slot| slot.data));
        (any::<[u8; 16]>(), numbers, slots, any::<[u8; 16]>(), texts, anchor).prop_map(
            |(store, (generation, created, entries), slots, check, texts, anchor)| Header {
                store: StoreId(store),
                generation,
                created: Timestamp(created),
                entries,
                slots,
                anchor,
                check,
                texts,
            },
        )
    }

    proptest! {
        #[test]
        fn a_header_reads_as_it_was_written(header in header()) {
            let line = header.line();
            prop_assert!(!line.contains(&b'\n'));
            prop_assert_eq!(Header::parse(&line).unwrap(), header);
        }

        #[test]
        fn deny_headers_with_a_byte_changed(header in header(), place in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let mut line = header.line();
            let place = place.index(line.len());
            line[place] ^= 1_u8 << bit;
            prop_assert!(Header::parse(&line).is_err());
        }

        #[test]
        fn deny_last_lines_of_any_other_shape(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(End::parse(&bytes).is_none() && Header::parse(&bytes).is_err());
            prop_assert!(EntryLine::parse(&bytes).is_none());
        }
    }

    #[test]
    fn deny_a_second_way_to_write_a_line() {
        let end = End { head: [1; 32], mac: [2; 32], tag: [3; 32] };
        let line = String::from_utf8(end.line()).unwrap();
        assert_eq!(End::parse(line.as_bytes()), Some(end));
        let mac = "\"mac\":";
        for other in [
            format!(" {line}"),
            format!("{line} "),
            line.replace(mac, "\"mac\": "),
            line.replace(mac, "\"m\\u0061c\":"),
            line.replace("01", "0A"),
            line.replace(mac, "\"more\":1,\"mac\":"),
        ] {
            assert_eq!(End::parse(other.as_bytes()), None, "{other}");
        }
    }
}
