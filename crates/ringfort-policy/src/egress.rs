// SPDX-License-Identifier: MIT OR Apache-2.0
//! Destinations: a strict reading of URLs and hosts, and what kind of address a host is.
//!
//! In: a URL or `host:port`, as a tool or command names it. Out: [`Destination`] with one canonical host, or the
//! fault that makes it unreadable.
//!
//! **Invariant:** every spelling of an address (decimal, octal, hexadecimal, short, mapped into IPv6) becomes the
//! same host. What a lenient client could read in another way is a fault. It resolves no name: the proxy judges
//! the resolved address again.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ringfort_core::limits::URL_BYTES_MAX;
use ringfort_core::text::is_invisible;

pub mod rule;

/// Most bytes of a host name (RFC 1035).
const HOST_BYTES_MAX: usize = 253;
/// Most bytes of one label (RFC 1035).
const LABEL_BYTES_MAX: usize = 63;

/// A host in its one canonical spelling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name: lower-case ASCII, no final dot.
    Name(String),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address that holds no IPv4 address.
    V6(Ipv6Addr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// Where something would be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The scheme in lower case; `None` for a bare host.
    pub scheme: Option<String>,
    /// The host.
    pub host: Host,
    /// The port that is named, or that the scheme implies.
    pub port: Option<u16>,
}

/// Why a destination could not be read. It is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlFault {
    /// Nothing is there.
    #[error("it is empty")]
    Empty,
    /// It is longer than a URL may be.
    #[error("it is longer than {URL_BYTES_MAX} bytes")]
    TooLong,
    /// Clients disagree about such characters.
    #[error("it holds a space, a backslash, a control or an invisible character")]
    Character,
    /// The scheme is not one that leads to a host.
    #[error("its scheme is not one of http, https, ws, wss, ssh, git, ftp, ftps, sftp")]
    Scheme,
    /// A user name or password stands before the host.
    #[error("a user name or password stands before the host")]
    Userinfo,
    /// The host is no name and no address.
    #[error("its host is neither a name nor an address")]
    Host,
    /// The host looks like an address and is none.
    #[error("its host looks like an address and is none")]
    Address,
    /// The host holds characters outside ASCII.
    #[error("its host holds characters outside ASCII; write it in punycode")]
    NotAscii,
    /// The port is no port.
    #[error("its port is not a number from 1 to 65535")]
    Port,
}

/// What kind of destination a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// A public name.
    Public,
    /// A public address without a name.
    Address,
    /// A name in punycode, which may look like another.
    Punycode,
    /// This machine, a private network, or an address that no public host has.
    Private,
    /// The metadata service of a cloud, which hands out credentials.
    Metadata,
}

/// The schemes that lead to a host, with their ports; `true` where a user name is usual.
const SCHEMES: &[(&str, u16, bool)] = &[
    ("http", 80, false),
    ("https", 443, false),
    ("ws", 80, false),
    ("wss", 443, false),
    ("ssh", 22, true),
    ("git", 9418, false),
    ("ftp", 21, false),
    ("ftps", 990, false),
    ("sftp", 22, true),
];

/// Reads a URL, or a bare `host` or `host:port`.
///
/// # Errors
///
/// [`UrlFault`]: it is to be denied.
pub fn parse(text: &str) -> Result<Destination, UrlFault> {
    if text.is_empty() {
        return Err(UrlFault::Empty);
    }
    if text.len() > URL_BYTES_MAX {
        return Err(UrlFault::TooLong);
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\' || is_invisible(c)) {
        return Err(UrlFault::Character);
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return parse_bare(text);
    };
    let scheme = scheme.to_ascii_lowercase();
    let (_, implied, user) = SCHEMES.iter().find(|(name, ..)| *name == scheme).copied().ok_or(UrlFault::Scheme)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or("");
    let authority = match authority.rsplit_once('@') {
        None => authority,
        Some((name, host)) if user && is_plain_user(name) => host,
        Some(_) => return Err(UrlFault::Userinfo),
    };
    let (host, port) = split_port(authority)?;
    Ok(Destination { scheme: Some(scheme), host: parse_host(host)?, port: Some(port.unwrap_or(implied)) })
}

fn parse_bare(text: &str) -> Result<Destination, UrlFault> {
    if text.contains('@') {
        return Err(UrlFault::Userinfo);
    }
    if text.contains(['/', '?', '#']) {
        return Err(UrlFault::Scheme);
    }
    let (host, port) = split_port(text)?;
    Ok(Destination { scheme: None, host: parse_host(host)?, port })
}

fn is_plain_user(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), UrlFault> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => return Ok((authority, None)),
    };
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UrlFault::Port);
    }
    port.parse().ok().filter(|port| *port > 0).map(|port| (host, Some(port))).ok_or(UrlFault::Port)
}

