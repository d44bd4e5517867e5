// SPDX-License-Identifier: MIT OR Apache-2.0
//! Addresses that are never dialed, in every spelling, through every door, with a judge that allows everything.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use ringfort_proxy::judge::Ending;
use ringfort_testkit::dial::{DialAnswer, RecordingDialer};

use crate::world::{PUBLIC, Ruling, Start, World, ask, connect, http_server, read_all, read_response};

/// Spellings of addresses that no program may reach through an allowed name or as they stand.
#[rustfmt::skip]
const SPELLINGS: &[&str] = &[
    // Loopback.
    "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "127.127.127.127", "2130706433", "0x7f000001",
    "0X7F000001", "0x7f.0.0.1", "0x7f.1", "0177.0.0.1", "0177.0.0.01", "017700000001", "0177.1", "127.0.0.0x1",
    "0x7f.0x0.0x0.0x1", "127.0x0.1", "0", "0.0.0.0", "0x0", "00", "0.0", "0.0.0.0.",
    // Private.
    "10.0.0.1", "10.1", "167772161", "0x0a000001", "012.0.0.1", "0xa.1", "10.0.0.1.", "172.16.0.1", "172.31.255.255",
    "2886729729", "0xac100001", "192.168.0.1", "192.168.1", "3232235521", "0xc0a80001", "0300.0250.0.1", "192.0xa8.1",
    // Link-local and metadata.
    "169.254.0.1", "169.254.169.254", "169.254.169.254.", "2852039166", "0xa9fea9fe", "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376", "169.254.43518", "169.16689662", "100.100.100.200", "192.0.0.192", "168.63.129.16",
    "169.254.170.2", "0x646464c8",
    // Carrier, reserved, documentation, benchmark, multicast, broadcast.
    "100.64.0.1", "100.127.255.254", "0x64400001", "192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.254",
    "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "4294967295",
    "0xffffffff", "0377.0377.0377.0377",
    // IPv6: loopback, unspecified, mapped, compatible, translated.
    "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:7F00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]",
    "[::ffff:192.168.0.1]", "[::ffff:0.0.0.0]", "[::ffff:100.64.0.1]", "[::127.0.0.1]", "[::7f00:1]", "[::10.0.0.1]",
    "[::169.254.169.254]", "[::ffff:0:127.0.0.1]", "[::ffff:0:a9fe:a9fe]",
    // NAT64, 6to4, Teredo.
    "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]", "[64:ff9b::169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::127.0.0.1]", "[64:ff9b:1::a9fe:a9fe]", "[2002:7f00:1::]", "[2002:7f00:0001::1]",
    "[2002:a00:1::]", "[2002:a9fe:a9fe::]", "[2002:c0a8:1::1]", "[2001::7f00:1]", "[2001:0:a9fe:a9fe::1]",
    "[2001:0000:4136:e378:8000:63bf:3fff:fdd2]",
    // IPv6: private, link-local, site-local, multicast, documentation, discard, metadata, benchmark.
    "[fc00::1]", "[fd00::1]", "[fd12:3456:789a::1]", "[fd00:ec2::254]", "[fe80::1]", "[fe80::a9fe:a9fe]", "[febf::1]",
    "[fec0::1]", "[ff02::1]", "[ff05::1:3]", "[2001:db8::1]", "[2001:0db8:0:0::1]", "[3fff::1]", "[100::1]", "[2001:2::1]",
    "[2001:10::1]", "[2001:20::1]", "[4000::1]", "[5f00::1]",
    // Zones: no host has one.
    "[fe80::1%eth0]", "[fe80::1%25eth0]", "[fe80::1%1]", "[::1%lo]",
    // Names for this machine and for metadata services, which the test's resolver knows.
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "metadata.google.internal", "intranet", "printer.local",
    // What looks like an address and is none; what is no host.
    "127.0.0.1.5", "256.0.0.1", "0x7g.1", "127.0.0.08", "127..1", ".127.0.0.1", "127.0.0.1..", "0x100000000",
    "4294967296", "127.0.0.-1", "+127.0.0.1", "%31%32%37.0.0.1", "127%2e0%2e0%2e1", "[127.0.0.1]", "[::1", "::1", "1::",
    "\u{ff11}\u{ff12}\u{ff17}.0.0.1", "127\u{3002}0\u{3002}0\u{3002}1", "127\u{ff0e}0\u{ff0e}0\u{ff0e}1",
    "\u{2460}\u{2461}\u{2466}.0.0.1", "loc\u{e0}lhost", "\u{ff4c}ocalhost", "\u{1d5c5}ocalhost", "127.0.0.1\u{200b}",
    "user@127.0.0.1", "public.example@127.0.0.1", "127.0.0.1@public.example", "user:pw@127.0.0.1",
    "public.example:80@127.0.0.1", "public.example\\@127.0.0.1", "127.0.0.1#public.example", "127.0.0.1\tpublic.example",
    "public.example,127.0.0.1", "public.example 127.0.0.1", "",
    // This machine's own public address.
    "93.184.216.99", "[::ffff:93.184.216.99]", "0x5db8d863",
];

