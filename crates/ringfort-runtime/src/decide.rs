// SPDX-License-Identifier: MIT OR Apache-2.0
//! Decides: every policy of the chain, by native and by the selected provider, and the strictest answer counts.
//!
//! In: a request. Out: one ruling, the same at every door.
//!
//! **Invariant:** a provider can only make a ruling stricter: native is always asked as well. A panic, a missed
//! deadline or no answer is a denial. Deciding has no effect: no budget is used, nothing is recorded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ringfort_core::clock::Clock;
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::digest::Digest;
use ringfort_core::door::{Door, Standing};
use ringfort_core::entry::Entry;
use ringfort_core::limits::PROVIDER_DEADLINE;
use ringfort_core::provider::{Context, SecurityProvider};
use ringfort_core::request::Request;
use ringfort_core::ruling::{Reason, Ruling};
use ringfort_core::signal::{Response, Signal};
use ringfort_policy::rule::Policy;

use crate::providers::native::{self, Native};
use crate::providers::worker::Worker;

/// The policies of a session and who is asked about them.
pub struct Decider {
    chain: Arc<[Policy]>,
    native: Native,
    selected: Option<Worker>,
    clock: Arc<dyn Clock>,
}

impl Decider {
    /// Rules by `chain`, outermost first; `provider` is asked beside native unless it is native.
    pub fn new(chain: Arc<[Policy]>, provider: Arc<dyn SecurityProvider>, clock: Arc<dyn Clock>) -> Self {
        let selected = (provider.name() != native::NAME).then(|| Worker::new(provider, PROVIDER_DEADLINE));
        Self { native: Native::new(Arc::clone(&chain)), chain, selected, clock }
    }

    /// The strictest answer of every policy in the chain.
    pub fn decide(&self, request: &Request, standing: Standing) -> Ruling {
        let mut rulings = Vec::with_capacity(self.chain.len() * 2);
        for (policy_index, policy) in self.chain.iter().enumerate() {
            let context = Context { policy_index, policy: policy.digest(), now: self.clock.now(), standing };
            // Native parses hostile bytes; a panic of its own is a denial like any provider's.
            let native = catch_unwind(AssertUnwindSafe(|| self.native.decide(request, &context)));
            rulings.push(native.unwrap_or_else(|_panic| faulty(native::NAME, "panicked")));
            if let Some(worker) = &self.selected {
                let asked = request.clone();
                let answer = worker.ask(move |provider| provider.decide(&asked, &context));
                rulings.push(answer.unwrap_or_else(|fault| faulty(worker.name(), &fault.to_string())));
            }
        }
        Ruling::strictest(rulings)
    }

    /// What a door answers: the same ruling, resolved.
    pub fn check(&self, request: &Request, door: &Door) -> Ruling {
        door.resolve(self.decide(request, door.standing))
    }

    /// The policies in the chain, outermost first.
    pub fn chain(&self) -> &Arc<[Policy]> {
        &self.chain
    }

    /// The digests of the policies in the chain.
    pub fn policies(&self) -> Vec<Digest> {
        self.chain.iter().map(Policy::digest).collect()
    }

    /// The containment that any provider asks for; one that fails adds none, and can remove none.
    pub fn respond(&self, signal: &Signal) -> Response {
        let native = self.native.respond(signal);
        let Some(worker) = &self.selected else { return native };
        let signal = signal.clone();
        match worker.ask(move |provider| provider.respond(&signal)) {
            Ok(theirs) => native.merge(theirs),
            Err(_fault) => native,
        }
    }

    /// Hands the selected provider a copy of an entry.
    ///
    /// # Errors
    ///
    /// The name of the provider that did not take it.
    pub fn report(&self, entry: &Entry) -> Result<(), &'static str> {
        let Some(worker) = &self.selected else { return Ok(()) };
        let copy = entry.clone();
        match worker.ask(move |provider| provider.report(&copy)) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(worker.name()),
        }
    }
}

fn faulty(provider: &str, what: &str) -> Ruling {
    let message = format!("provider `{provider}` {what}, which counts as a denial");
    Ruling::deny(Risk::High, Reason::new("runtime-004", Decision::Deny, message))
}
