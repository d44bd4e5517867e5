// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turns the rule files in `rules/` into one JSON text without samples, so that the program reads it in microseconds.
//!
//! In: `rules/*.toml`. Out: in the build folder `rules.json`, every rule, in the order of the file names; and
//! `keywords.rs`, what a text must hold for any of them to find something.
//!
//! **Invariant:** a file that is not TOML, or holds no list of rules, fails the build, and so does a keyword that is no
//! ASCII.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let root = env::current_dir()?;
    let folder = root.join("rules");
    let mut files: Vec<_> =
        fs::read_dir(&folder)?.collect::<Result<Vec<_>, _>>()?.into_iter().map(|e| e.path()).collect();
    files.sort();
    let mut rules = Vec::new();
    let mut keywords = BTreeSet::new();
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "toml")) {
        let table: toml::Table = fs::read_to_string(file)?.parse()?;
        let list = table.get("rule").and_then(toml::Value::as_array).ok_or("a rule file has a list of rules")?;
        for rule in list {
            let mut rule = serde_json::to_value(rule)?;
            if let Some(rule) = rule.as_object_mut() {
                // The samples are for the tests, which read the files themselves.
                rule.remove("hits");
                rule.remove("misses");
            }
            for keyword in
                rule.get("keywords").and_then(|list| list.as_array()).ok_or("a rule has a list of keywords")?
            {
                keywords.insert(keyword.as_str().ok_or("a keyword is text")?.to_ascii_lowercase());
            }
            rules.push(rule);
        }
    }
    #[expect(clippy::disallowed_methods, reason = "cargo tells a build script its folder in the environment")]
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("rules.json"), serde_json::to_string(&rules)?)?;
    fs::write(Path::new(&out).join("keywords.rs"), table(&keywords)?)?;
    println!("cargo::rerun-if-changed=rules");
    Ok(())
}

/// The keywords in one text, sorted, each followed by a line feed; and where those with each first byte begin.
fn table(keywords: &BTreeSet<String>) -> Result<String, Box<dyn Error>> {
    if !keywords.iter().all(|keyword| keyword.is_ascii() && !keyword.is_empty() && !keyword.contains('\n')) {
        return Err("a keyword is ASCII, on one line".into());
    }
    let text: String = keywords.iter().flat_map(|keyword| [keyword.as_str(), "\n"]).collect();
    let before = |first: usize| keywords.iter().filter(move |keyword| usize::from(first_byte(keyword)) < first);
    let starts: Vec<usize> = (0..=128).map(|first| before(first).map(|keyword| keyword.len() + 1).sum()).collect();
    Ok(format!(
        "/// Keywords of the rules.\nstatic KEYWORDS: &str = {text:?};\n\
         /// Where those with each first byte begin.\nstatic STARTS: [u16; 129] = {starts:?};\n"
    ))
}

fn first_byte(text: &str) -> u8 {
    text.bytes().next().unwrap_or(u8::MAX)
}
