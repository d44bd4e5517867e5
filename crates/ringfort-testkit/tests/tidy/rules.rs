// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rule ids are documented, and what is documented exists.
//!
//! In: the ids of production code and rule data, and `docs/rules.md`. Out: each id that stands in one of the two only.
//!
//! **Invariant:** an id in a ruling can be looked up; an id in the manual can come up.

use ringfort_testkit::rule_ids::{DOCUMENT, documented, used};
use ringfort_testkit::source::SourceFile;

use crate::{assert_found, assert_none, tree};

fn faults(tree: &[SourceFile]) -> Vec<String> {
    let (used, documented) = (used(tree), documented(tree));
    let missing = used.iter().filter(|(id, _)| !documented.contains(id.as_str()));
    let mut faults: Vec<String> = missing
        .map(|(id, place)| {
            format!("`{id}` of {} is not in {DOCUMENT} (`ringfort-testkit rules` drafts rows)", place.path)
        })
        .collect();
    let stale = documented.iter().filter(|id| !used.contains_key(**id));
    faults.extend(stale.map(|id| format!("`{id}` in {DOCUMENT} is in no source")));
    faults
}

#[test]
fn rule_ids_are_documented_and_exist() {
    assert!(used(tree()).len() > 8, "ids are found at all");
    assert_none(&faults(tree()));
}

#[test]
fn deny_ids_that_stand_in_one_place_only() {
    let planted = [
        SourceFile::new("crates/ringfort-a/src/lib.rs", "f(\"door-001\");\ng(\"door-002\");\n"),
        SourceFile::new("crates/ringfort-a/rules/x.toml", "id = \"secret-001\"\n"),
        SourceFile::new("crates/ringfort-a/tests/it/x.rs", "\"door-004\"\n"),
        SourceFile::new(DOCUMENT, "| id | says |\n|---|---|\n| `door-001` | x |\n| `door-007` | x |\n"),
    ];
    assert_found(&faults(&planted), &["`door-002` of", "`secret-001` of", "`door-007` in docs/rules.md"]);
}
