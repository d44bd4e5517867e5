// SPDX-License-Identifier: MIT OR Apache-2.0
//! Known tools are read strictly, unknown ones stay unknown.

use serde_json::json;

use super::*;
use crate::tool::table::TOOLS;

use Act::{Argv, Fetch, Path as Touch, Shell, Word};
use PathOp::{Read, Write};

/// What a known tool does, or a call's fault.
fn acts<'a>(name: &str, arguments: &'a Value) -> Result<Vec<Act<'a>>, CallFault> {
    read(name, arguments).map(|call| call.acts)
}

#[test]
fn the_list_is_sorted_for_its_search() {
    assert!(TOOLS.windows(2).all(|pair| pair[0].0 < pair[1].0));
}

#[test]
fn shells_are_read() {
    for (name, arguments, expected, cwd) in [
        ("Bash", json!({"command": "ls", "description": "rm -rf /", "timeout": 5}), Shell("ls"), None),
        ("run_shell_command", json!({"command": "ls", "dir_path": "a"}), Shell("ls"), Some("a")),
        ("shell", json!({"command": ["bash", "-lc", "ls"]}), Argv(vec!["bash", "-lc", "ls"]), None),
        ("exec_command", json!({"cmd": "ls", "workdir": "/x", "shell": "/bin/bash"}), Shell("ls"), Some("/x")),
        ("container.exec", json!({"cmd": ["ls"], "args": []}), Argv(vec!["ls"]), None),
        ("functions.exec_command", json!({"cmd": "ls"}), Shell("ls"), None),
        ("run_terminal_cmd", json!({"command": "ls", "is_background": false}), Shell("ls"), None),
        ("Monitor", json!({"command": "tail -f x", "description": "x"}), Shell("tail -f x"), None),
        ("js_repl", json!({"code": "1"}), Argv(vec!["node", "-e", "1"]), None),
    ] {
        let call = read(name, &arguments).unwrap();
        assert_eq!((call.acts, call.cwd, call.known), (vec![expected], cwd, Known::Acts), "{name} {arguments}");
    }
}

#[test]
fn files_are_read() {
    for (name, arguments, expected) in [
        ("Read", json!({"file_path": "a"}), vec![Touch("a", Read)]),
        ("read", json!({"filePath": "a", "offset": 1}), vec![Touch("a", Read)]),
        ("read_many_files", json!({"paths": ["a", "b"]}), vec![Touch("a", Read), Touch("b", Read)]),
        ("read_file", json!({"files": [{"path": "a", "lines": [1, 2]}]}), vec![Touch("a", Read)]),
        ("Write", json!({"file_path": "a", "content": "/etc/shadow"}), vec![Touch("a", Write)]),
        ("MultiEdit", json!({"file_path": "a", "edits": [{"old_string": "x"}]}), vec![Touch("a", Write)]),
        ("edit_file", json!({"path": "a", "edits": [{"path": "b"}]}), vec![Touch("b", Write), Touch("a", Write)]),
        ("str_replace_editor", json!({"command": "view", "path": "a"}), vec![Touch("a", Read)]),
        ("str_replace_editor", json!({"command": "create", "path": "a"}), vec![Touch("a", Write)]),
        ("Grep", json!({"pattern": "/etc/passwd|../x"}), vec![Touch(".", Read)]),
        ("Grep", json!({"pattern": "x", "glob": ".env"}), vec![Touch(".", Read), Touch(".env", Read)]),
        ("Glob", json!({"pattern": "/etc/*.conf"}), vec![Touch(".", Read), Touch("/etc/", Read)]),
        ("Glob", json!({"pattern": "/w*/x"}), vec![Touch(".", Read), Touch("/", Read), Touch("/w", Read)]),
        ("Glob", json!({"pattern": "**/*.{rs,toml}", "path": "src"}), vec![Touch("src", Read)]),
        ("list_directory", json!({"dir_path": "a", "ignore": ["b"]}), vec![Touch("a", Read)]),
        ("LS", json!({}), vec![Touch(".", Read)]),
        ("move_file", json!({"source": "a", "destination": "b"}), vec![Touch("b", Write), Touch("a", Write)]),
    ] {
        let found = acts(name, &arguments).unwrap();
        let as_expected = found.len() == expected.len() && expected.iter().all(|act| found.contains(act));
        assert!(as_expected, "{name} {arguments}: {found:?}");
    }
}

