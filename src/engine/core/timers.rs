//! The core's timers: what is woken, and when.
//!
//! Job: set and clear timers, and hand out those that are due.
//!
//! Invariant: timers fire in the order of their instants, and at one instant in the order of
//! [`Timer`]; a timer that was replaced or cleared does not fire.
//!
//! Deliberately not here: what a timer does when it fires, and the instant at which each owner set
//! its own: whoever replaces or clears a timer says when it was due.

use std::collections::BTreeSet;

use crate::domain::id::{ChangeId, Name, RolloutId};
use crate::domain::quota::Boot;

/// What a timer wakes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Change(ChangeId),
    Rollout(RolloutId),
    Lane(Name),
    List(Name),
    /// A question is put again.
    Ask(u64),
    Scan,
}

/// The timers that are set.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Boot, Timer)>);

impl Timers {
    /// Replaces the timer that was set for `was`, if any, by one for `at`.
    pub(super) fn set(&mut self, timer: Timer, was: Option<Boot>, at: Boot) {
        if let Some(was) = was {
            self.0.remove(&(was, timer.clone()));
        }
        self.0.insert((at, timer));
    }

    /// Removes the timer that was set for `was`, if any.
    pub(super) fn clear(&mut self, timer: Timer, was: Option<Boot>) {
        if let Some(was) = was {
            self.0.remove(&(was, timer));
        }
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Boot> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Takes the first timer that is due by now, with the instant that it was set for.
    pub(super) fn pop_due(&mut self, now: Boot) -> Option<(Boot, Timer)> {
        if self.next()? > now {
            return None;
        }
        self.0.pop_first()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn s(seconds: u64) -> Boot {
        Duration::from_secs(seconds)
    }

    #[test]
    fn timers_fire_in_their_order_and_not_before_they_are_due() {
        let mut timers = Timers::default();
        assert_eq!((timers.next(), timers.pop_due(s(9))), (None, None));
        timers.set(Timer::Scan, None, s(3));
        timers.set(Timer::Ask(2), None, s(3));
        timers.set(Timer::Ask(1), None, s(5));
        assert_eq!((timers.next(), timers.pop_due(s(2))), (Some(s(3)), None));
        assert_eq!(
            timers.pop_due(s(4)),
            Some((s(3), Timer::Ask(2))),
            "at one instant in the order of what is woken"
        );
        assert_eq!(timers.pop_due(s(4)), Some((s(3), Timer::Scan)));
        assert_eq!(timers.pop_due(s(4)), None);
        assert_eq!(
            timers.pop_due(s(9)),
            Some((s(5), Timer::Ask(1))),
            "late, it still says what it was set for"
        );
    }

    #[test]
    fn what_was_replaced_or_cleared_does_not_fire() {
        let mut timers = Timers::default();
        timers.set(Timer::Ask(1), None, s(1));
        timers.set(Timer::Ask(1), Some(s(1)), s(4));
        timers.set(Timer::Ask(2), None, s(2));
        timers.clear(Timer::Ask(2), Some(s(2)));
        timers.clear(Timer::Ask(1), None);
        assert_eq!(timers.pop_due(s(3)), None);
        assert_eq!(timers.pop_due(s(4)), Some((s(4), Timer::Ask(1))));
        assert_eq!(timers.next(), None);
    }
}
