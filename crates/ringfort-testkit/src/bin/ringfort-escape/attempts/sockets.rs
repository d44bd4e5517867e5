// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reaching listeners outside, by every family, address and detour. Those that listen answer with a secret and keep a
//! list of their visitors.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::reading::told;
use super::{Attempt, Blocked, Outcome, answer, done, effect, shown};
use crate::scene::Scene;
use crate::sys;

const WAIT: Duration = Duration::from_millis(700);
const UNIX: usize = 1;
const DATAGRAM: usize = 2;

#[rustfmt::skip]
pub(crate) static ATTEMPTS: &[Attempt] = &[
    effect(460, "connects to a listener of the machine", |s| tcp(("127.0.0.1", port(s, "tcp")))),
    effect(461, "connects by the newer protocol of the internet", |s| tcp(("::1", port(s, "tcp6")))).needs("IPv6"),
    effect(462, "connects to the address of everybody", |s| tcp(("0.0.0.0", port(s, "tcp")))),
    effect(463, "connects by an address in an address", |s| tcp(("::ffff:127.0.0.1", port(s, "tcp")))).needs("IPv6"),
    effect(464, "connects to another address of the machine itself", |s| tcp(("127.9.8.7", port(s, "tcp_any")))),
    effect(465, "sends a datagram", |s| { let socket = UdpSocket::bind(("0.0.0.0", 0))?; socket.send_to(b"attack", ("127.0.0.1", port(s, "udp")))?; answered(|buffer| { socket.set_read_timeout(Some(WAIT))?; socket.recv(buffer) }) }),
    effect(466, "sends data with the first packet, without connecting", |s| fast_open(port(s, "tcp"))),
    effect(467, "connects by a protocol of many paths", |s| raw_tcp(s, 262)).needs("MPTCP"),
    effect(468, "connects to a name that is no file", |s| { let address = SocketAddr::from_abstract_name(s.text("abstract"))?; stream(UnixStream::connect_addr(&address)?) }),
    effect(469, "sends a datagram to a name that is no file", |s| { let address = SocketAddr::from_abstract_name(format!("{}-datagram", s.text("abstract")))?; done(UnixDatagram::unbound()?.send_to_addr(b"attack", &address)) }),
    effect(470, "connects to a socket by its path", |s| stream(UnixStream::connect(s.outside.join("socket"))?)),
    effect(471, "sends a datagram to a socket by its path", |s| done(UnixDatagram::unbound()?.send_to(b"attack", s.outside.join("datagram")))),
    effect(472, "connects to the agent that keeps keys", |s| stream(UnixStream::connect(s.home.join("agent.sock"))?)),
    effect(473, "connects to a socket through a link", |s| { std::os::unix::fs::symlink(s.outside.join("socket"), s.work.join("socket-link"))?; stream(UnixStream::connect(s.work.join("socket-link"))?) }),
    effect(474, "connects to a socket through a second name", |s| { fs::hard_link(s.outside.join("socket"), s.work.join("socket-hard"))?; stream(UnixStream::connect(s.work.join("socket-hard"))?) }),
    effect(475, "connects to a socket moved into the workspace", |s| { fs::rename(s.outside.join("socket2"), s.work.join("socket-moved"))?; stream(UnixStream::connect(s.work.join("socket-moved"))?) }),
    effect(476, "connects to the bus of the session", |s| { let bus = environment("DBUS_SESSION_BUS_ADDRESS").unwrap_or_else(|| format!("unix:path={}", s.outside.join("socket").display())); stream(UnixStream::connect(Path::new(bus.trim_start_matches("unix:path=")))?) }),
    effect(477, "sends a datagram to a path by one end of a pair", |s| { let (socket, _other) = pair()?; send_to(socket, &s.outside.join("datagram")) }),
    effect(478, "connects one end of a pair to a path", |s| { let (socket, _other) = pair()?; connect_path(socket, &s.outside.join("datagram"))?; done(sys::call(sys::SENDTO, [socket, sys::address(b"attack"), 6, 0, 0, 0])) }),
    effect(479, "sends a datagram to a name that is no file by one end of a pair", |s| { let (socket, _other) = pair()?; send_abstract(socket, &format!("{}-datagram", s.text("abstract"))) }),
    effect(480, "uses the connection to its keeper as a socket to a path", |s| { for socket in 0..8 { if send_to(socket, &s.outside.join("datagram")).is_ok() || connect_path(socket, &s.outside.join("socket")).is_ok() { return Ok(format!("by {socket}")); } } Err("none of them".into()) }).needs("a socket that was handed in"),
    effect(481, "a shell connects", |s| { let mut shell = Command::new("bash"); shell.arg("-c").arg(format!("exec 9<>/dev/tcp/127.0.0.1/{} && head -c 80 <&9", s.number("tcp"))); told(shell) }).needs("bash"),
    effect(482, "lures a program outside that connects to a port", |s| { let listener = TcpListener::bind(("127.0.0.1", port(s, "lure")))?; lured(|| { listener.set_nonblocking(true)?; Ok(listener.accept()?.0) }) }),
    effect(483, "lures a program outside that connects to a name", |s| { let address = SocketAddr::from_abstract_name(format!("{}-lure", s.text("abstract")))?; let listener = UnixListener::bind_addr(&address)?; lured(|| { listener.set_nonblocking(true)?; Ok(listener.accept()?.0) }) }),
    answer(484, "packets as they are on the wire", |_| socket(17, 3, 0)).needs("root"),
    answer(485, "raw packets of the internet", |_| socket(2, 3, 1)).needs("root"),
    answer(486, "echo requests", |_| socket(2, DATAGRAM, 1)).needs("a range of groups that may"),
    answer(487, "sockets to a machine below", |_| socket(40, 1, 0)).needs("vsock"),
    answer(488, "sockets of the kernel's ciphers", |_| socket(38, 5, 0)).needs("AF_ALG"),
    answer(489, "sockets of the kernel's events", |_| socket(16, 3, 15)),
    answer(490, "sockets of the kernel's filters", |_| socket(16, 3, 12)).needs("nfnetlink"),
    answer(491, "sockets of the kernel's table of sockets", |_| socket(16, 3, 4)).needs("sock_diag"),
    answer(492, "sockets of the kernel's other tables", |_| socket(16, 3, 16)),
    answer(493, "sockets of the kernel's audit", |_| socket(16, 3, 9)).needs("audit"),
    answer(494, "sockets of wireless devices", |_| socket(31, 3, 1)).needs("bluetooth"),
    answer(495, "sockets that pass by the stack", |_| socket(44, 3, 0)).needs("root"),
    answer(496, "sockets of clusters and other families", |_| { for family in [29, 30, 41, 43, 15, 21, 42, 39, 26, 9] { for kind in [1, 2, 3, 4, 5] { if let Ok(how) = socket(family, kind, 0) { return Ok(format!("family {family}: {how}")); } } } Err("none of them".into()) }).needs("a kernel with one of them"),
    answer(497, "streams of messages on the internet", |_| socket(2, 5, 132).or_else(|_| socket(2, 1, 132)).or_else(|_| socket(2, 6, 33))).needs("SCTP or DCCP"),
    answer(498, "sees a network besides its own", |_| { let text = fs::read_to_string("/proc/net/dev")?; let names: Vec<&str> = text.lines().skip(2).filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).filter(|name| *name != "lo").collect(); if names.is_empty() { Err("only its own".into()) } else { Ok(names.join(" ")) } }).needs("an interface besides lo"),
    answer(499, "connects to the engine of containers", |_| done(UnixStream::connect("/var/run/docker.sock"))).needs("Docker"),
    answer(500, "connects to the bus of the system", |_| done(UnixStream::connect("/run/dbus/system_bus_socket"))).needs("D-Bus"),
    effect(501, "hands a datagram to the log of the system outside", |s| { let (socket, _other) = pair()?; send_to(socket, Path::new("/dev/log")).and_then(|_| send_to(socket, &s.outside.join("datagram"))) }).needs("a log"),
    effect(502, "asks the door for a listener of the machine", |s| through_door(&format!("CONNECT 127.0.0.1:{0} HTTP/1.1\r\nHost: 127.0.0.1:{0}\r\n\r\n", s.number("tcp")).into_bytes())).needs(DOOR),
    effect(503, "asks the door by another spelling of the address", |s| { for host in ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]", "localhost", "LOCALHOST.", "0", "[::]", "127.0.0.1.nip.io"] { through_door(&format!("CONNECT {host}:{0} HTTP/1.1\r\nHost: {host}:{0}\r\n\r\n", s.number("tcp_any")).into_bytes())?; } Err("none of them".into()) }).needs(DOOR),
    effect(504, "asks the door for a page of a listener of the machine", |s| through_door(&format!("GET http://127.0.0.1:{0}/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n", s.number("tcp")).into_bytes())).needs(DOOR),
    effect(505, "asks the door by the other protocol, for an address", |s| { let [high, low] = port(s, "tcp").to_be_bytes(); through_door(&[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, high, low]) }).needs(DOOR),
    effect(506, "asks the door by the other protocol, for a name", |s| { let [high, low] = port(s, "tcp").to_be_bytes(); through_door(&[&[5, 1, 0, 5, 1, 0, 3, 9][..], b"localhost", &[high, low]].concat()) }).needs(DOOR),
    effect(507, "smuggles a second request behind a first", |s| through_door(&format!("POST http://allowed.example/ HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET http://127.0.0.1:{}/ HTTP/1.1\r\nHost: x\r\n\r\n", s.number("tcp")).into_bytes())).needs(DOOR),
];

