// SPDX-License-Identifier: MIT OR Apache-2.0
//! What doors answer to a ruling.

use std::collections::BTreeSet;

use proptest::prelude::*;
use ringfort_core::decision::Decision::{self, Allow, Ask, Deny};
use ringfort_core::decision::Risk;
use ringfort_core::door::{Door, DoorKind, Standing};
use ringfort_core::obligation::{Demand, Promise};
use ringfort_core::ruling::{Reason, Ruling};

use crate::strategies::{promises, ruling};

fn ruled(decision: Decision) -> Ruling {
    Ruling::new(decision, Risk::Low, Reason::new("test-001", decision, "because"))
}

fn isolated(decision: Decision, needed: &[Promise]) -> Ruling {
    let mut ruling = ruled(decision);
    ruling.obligations.isolate = Some(needed.iter().copied().collect());
    ruling
}

fn cage(kept: &[Promise]) -> Door {
    Door { isolates: kept.iter().copied().collect(), ..Door::bare(DoorKind::Run, Standing::Caged) }
}

#[test]
fn deny_what_a_door_cannot_fulfil() {
    let hook = Door::bare(DoorKind::Hook, Standing::Advised);
    let full = cage(&Promise::ALL);
    let weak = cage(&[Promise::ConfineWrites]);
    let mut unknown = ruled(Allow);
    unknown.obligations.unknown = BTreeSet::from(["notarise".to_owned()]);
    let mut redacted = ruled(Allow);
    redacted.obligations.redact = Demand::Demanded;
    for (door, ruling, expected) in [
        (&full, isolated(Allow, &[Promise::NoNetwork]), Allow),
        (&hook, isolated(Allow, &[Promise::NoNetwork]), Ask),
        (&hook, isolated(Ask, &[Promise::NoNetwork]), Deny),
        (&weak, isolated(Allow, &[Promise::NoNetwork]), Deny),
        (&full, isolated(Ask, &[Promise::NoNetwork]), Ask),
        (&full, isolated(Deny, &[]), Deny),
        (&hook, ruled(Allow), Allow),
        (&full, unknown, Deny),
        (&hook, redacted, Deny),
    ] {
        let resolved = door.resolve(ruling.clone());
        assert_eq!(resolved.decision, expected, "{:?} at {:?}", ruling.obligations, door.kind);
    }
}

proptest! {
    #[test]
    fn no_escalation_no_door_answers_less_strictly(ruling in ruling(), kept in promises(), redacts: bool) {
        let redacts = if redacts { Demand::Demanded } else { Demand::NotDemanded };
        let door = Door { isolates: kept, redacts, ..Door::bare(DoorKind::Gateway, Standing::Caged) };
        prop_assert!(door.resolve(ruling.clone()).decision >= ruling.decision);
    }
}
