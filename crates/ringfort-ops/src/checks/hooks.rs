// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the agents that were set up really ask: what their hooks answered to a canary call.

use super::{AgentSeen, Check, Report, Status, Subject};
use crate::setup::{Heard, Look};

pub(super) const ENTRY: Check =
    Check { id: "hooks", title: "whether agents that were set up ask before a tool call, and what they hear", look };

fn look(subject: &Subject<'_>) -> Vec<Report> {
    let agents = match &subject.agents {
        Ok(agents) => agents,
        Err(why) => {
            return vec![ENTRY.fail(format!("the agents cannot be looked at: {why}"), "see `ringfort setup --list`")];
        }
    };
    let mut reports: Vec<Report> = agents.iter().flat_map(one).collect();
    if reports.is_empty() {
        let mut found: Vec<&str> = agents.iter().filter(|seen| seen.found).map(|seen| seen.name).collect();
        found.dedup();
        let (message, help) = if found.is_empty() {
            (
                "no agent that is known here is installed".to_owned(),
                "`ringfort setup --list` shows those that are known",
            )
        } else {
            (format!("not set up: {}", found.join(", ")), "`ringfort setup AGENT` has one ask before every tool call")
        };
        reports.push(ENTRY.info(message, help));
    }
    reports
}

fn one(seen: &AgentSeen) -> Vec<Report> {
    let who = format!("{} ({})", seen.title, seen.scope.name());
    let again = format!("look at its configuration, then run `ringfort setup {}{}` again", seen.name, option(seen));
    let look = match &seen.look {
        Ok(look) => look,
        Err(why) if seen.recorded => {
            return vec![ENTRY.fail(format!("{who} was set up, and its configuration cannot be read: {why}"), again)];
        }
        Err(why) => return vec![ENTRY.info(format!("{who}: its configuration cannot be read: {why}"), again)],
    };
    match look {
        Look::Absent if seen.recorded => {
            let undo = format!(
                "set it up again, or say that it is meant with `ringfort setup {}{} --undo`",
                seen.name,
                option(seen)
            );
            vec![ENTRY.fail(format!("{who} was set up, and its hook is gone from its configuration"), undo)]
        }
        Look::Absent => Vec::new(),
        Look::Changed { what } => vec![ENTRY.fail(format!("{who}: {what}"), again)],
        Look::Off { what } => {
            vec![ENTRY.fail(format!("{who} is told not to ask: {what}"), "remove that setting".to_owned())]
        }
        Look::Wired { .. } => proof(seen, &who),
    }
}

fn option(seen: &AgentSeen) -> &'static str {
    if seen.scope == crate::setup::Scope::Project { " --project" } else { "" }
}

fn proof(seen: &AgentSeen, who: &str) -> Vec<Report> {
    let Some(proof) = &seen.proof else {
        return vec![ENTRY.fail(format!("{who}: its hook was not asked"), "run `ringfort doctor` again")];
    };
    let forbidden = match &proof.forbidden {
        Ok(Heard::Blocked(reason)) if !reason.trim().is_empty() => {
            ENTRY.pass(format!("{who}: a forbidden call is blocked, in the form that it takes for a denial (advised)"))
        }
        Ok(Heard::Blocked(_)) => ENTRY.fail(format!("{who}: a forbidden call is blocked without a reason"), HELP),
        Ok(Heard::Asked) => ENTRY.fail(format!("{who}: a forbidden call is only asked about"), HELP),
        Ok(Heard::Silent) => ENTRY.fail(format!("{who}: a forbidden call goes ahead"), HELP),
        Ok(Heard::Through(what)) => ENTRY.fail(format!("{who}: a forbidden call goes ahead: {what}"), HELP),
        Err(why) => ENTRY.fail(format!("{who}: its hook cannot be started: {why}"), HELP),
    };
    let harmless = match &proof.harmless {
        Ok(Heard::Silent) => ENTRY.pass(format!("{who}: a harmless call is left to its own permissions")),
        Ok(Heard::Blocked(reason)) => {
            ENTRY.warn(format!("{who}: a harmless call is blocked: {}", reason.trim()), "is everything frozen?")
        }
        Ok(Heard::Asked) => {
            ENTRY.warn(format!("{who}: a harmless call is asked about"), "look at `ringfort policy show`")
        }
        Ok(Heard::Through(what)) => {
            ENTRY.fail(format!("{who}: its hook answers what it does not understand: {what}"), HELP)
        }
        Err(why) => ENTRY.fail(format!("{who}: its hook cannot be started: {why}"), HELP),
    };
    vec![forbidden, harmless]
}

const HELP: &str = "run `ringfort hook` by hand with a call, and look at what it says";

impl Check {
    /// Nothing that holds or fails.
    fn info(&self, message: impl Into<String>, help: impl Into<String>) -> Report {
        Report { check: self.id, status: Status::Info, message: message.into(), help: Some(help.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Proof;
    use crate::setup::Scope;

    fn seen(look: Look, recorded: bool, proof: Option<Proof>) -> AgentSeen {
        AgentSeen { title: "A", name: "a", scope: Scope::User, look: Ok(look), recorded, found: true, proof }
    }

    fn worst(seen: &AgentSeen) -> Option<Status> {
        one(seen).iter().map(|report| report.status).max()
    }

    #[test]
    fn deny_to_call_a_hook_proven_that_does_not_block() {
        let wired = || Look::Wired { line: "l".to_owned() };
        let blocked = || Ok(Heard::Blocked("no".to_owned()));
        for (forbidden, harmless, expected) in [
            (blocked(), Ok(Heard::Silent), Status::Pass),
            (blocked(), blocked(), Status::Warn),
            (blocked(), Ok(Heard::Asked), Status::Warn),
            (blocked(), Ok(Heard::Through("x".to_owned())), Status::Fail),
            (Ok(Heard::Silent), Ok(Heard::Silent), Status::Fail),
            (Ok(Heard::Asked), Ok(Heard::Silent), Status::Fail),
            (Ok(Heard::Blocked(" ".to_owned())), Ok(Heard::Silent), Status::Fail),
            (Ok(Heard::Through("x".to_owned())), Ok(Heard::Silent), Status::Fail),
            (Err("gone".to_owned()), Ok(Heard::Silent), Status::Fail),
        ] {
            let seen = seen(wired(), true, Some(Proof { forbidden, harmless }));
            assert_eq!(worst(&seen), Some(expected), "{:?}", seen.proof);
        }
        assert_eq!(worst(&seen(wired(), true, None)), Some(Status::Fail));
        assert_eq!(worst(&seen(Look::Absent, true, None)), Some(Status::Fail));
        assert_eq!(worst(&seen(Look::Absent, false, None)), None);
        assert_eq!(worst(&seen(Look::Changed { what: String::new() }, false, None)), Some(Status::Fail));
        assert_eq!(worst(&seen(Look::Off { what: String::new() }, false, None)), Some(Status::Fail));
    }
}
