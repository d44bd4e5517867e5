// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: `why` never disagrees with `run`: every door gives the same ruling on the same command.
//!
//! In: the commands of `one_analysis.txt`, and those of the corpus in `RINGFORT_CORPORA` where that is set. Out: the
//! rulings of `check`, `check --batch`, the form of words, a tool call, the pipeline that `run` asks, the hook and the
//! broker of a cage, compared.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ringfort_core::action::{Action, Command};
use ringfort_core::door::{Door, DoorKind, Standing};
use ringfort_core::obligation::{ApprovalChannel, Demand, Promise};
use ringfort_core::principal::Principal;
use ringfort_core::request::{Provenance, Request};
use ringfort_core::ruling::Ruling;
use ringfort_core::text::Text;
use ringfort_policy::load::{Sources, load};
use ringfort_policy::preset::Preset;
use ringfort_runtime::clock::SystemClock;
use ringfort_runtime::decide::Decider;
use ringfort_runtime::providers::{PROVIDERS, select};
use serde_json::{Value, json};

use crate::hook::{bash, verdict};
use crate::support::{Place, is_namespaced};

const COMMANDS: &str = include_str!("one_analysis.txt");
/// Commands in one cage: the broker answers so many within a few seconds.
const CAGE_COMMANDS: usize = 150;
/// Most commands of the corpus that are compared.
const CORPUS_MAX: usize = 40_000;

fn commands() -> Vec<&'static str> {
    let commands: Vec<&str> = COMMANDS.lines().collect();
    assert!(commands.len() >= 400, "{}", commands.len());
    commands
}

/// What is compared of a ruling: everything but the remedies, which depend on who reads.
fn core(ruling: &Value) -> Value {
    let reasons: Vec<Value> = ruling["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| json!([reason["rule"], reason["decision"], reason["span"], reason["message"]]))
        .collect();
    // Effects are a set: merging with what a door says orders them and drops what is listed twice.
    let mut effects: Vec<String> = ruling["effects"].as_array().unwrap().iter().map(Value::to_string).collect();
    effects.sort();
    effects.dedup();
    json!({
        "decision": ruling["decision"], "risk": ruling["risk"], "effects": effects,
        "obligations": ruling["obligations"], "reasons": reasons,
    })
}

/// The same without what the door itself says, and which promises it keeps.
fn without_the_door(ruling: &Value) -> Value {
    let mut value = core(ruling);
    value["reasons"].as_array_mut().unwrap().retain(|reason| !reason[0].as_str().unwrap().starts_with("door-"));
    value
}

fn batch(place: &Place, flags: &[&str], lines: impl Iterator<Item = Value>) -> Vec<Value> {
    let input: String = lines.map(|line| format!("{line}\n")).collect();
    let words = ["check", "--batch"].iter().chain(flags).copied();
    let output = place.ringfort(words).input(input).time_max(crate::support::TIME_MAX * 5).output().exits(0);
    output.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn texts<'c>(commands: &'c [&str]) -> impl Iterator<Item = Value> + 'c {
    commands.iter().map(|command| json!({ "command": command }))
}

#[track_caller]
fn same(commands: &[&str], one: &[Value], other: &[Value], view: fn(&Value) -> Value, what: &str) {
    assert_eq!((one.len(), other.len()), (commands.len(), commands.len()), "{what}");
    let differences: Vec<String> = commands
        .iter()
        .zip(one.iter().zip(other))
        .filter(|(_, (one, other))| view(one) != view(other))
        .map(|(command, (one, other))| format!("`{command}`\n  {}\n  {}", view(one), view(other)))
        .collect();
    let shown: Vec<&String> = differences.iter().take(5).collect();
    assert!(differences.is_empty(), "{what}: {} differ\n{shown:#?}", differences.len());
}

/// The very functions that `run` asks: the configuration is loaded, the decider decides, the door resolves.
fn pipeline(place: &Place, commands: &[&str], door: &Door) -> Vec<Value> {
    let sources =
        Sources { preset: Some(Preset::Supervised), accepted: place.state.join("accepted"), ..Sources::default() };
    let chain: Arc<[_]> = load(&sources).unwrap().chain.into();
    let provider = select(PROVIDERS, "native", &chain).unwrap();
    let decider = Decider::new(chain, provider, Arc::new(SystemClock::new()));
    let rule = |text: &str| {
        let request = Request {
            principal: Principal::try_user("ada").unwrap(),
            action: Action::Command(Command::from_words(vec![Text::from(text)])),
            session: "run".to_owned(),
            cwd: place.work.clone(),
            workspace: place.work.clone(),
            home: Some(place.home.clone()),
            provenance: Provenance::User,
            bindings: Vec::new(),
        };
        shown(&door.resolve(decider.decide(&request, door.standing)))
    };
    commands.iter().map(|command| rule(command)).collect()
}

fn shown(ruling: &Ruling) -> Value {
    json!({
        "decision": ruling.decision, "risk": ruling.risk, "effects": ruling.effects,
        "obligations": ruling.obligations.to_words(),
        "reasons": ruling.reasons.iter().map(|reason| json!({
            "rule": reason.rule, "decision": reason.decision, "span": reason.span, "message": reason.message,
        })).collect::<Vec<_>>(),
    })
}

/// A door of `run`, and one of a check that cannot isolate.
fn doors() -> (Door, Door) {
    let bare = Door {
        asks: Some(ApprovalChannel::TwoPersons),
        limits: Demand::Demanded,
        redacts: Demand::Demanded,
        ..Door::bare(DoorKind::Check, Standing::Advised)
    };
    let cage =
        Door { isolates: Promise::ALL.into(), kind: DoorKind::Run, profile: Some("native".to_owned()), ..bare.clone() };
    (Door { standing: Standing::Caged, ..cage }, bare)
}

