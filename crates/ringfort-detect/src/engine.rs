// SPDX-License-Identifier: MIT OR Apache-2.0
//! The engine: every keyword of every rule in one automaton, and what is asked where one is seen.
//!
//! In: the embedded rules and the detectors. Out: keyword hits in text, and the judgement of one of them.
//!
//! **Invariant:** built once, at the first text; a rule's pattern compiles when its keyword is first seen. If the
//! embedded rules cannot be read, [`Engine::broken`] is set and everything counts as a secret.

use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind, StartKind};
use ringfort_core::decision::Risk;
use ringfort_core::finding::Confidence;

use crate::detectors::{Candidate, DETECTORS, Detector, LOOK_BACK_BYTES_MAX, Match, Sight};
use crate::grow::Tail;
use crate::keyword::{self, SHORT_TEXT_BYTES};
use crate::rules::{Before, Case, Pattern, RULES, Rule};
use crate::shape;

/// What a pattern sees from its keyword on. Longer values grow. Bytes.
const PATTERN_REACH_BYTES: usize = 2048;

/// From this length on a text is worth the fast automaton. Bytes.
const LONG_TEXT_BYTES: usize = 4096;

static SHARED: OnceLock<Engine> = OnceLock::new();

/// All rules, ready to be asked.
#[derive(Debug)]
pub(crate) struct Engine {
    /// For short texts: cheap to build.
    automaton: Option<AhoCorasick>,
    /// For long texts: fast, and built when the first one comes. `None` inside if it cannot be built.
    fast: OnceLock<Option<AhoCorasick>>,
    /// For each keyword, the rules that own it.
    owners: Vec<Vec<u16>>,
    rules: Vec<Entry>,
    /// Longest keyword. Bytes.
    pub(crate) keyword_bytes_max: usize,
    /// Farthest before its keyword that a span may begin. Bytes.
    pub(crate) back_bytes_max: usize,
    keywords: Vec<Vec<u8>>,
}

/// One rule or detector.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) severity: Risk,
    pub(crate) reach: usize,
    pub(crate) sight: Sight,
    /// How far before the keyword a span may begin. Bytes.
    pub(crate) back: usize,
    ask: Ask,
}

#[derive(Debug)]
enum Ask {
    Detector(&'static Detector),
    Pattern { pattern: Pattern, keywords: Vec<Vec<u8>>, case: Case, before: Before, confidence: Confidence },
}

/// A keyword in the text, and a rule that owns it. Offsets are absolute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) rule: u16,
}

impl Engine {
    /// The engine of the embedded rules.
    pub(crate) fn shared() -> &'static Self {
        SHARED.get_or_init(|| Self::new(DETECTORS, RULES))
    }

    /// Whether nothing can be found in `text`, which is told without building the engine: only for a short text, and
    /// only while there is no engine yet.
    pub(crate) fn is_needless(text: &[u8]) -> bool {
        text.len() <= SHORT_TEXT_BYTES && SHARED.get().is_none() && !keyword::occurs(text)
    }

    /// Every keyword.
    #[cfg(test)]
    pub(crate) fn keywords(&self) -> &[Vec<u8>] {
        &self.keywords
    }

    /// Builds an engine of `detectors` and of `rules`, a JSON list.
    pub(crate) fn new(detectors: &'static [Detector], rules: &str) -> Self {
        let mut builder = Builder::default();
        for detector in detectors {
            builder.detector(detector);
        }
        let read = builder.rules(rules);
        builder.finish(read)
    }

    /// Whether the rules could not be read. Everything is a secret then.
    pub(crate) fn broken(&self) -> bool {
        self.automaton.is_none()
    }

    pub(crate) fn rule(&self, rule: u16) -> Option<&Entry> {
        self.rules.get(usize::from(rule))
    }

    pub(crate) fn rules(&self) -> usize {
        self.rules.len()
    }

    /// Calls `each` with every hit in `text`, ordered by the end of its keyword. Offsets are those of `text`.
    pub(crate) fn hits(&self, text: &[u8], mut each: impl FnMut(Hit)) {
        let Some(small) = &self.automaton else { return };
        let fast = (text.len() >= LONG_TEXT_BYTES)
            .then(|| self.fast.get_or_init(|| automaton(&self.keywords, AhoCorasickKind::DFA)).as_ref());
        let automaton = fast.flatten().unwrap_or(small);
        for found in automaton.find_overlapping_iter(Input::new(text)) {
            for rule in self.owners.get(found.pattern().as_usize()).into_iter().flatten() {
                let hit = Hit { start: found.start(), end: found.end(), rule: *rule };
                if self.is_likely(text, hit) {
                    each(hit);
                }
            }
        }
    }

    /// Sorts out most hits by the bytes of the keyword and the one before it, which `text` has if there is one.
    fn is_likely(&self, text: &[u8], hit: Hit) -> bool {
        match self.rule(hit.rule).map(|entry| (&entry.ask, entry.back)) {
            Some((Ask::Pattern { keywords, case, before, .. }, back)) => {
                let keyword = text.get(hit.start..hit.end).unwrap_or_default();
                (*case == Case::Ignore || keywords.iter().any(|known| known == keyword))
                    && (back > 0 || *before == Before::Any || is_boundary(text, hit.start))
            }
            Some((Ask::Detector(_), _)) => true,
            None => false,
        }
    }

    /// Reports the secrets at a hit in `text`, which starts at the look-back and ends where the rule's sight does.
    pub(crate) fn judge(&self, rule: u16, candidate: &Candidate<'_>, found: &mut Vec<Match>) {
        let Some(entry) = self.rule(rule) else { return };
        match &entry.ask {
            Ask::Detector(detector) => (detector.judge)(candidate, found),
            Ask::Pattern { pattern, before, confidence, .. } => {
                let first = candidate.start.saturating_sub(entry.back);
                let line = candidate.slice(first..candidate.start);
                let first = memchr::memrchr(b'\n', line).map_or(first, |at| first + at + 1);
                let Some(span) = pattern.find(candidate.text, first..candidate.start) else { return };
                let boundary = is_boundary(candidate.text, span.start.min(candidate.start));
                let shown = shape::is_mask(candidate.slice(span.clone()));
                if span.start < span.end
                    && !shown
                    && (*before == Before::Any || span.start > candidate.start || boundary)
                {
                    found.push(Match { span, confidence: *confidence, tail: Tail::While(is_token) });
                }
            }
        }
    }

    /// Where a secret would begin if the text behind a hit, which is not all there yet, made it one.
    pub(crate) fn pending(&self, rule: u16, candidate: &Candidate<'_>) -> Option<usize> {
        let entry = self.rule(rule)?;
        match &entry.ask {
            Ask::Detector(detector) => (detector.pending)(candidate),
            Ask::Pattern { .. } => Some(candidate.start.saturating_sub(entry.back)),
        }
    }

    /// How many bytes at the end of `text` may be the start of a keyword.
    pub(crate) fn started_keyword(&self, text: &[u8]) -> usize {
        let longest = text.len().min(self.keyword_bytes_max.saturating_sub(1));
        let begins = |length: &usize| {
            let tail = text.get(text.len() - length..).unwrap_or_default();
            self.keywords
                .iter()
                .any(|keyword| keyword.get(..*length).is_some_and(|head| head.eq_ignore_ascii_case(tail)))
        };
        (1..=longest).rev().find(begins).unwrap_or(0)
    }
}

