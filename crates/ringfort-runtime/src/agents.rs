// SPDX-License-Identifier: MIT OR Apache-2.0
//! Profiles of known agents: what a whole agent needs inside a cage besides its workspace.
//!
//! In: the name of a profile, the caller's home, a folder of the state folder that is the agent's own. Out: parts of
//! the private home, variables, hosts.
//!
//! **Invariant:** an agent never writes to its real configuration: inside it has a copy that lives in the state folder,
//! so nothing that it writes there takes effect outside. Its settings (which name its hooks) are those of the real
//! home, read-only, also where there are none. A profile is data; adding one is one entry of [`PROFILES`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ringfort_sandbox::profile::{BindMode, HomeBind};

mod seed;

pub use seed::SeedError;

/// What one agent needs.
#[derive(Debug)]
pub struct AgentProfile {
    /// Its name, the one of `setup` and `hook`.
    pub name: &'static str,
    /// The programs that it is started by.
    pub programs: &'static [&'static str],
    /// Folders of the home that it keeps across runs, as copies.
    pub folders: &'static [&'static str],
    /// Files of the home that are seeded into one of the folders: from where, to where.
    pub files: &'static [(&'static str, &'static str)],
    /// Files inside the folders that hold credentials: a newer one outside replaces the copy.
    pub credentials: &'static [&'static str],
    /// Files inside the folders that it reads and cannot change, with what stands in one that does not exist.
    pub settings: &'static [(&'static str, &'static str)],
    /// Folders of the home where the agent itself is installed.
    pub installed: &'static [&'static str],
    /// The hosts of its own service.
    pub hosts: &'static [&'static str],
    /// Variables that it sees as the caller has them.
    pub passed: &'static [&'static str],
    /// Variables that name one of its folders.
    pub named: &'static [(&'static str, &'static str)],
}

/// Every profile.
pub static PROFILES: &[AgentProfile] = &[
    AgentProfile {
        name: "claude-code",
        programs: &["claude"],
        folders: &[".claude"],
        files: &[(".claude.json", ".claude/.claude.json")],
        credentials: &[".claude/.credentials.json"],
        settings: &[(".claude/settings.json", "{}\n"), (".claude/settings.local.json", "{}\n")],
        installed: &[".local/share/claude"],
        hosts: &["api.anthropic.com", "console.anthropic.com", "platform.claude.com", "claude.ai"],
        passed: &[
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "ANTHROPIC_BASE_URL",
            "ANTHROPIC_MODEL",
            "ANTHROPIC_SMALL_FAST_MODEL",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
            "DISABLE_AUTOUPDATER",
            "DISABLE_TELEMETRY",
        ],
        // With its folder named, it keeps `.claude.json` in it as well, where it can be replaced by renaming.
        named: &[("CLAUDE_CONFIG_DIR", ".claude")],
    },
    AgentProfile {
        name: "codex",
        programs: &["codex"],
        folders: &[".codex"],
        files: &[],
        credentials: &[".codex/auth.json"],
        settings: &[(".codex/config.toml", ""), (".codex/hooks.json", "{}\n")],
        installed: &[],
        hosts: &["api.openai.com", "auth.openai.com", "chatgpt.com"],
        passed: &["OPENAI_API_KEY", "OPENAI_BASE_URL", "CODEX_API_KEY"],
        named: &[("CODEX_HOME", ".codex")],
    },
    AgentProfile {
        name: "gemini",
        programs: &["gemini"],
        folders: &[".gemini"],
        files: &[],
        credentials: &[".gemini/oauth_creds.json"],
        settings: &[(".gemini/settings.json", "{}\n")],
        installed: &[],
        hosts: &[
            "generativelanguage.googleapis.com",
            "cloudcode-pa.googleapis.com",
            "oauth2.googleapis.com",
            "accounts.google.com",
        ],
        passed: &[
            "GEMINI_API_KEY",
            "GEMINI_MODEL",
            "GOOGLE_API_KEY",
            "GOOGLE_CLOUD_PROJECT",
            "GOOGLE_GEMINI_BASE_URL",
            "GOOGLE_GENAI_USE_VERTEXAI",
            "GEMINI_CLI_NO_RELAUNCH",
        ],
        named: &[],
    },
    AgentProfile {
        name: "cursor",
        programs: &["cursor-agent"],
        folders: &[".cursor", ".config/cursor"],
        files: &[],
        credentials: &[".config/cursor/auth.json"],
        settings: &[(".cursor/hooks.json", "{}\n"), (".cursor/cli-config.json", "{}\n"), (".cursor/mcp.json", "{}\n")],
        installed: &[".local/share/cursor-agent"],
        hosts: &["api2.cursor.sh", "api.cursor.com", "authenticator.cursor.sh"],
        passed: &["CURSOR_API_KEY"],
        named: &[],
    },
    AgentProfile {
        name: "opencode",
        programs: &["opencode"],
        folders: &[".config/opencode", ".local/share/opencode", ".local/state/opencode"],
        files: &[],
        credentials: &[".local/share/opencode/auth.json"],
        settings: &[(".config/opencode/opencode.json", "{}\n")],
        installed: &[".opencode/bin"],
        hosts: &["opencode.ai", "models.dev"],
        passed: &["OPENCODE_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENROUTER_API_KEY"],
        named: &[],
    },
    AgentProfile {
        name: "openclaw",
        programs: &["openclaw"],
        folders: &[".openclaw"],
        files: &[],
        credentials: &[],
        settings: &[(".openclaw/openclaw.json", "{}\n")],
        installed: &[],
        hosts: &[],
        passed: &["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENCLAW_STATE_DIR"],
        named: &[],
    },
];

