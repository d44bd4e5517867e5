// SPDX-License-Identifier: MIT OR Apache-2.0
//! What could be changed about one reason: edits of the configuration, the narrowest first.
//!
//! In: a reason of a ruling, and the configuration. Out: candidates; each is a list of edits that belong together.
//!
//! **Invariant:** this only proposes; [`super::find`] tries. A rule that is not here is not opened by the policy.

use ringfort_core::action::{Action, Command};
use ringfort_core::effect::Span;
use ringfort_core::ruling::{Reason, Ruling};
use ringfort_core::text::escape_bytes;
use serde_json::{Value, json};

use super::{Case, Documents, Edit, File, To, quoted};
use crate::command::analysis::{Analysis, Context, Program, SimpleCommand};
use crate::command::{analyze, analyze_argv};
use crate::egress;
use crate::rule::WholeCommand;

/// Most entries of one list that are tried.
const ENTRIES_MAX: usize = 32;
/// Most levels from a command up to the one that runs it.
const LEVELS_MAX: usize = 64;

/// The candidates for a reason.
pub(super) fn for_reason(case: &Case<'_>, documents: &Documents, ruling: &Ruling, reason: &Reason) -> Vec<Vec<Edit>> {
    let mut all: Vec<Vec<Edit>> = Vec::new();
    let unasked = |all: &mut Vec<Vec<Edit>>| all.extend(unasked(case, ruling, reason));
    match reason.rule.as_str() {
        "policy-004" => {
            all.push(set("autonomy.level", "supervised", "agents may then change what is in the workspace"));
            drop_key(&mut all, "autonomy.level");
        }
        "policy-005" => {
            all.extend(
                program(case, reason).map(|program| {
                    add("autonomy.allowed_commands", program, "every agent may then start this program")
                }),
            );
            drop_key(&mut all, "autonomy.allowed_commands");
        }
        "policy-006" => remove(&mut all, documents, reason, "autonomy.deny"),
        "policy-007" => remove(&mut all, documents, reason, "autonomy.ask_commands"),
        "policy-008" | "command-043" | "command-044" | "command-047" => {
            unasked(&mut all);
            all.push(set(
                "autonomy.ask",
                "high",
                "every action of medium risk then goes ahead unasked, for every agent",
            ));
            all.push(set("autonomy.ask", "never", "nothing is asked about for its risk any more, for every agent"));
            drop_key(&mut all, "autonomy.ask");
            drop_key(&mut all, "autonomy.level");
        }
        "policy-009" => {
            all.push(set("autonomy.ask", "medium", "actions of low risk then go ahead unasked"));
            drop_key(&mut all, "autonomy.ask");
        }
        "path-004" => remove(&mut all, documents, reason, "autonomy.forbidden_paths"),
        "path-008" => roots(&mut all, case, ruling, reason),
        "egress-004" => remove(&mut all, documents, reason, "egress.denied_domains"),
        "egress-003" | "egress-005" | "egress-007" | "egress-008" => {
            all.extend(
                hosts(ruling, reason).map(|host| add("egress.domains", host, "every agent may then send data there")),
            );
        }
        "tool-002" => remove(&mut all, documents, reason, "autonomy.denied_tools"),
        "tool-003" => {
            all.extend(
                tool(case).map(|name| add("autonomy.allowed_tools", name, "every agent may then call this tool")),
            );
            drop_key(&mut all, "autonomy.allowed_tools");
        }
        "tool-004" => remove(&mut all, documents, reason, "autonomy.ask_tools"),
        "tool-005" | "tool-009" => {
            let risk = "every agent may then call this tool unasked, with any arguments";
            let rule = |name: String| json!({ "tool": name, "allow": true });
            all.extend(tool(case).map(|name| edit(File::User, "autonomy.tool_rules", To::Push(rule(name)), risk)));
        }
        "prompt-001" => remove(&mut all, documents, reason, "guard.blocked_patterns"),
        "prompt-003" => drop_both(&mut all, "guard.review_score"),
        "prompt-004" => drop_both(&mut all, "guard.block_score"),
        "seam-006" => {
            if let Action::ModelSwitch(switch) = case.action {
                all.push(add("autonomy.models", switch.to.clone(), "every agent may then switch to this model"));
            }
        }
        "door-001" => unasked(&mut all),
        // What is only known at run time, and places that are asked about.
        rule if rule.starts_with("command-") || matches!(rule, "policy-010" | "path-006" | "path-009" | "path-011") => {
            unasked(&mut all);
        }
        _ => {}
    }
    if reason.decision == ringfort_core::decision::Decision::Deny && !matches!(reason.rule.as_str(), "policy-004") {
        let risk = "what is not known or cannot be resolved is then asked about instead of denied";
        all.push(set("autonomy.unresolved", "ask", risk));
        drop_key(&mut all, "autonomy.unresolved");
    }
    // The user's file and the project's may say the same.
    let of = |file: File| all.iter().find(|edits| edits.iter().all(|edit| edit.file == file)).cloned();
    if let (Some(user), Some(project)) = (of(File::User), of(File::Project)) {
        all.push([user, project].concat());
    }
    all
}

