// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may not stand in a source file.
//!
//! In: our tree. Out: `unsafe` outside its crate or without its reason, `mod.rs`, notes to do something without an
//! issue, ignored tests without an issue.
//!
//! **Invariant:** words in comments and literals are no code: only code is searched for `unsafe`.

use ringfort_testkit::source::{SourceFile, code_only};

use crate::{assert_found, assert_none, tree};

/// The crates that may hold `unsafe`.
const UNSAFE_CRATES: [&str; 1] = ["ringfort-sandbox"];
/// The one module besides: memory for keys and values (`locked.rs` and what is below it).
const LOCKED: &str = "crates/ringfort-secrets/src/locked";
/// The one file besides: the system calls of the hostile program that the escape suite starts.
const HOSTILE: &str = "crates/ringfort-testkit/src/bin/ringfort-escape/sys.rs";
/// How far above an unsafe block its reason may stand, in lines.
const REASON_DISTANCE: usize = 8;
/// Words that promise work; each wants the number of an issue. Put together, so that this file has none.
const PROMISES_OF_WORK: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

fn faults(tree: &[SourceFile]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in tree {
        if file.path.ends_with("/mod.rs") {
            faults.push(format!("{}: `foo.rs` beside `foo/`, no `mod.rs`", file.path));
        }
        if file.is_rust() {
            unsafe_faults(file, &mut faults);
        }
        if file.is_rust() || file.path.ends_with(".toml") || file.path.ends_with(".sh") {
            note_faults(file, &mut faults);
        }
    }
    faults
}

fn unsafe_faults(file: &SourceFile, faults: &mut Vec<String>) {
    let code = code_only(&file.text);
    let lines: Vec<&str> = file.text.lines().collect();
    // A test full of attacks may give one reason for all of its blocks.
    let one_reason = file.is_test() && gives_one_reason(&file.text);
    let locked = file.path.strip_prefix(LOCKED).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'));
    let may = locked || file.path == HOSTILE || file.crate_name().is_some_and(|name| UNSAFE_CRATES.contains(&name));
    for (at, line) in code.lines().enumerate() {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        if !words.any(|word| word == "unsafe") {
            continue;
        }
        let above = lines.get(at.saturating_sub(REASON_DISTANCE)..=at).unwrap_or(&[]);
        let reasoned = above.iter().any(|line| line.contains("SAFETY:"));
        let wants_reason = line.contains("unsafe {") || line.contains("unsafe impl");
        if !may {
            faults.push(format!("{}:{}: `unsafe` outside {}", file.path, at + 1, UNSAFE_CRATES.join(", ")));
        } else if wants_reason && !reasoned && !one_reason {
            faults.push(format!("{}:{}: `unsafe` without `// SAFETY:`", file.path, at + 1));
        }
    }
}

/// Whether `#![expect(…)]` at the top of a file names `unsafe_code` and a reason, on one line or several.
fn gives_one_reason(text: &str) -> bool {
    let expected = text.split("#![expect(").nth(1).and_then(|rest| rest.split(")]").next());
    expected.is_some_and(|words| words.contains("unsafe_code,") && words.contains("reason = \""))
}

fn note_faults(file: &SourceFile, faults: &mut Vec<String>) {
    for (at, line) in file.text.lines().enumerate() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let note = line.split(|c| !is_word(c)).any(|word| PROMISES_OF_WORK.contains(&word));
        if note && !has_issue(line) {
            faults.push(format!("{}:{}: a note to do something, without an issue: `#N`", file.path, at + 1));
        }
        let code = line.trim_start();
        if file.is_rust() && code.starts_with("#[ignore") && !has_issue(code.get(2..).unwrap_or("")) {
            faults.push(format!("{}:{}: an ignored test without an issue: `#N`", file.path, at + 1));
        }
    }
}

/// Whether a line names an issue: `#` and a number.
fn has_issue(line: &str) -> bool {
    line.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[test]
fn nothing_stands_where_it_may_not() {
    assert_none(&faults(tree()));
}

#[test]
fn deny_what_may_not_stand() {
    let note = PROMISES_OF_WORK[0];
    let sandbox = "crates/ringfort-sandbox/src/a.rs";
    let planted = [
        SourceFile::new(sandbox, "// SAFETY: why\nunsafe { f() }\nconst A: &str = \"unsafe {\"; // unsafe\n"),
        SourceFile::new(sandbox, format!("// SAFETY: far\n{}unsafe {{ f() }}\n", "\n".repeat(9))),
        SourceFile::new(
            "crates/ringfort-sandbox/tests/it/a.rs",
            "#![expect(\n    unsafe_code,\n    reason = \"attacks\"\n)]\nunsafe { f() }\n",
        ),
        SourceFile::new("crates/ringfort-sandbox/tests/it/b.rs", "#![expect(unsafe_code)]\nunsafe { f() }\n"),
        SourceFile::new("crates/ringfort-core/src/a.rs", "// SAFETY: why\nunsafe { f() }\n#[unsafe(no_mangle)]\n"),
        SourceFile::new("crates/a/src/b/mod.rs", ""),
        SourceFile::new("crates/a/src/b.rs", format!("// {note}(#12): x\n// {note}: x\n// {note}S\n")),
        SourceFile::new("crates/a/src/c.rs", "    #[ignore]\n#[ignore = \"see #7\"]\n"),
    ];
    assert_found(
        &faults(&planted),
        &[
            "ringfort-sandbox/src/a.rs:11: `unsafe` without",
            "tests/it/b.rs:2: `unsafe` without",
            "ringfort-core/src/a.rs:2: `unsafe` outside",
            "ringfort-core/src/a.rs:3: `unsafe` outside",
            "b/mod.rs",
            "b.rs:2: a note",
            "c.rs:1: an ignored test",
        ],
    );
}
