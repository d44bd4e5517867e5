// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every seam asks the provider, and the provider can deny: what the runtime lets an agent do besides commands.

use std::sync::{Arc, Mutex};

use ringfort_core::action::{
    Action, Command, Job, ModelSwitch, PathAccess, PathOp, ScheduleAdd, SkillOp, SkillUse, ToolCall,
};
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::door::Door;
use ringfort_core::entry::Entry;
use ringfort_core::obligation::ApprovalChannel;
use ringfort_core::provider::{Availability, Context, ReportError, SecurityProvider};
use ringfort_core::request::Request;
use ringfort_core::ruling::{Reason, Ruling};
use ringfort_core::signal::{Response, Signal};
use ringfort_core::text::Text;
use ringfort_policy::load::parse_restriction;
use ringfort_policy::preset::Preset;
use ringfort_runtime::approve::{Answer, Approver, NoApprover, Question};
use ringfort_runtime::pipeline::{Charge, Denied, Outcome, Pipeline};
use ringfort_runtime::seam::{Entered, Origin, Seam};
use ringfort_testkit::suite::sample_request;
use serde_json::json;

use crate::stage::{Stage, cage, native, typed};

/// Notes what it is asked, and denies on demand.
struct Recorder {
    asked: Arc<Mutex<Vec<Action>>>,
    decision: Decision,
}

impl SecurityProvider for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn availability(&self) -> Availability {
        Availability::Ready
    }

    fn decide(&self, request: &Request, _context: &Context) -> Ruling {
        self.asked.lock().unwrap().push(request.action.clone());
        Ruling::new(self.decision, Risk::Low, Reason::new("recorder-001", self.decision, "on demand"))
    }

    fn report(&self, _entry: &Entry) -> Result<(), ReportError> {
        Ok(())
    }

    fn respond(&self, _signal: &Signal) -> Response {
        Response::default()
    }
}

/// A person who says yes.
struct Willing;

impl Approver for Willing {
    fn ask(&self, _question: &Question<'_>) -> Answer {
        Answer::Once
    }
}

fn seam<'a>(pipeline: &'a Pipeline, door: &'a Door, approver: &'a dyn Approver) -> Seam<'a> {
    let Request { principal, session, cwd, workspace, home, provenance, .. } = sample_request();
    Seam { pipeline, door, approver, origin: Origin { principal, session, cwd, workspace, home, provenance } }
}

fn door() -> Door {
    Door { asks: Some(ApprovalChannel::Person), ..cage() }
}

fn shell(text: &str) -> Command {
    Command::Shell(Text::from(text))
}

fn skill(operation: SkillOp) -> SkillUse {
    SkillUse { name: "pdf".to_owned(), operation, source: None, digest: None, command: None }
}

