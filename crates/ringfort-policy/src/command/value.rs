// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words become arguments: expansion as far as it is certain.
//!
//! In: a [`Word`] and the variables whose value is certain. Out: [`Argument`]s, exact or with holes.
//!
//! **Invariant:** a value is exact only if every shell in every state would give the same bytes, with the one
//! exception that bash's brace expansion is applied. Nothing is run and no file is looked at.

use std::rc::Rc;

use ringfort_core::effect::Span;

use super::analysis::{Argument, Arity, HOLE, Source, is_glob};
use super::bytes::Bytes;
use super::syntax::{Body, Parameter, Piece, Word};

/// Most words that one brace expansion may give.
const BRACE_WORDS_MAX: usize = 64;
/// Most opening braces in a word that is brace-expanded.
const BRACES_MAX: usize = 32;
/// Longest word that is brace-expanded, in bytes.
const BRACE_BYTES_MAX: usize = 1024;
/// Most variables that are followed; the others are not known.
const VARIABLES_MAX: usize = 128;
/// Longest value that is kept for a variable or word, in bytes.
const VALUE_BYTES_MAX: usize = 64 << 10;

/// A name and its value, if that is certain.
type Variable = (Bytes, Option<Bytes>);

/// Variables whose value is certain at this point.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    /// Shared with the copies that branches and subshells start from.
    known: Rc<Vec<Variable>>,
    wild: bool,
}

impl Variables {
    /// The exact value, if it is certain.
    pub(super) fn value(&self, name: &[u8]) -> Option<&[u8]> {
        match self.known.iter().rev().find(|(known, _)| *known == name) {
            Some((_, value)) => value.as_deref(),
            None if name == b"IFS" && !self.wild => Some(b" \t\n"),
            None => None,
        }
    }

    pub(super) fn set(&mut self, name: &[u8], value: Option<Bytes>) {
        let value = value.filter(|v| v.len() <= VALUE_BYTES_MAX);
        let known = Rc::make_mut(&mut self.known);
        if let Some((_, slot)) = known.iter_mut().find(|(known, _)| *known == name) {
            *slot = value;
        } else if known.len() < VARIABLES_MAX || name == b"IFS" {
            // What is not listed is not known; only the separator has a value of its own then.
            known.push((Bytes::from(name), value));
        }
    }

    /// Forgets everything: code that is not known has run.
    pub(super) fn forget(&mut self) {
        self.known = Rc::default();
        self.wild = true;
    }

    /// Keeps what both branches agree on.
    pub(super) fn join(&mut self, other: &Self) {
        self.wild |= other.wild;
        if Rc::ptr_eq(&self.known, &other.known) {
            return;
        }
        let known = Rc::make_mut(&mut self.known);
        for (name, value) in known.iter_mut() {
            if other.known.iter().find(|(n, _)| n == name).map(|(_, v)| v) != Some(value) {
                *value = None;
            }
        }
        for (name, _) in other.known.iter() {
            if (known.len() < VARIABLES_MAX || *name == b"IFS") && !known.iter().any(|(known, _)| known == name) {
                known.push((name.clone(), None));
            }
        }
    }

    fn splits_by_default(&self) -> bool {
        self.value(b"IFS") == Some(b" \t\n")
    }
}

/// One byte of a word and whether it was quoted.
type Cell = (u8, bool);

#[derive(Default)]
struct Field {
    cells: Vec<Cell>,
    source: Option<Source>,
    spread: bool,
    exists: bool,
}

/// Expands `word` and appends the arguments.
pub(super) fn expand(word: &Word<'_>, variables: &Variables, span: Span, out: &mut Vec<Argument>) {
    match &word.body {
        Body::Plain(bytes) => {
            if !bytes.iter().any(|b| is_glob(*b) || *b == b'{') {
                out.push(Argument::exact(bytes, span));
                return;
            }
            let any = |wanted: u8| bytes.contains(&wanted);
            if !any(b'{') {
                let globbed = any(b'*') || any(b'?') || any(b'[') && any(b']');
                let (source, arity) = if globbed { (Some(Source::Glob), Arity::Any) } else { (None, Arity::One) };
                out.push(Argument { bytes: Bytes::from(*bytes), source, arity, span });
                return;
            }
            let cells = bytes.iter().map(|b| (*b, false)).collect();
            finish(Field { cells, exists: true, ..Field::default() }, span, out);
        }
        // What is quoted is neither split nor matched.
        Body::Pieces(pieces) if !pieces.is_empty() && pieces.iter().all(is_quoted) => {
            out.push(joined(pieces, variables, span));
        }
        Body::Pieces(pieces) => {
            let mut fields = Vec::new();
            let mut field = Field::default();
            add_pieces(pieces, variables, &mut field, &mut fields);
            if field.exists {
                fields.push(field);
            }
            for field in fields {
                finish(field, span, out);
            }
        }
    }
}

