// SPDX-License-Identifier: MIT OR Apache-2.0
//! The JSON schemas of `ringfort.toml`, generated from the types.
//!
//! In: nothing. Out: the schema of a user's file and that of a project's, for editors and for error messages.
//!
//! **Invariant:** the checked-in copies under `docs/formats` are the generated ones (tested).

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::config::Config;
use crate::restriction::Restriction;

fn generate<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// The schema of a system, user or `--policy` file.
pub fn config() -> Value {
    generate::<Config>()
}

/// The schema of a project file.
pub fn restriction() -> Value {
    generate::<Restriction>()
}