/// The words of a command in which a shell would find nothing but words.
fn plain_words(command: &str) -> Option<Vec<&str>> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+, ".contains(c);
    let words: Vec<&str> = command.split(' ').collect();
    let is_reserved =
        |word: &str| ["if", "for", "while", "until", "case", "then", "do", "time", "select"].contains(&word);
    let good = words.len() > 1 && command.chars().all(plain) && words.iter().all(|word| !word.is_empty());
    (good && !is_reserved(words[0])).then_some(words)
}

/// Every door that answers many questions at once, over any list.
fn compare(place: &Place, commands: &[&str]) {
    let (cage, bare) = doors();
    let open = batch(place, &[], texts(commands));
    let caged = batch(place, &["--isolated"], texts(commands));
    same(commands, &open, &caged, without_the_door_and_answer, "before the door");
    same(commands, &open, &pipeline(place, commands, &bare), core, "`check` and the pipeline, without a cage");
    same(commands, &caged, &pipeline(place, commands, &cage), core, "`check --isolated` and the pipeline of `run`");
    let tools = batch(
        place,
        &[],
        commands.iter().map(|command| json!({ "tool": "Bash", "arguments": { "command": command } })),
    );
    same(commands, &open, &tools, core, "a command and a call of a shell tool");
    let lists: Vec<(&str, Vec<&str>)> =
        commands.iter().filter_map(|command| Some((*command, plain_words(command)?))).collect();
    let plain: Vec<&str> = lists.iter().map(|(command, _)| *command).collect();
    let text = batch(place, &[], texts(&plain));
    let words = batch(place, &[], lists.iter().map(|(_, words)| json!({ "command": words })));
    assert!(plain.len() > 50, "{}", plain.len());
    same(&plain, &text, &words, core, "text and words");
}

/// The ruling itself: the decision of a door is left out with what it says.
fn without_the_door_and_answer(ruling: &Value) -> Value {
    let mut value = without_the_door(ruling);
    value["decision"] = Value::Null;
    value
}

#[test]
fn every_door_rules_the_same() {
    let place = Place::new();
    let commands = commands();
    compare(&place, &commands);
}

#[test]
fn a_single_check_is_a_line_of_a_batch() {
    let place = Place::new();
    let commands = commands();
    let lines = batch(&place, &[], texts(&commands));
    let single: Vec<Value> = commands
        .iter()
        .map(|command| {
            let output = place.ringfort(["--json", "check", "--explain", "--", command]).output();
            let value: Value = serde_json::from_str(output.out().trim()).unwrap();
            let status = match value["decision"].as_str().unwrap() {
                "allow" => 0,
                "deny" => 1,
                _ => 4,
            };
            assert_eq!(output.code(), Some(status), "{output}");
            value
        })
        .collect();
    same(&commands, &lines, &single, core, "`check` and `check --batch`");
}

#[test]
fn the_hook_answers_what_check_says() {
    let place = Place::new();
    // The budget and the loop guard are another matter.
    place.write(place.home.join(".config/ringfort/ringfort.toml"), "[autonomy]\nmax_actions_per_hour = 100000\n");
    place.ringfort(["policy", "accept", "--yes"]).output().exits(0);
    let commands = commands();
    let rulings = batch(&place, &[], texts(&commands));
    let mut wrong = BTreeMap::new();
    for (command, ruling) in commands.iter().zip(&rulings) {
        let (answer, why) = verdict(&place, &bash(&place, command));
        let expected = match ruling["decision"].as_str().unwrap() {
            "allow" => "none",
            other => other,
        };
        if answer != expected {
            wrong.insert(*command, format!("{answer} instead of {expected}: {why}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_broker_of_a_cage_answers_what_check_says() {
    let place = Place::new();
    if !is_namespaced(&place) {
        return;
    }
    let all = commands();
    for commands in all.chunks(CAGE_COMMANDS) {
        let list: String = commands.iter().map(|command| format!("{command}\n")).collect();
        place.write("list.txt", list);
        place.write(
            "agent.sh",
            "rf=$HOME/.local/bin/ringfort; [ -x \"$rf\" ] || rf=$(command -v ringfort)\n\
             while IFS= read -r line; do \"$rf\" --json check -- \"$line\"; done < list.txt\n",
        );
        let output = place.run(["sh", "agent.sh"]).time_max(crate::support::TIME_MAX * 3).output();
        let inside: Vec<Value> = output
            .out()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {output}")))
            .collect();
        assert!(output.err().is_empty(), "{}", output.err());
        let outside = batch(&place, &["--isolated"], texts(commands));
        same(commands, &outside, &inside, without_the_door, "`check --isolated` and the broker");
        assert!(
            inside.iter().flat_map(|ruling| ruling["reasons"].as_array().unwrap()).all(|r| r["remedy_for"] != "person")
        );
    }
}

#[test]
fn every_door_rules_the_same_on_the_corpus() {
    #[expect(clippy::disallowed_methods, reason = "the corpus is not part of the repository")]
    let Some(folder) = std::env::var_os("RINGFORT_CORPORA").map(PathBuf::from) else {
        eprintln!("skipped: RINGFORT_CORPORA names no folder");
        return;
    };
    let place = Place::new();
    let packed = folder.join("commands.jsonl.gz");
    let rows = place.program("gzip", ["-dc", packed.to_str().unwrap()]).output().exits(0);
    let commands: Vec<String> = rows
        .out()
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["command"].as_str().map(str::to_owned))
        .take(CORPUS_MAX)
        .collect();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    compare(&place, &commands);
}
