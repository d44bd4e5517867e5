// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort approvals`: questions that nobody could answer where they came up, and what was approved.
//!
//! In: a person's choice, by the beginning of a digest or by a number. Out: rows, or an answer that is on the record.
//!
//! **Invariant:** inside a cage nothing here works. An answer is recorded before it holds; without a terminal a person
//! has to say `--yes`. Only what was asked can be allowed, in the words in which it was asked.

use std::io::{BufRead as _, IsTerminal as _, Write};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use ringfort_audit::{Durability, Trail};
use ringfort_core::clock::{Clock, Timestamp};
use ringfort_core::entry::{Entry, EntryKind};
use ringfort_core::principal::Principal;
use ringfort_core::store::{
    ApprovalDesk as _, Extent, GrantRow, GrantState, Question, QuestionRow, QuestionState, StoreError, Which,
};
use ringfort_core::text::escape_bytes;
use ringfort_runtime::clock::SystemClock;
use ringfort_runtime::supervisor::broker::BROKER_VARIABLE;
use ringfort_store::ApprovalDb;
use serde_json::{Value, json};

use super::{Common, EXIT_DENIED, EXIT_OK, Failure};
use crate::output;
use crate::wiring::{World, open_state, open_trail};

/// Hex digits of a digest in a list.
const DIGEST_SHOWN: usize = 12;
/// Most characters of an action in a list.
const ACTION_CHARS_SHOWN: usize = 100;

/// Answer questions that came up where nobody could be asked
///
/// A question waits for 15 minutes. What is allowed is bound to everything that was asked: the action, the folder, the
/// environment, the program and the files that it runs, the door and the policy. A denial is never lifted here.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringfort approvals list                          what waits, and what holds
  ringfort approvals show 3f9a2c71                 one question whole
  ringfort approvals allow 3f9a2c71                this very request, one time
  ringfort approvals allow 3f9a2c71 --session      this very request, until its session ends
  ringfort approvals allow 3f9a2c71 --shape --for 2h   every request of its shape
  ringfort approvals deny 3f9a2c71
  ringfort approvals revoke 7")]
pub(crate) struct ApprovalsArgs {
    #[command(subcommand)]
    command: ApprovalsCommand,
}

#[derive(Debug, Subcommand)]
enum ApprovalsCommand {
    /// List the questions that wait and the approvals that hold
    List {
        /// Also what was answered, used, revoked or has expired
        #[arg(long)]
        all: bool,
    },
    /// Show one question whole
    Show {
        /// The beginning of its digest, 8 hex digits or more
        digest: String,
    },
    /// Allow a question: once, unless said otherwise
    Allow {
        /// The beginning of its digest, 8 hex digits or more
        digest: String,
        /// For the rest of the session that asked
        #[arg(long, conflicts_with = "shape")]
        session: bool,
        /// For every request of the same shape: `show` says what that covers
        #[arg(long)]
        shape: bool,
        /// How long it holds, for example 90s, 30m, 8h, 2d
        #[arg(long = "for", value_name = "DURATION")]
        life: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Refuse a question: asked again before it expires, the answer is still no
    Deny {
        /// The beginning of its digest, 8 hex digits or more
        digest: String,
    },
    /// Take an approval back
    Revoke {
        /// Its number, as in `list`
        id: i64,
    },
}

/// What every subcommand works with.
struct Desk {
    store: ApprovalDb,
    trail: Trail,
    person: Principal,
    now: Timestamp,
}

/// Runs the command.
///
/// # Errors
///
/// The store or the record cannot be used, or there is no such question.
pub(crate) fn run(args: &ApprovalsArgs, common: &Common) -> Result<u8, Failure> {
    let world = World::read().map_err(Failure::guard)?;
    if world.variable(BROKER_VARIABLE).is_some() {
        let error = anyhow::anyhow!("inside a cage nothing can be approved, and what was is out of reach");
        return Err(Failure { status: EXIT_DENIED, ..Failure::usage(error) }
            .help("the person outside runs it, on a terminal of their own"));
    }
    let state = open_state(&world, &world.places(common))?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let desk = Desk {
        store: ApprovalDb::new(state.root()),
        trail: open_trail(&state, &clock)?,
        person: world.principal().map_err(Failure::guard)?,
        now: clock.now(),
    };
    match &args.command {
        ApprovalsCommand::List { all } => desk.list(if *all { Which::All } else { Which::Current }, common.json),
        ApprovalsCommand::Show { digest } => desk.show(digest, common.json),
        ApprovalsCommand::Allow { digest, session, shape, life, yes } => {
            let extent = match (session, shape) {
                (true, _) => Extent::Session,
                (_, true) => Extent::Shape,
                _ => Extent::Once,
            };
            let life = life.as_ref().map(|text| duration(text)).transpose()?;
            desk.allow(digest, extent, life, Confirm { asked: !yes }, common.json)
        }
        ApprovalsCommand::Deny { digest } => desk.deny(digest, common.json),
        ApprovalsCommand::Revoke { id } => desk.revoke(*id, common.json),
    }
}

/// Whether a person is asked to confirm.
#[derive(Clone, Copy)]
struct Confirm {
    asked: bool,
}

impl Desk {
    fn list(&self, which: Which, json: bool) -> Result<u8, Failure> {
        let questions = self.store.questions(which, self.now).map_err(unusable)?;
        let grants = self.store.grants(which, self.now).map_err(unusable)?;
        let mut out = anstream::stdout().lock();
        if json {
            let questions: Vec<Value> = questions.iter().map(|row| self.question_json(row)).collect();
            let grants: Vec<Value> = grants.iter().map(|row| self.grant_json(row)).collect();
            output::json_line(&mut out, &json!({ "questions": questions, "approvals": grants }))?;
            return Ok(EXIT_OK);
        }
        if questions.is_empty() && grants.is_empty() {
            writeln!(out, "nothing waits for an answer, and no approval holds")?;
        }
        for row in &questions {
            let asked = &row.question;
            let digest: String = asked.keys.exact.to_string().chars().take(DIGEST_SHOWN).collect();
            writeln!(
                out,
                "{digest}  {:<8} {:<12} {:<8} {}  {}",
                self.state_word(row),
                self.left(row.expires),
                asked.risk.as_str(),
                escape_bytes(asked.principal.to_string().as_bytes()),
                short(&asked.action),
            )?;
        }
        for row in &grants {
            writeln!(
                out,
                "{:<12}  {:<8} {:<12} {:<8} {}  {}",
                format!("approval {}", row.id),
                self.grant_word(row),
                self.left(row.expires),
                row.extent.as_str(),
                escape_bytes(row.principal.to_string().as_bytes()),
                short(&row.covers),
            )?;
        }
        Ok(EXIT_OK)
    }

