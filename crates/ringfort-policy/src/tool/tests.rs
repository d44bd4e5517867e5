// SPDX-License-Identifier: MIT OR Apache-2.0
//! Known tools are read strictly, unknown ones stay unknown.

use serde_json::json;

use super::*;

#[test]
fn the_list_is_sorted_for_its_search() {
    assert!(TOOLS.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

#[test]
fn known_tools_are_read() {
    use PathOp::{Read, Write};
    for (name, arguments, expected) in [
        ("Bash", json!({"command": "ls", "description": "x"}), Call::Shell { text: "ls", cwd: None }),
        ("run_shell_command", json!({"command": "ls", "dir_path": "a"}), Call::Shell { text: "ls", cwd: Some("a") }),
        (
            "shell",
            json!({"command": ["bash", "-lc", "ls"]}),
            Call::Argv { words: vec!["bash", "-lc", "ls"], cwd: None },
        ),
        ("exec_command", json!({"cmd": "ls", "workdir": "/x"}), Call::Shell { text: "ls", cwd: Some("/x") }),
        ("Read", json!({"file_path": "a"}), Call::Paths(vec![("a", Read)])),
        ("Write", json!({"file_path": "a", "content": "x"}), Call::Paths(vec![("a", Write)])),
        ("MultiEdit", json!({"file_path": "a", "edits": [{"old_string": "x"}]}), Call::Paths(vec![("a", Write)])),
        ("edit_file", json!({"path": "a", "edits": [{"path": "b"}]}), Call::Paths(vec![("a", Write), ("b", Write)])),
        ("str_replace_editor", json!({"command": "view", "path": "a"}), Call::Paths(vec![("a", Read)])),
        ("str_replace_editor", json!({"command": "create", "path": "a"}), Call::Paths(vec![("a", Write)])),
        ("Grep", json!({"pattern": "/x/"}), Call::Paths(vec![(".", Read), ("/x/", Read)])),
        ("Glob", json!({"pattern": "/etc/*.conf"}), Call::Paths(vec![(".", Read), ("/etc/", Read)])),
        ("Glob", json!({"pattern": "**/*.rs", "path": "src"}), Call::Paths(vec![("src", Read)])),
        ("move_file", json!({"source": "a", "destination": "b"}), Call::Paths(vec![("a", Write), ("b", Write)])),
        ("WebFetch", json!({"url": "https://example.com", "prompt": "x"}), Call::Fetch("https://example.com")),
        ("TodoWrite", json!({"todos": []}), Call::Harmless),
        ("WebSearch", json!({"query": "x"}), Call::Search),
        ("mcp__git__status", json!({}), Call::Unknown),
        ("Bash2", json!({"command": "ls"}), Call::Unknown),
        (
            "apply_patch",
            json!({"input": "*** Begin Patch\n*** Update File: a\n@@\n-x\n+y\n*** Move to: b\n*** End Patch"}),
            Call::Paths(vec![("a", Write), ("b", Write)]),
        ),
    ] {
        assert_eq!(read(name, &arguments), Ok(expected), "{name} {arguments}");
    }
}

#[test]
fn deny_arguments_that_are_not_what_they_should_be() {
    for (name, arguments, expected) in [
        ("", json!({}), CallFault::Name),
        ("Ba\u{200b}sh", json!({}), CallFault::Name),
        ("B\u{430}sh", json!({}), CallFault::Name),
        ("Bash", json!("ls"), CallFault::NoObject),
        ("Bash", json!({}), CallFault::Missing("command")),
        ("Bash", json!({"command": null}), CallFault::Missing("command")),
        ("Bash", json!({"command": 1}), CallFault::Type("command")),
        ("Bash", json!({"command": []}), CallFault::Type("command")),
        ("Bash", json!({"command": ["ls", 1]}), CallFault::Type("command")),
        ("Bash", json!({"command": "ls", "cmd": "rm"}), CallFault::Twice("command", "cmd")),
        ("Bash", json!({"command": "ls", "cwd": 1}), CallFault::Type("cwd")),
        ("Bash", json!({"command": "ls", "cwd": "a", "workdir": "b"}), CallFault::Twice("cwd", "workdir")),
        ("Read", json!({}), CallFault::Missing("path")),
        ("Read", json!({"file_path": ["a"]}), CallFault::Type("file_path")),
        ("Read", json!({"paths": "a"}), CallFault::Type("paths")),
        ("Edit", json!({"file_path": "a", "edits": [1]}), CallFault::Type("edits")),
        ("Glob", json!({"pattern": 1}), CallFault::Type("pattern")),
        ("move_file", json!({"source": "a"}), CallFault::Missing("destination")),
        ("WebFetch", json!({"url": 1}), CallFault::Type("url")),
        ("apply_patch", json!({"input": "--- a\n+++ b\n"}), CallFault::Patch),
        ("apply_patch", json!({"input": "*** Begin Patch\n*** Copy File: a\n*** End Patch"}), CallFault::Patch),
        ("apply_patch", json!({"input": "*** Begin Patch\n*** End Patch"}), CallFault::Patch),
    ] {
        assert_eq!(read(name, &arguments), Err(expected), "{name} {arguments}");
    }
}

#[test]
fn allowing_is_exact_and_denying_is_not() {
    for (pattern, tool, allows, names) in [
        ("WebFetch", "WebFetch", true, true),
        ("WebFetch", "web_fetch", false, true),
        ("WebFetch", "WEBFETCH", false, true),
        ("WebFetch", "WebFetch2", false, false),
        ("mcp__git__*", "mcp__git__push", true, true),
        ("mcp__git__*", "MCP--git--push", false, true),
        ("mcp__git__*", "mcp__github__push", false, false),
        ("mcp__git__*", "mcp__gi", false, false),
    ] {
        let pattern = ToolPattern::parse(pattern).unwrap();
        assert_eq!((pattern.allows(tool), pattern.names(tool)), (allows, names), "{pattern:?} {tool}");
    }
    for text in ["", "a*b", "**", "a\u{200b}", "a\n", "t\u{f6}ol"] {
        assert!(ToolPattern::parse(text).is_err(), "`{text}`");
    }
}

#[test]
fn deny_what_an_argument_beside_the_command_would_change() {
    let reads = |name: &str, arguments: serde_json::Value| read(name, &arguments).is_ok();
    assert!(reads("Bash", json!({"command": "ls", "timeout": 5, "args": [], "env": {}})));
    for widened in [
        json!({"command": "ls", "args": ["-la"]}),
        json!({"command": "ls", "env": {"LD_PRELOAD": "./x"}}),
        json!({"cmd": ["ls"], "stdin": "x"}),
    ] {
        assert!(!reads("Bash", widened.clone()), "{widened}");
    }
    for (name, arguments, path) in [
        ("list_dir", json!({"target_directory": "/etc"}), "/etc"),
        ("Grep", json!({"pattern": "x", "root": "../x"}), "../x"),
        ("Write", json!({"file_path": "a", "edits": [{"path": "/srv/x"}]}), "/srv/x"),
    ] {
        match read(name, &arguments) {
            Ok(Call::Paths(paths)) => assert!(paths.iter().any(|(found, _)| *found == path), "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}
