// SPDX-License-Identifier: MIT OR Apache-2.0
//! The shape of a command: what a person approves who does not want to be asked about every variant.
//!
//! In: a command and its folders. Out: [`Shape`], or none. Every word stands in it exactly, but for four: a file of
//! the workspace that is written (one that is read too, where nothing leaves the machine), the path of a URL that has
//! neither query nor user, and the text of a message. Programs, sub-commands, options, hosts, operators, redirections
//! and every other value are exact.
//!
//! **Invariant:** what runs code has no shape: shells, interpreters, wrappers, builds, scripts, hooks of an assignment;
//! nor has anything that is not wholly known. What is removed is named exactly. Equal commands have equal shapes.

use std::path::Path;

use ringfort_core::action::{Command, PathOp};
use ringfort_core::decision::Risk;
use ringfort_core::digest::{Digest, DigestWriter};
use ringfort_core::effect::{Effect, EffectKind, Span};
use ringfort_core::text::escape_bytes;

use super::analysis::{
    Analysis, Argument, Arity, Context, Knowledge, PlaceKind, Program, Redirection, SimpleCommand, Timing,
};
use super::catalogue::{self, Language, Opt, Role, Special};
use super::syntax::RedirectOp;
use super::{analyze, analyze_argv};
use crate::egress;
use crate::path::{Setting, Zone, Zones, fault_of};

/// Most commands of a line that has a shape.
const COMMANDS_MAX: usize = 16;
/// Most words of a line that has a shape.
const WORDS_MAX: usize = 256;
/// What the analysis may have seen in a command that has a shape: what it says is that the words do what they are for.
const PLAIN_HAZARDS: [&str; 3] = ["command-043", "command-044", "command-047"];
/// Programs with commands of their own at the keyboard, some of which start others.
const INTERACTIVE: &str = "vi vim nvim view ex ed nano pico emacs emacsclient micro hx joe less more most man info pg top htop \
     mc ranger nnn tig gdb lldb screen tmux ftp sftp telnet lynx w3m links mail mutt";
/// Options whose value is text for people: program, sub-commands, options.
const MESSAGES: &[(&str, &[&str], &[&str])] = &[
    ("git", &["commit", "tag", "notes", "stash"], &["-m", "--message"]),
    ("gh", &["pr", "issue", "release"], &["-t", "--title", "-b", "--body", "-n", "--notes", "-c", "--comment"]),
    ("glab", &["mr", "issue"], &["-t", "--title", "-d", "--description", "-m", "--message"]),
];

/// The shape of one command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// The exact word.
    Word(Vec<u8>),
    /// What stands before a value in the same word, as `--output=`.
    Prefix(Vec<u8>),
    /// A file of the workspace.
    File(PathOp),
    /// Any path on one host.
    Url(String),
    /// Text for people.
    Message,
    /// What joins two commands.
    Operator(Vec<u8>),
    /// A redirection; its target follows.
    Redirect(u64, Option<u32>),
}

impl Shape {
    /// The digest that approvals of this shape are bound to.
    pub fn digest(&self) -> Digest {
        let mut writer = DigestWriter::new("ringfort.shape.v1");
        writer.number(self.parts.len() as u64);
        for part in &self.parts {
            match part {
                Part::Word(word) => writer.number(1).bytes(word),
                Part::Prefix(word) => writer.number(2).bytes(word),
                Part::File(op) => writer.number(3).bytes(op.as_str().as_bytes()),
                Part::Url(origin) => writer.number(4).bytes(origin.as_bytes()),
                Part::Message => writer.number(5),
                Part::Operator(operator) => writer.number(6).bytes(operator),
                Part::Redirect(op, descriptor) => {
                    writer.number(7).number(*op).number(descriptor.map_or(0, |number| u64::from(number) + 1))
                }
            };
        }
        writer.finish()
    }

    /// The shape for people: exact words as they are, the others in angle brackets. Escaped.
    pub fn to_display(&self) -> String {
        let mut text = String::new();
        for part in &self.parts {
            if !text.is_empty() && !text.ends_with('=') {
                text.push(' ');
            }
            match part {
                Part::Word(word) | Part::Prefix(word) | Part::Operator(word) => text.push_str(&escape_bytes(word)),
                Part::File(PathOp::Write) => text.push_str("<any file of the workspace, written>"),
                Part::File(_) => text.push_str("<any file of the workspace, read>"),
                Part::Url(origin) => text.push_str(&format!("{origin}/<any path>")),
                Part::Message => text.push_str("<any text>"),
                Part::Redirect(op, descriptor) => {
                    text.push_str(&descriptor.map_or_else(String::new, |number| number.to_string()));
                    text.push_str(sign(*op));
                }
            }
        }
        text
    }
}

