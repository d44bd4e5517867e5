// SPDX-License-Identifier: MIT OR Apache-2.0
//! Permits for values that a person takes out of the store.
//!
//! In: an id and what its value is for. Out: the value, or a denial that was told.
//!
//! **Invariant:** each value is ruled on, put on the record and released under a permit of its own; an agent is not asked
//! and is not answered for.

use std::io::Write as _;

use ringfort_core::action::{Action, SecretUse};
use ringfort_core::door::{Door, DoorKind, Standing};
use ringfort_core::execute::Execute as _;
use ringfort_core::obligation::ApprovalChannel;
use ringfort_core::request::{Provenance, Request};
use ringfort_runtime::pipeline::{Outcome, Pipeline};
use ringfort_runtime::supervisor::terminal::{TerminalApprover, UserTerminal};
use ringfort_secrets::id::SecretId;
use ringfort_secrets::release::{Recipient, Release, judge};
use ringfort_secrets::store::{Released, StoreError, Vault};

use super::{Desk, Failure};
use crate::output::{self, Detail, Widening};
use crate::vault::unusable;
use crate::wiring::{session_name, wire_secrets};

/// What permits are asked of.
pub(super) struct Permits<'a> {
    desk: &'a Desk<'a>,
    pipeline: Pipeline,
    session: String,
    is_agent: bool,
    terminal: Option<UserTerminal>,
}

impl<'a> Permits<'a> {
    /// Wires the pipeline.
    ///
    /// # Errors
    ///
    /// It cannot be wired.
    pub(super) fn of(desk: &'a Desk<'a>) -> Result<Self, Failure> {
        let is_agent = desk.world.is_for_agent();
        let pipeline = wire_secrets(desk.world, &desk.loaded, &desk.state, &desk.trail, &desk.clock)?;
        let terminal = if is_agent { None } else { UserTerminal::open() };
        Ok(Self { desk, pipeline, session: session_name()?, is_agent, terminal })
    }

    /// The value of `id` for `purpose`; `None` if it is denied, which was told.
    ///
    /// # Errors
    ///
    /// There is no such secret, or it cannot be recorded or opened.
    pub(super) fn release(&self, vault: &Vault, id: &SecretId, purpose: &str) -> Result<Option<Released>, Failure> {
        let desk = self.desk;
        let Some(meta) = vault.meta(id) else { return Err(unusable(StoreError::NotFound { id: id.clone() })) };
        let request = Request {
            principal: desk.person.clone(),
            action: Action::Secret(SecretUse { id: id.to_string(), purpose: purpose.to_owned() }),
            session: self.session.clone(),
            cwd: desk.world.cwd.clone(),
            workspace: desk.world.cwd.clone(),
            home: Some(desk.world.home.clone()),
            provenance: if self.is_agent { Provenance::Agent } else { Provenance::User },
            bindings: Vec::new(),
        };
        let door = Door {
            asks: self.terminal.as_ref().map(|_| ApprovalChannel::Person),
            ..Door::bare(DoorKind::Secrets, Standing::Advised)
        };
        let approver = TerminalApprover::new(self.terminal.as_ref(), &desk.signals);
        let known = judge(meta, &request.principal, Recipient::Person, desk.clock.now());
        let admitted = match self.pipeline.admit_part(&request, &door, &approver, known) {
            Ok(admitted) => admitted,
            Err(denied) => {
                let mut err = anstream::stderr().lock();
                writeln!(err, "ringfort: denied: take the secret {id} out of the store")?;
                let widening = if self.is_agent { Widening::Hidden } else { Widening::Shown };
                output::ruling(&mut err, &denied.ruling, None, Detail::Brief, widening)?;
                return Ok(None);
            }
        };
        self.pipeline.sync().map_err(Failure::guard)?;
        let released =
            Release::of(vault).execute(admitted.permit, &request.digest(), desk.clock.now(), request.clone());
        let outcome = match &released {
            Ok(released) => Outcome { result: "released", facts: vec![("version", released.meta.version.into())] },
            Err(error) => Outcome { result: "failed", facts: vec![("error", error.to_string().into())] },
        };
        self.pipeline.finish(&request, &door, outcome).map_err(Failure::guard)?;
        released.map(Some).map_err(Failure::guard)
    }
}
