// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bounds are kept, and whoever reaches one is told so.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use ringfort_proxy::judge::{Client, ClientId, Ending};
use ringfort_proxy::limits::{DestinationLimits, Limits};
use ringfort_proxy::{Listeners, Proxy, ProxyOptions, SystemDialer, SystemResolver};

use crate::tunnels::echo;
use crate::world::{Ruling, Start, World, ask, connect, http_server, read_all, read_head, read_response, server};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SHORT: Duration = Duration::from_millis(150);

fn limited(limits: DestinationLimits) -> World {
    World::ruled(move |_| Ruling::Limited(limits))
}

#[test]
fn deny_more_requests_than_a_destination_may_have() {
    let world = limited(DestinationLimits { requests_max: 2, ..DestinationLimits::default() });
    world.site("site.example", 80, http_server(OK).0);
    let mut socket = world.connect();
    let request = b"GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n";
    for expected in ["200", "200", "429", "429"] {
        socket.write_all(request).unwrap();
        let answer = read_response(&mut socket);
        assert_eq!(&answer[9..12], expected, "{answer}");
        assert_eq!(answer.contains("X-Ringfort-Rule: proxy-009\r\n"), expected == "429");
    }
    assert!(ask(world.proxy, b"CONNECT site.example:80 HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 429 "));
    assert_eq!(world.asked().len(), 1, "nobody is asked for what is over a limit");
}

#[test]
fn deny_more_connections_than_a_destination_may_have() {
    let world = limited(DestinationLimits { connections_max: 1, ..DestinationLimits::default() });
    world.site("site.example", 9, echo().0);
    let request = b"CONNECT site.example:9 HTTP/1.1\r\n\r\n";
    let mut first = world.connect();
    first.write_all(request).unwrap();
    assert!(read_head(&mut first).unwrap().starts_with(b"HTTP/1.1 200 "));
    assert!(ask(world.proxy, request).starts_with("HTTP/1.1 429 "));
    drop(first);
    world.reports(2);
    let mut second = world.connect();
    second.write_all(request).unwrap();
    assert!(read_head(&mut second).unwrap().starts_with(b"HTTP/1.1 200 "));
}

#[test]
fn deny_more_bytes_than_a_destination_may_have() {
    let world = limited(DestinationLimits { bytes_max: 100_000, ..DestinationLimits::default() });
    world.site("site.example", 9, echo().0);
    let mut socket = world.connect();
    socket.write_all(b"CONNECT site.example:9 HTTP/1.1\r\n\r\n").unwrap();
    read_head(&mut socket).unwrap();
    let mut writer = socket.try_clone().unwrap();
    let sending = std::thread::spawn(move || drop(writer.write_all(&vec![1; 8 << 20])));
    let got = read_all(&mut socket).len();
    drop(socket);
    sending.join().unwrap();
    assert!(got < 200_000, "{got}");
    let report = world.reports(1).remove(0);
    assert!(matches!(&report.ending, Ending::Denied(denial) if denial.rule == "proxy-009"), "{report:?}");
}

#[test]
fn deny_more_connections_than_a_cage_may_have() {
    let limits = Limits { client_connections_max: 3, ..Limits::default() };
    let world = World::start(Start { limits, ..Start::default() });
    let held: Vec<_> = (0..3)
        .map(|_| {
            let mut socket = world.connect();
            socket.write_all(b"CONNECT ").unwrap();
            socket
        })
        .collect();
    let mut over = world.connect();
    let answer = String::from_utf8(read_all(&mut over)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("X-Ringfort-Rule: proxy-010\r\n"), "{answer}");
    drop(held);
    world.name("site.example", &[&[]]);
    loop {
        let answer = ask(world.proxy, b"CONNECT site.example:443 HTTP/1.1\r\n\r\n");
        if !answer.starts_with("HTTP/1.1 503 ") {
            assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
            break;
        }
    }
}

#[test]
fn deny_programs_that_are_too_slow() {
    let limits = Limits { head_wait: SHORT, idle_wait: SHORT, ..Limits::default() };
    let world = World::start(Start { limits, ..Start::default() });
    assert_eq!(ask(world.proxy, b""), "", "silence ends without a word");
    let answer = ask(world.proxy, b"GET http://site.example/ HTTP/1.1\r\nHo");
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("X-Ringfort-Reason: head-late\r\n"), "{answer}");
    assert_eq!(ask(world.proxy, &[5, 1, 0, 5]), "\u{5}\0");
    world.site("site.example", 443, echo().0);
    let mut socket = world.connect();
    socket.write_all(b"CONNECT site.example:443 HTTP/1.1\r\n\r\n").unwrap();
    read_head(&mut socket).unwrap();
    socket.write_all(&[22, 3, 1]).unwrap();
    drop(read_all(&mut socket));
    let endings: Vec<_> = world.reports(3).into_iter().map(|report| report.ending).collect();
    assert_eq!(endings, [Ending::Failed("head-late"), Ending::Failed("head-late"), Ending::Failed("head-late")]);
}

