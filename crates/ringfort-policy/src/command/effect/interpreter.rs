// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interpreters: which words are code, modules, scripts and files.
//!
//! In: the arguments of `python`, `node`, `perl`, `ruby` and the like. Out: effects of the code and of the words.
//!
//! **Invariant:** code is taken as understood only where every option before it is one that changes nothing else.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::analysis::{Argument, Source};
use super::super::catalogue::{Entry, Language, Mode};
use super::super::code as reader;
use super::super::hazard;
use super::super::walk::Walker;
use super::code::Inline;
use super::{DECODES, RUNS_INPUT, Role, Subject};

impl Walker<'_> {
    /// `python`, `node`, `perl` and the like.
    pub(in crate::command) fn interpreter(
        &mut self,
        language: Language,
        entry: &'static Entry,
        args: &[Argument],
        subject: &mut Subject,
    ) {
        let plain = plain_words(language, args);
        let is_plain = plain
            .as_ref()
            .is_some_and(|words| !matches!(language, Language::Perl | Language::Ruby) || !reopens(language, words));
        let args = plain.as_deref().unwrap_or(args);
        let operands = self.options(entry, args, subject);
        if subject.has(Mode::Show) {
            return;
        }
        if let Some(module) = args
            .iter()
            .position(|a| a.bytes == b"-m")
            .and_then(|at| args.get(at + 1))
            .filter(|_| language == Language::Python && subject.inline.is_none())
        {
            return self.module(entry, module, args, subject);
        }
        let inline = subject.inline.is_some();
        let script =
            operands.first().and_then(|position| args.get(*position)).filter(|arg| !super::is_stdin(&arg.bytes));
        match script {
            Some(_) if inline && language != Language::Php => {
                for arg in operands.iter().filter_map(|position| args.get(*position)) {
                    self.code_operand(language, arg, subject);
                }
            }
            Some(script) if script.bytes != b"run" => {
                self.execute_file(script, &script.bytes, subject);
                self.effect(subject, EffectKind::ExecuteText, None, script.span, Risk::Medium);
                self.follow_written(script, subject);
            }
            Some(_) => self.effect(subject, EffectKind::ExecuteText, None, subject.span, Risk::Medium),
            None if inline => {}
            None => {
                self.standard_input(Some(language), subject);
                if subject.inline != Some(Inline::Understood) {
                    subject.traits |= RUNS_INPUT;
                }
            }
        }
        if subject.inline == Some(Inline::Understood) && !is_plain {
            subject.inline = Some(Inline::Opaque);
            self.effect(subject, EffectKind::ExecuteText, None, subject.span, Risk::Medium);
        }
        if subject.inline != Some(Inline::Understood) {
            subject.raise(entry.risk);
        }
    }

    /// A word after inline code: a file, as far as anybody knows.
    fn code_operand(&mut self, language: Language, arg: &Argument, subject: &mut Subject) {
        self.role(Role::Read, arg, &arg.bytes, subject);
        // `perl -n` and `<>` run what begins or ends with a bar, and write what begins with `>`.
        let (first, last) = (arg.bytes.first(), arg.bytes.last());
        let wild = |byte: Option<&u8>| byte.is_some_and(|b| matches!(b, b'*' | b'?' | b']' | b'['));
        let starts = matches!(first, Some(b'|' | b'>' | b'<' | b' ' | b'+')) || matches!(last, Some(b'|' | b' '));
        let matches_any = arg.source == Some(Source::Glob) && (wild(first) || wild(last));
        let unknown = arg.source.is_some_and(|source| source != Source::Glob);
        if language == Language::Perl && (starts || matches_any || unknown) {
            subject.inline = Some(Inline::Opaque);
            self.effect(subject, EffectKind::ExecuteText, None, arg.span, Risk::Medium);
            if starts {
                self.rule(subject, &hazard::INLINE_CODE, arg.span);
            }
        }
    }

    fn module(&mut self, entry: &'static Entry, module: &Argument, args: &[Argument], subject: &mut Subject) {
        let at = args.iter().position(|a| a.bytes == b"-m").map_or(args.len(), |at| at + 2);
        let rest = args.get(at..).unwrap_or(&[]);
        if matches!(
            module.bytes.as_slice(),
            b"json.tool"
                | b"base64"
                | b"calendar"
                | b"platform"
                | b"this"
                | b"tokenize"
                | b"ast"
                | b"dis"
                | b"tabnanny"
        ) && module.source.is_none()
        {
            return self.quiet_module(module, rest, subject);
        }
        subject.raise(entry.risk);
        self.effect(subject, EffectKind::ExecuteText, None, module.span, Risk::Medium);
        match module.bytes.as_slice() {
            b"http.server" | b"SimpleHTTPServer" | b"pyftpdlib" | b"smtpd" => {
                self.effect(subject, EffectKind::OpenNetwork, None, module.span, Risk::Medium);
                self.hazard(&hazard::LISTENS, module.span);
                subject.raise(Risk::High);
            }
            b"pip" => {
                self.effect(subject, EffectKind::WritePath, None, module.span, Risk::Medium);
                self.run_rest(args, at.saturating_sub(1), subject);
            }
            b"venv" | b"virtualenv" => {
                for folder in rest.iter().filter(|arg| arg.bytes.first() != Some(&b'-')) {
                    self.write(folder, &folder.bytes, subject);
                }
            }
            b"ensurepip" => self.effect(subject, EffectKind::WritePath, None, module.span, Risk::Medium),
            b"pdb" | b"trace" | b"profile" | b"cProfile" | b"timeit" | b"code" | b"runpy" => subject.partial = true,
            b"zipfile" | b"tarfile" | b"gzip" => {
                for file in rest.iter().filter(|arg| arg.bytes.first() != Some(&b'-')) {
                    self.write(file, &file.bytes, subject);
                }
            }
            _ => {}
        }
    }

    /// A module that reads its first operand, or standard input, and prints; the second one is written.
    fn quiet_module(&mut self, module: &Argument, rest: &[Argument], subject: &mut Subject) {
        if module.bytes == b"base64" {
            subject.traits |= DECODES;
        }
        let mut operands = 0;
        let mut skip = false;
        for arg in rest {
            if skip {
                skip = false;
                continue;
            }
            if arg.bytes.first() == Some(&b'-') && arg.bytes.len() > 1 {
                skip = arg.bytes == b"--indent";
                continue;
            }
            operands += 1;
            match operands {
                1 => self.role(Role::Read, arg, &arg.bytes, subject),
                _ => self.write(arg, &arg.bytes, subject),
            }
        }
    }
}