    fn show(&self, digest: &str, json: bool) -> Result<u8, Failure> {
        let row = self.store.find(digest, self.now).map_err(unusable)?;
        let mut out = anstream::stdout().lock();
        if json {
            output::json_line(&mut out, &self.question_json(&row))?;
        } else {
            self.write_question(&mut out, &row)?;
        }
        Ok(EXIT_OK)
    }

    fn allow(
        &self,
        digest: &str,
        extent: Extent,
        life: Option<Duration>,
        confirm: Confirm,
        json: bool,
    ) -> Result<u8, Failure> {
        let row = self.waiting(digest)?;
        let (usual, life_max) = extent.life();
        let life = life.unwrap_or(usual);
        if life > life_max || life.is_zero() {
            let error = anyhow::anyhow!("an approval for a {} holds for {} at most", extent.as_str(), span(life_max));
            return Err(Failure::usage(error));
        }
        self.check_extent(&row.question, extent)?;
        let mut out = anstream::stdout().lock();
        if !json {
            self.write_question(&mut out, &row)?;
            let covers = match extent {
                Extent::Once => "this very request, one time".to_owned(),
                Extent::Session => "this very request, until its session ends".to_owned(),
                Extent::Shape => format!("every `{}`", row.question.shape.as_deref().unwrap_or_default()),
            };
            writeln!(out, "allows   {covers}, within {}", span(life))?;
        }
        if confirm.asked && !confirmed(&mut out)? {
            writeln!(out, "not allowed; nothing was changed")?;
            return Ok(EXIT_DENIED);
        }
        let entry = self.entry("approvals.allow", &row.question).fact("answer", extent.as_str());
        let entry = entry.fact("life_s", life.as_secs());
        self.record(&entry)?;
        let granted = self.store.allow(&row.question.keys.exact, extent, life, &self.who(), self.now);
        let granted = granted.map_err(|error| self.failed("approvals.allow", error))?;
        if json {
            output::json_line(&mut out, &self.grant_json(&granted))?;
        } else {
            writeln!(
                out,
                "allowed: approval {}; `ringfort approvals revoke {}` takes it back",
                granted.id, granted.id
            )?;
        }
        Ok(EXIT_OK)
    }

    fn deny(&self, digest: &str, json: bool) -> Result<u8, Failure> {
        let row = self.waiting(digest)?;
        self.record(&self.entry("approvals.deny", &row.question).fact("answer", "no"))?;
        let refused = self.store.refuse(&row.question.keys.exact, &self.who(), self.now);
        refused.map_err(|error| self.failed("approvals.deny", error))?;
        let mut out = anstream::stdout().lock();
        if json {
            output::json_line(&mut out, &json!({ "question": row.question.keys.exact, "state": "refused" }))?;
        } else {
            writeln!(out, "denied: {}", short(&row.question.action))?;
        }
        Ok(EXIT_OK)
    }

