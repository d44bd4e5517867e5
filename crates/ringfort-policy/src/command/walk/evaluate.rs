// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text that a shell evaluates although no word says so: arithmetic, subscripts, names of variables, prompts.
//!
//! In: such text, with holes where it is not known. Out: visits of the commands in it, and a hazard where it, or the
//! value of a variable that it names, is only known at run time.
//!
//! **Invariant:** bash, ksh and zsh expand a subscript when they evaluate it, whatever quotes stood around it, and
//! evaluate the value of every variable they calculate with. A value is harmless only if it is certainly a number,
//! is known and holds no commands, or is the environment's own.

use ringfort_core::effect::Span;

use super::super::analysis::{Argument, HOLE, PlaceKind, Source};
use super::super::effect::{Job, Subject, split_value};
use super::super::hazard;
use super::super::syntax::{self, Assignment, Body, Piece, Word, is_name};
use super::super::value;
use super::{Frame, Map, Unit, Walker};

/// Deepest chain of variables whose values name variables.
const VALUES_DEEP_MAX: u32 = 8;
/// What the visit of a value costs beside its length, in bytes of the budget.
const VISIT_BYTES: usize = 64;

impl Walker<'_> {
    /// Pieces that are expanded and then calculated.
    pub(super) fn calculates(&mut self, pieces: &[Piece<'_>], span: Span, frame: Frame) {
        if let [Piece::Text { bytes, .. }] = pieces
            && value::is_digits(bytes)
        {
            return;
        }
        let text = value::calculated(pieces, &self.variables, span);
        self.evaluated(&text, frame);
    }

    /// Text that is calculated, or is the name of a variable with a subscript.
    pub(in crate::command) fn evaluated(&mut self, text: &Argument, frame: Frame) {
        self.evaluate(&text.bytes, text.source, text.span, frame, 0);
    }

    fn evaluate(&mut self, text: &[u8], source: Option<Source>, span: Span, frame: Frame, depth: u32) {
        if source.is_some_and(|source| source != Source::Arithmetic) || depth > VALUES_DEEP_MAX {
            self.hazard(&hazard::TEXT_EXECUTED, span);
        }
        // Every value that names variables is read as often as it is named.
        if depth > VALUES_DEEP_MAX || depth > 0 && !self.spend(text.len() + VISIT_BYTES, span) {
            return;
        }
        if text.iter().any(|b| matches!(b, b'$' | b'`')) {
            self.expanded(text, span, frame);
        }
        for (_, name) in names(text) {
            match self.variables.value(name).map(<[u8]>::to_vec) {
                Some(value) if value::is_digits(&value) || value == name => {}
                Some(value) => self.evaluate(&value, None, span, frame, depth + 1),
                None if self.variables.is_number(name) || self.variables.is_foreign(name) => {}
                None => self.hazard(&hazard::TEXT_EXECUTED, span),
            }
        }
        // What is assigned in a calculation is a number from here on.
        for name in changed(text) {
            self.loads(name, span);
            self.variables.set_number(name);
        }
    }

    /// Visits the commands in text that a shell expands as if it stood between double quotes.
    pub(in crate::command) fn expanded(&mut self, text: &[u8], span: Span, frame: Frame) {
        if !self.spend(text.len(), span) {
            return;
        }
        let inner = Frame { depth: frame.depth + 1, runs: frame.runs + 1, ..frame };
        let (pieces, parsed) = syntax::parse_expansions(text, inner.depth);
        let map = Map::Whole(span);
        self.pieces(Unit { documents: &parsed.documents, map }, &pieces, inner);
        if parsed.fault.is_some() {
            self.problem(&hazard::AMBIGUOUS, span);
        }
    }

    /// A subscript; those of tables with text for keys are not calculated.
    pub(super) fn subscript(&mut self, name: &[u8], index: &[Piece<'_>], span: Span, frame: Frame) {
        let all = matches!(index, [Piece::Text { bytes, .. }] if matches!(&**bytes, b"@" | b"*"));
        if !index.is_empty() && !all && !self.tables.iter().any(|table| table == name) {
            self.calculates(index, span, frame);
        }
    }

    /// An assignment: its subscripts, and its value where the variable is an integer or another's name.
    pub(super) fn assigns(&mut self, unit: Unit<'_, '_>, assignment: &Assignment<'_>, frame: Frame) {
        let span = unit.map.span(assignment.span);
        self.subscript(assignment.name, &assignment.index, span, frame);
        if self.variables.is_pinned(assignment.name) {
            let text = value::scalar(&assignment.value, &self.variables, span);
            self.evaluated(&text, frame);
        }
        if self.tables.iter().any(|table| table == assignment.name) {
            return;
        }
        for element in &assignment.elements {
            let starts = match &element.body {
                Body::Plain(bytes) => bytes.first() == Some(&b'['),
                Body::Pieces(pieces) => {
                    matches!(pieces.first(), Some(Piece::Text { bytes, .. }) if bytes.first() == Some(&b'['))
                }
            };
            if starts {
                let text = value::scalar(element, &self.variables, span);
                self.evaluated(&text, frame);
            }
        }
    }

    /// `${…}`: its subscript, an offset, and the ways in which its value is read as more than text.
    pub(super) fn parameter(&mut self, parameter: &syntax::Parameter<'_>, span: Span, frame: Frame) {
        self.subscript(parameter.name, &parameter.index, span, frame);
        match (parameter.sign, parameter.operator) {
            (b'!', operator) => self.indirect(parameter, operator, span, frame),
            (_, b':') => self.calculates(&parameter.operand, span, frame),
            (_, b'@') if matches!(parameter.operand.as_slice(), [Piece::Text { bytes, .. }] if bytes.contains(&b'P')) => {
                match self.variables.value(parameter.name).map(<[u8]>::to_vec) {
                    Some(value) => self.expanded(&value, span, frame),
                    None => self.hazard(&hazard::TEXT_EXECUTED, span),
                }
            }
            // zsh: flags such as `(e)` and `(P)`, which expand the value once more.
            (_, b'(') => {
                let text = value::joined(&parameter.operand, &self.variables, span);
                let flags = text.bytes.split(|b| *b == b')').next().unwrap_or(&[]);
                if flags.iter().any(|b| matches!(b, b'e' | b'P' | b'%' | &HOLE)) {
                    self.hazard(&hazard::TEXT_EXECUTED, span);
                }
            }
            _ => {}
        }
    }

    /// `${!name}`: the value is the name of a variable, perhaps with a subscript.
    fn indirect(&mut self, parameter: &syntax::Parameter<'_>, operator: u8, span: Span, frame: Frame) {
        let keys = matches!(parameter.index.as_slice(), [Piece::Text { bytes, .. }] if matches!(&**bytes, b"@" | b"*"));
        let names = operator == b'*' || operator == b'@' && parameter.operand.is_empty();
        if keys || names {
            return;
        }
        match self.variables.value(parameter.name).map(<[u8]>::to_vec) {
            Some(value) if value.contains(&b'[') => self.evaluate(&value, None, span, frame, 0),
            Some(_) => {}
            None if self.variables.is_foreign(parameter.name) || self.variables.is_number(parameter.name) => {}
            None => self.hazard(&hazard::TEXT_EXECUTED, span),
        }
    }

    /// The operands of `[[ … ]]` that are calculated or name a variable.
    pub(super) fn condition(&mut self, unit: Unit<'_, '_>, words: &[Word<'_>], frame: Frame) {
        let argument = |walker: &Self, word: &Word<'_>| {
            let span = unit.map.span(word.span);
            match &word.body {
                Body::Plain(bytes) => Argument::exact(bytes, span),
                Body::Pieces(pieces) => value::calculated(pieces, &walker.variables, span),
            }
        };
        for (at, word) in words.iter().enumerate() {
            let Body::Plain(operator) = word.body else { continue };
            let around: [Option<usize>; 2] = match operator {
                b"-v" | b"-R" => [at.checked_add(1), None],
                _ if calculates(operator) => [at.checked_sub(1), at.checked_add(1)],
                _ => continue,
            };
            for word in around.into_iter().flatten().filter_map(|at| words.get(at)) {
                let text = argument(self, word);
                self.evaluated(&text, frame);
            }
        }
    }

    /// What builtins evaluate in their arguments.
    pub(super) fn builtin(&mut self, name: &[u8], args: &[Argument], frame: Frame, subject: &mut Subject) {
        match name {
            b"env" => exported_functions(args, subject),
            b"alias" => self.remember_aliases(args),
            b"let" => args.iter().for_each(|arg| self.evaluated(arg, frame)),
            b"test" | b"[" => self.tests(args, frame),
            b"unset" | b"read" | b"readarray" | b"mapfile" | b"getopts" | b"vared" | b"wait" | b"printf" | b"print" => {
                self.named(name, args, frame, subject);
            }
            b"declare" | b"typeset" | b"local" | b"export" | b"readonly" | b"integer" | b"float" => {
                self.declared(name, args, frame);
            }
            b"fc" | b"r" | b"history" => {
                let shows =
                    args.iter().any(|arg| matches!(arg.known(), Some(b"-l" | b"-ln" | b"-c" | b"-d" | b"-w" | b"-a")));
                if name == b"fc" && !shows {
                    self.rule(subject, &hazard::TEXT_EXECUTED, subject.span);
                }
            }
            _ => {}
        }
    }

    /// zsh: a pattern in brackets at the end of a word may hold code that chooses among the files.
    pub(super) fn qualifiers(&mut self, unit: Unit<'_, '_>, word: &Word<'_>) {
        let Body::Pieces(pieces) = &word.body else { return };
        let mut open = false;
        for piece in pieces {
            let Piece::Text { bytes, quoted: false } = piece else { continue };
            let mut rest = &**bytes;
            while let Some(at) =
                rest.iter().position(|b| if open { matches!(b, b'e' | b'+' | b')') } else { *b == b'(' })
            {
                let (found, tail) = rest.split_at(at);
                let byte = tail.first().copied().unwrap_or(0);
                rest = tail.get(1..).unwrap_or(&[]);
                let next = rest.first().copied();
                let before = found.last().copied();
                let code = match byte {
                    b'e' => !next.is_none_or(|b| is_name(b) || matches!(b, b'.' | b'|' | b')' | b'-' | b'*' | b'?')),
                    b'+' => next.is_some_and(is_name) && before.is_none_or(|b| !is_name(b) || b == b'o' || b == b'N'),
                    _ => next.is_none() && byte == b'e',
                };
                open = byte != b')';
                if code && open && byte != b'(' {
                    self.hazard(&hazard::TEXT_EXECUTED, unit.map.span(word.span));
                    return;
                }
            }
            // A quote right after the letter is its delimiter.
            if open && bytes.last() == Some(&b'e') {
                self.hazard(&hazard::TEXT_EXECUTED, unit.map.span(word.span));
                return;
            }
        }
    }

    /// `test`: `-v` names a variable in bash; zsh and ksh calculate what `-eq` compares.
    fn tests(&mut self, args: &[Argument], frame: Frame) {
        for (at, arg) in args.iter().enumerate() {
            let operator = arg.bytes.as_slice();
            let around: [Option<usize>; 2] = match operator {
                b"-v" | b"-R" => [at.checked_add(1), None],
                _ if calculates(operator) => [at.checked_sub(1), at.checked_add(1)],
                _ => continue,
            };
            for operand in around.into_iter().flatten().filter_map(|at| args.get(at)) {
                let named = !calculates(operator) && operand.source.is_some();
                if named || operand.bytes.iter().any(|b| matches!(b, b'[' | b'$' | b'`')) {
                    self.evaluated(operand, frame);
                }
            }
        }
    }

    /// Builtins that take names of variables.
    fn named(&mut self, name: &[u8], args: &[Argument], frame: Frame, subject: &mut Subject) {
        if name == b"print" {
            // zsh puts the words on the input of the next prompt.
            if args.iter().take_while(|arg| arg.bytes.first() == Some(&b'-')).any(|arg| arg.bytes.contains(&b'z')) {
                self.rule(subject, &hazard::TEXT_EXECUTED, subject.span);
            }
            return;
        }
        let only = match name {
            b"printf" => Some(&b"-v"[..]),
            b"wait" => Some(&b"-p"[..]),
            _ => None,
        };
        for (at, arg) in args.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|at| args.get(at));
            if only.is_none() && before.is_some_and(|word| takes_text(name, &word.bytes))
                || name == b"getopts" && at == 0
            {
                continue;
            }
            let arg = match (only, arg.bytes.strip_prefix(only.unwrap_or(b"-"))) {
                (Some(option), _) if before.is_some_and(|word| word.bytes == option) => arg.clone(),
                (Some(_), Some(rest)) if !rest.is_empty() => Argument { bytes: rest.into(), ..arg.clone() },
                (Some(_), _) => continue,
                (None, _) => arg.clone(),
            };
            if arg.bytes.contains(&b'[') {
                self.evaluated(&arg, frame);
            } else if let (Some(_), Some(name)) = (only, arg.known()) {
                let name = name.to_vec();
                self.loads(&name, arg.span);
                self.set_variable(&name, None);
            } else if arg.source.is_some_and(|source| source != Source::Arithmetic) {
                self.hazard(&hazard::TEXT_EXECUTED, arg.span);
            }
        }
        if name == b"unset" {
            self.tables.clear();
        }
    }

    /// Declarations: attributes that change what an assignment does, and subscripts.
    fn declared(&mut self, name: &[u8], args: &[Argument], frame: Frame) {
        let mut pins = matches!(name, b"readonly" | b"integer" | b"float");
        let mut calculates = matches!(name, b"integer" | b"float");
        let mut table = false;
        for arg in args {
            let bytes = arg.bytes.as_slice();
            if matches!(bytes.first(), Some(b'-' | b'+')) {
                let has = |letters: &[u8]| bytes.iter().skip(1).any(|b| letters.contains(b));
                let declares = !matches!(name, b"export" | b"readonly");
                pins |= declares && has(b"iluncEFLRZUT") || has(b"r");
                calculates |= declares && has(b"iEF");
                table |= declares && has(b"A") && bytes.first() == Some(&b'-');
                if has(b"nT") && declares {
                    self.variables.link();
                }
                continue;
            }
            let (variable, value) = split_value(bytes);
            let variable = variable.strip_suffix(b"+").unwrap_or(variable);
            let linked = self.variables.is_pinned(variable) || pins;
            if variable.contains(&b'[') || calculates || linked && bytes.contains(&b'[') {
                self.evaluated(arg, frame);
            } else if value.is_none()
                && !matches!(name, b"export" | b"readonly")
                && arg.source.is_some_and(|source| source != Source::Arithmetic)
            {
                self.hazard(&hazard::TEXT_EXECUTED, arg.span);
            }
            let plain = variable.iter().all(|b| is_name(*b));
            if pins && plain {
                self.variables.pin(variable);
            }
            self.tables.retain(|known| known != variable);
            if table && plain && self.tables.len() < super::state::NAMES_MAX {
                self.tables.push(variable.to_vec());
            }
        }
    }
}