/// The shape of a command, if it has one. Nothing is opened or looked up.
pub fn shape_of(command: &Command, cwd: &Path, workspace: &Path, home: Option<&Path>) -> Option<Shape> {
    let setting = Setting::new(cwd, workspace, home);
    setting.workspace.as_ref()?;
    let context =
        Context { cwd: Some(&setting.cwd), home: setting.home.as_deref(), workspace: setting.workspace.as_deref() };
    let (analysis, text) = match command {
        Command::Shell(text) => (analyze(text.as_bytes(), &context), Some(text.as_bytes())),
        Command::Argv(words) => {
            let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
            (analyze_argv(&words, &context), None)
        }
    };
    if !is_plain(&analysis) {
        return None;
    }
    let leaves = analysis.effects.iter().any(|effect| {
        matches!(
            effect.kind,
            EffectKind::OpenNetwork | EffectKind::QueryService | EffectKind::Publish | EffectKind::Spend
        )
    });
    let mut shaper =
        Shaper { analysis: &analysis, setting: &setting, leaves, zones: Zones::default(), parts: Vec::new() };
    let mut after = 0;
    for command in &analysis.commands {
        if let Some(text) = text {
            shaper.operators(text.get(after..command.span.start)?)?;
            after = command.span.end;
        }
        shaper.command(command)?;
    }
    if let Some(text) = text {
        shaper.operators(text.get(after..)?)?;
    }
    (shaper.parts.len() <= WORDS_MAX).then_some(Shape { parts: shaper.parts })
}

/// Whether everything is known, and nothing runs code, hides, or reads what is secret.
fn is_plain(analysis: &Analysis) -> bool {
    let known = |effect: &Effect| match effect.kind {
        EffectKind::ReadPath | EffectKind::ListPath | EffectKind::DeletePath | EffectKind::DeleteTree => {
            effect.target.is_some()
        }
        EffectKind::WritePath
        | EffectKind::OpenNetwork
        | EffectKind::QueryService
        | EffectKind::Publish
        | EffectKind::Spend
        | EffectKind::RewriteHistory => true,
        _ => false,
    };
    analysis.unanalysable.is_empty()
        && analysis.chains.is_empty()
        && analysis.risk < Risk::Critical
        && (1..=COMMANDS_MAX).contains(&analysis.commands.len())
        && analysis.hazards.iter().all(|hazard| PLAIN_HAZARDS.contains(&hazard.rule.id))
        && analysis.effects.iter().all(known)
}

struct Shaper<'a> {
    analysis: &'a Analysis,
    setting: &'a Setting<'a>,
    /// Whether something may leave the machine: then no file that is read stands for another.
    leaves: bool,
    zones: Zones,
    parts: Vec<Part>,
}

