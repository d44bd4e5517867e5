// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tree of a command: what would run, where it stands, what each part does, and which rules speak about it.
//!
//! In: an analysis and the ruling on the same input. Out: lines for a person, or the member `tree` of the JSON.
//!
//! **Invariant:** bounded: of a long script the first commands are shown, with how many more there are. Text from the
//! input is escaped. Nothing is decided here; the rules shown are those of the ruling.

use std::io::{self, Write};

use ringfort_core::action::{Action, Command};
use ringfort_core::ruling::{Reason, Ruling};
use ringfort_core::text::escape_bytes;
use ringfort_policy::command::analysis::{
    Analysis, Argument, Certainty, Context, HOLE, Knowledge, PlaceKind, Program, SimpleCommand, Timing,
};
use ringfort_policy::command::{analyze, analyze_argv};
use ringfort_policy::path::Setting;
use serde_json::{Value, json};

use super::{colour, mark, style};

/// Most commands of a tree that a person is shown.
const SHOWN_MAX: usize = 100;
/// Most commands of a tree in JSON.
const LISTED_MAX: usize = 1000;
/// Most effects of one command that are shown.
const EFFECTS_MAX: usize = 12;
/// Longest command line of one node. Characters.
const LINE_CHARS_MAX: usize = 120;
/// Longest word in JSON. Bytes.
const WORD_BYTES_MAX: usize = 4096;
/// Most words of one command in JSON.
const WORDS_MAX: usize = 256;
/// Deepest nesting that is drawn; what is deeper stands at this depth.
const DEPTH_MAX: usize = 40;

/// What an action would run; `None` for one that is no command.
pub(crate) fn analysis(action: &Action, setting: &Setting<'_>) -> Option<Analysis> {
    let context =
        Context { cwd: Some(&setting.cwd), home: setting.home.as_deref(), workspace: setting.workspace.as_deref() };
    match action {
        Action::Command(Command::Shell(text)) => Some(analyze(text.as_bytes(), &context)),
        Action::Command(Command::Argv(words)) => {
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            Some(analyze_argv(&words, &context))
        }
        _ => None,
    }
}

/// The commands that stand at one level, and what each runs.
struct Tree<'a> {
    analysis: &'a Analysis,
    /// For each command, those that it runs.
    children: Vec<Vec<usize>>,
    roots: Vec<usize>,
    /// For each command, the reasons that speak about it and no command inside it.
    reasons: Vec<Vec<&'a Reason>>,
}

impl<'a> Tree<'a> {
    /// The tree of the first `most` commands.
    fn new(analysis: &'a Analysis, ruling: &'a Ruling, most: usize) -> Self {
        let count = analysis.commands.len().min(most);
        let mut children = vec![Vec::new(); count];
        let mut roots = Vec::new();
        for (index, command) in analysis.commands.iter().enumerate().take(count) {
            match command.via.filter(|via| *via != index).and_then(|via| children.get_mut(via)) {
                Some(list) => list.push(index),
                None => roots.push(index),
            }
        }
        let mut reasons = vec![Vec::new(); count];
        for reason in &ruling.reasons {
            let Some(span) = reason.span else { continue };
            let covers = |(_, command): &(usize, &SimpleCommand)| {
                command.span.start <= span.start && span.end <= command.span.end
            };
            let shown = analysis.commands.iter().enumerate().take(count);
            let innermost = shown.filter(covers).min_by_key(|(_, command)| command.span.end - command.span.start);
            if let Some(list) = innermost.and_then(|(index, _)| reasons.get_mut(index)) {
                list.push(reason);
            }
        }
        Self { analysis, children, roots, reasons }
    }

    fn command(&self, index: usize) -> Option<&'a SimpleCommand> {
        self.analysis.commands.get(index)
    }
}

/// The member `tree`: nested commands, and how many are left out.
pub(crate) fn tree_json(analysis: &Analysis, ruling: &Ruling) -> Value {
    let tree = Tree::new(analysis, ruling, LISTED_MAX);
    let mut made: Vec<Option<Value>> =
        (0..tree.children.len()).map(|index| tree.command(index).map(|c| node(&tree, index, c))).collect();
    let nested = nest(&tree, &tree.roots, &mut made, 0);
    json!({ "commands": nested, "more": analysis.commands.len().saturating_sub(LISTED_MAX) })
}

