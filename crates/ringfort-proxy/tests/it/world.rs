// SPDX-License-Identifier: MIT OR Apache-2.0
//! A proxy in a world of the test's own: its judge, resolver, dialer and servers.
//!
//! In: what is allowed, what names lead to. Out: a running proxy, and what it asked, dialed and reported.
//!
//! **Invariant:** nothing is reached but servers of the test on loopback. No wait is without an end.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ringfort_core::clock::{Clock, Timestamp};
use ringfort_core::digest::Digest;
use ringfort_core::obligation::Obligations;
use ringfort_core::permit::{Grant, Permit};
use ringfort_core::traits::Dial;
use ringfort_proxy::judge::{
    Addresses, Admission, Answer, Asked, Client, ClientId, Denial, Lookup, Report, Review, Verdict,
};
use ringfort_proxy::limits::{DestinationLimits, Limits};
use ringfort_proxy::{Judge, Listeners, Proxy, ProxyHandle, ProxyOptions, Resolve, SystemDialer};

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// A public address that stands for the test's server.
pub(crate) const PUBLIC: &str = "93.184.216.34";

/// What the test's judge says.
pub(crate) enum Ruling {
    /// Public addresses only.
    Public,
    /// Private ones too.
    Private,
    /// Public ones, within limits.
    Limited(DestinationLimits),
    /// No.
    Deny,
    /// The answer is dropped.
    Silent,
    /// A permit for something else.
    WrongPermit,
    /// A permit that has expired.
    OldPermit,
    /// The answer is kept until the test gives it.
    Hold,
}

type Rule = dyn Fn(&Asked) -> Ruling + Send + Sync;
type Reviewer = dyn Fn(&Asked) -> Review + Send + Sync;

/// A judge in the hands of a test.
pub(crate) struct TestJudge {
    rule: Box<Rule>,
    review: Box<Reviewer>,
    seen: Mutex<Seen>,
    news: Condvar,
}

#[derive(Default)]
struct Seen {
    asked: Vec<Asked>,
    lookups: Vec<String>,
    reports: Vec<Report>,
    held: Vec<Answer>,
}

pub(crate) const NOW: Timestamp = Timestamp(1_000_000);

pub(crate) fn admission(addresses: Addresses, limits: Option<DestinationLimits>) -> Verdict {
    let request = Digest::of(b"asked");
    let permit = Permit::issue(request, Obligations::default(), NOW);
    Verdict::Allow(Box::new(Admission { permit, request, addresses, limits }))
}

impl Judge for TestJudge {
    fn judge(&self, asked: Asked, answer: Answer) {
        let ruling = (self.rule)(&asked);
        let mut seen = self.seen.lock().unwrap();
        seen.asked.push(asked);
        match ruling {
            Ruling::Public => answer.give(admission(Addresses::Public, None)),
            Ruling::Private => answer.give(admission(Addresses::Private, None)),
            Ruling::Limited(limits) => answer.give(admission(Addresses::Public, Some(limits))),
            Ruling::Deny => answer.give(Verdict::Deny(Denial::new("egress-005", "it is not listed"))),
            Ruling::Silent => drop(answer),
            Ruling::WrongPermit => {
                let permit = Permit::issue(Digest::of(b"other"), Obligations::default(), NOW);
                let request = Digest::of(b"asked");
                let addresses = Addresses::Public;
                answer.give(Verdict::Allow(Box::new(Admission { permit, request, addresses, limits: None })));
            }
            Ruling::OldPermit => {
                let request = Digest::of(b"asked");
                let permit = Permit::issue(request, Obligations::default(), Timestamp(0));
                let addresses = Addresses::Public;
                answer.give(Verdict::Allow(Box::new(Admission { permit, request, addresses, limits: None })));
            }
            Ruling::Hold => seen.held.push(answer),
        }
        self.news.notify_all();
    }

    fn review(&self, asked: &Asked) -> Review {
        (self.review)(asked)
    }

    fn lookup(&self, _client: ClientId, name: &str) -> Lookup {
        self.seen.lock().unwrap().lookups.push(name.to_owned());
        if name.ends_with(".example") || name == "example.com" { Lookup::Answer } else { Lookup::Deny }
    }

