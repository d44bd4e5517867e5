// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of what is held between processes, with the real key ring. A host without one reports the skip.

use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::lock::IDLE_MIN;
use crate::moment::Break;

/// Moments in the hands of a test.
struct Hands(Mutex<Moment>);

impl Hands {
    fn new() -> Self {
        let now = Moment { boot: "b".to_owned(), boottime_ms: 1_000_000, monotonic_ms: 900_000, wall_ms: 5_000_000 };
        Self(Mutex::new(now))
    }

    fn pass(&self, awake: u64, asleep: u64, wall: i64) {
        let mut now = self.0.lock().unwrap();
        now.boottime_ms += (awake + asleep) * 1000;
        now.monotonic_ms += awake * 1000;
        now.wall_ms = (now.wall_ms + (awake + asleep) * 1000).saturating_add_signed(wall * 1000);
    }
}

impl Moments for Hands {
    fn moment(&self) -> Moment {
        self.0.lock().unwrap().clone()
    }
}

/// Whether there is a key ring; says so if not, and fails where a skip must not be.
fn available() -> bool {
    let error = match Rings::open() {
        Ok(_) => return true,
        Err(error) => error,
    };
    #[expect(clippy::disallowed_methods, reason = "a test asks whether a skip is a failure here")]
    let strict = std::env::var_os("RINGFORT_TEST_NO_SKIP").is_some();
    assert!(!strict, "skipped: {error}");
    eprintln!("skipped: {error}");
    false
}

/// A store of its own for each test, locked at the end.
struct Store(StoreId);

impl Store {
    fn new() -> Self {
        let mut id = [0; 16];
        getrandom::fill(&mut id).unwrap();
        Self(StoreId(id))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(drop_held(self.0));
    }
}

fn key() -> Locked {
    Locked::copy_of(&[0x5a; KEY_LEN]).unwrap()
}

fn is_key(held: &Held) -> bool {
    matches!(held, Held::Key(bytes) if bytes.equals(&[0x5a; KEY_LEN]))
}

const LIMITS: fn() -> Limits = Limits::default;

#[test]
fn a_key_is_held_used_and_dropped() {
    if !available() {
        return;
    }
    let (store, hands) = (Store::new(), Hands::new());
    assert!(matches!(held(store.0, LIMITS(), &hands).unwrap(), Held::Not(NotHeld::Absent)));
    assert_eq!(state(store.0, LIMITS(), &hands).unwrap(), LockState::Locked);
    hold(store.0, &key(), LIMITS(), &hands).unwrap();
    assert_eq!(state(store.0, LIMITS(), &hands).unwrap().word(), "unlocked");
    for _ in 0..3 {
        hands.pass(29 * 60 + 30, 0, 0);
        assert_eq!(state(store.0, LIMITS(), &hands).unwrap().word(), "locking_soon");
        assert!(is_key(&held(store.0, LIMITS(), &hands).unwrap()), "use goes on");
        assert_eq!(state(store.0, LIMITS(), &hands).unwrap().word(), "unlocked");
    }
    assert!(drop_held(store.0).unwrap());
    assert!(!drop_held(store.0).unwrap(), "locked already");
    assert!(matches!(held(store.0, LIMITS(), &hands).unwrap(), Held::Not(NotHeld::Absent)));
    assert!(matches!(hold(store.0, &Locked::zeroed(31).unwrap(), LIMITS(), &hands), Err(SessionError::Foreign)));
}

