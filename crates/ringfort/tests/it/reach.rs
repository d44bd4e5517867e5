// SPDX-License-Identifier: MIT OR Apache-2.0
//! Inside a cage nothing of Ringfort is reachable but the broker's socket and the read-only binary, its client.
//!
//! A walk of descriptors, mounts, processes, variables and of the whole visible tree, in the cage and in a sibling.

use std::fs;

use serde_json::Value;

use crate::support::{Place, TIME_MAX, binary, is_namespaced};

/// Says what is seen from where it runs, as one line of JSON. The tag stands in no path of the test.
const WALKER: &str = r#"
import json, os, stat, sys
fds = {}
for name in os.listdir("/proc/self/fd"):
    try:
        fds[name] = os.readlink("/proc/self/fd/" + name)
    except OSError:
        pass  # The listing's own.
own = []
for folder, folders, files in os.walk("/", followlinks=False):
    if folder == "/proc":
        folders[:] = []
    for name in folders + files:
        if "ringfort" in name.lower():
            path = os.path.join(folder, name)
            own.append([path, os.access(path, os.R_OK), os.access(path, os.W_OK)])
mounts = [line.split() for line in open("/proc/self/mountinfo")]
processes = []
for name in filter(str.isdigit, os.listdir("/proc")):
    try:
        processes.append(open(f"/proc/{name}/cmdline").read().replace("\0", " "))
    except OSError:
        pass
print(json.dumps({
    "fds": fds, "own": own, "processes": processes, "variables": sorted(k for k in os.environ if "RINGFORT" in k.upper()),
    "mounts": [[m[4], "ro" if "ro" in m[5].split(",") else "rw", m[3]] for m in mounts],
    "present": [p for p in sys.argv[1:] if os.path.lexists(p)],
}))
"#;

#[test]
fn escape_by_anything_of_ringfort_that_is_reachable_inside() {
    let place = Place::new();
    if !is_namespaced(&place) {
        return;
    }
    place.write("walker.py", WALKER);
    place.write(".git/config", "[core]\n\tbare = false\n");
    place.write(".git/HEAD", "ref: refs/heads/main\n");
    let user = place.home.join(".config/ringfort/ringfort.toml");
    place.write(&user, "");
    place.ringfort(["policy", "accept", "--yes"]).output().exits(0);
    let client = place.home.join(".local/bin/ringfort");
    let client = if binary().starts_with("/usr") { binary() } else { client };
    let paths = [
        place.state.clone(),
        place.state.join("accepted"),
        user,
        "/etc/ringfort".into(),
        place.home.join(".local/state"),
    ];
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let walk = [&["python3", "walker.py"], &paths[..]].concat();
    let outer = place.run(&walk).time_max(2 * TIME_MAX).output().exits(0);
    let sibling = [&[client.to_str().unwrap(), "run", "--", "python3", "walker.py"], &paths[..]].concat();
    let sibling = place.run(&sibling).time_max(2 * TIME_MAX).output().exits(0);
    for (what, output) in [("the cage", outer), ("a sibling", sibling)] {
        let seen: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output}"));
        let context = format!("in {what}: {seen:#}");
        assert_eq!(seen["present"], Value::from(Vec::<String>::new()), "{context}");
        assert_eq!(seen["variables"], serde_json::json!(["RINGFORT_BROKER"]), "{context}");
        descriptors(&seen["fds"], &context);
        for entry in seen["own"].as_array().unwrap() {
            let path = entry[0].as_str().unwrap();
            // A private folder holds the copies of staged files; they are the workspace's.
            let is_private = path == "/run/ringfort" || path.starts_with("/run/ringfort/staged");
            assert!(is_private || entry[2] == Value::Bool(false), "`{path}` is writable {context}");
        }
        for mount in seen["mounts"].as_array().unwrap() {
            let (target, mode) = (mount[0].as_str().unwrap(), mount[1].as_str().unwrap());
            assert!(mode == "ro" || may_be_written(target, &place), "`{target}` is mounted writable {context}");
        }
        for process in seen["processes"].as_array().unwrap() {
            let words = process.as_str().unwrap();
            let is_client = words.starts_with(client.to_str().unwrap());
            assert!(is_client || !words.contains("ringfort"), "`{words}` is seen {context}");
        }
    }
    assert!(fs::exists(&place.state).unwrap(), "the test looks for the wrong folder");
}

/// The three streams and one socket.
fn descriptors(fds: &Value, context: &str) {
    let fds = fds.as_object().unwrap();
    assert_eq!(fds.keys().collect::<Vec<_>>(), ["0", "1", "2", "3"], "{context}");
    for stream in ["0", "1", "2"] {
        let target = fds[stream].as_str().unwrap();
        assert!(target.starts_with("pipe:") || target == "/dev/null", "{stream} is {target} {context}");
    }
    assert!(fds["3"].as_str().unwrap().starts_with("socket:"), "{context}");
}

/// Folders that are writable inside: the workspace, and private ones that are gone afterwards.
fn may_be_written(target: &str, place: &Place) -> bool {
    let private = ["/tmp", "/var/tmp", "/run", "/dev/shm", "/dev/pts"];
    let devices = ["null", "zero", "full", "random", "urandom", "tty"].map(|name| format!("/dev/{name}"));
    private.contains(&target)
        || devices.iter().any(|device| device == target)
        || target.starts_with("/run/ringfort/staged")
        || target == place.home.to_str().unwrap()
        || target.starts_with(place.work.to_str().unwrap())
}
