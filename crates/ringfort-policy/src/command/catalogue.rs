// SPDX-License-Identifier: MIT OR Apache-2.0
//! The catalogue: what everyday programs do with their arguments.
//!
//! In: a program name. Out: its [`Entry`]: options, operands and sub-commands, each with a [`Role`].
//!
//! **Invariant:** the tables are constants, so that there is nothing to load and nothing to go wrong at start.
//! A program that is not here is unknown, never harmless. One file per family; a new program is one entry.

mod cloud;
mod files;
mod filters;
mod media;
mod network;
mod node;
mod packages;
mod programming;
mod python;
mod shells;
mod system;
mod text;
mod version;

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::hazard::Rule;

/// What an argument is to its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A value without an effect of its own.
    Value,
    /// A file that is read.
    Read,
    /// A file or folder whose name or metadata is read.
    List,
    /// A file that is created or changed.
    Write,
    /// A new, empty file of its own name, made from this pattern: harmless where temporary files belong.
    Fresh,
    /// A file or tree that is removed; a tree with [`Mode::Recursive`].
    Delete,
    /// A file that is run as a program or script; later operands belong to it.
    Execute,
    /// A file whose content is run as configuration or a plug-in.
    Load,
    /// Text that a shell runs.
    Shell,
    /// Text that the program runs as code.
    Code(Language),
    /// This and the following words are a command.
    Command,
    /// Like `Command`, after any `NAME=value` words.
    Environment,
    /// A host or URL that is contacted.
    Host,
    /// A name of a user here, or with `@` on a host that is contacted.
    Account,
    /// Data that is sent; `@file` and the like name a file.
    Data,
    /// A file that is sent.
    Upload,
    /// `host:path` or a path that is read.
    RemoteRead,
    /// `host:path` or a path that is written.
    RemoteWrite,
    /// A signal, process or service that is stopped.
    Process,
    /// Sets a mode of the program.
    Mode(Mode),
    /// Has an effect of its own.
    Effect(EffectKind, Risk),
    /// Shows a rule.
    Rule(&'static Rule),
}

/// Modes that change what operands mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Trees instead of files.
    Recursive,
    /// Files that are read are changed in place.
    InPlace,
    /// Code is read from standard input.
    Stdin,
    /// The program ends after it has shown something: nothing else happens.
    Show,
    /// The last operand is not the destination.
    TargetGiven,
    /// Nothing is read as a program: operands are files.
    ProgramGiven,
    /// Only says what it would do.
    DryRun,
    /// No effect by itself; looked at by a handler.
    Force,
    /// Files are printed instead of changed.
    Prints,
}

/// Languages of inline code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    JavaScript,
    Perl,
    Ruby,
    Php,
    Awk,
    Sed,
    Jq,
    Sql,
    Editor,
    Other,
}

/// How a program reads its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Options anywhere, clusters of letters, `--name=value`, ends at `--`.
    Gnu,
    /// The same, but the first operand ends the options.
    Posix,
    /// Long names with one dash; no clusters.
    Long,
    /// Every word is an operand.
    Plain,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opt {
    /// Spellings, separated by single spaces.
    pub(crate) names: &'static str,
    /// The one-letter spellings among them, see [`letters_of`].
    letters: u128,
    pub(crate) takes: Takes,
    pub(crate) role: Role,
}

/// Whether an option has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    /// The next word, or the rest of this one.
    Value,
    /// Only attached, as in `-i.bak` or `--in-place=.bak`.
    Attached,
}

/// Programs whose words need a handler of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    Cd,
    Eval,
    Source,
    Trap,
    Alias,
    Declare,
    Reads,
    Shell,
    Interpreter(Language),
    Append,
    Find,
    Git,
    Tar,
    Dd,
    Sed,
    Awk,
    Chmod,
    Kill,
    Remove,
    Container,
    Netcat,
    Test,
    Transform,
    Crontab,
    Ringfort,
    Ssh,
    Compile,
    Watch,
    /// Shows or changes the system, by its words.
    Query,
    /// Formats and separators hold further commands.
    Formats,
    /// Words hold `name=@file`.
    Members,
    /// A name of a file may be a pipe.
    Pipes,
    /// Reads statements from standard input where none are given.
    Sql,
    /// Starts a shell where no command is given.
    Session,
    /// Cuts files off.
    Empties,
    /// Reads the names of files to pack from standard input.
    Archive,
    /// Shows processes, and with one letter their environments.
    Processes,
    /// Renames files by an expression.
    Rename,
    /// Shows variables by name.
    Variables,
    /// The client of a cloud: its verbs say whether it asks or changes.
    Cloud,
}

