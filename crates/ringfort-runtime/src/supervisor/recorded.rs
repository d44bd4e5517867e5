// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much the attempts of what is inside may put on record: a patient flood cannot fill the disk.
//!
//! In: what each attempt would add. Out: whether it still fits.
//!
//! **Invariant:** within [`RECORD_WINDOW`] at most [`RECORD_BYTES_MAX`] are let through, and the memory for counting them
//! is bounded.

use std::collections::VecDeque;
use std::time::Duration;

/// Most bytes of requests of one source within [`RECORD_WINDOW`], so that a patient flood cannot fill the disk either.
pub(crate) const RECORD_BYTES_MAX: u64 = 64 << 20;
/// The window of [`RECORD_BYTES_MAX`].
pub(crate) const RECORD_WINDOW: Duration = Duration::from_secs(3600);
/// What a request counts for besides its own words. Bytes.
const REQUEST_BYTES: u64 = 1 << 10;

/// Bytes by the time at which they came: bounded, as each entry counts for at least [`REQUEST_BYTES`].
#[derive(Default)]
pub(crate) struct Recorded {
    parts: VecDeque<(Duration, u64)>,
    bytes: u64,
}

impl Recorded {
    /// Counts `bytes` more, unless that would be too many within the window.
    pub(crate) fn take(&mut self, bytes: u64, now: Duration) -> bool {
        while let Some((at, bytes)) = self.parts.front().copied()
            && now.saturating_sub(at) > RECORD_WINDOW
        {
            self.parts.pop_front();
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        let cost = bytes.saturating_add(REQUEST_BYTES);
        if self.bytes.saturating_add(cost) > RECORD_BYTES_MAX {
            return false;
        }
        self.bytes += cost;
        self.parts.push_back((now, cost));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_more_than_the_record_keeps() {
        let mut recorded = Recorded::default();
        let large = 100 << 10;
        let taken = (0..100_000).take_while(|n| recorded.take(large, Duration::from_secs(n / 40))).count() as u64;
        assert_eq!(taken, RECORD_BYTES_MAX / (large + REQUEST_BYTES));
        assert!(recorded.bytes <= RECORD_BYTES_MAX);
        assert!(recorded.take(large, RECORD_WINDOW * 2), "after the window");
        assert_eq!(recorded.parts.len(), 1);
    }
}
