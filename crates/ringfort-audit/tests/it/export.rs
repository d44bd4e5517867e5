// SPDX-License-Identifier: MIT OR Apache-2.0
//! An export is a piece of the trail, byte for byte, or it ends with an error.

use std::fs;
use std::io::{self, Write};

use ringfort_audit::Durability;
use ringfort_audit::export::{ExportError, export};
use ringfort_audit::read::Reader;

use crate::support::{Place, entry};

fn filled() -> (Place, Vec<String>) {
    let place = Place::new();
    let trail = place.open(4000);
    for number in 0..40 {
        trail.append(&entry(number), Durability::Written).unwrap();
    }
    let mut names: Vec<_> = fs::read_dir(&place.path).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    names.sort();
    let text: String = names.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    (place, text.split_inclusive('\n').map(str::to_owned).collect())
}

#[test]
fn an_export_is_a_piece_of_the_trail() {
    let (place, lines) = filled();
    let reader = Reader::open(&place.path).unwrap();
    let last = lines.len() - 1;
    for (from, to) in [(0, last), (0, 0), (5, 30), (9, 9), (last, last + 9)] {
        let mut out = Vec::new();
        let done = export(&reader, from as u64..=to as u64, &mut out).unwrap();
        let expected = &lines[from..=to.min(last)];
        assert_eq!(String::from_utf8(out).unwrap(), expected.concat());
        assert_eq!((done.entries, done.last.unwrap().seq), (expected.len() as u64, to.min(last) as u64));
        assert!(expected[0].contains(&format!("\"prev\":\"{}\"", done.prev.unwrap())));
    }
    let nothing = export(&reader, 1000..=2000, &mut Vec::new()).unwrap();
    assert_eq!((nothing.entries, nothing.last), (0, None));
}

#[test]
fn deny_to_export_what_was_edited() {
    let (place, lines) = filled();
    let path = place.path.join("000000000000.jsonl");
    let whole = fs::read_to_string(&path).unwrap();
    for content in [whole.replacen(&lines[3], "", 1), whole.replacen("\"number\":2", "\"number\":5", 1)] {
        fs::write(&path, content).unwrap();
        let mut out = Vec::new();
        let error = export(&Reader::open(&place.path).unwrap(), 0..=20, &mut out).unwrap_err();
        assert!(matches!(error, ExportError::Read { entries: 3, .. }), "{error}");
        assert_eq!(String::from_utf8(out).unwrap(), lines[..3].concat());
    }
}

#[test]
fn a_full_output_is_an_error() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (place, _) = filled();
    let error = export(&Reader::open(&place.path).unwrap(), 0..=20, &mut Full(3000)).unwrap_err();
    assert!(matches!(error, ExportError::Write { entries, .. } if entries > 2), "{error}");
}
