// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every agent: in, looked at, out again; and what its program takes for a denial.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::setup::line::Stopper;

fn ground() -> Ground {
    Ground {
        home: PathBuf::from("/home/u"),
        project: PathBuf::from("/home/u/p"),
        config: PathBuf::from("/home/u/.config"),
        told: Vec::new(),
        binary: PathBuf::from("/usr/bin/ringfort"),
        stopper: Stopper::Timeout("/usr/bin/timeout"),
    }
}

/// A disk of texts.
#[derive(Default)]
struct Disk(RefCell<BTreeMap<PathBuf, String>>);

impl Disk {
    fn read(&self, path: &Path) -> Result<Option<String>, SetupError> {
        Ok(self.0.borrow().get(path).cloned())
    }

    fn write(&self, changes: &[Change]) {
        for change in changes {
            match &change.after {
                Some(text) => drop(self.0.borrow_mut().insert(change.path.clone(), text.clone())),
                None => drop(self.0.borrow_mut().remove(&change.path)),
            }
        }
    }

    fn look(&self, agent: &Agent, scope: Scope) -> Look {
        (agent.look)(&ground(), scope, &|path| self.read(path)).unwrap()
    }

    fn wire(&self, agent: &Agent, scope: Scope) -> Changes {
        let changes = (agent.wire)(&ground(), scope, &|path| self.read(path))?;
        self.write(&changes);
        Ok(changes)
    }

    fn strip(&self, agent: &Agent, scope: Scope) {
        let changes = (agent.strip)(&ground(), scope, &|path| self.read(path)).unwrap();
        self.write(&changes);
    }
}

#[test]
fn every_agent_goes_in_and_out() {
    for agent in AGENTS {
        for scope in Scope::ALL {
            let disk = Disk::default();
            assert_eq!(disk.look(agent, scope), Look::Absent, "{}", agent.name);
            match disk.wire(agent, scope) {
                Err(SetupError::NoPlace(_)) => {
                    assert!(agent.name == "zeroclaw" || (agent.name == "openclaw" && scope == Scope::Project));
                    continue;
                }
                other => drop(other.unwrap()),
            }
            assert!(matches!(disk.look(agent, scope), Look::Wired { .. }), "{} {scope:?}", agent.name);
            let again = disk.wire(agent, scope).unwrap();
            assert!(again.iter().all(Change::is_empty), "{}: a second run changes nothing", agent.name);
            disk.strip(agent, scope);
            assert_eq!(disk.look(agent, scope), Look::Absent, "{}", agent.name);
        }
    }
}

#[test]
fn deny_to_call_it_wired_when_the_agent_is_told_not_to_ask() {
    for (name, path, text) in [
        ("claude-code", "/home/u/p/.claude/settings.local.json", "{\"disableAllHooks\": true}"),
        ("claude-code", "/home/u/p/.claude/settings.json", "{\"disableAllHooks\": true}"),
        ("gemini", "/home/u/p/.gemini/settings.json", "{\"hooksConfig\": {\"enabled\": false}} // no"),
        ("gemini", "/home/u/p/.gemini/settings.json", "{\"hooksConfig\": {\"disabled\": [\"ringfort\"]}}"),
        ("copilot", "/home/u/.copilot/settings.json", "{\"disableAllHooks\": true}"),
    ] {
        let (agent, disk) = (agent(name).unwrap(), Disk::default());
        disk.wire(agent, Scope::User).unwrap();
        disk.0.borrow_mut().insert(PathBuf::from(path), text.to_owned());
        assert!(matches!(disk.look(agent, Scope::User), Look::Off { .. }), "{name}: {text}");
    }
    for (from, to) in [("\"enabled\": true", "\"enabled\": false"), ("{\n  \"plugins\"", "{\n  \"x\": 1, \"pluginz\"")]
    {
        let (agent, disk) = (agent("openclaw").unwrap(), Disk::default());
        disk.wire(agent, Scope::User).unwrap();
        let path = PathBuf::from("/home/u/.openclaw/openclaw.json");
        let text = disk.read(&path).unwrap().unwrap();
        assert!(text.contains(from), "{text}");
        disk.0.borrow_mut().insert(path, text.replace(from, to));
        assert!(matches!(disk.look(agent, Scope::User), Look::Off { .. }));
    }
}

#[test]
fn deny_a_workspace_that_the_model_names() {
    let (agent, disk) = (agent("openclaw").unwrap(), Disk::default());
    disk.wire(agent, Scope::User).unwrap();
    let plugin = disk.read(Path::new("/home/u/.openclaw/extensions/ringfort/index.js")).unwrap().unwrap();
    let folders: Vec<&str> = plugin.lines().map(str::trim).filter(|line| line.starts_with("cwd:")).collect();
    assert_eq!(folders, ["cwd: process.cwd(),"]);
    assert!(!plugin.contains("params.workdir"), "{plugin}");
}

