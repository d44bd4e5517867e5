// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;

/// The public half of RFC 8032's first test.
const PUBLIC: [u8; 32] = [
    0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72,
    0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a,
];

#[test]
fn ed25519_in_every_form() {
    for (form, expected) in [
        (Form::Raw, "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
        (Form::OpenSsh, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea trail"),
        (
            Form::Pem,
            "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC \
             KEY-----\n",
        ),
        (Form::Note, "trail+99b45228+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"),
    ] {
        assert_eq!(write(form, "trail", KeyKind::Ed25519, &PUBLIC).unwrap(), expected, "{form:?}");
    }
}

/// The published verifier key of the Go checksum database.
#[test]
fn verifier_keys_are_those_of_signed_notes() {
    let published = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let key = BASE64_STANDARD.decode(published.splitn(3, '+').nth(2).unwrap()).unwrap();
    assert_eq!(write(Form::Note, "sum.golang.org", KeyKind::Ed25519, &key[1..]).unwrap(), published);
    for name in ["", "a+b", "a b", "a\u{a0}b"] {
        assert!(write(Form::Note, name, KeyKind::Ed25519, &PUBLIC).is_err(), "{name:?}");
    }
}

#[test]
fn p256_has_every_form_but_that_of_notes() {
    let key = super::super::KeyProvider::generate(&software::SoftwareKeys, KeyKind::EcdsaP256, "").unwrap();
    let public = key.public.unwrap();
    for (form, head) in [
        (Form::Raw, "B"),
        (Form::OpenSsh, "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBB"),
        (Form::Pem, "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"),
    ] {
        let written = write(form, "k", KeyKind::EcdsaP256, &public).unwrap();
        assert!(written.starts_with(head), "{form:?}: {written}");
    }
    assert!(matches!(write(Form::Note, "k", KeyKind::EcdsaP256, &public), Err(KeyError::Unsupported { .. })));
}

#[test]
fn deny_forms_of_what_is_no_public_half() {
    for form in [Form::Raw, Form::OpenSsh, Form::Pem, Form::Note] {
        for (kind, public) in [
            (KeyKind::Ed25519, &PUBLIC[..31]),
            (KeyKind::Ed25519, &[0; 32]),
            (KeyKind::EcdsaP256, &PUBLIC[..]),
            (KeyKind::HmacSha256, &PUBLIC[..]),
            (KeyKind::HmacSha256, &[]),
        ] {
            assert!(write(form, "k", kind, public).is_err(), "{form:?} {kind}");
            assert!(fingerprint(kind, public).is_err(), "{kind}");
        }
    }
}
