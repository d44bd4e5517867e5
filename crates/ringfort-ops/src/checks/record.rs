// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the record is whole.

use ringfort_audit::verify::verify;

use super::{Check, Report, Subject};

pub(super) const ENTRY: Check = Check { id: "record", title: "whether the record is whole", look };

fn look(subject: &Subject<'_>) -> Vec<Report> {
    let folder = subject.state.join("trail");
    match verify(&folder) {
        Ok(report) => match report.fault {
            None => vec![ENTRY.pass(format!("the record is whole: {} entries", report.entries))],
            Some(fault) => vec![ENTRY.fail(
                format!("the record is not whole: {fault}"),
                "keep a copy of the folder; `ringfort trail verify --json` names the fault",
            )],
        },
        Err(error) => {
            vec![ENTRY.fail(format!("the record cannot be read: {error}"), "see the state folder's owner and mode")]
        }
    }
}
