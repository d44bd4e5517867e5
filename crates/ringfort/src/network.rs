// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wires the proxy into the runtime: its thread asks, the supervisor answers.
//!
//! In: the policies of a session. Out: a [`Carrier`] whose questions and reports wait behind one descriptor.
//!
//! **Invariant:** the proxy's thread never waits: what it asks and tells goes into bounded queues, and what does not fit
//! is denied or counted. It decides by itself only what rules alone deny, and what they say to a further request of a
//! connection that was admitted.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use ringfort_core::action::{Action, Egress};
use ringfort_core::clock::Clock;
use ringfort_core::decision::Decision;
use ringfort_core::ruling::Ruling;
use ringfort_policy::egress::rule::{Bounds, TUNNEL};
use ringfort_policy::egress::{Destination, Host, Reach, parse_host, reach};
use ringfort_policy::path::Setting;
use ringfort_policy::rule::Policy;

use ringfort_proxy::judge::{
    self as ask, Admission, Answer, Asked, Client, ClientId, Denial, Judge, Lookup, Protocol, Report, Review,
};
use ringfort_proxy::limits::{DestinationLimits, Limits};
use ringfort_proxy::resolve::SystemResolver;
use ringfort_proxy::{Arrivals, Listeners, Proxy, ProxyHandle, ProxyOptions, SystemDialer};
use ringfort_runtime::egress::{
    Addresses, Attempt, CageId, Carrier, Closed, Ending, Event, OpenCarrier, Refusal, Reply, Verdict,
};
use ringfort_sandbox::launch::{Connects, DoorSockets, Front};
use rustix::event::{EventfdFlags, eventfd};

/// Most questions and reports that wait for the supervisor; what a person takes long to answer holds them up.
const WAITING_MAX: usize = 4096;

/// The rules that ask about a host, whatever is wanted of it.
const UNLISTED: [&str; 3] = ["egress-005", "egress-007", "egress-008"];

/// Opens the proxy of one session.
pub(crate) struct Network {
    /// What rules alone say.
    pub(crate) chain: Arc<[Policy]>,
    /// The workspace of the session.
    pub(crate) workspace: PathBuf,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
}

impl OpenCarrier for Network {
    fn open(&self) -> io::Result<Box<dyn Carrier>> {
        let (sender, receiver) = channel();
        let line = Arc::new(Line {
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            sender: Mutex::new(sender),
            waiting: AtomicUsize::new(0),
        });
        let judge = Arc::new(Rules {
            chain: Arc::clone(&self.chain),
            workspace: self.workspace.clone(),
            programs: Mutex::default(),
            line: Arc::clone(&line),
        });
        let options = ProxyOptions {
            limits: Limits::default(),
            resolver: Arc::new(SystemResolver),
            clock: Arc::clone(&self.clock),
            // One that is refused only moves large bodies more slowly.
            on_start: || drop(ringfort_sandbox::schedule::work_in_batches()),
        };
        let dialer = Arc::new(SystemDialer);
        let proxy = Proxy::start(options, Arc::<Rules>::clone(&judge), dialer)?;
        Ok(Box::new(Carried { proxy: Some(proxy), judge, line, receiver }))
    }
}

/// From the proxy's thread to the supervisor's.
struct Line {
    wake: OwnedFd,
    sender: Mutex<Sender<Event>>,
    waiting: AtomicUsize,
}

impl Line {
    /// Sends an event, if there is room for it. One that needs its place gets it: there are no more of those than
    /// connections that were admitted.
    fn send(&self, event: Event, needs: Needs) -> bool {
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= WAITING_MAX && needs == Needs::Room {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return false;
        }
        let sent = self.sender.lock().unwrap_or_else(PoisonError::into_inner).send(event).is_ok();
        // A counter that is full wakes as well.
        let _ignored = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
        sent
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Room,
    Place,
}

/// What the proxy asks.
struct Rules {
    chain: Arc<[Policy]>,
    workspace: PathBuf,
    /// The program of each cage.
    programs: Mutex<BTreeMap<ClientId, Option<String>>>,
    line: Arc<Line>,
}

impl Rules {
    fn program(&self, client: ClientId) -> Option<String> {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner).get(&client).cloned().flatten()
    }

