// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks a store's file, and names what is wrong with it.
//!
//! In: the file's bytes and the keys. Out: the content, or a [`Fault`].
//!
//! **Invariant:** the MAC over the whole file is checked before anything else that needs a key. Only when it is wrong is
//! the file looked through for the reason, and whatever is found then, the answer is a fault.

use std::collections::BTreeSet;

use crate::store::error::Fault;
use crate::store::format::{End, EntryLine, Header};
use crate::store::seal::{Keys, UID_LEN, Use};
use crate::store::state::{Entry, Lines, State};

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
    let Some(end) = End::parse(lines.end) else { return Err(last_line(&lines)) };
    if !keys.is_mac(Use::Mac, &[b"file", lines.before_end], &end.mac) {
        return Err(diagnose(&header, &lines, &end, keys));
    }
    State::read(header, &lines, end, keys)
}

/// What is wrong where the last line is none.
fn last_line(lines: &Lines<'_>) -> Fault {
    let is_end = End::is_like(lines.end) || !lines.end.starts_with(b"{\"store\"") && !lines.end.is_empty();
    if is_end { Fault::End } else { Fault::Truncated }
}

/// What is wrong with a file whose MAC is.
fn diagnose(header: &Header, lines: &Lines<'_>, end: &End, keys: &Keys) -> Fault {
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

/// Tells an entry that has parts of another one from one that is damaged.
fn not_its_own(lines: &Lines<'_>, line: &[u8], number: usize, keys: &Keys) -> Fault {
    let damaged = Fault::Entry { number };
    let Some(ours) = EntryLine::parse(line) else { return damaged };
    let borrowed = lines.each_entry().enumerate().filter(|(index, _)| index + 1 != number).any(|(_, other)| {
        // Only lines that open are worth the comparison: what one of two exchanged lines lacks, the other has.
        EntryLine::parse(other).is_some_and(|other| {
            let same_meta = ours.meta == other.meta;
            let same_value = ours.values.iter().any(|ours| other.values.iter().any(|other| ours.data == other.data));
            same_meta || same_value
        }) || crossed(&ours, other, keys)
    });
    if borrowed { Fault::ValueSwapped { number } } else { damaged }
}

/// Whether the sealed values of two lines fit once they are exchanged.
fn crossed(ours: &EntryLine<'_>, other: &[u8], keys: &Keys) -> bool {
    let Some(other) = EntryLine::parse(other) else { return false };
    let (Some(store), Some(uid)) = (ours.store(), ours.uid()) else { return false };
    let start = crate::store::format::entry_start(store, uid, ours.version, &other.values);
    let line = crate::store::format::entry_end(start, &crate::store::seal::decode(ours.meta).unwrap_or_default());
    Entry::read(&line, keys).is_ok_and(|entry| entry.values_fit(keys))
}
