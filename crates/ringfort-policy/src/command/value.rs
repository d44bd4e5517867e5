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
use super::syntax::{Body, Command, Parameter, Piece, Script, Word};

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

/// What is certain about the value of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    /// These bytes.
    Exact(Bytes),
    /// A whole number.
    Number,
    /// Nothing.
    Unknown,
}

/// A variable that the text has changed.
#[derive(Clone, Debug)]
struct Variable {
    name: Bytes,
    value: Value,
    /// A declaration changes or refuses what is assigned, so that no later value is certain.
    pinned: bool,
}

/// Variables whose value is certain at this point.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    /// Shared with the copies that branches and subshells start from.
    known: Rc<Vec<Variable>>,
    /// The working folder, which is the value of `PWD`.
    pub(super) folder: Option<Rc<[u8]>>,
    wild: bool,
    /// A name may stand for another one.
    linked: bool,
}

/// Variables of the shell that hold numbers until something else is assigned.
const NUMBERS: [&[u8]; 20] = [
    b"?",
    b"#",
    b"$",
    b"!",
    b"RANDOM",
    b"SRANDOM",
    b"SECONDS",
    b"EPOCHSECONDS",
    b"LINENO",
    b"UID",
    b"EUID",
    b"GID",
    b"PPID",
    b"BASHPID",
    b"SHLVL",
    b"COLUMNS",
    b"LINES",
    b"OPTIND",
    b"BASH_SUBSHELL",
    b"HISTCMD",
];

impl Variables {
    fn find(&self, name: &[u8]) -> Option<&Variable> {
        self.known.iter().find(|variable| variable.name == name)
    }

    /// The exact value, if it is certain.
    pub(super) fn value(&self, name: &[u8]) -> Option<&[u8]> {
        match self.find(name).map(|variable| &variable.value) {
            Some(Value::Exact(value)) if !self.linked => Some(value),
            Some(_) => None,
            None if name == b"IFS" && !self.wild => Some(b" \t\n"),
            None if name == b"PWD" => self.folder.as_deref(),
            None => None,
        }
    }

    /// Whether the value is certainly a whole number.
    pub(super) fn is_number(&self, name: &[u8]) -> bool {
        match self.find(name).map(|variable| &variable.value) {
            Some(Value::Exact(value)) => !self.linked && is_digits(value),
            Some(Value::Number) => !self.linked,
            Some(Value::Unknown) => false,
            None => NUMBERS.contains(&name) && (!self.wild || !is_name_start(name)),
        }
    }

    /// Whether nothing in the text has changed the variable, so that its value is the environment's.
    pub(super) fn is_foreign(&self, name: &[u8]) -> bool {
        !self.wild && !self.linked && self.find(name).is_none() && is_name_start(name)
    }

    /// Whether a declaration decides what becomes of an assigned value.
    pub(super) fn is_pinned(&self, name: &[u8]) -> bool {
        self.linked || self.find(name).is_some_and(|variable| variable.pinned)
    }

    pub(super) fn set(&mut self, name: &[u8], value: Option<Bytes>) {
        let value = value.filter(|v| v.len() <= VALUE_BYTES_MAX);
        self.put(name, value.map_or(Value::Unknown, Value::Exact), false);
    }

    /// The variable holds a whole number from here on.
    pub(super) fn set_number(&mut self, name: &[u8]) {
        self.put(name, Value::Number, false);
    }

    /// What is assigned to the variable from here on is not certain.
    pub(super) fn pin(&mut self, name: &[u8]) {
        self.put(name, Value::Unknown, true);
    }

    /// From here on a name may stand for another one.
    pub(super) fn link(&mut self) {
        self.linked = true;
    }

    /// The variables of a new shell that this one starts; `handed` when it is given some by name.
    pub(super) fn fresh(&self, handed: bool) -> Self {
        let home = self.value(b"HOME").map(Bytes::from);
        let changed = self.known.iter().any(|variable| variable.name != b"HOME"[..]);
        let mut fresh = Self {
            folder: self.folder.clone(),
            wild: self.wild || handed || changed || self.linked,
            ..Self::default()
        };
        fresh.set(b"HOME", home);
        fresh
    }

    /// Takes over what declarations in `other` decide, which last wherever they are made.
    pub(super) fn inherit(&mut self, other: &Self) {
        self.linked |= other.linked;
        for variable in other.known.iter().filter(|variable| variable.pinned) {
            self.pin(&variable.name);
        }
    }

    fn put(&mut self, name: &[u8], value: Value, pinned: bool) {
        let known = Rc::make_mut(&mut self.known);
        if let Some(variable) = known.iter_mut().find(|variable| variable.name == name) {
            variable.pinned |= pinned;
            variable.value = if variable.pinned { Value::Unknown } else { value };
        } else if known.len() < VARIABLES_MAX || name == b"IFS" {
            known.push(Variable { name: Bytes::from(name), value, pinned });
        } else {
            // What is not listed is not known.
            self.forget();
        }
    }

