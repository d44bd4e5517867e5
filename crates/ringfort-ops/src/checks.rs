// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every doctor check, one file each.
//!
//! In: the subject. Out: report lines.
//!
//! **Invariant:** the list is the order in which checks are shown; a check that cannot look reports a failure.

mod cage;
mod clear;
mod hooks;
mod kernel;
mod keys;
mod memory;
mod policy;
mod provider;
mod record;
mod secrets;
mod wiring;

use std::path::Path;

use ringfort_core::degree::Degree;
use ringfort_core::form::Form;
use ringfort_core::ruling::Ruling;
use ringfort_sandbox::achieved::Achieved;
use ringfort_sandbox::probe::HostFeatures;
use serde::Serialize;

pub use self::secrets::{CounterSeen, StoreSeen};
use crate::attempts::Attempt;
use crate::setup::{Heard, Look, Scope};

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nothing that holds or fails; good to know.
    Info,
    /// It holds.
    Pass,
    /// It holds with a reservation.
    Warn,
    /// It does not hold.
    Fail,
}

/// One line of the doctor's report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Id of the check.
    pub check: &'static str,
    /// How it came out.
    pub status: Status,
    /// What was seen.
    pub message: String,
    /// What to do, where something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// What a confined child has shown.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// What its cage enforced.
    pub achieved: Achieved,
    /// What it tried, and how it came out.
    pub attempts: Vec<Attempt>,
}

/// What is looked at.
pub struct Subject<'a> {
    /// What the host offers.
    pub host: HostFeatures,
    /// The state folder.
    pub state: &'a Path,
    /// Why the configuration cannot be loaded, or what a person should know of it.
    pub policy: Result<Vec<String>, String>,
    /// The keys of the configuration that hold a secret, with the form in which it stands there; empty where it cannot
    /// be loaded, which `policy` reports.
    pub secrets: Vec<(String, Form)>,
    /// What was seen of the store of secrets, or why it cannot be used.
    pub store: Result<StoreSeen, String>,
    /// Name of the selected provider, or why it cannot be selected.
    pub provider: Result<String, String>,
    /// What the pipeline answered to something forbidden, and the record's number of entries before and after.
    pub refused: Result<Refused, String>,
    /// A really confined child in each degree: first what a run gets, then less.
    pub cages: Vec<(Degree, Result<Evidence, String>)>,
    /// Attempts on limits, or why a limit cannot be held.
    pub limits: Vec<Result<Attempt, String>>,
    /// How every agent stands, in each scope.
    pub agents: Result<Vec<AgentSeen>, String>,
}

/// How one agent stands in one scope.
#[derive(Clone, Debug)]
pub struct AgentSeen {
    /// Its name as people know it.
    pub title: &'static str,
    /// Its word on the command line.
    pub name: &'static str,
    /// Whose configuration was looked at.
    pub scope: Scope,
    /// What it says, or why it cannot be read.
    pub look: Result<Look, String>,
    /// Whether set-up wrote it and it was not undone.
    pub recorded: bool,
    /// Whether the agent was found on this machine.
    pub found: bool,
    /// What its hook answered; only where it is wired.
    pub proof: Option<Proof>,
}

/// What a hook answered when it was asked as its agent does.
#[derive(Clone, Debug)]
pub struct Proof {
    /// To something that every policy denies.
    pub forbidden: Result<Heard, String>,
    /// To something that does nothing.
    pub harmless: Result<Heard, String>,
}

/// A forbidden request that was really put through the pipeline.
#[derive(Clone, Debug)]
pub struct Refused {
    /// What it was answered.
    pub ruling: Ruling,
    /// Whether the denial is on the record.
    pub recorded: bool,
}

/// One doctor check.
#[derive(Clone, Copy)]
pub struct Check {
    /// Its stable id.
    pub id: &'static str,
    /// What it looks at, in a few words.
    pub title: &'static str,
    /// Looks.
    pub look: fn(&Subject<'_>) -> Vec<Report>,
}

/// Every check, in the order in which they are shown.
pub static CHECKS: &[Check] = &[
    kernel::ENTRY,
    memory::ENTRY,
    cage::ENTRY,
    wiring::ENTRY,
    hooks::ENTRY,
    policy::ENTRY,
    clear::ENTRY,
    provider::ENTRY,
    record::ENTRY,
    keys::ENTRY,
    secrets::ENTRY,
];

impl Check {
    fn pass(&self, message: impl Into<String>) -> Report {
        Report { check: self.id, status: Status::Pass, message: message.into(), help: None }
    }

    fn warn(&self, message: impl Into<String>, help: impl Into<String>) -> Report {
        Report { check: self.id, status: Status::Warn, message: message.into(), help: Some(help.into()) }
    }

    fn fail(&self, message: impl Into<String>, help: impl Into<String>) -> Report {
        Report { check: self.id, status: Status::Fail, message: message.into(), help: Some(help.into()) }
    }
}
