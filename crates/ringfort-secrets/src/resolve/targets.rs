// SPDX-License-Identifier: MIT OR Apache-2.0
//! The known target ids: which secrets a configuration of the reference refers to.
//!
//! In: an id. Out: the family it belongs to.
//!
//! **Invariant:** `*` in a family stands for exactly one word of an id; a family names no secret, so that looking one up
//! by it finds nothing.

use crate::id::SecretId;

/// Ids outside the channels. `*` is the name of a provider, of an entry, or the place of an agent.
const PLAIN: &[&str] = &[
    "agents.defaults.memorySearch.remote.apiKey",
    "agents.list.*.memorySearch.remote.apiKey",
    "auth-profiles.api_key.key",
    "auth-profiles.token.token",
    "cron.webhookToken",
    "gateway.auth.password",
    "gateway.remote.password",
    "gateway.remote.token",
    "messages.tts.elevenlabs.apiKey",
    "messages.tts.openai.apiKey",
    "models.providers.*.apiKey",
    "skills.entries.*.apiKey",
    "talk.apiKey",
    "talk.providers.*.apiKey",
    "tools.web.search.apiKey",
    "tools.web.search.gemini.apiKey",
    "tools.web.search.grok.apiKey",
    "tools.web.search.kimi.apiKey",
    "tools.web.search.perplexity.apiKey",
];

/// Families of ours, wider than the reference's: any profile, any search provider, any speech provider.
const WIDER: &[&str] =
    &["auth-profiles.*.key", "auth-profiles.*.token", "messages.tts.*.apiKey", "tools.web.search.*.apiKey"];

/// A channel: what it keeps secret, and whether it may have several accounts.
struct Channel {
    name: &'static str,
    secrets: &'static [&'static str],
    accounts: bool,
}

const fn channel(name: &'static str, secrets: &'static [&'static str]) -> Channel {
    Channel { name, secrets, accounts: true }
}

const CHANNELS: &[Channel] = &[
    channel("bluebubbles", &["password"]),
    channel("discord", &["pluralkit.token", "token", "voice.tts.elevenlabs.apiKey", "voice.tts.openai.apiKey"]),
    channel("feishu", &["appSecret", "verificationToken"]),
    channel("googlechat", &["serviceAccount"]),
    channel("irc", &["nickserv.password", "password"]),
    channel("matrix", &["password"]),
    channel("mattermost", &["botToken"]),
    Channel { accounts: false, ..channel("msteams", &["appPassword"]) },
    channel("nextcloud-talk", &["apiPassword", "botSecret"]),
    channel("slack", &["appToken", "botToken", "signingSecret", "userToken"]),
    channel("telegram", &["botToken", "webhookSecret"]),
    channel("zalo", &["botToken", "webhookSecret"]),
];

/// Every target id of the reference, sorted; with `*` where a name stands.
pub fn targets() -> Vec<String> {
    let channels = CHANNELS.iter().flat_map(|channel| {
        channel.secrets.iter().flat_map(|secret| {
            let plain = format!("channels.{}.{secret}", channel.name);
            let accounts = channel.accounts.then(|| format!("channels.{}.accounts.*.{secret}", channel.name));
            [Some(plain), accounts].into_iter().flatten()
        })
    });
    let mut all: Vec<String> = PLAIN.iter().map(|id| (*id).to_owned()).chain(channels).collect();
    all.sort();
    all
}

/// The family of an id, if it has one: of the reference's first, then of ours.
pub fn family(id: &SecretId) -> Option<String> {
    let wider = WIDER.iter().map(|family| (*family).to_owned());
    targets().into_iter().chain(wider).find(|family| belongs(family, id.as_str()))
}

/// Whether a text is a family, written with its `*`, rather than the id of one secret.
pub fn is_family(text: &str) -> bool {
    text.contains('*') && (targets().iter().any(|family| family == text) || WIDER.contains(&text))
}

fn belongs(family: &str, id: &str) -> bool {
    let mut parts = id.split('.');
    family.split('.').all(|word| parts.next().is_some_and(|part| word == "*" || word == part)) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(id: &str) -> Option<String> {
        family(&id.parse().unwrap())
    }

    #[test]
    fn the_reference_knows_sixty_four() {
        let all = targets();
        assert_eq!(all.len(), 64);
        let mut unique = all.clone();
        unique.dedup();
        assert_eq!(unique, all);
        for id in all.iter().filter(|id| !id.contains('*')) {
            assert_eq!(of(id).as_deref(), Some(id.as_str()), "an id is its own family");
        }
    }

    #[test]
    fn ids_per_provider_and_per_account_are_known() {
        for (id, family) in [
            ("models.providers.openai.apiKey", "models.providers.*.apiKey"),
            ("talk.providers.openrouter.apiKey", "talk.providers.*.apiKey"),
            ("channels.slack.accounts.work_1.botToken", "channels.slack.accounts.*.botToken"),
            (
                "channels.discord.accounts.a.voice.tts.openai.apiKey",
                "channels.discord.accounts.*.voice.tts.openai.apiKey",
            ),
            ("agents.list.0.memorySearch.remote.apiKey", "agents.list.*.memorySearch.remote.apiKey"),
            ("tools.web.search.brave.apiKey", "tools.web.search.*.apiKey"),
            ("auth-profiles.anthropic.key", "auth-profiles.*.key"),
        ] {
            assert_eq!(of(id).as_deref(), Some(family), "{id}");
            assert!(is_family(family), "{family}");
        }
    }

    #[test]
    fn deny_ids_that_only_look_known() {
        for id in [
            "models.providers.apiKey",
            "models.providers.a.b.apiKey",
            "models.providers.openai.apikey",
            "models.providers.openai.apiKey.more",
            "channels.msteams.accounts.a.appPassword",
            "channels.telegram.accounts.botToken",
            "channels.whatsapp.token",
            "talk",
            "talk.apiKey.x",
            "github.token",
        ] {
            assert_eq!(of(id), None, "{id}");
        }
        for text in ["*", "models.*", "models.providers.openai.apiKey", "*.apiKey", "channels.*.token", ""] {
            assert!(!is_family(text), "{text}");
        }
    }
}
