// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines that once started a program which the analysis did not see, made short.

pub(crate) const LINES: &[&str] = &["m1"];
