// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that remove, pack, find or overwrite files, and git, whose words need more than a table.
//!
//! In: arguments. Out: effects. **Invariant:** the scope of a deletion that is not known is taken to be wide.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::analysis::{Argument, HOLE, Source};
use super::super::catalogue::{Entry, Mode, Role};
use super::super::hazard;
use super::super::target::{self, Class};
use super::super::walk::Walker;
use super::{Job, Subject, contains, split_value};

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
                    let words = rest.get(..length).unwrap_or(&[]).iter().map(found_file).collect();
                    subject.jobs.push(Job::Words(words));
                    at += length + 1;
                }
                b"-fprint" | b"-fprint0" | b"-fprintf" | b"-fls" => {
                    if let Some(file) = args.get(at) {
                        self.write(file, &file.bytes, subject);
                    }
                    at += 1;
                }
                b"-newer" | b"-samefile" | b"-files0-from" | b"-anewer" | b"-cnewer" => at += 1,
                _ if arg.bytes.first() == Some(&HOLE) => self.rule(subject, &hazard::OPTION_UNKNOWN, arg.span),
                _ => {}
            }
        }
        if let Some(name) =
            args.iter().skip_while(|a| !matches!(a.bytes.as_slice(), b"-name" | b"-iname" | b"-path")).nth(1)
        {
            let target = self.resolve(name, &name.bytes);
            if target::is_secret(&target.path, self.context) && !subject.jobs.is_empty() {
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
        while let Some(arg) = args.get(at) {
            at += 1;
            let bytes = arg.bytes.as_slice();
            if bytes.starts_with(b"--") {
                at += self.tar_long(arg, args.get(at), subject);
                let (name, value) = split_value(bytes);
                creates |= matches!(name, b"--create" | b"--append" | b"--update");
                extracts |= matches!(name, b"--extract" | b"--get");
                if name == b"--file" {
                    archive = value.map(|value| (arg, value.to_vec()));
                }
                continue;
            }
            if bytes.first() != Some(&b'-') && at != 1 {
                if creates && !extracts {
                    self.read(arg, bytes, subject);
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
                    b'T' | b'X' => self.read(next, &next.bytes, subject),
                    b'C' => {}
                    _ => continue,
                }
                at += 1;
            }
        }
        if let Some((arg, bytes)) = archive {
            if contains(&bytes, b":") && !contains(&bytes, b"/") {
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
            return usize::from(
                value.is_none()
                    && matches!(name, b"--file" | b"--directory" | b"--exclude" | b"--files-from" | b"--transform"),
            );
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
        let numeric = mode.bytes.len() == 4
            && mode.bytes.iter().all(u8::is_ascii_digit)
            && matches!(mode.bytes.first(), Some(b'2' | b'4' | b'6'));
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

    /// A git sub-command.
    pub(in crate::command) fn git_sub(
        &mut self,
        sub: &'static Entry,
        name: &[u8],
        args: &[Argument],
        subject: &mut Subject,
    ) {
        let operands = self.options(sub, args, subject);
        self.operands(sub, args, &operands, subject);
        for arg in args.iter().filter(|arg| arg.bytes.first() == Some(&b'-')) {
            self.scan_shells(std::slice::from_ref(arg), subject);
        }
        let operand =
            |count: usize| operands.get(count).and_then(|position| args.get(*position)).map(|a| a.bytes.as_slice());
        let has = |flag: &[u8]| args.iter().any(|a| a.bytes == flag);
        let letter = |letter: u8| {
            args.iter().any(|a| {
                a.bytes.len() > 1
                    && a.bytes.first() == Some(&b'-')
                    && a.bytes.get(1) != Some(&b'-')
                    && a.bytes.contains(&letter)
            })
        };
        let discards = match name {
            b"clean" => !(has(b"-n") || has(b"--dry-run")) && (letter(b'f') || has(b"--force")),
            b"checkout" | b"restore" => {
                operand(0) == Some(b".")
                    || has(b"--force")
                    || letter(b'f')
                    || has(b"--") && args.last().is_some_and(|a| a.bytes == b".")
            }
            b"stash" => matches!(operand(0), Some(b"drop" | b"clear")),
            b"reflog" => matches!(operand(0), Some(b"expire" | b"delete")),
            b"branch" => letter(b'D'),
            b"push" => operands
                .iter()
                .filter_map(|p| args.get(*p))
                .skip(1)
                .any(|a| matches!(a.bytes.first(), Some(b'+' | b':'))),
            b"gc" => args.iter().any(|a| a.bytes.starts_with(b"--prune=")),
            b"update-ref" => has(b"-d"),
            _ => false,
        };
        if discards {
            self.effect(subject, EffectKind::RewriteHistory, None, subject.span, Risk::High);
            self.rule(subject, &hazard::REWRITES_HISTORY, subject.span);
        }
        match name {
            b"bisect" if operand(0) == Some(b"run") => self.run_rest(args, 1, subject),
            b"submodule" => {
                if let Some(at) = args.iter().position(|a| a.bytes == b"foreach") {
                    let text = join(args.get(at + 1..).unwrap_or(&[]), subject);
                    subject.jobs.push(Job::Text { text, kind: super::PlaceKind::Text });
                }
            }
            b"config" => self.git_config(args, subject),
            b"rebase" | b"difftool" | b"mergetool" | b"lfs" | b"submodule-update" => {
                self.effect(subject, EffectKind::ExecuteText, None, subject.span, Risk::Medium)
            }
            b"remote" if matches!(operand(0), Some(b"add" | b"set-url")) => self.host_of_remote(args, subject),
            b"clone" | b"fetch" | b"pull" | b"ls-remote" | b"push" => {
                for arg in args.iter().filter(|a| a.bytes.starts_with(b"ext::") || a.bytes.starts_with(b"fd::")) {
                    self.rule(subject, &hazard::INLINE_CODE, arg.span);
                }
            }
            _ => {}
        }
    }

    /// `git config`: some keys name programs.
    fn git_config(&mut self, args: &[Argument], subject: &mut Subject) {
        for arg in args {
            self.git_setting(arg, &arg.bytes, subject);
        }
    }

    /// `git -c key=value` before the sub-command.
    pub(in crate::command) fn git_settings(&mut self, args: &[Argument], subject: &mut Subject) {
        for pair in args.windows(2) {
            let [option, setting] = pair else { continue };
            if option.bytes == b"-c" {
                self.git_setting(setting, &setting.bytes, subject);
            }
        }
    }

    /// A `key=value` or key that git would run or trust.
    pub(in crate::command) fn git_setting(&mut self, arg: &Argument, setting: &[u8], subject: &mut Subject) {
        let (key, _) = split_value(setting);
        let key = key.to_ascii_lowercase();
        const PROGRAMS: [&[u8]; 15] = [
            b"core.fsmonitor",
            b"core.sshcommand",
            b"core.pager",
            b"core.editor",
            b"core.hookspath",
            b"core.askpass",
            b"core.gitproxy",
            b"sequence.editor",
            b"diff.external",
            b"credential.",
            b"alias.",
            b"include",
            b"gpg.program",
            b"protocol.",
            b"uploadpack.",
        ];
        let tails: [&[u8]; 8] =
            [b".textconv", b".command", b".cmd", b".clean", b".smudge", b".process", b".helper", b".program"];
        if PROGRAMS.iter().any(|program| key.starts_with(program)) || tails.iter().any(|tail| key.ends_with(tail)) {
            self.effect(subject, EffectKind::ExecuteText, None, arg.span, Risk::High);
            self.rule(subject, &hazard::ENVIRONMENT_LOADS_CODE, arg.span);
        }
    }

    fn host_of_remote(&mut self, args: &[Argument], subject: &mut Subject) {
        if let Some(url) = args.last() {
            self.host(url, &url.bytes, subject);
        }
    }
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
