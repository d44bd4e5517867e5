// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tunnels by `CONNECT` and SOCKS5: what a program says first must name where it goes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use ringfort_proxy::judge::{Denial, Ending, Kind, Protocol, Review, Verdict};

use crate::world::{Ruling, Start, World, admission, connect, http_server, read_all, read_head, server};

fn run16(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// A ClientHello with this server name, and with these further extensions.
pub(crate) fn hello(name: Option<&str>, more: &[u8]) -> Vec<u8> {
    let name = name.map_or_else(Vec::new, |name| {
        let list = run16(&[&[0][..], &run16(name.as_bytes())].concat());
        [&[0, 0][..], &run16(&list)].concat()
    });
    let extensions = [&name[..], more].concat();
    let body = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[1, 0], &run16(&extensions)].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[22, 3, 1][..], &run16(&[&[1][..], &length[1..], &body].concat())].concat()
}

pub(crate) const ECH: &[u8] = &[0xfe, 0x0d, 0, 1, 0];
const ALERT: &[u8] = &[21, 3, 3, 0, 2, 2, 49];

/// A server that keeps what it gets and sends it back.
pub(crate) fn echo() -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let address = server(move |mut socket| {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = socket.read(&mut buffer) {
            keep.lock().unwrap().extend_from_slice(&buffer[..count]);
            if socket.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
    });
    (address, kept)
}

fn tunnel(world: &World, authority: &str) -> TcpStream {
    let mut socket = world.connect();
    socket.write_all(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes()).unwrap();
    let head = String::from_utf8(read_head(&mut socket).unwrap()).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    socket
}

fn socks(world: &World, host: &str, port: u16) -> TcpStream {
    let mut socket = world.connect();
    let length = u8::try_from(host.len()).unwrap();
    socket.write_all(&[&[5, 1, 0, 5, 1, 0, 3, length][..], host.as_bytes(), &port.to_be_bytes()].concat()).unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    socket
}

#[test]
fn tls_passes_unchanged_for_the_right_name() {
    for kind in [Kind::Connect, Kind::Socks] {
        let world = World::new();
        let (site, kept) = echo();
        world.site("site.example", 443, site);
        let mut socket = if kind == Kind::Connect {
            tunnel(&world, "site.example:443")
        } else {
            socks(&world, "SITE.example.", 443)
        };
        let sent = [hello(Some("site.example"), &[]), vec![23, 3, 3, 0, 2, 1, 2]].concat();
        for byte in &sent[..40] {
            socket.write_all(&[*byte]).unwrap();
        }
        socket.write_all(&sent[40..]).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&mut socket), sent);
        assert_eq!(*kept.lock().unwrap(), sent);
        let report = world.reports(1).remove(0);
        assert_eq!((report.protocol, report.ending, report.requests), (Protocol::Tls, Ending::Closed, 1));
        assert_eq!((report.sent_bytes, report.received_bytes), (sent.len() as u64, sent.len() as u64));
        assert_eq!((world.asked()[0].kind, world.asked()[0].url().as_str()), (kind, "site.example:443"));
    }
}

#[test]
fn deny_tls_that_names_another_server() {
    let two = [hello(Some("site.example"), &[])[..30].to_vec(), vec![0; 4]].concat();
    for (sent, rule) in [
        (hello(Some("evil.example"), &[]), "proxy-005"),
        (hello(Some("site.example.evil.example"), &[]), "proxy-005"),
        (hello(Some("a.site.example"), &[]), "proxy-005"),
        (hello(None, &[]), "proxy-006"),
        (hello(Some("site.example"), ECH), "proxy-006"),
        (hello(Some("evil.example"), ECH), "proxy-006"),
        (hello(Some("127.0.0.1"), &[]), "proxy-006"),
        (hello(Some("site.example\0"), &[]), "proxy-006"),
        (hello(Some("site.example"), &[0, 0, 0, 5, 0, 3, 0, 0, 0]), "proxy-006"),
        ([&[22, 3, 1, 0, 4, 2, 0, 0, 0][..], &two].concat(), "proxy-006"),
        (vec![22, 3, 1, 0, 0, 0], "proxy-006"),
        (vec![22, 3, 1, 0xff, 0xff, 1], "proxy-006"),
    ] {
        for port in [443, 8443] {
            let world = World::new();
            let (site, kept) = echo();
            world.site("site.example", port, site);
            let mut socket = tunnel(&world, &format!("site.example:{port}"));
            socket.write_all(&sent).unwrap();
            assert_eq!(read_all(&mut socket), ALERT, "{sent:?}");
            let report = world.reports(1).remove(0);
            assert!(matches!(&report.ending, Ending::Denied(denial) if denial.rule == rule), "{rule} {report:?}");
            assert!(kept.lock().unwrap().is_empty() && report.request.is_some());
        }
    }
}

