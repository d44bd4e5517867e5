// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TPM backend against a real software TPM.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail as tests do")]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ringfort_core::clock::Clock as _;
use ringfort_secrets::backend::tpm2::{
    TpmAnchor, TpmCounter, TpmCounterSlot, TpmDevice, TpmError, TpmKeys, TpmOptions, TpmSource, usable,
};
use ringfort_secrets::keys::{KeyError, KeyHandle, KeyKind, KeyProvider as _};
use ringfort_secrets::locked::Locked;
use ringfort_secrets::root::{RootKeyError, RootKeySource as _, SlotData, StoreId};
use ringfort_secrets::store::anchor::Anchor;
use ringfort_secrets::store::{Change, Fault, Options, StoreError, Vault};

use crate::providers::{provider_suite, ring_suite};
use crate::support::Noon;
use crate::swtpm::{SoftTpm, exchange};

const STORE: StoreId = StoreId([7; 16]);

fn source(tpm: &SoftTpm, pcrs: &[u8], pin: Option<&str>) -> TpmSource {
    TpmSource::new(tpm.options(), pcrs.to_vec(), pin.map(|pin| Locked::copy_of(pin.as_bytes()).unwrap()))
}

#[test]
fn a_root_key_is_sealed_and_opened_again_after_a_restart() {
    let Some(mut tpm) = SoftTpm::start() else { return };
    usable(&tpm.options()).unwrap();
    for (pcrs, pin) in [(&[][..], None), (&[0, 7, 23][..], None), (&[][..], Some("1234")), (&[7][..], Some("1234"))] {
        let (slot, key) = source(&tpm, pcrs, pin).create(STORE).unwrap();
        assert_eq!((slot.source.as_str(), key.len()), ("tpm2", 32));
        assert!(source(&tpm, &[], pin).open(STORE, &slot).unwrap().equals(key.expose()));
        tpm.restart();
        assert!(source(&tpm, &[], pin).open(STORE, &slot).unwrap().equals(key.expose()), "{pcrs:?} {pin:?}");
        assert_eq!(tpm.handles(), 0, "nothing stays in the TPM");
    }
}

#[test]
fn deny_a_key_in_another_state_of_the_machine() {
    let Some(mut tpm) = SoftTpm::start() else { return };
    let sealing = source(&tpm, &[7, 16], None);
    let (slot, key) = sealing.create(STORE).unwrap();
    tpm.extend(8, [1; 32]);
    assert!(sealing.open(STORE, &slot).unwrap().equals(key.expose()), "PCR 8 is not among those chosen");
    tpm.extend(16, [1; 32]);
    let error = sealing.open(STORE, &slot).unwrap_err();
    let RootKeyError::Wrong { message, .. } = &error else { panic!("{error}") };
    assert!(message.contains("PCR 16 differs"), "{message}");
    assert_eq!(tpm.handles(), 0, "nothing stays in the TPM after a refusal");
    tpm.restart();
    assert!(source(&tpm, &[], None).open(STORE, &slot).unwrap().equals(key.expose()), "the state is back");
}

#[test]
fn deny_a_key_to_another_tpm() {
    let (Some(one), Some(other)) = (SoftTpm::start(), SoftTpm::start()) else { return };
    let (slot, _) = source(&one, &[], None).create(STORE).unwrap();
    let error = source(&other, &[], None).open(STORE, &slot).unwrap_err();
    assert!(matches!(error, RootKeyError::Wrong { .. }) && error.to_string().contains("another TPM"), "{error}");
}

#[test]
fn deny_a_key_to_another_pin_and_every_pin_after_too_many() {
    let Some(tpm) = SoftTpm::start() else { return };
    let (slot, key) = source(&tpm, &[], Some("1234")).create(STORE).unwrap();
    let error = source(&tpm, &[], None).open(STORE, &slot).unwrap_err();
    assert!(matches!(error, RootKeyError::Locked { .. }), "no PIN: {error}");
    let error = source(&tpm, &[], Some("1234")).open(StoreId([8; 16]), &slot).unwrap_err();
    assert!(matches!(error, RootKeyError::WrongPin { .. }), "the PIN of another store: {error}");
    let mut wrong = 1;
    let locked = loop {
        match source(&tpm, &[], Some("1235")).open(STORE, &slot).unwrap_err() {
            RootKeyError::WrongPin { .. } => wrong += 1,
            other => break other,
        }
        assert!(wrong < 50, "the TPM never locks");
    };
    assert!(matches!(locked, RootKeyError::Locked { .. }), "{locked}");
    let error = source(&tpm, &[], Some("1234")).open(STORE, &slot).unwrap_err();
    assert!(matches!(error, RootKeyError::Locked { .. }), "the right PIN, too late: {error}");
    assert_eq!((tpm.handles(), key.len()), (0, 32));
}

