// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the tree: what is accepted, what is a fault, and that no input is too much.

use super::*;

fn fault(text: &[u8]) -> Option<FaultKind> {
    parse(text).fault.map(|fault| fault.kind)
}

#[test]
fn accepts_what_shells_accept() {
    let accepted: &[&str] = &[
        "",
        "\n\n # only a comment\n",
        "a | b |& c && d || e; f & g",
        "{ a; b; }",
        "(a; b)",
        "( (a); (b) )",
        "if a; then b; elif c; then d; else e; fi",
        "while a; do b; done < f",
        "until a\ndo b\ndone",
        "for i in 1 2 3; do echo $i; done",
        "for i; do a; done",
        "for i\nin a b\ndo c\ndone",
        "for ((i=0; i<3; i++)); do a; done",
        "for ((i=0; i<3; i++)) { a; }",
        "select x in a b; do c; done",
        "case $x in a|b) c;; (d) e;& *) f;;& esac",
        "case x in x) ;; esac",
        "case x in esac",
        "f() { a; }",
        "f () ( a )",
        "function f { a; }",
        "function f() { a; }",
        "[[ -f a && ( $b == c* || d =~ ^(x|y)$ ) ]]",
        "[[ a < b ]]",
        "(( x = 1 + 2 ))",
        "((a)) && ((b))",
        "coproc NAME { a; }",
        "coproc a b",
        "time -p a",
        "! a | b",
        "time ! a",
        "a <<E\nbody\nE",
        "a <<E <<F\n1\nE\n2\nF\n",
        "a <<-E\n\tx\n\tE\n",
        "a <<'E'; b\n$(not run)\nE\n",
        "a <<E | b\nx\nE\nc",
        "a <<< \"x $y\"",
        "a 2>&1 >f 3<>g >|h &>i &>>j <&- {fd}>k",
        "> f",
        "A=1 B+=2 c",
        "a=(1 2 $(b)) c[3]=d",
        "declare -a x=(1 2)",
        "a[1 + 2]=3",
        "echo ${x:-$(y)} ${#z} ${!w} ${a[1]} ${b/c/d} ${e^^} ${f:1:2} ${g@Q}",
        "echo $((1 + (2 * 3))) $[4]",
        "echo $(a $(b `c`))",
        "echo $( (a); (b) )",
        "echo $((a); (b))",
        "echo \"$(case x in x) echo y;; esac)\"",
        "echo 'a' \"b\" $'c\\n' $\"d\" \\e",
        "echo a#b #c",
        "a <(b) >(c)",
        "ec\\\nho a",
        "i\\\nf a; then b; fi",
        "echo {a,b} {1..3} {",
        "echo ~ ~a ~/b",
        "a; # x 'y\nb",
        "echo !(a)",
        "echo $(cat <<E\nx\nE\n)",
        "echo \"$(cat <<E\nit's \"\nE\n)\"",
    ];
    for text in accepted {
        assert_eq!(fault(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn faults_where_the_text_is_not_whole() {
    use FaultKind::{Ambiguous, Unexpected, Unterminated};
    let cases: &[(&str, FaultKind)] = &[
        ("'", Unterminated),
        ("\"", Unterminated),
        ("a `b", Unterminated),
        ("a $(b", Unterminated),
        ("a ${b", Unterminated),
        ("a $((1", Unterminated),
        ("(a", Unterminated),
        ("{ a;", Unterminated),
        ("if a; then b", Unterminated),
        ("while a; do b", Unterminated),
        ("case x in", Unterminated),
        ("[[ a", Unterminated),
        ("a |", Unterminated),
        ("a &&", Unterminated),
        ("$'a\\'", Unterminated),
        (")", Unexpected),
        ("a; ; b", Unexpected),
        ("a & ; b", Unexpected),
        ("| a", Unexpected),
        ("&& a", Unexpected),
        ("a ;;", Unexpected),
        ("fi", Unexpected),
        ("then", Unexpected),
        ("}", Unexpected),
        ("()", Unexpected),
        ("if; then a; fi", Unexpected),
        ("a (b)", Unexpected),
        ("a >", Unterminated),
        ("a > ;", Unexpected),
        ("for i in a; b; done", Unexpected),
        ("f() a", Unexpected),
        ("cat <<$(x)\nx\n", Ambiguous),
        ("echo $(( 'a' ))", Ambiguous),
        ("echo $(cat <<E)", Ambiguous),
    ];
    for (text, kind) in cases {
        assert_eq!(fault(text.as_bytes()), Some(*kind), "{text}");
    }
}

#[test]
fn keeps_what_runs_before_a_fault() {
    for text in ["rm x; y\n)", "rm x\nif", "rm x && y\n'"] {
        let parsed = parse(text.as_bytes());
        assert!(parsed.fault.is_some(), "{text}");
        assert!(!parsed.script.items.is_empty(), "{text}");
    }
}

#[test]
fn nothing_is_too_much() {
    let nested =
        |open: &str, close: &str, count: usize| format!("{}a{}", open.repeat(count), close.repeat(count)).into_bytes();
    let texts: Vec<Vec<u8>> = vec![
        nested("$(", ")", 10_000),
        nested("( ", ")", 10_000),
        nested("{ ", ";}", 10_000),
        nested("if ", "; then b; fi", 10_000),
        nested("${x:-", "}", 10_000),
        nested("\"$(", ")\"", 10_000),
        nested("$((", "))", 10_000),
        nested("<(", ")", 10_000),
        nested("! ", "", 100_000),
        nested("f() ", "", 10_000),
        nested("[[ ( ", "", 10_000),
        "$(".repeat(100_000).into_bytes(),
        "$((".repeat(100_000).into_bytes(),
        "((".repeat(100_000).into_bytes(),
        "`".repeat(100_001).into_bytes(),
        "\"`".repeat(100_000).into_bytes(),
        "'".repeat(1 << 20).into_bytes(),
        "\"".repeat((1 << 20) - 1).into_bytes(),
        "{".repeat(1 << 20).into_bytes(),
        "{,".repeat(1 << 19).into_bytes(),
        "a[".repeat(1 << 19).into_bytes(),
        "<<A ".repeat(100_000).into_bytes(),
        "<<A\n".repeat(100_000).into_bytes(),
        "a;".repeat(1 << 19).into_bytes(),
        "\\\n".repeat(1 << 19).into_bytes(),
        vec![0xff; 1 << 20],
        vec![b'('; 1 << 20],
    ];
    for text in texts {
        let started = std::time::Instant::now();
        let parsed = parse(&text);
        let shown = String::from_utf8_lossy(text.get(..12).unwrap_or(&[])).into_owned();
        if let Some(fault) = parsed.fault {
            assert!(fault.span.start <= fault.span.end && fault.span.end <= text.len(), "{shown}");
        }
        assert!(started.elapsed().as_secs() < 10, "{shown} took {:?}", started.elapsed());
    }
    assert_eq!(fault(&vec![b'a'; INPUT_BYTES_MAX + 1]), Some(FaultKind::TooLong));
}

#[test]
fn decodes_quotes_to_exact_bytes() {
    let cases: &[(&str, &[u8])] = &[
        (r"\x41\102\n\e", b"AB\n\x1b"),
        (r"\u00e9", "é".as_bytes()),
        (r"\'\\\q", b"'\\\\q"),
        (r"a\0b", b"a"),
        (r"\x", b"\\x"),
        (r"\cA", b"\x01"),
        (r"\1234", b"S4"),
    ];
    for (raw, expected) in cases {
        assert_eq!(decode_ansi_c(raw.as_bytes()), *expected, "{raw}");
    }
}
