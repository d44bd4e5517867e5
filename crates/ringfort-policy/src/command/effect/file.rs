// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that remove, pack, find or overwrite files, and git, whose words need more than a table.
//!
//! In: arguments. Out: effects. **Invariant:** the scope of a deletion that is not known is taken to be wide.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::analysis::{Argument, HOLE, Source};
use super::super::catalogue::{Entry, Language, Mode, Role};
use super::super::hazard;
use super::super::syntax::RedirectOp;
use super::super::target::{self, Class};
use super::super::walk::Walker;
use super::{Job, Subject, contains, split_value};

/// Programs that only look at files, and show no more of them than a search does.
pub(super) const LOOKS: [&[u8]; 11] =
    [b"grep", b"egrep", b"fgrep", b"wc", b"ls", b"stat", b"file", b"du", b"md5sum", b"sha256sum", b"sha1sum"];

/// Tests of `find` whose next word is a value.
const FIND_VALUES: [&[u8]; 32] = [
    b"-name",
    b"-iname",
    b"-path",
    b"-ipath",
    b"-wholename",
    b"-iwholename",
    b"-regex",
    b"-iregex",
    b"-lname",
    b"-ilname",
    b"-type",
    b"-xtype",
    b"-user",
    b"-group",
    b"-uid",
    b"-gid",
    b"-perm",
    b"-size",
    b"-mtime",
    b"-mmin",
    b"-atime",
    b"-amin",
    b"-ctime",
    b"-cmin",
    b"-used",
    b"-links",
    b"-inum",
    b"-fstype",
    b"-maxdepth",
    b"-mindepth",
    b"-printf",
    b"-regextype",
];

