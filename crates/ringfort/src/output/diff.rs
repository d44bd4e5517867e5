// SPDX-License-Identifier: MIT OR Apache-2.0
//! The difference of two texts, as `diff -u` shows it.
//!
//! In: two byte strings. Out: hunks with three lines around each change; a note where one of them is no text.
//!
//! **Invariant:** time and memory are bounded: texts that differ too much are shown as one change from all to all.
//! Every line is escaped, so that no file can write to the terminal.

use std::io::{self, Write};

use ringfort_core::text::escape_bytes;

/// Lines around a change.
const CONTEXT: usize = 3;
/// Most lines that differ before texts count as wholly different.
const EDITS_MAX: usize = 1_000;
/// Most lines of one difference that are shown.
const LINES_SHOWN_MAX: usize = 400;
/// Most characters of a line.
const LINE_CHARS_MAX: usize = 400;

/// One line of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    /// In both: its place in the old and in the new text.
    Keep(usize, usize),
    /// Only in the old text.
    Remove(usize),
    /// Only in the new text.
    Insert(usize),
}

/// Writes the difference.
///
/// # Errors
///
/// The stream cannot be written.
pub(crate) fn unified(out: &mut dyn Write, old: &[u8], new: &[u8]) -> io::Result<()> {
    if old == new {
        return Ok(());
    }
    if !is_text(old) || !is_text(new) {
        return writeln!(out, "    (no text)");
    }
    let (old, new): (Vec<&[u8]>, Vec<&[u8]>) = (lines(old), lines(new));
    let edits = edits(&old, &new);
    let mut shown = 0;
    for (start, end) in hunks(&edits) {
        let hunk = edits.get(start..end).unwrap_or_default();
        header(out, hunk)?;
        for edit in hunk {
            if shown >= LINES_SHOWN_MAX {
                return writeln!(out, "    … ({} more lines)", edits.len().saturating_sub(start));
            }
            shown += 1;
            let (mark, colour, line) = match edit {
                Edit::Keep(_, at) => (' ', "0", new.get(*at)),
                Edit::Remove(at) => ('-', "31", old.get(*at)),
                Edit::Insert(at) => ('+', "32", new.get(*at)),
            };
            writeln!(out, "    \u{1b}[{colour}m{mark}{}\u{1b}[0m", shown_line(line.copied().unwrap_or_default()))?;
        }
    }
    Ok(())
}

