// SPDX-License-Identifier: MIT OR Apache-2.0
//! Queries are read whole or refused; answers repeat the question.

use proptest::prelude::*;

use super::*;

fn labels(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

fn query(flags: u16, counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
    [&header(7, flags, counts)[..], rest].concat()
}

fn plain(name: &str, kind: u16, class: u16) -> Vec<u8> {
    let question = [&labels(name)[..], &kind.to_be_bytes(), &class.to_be_bytes()].concat();
    query(FLAG_RECURSION_DESIRED, [1, 0, 0, 0], &question)
}

const OPT: [u8; 11] = [0, 0, 41, 16, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn queries_are_read_and_answered() {
    for (name, kind, class, expected, wanted) in [
        ("Example.COM", 1, 1, "example.com", Wanted::Address),
        ("example.com", 28, 1, "example.com", Wanted::Other),
        ("example.com", 65, 1, "example.com", Wanted::Other),
        ("example.com", 255, 1, "example.com", Wanted::Other),
        ("version.bind", 16, 3, "version.bind", Wanted::Foreign),
        ("_a._tcp.example.com", 33, 1, "_a._tcp.example.com", Wanted::Other),
        ("", 2, 1, "", Wanted::Other),
    ] {
        let read = read(&plain(name, kind, class)).unwrap();
        assert_eq!((read.name.as_str(), read.wanted), (expected, wanted));
    }
    let sent = plain("eXample.com", 1, 1);
    let answer = read(&sent).unwrap().answer_address(Ipv4Addr::new(198, 18, 0, 1));
    let tail = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 198, 18, 0, 1];
    assert_eq!(answer, [&header(7, 0x8180, [1, 1, 0, 0])[..], &sent[12..], &tail].concat());
    let none = read(&sent).unwrap().answer_code(Code::NoName);
    assert_eq!(none, [&header(7, 0x8183, [1, 0, 0, 0])[..], &sent[12..]].concat());
    let mut extended = [&sent[..], &OPT].concat();
    extended[11] = 1;
    let answer = read(&extended).unwrap().answer_code(Code::NoData);
    assert_eq!(
        answer,
        [&header(7, 0x8180, [1, 0, 0, 1])[..], &sent[12..], &[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]].concat()
    );
}

#[test]
fn deny_queries_that_hide_something() {
    let code = |code| Err(DnsFault::Refused { id: 7, code });
    let question = [&labels("example.com")[..], &[0, 1, 0, 1]].concat();
    for (message, expected) in [
        (Vec::new(), Err(DnsFault::Silent)),
        (vec![0, 7, 1], Err(DnsFault::Silent)),
        (vec![0, 7, 1, 0, 0, 1], Err(DnsFault::Silent)),
        (query(0x8180, [1, 0, 0, 0], &question), Err(DnsFault::Silent)),
        (query(0x2800, [1, 0, 0, 0], &question), code(Code::NotImplemented)),
        (query(0x100, [0, 0, 0, 0], &[]), code(Code::Malformed)),
        (query(0x100, [2, 0, 0, 0], &[&question[..], &question].concat()), code(Code::Malformed)),
        (query(0x100, [1, 1, 0, 0], &question), code(Code::Malformed)),
        (query(0x100, [1, 0, 1, 0], &question), code(Code::Malformed)),
        (query(0x100, [1, 0, 0, 3], &question), code(Code::Malformed)),
        (query(0x100, [1, 0, 0, 1], &question), code(Code::Malformed)),
        (query(0x100, [1, 0, 0, 2], &[&question[..], &OPT, &OPT].concat()), code(Code::Malformed)),
        (query(0x100, [1, 0, 0, 0], &[&question[..], &[0]].concat()), code(Code::Malformed)),
        (query(0x100, [1, 0, 0, 0], &question[..question.len() - 1]), code(Code::Malformed)),
        (query(0x100, [1, 0, 0, 0], &[0xc0, 12, 0, 1, 0, 1]), code(Code::Malformed)),
        (query(0x100, [1, 0, 0, 0], &[1, b' ', 0, 0, 1, 0, 1]), code(Code::Malformed)),
        (query(0x100, [1, 0, 0, 0], &[3, b'a', b'.', b'b', 0, 0, 1, 0, 1]), code(Code::Malformed)),
        (query(0x100, [1, 0, 0, 0], &[1, 0, 0, 0, 1, 0, 1]), code(Code::Malformed)),
        (
            plain(&["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(63)].join("."), 1, 1),
            code(Code::Malformed),
        ),
        (query(0x100, [1, 0, 0, 0], &[&[64][..], &[b'a'; 64], &[0, 0, 1, 0, 1]].concat()), code(Code::Malformed)),
        (vec![0; 2000], code(Code::Malformed)),
    ] {
        let mut message = message;
        if message.len() == 2000 {
            message[1] = 7;
        }
        assert_eq!(read(&message).map(|query| query.name), expected, "{message:?}");
    }
    assert_eq!(DnsFault::Silent.reply(), None);
    let reply = DnsFault::Refused { id: 7, code: Code::Refused }.reply();
    assert_eq!(reply, Some(header(7, 0x8005, [0; 4])));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(input in prop::collection::vec(any::<u8>(), 0..300)) {
        match read(&input) {
            Ok(query) => {
                prop_assert!(query.name.len() <= 253);
                prop_assert!(query.answer_address(Ipv4Addr::LOCALHOST).len() < input.len() + 32);
            }
            Err(fault) => prop_assert!(fault.reply().is_none_or(|reply| reply.len() == 12)),
        }
    }

    #[test]
    fn questions_are_repeated(name in "[a-z]{1,10}(\\.[a-z0-9-]{1,20}){0,5}", kind in any::<u16>(), tail in prop::collection::vec(any::<u8>(), 0..30)) {
        let sent = plain(&name, kind, 1);
        let query = read(&sent).unwrap();
        prop_assert_eq!(&query.name, &name);
        prop_assert_eq!(&query.answer_code(Code::NoData)[12..], &sent[12..]);
        drop(read(&[&sent[..], &tail].concat()));
    }
}
