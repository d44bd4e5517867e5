// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the programs of the network tests do inside their cages.
#![expect(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::disallowed_methods,
    reason = "an attacker dials and makes system calls by hand, with structures that outlive the call"
)]

use std::ffi::{c_int, c_long};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

/// The variable that names what this binary does inside.
pub(crate) const VARIABLE: &str = "RINGFORT_TEST_INSIDE";
/// A name in the abstract namespace.
const ABSTRACT: &str = "ringfort-test-sibling";
/// Longest that an attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// Does nothing unless this binary was started inside a cage.
#[test]
fn inside() {
    let Ok(task) = std::env::var(VARIABLE) else {
        return;
    };
    let words: Vec<&str> = task.split(' ').collect();
    match words[..] {
        ["serve-and-ask"] => serve_and_ask(),
        ["ask", ref addresses @ ..] => addresses.iter().for_each(|address| ask(address, *address)),
        ["name", name, port] => ask(name, (name, port.parse().unwrap())),
        ["name-where-there-is-an-address", name] => look_up_where_there_is_an_address(name),
        ["reach", port] => reach(port.parse().unwrap()),
        ["change"] => change(),
        ["listen-abstract"] => {
            let address = UnixAddress::from_abstract_name(ABSTRACT).unwrap();
            let listener = UnixListener::bind_addr(&address).unwrap();
            println!("LISTENING");
            let _ended = listener.accept();
        }
        ["reach-abstract"] => {
            let address = UnixAddress::from_abstract_name(ABSTRACT).unwrap();
            say("abstract socket of a sibling", UnixStream::connect_addr(&address).map(|_| ()));
        }
        ["ask-when-told", ref addresses @ ..] => {
            wait_until_told("READY");
            for address in addresses {
                match TcpStream::connect(address) {
                    Err(error) if error.kind() == ErrorKind::ConnectionRefused => println!("REFUSED"),
                    other => println!("{address}: {other:?}"),
                }
            }
        }
        ["flood"] => flood(),
        _ => panic!("no task `{task}`"),
    }
    println!("\nDONE");
}

