// SPDX-License-Identifier: MIT OR Apache-2.0
//! Code for interpreters: inline, from a file or from standard input.
//!
//! In: code text or the arguments of an interpreter. Out: effects of what the code calls, as far as its words
//! say. **Invariant:** this looks for calls, it does not parse the language: code is at least medium, and code
//! that could hide a call (evaluation, decoding, reflection) is high.

use std::ops::Range;

use ringfort_core::decision::Risk;
use ringfort_core::effect::{Effect, EffectKind, Span};

use super::super::analysis::{Argument, Arity, PlaceKind, Source};
use super::super::catalogue::{Entry, Language, Mode};
use super::super::code::{self, Touch};
use super::super::hazard;
use super::super::target;
use super::super::walk::Walker;
use super::script;
use super::{DECODES, Job, RUNS_INPUT, RUNS_WORD, Subject, contains};

/// Longest code that is looked at, in bytes; longer code is not understood.
const CODE_BYTES_MAX: usize = 256 << 10;

const PROCESS: [&[u8]; 31] = [
    b"os.system",
    b"subprocess",
    b"popen",
    b"Popen",
    b"pty.spawn",
    b"os.exec",
    b"os.spawn",
    b"posix_spawn",
    b"child_process",
    b"execSync",
    b"spawnSync",
    b"spawn(",
    b"exec(",
    b"exec ",
    b"system(",
    b"system ",
    b"shell_exec",
    b"passthru",
    b"proc_open",
    b"qx",
    b"`",
    b"Kernel.",
    b"Open3",
    b"IO.popen",
    b"os.execute",
    b"io.popen",
    b"Runtime.getRuntime",
    b"ProcessBuilder",
    b"do shell script",
    b"Deno.run",
    b"Deno.Command",
];
const EVALUATION: [&[u8]; 16] = [
    b"eval",
    b"__import__",
    b"compile(",
    b"exec(",
    b"importlib",
    b"getattr(",
    b"b64decode",
    b"fromhex",
    b"marshal",
    b"pickle",
    b"new Function",
    b"vm.run",
    b"unpack",
    b"Buffer.from",
    b"codecs.decode",
    b"base64_decode",
];
const NETWORK_CALLS: [&[u8]; 21] = [
    b"socket",
    b"urllib",
    b"requests.",
    b"http.client",
    b"httpx",
    b"aiohttp",
    b"ftplib",
    b"smtplib",
    b"paramiko",
    b"telnetlib",
    b"require('http",
    b"require(\"http",
    b"fetch(",
    b"require('net",
    b"require(\"net",
    b"Net::HTTP",
    b"LWP::",
    b"IO::Socket",
    b"TCPSocket",
    b"fsockopen",
    b"open-uri",
];
const DELETIONS: [&[u8]; 12] = [
    b"rmtree",
    b"os.remove",
    b"os.unlink",
    b".unlink(",
    b"rmSync",
    b"unlinkSync",
    b"fs.rm",
    b"unlink ",
    b"FileUtils.rm",
    b"File.delete",
    b"rmdir",
    b"remove_tree",
];
const WRITES: [&[u8]; 12] = [
    b"'w'",
    b"\"w\"",
    b"'a'",
    b"\"a\"",
    b"'wb'",
    b"write_text",
    b"writeFile",
    b"File.write",
    b"shutil.",
    b"os.rename",
    b"os.chmod",
    b"file_put_contents",
];
const SECRETS: [&[u8]; 10] = [
    b".ssh/",
    b"id_rsa",
    b".aws/",
    b"/etc/shadow",
    b".netrc",
    b".env'",
    b".env\"",
    b"os.environ",
    b"process.env",
    b"/proc/self/environ",
];
/// Most effects before inline code that are looked at for files which it could load.
const SHADOW_EFFECTS_MAX: usize = 1024;
/// Words by which code reads what a program before it prints.
const INPUTS: [&[u8]; 8] = [b"stdin", b"STDIN", b"input(", b"<>", b"gets", b"ARGF", b"open(0", b"readlines"];
/// Words by which code decodes text.
const DECODING: [&[u8]; 10] = [
    b"b64decode",
    b"b32decode",
    b"b85decode",
    b"fromhex",
    b"unhexlify",
    b"decompress",
    b"unpack",
    b"base64",
    b"atob(",
    b"decode64",
];
const DANGER: [&[u8]; 5] = [b"rmtree('/')", b"rmtree(\"/\")", b"rm -rf /", b"rm -rf ~", b"/dev/sd"];

