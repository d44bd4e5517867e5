// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: nothing that a program left becomes real unless a person says so, and what a person did meanwhile is kept.
//!
//! In: conflicts, start-up files, agents that apply their own work, crashes, races. Out: what really changed.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::cow::{Form, assert_same, changes, inside, list, listed, outside, place, waiting};
use crate::support::{Place, is_namespaced, until};

/// What stands against each change, by path.
fn against(place: &Place, key: &str) -> Vec<String> {
    let found = list(place);
    let all = found["changes"].as_array().unwrap().iter().filter(|change| !change[key].is_null());
    all.map(|change| change["path"].as_str().unwrap_or("?").to_owned()).collect()
}

#[test]
fn deny_applying_over_what_changed_outside() {
    for form in Form::all(&place()) {
        let place = place();
        for name in ["edit", "delete", "kept", "d/inner", "both/a", "gone"] {
            place.write(name, "before\n");
        }
        let job =
            "set -e\necho inside > edit\nrm delete\nrm -r d\necho new > fresh\necho more >> both/a\necho x >> gone\n";
        inside(&place, form, job).exits(0);
        assert_eq!(against(&place, "conflict"), [""; 0], "{form:?}");
        place.write("edit", "outside\n");
        place.write("delete", "outside\n");
        place.write("d/new", "outside\n");
        place.write("fresh", "outside\n");
        fs::remove_file(place.work.join("gone")).unwrap();
        let mut found = against(&place, "conflict");
        found.sort();
        assert_eq!(found, ["d", "delete", "edit", "fresh", "gone"], "{form:?}");
        let before = outside(&place);
        let refused = changes(&place, &["apply"]).exits(1);
        assert!(refused.err().contains("conflict: edit"), "{refused}");
        assert_same(&before, &outside(&place), &format!("{form:?}"));
        // What is not in conflict can be applied.
        changes(&place, &["apply", "both"]).exits(0);
        assert_eq!(fs::read_to_string(place.work.join("both/a")).unwrap(), "before\nmore\n");
        assert_eq!(fs::read_to_string(place.work.join("edit")).unwrap(), "outside\n");
        assert_eq!(waiting(&place), 1);
    }
}

#[test]
fn deny_applying_over_what_was_replaced_by_rename_with_the_same_time() {
    let place = place();
    let file = place.write("file", "before\n");
    inside(&place, Form::all(&place)[0], "echo inside > file").exits(0);
    let other = place.write("other", "outsid\n");
    place.program("touch", ["-r", "file", "other"]).output().exits(0);
    fs::rename(other, &file).unwrap();
    changes(&place, &["apply", "file"]).exits(1);
    assert_eq!(fs::read_to_string(file).unwrap(), "outsid\n");
}

#[test]
fn deny_start_up_files_without_an_explicit_yes() {
    for form in Form::all(&place()) {
        let place = place();
        place.program("git", ["init", "-q"]).output().exits(0);
        place.write("ringfort.toml", "[autonomy]\nforbidden_paths = [\"./no-such\"]\n");
        let job = "set -e\nprintf '#!/bin/sh\\n' > .git/hooks/post-checkout; chmod 755 .git/hooks/post-checkout\n\
            git config core.hooksPath evil\necho x > .envrc\nmkdir .vscode; echo x > .vscode/tasks.json\nrm ringfort.toml\n\
            mkfifo pipe\necho fine > fine\n";
        inside(&place, form, job).exits(0);
        let mut found = against(&place, "needs_startup");
        found.sort();
        let expected = [
            ".envrc",
            ".git/config",
            ".git/hooks/post-checkout",
            ".vscode",
            ".vscode/tasks.json",
            "pipe",
            "ringfort.toml",
        ];
        assert_eq!(found, expected, "{form:?}");
        let before = outside(&place);
        let refused = changes(&place, &["apply"]).exits(1);
        assert!(refused.err().contains("--allow-startup"), "{refused}");
        assert_same(&before, &outside(&place), &format!("{form:?}"));
        changes(&place, &["apply", "fine"]).exits(0);
        assert!(place.work.join("fine").exists() && !place.work.join(".envrc").exists());
        changes(&place, &["apply", "--allow-startup"]).exits(0);
        assert!(place.work.join(".envrc").exists() && !place.work.join("ringfort.toml").exists());
    }
}

