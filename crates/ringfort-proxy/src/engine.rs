// SPDX-License-Identifier: MIT OR Apache-2.0
//! What runs on the proxy's thread: cages, their listeners, and one task for each connection.
//!
//! In: orders from the handle. Out: tasks of [`crate::front`].
//!
//! **Invariant:** nothing here waits for one program: accepting goes on whatever a connection does. A connection that
//! is over a bound is answered and closed.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ringfort_core::clock::Clock;
use ringfort_core::traits::Dial;
use ringfort_policy::egress::Host;
use rustix::net::sockopt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::spawn_local;

use crate::count::Destinations;
use crate::front;
use crate::judge::{Asked, Client, ClientId, Ending, Judge, Kind};
use crate::limits::{LOOKUPS_MAX, Limits};
use crate::names::Names;
use crate::refusal::{Refusal, TOO_MANY};
use crate::resolve::Resolve;
use crate::stream::{Inbox, race};
use crate::ticket::Ticket;

/// Pause after a connection could not be accepted, for want of descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Pause between two looks at whether a connection is open.
const SETTLE_LOOK: Duration = Duration::from_millis(1);
/// How a connection on this host avoids congestion: the plainest way.
const LOCAL_CONGESTION: &str = "reno";

/// Bytes that wait in the kernel for a program to read them; more would only leave the processor's cache meanwhile.
const LOCAL_SEND_BYTES: usize = 256 << 10;

/// What every cage shares.
pub(crate) struct Engine {
    pub(crate) limits: Limits,
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) judge: Arc<dyn Judge>,
    pub(crate) dial: Arc<dyn Dial>,
    pub(crate) lookups: Arc<Semaphore>,
    open: Cell<usize>,
    last: Cell<u64>,
}

/// One cage.
pub(crate) struct Cage {
    pub(crate) engine: Rc<Engine>,
    pub(crate) client: Client,
    pub(crate) names: RefCell<Names>,
    pub(crate) destinations: RefCell<Destinations>,
    open: Cell<usize>,
    gone: Notify,
    is_gone: Cell<bool>,
}

/// One connection of a program.
pub(crate) struct Visitor {
    pub(crate) cage: Rc<Cage>,
    pub(crate) connection: u64,
    pub(crate) peer: SocketAddr,
}

/// Which listener a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// The proxy.
    Proxy,
    /// A synthetic address.
    Caught,
    /// The DNS answerer.
    Dns,
}

/// Sockets of one cage, ready to be served.
pub(crate) struct Sockets {
    pub(crate) tcp: Vec<(Entrance, std::net::TcpListener)>,
    pub(crate) udp: Option<std::net::UdpSocket>,
    pub(crate) arrivals: Option<Arriving>,
}

/// Connections that are made elsewhere.
pub(crate) struct Arriving {
    pub(crate) streams: mpsc::Receiver<std::net::TcpStream>,
    /// Closed when the cage is not served any more: whoever makes them sees that.
    pub(crate) _stopped: std::io::PipeWriter,
}

/// What the handle wants.
pub(crate) enum Order {
    /// Serve a cage.
    Adopt(Sockets, Client),
    /// Stop serving a cage.
    Remove(ClientId),
    /// Say when no connection is open.
    Settle(std::sync::mpsc::SyncSender<()>),
}

impl Engine {
    pub(crate) fn new(options: crate::ProxyOptions, judge: Arc<dyn Judge>, dial: Arc<dyn Dial>) -> Self {
        Self {
            limits: options.limits,
            resolver: options.resolver,
            clock: options.clock,
            judge,
            dial,
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            open: Cell::new(0),
            last: Cell::new(0),
        }
    }
}

/// Follows orders until there is nobody who could give one.
pub(crate) async fn run(engine: Rc<Engine>, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut cages: HashMap<ClientId, Rc<Cage>> = HashMap::new();
    while let Some(order) = orders.recv().await {
        match order {
            Order::Adopt(sockets, client) => {
                let id = client.id;
                let cage = Rc::new(Cage::new(&engine, client));
                cage.serve(sockets);
                if let Some(old) = cages.insert(id, cage) {
                    old.leave();
                }
            }
            Order::Remove(id) => {
                if let Some(cage) = cages.remove(&id) {
                    cage.leave();
                }
            }
            Order::Settle(done) => {
                let engine = Rc::clone(&engine);
                spawn_local(async move {
                    while engine.open.get() > 0 {
                        tokio::time::sleep(SETTLE_LOOK).await;
                    }
                    // Who asked may not wait any more.
                    done.try_send(()).ok();
                });
            }
        }
    }
    cages.values().for_each(|cage| cage.leave());
}

