// SPDX-License-Identifier: MIT OR Apache-2.0
//! DNS: synthetic addresses for names that rules could allow, nothing for others, nothing forwarded.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};

use crate::world::{PATIENCE, World, connect};

const A: u16 = 1;

fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut message = [&id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message
}

fn udp(world: &World) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(world.dns_udp).unwrap();
    socket
}

fn ask(socket: &UdpSocket, message: &[u8]) -> Vec<u8> {
    socket.send(message).unwrap();
    let mut buffer = [0; 1500];
    let count = socket.recv(&mut buffer).unwrap();
    buffer[..count].to_vec()
}

/// Code, number of answers, and the address if there is one.
fn read(answer: &[u8]) -> (u8, u8, Option<[u8; 4]>) {
    let address = (answer[7] == 1).then(|| answer[answer.len() - 4..].try_into().unwrap());
    (answer[3] & 15, answer[7], address)
}

#[test]
fn names_get_stable_synthetic_addresses() {
    let world = World::new();
    let socket = udp(&world);
    let first = read(&ask(&socket, &query(1, "a.example", A)));
    let second = read(&ask(&socket, &query(2, "b.example", A)));
    assert_eq!((first.0, first.1, first.2.map(|octets| octets[..2].to_vec())), (0, 1, Some(vec![198, 18])));
    assert_ne!(first, second);
    assert_eq!(read(&ask(&socket, &query(3, "A.Example", A))), first, "case and time change nothing");
    for kind in [28, 65, 64, 16, 15, 255, 2, 6] {
        assert_eq!(read(&ask(&socket, &query(4, "a.example", kind))), (0, 0, None), "type {kind}");
    }
    assert!(world.asked().is_empty() && world.resolved().is_empty() && world.dialed().is_empty());
}

#[test]
fn deny_names_that_rules_deny() {
    let world = World::new();
    let socket = udp(&world);
    for name in [
        "evil.test",
        "secret-data.attacker.test",
        "localhost",
        "metadata.google.internal",
        "127.0.0.1",
        "2130706433",
        "0x7f.1",
        "1.0.0.127.in-addr.arpa",
        "example",
        "",
        "-a.example",
    ] {
        assert_eq!(read(&ask(&socket, &query(5, name, A))), (3, 0, None), "{name}");
    }
    assert!(world.resolved().is_empty() && world.asked().is_empty());
}

#[test]
fn deny_messages_that_are_no_queries() {
    let world = World::new();
    let socket = udp(&world);
    let good = query(6, "a.example", A);
    let mut answer = good.clone();
    answer[2] = 0x81;
    socket.send(&answer).unwrap();
    socket.send(&[]).unwrap();
    socket.send(&[0; 5]).unwrap();
    let mut two = good.clone();
    two[5] = 2;
    assert_eq!(read(&ask(&socket, &two)).0, 1);
    let mut update = good.clone();
    update[2] = 0x28;
    assert_eq!(read(&ask(&socket, &update)).0, 4);
    let mut chaos = good.clone();
    let last = chaos.len() - 1;
    chaos[last] = 3;
    assert_eq!(read(&ask(&socket, &chaos)).0, 5);
    assert_eq!(read(&ask(&socket, &vec![0; 1400])).0, 1);
    assert_eq!(read(&ask(&socket, &good)).1, 1, "it still answers");
}

fn framed(socket: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    socket.read_exact(&mut length).unwrap();
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    socket.read_exact(&mut message).unwrap();
    message
}

#[test]
fn tcp_gives_the_same_answers() {
    let world = World::new();
    let first = read(&ask(&udp(&world), &query(1, "a.example", A)));
    let mut socket = connect(world.dns_tcp);
    let message = query(1, "a.example", A);
    let one = [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat();
    socket.write_all(&[&one[..], &one, &one[..7]].concat()).unwrap();
    assert_eq!(read(&framed(&mut socket)), first);
    assert_eq!(read(&framed(&mut socket)), first);
    socket.write_all(&one[7..]).unwrap();
    assert_eq!(read(&framed(&mut socket)), first);
    socket.write_all(&[0xff, 0xff]).unwrap();
    assert_eq!(socket.read(&mut [0]).unwrap(), 0, "what is too long ends the connection");
}

#[test]
fn many_queries_do_not_fill_the_table() {
    let world = World::new();
    let socket = udp(&world);
    let kept = read(&ask(&socket, &query(1, "kept.example", A)));
    for number in 0..6_000 {
        let answer = read(&ask(&socket, &query(2, &format!("n{number}.example"), A)));
        assert_eq!(answer.1, 1);
        if number % 500 == 0 {
            assert_eq!(read(&ask(&socket, &query(3, "kept.example", A))), kept);
        }
    }
}
