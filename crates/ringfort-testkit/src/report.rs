// SPDX-License-Identifier: MIT OR Apache-2.0
//! The longest files, functions and crates, so that growth is seen.
//!
//! In: the sources of the workspace. Out: ten of each, production lines only.
//!
//! **Invariant:** nothing fails here; the house style says where to look twice, and splitting for a number alone
//! makes nothing better.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::source::{SourceFile, code_lines, functions};

/// How many of each are shown.
const SHOWN: usize = 16;
/// Lines of code above which a file is worth a second look.
const FILE_LINES: usize = 600;
/// Lines above which a function is worth a second look.
const FUNCTION_LINES: usize = 70;
/// Lines of code above which a crate is worth a second look.
const CRATE_LINES: usize = 8_000;

/// The report, as text.
pub fn report(tree: &[SourceFile]) -> String {
    let (mut files, mut longest) = (Vec::new(), Vec::new());
    let mut crates = BTreeMap::<&str, usize>::new();
    for file in tree.iter().filter(|file| file.is_rust()) {
        let production = file.production();
        let lines = code_lines(production);
        files.push((lines, file.path.clone()));
        longest.extend(
            functions(production).into_iter().map(|f| (f.lines, format!("{}:{} {}", file.path, f.line, f.name))),
        );
        if let Some(name) = file.crate_name() {
            *crates.entry(name).or_default() += lines;
        }
    }
    let crates = crates.into_iter().map(|(name, lines)| (lines, name.to_owned())).collect();
    let mut text = String::new();
    section(&mut text, "longest files, lines of code without tests", files, FILE_LINES);
    section(&mut text, "longest functions, lines", longest, FUNCTION_LINES);
    section(&mut text, "largest crates, lines of code without tests", crates, CRATE_LINES);
    text
}

fn section(text: &mut String, title: &str, mut rows: Vec<(usize, String)>, look_twice: usize) {
    rows.sort_by(|a, b| b.cmp(a));
    let over = rows.iter().filter(|(lines, _)| *lines > look_twice).count();
    let mut lines = vec![format!("{title} (look twice above {look_twice}: {over})")];
    lines.extend(rows.iter().take(SHOWN).map(|(count, what)| format!("{count:>7}  {what}")));
    // Writing to a `String` cannot fail.
    if writeln!(text, "{}\n", lines.join("\n")).is_err() {
        text.push('?');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_come_first_and_tests_do_not_count() {
        let long = format!("fn long() {{\n{}}}\n", "    x();\n".repeat(80));
        let tree = [
            SourceFile::new("crates/a/src/lib.rs", format!("{long}#[cfg(test)]\nmod tests {{\n    fn t() {{}}\n}}\n")),
            SourceFile::new("crates/b/src/lib.rs", "//! Header.\n\nfn short() {}\n"),
            SourceFile::new("crates/b/tests/it/main.rs", "fn test() {}\n"),
        ];
        let text = report(&tree);
        let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("no `{what}` in\n{text}"));
        assert!(at("     82  crates/a/src/lib.rs") < at("      1  crates/b/src/lib.rs"));
        assert!(at("     82  crates/a/src/lib.rs:1 long") < at("      1  crates/b/src/lib.rs:3 short"));
        assert!(at("look twice above 70: 1") < at("     82  a") && at("     82  a") < at("      1  b"));
        assert!(!text.contains("main.rs:1 test"));
    }
}
