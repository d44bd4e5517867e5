// SPDX-License-Identifier: MIT OR Apache-2.0
//! DNS queries, and the few answers that are given to them.
//!
//! In: one datagram, or one message of a TCP connection without its length. Out: the question, or the fault with the
//! code that answers it.
//!
//! **Invariant:** one question, no compression, labels of letters, digits, `-` and `_` only. An answer repeats the
//! question as it was sent; nothing of a query is ever forwarded.

use std::net::Ipv4Addr;

use super::Cursor;
use crate::limits::DNS_BYTES_MAX;

const HEADER_BYTES: usize = 12;
const LABEL_BYTES_MAX: usize = 63;
const NAME_BYTES_MAX: usize = 253;
const CLASS_IN: u16 = 1;
const TYPE_A: u16 = 1;
const TYPE_OPT: u16 = 41;
const FLAG_ANSWER: u16 = 0x8000;
const FLAG_RECURSION_DESIRED: u16 = 0x0100;
const FLAG_RECURSION_AVAILABLE: u16 = 0x0080;
const OPCODE_MASK: u16 = 0x7800;
/// How long a program may keep a synthetic address, in seconds. It is stable for the life of the cage anyway.
const TIME_TO_LIVE_SECONDS: u32 = 30;
/// Offset of the name of the question, as a pointer in an answer.
const POINTER_TO_QUESTION: u16 = 0xc000 | 12;

/// What a program asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    id: u16,
    recursion_desired: bool,
    /// The question as sent: name, type, class.
    question: Vec<u8>,
    /// The name in lower case, without a final dot; empty for the root.
    pub name: String,
    /// What is wanted.
    pub wanted: Wanted,
    /// Whether the query says that it understands EDNS.
    extended: bool,
}

/// The type of a question, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// An IPv4 address.
    Address,
    /// Another type of the Internet class: it has no data here.
    Other,
    /// Another class.
    Foreign,
}

/// Codes of an answer without data (RFC 1035).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The name exists; there is no data of this type.
    NoData,
    /// The query cannot be read.
    Malformed,
    /// The name does not exist.
    NoName,
    /// This operation does not exist here.
    NotImplemented,
    /// It will not be answered.
    Refused,
}

impl Code {
    const fn number(self) -> u16 {
        match self {
            Self::NoData => 0,
            Self::Malformed => 1,
            Self::NoName => 3,
            Self::NotImplemented => 4,
            Self::Refused => 5,
        }
    }
}

/// Why a query is not answered with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DnsFault {
    /// It is no query, or too short to be answered: nothing is sent.
    #[error("dns-silent")]
    Silent,
    /// It is answered with a code.
    #[error("dns-refused")]
    Refused {
        /// Its id.
        id: u16,
        /// The answer.
        code: Code,
    },
}

impl DnsFault {
    /// The message to send back, if one is.
    pub fn reply(self) -> Option<Vec<u8>> {
        match self {
            Self::Silent => None,
            Self::Refused { id, code } => Some(header(id, FLAG_ANSWER | code.number(), [0; 4])),
        }
    }
}

/// Reads a query.
///
/// # Errors
///
/// [`DnsFault`]: what to answer instead.
pub fn read(message: &[u8]) -> Result<Query, DnsFault> {
    let mut cursor = Cursor(message);
    let (Some(id), Some(flags)) = (cursor.short(), cursor.short()) else { return Err(DnsFault::Silent) };
    if flags & FLAG_ANSWER != 0 || message.len() < HEADER_BYTES {
        return Err(DnsFault::Silent);
    }
    let fault = |code| DnsFault::Refused { id, code };
    if flags & OPCODE_MASK != 0 {
        return Err(fault(Code::NotImplemented));
    }
    let malformed = fault(Code::Malformed);
    let mut count = || cursor.short().ok_or(malformed);
    let (questions, answers, authorities, additionals) = (count()?, count()?, count()?, count()?);
    if message.len() > DNS_BYTES_MAX || (questions, answers, authorities) != (1, 0, 0) || additionals > 2 {
        return Err(malformed);
    }
    let name = read_name(&mut cursor).ok_or(malformed)?;
    let (Some(kind), Some(class)) = (cursor.short(), cursor.short()) else { return Err(malformed) };
    let end = message.len() - cursor.0.len();
    let question = message.get(HEADER_BYTES..end).ok_or(malformed)?.to_vec();
    let mut extended = false;
    for _ in 0..additionals {
        let option = read_additional(&mut cursor).ok_or(malformed)?;
        if option && std::mem::replace(&mut extended, true) {
            return Err(malformed);
        }
    }
    if !cursor.0.is_empty() {
        return Err(malformed);
    }
    let wanted = match (class, kind) {
        (CLASS_IN, TYPE_A) => Wanted::Address,
        (CLASS_IN, _) => Wanted::Other,
        _ => Wanted::Foreign,
    };
    Ok(Query { id, recursion_desired: flags & FLAG_RECURSION_DESIRED != 0, question, name, wanted, extended })
}

fn read_name(cursor: &mut Cursor<'_>) -> Option<String> {
    let mut name = String::new();
    loop {
        let length = usize::from(cursor.byte()?);
        if length == 0 {
            return (name.len() <= NAME_BYTES_MAX).then_some(name);
        }
        if length > LABEL_BYTES_MAX || name.len() > NAME_BYTES_MAX {
            return None;
        }
        let label = cursor.take(length)?;
        if !label.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)) {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
    }
}

/// Skips one additional record; whether it was the EDNS option.
fn read_additional(cursor: &mut Cursor<'_>) -> Option<bool> {
    let name = read_name(cursor)?;
    let kind = cursor.short()?;
    cursor.take(6)?;
    cursor.run16()?;
    Some(kind == TYPE_OPT && name.is_empty())
}

impl Query {
    /// An answer without data.
    pub fn answer_code(&self, code: Code) -> Vec<u8> {
        self.message(code, 0)
    }

    /// An answer with one address.
    pub fn answer_address(&self, address: Ipv4Addr) -> Vec<u8> {
        let mut record = Vec::with_capacity(16);
        for number in [POINTER_TO_QUESTION, TYPE_A, CLASS_IN] {
            record.extend_from_slice(&number.to_be_bytes());
        }
        record.extend_from_slice(&TIME_TO_LIVE_SECONDS.to_be_bytes());
        record.extend_from_slice(&4_u16.to_be_bytes());
        record.extend_from_slice(&address.octets());
        let mut message = self.message(Code::NoData, 1);
        let end = HEADER_BYTES + self.question.len();
        message.splice(end..end, record);
        message
    }

    fn message(&self, code: Code, answers: u16) -> Vec<u8> {
        let desired = if self.recursion_desired { FLAG_RECURSION_DESIRED } else { 0 };
        let flags = FLAG_ANSWER | FLAG_RECURSION_AVAILABLE | desired | code.number();
        let mut message = header(self.id, flags, [1, answers, 0, self.extended.into()]);
        message.extend_from_slice(&self.question);
        if self.extended {
            message.push(0);
            message.extend_from_slice(&TYPE_OPT.to_be_bytes());
            message.extend_from_slice(&u16::try_from(DNS_BYTES_MAX).unwrap_or(512).to_be_bytes());
            message.extend_from_slice(&[0; 6]);
        }
        message
    }
}

fn header(id: u16, flags: u16, counts: [u16; 4]) -> Vec<u8> {
    let mut message = Vec::with_capacity(64);
    for number in [id, flags].into_iter().chain(counts) {
        message.extend_from_slice(&number.to_be_bytes());
    }
    message
}

#[cfg(test)]
mod tests;
