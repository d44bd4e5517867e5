// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a secret in memory can reach a disk or another program.

use ringfort_secrets::harden::{Area, Confidential, CoreDumps, Posture, report};
use ringfort_secrets::locked::Protection;

use super::{Check, Report, Status, Subject};

pub(super) const ENTRY: Check = Check { id: "memory", title: "whether a secret in memory can get out of it", look };

/// What a process needs to be able to lock for its secrets. Bytes.
const MEMLOCK_MIN: u64 = 1024 * 1024;

fn look(_: &Subject<'_>) -> Vec<Report> {
    reports(&report())
}

fn reports(posture: &Posture) -> Vec<Report> {
    let info = |message: String| Report { check: ENTRY.id, status: Status::Info, message, help: None };
    vec![
        match posture.protection {
            Protection::SecretMemory => ENTRY.pass("secrets are held in secret memory (`memfd_secret`): no debugger reads it"),
            Protection::LockedPages => ENTRY.pass("secrets are held in locked pages: they are never swapped or dumped"),
        },
        memlock(posture.memlock_bytes),
        swap(posture),
        match &posture.core_dumps {
            CoreDumps::Nowhere => ENTRY.pass("core dumps are thrown away"),
            CoreDumps::File(_) | CoreDumps::Program(_) | CoreDumps::Unknown => ENTRY.pass(
                "core dumps of other programs are kept; Ringfort makes none where it opens secrets, and they leave out the pages with secrets",
            ),
        },
        match posture.ptrace_scope {
            Some(0) => ENTRY.warn(
                "every program of yours can read the memory of your other programs",
                "as an administrator: `sysctl kernel.yama.ptrace_scope=1`",
            ),
            Some(_) => ENTRY.pass("programs cannot read the memory of your other programs"),
            None => info("whether programs can read the memory of your other programs is not restricted here".to_owned()),
        },
        info(match &posture.confidential {
            Confidential::Guest(technique) => format!("memory is encrypted against the host of this machine ({technique})"),
            Confidential::Possible(techniques) => {
                format!("the processor can encrypt memory ({}); whether it does is not known", techniques.join(", "))
            }
            Confidential::None => "memory is not encrypted against the host of this machine, if it has one".to_owned(),
        }),
    ]
}

fn memlock(limit: Option<u64>) -> Report {
    match limit {
        Some(bytes) if bytes < MEMLOCK_MIN => ENTRY.warn(
            format!("only {} KiB may be locked: many secrets at once do not fit", bytes / 1024),
            "raise `memlock` in /etc/security/limits.conf to 8192",
        ),
        Some(bytes) => ENTRY.pass(format!("{} KiB may be locked for secrets", bytes / 1024)),
        None => ENTRY.pass("memory may be locked for secrets"),
    }
}

fn swap(posture: &Posture) -> Report {
    let Some(areas) = &posture.swap else {
        return ENTRY.warn("where swapped memory goes is not known", "look at /proc/swaps");
    };
    let plain: Vec<&str> = areas
        .iter()
        .filter_map(|area| if let Area::Plain { name } = area { Some(name.as_str()) } else { None })
        .collect();
    match plain.as_slice() {
        [] if areas.is_empty() => ENTRY.pass("there is no swap"),
        [] => ENTRY.pass("swap is encrypted or in memory"),
        plain => ENTRY.warn(
            format!(
                "swap is not known to be encrypted ({}): Ringfort's own secrets stay out of it, a secret given to a program does not",
                plain.join(", ")
            ),
            "encrypt it (`swap` in /etc/crypttab with a random key), use zram, or `swapoff -a`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best() -> Posture {
        Posture {
            protection: Protection::SecretMemory,
            memlock_bytes: Some(8 * 1024 * 1024),
            swap: Some(Vec::new()),
            zswap: false,
            core_dumps: CoreDumps::Nowhere,
            ptrace_scope: Some(1),
            confidential: Confidential::None,
        }
    }

    fn worst(posture: &Posture) -> Status {
        reports(posture).into_iter().map(|report| report.status).max().unwrap()
    }

    #[test]
    fn each_weakness_is_told_with_what_to_do() {
        assert_eq!(worst(&best()), Status::Pass);
        let plain = || Some(vec![Area::Plain { name: "/swapfile".to_owned() }]);
        for (posture, expected) in [
            (Posture { swap: plain(), ..best() }, "/swapfile"),
            (Posture { swap: None, ..best() }, "not known"),
            (Posture { ptrace_scope: Some(0), ..best() }, "every program of yours"),
            (Posture { memlock_bytes: Some(64 * 1024), ..best() }, "only 64 KiB"),
        ] {
            let warned: Vec<_> = reports(&posture).into_iter().filter(|report| report.status == Status::Warn).collect();
            let [warning] = &warned[..] else { panic!("{warned:?}") };
            assert!(warning.message.contains(expected) && warning.help.is_some(), "{warning:?}");
        }
        for posture in [
            Posture { swap: Some(vec![Area::Encrypted { name: "a".to_owned() }]), ..best() },
            Posture { protection: Protection::LockedPages, memlock_bytes: None, ..best() },
            Posture { core_dumps: CoreDumps::File("core".to_owned()), ..best() },
        ] {
            assert_eq!(worst(&posture), Status::Pass, "{posture:?}");
        }
    }
}
