// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every provider of keys must pass, whether its keys are in memory, in a TPM or in a token.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::{Arc, Mutex};

use ringfort_core::clock::Clock;
use ringfort_secrets::keys::audit::{AuditError, KeyAudit, Operation, Stage};
use ringfort_secrets::keys::ring::{KeyRing, Old, RingError, Wish};
use ringfort_secrets::keys::shelf::VaultShelf;
use ringfort_secrets::keys::software::{SoftwareKeys, verify_public};
use ringfort_secrets::keys::{KeyHandle, KeyKind, KeyProvider};
use ringfort_secrets::locked::Locked;
use ringfort_secrets::root_file::KeyFileSource;
use ringfort_secrets::store::Vault;

use crate::support::Noon;

/// Every kind.
const KINDS: [KeyKind; 3] = [KeyKind::Ed25519, KeyKind::EcdsaP256, KeyKind::HmacSha256];

/// Makes keys of `kinds`, which are all that the provider has, uses them rightly and wrongly, and destroys them.
pub(crate) fn provider_suite(provider: &dyn KeyProvider, kinds: &[KeyKind]) {
    for kind in KINDS.into_iter().filter(|kind| !kinds.contains(kind)) {
        assert!(provider.generate(kind, "suite").is_err(), "{kind:?} is not among its kinds");
    }
    for kind in kinds {
        let (one, other) = (provider.generate(*kind, "suite 1").unwrap(), provider.generate(*kind, "suite 2").unwrap());
        for length in [0, 1, 64, 1023, 1024, 1025, 2048, 5000] {
            let message = vec![7; length];
            let made = provider.sign(&one, &message).unwrap();
            assert!(provider.verify(&one, &message, &made).unwrap(), "{kind:?}, {length} bytes");
            assert!(!provider.verify(&other, &message, &made).unwrap(), "{kind:?}: another key");
            assert!(
                !provider.verify(&one, &[&message[..], b"x"].concat(), &made).unwrap(),
                "{kind:?}: another message"
            );
            let mut flipped = made.clone();
            *flipped.last_mut().unwrap() ^= 1;
            for wrong in [&flipped[..], &made[1..], &vec![0; made.len()], &[&made[..], &[0]].concat(), b""] {
                assert!(!provider.verify(&one, &message, wrong).unwrap(), "{kind:?}: another signature");
            }
            if let Some(public) = &one.public {
                assert!(verify_public(*kind, public, &message, &made).unwrap(), "others verify it too");
            }
        }
        derivations(provider, &one, &other);
        wrong_handles(provider, &one);
        for key in [&one, &other] {
            provider.destroy(key).unwrap();
            provider.destroy(key).unwrap();
        }
    }
}

fn derivations(provider: &dyn KeyProvider, one: &KeyHandle, other: &KeyHandle) {
    if one.kind != KeyKind::HmacSha256 {
        assert!(provider.derive(one, b"context").is_err(), "{:?} derives nothing", one.kind);
        return;
    }
    let derive = |key, context: &[u8]| provider.derive(key, context).unwrap().expose().to_vec();
    let derived = derive(one, b"context");
    assert_eq!((derived.len(), &derived), (32, &derive(one, b"context")));
    for another in [derive(one, b"contexu"), derive(other, b"context"), provider.sign(one, b"context").unwrap()] {
        assert_ne!(derived, another);
    }
    assert!(provider.derive(one, b"").is_err() && provider.derive(one, &[7; 1025]).is_err(), "the bounds of a context");
}

/// Handles that are not what they say are refused, with an error and not with a value.
fn wrong_handles(provider: &dyn KeyProvider, key: &KeyHandle) {
    for kind in KINDS.into_iter().filter(|kind| *kind != key.kind) {
        let renamed = KeyHandle { kind, public: None, private: Locked::copy_of(key.private.expose()).unwrap() };
        let made = provider.sign(&renamed, b"m");
        // In software 32 bytes are a key of every kind; what comes of them is another key's.
        let is_ours = made.is_ok_and(|made| provider.verify(key, b"m", &made).unwrap());
        assert!(!is_ours, "{:?} as {kind:?}", key.kind);
    }
    for bytes in [&b""[..], b"{}", &[0; 31], &[0xFF; 4096]] {
        let public = key.public.clone();
        let broken = KeyHandle { kind: key.kind, public, private: Locked::copy_of(bytes).unwrap() };
        assert!(provider.sign(&broken, b"m").is_err(), "{:?}, {} bytes", key.kind, bytes.len());
    }
}

/// A ring with this provider: the old version verifies, the new one signs, one that was destroyed does neither.
pub(crate) fn ring_suite(provider: Arc<dyn KeyProvider>, kind: KeyKind) {
    let folder = tempfile::tempdir().unwrap();
    let name = "suite".parse().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(Noon);
    let source = KeyFileSource::new(folder.path().join("keys.key"));
    let wish = Wish { kind, provider: provider.name().to_owned(), rotate_every: None };
    let told = Arc::new(Told::default());
    let vault = Vault::create(&folder.path().join("keys"), &source, clock.as_ref()).unwrap();
    let open = |vault| {
        let shelf = Box::new(VaultShelf::new(vault, Arc::clone(&clock)));
        KeyRing::new(shelf, vec![Arc::clone(&provider)], Arc::clone(&told) as Arc<dyn KeyAudit>, Arc::clone(&clock))
    };
    let ring = open(vault);
    ring.generate(&name, &wish).unwrap();
    let old = ring.sign(&name, b"an entry").unwrap();
    ring.rotate(&name, Old::Verifies).unwrap();
    drop(ring);
    let ring = open(Vault::open(&folder.path().join("keys"), &source).unwrap());
    let new = ring.sign(&name, b"an entry").unwrap();
    assert_eq!((old.version, new.version), (1, 2));
    for made in [&old, &new] {
        assert_eq!(ring.verify(&name, b"an entry", &made.bytes, None).unwrap().version, made.version);
        assert!(matches!(ring.verify(&name, b"another", &made.bytes, None), Err(RingError::NotSigned { .. })));
    }
    assert!(ring.verify(&name, b"an entry", &old.bytes, Some(2)).is_err(), "the other version's");
    ring.destroy_before(&name, 2).unwrap();
    assert!(ring.verify(&name, b"an entry", &old.bytes, None).is_err(), "destroyed");
    assert_eq!(ring.verify(&name, b"an entry", &new.bytes, None).unwrap().version, 2);
    assert!(told.0.lock().unwrap().contains(&"key.rotate"), "its use is told");
}

#[test]
fn software_keys_pass_the_suite() {
    provider_suite(&SoftwareKeys, &KINDS);
    KINDS.into_iter().for_each(|kind| ring_suite(Arc::new(SoftwareKeys), kind));
}

#[derive(Default)]
struct Told(Mutex<Vec<&'static str>>);

impl KeyAudit for Told {
    fn record(&self, operation: &Operation, _stage: Stage<'_>) -> Result<(), AuditError> {
        self.0.lock().unwrap().push(operation.what.name());
        Ok(())
    }
}
