// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the selected security provider is there.

use super::{Check, Report, Subject};

pub(super) const ENTRY: Check = Check { id: "provider", title: "whether the selected provider can be asked", look };

fn look(subject: &Subject<'_>) -> Vec<Report> {
    vec![match &subject.provider {
        Ok(name) => ENTRY.pass(format!("provider `{name}` is selected and ready")),
        Err(why) => ENTRY.fail(why.clone(), "see `ringfort providers`"),
    }]
}
