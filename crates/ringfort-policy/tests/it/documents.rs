// SPDX-License-Identifier: MIT OR Apache-2.0
//! The documents that are made from code are current.

use std::fs;
use std::path::{Path, PathBuf};

use ringfort_policy::command::hazard;
use ringfort_policy::rule::table;
use ringfort_policy::schema;

fn document(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

#[test]
fn the_schemas_are_current() {
    for (name, argument, schema) in [
        ("formats/ringfort.schema.json", "schema", schema::config()),
        ("formats/ringfort-project.schema.json", "schema --project", schema::restriction()),
    ] {
        let renew = format!("cargo run -p ringfort -- policy {argument} > docs/{name}");
        let text = fs::read_to_string(document(name)).unwrap_or_default();
        assert!(text == format!("{schema:#}\n"), "`{name}` is not current; renew it with `{renew}`");
    }
}

#[test]
fn every_rule_is_documented_and_every_documented_rule_exists() {
    let text = fs::read_to_string(document("rules.md")).unwrap_or_default();
    let mut rules: Vec<(&str, &str)> = table::RULES.iter().map(|rule| (rule.id, rule.meaning)).collect();
    rules.extend(hazard::RULES.iter().map(|rule| (rule.id, rule.meaning)));
    rules.sort_unstable();
    let expected: Vec<String> = rules.iter().map(|(id, meaning)| format!("| `{id}` | {meaning} |")).collect();
    let areas = ["command-", "egress-", "path-", "policy-", "prompt-", "release-", "seam-", "tool-"];
    let own =
        |line: &&str| areas.iter().any(|area| line.strip_prefix("| `").is_some_and(|rest| rest.starts_with(area)));
    let documented: Vec<&str> = text.lines().filter(own).collect();
    let missing: Vec<&String> = expected.iter().filter(|line| !documented.contains(&line.as_str())).collect();
    assert!(
        missing.is_empty(),
        "docs/rules.md lacks:\n{}",
        missing.into_iter().cloned().collect::<Vec<_>>().join("\n")
    );
    let extra: Vec<&&str> = documented.iter().filter(|line| !expected.iter().any(|known| known == *line)).collect();
    assert!(extra.is_empty(), "docs/rules.md has rules that do not exist: {extra:?}");
    assert!(documented.is_sorted(), "docs/rules.md is not ordered by id");
}
