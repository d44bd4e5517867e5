// SPDX-License-Identifier: MIT OR Apache-2.0
//! Staged git configurations: of what was written inside, the harmless settings take effect, one variable at a time.
//!
//! In: the text at the start, the text written inside, the text outside now. Out: the text to write, which settings
//! are in it, and which are withheld with why. **Invariant:** the result is the text outside with harmless values
//! re-quoted by us; no byte of the text written inside is copied as it stands. Pure; `settle` does the writing.

use super::gitconfig::{Config, Name, Values};
use super::gitkeys::{self, Place};
use std::collections::{BTreeMap, BTreeSet};

/// What to do with the changes of one file.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The new text; `None` if nothing is to be written.
    pub(super) text: Option<Vec<u8>>,
    /// Names that take effect.
    pub(super) applied: Vec<Vec<u8>>,
    /// Names that do not, and why.
    pub(super) withheld: BTreeMap<Vec<u8>, &'static str>,
}

/// Merges what changed between `base` and `inside` into `outside`.
pub(super) fn merge(base: &Config, inside: &Config, outside: &Config, place: Place<'_>) -> Outcome {
    let (before, after, now) = (base.values(), inside.values(), outside.values());
    let mut outcome = Outcome::default();
    let mut changes = Values::new();
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (before.get(name), after.get(name));
        if was == is {
            continue;
        }
        if let Some(why) = refuse(name, &before, &after, &now, place) {
            outcome.withheld.insert(name.clone(), why);
        } else if now.get(name) != is {
            changes.insert(name.clone(), is.cloned().unwrap_or_default());
        }
    }
    withhold_groups(&mut changes, &mut outcome.withheld);
    if changes.is_empty() {
        return outcome;
    }
    match outside.edit(&changes) {
        Some(text) => {
            outcome.applied = changes.into_keys().collect();
            outcome.text = Some(text);
        }
        None => {
            outcome.withheld.extend(changes.into_keys().map(|n| (n, "the file cannot be edited without changing more")))
        }
    }
    outcome
}

fn refuse(name: &[u8], before: &Values, after: &Values, now: &Values, place: Place<'_>) -> Option<&'static str> {
    let (was, is) = (before.get(name), after.get(name));
    // Taking away what is not harmless to set (an include, a hooks path, a proxy) is not harmless either.
    for value in was.into_iter().chain(is).flatten() {
        let why = gitkeys::judge(place, name, value.as_deref());
        if why.is_some() {
            return why;
        }
    }
    if now.get(name) != was && now.get(name) != is {
        return Some("it was changed outside in the meantime");
    }
    // The name of a remote is what people trust: it does not come to mean another place behind their back.
    if let Some(Name { section: b"remote" | b"submodule", subsection: Some(_), key: b"url" | b"pushurl" }) =
        Name::split(name)
    {
        let gone = !after.keys().any(|other| stem(other) == stem(name));
        let had_url = before.contains_key(&[stem(name), b".url"].concat());
        if had_url && !gone {
            return Some("it would redirect a remote that existed before");
        }
    }
    None
}

/// What belongs together stays together: one withheld setting of a remote or branch withholds its others.
fn withhold_groups(changes: &mut Values, withheld: &mut BTreeMap<Vec<u8>, &'static str>) {
    let groups: BTreeSet<Vec<u8>> = withheld
        .keys()
        .filter(|name| Name::split(name).is_some_and(|parts| parts.subsection.is_some()))
        .map(|name| stem(name).to_vec())
        .collect();
    changes.retain(|name, _| {
        let keep = !groups.contains(stem(name));
        if !keep {
            withheld.insert(name.clone(), "it belongs to a setting that is withheld");
        }
        keep
    });
}

fn stem(name: &[u8]) -> &[u8] {
    name.iter().rposition(|b| *b == b'.').and_then(|dot| name.get(..dot)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
