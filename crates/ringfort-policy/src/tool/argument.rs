// SPDX-License-Identifier: MIT OR Apache-2.0
//! Strict arguments: a call fits the rules on its tool, or it is denied.
//!
//! In: `[[autonomy.tool_rules]]`, compiled once; arguments of a call. Out: whether they fit, and what does not.
//!
//! **Invariant:** arguments that a rule does not name do not fit; patterns match whole texts, in linear time; what
//! could not be compiled fits nothing.

use std::collections::BTreeMap;

use regex_automata::meta::{Config, Regex};
use ringfort_core::text::escape_bytes;
use serde_json::Value;

use super::ToolPattern;
use crate::config::{ArgumentConfig, ArgumentType, ArgumentValue, ToolRuleConfig, ToolRuleRestriction};
use crate::domain::HostPattern;
use crate::egress;

/// Most rules on arguments.
pub(crate) const RULES_MAX: usize = 1000;
/// Most arguments of one rule.
const ARGUMENTS_MAX: usize = 128;
/// Longest pattern. Bytes.
const PATTERN_BYTES_MAX: usize = 4096;
/// Most memory of a compiled pattern. Bytes.
const PATTERN_SIZE_MAX: usize = 1 << 20;
/// Most values that one argument may have.
const VALUES_MAX: usize = 1000;

/// A compiled rule on the arguments of a tool.
#[derive(Clone, Debug)]
pub struct ToolRule {
    tool: ToolPattern,
    allow: bool,
    arguments: Option<BTreeMap<String, Argument>>,
}

/// What one argument may be.
#[derive(Clone, Debug)]
struct Argument {
    says: ArgumentConfig,
    pattern: Option<Regex>,
    hosts: Option<Vec<HostPattern>>,
}

/// Why a rule cannot be used, as a clause.
type Fault = String;

impl ToolRule {
    /// Compiles a rule of the user's configuration.
    ///
    /// # Errors
    ///
    /// What is wrong, as a clause. There is no rule.
    pub fn compile(says: &ToolRuleConfig) -> Result<Self, Fault> {
        if says.arguments.is_none() && !says.allow {
            return Err("it says neither `arguments` nor `allow`".to_owned());
        }
        Self::new(&says.tool, says.allow, says.arguments.as_ref())
    }

    /// Compiles a rule of a project: it allows nothing.
    ///
    /// # Errors
    ///
    /// What is wrong, as a clause. There is no rule.
    pub fn compile_restriction(says: &ToolRuleRestriction) -> Result<Self, Fault> {
        Self::new(&says.tool, false, Some(&says.arguments))
    }

    fn new(tool: &str, allow: bool, arguments: Option<&BTreeMap<String, ArgumentConfig>>) -> Result<Self, Fault> {
        let tool = ToolPattern::parse(tool).map_err(|error| error.to_string())?;
        let Some(arguments) = arguments else { return Ok(Self { tool, allow, arguments: None }) };
        if arguments.len() > ARGUMENTS_MAX {
            return Err(format!("it names more than {ARGUMENTS_MAX} arguments"));
        }
        let compiled: Result<BTreeMap<_, _>, Fault> = arguments
            .iter()
            .map(|(name, says)| match Argument::new(says) {
                Ok(argument) => Ok((name.clone(), argument)),
                Err(fault) => Err(format!("`{}`: {fault}", escape_bytes(name.as_bytes()))),
            })
            .collect();
        Ok(Self { tool, allow, arguments: Some(compiled?) })
    }

    /// Whether it is about a tool, in any spelling.
    pub fn names(&self, tool: &str) -> bool {
        self.tool.names(tool)
    }

    /// Whether a call of this tool that fits goes ahead unasked; only in the spelling of the rule.
    pub fn allows(&self, tool: &str) -> bool {
        self.allow && self.tool.allows(tool)
    }

    /// Whether arguments fit. `is_open` says whether a path lies in the workspace or an allowed root.
    ///
    /// # Errors
    ///
    /// What does not fit, as a clause.
    pub fn fits(&self, arguments: &Value, is_open: &dyn Fn(&str) -> bool) -> Result<(), String> {
        let Some(rules) = &self.arguments else { return Ok(()) };
        let empty = serde_json::Map::new();
        let given = match arguments {
            Value::Object(given) => given,
            Value::Null => &empty,
            _ => return Err("its arguments are no object".to_owned()),
        };
        for (name, value) in given {
            let shown = || escape_bytes(name.as_bytes());
            let Some(rule) = rules.get(name) else {
                return Err(format!("its argument `{}` is not named by the rule", shown()));
            };
            rule.fits(value, is_open).map_err(|what| format!("its argument `{}` {what}", shown()))?;
        }
        match rules.iter().find(|(name, rule)| rule.says.required && !given.contains_key(*name)) {
            Some((name, _)) => Err(format!("its argument `{}` is missing", escape_bytes(name.as_bytes()))),
            None => Ok(()),
        }
    }
}

