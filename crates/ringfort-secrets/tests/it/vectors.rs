// SPDX-License-Identifier: MIT OR Apache-2.0
//! The vectors of the store's format: a good store and what can be done to it without its key, each named by its fault.
//!
//! The folders are checked in; the root key of each is 32 times the byte 0x5a. `RINGFORT_WRITE_VECTORS=1` writes them
//! anew from the table here. `fault.txt` is what the person reads.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use ringfort_secrets::store::{Change, StoreError, Vault};
use sha2::{Digest as _, Sha256};

use crate::support::{Fixed, NOW, Noon, Place, ROOT, filled, id, write};

/// The files of one store, in pieces.
#[derive(Clone)]
struct Forge {
    /// Lines without their ends: header, entries, last.
    lines: Vec<Vec<u8>>,
    record: Option<Vec<u8>>,
    /// The generation before.
    old: Vec<Vec<u8>>,
    old_record: Vec<u8>,
    /// Another store with the same root key.
    other: Vec<Vec<u8>>,
    other_record: Vec<u8>,
    /// Another file of the same generation.
    fork: Vec<Vec<u8>>,
    /// What the file is instead, where lines do not do.
    raw: Option<Vec<u8>>,
}

fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn joined(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| [line.as_slice(), b"\n"].concat()).collect()
}

impl Forge {
    fn new() -> Self {
        let (place, elsewhere) = (Place::new(), Place::new());
        let mut vault = filled(&place);
        let (before, generation) = (place.contents(), vault.generation());
        vault.rotate(&id("channels.example.token"), b"in the fork", NOW).unwrap();
        let fork = lines(&fs::read(place.file()).unwrap());
        place.put(&before);
        let (old, old_record) = (lines(&fs::read(place.file()).unwrap()), fs::read(place.record()).unwrap());
        let mut vault = place.open().unwrap();
        vault.rotate(&id("models.providers.example.apiKey"), b"first value, anew", NOW).unwrap();
        assert_eq!(vault.generation(), generation + 1);
        filled(&elsewhere);
        Self {
            lines: lines(&fs::read(place.file()).unwrap()),
            record: Some(fs::read(place.record()).unwrap()),
            old,
            old_record,
            other: lines(&fs::read(elsewhere.file()).unwrap()),
            other_record: fs::read(elsewhere.record()).unwrap(),
            fork,
            raw: None,
        }
    }

    fn file(&self) -> Vec<u8> {
        self.raw.clone().unwrap_or_else(|| joined(&self.lines))
    }

    /// Replaces text in a line.
    fn edit(&mut self, line: usize, from: &str, to: &str) {
        let text = String::from_utf8(self.lines[line].clone()).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        self.lines[line] = text.replacen(from, to, 1).into_bytes();
    }

