// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first message of a TLS client, and the server name in it.
//!
//! In: the first bytes of a stream. Out: no TLS, more is needed, or the name that the client wants to see certified.
//!
//! **Invariant:** every length must fit its surroundings exactly; a second name, a name that is no host name and
//! bytes after the message are faults. It decrypts nothing.

use ringfort_policy::egress::{Host, parse_host};

use super::Cursor;
use crate::limits::HELLO_BYTES_MAX;

const RECORD_HANDSHAKE: u8 = 22;
const RECORD_HEADER_BYTES: usize = 5;
const RECORD_BYTES_MAX: usize = 1 << 14;
const HANDSHAKE_HEADER_BYTES: usize = 4;
const HANDSHAKE_CLIENT_HELLO: u8 = 1;
const EXTENSION_SERVER_NAME: u16 = 0;
/// Encrypted ClientHello (RFC 9849), its drafts and its forerunner.
const EXTENSIONS_HIDING: [u16; 8] = [0xfe0d, 0xfe0c, 0xfe0b, 0xfe0a, 0xfe09, 0xff02, 0xff03, 0xffce];

/// What a ClientHello says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The server name in its canonical spelling.
    pub name: Option<String>,
    /// Whether another name may be hidden in it.
    pub hides: bool,
}

/// What the first bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peek {
    /// Too few to tell; with so many in all it is worth another look.
    More(usize),
    /// No TLS.
    Other,
    /// A whole ClientHello.
    Tls(Hello),
}

/// Why something that begins like TLS is no ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HelloFault {
    /// A record is none, or not of the handshake.
    #[error("tls-record")]
    Record,
    /// The message is not a ClientHello, or goes on where it should end.
    #[error("tls-hello")]
    Hello,
    /// It is longer than any client needs.
    #[error("tls-hello-length")]
    TooLong,
    /// The server name is no host name, or there are two.
    #[error("tls-server-name")]
    Name,
}

/// Looks at the first bytes of a stream.
///
/// # Errors
///
/// [`HelloFault`]: they begin like TLS and are not to be passed on.
pub fn peek(input: &[u8]) -> Result<Peek, HelloFault> {
    match input {
        [] | [RECORD_HANDSHAKE] | [RECORD_HANDSHAKE, 3] => return Ok(Peek::More(input.len() + 1)),
        [RECORD_HANDSHAKE, 3, 0..=4, ..] => {}
        _ => return Ok(Peek::Other),
    }
    let mut message = Vec::new();
    let mut rest = input;
    loop {
        let used = input.len() - rest.len();
        let Some((header, body)) = rest.split_first_chunk::<RECORD_HEADER_BYTES>() else {
            return more(used + RECORD_HEADER_BYTES);
        };
        let [kind, major, minor, high, low] = *header;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if (kind, major) != (RECORD_HANDSHAKE, 3) || minor > 4 || length == 0 || length > RECORD_BYTES_MAX {
            return Err(HelloFault::Record);
        }
        if used + RECORD_HEADER_BYTES + length > HELLO_BYTES_MAX {
            return Err(HelloFault::TooLong);
        }
        let part = body.get(..length).unwrap_or(body);
        message.extend_from_slice(part);
        if let Some(wanted) = message_length(&message)? {
            if message.len() > wanted {
                return Err(HelloFault::Hello);
            }
            if message.len() == wanted && part.len() == length {
                let body = message.get(HANDSHAKE_HEADER_BYTES..).unwrap_or_default();
                return read_hello(body).map(Peek::Tls);
            }
        }
        match body.get(length..) {
            Some(next) => rest = next,
            None => return more(used + RECORD_HEADER_BYTES + length),
        }
    }
}

fn more(needed: usize) -> Result<Peek, HelloFault> {
    if needed > HELLO_BYTES_MAX { Err(HelloFault::TooLong) } else { Ok(Peek::More(needed)) }
}

/// The length that the handshake message announces, header included; `None` while its header is not there.
fn message_length(message: &[u8]) -> Result<Option<usize>, HelloFault> {
    match message {
        [kind, ..] if *kind != HANDSHAKE_CLIENT_HELLO => Err(HelloFault::Hello),
        [_, a, b, c, ..] => {
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            if length > HELLO_BYTES_MAX { Err(HelloFault::TooLong) } else { Ok(Some(HANDSHAKE_HEADER_BYTES + length)) }
        }
        _ => Ok(None),
    }
}

fn read_hello(body: &[u8]) -> Result<Hello, HelloFault> {
    let mut cursor = Cursor(body);
    let mut fields = || {
        let version = cursor.short()?;
        cursor.take(32)?;
        let session = cursor.run8()?;
        let ciphers = cursor.run16()?;
        let compressions = cursor.run8()?;
        let sound = version >> 8 == 3
            && session.len() <= 32
            && !ciphers.is_empty()
            && ciphers.len().is_multiple_of(2)
            && !compressions.is_empty();
        sound.then_some(())
    };
    fields().ok_or(HelloFault::Hello)?;
    if cursor.0.is_empty() {
        return Ok(Hello { name: None, hides: false });
    }
    let extensions = cursor.run16().filter(|_| cursor.0.is_empty()).ok_or(HelloFault::Hello)?;
    read_extensions(Cursor(extensions))
}

fn read_extensions(mut cursor: Cursor<'_>) -> Result<Hello, HelloFault> {
    let mut hello = Hello { name: None, hides: false };
    while !cursor.0.is_empty() {
        let kind = cursor.short().ok_or(HelloFault::Hello)?;
        let value = cursor.run16().ok_or(HelloFault::Hello)?;
        if kind == EXTENSION_SERVER_NAME {
            let name = read_name(value).ok_or(HelloFault::Name)?;
            if hello.name.replace(name).is_some() {
                return Err(HelloFault::Name);
            }
        }
        hello.hides |= EXTENSIONS_HIDING.contains(&kind);
    }
    Ok(hello)
}

/// The one name of the extension.
fn read_name(value: &[u8]) -> Option<String> {
    let mut cursor = Cursor(value);
    let mut list = Cursor(cursor.run16().filter(|_| cursor.0.is_empty())?);
    let kind = list.byte()?;
    let name = list.run16().filter(|_| list.0.is_empty() && kind == 0)?;
    match parse_host(std::str::from_utf8(name).ok()?) {
        Ok(Host::Name(name)) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
