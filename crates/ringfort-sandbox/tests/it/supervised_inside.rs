// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the programs of the tests do in a cage whose connections the supervisor makes.
#![expect(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::disallowed_methods,
    reason = "an attacker dials and makes system calls by hand, with structures that outlive the call"
)]

use std::ffi::{c_int, c_long, c_void};
use std::io::{Error, Read, Result, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

/// The variable that names what this binary does inside.
pub(crate) const VARIABLE: &str = "RINGFORT_TEST_SUPERVISED";
/// How often the address is changed under a connection.
const RACES: usize = 4000;
/// How many connections are made and refused one after the other.
const FLOOD: usize = 3000;

/// Does nothing unless this binary was started inside a cage.
#[test]
fn inside() {
    let Ok(task) = std::env::var(VARIABLE) else {
        return;
    };
    let words: Vec<&str> = task.split(' ').collect();
    match words[..] {
        ["ask", ref addresses @ ..] => addresses.iter().for_each(|address| ask(address)),
        ["flags"] => flags(),
        ["reach", port] => reach(port.parse().unwrap()),
        ["malformed"] => malformed(),
        ["race", port] => race(port.parse().unwrap()),
        ["flood", port] => flood(port.parse().unwrap()),
        ["die"] => die(),
        ["no-dump"] => {
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
            say("connect", TcpStream::connect(PROXY).map(drop));
        }
        ["measure", count] => measure(count.parse().unwrap()),
        ["start", program] => {
            println!("{:?}", std::process::Command::new(program).output().map(|output| output.status));
        }
        _ => panic!("no task `{task}`"),
    }
    println!("\nDONE");
}

const PROXY: &str = "127.0.0.1:3128";

fn say(what: &str, result: Result<()>) {
    match result {
        Ok(()) => println!("\nREACHED {what}"),
        Err(error) => println!("\nBLOCKED {what} {}", error.raw_os_error().unwrap_or(0)),
    }
}

fn answered(answer: c_long) -> Result<()> {
    if answer < 0 { Err(Error::last_os_error()) } else { Ok(()) }
}

fn ask(address: &str) {
    match TcpStream::connect(address) {
        Ok(mut stream) => {
            stream.write_all(b"hello").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            println!("\nANSWER {address} {answer}");
        }
        Err(error) => println!("\nBLOCKED {address} {}", error.raw_os_error().unwrap_or(0)),
    }
}

fn address(text: &str) -> libc::sockaddr_in {
    let SocketAddr::V4(address) = text.parse().unwrap() else { panic!("IPv4 only") };
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
        sin_zero: [0; 8],
    }
}

fn socket(flags: c_int) -> c_int {
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | flags, 0) };
    assert!(socket >= 0, "{}", Error::last_os_error());
    socket
}

fn connect(socket: c_int, address: *const c_void, length: u32) -> Result<()> {
    answered(unsafe { libc::connect(socket, address.cast(), length) }.into())
}

/// The flags of the program's socket are those of the connection.
fn flags() {
    let proxy = address(PROXY);
    for (flags, blocks, closed) in [
        (0, true, false),
        (libc::SOCK_NONBLOCK, false, false),
        (libc::SOCK_CLOEXEC, true, true),
        (libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, false, true),
    ] {
        let socket = socket(flags);
        connect(socket, (&raw const proxy).cast(), 16).unwrap();
        let (status, own) = unsafe { (libc::fcntl(socket, libc::F_GETFL), libc::fcntl(socket, libc::F_GETFD)) };
        assert_eq!((status & libc::O_NONBLOCK == 0, own & libc::FD_CLOEXEC != 0), (blocks, closed), "{flags:x}");
        let mut stream = unsafe { TcpStream::from(OwnedFd::from_raw_fd(socket)) };
        assert!(stream.peer_addr().unwrap().ip().is_loopback());
        stream.set_nonblocking(false).unwrap();
        stream.write_all(b"hello").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        println!("\nANSWER {answer}");
    }
}