    /// Edits a line and makes its sum anew.
    fn forge(&mut self, line: usize, from: &str, to: &str) {
        self.edit(line, from, to);
        let text = String::from_utf8(self.lines[line].clone()).unwrap();
        let body = &text[..text.rfind(",\"sum\":\"").unwrap()];
        let sum: String = Sha256::digest(body.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        self.lines[line] = format!("{body},\"sum\":\"{sum}\"}}").into_bytes();
    }

    fn flip(&mut self, line: usize, member: &str) {
        let place = self.place(line, member);
        let byte = &mut self.lines[line][place];
        *byte = if *byte == b'A' { b'B' } else { b'A' };
    }

    /// Where the text of a member begins.
    fn place(&self, line: usize, member: &str) -> usize {
        let name = format!("\"{member}\":\"");
        let text = std::str::from_utf8(&self.lines[line]).unwrap();
        text.find(&name).unwrap() + name.len()
    }

    fn text(&self, line: usize, member: &str) -> String {
        let text = std::str::from_utf8(&self.lines[line]).unwrap();
        text[self.place(line, member)..].split('"').next().unwrap().to_owned()
    }

    /// Exchanges the text of a member between two lines.
    fn exchange(&mut self, member: &str, (a, b): (usize, usize)) {
        let (in_a, in_b) = (self.text(a, member), self.text(b, member));
        self.edit(a, &in_a, &in_b);
        self.edit(b, &in_b, &in_a);
    }

    /// The line whose entry differs from the older file.
    fn changed(&self) -> usize {
        (1..=3).find(|line| self.lines[*line] != self.old[*line]).unwrap()
    }
}

type Damage = fn(&mut Forge);

/// What was done. The part of the name before `--` is the fault.
const VECTORS: &[(&str, Damage)] = &[
    ("not-a-store", |store| store.raw = Some(b"# notes\n".to_vec())),
    ("not-a-store--other-json", |store| store.raw = Some(b"{\"entries\":[]}\n".to_vec())),
    ("not-a-store--other-format", |store| store.forge(0, "ringfort-store", "some-others-one")),
    ("newer-format", |store| store.forge(0, "\"version\":1", "\"version\":2")),
    ("truncated--empty", |store| store.raw = Some(Vec::new())),
    ("truncated--within-header", |store| store.raw = Some(joined(&store.lines)[..100].to_vec())),
    ("truncated--after-header", |store| store.lines.truncate(1)),
    ("truncated--last-line", |store| drop(store.lines.pop())),
    ("truncated--within-entry", |store| store.raw = Some(joined(&store.lines[..3])[..1500].to_vec())),
    ("truncated--within-last-line", |store| {
        let bytes = joined(&store.lines);
        store.raw = Some(bytes[..bytes.len() - 40].to_vec());
    }),
    ("truncated--last-newline", |store| {
        let bytes = joined(&store.lines);
        store.raw = Some(bytes[..bytes.len() - 1].to_vec());
    }),
    ("header", |store| store.edit(0, "\"entries\":3", "\"entries\":2")),
    ("header--generation", |store| store.edit(0, "\"generation\":6", "\"generation\":7")),
    ("header--version", |store| store.edit(0, "\"version\":1", "\"version\":3")),
    ("header--slot", |store| store.flip(0, "key")),
    ("header--slot-data", |store| store.edit(0, "{\"byte\":90}", "{\"byte\":91}")),
    ("header--sum", |store| store.flip(0, "sum")),
    ("header--unknown-member", |store| store.forge(0, "\"entries\":3", "\"entries\":3,\"more\":1")),
    ("header--no-slots", |store| {
        let slots = store.text(0, "source");
        let text = String::from_utf8(store.lines[0].clone()).unwrap();
        let (from, to) = (text.find("[{").unwrap(), text.rfind("}]").unwrap());
        assert_eq!(slots, "fixed");
        store.forge(0, &text[from..to + 2], "[]");
    }),
    ("header-exchanged", |store| store.lines[0] = store.old[0].clone()),
    ("header-exchanged--sum-made-anew", |store| store.forge(0, "\"generation\":6", "\"generation\":7")),
    ("header-exchanged--slot-added", |store| {
        let text = String::from_utf8(store.lines[0].clone()).unwrap();
        let (from, to) = (text.find("[{").unwrap() + 1, text.rfind("}]").unwrap() + 1);
        let slot = text[from..to].to_owned();
        store.forge(0, &slot, &format!("{slot},{slot}"));
    }),
    ("header-exchanged--slot-of-other-data", |store| {
        let text = String::from_utf8(store.lines[0].clone()).unwrap();
        let (from, to) = (text.find("[{").unwrap() + 1, text.rfind("}]").unwrap() + 1);
        let slot = text[from..to].to_owned();
        store.forge(0, &slot, &format!("{},{slot}", slot.replace("90", "91")));
    }),
    ("wrong-key--slot-of-other-data", |store| store.forge(0, "{\"byte\":90}", "{\"byte\":91}")),
    ("wrong-key--slot-of-other-store", |store| {
        let (ours, theirs) =
            (store.text(0, "key"), Forge { lines: store.other.clone(), ..store.clone() }.text(0, "key"));
        store.forge(0, &ours, &theirs);
    }),
    ("end", |store| store.flip(4, "mac")),
    ("end--head", |store| store.flip(4, "head")),
    ("end--tag", |store| store.flip(4, "tag")),
    ("end--more-after-it", |store| store.lines.push(b"more".to_vec())),
    ("entry", |store| store.flip(2, "meta")),
    ("entry--value", |store| store.flip(1, "data")),
    ("entry--key", |store| store.flip(3, "key")),
    ("entry--uid", |store| {
        let uid = store.text(2, "uid");
        store.edit(2, &uid, &format!("{}{}", if uid.starts_with('0') { "1" } else { "0" }, &uid[1..]));
    }),
    ("entry--store", |store| {
        let other = store.text(2, "store");
        store.edit(2, &other, &format!("{}{}", if other.starts_with('0') { "1" } else { "0" }, &other[1..]));
    }),
    ("entry--version", |store| store.edit(store.changed(), "\"version\":2", "\"version\":3")),
    ("entry--white-space", |store| store.edit(2, ",\"meta\"", ", \"meta\"")),
    ("entry--joined", |store| {
        let second = store.lines.remove(2);
        store.lines[1].extend_from_slice(&second);
    }),
    ("entry--empty-line", |store| store.lines.insert(2, Vec::new())),
    ("entry--last-line-twice", |store| {
        let end = store.lines[4].clone();
        store.lines.push(end);
    }),
    ("entry--previous-version-dropped", |store| {
        let line = store.changed();
        let text = String::from_utf8(store.lines[line].clone()).unwrap();
        let (from, to) = (text.find("},{").unwrap() + 1, text.find("}]").unwrap() + 1);
        store.edit(line, &text[from..to], "");
    }),
    ("entry-of-other", |store| store.lines[2] = store.other[2].clone()),
    ("entry-of-other--added", |store| store.lines.insert(2, store.other[3].clone())),
    ("swapped", |store| store.lines.swap(1, 2)),
    ("swapped--far", |store| store.lines.swap(1, 3)),
    ("swapped--twice", |store| {
        let line = store.lines[2].clone();
        store.lines.insert(3, line);
    }),
    ("value-swapped", |store| store.exchange("data", (1, 3))),
    ("value-swapped--key-and-data", |store| {
        store.exchange("key", (1, 3));
        store.exchange("data", (1, 3));
    }),
    ("value-swapped--meta", |store| store.exchange("meta", (1, 2))),
    ("value-swapped--copied", |store| {
        let (from, to) = (store.text(2, "data"), store.text(1, "data"));
        store.edit(2, &from, &to);
    }),
    ("count", |store| drop(store.lines.remove(2))),
    ("count--all", |store| drop(store.lines.drain(1..4))),
    ("entry-exchanged", |store| {
        let line = store.changed();
        store.lines[line] = store.old[line].clone();
    }),
    ("older", |store| store.lines = store.old.clone()),
    ("forked", |store| store.lines = store.fork.clone()),
    ("anchor-missing", |store| store.record = None),
    ("anchor-damaged", |store| {
        let record = store.record.as_mut().unwrap();
        let last = record.len() - 5;
        record[last] ^= 1;
    }),
    ("anchor-damaged--empty", |store| store.record = Some(Vec::new())),
    ("anchor-damaged--generation", |store| {
        let text = String::from_utf8(store.record.take().unwrap()).unwrap();
        store.record = Some(text.replace("\"generation\":6", "\"generation\":1").into_bytes());
    }),
    ("anchor-damaged--of-other", |store| store.record = Some(store.other_record.clone())),
    ("clean", |_| {}),
    ("clean--crash-before-record", |store| {
        // Its writer died between the two; the record follows when the store is opened.
        store.record = Some(store.old_record.clone());
    }),
    ("clean--crash-within-rekey", |store| {
        // Two lines: one by a key that is not this store's any more.
        store.record = Some([store.other_record.clone(), store.old_record.clone()].concat());
    }),
];

fn folder() -> PathBuf {
    crate::support::tests().join("vectors")
}

fn fault_of(opened: &Result<Vault, StoreError>) -> &'static str {
    match opened {
        Ok(_) => "clean",
        Err(StoreError::Fault { fault, .. }) => fault.name(),
        Err(StoreError::WrongKey { .. }) => "wrong-key",
        Err(error) => panic!("{error:?}"),
    }
}

