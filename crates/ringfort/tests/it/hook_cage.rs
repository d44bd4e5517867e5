// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: inside a cage a hook asks the supervisor outside, which rules and records as for any other request of the
//! cage; what it forbids is forbidden, whatever the caller says of itself. And a person's approval answers a hook.
//!
//! In: hooks started by a program in a cage, and hooks that nobody can be asked at. Out: their answers.

use std::fs;

use serde_json::{Value, json};

use crate::hook::{bash, before, record, verdict};
use crate::support::Place;

/// What a nested request is started with, inside.
const NESTED: &str = "rf=$HOME/.local/bin/ringfort; [ -x \"$rf\" ] || rf=$(command -v ringfort);";

/// The answers of a hook inside a cage to these messages.
fn inside(place: &Place, messages: &[Value]) -> Vec<String> {
    for (n, message) in messages.iter().enumerate() {
        place.write(format!("m{n}.json"), message.to_string());
    }
    let text = format!(
        "{NESTED} for n in $(seq 0 {}); do \"$rf\" hook claude-code < m$n.json > a$n.json 2>&1; echo \"status-$?\" >> a$n.json; done",
        messages.len() - 1
    );
    place.write("agent.sh", text);
    place.run(["sh", "agent.sh"]).output().exits(0);
    (0..messages.len()).map(|n| fs::read_to_string(place.work.join(format!("a{n}.json"))).unwrap()).collect()
}

#[test]
fn deny_inside_what_is_denied_outside_and_allow_what_the_cage_bounds() {
    let place = Place::new();
    let cut = json!({ "hook_event_name": "PreToolUse", "session_id": "1", "cwd": place.work });
    let start = json!({ "hook_event_name": "SessionStart", "session_id": "1", "cwd": place.work });
    let answers = inside(
        &place,
        &[
            bash(&place, "git status"),
            // Outside any cage this asks; inside, the cage fulfils what it needs.
            bash(&place, "npm test"),
            bash(&place, "rm -rf ~"),
            before(&place, "Read", &json!({ "file_path": "/etc/shadow" })),
            cut,
            start,
        ],
    );
    assert_eq!(answers[0], "status-0\n");
    assert_eq!(answers[1], "status-0\n");
    for denied in &answers[2..4] {
        assert!(
            denied.contains("\"permissionDecision\":\"deny\"") && denied.contains("Ringfort denied this"),
            "{denied}"
        );
    }
    assert!(answers[4].contains("Denied by Ringfort"), "{}", answers[4]);
    assert!(answers[5].contains("additionalContext"), "{}", answers[5]);
    let record = record(&place);
    assert!(record.contains("\"door\":\"hook\",\"standing\":\"caged\""), "{record}");
    // The principal is the socket: the program that runs in the cage, not the agent that the hook is told.
    assert!(record.contains("\"sh\"]") && !record.contains("claude-code"), "{record}");
}

#[test]
fn deny_options_and_a_closed_socket_inside() {
    let place = Place::new();
    place.write("m.json", bash(&place, "git status").to_string());
    let hook = "\"$rf\" hook claude-code";
    let text = format!(
        "{NESTED} {hook} --set autonomy.level=full < m.json; echo set-$?; {hook} --state /tmp/s < m.json; echo state-$?; \
         {hook} < m.json 3<&-; echo closed-$?; \"$rf\" freeze --off; echo freeze-$?"
    );
    place.write("agent.sh", text);
    let ran = place.run(["sh", "agent.sh"]).output().exits(0);
    assert_eq!(ran.out().matches("\"permissionDecision\":\"deny\"").count(), 3, "{ran}");
    assert!(ran.out().contains("freeze-1"), "{ran}");
}

#[test]
fn deny_inside_while_frozen() {
    let place = Place::new();
    place.write("m.json", bash(&place, "git status").to_string());
    // The freeze comes while the cage runs.
    let text = format!(
        "{NESTED} \"$rf\" hook claude-code < m.json; touch ready; while [ ! -e go ]; do sleep 0.05; done; \"$rf\" hook claude-code < m.json"
    );
    place.write("agent.sh", text);
    let mut program = place.run(["sh", "agent.sh"]);
    program.command.stdin(std::process::Stdio::null()).stdout(fs::File::create(place.outside.join("out")).unwrap());
    let mut running = program.spawn();
    let ready = crate::support::until(crate::support::TIME_MAX, || place.work.join("ready").exists().then_some(()));
    assert!(ready.is_some());
    place.ringfort(["freeze"]).output().exits(0);
    place.write("go", "");
    assert!(running.wait(crate::support::TIME_MAX).success());
    let answer: Value = serde_json::from_slice(&fs::read(place.outside.join("out")).unwrap()).unwrap();
    let why = answer["hookSpecificOutput"]["permissionDecisionReason"].as_str().unwrap();
    assert!(why.contains("guard-005"), "one answer, to the second call: {why}");
}

#[test]
fn an_approval_answers_the_hook_once_and_nothing_else() {
    let place = Place::new();
    let headless = |command: &str| {
        let mut message = bash(&place, command);
        message["permission_mode"] = json!("dontAsk");
        verdict(&place, &message)
    };
    let (answer, why) = headless("git push origin main");
    assert_eq!(answer, "deny", "{why}");
    let digest = why.split("ringfort approvals allow ").nth(1).unwrap().split('`').next().unwrap();
    place.ringfort(["approvals", "allow", digest, "--yes"]).output().exits(0);
    assert_eq!(headless("git push origin other").0, "deny", "another command");
    let (answer, why) = headless("git push origin main");
    assert_eq!(answer, "none", "{why}");
    assert_eq!(headless("git push origin main").0, "deny", "once");
}
