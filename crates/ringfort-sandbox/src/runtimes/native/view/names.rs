// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files by which programs find out whom to ask for a name.
//!
//! In: a profile with a door that answers names. Out: steps that put a private `resolv.conf` in the place of the
//! host's, and a private `nsswitch.conf` where the host's asks services that do not exist inside.
//!
//! **Invariant:** the host's files stay as they are. What is a link there is covered itself, not what it leads to.
//! Without `resolv.conf` the C libraries ask 127.0.0.1, so a host that has none needs nothing.

use std::path::Path;

use super::super::ProfileError;
use super::super::step::{Source, Step};
use super::{Backing, Planner, STORE, c_path};
use crate::profile::{DoorView, Network};
use crate::syscall::{Depth, NODEV, NOEXEC, NOSUID, RDONLY};

const RESOLV: &str = "/etc/resolv.conf";
const RESOLV_TEXT: &str = "# The door of this cage answers for names.\nnameserver 127.0.0.1\n";
const NSSWITCH: &str = "/etc/nsswitch.conf";
/// Services that look hosts up without asking another process.
const PLAIN_SERVICES: [&str; 3] = ["files", "dns", "myhostname"];
const HOSTS: &str = "hosts:";
/// Largest `nsswitch.conf` that is read. Bytes.
const NSSWITCH_BYTES_MAX: u64 = 64 << 10;

impl Planner<'_> {
    /// Leads questions for names to the door, where the profile has one that answers them.
    pub(super) fn names(&mut self) -> Result<(), ProfileError> {
        let Network::Door(DoorView { names: true, .. }) = self.profile.network else {
            return Ok(());
        };
        self.replace(Path::new(RESOLV), "resolv.conf", RESOLV_TEXT)?;
        match read_bounded(Path::new(NSSWITCH)).as_deref().and_then(plain_services) {
            Some(text) => self.replace(Path::new(NSSWITCH), "nsswitch.conf", &text),
            None => Ok(()),
        }
    }

    /// Puts a file with this text in the place of the one at `path`, if there is one in view.
    fn replace(&mut self, path: &Path, name: &str, text: &str) -> Result<(), ProfileError> {
        let hidden = self.profile.hidden.iter().any(|hidden| path.starts_with(hidden));
        if hidden || self.backing_of(path) == Backing::Ours || path.symlink_metadata().is_err() {
            return Ok(());
        }
        let copy = Path::new(STORE).join(name);
        self.file(&copy, 0o444, text.as_bytes().to_vec())?;
        self.push(Step::Bind {
            source: Source::Inside(c_path(&copy)?),
            path: c_path(path)?,
            depth: Depth::One,
            attributes: RDONLY | NOSUID | NODEV | NOEXEC,
        });
        self.mounts.insert(path.to_path_buf(), Backing::Ours);
        Ok(())
    }
}

fn read_bounded(path: &Path) -> Option<String> {
    let length = path.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
    if length > NSSWITCH_BYTES_MAX {
        return None;
    }
    std::fs::read_to_string(path).ok()
}

/// `text` with hosts looked up by file and DNS alone; `None` where that is so already, or hosts are not named (then the
/// C library does the same).
fn plain_services(text: &str) -> Option<String> {
    let services = text.lines().find_map(|line| line.trim_start().strip_prefix(HOSTS))?;
    let services = services.split('#').next().unwrap_or_default();
    let mut words = services.split_whitespace();
    let has_dns = words.clone().any(|word| word == "dns");
    if has_dns && words.all(|word| PLAIN_SERVICES.contains(&word)) {
        return None;
    }
    let plain = |line: &str| {
        if line.trim_start().starts_with(HOSTS) { "hosts: files dns\n".to_owned() } else { format!("{line}\n") }
    };
    Some(text.lines().map(plain).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_looked_up_by_file_and_door_alone() {
        for (services, replaced) in [
            ("files dns", false),
            ("  files dns myhostname # usual", false),
            ("files mymachines resolve [!UNAVAIL=return] dns myhostname", true),
            ("files mdns4_minimal [NOTFOUND=return] dns", true),
            ("files", true),
            ("dns [!UNAVAIL=return] files", true),
            ("", true),
        ] {
            let text = format!("passwd: files systemd\nhosts: {services}\nnetworks: files\n");
            let expected = "passwd: files systemd\nhosts: files dns\nnetworks: files\n".to_owned();
            assert_eq!(plain_services(&text), replaced.then_some(expected), "{services}");
        }
        assert_eq!(plain_services("passwd: files\n"), None);
    }
}
