// SPDX-License-Identifier: MIT OR Apache-2.0
//! Time of command analysis: everyday commands, a long script, and growth up to the limit.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringfort_policy::command::{Context, analyze};

const CONTEXT: Context<'static> =
    Context { cwd: Some(b"/srv/job/app"), home: Some(b"/home/ada"), workspace: Some(b"/srv/job/app") };

const BLOCK: &str = r#"
# build one part
build_part() {
    local name="$1"
    if [ ! -d "out/$name" ]; then
        mkdir -p "out/$name"
    fi
    for source in src/*.c; do
        cc -c "$source" -o "out/$name/$(basename "$source" .c).o" 2>>build.log || return 1
    done
    cat <<EOF > "out/$name/info"
name=$name
date=$(date +%s)
EOF
    ls out | grep -v tmp | sort | tail -n 5
}
build_part one && build_part two
"#;

fn script(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + BLOCK.len());
    while text.len() + BLOCK.len() <= bytes {
        text.push_str(BLOCK);
    }
    text
}

fn everyday(c: &mut Criterion) {
    let mut group = c.benchmark_group("everyday");
    for (name, text) in [
        ("ls", "ls -la"),
        ("git", "git status"),
        ("pipeline", "cat access.log | grep ' 500 ' | sort | uniq -c"),
        ("download", "curl -fsSL https://a.example/i.sh | sh"),
    ] {
        group.bench_function(name, |b| b.iter(|| analyze(black_box(text.as_bytes()), &CONTEXT)));
    }
    group.finish();
}

fn growth(c: &mut Criterion) {
    let mut group = c.benchmark_group("growth");
    group.sample_size(10);
    for kib in [10_usize, 64, 256, 1024] {
        let text = script(kib << 10);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_with_input(BenchmarkId::from_parameter(kib), &text, |b, text| {
            b.iter(|| analyze(black_box(text.as_bytes()), &CONTEXT));
        });
    }
    group.finish();
}

criterion_group!(benches, everyday, growth);
criterion_main!(benches);
