// SPDX-License-Identifier: MIT OR Apache-2.0
//! GNOME Keyring on a session bus of the test's own: unlocked, locked, stopped, ended, and a bus without it.
//!
//! A host without these programs skips, unless `RINGFORT_TEST_NO_SKIP` is set.

use std::time::{Duration, Instant};

use ringfort_secrets::backend::{Backend, Probe, Requested, Sight, Support, classify};
use ringfort_secrets::root::{RootKeyError, RootKeySource as _, StoreId};
use ringfort_secrets::store::{Change, StoreError, Vault};

use crate::keyring::Bus;
use crate::support::{Fixed, NOW, Noon, id};

const STORE: StoreId = StoreId([5; 16]);
#[test]
fn a_real_keyring_keeps_the_key_across_its_restart() {
    let Some(bus) = Bus::start() else { return };
    let keyring = bus.keyring();
    let (slot, key) = bus.source().create(STORE).unwrap();
    let (second, other) = bus.source().create(STORE).unwrap();
    assert!(!other.equals(key.expose()), "each slot has a key of its own");
    assert!(bus.source().open(STORE, &slot).unwrap().equals(key.expose()));
    drop(keyring);
    assert!(matches!(bus.source().open(STORE, &slot), Err(RootKeyError::Absent { .. })));
    let _keyring = bus.keyring();
    assert!(bus.source().open(STORE, &slot).unwrap().equals(key.expose()), "from the keyring's file");
    bus.source().forget(STORE, &slot).unwrap();
    bus.source().forget(STORE, &slot).unwrap();
    assert!(matches!(bus.source().open(STORE, &slot), Err(RootKeyError::Absent { .. })));
    assert!(bus.source().open(STORE, &second).unwrap().equals(other.expose()), "only its own slot's key is removed");
}

#[test]
fn other_programs_see_what_the_item_is_for() {
    let Some(bus) = Bus::start() else { return };
    let _keyring = bus.keyring();
    let (_slot, _key) = bus.source().create(STORE).unwrap();
    let found = bus.send(
        "/org/freedesktop/secrets",
        "org.freedesktop.Secret.Service.SearchItems",
        &["dict:string:string:application,ringfort"],
    );
    let item = found.split('"').find(|word| word.starts_with("/org/freedesktop/secrets/collection/")).unwrap();
    let property = |name: &str| {
        let arguments = ["string:org.freedesktop.Secret.Item", &format!("string:{name}")];
        bus.send(item, "org.freedesktop.DBus.Properties.Get", &arguments)
    };
    assert!(property("Label").contains(&format!("Ringfort: key of the secret store {STORE}")));
    assert!(property("Attributes").contains(&STORE.to_string()));
}

#[test]
fn deny_keys_from_a_keyring_that_is_locked() {
    let Some(bus) = Bus::start() else { return };
    let _keyring = bus.keyring();
    let (slot, _key) = bus.source().create(STORE).unwrap();
    bus.lock();
    assert_eq!(bus.source().probe().word(), "locked");
    for outcome in [bus.source().open(STORE, &slot).map(|_| ()), bus.source().create(STORE).map(|_| ())] {
        let error = outcome.unwrap_err();
        assert!(matches!(error, RootKeyError::Locked { .. }), "{error}");
        assert!(error.to_string().contains("unlock it"), "{error}");
    }
}

#[test]
fn deny_keys_from_a_keyring_that_does_not_answer() {
    let Some(bus) = Bus::start() else { return };
    let keyring = bus.keyring();
    let (slot, _key) = bus.source().create(STORE).unwrap();
    keyring.signal("STOP");
    let source = bus.source().within(Duration::from_millis(500));
    let started = Instant::now();
    assert!(matches!(source.open(STORE, &slot), Err(RootKeyError::Slow { .. })));
    assert_eq!(source.probe().word(), "slow");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    keyring.signal("CONT");
    assert!(bus.source().open(STORE, &slot).is_ok(), "nothing was lost");
}

#[test]
fn the_status_follows_the_real_keyring() {
    let Some(bus) = Bus::start() else { return };
    let status = |requested: &str| {
        let probes = |backend: Backend| match backend {
            Backend::SecretService => bus.source().within(Duration::from_millis(500)).probe(),
            _ => Probe::Absent { message: "not looked at".to_owned() },
        };
        let status = classify(&Requested::parse(requested), &probes, &Sight::default());
        (status.active_backend, status.requested_support, status.root_key)
    };
    let file = (Backend::EncryptedFile, Support::FallbackOnly, "ready");
    let service = |found| (Backend::SecretService, Support::Implemented, found);
    assert_eq!([status("auto"), status("keychain"), status("secret-service")], [file, file, service("absent")]);
    let keyring = bus.keyring();
    assert_eq!(["auto", "keychain", "secret-service"].map(status), [service("ready"); 3]);
    keyring.signal("STOP");
    assert_eq!([status("auto"), status("keychain"), status("secret-service")], [file, file, service("slow")]);
    keyring.signal("CONT");
    bus.lock();
    assert_eq!([status("auto"), status("keychain")], [file, service("locked")]);
    drop(keyring);
    assert_eq!([status("auto"), status("keychain"), status("secret-service")], [file, file, service("absent")]);
}

#[test]
fn a_store_opens_by_the_keyring_and_by_its_other_slot() {
    let Some(bus) = Bus::start() else { return };
    let keyring = bus.keyring();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("secrets");
    let mut vault = Vault::create(&folder, &bus.source(), &Noon).unwrap();
    vault.set(&id("a.key"), b"value", &Change::at(NOW)).unwrap();
    vault.add_slot(&Fixed(7), NOW).unwrap();
    drop(vault);
    let opened = Vault::open(&folder, &bus.source()).unwrap();
    assert!(opened.get(&id("a.key"), NOW).unwrap().value.equals(b"value"));
    drop(keyring);
    let closed = Vault::open(&folder, &bus.source()).map(|_| ());
    assert!(matches!(closed, Err(StoreError::Root(RootKeyError::Absent { .. }))), "{closed:?}");
    assert!(Vault::open(&folder, &Fixed(7)).is_ok());
}
