// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an agent runtime attempts besides commands and tools: to schedule, to use a skill, to delegate, to switch the
//! model, to act on an intent that was stated before.
//!
//! In: what a runtime received. Out: parts of an [`Action`].
//!
//! **Invariant:** every field is written into the digest, so that an approval of one job, skill or intent is worth
//! nothing for another.

use serde::{Deserialize, Serialize};

use super::{Action, Command, write_command};
use crate::digest::{Digest, DigestWriter};
use crate::text::Text;

/// What a schedule starts later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "job", content = "what")]
pub enum Job {
    /// A command.
    Command(Command),
    /// A task for an agent, in words.
    Prompt(Text),
}

/// An entry of a schedule is made or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleAdd {
    /// The name of the entry.
    pub name: String,
    /// When it runs, in the words of the scheduler.
    pub when: String,
    /// What it starts.
    pub job: Job,
}

/// An entry of a schedule is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRun {
    /// The name of the entry.
    pub name: String,
    /// What is stored now.
    pub job: Job,
    /// The digest of the job that was added ([`Job::digest`]), kept apart from the store.
    pub added: Digest,
}

/// A skill is installed or run: instructions or code that somebody else has written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkillUse {
    /// The name of the skill.
    pub name: String,
    /// What is done with it.
    pub operation: SkillOp,
    /// Where it comes from: a URL or a path, where it is known.
    #[serde(default)]
    pub source: Option<String>,
    /// The digest of its content, where it is known.
    #[serde(default)]
    pub digest: Option<Digest>,
    /// What it starts; `None` where it only instructs.
    #[serde(default)]
    pub command: Option<Command>,
}

/// What is done with a skill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SkillOp {
    /// It is there for every later session.
    Install,
    /// It acts in this session.
    Run,
}

/// A task is handed to another agent, which acts as a child of the principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// The name of the child, a new link of the chain.
    pub to: String,
    /// What it is to do.
    pub task: Text,
    /// The digest of what it is restricted to besides, where there is such a policy.
    #[serde(default)]
    pub restriction: Option<Digest>,
}

/// Another model takes over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSwitch {
    /// The id of the model in use, where it is known.
    #[serde(default)]
    pub from: Option<String>,
    /// The id of the model that is asked for.
    pub to: String,
}

/// Something is about to happen that was stated before: what is done must be what was said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntentCheck {
    /// The id of the statement.
    pub intent: String,
    /// What was stated.
    pub stated: Box<Action>,
    /// What is about to happen.
    pub actual: Box<Action>,
}

impl Job {
    /// The digest that a runtime keeps when the job is added.
    pub fn digest(&self) -> Digest {
        let mut writer = DigestWriter::new("ringfort.job.v1");
        self.write_digest(&mut writer);
        writer.finish()
    }

    /// The job on one line, escaped for people.
    pub fn to_display(&self) -> String {
        match self {
            Self::Command(command) => command.to_display(),
            Self::Prompt(text) => format!("task {}", text.escaped()),
        }
    }

    fn write_digest(&self, writer: &mut DigestWriter) {
        match self {
            Self::Command(command) => {
                writer.number(1);
                write_command(command, writer);
            }
            Self::Prompt(text) => {
                writer.number(2).bytes(text.as_bytes());
            }
        }
    }
}

impl SkillOp {
    /// The word used in JSON and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Run => "run",
        }
    }
}

fn shown(text: &str) -> String {
    Text::from(text).escaped()
}

/// Writes a field that may be absent.
fn write_option(bytes: Option<&[u8]>, writer: &mut DigestWriter) {
    writer.number(u64::from(bytes.is_some())).bytes(bytes.unwrap_or(&[]));
}

impl ScheduleAdd {
    pub(super) fn to_display(&self) -> String {
        format!("schedule {} {}: {}", shown(&self.name), shown(&self.when), self.job.to_display())
    }

    pub(super) fn write_digest(&self, writer: &mut DigestWriter) {
        writer.bytes(self.name.as_bytes()).bytes(self.when.as_bytes());
        self.job.write_digest(writer);
    }
}

impl ScheduleRun {
    pub(super) fn to_display(&self) -> String {
        format!("scheduled {}: {}", shown(&self.name), self.job.to_display())
    }

    pub(super) fn write_digest(&self, writer: &mut DigestWriter) {
        writer.bytes(self.name.as_bytes()).bytes(self.added.as_bytes());
        self.job.write_digest(writer);
    }
}

impl SkillUse {
    pub(super) fn to_display(&self) -> String {
        let command = self.command.as_ref().map_or_else(String::new, |command| format!(": {}", command.to_display()));
        format!("{} skill {}{command}", self.operation.as_str(), shown(&self.name))
    }

    pub(super) fn write_digest(&self, writer: &mut DigestWriter) {
        writer.bytes(self.name.as_bytes()).bytes(self.operation.as_str().as_bytes());
        write_option(self.source.as_ref().map(|source| source.as_bytes()), writer);
        write_option(self.digest.as_ref().map(|digest| &digest.as_bytes()[..]), writer);
        writer.number(u64::from(self.command.is_some()));
        if let Some(command) = &self.command {
            write_command(command, writer);
        }
    }
}

impl Delegation {
    pub(super) fn to_display(&self) -> String {
        format!("delegate to {}: {}", shown(&self.to), self.task.escaped())
    }

    pub(super) fn write_digest(&self, writer: &mut DigestWriter) {
        writer.bytes(self.to.as_bytes()).bytes(self.task.as_bytes());
        write_option(self.restriction.as_ref().map(|digest| &digest.as_bytes()[..]), writer);
    }
}

impl ModelSwitch {
    pub(super) fn to_display(&self) -> String {
        format!("switch to model {}", shown(&self.to))
    }

