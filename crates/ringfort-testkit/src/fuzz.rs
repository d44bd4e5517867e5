// SPDX-License-Identifier: MIT OR Apache-2.0
//! What must hold for every input, as bodies for the targets in `fuzz/` and for tests.
//!
//! In: any bytes. Out: nothing; what does not hold is a panic, which a fuzzer keeps together with its input.
//!
//! **Invariant:** a body reads no file, keeps no state and needs no randomness: the same bytes always do the same.

use std::path::PathBuf;

use ringfort_core::action::{Action, Command};
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::effect::Span;
use ringfort_core::principal::Principal;
use ringfort_core::request::{Provenance, Request};
use ringfort_core::ruling::Ruling;
use ringfort_core::text::Text;
use ringfort_policy::command::{Analysis, Context, analyze, analyze_argv};
use ringfort_policy::config::Config;
use ringfort_policy::rule::Policy;
use ringfort_runtime::hook::{self, Moment, Opinion, Place};

/// Longest input that is looked at, in bytes.
pub const INPUT_BYTES_MAX: usize = 16 << 10;
const CONTEXT: Context<'static> =
    Context { cwd: Some(b"/srv/job/app"), home: Some(b"/home/ada"), workspace: Some(b"/srv/job/app") };

/// Every place that an analysis names lies in its input, and what stands after a text lowers nothing.
pub fn shell_parser(input: &[u8]) {
    let Some(input) = input.get(..input.len().min(INPUT_BYTES_MAX)) else { return };
    let analysis = analyze(input, &CONTEXT);
    check_places(&analysis, input.len());
    check_places(&analyze(input, &Context::default()), input.len());
    let words: Vec<&[u8]> = input.split(|b| *b == b'\n').collect();
    check_places(&analyze_argv(&words, &CONTEXT), input.len());
    let more = analyze(&[input, b"\n; rm -rf /"].concat(), &CONTEXT);
    assert!(more.risk >= analysis.risk.min(Risk::High), "{:?} then {:?}", analysis.risk, more.risk);
    let after = analyze(&[b"rm -rf /\n", input].concat(), &CONTEXT);
    assert!(after.risk == Risk::Critical, "{:?} hides what ran before it", after.risk);
}

fn check_places(analysis: &Analysis, length: usize) {
    let inside = |span: &Span| assert!(span.start <= span.end && span.end <= length, "{span:?} of {length}");
    for command in &analysis.commands {
        inside(&command.span);
        command.args.iter().for_each(|argument| inside(&argument.span));
        command.redirections.iter().for_each(|redirection| inside(&redirection.target.span));
        assert!(command.effects.start <= command.effects.end && command.effects.end <= analysis.effects.len());
        assert!(command.via.is_none_or(|via| via < analysis.commands.len()));
        assert!(command.risk <= analysis.risk);
    }
    analysis.effects.iter().for_each(|effect| inside(&effect.span));
    analysis.hazards.iter().for_each(|hazard| inside(&hazard.span));
    analysis.chains.iter().for_each(|chain| inside(&chain.span));
    analysis.unanalysable.iter().for_each(|problem| inside(&problem.span));
    assert!(analysis.unanalysable.is_empty() || analysis.risk >= Risk::High);
}

/// What could not be read is never allowed, what ran before stays denied, and every reason stands in its text.
pub fn shell_ruling(input: &[u8]) {
    let Some(input) = input.get(..input.len().min(INPUT_BYTES_MAX)) else { return };
    let policy = Policy::from_config(&Config::default());
    let Some(ruling) = rule(&policy, input) else { return };
    for reason in &ruling.reasons {
        if let Some(span) = reason.span {
            assert!(span.start <= span.end && span.end <= input.len(), "{span:?} of {}", input.len());
        }
    }
    if !analyze(input, &CONTEXT).unanalysable.is_empty() {
        assert!(ruling.decision > Decision::Allow, "what cannot be read is allowed");
    }
    let Some(after) = rule(&policy, &[b"rm -rf /\n", input].concat()) else { return };
    assert!(after.decision == Decision::Deny, "what stands after a denial lifts it");
}

fn rule(policy: &Policy, text: &[u8]) -> Option<Ruling> {
    Some(policy.decide(&request(Action::Command(Command::Shell(Text::new(text))))?))
}

/// A request like those of an agent.
fn request(action: Action) -> Option<Request> {
    Some(Request {
        principal: Principal::try_user("fuzz").ok()?,
        action,
        session: "fuzz".to_owned(),
        cwd: PathBuf::from("/srv/job/app"),
        workspace: PathBuf::from("/srv/job/app"),
        home: Some(PathBuf::from("/home/ada")),
        provenance: Provenance::Agent,
        bindings: Vec::new(),
    })
}

/// A message of an agent is understood or refused; what is about to happen has an action, and a denial is never
/// said in the words that let it happen.
pub fn hook_input(input: &[u8]) {
    let Some((first, message)) = input.split_first() else { return };
    let Some(agent) = hook::AGENTS.get(usize::from(*first) % hook::AGENTS.len().max(1)) else { return };
    let message = message.get(..message.len().min(INPUT_BYTES_MAX)).unwrap_or(&[]);
    let (event, moment) = agent.peek(message, None);
    let place = Place { event: &event, moment };
    if moment.is_before() {
        let (denied, silent) = (agent.answer(&place, &Opinion::Deny("no")), agent.answer(&place, &Opinion::None));
        assert!(denied != silent, "a denial reads like no opinion");
    }
    let Ok(call) = agent.parse(message, None) else { return };
    assert!(call.moment == moment && call.event == event, "the quick look saw another event");
    assert!(call.action.is_some() || !matches!(call.moment, Moment::BeforeTool | Moment::Permission));
    if let Some(action) = call.action {
        let policy = Policy::from_config(&Config::default());
        let Some(request) = request(action) else { return };
        let request = Request { cwd: call.cwd.unwrap_or_else(|| PathBuf::from("/")), ..request };
        let ruling = policy.decide(&request);
        assert!(policy.decide(&request).decision == ruling.decision, "two answers to one question");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a fuzzer has found before, and one plain input for every way through.
    const INPUTS: &[&[u8]] = &[
        b"",
        b"ls -la",
        b"a <<E; b\n$(c)\nE",
        b"'",
        b"\xff\x00\xfe",
        b"x='a[$(b)]'; ((x))",
        b"alias q=eval; q 'rm x'",
        b"\x00{\"hook_event_name\":\"PreToolUse\",\"tool_name\":\"Bash\",\"tool_input\":{\"command\":\"ls\"},\"cwd\":\"/x\",\"session_id\":\"s\"}",
        b"\x01{\"hook_event_name\":\"Stop\"}",
        b"\x07{\"event\":\"before_tool\",\"tool\":\"bash\"}",
        b"\x02{",
    ];

    #[test]
    fn the_bodies_of_the_fuzz_targets_hold() {
        for input in INPUTS {
            shell_parser(input);
            shell_ruling(input);
            for agent in 0..hook::AGENTS.len() {
                let first = u8::try_from(agent).unwrap_or(0);
                hook_input(&[&[first], input.get(1..).unwrap_or(&[])].concat());
            }
        }
    }
}
