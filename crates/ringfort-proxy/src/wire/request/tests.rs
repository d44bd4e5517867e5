// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a request names, what goes onward, and what is refused.

use proptest::prelude::*;

use super::super::head::Scanner;
use super::*;

const EXAMPLE: Host = Host::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn whole(text: &str) -> Result<Vec<u8>, HeadFault> {
    let head = text.replace('\n', "\r\n").into_bytes();
    let end = Scanner::default().find(&head)?.expect("a whole head");
    assert_eq!(end, head.len(), "{text}");
    Ok(head)
}

fn check(text: &str, entry: Entry<'_>, expected: Result<&str, HeadFault>) {
    let shown = whole(text).and_then(|head| {
        read(&head, entry).map(|request| match &request.wish {
            Wish::Tunnel => format!("tunnel {}:{}", request.host, request.port),
            Wish::Path(path) => format!("{} {}:{} {path}", request.method, request.host, request.port),
        })
    });
    assert_eq!(shown.as_deref().map_err(|fault| *fault), expected, "{text}");
}

#[test]
fn targets_name_one_destination() {
    for (text, expected) in [
        ("CONNECT example.com:443 HTTP/1.1\nHost: example.com:443\n\n", "tunnel example.com:443"),
        ("CONNECT Example.COM.:443 HTTP/1.1\nHost: example.com\n\n", "tunnel example.com:443"),
        ("CONNECT example.com:22 HTTP/1.0\n\n", "tunnel example.com:22"),
        ("CONNECT [::ffff:10.0.0.1]:443 HTTP/1.1\n\n", "tunnel 10.0.0.1:443"),
        ("CONNECT [2606:4700::1]:443 HTTP/1.1\nHost: [2606:4700:0::1]:443\n\n", "tunnel [2606:4700::1]:443"),
        ("GET http://example.com/a?b HTTP/1.1\nHost: example.com\n\n", "GET example.com:80 /a?b"),
        ("GET HTTP://EXAMPLE.com:80 HTTP/1.1\nHost: example.com\n\n", "GET example.com:80 /"),
        ("GET http://example.com:8080?x HTTP/1.1\nhost:example.com:8080\n\n", "GET example.com:8080 /?x"),
        ("OPTIONS http://example.com HTTP/1.1\nHost: example.com\n\n", "OPTIONS example.com:80 *"),
        ("PATCH http://0x7f.1/x HTTP/1.1\nHost: 127.0.0.1\n\n", "PATCH 127.0.0.1:80 /x"),
    ] {
        check(text, Entry::Proxy, Ok(expected));
    }
    let fixed = Entry::Fixed { host: &EXAMPLE, port: 8080 };
    for (text, expected) in [
        ("GET /a HTTP/1.1\nHost: 192.0.2.1:8080\n\n", Ok("GET 192.0.2.1:8080 /a")),
        ("GET /a HTTP/1.1\nHost: 192.0.2.1\n\n", Ok("GET 192.0.2.1:8080 /a")),
        ("OPTIONS * HTTP/1.1\nHost: 192.0.2.1\n\n", Ok("OPTIONS 192.0.2.1:8080 *")),
        ("GET http://192.0.2.1:8080/a HTTP/1.1\nHost: 192.0.2.1\n\n", Ok("GET 192.0.2.1:8080 /a")),
        ("GET /a HTTP/1.1\nHost: 192.0.2.2\n\n", Err(HeadFault::HostDiffers)),
        ("GET /a HTTP/1.1\nHost: 192.0.2.1:81\n\n", Err(HeadFault::HostDiffers)),
        ("GET http://192.0.2.2:8080/a HTTP/1.1\nHost: 192.0.2.1\n\n", Err(HeadFault::HostDiffers)),
        ("GET http://192.0.2.1/a HTTP/1.1\nHost: 192.0.2.1\n\n", Err(HeadFault::HostDiffers)),
        ("GET /a HTTP/1.1\n\n", Err(HeadFault::HostCount)),
        ("CONNECT 192.0.2.1:8080 HTTP/1.1\n\n", Err(HeadFault::Method)),
    ] {
        check(text, fixed, expected);
    }
}