/// What is known about one program or sub-command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Names, separated by single spaces.
    pub(crate) names: &'static str,
    /// A bit for the first letter of each name, see [`first_bit`].
    firsts: u32,
    pub(crate) risk: Risk,
    pub(crate) style: Style,
    pub(crate) options: &'static [Opt],
    /// The one-letter spellings of all options, see [`letters_of`].
    letters: u128,
    /// Whether an option could run, load, write or delete something.
    pub(crate) options_run: bool,
    /// Whether an option could start a program or load code.
    pub(crate) options_start: bool,
    /// Whether an operand starts another command.
    pub(crate) wraps: bool,
    /// Whether it writes in the working folder, and only there.
    pub(crate) here: bool,
    /// Whether an operand names a file whose content is not read.
    pub(crate) names_files: bool,
    /// The roles of the operands; the last one repeats.
    pub(crate) operands: &'static [Role],
    /// The role of the last of several operands.
    pub(crate) last: Option<Role>,
    pub(crate) always: &'static [EffectKind],
    pub(crate) subs: &'static [Entry],
    pub(crate) special: Option<Special>,
    pub(crate) rule: Option<&'static Rule>,
}

/// A program that only reads and computes.
pub(crate) const fn low(names: &'static str) -> Entry {
    entry(names, Risk::Low)
}

/// A program with recoverable changes.
pub(crate) const fn medium(names: &'static str) -> Entry {
    entry(names, Risk::Medium)
}

/// A program that reaches beyond the workspace.
pub(crate) const fn high(names: &'static str) -> Entry {
    entry(names, Risk::High)
}

/// A program that is only used to destroy or take over.
pub(crate) const fn critical(names: &'static str) -> Entry {
    entry(names, Risk::Critical)
}

const fn entry(names: &'static str, risk: Risk) -> Entry {
    Entry {
        names,
        firsts: firsts_of(names),
        risk,
        style: Style::Gnu,
        options: &[],
        letters: 0,
        options_run: false,
        options_start: false,
        wraps: false,
        here: false,
        names_files: false,
        operands: &[Role::Value],
        last: None,
        always: &[],
        subs: &[],
        special: None,
        rule: None,
    }
}

impl Entry {
    pub(crate) const fn style(mut self, style: Style) -> Self {
        self.style = style;
        self
    }

    #[expect(clippy::indexing_slicing, reason = "the index is below the length; an iterator is not const")]
    pub(crate) const fn options(mut self, options: &'static [Opt]) -> Self {
        self.options = options;
        let mut index = 0;
        while index < options.len() {
            self.letters |= options[index].letters;
            let role = options[index].role;
            self.options_run |=
                matches!(role, Role::Execute | Role::Load | Role::Shell | Role::Code(_) | Role::Command);
            self.options_start |= matches!(role, Role::Execute | Role::Load | Role::Shell);
            index += 1;
        }
        self
    }

    #[expect(clippy::indexing_slicing, reason = "the index is below the length; an iterator is not const")]
    pub(crate) const fn operands(mut self, operands: &'static [Role]) -> Self {
        self.operands = operands;
        let mut index = 0;
        while index < operands.len() {
            self.wraps |= matches!(operands[index], Role::Command | Role::Environment);
            self.names_files |= matches!(operands[index], Role::List | Role::Delete);
            index += 1;
        }
        self
    }

    /// It writes in the working folder, and only there.
    pub(crate) const fn here(mut self) -> Self {
        self.here = true;
        self
    }

    pub(crate) const fn last(mut self, role: Role) -> Self {
        self.last = Some(role);
        self
    }

    pub(crate) const fn always(mut self, effects: &'static [EffectKind]) -> Self {
        self.always = effects;
        self
    }

    pub(crate) const fn subs(mut self, subs: &'static [Entry]) -> Self {
        self.subs = subs;
        self
    }

    pub(crate) const fn special(mut self, special: Special) -> Self {
        self.special = Some(special);
        self
    }

    pub(crate) const fn rule(mut self, rule: &'static Rule) -> Self {
        self.rule = Some(rule);
        self
    }

    /// The option that is written as a dash and this letter.
    pub(crate) fn letter(&self, letter: u8) -> Option<&'static Opt> {
        let bit = if letter < 128 { 1_u128 << letter } else { 0 };
        if self.letters & bit == 0 { None } else { self.options.iter().find(|opt| opt.letters & bit != 0) }
    }

    /// The sub-command `name`.
    pub(crate) fn sub(&self, name: &[u8]) -> Option<&'static Entry> {
        let bit = first_bit(*name.first()?);
        self.subs.iter().find(|sub| sub.firsts & bit != 0 && lists(sub.names, name))
    }
}

/// An option without a value.
pub(crate) const fn flag(names: &'static str, role: Role) -> Opt {
    Opt { names, letters: letters_of(names), takes: Takes::Nothing, role }
}

/// An option with a value.
pub(crate) const fn value(names: &'static str, role: Role) -> Opt {
    Opt { names, letters: letters_of(names), takes: Takes::Value, role }
}

