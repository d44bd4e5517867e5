// SPDX-License-Identifier: MIT OR Apache-2.0
//! The parser against `bash -n`: what one accepts and the other refuses is listed or a failure.

use ringfort_policy::command::syntax::{FaultKind, parse};

/// Constructs that are put into each other.
const SEEDS: &[&str] = &[
    "a b c",
    "a; b & c",
    "a && b || c",
    "a | b |& c",
    "a 'b c' \"d $e\" f\\ g",
    "a $'b\\'c' $\"d\"",
    "a $b ${c} ${d:-e} ${f:+\"g h\"}",
    "a ${#b} ${!c} ${d#e} ${f%%g} ${h/i/j} ${k^^} ${l:1:2} ${m[1]} ${n[@]}",
    "a ${b:-$(c)} ${d:-`e`} ${f:-${g:-h}}",
    "a $(b) `c` \"$(d)\" \"`e`\"",
    "a $(b $(c $(d)))",
    "a $((1 + 2)) $((b * (c - 1)))",
    "a $(( $(b) + ${c} ))",
    "a $( (b) ) $( (c); (d) )",
    "a <(b) >(c)",
    "a < b > c >> d 2>&1 2> e",
    "a &> b",
    "a >| b 3<> c 4<&- 5>&1",
    "a {b}> c",
    "a <<< b",
    "a <<< \"$b c\"",
    "a <<E\nb $c\nE",
    "a <<'E'\nb $(c 'd\nE",
    "a <<-E\n\tb\n\tE",
    "a <<E; b\nc\nE",
    "a <<E <<F\nb\nE\nc\nF",
    "a <<E | b\nc\nE\nd",
    "a <<E && b\n'\nE\nc",
    "a <<\"E F\"\nb\nE F",
    "a <<E\n$(b\n)\nE",
    "A=1",
    "A=1 B='c d' e",
    "A+=1 b",
    "a=(b c \"d e\")",
    "a[1]=b c[d]=e f",
    "declare -a a=(b c)",
    "(a; b)",
    "{ a; b; }",
    "((a = 1 + 2))",
    "((a < b)) && c",
    "[[ -f a ]]",
    "[[ a == b* && ( c || ! d ) ]]",
    "[[ a =~ ^(b|c)$ ]]",
    "[[ a < b ]]",
    "if a; then b; fi",
    "if a\nthen\nb\nelif c; then d; else e; fi",
    "while a; do b; done",
    "until a; do b; done < c",
    "for a in b c; do d; done",
    "for a; do b; done",
    "for ((a = 0; a < 3; a++)); do b; done",
    "case a in b) c;; d | e) f;; esac",
    "case a in (b) c;& (d) e;;& *) f;; esac",
    "case a in\nb)\nc\n;;\nesac",
    "select a in b; do c; done",
    "a() { b; }",
    "a() ( b )",
    "function a { b; }",
    "time a | b",
    "! a",
    "coproc a",
    "a # b 'c\nd",
];

const WRAPS: &[(&str, &str)] = &[
    ("", ""),
    ("(\n", "\n)"),
    ("{\n", "\n}"),
    ("x \"$(\n", "\n)\" y"),
    ("x $(\n", "\n)"),
    ("if x; then\n", "\nfi"),
    ("f() {\n", "\n}"),
    ("x && {\n", "\n} | y"),
    ("while x; do\n", "\ndone"),
];

/// Texts of their own: mostly broken, or at the edge.
const EDGES: &[&str] = &[
    "a |",
    "| a",
    "a ||",
    "|| a",
    "a &&",
    "&& a",
    "a ;;",
    ";; a",
    "; a",
    "& a",
    "a ; ; b",
    "a & ; b",
    "a & & b",
    "a | | b",
    "a && && b",
    "(",
    ")",
    "()",
    "( )",
    "{",
    "}",
    "{ }",
    "{ a }",
    "{a; }",
    "{ a; ",
    "(a",
    "a)",
    "((",
    "))",
    "((a)",
    "(a))",
    "[[",
    "]]",
    "[[ a",
    "[[ ]]",
    "if",
    "if a",
    "if a; then",
    "if a; then b",
    "if a; then; fi",
    "if; then a; fi",
    "fi",
    "then",
    "else",
    "elif",
    "while a; do",
    "while a; done",
    "while; do a; done",
    "do a; done",
    "done",
    "for",
    "for a in",
    "for a in b; do",
    "for a in b; c; done",
    "for a b; do c; done",
    "case",
    "case a",
    "case a in",
    "case a in b",
    "case a in b) c",
    "case a in esac",
    "case a in b) esac",
    "case a in b;; esac",
    "esac",
    "f()",
    "f() a",
    "f() { }",
    "f( a",
    "function",
    "function f",
    "'",
    "\"",
    "`",
    "a 'b",
    "a \"b",
    "a `b",
    "a $(b",
    "a ${b",
    "a $((b",
    "a $((b)",
    "a <",
    "a >",
    "a <<",
    "a <<<",
    "a > > b",
    "a <>",
    "a 2>",
    "a <<E\nb",
    "a \\",
    "a $",
    "a $(",
    "a=(",
    "a=(b",
    "a (b)",
    "a b()",
    "! ",
    "time",
];

/// Whether bash accepts `text`; `None` when there is no bash.
fn bash_accepts(text: &str) -> Option<bool> {
    #[expect(clippy::disallowed_methods, reason = "the oracle of this test is the real shell, which only parses here")]
    let status = std::process::Command::new("bash")
        .args(["--norc", "-n", "-c", text])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status();
    status.ok().map(|status| status.success())
}

/// Places where refusing more or less than bash is meant.
fn is_meant(text: &str, bash: bool, fault: Option<FaultKind>) -> bool {
    // What shells read differently is refused.
    let careful = fault == Some(FaultKind::Ambiguous);
    // A missing delimiter is a hazard here and a warning there; in a substitution it swallows the end.
    let document = text.contains("<<") && !text.contains("<<<");
    // bash reports an open test but exits with success.
    let test = text.contains("[[");
    // A subscript that does not end is a program name here, and an unknown one.
    let subscript = text == "]]" || text.rfind('[').is_some_and(|at| !text[at..].contains(']'));
    (bash && (careful || document || test)) || (!bash && subscript)
}

#[test]
fn agrees_with_bash_on_what_is_syntax() {
    let mut texts: Vec<String> = EDGES.iter().map(ToString::to_string).collect();
    for seed in SEEDS {
        texts.extend(WRAPS.iter().map(|(before, after)| format!("{before}{seed}{after}")));
        texts.extend((1..seed.len()).filter(|at| seed.is_char_boundary(*at)).map(|at| seed[..at].to_owned()));
    }
    let mut compared = 0;
    let mut differences = Vec::new();
    for text in &texts {
        let Some(bash) = bash_accepts(text) else {
            #[expect(
                clippy::disallowed_methods,
                reason = "tests have no wiring: the variable turns a skip into a failure"
            )]
            let strict = std::env::var_os("RINGFORT_NO_SKIP").is_some();
            assert!(!strict, "bash is not installed");
            eprintln!("skipped: bash is not installed");
            return;
        };
        compared += 1;
        let fault = parse(text.as_bytes()).fault.map(|fault| fault.kind);
        if bash != fault.is_none() && !is_meant(text, bash, fault) {
            differences.push(format!("bash {bash}, here {fault:?}: {text:?}"));
        }
    }
    assert!(compared >= 150);
    assert!(differences.is_empty(), "{} of {compared}:\n{}", differences.len(), differences.join("\n"));
}
