// SPDX-License-Identifier: MIT OR Apache-2.0

use std::io::{Read as _, Write as _};

use proptest::prelude::*;

use super::*;

/// Made by `age-keygen` 1.1.1, for these tests only.
const IDENTITY: &str = "AGE-SECRET-KEY-1PK80WZ9EV0JG99ENDLNJ24P4R6WYNHY4GGKEDTQ8RNC5DGH5P8CSHAZE9F";
const RECIPIENT: &str = "age1t3nz3cm7c3253k97nn68r7zqmywk62fdpx3ta5e7aq6wrkds3u6qsnecu7";
/// `hello age`, written by `age` 1.1.1 for that key.
const FOREIGN: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBVZjZkZXJIajhjVTFBUDVtRTg2VzdCeS9aZG11U0NmSGZyOUxlbzRGdUVjCjZzOS9tN003ajVrVGFnUzVKSFhwSW4xMTNmMXZQZTdNOVFYRFlkbm5NQU0KLS0tIE41WkZOeFhHUFJTMEh3Z1VQWkEzeHpqOW1SS3JmTHYzdjg4TjJ0eTlsZHcKeM6WPvRW7RCv73mxO4vfT7wZx5nFxsRfoRykAuRtF1gGVs3A1FDTEefr";
const ARMOURED: &str = "-----BEGIN AGE ENCRYPTED FILE-----
YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSA4a0Y5KytObkpQdzVLTHJs
bldCYlhoa0U1SEdISGlHazQxT0cvV0czSEI0CjRsZXJ2a2lFVzVVbWk2TXowV1VW
Q05lQzYrQmlRdWRXNW1tb0pUQmxwZm8KLS0tIGhTOVdSMlF6TnZyQ1lBaFZzcEZr
R3V6bDYrVkVkaEtweXlkcWMvV05LRTQK+F9yIhwU+cyzTwJbjJwCuO3jO2YE0h+s
NZaCvQ/ynXSm4IiDTBRVR6xb
-----END AGE ENCRYPTED FILE-----
";
/// Little work, so that tests are quick.
const LITTLE: u8 = 10;

fn identity() -> With {
    With::Identities(vec![Identity::parse(IDENTITY).unwrap()])
}

fn passphrase(text: &str) -> Locked {
    Locked::copy_of(text.as_bytes()).unwrap()
}

fn foreign() -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(FOREIGN).unwrap()
}

fn sealed(to: &To, plain: &[u8]) -> Vec<u8> {
    let mut writer = encrypt_as(to, Vec::new(), LITTLE).unwrap();
    writer.write_all(plain).unwrap();
    writer.finish().unwrap()
}

fn to_identity() -> To {
    To::Recipients(vec![RECIPIENT.parse().unwrap()])
}

fn opened(file: &[u8], with: &With) -> Result<Vec<u8>, AgeError> {
    Ok(decrypt(file, with)?.whole(1 << 20)?.expose().to_vec())
}

#[test]
fn keys_are_read_as_age_writes_them() {
    assert_eq!(Identity::parse(IDENTITY).unwrap().recipient(), RECIPIENT.parse().unwrap());
    assert_eq!(Identity::parse_file(&format!("# a key\n\n{IDENTITY}\r\n")).unwrap().len(), 1);
    assert!(format!("{:?}", Identity::parse(IDENTITY).unwrap()).contains("secret: [secret]"));
}