#[test]
fn codex_trust_is_kept_in_its_own_block() {
    let (agent, disk) = (agent("codex").unwrap(), Disk::default());
    let config = PathBuf::from("/home/u/.codex/config.toml");
    let theirs = "model = \"m\"\n# mine\n[features]\nx = true";
    disk.0.borrow_mut().insert(config.clone(), theirs.to_owned());
    disk.wire(agent, Scope::User).unwrap();
    disk.wire(agent, Scope::Project).unwrap();
    let text = disk.read(&config).unwrap().unwrap();
    assert!(text.starts_with(theirs), "{text}");
    assert_eq!(text.matches("trusted_hash").count(), 12);
    for scope in Scope::ALL {
        assert!(matches!(disk.look(agent, scope), Look::Wired { .. }));
    }
    // Another hook in front moves ours: the trust names places.
    let hooks = PathBuf::from("/home/u/.codex/hooks.json");
    let moved = disk.read(&hooks).unwrap().unwrap().replacen(
        "\"PreToolUse\": [",
        "\"PreToolUse\": [{\"hooks\": [{\"type\": \"command\", \"command\": \"mine\"}]},",
        1,
    );
    disk.0.borrow_mut().insert(hooks, moved);
    assert!(matches!(disk.look(agent, Scope::User), Look::Changed { .. }));
    disk.wire(agent, Scope::User).unwrap();
    assert!(matches!(disk.look(agent, Scope::User), Look::Wired { .. }));
    for (from, to) in [("sha256:", "sha256:0"), ("[features]", "[features]\nhooks = false")] {
        let weak = disk.read(&config).unwrap().unwrap().replace(from, to);
        let other = Disk::default();
        other.0.borrow_mut().extend(disk.0.borrow().clone());
        other.0.borrow_mut().insert(config.clone(), weak);
        assert!(!matches!(other.look(agent, Scope::User), Look::Wired { .. }), "{to}");
    }
    disk.strip(agent, Scope::User);
    disk.strip(agent, Scope::Project);
    assert_eq!(disk.read(&config).unwrap().unwrap().trim_end(), theirs);
}

#[test]
fn deny_files_of_somebody_else_and_broken_ones() {
    for (name, path, text) in [
        ("opencode", "/home/u/.config/opencode/plugin/ringfort.js", "export const Mine = 1"),
        ("openclaw", "/home/u/.openclaw/extensions/ringfort/index.js", "export default {}"),
        ("openclaw", "/home/u/.openclaw/openclaw.json", "{plugins: "),
        ("codex", "/home/u/.codex/config.toml", "model = "),
        ("codex", "/home/u/.codex/config.toml", "hooks = { state = {} }\n"),
        ("claude-code", "/home/u/.claude/settings.json", "{,}"),
    ] {
        let (agent, disk) = (agent(name).unwrap(), Disk::default());
        disk.0.borrow_mut().insert(PathBuf::from(path), text.to_owned());
        assert!(disk.wire(agent, Scope::User).is_err(), "{name}: {text}");
        assert_eq!(disk.0.borrow().len(), 1, "nothing was changed");
    }
}

#[test]
fn answers_mean_what_each_program_takes_them_for() {
    let answer =
        |status, stdout: &str, stderr: &str| Answer { status, stdout: stdout.to_owned(), stderr: stderr.to_owned() };
    let specific = |decision| {
        format!(
            "{{\"hookSpecificOutput\":{{\"permissionDecision\":\"{decision}\",\"permissionDecisionReason\":\"r\"}}}}"
        )
    };
    let blocked = |heard: &Heard| matches!(heard, Heard::Blocked(_));
    let through = |heard: &Heard| matches!(heard, Heard::Through(_));
    for agent in AGENTS.iter().filter(|agent| agent.name != "zeroclaw") {
        assert!(blocked(&(agent.hear)(&answer(Some(2), "", "no"))), "{}", agent.name);
        let plugin = matches!(agent.name, "opencode" | "openclaw");
        for status in [Some(1), Some(101), None] {
            let heard = (agent.hear)(&answer(status, "", "no"));
            assert_eq!(through(&heard), !plugin, "{}: {status:?}", agent.name);
        }
        let silent = (agent.hear)(&answer(Some(0), "{}", ""));
        assert_eq!(silent, Heard::Silent, "{}", agent.name);
        assert_ne!((agent.hear)(&answer(Some(0), "nonsense", "")), Heard::Silent, "{}", agent.name);
    }
    for (name, stdout, expected) in [
        ("claude-code", specific("deny"), Heard::Blocked("r".to_owned())),
        ("claude-code", specific("ask"), Heard::Asked),
        ("codex", specific("deny"), Heard::Blocked("r".to_owned())),
        ("gemini", "{\"decision\":\"deny\",\"reason\":\"r\"}".to_owned(), Heard::Blocked("r".to_owned())),
        ("cursor", "{\"permission\":\"deny\",\"agent_message\":\"r\"}".to_owned(), Heard::Blocked("r".to_owned())),
        (
            "copilot",
            "{\"permissionDecision\":\"deny\",\"permissionDecisionReason\":\"r\"}".to_owned(),
            Heard::Blocked("r".to_owned()),
        ),
        ("opencode", "{\"decision\":\"deny\",\"reason\":\"r\"}".to_owned(), Heard::Blocked("r".to_owned())),
    ] {
        assert_eq!((agent(name).unwrap().hear)(&answer(Some(0), &stdout, "")), expected, "{name}");
    }
    for (name, stdout) in [("codex", specific("ask")), ("claude-code", specific("allow")), ("codex", specific("allow"))]
    {
        assert!(through(&(agent(name).unwrap().hear)(&answer(Some(0), &stdout, ""))), "{name}: {stdout}");
    }
    assert!(through(&(agent("codex").unwrap().hear)(&answer(Some(2), "", " "))), "a denial needs a reason");
    assert!(blocked(&(agent("cursor").unwrap().hear)(&answer(Some(0), "", ""))), "nothing said is a failure");
}
