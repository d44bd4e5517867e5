// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every source file says its licence, and every module what it promises.
//!
//! In: our tree. Out: each file without the SPDX line or, in Rust, without a `//!` header after it.
//!
//! **Invariant:** test data (rows, vectors, samples) is exempt: a header would change what is tested.

use ringfort_testkit::source::SourceFile;

use crate::{assert_found, assert_none, tree};

const SPDX: &str = "SPDX-License-Identifier: MIT OR Apache-2.0";

fn faults(tree: &[SourceFile]) -> Vec<String> {
    tree.iter().filter_map(fault).collect()
}

fn fault(file: &SourceFile) -> Option<String> {
    let path = &file.path;
    let mut lines = file.text.lines();
    let first = lines.next().unwrap_or("");
    if file.is_rust() {
        if first != format!("// {SPDX}") {
            return Some(format!("{path}: the first line is not `// {SPDX}`"));
        }
        if path.ends_with("/tests.rs") {
            return None; // its header is the one of the module it tests
        }
        let header = lines.map(str::trim).find(|line| !line.is_empty() && !line.starts_with("#!["));
        return (!header.is_some_and(|line| line.starts_with("//! ")))
            .then(|| format!("{path}: no module header (`//!`) after the licence"));
    }
    let is_script = first.starts_with("#!");
    let has_licence = if is_script { lines.next() == Some(&format!("# {SPDX}")) } else { first == format!("# {SPDX}") };
    let wants = is_script || path.ends_with(".sh") || (path.ends_with(".toml") && !is_data(path));
    (wants && !has_licence && !is_data(path)).then(|| format!("{path}: no line `# {SPDX}` at its start"))
}

fn is_data(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "corpora" | "vectors" | "fixtures" | "samples"))
}

#[test]
fn every_file_has_its_header() {
    assert!(tree().iter().filter(|file| file.is_rust()).count() > 30);
    assert_none(&faults(tree()));
}

#[test]
fn deny_files_without_header() {
    let rust = format!("// {SPDX}\n#![expect(x)]\n\n//! Header.\n");
    let planted = [
        SourceFile::new("a/good.rs", rust.as_str()),
        SourceFile::new("a/good/tests.rs", format!("// {SPDX}\nuse super::*;\n")),
        SourceFile::new("a/good.toml", format!("# {SPDX}\n")),
        SourceFile::new("a/good", format!("#!/bin/sh\n# {SPDX}\n")),
        SourceFile::new("a/corpora/x.toml", "x = 1\n"),
        SourceFile::new("a/b.md", "# Title\n"),
        SourceFile::new("a/1.rs", "//! Header.\n"),
        SourceFile::new("a/2.rs", format!("// {SPDX}\nuse x;\n//! Late.\n")),
        SourceFile::new("a/3.toml", "x = 1\n"),
        SourceFile::new("a/4", "#!/bin/sh\nset -eu\n"),
        SourceFile::new("a/5.sh", ""),
        SourceFile::new("a/6/tests.rs", "use super::*;\n"),
    ];
    assert_found(
        &faults(&planted),
        &["a/1.rs: the first", "a/2.rs: no module", "a/3.toml", "a/4", "a/5.sh", "a/6/tests.rs"],
    );
}
