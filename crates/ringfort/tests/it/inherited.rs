// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the supervisor inherits cannot make it promise what does not hold: layers of Landlock until there is room for no
//! more, and a filter that answers success to whoever restricts itself.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::support::{Output, Place, Program, binary};

/// Promises that the degree `minimal` keeps.
const MINIMAL: &str = "[sandbox]\nrequire = [\"confine-writes\", \"confine-reads\", \"no-network\", \"confine-syscalls\", \"no-privilege\"]\n";

/// `ringfort` with these words under what the hostile program hands on.
pub(crate) fn ringfort_under(place: &Place, what: &str, words: &[&OsStr]) -> Program {
    let program = place.outside.join("escape");
    std::fs::write(&program, ringfort_testkit::escape::program()).unwrap();
    // By a shell, which also makes it executable: this process may be starting others meanwhile.
    let line = "cp \"$0\" \"$0.run\" && chmod 755 \"$0.run\" && exec \"$0.run\" \"$@\"";
    let mut all: Vec<OsString> = vec!["-c".into(), line.into(), program.into(), "under".into(), what.into()];
    all.push(binary().into());
    all.extend(words.iter().map(OsString::from));
    place.program("/bin/sh", all)
}

/// `ringfort run` under it.
fn under(place: &Place, what: &str, options: &[&str]) -> Output {
    let policy = place.write(place.outside.join("minimal.toml"), MINIMAL);
    let mut words: Vec<&OsStr> = vec!["run".as_ref(), "--policy".as_ref(), policy.as_ref()];
    words.extend(options.iter().chain(&["--", "/bin/touch", "ran"]).map(OsStr::new));
    ringfort_under(place, what, &words).output()
}

fn has_run(place: &Place) -> bool {
    Path::new(&place.work).join("ran").exists()
}

#[test]
fn deny_to_start_where_landlock_has_no_room() {
    for degree in ["auto", "minimal"] {
        let place = Place::new();
        let output = under(&place, "layers", &["--degree", degree]).exits(125);
        assert!(!has_run(&place), "{degree}: {output}");
    }
}

#[test]
fn deny_to_believe_a_filter_that_fakes_success() {
    let place = Place::new();
    let output = under(&place, "filter", &["--degree", "minimal"]).exits(125);
    assert!(!has_run(&place), "{output}");
    assert!(output.err().contains("confine-writes"), "it names the promise: {output}");
    // With namespaces the view still holds, but it is not the full degree, and nobody may be told so.
    let place = Place::new();
    let output = under(&place, "filter", &["--require", "full"]).exits(125);
    assert!(!has_run(&place), "{output}");
}