/// Whether inline code was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Inline {
    /// All that it does is listed.
    Understood,
    /// It may do anything.
    Opaque,
}

impl Walker<'_> {
    /// Inline code.
    pub(in crate::command) fn code(&mut self, language: Language, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        if language == Language::Sed
            || language == Language::Sql
            || language == Language::Editor
            || language == Language::Awk
            || language == Language::Jq
        {
            self.small_language(language, arg, bytes, subject);
            return;
        }
        let Some(opaque) = self.read_code(language, arg, bytes, subject) else {
            subject.inline = subject.inline.max(Some(Inline::Understood));
            return;
        };
        subject.inline = Some(Inline::Opaque);
        self.effect(subject, EffectKind::ExecuteText, None, opaque, Risk::Medium);
        if arg.source.is_some() || bytes.len() > CODE_BYTES_MAX {
            subject.traits |= RUNS_WORD;
            self.rule(subject, &hazard::TEXT_EXECUTED, arg.span);
        }
        if language == Language::Other {
            subject.partial = true;
        }
        let bytes = bytes.get(..CODE_BYTES_MAX).unwrap_or(bytes);
        let any = |words: &[&[u8]]| words.iter().any(|word| contains(bytes, word));
        let process = any(&PROCESS);
        let network = any(&NETWORK_CALLS);
        if network {
            self.effect(subject, EffectKind::OpenNetwork, None, arg.span, Risk::Medium);
        }
        if process || any(&EVALUATION) {
            self.rule(subject, &hazard::INLINE_CODE, arg.span);
            if any(&INPUTS) {
                // It may well run what it reads.
                subject.traits |= RUNS_INPUT;
            }
        }
        if network
            && (process || contains(bytes, b"dup2"))
            && (contains(bytes, b"dup2")
                || contains(bytes, b"/sh")
                || contains(bytes, b"bash")
                || contains(bytes, b"pty"))
        {
            self.rule(subject, &hazard::REMOTE_SHELL, arg.span);
        }
        if any(&DELETIONS) {
            self.effect(subject, EffectKind::DeleteTree, None, arg.span, Risk::High);
            self.rule(subject, &hazard::DELETES_UNKNOWN, arg.span);
        }
        if any(&WRITES) {
            self.effect(subject, EffectKind::WritePath, None, arg.span, Risk::Medium);
        }
        if any(&SECRETS) {
            self.effect(subject, EffectKind::ReadSecret, None, arg.span, Risk::High);
            self.rule(subject, &hazard::READS_SECRET, arg.span);
        }
        if any(&DANGER) {
            self.rule(subject, &hazard::DELETES_EVERYTHING, arg.span);
        }
        if contains(bytes, b"setuid") || contains(bytes, b"setgid") {
            self.effect(subject, EffectKind::ChangePrivilege, None, arg.span, Risk::High);
        }
    }

    /// Reads the code as its language does, as far as that is possible, and records what it touches. Returns the
    /// place that was not understood, if any.
    fn read_code(&mut self, language: Language, arg: &Argument, bytes: &[u8], subject: &mut Subject) -> Option<Span> {
        if arg.source.is_some() || bytes.len() > CODE_BYTES_MAX || !self.has_reader(language, subject) {
            return Some(arg.span);
        }
        if language == Language::Python && contains(bytes, b"import") && self.is_shadowed() {
            return Some(arg.span);
        }
        let reading = code::read(language, bytes);
        let raw = arg.span.end.saturating_sub(arg.span.start);
        // Code between one quote on each side stands in the input as it is.
        let start = match raw.checked_sub(bytes.len()) {
            Some(0) => Some(arg.span.start),
            Some(2) if arg.bytes.len() == bytes.len() => Some(arg.span.start + 1),
            _ => None,
        };
        let place = |at: Range<usize>| start.map_or(arg.span, |start| Span::new(start + at.start, start + at.end));
        for found in reading.found {
            self.touched(found.touch, place(found.at), subject);
        }
        if DECODING.iter().any(|word| contains(bytes, word)) {
            subject.traits |= DECODES;
        }
        if reading.understood { None } else { Some(reading.why.map_or(arg.span, place)) }
    }

    /// Whether a module could be loaded from a file that this text writes, or from a folder outside the workspace: Python
    /// looks for modules in the working folder first.
    fn is_shadowed(&self) -> bool {
        let inside = match (self.cwd(), self.context.workspace) {
            (Some(cwd), Some(workspace)) => target::is_below(cwd, workspace),
            (None, _) => false,
            (Some(_), None) => true,
        };
        let written = |effect: &Effect| {
            effect.kind == EffectKind::WritePath
                && effect.target.as_deref().is_none_or(|path| path.contains(".py") || path.contains(".so"))
        };
        !inside
            || self.out.effects.len() > SHADOW_EFFECTS_MAX
            || self.out.effects.iter().take(SHADOW_EFFECTS_MAX).any(written)
    }

    /// Whether the program reads its code as the language's reader does: others have rules of their own.
    fn has_reader(&self, language: Language, subject: &Subject) -> bool {
        let name = self.out.commands.get(subject.index).and_then(|command| command.program.name()).unwrap_or(&[]);
        let base = name.strip_suffix(b".exe").unwrap_or(name);
        let stem = match base.iter().position(|b| b.is_ascii_digit() || *b == b'.') {
            Some(at) if base.iter().skip(at).all(|b| b.is_ascii_digit() || *b == b'.') => {
                base.get(..at).unwrap_or(base)
            }
            _ => base,
        };
        if base.starts_with(b"python2") || !code::has_reader(language) {
            return false;
        }
        matches!(stem, b"python" | b"pypy" | b"node" | b"nodejs" | b"deno" | b"perl" | b"ruby" | b"jruby")
    }

    /// The effect of one thing that code touches.
    fn touched(&mut self, touch: Touch, span: Span, subject: &mut Subject) {
        let argument = |value: Option<Vec<u8>>| match value {
            Some(bytes) => Argument::exact(&bytes, span),
            None => Argument { arity: Arity::One, ..Argument::hole(Source::Variable, span) },
        };
        match touch {
            // A program that is started through another language asks for a cage whatever it is: what is seen here are
            // its words, not what the code around them does with it.
            Touch::Shell(Some(text)) => {
                self.rule(subject, &hazard::INLINE_CODE, span);
                subject.jobs.push(Job::Text { text: Argument::exact(&text, span), kind: PlaceKind::Text });
            }
            Touch::Shell(None) => {
                subject.traits |= RUNS_WORD;
                self.effect(subject, EffectKind::ExecuteText, None, span, Risk::High);
                self.rule(subject, &hazard::TEXT_EXECUTED, span);
            }
            Touch::Words(words) => {
                self.rule(subject, &hazard::INLINE_CODE, span);
                subject.jobs.push(Job::Words(words.into_iter().map(argument).collect()));
            }
            Touch::Read(path) => {
                let arg = argument(path);
                self.read(&arg, &arg.bytes, subject);
            }
            Touch::List(path) => {
                let arg = argument(path);
                self.role(super::Role::List, &arg, &arg.bytes, subject);
            }
            Touch::Write(path) => {
                let arg = argument(path);
                self.write(&arg, &arg.bytes, subject);
            }
            Touch::Delete(path) => {
                let arg = argument(path);
                self.delete(&arg, &arg.bytes, subject);
            }
            Touch::DeleteTree(path) => {
                let arg = argument(path);
                subject.set(Mode::Recursive);
                self.delete(&arg, &arg.bytes, subject);
            }
            Touch::Network(host) => {
                let arg = argument(host);
                self.host(&arg, &arg.bytes, subject);
            }
            Touch::Listens => {
                self.effect(subject, EffectKind::OpenNetwork, None, span, Risk::Medium);
                self.rule(subject, &hazard::LISTENS, span);
            }
            Touch::Environment => self.effect(subject, EffectKind::Unknown, None, span, Risk::Low),
            Touch::Privilege => {
                self.effect(subject, EffectKind::ChangePrivilege, None, span, Risk::High);
                self.rule(subject, &hazard::CHANGES_PRIVILEGE, span);
            }
            Touch::Kill => self.effect(subject, EffectKind::Kill, None, span, Risk::Medium),
        }
    }

    fn small_language(&mut self, language: Language, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        let any = |words: &[&[u8]]| words.iter().any(|word| contains(bytes, word));
        let upper = bytes.to_ascii_uppercase();
        let sql = |words: &[&[u8]]| words.iter().any(|word| contains(&upper, word));
        match language {
            Language::Editor => {
                self.effect(subject, EffectKind::ExecuteText, None, arg.span, Risk::Medium);
                if any(&[
                    b"!", b"system", b"shell", b"python", b"py3", b"lua", b"perl", b"ruby", b"term", b"job", b"delete",
                    b"call",
                ]) {
                    self.rule(subject, &hazard::INLINE_CODE, arg.span);
                }
            }
            Language::Sql => {
                if sql(&[b"DROP ", b"TRUNCATE ", b"DELETE FROM", b"FLUSHALL", b"FLUSHDB"]) {
                    self.rule(subject, &hazard::DESTROYS_REMOTE, arg.span);
                }
                if any(&[b"\\!", b"\\o", b"\\w", b"\\i", b"\\copy"])
                    || dot_command(bytes)
                    || sql(&[
                        b"ATTACH",
                        b"WRITEFILE",
                        b"READFILE",
                        b"VACUUM INTO",
                        b"READ_CSV",
                        b"READ_JSON",
                        b"READ_PARQUET",
                        b"READ_TEXT",
                        b"INSTALL ",
                        b"LOAD ",
                        b"EXPORT ",
                        b"IMPORT ",
                        b"COPY ",
                        b"OUTFILE",
                        b"LOAD_FILE",
                        b"LOAD_EXTENSION",
                        b"PG_READ",
                        b"XP_CMDSHELL",
                        b"CONFIG SET",
                        b"EVAL ",
                    ])
                    || any(&[b"edit("])
                {
                    self.rule(subject, &hazard::INLINE_CODE, arg.span);
                }
            }
            Language::Jq => {
                subject.filter = Some(arg.span);
                // yq reads further files; both show the environment.
                if any(&[b"load", b"import", b"include"]) {
                    self.effect(subject, EffectKind::ReadPath, None, arg.span, Risk::Low);
                }
                let shows = |word: &&[u8]| matches!(*word, b"env" | b"$ENV" | b"strenv" | b"envsubst");
                if bytes
                    .split(|b| !b.is_ascii_alphanumeric() && !matches!(b, b'$' | b'_' | b'.' | b'"'))
                    .any(|w| shows(&w))
                {
                    self.effect(subject, EffectKind::Unknown, None, arg.span, Risk::Low);
                }
            }
            Language::Awk => {
                if awk_runs(bytes) {
                    self.effect(subject, EffectKind::ExecuteText, None, arg.span, Risk::High);
                    self.rule(subject, &hazard::INLINE_CODE, arg.span);
                }
                if contains(bytes, b"/inet") {
                    self.effect(subject, EffectKind::OpenNetwork, None, arg.span, Risk::High);
                }
                if awk_prints_to_file(bytes) {
                    self.effect(subject, EffectKind::WritePath, None, arg.span, Risk::Medium);
                }
                if contains(bytes, b"getline") && contains(bytes, b"<") || contains(bytes, b"ARGV[") {
                    self.effect(subject, EffectKind::ReadPath, None, arg.span, Risk::Low);
                }
                if contains(bytes, b"ENVIRON") {
                    self.effect(subject, EffectKind::Unknown, None, arg.span, Risk::Low);
                }
                if any(&SECRETS) {
                    self.effect(subject, EffectKind::ReadSecret, None, arg.span, Risk::High);
                }
                self.unknown_program_text(arg, subject);
            }
            _ => {
                self.sed_script(arg, bytes, subject);
                self.unknown_program_text(arg, subject);
            }
        }
    }

    /// A script of sed, read command by command.
    fn sed_script(&mut self, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        let Some(touches) = script::sed(bytes) else {
            // Another dialect, or a part that is only known at run time.
            self.effect(subject, EffectKind::Unknown, None, arg.span, Risk::Medium);
            subject.partial = true;
            return;
        };
        for touch in touches {
            match touch {
                script::Touch::Runs => {
                    self.effect(subject, EffectKind::ExecuteText, None, arg.span, Risk::High);
                    self.rule(subject, &hazard::INLINE_CODE, arg.span);
                }
                script::Touch::Reads(file) => self.read(arg, file, subject),
                script::Touch::Writes(file) => self.write(arg, file, subject),
            }
        }
    }

    /// A program text with a part that is not known may run anything that its language can.
    fn unknown_program_text(&mut self, arg: &Argument, subject: &mut Subject) {
        if matches!(arg.source, Some(Source::Variable | Source::Substitution | Source::Input)) {
            self.effect(subject, EffectKind::Unknown, None, arg.span, Risk::Medium);
            subject.partial = true;
        }
    }

    pub(in crate::command) fn stream_editor(
        &mut self,
        entry: &'static Entry,
        args: &[Argument],
        subject: &mut Subject,
    ) {
        let operands = self.options(entry, args, subject);
        let given = args.iter().any(|a| {
            let bytes = a.bytes.as_slice();
            let short = bytes.first() == Some(&b'-')
                && bytes.get(1) != Some(&b'-')
                && bytes.iter().any(|b| matches!(b, b'e' | b'f'));
            short || [&b"--expression"[..], b"--file", b"--source"].iter().any(|long| bytes.starts_with(long))
        });
        self.base(entry, subject);
        if subject.has(Mode::InPlace) {
            subject.raise(Risk::Medium);
        }
        for (count, arg) in operands.iter().filter_map(|position| args.get(*position)).enumerate() {
            let role = if count == 0 && !given { entry.operands.first() } else { entry.operands.last() };
            if let Some(role) = role {
                self.role(*role, arg, &arg.bytes, subject);
            }
        }
    }
}

