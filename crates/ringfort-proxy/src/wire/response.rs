// SPDX-License-Identifier: MIT OR Apache-2.0
//! The head of an HTTP/1 response, and what is written to the program in its place.
//!
//! In: a whole head, and what was asked. Out: [`Response`] with the length of its body.
//!
//! **Invariant:** the length of the body can be read in one way only; a response in which it cannot is not passed on.

use super::head::{Announced, Fields, HeadFault, SameTwice, split};

/// How long a response's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseBody {
    /// So many bytes; 0 for none.
    Length(u64),
    /// Chunks.
    Chunked,
    /// Until the server closes the connection.
    ToEnd,
}

/// A response that was read without doubt.
#[derive(Clone, Debug)]
pub struct Response<'a> {
    /// The status.
    pub status: u16,
    /// Its body.
    pub body: ResponseBody,
    /// Whether the server's connection may serve another request after it.
    pub persistent: bool,
    line: &'a [u8],
    fields: Fields<'a>,
}

/// Reads a response to a request of this method.
///
/// # Errors
///
/// [`HeadFault`]: nothing of it is passed on.
pub fn read<'a>(head: &'a [u8], method: &str) -> Result<Response<'a>, HeadFault> {
    let (line, fields) = split(head)?;
    let (old, rest) = match line.split_at_checked(8) {
        Some((b"HTTP/1.1", rest)) => (false, rest),
        Some((b"HTTP/1.0", rest)) => (true, rest),
        _ => return Err(HeadFault::Version),
    };
    let status = match rest {
        [b' ', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => [a, b, c],
        [b' ', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', ..] => [a, b, c],
        _ => return Err(HeadFault::Status),
    };
    let status = status.into_iter().fold(0_u16, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let announced = fields.length(SameTwice::Merged)?;
    let body = match announced {
        _ if method == "HEAD" || status < 200 || status == 204 || status == 304 => ResponseBody::Length(0),
        Announced::Length(length) => ResponseBody::Length(length),
        Announced::Chunked if old => return Err(HeadFault::Transfer),
        Announced::Chunked => ResponseBody::Chunked,
        Announced::Nothing => ResponseBody::ToEnd,
    };
    let stays = if old { fields.lists("connection", "keep-alive") } else { !fields.lists("connection", "close") };
    let persistent = stays && body != ResponseBody::ToEnd;
    Ok(Response { status, body, persistent, line, fields })
}

impl Response<'_> {
    /// The head for the program. `stays` says whether its connection may serve another request.
    pub fn onward(&self, stays: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        // The program speaks to the proxy, whose version is 1.1; it asked with a version that understands the body.
        out.extend_from_slice(b"HTTP/1.1");
        out.extend_from_slice(self.line.get(8..).unwrap_or_default());
        out.extend_from_slice(b"\r\n");
        let twice = self.fields.all("content-length").nth(1).is_some();
        self.fields.write_onward(&mut out, if twice { &["content-length"] } else { &[] });
        if twice && let Some(length) = self.fields.all("content-length").next() {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(length);
            out.extend_from_slice(b"\r\n");
        }
        if self.status == 101 {
            out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
        } else if self.status >= 200 && !stays {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    /// Whether a `101` answers what was asked: a WebSocket and nothing else.
    pub fn is_websocket(&self) -> bool {
        let mut all = self.fields.all("upgrade");
        let first = all.next().is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"));
        self.status == 101 && first && all.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::head::Scanner;
    use super::*;

    fn check(text: &str, method: &str, expected: Result<(u16, ResponseBody, bool), HeadFault>) {
        let head = text.replace('\n', "\r\n");
        let read = Scanner::default().find(head.as_bytes()).and_then(|end| {
            read(&head.as_bytes()[..end.expect("a whole head")], method).map(|r| (r.status, r.body, r.persistent))
        });
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn the_length_of_a_body_is_known() {
        use ResponseBody::{Chunked, Length, ToEnd};
        for (text, method, expected) in [
            ("HTTP/1.1 200 OK\nContent-Length: 5\n\n", "GET", (200, Length(5), true)),
            ("HTTP/1.1 200\nContent-Length: 5\n\n", "GET", (200, Length(5), true)),
            ("HTTP/1.1 200 OK\nContent-Length: 5\n\n", "HEAD", (200, Length(0), true)),
            ("HTTP/1.1 304 Not Modified\nContent-Length: 5\n\n", "GET", (304, Length(0), true)),
            ("HTTP/1.1 204 No Content\n\n", "GET", (204, Length(0), true)),
            ("HTTP/1.1 100 Continue\n\n", "PUT", (100, Length(0), true)),
            ("HTTP/1.1 200 OK\nTransfer-Encoding: Chunked\n\n", "GET", (200, Chunked, true)),
            ("HTTP/1.1 200 OK\n\n", "GET", (200, ToEnd, false)),
            ("HTTP/1.1 200 OK\nContent-Length: 5\nConnection: Close\n\n", "GET", (200, Length(5), false)),
            ("HTTP/1.0 200 OK\nContent-Length: 5\n\n", "GET", (200, Length(5), false)),
            ("HTTP/1.0 200 OK\nContent-Length: 5\nConnection: keep-alive\n\n", "GET", (200, Length(5), true)),
            ("HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 5\n\n", "GET", (200, Length(5), true)),
        ] {
            check(text, method, Ok(expected));
        }
    }

    #[test]
    fn deny_responses_of_two_lengths() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6\n\n", HeadFault::Length),
            ("HTTP/1.1 200 OK\nContent-Length: 5, 5\n\n", HeadFault::Length),
            ("HTTP/1.1 200 OK\nContent-Length: +5\n\n", HeadFault::Length),
            ("HTTP/1.1 200 OK\nContent-Length: 5\nTransfer-Encoding: chunked\n\n", HeadFault::TwoLengths),
            ("HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n\n", HeadFault::Transfer),
            ("HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n", HeadFault::Transfer),
            ("HTTP/1.1 200 OK\nTransfer-Encoding : chunked\n\n", HeadFault::Name),
            ("HTTP/1.1 200 OK\nX: y\n z\n\n", HeadFault::Folded),
            ("HTTP/1.1 2OO OK\n\n", HeadFault::Status),
            ("HTTP/1.1  200 OK\n\n", HeadFault::Status),
            ("HTTP/2 200 OK\n\n", HeadFault::Version),
            ("ICY 200 OK\n\n", HeadFault::Version),
        ] {
            check(text, "GET", Err(expected));
        }
    }

    #[test]
    fn headers_of_the_hop_stay_behind() {
        let head = "HTTP/1.1 200 OK\r\nConnection: x-hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nContent-Length: 5\r\nContent-Length: 5\r\nX: y\r\nProxy-Authenticate: a\r\nUpgrade: h2c\r\n\r\n";
        let response = read(head.as_bytes(), "GET").unwrap();
        let onward = |stays| String::from_utf8(response.onward(stays)).unwrap();
        assert_eq!(onward(true), "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\n");
        assert_eq!(onward(false), "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
        assert!(!response.is_websocket());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(input in prop::collection::vec(any::<u8>(), 0..400)) {
            let head = [b"HTTP/1.1 200 OK\r\n", &input[..], b"\r\n\r\n"].concat();
            if let Ok(Some(end)) = Scanner::default().find(&head) && let Ok(response) = read(&head[..end], "GET") {
                let onward = response.onward(true);
                prop_assert!(Scanner::default().find(&onward).is_ok_and(|end| end == Some(onward.len())));
            }
        }
    }
}