impl Shaper<'_> {
    /// What stands between two commands: blanks and the operators that join them, nothing else.
    fn operators(&mut self, gap: &[u8]) -> Option<()> {
        let mut rest = gap;
        while let Some((first, after)) = rest.split_first() {
            let operator: &[u8] = match rest {
                [b'&', b'&', ..] => b"&&",
                [b'|', b'|', ..] => b"||",
                [b'|', b'&', ..] => return None,
                [b'|', ..] => b"|",
                [b';' | b'\n', ..] => b";",
                [b' ' | b'\t', ..] => {
                    rest = after;
                    continue;
                }
                _ => return None,
            };
            rest = rest.get(if *first == b';' || *first == b'\n' { 1 } else { operator.len() }..)?;
            self.parts.push(Part::Operator(operator.to_vec()));
        }
        Some(())
    }

    fn command(&mut self, command: &SimpleCommand) -> Option<()> {
        let Program::Known(program) = &command.program else { return None };
        let stands_alone = command.place.kind == PlaceKind::Top
            && command.place.timing == Timing::Foreground
            && command.via.is_none()
            && command.assignments.is_empty()
            && command.knowledge == Knowledge::Catalogue;
        let name = program.rsplit(|byte| *byte == b'/').next()?;
        let entry = catalogue::lookup(name)?;
        let edits = |option: &Opt| matches!(option.role, Role::Code(Language::Editor | Language::Sql));
        let runs_nothing = matches!(entry.special, None | Some(Special::Git | Special::Remove | Special::Cd))
            && !entry.wraps
            && !entry.options.iter().any(edits)
            && !catalogue::lists(INTERACTIVE, name);
        if !stands_alone || !runs_nothing {
            return None;
        }
        self.parts.push(Part::Word(program.to_vec()));
        let moves = entry.special == Some(Special::Cd);
        let mut before: Option<&[u8]> = None;
        for argument in &command.args {
            let word = argument.known().filter(|_| argument.arity == Arity::One)?;
            match (moves, before) {
                (true, _) => self.parts.push(Part::Word(word.to_vec())),
                (false, Some(option)) if is_message(program, &command.args, option) && !word.starts_with(b"-") => {
                    self.parts.push(Part::Message);
                }
                (false, _) => self.argument(program, command, argument, word),
            }
            before = Some(word);
        }
        command.redirections.iter().try_for_each(|redirection| self.redirection(command, redirection))
    }

    fn argument(&mut self, program: &[u8], command: &SimpleCommand, argument: &Argument, word: &[u8]) {
        if let Some(part) = self.value(command, word, argument.span) {
            return self.parts.push(part);
        }
        let equals = word.iter().position(|byte| *byte == b'=').filter(|_| word.starts_with(b"--"));
        if let Some((name, value)) = equals.and_then(|at| word.split_at_checked(at)) {
            let value = value.get(1..).unwrap_or_default();
            let part = match self.value(command, value, argument.span) {
                None if is_message(program, &command.args, name) => Some(Part::Message),
                part => part,
            };
            if let Some(part) = part {
                self.parts.push(Part::Prefix([name, b"="].concat()));
                return self.parts.push(part);
            }
        }
        self.parts.push(Part::Word(word.to_vec()));
    }

    fn redirection(&mut self, command: &SimpleCommand, redirection: &Redirection) -> Option<()> {
        let op = match redirection.op {
            RedirectOp::Read => 1,
            RedirectOp::Write => 2,
            RedirectOp::Append => 3,
            RedirectOp::WriteBoth => 4,
            RedirectOp::DuplicateInput => 5,
            RedirectOp::DuplicateOutput => 6,
            RedirectOp::ReadWrite | RedirectOp::Document | RedirectOp::Text => return None,
        };
        let target = redirection.target.known()?;
        self.parts.push(Part::Redirect(op, redirection.descriptor));
        let part = self.value(command, target, redirection.target.span);
        self.parts.push(part.unwrap_or_else(|| Part::Word(target.to_vec())));
        Some(())
    }

    /// What a value stands for, where it stands for more than itself.
    fn value(&self, command: &SimpleCommand, value: &[u8], span: Span) -> Option<Part> {
        let effects = self.analysis.effects.get(command.effects.clone())?;
        let own: Vec<&Effect> = effects.iter().filter(|effect| effect.span == span).collect();
        if own.is_empty() || value.starts_with(b"-") {
            return None;
        }
        if own.iter().all(|effect| effect.kind == EffectKind::OpenNetwork) {
            return origin(value).map(Part::Url);
        }
        let resolved = self.setting.resolve(value);
        let is_target = |effect: &Effect| effect.target.as_ref().is_some_and(|target| target.as_bytes() == &*resolved);
        let op = match own.as_slice() {
            [effect] if effect.kind == EffectKind::WritePath && is_target(effect) => PathOp::Write,
            [effect]
                if matches!(effect.kind, EffectKind::ReadPath | EffectKind::ListPath)
                    && is_target(effect)
                    && !self.leaves =>
            {
                PathOp::Read
            }
            _ => return None,
        };
        let is_file = fault_of(value).is_none()
            && !value.ends_with(b"/")
            && Some(&*resolved) != self.setting.workspace.as_deref()
            && *resolved != *self.setting.cwd
            && self.zones.zone(&resolved, op, self.setting) == Zone::Workspace
            && !resolved.split(|byte| *byte == b'/').any(|part| part == b".git");
        is_file.then_some(Part::File(op))
    }
}

/// Scheme, host and port of a URL that says nothing but where.
fn origin(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let lower = text.to_ascii_lowercase();
    if !(lower.starts_with("https://") || lower.starts_with("http://")) || text.contains(['?', '#', '@', '%', '{', '['])
    {
        return None;
    }
    let destination = egress::parse(text).ok()?;
    Some(format!("{}://{}:{}", destination.scheme?, destination.host, destination.port?))
}

/// Whether the value of this option of a program is text for people.
fn is_message(program: &[u8], arguments: &[Argument], option: &[u8]) -> bool {
    let name = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    let sub = arguments.iter().find_map(|argument| argument.known());
    let (program, option, sub) = (name(program), name(option), sub.map(name).unwrap_or_default());
    MESSAGES.iter().any(|(known, subs, options)| {
        *known == program && subs.contains(&sub.as_str()) && options.contains(&option.as_str())
    })
}

const fn sign(op: u64) -> &'static str {
    match op {
        1 => "<",
        2 => ">",
        3 => ">>",
        4 => "&>",
        5 => "<&",
        _ => ">&",
    }
}

#[cfg(test)]
mod tests;
