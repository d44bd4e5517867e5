// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the name of a program says before its words are read.
//!
//! In: a name or its entry in the catalogue. Out: yes or no. **Invariant:** a name says only which words are looked
//! at more closely, never that they are harmless.

use super::super::catalogue::{Entry, Special};
use super::Risk;

/// Builtins whose words may hold names of variables, subscripts or calculations.
pub(super) fn is_builtin(name: &[u8]) -> bool {
    matches!(name, b"test" | b"[" | b"printf" | b"print" | b"wait" | b"getopts" | b"fc" | b"history" | b"env")
}

/// Whether the path names a program in a folder that only the system writes.
pub(super) fn is_standard(name: &[u8]) -> bool {
    const FOLDERS: [&[u8]; 8] = [
        b"/bin",
        b"/sbin",
        b"/usr/bin",
        b"/usr/sbin",
        b"/usr/local/bin",
        b"/usr/local/sbin",
        b"/opt/homebrew/bin",
        b"/snap/bin",
    ];
    let folder = name.iter().rposition(|b| *b == b'/').and_then(|at| name.get(..at)).unwrap_or(&[]);
    FOLDERS.contains(&folder)
}

/// Whether a shell among the arguments of this program is a sign that it is made to start one.
pub(super) fn scans_shells(entry: &Entry) -> bool {
    let special = matches!(
        entry.special,
        Some(
            Special::Shell
                | Special::Git
                | Special::Container
                | Special::Test
                | Special::Alias
                | Special::Cd
                | Special::Declare
                | Special::Reads
                | Special::Ringfort
        )
    );
    !entry.wraps && !special && (entry.risk > Risk::Low || entry.options_start)
}

/// Whether a credential among the arguments of this program is read by it.
pub(super) fn scans_secrets(entry: &Entry) -> bool {
    let names_only = matches!(
        entry.special,
        Some(
            Special::Ssh
                | Special::Test
                | Special::Git
                | Special::Cd
                | Special::Alias
                | Special::Declare
                | Special::Reads
                | Special::Ringfort
                | Special::Find
        )
    );
    !names_only && !entry.wraps && !entry.names_files && !entry.names.starts_with("ssh-")
}
