// SPDX-License-Identifier: MIT OR Apache-2.0
//! Code for interpreters: inline, from a file or from standard input.
//!
//! In: code text or the arguments of an interpreter. Out: effects of what the code calls, as far as its words
//! say. **Invariant:** this looks for calls, it does not parse the language: code is at least medium, and code
//! that could hide a call (evaluation, decoding, reflection) is high.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::analysis::{Argument, Source};
use super::super::catalogue::{Entry, Language, Mode};
use super::super::hazard;
use super::super::walk::Walker;
use super::script::{self, Touch};
use super::{DECODES, RUNS_INPUT, RUNS_WORD, Subject, contains};

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
const DANGER: [&[u8]; 5] = [b"rmtree('/')", b"rmtree(\"/\")", b"rm -rf /", b"rm -rf ~", b"/dev/sd"];

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
        self.effect(subject, EffectKind::ExecuteText, None, arg.span, Risk::Medium);
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
                Touch::Runs => {
                    self.effect(subject, EffectKind::ExecuteText, None, arg.span, Risk::High);
                    self.rule(subject, &hazard::INLINE_CODE, arg.span);
                }
                Touch::Reads(file) => self.read(arg, file, subject),
                Touch::Writes(file) => self.write(arg, file, subject),
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

    /// `python`, `node`, `perl` and the like.
    pub(in crate::command) fn interpreter(
        &mut self,
        language: Language,
        entry: &'static Entry,
        args: &[Argument],
        subject: &mut Subject,
    ) {
        let operands = self.options(entry, args, subject);
        if subject.has(Mode::Show) {
            return;
        }
        subject.raise(entry.risk);
        let inline = self
            .out
            .effects
            .iter()
            .rev()
            .take(16)
            .any(|e| e.kind == EffectKind::ExecuteText && e.span.start >= subject.span.start);
        if let Some(module) = args
            .iter()
            .position(|a| a.bytes == b"-m")
            .and_then(|at| args.get(at + 1))
            .filter(|_| language == Language::Python)
        {
            self.module(module, args, subject);
            return;
        }
        let script =
            operands.first().and_then(|position| args.get(*position)).filter(|arg| !super::is_stdin(&arg.bytes));
        match script {
            Some(_) if inline && language != Language::Php => {
                for arg in operands.iter().filter_map(|position| args.get(*position)) {
                    self.role(super::Role::Read, arg, &arg.bytes, subject);
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
                subject.traits |= RUNS_INPUT;
                self.standard_input(Some(language), subject);
            }
        }
    }

    fn module(&mut self, module: &Argument, args: &[Argument], subject: &mut Subject) {
        self.effect(subject, EffectKind::ExecuteText, None, module.span, Risk::Medium);
        match module.bytes.as_slice() {
            b"http.server" | b"SimpleHTTPServer" | b"pyftpdlib" => {
                self.effect(subject, EffectKind::OpenNetwork, None, module.span, Risk::Medium);
                self.hazard(&hazard::LISTENS, module.span);
                subject.raise(Risk::High);
            }
            b"pip" | b"ensurepip" | b"venv" | b"virtualenv" => {
                self.effect(subject, EffectKind::WritePath, None, module.span, Risk::Medium);
                if module.bytes == b"pip" {
                    let at = args.iter().position(|a| a.bytes == b"-m").map_or(args.len(), |at| at + 1);
                    self.run_rest(args, at, subject);
                }
            }
            b"pdb" | b"trace" | b"profile" | b"cProfile" | b"timeit" | b"code" | b"runpy" => subject.partial = true,
            b"base64" => subject.traits |= DECODES,
            _ => {}
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