/// Says `word`, then waits for a file in the workspace.
fn wait_until_told(word: &str) {
    println!("\n{word}");
    while !Path::new("go").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A server and its client, as a test suite starts them.
fn serve_and_ask() {
    for address in ["127.0.0.1:0", "127.8.9.10:0", "[::1]:0"] {
        let listener = match TcpListener::bind(address) {
            Ok(listener) => listener,
            Err(_) if address.starts_with('[') => continue, // A kernel without IPv6.
            Err(error) => panic!("{address}: {error}"),
        };
        let place = listener.local_addr().unwrap();
        let client = std::thread::spawn(move || {
            let mut text = String::new();
            TcpStream::connect(place).unwrap().read_to_string(&mut text).unwrap();
            text
        });
        listener.accept().unwrap().0.write_all(b"answer").unwrap();
        assert_eq!(client.join().unwrap(), "answer");
    }
}

fn ask(name: &str, address: impl ToSocketAddrs) {
    let mut text = String::new();
    TcpStream::connect(address).unwrap().read_to_string(&mut text).unwrap();
    println!("\nANSWER {name} {text}");
}

/// As programs do that were told to use IPv4, or ask for addresses only of the families that the host has.
fn look_up_where_there_is_an_address(name: &str) {
    let name = std::ffi::CString::new(name).unwrap();
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    (hints.ai_family, hints.ai_flags, hints.ai_socktype) = (libc::AF_INET, libc::AI_ADDRCONFIG, libc::SOCK_STREAM);
    let mut found = std::ptr::null_mut();
    let answer = unsafe { libc::getaddrinfo(name.as_ptr(), std::ptr::null(), &raw const hints, &raw mut found) };
    println!("\nLOOKED UP {answer}");
}

fn say(what: &str, result: Result<()>) {
    match result {
        Ok(()) => println!("\nREACHED CHANGED {what}"),
        Err(error) => println!("\nBLOCKED {what}: {error}"),
    }
}

/// Addresses that no cage may reach; `198.18.0.1` is one of the door's, on a port that it does not catch.
const FORBIDDEN: &[&str] = &[
    "1.1.1.1:443",
    "8.8.8.8:53",
    "93.184.216.34:80",
    "10.0.0.1:80",
    "10.255.255.255:443",
    "172.16.0.1:80",
    "172.17.0.1:2375",
    "192.168.0.1:80",
    "192.168.1.1:443",
    "100.64.0.1:80",
    "100.100.100.200:80",
    "169.254.169.254:80",
    "169.254.170.2:80",
    "169.254.1.1:80",
    "192.0.0.192:80",
    "168.63.129.16:80",
    "192.0.2.1:80",
    "198.51.100.1:80",
    "203.0.113.1:443",
    "198.17.255.255:443",
    "198.20.0.0:443",
    "198.18.0.1:8443",
    "198.18.0.1:22",
    "224.0.0.251:5353",
    "239.255.255.250:1900",
    "255.255.255.255:67",
    "240.0.0.1:80",
    "0.0.0.0:8080",
    "[::1]:8080",
    "[2001:db8::1]:443",
    "[2606:4700:4700::1111]:443",
    "[fe80::1]:80",
    "[fd00:ec2::254]:80",
    "[ff02::1]:80",
    "[::ffff:1.1.1.1]:443",
    "[::ffff:169.254.169.254]:80",
    "[64:ff9b::a9fe:a9fe]:80",
    "[2002:a9fe:a9fe::1]:80",
];

/// Every way to every forbidden address, and to what listens on the host at `port`.
fn reach(port: u16) {
    let host = [IpAddr::V4(Ipv4Addr::LOCALHOST), "127.1.2.3".parse().unwrap(), "::1".parse().unwrap()];
    let host = host.into_iter().map(|address| SocketAddr::new(address, port));
    for address in FORBIDDEN.iter().map(|text| text.parse().unwrap()).chain(host) {
        say(&format!("tcp {address}"), TcpStream::connect_timeout(&address, ATTEMPT).map(|_| ()));
        say(&format!("udp {address}"), send(address));
    }
    send_through_loopback();
    for (family, kind, protocol) in [
        (libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW),
        (libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        (libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6),
        (libc::AF_PACKET, libc::SOCK_RAW, 0x0300),
        (libc::AF_PACKET, libc::SOCK_DGRAM, 0x0300),
        (libc::AF_VSOCK, libc::SOCK_STREAM, 0),
        (libc::AF_INET, libc::SOCK_DCCP, libc::IPPROTO_DCCP),
        (libc::AF_TIPC, libc::SOCK_STREAM, 0),
    ] {
        let socket = unsafe { libc::socket(family, kind, protocol) };
        say(&format!("socket {family} {kind} {protocol}"), answered(socket.into()));
    }
}

/// A datagram counts as sent when the next call is not told that it could not be.
fn send(address: SocketAddr) -> Result<()> {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.set_broadcast(true)?;
    socket.connect(address)?;
    socket.send(b"x")?;
    socket.send(b"x").map(|_| ())
}

/// Bound to an interface, packets are sent where no route leads. Whether one arrived is judged outside.
fn send_through_loopback() {
    for text in FORBIDDEN {
        let address: SocketAddr = text.parse().unwrap();
        let Ok(socket) = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }) else { continue };
        let name = c"lo";
        let bound = unsafe {
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_BINDTODEVICE, name.as_ptr().cast(), 3)
        };
        println!("\nBOUND {bound} {address} {:?}", socket.send_to(b"x", address));
    }
}

fn answered(answer: c_long) -> Result<()> {
    if answer < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// Every way to another network than the one that was given.
fn change() {
    let route = |kind: u16, body: &[u8]| say(&format!("route request {kind}"), netlink(kind, body));
    let interface = |index: i32, flags: u32, change: u32| {
        [&[0_u8; 4][..], &index.to_ne_bytes(), &flags.to_ne_bytes(), &change.to_ne_bytes()].concat()
    };
    let attribute = |kind: u16, value: &[u8]| {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let destination = |kind: u8, table: u8, bits: u8, to: [u8; 4]| {
        let head = [libc::AF_INET as u8, bits, 0, 0, table, 3, 254, kind, 0, 0, 0, 0];
        [&head[..], &attribute(libc::RTA_DST, &to), &attribute(libc::RTA_OIF, &1_i32.to_ne_bytes())].concat()
    };
    route(libc::RTM_NEWLINK, &interface(1, 0, 1));
    route(libc::RTM_DELLINK, &interface(1, 0, 0));
    route(libc::RTM_NEWROUTE, &destination(libc::RTN_LOCAL, 255, 8, [10, 0, 0, 0]));
    route(libc::RTM_NEWROUTE, &destination(libc::RTN_LOCAL, 255, 0, [0; 4]));
    route(libc::RTM_NEWROUTE, &destination(libc::RTN_UNICAST, 254, 0, [0; 4]));
    route(libc::RTM_DELROUTE, &destination(libc::RTN_LOCAL, 255, 15, [198, 18, 0, 0]));
    let address =
        [&[libc::AF_INET as u8, 8, 0, 0, 1, 0, 0, 0][..], &attribute(libc::IFA_LOCAL, &[10, 0, 0, 2])].concat();
    route(libc::RTM_NEWADDR, &address);
    for kind in ["dummy", "veth", "bridge", "ipvlan", "tun"] {
        let information = attribute(libc::IFLA_LINKINFO, &attribute(1, kind.as_bytes()));
        let name = attribute(libc::IFLA_IFNAME, b"new0\0");
        say(kind, netlink(libc::RTM_NEWLINK, &[interface(0, 0, 0), name, information].concat()));
    }
    take_ports();
    lower_loopback();
    for path in [
        "/proc/sys/net/ipv4/ip_unprivileged_port_start",
        "/proc/sys/net/ipv4/ip_forward",
        "/dev/net/tun",
        "/etc/resolv.conf",
        "/etc/nsswitch.conf",
        "/etc/hosts",
    ] {
        say(path, std::fs::File::options().write(true).open(path).map(|_| ()));
    }
    say("unshare", answered(unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_NEWNET) }));
    say("setns", std::fs::File::open("/proc/1/ns/net").map(|_| ()));
}