/// Whether a text holds a command of the sqlite shell other than those that only show something.
fn dot_command(text: &[u8]) -> bool {
    const SHOWS: [&[u8]; 22] = [
        b"tables",
        b"schema",
        b"fullschema",
        b"indexes",
        b"indices",
        b"databases",
        b"dump",
        b"headers",
        b"header",
        b"mode",
        b"width",
        b"show",
        b"help",
        b"stats",
        b"timer",
        b"nullvalue",
        b"separator",
        b"quit",
        b"exit",
        b"bail",
        b"echo",
        b"eqp",
    ];
    text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_start).any(|line| {
        let Some(name) = line.strip_prefix(b".") else { return false };
        let name = name.split(u8::is_ascii_whitespace).next().unwrap_or(name);
        !SHOWS.contains(&name)
    })
}

/// Whether an awk program starts commands: `system`, a pipe, or a loaded library.
fn awk_runs(code: &[u8]) -> bool {
    if contains(code, b"system") || contains(code, b"/inet") {
        return true;
    }
    let mut at = 0;
    let mut before = b';';
    while let Some(byte) = code.get(at) {
        match byte {
            b'"' => at = skip_to(code, at + 1, b'"'),
            b'/' if matches!(before, b'(' | b',' | b'!' | b'~' | b'&' | b'|' | b'{' | b'}' | b';') => {
                at = skip_to(code, at + 1, b'/')
            }
            b'|' if code.get(at + 1) == Some(&b'|') => at += 1,
            // `@load`, `@include` and calls of a function by a name in a variable.
            b'|' | b'@' => return true,
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            before = *byte;
        }
        at += 1;
    }
    false
}

