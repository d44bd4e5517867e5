// SPDX-License-Identifier: MIT OR Apache-2.0
//! One file and its place in one list: the list of each extension folder names every file in it.
//!
//! In: our tree. Out: each file that its parent module does not declare, and each extension that its list leaves out.
//!
//! **Invariant:** a file that is not declared is not compiled, one that is not listed never runs; both look like a
//! feature to a reader. Every folder of modules is checked for the first, the folders of extensions for the second.

use ringfort_testkit::source::{SourceFile, code_only};

use crate::{assert_found, assert_none, tree};

/// The folders of which every file is an extension.
const EXTENSIONS: [&str; 11] = [
    "backends",
    "catalogue",
    "checks",
    "commands",
    "detectors",
    "fixes",
    "methods",
    "providers",
    "rules",
    "runtimes",
    "scanners",
];
/// Files in such a folder that are no extension, each with the reason.
const NO_EXTENSIONS: [(&str, &str); 1] =
    [("ringfort-runtime/src/providers/worker.rs", "asks any provider within its deadline")];

fn faults(tree: &[SourceFile]) -> Vec<String> {
    let mut faults = Vec::new();
    for file in tree.iter().filter(|file| file.path.starts_with("crates/")) {
        let Some((folder, name)) = file.path.rsplit_once('/') else { continue };
        if let Some(module) = name.strip_suffix(".rs") {
            faults.extend(module_fault(tree, folder, module));
        } else if name.ends_with(".toml") && is_extension(folder) {
            faults.extend(data_fault(tree, folder, name));
        }
    }
    faults
}

fn is_extension(folder: &str) -> bool {
    let name = folder.rsplit('/').next().unwrap_or("");
    EXTENSIONS.contains(&name) && folder.contains("/ringfort") && !folder.contains("/tests/")
}

/// `foo/x.rs` wants `mod x;` in `foo.rs` and, in a folder of extensions, a place in the list there.
fn module_fault(tree: &[SourceFile], folder: &str, module: &str) -> Option<String> {
    let parents = match folder.rsplit_once('/') {
        _ if matches!(module, "main" | "lib" | "build") => return None,
        Some((_, "benches" | "examples" | "tests" | "bin" | "fuzz_targets")) => return None,
        Some((_, "src")) => vec![format!("{folder}/lib.rs"), format!("{folder}/main.rs")],
        Some((above, _)) if above.ends_with("/tests") || above.ends_with("/bin") => vec![format!("{folder}/main.rs")],
        _ => vec![format!("{folder}.rs")],
    };
    let present: Vec<&SourceFile> = tree.iter().filter(|file| parents.contains(&file.path)).collect();
    let declared = |parent: &&&SourceFile| {
        code_only(&parent.text).lines().any(|line| {
            line.trim()
                .strip_suffix(&format!("mod {module};"))
                .is_some_and(|start| start.is_empty() || start.starts_with("pub ") || start.starts_with("pub("))
        })
    };
    let Some(parent) = present.iter().find(declared) else {
        return Some(format!("{folder}/{module}.rs: not declared in {}", parents.join(" or ")));
    };
    let path = format!("{folder}/{module}.rs");
    let exempt = module == "tests" || NO_EXTENSIONS.iter().any(|(exempt, _)| path.ends_with(exempt));
    let listed = exempt || code_only(parent.production()).contains(&format!("{module}::"));
    (is_extension(folder) && !listed).then(|| format!("{path}: declared in {} but not in its list", parent.path))
}

/// `rules/x.toml` wants its file name in `rules.rs`, beside the folder or in `src`.
fn data_fault(tree: &[SourceFile], folder: &str, name: &str) -> Option<String> {
    let (above, folder_name) = folder.rsplit_once('/')?;
    let lists = [format!("{above}/{folder_name}.rs"), format!("{above}/src/{folder_name}.rs")];
    let literal = format!("/{name}\"");
    let listed = tree.iter().any(|file| lists.contains(&file.path) && file.production().contains(&literal));
    (!listed).then(|| format!("{folder}/{name}: not in the list of {}", lists.join(" or ")))
}

#[test]
fn lists_name_every_file() {
    assert_none(&faults(tree()));
}

#[test]
fn deny_files_that_no_list_names() {
    let planted = [
        SourceFile::new("crates/ringfort-x/src/lib.rs", "pub mod checks;\nmod rules;\n// mod gone;\n"),
        SourceFile::new(
            "crates/ringfort-x/src/checks.rs",
            "mod kernel;\nmod wiring;\n/// All.\npub static CHECKS: &[Check] = &[kernel::ENTRY];\n\
             #[cfg(test)]\nmod tests {\n    fn f() { wiring::f() }\n}\n",
        ),
        SourceFile::new("crates/ringfort-x/src/checks/kernel.rs", ""),
        SourceFile::new("crates/ringfort-x/src/checks/wiring.rs", ""),
        SourceFile::new("crates/ringfort-x/src/checks/lost.rs", ""),
        SourceFile::new("crates/ringfort-x/src/checks/kernel/part.rs", ""),
        SourceFile::new("crates/ringfort-x/src/gone.rs", ""),
        SourceFile::new("crates/ringfort-x/src/rules.rs", "include_str!(\"../rules/aws.toml\")\n"),
        SourceFile::new("crates/ringfort-x/rules/aws.toml", ""),
        SourceFile::new("crates/ringfort-x/rules/forgotten.toml", ""),
        SourceFile::new("crates/ringfort-x/tests/it/main.rs", "mod a;\n"),
        SourceFile::new("crates/ringfort-x/tests/it/a.rs", ""),
        SourceFile::new("crates/ringfort-x/tests/it/b.rs", ""),
        SourceFile::new("crates/ringfort-x/benches/x.rs", ""),
    ];
    assert_found(
        &faults(&planted),
        &[
            "checks/wiring.rs: declared in crates/ringfort-x/src/checks.rs but not in its list",
            "checks/lost.rs: not declared",
            "checks/kernel/part.rs: not declared in crates/ringfort-x/src/checks/kernel.rs",
            "src/gone.rs: not declared",
            "rules/forgotten.toml: not in the list",
            "it/b.rs: not declared",
        ],
    );
}