impl Cage {
    fn new(engine: &Rc<Engine>, client: Client) -> Self {
        Self {
            engine: Rc::clone(engine),
            client,
            names: RefCell::default(),
            destinations: RefCell::default(),
            open: Cell::new(0),
            gone: Notify::new(),
            is_gone: Cell::new(false),
        }
    }

    fn leave(&self) {
        self.is_gone.set(true);
        self.gone.notify_waiters();
    }

    /// Runs a task of this cage until it is done or the cage is gone.
    fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        let cage = Rc::clone(self);
        spawn_local(async move {
            if !cage.is_gone.get() {
                race(cage.gone.notified(), task).await;
            }
        });
    }

    fn serve(self: &Rc<Self>, sockets: Sockets) {
        for (entrance, listener) in sockets.tcp {
            match TcpListener::from_std(listener) {
                Ok(listener) => self.spawn(accept(Rc::clone(self), listener, entrance)),
                Err(_) => self.leave(),
            }
        }
        if let Some(socket) = sockets.udp {
            match UdpSocket::from_std(socket) {
                Ok(socket) => self.spawn(front::dns::answer_datagrams(Rc::clone(self), socket)),
                Err(_) => self.leave(),
            }
        }
        if let Some(arriving) = sockets.arrivals {
            self.spawn(take_in(Rc::clone(self), arriving));
        }
    }

    fn welcome(self: &Rc<Self>, socket: TcpStream, peer: SocketAddr, entrance: Entrance) {
        let limits = &self.engine.limits;
        let number = self.engine.last.get() + 1;
        self.engine.last.set(number);
        let visitor = Visitor { cage: Rc::clone(self), connection: number, peer };
        if self.open.get() >= limits.client_connections_max || self.engine.open.get() >= limits.connections_max {
            let mut refusal = Refusal::rule(TOO_MANY, "too many connections are open");
            refusal.status = 503;
            if entrance == Entrance::Proxy {
                // Nothing was written yet, so there is room for it; if not, the connection is closed without a word.
                drop(socket.try_write(&refusal.page("GET", false)));
            }
            visitor.refused(None, refusal.ending);
            return;
        }
        // Without it small answers wait for acknowledgements. A socket that refuses it works all the same.
        drop(socket.set_nodelay(true));
        // The program is on this host: what paces a sender for a network only costs here. Every kernel has this one.
        sockopt::set_tcp_congestion(&socket, LOCAL_CONGESTION).ok();
        sockopt::set_socket_send_buffer_size(&socket, LOCAL_SEND_BYTES).ok();
        let place = Place::take(self);
        self.spawn(async move {
            let _place = place;
            front::serve(visitor, Inbox::new(socket), entrance).await;
        });
    }
}

/// One of the connections that may be open.
struct Place(Rc<Cage>);

impl Place {
    fn take(cage: &Rc<Cage>) -> Self {
        cage.open.set(cage.open.get() + 1);
        cage.engine.open.set(cage.engine.open.get() + 1);
        Self(Rc::clone(cage))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
        self.0.engine.open.set(self.0.engine.open.get().saturating_sub(1));
    }
}

async fn accept(cage: Rc<Cage>, listener: TcpListener, entrance: Entrance) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => cage.welcome(socket, peer, entrance),
            // The program gave up before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn take_in(cage: Rc<Cage>, mut arriving: Arriving) {
    while let Some(stream) = arriving.streams.recv().await {
        // What cannot be served is closed, and the program sees that.
        if let (Ok(peer), Ok(())) = (stream.peer_addr(), stream.set_nonblocking(true))
            && let Ok(socket) = TcpStream::from_std(stream)
        {
            cage.welcome(socket, peer, Entrance::Proxy);
        }
    }
}

impl Visitor {
    /// A question of this connection.
    pub(crate) fn asks(&self, kind: Kind, host: Host, port: u16) -> Asked {
        Asked {
            client: self.cage.client.id,
            connection: self.connection,
            peer: self.peer,
            kind,
            host,
            port,
            method: None,
            path: None,
        }
    }

    /// The host that is meant by an address of the cage's own loopback, if it is any.
    pub(crate) fn own(&self, dialed: SocketAddr) -> Option<Host> {
        let judge = &self.cage.engine.judge;
        dialed.ip().is_loopback().then(|| judge.own(self.cage.client.id, dialed)).flatten()
    }

    /// A new account.
    pub(crate) fn ticket(&self, asked: Option<Asked>) -> Ticket {
        Ticket::new(&self.cage.engine, self.cage.client.id, self.connection, asked)
    }

    /// Reports something that never became a connection.
    pub(crate) fn refused(&self, asked: Option<Asked>, ending: Ending) {
        self.ticket(asked).end(ending);
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.cage.engine.limits
    }
}
