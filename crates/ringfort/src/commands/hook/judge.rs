// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the copy of the hook's process does: reads the message, has it judged, answers.
//!
//! In: the agent, its message. Out: one answer.
//!
//! **Invariant:** every failure on the way is a denial where something is about to happen. The answer is given after it
//! is on the record; the record is made durable before it where the configuration says so, else right after it. Inside
//! a cage the supervisor judges: there the policy and the record are out of reach.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use ringfort_core::door::{Door, DoorKind, Standing};
use ringfort_core::obligation::{ApprovalChannel, Demand};
use ringfort_core::text::escape_bytes;
use ringfort_runtime::hook::judge::{Bench, NOWHERE, Saying};
use ringfort_runtime::hook::session::{SessionFile, top_level};
use ringfort_runtime::hook::{Call, Opinion, Place};
use ringfort_runtime::pipeline::Pipeline;
use ringfort_runtime::run::chain;
use ringfort_runtime::supervisor::broker::{self, BROKER_VARIABLE, Reply};
use ringfort_sandbox::stub::{Answer, Judge};

use super::Message;
use crate::commands::{Common, Failure};
use crate::wiring::{POLICY_VARIABLE, World, wire_hook, workspace};

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
    let Message { agent, input, named, .. } = *message;
    let call = match agent.parse(input, named) {
        Ok(call) => call,
        Err(malformed) => {
            let (event, moment) = agent.peek(input, named);
            let why = format!("Denied by Ringfort: {malformed}.");
            return (agent.answer(&Place { event: &event, moment }, &Opinion::Deny(&why)), None);
        }
    };
    let (saying, pipeline) = ruled(message, &call).unwrap_or_else(|failure| {
        let why = escape_bytes(chain(failure.error.as_ref()).as_bytes()).replace("\\\\", "\\");
        let why = format!("Denied by Ringfort, which cannot judge: {why}. Tell the person you work for.");
        (Saying::Deny(why), None)
    });
    let place = Place { event: &call.event, moment: call.moment };
    (agent.answer(&place, &saying.as_opinion()), pipeline)
}

fn ruled(message: &Message<'_>, call: &Call) -> Result<(Saying, Option<Pipeline>), Failure> {
    let Message { agent, common, .. } = *message;
    let mut world = World::read().map_err(Failure::guard)?;
    // The settings of an agent, a repository's among them, choose the variables of its hooks: they name no policy.
    world.forget(POLICY_VARIABLE);
    // A caged caller that has closed the socket is still caged: nothing is judged then.
    if world.variable(BROKER_VARIABLE).is_some() {
        return Ok((nested(message, &world)?, None));
    }
    let principal = world.principal().and_then(|user| Ok(user.try_child(agent.name)?)).map_err(Failure::guard)?;
    let state = crate::wiring::open_state(&world, &world.places(common))?;
    let named = call.cwd.clone().or_else(|| call.root.clone()).unwrap_or_else(|| world.cwd.clone());
    // A folder that is gone is judged by its name.
    let cwd = named.canonicalize().unwrap_or(named);
    let file = SessionFile::new(state.hooks().map_err(Failure::guard)?, agent.name, &call.session);
    let workspace = workspace_of(&world, common, &file, &cwd, call)?;
    let pipeline = wire_hook(&world, common, &state, &workspace, agent.name)?;
    let door = Door {
        asks: Some(ApprovalChannel::Person),
        // What a tool puts out stays on this machine and is looked at afterwards.
        redacts: Demand::NotDemanded,
        ..Door::bare(DoorKind::Hook, Standing::Advised)
    };
    let bench = Bench {
        pipeline: &pipeline,
        door: &door,
        principal: &principal,
        session: &file.name,
        cwd,
        workspace: &workspace,
        home: &world.home,
    };
    let saying = bench.judge(call);
    Ok((saying, Some(pipeline)))
}

/// Inside a cage: the supervisor outside reads the same message, and says what to say.
fn nested(message: &Message<'_>, world: &World) -> Result<Saying, Failure> {
    let Message { agent, input, named, common } = *message;
    if common.state.is_some() || common.policy.is_some() || !common.settings.is_empty() {
        let error = anyhow::anyhow!("options are not available inside a cage: the supervisor outside decides");
        return Err(Failure::usage(error));
    }
    let Some(socket) = world.broker() else {
        return Err(Failure::guard(anyhow::anyhow!("the supervisor's socket is gone")));
    };
    match broker::ask_hook(socket.as_fd(), agent.name, named, input, &world.cwd)? {
        Reply::Said(saying) => Ok(saying),
        Reply::Failed(why) => Err(Failure::guard(anyhow::anyhow!(why))),
        _ => Err(Failure::guard(anyhow::anyhow!("the supervisor gave an answer to another question"))),
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
