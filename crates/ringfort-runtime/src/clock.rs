// SPDX-License-Identifier: MIT OR Apache-2.0
//! The real clock: the one place in the workspace that reads time.
//!
//! In: nothing. Out: wall-clock milliseconds and a duration that never goes backwards.
//!
//! **Invariant:** everybody else takes `&dyn Clock`, so that tests own time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ringfort_core::clock::{Clock, Timestamp};

/// The system's clock.
#[derive(Clone, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}
