// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: when what Ringfort was given is bad, or the place it keeps its record in is, it says what and where, and
//! nothing at all happens.
//!
//! In: bad options, bad configuration, state folders that are foreign, open, full or damaged. Out: the documented status,
//! a message that names the cause, and a workspace in which nothing was made.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};

use crate::commands::{call, json};
use crate::support::Place;

#[test]
fn deny_bad_usage() {
    let place = Place::new();
    for (line, says) in [
        ("frobnicate", "frobnicate"),
        ("run", "no command"),
        ("run --", "no command"),
        ("run --frob -- touch made", "--frob"),
        ("run --state", "needs a value"),
        ("run --redact=yes -- touch made", "--redact=yes"),
        ("run --degree none -- touch made", "--degree"),
        ("run --set nonsense -- touch made", "nonsense"),
        ("run --set autonomy.levl=full -- touch made", "autonomy.level"),
        ("run --set autonomy.level=wild -- touch made", "wild"),
        ("run --workspace / -- touch made", "root of the file system"),
        ("run --workspace /etc -- touch made", "system folder"),
        ("run --workspace /nowhere -- touch made", "/nowhere"),
        ("run --workspace .. -- touch made", "cannot use"),
        ("check", "nothing to check"),
        ("check --path a --tool b", "--tool"),
        ("check --path a --op chew", "chew"),
        ("check --tool T --arguments {", "JSON"),
        ("trail", "Usage"),
        ("trail show", "SEQ"),
        ("trail show x", "x"),
        ("trail tail -n -1", "-1"),
        ("policy validate nowhere.toml", "nowhere.toml"),
        ("completions tcsh", "tcsh"),
        ("man frobnicate", "frobnicate"),
        ("--json", "Usage"),
    ] {
        let ran = call(&place, line);
        assert_eq!(ran.code(), Some(2), "`{line}`: {ran}");
        assert!(ran.err().contains(says), "`{line}` does not say `{says}`: {ran}");
        assert!(ran.out().is_empty(), "`{line}`: {ran}");
        assert!(!place.work.join("made").exists(), "`{line}`");
    }
}

#[test]
fn deny_bad_configuration() {
    let place = Place::new();
    let write = |name: &str, bytes: &[u8]| place.write(place.outside.join(name), bytes);
    write("unknown.toml", b"[autonomy]\nlevl = \"full\"\n");
    write("table.toml", b"[autonomi]\nlevel = \"full\"\n");
    write("type.toml", b"[autonomy]\nmax_actions_per_hour = \"many\"\n");
    write("torn.toml", b"[autonomy");
    write("twice.toml", b"[autonomy]\nlevel = \"full\"\nlevel = \"readonly\"\n");
    write("binary.toml", b"[autonomy]\nlevel = \"\xff\xfe\"\n");
    write("nul.toml", b"[autonomy]\nlevel = \"full\0\"\n");
    write("large.toml", &vec![b'#'; 2 << 20]);
    fs::create_dir(place.outside.join("folder.toml")).unwrap();
    for (name, says) in [
        ("unknown.toml", "line 2, column 1: unknown key `autonomy.levl`; did you mean `autonomy.level`?"),
        ("table.toml", "autonomy"),
        ("type.toml", "max_actions_per_hour"),
        ("torn.toml", "line 1"),
        ("twice.toml", "line 3"),
        ("binary.toml", "UTF-8"),
        ("nul.toml", "line 2"),
        ("large.toml", "larger than"),
        ("folder.toml", "not a regular file"),
        ("missing.toml", "does not exist"),
    ] {
        let path = place.outside.join(name);
        for words in [&["run", "--policy"][..], &["check", "--policy"]] {
            let all = words.iter().map(|word| (*word).into()).chain([path.clone().into_os_string()]);
            let ran = place.ringfort(all.chain(["--", "touch", "made"].map(Into::into))).output();
            assert_eq!(ran.code(), Some(2), "{name}: {ran}");
            assert!(ran.err().contains(says) && ran.err().contains(name), "{name} does not say `{says}`: {ran}");
            assert!(!place.work.join("made").exists(), "{name}");
        }
    }
    assert!(!place.state.join("trail").exists(), "nothing was even begun");
}

#[test]
fn deny_a_project_file_that_widens() {
    let place = Place::new();
    for text in [
        "[autonomy]\nlevel = \"full\"\n",
        "[policy]\npreset = \"trusted\"\n",
        "[runtime]\nkind = \"native\"\n",
        "x = [\n",
    ] {
        place.write("ringfort.toml", text);
        let ran = place.run(["touch", "made"]).output();
        assert_eq!(ran.code(), Some(2), "`{text}`: {ran}");
        assert!(ran.err().contains("ringfort.toml"), "{ran}");
        assert!(!place.work.join("made").exists());
    }
}

#[test]
fn deny_a_runtime_that_is_not_served() {
    let place = Place::new();
    place.write("docker.toml", "[runtime]\nkind = \"docker\"\n[runtime.docker]\nimage = \"alpine:3.20\"\n");
    let ran = call(&place, "run --policy docker.toml -- touch made");
    assert_eq!(ran.code(), Some(125), "{ran}");
    assert!(ran.err().contains("docker") && ran.err().contains("help: "), "what, and what to do: {ran}");
    assert!(!place.work.join("made").exists());
}

