// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules on tool calls.
//!
//! **Invariant:** a known tool is judged by what its arguments would do, also where a list allows its name; an unknown
//! one is never allowed unless a list or a rule names it, and even then what its arguments name is judged.

use std::borrow::Cow;

use ringfort_core::action::{Command, PathOp, ToolCall};
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::effect::{Effect, EffectKind, Span};
use ringfort_core::ruling::{Ring, Ruling};
use ringfort_core::text::{Text, escape_bytes};

use super::draft::Draft;
use super::{Policy, Role, table};
use crate::egress::{self, UrlFault};
use crate::path::{Setting, Zone, judge};
use crate::tool::{Act, Call, CallFault, Known, read};

/// The name under which an effect shows that a search service is asked.
const SEARCH_SERVICE: &str = "search service";

impl Policy {
    /// Rules on one call.
    pub(super) fn tool(&self, call: &ToolCall, setting: &Setting<'_>) -> Ruling {
        let mut draft = Draft::new(self, Risk::Low);
        match read(&call.name, &call.arguments) {
            Err(fault) => {
                self.add_lists(&mut draft, &call.name);
                self.add_call_fault(&mut draft, fault);
            }
            Ok(read) => self.add_call(&mut draft, call, &read, setting),
        }
        draft.finish()
    }

    fn add_call(&self, draft: &mut Draft<'_>, call: &ToolCall, read: &Call<'_>, setting: &Setting<'_>) {
        let listed = self.add_lists(draft, &call.name);
        let vouched = self.add_argument_rules(draft, call, setting);
        self.add_reading(draft, &call.name, read, listed || vouched, setting);
    }

    /// What the reading of a call says.
    fn add_reading(&self, draft: &mut Draft<'_>, name: &str, read: &Call<'_>, vouched: bool, setting: &Setting<'_>) {
        let moved;
        let setting = match read.cwd {
            None => setting,
            Some(folder) => {
                self.add_folder(draft, folder, setting);
                moved = Setting { cwd: setting.resolve(folder.as_bytes()), ..setting.clone() };
                &moved
            }
        };
        match read.known {
            Known::Acts => {}
            Known::Harmless => {
                draft.add(&table::TOOL_HARMLESS, Decision::Allow, table::TOOL_HARMLESS.meaning);
            }
            Known::Unknown => {
                draft.risk(Risk::Medium);
                if self.is_readonly() {
                    self.add_readonly(draft, Span::new(0, 0));
                } else if vouched {
                    draft.add(&table::TOOL_LISTED, Decision::Allow, table::TOOL_LISTED.meaning);
                } else {
                    self.add_unknown(draft, name, &table::TOOL_UNKNOWN);
                }
            }
        }
        for act in &read.acts {
            match act {
                Act::Search if vouched => {
                    draft.add(&table::TOOL_LISTED, Decision::Allow, table::TOOL_LISTED.meaning);
                }
                act => self.add_act(draft, act, setting),
            }
        }
    }

