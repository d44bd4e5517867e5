// SPDX-License-Identifier: MIT OR Apache-2.0
//! The process that is attacked, and what can be seen of its state.
//!
//! In: where its files are. Out: the scene it tells, and afterwards what harm came to it.
//!
//! **Invariant:** it is looked at from outside (`/proc`, files that it writes), never asked through what was attacked.
//! When dropped, it and everything that it made are gone.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How long the victim may take to show its state again. A machine under load may be slow.
const SHOW_MAX: Duration = Duration::from_secs(10);

/// The process that is attacked.
#[derive(Debug)]
pub(super) struct Victim {
    keeper: Child,
    pid: u32,
    watch: PathBuf,
    /// What it tells of itself.
    pub(super) scene: String,
    before: Posture,
}

/// How the victim stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Posture {
    /// From `stat`: group, session, nice, policy, with their names.
    numbers: Vec<(&'static str, String)>,
    files: Vec<(&'static str, String)>,
    shown: Vec<String>,
}

/// Fields of `stat`, counted from after the command's name.
const FIELDS: [(usize, &str); 4] = [(2, "group"), (3, "session"), (16, "nice"), (38, "policy")];
/// Lines of `status` that nobody else may change.
const LINES: [&str; 2] = ["Cpus_allowed:", "TracerPid:"];

impl Victim {
    pub(super) fn start(
        program: &Path,
        [home, outside, watch]: [&Path; 3],
        tag: &str,
        secret: &str,
    ) -> io::Result<Self> {
        let mut command = super::world::command(program);
        command.arg("victim").args([home, outside, watch]).args([tag, secret]);
        command.env_clear().env("VICTIM", format!("{secret}-environment"));
        // A group of its own: what an attack sends to ours does not reach it by accident.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut scene = String::new();
        if let Some(output) = keeper.stdout.take() {
            let mut reader = BufReader::new(output);
            while !scene.ends_with("ready\n") && reader.read_line(&mut scene)? > 0 {}
        }
        let pid = scene.lines().find_map(|line| line.strip_prefix("victim=")?.parse().ok());
        let Some(pid) = pid.filter(|_| scene.ends_with("ready\n")) else {
            return Err(io::Error::other(format!("the process to attack did not start: {scene}")));
        };
        let nothing = Posture { numbers: Vec::new(), files: Vec::new(), shown: Vec::new() };
        let mut victim = Self { keeper, pid, watch: watch.to_path_buf(), scene, before: nothing };
        victim.before = victim.posture()?.ok_or_else(|| io::Error::other("the process to attack ended"))?;
        Ok(victim)
    }

    /// What happened to it.
    pub(super) fn harm(&self) -> io::Result<Vec<String>> {
        let mut found: Vec<String> = Vec::new();
        match self.posture()? {
            None => found.push("the process outside was ended or stopped".to_owned()),
            Some(now) => {
                let pairs =
                    self.before.numbers.iter().zip(&now.numbers).chain(self.before.files.iter().zip(&now.files));
                let changed = pairs.filter(|(old, new)| old != new);
                found.extend(
                    changed.map(|(old, new)| format!("{} of the process outside: {} is {}", old.0, old.1, new.1)),
                );
                let shown = self.before.shown.iter().zip(&now.shown).filter(|(old, new)| old != new);
                found.extend(shown.map(|(old, new)| format!("the process outside has `{new}`, it had `{old}`")));
            }
        }
        let visitors = fs::read_to_string(self.watch.join("visitors")).unwrap_or_default();
        found.extend(visitors.lines().take(3).map(|line| format!("outside there was {line}")));
        if fs::metadata(self.watch.join("victim.log")).map_or(0, |meta| meta.len()) > 0 {
            found.push("somebody wrote to an open file of the process outside".to_owned());
        }
        Ok(found)
    }

    /// How it stands now; `None` when it has ended or stands still.
    fn posture(&self) -> io::Result<Option<Posture>> {
        let Some(shown) = self.next_state() else { return Ok(None) };
        let file = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.pid));
        let Ok(stat) = file("stat") else { return Ok(None) };
        let after: Vec<&str> = stat.rsplit_once(") ").map_or("", |(_, after)| after).split(' ').collect();
        let field = |index: usize| after.get(index).copied().unwrap_or("").to_owned();
        let numbers = FIELDS.iter().map(|(index, name)| (*name, field(*index))).collect();
        let status = file("status").unwrap_or_default();
        let mut files: Vec<(&'static str, String)> = ["limits", "oom_score_adj", "coredump_filter"]
            .into_iter()
            .map(|name| (name, file(name).unwrap_or_default()))
            .collect();
        for name in LINES {
            files.push((name, status.lines().find(|line| line.starts_with(name)).unwrap_or("").to_owned()));
        }
        Ok(Some(Posture { numbers, files, shown }))
    }

    /// What it shows of itself, made after this was asked for.
    fn next_state(&self) -> Option<Vec<String>> {
        let path = self.watch.join("state");
        let read = || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let mut lines = text.lines();
            let number: u64 = lines.next()?.parse().ok()?;
            Some((number, lines.map(str::to_owned).collect::<Vec<String>>()))
        };
        let start = Instant::now();
        let first = read().map_or(0, |(number, _)| number);
        while start.elapsed() < SHOW_MAX {
            // Two further turns: the first may have begun before.
            if let Some((number, lines)) = read()
                && number >= first + 2
            {
                return Some(lines);
            }
            if self.is_ended() {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Whether it is gone, a corpse, or stopped.
    fn is_ended(&self) -> bool {
        let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", self.pid)) else { return true };
        let state = stat.rsplit_once(") ").map_or("", |(_, after)| after).chars().next();
        matches!(state, None | Some('Z' | 'X' | 'T' | 't'))
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        drop(self.keeper.wait());
    }
}
