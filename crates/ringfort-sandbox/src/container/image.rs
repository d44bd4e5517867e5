// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a name of an image stands for now.
//!
//! In: the name from the configuration. Out: [`Image`], which is run by its digest.
//!
//! **Invariant:** an image that is not there is an error; nothing is pulled. What the image says about itself that
//! could change the keeper inside (an entry point, variables) is overridden, not used.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::Deserialize;

use super::Caller;
use crate::client::ClientError;
use crate::launch::LaunchError;

/// An image as it is there now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Image {
    /// Its digest; what is run and recorded.
    pub(super) digest: String,
    /// Where it says its programs are.
    pub(super) path: OsString,
    /// Folders that it declares as volumes: each would be a writable place outside of every limit.
    pub(super) volumes: Vec<PathBuf>,
}

/// The folders of programs in an image that names none.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Most volumes of an image.
const VOLUMES_MAX: usize = 64;

#[derive(Deserialize)]
struct Inspected {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Os", default)]
    os: String,
    #[serde(rename = "Config", default)]
    config: Option<Config>,
}

#[derive(Default, Deserialize)]
struct Config {
    #[serde(rename = "Env", default)]
    environment: Option<Vec<String>>,
    #[serde(rename = "Volumes", default)]
    volumes: Option<std::collections::BTreeMap<String, serde::de::IgnoredAny>>,
}

/// Resolves `name`.
pub(super) fn resolve(caller: &Caller<'_>, name: &str) -> Result<Image, LaunchError> {
    if name.starts_with('-') {
        return Err(LaunchError::engine(format!("`{name}` is no name of an image"), caller.flavour.help_image));
    }
    let said = caller.call(["image", "inspect", name]).map_err(|error| match &error {
        ClientError::Failed { said, .. } if is_missing(said) => LaunchError::engine(
            format!("there is no image `{name}` here, and nothing is pulled for a run"),
            caller.flavour.help_image,
        ),
        error => caller.failed(error),
    })?;
    parse(&said.output).map_err(|why| {
        LaunchError::engine(format!("the image `{name}` cannot be used: {why}"), caller.flavour.help_image)
    })
}

fn is_missing(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    ["no such image", "image not known", "no such object"].iter().any(|text| said.contains(text))
}

fn parse(output: &[u8]) -> Result<Image, String> {
    let [inspected]: [Inspected; 1] =
        serde_json::from_slice(output).map_err(|error| format!("the engine's answer is not understood: {error}"))?;
    let hex = inspected.id.strip_prefix("sha256:").unwrap_or(&inspected.id);
    if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("the engine names no digest".to_owned());
    }
    if inspected.os != "linux" {
        return Err(format!("it is for the system `{}`", inspected.os));
    }
    let config = inspected.config.unwrap_or_default();
    let path = config.environment.iter().flatten().find_map(|line| line.strip_prefix("PATH="));
    let volumes: Vec<PathBuf> = config.volumes.unwrap_or_default().into_keys().map(PathBuf::from).collect();
    let is_plain = |path: &PathBuf| path.is_absolute() && path.components().count() > 1;
    if volumes.len() > VOLUMES_MAX || !volumes.iter().all(is_plain) {
        return Err("its volumes cannot be covered".to_owned());
    }
    Ok(Image { digest: format!("sha256:{hex}"), path: path.unwrap_or(DEFAULT_PATH).into(), volumes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "53e299d3163decb70f998007bb8f4eb25ca22ae665aa6d19567fa2675cc53fdf";

    #[test]
    fn an_image_is_its_digest() {
        let image = |digest: &str, path: &str, volumes: &[&str]| Image {
            digest: digest.into(),
            path: path.into(),
            volumes: volumes.iter().map(PathBuf::from).collect(),
        };
        let digest = format!("sha256:{HEX}");
        for (text, expected) in [
            (
                format!(
                    r#"{{"Id":"sha256:{HEX}","Os":"linux","Config":{{"Env":["A=b","PATH=/x"],"Volumes":{{"/data":{{}}}}}}}}"#
                ),
                image(&digest, "/x", &["/data"]),
            ),
            (
                format!(r#"{{"Id":"{HEX}","Os":"linux","Config":{{"Env":null,"Volumes":null}}}}"#),
                image(&digest, DEFAULT_PATH, &[]),
            ),
            (format!(r#"{{"Id":"{HEX}","Os":"linux"}}"#), image(&digest, DEFAULT_PATH, &[])),
        ] {
            assert_eq!(parse(format!("[{text}]").as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn deny_what_is_no_image() {
        for text in [
            String::new(),
            format!(r#"{{"Id":"{HEX}","Os":"linux"}},{{"Id":"{HEX}","Os":"linux"}}"#),
            r#"{"Id":"alpine:3.20","Os":"linux"}"#.to_owned(),
            format!(r#"{{"Id":"sha256:{HEX}0","Os":"linux"}}"#),
            format!(r#"{{"Id":"{HEX}","Os":"windows"}}"#),
            format!(r#"{{"Id":"{HEX}","Os":"linux","Config":{{"Volumes":{{"/":{{}}}}}}}}"#),
            format!(r#"{{"Id":"{HEX}","Os":"linux","Config":{{"Volumes":{{"data":{{}}}}}}}}"#),
        ] {
            assert!(parse(format!("[{text}]").as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn the_words_of_both_engines_for_a_missing_image_are_known() {
        for said in ["Error: No such image: x:1", "Error: inspecting object: x:1: image not known"] {
            assert!(is_missing(said), "{said}");
        }
        assert!(!is_missing("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"));
    }
}
