// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the stub. A judge may only be made by a process with one thread, which a test harness is not: what needs
//! one is started in a process of its own, see `tests/it/stub.rs`.

use super::*;

fn frame(status: u8, stdout: &[u8], stderr: &[u8]) -> Vec<u8> {
    let length = |stream: &[u8]| u32::try_from(stream.len()).unwrap().to_be_bytes();
    [MARK, &[status], &length(stdout), &length(stderr), stdout, stderr, END].concat()
}

#[test]
fn a_whole_answer_is_read_back() {
    for (status, stdout, stderr) in [(0, &b""[..], &b""[..]), (2, b"{}\n", b"no\n"), (0, b"\nend\n", MARK)] {
        let bytes = frame(status, stdout, stderr);
        assert_eq!(parse(&bytes), Some(Said { stdout, stderr, status }));
    }
}

#[test]
fn deny_an_answer_that_is_cut_or_goes_on() {
    let whole = frame(0, b"{\"a\":1}", b"why");
    for end in 0..whole.len() {
        assert_eq!(parse(&whole[..end]), None, "cut at {end}");
    }
    for more in [&b"\0"[..], b"\n", END, &whole] {
        assert_eq!(parse(&[&whole, more].concat()), None);
    }
    let mut long = whole;
    long[MARK.len() + 4] += 1;
    assert_eq!(parse(&long), None, "a length that lies");
}

#[test]
fn deny_a_copy_of_a_process_with_threads() {
    let other = std::thread::spawn(std::thread::park);
    let mut buffer = vec![0; BUFFER_BYTES];
    let answer = judge(&mut buffer, Duration::from_secs(1), |_judge| ());
    assert!(matches!(answer, Err(NoAnswer::System(_))), "{answer:?}");
    other.thread().unpark();
    other.join().unwrap();
}
