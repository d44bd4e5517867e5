// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints what `docs` holds a copy of, to renew it: `config`, `project` (JSON schemas) or `rules` (the table's rows).
#![expect(clippy::print_stdout, reason = "printing is all that this example does")]

use ringfort_policy::command::hazard;
use ringfort_policy::rule::table;
use ringfort_policy::schema;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("project") => println!("{:#}", schema::restriction()),
        Some("rules") => {
            let mut rows: Vec<_> = table::RULES.iter().map(|rule| (rule.id, rule.meaning)).collect();
            rows.extend(hazard::RULES.iter().map(|rule| (rule.id, rule.meaning)));
            rows.sort_unstable();
            rows.iter().for_each(|(id, meaning)| println!("| `{id}` | {meaning} |"));
        }
        _ => println!("{:#}", schema::config()),
    }
}
