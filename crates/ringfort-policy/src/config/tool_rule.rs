// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules on the arguments of tools: `[[autonomy.tool_rules]]`.
//!
//! **Invariant:** the arguments that a rule names are all that there are: one that it does not name is denied.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One entry of `[[autonomy.tool_rules]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ToolRuleConfig {
    /// The tools it is about; a `*` at the end stands for any rest.
    pub tool: String,
    /// Whether a call that fits goes ahead unasked, where nobody knows what the tool does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow: bool,
    /// The arguments that it may have, and no others; absent means any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<BTreeMap<String, ArgumentConfig>>,
}

/// One entry of `[[autonomy.tool_rules]]` of a project: it only restricts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ToolRuleRestriction {
    /// The tools it is about; a `*` at the end stands for any rest.
    pub tool: String,
    /// The arguments that they may have, and no others.
    pub arguments: BTreeMap<String, ArgumentConfig>,
}

/// What one argument may be. What is said of a value holds for each element where the argument is an array.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ArgumentConfig {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ArgumentType,
    /// The type of its elements, where it is an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<ArgumentType>,
    /// Most elements, where it is an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_items: Option<u32>,
    /// Whether it must be there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// The only values that it may have.
    #[serde(rename = "enum", skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<ArgumentValue>>,
    /// A regular expression that its whole text must match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Fewest bytes of its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u32>,
    /// Most bytes of its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u32>,
    /// The lowest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// The highest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// Whether its text must be a path in the workspace or an allowed root.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub path: bool,
    /// The only hosts that its text, a URL, may lead to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hosts: Option<Vec<String>>,
}

/// The types that an argument may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ArgumentType {
    /// A text.
    #[default]
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list.
    Array,
    /// An object of any content.
    Object,
}

impl ArgumentType {
    /// The word used in files and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}

/// One of the values that an argument may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ArgumentValue {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
}

impl fmt::Display for ArgumentValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
        }
    }
}
