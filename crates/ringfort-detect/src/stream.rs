// SPDX-License-Identifier: MIT OR Apache-2.0
//! The stream: hits are judged in order, spans merge, and bytes are let go as soon as no later byte can matter.
//!
//! In: a view of the input that grows at its end and may lose what is no longer needed at its start. Out: pieces, clean
//! text or the start of a secret, in order.
//!
//! **Invariant:** which spans are found depends on the input alone, not on how it was cut: every hit is judged once, in
//! order, on a window whose bounds are a function of the input. Only [`Until::Idle`], which lets go of more, may differ.

use std::collections::VecDeque;
use std::ops::Range;

use ringfort_core::effect::Span;
use ringfort_core::finding::{Confidence, Finding, FindingKind};

use crate::detectors::{Candidate, LOOK_BACK_BYTES_MAX, Match, Sight};
use crate::engine::{BEFORE_BYTES_MAX, Engine, Hit};
use crate::grow::Tail;

/// Characters of a value that stay readable.
const PREFIX_CHARACTERS: usize = 4;
/// Shortest value of which any stay readable. Bytes.
const PREFIXED_BYTES_MIN: usize = 8;
/// Most input that is searched at once. Bytes.
pub(crate) const BLOCK_BYTES: usize = 64 << 10;

/// What may follow the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// More, soon.
    More,
    /// More, but not soon: what cannot become a secret is let go.
    Idle,
    /// Nothing.
    End,
}

/// Part of the input, with absolute offsets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    /// Offset of the first byte.
    pub(crate) base: usize,
    pub(crate) bytes: &'a [u8],
}

impl<'a> View<'a> {
    fn end(&self) -> usize {
        self.base + self.bytes.len()
    }

    fn slice(&self, range: Range<usize>) -> &'a [u8] {
        self.bytes.get(range.start.saturating_sub(self.base)..range.end.saturating_sub(self.base)).unwrap_or_default()
    }
}

