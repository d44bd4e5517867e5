// SPDX-License-Identifier: MIT OR Apache-2.0
//! What cargo knows of our packages.
//!
//! In: `cargo metadata` for this host. Out: packages, their licences and their edges.
//!
//! **Invariant:** asks with `--locked`: what is checked is what `Cargo.lock` says, and nothing is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::OnceLock;

use ringfort_testkit::source::workspace_root;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct Graph {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: BTreeSet<String>,
    pub(crate) resolve: Resolve,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` is a normal dependency.
    pub(crate) kind: Option<String>,
}

impl Dependency {
    pub(crate) fn is_shipped(&self) -> bool {
        self.kind.as_deref() != Some("dev")
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    kind: Option<String>,
}

impl Graph {
    /// Every package that is linked into, or needed to build, the package `name`; itself included.
    pub(crate) fn shipped_with(&self, name: &str) -> BTreeSet<&str> {
        let edges: BTreeMap<&str, &[Edge]> = self.resolve.nodes.iter().map(|n| (n.id.as_str(), &*n.deps)).collect();
        let mut open: Vec<&str> = self.packages.iter().filter(|p| p.name == name).map(|p| p.id.as_str()).collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                let shipped = |edge: &&Edge| edge.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev"));
                open.extend(edges.get(id).into_iter().flat_map(|e| e.iter()).filter(shipped).map(|e| e.pkg.as_str()));
            }
        }
        seen
    }

    /// The packages of this workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }
}

/// What cargo says about this workspace, asked once: without network where everything is there already.
pub(crate) fn graph() -> &'static Graph {
    static GRAPH: OnceLock<Graph> = OnceLock::new();
    GRAPH.get_or_init(|| {
        let host = host();
        let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", host.as_str()];
        let offline = output("CARGO", "cargo", &[&arguments[..], &["--offline"]].concat());
        let text = offline.or_else(|_| output("CARGO", "cargo", &arguments)).unwrap();
        serde_json::from_slice(&text).unwrap()
    })
}

fn host() -> String {
    let text = String::from_utf8(output("RUSTC", "rustc", &["-vV"]).unwrap()).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a test asks cargo about the workspace it runs in")]
fn output(variable: &str, program: &str, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let program = std::env::var_os(variable).unwrap_or_else(|| program.into());
    let output = Command::new(program).args(arguments).current_dir(workspace_root()).output().unwrap();
    if output.status.success() {
        Ok(output.stdout)
    } else {
        Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}
