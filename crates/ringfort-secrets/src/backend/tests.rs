// SPDX-License-Identifier: MIT OR Apache-2.0
//! The matrix, row by row and field by field.

use std::cell::RefCell;
use std::path::PathBuf;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn absent() -> Probe {
    Probe::Absent { message: "nothing there".to_owned() }
}

fn locked() -> Probe {
    Probe::Locked { message: "unlock it".to_owned() }
}

fn broken() -> Probe {
    Probe::Broken { message: "junk".to_owned() }
}

fn slow() -> Probe {
    Probe::Slow { waited: PROBE_TIMEOUT }
}

fn sight() -> Sight {
    Sight { path: PathBuf::from("/state/secrets"), loaded_at_ms: 7, saved_at_ms: 8, count: 9, ..Sight::default() }
}

fn store(sources: &[&str]) -> Sight {
    let slots = sources.iter().enumerate().map(|(index, source)| SlotSeen { index, source: (*source).to_owned() });
    Sight { slots: Some(slots.collect()), generation: Some(3), ..sight() }
}

fn status(requested: &str, probe: &Probe, sight: &Sight) -> Value {
    let probes = |_: Backend| probe.clone();
    serde_json::to_value(classify(&Requested::parse(requested), &probes, sight)).unwrap()
}

/// The eight fields of the matrix, the reason as whether it contains the text.
fn check(requested: &str, probe: &Probe, sight: &Sight, expected: (&str, [bool; 4], &str, Option<&str>)) {
    let status = status(requested, probe, sight);
    let (active, [implemented, encrypted, recognized, applied], support, reason) = expected;
    let seen = |name: &str| status.get(name).unwrap_or_else(|| panic!("{name} is missing"));
    let context = format!("{requested} {probe:?}: {status:#}");
    assert_eq!(seen("requestedBackend"), requested.trim(), "{context}");
    assert_eq!(seen("activeBackend"), active, "{context}");
    assert_eq!(seen("providerImplemented"), implemented, "{context}");
    assert_eq!(seen("encryptedFallback"), encrypted, "{context}");
    assert_eq!(seen("requestedRecognized"), recognized, "{context}");
    assert_eq!(seen("requestedSupport"), support, "{context}");
    assert_eq!(seen("fallbackApplied"), applied, "{context}");
    match (seen("fallbackReason"), reason) {
        (Value::Null, None) => {}
        (Value::String(text), Some(part)) => assert!(text.contains(part), "{context}"),
        _ => panic!("{context}"),
    }
    let memory = active == "env";
    assert_eq!(seen("path"), if memory { MEMORY_PATH } else { "/state/secrets" }, "{context}");
    assert_eq!((seen("loadedAtMs"), seen("savedAtMs"), seen("count")), (&json!(7), &json!(8), &json!(9)));
    assert!(seen("keySource").is_string() && seen("persistent").is_boolean(), "{context}");
}

const T: bool = true;
const F: bool = false;

#[test]
fn rows_that_do_not_depend_on_the_host_are_the_references() {
    let unsupported = "unsupported requested backend";
    let native = "native backend not implemented";
    for probe in [Probe::Ready, locked(), absent(), broken(), slow()] {
        check("env", &probe, &sight(), ("env", [T, F, T, F], "implemented", None));
        check(" ENV ", &probe, &sight(), ("env", [T, F, T, F], "implemented", None));
        check("file", &probe, &sight(), ("encrypted-file", [T, F, T, F], "implemented", None));
        check("Encrypted-File", &probe, &sight(), ("encrypted-file", [T, F, T, F], "implemented", None));
        check("dpapi", &probe, &sight(), ("encrypted-file", [F, T, T, T], "fallback-only", Some(native)));
        for unknown in ["vault9", "secret service", "tpm", "*", "../file"] {
            check(unknown, &probe, &sight(), ("env", [F, F, F, T], "unsupported", Some(unsupported)));
        }
    }
}

