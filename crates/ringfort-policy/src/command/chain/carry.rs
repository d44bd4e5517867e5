// SPDX-License-Identifier: MIT OR Apache-2.0
//! What commands carry on: data that comes from a secret, the network or a decoder, through variables and files.
//!
//! In: the commands of an analysis in the order in which a shell meets them, and its text. Out: [`Chain`]s.
//!
//! **Invariant:** one pass, or two where functions or traps run later what stands earlier; every table is bounded, and
//! where the bound of names is reached every variable counts as one that carries.
//!
//! [`Chain`]: super::super::analysis::Chain

use std::collections::HashMap;

use ringfort_core::effect::{EffectKind, Span};

use super::super::analysis::{PlaceKind, Program, SimpleCommand};
use super::super::effect::{DECODES, NETWORK, RUNS_INPUT, RUNS_WORD, SECRET};
use super::super::hazard::{self, Rule};
use super::super::syntax::{RedirectOp, is_name};
use super::super::walk::Walker;
use super::{CHAINS_MAX, LEVELS_MAX, flows_out};

/// Most variables and files that are followed.
const NAMES_MAX: usize = 256;
/// Most bytes of words that are searched for names of variables.
const SCAN_BYTES_MAX: usize = 1 << 20;
/// Most redirected blocks that stand in each other.
const BLOCKS_MAX: usize = 64;
/// Most parts of a path that are looked at.
const PATH_PARTS_MAX: usize = 64;
/// What data can come from.
const SOURCES: u16 = NETWORK | SECRET | DECODES;

/// Where data comes from, and the command in which it started.
#[derive(Clone, Copy, Debug, Default)]
struct Carried {
    traits: u16,
    secret: usize,
    network: usize,
    decodes: usize,
}

impl Carried {
    fn own(traits: u16, index: usize) -> Self {
        Self { traits: traits & SOURCES, secret: index, network: index, decodes: index }
    }

    /// Adds what `other` carries; the first origin of each kind is kept.
    fn add(&mut self, other: Self) {
        let new = other.traits & !self.traits;
        if new & SECRET != 0 {
            self.secret = other.secret;
        }
        if new & NETWORK != 0 {
            self.network = other.network;
        }
        if new & DECODES != 0 {
            self.decodes = other.decodes;
        }
        self.traits |= other.traits;
    }
}

/// What is carried into the stages of one pipeline.
#[derive(Clone, Copy, Debug, Default)]
struct Pipe {
    stage: usize,
    before: Carried,
    here: Carried,
}

#[derive(Default)]
struct State<'t> {
    text: &'t [u8],
    scanned: usize,
    /// What each command has been given.
    given: Vec<Carried>,
    variables: HashMap<Vec<u8>, Carried>,
    /// What any variable carries.
    any: Carried,
    files: HashMap<String, Carried>,
    /// Names of files and folders whose own folder is not known.
    named: Vec<(Vec<u8>, Carried)>,
    pipes: HashMap<usize, Pipe>,
    /// Blocks with redirected input.
    blocks: Vec<(Span, Carried)>,
    found: Vec<(&'static Rule, usize, usize)>,
}

