// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a peer on the session's bus sends, fed with anything. The body stands in `ringfort_testkit::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ringfort_testkit::fuzz::bus_peer(input));
