// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file of the age format, fed with anything. The body stands in `ringfort_testkit::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ringfort_testkit::fuzz::age_file(input));
