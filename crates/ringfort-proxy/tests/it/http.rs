// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plain HTTP: what goes through unchanged, what is rewritten, what is judged again.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};

use ringfort_proxy::judge::{Denial, Ending, Kind, Protocol, Review};

use crate::world::{
    PUBLIC, Ruling, Start, World, ask, connect, http_server, read_all, read_head, read_response, server,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn get(path: &str) -> String {
    format!("GET http://site.example{path} HTTP/1.1\r\nHost: site.example\r\n\r\n")
}

#[test]
fn one_verdict_serves_equal_requests_of_a_connection() {
    let world = World::new();
    let (site, kept) = http_server(OK);
    world.site("site.example", 80, site);
    let mut socket = world.connect();
    for _ in 0..3 {
        socket.write_all(get("/a?b").as_bytes()).unwrap();
        assert!(read_response(&mut socket).ends_with("ok"));
    }
    drop(socket);
    let report = world.reports(1).remove(0);
    let asked = world.asked();
    assert_eq!((asked.len(), world.dialed().len()), (1, 1));
    assert_eq!((asked[0].kind, asked[0].url().as_str()), (Kind::Http, "http://site.example:80/a?b"));
    assert_eq!((asked[0].method.as_deref(), asked[0].client.0), (Some("GET"), 7));
    assert_eq!((report.requests, report.protocol, &report.ending), (3, Protocol::Http, &Ending::Closed));
    assert_eq!(report.address, Some(format!("{PUBLIC}:80").parse::<SocketAddr>().unwrap()));
    let kept = kept.lock().unwrap();
    assert_eq!(*kept, b"GET /a?b HTTP/1.1\r\nHost: site.example\r\n\r\n".repeat(3));
    assert_eq!(report.sent_bytes, kept.len() as u64);
    assert_eq!(report.received_bytes, 3 * OK.len() as u64);
    assert!(report.request.is_some() && report.asked.as_ref() == Some(&asked[0]));
}

#[test]
fn deny_a_path_that_rules_deny_on_an_open_connection() {
    let review = |asked: &ringfort_proxy::judge::Asked| match asked.path.as_deref() {
        Some("/secret") => Review::Deny(Denial::new("egress-004", "this path is denied")),
        Some("/ask") => Review::Judge,
        _ => Review::Allow,
    };
    let rule = |asked: &ringfort_proxy::judge::Asked| {
        if asked.path.as_deref() == Some("/secret") { Ruling::Deny } else { Ruling::Public }
    };
    let world = World::start(Start { rule: Box::new(rule), review: Box::new(review), ..Start::default() });
    let (site, kept) = http_server(OK);
    world.site("site.example", 80, site);
    let mut socket = world.connect();
    for (path, expected) in [("/a", 200), ("/b", 200), ("/secret", 403), ("/a", 200), ("/ask", 200), ("/secret", 403)] {
        socket.write_all(get(path).as_bytes()).unwrap();
        let answer = read_response(&mut socket);
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{path}: {answer}");
    }
    assert!(!String::from_utf8(kept.lock().unwrap().clone()).unwrap().contains("secret"));
    let paths: Vec<_> = world.asked().into_iter().map(|asked| asked.path.unwrap()).collect();
    assert_eq!(paths, ["/a", "/ask"], "the rest was reviewed");
    assert_eq!(world.dialed().len(), 2);
}

#[test]
fn hop_headers_and_credentials_stay_behind() {
    let world = World::start(Start { credential: Some("run:s3cret"), ..Start::default() });
    let (site, kept) = http_server(OK);
    world.site("site.example", 80, site);
    for authorization in ["", "Proxy-Authorization: Basic cnVuOndyb25n\r\n", "Proxy-Authorization: Bearer s3cret\r\n"] {
        let request = format!("GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\n{authorization}\r\n");
        let answer = ask(world.proxy, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 407 ") && answer.contains("\r\nProxy-Authenticate: Basic "), "{answer}");
        assert!(answer.contains("X-Ringfort-Rule: proxy-012\r\n"), "{answer}");
    }
    assert!(ask(world.proxy, b"CONNECT site.example:80 HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 407 "));
    assert!(world.asked().is_empty() && world.dialed().is_empty());
    let mut socket = world.connect();
    socket
        .write_all(b"GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\nProxy-Authorization: Basic cnVuOnMzY3JldA==\r\nProxy-Connection: keep-alive\r\nX-Kept: 1\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n")
        .unwrap();
    assert!(read_response(&mut socket).starts_with("HTTP/1.1 200 "));
    assert_eq!(*kept.lock().unwrap(), b"GET / HTTP/1.1\r\nHost: site.example\r\nX-Kept: 1\r\n\r\n");
}

/// A server that answers with what it was sent, head and body, counted.
fn counting() -> SocketAddr {
    server(|mut socket| {
        while let Some(head) = read_head(&mut socket) {
            let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
            if head.contains("expect: 100-continue") {
                socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
            }
            let mut count = 0_u64;
            if let Some(length) = head.split("content-length: ").nth(1) {
                let mut left: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                let mut buffer = vec![0; 64 << 10];
                while left > 0 {
                    let most = left.min(buffer.len());
                    let got = socket.read(&mut buffer[..most]).unwrap();
                    assert!(got > 0, "the body was cut");
                    assert!(buffer[..got].iter().all(|byte| *byte == b'x'));
                    left -= got;
                    count += got as u64;
                }
            }
            if head.contains("transfer-encoding: chunked") {
                loop {
                    let mut line = Vec::new();
                    let mut byte = [0];
                    while !line.ends_with(b"\r\n") {
                        socket.read_exact(&mut byte).unwrap();
                        line.push(byte[0]);
                    }
                    let size = String::from_utf8(line).unwrap();
                    let size = usize::from_str_radix(size.trim().split(';').next().unwrap(), 16).unwrap();
                    let mut chunk = vec![0; size + 2];
                    socket.read_exact(&mut chunk).unwrap();
                    count += size as u64;
                    if size == 0 {
                        break;
                    }
                }
            }
            let text = count.to_string();
            let answer =
                format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{text}\r\n0\r\n\r\n", text.len());
            socket.write_all(answer.as_bytes()).unwrap();
        }
    })
}

fn chunked_answer(socket: &mut std::net::TcpStream) -> String {
    let mut all = read_head(socket).unwrap_or_default();
    let mut byte = [0];
    while !all.ends_with(b"\r\n0\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        all.push(byte[0]);
    }
    String::from_utf8(all).unwrap()
}

#[test]
fn bodies_stream_both_ways() {
    let world = World::new();
    world.site("site.example", 80, counting());
    let mut socket = world.connect();
    let big = vec![b'x'; 3 << 20];
    for (head, body, expected) in [
        ("Content-Length: 5\r\n", b"xxxxx".to_vec(), 5),
        ("Content-Length: 3145728\r\n", big.clone(), 3 << 20),
        ("Transfer-Encoding: chunked\r\n", b"5;a=b\r\nxxxxx\r\n3\r\nxxx\r\n0\r\n\r\n".to_vec(), 8),
        (
            "Transfer-Encoding: chunked\r\n",
            [b"300000\r\n", &big[..], b"\r\n1\r\nx\r\n0\r\n\r\n"].concat(),
            (3 << 20) + 1,
        ),
        ("", Vec::new(), 0),
    ] {
        let request = format!("POST http://site.example/ HTTP/1.1\r\nHost: site.example\r\n{head}\r\n");
        let (mut writer, whole) = (socket.try_clone().unwrap(), [request.as_bytes(), &body].concat());
        let sending = std::thread::spawn(move || writer.write_all(&whole).unwrap());
        let answer = chunked_answer(&mut socket);
        sending.join().unwrap();
        let expected = expected.to_string();
        assert!(answer.ends_with(&format!("\r\n{:x}\r\n{expected}\r\n0\r\n\r\n", expected.len())), "{head} {answer}");
    }
    assert_eq!((world.asked().len(), world.dialed().len()), (1, 1), "all on one connection");
}

#[test]
fn expectations_are_answered_by_the_server() {
    let world = World::new();
    world.site("site.example", 80, counting());
    let mut socket = world.connect();
    socket
        .write_all(b"PUT http://site.example/ HTTP/1.1\r\nHost: site.example\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        .unwrap();
    assert_eq!(read_head(&mut socket).unwrap(), b"HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(b"xxx").unwrap();
    assert!(chunked_answer(&mut socket).contains("\r\n3\r\n0\r\n"));
}

#[test]
fn responses_without_a_length_end_with_the_connection() {
    let world = World::new();
    let site = server(|mut socket| {
        drop(read_head(&mut socket));
        socket.write_all(b"HTTP/1.0 200 OK\r\nX: y\r\n\r\n").unwrap();
        socket.write_all(&vec![b'z'; 1 << 20]).unwrap();
    });
    world.site("site.example", 80, site);
    let answer = ask(world.proxy, get("/").as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(head, "HTTP/1.1 200 OK\r\nX: y\r\nConnection: close");
    assert_eq!(body.len(), 1 << 20);
}

#[test]
fn old_clients_are_served_once() {
    let world = World::new();
    let (site, kept) = http_server(OK);
    world.site("site.example", 80, site);
    let mut socket = connect(world.proxy);
    socket.write_all(b"GET http://site.example/ HTTP/1.0\r\n\r\n").unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let answer = String::from_utf8(read_all(&mut socket)).unwrap();
    assert!(answer.ends_with("\r\nConnection: close\r\n\r\nok"), "{answer}");
    assert_eq!(*kept.lock().unwrap(), b"GET / HTTP/1.0\r\nHost: site.example\r\nConnection: close\r\n\r\n");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let world = World::new();
    let (site, _) = http_server(OK);
    world.site("site.example", 80, site);
    world.site("other.example", 81, http_server("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n").0);
    let mut socket = world.connect();
    let other = "GET http://other.example:81/ HTTP/1.1\r\nHost: other.example:81\r\n\r\n";
    socket.write_all(format!("{}{}{other}{}", get("/"), get("/"), get("/")).as_bytes()).unwrap();
    let answers: Vec<String> = (0..4).map(|_| read_response(&mut socket)[9..12].to_owned()).collect();
    assert_eq!(answers, ["200", "200", "404", "200"]);
    assert_eq!(world.asked().len(), 3);
}

#[test]
fn a_server_that_closed_in_between_is_asked_again() {
    let world = World::new();
    let site = server(|mut socket| {
        drop(read_head(&mut socket));
        socket.write_all(OK.as_bytes()).unwrap();
    });
    world.site("site.example", 80, site);
    let mut socket = world.connect();
    for _ in 0..5 {
        socket.write_all(get("/").as_bytes()).unwrap();
        assert!(read_response(&mut socket).starts_with("HTTP/1.1 200 "));
    }
    assert_eq!((world.asked().len(), world.dialed().len()), (5, 5), "each connection has its verdict");
}

#[test]
fn deny_responses_that_are_read_in_two_ways() {
    for (response, reason) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "response-length"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", "response-length"),
        ("HTTP/1.1 200 OK\nContent-Length: 0\n\n", "response-malformed"),
        ("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n", "response-malformed"),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "response-upgrade"),
        ("nonsense\r\n\r\n", "response-malformed"),
        ("HTTP/1.1 200 OK\r\nContent-Len", "response-cut"),
        ("", "no-response"),
    ] {
        let world = World::new();
        let site = server(move |mut socket| {
            drop(read_head(&mut socket));
            socket.write_all(response.as_bytes()).unwrap();
        });
        world.site("site.example", 80, site);
        let answer = ask(world.proxy, get("/").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 502 "), "{response:?}: {answer}");
        assert!(answer.contains(&format!("X-Ringfort-Reason: {reason}\r\n")), "{response:?}: {answer}");
    }
    let world = World::new();
    let many = server(|mut socket| {
        drop(read_head(&mut socket));
        drop(socket.write_all(&b"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)));
    });
    world.site("site.example", 80, many);
    drop(ask(world.proxy, get("/").as_bytes()));
    assert_eq!(world.reports(1)[0].ending, Ending::Failed("response-interim"));
}

#[test]
fn an_early_answer_arrives_although_the_body_was_not_read() {
    let world = World::new();
    let site = server(|mut socket| {
        drop(read_head(&mut socket));
        socket.write_all(b"HTTP/1.1 413 No\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig").unwrap();
        socket.shutdown(Shutdown::Both).unwrap();
    });
    world.site("site.example", 80, site);
    let mut socket = world.connect();
    socket
        .write_all(b"PUT http://site.example/ HTTP/1.1\r\nHost: site.example\r\nContent-Length: 900000\r\n\r\n")
        .unwrap();
    let mut writer = socket.try_clone().unwrap();
    let sending = std::thread::spawn(move || drop(writer.write_all(&vec![b'x'; 200_000])));
    let answer = read_response(&mut socket);
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.ends_with("\r\n\r\nbig"), "{answer}");
    sending.join().unwrap();
}

#[test]
fn a_response_that_is_cut_is_seen_as_cut() {
    let world = World::new();
    let site = server(|mut socket| {
        drop(read_head(&mut socket));
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart").unwrap();
    });
    world.site("site.example", 80, site);
    let answer = ask(world.proxy, get("/").as_bytes());
    assert!(answer.ends_with("\r\n\r\npart"), "{answer}");
    assert_eq!(world.reports(1)[0].ending, Ending::Failed("response-cut"));
}

#[test]
fn websockets_become_tunnels_with_an_account() {
    let world = World::new();
    let site = server(|mut socket| {
        let head = String::from_utf8(read_head(&mut socket).unwrap()).unwrap();
        assert!(head.contains("\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"), "{head}");
        socket.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nhello").unwrap();
        let mut buffer = [0; 4];
        socket.read_exact(&mut buffer).unwrap();
        socket.write_all(&buffer).unwrap();
    });
    world.site("site.example", 80, site);
    let mut socket = world.connect();
    socket
        .write_all(b"GET http://site.example/ws HTTP/1.1\r\nHost: site.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\nearl")
        .unwrap();
    let head = String::from_utf8(read_head(&mut socket).unwrap()).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("Sec-WebSocket-Accept: x"), "{head}");
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut socket), b"helloearl");
    assert_eq!(world.reports(1)[0].ending, Ending::Closed);
}

#[test]
fn failures_say_what_failed() {
    let world = World::new();
    world.name("refused.example", &[&[PUBLIC]]);
    for (host, status, reason) in
        [("refused.example", 502, "connect-refused"), ("unknown.example", 502, "resolve-failed")]
    {
        let answer = ask(world.proxy, format!("CONNECT {host}:443 HTTP/1.1\r\n\r\n").as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(&format!("X-Ringfort-Reason: {reason}\r\n")), "{answer}");
    }
}

#[test]
fn deny_what_is_no_protocol_of_the_proxy() {
    let world = World::new();
    for bytes in [&[22, 3, 1, 0, 5, 1, 0, 0, 1, 0][..], &[0, 1, 2], &[0x80, 9, 9]] {
        assert_eq!(ask(world.proxy, bytes), "");
    }
    assert!(world.asked().is_empty());
    assert!(world.reports(3).iter().all(|report| report.ending == Ending::Malformed("protocol")));
}
