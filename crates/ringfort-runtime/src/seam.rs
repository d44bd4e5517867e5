// SPDX-License-Identifier: MIT OR Apache-2.0
//! The doors that an agent runtime calls when it embeds these crates: one function for each thing that it lets an
//! agent do besides running commands and calling tools.
//!
//! In: what the agent asks for. Out: [`Entered`], which holds the permit, or the denial.
//!
//! **Invariant:** every function goes through [`Pipeline::admit`]: native and the selected provider are asked, the
//! intent is on the record before the function returns. A child inherits the whole chain of policies and at most one
//! more that restricts it, so that it can only be narrower.

use std::path::PathBuf;
use std::sync::Arc;

use ringfort_audit::AppendError;
use ringfort_core::action::{
    Action, Delegation, IntentCheck, Job, ModelSwitch, ScheduleAdd, ScheduleRun, SkillUse, ToolCall,
};
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::digest::Digest;
use ringfort_core::door::Door;
use ringfort_core::entry::Entry;
use ringfort_core::principal::Principal;
use ringfort_core::request::{Provenance, Request};
use ringfort_core::ruling::{Reason, Ruling};
use ringfort_core::text::Text;
use ringfort_policy::restriction::Restriction;
use ringfort_policy::rule::Policy;

use crate::approve::Approver;
use crate::pipeline::{Admitted, Denied, Outcome, Pipeline, shown};

/// Who asks, and where: the same for every request of one agent in one session.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Who asks; named by the runtime, never by the agent.
    pub principal: Principal,
    /// The session.
    pub session: String,
    /// The folder it happens in.
    pub cwd: PathBuf,
    /// The workspace of the session.
    pub workspace: PathBuf,
    /// The home folder, for `~`.
    pub home: Option<PathBuf>,
    /// Where the data behind the request came from.
    pub provenance: Provenance,
}

/// The doors of one agent.
pub struct Seam<'a> {
    /// The spine of the session.
    pub pipeline: &'a Pipeline,
    /// What the runtime can fulfil.
    pub door: &'a Door,
    /// Who is asked.
    pub approver: &'a dyn Approver,
    /// Who asks, and where.
    pub origin: Origin,
}

/// What was admitted: the request, for [`Seam::finish`], and the permit with its ruling.
#[derive(Debug)]
#[must_use = "what was admitted is executed, and finished on every path"]
pub struct Entered {
    /// What was asked.
    pub request: Request,
    /// The permit and the ruling.
    pub admitted: Admitted,
}

/// An agent that takes over a task.
#[derive(Debug)]
#[must_use = "a child acts under its own principal and chain, or not at all"]
pub struct Child {
    /// Who it is: a new link below whoever delegates.
    pub principal: Principal,
    /// What it is judged by: every policy of the parent, and the restriction behind them.
    pub chain: Arc<[Policy]>,
    /// The delegation itself.
    pub entered: Entered,
}

