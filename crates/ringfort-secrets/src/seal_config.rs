// SPDX-License-Identifier: MIT OR Apache-2.0
//! Seals the secrets of a configuration file in their places.
//!
//! In: a text, where its secrets stand (found by the schema, not here), and keys. Out: a [`Plan`]: the new text, and what
//! changes, without values.
//!
//! **Invariant:** only values change, each in its own place; every new text was opened again and held the same value
//! before the plan is given out. A value that cannot be opened stops the plan; nothing is written here.

use std::ops::Range;

use ringfort_core::secret::Secret;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::locked::Locked;
use crate::sealed_text::{
    Enc2Key, Form, SealedTextError, TextKey, UnknownForm, migrate_enc, open_enc2, open_enc3, seal_enc2, seal_enc3,
};

/// One secret of a file.
#[derive(Debug)]
pub struct Place {
    /// Its dotted key.
    pub key: String,
    /// The value as it is written, quotes included: byte offsets.
    pub span: Range<usize>,
    /// Its line, from 1.
    pub line: usize,
    /// Its form, or why it has none that is known.
    pub form: Result<Form, UnknownForm>,
    /// The text itself.
    pub text: Secret<String>,
}

/// The form that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// `enc3:`, bound to the store and to the key.
    #[default]
    Enc3,
    /// `enc2:`, for another program that reads the file.
    Enc2,
}

/// What is sealed besides plain values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Nothing: sealed values stay as they are.
    #[default]
    Plain,
    /// Values in any other form, the one without integrity too; and `enc3:` values of an earlier key of the store.
    Migrate,
}

/// The keys that are at hand.
#[derive(Default)]
pub struct Keys<'k> {
    /// The key of the key file beside the configuration.
    pub enc2: Option<&'k Enc2Key>,
    /// The key of the store.
    pub enc3: Option<&'k TextKey>,
}

/// Why no plan was made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealConfigError {
    /// A value could not be opened or sealed.
    #[error("line {line}: `{key}`")]
    Value {
        /// Its key.
        key: String,
        /// Its line.
        line: usize,
        /// Why.
        source: SealedTextError,
    },
    /// A key is needed that is not at hand.
    #[error("line {line}: `{key}`: the key for `{form}:` is not at hand")]
    NoKey {
        /// The dotted key.
        key: String,
        /// Its line.
        line: usize,
        /// The form.
        form: Form,
    },
    /// A place does not lie in the text.
    #[error("line {line}: `{key}` was not found where it was said to be")]
    Place {
        /// The dotted key.
        key: String,
        /// Its line.
        line: usize,
    },
}

/// One value that changes its form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its dotted key.
    pub key: String,
    /// Its line.
    pub line: usize,
    /// The form that it has.
    pub from: Form,
    /// The form that it gets.
    pub to: Form,
}

/// One value that stays as it is, although it is not sealed as it could be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Its dotted key.
    pub key: String,
    /// Its line.
    pub line: usize,
    /// Why it stays, and what to do.
    pub why: String,
}

/// What sealing would do.
#[derive(Debug)]
pub struct Plan {
    /// The new text.
    pub after: Zeroizing<String>,
    /// The values that change.
    pub changes: Vec<Change>,
    /// The values that stay, for a reason.
    pub left: Vec<Left>,
}

/// What is told of a plan, without values.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The values that change.
    pub changes: Vec<Change>,
    /// The values that stay, for a reason.
    pub left: Vec<Left>,
}

impl Plan {
    /// What is told of it.
    pub fn report(&self) -> Report {
        Report { changes: self.changes.clone(), left: self.left.clone() }
    }
}

/// Whether a plan needs the key file, or the key of the store, and so whether to make or open one.
pub fn needs(places: &[Place], target: Target, scope: Scope) -> (bool, bool) {
    let asked = |form: Form| places.iter().any(|place| place.form == Ok(form) && !place.text.expose().is_empty());
    let migrates = scope == Scope::Migrate;
    let seals = places.iter().any(|place| {
        place.form.as_ref().is_ok_and(|form| is_sealed_anew(*form, target, scope)) && !place.text.expose().is_empty()
    });
    let enc2 = (seals && target == Target::Enc2) || (migrates && (asked(Form::Enc2) || asked(Form::Enc)));
    let enc3 = (seals && target == Target::Enc3) || (migrates && asked(Form::Enc3));
    (enc2, enc3)
}

const fn is_sealed_anew(form: Form, target: Target, scope: Scope) -> bool {
    match (form, scope) {
        // `enc3:` values of the newest key are left as they are; see `one`.
        (Form::Plain, _) | (Form::Enc | Form::Enc3, Scope::Migrate) => true,
        (Form::Enc2, Scope::Migrate) => matches!(target, Target::Enc3),
        _ => false,
    }
}

/// Plans the sealing of `places` of `text`. The text goes into the file, if it is the plan's, as a whole.
///
/// # Errors
///
/// [`SealConfigError`]: there is no plan.
pub fn plan(
    text: &str,
    places: &[Place],
    target: Target,
    scope: Scope,
    keys: &Keys<'_>,
) -> Result<Plan, SealConfigError> {
    let mut plan = Plan { after: Zeroizing::new(String::new()), changes: Vec::new(), left: Vec::new() };
    let mut fresh: Vec<(Range<usize>, String)> = Vec::new();
    for place in places {
        if place.text.expose().is_empty() {
            continue;
        }
        match one(place, target, scope, keys)? {
            Step::Keep => {}
            Step::Leave(why) => plan.left.push(Left { key: place.key.clone(), line: place.line, why }),
            Step::Change(from, sealed) => {
                let to = if target == Target::Enc3 { Form::Enc3 } else { Form::Enc2 };
                plan.changes.push(Change { key: place.key.clone(), line: place.line, from, to });
                fresh.push((place.span.clone(), sealed));
            }
        }
    }
    plan.after = spliced(text, places, &fresh)?;
    Ok(plan)
}

