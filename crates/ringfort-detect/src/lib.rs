// SPDX-License-Identifier: MIT OR Apache-2.0
//! Findings in hostile text, and their redaction: no detected secret leaves the runtime.
//!
//! In: bytes about to leave (program output, a log field, a trail entry). Out: [`Finding`]s, whose spans cover the
//! secret value only, or [`Redacted`] text in which each value is its first four characters and `*[REDACTED]`.
//!
//! **Invariant:** this crate is the only maker of [`Redacted`]. Detectors report spans, they never edit.
//! Work is linear in the input and memory is bounded, whatever the input is; nothing is read from the outside.
//! Whether a finding is an incident is decided in `ringfort-respond`, not here.

mod detectors;
mod engine;
mod grow;
mod keyword;
mod known;
mod redact;
mod rules;
mod shape;
mod stream;

pub use known::{Known, VALUE_BYTES_MIN};
pub use redact::{FINDINGS_MAX, HOLD_BYTES_MAX, MARKER, Redacted, Redactor, Summary, redact, redact_str, scan};
pub use ringfort_core::finding::{Confidence, Finding, FindingKind};
