// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every bound that more than one crate must agree on, with its unit in its name.
//!
//! A reader, queue or loop takes one of these; a crate keeps further bounds of its own beside the code they bound.
//!
//! **Invariant:** nothing here is configurable upwards by a governed principal.

use std::time::Duration;

/// Longest command text that is analysed; longer is unanalysable, thus never allowed silently. Bytes.
pub const COMMAND_BYTES_MAX: usize = 1 << 20;
/// Most words of one argv.
pub const ARGV_WORDS_MAX: usize = 1 << 17;
/// Longest path that is judged. Bytes (Linux PATH_MAX).
pub const PATH_BYTES_MAX: usize = 4096;
/// Longest URL that is judged. Bytes.
pub const URL_BYTES_MAX: usize = 16 << 10;
/// Largest configuration file. Bytes.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;
/// Longest line that `--batch` reads. Bytes.
pub const BATCH_LINE_BYTES_MAX: usize = 8 << 20;
/// Longest chain of a principal: the user, and agents below it.
pub const CHAIN_LENGTH_MAX: usize = 16;
/// Longest name of one link of a chain. Bytes.
pub const PRINCIPAL_NAME_BYTES_MAX: usize = 128;
/// Most reasons that a merged ruling keeps; the strictest first.
pub const REASONS_MAX: usize = 256;
/// Most effects that a ruling lists.
pub const EFFECTS_MAX: usize = 1024;
/// How long a permit lives between its issue and its use.
pub const PERMIT_LIFE: Duration = Duration::from_secs(30);
/// How long a provider other than `native` may take to decide.
pub const PROVIDER_DEADLINE: Duration = Duration::from_millis(50);
/// How long a person may take to answer a question; silence is a denial.
pub const APPROVAL_WAIT: Duration = Duration::from_secs(300);
/// Actions that a principal may take in an hour, unless the policy says less or more.
pub const ACTIONS_PER_HOUR: u32 = 600;
/// Equal actions within [`LOOP_WINDOW`] that are no loop; the next one is.
pub const LOOP_REPEATS_MAX: u32 = 8;
/// The window of the loop guard.
pub const LOOP_WINDOW: Duration = Duration::from_secs(5);
/// Longest line of the trail. Bytes.
pub const TRAIL_LINE_BYTES_MAX: usize = 256 << 10;
