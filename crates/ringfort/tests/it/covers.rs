// SPDX-License-Identifier: MIT OR Apache-2.0
//! What protects a file inside is lost when somebody outside replaces that file, as git and editors do: the kernel takes
//! the mount away with the old file. What was then changed from inside must not stay.

use std::fs;
use std::time::Duration;

use crate::support::{Place, TIME_MAX, is_namespaced, until};

/// Waits for the change outside, then writes what was protected.
const ATTACK: &str = "echo up >up; while [ ! -e go ]; do sleep 0.02; done
printf '[core]\\n\\tbare = false\\n\\tfsmonitor = touch attacked\\n' >.git/config
echo attacked >.mcp.json; echo attacked >sub/.envrc; true\n";

#[test]
fn escape_by_a_file_that_was_replaced_outside() {
    let place = Place::new();
    if !is_namespaced(&place) {
        return;
    }
    place.program("git", ["init", "-q", "."]).output().exits(0);
    place.write(".mcp.json", "{}\n");
    place.write("sub/.envrc", "export A=1\n");
    place.write("attack.sh", ATTACK);
    let mut program = place.run(["/bin/sh", "attack.sh"]);
    program.command.stdin(std::process::Stdio::null());
    let mut running = program.spawn();
    until(TIME_MAX, || place.work.join("up").exists().then_some(())).unwrap();
    // What a person does meanwhile: git and editors write a new file and rename it.
    place.program("git", ["config", "user.name", "somebody"]).output().exits(0);
    for name in [".mcp.json", "sub/.envrc"] {
        let new = place.write(format!("{name}.new"), "changed by a person\n");
        fs::rename(new, place.work.join(name)).unwrap();
    }
    place.write("go", "");
    running.wait(TIME_MAX + Duration::from_secs(5));
    let config = fs::read_to_string(place.work.join(".git/config")).unwrap();
    assert!(!config.contains("fsmonitor"), "{config}");
    for name in [".mcp.json", "sub/.envrc"] {
        let text = fs::read_to_string(place.work.join(name)).unwrap_or_default();
        assert!(!text.contains("attacked"), "{name}: {text}");
    }
}