impl Seam<'_> {
    /// An entry of a schedule is to be made. Keep the digest of the job beside the entry, for [`Seam::schedule_run`].
    ///
    /// # Errors
    ///
    /// [`Denied`]: nothing may be stored.
    pub fn schedule_add(&self, add: ScheduleAdd) -> Result<(Entered, Digest), Box<Denied>> {
        let digest = add.job.digest();
        Ok((self.admit(Action::ScheduleAdd(add))?, digest))
    }

    /// An entry of a schedule is due: what is stored now, and the digest that [`Seam::schedule_add`] has given.
    ///
    /// # Errors
    ///
    /// [`Denied`]: nothing may start.
    pub fn schedule_run(&self, name: &str, job: Job, added: Digest) -> Result<Entered, Box<Denied>> {
        self.admit(Action::ScheduleRun(ScheduleRun { name: name.to_owned(), job, added }))
    }

    /// A skill is to be installed or run.
    ///
    /// # Errors
    ///
    /// [`Denied`]: nothing may be installed or run.
    pub fn skill(&self, skill: SkillUse) -> Result<Entered, Box<Denied>> {
        self.admit(Action::Skill(skill))
    }

    /// A task is to be handed to an agent called `to`, restricted besides where a restriction is given.
    ///
    /// # Errors
    ///
    /// [`Denied`]: there is no child. A name or depth that no chain allows is denied as well.
    pub fn delegate(&self, to: &str, task: Text, restriction: Option<&Restriction>) -> Result<Child, Box<Denied>> {
        let narrower = restriction.map(Policy::from_restriction);
        let action = Action::Delegate(Delegation {
            to: to.to_owned(),
            task,
            restriction: narrower.as_ref().map(Policy::digest),
        });
        let principal = match self.origin.principal.try_child(to) {
            Ok(principal) => principal,
            Err(error) => return Err(self.refuse(&action, &error.to_string())),
        };
        let entered = self.admit(action)?;
        let chain = self.pipeline.chain().iter().cloned().chain(narrower).collect();
        Ok(Child { principal, chain, entered })
    }

    /// Another model is to take over.
    ///
    /// # Errors
    ///
    /// [`Denied`]: the model stays.
    pub fn model_switch(&self, switch: ModelSwitch) -> Result<Entered, Box<Denied>> {
        self.admit(Action::ModelSwitch(switch))
    }

    /// Something is to be done that was stated before.
    ///
    /// # Errors
    ///
    /// [`Denied`]: it may not be done; it is not what was stated, or it is nothing that may be done.
    pub fn verify_intent(&self, intent: &str, stated: Action, actual: Action) -> Result<Entered, Box<Denied>> {
        let (stated, actual) = (Box::new(stated), Box::new(actual));
        self.admit(Action::Intent(IntentCheck { intent: intent.to_owned(), stated, actual }))
    }

    /// A tool is to be called.
    ///
    /// # Errors
    ///
    /// [`Denied`]: it may not be called.
    pub fn tool(&self, call: ToolCall) -> Result<Entered, Box<Denied>> {
        self.admit(Action::Tool(call))
    }

    /// Records what became of what was admitted. Called on every path.
    ///
    /// # Errors
    ///
    /// The outcome is not on the record; what has happened has happened.
    pub fn finish(&self, request: &Request, outcome: Outcome) -> Result<(), AppendError> {
        self.pipeline.finish(request, self.door, outcome)
    }

    fn admit(&self, action: Action) -> Result<Entered, Box<Denied>> {
        let request = self.request(action);
        let admitted = self.pipeline.admit(&request, self.door, self.approver)?;
        Ok(Entered { request, admitted })
    }

    fn request(&self, action: Action) -> Request {
        let origin = &self.origin;
        let policies = self.pipeline.policies().into_iter();
        Request {
            principal: origin.principal.clone(),
            action,
            session: origin.session.clone(),
            cwd: origin.cwd.clone(),
            workspace: origin.workspace.clone(),
            home: origin.home.clone(),
            provenance: origin.provenance,
            bindings: policies.map(|policy| ("policy".to_owned(), policy)).collect(),
        }
    }

    /// Denies what no policy needs to see, on the record.
    fn refuse(&self, action: &Action, why: &str) -> Box<Denied> {
        let reason = Reason::new("runtime-006", Decision::Deny, format!("there can be no such child: {why}"));
        let ruling = Ruling::deny(Risk::High, reason);
        let mut entry = Entry::event("seam.refused").at(self.door.kind, self.door.standing).ruled(&ruling);
        entry.action = Some(shown(action));
        entry.principal = Some(self.origin.principal.clone());
        entry.session = Some(self.origin.session.clone());
        entry.request = Some(self.request(action.clone()).digest());
        let unrecorded = self.pipeline.event(&entry).err().map(|error| error.to_string());
        Box::new(Denied { ruling, unrecorded })
    }
}
