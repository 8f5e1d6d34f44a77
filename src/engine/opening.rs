//! Whether a rollout's window is open: what the calendar said last, and until when that holds.
//!
//! Job: spare reading the calendar at each decision, and shut a window as soon as one of the clocks
//! says so.
//!
//! Invariant: what is called open is open by the wall clock and by the boot clock, counted from
//! when this opening was first seen; so no step of the wall clock keeps a window open that is over.
//! Deliberately not here: the calendar itself (`domain::window`), and the last check
//! (`engine::fence`).

use std::time::Duration;

use jiff::Timestamp;

use super::fence::OpenWithin;
use crate::clock::Times;
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::plan::Plan;
use crate::domain::quota::Boot;
use crate::domain::window::{Opening, ShutBy};

/// What the calendar said last.
pub(super) struct LastOpening {
    said: Opening,
    /// It holds from here on until it says otherwise.
    from: Timestamp,
    /// When it is over by the boot clock.
    ends: Option<Boot>,
    /// It was asked for a revert.
    reverts: bool,
}

impl LastOpening {
    pub(super) fn ask(plan: &Plan, reverts: bool, now: Times) -> Self {
        Self::new(plan.opening(now.wall, reverts), reverts, now)
    }

    fn new(said: Opening, reverts: bool, now: Times) -> Self {
        let ends = match &said {
            Opening::Open { until: Some(until) } => Some(
                now.boot
                    + Duration::try_from(now.wall.duration_until(*until)).unwrap_or(Duration::ZERO),
            ),
            Opening::Open { until: None } | Opening::Shut { .. } => None,
        };
        Self { said, from: now.wall, ends, reverts }
    }

    pub(super) fn said(&self) -> &Opening {
        &self.said
    }

    /// What the calendar says now; it is read again only when its last word no longer covers this
    /// instant.
    pub(super) fn now(&self, plan: &Plan, reverts: bool, now: Times) -> Opening {
        if !self.covers(reverts, now.wall) {
            return plan.opening(now.wall, reverts);
        }
        match self.said {
            Opening::Open { until: Some(until) }
                if self.ends.is_some_and(|ends| ends <= now.boot) =>
            {
                match plan.opening(until, reverts) {
                    Opening::Open { .. } => Opening::Shut { next: Some(until), by: ShutBy::Window },
                    shut @ Opening::Shut { .. } => shut,
                }
            }
            _ => self.said.clone(),
        }
    }

    /// Whether its last word is about this instant too.
    fn covers(&self, reverts: bool, at: Timestamp) -> bool {
        let over = match &self.said {
            Opening::Open { until } => until.is_some_and(|until| until <= at),
            Opening::Shut { next, .. } => next.is_some_and(|next| next <= at),
        };
        at >= self.from && reverts == self.reverts && !over
    }

    /// Takes over what the calendar says now.
    pub(super) fn renew(&mut self, plan: &Plan, reverts: bool, now: Times) {
        let fresh = self.now(plan, reverts, now);
        if fresh != self.said || reverts != self.reverts {
            *self = Self::new(fresh, reverts, now);
        }
    }

    /// Whether the window is shut by the cloud's clock, wherever in this span it stands.
    pub(super) fn is_shut_by(&self, plan: &Plan, reverts: bool, cloud: TimeSpan) -> bool {
        let open = |at| {
            let known = matches!(self.said, Opening::Open { .. }) && self.covers(reverts, at);
            known || matches!(plan.opening(at, reverts), Opening::Open { .. })
        };
        !open(cloud.from) && !open(cloud.to)
    }

    /// Between which instants the window is known to be open.
    pub(super) fn within(&self, plan: &Plan, reverts: bool, now: Times) -> OpenWithin {
        let covers = self.covers(reverts, now.wall);
        match self.now(plan, reverts, now) {
            Opening::Open { until } if covers => {
                OpenWithin { from: self.from, until, ends: self.ends }
            }
            Opening::Open { until } => OpenWithin { from: now.wall, until, ends: None },
            Opening::Shut { .. } => {
                OpenWithin { from: now.wall, until: Some(now.wall), ends: None }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::window::{Calendar, Window};
    use crate::store::fixtures;

    const HOUR: i64 = 3_600;

    /// Open for an hour from second 0 of the scenario on, every day.
    fn plan() -> Plan {
        let mut plan = fixtures::plan("alpha", &[2, 2]);
        let cron = "0 8 * * *".parse().expect("an expression");
        let hour = Window::new(
            cron,
            Duration::from_secs(3_600),
            "UTC".parse().expect("a zone"),
            Duration::ZERO,
        );
        plan.calendar = Calendar::new(vec![hour.expect("a window")], Vec::new(), None);
        plan
    }

    fn times(wall: i64, boot: u64) -> Times {
        Times {
            wall: fixtures::at(0) + jiff::SignedDuration::from_secs(wall),
            boot: Duration::from_secs(boot),
        }
    }

    fn is_open(last: &LastOpening, plan: &Plan, now: Times) -> bool {
        matches!(last.now(plan, false, now), Opening::Open { .. })
    }

    #[test]
    fn a_wall_clock_that_is_set_back_keeps_no_window_open() {
        let plan = plan();
        let mut last = LastOpening::ask(&plan, false, times(600, 1_000));
        assert!(
            is_open(&last, &plan, times(HOUR - 1, 3_999))
                && !is_open(&last, &plan, times(HOUR, 4_000))
        );
        // Ten minutes before its end the clock is set back by half an hour.
        let late = times(HOUR - 600 - 1_800, 3_400);
        last.renew(&plan, false, late);
        assert!(is_open(&last, &plan, late));
        assert!(!is_open(&last, &plan, times(HOUR - 1_800, 4_000)), "by the boot clock it is over");
        let within = last.within(&plan, false, late);
        assert_eq!(within.ends, Some(Duration::from_secs(4_000)));
    }

    #[test]
    fn the_next_opening_counts_anew() {
        let plan = plan();
        let mut last = LastOpening::ask(&plan, false, times(600, 1_000));
        for (wall, boot, open) in [
            (HOUR, 4_000, false),
            (24 * HOUR, 86_800, true),
            (25 * HOUR - 1, 90_399, true),
            (25 * HOUR, 90_400, false),
        ] {
            let now = times(wall, boot);
            last.renew(&plan, false, now);
            assert_eq!(is_open(&last, &plan, now), open, "{wall}");
        }
    }

    #[test]
    fn by_the_clouds_clock_it_is_shut_only_where_no_reading_is_open() {
        let plan = plan();
        let last = LastOpening::ask(&plan, false, times(HOUR - 30, 1_000));
        let cloud =
            |from: i64, to: i64| TimeSpan { from: times(from, 0).wall, to: times(to, 0).wall };
        assert!(!last.is_shut_by(&plan, false, cloud(HOUR - 31, HOUR - 29)));
        assert!(!last.is_shut_by(&plan, false, cloud(HOUR - 1, HOUR + 1)), "it may be open");
        assert!(last.is_shut_by(&plan, false, cloud(HOUR, HOUR + 2)));
        assert!(last.is_shut_by(&plan, false, cloud(-60, -58)), "it has not opened yet");
    }
}
