// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ring of keys over real devices: rotation, destruction, a device that is gone.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ringfort_core::clock::{Clock, Timestamp};
use ringfort_secrets::backend::tpm2::{TpmKeys, TpmSource};
use ringfort_secrets::keys::audit::{AuditError, KeyAudit, Operation, Stage};
use ringfort_secrets::keys::place::Place;
use ringfort_secrets::keys::record::{KeyName, VersionState};
use ringfort_secrets::keys::ring::{KeyRing, Old, RingError, Wish};
use ringfort_secrets::keys::shelf::VaultShelf;
use ringfort_secrets::keys::software::{self, SoftwareKeys};
use ringfort_secrets::keys::{KeyKind, KeyProvider};

use crate::swtpm::SoftTpm;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Default)]
struct Time(AtomicU64);

impl Clock for Time {
    fn now(&self) -> Timestamp {
        Timestamp(1_795_194_000_000 + self.0.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

struct Silent;

impl KeyAudit for Silent {
    fn record(&self, _operation: &Operation, _stage: Stage<'_>) -> Result<(), AuditError> {
        Ok(())
    }
}

fn ring(place: &Place, device: Option<Arc<dyn KeyProvider>>, time: &Arc<Time>) -> KeyRing {
    let vault = place.open_or_make(time.as_ref()).unwrap();
    let mut providers: Vec<Arc<dyn KeyProvider>> = vec![Arc::new(SoftwareKeys)];
    providers.extend(device);
    KeyRing::new(Box::new(VaultShelf::new(vault, time.clone())), providers, Arc::new(Silent), time.clone())
}

/// What every device must keep of the ring's promises; `again` gives the device anew, as another process would.
fn exercise(state: &Path, again: &dyn Fn() -> Arc<dyn KeyProvider>) {
    let (place, time) = (Place::below(state), Arc::new(Time::default()));
    let provider = again().name().to_owned();
    for (key, kind) in [("trail", KeyKind::EcdsaP256), ("tokens", KeyKind::HmacSha256)] {
        let name: KeyName = key.parse().unwrap();
        let wish = Wish { kind, provider: provider.clone(), rotate_every: Some(DAY * 30) };
        ring(&place, Some(again()), &time).generate(&name, &wish).unwrap();
        let first = ring(&place, Some(again()), &time).sign(&name, b"m").unwrap();
        time.0.fetch_add(u64::try_from((DAY * 30).as_millis()).unwrap(), Ordering::Relaxed);
        let now = ring(&place, Some(again()), &time);
        let second = now.sign(&name, b"m").unwrap();
        assert_eq!((first.version, second.version), (1, 2), "{kind}: it was overdue");
        let info = now.info(&name).unwrap();
        let kept: Vec<bool> = info.versions.iter().map(|version| version.has_private).collect();
        assert_eq!(kept, [!kind.has_public(), true], "{kind}");
        for signature in [&first, &second] {
            let held = now.verify(&name, b"m", &signature.bytes, None).unwrap();
            assert_eq!(held.version, signature.version);
            assert!(matches!(now.verify(&name, b"n", &signature.bytes, None), Err(RingError::NotSigned { .. })));
        }
        if kind == KeyKind::HmacSha256 {
            let derived = |version| now.derive(&name, b"c", version).unwrap().key;
            assert!(derived(None).equals(derived(Some(2)).expose()));
            assert!(!derived(None).equals(derived(Some(1)).expose()));
        }
        now.rotate(&name, Old::Destroyed).unwrap();
        for signature in [&first, &second] {
            assert!(matches!(now.verify(&name, b"m", &signature.bytes, None), Err(RingError::NotSigned { .. })));
        }
        let states: Vec<VersionState> = now.info(&name).unwrap().versions.iter().map(|version| version.state).collect();
        assert_eq!(states, [VersionState::Destroyed, VersionState::Destroyed, VersionState::Active]);
        assert_eq!(now.sign(&name, b"m").unwrap().version, 3);

        // Without the device nothing stands in for it.
        let without = ring(&place, None, &time);
        assert!(matches!(without.sign(&name, b"m"), Err(RingError::NoProvider { .. })), "{kind}");
        assert!(matches!(without.rotate(&name, Old::Verifies), Err(RingError::NoProvider { .. })), "{kind}");
        assert_eq!(without.info(&name).unwrap().versions.len(), 3, "{kind}");
    }
    let wish = Wish { kind: KeyKind::Ed25519, provider, rotate_every: None };
    let refused = ring(&place, Some(again()), &time).generate(&"other".parse().unwrap(), &wish);
    assert!(matches!(refused, Err(RingError::Key(_))), "{refused:?}");
}

#[test]
fn keys_in_a_tpm_rotate_and_are_destroyed() {
    let Some(tpm) = SoftTpm::start() else { return };
    let state = tempfile::tempdir().unwrap();
    exercise(state.path(), &|| Arc::new(TpmKeys::new(tpm.options())));
    assert_eq!(tpm.handles(), 0, "nothing is left in the TPM");
}

#[test]
fn deny_keys_of_a_tpm_to_another_tpm() {
    let (Some(here), Some(there)) = (SoftTpm::start(), SoftTpm::start()) else { return };
    let state = tempfile::tempdir().unwrap();
    let (place, time) = (Place::below(state.path()), Arc::new(Time::default()));
    let name: KeyName = "trail".parse().unwrap();
    let wish = Wish { kind: KeyKind::EcdsaP256, provider: "tpm2".to_owned(), rotate_every: None };
    let ours = ring(&place, Some(Arc::new(TpmKeys::new(here.options()))), &time);
    ours.generate(&name, &wish).unwrap();
    let signature = ours.sign(&name, b"m").unwrap();
    let theirs = ring(&place, Some(Arc::new(TpmKeys::new(there.options()))), &time);
    assert!(matches!(theirs.sign(&name, b"m"), Err(RingError::Key(_))));
    // A public half needs no device.
    assert_eq!(theirs.verify(&name, b"m", &signature.bytes, None).unwrap().version, 1);
}

#[test]
fn the_store_of_the_keys_opens_by_a_tpm_and_by_no_other() {
    let (Some(here), Some(there)) = (SoftTpm::start(), SoftTpm::start()) else { return };
    let state = tempfile::tempdir().unwrap();
    let time = Arc::new(Time::default());
    let at =
        |tpm: &SoftTpm| Place::below(state.path()).prefer(Box::new(TpmSource::new(tpm.options(), Vec::new(), None)));
    let wish = Wish { kind: KeyKind::Ed25519, provider: software::NAME.to_owned(), rotate_every: None };
    let name: KeyName = "trail".parse().unwrap();
    ring(&at(&here), None, &time).generate(&name, &wish).unwrap();
    assert!(!state.path().join("keys/keys.key").exists(), "no key file beside it");
    ring(&at(&here), None, &time).sign(&name, b"m").unwrap();
    assert!(at(&there).open().is_err());
    assert!(Place::below(state.path()).open().is_err(), "the key file does not stand in for it");
    assert!(at(&there).open_or_make(time.as_ref()).is_err());
    assert!(at(&here).open().unwrap().is_some());
}

#[cfg(feature = "pkcs11")]
#[test]
fn keys_in_a_token_rotate_and_are_destroyed() {
    use ringfort_secrets::backend::pkcs11::TokenKeys;

    use crate::softhsm::SoftHsm;

    let Some(hsm) = SoftHsm::inside("ring::keys_in_a_token_rotate_and_are_destroyed", &["one"]) else { return };
    let state = tempfile::tempdir().unwrap();
    exercise(state.path(), &|| Arc::new(TokenKeys::new(hsm.options("one"))));
}