/// The words without those that change nothing but how code is read and what is printed; `None` where another option
/// stands among them.
fn plain_words(language: Language, args: &[Argument]) -> Option<Vec<Argument>> {
    let mut words = Vec::with_capacity(args.len());
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        let word = arg.known()?;
        if word.first() != Some(&b'-') || word == b"-" || word == b"--" {
            words.extend_from_slice(args.get(at..).unwrap_or(&[]));
            return Some(words);
        }
        let next = args.get(at + 1).and_then(Argument::known);
        let step = match language {
            Language::Python => python_option(word)?,
            Language::JavaScript => node_option(word, next)?,
            Language::Perl => perl_option(word)?,
            Language::Ruby => ruby_option(word, next)?,
            _ => return None,
        };
        match step {
            Step::Keep => words.push(arg.clone()),
            Step::Drop(count) => {
                at += count;
                continue;
            }
            Step::Code(code) => {
                if let Some(code) = code {
                    words.push(Argument { bytes: code.into(), ..arg.clone() });
                } else {
                    words.push(arg.clone());
                }
                words.extend(args.get(at + 1).cloned());
                at += 1;
                if language == Language::Python {
                    // What follows belongs to the code.
                    words.extend_from_slice(args.get(at + 1..).unwrap_or(&[]));
                    return Some(words);
                }
            }
        }
        at += 1;
    }
    Some(words)
}

/// Whether Perl or Ruby opens the words of the command line one by one, and its code may change them.
fn reopens(language: Language, words: &[Argument]) -> bool {
    const CHANGES: [&[u8]; 8] = [b"ARGV", b"->", b"@{", b"@$", b"$$", b"%{", b"%$", b"${"];
    let loops = words.iter().any(|word| {
        let bytes = word.bytes.as_slice();
        bytes.first() == Some(&b'-') && bytes.iter().skip(1).take(8).any(|b| matches!(b, b'n' | b'p'))
    });
    let changes = CHANGES.get(..if language == Language::Perl { CHANGES.len() } else { 1 }).unwrap_or(&CHANGES);
    loops && words.iter().any(|word| changes.iter().any(|change| super::contains(&word.bytes, change)))
}

