// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pattern rules as data: one file per vendor in `rules/`, part of the program, read when the first text is scanned.
//!
//! In: the embedded files. Out: rules whose patterns compile when one of their keywords is first seen.
//!
//! **Invariant:** a rule that cannot be read or compiled never means that its secrets pass: see [`Pattern::find`]
//! and `Engine::broken`. A test compares [`VENDORS`] with the folder and walks the samples inside each rule.

use std::ops::Range;
use std::sync::OnceLock;

use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};
use ringfort_core::decision::Risk;
use ringfort_core::finding::Confidence;
use serde::Deserialize;

/// Largest compiled program of one pattern. Bytes.
const PATTERN_BYTES_MAX: usize = 2 << 20;

/// Every rule, as the build script has put them together.
pub(crate) static RULES: &str = include_str!(concat!(env!("OUT_DIR"), "/rules.json"));

/// Every rule file, in the order in which the rules run.
#[cfg(test)]
pub(crate) static VENDORS: &[(&str, &str)] = &[
    ("adafruit", include_str!("../rules/adafruit.toml")),
    ("age", include_str!("../rules/age.toml")),
    ("airtable", include_str!("../rules/airtable.toml")),
    ("alibaba", include_str!("../rules/alibaba.toml")),
    ("anthropic", include_str!("../rules/anthropic.toml")),
    ("artifactory", include_str!("../rules/artifactory.toml")),
    ("atlassian", include_str!("../rules/atlassian.toml")),
    ("aws", include_str!("../rules/aws.toml")),
    ("azure", include_str!("../rules/azure.toml")),
    ("buildkite", include_str!("../rules/buildkite.toml")),
    ("cloudflare", include_str!("../rules/cloudflare.toml")),
    ("contentful", include_str!("../rules/contentful.toml")),
    ("cratesio", include_str!("../rules/cratesio.toml")),
    ("databricks", include_str!("../rules/databricks.toml")),
    ("digitalocean", include_str!("../rules/digitalocean.toml")),
    ("discord", include_str!("../rules/discord.toml")),
    ("docker", include_str!("../rules/docker.toml")),
    ("doppler", include_str!("../rules/doppler.toml")),
    ("dropbox", include_str!("../rules/dropbox.toml")),
    ("dynatrace", include_str!("../rules/dynatrace.toml")),
    ("easypost", include_str!("../rules/easypost.toml")),
    ("facebook", include_str!("../rules/facebook.toml")),
    ("figma", include_str!("../rules/figma.toml")),
    ("fly", include_str!("../rules/fly.toml")),
    ("github", include_str!("../rules/github.toml")),
    ("gitlab", include_str!("../rules/gitlab.toml")),
    ("google", include_str!("../rules/google.toml")),
    ("grafana", include_str!("../rules/grafana.toml")),
    ("groq", include_str!("../rules/groq.toml")),
    ("heroku", include_str!("../rules/heroku.toml")),
    ("huggingface", include_str!("../rules/huggingface.toml")),
    ("jwt", include_str!("../rules/jwt.toml")),
    ("linear", include_str!("../rules/linear.toml")),
    ("mailgun", include_str!("../rules/mailgun.toml")),
    ("mapbox", include_str!("../rules/mapbox.toml")),
    ("mongodb", include_str!("../rules/mongodb.toml")),
    ("netlify", include_str!("../rules/netlify.toml")),
    ("newrelic", include_str!("../rules/newrelic.toml")),
    ("notion", include_str!("../rules/notion.toml")),
    ("npm", include_str!("../rules/npm.toml")),
    ("nuget", include_str!("../rules/nuget.toml")),
    ("nvidia", include_str!("../rules/nvidia.toml")),
    ("onepassword", include_str!("../rules/onepassword.toml")),
    ("openai", include_str!("../rules/openai.toml")),
    ("openrouter", include_str!("../rules/openrouter.toml")),
    ("perplexity", include_str!("../rules/perplexity.toml")),
    ("planetscale", include_str!("../rules/planetscale.toml")),
    ("postman", include_str!("../rules/postman.toml")),
    ("prefect", include_str!("../rules/prefect.toml")),
    ("pulumi", include_str!("../rules/pulumi.toml")),
    ("pypi", include_str!("../rules/pypi.toml")),
    ("readme", include_str!("../rules/readme.toml")),
    ("render", include_str!("../rules/render.toml")),
    ("replicate", include_str!("../rules/replicate.toml")),
    ("rubygems", include_str!("../rules/rubygems.toml")),
    ("sendgrid", include_str!("../rules/sendgrid.toml")),
    ("sentry", include_str!("../rules/sentry.toml")),
    ("shopify", include_str!("../rules/shopify.toml")),
    ("slack", include_str!("../rules/slack.toml")),
    ("sonarqube", include_str!("../rules/sonarqube.toml")),
    ("sourcegraph", include_str!("../rules/sourcegraph.toml")),
    ("square", include_str!("../rules/square.toml")),
    ("stripe", include_str!("../rules/stripe.toml")),
    ("supabase", include_str!("../rules/supabase.toml")),
    ("tavily", include_str!("../rules/tavily.toml")),
    ("telegram", include_str!("../rules/telegram.toml")),
    ("terraform", include_str!("../rules/terraform.toml")),
    ("twilio", include_str!("../rules/twilio.toml")),
    ("typeform", include_str!("../rules/typeform.toml")),
    ("vault", include_str!("../rules/vault.toml")),
    ("xai", include_str!("../rules/xai.toml")),
];

