// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the count of wrong attempts.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::Mutex;

use super::*;

/// Moments in the hands of a test.
struct Hands(Mutex<Moment>);

impl Hands {
    fn new() -> Self {
        Self(Mutex::new(Moment { boot: "a".to_owned(), boottime_ms: 5_000_000, monotonic_ms: 5_000_000, wall_ms: 9 }))
    }

    fn pass(&self, seconds: u64) {
        self.0.lock().unwrap().boottime_ms += seconds * 1000;
    }

    fn restart(&self, boot: &str) {
        let mut now = self.0.lock().unwrap();
        (now.boot, now.boottime_ms) = (boot.to_owned(), 1000);
    }
}

impl Moments for Hands {
    fn moment(&self) -> Moment {
        self.0.lock().unwrap().clone()
    }
}

const STORE: StoreId = StoreId([3; 16]);

struct World {
    _folder: tempfile::TempDir,
    lockout: Lockout,
    hands: Hands,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let lockout = Lockout::new(folder.path().join("lockout"), STORE);
        Self { _folder: folder, lockout, hands: Hands::new() }
    }

    /// Tries and is wrong; gives the seconds to wait if it was not even allowed to.
    fn wrong(&self, caller: &str) -> Option<u64> {
        match self.lockout.charge(&Caller::new(caller), &self.hands) {
            Ok(attempt) => {
                drop(attempt);
                None
            }
            Err(LockoutError::Wait { wait, .. }) => Some(wait.as_secs()),
            Err(error) => panic!("{error}"),
        }
    }

    fn right(&self, caller: &str) {
        self.lockout.charge(&Caller::new(caller), &self.hands).unwrap().succeeded(&self.hands).unwrap();
    }

    fn standing(&self, caller: &str) -> (u32, u32, u64) {
        let standing = self.lockout.standing(&Caller::new(caller), &self.hands).unwrap();
        (standing.failures, standing.total, standing.wait.as_secs())
    }
}

#[test]
fn deny_the_sixth_and_the_sixteenth_attempt_until_the_time_is_over() {
    let world = World::new();
    assert_eq!(world.standing("a"), (0, 0, 0));
    assert!(!world.lockout.path().exists(), "looking writes nothing");
    for attempt in 0..5 {
        assert_eq!(world.wrong("a"), None, "{attempt}");
    }
    assert_eq!(world.wrong("a"), Some(60));
    world.hands.pass(59);
    assert_eq!(world.wrong("a"), Some(1));
    assert_eq!(world.standing("a"), (5, 5, 1), "a refused attempt is not counted");
    for attempt in 5..15 {
        world.hands.pass(60);
        assert_eq!(world.wrong("a"), None, "{attempt}");
        assert!(world.wrong("a").is_some(), "{attempt}");
    }
    assert_eq!(world.wrong("a"), Some(900));
    world.hands.pass(899);
    assert_eq!(world.wrong("a"), Some(1));
    world.hands.pass(1);
    world.right("a");
    assert_eq!(world.standing("a"), (0, 0, 0), "a success forgets them");
    assert_eq!(world.wrong("a"), None);
}

#[test]
fn callers_wait_for_themselves_and_all_together_for_all() {
    let world = World::new();
    (0..5).for_each(|_| assert_eq!(world.wrong("a"), None));
    assert_eq!((world.wrong("a"), world.wrong("b")), (Some(60), None), "b need not wait for a");
    world.right("b");
    assert_eq!((world.standing("a").0, world.standing("b")), (5, (0, 5, 0)), "nor is a forgiven for b");
    for caller in 0..15 {
        assert_eq!(world.wrong(&format!("c{caller}")), None, "{caller}");
    }
    let error = world.lockout.charge(&Caller::new("new"), &world.hands).unwrap_err();
    assert!(matches!(error, LockoutError::Wait { failures: 20, everybody: true, .. }), "{error}");
    assert!(error.to_string().contains("try again in 60 s"), "{error}");
}

