// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: an agent is wired in one command, nothing of its configuration is lost, what was said can be believed, and
//! everything goes back.
//!
//! In: configurations as people have them. Out: the same files after `ringfort setup`, its words, and the doctor's.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::hook::{bash, read};
use crate::support::{Output, Place, binary};

const AGENTS: [&str; 7] = ["claude-code", "codex", "gemini", "cursor", "copilot", "opencode", "openclaw"];

/// A person's files, laid out in their own way.
const THEIRS: [(&str, &str); 7] = [
    (
        ".claude/settings.json",
        "{ \"env\": {\"TOKEN\": \"t\"},\n\t\"hooks\": {\"PreToolUse\": [{\"matcher\": \"Bash\", \"hooks\": [{\"type\": \"command\", \"command\": \"mine\"}]}]} }",
    ),
    (".codex/hooks.json", "{\"hooks\":{}}"),
    (".codex/config.toml", "# mine\nmodel   = \"m\"   # spaces\n\n[features]\nweb = true"),
    (".gemini/settings.json", "{\n    // why\n    \"ui\": {\"theme\": \"x\"}\n}\n"),
    (".cursor/hooks.json", "{\"version\": 1, \"hooks\": {\"stop\": [{\"command\": \"./mine.sh\"}]}}\n"),
    (".openclaw/openclaw.json", "{\n  // mine\n  plugins: { allow: ['other'], },\n}\n"),
    (".copilot/settings.json", "{\"theme\": \"dark\"}"),
];

fn setup(place: &Place, words: &[&str]) -> Output {
    place.ringfort(std::iter::once("setup").chain(words.iter().copied())).output()
}

/// Every file of the home but Ringfort's own, with its text and mode.
fn home(place: &Place) -> Vec<(PathBuf, String, u32)> {
    let mut found = Vec::new();
    let mut folders = vec![place.home.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path == place.home.join(".local") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                let mode = path.metadata().unwrap().permissions().mode();
                found.push((path.clone(), fs::read_to_string(&path).unwrap(), mode));
            }
        }
    }
    found.sort();
    found
}

fn furnished() -> Place {
    let place = Place::new();
    for (path, content) in THEIRS {
        let path = place.write(place.home.join(path), content);
        fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    }
    place
}

#[test]
fn every_agent_goes_in_and_comes_out_byte_for_byte() {
    let place = furnished();
    let before = home(&place);
    for agent in AGENTS {
        let dry = setup(&place, &[agent, "--dry-run"]);
        assert_eq!((dry.code(), home(&place) == before), (Some(0), true), "{agent}: {dry}");
        assert!(dry.out().contains("\n+"), "{agent}: {dry}");
        let wired = setup(&place, &[agent]);
        assert_eq!(wired.code(), Some(0), "{agent}: {wired}");
        assert!(wired.out().contains("Standing: advised") && wired.out().contains("ringfort run -- "), "{wired}");
        let after = home(&place);
        assert_ne!(after, before, "{agent}");
        let again = setup(&place, &[agent]);
        assert!(again.out().contains("set up already"), "{again}");
        assert_eq!(home(&place), after, "{agent}: a second run changes nothing");
        let undone = setup(&place, &[agent, "--undo"]);
        assert_eq!(undone.code(), Some(0), "{undone}");
        assert_eq!(home(&place), before, "{agent}: {undone}");
        assert!(setup(&place, &[agent, "--undo"]).out().contains("is not set up"), "{agent}");
    }
    // All at once, and out in another order.
    for agent in AGENTS {
        setup(&place, &[agent]);
    }
    for agent in AGENTS.iter().rev() {
        setup(&place, &[agent, "--undo"]);
    }
    assert_eq!(home(&place), before);
    let record = crate::hook::record(&place);
    assert_eq!(record.matches("\"setup.wire\"").count(), record.matches("\"setup.undo\"").count(), "{record}");
}

