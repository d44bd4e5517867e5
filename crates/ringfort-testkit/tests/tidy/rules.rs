// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rule ids are documented, and what is documented exists.
//!
//! In: every literal `"area-nnn"` in production code and in rule data, and `docs/rules.md`. Out: each id that stands
//! in one of the two only.
//!
//! **Invariant:** an id in a ruling can be looked up; an id in the manual can come up.

use std::collections::{BTreeMap, BTreeSet};

use ringfort_testkit::source::SourceFile;
use ringfort_testkit::suite::is_rule_id;

use crate::{assert_found, assert_none, tree};

/// Where ids are documented, the first cell of a row each.
const DOCUMENT: &str = "docs/rules.md";
/// Words that look like an area and are none: names of algorithms and encodings.
const NO_AREAS: [&str; 9] = ["sha", "aes", "rsa", "hmac-sha", "blake", "ripemd", "secp", "cp", "chacha"];
/// Crates whose ids are for tests.
const NO_CRATES: [&str; 1] = ["ringfort-testkit"];

fn faults(tree: &[SourceFile]) -> Vec<String> {
    let mut used = BTreeMap::new();
    for file in tree.iter().filter(|file| file.crate_name().is_some_and(|name| !NO_CRATES.contains(&name))) {
        if file.is_rust() || (file.path.ends_with(".toml") && !file.is_test()) {
            for id in ids(file.production()) {
                used.entry(id).or_insert(file.path.as_str());
            }
        }
    }
    let documented: BTreeSet<&str> = tree.iter().filter(|f| f.path == DOCUMENT).flat_map(|f| rows(&f.text)).collect();
    let missing = used.iter().filter(|(id, _)| !documented.contains(*id));
    let mut faults: Vec<String> = missing.map(|(id, path)| format!("`{id}` of {path} is not in {DOCUMENT}")).collect();
    let stale = documented.iter().filter(|id| !used.contains_key(*id));
    faults.extend(stale.map(|id| format!("`{id}` in {DOCUMENT} is in no source")));
    faults
}

/// The ids among the quoted words of a text; comments are left out.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split('"'))
        .filter(|word| is_rule_id(word) && word.rsplit_once('-').is_some_and(|(area, _)| !NO_AREAS.contains(&area)))
}

fn rows(document: &str) -> impl Iterator<Item = &str> {
    document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).filter(|id| is_rule_id(id))
}

#[test]
fn rule_ids_are_documented_and_exist() {
    assert_none(&faults(tree()));
}

#[test]
fn deny_ids_that_stand_in_one_place_only() {
    let planted = [
        SourceFile::new(
            "crates/ringfort-a/src/lib.rs",
            "f(\"door-001\", \"sha-256\");\n// \"door-009\"\n(\"door-002\", 1)\n#[cfg(test)]\nmod tests {\n\"door-003\"\n}\n",
        ),
        SourceFile::new("crates/ringfort-a/rules/x.toml", "id = \"secret-001\"\n"),
        SourceFile::new("crates/ringfort-a/tests/it/x.rs", "\"door-004\"\n"),
        SourceFile::new(DOCUMENT, "| id | says |\n|---|---|\n| `door-001` | x |\n| `door-007` | x |\n"),
    ];
    assert_found(&faults(&planted), &["`door-002` of", "`secret-001` of", "`door-007` in docs/rules.md"]);
}
