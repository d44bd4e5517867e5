// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts of right and wrong answers, and the figures that follow from them.
//!
//! In: what was expected and what was answered, row by row. Out: precision, recall, false positives.
//!
//! **Invariant:** a figure without rows is shown as `n/a`, never as a perfect score.

use std::fmt;

/// How the answers to one question turned out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Bad, and caught.
    pub true_positives: u64,
    /// Good, and caught.
    pub false_positives: u64,
    /// Good, and let through.
    pub true_negatives: u64,
    /// Bad, and let through.
    pub false_negatives: u64,
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It should be caught.
    Bad,
    /// It should be let through.
    Good,
}

/// What was done with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was caught.
    Caught,
    /// It was let through.
    Passed,
}

impl Rates {
    /// Counts one row.
    pub fn add(&mut self, truth: Truth, answer: Answer) {
        match (truth, answer) {
            (Truth::Bad, Answer::Caught) => self.true_positives += 1,
            (Truth::Good, Answer::Caught) => self.false_positives += 1,
            (Truth::Good, Answer::Passed) => self.true_negatives += 1,
            (Truth::Bad, Answer::Passed) => self.false_negatives += 1,
        }
    }

    /// Of what was caught, the part that is bad.
    pub fn precision(&self) -> Option<f64> {
        part(self.true_positives, self.false_positives)
    }

    /// Of what is bad, the part that was caught.
    pub fn recall(&self) -> Option<f64> {
        part(self.true_positives, self.false_negatives)
    }

    /// Of what is good, the part that was caught.
    pub fn false_positive_rate(&self) -> Option<f64> {
        part(self.false_positives, self.true_negatives)
    }
}

/// `hits` of `hits + misses`; `None` where there is neither.
#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^53")]
fn part(hits: u64, misses: u64) -> Option<f64> {
    let all = hits.saturating_add(misses);
    (all > 0).then(|| hits as f64 / all as f64)
}

/// A part as a percentage, or `n/a`.
pub fn percent(part: Option<f64>) -> String {
    part.map_or_else(|| "n/a".to_owned(), |part| format!("{:.1} %", part * 100.0))
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "precision {}, recall {} ({} of {}), false positives {} ({} of {})",
            percent(self.precision()),
            percent(self.recall()),
            self.true_positives,
            self.true_positives + self.false_negatives,
            percent(self.false_positive_rate()),
            self.false_positives,
            self.false_positives + self.true_negatives,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_follow_from_the_counts() {
        let mut rates = Rates::default();
        assert_eq!((rates.precision(), rates.recall(), rates.false_positive_rate()), (None, None, None));
        for (truth, answer, times) in [
            (Truth::Bad, Answer::Caught, 3),
            (Truth::Bad, Answer::Passed, 1),
            (Truth::Good, Answer::Caught, 1),
            (Truth::Good, Answer::Passed, 9),
        ] {
            (0..times).for_each(|_| rates.add(truth, answer));
        }
        assert_eq!(rates.to_string(), "precision 75.0 %, recall 75.0 % (3 of 4), false positives 10.0 % (1 of 10)");
        assert_eq!(percent(None), "n/a");
    }
}