/// Reads a host: a name, an IPv4 address in any spelling, or an IPv6 address in brackets.
///
/// # Errors
///
/// [`UrlFault`]: it is none of them.
pub fn parse_host(text: &str) -> Result<Host, UrlFault> {
    if let Some(inner) = text.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse().ok()).ok_or(UrlFault::Address)?;
        return Ok(from_v6(address));
    }
    if !text.is_ascii() {
        return Err(UrlFault::NotAscii);
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if name.is_empty() || name.len() > HOST_BYTES_MAX {
        return Err(UrlFault::Host);
    }
    let good = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        !label.is_empty()
            && label.len() <= LABEL_BYTES_MAX
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if !name.split('.').all(good) {
        return Err(UrlFault::Host);
    }
    let last = name.rsplit('.').next().unwrap_or("");
    if is_number(last) {
        return parse_v4(&name).map(Host::V4).ok_or(UrlFault::Address);
    }
    Ok(Host::Name(name))
}

/// Whether a label is read as a number by those who parse addresses (WHATWG "ends in a number").
fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    hex || label.bytes().all(|b| b.is_ascii_digit())
}

/// Reads one to four numbers in decimal, octal or hexadecimal; the last fills the rest.
fn parse_v4(name: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u64> = name.split('.').map(parse_number).collect::<Option<_>>()?;
    let (last, leading) = parts.split_last()?;
    if leading.len() > 3 || leading.iter().any(|part| *part > 255) {
        return None;
    }
    let free_bits = 8 * (4 - u32::try_from(leading.len()).ok()?);
    if *last >= 1_u64 << free_bits {
        return None;
    }
    let high = leading.iter().fold(0_u64, |sum, part| sum << 8 | part);
    u32::try_from(high << free_bits | last).ok().map(Ipv4Addr::from)
}

fn parse_number(part: &str) -> Option<u64> {
    if let Some(hex) = part.strip_prefix("0x") {
        return if hex.is_empty() { Some(0) } else { u64::from_str_radix(hex, 16).ok() };
    }
    match part.strip_prefix('0') {
        Some("") => Some(0),
        Some(octal) => u64::from_str_radix(octal, 8).ok(),
        None => part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?,
    }
}

/// An IPv6 address, or the IPv4 address that it carries.
fn from_v6(address: Ipv6Addr) -> Host {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let v4 = |high: u16, low: u16| Host::V4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match (a, b, c, d, e, f) {
        // Mapped, translated (RFC 2765), NAT64 (RFC 6052), compatible (but not :: and ::1).
        (0, 0, 0, 0, 0, 0xffff) | (0, 0, 0, 0, 0xffff, 0) | (0x64, 0xff9b, 0, 0, 0, 0) => v4(g, h),
        (0, 0, 0, 0, 0, 0) if g != 0 || h > 1 => v4(g, h),
        // 6to4 (RFC 3056).
        (0x2002, high, low, ..) => v4(high, low),
        _ => Host::V6(address),
    }
}

/// The names under which a cloud's metadata service answers.
const METADATA_NAMES: &[&str] =
    &["metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"];
/// The ends of names that are private by agreement.
const PRIVATE_ENDS: &[&str] = &[
    ".localhost",
    ".local",
    ".localdomain",
    ".internal",
    ".intranet",
    ".corp",
    ".home",
    ".lan",
    ".home.arpa",
    ".private",
];

/// What kind of destination a host is.
pub fn reach(host: &Host) -> Reach {
    match host {
        Host::Name(name) if METADATA_NAMES.contains(&name.as_str()) => Reach::Metadata,
        Host::Name(name) if !name.contains('.') || PRIVATE_ENDS.iter().any(|end| name.ends_with(end)) => Reach::Private,
        Host::Name(name) if name.split('.').any(|label| label.starts_with("xn--")) => Reach::Punycode,
        Host::Name(_) => Reach::Public,
        Host::V4(address) => reach_v4(*address),
        Host::V6(address) => reach_v6(*address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [169, 254, 169, 254] | [169, 254, 170, 2] | [100, 100, 100, 200] | [192, 0, 0, 192] | [168, 63, 129, 16] => {
            Reach::Metadata
        }
        [0 | 10 | 127 | 224..=255, ..]
        | [100, 64..=127, ..]
        | [169, 254, ..]
        | [172, 16..=31, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [192, 168, ..]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => Reach::Private,
        _ => Reach::Address,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    match address.segments() {
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => Reach::Metadata,
        // Global unicast is 2000::/3, without Teredo, benchmarking, ORCHID and documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Private,
        [0x2000..=0x3fff, ..] => Reach::Address,
        _ => Reach::Private,
    }
}

#[cfg(test)]
mod tests;
