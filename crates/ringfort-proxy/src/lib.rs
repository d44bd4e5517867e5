// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only door from a cage to the network: a proxy for HTTP, SOCKS5, DNS and connections that ignore it.
//!
//! In: listening sockets that were made inside the cage's network namespace, and a [`Judge`] that decides. Out: bytes
//! between a program and an address that was judged by name, resolved once, checked, and dialed under a permit.
//!
//! **Invariant:** nothing is resolved or dialed before the judge allowed it; the dialed address is the checked one.
//! Everything runs on one thread that never blocks; each buffer, table and wait is bounded ([`limits`]).

pub mod judge;
pub mod limits;
pub mod proxy;
pub mod resolve;

pub use judge::{Judge, Verdict};
pub use proxy::{Listeners, Proxy, ProxyHandle, ProxyOptions};