impl Walker<'_> {
    /// Removing a file, or a tree in recursive mode.
    pub(in crate::command) fn delete(&mut self, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        let target = self.resolve(arg, bytes);
        let class = target::class(&target.path, self.cwd(), self.context);
        let tree = subject.has(Mode::Recursive);
        let kind =
            if tree || arg.source == Some(Source::Glob) { EffectKind::DeleteTree } else { EffectKind::DeletePath };
        self.effect(subject, kind, target.text(), arg.span, Risk::Medium);
        let holes = bytes.contains(&HOLE);
        match class {
            Class::Root if tree || arg.source == Some(Source::Glob) => {
                self.rule(subject, &hazard::DELETES_EVERYTHING, arg.span)
            }
            Class::System | Class::Device | Class::Startup if tree => {
                self.rule(subject, &hazard::DELETES_EVERYTHING, arg.span)
            }
            Class::System | Class::Device | Class::Startup | Class::ProjectStartup => {
                self.rule(subject, &hazard::WRITES_SYSTEM, arg.span)
            }
            _ if contains(&target.path, b"/var/log") || target.path.ends_with(b"_history") => {
                self.rule(subject, &hazard::HIDES_TRACES, arg.span)
            }
            Class::Root => subject.raise(Risk::High),
            Class::Whole => self.rule(subject, &hazard::DELETES_WORKSPACE, arg.span),
            _ if holes || !target.certain => self.rule(subject, &hazard::DELETES_UNKNOWN, arg.span),
            Class::Outside | Class::Unknown if tree => self.rule(subject, &hazard::DELETES_OUTSIDE, arg.span),
            _ if target::is_below(&target.path, b".git") || target.path.ends_with(b"/.git") => {
                self.rule(subject, &hazard::REWRITES_HISTORY, arg.span)
            }
            _ => {}
        }
        if holes && bytes.first() == Some(&HOLE) && bytes.get(1) == Some(&b'/') && tree {
            // An unset variable leaves a path below the root.
            self.rule(subject, &hazard::DELETES_UNKNOWN, arg.span);
        }
    }

    pub(in crate::command) fn remove(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) {
        let operands = self.options(entry, args, subject);
        self.base(entry, subject);
        for arg in operands.iter().filter_map(|position| args.get(*position)) {
            self.delete(arg, &arg.bytes, subject);
            if let Some(cwd) = self.fallback_cwd() {
                // The folder may not have changed: the same words then mean the folder before.
                let current = self.replace_cwd(Some(cwd));
                self.delete(arg, &arg.bytes, subject);
                self.replace_cwd(current);
            }
        }
    }

    /// A redirection without a program, the last command so far.
    pub(in crate::command) fn emptied_by(&mut self, index: usize) {
        let Some(command) = self.out.commands.get(index) else { return };
        let mut subject = Subject::new(index, command.effects.start, command.span);
        self.emptied(&[], &[], &mut subject);
        let end = self.out.effects.len();
        self.out.risk = self.out.risk.max(subject.risk);
        if let Some(command) = self.out.commands.get_mut(index) {
            command.risk = command.risk.max(subject.risk);
            command.effects.end = end;
        }
    }

    /// Files that are cut off: as good as removed, unless they are of the kind that programs write anew anyway.
    pub(in crate::command) fn emptied(&mut self, args: &[Argument], operands: &[usize], subject: &mut Subject) {
        const ANEW: [&[u8]; 8] = [b".log", b".out", b".err", b".tmp", b".pid", b".lock", b".txt.new", b".cache"];
        let anew = |path: &[u8]| ANEW.iter().any(|end| path.ends_with(end));
        let cut = |arg: &Argument| matches!(arg.bytes.as_slice(), b"-s0" | b"--size=0" | b"--size=00");
        let pair = |pair: &[Argument]| matches!(pair, [option, size] if matches!(option.bytes.as_slice(), b"-s" | b"--size") && size.bytes == b"0");
        if !operands.is_empty() && (args.iter().any(cut) || args.windows(2).any(pair)) {
            for arg in operands.iter().filter_map(|position| args.get(*position)).filter(|arg| !anew(&arg.bytes)) {
                self.cut_off(arg, &arg.bytes, subject);
            }
        }
        let redirections = self.out.commands.get(subject.index).map(|c| c.redirections.clone()).unwrap_or_default();
        for redirection in
            redirections.iter().filter(|r| r.op == RedirectOp::Write && r.descriptor.is_none_or(|d| d == 1))
        {
            if !anew(&redirection.target.bytes) {
                self.cut_off(&redirection.target, &redirection.target.bytes, subject);
            }
        }
    }

    /// A new file whose name nothing has yet.
    pub(in crate::command) fn fresh(&mut self, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        if subject.has(Mode::Show) || bytes.is_empty() {
            return;
        }
        let target = self.resolve(arg, bytes);
        let class = target::class(&target.path, self.cwd(), self.context);
        if class != Class::Temporary || !target.certain {
            self.write(arg, bytes, subject);
        }
    }

    /// The expression of `rename`: a substitution without code is harmless, anything else is Perl.
    pub(in crate::command) fn rename(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) {
        let operands = self.options(entry, args, subject);
        let mut operands = operands.iter().filter_map(|position| args.get(*position));
        if !subject.has(Mode::ProgramGiven)
            && let Some(expression) = operands.next()
            && !expression.known().is_some_and(only_substitutes)
        {
            self.role(Role::Code(Language::Perl), expression, &expression.bytes, subject);
        }
        for arg in operands {
            self.write(arg, &arg.bytes, subject);
        }
        // What is found by the expression lands beside what was there.
        self.effect(subject, EffectKind::WritePath, self.folder_text(), subject.span, Risk::Medium);
    }

    fn folder_text(&self) -> Option<String> {
        self.cwd().map(|folder| String::from_utf8_lossy(folder).into_owned())
    }

    /// `cp /dev/null file` and its like.
    pub(in crate::command) fn copied_nothing(&mut self, args: &[Argument], subject: &mut Subject) {
        let program = self.out.commands.get(subject.index).and_then(|command| command.program.name());
        let from = |arg: &&Argument| matches!(arg.bytes.as_slice(), b"/dev/null" | b"if=/dev/null");
        let first = args.iter().find(|arg| arg.bytes.first() != Some(&b'-')).filter(from).is_some();
        match program {
            Some(b"cat") if args.len() == 1 => self.emptied(&[], &[], subject),
            Some(b"cp" | b"install" | b"dd") if first => {
                if let Some(to) = args.last().cloned() {
                    let file = to.bytes.strip_prefix(b"of=").unwrap_or(&to.bytes);
                    self.cut_off(&to, file, subject);
                }
            }
            _ => {}
        }
    }

    fn cut_off(&mut self, arg: &Argument, bytes: &[u8], subject: &mut Subject) {
        let target = self.resolve(arg, bytes);
        if target::class(&target.path, self.cwd(), self.context) == Class::Inside {
            self.effect(subject, EffectKind::DeletePath, target.into_text(), arg.span, Risk::Medium);
        }
    }

    /// `cpio` and `pax` take the names of what they pack, or the archive they unpack, from standard input.
    pub(in crate::command) fn archive(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) {
        let operands = self.options(entry, args, subject);
        self.base(entry, subject);
        let letter = |letter: u8| {
            args.iter().any(|arg| {
                arg.bytes.first() == Some(&b'-') && arg.bytes.get(1) != Some(&b'-') && arg.bytes.contains(&letter)
            })
        };
        let packs = letter(b'o') || letter(b'p') || letter(b'w') || args.iter().any(|arg| arg.bytes.starts_with(b"--"));
        let unpacks = letter(b'i') || letter(b'r') || letter(b'p');
        if packs && !letter(b't') {
            self.effect(subject, EffectKind::ReadPath, None, subject.span, Risk::Low);
        }
        if unpacks && !letter(b't') {
            self.effect(subject, EffectKind::WritePath, None, subject.span, Risk::Medium);
        }
        for arg in operands.iter().filter_map(|position| args.get(*position)) {
            if letter(b'p') || letter(b'w') {
                self.write(arg, &arg.bytes, subject)
            } else {
                self.read(arg, &arg.bytes, subject)
            }
        }
    }

    pub(in crate::command) fn find(&mut self, args: &[Argument], subject: &mut Subject) {
        let mut at = 0;
        let mut roots = Vec::new();
        while let Some(arg) = args.get(at) {
            if matches!(arg.bytes.first(), Some(b'-' | b'(' | b')' | b'!' | b',')) {
                if !matches!(arg.bytes.as_slice(), b"-H" | b"-L" | b"-P" | b"-O0" | b"-O1" | b"-O2" | b"-O3")
                    || !roots.is_empty()
                {
                    break;
                }
            } else {
                if arg.bytes.first() == Some(&HOLE) && arg.arity == super::Arity::Any {
                    self.rule(subject, &hazard::OPTION_UNKNOWN, arg.span);
                }
                roots.push(arg);
                self.role(Role::List, arg, &arg.bytes, subject);
            }
            at += 1;
        }
        while let Some(arg) = args.get(at) {
            at += 1;
            match arg.bytes.as_slice() {
                b"-delete" => self.find_delete(&roots, at > 2, arg, subject),
                b"-exec" | b"-execdir" | b"-ok" | b"-okdir" => {
                    let rest = args.get(at..).unwrap_or(&[]);
                    let length = rest.iter().position(|a| a.bytes == b";" || a.bytes == b"+").unwrap_or(rest.len());
                    let words = rest.get(..length).unwrap_or(&[]);
                    let looks = words.first().and_then(Argument::known).is_some_and(|name| LOOKS.contains(&name))
                        && words.iter().all(|word| word.bytes == b"{}" || !contains(&word.bytes, b"{}"));
                    let words = match roots.as_slice() {
                        // It looks at what lies below the folders that are searched, like a search of its own.
                        roots if looks && !roots.is_empty() => words
                            .iter()
                            .flat_map(|word| if word.bytes == b"{}" { roots.to_vec() } else { vec![word] })
                            .cloned()
                            .collect(),
                        _ => words.iter().map(found_file).collect(),
                    };
                    subject.jobs.push(Job::Words(words));
                    at += length + 1;
                }
                b"-fprint" | b"-fprint0" | b"-fprintf" | b"-fls" => {
                    if let Some(file) = args.get(at) {
                        self.write(file, &file.bytes, subject);
                    }
                    at += 1;
                }
                b"-files0-from" => {
                    if let Some(file) = args.get(at) {
                        self.read(file, &file.bytes, subject);
                    }
                    at += 1;
                }
                b"-newer" | b"-samefile" | b"-anewer" | b"-cnewer" => at += 1,
                // The word after a test is its value, as long as it stays one word.
                test if FIND_VALUES.contains(&test) || test.starts_with(b"-newer") => {
                    at += usize::from(args.get(at).is_some_and(|value| value.arity == super::Arity::One));
                }
                _ if arg.bytes.first() == Some(&HOLE) => self.rule(subject, &hazard::OPTION_UNKNOWN, arg.span),
                _ => {}
            }
        }
        if let Some(name) =
            args.iter().skip_while(|a| !matches!(a.bytes.as_slice(), b"-name" | b"-iname" | b"-path")).nth(1)
        {
            let target = self.resolve(name, &name.bytes);
            let inside = |root: &&Argument| {
                let place = self.resolve(root, &root.bytes);
                matches!(
                    target::class(&place.path, self.cwd(), self.context),
                    Class::Inside | Class::Whole | Class::Temporary
                )
            };
            let reads = !subject.jobs.is_empty() || !roots.iter().all(inside);
            if reads && target::is_secret(&target.path, self.context) {
                self.effect(subject, EffectKind::ReadSecret, None, name.span, Risk::High);
            }
        }
    }

    fn find_delete(&mut self, roots: &[&Argument], filtered: bool, arg: &Argument, subject: &mut Subject) {
        self.effect(subject, EffectKind::DeleteTree, None, arg.span, Risk::Medium);
        for root in roots {
            let target = self.resolve(root, &root.bytes);
            match target::class(&target.path, self.cwd(), self.context) {
                Class::Root | Class::System | Class::Device if !filtered || target.path == b"/" => {
                    self.rule(subject, &hazard::DELETES_EVERYTHING, root.span)
                }
                Class::Inside | Class::Temporary if target.certain => {}
                Class::Whole if filtered => {}
                Class::Whole => self.rule(subject, &hazard::DELETES_WORKSPACE, root.span),
                Class::Root if target.path != b"/" => subject.raise(Risk::High),
                _ => self.rule(subject, &hazard::DELETES_OUTSIDE, root.span),
            }
        }
    }

    pub(in crate::command) fn tar(&mut self, args: &[Argument], subject: &mut Subject) {
        let first = args.first().map(|a| a.bytes.as_slice()).unwrap_or(&[]);
        let mut extracts = false;
        let mut creates = false;
        let mut at = 0;
        let mut archive = None;
        let mut folder: Vec<u8> = Vec::new();
        while let Some(arg) = args.get(at) {
            at += 1;
            let bytes = arg.bytes.as_slice();
            if bytes.starts_with(b"--") {
                let (name, value) = split_value(bytes);
                creates |= matches!(name, b"--create" | b"--append" | b"--update");
                extracts |= matches!(name, b"--extract" | b"--get");
                if name == b"--file" {
                    archive = value
                        .map(|value| (arg, value.to_vec()))
                        .or_else(|| args.get(at).map(|next| (next, next.bytes.to_vec())));
                }
                if name == b"--directory" {
                    folder = value
                        .map_or_else(|| args.get(at).map(|next| next.bytes.to_vec()), |v| Some(v.to_vec()))
                        .unwrap_or_default();
                }
                at += self.tar_long(arg, args.get(at), subject);
                continue;
            }
            if bytes.first() != Some(&b'-') && at != 1 {
                if creates && !extracts {
                    let joined = if folder.is_empty() { Vec::new() } else { [&folder[..], b"/", bytes].concat() };
                    self.read(arg, if joined.is_empty() { bytes } else { &joined }, subject);
                }
                continue;
            }
            let letters = if bytes.first() == Some(&b'-') { bytes.get(1..).unwrap_or(&[]) } else { first };
            creates |= letters.iter().any(|b| matches!(b, b'c' | b'r' | b'u'));
            extracts |= letters.contains(&b'x');
            for letter in letters {
                let Some(next) = args.get(at) else { break };
                match letter {
                    b'f' => archive = Some((next, next.bytes.to_vec())),
                    b'I' | b'F' => subject.jobs.push(Job::Text { text: next.clone(), kind: super::PlaceKind::Text }),
                    b'T' => {
                        self.read(next, &next.bytes, subject);
                        self.effect(subject, EffectKind::ReadPath, None, next.span, Risk::Low);
                    }
                    b'X' => self.read(next, &next.bytes, subject),
                    b'g' => self.write(next, &next.bytes, subject),
                    b'C' => folder = next.bytes.to_vec(),
                    _ => continue,
                }
                at += 1;
            }
        }
        if let Some((arg, bytes)) = archive {
            let host = bytes.split(|b| *b == b'/').next().unwrap_or(&bytes);
            if host.contains(&b':') {
                self.host(arg, &bytes, subject);
            } else if creates {
                self.write(arg, &bytes, subject);
            } else {
                self.read(arg, &bytes, subject);
            }
        }
        if extracts {
            self.effect(subject, EffectKind::WritePath, None, subject.span, Risk::Medium);
        }
    }

    /// A long option of tar; returns how many following words are its value.
    fn tar_long(&mut self, arg: &Argument, next: Option<&Argument>, subject: &mut Subject) -> usize {
        const COMMANDS: [&[u8]; 7] = [
            b"--use-compress-program",
            b"--to-command",
            b"--info-script",
            b"--new-volume-script",
            b"--rsh-command",
            b"--rmt-command",
            b"--checkpoint-action",
        ];
        let (name, value) = split_value(&arg.bytes);
        let runs = name.len() > 4 && COMMANDS.iter().any(|option| option.starts_with(name));
        if !runs {
            let text = value.or(next.map(|next| next.bytes.as_slice())).unwrap_or(&[]);
            match name {
                b"--files-from" => self.effect(subject, EffectKind::ReadPath, None, arg.span, Risk::Low),
                b"--listed-incremental" | b"--index-file" => self.write(arg, text, subject),
                b"--remove-files" => self.effect(subject, EffectKind::DeleteTree, None, arg.span, Risk::Medium),
                _ => {}
            }
            let takes = [
                &b"--file"[..],
                b"--directory",
                b"--exclude",
                b"--exclude-from",
                b"--files-from",
                b"--transform",
                b"--listed-incremental",
                b"--index-file",
            ];
            return usize::from(value.is_none() && takes.contains(&name));
        }
        let (text, taken) = match (value, next) {
            (Some(value), _) => (Argument { bytes: value.into(), ..arg.clone() }, 0),
            (None, Some(next)) => (next.clone(), 1),
            (None, None) => return 0,
        };
        if b"--checkpoint-action".starts_with(name) {
            if let Some(command) = text.bytes.strip_prefix(b"exec=") {
                subject.jobs.push(Job::Text {
                    text: Argument { bytes: command.into(), ..text.clone() },
                    kind: super::PlaceKind::Text,
                });
            }
        } else {
            subject.jobs.push(Job::Text { text, kind: super::PlaceKind::Text });
        }
        taken
    }

    pub(in crate::command) fn dd(&mut self, args: &[Argument], subject: &mut Subject) {
        subject.raise(Risk::Medium);
        for arg in args {
            match split_value(&arg.bytes) {
                (b"if", Some(file)) => self.read(arg, file, subject),
                (b"of", Some(file)) => self.write(arg, file, subject),
                _ => {}
            }
        }
    }

    pub(in crate::command) fn chmod(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) {
        let operands = self.options(entry, args, subject);
        self.base(entry, subject);
        let mut operands = operands.iter().filter_map(|position| args.get(*position));
        let Some(mode) = operands.next() else { return };
        let digits = mode.bytes.iter().position(|b| *b != b'0').and_then(|at| mode.bytes.get(at..)).unwrap_or(&[]);
        let numeric = digits.len() >= 4 && mode.bytes.iter().all(u8::is_ascii_digit) && !digits.starts_with(b"1");
        let sets_id =
            numeric || (contains(&mode.bytes, b"+") || contains(&mode.bytes, b"=")) && mode.bytes.contains(&b's');
        if sets_id {
            self.effect(subject, EffectKind::ChangePrivilege, None, mode.span, Risk::High);
            self.rule(subject, &hazard::CHANGES_PRIVILEGE, mode.span);
        }
        for arg in operands {
            let target = self.resolve(arg, &arg.bytes);
            let class = target::class(&target.path, self.cwd(), self.context);
            self.effect(subject, EffectKind::WritePath, target.text(), arg.span, Risk::Medium);
            match class {
                Class::Root if target.path == b"/" || subject.has(Mode::Recursive) => {
                    self.rule(subject, &hazard::WEAKENS_SECURITY, arg.span)
                }
                Class::System | Class::Device | Class::Startup => self.rule(subject, &hazard::WRITES_SYSTEM, arg.span),
                _ if target::is_secret(&target.path, self.context)
                    && mode.bytes.last().is_some_and(|b| !matches!(b, b'0')) =>
                {
                    subject.raise(Risk::High)
                }
                _ => {}
            }
        }
    }
}