#[test]
fn what_goes_onward_is_written_anew() {
    for (text, expected) in [
        (
            "GET http://Example.com:81/a HTTP/1.1\nHost: EXAMPLE.com:81\nProxy-Authorization: Basic x\nX: y \nProxy-Connection: keep-alive\nConnection: x-hop\nX-Hop: 1\nTE: trailers\nKeep-Alive: 5\nExpect: 100-continue\nContent-Length: 3\n\n",
            "GET /a HTTP/1.1\nHost: example.com:81\nX: y\nExpect: 100-continue\nContent-Length: 3\n\n",
        ),
        (
            "GET http://example.com/ws HTTP/1.1\nHost: example.com\nConnection: keep-alive, Upgrade\nUpgrade: WebSocket\nSec-WebSocket-Key: a\n\n",
            "GET /ws HTTP/1.1\nHost: example.com\nSec-WebSocket-Key: a\nConnection: Upgrade\nUpgrade: websocket\n\n",
        ),
        (
            "GET http://example.com/ HTTP/1.0\nX: y\n\n",
            "GET / HTTP/1.0\nHost: example.com\nX: y\nConnection: close\n\n",
        ),
    ] {
        let head = whole(text).unwrap();
        let onward = read(&head, Entry::Proxy).unwrap().onward();
        assert_eq!(String::from_utf8(onward).unwrap().replace("\r\n", "\n"), expected, "{text}");
    }
}

#[test]
fn deny_heads_without_end() {
    let mut scanner = Scanner::default();
    assert_eq!(scanner.find(b"GET http://a/ HTTP/1.1\r\n"), Ok(None));
    let many = [b"GET http://a/ HTTP/1.1\r\n".to_vec(), b"X: y\r\n".repeat(12_000)].concat();
    assert_eq!(Scanner::default().find(&many), Err(HeadFault::TooLong));
    assert_eq!(Scanner::default().find(&vec![b'a'; 20 << 10]), Err(HeadFault::LineTooLong));
    let one = [b"GET http://a/ HTTP/1.1\r\nX: ".to_vec(), vec![b'y'; 70 << 10]].concat();
    assert_eq!(Scanner::default().find(&one), Err(HeadFault::TooLong));
    let fields = format!("GET http://a/ HTTP/1.1\nHost: a\n{}\n", "X: y\n".repeat(128));
    check(&fields, Entry::Proxy, Err(HeadFault::TooMany));
}

proptest! {
    #[test]
    fn the_end_is_the_same_in_pieces(input in "[a:\r\n \t]{0,40}", piece in 1_usize..6) {
        let input = [b"G", input.as_bytes(), b"\r\n\r\n"].concat();
        let mut scanner = Scanner::default();
        let mut last = Ok(None);
        for end in (0..input.len()).step_by(piece).chain([input.len()]) {
            last = scanner.find(&input[..end]);
            if !matches!(last, Ok(None)) {
                break;
            }
        }
        prop_assert_eq!(last, Scanner::default().find(&input));
    }

    /// What goes onward is read again as the same request: nothing that was let pass changes its meaning on the way.
    #[test]
    fn onward_heads_mean_the_same(
        fields in prop::collection::vec(("[A-Za-z-]{1,12}", "[ -~]{0,20}"), 0..6),
        raw in prop::collection::vec(any::<u8>(), 0..40),
        method in prop::sample::select(vec!["GET", "POST", "OPTIONS", "DELETE"]),
        path in "(/[!-~]{0,10})?",
    ) {
        let mut head = format!("{method} http://example.com:81{path} HTTP/1.1\r\nHost: example.com:81\r\n").into_bytes();
        for (name, value) in &fields {
            head.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        head.extend_from_slice(&raw);
        head.extend_from_slice(b"\r\n\r\n");
        let Ok(Some(end)) = Scanner::default().find(&head) else { return Ok(()) };
        let Ok(first) = read(&head[..end], Entry::Proxy) else { return Ok(()) };
        let onward = first.onward();
        prop_assert_eq!(Scanner::default().find(&onward), Ok(Some(onward.len())));
        let host = Host::Name("example.com".into());
        let second = read(&onward, Entry::Fixed { host: &host, port: 81 }).unwrap();
        prop_assert_eq!((first.method, &first.host, first.port, &first.wish, first.body, first.websocket), (second.method, &second.host, second.port, &second.wish, second.body, second.websocket));
        prop_assert!(second.authorization.is_none());
    }

    #[test]
    fn any_bytes_are_read_or_refused(input in prop::collection::vec(any::<u8>(), 0..200)) {
        let head = [b"GET ", &input[..], b"\r\n\r\n"].concat();
        if let Ok(Some(end)) = Scanner::default().find(&head) {
            drop(read(&head[..end], Entry::Proxy));
        }
    }
}
