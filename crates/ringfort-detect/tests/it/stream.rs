// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams: any cut gives the same output, little is held back, memory does not grow.

use proptest::prelude::*;
use ringfort_detect::{HOLD_BYTES_MAX, Redactor, redact, scan};

/// Redacts `text` in the given pieces; also returns the most that was held back.
fn streamed(text: &[u8], mut size: impl FnMut() -> usize) -> (Vec<u8>, usize) {
    let (mut out, mut held, mut rest) = (Vec::new(), 0, text);
    let mut redactor = Redactor::new();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(size().clamp(1, rest.len()));
        redactor.push(piece, &mut |part| out.extend_from_slice(part.as_bytes()));
        held = held.max(redactor.held_bytes());
        rest = after;
    }
    let summary = redactor.finish(&mut |part| out.extend_from_slice(part.as_bytes()));
    assert_eq!(summary.findings, scan(text));
    (out, held)
}

/// Text in which secrets, their surroundings and their look-alikes touch each other.
fn fragments() -> Vec<String> {
    let key = ["-----BEGIN PRI", "VATE KEY-----"].concat();
    let end = ["-----END PRI", "VATE KEY-----"].concat();
    [
        "token=",
        "\"token\": \"",
        "\"",
        "\n",
        " ",
        "password: ",
        "q7zk2mpx9lw4",
        "hunter2go",
        "Authorization: Bearer ",
        "https://u:",
        "p4ss@host/",
        "ghp_",
        "FAKE0FAKE1FAKE2FAKE3FAKE4FAKE5FAKE6x",
        "secret",
        "=",
        ":",
        "ä",
        "€uro",
        "\r\n",
        "MIIEfakeFAKE0123MIIEfakeFAKE0123MIIEfakeFAKE0123",
        "\\n",
        "plain words here ",
        "key",
        "API_KEY=",
        "'",
        ",",
        ";",
        "eyJhbGciOiJmYWtlIn0.eyJmYWtlIjoiZmFrZSJ9.c2lnbmF0dXJl",
        "Cookie: a=",
        "12345678",
        "--password ",
        "sk-ant-api03-",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([key, end, "abcd0123".repeat(300), "x".repeat(1500)])
    .collect()
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(fragments()), 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn redact_is_the_same_for_any_cut(text in text(), sizes in prop::collection::vec(1_usize..200, 1..20)) {
        let mut sizes = sizes.into_iter().cycle();
        let (out, held) = streamed(text.as_bytes(), || sizes.next().unwrap_or(1));
        let whole = redact(text.as_bytes());
        prop_assert_eq!(String::from_utf8_lossy(&out), whole.to_lossy());
        prop_assert!(held <= HOLD_BYTES_MAX, "held back {}", held);
    }

    #[test]
    fn redact_is_the_same_byte_by_byte(text in text()) {
        let (out, _) = streamed(text.as_bytes(), || 1);
        prop_assert_eq!(out, redact(text.as_bytes()).into_inner());
    }

    #[test]
    fn redact_keeps_utf8_valid(text in text()) {
        prop_assert!(std::str::from_utf8(redact(text.as_bytes()).as_bytes()).is_ok());
    }

    #[test]
    fn redact_again_finds_no_more_of_the_values(value in "[a-z]{3}[0-9]{4}[A-Za-z0-9]{5,30}", before in text(), after in text()) {
        let text = format!("{before}\ntoken=\"{value}\"\n{after}");
        let out = redact(text.as_bytes()).into_inner();
        prop_assert!(memchr::memmem::find(&out, value.as_bytes()).is_none());
    }
}

#[test]
fn redact_passes_a_line_without_a_candidate_on_at_once() {
    let mut redactor = Redactor::new();
    for line in ["building\n", "ok 1 - parses the token list\n", "done in 3 s\r\n"] {
        let mut out = Vec::new();
        redactor.push(line.as_bytes(), &mut |part| out.extend_from_slice(part.as_bytes()));
        assert_eq!(String::from_utf8_lossy(&out), line);
        assert_eq!(redactor.held_bytes(), 0);
    }
}

#[test]
fn redact_lets_a_prompt_go_when_the_source_pauses() {
    for (text, expected) in [
        ("Password: ", "Password: "),
        ("Continue? [y/N] ", "Continue? [y/N] "),
        ("50 % done\r", "50 % done\r"),
        ("use token=q7zk2mpx9lw4 now? ", "use token=q7zk*[REDACTED] now? "),
        ("is this token the right one? ", "is this token the right one? "),
        ("The token: is it ready? [y/N] ", "The token: is it ready? [y/N] "),
        ("your token=q7zk2m", "your token="),
        ("ghp_FAKE0FAKE", ""),
        ("abc gh", "abc "),
    ] {
        let mut out = Vec::new();
        let mut redactor = Redactor::new();
        redactor.push(text.as_bytes(), &mut |part| out.extend_from_slice(part.as_bytes()));
        redactor.flush_idle(&mut |part| out.extend_from_slice(part.as_bytes()));
        assert_eq!(String::from_utf8_lossy(&out), expected, "of `{text}`");
    }
}

#[test]
fn redact_hides_a_secret_across_pauses() {
    let token = ["gh", "p_", "FAKE0FAKE1FAKE2FAKE3FAKE4FAKE5FAKE6x"].concat();
    for text in [format!("token={token} x\n"), format!("see {token} x\n"), "password: hunter2hunter\n".to_owned()] {
        let whole = redact(text.as_bytes()).into_inner();
        for at in 0..text.len() {
            let mut out = Vec::new();
            let mut sink = |part: ringfort_detect::Redacted<&[u8]>| out.extend_from_slice(part.as_bytes());
            let mut redactor = Redactor::new();
            redactor.push(&text.as_bytes()[..at], &mut sink);
            redactor.flush_idle(&mut sink);
            redactor.push(&text.as_bytes()[at..], &mut sink);
            redactor.finish(&mut sink);
            assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&whole), "pause at {at} of `{text}`");
        }
    }
}

#[test]
fn redact_streams_in_constant_memory() {
    let line = "2024-01-31 12:00:00 INFO request 4711 served, token=q7zk2mpx9lw4 for user 12\n";
    let block = line.repeat(800);
    let blob = vec![b'x'; 64 << 10];
    let (mut redactor, mut total, mut largest) = (Redactor::new(), 0, 0);
    let mut fed = 0;
    while fed < 32 << 20 {
        for piece in [block.as_bytes(), &blob] {
            redactor.push(piece, &mut |part| {
                total += part.as_bytes().len();
                largest = largest.max(part.as_bytes().len());
            });
            assert!(redactor.held_bytes() <= HOLD_BYTES_MAX);
            assert!(redactor.memory_bytes() < 2 << 20, "{} bytes after {fed}", redactor.memory_bytes());
            fed += piece.len();
        }
    }
    let expected = redactor.finish(&mut |part| total += part.as_bytes().len()).count;
    assert_eq!(expected as usize, fed / (block.len() + blob.len()) * 800);
    assert!(largest < 256 << 10 && total > fed);
}
