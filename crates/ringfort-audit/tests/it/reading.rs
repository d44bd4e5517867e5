// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was written is what is read.

use std::fs;

use ringfort_audit::Durability;
use ringfort_audit::read::{ReadError, Reader};
use ringfort_core::entry::Entry;

use crate::support::{Place, entry};

fn filled(count: u64) -> Place {
    let place = Place::new();
    let trail = place.open(4000);
    for number in 0..count {
        trail.append(&entry(number), Durability::Written).unwrap();
    }
    place
}

#[test]
fn entries_come_back_as_they_were() {
    let place = filled(60);
    let reader = Reader::open(&place.path).unwrap();
    let records: Vec<_> = reader.records(0).unwrap().map(Result::unwrap).collect();
    let own: Vec<&Entry> = records
        .iter()
        .map(|record| &record.entry)
        .filter(|entry| entry.facts["event"].as_str() != Some("trail.segment"))
        .collect();
    assert_eq!(own.len(), 60);
    for (number, read) in own.into_iter().enumerate() {
        let mut written = entry(number as u64);
        // A fraction is recorded as a string.
        if let Some(ratio) = written.facts.get_mut("ratio") {
            *ratio = "0.25".into();
        }
        assert_eq!(read, &written);
    }
    assert!(records.iter().zip(0..).all(|(record, seq)| record.seq == seq));
    assert!(records.windows(2).all(|pair| pair[1].prev == pair[0].hash && pair[0].time <= pair[1].time));
}

#[test]
fn the_newest_entries_are_the_tail() {
    let place = filled(60);
    let reader = Reader::open(&place.path).unwrap();
    let all: Vec<_> = reader.records(0).unwrap().map(Result::unwrap).collect();
    for count in [0, 1, 2, 9, 10, 40, all.len(), all.len() + 5] {
        let expected = &all[all.len().saturating_sub(count)..];
        assert_eq!(reader.tail(count).unwrap(), expected, "the last {count}");
    }
    for seq in [0, 1, 8, 30, all.len() as u64 - 1] {
        assert_eq!(reader.record(seq).unwrap().unwrap(), all[usize::try_from(seq).unwrap()]);
    }
    assert_eq!(reader.record(all.len() as u64).unwrap(), None);
    assert_eq!(reader.records(50).unwrap().next().unwrap().unwrap().seq, 50);
}

#[test]
fn an_unfinished_line_is_not_there_yet() {
    let place = filled(2);
    let path = place.path.join("000000000000.jsonl");
    let mut content = fs::read(&path).unwrap();
    content.extend_from_slice(b"{\"v\":1,\"seq\":3");
    fs::write(&path, &content).unwrap();
    let reader = Reader::open(&place.path).unwrap();
    assert_eq!(reader.records(0).unwrap().count(), 3);
    assert_eq!(reader.tail(5).unwrap().len(), 3);
}

#[test]
fn deny_to_show_a_line_that_was_edited() {
    for (from, to) in [("\"allow\"", "\"deny\""), ("\"kind\":", "\"kind\": "), ("\"v\":1", "\"v\":2")] {
        let place = filled(4);
        let path = place.path.join("000000000000.jsonl");
        let content = fs::read_to_string(&path).unwrap();
        let place_of_edit = content.rfind(from).unwrap();
        fs::write(&path, format!("{}{}", &content[..place_of_edit], content[place_of_edit..].replacen(from, to, 1)))
            .unwrap();
        let reader = Reader::open(&place.path).unwrap();
        let results: Vec<_> = reader.records(0).unwrap().collect();
        assert!(matches!(results.last(), Some(Err(ReadError::Damaged { .. }))), "{from}");
        assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1, "nothing comes after a damaged line");
        assert!(reader.tail(2).is_err());
    }
    assert!(Reader::open(&Place::new().path).is_err());
}
