// SPDX-License-Identifier: MIT OR Apache-2.0
//! A project file only restricts, and no text can make a ruling looser or the engine panic.

use std::sync::OnceLock;

use proptest::prelude::*;
use ringfort_core::action::{Action, Command, Egress, PathAccess, PathOp, ToolCall};
use ringfort_core::decision::Decision;
use ringfort_core::request::Request;
use ringfort_core::ruling::Ruling;
use ringfort_core::text::Text;
use ringfort_policy::load::{Loaded, parse_restriction, validate};
use ringfort_policy::path::Setting;
use ringfort_policy::preset::Preset;
use ringfort_policy::rule::{Effective, Policy};
use serde_json::json;

use crate::support::{Files, request, shell};

/// Requests of every kind, with every answer.
fn requests() -> &'static [Request] {
    static REQUESTS: OnceLock<Vec<Request>> = OnceLock::new();
    REQUESTS.get_or_init(|| {
        let mut all: Vec<Request> = [
            "ls -la",
            "git status",
            "npm test",
            "echo x > a",
            "rm -rf build",
            "git push --force",
            "cat ~/.ssh/id_rsa",
            "echo x > ~/y",
            "$X y",
            "echo 'x",
            "rm -rf /",
            "curl https://example.com",
            "cat .env",
            "",
        ]
        .map(shell)
        .into();
        for path in ["a", "../x", "/etc/passwd", "~/.ssh/x", ".git/config", "%2e%2e/x"] {
            for op in [PathOp::Read, PathOp::Write, PathOp::Execute] {
                all.push(request(Action::Path(PathAccess { path: Text::from(path), op })));
            }
        }
        for (name, arguments) in [
            ("Read", json!({"file_path": "a"})),
            ("Write", json!({"file_path": "a"})),
            ("mcp__x__y", json!({})),
            ("TodoWrite", json!({})),
            ("Bash", json!({"command": "npm test"})),
        ] {
            all.push(request(Action::Tool(ToolCall { name: name.to_owned(), arguments })));
        }
        for url in ["https://example.com", "http://127.0.0.1", "http://169.254.169.254"] {
            all.push(request(Action::Egress(Egress { url: url.to_owned(), method: None, program: None })));
        }
        all
    })
}

fn ruling(chain: &[Policy], request: &Request) -> Ruling {
    Ruling::strictest(chain.iter().map(|policy| policy.decide(request)))
}

/// Whether `narrow` is at least as strict as `wide` in every part.
fn no_looser(narrow: &Ruling, wide: &Ruling) -> bool {
    let isolated = match (&wide.obligations.isolate, &narrow.obligations.isolate) {
        (None, _) => true,
        (Some(wide), Some(narrow)) => narrow.is_superset(wide),
        (Some(_), None) => false,
    };
    narrow.decision >= wide.decision && narrow.risk >= wide.risk && isolated
}

fn no_wider(narrow: &Effective, wide: &Effective) -> bool {
    let bound =
        |narrow: Option<u64>, wide: Option<u64>| wide.is_none_or(|wide| narrow.is_some_and(|narrow| narrow <= wide));
    narrow.actions_per_hour_max <= wide.actions_per_hour_max
        && narrow.loop_repeats_max <= wide.loop_repeats_max
        && wide.shell_timeout.is_none_or(|wide| narrow.shell_timeout.is_some_and(|narrow| narrow <= wide))
        && narrow.shell_env_passthrough == wide.shell_env_passthrough
        && narrow.roots == wide.roots
        && narrow.roots_read_only == wide.roots_read_only
        && narrow.home_read_only == wide.home_read_only
        && narrow.promises.is_superset(&wide.promises)
        && wide.hidden.iter().all(|place| narrow.hidden.contains(place))
        && bound(narrow.limits.wall_ms_max, wide.limits.wall_ms_max)
        && bound(narrow.limits.cpu_ms_max, wide.limits.cpu_ms_max)
        && bound(narrow.limits.memory_bytes_max, wide.limits.memory_bytes_max)
        && bound(narrow.limits.processes_max, wide.limits.processes_max)
        && bound(narrow.limits.output_bytes_max, wide.limits.output_bytes_max)
        && bound(narrow.limits.file_bytes_max, wide.limits.file_bytes_max)
        && bound(narrow.limits.cpu_percent_max, wide.limits.cpu_percent_max)
        && narrow.degree_min.reaches(wide.degree_min)
}

const USER: &str = "[autonomy]\nlevel = \"full\"\nmax_actions_per_hour = 500\nshell_timeout_secs = 60\nallowed_roots = [\"/srv\"]\n\
                    [sandbox]\nrequire = [\"confine-writes\"]\nhidden = [\"/opt\"]\ndegree_min = \"reduced\"\nlimits = { wall_secs = 100, memory_mb = 100, cpu_percent = 150 }\n\
                    [egress]\ndomains = [\"example.com\"]\n";

