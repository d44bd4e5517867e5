// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests that two readers could split in two ways reach nobody.

use std::io::Write;

use ringfort_proxy::judge::Ending;

use crate::world::{World, connect, http_server, read_all};

const HEAD: &str = "POST http://site.example/ HTTP/1.1\r\nHost: site.example\r\n";

/// Requests, with the reason for which each is refused. `{}` is a request line and `Host` that are good.
#[rustfmt::skip]
const REQUESTS: &[(&str, &str)] = &[
    // Two lengths.
    ("{}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", "two-lengths"),
    ("{}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nG", "two-lengths"),
    ("{}Content-Length: 0\r\nTransfer-Encoding: identity\r\n\r\n", "two-lengths"),
    ("{}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "content-length"),
    ("{}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "content-length"),
    ("{}Content-Length: 5, 5\r\n\r\nhello", "content-length"),
    ("{}Content-Length: +5\r\n\r\nhello", "content-length"),
    ("{}Content-Length: -5\r\n\r\nhello", "content-length"),
    ("{}Content-Length: 0x5\r\n\r\nhello", "content-length"),
    ("{}Content-Length: 5 \u{b}\r\n\r\nhello", "control-character"),
    ("{}Content-Length:\r\n\r\n", "content-length"),
    ("{}Content-Length: five\r\n\r\n", "content-length"),
    ("{}Content-Length: 5.0\r\n\r\nhello", "content-length"),
    ("{}Content-Length: 99999999999999999999\r\n\r\n", "content-length"),
    ("{}Content_Length: 5\r\n\r\nhello", "header-name"),
    // Encodings that only some know.
    ("{}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "transfer-encoding"),
    ("{}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "transfer-encoding"),
    ("{}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "transfer-encoding"),
    ("{}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n", "transfer-encoding"),
    ("{}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "transfer-encoding"),
    ("{}Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", "transfer-encoding"),
    ("{}Transfer-Encoding: identity\r\n\r\n", "transfer-encoding"),
    ("{}Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", "transfer-encoding"),
    ("{}Transfer-Encoding:\r\n\r\n", "transfer-encoding"),
    ("{}Transfer-Encoding: \u{b}chunked\r\n\r\n", "control-character"),
    ("{}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "header-name"),
    ("{}Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", "header-name"),
    ("{}Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n", "header-name"),
    ("{}X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "folded-header"),
    ("POST http://site.example/ HTTP/1.0\r\nHost: site.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "transfer-encoding"),
    // Lines.
    ("{}X: y\n\r\n", "bare-line-end"),
    ("{}X: y\nZ: a\r\n\r\n", "bare-line-end"),
    ("{}X: y\rZ: a\r\n\r\n", "bare-line-end"),
    ("{}\n\n", "bare-line-end"),
    ("{}X: y\r\n\tz\r\n\r\n", "folded-header"),
    ("{}X: y\r\n z\r\n\r\n", "folded-header"),
    ("{}X: a\0b\r\n\r\n", "control-character"),
    ("{}X: a\u{1}b\r\n\r\n", "control-character"),
    ("{}X: a\u{7f}b\r\n\r\n", "control-character"),
    ("{}X\r\n\r\n", "header-name"),
    ("{}: y\r\n\r\n", "header-name"),
    ("{}X Y: z\r\n\r\n", "header-name"),
    ("{}X : z\r\n\r\n", "header-name"),
    ("{}X(: z\r\n\r\n", "header-name"),
    ("{}\u{e9}: z\r\n\r\n", "header-name"),
    // The first line.
    ("POST  http://site.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n", "first-line"),
    ("POST http://site.example/ HTTP/1.1 \r\nHost: site.example\r\n\r\n", "first-line"),
    ("POST http://site.example/a b HTTP/1.1\r\nHost: site.example\r\n\r\n", "first-line"),
    ("POST http://site.example/\r\nHost: site.example\r\n\r\n", "first-line"),
    ("POST\thttp://site.example/\tHTTP/1.1\r\nHost: site.example\r\n\r\n", "first-line"),
    ("post http://site.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n", "method"),
    ("GET@ http://site.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n", "method"),
    ("POST http://site.example/#x HTTP/1.1\r\nHost: site.example\r\n\r\n", "target"),
    ("POST http://site.example\\@evil.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n", "target"),
    ("POST http://site.example/\u{e9} HTTP/1.1\r\nHost: site.example\r\n\r\n", "target"),
    ("POST / HTTP/1.1\r\nHost: site.example\r\n\r\n", "target"),
    ("POST site.example HTTP/1.1\r\nHost: site.example\r\n\r\n", "target"),
    ("POST //site.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n", "target"),
    ("OPTIONS * HTTP/1.1\r\nHost: site.example\r\n\r\n", "target"),
    ("GET https://site.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n", "target-scheme"),
    ("GET ftp://site.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n", "target-scheme"),
    ("GET file:///etc/passwd HTTP/1.1\r\nHost: site.example\r\n\r\n", "target-scheme"),
    ("GET http://user@site.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n", "target-userinfo"),
    ("GET http://site.example@evil.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n", "target-userinfo"),
    ("POST http://site.example/ HTTP/1.2\r\nHost: site.example\r\n\r\n", "version"),
    ("POST http://site.example/ HTTP/0.9\r\nHost: site.example\r\n\r\n", "version"),
    ("POST http://site.example/ http/1.1\r\nHost: site.example\r\n\r\n", "version"),
    ("POST http://site.example/ HTTP/1.1.\r\nHost: site.example\r\n\r\n", "version"),
    // Hosts that differ.
    ("POST http://site.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", "host-differs"),
    ("POST http://site.example/ HTTP/1.1\r\nHost: site.example:81\r\n\r\n", "host-differs"),
    ("POST http://site.example/ HTTP/1.1\r\nHost: site.example.evil.example\r\n\r\n", "host-differs"),
    ("CONNECT site.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", "host-differs"),
    ("CONNECT site.example:443 HTTP/1.1\r\nHost: site.example:80\r\n\r\n", "host-differs"),
    ("POST http://site.example/ HTTP/1.1\r\nHost: site.example\r\nHost: evil.example\r\n\r\n", "host-count"),
    ("POST http://site.example/ HTTP/1.1\r\nHost: site.example\r\nHost: site.example\r\n\r\n", "host-count"),
    ("POST http://site.example/ HTTP/1.1\r\nX: y\r\n\r\n", "host-count"),
    ("POST http://site.example/ HTTP/1.1\r\nHost: site.example, evil.example\r\n\r\n", "host"),
    ("POST http://site.example/ HTTP/1.1\r\nHost:\r\n\r\n", "host"),
    ("POST http://site.example/ HTTP/1.1\r\nHost: site.example:\r\n\r\n", "host"),
    ("POST http://site.example/ HTTP/1.1\r\nHost: u@site.example\r\n\r\n", "target-userinfo"),
    ("{}Host_: x\r\nHo_st: y\r\nhost: z\r\n\r\n", "host-count"),
    // Other protocols, and headers that would be dropped on the way.
    ("GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n", "http2-cleartext"),
    ("GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", "http2-cleartext"),
    ("GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n", "http2-cleartext"),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http2-cleartext"),
    ("GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n", "upgrade"),
    ("POST http://site.example/ HTTP/1.1\r\nHost: site.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n", "upgrade"),
    ("GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\nUpgrade: websocket\r\n\r\n", "upgrade"),
    ("GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 3\r\n\r\nabc", "body"),
    ("{}Connection: content-length\r\nContent-Length: 5\r\n\r\nhello", "connection-header"),
    ("{}Connection: close, Host\r\n\r\n", "connection-header"),
    ("{}Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "connection-header"),
    ("{}Expect: 200-ok\r\n\r\n", "expect"),
    ("CONNECT site.example:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "body"),
    ("CONNECT site.example:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "body"),
    ("CONNECT site.example HTTP/1.1\r\n\r\n", "target"),
    ("CONNECT http://site.example:443 HTTP/1.1\r\n\r\n", "host"),
    ("CONNECT site.example:0 HTTP/1.1\r\n\r\n", "host"),
    ("CONNECT site.example:99999 HTTP/1.1\r\n\r\n", "host"),
    ("CONNECT site.example:+443 HTTP/1.1\r\n\r\n", "host"),
    ("CONNECT u@site.example:443 HTTP/1.1\r\n\r\n", "target-userinfo"),
];

#[test]
fn deny_requests_that_are_read_in_two_ways() {
    assert!(REQUESTS.len() >= 80);
    let world = World::new();
    let (server, kept) = http_server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    world.site("site.example", 80, server);
    for (number, (request, reason)) in REQUESTS.iter().enumerate() {
        let mut socket = connect(world.proxy);
        socket.write_all(request.replace("{}", HEAD).as_bytes()).unwrap();
        let answer = String::from_utf8(read_all(&mut socket)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 505"), "{request:?}: {answer}");
        assert!(answer.contains("X-Ringfort-Rule: proxy-001\r\n"), "{request:?}: {answer}");
        assert!(answer.contains(&format!("X-Ringfort-Reason: {reason}\r\n")), "{request:?} {reason}: {answer}");
        let report = world.reports(number + 1).pop().unwrap();
        assert!(matches!(report.ending, Ending::Malformed(why) if why == *reason), "{request:?}: {report:?}");
    }
    assert!(kept.lock().unwrap().is_empty() && world.dialed().is_empty() && world.asked().is_empty());
}

/// Bodies whose chunks are wrong: the head may have been passed on, but nothing of what is hidden behind.
#[test]
fn deny_chunks_that_hide_a_request() {
    const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: site.example\r\n\r\n";
    for body in [
        "5\nhello\r\n0\r\n\r\n{}",
        "5;a\nhello\r\n0\r\n\r\n{}",
        "0x5\r\nhello\r\n0\r\n\r\n{}",
        "5 \r\nhello\r\n0\r\n\r\n{}",
        "-1\r\n{}",
        "fffffffffffffffff\r\n{}",
        "5\r\nhello{}",
        "5\r\nhelloX\r\n{}",
        "0\r\nContent-Length: 5\r\n\r\n{}",
        "0\r\nX: y\n\r\n{}",
        "0\r\n Y\r\n\r\n{}",
        "\r\n{}",
        "g\r\n{}",
    ] {
        let world = World::new();
        let (server, kept) = http_server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        world.site("site.example", 80, server);
        let mut socket = connect(world.proxy);
        let request = format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n{}", body.replace("{}", HIDDEN));
        socket.write_all(request.as_bytes()).unwrap();
        drop(read_all(&mut socket));
        let report = world.reports(1).remove(0);
        let kept = String::from_utf8(kept.lock().unwrap().clone()).unwrap();
        assert!(!kept.contains("/hidden"), "{body:?}: {kept}");
        // The server may have answered the head before the body was seen to be wrong; then nothing of it went on.
        assert!(matches!(report.ending, Ending::Malformed(_) | Ending::Closed), "{body:?}: {report:?}");
        assert_eq!(world.asked().len(), 1, "{body:?}");
    }
}
