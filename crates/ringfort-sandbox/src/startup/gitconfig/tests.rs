// SPDX-License-Identifier: MIT OR Apache-2.0
//! The parser says what git says; the edit changes what it was asked to and nothing else.

use super::*;
use proptest::prelude::*;
use std::process::Command;

type Expected = &'static [(&'static str, Option<&'static str>)];

fn shown(text: &[u8]) -> Result<Vec<(String, Option<String>)>, ConfigError> {
    let lossy = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    let config = Config::parse(text)?;
    Ok(config.variables().iter().map(|v| (lossy(&v.name), v.value.as_deref().map(lossy))).collect())
}

#[test]
fn reads_what_git_reads() {
    let cases: &[(&[u8], Expected)] = &[
        (b"", &[]),
        (b"\xEF\xBB\xBF[a]b=c", &[("a.b", Some("c"))]),
        (b"[Core]\n\tFileMode = True\n", &[("core.filemode", Some("True"))]),
        (b"[a] b", &[("a.b", None)]),
        (b"[a]\nb =\n", &[("a.b", Some(""))]),
        (b"[a \"B.c\"] d=1", &[("a.B.c.d", Some("1"))]),
        (b"[a.B]d=1", &[("a.b.d", Some("1"))]),
        (b"[a \"x\\\"y\\\\z\\q\"]d=1", &[("a.x\"y\\zq.d", Some("1"))]),
        (
            b"[a]\nb = one ; comment\nc = \"two ; # \" three  # x\n",
            &[("a.b", Some("one")), ("a.c", Some("two ; #  three"))],
        ),
        (b"[a]\nb = x\\\n  y\n", &[("a.b", Some("x  y"))]),
        (b"[a]\r\nb = x\\\r\ny\r\n", &[("a.b", Some("xy"))]),
        (b"[a]\nb = \"\\t\\n\\\\\\\"\"", &[("a.b", Some("\t\n\\\""))]),
        (b"[a]\nb = x # comment \\\nc = y", &[("a.b", Some("x")), ("a.c", Some("y"))]),
    ];
    for (text, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).to_owned(), v.map(str::to_owned))).collect();
        assert_eq!(shown(text), Ok(expected), "{}", text.escape_ascii());
    }
}

#[test]
fn deny_what_is_no_configuration() {
    for text in [
        b"b = c" as &[u8],
        b"[]\nb=c",
        b"[a\nb=c",
        b"[a \"x]\nb=c",
        b"[a x]\nb=c",
        b"[a]\nb = \"open\n",
        b"[a]\nb = \\x\n",
        b"[a]\n1b = c\n",
        b"[a]\nb c\n",
        b"[a]\nb = c\0d\n",
        b"[a]\n\x0b\n",
        b"\xEF\xBB[a]",
        b"[a_b]\nc=d",
    ] {
        assert!(Config::parse(text).is_err(), "{}", text.escape_ascii());
    }
    assert_eq!(Config::parse(&vec![b'\n'; CONFIG_BYTES_MAX + 1]).err(), Some(ConfigError::TooLarge));
    let many = b"[a]\n".iter().copied().chain(b"b\n".repeat(VARIABLES_MAX + 1)).collect::<Vec<_>>();
    assert_eq!(Config::parse(&many).err(), Some(ConfigError::TooLarge));
}

fn values(list: &[(&str, &[&str])]) -> Values {
    list.iter()
        .map(|(name, values)| (name.as_bytes().to_vec(), values.iter().map(|v| Some(v.as_bytes().to_vec())).collect()))
        .collect()
}

#[test]
fn an_edit_leaves_the_rest_as_it_was() {
    let text =
        "# mine\n[core]\n\tbare = false ; no\n[remote \"o\"]\n\turl = x\n\tfetch = 1\n\tfetch = 2\n[z] q = 1\n# end";
    for (changes, expected) in [
        (values(&[("core.bare", &["true"])]), text.replace("bare = false ; no", "bare = true")),
        (values(&[("core.bare", &[])]), text.replace("[core]\n\tbare = false ; no\n", "")),
        (values(&[("core.eol", &["lf"])]), text.replace("; no\n", "; no\n\teol = lf\n")),
        (values(&[("remote.o.fetch", &["3"])]), text.replace("fetch = 1\n\tfetch = 2", "fetch = 3")),
        (
            values(&[("remote.o.fetch", &["3", "a b"])]),
            text.replace("fetch = 1\n\tfetch = 2", "fetch = 3\n\tfetch = \"a b\""),
        ),
        (
            values(&[("remote.o.fetch", &[]), ("remote.o.url", &[])]),
            text.replace("[remote \"o\"]\n\turl = x\n\tfetch = 1\n\tfetch = 2\n", ""),
        ),
        (values(&[("branch.a\"b.remote", &["o"])]), format!("{text}\n[branch \"a\\\"b\"]\n\tremote = o\n")),
    ] {
        let edited = Config::parse(text.as_bytes()).unwrap().edit(&changes).unwrap();
        assert_eq!(String::from_utf8(edited).unwrap(), expected, "{changes:?}");
    }
}

