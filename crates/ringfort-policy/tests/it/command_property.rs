// SPDX-License-Identifier: MIT OR Apache-2.0
//! Properties of command analysis that hold for every input.

use proptest::prelude::*;
use ringfort_core::decision::Risk;
use ringfort_policy::command::{Analysis, Context, analyze};

use crate::command::CONTEXT;

/// Fragments that make interesting text when they are thrown together.
const FRAGMENTS: [&str; 60] = [
    "rm",
    "-rf",
    "/",
    "~",
    "ls",
    "sh",
    "-c",
    "eval",
    "curl",
    "cat",
    "x",
    "A=1",
    "$x",
    "${y:-z}",
    "$(",
    ")",
    "`",
    "'",
    "\"",
    "\\",
    "\n",
    ";",
    "&",
    "&&",
    "|",
    "||",
    "<",
    ">",
    "<<E",
    "E",
    "<<<",
    "2>&1",
    "{",
    "}",
    "{a,b}",
    "(",
    "((",
    "))",
    "[[",
    "]]",
    "if",
    "then",
    "fi",
    "for",
    "in",
    "do",
    "done",
    "case",
    "esac",
    ";;",
    "f()",
    "function",
    "#",
    " ",
    "\t",
    "*",
    "$'",
    "$((",
    "find . -exec",
    "\u{202e}",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec((0..FRAGMENTS.len(), any::<bool>()), 0..40).prop_map(|parts| {
        let mut text = String::new();
        for (index, space) in parts {
            text.push_str(FRAGMENTS.get(index).unwrap_or(&""));
            if space {
                text.push(' ');
            }
        }
        text
    })
}

fn check_spans(input: &[u8], analysis: &Analysis) {
    let inside = |start: usize, end: usize| {
        assert!(
            start <= end && end <= input.len(),
            "{start}..{end} of {}: {:?}",
            input.len(),
            String::from_utf8_lossy(input)
        )
    };
    for command in &analysis.commands {
        inside(command.span.start, command.span.end);
        assert!(command.effects.end <= analysis.effects.len() && command.effects.start <= command.effects.end);
        assert!(command.risk <= analysis.risk);
        assert!(command.via.is_none_or(|via| via < analysis.commands.len()));
        for argument in &command.args {
            inside(argument.span.start, argument.span.end);
        }
    }
    analysis.effects.iter().for_each(|effect| inside(effect.span.start, effect.span.end));
    analysis.hazards.iter().for_each(|hazard| inside(hazard.span.start, hazard.span.end));
    analysis.chains.iter().for_each(|chain| inside(chain.span.start, chain.span.end));
    analysis.unanalysable.iter().for_each(|problem| inside(problem.span.start, problem.span.end));
    assert!(analysis.unanalysable.is_empty() || analysis.risk >= Risk::High);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_panics_and_spans_stay_inside(input in prop::collection::vec(any::<u8>(), 0..200)) {
        check_spans(&input, &analyze(&input, &CONTEXT));
        check_spans(&input, &analyze(&input, &Context::default()));
    }

    #[test]
    fn never_panics_on_shell_like_text(input in text()) {
        check_spans(input.as_bytes(), &analyze(input.as_bytes(), &CONTEXT));
    }

    #[test]
    fn deny_survives_any_text_before_it(input in text()) {
        let before = analyze(input.as_bytes(), &CONTEXT);
        let after = analyze(format!("{input}\n; rm -rf /").as_bytes(), &CONTEXT);
        let lower = analyze(format!("{input}; rm -rf /").as_bytes(), &CONTEXT);
        prop_assert!(after.risk >= before.risk.min(Risk::High), "{input:?} {:?} {:?}", before.risk, after.risk);
        prop_assert!(input.ends_with('\\') || lower.risk >= before.risk.min(Risk::High), "{input:?} {:?} {:?}", before.risk, lower.risk);
    }

    #[test]
    fn deny_stays_after_whole_text(input in text()) {
        let whole = analyze(input.as_bytes(), &CONTEXT);
        let open = input.contains("<<") || input.contains('#') || input.ends_with('\\') || input.contains("f()") || input.contains("function") || input.contains("A=") || input.contains("for") || input.contains("x");
        let both = analyze(format!("{input}\nrm -rf /").as_bytes(), &CONTEXT);
        prop_assert!(!whole.unanalysable.is_empty() || open || both.risk == Risk::Critical, "{input:?} {both:#?}");
    }

    #[test]
    fn quoting_does_not_change_the_answer(word in "[a-z/.~]{1,12}", style in 0..4_u8) {
        let quoted = match style {
            0 => format!("'{word}'"),
            1 => format!("\"{word}\""),
            2 => word.chars().flat_map(|c| ['\\', c]).collect(),
            _ => format!("$'{word}'"),
        };
        for program in ["cat", "rm -rf", "cp a", "echo x >"] {
            let plain = analyze(format!("{program} {word}").as_bytes(), &CONTEXT);
            let other = analyze(format!("{program} {quoted}").as_bytes(), &CONTEXT);
            prop_assert_eq!(plain.risk, other.risk);
            let kinds = |analysis: &Analysis| analysis.effects.iter().map(|effect| (effect.kind, effect.target.clone())).collect::<Vec<_>>();
            prop_assert_eq!(kinds(&plain), kinds(&other));
        }
    }

    #[test]
    fn a_quoted_program_is_the_same_program(at in 1..5_usize) {
        let name = "mkdir";
        for pair in ["''", "\"\"", "\\\n", "$''"] {
            let text = format!("{}{pair}{} a", &name[..at], &name[at..]);
            let analysis = analyze(text.as_bytes(), &CONTEXT);
            prop_assert_eq!(analysis.commands[0].program.name(), Some(name.as_bytes()));
        }
    }
}
