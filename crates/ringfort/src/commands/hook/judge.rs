// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the copy of the hook's process does: reads the message, rules on it, records it, answers.
//!
//! In: the agent, its message. Out: one answer.
//!
//! **Invariant:** every failure on the way is a denial where something is about to happen. The answer is given after it
//! is on the record; the record is made durable before it where the configuration says so, else right after it.

use std::path::{Path, PathBuf};

use ringfort_core::action::Action;
use ringfort_core::advice::message_for_agent;
use ringfort_core::decision::Decision;
use ringfort_core::digest::Digest;
use ringfort_core::door::{Door, DoorKind, Standing};
use ringfort_core::entry::Entry;
use ringfort_core::obligation::{ApprovalChannel, Demand};
use ringfort_core::principal::Principal;
use ringfort_core::request::{Provenance, Request};
use ringfort_core::text::escape_bytes;
use ringfort_runtime::approve::{Answer as PersonAnswer, Approver, Question};
use ringfort_runtime::hook::session::{SessionFile, top_level};
use ringfort_runtime::hook::{Agent, Asks, Call, Moment, Opinion, Place, message};
use ringfort_runtime::pipeline::{Charge, Pipeline};
use ringfort_runtime::run::chain;
use ringfort_sandbox::stub::{Answer, Judge};

use super::Message;
use crate::commands::{Common, Failure};
use crate::wiring::{HookWired, World, wire_hook, workspace};

/// Where an agent is that was started in a folder that may be no workspace: nowhere, so that nothing is inside.
const NOWHERE: &str = "/dev/null/no-workspace";
/// Judges one message and answers.
pub(super) fn main(message: &Message<'_>, judge: Judge) {
    let (answer, pipeline) = judged(message);
    // Without an answer the parent denies.
    if judge.answer(&answer).is_err() {
        return;
    }
    if let Some(pipeline) = pipeline {
        // The answer has been given; what could not be made durable now is at the next sync.
        drop(pipeline.sync());
    }
}

fn judged(message: &Message<'_>) -> (Answer, Option<Pipeline>) {
    let Message { agent, input, named, common } = *message;
    let call = match agent.parse(input, named) {
        Ok(call) => call,
        Err(malformed) => {
            let (event, moment) = agent.peek(input, named);
            let why = format!("Denied by Ringfort: {malformed}.");
            return (agent.answer(&Place { event: &event, moment }, &Opinion::Deny(&why)), None);
        }
    };
    let place = Place { event: &call.event, moment: call.moment };
    match Hook::open(agent, &call, common) {
        Ok(hook) => (hook.answer(&place), Some(hook.wired.pipeline)),
        Err(failure) => {
            let why = escape_bytes(chain(failure.error.as_ref()).as_bytes()).replace("\\\\", "\\");
            let why = format!("Denied by Ringfort, which cannot judge: {why}. Tell the person you work for.");
            (agent.answer(&place, &Opinion::Deny(&why)), None)
        }
    }
}

struct Hook<'a> {
    agent: &'static Agent,
    call: &'a Call,
    world: World,
    wired: HookWired,
    principal: Principal,
    session: String,
    workspace: PathBuf,
    cwd: PathBuf,
}

impl<'a> Hook<'a> {
    fn open(agent: &'static Agent, call: &'a Call, common: &Common) -> Result<Self, Failure> {
        let world = World::read().map_err(Failure::guard)?;
        let principal = world.principal().and_then(|user| Ok(user.try_child(agent.name)?)).map_err(Failure::guard)?;
        let state = crate::wiring::open_state(&world, &world.places(common))?;
        let named = call.cwd.clone().or_else(|| call.root.clone()).unwrap_or_else(|| world.cwd.clone());
        // A folder that is gone is judged by its name.
        let cwd = named.canonicalize().unwrap_or(named);
        let file = SessionFile::new(state.hooks().map_err(Failure::guard)?, agent.name, &call.session);
        let workspace = workspace_of(&world, common, &file, &cwd, call)?;
        let wired = wire_hook(&world, common, &state, &workspace)?;
        Ok(Self { agent, call, world, wired, principal, session: file.name, workspace, cwd })
    }

    fn answer(&self, place: &Place<'_>) -> Answer {
        match (self.call.moment, &self.call.action) {
            (Moment::BeforeTool, Some(action)) => self.rule(place, action, Charge::Counted),
            (Moment::Permission, Some(action)) => self.rule(place, action, Charge::Again),
            (Moment::AfterTool, action) => self.look_at_output(place, action.as_ref()),
            (moment, _) => self.note(place, moment),
        }
    }

    /// Rules on a call that is about to happen.
    fn rule(&self, place: &Place<'_>, action: &Action, charge: Charge) -> Answer {
        let door = Door {
            asks: Some(ApprovalChannel::Person),
            // What a tool puts out stays on this machine and is looked at afterwards.
            redacts: Demand::NotDemanded,
            ..Door::bare(DoorKind::Hook, Standing::Advised)
        };
        let request = self.request(action.clone());
        let verdict = self.wired.pipeline.verdict(&request, &door, &AgentApprover(&self.call.asks), charge);
        match verdict.ruling.decision {
            Decision::Allow => self.agent.answer(place, &Opinion::None),
            Decision::Ask => self.agent.answer(place, &Opinion::Ask(&message::question(&verdict.ruling))),
            Decision::Deny => {
                self.agent.answer(place, &Opinion::Deny(&message_for_agent(&verdict.ruling, None)))
            }
        }
    }

