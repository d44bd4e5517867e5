// SPDX-License-Identifier: MIT OR Apache-2.0
//! Release: a value leaves the store under a permit, and within the limits that it was stored with.
//!
//! In: what is written beside a secret, who is to have it; a permit and the request that it was issued for. Out: what the
//! secret's own limits say, as a ruling; the value.
//!
//! **Invariant:** the permit is redeemed for the request before anything is opened, and the id is that of the request:
//! nobody names another one beside it. An empty list of limits is none of that sort; a limit that cannot be kept by the
//! way in which the value is handed over is a denial.

use ringfort_core::action::Action;
use ringfort_core::clock::Timestamp;
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::digest::Digest;
use ringfort_core::execute::Execute;
use ringfort_core::permit::{Permit, PermitError};
use ringfort_core::principal::Principal;
use ringfort_core::request::Request;
use ringfort_core::ruling::{Reason, Remedy, Ring, Ruling};

use crate::id::{IdError, SecretId};
use crate::store::{Meta, Released, StoreError, Vault};

/// What a secret is to be handed to.
#[derive(Clone, Copy, Debug)]
pub enum Recipient<'a> {
    /// The person whose store it is, to be read.
    Person,
    /// A program, in a variable of its environment.
    Program {
        /// The program's name.
        name: &'a str,
        /// The variable.
        variable: &'a str,
        /// Whether it can reach the network.
        is_connected: bool,
    },
}

/// Why a value was not released. It stays where it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The permit does not fit.
    #[error(transparent)]
    Permit(#[from] PermitError),
    /// The request is not for a secret.
    #[error("the request is not for a stored secret")]
    NoSecret,
    /// What it names is no id.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The store does not give it out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Releases values of a store.
#[derive(Clone, Copy, Debug)]
pub struct Release<'v> {
    vault: &'v Vault,
}

impl<'v> Release<'v> {
    /// Releases values of `vault`.
    pub const fn of(vault: &'v Vault) -> Self {
        Self { vault }
    }
}

impl Execute for Release<'_> {
    type Task = Request;
    type Output = Released;
    type Error = ReleaseError;

    /// Hands over the secret that the task names, whose digest the permit was issued for.
    fn execute(
        &self,
        permit: Permit,
        request: &Digest,
        now: Timestamp,
        task: Request,
    ) -> Result<Released, ReleaseError> {
        if task.digest() != *request {
            return Err(PermitError::OtherRequest.into());
        }
        // A value is no process and no connection: none of the obligations bind it that a cage would keep.
        let _grant = permit.redeem(request, now)?;
        let Action::Secret(secret) = &task.action else { return Err(ReleaseError::NoSecret) };
        Ok(self.vault.get(&secret.id.parse()?, now)?)
    }
}

/// What a secret's own limits say of this use of it.
pub fn judge(meta: &Meta, principal: &Principal, recipient: Recipient<'_>, now: Timestamp) -> Ruling {
    let mut denials = Vec::new();
    let id = &meta.id;
    if let Some(expires) = meta.expires.filter(|_| meta.is_expired(now)) {
        denials.push(denial("stored-001", format!("the secret expired at {expires}"), || {
            format!("set it anew: `ringfort secrets set {id} --expires 90d`")
        }));
    }
    let (program, variable) = match recipient {
        Recipient::Person => (None, None),
        Recipient::Program { name, variable, .. } => (Some(name), Some(variable)),
    };
    if !meta.principals.is_empty() && !names_principal(&meta.principals, principal, program) {
        let message =
            format!("its principals are {}, and this is for {}", listed(&meta.principals), who(principal, program));
        denials.push(denial("stored-002", message, || change(id, "--principal NAME")));
    }
    if let Some(program) = program.filter(|_| !meta.tools.is_empty())
        && !meta.tools.iter().any(|tool| tool == program)
    {
        let message = format!("its tools are {}, and the program is `{}`", listed(&meta.tools), program.escape_debug());
        denials.push(denial("stored-003", message, || change(id, "--tool NAME")));
    }
    if let Some(variable) = variable.filter(|_| !meta.environments.is_empty())
        && !meta.environments.iter().any(|name| name == variable)
    {
        let message = format!("its variables are {}, and not `{variable}`", listed(&meta.environments));
        denials.push(denial("stored-004", message, || format!("`--secret {id}=NAME` with a name of the list")));
    }
    if !meta.hosts.is_empty() && matches!(recipient, Recipient::Program { is_connected: true, .. }) {
        let message = format!("it is for the hosts {} only, which a variable cannot keep", listed(&meta.hosts));
        denials.push(denial("stored-005", message, || {
            format!("run without a network (`--network off`), or take the limit away: `ringfort secrets limit {id} --any-host`")
        }));
    }
    let allowed = Reason::new("stored-006", Decision::Allow, "it is within the limits that the secret was stored with");
    let ruling = Ruling::new(Decision::Allow, Risk::Low, allowed.ring(Ring::Data));
    denials.into_iter().fold(ruling, |ruling, reason| ruling.merge(Ruling::deny(Risk::High, reason)))
}

/// Whether a list names the principal, one of its links, or the agent that the program is of it.
fn names_principal(list: &[String], principal: &Principal, program: Option<&str>) -> bool {
    let whole = principal.to_string();
    let with_program = program.map(|program| format!("{whole}/{program}"));
    list.iter().any(|name| {
        *name == whole
            || Some(name) == with_program.as_ref()
            || principal.chain().contains(name)
            || Some(name.as_str()) == program
    })
}

fn who(principal: &Principal, program: Option<&str>) -> String {
    match program {
        Some(program) => format!("`{}/{}`", principal.to_string().escape_debug(), program.escape_debug()),
        None => format!("`{}`", principal.to_string().escape_debug()),
    }
}

fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED_MAX).map(|name| format!("`{}`", name.escape_debug())).collect();
    let more = if names.len() > LISTED_MAX { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Most names of a list that a message shows.
const LISTED_MAX: usize = 8;

fn change(id: &SecretId, option: &str) -> String {
    format!("change what it may be used for: `ringfort secrets limit {id} {option}`")
}

fn denial(rule: &'static str, message: String, remedy: impl FnOnce() -> String) -> Reason {
    Reason::new(rule, Decision::Deny, message).ring(Ring::Data).remedy(Remedy::Person(remedy()))
}