#[test]
fn deny_http_in_a_tunnel_that_names_another_host() {
    let world =
        World::ruled(|asked| if asked.path.as_deref() == Some("/secret") { Ruling::Deny } else { Ruling::Public });
    let (site, kept) = http_server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    world.site("site.example", 80, site);
    let mut socket = tunnel(&world, "site.example:80");
    socket.write_all(b"GET /a HTTP/1.1\r\nHost: site.example\r\n\r\n").unwrap();
    assert!(crate::world::read_response(&mut socket).ends_with("ok"));
    for request in [
        "GET /b HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET http://evil.example/b HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET /b HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "CONNECT site.example:80 HTTP/1.1\r\n\r\n",
        "get /b HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "\r\nGET /b HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET\t/b\tHTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ] {
        let mut socket = tunnel(&world, "site.example:80");
        socket.write_all(request.as_bytes()).unwrap();
        let answer = String::from_utf8(read_all(&mut socket)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request}: {answer}");
    }
    let kept = String::from_utf8(kept.lock().unwrap().clone()).unwrap();
    assert_eq!(kept, "GET /a HTTP/1.1\r\nHost: site.example\r\n\r\n");
}

#[test]
fn deny_a_path_that_rules_deny_inside_a_tunnel() {
    let review = |asked: &ringfort_proxy::judge::Asked| match asked.path.as_deref() {
        Some("/secret") => Review::Deny(Denial::new("egress-010", "the rule does not name this path")),
        _ => Review::Allow,
    };
    let world = World::start(Start { review: Box::new(review), ..Start::default() });
    let (site, kept) = http_server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    world.site("site.example", 80, site);
    for mut socket in [tunnel(&world, "site.example:80"), socks(&world, "site.example", 80)] {
        for (path, expected) in [("/secret", "403"), ("/a", "200"), ("/secret", "403")] {
            socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: site.example\r\n\r\n").as_bytes()).unwrap();
            let answer = crate::world::read_response(&mut socket);
            assert_eq!(&answer[9..12], expected, "{path}: {answer}");
        }
    }
    assert!(!String::from_utf8(kept.lock().unwrap().clone()).unwrap().contains("secret"));
}

#[test]
fn other_protocols_pass_and_are_reported_as_such() {
    let world = World::new();
    let (site, _) = echo();
    world.site("site.example", 2222, site);
    let mut socket = tunnel(&world, "site.example:2222");
    socket.write_all(b"\x01\x02binary").unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut socket), b"\x01\x02binary");
    assert_eq!(world.reports(1)[0].protocol, Protocol::Other);
}

fn speaks_first() -> SocketAddr {
    server(|mut socket| {
        socket.write_all(b"SSH-2.0-server\r\n").unwrap();
        let mut buffer = [0; 256];
        while let Ok(count @ 1..) = socket.read(&mut buffer) {
            if socket.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
    })
}

#[test]
fn a_server_may_speak_first() {
    let world = World::new();
    world.site("site.example", 22, speaks_first());
    let mut socket = tunnel(&world, "site.example:22");
    let mut banner = [0; 16];
    socket.read_exact(&mut banner).unwrap();
    assert_eq!(&banner, b"SSH-2.0-server\r\n");
    socket.write_all(b"SSH-2.0-client\r\n").unwrap();
    socket.read_exact(&mut banner).unwrap();
    assert_eq!(&banner, b"SSH-2.0-client\r\n");
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut socket), b"");
    let report = world.reports(1).remove(0);
    assert_eq!((report.protocol, report.ending), (Protocol::Other, Ending::Closed));
}

#[test]
fn deny_another_name_after_the_server_spoke_first() {
    for (sent, rule) in [
        (hello(Some("evil.example"), &[]), "proxy-005"),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_vec(), "proxy-013"),
    ] {
        let world = World::new();
        world.site("site.example", 443, speaks_first());
        let mut socket = tunnel(&world, "site.example:443");
        let mut banner = [0; 16];
        socket.read_exact(&mut banner).unwrap();
        socket.write_all(&sent).unwrap();
        assert_eq!(read_all(&mut socket), b"", "nothing comes back");
        let report = world.reports(1).remove(0);
        assert!(matches!(&report.ending, Ending::Denied(denial) if denial.rule == rule), "{report:?}");
        assert_eq!(report.sent_bytes, 0);
    }
}

#[test]
fn either_side_may_end_first() {
    let world = World::new();
    let site = server(|mut socket| {
        let mut all = Vec::new();
        socket.read_to_end(&mut all).unwrap();
        socket.write_all(format!("got {}", all.len()).as_bytes()).unwrap();
    });
    world.site("site.example", 9, site);
    let mut socket = tunnel(&world, "site.example:9");
    socket.write_all(&vec![1; 300_000]).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut socket), b"got 300000");
}