impl Walker<'_> {
    /// Chains through variables and files.
    pub(super) fn carried_chains(&mut self, text: &[u8]) {
        let mut state = State { text, given: vec![Carried::default(); self.out.commands.len()], ..State::default() };
        for index in 0..self.out.commands.len() {
            self.carry(&mut state, index, false);
        }
        let later = |kind| matches!(kind, PlaceKind::Function | PlaceKind::Trap | PlaceKind::Alias);
        if self.out.commands.iter().any(|command| later(command.place.kind)) {
            for index in 0..self.out.commands.len() {
                if self.out.commands.get(index).is_some_and(|command| later(command.place.kind)) {
                    self.carry(&mut state, index, true);
                }
            }
        }
        for (rule, from, to) in std::mem::take(&mut state.found) {
            self.chain(rule, from, to);
        }
    }

    /// What one command is given, what it does with it, and what it passes on.
    fn carry(&self, state: &mut State<'_>, index: usize, again: bool) {
        let Some(command) = self.out.commands.get(index) else { return };
        let own = self.traits.get(index).copied().unwrap_or(0);
        let mut given = state.given.get(index).copied().unwrap_or_default();
        if !again {
            self.stage_input(state, command, &mut given);
        }
        state.blocks.retain(|(span, _)| span.end > command.span.start);
        if own & NETWORK == 0 {
            for (span, carried) in &state.blocks {
                if span.start <= command.span.start && command.span.end <= span.end {
                    given.add(*carried);
                }
            }
        }
        let files = self.read_files(state, command);
        given.add(files);
        let words = state.words(command);
        let mut ran = given;
        if matches!(command.program, Program::Unknown(_)) {
            // What an unknown program is given as arguments, it need not run.
            ran.add(state.program(command));
        } else {
            ran.add(words);
        }
        given.add(words);
        state.sinks(own, given, ran, index);
        self.executed(state, command, index);
        given.add(Carried::own(own, index));
        self.pass_on(state, command, index, given);
    }

    /// Input from earlier stages of every pipeline around the command.
    fn stage_input(&self, state: &mut State<'_>, command: &SimpleCommand, given: &mut Carried) {
        let mut place = Some((command.place.pipeline, command.place.stage));
        let mut left = LEVELS_MAX;
        while let (Some((pipeline, stage)), true) = (place, left > 0) {
            left -= 1;
            if pipeline != 0 {
                let pipe = state.pipes.entry(pipeline).or_default();
                if stage > pipe.stage {
                    pipe.stage = stage;
                    let here = pipe.here;
                    pipe.before.add(here);
                }
                given.add(pipe.before);
            }
            place = self.flows.get(pipeline).copied().flatten();
        }
    }

    /// What the files carry that the command reads.
    fn read_files(&self, state: &State<'_>, command: &SimpleCommand) -> Carried {
        let mut carried = Carried::default();
        if state.files.is_empty() && state.named.is_empty() {
            return carried;
        }
        for effect in self.out.effects.get(command.effects.clone()).unwrap_or(&[]) {
            let moved = effect.kind == EffectKind::WritePath && command.program.name() == Some(b"mv");
            if (moved || matches!(effect.kind, EffectKind::ReadPath | EffectKind::ReadSecret))
                && let Some(path) = effect.target.as_deref()
            {
                carried.add(state.file(path));
            }
        }
        carried
    }

    /// A file that was downloaded or decoded and is run.
    fn executed(&self, state: &mut State<'_>, command: &SimpleCommand, index: usize) {
        if state.files.is_empty() && state.named.is_empty() {
            return;
        }
        for effect in self.out.effects.get(command.effects.clone()).unwrap_or(&[]) {
            if effect.kind == EffectKind::ExecuteFile
                && let Some(path) = effect.target.as_deref()
            {
                let carried = state.file(path);
                state.runs(carried, index);
            }
        }
    }

    /// Where the output of a command goes: words, stages, variables, files, blocks.
    fn pass_on(&self, state: &mut State<'_>, command: &SimpleCommand, index: usize, carried: Carried) {
        if carried.traits == 0 {
            return;
        }
        let mut user = command.via;
        let mut kind = command.place.kind;
        for _ in 0..LEVELS_MAX {
            let Some(outer) = user else { break };
            if (flows_out(kind) || outer < index)
                && let Some(given) = state.given.get_mut(outer)
            {
                given.add(carried);
            }
            let Some(using) = self.out.commands.get(outer) else { break };
            kind = using.place.kind;
            user = using.via;
        }
        let mut place = Some((command.place.pipeline, command.place.stage));
        let mut left = LEVELS_MAX;
        while let (Some((pipeline, stage)), true) = (place, left > 0) {
            left -= 1;
            if pipeline != 0 {
                let pipe = state.pipes.entry(pipeline).or_default();
                if stage >= pipe.stage {
                    pipe.here.add(carried);
                }
            }
            place = self.flows.get(pipeline).copied().flatten();
        }
        state.assign(command, carried);
        for effect in self.out.effects.get(command.effects.clone()).unwrap_or(&[]) {
            if matches!(effect.kind, EffectKind::WritePath | EffectKind::Persist)
                && let Some(path) = effect.target.as_deref()
                && state.files.len() < NAMES_MAX
            {
                state.files.entry(path.to_owned()).or_default().add(carried);
            }
        }
        if carried.traits & NETWORK != 0 {
            state.downloads(command, carried);
        }
        let block = command.program == Program::Absent
            && command.assignments.is_empty()
            && command.redirections.iter().any(|r| {
                matches!(r.op, RedirectOp::Read | RedirectOp::ReadWrite | RedirectOp::Document | RedirectOp::Text)
            });
        if block && state.blocks.len() < BLOCKS_MAX {
            state.blocks.push((command.span, carried));
        }
    }
}

