// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the key of the secrets is kept, whether it can be had, and what is wrong with the place.

use ringfort_secrets::backend::{Status as Backends, Writes};
use serde::Serialize;

use super::{Check, Report, Subject};

pub(super) const ENTRY: Check = Check { id: "secrets", title: "where the key of the secrets is kept", look };

/// What was seen of the counter of the TPM that follows the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum CounterSeen {
    /// It follows, and knows nothing newer.
    Follows {
        /// The generation of the store.
        generation: u64,
        /// Whether the configuration asks for it.
        wanted: bool,
    },
    /// It knows a newer generation: an older store was put back.
    Older {
        /// The generation of the store.
        found: u64,
        /// The newest.
        latest: u64,
    },
    /// The configuration asks for one, and the store names none.
    Missing,
    /// It cannot be asked.
    Silent {
        /// Why.
        message: String,
    },
}

impl std::fmt::Display for CounterSeen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Follows { generation, wanted: true } => {
                write!(f, "a counter of the TPM follows the store (generation {generation})")
            }
            Self::Follows { generation, wanted: false } => write!(
                f,
                "a counter of the TPM follows the store (generation {generation}), though `secrets.tpm2_counter` does not \
                 ask for it; `ringfort secrets restore` lets it go"
            ),
            Self::Older { found, latest } => write!(
                f,
                "the store has generation {found}, and the counter of the TPM knows {latest}: an older state was put back"
            ),
            Self::Missing => {
                f.write_str("no counter of the TPM follows the store, and `secrets.tpm2_counter` asks for one")
            }
            Self::Silent { message } => write!(f, "the counter that follows the store cannot be asked: {message}"),
        }
    }
}

/// What was seen of the store of secrets.
#[derive(Clone, Debug)]
pub struct StoreSeen {
    /// What `ringfort secrets status` says.
    pub status: Backends,
    /// Why the key file does not open the store, where it should: it is gone, or others could have read it.
    pub key_file: Option<String>,
    /// Why the file of a PIN gives none, where one is named that a slot needs.
    pub pin_files: Vec<String>,
    /// The counter that follows it, if one does or should.
    pub counter: Option<CounterSeen>,
}

fn look(subject: &Subject<'_>) -> Vec<Report> {
    match &subject.store {
        Ok(seen) => reports(seen),
        Err(why) => vec![ENTRY.fail(
            format!("the store of secrets cannot be used: {why}"),
            "nothing was changed; see who else can reach it, or restore it from a backup",
        )],
    }
}