impl Argument {
    fn new(says: &ArgumentConfig) -> Result<Self, Fault> {
        let element = if says.kind == ArgumentType::Array { says.items } else { Some(says.kind) };
        let is_text = element == Some(ArgumentType::String);
        let is_number = matches!(element, Some(ArgumentType::Integer | ArgumentType::Number));
        let textual = says.pattern.is_some()
            || says.min_length.is_some()
            || says.max_length.is_some()
            || says.path
            || says.hosts.is_some();
        if textual && !is_text {
            return Err("`pattern`, lengths, `path` and `hosts` are for strings".to_owned());
        }
        if (says.min.is_some() || says.max.is_some()) && !is_number {
            return Err("`min` and `max` are for numbers".to_owned());
        }
        if says.kind != ArgumentType::Array && (says.items.is_some() || says.max_items.is_some()) {
            return Err("`items` and `max_items` are for arrays".to_owned());
        }
        if says.items == Some(ArgumentType::Array) {
            return Err("an array of arrays has no rule: leave `items` out".to_owned());
        }
        if says.min > says.max && says.max.is_some() || says.min_length > says.max_length && says.max_length.is_some() {
            return Err("its lowest value lies above its highest".to_owned());
        }
        if says.path && says.hosts.is_some() {
            return Err("it is either a path or a URL".to_owned());
        }
        if let Some(values) = &says.values {
            let fits = |value: &ArgumentValue| match value {
                ArgumentValue::Text(_) => is_text,
                ArgumentValue::Integer(_) => is_number,
                ArgumentValue::Boolean(_) => element == Some(ArgumentType::Boolean),
            };
            if values.is_empty() || values.len() > VALUES_MAX || !values.iter().all(fits) {
                return Err(format!("`enum` holds between 1 and {VALUES_MAX} values of the argument's type"));
            }
        }
        let hosts = says.hosts.as_ref().map(|hosts| {
            let parsed: Result<Vec<_>, _> = hosts.iter().map(|host| HostPattern::parse(host)).collect();
            parsed.map_err(|error| error.to_string())
        });
        Ok(Self {
            says: says.clone(),
            pattern: says.pattern.as_deref().map(compile).transpose()?,
            hosts: hosts.transpose()?,
        })
    }

    fn fits(&self, value: &Value, is_open: &dyn Fn(&str) -> bool) -> Result<(), String> {
        let Value::Array(items) = value else {
            return self.fits_as(self.says.kind, value, is_open);
        };
        if self.says.kind != ArgumentType::Array {
            return Err(format!("is no {}", self.says.kind.as_str()));
        }
        if self.says.max_items.is_some_and(|most| items.len() > most as usize) {
            return Err(format!("has more than {} elements", self.says.max_items.unwrap_or_default()));
        }
        match self.says.items {
            Some(kind) => items.iter().try_for_each(|item| self.fits_as(kind, item, is_open)),
            None => Ok(()),
        }
    }

    /// Whether one value fits.
    fn fits_as(&self, kind: ArgumentType, value: &Value, is_open: &dyn Fn(&str) -> bool) -> Result<(), String> {
        let is_kind = match (kind, value) {
            (ArgumentType::String, Value::String(_))
            | (ArgumentType::Number, Value::Number(_))
            | (ArgumentType::Boolean, Value::Bool(_))
            | (ArgumentType::Object, Value::Object(_)) => true,
            (ArgumentType::Integer, Value::Number(number)) => number.is_i64() || number.is_u64(),
            _ => false,
        };
        if !is_kind {
            return Err(format!("is no {}", kind.as_str()));
        }
        if let Some(values) = &self.says.values {
            let same = |allowed: &ArgumentValue| match allowed {
                ArgumentValue::Boolean(allowed) => value.as_bool() == Some(*allowed),
                ArgumentValue::Integer(allowed) => value.as_i64() == Some(*allowed),
                ArgumentValue::Text(allowed) => value.as_str() == Some(allowed),
            };
            if !values.iter().any(same) {
                return Err("is none of the values of the rule".to_owned());
            }
        }
        match value {
            Value::String(text) => self.fits_text(text, is_open),
            Value::Number(number) => self.fits_number(number),
            _ => Ok(()),
        }
    }

    fn fits_text(&self, text: &str, is_open: &dyn Fn(&str) -> bool) -> Result<(), String> {
        let says = &self.says;
        let length = text.len();
        if says.min_length.is_some_and(|least| length < least as usize)
            || says.max_length.is_some_and(|most| length > most as usize)
        {
            return Err(format!("is {length} bytes long, which the rule does not allow"));
        }
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(text)) {
            return Err("does not match the pattern of the rule".to_owned());
        }
        if says.path && !is_open(text) {
            return Err("is no path in the workspace or an allowed root".to_owned());
        }
        if let Some(hosts) = &self.hosts {
            let listed = egress::parse(text)
                .is_ok_and(|to| hosts.iter().any(|pattern| pattern.covers(&to.host, to.port).is_some()));
            if !listed {
                return Err("leads to no host of the rule".to_owned());
            }
        }
        Ok(())
    }

    fn fits_number(&self, number: &serde_json::Number) -> Result<(), String> {
        // Whole numbers are compared exactly; others, and those beyond, as the nearest that the type holds.
        let below = |bound: i64| match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => value < bound,
            (None, Some(_)) => false,
            (None, None) => number.as_f64().is_none_or(|value| value < bound as f64),
        };
        let above = |bound: i64| match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => value > bound,
            (None, Some(_)) => true,
            (None, None) => number.as_f64().is_none_or(|value| value > bound as f64),
        };
        if self.says.min.is_some_and(below) || self.says.max.is_some_and(above) {
            return Err("lies outside of the range of the rule".to_owned());
        }
        Ok(())
    }
}

/// A pattern that matches whole texts.
fn compile(pattern: &str) -> Result<Regex, Fault> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("a pattern has at most {PATTERN_BYTES_MAX} bytes"));
    }
    // Alone first: what closes a bracket that it has not opened would escape from the frame.
    let build = |text: &str| {
        let config = Config::new().nfa_size_limit(Some(PATTERN_SIZE_MAX)).hybrid_cache_capacity(PATTERN_SIZE_MAX);
        Regex::builder().configure(config).build(text).map_err(|error| {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            format!("the pattern is not understood: {}", cause.replace('\n', " "))
        })
    };
    build(pattern)?;
    build(&format!(r"\A(?:{pattern})\z"))
}