/// What is said, without where.
fn told(opened: &Result<Vault, StoreError>) -> String {
    match opened {
        Ok(vault) => format!("clean: {} entries, generation {}", vault.len(), vault.generation()),
        Err(StoreError::Fault { fault, .. }) => fault.to_string(),
        Err(error) => error.to_string(),
    }
}

fn lay_out(file: &[u8], record: Option<&[u8]>) -> Place {
    let place = Place::new();
    fs::DirBuilder::new().mode(0o700).create(&place.path).unwrap();
    write(&place.file(), file);
    if let Some(record) = record {
        write(&place.record(), record);
    }
    place
}

#[test]
#[expect(clippy::disallowed_methods, reason = "vectors are written anew on request")]
fn write_vectors() {
    if std::env::var_os("RINGFORT_WRITE_VECTORS").is_none() {
        return;
    }
    fs::remove_dir_all(folder()).unwrap_or_default();
    let whole = Forge::new();
    for (name, damage) in VECTORS {
        let mut forge = whole.clone();
        damage(&mut forge);
        let vector = folder().join(name);
        fs::create_dir_all(&vector).unwrap();
        fs::write(vector.join("store.ringfort"), forge.file()).unwrap();
        if let Some(record) = &forge.record {
            fs::write(vector.join("secrets.generation"), record).unwrap();
        }
        let opened = lay_out(&forge.file(), forge.record.as_deref()).open();
        fs::write(vector.join("fault.txt"), format!("{}\n", told(&opened))).unwrap();
    }
}

