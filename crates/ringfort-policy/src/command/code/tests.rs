// SPDX-License-Identifier: MIT OR Apache-2.0
//! What single texts touch, that ranges lie inside, and that the work is linear.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::catalogue::Language::{self, JavaScript, Perl, Python, Ruby};
use super::{Touch, read};

const LANGUAGES: [Language; 4] = [Python, JavaScript, Perl, Ruby];

fn text(value: &str) -> Option<Vec<u8>> {
    Some(value.as_bytes().to_vec())
}

#[test]
fn finds_what_a_text_touches() {
    let words = |words: &[&str]| Touch::Words(words.iter().map(|word| text(word)).collect());
    let rows: Vec<(Language, &str, Vec<Touch>)> = vec![
        (Python, "import os\nos.system('a b')", vec![Touch::Shell(text("a b"))]),
        (Python, "from subprocess import run as r\nr(['a', \"b\" 'c'])", vec![words(&["a", "bc"])]),
        (Python, "import subprocess as s; s.run('a b'.split())", vec![Touch::Shell(text("a b"))]),
        (Python, "import os\nos.execvp('a', ['x', 'b'])", vec![words(&["a", "b"])]),
        (Python, "f = open('a', mode='r+')", vec![Touch::Read(text("a")), Touch::Write(text("a"))]),
        (Python, "p = 'a' + '/b'\nopen(p, 'w')", vec![Touch::Write(text("a/b"))]),
        (Python, "from pathlib import Path\nPath('a').unlink()", vec![Touch::Delete(text("a"))]),
        (Python, "import shutil\nshutil.rmtree(x)", vec![Touch::DeleteTree(None)]),
        (Python, "import requests\nrequests.get(url='https://h')", vec![Touch::Network(text("https://h"))]),
        (Python, "import socket\nsocket.create_connection(('h', 1))", vec![Touch::Network(text("h"))]),
        (JavaScript, "require('child_process').exec('a b')", vec![Touch::Shell(text("a b"))]),
        (JavaScript, "const {spawn} = require('child_process')\nspawn('a', ['b'])", vec![words(&["a", "b"])]),
        (JavaScript, "const fs = require('fs')\nconst p = 'a'\nfs.unlinkSync(p)", vec![Touch::Delete(text("a"))]),
        (JavaScript, "fetch('https://h')", vec![Touch::Network(text("https://h"))]),
        (Perl, "system('a b')", vec![Touch::Shell(text("a b"))]),
        (Perl, "print qx{a b}", vec![Touch::Shell(text("a b"))]),
        (Perl, "open(F, '>', 'a'); open G, 'b|';", vec![Touch::Write(text("a")), Touch::Shell(text("b"))]),
        (Perl, "unlink 'a', 'b'", vec![Touch::Delete(text("a")), Touch::Delete(text("b"))]),
        (Ruby, "system 'a', 'b'", vec![words(&["a", "b"])]),
        (Ruby, "puts %x(a b)", vec![Touch::Shell(text("a b"))]),
        (Ruby, "File.delete('a')", vec![Touch::Delete(text("a"))]),
    ];
    for (language, code, expected) in rows {
        let reading = read(language, code.as_bytes());
        let found: Vec<Touch> = reading.found.iter().map(|found| found.touch.clone()).collect();
        assert_eq!(found, expected, "{language:?} {code}");
        assert!(reading.understood, "{language:?} {code} at {:?}", reading.why);
    }
}

#[test]
fn deny_texts_that_do_not_end() {
    for language in LANGUAGES {
        for code in ["(", "'", "\"a", "x)", "[(])", "{", "\"\"\"", "`", "\u{0}", "é = 1", "q(", "f\"{", "`${", "\"#{"]
        {
            let reading = read(language, code.as_bytes());
            let quoted = code == "\"\"\"" && language == Language::Perl;
            assert!(!reading.understood || quoted, "{language:?} {code:?}");
        }
    }
}

/// The longest that a long text may take, many times what it does.
const LONGEST: Duration = Duration::from_secs(10);

#[test]
fn work_is_linear_in_the_text() {
    let pieces = [
        "open(",
        "a.",
        "f(x,",
        "let a=1;",
        "x[",
        "\"#{",
        "`${",
        "f'{",
        "${",
        "$x->",
        "@{$x}",
        "s/a/b/;",
        "import os,",
        "require('fs').",
        "a=1\n",
        "(a,b)=>",
        "def f(",
        "|a|",
        "%w[",
        "os.path.join('a',",
        "lambda x:",
        "for(i",
        "'a'+",
        "a,",
        "{a:",
        "q(",
    ];
    for language in LANGUAGES {
        for piece in pieces {
            let code = piece.repeat(24_000 / piece.len());
            let started = Instant::now();
            let _ = read(language, code.as_bytes());
            assert!(started.elapsed() < LONGEST, "{language:?} {piece}");
        }
        for (open, close) in
            [("f(x,", ")"), ("[", "]"), ("{x:", "}"), ("open(x=", ")"), ("(a)=>{", "}"), ("\n", "\n"), ("\"$x[", "\"")]
        {
            let code = [open.repeat(6_000), close.repeat(6_000)].concat();
            let started = Instant::now();
            let _ = read(language, code.as_bytes());
            assert!(started.elapsed() < LONGEST, "{language:?} {open}");
        }
    }
}

fn code() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("os"),
        Just("import "),
        Just("from "),
        Just("."),
        Just("("),
        Just(")"),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just("'"),
        Just("\""),
        Just("`"),
        Just("/"),
        Just("$"),
        Just("@"),
        Just("%"),
        Just("&"),
        Just("#"),
        Just("\\"),
        Just("\n"),
        Just("x"),
        Just("="),
        Just(","),
        Just(";"),
        Just("open"),
        Just("require"),
        Just("system"),
        Just("1"),
        Just("é"),
        Just(" "),
        Just("f\"{"),
        Just("`${"),
        Just("\"#{"),
        Just("s/"),
        Just("q{"),
        Just("<<"),
        Just("->"),
        Just("=>"),
        Just("|"),
        Just(":"),
        Just("'fs'"),
        Just("lambda "),
        Just("const "),
        Just("def "),
        Just("?"),
        Just("!"),
        Just("subprocess.run"),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn ranges_lie_inside(code in code()) {
        for language in LANGUAGES {
            let reading = read(language, code.as_bytes());
            for at in reading.found.iter().map(|found| &found.at).chain(&reading.why) {
                prop_assert!(at.start <= at.end && at.end <= code.len());
            }
        }
    }

    #[test]
    fn deny_a_call_after_any_text(code in code()) {
        for (language, end) in [
            (Python, "\n;__import__('os')"),
            (JavaScript, "\n;eval('1')"),
            (Perl, "\n;eval '1';"),
            (Ruby, "\n;eval('1')"),
        ] {
            let whole = format!("{code}{end}");
            // Only a comment or a text that the pieces leave open could hide it, and those do not end.
            let hidden = code.contains(['#', '\'', '"', '`', '/', '\\', '{', '|', '%', '<', '?', ':'])
                || code.contains("q{") || code.contains("s/");
            if !hidden {
                prop_assert!(!read(language, whole.as_bytes()).understood, "{whole}");
            }
        }
    }

    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        for language in LANGUAGES {
            let _ = read(language, &bytes);
        }
    }
}
