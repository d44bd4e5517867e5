// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of harmless settings: for each that is allowed, more that are not.

use super::*;

fn repository() -> Place<'static> {
    Place::Repository { directory: Path::new(".git"), submodule: Submodule::No }
}

fn module() -> Place<'static> {
    Place::Repository { directory: Path::new(".git/modules/lib"), submodule: Submodule::Yes }
}

#[test]
fn ordinary_settings_are_harmless() {
    for (name, value) in [
        ("core.repositoryformatversion", "0"),
        ("core.filemode", "true"),
        ("core.autocrlf", "input"),
        ("user.name", "J\u{f6}rg O'Neill <x>"),
        ("user.email", "a@b.example"),
        ("init.defaultbranch", "main"),
        ("branch.feature/a.b.remote", "origin"),
        ("branch.main.remote", "."),
        ("branch.main.merge", "refs/heads/main"),
        ("branch.main.rebase", "true"),
        ("remote.origin.url", "https://host.example/a/b.git"),
        ("remote.origin.url", "https://user@host.example:8443/a"),
        ("remote.origin.url", "git@host.example:a/b.git"),
        ("remote.origin.url", "ssh://git@host.example:22/a"),
        ("remote.origin.url", "https://[::1]/a"),
        ("remote.origin.url", "../a b.git"),
        ("remote.origin.url", "/srv/git/a.git"),
        ("remote.origin.url", "file:///srv/a"),
        ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
        ("remote.origin.fetch", "^refs/heads/x"),
        ("remote.origin.push", "refs/heads/a:refs/heads/b"),
        ("remote.origin.tagopt", "--no-tags"),
        ("submodule.lib.url", "https://host.example/lib"),
        ("submodule.lib.active", "true"),
        ("submodule.lib.update", "rebase"),
        ("extensions.objectformat", "sha256"),
        ("pull.rebase", "true"),
        ("push.default", "simple"),
        ("color.diff.meta", "yellow bold"),
        ("color.ui", "auto"),
        ("gc.auto", "0"),
    ] {
        assert_eq!(judge(repository(), name.as_bytes(), Some(value.as_bytes())), None, "`{name}` = `{value}`");
    }
    assert_eq!(judge(repository(), b"core.bare", None), None);
    assert_eq!(judge(module(), b"core.worktree", Some(b"../../../lib")), None);
}

#[test]
fn deny_settings_that_run_or_redirect() {
    for (name, value) in [
        ("core.hookspath", "hooks"),
        ("core.fsmonitor", "true"),
        ("core.sshcommand", "x"),
        ("core.pager", "x"),
        ("core.editor", "x"),
        ("core.askpass", "x"),
        ("core.gitproxy", "x"),
        ("core.attributesfile", "x"),
        ("core.excludesfile", "x"),
        ("core.alternaterefscommand", "x"),
        ("core.worktree", ".."),
        ("core.protectntfs", "false"),
        ("include.path", "x"),
        ("includeif.gitdir:/.path", "x"),
        ("alias.st", "!x"),
        ("alias.st", "status"),
        ("filter.lfs.clean", "git-lfs clean -- %f"),
        ("diff.external", "x"),
        ("diff.x.command", "x"),
        ("diff.x.textconv", "x"),
        ("merge.x.driver", "x"),
        ("merge.tool", "x"),
        ("mergetool.x.cmd", "x"),
        ("difftool.x.cmd", "x"),
        ("credential.helper", "store"),
        ("credential.https://a.helper", "x"),
        ("gpg.program", "x"),
        ("gpg.ssh.program", "x"),
        ("commit.gpgsign", "false"),
        ("url.https://evil.insteadof", "https://good"),
        ("http.proxy", "x"),
        ("http.sslverify", "false"),
        ("http.https://a.extraheader", "x"),
        ("protocol.ext.allow", "always"),
        ("sequence.editor", "x"),
        ("uploadpack.packobjectshook", "x"),
        ("receive.denycurrentbranch", "ignore"),
        ("sendemail.smtpserver", "x"),
        ("browser.x.cmd", "x"),
        ("pager.log", "x"),
        ("interactive.difffilter", "x"),
        ("trailer.x.command", "x"),
        ("pull.twohead", "evil"),
        ("submodule.lib.update", "!x"),
        ("remote.origin.uploadpack", "x"),
        ("remote.origin.receivepack", "x"),
        ("remote.origin.vcs", "x"),
        ("remote.origin.proxy", "x"),
        ("remote.origin.mirror", "true"),
        ("remote.origin.serveroption", "x"),
        ("remote.-x.url", "https://a"),
        ("lfs.url", "https://evil"),
        ("safe.directory", "*"),
        ("unheard.of", "x"),
        ("nodot", "x"),
        ("", "x"),
    ] {
        assert!(judge(repository(), name.as_bytes(), Some(value.as_bytes())).is_some(), "`{name}` = `{value}`");
    }
}

