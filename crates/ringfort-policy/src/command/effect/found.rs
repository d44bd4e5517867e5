// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that a search names: `find . | xargs grep x` reads what lies below the folders that are searched.
//!
//! In: the commands whose output becomes words of another. Out: the folders and files below which all those words
//! lie, or nothing.
//!
//! **Invariant:** only a search that prints names as they are counts, with nothing behind it but programs that choose
//! among lines. Everything else is not known.

use super::super::analysis::{Argument, HOLE, Program, SimpleCommand, Source};
use super::super::syntax::RedirectOp;
use super::super::target;
use super::super::walk::Walker;
use super::Subject;
use super::file::LOOKS;

/// Programs that print some of the lines that they read, unchanged.
const CHOOSES: [&[u8]; 7] = [b"sort", b"uniq", b"head", b"tail", b"grep", b"egrep", b"shuf"];
/// Tests and actions of `find` that print something else than names, or print elsewhere.
const PRINTS_ELSE: [&[u8]; 13] = [
    b"-printf",
    b"-fprintf",
    b"-fprint",
    b"-fprint0",
    b"-fls",
    b"-ls",
    b"-exec",
    b"-execdir",
    b"-ok",
    b"-okdir",
    b"-files0-from",
    b"-L",
    b"-follow",
];

impl Walker<'_> {
    /// What `xargs` adds to the words of a program that only looks at files; nothing where that is not certain.
    pub(in crate::command) fn found_by_stages(
        &self,
        words: &[Argument],
        own: &[Argument],
        subject: &Subject,
    ) -> Option<Vec<Argument>> {
        let looks = words.first().and_then(Argument::known).is_some_and(|name| LOOKS.contains(&name));
        if looks { self.open_search(&self.stages_before(own, subject)?) } else { None }
    }

    /// For any other program: each word begins with a folder that `find` was told to search, so it is no option.
    pub(in crate::command) fn found_words(&self, own: &[Argument], subject: &Subject) -> Option<Vec<Argument>> {
        let before = self.stages_before(own, subject)?;
        let searches = before.first().and_then(|c| c.program.name()).is_some_and(|name| name.ends_with(b"find"));
        let places = if searches { self.open_search(&before)? } else { return None };
        let word = |place: Argument| {
            let bytes = [place.bytes.as_slice(), b"/", &[HOLE]].concat();
            Argument { bytes: bytes.into(), source: Some(Source::Input), ..place }
        };
        places
            .iter()
            .all(|place| place.known().is_some_and(|p| !p.is_empty()))
            .then(|| places.into_iter().map(word).collect())
    }

    /// The stages before `xargs`, where it only passes on what it reads.
    fn stages_before(&self, own: &[Argument], subject: &Subject) -> Option<Vec<&SimpleCommand>> {
        const PLAIN: [&[u8]; 9] = [b"-0", b"--null", b"-r", b"--no-run-if-empty", b"-t", b"-n", b"-P", b"-L", b"-I"];
        let plain = |arg: &Argument| {
            let word = arg.known().unwrap_or(&[]);
            PLAIN.iter().any(|option| word.starts_with(option)) || word == b"{}" || word.iter().all(u8::is_ascii_digit)
        };
        let command = self.out.commands.get(subject.index)?;
        if !own.iter().all(plain) || !is_quiet(command) || command.place.stage == 0 {
            return None;
        }
        let place = command.place;
        let before = self.out.commands.iter();
        let before = before.filter(|c| c.place.pipeline == place.pipeline && c.place.stage < place.stage);
        let before: Vec<&SimpleCommand> = before.collect();
        (before.len() == place.stage).then_some(before)
    }

    /// The places below which a substitution that stands alone as a word names files; only for programs that look.
    pub(in crate::command) fn found_by_word(&self, arg: &Argument, subject: &Subject) -> Option<Vec<Argument>> {
        if arg.source != Some(Source::Substitution) || arg.bytes.as_slice() != [HOLE] {
            return None;
        }
        let looks =
            self.out.commands.get(subject.index).and_then(|c| c.program.name()).is_some_and(|n| LOOKS.contains(&n));
        if !looks {
            return None;
        }
        let inside = |c: &&SimpleCommand| arg.span.start <= c.span.start && c.span.end <= arg.span.end;
        let inner: Vec<&SimpleCommand> = self.out.commands.iter().filter(inside).collect();
        let pipeline = inner.first()?.place.pipeline;
        let straight = inner
            .iter()
            .enumerate()
            .all(|(at, c)| c.place.pipeline == pipeline && (inner.len() == 1 || c.place.stage == at));
        if straight { self.open_search(&inner) } else { None }
    }

    /// The places of a search that does not name credentials.
    fn open_search(&self, stages: &[&SimpleCommand]) -> Option<Vec<Argument>> {
        let secret = |arg: &Argument| target::is_secret(&arg.bytes, self.context);
        if stages.iter().flat_map(|command| &command.args).any(secret) { None } else { search_places(stages) }
    }
}

/// Nothing but its errors is redirected.
fn is_quiet(command: &SimpleCommand) -> bool {
    command.redirections.iter().all(|r| r.descriptor == Some(2) && r.op == RedirectOp::Write)
}

/// Where the first command searches, when the others only choose among its lines.
fn search_places(stages: &[&SimpleCommand]) -> Option<Vec<Argument>> {
    let (search, rest) = stages.split_first()?;
    let chooses = |command: &&&SimpleCommand| {
        let grep = command.program.name().is_some_and(|name| name.ends_with(b"grep"));
        let changes = |arg: &Argument| {
            arg.known().is_none_or(|word| {
                let short = word.first() == Some(&b'-') && word.get(1) != Some(&b'-');
                grep && (short
                    && word.iter().any(|b| matches!(b, b'o' | b'c' | b'n' | b'b' | b'f' | b'r' | b'R' | b'H'))
                    || word.starts_with(b"--"))
                    || word.contains(&b'/')
            })
        };
        command.program.name().is_some_and(|name| CHOOSES.contains(&name))
            && is_quiet(command)
            && !command.args.iter().any(changes)
    };
    if !rest.iter().all(|command| chooses(&command)) || !is_quiet(search) {
        return None;
    }
    match &search.program {
        Program::Known(name) if matches!(name.as_slice(), b"find" | b"gfind") => find_places(search),
        Program::Known(name) if *name == b"git" => {
            let lists = search.args.first().and_then(Argument::known) == Some(b"ls-files");
            (lists
                && search
                    .args
                    .iter()
                    .all(|arg| arg.known().is_some_and(|w| !w.starts_with(b"../") && w.first() != Some(&b'/'))))
            .then(|| vec![Argument::exact(b".", search.span)])
        }
        _ => None,
    }
}

fn find_places(search: &SimpleCommand) -> Option<Vec<Argument>> {
    if search.args.iter().any(|arg| PRINTS_ELSE.contains(&arg.bytes.as_slice())) {
        return None;
    }
    let is_place = |arg: &&Argument| !matches!(arg.bytes.first(), Some(b'-' | b'(' | b')' | b'!' | b','));
    let options = search.args.iter().take_while(|arg| matches!(arg.bytes.as_slice(), b"-H" | b"-P")).count();
    let places: Vec<Argument> = search.args.iter().skip(options).take_while(is_place).cloned().collect();
    // A value that is not known could be an action.
    if search.args.iter().any(|arg| arg.source.is_some_and(|source| source != Source::Glob)) {
        return None;
    }
    Some(if places.is_empty() { vec![Argument::exact(b".", search.span)] } else { places })
}