/// What a plan would change, told without keys: nothing is opened, and the text stays empty.
pub fn outline(places: &[Place], target: Target, scope: Scope) -> Plan {
    let to = if target == Target::Enc3 { Form::Enc3 } else { Form::Enc2 };
    let mut plan = Plan { after: Zeroizing::new(String::new()), changes: Vec::new(), left: Vec::new() };
    for place in places.iter().filter(|place| !place.text.expose().is_empty()) {
        let (key, line) = (place.key.clone(), place.line);
        match &place.form {
            Err(error) => plan.left.push(Left { key, line, why: error.to_string() }),
            Ok(form) => match stays(*form, scope) {
                Some(why) => plan.left.push(Left { key, line, why: why.to_owned() }),
                None if is_sealed_anew(*form, target, scope) && *form != to => {
                    plan.changes.push(Change { key, line, from: *form, to });
                }
                None => {}
            },
        }
    }
    plan
}

/// Why a value stays although it is not sealed as it could be.
const fn stays(form: Form, scope: Scope) -> Option<&'static str> {
    match (form, scope) {
        (Form::OnePassword, _) => Some("`op://` names a value of 1Password: write the value itself, then seal it"),
        (Form::Enc, Scope::Plain) => Some("`enc:` is read by `--migrate` only: look at the value afterwards"),
        _ => None,
    }
}

enum Step {
    Keep,
    Leave(String),
    Change(Form, String),
}

fn one(place: &Place, target: Target, scope: Scope, keys: &Keys<'_>) -> Result<Step, SealConfigError> {
    let fault = |source| SealConfigError::Value { key: place.key.clone(), line: place.line, source };
    let no_key = |form| SealConfigError::NoKey { key: place.key.clone(), line: place.line, form };
    let form = place.form.clone().map_err(|error| fault(error.into()))?;
    let text = place.text.expose();
    if let Some(why) = stays(form, scope) {
        return Ok(Step::Leave(why.to_owned()));
    }
    if !is_sealed_anew(form, target, scope) {
        return Ok(Step::Keep);
    }
    let value = match form {
        Form::Plain => Locked::copy_of(text.as_bytes()).map_err(|error| fault(error.into()))?,
        Form::Enc => migrate_enc(keys.enc2.ok_or_else(|| no_key(form))?, text).map_err(fault)?,
        Form::Enc2 => open_enc2(keys.enc2.ok_or_else(|| no_key(form))?, text).map_err(fault)?,
        Form::Enc3 => {
            let key = keys.enc3.ok_or_else(|| no_key(form))?;
            let value = open_enc3(key, &place.key, text).map_err(fault)?;
            if target == Target::Enc3 && key.is_newest(&place.key, text) {
                return Ok(Step::Keep);
            }
            value
        }
        Form::OnePassword => return Err(fault(SealedTextError::OnePassword)),
    };
    let (sealed, again) = match target {
        Target::Enc3 => {
            let key = keys.enc3.ok_or_else(|| no_key(Form::Enc3))?;
            let sealed = seal_enc3(key, &place.key, value.expose()).map_err(fault)?;
            let again = open_enc3(key, &place.key, &sealed).map_err(fault)?;
            (sealed, again)
        }
        Target::Enc2 => {
            let key = keys.enc2.ok_or_else(|| no_key(Form::Enc2))?;
            let sealed = seal_enc2(key, value.expose()).map_err(fault)?;
            let again = open_enc2(key, &sealed).map_err(fault)?;
            (sealed, again)
        }
    };
    if !again.equals(value.expose()) {
        return Err(fault(SealedTextError::Cipher));
    }
    Ok(Step::Change(form, sealed))
}

/// The text with fresh values in their places. Sealed texts need no escapes.
fn spliced(
    text: &str,
    places: &[Place],
    fresh: &[(Range<usize>, String)],
) -> Result<Zeroizing<String>, SealConfigError> {
    let longer: usize = fresh.iter().map(|(_, sealed)| sealed.len() + 2).sum();
    // Never grows: no copy is left behind.
    let mut after = Zeroizing::new(String::with_capacity(text.len() + longer));
    let mut at = 0;
    for (span, sealed) in fresh {
        let before = text.get(at..span.start).filter(|_| text.get(span.clone()).is_some_and(is_literal));
        let Some(before) = before else {
            let place = places.iter().find(|place| place.span == *span);
            let (key, line) = place.map_or((String::new(), 0), |place| (place.key.clone(), place.line));
            return Err(SealConfigError::Place { key, line });
        };
        after.push_str(before);
        after.push('"');
        after.push_str(sealed);
        after.push('"');
        at = span.end;
    }
    after.push_str(text.get(at..).unwrap_or_default());
    Ok(after)
}

/// Whether this is a text as TOML writes it.
fn is_literal(text: &str) -> bool {
    let quoted = |quote| text.len() >= 2 && text.starts_with(quote) && text.ends_with(quote);
    quoted('"') || quoted('\'')
}

#[cfg(test)]
mod tests;