    pub(super) fn write_digest(&self, writer: &mut DigestWriter) {
        write_option(self.from.as_ref().map(|from| from.as_bytes()), writer);
        writer.bytes(self.to.as_bytes());
    }
}

impl IntentCheck {
    /// Whether what is about to happen is what was stated, in every field.
    pub fn agrees(&self) -> bool {
        let digest = |action: &Action| {
            let mut writer = DigestWriter::new("ringfort.intent.v1");
            action.write_digest(&mut writer);
            writer.finish()
        };
        digest(&self.stated) == digest(&self.actual)
    }

    pub(super) fn to_display(&self) -> String {
        format!("as stated in {}: {}", shown(&self.intent), self.actual.to_display())
    }

    pub(super) fn write_digest(&self, writer: &mut DigestWriter) {
        writer.bytes(self.intent.as_bytes());
        self.stated.write_digest(writer);
        self.actual.write_digest(writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(action: &Action) -> Digest {
        let mut writer = DigestWriter::new("test");
        action.write_digest(&mut writer);
        writer.finish()
    }

    fn shell(text: &str) -> Command {
        Command::Shell(Text::from(text))
    }

    fn every_kind() -> Vec<Action> {
        let job = || Job::Command(shell("ls"));
        let add = ScheduleAdd { name: "n".into(), when: "daily".into(), job: job() };
        let run = ScheduleRun { name: "n".into(), job: job(), added: job().digest() };
        let skill = SkillUse { name: "n".into(), operation: SkillOp::Run, source: None, digest: None, command: None };
        let delegation = Delegation { to: "n".into(), task: Text::from("t"), restriction: None };
        let switch = ModelSwitch { from: None, to: "m".into() };
        let path = |path: &str| {
            let access = super::super::PathAccess { path: Text::from(path), op: super::super::PathOp::Read };
            Box::new(Action::Path(access))
        };
        let intent = |stated, actual| {
            Action::Intent(IntentCheck { intent: "i".into(), stated: path(stated), actual: path(actual) })
        };
        vec![
            Action::ScheduleAdd(add.clone()),
            Action::ScheduleAdd(ScheduleAdd { name: "o".into(), ..add.clone() }),
            Action::ScheduleAdd(ScheduleAdd { when: "hourly".into(), ..add.clone() }),
            Action::ScheduleAdd(ScheduleAdd { job: Job::Command(shell("ls -a")), ..add.clone() }),
            Action::ScheduleAdd(ScheduleAdd {
                job: Job::Command(Command::Argv(vec![Text::from("ls")])),
                ..add.clone()
            }),
            Action::ScheduleAdd(ScheduleAdd { job: Job::Prompt(Text::from("ls")), ..add }),
            Action::ScheduleRun(run.clone()),
            Action::ScheduleRun(ScheduleRun { name: "o".into(), ..run.clone() }),
            Action::ScheduleRun(ScheduleRun { job: Job::Prompt(Text::from("ls")), ..run.clone() }),
            Action::ScheduleRun(ScheduleRun { added: Digest::of(b"x"), ..run }),
            Action::Skill(skill.clone()),
            Action::Skill(SkillUse { name: "o".into(), ..skill.clone() }),
            Action::Skill(SkillUse { operation: SkillOp::Install, ..skill.clone() }),
            Action::Skill(SkillUse { source: Some(String::new()), ..skill.clone() }),
            Action::Skill(SkillUse { digest: Some(Digest::of(b"x")), ..skill.clone() }),
            Action::Skill(SkillUse { command: Some(shell("ls")), ..skill }),
            Action::Delegate(delegation.clone()),
            Action::Delegate(Delegation { to: "o".into(), ..delegation.clone() }),
            Action::Delegate(Delegation { task: Text::from("u"), ..delegation.clone() }),
            Action::Delegate(Delegation { restriction: Some(Digest::of(b"x")), ..delegation }),
            Action::ModelSwitch(switch.clone()),
            Action::ModelSwitch(ModelSwitch { from: Some(String::new()), ..switch.clone() }),
            Action::ModelSwitch(ModelSwitch { to: "o".into(), ..switch }),
            intent("a", "a"),
            intent("a", "b"),
            intent("b", "a"),
        ]
    }

    #[test]
    fn every_field_changes_the_digest() {
        let actions = every_kind();
        for (at, action) in actions.iter().enumerate() {
            for other in &actions[at + 1..] {
                assert_ne!(digest(action), digest(other), "{action:?}\n{other:?}");
            }
        }
    }

    #[test]
    fn json_and_display_hold_every_kind() {
        for action in every_kind() {
            let text = serde_json::to_string(&action).unwrap();
            assert_eq!(serde_json::from_str::<Action>(&text).unwrap(), action, "{text}");
            assert!(!action.to_display().is_empty() && !action.to_display().contains('\n'));
        }
        let hostile = ModelSwitch { from: None, to: "a\n\u{202e}b".into() };
        assert_eq!(Action::ModelSwitch(hostile).to_display(), "switch to model a\\n\\u{202e}b");
    }

    #[test]
    fn deny_an_intent_that_differs_in_anything() {
        let path = |path: &str, op| Box::new(Action::Path(super::super::PathAccess { path: Text::from(path), op }));
        use super::super::PathOp::{Read, Write};
        for (stated, actual, agrees) in [
            (path("a", Read), path("a", Read), true),
            (path("a", Read), path("a", Write), false),
            (path("a", Read), path("b", Read), false),
            (Box::new(Action::Command(shell("ls"))), Box::new(Action::Command(shell("ls "))), false),
        ] {
            let check = IntentCheck { intent: "i".into(), stated, actual };
            assert_eq!(check.agrees(), agrees, "{check:?}");
        }
    }
}