    fn ruling(&self, egress: Egress) -> Ruling {
        let setting = Setting::new(&self.workspace, &self.workspace, None);
        let action = Action::Egress(egress);
        Ruling::strictest(self.chain.iter().map(|policy| policy.decide_in(&action, &setting)))
    }
}

impl Judge for Rules {
    fn judge(&self, asked: Asked, answer: Answer) {
        // Dropped where there is no room, with the event: a denial.
        self.line.send(Event::Attempt(attempt(asked), Box::new(Waiting(answer))), Needs::Room);
    }

    fn review(&self, asked: &Asked) -> Review {
        let method = asked.method.clone().or_else(|| Some(TUNNEL.to_owned()));
        let ruling = self.ruling(Egress { url: asked.url(), method, program: self.program(asked.client) });
        match ruling.decision {
            Decision::Allow => Review::Allow,
            // A person said yes to the host when its connection was admitted, and to nothing else.
            Decision::Ask if ruling.deciding().all(|reason| UNLISTED.contains(&reason.rule.as_str())) => Review::Allow,
            Decision::Ask => Review::Judge,
            Decision::Deny => {
                let reason = ruling.deciding().next();
                let (rule, message) = reason.map_or(("runtime-001", "no policy answered"), |reason| {
                    (reason.rule.as_str(), reason.message.as_str())
                });
                Review::Deny(Denial::new(rule, message))
            }
        }
    }

    fn lookup(&self, client: ClientId, name: &str) -> Lookup {
        let Ok(host @ Host::Name(_)) = parse_host(name) else { return Lookup::Deny };
        let to = Destination { scheme: None, host, port: None };
        let program = self.program(client);
        if reach(&to.host) == Reach::Metadata || self.chain.iter().any(|policy| policy.closes(&to.host)) {
            return Lookup::Deny;
        }
        let is_named = self.chain.first().is_some_and(|policy| policy.names_host(&to.host, program.as_deref()));
        // A name that is only unlisted gets an address: the connection is judged, and what is refused is seen.
        if reach(&to.host) == Reach::Private && !is_named { Lookup::Deny } else { Lookup::Answer }
    }

    fn own(&self, client: ClientId, dialed: SocketAddr) -> Option<Host> {
        let program = self.program(client);
        let policy = self.chain.first()?;
        let is_named = |host: &Host| {
            let to = Destination { scheme: None, host: host.clone(), port: Some(dialed.port()) };
            policy.names(&to, program.as_deref())
        };
        let names = ["localhost", "127.0.0.1"].into_iter().filter_map(|name| parse_host(name).ok());
        names.into_iter().find(is_named)
    }

    fn closed(&self, report: Report) {
        let needs = if report.request.is_some() { Needs::Place } else { Needs::Room };
        self.line.send(Event::Closed(closed(report)), needs);
    }
}

/// A program that waits.
struct Waiting(Answer);

impl Reply for Waiting {
    fn give(self: Box<Self>, verdict: Verdict) {
        self.0.give(match verdict {
            Verdict::Allow(pass) => ask::Verdict::Allow(Box::new(Admission {
                permit: pass.permit,
                request: pass.request,
                addresses: match pass.addresses {
                    Addresses::Public => ask::Addresses::Public,
                    Addresses::Private => ask::Addresses::Private,
                },
                limits: (pass.bounds != Bounds::default()).then(|| limits(pass.bounds)),
            })),
            Verdict::Deny(refusal) => ask::Verdict::Deny(Denial {
                rule: refusal.rule,
                message: refusal.message,
                reference: refusal.reference,
            }),
        });
    }

    fn is_abandoned(&self) -> bool {
        self.0.is_abandoned()
    }
}