    fn revoke(&self, id: i64, json: bool) -> Result<u8, Failure> {
        let live = self.store.grants(Which::Current, self.now).map_err(unusable)?;
        let Some(grant) = live.into_iter().find(|grant| grant.id == id) else {
            return Err(unusable(StoreError::NoGrant(id)));
        };
        let entry = Entry {
            kind: EntryKind::Approval,
            principal: Some(self.person.clone()),
            action: Some(grant.covers),
            ..Entry::event("approvals.revoke")
        };
        let entry = entry.fact("answer", "revoked").fact("for", grant.principal.to_string());
        self.record(&entry.fact("approval", id).fact("by", self.who()))?;
        let revoked = self.store.revoke(id, &self.who(), self.now);
        let revoked = revoked.map_err(|error| self.failed("approvals.revoke", error))?;
        let mut out = anstream::stdout().lock();
        if json {
            output::json_line(&mut out, &self.grant_json(&revoked))?;
        } else {
            writeln!(out, "revoked: {}", short(&revoked.covers))?;
        }
        Ok(EXIT_OK)
    }

    /// The question, if it can be answered.
    fn waiting(&self, digest: &str) -> Result<QuestionRow, Failure> {
        let row = self.store.find(digest, self.now).map_err(unusable)?;
        let why = match row.state {
            QuestionState::Waiting if row.expires > self.now => return Ok(row),
            QuestionState::Waiting => "has expired",
            QuestionState::Allowed => "was allowed already",
            QuestionState::Refused => "was denied already",
        };
        let error = anyhow::anyhow!("the question {} {why}", short(&row.question.keys.exact.to_string()));
        Err(Failure::usage(error)
            .help("let the agent try again, which asks again; `ringfort approvals list --all` shows it"))
    }

    /// What cannot be remembered is said before anything is asked or recorded.
    fn check_extent(&self, question: &Question, extent: Extent) -> Result<(), Failure> {
        let (error, help) = match extent {
            Extent::Session if question.keys.session.is_none() => (
                "this cannot be allowed for a session: its session ends with it, or not everything that it does is known",
                "without --session it is allowed once",
            ),
            Extent::Shape if question.keys.shape.is_none() => (
                "this has no shape: it runs code, or not everything that it does is known",
                "without --shape it is allowed once; what is to be allowed every time belongs into the policy",
            ),
            Extent::Once | Extent::Session | Extent::Shape => return Ok(()),
        };
        Err(Failure::usage(anyhow::anyhow!(error)).help(help))
    }

    /// An answer as it stands on the record.
    fn entry(&self, event: &str, question: &Question) -> Entry {
        let entry = Entry {
            kind: EntryKind::Approval,
            principal: Some(self.person.clone()),
            session: Some(question.session.clone()),
            action: Some(question.action.clone()),
            risk: Some(question.risk),
            ..Entry::event(event)
        };
        let entry = entry.at(question.door, question.standing);
        entry
            .fact("question", question.keys.exact.to_string())
            .fact("for", question.principal.to_string())
            .fact("by", self.who())
    }

    fn who(&self) -> String {
        self.person.to_string()
    }

    fn record(&self, entry: &Entry) -> Result<(), Failure> {
        self.trail
            .append(entry, Durability::Synced)
            .map(drop)
            .map_err(|error| Failure::guard(error).help("nothing was changed: what cannot be recorded does not happen"))
    }

    /// Says on the record that an answer, which is there already, has not taken effect.
    fn failed(&self, event: &str, error: StoreError) -> Failure {
        let entry = Entry { principal: Some(self.person.clone()), ..Entry::event(&format!("{event}.failed")) };
        let recorded = self.record(&entry.fact("why", error.to_string()));
        recorded.err().unwrap_or_else(|| unusable(error))
    }

    fn write_question(&self, out: &mut dyn Write, row: &QuestionRow) -> Result<(), Failure> {
        let asked = &row.question;
        writeln!(out, "question {}", asked.keys.exact)?;
        writeln!(out, "  who      {}", escape_bytes(asked.principal.to_string().as_bytes()))?;
        writeln!(out, "  what     {}", plain(&asked.action))?;
        writeln!(out, "  where    {}", plain(&asked.cwd))?;
        writeln!(out, "  door     {}, {}", asked.door.as_str(), asked.standing.as_str())?;
        writeln!(out, "  risk     {}", asked.risk.as_str())?;
        for reason in &asked.reasons {
            writeln!(out, "  because  {}", plain(reason))?;
        }
        if let Some(shape) = &asked.shape {
            writeln!(out, "  shape    {}", plain(shape))?;
        }
        writeln!(
            out,
            "  asked    {} ({} times), {} {}",
            row.asked_last,
            row.times,
            self.state_word(row),
            self.left(row.expires)
        )?;
        Ok(())
    }

