// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules on the programs that are started inside a traced cage, before their first instruction.
//!
//! In: a program that waits. Out: it runs, or its process is ended; a denial is on the record and shown.
//!
//! **Invariant:** a program is ruled on as what it calls itself and as the file that runs, and the stricter answer
//! counts. Only an allowance that is on the record lets it run; what cannot be read, does not fit into the record or is
//! asked of somebody else is ended.
//! The budget was used by the run itself, so a program that is started by it uses none.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use ringfort_core::action::{Action, Command};
use ringfort_core::decision::Decision;
use ringfort_core::door::DoorKind;
use ringfort_core::request::{Provenance, Request};
use ringfort_core::ruling::Ruling;
use ringfort_core::text::Text;
use ringfort_sandbox::launch::{Answer, Begun, Cage, Question};

use super::broker_server::Service;
use super::recorded::Recorded;
use crate::pipeline::{ACTION_BYTES_MAX, Charge, cut, shown};

/// Most denials that are shown; each is on the record.
const DENIALS_SHOWN_MAX: usize = 20;
/// Most characters of a program's words that are shown, in bytes.
const SHOWN_BYTES_MAX: usize = 200;

/// What is kept between two programs.
#[derive(Default)]
pub(super) struct Starts {
    recorded: Recorded,
    shown: usize,
}

impl Starts {
    /// Rules on the program that waits for `question`, and lets the cage know.
    pub(super) fn rule(&mut self, service: &Service<'_>, cage: &mut Cage, question: Question) {
        let answer = match cage.begun(question) {
            Ok(begun) => self.judge(service, &begun),
            // It has gone meanwhile, which harms nobody, or hides.
            Err(_unreadable) => Answer::End,
        };
        if let Err(error) = cage.answer(question, answer) {
            service.session.warn(&format!("a program waits for ever: {error}"));
        }
    }

    fn judge(&mut self, service: &Service<'_>, begun: &Begun) -> Answer {
        let Service { session, approver, .. } = service;
        let door = session.door(DoorKind::Start, service.door.asks);
        let readings = readings(begun).map(|words| request(service, begun, words));
        let strictest = readings.max_by_key(|request| {
            let ruling = session.pipeline.check(request, &door);
            (ruling.decision, ruling.risk)
        });
        let Some(request) = strictest else { return Answer::End };
        let bytes = request.action.to_display().len().min(ACTION_BYTES_MAX) as u64;
        if !self.recorded.take(bytes, session.clock.monotonic()) {
            self.show(service, &request.action, "more programs are started than the record keeps");
            return Answer::End;
        }
        let verdict = session.pipeline.verdict(&request, &door, *approver, Charge::Again);
        if verdict.ruling.decision == Decision::Allow {
            return Answer::Run;
        }
        self.show(service, &request.action, &reason(&verdict.ruling));
        Answer::End
    }

    fn show(&mut self, service: &Service<'_>, action: &Action, why: &str) {
        if self.shown < DENIALS_SHOWN_MAX {
            self.shown += 1;
            let action = cut(shown(action), SHOWN_BYTES_MAX);
            service.session.warn(&format!("not started: {action}: {why}"));
        }
    }
}

/// The word lists under which a program is ruled on: its own, and with the file that runs as the first word.
fn readings(begun: &Begun) -> impl Iterator<Item = Vec<OsString>> {
    let first = begun.argv.first().map(OsString::as_os_str).unwrap_or_default();
    let rest = || begun.argv.iter().skip(1).cloned();
    let is_named = !first.is_empty() && first != begun.program.as_os_str();
    // A login shell is marked by a hyphen; what it is, the file says.
    let own = (is_named && !first.as_bytes().starts_with(b"-"))
        .then(|| std::iter::once(first.to_owned()).chain(rest()).collect());
    let file: Vec<OsString> = std::iter::once(named_as(first, &begun.program)).chain(rest()).collect();
    own.into_iter().chain([file])
}

/// The file that runs. One of a system folder under its own name is that program, which the policy knows by its name.
fn named_as(first: &OsStr, program: &Path) -> OsString {
    let is_itself = Path::new(first).file_name().is_some_and(|name| Some(name) == program.file_name());
    let in_path =
        ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].iter().any(|folder| program.parent() == Some(Path::new(folder)));
    if is_itself && in_path { first.to_owned() } else { program.as_os_str().to_owned() }
}

fn request(service: &Service<'_>, begun: &Begun, words: Vec<OsString>) -> Request {
    let Service { session, principal, .. } = service;
    Request {
        principal: principal.clone(),
        action: Action::Command(Command::Argv(words.iter().map(|word| Text::new(word.as_bytes())).collect())),
        session: session.name.clone(),
        cwd: begun.cwd.clone(),
        workspace: session.workspace.clone(),
        home: Some(session.home.clone()),
        provenance: Provenance::Agent,
        bindings: Vec::new(),
    }
}

fn reason(ruling: &Ruling) -> String {
    ruling.deciding().next().map_or_else(
        || "a person would have to be asked".to_owned(),
        |reason| format!("{} ({})", reason.message, reason.rule),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_read_by_its_name_and_by_its_file() {
        for (program, argv, expected) in [
            ("/usr/bin/rm", &["rm", "x"][..], &[&["rm", "x"][..], &["rm", "x"]][..]),
            ("/usr/bin/rm", &["ls", "x"], &[&["ls", "x"], &["/usr/bin/rm", "x"]]),
            ("/usr/bin/busybox", &["rm", "x"], &[&["rm", "x"], &["/usr/bin/busybox", "x"]]),
            ("/w/rm", &["rm", "x"], &[&["rm", "x"], &["/w/rm", "x"]]),
            ("/w/a.out", &["/w/a.out"], &[&["/w/a.out"]]),
            ("/usr/bin/dash", &["-sh"], &[&["/usr/bin/dash"]]),
            ("/usr/bin/dash", &["", "x"], &[&["/usr/bin/dash", "x"]]),
        ] {
            let begun =
                Begun { program: program.into(), argv: argv.iter().map(OsString::from).collect(), cwd: "/w".into() };
            let readings: Vec<Vec<OsString>> = readings(&begun).collect();
            assert_eq!(readings, expected, "{program} as {argv:?}");
        }
    }
}