#[test]
fn the_rest_is_read() {
    let get = |url| Fetch { url, method: None };
    for (name, arguments, expected) in [
        (
            "WebFetch",
            json!({"url": "https://a.example", "prompt": "like https://b.example"}),
            vec![get("https://a.example")],
        ),
        ("web_fetch", json!({"prompt": "sum up <https://a.example/x>, please."}), vec![get("https://a.example/x")]),
        (
            "http_request",
            json!({"url": "https://a.example", "method": "POST"}),
            vec![Fetch { url: "https://a.example", method: Some("POST") }],
        ),
        ("WebSearch", json!({"query": "x"}), vec![Act::Search]),
        ("Task", json!({"description": "x", "prompt": "rm -rf /", "subagent_type": "x"}), vec![Act::Delegate]),
        ("Agent", json!({"prompt": "x", "mode": "bypassPermissions"}), vec![Act::Delegate, Act::Unguarded("mode")]),
        ("Skill", json!({"skill": "pdf"}), vec![Act::Skill("pdf")]),
        ("CronCreate", json!({"cron": "* * * * *", "prompt": "x"}), vec![Act::ScheduleTask]),
        ("cron_add", json!({"schedule": "daily", "command": "ls"}), vec![Act::Schedule("ls"), Shell("ls")]),
        ("write_stdin", json!({"session_id": 1, "chars": "rm -rf /\n"}), vec![Act::Type("rm -rf /\n")]),
        ("write_stdin", json!({"session_id": 1, "chars": "\u{3}"}), vec![]),
        ("save_memory", json!({"fact": "x"}), vec![Act::Remember]),
        (
            "Bash",
            json!({"command": "ls", "dangerouslyDisableSandbox": true}),
            vec![Shell("ls"), Act::Unguarded("dangerously_disable_sandbox")],
        ),
        (
            "shell",
            json!({"command": ["ls"], "sandbox_permissions": "require_escalated"}),
            vec![Argv(vec!["ls"]), Act::Unguarded("sandbox_permissions")],
        ),
        (
            "exec",
            json!({"command": "ls", "host": "gateway", "ask": "off"}),
            vec![Act::Unguarded("host"), Act::Unguarded("ask"), Shell("ls")],
        ),
        ("TodoWrite", json!({"todos": [{"content": "rm -rf /"}]}), vec![]),
        ("Bash", json!({"command": "ls", "dangerouslyDisableSandbox": false}), vec![Shell("ls")]),
    ] {
        assert_eq!(acts(name, &arguments), Ok(expected), "{name} {arguments}");
    }
    let batch = json!({"tool_calls": [{"tool": "bash", "parameters": {"command": "ls"}}]});
    let inner = Call { known: Known::Acts, cwd: None, acts: vec![Shell("ls")] };
    assert_eq!(acts("batch", &batch).unwrap()[0], Act::Nested(Box::new(inner), "bash"));
}

#[test]
fn deny_no_field_hides_another() {
    for (name, arguments, expected) in [
        ("mcp__x__y", json!({"message": "hello", "command": "rm -rf /"}), Shell("rm -rf /")),
        ("mcp__x__y", json!({"a": {"b": [{"cmd": "rm -rf /"}]}}), Shell("rm -rf /")),
        ("mcp__x__y", json!({"commands": ["ls", "rm -rf /"]}), Shell("rm -rf /")),
        ("mcp__x__y", json!({"Shell-Command": "rm"}), Shell("rm")),
        ("mcp__x__y", json!({"command": ["rm", "-rf", "/"]}), Argv(vec!["rm", "-rf", "/"])),
        ("mcp__fs__read_file", json!({"path": "/etc/shadow"}), Touch("/etc/shadow", Read)),
        ("mcp__fs__read_then_write", json!({"path": "x"}), Touch("x", Write)),
        ("mcp__fs__x", json!({"options": {"FILE_PATH": "x"}}), Touch("x", Write)),
        ("server/tool", json!({"whatever": ["~/.ssh/id_rsa"]}), Word("~/.ssh/id_rsa")),
        ("mcp__x__y", json!({"to": "$HOME/.aws/credentials"}), Word("$HOME/.aws/credentials")),
        ("mcp__x__y", json!({"url": "http://169.254.169.254/"}), Act::Url("http://169.254.169.254/")),
        ("Read", json!({"file_path": "a", "command": "rm -rf /"}), Shell("rm -rf /")),
        ("TodoWrite", json!({"todos": [], "cmd": "rm -rf /"}), Shell("rm -rf /")),
        ("WebSearch", json!({"query": "x", "file_path": "/etc/shadow"}), Touch("/etc/shadow", Read)),
        ("Edit", json!({"file_path": "a", "extra": {"path": "/etc/x"}}), Touch("/etc/x", Write)),
        ("Bash", json!({"command": "ls", "options": {"cmd": "rm -rf /"}}), Shell("rm -rf /")),
        ("Task", json!({"prompt": "x", "config": {"url": "https://x.example"}}), Act::Url("https://x.example")),
    ] {
        let found = acts(name, &arguments).unwrap();
        assert!(found.contains(&expected), "{name} {arguments}: {found:?}");
    }
}

