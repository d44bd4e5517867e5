// SPDX-License-Identifier: MIT OR Apache-2.0
//! The documents are there, the README is short, its commands and links exist.
//!
//! In: our Markdown files and the subcommands of the binary. Out: each `ringfort …` in a fenced block that names no
//! subcommand, each relative link that leads nowhere, each document that is missing.
//!
//! **Invariant:** a subcommand is a file of `crates/ringfort/src/commands/`; there is no other list.

use ringfort_testkit::source::SourceFile;

use crate::{assert_found, assert_none, file, tree};

/// Longest README, in lines.
const README_LINES_MAX: usize = 120;
/// Longest ARCHITECTURE page, in lines: one page.
const ARCHITECTURE_LINES_MAX: usize = 110;
/// What must be there.
const DOCUMENTS: [&str; 12] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "docs/THREAT_MODEL.md",
    "docs/extending.md",
    "docs/rules.md",
    "docs/formats/check.md",
    "docs/formats/trail.md",
];
/// Subcommands whose next word is a subcommand of their own.
const NESTED: [&str; 2] = ["trail", "policy"];
/// Where subcommands live.
const COMMANDS: &str = "crates/ringfort/src/commands/";

fn command_faults(tree: &[SourceFile]) -> Vec<String> {
    let mut faults = Vec::new();
    for document in tree.iter().filter(|file| file.path.ends_with(".md")) {
        for (number, line) in fenced(&document.text) {
            let line = line.trim_start().trim_start_matches("$ ");
            for command in line.split("; ").filter_map(|part| part.trim_start().strip_prefix("ringfort ")) {
                let fault = unknown(tree, command);
                faults.extend(fault.map(|fault| format!("{}:{number}: {fault}", document.path)));
            }
        }
    }
    faults
}

/// The lines inside fenced blocks, with their numbers.
fn fenced(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        if line.trim_start().starts_with("```") {
            inside = !inside;
            return None;
        }
        inside.then_some((at + 1, line))
    })
}

fn unknown(tree: &[SourceFile], command: &str) -> Option<String> {
    let mut words = command.split_whitespace();
    let name = words.next().filter(|word| !word.starts_with('-'))?;
    let own = format!("{COMMANDS}{}", name.replace('-', "_"));
    let sources: Vec<&SourceFile> =
        tree.iter().filter(|f| f.path == format!("{own}.rs") || f.path.starts_with(&format!("{own}/"))).collect();
    if sources.is_empty() {
        return Some(format!("`ringfort {name}` is no subcommand: there is no `{own}.rs`"));
    }
    let next = words.next().filter(|word| NESTED.contains(&name) && word.bytes().all(|b| b.is_ascii_lowercase()))?;
    let named = |file: &&SourceFile| {
        let file_name = file.path.rsplit('/').next().unwrap_or("");
        file_name == format!("{next}.rs") || file.text.to_ascii_lowercase().contains(next)
    };
    (!sources.iter().any(named)).then(|| format!("`ringfort {name} {next}` is no subcommand"))
}

/// Relative links that lead to no file.
fn link_faults(tree: &[SourceFile]) -> Vec<String> {
    let mut faults = Vec::new();
    for document in tree.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = document.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in document.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or("");
            if target.is_empty() || target.contains("://") || target.contains(char::is_whitespace) {
                continue;
            }
            let path = joined(folder, target);
            let found = tree.iter().any(|file| file.path == path || file.path.starts_with(&format!("{path}/")));
            if !found {
                faults.push(format!("{}: the link to `{target}` leads nowhere", document.path));
            }
        }
    }
    faults
}

fn joined(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn documents_are_there_and_short() {
    let is_missing = |path: &str| !tree().iter().any(|file| file.path == path);
    let missing: Vec<String> =
        DOCUMENTS.iter().filter(|path| is_missing(path)).map(|path| format!("`{path}` is missing")).collect();
    assert_none(&missing);
    for (path, lines_max) in [("README.md", README_LINES_MAX), ("ARCHITECTURE.md", ARCHITECTURE_LINES_MAX)] {
        let lines = file(path).lines().count();
        assert!(lines <= lines_max, "{path} has {lines} lines; at most {lines_max}");
    }
}

#[test]
fn commands_in_documents_exist() {
    let all = fenced(file("README.md")).filter(|(_, line)| line.contains("ringfort ")).count();
    assert!(all >= 5, "the README shows {all} commands; five are wanted");
    assert_none(&command_faults(tree()));
}

#[test]
fn links_lead_somewhere() {
    assert_none(&link_faults(tree()));
}

#[test]
fn deny_commands_and_links_to_nowhere() {
    let text = "ringfort outside of a block\n```\n$ ringfort run -- ls\nringfort trail tail; ringfort trail burn\n\
                ringfort dance\nringfort --help\nringfort security-audit\n```\n[a](docs/a.md#x) [b](../b.md) [c](https://c/)\n";
    let planted = [
        SourceFile::new("README.md", text),
        SourceFile::new("docs/a.md", "[up](../README.md) [gone](gone.md)\n"),
        SourceFile::new(format!("{COMMANDS}run.rs"), ""),
        SourceFile::new(format!("{COMMANDS}security_audit.rs"), ""),
        SourceFile::new(format!("{COMMANDS}trail.rs"), "enum Trail { Tail }"),
    ];
    assert_found(&command_faults(&planted), &["README.md:4: `ringfort trail burn`", "README.md:5: `ringfort dance`"]);
    assert_found(&link_faults(&planted), &["`../b.md` leads nowhere", "`gone.md` leads nowhere"]);
}