/// Asks the kernel's routing tables for a change and reads its answer.
fn netlink(kind: u16, body: &[u8]) -> Result<()> {
    let socket = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE) };
    answered(socket.into())?;
    let length = u32::try_from(16 + body.len()).unwrap();
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE) as u16;
    let request = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8], body].concat();
    let mut answer = [0_u8; 1024];
    let (sent, received) = unsafe {
        (
            libc::send(socket, request.as_ptr().cast(), request.len(), 0),
            libc::recv(socket, answer.as_mut_ptr().cast(), answer.len(), libc::MSG_DONTWAIT),
        )
    };
    unsafe { libc::close(socket) };
    answered(sent as c_long)?;
    answered(received as c_long)?;
    match i32::from_ne_bytes(answer[16..20].try_into().unwrap()) {
        0 => Ok(()),
        error => Err(Error::from_raw_os_error(-error)),
    }
}

/// The door's own ports, with every option that shares a port.
fn take_ports() {
    for (address, kind) in [
        ("127.0.0.1:3128", libc::SOCK_STREAM),
        ("0.0.0.0:3128", libc::SOCK_STREAM),
        ("0.0.0.0:443", libc::SOCK_STREAM),
        ("198.18.0.1:443", libc::SOCK_STREAM),
        ("127.0.0.1:53", libc::SOCK_STREAM),
        ("127.0.0.1:53", libc::SOCK_DGRAM),
        ("0.0.0.0:53", libc::SOCK_DGRAM),
    ] {
        say(&format!("take {address}"), listen(address.parse().unwrap(), kind));
    }
}

fn listen(address: SocketAddr, kind: c_int) -> Result<()> {
    let SocketAddr::V4(address) = address else { return Ok(()) };
    let name = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    };
    let socket = unsafe { libc::socket(libc::AF_INET, kind, 0) };
    for option in [libc::SO_REUSEADDR, libc::SO_REUSEPORT] {
        unsafe { libc::setsockopt(socket, libc::SOL_SOCKET, option, (&raw const ONE).cast(), 4) };
    }
    answered(unsafe { libc::bind(socket, (&raw const name).cast(), 16) }.into())?;
    if kind == libc::SOCK_STREAM {
        answered(unsafe { libc::listen(socket, 1) }.into())?;
    }
    Ok(())
}

static ONE: c_int = 1;

fn lower_loopback() {
    #[repr(C)]
    struct Interface([u8; 16], u16, [u8; 22]);
    let mut interface = Interface([0; 16], 0, [0; 22]);
    interface.0[..2].copy_from_slice(b"lo");
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) };
    let answer = unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw const interface) };
    say("lower lo", answered(answer.into()));
}

/// Opens more connections than a listener holds, then one to another listener.
fn flood() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur = limit.rlim_max;
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    let name = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: 80_u16.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_be_bytes([198, 18, 0, 1]).to_be() },
        sin_zero: [0; 8],
    };
    for _ in 0..3000 {
        let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0) };
        if socket < 0 {
            break;
        }
        unsafe { libc::connect(socket, (&raw const name).cast(), 16) };
    }
    wait_until_told("FLOODED");
    ask("127.0.0.1:3128", "127.0.0.1:3128");
}
