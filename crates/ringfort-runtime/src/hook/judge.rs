// SPDX-License-Identifier: MIT OR Apache-2.0
//! Judges one message of an agent: rules on what is about to happen, records everything else.
//!
//! In: a call, the session's spine, and where the session is. Out: what is to be said, recorded before it is said.
//!
//! **Invariant:** the same for a hook that stands alone and for one inside a cage, whose supervisor judges. What is
//! about to happen and is not known is refused. Neither prompts nor outputs are kept: their size, digest and findings.

use std::path::{Path, PathBuf};

use ringfort_core::action::Action;
use ringfort_core::advice::message_for_agent;
use ringfort_core::decision::Decision;
use ringfort_core::digest::Digest;
use ringfort_core::door::Door;
use ringfort_core::entry::Entry;
use ringfort_core::principal::Principal;
use ringfort_core::request::{Provenance, Request};
use ringfort_core::text::escape_bytes;
use serde::{Deserialize, Serialize};

use super::{Asks, Call, Moment, Opinion, message};
use crate::approve::{Answer, Approver, Question};
use crate::pipeline::{Charge, Pipeline};

/// Where an agent is that was started in a folder that may be no workspace: nowhere, so that nothing is inside.
pub const NOWHERE: &str = "/dev/null/no-workspace";

/// What is to be said to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "say", content = "text")]
pub enum Saying {
    /// No opinion.
    None,
    /// Nothing against it, but the agent should know this.
    Tell(String),
    /// Its user must be asked.
    Ask(String),
    /// It must not happen.
    Deny(String),
}

impl Saying {
    /// The same, for the agent's protocol.
    pub fn as_opinion(&self) -> Opinion<'_> {
        match self {
            Self::None => Opinion::None,
            Self::Tell(text) => Opinion::Tell(text),
            Self::Ask(text) => Opinion::Ask(text),
            Self::Deny(text) => Opinion::Deny(text),
        }
    }
}

/// Where and for whom a call is judged.
pub struct Bench<'a> {
    /// Decides and records.
    pub pipeline: &'a Pipeline,
    /// What the door can fulfil.
    pub door: &'a Door,
    /// Who acts.
    pub principal: &'a Principal,
    /// The session's name in the record.
    pub session: &'a str,
    /// The folder in which it would happen.
    pub cwd: PathBuf,
    /// The session's workspace.
    pub workspace: &'a Path,
    /// The caller's home.
    pub home: &'a Path,
}

impl Bench<'_> {
    /// Judges one call.
    pub fn judge(&self, call: &Call) -> Saying {
        match (call.moment, &call.action) {
            (Moment::BeforeTool, Some(action)) => self.rule(call, action, Charge::Counted),
            (Moment::Permission, Some(action)) => self.rule(call, action, Charge::Again),
            (Moment::AfterTool, action) => self.look_at_output(call, action.as_ref()),
            (moment, _) => self.note(call, moment),
        }
    }

    /// Rules on a call that is about to happen.
    fn rule(&self, call: &Call, action: &Action, charge: Charge) -> Saying {
        let request = self.request(action.clone());
        let ruling = self.pipeline.verdict(&request, self.door, &AgentApprover(&call.asks), charge).ruling;
        match ruling.decision {
            Decision::Allow => Saying::None,
            Decision::Ask => Saying::Ask(message::question(&ruling)),
            Decision::Deny => Saying::Deny(message_for_agent(&ruling, None)),
        }
    }

    /// Records what a tool did, and tells the agent of secrets in what it put out.
    fn look_at_output(&self, call: &Call, action: Option<&Action>) -> Saying {
        let findings = ringfort_detect::scan(call.text.as_bytes());
        let mut rules: Vec<&str> = findings.iter().map(|finding| finding.rule.as_ref()).collect();
        rules.sort_unstable();
        rules.dedup();
        let request = action.map(|action| self.request(action.clone()).digest());
        let entry = Entry { request, ..self.event("hook.output") };
        let entry = entry.fact("bytes", call.text.len()).fact("findings", rules.clone());
        match self.pipeline.event(&entry) {
            Err(error) => Saying::Tell(format!("Ringfort could not record the output of this tool: {error}")),
            Ok(()) if findings.is_empty() => Saying::None,
            Ok(()) => Saying::Tell(format!(
                "Ringfort found {} in this output ({}). Do not repeat them in text, code, files, commands or messages; \
                 name the place where they are instead.",
                if findings.len() == 1 { "a secret".to_owned() } else { format!("{} secrets", findings.len()) },
                rules.join(", ")
            )),
        }
    }

    /// Records anything else, and refuses what is about to happen and not known.
    fn note(&self, call: &Call, moment: Moment) -> Saying {
        let event = match moment {
            Moment::Prompt => "hook.prompt",
            Moment::SessionStart => "hook.session-start",
            Moment::SessionEnd => "hook.session-end",
            Moment::Stop => "hook.stop",
            _ => "hook.other",
        };
        let name = escape_bytes(call.event.as_bytes());
        let mut entry = self.event(event).fact("name", name.as_str());
        if moment == Moment::Prompt {
            // What a person says may be anything: its digest tells later whether it was this.
            let digest = Digest::of(call.text.as_bytes()).to_string();
            entry = entry.fact("bytes", call.text.len()).fact("sha256", digest);
        }
        if moment == Moment::SessionStart {
            entry = entry.fact("workspace", escape_bytes(self.workspace.as_os_str().as_encoded_bytes()));
        }
        let recorded = self.pipeline.event(&entry);
        match moment {
            _ if moment.is_before() => {
                Saying::Deny(format!("Denied by Ringfort: `{name}` is not known to this version, so it is refused."))
            }
            Moment::SessionStart => Saying::Tell(self.welcome(recorded.err().map(|error| error.to_string()))),
            Moment::SessionEnd => {
                // What stays approved expires by itself.
                drop(self.pipeline.end_session(self.session));
                Saying::None
            }
            _ => Saying::None,
        }
    }

    /// What an agent is told at the start.
    fn welcome(&self, unrecorded: Option<String>) -> String {
        let mut told = message::SESSION.to_owned();
        if self.workspace == Path::new(NOWHERE) {
            told.push_str(
                "\nThis session was started in a folder that is no workspace (a home or system folder), so nothing \
                 counts as inside it: start again in a project folder.",
            );
        }
        if let Some(error) = unrecorded {
            told.push_str("\nThe record cannot be written, so every tool call is denied: ");
            told.push_str(&error);
        }
        told
    }

    fn request(&self, action: Action) -> Request {
        let policies = self.pipeline.policies();
        Request {
            principal: self.principal.clone(),
            action,
            session: self.session.to_owned(),
            cwd: self.cwd.clone(),
            workspace: self.workspace.to_owned(),
            home: Some(self.home.to_owned()),
            provenance: Provenance::Agent,
            bindings: policies.into_iter().map(|policy| ("policy".to_owned(), policy)).collect(),
        }
    }

    fn event(&self, name: &str) -> Entry {
        Entry {
            principal: Some(self.principal.clone()),
            session: Some(self.session.to_owned()),
            ..Entry::event(name).at(self.door.kind, self.door.standing)
        }
    }
}

/// Asks nobody itself: the agent asks its own user, or nobody does.
struct AgentApprover<'a>(&'a Asks);

impl Approver for AgentApprover<'_> {
    fn ask(&self, _question: &Question<'_>) -> Answer {
        match self.0 {
            Asks::Agent => Answer::Elsewhere,
            Asks::Nobody { why } => Answer::Nobody { why: (*why).to_owned() },
        }
    }
}
