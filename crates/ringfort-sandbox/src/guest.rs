// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keeper inside a view that another program has made: bubblewrap's, or a container's.
//!
//! In: the words that a runtime of this crate has given to the engine: where the hand-over is. Out: an exit status.
//!
//! **Invariant:** what comes over the hand-over is all that this process obeys. It gives up its rights, probes every
//! promise from inside and executes nothing while one that is required is not kept; when the supervisor is gone it ends,
//! and with it everything in its process namespace.
//! It grants nothing: whoever starts it by hand gets a process with the rights that they have.

use std::ffi::OsString;

use crate::runtimes::native::guest;

/// The first word of a command line that means this.
pub const WORD: &str = "__inside";

/// Becomes the keeper; `words` is the command line after [`WORD`].
pub fn main(words: &[OsString]) -> u8 {
    match words {
        [place] => guest::enter(place),
        _ => guest::EXIT_UNUSABLE,
    }
}
