// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the configuration loads, and what a person should know of it.

use super::{Check, Report, Subject};

pub(super) const ENTRY: Check = Check { id: "policy", title: "whether the configuration is understood", look };

fn look(subject: &Subject<'_>) -> Vec<Report> {
    match &subject.policy {
        Ok(notices) if notices.is_empty() => vec![ENTRY.pass("the configuration loads")],
        Ok(notices) => notices.iter().map(|notice| ENTRY.warn(notice.clone(), "see `ringfort policy show`")).collect(),
        Err(why) => vec![ENTRY.fail(why.clone(), "mend the file; nothing runs until it is understood")],
    }
}
