// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of budget and loop guard.

use super::*;

const HOUR_MS: u64 = 3_600_000;

fn guard(limits: GuardLimits) -> (tempfile::TempDir, Guard, Principal) {
    let folder = tempfile::tempdir().unwrap();
    let guard = Guard::new(folder.path().to_owned(), limits);
    (folder, guard, Principal::try_user("ada").unwrap())
}

fn rule(result: Result<(), Box<Reason>>) -> String {
    result.map_or_else(|reason| reason.rule, |()| "allowed".to_owned())
}

#[test]
fn deny_the_ninth_equal_action_and_no_different_one() {
    let (_folder, guard, ada) = guard(GuardLimits::default());
    let same = Digest::of(b"same");
    let now = Timestamp(HOUR_MS);
    for n in 0..9_u8 {
        assert_eq!(rule(guard.charge(&ada, Digest::of(&[n]), now)), "allowed", "different action {n}");
    }
    for n in 0..8 {
        assert_eq!(rule(guard.charge(&ada, same, now)), "allowed", "equal action {n}");
    }
    assert_eq!(rule(guard.charge(&ada, same, now)), "guard-002");
    let other = ada.try_child("agent").unwrap();
    assert_eq!(rule(guard.charge(&other, same, now)), "allowed", "another principal");
    let later = now.after(LOOP_WINDOW + Duration::from_millis(1));
    assert_eq!(rule(guard.charge(&ada, same, later)), "allowed", "after the window");
}

#[test]
fn deny_beyond_the_budget_across_restarts_and_clock_tricks() {
    let limits = GuardLimits { actions_per_hour: 3, ..GuardLimits::default() };
    let (folder, guard, ada) = guard(limits);
    let now = Timestamp(10 * HOUR_MS);
    for n in 0..3_u8 {
        assert_eq!(rule(guard.charge(&ada, Digest::of(&[n]), now)), "allowed");
    }
    let restarted = Guard::new(folder.path().to_owned(), limits);
    for (at, expected) in [
        (now, "guard-001"),
        (Timestamp(now.0 + HOUR_MS - 1), "guard-001"),
        (Timestamp(now.0 - 5 * HOUR_MS), "guard-001"),
        (Timestamp(now.0 + HOUR_MS + 61_000), "allowed"),
    ] {
        assert_eq!(rule(restarted.charge(&ada, Digest::of(b"next"), at)), expected, "at {}", at.0);
    }
}

#[test]
fn deny_when_the_counters_are_broken() {
    let (folder, guard, ada) = guard(GuardLimits::default());
    assert_eq!(rule(guard.charge(&ada, Digest::of(b"a"), Timestamp(1))), "allowed");
    let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    for broken in ["{", "{\"buckets\":[],\"recent\":[],\"more\":1}", "null"] {
        std::fs::write(&file, broken).unwrap();
        assert_eq!(rule(guard.charge(&ada, Digest::of(b"a"), Timestamp(2))), "guard-003", "`{broken}`");
    }
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/null", &file).unwrap();
    assert_eq!(rule(guard.charge(&ada, Digest::of(b"a"), Timestamp(3))), "guard-003");
}

/// A trail with entries of one principal, each a second after the one before.
fn trail(folder: &std::path::Path, entries: &[Entry], first: Timestamp) {
    struct Fixed(std::sync::atomic::AtomicU64);
    impl ringfort_core::clock::Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp(self.0.fetch_add(1_000, std::sync::atomic::Ordering::Relaxed))
        }
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
    }
    let clock = std::sync::Arc::new(Fixed(first.0.into()));
    let trail = ringfort_audit::Trail::open(folder, ringfort_audit::Options::new(clock)).unwrap();
    for entry in entries {
        trail.append(entry, ringfort_audit::Durability::Written).unwrap();
    }
}

#[test]
fn deny_budget_to_who_removes_the_counters() {
    let ada = Principal::try_user("ada").unwrap();
    let other = ada.try_child("other").unwrap();
    let entry = |kind, principal: &Principal, decision| Entry {
        kind,
        principal: Some(principal.clone()),
        decision: Some(decision),
        ..Entry::event("x")
    };
    let intent = entry(EntryKind::Intent, &ada, Decision::Allow);
    let now = Timestamp(100 * HOUR_MS);
    for (what, entries, first, expected) in [
        ("three that went ahead", vec![intent.clone(); 3], now, "guard-001"),
        ("verdicts that let it", vec![entry(EntryKind::Verdict, &ada, Decision::Ask); 3], now, "guard-001"),
        ("two", vec![intent.clone(); 2], now, "allowed"),
        ("long ago", vec![intent.clone(); 3], Timestamp(now.0 - 2 * HOUR_MS), "allowed"),
        ("denied", vec![entry(EntryKind::Verdict, &ada, Decision::Deny); 3], now, "allowed"),
        ("another's", vec![entry(EntryKind::Intent, &other, Decision::Allow); 3], now, "allowed"),
        ("outcomes", vec![entry(EntryKind::Outcome, &ada, Decision::Allow); 3], now, "allowed"),
        ("uncounted", vec![intent.clone().fact(UNCOUNTED, true); 3], now, "allowed"),
        ("nothing", vec![], now, "allowed"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (counters, record) = (folder.path().join("guard"), folder.path().join("trail"));
        std::fs::create_dir(&counters).unwrap();
        trail(&record, &entries, first);
        let limits = GuardLimits { actions_per_hour: 3, ..GuardLimits::default() };
        let guard = Guard::new(counters, limits).rebuilt_from(record);
        let at = now.after(Duration::from_secs(60));
        assert_eq!(rule(guard.charge(&ada, Digest::of(b"a"), at)), expected, "{what}");
    }
}

#[test]
fn deny_when_the_record_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let (counters, record) = (folder.path().join("guard"), folder.path().join("trail"));
    std::fs::create_dir(&counters).unwrap();
    std::fs::write(&record, "no folder").unwrap();
    let guard = Guard::new(counters, GuardLimits::default()).rebuilt_from(record);
    let ada = Principal::try_user("ada").unwrap();
    assert_eq!(rule(guard.charge(&ada, Digest::of(b"a"), Timestamp(1))), "guard-003");
}
