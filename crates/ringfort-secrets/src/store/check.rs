// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks a store's file, and names what is wrong with it.
//!
//! In: the file's bytes and the keys. Out: the content, or a [`Fault`].
//!
//! **Invariant:** the MAC over the whole file is checked before anything else that needs a key. Only when it is wrong is
//! the file looked through for the reason, and whatever is found then, the answer is a fault.

use std::collections::BTreeSet;

use crate::store::error::Fault;
use crate::store::format::{End, EntryLine, Header, ValueLine, entry_end, entry_start};
use crate::store::seal::{self, Keys, UID_LEN, Use};
use crate::store::state::{Entry, Lines, State};

/// Most lines that are tried to find out where a part of an entry comes from.
const TRIES_MAX: usize = 100_000;

/// The header of a file, before there is a key.
pub(crate) fn header(bytes: &[u8]) -> Result<Header, Fault> {
    let head = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match Header::parse(head) {
        // Without an end of line the header itself was cut.
        Err(Fault::Header | Fault::NotAStore) if head.len() == bytes.len() && is_start(head) => Err(Fault::Truncated),
        read => read,
    }
}

/// Whether a header could go on like this.
fn is_start(head: &[u8]) -> bool {
    let start = b"{\"format\":\"ringfort-store\"";
    head.len() < start.len() && start.starts_with(head) || head.starts_with(start)
}

/// The content of a file. `keys` are known to be this store's.
pub(crate) fn content(bytes: &[u8], keys: &Keys) -> Result<State, Fault> {
    let header = header(bytes)?;
    let lines = Lines::split(bytes)?;
    let Some(end) = End::parse(lines.end) else { return Err(no_end(&lines)) };
    if !keys.is_mac(Use::Mac, &[b"end", &end.head, &end.mac], &end.tag) {
        return Err(Fault::End);
    }
    if !keys.is_mac(Use::Mac, &[b"file", lines.before_end], &end.mac) {
        return Err(diagnose(&header, &lines, keys, &end));
    }
    State::read(header, &lines, end, keys)
}

/// Whether a file is, byte for byte, the one that `state` was read from or written to.
pub(crate) fn is_same(bytes: &[u8], state: &State, keys: &Keys) -> bool {
    let Ok(lines) = Lines::split(bytes) else { return false };
    let is_end = End::parse(lines.end).is_some_and(|end| end == state.end);
    is_end && keys.is_mac(Use::Mac, &[b"file", lines.before_end], &state.end.mac)
}

/// What is wrong where the last line is none: it is missing when what stands there is the line of an entry.
fn no_end(lines: &Lines<'_>) -> Fault {
    if lines.end.is_empty() || EntryLine::parse(lines.end).is_some() { Fault::Truncated } else { Fault::End }
}

/// What is wrong with a file whose MAC is.
fn diagnose(header: &Header, lines: &Lines<'_>, keys: &Keys, end: &End) -> Fault {
    if !keys.is_mac(Use::Mac, &[b"head", lines.head], &end.head) {
        return Fault::HeaderExchanged;
    }
    let mut seen: BTreeSet<[u8; UID_LEN]> = BTreeSet::new();
    let (mut swapped, mut count) = (None, 0);
    for (index, line) in lines.each_entry().enumerate() {
        let number = index + 1;
        if let Some(store) = Entry::foreign(line, keys) {
            return Fault::EntryOfOther { number, store };
        }
        let Ok(entry) = Entry::read(line, keys) else { return not_its_own(lines, line, number, keys) };
        if seen.last().is_some_and(|last| *last >= entry.uid) && swapped.is_none() {
            swapped = Some(number);
        }
        seen.insert(entry.uid);
        count = number;
    }
    if let Some(number) = swapped {
        return Fault::Swapped { number };
    }
    if count != header.entries {
        return Fault::Count { found: count, expected: header.entries };
    }
    // An entry that another store made with this id would not have opened.
    Fault::EntryExchanged
}

/// Tells an entry that has parts of another one from one that is damaged: with its own part back it opens.
fn not_its_own(lines: &Lines<'_>, line: &[u8], number: usize, keys: &Keys) -> Fault {
    let damaged = Fault::Entry { number };
    let Some(ours) = EntryLine::parse(line) else { return damaged };
    let others = lines.each_entry().enumerate().filter(|(index, _)| index + 1 != number);
    let mut parts = others.filter_map(|(_, line)| EntryLine::parse(line)).flat_map(|other| with_parts(&ours, &other));
    let copied = lines.each_entry().enumerate().filter(|(index, _)| index + 1 != number).any(|(_, line)| {
        let shares =
            |other: &ValueLine<'_>| ours.values.iter().any(|ours| ours.data == other.data || ours.key == other.key);
        EntryLine::parse(line).is_some_and(|other| ours.meta == other.meta || other.values.iter().any(shares))
    });
    if copied || parts.by_ref().take(TRIES_MAX).any(|line| Entry::read(&line, keys).is_ok()) {
        return Fault::ValueSwapped { number };
    }
    damaged
}

/// Lines with parts of `other` in the place of their own.
fn with_parts(ours: &EntryLine<'_>, other: &EntryLine<'_>) -> Vec<Vec<u8>> {
    let (Some(store), Some(uid)) = (ours.store(), ours.uid()) else { return Vec::new() };
    let line = |values: &[ValueLine<'_>], meta: &str| {
        let start = entry_start(store, uid, ours.version, values);
        entry_end(start, &seal::decode(meta).unwrap_or_default())
    };
    let mut lines = vec![line(&ours.values, other.meta)];
    for index in 0..ours.values.len() {
        for theirs in &other.values {
            for (key, data) in [(true, false), (false, true), (true, true)] {
                let mut values = ours.values.clone();
                let Some(value) = values.get_mut(index) else { continue };
                if key {
                    value.key = theirs.key;
                }
                if data {
                    value.data = theirs.data;
                }
                lines.push(line(&values, ours.meta));
            }
        }
    }
    lines
}
