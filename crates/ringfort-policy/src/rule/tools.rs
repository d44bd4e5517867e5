// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules on tool calls.
//!
//! **Invariant:** a known tool is judged by what its arguments would do, also where a list allows its name; an unknown
//! one is never allowed unless a list names it.

use ringfort_core::action::{Command, ToolCall};
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::effect::Span;
use ringfort_core::ruling::{Ring, Ruling};
use ringfort_core::text::{Text, escape_bytes};

use super::draft::Draft;
use super::{Policy, Role, table};
use crate::path::{Setting, Zone, judge};
use crate::tool::{Call, CallFault, read};

impl Policy {
    /// Rules on one call.
    pub(super) fn tool(&self, call: &ToolCall, setting: &Setting<'_>) -> Ruling {
        let mut draft = Draft::new(self, Risk::Low);
        let listed = self.add_lists(&mut draft, &call.name);
        match read(&call.name, &call.arguments) {
            Err(fault) => self.add_call_fault(&mut draft, fault),
            Ok(Call::Shell { text, cwd }) => {
                return self.shell_tool(draft, &Command::Shell(Text::from(text)), cwd, setting);
            }
            Ok(Call::Argv { words, cwd }) => {
                let words = words.into_iter().map(Text::from).collect();
                return self.shell_tool(draft, &Command::Argv(words), cwd, setting);
            }
            Ok(Call::Paths(paths)) => {
                for (path, op) in paths {
                    self.add_path(&mut draft, path.as_bytes(), op, setting);
                }
            }
            Ok(Call::Fetch(url)) => {
                draft.risk(Risk::Medium);
                self.add_url(&mut draft, url, Span::new(0, url.len()));
            }
            Ok(Call::Search) if listed => draft.risk(Risk::Medium),
            Ok(Call::Search) => {
                draft.risk(Risk::Medium);
                self.add_unknown(&mut draft, &call.name, &table::TOOL_SEARCH);
            }
            Ok(Call::Harmless) => {
                draft.add(&table::TOOL_HARMLESS, Decision::Allow, table::TOOL_HARMLESS.meaning);
            }
            Ok(Call::Unknown) => {
                draft.risk(Risk::Medium);
                if self.is_readonly() {
                    self.add_readonly(&mut draft, Span::new(0, 0));
                } else if listed {
                    draft.add(&table::TOOL_LISTED, Decision::Allow, table::TOOL_LISTED.meaning);
                } else {
                    self.add_unknown(&mut draft, &call.name, &table::TOOL_UNKNOWN);
                }
            }
        }
        draft.finish()
    }

    /// Applies the lists of names. Whether `allowed_tools` names the tool.
    fn add_lists(&self, draft: &mut Draft<'_>, name: &str) -> bool {
        let shown = || escape_bytes(name.as_bytes());
        if self.denied_tools.iter().any(|pattern| pattern.names(name)) {
            draft.risk(Risk::High);
            draft
                .add(&table::TOOL_DENIED, Decision::Deny, format!("`autonomy.denied_tools` names `{}`", shown()))
                .widen(|| format!("remove `{}` from `autonomy.denied_tools`: every agent may then call it", shown()));
        }
        if self.asked_tools.iter().any(|pattern| pattern.names(name)) {
            draft.add(&table::TOOL_ASKED, self.question, table::TOOL_ASKED.meaning);
        }
        match &self.allowed_tools {
            None => false,
            Some(list) if list.iter().any(|pattern| pattern.allows(name)) => true,
            Some(_) => {
                draft.risk(Risk::Medium);
                draft
                    .add(&table::TOOL_UNLISTED, Decision::Deny, table::TOOL_UNLISTED.meaning)
                    .widen(|| format!("add `{}` to `autonomy.allowed_tools`: every agent may then call it", shown()));
                false
            }
        }
    }

    fn add_call_fault(&self, draft: &mut Draft<'_>, fault: CallFault) {
        draft.risk(Risk::High);
        let rule = if fault == CallFault::Name { &table::TOOL_NAME } else { &table::TOOL_ARGUMENTS };
        draft
            .add(rule, Decision::Deny, format!("the call is not understood: {fault}"))
            .instead(|| "call the tool with the arguments of its own schema".to_owned());
    }

    fn add_unknown(&self, draft: &mut Draft<'_>, name: &str, rule: &'static table::Rule) {
        if self.role == Role::Restriction && self.unresolved == Decision::Allow {
            return;
        }
        let added = draft.add(rule, self.unresolved, rule.meaning);
        if self.unresolved != Decision::Allow {
            let name = escape_bytes(name.as_bytes());
            added.widen(|| {
                format!("`autonomy.allowed_tools` with `{name}` and every other tool in use: agents may then call it unasked")
            });
        }
    }

    /// A command that a tool runs, in the folder that the call names.
    fn shell_tool(&self, mut draft: Draft<'_>, command: &Command, cwd: Option<&str>, setting: &Setting<'_>) -> Ruling {
        let Some(folder) = cwd else {
            self.add_command(&mut draft, command, setting);
            return draft.finish();
        };
        self.add_folder(&mut draft, folder, setting);
        let moved = Setting { cwd: setting.resolve(folder.as_bytes()), ..setting.clone() };
        self.add_command(&mut draft, command, &moved);
        draft.finish()
    }

    /// The folder of a command: like a read of that folder, but that the cage answers for one outside.
    fn add_folder(&self, draft: &mut Draft<'_>, folder: &str, setting: &Setting<'_>) {
        let op = ringfort_core::action::PathOp::Read;
        let span = Span::new(0, folder.len());
        match judge(folder.as_bytes(), op, setting, &self.zones) {
            Err(fault) => {
                draft.risk(Risk::High);
                let message = format!("the folder cannot be trusted: {fault}");
                draft.add(&table::PATH_SPELLING, Decision::Deny, message).ring(Ring::Authorization);
            }
            Ok(judged) => match judged.zone {
                Zone::Workspace | Zone::Root | Zone::NamedSecret | Zone::Device | Zone::Startup => {}
                Zone::Outside | Zone::Scratch | Zone::System(_) => {
                    draft.risk(Risk::Medium);
                    draft.cage(None, || "it starts in a folder outside the workspace".to_owned());
                }
                closed => self.add_closed(draft, closed, op, span),
            },
        }
    }
}
