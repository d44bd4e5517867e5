// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tidy tests: what the house style asks for and no compiler checks.
//!
//! In: the sources of this workspace, `cargo metadata`, `Cargo.lock`. Out: a failed test that lists every fault.
//!
//! **Invariant:** each check is a function from text to faults and has two tests: our tree has none, and a planted
//! fault is found. Long files, functions and crates are reported, never failed.

#[cfg(test)]
mod documents;
#[cfg(test)]
mod graph;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod packages;
#[cfg(test)]
mod promises;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod text;

#[cfg(test)]
use ringfort_testkit::source::{SourceFile, read_tree, workspace_root};

/// Our own tree, read once.
#[cfg(test)]
fn tree() -> &'static [SourceFile] {
    static TREE: std::sync::OnceLock<Vec<SourceFile>> = std::sync::OnceLock::new();
    TREE.get_or_init(|| read_tree(&workspace_root()).unwrap())
}

/// The text of one file of our own tree.
#[cfg(test)]
fn file(path: &str) -> &'static str {
    let found = tree().iter().find(|file| file.path == path);
    &found.unwrap_or_else(|| panic!("`{path}` is missing")).text
}

/// Fails with every fault on a line of its own.
#[cfg(test)]
fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{} faults:\n  {}", faults.len(), faults.join("\n  "));
}

/// Fails unless exactly these faults are found, in this order; each is named by a part of its text.
#[cfg(test)]
fn assert_found(faults: &[String], expected: &[&str]) {
    let as_expected = faults.len() == expected.len() && faults.iter().zip(expected).all(|(f, e)| f.contains(e));
    assert!(as_expected, "found {faults:#?}\nexpected {expected:#?}");
}

#[test]
fn the_longest_are_reported() {
    let report = ringfort_testkit::report::report(tree());
    println!("{report}");
    assert!(report.contains("ringfort-core") && report.contains("longest functions"));
}
