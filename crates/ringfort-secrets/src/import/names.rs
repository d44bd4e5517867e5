// SPDX-License-Identifier: MIT OR Apache-2.0
//! How names of other programs become ids.

use std::collections::BTreeMap;

use crate::id::{IdError, SecretId};

/// What becomes of a name that is no id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unfit {
    /// Nothing is imported at all.
    #[default]
    Refuse,
    /// It is left out, and told.
    LeaveOut,
}

/// How names become ids: given another name, else put below a prefix, else as they are.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// What stands before each id, without the dot.
    pub prefix: Option<SecretId>,
    /// The ids of single names; the prefix does not count for them.
    pub renamed: BTreeMap<String, SecretId>,
    /// What becomes of a name that is no id.
    pub unfit: Unfit,
}

impl Names {
    /// The id of a name.
    pub(super) fn id_of(&self, name: &str) -> Result<SecretId, IdError> {
        if let Some(id) = self.renamed.get(name) {
            return Ok(id.clone());
        }
        // The name alone has to be an id: a prefix does not mend it.
        let id: SecretId = name.parse()?;
        match &self.prefix {
            Some(prefix) => format!("{prefix}.{id}").parse(),
            None => Ok(id),
        }
    }
}