impl State<'_> {
    /// Chains that end in a command with these traits.
    fn sinks(&mut self, own: u16, given: Carried, ran: Carried, index: usize) {
        if own & NETWORK != 0 && given.traits & SECRET != 0 {
            self.report(&hazard::SECRET_SENT, given.secret, index);
        }
        if own & (RUNS_INPUT | RUNS_WORD) != 0 {
            self.runs(ran, index);
        }
    }

    /// Data of this kind is run by the command.
    fn runs(&mut self, carried: Carried, index: usize) {
        if carried.traits & NETWORK != 0 {
            self.report(&hazard::DOWNLOAD_EXECUTED, carried.network, index);
        } else if carried.traits & DECODES != 0 {
            self.report(&hazard::DECODED_EXECUTED, carried.decodes, index);
        }
    }

    fn report(&mut self, rule: &'static Rule, from: usize, to: usize) {
        if self.found.len() < CHAINS_MAX {
            self.found.push((rule, from, to));
        }
    }

    /// What a file carries: itself, or a folder above it.
    fn file(&self, path: &str) -> Carried {
        let mut carried = Carried::default();
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1).take(PATH_PARTS_MAX);
        for end in ends.chain(std::iter::once(path.len())) {
            if let Some(known) = path.get(..end).and_then(|part| self.files.get(part)) {
                carried.add(*known);
            }
        }
        for (name, known) in &self.named {
            if path.as_bytes().split(|b| *b == b'/').take(PATH_PARTS_MAX).any(|part| part == name) {
                carried.add(*known);
            }
        }
        carried
    }

    /// What the variables carry that stand in the words, assignments and redirections of a command.
    fn words(&mut self, command: &SimpleCommand) -> Carried {
        let mut carried = Carried::default();
        if self.any.traits == 0 {
            return carried;
        }
        let values = command.assignments.iter().map(|(_, value)| value);
        let targets = command.redirections.iter().map(|redirection| &redirection.target);
        let mut last = None;
        for argument in command.args.iter().chain(values).chain(targets) {
            if argument.source.is_some() && last != Some(argument.span) {
                last = Some(argument.span);
                carried.add(self.span(argument.span));
            }
        }
        carried
    }

    /// What the variables carry that the name of the program is made of.
    fn program(&mut self, command: &SimpleCommand) -> Carried {
        let end = command.args.first().map_or(command.span.end, |argument| argument.span.start);
        self.span(Span::new(command.span.start, end.max(command.span.start)))
    }

    /// What the variables carry that are named in a part of the text.
    fn span(&mut self, span: Span) -> Carried {
        let part = self.text.get(span.start..span.end).unwrap_or(&[]);
        self.scanned = self.scanned.saturating_add(part.len());
        if self.scanned > SCAN_BYTES_MAX || self.variables.len() >= NAMES_MAX {
            return self.any;
        }
        let mut carried = Carried::default();
        let mut rest = part;
        while let Some(at) = rest.iter().position(|b| *b == b'$') {
            rest = rest.get(at + 1..).unwrap_or(&[]);
            let start = rest.iter().position(|b| !matches!(b, b'{' | b'#' | b'!')).unwrap_or(rest.len());
            let name = rest.get(start..).unwrap_or(&[]);
            let length = name.iter().position(|b| !is_name(*b)).unwrap_or(name.len());
            if let Some(known) = name.get(..length).and_then(|name| self.variables.get(name)) {
                carried.add(*known);
            }
        }
        carried
    }

    /// The variables that a command sets to what it is given.
    fn assign(&mut self, command: &SimpleCommand, carried: Carried) {
        for (name, _) in &command.assignments {
            if command.program == Program::Absent {
                self.set(name, carried);
            }
        }
        let words = command.args.iter().map(|argument| argument.bytes.as_slice());
        match command.program.name() {
            Some(b"export" | b"declare" | b"typeset" | b"local" | b"readonly") => {
                for word in words {
                    if let Some(at) = word.iter().position(|b| *b == b'=') {
                        self.set(word.get(..at).unwrap_or(&[]), carried);
                    }
                }
            }
            Some(b"read" | b"mapfile" | b"readarray") => {
                for word in words.chain([&b"REPLY"[..], b"MAPFILE"]) {
                    self.set(word, carried);
                }
            }
            Some(b"printf") => {
                let mut words = words;
                if words.next() == Some(b"-v")
                    && let Some(name) = words.next()
                {
                    self.set(name, carried);
                }
            }
            _ => {}
        }
    }

    fn set(&mut self, name: &[u8], carried: Carried) {
        let name = name.strip_suffix(b"+").unwrap_or(name);
        if name.is_empty() || !name.iter().all(|b| is_name(*b)) {
            return;
        }
        self.any.add(carried);
        if self.variables.len() < NAMES_MAX {
            self.variables.entry(name.to_vec()).or_default().add(carried);
        }
    }

    /// Files and folders that a download makes in the working folder, by the name in its address.
    fn downloads(&mut self, command: &SimpleCommand, carried: Carried) {
        let named = |argument: &&[u8]| argument.windows(3).any(|part| part == b"://") || argument.starts_with(b"git@");
        let known: Vec<&[u8]> = command.args.iter().filter_map(|argument| argument.known()).collect();
        let name = match command.program.name() {
            Some(b"curl") if !known.iter().any(|word| saves(word)) => None,
            Some(b"wget" | b"curl" | b"aria2c") => known.iter().copied().find(named).map(last_part),
            Some(b"tar" | b"bsdtar" | b"unzip" | b"7z" | b"cpio") => {
                let folder = known.iter().position(|word| matches!(*word, b"-C" | b"-d" | b"--directory" | b"-D"));
                folder.and_then(|at| known.get(at + 1)).copied().map(last_part)
            }
            Some(b"git" | b"hg" | b"gh") if known.contains(&&b"clone"[..]) => {
                let at = known.iter().position(|word| *word == b"clone").unwrap_or(0);
                let mut words = known.iter().copied().skip(at + 1).filter(|word| word.first() != Some(&b'-'));
                let from = words.next();
                words.next_back().or(from).map(last_part)
            }
            _ => None,
        };
        let Some(name) = name.filter(|name| !name.is_empty() && *name != b"." && *name != b"..") else { return };
        if self.named.len() < NAMES_MAX {
            self.named.push((name.to_vec(), carried));
        }
    }
}

/// Whether an option of curl keeps the name of the address for the file.
fn saves(word: &[u8]) -> bool {
    let short = word.first() == Some(&b'-') && word.get(1) != Some(&b'-');
    short && word.contains(&b'O') || word.starts_with(b"--remote-name")
}

/// The last part of an address, as a file or folder is named by it.
fn last_part(address: &[u8]) -> &[u8] {
    let path = address.split(|b| matches!(b, b'?' | b'#')).next().unwrap_or(address);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let last = path.rsplit(|b| matches!(b, b'/' | b':')).next().unwrap_or(path);
    last.strip_suffix(b".git").unwrap_or(last)
}
