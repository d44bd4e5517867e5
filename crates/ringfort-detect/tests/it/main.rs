// SPDX-License-Identifier: MIT OR Apache-2.0
//! Integration tests of redaction: what must go, what must stay, and streams cut anywhere.

#![expect(clippy::unwrap_used, reason = "tests may stop at a broken invariant")]

mod forms;
mod hostile;
mod prose;
mod stream;

/// Redacts text as text.
fn redacted(text: &str) -> String {
    ringfort_detect::redact_str(text).into_inner()
}
