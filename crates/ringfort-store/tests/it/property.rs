// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any order of questions, answers, uses and waits agrees with a model that is a few lines long.

use std::time::Duration;

use proptest::prelude::*;
use ringfort_core::clock::Timestamp;
use ringfort_core::store::{ApprovalDesk, ApprovalStore, Extent, QUESTION_LIFE, Taken};

use crate::support::{NOW, Place, question};

#[derive(Clone, Debug)]
enum Step {
    Ask(usize),
    Allow(usize, Extent, u64),
    Refuse(usize),
    Take(usize),
    Revoke(usize),
    Wait(u64),
}

#[derive(Clone, Copy)]
struct Asked {
    expires: Timestamp,
    waits: bool,
    refused: bool,
}

struct Grant {
    of: usize,
    extent: Extent,
    expires: Timestamp,
    live: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let extent = prop_oneof![Just(Extent::Once), Just(Extent::Session), Just(Extent::Shape)];
    prop_oneof![
        (0..3_usize).prop_map(Step::Ask),
        (0..3_usize, extent, 1..900_u64).prop_map(|(n, extent, life)| Step::Allow(n, extent, life)),
        (0..3_usize).prop_map(Step::Refuse),
        (0..3_usize).prop_map(Step::Take),
        (0..6_usize).prop_map(Step::Revoke),
        (1..600_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_store_agrees_with_the_model(steps in prop::collection::vec(step(), 1..40)) {
        let place = Place::new();
        let store = place.store();
        let mut now = NOW;
        let mut asked: [Option<Asked>; 3] = [None; 3];
        let mut grants: Vec<Grant> = Vec::new();
        for step in steps {
            match step {
                Step::Wait(seconds) => now = now.after(Duration::from_secs(seconds)),
                Step::Ask(n) => {
                    store.ask(&question(&n.to_string()), now).unwrap();
                    if !asked[n].is_some_and(|asked| asked.refused && asked.expires > now) {
                        asked[n] = Some(Asked { expires: now.after(QUESTION_LIFE), waits: true, refused: false });
                    }
                }
                Step::Allow(n, extent, life) => {
                    let life = Duration::from_secs(life);
                    let exact = question(&n.to_string()).keys.exact;
                    let waits = asked[n].is_some_and(|asked| asked.waits && asked.expires > now);
                    prop_assert_eq!(store.allow(&exact, extent, life, "ada", now).is_ok(), waits);
                    if let Some(asked) = asked[n].as_mut().filter(|_| waits) {
                        asked.waits = false;
                        grants.push(Grant { of: n, extent, expires: now.after(life), live: true });
                    }
                }
                Step::Refuse(n) => {
                    let waits = asked[n].is_some_and(|asked| asked.waits && asked.expires > now);
                    prop_assert_eq!(store.refuse(&question(&n.to_string()).keys.exact, "ada", now).is_ok(), waits);
                    if let Some(asked) = asked[n].as_mut().filter(|_| waits) {
                        (asked.waits, asked.refused) = (false, true);
                    }
                }
                Step::Revoke(n) => {
                    let live = grants.get(n).is_some_and(|grant| grant.live && grant.expires > now);
                    prop_assert_eq!(store.revoke(n as i64 + 1, "ada", now).is_ok(), live);
                    if let Some(grant) = grants.get_mut(n).filter(|_| live) {
                        grant.live = false;
                    }
                }
                Step::Take(n) => {
                    let refused = asked[n].is_some_and(|asked| asked.refused && asked.expires > now);
                    let rank = |grant: &Grant| [Extent::Session, Extent::Shape, Extent::Once].iter().position(|e| *e == grant.extent);
                    let best = grants.iter_mut().filter(|grant| grant.of == n && grant.live && grant.expires > now).min_by_key(|grant| rank(grant));
                    let taken = store.take(&question(&n.to_string()).keys, now).unwrap();
                    match (refused, best, taken) {
                        (true, _, Taken::Refused { .. }) | (false, None, Taken::Nothing) => {}
                        (false, Some(grant), Taken::Granted { extent, .. }) if extent == grant.extent => {
                            grant.live = extent != Extent::Once;
                        }
                        (refused, best, taken) => prop_assert!(false, "{refused} {} {taken:?}", best.is_some()),
                    }
                }
            }
        }
    }
}
