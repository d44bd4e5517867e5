// SPDX-License-Identifier: MIT OR Apache-2.0
//! The head of an HTTP/1 request, and what is written to the next hop in its place.
//!
//! In: a whole head ([`crate::wire::head::Scanner`]). Out: [`Request`] with one canonical destination, or the fault.
//!
//! **Invariant:** target, `Host` and the place where the request came in name one host and one port. The length of the
//! body can be read in one way only. What is written onward is made from what was read, never copied unread.

use ringfort_policy::egress::{Host, parse_host};

use super::head::{Announced, Fields, HeadFault, SameTwice, split, words};

/// Longest method. Bytes.
const METHOD_BYTES_MAX: usize = 32;
/// The port of plain HTTP.
const HTTP_PORT: u16 = 80;

/// Where a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// At the proxy: `CONNECT` or absolute form.
    Proxy,
    /// On a connection whose destination is known: origin form, and everything must name it.
    Fixed {
        /// The host.
        host: &'a Host,
        /// The port.
        port: u16,
    },
}

/// How long a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// So many bytes; 0 for none.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// What a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A tunnel.
    Tunnel,
    /// Something behind this path (with its query), or `*`.
    Path(String),
}

/// A request that was read without doubt.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The method, in upper case.
    pub method: &'a str,
    /// The host, canonical.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// What it wants.
    pub wish: Wish,
    /// Its body.
    pub body: RequestBody,
    /// Whether the connection may serve another request after it.
    pub persistent: bool,
    /// Whether it wants to become a WebSocket.
    pub websocket: bool,
    /// What the program presents to the proxy.
    pub authorization: Option<&'a [u8]>,
    old: bool,
    fields: Fields<'a>,
}

/// Reads a request.
///
/// # Errors
///
/// [`HeadFault`]: nothing of it is passed on.
pub fn read<'a>(head: &'a [u8], entry: Entry<'_>) -> Result<Request<'a>, HeadFault> {
    let (line, fields) = split(head)?;
    let line = std::str::from_utf8(line).map_err(|_| HeadFault::Target)?;
    let mut parts = line.split(' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(HeadFault::FirstLine);
    };
    let old = match version {
        "HTTP/1.1" => false,
        "HTTP/1.0" => true,
        "HTTP/2.0" => return Err(HeadFault::Http2),
        _ => return Err(HeadFault::Version),
    };
    let letters = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    if method.is_empty() || method.len() > METHOD_BYTES_MAX || !method.bytes().all(letters) {
        return Err(HeadFault::Method);
    }
    if target.is_empty() || !target.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\#".contains(&byte)) {
        return Err(HeadFault::Target);
    }
    let (host, port, wish) = read_target(method, target, entry)?;
    check_host(&fields, &host, port, wish == Wish::Tunnel || old)?;
    check_connection(&fields)?;
    let websocket = check_upgrade(&fields, method)?;
    let body = match fields.length(SameTwice::Refused)? {
        Announced::Nothing => RequestBody::Length(0),
        Announced::Length(length) => RequestBody::Length(length),
        Announced::Chunked if old => return Err(HeadFault::Transfer),
        Announced::Chunked => RequestBody::Chunked,
    };
    if body != RequestBody::Length(0) && (wish == Wish::Tunnel || websocket || method == "TRACE") {
        return Err(HeadFault::Body);
    }
    if fields.all("expect").any(|value| !value.eq_ignore_ascii_case(b"100-continue")) {
        return Err(HeadFault::Expect);
    }
    let authorization = fields.all("proxy-authorization").next();
    let persistent = !old && !fields.lists("connection", "close") && !fields.lists("proxy-connection", "close");
    Ok(Request { method, host, port, wish, body, persistent, websocket, authorization, old, fields })
}

