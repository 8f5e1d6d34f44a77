//! The slowest of the clocks: what must have passed before a soak or a pause ends.
//!
//! Job: a soak and a pause end at an instant of the wall clock, and that clock may be stepped. So
//! they end only when the boot clock, counted from when this process first saw the wait, and the
//! cloud's clock say so as well.
//!
//! Invariant: no step of one clock alone ends a wait early. Deliberately not here: windows, which
//! shut as soon as one of the clocks says so (`engine::opening`, `engine::fence`).

use jiff::Timestamp;

use crate::clock::Times;
use crate::domain::cloud_clock::TimeSpan;
use crate::domain::rollout::{Phase, Record, Slowest};

/// A wait for an instant, and both clocks when it was first seen.
#[derive(Debug, Default)]
struct ClockedWait(Option<(Timestamp, Times)>);

impl ClockedWait {
    /// What the slowest clock shows; without a wait the wall clock does.
    fn clock(
        &mut self,
        until: Option<Timestamp>,
        now: Times,
        cloud: Option<TimeSpan>,
    ) -> Timestamp {
        let Some(until) = until else {
            self.0 = None;
            return now.wall;
        };
        let first = match self.0 {
            Some((same, first)) if same == until => first,
            _ => now,
        };
        self.0 = Some((until, first));
        let by_boot =
            first.wall.checked_add(now.boot.saturating_sub(first.boot)).unwrap_or(Timestamp::MAX);
        let both = now.wall.min(by_boot);
        // The latest that the cloud's clock may show: a reading is a second wide, and that must not
        // delay every soak.
        cloud.map_or(both, |cloud| both.min(cloud.to))
    }
}

/// What a rollout waits for by the clock.
#[derive(Debug, Default)]
pub(super) struct Waits {
    soak: ClockedWait,
    pause: ClockedWait,
}

impl Waits {
    /// A wait that is new counts from now on, however late it is looked at: under a stop nothing
    /// is.
    pub(super) fn seen(&mut self, record: &Record, now: Times) {
        self.slowest(record, now, None);
    }

    /// What the slowest clock shows to its soak and to its pause.
    pub(super) fn slowest(
        &mut self,
        record: &Record,
        now: Times,
        cloud: Option<TimeSpan>,
    ) -> Slowest {
        let soak = match record.phase {
            Phase::Soaking { until, .. } => Some(until),
            _ => None,
        };
        let pause = record.paused.as_ref().and(record.paused_until);
        Slowest {
            soak: self.soak.clock(soak, now, cloud),
            pause: self.pause.clock(pause, now, cloud),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: i64 = 86_400;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("an instant")
    }

    fn times(wall: i64, boot: u64) -> Times {
        Times { wall: at(wall), boot: Duration::from_secs(boot) }
    }

    #[test]
    fn a_step_of_the_wall_clock_ends_no_wait() {
        let mut wait = ClockedWait::default();
        assert_eq!(wait.clock(Some(at(3_600)), times(0, 100), None), at(0));
        assert_eq!(
            wait.clock(Some(at(3_600)), times(DAY + 60, 160), None),
            at(60),
            "a day ahead: boot time counts"
        );
        assert_eq!(
            wait.clock(Some(at(3_600)), times(DAY + 3_600, 3_700), None),
            at(3_600),
            "over when an hour has passed"
        );
        assert_eq!(
            wait.clock(Some(at(3_600)), times(-DAY, 3_700), None),
            at(-DAY),
            "a day behind: the wall clock counts"
        );
    }

    #[test]
    fn the_clouds_clock_counts_where_it_is_known() {
        let mut wait = ClockedWait::default();
        let cloud = |second| Some(TimeSpan { from: at(second - 1), to: at(second + 1) });
        // Seen first after the step, as by a daemon that was started then: the cloud alone knows
        // better.
        assert_eq!(wait.clock(Some(at(3_600)), times(DAY, 100), cloud(0)), at(1));
        assert_eq!(wait.clock(Some(at(3_600)), times(DAY, 100), cloud(2 * DAY)), at(DAY));
    }

    #[test]
    fn another_wait_is_seen_anew() {
        let mut wait = ClockedWait::default();
        wait.clock(Some(at(3_600)), times(0, 100), None);
        assert_eq!(wait.clock(Some(at(7_200)), times(DAY, 160), None), at(DAY));
        assert_eq!(wait.clock(None, times(DAY, 160), None), at(DAY));
    }
}