#[test]
fn what_was_edited_since_keeps_the_edit() {
    let place = furnished();
    let path = place.home.join(".claude/settings.json");
    setup(&place, &["claude-code"]);
    let wired = fs::read_to_string(&path).unwrap();
    fs::write(&path, wired.replacen("\"TOKEN\": \"t\"", "\"TOKEN\": \"new\"", 1)).unwrap();
    let undone = setup(&place, &["claude-code", "--undo"]);
    assert!(undone.out().contains("edited since"), "{undone}");
    let left: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let mine = json!([{ "matcher": "Bash", "hooks": [{ "type": "command", "command": "mine" }] }]);
    assert_eq!(left, json!({ "env": { "TOKEN": "new" }, "hooks": { "PreToolUse": mine } }));
    // The same where it was set up again after the edit: the edit is not undone with it.
    setup(&place, &["claude-code"]);
    let wired = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        wired.replacen("\"new\"", "\"newer\"", 1).replacen("onFailure\": \"block", "onFailure\": \"continue", 1),
    )
    .unwrap();
    assert_eq!(setup(&place, &["claude-code"]).code(), Some(0));
    setup(&place, &["claude-code", "--undo"]);
    let left = fs::read_to_string(&path).unwrap();
    assert!(left.contains("newer") && !left.contains("ringfort"), "{left}");
}

#[test]
fn deny_a_broken_configuration_and_change_nothing() {
    for (agent, path, text) in [
        ("claude-code", ".claude/settings.json", "{\"env\": {"),
        ("claude-code", ".claude/settings.json", "{\"hooks\": []}"),
        ("claude-code", ".claude/settings.json", "{} // no comments here"),
        ("codex", ".codex/config.toml", "model = "),
        ("gemini", ".gemini/settings.json", "{\"hooks\": {}, \"hooks\": {}}"),
        ("gemini", ".gemini/settings.json", "{\"ui\": {}, // a comma too many\n}"),
        ("openclaw", ".openclaw/openclaw.json", "{plugins: ["),
        ("opencode", ".config/opencode/plugin/ringfort.js", "export const Mine = 1\n"),
    ] {
        let place = Place::new();
        place.write(place.home.join(path), text);
        let before = home(&place);
        for words in [vec![agent], vec![agent, "--dry-run"]] {
            let output = setup(&place, &words);
            assert_eq!(output.code(), Some(2), "{agent}: {output}");
            assert!(output.err().contains(path) && output.err().contains("nothing was changed"), "{output}");
            assert_eq!(home(&place), before, "{agent}");
        }
    }
}

#[test]
fn deny_links_of_a_project_and_follow_those_of_the_user() {
    let place = Place::new();
    fs::create_dir(place.work.join(".git")).unwrap();
    let target = place.write(place.outside.join("settings.local.json"), "{}");
    symlink(&place.outside, place.work.join(".claude")).unwrap();
    let output = setup(&place, &["claude-code", "--project"]);
    assert_eq!(output.code(), Some(2), "{output}");
    assert_eq!(fs::read_to_string(&target).unwrap(), "{}");
    let dotfiles = place.write(place.outside.join("dotfiles/settings.json"), "{\"a\": 1}");
    fs::create_dir(place.home.join(".claude")).unwrap();
    symlink(&dotfiles, place.home.join(".claude/settings.json")).unwrap();
    assert_eq!(setup(&place, &["claude-code"]).code(), Some(0));
    assert!(fs::read_to_string(&dotfiles).unwrap().contains("PreToolUse"));
    assert!(place.home.join(".claude/settings.json").is_symlink());
    setup(&place, &["claude-code", "--undo"]);
    assert_eq!(fs::read_to_string(&dotfiles).unwrap(), "{\"a\": 1}");
}

#[test]
fn a_project_has_its_own_and_a_home_is_none() {
    let place = Place::new();
    fs::create_dir(place.work.join(".git")).unwrap();
    fs::create_dir(place.work.join("deep")).unwrap();
    let output = place.ringfort(["setup", "gemini", "--project"]).cwd(place.work.join("deep")).output();
    assert_eq!(output.code(), Some(0), "{output}");
    assert!(place.work.join(".gemini/settings.json").exists() && !place.home.join(".gemini").exists());
    let list = setup(&place, &["--list", "--json"]).out();
    let mut lines = list.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let gemini = lines.find(|line| line["agent"] == "gemini").unwrap();
    assert_eq!((&gemini["user"], &gemini["project"]), (&json!("no"), &json!("yes")));
    setup(&place, &["gemini", "--project", "--undo"]);
    assert!(!place.work.join(".gemini").exists());
    let output = place.ringfort(["setup", "gemini", "--project"]).cwd(&place.home).output();
    assert_eq!(output.code(), Some(2), "{output}");
}

