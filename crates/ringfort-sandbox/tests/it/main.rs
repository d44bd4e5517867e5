// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real children in real cages, as whatever user runs the tests, in every degree that the host offers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests end by panicking and say what they skipped"
)]

mod cage;
mod calls;
mod escape;
mod life;
mod limits;
mod network;
mod network_inside;
mod programs;
mod supervised;
mod supervised_inside;
mod traced;