/// One rule file.
#[cfg(test)]
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleFile {
    pub(crate) rule: Vec<Rule>,
}

/// One rule: a keyword that is cheap to look for, and the pattern that decides where one is seen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// Stable id, `secret-nnn`.
    pub(crate) id: String,
    /// What it finds, for people.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers of the file; a test requires it"))]
    pub(crate) name: String,
    /// Texts one of which every match begins with, or has within its first `back` bytes.
    pub(crate) keywords: Vec<String>,
    /// The pattern; group 1 is the secret, or the whole match is.
    pub(crate) pattern: String,
    /// How many bytes before the keyword a match may begin.
    #[serde(default)]
    pub(crate) back: usize,
    /// Whether keyword and pattern ignore case.
    #[serde(default)]
    pub(crate) case: Case,
    /// What may stand before a match.
    #[serde(default)]
    pub(crate) before: Before,
    #[serde(default = "high")]
    pub(crate) confidence: Confidence,
    #[serde(default = "critical")]
    pub(crate) severity: Risk,
    /// Texts with the secret between `«` and `»`; `␟` marks cuts that the tests remove. Only the tests have them.
    #[cfg(test)]
    #[serde(default)]
    pub(crate) hits: Vec<String>,
    /// Texts in which the rule finds nothing, cut in the same way.
    #[cfg(test)]
    #[serde(default)]
    pub(crate) misses: Vec<String>,
}

fn high() -> Confidence {
    Confidence::High
}

fn critical() -> Risk {
    Risk::Critical
}

/// Whether letters match in both cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Case {
    /// As written.
    #[default]
    Exact,
    /// Both.
    Ignore,
}

/// What may stand before a match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Before {
    /// No letter, digit or underscore.
    #[default]
    Boundary,
    /// Anything.
    Any,
}

/// A pattern that compiles at its first use.
#[derive(Debug)]
pub(crate) struct Pattern {
    text: String,
    case: Case,
    regex: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(crate) fn new(text: String, case: Case) -> Self {
        Self { text, case, regex: OnceLock::new() }
    }

    /// The secret of the first match that begins within `starts`, earliest first.
    ///
    /// # Security
    ///
    /// A pattern that does not compile matches the word at its keyword, so that a fault in a rule redacts too much.
    pub(crate) fn find(&self, text: &[u8], starts: Range<usize>) -> Option<Range<usize>> {
        let Some(regex) = self.regex() else {
            let word = text.get(starts.end..)?.iter().take_while(|byte| byte.is_ascii_graphic()).count();
            return Some(starts.end..starts.end + word);
        };
        let mut captures = regex.create_captures();
        for start in starts.start..=starts.end {
            let input = Input::new(text).range(start..).anchored(Anchored::Yes);
            regex.search_captures(&input, &mut captures);
            if captures.is_match() {
                let span = captures.get_group(1).or_else(|| captures.get_group(0))?;
                return Some(span.start..span.end);
            }
        }
        None
    }

    fn regex(&self) -> Option<&Regex> {
        self.regex.get_or_init(|| self.compile().ok()).as_ref()
    }

    pub(crate) fn compile(&self) -> Result<Regex, Box<regex_automata::meta::BuildError>> {
        let syntax = syntax::Config::new().unicode(false).utf8(false).case_insensitive(self.case == Case::Ignore);
        let config = Regex::config()
            .utf8_empty(false)
            .nfa_size_limit(Some(PATTERN_BYTES_MAX))
            .onepass_size_limit(Some(PATTERN_BYTES_MAX));
        Regex::builder().syntax(syntax).configure(config).build(&self.text).map_err(Box::new)
    }
}

#[cfg(test)]
mod tests;
