// SPDX-License-Identifier: MIT OR Apache-2.0
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use proptest::prelude::*;
use ringfort_core::clock::Timestamp;
use ringfort_core::traits::Sign as _;

use super::super::audit::AuditError;
use super::super::shelf::{SaveError, ShelfError, ShelfLock, VaultShelf};
use super::super::signer::Signer;
use super::super::software::SoftwareKeys;
use super::*;
use crate::root::{KEY_LEN, RootKeyError, RootKeySource, SlotData, StoreId};
use crate::store::Vault;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Default)]
struct Time(AtomicU64);

impl Time {
    fn pass(&self, duration: Duration) {
        self.0.fetch_add(u64::try_from(duration.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for Time {
    fn now(&self) -> Timestamp {
        Timestamp(1_795_194_000_000 + self.0.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// What the audit was told, in order; it refuses from a number of entries on.
#[derive(Default)]
struct Told {
    entries: Mutex<Vec<String>>,
    most: Option<usize>,
}

impl Told {
    fn entries(&self) -> Vec<String> {
        self.entries.lock().unwrap().clone()
    }
}

impl KeyAudit for Told {
    fn record(&self, operation: &Operation, stage: Stage<'_>) -> Result<(), AuditError> {
        let mut entries = self.entries.lock().unwrap();
        if self.most.is_some_and(|most| entries.len() >= most) {
            return Err(AuditError { message: "the disk is full".to_owned() });
        }
        let stage = match stage {
            Stage::Intent => "intent",
            Stage::Done => "done",
            Stage::Failed(_) => "failed",
        };
        let cause = if operation.cause == Cause::Schedule { " by schedule" } else { "" };
        entries.push(format!("{} {} {}{cause} {stage}", operation.what.name(), operation.key, operation.version));
        Ok(())
    }
}

/// Records in memory that can be made to fail.
#[derive(Clone, Default)]
struct Memory(Arc<MemoryParts>);

#[derive(Default)]
struct MemoryParts {
    records: Mutex<BTreeMap<KeyName, Vec<u8>>>,
    saves: AtomicUsize,
    fails: AtomicBool,
    unsure: AtomicBool,
}

struct NoLock;

impl ShelfLock for NoLock {}

impl Shelf for Memory {
    fn lock(&self) -> Result<Box<dyn ShelfLock>, ShelfError> {
        Ok(Box::new(NoLock))
    }

    fn names(&mut self) -> Result<Vec<KeyName>, ShelfError> {
        Ok(self.0.records.lock().unwrap().keys().cloned().collect())
    }

    fn load(&mut self, name: &KeyName) -> Result<Option<Locked>, ShelfError> {
        Ok(self.0.records.lock().unwrap().get(name).map(|bytes| Locked::copy_of(bytes).unwrap()))
    }

    fn save(&mut self, name: &KeyName, bytes: &Locked, _now: Timestamp) -> Result<(), SaveError> {
        if self.0.fails.load(Ordering::Relaxed) {
            return Err(SaveError::Kept("no space left".into()));
        }
        self.0.saves.fetch_add(1, Ordering::Relaxed);
        self.0.records.lock().unwrap().insert(name.clone(), bytes.expose().to_vec());
        if self.0.unsure.load(Ordering::Relaxed) {
            return Err(SaveError::Made("not synced".into()));
        }
        Ok(())
    }

    fn forget_previous(&mut self) -> Result<(), ShelfError> {
        Ok(())
    }
}

struct Bench {
    ring: KeyRing,
    time: Arc<Time>,
    told: Arc<Told>,
    shelf: Memory,
}

fn bench_with(provider: Arc<dyn KeyProvider>, told: Told) -> Bench {
    let (time, told, shelf) = (Arc::new(Time::default()), Arc::new(told), Memory::default());
    let ring = KeyRing::new(Box::new(shelf.clone()), vec![provider], told.clone(), time.clone());
    Bench { ring, time, told, shelf }
}

fn bench() -> Bench {
    bench_with(Arc::new(SoftwareKeys), Told::default())
}

fn wish(kind: KeyKind, days: Option<u32>) -> Wish {
    Wish { kind, provider: software::NAME.to_owned(), rotate_every: days.map(|days| DAY * days) }
}

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

#[test]
fn the_new_version_signs_and_the_old_one_verifies() {
    for kind in KeyKind::ALL {
        let Bench { ring, time, told, .. } = bench();
        let trail = name("trail");
        ring.generate(&trail, &wish(kind, None)).unwrap();
        let first = ring.sign(&trail, b"message").unwrap();
        time.pass(DAY * 4000);
        let info = ring.rotate(&trail, Old::Verifies).unwrap();
        let second = ring.sign(&trail, b"message").unwrap();
        assert_eq!((first.version, second.version), (1, 2));
        assert_ne!(first.bytes, second.bytes);
        let states: Vec<VersionState> = info.versions.iter().map(|version| version.state).collect();
        assert_eq!(states, [VersionState::VerifyOnly, VersionState::Active]);
        // Only a MAC needs its key to be verified.
        assert_eq!(info.versions[0].has_private, !kind.has_public());
        for (signature, state) in [(&first, VersionState::VerifyOnly), (&second, VersionState::Active)] {
            let expected = Verified { version: signature.version, state };
            assert_eq!(ring.verify(&trail, b"message", &signature.bytes, None).unwrap(), expected);
            let named = ring.verify(&trail, b"message", &signature.bytes, Some(signature.version)).unwrap();
            assert_eq!(named, expected);
        }
        let other = ring.verify(&trail, b"message", &first.bytes, Some(2));
        assert!(matches!(other, Err(RingError::NotSigned { .. })), "{other:?}");
        let entries = told.entries();
        assert_eq!(
            entries,
            [
                "key.generate trail 1 intent",
                "key.generate trail 1 done",
                "key.sign trail 1 intent",
                "key.sign trail 1 done",
                "key.rotate trail 2 intent",
                "key.rotate trail 2 done",
                "key.sign trail 2 intent",
                "key.sign trail 2 done",
            ]
        );
    }
}

#[test]
fn an_overdue_key_is_rotated_before_it_signs() {
    let Bench { ring, time, told, .. } = bench();
    let key = name("tokens");
    ring.generate(&key, &wish(KeyKind::HmacSha256, Some(30))).unwrap();
    time.pass(DAY * 30 - Duration::from_millis(1));
    assert_eq!(ring.sign(&key, b"m").unwrap().version, 1);
    assert!(matches!(ring.info(&key).unwrap().due, Due::At(_)));
    time.pass(Duration::from_millis(1));
    let Due::Since(since) = ring.info(&key).unwrap().due else { panic!("it is due") };
    assert_eq!(since, time.now());
    // Looking rotates nothing.
    assert_eq!(ring.list().unwrap().len(), 1);
    assert_eq!(ring.info(&key).unwrap().versions.len(), 1);
    assert_eq!(ring.sign(&key, b"m").unwrap().version, 2);
    assert_eq!(ring.sign(&key, b"m").unwrap().version, 2);
    time.pass(DAY * 300);
    // Ten periods are one rotation.
    assert_eq!(ring.derive(&key, b"c", None).unwrap().version, 3);
    let rotations: Vec<String> = told.entries().into_iter().filter(|entry| entry.contains("rotate")).collect();
    assert_eq!(
        rotations,
        [
            "key.rotate tokens 2 by schedule intent",
            "key.rotate tokens 2 by schedule done",
            "key.rotate tokens 3 by schedule intent",
            "key.rotate tokens 3 by schedule done"
        ]
    );
    ring.schedule(&key, None).unwrap();
    time.pass(DAY * 3000);
    assert_eq!(ring.sign(&key, b"m").unwrap().version, 3);
}

#[test]
fn a_signer_obeys_the_schedule() {
    let Bench { ring, time, .. } = bench();
    let ring = Arc::new(ring);
    let key = name("baseline");
    ring.generate(&key, &wish(KeyKind::Ed25519, Some(1))).unwrap();
    let signer = Signer::new(Arc::clone(&ring), key.clone());
    assert_eq!(signer.key_name(), "baseline");
    time.pass(DAY);
    let signature = signer.sign(b"m").unwrap();
    let expected = Verified { version: 2, state: VersionState::Active };
    assert_eq!(ring.verify(&key, b"m", &signature, None).unwrap(), expected);
    let absent = Signer::new(ring, name("absent")).sign(b"m").unwrap_err();
    assert_eq!(absent.to_string(), "cannot sign with key `absent`: there is no key `absent`");
}

#[test]
fn deny_an_overdue_key_that_cannot_be_rotated() {
    let Bench { ring, time, shelf, .. } = bench();
    let key = name("trail");
    ring.generate(&key, &wish(KeyKind::Ed25519, Some(1))).unwrap();
    time.pass(DAY);
    shelf.0.fails.store(true, Ordering::Relaxed);
    let refused = ring.sign(&key, b"m");
    assert!(matches!(refused, Err(RingError::Overdue { .. })), "{refused:?}");
    assert_eq!(ring.info(&key).unwrap().versions.len(), 1);
    shelf.0.fails.store(false, Ordering::Relaxed);
    assert_eq!(ring.sign(&key, b"m").unwrap().version, 2);
}

#[test]
fn a_clock_that_went_back_is_told_and_rotates_nothing() {
    let Bench { ring, time, .. } = bench();
    let key = name("trail");
    time.pass(DAY * 10);
    ring.generate(&key, &wish(KeyKind::Ed25519, Some(1))).unwrap();
    time.0.store(0, Ordering::Relaxed);
    assert_eq!(ring.info(&key).unwrap().due, Due::ClockBehind);
    assert_eq!(ring.sign(&key, b"m").unwrap().version, 1);
}

#[test]
fn deny_what_cannot_be_recorded() {
    // Each operation tells its intent and its end.
    for (most, what) in [(0, "generate"), (2, "sign"), (2, "rotate"), (2, "destroy"), (2, "public"), (2, "schedule")] {
        let Bench { ring, shelf, .. } =
            bench_with(Arc::new(SoftwareKeys), Told { most: Some(most), ..Told::default() });
        let key = name("trail");
        let made = ring.generate(&key, &wish(KeyKind::Ed25519, None));
        let before = shelf.0.records.lock().unwrap().clone();
        let saves = shelf.0.saves.load(Ordering::Relaxed);
        let refused = match what {
            "generate" => made.map(drop),
            "sign" => ring.sign(&key, b"m").map(drop),
            "rotate" => ring.rotate(&key, Old::Verifies).map(drop),
            "destroy" => ring.destroy_before(&key, 1).map(drop),
            "public" => ring.public(&key, None).map(drop),
            _ => ring.schedule(&key, Some(DAY)).map(drop),
        };
        assert!(matches!(refused, Err(RingError::Audit(_))), "{what}: {refused:?}");
        assert_eq!(*shelf.0.records.lock().unwrap(), before, "{what}");
        assert_eq!(shelf.0.saves.load(Ordering::Relaxed), saves, "{what}");
    }
}

#[test]
fn what_happened_and_was_not_recorded_is_not_given_out() {
    let told = Told { most: Some(3), ..Told::default() };
    let Bench { ring, .. } = bench_with(Arc::new(SoftwareKeys), told);
    let key = name("trail");
    ring.generate(&key, &wish(KeyKind::Ed25519, None)).unwrap();
    assert!(matches!(ring.sign(&key, b"m"), Err(RingError::Unrecorded { .. })));
    let told = Told { most: Some(1), ..Told::default() };
    let Bench { ring, .. } = bench_with(Arc::new(SoftwareKeys), told);
    assert!(matches!(ring.generate(&key, &wish(KeyKind::Ed25519, None)), Err(RingError::Unrecorded { .. })));
    assert!(ring.info(&key).is_ok(), "a change stays, and says so");
}

#[test]
fn files_are_signed_and_verified_by_any_version_that_holds() {
    for kind in [KeyKind::Ed25519, KeyKind::EcdsaP256] {
        let Bench { ring, told, .. } = bench();
        let (key, other) = (name("release"), name("other"));
        ring.generate(&key, &wish(kind, None)).unwrap();
        ring.generate(&other, &wish(kind, None)).unwrap();
        let content = Content::read(&b"content"[..]).unwrap();
        let (signature, text) = ring.sign_file(&key, &content).unwrap();
        let parsed = Parsed::parse(&text).unwrap();
        ring.rotate(&key, Old::Verifies).unwrap();
        let expected = Verified { version: 1, state: VersionState::VerifyOnly };
        assert_eq!(ring.verify_file(&key, &content, &parsed).unwrap(), expected);
        let changed = Content::read(&b"content."[..]).unwrap();
        assert!(matches!(ring.verify_file(&key, &changed, &parsed), Err(RingError::NotSigned { .. })));
        assert!(matches!(ring.verify_file(&other, &content, &parsed), Err(RingError::NotSigned { .. })));
        // The file's bytes themselves were not signed: no checkpoint can be made this way.
        assert!(matches!(ring.verify(&key, b"content", &signature.bytes, None), Err(RingError::NotSigned { .. })));
        ring.rotate(&key, Old::Destroyed).unwrap();
        assert!(matches!(ring.verify_file(&key, &content, &parsed), Err(RingError::Destroyed { version: 1, .. })));
        assert!(told.entries().contains(&"key.sign release 1 done".to_owned()));
    }
    let Bench { ring, .. } = bench();
    ring.generate(&name("mac"), &wish(KeyKind::HmacSha256, None)).unwrap();
    let content = Content::read(&b"content"[..]).unwrap();
    assert!(matches!(ring.sign_file(&name("mac"), &content), Err(RingError::Key(KeyError::Unsupported { .. }))));
}

#[test]
fn deny_what_destroyed_versions_signed() {
    for kind in KeyKind::ALL {
        let Bench { ring, told, .. } = bench();
        let key = name("tokens");
        ring.generate(&key, &wish(kind, None)).unwrap();
        let first = ring.sign(&key, b"m").unwrap();
        let info = ring.rotate(&key, Old::Destroyed).unwrap();
        assert_eq!(info.versions[0].state, VersionState::Destroyed);
        assert!(!info.versions[0].has_private);
        let denied = ring.verify(&key, b"m", &first.bytes, None);
        assert!(matches!(denied, Err(RingError::NotSigned { .. })), "{denied:?}");
        let denied = ring.verify(&key, b"m", &first.bytes, Some(1));
        assert!(matches!(denied, Err(RingError::Destroyed { version: 1, .. })), "{denied:?}");
        if kind.has_public() {
            assert!(matches!(ring.public(&key, Some(1)), Err(RingError::Destroyed { .. })));
        } else {
            assert!(matches!(ring.derive(&key, b"c", Some(1)), Err(RingError::Destroyed { .. })));
        }
        assert_eq!(ring.sign(&key, b"m").unwrap().version, 2);
        assert!(told.entries().contains(&"key.destroy tokens 1 done".to_owned()));
    }
}

#[test]
fn deny_names_and_periods_that_are_none() {
    let Bench { ring, .. } = bench();
    for bad in ["", "Trail", "1trail", "tr ail", "tr.ail", "../x", "trail+", "-x", "ä", &"x".repeat(65)] {
        assert!(bad.parse::<KeyName>().is_err(), "{bad:?}");
    }
    let key = name("trail");
    for every in [Duration::ZERO, DAY - Duration::from_secs(1), DAY * 3661, Duration::MAX] {
        let wish = Wish { rotate_every: Some(every), ..wish(KeyKind::Ed25519, None) };
        assert!(matches!(ring.generate(&key, &wish), Err(RingError::Period)), "{every:?}");
    }
    let foreign = Wish { provider: "tpm2".to_owned(), ..wish(KeyKind::Ed25519, None) };
    assert!(matches!(ring.generate(&key, &foreign), Err(RingError::NoProvider { .. })));
    ring.generate(&key, &wish(KeyKind::Ed25519, None)).unwrap();
    assert!(matches!(ring.generate(&key, &wish(KeyKind::Ed25519, None)), Err(RingError::Exists { .. })));
    assert!(matches!(ring.verify(&key, b"m", b"s", Some(2)), Err(RingError::NoVersion { .. })));
    assert!(matches!(ring.sign(&name("absent"), b"m"), Err(RingError::Absent { .. })));
    assert!(matches!(ring.derive(&key, b"c", None), Err(RingError::Key(KeyError::Unsupported { .. }))));
}

/// A provider that gives something else than a working key.
struct Faulty(&'static str);

impl KeyProvider for Faulty {
    fn name(&self) -> &'static str {
        software::NAME
    }

    fn generate(&self, kind: KeyKind, label: &str) -> Result<KeyHandle, KeyError> {
        let mut key = SoftwareKeys.generate(kind, label)?;
        match self.0 {
            "empty" => key.private = Locked::zeroed(0)?,
            "another kind" => key.kind = KeyKind::EcdsaP256,
            "no public half" => key.public = None,
            "another public half" => key.public = SoftwareKeys.generate(kind, label)?.public,
            _ => {}
        }
        Ok(key)
    }

    fn sign(&self, key: &KeyHandle, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match self.0 {
            "empty signature" => Ok(Vec::new()),
            "signature of something else" => SoftwareKeys.sign(key, b"something else"),
            "breaks later" if message != TRIAL => Ok(b"CKR_DEVICE_ERROR".to_vec()),
            _ => SoftwareKeys.sign(key, message),
        }
    }

    fn verify(&self, key: &KeyHandle, message: &[u8], signature: &[u8]) -> Result<bool, KeyError> {
        SoftwareKeys.verify(key, message, signature)
    }

    fn derive(&self, key: &KeyHandle, context: &[u8]) -> Result<Locked, KeyError> {
        SoftwareKeys.derive(key, context)
    }

    fn destroy(&self, _key: &KeyHandle) -> Result<(), KeyError> {
        Ok(())
    }
}

#[test]
fn deny_what_a_provider_gives_that_is_no_key() {
    for fault in [
        "empty",
        "another kind",
        "no public half",
        "another public half",
        "empty signature",
        "signature of something else",
    ] {
        let Bench { ring, told, .. } = bench_with(Arc::new(Faulty(fault)), Told::default());
        let made = ring.generate(&name("trail"), &wish(KeyKind::Ed25519, None));
        assert!(matches!(made, Err(RingError::Key(_))), "{fault}: {made:?}");
        assert!(ring.list().unwrap().is_empty(), "{fault}");
        assert_eq!(told.entries(), ["key.generate trail 1 intent", "key.generate trail 1 failed"], "{fault}");
    }
    let Bench { ring, .. } = bench_with(Arc::new(Faulty("breaks later")), Told::default());
    for (key, kind) in [("trail", KeyKind::Ed25519), ("tokens", KeyKind::HmacSha256)] {
        ring.generate(&name(key), &wish(kind, None)).unwrap();
        assert!(matches!(ring.sign(&name(key), b"m"), Err(RingError::Key(_))), "{kind}");
    }
}

#[test]
fn what_was_not_saved_was_not_changed_and_what_may_be_lost_is_said() {
    let Bench { ring, shelf, told, .. } = bench();
    let key = name("trail");
    ring.generate(&key, &wish(KeyKind::Ed25519, None)).unwrap();
    let before = ring.info(&key).unwrap();
    shelf.0.fails.store(true, Ordering::Relaxed);
    for refused in [ring.rotate(&key, Old::Verifies), ring.rotate(&key, Old::Destroyed), ring.schedule(&key, Some(DAY))]
    {
        assert!(matches!(refused, Err(RingError::Shelf(_))), "{refused:?}");
    }
    assert_eq!(ring.info(&key).unwrap(), before);
    assert_eq!(told.entries().last().unwrap(), "key.schedule trail 1 failed");
    shelf.0.fails.store(false, Ordering::Relaxed);
    shelf.0.unsure.store(true, Ordering::Relaxed);
    assert!(matches!(ring.rotate(&key, Old::Verifies), Err(RingError::Unsure { .. })));
    assert_eq!(ring.info(&key).unwrap().active().unwrap().number, 2);
}

#[test]
fn a_full_key_stops_and_destroying_makes_room() {
    let Bench { ring, .. } = bench();
    let key = name("trail");
    ring.generate(&key, &wish(KeyKind::Ed25519, None)).unwrap();
    for _ in 1..VERSIONS_MAX {
        ring.rotate(&key, Old::Verifies).unwrap();
    }
    assert!(matches!(ring.rotate(&key, Old::Verifies), Err(RingError::Full { .. })));
    let last = u64::try_from(VERSIONS_MAX).unwrap();
    assert_eq!(ring.sign(&key, b"m").unwrap().version, last);
    ring.destroy_before(&key, 10).unwrap();
    let info = ring.rotate(&key, Old::Verifies).unwrap();
    assert_eq!((info.versions[0].number, info.active().unwrap().number), (10, last + 1));
}

#[test]
fn deny_records_that_are_damaged_and_leave_them() {
    let Bench { ring, shelf, .. } = bench();
    let (good, bad) = (name("good"), name("bad"));
    ring.generate(&good, &wish(KeyKind::Ed25519, None)).unwrap();
    ring.generate(&bad, &wish(KeyKind::Ed25519, None)).unwrap();
    let damaged = {
        let mut records = shelf.0.records.lock().unwrap();
        let bytes = records[&good].clone();
        records.insert(bad.clone(), bytes);
        records.clone()
    };
    for refused in [
        ring.sign(&bad, b"m").map(drop),
        ring.rotate(&bad, Old::Verifies).map(drop),
        ring.generate(&bad, &wish(KeyKind::Ed25519, None)).map(drop),
    ] {
        assert!(matches!(refused, Err(RingError::Damaged { .. } | RingError::Exists { .. })), "{refused:?}");
    }
    let list = ring.list().unwrap();
    let broken: Vec<bool> = list.iter().map(|listed| listed.info.is_err()).collect();
    assert_eq!(broken, [true, false]);
    assert_eq!(*shelf.0.records.lock().unwrap(), damaged);
}

/// A root key for tests.
struct Fixed;

impl RootKeySource for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn key_source(&self) -> String {
        "fixed".to_owned()
    }

    fn create(&self, _: StoreId) -> Result<(SlotData, Locked), RootKeyError> {
        let data = serde_json::json!({});
        Ok((SlotData { source: "fixed".to_owned(), data }, Locked::copy_of(&[7; KEY_LEN])?))
    }

    fn open(&self, _: StoreId, _: &SlotData) -> Result<Locked, RootKeyError> {
        Ok(Locked::copy_of(&[7; KEY_LEN])?)
    }

    fn forget(&self, _: StoreId, _: &SlotData) -> Result<(), RootKeyError> {
        Ok(())
    }
}

fn over_vault(vault: Vault, time: &Arc<Time>, told: &Arc<Told>) -> KeyRing {
    let shelf = Box::new(VaultShelf::new(vault, time.clone()));
    KeyRing::new(shelf, vec![Arc::new(SoftwareKeys)], told.clone(), time.clone())
}

#[test]
fn keys_survive_in_a_store_and_old_private_halves_do_not() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("keys");
    let (time, told) = (Arc::new(Time::default()), Arc::new(Told::default()));
    let key = name("trail");
    let ring = over_vault(Vault::create(&folder, &Fixed, time.as_ref()).unwrap(), &time, &told);
    ring.generate(&key, &wish(KeyKind::Ed25519, Some(30))).unwrap();
    let first = ring.sign(&key, b"m").unwrap();
    let before = std::fs::read(folder.join("store.ringfort")).unwrap();
    ring.rotate(&key, Old::Verifies).unwrap();
    assert!(!folder.join("store.previous").exists(), "the old private half would be in it");
    drop(ring);
    let ring = over_vault(Vault::open(&folder, &Fixed).unwrap(), &time, &told);
    let info = ring.info(&key).unwrap();
    assert_eq!(info.versions.iter().map(|version| version.has_private).collect::<Vec<_>>(), [false, true]);
    assert_eq!(ring.verify(&key, b"m", &first.bytes, None).unwrap().version, 1);
    // The old generation, with the old private half in it, put back.
    std::fs::write(folder.join("store.ringfort"), before).unwrap();
    assert!(matches!(ring.sign(&key, b"m"), Err(RingError::Shelf(_))));
    assert!(Vault::open(&folder, &Fixed).is_err());
}

#[test]
fn many_rings_rotate_an_overdue_key_once() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("keys");
    let (time, told) = (Arc::new(Time::default()), Arc::new(Told::default()));
    let key = name("trail");
    let ring = over_vault(Vault::create(&folder, &Fixed, time.as_ref()).unwrap(), &time, &told);
    ring.generate(&key, &wish(KeyKind::Ed25519, Some(1))).unwrap();
    time.pass(DAY);
    let rings: Vec<KeyRing> = (0..4).map(|_| over_vault(Vault::open(&folder, &Fixed).unwrap(), &time, &told)).collect();
    std::thread::scope(|scope| {
        let signing: Vec<_> = rings
            .iter()
            .map(|ring| {
                let key = &key;
                scope.spawn(move || {
                    let signatures = (0..5).map(|_| ring.sign(key, b"m").unwrap()).collect::<Vec<_>>();
                    ring.rotate(key, Old::Verifies).unwrap();
                    signatures
                })
            })
            .collect();
        for signed in signing {
            for signature in signed.join().unwrap() {
                assert!(signature.version >= 2);
                assert_eq!(ring.verify(&key, b"m", &signature.bytes, None).unwrap().version, signature.version);
            }
        }
    });
    // One by the schedule, four that were asked for, none lost.
    let info = ring.info(&key).unwrap();
    assert_eq!(info.versions.iter().map(|version| version.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let scheduled = told.entries().iter().filter(|entry| *entry == "key.rotate trail 2 by schedule done").count();
    assert_eq!(scheduled, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happens in whatever order: only the newest version signs, and a signature holds until its version is
    /// destroyed.
    #[test]
    fn signatures_hold_until_their_version_is_destroyed(
        kind in prop::sample::select(KeyKind::ALL.to_vec()),
        steps in prop::collection::vec(0..6u8, 1..24),
    ) {
        let Bench { ring, time, .. } = bench();
        let key = name("k");
        ring.generate(&key, &wish(kind, Some(7))).unwrap();
        let (mut newest, mut destroyed, mut age) = (1_u64, 0_u64, Duration::ZERO);
        let mut signed: Vec<Signature> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            let message = format!("message {number}");
            match step {
                0 => { ring.rotate(&key, Old::Verifies).unwrap(); newest += 1; age = Duration::ZERO; }
                1 => { ring.rotate(&key, Old::Destroyed).unwrap(); destroyed = newest; newest += 1; age = Duration::ZERO; }
                2 => { time.pass(DAY * 3); age += DAY * 3; }
                3 => { ring.destroy_before(&key, newest).unwrap(); destroyed = newest - 1; }
                _ => {
                    let signature = ring.sign(&key, b"m").unwrap();
                    if age >= DAY * 7 { newest += 1; age = Duration::ZERO; }
                    prop_assert_eq!(signature.version, newest);
                    signed.push(signature);
                }
            }
            for signature in &signed {
                let held = ring.verify(&key, b"m", &signature.bytes, None);
                if signature.version > destroyed {
                    prop_assert_eq!(held.unwrap().version, signature.version);
                } else {
                    let denied = matches!(held, Err(RingError::NotSigned { .. }));
                    prop_assert!(denied);
                }
                let other = ring.verify(&key, message.as_bytes(), &signature.bytes, None);
                let denied = matches!(other, Err(RingError::NotSigned { .. }));
                prop_assert!(denied);
            }
        }
    }
}