/// Whether a Perl expression is one `s`, `y` or `tr` without code: no `e`, no embedded code, no folder in the result.
fn only_substitutes(expression: &[u8]) -> bool {
    let rest = expression.strip_prefix(b"s").or_else(|| expression.strip_prefix(b"y"));
    let Some((mark, rest)) = rest.or_else(|| expression.strip_prefix(b"tr")).and_then(<[u8]>::split_first) else {
        return false;
    };
    if !matches!(mark, b'/' | b'|' | b',' | b'#' | b'!')
        || contains(rest, b"(?") && contains(rest, b"{")
        || contains(rest, b"@")
    {
        return false;
    }
    let unescaped = |at: &usize| rest.get(at.wrapping_sub(1)) != Some(&b'\\');
    let marks: Vec<usize> =
        rest.iter().enumerate().filter(|(_, b)| *b == mark).map(|(at, _)| at).filter(unescaped).collect();
    let [middle, end] = marks.as_slice() else { return false };
    let result = rest.get(*middle..*end).unwrap_or(rest);
    let flags = rest.get(end + 1..).unwrap_or(&[]);
    flags.iter().all(|b| matches!(b, b'g' | b'i' | b'x' | b's' | b'm' | b'd' | b'r' | b'c'))
        && !contains(result, b"\\/")
        && !contains(result, b"..")
        && (*mark == b'/' || !result.contains(&b'/'))
}