fn is_text(bytes: &[u8]) -> bool {
    !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok()
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

fn shown_line(line: &[u8]) -> String {
    let (body, end) = match line.strip_suffix(b"\n") {
        Some(body) => (body, ""),
        None => (line, " (no newline at the end)"),
    };
    let text = String::from_utf8_lossy(body).replace('\t', "    ");
    let text: String = escape_bytes(text.as_bytes()).replace("\\\\", "\\").chars().take(LINE_CHARS_MAX).collect();
    format!("{text}{end}")
}

fn header(out: &mut dyn Write, hunk: &[Edit]) -> io::Result<()> {
    let old: Vec<usize> = hunk
        .iter()
        .filter_map(|edit| match edit {
            Edit::Keep(at, _) | Edit::Remove(at) => Some(*at),
            Edit::Insert(_) => None,
        })
        .collect();
    let new: Vec<usize> = hunk
        .iter()
        .filter_map(|edit| match edit {
            Edit::Keep(_, at) | Edit::Insert(at) => Some(*at),
            Edit::Remove(_) => None,
        })
        .collect();
    let range = |places: &[usize]| {
        let first = places.first().map_or(0, |first| first + 1);
        format!("{first},{}", places.len())
    };
    writeln!(out, "    \u{1b}[36m@@ -{} +{} @@\u{1b}[0m", range(&old), range(&new))
}

/// Runs of changes with the lines around them: from, to.
fn hunks(edits: &[Edit]) -> Vec<(usize, usize)> {
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    for (at, edit) in edits.iter().enumerate() {
        if matches!(edit, Edit::Keep(..)) {
            continue;
        }
        let (start, end) = (at.saturating_sub(CONTEXT), (at + 1 + CONTEXT).min(edits.len()));
        match hunks.last_mut() {
            Some(last) if start <= last.1 => last.1 = end,
            _ => hunks.push((start, end)),
        }
    }
    hunks
}

/// The shortest way from `old` to `new` (Myers), or all out and all in where that is too far.
fn edits(old: &[&[u8]], new: &[&[u8]]) -> Vec<Edit> {
    let same = |a: usize, b: usize| old.get(a).is_some_and(|line| new.get(b) == Some(line));
    let head = (0..old.len().min(new.len())).take_while(|at| same(*at, *at)).count();
    let tail_max = old.len().min(new.len()) - head;
    let tail = (1..=tail_max).take_while(|back| same(old.len() - back, new.len() - back)).count();
    let (rows, columns) = (old.len() - head - tail, new.len() - head - tail);
    let mut all: Vec<Edit> = (0..head).map(|at| Edit::Keep(at, at)).collect();
    match trace(rows, columns, |a, b| same(head + a, head + b)) {
        Some(trace) => all.extend(walk_back(&trace, rows, columns).into_iter().map(|edit| match edit {
            Edit::Keep(a, b) => Edit::Keep(head + a, head + b),
            Edit::Remove(a) => Edit::Remove(head + a),
            Edit::Insert(b) => Edit::Insert(head + b),
        })),
        None => {
            all.extend((head..head + rows).map(Edit::Remove));
            all.extend((head..head + columns).map(Edit::Insert));
        }
    }
    all.extend((0..tail).rev().map(|back| Edit::Keep(old.len() - 1 - back, new.len() - 1 - back)));
    all
}

/// The furthest row on each diagonal after each number of edits; `None` beyond [`EDITS_MAX`].
type Trace = Vec<Vec<usize>>;

/// The place of the diagonal `k` in a row of the trace for `d` edits.
fn place(d: usize, k: isize) -> usize {
    usize::try_from(k + isize::try_from(d).unwrap_or(0)).unwrap_or(0)
}

fn furthest(trace: &Trace, d: usize, k: isize) -> Option<usize> {
    let bound = isize::try_from(d).ok()?;
    if k < -bound || k > bound { None } else { trace.get(d)?.get(place(d, k)).copied() }
}

/// Where `d` edits lead on the diagonal `k` before anything equal is followed, and whether the last one inserts.
fn step(trace: &Trace, d: usize, k: isize) -> (usize, bool) {
    let Some(before) = d.checked_sub(1) else { return (0, false) };
    let (down, right) = (furthest(trace, before, k + 1), furthest(trace, before, k - 1));
    match (down, right) {
        (Some(down), Some(right)) if down > right => (down, true),
        (Some(down), None) => (down, true),
        (_, Some(right)) => (right + 1, false),
        (None, None) => (0, false),
    }
}

fn trace(rows: usize, columns: usize, same: impl Fn(usize, usize) -> bool) -> Option<Trace> {
    let mut trace: Trace = Vec::new();
    let goal = isize::try_from(rows).ok()? - isize::try_from(columns).ok()?;
    for d in 0..=EDITS_MAX.min(rows + columns) {
        let bound = isize::try_from(d).ok()?;
        let mut row = vec![0; 2 * d + 1];
        for k in (-bound..=bound).step_by(2) {
            let (mut x, _) = step(&trace, d, k);
            let column = |x: usize| usize::try_from(isize::try_from(x).unwrap_or(0) - k).ok();
            while x < rows && column(x).is_some_and(|y| y < columns && same(x, y)) {
                x += 1;
            }
            if let Some(cell) = row.get_mut(place(d, k)) {
                *cell = x;
            }
        }
        trace.push(row);
        if goal.abs() <= bound && (goal - bound) % 2 == 0 && furthest(&trace, d, goal) >= Some(rows) {
            return Some(trace);
        }
    }
    None
}

fn walk_back(trace: &Trace, rows: usize, columns: usize) -> Vec<Edit> {
    let signed = |value: usize| isize::try_from(value).unwrap_or(0);
    let unsigned = |value: isize| usize::try_from(value).unwrap_or(0);
    let mut edits = Vec::new();
    let (mut x, mut y) = (rows, columns);
    for d in (0..trace.len()).rev() {
        let k = signed(x) - signed(y);
        let (start, inserts) = step(trace, d, k);
        while x > start {
            x -= 1;
            y = y.saturating_sub(1);
            edits.push(Edit::Keep(x, y));
        }
        if d == 0 {
            break;
        }
        y = unsigned(signed(x) - k);
        if inserts {
            y = y.saturating_sub(1);
            edits.push(Edit::Insert(y));
        } else {
            x = x.saturating_sub(1);
            edits.push(Edit::Remove(x));
        }
    }
    edits.reverse();
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two texts that a difference says there are.
    fn replay<'a>(edits: &[Edit], old: &[&'a [u8]], new: &[&'a [u8]]) -> (Vec<&'a [u8]>, Vec<&'a [u8]>) {
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for edit in edits {
            match edit {
                Edit::Keep(a, b) => {
                    assert_eq!(old[*a], new[*b]);
                    left.push(old[*a]);
                    right.push(new[*b]);
                }
                Edit::Remove(a) => left.push(old[*a]),
                Edit::Insert(b) => right.push(new[*b]),
            }
        }
        (left, right)
    }

    #[test]
    fn a_difference_says_both_texts_and_is_short() {
        for (old, new, changed) in [
            ("", "a\n", 1),
            ("a\n", "", 1),
            ("a\nb\nc\n", "a\nc\n", 1),
            ("a\nb\nc\n", "a\nx\nc\n", 2),
            ("a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n", 5),
            ("a\nb\nc\nd\ne\n", "e\na\nb\nc\nd\n", 2),
            ("x\n", "x", 2),
        ] {
            let (old, new) = (lines(old.as_bytes()), lines(new.as_bytes()));
            let edits = edits(&old, &new);
            assert_eq!(replay(&edits, &old, &new), (old.clone(), new.clone()));
            let count = edits.iter().filter(|edit| !matches!(edit, Edit::Keep(..))).count();
            assert_eq!(count, changed, "{old:?} {new:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_difference_says_both_texts(old in "[ab\n]{0,60}", new in "[ab\n]{0,60}") {
            let (old, new) = (lines(old.as_bytes()), lines(new.as_bytes()));
            let (left, right) = replay(&edits(&old, &new), &old, &new);
            proptest::prop_assert_eq!((left, right), (old, new));
        }
    }

    #[test]
    fn wholly_different_texts_take_no_time() {
        let many = |letter: &str| (0..20_000).map(|n| format!("{letter}{n}\n")).collect::<String>();
        let (old, new) = (many("a"), many("b"));
        let (old, new) = (lines(old.as_bytes()), lines(new.as_bytes()));
        assert_eq!(edits(&old, &new).len(), 40_000);
    }

    #[test]
    fn deny_text_that_writes_to_the_terminal() {
        let mut out = Vec::new();
        unified(&mut out, b"a\n", b"\x1b]52;c;x\x07\n").unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains("\u{1b}]"), "{text:?}");
        let mut out = Vec::new();
        unified(&mut out, b"a\n", b"\0\n").unwrap();
        assert_eq!(out, b"    (no text)\n");
    }
}