/// Names whose addresses are forbidden, as a hostile zone may hold them.
#[rustfmt::skip]
const HOSTILE_NAMES: &[(&str, &[&str])] = &[
    ("loop.example", &["127.0.0.1"]), ("zero.example", &["0.0.0.0"]), ("ten.example", &["10.0.0.1"]),
    ("home.example", &["192.168.1.1"]), ("meta.example", &["169.254.169.254"]), ("link.example", &["169.254.7.7"]),
    ("carrier.example", &["100.64.0.1"]), ("multi.example", &["224.0.0.251"]), ("doc.example", &["203.0.113.1"]),
    ("bench.example", &["198.18.0.5"]), ("six.example", &["::1"]), ("mapped.example", &["::ffff:127.0.0.1"]),
    ("mapmeta.example", &["::ffff:169.254.169.254"]), ("nat.example", &["64:ff9b::7f00:1"]),
    ("natlocal.example", &["64:ff9b:1::7f00:1"]), ("sixtofour.example", &["2002:a9fe:a9fe::1"]),
    ("teredo.example", &["2001:0:1::1"]), ("ula.example", &["fd00::1"]), ("meta6.example", &["fd00:ec2::254"]),
    ("linklocal.example", &["fe80::1"]), ("group.example", &["ff02::1"]), ("docs.example", &["2001:db8::1"]),
    ("own.example", &["93.184.216.99"]), ("both.example", &["127.0.0.1", "::1"]), ("none.example", &[]),
    ("compat.example", &["::10.0.0.1"]), ("xn--lcalhost-55a.example", &["127.0.0.1"]), ("broadcast.example", &["255.255.255.255"]),
];

fn recorded() -> (World, Arc<RecordingDialer>) {
    let dialer = Arc::new(RecordingDialer::new(DialAnswer::Refused));
    let world = World::start(Start { dialer: Some(Arc::clone(&dialer) as _), ..Start::default() });
    for name in ["localhost", "a.localhost", "intranet", "printer.local"] {
        world.name(name, &[&["127.0.0.1", "::1"]]);
    }
    world.name("metadata.google.internal", &[&["169.254.169.254"]]);
    for (name, addresses) in HOSTILE_NAMES {
        world.name(name, &[addresses]);
    }
    (world, dialer)
}

