// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort scan`: secrets in text, found and redacted.
//!
//! In: text on standard input, or JSON Lines with `--batch`. Out: findings and the redacted text; exit status 0 clean,
//! 1 findings; with `--batch` 0 once every line was answered.
//!
//! **Invariant:** nothing is written anywhere but to standard output; a finding never carries the matched text.

use std::io::{self, Read as _, Write as _};

use clap::Args;
use ringfort_core::finding::Finding;
use serde::Deserialize;
use serde_json::{Value, json};

use super::check::{Reading, read_line};
use super::{EXIT_DENIED, EXIT_OK, Failure};
use crate::output;

/// Largest text that is scanned at once. Bytes.
const TEXT_BYTES_MAX: u64 = 256 << 20;

/// Find and redact secrets in text
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringfort scan < build.log                    what was found, one JSON object a line
  ringfort scan --redact < build.log           the text without secrets
  printf '{\"text\": \"…\"}\\n' | ringfort scan --batch")]
pub(crate) struct ScanArgs {
    /// Print the redacted text instead of the findings
    #[arg(long, conflicts_with = "batch")]
    redact: bool,
    /// Read JSON Lines on standard input and answer each with one JSON object
    #[arg(long)]
    batch: bool,
}

/// Runs the command.
///
/// # Errors
///
/// The input cannot be read, or is too large.
pub(crate) fn run(args: &ScanArgs) -> Result<u8, Failure> {
    if args.batch {
        return batch();
    }
    let mut text = Vec::new();
    io::stdin().lock().take(TEXT_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        return Err(Failure::usage(anyhow::anyhow!("the text is longer than {TEXT_BYTES_MAX} bytes")));
    }
    let findings = ringfort_detect::scan(&text);
    let mut out = io::BufWriter::new(io::stdout().lock());
    if args.redact {
        out.write_all(ringfort_detect::redact(&text).as_bytes())?;
    } else {
        for finding in &findings {
            output::json_line(&mut out, &finding_json(finding))?;
        }
    }
    out.flush()?;
    Ok(if findings.is_empty() { EXIT_OK } else { EXIT_DENIED })
}

/// One line of a batch.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    text: String,
    /// Where the text came from; checked, and secrets are found whatever it says.
    #[serde(default, rename = "provenance")]
    _provenance: Option<Provenance>,
    id: Option<Value>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Provenance {
    User,
    Tool,
    Web,
    Mail,
    Document,
    Code,
}

fn batch() -> Result<u8, Failure> {
    let mut input = io::stdin().lock();
    let mut out = io::LineWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        let reading = read_line(&mut input, &mut line)?;
        if line.is_empty() && reading == Reading::End {
            return Ok(EXIT_OK);
        }
        let answer = match reading {
            Reading::TooLong => json!({ "error": "the line is too long" }),
            Reading::Line | Reading::End => answer(&line),
        };
        output::json_line(&mut out, &answer)?;
        if reading == Reading::End {
            return Ok(EXIT_OK);
        }
    }
}

fn answer(line: &[u8]) -> Value {
    let line: Line = match serde_json::from_slice(line) {
        Ok(line) => line,
        Err(error) => return json!({ "error": format!("the line cannot be read: {error}") }),
    };
    let Line { text, id, .. } = line;
    let findings: Vec<Value> = ringfort_detect::scan(text.as_bytes()).iter().map(finding_json).collect();
    let redacted = ringfort_detect::redact(text.as_bytes());
    let mut answer = json!({ "findings": findings, "redacted": String::from_utf8_lossy(redacted.as_bytes()) });
    if let (Some(id), Some(object)) = (id, answer.as_object_mut()) {
        object.insert("id".to_owned(), id);
    }
    answer
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "rule": finding.rule,
        "kind": finding.kind,
        "span": finding.span,
        "severity": finding.severity,
        "confidence": finding.confidence,
    })
}
