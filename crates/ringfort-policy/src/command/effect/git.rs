// SPDX-License-Identifier: MIT OR Apache-2.0
//! Git, whose sub-commands and settings need more than a table.
//!
//! In: the arguments of a sub-command, or a setting. Out: effects. **Invariant:** a setting that is not known to
//! be harmless is taken to name a program, because so many of them do.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::analysis::Argument;
use super::super::catalogue::Entry;
use super::super::hazard;
use super::super::target::{self, Class};
use super::super::walk::Walker;
use super::file::join;
use super::{Job, PlaceKind, Subject, split_value};

/// Settings, by their beginnings in lower case, that choose no program, file or host.
const HARMLESS: [&[u8]; 41] = [
    b"user.name",
    b"user.email",
    b"user.usec",
    b"author.",
    b"committer.",
    b"color.",
    b"advice.",
    b"core.quotepath",
    b"core.autocrlf",
    b"core.safecrlf",
    b"core.eol",
    b"core.filemode",
    b"core.ignorecase",
    b"core.abbrev",
    b"core.longpaths",
    b"core.precomposeunicode",
    b"core.untrackedcache",
    b"core.preloadindex",
    b"core.whitespace",
    b"core.commentchar",
    b"pull.",
    b"push.",
    b"fetch.",
    b"rebase.",
    b"merge.conflictstyle",
    b"merge.ff",
    b"merge.renames",
    b"diff.renames",
    b"diff.renamelimit",
    b"diff.algorithm",
    b"diff.context",
    b"diff.noprefix",
    b"diff.mnemonicprefix",
    b"diff.colormoved",
    b"log.",
    b"status.",
    b"init.defaultbranch",
    b"commit.",
    b"tag.",
    b"gc.auto",
    b"column.",
];
/// Exceptions among those: they name a file or a program.
const HARMFUL: [&[u8]; 4] = [b"commit.template", b"log.mailmap", b"fetch.bundleuri", b"fetch.uri"];

