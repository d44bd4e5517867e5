// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each destination of one cage has used up.
//!
//! In: connections, requests and bytes as they come. Out: a place among those that are open, or that a limit is reached.
//!
//! **Invariant:** a count only grows during the life of the cage, but for open connections; a full table refuses new
//! destinations instead of forgetting old ones.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use ringfort_policy::egress::Host;

use crate::limits::{DESTINATIONS_MAX, DestinationLimits};

/// What was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// Destinations that can be counted.
    Destinations,
    /// Open connections.
    Connections,
    /// Requests.
    Requests,
    /// Bytes.
    Bytes,
}

impl Reached {
    /// What it is, in words.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Destinations => "the number of destinations",
            Self::Connections => "its open connections",
            Self::Requests => "its requests",
            Self::Bytes => "its bytes",
        }
    }
}

/// What one destination has used up.
#[derive(Debug)]
struct Destination {
    limits: Cell<DestinationLimits>,
    open: Cell<u32>,
    requests: Cell<u64>,
    bytes: Cell<u64>,
}

/// Every destination of one cage.
#[derive(Debug, Default)]
pub(crate) struct Destinations(HashMap<(Host, u16), Rc<Destination>>);

/// One open connection to a destination; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Visit(Rc<Destination>);

impl Destinations {
    /// Whether a further connection would be over a limit that is known already; asked before anybody decides.
    pub(crate) fn check(&self, host: &Host, port: u16) -> Result<(), Reached> {
        match self.0.get(&(host.clone(), port)) {
            Some(destination) => destination.check(),
            None if self.0.len() >= DESTINATIONS_MAX => Err(Reached::Destinations),
            None => Ok(()),
        }
    }

    /// Takes a place, under limits that the verdict brought.
    pub(crate) fn enter(&mut self, host: &Host, port: u16, limits: DestinationLimits) -> Result<Visit, Reached> {
        if self.0.len() >= DESTINATIONS_MAX && !self.0.contains_key(&(host.clone(), port)) {
            return Err(Reached::Destinations);
        }
        let new = || Destination { limits: limits.into(), open: 0.into(), requests: 0.into(), bytes: 0.into() };
        let destination = self.0.entry((host.clone(), port)).or_insert_with(|| Rc::new(new()));
        destination.limits.set(limits);
        destination.check()?;
        destination.open.set(destination.open.get() + 1);
        Ok(Visit(Rc::clone(destination)))
    }
}

impl Destination {
    fn check(&self) -> Result<(), Reached> {
        let limits = self.limits.get();
        if self.open.get() >= limits.connections_max {
            return Err(Reached::Connections);
        }
        if self.requests.get() >= limits.requests_max {
            return Err(Reached::Requests);
        }
        if self.bytes.get() >= limits.bytes_max { Err(Reached::Bytes) } else { Ok(()) }
    }
}

impl Visit {
    /// Counts one request.
    pub(crate) fn request(&self) -> Result<(), Reached> {
        if self.0.requests.get() >= self.0.limits.get().requests_max {
            return Err(Reached::Requests);
        }
        self.0.requests.set(self.0.requests.get() + 1);
        Ok(())
    }

    /// Counts bytes that were moved; an error once there are more than allowed.
    pub(crate) fn bytes(&self, count: u64) -> Result<(), Reached> {
        self.0.bytes.set(self.0.bytes.get().saturating_add(count));
        if self.0.bytes.get() > self.0.limits.get().bytes_max { Err(Reached::Bytes) } else { Ok(()) }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: DestinationLimits = DestinationLimits { connections_max: 2, requests_max: 3, bytes_max: 10 };

    #[test]
    fn deny_what_is_over_a_limit() {
        let host = Host::Name("a.example".into());
        let mut all = Destinations::default();
        let first = all.enter(&host, 80, SMALL).unwrap();
        let second = all.enter(&host, 80, SMALL).unwrap();
        assert_eq!(all.check(&host, 80), Err(Reached::Connections));
        assert_eq!(all.enter(&host, 80, SMALL).unwrap_err(), Reached::Connections);
        assert!(all.check(&host, 81).is_ok());
        drop(second);
        assert!(all.check(&host, 80).is_ok());
        for _ in 0..3 {
            first.request().unwrap();
        }
        assert_eq!(first.request(), Err(Reached::Requests));
        assert_eq!(all.check(&host, 80), Err(Reached::Requests));
        assert_eq!((first.bytes(10), first.bytes(1)), (Ok(()), Err(Reached::Bytes)));
        drop(first);
        assert_eq!(all.check(&host, 80), Err(Reached::Requests), "a count outlives its connections");
    }

    #[test]
    fn deny_a_full_table() {
        let mut all = Destinations::default();
        let host = |number: usize| Host::Name(format!("n{number}.example"));
        for number in 0..DESTINATIONS_MAX {
            drop(all.enter(&host(number), 80, SMALL).unwrap());
        }
        assert_eq!(all.check(&host(DESTINATIONS_MAX), 80), Err(Reached::Destinations));
        assert_eq!(all.enter(&host(DESTINATIONS_MAX), 80, SMALL).unwrap_err(), Reached::Destinations);
        assert!(all.enter(&host(1), 80, SMALL).is_ok());
    }
}
