// SPDX-License-Identifier: MIT OR Apache-2.0
//! Perl given inline.
//!
//! In: the text. Out: what it calls. **Invariant:** every word is on a list; a word that calls by name, loads, ties or
//! evaluates is not understood, and neither is a method, a glob of names, or code inside a text or pattern.

mod tokens;

use std::ops::Range;
use std::sync::LazyLock;

use super::python::calls::is_plain_variable;
use super::table::Table;
use super::token::{Kind, Tokens};
use super::{Finder, Touch};

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    /// Computes, prints, or reads what is open.
    Harmless,
    /// Runs its arguments.
    System,
    Open,
    List,
    Write,
    /// Changes the last of its arguments: `chmod 0644, "f"`.
    WriteLast,
    Move,
    Copy,
    Delete,
    DeleteTree,
    Kill,
    /// Loads a module.
    Use,
    /// Evaluates a block; with anything else, a text.
    Block,
    /// Looks into the network.
    Network,
}

static WORDS: LazyLock<Table<Word>> = LazyLock::new(|| {
    Table::new(&[
        (
            Word::Harmless,
            "print printf say if elsif else unless while until for foreach my our local state return next last redo split join map \
             grep sort reverse keys values each exists delete defined undef length substr index rindex uc lc ucfirst lcfirst sprintf \
             push pop shift unshift splice chomp chop chr ord hex oct abs int sqrt sin cos atan2 exp log rand srand time \
             times localtime gmtime scalar wantarray ref die warn exit eof x eq ne lt gt le ge cmp and or not xor pos quotemeta sub \
             BEGIN END STDIN STDERR STDOUT ARGV close pack unpack binmode sleep vec study wait fileno \
             readline getc seek tell cmp sum sum0 min max first any all none uniq uniqnum shuffle reduce pairs minstr maxstr product \
             encode_json decode_json to_json from_json floor ceil fmod pow strftime mktime Dumper looks_like_number blessed \
             basename dirname fileparse encode_base64 decode_base64 md5_hex sha1_hex sha256_hex sha512_hex md5_base64 \
             encode_utf8 decode_utf8 usleep timelocal timegm INT_MAX DBL_MAX strict warnings utf8 integer \
             bigint bignum feature FH FILE F IN OUT LOG fc",
        ),
        (Word::System, "system exec readpipe"),
        (Word::Open, "open"),
        (Word::List, "opendir readdir closedir stat lstat"),
        (Word::Write, "mkdir mkpath make_path"),
        (Word::WriteLast, "chmod chown utime truncate"),
        (Word::Move, "rename move"),
        (Word::Copy, "copy link symlink"),
        (Word::Delete, "unlink rmdir"),
        (Word::DeleteTree, "rmtree remove_tree"),
        (Word::Kill, "kill"),
        (Word::Use, "use no"),
        (Word::Block, "eval do"),
        (Word::Network, "socket connect bind listen accept gethostbyname get getstore getprint"),
    ])
});

const MODULES: &str = "strict warnings utf8 feature integer bigint bignum List::Util Scalar::Util POSIX Data::Dumper JSON::PP JSON \
                       File::Basename MIME::Base64 Digest::MD5 Digest::SHA Time::HiRes Time::Local Encode constant \
                       File::Path File::Copy Math::Trig Text::Wrap Text::ParseWords Time::Piece Getopt::Std Cwd locale open \
                       English diagnostics bytes vars";

/// Whether a module, with what is imported from it, only defines functions that are on the list of words.
pub(super) fn is_harmless_module(name: &[u8]) -> bool {
    let (module, list) = match name.iter().position(|b| *b == b'=') {
        Some(at) => (name.get(..at).unwrap_or(name), name.get(at + 1..).unwrap_or(&[])),
        None => (name, &[][..]),
    };
    let listed = MODULES.split_ascii_whitespace().any(|known| known.as_bytes() == module);
    // `open` and `English` change what other words mean.
    listed
        && !matches!(module, b"open" | b"English" | b"vars" | b"constant")
        && list.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b',' | b':'))
}

