// SPDX-License-Identifier: MIT OR Apache-2.0
//! What start-up files cost on the path of every run: the plan before it, the settlement after it.

#![expect(clippy::unwrap_used, reason = "a bench")]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ringfort_sandbox::startup::{Enforcement, plan, settle};
use std::fs;
use std::path::Path;

/// A repository with `folders` folders of ten files, the samples of git's template, and an editor's settings.
fn workspace(base: &Path, folders: usize) {
    for path in [".git/objects", ".git/refs", ".git/info", ".git/hooks", ".git/logs", ".vscode", ".cargo"] {
        fs::create_dir_all(base.join(path)).unwrap();
    }
    fs::write(base.join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
    fs::write(base.join(".git/config"), "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = https://a.example/b\n")
        .unwrap();
    fs::write(base.join(".vscode/settings.json"), "{}").unwrap();
    fs::write(base.join(".cargo/config.toml"), "").unwrap();
    for sample in 0..14 {
        fs::write(base.join(format!(".git/hooks/hook-{sample}.sample")), vec![b'x'; 3_000]).unwrap();
    }
    for folder in 0..folders {
        let at = base.join(format!("src{}/part{folder}", folder % 7));
        fs::create_dir_all(&at).unwrap();
        for file in 0..10 {
            fs::write(at.join(format!("file{file}.rs")), "").unwrap();
        }
    }
}

fn cost(c: &mut Criterion) {
    let base = tempfile::tempdir().unwrap();
    let base = base.path().canonicalize().unwrap();
    for folders in [0, 10, 40, 400] {
        let work = base.join(format!("work{folders}"));
        fs::create_dir(&work).unwrap();
        workspace(&work, folders);
        let mut next = 0_u64;
        let mut scratch = || {
            next += 1;
            let at = base.join(format!("scratch-{folders}-{next}"));
            fs::create_dir(&at).unwrap();
            at
        };
        c.bench_function(&format!("plan/{folders} folders"), |b| {
            b.iter_batched(&mut scratch, |scratch| plan(&work, &scratch).unwrap(), BatchSize::PerIteration);
        });
        let made = plan(&work, &scratch()).unwrap();
        c.bench_function(&format!("settle/{folders} folders"), |b| {
            b.iter(|| settle(&made, Enforcement::Mounted, &base.join("quarantine")));
        });
    }
}

criterion_group!(benches, cost);
criterion_main!(benches);