type Enter = fn(&Seam<'_>) -> Result<Entered, Box<Denied>>;

/// Each seam, with something that native does not deny.
fn every_seam() -> Vec<(&'static str, Enter)> {
    vec![
        ("schedule-add", |seam| {
            let (name, when) = ("n".to_owned(), "daily".to_owned());
            let added = seam.schedule_add(ScheduleAdd { name, when, job: Job::Command(shell("ls")) });
            added.map(|(entered, _)| entered)
        }),
        ("schedule-run", |seam| {
            let job = Job::Command(shell("ls"));
            let added = job.digest();
            seam.schedule_run("n", job, added)
        }),
        ("skill", |seam| seam.skill(skill(SkillOp::Run))),
        ("skill", |seam| seam.skill(skill(SkillOp::Install))),
        ("delegate", |seam| seam.delegate("reviewer", Text::from("look"), None).map(|child| child.entered)),
        ("model-switch", |seam| seam.model_switch(ModelSwitch { from: None, to: "m".to_owned() })),
        ("intent", |seam| {
            let access = Action::Path(PathAccess { path: Text::from("a"), op: PathOp::Read });
            seam.verify_intent("i", access.clone(), access)
        }),
        ("tool", |seam| seam.tool(ToolCall { name: "Read".to_owned(), arguments: json!({"file_path": "a"}) })),
    ]
}

fn kind(action: &Action) -> String {
    serde_json::to_value(action).unwrap()["kind"].as_str().unwrap().to_owned()
}

#[test]
fn deny_at_every_seam_when_the_provider_denies() {
    for (expected, enter) in every_seam() {
        for decision in [Decision::Allow, Decision::Deny] {
            let (stage, asked) = (Stage::new(), Arc::new(Mutex::new(Vec::new())));
            let recorder = Recorder { asked: Arc::clone(&asked), decision };
            let pipeline = stage.pipeline(Preset::Supervised, Arc::new(recorder));
            let door = door();
            let seam = seam(&pipeline, &door, &Willing);
            let entered = enter(&seam);
            let kinds: Vec<String> = asked.lock().unwrap().iter().map(kind).collect();
            assert_eq!(kinds, [expected], "the provider is asked once, about this");
            let record = stage.record();
            match (decision, entered) {
                (Decision::Allow, Ok(entered)) => {
                    assert!(record.contains(r#""kind":"intent""#), "{expected}: {record}");
                    let done = Outcome { result: "exited", facts: Vec::new() };
                    seam.finish(&entered.request, done).unwrap();
                    assert!(stage.record().contains(r#""result":"exited""#), "{expected}");
                }
                (Decision::Deny, Err(denied)) => {
                    assert!(denied.ruling.deciding().any(|reason| reason.rule == "recorder-001"), "{expected}");
                    assert!(
                        !record.contains(r#""kind":"intent""#) && record.contains("denied"),
                        "{expected}: {record}"
                    );
                }
                (_, entered) => panic!("{expected}, {decision:?}: {entered:?}"),
            }
        }
    }
}

/// Goes in at a seam, and answers the denial.
type Entering<'e> = &'e dyn Fn(&Seam<'_>) -> Option<Box<Denied>>;

#[test]
fn deny_at_a_seam_whatever_the_provider_allows() {
    let job = Job::Command(shell("rm -rf /"));
    let denied: [(&str, Entering<'_>); 7] = [
        ("command-030", &|seam| {
            let (name, when) = ("n".to_owned(), "daily".to_owned());
            seam.schedule_add(ScheduleAdd { name, when, job: job.clone() }).err()
        }),
        ("command-030", &|seam| seam.schedule_run("n", job.clone(), job.digest()).err()),
        ("seam-002", &|seam| seam.schedule_run("n", Job::Command(shell("ls")), job.digest()).err()),
        ("command-030", &|seam| seam.skill(SkillUse { command: Some(shell("rm -rf /")), ..skill(SkillOp::Run) }).err()),
        ("runtime-006", &|seam| seam.delegate("a/b", Text::from("x"), None).err()),
        ("seam-008", &|seam| seam.model_switch(ModelSwitch { from: None, to: String::new() }).err()),
        ("seam-007", &|seam| {
            seam.verify_intent("i", Action::Command(shell("ls")), Action::Command(shell("ls -a"))).err()
        }),
    ];
    for (rule, enter) in denied {
        let stage = Stage::new();
        let recorder = Recorder { asked: Arc::default(), decision: Decision::Allow };
        let pipeline = stage.pipeline(Preset::Supervised, Arc::new(recorder));
        let door = door();
        let denied = enter(&seam(&pipeline, &door, &Willing)).unwrap_or_else(|| panic!("{rule}: a permit"));
        let rules: Vec<&str> = denied.ruling.deciding().map(|reason| reason.rule.as_str()).collect();
        assert!(rules.contains(&rule) && denied.unrecorded.is_none(), "{rule}: {rules:?}");
        assert!(!stage.record().contains(r#""kind":"intent""#) && !stage.record().is_empty(), "{rule}");
    }
}

#[test]
fn deny_questions_that_nobody_answers() {
    let stage = Stage::new();
    let pipeline = stage.pipeline(Preset::Supervised, native(Preset::Supervised));
    let (asking, silent) = (door(), cage());
    let add = || ScheduleAdd { name: "n".to_owned(), when: "daily".to_owned(), job: Job::Prompt(Text::from("x")) };
    assert!(seam(&pipeline, &asking, &Willing).schedule_add(add()).is_ok());
    assert!(seam(&pipeline, &asking, &NoApprover).schedule_add(add()).is_err());
    assert!(seam(&pipeline, &silent, &Willing).schedule_add(add()).is_err());
}

#[test]
fn no_escalation_by_delegation_at_any_depth() {
    let stage = Stage::new();
    let door = door();
    let pipeline = stage.pipeline(Preset::Supervised, native(Preset::Supervised));
    let text = "[autonomy]\nlevel = \"readonly\"\n";
    let restriction = parse_restriction("child".as_ref(), text).unwrap();
    let mut seam = seam(&pipeline, &door, &Willing);
    let child = seam.delegate("reviewer", Text::from("look"), Some(&restriction)).unwrap();
    assert_eq!(child.principal, seam.origin.principal.try_child("reviewer").unwrap());
    let inherited: Vec<_> = child.chain.iter().map(|policy| policy.digest()).collect();
    assert_eq!(inherited[..inherited.len() - 1], pipeline.policies(), "the child inherits every policy");
    for command in ["ls", "touch a", "npm test", "rm -rf /", "git push --force"] {
        let request = typed(command);
        let answer = |chain: &[ringfort_policy::rule::Policy]| {
            Ruling::strictest(chain.iter().map(|policy| policy.decide(&request))).decision
        };
        let (mine, theirs) = (answer(pipeline.chain()), answer(&child.chain));
        assert!(theirs >= mine, "`{command}`: {mine:?}, the child {theirs:?}");
        assert!(command == "ls" || theirs == Decision::Deny, "`{command}`: {theirs:?}");
    }
    // The chain of principals ends.
    let mut depth = 0;
    while let Ok(child) = seam.delegate("sub", Text::from("x"), None) {
        seam.origin.principal = child.principal;
        depth += 1;
        assert!(depth < 64, "a chain without an end");
    }
}

#[test]
fn deny_at_a_hook_when_the_provider_denies() {
    for (action, expected) in [
        (Action::Command(shell("ls")), "command"),
        (Action::Tool(ToolCall { name: "Read".to_owned(), arguments: json!({"file_path": "a"}) }), "tool"),
        (Action::Tool(ToolCall { name: "mcp__x__y".to_owned(), arguments: json!({}) }), "tool"),
    ] {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let recorder = Recorder { asked: Arc::clone(&asked), decision: Decision::Deny };
        let (stage, request) = (Stage::new(), Request { action, ..sample_request() });
        let pipeline = stage.pipeline(Preset::Trusted, Arc::new(recorder));
        let verdict = pipeline.verdict(&request, &door(), &Willing, Charge::Counted);
        assert_eq!(verdict.ruling.decision, Decision::Deny);
        assert_eq!(asked.lock().unwrap().iter().map(kind).collect::<Vec<_>>(), [expected]);
    }
}

#[test]
fn the_primitives_are_reached_through_the_interface() {
    let recorder = Recorder { asked: Arc::default(), decision: Decision::Ask };
    let providers: [(Arc<dyn SecurityProvider>, [Decision; 4]); 2] = [
        (native(Preset::Supervised), [Decision::Allow, Decision::Deny, Decision::Allow, Decision::Deny]),
        (Arc::new(recorder), [Decision::Ask; 4]),
    ];
    for (provider, expected) in providers {
        let (like, context) = (sample_request(), ringfort_testkit::suite::sample_context());
        let read = |path: &str| ToolCall { name: "Read".to_owned(), arguments: json!({ "file_path": path }) };
        let answers = [
            provider.is_command_allowed(b"ls", &like, &context),
            provider.is_path_allowed(b"/etc/shadow", PathOp::Read, &like, &context),
            provider.is_tool_allowed(&read("a"), &like, &context),
            provider.is_tool_allowed(&read("/etc/shadow"), &like, &context),
        ];
        assert_eq!(answers, expected, "{}", provider.name());
    }
    let native = native(Preset::Supervised);
    let context = ringfort_testkit::suite::sample_context();
    assert_eq!(native.command_risk(b"rm -rf /", &sample_request(), &context), Risk::Critical);
}