#[test]
fn deny_every_vector_but_the_clean_ones_by_its_name() {
    let mut names: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort_unstable();
    let mut listed: Vec<_> = VECTORS.iter().map(|(name, _)| *name).collect();
    listed.sort_unstable();
    assert_eq!(names, listed, "RINGFORT_WRITE_VECTORS=1 writes them anew");
    for name in listed {
        let vector = folder().join(name);
        let record = fs::read(vector.join("secrets.generation")).ok();
        let place = lay_out(&fs::read(vector.join("store.ringfort")).unwrap(), record.as_deref());
        let before = place.contents();
        let opened = place.open();
        assert_eq!(fault_of(&opened), name.split("--").next().unwrap(), "{name}: {}", told(&opened));
        assert_eq!(fs::read_to_string(vector.join("fault.txt")).unwrap().trim(), told(&opened), "{name}");
        match opened {
            Ok(vault) => {
                let released = vault.get(&id("models.providers.example.apiKey"), NOW).unwrap();
                assert!(released.value.equals(b"first value, anew"), "{name}");
                assert_eq!(released.meta.labels["team"], "billing");
                assert!(vault.get_version(&released.meta.id, 1, NOW).unwrap().value.equals(b"first value"));
                drop(vault);
                assert_eq!(place.open().unwrap().set(&id("more"), b"more", &Change::at(NOW)).unwrap(), 1);
            }
            Err(_) => assert_eq!(place.contents(), unlocked(&before, &place), "{name}: nothing is overwritten"),
        }
    }
}

/// What was there, with a lock file if one was made since.
fn unlocked(before: &crate::support::Contents, place: &Place) -> crate::support::Contents {
    let lock = PathBuf::from("secrets/lock");
    let mut before = before.clone();
    before.extend(place.contents().remove(&lock).map(|bytes| (lock, bytes)));
    before
}

/// The same damage to fresh stores, whose ids, nonces and order of entries differ from run to run; and a process that
/// has the store open is refused its writes just the same.
#[test]
fn deny_writes_to_what_is_not_what_was_written() {
    let whole = Forge::new();
    for (name, damage) in VECTORS {
        let mut forge = whole.clone();
        let place = lay_out(&forge.file(), forge.record.as_deref());
        let mut open = place.open().unwrap();
        damage(&mut forge);
        write(&place.file(), &forge.file());
        match &forge.record {
            Some(record) => write(&place.record(), record),
            None => fs::remove_file(place.record()).unwrap(),
        }
        let before = place.contents();
        let word = name.split("--").next().unwrap();
        let set = open.set(&id("more"), b"more", &Change::at(NOW)).map(drop);
        assert_eq!(set.is_ok(), word == "clean", "{name}: {set:?}");
        // A key that is open already needs no slot.
        let expected = if word == "wrong-key" { "header-exchanged" } else { word };
        if let Err(error) = set {
            assert!(matches!(&error, StoreError::Fault { fault, .. } if fault.name() == expected), "{name}: {error:?}");
            assert_eq!(place.contents(), unlocked(&before, &place), "{name}: nothing is overwritten");
        }
        assert_eq!(fault_of(&place.open()), word, "{name}");
    }
}

/// Each byte of the file with a bit flipped: refused, and named after the line in which it is.
#[test]
fn deny_a_flipped_bit_anywhere() {
    let forge = Forge::new();
    let file = forge.file();
    let place = lay_out(&file, forge.record.as_deref());
    let bits = if crate::support::setting("RINGFORT_SOAK", 0) > 0 { 8 } else { 1 };
    for index in 0..file.len() {
        for bit in 0..bits {
            let mut damaged = file.clone();
            damaged[index] ^= 1 << ((index + bit) % 8);
            write(&place.file(), &damaged);
            let opened = place.open();
            let line = file[..index].iter().filter(|byte| **byte == b'\n').count();
            let newline = file[index] == b'\n' || damaged[index] == b'\n';
            let named = match (line, fault_of(&opened)) {
                (_, "clean") => false,
                // A line more or less: what follows is named instead.
                _ if newline => true,
                (0, fault) => fault == "header" || index < 30 && fault == "not-a-store",
                (4, fault) => fault == "end",
                (_, "entry") => told(&opened) == format!("entry {line} is damaged"),
                _ => false,
            };
            assert!(named, "byte {index} of line {line}, bit {bit}: {}", told(&opened));
        }
    }
}