impl Walker<'_> {
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
            b"switch" => has(b"--discard-changes") || has(b"--force") || letter(b'f'),
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
            b"checkout-index" => letter(b'f') || has(b"--force"),
            b"read-tree" => has(b"--reset"),
            _ => false,
        };
        if discards {
            self.effect(subject, EffectKind::RewriteHistory, None, subject.span, Risk::High);
            self.rule(subject, &hazard::REWRITES_HISTORY, subject.span);
        }
        let lines = args.iter().any(|arg| arg.bytes.starts_with(b"-L"));
        let shows = matches!(
            name,
            b"show"
                | b"cat-file"
                | b"diff"
                | b"blame"
                | b"annotate"
                | b"grep"
                | b"diff-index"
                | b"diff-files"
                | b"diff-tree"
                | b"interpret-trailers"
                | b"whatchanged"
        ) || matches!(name, b"log" | b"rev-list")
            && (letter(b'p') || letter(b'u') || has(b"--patch") || lines)
            || matches!(name, b"merge-file" | b"format-patch") && (letter(b'p') || has(b"--stdout"));
        let shows = shows && !has(b"--in-place");
        let places = matches!(name, b"checkout" | b"restore" | b"mv" | b"merge-file" | b"interpret-trailers");
        if shows || places {
            let lines = args.iter().filter(|arg| shows && arg.bytes.starts_with(b"-L"));
            for arg in operands.iter().filter_map(|position| args.get(*position)).chain(lines) {
                self.git_file(arg, shows, subject);
            }
        }
        match name {
            b"bisect" if operand(0) == Some(b"run") => self.run_rest(args, 1, subject),
            b"submodule" => {
                if matches!(operand(0), Some(b"update" | b"add")) {
                    self.effect(subject, EffectKind::OpenNetwork, None, subject.span, Risk::Medium);
                }
                if let Some(at) = args.iter().position(|a| a.bytes == b"foreach") {
                    let text = join(args.get(at + 1..).unwrap_or(&[]), subject);
                    subject.jobs.push(Job::Text { text, kind: PlaceKind::Text });
                }
            }
            b"config" => self.git_config(args, subject),
            b"rebase" | b"difftool" | b"mergetool" | b"lfs" | b"submodule-update" | b"merge-index" | b"flow" => {
                self.effect(subject, EffectKind::ExecuteText, None, subject.span, Risk::Medium)
            }
            // A patch may change any file, those that tools run by themselves too.
            b"apply" if has(b"--check") || has(b"--stat") || has(b"--numstat") => {}
            b"apply" | b"am" => self.effect(subject, EffectKind::Unknown, None, subject.span, Risk::Medium),
            b"maintenance" if matches!(operand(0), Some(b"start" | b"register" | b"stop" | b"unregister")) => {
                self.effect(subject, EffectKind::Persist, None, subject.span, Risk::High)
            }
            b"remote" if matches!(operand(0), Some(b"add" | b"set-url")) => self.host_of_remote(args, subject),
            b"remote" if matches!(operand(0), Some(b"update" | b"show" | b"prune")) && !has(b"-n") => {
                self.effect(subject, EffectKind::QueryService, None, subject.span, Risk::Low)
            }
            b"subtree" if matches!(operand(0), Some(b"pull" | b"push" | b"add")) => {
                self.effect(subject, EffectKind::OpenNetwork, None, subject.span, Risk::Medium)
            }
            b"clone" | b"fetch" | b"pull" | b"ls-remote" | b"push" | b"pr" | b"mr" => {
                if !matches!(name, b"clone" | b"pull" | b"push") {
                    self.git_address(&operands, args, subject);
                }
                for arg in args.iter().filter(|a| a.bytes.starts_with(b"ext::") || a.bytes.starts_with(b"fd::")) {
                    self.rule(subject, &hazard::INLINE_CODE, arg.span);
                }
            }
            _ => {}
        }
    }

    /// The repository that is asked, where it is written as an address and not as the name of a remote.
    fn git_address(&mut self, operands: &[usize], args: &[Argument], subject: &mut Subject) {
        for arg in operands.iter().take(1).filter_map(|position| args.get(*position)) {
            if arg.bytes.iter().any(|b| matches!(b, b':' | b'/' | b'~')) || arg.source.is_some() {
                self.host(arg, &arg.bytes, subject);
            }
        }
    }

    /// A file that a sub-command shows, or puts where tools may run it by themselves.
    fn git_file(&mut self, arg: &Argument, shows: bool, subject: &mut Subject) {
        let path = arg.bytes.rsplit(|b| *b == b':').next().unwrap_or(&arg.bytes);
        let target = self.resolve(arg, path);
        if shows && target::is_secret(&target.path, self.context) {
            self.effect(subject, EffectKind::ReadSecret, target.into_text(), arg.span, Risk::High);
            self.rule(subject, &hazard::READS_SECRET, arg.span);
        } else if !shows && target::class(&target.path, self.cwd(), self.context) == Class::ProjectStartup {
            self.write(arg, path, subject);
        }
    }

    /// `git config`: reading is harmless, writing depends on the key and the file.
    fn git_config(&mut self, args: &[Argument], subject: &mut Subject) {
        let mut operands = Vec::new();
        let (mut reads, mut changes, mut wide) = (false, false, false);
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            at += 1;
            match arg.bytes.as_slice() {
                b"-f" | b"--file" | b"--blob" => {
                    wide = true;
                    at += 1;
                }
                b"--type" | b"--default" | b"--value" | b"--comment" => at += 1,
                b"--global" | b"--system" => wide = true,
                b"-e" | b"--edit" => (wide, changes) = (true, true),
                b"-l" => reads = true,
                b"--list" | b"--get" | b"--get-all" | b"--get-regexp" | b"--get-urlmatch" | b"--get-color"
                | b"--get-colorbool" => reads = true,
                b"--add" | b"--unset" | b"--unset-all" | b"--replace-all" | b"--remove-section"
                | b"--rename-section" => changes = true,
                option if option.starts_with(b"-f") || option.starts_with(b"--file=") => wide = true,
                option if option.first() == Some(&b'-') => {}
                _ => operands.push(arg),
            }
        }
        match operands.first().map(|arg| arg.bytes.as_slice()) {
            Some(b"get" | b"list") => reads = true,
            Some(word @ (b"set" | b"unset" | b"edit" | b"rename-section" | b"remove-section")) => {
                wide |= word == b"edit";
                changes = true;
                operands.remove(0);
            }
            _ => {}
        }
        if reads || !changes && operands.len() < 2 {
            return;
        }
        if wide {
            self.effect(subject, EffectKind::Unknown, None, subject.span, Risk::Medium);
        }
        if let Some(key) = operands.first() {
            self.git_setting(key, &key.bytes, subject);
        }
    }

    /// `git -c key=value` before the sub-command.
    pub(in crate::command) fn git_settings(&mut self, args: &[Argument], subject: &mut Subject) {
        let mut at = 0;
        while let Some(option) = args.get(at).filter(|arg| arg.bytes.first() == Some(&b'-')) {
            at += 1;
            match option.bytes.as_slice() {
                b"-c" => {
                    if let Some(setting) = args.get(at) {
                        self.git_setting(setting, &setting.bytes, subject);
                    }
                    at += 1;
                }
                b"-C" | b"--git-dir" | b"--work-tree" | b"--namespace" | b"--super-prefix" | b"--attr-source"
                | b"--config-env" => at += 1,
                _ => {}
            }
        }
    }

    /// A `key=value` or key that git would run or trust.
    pub(in crate::command) fn git_setting(&mut self, arg: &Argument, setting: &[u8], subject: &mut Subject) {
        let (key, _) = split_value(setting);
        let key = key.to_ascii_lowercase();
        let listed = |list: &[&[u8]]| list.iter().any(|start| key.starts_with(start));
        if !listed(&HARMLESS) || listed(&HARMFUL) {
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
