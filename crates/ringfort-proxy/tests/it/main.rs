// SPDX-License-Identifier: MIT OR Apache-2.0
//! The proxy as programs see it: real sockets on loopback, a judge and a dialer of the test.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper of a test fails like the test"
)]
#![expect(clippy::disallowed_methods, reason = "a test is the program outside and the server beyond")]

mod addresses;
mod caught;
mod crowd;
mod http;
mod limits;
mod names;
mod smuggling;
mod tunnels;
mod world;
