// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bus and a service in one thread, honest or with one fault. The real ones are in `tests/it`.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tempfile::TempDir;

use super::*;
use crate::backend::bus::wire::{FIXED, Message, error_reply, length, parse, reply};

const STORE: StoreId = StoreId([3; 16]);
const LIMIT: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Accepts nobody.
    Refuses,
    /// Says nothing from this method on.
    Silent(&'static str),
    /// Ends the connection at this method.
    HangsUp(&'static str),
    /// Sends bytes that are no message.
    Junk(&'static str),
    /// Answers with one number.
    OtherTypes(&'static str),
    /// Sends signals without end instead of an answer.
    Flood,
    NoService,
    NoDefault,
    Locked,
    /// Wants to ask a person.
    Prompts,
    /// Its public number makes the shared secret known.
    WeakNumber,
    KeepsNothing,
    KeepsOtherBytes,
    ItemsLocked,
    TooManyItems,
    /// An item of somebody else stands first.
    Imitation,
}

#[derive(Default)]
struct Kept {
    items: Vec<(Value, Vec<u8>)>,
}

struct Fake {
    folder: TempDir,
}

impl Fake {
    fn start(fault: Fault) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("bus")).unwrap();
        let kept = Arc::new(Mutex::new(Kept::default()));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = Arc::clone(&kept);
                // A connection that ends is no fault of the fake's.
                std::thread::spawn(move || serve(&mut stream.unwrap(), fault, &kept).ok());
            }
        });
        Self { folder }
    }

    fn source(&self) -> SecretServiceSource {
        SecretServiceSource::new(None, Some(self.folder.path())).within(LIMIT)
    }
}

fn serve(stream: &mut UnixStream, fault: Fault, kept: &Mutex<Kept>) -> std::io::Result<()> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        line.extend_from_slice(&byte);
    }
    assert!(line.starts_with(b"\0AUTH EXTERNAL "));
    stream.write_all(if fault == Fault::Refuses { b"REJECTED EXTERNAL\r\n" } else { b"OK 00ff\r\n" })?;
    stream.read_exact(&mut [0; 7])?;
    let mut session = None;
    loop {
        let mut bytes = vec![0; FIXED];
        stream.read_exact(&mut bytes)?;
        bytes.resize(length(&bytes).unwrap(), 0);
        stream.read_exact(&mut bytes[FIXED..])?;
        let message = parse(&bytes).unwrap();
        let member = message.member.clone().unwrap();
        match fault {
            Fault::Silent(at) if at == member => std::thread::park(),
            Fault::HangsUp(at) if at == member => return Ok(()),
            Fault::Junk(at) if at == member => stream.write_all(&[b'l'; 64])?,
            Fault::OtherTypes(at) if at == member => stream.write_all(&reply(9, &message, &[Value::U64(1)]))?,
            Fault::Flood if member == "OpenSession" => loop {
                let other = Message { serial: 77, ..message.clone() };
                stream.write_all(&reply(9, &other, &[]))?;
            },
            _ => {
                let answer = answer(&member, &message, fault, &mut session, &mut kept.lock().unwrap());
                stream.write_all(&answer)?;
            }
        }
    }
}

