// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that ignore the proxy: inside a network namespace of the test, where synthetic addresses lead to it.
//!
//! The outer test starts this binary again inside a namespace of its own; what runs there is the inner test.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;

use ringfort_proxy::judge::{Ending, Kind, Protocol};

use crate::tunnels::{ECH, echo, hello};
use crate::world::{PATIENCE, Ruling, Start, World, connect, http_server, read_all, read_response, server};

/// Set in the namespace.
const INSIDE: &str = "RINGFORT_TEST_INSIDE";
const PORTS: [u16; 4] = [80, 443, 22, 2525];

#[test]
fn programs_that_ignore_the_proxy_are_caught() {
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let binary = std::env::current_exe().unwrap();
    let script = "ip link set lo up && ip route add local 198.18.0.0/15 dev lo && exec \"$0\" --exact \
                  caught::programs_that_ignore_the_proxy_are_caught --nocapture";
    let made = |extra: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(extra).args(["-r", "-n", "sh", "-c"]);
        command
    };
    let possible = made(&[]).arg("ip link set lo up").status().is_ok_and(|status| status.success());
    if !possible {
        assert!(std::env::var_os("RINGFORT_TEST_NO_SKIP").is_none(), "no network namespace can be made");
        eprintln!("skipped: no network namespace can be made");
        return;
    }
    let output = made(&[]).arg(script).arg(binary).env(INSIDE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text} {}", String::from_utf8_lossy(&output.stdout));
}

fn inside() {
    let world = World::start_at(
        Start {
            rule: Box::new(|asked| {
                let denied = asked.host.to_string() == "denied.example" || asked.path.as_deref() == Some("/secret");
                if denied { Ruling::Deny } else { Ruling::Public }
            }),
            ..Start::default()
        },
        &PORTS,
    );
    tls_is_caught(&world);
    deny_names_that_disagree(&world);
    http_is_caught(&world);
    a_server_may_speak_first(&world);
    deny_addresses_without_a_name(&world);
    deny_hostile_names(&world);
}

/// The synthetic address of a name, from the DNS answerer.
fn lookup(world: &World, name: &str) -> std::net::Ipv4Addr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut query = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    socket.send_to(&query, world.dns_udp).unwrap();
    let mut answer = [0; 512];
    let count = socket.recv(&mut answer).unwrap();
    let octets: [u8; 4] = answer[count - 4..count].try_into().unwrap();
    octets.into()
}

fn dial(world: &World, name: &str, port: u16) -> TcpStream {
    connect(SocketAddr::new(lookup(world, name).into(), port))
}

fn last_report(world: &World, before: usize) -> ringfort_proxy::judge::Report {
    world.reports(before + 1).pop().unwrap()
}

fn count(world: &World) -> usize {
    world.reports(0).len()
}

fn tls_is_caught(world: &World) {
    let (site, _) = echo();
    world.site("site.example", 443, site);
    let before = count(world);
    let mut socket = dial(world, "site.example", 443);
    let sent = hello(Some("site.example"), &[]);
    socket.write_all(&sent).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut socket), sent);
    let report = last_report(world, before);
    let asked = report.asked.unwrap();
    assert_eq!((asked.kind, asked.url().as_str(), report.protocol), (Kind::Caught, "site.example:443", Protocol::Tls));
}

fn deny_names_that_disagree(world: &World) {
    let asked = world.asked().len();
    for (sent, rule) in [
        (hello(Some("other.example"), &[]), "proxy-005"),
        (hello(None, &[]), "proxy-006"),
        (hello(Some("site.example"), ECH), "proxy-006"),
    ] {
        let before = count(world);
        let mut socket = dial(world, "site.example", 443);
        socket.write_all(&sent).unwrap();
        assert_eq!(read_all(&mut socket), [21, 3, 3, 0, 2, 2, 49]);
        let report = last_report(world, before);
        assert!(matches!(&report.ending, Ending::Denied(denial) if denial.rule == rule), "{report:?}");
    }
    for request in [
        "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n",
        "GET http://other.example/ HTTP/1.1\r\nHost: other.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        "CONNECT site.example:443 HTTP/1.1\r\nHost: site.example\r\n\r\n",
    ] {
        let mut socket = dial(world, "site.example", 80);
        socket.write_all(request.as_bytes()).unwrap();
        let answer = String::from_utf8(read_all(&mut socket)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 40"), "{request}: {answer}");
    }
    assert_eq!(world.asked().len(), asked, "nobody is asked about names that disagree");
}

fn http_is_caught(world: &World) {
    let (site, kept) = http_server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    world.site("site.example", 80, site);
    let mut socket = dial(world, "site.example", 80);
    socket.write_all(b"GET /a HTTP/1.1\r\nHost: site.example\r\n\r\n").unwrap();
    assert!(read_response(&mut socket).ends_with("ok"));
    drop(socket);
    let asked = world.asked().pop().unwrap();
    assert_eq!((asked.kind, asked.url().as_str()), (Kind::Http, "http://site.example:80/a"));
    let mut socket = dial(world, "site.example", 80);
    socket.write_all(b"GET /secret HTTP/1.1\r\nHost: site.example\r\n\r\n").unwrap();
    let answer = read_response(&mut socket);
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("X-Ringfort-Rule: egress-005\r\n"), "{answer}");
    assert_eq!(*kept.lock().unwrap(), b"GET /a HTTP/1.1\r\nHost: site.example\r\n\r\n");
}

fn a_server_may_speak_first(world: &World) {
    let site = server(|mut socket| socket.write_all(b"220 hello\r\n").unwrap());
    world.site("mail.example", 2525, site);
    let mut socket = dial(world, "mail.example", 2525);
    assert_eq!(read_all(&mut socket), b"220 hello\r\n");
}

fn deny_addresses_without_a_name(world: &World) {
    let dialed = world.dialed().len();
    for (address, port) in [("198.18.77.77", 443), ("198.19.255.255", 80), ("127.0.0.1", 443), ("127.0.0.1", 22)] {
        let before = count(world);
        let mut socket = connect(format!("{address}:{port}").parse().unwrap());
        // The other side may have closed already.
        drop(socket.write_all(&hello(Some("site.example"), &[])));
        assert_eq!(read_all(&mut socket), b"");
        let report = last_report(world, before);
        assert!(matches!(&report.ending, Ending::Denied(denial) if denial.rule == "proxy-011"), "{report:?}");
    }
    assert_eq!(world.dialed().len(), dialed);
}

/// Names that lead to forbidden addresses, and one that the judge denies.
fn deny_hostile_names(world: &World) {
    let dialed = world.dialed().len();
    for (name, addresses) in [
        ("loop.example", &["127.0.0.1"][..]),
        ("meta.example", &["169.254.169.254"]),
        ("six.example", &["::1", "fd00::1", "64:ff9b::7f00:1"]),
        ("self.example", &["198.18.0.1"]),
        ("denied.example", &["93.184.216.34"]),
    ] {
        world.name(name, &[addresses]);
        for port in [443, 22] {
            let before = count(world);
            let mut socket = dial(world, name, port);
            if port == 443 {
                socket.write_all(&hello(Some(name), &[])).unwrap();
            }
            let mut rest = Vec::new();
            drop(socket.read_to_end(&mut rest));
            assert_eq!(rest, if port == 443 { vec![21, 3, 3, 0, 2, 2, 49] } else { Vec::new() }, "{name}");
            assert!(matches!(last_report(world, before).ending, Ending::Denied(_)), "{name}");
        }
    }
    assert_eq!(world.dialed().len(), dialed);
}
