// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cost of a ruling, beside its budget: a tool call 1 µs, a typical command line 3 µs, a 10 KiB script 200 µs.
#![expect(clippy::expect_used, reason = "a bench that cannot be set up has no result")]

use std::hint::black_box;
use std::path::PathBuf;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringfort_core::action::{Action, Command, Egress, PathAccess, PathOp, ToolCall};
use ringfort_core::principal::Principal;
use ringfort_core::request::{Provenance, Request};
use ringfort_core::text::Text;
use ringfort_policy::config::Config;
use ringfort_policy::rule::Policy;
use serde_json::json;

fn request(action: Action) -> Request {
    Request {
        principal: Principal::try_user("ada").expect("a plain name"),
        action,
        session: "s".to_owned(),
        cwd: PathBuf::from("/home/ada/project"),
        workspace: PathBuf::from("/home/ada/project"),
        home: Some(PathBuf::from("/home/ada")),
        provenance: Provenance::Agent,
        bindings: Vec::new(),
    }
}

fn decide(criterion: &mut Criterion) {
    let policy = Policy::from_config(&Config::default());
    let tool = |name: &str, arguments| Action::Tool(ToolCall { name: name.to_owned(), arguments });
    let shell = |text: &str| Action::Command(Command::Shell(Text::from(text)));
    let script = "if [ -f a.txt ]; then grep -n \"$1\" a.txt | sort -u > out.txt; fi\n".repeat(160);
    for (name, action) in [
        ("tool read", tool("Read", json!({"file_path": "src/main.rs"}))),
        ("tool write denied", tool("Write", json!({"file_path": "/etc/passwd", "content": "x"}))),
        ("tool unknown", tool("mcp__server__call", json!({"x": 1}))),
        ("path", Action::Path(PathAccess { path: Text::from("src/main.rs"), op: PathOp::Write })),
        ("url", Action::Egress(Egress { url: "https://example.com/x".to_owned(), method: None, program: None })),
        ("ls -la", shell("ls -la")),
        ("git status", shell("git status")),
        ("npm test", shell("npm test")),
        ("pipeline of four", shell("cat src/main.rs | grep fn | sort | uniq -c")),
        ("script of 10 KiB", shell(&script)),
    ] {
        let request = request(action);
        criterion.bench_function(name, |bencher| bencher.iter(|| policy.decide(black_box(&request))));
    }
}

/// The whole ruling on ever longer scripts: twice the length may cost twice the time, and no more.
fn growth(criterion: &mut Criterion) {
    let policy = Policy::from_config(&Config::default());
    let line = "if [ -f a.txt ]; then grep -n \"$1\" a.txt | sort -u > out.txt; fi\n";
    let mut group = criterion.benchmark_group("growth");
    group.sample_size(10);
    for kib in [64_usize, 256, 1024] {
        let text = line.repeat((kib << 10) / line.len());
        group.throughput(Throughput::Bytes(text.len() as u64));
        let request = request(Action::Command(Command::Shell(Text::from(text.as_str()))));
        group.bench_with_input(BenchmarkId::from_parameter(kib), &request, |bencher, request| {
            bencher.iter(|| policy.decide(black_box(request)));
        });
    }
    group.finish();
}

criterion_group!(benches, decide, growth);
criterion_main!(benches);