#[test]
fn rows_of_native_backends_follow_what_was_found() {
    for name in ["secret-service", "keyutils", "tpm2", "pkcs11", "Secret-Service", "TPM2"] {
        let lower = name.to_ascii_lowercase();
        for probe in [Probe::Ready, locked(), absent(), broken(), slow()] {
            check(name, &probe, &sight(), (&lower, [T, F, T, F], "implemented", None));
            let seen = status(name, &probe, &sight());
            assert_eq!(seen["rootKey"], probe.word());
            assert_eq!(seen["rootKeyMessage"].is_null(), probe.is_ready());
            let writes = if probe.is_ready() { "store" } else { "refused" };
            assert_eq!(seen["writes"]["kind"], writes, "{name} {probe:?}");
            assert_eq!(seen["keySource"], lower.as_str());
        }
        let allowed = Sight { allow_fallback: true, ..sight() };
        for probe in [absent(), broken(), slow()] {
            check(name, &probe, &allowed, ("encrypted-file", [T, T, T, T], "fallback-only", Some("stands in")));
            assert_eq!(status(name, &probe, &allowed)["writes"]["kind"], "store");
        }
        for probe in [Probe::Ready, locked()] {
            check(name, &probe, &allowed, (&lower, [T, F, T, F], "implemented", None));
        }
    }
}

#[test]
fn rows_of_other_systems_names_are_mapped_or_the_references() {
    for name in ["keychain", "Keystore", "KEYCHAIN"] {
        for probe in [Probe::Ready, locked()] {
            check(name, &probe, &sight(), ("secret-service", [T, F, T, F], "implemented", None));
            let seen = status(name, &probe, &sight());
            assert_eq!(seen["mappedTo"], "secret-service");
            assert!(seen["warnings"][0].as_str().unwrap().contains("secret-service"), "said so: {seen:#}");
        }
        for probe in [absent(), broken(), slow()] {
            let reason = Some("native backend not implemented");
            check(name, &probe, &sight(), ("encrypted-file", [F, T, T, T], "fallback-only", reason));
        }
    }
}

#[test]
fn auto_takes_the_first_that_works_and_says_why() {
    let asked = RefCell::new(Vec::new());
    let choose = |found: &dyn Fn(Backend) -> Probe| {
        asked.borrow_mut().clear();
        let probes = |backend: Backend| {
            asked.borrow_mut().push(backend);
            found(backend)
        };
        select_auto(&probes)
    };
    let first = choose(&|_| Probe::Ready);
    assert_eq!(first.backend, Backend::SecretService);
    assert_eq!(*asked.borrow(), [Backend::SecretService], "nothing after it is looked at");
    for fault in [locked(), absent(), broken(), slow()] {
        let second = choose(&|backend| if backend == Backend::Tpm2 { Probe::Ready } else { fault.clone() });
        assert_eq!(second.backend, Backend::Tpm2);
        assert!(second.reason.contains("secret-service: it"), "{}", second.reason);
        let none = choose(&|_| fault.clone());
        assert_eq!(none.backend, Backend::EncryptedFile);
        assert!(none.reason.contains("auto resolves to encrypted-file") && none.reason.contains("tpm2: it"));
        assert_eq!(*asked.borrow(), AUTO_ORDER, "keyutils and pkcs11 are never chosen");
        let reason = Some("auto resolves to encrypted-file");
        check("auto", &fault, &sight(), ("encrypted-file", [F, T, T, T], "fallback-only", reason));
        assert_eq!(status("  ", &fault, &sight()), status("auto", &fault, &sight()), "blank is auto");
        assert_eq!(status("auto", &fault, &sight())["writes"]["kind"], "store", "auto asks for whatever works");
    }
    check("Auto", &Probe::Ready, &sight(), ("secret-service", [T, F, T, F], "implemented", None));
    let given = Sight { key_given: Some("env:RINGFORT_SECRET_STORE_KEY".to_owned()), ..sight() };
    check("auto", &Probe::Ready, &given, ("encrypted-file", [T, F, T, F], "implemented", None));
    assert_eq!(status("auto", &Probe::Ready, &given)["keySource"], "env:RINGFORT_SECRET_STORE_KEY");
    assert_eq!(status("tpm2", &Probe::Ready, &given)["keySource"], "tpm2", "a given key is not the TPM's");
}

