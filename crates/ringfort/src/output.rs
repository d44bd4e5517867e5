// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people and programs read: errors, rulings, JSON lines.
//!
//! In: typed answers. Out: text with colours only on a terminal, or one JSON object a line.
//!
//! **Invariant:** text from outside is escaped before it is shown.

pub(crate) mod diff;
pub(crate) mod explain;
pub(crate) mod remedy;

use std::borrow::Cow;
use std::io::{self, Write};

use ringfort_core::action::{Action, Command};
use ringfort_core::decision::Decision;
use ringfort_core::effect::Span;
use ringfort_core::ruling::{Reason, Remedy, Ruling};
use ringfort_core::score;
use ringfort_core::text::{escape_bytes, is_invisible};
use serde_json::{Value, json};

/// Longest part of an input that is shown around a span. Bytes, and characters once escaped.
const SHOWN_BYTES_MAX: usize = 160;
/// Most reasons that say the same of different words.
const SAME_MAX: usize = 3;
/// Most reasons and effects that a person is shown.
const LINES_MAX: usize = 24;

/// Prints an error with its causes, and what to do.
pub(crate) fn error(error: &anyhow::Error, help: Option<&str>) {
    let mut err = anstream::stderr().lock();
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        text.push_str(": ");
        text.push_str(&cause.to_string());
    }
    // Nobody is left to tell if standard error is closed.
    drop(writeln!(err, "{}error:{} {}", style("31;1"), style("0"), escape_lines(&text)));
    if let Some(help) = help {
        drop(writeln!(err, "{}help:{} {}", style("36;1"), style("0"), escape_lines(help)));
    }
}

/// Escapes each line by itself.
fn escape_lines(text: &str) -> String {
    text.lines().map(|line| escape_bytes(line.as_bytes()).replace("\\\\", "\\")).collect::<Vec<_>>().join("\n")
}

fn style(code: &str) -> String {
    format!("\u{1b}[{code}m")
}

/// The colour of a decision.
fn colour(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "32;1",
        Decision::Ask => "33;1",
        Decision::Deny => "31;1",
    }
}

/// A ruling as `check` prints it: the documented JSON object.
pub(crate) fn ruling_json(ruling: &Ruling) -> Value {
    let reasons: Vec<Value> = ruling
        .reasons
        .iter()
        .map(|reason| {
            json!({
                "rule": reason.rule,
                "ring": reason.ring,
                "decision": reason.decision,
                "span": reason.span,
                "message": reason.message,
                "remedy": reason.remedy.as_ref().map(Remedy::text),
                "remedy_for": reason.remedy.as_ref().map(|remedy| match remedy {
                    Remedy::Anyone(_) => "anyone",
                    Remedy::Person(_) => "person",
                }),
            })
        })
        .collect();
    json!({
        "decision": ruling.decision,
        "risk": ruling.risk,
        "effects": ruling.effects,
        "obligations": ruling.obligations.to_words(),
        "reasons": reasons,
        "score": score::of(ruling),
    })
}

/// How much of a ruling a person wants to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What decided.
    Brief,
    /// Everything: effects, obligations, all reasons.
    Full,
}

/// Whether the remedies that widen are shown with their reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Widening {
    /// Each with its reason.
    Shown,
    /// Not here: what would allow it all is shown apart, or an agent reads.
    Hidden,
}

/// Prints a ruling for a person. `input` is the text that spans refer to.
///
/// # Errors
///
/// The stream cannot be written.
pub(crate) fn ruling(
    out: &mut dyn Write,
    ruling: &Ruling,
    input: Option<&[u8]>,
    detail: Detail,
    widening: Widening,
) -> io::Result<()> {
    let decision = ruling.decision;
    writeln!(out, "{}{}{}  risk {}", style(colour(decision)), decision.as_str(), style("0"), ruling.risk.as_str())?;
    let reasons: Vec<_> = match detail {
        // What asked stands beside what denied: a question that nobody could answer is the real reason.
        Detail::Brief if decision == Decision::Deny => {
            ruling.reasons.iter().filter(|reason| reason.decision >= Decision::Ask).collect()
        }
        Detail::Brief => ruling.deciding().collect(),
        Detail::Full => ruling.reasons.iter().collect(),
    };
    let same = |a: &Reason, b: &Reason| a.rule == b.rule && a.message == b.message && a.decision == b.decision;
    // The same again says nothing new.
    let few = |(at, reason): &(usize, &&Reason)| {
        reasons.iter().take(*at).filter(|earlier| same(earlier, reason)).count() < SAME_MAX
    };
    let shown: Vec<&Reason> = reasons.iter().enumerate().filter(few).map(|(_, reason)| *reason).collect();
    for reason in shown.iter().take(LINES_MAX) {
        writeln!(
            out,
            "  {}{}{} {} [{}]",
            style(colour(reason.decision)),
            mark(reason.decision),
            style("0"),
            escape_bytes(reason.message.as_bytes()),
            reason.rule
        )?;
        if let (Some(input), Some(span)) = (input, reason.span) {
            excerpt(out, input, span)?;
        }
        let hidden = |remedy: &&Remedy| widening == Widening::Hidden && matches!(remedy, Remedy::Person(_));
        if let Some(remedy) = reason.remedy.as_ref().filter(|remedy| !hidden(remedy)) {
            let who = if matches!(remedy, Remedy::Person(_)) { "to allow it" } else { "instead" };
            for (number, line) in remedy.text().lines().enumerate() {
                let label = if number == 0 { format!("{who}: ") } else { " ".repeat(who.len() + 2) };
                writeln!(out, "      {label}{}", escape_bytes(line.as_bytes()).replace("\\\\", "\\"))?;
            }
        }
    }
    let more = reasons.len() - shown.len().min(LINES_MAX);
    if more > 0 {
        writeln!(out, "  … and {more} more reasons (--json shows all)")?;
    }
    if detail == Detail::Full {
        obligations(out, ruling)?;
        score_line(out, ruling)?;
    }
    Ok(())
}

