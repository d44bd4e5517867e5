// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort trail`: the record.
//!
//! In: the trail of the state folder, or of a folder that is named. Out: entries, or whether the record is whole; exit
//! status 0 whole, 1 a fault was found, 3 it cannot be read.
//!
//! **Invariant:** nothing here writes to the record.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use ringfort_audit::read::Reader;
use ringfort_audit::verify::verify;
use ringfort_core::clock::Timestamp;
use ringfort_core::text::escape_bytes;
use serde_json::Value;

use super::{Common, EXIT_DENIED, EXIT_OK, Failure};
use crate::output;
use crate::wiring::World;

/// Most entries that `tail` shows.
const TAIL_ENTRIES_MAX: usize = 100_000;

/// Read and verify the record
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringfort trail tail -n 20
  ringfort trail show 41
  ringfort trail verify
  ringfort trail verify --dir /media/copy/trail")]
pub(crate) struct TrailArgs {
    /// A folder of segments; that of the state folder unless named
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    command: TrailCommand,
}

#[derive(Debug, Subcommand)]
enum TrailCommand {
    /// Show the newest entries, oldest first
    Tail {
        /// How many
        #[arg(short = 'n', long, default_value_t = 10)]
        count: usize,
    },
    /// Show one entry whole
    Show {
        /// Its sequence number
        seq: u64,
    },
    /// Verify the record and print the first fault
    Verify,
}

/// Runs the command.
///
/// # Errors
///
/// The record cannot be read.
pub(crate) fn run(args: &TrailArgs, common: &Common) -> Result<u8, Failure> {
    let world = World::read().map_err(Failure::guard)?;
    if world.broker().is_some() && args.dir.is_none() {
        return Err(Failure::usage(anyhow::anyhow!("inside a cage the record is out of reach")));
    }
    let dir = args.dir.clone().unwrap_or_else(|| world.places(common).state.join("trail"));
    if !dir.exists() {
        let error = anyhow::anyhow!("there is no record in `{}` yet", dir.display());
        return Err(Failure::guard(error).help("`ringfort run -- COMMAND` makes one; --state or --dir names another"));
    }
    let mut out = anstream::stdout().lock();
    match &args.command {
        TrailCommand::Tail { count } => {
            let reader = Reader::open(&dir).map_err(Failure::guard)?;
            for record in reader.tail((*count).min(TAIL_ENTRIES_MAX)).map_err(Failure::guard)? {
                let value = serde_json::to_value(&record).map_err(Failure::guard)?;
                if common.json {
                    output::json_line(&mut out, &value)?;
                } else {
                    writeln!(out, "{}", summary(&value))?;
                }
            }
            Ok(EXIT_OK)
        }
        TrailCommand::Show { seq } => {
            let record = Reader::open(&dir).map_err(Failure::guard)?.record(*seq).map_err(Failure::guard)?;
            let record = record.ok_or_else(|| Failure::usage(anyhow::anyhow!("there is no entry {seq}")))?;
            let value = serde_json::to_value(&record).map_err(Failure::guard)?;
            if common.json {
                output::json_line(&mut out, &value)?;
            } else {
                let pretty = serde_json::to_string_pretty(&value).map_err(Failure::guard)?;
                writeln!(out, "{}", output::json_text(&pretty))?;
            }
            Ok(EXIT_OK)
        }
        TrailCommand::Verify => {
            let report = verify(&dir).map_err(Failure::guard)?;
            if common.json {
                output::json_line(&mut out, &serde_json::to_value(&report).map_err(Failure::guard)?)?;
            } else {
                writeln!(out, "{report}")?;
            }
            Ok(if report.fault.is_some() { EXIT_DENIED } else { EXIT_OK })
        }
    }
}

/// One entry on one line, escaped.
fn summary(value: &Value) -> String {
    let entry = value.get("entry").unwrap_or(value);
    let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let fact = |name: &str| entry.get("facts").and_then(|facts| facts.get(name));
    let mut parts = vec![
        format!("{:>6}", value.get("seq").and_then(Value::as_u64).unwrap_or_default()),
        Timestamp(value.get("time").and_then(Value::as_u64).unwrap_or_default()).to_string(),
        format!("{:<8}", text("kind")),
    ];
    for (name, width) in [("decision", 5), ("risk", 8)] {
        parts.push(format!("{:<width$}", text(name)));
    }
    if let Some(chain) = entry.get("principal").and_then(Value::as_array) {
        let chain: Vec<&str> = chain.iter().filter_map(Value::as_str).collect();
        parts.push(chain.join("/"));
    }
    for name in ["event", "result", "status", "signal", "answer", "path"] {
        match fact(name) {
            Some(Value::String(text)) => parts.push(format!("{name}={text}")),
            Some(other) => parts.push(format!("{name}={other}")),
            None => {}
        }
    }
    parts.push(text("action").to_owned());
    if let Some(rules) = entry.get("rules").and_then(Value::as_array).filter(|rules| !rules.is_empty()) {
        let rules: Vec<&str> = rules.iter().filter_map(Value::as_str).collect();
        parts.push(format!("[{}]", rules.join(" ")));
    }
    parts.retain(|part| !part.trim().is_empty());
    escape_bytes(parts.join("  ").as_bytes()).replace("\\\\", "\\")
}
