// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules on paths that a tool or a door names.
//!
//! **Invariant:** closed folders are denied for every kind of access; outside the workspace nothing is allowed that
//! the configuration has not opened.

use ringfort_core::action::{PathAccess, PathOp};
use ringfort_core::decision::{Decision, Risk};
use ringfort_core::effect::{Effect, EffectKind, Span};
use ringfort_core::ruling::{Ring, Ruling};
use ringfort_core::text::escape_bytes;

use super::draft::Draft;
use super::{Policy, Role, table};
use crate::path::{PathFault, Setting, Zone, judge};

impl Policy {
    /// Rules on one access.
    pub(super) fn path(&self, access: &PathAccess, setting: &Setting<'_>) -> Ruling {
        let mut draft = Draft::new(self, Risk::Low);
        self.add_path(&mut draft, access.path.as_bytes(), access.op, setting);
        draft.finish()
    }

    /// Adds what is to be said of one access.
    pub(super) fn add_path(&self, draft: &mut Draft<'_>, path: &[u8], op: PathOp, setting: &Setting<'_>) {
        let span = Span::new(0, path.len());
        let judged = match judge(path, op, setting, &self.zones) {
            Ok(judged) => judged,
            Err(fault) => return self.add_fault(draft, fault, span),
        };
        let kind = match op {
            PathOp::Read => EffectKind::ReadPath,
            PathOp::Write => EffectKind::WritePath,
            PathOp::Execute => EffectKind::ExecuteFile,
        };
        if climbs_within_a_name(path) {
            let meaning = "two dots stand within a name, which some programs read as the folder above";
            draft.unresolved(table::PATH_SPELLING.id, span, meaning);
        }
        let target = Some(String::from_utf8_lossy(&judged.path).into_owned());
        draft.effects(vec![Effect { kind, target, span }]);
        if op != PathOp::Read && self.is_readonly() && judged.zone != Zone::Device {
            draft.risk(Risk::Medium);
            self.add_readonly(draft, span);
        }
        let below = if op == PathOp::Write { self.zones.forbidden_below(&judged.path, setting) } else { None };
        match below.unwrap_or(judged.zone) {
            Zone::Device => {}
            Zone::Outside | Zone::Scratch => self.add_outside(draft, &judged.path, op, span, setting),
            Zone::NamedSecret => {
                draft.risk(Risk::Medium);
                draft.unresolved(table::PATH_NAMED_SECRET.id, span, table::PATH_NAMED_SECRET.meaning);
            }
            Zone::Workspace | Zone::Root => {
                draft.add(&table::PATH_OPEN, Decision::Allow, table::PATH_OPEN.meaning).at(span);
            }
            closed => self.add_closed(draft, closed, op, span),
        }
        if op == PathOp::Execute {
            draft.cage(Some(span), || "it runs a program file".to_owned());
        }
    }

    fn add_fault(&self, draft: &mut Draft<'_>, fault: PathFault, span: Span) {
        draft.risk(Risk::High);
        draft
            .add(&table::PATH_SPELLING, Decision::Deny, format!("the path cannot be trusted: {fault}"))
            .at(span)
            .instead(|| "write the path in plain characters, below the workspace".to_owned());
    }

