// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rule ids: where they stand in the sources, and which of them the manual lacks.
//!
//! In: our tree. Out: every literal `"area-nnn"` of production code and rule data, with a draft of what it says.
//!
//! **Invariant:** an id counts as used only above the tests of a file and outside of comments. A draft is a start for
//! whoever writes the manual, and shown as such; it is no documentation.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::SourceFile;
use crate::suite::is_rule_id;

/// Where ids are documented, the first cell of a row each.
pub const DOCUMENT: &str = "docs/rules.md";
/// Words that look like an area and are none: names of algorithms and encodings.
const NO_AREAS: [&str; 9] = ["sha", "aes", "rsa", "hmac-sha", "blake", "ripemd", "secp", "cp", "chacha"];
/// Crates whose ids are for tests.
const NO_CRATES: [&str; 1] = ["ringfort-testkit"];
/// How far behind an id its sentence may start. Bytes.
const SENTENCE_DISTANCE: usize = 160;

/// One place where an id stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleUse {
    /// The file.
    pub path: String,
    /// The sentence that follows the id, if one does.
    pub draft: Option<String>,
}

/// Every id in use, with its first place.
pub fn used(tree: &[SourceFile]) -> BTreeMap<String, RuleUse> {
    let mut used = BTreeMap::new();
    for file in tree.iter().filter(|file| file.crate_name().is_some_and(|name| !NO_CRATES.contains(&name))) {
        if file.is_rust() || (file.path.ends_with(".toml") && !file.is_test()) {
            for (id, draft) in ids(file.production()) {
                let place = used.entry(id).or_insert(RuleUse { path: file.path.clone(), draft: None });
                place.draft = place.draft.take().or(draft);
            }
        }
    }
    used
}

/// Every id that the manual has a row for.
pub fn documented(tree: &[SourceFile]) -> BTreeSet<&str> {
    let document = tree.iter().filter(|file| file.path == DOCUMENT);
    let cells =
        document.flat_map(|file| file.text.lines()).filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    cells.filter(|id| is_rule_id(id)).collect()
}

/// Rows for the manual: a draft of each id in use that it lacks.
pub fn missing_rows(tree: &[SourceFile]) -> String {
    let known = documented(tree);
    let missing = used(tree).into_iter().filter(|(id, _)| !known.contains(id.as_str()));
    let row = |(id, place): (String, RuleUse)| {
        format!("| `{id}` | {} |\n", place.draft.unwrap_or_else(|| format!("(nothing found; see {})", place.path)))
    };
    missing.map(row).collect()
}

/// The ids among the quoted words of a text, each with the sentence behind it; comments are left out.
fn ids(text: &str) -> Vec<(String, Option<String>)> {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    let mut rest = code.as_str();
    while let Some((_, behind)) = rest.split_once('"') {
        let Some((word, after)) = behind.split_once('"') else { break };
        let is_area = word.rsplit_once('-').is_some_and(|(area, _)| !NO_AREAS.contains(&area));
        if is_rule_id(word) && is_area {
            found.push((word.to_owned(), sentence(after)));
            rest = after;
        } else {
            // Quotes in raw strings and character literals do not pair up: start again at the second one.
            rest = behind;
        }
    }
    found
}

fn sentence(after: &str) -> Option<String> {
    let (gap, literal) = after.split_once('"')?;
    let text = literal.replace("\\\"", "\u{1}").split('"').next()?.replace('\u{1}', "\"");
    (gap.len() <= SENTENCE_DISTANCE && !gap.contains([';', '}']) && text.contains(' ')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_with_a_draft_and_documented_ones_are_left_out() {
        let tree = [
            SourceFile::new(
                "crates/ringfort-a/src/lib.rs",
                "f('\"', \"door-001\", Deny, \"no \\\"way\\\" in\"); g(\"door-002\", x);\nh(\"sha-256\");\n// \"door-003\"\n\
                 #[cfg(test)]\nmod tests {\n    \"door-004\"\n}\n",
            ),
            SourceFile::new("crates/ringfort-a/rules/x.toml", "id = \"secret-001\"\nname = \"a key of x\"\n"),
            SourceFile::new("crates/ringfort-testkit/src/x.rs", "\"door-005\"\n"),
            SourceFile::new(DOCUMENT, "| id | says |\n|---|---|\n| `door-001` | x |\n"),
        ];
        assert_eq!(used(&tree).into_keys().collect::<Vec<_>>(), ["door-001", "door-002", "secret-001"]);
        assert_eq!(used(&tree).get("door-001").and_then(|place| place.draft.as_deref()), Some("no \"way\" in"));
        assert_eq!(
            missing_rows(&tree),
            "| `door-002` | (nothing found; see crates/ringfort-a/src/lib.rs) |\n| `secret-001` | a key of x |\n"
        );
    }
}