#[test]
fn deny_writing_where_something_stands_in_unasked() {
    let refused = |requested: &str, probe: &Probe, sight: &Sight| status(requested, probe, sight)["writes"].clone();
    for name in ["dpapi", "vault9"] {
        for probe in [Probe::Ready, absent()] {
            let writes = refused(name, &probe, &sight());
            assert_eq!(writes["kind"], "refused", "{name}");
            assert!(writes["reason"].as_str().unwrap().contains("secrets.allow_fallback = true"), "{writes}");
        }
    }
    for fault in [absent(), broken(), slow()] {
        assert_eq!(refused("keychain", &fault, &sight())["kind"], "refused");
        assert_eq!(refused("keystore", &fault, &sight())["kind"], "refused");
    }
    let allowed = Sight { allow_fallback: true, ..sight() };
    assert_eq!(refused("dpapi", &absent(), &allowed)["kind"], "store");
    assert_eq!(refused("keychain", &absent(), &allowed)["kind"], "store");
    assert_eq!(refused("vault9", &absent(), &allowed)["kind"], "memory", "what is unknown never gets a file");
    assert_eq!(refused("env", &Probe::Ready, &sight())["kind"], "memory");
    assert_eq!(refused("file", &absent(), &sight())["kind"], "store");
}

#[test]
fn a_store_that_exists_says_what_opens_it() {
    let probe = Probe::Ready;
    let by = |sources: &[&str]| store(sources);
    check("auto", &probe, &by(&["key-file"]), ("encrypted-file", [T, F, T, F], "implemented", None));
    check(
        "auto",
        &absent(),
        &by(&["secret-service", "passphrase"]),
        ("encrypted-file", [T, F, T, F], "implemented", None),
    );
    check("auto", &absent(), &by(&["tpm2"]), ("tpm2", [T, F, T, F], "implemented", None));
    assert_eq!(status("auto", &absent(), &by(&["tpm2"]))["rootKey"], "absent");
    check("keychain", &absent(), &by(&["secret-service"]), ("secret-service", [T, F, T, F], "implemented", None));
    assert_eq!(status("keychain", &absent(), &by(&["secret-service"]))["rootKey"], "absent");
    let other = by(&["passphrase"]);
    let reason = Some("was made with encrypted-file");
    check("tpm2", &probe, &other, ("encrypted-file", [T, T, T, T], "implemented", reason));
    assert_eq!(status("tpm2", &probe, &other)["writes"]["kind"], "refused");
    let both = by(&["passphrase", "tpm2"]);
    check("tpm2", &probe, &both, ("tpm2", [T, F, T, F], "implemented", None));
    check("file", &probe, &both, ("encrypted-file", [T, F, T, F], "implemented", None));
    check("vault9", &probe, &both, ("env", [F, F, F, T], "unsupported", Some("unsupported requested backend")));
    assert_eq!(status("auto", &probe, &by(&["hologram"]))["rootKey"], "broken");
}