    /// Denies a place that is closed, in whatever way it is reached. A start-up file in the workspace is asked about.
    pub(super) fn add_closed(&self, draft: &mut Draft<'_>, zone: Zone<'_>, op: PathOp, span: Span) {
        draft.risk(if op == PathOp::Read || zone == Zone::Startup { Risk::High } else { Risk::Critical });
        let never = || "nothing opens it to an agent; do it yourself, outside".to_owned();
        match zone {
            Zone::System(folder) => {
                let message = format!("`{folder}` is a folder of the system and always closed");
                draft.add(&table::PATH_SYSTEM, Decision::Deny, message).at(span).widen(never);
            }
            Zone::DotFolder(folder) => {
                let message = format!("`~/{folder}` holds keys and is always closed");
                draft.add(&table::PATH_DOT_FOLDER, Decision::Deny, message).at(span).widen(never);
            }
            Zone::Forbidden(place) => {
                let place = escape_bytes(place.as_bytes());
                let message = format!("`autonomy.forbidden_paths` closes `{place}`");
                draft.add(&table::PATH_FORBIDDEN, Decision::Deny, message).at(span).widen(|| {
                    format!(
                        "remove `{place}` from `autonomy.forbidden_paths`: every agent may then use what is below it"
                    )
                });
            }
            Zone::Credential => {
                let meaning = table::PATH_CREDENTIAL.meaning;
                draft.add(&table::PATH_CREDENTIAL, Decision::Deny, meaning).at(span).widen(never);
            }
            Zone::Persistence => {
                let meaning = table::PATH_PERSISTENCE.meaning;
                draft.add(&table::PATH_PERSISTENCE, Decision::Deny, meaning).at(span).widen(never);
            }
            Zone::Startup => {
                draft.unresolved(table::PATH_STARTUP.id, span, table::PATH_STARTUP.meaning);
            }
            Zone::Device | Zone::NamedSecret | Zone::Workspace | Zone::Root | Zone::Scratch | Zone::Outside => {}
        }
    }

    fn add_outside(&self, draft: &mut Draft<'_>, path: &[u8], op: PathOp, span: Span, setting: &Setting<'_>) {
        draft.risk(if op == PathOp::Read { Risk::Medium } else { Risk::High });
        if !self.workspace_only {
            if op == PathOp::Write && self.role == Role::Whole && self.ask.covers(Risk::High) {
                draft.add(&table::PATH_OUTSIDE, Decision::Ask, table::PATH_OUTSIDE.meaning).at(span);
            }
            return;
        }
        self.deny_outside(draft, path, op, span, setting);
    }

    /// Denies a path outside, with the smallest change that would open it.
    pub(super) fn deny_outside(
        &self,
        draft: &mut Draft<'_>,
        path: &[u8],
        op: PathOp,
        span: Span,
        setting: &Setting<'_>,
    ) {
        if setting.workspace.is_none() {
            let meaning = table::POLICY_WIDE_WORKSPACE.meaning;
            draft
                .add(&table::POLICY_WIDE_WORKSPACE, Decision::Deny, meaning)
                .at(span)
                .instead(|| "work in a folder of its own".to_owned());
            return;
        }
        let folder = match path.iter().rposition(|b| *b == b'/') {
            Some(0) | None => path,
            Some(at) => path.get(..at).unwrap_or(path),
        };
        let narrow = folder.iter().filter(|b| **b == b'/').count() > 1;
        let key = if op == PathOp::Read { "allowed_roots_read_only" } else { "allowed_roots" };
        let added = draft.add(&table::PATH_OUTSIDE, Decision::Deny, table::PATH_OUTSIDE.meaning).at(span);
        if narrow {
            added.widen(|| {
                format!("`autonomy.{key} = [\"{}\"]`: every agent may then use what is below it", escape_bytes(folder))
            });
        } else {
            added.instead(|| "work on a copy in the workspace".to_owned());
        }
    }

    pub(super) fn is_readonly(&self) -> bool {
        self.level == crate::config::Level::Readonly
    }

    /// Denies a change where only reading is allowed.
    pub(super) fn add_readonly(&self, draft: &mut Draft<'_>, span: Span) {
        draft
            .add(&table::POLICY_READONLY, Decision::Deny, table::POLICY_READONLY.meaning)
            .at(span)
            .ring(Ring::Authorization)
            .widen(|| "`autonomy.level = \"supervised\"`: agents may then change what is in the workspace".to_owned());
    }
}

/// Whether two dots stand between letters or digits, where a program that takes something out of names leaves a climb.
fn climbs_within_a_name(path: &[u8]) -> bool {
    path.windows(4).any(|part| {
        matches!(part, [before, b'.', b'.', after] if before.is_ascii_alphanumeric() && after.is_ascii_alphanumeric())
    })
}