/// What an option is to code that follows.
enum Step {
    Keep,
    /// It and what belongs to it change nothing that matters: this many words.
    Drop(usize),
    /// The next word is code; the option is written like this.
    Code(Option<&'static [u8]>),
}

fn python_option(word: &[u8]) -> Option<Step> {
    let letters = word.get(1..)?;
    let (last, flags) = letters.split_last()?;
    let plain = |b: &u8| b"bBdEIOPqsSuv".contains(b);
    if !flags.iter().all(plain) {
        return None;
    }
    match last {
        b'c' => Some(Step::Code(None)),
        b'm' => Some(Step::Keep),
        last if plain(last) => Some(Step::Drop(1)),
        _ => None,
    }
}

fn node_option(word: &[u8], next: Option<&[u8]>) -> Option<Step> {
    match word {
        b"-p" | b"--print" if matches!(next, Some(b"-e" | b"--eval")) => Some(Step::Drop(1)),
        b"-e" | b"--eval" | b"-p" | b"--print" => Some(Step::Code(None)),
        b"-pe" => Some(Step::Code(Some(b"-e"))),
        b"--no-warnings"
        | b"--no-deprecation"
        | b"--trace-warnings"
        | b"--trace-uncaught"
        | b"--input-type=commonjs"
        | b"--input-type=module" => Some(Step::Drop(1)),
        _ => None,
    }
}

/// A separator of fields that is no expression of its own.
fn is_separator(value: &[u8]) -> bool {
    let value = value.strip_prefix(b"/").and_then(|v| v.strip_suffix(b"/")).unwrap_or(value);
    value.len() <= 16 && value.iter().all(|b| b.is_ascii_alphanumeric() || b"\\+*?:;,.=_-|\t ".contains(b))
}

fn perl_option(word: &[u8]) -> Option<Step> {
    if let Some(module) = word.strip_prefix(b"-M").or_else(|| word.strip_prefix(b"-m")) {
        return reader::is_harmless_module(Language::Perl, module).then_some(Step::Drop(1));
    }
    for (at, letter) in word.iter().skip(1).enumerate() {
        let rest = word.get(at + 2..).unwrap_or(&[]);
        match letter {
            b'n' | b'p' | b'l' | b'a' | b'w' | b'W' | b'X' | b'0'..=b'9' => {}
            b'i' => return Some(Step::Keep),
            b'F' => return is_separator(rest).then_some(Step::Keep),
            b'C' => return rest.iter().all(|b| b.is_ascii_alphanumeric()).then_some(Step::Keep),
            b'e' | b'E' if rest.is_empty() => return Some(Step::Code(None)),
            b'e' | b'E' => return Some(Step::Keep),
            _ => return None,
        }
    }
    Some(Step::Keep)
}

fn ruby_option(word: &[u8], next: Option<&[u8]>) -> Option<Step> {
    if word == b"-r" {
        return reader::is_harmless_module(Language::Ruby, next?).then_some(Step::Drop(2));
    }
    if let Some(module) = word.strip_prefix(b"-r") {
        return reader::is_harmless_module(Language::Ruby, module).then_some(Step::Drop(1));
    }
    if matches!(word, b"-W0" | b"-W1" | b"-W2" | b"--disable=gems" | b"--disable-gems") {
        return Some(Step::Drop(1));
    }
    for (at, letter) in word.iter().enumerate().skip(1) {
        let rest = word.get(at + 1..).unwrap_or(&[]);
        match letter {
            b'n' | b'p' | b'l' | b'a' | b'w' | b'0'..=b'9' => {}
            b'i' => return Some(Step::Keep),
            b'F' => return is_separator(rest).then_some(Step::Keep),
            b'e' if rest.is_empty() => return Some(Step::Code(None)),
            b'e' => return Some(Step::Keep),
            _ => return None,
        }
    }
    Some(Step::Keep)
}
