// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of the lock: a table of what each state makes of each event, and properties of random lives.

use proptest::prelude::*;

use super::*;
use crate::moment::{CLOCK_FORWARD_MAX, SUSPEND_MIN};

/// `awake` and `asleep` seconds after a start; the wall clock is off by `off` seconds.
fn at(awake: u64, asleep: u64, off: i64) -> Moment {
    Moment {
        boot: "boot".to_owned(),
        boottime_ms: (awake + asleep) * 1000,
        monotonic_ms: awake * 1000,
        wall_ms: (1_000_000 + awake + asleep).saturating_add_signed(off) * 1000,
    }
}

fn unlocked(used: u64) -> LockState {
    LockState::Unlocked { unlocked: at(0, 0, 0), used: at(used, 0, 0) }
}

fn soon(used: u64, left: u64) -> LockState {
    LockState::LockingSoon { unlocked: at(0, 0, 0), used: at(used, 0, 0), left: Duration::from_secs(left) }
}

fn error() -> LockState {
    LockState::Error { fault: "the key is still held".to_owned() }
}

#[test]
fn every_state_answers_every_event() {
    use Event::{Ask, Look, Use};
    let idle = 30 * 60;
    let broken = |what| Order::Lock(Why::Break(what));
    for (state, event, next, order) in [
        (LockState::SetupRequired, Event::SetUp, LockState::Locked, Order::Nothing),
        (LockState::SetupRequired, Use(at(1, 0, 0)), LockState::SetupRequired, Order::Nothing),
        (LockState::SetupRequired, Ask, LockState::SetupRequired, Order::Nothing),
        (LockState::SetupRequired, Event::LockDone, LockState::SetupRequired, Order::Nothing),
        (LockState::Locked, Event::Unlock(at(0, 0, 0)), unlocked(0), Order::Nothing),
        (LockState::Locked, Use(at(1, 0, 0)), LockState::Locked, Order::Nothing),
        (LockState::Locked, Look(at(1, 0, 0)), LockState::Locked, Order::Nothing),
        (LockState::Locked, Ask, LockState::Locked, Order::Lock(Why::Asked)),
        (
            LockState::Locked,
            Event::LockFailed("x".to_owned()),
            LockState::Error { fault: "x".to_owned() },
            Order::Nothing,
        ),
        (unlocked(0), Use(at(60, 0, 0)), unlocked(60), Order::Nothing),
        (unlocked(0), Look(at(60, 0, 0)), unlocked(0), Order::Nothing),
        (unlocked(0), Look(at(idle - 61, 0, 0)), unlocked(0), Order::Nothing),
        (unlocked(0), Look(at(idle - 60, 0, 0)), soon(0, 60), Order::Nothing),
        (unlocked(0), Look(at(idle - 1, 0, 0)), soon(0, 1), Order::Nothing),
        (unlocked(0), Use(at(idle - 1, 0, 0)), unlocked(idle - 1), Order::Nothing),
        (soon(0, 60), Use(at(idle - 1, 0, 0)), unlocked(idle - 1), Order::Nothing),
        (unlocked(0), Look(at(idle, 0, 0)), unlocked(0), Order::Lock(Why::Idle)),
        (unlocked(0), Use(at(idle, 0, 0)), unlocked(0), Order::Lock(Why::Idle)),
        (soon(0, 60), Use(at(idle, 0, 0)), unlocked(0), Order::Lock(Why::Idle)),
        (unlocked(600), Use(at(idle + 599, 0, 0)), unlocked(idle + 599), Order::Nothing),
        (unlocked(0), Ask, unlocked(0), Order::Lock(Why::Asked)),
        (unlocked(0), Use(at(60, 3, 0)), unlocked(0), broken(Break::Suspended)),
        (unlocked(50), Look(at(60, 3, 0)), unlocked(50), broken(Break::Suspended)),
        (soon(0, 5), Use(at(60, 3, 0)), unlocked(0), broken(Break::Suspended)),
        (unlocked(0), Use(at(60, 0, 301)), unlocked(0), broken(Break::ClockForward)),
        (
            unlocked(0),
            Use(at(60, 0, 300)),
            LockState::Unlocked { unlocked: at(0, 0, 0), used: at(60, 0, 300) },
            Order::Nothing,
        ),
        (unlocked(0), Look(at(60, 0, -6)), unlocked(0), broken(Break::ClockBack)),
        (unlocked(60), Use(at(59, 0, 0)), unlocked(60), broken(Break::Restarted)),
        (unlocked(0), Use(Moment { boot: "next".to_owned(), ..at(60, 0, 0) }), unlocked(0), broken(Break::Restarted)),
        (unlocked(0), Event::LockDone, LockState::Locked, Order::Nothing),
        (unlocked(0), Event::LockFailed("the key is still held".to_owned()), error(), Order::Nothing),
        (error(), Look(at(1, 0, 0)), error(), Order::Lock(Why::Again)),
        (error(), Use(at(1, 0, 0)), error(), Order::Lock(Why::Again)),
        (error(), Ask, error(), Order::Lock(Why::Asked)),
        (error(), Event::LockDone, LockState::Locked, Order::Nothing),
        (error(), Event::Unlock(at(0, 0, 0)), unlocked(0), Order::Nothing),
    ] {
        let case = format!("{state:?} {event:?}");
        assert_eq!(step(state, event, Limits::default()), (next, order), "{case}");
    }
}

