// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the tests share: a folder with the files of every layer, and requests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ringfort_core::action::{Action, Command, ToolCall};
use ringfort_core::decision::Decision;
use ringfort_core::principal::Principal;
use ringfort_core::request::{Provenance, Request};
use ringfort_core::ruling::Ruling;
use ringfort_core::text::Text;
use ringfort_policy::accept;
use ringfort_policy::load::{LoadError, Loaded, Sources, load, validate};
use ringfort_policy::rule::Policy;

/// A folder with the files of every layer.
pub(crate) struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub(crate) fn sources(&self) -> Sources {
        Sources {
            system: Some(self.path("system.toml")),
            user: Some(self.path("user.toml")),
            project: Some(self.path("project.toml")),
            accepted: self.path("accepted"),
            ..Sources::default()
        }
    }

    pub(crate) fn load(&self) -> Result<Loaded, LoadError> {
        load(&self.sources())
    }

    pub(crate) fn accept_user(&self) {
        let path = self.path("user.toml");
        let shown = accept::difference(&self.path("accepted"), &path).unwrap().shown;
        accept::accept(&self.path("accepted"), &path, shown).unwrap();
    }
}

pub(crate) fn request(action: Action) -> Request {
    Request {
        principal: Principal::try_user("ada").unwrap(),
        action,
        session: "s".to_owned(),
        cwd: PathBuf::from("/home/ada/project"),
        workspace: PathBuf::from("/home/ada/project"),
        home: Some(PathBuf::from("/home/ada")),
        provenance: Provenance::Agent,
        bindings: Vec::new(),
    }
}

pub(crate) fn shell(text: &str) -> Request {
    request(Action::Command(Command::Shell(Text::from(text))))
}

pub(crate) fn display(error: &LoadError, folder: &Path) -> String {
    error.to_string().replace(&format!("{}/", folder.display()), "")
}

impl Files {
    pub(crate) fn error(&self) -> String {
        match self.load() {
            Ok(_) => "loaded".to_owned(),
            Err(error) => display(&error, self.folder.path()),
        }
    }
}

/// The ruling of one text of policy on an action, and the words of it that a test compares.
pub(crate) fn ruled(policy: &str, action: Action) -> Ruling {
    let config = validate(Path::new("test"), policy).unwrap();
    Policy::from_config(&config).decide(&request(action))
}

/// A call of a tool.
pub(crate) fn tool(name: &str, arguments: serde_json::Value) -> Action {
    Action::Tool(ToolCall { name: name.to_owned(), arguments })
}

/// Decision, whether it holds in the cage only, and the rules that decided.
pub(crate) fn answer(ruling: &Ruling) -> (Decision, bool, Vec<&str>) {
    let caged = ruling.decision != Decision::Deny && ruling.obligations.is_isolated();
    (ruling.decision, caged, ruling.deciding().map(|reason| reason.rule.as_str()).collect())
}
