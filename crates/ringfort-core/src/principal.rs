// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who acts: an agent, below a user, below its parent agents.
//!
//! In: names given by the supervisor, never by the governed process. Out: a chain that only grows downwards.
//!
//! **Invariant:** a child's chain starts with its parent's whole chain; nothing removes or renames a link.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{CHAIN_LENGTH_MAX, PRINCIPAL_NAME_BYTES_MAX};

/// Why a principal could not be named. Nothing was created.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrincipalError {
    /// The name is empty, too long, or holds a separator, a control or an invisible character.
    #[error("`{0}` is no name for a principal")]
    Name(String),
    /// The chain is as long as it may become.
    #[error("a chain of agents ends after {CHAIN_LENGTH_MAX} links")]
    Depth,
}

/// A user and the agents that act for it, outermost first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Principal {
    chain: Vec<String>,
}

impl Principal {
    /// A user who acts in person.
    ///
    /// # Errors
    ///
    /// [`PrincipalError::Name`]: nothing was created.
    pub fn try_user(name: &str) -> Result<Self, PrincipalError> {
        Ok(Self { chain: vec![checked(name)?] })
    }

    /// An agent that acts for this principal.
    ///
    /// # Errors
    ///
    /// [`PrincipalError`]: nothing was created.
    pub fn try_child(&self, name: &str) -> Result<Self, PrincipalError> {
        if self.chain.len() >= CHAIN_LENGTH_MAX {
            return Err(PrincipalError::Depth);
        }
        let mut chain = self.chain.clone();
        chain.push(checked(name)?);
        Ok(Self { chain })
    }

    /// The links, the user first and the acting agent last.
    pub fn chain(&self) -> &[String] {
        &self.chain
    }

    /// Whether an agent acts, rather than the user in person.
    pub fn is_governed(&self) -> bool {
        self.chain.len() > 1
    }
}

fn checked(name: &str) -> Result<String, PrincipalError> {
    let bad = |c: char| c == '/' || c.is_control() || crate::text::is_invisible(c);
    if name.is_empty() || name.len() > PRINCIPAL_NAME_BYTES_MAX || name.chars().any(bad) {
        return Err(PrincipalError::Name(name.chars().take(PRINCIPAL_NAME_BYTES_MAX).collect()));
    }
    Ok(name.to_owned())
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain.join("/"))
    }
}

impl From<Principal> for Vec<String> {
    fn from(principal: Principal) -> Self {
        principal.chain
    }
}

impl TryFrom<Vec<String>> for Principal {
    type Error = PrincipalError;

    fn try_from(chain: Vec<String>) -> Result<Self, Self::Error> {
        let mut links = chain.iter();
        let mut principal = Self::try_user(links.next().map_or("", String::as_str))?;
        for link in links {
            principal = principal.try_child(link)?;
        }
        Ok(principal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_only_grows_and_ends() {
        let user = Principal::try_user("ada").unwrap();
        let agent = user.try_child("claude-code").unwrap();
        assert_eq!(agent.to_string(), "ada/claude-code");
        assert!(!user.is_governed() && agent.is_governed());
        let mut deep = user;
        for _ in 1..CHAIN_LENGTH_MAX {
            deep = deep.try_child("sub").unwrap();
        }
        assert_eq!(deep.try_child("one-more"), Err(PrincipalError::Depth));
    }

    #[test]
    fn deny_names_that_could_be_mistaken() {
        for name in ["", "a/b", "a\nb", "a\u{202e}b", &"x".repeat(PRINCIPAL_NAME_BYTES_MAX + 1)] {
            assert!(Principal::try_user(name).is_err(), "`{name}`");
        }
        assert!(serde_json::from_str::<Principal>("[]").is_err());
    }
}
