//! The cloud's clock, as far as its own answers tell it.
//!
//! Job: keep, for one service endpoint, the interval in which the cloud's clock lies, on boot time,
//! so that no step of our wall clock moves it. Each reading is the `Date` of an answer: the cloud's
//! clock showed it, cut to the second, at some instant between the call's departure and its answer.
//! So a reading is as wide as the round trip and one second.
//!
//! Invariants: the interval holds every clock that answered within [`VOID_AFTER`]. Answers that
//! agree narrow it; answers that disagree, because the cloud's clock was stepped or two of its
//! machines differ, widen it. Memory is bounded by `READINGS_MAX`.
//!
//! Deliberately not here: which answers count (`cloud::answer`), and what follows from the interval
//! (`domain::job_match`, `engine::cloud_time`).

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::quota::Boot;

/// A reading this old no longer counts: the clocks may have been set since.
pub const VOID_AFTER: Duration = Duration::from_secs(10 * 60);

/// Answers within this time narrow one reading; later ones begin the next, so that the drift of two
/// good clocks (some milliseconds a minute) is never taken for a disagreement.
const NARROWED_FOR: Duration = Duration::from_secs(60);

/// Readings kept: three clocks that differ, a minute each for [`VOID_AFTER`]. With more, the two
/// oldest become one.
const READINGS_MAX: usize = 32;

/// `Date` has whole seconds.
const RESOLUTION: SignedDuration = SignedDuration::from_secs(1);

/// A span of time, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeSpan {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl TimeSpan {
    /// The span of one instant.
    pub fn at(instant: Timestamp) -> Self {
        Self { from: instant, to: instant }
    }

    /// The span that begins then and lasts so long.
    pub fn lasting(from: Timestamp, long: Duration) -> Self {
        Self { from, to: from.checked_add(long).unwrap_or(Timestamp::MAX) }
    }

    /// The shortest span that holds both.
    pub fn hull(self, other: Self) -> Self {
        Self { from: self.from.min(other.from), to: self.to.max(other.to) }
    }

    /// The span moved in time.
    pub fn shifted(self, by: SignedDuration) -> Self {
        let moved = |at: Timestamp| at.saturating_add(by).unwrap_or(at);
        Self { from: moved(self.from), to: moved(self.to) }
    }

    /// The span with so much more at each end.
    pub fn widened(self, by: Duration) -> Self {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        let (from, to) = (self.from.saturating_sub(by), self.to.saturating_add(by));
        Self { from: from.unwrap_or(Timestamp::MIN), to: to.unwrap_or(Timestamp::MAX) }
    }

    /// The shortest span of whole seconds that holds it: the API's resolution, and short in a
    /// record.
    pub fn whole_seconds(self) -> Self {
        let second = |at: Timestamp, up: i64| {
            let cut = at.as_nanosecond().div_euclid(1_000_000_000);
            let part = at.as_nanosecond().rem_euclid(1_000_000_000) > 0;
            i64::try_from(cut)
                .ok()
                .and_then(|cut| Timestamp::from_second(cut + if part { up } else { 0 }).ok())
                .unwrap_or(at)
        };
        Self { from: second(self.from, 0), to: second(self.to, 1) }
    }

    /// The instant halfway between its ends.
    pub fn middle(&self) -> Timestamp {
        self.from.saturating_add(self.from.duration_until(self.to) / 2).unwrap_or(self.from)
    }

    /// Whether the instant lies in it.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at <= self.to
    }

    /// How far its ends lie ahead of an instant; negative: behind it.
    pub fn ahead_of(&self, instant: Timestamp) -> Offset {
        Offset { least: instant.duration_until(self.from), most: instant.duration_until(self.to) }
    }
}

/// How far the cloud's clock is ahead of ours, between two bounds; negative: behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offset {
    /// At least so far.
    pub least: SignedDuration,
    /// At most so far.
    pub most: SignedDuration,
}

impl Offset {
    /// Whether the clocks may be further apart than this.
    pub fn may_exceed(&self, tolerance: Duration) -> bool {
        self.furthest().unsigned_abs() > tolerance
    }

    /// The span in which the cloud's clock lies when ours shows `wall`.
    pub fn of(&self, wall: Timestamp) -> TimeSpan {
        let moved = |by: SignedDuration| wall.saturating_add(by).unwrap_or(wall);
        TimeSpan { from: moved(self.least), to: moved(self.most) }
    }

    /// The bound that is further from zero.
    pub fn furthest(&self) -> SignedDuration {
        if self.least.abs() > self.most.abs() { self.least } else { self.most }
    }
}

/// One reading, narrowed by those that agreed with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    begun: Boot,
    last: Boot,
    /// What the cloud's clock would have shown when this machine booted.
    origin: TimeSpan,
}

/// The clock of one endpoint.
#[derive(Debug, Clone, Default)]
pub struct CloudClock {
    readings: VecDeque<Reading>,
}

impl CloudClock {
    /// A clock that showed `date`, cut to the second, between these two instants of boot time.
    pub fn hear(&mut self, date: Timestamp, sent: Boot, heard: Boot) {
        let back = |at: Timestamp, by: Boot| at.checked_sub(by).ok();
        let end = date.checked_add(RESOLUTION).ok();
        let (Some(from), Some(to)) = (back(date, heard), end.and_then(|end| back(end, sent)))
        else {
            return;
        };
        self.readings.retain(|reading| !is_void(reading, heard));
        let agrees = |reading: &&mut Reading| {
            heard.saturating_sub(reading.begun) < NARROWED_FOR
                && reading.origin.from <= to
                && from <= reading.origin.to
        };
        if let Some(reading) = self.readings.iter_mut().rev().find(agrees) {
            reading.origin =
                TimeSpan { from: reading.origin.from.max(from), to: reading.origin.to.min(to) };
            reading.last = reading.last.max(heard);
            return;
        }
        self.readings.push_back(Reading {
            begun: heard,
            last: heard,
            origin: TimeSpan { from, to },
        });
        if self.readings.len() > READINGS_MAX
            && let (Some(first), Some(second)) =
                (self.readings.pop_front(), self.readings.front_mut())
        {
            second.origin = second.origin.hull(first.origin);
        }
    }

    /// What the cloud's clock shows at this instant of boot time; `None`: nobody told of late.
    pub fn at(&self, now: Boot) -> Option<TimeSpan> {
        let origins = self
            .readings
            .iter()
            .filter(|reading| !is_void(reading, now))
            .map(|reading| reading.origin);
        let by = SignedDuration::try_from(now).ok()?;
        Some(origins.reduce(TimeSpan::hull)?.shifted(by))
    }

    /// The same by the latest reading alone: what the machine shows that is likely to be asked
    /// next.
    pub fn latest(&self, now: Boot) -> Option<TimeSpan> {
        let latest = self
            .readings
            .iter()
            .max_by_key(|reading| reading.last)
            .filter(|reading| !is_void(reading, now))?;
        Some(latest.origin.shifted(SignedDuration::try_from(now).ok()?))
    }
}

fn is_void(reading: &Reading, now: Boot) -> bool {
    now.saturating_sub(reading.last) > VOID_AFTER
}