#[test]
fn ordinary_git_settings_need_no_explicit_yes() {
    let place = place();
    place.program("git", ["init", "-q"]).output().exits(0);
    let job = "git config branch.main.remote origin; git remote add origin https://example.org/x; git init -q sub";
    inside(&place, Form::all(&place)[0], job).exits(0);
    assert_eq!(against(&place, "needs_startup"), [""; 0]);
    changes(&place, &["apply"]).exits(0);
    assert!(fs::read_to_string(place.work.join(".git/config")).unwrap().contains("example.org"));
}

#[test]
fn deny_agents_and_caged_programs_and_frozen_hosts() {
    let place = place();
    inside(&place, Form::all(&place)[0], "echo x > new").exits(0);
    for words in [&["changes", "apply"][..], &["changes", "discard"]] {
        let refused = place.ringfort(words).env("CLAUDECODE", "1").output().exits(1);
        assert!(refused.err().contains("for people"), "{refused}");
        // A hook's agent is denied the same by its command line.
        let line = format!("ringfort {}", words.join(" "));
        place.ringfort(["check", "--", &line]).output().exits(1);
    }
    place.ringfort(["freeze"]).output().exits(0);
    changes(&place, &["apply"]).exits(1);
    changes(&place, &["discard"]).exits(1);
    place.ringfort(["freeze", "--off"]).output().exits(0);
    let nested = "rf=$HOME/.local/bin/ringfort; [ -x \"$rf\" ] || rf=$(command -v ringfort); \"$rf\" changes apply; \
        echo \"status-$?\"; ls -a $HOME/.local/state 2>/dev/null; true";
    place.write("nested.sh", nested);
    let inner = place.run(["sh", "nested.sh"]).output().exits(0);
    assert!(inner.out().contains("status-1"), "{inner}");
    assert!(!place.work.join("new").exists());
    changes(&place, &["apply"]).exits(0);
    assert!(place.work.join("new").exists());
}

#[test]
fn deny_a_run_inside_a_copy_on_write_run_a_way_around_it() {
    let place = place();
    if !is_namespaced(&place) {
        return;
    }
    let nested = "rf=$HOME/.local/bin/ringfort; [ -x \"$rf\" ] || rf=$(command -v ringfort); \
        \"$rf\" run -- touch nested; echo \"status-$?\" >> said; \"$rf\" run --cow -- touch escaped; echo \"status-$?\" >> said";
    for (form, said) in [(Form::Overlay, "status-125\nstatus-126\n"), (Form::Copy, "status-0\nstatus-126\n")] {
        let place = crate::cow::place();
        place.write("nested.sh", nested);
        // Not by way of Python, which closes the supervisor's socket.
        let words = std::iter::once("run".to_owned()).chain(form.options(&place));
        let output = place.ringfort(words.chain(["--", "sh", "nested.sh"].map(str::to_owned))).output().exits(0);
        assert!(!place.work.join("nested").exists() && !place.work.join("escaped").exists(), "{output}");
        changes(&place, &["apply"]).exits(0);
        assert_eq!(fs::read_to_string(place.work.join("said")).unwrap(), said, "{form:?}");
        // What a nested run does is a change like any other.
        assert_eq!(place.work.join("nested").exists(), form == Form::Copy);
    }
}

