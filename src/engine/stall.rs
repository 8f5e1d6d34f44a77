//! How long a rollout has gone on without a change ending.
//!
//! Job: count open-window time in which nothing ended, and apart from it the time in which all that
//! was in hand waited for held lanes.
//!
//! Invariant: time in which every lane that a rollout's changes need is held is not counted against
//! its deadline.
//!
//! Deliberately not here: which lanes are held (`engine::core::held`), and what follows from a
//! stall (`domain::rollout`).

use std::time::Duration;

use crate::domain::quota::Boot;

/// How long a rollout has gone on without a change ending.
#[derive(Debug, Default)]
pub(super) struct Stall {
    /// Without the time in which all that was in hand waited for its lanes.
    counted: Duration,
    held: Duration,
    /// Why all that is in hand waits for its lanes, as of the last look.
    held_by: Option<String>,
    /// The last look, if time counts since.
    since: Option<Boot>,
}

impl Stall {
    /// Time has passed up to this look; `counts`: so does what passes until the next one.
    pub(super) fn passes(&mut self, now: Boot, counts: bool, held_by: Option<String>) {
        if let Some(since) = self.since {
            let count = if self.held_by.is_some() { &mut self.held } else { &mut self.counted };
            *count += now.saturating_sub(since);
        }
        self.held_by = held_by;
        self.since = counts.then_some(now);
    }

    /// The time that counts, without that in which all that was in hand waited for its lanes.
    pub(super) fn counted(&self) -> Duration {
        self.counted
    }

    /// What passes until the next look counts nowhere.
    pub(super) fn stops(&mut self) {
        self.since = None;
    }

    /// Why it waits for its lanes, once both times together are as long as the deadline.
    pub(super) fn overdue(&self, deadline: Duration) -> Option<String> {
        let late = self.since.is_some() && self.counted + self.held >= deadline;
        self.held_by.clone().filter(|_| late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn time_counts_between_looks_that_say_so() {
        let mut stall = Stall::default();
        stall.passes(s(10), true, None);
        stall.passes(s(14), false, None);
        stall.passes(s(20), true, None);
        stall.passes(s(21), true, None);
        assert_eq!(stall.counted(), s(5), "a shut window counts nowhere");
        stall.stops();
        stall.passes(s(90), true, None);
        assert_eq!(stall.counted(), s(5));
    }

    #[test]
    fn waiting_for_held_lanes_is_counted_apart_and_overdue_with_its_reason() {
        let mut stall = Stall::default();
        let why = || Some("lane main is paused".to_owned());
        stall.passes(s(0), true, why());
        stall.passes(s(30), true, why());
        assert_eq!((stall.counted(), stall.overdue(s(31))), (s(0), None));
        assert_eq!(stall.overdue(s(30)), why(), "both times together are as long as the deadline");
        stall.passes(s(60), true, None);
        assert_eq!(stall.overdue(s(30)), None, "it waits for no lane now");
    }
}