#[test]
fn deny_patches_that_hide_a_path() {
    let envelope = |body: &str| format!("*** Begin Patch\n{body}\n*** End Patch");
    for (text, expected) in [
        (envelope("*** Update File: a\n@@\n-x\n+y\n*** Move to: b"), &["a", "b"][..]),
        (envelope("*** Add File: a\n+x\n *** Delete File: /etc/x"), &["a", "/etc/x"]),
        (envelope("*** Update File: a\n@@\n ***\n+y\n*** End of File"), &["a"]),
        (format!("<<'EOF'\n{}\nEOF", envelope("*** Delete File: ../x")), &["../x"]),
        ("--- a/x\n+++ b/../../y\n@@ -1 +1 @@\n-a\n+b\n".to_owned(), &["a/x", "x", "b/../../y", "../../y"]),
        ("diff --git a/x b/y\nrename from x\nrename to /etc/y\n".to_owned(), &["a/x", "x", "b/y", "y", "/etc/y"]),
        ("--- /dev/null\n+++ /etc/x\t2026\n@@ -0,0 +1 @@\n+b\n".to_owned(), &["/etc/x"]),
    ] {
        for arguments in [json!({"input": text}), json!({"patchText": text}), json!({"command": ["apply_patch", text]})]
        {
            let found = acts("apply_patch", &arguments).unwrap();
            for path in expected {
                assert!(found.contains(&Touch(path, Write)), "{text}: no `{path}` in {found:?}");
            }
        }
    }
    let shell = json!({"command": format!("apply_patch <<'EOF'\n{}\nEOF", envelope("*** Add File: ~/.bashrc\n+x"))});
    assert!(acts("shell", &shell).unwrap().contains(&Touch("~/.bashrc", Write)));
    for text in [
        "",
        "hello",
        "*** Begin Patch\n*** End Patch",
        "*** Begin Patch\n*** Add File: a\n+x",
        "*** Begin Patch\n*** Copy File: a\n*** End Patch",
        "*** Begin Patch\n*** Add File: \n+x\n*** End Patch",
        "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch\n*** Add File: b\n+x\n*** End Patch",
        "--- a\n",
        "@@ -1 +1 @@\n-a\n+b\n",
        "--- \"a\\057x\"\n+++ b\n",
        "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc\n",
    ] {
        assert_eq!(acts("apply_patch", &json!({"input": text})), Err(CallFault::Patch), "{text}");
    }
}

#[test]
fn deny_patterns_that_climb() {
    for pattern in [
        "*/../../x",
        "**/../x",
        "{..,a}/x",
        "{/etc,a}/passwd",
        "{a,~}/x",
        "@(/etc)/x",
        "[.]./x/*",
        ".[.]/x",
        "\\/etc/*",
        "a/{b,../../c}/*",
        "?(.)./x",
        "*/..",
        "+(.)/x",
    ] {
        for (name, key) in [("Glob", "pattern"), ("Grep", "glob"), ("glob", "glob_pattern")] {
            assert_eq!(acts(name, &json!({ key: pattern })), Err(CallFault::Pattern), "{name} `{pattern}`");
        }
    }
    for pattern in ["**/*.{ts,tsx}", "src/**", ".*", "*.md", "a{b,c}/d", "[a-z]*.rs", ".github/*.yml", "!**/x.rs"] {
        assert!(acts("Glob", &json!({"pattern": pattern})).is_ok(), "`{pattern}`");
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
        ("Bash", json!({"cmd": "ls", "command": "rm"}), CallFault::Twice("cmd", "command")),
        ("Bash", json!({"command": "ls", "cwd": 1}), CallFault::Type("cwd")),
        ("Bash", json!({"command": "ls", "cwd": "a", "workdir": "b"}), CallFault::Twice("cwd", "workdir")),
        ("Bash", json!({"command": "ls", "shell": "fish"}), CallFault::Widens("shell")),
        ("Bash", json!({"command": "ls", "shell": "./bash"}), CallFault::Widens("shell")),
        ("Read", json!({}), CallFault::Missing("path")),
        ("Read", json!({"file_path": 1}), CallFault::Type("path")),
        ("Read", json!({"file_path": "a", "paths": [1]}), CallFault::Type("path")),
        ("Glob", json!({"pattern": 1}), CallFault::Type("pattern")),
        ("move_file", json!({"source": "a"}), CallFault::Missing("destination")),
        ("WebFetch", json!({"url": 1}), CallFault::Type("url")),
        ("web_fetch", json!({"prompt": "no address"}), CallFault::Missing("url")),
        ("batch", json!({"tool_calls": []}), CallFault::Missing("tool_calls")),
        ("batch", json!({"tool_calls": [{"tool": "batch", "parameters": {}}]}), CallFault::TooLarge),
        (
            "batch",
            json!({"tool_calls": [{"tool": "bash", "parameters": {}, "args": {}}]}),
            CallFault::Missing("parameters"),
        ),
    ] {
        assert_eq!(read(name, &arguments), Err(expected), "{name} {arguments}");
    }
    let mut deep = json!("x");
    for _ in 0..40 {
        deep = json!([deep]);
    }
    assert_eq!(read("mcp__x__y", &deep), Err(CallFault::TooLarge));
    assert_eq!(read("mcp__x__y", &json!({"a": vec![1; NODES_MAX + 1]})), Err(CallFault::TooLarge));
    let many = json!({"paths": vec!["a"; ACTS_MAX + 1]});
    assert_eq!(read("read_many_files", &many), Err(CallFault::TooMany));
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
        json!({"command": "ls", "ENV": {"LD_PRELOAD": "./x"}}),
        json!({"cmd": ["ls"], "stdin": "x"}),
    ] {
        assert!(!reads("Bash", widened.clone()), "{widened}");
    }
}
