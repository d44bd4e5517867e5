// SPDX-License-Identifier: MIT OR Apache-2.0
//! Generators of rulings over every field.

use std::collections::BTreeSet;

use proptest::collection::{btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::effect::{Effect, EffectKind, Span};
use ringfort_core::obligation::{ApprovalChannel, Demand, LimitObligation, Obligations, Promise};
use ringfort_core::ruling::{Reason, Remedy, Ring, Ruling};

pub(crate) fn decision() -> impl Strategy<Value = Decision> {
    prop::sample::select(vec![Decision::Allow, Decision::Ask, Decision::Deny])
}

fn risk() -> impl Strategy<Value = Risk> {
    prop::sample::select(vec![Risk::Low, Risk::Medium, Risk::High, Risk::Critical])
}

pub(crate) fn promises() -> impl Strategy<Value = BTreeSet<Promise>> {
    btree_set(prop::sample::select(Promise::ALL.to_vec()), 0..8)
}

fn reason() -> impl Strategy<Value = Reason> {
    let ring = prop::sample::select(vec![Ring::Network, Ring::Authorization, Ring::Isolation, Ring::Data]);
    (decision(), 0..4_u8, ring, of((0..9_usize, 0..9_usize)), 0..3_u8).prop_map(
        |(decision, rule, ring, span, remedy)| Reason {
            decision,
            rule: format!("test-00{rule}"),
            ring,
            span: span.map(Span::from),
            message: "because".to_owned(),
            remedy: match remedy {
                0 => None,
                1 => Some(Remedy::Anyone("narrow".to_owned())),
                _ => Some(Remedy::Person("widen".to_owned())),
            },
        },
    )
}

fn limits() -> impl Strategy<Value = LimitObligation> {
    let limit = || of(0..4_u64);
    let limits = (limit(), limit(), limit(), limit(), limit(), limit(), limit());
    limits.prop_map(|(wall, cpu, memory, processes, output, file, share)| LimitObligation {
        wall_ms_max: wall,
        cpu_ms_max: cpu,
        memory_bytes_max: memory,
        processes_max: processes,
        output_bytes_max: output,
        file_bytes_max: file,
        cpu_percent_max: share,
    })
}

fn obligations() -> impl Strategy<Value = Obligations> {
    let channel =
        prop::sample::select(vec![ApprovalChannel::Person, ApprovalChannel::Trusted, ApprovalChannel::TwoPersons]);
    let names = |count| btree_set(prop::sample::select(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]), 0..count);
    (of(promises()), any::<bool>(), limits(), of(names(4)), of(channel), names(2)).prop_map(
        |(isolate, redact, limits, profiles, approval, unknown)| Obligations {
            isolate,
            redact: if redact { Demand::Demanded } else { Demand::NotDemanded },
            limits,
            profiles,
            approval,
            unknown,
        },
    )
}

fn effect() -> impl Strategy<Value = Effect> {
    let kind = prop::sample::select(vec![EffectKind::ReadPath, EffectKind::WritePath, EffectKind::Unknown]);
    (kind, of(prop::sample::select(vec!["/a".to_owned(), "/b".to_owned()])), (0..5_usize, 0..5_usize))
        .prop_map(|(kind, target, span)| Effect { kind, target, span: span.into() })
}

/// A ruling in the form that merging yields: sorted, and denied where no profile is left.
pub(crate) fn ruling() -> impl Strategy<Value = Ruling> {
    (decision(), risk(), vec(reason(), 0..5), obligations(), vec(effect(), 0..4)).prop_map(
        |(decision, risk, reasons, obligations, effects)| {
            let ruling = Ruling { decision, risk, reasons, obligations, effects };
            ruling.clone().merge(ruling)
        },
    )
}
