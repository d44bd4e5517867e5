// SPDX-License-Identifier: MIT OR Apache-2.0
//! What would change, as a unified difference.
//!
//! In: a file's text before and after. Out: lines that `patch` and people read.
//!
//! **Invariant:** nothing is left out: what is equal is shown as context or skipped, what differs is shown.

/// Lines of context around a change.
const CONTEXT_LINES: usize = 3;
/// Most lines of which the shortest difference is sought; above it the differing middle is shown as a whole.
const LINES_MAX: usize = 2000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Keep,
    Take,
    Put,
}

/// The unified difference of two texts; `None` stands for a file that is not there. Empty if they are equal.
pub fn unified(path: &str, before: Option<&str>, after: Option<&str>) -> String {
    if before == after {
        return String::new();
    }
    let old: Vec<&str> = before.unwrap_or_default().split_inclusive('\n').collect();
    let new: Vec<&str> = after.unwrap_or_default().split_inclusive('\n').collect();
    let mut out = format!(
        "--- {}\n+++ {}\n",
        if before.is_some() { path } else { "/dev/null" },
        if after.is_some() { path } else { "/dev/null" }
    );
    let steps = steps(&old, &new);
    for hunk in hunks(&steps) {
        show(&mut out, &steps, hunk, (&old, &new));
    }
    out
}

/// What to do with each line, in order.
fn steps(old: &[&str], new: &[&str]) -> Vec<Step> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (old.get(head..).unwrap_or_default(), new.get(head..).unwrap_or_default());
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let a = old_rest.get(..old_rest.len() - tail).unwrap_or_default();
    let b = new_rest.get(..new_rest.len() - tail).unwrap_or_default();
    let mut steps = vec![Step::Keep; head];
    if a.len() > LINES_MAX || b.len() > LINES_MAX {
        steps.extend(a.iter().map(|_| Step::Take));
        steps.extend(b.iter().map(|_| Step::Put));
    } else {
        middle(a, b, &mut steps);
    }
    steps.extend(std::iter::repeat_n(Step::Keep, tail));
    steps
}

/// The shortest difference of two short runs of lines.
fn middle(a: &[&str], b: &[&str], steps: &mut Vec<Step>) {
    let width = b.len() + 1;
    let mut common = vec![0_u32; (a.len() + 1) * width];
    let at = |i: usize, j: usize| i * width + j;
    let get = |common: &[u32], i, j| common.get(at(i, j)).copied().unwrap_or(0);
    for (i, line) in a.iter().enumerate().rev() {
        for (j, other) in b.iter().enumerate().rev() {
            let longest = if line == other {
                get(&common, i + 1, j + 1) + 1
            } else {
                get(&common, i + 1, j).max(get(&common, i, j + 1))
            };
            if let Some(cell) = common.get_mut(at(i, j)) {
                *cell = longest;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        let equal = a.get(i).is_some_and(|line| b.get(j) == Some(line));
        if equal {
            steps.push(Step::Keep);
            (i, j) = (i + 1, j + 1);
        } else if i < a.len() && (j == b.len() || get(&common, i + 1, j) >= get(&common, i, j + 1)) {
            steps.push(Step::Take);
            i += 1;
        } else {
            steps.push(Step::Put);
            j += 1;
        }
    }
}

/// Runs of steps with their context.
fn hunks(steps: &[Step]) -> Vec<std::ops::Range<usize>> {
    let mut hunks: Vec<std::ops::Range<usize>> = Vec::new();
    for (index, _) in steps.iter().enumerate().filter(|(_, step)| **step != Step::Keep) {
        let range = index.saturating_sub(CONTEXT_LINES)..(index + CONTEXT_LINES + 1).min(steps.len());
        match hunks.last_mut() {
            Some(last) if range.start <= last.end => last.end = range.end,
            _ => hunks.push(range),
        }
    }
    hunks
}

fn show(out: &mut String, steps: &[Step], hunk: std::ops::Range<usize>, (old, new): (&[&str], &[&str])) {
    let before = steps.get(..hunk.start).unwrap_or_default();
    let count = |steps: &[Step], step: Step| steps.iter().filter(|s| **s == Step::Keep || **s == step).count();
    let (mut i, mut j) = (count(before, Step::Take), count(before, Step::Put));
    let inside = steps.get(hunk).unwrap_or_default();
    let (taken, put) = (count(inside, Step::Take), count(inside, Step::Put));
    let from = |start: usize, count: usize| if count == 0 { start } else { start + 1 };
    out.push_str(&format!("@@ -{},{taken} +{},{put} @@\n", from(i, taken), from(j, put)));
    for step in inside {
        let (sign, line) = match step {
            Step::Keep => (' ', old.get(i)),
            Step::Take => ('-', old.get(i)),
            Step::Put => ('+', new.get(j)),
        };
        i += usize::from(*step != Step::Put);
        j += usize::from(*step != Step::Take);
        let line = line.copied().unwrap_or_default();
        out.push(sign);
        out.push_str(line);
        if !line.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_shown_with_context() {
        for (before, after, expected) in [
            (Some("a\n"), Some("a\n"), ""),
            (None, Some("a\n"), "--- /dev/null\n+++ f\n@@ -0,0 +1,1 @@\n+a\n"),
            (Some("a\n"), None, "--- f\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-a\n"),
            (
                Some("1\n2\n3\n4\n5\n6\n"),
                Some("1\n2\n3\n4\nx\n5\n6\n"),
                "--- f\n+++ f\n@@ -2,5 +2,6 @@\n 2\n 3\n 4\n+x\n 5\n 6\n",
            ),
            (Some("a"), Some("b\n"), "--- f\n+++ f\n@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+b\n"),
        ] {
            assert_eq!(unified("f", before, after), expected);
        }
    }

    #[test]
    fn two_far_changes_are_two_hunks() {
        let old: String = (0..40).map(|n| format!("{n}\n")).collect();
        let new = old.replace("\n5\n", "\nfive\n").replace("\n30\n", "\nthirty\n");
        assert_eq!(unified("f", Some(&old), Some(&new)).matches("@@ -").count(), 2);
    }

    proptest::proptest! {
        /// Applying the steps to the old text gives the new one.
        #[test]
        fn steps_lead_from_one_to_the_other(old in "([ab]\n){0,12}", new in "([ab]\n){0,12}") {
            let (a, b): (Vec<&str>, Vec<&str>) = (old.split_inclusive('\n').collect(), new.split_inclusive('\n').collect());
            let (mut i, mut j, mut made) = (0, 0, String::new());
            for step in steps(&a, &b) {
                match step {
                    Step::Keep => { proptest::prop_assert_eq!(a[i], b[j]); made.push_str(a[i]); i += 1; j += 1; }
                    Step::Take => i += 1,
                    Step::Put => { made.push_str(b[j]); j += 1; }
                }
            }
            proptest::prop_assert_eq!(made, new);
        }
    }
}