/// An option whose value, if any, is attached.
pub(crate) const fn attached(names: &'static str, role: Role) -> Opt {
    Opt { names, letters: letters_of(names), takes: Takes::Attached, role }
}

/// A bit for each of `names` that is a dash and one letter.
#[expect(clippy::indexing_slicing, reason = "the index is below the length; an iterator is not const")]
const fn letters_of(names: &str) -> u128 {
    let names = names.as_bytes();
    let mut letters = 0;
    let mut start = 0;
    let mut at = 0;
    while at <= names.len() {
        if at == names.len() || names[at] == b' ' {
            if at - start == 2 && names[start] == b'-' && names[start + 1] < 128 {
                letters |= 1 << names[start + 1];
            }
            start = at + 1;
        }
        at += 1;
    }
    letters
}

/// A bit for each first letter of `names`.
#[expect(clippy::indexing_slicing, reason = "the index is below the length; an iterator is not const")]
const fn firsts_of(names: &str) -> u32 {
    let names = names.as_bytes();
    let mut firsts = 0;
    let mut at = 0;
    while at < names.len() {
        if at == 0 || names[at - 1] == b' ' {
            firsts |= first_bit(names[at]);
        }
        at += 1;
    }
    firsts
}

/// The bit for names that begin with `letter`; some letters share one.
const fn first_bit(letter: u8) -> u32 {
    1 << (letter & 31)
}

/// Every family, in the order of the folder.
static FAMILIES: [&[Entry]; 13] = [
    cloud::ENTRIES,
    files::ENTRIES,
    filters::ENTRIES,
    media::ENTRIES,
    network::ENTRIES,
    node::ENTRIES,
    packages::ENTRIES,
    programming::ENTRIES,
    python::ENTRIES,
    shells::ENTRIES,
    system::ENTRIES,
    text::ENTRIES,
    version::ENTRIES,
];

const SLOTS: usize = 8192;

/// The place of one name: its entry, and where in the names of the entry it stands.
#[derive(Clone, Copy)]
struct Slot {
    family: u8,
    index: u8,
    start: u16,
    length: u8,
}

const EMPTY: Slot = Slot { family: 0, index: 0, start: 0, length: 0 };

/// Made at compile time; names that collide take the next slot.
static TABLE: [Slot; SLOTS] = build();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler: an index out of range does not build")]
const fn build() -> [Slot; SLOTS] {
    let families: [&[Entry]; 13] = [
        cloud::ENTRIES,
        files::ENTRIES,
        filters::ENTRIES,
        media::ENTRIES,
        network::ENTRIES,
        node::ENTRIES,
        packages::ENTRIES,
        programming::ENTRIES,
        python::ENTRIES,
        shells::ENTRIES,
        system::ENTRIES,
        text::ENTRIES,
        version::ENTRIES,
    ];
    let mut table = [EMPTY; SLOTS];
    let mut family = 0;
    while family < families.len() {
        let mut index = 0;
        while index < families[family].len() {
            let names = families[family][index].names.as_bytes();
            let mut start = 0;
            while start < names.len() {
                let mut end = start;
                while end < names.len() && names[end] != b' ' {
                    end += 1;
                }
                let mut slot = slot_of(names, start, end);
                while table[slot].length != 0 {
                    slot = (slot + 1) % SLOTS;
                }
                assert!(family < 256 && index < 256 && start < 65_536 && end - start < 256);
                table[slot] =
                    Slot { family: family as u8, index: index as u8, start: start as u16, length: (end - start) as u8 };
                start = end + 1;
            }
            index += 1;
        }
        family += 1;
    }
    table
}

#[expect(clippy::indexing_slicing, reason = "callers pass an end within the text; a slice pattern is not const")]
const fn slot_of(text: &[u8], start: usize, end: usize) -> usize {
    let mut hash = 0x811c_9dc5_u32;
    let mut index = start;
    while index < end {
        hash = (hash ^ text[index] as u32).wrapping_mul(0x0100_0193);
        index += 1;
    }
    ((hash ^ (hash >> 15)) as usize) % SLOTS
}

/// Whether `name` is one of the space-separated `names`.
pub(crate) fn lists(names: &str, name: &[u8]) -> bool {
    names.as_bytes().split(|b| *b == b' ').any(|listed| listed == name)
}

/// The entry for a program's last path component.
///
/// A version at the end of a name is ignored where the name without it is known (`python3.12`).
pub(crate) fn lookup(name: &[u8]) -> Option<&'static Entry> {
    if name.len() > 64 {
        return None;
    }
    if let Some(entry) = find(name) {
        return Some(entry);
    }
    let name = name.strip_suffix(b".exe").unwrap_or(name);
    let length = name.iter().rposition(|b| !matches!(b, b'0'..=b'9' | b'.' | b'-')).map_or(0, |at| at + 1);
    let stem = name.get(..length)?;
    if stem.is_empty() { None } else { find(stem) }
}

