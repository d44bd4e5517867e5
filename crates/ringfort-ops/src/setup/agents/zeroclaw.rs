// SPDX-License-Identifier: MIT OR Apache-2.0
//! ZeroClaw: no place for a hook from outside.
//!
//! In: nothing. Out: a refusal that says what there is instead.
//!
//! **Invariant:** nothing is edited, so nothing is called wired.

use serde_json::Value;

use super::Agent;
use crate::setup::{Heard, Look, SetupError};

pub(super) const ENTRY: Agent = Agent {
    name: "zeroclaw",
    title: "ZeroClaw",
    programs: &["zeroclaw"],
    folder: |ground| ground.home.join(".zeroclaw"),
    wire: |_, _, _| {
        Err(SetupError::NoPlace(
            "ZeroClaw asks no program from outside before a tool call: its hooks are compiled in. Run the whole agent \
             in a cage (`ringfort run -- zeroclaw agent`), or build it with Ringfort's crates as its security provider",
        ))
    },
    strip: |_, _, _| Ok(Vec::new()),
    look: |_, _, _| Ok(Look::Absent),
    call: |_, _, _| Value::Null,
    hear: |_| Heard::Through("there is no hook".to_owned()),
    note: "",
};
