// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tokens by PKCS#11: smart cards, security keys, hardware security modules, SoftHSM.
//!
//! In: the path of a module, which token, its PIN. Out: [`TokenSource`], a source of root keys; [`TokenKeys`], a provider of
//! keys.
//!
//! **Invariant:** private halves are made in the token as sensitive and not extractable, and are checked to be so before
//! each use; a PIN that a token refused is never sent to it again; a call that blocks costs its caller the timeout and
//! nobody else anything. A module is code in this process: one that crashes takes the process with it, so only a file that
//! nobody else can write is loaded.

mod fault;
mod keys;
mod module;
mod session;
mod source;

pub use fault::TokenError;
pub use keys::TokenKeys;
pub use session::{TokenOptions, TokenSeen, log_in, tokens};
pub use source::TokenSource;
