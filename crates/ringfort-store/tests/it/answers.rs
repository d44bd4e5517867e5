// SPDX-License-Identifier: MIT OR Apache-2.0
//! Questions and answers: what covers what, for how long, and how often.

use std::time::Duration;

use ringfort_core::clock::Timestamp;
use ringfort_core::digest::Digest;
use ringfort_core::principal::Principal;
use ringfort_core::store::{
    ApprovalDesk, ApprovalKeys, ApprovalStore, BOUND_LIFE_MAX, Extent, GrantState, ONCE_LIFE, QUESTION_LIFE,
    QuestionState, StoreError, Taken, Which,
};
use ringfort_store::{QUESTIONS_MAX, QUESTIONS_PER_PRINCIPAL_MAX};

use crate::support::{NOW, Place, question};

fn granted(taken: Taken) -> Option<(i64, Extent)> {
    match taken {
        Taken::Granted { id, extent, by } => {
            assert_eq!(by, "ada");
            Some((id, extent))
        }
        _ => None,
    }
}

fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

#[test]
fn what_was_allowed_once_is_used_once() {
    let place = Place::new();
    let (store, asked) = (place.store(), question("a"));
    assert_eq!(store.take(&asked.keys, NOW).unwrap(), Taken::Nothing);
    assert!(!place.file().exists(), "asking for an answer makes no store");
    assert_eq!(store.ask(&asked, NOW).unwrap(), NOW.after(QUESTION_LIFE));
    assert_eq!(store.take(&asked.keys, NOW).unwrap(), Taken::Nothing, "a question is no answer");
    let grant = store.allow(&asked.keys.exact, Extent::Once, ONCE_LIFE, "ada", NOW).unwrap();
    // Another process finds it, and none finds it again.
    assert_eq!(granted(place.store().take(&asked.keys, later(1)).unwrap()), Some((grant.id, Extent::Once)));
    for store in [place.store(), store] {
        assert_eq!(store.take(&asked.keys, later(1)).unwrap(), Taken::Nothing);
        let row = &store.grants(Which::All, later(1)).unwrap()[0];
        assert_eq!((row.state, row.uses), (GrantState::Used, 1));
        assert!(store.grants(Which::Current, later(1)).unwrap().is_empty());
    }
}

#[test]
fn deny_by_extent_what_was_not_allowed() {
    let other = |name: &str| question(name).keys;
    let asked = question("a").keys;
    let only_session = ApprovalKeys { exact: Digest::of(b"x"), shape: None, ..asked };
    let only_shape = ApprovalKeys { exact: Digest::of(b"x"), session: None, ..asked };
    let swapped = ApprovalKeys { exact: asked.shape.unwrap(), session: Some(asked.exact), shape: asked.session };
    for (extent, covered, not_covered) in [
        (Extent::Once, vec![asked], vec![other("b"), only_session, only_shape, swapped]),
        (Extent::Session, vec![asked, asked, only_session], vec![other("b"), only_shape, swapped]),
        (Extent::Shape, vec![asked, asked, only_shape], vec![other("b"), only_session, swapped]),
    ] {
        let place = Place::new();
        let store = place.store();
        store.ask(&question("a"), NOW).unwrap();
        store.allow(&asked.exact, extent, ONCE_LIFE, "ada", NOW).unwrap();
        for keys in not_covered {
            assert_eq!(store.take(&keys, NOW).unwrap(), Taken::Nothing, "{extent:?}");
        }
        for keys in covered {
            assert_eq!(granted(store.take(&keys, NOW).unwrap()).map(|(_, extent)| extent), Some(extent));
        }
    }
}