fn answer(member: &str, message: &Message, fault: Fault, session: &mut Option<SessionKey>, kept: &mut Kept) -> Vec<u8> {
    let none = Value::path("/");
    let paths = |paths: Vec<Value>| Value::Array { of: "o".to_owned(), items: paths };
    let body = match (member, message.body.as_slice()) {
        ("Hello", _) => vec![Value::text(":1.1")],
        _ if fault == Fault::NoService => {
            return error_reply(9, message, "org.freedesktop.DBus.Error.ServiceUnknown", "no");
        }
        ("OpenSession", [Value::Text(algorithm), Value::Variant(theirs)]) => {
            assert_eq!(algorithm, ALGORITHM, "plain is never asked for");
            let Value::Bytes(theirs) = theirs.as_ref() else { panic!("no number") };
            let offer = Offer::new().unwrap();
            let public = if fault == Fault::WeakNumber { vec![1] } else { offer.public().to_vec() };
            *session = Some(offer.accept(theirs).unwrap());
            vec![Value::variant(Value::Bytes(public)), Value::path("/session/1")]
        }
        ("ReadAlias", _) if fault == Fault::NoDefault => vec![none],
        ("ReadAlias", _) => vec![Value::path("/collection/login")],
        ("Get", _) => vec![Value::variant(Value::Bool(fault == Fault::Locked))],
        ("CreateItem", [_, _, _]) if fault == Fault::Prompts => vec![none, Value::path("/prompt/1")],
        ("CreateItem", [Value::Array { items, .. }, Value::Struct(secret), _]) => {
            let [_, Value::Bytes(iv), Value::Bytes(value), _] = secret.as_slice() else { panic!("no secret") };
            let sealed = Sealed { iv: iv.clone(), value: value.clone() };
            let mut bytes = session.as_ref().unwrap().open(&sealed).unwrap().expose().to_vec();
            assert!(!message_contains(message, &bytes), "the value crosses the bus only encrypted");
            if fault == Fault::KeepsOtherBytes {
                bytes[0] ^= 1;
            }
            let Some(Value::Pair(attributes)) = items.get(1) else { panic!("no attributes") };
            let Value::Variant(attributes) = &attributes.1 else { panic!("no attributes") };
            if fault == Fault::Imitation {
                kept.items.push((attributes.as_ref().clone(), vec![9; KEY_LEN]));
            }
            if fault != Fault::KeepsNothing {
                kept.items.push((attributes.as_ref().clone(), bytes));
            }
            vec![Value::path("/item/0"), none]
        }
        ("SearchItems", [wanted]) => {
            let found = kept.items.iter().enumerate().filter(|(_, (attributes, _))| attributes == wanted);
            let found: Vec<Value> = found.map(|(at, _)| Value::Path(format!("/item/{at}"))).collect();
            match fault {
                Fault::ItemsLocked => vec![paths(vec![]), paths(found)],
                Fault::TooManyItems => vec![paths(vec![none; ITEMS_MAX + 1]), paths(vec![])],
                _ => vec![paths(found), paths(vec![])],
            }
        }
        ("GetSecret", _) => {
            let at = message.path.as_deref().unwrap().strip_prefix("/item/").unwrap().parse::<usize>().unwrap();
            let bytes = Locked::copy_of(&kept.items[at].1).unwrap();
            let sealed = session.as_ref().unwrap().seal(&bytes).unwrap();
            vec![Value::Struct(vec![
                Value::path("/session/1"),
                Value::Bytes(sealed.iv),
                Value::Bytes(sealed.value),
                Value::text("application/octet-stream"),
            ])]
        }
        ("Delete", _) => {
            kept.items.clear();
            vec![none]
        }
        other => panic!("{other:?}"),
    };
    reply(9, message, &body)
}

fn message_contains(message: &Message, bytes: &[u8]) -> bool {
    format!("{message:?}").contains(&format!("{bytes:?}")[1..20])
}

/// The word of the fault, and what is said of it.
fn outcome<T>(answer: Result<T, RootKeyError>) -> (&'static str, String) {
    match answer {
        Ok(_) => ("ready", String::new()),
        Err(error) => {
            let word = match &error {
                RootKeyError::Absent { .. } => "absent",
                RootKeyError::Locked { .. } => "locked",
                RootKeyError::Wrong { .. } | RootKeyError::WrongPin { .. } => "wrong",
                RootKeyError::Broken { .. } => "broken",
                RootKeyError::Slow { .. } => "slow",
                RootKeyError::Memory(_) => "memory",
            };
            (word, error.to_string())
        }
    }
}

