// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Secret Service that answers what a fuzzer wrote, and what is asked of it.
//!
//! In: any bytes: which operation, and the answers, as they stand (the first byte above 127) or as types and body of each.
//! Out: whether what must hold held.
//!
//! **Invariant:** every answer is on the connection before the first question; nothing waits.

use std::io::Write as _;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::super::bus::Connection;
use super::super::bus::wire::reply_of;
use super::super::kept::Kept;
use super::{SECRET_SERVICE, SecretServiceSource};
use crate::locked::Locked;
use crate::root::{KEY_LEN, StoreId};

const STORE: StoreId = StoreId([3; 16]);
const NAME: &str = "00112233445566778899aabbccddeeff";
/// Most bytes of answers; what a socket holds without a reader.
const ANSWERS_MAX: usize = 64 << 10;
/// Longer than any operation takes here.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The answers: an error if its first byte is odd, then types and body, each behind its length.
fn answers(mut rest: &[u8]) -> Vec<u8> {
    let mut written = Vec::new();
    let mut serial = 0;
    while let Some((&[sort, types], more)) = rest.split_first_chunk()
        && written.len() < ANSWERS_MAX
    {
        let (types, more) = more.split_at(more.len().min(types.into()));
        let Some((length, more)) = more.split_first_chunk() else { break };
        let (body, more) = more.split_at(more.len().min(u16::from_be_bytes(*length).into()));
        serial += 1;
        let is_error = sort & 1 == 1;
        written.extend_from_slice(&reply_of(serial, is_error, &String::from_utf8_lossy(types), body));
        rest = more;
    }
    written
}

/// Asks for one operation. Out: whether no key was opened that was not kept there.
pub(in crate::backend) fn operate(bytes: &[u8]) -> bool {
    let (mode, rest) = bytes.split_first().map_or((0, &[][..]), |(mode, rest)| (*mode, rest));
    let answers = if mode >= 0x80 { rest.to_vec() } else { answers(rest) };
    let Ok((ours, mut theirs)) = UnixStream::pair() else { return true };
    let answers = answers.get(..answers.len().min(ANSWERS_MAX)).unwrap_or_default();
    if theirs.write_all(answers).is_err() || theirs.shutdown(Shutdown::Write).is_err() {
        return true;
    }
    let source = SecretServiceSource { places: Vec::new(), timeout: TIMEOUT };
    let mut bus = Connection::introduced(ours, TIMEOUT);
    let Ok(random) = Locked::random(KEY_LEN) else { return true };
    let Ok(kept) = Kept::new(SECRET_SERVICE, NAME.to_owned(), &random, STORE) else { return true };
    let opened = match mode & 0x7F {
        0 => {
            source.default_collection(&mut bus).ok();
            None
        }
        1 => {
            source.remove(&mut bus, STORE, NAME).ok();
            None
        }
        2 => {
            source.session(bus).and_then(|mut service| source.put(&mut service, STORE, NAME, &random)).ok();
            None
        }
        _ => source.session(bus).and_then(|mut service| source.found(&mut service, STORE, &kept)).ok(),
    };
    opened.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(types: &str, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[0, u8::try_from(types.len()).unwrap()], types.as_bytes(), &length, body].concat()
    }

    /// What the fuzzer starts from is a whole conversation.
    #[test]
    fn a_script_is_answered_to_the_end() {
        let collection = answer("o", b"\x05\0\0\0/coll\0");
        let unlocked = answer("v", b"\x01b\0\0\0\0\0\0");
        let script = [collection, unlocked].concat();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(&answers(&script)).unwrap();
        let source = SecretServiceSource { places: Vec::new(), timeout: TIMEOUT };
        assert_eq!(source.default_collection(&mut Connection::introduced(ours, TIMEOUT)).unwrap(), "/coll");
        assert!(operate(&[&[0][..], &script].concat()));

        let session = answer("vo", b"\x02ay\0\x01\0\0\0\x04\0\0\0\x02\0\0\0/s\0");
        let items = answer("aoao", b"\x07\0\0\0\x02\0\0\0/i\0\0\0\0\0\0");
        let secret = answer("(oayays)", b"\x02\0\0\0/s\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0");
        let script = [session, items, secret].concat();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(&answers(&script)).unwrap();
        let mut service = source.session(Connection::introduced(ours, TIMEOUT)).unwrap();
        assert_eq!(source.items(&mut service.bus, STORE, NAME).unwrap(), ["/i"]);
        let error = source.value(&mut service, "/i").unwrap_err().to_string();
        assert!(error.contains("impossible length"), "{error}");
        assert!(operate(&[&[3][..], &script].concat()));
    }
}