/// Reads a program.
pub(super) fn read(code: &[u8], finder: &mut Finder) -> Option<()> {
    let Some(tokens) = tokens::tokens(code) else {
        finder.unknown(0..code.len());
        return None;
    };
    let defined = (0..tokens.len())
        .filter(|at| at.checked_sub(1).is_some_and(|before| tokens.is_name(before, b"sub")))
        .filter_map(|at| tokens.name(at))
        .map(<[u8]>::to_vec)
        .take(64)
        .collect();
    let mut reader = Reader { tokens, finder, defined, refers: None };
    let mut at = 0;
    while at < reader.tokens.len() {
        at = reader.token(at);
    }
    reader.references(code);
    Some(())
}

struct Reader<'a, 'f> {
    tokens: Tokens<'a>,
    finder: &'f mut Finder,
    defined: Vec<Vec<u8>>,
    /// The first place where a reference is followed, which may be a name of a variable.
    refers: Option<usize>,
}

impl Reader<'_, '_> {
    /// A reference by name may change what `<>` opens and what a command sees; `strict` rules it out.
    fn references(&mut self, code: &[u8]) {
        let has = |word: &[u8]| code.windows(word.len()).any(|part| part == word);
        let opens = has(b"<>") || has(b"<<>>") || has(b"<ARGV>") || has(b"readline");
        let strict =
            (1..self.tokens.len()).any(|at| self.tokens.is_name(at, b"strict") && self.tokens.is_name(at - 1, b"use"));
        let runs = self.finder.found.iter().any(|found| matches!(found.touch, Touch::Shell(_) | Touch::Words(_)));
        if let Some(at) = self.refers.filter(|_| !strict && (opens || runs)) {
            self.unknown(at, at);
        }
        if opens && has(b"ARGV") {
            self.unknown(0, 0);
        }
    }

    fn unknown(&mut self, from: usize, to: usize) {
        let range = self.tokens.range(from, to.max(from));
        self.finder.unknown(range);
    }

    fn found(&mut self, touch: Touch, from: usize, to: usize) {
        let range = self.tokens.range(from, to);
        self.finder.add(touch, range);
    }

    fn token(&mut self, at: usize) -> usize {
        let Some(token) = self.tokens.get(at) else { return at + 1 };
        match token.kind {
            Kind::Variable => self.variable(at),
            Kind::Name => return self.word(at),
            // A text that a shell runs: the tokenizer marks it so.
            Kind::Symbol => {
                let text = token.text.to_vec();
                self.found(Touch::Shell((!text.is_empty()).then_some(text)), at, at);
            }
            Kind::Op if token.text == b"deref" as &[u8] => self.refers = self.refers.or(Some(at)),
            Kind::Op if token.text == b"->" as &[u8] => {
                self.refers = self.refers.or(Some(at));
                let next = self.tokens.get(at + 1);
                // A function may be found by its name.
                let plain = next.is_some_and(|t| t.kind == Kind::Op && matches!(t.text.as_ref(), b"[" | b"{"));
                if !plain {
                    self.unknown(at, at + 1);
                }
            }
            _ => {}
        }
        at + 1
    }

    fn variable(&mut self, at: usize) {
        let Some(token) = self.tokens.get(at) else { return };
        let name = token.text.to_vec();
        let marks = name.iter().take_while(|b| matches!(b, b'$' | b'@' | b'%' | b'#')).count();
        if marks > 1 && name.len() > marks {
            self.refers = self.refers.or(Some(at));
        }
        let bare = name.get(marks.max(1)..).unwrap_or(&[]);
        let special =
            matches!(bare, b"SIG" | b"INC" | b"ISA" | b"EXPORT" | b"^X" | b"AUTOLOAD") || bare.contains(&b':');
        if special {
            return self.unknown(at, at);
        }
        if bare != b"ENV" {
            return;
        }
        let key = at + 2;
        let plain = self.tokens.is_op(at + 1, b"{")
            && self.tokens.partner(at + 1) == at + 3
            && self
                .tokens
                .get(key)
                .is_some_and(|t| matches!(t.kind, Kind::Name | Kind::Text) && is_plain_variable(&t.text));
        if self.tokens.is_op(at + 4, b"=") || name.first() == Some(&b'%') && self.tokens.is_op(at + 1, b"=") {
            self.unknown(at, at);
        }
        if !plain {
            self.found(Touch::Environment, at, at);
        }
    }