/// Every way to what listens on the host at `port`, and to addresses elsewhere.
fn reach(port: u16) {
    for ip in ["127.0.0.1", "127.1.2.3", "0.0.0.0", "::1", "::ffff:127.0.0.1", "::"] {
        let place = SocketAddr::new(ip.parse::<IpAddr>().unwrap(), port);
        say(&format!("tcp {place}"), TcpStream::connect(place).map(drop));
    }
    for other in [
        "127.0.0.2:3128",
        "0.0.0.0:3128",
        "[::1]:3128",
        "[::ffff:127.0.0.2]:3128",
        "1.1.1.1:443",
        "169.254.169.254:80",
        "10.0.0.1:22",
        "255.255.255.255:3128",
        "[2606:4700:4700::1111]:443",
        "[fe80::1]:80",
    ] {
        say(&format!("tcp {other}"), TcpStream::connect(other.parse::<SocketAddr>().unwrap()).map(drop));
    }
    around(port);
    for (family, kind, protocol) in [
        (libc::AF_INET, libc::SOCK_DGRAM, 0),
        (libc::AF_INET6, libc::SOCK_DGRAM, 0),
        (libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP),
        (libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW),
        (libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP),
        (libc::AF_INET6, libc::SOCK_STREAM, libc::IPPROTO_MPTCP),
        (libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP),
        (libc::AF_UNIX, libc::SOCK_STREAM, 0),
        (libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE),
        (libc::AF_PACKET, libc::SOCK_RAW, 0x0300),
        (libc::AF_VSOCK, libc::SOCK_STREAM, 0),
        (43, libc::SOCK_STREAM, 0), // SMC
    ] {
        let socket = unsafe { libc::socket(family, kind, protocol) };
        say(&format!("socket {family} {kind} {protocol}"), answered(socket.into()));
    }
}

/// Ways past `connect`, and names for sockets.
fn around(port: u16) {
    let host = address(&format!("127.0.0.1:{port}"));
    let host_pointer: *const libc::sockaddr = (&raw const host).cast();
    let flags = libc::MSG_FASTOPEN | libc::MSG_NOSIGNAL;
    let sent = unsafe { libc::sendto(socket(0), c"x".as_ptr().cast(), 1, flags, host_pointer, 16) };
    say("sendto, fast", answered(sent as c_long));
    let mut part = libc::iovec { iov_base: c"x".as_ptr().cast_mut().cast(), iov_len: 1 };
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = host_pointer.cast_mut().cast();
    message.msg_namelen = 16;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_flags = flags;
    say("sendmsg, fast", answered(unsafe { libc::sendmsg(socket(0), &raw const message, flags) } as c_long));
    say("sendmsg, fast within", answered(unsafe { libc::sendmsg(socket(0), &raw const message, 0x4000) } as c_long));
    let mut many = libc::mmsghdr { msg_hdr: message, msg_len: 0 };
    say("sendmmsg, fast", answered(unsafe { libc::sendmmsg(socket(0), &raw mut many, 1, flags) }.into()));
    // The kernel then connects with the first byte that is written.
    let later = socket(0);
    let one: c_int = 1;
    unsafe { libc::setsockopt(later, libc::SOL_TCP, 30, (&raw const one).cast(), 4) };
    say("connect, fast", connect(later, host_pointer.cast(), 16));
    say("write after it", answered(unsafe { libc::send(later, c"x".as_ptr().cast(), 1, 0x4000) } as c_long));
    let any = address("0.0.0.0:0");
    say("bind", answered(unsafe { libc::bind(socket(0), (&raw const any).cast(), 16) }.into()));
    say("bind to loopback", answered(unsafe { libc::bind(socket(0), host_pointer, 16) }.into()));
    say("listen", answered(unsafe { libc::listen(socket(0), 1) }.into()));
    // Taken apart, a connection could be made anew.
    let proxy = address(PROXY);
    let made = socket(0);
    connect(made, (&raw const proxy).cast(), 16).unwrap();
    let nothing: libc::sockaddr = unsafe { std::mem::zeroed() };
    say("take apart", connect(made, (&raw const nothing).cast(), 16));
    say("listen with it", answered(unsafe { libc::listen(made, 1) }.into()));
    say("connect it elsewhere", connect(made, host_pointer.cast(), 16));
    let mut interfaces = [0_u8; 64];
    for request in [libc::SIOCGIFCONF, libc::SIOCSIFFLAGS, libc::SIOCADDRT] {
        say("ioctl", answered(unsafe { libc::ioctl(made, request, interfaces.as_mut_ptr()) }.into()));
    }
}

