// SPDX-License-Identifier: MIT OR Apache-2.0
//! Throughput of redaction on clean, talkative and secret-laden text, beside the automaton alone and `memchr`.

use std::hint::black_box;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringfort_detect::{Redactor, redact, scan};

const BYTES: usize = 8 << 20;

fn fill(lines: &[&str]) -> Vec<u8> {
    lines.iter().cycle().flat_map(|line| line.bytes().chain([b'\n'])).take(BYTES).collect()
}

fn texts() -> [(&'static str, Vec<u8>); 3] {
    let clean = [
        "   Compiling serde v1.0.229",
        "test forms::it_works ... ok",
        "drwxr-xr-x 2 me me 4096 Jan 31 12:00 src/detectors",
        "2024-01-31T12:00:00.123 INFO http server: request finished in 12 ms, status=200 path=/v1/items/4711",
        "The quick brown fox jumps over the lazy dog, and then it does so again for good measure.",
        "    let width = self.columns.iter().map(|column| column.width + 2).sum::<usize>();",
    ];
    let talkative = [
        "    let token = self.tokens.next().ok_or(Error::UnexpectedEnd)?;",
        "match key { Key::Primary(name) => name, _ => return }",
        "// the secret is documented in https://example.com/docs/secret.html",
        "\"keywords\": [\"token\", \"password\", \"key\"],",
    ];
    let secrets = [
        "export API_TOKEN=q7zk2mpx9lw4ab",
        "Authorization: Bearer q7zk2mpx9lw4ab",
        "url: postgres://app:s3cr3tp4ss@db/prod",
    ];
    [
        ("clean", fill(&clean)),
        ("talkative", fill(&[&clean[..], &talkative[..]].concat())),
        ("secrets", fill(&[&clean[..], &secrets[..]].concat())),
    ]
}

fn throughput(criterion: &mut Criterion) {
    let keywords = ["passw", "passphrase", "pwd", "secret", "token", "bearer", "credential", "key", "://", "cookie"];
    let automaton =
        AhoCorasick::builder().ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA)).build(keywords);
    for (name, text) in texts() {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(text.len() as u64)).sample_size(10);
        group.bench_function("scan", |bench| bench.iter(|| scan(black_box(&text)).len()));
        group.bench_function("redact", |bench| bench.iter(|| redact(black_box(&text)).as_bytes().len()));
        group.bench_function("stream of 16 KiB", |bench| {
            bench.iter(|| {
                let (mut total, mut redactor) = (0, Redactor::new());
                for chunk in text.chunks(16 << 10) {
                    redactor.push(chunk, &mut |part| total += part.as_bytes().len());
                }
                redactor.finish(&mut |part| total += part.as_bytes().len());
                total
            });
        });
        if let Ok(automaton) = &automaton {
            group.bench_function("ten keywords alone", |bench| {
                bench.iter(|| automaton.find_iter(black_box(&text)).count())
            });
        }
        group.bench_function("memchr of line breaks", |bench| {
            bench.iter(|| memchr::memchr_iter(b'\n', black_box(&text)).count())
        });
        group.finish();
    }
}

criterion_group!(benches, throughput);
criterion_main!(benches);