    fn closed(&self, report: Report) {
        self.seen.lock().unwrap().reports.push(report);
        self.news.notify_all();
    }
}

impl TestJudge {
    fn wait<T>(&self, mut ready: impl FnMut(&mut Seen) -> Option<T>) -> T {
        let mut found = None;
        let seen = self.seen.lock().unwrap();
        let (seen, late) = self
            .news
            .wait_timeout_while(seen, PATIENCE, |seen| {
                found = ready(seen);
                found.is_none()
            })
            .unwrap();
        assert!(!late.timed_out(), "nothing came: {:?} {:?}", seen.asked, seen.reports);
        found.unwrap()
    }
}

/// A resolver that knows what the test tells it. A name with several lists answers one after the other.
#[derive(Default)]
pub(crate) struct TestResolver {
    names: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: Mutex<Vec<String>>,
}

impl Resolve for TestResolver {
    fn resolve(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let mut names = self.names.lock().unwrap();
        let lists = names.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(if lists.len() > 1 { lists.remove(0) } else { lists[0].clone() })
    }

    fn own(&self) -> io::Result<Vec<IpAddr>> {
        Ok(vec!["127.0.0.1".parse().unwrap(), "93.184.216.99".parse().unwrap()])
    }
}

/// A dialer that writes everything down and reaches only what the test maps to loopback.
#[derive(Default)]
pub(crate) struct TestDialer {
    ways: Mutex<HashMap<SocketAddr, SocketAddr>>,
    dialed: Mutex<Vec<SocketAddr>>,
}

impl Dial for TestDialer {
    fn dial(&self, grant: &Grant, address: SocketAddr) -> io::Result<OwnedFd> {
        self.dialed.lock().unwrap().push(address);
        let way = self.ways.lock().unwrap().get(&address).copied();
        match way {
            Some(to) if to.ip().is_loopback() => SystemDialer.dial(grant, to),
            _ => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }
}

struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// How a world begins.
pub(crate) struct Start {
    pub(crate) rule: Box<Rule>,
    pub(crate) review: Box<Reviewer>,
    pub(crate) limits: Limits,
    pub(crate) credential: Option<&'static str>,
    pub(crate) dialer: Option<Arc<dyn Dial>>,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            rule: Box::new(|_| Ruling::Public),
            review: Box::new(|_| Review::Allow),
            limits: Limits::default(),
            credential: None,
            dialer: None,
        }
    }
}

