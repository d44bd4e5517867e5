// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the proxy costs beside a direct connection, in one run on loopback: latency, throughput, many connections.
//!
//! In: nothing. Out: medians and ratios on standard output, and the resident memory at each step.
//!
//! **Invariant:** direct and proxied rounds alternate, so that whatever else the machine does meets both alike.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench fails loudly, prints its figures, and is both the client and the server"
)]

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfort_core::clock::{Clock, Timestamp};
use ringfort_core::digest::Digest;
use ringfort_core::obligation::Obligations;
use ringfort_core::permit::Permit;
use ringfort_proxy::judge::{Addresses, Admission, Answer, Asked, Client, ClientId, Lookup, Report};
use ringfort_proxy::limits::Limits;
use ringfort_proxy::{Judge, Listeners, Proxy, ProxyHandle, ProxyOptions, Resolve, SystemDialer, Verdict};

const REQUESTS: usize = 4_000;
const LATENCY_ROUNDS: usize = 5;
const BODY_BYTES: u64 = 1 << 30;
const BODY_ROUNDS: usize = 5;
const CROWD: usize = 1_000;

struct YesMan;

impl Judge for YesMan {
    fn judge(&self, _asked: Asked, answer: Answer) {
        let request = Digest::of(b"bench");
        let permit = Permit::issue(request, Obligations::default(), Timestamp(0));
        let addresses = Addresses::Private;
        answer.give(Verdict::Allow(Box::new(Admission { permit, request, addresses, limits: None })));
    }

    fn lookup(&self, _client: ClientId, _name: &str) -> Lookup {
        Lookup::Answer
    }

    fn closed(&self, _report: Report) {}
}

struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, _name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec!["127.0.0.1".parse().unwrap()])
    }

    fn own(&self) -> io::Result<Vec<IpAddr>> {
        Ok(Vec::new())
    }
}

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Answers each head: with a body of so many bytes if its path names them, else with two.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            std::thread::Builder::new().stack_size(128 << 10).spawn(move || serve(socket)).unwrap();
        }
    });
    address
}

/// Without delays, and with the plainest way to avoid congestion at both ends of every way: what a host chooses for
/// networks (BBR) paces loopback to a fraction of what it carries, and the bench would measure that.
fn plain(socket: &TcpStream) {
    socket.set_nodelay(true).unwrap();
    rustix::net::sockopt::set_tcp_congestion(socket, "reno").unwrap();
}

fn serve(mut socket: TcpStream) {
    plain(&socket);
    let mut buffer = vec![0; 64 << 10];
    let mut have = 0;
    loop {
        match socket.read(&mut buffer[have..]) {
            Ok(count @ 1..) => have += count,
            _ => return,
        }
        if !buffer[..have].ends_with(b"\r\n\r\n") {
            continue;
        }
        let big = buffer.starts_with(b"GET /big");
        have = 0;
        let done = if big {
            send_big(&mut socket, &buffer)
        } else {
            socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        };
        if done.is_err() {
            return;
        }
    }
}

fn send_big(socket: &mut TcpStream, chunk: &[u8]) -> io::Result<()> {
    socket.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY_BYTES}\r\n\r\n").as_bytes())?;
    for _ in 0..BODY_BYTES / chunk.len() as u64 {
        socket.write_all(chunk)?;
    }
    Ok(())
}

/// A way to the server.
#[derive(Clone, Copy)]
enum Way {
    Direct,
    Absolute,
    Tunnel,
}

fn open(way: Way, server: SocketAddr, proxy: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(if matches!(way, Way::Direct) { server } else { proxy }).unwrap();
    plain(&socket);
    if matches!(way, Way::Tunnel) {
        write!(socket, "CONNECT localhost:{} HTTP/1.1\r\n\r\n", server.port()).unwrap();
        let mut answer = [0; 256];
        let count = socket.read(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer[..count].ends_with(b"\r\n\r\n"));
        // TLS is what a tunnel carries as a rule; a first byte that is neither TLS nor HTTP stands for it.
        socket.write_all(b"\x01\r\n\r\n").unwrap();
        read_small(&mut socket);
    }
    socket
}

fn request(way: Way, path: &str, server: SocketAddr) -> String {
    let target = if matches!(way, Way::Absolute) {
        format!("http://localhost:{}{path}", server.port())
    } else {
        path.to_owned()
    };
    format!("GET {target} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", server.port())
}

fn read_small(socket: &mut TcpStream) {
    let mut buffer = [0; 512];
    let mut have = 0;
    while !buffer[..have].ends_with(b"\r\n\r\nok") {
        let count = socket.read(&mut buffer[have..]).unwrap();
        assert!(count > 0, "closed");
        have += count;
    }
}

