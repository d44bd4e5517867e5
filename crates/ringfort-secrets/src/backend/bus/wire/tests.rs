// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages by hand, by chance and by malice.

use proptest::prelude::*;

use super::*;

const METHOD: Method<'_> = Method {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
};

fn sample() -> Vec<Value> {
    vec![
        Value::text("text"),
        Value::dict("v", [("key".to_owned(), Value::variant(Value::dict("s", [("a".to_owned(), Value::text("b"))])))]),
        Value::Struct(vec![Value::path("/a/b_1"), Value::Bytes(vec![1, 2, 3]), Value::Bytes(vec![]), Value::text("t")]),
        Value::Bool(true),
        Value::Array { of: "o".to_owned(), items: vec![Value::path("/"), Value::path("/x")] },
        Value::Array { of: "t".to_owned(), items: vec![] },
        Value::U64(1 << 40),
    ]
}

#[test]
fn a_call_has_the_bytes_of_the_specification() {
    let bytes = call(1, METHOD, &[]);
    assert_eq!(&bytes[..16], b"l\x01\x00\x01\x00\x00\x00\x00\x01\x00\x00\x00\x6d\x00\x00\x00");
    assert_eq!(&bytes[16..48], b"\x01\x01o\x00\x15\x00\x00\x00/org/freedesktop/DBus\x00\x00\x00");
    assert_eq!(bytes.len(), 128);
}

#[test]
fn messages_are_read_as_they_were_written() {
    let message = parse(&call(7, METHOD, &sample())).unwrap();
    assert_eq!((message.sort, message.serial, message.member.as_deref()), (Sort::Call, 7, Some("Hello")));
    assert_eq!(message.body, sample());
    assert_eq!(length(&call(7, METHOD, &sample())[..FIXED]), Ok(call(7, METHOD, &sample()).len()));
}

#[test]
fn the_other_byte_order_is_read_too() {
    // A reply to message 2 with the one number 258, as a big-endian machine sends it.
    let bytes = b"B\x02\x00\x01\x00\x00\x00\x04\x00\x00\x00\x05\x00\x00\x00\x0f\
        \x05\x01u\x00\x00\x00\x00\x02\x08\x01g\x00\x01u\x00\x00\x00\x00\x01\x02";
    let message = parse(bytes).unwrap();
    assert_eq!((message.sort, message.serial, message.reply_to), (Sort::Reply, 5, Some(2)));
    assert_eq!(message.body, [Value::U32(258)]);
}

#[test]
fn deny_what_is_no_message() {
    let good = call(7, METHOD, &sample());
    for end in 0..good.len() {
        assert!(parse(&good[..end]).is_err(), "cut at {end}");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert!(parse(&longer).is_err());
    for (at, byte) in [(0, b'x'), (1, 0), (1, 9), (3, 2), (4, 0xff), (12, 0xff), (15, 0xff)] {
        let mut bad = good.clone();
        bad[at] = byte;
        assert!(parse(&bad).is_err(), "byte {at} as {byte}");
    }
    for signature in
        ["a", "(", "()", "(y", "{sv}", "a{sv", "a{vs}", "a{(y)s}", "z", "y)", &"a".repeat(40), &"(".repeat(40)]
    {
        let mut at = 0;
        let outcome = loop {
            match first_type(&signature.as_bytes()[at..], 0) {
                Ok(length) => at += length,
                Err(error) => break Err(error),
            }
            if at == signature.len() {
                break Ok(());
            }
        };
        assert!(outcome.is_err(), "{signature}");
    }
    for path in ["", "a", "/a/", "//", "/a b", "/ä"] {
        assert!(object_path(path.to_owned()).is_err(), "{path}");
    }
}

#[test]
fn deny_variants_in_variants_without_end() {
    let mut value = Value::Byte(1);
    for _ in 0..=DEPTH_MAX {
        value = Value::variant(value);
    }
    assert_eq!(parse(&call(1, METHOD, &[value])), Err(WireError("a value is nested too deeply")));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _outcome = parse(&bytes);
    }

    #[test]
    fn damaged_messages_are_read_or_refused(at in 0_usize..200, byte: u8, with in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut bytes = call(7, METHOD, &sample());
        let at = at % bytes.len();
        bytes[at] = byte;
        let _outcome = parse(&bytes);
        bytes.splice(at..at, with);
        let _outcome = parse(&bytes);
    }
}