#[test]
fn deny_connections_on_which_nothing_moves() {
    let limits = Limits { tunnel_idle_wait: SHORT, ..Limits::default() };
    let world = World::start(Start { limits, ..Start::default() });
    let silent = server(|mut socket| drop(socket.read_to_end(&mut Vec::new())));
    world.site("site.example", 80, silent);
    let mut socket = world.connect();
    socket.write_all(b"CONNECT site.example:80 HTTP/1.1\r\n\r\n").unwrap();
    read_head(&mut socket).unwrap();
    socket.write_all(&[1]).unwrap();
    assert_eq!(read_all(&mut socket), b"");
    let answer = ask(world.proxy, b"GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 504 ") && answer.contains("X-Ringfort-Reason: idle\r\n"), "{answer}");
    assert_eq!(world.reports(2)[0].ending, Ending::Failed("idle"));
}

#[test]
fn deny_heads_that_are_too_long() {
    let world = World::new();
    let good = "GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\n";
    for (request, status) in [
        (format!("{good}X: {}\r\n\r\n", "y".repeat(64 << 10)), 431),
        (
            format!("{good}{}\r\n", "X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(1100)),
            431,
        ),
        (format!("{good}{}\r\n", "X: y\r\n".repeat(200)), 431),
        (format!("GET http://site.example/{} HTTP/1.1\r\n\r\n", "a".repeat(20 << 10)), 414),
        ("G".repeat(70 << 10), 414),
    ] {
        let answer = ask(world.proxy, request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("X-Ringfort-Rule: proxy-001\r\n"), "{answer}");
    }
    assert!(world.asked().is_empty());
}

#[test]
fn a_cage_that_is_removed_loses_its_connections() {
    let mut world = World::new();
    world.site("site.example", 9, echo().0);
    let mut socket = world.connect();
    socket.write_all(b"CONNECT site.example:9 HTTP/1.1\r\n\r\n").unwrap();
    read_head(&mut socket).unwrap();
    world.handle.as_ref().unwrap().remove(ClientId(7));
    assert_eq!(read_all(&mut socket), b"");
    assert_eq!(world.reports(1)[0].ending, Ending::Failed("stopped"));
    assert!(std::net::TcpStream::connect(world.proxy).is_err(), "its listeners are closed");
    world.handle.take().unwrap().stop();
}

#[test]
fn stopping_reports_what_is_open() {
    let mut world = World::new();
    world.site("site.example", 9, echo().0);
    let mut sockets: Vec<_> = (0..5)
        .map(|_| {
            let mut socket = world.connect();
            socket.write_all(b"CONNECT site.example:9 HTTP/1.1\r\n\r\n").unwrap();
            read_head(&mut socket).unwrap();
            socket
        })
        .collect();
    world.handle.take().unwrap().stop();
    for socket in &mut sockets {
        assert_eq!(read_all(socket), b"");
    }
    assert_eq!(world.reports(5).len(), 5);
}

#[test]
fn deny_descriptors_that_do_not_listen() {
    struct Still;
    impl ringfort_core::clock::Clock for Still {
        fn now(&self) -> ringfort_core::clock::Timestamp {
            crate::world::NOW
        }
        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
    }
    let world = World::new();
    let options = ProxyOptions {
        limits: Limits::default(),
        resolver: Arc::new(SystemResolver),
        clock: Arc::new(Still),
        on_start: || (),
    };
    let handle = Proxy::start(options, Arc::clone(&world.judge) as _, Arc::new(SystemDialer)).unwrap();
    let client = || Client { id: ClientId(1), credential: None };
    let listeners = |proxy, dns_udp| Listeners { proxy, caught: Vec::new(), dns_udp, dns_tcp: None };
    let good = || TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = connect(good().local_addr().map(|_| world.proxy).unwrap());
    assert!(handle.adopt(listeners(connected.into(), None), client()).is_err());
    assert!(handle.adopt(listeners(std::io::pipe().unwrap().0.into(), None), client()).is_err());
    assert!(handle.adopt(listeners(good().into(), Some(good().into())), client()).is_err());
    assert!(handle.adopt(listeners(good().into(), None), client()).is_ok());
    handle.remove(ClientId(99));
    handle.stop();
}
