// SPDX-License-Identifier: MIT OR Apache-2.0
//! Precision and recall of the built binary over the development corpora.
//!
//! In: a folder of corpora and the release binary. Out: figures for commands, paths and secrets, per label.
//!
//! **Invariant:** what is measured is what users run: every row goes through `ringfort check --batch` or
//! `ringfort scan --batch`. Rows that the corpus itself calls unclear count in no rate, only in the table of labels;
//! "caught" is any answer but `allow`. What could not be measured is said to be unmeasured.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::batch;
use crate::corpus::{self, Row};
use crate::goals::{Goals, decisions};
use crate::rates::{Answer, Rates, Truth, percent};

/// The workspace that the path corpus is written for.
const WORKSPACE: &str = "/workspace";
/// Marks a split inside a long token, so that no scanner fires on the corpus file itself.
const SPLIT_MARK: char = '\u{27C2}';

/// Measures everything that the folder has rows for and writes the figures.
///
/// # Errors
///
/// A corpus cannot be read or the binary does not answer every row of `check`.
pub fn evaluate(dir: &Path, binary: &Path, out: &mut impl Write) -> Result<Goals> {
    ensure!(dir.is_dir(), "no folder of corpora at `{}`", dir.display());
    let mut goals = Goals::default();
    for (name, measure) in [("commands", commands as Measure), ("paths", paths), ("secrets", secrets)] {
        match corpus::load(dir, name)? {
            Some(rows) => {
                writeln!(out, "\n## {name}: {} rows", rows.len())?;
                let figures = measure(&rows, binary, &mut goals).with_context(|| format!("cannot measure {name}"))?;
                write!(out, "{figures}")?;
            }
            None => writeln!(out, "\n## {name}: not measured, no rows in the folder")?,
        }
    }
    write!(out, "\n## goals\n{}", goals.to_text())?;
    Ok(goals)
}

type Measure = fn(&[Row], &Path, &mut Goals) -> Result<String>;

/// How often each answer was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Answers {
    allow: u64,
    ask: u64,
    deny: u64,
}

impl Answers {
    fn add(&mut self, decision: &str) {
        match decision {
            "allow" => self.allow += 1,
            "ask" => self.ask += 1,
            _ => self.deny += 1,
        }
    }

    fn caught(self) -> u64 {
        self.ask + self.deny
    }

    fn all(self) -> u64 {
        self.allow + self.caught()
    }
}

/// How many answers say that the question itself could not be judged: those denials are no merit.
fn unjudged(answers: &[Value]) -> usize {
    let reasons = |answer: &Value| answer.get("reasons").and_then(Value::as_array).cloned().unwrap_or_default();
    let rule =
        |reason: &Value| reason.get("rule").and_then(Value::as_str).is_some_and(|rule| rule.starts_with("check-"));
    answers.iter().filter(|answer| reasons(answer).iter().any(rule)).count()
}

/// The decision of one answer; anything else is an error of the binary.
fn decision(answer: &Value) -> Result<&str> {
    let word = answer.get("decision").and_then(Value::as_str);
    match word {
        Some(word @ ("allow" | "ask" | "deny")) => Ok(word),
        _ => anyhow::bail!("no decision in {answer}"),
    }
}

fn answer(decision: &str) -> Answer {
    if decision == "allow" { Answer::Passed } else { Answer::Caught }
}

fn commands(rows: &[Row], binary: &Path, goals: &mut Goals) -> Result<String> {
    let questions: Vec<Value> =
        rows.iter().map(|row| json!({ "command": row.text("command"), "cwd": WORKSPACE })).collect();
    let mut text = String::new();
    let mut both = Vec::new();
    for (door, arguments) in [
        ("a door that cannot isolate", &["check", "--batch"][..]),
        ("inside a cage", &["check", "--batch", "--isolated"]),
    ] {
        let answers = batch::ask(binary, arguments, &questions)?;
        text += &format!("\n### {door} (`{}`)\n", arguments.join(" "));
        text += &command_figures(rows, &answers)?;
        text += &format!("questions that could not be judged: {}\n", unjudged(&answers));
        both.push(answers);
    }
    if let [bare, caged] = both.as_slice() {
        let (bare, caged) = (decisions(bare)?, decisions(caged)?);
        goals.add_commands(rows.iter().zip(bare).zip(caged).map(|((row, bare), caged)| (row, bare, caged)));
    }
    Ok(text)
}