    fn word(&mut self, at: usize) -> usize {
        let Some(name) = self.tokens.name(at).map(<[u8]>::to_vec) else { return at + 1 };
        // A key: `{word}` after a variable or arrow, or `word =>`.
        let braced = self.tokens.is_op_before(at, b"{") && self.tokens.is_op(at + 1, b"}");
        let subscript = at
            .checked_sub(2)
            .and_then(|at| self.tokens.get(at))
            .is_some_and(|t| t.kind == Kind::Variable || t.kind == Kind::Op && t.text == b"->" as &[u8]);
        if braced && subscript || self.tokens.is_op(at + 1, b"=>") {
            return at + 1;
        }
        if at.checked_sub(1).is_some_and(|before| self.tokens.is_name(before, b"sub")) {
            return at + 1;
        }
        let Some(word) = WORDS.find(&name) else {
            let test = name.len() == 1 && self.tokens.is_op_before(at, b"-");
            let loop_label = name.iter().all(u8::is_ascii_uppercase);
            if !test && !loop_label && !self.defined.contains(&name) {
                self.unknown(at, at);
            }
            return at + 1;
        };
        let end = self.end_of_arguments(at);
        match word {
            Word::Harmless => {}
            Word::Use => return self.load(at),
            Word::Block => {
                if !self.tokens.is_op(at + 1, b"{") {
                    self.unknown(at, at);
                }
            }
            Word::System => self.system(at, end),
            Word::Open => self.open(at, end),
            Word::List => self.path(Touch::List, at, end, if name == b"opendir" { 1 } else { 0 }),
            Word::Write => self.paths(Touch::Write, at, end),
            Word::WriteLast => self.last_path(Touch::Write, at, end),
            Word::Delete => self.paths(Touch::Delete, at, end),
            Word::DeleteTree => self.paths(Touch::DeleteTree, at, end),
            Word::Move => {
                self.path(Touch::Read, at, end, 0);
                self.path(Touch::Delete, at, end, 0);
                self.path(Touch::Write, at, end, 1);
            }
            Word::Copy => {
                self.path(Touch::Read, at, end, 0);
                self.path(Touch::Write, at, end, 1);
            }
            Word::Kill => self.found(Touch::Kill, at, at),
            Word::Network => {
                self.found(Touch::Network(None), at, at);
            }
        }
        at + 1
    }

    /// `use Module LIST;`
    fn load(&mut self, at: usize) -> usize {
        let Some(module) = self.tokens.name(at + 1) else {
            // A version of the language.
            if self.tokens.get(at + 1).is_none_or(|t| t.kind != Kind::Number) {
                self.unknown(at, at + 1);
            }
            return at + 2;
        };
        let version = module.first() == Some(&b'v') && module.iter().skip(1).all(u8::is_ascii_digit);
        if !version && !is_harmless_module(module) {
            self.unknown(at, at + 1);
        }
        at + 2
    }

    /// The end of the arguments of the word at `at`.
    fn end_of_arguments(&self, at: usize) -> usize {
        if self.tokens.is_op(at + 1, b"(") {
            return self.tokens.partner(at + 1);
        }
        let mut end = at + 1;
        while let Some(token) = self.tokens.get(end) {
            let ends = match token.kind {
                Kind::Op => {
                    matches!(token.text.as_ref(), b";" | b")" | b"]" | b"}" | b"||" | b"&&" | b"//" | b"?" | b":")
                }
                Kind::Name => matches!(
                    token.text.as_ref(),
                    b"or" | b"and" | b"if" | b"unless" | b"for" | b"foreach" | b"while" | b"until"
                ),
                _ => false,
            };
            if ends || end > at + 64 {
                break;
            }
            end = self.tokens.partner(end).max(end) + 1;
        }
        end
    }