#[test]
fn deny_forgetting_by_many_names() {
    let world = World::new();
    (0..5).for_each(|_| assert_eq!(world.wrong("guesser"), None));
    let mut tried = 5;
    for name in 0..CALLERS_MAX * 2 {
        while world.wrong(&format!("name {name}")).is_some() {
            world.hands.pass(60);
        }
        tried += 1;
    }
    let counts = decode(&fs::read(world.lockout.path()).unwrap()).unwrap();
    assert_eq!((counts.callers.len(), counts.total.count), (CALLERS_MAX, tried));
    assert_eq!(world.standing("guesser").0, 5, "the one with the most failures is kept");
    assert_eq!(Caller::new(&"ü".repeat(100)).0.len(), CALLER_MAX);
}

#[test]
fn deny_a_shorter_wait_after_a_restart() {
    let world = World::new();
    (0..5).for_each(|_| assert_eq!(world.wrong("a"), None));
    world.hands.pass(50);
    assert_eq!(world.wrong("a"), Some(10));
    world.hands.restart("b");
    assert_eq!(world.wrong("a"), Some(60), "how long it was off is not known");
    world.hands.pass(30);
    assert_eq!(world.wrong("a"), Some(30), "but it passes");
    // The same start, as far as can be seen, and yet an earlier time.
    world.hands.restart("b");
    assert_eq!(world.wrong("a"), Some(60));
    world.hands.pass(60);
    assert_eq!(world.wrong("a"), None);
}

#[test]
fn deny_every_attempt_with_a_damaged_foreign_or_exposed_count() {
    let world = World::new();
    assert_eq!(world.wrong("a"), None);
    let path = world.lockout.path().to_owned();
    let good = fs::read(&path).unwrap();
    let refused = |what: &str, expected: &str| {
        for result in [
            world.lockout.charge(&Caller::new("a"), &world.hands).map(drop),
            world.lockout.standing(&Caller::new("a"), &world.hands).map(drop),
        ] {
            let error = result.unwrap_err();
            assert!(matches!(error, LockoutError::Damaged { .. }), "{what}: {error}");
            assert!(error.to_string().contains(expected) && error.to_string().contains("remove that file"), "{error}");
        }
    };
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        assert!(world.lockout.standing(&Caller::new("a"), &world.hands).is_err(), "bit of byte {at}");
    }
    for length in [0, 1, 64, 65, good.len() - 1] {
        fs::write(&path, &good[..length]).unwrap();
        refused("truncated", "is damaged");
    }
    fs::write(&path, vec![b'x'; FILE_MAX + 1]).unwrap();
    refused("too long", "more than");
    let other = Lockout::new(&path, StoreId([4; 16]));
    fs::write(&path, &good).unwrap();
    let error = other.charge(&Caller::new("a"), &world.hands).unwrap_err();
    assert!(error.to_string().contains("belongs to the store 0303"), "{error}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    refused("mode", "can be reached by others");
    fs::remove_file(&path).unwrap();
    symlink("/dev/null", &path).unwrap();
    refused("symlink", "symbolic link");
    fs::remove_file(&path).unwrap();
    assert_eq!(world.standing("a"), (0, 0, 0), "as the message says");
}

#[test]
fn an_attempt_that_came_to_nothing_does_not_count() {
    let world = World::new();
    assert_eq!(world.wrong("a"), None);
    for _ in 0..10 {
        let attempt = world.lockout.charge(&Caller::new("a"), &world.hands).unwrap();
        attempt.withdrawn(&world.hands).unwrap();
    }
    let standing = world.lockout.standing(&Caller::new("a"), &world.hands).unwrap();
    assert_eq!((standing.failures, standing.total), (1, 1), "the wrong one still does");
}

#[test]
fn deny_an_attempt_that_cannot_be_counted() {
    let lockout = Lockout::new("/proc/ringfort/lockout", STORE);
    assert!(matches!(lockout.charge(&Caller::new("a"), &Hands::new()), Err(LockoutError::File(_))));
    let world = World::new();
    let folder = world.lockout.path().parent().unwrap().to_owned();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o722)).unwrap();
    assert!(world.lockout.charge(&Caller::new("a"), &world.hands).is_err(), "others can write the folder");
}

#[test]
fn deny_more_attempts_to_many_at_once() {
    let world = World::new();
    let allowed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| (0..4).filter(|_| world.wrong("a").is_none()).count())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(allowed, 5);
}
