// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: the key of the secrets is kept where the configuration says, and where it cannot be kept there nothing is
//! stored and it is said why; nothing stands in for it in silence.
//!
//! In: names of backends, a real keyring that comes and goes, the kernel's. Out: what `secrets` answers.

use ringfort_secrets::backend::Probe;
use ringfort_secrets::backend::keyutils::KeyutilsSource;
use ringfort_secrets::root::RootKeySource as _;
use ringfort_secrets::store::Header;
use serde_json::{Value, json};

use crate::keyring::Bus;
use crate::support::{Output, Place, skips_are_errors};

const VALUE: &str = "heron-2209-quite-unlike-anything";

/// A place whose user has accepted this section `[secrets]`.
fn configured(section: &str) -> Place {
    let place = Place::new();
    place.write(place.home.join(".config/ringfort/ringfort.toml"), format!("[secrets]\n{section}\n"));
    place.ringfort(["policy", "accept", "--yes"]).output().exits(0);
    place
}

fn call(place: &Place, bus: Option<&Bus>, line: &str, input: &str) -> Output {
    let program = place.ringfort(["secrets"].into_iter().chain(line.split_whitespace())).input(input);
    match bus {
        Some(bus) => program.env("DBUS_SESSION_BUS_ADDRESS", &bus.address).output(),
        None => program.output(),
    }
}

fn status(place: &Place, bus: Option<&Bus>) -> Value {
    serde_json::from_str(&call(place, bus, "--json status", "").exits(0).out()).unwrap()
}

#[track_caller]
fn is(status: &Value, fields: &[(&str, Value)]) {
    for (name, expected) in fields {
        assert_eq!(&status[name], expected, "{name}: {status:#}");
    }
}

#[test]
fn a_real_keyring_opens_the_store_as_long_as_it_is_there() {
    let Some(bus) = Bus::start() else { return };
    let place = Place::new();
    let keyring = bus.keyring();
    call(&place, Some(&bus), "set a.key", VALUE).exits(0);
    is(
        &status(&place, Some(&bus)),
        &[
            ("activeBackend", json!("secret-service")),
            ("requestedSupport", json!("implemented")),
            ("keySource", json!("secret-service")),
            ("slots", json!([{"index": 0, "source": "secret-service"}])),
            ("persistent", json!(true)),
            ("count", json!(1)),
        ],
    );
    assert!(!place.home.join(".local/state/ringfort/keys/secrets.key").exists(), "no key file beside the store");
    let ran = place
        .ringfort(["run", "--secret", "a.key=A", "--", "sh", "-c", "echo ${#A}"])
        .env("DBUS_SESSION_BUS_ADDRESS", &bus.address)
        .output()
        .exits(0);
    assert_eq!(ran.out().trim(), VALUE.len().to_string(), "{ran}");
    bus.lock();
    let locked = call(&place, Some(&bus), "list", "");
    assert!(locked.code() != Some(0) && locked.err().contains("unlock it"), "{locked}");
    assert_eq!(status(&place, Some(&bus))["rootKey"], "locked");
    drop(keyring);
    let gone = call(&place, Some(&bus), "get a.key", "");
    assert!(gone.code() != Some(0) && gone.err().contains("start gnome-keyring or KeePassXC"), "{gone}");
    is(&status(&place, Some(&bus)), &[("rootKey", json!("absent")), ("locked", json!(true)), ("count", json!(0))]);
    let _keyring = bus.keyring();
    assert!(call(&place, Some(&bus), "list", "").exits(0).out().contains("a.key"), "nothing was lost");
}

#[test]
fn deny_storing_where_another_backend_would_stand_in() {
    for (backend, active, support) in [
        ("dpapi", "encrypted-file", "fallback-only"),
        ("KeyChain", "encrypted-file", "fallback-only"),
        ("keystore", "encrypted-file", "fallback-only"),
        ("vault9", "env", "unsupported"),
        ("env", "env", "implemented"),
        ("secret-service", "secret-service", "implemented"),
        ("tpm2", "tpm2", "implemented"),
        ("pkcs11", "pkcs11", "implemented"),
    ] {
        let place = configured(&format!("backend = \"{backend}\""));
        if backend == "tpm2" && std::path::Path::new("/dev/tpmrm0").exists() {
            continue;
        }
        let refused = call(&place, None, "set a.key", VALUE);
        assert_eq!(refused.code(), Some(2), "{backend}: {refused}");
        assert!(refused.err().contains("help: ") && !refused.err().contains(VALUE), "{backend}: {refused}");
        assert!(!place.home.join(".local/state/ringfort/secrets/store.ringfort").exists(), "{backend}");
        is(
            &status(&place, None),
            &[
                ("requestedBackend", json!(backend)),
                ("activeBackend", json!(active)),
                ("requestedSupport", json!(support)),
                ("exists", json!(false)),
            ],
        );
    }
}

#[test]
fn the_encrypted_file_stands_in_once_the_configuration_allows_it() {
    for backend in ["dpapi", "keychain", "secret-service", "pkcs11"] {
        let place = configured(&format!("backend = \"{backend}\"\nallow_fallback = true"));
        call(&place, None, "set a.key", VALUE).exits(0);
        is(
            &status(&place, None),
            &[
                ("activeBackend", json!("encrypted-file")),
                ("encryptedFallback", json!(true)),
                ("fallbackApplied", json!(true)),
                ("persistent", json!(true)),
            ],
        );
        call(&place, None, "set b.key", VALUE).exits(0);
    }
    let place = configured("backend = \"vault9\"\nallow_fallback = true");
    let refused = call(&place, None, "set a.key", VALUE);
    assert_eq!(refused.code(), Some(2), "what is unknown never gets a file: {refused}");
}

#[test]
fn deny_writing_to_a_store_of_another_backend() {
    let place = Place::new();
    call(&place, None, "set a.key", VALUE).exits(0);
    place.write(place.home.join(".config/ringfort/ringfort.toml"), "[secrets]\nbackend = \"tpm2\"\n");
    place.ringfort(["policy", "accept", "--yes"]).output().exits(0);
    let refused = call(&place, None, "set b.key", VALUE);
    assert_eq!(refused.code(), Some(2), "{refused}");
    assert!(refused.err().contains("was made with encrypted-file"), "{refused}");
    assert!(call(&place, None, "list", "").exits(0).out().contains("a.key"), "what is stored is still read");
}

#[test]
fn the_kernels_keyring_says_that_it_forgets() {
    if KeyutilsSource.probe() != Probe::Ready {
        assert!(!skips_are_errors(), "there is no keyring");
        return;
    }
    let place = configured("backend = \"keyutils\"");
    call(&place, None, "set a.key", VALUE).exits(0);
    let seen = status(&place, None);
    is(&seen, &[("activeBackend", json!("keyutils")), ("persistent", json!(false)), ("count", json!(1))]);
    assert!(seen["warnings"].to_string().contains("after a restart nothing opens the store"), "{seen:#}");
    let header = Header::read(&place.home.join(".local/state/ringfort/secrets")).unwrap();
    KeyutilsSource.forget(header.store, &header.slots[0].data).unwrap();
    let gone = call(&place, None, "list", "");
    assert!(gone.code() != Some(0) && gone.err().contains("forgets at every restart"), "{gone}");
}