fn nest(tree: &Tree<'_>, indices: &[usize], made: &mut [Option<Value>], depth: usize) -> Vec<Value> {
    let mut nodes = Vec::with_capacity(indices.len());
    for index in indices {
        let Some(mut value) = made.get_mut(*index).and_then(Option::take) else { continue };
        let below = tree.children.get(*index).map(Vec::as_slice).unwrap_or_default();
        let runs = if depth < DEPTH_MAX { nest(tree, below, made, depth + 1) } else { Vec::new() };
        if let Some(members) = value.as_object_mut() {
            members.insert("runs".to_owned(), Value::from(runs));
        }
        nodes.push(value);
    }
    nodes
}

fn node(tree: &Tree<'_>, index: usize, command: &SimpleCommand) -> Value {
    let program = match &command.program {
        Program::Known(bytes) => Some(word(bytes)),
        Program::Unknown(_) | Program::Absent => None,
    };
    let args: Vec<Value> = command
        .args
        .iter()
        .take(WORDS_MAX)
        .map(|argument| json!({ "text": argument.known().map(word), "span": argument.span }))
        .collect();
    let rules: Vec<Value> = tree
        .reasons
        .get(index)
        .into_iter()
        .flatten()
        .map(|reason| json!({ "rule": reason.rule, "decision": reason.decision, "span": reason.span }))
        .collect();
    let effects = tree.analysis.effects.get(command.effects.clone()).unwrap_or_default();
    json!({
        "program": program,
        "args": args,
        "span": command.span,
        "place": place(command.place.kind),
        "pipeline": command.place.pipeline,
        "stage": command.place.stage,
        "background": command.place.timing == Timing::Background,
        "certain": command.place.certainty == Certainty::Always,
        "caged": command.caged,
        "knowledge": knowledge(command.knowledge),
        "risk": command.risk,
        "effects": effects,
        "rules": rules,
    })
}

fn word(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.get(..bytes.len().min(WORD_BYTES_MAX)).unwrap_or_default()).into_owned()
}

const fn place(kind: PlaceKind) -> &'static str {
    match kind {
        PlaceKind::Top => "top",
        PlaceKind::Subshell => "subshell",
        PlaceKind::Substitution => "substitution",
        PlaceKind::Process => "process-substitution",
        PlaceKind::Function => "function",
        PlaceKind::Alias => "alias",
        PlaceKind::Trap => "trap",
        PlaceKind::Text => "text",
        PlaceKind::Document => "here-document",
        PlaceKind::Pipe => "pipe",
        PlaceKind::Wrapped => "wrapped",
        PlaceKind::Dialect => "other-shell",
    }
}

const fn knowledge(knowledge: Knowledge) -> &'static str {
    match knowledge {
        Knowledge::Catalogue => "catalogue",
        Knowledge::Partial => "partial",
        Knowledge::Defined => "defined",
        Knowledge::Unknown => "unknown",
    }
}

/// Draws the tree for a person.
///
/// # Errors
///
/// The stream cannot be written.
pub(crate) fn tree(out: &mut dyn Write, analysis: &Analysis, ruling: &Ruling) -> io::Result<()> {
    if analysis.commands.is_empty() {
        return Ok(());
    }
    let tree = Tree::new(analysis, ruling, SHOWN_MAX);
    writeln!(out, "what would run:")?;
    draw(out, &tree, &tree.roots, "  ", 0)?;
    let more = analysis.commands.len().saturating_sub(SHOWN_MAX);
    if more > 0 {
        writeln!(out, "  … and {more} more commands (--json lists up to {LISTED_MAX})")?;
    }
    Ok(())
}