    /// Records what a tool did, and tells the agent of secrets in what it put out.
    fn look_at_output(&self, place: &Place<'_>, action: Option<&Action>) -> Answer {
        let findings = ringfort_detect::scan(self.call.text.as_bytes());
        let mut rules: Vec<&str> = findings.iter().map(|finding| finding.rule.as_ref()).collect();
        rules.sort_unstable();
        rules.dedup();
        let bytes = self.call.text.len();
        let entry = match action {
            Some(action) => Entry { request: Some(self.request(action.clone()).digest()), ..self.event("hook.output") },
            None => self.event("hook.output"),
        };
        let entry = entry.fact("bytes", bytes).fact("findings", rules.clone());
        let told = match self.wired.pipeline.event(&entry) {
            Err(error) => Some(format!("Ringfort could not record the output of this tool: {error}")),
            Ok(()) if findings.is_empty() => None,
            Ok(()) => Some(format!(
                "Ringfort found {} in this output ({}). Do not repeat them in text, code, files, commands or messages; \
                 name the place where they are instead.",
                if findings.len() == 1 { "a secret".to_owned() } else { format!("{} secrets", findings.len()) },
                rules.join(", ")
            )),
        };
        self.agent.answer(place, &told.as_deref().map_or(Opinion::None, Opinion::Tell))
    }

    /// Records anything else, and refuses what is about to happen and not known.
    fn note(&self, place: &Place<'_>, moment: Moment) -> Answer {
        let mut entry = self.event(match moment {
            Moment::Prompt => "hook.prompt",
            Moment::SessionStart => "hook.session-start",
            Moment::Stop => "hook.stop",
            _ => "hook.other",
        });
        entry = entry.fact("name", escape_bytes(self.call.event.as_bytes()));
        if moment == Moment::Prompt {
            // What a person says may be anything: its digest tells later whether it was this.
            let digest = Digest::of(self.call.text.as_bytes()).to_string();
            entry = entry.fact("bytes", self.call.text.len()).fact("sha256", digest);
        }
        if moment == Moment::SessionStart {
            entry = entry.fact("workspace", escape_bytes(self.workspace.as_os_str().as_encoded_bytes()));
        }
        let recorded = self.wired.pipeline.event(&entry);
        match moment {
            _ if moment.is_before() => {
                let why = format!(
                    "Denied by Ringfort: `{}` is not known to this version, so it is refused.",
                    escape_bytes(self.call.event.as_bytes())
                );
                self.agent.answer(place, &Opinion::Deny(&why))
            }
            Moment::SessionStart => {
                let mut told = message::SESSION.to_owned();
                if self.workspace == Path::new(NOWHERE) {
                    told.push_str(
                        "\nThis session was started in a folder that is no workspace (a home or system folder), so \
                         nothing counts as inside it: start again in a project folder.",
                    );
                }
                if let Err(error) = recorded {
                    told.push_str(&format!("\nThe record cannot be written ({error}): every tool call is denied."));
                }
                self.agent.answer(place, &Opinion::Tell(&told))
            }
            _ => self.agent.answer(place, &Opinion::None),
        }
    }

    fn request(&self, action: Action) -> Request {
        let policies = self.wired.pipeline.policies();
        Request {
            principal: self.principal.clone(),
            action,
            session: self.session.clone(),
            cwd: self.cwd.clone(),
            workspace: self.workspace.clone(),
            home: Some(self.world.home.clone()),
            provenance: Provenance::Agent,
            bindings: policies.into_iter().map(|policy| ("policy".to_owned(), policy)).collect(),
        }
    }

    fn event(&self, name: &str) -> Entry {
        Entry {
            principal: Some(self.principal.clone()),
            session: Some(self.session.clone()),
            ..Entry::event(name).at(DoorKind::Hook, Standing::Advised)
        }
    }
}

/// Asks nobody itself: the agent asks its own user, or nobody does.
struct AgentApprover<'a>(&'a Asks);

impl Approver for AgentApprover<'_> {
    fn ask(&self, _question: &Question<'_>) -> PersonAnswer {
        match self.0 {
            Asks::Agent => PersonAnswer::Elsewhere,
            Asks::Nobody { why } => PersonAnswer::Nobody { why: (*why).to_owned() },
        }
    }
}

/// The workspace of the call's session. The first call fixes it; a session without a name has it from call to call.
fn workspace_of(
    world: &World,
    common: &Common,
    file: &SessionFile,
    cwd: &Path,
    call: &Call,
) -> Result<PathBuf, Failure> {
    let is_named = !call.session.is_empty();
    if is_named && let Some(fixed) = file.workspace()? {
        return Ok(fixed);
    }
    let places = world.places(common);
    let root = call.root.as_deref().unwrap_or(cwd);
    let candidates = [top_level(root), root.to_owned()];
    let found = candidates.iter().find_map(|folder| workspace(world, &places, folder).ok());
    let found = found.unwrap_or_else(|| PathBuf::from(NOWHERE));
    Ok(if is_named { file.fix(&found)? } else { found })
}
