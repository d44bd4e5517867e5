// SPDX-License-Identifier: MIT OR Apache-2.0
//! Host patterns: `name`, `*.name`, an address, each with an optional `:port`.
//!
//! In: patterns from configuration, hosts that [`crate::egress`] has made canonical. Out: whether one covers the other.
//!
//! **Invariant:** a `*` stands only at the front, for one or more whole labels, and never above two named labels; so
//! `*.example.com` covers neither `example.com` nor `badexample.com`, and `*.com` does not exist.

use std::fmt;
use std::net::IpAddr;

use crate::egress::{Host, parse_host};

/// Most bytes of a pattern.
const PATTERN_BYTES_MAX: usize = 300;

/// A pattern of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    name: Name,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Exact(Host),
    /// The named labels, with a dot before them.
    Below(String),
}

/// Why a text is no host pattern. Nothing was read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(&'static str);

/// What a pattern says of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// It names the host itself.
    Exact,
    /// It names a domain above.
    Below,
}

impl HostPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`PatternError`]: the text is no pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(PatternError("a host pattern is shorter than 300 bytes"));
        }
        let (host, port) = split_port(text)?;
        if let Some(rest) = host.strip_prefix("*.") {
            let wrong = PatternError("a `*` stands before two named labels at least, as in `*.example.com`");
            return match parse_host(rest) {
                Ok(Host::Name(name)) if name.contains('.') => Ok(Self { name: Name::Below(format!(".{name}")), port }),
                _ => Err(wrong),
            };
        }
        if host.contains('*') {
            return Err(PatternError("a `*` stands only at the front, as in `*.example.com`"));
        }
        match parse_host(host) {
            Ok(host) => Ok(Self { name: Name::Exact(host), port }),
            Err(_) => Err(PatternError("a host is a name, an address, or `*.` before a name; no scheme, no path")),
        }
    }

    /// The address and port that it names; `None` where it names a name, which no packet shows.
    pub fn address(&self) -> Option<(IpAddr, Option<u16>)> {
        match &self.name {
            Name::Exact(Host::V4(address)) => Some(((*address).into(), self.port)),
            Name::Exact(Host::V6(address)) => Some(((*address).into(), self.port)),
            Name::Exact(Host::Name(_)) | Name::Below(_) => None,
        }
    }

    /// Whether this pattern covers a host and port, and how closely.
    pub fn covers(&self, host: &Host, port: Option<u16>) -> Option<Cover> {
        if self.port.is_some() && self.port != port {
            return None;
        }
        self.covers_host(host)
    }

    /// The port that it names.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether this pattern covers a host on any port, and how closely.
    pub fn covers_host(&self, host: &Host) -> Option<Cover> {
        match (&self.name, host) {
            (Name::Exact(mine), host) => (mine == host).then_some(Cover::Exact),
            (Name::Below(suffix), Host::Name(name)) => name.ends_with(suffix.as_str()).then_some(Cover::Below),
            (Name::Below(_), Host::V4(_) | Host::V6(_)) => None,
        }
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), PatternError> {
    let wrong = PatternError("a port is a number from 1 to 65535");
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, port),
        _ => return Ok((text, None)),
    };
    match port.parse::<u16>() {
        Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok((host, Some(number))),
        _ => Err(wrong),
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Name::Exact(host) => write!(f, "{host}")?,
            Name::Below(suffix) => write!(f, "*{suffix}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_covers_what_it_names_and_nothing_else() {
        for (pattern, host, port, expected) in [
            ("example.com", "example.com", None, Some(Cover::Exact)),
            ("example.com", "EXAMPLE.com.", None, Some(Cover::Exact)),
            ("example.com", "a.example.com", None, None),
            ("example.com", "example.com.evil.net", None, None),
            ("*.example.com", "a.example.com", None, Some(Cover::Below)),
            ("*.example.com", "a.b.example.com", None, Some(Cover::Below)),
            ("*.example.com", "example.com", None, None),
            ("*.example.com", "badexample.com", None, None),
            ("example.com:443", "example.com", Some(443), Some(Cover::Exact)),
            ("example.com:443", "example.com", Some(80), None),
            ("example.com:443", "example.com", None, None),
            ("127.0.0.1:11434", "127.0.0.1", Some(11434), Some(Cover::Exact)),
            ("127.0.0.1", "2130706433", None, Some(Cover::Exact)),
            ("[::1]:80", "[::1]", Some(80), Some(Cover::Exact)),
            ("127.0.0.1", "127.0.0.2", None, None),
        ] {
            let pattern = HostPattern::parse(pattern).unwrap();
            assert_eq!(pattern.covers(&parse_host(host).unwrap(), port), expected, "{pattern} {host}");
        }
    }

    #[test]
    fn deny_patterns_that_reach_too_far() {
        for pattern in [
            "",
            "*",
            "*.com",
            "*.",
            "a.*.com",
            "**.example.com",
            "*example.com",
            "https://example.com",
            "a/b",
            "example.com:0",
            "example.com:70000",
            "example.com:+80",
            "exa mple.com",
            "*.127.0.0.1",
            "user@example.com",
        ] {
            assert!(HostPattern::parse(pattern).is_err(), "`{pattern}`");
        }
    }
}