/// Functions that bash takes over from its environment.
fn exported_functions(args: &[Argument], subject: &mut Subject) {
    for arg in args.iter().filter(|arg| arg.bytes.starts_with(b"BASH_FUNC_")) {
        let (_, Some(value)) = split_value(&arg.bytes) else { continue };
        let text = Argument { bytes: [b"f ", value].concat().into(), ..arg.clone() };
        subject.jobs.push(Job::Text { text, kind: PlaceKind::Function });
    }
}

/// The names of variables in a calculation and where they start.
fn names(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    text.split(|b| !is_name(*b))
        .map(move |part| {
            let start = at;
            at += part.len() + 1;
            (start, part)
        })
        .filter(|(_, name)| name.first().is_some_and(|b| !b.is_ascii_digit()))
}

/// The variables that a calculation assigns to.
pub(super) fn changed(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let assigns = text.iter().any(|b| matches!(b, b'=' | b'+' | b'-'));
    let text = if assigns { text } else { &[] };
    names(text).filter(|(start, name)| is_changed(text, *start, start + name.len())).map(|(_, name)| name)
}

/// Whether the name at `start..end` of a calculation is assigned to.
fn is_changed(text: &[u8], start: usize, end: usize) -> bool {
    let before = text.get(..start).unwrap_or(&[]).trim_ascii_end();
    if before.ends_with(b"++") || before.ends_with(b"--") {
        return true;
    }
    let mut after = text.get(end..).unwrap_or(&[]).trim_ascii_start();
    if after.first() == Some(&b'[') {
        // What stands in the subscript is not followed: any assignment later in the text may be to the element.
        return after.contains(&b'=') || after.windows(2).any(|pair| pair == b"++" || pair == b"--");
    }
    if after.starts_with(b"++") || after.starts_with(b"--") {
        return true;
    }
    for operator in [&b"<<="[..], b">>=", b"**="] {
        if after.starts_with(operator) {
            return true;
        }
    }
    if let [b'+' | b'-' | b'*' | b'/' | b'%' | b'&' | b'^' | b'|', rest @ ..] = after {
        after = rest;
    }
    after.first() == Some(&b'=') && after.get(1) != Some(&b'=')
}

/// Whether both sides of a condition's operator are calculated.
fn calculates(operator: &[u8]) -> bool {
    matches!(operator, b"-eq" | b"-ne" | b"-lt" | b"-le" | b"-gt" | b"-ge")
}

/// Whether the word after this option of `read` or `mapfile` names no variable.
fn takes_text(builtin: &[u8], option: &[u8]) -> bool {
    let letters: &[u8] = match builtin {
        b"read" | b"vared" => b"pdtnNuik",
        b"mapfile" | b"readarray" => b"dnOsuCc",
        _ => return false,
    };
    matches!(option, [b'-', .., last] if letters.contains(last))
}