#[test]
fn applying_by_path_takes_these_and_leaves_the_rest() {
    for form in Form::all(&place()) {
        let place = place();
        for name in ["a/one", "a/two", "b/three", "b/c/four"] {
            place.write(name, "before\n");
        }
        let job = "set -e\necho x >> a/one\necho x >> a/two\nrm -r b\nmkdir -p n/m\necho 1 > n/m/1\necho 2 > n/m/2\n";
        let seen = inside(&place, form, job).exits(0);
        let is = |path: &str| place.work.join(path).exists();
        changes(&place, &["apply", "a/one", "n/m/1", "b/c"]).exits(0);
        assert!(is("n/m/1") && !is("n/m/2") && !is("b/c") && is("b/three"), "{form:?}");
        assert_eq!(fs::read_to_string(place.work.join("a/two")).unwrap(), "before\n");
        changes(&place, &["apply", "a/one"]).exits(2);
        changes(&place, &["apply", "no-such"]).exits(2);
        changes(&place, &["apply", "/etc"]).exits(2);
        changes(&place, &["apply", "../outside"]).exits(2);
        changes(&place, &["apply"]).exits(0);
        assert_same(&seen.out(), &listed(&place), &format!("{form:?}"));
        changes(&place, &["apply"]).exits(2);
    }
}

#[test]
fn a_killed_run_keeps_its_changes() {
    for form in Form::all(&place()) {
        let place = place();
        place.write("job.sh", "echo kept > kept; echo ready; exec sleep 300");
        let words = std::iter::once("run".to_owned()).chain(form.options(&place));
        let mut run = place.ringfort(words.chain(["--", "sh", "job.sh"].map(str::to_owned)));
        run.command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        let mut run = run.spawn();
        let upper = || {
            let runs = fs::read_dir(place.state.join("cow")).ok()?;
            runs.flatten().find(|run| ["upper/kept", "copy/kept"].iter().any(|name| run.path().join(name).exists()))
        };
        until(Duration::from_secs(30), upper).expect("the program writes");
        changes(&place, &["apply"]).exits(2);
        changes(&place, &["discard"]).exits(2);
        run.0.kill().unwrap();
        run.wait(Duration::from_secs(10));
        // Another run sweeps what was left of the session, and nothing of its changes.
        place.run(["true"]).output().exits(0);
        let shown = until(Duration::from_secs(10), || {
            let shown = changes(&place, &["list"]).exits(0).out();
            shown.contains("UNFINISHED").then_some(shown)
        });
        assert!(shown.is_some(), "{form:?}: {}", changes(&place, &["list"]));
        assert!(!place.work.join("kept").exists());
        changes(&place, &["apply", "kept"]).exits(0);
        assert_eq!(fs::read_to_string(place.work.join("kept")).unwrap(), "kept\n");
    }
}

#[test]
fn an_interrupted_application_is_carried_out() {
    let place = place();
    for n in 0..300 {
        place.write(format!("f{n}"), "before\n");
        place.write(format!("gone/{n}"), "before\n");
    }
    let job = "for n in $(seq 0 299); do echo x >> f$n; echo new > n$n; done; rm -r gone";
    let form = Form::all(&place)[0];
    let seen = inside(&place, form, job).exits(0);
    let before = outside(&place);
    let mut interrupted = 0;
    for delay in 0..60_u64 {
        let mut apply = place.ringfort(["changes", "apply"]);
        apply.command.stdin(std::process::Stdio::null());
        apply.command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut apply = apply.spawn();
        std::thread::park_timeout(Duration::from_millis(3 * delay));
        let ended = apply.0.try_wait().unwrap().is_some();
        apply.0.kill().ok();
        apply.wait(Duration::from_secs(10));
        if ended {
            break;
        }
        interrupted += 1;
        if waiting(&place) == 0 {
            break;
        }
    }
    assert!(interrupted > 0);
    if waiting(&place) > 0 {
        changes(&place, &["apply"]).exits(0);
    }
    assert_ne!(before, listed(&place));
    assert_same(&seen.out(), &listed(&place), "after all");
    let left = fs::read_dir(&place.work)
        .unwrap()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with(".ringfort-apply"));
    assert!(!left, "the staging folder is gone");
}

