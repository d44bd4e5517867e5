// SPDX-License-Identifier: MIT OR Apache-2.0
//! What killed sessions left behind, ended and removed at the next start.
//!
//! In: the state folder. Out: notices for the person, and an entry on the record for each session.
//!
//! **Invariant:** a session that lives is not touched; processes are ended before what names their session is removed.

use std::collections::BTreeMap;

use ringfort_audit::Trail;
use ringfort_core::entry::Entry;
use ringfort_runtime::state::StateFolder;
use ringfort_sandbox::group::sweep_groups;
use ringfort_sandbox::orphans;

use crate::commands::Failure;

/// Ends and removes what killed sessions left: processes, control groups, private folders. Says so, and records it.
///
/// # Errors
///
/// It cannot be recorded; nothing has started.
pub(super) fn sweep(state: &StateFolder, trail: &Trail, notices: &mut Vec<String>) -> Result<(), Failure> {
    let mut ended = BTreeMap::new();
    let swept = state.sweep(|name| {
        if let Some(count) = orphans::mark_of(name).map(orphans::sweep) {
            ended.insert(name.to_owned(), count);
        }
    });
    if swept.is_empty() {
        return Ok(());
    }
    let groups = sweep_groups().len();
    for name in swept {
        let processes = ended.get(&name).copied().unwrap_or(0);
        let left = match processes {
            0 => String::new(),
            1 => "one process that it left was ended, ".to_owned(),
            count => format!("{count} processes that it left were ended, "),
        };
        notices.push(format!(
            "session {name} was killed: {left}what it left in the state folder was removed; start-up files in its \
             workspace were not inspected"
        ));
        let entry = Entry::event("session.swept").fact("session", name).fact("processes", processes);
        trail.append(&entry, ringfort_audit::Durability::Written).map_err(Failure::guard)?;
    }
    if groups > 0 {
        notices.push(format!("{groups} control groups of killed sessions were removed"));
    }
    Ok(())
}
