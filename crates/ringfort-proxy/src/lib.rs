// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only door from a cage to the network: a proxy for HTTP, SOCKS5, DNS and connections that ignore it.
//!
//! In: listening sockets that were made inside the cage's network namespace, and a [`Judge`] that decides. Out: bytes
//! between a program and an address that was judged by name, resolved once, checked, and dialed under a permit.
//!
//! **Invariant:** nothing is resolved or dialed before the judge allowed it; the dialed address is the checked one.
//! Everything runs on one thread that never blocks; each buffer, table and wait is bounded ([`limits`]).

mod address;
mod copy;
mod count;
mod dialer;
mod engine;
mod front;
pub mod judge;
pub mod limits;
mod names;
mod open;
pub mod proxy;
mod refusal;
pub mod resolve;
mod stream;
mod ticket;
pub mod wire;

pub use dialer::SystemDialer;
pub use judge::{Judge, Verdict};
pub use proxy::{Arrivals, Listeners, Proxy, ProxyHandle, ProxyOptions};
pub use resolve::{Resolve, SystemResolver};
