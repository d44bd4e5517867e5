// SPDX-License-Identifier: MIT OR Apache-2.0
//! The messages of agents to their hook, fed with anything; the first byte chooses the agent. The body stands in `ringfort_testkit::fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| ringfort_testkit::fuzz::hook_input(input));
