// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links the binary at a fixed address and with few libraries: see `docs/decisions/008-fixed-address.md`.

#![expect(clippy::disallowed_methods, reason = "cargo tells a build script its target by variables")]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RINGFORT_PIE");
    let target = |name: &str| std::env::var(name).unwrap_or_default();
    let is_gnu_linux = target("CARGO_CFG_TARGET_OS") == "linux" && target("CARGO_CFG_TARGET_ENV") == "gnu";
    if is_gnu_linux && std::env::var_os("RINGFORT_PIE").is_none() {
        println!("cargo:rustc-link-arg-bins=-no-pie");
        link_unwinder_statically(&target("OUT_DIR"));
    }
}

/// The name by which the standard library asks for the unwinder, leading to the archive instead of the shared object.
fn link_unwinder_statically(folder: &str) {
    let script = std::path::Path::new(folder).join("libgcc_s.so");
    if std::fs::write(&script, "INPUT(-lgcc_eh -lgcc)\n").is_ok() {
        println!("cargo:rustc-link-arg-bins=-L{folder}");
    }
}
