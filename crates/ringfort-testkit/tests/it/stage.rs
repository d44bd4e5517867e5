// SPDX-License-Identifier: MIT OR Apache-2.0
//! A pipeline over real policies and a real trail, with the clock in the test's hands.

use std::path::PathBuf;
use std::sync::Arc;

use ringfort_audit::{Options, Trail};
use ringfort_core::action::{Action, Command};
use ringfort_core::clock::{Clock, Timestamp};
use ringfort_core::door::{Door, DoorKind, Standing};
use ringfort_core::obligation::{Demand, Promise};
use ringfort_core::provider::SecurityProvider;
use ringfort_core::request::Request;
use ringfort_core::text::Text;
use ringfort_policy::load::{Sources, load};
use ringfort_policy::preset::Preset;
use ringfort_policy::rule::Policy;
use ringfort_runtime::freeze::Freeze;
use ringfort_runtime::guard::{Guard, GuardLimits};
use ringfort_runtime::pipeline::{Pipeline, PipelineParts};
use ringfort_runtime::providers::{PROVIDERS, select};
use ringfort_testkit::clock::FakeClock;
use ringfort_testkit::suite::sample_request;
use tempfile::TempDir;

/// A place for the record and the counters, gone at the end.
pub(crate) struct Stage {
    place: TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("guard")).unwrap();
        Self { place }
    }

    /// A pipeline under `preset` that asks `provider` beside native.
    pub(crate) fn pipeline(&self, preset: Preset, provider: Arc<dyn SecurityProvider>) -> Pipeline {
        self.pipeline_over(chain(preset), provider)
    }

    /// A pipeline over these policies that asks `provider` beside native.
    pub(crate) fn pipeline_over(&self, chain: Arc<[Policy]>, provider: Arc<dyn SecurityProvider>) -> Pipeline {
        let clock: Arc<dyn Clock> = Arc::new(FakeClock::new(Timestamp(1_800_000_000_000)));
        let freeze = Freeze::new(self.place.path().join("freeze"));
        freeze.create().unwrap();
        Pipeline::new(PipelineParts {
            chain,
            provider,
            guard: Guard::new(self.place.path().join("guard"), GuardLimits::default()),
            freeze,
            approvals: Arc::new(ringfort_core::store::NoStore),
            outcomes: ringfort_audit::Durability::Written,
            trail: Arc::new(Trail::open(&self.trail(), Options::new(Arc::clone(&clock))).unwrap()),
            clock,
        })
    }

    /// A file or folder of the state.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn trail(&self) -> PathBuf {
        self.path("trail")
    }

    /// Everything on the record.
    pub(crate) fn record(&self) -> String {
        let segments = std::fs::read_dir(self.trail()).unwrap().map(|entry| entry.unwrap().path());
        let segments = segments.filter(|path| path.extension().is_some_and(|end| end == "jsonl"));
        segments.map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }
}

/// The policies of a preset, without any file.
pub(crate) fn chain(preset: Preset) -> Arc<[Policy]> {
    let accepted = PathBuf::from("/nonexistent/accepted");
    load(&Sources { preset: Some(preset), accepted, ..Sources::default() }).unwrap().chain.into()
}

/// The provider that is asked whatever is selected.
pub(crate) fn native(preset: Preset) -> Arc<dyn SecurityProvider> {
    select(PROVIDERS, "native", &chain(preset)).unwrap()
}

/// The door of a complete cage that asks nobody.
pub(crate) fn cage() -> Door {
    Door {
        isolates: Promise::ALL.into(),
        redacts: Demand::Demanded,
        limits: Demand::Demanded,
        profile: Some("default".to_owned()),
        ..Door::bare(DoorKind::Run, Standing::Caged)
    }
}

/// Shell text, typed by a user in a workspace.
pub(crate) fn typed(text: &str) -> Request {
    Request { action: Action::Command(Command::Shell(Text::from(text))), ..sample_request() }
}