/// Expands to exactly one value, without splitting, as in an assignment.
pub(super) fn scalar(word: &Word<'_>, variables: &Variables, span: Span) -> Argument {
    match &word.body {
        Body::Plain(bytes) => Argument::exact(bytes, span),
        Body::Pieces(pieces) => joined(pieces, variables, span),
    }
}

/// Pieces joined without splitting.
pub(super) fn joined(pieces: &[Piece<'_>], variables: &Variables, span: Span) -> Argument {
    if let [Piece::Text { bytes, .. }] = pieces {
        return Argument::exact(bytes, span);
    }
    let mut bytes = Vec::new();
    let mut source = None;
    for piece in pieces {
        match piece {
            Piece::Text { bytes: text, .. } => bytes.extend_from_slice(text),
            other => match piece_value(other, variables) {
                Ok(value) => bytes.extend_from_slice(value),
                Err(why) => {
                    bytes.push(HOLE);
                    source = source.or(Some(why));
                }
            },
        }
    }
    Argument { bytes: bytes.into(), source, arity: Arity::One, span }
}

fn piece_value<'v>(piece: &'v Piece<'_>, variables: &'v Variables) -> Result<&'v [u8], Source> {
    match piece {
        Piece::Text { bytes, .. } => Ok(bytes),
        Piece::Parameter(parameter) => parameter_value(parameter, variables).ok_or(Source::Variable),
        Piece::Command { .. } | Piece::Backquote { .. } => Err(Source::Substitution),
        Piece::Arithmetic { .. } => Err(Source::Arithmetic),
        Piece::Process { .. } => Err(Source::Process),
    }
}

fn parameter_value<'v>(parameter: &Parameter<'_>, variables: &'v Variables) -> Option<&'v [u8]> {
    if parameter.sign != 0 || !parameter.index.is_empty() || parameter.operator != 0 {
        return None;
    }
    variables.value(parameter.name)
}

fn is_quoted(piece: &Piece<'_>) -> bool {
    match piece {
        Piece::Text { quoted, .. } | Piece::Command { quoted, .. } | Piece::Backquote { quoted, .. } => *quoted,
        Piece::Parameter(parameter) => parameter.quoted && !matches!(parameter.name, b"@"),
        Piece::Arithmetic { .. } | Piece::Process { .. } => true,
    }
}

