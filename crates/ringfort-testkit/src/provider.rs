// SPDX-License-Identifier: MIT OR Apache-2.0
//! A provider that misbehaves on demand.
//!
//! In: a [`Behaviour`]. Out: a [`SecurityProvider`] that allows everything, allows without a reason, errs, panics or
//! hangs. The runtime is tested with it: whatever it does, no denial may become an allow.
//!
//! **Invariant:** a hang ends when the last [`Release`] is dropped or after [`HANG_MAX`], so that no test leaves a
//! thread behind.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use ringfort_core::decision::{Decision, Risk};
use ringfort_core::entry::Entry;
use ringfort_core::obligation::Obligations;
use ringfort_core::provider::{Availability, Context, ReportError, SecurityProvider};
use ringfort_core::request::Request;
use ringfort_core::ruling::{Reason, Ruling};
use ringfort_core::signal::{Response, Signal};

/// Longest hang, whatever a test forgets.
pub const HANG_MAX: Duration = Duration::from_secs(10);

/// What the provider does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Allows whatever it is asked, and answers every signal with nothing.
    AllowAll,
    /// Allows without naming a reason.
    AllowBare,
    /// Denies whatever it is asked: the only well-behaved one.
    DenyAll,
    /// Panics in every call except `name` and `availability`.
    Panic,
    /// Does not answer in time, then allows.
    Hang,
    /// Allows, and takes no report.
    Err,
    /// Says that it cannot be asked, and allows if it is asked all the same.
    Unavailable,
    /// Allows, with an obligation that no door knows.
    UnknownObligation,
}

impl Behaviour {
    /// Every behaviour, so that a test of the runtime leaves none out.
    pub const ALL: [Self; 8] = [
        Self::AllowAll,
        Self::AllowBare,
        Self::DenyAll,
        Self::Panic,
        Self::Hang,
        Self::Err,
        Self::Unavailable,
        Self::UnknownObligation,
    ];
}

/// A provider with one behaviour.
#[derive(Debug)]
pub struct FickleProvider {
    behaviour: Behaviour,
    gate: Arc<Gate>,
}

/// Ends the hang of its provider when it is dropped.
#[derive(Debug)]
pub struct Release(Arc<Gate>);

#[derive(Debug, Default)]
struct Gate {
    open: Mutex<bool>,
    opened: Condvar,
}

impl FickleProvider {
    /// A provider, and the handle that ends its hang. Dropping the handle at once makes `Hang` answer at once.
    pub fn new(behaviour: Behaviour) -> (Self, Release) {
        let gate = Arc::new(Gate::default());
        (Self { behaviour, gate: Arc::clone(&gate) }, Release(gate))
    }

    /// What happens in every call, before the call's own answer.
    #[expect(clippy::panic, reason = "this provider panics on demand")]
    fn misbehave(&self) {
        match self.behaviour {
            Behaviour::Panic => panic!("the fickle provider panics on demand"),
            Behaviour::Hang => self.gate.wait(),
            _ => {}
        }
    }
}

impl SecurityProvider for FickleProvider {
    fn name(&self) -> &'static str {
        "fickle"
    }

    fn availability(&self) -> Availability {
        match self.behaviour {
            Behaviour::Unavailable => Availability::Unavailable { reason: "unavailable on demand".to_owned() },
            _ => Availability::Ready,
        }
    }

    fn decide(&self, _request: &Request, _context: &Context) -> Ruling {
        self.misbehave();
        let allow = Ruling::new(
            Decision::Allow,
            Risk::Low,
            Reason::new("fickle-001", Decision::Allow, "allowed because this provider allows everything"),
        );
        match self.behaviour {
            Behaviour::AllowBare => Ruling { reasons: Vec::new(), ..allow },
            Behaviour::DenyAll => Ruling::deny(
                Risk::High,
                Reason::new("fickle-002", Decision::Deny, "denied because this provider denies everything"),
            ),
            Behaviour::UnknownObligation => {
                let obligations = Obligations { unknown: ["moonlight".to_owned()].into(), ..Obligations::default() };
                Ruling { obligations, ..allow }
            }
            _ => allow,
        }
    }

    fn report(&self, _entry: &Entry) -> Result<(), ReportError> {
        self.misbehave();
        match self.behaviour {
            Behaviour::Err => Err(ReportError { provider: self.name(), message: "errs on demand".to_owned() }),
            _ => Ok(()),
        }
    }

    fn respond(&self, _signal: &Signal) -> Response {
        self.misbehave();
        Response::default()
    }
}

impl Gate {
    fn wait(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Either outcome ends the hang; which one it was does not matter.
        drop(self.opened.wait_timeout_while(open, HANG_MAX, |open| !*open));
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        *self.0.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.opened.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;

    use super::*;
    use crate::suite::{sample_context, sample_request};

    #[test]
    fn each_behaviour_is_what_it_says() {
        for behaviour in Behaviour::ALL {
            let (provider, release) = FickleProvider::new(behaviour);
            drop(release);
            let answer = catch_unwind(AssertUnwindSafe(|| provider.decide(&sample_request(), &sample_context())));
            let decision = answer.ok().map(|ruling| ruling.decision);
            let expected = match behaviour {
                Behaviour::Panic => None,
                Behaviour::DenyAll => Some(Decision::Deny),
                _ => Some(Decision::Allow),
            };
            assert_eq!(decision, expected, "{behaviour:?}");
        }
    }

    #[test]
    fn a_hang_lasts_until_it_is_released() {
        let (provider, release) = FickleProvider::new(Behaviour::Hang);
        let (sender, answers) = mpsc::channel();
        let worker = std::thread::spawn(move || {
            let ruling = provider.decide(&sample_request(), &sample_context());
            sender.send(ruling.decision)
        });
        assert!(answers.recv_timeout(Duration::from_millis(50)).is_err(), "it answered while it should hang");
        drop(release);
        assert!(answers.recv_timeout(HANG_MAX).is_ok());
        assert!(worker.join().is_ok());
    }
}