/// The door is the only listener that a cage has; without a network there is none.
const DOOR: &str = "a door";
/// Where it listens.
const DOOR_PORT: u16 = 3128;

/// Says something to the door and shows what comes back.
fn through_door(words: &[u8]) -> Outcome {
    let mut door = TcpStream::connect_timeout(&([127, 0, 0, 1], DOOR_PORT).into(), WAIT)?;
    door.set_read_timeout(Some(WAIT))?;
    door.write_all(words)?;
    let mut said = Vec::new();
    let mut part = [0u8; 512];
    while let Ok(length @ 1..) = door.read(&mut part) {
        said.extend_from_slice(part.get(..length).unwrap_or(&part));
    }
    Ok(shown(&said))
}

fn port(s: &Scene, name: &str) -> u16 {
    u16::try_from(s.number(name)).unwrap_or(0)
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn tcp(address: (&str, u16)) -> Outcome {
    let address = address.to_socket_addrs()?.next().ok_or(Blocked("no address".into()))?;
    stream(TcpStream::connect_timeout(&address, WAIT)?)
}

/// Reads what the listener says.
fn stream(mut connection: impl Read + Write) -> Outcome {
    drop(connection.write_all(b"attack"));
    let mut text = [0u8; 128];
    let length = connection.read(&mut text)?;
    Ok(shown(text.get(..length).unwrap_or(&text)))
}

fn answered(receive: impl Fn(&mut [u8]) -> std::io::Result<usize>) -> Outcome {
    let mut text = [0u8; 128];
    let length = receive(&mut text)?;
    Ok(shown(text.get(..length).unwrap_or(&text)))
}

fn lured<C: Read>(accept: impl Fn() -> std::io::Result<C>) -> Outcome {
    let start = Instant::now();
    while start.elapsed() < WAIT {
        if let Ok(mut visitor) = accept() {
            let mut text = [0u8; 128];
            std::thread::sleep(Duration::from_millis(50));
            let length = visitor.read(&mut text).unwrap_or(0);
            return Ok(format!("a visitor says {}", shown(text.get(..length).unwrap_or(&text))));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err("nobody came".into())
}

fn internet_address(port: u16) -> [u8; 16] {
    let [high, low] = port.to_be_bytes();
    [2, 0, high, low, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn fast_open(port: u16) -> Outcome {
    let socket = sys::call(sys::SOCKET, [2, 1, 0])?;
    let address = internet_address(port);
    const FAST_OPEN: usize = 0x2000_0000;
    done(sys::call(sys::SENDTO, [socket, sys::address(b"attack"), 6, FAST_OPEN, sys::address(&address), 16]))
}

fn raw_tcp(s: &Scene, protocol: usize) -> Outcome {
    let socket = sys::call(sys::SOCKET, [2, 1, protocol])?;
    let address = internet_address(port(s, "tcp"));
    done(sys::call(sys::CONNECT, [socket, sys::address(&address), 16]))
}

fn socket(family: usize, kind: usize, protocol: usize) -> Outcome {
    done(sys::call(sys::SOCKET, [family, kind, protocol]))
}

/// Both ends of a pair of datagram sockets.
fn pair() -> Result<(usize, usize), Blocked> {
    let mut both = [0i32; 2];
    sys::call(sys::SOCKETPAIR, [UNIX, DATAGRAM, 0, both.as_mut_ptr() as usize])?;
    let [one, other] = both.map(|file| usize::try_from(file).unwrap_or(sys::NONE));
    Ok((one, other))
}

fn unix_address(name: &[u8]) -> Vec<u8> {
    let mut address = vec![1u8, 0];
    address.extend_from_slice(name);
    address
}

fn send_to(socket: usize, path: &Path) -> Outcome {
    let mut address = unix_address(path.as_os_str().as_encoded_bytes());
    address.push(0);
    done(sys::call(sys::SENDTO, [socket, sys::address(b"attack"), 6, 0, sys::address(&address), address.len()]))
}

fn connect_path(socket: usize, path: &Path) -> Outcome {
    let mut address = unix_address(path.as_os_str().as_encoded_bytes());
    address.push(0);
    done(sys::call(sys::CONNECT, [socket, sys::address(&address), address.len()]))
}

fn send_abstract(socket: usize, name: &str) -> Outcome {
    let address = unix_address(format!("\0{name}").as_bytes());
    done(sys::call(sys::SENDTO, [socket, sys::address(b"attack"), 6, 0, sys::address(&address), address.len()]))
}