/// The line goes, of the user's file or of the project's.
fn drop_both(all: &mut Vec<Vec<Edit>>, key: &'static str) {
    all.push(edit(File::User, key, To::Drop, "the score then stops nothing any more, for every agent"));
    drop_key(all, key);
}

fn edit(file: File, key: &'static str, to: To, risk: &str) -> Vec<Edit> {
    vec![Edit { file, key, to, risk: risk.to_owned() }]
}

fn set(key: &'static str, word: &'static str, risk: &str) -> Vec<Edit> {
    edit(File::User, key, To::Set(word), risk)
}

fn add(key: &'static str, entry: String, risk: &str) -> Vec<Edit> {
    edit(File::User, key, To::Add(vec![entry]), risk)
}

/// The project's line goes.
fn drop_key(all: &mut Vec<Vec<Edit>>, key: &'static str) {
    all.push(edit(
        File::Project,
        key,
        To::Drop,
        "the project then no longer restricts this, for everybody who works on it",
    ));
}

/// Takes out the entry that a reason names, of the user's list or of the project's.
fn remove(all: &mut Vec<Vec<Edit>>, documents: &Documents, reason: &Reason, key: &'static str) {
    let pointer = format!("/{}", key.replace('.', "/"));
    let files = [(File::User, Some(&documents.user)), (File::Project, documents.project.as_ref())];
    for (file, document) in files {
        let list = document.and_then(|document| document.pointer(&pointer)).and_then(Value::as_array);
        let entries = list.into_iter().flatten().filter_map(Value::as_str);
        // Where the reason names an entry, it is that one; else each is tried.
        let named = |entry: &&str| {
            reason.message.matches('`').nth(2).is_none()
                || reason.message.contains(&format!("`{}`", escape_bytes(entry.as_bytes())))
        };
        for entry in entries.filter(named).take(ENTRIES_MAX) {
            all.push(edit(
                file,
                key,
                To::Remove(entry.to_owned()),
                "every agent may then do what this entry was against",
            ));
        }
    }
}

fn tool(case: &Case<'_>) -> Option<String> {
    match case.action {
        Action::Tool(call) => Some(call.name.clone()),
        _ => None,
    }
}

/// The hosts that the ruling speaks of.
fn hosts<'r>(ruling: &'r Ruling, reason: &'r Reason) -> impl Iterator<Item = String> + 'r {
    let targets = ruling.effects.iter().filter(|effect| reason.span.is_none_or(|span| effect.span == span));
    targets.filter_map(|effect| effect.target.as_deref()).filter_map(|target| {
        let url = if target.contains("://") { target.to_owned() } else { format!("https://{target}") };
        egress::parse(&url).ok().map(|to| to.host.to_string())
    })
}

