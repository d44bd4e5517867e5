// SPDX-License-Identifier: MIT OR Apache-2.0
//! Merging answers is commutative, associative, idempotent and monotone, over every field.

use proptest::prelude::*;
use ringfort_core::decision::Decision;
use ringfort_core::obligation::Obligations;
use ringfort_core::ruling::Ruling;

use crate::strategies::ruling;

/// Whether `strict` demands everything that `base` demands.
fn demands_as_much(strict: &Obligations, base: &Obligations) -> bool {
    let at_most = |strict: Option<u64>, base: Option<u64>| base.is_none_or(|base| strict.is_some_and(|s| s <= base));
    let (a, b) = (&strict.limits, &base.limits);
    base.isolate.as_ref().is_none_or(|base| strict.isolate.as_ref().is_some_and(|strict| base.is_subset(strict)))
        && strict.redact >= base.redact
        && at_most(a.wall_ms_max, b.wall_ms_max)
        && at_most(a.cpu_ms_max, b.cpu_ms_max)
        && at_most(a.memory_bytes_max, b.memory_bytes_max)
        && at_most(a.processes_max, b.processes_max)
        && at_most(a.output_bytes_max, b.output_bytes_max)
        && at_most(a.file_bytes_max, b.file_bytes_max)
        && at_most(a.cpu_percent_max, b.cpu_percent_max)
        && base.profiles.as_ref().is_none_or(|base| strict.profiles.as_ref().is_some_and(|s| s.is_subset(base)))
        && strict.approval >= base.approval
        && base.unknown.is_subset(&strict.unknown)
}

proptest! {
    #[test]
    fn no_escalation_merge_is_a_semilattice(a in ruling(), b in ruling(), c in ruling()) {
        prop_assert_eq!(a.clone().merge(b.clone()), b.clone().merge(a.clone()));
        prop_assert_eq!(a.clone().merge(b.clone()).merge(c.clone()), a.clone().merge(b.merge(c)));
        prop_assert_eq!(a.clone().merge(a.clone()), a);
    }

    #[test]
    fn no_escalation_merge_is_monotone(a in ruling(), b in ruling()) {
        let both = a.clone().merge(b.clone());
        for one in [&a, &b] {
            prop_assert!(both.decision >= one.decision && both.risk >= one.risk);
            prop_assert!(demands_as_much(&both.obligations, &one.obligations));
            prop_assert!(one.reasons.iter().all(|reason| both.reasons.contains(reason)));
            prop_assert!(one.effects.iter().all(|effect| both.effects.contains(effect)));
        }
        if both.obligations.is_unsatisfiable() {
            prop_assert_eq!(both.decision, Decision::Deny);
        }
    }

    #[test]
    fn no_escalation_strictest_is_order_free(mut rulings in prop::collection::vec(ruling(), 0..4)) {
        let forwards = Ruling::strictest(rulings.clone());
        rulings.reverse();
        prop_assert_eq!(&Ruling::strictest(rulings.clone()), &forwards);
        prop_assert!(!rulings.is_empty() || forwards.decision == Decision::Deny);
    }
}
