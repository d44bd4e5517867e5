// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ringfort policy`: the configuration in force, its check, its schema, its acceptance, its packet filter.
//!
//! In: the layers of `ringfort.toml`. Out: what they say; exit status 0 fine, 2 a file is not.
//!
//! **Invariant:** only `accept` writes, and only after it has shown the difference and a person at a terminal has said
//! yes (or `--yes` was typed by a caller that nobody governs).

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use ringfort_detect::redact_str;
use ringfort_policy::nftables::{self, Subject, User};
use ringfort_policy::{accept, load, schema};
use serde_json::{Value, json};

use super::{Common, EXIT_DENIED, EXIT_OK, Failure};
use crate::output;
use crate::wiring::{World, open_state};

/// Show, check and accept the configuration
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ringfort policy show
  ringfort policy validate ringfort.toml
  ringfort policy validate --project ringfort.toml
  ringfort policy schema > ringfort.schema.json
  ringfort policy nftables --user agent > agent.nft
  ringfort policy accept")]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Show what is in force for the current folder, and where it comes from
    Show,
    /// Check a file without using it
    Validate {
        /// The file; the user's file unless named
        file: Option<PathBuf>,
        /// Check it as a project file, which may only restrict
        #[arg(long)]
        project: bool,
    },
    /// Print the JSON schema
    Schema {
        /// The schema of project files
        #[arg(long)]
        project: bool,
    },
    /// Print the egress rules as a ruleset for `nft -f`, as far as a packet filter can keep them
    #[command(after_help = "Examples:
  ringfort policy nftables --user agent > agent.nft
  ringfort policy nftables | nft -c -f -")]
    Nftables {
        /// Judge what this user sends, by name or number; everything that leaves unless named
        #[arg(long, value_name = "USER")]
        user: Option<String>,
    },
    /// Show what the user's file would change, and put it in force
    Accept {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Runs the command.
///
/// # Errors
///
/// A file cannot be read or is not understood.
pub(crate) fn run(args: &PolicyArgs, common: &Common) -> Result<u8, Failure> {
    let world = World::read().map_err(Failure::guard)?;
    match &args.command {
        PolicyCommand::Show => show(&world, common),
        PolicyCommand::Validate { file, project } => validate(&world, common, file.as_ref(), *project),
        PolicyCommand::Schema { project } => {
            let schema = if *project { schema::restriction() } else { schema::config() };
            let text = serde_json::to_string_pretty(&schema).map_err(Failure::guard)?;
            writeln!(std::io::stdout(), "{text}")?;
            Ok(EXIT_OK)
        }
        PolicyCommand::Nftables { user } => nftables(&world, common, user.as_deref()),
        PolicyCommand::Accept { yes } => accept_user_file(&world, common, *yes),
    }
}

fn show(world: &World, common: &Common) -> Result<u8, Failure> {
    let loaded = world.load(common, Some(&world.cwd))?;
    let mut out = anstream::stdout().lock();
    let config = serde_json::to_value(&loaded.config).map_err(Failure::guard)?;
    let sources: Vec<Value> = loaded
        .sources
        .iter()
        .map(|source| json!({ "layer": source.layer, "path": source.path, "digest": source.digest, "state": source.state }))
        .collect();
    let notices: Vec<String> = loaded.notices.iter().map(ToString::to_string).collect();
    let secrets: Vec<Value> = loaded
        .config
        .secret_texts()
        .into_iter()
        .map(|(key, text)| json!({ "key": key, "form": text.form() }))
        .collect();
    if common.json {
        let value = json!({
            "digest": loaded.digest, "sources": sources, "notices": notices, "secrets": secrets, "config": config,
        });
        output::json_line(&mut out, &value)?;
        return Ok(EXIT_OK);
    }
    writeln!(out, "# digest {}", loaded.digest)?;
    writeln!(out, "# preset {}", serde_json::to_value(loaded.config.policy.preset).map_err(Failure::guard)?)?;
    for source in &loaded.sources {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let layer = word(&serde_json::to_value(source.layer).map_err(Failure::guard)?);
        let state = word(&serde_json::to_value(source.state).map_err(Failure::guard)?);
        writeln!(out, "# {layer:<9} {state:<24} {}", source.path.display())?;
    }
    for notice in &notices {
        writeln!(out, "# note: {notice}")?;
    }
    for key in loaded.config.secrets_in_clear() {
        writeln!(out, "# note: `{key}` stands in the configuration in clear; run `ringfort secrets seal-config`")?;
    }
    write!(out, "{}", toml_of(&config)?)?;
    Ok(EXIT_OK)
}

/// The configuration as TOML that is itself valid: absent values, and what has no effect, are left out.
fn toml_of(config: &Value) -> Result<String, Failure> {
    let mut config = config.clone();
    strip_nulls(&mut config);
    if let Some(runtime) = config.get_mut("runtime").and_then(Value::as_object_mut)
        && runtime.get("kind").and_then(Value::as_str) == Some("native")
    {
        runtime.remove("docker");
    }
    toml::to_string(&config).map_err(Failure::guard)
}

fn strip_nulls(value: &mut Value) {
    if let Value::Object(members) = value {
        members.retain(|_, member| !member.is_null());
        members.values_mut().for_each(strip_nulls);
    }
}

fn validate(world: &World, common: &Common, file: Option<&PathBuf>, project: bool) -> Result<u8, Failure> {
    let path = file.map_or_else(|| world.places(common).user_file, |file| world.cwd.join(file));
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Failure::usage(anyhow::anyhow!("cannot read `{}`: {error}", path.display())))?;
    if project {
        load::parse_restriction(&path, &text).map_err(Failure::usage)?;
    } else {
        load::validate(&path, &text).map_err(Failure::usage)?;
    }
    let mut out = std::io::stdout();
    if common.json {
        output::json_line(&mut out, &json!({ "path": path, "valid": true }))?;
    } else {
        writeln!(out, "`{}` is valid", path.display())?;
    }
    Ok(EXIT_OK)
}