    fn arguments(&self, at: usize, end: usize) -> Vec<Range<usize>> {
        let start = if self.tokens.is_op(at + 1, b"(") { at + 2 } else { at + 1 };
        self.tokens.split(start..end.max(start))
    }

    /// The text of an argument that is nothing else.
    fn text(&self, part: &Range<usize>) -> Option<Vec<u8>> {
        let token = self.tokens.get(part.start)?;
        (part.len() == 1 && token.kind == Kind::Text).then(|| token.text.to_vec())
    }

    fn path(&mut self, touch: fn(Option<Vec<u8>>) -> Touch, at: usize, end: usize, index: usize) {
        let value = self.arguments(at, end).get(index).and_then(|part| self.text(part));
        self.found(touch(value), at, end.saturating_sub(1).max(at));
    }

    fn last_path(&mut self, touch: fn(Option<Vec<u8>>) -> Touch, at: usize, end: usize) {
        let value = self.arguments(at, end).last().and_then(|part| self.text(part));
        self.found(touch(value), at, end.saturating_sub(1).max(at));
    }

    fn paths(&mut self, touch: fn(Option<Vec<u8>>) -> Touch, at: usize, end: usize) {
        let parts = self.arguments(at, end);
        if parts.is_empty() {
            self.found(touch(None), at, at);
        }
        for part in parts.iter().take(16) {
            let value = self.text(part);
            self.found(touch(value), at, end.saturating_sub(1).max(at));
        }
    }

    /// `system LIST`: one text is for a shell, several are words.
    fn system(&mut self, at: usize, end: usize) {
        let parts = self.arguments(at, end);
        let last = end.saturating_sub(1).max(at);
        match parts.as_slice() {
            [only] => {
                let text = self.text(only);
                self.found(Touch::Shell(text), at, last);
            }
            [] => self.found(Touch::Shell(None), at, last),
            // `system {program} list` has a block first.
            [first, ..] if self.tokens.is_op(first.start, b"{") => self.unknown(at, last),
            _ => {
                let spread = parts.iter().any(|part| self.text(part).is_none());
                let words = parts.iter().map(|part| self.text(part)).collect();
                self.found(Touch::Words(words), at, last);
                if spread {
                    // A list may hold any number of words.
                    self.unknown(at, last);
                }
            }
        }
    }

    /// `open HANDLE, MODE, FILE` and `open HANDLE, TEXT`.
    fn open(&mut self, at: usize, end: usize) {
        let parts = self.arguments(at, end);
        let last = end.saturating_sub(1).max(at);
        let texts: Vec<Option<Vec<u8>>> = parts.iter().map(|part| self.text(part)).collect();
        match texts.as_slice() {
            [_, Some(mode), file] => {
                let kind = mode.split(|b| *b == b':').next().unwrap_or(mode).trim_ascii();
                match kind {
                    b"<" => self.found(Touch::Read(file.clone()), at, last),
                    b">" | b">>" => self.found(Touch::Write(file.clone()), at, last),
                    b"+<" | b"+>" | b"+>>" => {
                        self.found(Touch::Read(file.clone()), at, last);
                        self.found(Touch::Write(file.clone()), at, last);
                    }
                    b"-|" | b"|-" => self.found(Touch::Shell(file.clone()), at, last),
                    _ => self.unknown(at, last),
                }
            }
            [_, Some(text)] => {
                let text = text.trim_ascii();
                if let Some(command) = text.strip_prefix(b"|").or_else(|| text.strip_suffix(b"|")) {
                    self.found(Touch::Shell(Some(command.to_vec())), at, last);
                } else if let Some(file) = text.strip_prefix(b">>").or_else(|| text.strip_prefix(b">")) {
                    self.found(Touch::Write(Some(file.trim_ascii().to_vec())), at, last);
                } else if text.first() == Some(&b'+') {
                    self.unknown(at, last);
                } else {
                    let file = text.strip_prefix(b"<").unwrap_or(text).trim_ascii();
                    self.found(Touch::Read(Some(file.to_vec())), at, last);
                }
            }
            _ => self.unknown(at, last),
        }
    }
}
