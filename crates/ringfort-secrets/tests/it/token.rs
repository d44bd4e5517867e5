// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PKCS#11 backend against a real software token.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfort_secrets::backend::pkcs11::{TokenError, TokenKeys, TokenOptions, TokenSource, tokens};
use ringfort_secrets::keys::{KeyError, KeyKind, KeyProvider as _};
use ringfort_secrets::locked::Locked;
use ringfort_secrets::root::{RootKeyError, RootKeySource as _, SlotData, StoreId};

use crate::providers::{provider_suite, ring_suite};
use crate::softhsm::{SoftHsm, compile};

const STORE: StoreId = StoreId([7; 16]);

fn with_pin(options: TokenOptions, pin: &str) -> TokenOptions {
    TokenOptions { pin: Some(Arc::new(Locked::copy_of(pin.as_bytes()).unwrap())), ..options }
}

#[test]
fn a_root_key_is_made_opened_and_forgotten() {
    let name = "token::a_root_key_is_made_opened_and_forgotten";
    let Some(hsm) = SoftHsm::inside(name, &["one", "two"]) else { return };
    let seen = tokens(&hsm.options("one")).unwrap();
    assert_eq!(seen.iter().filter(|token| token.label == "one" && token.pin.is_empty()).count(), 1, "{seen:?}");
    let source = TokenSource::new(hsm.options("one"));
    let (slot, key) = source.create(STORE).unwrap();
    assert!(source.open(STORE, &slot).unwrap().equals(key.expose()));
    let (other_slot, other_key) = source.create(STORE).unwrap();
    assert!(!other_key.equals(key.expose()) && source.open(STORE, &other_slot).unwrap().equals(other_key.expose()));
    assert!(!source.open(StoreId([8; 16]), &slot).unwrap().equals(key.expose()), "each store has its own key");
    // The serial number in the slot finds the token, whatever else is there.
    let any = TokenOptions { label: None, ..hsm.options("one") };
    assert!(TokenSource::new(any.clone()).open(STORE, &slot).unwrap().equals(key.expose()));
    let error = TokenSource::new(any).create(STORE).unwrap_err();
    assert!(matches!(error, RootKeyError::Absent { .. }) && error.to_string().contains("several"), "{error}");
    source.forget(STORE, &slot).unwrap();
    source.forget(STORE, &slot).unwrap();
    let error = source.open(STORE, &slot).unwrap_err();
    assert!(matches!(error, RootKeyError::Wrong { .. }), "{error}");
    assert!(source.open(STORE, &other_slot).unwrap().equals(other_key.expose()), "only the one is gone");
}

#[test]
fn deny_other_tokens_other_pins_and_changed_slots() {
    let name = "token::deny_other_tokens_other_pins_and_changed_slots";
    let Some(hsm) = SoftHsm::inside(name, &["one", "two"]) else { return };
    let source = TokenSource::new(hsm.options("one"));
    let (slot, key) = source.create(STORE).unwrap();
    let wrong = |options: TokenOptions, slot: &SlotData| TokenSource::new(options).open(STORE, slot).unwrap_err();
    let error = wrong(hsm.options("two"), &slot);
    assert!(matches!(error, RootKeyError::Wrong { .. }) && error.to_string().contains("another token"), "{error}");
    let error = wrong(hsm.options("three"), &slot);
    assert!(matches!(error, RootKeyError::Absent { .. }) && error.to_string().contains("`two`"), "{error}");
    let error = wrong(with_pin(hsm.options("one"), "111111"), &slot);
    assert!(matches!(error, RootKeyError::WrongPin { .. }) && error.to_string().contains("PIN"), "{error}");
    let error = wrong(TokenOptions { pin: None, ..hsm.options("one") }, &slot);
    assert!(matches!(error, RootKeyError::Locked { .. }), "{error}");
    let changed = |path: &str, value: serde_json::Value| {
        let mut changed = slot.clone();
        *changed.data.pointer_mut(path).unwrap() = value;
        changed
    };
    for (name, slot) in [
        ("another version", changed("/version", 2.into())),
        ("another mechanism", changed("/mechanism", "aes".into())),
        ("another id", changed("/id/0", (slot.data["id"][0].as_u64().unwrap() ^ 1).into())),
        ("another source", SlotData { source: "tpm2".to_owned(), data: slot.data.clone() }),
        ("no data", SlotData { source: "pkcs11".to_owned(), data: serde_json::Value::Null }),
    ] {
        let error = source.open(STORE, &slot).unwrap_err();
        assert!(matches!(error, RootKeyError::Wrong { .. }), "{name}: {error}");
    }
    let salted = changed("/salt/0", (slot.data["salt"][0].as_u64().unwrap() ^ 1).into());
    assert!(!source.open(STORE, &salted).unwrap().equals(key.expose()), "another salt is another key");
    assert!(source.open(STORE, &slot).unwrap().equals(key.expose()));
}

