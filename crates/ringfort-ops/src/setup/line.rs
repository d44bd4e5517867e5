// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line that an agent is given: it blocks whatever happens to the program behind it.
//!
//! In: where the binary is, the agent, whether the event stands before an effect. Out: one line for the agent's shell.
//!
//! **Invariant:** before an effect every end of the hook but its two own answers (0 with its answer, 2 with its
//! reason) leaves the line with status 2 and a reason on standard error: a missing binary, a kill, a stop, no memory.
//! The line is a single simple command, so that an agent which appends a here-document feeds the hook and nothing else.

use std::path::Path;

use super::SetupError;

/// What every line of ours contains, whatever version wrote it.
const MARK: &str = "\"$0\" hook \"$@\"";
/// After this the hook is stopped for good, above its own deadline (10 s) and below what the agent is told. Seconds.
const STOP_SECONDS: u32 = 20;
/// What the agent is told to wait. Seconds.
pub const AGENT_WAIT_SECONDS: u32 = 30;
/// Longest path of a binary that is registered. Bytes.
const PATH_BYTES_MAX: usize = 1024;

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// Before an effect: no answer blocks.
    Before,
    /// After it, or where nothing is to be blocked: no answer is no opinion.
    After,
}

/// What stops a hook that stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopper {
    /// The program `timeout`, at this place.
    Timeout(&'static str),
    /// There is none: a hook that stands still is left to the agent's own time-out.
    None,
}

/// Where the program `timeout` is looked for.
pub const TIMEOUT_PLACES: &[&str] = &["/usr/bin/timeout", "/bin/timeout"];

/// The line for one agent and event.
///
/// # Errors
///
/// The path of the binary cannot be written as one word of a shell.
pub fn line(binary: &Path, words: &[&str], stands: Stands, stopper: Stopper) -> Result<String, SetupError> {
    let path = binary
        .to_str()
        .filter(|path| path.starts_with('/') && path.len() <= PATH_BYTES_MAX && !path.chars().any(|c| c.is_control()));
    let Some(path) = path else { return Err(SetupError::Binary { path: binary.to_owned() }) };
    let run = match stopper {
        Stopper::Timeout(program) => format!("{program} -k 1 {STOP_SECONDS} {MARK}"),
        Stopper::None => MARK.to_owned(),
    };
    let script = match stands {
        Stands::Before => format!(
            "{run}; s=$?; case $s in 0|2) exit $s;; esac; \
             echo \"ringfort: the guard gave no answer (status $s), so this is blocked\" >&2; exit 2"
        ),
        Stands::After => format!("{run} || exit 0"),
    };
    Ok(format!("/bin/sh -c '{script}' {} {}", quoted(path), words.join(" ")))
}

/// Whether a line was written by us, by whatever version and for whatever place of the binary.
pub fn is_ours(line: &str) -> bool {
    line.starts_with("/bin/sh -c '") && line.contains(MARK)
}

/// One word for every shell of POSIX kind, and for fish.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_line_is_recognised_and_quotes_the_path() {
        for path in ["/usr/bin/ringfort", "/opt/ring fort/ringfort", "/home/o'neil/ringfort", "/a/$HOME/`x`/ringfort"] {
            for stands in [Stands::Before, Stands::After] {
                let text =
                    line(&PathBuf::from(path), &["claude-code"], stands, Stopper::Timeout("/usr/bin/timeout")).unwrap();
                assert!(is_ours(&text), "{text}");
                assert!(text.contains(&quoted(path)), "{text}");
            }
        }
        for other in ["ringfort hook claude-code", "/bin/sh -c 'true' hook", "", "my-guard --hook"] {
            assert!(!is_ours(other), "{other}");
        }
    }

    #[test]
    fn deny_a_path_that_is_no_word() {
        for path in ["ringfort", "/a\n/b", "/a\0b", "/\u{1b}[2J"] {
            assert!(line(&PathBuf::from(path), &["codex"], Stands::Before, Stopper::None).is_err(), "{path:?}");
        }
    }

    /// The line itself, by the real shells: what comes out when the program behind it fails in every way.
    #[test]
    fn deny_whatever_happens_to_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let fake = folder.path().join("ring 'fort");
        for (program, before, after) in [
            ("#!/bin/sh\nexit 0\n", 0, 0),
            ("#!/bin/sh\ncat >/dev/null; exit 2\n", 2, 0),
            ("#!/bin/sh\nexit 1\n", 2, 0),
            ("#!/bin/sh\nexit 101\n", 2, 0),
            ("#!/bin/sh\nkill -9 $$\n", 2, 0),
            ("#!/bin/sh\nkill -6 $$\n", 2, 0),
            ("#!/nonexistent\n", 2, 0),
            ("", 2, 0),
        ] {
            if program.is_empty() {
                std::fs::remove_file(&fake).unwrap();
            } else {
                std::fs::write(&fake, program).unwrap();
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                std::fs::set_permissions(&fake, mode).unwrap();
            }
            for shell in ["sh", "bash"] {
                for (stands, expected) in [(Stands::Before, before), (Stands::After, after)] {
                    for stopper in [Stopper::Timeout("/usr/bin/timeout"), Stopper::None] {
                        let text = line(&fake, &["codex"], stands, stopper).unwrap();
                        let text = format!("{text} <<'END'\n{{}}\nEND\n");
                        #[expect(clippy::disallowed_methods, reason = "a test starts the line as an agent does")]
                        let output = std::process::Command::new(shell).args(["-c", &text]).output().unwrap();
                        assert_eq!(output.status.code(), Some(expected), "{shell} {stands:?} {program:?}");
                        let silent = expected == 0 || program.contains("exit 2");
                        assert!(silent || !output.stderr.is_empty(), "{shell} {program:?}: no reason");
                    }
                }
            }
        }
    }
}
