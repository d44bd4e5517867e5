// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of what every protocol has in common, and of each by its documented messages.

use ringfort_core::action::{Egress, PathAccess, PathOp};
use serde_json::json;

use super::*;

/// Every way to say something.
const OPINIONS: [Opinion<'_>; 4] = [Opinion::None, Opinion::Tell("what"), Opinion::Ask("why"), Opinion::Deny("why")];

fn shell(text: &str) -> Action {
    Action::Command(Command::Shell(Text::from(text)))
}

fn tool(name: &str, arguments: Value) -> Action {
    Action::Tool(ToolCall { name: name.to_owned(), arguments })
}

fn call(name: &str, message: &Value) -> Call {
    agent(name).unwrap().parse(message.to_string().as_bytes(), None).unwrap()
}

/// What each agent writes before a tool call.
fn before(name: &str, tool: &str, arguments: &Value) -> Value {
    match name {
        "generic" => {
            json!({ "event": "before-tool", "session": "s", "cwd": "/w", "tool": tool, "arguments": arguments })
        }
        "cursor" => json!({
            "hook_event_name": "preToolUse", "conversation_id": "s", "generation_id": "g", "workspace_roots": ["/w"],
            "tool_name": tool, "tool_input": arguments, "cwd": "/w",
        }),
        "copilot" => json!({
            "hook_event_name": "preToolUse", "sessionId": "s", "timestamp": 1, "cwd": "/w", "toolName": tool,
            "toolArgs": arguments,
        }),
        _ => {
            let event = match name {
                "gemini" => "BeforeTool",
                "opencode" => "tool.execute.before",
                "openclaw" => "before_tool_call",
                _ => "PreToolUse",
            };
            json!({
                "hook_event_name": event, "session_id": "s", "cwd": "/w", "permission_mode": "default",
                "tool_name": tool, "tool_input": arguments, "tool_use_id": "t",
            })
        }
    }
}

/// The shell of each agent.
const SHELLS: [(&str, &str); 7] = [
    ("claude-code", "Bash"),
    ("codex", "Bash"),
    ("gemini", "run_shell_command"),
    ("cursor", "Shell"),
    ("copilot", "bash"),
    ("opencode", "bash"),
    ("openclaw", "exec"),
];

#[test]
fn a_command_of_an_agents_shell_is_that_command() {
    for (name, shell_tool) in SHELLS {
        let known = call(name, &before(name, shell_tool, &json!({ "command": "git status" })));
        assert_eq!(known.action, Some(shell("git status")), "{name}");
        assert_eq!((known.session.as_str(), known.cwd.as_deref()), ("s", Some(std::path::Path::new("/w"))), "{name}");
        let other = json!({ "path": "a" });
        assert_eq!(call(name, &before(name, "Other", &other)).action, Some(tool("Other", other)), "{name}");
    }
}

#[test]
fn deny_reading_only_a_part_of_a_shell_call() {
    for (name, shell_tool) in SHELLS {
        for arguments in [
            json!({ "command": "ls", "cmd": "rm -rf ~" }),
            json!({ "command": "ls", "workdir": "/etc" }),
            json!({ "command": ["ls"] }),
            json!({ "cmd": "ls" }),
            json!({}),
        ] {
            let known = call(name, &before(name, shell_tool, &arguments));
            assert_eq!(known.action, Some(tool(shell_tool, arguments.clone())), "{name} {arguments}");
        }
    }
}

#[test]
fn deny_messages_that_lack_something_or_say_it_wrongly() {
    for agent in AGENTS {
        let whole = before(agent.name, "Bash", &json!({ "command": "ls" }));
        assert!(agent.parse(whole.to_string().as_bytes(), None).is_ok(), "{}", agent.name);
        for name in whole.as_object().unwrap().keys() {
            for wrong in [json!(7), json!([]), json!({ "a": 1 }), json!("")] {
                let mut message = whole.clone();
                message[name] = wrong.clone();
                // Whatever comes of it, it is never another event, a relative folder or no action.
                if let Ok(call) = agent.parse(message.to_string().as_bytes(), None) {
                    assert!(call.moment.is_before() && call.action.is_some(), "{} {name} {wrong}", agent.name);
                    assert!(call.cwd.is_none_or(|cwd| cwd.is_absolute()), "{} {name} {wrong}", agent.name);
                }
            }
        }
        for needed in ["tool_name", "tool_input", "toolName", "toolArgs", "hook_event_name", "event", "tool"] {
            let mut message = whole.clone();
            if message.as_object_mut().unwrap().remove(needed).is_some() {
                assert!(agent.parse(message.to_string().as_bytes(), None).is_err(), "{} without {needed}", agent.name);
            }
        }
        for text in ["", "{", "[]", "null", "{}", "\u{0}", "{\"hook_event_name\":1}"] {
            assert!(agent.parse(text.as_bytes(), None).is_err(), "{} `{text}`", agent.name);
            assert!(agent.peek(text.as_bytes(), None).1.is_before(), "{} `{text}`", agent.name);
        }
        let mut relative = whole.clone();
        relative["cwd"] = json!("w");
        assert!(agent.parse(relative.to_string().as_bytes(), None).is_err(), "{}", agent.name);
        assert!(agent.parse(&vec![b' '; INPUT_BYTES_MAX + 1], None).is_err(), "{}", agent.name);
    }
}

/// Whether an agent takes this answer for a denial, as its protocol says.
fn denies(name: &str, answer: &Answer) -> bool {
    if answer.status == EXIT_BLOCK {
        return !answer.stderr.is_empty();
    }
    let Ok(value) = serde_json::from_slice::<Value>(&answer.stdout) else { return false };
    let specific = &value["hookSpecificOutput"];
    let word = match name {
        "claude-code" | "codex" => {
            [&specific["permissionDecision"], &specific["decision"]["behavior"], &value["decision"]]
                .into_iter()
                .find_map(|word| word.as_str().map(str::to_owned))
        }
        "cursor" => value["permission"].as_str().map(str::to_owned),
        "copilot" => value["permissionDecision"].as_str().map(str::to_owned),
        _ => value["decision"].as_str().map(str::to_owned),
    };
    answer.status == 0 && matches!(word.as_deref(), Some("deny" | "block"))
}

#[test]
fn deny_in_a_form_that_the_agent_takes_for_one() {
    for agent in AGENTS {
        let event = before(agent.name, "Bash", &json!({}));
        let event = event["hook_event_name"].as_str().or(event["event"].as_str()).unwrap();
        for moment in [Moment::BeforeTool, Moment::Permission, Moment::BeforeOther] {
            let answer = agent.answer(&Place { event, moment }, &Opinion::Deny("because"));
            assert!(denies(agent.name, &answer), "{} {moment:?} {answer:?}", agent.name);
            let said = [answer.stdout, answer.stderr].concat();
            assert!(String::from_utf8(said).unwrap().contains("because"), "{}", agent.name);
        }
        // A question is one, or a denial where the agent has none.
        let asked = agent.answer(&Place { event, moment: Moment::BeforeTool }, &Opinion::Ask("because"));
        let asks = ["claude-code", "copilot", "generic"].contains(&agent.name);
        assert_eq!(!denies(agent.name, &asked), asks, "{} {asked:?}", agent.name);
        assert_eq!(String::from_utf8_lossy(&asked.stdout).contains("\"ask\""), asks, "{}", agent.name);
    }
}

#[test]
fn deny_saying_anything_in_favour_of_a_call() {
    for agent in AGENTS.iter().filter(|agent| agent.name != "generic") {
        for moment in [Moment::BeforeTool, Moment::Permission, Moment::AfterTool, Moment::Prompt, Moment::Stop] {
            for opinion in OPINIONS {
                let answer = agent.answer(&Place { event: "X", moment }, &opinion);
                let text = String::from_utf8(answer.stdout).unwrap();
                assert!(!text.contains("\"allow\"") && !text.contains("approve"), "{} {moment:?} {text}", agent.name);
                if opinion == Opinion::None {
                    let expected = if agent.name == "cursor" { "{}\n" } else { "" };
                    assert_eq!((text.as_str(), answer.status), (expected, 0), "{} {moment:?}", agent.name);
                }
            }
        }
    }
}

#[test]
fn nothing_keeps_an_agent_from_stopping() {
    for agent in AGENTS.iter().filter(|agent| agent.name != "generic") {
        for moment in [Moment::Stop, Moment::Other, Moment::AfterTool] {
            let answer = agent.answer(&Place { event: "Stop", moment }, &Opinion::Deny("why"));
            assert!(!denies(agent.name, &answer) && answer.status == 0, "{} {moment:?} {answer:?}", agent.name);
        }
    }
}

#[test]
fn deny_events_that_come_before_something_and_are_not_known() {
    for agent in AGENTS {
        for event in ["PreNew", "beforeNew", "before_new", "permissionNew", "willRun", "newRequest"] {
            assert!((agent.moment)(event).is_before(), "{} {event}", agent.name);
        }
    }
}

#[test]
fn the_event_of_the_command_line_counts_where_the_message_names_none() {
    let copilot = agent("copilot").unwrap();
    let message =
        r#"{"timestamp":1,"cwd":"/w","toolName":"bash","toolArgs":"{\"command\":\"git push\",\"description\":\"x\"}"}"#;
    let named = copilot.parse(message.as_bytes(), Some("preToolUse")).unwrap();
    assert_eq!((named.moment, named.action), (Moment::BeforeTool, Some(shell("git push"))));
    assert!(copilot.parse(message.as_bytes(), None).is_err());
    let wrong = message.replace("{\\\"command", "[{\\\"command");
    assert!(copilot.parse(wrong.as_bytes(), Some("preToolUse")).is_err());
    // What the message says itself counts more.
    let own = before("copilot", "bash", &json!({ "command": "ls" })).to_string();
    assert_eq!(copilot.parse(own.as_bytes(), Some("sessionStart")).unwrap().moment, Moment::BeforeTool);
}

#[test]
fn claude_code_asks_only_in_modes_in_which_it_asks() {
    for (mode, asks) in [
        (json!("default"), true),
        (json!("acceptEdits"), true),
        (json!("plan"), true),
        (json!("auto"), true),
        (json!("bypassPermissions"), false),
        (json!("dontAsk"), false),
        (json!("tomorrow"), false),
        (Value::Null, false),
    ] {
        let mut message = before("claude-code", "Bash", &json!({ "command": "ls" }));
        message["permission_mode"] = mode.clone();
        assert_eq!(call("claude-code", &message).asks == Asks::Agent, asks, "{mode}");
        assert_ne!(call("codex", &message).asks, Asks::Agent, "{mode}");
    }
}

#[test]
fn cursor_counts_a_call_once_that_comes_by_two_events() {
    for (name, moment) in [
        ("Shell", Moment::Permission),
        ("Read", Moment::Permission),
        ("MCP:search", Moment::Permission),
        ("Write", Moment::BeforeTool),
        ("Delete", Moment::BeforeTool),
    ] {
        assert_eq!(call("cursor", &before("cursor", name, &json!({}))).moment, moment, "{name}");
    }
    let message = |event: &str, members: Value| {
        let mut message = json!({ "hook_event_name": event, "conversation_id": "s", "workspace_roots": ["/w"] });
        message.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        call("cursor", &message)
    };
    let ran = message("beforeShellExecution", json!({ "command": "ls", "cwd": "" }));
    assert_eq!((ran.moment, ran.action, ran.cwd), (Moment::BeforeTool, Some(shell("ls")), Some(PathBuf::from("/w"))));
    let read = message("beforeReadFile", json!({ "file_path": "/w/a", "content": "" }));
    assert_eq!(read.action, Some(Action::Path(PathAccess { path: Text::from("/w/a"), op: PathOp::Read })));
    let called = message("beforeMCPExecution", json!({ "tool_name": "search", "tool_input": "{\"q\":1}" }));
    assert_eq!(called.action, Some(tool("MCP:search", json!({ "q": 1 }))));
}

#[test]
fn the_generic_form_knows_every_kind_of_action_and_no_other_member() {
    let parse = |members: Value| {
        let mut message = json!({ "event": "before-tool", "session": "s", "cwd": "/w" });
        message.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        parse("generic", message.to_string().as_bytes()).map(|call| call.action.unwrap())
    };
    let words = Action::Command(Command::Argv(vec![Text::from("ls"), Text::from("-la")]));
    assert_eq!(parse(json!({ "command": "ls" })), Ok(shell("ls")));
    assert_eq!(parse(json!({ "command": ["ls", "-la"] })), Ok(words));
    assert_eq!(
        parse(json!({ "path": "a", "op": "write" })),
        Ok(Action::Path(PathAccess { path: Text::from("a"), op: PathOp::Write }))
    );
    assert_eq!(
        parse(json!({ "url": "https://x.example", "method": "GET" })),
        Ok(Action::Egress(Egress {
            url: "https://x.example".to_owned(),
            method: Some("GET".to_owned()),
            program: None
        }))
    );
    assert_eq!(parse(json!({ "tool": "t" })), Ok(tool("t", json!({}))));
    for wrong in [
        json!({}),
        json!({ "command": "ls", "tool": "t" }),
        json!({ "command": [] }),
        json!({ "command": [1] }),
        json!({ "path": "a" }),
        json!({ "path": "a", "op": "open" }),
        json!({ "command": "ls", "op": "read" }),
        json!({ "url": "x", "arguments": {} }),
        json!({ "command": "ls", "more": 1 }),
        json!({ "command": "ls", "asks": "everybody" }),
        json!({ "event": "stop-the-world", "command": "ls" }),
    ] {
        assert!(parse(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn all_strings_of_an_output_are_looked_at() {
    let output = json!({ "stdout": "one", "more": [{ "text": "two" }, "three", 4] });
    for word in ["one", "two", "three"] {
        assert!(strings(&output).contains(word));
    }
    let deep = (0..1000).fold(json!("end"), |value, _| json!([value]));
    assert_eq!(strings(&deep), "");
}

proptest::proptest! {
    #[test]
    fn no_input_panics_or_is_let_through(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        for agent in AGENTS {
            proptest::prop_assert!(agent.parse(&bytes, None).is_err());
            proptest::prop_assert!(agent.peek(&bytes, None).1.is_before());
        }
    }

    #[test]
    fn peek_and_parse_agree(event in "[A-Za-z._]{1,20}", key in "[a-z_]{1,12}", text in ".{0,40}") {
        for agent in AGENTS {
            let mut message = before(agent.name, "Bash", &json!({ "command": text, "hook_event_name": "Stop", key.clone(): 1 }));
            let member = if agent.name == "generic" { "event" } else { "hook_event_name" };
            message[member] = json!(event);
            let bytes = message.to_string();
            let (peeked, moment) = agent.peek(bytes.as_bytes(), None);
            proptest::prop_assert_eq!(&peeked, &event);
            if let Ok(call) = agent.parse(bytes.as_bytes(), None) {
                proptest::prop_assert_eq!(call.event, event.clone());
                proptest::prop_assert_eq!(call.moment.is_before(), moment.is_before());
            }
        }
    }
}
