// SPDX-License-Identifier: MIT OR Apache-2.0
//! End to end: the real binary, started as a user starts it. Each test names the promise that it keeps.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a helper of a test fails like the test"
)]

mod agents;
mod approvals;
mod attack_life;
mod broker;
mod commands;
mod covers;
mod cow;
mod cow_attack;
mod degrees;
mod devices;
mod egress;
mod escape;
mod explain;
mod hook;
mod hook_cage;
mod hook_child;
mod hostile;
mod inherited;
mod inline_code;
#[path = "../../../ringfort-secrets/tests/it/keyring.rs"]
mod keyring;
mod keys;
mod killed;
mod limits;
mod nftables;
mod one_analysis;
mod programs;
mod pty;
mod races;
mod reach;
mod refusals;
mod remembered;
mod runtimes;
mod secret_backends;
mod secrets;
mod secrets_forms;
mod setup;
mod streams;
mod support;
mod terminal;
mod tools;
mod traced;
mod widen;
