// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether secrets stand in the configuration in clear.

use ringfort_core::form::Form;

use super::{Check, Report, Subject};

pub(super) const ENTRY: Check =
    Check { id: "clear", title: "whether secrets stand in the configuration in clear", look };

const HELP: &str = "run `ringfort secrets seal-config`";

fn look(subject: &Subject<'_>) -> Vec<Report> {
    if subject.policy.is_err() {
        return Vec::new();
    }
    let found: Vec<Report> = subject.secrets.iter().filter_map(|(key, form)| judge(key, *form)).collect();
    if found.is_empty() { vec![ENTRY.pass("no secret of the configuration stands there in clear")] } else { found }
}

fn judge(key: &str, form: Form) -> Option<Report> {
    match form {
        Form::Enc3 => None,
        Form::Enc2 => Some(ENTRY.warn(
            format!("`{key}` is sealed as `enc2:`, which opens at any other key too, with a key file beside it"),
            "run `ringfort secrets seal-config --migrate`",
        )),
        Form::Plain | Form::Enc | Form::OnePassword => {
            Some(ENTRY.warn(format!("`{key}` stands in the configuration in clear"), HELP))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn only_what_is_bound_to_its_key_passes() {
        for (form, expected) in [(Form::Plain, Some("in clear")), (Form::Enc2, Some("enc2")), (Form::Enc3, None)] {
            let report = judge("a.secret", form);
            assert_eq!(report.as_ref().map(|report| report.status), expected.map(|_| Status::Warn), "{form}");
            if let (Some(report), Some(expected)) = (report, expected) {
                assert!(report.message.contains(expected) && report.message.contains("`a.secret`"), "{report:?}");
            }
        }
    }
}
