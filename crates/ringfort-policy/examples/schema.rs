// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints the JSON schema of `ringfort.toml` (or, with `project`, of a project's), to renew the copies in `docs/formats`.
#![expect(clippy::print_stdout, reason = "printing is all that this example does")]

fn main() {
    let project = std::env::args().nth(1).as_deref() == Some("project");
    let schema = if project { ringfort_policy::schema::restriction() } else { ringfort_policy::schema::config() };
    println!("{schema:#}");
}
