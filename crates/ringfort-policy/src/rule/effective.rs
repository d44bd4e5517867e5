// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bounds in force: what the runtime and the cage take from the whole chain.
//!
//! **Invariant:** the smallest of every number, the union of everything hidden, required and closed.

use std::collections::BTreeSet;
use std::time::Duration;

use ringfort_core::degree::Degree;
use ringfort_core::limits::LOOP_WINDOW;
use ringfort_core::obligation::{LimitObligation, Obligations, Promise};
use ringfort_core::syscalls::{SyscallGroup, SyscallGroups};

use super::places;
use crate::config::Config;
use crate::path::Place;
use crate::restriction::Restriction;

/// The bounds in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// Actions that one principal may take in an hour.
    pub actions_per_hour_max: u32,
    /// Equal actions within [`Effective::loop_window`] that are no loop yet.
    pub loop_repeats_max: u32,
    /// The window of the loop guard.
    pub loop_window: Duration,
    /// Longest run of a command that an agent starts.
    pub shell_timeout: Option<Duration>,
    /// Variables of the caller's environment that a command may see.
    pub shell_env_passthrough: Vec<String>,
    /// Bounds on what a command may use.
    pub limits: LimitObligation,
    /// The promises that the cage must keep.
    pub promises: BTreeSet<Promise>,
    /// The weakest degree of isolation with which a command runs.
    pub degree_min: Degree,
    /// Paths that are not there inside the cage: hidden and forbidden ones.
    pub hidden: Vec<Place>,
    /// Folders outside the workspace that may be read and written.
    pub roots: Vec<Place>,
    /// Folders outside the workspace that may be read.
    pub roots_read_only: Vec<Place>,
    /// Folders below the home folder that are shown read-only.
    pub home_read_only: Vec<Place>,
    /// Whether each program that a command starts is ruled on.
    pub trace: bool,
    /// The system calls that a command may make.
    pub syscalls: SyscallGroups,
}

impl Effective {
    /// The bounds of a configuration and a project's restriction.
    pub fn of(config: &Config, restriction: Option<&Restriction>) -> Self {
        let autonomy = &config.autonomy;
        let mut timeout = autonomy.shell_timeout_secs;
        let mut bounds = Self {
            actions_per_hour_max: autonomy.max_actions_per_hour,
            loop_repeats_max: autonomy.loop_repeats_max,
            loop_window: LOOP_WINDOW,
            shell_timeout: None,
            shell_env_passthrough: autonomy.shell_env_passthrough.clone(),
            limits: config.sandbox.limits.to_obligation(),
            promises: config.sandbox.require.clone(),
            degree_min: config.sandbox.degree_min,
            hidden: places(&config.sandbox.hidden),
            roots: places(&autonomy.allowed_roots),
            roots_read_only: places(&autonomy.allowed_roots_read_only),
            home_read_only: places(&config.sandbox.home_read_only),
            trace: config.sandbox.trace,
            syscalls: SyscallGroups::default(),
        };
        if config.sandbox.syscalls_allowed.contains(&SyscallGroup::Debug) {
            bounds.syscalls = bounds.syscalls.with_debug();
        }
        let denied = restriction.map(|restriction| &restriction.sandbox.syscalls_denied).into_iter().flatten();
        for group in config.sandbox.syscalls_denied.iter().chain(denied) {
            bounds.syscalls = bounds.syscalls.without(*group);
        }
        bounds.hidden.extend(places(&autonomy.forbidden_paths));
        if let Some(restriction) = restriction {
            let narrower = &restriction.autonomy;
            let least = |mine: u32, theirs: Option<u32>| theirs.map_or(mine, |theirs| mine.min(theirs));
            bounds.actions_per_hour_max = least(bounds.actions_per_hour_max, narrower.max_actions_per_hour);
            bounds.loop_repeats_max = least(bounds.loop_repeats_max, narrower.loop_repeats_max);
            timeout = timeout.into_iter().chain(narrower.shell_timeout_secs).min();
            bounds.promises.extend(&restriction.sandbox.require);
            bounds.degree_min =
                restriction.sandbox.degree_min.map_or(bounds.degree_min, |min| min.min(bounds.degree_min));
            bounds.hidden.extend(places(&restriction.sandbox.hidden));
            bounds.hidden.extend(places(&narrower.forbidden_paths));
            let limits = |limits| Obligations { limits, ..Obligations::default() };
            bounds.limits = limits(bounds.limits).merge(limits(restriction.sandbox.limits.to_obligation())).limits;
        }
        bounds.shell_timeout = timeout.map(Duration::from_secs);
        bounds
    }
}