fn add_pieces(pieces: &[Piece<'_>], variables: &Variables, field: &mut Field, fields: &mut Vec<Field>) {
    for piece in pieces {
        let quoted = is_quoted(piece);
        match piece_value(piece, variables) {
            Ok(bytes) if quoted || matches!(piece, Piece::Text { .. }) => {
                field.exists = true;
                field.cells.extend(bytes.iter().map(|b| (*b, quoted)));
            }
            Ok(bytes) if variables.splits_by_default() => {
                for byte in bytes {
                    if matches!(byte, b' ' | b'\t' | b'\n') {
                        if field.exists {
                            fields.push(std::mem::take(field));
                        }
                    } else {
                        field.exists = true;
                        // Braces are expanded before variables, so a value never opens one.
                        field.cells.push((*byte, matches!(byte, b'{')));
                    }
                }
            }
            Ok(_) => add_hole(field, Source::Variable, true),
            Err(source) => add_hole(field, source, !quoted),
        }
    }
}

fn add_hole(field: &mut Field, source: Source, spread: bool) {
    field.cells.push((HOLE, true));
    field.source = field.source.or(Some(source));
    field.spread |= spread;
    field.exists = true;
}

fn finish(field: Field, span: Span, out: &mut Vec<Argument>) {
    let braces = field.cells.iter().any(|(byte, quoted)| *byte == b'{' && !quoted);
    if !braces {
        out.push(argument(&field.cells, field.source, field.spread, span));
        return;
    }
    let opens = field.cells.iter().filter(|(byte, quoted)| *byte == b'{' && !quoted).count();
    let bounded = opens <= BRACES_MAX && field.cells.len() <= BRACE_BYTES_MAX;
    let mut words = Vec::new();
    if bounded && expand_braces(&field.cells, &mut Vec::new(), &mut words, 0) {
        out.extend(words.iter().map(|cells| argument(cells, field.source, field.spread, span)));
    } else {
        out.push(Argument { source: Some(Source::Brace), ..argument(&field.cells, field.source, true, span) });
    }
}

fn argument(cells: &[Cell], source: Option<Source>, spread: bool, span: Span) -> Argument {
    let bytes: Bytes = cells.iter().map(|(byte, _)| *byte).collect();
    let open = |byte: u8| cells.iter().any(|(b, quoted)| *b == byte && !quoted);
    let globbed = open(b'*') || open(b'?') || (open(b'[') && open(b']'));
    let source = source.or(globbed.then_some(Source::Glob));
    let arity = if spread || globbed { Arity::Any } else { Arity::One };
    Argument { bytes, source, arity, span }
}

/// Expands the first brace of `rest` after `head`; false when the result is too large or too deep.
fn expand_braces(rest: &[Cell], head: &mut Vec<Cell>, out: &mut Vec<Vec<Cell>>, depth: usize) -> bool {
    if out.len() >= BRACE_WORDS_MAX || depth > BRACE_WORDS_MAX {
        return false;
    }
    for (open, cell) in rest.iter().enumerate() {
        if *cell != (b'{', false) {
            continue;
        }
        let Some((close, choices)) = choices(rest, open) else { continue };
        let (Some(before), Some(after)) = (rest.get(..open), rest.get(close + 1..)) else { return false };
        for choice in choices {
            let mut next: Vec<Cell> = Vec::with_capacity(choice.len() + after.len());
            next.extend(choice);
            next.extend(after);
            let length = head.len();
            head.extend(before);
            let fits = expand_braces(&next, head, out, depth + 1);
            head.truncate(length);
            if !fits {
                return false;
            }
        }
        return true;
    }
    out.push(head.iter().chain(rest).copied().collect());
    true
}

/// The end of the brace that opens at `open`, and what it stands for.
fn choices(cells: &[Cell], open: usize) -> Option<(usize, Vec<Vec<Cell>>)> {
    let mut depth = 0_usize;
    let mut start = open + 1;
    let mut parts: Vec<Vec<Cell>> = Vec::new();
    for (at, cell) in cells.iter().enumerate().skip(open + 1) {
        match cell {
            (b'{', false) => depth += 1,
            (b'}', false) if depth > 0 => depth -= 1,
            (b'}', false) => {
                parts.push(cells.get(start..at)?.to_vec());
                if parts.len() > 1 {
                    return Some((at, parts));
                }
                return sequence(&parts.pop()?).map(|range| (at, range));
            }
            (b',', false) if depth == 0 => {
                parts.push(cells.get(start..at)?.to_vec());
                start = at + 1;
            }
            _ => {}
        }
    }
    None
}

/// `a..e` or `1..5`; longer ranges give more words than are expanded.
fn sequence(cells: &[Cell]) -> Option<Vec<Vec<Cell>>> {
    let text: Vec<u8> = cells.iter().map(|(byte, _)| *byte).collect();
    let text = std::str::from_utf8(&text).ok()?;
    let (from, to) = text.split_once("..")?;
    let to = to.split_once("..").map_or(to, |(to, _)| to);
    let cell = |word: String| word.into_bytes().into_iter().map(|byte| (byte, true)).collect::<Vec<Cell>>();
    if let (Ok(from), Ok(to)) = (from.parse::<i64>(), to.parse::<i64>()) {
        let (low, high) = (from.min(to), from.max(to));
        let numbers = low..=high.min(low.saturating_add(BRACE_WORDS_MAX as i64));
        return Some(numbers.map(|n| cell(n.to_string())).collect());
    }
    let (&[from], &[to]) = (from.as_bytes(), to.as_bytes()) else { return None };
    Some((from.min(to)..=from.max(to)).map(|byte| vec![(byte, true)]).collect())
}
