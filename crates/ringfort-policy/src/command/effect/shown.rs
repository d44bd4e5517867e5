// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that show something, unless a word says otherwise.
//!
//! In: arguments. Out: what they show that is secret, change or run. **Invariant:** a word that is not known may be the
//! one that changes something.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::super::analysis::Argument;
use super::super::catalogue::{Entry, Role, Special};
use super::super::hazard;
use super::super::walk::Walker;
use super::{Subject, contains, split_value};

impl Walker<'_> {
    /// `printenv`: the whole environment holds credentials, a variable does where its name says so.
    pub(in crate::command) fn variables_shown(&mut self, args: &[Argument], subject: &mut Subject) {
        const SECRETS: [&[u8]; 7] = [b"TOKEN", b"SECRET", b"PASS", b"KEY", b"CRED", b"AUTH", b"COOKIE"];
        let mut names = args.iter().filter(|arg| arg.bytes.first() != Some(&b'-')).peekable();
        if names.peek().is_none() {
            self.effect(subject, EffectKind::Unknown, None, subject.span, Risk::Low);
        }
        for arg in names {
            let named = |secret: &[u8]| contains(&arg.bytes.to_ascii_uppercase(), secret);
            if arg.source.is_some() || SECRETS.into_iter().any(named) {
                self.effect(subject, EffectKind::ReadSecret, None, arg.span, Risk::High);
            }
        }
    }

    /// `ps e` without a dash shows the environment of every process.
    pub(in crate::command) fn environments_shown(
        &mut self,
        args: &[Argument],
        operands: &[usize],
        subject: &mut Subject,
    ) {
        for arg in operands.iter().filter_map(|position| args.get(*position)) {
            let letters = arg.bytes.iter().all(|b| b"acefghjlmnrsuvwxLSTXZ".contains(b));
            if letters && arg.bytes.contains(&b'e') || arg.source.is_some() {
                self.effect(subject, EffectKind::Unknown, None, arg.span, Risk::Low);
            }
        }
    }

    /// Programs that show the state of the system, unless a word says to change it or run something.
    pub(in crate::command) fn query(&mut self, args: &[Argument], subject: &mut Subject) {
        const CHANGES: [&[u8]; 31] = [
            b"add",
            b"append",
            b"apply",
            b"block",
            b"change",
            b"chg",
            b"connect",
            b"del",
            b"delete",
            b"disconnect",
            b"down",
            b"edit",
            b"exec",
            b"flush",
            b"generate",
            b"hotspot",
            b"import",
            b"load",
            b"modify",
            b"off",
            b"on",
            b"prepend",
            b"reload",
            b"replace",
            b"restore",
            b"save",
            b"set",
            b"try",
            b"unblock",
            b"up",
            b"reapply",
        ];
        let mut others = 0;
        for arg in args {
            let word = arg.bytes.as_slice();
            let changes = CHANGES.contains(&word)
                || word.starts_with(b"set-")
                || word.starts_with(b"-set")
                || word.starts_with(b"--set")
                || matches!(
                    word,
                    b"-s" | b"-K" | b"--kill" | b"-D" | b"--delete" | b"-f" | b"-E" | b"-A" | b"--change"
                );
            others += usize::from(word.first() != Some(&b'-'));
            if changes || arg.source.is_some() || others > 4 {
                self.effect(subject, EffectKind::ChangePrivilege, None, arg.span, Risk::Medium);
                subject.partial = true;
                return;
            }
        }
    }

    /// Words that hold commands: `#(…)` in a format, `+!…` of a pager, and what follows a `;`.
    pub(in crate::command) fn formats(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) {
        for arg in args {
            if runs_at_start(&arg.bytes)
                || contains(&arg.bytes, b"#(")
                || arg.bytes.last() == Some(&b';')
                || arg.source.is_some() && !entry.subs.is_empty()
            {
                self.effect(subject, EffectKind::ExecuteText, None, arg.span, Risk::High);
                self.rule(subject, &hazard::INLINE_CODE, arg.span);
            }
        }
    }

    /// Names of files behind a sign in a word, and names that stand for a pipe.
    pub(in crate::command) fn files_in_words(&mut self, special: Special, args: &[Argument], subject: &mut Subject) {
        for arg in args {
            if special == Special::Pipes {
                if arg.bytes.first() == Some(&b'|') || contains(&arg.bytes, b"%pipe%") {
                    self.effect(subject, EffectKind::ExecuteText, None, arg.span, Risk::High);
                    self.rule(subject, &hazard::INLINE_CODE, arg.span);
                }
                continue;
            }
            let (_, value) = split_value(&arg.bytes);
            let value = value.unwrap_or(&arg.bytes);
            if let Some(file) =
                value.strip_prefix(b"@").or_else(|| value.strip_prefix(b":")).or_else(|| value.strip_prefix(b"%"))
            {
                self.role(Role::Read, arg, file, subject);
            }
        }
    }

    /// `sqlite3` and the like read statements from standard input where the words hold none.
    pub(in crate::command) fn sql(&mut self, entry: &'static Entry, args: &[Argument], subject: &mut Subject) {
        let operands = self.options(entry, args, subject);
        self.operands(entry, args, &operands, subject);
        if operands.len() < 2 {
            self.effect(subject, EffectKind::ExecuteText, None, subject.span, Risk::Medium);
        }
    }
}

/// Whether a word is a command that a pager runs at its start and that does more than search or move.
fn runs_at_start(word: &[u8]) -> bool {
    let Some(command) = word.strip_prefix(b"+").or_else(|| word.strip_prefix(b"--cmd=")) else { return false };
    let command = command.strip_prefix(b"+").unwrap_or(command);
    let searches = matches!(command.first(), Some(b'/' | b'?')) && !command.contains(&b'!');
    let moves = command.iter().all(|b| b.is_ascii_digit() || matches!(b, b'g' | b'G' | b'F' | b'p' | b'%'));
    !searches && !moves
}