#[test]
fn large_amounts_arrive_whole_and_in_order() {
    let world = World::new();
    let (site, _) = echo();
    world.site("site.example", 9, site);
    let mut socket = tunnel(&world, "site.example:9");
    let sent: Vec<u8> = (0..12_u32 << 20).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (mut writer, copy) = (socket.try_clone().unwrap(), sent.clone());
    let sending = std::thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let got = read_all(&mut socket);
    sending.join().unwrap();
    assert!(got == sent, "{} of {}", got.len(), sent.len());
    let report = world.reports(1).remove(0);
    assert_eq!((report.sent_bytes, report.received_bytes), (sent.len() as u64, sent.len() as u64));
}

#[test]
fn a_person_may_take_time_and_others_are_served_meanwhile() {
    let world = World::ruled(|asked| if asked.port == 443 { Ruling::Hold } else { Ruling::Public });
    let (site, _) = echo();
    world.site("site.example", 443, site);
    world.site("quick.example", 9, site);
    let mut waiting = world.connect();
    waiting.write_all(b"CONNECT site.example:443 HTTP/1.1\r\n\r\n").unwrap();
    let answer = world.held();
    let mut quick = tunnel(&world, "quick.example:9");
    quick.write_all(b"\x01now").unwrap();
    let mut got = [0; 4];
    quick.read_exact(&mut got).unwrap();
    assert!(!answer.is_abandoned());
    let Verdict::Allow(admission) = admission(ringfort_proxy::judge::Addresses::Public, None) else { unreachable!() };
    answer.give(Verdict::Allow(admission));
    assert!(read_head(&mut waiting).unwrap().starts_with(b"HTTP/1.1 200 "));
}

#[test]
fn deny_after_the_program_left() {
    let world = World::ruled(|_| Ruling::Hold);
    let mut waiting = world.connect();
    waiting.write_all(b"CONNECT site.example:443 HTTP/1.1\r\n\r\n").unwrap();
    let answer = world.held();
    drop(waiting);
    let report = world.reports(1).remove(0);
    assert_eq!((report.ending, report.request), (Ending::Failed("client-left"), None));
    assert!(answer.is_abandoned());
    answer.give(admission(ringfort_proxy::judge::Addresses::Public, None));
    assert!(world.resolved().is_empty() && world.dialed().is_empty());
}

#[test]
fn deny_socks4_and_socks_without_a_method() {
    let world = World::new();
    for (sent, expected) in [
        (&[4, 1, 1, 187, 93, 184, 216, 34, 0][..], &[0, 91, 0, 0, 0, 0, 0, 0][..]),
        (&[4, 1, 1, 187, 0, 0, 0, 1, 0, b'a', 0], &[0, 91, 0, 0, 0, 0, 0, 0]),
        (&[5, 1, 2], &[5, 0xff]),
        (&[5, 1, 0, 5, 2, 0, 1, 1, 1, 1, 1, 0, 80], &[5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0]),
        (&[5, 1, 0, 5, 3, 0, 1, 1, 1, 1, 1, 0, 80], &[5, 0, 5, 7, 0, 1, 0, 0, 0, 0, 0, 0]),
        (&[5, 1, 0, 5, 1, 0, 9, 1, 1, 1, 1, 0, 80], &[5, 0, 5, 8, 0, 1, 0, 0, 0, 0, 0, 0]),
    ] {
        let mut socket = connect(world.proxy);
        socket.write_all(sent).unwrap();
        assert_eq!(read_all(&mut socket), expected, "{sent:?}");
    }
    assert!(world.asked().is_empty() && world.dialed().is_empty());
}

#[test]
fn deny_socks_without_the_credential_of_the_run() {
    let world = World::start(Start { credential: Some("run:s3cret"), ..Start::default() });
    let (site, _) = echo();
    world.site("site.example", 9, site);
    let target = [&[5, 1, 0, 3, 12][..], b"site.example", &[0, 9]].concat();
    for (greeting, password, expected) in [
        (&[5, 1, 0][..], &b""[..], &[5, 0xff][..]),
        (&[5, 2, 0, 2], b"\x01\x03run\x05wrong", &[5, 2, 1, 1]),
        (&[5, 1, 2], b"\x01\x00\x06s3cret", &[5, 2, 1, 1]),
    ] {
        let mut socket = connect(world.proxy);
        socket.write_all(&[greeting, password, &target].concat()).unwrap();
        assert_eq!(read_all(&mut socket), expected);
    }
    assert!(world.asked().is_empty());
    let mut socket = connect(world.proxy);
    socket.write_all(&[&[5, 1, 2][..], b"\x01\x03run\x06s3cret", &target].concat()).unwrap();
    let mut answer = [0; 14];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(answer[..6], [5, 2, 1, 0, 5, 0]);
}