    /// Forgets everything: code that is not known has run.
    pub(super) fn forget(&mut self) {
        if self.known.iter().any(|variable| variable.pinned) {
            Rc::make_mut(&mut self.known).retain(|variable| variable.pinned);
        } else {
            self.known = Rc::default();
        }
        self.folder = None;
        self.wild = true;
    }

    /// Keeps what both branches agree on.
    pub(super) fn join(&mut self, other: &Self) {
        self.wild |= other.wild;
        self.linked |= other.linked;
        if self.folder != other.folder {
            self.folder = None;
        }
        if Rc::ptr_eq(&self.known, &other.known) {
            return;
        }
        let (wild, mut full) = (self.wild, false);
        let known = Rc::make_mut(&mut self.known);
        for variable in known.iter_mut() {
            let there = other.known.iter().find(|found| found.name == variable.name);
            variable.pinned |= there.is_some_and(|found| found.pinned);
            variable.value = match there {
                Some(found) if !variable.pinned => both(&variable.value, &found.value),
                // Where one branch leaves the number of the shell, both have one.
                None if !wild && variable.value == Value::Number && NUMBERS.iter().any(|n| variable.name == *n) => {
                    Value::Number
                }
                _ => Value::Unknown,
            };
        }
        for variable in other.known.iter() {
            if known.iter().any(|found| found.name == variable.name) {
                continue;
            }
            if known.len() < VARIABLES_MAX || variable.name == b"IFS" {
                known.push(Variable { value: Value::Unknown, ..variable.clone() });
            } else {
                full = true;
            }
        }
        if full {
            self.forget();
        }
    }

    fn splits_by_default(&self) -> bool {
        self.value(b"IFS") == Some(b" \t\n")
    }
}

fn is_name_start(name: &[u8]) -> bool {
    name.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
}

/// What holds whichever of two values a variable has.
fn both(one: &Value, other: &Value) -> Value {
    let number = |value: &Value| match value {
        Value::Exact(bytes) => is_digits(bytes),
        Value::Number => true,
        Value::Unknown => false,
    };
    if one == other {
        one.clone()
    } else if number(one) && number(other) {
        Value::Number
    } else {
        Value::Unknown
    }
}

/// Whether `text` is a whole number.
pub(super) fn is_digits(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
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
                    source = worse(source, why);
                }
            },
        }
    }
    Argument { bytes: bytes.into(), source, arity: Arity::One, span }
}

/// What a shell calculates with, after expansion. A number is a hole whose source is [`Source::Arithmetic`]; so is
/// what the environment holds, since nothing in the text has changed it.
pub(super) fn calculated(pieces: &[Piece<'_>], variables: &Variables, span: Span) -> Argument {
    let mut bytes = Vec::new();
    let mut source = None;
    for piece in pieces {
        let value = match piece {
            Piece::Text { bytes, .. } => Ok(&**bytes),
            Piece::Parameter(parameter) if variables.is_foreign(parameter.name) && parameter.sign != b'!' => {
                if matches!(parameter.operator, b'-' | b'=' | b'+' | b'?') {
                    let operand = calculated(&parameter.operand, variables, span);
                    bytes.extend_from_slice(&operand.bytes);
                    source = operand.source.map_or(source, |why| worse(source, why));
                }
                Err(Source::Arithmetic)
            }
            other => piece_value(other, variables),
        };
        match value {
            Ok(text) => bytes.extend_from_slice(text),
            Err(why) => {
                bytes.push(HOLE);
                source = worse(source, why);
            }
        }
    }
    Argument { bytes: bytes.into(), source, arity: Arity::One, span }
}

/// The source that says most: a number is the least of them.
fn worse(one: Option<Source>, other: Source) -> Option<Source> {
    one.filter(|source| *source != Source::Arithmetic).or(Some(other))
}

fn piece_value<'v>(piece: &'v Piece<'_>, variables: &'v Variables) -> Result<&'v [u8], Source> {
    match piece {
        Piece::Text { bytes, .. } => Ok(bytes),
        Piece::Parameter(parameter) => match parameter_value(parameter, variables) {
            Some(value) => Ok(value),
            None if is_count(parameter, variables) => Err(Source::Arithmetic),
            None => Err(Source::Variable),
        },
        Piece::Command { script, .. } if prints_number(script) => Err(Source::Arithmetic),
        Piece::Command { .. } | Piece::Backquote { .. } => Err(Source::Substitution),
        Piece::Arithmetic { .. } => Err(Source::Arithmetic),
        Piece::Process { .. } => Err(Source::Process),
    }
}

