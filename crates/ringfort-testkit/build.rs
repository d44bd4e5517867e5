// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links the hostile program statically, so that one file runs in every cage and container.

#![expect(clippy::disallowed_methods, reason = "a build script starts the compiler and reads cargo's variables")]

use std::path::PathBuf;
use std::process::Command;

const SOURCE: &str = "src/bin/ringfort-escape";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={SOURCE}");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let program = PathBuf::from(variable("OUT_DIR")).join("ringfort-escape");
    let flags = ["crt-static", "abort", "1", "symbols"];
    let names = ["target-feature=+", "panic=", "opt-level=", "strip="];
    let mut command = Command::new(variable("RUSTC"));
    command.args(["--edition", "2024", "--cap-lints", "allow", "--target", &variable("TARGET")]);
    for (name, value) in names.iter().zip(flags) {
        command.arg("-C").arg(format!("{name}{value}"));
    }
    command.arg(format!("{SOURCE}/main.rs")).arg("-o").arg(&program);
    let linked = command.status().is_ok_and(|status| status.success());
    assert!(linked, "the hostile program could not be linked: {command:?}");
}