    fn add_act(&self, draft: &mut Draft<'_>, act: &Act<'_>, setting: &Setting<'_>) {
        match act {
            Act::Shell(text) => self.add_command(draft, &Command::Shell(Text::from(*text)), setting),
            Act::Argv(words) => {
                let words = words.iter().map(|word| Text::from(*word)).collect();
                self.add_command(draft, &Command::Argv(words), setting);
            }
            Act::Type(text) => {
                self.add_command(draft, &Command::Shell(Text::from(*text)), setting);
                draft.risk(Risk::Medium);
                draft.unresolved(table::TOOL_TYPED.id, Span::new(0, text.len()), table::TOOL_TYPED.meaning);
            }
            Act::Code => {
                draft.risk(Risk::High);
                draft.effects(vec![effect(EffectKind::ExecuteText, None)]);
                draft.unresolved(table::TOOL_FOREIGN.id, Span::new(0, 0), table::TOOL_FOREIGN.meaning);
            }
            Act::Path(path, op) => self.add_path(draft, path.as_bytes(), *op, setting),
            Act::Word(word) => self.add_word(draft, word, setting),
            Act::Fetch { url, method } => self.add_fetch(draft, url, *method),
            Act::Url(url) => self.add_named_url(draft, url, setting),
            Act::Search => self.add_search(draft),
            Act::Delegate => self.add_delegate(draft),
            Act::Skill(name) => self.add_skill_run(draft, name),
            Act::Schedule(command) => {
                self.add_command(draft, &Command::Shell(Text::from(*command)), setting);
                self.add_schedule(draft);
            }
            Act::ScheduleTask => self.add_schedule(draft),
            Act::Remember => {
                draft.risk(Risk::Medium);
                draft.effects(vec![effect(EffectKind::Persist, None)]);
                draft.unresolved(table::TOOL_MEMORY.id, Span::new(0, 0), table::TOOL_MEMORY.meaning);
            }
            Act::Unguarded(argument) => {
                draft.risk(Risk::High);
                let message = format!("its argument `{argument}` takes a guard of the agent away");
                draft.unresolved(table::TOOL_UNGUARDED.id, Span::new(0, 0), message);
            }
            Act::Nested(call, name) => {
                let listed = self.add_lists(draft, name);
                self.add_reading(draft, name, call, listed, setting);
            }
        }
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

    /// Applies the rules on arguments. Whether one of them lets a call that fits go ahead.
    fn add_argument_rules(&self, draft: &mut Draft<'_>, call: &ToolCall, setting: &Setting<'_>) -> bool {
        let is_open = |path: &str| {
            judge(path.as_bytes(), PathOp::Read, setting, &self.zones)
                .is_ok_and(|judged| matches!(judged.zone, Zone::Workspace | Zone::Root))
        };
        let mut vouched = false;
        for rule in self.tool_rules.iter().filter(|rule| rule.names(&call.name)) {
            match rule.fits(&call.arguments, &is_open) {
                Ok(()) => vouched |= rule.allows(&call.name),
                Err(what) => {
                    draft.risk(Risk::High);
                    let name = escape_bytes(call.name.as_bytes());
                    draft
                        .add(&table::TOOL_RULE, Decision::Deny, format!("the call does not fit its rule: {what}"))
                        .widen(|| {
                            format!(
                                "change what `[[autonomy.tool_rules]]` says of `{name}`: agents may then call it so"
                            )
                        });
                }
            }
        }
        vouched
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
                format!(
                    "`[[autonomy.tool_rules]]` with `tool = \"{name}\"` and `allow = true`: agents may then call it \
                     unasked"
                )
            });
        }
    }

    /// A request of a tool.
    fn add_fetch(&self, draft: &mut Draft<'_>, url: &str, method: Option<&str>) {
        draft.risk(Risk::Medium);
        let span = Span::new(0, url.len());
        self.add_method(draft, method, span);
        self.add_url(draft, url, span);
    }

    /// A URL among the arguments of a tool. A scheme that leads to no host is nothing by itself.
    fn add_named_url(&self, draft: &mut Draft<'_>, url: &str, setting: &Setting<'_>) {
        let span = Span::new(0, url.len());
        if let Some(path) = file_of(url) {
            return self.add_path(draft, path.as_bytes(), PathOp::Read, setting);
        }
        match egress::parse(url) {
            Err(UrlFault::Scheme | UrlFault::Empty) => self.add_foreign_url(draft, url, span),
            _ => self.add_url(draft, url, span),
        }
    }

    /// A URL of a scheme that nobody here knows: the host that it names is closed where it is closed.
    fn add_foreign_url(&self, draft: &mut Draft<'_>, url: &str, span: Span) {
        let rest = url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
        let host = authority.rsplit('@').next().unwrap_or("");
        if let Ok(to) = egress::parse(host) {
            self.add_closed_host(draft, &to, span);
        }
    }

    /// A word that may name a place: what is closed to everybody stays closed, whatever the word is for.
    fn add_word(&self, draft: &mut Draft<'_>, word: &str, setting: &Setting<'_>) {
        let span = Span::new(0, word.len());
        let path = match file_of(word) {
            Some(path) => path,
            None if word.contains("://") => {
                return self.add_foreign_url(draft, word, span);
            }
            None => Cow::Borrowed(word),
        };
        let home = ["$HOME", "${HOME}"].into_iter().find_map(|name| path.strip_prefix(name));
        let path = home.map_or_else(|| path.clone(), |rest| Cow::Owned(format!("~{rest}")));
        let zone = self.zones.zone(&setting.resolve(path.as_bytes()), PathOp::Read, setting);
        if matches!(zone, Zone::DotFolder(_) | Zone::Forbidden(_) | Zone::Credential) {
            self.add_closed(draft, zone, PathOp::Read, span);
        }
    }

    /// A search: the service is the agent's own, and sees the conversation in any case.
    fn add_search(&self, draft: &mut Draft<'_>) {
        draft.effects(vec![effect(EffectKind::QueryService, Some(SEARCH_SERVICE))]);
        let decision = if self.unresolved == Decision::Deny { Decision::Deny } else { Decision::Allow };
        draft.add(&table::TOOL_SEARCH, decision, table::TOOL_SEARCH.meaning).ring(Ring::Network);
    }

    /// The folder of a command: like a read of that folder, but that the cage answers for one outside.
    fn add_folder(&self, draft: &mut Draft<'_>, folder: &str, setting: &Setting<'_>) {
        let op = PathOp::Read;
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

/// The path of a `file:` URL, with its escapes decoded; an escape that is none leaves the text as it is, which the
/// judge of paths refuses.
fn file_of(url: &str) -> Option<Cow<'_, str>> {
    let scheme = url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("file:"))?;
    let rest = url.get(scheme.len()..)?;
    let rest =
        rest.strip_prefix("//").map_or(rest, |rest| rest.find('/').map_or(rest, |at| rest.get(at..).unwrap_or(rest)));
    if !rest.contains('%') {
        return Some(Cow::Borrowed(rest));
    }
    let decoded = crate::normal::percent(rest.as_bytes());
    Some(String::from_utf8(decoded).map_or(Cow::Borrowed(rest), Cow::Owned))
}

/// An effect that no word of the arguments shows.
pub(super) fn effect(kind: EffectKind, target: Option<&str>) -> Effect {
    Effect { kind, target: target.map(str::to_owned), span: Span::new(0, 0) }
}