#[test]
fn deny_what_is_late_early_revoked_or_of_an_ended_session() {
    let life = Duration::from_secs(100);
    type Change = fn(&dyn Desk);
    let cases: [(&str, Timestamp, Change); 6] = [
        ("expired", later(100), |_| {}),
        ("long expired", later(1_000_000), |_| {}),
        ("the clock was set back", Timestamp(NOW.0 - 3_600_000), |_| {}),
        ("revoked", later(1), |desk| drop(desk.revoke(1, "ada", NOW).unwrap())),
        ("the session has ended", later(1), |desk| desk.end_session("s1", NOW).unwrap()),
        ("refused afterwards", later(1), |desk| {
            // Asked again in another session while the approval holds, and refused.
            desk.ask(&question("a"), NOW).unwrap();
            desk.refuse(&question("a").keys.exact, "ada", NOW).unwrap();
        }),
    ];
    for (what, at, change) in cases {
        let place = Place::new();
        let (store, asked) = (place.store(), question("a"));
        store.ask(&asked, NOW).unwrap();
        store.allow(&asked.keys.exact, Extent::Session, life, "ada", NOW).unwrap();
        assert!(granted(store.take(&asked.keys, later(99)).unwrap()).is_some(), "{what}");
        change(&store);
        assert!(granted(store.take(&asked.keys, at).unwrap()).is_none(), "{what}");
    }
}

/// Both sides at once.
trait Desk: ApprovalStore + ApprovalDesk {}
impl<T: ApprovalStore + ApprovalDesk> Desk for T {}

#[test]
fn another_session_ends_nothing() {
    let place = Place::new();
    let (store, asked) = (place.store(), question("a"));
    store.ask(&asked, NOW).unwrap();
    store.allow(&asked.keys.exact, Extent::Session, ONCE_LIFE, "ada", NOW).unwrap();
    store.end_session("s2", NOW).unwrap();
    assert!(granted(store.take(&asked.keys, NOW).unwrap()).is_some());
}

#[test]
fn deny_answers_to_what_does_not_wait() {
    let place = Place::new();
    let (store, asked) = (place.store(), question("a"));
    let exact = asked.keys.exact;
    let allow = |at: Timestamp| store.allow(&exact, Extent::Once, ONCE_LIFE, "ada", at).map(drop);
    assert_eq!(allow(NOW), Err(StoreError::NoQuestion(exact.to_string())), "there is no store yet");
    store.ask(&asked, NOW).unwrap();
    assert_eq!(allow(NOW.after(QUESTION_LIFE)), Err(StoreError::NoQuestion(exact.to_string())), "expired");
    allow(NOW).unwrap();
    assert_eq!(allow(NOW), Err(StoreError::NoQuestion(exact.to_string())), "answered");
    let refused = question("b");
    store.ask(&refused, NOW).unwrap();
    store.refuse(&refused.keys.exact, "ada", NOW).unwrap();
    assert_eq!(store.take(&refused.keys, later(1)).unwrap(), Taken::Refused { by: "ada".to_owned() });
    // Whoever looked before the no and asks after it does not undo it.
    store.ask(&refused, later(1)).unwrap();
    assert_eq!(store.take(&refused.keys, later(1)).unwrap(), Taken::Refused { by: "ada".to_owned() });
    assert_eq!(store.take(&refused.keys, NOW.after(QUESTION_LIFE)).unwrap(), Taken::Nothing, "a no expires");
    assert!(store.allow(&refused.keys.exact, Extent::Once, ONCE_LIFE, "ada", NOW).is_err());
    assert_eq!(store.revoke(99, "ada", NOW).map(drop), Err(StoreError::NoGrant(99)));
    for extent in [Extent::Session, Extent::Shape] {
        let bare = ApprovalKeys { session: None, shape: None, ..question("c").keys };
        let asked = ringfort_core::store::Question { keys: bare, ..question("c") };
        store.ask(&asked, NOW).unwrap();
        let error = store.allow(&bare.exact, extent, ONCE_LIFE, "ada", NOW).map(drop);
        assert!(matches!(error, Err(StoreError::Extent { .. })), "{error:?}");
    }
}

#[test]
fn no_approval_holds_longer_than_its_extent_may() {
    let place = Place::new();
    let (store, asked) = (place.store(), question("a"));
    store.ask(&asked, NOW).unwrap();
    let forever = Duration::from_secs(u64::MAX / 2);
    let grant = store.allow(&asked.keys.exact, Extent::Once, forever, "ada", NOW).unwrap();
    assert_eq!(grant.expires, NOW.after(BOUND_LIFE_MAX));
}

