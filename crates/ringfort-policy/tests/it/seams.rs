// SPDX-License-Identifier: MIT OR Apache-2.0
//! Schedules, skills, delegation, model switches and stated intents: what native rules say.

use ringfort_core::action::{
    Action, Command, Delegation, IntentCheck, Job, ModelSwitch, PathAccess, PathOp, ScheduleAdd, ScheduleRun, SkillOp,
    SkillUse,
};
use ringfort_core::decision::Decision::{Allow, Ask, Deny};
use ringfort_core::text::Text;
use ringfort_policy::preset::Preset;

use crate::support::{answer, ruled};

fn command(text: &str) -> Job {
    Job::Command(Command::Shell(Text::from(text)))
}

fn add(name: &str, job: Job) -> Action {
    Action::ScheduleAdd(ScheduleAdd { name: name.to_owned(), when: "daily".to_owned(), job })
}

fn due(job: Job, added: &Job) -> Action {
    Action::ScheduleRun(ScheduleRun { name: "n".to_owned(), job, added: added.digest() })
}

fn skill(operation: SkillOp, source: Option<&str>, command: Option<&str>) -> Action {
    Action::Skill(SkillUse {
        name: "pdf".to_owned(),
        operation,
        source: source.map(str::to_owned),
        digest: None,
        command: command.map(|text| Command::Shell(Text::from(text))),
    })
}

fn delegate(to: &str) -> Action {
    Action::Delegate(Delegation { to: to.to_owned(), task: Text::from("x"), restriction: None })
}

fn switch(to: &str) -> Action {
    Action::ModelSwitch(ModelSwitch { from: None, to: to.to_owned() })
}

fn intent(stated: &str, actual: &str) -> Action {
    let shell = |text: &str| Box::new(Action::Command(Command::Shell(Text::from(text))));
    Action::Intent(IntentCheck { intent: "i".to_owned(), stated: shell(stated), actual: shell(actual) })
}

#[test]
fn deny_and_ask_by_what_would_happen() {
    let (ls, prompt) = (command("ls"), Job::Prompt(Text::from("tidy up")));
    let nested = {
        let inner = Box::new(intent("ls", "ls"));
        Action::Intent(IntentCheck { intent: "i".to_owned(), stated: inner.clone(), actual: inner })
    };
    for (action, expected, caged, rule) in [
        (add("n", ls.clone()), Ask, false, "seam-001"),
        (add("n", prompt.clone()), Ask, false, "seam-001"),
        (add("n", command("npm test")), Ask, true, "seam-001"),
        (add("n", command("rm -rf /")), Deny, false, "command-030"),
        (add("", ls.clone()), Deny, false, "seam-008"),
        (add("a\u{202e}b", ls.clone()), Deny, false, "seam-008"),
        (due(ls.clone(), &ls), Allow, false, "policy-001"),
        (due(command("npm test"), &command("npm test")), Allow, true, "policy-002"),
        (due(command("rm -rf /"), &command("rm -rf /")), Deny, false, "command-030"),
        (due(command("ls "), &ls), Deny, false, "seam-002"),
        (due(prompt.clone(), &ls), Deny, false, "seam-002"),
        (due(prompt.clone(), &prompt), Allow, false, "policy-001"),
        (skill(SkillOp::Run, None, None), Allow, true, "policy-002"),
        (skill(SkillOp::Run, None, Some("ls")), Allow, true, "policy-002"),
        (skill(SkillOp::Run, None, Some("rm -rf /")), Deny, false, "command-030"),
        (skill(SkillOp::Run, Some("/etc/skill"), None), Deny, false, "path-002"),
        (skill(SkillOp::Install, Some("skills/pdf"), None), Ask, false, "seam-003"),
        (skill(SkillOp::Install, Some("https://skills.example/pdf"), None), Ask, false, "egress-005"),
        (skill(SkillOp::Install, Some("http://169.254.169.254/x"), None), Deny, false, "egress-002"),
        (delegate("reviewer"), Allow, false, "seam-004"),
        (delegate(""), Deny, false, "seam-008"),
        (delegate("a/b"), Deny, false, "seam-008"),
        (switch("other"), Ask, false, "seam-006"),
        (switch("a\u{200b}"), Deny, false, "seam-008"),
        (intent("ls", "ls"), Allow, false, "policy-001"),
        (intent("rm -rf /", "rm -rf /"), Deny, false, "command-030"),
        (intent("ls", "rm -rf /"), Deny, false, "seam-007"),
        (intent("ls", "ls -a"), Deny, false, "seam-007"),
        (nested, Deny, false, "seam-007"),
    ] {
        let ruling = ruled(Preset::Supervised.text(), action.clone());
        let (decision, is_caged, rules) = answer(&ruling);
        assert_eq!((decision, is_caged), (expected, caged), "{action:?}: {:?}", ruling.reasons);
        assert!(rules.contains(&rule), "{action:?}: {rules:?}");
    }
}

#[test]
fn levels_keep_their_meaning() {
    let access = Action::Path(PathAccess { path: Text::from("a"), op: PathOp::Write });
    let states = |actual: Action| {
        Action::Intent(IntentCheck {
            intent: "i".to_owned(),
            stated: Box::new(actual.clone()),
            actual: Box::new(actual),
        })
    };
    for (level, action, expected) in [
        ("readonly", add("n", command("ls")), Deny),
        ("readonly", due(command("ls"), &command("ls")), Allow),
        ("readonly", due(command("touch a"), &command("touch a")), Deny),
        ("readonly", skill(SkillOp::Install, None, None), Deny),
        ("readonly", switch("m"), Deny),
        ("readonly", delegate("x"), Allow),
        ("readonly", states(access.clone()), Deny),
        ("supervised", states(access), Allow),
        ("full", add("n", command("ls")), Allow),
        ("full", add("n", command("rm -rf /")), Deny),
        ("full", skill(SkillOp::Install, Some("/etc/x"), None), Deny),
        ("full", switch("m"), Allow),
    ] {
        let ruling = ruled(&format!("[autonomy]\nlevel = \"{level}\"\n"), action.clone());
        assert_eq!(ruling.decision, expected, "{level} {action:?}: {:?}", ruling.reasons);
    }
    let listed = "[autonomy]\nmodels = [\"m-1\"]\n";
    for (model, expected) in [("m-1", Allow), ("M-1", Ask), ("m-1 ", Ask), ("m-2", Ask)] {
        assert_eq!(ruled(listed, switch(model)).decision, expected, "`{model}`");
    }
}