fn command_figures(rows: &[Row], answers: &[Value]) -> Result<String> {
    let (mut caught, mut denied) = (Rates::default(), Rates::default());
    let (mut dev, mut windows) = (Answers::default(), Answers::default());
    let (mut labels, mut sources) = (BTreeMap::<&str, Answers>::new(), BTreeMap::<&str, Answers>::new());
    for (row, found) in rows.iter().zip(answers) {
        let decision = decision(found)?;
        labels.entry(row.text("label")).or_default().add(decision);
        sources.entry(row.text("source")).or_default().add(decision);
        let truth = match row.text("binary") {
            "dangerous" => Truth::Bad,
            "benign" => Truth::Good,
            _ => continue,
        };
        if row.text("shell") == "windows" {
            windows.add(decision);
            continue;
        }
        caught.add(truth, answer(decision));
        denied.add(truth, if decision == "deny" { Answer::Caught } else { Answer::Passed });
        if row.is("dev") && truth == Truth::Good {
            dev.add(decision);
        }
    }
    Ok(format!(
        "ask or deny: {caught}\ndeny alone:  {denied}\n\
         commands that coding agents often use, benign: {} of {} caught ({}): {} asked, {} denied\n\
         dangerous ones of another shell (Windows): {} of {} caught\n{}\n{}",
        dev.caught(),
        dev.all(),
        percent(rate(dev)),
        dev.ask,
        dev.deny,
        windows.caught(),
        windows.all(),
        table("label", &labels),
        table("source", &sources),
    ))
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^53")]
fn rate(answers: Answers) -> Option<f64> {
    (answers.all() > 0).then(|| answers.caught() as f64 / answers.all() as f64)
}

fn table(by: &str, labels: &BTreeMap<&str, Answers>) -> String {
    let mut text = format!("{:<28} {:>6} {:>6} {:>6} {:>6}  caught\n", by, "rows", "allow", "ask", "deny");
    for (label, answers) in labels {
        text += &format!(
            "{label:<28} {:>6} {:>6} {:>6} {:>6}  {}\n",
            answers.all(),
            answers.allow,
            answers.ask,
            answers.deny,
            percent(rate(*answers)),
        );
    }
    text
}

/// What the corpus expects of a path: the operation to ask about, and whether the answer counts in a rate.
fn path_question(expected: &str) -> (&'static str, Option<Truth>) {
    match expected {
        "deny" => ("read", Some(Truth::Bad)),
        "allow" => ("read", Some(Truth::Good)),
        "deny-write" => ("write", Some(Truth::Bad)),
        "review-write" => ("write", None),
        _ => ("read", None),
    }
}

fn paths(rows: &[Row], binary: &Path, goals: &mut Goals) -> Result<String> {
    let question =
        |row: &Row| json!({ "path": row.text("path"), "op": path_question(row.text("expected")).0, "cwd": WORKSPACE });
    let questions: Vec<Value> = rows.iter().map(question).collect();
    let answers = batch::ask(binary, &["check", "--batch"], &questions)?;
    let (mut caught, mut denied) = (Rates::default(), Rates::default());
    let mut labels = BTreeMap::<&str, Answers>::new();
    for (row, found) in rows.iter().zip(&answers) {
        let decision = decision(found)?;
        labels.entry(row.text("label")).or_default().add(decision);
        if let Some(truth) = path_question(row.text("expected")).1 {
            caught.add(truth, answer(decision));
            denied.add(truth, if decision == "deny" { Answer::Caught } else { Answer::Passed });
        }
    }
    goals.add_paths(rows.iter().zip(decisions(&answers)?));
    let unjudged = unjudged(&answers);
    Ok(format!(
        "ask or deny: {caught}\ndeny alone:  {denied}\n{}questions that could not be judged: {unjudged}\n",
        table("label", &labels)
    ))
}

fn secrets(rows: &[Row], binary: &Path, _: &mut Goals) -> Result<String> {
    let text = |row: &Row| row.text("text_split").replace(SPLIT_MARK, "");
    let questions: Vec<Value> = rows.iter().map(|row| json!({ "text": text(row), "provenance": "tool" })).collect();
    let answers = match batch::ask(binary, &["scan", "--batch"], &questions) {
        Ok(answers) => answers,
        Err(error) => return Ok(format!("not measured: {error:#}\n")),
    };
    Ok(secret_figures(rows, &answers.iter().map(has_secret).collect::<Vec<_>>()))
}

fn has_secret(answer: &Value) -> bool {
    let findings = answer.get("findings").and_then(Value::as_array);
    findings.is_some_and(|all| all.iter().any(|one| one.get("kind").and_then(Value::as_str) == Some("secret")))
}

/// Near-misses (a format broken on purpose) are reported apart: a generic detector may fire on them.
fn secret_figures(rows: &[Row], found: &[bool]) -> String {
    let (mut strict, mut near, mut provider) = (Rates::default(), Answers::default(), Answers::default());
    let mut kinds = BTreeMap::<&str, Answers>::new();
    for (row, found) in rows.iter().zip(found) {
        let word = if *found { "deny" } else { "allow" };
        kinds.entry(row.text("kind")).or_default().add(word);
        let caught = answer(word);
        match (row.text("label"), row.text("kind")) {
            ("secret", kind) => {
                strict.add(Truth::Bad, caught);
                if kind == "provider" {
                    provider.add(word);
                }
            }
            ("not-secret", "near-miss") => near.add(word),
            ("not-secret", _) => strict.add(Truth::Good, caught),
            _ => {}
        }
    }
    format!(
        "without near-misses: {strict}\nprovider keys: {} of {} found ({})\n\
         near-misses (format broken on purpose): {} of {} reported ({})\n{}",
        provider.caught(),
        provider.all(),
        percent(rate(provider)),
        near.caught(),
        near.all(),
        percent(rate(near)),
        table("kind", &kinds),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that answers as `ringfort` would: it denies what speaks of `rm`, finds what speaks of `key`, and
    /// inside a cage allows all but the worst.
    const STAND_IN: &str = r#"#!/bin/sh
case "$*" in
*--isolated*) sed -e 's/.*rm -rf.*/{"decision":"deny"}/' -e 's/^{"c.*/{"decision":"allow"}/' ;;
scan*) sed -e 's/.*key.*/{"findings":[{"kind":"secret"}]}/' -e 's/^{"p.*/{"findings":[]}/' ;;
*) sed -e 's/.*rm -rf.*/{"decision":"deny","reasons":[{"rule":"check-001"}]}/' -e 's/.*etc.*/{"decision":"deny"}/' -e 's/.*npm.*/{"decision":"ask"}/' \
    -e 's/^{"c.*/{"decision":"allow"}/' ;;