fn parameter_value<'v>(parameter: &Parameter<'_>, variables: &'v Variables) -> Option<&'v [u8]> {
    if parameter.sign != 0 || !parameter.index.is_empty() {
        return None;
    }
    let value = variables.value(parameter.name)?;
    match parameter.operator {
        0 => Some(value),
        // The operand is for a variable that is not set or empty.
        b'-' | b'=' | b'?' if !value.is_empty() => Some(value),
        _ => None,
    }
}

/// Whether the result is a number: a length, or a variable that holds one.
fn is_count(parameter: &Parameter<'_>, variables: &Variables) -> bool {
    let plain = parameter.operator == 0 && parameter.index.is_empty();
    match parameter.sign {
        b'#' => parameter.operator == 0,
        0 => plain && variables.is_number(parameter.name),
        _ => false,
    }
}

/// Whether the commands of a substitution can only print a number.
pub(super) fn prints_number(script: &Script<'_>) -> bool {
    let [item] = script.items.as_slice() else { return false };
    let Some(Command::Simple(last)) = item.pipeline.stages.last() else { return false };
    let mut words = Vec::with_capacity(last.words.len());
    for word in &last.words {
        let Body::Plain(bytes) = word.body else { return false };
        words.push(bytes);
    }
    let fed = item.pipeline.stages.len() > 1 || !last.redirects.is_empty();
    match words.as_slice() {
        [b"wc", rest @ ..] => fed && rest.len() == 1 && rest.iter().all(|word| word.first() == Some(&b'-')),
        [b"nproc", ..] | [b"id", b"-u" | b"-g"] | [b"tput", b"cols" | b"lines"] => true,
        [b"date", format] => matches!(*format, b"+%s" | b"+%s%N" | b"+%s%3N"),
        [b"grep", b"-c" | b"-ci" | b"-cv", _] => fed,
        [b"echo", number] => is_digits(number),
        _ => false,
    }
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
            Err(source) => {
                let whole = source == Source::Arithmetic && variables.splits_by_default();
                add_hole(field, source, !quoted && !whole);
            }
        }
    }
}

fn add_hole(field: &mut Field, source: Source, spread: bool) {
    field.cells.push((HOLE, true));
    field.source = worse(field.source, source);
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
        let Some(choices) = choices else { return false };
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

/// The end of the brace that opens at `open`, and what it stands for, if every shell agrees on that.
fn choices(cells: &[Cell], open: usize) -> Option<(usize, Option<Vec<Vec<Cell>>>)> {
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
                    return Some((at, Some(parts)));
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

/// `a..e` or `1..5`, in the order of the shells; longer ranges give more words than are expanded. `Some(None)` for a
/// sequence with a step or with padding: shells differ in them.
fn sequence(cells: &[Cell]) -> Option<Option<Vec<Vec<Cell>>>> {
    let text: Vec<u8> = cells.iter().map(|(byte, _)| *byte).collect();
    let text = std::str::from_utf8(&text).ok()?;
    let (from, to) = text.split_once("..")?;
    if to.contains("..") {
        return Some(None);
    }
    if let (Ok(first), Ok(last)) = (from.parse::<i64>(), to.parse::<i64>()) {
        if [(from, first), (to, last)].iter().any(|(text, number)| number.to_string() != *text) {
            return Some(None);
        }
        let count = first.abs_diff(last).min(BRACE_WORDS_MAX as u64).cast_signed();
        let step = if first <= last { 1 } else { -1 };
        let cell = |n: i64| (first + n * step).to_string().into_bytes().into_iter().map(|byte| (byte, true)).collect();
        return Some(Some((0..=count).map(cell).collect()));
    }
    let (&[from], &[to]) = (from.as_bytes(), to.as_bytes()) else {
        // A number beyond 64 bits, or a mixture: what it gives depends on the shell.
        let number =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-".contains(&b));
        return (number(from) && number(to)).then_some(None);
    };
    if !(from.is_ascii_alphabetic() && to.is_ascii_alphabetic()) {
        return Some(None);
    }
    let letters = (from.min(to)..=from.max(to)).map(|byte| vec![(byte, true)]);
    Some(Some(if from <= to { letters.collect() } else { letters.rev().collect() }))
}

/// In zsh a colon and a letter after a variable change its value: a program named so is not known.
pub(super) fn with_modifier(word: &Word<'_>, argument: &mut Argument) {
    let Body::Pieces(pieces) = &word.body else { return };
    let modified = pieces.windows(2).any(|pair| match pair {
        [Piece::Parameter(_), Piece::Text { bytes, .. }] => {
            matches!(&**bytes, [b':', letter, ..] if letter.is_ascii_alphabetic())
        }
        _ => false,
    });
    if modified && argument.source.is_none() {
        argument.source = Some(Source::Variable);
    }
}