#[test]
fn what_does_not_last_is_said() {
    let lasts = |requested: &str, sight: &Sight| {
        let status = status(requested, &Probe::Ready, sight);
        (status["persistent"].as_bool().unwrap(), status["warnings"].to_string())
    };
    assert!(lasts("file", &sight()).0 && lasts("tpm2", &sight()).0 && lasts("auto", &store(&["key-file"])).0);
    let (persistent, warnings) = lasts("keyutils", &store(&["keyutils"]));
    assert!(!persistent && warnings.contains("after a restart nothing opens the store"), "{warnings}");
    let (persistent, warnings) = lasts("keyutils", &sight());
    assert!(!persistent && warnings.contains("second slot"), "{warnings}");
    assert_eq!(lasts("keyutils", &store(&["keyutils", "passphrase"])), (true, "[]".to_owned()));
    assert!(!lasts("env", &sight()).0 && lasts("env", &store(&["passphrase"])).1.contains("memory of this process"));
    assert!(lasts("auto", &store(&["key-file"])).1.contains("whoever has the disk"));
    assert!(lasts("auto", &store(&["env"])).1.contains("from the environment"));
    let planned = Sight { key_source: Some("env:RINGFORT_SECRET_STORE_KEY".to_owned()), ..sight() };
    assert!(lasts("file", &planned).1.contains("from the environment"));
    assert_eq!(status("file", &Probe::Ready, &planned)["keySource"], "env:RINGFORT_SECRET_STORE_KEY");
    assert_eq!(status("env", &Probe::Ready, &planned)["keySource"], "none");
    assert_eq!(status("file", &Probe::Ready, &sight())["keySource"], "none");
}

/// The documentation's table of the matrix has these rows and no others.
#[test]
fn the_documentation_has_every_row() {
    let page = include_str!("../../../../docs/secrets.md");
    let mut expected = Vec::new();
    for row in MATRIX {
        let auto = row.requested == ["auto"];
        let when = match row.when {
            When::Works if auto => "one of them works and is unlocked",
            When::Fails if auto => "none of them does",
            When::Always => "always",
            When::Works => "it works or is locked",
            When::Fails => "it is absent, broken or slow",
            When::FailsAllowed => "it is absent, broken or slow, and `secrets.allow_fallback = true`",
        };
        let same = if auto { "the first that works" } else { "the requested one" };
        let active = row.active.map_or(same.to_owned(), |backend| format!("`{backend}`"));
        let requested: Vec<String> = row.requested.iter().map(|name| format!("`{name}`")).collect();
        let requested = requested.join(", ").replace("`(anything else)`", "anything else");
        expected.push(format!(
            "| {requested} | {when} | {active} | {} | {} | {} | `{}` | {} |",
            row.provider_implemented,
            row.encrypted_fallback,
            row.recognized,
            row.support.word(),
            row.fallback_applied
        ));
    }
    let table: Vec<&str> = page
        .lines()
        .skip_while(|line| !line.starts_with("| requested | when |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(table, expected, "{}", expected.join("\n"));
}

proptest! {
    #[test]
    fn every_request_has_one_consistent_answer(
        text in "\\PC{0,80}",
        word in prop::sample::select(vec!["env", "file", "auto", "keychain", "dpapi", "tpm2", "keyutils", ""]),
        found in 0_usize..5,
        sources in prop::option::of(prop::collection::vec(
            prop::sample::select(vec!["passphrase", "key-file", "env", "secret-service", "keyutils", "tpm2", "pkcs11", "?"]), 0..4)),
        allow_fallback: bool,
    ) {
        let probe = [Probe::Ready, locked(), absent(), broken(), slow()][found].clone();
        let sources = sources.as_deref();
        let sight = Sight { allow_fallback, ..sources.map_or_else(sight, store) };
        for requested in [text.as_str(), word] {
            let probes = |_: Backend| probe.clone();
            let status = classify(&Requested::parse(requested), &probes, &sight);
            prop_assert_eq!(status.fallback_applied, status.fallback_reason.is_some());
            prop_assert!(status.requested_backend.len() <= REQUESTED_MAX);
            prop_assert!(!status.encrypted_fallback || status.active_backend == Backend::EncryptedFile);
            prop_assert_eq!(status.requested_support == Support::Unsupported, !status.requested_recognized);
            if status.fallback_applied && !allow_fallback && status.requested_backend.to_lowercase() != "auto" {
                let refused = matches!(status.writes, Writes::Refused { .. });
                prop_assert!(refused, "nothing stands in unasked: {:?}", status);
            }
            prop_assert!(status.active_backend != Backend::Env || !status.persistent);
        }
    }
}
