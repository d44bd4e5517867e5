// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting, feeding and stopping the proxy's thread.
//!
//! In: a judge, a dialer, and the listeners of cages as they come. Out: a [`ProxyHandle`].
//!
//! **Invariant:** dropping the handle stops the thread; every connection is closed and reported before that returns.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ringfort_core::clock::Clock;
use ringfort_core::traits::Dial;
use rustix::net::sockopt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use crate::engine::{self, Engine, Entrance, Order, Sockets};
use crate::judge::{Client, ClientId, Judge};
use crate::limits::{CLIENTS_MAX, FILES_MAX, LOOKUPS_MAX, Limits, SETTLE_WAIT};
use crate::resolve::Resolve;

/// Stack of a thread that resolves a name. Bytes.
const LOOKUP_STACK_BYTES: usize = 512 << 10;
/// Stack of the proxy's thread. Bytes.
const STACK_BYTES: usize = 1 << 20;
/// Stack of a thread that waits for arrivals. Bytes.
const ARRIVALS_STACK_BYTES: usize = 256 << 10;
/// Connections that were made and wait to be served; while there are so many, no other is made.
const ARRIVALS_WAITING_MAX: usize = 64;
/// How long a thread for lookups is kept without work.
const LOOKUP_KEEP: Duration = Duration::from_secs(2);

/// What a proxy needs besides its judge and its dialer.
#[derive(Clone)]
pub struct ProxyOptions {
    /// Its bounds.
    pub limits: Limits,
    /// Who knows addresses.
    pub resolver: Arc<dyn Resolve>,
    /// Time, against which permits expire.
    pub clock: Arc<dyn Clock>,
    /// Called once on the proxy's thread before it serves anybody; for how the thread is scheduled.
    pub on_start: fn(),
}

/// The listening sockets of one cage, made inside its network namespace.
#[derive(Debug)]
pub struct Listeners {
    /// TCP: HTTP proxy and SOCKS5, told apart by the first byte.
    pub proxy: OwnedFd,
    /// TCP: for connections to synthetic addresses, with the port of each.
    pub caught: Vec<(u16, OwnedFd)>,
    /// UDP: DNS.
    pub dns_udp: Option<OwnedFd>,
    /// TCP: DNS.
    pub dns_tcp: Option<OwnedFd>,
}

/// Makes the connections of a cage that has no listeners, one by one.
pub trait Arrivals: Send {
    /// Waits for the next connection and returns its outer end. `None` when there will be none any more, or when `stop`
    /// becomes readable or is closed at its other end.
    fn next(&mut self, stop: BorrowedFd<'_>) -> Option<TcpStream>;
}

/// The proxy; see [`Proxy::start`].
#[derive(Clone, Copy, Debug)]
pub struct Proxy;

/// A running proxy. Dropping it stops it.
#[derive(Debug)]
pub struct ProxyHandle {
    orders: Option<mpsc::UnboundedSender<Order>>,
    clients: Mutex<Vec<ClientId>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts the proxy on a thread of its own; it serves nobody yet. The soft limit of open files is raised, as far as
    /// the hard one allows, so that two for each connection are there.
    ///
    /// # Errors
    ///
    /// The thread or its event loop could not be made; nothing runs.
    pub fn start(options: ProxyOptions, judge: Arc<dyn Judge>, dial: Arc<dyn Dial>) -> io::Result<ProxyHandle> {
        raise_files();
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(LOOKUPS_MAX)
            .thread_name("lookup")
            .thread_stack_size(LOOKUP_STACK_BYTES)
            .thread_keep_alive(LOOKUP_KEEP)
            .build()?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let body = move || serve(runtime, options, judge, dial, receiver);
        let thread = std::thread::Builder::new().name("egress".into()).stack_size(STACK_BYTES).spawn(body)?;
        Ok(ProxyHandle { orders: Some(sender), clients: Mutex::default(), thread: Some(thread) })
    }
}

fn serve(
    runtime: Runtime,
    options: ProxyOptions,
    judge: Arc<dyn Judge>,
    dial: Arc<dyn Dial>,
    orders: mpsc::UnboundedReceiver<Order>,
) {
    (options.on_start)();
    let engine = Rc::new(Engine::new(options, judge, dial));
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, engine::run(engine, orders));
    // Tasks that are still there report when they are dropped; that needs the runtime.
    let entered = runtime.enter();
    drop(tasks);
    drop(entered);
    // A resolver that hangs is not waited for.
    runtime.shutdown_background();
}

