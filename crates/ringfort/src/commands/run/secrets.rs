// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--secret`: what a run is given of the store.
//!
//! In: `ID` or `ID=VARIABLE`. Out: wishes, and the keeper that answers them.
//!
//! **Invariant:** the store is opened once the command itself was admitted, and not at all without `--secret`. No variable
//! is taken that decides what a program loads, starts or trusts.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::ffi::OsStr;

use ringfort_core::clock::Timestamp;
use ringfort_core::digest::Digest;
use ringfort_core::execute::Execute as _;
use ringfort_core::permit::Permit;
use ringfort_core::request::Request;
use ringfort_core::ruling::Ruling;
use ringfort_core::secret::Secret;
use ringfort_runtime::secrets::{Given, Keeper, Recipient, WISHES_MAX, Wish};
use ringfort_secrets::id::SecretId;
use ringfort_secrets::release::{self, Release, judge};
use ringfort_secrets::store::{StoreError, Vault};

use crate::commands::Failure;
use crate::vault::{Missing, Opener, unusable};

/// Longest name of a variable. Bytes.
const VARIABLE_BYTES_MAX: usize = 128;
/// Variables by which programs are found and people known, or that lead a program's traffic or trust elsewhere.
const OWN_VARIABLES: [&str; 33] = [
    "PATH",
    "HOME",
    "SHELL",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "TMP",
    "TEMP",
    "PWD",
    "OLDPWD",
    "TERM",
    "LANG",
    "LC_*",
    "XDG_*",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "LESSOPEN",
    "LESSCLOSE",
    "BROWSER",
    "*_PROXY",
    "*_proxy",
    "SSL_CERT_*",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "GIT_ASKPASS",
    "SSH_ASKPASS",
    "GIT_EDITOR",
    "GIT_PAGER",
    "GIT_EXTERNAL_DIFF",
    "GIT_PROXY_COMMAND",
    "GIT_DIR",
];

/// What was named; the variable may be left to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    id: SecretId,
    variable: Option<String>,
}

impl Named {
    /// Reads `ID` or `ID=VARIABLE`.
    ///
    /// # Errors
    ///
    /// It is neither, or the variable may not be set.
    pub(super) fn parse(word: &OsStr) -> Result<Self, Failure> {
        // What is no id may be a value that somebody typed: it is not repeated.
        let unread = || {
            Failure::usage(anyhow::anyhow!("`--secret` names a stored secret: ID or ID=VARIABLE"))
                .help("for example `--secret github.token=GITHUB_TOKEN`; `ringfort secrets list` shows the ids")
        };
        let text = word.to_str().ok_or_else(unread)?;
        let (id, variable) = text.split_once('=').map_or((text, None), |(id, variable)| (id, Some(variable)));
        let id: SecretId = id.parse().map_err(|_unread| unread())?;
        if let Some(variable) = variable {
            variable_name(variable)?;
        }
        Ok(Self { id, variable: variable.map(str::to_owned) })
    }

    /// The word that [`Named::parse`] reads.
    pub(super) fn wish(&self) -> Wish {
        let variable = self.variable.clone().unwrap_or_else(|| default_variable(self.id.as_str()));
        Wish { id: self.id.to_string(), variable }
    }
}

/// The wishes of a command line: each variable once, and not too many.
///
/// # Errors
///
/// Two secrets are wanted in one variable, or there are too many.
pub(super) fn wishes(named: &[Named]) -> Result<Vec<Wish>, Failure> {
    if named.len() > WISHES_MAX {
        return Err(Failure::usage(anyhow::anyhow!("a run is given {WISHES_MAX} secrets at most")));
    }
    let wishes: Vec<Wish> = named.iter().map(Named::wish).collect();
    let mut seen = BTreeSet::new();
    for wish in &wishes {
        variable_name(&wish.variable)?;
        if !seen.insert(&wish.variable) {
            let error = anyhow::anyhow!("two secrets are wanted in the variable `{}`", wish.variable);
            return Err(Failure::usage(error).help("name another one: `--secret ID=VARIABLE`"));
        }
    }
    Ok(wishes)
}

/// Whether a secret may be given in a variable of this name.
///
/// # Errors
///
/// Not so: it is no name, or programs act on it.
pub(crate) fn variable_name(name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.len() > VARIABLE_BYTES_MAX {
        return Err(Failure::usage(anyhow::anyhow!("the name of a variable has 1 to {VARIABLE_BYTES_MAX} bytes")));
    }
    let is_own = OWN_VARIABLES.iter().any(|own| match (own.strip_prefix('*'), own.strip_suffix('*')) {
        (Some(end), _) => name.ends_with(end),
        (_, Some(start)) => name.starts_with(start),
        _ => name == *own,
    });
    let why = match ringfort_policy::config::variable(name) {
        Err(why) => Some(why),
        Ok(()) if is_own => Some("programs find each other, or whom to trust, by it".to_owned()),
        Ok(()) => None,
    };
    match why {
        None => Ok(()),
        Some(why) => {
            let error = anyhow::anyhow!("a secret cannot be given in the variable `{}`: {why}", name.escape_debug());
            Err(Failure::usage(error).help("name another one: `--secret ID=VARIABLE`"))
        }
    }
}

