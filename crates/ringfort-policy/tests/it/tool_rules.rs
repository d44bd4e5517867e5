// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules on the arguments of tools: strict types, closed sets, and errors that say what is wrong.

use std::path::Path;

use ringfort_core::decision::Decision::{Allow, Ask, Deny};
use ringfort_policy::load::{parse_restriction, validate};
use ringfort_policy::rule::Policy;
use serde_json::json;

use crate::support::{Files, answer, request, ruled, tool};

const RULES: &str = r#"
[[autonomy.tool_rules]]
tool = "mcp__git__log"
allow = true
[autonomy.tool_rules.arguments]
branch = { pattern = "[a-z0-9/-]+", max_length = 20, required = true }
count = { type = "integer", min = 1, max = 100 }
share = { type = "number", max = 1 }
format = { enum = ["short", "full"] }
level = { type = "integer", enum = [1, 2] }
file = { path = true }
remote = { hosts = ["*.git.example.com"] }
verbose = { type = "boolean" }
labels = { type = "array", items = "string", max_items = 2, pattern = "[a-z]+" }
extra = { type = "object" }

[[autonomy.tool_rules]]
tool = "mcp__mail__*"
arguments = {}

[[autonomy.tool_rules]]
tool = "Bash"
arguments = { command = { pattern = "(ls|git status)( .*)?" }, description = {} }
"#;

#[test]
fn deny_arguments_that_do_not_fit() {
    let with = |extra: serde_json::Value| {
        let mut arguments = json!({"branch": "main"});
        arguments.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        arguments
    };
    for (arguments, expected) in [
        (json!({"branch": "main"}), Allow),
        (json!({"branch": "a/b-1"}), Allow),
        (json!({"branch": "main; rm -rf /"}), Deny),
        (json!({"branch": "main\n"}), Deny),
        (json!({"branch": ""}), Deny),
        (json!({"branch": "a".repeat(21)}), Deny),
        (json!({"branch": ["main"]}), Deny),
        (json!({"branch": null}), Deny),
        (json!({}), Deny),
        (json!("main"), Deny),
        (json!({"Branch": "main"}), Deny),
        (with(json!({"other": 1})), Deny),
        (with(json!({"count": 100})), Allow),
        (with(json!({"count": 101})), Deny),
        (with(json!({"count": 0})), Deny),
        (with(json!({"count": 1.5})), Deny),
        (with(json!({"count": "5"})), Deny),
        (with(json!({"count": 18_446_744_073_709_551_615_u64})), Deny),
        (with(json!({"share": 0.5})), Allow),
        (with(json!({"share": 1.1})), Deny),
        (with(json!({"format": "full"})), Allow),
        (with(json!({"format": "Full"})), Deny),
        (with(json!({"level": 2})), Allow),
        (with(json!({"level": 3})), Deny),
        (with(json!({"file": "src/a.rs"})), Allow),
        (with(json!({"file": "../a.rs"})), Deny),
        (with(json!({"file": "%2e%2e/a"})), Deny),
        (with(json!({"remote": "https://eu.git.example.com/x"})), Allow),
        (with(json!({"remote": "https://git.example.com.evil.example/x"})), Deny),
        (with(json!({"remote": "https://eu.git.example.com@evil.example/x"})), Deny),
        (with(json!({"verbose": true})), Allow),
        (with(json!({"verbose": "true"})), Deny),
        (with(json!({"labels": ["a", "b"]})), Allow),
        (with(json!({"labels": ["a", "b", "c"]})), Deny),
        (with(json!({"labels": ["a", 1]})), Deny),
        (with(json!({"labels": ["a", "B"]})), Deny),
        (with(json!({"labels": "a"})), Deny),
        (with(json!({"extra": {"a": {"b": 1}}})), Allow),
        (with(json!({"extra": {"cmd": "rm -rf /"}})), Deny),
        (with(json!({"extra": []})), Deny),
    ] {
        let ruling = ruled(RULES, tool("mcp__git__log", arguments.clone()));
        assert_eq!(ruling.decision, expected, "{arguments}: {:?}", ruling.reasons);
    }
}

