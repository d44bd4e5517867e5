// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every promise of the threat model is bound to a test that exists.
//!
//! In: the table of promises in `docs/THREAT_MODEL.md`, and our sources. Out: each row without a test, with a test
//! that is not there or is ignored, each promise of the vocabulary without a row, and each degree that is not the
//! code's.
//!
//! **Invariant:** a row reads `| id | promise | standing | degree | tests |`; a test is named as cargo names it, with
//! its crate: `ringfort_core::permit::tests::deny_other_requests`.

use std::collections::BTreeSet;

use ringfort_core::degree::Degree;
use ringfort_core::obligation::Promise;
use ringfort_testkit::source::{SourceFile, code_only};

use crate::{assert_found, assert_none, file, tree};

/// The heading above the table.
const HEADING: &str = "## Promises";

fn faults(document: &str, tree: &[SourceFile], vocabulary: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    for row in rows(document) {
        let [id, promise, standing, degree, tests] = row.as_slice() else {
            faults.push(format!("a row of {} cells, five are wanted: {row:?}", row.len()));
            continue;
        };
        if !ids.insert(id.trim_matches('`').to_owned()) {
            faults.push(format!("{id} has two rows"));
        }
        if promise.is_empty() {
            faults.push(format!("{id} promises nothing"));
        }
        if !["advised", "caged", "guarded"].contains(standing) {
            faults.push(format!("{id}: `{standing}` is no standing"));
        }
        let promised = Promise::ALL.into_iter().find(|promise| promise.as_str() == id.trim_matches('`'));
        match promised.and_then(Degree::weakest_with) {
            Some(weakest) if weakest.as_str() != *degree => {
                faults.push(format!("{id}: the weakest degree is `{}`, not `{degree}`", weakest.as_str()));
            }
            _ if *degree != "any" && Degree::parse(degree).is_none() => {
                faults.push(format!("{id}: `{degree}` is no degree: any, minimal, reduced or full"));
            }
            _ => {}
        }
        let tests: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() {
            faults.push(format!("{id} is bound to no test"));
        }
        faults.extend(tests.iter().filter_map(|test| test_fault(tree, test)).map(|fault| format!("{id}: {fault}")));
    }
    let unbound = vocabulary.iter().filter(|promise| !ids.contains(**promise));
    faults.extend(unbound.map(|promise| format!("`{promise}` has no row")));
    faults
}

/// The cells of the table below the heading, without its head.
fn rows(document: &str) -> Vec<Vec<&str>> {
    let below = document.split(HEADING).nth(1).unwrap_or("");
    let section = below.split("\n## ").next().unwrap_or("");
    let row = |line: &&str| line.starts_with('|');
    // A table starts with its head and a line of dashes.
    section.lines().filter(row).skip(2).map(cells).collect()
}

fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_matches('|').split('|').map(str::trim).collect()
}

fn test_fault(tree: &[SourceFile], test: &str) -> Option<String> {
    let mut parts: Vec<&str> = test.split("::").collect();
    let name = parts.pop()?;
    let crate_name = parts.first()?.replace('_', "-");
    let modules: Vec<&str> = parts.iter().skip(1).copied().filter(|part| *part != "tests").collect();
    let mut files = tree.iter().filter(|file| file.crate_name() == Some(&crate_name) && modules_of(file) == modules);
    match files.find_map(|file| attributes_of(file, name)) {
        None => Some(format!("there is no test `{test}`")),
        Some(attributes) if attributes.contains("ignore") => Some(format!("the test `{test}` is ignored")),
        Some(_) => None,
    }
}

/// The module path of a file as test names show it, `tests` left out.
fn modules_of(file: &SourceFile) -> Vec<&str> {
    let inside = file.path.split('/').skip(2);
    let parts = inside.map(|part| part.strip_suffix(".rs").unwrap_or(part));
    parts.filter(|part| !matches!(*part, "src" | "tests" | "lib" | "main")).collect()
}

/// The attributes of the test function `name`; `None` where there is none.
fn attributes_of(file: &SourceFile, name: &str) -> Option<String> {
    let code = code_only(&file.text);
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let at = lines.iter().position(|line| {
        line.split_once("fn ")
            .is_some_and(|(_, rest)| rest.strip_prefix(name).is_some_and(|r| r.starts_with(['(', '<'])))
    })?;
    let above = lines.get(..at)?.iter().rev().take_while(|line| line.starts_with("#[") || line.is_empty());
    let attributes: String = above.copied().collect();
    attributes.contains("#[test]").then_some(attributes)
}