/// The variable of a secret for which none is named: `models.openai.apiKey` is `MODELS_OPENAI_API_KEY`.
pub(crate) fn default_variable(id: &str) -> String {
    let mut name = String::with_capacity(id.len() + 8);
    let mut was_lower = false;
    for c in id.chars() {
        if c.is_ascii_uppercase() && was_lower {
            name.push('_');
        }
        was_lower = c.is_ascii_lowercase();
        name.push(if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    }
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// Keeps the store for one run.
pub(super) struct Store<'a> {
    opener: Opener<'a>,
    vault: OnceCell<Vault>,
    /// What [`Keeper::release`] hands over, by the request that was judged.
    judged: std::cell::RefCell<Vec<Request>>,
    failure: Cell<Option<Failure>>,
}

impl<'a> Store<'a> {
    /// Opens nothing yet.
    pub(super) fn new(opener: Opener<'a>) -> Self {
        Self { opener, vault: OnceCell::new(), judged: std::cell::RefCell::default(), failure: Cell::new(None) }
    }

    /// The failure behind the last error, with what to do.
    pub(super) fn take_failure(&self) -> Option<Failure> {
        self.failure.take()
    }

    fn vault(&self) -> Result<&Vault, String> {
        if self.vault.get().is_none() {
            // From here on this process holds what no other one is to read, for as long as the run takes.
            ringfort_secrets::harden::untraceable().map_err(|error| self.keep(Failure::guard(error)))?;
            let vault = self.opener.open(Missing::Fail).map_err(|failure| self.keep(failure))?;
            // It was not there a moment ago.
            drop(self.vault.set(vault));
        }
        self.vault.get().ok_or_else(|| "the store is not open".to_owned())
    }

    fn keep(&self, failure: Failure) -> String {
        let why = format!("{:#}", failure.error);
        self.failure.set(Some(failure));
        why
    }
}

impl Keeper for Store<'_> {
    fn judge(&self, wish: &Wish, recipient: &Recipient<'_>, now: Timestamp) -> Result<Ruling, String> {
        let id: SecretId = wish.id.parse().map_err(|error: ringfort_secrets::id::IdError| error.to_string())?;
        let vault = self.vault()?;
        let Some(meta) = vault.meta(&id) else {
            return Err(self.keep(unusable(StoreError::NotFound { id })));
        };
        let Recipient { request, program, is_connected } = *recipient;
        self.judged.borrow_mut().push(request.clone());
        let recipient = release::Recipient::Program { name: program, variable: &wish.variable, is_connected };
        Ok(judge(meta, &request.principal, recipient, now))
    }

    fn release(&self, permit: Permit, request: &Digest, wish: &Wish, now: Timestamp) -> Result<Given, String> {
        let judged = self.judged.borrow();
        let judged = judged.iter().find(|judged| judged.digest() == *request);
        let judged = judged.ok_or_else(|| format!("the use of `{}` was not judged", wish.id))?.clone();
        let released = Release::of(self.vault()?).execute(permit, request, now, judged);
        let released = released.map_err(|error| error.to_string())?;
        let bytes = released.value.expose();
        if bytes.contains(&0) {
            let error = anyhow::anyhow!("the secret `{}` holds a NUL byte, which no variable can", wish.id);
            return Err(self.keep(Failure::usage(error)));
        }
        Ok(Given { value: Secret::new(bytes.to_vec()), version: released.meta.version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_and_its_variable() {
        for (word, id, variable) in [
            ("github.token=GITHUB_TOKEN", "github.token", "GITHUB_TOKEN"),
            ("github.token", "github.token", "GITHUB_TOKEN"),
            (
                "models.providers.open-router.apiKey",
                "models.providers.open-router.apiKey",
                "MODELS_PROVIDERS_OPEN_ROUTER_API_KEY",
            ),
            ("2fa.seed", "2fa.seed", "_2FA_SEED"),
        ] {
            let named = Named::parse(OsStr::new(word)).unwrap();
            let expected = Wish { id: id.to_owned(), variable: variable.to_owned() };
            assert_eq!(named.wish(), expected);
        }
    }

    #[test]
    fn deny_variables_that_programs_act_on() {
        for name in [
            "",
            "1A",
            "A-B",
            "A B",
            "A=B",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "PATH",
            "HOME",
            "BASH_ENV",
            "ENV",
            "IFS",
            "PYTHONPATH",
            "NODE_OPTIONS",
            "PERL5OPT",
            "RUBYOPT",
            "GIT_SSH_COMMAND",
            "GIT_CONFIG_GLOBAL",
            "RINGFORT_BROKER",
            "RINGFORT_POLICY",
            "HTTPS_PROXY",
            "https_proxy",
            "LC_ALL",
            "XDG_CONFIG_HOME",
            "SSL_CERT_FILE",
            "SHELL",
            "PAGER",
            &"A".repeat(129),
        ] {
            let word = format!("github.token={name}");
            assert!(Named::parse(OsStr::new(&word)).is_err(), "{name}");
        }
    }

    #[test]
    fn deny_what_is_no_id_without_repeating_it() {
        for word in ["hunter2 hunter2", "ghp_x/y=TOKEN", "*", "github.*=X", "=X", "a..b=X"] {
            let failure = Named::parse(OsStr::new(word)).unwrap_err();
            assert!(!format!("{:#}", failure.error).contains(word), "{word}");
        }
    }

    #[test]
    fn deny_two_secrets_in_one_variable() {
        let named = |word: &str| Named::parse(OsStr::new(word)).unwrap();
        assert!(wishes(&[named("a.b=X"), named("a.c=Y")]).is_ok());
        assert!(wishes(&[named("a.b=X"), named("a.c=X")]).is_err());
        assert!(wishes(&[named("a.b"), named("a-b")]).is_err());
        assert!(wishes(&[named("ld.preload")]).is_err(), "the name that an id becomes is judged too");
    }
}
