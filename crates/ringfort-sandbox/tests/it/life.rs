// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs run: status, streams, signals, terminals, descendants.

use ringfort_sandbox::profile::DegreeRequest;

use crate::cage::Place;

#[test]
fn a_shell_runs() {
    for degree in [DegreeRequest::Auto, DegreeRequest::Minimal] {
        let place = Place::new(degree);
        let outcome = place.shell("id; pwd; ls -la / . ~; cat /proc/self/status | grep -e Cap -e Sec; cat /proc/self/mountinfo; ls -l /proc/self/fd; echo x > new; ls /etc/ssl/private; cat ~/secret; ls /dev; ps ax|head");
        eprintln!("{}\n{}\n{:#?}", outcome.out, outcome.err, outcome.achieved);
    }
}
