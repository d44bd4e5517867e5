// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every provider of the registry passes the shared suite, under every preset.

use std::sync::Arc;

use ringfort_core::entry::Entry;
use ringfort_core::provider::{Availability, Context, ReportError, SecurityProvider};
use ringfort_core::request::Request;
use ringfort_core::ruling::Ruling;
use ringfort_core::signal::{Response, Signal};
use ringfort_policy::preset::Preset;
use ringfort_policy::rule::Policy;
use ringfort_runtime::providers::{PROVIDERS, ProviderEntry, SelectError, select};
use ringfort_testkit::provider::{Behaviour, FickleProvider};
use ringfort_testkit::suite::provider_suite;

use crate::stage::chain;

/// The suite wants boxes, the registry makes shared ones.
struct Shared(Arc<dyn SecurityProvider>);

impl SecurityProvider for Shared {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn availability(&self) -> Availability {
        self.0.availability()
    }
    fn decide(&self, request: &Request, context: &Context) -> Ruling {
        self.0.decide(request, context)
    }
    fn report(&self, entry: &Entry) -> Result<(), ReportError> {
        self.0.report(entry)
    }
    fn respond(&self, signal: &Signal) -> Response {
        self.0.respond(signal)
    }
}

#[test]
fn every_provider_passes_the_suite() {
    for entry in PROVIDERS {
        for preset in Preset::ALL {
            let policies = chain(preset);
            provider_suite(&|| Box::new(Shared((entry.build)(Arc::clone(&policies)))));
        }
    }
}

fn unavailable(_chain: Arc<[Policy]>) -> Arc<dyn SecurityProvider> {
    Arc::new(FickleProvider::new(Behaviour::Unavailable).0)
}

#[test]
fn deny_providers_that_are_unknown_or_unavailable() {
    let registry = [ProviderEntry { name: "fickle", summary: "for tests", build: unavailable }];
    let policies = chain(Preset::Supervised);
    for name in ["", "nativ", "Native", "native\0", "../native", "fickle"] {
        assert!(matches!(select(PROVIDERS, name, &policies), Err(SelectError::Unknown { .. })), "`{name}`");
    }
    assert!(matches!(select(&registry, "fickle", &policies), Err(SelectError::Unavailable { .. })));
    assert!(matches!(select(&registry, "native", &policies), Err(SelectError::Unknown { .. })));
}
