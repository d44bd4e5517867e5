// SPDX-License-Identifier: MIT OR Apache-2.0
//! A clock that moves only when a test moves it.
//!
//! In: a start and steps. Out: the wall clock and the monotonic clock, always in step.
//!
//! **Invariant:** two readings without [`FakeClock::advance`] between them are equal. [`FakeClock::set_wall`] moves
//! the wall clock alone, backwards too, as an administrator or a network can.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringfort_core::clock::{Clock, Timestamp};

/// A clock in the hands of a test.
#[derive(Debug)]
pub struct FakeClock {
    hands: Mutex<Hands>,
}

#[derive(Clone, Copy, Debug)]
struct Hands {
    wall: Timestamp,
    monotonic: Duration,
}

impl FakeClock {
    /// A clock that shows `start` and has run for no time at all.
    pub fn new(start: Timestamp) -> Self {
        Self { hands: Mutex::new(Hands { wall: start, monotonic: Duration::ZERO }) }
    }

    /// Moves both clocks on.
    pub fn advance(&self, step: Duration) {
        let mut hands = self.lock();
        hands.wall = hands.wall.after(step);
        hands.monotonic = hands.monotonic.saturating_add(step);
    }

    /// Sets the wall clock and leaves the monotonic clock alone.
    pub fn set_wall(&self, wall: Timestamp) {
        self.lock().wall = wall;
    }

    fn lock(&self) -> MutexGuard<'_, Hands> {
        // A reader that panicked has not moved the hands: they are two plain values.
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.lock().wall
    }

    fn monotonic(&self) -> Duration {
        self.lock().monotonic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_moves_only_when_moved() {
        let clock = FakeClock::new(Timestamp(1_000));
        assert_eq!((clock.now(), clock.monotonic()), (Timestamp(1_000), Duration::ZERO));
        clock.advance(Duration::from_millis(250));
        assert_eq!((clock.now(), clock.monotonic()), (Timestamp(1_250), Duration::from_millis(250)));
        clock.set_wall(Timestamp(3));
        assert_eq!((clock.now(), clock.monotonic()), (Timestamp(3), Duration::from_millis(250)));
    }
}
