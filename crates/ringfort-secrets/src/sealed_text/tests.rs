// SPDX-License-Identifier: MIT OR Apache-2.0

use proptest::prelude::*;
use ringfort_core::traits::Unseal as _;

use super::*;
use crate::locked::Locked;

const STORE: StoreId = StoreId(*b"0123456789abcdef");
const KEY: &str = "channels_config.webhook.secret";
/// Sealed with the store key 00 01 .. 1f and the nonce 40 41 .. 57; in the documentation.
const VECTOR_ENC3: &str = "enc3:ATAxMjM0NTY3ODlhYmNkZW";
/// Sealed with the key 00 01 .. 1f and the nonce 40 41 .. 4b; in the documentation.
const VECTOR_ENC2: &str = "enc2:404142434445464748494a4b";

fn counted<const N: usize>(from: u8) -> [u8; N] {
    std::array::from_fn(|place| from + u8::try_from(place).unwrap())
}

fn text_key(store: StoreId, from: u8) -> TextKey {
    TextKey::derive(store, &Locked::copy_of(&counted::<32>(from)).unwrap()).unwrap()
}

fn enc2_key(from: u8) -> Enc2Key {
    Enc2Key::of(Locked::copy_of(&counted::<32>(from)).unwrap()).unwrap()
}