/// Prints a ruleset made of the configuration. Project files are left out: a packet filter knows no project.
fn nftables(world: &World, common: &Common, user: Option<&str>) -> Result<u8, Failure> {
    let subject = match user {
        None => Subject::Everyone,
        Some(user) => Subject::User(User::parse(user).map_err(Failure::usage)?),
    };
    let loaded = world.load(common, None)?;
    let text =
        nftables::ruleset(&subject, &loaded.config.egress, &loaded.digest.to_string()).map_err(Failure::usage)?;
    let mut out = std::io::stdout().lock();
    if common.json {
        output::json_line(&mut out, &json!({ "digest": loaded.digest, "ruleset": text }))?;
    } else {
        out.write_all(text.as_bytes())?;
    }
    Ok(EXIT_OK)
}

fn accept_user_file(world: &World, common: &Common, yes: bool) -> Result<u8, Failure> {
    if world.broker().is_some() {
        return Err(Failure::usage(anyhow::anyhow!("inside a cage no configuration can be accepted")));
    }
    let places = world.places(common);
    let state = open_state(world, &places)?;
    let path = &places.user_file;
    let mut out = anstream::stdout().lock();
    let difference = accept::difference(&state.accepted(), path).map_err(Failure::usage)?;
    if let accept::Shown::File(_) = difference.shown {
        let text = std::fs::read_to_string(path)?;
        load::validate(path, &text).map_err(Failure::usage)?;
    }
    let stored = accept::state(&state.accepted(), path).map_err(Failure::usage)?;
    if matches!(stored, accept::State::Absent | accept::State::Accepted { .. }) {
        writeln!(out, "nothing to accept: `{}` is as it was accepted, or not there", path.display())?;
        return Ok(EXIT_OK);
    }
    write!(out, "{}", redact_str(&difference.text))?;
    if difference.hidden > 0 {
        writeln!(out, "values of secrets are not shown; look at the file itself for them")?;
    }
    out.flush()?;
    if !yes {
        if !std::io::stdin().is_terminal() {
            let error = anyhow::anyhow!("a person has to accept `{}`, and there is no terminal", path.display());
            return Err(Failure::usage(error).help("run it on a terminal, or add --yes once you have read the file"));
        }
        write!(out, "accept this? [y/N] ")?;
        out.flush()?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "yes") {
            writeln!(out, "not accepted; nothing was changed")?;
            return Ok(EXIT_DENIED);
        }
    }
    accept::accept(&state.accepted(), path, difference.shown).map_err(Failure::guard)?;
    writeln!(out, "accepted: it is in force from the next session on")?;
    Ok(EXIT_OK)
}
