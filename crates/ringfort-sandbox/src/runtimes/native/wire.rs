// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the processes of a cage tell each other: fixed-size messages, no allocation.
//!
//! In: a report or an event. Out: its bytes, and back.
//!
//! **Invariant:** bytes that are no message decode to `None`; a reader treats that as a failure.

use super::witness::{Findings, PROMISES};

/// Bytes of a report.
pub(super) const REPORT_BYTES: usize = 32;
/// Bytes of an event or a command.
pub(super) const EVENT_BYTES: usize = 5;

/// Where starting failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stage {
    Descriptors = 1,
    Identity,
    View,
    Session,
    Rights,
    Fork,
    Folder,
    Limits,
    Landlock,
    Seccomp,
    Signals,
    Group,
    Network,
    Trace,
}

const STAGES: [Stage; 14] = [
    Stage::Descriptors,
    Stage::Identity,
    Stage::View,
    Stage::Session,
    Stage::Rights,
    Stage::Fork,
    Stage::Folder,
    Stage::Limits,
    Stage::Landlock,
    Stage::Seccomp,
    Stage::Signals,
    Stage::Group,
    Stage::Network,
    Stage::Trace,
];

impl Stage {
    /// What was being done, for an error message.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Descriptors => "passing on the descriptors",
            Self::Identity => "mapping the user into a new namespace",
            Self::View => "preparing the view",
            Self::Session => "starting a session",
            Self::Rights => "dropping rights",
            Self::Fork => "starting the process of the program",
            Self::Folder => "entering the working folder",
            Self::Limits => "setting resource limits",
            Self::Landlock => "applying Landlock",
            Self::Seccomp => "applying the system call filter",
            Self::Signals => "resetting signals",
            Self::Group => "entering the control group",
            Self::Network => "preparing the network",
            Self::Trace => "tracing the program",
        }
    }
}

/// What the child says before its program starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// Something could not be set up; the program has not run.
    Failed { stage: Stage, index: u16, errno: i32 },
    /// A required promise is not held; the program has not run.
    Refused { findings: Findings, overlays_refused: u64 },
    /// Everything required is held; `execve` is next.
    Ready { findings: Findings, overlays_refused: u64 },
    /// `execve` failed; the program has not run.
    NotExecuted { errno: i32 },
}

impl Report {
    pub(super) fn encode(self) -> [u8; REPORT_BYTES] {
        let (kind, body): (u8, [u8; REPORT_BYTES - 1]) = match self {
            Self::Failed { stage, index, errno } => {
                (1, pack(&[&[stage as u8], &index.to_le_bytes(), &errno.to_le_bytes()]))
            }
            Self::Refused { findings, overlays_refused } => (2, pack_findings(findings, overlays_refused)),
            Self::Ready { findings, overlays_refused } => (3, pack_findings(findings, overlays_refused)),
            Self::NotExecuted { errno } => (4, pack(&[&errno.to_le_bytes()])),
        };
        pack(&[&[kind], &body])
    }

    pub(super) fn decode(bytes: &[u8; REPORT_BYTES]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        Some(match kind {
            1 => {
                let (stage, rest) = rest.split_first()?;
                let stage = STAGES.into_iter().find(|known| *known as u8 == *stage)?;
                let (index, rest) = rest.split_first_chunk::<2>()?;
                let errno = rest.first_chunk::<4>()?;
                Self::Failed { stage, index: u16::from_le_bytes(*index), errno: i32::from_le_bytes(*errno) }
            }
            2 | 3 => {
                let (faults, rest) = rest.split_first_chunk::<PROMISES>()?;
                let (flags, rest) = rest.split_first()?;
                let findings = Findings {
                    faults: *faults,
                    seccomp: flags & 1 != 0,
                    no_new_privileges: flags & 2 != 0,
                    capabilities_dropped: flags & 4 != 0,
                    landlock: flags & 8 != 0,
                };
                let overlays_refused = u64::from_le_bytes(*rest.first_chunk::<8>()?);
                if *kind == 2 {
                    Self::Refused { findings, overlays_refused }
                } else {
                    Self::Ready { findings, overlays_refused }
                }
            }
            4 => Self::NotExecuted { errno: i32::from_le_bytes(*rest.first_chunk::<4>()?) },
            _ => return None,
        })
    }
}