fn limits(bounds: Bounds) -> DestinationLimits {
    let widest = DestinationLimits::default();
    DestinationLimits {
        connections_max: bounds.connections_max.map_or(widest.connections_max, |max| max.min(widest.connections_max)),
        requests_max: bounds.requests_max.unwrap_or(widest.requests_max),
        bytes_max: bounds.bytes_max.unwrap_or(widest.bytes_max),
    }
}

fn attempt(asked: Asked) -> Attempt {
    Attempt {
        cage: asked.client.0,
        connection: asked.connection,
        way: asked.kind.as_str(),
        host: asked.host,
        port: asked.port,
        method: asked.method,
        path: asked.path,
    }
}

fn closed(report: Report) -> Closed {
    Closed {
        cage: report.client.0,
        connection: report.connection,
        attempt: report.asked.map(attempt),
        request: report.request,
        address: report.address,
        protocol: match report.protocol {
            Protocol::Silent => "silent",
            Protocol::Tls => "tls",
            Protocol::Http => "http",
            Protocol::Other => "other",
        },
        sent_bytes: report.sent_bytes,
        received_bytes: report.received_bytes,
        requests: report.requests,
        duration: report.duration,
        ending: match report.ending {
            ask::Ending::Closed => Ending::Closed,
            ask::Ending::Denied(Denial { rule, message, reference }) => {
                Ending::Denied(Refusal { rule, message, reference })
            }
            ask::Ending::Malformed(why) => Ending::Malformed(why),
            ask::Ending::Failed(why) => Ending::Failed(why),
        },
    }
}

/// Connections that the sandbox makes.
struct Made(Connects);

impl Arrivals for Made {
    fn next(&mut self, stop: BorrowedFd<'_>) -> Option<TcpStream> {
        self.0.next(stop)
    }
}

/// The supervisor's side.
struct Carried {
    proxy: Option<ProxyHandle>,
    judge: Arc<Rules>,
    line: Arc<Line>,
    receiver: Receiver<Event>,
}

impl Carrier for Carried {
    fn adopt(&mut self, sockets: DoorSockets, cage: CageId, program: Option<&str>) -> io::Result<()> {
        let proxy = self.proxy.as_ref().ok_or_else(|| io::Error::other("the proxy was stopped"))?;
        let client = ClientId(cage);
        let mut programs = self.judge.programs.lock().unwrap_or_else(PoisonError::into_inner);
        programs.insert(client, program.map(str::to_owned));
        drop(programs);
        let DoorSockets { proxy: front, caught, dns_udp, dns_tcp, .. } = sockets;
        let client = Client { id: client, credential: None };
        match front {
            Front::Listener(front) => proxy.adopt(Listeners { proxy: front, caught, dns_udp, dns_tcp }, client),
            Front::Connects(connects) => proxy.adopt_arrivals(Box::new(Made(connects)), client),
        }
    }

    fn remove(&mut self, cage: CageId) {
        if let Some(proxy) = &self.proxy {
            proxy.remove(ClientId(cage));
        }
    }

