// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names are found in whole, split and hostile ClientHellos.

use proptest::prelude::*;

use super::*;

fn run16(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn extension(kind: u16, value: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &run16(value)].concat()
}

fn server_name(name: &[u8]) -> Vec<u8> {
    extension(0, &run16(&[&[0][..], &run16(name)].concat()))
}

fn message(extensions: &[u8]) -> Vec<u8> {
    let body = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[1, 0], &run16(extensions)].concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[1][..], &length[1..], &body].concat()
}

fn records(message: &[u8], size: usize) -> Vec<u8> {
    message.chunks(size).flat_map(|part| [&[22, 3, 1][..], &run16(part)].concat()).collect()
}

fn hello(extensions: &[u8]) -> Vec<u8> {
    records(&message(extensions), 1 << 14)
}

fn tls(name: Option<&str>, hides: bool) -> Result<Peek, HelloFault> {
    Ok(Peek::Tls(Hello { name: name.map(str::to_owned), hides }))
}

#[test]
fn names_are_found() {
    let other = extension(43, &[2, 3, 4]);
    for (extensions, expected) in [
        (server_name(b"example.com"), tls(Some("example.com"), false)),
        ([other.clone(), server_name(b"EXAMPLE.com"), other.clone()].concat(), tls(Some("example.com"), false)),
        (other, tls(None, false)),
        (Vec::new(), tls(None, false)),
        ([server_name(b"a.example"), extension(0xfe0d, &[0])].concat(), tls(Some("a.example"), true)),
        (extension(0xffce, &[]), tls(None, true)),
    ] {
        let whole = hello(&extensions);
        assert_eq!(peek(&whole), expected);
        assert_eq!(peek(&[&whole[..], &[20, 3, 3, 0, 1, 1]].concat()), expected, "what follows is not read");
        for size in [1, 5, 40] {
            assert_eq!(peek(&records(&message(&extensions), size)), expected, "records of {size}");
        }
        for cut in 0..whole.len() {
            let Ok(Peek::More(needed)) = peek(&whole[..cut]) else { panic!("cut at {cut}") };
            assert!(needed > cut && needed <= whole.len(), "{needed} at {cut} of {}", whole.len());
        }
    }
}

#[test]
fn deny_hellos_that_hide_their_name() {
    let long = [&run16(b"example.com")[..], &[0]].concat();
    for (extensions, expected) in [
        ([server_name(b"a.example"), server_name(b"b.example")].concat(), HelloFault::Name),
        (
            extension(0, &run16(&[&[0][..], &run16(b"a.example"), &[0], &run16(b"b.example")].concat())),
            HelloFault::Name,
        ),
        (extension(0, &run16(&[&[1][..], &run16(b"a.example")].concat())), HelloFault::Name),
        (extension(0, &run16(&[&[0][..], &long].concat())), HelloFault::Name),
        (extension(0, &[]), HelloFault::Name),
        (extension(0, &[0, 0]), HelloFault::Name),
        (server_name(b""), HelloFault::Name),
        (server_name(b"127.0.0.1"), HelloFault::Name),
        (server_name(b"a.example\0.evil.net"), HelloFault::Name),
        (server_name(b"a.example:443"), HelloFault::Name),
        (server_name("ex\u{e4}mple.com".as_bytes()), HelloFault::Name),
        (vec![0, 0, 0], HelloFault::Hello),
        (vec![0, 43, 0, 9, 1], HelloFault::Hello),
    ] {
        assert_eq!(peek(&hello(&extensions)), Err(expected), "{extensions:?}");
    }
    let good = message(&server_name(b"a.example"));
    let mut wrong = good.clone();
    wrong[0] = 2;
    assert_eq!(peek(&records(&wrong, 100)), Err(HelloFault::Hello), "a server's hello");
    assert_eq!(peek(&records(&[&good[..], &[1]].concat(), 1 << 14)), Err(HelloFault::Hello), "more in the record");
    let two = [records(&good[..10], 100), vec![23, 3, 3, 0, 1, 0]].concat();
    assert_eq!(peek(&two), Err(HelloFault::Record), "another record in between");
    assert_eq!(peek(&[22, 3, 1, 0, 0]), Err(HelloFault::Record), "an empty record");
    assert_eq!(peek(&[22, 3, 1, 0x40, 1]), Err(HelloFault::Record), "a record too long");
    assert_eq!(peek(&[22, 3, 1, 0x40, 0, 1, 1, 0, 0]), Err(HelloFault::TooLong), "a message too long");
}

#[test]
fn other_protocols_are_told_apart() {
    for (input, expected) in [
        (&b""[..], Peek::More(1)),
        (&[22], Peek::More(2)),
        (&[22, 3], Peek::More(3)),
        (b"SSH-2.0-x", Peek::Other),
        (b"GET / HTTP/1.1", Peek::Other),
        (&[22, 4, 0], Peek::Other),
        (&[22, 3, 9], Peek::Other),
        (&[0x80, 0x2e, 1, 3, 1], Peek::Other),
    ] {
        assert_eq!(peek(input), Ok(expected), "{input:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(input in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(peek(&input));
        drop(peek(&hello(&input)));
        drop(peek(&records(&message(&input), 7)));
    }

    #[test]
    fn a_changed_byte_yields_no_other_valid_place(at in 0_usize..70, to in any::<u8>()) {
        let mut input = hello(&server_name(b"example.com"));
        let at = at % input.len();
        input[at] = to;
        if let Ok(Peek::Tls(Hello { name: Some(name), .. })) = peek(&input) {
            prop_assert!(name.len() <= 253 && name.contains(|c: char| c.is_ascii_alphanumeric()));
        }
    }
}
