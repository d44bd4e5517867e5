// SPDX-License-Identifier: MIT OR Apache-2.0
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::KeyProvider as _;
use super::super::software::SoftwareKeys;
use super::*;

fn name() -> KeyName {
    "trail".parse().unwrap()
}

fn record(kind: KeyKind) -> Record {
    let version = |number, state| {
        let key = SoftwareKeys.generate(kind, "").unwrap();
        let private = (!kind.has_public() || state == VersionState::Active).then_some(key.private);
        let replaced = (state != VersionState::Active).then_some(Timestamp(2));
        Version { number, state, created: Timestamp(1), replaced, destroyed: None, public: key.public, private }
    };
    let versions = vec![version(3, VersionState::VerifyOnly), version(5, VersionState::Active)];
    Record {
        name: name(),
        kind,
        provider: "software".to_owned(),
        rotate_every: Some(Duration::from_secs(86_400)),
        versions,
    }
}

/// The record's parts, to be put together wrongly.
fn parts(record: &Record) -> (Value, Vec<u8>) {
    let bytes = record.write().unwrap();
    let size = usize::try_from(u32::from_be_bytes(bytes.expose()[..4].try_into().unwrap())).unwrap();
    (serde_json::from_slice(&bytes.expose()[4..4 + size]).unwrap(), bytes.expose()[4 + size..].to_vec())
}

fn together(head: &Value, privates: &[u8]) -> Locked {
    let head = serde_json::to_vec(head).unwrap();
    let size = u32::try_from(head.len()).unwrap().to_be_bytes();
    Locked::copy_of(&[&size[..], &head, privates].concat()).unwrap()
}

#[test]
fn records_are_read_as_they_are_written() {
    for kind in KeyKind::ALL {
        let record = record(kind);
        let bytes = record.write().unwrap();
        let read = Record::read(&name(), &bytes).unwrap();
        assert!(read.write().unwrap().equals(bytes.expose()));
        let private = |record: &Record| record.versions[1].private.as_ref().unwrap().expose().to_vec();
        assert_eq!(private(&read), private(&record));
        assert_eq!(read.rotate_every, record.rotate_every);
        let (head, privates) = parts(&record);
        assert!(Record::read(&name(), &together(&head, &privates)).is_ok());
    }
}

#[test]
fn deny_heads_that_say_something_else() {
    type Edit = fn(&mut Value);
    let edits: &[(&str, Edit)] = &[
        ("a newer format", |head| head["format"] = json!(2)),
        ("another name", |head| head["name"] = json!("tokens")),
        ("a name that is none", |head| head["name"] = json!("../trail")),
        ("an unknown kind", |head| head["kind"] = json!("rsa")),
        ("another kind", |head| head["kind"] = json!("hmac-sha256")),
        ("an unknown member", |head| head["extra"] = json!(1)),
        ("no versions", |head| head["versions"] = json!([])),
        ("two active versions", |head| head["versions"][0]["state"] = json!("active")),
        ("no active version", |head| head["versions"][1]["state"] = json!("verify-only")),
        ("an unknown state", |head| head["versions"][0]["state"] = json!("retired")),
        ("a number twice", |head| head["versions"][0]["number"] = json!(5)),
        ("numbers that fall", |head| head["versions"][0]["number"] = json!(6)),
        ("no private half", |head| head["versions"][1]["private"] = json!(null)),
        ("an empty private half", |head| head["versions"][1]["private"] = json!(0)),
        ("a longer private half", |head| head["versions"][1]["private"] = json!(33)),
        ("a shorter private half", |head| head["versions"][1]["private"] = json!(31)),
        ("a huge private half", |head| head["versions"][1]["private"] = json!(u64::MAX)),
        ("no public half", |head| head["versions"][0]["public"] = json!(null)),
        ("a weak public half", |head| {
            head["versions"][0]["public"] = json!("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
        }),
        ("a public half that is no base64", |head| head["versions"][0]["public"] = json!("!")),
    ];
    let (head, privates) = parts(&record(KeyKind::Ed25519));
    for (what, edit) in edits {
        let mut edited = head.clone();
        edit(&mut edited);
        assert!(Record::read(&name(), &together(&edited, &privates)).is_err(), "{what}");
    }
    let (mut head, privates) = parts(&record(KeyKind::HmacSha256));
    head["versions"][0]["state"] = json!("destroyed");
    assert!(Record::read(&name(), &together(&head, &privates)).is_err(), "a destroyed version with a key");
    head["versions"][0]["private"] = json!(null);
    assert!(Record::read(&name(), &together(&head, &privates[32..])).is_ok());
    head["versions"][0]["state"] = json!("verify-only");
    assert!(Record::read(&name(), &together(&head, &privates[32..])).is_err(), "a MAC key without its key");
}

#[test]
fn deny_bytes_that_are_no_record() {
    let good = record(KeyKind::Ed25519).write().unwrap().expose().to_vec();
    for (bytes, what) in [
        (vec![], "nothing"),
        (good[..3].to_vec(), "half a length"),
        (good[..good.len() - 1].to_vec(), "cut off"),
        ([&good[..], &[0]].concat(), "something behind its end"),
        ([&[0xff; 4], &good[4..]].concat(), "a length beyond the end"),
        (vec![0; 64], "zeros"),
    ] {
        assert!(Record::read(&name(), &Locked::copy_of(&bytes).unwrap()).is_err(), "{what}");
    }
    assert!(Record::read(&"tokens".parse().unwrap(), &Locked::copy_of(&good).unwrap()).is_err());
}

#[test]
fn deny_writing_what_could_not_be_read() {
    let mut nobody = record(KeyKind::Ed25519);
    nobody.versions[1].private = None;
    assert!(nobody.write().is_err());
    let mut empty = record(KeyKind::HmacSha256);
    empty.versions[0].private = Some(Locked::zeroed(0).unwrap());
    assert!(empty.write().is_err());
    let mut large = record(KeyKind::HmacSha256);
    large.versions[1].private = Some(Locked::zeroed(PRIVATE_MAX + 1).unwrap());
    assert!(large.write().is_err());
    let mut many = record(KeyKind::HmacSha256);
    for version in 0..20 {
        let private = Some(Locked::random(PRIVATE_MAX).unwrap());
        let old = Version {
            number: version,
            state: VersionState::VerifyOnly,
            created: Timestamp(0),
            replaced: None,
            destroyed: None,
            public: None,
            private,
        };
        many.versions.insert(usize::try_from(version).unwrap(), old);
    }
    many.versions.retain(|version| version.number != 3 || version.state == VersionState::Active);
    let mut number = 0;
    for version in &mut many.versions {
        number += 1;
        version.number = number;
    }
    assert!(matches!(many.write(), Err(RecordError::TooLarge)));
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let sized = [&u32::try_from(bytes.len() / 2).unwrap().to_be_bytes()[..], &bytes].concat();
        for bytes in [bytes, sized] {
            prop_assert!(Record::read(&name(), &Locked::copy_of(&bytes).unwrap()).is_err());
        }
    }
}
