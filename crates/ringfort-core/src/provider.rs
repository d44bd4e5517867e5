// SPDX-License-Identifier: MIT OR Apache-2.0
//! The provider: an implementation that decides, reports and responds as one unit.
//!
//! In: a request and the policy of the chain it is judged by. Out: a ruling, a report, a response.
//!
//! **Invariant:** a provider is never trusted to keep deny-by-default or narrow-only. The runtime asks `native` as
//! well, takes the strictest, and turns a panic, an error or a missed deadline into a denial.

use crate::action::{Action, Command, PathAccess, PathOp, ToolCall};
use crate::clock::Timestamp;
use crate::decision::{Decision, Risk};
use crate::digest::Digest;
use crate::door::Standing;
use crate::entry::Entry;
use crate::request::Request;
use crate::ruling::Ruling;
use crate::signal::{Response, Signal};
use crate::text::Text;

/// Whether a provider can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It can.
    Ready,
    /// It cannot; selecting it stops the agent from starting.
    Unavailable {
        /// Why, and what to do.
        reason: String,
    },
}

/// What a provider is asked under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Place of the policy in the chain: 0 is the outermost, each next one only narrows.
    pub policy_index: usize,
    /// Digest of that policy, as accepted.
    pub policy: Digest,
    /// When it is asked.
    pub now: Timestamp,
    /// How the session is protected.
    pub standing: Standing,
}

/// Why a provider could not take a report. The trail has the entry all the same.
#[derive(Debug, thiserror::Error)]
#[error("provider `{provider}` did not take the report: {message}")]
pub struct ReportError {
    /// Which provider.
    pub provider: &'static str,
    /// What it said.
    pub message: String,
}

/// One implementation of decide, report and respond.
pub trait SecurityProvider: Send + Sync {
    /// Its name in configuration, lists and the trail.
    fn name(&self) -> &'static str;

    /// Whether it can be asked.
    fn availability(&self) -> Availability;

    /// Rules on one request under one policy of the chain.
    fn decide(&self, request: &Request, context: &Context) -> Ruling;

    /// Whether shell text may run, asked like `like`; the decision of [`SecurityProvider::decide`].
    fn is_command_allowed(&self, text: &[u8], like: &Request, context: &Context) -> Decision {
        self.decide(&like.with(Action::Command(Command::Shell(Text::new(text)))), context).decision
    }

    /// How much harm shell text can do; the risk of [`SecurityProvider::decide`].
    fn command_risk(&self, text: &[u8], like: &Request, context: &Context) -> Risk {
        self.decide(&like.with(Action::Command(Command::Shell(Text::new(text)))), context).risk
    }

    /// Whether a path may be touched; the decision of [`SecurityProvider::decide`].
    fn is_path_allowed(&self, path: &[u8], op: PathOp, like: &Request, context: &Context) -> Decision {
        self.decide(&like.with(Action::Path(PathAccess { path: Text::new(path), op })), context).decision
    }

    /// Whether a tool may be called; the decision of [`SecurityProvider::decide`].
    fn is_tool_allowed(&self, call: &ToolCall, like: &Request, context: &Context) -> Decision {
        self.decide(&like.with(Action::Tool(call.clone())), context).decision
    }

    /// Takes a copy of an entry; the trail keeps the original whatever this answers.
    ///
    /// # Errors
    ///
    /// [`ReportError`]: the provider has no copy.
    fn report(&self, entry: &Entry) -> Result<(), ReportError>;

    /// Adds containment for a signal; it can never remove any.
    fn respond(&self, signal: &Signal) -> Response;
}
