// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection to a destination, counted from the question to its end.
//!
//! In: what was asked, then bytes and requests as they pass. Out: one report, when the ticket is dropped.
//!
//! **Invariant:** every ticket becomes exactly one report, also when its task is cancelled.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use ringfort_core::digest::Digest;

use crate::count::Visit;
use crate::engine::Engine;
use crate::judge::{Asked, ClientId, Ending, Protocol, Report};
use crate::refusal::Refusal;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the program to the destination.
    Out,
    /// From the destination to the program.
    In,
}

/// The account of one connection.
pub(crate) struct Ticket {
    engine: Rc<Engine>,
    client: ClientId,
    connection: u64,
    asked: Option<Asked>,
    authority: String,
    started: Duration,
    request: Cell<Option<Digest>>,
    address: Cell<Option<SocketAddr>>,
    protocol: Cell<Protocol>,
    sent: Cell<u64>,
    received: Cell<u64>,
    requests: Cell<u64>,
    visit: RefCell<Option<Visit>>,
    ending: RefCell<Option<Ending>>,
}

impl Ticket {
    pub(crate) fn new(engine: &Rc<Engine>, client: ClientId, connection: u64, asked: Option<Asked>) -> Self {
        Self {
            engine: Rc::clone(engine),
            client,
            connection,
            authority: asked.as_ref().map(Asked::authority).unwrap_or_default(),
            asked,
            started: engine.clock.monotonic(),
            request: Cell::new(None),
            address: Cell::new(None),
            protocol: Cell::new(Protocol::Silent),
            sent: Cell::new(0),
            received: Cell::new(0),
            requests: Cell::new(0),
            visit: RefCell::new(None),
            ending: RefCell::new(None),
        }
    }

    pub(crate) fn admitted(&self, request: Digest, visit: Visit) {
        self.request.set(Some(request));
        self.visit.replace(Some(visit));
    }

    pub(crate) fn dialed(&self, address: SocketAddr) {
        self.address.set(Some(address));
    }

    pub(crate) fn speaks(&self, protocol: Protocol) {
        self.protocol.set(protocol);
    }

    /// Counts bytes that were moved.
    pub(crate) fn moved(&self, way: Way, count: u64) -> Result<(), Refusal> {
        let counter = match way {
            Way::Out => &self.sent,
            Way::In => &self.received,
        };
        counter.set(counter.get().saturating_add(count));
        let visit = self.visit.borrow();
        let Some(visit) = visit.as_ref() else { return Ok(()) };
        visit.bytes(count).map_err(|reached| Refusal::limit(reached, &self.authority))
    }

    /// Counts a request.
    pub(crate) fn request(&self) -> Result<(), Refusal> {
        let visit = self.visit.borrow();
        if let Some(visit) = visit.as_ref() {
            visit.request().map_err(|reached| Refusal::limit(reached, &self.authority))?;
        }
        self.requests.set(self.requests.get() + 1);
        Ok(())
    }

    /// Every byte so far.
    pub(crate) fn total(&self) -> u64 {
        self.sent.get().saturating_add(self.received.get())
    }

    /// Says how it ended; the first word counts.
    pub(crate) fn end(&self, ending: Ending) {
        self.ending.borrow_mut().get_or_insert(ending);
    }

    /// Ends with the result of what was done.
    pub(crate) fn end_with(&self, result: Result<(), Refusal>) {
        self.end(match result {
            Ok(()) => Ending::Closed,
            Err(refusal) => refusal.ending,
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.visit.replace(None);
        self.engine.judge.closed(Report {
            client: self.client,
            connection: self.connection,
            asked: self.asked.take(),
            request: self.request.get(),
            address: self.address.get(),
            protocol: self.protocol.get(),
            sent_bytes: self.sent.get(),
            received_bytes: self.received.get(),
            requests: self.requests.get(),
            duration: self.engine.clock.monotonic().saturating_sub(self.started),
            ending: self.ending.take().unwrap_or(Ending::Failed("stopped")),
        });
    }
}