#[test]
fn keys_sign_derive_rotate_and_are_destroyed() {
    let name = "token::keys_sign_derive_rotate_and_are_destroyed";
    let Some(hsm) = SoftHsm::inside(name, &["one"]) else { return };
    let keys = TokenKeys::new(hsm.options("one"));
    let before = hsm.objects();
    provider_suite(&keys, &[KeyKind::EcdsaP256, KeyKind::HmacSha256]);
    assert_eq!(hsm.objects(), before, "what the suite destroyed is gone");
    ring_suite(Arc::new(TokenKeys::new(hsm.options("one"))), KeyKind::EcdsaP256);
    assert_eq!(hsm.objects(), before + 2, "the two halves of the version that is left");
    ring_suite(Arc::new(TokenKeys::new(hsm.options("one"))), KeyKind::HmacSha256);
    assert_eq!(hsm.objects(), before + 3);
    for kind in [KeyKind::EcdsaP256, KeyKind::HmacSha256] {
        let key = keys.generate(kind, &"ä".repeat(100)).unwrap();
        let made = keys.sign(&key, b"an entry").unwrap();
        keys.destroy(&key).unwrap();
        assert!(keys.sign(&key, b"an entry").is_err(), "a key that was destroyed signs no more");
        if key.public.is_some() {
            assert!(keys.verify(&key, b"an entry", &made).unwrap(), "its public half still verifies");
        }
    }
}

#[test]
fn deny_a_pin_that_was_refused_and_every_pin_on_the_last_try() {
    let name = "token::deny_a_pin_that_was_refused_and_every_pin_on_the_last_try";
    let Some(hsm) = SoftHsm::inside(name, &["one"]) else { return };
    let good = TokenSource::new(hsm.shimmed("one"));
    let (slot, key) = good.create(STORE).unwrap();
    assert_eq!(hsm.asked("login"), 1);
    let bad = TokenSource::new(with_pin(hsm.shimmed("one"), "111111"));
    for round in 0..3 {
        let error = bad.open(STORE, &slot).unwrap_err();
        assert!(matches!(error, RootKeyError::WrongPin { .. }), "{error}");
        assert_eq!(hsm.asked("login"), usize::from(round == 0), "a wrong PIN is sent once");
    }
    let flag = |value: u64| std::fs::write(hsm.file("flags"), value.to_string()).unwrap();
    for (flags, logins, word) in [(0x2_0000, 0, "none is sent"), (0x4_0000, 0, "SO PIN"), (0x1_0000, 1, "")] {
        flag(flags);
        let result = good.open(STORE, &slot);
        assert_eq!(hsm.asked("login"), logins, "{flags:x}");
        match result {
            Ok(opened) => assert!(word.is_empty() && opened.equals(key.expose())),
            Err(error) => {
                assert!(matches!(error, RootKeyError::Locked { .. }) && error.to_string().contains(word), "{error}");
            }
        }
    }
    let seen = tokens(&hsm.shimmed("one")).unwrap();
    assert_eq!(seen[0].pin, "few tries left");
    let error = TokenSource::new(with_pin(hsm.shimmed("one"), "222222")).open(STORE, &slot).unwrap_err();
    assert!(error.to_string().contains("few tries left"), "{error}");
}