fn obligations(out: &mut dyn Write, ruling: &Ruling) -> io::Result<()> {
    let words = ruling.obligations.to_words();
    if words.is_empty() { Ok(()) } else { writeln!(out, "obligations: {}", words.join(", ")) }
}

/// The score and what it is made of.
fn score_line(out: &mut dyn Write, ruling: &Ruling) -> io::Result<()> {
    let score = score::of(ruling);
    let parts: Vec<String> =
        score.parts.iter().take(LINES_MAX).map(|part| format!("{} {}", part.what, part.points)).collect();
    writeln!(out, "score: {}{}{}", score.total, if parts.is_empty() { "" } else { " = " }, parts.join(" + "))
}

/// Prints the effects of an action that is no command.
///
/// # Errors
///
/// The stream cannot be written.
pub(crate) fn effects(out: &mut dyn Write, ruling: &Ruling) -> io::Result<()> {
    if !ruling.effects.is_empty() {
        writeln!(out, "effects:")?;
    }
    for effect in ruling.effects.iter().take(LINES_MAX) {
        let target =
            effect.target.as_ref().map_or_else(|| "(known at run time)".to_owned(), |t| escape_bytes(t.as_bytes()));
        writeln!(out, "  {:<16} {target}", effect.kind.as_str())?;
    }
    Ok(())
}

/// The bytes that the spans of a ruling on this action refer to; `None` where they refer to nothing that is shown.
pub(crate) fn input(action: &Action) -> Option<Cow<'_, [u8]>> {
    match action {
        Action::Command(Command::Shell(text)) => Some(Cow::Borrowed(text.as_bytes())),
        Action::Command(Command::Argv(words)) => {
            Some(words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>().join(&b' ').into())
        }
        _ => None,
    }
}

const fn mark(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "+",
        Decision::Ask => "?",
        Decision::Deny => "x",
    }
}

/// The line of the input that holds a span, with the span underlined.
fn excerpt(out: &mut dyn Write, input: &[u8], span: Span) -> io::Result<()> {
    let (Some(before), Some(_)) = (input.get(..span.start), input.get(span.start..span.end)) else { return Ok(()) };
    let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let start = line_start.max(span.start.saturating_sub(SHOWN_BYTES_MAX / 2));
    let line_end =
        input.iter().skip(span.start).position(|byte| *byte == b'\n').map_or(input.len(), |at| span.start + at);
    let end = line_end.min(start + SHOWN_BYTES_MAX).max(span.start);
    let part = |from: usize, to: usize| escape_bytes(input.get(from..to.max(from)).unwrap_or_default());
    let stop = span.end.min(end);
    // What is escaped grows: the bound holds for what is shown, too.
    let lead: Vec<char> = part(start, span.start).chars().collect();
    let lead: String = lead.iter().skip(lead.len().saturating_sub(SHOWN_BYTES_MAX / 2)).collect();
    let words: String = part(span.start, stop).chars().take(SHOWN_BYTES_MAX - lead.chars().count()).collect();
    let left = SHOWN_BYTES_MAX.saturating_sub(lead.chars().count() + words.chars().count());
    let tail: String = part(stop, end).chars().take(left).collect();
    writeln!(out, "      | {lead}{words}{tail}")?;
    let width = words.chars().count().max(1);
    writeln!(out, "      | {}{}", " ".repeat(lead.chars().count()), "^".repeat(width))
}

/// Prints one JSON value on a line.
///
/// # Errors
///
/// The stream cannot be written.
pub(crate) fn json_line(out: &mut dyn Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{}", json_text(&value.to_string()))
}

/// JSON that a terminal may show: what JSON lets stand inside strings, and a terminal obeys or hides, is written as
/// `\u` escapes. The value is the same.
pub(crate) fn json_text(json: &str) -> Cow<'_, str> {
    // A line's own end is layout, and stands in no string.
    let hides = |c: char| c != '\n' && (c.is_control() || is_invisible(c));
    if !json.chars().any(hides) {
        return Cow::Borrowed(json);
    }
    let mut units = [0; 2];
    json.chars()
        .fold(String::with_capacity(json.len() + 16), |mut text, c| {
            if hides(c) {
                c.encode_utf16(&mut units).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
            } else {
                text.push(c);
            }
            text
        })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_shows_no_control_sequence_and_means_the_same() {
        for text in ["plain \"q\" \\ ü", "a\u{1b}[8m\u{9b}31m\u{7f}", "\u{202e}x\u{200b}\u{e0041}"] {
            let value = json!({ "text": text });
            let shown = json_text(&value.to_string()).into_owned();
            assert!(!shown.chars().any(|c| c.is_control() || is_invisible(c)), "{shown:?}");
            assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
        }
    }
}
