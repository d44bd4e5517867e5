// SPDX-License-Identifier: MIT OR Apache-2.0
//! The section `[secrets]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `[secrets]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SecretsConfig {
    /// Whether stored secrets are encrypted; there is no other way.
    pub encrypt: bool,
    /// Where the key of the store is kept: `auto`, `encrypted-file`, `secret-service`, `keyutils`, `tpm2`, `pkcs11` or
    /// `env`. What is stored already stays where it is.
    pub backend: String,
    /// Whether the encrypted file may stand in for a backend that this version or host does not have.
    pub allow_fallback: bool,
    /// How long an unlocked store stays unlocked without being used, in minutes.
    pub idle_lock_minutes: u32,
    /// The TPM, where it is not the machine's first: a device file, or `loopback:PORT` of a software TPM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm2_device: Option<String>,
    /// The registers of the TPM that must have their present values when the store is opened; none by default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tpm2_pcrs: Vec<u8>,
    /// Whether a counter of the TPM follows the store, so that an older state of the whole disk is refused.
    pub tpm2_counter: bool,
    /// A file with the PIN of the key in the TPM, for commands without a person: an absolute path, of this user alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tpm2_pin_file: Option<String>,
    /// The PKCS#11 module of the token: the absolute path of a library, which is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pkcs11_module: Option<String>,
    /// The label of the token; any if none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pkcs11_token: Option<String>,
    /// A file with the PIN of the token, for commands without a person: an absolute path, of this user alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pkcs11_pin_file: Option<String>,
    /// The only secrets that a run may be given, as ids or `prefix.*`; absent means every one that a person names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// Secrets that no run is given, as ids, `prefix.*` or `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

impl Default for SecretsConfig {
    fn default() -> Self {
        Self {
            encrypt: true,
            backend: "auto".to_owned(),
            allow_fallback: false,
            idle_lock_minutes: 30,
            tpm2_device: None,
            tpm2_pcrs: Vec::new(),
            tpm2_counter: false,
            tpm2_pin_file: None,
            pkcs11_module: None,
            pkcs11_token: None,
            pkcs11_pin_file: None,
            allow: None,
            deny: Vec::new(),
        }
    }
}
