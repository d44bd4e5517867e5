// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules on schedules, skills, delegation, model switches and stated intents.
//!
//! **Invariant:** what is started later is judged like what is started now, and once more when it starts; whoever
//! takes over is judged by the same policies; what was stated is what is done.

use ringfort_core::action::{
    Action, Delegation, IntentCheck, Job, ModelSwitch, ScheduleAdd, ScheduleRun, SkillOp, SkillUse,
};
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::effect::{EffectKind, Span};
use ringfort_core::limits::PRINCIPAL_NAME_BYTES_MAX;
use ringfort_core::ruling::Ruling;
use ringfort_core::text::{escape_bytes, is_invisible};

use super::draft::Draft;
use super::tools::effect;
use super::{Policy, table};
use crate::egress;
use crate::path::Setting;

/// Longest name of a schedule, skill, agent or model. Bytes.
const NAME_BYTES_MAX: usize = 256;

impl Policy {
    /// Rules on an entry of a schedule: the command, and that it runs by itself.
    pub(super) fn schedule_add(&self, add: &ScheduleAdd, setting: &Setting<'_>) -> Ruling {
        let mut draft = Draft::new(self, Risk::Low);
        self.add_name(&mut draft, &add.name);
        self.add_name(&mut draft, &add.when);
        self.add_job(&mut draft, &add.job, setting);
        self.add_schedule(&mut draft);
        draft.finish()
    }

    /// Rules on an entry that is due: the command as it is stored now, which must be the one that was added.
    pub(super) fn schedule_run(&self, run: &ScheduleRun, setting: &Setting<'_>) -> Ruling {
        let mut draft = Draft::new(self, Risk::Low);
        self.add_name(&mut draft, &run.name);
        if run.job.digest() != run.added {
            draft.risk(Risk::High);
            draft
                .add(&table::SEAM_JOB_CHANGED, Decision::Deny, table::SEAM_JOB_CHANGED.meaning)
                .instead(|| "remove the entry and add it anew, so that it is judged".to_owned());
        }
        self.add_job(&mut draft, &run.job, setting);
        draft.finish()
    }

    /// Rules on a skill: text or code that nobody here has written.
    pub(super) fn skill(&self, skill: &SkillUse, setting: &Setting<'_>) -> Ruling {
        let mut draft = Draft::new(self, Risk::Low);
        self.add_name(&mut draft, &skill.name);
        if let Some(command) = &skill.command {
            self.add_command(&mut draft, command, setting);
        }
        if let Some(source) = skill.source.as_deref() {
            self.add_source(&mut draft, source, setting);
        }
        match skill.operation {
            SkillOp::Run => self.add_skill_run(&mut draft, &skill.name),
            SkillOp::Install if self.is_readonly() => self.add_readonly(&mut draft, Span::new(0, 0)),
            SkillOp::Install => {
                draft.risk(Risk::High);
                draft.effects(vec![effect(EffectKind::Persist, None)]);
                draft.unresolved(table::SEAM_INSTALL.id, Span::new(0, 0), table::SEAM_INSTALL.meaning);
            }
        }
        draft.finish()
    }

    /// Rules on a delegation.
    pub(super) fn delegate(&self, delegation: &Delegation) -> Ruling {
        let mut draft = Draft::new(self, Risk::Low);
        self.add_name(&mut draft, &delegation.to);
        if delegation.to.len() > PRINCIPAL_NAME_BYTES_MAX || delegation.to.contains('/') {
            self.add_bad_name(&mut draft);
        }
        self.add_delegate(&mut draft);
        draft.finish()
    }

    /// Rules on a model switch.
    pub(super) fn model_switch(&self, switch: &ModelSwitch) -> Ruling {
        let mut draft = Draft::new(self, Risk::Medium);
        self.add_name(&mut draft, &switch.to);
        if self.models.contains(&switch.to) {
            draft.add(&table::SEAM_MODEL_LISTED, Decision::Allow, table::SEAM_MODEL_LISTED.meaning);
        } else if self.role == super::Role::Whole || self.unresolved != Decision::Allow {
            let model = escape_bytes(switch.to.as_bytes());
            let added = draft.add(&table::SEAM_MODEL, self.unresolved, table::SEAM_MODEL.meaning);
            added.widen(|| format!("`autonomy.models = [\"{model}\"]`: agents may then switch to it unasked"));
        }
        draft.finish()
    }

    /// Rules on a stated intent: what is done is what was said, and it is judged like anything else.
    pub(super) fn intent(&self, check: &IntentCheck, setting: &Setting<'_>) -> Ruling {
        let nested = |action: &Action| matches!(action, Action::Intent(_));
        if nested(&check.stated) || nested(&check.actual) || !check.agrees() {
            let mut draft = Draft::new(self, Risk::High);
            draft
                .add(&table::SEAM_INTENT, Decision::Deny, table::SEAM_INTENT.meaning)
                .instead(|| "state what is to be done in full, and do exactly that".to_owned());
            return draft.finish();
        }
        self.decide_in(&check.actual, setting)
    }

    /// What is to be said of anything that runs later by itself.
    pub(super) fn add_schedule(&self, draft: &mut Draft<'_>) {
        draft.effects(vec![effect(EffectKind::Persist, None)]);
        if self.is_readonly() {
            return self.add_readonly(draft, Span::new(0, 0));
        }
        draft.risk(Risk::Medium);
        draft.unresolved(table::SEAM_SCHEDULE.id, Span::new(0, 0), table::SEAM_SCHEDULE.meaning);
    }

    /// What is to be said of a skill that runs.
    pub(super) fn add_skill_run(&self, draft: &mut Draft<'_>, name: &str) {
        draft.risk(Risk::Medium);
        draft.effects(vec![effect(EffectKind::ExecuteText, Some(name))]);
        draft.cage(None, || "it follows a skill that nobody has read".to_owned());
    }

    /// What is to be said of an agent that takes over: it answers for itself, to the same policies.
    pub(super) fn add_delegate(&self, draft: &mut Draft<'_>) {
        draft.add(&table::SEAM_DELEGATE, Decision::Allow, table::SEAM_DELEGATE.meaning);
    }

    fn add_job(&self, draft: &mut Draft<'_>, job: &Job, setting: &Setting<'_>) {
        match job {
            Job::Command(command) => self.add_command(draft, command, setting),
            Job::Prompt(_) => {}
        }
    }

    /// Where a skill comes from.
    fn add_source(&self, draft: &mut Draft<'_>, source: &str, setting: &Setting<'_>) {
        let span = Span::new(0, source.len());
        if source.contains("://") || egress::parse(source).is_ok_and(|to| to.port.is_some()) {
            return self.add_url(draft, source, span);
        }
        self.add_path(draft, source.as_bytes(), ringfort_core::action::PathOp::Read, setting);
    }

    /// A name that stands in the record and in questions is one that nobody mistakes for another.
    fn add_name(&self, draft: &mut Draft<'_>, name: &str) {
        let odd = |c: char| c.is_control() || is_invisible(c);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(odd) {
            self.add_bad_name(draft);
        }
    }

    fn add_bad_name(&self, draft: &mut Draft<'_>) {
        draft.risk(Risk::High);
        draft.add(&table::SEAM_NAME, Decision::Deny, table::SEAM_NAME.meaning);
    }
}
