// SPDX-License-Identifier: MIT OR Apache-2.0
//! A state folder for each test, and questions.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use ringfort_core::clock::Timestamp;
use ringfort_core::decision::Risk;
use ringfort_core::digest::Digest;
use ringfort_core::door::{DoorKind, Standing};
use ringfort_core::principal::Principal;
use ringfort_core::store::{ApprovalKeys, Question};
use ringfort_store::{ApprovalDb, FILE_NAME};
use tempfile::TempDir;

/// The time at which tests start.
pub(crate) const NOW: Timestamp = Timestamp(1_800_000_000_000);

pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        Self { folder }
    }

    /// A store of its own process, as it were.
    pub(crate) fn store(&self) -> ApprovalDb {
        ApprovalDb::new(self.folder.path())
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join(FILE_NAME)
    }
}

/// A question about `name`, with all keys.
pub(crate) fn question(name: &str) -> Question {
    let key = |extent: &str| Digest::of(format!("{extent} {name}").as_bytes());
    Question {
        keys: ApprovalKeys { exact: key("exact"), session: Some(key("session")), shape: Some(key("shape")) },
        principal: Principal::try_user("ada").unwrap().try_child("agent").unwrap(),
        session: "s1".to_owned(),
        door: DoorKind::Hook,
        standing: Standing::Advised,
        action: format!("publish {name}"),
        cwd: "/w".to_owned(),
        risk: Risk::High,
        reasons: vec!["it publishes [policy-008]".to_owned()],
        shape: Some("publish <any>".to_owned()),
    }
}
