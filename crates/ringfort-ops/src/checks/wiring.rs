// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether decisions and the record stand in the path: a forbidden request was really put through the pipeline.

use ringfort_core::decision::Decision;

use super::{Check, Report, Subject};

pub(super) const ENTRY: Check =
    Check { id: "wiring", title: "whether a forbidden request is stopped and recorded", look };

fn look(subject: &Subject<'_>) -> Vec<Report> {
    let refused = match &subject.refused {
        Ok(refused) => refused,
        Err(why) => {
            return vec![
                ENTRY.fail(format!("no request could be put through: {why}"), "nothing can run until this is mended"),
            ];
        }
    };
    let stopped = if refused.ruling.decision == Decision::Deny {
        let rules: Vec<&str> = refused.ruling.deciding().map(|reason| reason.rule.as_str()).collect();
        ENTRY.pass(format!("a forbidden command was denied by {}", rules.join(", ")))
    } else {
        ENTRY.fail("a forbidden command was not denied", "look at `ringfort policy show`")
    };
    let recorded = if refused.recorded {
        ENTRY.pass("the denial is on the record")
    } else {
        ENTRY.fail("the denial is not on the record", "run `ringfort trail verify`, and look at the space left")
    };
    vec![stopped, recorded]
}