#[test]
fn a_token_that_is_removed_or_slow_or_lies_is_named_as_such() {
    let name = "token::a_token_that_is_removed_or_slow_or_lies_is_named_as_such";
    let Some(hsm) = SoftHsm::inside(name, &["one"]) else { return };
    let source = TokenSource::new(hsm.shimmed("one"));
    let keys = TokenKeys::new(hsm.shimmed("one"));
    let (slot, key) = source.create(STORE).unwrap();
    let signing = keys.generate(KeyKind::EcdsaP256, "x").unwrap();
    let during = |file: &str, check: &dyn Fn()| {
        std::fs::write(hsm.file(file), "1").unwrap();
        check();
        std::fs::remove_file(hsm.file(file)).unwrap();
    };
    for file in ["removed", "gone"] {
        during(file, &|| {
            let error = source.open(STORE, &slot).unwrap_err();
            assert!(matches!(error, RootKeyError::Absent { .. }), "{file}: {error}");
            assert!(matches!(keys.sign(&signing, b"m"), Err(KeyError::Absent { .. })), "{file}");
        });
    }
    during("flip", &|| {
        assert!(matches!(keys.sign(&signing, b"m"), Err(KeyError::Broken { .. })), "a signature that does not verify");
    });
    assert!(source.open(STORE, &slot).unwrap().equals(key.expose()), "and then it works again");
    // Slow: the caller has its answer in time, what waits behind it too, and afterwards all is well.
    std::fs::write(hsm.file("slow"), "2").unwrap();
    let hurried = TokenSource::new(TokenOptions { timeout: Duration::from_millis(300), ..hsm.shimmed("one") });
    hsm.asked("sign");
    for _ in 0..3 {
        let began = Instant::now();
        assert!(matches!(hurried.open(STORE, &slot), Err(RootKeyError::Slow { .. })));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }
    std::fs::remove_file(hsm.file("slow")).unwrap();
    assert!(source.open(STORE, &slot).unwrap().equals(key.expose()));
    assert_eq!(hsm.asked("sign"), 2, "work that nobody waits for is not begun: the first that hung, and the last");
    // A key that is made too late does not stay behind.
    std::fs::write(hsm.file("late"), "1").unwrap();
    assert!(matches!(hurried.create(STORE), Err(RootKeyError::Slow { .. })));
    std::fs::remove_file(hsm.file("late")).unwrap();
    assert!(source.open(STORE, &slot).unwrap().equals(key.expose()));
    // The root key, the two halves of the signing key, and the token's own record.
    assert_eq!(hsm.objects(), 4);
}

#[test]
fn deny_a_key_that_can_be_read_out() {
    let Some(hsm) = SoftHsm::inside("token::deny_a_key_that_can_be_read_out", &["one"]) else { return };
    let source = TokenSource::new(hsm.shimmed("one"));
    let keys = TokenKeys::new(hsm.shimmed("one"));
    let before = hsm.objects();
    for open in ["1", "2", "3"] {
        std::fs::write(hsm.file("open"), open).unwrap();
        let error = source.create(STORE).unwrap_err();
        assert!(
            matches!(error, RootKeyError::Wrong { .. }) && error.to_string().contains("read out"),
            "{open}: {error}"
        );
        assert!(keys.generate(KeyKind::HmacSha256, "x").is_err(), "{open}");
        assert_eq!(hsm.objects(), before, "nothing of it stays");
    }
    std::fs::remove_file(hsm.file("open")).unwrap();
    source.create(STORE).unwrap();
    assert_eq!(hsm.objects(), before + 1);
}

#[test]
fn a_module_that_is_absent_or_broken_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, source: &str| {
        let (file, library) = (folder.path().join(format!("{name}.c")), folder.path().join(format!("{name}.so")));
        std::fs::write(&file, source).unwrap();
        compile(&file, &library);
        library
    };
    let text = folder.path().join("text.so");
    std::fs::write(&text, "no library").unwrap();
    let ask = |module: std::path::PathBuf| {
        let timeout = Duration::from_millis(1500);
        tokens(&TokenOptions { module, label: None, serial: None, pin: None, timeout }).unwrap_err()
    };
    assert!(matches!(ask("/no/such/module.so".into()), TokenError::Absent(_)));
    assert!(matches!(ask("module.so".into()), TokenError::Absent(_)));
    assert!(matches!(ask(text), TokenError::Broken(_)));
    let error = ask(made("empty", "int nothing;"));
    assert!(matches!(&error, TokenError::Broken(message) if message.contains("C_GetFunctionList")), "{error}");
    let failing = "unsigned long C_GetFunctionList(void **list) { *list = 0; return 5; }";
    assert!(matches!(ask(made("failing", failing)), TokenError::Broken(_)));
    let hanging =
        "#include <unistd.h>\nunsigned long C_GetFunctionList(void **list) { sleep(5); *list = 0; return 5; }";
    assert!(matches!(ask(made("hanging", hanging)), TokenError::Slow { .. }));
}
