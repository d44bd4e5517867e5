// SPDX-License-Identifier: MIT OR Apache-2.0
//! The native provider: the compiled-in policy.
//!
//! In: a request and the place of a policy in the chain. Out: that policy's ruling.
//!
//! **Invariant:** it is asked for every request whatever else is selected, inline and without a deadline. A place
//! that does not exist is a denial. Reports need no copy (the trail is native), and it adds no containment by itself.

use std::sync::Arc;

use ringfort_core::decision::{Decision, Risk};
use ringfort_core::entry::Entry;
use ringfort_core::provider::{Availability, Context, ReportError, SecurityProvider};
use ringfort_core::request::Request;
use ringfort_core::ruling::{Reason, Ruling};
use ringfort_core::signal::{Response, Signal};
use ringfort_policy::rule::Policy;

use super::ProviderEntry;

pub(super) const ENTRY: ProviderEntry = ProviderEntry {
    name: NAME,
    summary: "the compiled-in policy, the trail and the playbooks; always asked",
    build: |chain| Arc::new(Native::new(chain)),
};

/// The name of the native provider.
pub const NAME: &str = "native";

/// The compiled-in policy of a session.
pub struct Native {
    chain: Arc<[Policy]>,
}

impl Native {
    /// Rules by `chain`, outermost policy first.
    pub fn new(chain: Arc<[Policy]>) -> Self {
        Self { chain }
    }
}

impl SecurityProvider for Native {
    fn name(&self) -> &'static str {
        NAME
    }

    fn availability(&self) -> Availability {
        Availability::Ready
    }

    fn decide(&self, request: &Request, context: &Context) -> Ruling {
        match self.chain.get(context.policy_index) {
            Some(policy) => policy.decide(request),
            None => Ruling::deny(
                Risk::Critical,
                Reason::new("runtime-002", Decision::Deny, "there is no policy at this place of the chain"),
            ),
        }
    }

    fn report(&self, _entry: &Entry) -> Result<(), ReportError> {
        Ok(())
    }

    fn respond(&self, _signal: &Signal) -> Response {
        Response::default()
    }
}