/// Draws commands that stand at one level; stages of one pipeline are bracketed.
fn draw(out: &mut dyn Write, tree: &Tree<'_>, indices: &[usize], indent: &str, depth: usize) -> io::Result<()> {
    for (position, index) in indices.iter().enumerate() {
        let Some(command) = tree.command(*index) else { continue };
        let is_last = position + 1 == indices.len();
        let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        let stage = |other: Option<&usize>| {
            other.and_then(|other| tree.command(*other)).is_some_and(|other| {
                other.place.pipeline == command.place.pipeline && other.place.stage != command.place.stage
            })
        };
        let piped = position > 0 && stage(indices.get(position - 1));
        writeln!(
            out,
            "{indent}{branch}{}{}{}{}{}",
            if piped { "| " } else { "" },
            style("1"),
            line(command),
            style("0"),
            notes(command)
        )?;
        let inner = format!("{indent}{below}");
        details(out, tree, *index, command, &inner)?;
        let children = tree.children.get(*index).map(Vec::as_slice).unwrap_or_default();
        draw(out, tree, children, if depth < DEPTH_MAX { &inner } else { indent }, depth + 1)?;
    }
    Ok(())
}

fn details(
    out: &mut dyn Write,
    tree: &Tree<'_>,
    index: usize,
    command: &SimpleCommand,
    indent: &str,
) -> io::Result<()> {
    let effects = tree.analysis.effects.get(command.effects.clone()).unwrap_or_default();
    for effect in effects.iter().take(EFFECTS_MAX) {
        let target =
            effect.target.as_ref().map_or_else(|| "(known at run time)".to_owned(), |t| escape_bytes(t.as_bytes()));
        writeln!(out, "{indent}    {:<18} {}", effect.kind.as_str(), cut(&target))?;
    }
    if effects.len() > EFFECTS_MAX {
        writeln!(out, "{indent}    … and {} more effects", effects.len() - EFFECTS_MAX)?;
    }
    for reason in tree.reasons.get(index).into_iter().flatten() {
        let (code, sign) = (style(colour(reason.decision)), mark(reason.decision));
        let message = cut(&escape_bytes(reason.message.as_bytes()));
        writeln!(out, "{indent}    {code}{sign} {}{}: {message}", reason.rule, style("0"))?;
    }
    Ok(())
}

/// The command as it would run: what is not known is a hole.
fn line(command: &SimpleCommand) -> String {
    let mut text = match &command.program {
        Program::Known(bytes) => escape_bytes(bytes),
        Program::Unknown(_) => "(a program known at run time)".to_owned(),
        Program::Absent => "(no program)".to_owned(),
    };
    for argument in &command.args {
        text.push(' ');
        text.push_str(&shown(argument));
        if text.len() > LINE_CHARS_MAX * 4 {
            break;
        }
    }
    cut(&text)
}

fn shown(argument: &Argument) -> String {
    if let Some(known) = argument.known() {
        let text = escape_bytes(known);
        return if text.is_empty() || text.contains(' ') { format!("'{text}'") } else { text };
    }
    let parts: Vec<String> = argument.bytes.split(|byte| *byte == HOLE).map(escape_bytes).collect();
    parts.join("‹?›")
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LINE_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(LINE_CHARS_MAX - 1).chain(['…']).collect()
}

/// Where it stands, in parentheses.
fn notes(command: &SimpleCommand) -> String {
    let mut notes: Vec<&str> = Vec::new();
    if command.place.kind != PlaceKind::Top && command.place.kind != PlaceKind::Wrapped {
        notes.push(place(command.place.kind));
    }
    if command.place.timing == Timing::Background {
        notes.push("in the background");
    }
    if command.place.certainty == Certainty::Perhaps {
        notes.push("perhaps");
    }
    if command.caged {
        notes.push("in the cage");
    }
    match command.knowledge {
        Knowledge::Unknown if matches!(command.program, Program::Known(_)) => notes.push("not in the catalogue"),
        Knowledge::Partial => notes.push("not every argument is known"),
        Knowledge::Defined => notes.push("defined in this text"),
        Knowledge::Unknown | Knowledge::Catalogue => {}
    }
    if notes.is_empty() { String::new() } else { format!("  ({})", notes.join(", ")) }
}
