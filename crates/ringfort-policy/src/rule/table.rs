// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules of this crate: stable ids, one sentence each.
//!
//! In: nothing. Out: [`RULES`], which `docs/rules.md` lists (tested).
//!
//! **Invariant:** an id never changes its meaning and is never used again.

/// One rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable id, `area-nnn`.
    pub id: &'static str,
    /// One sentence.
    pub meaning: &'static str,
}

macro_rules! rules {
    ($($name:ident $id:literal $meaning:literal)*) => {
        $(#[doc = $meaning] pub static $name: Rule = Rule { id: $id, meaning: $meaning };)*
        /// Every rule of this crate but those of the command analysis, ordered by id.
        pub static RULES: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    EGRESS_UNREADABLE "egress-001" "the destination cannot be read without doubt"
    EGRESS_METADATA "egress-002" "the destination is a cloud's metadata service"
    EGRESS_PRIVATE "egress-003" "the destination is this machine or a private network"
    EGRESS_DENIED "egress-004" "`egress.denied_domains` names the host"
    EGRESS_UNLISTED "egress-005" "`egress.domains` does not name the host"
    EGRESS_LISTED "egress-006" "`egress.domains` names the host"
    EGRESS_ADDRESS "egress-007" "the destination is an address without a name"
    EGRESS_PUNYCODE "egress-008" "the host is written in punycode and may look like another"
    EGRESS_RULED "egress-009" "`[[egress.rules]]` allows it"
    EGRESS_MISFIT "egress-010" "`[[egress.rules]]` names the host, and the request does not fit"
    EGRESS_PRESET "egress-011" "the settings of a client in `egress.presets`, or the profile of the agent, name the host"
    PATH_SPELLING "path-001" "the path cannot be trusted as it is spelled"
    PATH_SYSTEM "path-002" "the path lies in a system folder that is always closed"
    PATH_DOT_FOLDER "path-003" "the path lies in a folder of keys that is always closed"
    PATH_FORBIDDEN "path-004" "`autonomy.forbidden_paths` closes the path"
    PATH_CREDENTIAL "path-005" "the file holds credentials"
    PATH_STARTUP "path-006" "programs start from this file of the workspace by themselves"
    PATH_PERSISTENCE "path-007" "programs start from this file by themselves"
    PATH_OUTSIDE "path-008" "the path lies outside the workspace and the allowed roots"
    PATH_NAMED_SECRET "path-009" "the name of the file says that it holds credentials"
    PATH_OPEN "path-010" "the path lies in the workspace or an allowed root"
    PATH_UNKNOWN "path-011" "the path is only known at run time"
    POLICY_ALLOWED "policy-001" "nothing speaks against it"
    POLICY_CAGED "policy-002" "it is allowed inside the cage only"
    POLICY_CRITICAL "policy-003" "critical risk is denied"
    POLICY_READONLY "policy-004" "`autonomy.level = \"readonly\"` allows reading only"
    POLICY_UNLISTED_COMMAND "policy-005" "`autonomy.allowed_commands` does not name the program"
    POLICY_DENIED_COMMAND "policy-006" "`autonomy.deny` names the command"
    POLICY_ASKED_COMMAND "policy-007" "`autonomy.ask_commands` names the command"
    POLICY_RISK "policy-008" "the risk reaches `autonomy.ask`, and the cage cannot bound the harm"
    POLICY_ASK_ALL "policy-009" "`autonomy.ask = \"all\"` asks about everything"
    POLICY_UNRESOLVED "policy-010" "what would happen is only known at run time"
    POLICY_NO_RULE "policy-011" "no rule of this version covers such an action"
    POLICY_WIDE_WORKSPACE "policy-012" "`/`, the home folder and the folders above it are no workspace"
    PROMPT_BLOCKED "prompt-001" "`guard.blocked_patterns` names a text that is in it"
    PROMPT_PHRASE "prompt-002" "the text tries to talk an agent out of its rules"
    PROMPT_REVIEW "prompt-003" "the risk score reaches `guard.review_score`"
    PROMPT_BLOCK "prompt-004" "the risk score reaches `guard.block_score`"
    PROMPT_DEEP "prompt-005" "the arguments are nested too deeply to be searched for blocked texts"
    RELEASE_DENIED "release-001" "`secrets.deny` names the secret"
    RELEASE_UNLISTED "release-002" "`secrets.allow` does not name the secret"
    RELEASE_AGENT "release-003" "an agent asks for a stored secret, and only a person hands one out"
    RELEASE_GRANTED "release-004" "a person has named the secret on the command line"
    SEAM_SCHEDULE "seam-001" "it runs later by itself, when nobody looks"
    SEAM_JOB_CHANGED "seam-002" "what is stored is not what was added to the schedule"
    SEAM_INSTALL "seam-003" "what is installed acts in every later session"
    SEAM_DELEGATE "seam-004" "the agent that takes over is judged by the same policies"
    SEAM_MODEL_LISTED "seam-005" "`autonomy.models` names the model"
    SEAM_MODEL "seam-006" "`autonomy.models` does not name the model"
    SEAM_INTENT "seam-007" "what is about to happen is not what was stated"
    SEAM_NAME "seam-008" "the name is empty, too long or holds characters that deceive a reader"
    TOOL_NAME "tool-001" "the tool's name is malformed"
    TOOL_DENIED "tool-002" "`autonomy.denied_tools` names the tool"
    TOOL_UNLISTED "tool-003" "`autonomy.allowed_tools` does not name the tool"
    TOOL_ASKED "tool-004" "`autonomy.ask_tools` names the tool"
    TOOL_UNKNOWN "tool-005" "the tool is not known"
    TOOL_ARGUMENTS "tool-006" "the tool's arguments are not what they should be"
    TOOL_HARMLESS "tool-007" "the tool touches nothing outside the conversation"
    TOOL_LISTED "tool-008" "`autonomy.allowed_tools` names the tool"
    TOOL_SEARCH "tool-009" "the tool sends the query to a search service"
    TOOL_RULE "tool-010" "the call does not fit `[[autonomy.tool_rules]]`"
    TOOL_TYPED "tool-011" "the text goes to a program that runs already"
    TOOL_FOREIGN "tool-012" "the tool runs code in a language that is not read"
    TOOL_MEMORY "tool-013" "the tool changes what later sessions are told"
    TOOL_UNGUARDED "tool-014" "the call takes a guard of the agent away"
}

#[cfg(test)]
mod tests {
    use super::RULES;

    #[test]
    fn ids_are_unique_and_ordered() {
        assert!(RULES.windows(2).all(|pair| pair[0].id < pair[1].id));
        for rule in RULES {
            let (area, number) = rule.id.split_once('-').unwrap();
            assert!(
                ["egress", "path", "policy", "prompt", "release", "seam", "tool"].contains(&area) && number.len() == 3,
                "{}",
                rule.id
            );
            assert!(!rule.meaning.is_empty() && !rule.meaning.ends_with('.'), "{}", rule.id);
        }
    }
}