    fn question_json(&self, row: &QuestionRow) -> Value {
        let asked = &row.question;
        json!({
            "digest": asked.keys.exact,
            "state": self.state_word(row),
            "principal": asked.principal,
            "session": asked.session,
            "door": asked.door,
            "standing": asked.standing,
            "action": asked.action,
            "cwd": asked.cwd,
            "risk": asked.risk,
            "reasons": asked.reasons,
            "shape": asked.shape,
            "session_possible": asked.keys.session.is_some(),
            "asked": row.asked.to_string(),
            "asked_last": row.asked_last.to_string(),
            "times": row.times,
            "expires": row.expires.to_string(),
            "answered_by": row.answered_by,
        })
    }

    fn grant_json(&self, row: &GrantRow) -> Value {
        json!({
            "id": row.id,
            "state": self.grant_word(row),
            "extent": row.extent,
            "question": row.question,
            "principal": row.principal,
            "session": row.session,
            "covers": row.covers,
            "by": row.granted_by,
            "granted": row.granted.to_string(),
            "expires": row.expires.to_string(),
            "uses": row.uses,
        })
    }

    fn state_word(&self, row: &QuestionRow) -> &'static str {
        match row.state {
            QuestionState::Waiting if row.expires <= self.now => "expired",
            QuestionState::Waiting => "waiting",
            QuestionState::Allowed => "allowed",
            QuestionState::Refused => "denied",
        }
    }

    fn grant_word(&self, row: &GrantRow) -> &'static str {
        match row.state {
            GrantState::Live if row.expires <= self.now => "expired",
            GrantState::Live => "holds",
            GrantState::Used => "used",
            GrantState::Revoked => "revoked",
            GrantState::Ended => "ended",
        }
    }

    fn left(&self, until: Timestamp) -> String {
        if until > self.now { format!("for {}", span(until.since(self.now))) } else { "-".to_owned() }
    }
}

/// Asks for a yes on a terminal; without one there is nobody to say it.
fn confirmed(out: &mut dyn Write) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        let error = anyhow::anyhow!("a person has to say yes, and there is no terminal");
        return Err(Failure::usage(error).help("run it on a terminal, or add --yes once you have read the question"));
    }
    write!(out, "allow this? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "yes"))
}

fn unusable(error: StoreError) -> Failure {
    match error {
        StoreError::NoQuestion(_) | StoreError::Ambiguous { .. } | StoreError::NoDigest(_) | StoreError::NoGrant(_) => {
            Failure::usage(error).help("`ringfort approvals list` shows what waits and what holds")
        }
        StoreError::Extent { .. } | StoreError::TooMany(_) => Failure::usage(error),
        StoreError::Busy => Failure::guard(error).help("try again"),
        StoreError::Newer { .. } => Failure::guard(error).help("use the newer `ringfort`; the file was left as it is"),
        _ => Failure::guard(error)
            .help("the file was left as it is; moved away, it is made anew without the approvals that it held"),
    }
}

/// Reads `90s`, `30m`, `8h` or `2d`.
pub(crate) fn duration(text: &str) -> Result<Duration, Failure> {
    let unit = |unit: char| match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(24 * 3600),
        _ => None,
    };
    let seconds = text.char_indices().next_back().and_then(|(at, last)| {
        let number: u64 = text.get(..at)?.parse().ok()?;
        number.checked_mul(unit(last)?)
    });
    seconds.map(Duration::from_secs).ok_or_else(|| {
        let error = anyhow::anyhow!("`{}` is no duration", escape_bytes(text.as_bytes()));
        Failure::usage(error).help("a number and a unit: 90s, 30m, 8h, 2d")
    })
}

/// A duration for people, in its largest unit that fits.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Text that was escaped when it was kept.
fn plain(text: &str) -> String {
    escape_bytes(text.as_bytes()).replace("\\\\", "\\")
}

fn short(text: &str) -> String {
    let text = plain(text);
    match text.char_indices().nth(ACTION_CHARS_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, expected) in [
            ("90s", Some(90)),
            ("30m", Some(1800)),
            ("8h", Some(28_800)),
            ("2d", Some(172_800)),
            ("", None),
            ("h", None),
            ("8", None),
            ("-8h", None),
            ("8 h", None),
            ("1.5h", None),
            ("99999999999999999999h", None),
            ("18446744073709551615d", None),
            ("8ü", None),
        ] {
            assert_eq!(duration(text).ok().map(|duration| duration.as_secs()), expected, "`{text}`");
        }
    }
}