/// Most bytes before a place that say whether a word begins there.
pub(crate) const BEFORE_BYTES_MAX: usize = 16;

/// Whether a word begins at `at`: behind anything but a word, or behind a letter that ends something else: a colour of
/// a terminal, an escaped line end or tabulator, or a byte that is written `%3D`.
fn is_boundary(text: &[u8], at: usize) -> bool {
    let head = text.get(at.saturating_sub(BEFORE_BYTES_MAX)..at).unwrap_or_default();
    match head {
        [] => true,
        [.., last] if !is_word(*last) => true,
        [.., b'\\', b'n' | b'r' | b't'] => true,
        [.., b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => true,
        [colour @ .., b'm' | b'K'] => {
            let digits = colour.iter().rev().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
            let start = colour.get(..colour.len() - digits).unwrap_or_default();
            [&b"\x1b["[..], b"1b[", b"1B[", b"033[", b"\\e["].iter().any(|escape| start.ends_with(escape))
        }
        _ => false,
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether a byte can be part of a token that is longer than a pattern's sight.
fn is_token(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'-' | b'.' | b'+' | b'/' | b'=' | b'~' | b'%')
}

fn automaton(keywords: &[Vec<u8>], kind: AhoCorasickKind) -> Option<AhoCorasick> {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .start_kind(StartKind::Unanchored)
        .kind(Some(kind))
        .build(keywords)
        .ok()
}

#[derive(Default)]
struct Builder {
    keywords: Vec<Vec<u8>>,
    owners: Vec<Vec<u16>>,
    rules: Vec<Entry>,
}

impl Builder {
    fn own(&mut self, keyword: &[u8], rule: u16) {
        let keyword = keyword.to_ascii_lowercase();
        if let Some(at) = self.keywords.iter().position(|known| *known == keyword) {
            self.owners.get_mut(at).map(|owners| owners.push(rule)).unwrap_or_default();
        } else {
            self.keywords.push(keyword);
            self.owners.push(vec![rule]);
        }
    }

    fn next_rule(&self) -> u16 {
        u16::try_from(self.rules.len()).unwrap_or(u16::MAX)
    }

    fn detector(&mut self, detector: &'static Detector) {
        let rule = self.next_rule();
        for keyword in detector.keywords {
            self.own(keyword.as_bytes(), rule);
        }
        self.rules.push(Entry {
            id: detector.id.to_owned(),
            severity: detector.severity,
            reach: detector.reach,
            sight: detector.sight,
            back: 0,
            ask: Ask::Detector(detector),
        });
    }

    /// Adds rules; `false` if they cannot be read.
    fn rules(&mut self, text: &str) -> bool {
        let Ok(rules) = serde_json::from_str::<Vec<Rule>>(text) else { return false };
        for rule in rules {
            let number = self.next_rule();
            for keyword in &rule.keywords {
                self.own(keyword.as_bytes(), number);
            }
            self.rules.push(Entry {
                id: rule.id,
                severity: rule.severity,
                reach: PATTERN_REACH_BYTES,
                sight: Sight::Line,
                back: rule.back.min(LOOK_BACK_BYTES_MAX),
                ask: Ask::Pattern {
                    pattern: Pattern::new(rule.pattern, rule.case),
                    keywords: rule.keywords.into_iter().map(String::into_bytes).collect(),
                    case: rule.case,
                    before: rule.before,
                    confidence: rule.confidence,
                },
            });
        }
        true
    }

    fn finish(self, read: bool) -> Engine {
        let automaton = automaton(&self.keywords, AhoCorasickKind::NoncontiguousNFA)
            .filter(|_| read && self.rules.len() < usize::from(u16::MAX));
        Engine {
            automaton,
            fast: OnceLock::new(),
            keyword_bytes_max: self.keywords.iter().map(Vec::len).max().unwrap_or(0),
            back_bytes_max: self.rules.iter().map(|entry| entry.back).max().unwrap_or(0),
            owners: self.owners,
            rules: self.rules,
            keywords: self.keywords,
        }
    }
}