#[test]
fn deny_slots_that_were_changed() {
    let Some(tpm) = SoftTpm::start() else { return };
    let opening = source(&tpm, &[7], None);
    let (slot, _) = opening.create(STORE).unwrap();
    let changed = |path: &str, value: serde_json::Value| {
        let mut changed = slot.clone();
        *changed.data.pointer_mut(path).unwrap() = value;
        changed
    };
    let (other, _) = opening.create(STORE).unwrap();
    let private = |slot: &SlotData| slot.data.pointer("/blob/private").unwrap().clone();
    let mut flipped = private(&slot).as_str().unwrap().to_owned();
    flipped.replace_range(40..41, if &flipped[40..41] == "A" { "B" } else { "A" });
    for (name, slot) in [
        ("another version", changed("/version", 2.into())),
        ("the private part of another key", changed("/blob/private", private(&other))),
        ("a flipped bit", changed("/blob/private", flipped.into())),
        ("another storage key", changed("/blob/parent", "000b00".into())),
        ("no PCR", changed("/pcrs", serde_json::json!([]))),
        ("another PCR", changed("/pcrs/0/index", 8.into())),
        ("no such PCR", changed("/pcrs/0/index", 31.into())),
        ("a huge blob", changed("/blob/private", "A".repeat(2000).into())),
        ("another source", SlotData { source: "pkcs11".to_owned(), data: slot.data.clone() }),
        ("no data", SlotData { source: "tpm2".to_owned(), data: serde_json::Value::Null }),
    ] {
        let error = opening.open(STORE, &slot).unwrap_err();
        assert!(matches!(error, RootKeyError::Wrong { .. } | RootKeyError::Broken { .. }), "{name}: {error}");
        assert_eq!(tpm.handles(), 0, "{name}");
    }
    assert!(matches!(source(&tpm, &[24], None).create(STORE), Err(RootKeyError::Broken { .. })), "no PCR 24");
}

/// Objects and sessions of programs that were killed: one after the other takes all the room there is, at whichever point
/// of the operation.
#[test]
fn what_others_left_in_the_tpm_is_cleared_away() {
    let Some(tpm) = SoftTpm::start() else { return };
    let sealing = source(&tpm, &[7], None);
    let (slot, key) = sealing.create(STORE).unwrap();
    let sequence = [0x80, 1, 0, 0, 0, 14, 0, 0, 0x01, 0x86, 0, 0, 0, 0x0B];
    let mut session = vec![0x80, 1, 0, 0, 0, 43, 0, 0, 0x01, 0x76, 0x40, 0, 0, 7, 0x40, 0, 0, 7, 0, 16];
    session.extend([1; 16]);
    session.extend([0, 0, 1, 0, 0x10, 0, 0x0B]);
    for (name, command, full) in [("sequences", &sequence[..], 0x902), ("policy sessions", &session, 0x903)] {
        for left in 1..=3 {
            assert_eq!((0..left).map(|_| tpm.raw(command)).collect::<Vec<_>>(), vec![0; left], "{name}");
            if left == 3 {
                assert_eq!(tpm.raw(command), full, "{name}: there is no room left");
            }
            assert!(sealing.open(STORE, &slot).unwrap().equals(key.expose()), "{left} {name}");
            // What did not stand in the way stays.
            assert!(tpm.handles() < 3, "{left} {name}: {}", tpm.handles());
            tpm.clear();
        }
    }
}