/// Lays parts one after the other; the rest is zero.
fn pack<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut packed = [0; N];
    for (to, from) in packed.iter_mut().zip(parts.iter().copied().flatten()) {
        *to = *from;
    }
    packed
}

fn pack_findings<const N: usize>(findings: Findings, overlays_refused: u64) -> [u8; N] {
    let flags = u8::from(findings.seccomp)
        | u8::from(findings.no_new_privileges) << 1
        | u8::from(findings.capabilities_dropped) << 2
        | u8::from(findings.landlock) << 3;
    pack(&[&findings.faults, &[flags], &overlays_refused.to_le_bytes()])
}

/// What the keeper tells the supervisor, and what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Exited(i32),
    Signaled(i32),
    Stopped(i32),
    Continued,
    /// To the keeper: send this signal to the program's group.
    Signal(i32),
    /// This many listeners of the door come with the message. Always the first one.
    Door(i32),
    /// A process has become another program and waits: the number of the question, with a descriptor for the process.
    Executed(i32),
    /// To the keeper: the program of this question may run.
    MayRun(i32),
    /// To the keeper: it may not, and its process is ended.
    MayNotRun(i32),
    /// From the program's process, before its report: connections are asked for at the descriptor that comes with it.
    Connects,
}

impl Message {
    pub(super) fn encode(self) -> [u8; EVENT_BYTES] {
        let (kind, value) = match self {
            Self::Exited(status) => (1, status),
            Self::Signaled(signal) => (2, signal),
            Self::Stopped(signal) => (3, signal),
            Self::Continued => (4, 0),
            Self::Signal(signal) => (5, signal),
            Self::Door(count) => (6, count),
            Self::Executed(number) => (7, number),
            Self::MayRun(number) => (8, number),
            Self::MayNotRun(number) => (9, number),
            Self::Connects => (10, 0),
        };
        pack(&[&[kind], &value.to_le_bytes()])
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; EVENT_BYTES] = bytes.try_into().ok()?;
        let (kind, value) = bytes.split_first()?;
        let value = i32::from_le_bytes(*value.first_chunk::<4>()?);
        Some(match kind {
            1 => Self::Exited(value),
            2 => Self::Signaled(value),
            3 => Self::Stopped(value),
            4 => Self::Continued,
            5 => Self::Signal(value),
            6 => Self::Door(value),
            7 => Self::Executed(value),
            8 => Self::MayRun(value),
            9 => Self::MayNotRun(value),
            10 => Self::Connects,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reports_survive_the_wire() {
        let findings = Findings {
            faults: [0, 1, 2, 3, 4, 5, 6, 255],
            seccomp: true,
            no_new_privileges: false,
            capabilities_dropped: true,
            landlock: false,
        };
        let overlays_refused = 0x8000_0000_0000_0001;
        let mut reports = vec![
            Report::Refused { findings, overlays_refused },
            Report::Ready { findings, overlays_refused },
            Report::NotExecuted { errno: libc::ENOEXEC },
        ];
        reports.extend(STAGES.map(|stage| Report::Failed { stage, index: 777, errno: -5 }));
        for report in reports {
            assert_eq!(Report::decode(&report.encode()), Some(report));
        }
        assert_eq!(Report::decode(&[0; REPORT_BYTES]), None);
        assert_eq!(Report::decode(&[9; REPORT_BYTES]), None);
    }

    proptest! {
        #[test]
        fn messages_survive_the_wire(value: i32, kind in 1_u8..11, noise: [u8; 6]) {
            let mut bytes = vec![kind];
            bytes.extend(value.to_le_bytes());
            let message = Message::decode(&bytes);
            prop_assert!(message.is_some());
            prop_assert_eq!(message.and_then(|message| Message::decode(&message.encode())), message);
            prop_assert_eq!(Message::decode(&noise), None);
        }
    }
}