fn hosts() -> impl Iterator<Item = &'static str> {
    SPELLINGS.iter().copied().chain(HOSTILE_NAMES.iter().map(|(name, _)| *name))
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[test]
fn deny_forbidden_addresses_through_connect() {
    assert!(hosts().count() >= 180, "{}", hosts().count());
    let (world, dialer) = recorded();
    for host in hosts() {
        for port in [443, 80] {
            let answer =
                ask(world.proxy, format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n").as_bytes());
            assert!((400..600).contains(&status(&answer)), "{host}: {answer}");
            assert_eq!(dialer.take(), [], "{host}");
        }
    }
}

#[test]
fn deny_forbidden_addresses_in_absolute_form() {
    let (world, dialer) = recorded();
    for host in hosts() {
        for authority in [host.to_owned(), format!("{host}:8080")] {
            let answer = ask(
                world.proxy,
                format!("GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")
                    .as_bytes(),
            );
            assert!((400..600).contains(&status(&answer)), "{host}: {answer}");
            assert_eq!(dialer.take(), [], "{host}");
        }
    }
}

#[test]
fn deny_forbidden_addresses_through_socks() {
    let (world, dialer) = recorded();
    for host in hosts().filter(|host| host.len() < 256) {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        for name in [host, bare] {
            let length = u8::try_from(name.len()).unwrap();
            let request = [&[5, 1, 0, 5, 1, 0, 3, length][..], name.as_bytes(), &[1, 187]].concat();
            let mut socket = connect(world.proxy);
            socket.write_all(&request).unwrap();
            let answer = read_all(&mut socket);
            assert!(answer.len() == 12 && answer[..2] == [5, 0] && answer[3] != 0, "{name}: {answer:?}");
            assert_eq!(dialer.take(), [], "{name}");
        }
        if let Ok(address) = bare.parse::<std::net::IpAddr>() {
            let (kind, octets) = match address {
                std::net::IpAddr::V4(v4) => (1, v4.octets().to_vec()),
                std::net::IpAddr::V6(v6) => (4, v6.octets().to_vec()),
            };
            let mut socket = connect(world.proxy);
            socket.write_all(&[&[5, 1, 0, 5, 1, 0, kind][..], &octets, &[0, 80]].concat()).unwrap();
            let answer = read_all(&mut socket);
            assert!(answer.len() == 12 && answer[3] == 2, "{bare}: {answer:?}");
            assert_eq!(dialer.take(), [], "{bare}");
        }
    }
}

#[test]
fn deny_a_forbidden_address_as_a_rule_says() {
    let (world, _dialer) = recorded();
    for (host, rule) in [
        ("loop.example", "proxy-002"),
        ("meta.example", "proxy-003"),
        ("nat.example", "proxy-002"),
        ("own.example", "proxy-004"),
        ("127.1", "proxy-002"),
        ("[::ffff:a9fe:a9fe]", "proxy-003"),
    ] {
        let answer = ask(world.proxy, format!("CONNECT {host}:443 HTTP/1.1\r\n\r\n").as_bytes());
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && answer.contains(&format!("X-Ringfort-Rule: {rule}\r\n")),
            "{answer}"
        );
    }
    let reports = world.reports(6);
    assert!(reports.iter().all(|report| matches!(&report.ending, Ending::Denied(_)) && report.address.is_none()));
}

#[test]
fn deny_private_literals_that_are_allowed_by_pattern_only() {
    // `Private` is what an exact entry of the policy gives; even then a metadata service has another name.
    let world = World::ruled(|_| Ruling::Private);
    world.name("named.example", &[&["10.0.0.1"]]);
    world.name("meta.example", &[&["169.254.169.254"]]);
    assert_eq!(status(&ask(world.proxy, b"CONNECT named.example:443 HTTP/1.1\r\n\r\n")), 502);
    assert_eq!(world.dialed(), ["10.0.0.1:443".parse::<SocketAddr>().unwrap()]);
    assert_eq!(status(&ask(world.proxy, b"CONNECT meta.example:443 HTTP/1.1\r\n\r\n")), 403);
    assert_eq!(world.dialed().len(), 1);
}

