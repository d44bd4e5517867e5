// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--require`: what must hold besides what the policy requires.
//!
//! In: words of the command line. Out: a stricter profile.
//!
//! **Invariant:** it only ever makes the profile stricter; a word that is neither a degree nor a promise is an error.

use std::collections::BTreeSet;
use std::ffi::OsStr;

use ringfort_core::degree::Degree;
use ringfort_core::obligation::Promise;
use ringfort_sandbox::profile::Profile;

use super::super::Failure;

/// What must hold besides what the policy requires.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Requirement {
    degree: Option<Degree>,
    promises: BTreeSet<Promise>,
}

impl Requirement {
    /// Adds words separated by commas.
    pub(super) fn add(&mut self, words: &OsStr) -> Result<(), Failure> {
        for word in words.to_string_lossy().split(',') {
            let promise = Promise::ALL.into_iter().find(|promise| promise.as_str() == word);
            match (Degree::parse(word), promise) {
                // The stronger one counts.
                (Some(degree), _) => self.degree = Some(self.degree.map_or(degree, |before| before.min(degree))),
                (None, Some(promise)) => drop(self.promises.insert(promise)),
                (None, None) => {
                    let promises: Vec<&str> = Promise::ALL.iter().map(|promise| promise.as_str()).collect();
                    let error = anyhow::anyhow!("`--require` knows no `{}`", super::super::shown(&word.into()));
                    return Err(Failure::usage(error)
                        .help(format!("it takes `full`, `reduced`, `minimal`, or promises: {}", promises.join(", "))));
                }
            }
        }
        Ok(())
    }

    /// Only ever makes the profile stricter.
    pub(super) fn tighten(&self, profile: &mut Profile) {
        profile.require.extend(&self.promises);
        profile.degree_min = self.degree.map_or(profile.degree_min, |degree| degree.min(profile.degree_min));
        if let Some(degree) = self.degree {
            profile.require.extend(degree.promises());
        }
    }
}