#[test]
fn deny_an_edit_that_would_join_lines() {
    // The last line continues; what is appended would become part of its value.
    let config = Config::parse(b"[a]\nb = c\\").unwrap();
    let edited = config.edit(&values(&[("x.y", &["z"])]));
    if let Some(text) = edited {
        assert_eq!(Config::parse(&text).unwrap().values(), values(&[("a.b", &["c"]), ("x.y", &["z"])]));
    }
    assert_eq!(Config::parse(b"").unwrap().edit(&values(&[("a.b\nc.d", &["z"])])), None);
}

/// What git says about `text`: `None` if it refuses.
#[expect(clippy::disallowed_methods, reason = "the oracle of this test is the real git")]
fn git_says(text: &[u8]) -> Option<Option<Vec<u8>>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, text).unwrap();
    let mut git = Command::new("git");
    git.env_clear().env("PATH", "/usr/bin:/bin:/usr/local/bin").env("HOME", folder.path()).current_dir(folder.path());
    let output = git.args(["config", "--list", "-z", "-f"]).arg(&file).output().ok()?;
    Some(output.status.success().then_some(output.stdout))
}

fn as_git_lists(config: &Config) -> Vec<u8> {
    let mut out = Vec::new();
    for variable in config.variables() {
        out.extend_from_slice(&variable.name);
        if let Some(value) = &variable.value {
            out.push(b'\n');
            out.extend_from_slice(value);
        }
        out.push(0);
    }
    out
}

/// With white space as gits before 2.45 say it.
fn plain(listed: &[u8]) -> Vec<u8> {
    listed.iter().map(|b| if matches!(b, b'\t' | b'\r') { b' ' } else { *b }).collect()
}

/// Fragments that make interesting files often.
fn fragment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "[a]",
        "[A \"b\"]",
        "[a.b]",
        "[a \"x\\\"y\"]",
        "[core]\n",
        "\n",
        "\r\n",
        "\r",
        " ",
        "\t",
        "key",
        "k-1",
        "=",
        " = ",
        "\"",
        "\\",
        "\\\n",
        "\\t",
        "\\n",
        "\\\\",
        "\\\"",
        "#",
        ";",
        "value",
        "x y",
        "]",
        "[",
        ".",
        "1",
        "\u{e4}",
        "\u{feff}",
        "include",
        "\x0b",
        "\x0c",
        "_",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_git(parts in prop::collection::vec(fragment(), 0..24)) {
        let text = parts.concat().into_bytes();
        let Some(says) = git_says(&text) else { eprintln!("skipped: no git here"); return Ok(()) };
        match (Config::parse(&text), says) {
            (Ok(ours), Some(theirs)) => prop_assert_eq!(plain(&as_git_lists(&ours)), plain(&theirs)),
            (Ok(_), None) => prop_assert!(false, "read although git refuses it"),
            (Err(_), Some(theirs)) => prop_assert!(
                theirs.split(|b| *b == 0).any(|v| !v.is_empty() && !v.split(|b| *b == b'\n').next().unwrap_or_default().contains(&b'.')),
                "refused although git reads {}", theirs.escape_ascii()
            ),
            (Err(_), None) => {}
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(text in prop::collection::vec(any::<u8>(), 0..2_000)) {
        let _answered = Config::parse(&text).is_ok();
    }

    #[test]
    fn an_edit_reads_back_as_asked(
        parts in prop::collection::vec(fragment(), 0..24),
        name in prop::sample::select(vec!["a.key", "a.b.key", "new.key", "new.Sub \"q\\.key", "core.bare"]),
        new in prop::collection::vec(prop::option::of("[ -~\u{e4}\t\n]{0,12}"), 0..3),
    ) {
        if let Ok(config) = Config::parse(parts.concat().as_bytes()) {
            let new: Vec<Option<Vec<u8>>> = new.into_iter().map(|v| v.map(String::into_bytes)).collect();
            let changes: Values = [(name.as_bytes().to_vec(), new.clone())].into();
            if let Some(text) = config.edit(&changes) {
                let mut expected = config.values();
                expected.remove(name.as_bytes());
                if !new.is_empty() {
                    expected.insert(name.as_bytes().to_vec(), new);
                }
                prop_assert_eq!(Config::parse(&text).map(|c| c.values()), Ok(expected));
                prop_assert!(git_says(&text).is_none_or(|says| says.is_some()), "git refuses the edited text");
            }
        }
    }
}