/// A proxy and everything around it.
pub(crate) struct World {
    pub(crate) judge: Arc<TestJudge>,
    pub(crate) resolver: Arc<TestResolver>,
    pub(crate) dialer: Arc<TestDialer>,
    pub(crate) handle: Option<ProxyHandle>,
    pub(crate) proxy: SocketAddr,
    pub(crate) dns_udp: SocketAddr,
    pub(crate) dns_tcp: SocketAddr,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::start(Start::default())
    }

    pub(crate) fn ruled(rule: impl Fn(&Asked) -> Ruling + Send + Sync + 'static) -> Self {
        Self::start(Start { rule: Box::new(rule), ..Start::default() })
    }

    pub(crate) fn start(start: Start) -> Self {
        Self::start_at(start, &[])
    }

    /// With listeners for caught connections on these ports of every address.
    pub(crate) fn start_at(start: Start, caught_ports: &[u16]) -> Self {
        let judge = Arc::new(TestJudge {
            rule: start.rule,
            review: start.review,
            seen: Mutex::default(),
            news: Condvar::new(),
        });
        let resolver = Arc::new(TestResolver::default());
        let dialer = Arc::new(TestDialer::default());
        let dial = start.dialer.unwrap_or_else(|| Arc::clone(&dialer) as Arc<dyn Dial>);
        let options = ProxyOptions {
            limits: start.limits,
            resolver: Arc::clone(&resolver) as Arc<dyn Resolve>,
            clock: Arc::new(StillClock),
            on_start: || (),
        };
        let handle = Proxy::start(options, Arc::clone(&judge) as Arc<dyn Judge>, dial).unwrap();
        let listen = |at: &str| TcpListener::bind(at).unwrap();
        let (proxy, dns_tcp) = (listen("127.0.0.1:0"), listen("127.0.0.1:0"));
        let dns_udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut caught: Vec<TcpListener> = vec![listen("127.0.0.1:0")];
        caught.extend(caught_ports.iter().map(|port| listen(&format!("0.0.0.0:{port}"))));
        let address = |listener: &TcpListener| listener.local_addr().unwrap();
        let (proxy_at, dns_tcp_at, dns_udp_at) = (address(&proxy), address(&dns_tcp), dns_udp.local_addr().unwrap());
        let listeners = Listeners {
            proxy: proxy.into(),
            caught: caught.into_iter().map(|listener| (address(&listener).port(), listener.into())).collect(),
            dns_udp: Some(dns_udp.into()),
            dns_tcp: Some(dns_tcp.into()),
        };
        let credential = start.credential.map(|text| Arc::new(ringfort_core::secret::Secret::new(text.to_owned())));
        handle.adopt(listeners, Client { id: ClientId(7), credential }).unwrap();
        Self {
            judge,
            resolver,
            dialer,
            handle: Some(handle),
            proxy: proxy_at,
            dns_udp: dns_udp_at,
            dns_tcp: dns_tcp_at,
        }
    }

    /// What a name leads to: one list, or one for each time that it is asked.
    pub(crate) fn name(&self, name: &str, lists: &[&[&str]]) {
        let lists = lists.iter().map(|list| list.iter().map(|text| text.parse().unwrap()).collect()).collect();
        self.resolver.names.lock().unwrap().insert(name.to_owned(), lists);
    }

    /// Lets a public name and port lead to a server of the test.
    pub(crate) fn site(&self, name: &str, port: u16, server: SocketAddr) {
        self.name(name, &[&[PUBLIC]]);
        self.way(&format!("{PUBLIC}:{port}"), server);
    }

    /// Lets an address lead to a server of the test.
    pub(crate) fn way(&self, from: &str, to: SocketAddr) {
        self.dialer.ways.lock().unwrap().insert(from.parse().unwrap(), to);
    }

    pub(crate) fn dialed(&self) -> Vec<SocketAddr> {
        self.dialer.dialed.lock().unwrap().clone()
    }

    pub(crate) fn resolved(&self) -> Vec<String> {
        self.resolver.asked.lock().unwrap().clone()
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.judge.seen.lock().unwrap().asked.clone()
    }

    /// Every report, once there are so many.
    pub(crate) fn reports(&self, count: usize) -> Vec<Report> {
        self.judge.wait(|seen| (seen.reports.len() >= count).then(|| seen.reports.clone()))
    }

    /// The oldest answer that is held, once there is one.
    pub(crate) fn held(&self) -> Answer {
        self.judge.wait(|seen| (!seen.held.is_empty()).then(|| seen.held.remove(0)))
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.proxy)
    }
}

pub(crate) fn connect(to: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(to).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// A server of the test: each connection on a thread of its own.
pub(crate) fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || {
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                serve(socket);
            });
        }
    });
    address
}

/// A server that keeps what it was sent, and answers each head with the same response.
pub(crate) fn http_server(response: &'static str) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let address = server(move |mut socket| {
        while let Some(head) = read_head(&mut socket) {
            keep.lock().unwrap().extend_from_slice(&head);
            if socket.write_all(response.as_bytes()).is_err() {
                return;
            }
        }
    });
    (address, kept)
}

/// Reads up to and with an empty line; `None` at the end.
pub(crate) fn read_head(socket: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if socket.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    Some(head)
}

/// Reads a whole response with a `Content-Length`.
pub(crate) fn read_response(socket: &mut TcpStream) -> String {
    let head = String::from_utf8(read_head(socket).unwrap_or_default()).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned))
        .map_or(0, |length| length.trim().parse().unwrap());
    let mut body = vec![0; length];
    socket.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

/// Reads until the other side closes; a reset counts as the end.
pub(crate) fn read_all(socket: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return all,
            Ok(count) => all.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&all)),
        }
    }
}

/// Sends text and reads everything that comes back until the end.
pub(crate) fn ask(to: SocketAddr, text: &[u8]) -> String {
    let mut socket = connect(to);
    socket.write_all(text).unwrap();
    String::from_utf8_lossy(&read_all(&mut socket)).into_owned()
}