/// The text with one character replaced by its neighbour in the alphabet of both forms.
fn flipped(text: &str, place: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[place] = match bytes[place] {
        b'0' => b'1',
        b'9' => b'8',
        b'a' => b'b',
        b'z' | b'Z' => b'y',
        b'-' => b'_',
        b'_' => b'-',
        b':' => b';',
        other => other ^ 1,
    };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn vectors_are_those_of_the_documentation() {
    let enc3 = enc3::seal_with(&text_key(STORE, 0), KEY, b"webhook_secret_here", counted(0x40)).unwrap();
    let enc2 = enc2::seal_with(&enc2_key(0), b"webhook_secret_here", counted(0x40)).unwrap();
    let documented = include_str!("../../../../docs/formats/enc3.md");
    for (text, begin) in [(&enc3, VECTOR_ENC3), (&enc2, VECTOR_ENC2)] {
        assert!(text.starts_with(begin) && documented.contains(&format!("`{text}`")), "{text}");
    }
    assert!(open_enc3(&text_key(STORE, 0), KEY, &enc3).unwrap().equals(b"webhook_secret_here"));
    assert!(open_enc2(&enc2_key(0), &enc2).unwrap().equals(b"webhook_secret_here"));
}

#[test]
fn deny_enc3_elsewhere_and_with_another_key() {
    let key = text_key(STORE, 0);
    let text = seal_enc3(&key, KEY, b"hunter2").unwrap();
    assert_ne!(text, seal_enc3(&key, KEY, b"hunter2").unwrap(), "a nonce is used once");
    let elsewhere = open_enc3(&key, "channels_config.whatsapp.app_secret", &text).unwrap_err();
    assert!(matches!(elsewhere, SealedTextError::OtherPlace { .. }));
    assert!(!elsewhere.to_string().contains("webhook"), "it does not say where it belongs: {elsewhere}");
    let other = StoreId(*b"fedcba9876543210");
    assert!(matches!(open_enc3(&text_key(other, 0), KEY, &text), Err(SealedTextError::OtherStore { .. })));
    // Another key of the same store id cannot even tell the place.
    assert!(matches!(open_enc3(&text_key(STORE, 1), KEY, &text), Err(SealedTextError::OtherPlace { .. })));
}

#[test]
fn deny_what_is_not_of_the_form() {
    let (text_key, key) = (text_key(STORE, 0), enc2_key(0));
    let enc3 = seal_enc3(&text_key, KEY, b"hunter2").unwrap();
    let enc2 = seal_enc2(&key, b"hunter2").unwrap();
    let newer = format!("enc3:Ag{}", &enc3[7..]);
    for (text, expected) in [
        ("hunter2", "not `enc3`"),
        ("enc4:00", "`enc4:`"),
        (&enc2[..], "not `enc3`"),
        ("enc3:", "empty"),
        ("enc3:A", "base64url"),
        ("enc3:AQ", "cut short"),
        (&enc3[..61], "cut short"),
        (&format!("{enc3}="), "base64url"),
        (&format!("{enc3} "), "base64url"),
        (&newer, "version 2"),
        (&format!("enc3:{}", "A".repeat(SECRET_TEXT_BYTES_MAX)), "too long"),
    ] {
        let error = open_enc3(&text_key, KEY, text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    for (text, expected) in [
        (enc3.clone(), "not `enc2`"),
        ("enc2:".to_owned(), "cut short"),
        ("enc2:0".to_owned(), "hex"),
        (enc2.to_uppercase(), "begins like"),
        (format!("enc2:{}", enc2[5..].to_uppercase()), "hex"),
        (format!("{enc2}\n"), "hex"),
        (enc2[..59].to_owned(), "cut short"),
        (format!("{enc2}00"), "changed"),
    ] {
        let error = open_enc2(&key, &text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(matches!(open_enc2(&enc2_key(1), &enc2), Err(SealedTextError::Changed { form: Form::Enc2 })));
    for value in [&b""[..], &[b'x'; VALUE_BYTES_MAX + 1]] {
        assert!(seal_enc2(&key, value).is_err() && seal_enc3(&text_key, KEY, value).is_err());
    }
}

#[test]
fn deny_the_old_form_but_in_a_migration() {
    // "hunter2" with the key 00 01 .. 1f.
    let text = "enc:68746c77617734".to_owned();
    assert!(matches!(parse(&text), Err(SealedTextError::Legacy)));
    assert!(matches!(parse("op://vault/item"), Err(SealedTextError::OnePassword)));
    assert!(open_enc2(&enc2_key(0), &text).is_err());
    assert!(migrate_enc(&enc2_key(0), &text).unwrap().equals(b"hunter2"));
    let long = format!("enc:{}", "41".repeat(40));
    assert_eq!(migrate_enc(&enc2_key(0), &long).unwrap().expose()[31..34], [0x41 ^ 31, 0x41, 0x40]);
    for text in ["enc:", "enc:6", "enc:zz", "enc:00", "enc:ff"] {
        assert!(migrate_enc(&enc2_key(0), text).is_err(), "{text}");
    }
}

#[test]
fn an_opener_asks_for_a_key_only_when_it_opens() {
    struct Keys(TextKey);
    impl KeySource for Keys {
        fn enc2(&self, key: &str) -> Result<Enc2Key, String> {
            if key == KEY { Ok(enc2_key(0)) } else { Err("no key file here".to_owned()) }
        }
        fn enc3(&self, sealed_by: StoreId) -> Result<&TextKey, String> {
            if sealed_by == STORE { Ok(&self.0) } else { Err("the store is locked".to_owned()) }
        }
    }
    let opener = Opener(Keys(text_key(STORE, 0)));
    let enc2 = seal_enc2(&enc2_key(0), b"hunter2").unwrap();
    let enc3 = seal_enc3(&text_key(STORE, 0), KEY, b"hunter2").unwrap();
    for text in [&enc2, &enc3] {
        assert_eq!(opener.open(KEY, text).unwrap().expose(), "hunter2");
    }
    let bytes = seal_enc3(&text_key(STORE, 0), KEY, b"\xff").unwrap();
    let other = seal_enc3(&text_key(StoreId([7; 16]), 0), KEY, b"hunter2").unwrap();
    for (key, text, expected) in [
        ("a.b", &enc2[..], "cannot open `a.b`: no key file here"),
        (KEY, &other, "the store is locked"),
        ("a.b", &enc3, "belongs to another key than `a.b`"),
        (KEY, &bytes, "no text"),
        (KEY, "hunter2", "not sealed"),
        (KEY, "enc:00", "migration"),
        (KEY, "op://x/y", "1Password"),
        (KEY, "enc9:00", "`enc9:`"),
    ] {
        let error = opener.open(key, text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_opens_again(value in prop::collection::vec(any::<u8>(), 1..600), key in "[a-z_.]{0,40}") {
        let (text_key, enc2) = (text_key(STORE, 3), enc2_key(3));
        let text = seal_enc3(&text_key, &key, &value).unwrap();
        prop_assert!(text.len() <= SECRET_TEXT_BYTES_MAX && Form::of(&text) == Ok(Form::Enc3));
        prop_assert!(open_enc3(&text_key, &key, &text).unwrap().equals(&value));
        let longer = key.clone() + "x";
        prop_assert!(open_enc3(&text_key, &longer, &text).is_err());
        let text = seal_enc2(&enc2, &value).unwrap();
        prop_assert!(open_enc2(&enc2, &text).unwrap().equals(&value));
    }

    #[test]
    fn deny_any_text_that_is_random(text in "enc[23]:[0-9a-zA-Z_-]{0,200}") {
        prop_assert!(open_enc3(&text_key(STORE, 3), KEY, &text).is_err());
        prop_assert!(open_enc2(&enc2_key(3), &text).is_err());
    }
}

#[test]
fn deny_every_flipped_and_every_missing_character() {
    let (text_key, key) = (text_key(STORE, 0), enc2_key(0));
    let enc3 = seal_enc3(&text_key, KEY, b"webhook_secret_here").unwrap();
    let enc2 = seal_enc2(&key, b"webhook_secret_here").unwrap();
    for place in 0..enc3.len() {
        assert!(open_enc3(&text_key, KEY, &flipped(&enc3, place)).is_err(), "{place}");
        assert!(open_enc3(&text_key, KEY, &enc3[..place]).is_err(), "{place}");
    }
    for place in 0..enc2.len() {
        assert!(open_enc2(&key, &flipped(&enc2, place)).is_err(), "{place}");
        assert!(open_enc2(&key, &enc2[..place]).is_err(), "{place}");
    }
}
