// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every bound of the proxy, with its unit, and the settings that may make some of them smaller.
//!
//! In: defaults, or what the configuration says. Out: [`Limits`] and [`DestinationLimits`].
//!
//! **Invariant:** no reader, table, queue or wait of this crate is without one of these.

use std::time::Duration;

/// Longest wait for connections to end whose programs have ended.
pub const SETTLE_WAIT: Duration = Duration::from_millis(100);

/// Longest head of a request or response: request line and headers together. Bytes.
pub const HEAD_BYTES_MAX: usize = 64 << 10;
/// Longest request line or status line. Bytes.
pub const LINE_BYTES_MAX: usize = 18 << 10;
/// Most headers of one head.
pub const HEADERS_MAX: usize = 128;
/// Longest size line of a chunk, extensions included. Bytes.
pub const CHUNK_LINE_BYTES_MAX: usize = 256;
/// Longest trailer section. Bytes.
pub const TRAILER_BYTES_MAX: usize = 8 << 10;
/// Longest ClientHello, records and all. Bytes.
pub const HELLO_BYTES_MAX: usize = 32 << 10;
/// Longest DNS message that is read. Bytes.
pub const DNS_BYTES_MAX: usize = 1232;
/// Names that have a synthetic address at one time, for each cage; the least recently used goes.
pub const NAMES_MAX: usize = 4096;
/// Destinations that are counted, for each cage; a further one is refused.
pub const DESTINATIONS_MAX: usize = 4096;
/// Addresses of one name that are considered.
pub const ADDRESSES_MAX: usize = 16;
/// Addresses of one name that are tried.
pub const ATTEMPTS_MAX: usize = 4;
/// Names that are being resolved at one time.
pub const LOOKUPS_MAX: usize = 8;
/// Cages that are served at one time.
pub const CLIENTS_MAX: usize = 256;
/// Bytes that a tunnel moves at once.
pub const COPY_BYTES: usize = 64 << 10;
/// Open files that the proxy asks for, so that two for each connection are there.
pub const FILES_MAX: u64 = 8192;

/// Limits of the proxy as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections of programs, all cages together.
    pub connections_max: usize,
    /// Connections of programs of one cage.
    pub client_connections_max: usize,
    /// From the first byte of a head, hello or greeting to its last.
    pub head_wait: Duration,
    /// Between two requests of a connection, and before the first.
    pub idle_wait: Duration,
    /// Without a byte in either direction while a body, a tunnel or a WebSocket is open.
    pub tunnel_idle_wait: Duration,
    /// For the connection to one address.
    pub connect_wait: Duration,
    /// For the addresses of a name.
    pub resolve_wait: Duration,
    /// For a verdict; a person may have to be asked.
    pub verdict_wait: Duration,
    /// Limits of each destination.
    pub destination: DestinationLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 2048,
            client_connections_max: 1536,
            head_wait: Duration::from_secs(10),
            idle_wait: Duration::from_secs(75),
            tunnel_idle_wait: Duration::from_secs(900),
            connect_wait: Duration::from_secs(10),
            resolve_wait: Duration::from_secs(10),
            verdict_wait: ringfort_core::limits::APPROVAL_WAIT.saturating_add(Duration::from_secs(30)),
            destination: DestinationLimits::default(),
        }
    }
}

/// Limits of one destination (host and port) for one cage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DestinationLimits {
    /// Connections that are open at one time.
    pub connections_max: u32,
    /// Connections and plain HTTP requests in the life of the cage.
    pub requests_max: u64,
    /// Bytes in both directions in the life of the cage.
    pub bytes_max: u64,
}

impl Default for DestinationLimits {
    fn default() -> Self {
        Self { connections_max: 1024, requests_max: u64::MAX, bytes_max: u64::MAX }
    }
}
