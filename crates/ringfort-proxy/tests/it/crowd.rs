// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many and hostile clients at once; one that behaves is served all the while.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::tunnels::echo;
use crate::world::{World, http_server, read_head, read_response};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const REQUEST: &[u8] = b"GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\n\r\n";

fn serve_one(world: &World, times: usize) {
    let mut socket = world.connect();
    for _ in 0..times {
        socket.write_all(REQUEST).unwrap();
        assert!(read_response(&mut socket).ends_with("\r\n\r\nok"));
    }
}

fn alive(socket: &TcpStream) -> bool {
    socket.set_nonblocking(true).unwrap();
    let mut reader = socket;
    let alive = reader.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    socket.set_nonblocking(false).unwrap();
    alive
}

#[test]
fn slow_clients_disturb_nobody() {
    let world = World::new();
    world.site("site.example", 80, http_server(OK).0);
    let starts: [&[u8]; 5] = [b"G", b"GET http://site.example/ HTTP/1.1\r\nX", &[5], &[5, 1, 0, 5, 1, 0, 3, 200], b""];
    let slow: Vec<TcpStream> = (0..200)
        .map(|number| {
            let mut socket = world.connect();
            socket.write_all(starts[number % starts.len()]).unwrap();
            socket
        })
        .collect();
    for (round, socket) in slow.iter().enumerate().filter(|(number, _)| number % 5 < 2) {
        let mut writer = socket;
        writer.write_all(b"E").unwrap();
        if round % 50 == 0 {
            serve_one(&world, 20);
        }
    }
    let still = slow.iter().filter(|socket| {
        socket.set_nonblocking(true).unwrap();
        let mut byte = [0; 2];
        let mut reader: &TcpStream = socket;
        !matches!(reader.read(&mut byte), Ok(0))
    });
    assert_eq!(still.count(), 200, "the slow ones were there all the while");
}

#[test]
fn long_heads_disturb_nobody() {
    let world = World::new();
    world.site("site.example", 80, http_server(OK).0);
    let long: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut socket = world.connect();
            socket.write_all(b"GET http://site.example/ HTTP/1.1\r\nHost: site.example\r\n").unwrap();
            for _ in 0..15 {
                socket.write_all(&[b"X: ".to_vec(), vec![b'y'; 4000], b"\r\n".to_vec()].concat()).unwrap();
            }
            socket
        })
        .collect();
    serve_one(&world, 50);
    assert!(long.iter().all(alive));
    for mut socket in long {
        socket.write_all(&[b"X: ".to_vec(), vec![b'y'; 8000]].concat()).unwrap();
        assert!(read_head(&mut socket).unwrap().starts_with(b"HTTP/1.1 431 "));
    }
    serve_one(&world, 5);
}

#[test]
fn a_client_that_does_not_read_disturbs_nobody() {
    let world = World::new();
    world.site("site.example", 80, http_server(OK).0);
    world.site("echo.example", 9, echo().0);
    let mut stuck = world.connect();
    stuck.write_all(b"CONNECT echo.example:9 HTTP/1.1\r\n\r\n").unwrap();
    read_head(&mut stuck).unwrap();
    stuck.set_write_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
    let mut filled = 0;
    while let Ok(count @ 1..) = stuck.write(&[1; 65_536]) {
        filled += count;
        assert!(filled < 1 << 30, "nothing holds it back");
    }
    serve_one(&world, 50);
    assert!(world.asked().len() >= 2);
}

#[test]
fn a_thousand_connections_at_once() {
    let world = World::new();
    world.site("echo.example", 9, echo().0);
    world.site("site.example", 80, http_server(OK).0);
    let limit = rustix_files();
    let count = if limit < 5_000 {
        assert!(std::env::var_os("RINGFORT_TEST_NO_SKIP").is_none(), "{limit} open files are too few");
        eprintln!("skipped: {limit} open files are too few for 1,000 connections; made 200");
        200
    } else {
        1_000
    };
    let mut all: Vec<TcpStream> = (0..count)
        .map(|number: usize| {
            let mut socket = world.connect();
            socket.write_all(b"CONNECT echo.example:9 HTTP/1.1\r\n\r\n").unwrap();
            assert!(read_head(&mut socket).unwrap().starts_with(b"HTTP/1.1 200 "), "{number}");
            socket
        })
        .collect();
    for (number, socket) in all.iter_mut().enumerate() {
        socket.write_all(&[&[1][..], &number.to_be_bytes()].concat()).unwrap();
    }
    serve_one(&world, 50);
    for (number, socket) in all.iter_mut().enumerate() {
        let mut got = [0; 9];
        socket.read_exact(&mut got).unwrap();
        assert_eq!(got[1..], number.to_be_bytes());
    }
    drop(all);
    let reports = world.reports(count);
    assert!(reports.iter().all(|report| report.sent_bytes == 9 || report.requests > 1));
}

/// Open files that this process may have, once a proxy has asked for more.
fn rustix_files() -> u64 {
    let text = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = text.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).and_then(|word| word.parse().ok()).unwrap_or(0)
}
