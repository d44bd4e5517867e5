// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options that say what a secret may be used for.
//!
//! In: options. Out: a [`Change`].
//!
//! **Invariant:** a list that is named is replaced as a whole; what is not named stays as it is.

use std::collections::BTreeMap;

use clap::Args;
use ringfort_core::clock::Timestamp;
use ringfort_policy::domain::HostPattern;
use ringfort_secrets::store::Change;

use super::Failure;
use crate::commands::approvals::duration;
use crate::commands::run::secrets::variable_name;

/// What a secret may be used for.
#[derive(Debug, Default, Args)]
pub(super) struct Limits {
    /// A label, for example `team=web`; replaces all labels, repeat it for more
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// When it is not given out any more, from now: 12h, 90d
    #[arg(long, value_name = "DURATION")]
    expires: Option<String>,
    /// How often it is to be replaced: 30d
    #[arg(long, value_name = "DURATION")]
    rotate_every: Option<String>,
    /// Who may have it: a user, or an agent by the name of its program; repeat it for more
    #[arg(long, value_name = "NAME")]
    principal: Vec<String>,
    /// For which hosts it is; a run with a network is not given it as a variable then; repeat it for more
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// Which program may have it; repeat it for more
    #[arg(long, value_name = "PROGRAM")]
    tool: Vec<String>,
    /// In which variable it may be given; the first is the one where `--secret ID` names none; repeat it for more
    #[arg(long = "env", value_name = "VARIABLE")]
    variable: Vec<String>,
    /// How many earlier versions are kept, 0 to 16
    #[arg(long, value_name = "COUNT")]
    keep: Option<u32>,
}

/// Options that take limits away.
#[derive(Debug, Default, Args)]
pub(super) struct Unlimited {
    /// Take all labels away
    #[arg(long, conflicts_with = "label")]
    no_label: bool,
    /// It does not expire
    #[arg(long, conflicts_with = "expires")]
    never_expires: bool,
    /// Nobody is reminded to replace it
    #[arg(long, conflicts_with = "rotate_every")]
    never_rotate: bool,
    /// Everybody may have it
    #[arg(long, conflicts_with = "principal")]
    any_principal: bool,
    /// It is for any host
    #[arg(long, conflicts_with = "host")]
    any_host: bool,
    /// Any program may have it
    #[arg(long, conflicts_with = "tool")]
    any_tool: bool,
    /// It may be given in any variable
    #[arg(long, conflicts_with = "variable")]
    any_env: bool,
}

impl Limits {
    /// The change that the options ask for.
    ///
    /// # Errors
    ///
    /// An option is not understood.
    pub(super) fn change(&self, now: Timestamp) -> Result<Change, Failure> {
        let mut change = Change::at(now);
        if !self.label.is_empty() {
            change.labels = Some(labels(&self.label)?);
        }
        if let Some(expires) = &self.expires {
            change.expires = Some(Some(now.after(duration(expires)?)));
        }
        if let Some(every) = &self.rotate_every {
            change.rotate_every = Some(Some(duration(every)?));
        }
        for host in &self.host {
            HostPattern::parse(host).map_err(Failure::usage)?;
        }
        for name in &self.variable {
            variable_name(name)?;
        }
        let list = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
        change.principals = list(&self.principal);
        change.hosts = list(&self.host);
        change.tools = list(&self.tool);
        change.environments = list(&self.variable);
        change.keep = self.keep;
        Ok(change)
    }
}

impl Unlimited {
    /// Takes away what the options say.
    pub(super) fn apply(&self, change: &mut Change) {
        fn clear<T: Default>(field: &mut Option<T>, is_asked: bool) {
            if is_asked {
                *field = Some(T::default());
            }
        }
        clear(&mut change.labels, self.no_label);
        clear(&mut change.expires, self.never_expires);
        clear(&mut change.rotate_every, self.never_rotate);
        clear(&mut change.principals, self.any_principal);
        clear(&mut change.hosts, self.any_host);
        clear(&mut change.tools, self.any_tool);
        clear(&mut change.environments, self.any_env);
    }
}

fn labels(words: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let pair = |word: &String| {
        let error = || Failure::usage(anyhow::anyhow!("a label is of the form KEY=VALUE"));
        word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(error)
    };
    words.iter().map(pair).collect()
}