/// Every shorter file is refused.
#[test]
fn deny_every_truncation() {
    let forge = Forge::new();
    let (file, place) = (forge.file(), lay_out(&forge.file(), forge.record.as_deref()));
    for length in 0..file.len() {
        write(&place.file(), &file[..length]);
        let opened = place.open();
        assert!(matches!(fault_of(&opened), "truncated" | "end"), "{length}: {}", told(&opened));
    }
}

/// A restored backup is refused until it is accepted, and is then newer than everything that was known.
#[test]
fn an_older_generation_is_accepted_only_expressly() {
    let place = Place::new();
    let mut vault = filled(&place);
    let backup = place.contents();
    let newest = vault.set(&id("more"), b"more", &Change::at(NOW)).map(|_| vault.generation()).unwrap();
    write(&place.file(), &backup[Path::new("secrets/store.ringfort")]);
    assert_eq!(fault_of(&place.open()), "older");
    assert_eq!(fault_of(&Vault::accept_generation(&place.path, &Fixed(1), Default::default())), "wrong-key");
    assert_eq!(fault_of(&place.open()), "older");
    let accepted = Vault::accept_generation(&place.path, &ROOT, Default::default()).unwrap();
    assert!(accepted.generation() > newest && accepted.meta(&id("more")).is_none());
    assert_eq!(place.open().unwrap().generation(), accepted.generation());
    // The store that went back in time is now the older one.
    assert!(vault.reload().unwrap());
    fs::remove_file(place.record()).unwrap();
    assert_eq!(fault_of(&place.open()), "anchor-missing");
    Vault::accept_generation(&place.path, &ROOT, Default::default()).unwrap();
    assert!(place.open().is_ok());
    let mut damaged = fs::read(place.file()).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 4;
    write(&place.file(), &damaged);
    assert_ne!(fault_of(&Vault::accept_generation(&place.path, &ROOT, Default::default())), "clean");
    assert!(matches!(Vault::create(&place.path, &ROOT, &Noon), Err(StoreError::Exists { .. })));
}

/// A damaged file is put aside for the generation before it, which must be whole itself.
#[test]
fn the_generation_before_takes_the_place_of_a_damaged_one() {
    let damages: [fn(&Place); 3] = [
        |place| write(&place.file(), b"nothing of it is left"),
        |place| fs::remove_file(place.file()).unwrap(),
        |place| {
            fs::remove_file(place.file()).unwrap();
            std::os::unix::fs::symlink("/dev/null", place.file()).unwrap();
        },
    ];
    for (number, damage) in damages.iter().enumerate() {
        let place = Place::new();
        let newest = filled(&place).generation();
        damage(&place);
        let refused = Vault::restore_previous(&place.path, &Fixed(1), Default::default());
        assert_eq!(fault_of(&refused), "wrong-key");
        let vault = Vault::restore_previous(&place.path, &ROOT, Default::default()).unwrap();
        assert!(vault.generation() > newest);
        let released = place.open().unwrap().get(&id("gateway.auth.password"), NOW).unwrap();
        assert_eq!((released.value.expose(), released.meta.version), (&b"second value"[..], 1), "{number}");
        assert_eq!(place.path.join("store.refused").exists(), number != 1);
    }
    let place = Place::new();
    drop(place.create());
    assert!(matches!(Vault::restore_previous(&place.path, &ROOT, Default::default()), Err(StoreError::Absent { .. })));
    let mut vault = filled_again(&place);
    let before = place.contents();
    let mut damaged = fs::read(place.path.join("store.previous")).unwrap();
    damaged[900] ^= 1;
    write(&place.path.join("store.previous"), &damaged);
    assert_ne!(fault_of(&Vault::restore_previous(&place.path, &ROOT, Default::default())), "clean");
    assert_eq!(fs::read(place.file()).unwrap(), before[Path::new("secrets/store.ringfort")]);
    assert!(vault.set(&id("more"), b"more", &Change::at(NOW)).is_ok());
}

fn filled_again(place: &Place) -> Vault {
    let mut vault = place.open().unwrap();
    vault.set(&id("a"), b"1", &Change::at(NOW)).unwrap();
    vault.set(&id("b"), b"2", &Change::at(NOW)).unwrap();
    vault
}