#[test]
fn deny_a_name_that_is_bound_again() {
    let world = World::new();
    let (server, _) = http_server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    world.way(&format!("{PUBLIC}:80"), server);
    world.name("turns.example", &[&[PUBLIC], &["127.0.0.1"], &["169.254.169.254"], &[PUBLIC]]);
    let request = b"GET http://turns.example/ HTTP/1.1\r\nHost: turns.example\r\n\r\n";
    let mut socket = world.connect();
    let mut statuses = Vec::new();
    for _ in 0..4 {
        socket.write_all(request).unwrap();
        statuses.push(status(&read_response(&mut socket)));
    }
    assert_eq!(statuses, [200, 403, 403, 200]);
    let public: SocketAddr = format!("{PUBLIC}:80").parse().unwrap();
    assert_eq!(world.dialed(), [public, public], "each connection resolves anew, once");
    assert_eq!(world.resolved().len(), 4);
}

#[test]
fn deny_the_bad_ones_of_many_addresses() {
    let world = World::new();
    world.name("mixed.example", &[&["127.0.0.1", "::1", PUBLIC, "169.254.169.254", "2606:4700::1111", "10.0.0.1"]]);
    assert_eq!(status(&ask(world.proxy, b"CONNECT mixed.example:443 HTTP/1.1\r\n\r\n")), 502);
    let expected: Vec<SocketAddr> =
        vec![format!("{PUBLIC}:443").parse().unwrap(), "[2606:4700::1111]:443".parse().unwrap()];
    assert_eq!(world.dialed(), expected);
}

#[test]
fn deny_a_redirect_to_a_private_address() {
    let world = World::new();
    let (server, _) =
        http_server("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:8080/admin\r\nContent-Length: 0\r\n\r\n");
    world.site("public.example", 80, server);
    let mut socket = world.connect();
    socket.write_all(b"GET http://public.example/ HTTP/1.1\r\nHost: public.example\r\n\r\n").unwrap();
    let answer = read_response(&mut socket);
    assert!(answer.contains("Location: http://127.0.0.1:8080/admin"), "{answer}");
    // What a client does with it: a request of its own.
    socket.write_all(b"GET http://127.0.0.1:8080/admin HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n").unwrap();
    assert_eq!(status(&read_response(&mut socket)), 403);
    assert_eq!(world.dialed().len(), 1);
    let asked = world.asked();
    assert_eq!((asked[1].url().as_str(), asked.len()), ("http://127.0.0.1:8080/admin", 2));
}

#[test]
fn deny_names_before_they_are_resolved() {
    let world = World::ruled(|_| Ruling::Deny);
    for request in [
        "CONNECT secret-in-the-name.example:443 HTTP/1.1\r\n\r\n",
        "GET http://secret-in-the-name.example/ HTTP/1.0\r\n\r\n",
    ] {
        let answer = ask(world.proxy, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("X-Ringfort-Rule: egress-005\r\n"), "{answer}");
        assert!(answer.contains("it is not listed"), "{answer}");
    }
    assert!(world.resolved().is_empty() && world.dialed().is_empty());
}

#[test]
fn deny_without_a_permit_that_fits() {
    for ruling in [|| Ruling::Silent, || Ruling::WrongPermit, || Ruling::OldPermit] as [fn() -> Ruling; 3] {
        let world = World::ruled(move |_| ruling());
        world.name("public.example", &[&[PUBLIC]]);
        let answer = ask(world.proxy, b"CONNECT public.example:443 HTTP/1.1\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("X-Ringfort-Rule: proxy-00"), "{answer}");
        assert!(world.resolved().is_empty() && world.dialed().is_empty());
    }
}

#[test]
fn a_dead_address_gives_way_to_the_next() {
    let world = World::new();
    let (server, _) = http_server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    world.name("two.example", &[&["93.184.216.1", PUBLIC]]);
    world.way(&format!("{PUBLIC}:80"), server);
    let mut socket = world.connect();
    socket.write_all(b"GET http://two.example/ HTTP/1.1\r\nHost: two.example\r\n\r\n").unwrap();
    assert_eq!(status(&read_response(&mut socket)), 200);
    assert_eq!(world.dialed().len(), 2);
    drop(socket.shutdown(std::net::Shutdown::Both));
    let mut rest = Vec::new();
    drop(socket.read_to_end(&mut rest));
    assert!(rest.is_empty());
}