fn read_target(method: &str, target: &str, entry: Entry<'_>) -> Result<(Host, u16, Wish), HeadFault> {
    if method == "CONNECT" {
        let Entry::Proxy = entry else { return Err(HeadFault::Method) };
        let (host, port) = read_authority(target)?;
        return Ok((host, port.ok_or(HeadFault::Target)?, Wish::Tunnel));
    }
    if let (Entry::Fixed { host, port }, true) = (entry, target.starts_with('/')) {
        return Ok((host.clone(), port, Wish::Path(target.to_owned())));
    }
    if let (Entry::Fixed { host, port }, "OPTIONS", "*") = (entry, method, target) {
        return Ok((host.clone(), port, Wish::Path(target.to_owned())));
    }
    let (scheme, rest) = target.split_once("://").ok_or(HeadFault::Target)?;
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(HeadFault::Scheme);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or(HeadFault::Target)?;
    let (host, port) = read_authority(authority)?;
    let port = port.unwrap_or(HTTP_PORT);
    if let Entry::Fixed { host: fixed, port: fixed_port } = entry
        && (*fixed != host || fixed_port != port)
    {
        return Err(HeadFault::HostDiffers);
    }
    let path = match path {
        "" if method == "OPTIONS" => "*".to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path => format!("/{path}"),
    };
    Ok((host, port, Wish::Path(path)))
}

fn read_authority(text: &str) -> Result<(Host, Option<u16>), HeadFault> {
    if text.contains('@') {
        return Err(HeadFault::Userinfo);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = match port {
        None => None,
        Some(port) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(port.parse().ok().filter(|port| *port > 0).ok_or(HeadFault::Host)?)
        }
        Some(_) => return Err(HeadFault::Host),
    };
    Ok((parse_host(host).map_err(|_| HeadFault::Host)?, port))
}

fn check_host(fields: &Fields<'_>, host: &Host, port: u16, may_lack: bool) -> Result<(), HeadFault> {
    let mut all = fields.all("host");
    let Some(value) = all.next() else {
        return if may_lack { Ok(()) } else { Err(HeadFault::HostCount) };
    };
    if all.next().is_some() {
        return Err(HeadFault::HostCount);
    }
    let (named, named_port) = read_authority(std::str::from_utf8(value).map_err(|_| HeadFault::Host)?)?;
    // Without a port it is the one of the scheme; many clients leave out any port beside CONNECT.
    let same_port = named_port.is_none_or(|named| named == port);
    if named == *host && same_port { Ok(()) } else { Err(HeadFault::HostDiffers) }
}

/// What `Connection` must not name: the length and the place of a request, and who asks.
const KEPT: [&str; 5] = ["host", "content-length", "transfer-encoding", "authorization", "cookie"];

fn check_connection(fields: &Fields<'_>) -> Result<(), HeadFault> {
    let names_kept =
        |value: &[u8]| words(value).any(|word| KEPT.iter().any(|kept| word.eq_ignore_ascii_case(kept.as_bytes())));
    if fields.all("connection").any(names_kept) { Err(HeadFault::Connection) } else { Ok(()) }
}

/// Whether the request wants to become a WebSocket; any other protocol is refused.
fn check_upgrade(fields: &Fields<'_>, method: &str) -> Result<bool, HeadFault> {
    if fields.all("http2-settings").next().is_some() {
        return Err(HeadFault::Http2);
    }
    let mut all = fields.all("upgrade");
    let Some(value) = all.next() else { return Ok(false) };
    if words(value).any(|word| word.to_ascii_lowercase().starts_with(b"h2")) {
        return Err(HeadFault::Http2);
    }
    let asked = value.eq_ignore_ascii_case(b"websocket") && all.next().is_none() && method == "GET";
    if asked && fields.lists("connection", "upgrade") { Ok(true) } else { Err(HeadFault::Upgrade) }
}

impl Request<'_> {
    /// The head for the next hop.
    pub fn onward(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        let path = match &self.wish {
            Wish::Path(path) => path.as_str(),
            Wish::Tunnel => "*",
        };
        let version = if self.old { " HTTP/1.0\r\nHost: " } else { " HTTP/1.1\r\nHost: " };
        for part in [self.method, " ", path, version, &self.host.to_string()] {
            out.extend_from_slice(part.as_bytes());
        }
        if self.port != HTTP_PORT {
            out.extend_from_slice(format!(":{}", self.port).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        self.fields.write_onward(&mut out, &["host"]);
        if self.websocket {
            out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
        } else if self.old {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    /// Whether it came as HTTP/1.0, whose reader knows neither chunks nor `100 Continue`.
    pub fn is_old(&self) -> bool {
        self.old
    }

    /// Whether sending it twice does no more than sending it once.
    pub fn is_repeatable(&self) -> bool {
        matches!(self.method, "GET" | "HEAD" | "OPTIONS") && self.body == RequestBody::Length(0)
    }
}

#[cfg(test)]
mod tests;