#[test]
fn limits_stay_within_bounds() {
    for (given, idle, grace) in [(0, 60, 30), (59, 60, 30), (90, 90, 45), (1800, 1800, 60), (u64::MAX, 86_400, 60)] {
        let limits = Limits::new(Duration::from_secs(given));
        assert_eq!((limits.idle().as_secs(), limits.grace().as_secs()), (idle, grace), "{given}");
    }
    let (short, long) = (Limits::new(Duration::from_secs(90)), Limits::default());
    assert_eq!((short.strictest(long), long.strictest(short)), (short, short));
    assert_eq!(error().to_string(), "error");
}

/// What happens next in a random life.
#[derive(Clone, Debug)]
enum Happens {
    Unlock,
    Use,
    Look,
    Ask,
    LockWorks,
    LockFails,
    Wait(u64),
    Sleep(u64),
    SetClock(i64),
    Restart,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        1 => Just(Happens::Unlock),
        3 => Just(Happens::Use),
        3 => Just(Happens::Look),
        1 => Just(Happens::Ask),
        1 => Just(Happens::LockWorks),
        1 => Just(Happens::LockFails),
        3 => (0_u64..2400).prop_map(Happens::Wait),
        1 => (0_u64..100_000).prop_map(Happens::Sleep),
        1 => (-100_000_i64..100_000).prop_map(Happens::SetClock),
        1 => Just(Happens::Restart),
    ]
}

/// What a life really was, told without the machine.
struct Life {
    state: LockState,
    awake: u64,
    asleep: u64,
    off: i64,
    boot: u64,
    /// Seconds asleep, offset of the wall clock and start of the machine when it was unlocked.
    then: (u64, i64, u64),
    used: u64,
    held: bool,
}

impl Life {
    fn now(&self) -> Moment {
        Moment { boot: self.boot.to_string(), ..at(self.awake, self.asleep, self.off) }
    }

    fn must_lock(&self) -> bool {
        let (asleep, off, boot) = self.then;
        let moved = self.off - off;
        boot != self.boot
            || self.asleep - asleep > SUSPEND_MIN.as_secs()
            || moved > CLOCK_FORWARD_MAX.as_secs().cast_signed()
            || moved < -5
            || self.awake + self.asleep - self.used >= 1800
    }

    fn live(&mut self, happens: &Happens) -> Result<(), TestCaseError> {
        let event = match happens {
            Happens::Wait(seconds) => {
                self.awake += seconds;
                return Ok(());
            }
            Happens::Sleep(seconds) => {
                self.asleep += seconds;
                return Ok(());
            }
            Happens::SetClock(off) => {
                self.off = *off;
                return Ok(());
            }
            Happens::Restart => {
                self.boot += 1;
                return Ok(());
            }
            Happens::Unlock => Event::Unlock(self.now()),
            Happens::Use => Event::Use(self.now()),
            Happens::Look => Event::Look(self.now()),
            Happens::Ask => Event::Ask,
            Happens::LockWorks => Event::LockDone,
            Happens::LockFails => Event::LockFailed("still held".to_owned()),
        };
        let doubtful = self.must_lock();
        let (next, order) = step(self.state.clone(), event, Limits::default());
        match happens {
            Happens::Unlock => {
                (self.then, self.used, self.held) =
                    ((self.asleep, self.off, self.boot), self.awake + self.asleep, true);
            }
            Happens::LockWorks => self.held = false,
            Happens::Use | Happens::Look if self.held && doubtful => {
                prop_assert!(matches!(order, Order::Lock(_)), "{:?}: {next:?}", self.now());
            }
            Happens::Use if order == Order::Nothing => self.used = self.awake + self.asleep,
            _ => {}
        }
        prop_assert!(!self.held || next != LockState::Locked, "locked is said of a key that is held");
        self.state = next;
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn deny_saying_locked_of_a_held_key_and_missing_a_break(events in prop::collection::vec(happens(), 1..60)) {
        let mut life = Life {
            state: LockState::Locked, awake: 0, asleep: 0, off: 0, boot: 0, then: (0, 0, 0), used: 0, held: false,
        };
        for event in &events {
            life.live(event)?;
        }
    }
}