/// Calls that mean nothing: each gets the kernel's own error.
fn malformed() {
    let proxy = address(PROXY);
    let pointer: *const c_void = (&raw const proxy).cast();
    let file = std::fs::File::open("/proc/self/status").unwrap();
    let file = std::os::fd::AsRawFd::as_raw_fd(&file);
    let nowhere: *const c_void = std::ptr::without_provenance(16);
    let mut pair = [0; 2];
    unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, pair.as_mut_ptr()) };
    let mut unix = proxy;
    unix.sin_family = libc::AF_UNIX as u16;
    for (what, socket, pointer, length, expected) in [
        ("no memory", socket(0), nowhere, 16, libc::EFAULT),
        ("null", socket(0), std::ptr::null(), 16, libc::EFAULT),
        ("no length", socket(0), pointer, 0, libc::EINVAL),
        ("short", socket(0), pointer, 15, libc::EINVAL),
        ("long", socket(0), pointer, 129, libc::EINVAL),
        ("negative", socket(0), pointer, u32::MAX, libc::EINVAL),
        ("no descriptor", 999, pointer, 16, libc::EBADF),
        ("negative descriptor", -1, pointer, 16, libc::EBADF),
        ("a file", file, pointer, 16, libc::ENOTSOCK),
        ("a path", pair[0], (&raw const unix).cast(), 16, libc::EAFNOSUPPORT),
    ] {
        let error = connect(socket, pointer, length).err().and_then(|error| error.raw_os_error());
        assert_eq!(error, Some(expected), "{what}");
    }
    // At the end of what is mapped: the kernel reads as far as the length says.
    let page = unsafe {
        libc::mmap(std::ptr::null_mut(), 8192, 3, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0).cast::<u8>()
    };
    unsafe { libc::mprotect(page.add(4096).cast(), 4096, 0) };
    let at_the_end = unsafe { page.add(4096 - 16) };
    unsafe { at_the_end.copy_from(pointer.cast(), 16) };
    connect(socket(0), at_the_end.cast(), 16).unwrap();
    let error = connect(socket(0), at_the_end.cast(), 28).err().and_then(|error| error.raw_os_error());
    assert_eq!(error, Some(libc::EFAULT), "beyond the end");
}

/// Another thread changes port and address as fast as it can.
fn race(port: u16) {
    static PLACE: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];
    static OVER: AtomicBool = AtomicBool::new(false);
    let words = |port: u16| u32::from(libc::AF_INET as u16) | u32::from(port.to_be()) << 16;
    PLACE[1].store(u32::from_ne_bytes([127, 0, 0, 1]), Ordering::Relaxed);
    PLACE[0].store(words(3128), Ordering::Relaxed);
    let changing = std::thread::spawn(move || {
        while !OVER.load(Ordering::Relaxed) {
            PLACE[0].store(words(port), Ordering::Relaxed);
            PLACE[0].store(words(3128), Ordering::Relaxed);
        }
    });
    let (mut made, mut refused) = (0, 0);
    for _ in 0..RACES {
        let socket = socket(0);
        match connect(socket, PLACE.as_ptr().cast(), 16) {
            Ok(()) => {
                made += 1;
                let mut byte = [0_u8; 1];
                let read = unsafe { libc::recv(socket, byte.as_mut_ptr().cast(), 1, 0) };
                assert!(read == 1 && byte[0] == b'P', "it is not the proxy");
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(libc::ECONNREFUSED));
                refused += 1;
            }
        }
        unsafe { libc::close(socket) };
    }
    OVER.store(true, Ordering::Relaxed);
    changing.join().unwrap();
    println!("\nMADE {made} REFUSED {refused}");
}

/// Refusals without an end, from several threads at once.
fn flood(port: u16) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..FLOOD / 4 {
                    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
                }
            });
        }
    });
    ask(PROXY);
}

/// Processes that are killed while they connect.
fn die() {
    let proxy = address(PROXY);
    for round in 0..200_u64 {
        let child = unsafe { libc::fork() };
        if child == 0 {
            loop {
                let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
                unsafe { libc::connect(socket, (&raw const proxy).cast(), 16) };
                unsafe { libc::close(socket) };
            }
        }
        std::thread::sleep(std::time::Duration::from_micros(round * 17));
        unsafe { libc::kill(child, libc::SIGKILL) };
        unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    }
    ask(PROXY);
}

/// The median time of one connection, in nanoseconds.
fn measure(count: usize) {
    let proxy = address(PROXY);
    let mut times: Vec<u128> = (0..count)
        .map(|_| {
            let socket = socket(0);
            let start = Instant::now();
            connect(socket, (&raw const proxy).cast(), 16).unwrap();
            let time = start.elapsed().as_nanos();
            unsafe { libc::close(socket) };
            time
        })
        .collect();
    times.sort_unstable();
    println!("\nTOOK {}", times[times.len() / 2]);
}