#[test]
fn every_promise_is_bound_to_a_test() {
    let vocabulary = Promise::ALL.map(Promise::as_str);
    assert!(rows(file("docs/THREAT_MODEL.md")).len() > vocabulary.len());
    assert_none(&faults(file("docs/THREAT_MODEL.md"), tree(), &vocabulary));
}

/// The table of degrees as the code has it.
fn degrees() -> String {
    let mut table = String::from("| degree | what it is made of | promises | reservations |\n|---|---|---|---|\n");
    for degree in Degree::ALL {
        let promises = match degree.promises() {
            all if all.len() == Promise::ALL.len() => "all".to_owned(),
            some => some.iter().map(|promise| format!("`{}`", promise.as_str())).collect::<Vec<_>>().join(", "),
        };
        let reservations = degree.reservations().join("; ");
        table.push_str(&format!("| `{}` | {} | {promises} | {reservations} |\n", degree.as_str(), degree.means()));
    }
    table
}

#[test]
fn the_degrees_are_told_as_the_code_has_them() {
    let table = degrees();
    assert!(file("docs/THREAT_MODEL.md").contains(&table), "docs/THREAT_MODEL.md lacks this table:\n{table}");
    for line in table.lines().skip(2) {
        let [degree, means, ..] = cells(line)[..] else { panic!("{line}") };
        let row = format!("| {degree} | {means} |");
        assert!(file("README.md").contains(&row), "README.md lacks `{row}`");
    }
}

#[test]
fn deny_a_degree_that_is_not_the_code_s() {
    let row = |id: &str, degree: &str| {
        format!(
            "## Promises\n\n| id | promise | standing | degree | tests |\n|---|---|---|---|---|\n| `{id}` | holds | caged | {degree} | none |\n"
        )
    };
    let found =
        |id: &str, degree: &str| faults(&row(id, degree), &[], &[]).iter().any(|fault| fault.contains("degree"));
    for (id, degree, is_fault) in [
        ("protect-startup", "reduced", false),
        ("protect-startup", "minimal", true),
        ("protect-startup", "full", true),
        ("kill-all", "any", true),
        ("no-network", "minimal", false),
        ("something-else", "minimal", false),
        ("something-else", "most", true),
    ] {
        assert_eq!(found(id, degree), is_fault, "{id} {degree}");
    }
}

#[test]
fn deny_promises_without_test() {
    let tree = [
        SourceFile::new(
            "crates/ringfort-core/src/permit.rs",
            "mod tests {\n    #[test]\n    fn deny_it() {}\n\n    fn helper() {}\n}\n",
        ),
        SourceFile::new(
            "crates/ringfort/tests/it/cage.rs",
            "#[test]\n#[ignore = \"#1\"]\nfn escape_later() {}\n// #[test]\n// fn escape_never() {}\n",
        ),
        SourceFile::new("crates/ringfort/tests/it/main.rs", "#[test]\n/// Says what.\nfn top() {}\n"),
    ];
    let document = "# Model\n\n## Promises\n\n| id | promise | standing | degree | tests |\n|---|---|---|---|---|\n\
        | `a` | holds | caged | full | `ringfort_core::permit::tests::deny_it`, `ringfort::it::top` |\n\
        | `a` | holds | caged | full | `ringfort_core::permit::tests::deny_it` |\n\
        | `b` | | caged | full | none |\n\
        | `c` | holds | bold | some | `ringfort_core::permit::tests::helper` |\n\
        | `d` | holds | caged | any | `ringfort::it::cage::escape_later`, `ringfort::it::cage::escape_never` |\n\
        | `e` | holds | caged |\n\n## Next\n\n| no | promise |\n";
    assert_found(
        &faults(document, &tree, &["a", "f"]),
        &[
            "`a` has two rows",
            "`b` promises nothing",
            "`b` is bound to no test",
            "`bold` is no standing",
            "`some` is no degree",
            "there is no test `ringfort_core::permit::tests::helper`",
            "`ringfort::it::cage::escape_later` is ignored",
            "there is no test `ringfort::it::cage::escape_never`",
            "a row of 3 cells",
            "`f` has no row",
        ],
    );
}
