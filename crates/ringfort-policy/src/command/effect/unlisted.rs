// SPDX-License-Identifier: MIT OR Apache-2.0
//! What no entry of the catalogue lists: options whose names or values promise an effect, and credentials among
//! the words of any program.
//!
//! In: one option, or the words of a command. Out: effects. **Invariant:** this only adds to what the catalogue
//! says; it never makes a ruling milder.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;
use ringfort_core::limits::PATH_BYTES_MAX;

use super::super::analysis::Argument;
use super::super::hazard;
use super::super::target::{self, Class};
use super::super::walk::Walker;
use super::{Subject, contains, split_value};

impl Walker<'_> {
    /// An option that the catalogue does not list: its name may promise a program, its value name a place.
    pub(super) fn unlisted(&mut self, arg: &Argument, name: &[u8], value: Option<&[u8]>, subject: &mut Subject) {
        const PROMISES: [&[u8]; 16] = [
            b"pager",
            b"plugin",
            b"exec",
            b"command",
            b"program",
            b"shell",
            b"editor",
            b"browser",
            b"viewer",
            b"hook",
            b"script",
            b"debugger",
            b"output",
            b"outfile",
            b"log-file",
            b"logfile",
        ];
        let promises = name.starts_with(b"--")
            && !name.starts_with(b"--no-")
            && !name.starts_with(b"--ignore-")
            && PROMISES.iter().any(|word| contains(name, word));
        let place = value.is_some_and(|value| {
            matches!(value.first(), Some(b'/' | b'~')) || value.starts_with(b"../") || contains(value, b"/../")
        });
        let outside = place
            && value.is_some_and(|value| {
                let target = self.resolve(arg, value);
                !matches!(
                    target::class(&target.path, self.cwd(), self.context),
                    Class::Inside | Class::Whole | Class::Sink
                )
            });
        if promises || outside {
            subject.partial = true;
            self.effect(subject, EffectKind::Unknown, None, arg.span, Risk::Medium);
        }
    }

    /// The scan that holds for every program, known or not: a credential among the arguments that no role covered.
    pub(in crate::command) fn scan_secrets(&mut self, args: &[Argument], subject: &mut Subject) {
        let named = args.iter().any(|arg| {
            [&b"--rawfile"[..], b"--slurpfile", b"--arg"].iter().any(|option| arg.bytes.starts_with(option))
        });
        let filter = subject.filter.filter(|_| !named);
        for arg in args {
            if arg.bytes.len() > PATH_BYTES_MAX || filter == Some(arg.span) {
                continue;
            }
            let (_, value) = split_value(&arg.bytes);
            let bytes = value.unwrap_or(&arg.bytes);
            let bytes = bytes.strip_prefix(b"@").or_else(|| bytes.strip_prefix(b"file://")).unwrap_or(bytes);
            let pathlike = bytes.contains(&b'/') || matches!(bytes.first(), Some(b'.' | b'~'));
            if !pathlike || bytes.iter().any(u8::is_ascii_whitespace) {
                continue;
            }
            let own = self.out.effects.get(subject.first_effect..).unwrap_or(&[]);
            if own.iter().any(|effect| effect.span == arg.span) {
                continue;
            }
            let target = self.resolve(arg, bytes);
            if target::is_secret(&target.path, self.context) {
                self.effect(subject, EffectKind::ReadSecret, target.into_text(), arg.span, Risk::High);
                self.rule(subject, &hazard::READS_SECRET, arg.span);
            }
        }
    }
}
