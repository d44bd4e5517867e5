// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turns the rule files in `rules/` into one JSON text without samples, so that the program reads it in microseconds.
//!
//! In: `rules/*.toml`. Out: `rules.json` in the build folder: every rule, in the order of the file names.
//!
//! **Invariant:** a file that is not TOML, or holds no list of rules, fails the build.

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
            rules.push(rule);
        }
    }
    #[expect(clippy::disallowed_methods, reason = "cargo tells a build script its folder in the environment")]
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("rules.json"), serde_json::to_string(&rules)?)?;
    println!("cargo::rerun-if-changed=rules");
    Ok(())
}