#[test]
fn deny_keys_that_are_none() {
    let flipped = RECIPIENT.replace("3nz3", "3nz4");
    for (text, expected) in [
        ("", "no prefix"),
        (&flipped[..], "wrong or missing"),
        (&RECIPIENT[..61], "wrong or missing"),
        (&RECIPIENT.to_uppercase(), "one case"),
        ("age1pq1qqqq", "only X25519"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ ada@host", "only X25519"),
        ("age1yubikey1qqqq", "prefix is another"),
        ("age1bad!", "cut short"),
        ("age1qqqqqq", "wrong or missing"),
        (&format!("age1{}", "q".repeat(300)), "too long"),
    ] {
        let error = text.parse::<Recipient>().unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    for text in ["", RECIPIENT, &IDENTITY.to_lowercase(), &IDENTITY[..70], &IDENTITY.replace("PK80", "PK81")] {
        let error = Identity::parse(text).unwrap_err().to_string();
        assert!(!error.contains("PK8"), "a key is not shown: {error}");
    }
    assert!(Identity::parse_file("# none\n").is_err());
}

#[test]
fn what_age_wrote_is_read() {
    for file in [foreign(), ARMOURED.into(), ARMOURED.replace('\n', "\r\n").into()] {
        assert_eq!(opened(&file, &identity()).unwrap(), b"hello age\n");
    }
}

#[test]
fn deny_files_for_somebody_else() {
    let other = Identity { secret: Locked::copy_of(&[7; KEY_LEN]).unwrap(), public: [0; KEY_LEN] };
    let other = Identity { public: header::public_of(&other.secret).unwrap(), ..other };
    let to = To::Recipients(vec![other.recipient()]);
    for (file, with, expected) in [
        (sealed(&to, b"x"), identity(), "it is for a key of `age-keygen`"),
        (foreign(), With::Passphrase(passphrase("x")), "it is for a key of `age-keygen`"),
        (sealed(&To::Passphrase(passphrase("x")), b"x"), identity(), "it is for a passphrase"),
        (sealed(&To::Passphrase(passphrase("x")), b"x"), With::Passphrase(passphrase("y")), "passphrase is another"),
    ] {
        let error = opened(&file, &with).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let both = To::Recipients(vec![other.recipient(), RECIPIENT.parse().unwrap()]);
    assert_eq!(opened(&sealed(&both, b"x"), &identity()).unwrap(), b"x");
}

#[test]
fn deny_recipients_that_nobody_can_be() {
    for recipients in [vec![], vec![RECIPIENT.parse().unwrap(); RECIPIENTS_MAX + 1], vec![Recipient([0; KEY_LEN])]] {
        assert!(encrypt(&To::Recipients(recipients), Vec::new()).is_err());
    }
}

#[test]
fn deny_every_change_of_a_file() {
    let file = sealed(&to_identity(), b"hello");
    for place in 0..file.len() {
        let mut changed = file.clone();
        changed[place] ^= 1;
        assert!(opened(&changed, &identity()).is_err(), "byte {place}");
        assert!(opened(&file[..place], &identity()).is_err(), "cut at {place}");
    }
    assert!(opened(&[&file[..], b"x"].concat(), &identity()).is_err());
    assert_eq!(opened(&file, &identity()).unwrap(), b"hello");
}

#[test]
fn deny_headers_that_are_not_understood() {
    let file = String::from_utf8_lossy(&sealed(&to_identity(), b"")).into_owned();
    let lines: Vec<&str> = file.splitn(5, '\n').collect();
    let with = |line: usize, text: &str| {
        let mut lines = lines.clone();
        lines[line] = text;
        lines.join("\n")
    };
    for (text, expected) in [
        (String::new(), "does not end"),
        ("hello\n".to_owned(), "does not begin"),
        (with(0, "age-encryption.org/v2"), "another version"),
        (with(1, "-> "), "not understood"),
        (with(1, "-> X25519  a"), "not understood"),
        (with(1, "-> X25519"), "X25519 parts"),
        (with(1, "-> X25519 AAAA"), "X25519 parts"),
        (with(1, &format!("-> X25519 {}", "A".repeat(43))), "X25519 parts"),
        (with(1, "-> other"), "a `other` key"),
        (with(2, "AAAA"), "wrong length"),
        (with(2, "*"), "no base64"),
        (with(2, &"A".repeat(65)), "too long"),
        (with(3, "--- AAAA"), "without a MAC"),
        ("age-encryption.org/v1\n--- AAAA\n".to_owned(), "without a MAC"),
        (format!("age-encryption.org/v1\n{}", "-> x\n\n".repeat(70)), "too many"),
        ("x".repeat(HEADER_BYTES_MAX + 9), "does not end"),
        (format!("{}\n-> scrypt AAAA 10\n\n{}", lines[0], lines[1..].join("\n")), "beside other"),
        (ARMOURED.replace("NZaC", "NZa"), "armour"),
        (ARMOURED.replace("-----BEGIN AGE ENCRYPTED FILE-----\n", "-----BEGIN AGE ENCRYPTED FILE-----"), "armour"),
        (ARMOURED.replace("-----END AGE", "-----END OF"), "armour"),
    ] {
        let error = opened(text.as_bytes(), &identity()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn deny_more_work_than_is_done_for_a_file() {
    for work in ["0", "09", "+9", "5", "19", "63", "255", "256", "99999999999999999999", "x", ""] {
        let file = format!(
            "age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA {work}\n{}\n--- {}\n",
            "A".repeat(43),
            "A".repeat(43)
        );
        let error = opened(file.as_bytes(), &With::Passphrase(passphrase("x"))).unwrap_err();
        assert!(matches!(error, AgeError::Work(_) | AgeError::Malformed { .. }), "{work}: {error}");
    }
}

#[test]
fn chunks_of_every_length_come_back() {
    const CHUNK: usize = 64 << 10;
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7] {
        let plain: Vec<u8> = (0..length).map(|place| u8::try_from(place % 251).unwrap()).collect();
        let file = sealed(&To::Passphrase(passphrase("x")), &plain);
        let with = With::Passphrase(passphrase("x"));
        assert_eq!(opened(&file, &with).unwrap(), plain, "{length}");
        let mut read = Vec::new();
        decrypt(&file, &with).unwrap().read_to_end(&mut read).unwrap();
        assert_eq!(read, plain, "{length}");
        // Cut at the end of a chunk: the last one that is left is not marked as the last.
        for cut in [CHUNK + 16, 2 * (CHUNK + 16)].map(|end| file.len().saturating_sub(end)) {
            if length > CHUNK && cut > 200 {
                assert!(opened(&file[..cut], &with).is_err(), "{length} cut at {cut}");
            }
        }
        assert!(
            matches!(decrypt(&file, &with).unwrap().whole(length.saturating_sub(1)), Err(AgeError::Malformed { .. }))
                || length == 0
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn deny_random_files(bytes in prop::collection::vec(any::<u8>(), 0..400), text in "(age-encryption.org/v1\n)?(-> [a-zX]{1,6}( [A-Za-z0-9]{0,43}){0,2}\n[A-Za-z0-9/+]{0,64}\n){0,3}(--- [A-Za-z]{0,43}\n)?") {
        prop_assert!(opened(&bytes, &identity()).is_err());
        prop_assert!(opened(text.as_bytes(), &identity()).is_err());
    }
}