#[test]
fn deny_a_state_folder_that_is_not_ours_alone() {
    let place = Place::new();
    let make = |name: &str, mode: u32| {
        let path = place.outside.join(name);
        fs::DirBuilder::new().create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    make("open", 0o755);
    make("group", 0o770);
    make("real", 0o700);
    symlink(place.outside.join("real"), place.outside.join("link")).unwrap();
    fs::write(place.outside.join("file"), "").unwrap();
    let mut cases = vec![
        ("open", "may be entered by others"),
        ("group", "may be entered by others"),
        ("link", "link"),
        ("file", "file"),
    ];
    if rustix::process::geteuid().is_root() {
        make("foreign", 0o700);
        std::os::unix::fs::chown(place.outside.join("foreign"), Some(12_345), None).unwrap();
        cases.push(("foreign", "belongs to somebody else"));
    }
    for (name, says) in cases {
        let state = place.outside.join(name);
        let ran = place.ringfort(["run", "--state", state.to_str().unwrap(), "--", "touch", "made"]).output();
        assert_eq!(ran.code(), Some(125), "{name}: {ran}");
        assert!(ran.err().contains(says) && ran.err().contains("state folder"), "{name}: {ran}");
        assert!(!place.work.join("made").exists(), "{name}");
    }
    let ran = call(&place, "run --state /proc/nowhere -- touch made");
    assert_eq!(ran.code(), Some(125), "{ran}");
    assert!(ran.err().contains("/proc/nowhere") && !place.work.join("made").exists(), "{ran}");
}

#[test]
fn deny_when_the_state_folder_is_full() {
    let place = Place::new();
    let state = place.outside.join("state");
    fs::DirBuilder::new().mode(0o700).create(&state).unwrap();
    // A small file system of its own, where the kernel lets an ordinary user mount one.
    let text = "mount -t tmpfs -o size=192k,mode=700 tmpfs \"$STATE\" || exit 77\n\
        \"$RF\" run --state \"$STATE\" -- touch before || exit 1\n\
        cat /dev/zero > \"$STATE/fill\" 2>/dev/null; cat /dev/zero > \"$STATE/fill2\" 2>/dev/null\n\
        \"$RF\" run --state \"$STATE\" -- \": $(head -c 9000 /dev/zero | tr '\\0' x); touch after\"; echo status-$?-\n\
        rm \"$STATE\"/fill*\n\
        \"$RF\" run --state \"$STATE\" -- touch later && \"$RF\" --state \"$STATE\" trail verify";
    let program = place.program("unshare", ["--user", "--map-root-user", "--mount", "sh", "-c", text]);
    let ran = program.env("STATE", &state).env("RF", crate::support::binary()).output();
    if ran.code() == Some(77) || ran.err().contains("unshare") {
        eprintln!("skipped: no file system can be mounted here: {ran}");
        return;
    }
    assert!(place.work.join("before").exists(), "{ran}");
    assert!(!place.work.join("after").exists(), "it ran without a record: {ran}");
    assert!(ran.out().contains("status-125-") || ran.out().contains("status-126-"), "{ran}");
    assert!(ran.err().contains("space"), "it says what is wrong: {ran}");
    assert!(place.work.join("later").exists() && ran.code() == Some(0), "with space it goes on: {ran}");
}

#[test]
fn deny_when_the_record_is_damaged() {
    let place = Place::new();
    place.run(["true"]).output().exits(0);
    place.run(["true"]).output().exits(0);
    call(&place, "trail verify").exits(0);
    let trail = place.state.join("trail");
    let segments = fs::read_dir(&trail).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> =
        segments.filter(|path| fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"{"))).collect();
    segments.sort();
    let path = segments.first().unwrap();
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, text.replacen("\"action\":\"true\"", "\"action\":\"fals\"", 1)).unwrap();
    let ran = call(&place, "trail verify");
    assert_eq!(ran.code(), Some(1), "{ran}");
    let report = json(&call(&place, "--json trail verify"));
    assert!(!report[0]["fault"].is_null(), "{:#}", report[0]);
}

#[test]
fn deny_a_loop_and_more_than_the_budget() {
    let place = Place::new();
    for time in 1..=8 {
        let ran = place.run(["touch", "again"]).output();
        assert_eq!(ran.code(), Some(0), "time {time}: {ran}");
    }
    let ran = place.run(["touch", "again"]).output().exits(126);
    assert!(ran.err().contains("guard-002"), "{ran}");
    place.run(["touch", "another"]).output().exits(0);

    let place = Place::new();
    let run =
        |file: &str| place.ringfort(["run", "--set", "autonomy.max_actions_per_hour=2", "--", "touch", file]).output();
    run("one").exits(0);
    run("two").exits(0);
    let ran = run("three").exits(126);
    assert!(ran.err().contains("guard-001") && !place.work.join("three").exists(), "{ran}");
}

#[test]
fn deny_what_stands_beside_an_everyday_command() {
    let place = Place::new();
    place.write(place.work.join("data.db"), b"rows");
    for words in [
        &["truncate", "-s", "0", "data.db"][..],
        &["sh", "-c", ": > data.db"],
        &["cp", "/dev/null", "data.db"],
        &["git", "fresh-branch", "x"],
    ] {
        let ran = place.run(words.iter().copied()).output();
        assert_eq!(ran.code(), Some(126), "{words:?}: {ran}");
        assert_eq!(fs::read(place.work.join("data.db")).unwrap(), b"rows", "{words:?}");
    }
    for (line, status) in [
        ("check -- ls /usr/lib", 0),
        ("check -- gh pr list", 0),
        ("check -- gh pr merge 3", 4),
        ("check -- gh api -X DELETE repos/a/b", 4),
        ("check -- fd -x=rm data.db", 4),
        ("check -- kubectl get secret x", 4),
        ("check -- find / -name id_rsa", 4),
        ("check -- script", 4),
        ("check --path a..b --op read", 4),
    ] {
        let ran = call(&place, line);
        assert_eq!(ran.code(), Some(status), "`{line}`: {ran}");
    }
}