    fn waiting(&self) -> BorrowedFd<'_> {
        self.line.wake.as_fd()
    }

    fn next(&mut self) -> Option<Event> {
        if let Ok(event) = self.receiver.try_recv() {
            self.line.waiting.fetch_sub(1, Ordering::AcqRel);
            return Some(event);
        }
        // Emptied before the last look: what comes after it wakes again.
        let _ignored = rustix::io::read(&self.line.wake, &mut [0_u8; 8]);
        let event = self.receiver.try_recv().ok()?;
        // More may have come at the same time.
        let _ignored = rustix::io::write(&self.line.wake, &1_u64.to_ne_bytes());
        self.line.waiting.fetch_sub(1, Ordering::AcqRel);
        Some(event)
    }

    fn settle(&mut self) {
        if let Some(proxy) = &self.proxy {
            proxy.settle();
        }
    }

    fn stop(&mut self) {
        if let Some(proxy) = self.proxy.take() {
            proxy.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use ringfort_policy::load::validate;
    use ringfort_proxy::judge::Kind;

    use super::*;

    const POLICY: &str = "[egress]\ndomains = [\"a.example\", \"*.wild.example\", \"box.internal\", \"localhost:80\"]\n\
                          denied_domains = [\"*.bad.example\", \"part.example:22\"]\n\
                          [[egress.rules]]\nhost = \"ruled.example\"\npaths = [\"/v1/*\"]\n";

    fn rules() -> Rules {
        let policy = Policy::from_config(&validate(std::path::Path::new("test"), POLICY).unwrap());
        Rules {
            chain: Arc::from(vec![policy]),
            workspace: PathBuf::from("/w"),
            programs: Mutex::default(),
            line: Arc::new(Line {
                wake: eventfd(0, EventfdFlags::CLOEXEC).unwrap(),
                sender: Mutex::new(channel().0),
                waiting: AtomicUsize::new(0),
            }),
        }
    }

    #[test]
    fn deny_names_that_no_rule_could_allow() {
        for (name, expected) in [
            ("a.example", Lookup::Answer),
            ("x.wild.example", Lookup::Answer),
            ("unlisted.example", Lookup::Answer),
            ("part.example", Lookup::Answer),
            ("box.internal", Lookup::Answer),
            ("localhost", Lookup::Answer),
            ("x.bad.example", Lookup::Deny),
            ("other.internal", Lookup::Deny),
            ("printer", Lookup::Deny),
            ("metadata.google.internal", Lookup::Deny),
            ("169.254.169.254", Lookup::Deny),
            ("1.2.3.4", Lookup::Deny),
            ("bad name", Lookup::Deny),
            ("", Lookup::Deny),
        ] {
            assert_eq!(rules().lookup(ClientId(0), name), expected, "`{name}`");
        }
    }

    #[test]
    fn a_further_request_is_held_to_the_rules() {
        for (host, path, allowed) in [
            ("ruled.example", "/v1/x?q", true),
            ("ruled.example", "/v2", false),
            ("ruled.example", "/v1/../v2", false),
            ("a.example", "/anything", true),
            // A person said yes to it, or there would be no connection.
            ("asked.example", "/anything", true),
            ("x.bad.example", "/", false),
        ] {
            let asked = Asked {
                client: ClientId(0),
                connection: 1,
                peer: SocketAddr::from(([127, 0, 0, 1], 1)),
                kind: Kind::Http,
                host: parse_host(host).unwrap(),
                port: 80,
                method: Some("GET".to_owned()),
                path: Some(path.to_owned()),
            };
            assert_eq!(rules().review(&asked) == Review::Allow, allowed, "{host}{path}");
        }
    }

    #[test]
    fn deny_ports_of_this_machine_that_are_not_listed() {
        let own = |address: &str| rules().own(ClientId(0), address.parse().unwrap()).map(|host| host.to_string());
        assert_eq!(own("127.0.0.1:80").as_deref(), Some("localhost"));
        assert_eq!(own("127.0.0.1:81"), None);
    }

    #[test]
    fn what_finds_no_room_is_denied() {
        let rules = rules();
        rules.line.waiting.store(WAITING_MAX, Ordering::Release);
        let report = |request| Report {
            client: ClientId(0),
            connection: 1,
            asked: None,
            request,
            address: None,
            protocol: Protocol::Silent,
            sent_bytes: 0,
            received_bytes: 0,
            requests: 0,
            duration: std::time::Duration::ZERO,
            ending: ask::Ending::Closed,
        };
        rules.closed(report(None));
        assert_eq!(rules.line.waiting.load(Ordering::Acquire), WAITING_MAX, "dropped");
        rules.closed(report(Some(ringfort_core::digest::Digest::of(b"x"))));
        assert_eq!(rules.line.waiting.load(Ordering::Acquire), WAITING_MAX + 1, "kept: it was admitted");
    }
}
