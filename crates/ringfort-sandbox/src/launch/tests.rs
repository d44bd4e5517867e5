// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a permit's obligations add to a profile.

use super::*;

#[test]
fn obligations_only_narrow() {
    let own = Limits { memory_bytes_max: Some(100), cpu_s_max: Some(5), ..Limits::default() };
    let by = LimitObligation {
        memory_bytes_max: Some(200),
        cpu_ms_max: Some(1_500),
        processes_max: Some(7),
        ..LimitObligation::default()
    };
    let limits = narrowed(own, &by);
    assert_eq!((limits.memory_bytes_max, limits.cpu_s_max, limits.processes_max), (Some(100), Some(2), Some(7)));
    assert_eq!(limits.file_bytes_max, None);
    assert_eq!(narrowed(own, &LimitObligation::default()), own);
}

#[test]
fn required_promises_are_the_union() {
    let mut profile = Profile::new("/w".into(), "/h".into());
    profile.require = [Promise::NoNetwork].into();
    let obligations = Obligations { isolate: Some([Promise::KillAll].into()), ..Obligations::default() };
    assert_eq!(required(&profile, &obligations), [Promise::NoNetwork, Promise::KillAll].into());
    assert_eq!(required(&profile, &Obligations::default()), [Promise::NoNetwork].into());
}
