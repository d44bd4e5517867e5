// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our own sources, as data for the tidy tests and the report.
//!
//! In: the root of the workspace. Out: its text files with their paths, and simple facts about Rust files.
//!
//! **Invariant:** `.git`, links and what `.gitignore` names at the root are never entered; files that are not UTF-8 are left out, since no
//! source of ours is in another encoding. The facts rest on the layout that `cargo fmt` makes, which the same gate
//! checks; they are no parse.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Largest file that is read. Bytes.
pub const FILE_BYTES_MAX: u64 = 4 << 20;
/// Deepest folder that is entered.
const DEPTH_MAX: usize = 16;

/// One text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path from the root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// A file made up by a test.
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// The crate that it belongs to: the folder below `crates/`.
    pub fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/").and_then(|rest| rest.split('/').next())
    }

    /// Whether it is Rust.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether all of it is test or bench code by its place.
    pub fn is_test(&self) -> bool {
        let place = self.path.split_once('/').map_or("", |(_, rest)| rest);
        place.split('/').any(|part| matches!(part, "tests" | "benches" | "fuzz" | "examples" | "tests.rs"))
    }

    /// The text above `#[cfg(test)] mod tests`, which stands last in a file.
    pub fn production(&self) -> &str {
        if self.is_test() {
            return "";
        }
        let mut end = 0;
        let mut at_attribute = None;
        for line in self.text.split_inclusive('\n') {
            match line.trim_end() {
                "#[cfg(test)]" => at_attribute = Some(end),
                "mod tests {" | "mod tests;" => {
                    if let Some(start) = at_attribute {
                        return self.text.get(..start).unwrap_or("");
                    }
                }
                text if text.starts_with("#[") => {}
                _ => at_attribute = None,
            }
            end += line.len();
        }
        &self.text
    }
}

/// Every text file below `root`, by path.
///
/// # Errors
///
/// A folder or file cannot be read.
pub fn read_tree(root: &Path) -> Result<Vec<SourceFile>> {
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
    let walk = Walk { root, ignored: ignored.lines().filter_map(|line| line.strip_prefix('/')).collect() };
    let mut files = Vec::new();
    walk.folder(root, 0, &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The root of the workspace that this crate was built in.
pub fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// What `fuzz/.gitignore` leaves out.
const FUZZ_GENERATED: [&str; 4] = ["target", "corpus", "artifacts", "coverage"];

struct Walk<'a> {
    root: &'a Path,
    /// Names at the root that `.gitignore` leaves out; a `*` may stand at the end.
    ignored: Vec<&'a str>,
}

impl Walk<'_> {
    fn is_skipped(&self, name: &str, depth: usize) -> bool {
        let matches = |pattern: &&str| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == pattern.trim_end_matches('/'),
        };
        name == ".git" || depth >= DEPTH_MAX || (depth == 0 && self.ignored.iter().any(matches))
    }

    fn folder(&self, folder: &Path, depth: usize, files: &mut Vec<SourceFile>) -> Result<()> {
        let entries = fs::read_dir(folder).with_context(|| format!("cannot list `{}`", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, entry.path());
            let name = entry.file_name();
            // The fuzz targets are a workspace of their own, with a list of their own of what is generated.
            let generated =
                depth == 1 && folder.ends_with("fuzz") && FUZZ_GENERATED.iter().any(|generated| name == *generated);
            if generated || self.is_skipped(&name.to_string_lossy(), depth) {
                continue;
            }
            if kind.is_dir() {
                self.folder(&path, depth + 1, files)?;
            } else if kind.is_file() && entry.metadata()?.len() <= FILE_BYTES_MAX {
                let bytes = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
                if let (Ok(text), Ok(relative)) = (String::from_utf8(bytes), path.strip_prefix(self.root)) {
                    files.push(SourceFile::new(relative.to_string_lossy(), text));
                }
            }
        }
        Ok(())
    }
}

/// Rust text with comments and the insides of literals blanked; every line keeps its place.
pub fn code_only(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (taken, kept) = next_token(rest, c, out.chars().next_back());
        let (token, tail) = rest.split_at(taken);
        if kept {
            out.push_str(token);
        } else {
            out.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = tail;
    }
    out
}

