// SPDX-License-Identifier: MIT OR Apache-2.0
use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn handle(kind: KeyKind, private: &[u8]) -> KeyHandle {
    let private = Locked::copy_of(private).unwrap();
    let public = public_of(kind, &private).unwrap();
    KeyHandle { kind, public, private }
}

/// RFC 8032, 7.1.
#[test]
fn ed25519_is_that_of_the_standard() {
    for (private, public, message, signature) in [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595b\
             be24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb430\
             2aeeb00d291612bb0c00",
        ),
    ] {
        let key = handle(KeyKind::Ed25519, &bytes(private));
        assert_eq!(key.public, Some(bytes(public)));
        let made = SoftwareKeys.sign(&key, &bytes(message)).unwrap();
        assert_eq!(made, bytes(signature));
        assert!(verify_public(KeyKind::Ed25519, &bytes(public), &bytes(message), &made).unwrap());
    }
}

/// RFC 6979, A.2.5.
#[test]
fn ecdsa_is_that_of_the_standard() {
    let private = bytes("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
    let key = handle(KeyKind::EcdsaP256, &private);
    let public = bytes(
        "04 60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6
            7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299",
    );
    assert_eq!(key.public, Some(public.clone()));
    let expected = bytes(
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
         F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
    );
    assert_eq!(SoftwareKeys.sign(&key, b"sample").unwrap(), expected);
    assert!(verify_public(KeyKind::EcdsaP256, &public, b"sample", &expected).unwrap());
}

/// RFC 4231, cases 1, 2 and 3. HMAC fills a short key up with zeros, so a key of 32 bytes gives the same.
#[test]
fn hmac_is_that_of_the_standard() {
    for (key, message, expected) in [
        (vec![0x0b; 20], b"Hi There".to_vec(), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (
            b"Jefe".to_vec(),
            b"what do ya want for nothing?".to_vec(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (vec![0xaa; 20], vec![0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    ] {
        let mut filled = key.clone();
        filled.resize(KEY_LEN, 0);
        let made = SoftwareKeys.sign(&handle(KeyKind::HmacSha256, &filled), &message).unwrap();
        assert_eq!(made, bytes(expected));
    }
}

/// RFC 5869, A.1 to A.3.
#[test]
fn hkdf_is_that_of_the_standard() {
    for (key, salt, context, expected) in [
        (
            "0b".repeat(22),
            "000102030405060708090a0b0c",
            "f0f1f2f3f4f5f6f7f8f9",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            (0x00..0x50).map(|byte| format!("{byte:02x}")).collect(),
            "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f90919293949596979899\
             9a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
            "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9\
             eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b83677\
             93a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            "0b".repeat(22),
            "",
            "",
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ] {
        let mut out = vec![0; bytes(expected).len()];
        expand(&bytes(salt), &bytes(&key), &bytes(context), &mut out).unwrap();
        assert_eq!(out, bytes(expected));
    }
    assert_eq!(expand(b"", b"", b"", &mut vec![0; 255 * 32 + 1]), None);
}

/// Points of small order and other writings of points; forged signatures that fit them under a lax verifier.
#[test]
fn deny_public_halves_that_are_nobodys() {
    for (public, what) in [
        ("0100000000000000000000000000000000000000000000000000000000000000", "the neutral element"),
        ("0000000000000000000000000000000000000000000000000000000000000000", "order 4"),
        ("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "order 2"),
        ("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "order 8"),
        ("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "order 8, the other"),
        ("0100000000000000000000000000000000000000000000000000000000000080", "minus zero"),
        ("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "y = p + 1"),
        ("f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "y = p + 3"),
        ("f1ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "y = p + 4"),
        ("0200000000000000000000000000000000000000000000000000000000000000", "no point of the curve"),
        ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f70751", "31 bytes"),
        ("", "nothing"),
    ] {
        // R = A, S = 0: under the neutral element that fits every message.
        let forged = [bytes(public), vec![0; 32]].concat();
        let answer = verify_public(KeyKind::Ed25519, &bytes(public), b"any", &forged);
        assert!(matches!(answer, Err(KeyError::Invalid { .. })), "{what}: {answer:?}");
    }
    let good = SoftwareKeys.generate(KeyKind::EcdsaP256, "").unwrap().public.unwrap();
    let mut off = good.clone();
    off[64] ^= 1;
    let compressed = [&[2 + (good[64] & 1)][..], &good[1..33]].concat();
    for (public, what) in [
        (off, "not on the curve"),
        (compressed, "compressed"),
        (vec![0], "the point at infinity"),
        (vec![], "nothing"),
        (vec![4; 65], "a pattern"),
    ] {
        let answer = verify_public(KeyKind::EcdsaP256, &public, b"any", &[1; 64]);
        assert!(matches!(answer, Err(KeyError::Invalid { .. })), "{what}: {answer:?}");
    }
}

#[test]
fn deny_signatures_that_are_not_the_one_form() {
    let key = SoftwareKeys.generate(KeyKind::Ed25519, "").unwrap();
    let public = key.public.clone().unwrap();
    let good = SoftwareKeys.sign(&key, b"message").unwrap();
    // The order of the group, little-endian: S + L fits the equation too.
    let order = bytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    let mut malleated = good.clone();
    for (byte, add) in malleated[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
    let mut high = good.clone();
    high[63] |= 0xe0;
    for (signature, what) in [
        (malleated, "S plus the order"),
        (high, "S with its highest bits set"),
        (good[..63].to_vec(), "63 bytes"),
        ([&good[..], &[0]].concat(), "65 bytes"),
        (vec![0; 64], "zeros"),
        (vec![], "nothing"),
    ] {
        assert!(!verify_public(KeyKind::Ed25519, &public, b"message", &signature).unwrap(), "{what}");
    }
    let key = SoftwareKeys.generate(KeyKind::EcdsaP256, "").unwrap();
    let public = key.public.clone().unwrap();
    let good = SoftwareKeys.sign(&key, b"message").unwrap();
    let order = bytes("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    for (signature, what) in [
        ([&[0; 32][..], &good[32..]].concat(), "r = 0"),
        ([&good[..32], &[0; 32]].concat(), "s = 0"),
        ([&order[..], &good[32..]].concat(), "r = n"),
        ([&good[..32], &order].concat(), "s = n"),
        (vec![0; 64], "zeros"),
        (good[..63].to_vec(), "63 bytes"),
        (vec![], "nothing"),
    ] {
        assert!(!verify_public(KeyKind::EcdsaP256, &public, b"message", &signature).unwrap(), "{what}");
    }
    let key = SoftwareKeys.generate(KeyKind::HmacSha256, "").unwrap();
    let good = SoftwareKeys.sign(&key, b"message").unwrap();
    for length in [0, 1, 16, 31] {
        assert!(!SoftwareKeys.verify(&key, b"message", &good[..length]).unwrap(), "a MAC cut to {length} bytes");
    }
    assert!(!SoftwareKeys.verify(&key, b"message", &[&good[..], &[0]].concat()).unwrap());
}

#[test]
fn deny_what_is_no_private_half() {
    for kind in KeyKind::ALL {
        for private in [vec![], vec![0; 32], vec![7; 31], vec![7; 33]] {
            let private = Locked::copy_of(&private).unwrap();
            let key = KeyHandle { kind, public: None, private };
            for failed in [
                SoftwareKeys.sign(&key, b"m").err(),
                SoftwareKeys.verify(&key, b"m", &[0; 64]).err(),
                SoftwareKeys.derive(&key, b"c").err(),
            ] {
                assert!(matches!(failed, Some(KeyError::Invalid { .. } | KeyError::Unsupported { .. })), "{kind}");
            }
        }
    }
    // Larger than the order of the curve.
    let private = Locked::copy_of(&[0xff; 32]).unwrap();
    let key = KeyHandle { kind: KeyKind::EcdsaP256, public: None, private };
    assert!(matches!(SoftwareKeys.sign(&key, b"m"), Err(KeyError::Invalid { .. })));
}

#[test]
fn derived_keys_differ_by_key_and_context() {
    let (one, two) = (handle(KeyKind::HmacSha256, &[1; 32]), handle(KeyKind::HmacSha256, &[2; 32]));
    let derive = |key, context: &[u8]| SoftwareKeys.derive(key, context).unwrap();
    assert!(derive(&one, b"tokens").equals(derive(&one, b"tokens").expose()));
    assert!(!derive(&one, b"tokens").equals(derive(&one, b"token").expose()));
    assert!(!derive(&one, b"tokens").equals(derive(&two, b"tokens").expose()));
    for context in [&b""[..], &[b'x'; CONTEXT_MAX + 1]] {
        assert!(matches!(SoftwareKeys.derive(&one, context), Err(KeyError::Broken { .. })));
    }
    for kind in [KeyKind::Ed25519, KeyKind::EcdsaP256] {
        let key = SoftwareKeys.generate(kind, "").unwrap();
        assert!(matches!(SoftwareKeys.derive(&key, b"c"), Err(KeyError::Unsupported { .. })));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn deny_what_was_not_signed_by_this_key(
        kind in prop::sample::select(KeyKind::ALL.to_vec()),
        message in prop::collection::vec(any::<u8>(), 0..300),
        (at, bit) in (any::<prop::sample::Index>(), 0..8u8),
    ) {
        let (key, other) =
            (SoftwareKeys.generate(kind, "a").unwrap(), SoftwareKeys.generate(kind, "b").unwrap());
        let signature = SoftwareKeys.sign(&key, &message).unwrap();
        prop_assert!(SoftwareKeys.verify(&key, &message, &signature).unwrap());
        prop_assert!(!SoftwareKeys.verify(&other, &message, &signature).unwrap());
        let mut flipped = signature.clone();
        let position = at.index(flipped.len());
        flipped[position] ^= 1 << bit;
        prop_assert!(!SoftwareKeys.verify(&key, &message, &flipped).unwrap());
        let mut longer = message.clone();
        longer.push(0);
        prop_assert!(!SoftwareKeys.verify(&key, &longer, &signature).unwrap());
        if !message.is_empty() {
            let mut other = message.clone();
            let position = at.index(other.len());
            other[position] ^= 1 << bit;
            prop_assert!(!SoftwareKeys.verify(&key, &other, &signature).unwrap());
        }
    }
}