/// Whether an awk program prints to a file: a `>` outside parentheses after `print` or `printf`.
fn awk_prints_to_file(code: &[u8]) -> bool {
    let mut at = 0;
    while let Some(rest) = code.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.first() == Some(&b'"') {
            at = skip_to(code, at + 1, b'"') + 1;
            continue;
        }
        let word = at == 0 || code.get(at - 1).is_some_and(|b| !b.is_ascii_alphanumeric() && *b != b'_');
        if !(word && rest.starts_with(b"print")) {
            at += 1;
            continue;
        }
        let mut depth = 0_u32;
        while let Some(byte) = code.get(at) {
            match byte {
                b'"' => at = skip_to(code, at + 1, b'"'),
                b'(' | b'[' => depth += 1,
                b')' | b']' => depth = depth.saturating_sub(1),
                b'>' if depth == 0 => return true,
                b';' | b'}' | b'\n' if depth == 0 => break,
                _ => {}
            }
            at += 1;
        }
    }
    false
}

/// The position of the next unescaped `end`.
fn skip_to(code: &[u8], from: usize, end: u8) -> usize {
    let mut at = from;
    while let Some(byte) = code.get(at) {
        if *byte == end {
            return at;
        }
        at += if *byte == b'\\' { 2 } else { 1 };
    }
    at
}
