// SPDX-License-Identifier: MIT OR Apache-2.0
//! Group commit: many threads, one write and one sync for all that are waiting.
//!
//! In: encoded entries from any thread. Out: each thread's own receipt or error.
//!
//! **Invariant:** at any time at most one thread leads the writing and at most one the syncing; a leader that has
//! waiters left names the next one before it returns, so nobody waits for nobody. Each waiter sleeps on a condition of
//! its own, at most [`COMMIT_WAIT_MAX`], and whoever gives up is skipped.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::chain::{Chain, ChainError};
use crate::sync::Syncer;
use crate::trail::{Durability, Receipt};

/// Most entries that are written together.
const BATCH_ENTRIES_MAX: usize = 1024;

/// Most entries that wait to be written.
const QUEUE_ENTRIES_MAX: usize = 16 << 10;

/// Longest wait of one append.
const COMMIT_WAIT_MAX: Duration = Duration::from_secs(30);

/// What a waiting thread is to do.
enum Turn {
    Wait,
    LeadWriting,
    LeadSyncing,
    Done(Result<Receipt, ChainError>),
    GivenUp,
}

/// One append.
struct Ticket {
    members: Vec<u8>,
    durability: Durability,
    turn: Mutex<Turn>,
    changed: Condvar,
}

impl Ticket {
    /// Tells the thread what to do; false if it has given up.
    fn tell(&self, turn: Turn) -> bool {
        let mut current = locked(&self.turn);
        if matches!(*current, Turn::GivenUp) {
            return false;
        }
        *current = turn;
        self.changed.notify_one();
        true
    }

    /// Waits to be told.
    fn told(&self) -> Turn {
        let turn = locked(&self.turn);
        let (mut turn, _) = self
            .changed
            .wait_timeout_while(turn, COMMIT_WAIT_MAX, |turn| matches!(turn, Turn::Wait))
            .unwrap_or_else(PoisonError::into_inner);
        let next = if matches!(*turn, Turn::Wait) { Turn::GivenUp } else { Turn::Wait };
        std::mem::replace(&mut *turn, next)
    }
}

#[derive(Default)]
struct Writing {
    queue: std::collections::VecDeque<Arc<Ticket>>,
    led: bool,
}

#[derive(Default)]
struct Syncing {
    waiting: Vec<(Arc<Ticket>, Receipt)>,
    led: bool,
}

/// The threads of one process in front of one chain.
pub(crate) struct Commit {
    chain: Mutex<Chain>,
    syncer: Arc<Syncer>,
    writing: Mutex<Writing>,
    syncing: Mutex<Syncing>,
}

impl Commit {
    pub(crate) fn new(chain: Chain) -> Self {
        let syncer = Arc::clone(&chain.syncer);
        Self { chain: Mutex::new(chain), syncer, writing: Mutex::default(), syncing: Mutex::default() }
    }

    /// The chain, between two batches.
    pub(crate) fn chain(&self) -> MutexGuard<'_, Chain> {
        locked(&self.chain)
    }

    /// Writes one entry, together with those of other threads.
    pub(crate) fn append(&self, members: Vec<u8>, durability: Durability) -> Result<Receipt, ChainError> {
        let ticket = Arc::new(Ticket { members, durability, turn: Mutex::new(Turn::Wait), changed: Condvar::new() });
        if self.enqueue(&ticket)? {
            self.lead_writing();
        }
        loop {
            match ticket.told() {
                Turn::LeadWriting => self.lead_writing(),
                Turn::LeadSyncing => self.lead_syncing(),
                Turn::Done(result) => return result,
                Turn::Wait | Turn::GivenUp => return Err(busy()),
            }
        }
    }

    /// Makes everything durable that is written by now.
    pub(crate) fn sync(&self) -> Result<(), ChainError> {
        self.syncer.sync_all()
    }

    /// Queues a ticket; true if the caller leads.
    fn enqueue(&self, ticket: &Arc<Ticket>) -> Result<bool, ChainError> {
        let mut writing = locked(&self.writing);
        if writing.queue.len() >= QUEUE_ENTRIES_MAX {
            return Err(busy());
        }
        writing.queue.push_back(Arc::clone(ticket));
        Ok(!std::mem::replace(&mut writing.led, true))
    }

    /// Writes one batch, then hands over. Durable entries go on to wait for a sync.
    fn lead_writing(&self) {
        let batch: Vec<Arc<Ticket>> = {
            let mut writing = locked(&self.writing);
            let count = writing.queue.len().min(BATCH_ENTRIES_MAX);
            writing.queue.drain(..count).collect()
        };
        let members: Vec<&[u8]> = batch.iter().map(|ticket| ticket.members.as_slice()).collect();
        let (receipts, result) = locked(&self.chain).write(&members);
        self.hand_over_writing();
        let mut durable = Vec::new();
        let mut receipts = receipts.into_iter();
        for ticket in batch {
            match (receipts.next(), &result) {
                (Some(receipt), _) if ticket.durability == Durability::Synced => durable.push((ticket, receipt)),
                (Some(receipt), _) => drop(ticket.tell(Turn::Done(Ok(receipt)))),
                (None, Err(error)) => drop(ticket.tell(Turn::Done(Err(error.clone())))),
                // The chain gives a receipt for each entry or says why not; without either nothing is acknowledged.
                (None, Ok(())) => drop(ticket.tell(Turn::Done(Err(busy())))),
            }
        }
        self.await_sync(durable);
    }

    fn hand_over_writing(&self) {
        let mut writing = locked(&self.writing);
        while let Some(next) = writing.queue.front() {
            if next.tell(Turn::LeadWriting) {
                return;
            }
            writing.queue.pop_front();
        }
        writing.led = false;
    }

    fn await_sync(&self, mut durable: Vec<(Arc<Ticket>, Receipt)>) {
        let mut syncing = locked(&self.syncing);
        syncing.waiting.append(&mut durable);
        if !syncing.led {
            syncing.led = Self::name_leader(&mut syncing);
        }
    }

    /// Names the next leader of the syncing; false if nobody waits.
    fn name_leader(syncing: &mut Syncing) -> bool {
        while let Some((ticket, _)) = syncing.waiting.last() {
            if ticket.tell(Turn::LeadSyncing) {
                return true;
            }
            syncing.waiting.pop();
        }
        false
    }

    /// Syncs once for all that wait by then, then hands over.
    fn lead_syncing(&self) {
        let wanted = locked(&self.syncing).waiting.iter().map(|(_, receipt)| receipt.seq + 1).max().unwrap_or(0);
        let result = self.syncer.sync(wanted);
        let mut syncing = locked(&self.syncing);
        let waiting = std::mem::take(&mut syncing.waiting);
        let (done, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, receipt)| match &result {
            Ok(next) => receipt.seq < *next,
            Err(_) => receipt.seq < wanted,
        });
        syncing.waiting = rest;
        syncing.led = Self::name_leader(&mut syncing);
        drop(syncing);
        for (ticket, receipt) in done {
            ticket.tell(Turn::Done(result.as_ref().map(|_| receipt).map_err(Clone::clone)));
        }
    }
}

fn busy() -> ChainError {
    ChainError::Busy { wait_ms: u64::try_from(COMMIT_WAIT_MAX.as_millis()).unwrap_or(u64::MAX) }
}

/// Locks; a thread that panicked while it held the lock left whole values behind.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
