// SPDX-License-Identifier: MIT OR Apache-2.0
//! The risk score: one number from 0 to 100 for how much a ruling has found, and what it is made of.
//!
//! In: a ruling. Out: its score, the sum of the parts, each with the words that it stands for.
//!
//! **Invariant:** the same ruling has the same score; one more effect, question, denial or phrase never lowers it. The
//! weights are those of `docs/score.md` (tested).

use serde::Serialize;

use crate::decision::{Decision, Risk};
use crate::effect::{EffectKind, Span};
use crate::ruling::Ruling;

/// The highest score.
pub const SCORE_MAX: u8 = 100;
/// What a phrase counts that tries to talk an agent out of its rules.
const PHRASE: u8 = 35;
/// The rule that names such phrases.
const PHRASE_RULE: &str = "prompt-002";

/// A score and its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Score {
    /// The sum of the parts, at most [`SCORE_MAX`].
    pub total: u8,
    /// What it is made of, the heaviest first.
    pub parts: Vec<Part>,
}

/// One part of a score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// How much it counts.
    pub points: u8,
    /// The risk, the kind of an effect, or the id of a rule.
    pub what: String,
    /// The first words of the input that it stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
}

/// What a risk counts.
pub const fn risk_points(risk: Risk) -> u8 {
    match risk {
        Risk::Low => 0,
        Risk::Medium => 10,
        Risk::High => 30,
        Risk::Critical => 60,
    }
}

/// What a kind of effect counts, however often it occurs.
pub const fn effect_points(kind: EffectKind) -> u8 {
    match kind {
        EffectKind::ReadPath | EffectKind::ListPath => 0,
        EffectKind::WritePath => 2,
        EffectKind::ChangeEnvironment | EffectKind::QueryService => 3,
        EffectKind::DeletePath => 5,
        EffectKind::ExecuteFile | EffectKind::Exhaust | EffectKind::Unknown => 8,
        EffectKind::OpenNetwork => 10,
        EffectKind::ExecuteText | EffectKind::RewriteHistory | EffectKind::Publish | EffectKind::Spend => 12,
        EffectKind::DeleteTree | EffectKind::Kill => 15,
        EffectKind::ChangePrivilege | EffectKind::Persist => 20,
        EffectKind::ReadSecret => 25,
    }
}

/// What a rule counts, however often it speaks.
pub const fn decision_points(decision: Decision) -> u8 {
    match decision {
        Decision::Allow => 0,
        Decision::Ask => 10,
        Decision::Deny => 20,
    }
}

/// The score of a ruling.
pub fn of(ruling: &Ruling) -> Score {
    let mut parts = vec![Part { points: risk_points(ruling.risk), what: ruling.risk.as_str().to_owned(), span: None }];
    for effect in &ruling.effects {
        let part =
            Part { points: effect_points(effect.kind), what: effect.kind.as_str().to_owned(), span: Some(effect.span) };
        once(&mut parts, part);
    }
    for reason in &ruling.reasons {
        if reason.rule == PHRASE_RULE {
            parts.push(Part { points: PHRASE, what: reason.rule.clone(), span: reason.span });
        } else {
            let points = decision_points(reason.decision);
            once(&mut parts, Part { points, what: reason.rule.clone(), span: reason.span });
        }
    }
    parts.retain(|part| part.points > 0);
    parts.sort_by(|a, b| b.points.cmp(&a.points).then_with(|| a.what.cmp(&b.what)));
    let total = parts.iter().fold(0_u8, |sum, part| sum.saturating_add(part.points)).min(SCORE_MAX);
    Score { total, parts }
}

/// Adds a part, or keeps the heavier of two for the same.
fn once(parts: &mut Vec<Part>, part: Part) {
    match parts.iter_mut().find(|earlier| earlier.what == part.what) {
        Some(earlier) if earlier.points < part.points => *earlier = part,
        Some(_) => {}
        None => parts.push(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Effect;
    use crate::ruling::Reason;

    fn ruling(risk: Risk, kinds: &[EffectKind], reasons: &[(&str, Decision)]) -> Ruling {
        let decision = reasons.iter().map(|(_, decision)| *decision).max().unwrap_or(Decision::Allow);
        let mut ruling = Ruling::new(decision, risk, Reason::new("policy-001", Decision::Allow, "x"));
        let effect = |kind: &EffectKind| Effect { kind: *kind, target: None, span: Span::new(1, 2) };
        ruling.effects = kinds.iter().map(effect).collect();
        ruling.reasons.extend(reasons.iter().map(|(rule, decision)| Reason::new(*rule, *decision, "y")));
        ruling
    }

    #[test]
    fn parts_add_up_and_repeats_count_once() {
        use EffectKind::{DeleteTree, OpenNetwork, ReadPath, ReadSecret};
        for (ruling, expected) in [
            (ruling(Risk::Low, &[ReadPath], &[]), 0),
            (ruling(Risk::Medium, &[DeleteTree, DeleteTree], &[]), 25),
            (ruling(Risk::High, &[ReadSecret, OpenNetwork], &[("command-021", Decision::Deny)]), 85),
            (ruling(Risk::Low, &[], &[("a-001", Decision::Ask), ("a-001", Decision::Deny)]), 20),
            (ruling(Risk::Low, &[], &[("prompt-002", Decision::Allow), ("prompt-002", Decision::Allow)]), 70),
            (ruling(Risk::Critical, &[DeleteTree, ReadSecret], &[("a-001", Decision::Deny)]), 100),
        ] {
            let score = of(&ruling);
            assert_eq!(score.total, expected, "{score:?}");
            assert!(score.parts.windows(2).all(|pair| pair[0].points >= pair[1].points));
        }
    }

    #[test]
    fn the_weights_are_the_documented_ones() {
        let document = include_str!("../../../docs/score.md");
        let has = |what: &str, points: u8| {
            assert!(document.contains(&format!("| `{what}` | {points} |")), "`{what}` counts {points}");
        };
        for risk in [Risk::Low, Risk::Medium, Risk::High, Risk::Critical] {
            has(risk.as_str(), risk_points(risk));
        }
        for kind in EffectKind::ALL {
            has(kind.as_str(), effect_points(kind));
        }
        for decision in [Decision::Allow, Decision::Ask, Decision::Deny] {
            has(decision.as_str(), decision_points(decision));
        }
        has(PHRASE_RULE, PHRASE);
    }
}
