// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a cage keeps on this host, in each degree: a really confined child tried to break each promise.

use ringfort_core::degree::Degree;
use ringfort_core::obligation::Promise;
use ringfort_sandbox::achieved::Held;

use super::{Check, Evidence, Report, Status, Subject};
use crate::attempts::Attempt;

pub(super) const ENTRY: Check = Check { id: "cage", title: "what a cage keeps, tried by a confined child", look };

/// What to do about a promise that does not hold.
const HELP: &str = "see the lines about the kernel";
/// What to do about an attempt that came through.
const ESCAPED: &str = "do not rely on the cage on this host, and report this";

fn look(subject: &Subject<'_>) -> Vec<Report> {
    let mut reports = Vec::new();
    for (place, (asked, cage)) in subject.cages.iter().enumerate() {
        // The first is what a run gets; the others are what it would get on a lesser host.
        match cage {
            Ok(evidence) if place > 0 && evidence.achieved.degree != *asked => {
                reports.push(info(format!("{}: this host does not offer it", asked.as_str())));
            }
            Ok(evidence) => reports.extend(Promise::ALL.map(|promise| judge(promise, evidence, place == 0))),
            Err(why) if place == 0 => reports.push(ENTRY.fail(
                format!("no confined child could be started: {why}"),
                "`ringfort run` cannot isolate on this host; see the lines about the kernel",
            )),
            Err(why) => reports.push(ENTRY.warn(format!("{}: {why}", asked.as_str()), HELP)),
        }
    }
    reports.extend(subject.limits.iter().map(limit));
    reports
}

fn judge(promise: Promise, evidence: &Evidence, is_default: bool) -> Report {
    let degree: Degree = evidence.achieved.degree;
    let name = format!("{}: {}", degree.as_str(), promise.as_str());
    let attempts: Vec<&Attempt> = evidence.attempts.iter().filter(|attempt| attempt.promise == Some(promise)).collect();
    let escaped: Vec<String> = attempts
        .iter()
        .filter(|attempt| !attempt.blocked)
        .map(|attempt| format!("{}: {}", attempt.name, attempt.detail))
        .collect();
    match evidence.achieved.promises.get(&promise) {
        None => ENTRY.fail(format!("{name} was not probed"), "report this: it must not happen"),
        Some(Held::Yes) if !escaped.is_empty() => {
            ENTRY.fail(format!("{name} holds, and yet ESCAPED: {}", escaped.join("; ")), ESCAPED)
        }
        Some(Held::Yes) if attempts.is_empty() => ENTRY.fail(format!("{name}: nothing was tried"), "report this"),
        Some(Held::Yes) => {
            let tried: Vec<&str> = attempts.iter().map(|attempt| attempt.name.as_str()).collect();
            ENTRY.pass(format!("{name} holds; blocked: {}", tried.join(", ")))
        }
        // What this degree does not promise is no fault of a host that gives more.
        Some(Held::No(why)) if !is_default && !degree.promises().contains(&promise) => {
            info(format!("{name} is not promised: {why}"))
        }
        Some(Held::No(why)) if is_default => ENTRY.fail(format!("{name} does not hold: {why}"), HELP),
        Some(Held::No(why)) => ENTRY.warn(format!("{name} does not hold: {why}"), HELP),
    }
}

fn limit(tried: &Result<Attempt, String>) -> Report {
    match tried {
        Ok(attempt) if attempt.blocked => ENTRY.pass(format!("limits: blocked: {}: {}", attempt.name, attempt.detail)),
        Ok(attempt) => ENTRY.fail(
            format!("limits: NOT HELD: {}: {}", attempt.name, attempt.detail),
            "do not rely on this limit on this host, and report this",
        ),
        Err(why) => ENTRY.warn(
            format!("limits: {why}"),
            "give this user a control group, or leave the limit out; a run that asks for it does not start",
        ),
    }
}

fn info(message: String) -> Report {
    Report { check: ENTRY.id, status: Status::Info, message, help: None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ringfort_sandbox::achieved::Achieved;

    use super::*;

    fn evidence(degree: Degree, held: &[Promise], escaped: Option<Promise>) -> Evidence {
        let promises: BTreeMap<Promise, Held> = Promise::ALL
            .into_iter()
            .map(|one| (one, if held.contains(&one) { Held::Yes } else { Held::No("it is so".to_owned()) }))
            .collect();
        let attempt = |promise| Attempt {
            promise: Some(promise),
            name: "try".to_owned(),
            blocked: escaped != Some(promise),
            detail: "what came of it".to_owned(),
        };
        Evidence {
            achieved: Achieved {
                runtime: "native",
                image: None,
                degree,
                landlock_abi: None,
                namespaces: Vec::new(),
                seccomp: true,
                no_new_privileges: true,
                capabilities_dropped: true,
                promises,
                limits: Vec::new(),
                warnings: Vec::new(),
            },
            attempts: Promise::ALL.map(attempt).into(),
        }
    }

    #[test]
    fn deny_a_pass_to_what_does_not_hold_or_escapes() {
        let lost = Promise::ProtectStartup;
        let without: Vec<Promise> = Promise::ALL.into_iter().filter(|one| *one != lost).collect();
        for (degree, held, escaped, is_default, expected) in [
            (Degree::Full, &Promise::ALL[..], None, true, Status::Pass),
            (Degree::Full, &Promise::ALL, Some(lost), true, Status::Fail),
            (Degree::Minimal, &Promise::ALL, Some(lost), false, Status::Fail),
            (Degree::Full, &without, None, true, Status::Fail),
            (Degree::Reduced, &without, None, false, Status::Warn),
            (Degree::Minimal, &without, None, false, Status::Info),
            (Degree::Minimal, &without, Some(lost), false, Status::Info),
            (Degree::Minimal, &without, None, true, Status::Fail),
        ] {
            let report = judge(lost, &evidence(degree, held, escaped), is_default);
            assert_eq!(report.status, expected, "{report:?}");
        }
        let mut untried = evidence(Degree::Full, &Promise::ALL, None);
        untried.attempts.retain(|attempt| attempt.promise != Some(lost));
        assert_eq!(judge(lost, &untried, true).status, Status::Fail);
        untried.achieved.promises.remove(&lost);
        assert_eq!(judge(lost, &untried, true).status, Status::Fail);
    }
}