fn loaded(project: Option<&str>) -> Option<Loaded> {
    let files = Files::new();
    files.write("system.toml", USER);
    if let Some(project) = project {
        files.write("project.toml", project);
    }
    files.load().ok()
}

fn no_escalation(base: &Loaded, project: &str) -> Result<(), String> {
    // What does not load stops the guard: nothing is allowed then.
    let Some(with) = loaded(Some(project)) else { return Ok(()) };
    if with.config != base.config || with.chain[0].digest() != base.chain[0].digest() {
        return Err(format!("the configuration changed: {project}"));
    }
    if !no_wider(&with.effective(), &base.effective()) {
        return Err(format!("a bound widened: {project}"));
    }
    for request in requests() {
        if !no_looser(&ruling(&with.chain, request), &ruling(&base.chain, request)) {
            return Err(format!("`{}` is looser with: {project}", request.action.to_display()));
        }
    }
    Ok(())
}

const PROJECT: &str = "[autonomy]\nlevel = \"supervised\"\nask = \"high\"\nunresolved = \"ask\"\nworkspace_only = true\n\
                       allowed_commands = [\"git\", \"npm\"]\ndeny = [\"git push\"]\nask_commands = [\"npm publish\"]\n\
                       forbidden_paths = [\"secret\"]\nmax_actions_per_hour = 100\nloop_repeats_max = 3\n\
                       allowed_tools = [\"Read\", \"Bash\"]\ndenied_tools = [\"mcp*\"]\nask_tools = [\"Write\"]\nshell_timeout_secs = 30\n\
                       [egress]\ndenied_domains = [\"evil.net\"]\n\
                       [sandbox]\nrequire = [\"no-network\"]\nhidden = [\"data\"]\ndegree_min = \"full\"\nlimits = { wall_secs = 10, processes = 5, cpu_percent = 50 }\n";

#[test]
fn no_escalation_by_any_single_key_of_a_project() {
    let base = loaded(None).unwrap();
    assert!(loaded(Some(PROJECT)).is_some(), "the whole example loads");
    let mut section = "";
    for line in PROJECT.lines() {
        if line.starts_with('[') {
            section = line;
            continue;
        }
        let project = format!("{section}\n{line}\n");
        assert!(loaded(Some(&project)).is_some(), "{project}");
        no_escalation(&base, &project).unwrap();
    }
    no_escalation(&base, PROJECT).unwrap();
}

#[test]
fn deny_project_keys_that_would_widen() {
    for (text, expected) in [
        ("[autonomy]\nallowed_roots = [\"/\"]\n", "`autonomy.allowed_roots` cannot be set by a project"),
        ("[autonomy]\nlevel = \"full\"\n", "unknown variant `full`, expected `readonly` or `supervised`"),
        ("[autonomy]\nask = \"never\"\n", "unknown variant `never`"),
        ("[autonomy]\nworkspace_only = false\n", "`autonomy.workspace_only` cannot be set by a project"),
        (
            "[autonomy]\nshell_env_passthrough = [\"X\"]\n",
            "`autonomy.shell_env_passthrough` cannot be set by a project",
        ),
        ("[policy]\nprovider = \"x\"\n", "`policy` cannot be set by a project"),
        ("[policy]\npreset = \"trusted\"\n", "`policy` cannot be set by a project"),
        ("[runtime]\nkind = \"docker\"\n", "`runtime` cannot be set by a project"),
        ("[runtime.docker]\nimage = \"evil\"\n", "`runtime` cannot be set by a project"),
        ("[egress]\ndomains = [\"evil.net\"]\n", "`egress.domains` cannot be set by a project"),
        ("[gateway]\nport = 1\n", "`gateway` cannot be set by a project"),
        ("[tunnel]\nprovider = \"custom\"\n", "`tunnel` cannot be set by a project"),
        ("[sandbox]\nhome_read_only = [\"~/x\"]\n", "`sandbox.home_read_only` cannot be set by a project"),
        (
            "[autonomy]\nalowed_commands = []\n",
            "unknown key `autonomy.alowed_commands`; did you mean `autonomy.allowed_commands`?",
        ),
    ] {
        let files = Files::new();
        files.write("project.toml", text);
        let error = files.error();
        assert!(error.starts_with("`project.toml` line "), "{error}");
        assert!(error.contains(expected), "{text}: {error}");
    }
}