/// The length of the next comment, literal or single character, and whether it is code.
fn next_token(rest: &str, c: char, before: Option<char>) -> (usize, bool) {
    let in_word = before.is_some_and(|b| b.is_alphanumeric() || b == '_');
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), false);
    }
    if !in_word && let Some(length) = raw_string(rest) {
        return (length, false);
    }
    match c {
        '"' => (quoted(rest, '"').unwrap_or(rest.len()), false),
        '\'' => char_literal(rest).map_or((1, true), |length| (length, false)),
        _ => (c.len_utf8(), true),
    }
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if tail.starts_with("*/") {
            (depth, at) = (depth.saturating_sub(1), at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += tail.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// The length of `r"…"`, `r#"…"#`, `br"…"` or `cr"…"` at the start.
fn raw_string(rest: &str) -> Option<usize> {
    let after = ["br", "cr", "r"].iter().find_map(|prefix| rest.strip_prefix(prefix))?;
    let opened = after.trim_start_matches('#');
    let hashes = after.len() - opened.len();
    let body = opened.strip_prefix('"')?;
    let end = body.find(&format!("\"{}", "#".repeat(hashes)))?;
    Some(rest.len() - body.len() + end + 1 + hashes)
}

/// The length of a quoted literal at the start, escapes respected.
fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The length of a character literal; `None` for a lifetime.
fn char_literal(rest: &str) -> Option<usize> {
    let mut inside = rest.chars().skip(1);
    let (first, second) = (inside.next()?, inside.next());
    if first == '\\' || (first != '\'' && second == Some('\'')) { quoted(rest, '\'') } else { None }
}

/// One function of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its first line, from 1.
    pub line: usize,
    /// How many lines it has, signature and brackets included.
    pub lines: usize,
}

/// The functions of formatted Rust code, with their lengths.
pub fn functions(text: &str) -> Vec<Function> {
    let code = code_only(text);
    let lines: Vec<&str> = code.lines().collect();
    let mut functions = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        // The body ends at the bracket under the signature; a declaration or one-liner ends at its first line.
        let ends = |other: &&str| {
            other.len() - other.trim_start().len() == indent && matches!(other.trim(), "}" | "};" | "})")
        };
        let one_line = line.trim_end().ends_with(';') || line.trim_end().ends_with('}');
        let length =
            if one_line { Some(1) } else { lines.iter().skip(at + 1).position(ends).map(|distance| distance + 2) };
        functions.extend(length.map(|lines| Function { name: name.to_owned(), line: at + 1, lines }));
    }
    functions
}

/// The name of the function that a line of code starts.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let qualifiers = ["pub", "const", "async", "unsafe", "extern", "pub(crate)", "pub(super)"];
    if !before.split_whitespace().all(|word| qualifiers.contains(&word) || word.starts_with("pub(in")) {
        return None;
    }
    let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
    after.get(..end).filter(|name| !name.is_empty())
}

/// How many lines of code a text has: no empty lines, no comments.
pub fn code_lines(text: &str) -> usize {
    code_only(text).lines().filter(|line| !line.trim().is_empty()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        for (input, expected) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            ("x(\"a\\\"b\", y)", "x(      , y)"),
            ("r#\"a\"b\"# + z", "         + z"),
            ("br\"a\" z", "      z"),
            ("bar\"a\" z", "bar    z"),
            ("'a' + '\\'' + &'a T", "    +      + &'a T"),
            ("'\"' + \"'\"", "    +    "),
            ("\"a\nb\"c", "  \n  c"),
            ("\"\u{e4}\"c", "   c"),
        ] {
            assert_eq!(code_only(input), expected, "`{input}`");
        }
    }

    #[test]
    fn functions_have_their_lengths() {
        let text = "fn a() {\n    b();\n}\n\nimpl X {\n    pub(crate) const fn c(\n        d: u8,\n    ) -> u8 {\n        d\n    }\n    fn e(&self);\n}\n// fn f() {\nlet g = \"fn h() {\";\nfn i() {}\n";
        let found: Vec<_> = functions(text).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        let expected = [("a", 1, 3), ("c", 6, 5), ("e", 11, 1), ("i", 15, 1)];
        assert_eq!(found, expected.map(|(name, line, lines)| (name.to_owned(), line, lines)));
    }

    #[test]
    fn production_ends_where_the_tests_start() {
        for (path, text, expected) in [
            ("crates/a/src/b.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n}\n", "fn a() {}\n"),
            ("crates/a/src/b.rs", "fn a() {}\n#[cfg(test)]\n#[path = \"x.rs\"]\nmod tests;\n", "fn a() {}\n"),
            ("crates/a/src/b.rs", "#[cfg(test)]\nuse x;\nfn a() {}\n", "#[cfg(test)]\nuse x;\nfn a() {}\n"),
            ("crates/a/tests/it/b.rs", "fn a() {}\n", ""),
            ("crates/a/src/b/tests.rs", "fn a() {}\n", ""),
        ] {
            assert_eq!(SourceFile::new(path, text).production(), expected, "{path}: {text}");
        }
    }

    #[test]
    fn the_tree_is_this_workspace() {
        let tree = read_tree(&workspace_root()).unwrap();
        let has = |path: &str| tree.iter().any(|file| file.path == path);
        assert!(has("Cargo.toml") && has("layers.toml") && has("crates/ringfort-testkit/src/source.rs"));
        assert!(!tree.iter().any(|file| file.path.starts_with("target/") || file.path.starts_with(".git/")));
    }
}
