// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the keys of this machine open, and obey their schedules.

use std::path::Path;
use std::sync::Arc;

use ringfort_core::clock::Clock;
use ringfort_runtime::clock::SystemClock;
use ringfort_secrets::keys::audit::LookOnly;
use ringfort_secrets::keys::place::Place;
use ringfort_secrets::keys::ring::{Due, KeyRing, Listed};
use ringfort_secrets::keys::shelf::VaultShelf;
use ringfort_secrets::root_file::KEY_FILE;
use ringfort_secrets::store::{StoreError, Vault};

use super::{Check, Report, Status, Subject};

pub(super) const ENTRY: Check = Check { id: "keys", title: "whether keys open and are rotated in time", look };

fn look(subject: &Subject<'_>) -> Vec<Report> {
    below(subject.state)
}

fn below(state: &Path) -> Vec<Report> {
    match Place::below(state).open() {
        Ok(None) => vec![info("there are no keys".to_owned())],
        Ok(Some(vault)) => of(vault, Arc::new(SystemClock::new())),
        // Its key is in a device: which one, the configuration says.
        Err(StoreError::NoSlot { slots, .. }) => {
            vec![info(format!("the keys are opened by {}; `ringfort keys list` looks at them", slots.join(", ")))]
        }
        Err(error) => vec![ENTRY.fail(
            format!("the store of the keys cannot be used: {error}"),
            "it was left as it is; `ringfort keys list` says more",
        )],
    }
}

fn of(vault: Vault, clock: Arc<dyn Clock>) -> Vec<Report> {
    let opened = vault.header().slots.iter().all(|slot| slot.data.source == KEY_FILE);
    let ring =
        KeyRing::new(Box::new(VaultShelf::new(vault, Arc::clone(&clock))), Vec::new(), Arc::new(LookOnly), clock);
    let keys = match ring.list() {
        Ok(keys) => keys,
        Err(error) => return vec![ENTRY.fail(format!("the keys cannot be read: {error}"), "see `ringfort keys list`")],
    };
    let mut reports: Vec<Report> = keys.iter().filter_map(judge).collect();
    if reports.is_empty() && !keys.is_empty() {
        reports.push(ENTRY.pass(format!("every key opens and none is overdue: {} in all", keys.len())));
    }
    if opened && !keys.is_empty() {
        reports.push(info("a key file beside the keys opens them: who takes the disk has them".to_owned()));
    }
    reports
}

/// What is wrong with a key, if anything is.
fn judge(key: &Listed) -> Option<Report> {
    let name = &key.name;
    match key.info.as_ref().map(|info| info.due) {
        Err(error) => Some(ENTRY.fail(
            format!("the key `{name}` cannot be used: {error}"),
            "it was left as it is; restore a backup of the folder `keys`",
        )),
        Ok(Due::Since(at)) => Some(ENTRY.warn(
            format!("the key `{name}` is overdue since {at}: nothing has used it since"),
            format!("its next use rotates it; or `ringfort keys rotate {name}`"),
        )),
        Ok(Due::ClockBehind) => {
            Some(ENTRY.warn(format!("the key `{name}` was made in the future"), "set this machine's clock"))
        }
        Ok(Due::Never | Due::At(_)) => None,
    }
}

fn info(message: String) -> Report {
    Report { check: ENTRY.id, status: Status::Info, message, help: None }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ringfort_core::clock::Timestamp;
    use ringfort_secrets::keys::KeyKind;
    use ringfort_secrets::keys::audit::{AuditError, KeyAudit, Operation, Stage};
    use ringfort_secrets::keys::ring::Wish;
    use ringfort_secrets::keys::software::{self, SoftwareKeys};

    use super::*;

    #[derive(Clone, Copy)]
    struct At(u64);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            Timestamp(self.0)
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0)
        }
    }

    struct Silent;

    impl KeyAudit for Silent {
        fn record(&self, _operation: &Operation, _stage: Stage<'_>) -> Result<(), AuditError> {
            Ok(())
        }
    }

    #[test]
    fn overdue_and_early_keys_are_told() {
        const MADE: u64 = 1_795_194_000_000;
        const DAY: u64 = 24 * 60 * 60 * 1000;
        let state = tempfile::tempdir().unwrap();
        let place = Place::below(state.path());
        let vault = place.open_or_make(&At(MADE)).unwrap();
        let shelf = Box::new(VaultShelf::new(vault, Arc::new(At(MADE))));
        let ring = KeyRing::new(shelf, vec![Arc::new(SoftwareKeys)], Arc::new(Silent), Arc::new(At(MADE)));
        let wish = Wish {
            kind: KeyKind::Ed25519,
            provider: software::NAME.to_owned(),
            rotate_every: Some(Duration::from_secs(30 * 24 * 60 * 60)),
        };
        ring.generate(&"trail".parse().unwrap(), &wish).unwrap();
        for (now, expected) in [
            (MADE, Status::Pass),
            (MADE + 30 * DAY - 1, Status::Pass),
            (MADE + 30 * DAY, Status::Warn),
            (MADE - DAY, Status::Warn),
        ] {
            let reports = of(place.open().unwrap().unwrap(), Arc::new(At(now)));
            assert_eq!(reports[0].status, expected, "{now}: {reports:?}");
            assert_eq!((reports.len(), reports[1].status), (2, Status::Info), "the key file is told");
        }
    }

    #[test]
    fn deny_a_store_that_does_not_open() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(below(state.path())[0].status, Status::Info);
        let place = Place::below(state.path());
        place.open_or_make(&At(0)).unwrap();
        std::fs::remove_file(place.folder().join("keys.key")).unwrap();
        assert_eq!(below(state.path())[0].status, Status::Fail);
    }
}