/// A value for any key, of any type.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        (0_u32..100_000).prop_map(|number| number.to_string()),
        prop::sample::select(vec![
            "full",
            "readonly",
            "supervised",
            "never",
            "all",
            "high",
            "trusted",
            "deny",
            "/",
            "*"
        ])
        .prop_map(|word| format!("{word:?}")),
        prop::collection::vec("[a-z*/.~]{0,6}", 0..3).prop_map(|words| format!("{words:?}")),
        Just("{}".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_escalation_by_any_project_file(
        mutations in prop::collection::vec((any::<prop::sample::Index>(), value()), 1..4), cut in any::<prop::sample::Index>(),
    ) {
        static BASE: OnceLock<Loaded> = OnceLock::new();
        let base = BASE.get_or_init(|| loaded(None).unwrap());
        let mut lines: Vec<String> = PROJECT.lines().map(str::to_owned).collect();
        for (index, value) in mutations {
            let line = &mut lines[index.index(PROJECT.lines().count())];
            if let Some((key, _)) = line.clone().split_once(" = ") {
                *line = format!("{key} = {value}");
            }
        }
        let kept = lines.len().min(1 + cut.index(lines.len()));
        let result = no_escalation(base, &lines[..kept].join("\n"));
        prop_assert!(result.is_ok(), "{result:?}");
    }

    #[test]
    fn random_documents_load_or_are_errors_with_a_place(text in "(\\[?[a-z_.]{0,9}\\]?( = )?(\"[a-z]{0,4}\"|[0-9]{0,4}|\\[\\])?\n){0,6}") {
        let path = std::path::Path::new("x");
        if let Err(error) = validate(path, &text) {
            prop_assert!(error.to_string().starts_with("`x` line "), "{error}");
        }
        if let Err(error) = parse_restriction(path, &text) {
            prop_assert!(error.to_string().starts_with("`x` line "), "{error}");
        }
    }
}

fn policies() -> &'static [Policy] {
    static POLICIES: OnceLock<Vec<Policy>> = OnceLock::new();
    POLICIES.get_or_init(|| {
        let config = |text: &str| Policy::from_config(&validate("x".as_ref(), text).unwrap());
        let mut all: Vec<Policy> = Preset::ALL.iter().map(|preset| config(preset.text())).collect();
        all.push(config("[autonomy]\nlevel = \"full\"\n"));
        all.push(config("[autonomy]\nlevel = \"readonly\"\n"));
        all.push(config("[autonomy]\nallowed_commands = [\"git\", \"ls\"]\ndeny = [\"git push\"]\n"));
        all.push(Policy::from_restriction(&parse_restriction("x".as_ref(), PROJECT).unwrap()));
        all
    })
}

/// Text with the bytes that shells treat specially.
fn nasty() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "ls",
            "rm -rf",
            "/",
            "~",
            "$X",
            "$(",
            ")",
            "`",
            "'",
            "\"",
            "\\",
            ";",
            "&&",
            "|",
            ">",
            "<<E",
            "\n",
            " ",
            "git push",
            "..",
            "E",
            "{",
            "}",
            "cat",
            ".env",
            "sh -c",
            "#",
            "*",
            "=",
            "eval",
            "for i in",
            "do",
            "done",
            "/etc/passwd",
            "2>&1",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn decide_never_panics_and_keeps_its_spans(text in nasty()) {
        let setting = Setting::from(&requests()[0]).clone();
        for policy in policies() {
            for action in [
                Action::Command(Command::Shell(Text::new(text.clone()))),
                Action::Command(Command::Argv(text.split(|b| *b == b' ').map(Text::new).collect())),
                Action::Path(PathAccess { path: Text::new(text.clone()), op: PathOp::Write }),
                Action::Egress(Egress { url: String::from_utf8_lossy(&text).into_owned(), method: None, program: None }),
                Action::Tool(ToolCall { name: "Bash".to_owned(), arguments: json!({"command": String::from_utf8_lossy(&text)}) }),
                Action::Tool(ToolCall { name: String::from_utf8_lossy(&text).into_owned(), arguments: json!({}) }),
            ] {
                let ruling = policy.decide_in(&action, &setting);
                prop_assert!(!ruling.reasons.is_empty());
                prop_assert!(ruling.deciding().next().is_some(), "{:?}", ruling);
                prop_assert!(ruling.reasons.is_sorted_by(|a, b| a.decision >= b.decision));
            }
        }
    }

    #[test]
    fn no_escalation_by_adding_a_deletion(text in nasty()) {
        let setting = Setting::from(&requests()[0]).clone();
        let shell = |policy: &Policy, text: &[u8]| policy.decide_in(&Action::Command(Command::Shell(Text::new(text))), &setting);
        let readable = |ruling: &Ruling| !ruling.reasons.iter().any(|reason| ("command-001"..="command-013").contains(&reason.rule.as_str()));
        let longer = [text.as_slice(), b"; rm -rf /"].concat();
        // Where the text ends in an operator, an escape or a comment, the addition is not a command of its own.
        let open = text.iter().any(|b| matches!(b, b'#' | b'\\')) || text.windows(2).any(|pair| pair == b"<<");
        let ended = text.iter().rev().find(|b| !matches!(b, b' ' | b'\t')).is_some_and(|b| !b";&|\n\r".contains(b));
        for policy in policies() {
            let before = shell(policy, &text);
            if readable(&before) && ended && !open {
                let after = shell(policy, &longer);
                prop_assert_eq!(after.decision, Decision::Deny, "{:?}: {:?}", Text::new(longer.clone()), after.reasons);
            }
        }
    }
}