/// Swaps a folder of the real tree for a link to the outside, again and again, while changes in it are applied.
#[test]
fn deny_writing_outside_through_a_link_that_is_put_in_the_way() {
    let place = place();
    let form = Form::all(&place)[0];
    let victim = place.outside.join("victim");
    fs::create_dir_all(&victim).unwrap();
    fs::write(victim.join("file"), "outside\n").unwrap();
    fs::write(victim.join("gone"), "outside\n").unwrap();
    let stop = AtomicBool::new(false);
    let (folder, aside) = (place.work.join("d"), place.work.join("aside"));
    for _ in 0..12 {
        fs::remove_dir_all(&folder).ok();
        fs::remove_file(&folder).ok();
        fs::remove_dir_all(&aside).ok();
        place.write("d/file", "before\n");
        place.write("d/gone", "before\n");
        inside(&place, form, "echo inside > d/file; rm d/gone; echo x > d/new; mkdir d/n; echo y > d/n/y").exits(0);
        stop.store(false, Ordering::Relaxed);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    if fs::rename(&folder, &aside).is_ok() {
                        symlink(&victim, &folder).ok();
                        std::thread::yield_now();
                        fs::remove_file(&folder).ok();
                        fs::rename(&aside, &folder).ok();
                    }
                }
            });
            for _ in 0..6 {
                let output = changes(&place, &["apply"]);
                if output.code() == Some(0) {
                    break;
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        changes(&place, &["discard"]);
        assert_eq!(fs::read_to_string(victim.join("file")).unwrap(), "outside\n");
        assert_eq!(fs::read_to_string(victim.join("gone")).unwrap(), "outside\n");
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 2, "nothing new outside");
    }
}

#[test]
fn deny_reading_what_is_hidden_and_applying_over_it() {
    for form in Form::all(&place()) {
        let place = place();
        place.write("secret/key", "the hidden content\n");
        place.write(".hidden", "the hidden content\n");
        place.write("policy.toml", "[sandbox]\nrequire = [\"confine-writes\", \"no-network\", \"confine-syscalls\"]\n[autonomy]\nforbidden_paths = [\"./secret\", \"./.hidden\"]\n");
        let file = place.root.join("policy.toml");
        fs::rename(place.work.join("policy.toml"), &file).unwrap();
        place.write(
            "job.sh",
            "cat secret/key .hidden; echo overwritten > .hidden; echo overwritten > secret/key; rm -rf secret; true",
        );
        let mut words = vec!["run".to_owned()];
        words.extend(form.options(&place).into_iter().filter(|word| word != "--policy" && !word.ends_with(".toml")));
        words.extend(["--policy", file.to_str().unwrap(), "--", "sh", "job.sh"].map(str::to_owned));
        let output = place.ringfort(words).output();
        assert!(!output.out().contains("the hidden content"), "{form:?} {output}");
        if waiting(&place) > 0 {
            changes(&place, &["apply"]);
        }
        for name in ["secret/key", ".hidden"] {
            assert_eq!(fs::read_to_string(place.work.join(name)).unwrap(), "the hidden content\n", "{form:?}");
        }
    }
}

#[test]
fn a_file_and_a_folder_take_each_others_place_and_back() {
    for form in Form::all(&place()) {
        let place = place();
        place.write("file", "file\n");
        place.write("folder/in", "in\n");
        let job = "set -e\nrm file; mkdir file; echo 1 > file/1; rm -r file; echo file > file\n\
            rm -r folder; echo x > folder; rm folder; mkdir folder; echo in > folder/in\n";
        let seen = inside(&place, form, job).exits(0);
        let found = list(&place);
        let whats: Vec<_> = found["changes"].as_array().unwrap().iter().map(|change| &change["what"]).collect();
        assert!(whats.iter().all(|what| *what == "modified"), "{form:?} {found:#}");
        changes(&place, &["apply"]).exits(0);
        assert_same(&seen.out(), &listed(&place), &format!("{form:?}"));
    }
}

#[test]
fn deny_a_tree_deeper_than_any_path_to_stay_behind() {
    let place = place();
    let job = "python3 -c '\nimport os\nfor n in range(3000):\n os.mkdir(\"deep\"); os.chdir(\"deep\")\nopen(\"x\", \"w\").close()\n'";
    inside(&place, Form::all(&place)[0], job);
    // It cannot be listed, and says so; it can be thrown away.
    changes(&place, &[]).exits(3);
    changes(&place, &["apply"]).exits(3);
    changes(&place, &["discard"]).exits(0);
    assert_eq!(waiting(&place), 0);
    assert!(!place.work.join("deep").exists());
}