fn find(name: &[u8]) -> Option<&'static Entry> {
    let mut at = slot_of(name, 0, name.len());
    loop {
        let slot = TABLE.get(at)?;
        if slot.length == 0 {
            return None;
        }
        if usize::from(slot.length) == name.len() {
            let entry = FAMILIES.get(usize::from(slot.family))?.get(usize::from(slot.index))?;
            let start = usize::from(slot.start);
            if entry.names.as_bytes().get(start..start + name.len()) == Some(name) {
                return Some(entry);
            }
        }
        at = (at + 1) % SLOTS;
    }
}

/// Number of names in the catalogue.
pub(crate) fn len() -> usize {
    FAMILIES.iter().flat_map(|family| family.iter()).map(|entry| entry.names.split(' ').count()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fewest programs that the catalogue is worth its name with.
    const PROGRAMS_MIN: usize = 300;

    #[test]
    fn every_name_is_found_and_unique() {
        let mut seen = std::collections::BTreeSet::new();
        let mut faults = Vec::new();
        for entry in FAMILIES.iter().flat_map(|family| family.iter()) {
            for name in entry.names.split(' ') {
                if name.is_empty() || !seen.insert(name) {
                    faults.push(format!("`{name}` appears twice"));
                } else if !std::ptr::eq(lookup(name.as_bytes()).unwrap(), entry) {
                    faults.push(format!("`{name}` is not found"));
                }
            }
        }
        assert!(faults.is_empty(), "{faults:#?}");
        assert!(seen.len() >= PROGRAMS_MIN, "{}", seen.len());
        assert!(len() < SLOTS / 2, "{}", len());
    }

    #[test]
    fn every_option_and_subcommand_is_listed_once() {
        fn check(entry: &Entry, faults: &mut Vec<String>) {
            let once = |names: &mut dyn Iterator<Item = &'static str>, what: &str, faults: &mut Vec<String>| {
                let mut seen = std::collections::BTreeSet::new();
                for name in names {
                    if name.is_empty() || !seen.insert(name) {
                        faults.push(format!("{what} `{name}` of `{}`", entry.names));
                    }
                }
            };
            once(&mut entry.options.iter().flat_map(|opt| opt.names.split(' ')), "option", faults);
            once(&mut entry.subs.iter().flat_map(|sub| sub.names.split(' ')), "sub-command", faults);
            for opt in entry.options {
                for name in opt
                    .names
                    .split(' ')
                    .filter(|name| !name.starts_with(['-', '+']) && *name != "check" && *name != "help")
                {
                    faults.push(format!("option `{name}` of `{}` has no dash", entry.names));
                }
            }
            entry.subs.iter().for_each(|sub| check(sub, faults));
        }
        let mut faults = Vec::new();
        FAMILIES.iter().flat_map(|family| family.iter()).for_each(|entry| check(entry, &mut faults));
        assert!(faults.is_empty(), "{faults:#?}");
    }

    #[test]
    fn lists_names_and_no_parts_of_them() {
        for (name, expected) in [
            ("a", true),
            ("bc", true),
            ("-d", true),
            ("b", false),
            ("c", false),
            ("a bc", false),
            ("bc ", false),
            (" ", false),
            ("", false),
        ] {
            assert_eq!(lists("a bc -d", name.as_bytes()), expected, "`{name}`");
        }
    }

    #[test]
    fn letters_find_the_option_that_the_names_list() {
        fn check(entry: &Entry) {
            for letter in 0..=u8::MAX {
                let listed = entry.options.iter().find(|opt| lists(opt.names, &[b'-', letter]));
                let found = entry.letter(letter);
                assert_eq!(found.map(|o| o.names), listed.map(|o| o.names), "{} -{letter}", entry.names);
            }
            for sub in entry.subs {
                for name in sub.names.split(' ') {
                    let listed = entry.subs.iter().find(|sub| sub.names.split(' ').any(|listed| listed == name));
                    assert_eq!(entry.sub(name.as_bytes()).map(|s| s.names), listed.map(|s| s.names), "{name}");
                }
                check(sub);
            }
        }
        FAMILIES.iter().flat_map(|family| family.iter()).for_each(check);
    }

    #[test]
    fn versions_are_ignored_and_unknown_names_are_unknown() {
        for (name, expected) in [("python3.12", "python"), ("gcc-13", "gcc"), ("bash.exe", "bash")] {
            assert!(lookup(name.as_bytes()).unwrap().names.split(' ').any(|n| n == expected), "{name}");
        }
        for name in ["", "3.12", "no-such-program", "lsx", "-"] {
            assert!(lookup(name.as_bytes()).is_none(), "{name}");
        }
    }
}