#[test]
fn a_tpm_that_is_absent_broken_or_slow_is_named_as_such() {
    let options = |device| TpmOptions { device, timeout: Duration::from_millis(300), owner_password: None };
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let file = tempfile::NamedTempFile::new().unwrap();
    for device in [
        TpmDevice::Loopback(closed),
        TpmDevice::File("/dev/no-such-tpm".into()),
        TpmDevice::File(file.path().to_owned()),
        TpmDevice::File("/proc/self".into()),
    ] {
        let error = usable(&options(device.clone())).unwrap_err();
        assert!(matches!(error, RootKeyError::Absent { .. } | RootKeyError::Broken { .. }), "{device:?}: {error}");
    }
    let silent = Fake::start(|_| Vec::new());
    let began = Instant::now();
    assert!(matches!(usable(&options(silent.device())), Err(RootKeyError::Slow { .. })));
    assert!(began.elapsed() < Duration::from_secs(5), "the timeout holds");
    for (name, response) in [
        ("noise", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        ("no length", vec![0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("a huge length", vec![0x80, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]),
        ("success without content", vec![0x80, 2, 0, 0, 0, 10, 0, 0, 0, 0]),
        ("failure mode", vec![0x80, 1, 0, 0, 0, 10, 0, 0, 1, 1]),
        ("another sort", vec![0x80, 1, 0, 0, 0, 14, 0, 0, 0, 0, 0x80, 0, 0, 0]),
    ] {
        let fake = Fake::start(move |_| response.clone());
        let error = usable(&options(fake.device())).unwrap_err();
        assert!(matches!(error, RootKeyError::Broken { .. }), "{name}: {error}");
    }
    let busy = Fake::start(|_| vec![0x80, 1, 0, 0, 0, 10, 0, 0, 9, 0x22]);
    assert!(matches!(usable(&options(busy.device())), Err(RootKeyError::Slow { .. })), "busy for ever");
}

/// Somebody on the bus who changes one byte of one response, wherever it is: the key that comes out is the right one or
/// none.
#[test]
fn deny_whatever_is_changed_on_the_bus() {
    let Some(tpm) = SoftTpm::start() else { return };
    let (slot, key) = source(&tpm, &[], None).create(STORE).unwrap();
    let lengths = Arc::new(Mutex::new(Vec::new()));
    let open = |change: Option<(usize, usize)>| {
        let (port, seen, count) = (tpm.port(), Arc::clone(&lengths), AtomicUsize::new(0));
        let bus = Fake::start(move |command| {
            let mut response = exchange(port, command);
            let number = count.fetch_add(1, Ordering::SeqCst);
            match change {
                None => seen.lock().unwrap().push((u16::from_be_bytes([command[8], command[9]]), response.len())),
                Some((at, byte)) if at == number => response[byte] ^= 0x10,
                Some(_) => {}
            }
            response
        });
        let options = TpmOptions { device: bus.device(), timeout: Duration::from_secs(2), owner_password: None };
        TpmSource::new(options, Vec::new(), None).open(STORE, &slot)
    };
    assert!(open(None).unwrap().equals(key.expose()));
    let responses = lengths.lock().unwrap().clone();
    assert_eq!(
        responses.iter().map(|(code, _)| *code).collect::<Vec<_>>(),
        [0x131, 0x176, 0x157, 0x15E, 0x165, 0x165, 0x165]
    );
    let mut refused = 0;
    for (at, (code, length)) in responses.iter().enumerate() {
        // Lengths in the header would only make the bus wait.
        for byte in (0..*length).filter(|byte| !(2..6).contains(byte)).step_by(3) {
            match open(Some((at, byte))) {
                Ok(opened) => {
                    assert!(opened.equals(key.expose()), "response {at} (0x{code:x}), byte {byte}: another key")
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 100, "only {refused} changes were seen");
}

#[test]
fn the_key_is_not_seen_on_the_bus() {
    let Some(tpm) = SoftTpm::start() else { return };
    let traffic = Arc::new(Mutex::new(Vec::new()));
    let (port, seen) = (tpm.port(), Arc::clone(&traffic));
    let bus = Fake::start(move |command| {
        let response = exchange(port, command);
        seen.lock().unwrap().extend([command, &response].concat());
        response
    });
    let options = TpmOptions { device: bus.device(), timeout: Duration::from_secs(5), owner_password: None };
    let pin = Locked::copy_of(b"a pin that is seen nowhere").unwrap();
    let watched = TpmSource::new(options, vec![7], Some(pin));
    let (slot, key) = watched.create(STORE).unwrap();
    assert!(watched.open(STORE, &slot).unwrap().equals(key.expose()));
    let traffic = traffic.lock().unwrap();
    let contains = |needle: &[u8]| traffic.windows(needle.len()).any(|window| window == needle);
    assert!(traffic.len() > 1000 && contains(&[0x80, 0x02]), "the bus is watched");
    assert!(
        !contains(&key.expose()[..8]) && !contains(b"a pin that"),
        "the key or the PIN crossed the bus in the clear"
    );
}

#[test]
fn keys_sign_authenticate_derive_and_rotate() {
    let Some(mut tpm) = SoftTpm::start() else { return };
    let keys = TpmKeys::new(tpm.options());
    provider_suite(&keys, &[KeyKind::EcdsaP256, KeyKind::HmacSha256]);
    ring_suite(Arc::new(keys), KeyKind::EcdsaP256);
    ring_suite(Arc::new(TpmKeys::new(tpm.options())), KeyKind::HmacSha256);
    assert_eq!(tpm.handles(), 0);
    let keys = TpmKeys::new(tpm.options());
    let (signing, mac) =
        (keys.generate(KeyKind::EcdsaP256, "x").unwrap(), keys.generate(KeyKind::HmacSha256, "x").unwrap());
    let derived = keys.derive(&mac, b"a").unwrap();
    tpm.restart();
    let keys = TpmKeys::new(tpm.options());
    assert!(keys.verify(&signing, b"m", &keys.sign(&signing, b"m").unwrap()).unwrap(), "after a restart");
    assert!(keys.derive(&mac, b"a").unwrap().equals(derived.expose()));
    keys.destroy(&mac).unwrap();
}

#[test]
fn deny_keys_of_another_tpm_and_messages_that_would_be_derivations() {
    let (Some(one), Some(other)) = (SoftTpm::start(), SoftTpm::start()) else { return };
    let (here, there) = (TpmKeys::new(one.options()), TpmKeys::new(other.options()));
    let key = here.generate(KeyKind::HmacSha256, "x").unwrap();
    let error = there.sign(&key, b"m").unwrap_err();
    assert!(error.to_string().contains("another TPM"), "{error}");
    assert!(matches!(here.sign(&key, b"ringfort derive v1\0trail"), Err(KeyError::Broken { .. })));
    let broken = KeyHandle { kind: KeyKind::HmacSha256, public: None, private: Locked::copy_of(b"{}").unwrap() };
    assert!(matches!(here.sign(&broken, b"m"), Err(KeyError::Broken { .. })));
    // A MAC key that is called a signing key, and the other way round.
    let renamed = KeyHandle { kind: KeyKind::EcdsaP256, public: None, private: key.private };
    assert!(here.sign(&renamed, b"m").is_err());
    assert_eq!((one.handles(), other.handles()), (0, 0));
}

fn bound(_: u64) -> [u8; 32] {
    [5; 32]
}

#[test]
fn a_counter_only_goes_up() {
    let Some(mut tpm) = SoftTpm::start() else { return };
    let to = bound(0);
    let counter = TpmCounter::create(tpm.options(), bound).unwrap();
    let slot: TpmCounterSlot = serde_json::from_str(&serde_json::to_string(counter.slot()).unwrap()).unwrap();
    let first = counter.first();
    assert_eq!(counter.read(&to).unwrap(), first);
    assert_eq!((counter.raise(&to, first + 3).unwrap(), counter.read(&to).unwrap()), (first + 3, first + 3));
    assert_eq!(counter.raise(&to, first).unwrap(), first + 3, "it never goes down");
    assert!(matches!(counter.raise(&to, first + 1000), Err(TpmError::Choice(_))), "too far");
    tpm.restart();
    let again = TpmCounter::open(tpm.options(), slot.clone()).unwrap();
    assert_eq!(again.read(&to).unwrap(), first + 3, "a restart takes nothing back");
    assert_eq!(again.raise(&to, first + 4).unwrap(), first + 4);
    again.remove().unwrap();
    // One that is made again never has a value that was there before.
    let new = TpmCounter::create(tpm.options(), bound).unwrap();
    assert!(new.first() > first + 4, "{}", new.first());
    let gone = TpmCounter::open(tpm.options(), slot).unwrap();
    assert!(matches!(gone.read(&to), Err(TpmError::AnotherTpm)), "a counter that was removed");
    gone.remove().unwrap();
    assert_eq!(tpm.handles(), 0);
}

#[test]
fn deny_a_counter_with_a_changed_slot() {
    let (Some(tpm), Some(other)) = (SoftTpm::start(), SoftTpm::start()) else { return };
    let counter = TpmCounter::create(tpm.options(), bound).unwrap();
    let kept = serde_json::to_value(counter.slot()).unwrap();
    let changed = |field: &str, value: serde_json::Value| {
        let mut changed = kept.clone();
        changed[field] = value;
        serde_json::from_value::<TpmCounterSlot>(changed).unwrap()
    };
    let mut auth = kept["auth"].clone();
    auth[0] = (auth[0].as_u64().unwrap() ^ 1).into();
    for (name, slot) in [
        ("another name", changed("name", "000b".into())),
        ("another authorization", changed("auth", auth)),
        ("another index", changed("index", 0x0180_0001.into())),
    ] {
        let counter = TpmCounter::open(tpm.options(), slot).unwrap();
        assert!(counter.raise(&bound(0), counter.first() + 1).is_err(), "{name}");
    }
    assert!(TpmCounter::open(tpm.options(), changed("version", 9.into())).is_err());
    assert!(TpmCounter::open(tpm.options(), changed("index", 0x0100_0000.into())).is_err(), "not the owner's to give");
    assert!(matches!(counter.read(&[6; 32]), Err(TpmError::Kept(_))), "bound to something else");
    let moved = TpmCounter::open(other.options(), counter.slot().clone()).unwrap();
    assert!(matches!(moved.read(&bound(0)), Err(TpmError::AnotherTpm)));
}

#[test]
fn an_anchor_follows_the_generations_of_one_store() {
    let Some(mut tpm) = SoftTpm::start() else { return };
    let anchor = TpmAnchor::create(tpm.options(), STORE, 40).unwrap();
    assert_eq!(anchor.latest(&STORE).unwrap(), Some(40));
    anchor.advance(&STORE, 41).unwrap();
    anchor.advance(&STORE, 41).unwrap();
    anchor.advance(&STORE, 44).unwrap();
    let kept = serde_json::to_value(anchor.slot()).unwrap();
    tpm.restart();
    let open = |kept: &serde_json::Value| TpmAnchor::open(tpm.options(), serde_json::from_value(kept.clone()).unwrap());
    let again = open(&kept).unwrap();
    assert_eq!(again.latest(&STORE).unwrap(), Some(44));
    again.advance(&STORE, 43).unwrap();
    assert_eq!(again.latest(&STORE).unwrap(), Some(44), "it does not go back");
    assert!(again.latest(&StoreId([8; 16])).is_err() && again.advance(&StoreId([8; 16]), 50).is_err(), "another store");
    assert!(again.advance(&STORE, 39).is_err() && again.advance(&STORE, u64::MAX).is_err());
    // What is kept can be changed by whoever writes files; the TPM knows better.
    for (path, value) in
        [("/generation", 1_u64), ("/generation", 41), ("/counter/first", 0), ("/counter/index", 0x0180_0001)]
    {
        let mut forged = kept.clone();
        *forged.pointer_mut(path).unwrap() = value.into();
        assert!(open(&forged).unwrap().latest(&STORE).is_err(), "{path} {value}");
    }
    again.remove().unwrap();
    assert!(open(&kept).unwrap().latest(&STORE).is_err(), "removed");
}

/// The whole state folder is put back as it was, with the record beside the store: only the TPM shows it.
#[test]
fn deny_an_older_store_with_its_record_when_the_tpm_knows_a_newer_one() {
    let Some(tpm) = SoftTpm::start() else { return };
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("secrets");
    let opening = source(&tpm, &[7], None);
    let (id, now) = ("a.key".parse().unwrap(), Noon.now());
    let mut vault = Vault::create(&folder, &opening, &Noon).unwrap();
    vault
        .follow(&|store, generation| Ok(Arc::new(TpmAnchor::create(tpm.options(), store, generation).unwrap())))
        .unwrap();
    let kept = vault.header().anchor.clone().unwrap();
    drop(vault);
    let named = || TpmAnchor::named(tpm.options(), &kept).unwrap();
    let options = || Options { anchor: Some(Arc::new(named())), ..Options::default() };
    let mut vault = Vault::open_as(&folder, &opening, options()).unwrap();
    vault.set(&id, b"old", &Change::at(now)).unwrap();
    let before = files_below(state.path());
    vault.set(&id, b"new", &Change::at(now)).unwrap();
    drop(vault);
    assert!(Vault::open_as(&folder, &opening, options()).unwrap().get(&id, now).unwrap().value.equals(b"new"));
    for (path, bytes) in &before {
        std::fs::write(path, bytes).unwrap();
    }
    let error = Vault::open_as(&folder, &opening, options()).unwrap_err();
    assert!(matches!(error, StoreError::Fault { fault: Fault::Older { .. }, .. }), "{error}");
    let error = Vault::open(&folder, &opening).unwrap_err();
    assert!(matches!(&error, StoreError::Anchor { .. }), "the store says that it is followed: {error}");
    // A person takes it back: the same counter goes on, and what was put back is refused as before.
    let vault = Vault::accept_generation(&folder, &opening, options()).unwrap();
    assert_eq!(named().latest(&vault.id()).unwrap(), Some(vault.generation()));
    assert!(Vault::open_as(&folder, &opening, options()).unwrap().get(&id, now).unwrap().value.equals(b"old"));
    for (path, bytes) in &before {
        std::fs::write(path, bytes).unwrap();
    }
    let error = Vault::open_as(&folder, &opening, options()).unwrap_err();
    assert!(matches!(error, StoreError::Fault { fault: Fault::Older { .. }, .. }), "{error}");
}

/// The counter of a process that dies before it has counted.
#[derive(Debug)]
struct Forgetful(TpmAnchor);

impl Anchor for Forgetful {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn latest(&self, store: &StoreId) -> Result<Option<u64>, String> {
        self.0.latest(store)
    }

    fn advance(&self, _: &StoreId, _: u64) -> Result<(), String> {
        Err("killed".to_owned())
    }

    fn kept(&self) -> Option<SlotData> {
        self.0.kept()
    }
}

#[test]
fn a_counter_that_fell_behind_catches_up_when_the_store_is_opened() {
    let Some(tpm) = SoftTpm::start() else { return };
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("secrets");
    let opening = source(&tpm, &[], None);
    let mut vault = Vault::create(&folder, &opening, &Noon).unwrap();
    vault
        .follow(&|store, generation| Ok(Arc::new(TpmAnchor::create(tpm.options(), store, generation).unwrap())))
        .unwrap();
    let kept = vault.header().anchor.clone().unwrap();
    let named = || TpmAnchor::named(tpm.options(), &kept).unwrap();
    let options = |anchor: Arc<dyn Anchor>| Options { anchor: Some(anchor), ..Options::default() };
    let before = (files_below(state.path()), vault.generation());
    drop(vault);
    let mut dying = Vault::open_as(&folder, &opening, options(Arc::new(Forgetful(named())))).unwrap();
    let error = dying.set(&"a.key".parse().unwrap(), b"new", &Change::at(Noon.now())).unwrap_err();
    assert!(matches!(error, StoreError::AnchorBehind { .. }), "{error}");
    assert_eq!(named().latest(&dying.id()).unwrap(), Some(before.1), "it is one behind");
    drop(dying);
    // Many that see it behind at once count no further than the file.
    std::thread::scope(|scope| {
        let open = || Vault::open_as(&folder, &opening, options(Arc::new(named()))).map(drop);
        let many: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        many.into_iter().for_each(|one| one.join().unwrap().unwrap());
    });
    let vault = Vault::open_as(&folder, &opening, options(Arc::new(named()))).unwrap();
    assert_eq!(named().latest(&vault.id()).unwrap(), Some(vault.generation()));
    drop(vault);
    for (path, bytes) in &before.0 {
        std::fs::write(path, bytes).unwrap();
    }
    let error = Vault::open_as(&folder, &opening, options(Arc::new(named()))).unwrap_err();
    assert!(matches!(error, StoreError::Fault { fault: Fault::Older { .. }, .. }), "{error}");
}

/// A counter that was let go while it was out of reach must not prove an old store later.
#[test]
fn deny_an_older_store_whose_counter_was_left_behind() {
    let Some(tpm) = SoftTpm::start() else { return };
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().join("secrets");
    let opening = source(&tpm, &[], None);
    let make = |store, generation| Ok(Arc::new(TpmAnchor::create(tpm.options(), store, generation).unwrap()) as _);
    let options = |kept: &SlotData| {
        let anchor = TpmAnchor::named(tpm.options(), kept).unwrap();
        Options { anchor: Some(Arc::new(anchor)), ..Options::default() }
    };
    let mut vault = Vault::create(&folder, &opening, &Noon).unwrap();
    vault.follow(&make).unwrap();
    let (kept, before) = (vault.header().anchor.clone().unwrap(), files_below(state.path()));
    drop(vault);
    let other = TpmAnchor::create(tpm.options(), StoreId([8; 16]), 1).unwrap();
    // Accepted without its counter, which stays in the TPM; the next one finds it.
    let mut vault = Vault::accept_generation(&folder, &opening, Options::default()).unwrap();
    assert_eq!(vault.header().anchor, None);
    vault.follow(&make).unwrap();
    let now = vault.header().anchor.clone().unwrap();
    drop(vault);
    Vault::open_as(&folder, &opening, options(&now)).unwrap();
    for (path, bytes) in &before {
        std::fs::write(path, bytes).unwrap();
    }
    assert!(Vault::open_as(&folder, &opening, options(&now)).is_err(), "not the one that it names");
    let error = Vault::open_as(&folder, &opening, options(&kept)).unwrap_err();
    assert!(matches!(&error, StoreError::Anchor { .. }), "its counter is gone: {error}");
    assert_eq!(other.latest(&StoreId([8; 16])).unwrap(), Some(1), "that of another store is left alone");
}

fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(
            |path| if path.is_dir() { files_below(&path) } else { vec![(path.clone(), std::fs::read(path).unwrap())] },
        )
        .collect()
}

#[test]
fn a_tpm_whose_owner_has_a_password_needs_it() {
    let Some(tpm) = SoftTpm::start() else { return };
    tpm.own(b"owner's own");
    let with =
        |password: &[u8]| TpmOptions { owner_password: Some(Locked::copy_of(password).unwrap()), ..tpm.options() };
    for options in [tpm.options(), with(b""), with(b"owner's")] {
        let error = usable(&options).unwrap_err();
        assert!(matches!(error, RootKeyError::Locked { .. }) && error.to_string().contains("owner"), "{error}");
    }
    let source = TpmSource::new(with(b"owner's own"), vec![7], None);
    let (slot, key) = source.create(STORE).unwrap();
    assert!(source.open(STORE, &slot).unwrap().equals(key.expose()));
    let counter = TpmCounter::create(with(b"owner's own"), bound).unwrap();
    assert_eq!(counter.read(&bound(0)).unwrap(), counter.first());
    counter.remove().unwrap();
    assert_eq!(tpm.handles(), 0);
}

/// Something that listens like a software TPM and answers each command as it is told; without an answer it stays silent.
struct Fake {
    port: u16,
}

impl Fake {
    fn start(answer: impl Fn(&[u8]) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            // One connection after the other, as with the real one.
            while let Ok((mut socket, _)) = listener.accept() {
                let mut command = vec![0; 4096];
                while let Ok(length @ 1..) = socket.read(&mut command) {
                    if socket.write_all(&answer(&command[..length])).is_err() {
                        break;
                    }
                }
            }
        });
        Self { port }
    }

    const fn device(&self) -> TpmDevice {
        TpmDevice::Loopback(self.port)
    }
}
