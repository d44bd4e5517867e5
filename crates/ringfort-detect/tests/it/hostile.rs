// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hostile input: no panic, no lost byte, no quadratic time.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use ringfort_detect::{Redactor, redact};

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn redact_survives_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..4096), cut in 1_usize..97) {
        let mut out = Vec::new();
        let mut redactor = Redactor::new();
        for piece in bytes.chunks(cut) {
            redactor.push(piece, &mut |part| out.extend_from_slice(part.as_bytes()));
        }
        redactor.finish(&mut |part| out.extend_from_slice(part.as_bytes()));
        prop_assert_eq!(out, redact(&bytes).into_inner());
    }

    #[test]
    fn redact_survives_bytes_around_keywords(
        parts in prop::collection::vec((prop::sample::select(vec![
            "token", "\"token\":", "passw", "://", "key", "_key=", "cookie:", "bearer ", "private key-----", "\\", "\"", "'",
            "\x1b[", "=", "\n", "authorization", "credential", "eyj", "xox", "sk-",
        ]), prop::collection::vec(any::<u8>(), 0..12)), 0..60),
    ) {
        let bytes: Vec<u8> = parts.into_iter().flat_map(|(word, noise)| [word.as_bytes().to_vec(), noise].concat()).collect();
        let mut out = Vec::new();
        let mut redactor = Redactor::new();
        for piece in bytes.chunks(7) {
            redactor.push(piece, &mut |part| out.extend_from_slice(part.as_bytes()));
        }
        redactor.finish(&mut |part| out.extend_from_slice(part.as_bytes()));
        prop_assert_eq!(out, redact(&bytes).into_inner());
    }
}

#[test]
fn redact_takes_linear_time_on_hostile_text() {
    let header = ["-----BEGIN PRI", "VATE KEY-----\n"].concat();
    for pattern in [
        "token",
        "token=",
        "\"token\": \"",
        "key=a",
        "://a:",
        "cookie:a=",
        "eyJ",
        "eyJa.",
        "sk-",
        "bearer ",
        "password: \\\\\\",
        "\x1b[",
        "://",
        "_key=\x1b[0m",
        "token=token:",
        "xoxb-1-",
        &header,
        "@",
        "AKIA",
        "private key-----BEGIN ",
    ] {
        let text = pattern.repeat((1 << 17) / pattern.len());
        let start = Instant::now();
        let out = redact(text.as_bytes());
        // A quadratic step would take minutes here; the bound is wide because debug builds on shared machines are slow.
        assert!(start.elapsed() < Duration::from_secs(10), "`{pattern}` took {:?}", start.elapsed());
        assert!(!out.as_bytes().is_empty());
    }
}
