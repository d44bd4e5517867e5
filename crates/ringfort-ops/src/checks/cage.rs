// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a cage keeps on this host: a really confined child tried to break each promise.

use ringfort_core::obligation::Promise;
use ringfort_sandbox::achieved::Held;

use super::{Check, Evidence, Report, Subject};

pub(super) const ENTRY: Check = Check { id: "cage", title: "what a cage keeps, tried by a confined child", look };

fn look(subject: &Subject<'_>) -> Vec<Report> {
    match &subject.cage {
        Ok(evidence) => promises(evidence).chain(attempts(evidence)).collect(),
        Err(why) => vec![ENTRY.fail(
            format!("no confined child could be started: {why}"),
            "`ringfort run` cannot isolate on this host; see the lines about the kernel",
        )],
    }
}

fn promises(evidence: &Evidence) -> impl Iterator<Item = Report> + '_ {
    Promise::ALL.into_iter().map(|promise| match evidence.achieved.promises.get(&promise) {
        Some(Held::Yes) => ENTRY.pass(format!("{} holds", promise.as_str())),
        Some(Held::No(why)) => {
            ENTRY.fail(format!("{} does not hold: {why}", promise.as_str()), "see the lines about the kernel")
        }
        None => ENTRY.fail(format!("{} was not probed", promise.as_str()), "report this: it must not happen"),
    })
}

fn attempts(evidence: &Evidence) -> impl Iterator<Item = Report> + '_ {
    let none = evidence.attempts.is_empty().then(|| ENTRY.fail("the confined child tried nothing", "report this"));
    let each = evidence.attempts.iter().map(|attempt| {
        let message = format!("{}: {}", attempt.name, attempt.detail);
        if attempt.blocked {
            ENTRY.pass(format!("blocked: {message}"))
        } else {
            ENTRY.fail(format!("ESCAPED: {message}"), "do not rely on the cage on this host, and report this")
        }
    });
    none.into_iter().chain(each)
}