#[test]
fn a_rule_never_makes_a_known_tool_milder() {
    for (name, arguments, expected) in [
        ("Bash", json!({"command": "ls -la"}), Allow),
        ("Bash", json!({"command": "git status", "description": "x"}), Allow),
        ("Bash", json!({"command": "ls; cat ~/.ssh/id_rsa"}), Deny),
        ("Bash", json!({"command": "ls ~/.ssh/id_rsa"}), Deny),
        ("Bash", json!({"command": "cargo build"}), Deny),
        ("bash", json!({"command": "cargo build"}), Deny),
        ("Bash", json!({"command": "ls", "timeout": 1}), Deny),
        ("mcp__mail__send", json!({}), Ask),
        ("mcp__mail__send", json!({"to": "x"}), Deny),
        ("MCP-mail-send", json!({"to": "x"}), Ask),
        ("MCP--mail--send", json!({"to": "x"}), Deny),
        ("mcp__git__Log", json!({"branch": "main"}), Ask),
        ("mcp__other", json!({"to": "x"}), Ask),
    ] {
        let ruling = ruled(RULES, tool(name, arguments.clone()));
        assert_eq!(ruling.decision, expected, "{name} {arguments}: {:?}", ruling.reasons);
    }
    let ruling = ruled(RULES, tool("mcp__mail__send", json!({"to": "x"})));
    assert_eq!(answer(&ruling), (Deny, false, vec!["tool-010"]));
}

#[test]
fn deny_by_a_project_that_only_restricts() {
    let text = "[[autonomy.tool_rules]]\ntool = \"mcp__git__*\"\narguments = { branch = { enum = [\"main\"] } }\n";
    let restriction = Policy::from_restriction(&parse_restriction(Path::new("test"), text).unwrap());
    for (arguments, expected) in
        [(json!({"branch": "main"}), Allow), (json!({"branch": "other"}), Deny), (json!({"force": true}), Deny)]
    {
        let ruling = restriction.decide(&request(tool("mcp__git__log", arguments.clone())));
        assert_eq!(ruling.decision, expected, "{arguments}: {:?}", ruling.reasons);
    }
    let files = Files::new();
    files.write("project.toml", "[[autonomy.tool_rules]]\ntool = \"x\"\nallow = true\n");
    let error = files.error();
    assert!(error.contains("autonomy.tool_rules.allow") && error.contains("only restricts"), "{error}");
}

#[test]
fn deny_rules_that_cannot_be_used() {
    let rule =
        |arguments: &str| format!("[[autonomy.tool_rules]]\ntool = \"x\"\narguments = {{ a = {{ {arguments} }} }}\n");
    for (text, expected) in [
        ("[[autonomy.tool_rules]]\ntool = \"x\"\n".to_owned(), "neither `arguments` nor `allow`"),
        ("[[autonomy.tool_rules]]\ntool = \"a*b\"\nallow = true\n".to_owned(), "a `*` stands only at the end"),
        ("[[autonomy.tool_rules]]\nallow = true\n".to_owned(), "a tool's name is neither empty"),
        ("[[autonomy.tool_rules]]\ntool = \"Read\"\nallow = true\n".to_owned(), "that tool is known"),
        ("[[autonomy.tool_rules]]\ntool = \"x\"\nalow = true\n".to_owned(), "did you mean `autonomy.tool_rules.allow`"),
        (rule("patern = \"x\""), "did you mean `autonomy.tool_rules.arguments.a.pattern`"),
        (rule("pattern = \"(\""), "rule 1: `a`: the pattern is not understood"),
        (rule("pattern = \"x)|(y\""), "rule 1: `a`: the pattern is not understood"),
        (rule("pattern = \"(?x)a #\""), "rule 1: `a`: the pattern is not understood"),
        (rule("pattern = \"(a{1000}){1000}\""), "rule 1: `a`: the pattern is not understood"),
        (rule("type = \"text\""), "unknown variant `text`"),
        (rule("type = \"integer\", pattern = \"x\""), "are for strings"),
        (rule("min = 1"), "are for numbers"),
        (rule("items = \"string\""), "are for arrays"),
        (rule("type = \"integer\", min = 2, max = 1"), "lies above"),
        (rule("enum = []"), "`enum` holds between 1 and"),
        (rule("enum = [1]"), "`enum` holds between 1 and"),
        (rule("hosts = [\"*.com\"]"), "a `*` stands before two named labels"),
        (rule("path = true, hosts = [\"a.example\"]"), "either a path or a URL"),
    ] {
        let error = validate(Path::new("test"), &text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}\n{error}");
    }
}