#[test]
fn deny_values_that_are_not_of_their_kind() {
    for (name, value) in [
        ("core.filemode", "!x"),
        ("remote.origin.url", "ext::sh -c x"),
        ("remote.origin.url", "anything::x"),
        ("remote.origin.url", "-oProxyCommand=x"),
        ("remote.origin.url", "ssh://-oProxyCommand=x/a"),
        ("remote.origin.url", "ssh://git@-x/a"),
        ("remote.origin.url", "git@-x:a"),
        ("remote.origin.url", "host:-x"),
        ("remote.origin.url", "custom://a"),
        ("remote.origin.url", " ext::sh"),
        ("remote.origin.url", "https://a\nb"),
        ("remote.origin.url", ""),
        ("branch.main.remote", "https://evil.example/x"),
        ("branch.main.remote", "ext::sh -c x"),
        ("branch.main.remote", "../evil"),
        ("branch.main.remote", "-x"),
        ("branch.main.merge", "--upload-pack=x"),
        ("remote.origin.push", "+refs/heads/a:refs/heads/a"),
        ("remote.origin.push", ":refs/heads/main"),
        ("remote.origin.tagopt", "--upload-pack=x"),
        ("user.name", "a\nb"),
        ("user.name", "a\u{1b}[2J"),
        ("gc.auto", "!x"),
        ("init.defaultbranch", "-x"),
    ] {
        let judged = judge(repository(), name.as_bytes(), Some(value.as_bytes()));
        assert!(judged.is_some(), "`{name}` = `{value}`");
    }
    let long = vec![b'a'; VALUE_BYTES_MAX + 1];
    assert!(judge(repository(), b"user.name", Some(&long)).is_some());
    assert!(judge(repository(), b"remote.origin.url", None).is_some());
}

#[test]
fn deny_worktrees_and_folders_that_leave() {
    for value in ["/etc", "../../../../outside", "../../../.git/hooks", ""] {
        assert!(judge(module(), b"core.worktree", Some(value.as_bytes())).is_some(), "`{value}`");
    }
    for (value, harmless) in [
        ("lib", true),
        ("a/b", true),
        ("../x", false),
        ("/x", false),
        ("-x", false),
        (".git/hooks", false),
        ("a/.GIT", false),
        ("", false),
    ] {
        let judged = judge(Place::Modules, b"submodule.x.path", Some(value.as_bytes()));
        assert_eq!(judged.is_none(), harmless, "`{value}`");
    }
    assert!(judge(Place::Modules, b"core.bare", Some(b"true")).is_some());
    assert!(judge(Place::Modules, b"submodule.x.update", Some(b"!x")).is_some());
}

#[test]
fn deny_white_space_that_gits_read_differently() {
    for name in ["user.name", "remote.origin.url", "branch.main.description", "color.ui", "branch.main.merge"] {
        for value in ["a\tb", "a\rb"] {
            assert!(judge(repository(), name.as_bytes(), Some(value.as_bytes())).is_some(), "`{name}` = {value:?}");
        }
    }
}
