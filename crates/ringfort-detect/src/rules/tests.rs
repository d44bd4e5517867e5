// SPDX-License-Identifier: MIT OR Apache-2.0
//! Walks the rule files: list against folder, ids, names, patterns, and the samples inside each rule.

use std::collections::BTreeSet;

use crate::engine::Engine;
use crate::redact::{Redactor, redact, scan};

use super::*;

fn files() -> Vec<(&'static str, RuleFile)> {
    VENDORS
        .iter()
        .map(|(vendor, text)| (*vendor, toml::from_str(text).unwrap_or_else(|e| panic!("{vendor}: {e}"))))
        .collect()
}

#[test]
fn the_list_equals_the_folder() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/rules");
    let mut found: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    let listed: Vec<String> = VENDORS.iter().map(|(vendor, _)| format!("{vendor}.toml")).collect();
    assert_eq!(listed, found, "rules.rs lists every file of rules/, in order");
}

#[test]
fn every_rule_is_well_formed() {
    let mut ids = BTreeSet::new();
    for (vendor, file) in files() {
        for rule in file.rule {
            let id = &rule.id;
            assert!(
                id.strip_prefix("secret-").is_some_and(|n| n.len() == 3 && n.parse::<u16>().is_ok()),
                "{vendor}: {id}"
            );
            assert!(ids.insert(id.clone()), "{vendor}: {id} twice");
            assert!(!rule.name.is_empty() && !rule.keywords.is_empty(), "{id}");
            assert!(rule.keywords.iter().all(|word| word.len() >= 3 && !word.contains('\n')), "{id}");
            assert!(!rule.hits.is_empty() && rule.misses.len() >= 2, "{id}: a hit and two misses at least");
            let pattern = Pattern::new(rule.pattern, rule.case);
            assert!(pattern.compile().is_ok(), "{id}: {:?}", pattern.compile().err());
        }
    }
    assert!(ids.len() >= 20);
}

#[test]
fn redact_every_sample_of_every_rule() {
    for rule in files().into_iter().flat_map(|(_, file)| file.rule) {
        for sample in &rule.hits {
            let marked = sample.replace('␟', "");
            let text = marked.replace(['«', '»'], "");
            let start = marked.find('«').unwrap_or_else(|| panic!("{}: no « in `{sample}`", rule.id));
            let end = marked.find('»').unwrap() - '«'.len_utf8();
            let found = scan(text.as_bytes());
            assert!(
                found.iter().any(|f| f.rule == rule.id && (f.span.start, f.span.end) == (start, end)),
                "{}: `{}` in `{text}`, but found {found:?}",
                rule.id,
                &text[start..end]
            );
        }
        for sample in &rule.misses {
            let text = sample.replace('␟', "");
            let found = scan(text.as_bytes());
            assert!(found.iter().all(|f| f.rule != rule.id), "{}: nothing in `{text}`, but {found:?}", rule.id);
        }
    }
}

#[test]
fn redact_every_sample_in_pieces_of_any_size() {
    for sample in files().into_iter().flat_map(|(_, file)| file.rule).flat_map(|rule| rule.hits) {
        // Without a line break behind it, nothing but the hold-back keeps the start of the secret.
        let text = format!("{} ", sample.replace(['␟', '«', '»'], ""));
        let whole = redact(text.as_bytes());
        for size in 1..text.len().min(48) {
            let (mut out, mut redactor) = (Vec::new(), Redactor::new());
            for piece in text.as_bytes().chunks(size) {
                redactor.push(piece, &mut |part| out.extend_from_slice(part.as_bytes()));
            }
            redactor.finish(&mut |part| out.extend_from_slice(part.as_bytes()));
            assert_eq!(String::from_utf8_lossy(&out), whole.to_lossy(), "pieces of {size}");
        }
    }
}

#[test]
fn redact_everything_when_the_rules_cannot_be_read() {
    let engine = Engine::new(&[], "[{\"id\": 1}]");
    assert!(engine.broken());
    let mut stream = crate::stream::Stream::new(&engine);
    let mut clean = Vec::new();
    let view = crate::stream::View { base: 0, bytes: b"anything" };
    stream.advance(view, crate::stream::Until::End, &mut |piece| {
        if let crate::stream::Piece::Clean(bytes) = piece {
            clean.extend_from_slice(bytes);
        }
    });
    assert!(clean.is_empty());
}

#[test]
fn redact_the_word_when_a_pattern_does_not_compile() {
    let pattern = Pattern::new("(".into(), Case::Exact);
    assert_eq!(pattern.find(b"a abc_123 b", 2..2), Some(2..9));
}