#[test]
fn a_question_is_found_by_the_beginning_of_its_digest() {
    let place = Place::new();
    let store = place.store();
    store.ask(&question("a"), NOW).unwrap();
    let digest = question("a").keys.exact.to_string();
    for (prefix, found) in [
        (&digest[..8], true),
        (&digest[..], true),
        (&digest[..7], false),
        ("", false),
        ("zzzzzzzz", false),
        ("00000000", false),
        (&format!("{digest}0")[..], false),
    ] {
        assert_eq!(store.find(prefix, NOW).is_ok(), found, "`{prefix}`");
    }
    assert!(store.find(&digest[..12].to_uppercase(), NOW).is_ok());
    let twin = ApprovalKeys { exact: digest_like(&question("a").keys.exact), ..question("b").keys };
    store.ask(&ringfort_core::store::Question { keys: twin, ..question("b") }, NOW).unwrap();
    assert!(matches!(store.find(&digest[..8], NOW), Err(StoreError::Ambiguous { count: 2, .. })));
    assert!(store.find(&digest, NOW).is_ok());
}

/// Another digest with the same first eight digits.
fn digest_like(digest: &Digest) -> Digest {
    let mut bytes = *digest.as_bytes();
    bytes[31] ^= 1;
    Digest::from_bytes(bytes)
}

#[test]
fn a_question_is_kept_whole_and_counted() {
    let place = Place::new();
    let store = place.store();
    store.ask(&question("a"), NOW).unwrap();
    store.ask(&question("a"), later(5)).unwrap();
    let rows = place.store().questions(Which::Current, later(5)).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].question, question("a"));
    assert_eq!((rows[0].asked, rows[0].asked_last, rows[0].times), (NOW, later(5), 2));
    assert_eq!((rows[0].state, rows[0].expires), (QuestionState::Waiting, later(5).after(QUESTION_LIFE)));
    assert!(place.store().questions(Which::Current, later(100_000)).unwrap().is_empty());
    assert_eq!(place.store().questions(Which::All, later(100_000)).unwrap().len(), 1);
    // After a week it is gone.
    store.ask(&question("b"), later(8 * 24 * 3600)).unwrap();
    assert_eq!(store.questions(Which::All, later(8 * 24 * 3600)).unwrap().len(), 1);
}

#[test]
fn deny_a_flood_of_questions_that_pushes_out_others() {
    let place = Place::new();
    let store = place.store();
    let quiet = Principal::try_user("ada").unwrap().try_child("quiet").unwrap();
    store.ask(&ringfort_core::store::Question { principal: quiet.clone(), ..question("quiet") }, NOW).unwrap();
    for n in 0..QUESTIONS_PER_PRINCIPAL_MAX as u64 + 10 {
        store.ask(&question(&n.to_string()), later(n)).unwrap();
    }
    let rows = store.questions(Which::All, later(1)).unwrap();
    assert_eq!(rows.len(), QUESTIONS_PER_PRINCIPAL_MAX + 1);
    assert!(rows.iter().any(|row| row.question.principal == quiet));
    assert!(!rows.iter().any(|row| row.question.action == "publish 0"), "its own oldest is gone");
    // Many principals cannot fill the disk either, and are told so.
    let mut refused = None;
    for n in 0..QUESTIONS_MAX {
        let principal = Principal::try_user("ada").unwrap().try_child(&format!("agent-{n}")).unwrap();
        let asked = ringfort_core::store::Question { principal, ..question(&format!("many {n}")) };
        refused = store.ask(&asked, later(2)).err();
        if refused.is_some() {
            break;
        }
    }
    assert!(matches!(refused, Some(StoreError::TooMany(_))), "{refused:?}");
    let huge = ringfort_core::store::Question { action: "x".repeat(1 << 20), ..question("huge") };
    assert!(matches!(store.ask(&huge, NOW), Err(StoreError::TooMany(_))));
}