/// `{}` becomes a file that is only known at run time.
fn found_file(arg: &Argument) -> Argument {
    if !contains(&arg.bytes, b"{}") {
        return arg.clone();
    }
    let mut bytes = Vec::with_capacity(arg.bytes.len());
    let mut rest = arg.bytes.as_slice();
    while let Some((first, tail)) = rest.split_first() {
        if rest.starts_with(b"{}") {
            bytes.push(HOLE);
            rest = rest.get(2..).unwrap_or(&[]);
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Argument { bytes: bytes.into(), source: Some(Source::Input), ..arg.clone() }
}

/// Words joined by spaces, as `eval` and `ssh` do.
pub(in crate::command) fn join(args: &[Argument], subject: &Subject) -> Argument {
    let mut bytes = Vec::new();
    let mut source = None;
    let span = match (args.first(), args.last()) {
        (Some(first), Some(last)) => super::Span::new(first.span.start, last.span.end.max(first.span.end)),
        _ => subject.span,
    };
    for (count, arg) in args.iter().enumerate() {
        if count > 0 {
            bytes.push(b' ');
        }
        bytes.extend_from_slice(&arg.bytes);
        source = source.or(arg.source);
    }
    Argument { bytes: bytes.into(), source, arity: super::Arity::One, span }
}