#[test]
fn deny_set_up_inside_a_cage_and_where_there_is_no_place() {
    let place = Place::new();
    for (agent, word) in [("zeroclaw", "ringfort run -- zeroclaw"), ("nobody", "known are claude-code")] {
        let output = setup(&place, &[agent]);
        assert_eq!(output.code(), Some(2), "{output}");
        assert!(output.err().contains(word), "{output}");
    }
    assert_eq!(setup(&place, &["openclaw", "--project"]).code(), Some(2));
    place.write(".claude/settings.json", "{}");
    let inside =
        place.run([binary().as_os_str(), "setup".as_ref(), "claude-code".as_ref(), "--project".as_ref()]).output();
    assert_ne!(inside.code(), Some(0), "{inside}");
    assert_eq!(fs::read_to_string(place.work.join(".claude/settings.json")).unwrap(), "{}");
    assert!(!place.work.join(".claude/settings.local.json").exists());
}

/// The registered line with a here-document behind it, as Cursor runs it, and by a pipe.
#[test]
fn deny_by_the_registered_line_of_every_agent() {
    for agent in AGENTS {
        let place = furnished();
        setup(&place, &[agent]);
        let proven = doctor(&place);
        let proven: Vec<&Value> = proven.iter().filter(|line| line["check"] == "hooks").collect();
        assert_eq!(proven.len(), 2, "{agent}: {proven:?}");
        assert!(proven.iter().all(|line| line["status"] == "pass"), "{agent}: {proven:?}");
    }
    let place = furnished();
    setup(&place, &["claude-code"]);
    let settings = fs::read_to_string(place.home.join(".claude/settings.json")).unwrap();
    let settings: Value = serde_json::from_str(&settings).unwrap();
    let line = settings["hooks"]["PreToolUse"][1]["hooks"][0]["command"].as_str().unwrap();
    for shell in ["sh", "bash"] {
        for (command, expected) in [("rm -rf ~", "deny"), ("git status", "none")] {
            let text = format!("{line} <<'END'\n{}\nEND\n", bash(&place, command));
            let output = place.program(shell, ["-c", &text]).output();
            assert_eq!(read(&output).0, expected, "{shell}: {command}: {output}");
        }
    }
}

fn doctor(place: &Place) -> Vec<Value> {
    let output = place.ringfort(["doctor", "--json"]).output();
    output.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn deny_to_call_a_hook_asked_that_is_not() {
    type Break = fn(&Place, &Path);
    let edit = |path: &Path, from: &str, to: &str| {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        fs::write(path, text.replace(from, to)).unwrap();
    };
    // Nothing is set up: that is no fault.
    let place = furnished();
    let info: Vec<Value> = doctor(&place).into_iter().filter(|line| line["check"] == "hooks").collect();
    assert_eq!((info.len(), &info[0]["status"]), (1, &json!("info")), "{info:?}");
    let breaks: [Break; 6] = [
        |_, path| fs::write(path, "{}").unwrap(),
        |_, path| fs::remove_file(path).unwrap(),
        |_, path| fs::write(path, "{").unwrap(),
        |place, path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, text.replace(&binary().canonicalize().unwrap().display().to_string(), "/bin/true"))
                .unwrap();
            drop(place.write("x", ""));
        },
        |_, path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, text.replacen("exit 2", "exit 0", 1)).unwrap();
        },
        |_, path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, text.replacen('{', "{\"disableAllHooks\": true,", 1)).unwrap();
        },
    ];
    for (index, spoil) in breaks.into_iter().enumerate() {
        let place = furnished();
        setup(&place, &["claude-code"]);
        spoil(&place, &place.home.join(".claude/settings.json"));
        let seen: Vec<Value> = doctor(&place).into_iter().filter(|line| line["check"] == "hooks").collect();
        assert!(seen.iter().any(|line| line["status"] == "fail"), "{index}: {seen:?}");
    }
    let place = furnished();
    setup(&place, &["codex"]);
    edit(&place.home.join(".codex/config.toml"), "trusted_hash = \"sha256:", "trusted_hash = \"sha256:0");
    let seen: Vec<Value> = doctor(&place).into_iter().filter(|line| line["check"] == "hooks").collect();
    assert!(seen.iter().any(|line| line["status"] == "fail"), "{seen:?}");
}