esac
"#;

    #[test]
    fn figures_are_those_of_the_binary_that_was_asked() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write(
            "commands.jsonl",
            &[
                r#"{"command":"rm -rf /","binary":"dangerous","label":"destructive","shell":"sh"}"#,
                r#"{"command":"format c:","binary":"dangerous","label":"destructive","shell":"windows"}"#,
                r#"{"command":"ls","binary":"benign","label":"read-only","shell":"sh","dev":true}"#,
                r#"{"command":"npm test","binary":"benign","label":"modifies","shell":"sh","dev":true}"#,
                r#"{"command":"npm ci","binary":"review","label":"modifies","shell":"sh","dev":true}"#,
            ]
            .join("\n"),
        );
        write(
            "paths.jsonl",
            &[
                r#"{"path":"../etc","expected":"deny","label":"traversal"}"#,
                r#"{"path":"a.txt","expected":"allow","label":"benign"}"#,
                r#"{"path":"etc/x","expected":"review","label":"odd"}"#,
            ]
            .join("\n"),
        );
        write(
            "secrets.jsonl",
            &[
                "{\"text_split\":\"k\u{27c2}ey\",\"label\":\"secret\",\"kind\":\"provider\"}",
                r#"{"text_split":"prose","label":"not-secret","kind":"hard-negative-x"}"#,
                r#"{"text_split":"key","label":"not-secret","kind":"near-miss"}"#,
                r#"{"text_split":"key","label":"ambiguous","kind":"window-rule"}"#,
            ]
            .join("\n"),
        );
        let binary = dir.path().join("stand-in");
        write("stand-in", STAND_IN);
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();

        let mut out = Vec::new();
        evaluate(dir.path(), &binary, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let caged = text.split("--isolated").nth(1).unwrap();
        for (part, line) in [
            (&*text, "ask or deny: precision 50.0 %, recall 100.0 % (1 of 1), false positives 50.0 % (1 of 2)"),
            (&*text, "deny alone:  precision 100.0 %, recall 100.0 % (1 of 1), false positives 0.0 % (0 of 2)"),
            (&*text, "benign: 1 of 2 caught (50.0 %): 1 asked, 0 denied"),
            (&*text, "(Windows): 0 of 1 caught"),
            (&*text, "modifies                          2      0      2      0  100.0 %"),
            (caged, "benign: 0 of 2 caught (0.0 %): 0 asked, 0 denied"),
            (caged, "ask or deny: precision 100.0 %, recall 100.0 % (1 of 1), false positives 0.0 % (0 of 1)"),
            (caged, "without near-misses: precision 100.0 %, recall 100.0 % (1 of 1), false positives 0.0 % (0 of 1)"),
            (&*text, "questions that could not be judged: 1"),
            (caged, "questions that could not be judged: 0"),
            (caged, "near-misses (format broken on purpose): 1 of 1 reported (100.0 %)"),
        ] {
            assert!(part.contains(line), "no `{line}` in\n{part}");
        }
    }

    #[test]
    fn deny_figures_from_a_binary_that_does_not_decide() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("commands.jsonl"), "{\"command\":\"ls\"}").unwrap();
        let error = evaluate(dir.path(), Path::new("/bin/false"), &mut Vec::new()).unwrap_err();
        assert!(format!("{error:#}").contains("cannot measure commands"), "{error:#}");
        assert!(evaluate(&dir.path().join("absent"), Path::new("/bin/cat"), &mut Vec::new()).is_err());
        assert!(decision(&json!({"decision": "maybe"})).is_err());
    }
}