fn reports(seen: &StoreSeen) -> Vec<Report> {
    let status = &seen.status;
    let active = status.active_backend;
    let mut reports = Vec::new();
    match (&status.writes, status.exists) {
        (Writes::Refused { reason }, _) => reports.push(ENTRY.warn(
            format!("no secret can be stored: {reason}"),
            "`ringfort secrets status` shows what works; set `secrets.backend`, or allow the fall-back",
        )),
        (_, false) => {
            let why = status.auto_reason.as_ref().or(status.fallback_reason.as_ref());
            let why = why.map_or_else(String::new, |why| format!(" ({why})"));
            reports.push(ENTRY.pass(format!("there are no secrets yet; {active} will keep their key{why}")));
        }
        (_, true) => {
            let slots: Vec<&str> = status.slots.iter().map(|slot| slot.source.as_str()).collect();
            reports.push(ENTRY.pass(format!("{active} keeps the key of the secrets; opened by: {}", slots.join(", "))));
        }
    }
    if let (true, Some(message)) = (status.exists, &status.root_key_message) {
        reports.push(ENTRY.warn(
            format!("{active} cannot open the store now: {message}"),
            "make it reachable, or open the store by another of its key slots",
        ));
    }
    if let Some(why) = &seen.key_file {
        reports.push(ENTRY.fail(
            format!("the key file does not open the store: {why}"),
            "put the right one back, with mode 0600 and yours; `ringfort secrets status` says where it belongs",
        ));
    }
    reports.extend(seen.pin_files.iter().map(|why| {
        ENTRY.fail(
            format!("a PIN cannot be used: {why}"),
            "write the PIN of the device into the file, with mode 0600 and yours",
        )
    }));
    match &seen.counter {
        None => {}
        Some(counter @ CounterSeen::Follows { .. }) => reports.push(ENTRY.pass(counter.to_string())),
        Some(counter) => reports.push(ENTRY.fail(
            counter.to_string(),
            "find out who put it back; if this is the newest state that you know of: `ringfort secrets restore`",
        )),
    }
    reports.extend(status.warnings.iter().map(|warning| {
        ENTRY.warn(warning.clone(), "`ringfort secrets passphrase` adds a passphrase; see docs/secrets.md")
    }));
    reports
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use ringfort_secrets::backend::{Backend, Probe, Requested, Sight, SlotSeen, classify};

    use super::*;
    use crate::checks::Status;

    fn check(requested: &str, sources: Option<&[&str]>, probe: &Probe, expected: &[(Status, &str)]) {
        let slot = |(index, source): (usize, &&str)| SlotSeen { index, source: (*source).to_owned() };
        let sight = Sight {
            path: PathBuf::from("/state/secrets"),
            slots: sources.map(|sources| sources.iter().enumerate().map(slot).collect()),
            ..Sight::default()
        };
        let probes = |_: Backend| probe.clone();
        let status = classify(&Requested::parse(requested), &probes, &sight);
        let seen = reports(&StoreSeen { status, key_file: None, pin_files: Vec::new(), counter: None });
        let summary: Vec<(Status, &str)> = seen.iter().map(|report| (report.status, report.message.as_str())).collect();
        assert_eq!(summary.len(), expected.len(), "{requested} {sources:?}: {summary:?}");
        for ((status, message), (wanted, part)) in summary.iter().zip(expected) {
            assert!(status == wanted && message.contains(part), "{requested} {sources:?}: {summary:?}");
        }
        assert!(seen.iter().all(|report| (report.status == Status::Pass) == report.help.is_none()), "{seen:?}");
    }

    #[test]
    fn what_is_wrong_with_the_place_is_said() {
        let absent = Probe::Absent { message: "nothing there".to_owned() };
        let slow = Probe::Slow { waited: std::time::Duration::from_secs(2) };
        let (pass, warn) = (Status::Pass, Status::Warn);
        check("auto", None, &Probe::Ready, &[(pass, "secret-service will keep")]);
        check("auto", None, &absent, &[(pass, "encrypted-file will keep")]);
        check("auto", Some(&["passphrase"]), &absent, &[(pass, "opened by: passphrase")]);
        check("auto", Some(&["key-file"]), &absent, &[(pass, "key-file"), (warn, "whoever has the disk")]);
        check("auto", Some(&["env"]), &absent, &[(pass, "env"), (warn, "from the environment")]);
        check("keyutils", Some(&["keyutils"]), &Probe::Ready, &[(pass, "keyutils"), (warn, "after a restart")]);
        check("tpm2", Some(&["tpm2", "passphrase"]), &slow, &[(pass, "tpm2"), (warn, "did not answer")]);
        check("dpapi", None, &absent, &[(warn, "no secret can be stored")]);
        check("vault9", None, &absent, &[(warn, "no secret can be stored"), (warn, "memory of this process")]);
    }

    #[test]
    fn deny_a_key_file_that_others_could_have_read() {
        let probes = |_: Backend| Probe::Ready;
        let slots = vec![SlotSeen { index: 0, source: "key-file".to_owned() }];
        let sight = Sight { slots: Some(slots), ..Sight::default() };
        let status = classify(&Requested::parse("file"), &probes, &sight);
        let key_file = Some("others may read it".to_owned());
        let seen =
            reports(&StoreSeen { status, key_file, pin_files: vec!["the file was refused".to_owned()], counter: None });
        let failed = seen.iter().find(|report| report.status == Status::Fail).unwrap();
        assert!(failed.message.contains("others may read it"), "{failed:?}");
        let failed = seen.iter().rfind(|report| report.status == Status::Fail).unwrap();
        assert!(failed.message.contains("the file was refused"), "{failed:?}");
    }

    #[test]
    fn deny_a_store_that_its_counter_does_not_know_as_the_newest() {
        let probes = |_: Backend| Probe::Ready;
        let sight = Sight { slots: Some(vec![SlotSeen { index: 0, source: "tpm2".to_owned() }]), ..Sight::default() };
        let look = |counter: CounterSeen| {
            let status = classify(&Requested::parse("tpm2"), &probes, &sight);
            let seen = reports(&StoreSeen { status, key_file: None, pin_files: Vec::new(), counter: Some(counter) });
            (seen.iter().any(|report| report.status == Status::Fail), seen.last().unwrap().message.clone())
        };
        for (counter, failed, words) in [
            (CounterSeen::Follows { generation: 3, wanted: true }, false, "generation 3"),
            (CounterSeen::Follows { generation: 3, wanted: false }, false, "lets it go"),
            (CounterSeen::Older { found: 3, latest: 9 }, true, "knows 9"),
            (CounterSeen::Missing, true, "asks for one"),
            (CounterSeen::Silent { message: "no TPM".to_owned() }, true, "no TPM"),
        ] {
            let (is_failed, message) = look(counter);
            assert!(is_failed == failed && message.contains(words), "{message}");
        }
    }
}
