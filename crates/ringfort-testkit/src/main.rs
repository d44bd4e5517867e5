// SPDX-License-Identifier: MIT OR Apache-2.0
//! The developer's commands: `corpora` measures, `report` shows what is long, `rules` drafts rows of the manual,
//! `escape` lists the attempts of the escape suite.
//!
//! In: `corpora [--dir DIR] [--binary FILE] [--ratchet]`, `report`, `rules` or `escape`. Out: text on standard output.
//!
//! **Invariant:** an argument that is not known is an error with exit status 2, never ignored.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use ringfort_testkit::escape::{self, Attempt};
use ringfort_testkit::source::{read_tree, workspace_root};
use ringfort_testkit::{evaluate, goals, report, rule_ids};

const USAGE: &str = "usage: ringfort-testkit corpora [--dir DIR] [--binary FILE] [--ratchet] | report | rules | escape
  corpora  precision and recall of the built binary over the rows in DIR (default: $RINGFORT_CORPORA)
           FILE is the binary to ask (default: $RINGFORT_BIN, then target/release/ringfort)
           --ratchet fails where a figure passes its limit in ratchet.toml
  report   the longest files, functions and crates
  rules    a draft of each row that docs/rules.md lacks
  escape   the attempts of the escape suite: number, class, how it is judged, what it needs, what it tries";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do where standard error is closed; the status tells.
            drop(writeln!(io::stderr(), "{error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String], out: &mut impl Write) -> Result<()> {
    let mut words = arguments.iter().map(String::as_str);
    match words.next() {
        Some("report") if arguments.len() == 1 => {
            let tree = read_tree(&workspace_root())?;
            Ok(write!(out, "{}", report::report(&tree))?)
        }
        Some("rules") if arguments.len() == 1 => {
            Ok(write!(out, "{}", rule_ids::missing_rows(&read_tree(&workspace_root())?))?)
        }
        Some("escape") if arguments.len() == 1 => {
            for Attempt { id, class, proof, needs, what } in escape::attempts()? {
                writeln!(out, "{id}\t{class}\t{proof:?}\t{needs}\t{what}")?;
            }
            Ok(())
        }
        Some("corpora") => {
            let (mut dir, mut binary) = (variable("RINGFORT_CORPORA"), variable("RINGFORT_BIN"));
            let mut held = false;
            while let Some(flag) = words.next() {
                if flag == "--ratchet" {
                    held = true;
                    continue;
                }
                let value = words.next().with_context(|| format!("`{flag}` needs a value\n{USAGE}"))?;
                match flag {
                    "--dir" => dir = Some(value.into()),
                    "--binary" => binary = Some(value.into()),
                    _ => bail!("`{flag}` is not known\n{USAGE}"),
                }
            }
            let dir = dir.with_context(|| format!("where are the corpora?\n{USAGE}"))?;
            let binary = binary.unwrap_or_else(|| workspace_root().join("target/release/ringfort"));
            let goals = evaluate::evaluate(&dir, &binary, out)?;
            let missed = if held { goals.missed(goals::LIMITS)? } else { Vec::new() };
            ensure!(missed.is_empty(), "figures that pass their limit:\n{}", missed.join("\n"));
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "a developer's tool: its variables are part of its command line")]
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_arguments_that_are_not_known() {
        for (line, expected) in [
            ("", "usage"),
            ("corpora --colour red", "`--colour` is not known"),
            ("corpora --dir", "`--dir` needs a value"),
            ("corpora --ratchet --dir /proc/none", "no folder of corpora"),
            ("corpora --dir /proc/none", "no folder of corpora"),
            ("report twice", "usage"),
            ("rules twice", "usage"),
            ("escape twice", "usage"),
        ] {
            let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let error = run(&arguments, &mut Vec::new()).unwrap_err();
            assert!(format!("{error:#}").contains(expected), "`{line}`: {error:#}");
        }
    }
}