/// The profile of this name.
pub fn named(name: &str) -> Option<&'static AgentProfile> {
    PROFILES.iter().find(|profile| profile.name == name)
}

/// The profile of the agent that a program is, by the name it is started by.
pub fn of_program(program: &str) -> Option<&'static AgentProfile> {
    let name = program.rsplit('/').next().unwrap_or(program);
    PROFILES.iter().find(|profile| profile.programs.contains(&name))
}

/// What a profile adds to a cage.
#[derive(Debug, Default)]
pub struct Added {
    /// Parts of the private home.
    pub binds: Vec<HomeBind>,
    /// Variables, by name and value.
    pub environment: Vec<(OsString, OsString)>,
    /// What a person should know.
    pub notices: Vec<String>,
}

impl AgentProfile {
    /// Makes the agent's own folder ready, and answers what belongs into the cage.
    ///
    /// `own` is a folder of the state folder, made if it is missing; `home` is the caller's.
    ///
    /// # Errors
    ///
    /// [`SeedError`]: the copy cannot be made; nothing should start.
    pub fn prepare(&self, home: &Path, own: &Path) -> Result<Added, SeedError> {
        let mut added = Added::default();
        for folder in self.folders {
            let copy = own.join(folder);
            if seed::folder(&home.join(folder), &copy)? == seed::Copied::InPart {
                added.notices.push(format!(
                    "`~/{folder}` is large: only a part of it was copied for the caged agent; the rest stays outside"
                ));
            }
            added.binds.push(HomeBind { source: copy, target: PathBuf::from(folder), mode: BindMode::Writable });
        }
        let same = self.credentials.iter().map(|path| (*path, *path));
        for (from, to) in same.chain(self.files.iter().copied()) {
            seed::newer(&home.join(from), own, Path::new(to))?;
        }
        for (path, empty) in self.settings {
            seed::place_for(own, Path::new(path))?;
            let real = home.join(path).canonicalize().ok().filter(|real| real.is_file());
            let source = match real {
                Some(real) => real,
                None => seed::empty(own, path, empty)?,
            };
            added.binds.push(HomeBind { source, target: PathBuf::from(path), mode: BindMode::ReadOnly });
        }
        for folder in self.installed {
            if let Ok(source) = home.join(folder).canonicalize() {
                added.binds.push(HomeBind { source, target: PathBuf::from(folder), mode: BindMode::ReadOnly });
            }
        }
        added.environment = self.named.iter().map(|(name, path)| ((*name).into(), home.join(path).into())).collect();
        Ok(added)
    }
}

#[cfg(test)]
mod tests;
