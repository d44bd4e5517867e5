// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of targets.

use super::*;

#[test]
fn short_cuts_hide_no_name() {
    assert!(STARTUP_PATHS.iter().all(|path| matches!(path, [b'/', b'e' | b'v' | b'l' | b'u' | b'L', ..])));
    assert!(STARTUP_FILES.iter().chain(&STARTUP_TAILS).all(|name| matches!(name, [b'.' | b'a' | b'L', ..])));
    for name in SECRET_FILES {
        assert!(may_be_secret(&[b"/w/", name].concat()).1 && may_be_secret(name).1, "{name:?}");
    }
    for path in SECRET_PATHS {
        assert!(may_be_secret(path).1, "{path:?}");
    }
    assert!(SECRET_EXAMPLES.iter().all(|secret| secret.starts_with('/') || secret.matches('/').count() < 2));
    for tail in SECRET_TAILS {
        assert!(may_be_secret(&[b"/w/", tail].concat()).1 && may_be_secret(tail).1, "{tail:?}");
    }
}

#[test]
fn paths_are_resolved_as_text() {
    let context = Context { cwd: None, home: Some(b"/h"), workspace: None };
    for (cwd, path, expected) in [
        (Some(&b"/w"[..]), "a", "/w/a"),
        (Some(b"/w/"), "./a//b/", "/w/a/b"),
        (Some(b"/w"), "../../..", "/"),
        (Some(b"/w"), "../x", "/x"),
        (Some(b"/w"), "/", "/"),
        (Some(b"/w"), "", "/w"),
        (Some(b"/w"), "~/../x", "/x"),
        (Some(b"/w"), "~+/x", "/w/x"),
        (Some(b"/w"), "~bob/x", "~bob/x"),
        (None, "a/../../b", "../b"),
        (None, "../../a/..", "../.."),
        (None, "a/..", "."),
        (None, "..a/..", "."),
        (None, "a../..", "."),
    ] {
        let argument = Argument::exact(path.as_bytes(), ringfort_core::effect::Span::new(0, 0));
        let target = resolve(&argument, path.as_bytes(), cwd, &context);
        assert_eq!(target.into_text().as_deref(), Some(expected), "{path}");
    }
}