#[test]
fn a_key_is_made_found_again_and_forgotten() {
    for fault in [Fault::None, Fault::Imitation] {
        let fake = Fake::start(fault);
        let source = fake.source();
        assert_eq!(source.probe(), Probe::Ready);
        let (slot, key) = source.create(STORE).unwrap();
        assert_eq!((slot.source.as_str(), key.len()), (SECRET_SERVICE, KEY_LEN));
        assert!(fake.source().open(STORE, &slot).unwrap().equals(key.expose()), "by another connection");
        assert_eq!(outcome(source.open(StoreId([4; 16]), &slot)).0, "absent", "another store");
        source.forget(STORE, &slot).unwrap();
        source.forget(STORE, &slot).unwrap();
        let (word, message) = outcome(source.open(STORE, &slot));
        assert_eq!(word, "absent");
        assert!(message.contains("another key slot"), "{message}");
    }
}

#[test]
fn deny_keys_from_a_service_with_a_fault() {
    for (fault, word, part) in [
        (Fault::Refuses, "broken", "does not accept this user"),
        (Fault::NoService, "absent", "start gnome-keyring or KeePassXC"),
        (Fault::NoDefault, "absent", "no default collection"),
        (Fault::Locked, "locked", "unlock it"),
        (Fault::Prompts, "locked", "ask a person"),
        (Fault::WeakNumber, "broken", "not one of the group"),
        (Fault::KeepsNothing, "absent", "no key for this store"),
        (Fault::KeepsOtherBytes, "wrong", "another value"),
        (Fault::ItemsLocked, "locked", "unlock it"),
        (Fault::TooManyItems, "broken", "too many items"),
        (Fault::Flood, "broken", "without end"),
    ] {
        let fake = Fake::start(fault);
        let (seen, message) = outcome(fake.source().create(STORE));
        assert_eq!(seen, word, "{fault:?}: {message}");
        assert!(message.contains(part), "{fault:?}: {message}");
    }
}

#[test]
fn deny_answers_that_are_late_cut_off_or_of_another_kind() {
    for method in ["Hello", "OpenSession", "ReadAlias", "Get", "CreateItem", "SearchItems", "GetSecret"] {
        for (fault, word) in [
            (Fault::Silent(method), "slow"),
            (Fault::HangsUp(method), "broken"),
            (Fault::Junk(method), "broken"),
            (Fault::OtherTypes(method), "broken"),
        ] {
            if fault == Fault::OtherTypes("Hello") {
                continue; // Our own name on the bus is of no use to us.
            }
            let fake = Fake::start(fault);
            let started = Instant::now();
            let (seen, message) = outcome(fake.source().create(STORE));
            assert_eq!(seen, word, "{fault:?}: {message}");
            // Four times the limit: a machine under load is no fault.
            assert!(started.elapsed() < LIMIT * 4, "{fault:?} took {:?}", started.elapsed());
        }
    }
}

#[test]
fn a_look_says_how_the_service_is_found() {
    for (fault, word) in [
        (Fault::None, "ready"),
        (Fault::Locked, "locked"),
        (Fault::NoService, "absent"),
        (Fault::NoDefault, "absent"),
        (Fault::Junk("ReadAlias"), "broken"),
        (Fault::OtherTypes("Get"), "broken"),
        (Fault::Silent("ReadAlias"), "slow"),
    ] {
        assert_eq!(Fake::start(fault).source().probe().word(), word, "{fault:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(SecretServiceSource::new(None, Some(folder.path())).probe().word(), "absent");
    assert_eq!(SecretServiceSource::new(None, None).probe().word(), "absent");
    let full = UnixListener::bind(folder.path().join("bus")).unwrap();
    assert_eq!(SecretServiceSource::new(None, Some(folder.path())).within(LIMIT).probe().word(), "slow");
    drop(full);
    assert_eq!(
        SecretServiceSource::new(None, Some(folder.path())).probe().word(),
        "absent",
        "a socket without a listener"
    );
}
