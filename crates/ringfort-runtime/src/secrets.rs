// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stored secrets that a run is given: each is ruled on and recorded, and handed over only then.
//!
//! In: what the caller named ([`Wish`]), and whoever keeps the store ([`Keeper`]; the binary wires it in). Out: variables
//! for the program, or the denial or the failure of the first that was not given.
//!
//! **Invariant:** a value is opened under a permit that is on the record, after the command itself was admitted and
//! before it starts; where one is not given nothing runs. No value is part of a request, a digest or an entry.

use std::ffi::OsString;
use std::sync::Arc;

use ringfort_core::action::{Action, SecretUse};
use ringfort_core::clock::Timestamp;
use ringfort_core::digest::Digest;
use ringfort_core::door::Door;
use ringfort_core::permit::Permit;
use ringfort_core::request::Request;
use ringfort_core::ruling::Ruling;
use ringfort_core::secret::Secret;
use ringfort_detect::Known;
use serde_json::Value;

use crate::approve::Approver;
use crate::pipeline::{Admitted, Denied, Outcome};
use crate::session::{Session, Task};

/// Most secrets of one run.
pub const WISHES_MAX: usize = 64;
/// The name of the binding that ties the use of a secret to the run that it is for.
const RUN_BINDING: &str = "run";

/// A secret, and the variable in which a program is to find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Its id.
    pub id: String,
    /// The variable.
    pub variable: String,
}

/// Who is to have a secret, as far as its own limits may speak of it.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    /// The request for it, by whoever started the run.
    pub request: &'a Request,
    /// The name of the program.
    pub program: &'a str,
    /// Whether the program can reach the network.
    pub is_connected: bool,
}

/// Keeps secrets.
pub trait Keeper {
    /// What the secret's own limits say. No value is opened.
    ///
    /// # Errors
    ///
    /// There is no such secret, or it cannot be told; a clause.
    fn judge(&self, wish: &Wish, recipient: &Recipient<'_>, now: Timestamp) -> Result<Ruling, String>;

    /// The value, under a permit for this request.
    ///
    /// # Errors
    ///
    /// The permit does not fit, or the value cannot be opened; a clause. The value stays where it is.
    fn release(&self, permit: Permit, request: &Digest, wish: &Wish, now: Timestamp) -> Result<Given, String>;
}

/// A value that was handed over.
#[derive(Debug)]
pub struct Given {
    /// The value.
    pub value: Secret<Vec<u8>>,
    /// Its version, for the record.
    pub version: u64,
}

/// What a run is to be given, and by whom.
pub struct Handout<'a> {
    /// Keeps them.
    pub keeper: &'a dyn Keeper,
    /// What was named.
    pub wishes: &'a [Wish],
}

/// Variables with values that nobody else is to see.
#[derive(Debug, Default)]
pub struct Variables(Vec<(OsString, Secret<Vec<u8>>)>);

impl Variables {
    /// Each name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&OsString, &Secret<Vec<u8>>)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

/// Why a run was not given a secret. Nothing has run.
#[derive(Debug)]
pub enum Withheld {
    /// It was denied.
    Denied {
        /// The denial.
        denied: Box<Denied>,
        /// What was denied.
        action: Box<Action>,
    },
    /// It could not be had.
    Failed {
        /// Its id.
        id: String,
        /// Why, as a clause.
        why: String,
    },
}

/// Hands out what was named, all or nothing, and has the session blank each value from here on.
pub(crate) fn hand_out(
    session: &mut Session,
    task: &Task,
    door: &Door,
    approver: &dyn Approver,
    handout: &Handout<'_>,
) -> Result<Variables, Withheld> {
    let program = task.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut admitted = Vec::with_capacity(handout.wishes.len());
    for wish in handout.wishes {
        let request = request(task, wish, &program);
        let failed = |why: String| Withheld::Failed { id: wish.id.clone(), why };
        let recipient = Recipient {
            request: &request,
            program: &program,
            is_connected: session.profile.network != ringfort_sandbox::profile::Network::None,
        };
        let known = handout.keeper.judge(wish, &recipient, session.clock.now()).map_err(failed)?;
        match session.pipeline.admit_part(&request, door, approver, known) {
            Ok(yes) => admitted.push((wish, request, yes)),
            Err(denied) => return Err(Withheld::Denied { denied, action: Box::new(request.action) }),
        }
    }
    // The intents of all are on the disk before the first value is opened.
    session.pipeline.sync().map_err(|error| {
        let id = handout.wishes.first().map(|wish| wish.id.clone()).unwrap_or_default();
        Withheld::Failed { id, why: format!("what happens cannot be recorded: {error}") }
    })?;
    let (mut variables, mut known) = (Variables::default(), Known::default());
    for (wish, request, Admitted { permit, .. }) in admitted {
        let given = handout.keeper.release(permit, &request.digest(), wish, session.clock.now());
        let outcome = match &given {
            Ok(given) => Outcome { result: "released", facts: vec![("version", Value::from(given.version))] },
            Err(why) => Outcome { result: "failed", facts: vec![("error", Value::from(why.as_str()))] },
        };
        let recorded = session.pipeline.finish(&request, door, outcome).map_err(|error| error.to_string());
        let given = given.and_then(|given| recorded.map(|()| given));
        let given = given.map_err(|why| Withheld::Failed { id: wish.id.clone(), why })?;
        if !known.add(given.value.expose()) {
            session.warn(&format!("the secret `{}` is too short to be looked for in output", wish.id));
        }
        variables.0.push((OsString::from(&wish.variable), given.value));
    }
    let known = Arc::new(known);
    session.pipeline.blank(Arc::clone(&known));
    session.known = Some(known);
    Ok(variables)
}

/// The request for one secret: of whoever started the run, and bound to that run.
fn request(task: &Task, wish: &Wish, program: &str) -> Request {
    let purpose = format!("variable {} of {program}", wish.variable);
    let mut request = task.request.with(Action::Secret(SecretUse { id: wish.id.clone(), purpose }));
    request.bindings = vec![(RUN_BINDING.to_owned(), task.request.digest())];
    request
}