/// The median of the times that a small request takes, in microseconds.
fn latency(way: Way, server: SocketAddr, proxy: SocketAddr) -> f64 {
    let mut socket = open(way, server, proxy);
    let text = request(way, "/", server);
    let mut times: Vec<f64> = (0..REQUESTS)
        .map(|_| {
            let begun = Instant::now();
            socket.write_all(text.as_bytes()).unwrap();
            read_small(&mut socket);
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// MiB per second of one large body.
fn throughput(way: Way, server: SocketAddr, proxy: SocketAddr) -> f64 {
    let mut socket = open(way, server, proxy);
    let mut buffer = vec![0; 256 << 10];
    let begun = Instant::now();
    socket.write_all(request(way, "/big", server).as_bytes()).unwrap();
    let mut left = BODY_BYTES;
    while left > 0 {
        let count = socket.read(&mut buffer).unwrap() as u64;
        assert!(count > 0, "cut");
        left = left.saturating_sub(count);
    }
    BODY_BYTES as f64 / f64::from(1 << 20) / begun.elapsed().as_secs_f64()
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Resident memory of this process, in KiB: server, client and proxy together.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn start() -> (ProxyHandle, SocketAddr) {
    let options = ProxyOptions {
        limits: Limits::default(),
        resolver: Arc::new(Loopback),
        clock: Arc::new(Still),
        on_start: || drop(ringfort_sandbox::schedule::work_in_batches()),
    };
    let handle = Proxy::start(options, Arc::new(YesMan), Arc::new(SystemDialer)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listeners = Listeners { proxy: listener.into(), caught: Vec::new(), dns_udp: None, dns_tcp: None };
    handle.adopt(listeners, Client { id: ClientId(1), credential: None }).unwrap();
    (handle, address)
}

/// Small requests, one after the other.
fn bench_latency(server: SocketAddr, proxy: SocketAddr) {
    let (mut direct, mut absolute, mut tunnel) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..LATENCY_ROUNDS {
        direct.push(latency(Way::Direct, server, proxy));
        absolute.push(latency(Way::Absolute, server, proxy));
        tunnel.push(latency(Way::Tunnel, server, proxy));
    }
    let (direct, absolute, tunnel) = (median(direct), median(absolute), median(tunnel));
    println!("latency, median of a small request: direct {direct:.1} us");
    println!("  absolute form {absolute:.1} us, added {:.1} us (at most 150)", absolute - direct);
    println!("  tunnel        {tunnel:.1} us, added {:.1} us (at most 150)", tunnel - direct);
}

/// One large body.
fn bench_throughput(server: SocketAddr, proxy: SocketAddr) {
    let (mut direct, mut absolute, mut tunnel) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..BODY_ROUNDS {
        direct.push(throughput(Way::Direct, server, proxy));
        absolute.push(throughput(Way::Absolute, server, proxy));
        tunnel.push(throughput(Way::Tunnel, server, proxy));
    }
    let ratio = |all: &[f64]| median(all.iter().zip(&direct).map(|(one, direct)| one / direct).collect());
    println!("throughput, 1 GiB: direct {:.0} MiB/s", median(direct.clone()));
    println!("  absolute form {:.0} MiB/s, ratio {:.2} (at least 0.80)", median(absolute.clone()), ratio(&absolute));
    println!("  tunnel        {:.0} MiB/s, ratio {:.2} (at least 0.80)", median(tunnel.clone()), ratio(&tunnel));
}

/// One client among many.
fn bench_crowd(server: SocketAddr, proxy: SocketAddr) {
    let begun = Instant::now();
    let alone = latency(Way::Absolute, server, proxy);
    let before = resident();
    let crowd: Vec<TcpStream> = (0..CROWD).map(|_| open(Way::Tunnel, server, proxy)).collect();
    let among = latency(Way::Absolute, server, proxy);
    println!(
        "{} connections open after {:.1} s, {} KiB more for proxy, server and client",
        crowd.len(),
        begun.elapsed().as_secs_f64(),
        resident().saturating_sub(before)
    );
    println!("  a small request among them takes {among:.1} us, alone {alone:.1} us");
}

fn main() {
    let before = resident();
    let begun = Instant::now();
    let (handle, proxy) = start();
    let micros = begun.elapsed().as_secs_f64() * 1e6;
    println!("start: {micros:.0} us, resident {before} KiB before and {} KiB after", resident());
    let server = server();
    let wanted = std::env::args().nth(1).filter(|word| !word.starts_with('-'));
    type Bench = fn(SocketAddr, SocketAddr);
    let all: [(&str, Bench); 3] =
        [("latency", bench_latency), ("throughput", bench_throughput), ("crowd", bench_crowd)];
    for (name, bench) in all {
        if wanted.as_deref().is_none_or(|wanted| wanted == name) {
            bench(server, proxy);
        }
    }
    handle.stop();
}
