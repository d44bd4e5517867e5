// SPDX-License-Identifier: MIT OR Apache-2.0
//! Questions to the built binary, all through one process.
//!
//! In: the binary, its arguments, one JSON object per question. Out: one JSON object per question, in order.
//!
//! **Invariant:** an answer too few or too many, or an exit status other than 0, is an error: a figure over half the
//! rows would look like a figure over all of them.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// All that the binary sees of an environment: figures must not depend on who measures, nor on that person's settings.
const ENVIRONMENT: [(&str, &str); 3] = [("HOME", "/home/user"), ("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8")];

/// Asks `binary arguments…` every question and returns the answers, in order.
///
/// # Errors
///
/// The program cannot be started, fails, or does not answer every line. No answer is returned then.
#[expect(clippy::disallowed_methods, reason = "evaluation asks the binary that users run, outside any cage")]
pub fn ask(binary: &Path, arguments: &[&str], questions: &[Value]) -> Result<Vec<Value>> {
    let what = || format!("`{} {}`", binary.display(), arguments.join(" "));
    let mut child = Command::new(binary)
        .args(arguments)
        .env_clear()
        .envs(ENVIRONMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", what()))?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        bail!("{} has no standard streams", what());
    };
    let (written, answers) = std::thread::scope(|scope| {
        let writer = scope.spawn(move || write_lines(input, questions));
        let answers = read_lines(output, questions.len());
        (writer.join(), answers)
    });
    let status = child.wait().with_context(what)?;
    let answers = answers.with_context(what)?;
    ensure!(status.success(), "{} ended with {status}", what());
    written.map_err(|_| anyhow::anyhow!("the writer of {} panicked", what()))?.with_context(what)?;
    ensure!(answers.len() == questions.len(), "{} answered {} of {}", what(), answers.len(), questions.len());
    Ok(answers)
}

fn write_lines(input: impl Write, questions: &[Value]) -> Result<()> {
    let mut input = BufWriter::new(input);
    for question in questions {
        serde_json::to_writer(&mut input, question)?;
        input.write_all(b"\n")?;
    }
    Ok(input.flush()?)
}

fn read_lines(output: impl std::io::Read, expected: usize) -> Result<Vec<Value>> {
    let mut answers = Vec::with_capacity(expected);
    for line in BufReader::new(output).lines() {
        let line = line?;
        ensure!(answers.len() < expected, "more answers than questions");
        answers.push(serde_json::from_str(&line).with_context(|| format!("answer {}", answers.len() + 1))?);
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_come_in_order_and_all_of_them() {
        let questions: Vec<Value> = (0..20_000).map(|n| json!({ "n": n })).collect();
        assert_eq!(ask(Path::new("/bin/cat"), &[], &questions).unwrap(), questions);
    }

    #[test]
    fn deny_programs_that_do_not_answer() {
        let questions = [json!({"n": 1}), json!({"n": 2})];
        for (arguments, expected) in [
            (["-c", "head -n 1"], "answered 1 of 2"),
            (["-c", "cat; echo {}"], "more answers than questions"),
            (["-c", "cat; exit 3"], "exit status: 3"),
            (["-c", "cat >/dev/null; echo nonsense"], "answer 1"),
        ] {
            let error = ask(Path::new("/bin/sh"), &arguments, &questions).unwrap_err();
            assert!(format!("{error:#}").contains(expected), "{arguments:?}: {error:#}");
        }
        assert!(ask(Path::new("/nonexistent/ringfort"), &[], &questions).is_err());
    }
}