/// Fewer files mean fewer connections, so a limit that cannot be raised is no error.
fn raise_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(FILES_MAX).min(FILES_MAX);
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).ok();
    }
}

impl ProxyHandle {
    /// Serves one more cage; one of the same id is replaced.
    ///
    /// # Errors
    ///
    /// A descriptor is no listening socket, there are too many cages, or the proxy has stopped; none of the sockets is
    /// served and all are closed.
    pub fn adopt(&self, listeners: Listeners, client: Client) -> io::Result<()> {
        let mut tcp = vec![(Entrance::Proxy, listener(listeners.proxy)?)];
        for (_, descriptor) in listeners.caught {
            tcp.push((Entrance::Caught, listener(descriptor)?));
        }
        if let Some(descriptor) = listeners.dns_tcp {
            tcp.push((Entrance::Dns, listener(descriptor)?));
        }
        let udp = listeners.dns_udp.map(datagrams).transpose()?;
        self.serve(Sockets { tcp, udp, arrivals: None }, client)
    }

    /// Serves one more cage whose connections arrive one by one, as if they came to its proxy; one of the same id is
    /// replaced. They are waited for on a thread of their own, which ends with the cage.
    ///
    /// # Errors
    ///
    /// There are too many cages, the thread could not be made, or the proxy has stopped; nothing is served.
    pub fn adopt_arrivals(&self, mut arrivals: Box<dyn Arrivals>, client: Client) -> io::Result<()> {
        let (stop, stopped) = io::pipe()?;
        let (sender, streams) = mpsc::channel(ARRIVALS_WAITING_MAX);
        let body = move || {
            while let Some(stream) = arrivals.next(stop.as_fd()) {
                if sender.blocking_send(stream).is_err() {
                    return; // The cage is not served any more.
                }
            }
        };
        std::thread::Builder::new().name("arrivals".into()).stack_size(ARRIVALS_STACK_BYTES).spawn(body)?;
        let arrivals = Some(engine::Arriving { streams, _stopped: stopped });
        self.serve(Sockets { tcp: Vec::new(), udp: None, arrivals }, client)
    }

    fn serve(&self, sockets: Sockets, client: Client) -> io::Result<()> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if !clients.contains(&client.id) {
            if clients.len() >= CLIENTS_MAX {
                return Err(io::Error::other("too many cages share one proxy"));
            }
            clients.push(client.id);
        }
        drop(clients);
        self.order(Order::Adopt(sockets, client))
    }

    /// Stops serving a cage: its listeners and connections are closed. One that is not known is no error.
    pub fn remove(&self, client: ClientId) {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| *known != client);
        // A proxy that has stopped serves nobody.
        drop(self.order(Order::Remove(client)));
    }

    /// Waits until no connection is open, at most [`SETTLE_WAIT`]: for those whose programs have just ended. Nothing is
    /// closed by this.
    pub fn settle(&self) {
        let (done, settled) = std::sync::mpsc::sync_channel(1);
        if self.order(Order::Settle(done)).is_ok() {
            // Neither the answer nor its absence changes what comes next.
            settled.recv_timeout(SETTLE_WAIT).ok();
        }
    }

    /// Closes everything and ends the thread; every report has been delivered when this returns.
    pub fn stop(self) {
        drop(self);
    }

    fn order(&self, order: Order) -> io::Result<()> {
        let stopped = || io::Error::other("the proxy has stopped");
        self.orders.as_ref().ok_or_else(stopped)?.send(order).map_err(|_| stopped())
    }
}

impl Drop for ProxyHandle {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked serves nobody either.
            drop(thread.join());
        }
    }
}

fn listener(descriptor: OwnedFd) -> io::Result<std::net::TcpListener> {
    if !sockopt::socket_acceptconn(&descriptor)? {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket does not listen"));
    }
    let listener = std::net::TcpListener::from(descriptor);
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn datagrams(descriptor: OwnedFd) -> io::Result<std::net::UdpSocket> {
    if sockopt::socket_type(&descriptor)? != rustix::net::SocketType::DGRAM {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the socket takes no datagrams"));
    }
    let socket = std::net::UdpSocket::from(descriptor);
    socket.set_nonblocking(true)?;
    Ok(socket)
}
