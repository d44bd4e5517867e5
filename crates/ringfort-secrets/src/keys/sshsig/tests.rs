// SPDX-License-Identifier: MIT OR Apache-2.0
use proptest::prelude::*;

use super::super::KeyProvider as _;
use super::super::software::SoftwareKeys;
use super::*;

fn signed(kind: KeyKind, content: &[u8]) -> (Vec<u8>, String) {
    let key = SoftwareKeys.generate(kind, "").unwrap();
    let content = Content::read(content).unwrap();
    let signature = SoftwareKeys.sign(&key, &content.to_sign()).unwrap();
    let public = key.public.unwrap();
    let text = write(kind, &public, &signature).unwrap();
    (public, text)
}

#[test]
fn signatures_are_read_as_they_are_written() {
    for kind in [KeyKind::Ed25519, KeyKind::EcdsaP256] {
        // Numbers of ECDSA are written in 31 to 33 bytes: often enough to meet each.
        for round in 0..40_u8 {
            let content = [round; 100];
            let (public, text) = signed(kind, &content);
            let parsed = Parsed::parse(&text).unwrap();
            assert_eq!((parsed.kind, &parsed.public), (kind, &public));
            assert!(parsed.fits(&Content::read(&content[..]).unwrap()));
            assert!(!parsed.fits(&Content::read(&content[..99]).unwrap()));
            assert!(!parsed.fits(&Content::read(&b""[..]).unwrap()));
        }
    }
}

#[test]
fn deny_signatures_for_something_else() {
    let key = SoftwareKeys.generate(KeyKind::Ed25519, "").unwrap();
    let public = key.public.clone().unwrap();
    let content = Content::read(&b"content"[..]).unwrap();
    // The content itself, its digest, and the bytes of another use: none of them is a signature of the file.
    let git = content.to_sign().windows(4).position(|at| at == NAMESPACE.as_bytes()).unwrap();
    let mut other = content.to_sign();
    other[git..git + 4].copy_from_slice(b"mail");
    for bytes in [b"content".to_vec(), content.sha512.clone(), other] {
        let signature = SoftwareKeys.sign(&key, &bytes).unwrap();
        let parsed = Parsed::parse(&write(KeyKind::Ed25519, &public, &signature).unwrap()).unwrap();
        assert!(!parsed.fits(&content));
    }
}

#[test]
fn deny_texts_that_are_no_signature() {
    let (_public, text) = signed(KeyKind::Ed25519, b"content");
    let blob = |text: &str| {
        let inner = text.trim().strip_prefix(BEGIN).unwrap().strip_suffix(END).unwrap();
        BASE64_STANDARD.decode(inner.replace('\n', "")).unwrap()
    };
    let armour = |blob: &[u8]| format!("{BEGIN}\n{}\n{END}\n", BASE64_STANDARD.encode(blob));
    let good = blob(&text);
    assert!(Parsed::parse(&armour(&good)).is_ok());
    let replaced = |from: &[u8], to: &[u8]| {
        let at = good.windows(from.len()).position(|at| at == from).unwrap();
        armour(&[&good[..at], to, &good[at + from.len()..]].concat())
    };
    let p256 = blob(&signed(KeyKind::EcdsaP256, b"content").1);
    for (text, what) in [
        (String::new(), "nothing"),
        (text.replace("SSH", "PGP"), "other marks"),
        (text.replacen("U1NI", "U1N!", 1), "no base64"),
        (replaced(b"SSHSIG", b"SSHSIX"), "another beginning"),
        (replaced(b"\0\0\0\x01", b"\0\0\0\x02"), "another version"),
        (replaced(b"\0\0\0\x04file", b"\0\0\0\x03git"), "another use"),
        (replaced(b"\0\0\0\x06sha512", b"\0\0\0\x04sha1"), "another hash"),
        (replaced(b"\0\0\0\x04file\0\0\0\0", b"\0\0\0\x04file\0\0\0\x01x"), "a reserved part"),
        (replaced(b"\0\0\0\x0bssh-ed25519", b"\0\0\0\x07ssh-rsa"), "another kind of key"),
        (replaced(b"\0\0\0\x04file", b"\xff\xff\xff\xfffile"), "a length beyond the end"),
        (armour(&[&good[..], b"x"].concat()), "something behind its end"),
        (armour(&good[..good.len() - 1]), "cut off"),
        (armour(b""), "an empty blob"),
        (armour(&[&p256[..p256.len() - 33], &[0; 33][..]].concat()), "zeros before a number"),
        ("x".repeat(TEXT_MAX + 1), "too long"),
    ] {
        assert!(Parsed::parse(&text).is_err(), "{what}");
    }
}

proptest! {
    #[test]
    fn hostile_blobs_never_panic(blob in prop::collection::vec(any::<u8>(), 0..400)) {
        let with_magic = [&MAGIC[..], &VERSION.to_be_bytes(), &blob].concat();
        for blob in [&blob, &with_magic] {
            let text = format!("{BEGIN}\n{}\n{END}", BASE64_STANDARD.encode(blob));
            prop_assert!(Parsed::parse(&text).is_err());
        }
    }

    #[test]
    fn deny_flipped_bits(at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let (public, text) = signed(KeyKind::EcdsaP256, b"content");
        let inner = text.trim().strip_prefix(BEGIN).unwrap().strip_suffix(END).unwrap();
        let mut blob = BASE64_STANDARD.decode(inner.replace('\n', "")).unwrap();
        let position = at.index(blob.len());
        blob[position] ^= 1 << bit;
        let text = format!("{BEGIN}\n{}\n{END}", BASE64_STANDARD.encode(blob));
        let content = Content::read(&b"content"[..]).unwrap();
        let fits = Parsed::parse(&text).is_ok_and(|parsed| parsed.public == public && parsed.fits(&content));
        prop_assert!(!fits);
    }
}