/// Folders that would have to be open for a path outside: read-only first.
fn roots(all: &mut Vec<Vec<Edit>>, case: &Case<'_>, ruling: &Ruling, reason: &Reason) {
    for effect in ruling.effects.iter().filter(|effect| reason.span.is_none_or(|span| effect.span == span)) {
        let Some(target) = &effect.target else { continue };
        let path = case.setting.resolve(target.as_bytes());
        let Some(folder) = path.iter().rposition(|b| *b == b'/').and_then(|at| path.get(..at)) else { continue };
        let Ok(folder) = std::str::from_utf8(folder) else { continue };
        // `/home` and the like are no small change.
        if folder.matches('/').count() > 1 && case.setting.home.as_deref() != Some(folder.as_bytes()) {
            for (key, risk) in [
                ("autonomy.allowed_roots_read_only", "every agent may then read what is below this folder"),
                ("autonomy.allowed_roots", "every agent may then read and change what is below this folder"),
            ] {
                all.push(add(key, folder.to_owned(), risk));
            }
        }
    }
    let risk = "every agent may then read and write outside the workspace, wherever no other rule closes it";
    all.push(edit(File::User, "autonomy.workspace_only", To::Flag(false), risk));
    drop_key(all, "autonomy.workspace_only");
}

fn analysis(case: &Case<'_>) -> Option<Analysis> {
    let setting = case.setting;
    let context =
        Context { cwd: Some(&setting.cwd), home: setting.home.as_deref(), workspace: setting.workspace.as_deref() };
    match case.action {
        Action::Command(Command::Shell(text)) => Some(analyze(text.as_bytes(), &context)),
        Action::Command(Command::Argv(words)) => {
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            Some(analyze_argv(&words, &context))
        }
        _ => None,
    }
}

/// The program of the command that a reason speaks of.
fn program(case: &Case<'_>, reason: &Reason) -> Option<String> {
    let analysis = analysis(case)?;
    let span = reason.span?;
    let names = |command: &SimpleCommand| match &command.program {
        Program::Known(name) if command.span == span => std::str::from_utf8(name).ok().map(str::to_owned),
        _ => None,
    };
    let shown = |name: &String| reason.message.contains(&format!("`{}`", escape_bytes(name.as_bytes())));
    analysis.commands.iter().filter_map(names).find(shown)
}

/// The whole commands that a question is about, as entries of `autonomy.unasked_commands`.
fn unasked(case: &Case<'_>, ruling: &Ruling, reason: &Reason) -> Option<Vec<Edit>> {
    let analysis = analysis(case)?;
    let spans: Vec<Span> = match reason.span {
        Some(span) => vec![span],
        // The door speaks of everything that needs the cage.
        None => ruling.reasons.iter().filter(|reason| reason.rule == "policy-002").filter_map(|r| r.span).collect(),
    };
    let mut entries: Vec<String> = Vec::new();
    for span in spans {
        let entry = whole(&analysis, span)?;
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    let risk = "every agent may then run exactly this command unasked, outside a cage too, whatever the files that it \
                reads and runs hold by then";
    Some(edit(File::User, "autonomy.unasked_commands", To::Add(entries), risk))
        .filter(|edits| edits.iter().any(|edit| matches!(&edit.to, To::Add(entries) if !entries.is_empty())))
}

/// The command that stands in the text itself around a span, as an entry; `None` where an entry cannot say it.
fn whole(analysis: &Analysis, span: Span) -> Option<String> {
    let covers = |command: &&SimpleCommand| command.span.start <= span.start && span.end <= command.span.end;
    let mut command =
        analysis.commands.iter().filter(covers).min_by_key(|command| command.span.end - command.span.start)?;
    for _ in 0..LEVELS_MAX {
        let Some(via) = command.via else { break };
        command = analysis.commands.get(via)?;
    }
    let Program::Known(program) = &command.program else { return None };
    let mut words = vec![quoted(program)?];
    for argument in &command.args {
        words.push(quoted(argument.known()?)?);
    }
    let text = words.join(" ");
    WholeCommand::parse(&text).ok().map(|_| text)
}