/// What comes out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece<'a> {
    /// Bytes as they were.
    Clean(&'a [u8]),
    /// A secret begins, and this much of it may be shown; the rest of it does not come out.
    Secret(&'a [u8]),
    /// A finding is complete.
    Found(&'a Finding),
}

/// The state between two views.
#[derive(Debug)]
pub(crate) struct Stream<'e> {
    engine: &'e Engine,
    /// Searched for keywords up to here.
    seen: usize,
    /// Let go up to here.
    done: usize,
    /// Start of the last line seen.
    line: usize,
    hits: VecDeque<Hit>,
    /// Spans that are not let go yet, or still grow.
    spans: Vec<Mark>,
    /// The span that is being let go.
    current: Option<Mark>,
    /// The last span of each rule: what begins inside it is not asked again.
    last: Vec<Range<usize>>,
    matches: Vec<Match>,
}

#[derive(Clone, Debug)]
struct Mark {
    span: Range<usize>,
    rule: u16,
    confidence: Confidence,
    growing: Option<Tail>,
}

impl<'e> Stream<'e> {
    pub(crate) fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            seen: 0,
            done: 0,
            line: 0,
            hits: VecDeque::new(),
            spans: Vec::new(),
            current: None,
            last: vec![0..0; engine.rules()],
            matches: Vec::new(),
        }
    }

    /// Let go up to here.
    pub(crate) const fn done(&self) -> usize {
        self.done
    }

    /// The offset from which on bytes must stay in the view.
    pub(crate) fn needed(&self) -> usize {
        let first = self.hits.iter().map(|hit| hit.start).min().unwrap_or(self.seen);
        let keyword = self.seen.saturating_sub(self.engine.keyword_bytes_max);
        self.done.min(first.min(keyword).saturating_sub(LOOK_BACK_BYTES_MAX + 1))
    }

    /// Takes what the view has behind the last one.
    pub(crate) fn advance(&mut self, view: View<'_>, until: Until, out: &mut impl FnMut(Piece<'_>)) {
        if self.engine.broken() {
            return self.refuse(view, out);
        }
        self.search(view);
        for at in 0..self.spans.len() {
            self.grow(at, view, until);
        }
        while let Some(hit) = self.hits.front().copied() {
            if !self.judge(hit, view, until) {
                break;
            }
            self.hits.pop_front();
        }
        let frontier = match until {
            Until::End => view.end(),
            Until::More => self.frontier(view),
            Until::Idle => self.idle_frontier(view),
        };
        self.let_go(view, frontier, out);
    }

    /// Without rules, all is secret.
    fn refuse(&mut self, view: View<'_>, out: &mut impl FnMut(Piece<'_>)) {
        if self.done == 0 && view.end() > 0 {
            out(Piece::Secret(&[]));
        }
        self.done = view.end();
        self.seen = view.end();
    }

    /// Finds the keywords that end in what is new.
    fn search(&mut self, view: View<'_>) {
        // More than the longest keyword, so that what stands before it is seen.
        let from = self.seen.saturating_sub(self.engine.keyword_bytes_max + BEFORE_BYTES_MAX).max(view.base);
        let fresh = view.slice(from..view.end());
        let (seen, hits) = (self.seen, &mut self.hits);
        self.engine.hits(fresh, |hit| {
            if from + hit.end > seen {
                hits.push_back(Hit { start: from + hit.start, end: from + hit.end, rule: hit.rule });
            }
        });
        if let Some(at) = memchr::memrchr(b'\n', view.slice(self.seen..view.end())) {
            self.line = self.seen + at + 1;
        }
        self.seen = view.end();
    }

    /// Lets a span that had no end go on.
    fn grow(&mut self, at: usize, view: View<'_>, until: Until) {
        let Some(mark) = self.spans.get_mut(at) else { return };
        let Some(tail) = &mut mark.growing else { return };
        let growth = tail.take(view.slice(mark.span.end..view.end()), until == Until::End);
        mark.span.end += growth.bytes;
        if growth.ended {
            mark.growing = None;
        }
        if let Some(last) = self.last.get_mut(usize::from(mark.rule)) {
            last.end = last.end.max(mark.span.end);
        }
    }

    /// Judges a hit; `false` if what its rule wants to see is not all there.
    fn judge(&mut self, hit: Hit, view: View<'_>, until: Until) -> bool {
        let Some(entry) = self.engine.rule(hit.rule) else { return true };
        if self.last.get(usize::from(hit.rule)).is_some_and(|last| last.contains(&hit.start)) {
            return true;
        }
        let limit = hit.start + entry.reach.max(hit.end - hit.start);
        let ahead = view.slice(hit.end..limit.min(view.end()));
        let line_end = match entry.sight {
            Sight::Line => memchr::memchr(b'\n', ahead).map(|at| hit.end + at),
            Sight::Lines => None,
        };
        let (end, cut) = match line_end {
            Some(end) => (end, false),
            None if view.end() >= limit => (limit, true),
            None => (view.end(), false),
        };
        let known = line_end.is_some() || cut || until == Until::End;
        if !known && until == Until::More {
            return false;
        }
        let from = hit.start.saturating_sub(LOOK_BACK_BYTES_MAX).max(view.base);
        let candidate = Candidate { text: view.slice(from..end), start: hit.start - from, end: hit.end - from };
        let mut matches = std::mem::take(&mut self.matches);
        self.engine.judge(hit.rule, &candidate, &mut matches);
        // On a pause, only what has ended before the view does is certain.
        let certain = known || (!matches.is_empty() && matches.iter().all(|found| from + found.span.end < end));
        if certain {
            for found in matches.drain(..) {
                let open = found.span.end == candidate.text.len() && entry.sight == Sight::Lines
                    || cut && found.span.end == candidate.text.len();
                self.mark(hit.rule, from, found, open, view, until);
            }
        }
        matches.clear();
        self.matches = matches;
        certain
    }

    fn mark(&mut self, rule: u16, from: usize, found: Match, open: bool, view: View<'_>, until: Until) {
        let mut span = from + found.span.start..from + found.span.end;
        let growing = if let Tail::Block(_) = found.tail {
            // A block is followed from its first byte, wherever its window ended.
            span.end = span.start;
            Some(found.tail)
        } else {
            open.then_some(found.tail)
        };
        if let Some(last) = self.last.get_mut(usize::from(rule)) {
            *last = span.clone();
        }
        self.spans.push(Mark { span, rule, confidence: found.confidence, growing });
        self.grow(self.spans.len() - 1, view, until);
    }

    /// Up to where no later byte can matter.
    fn frontier(&self, view: View<'_>) -> usize {
        let back = self.engine.keyword_bytes_max + self.engine.back_bytes_max;
        let free = view.end().saturating_sub(back).max(self.line);
        let asked = self.hits.iter().map(|hit| {
            hit.start.saturating_sub(self.engine.rule(hit.rule).map_or(LOOK_BACK_BYTES_MAX, |entry| entry.back))
        });
        self.bounded(asked.min().map_or(free, |first| free.min(first)))
    }

    /// A span that still grows holds back what it has not taken yet.
    fn bounded(&self, frontier: usize) -> usize {
        let growing = self.spans.iter().filter(|mark| mark.growing.is_some()).map(|mark| mark.span.end);
        growing.min().map_or(frontier, |end| frontier.min(end)).max(self.done)
    }

    /// As [`Stream::frontier`], but holds back only what already looks like the start of a secret.
    fn idle_frontier(&self, view: View<'_>) -> usize {
        let tail = view.slice(view.end().saturating_sub(self.engine.keyword_bytes_max).max(view.base)..view.end());
        let mut frontier = view.end() - self.engine.started_keyword(tail);
        for hit in &self.hits {
            let from = hit.start.saturating_sub(LOOK_BACK_BYTES_MAX).max(view.base);
            let candidate =
                Candidate { text: view.slice(from..view.end()), start: hit.start - from, end: hit.end - from };
            if let Some(start) = self.engine.pending(hit.rule, &candidate) {
                frontier = frontier.min(from + start);
            }
        }
        self.bounded(frontier)
    }

    /// Hands out everything before `frontier`.
    fn let_go(&mut self, view: View<'_>, frontier: usize, out: &mut impl FnMut(Piece<'_>)) {
        self.spans.sort_by_key(|mark| mark.span.start);
        let mut at = self.current.as_ref().map_or(self.done, |current| self.done.max(current.span.end));
        let mut kept = Vec::new();
        for mut mark in std::mem::take(&mut self.spans) {
            if mark.span.start >= frontier {
                kept.push(mark);
                continue;
            }
            match &mut self.current {
                Some(current) if mark.span.start < current.span.end => {
                    current.span.end = current.span.end.max(mark.span.end);
                    if mark.confidence > current.confidence {
                        (current.confidence, current.rule) = (mark.confidence, mark.rule);
                    }
                }
                _ => {
                    self.close(out);
                    // What a pause has let go is gone.
                    mark.span.start = mark.span.start.max(at);
                    if mark.span.start < mark.span.end {
                        self.open(view, at, &mark, out);
                    }
                }
            }
            at = at.max(self.current.as_ref().map_or(at, |current| current.span.end));
            if mark.growing.is_some() {
                kept.push(mark);
            }
        }
        let grows = kept.iter().any(|mark| mark.span.start < frontier);
        self.spans = kept;
        if at < frontier {
            self.close(out);
            out(Piece::Clean(view.slice(at..frontier)));
        } else if !grows && self.current.as_ref().is_some_and(|current| current.span.end <= frontier) {
            self.close(out);
        }
        self.done = self.done.max(frontier);
    }

    fn open(&mut self, view: View<'_>, at: usize, mark: &Mark, out: &mut impl FnMut(Piece<'_>)) {
        if at < mark.span.start {
            out(Piece::Clean(view.slice(at..mark.span.start)));
        }
        out(Piece::Secret(prefix(view.slice(mark.span.clone()))));
        self.current = Some(Mark { growing: None, ..mark.clone() });
    }

    fn close(&mut self, out: &mut impl FnMut(Piece<'_>)) {
        let Some(mark) = self.current.take() else { return };
        if let Some(entry) = self.engine.rule(mark.rule) {
            out(Piece::Found(&Finding {
                span: Span::new(mark.span.start, mark.span.end),
                rule: entry.id.clone(),
                kind: FindingKind::Secret,
                severity: entry.severity,
                confidence: mark.confidence,
            }));
        }
    }
}

/// The first characters of a value, or nothing of a short one.
fn prefix(value: &[u8]) -> &[u8] {
    if value.len() < PREFIXED_BYTES_MIN {
        return &[];
    }
    let mut end = 0;
    for _ in 0..PREFIX_CHARACTERS {
        end += 1;
        // The rest of a character of several bytes, of which there are at most three.
        let rest = value.get(end..).unwrap_or_default();
        end += rest.iter().take(3).take_while(|byte| (0x80..0xc0).contains(*byte)).count();
    }
    value.get(..end.min(value.len())).unwrap_or_default()
}
