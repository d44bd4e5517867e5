// SPDX-License-Identifier: MIT OR Apache-2.0
//! The sections `[agents.NAME]`: what is different for one agent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Config;

/// The section `[agents.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentConfig {
    /// The provider that decides beside the native one for this agent; absent means that of `[policy]`.
    pub provider: Option<String>,
}

/// Programs of agents whose names are not those of the agents.
const PROGRAMS: [(&str, &str); 2] = [("claude", "claude-code"), ("cursor-agent", "cursor")];

impl Config {
    /// The agent that a program is, by its name, where the configuration says something of that agent.
    pub fn agent_of(&self, program: &str) -> Option<&str> {
        let name = program.rsplit('/').next().unwrap_or(program);
        let known = PROGRAMS.iter().find(|(program, _)| *program == name).map_or(name, |(_, agent)| agent);
        self.agents.keys().map(String::as_str).find(|agent| *agent == known || *agent == name)
    }

    /// The provider that is selected for an agent, or for whoever is none that is named.
    pub fn provider_for(&self, agent: Option<&str>) -> &str {
        let own = agent.and_then(|agent| self.agents.get(agent)).and_then(|agent| agent.provider.as_deref());
        own.unwrap_or(&self.policy.provider)
    }
}