#[test]
fn deny_the_key_after_idleness_suspend_and_clock_tricks() {
    if !available() {
        return;
    }
    for (awake, asleep, wall, why) in [
        (30 * 60, 0, 0, Why::Idle),
        (10, 3, 0, Why::Break(Break::Suspended)),
        (10, 0, 301, Why::Break(Break::ClockForward)),
        (10, 0, -6, Why::Break(Break::ClockBack)),
    ] {
        for looked_first in [false, true] {
            let (store, hands) = (Store::new(), Hands::new());
            hold(store.0, &key(), LIMITS(), &hands).unwrap();
            hands.pass(awake, asleep, wall);
            if looked_first {
                assert_eq!(state(store.0, LIMITS(), &hands).unwrap(), LockState::Locked, "{why}");
            } else {
                let held = held(store.0, LIMITS(), &hands).unwrap();
                assert!(matches!(held, Held::Not(NotHeld::Locked(found)) if found == why), "{why}: {held:?}");
            }
            assert!(matches!(held(store.0, LIMITS(), &hands).unwrap(), Held::Not(NotHeld::Absent)), "{why}: gone");
        }
    }
}

#[test]
fn deny_a_key_whose_limits_were_shortened_since() {
    if !available() {
        return;
    }
    let (store, hands) = (Store::new(), Hands::new());
    hold(store.0, &key(), LIMITS(), &hands).unwrap();
    hands.pass(IDLE_MIN.as_secs() + 1, 0, 0);
    let held = held(store.0, Limits::new(IDLE_MIN), &hands).unwrap();
    assert!(matches!(held, Held::Not(NotHeld::Locked(Why::Idle))), "{held:?}");
}

#[test]
fn deny_a_key_without_its_note_or_of_another_form() {
    if !available() {
        return;
    }
    let (store, hands) = (Store::new(), Hands::new());
    let rings = Rings::open().unwrap();
    hold(store.0, &key(), LIMITS(), &hands).unwrap();
    assert!(rings.remove(&note_name(store.0)).unwrap());
    assert!(matches!(held(store.0, LIMITS(), &hands).unwrap(), Held::Not(NotHeld::Locked(Why::Again))));
    for note in [&b"{}"[..], b"{\"form\":2}", &[b'x'; NOTE_MAX + 1]] {
        hold(store.0, &key(), LIMITS(), &hands).unwrap();
        rings.put(&note_name(store.0), note, LIMITS()).unwrap();
        assert!(matches!(held(store.0, LIMITS(), &hands).unwrap(), Held::Not(NotHeld::Locked(_))), "{note:?}");
        assert!(matches!(held(store.0, LIMITS(), &hands).unwrap(), Held::Not(NotHeld::Absent)));
    }
    for bytes in [&[1; KEY_LEN - 1][..], &[1; KEY_LEN + 1]] {
        hold(store.0, &key(), LIMITS(), &hands).unwrap();
        rings.put(&key_name(store.0), bytes, LIMITS()).unwrap();
        assert!(matches!(held(store.0, LIMITS(), &hands), Err(SessionError::Foreign)));
        assert_eq!(state(store.0, LIMITS(), &hands).unwrap(), LockState::Locked);
    }
}

#[test]
fn the_kernel_itself_lets_a_key_expire_and_others_may_only_see_that_it_is_there() {
    if !available() {
        return;
    }
    let (store, hands) = (Store::new(), Hands::new());
    hold(store.0, &key(), Limits::new(Duration::from_secs(90)), &hands).unwrap();
    let rings = Rings::open().unwrap();
    let Some(found) = rings.0.find(&key_name(store.0)).unwrap() else { panic!("it is held") };
    assert_eq!(found.metadata().unwrap().get_perms().bits(), 0x3f01_0000);
    let listed = std::fs::read_to_string("/proc/keys").unwrap();
    let line = listed.lines().find(|line| line.contains(&format!("{}:", key_name(store.0)))).unwrap();
    assert!(line.contains(" 1m ") || line.contains(" 89s ") || line.contains(" 90s "), "{line}");
    found.set_timeout(1).unwrap();
    let gone = (0..100).any(|_| {
        std::thread::park_timeout(Duration::from_millis(50));
        matches!(rings.0.find(&key_name(store.0)), Ok(None))
    });
    assert!(gone, "the kernel has let it expire");
    assert!(matches!(held(store.0, LIMITS(), &hands).unwrap(), Held::Not(NotHeld::Absent)));
}
