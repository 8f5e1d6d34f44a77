//! When new work may begin: windows, their cutoffs, freezes and `not_before`, made one
//! [`Calendar`].
//!
//! Invariants: everything is half-open, [open, close); a freeze wins over every window; what
//! [`Calendar::at`] promises to stay open until an instant stays open until then. The answer
//! depends on the instant alone, so a clock that jumps gets the answer of where it landed.
//!
//! A window's duration is elapsed time, from its start on: it goes past midnight, and on the night
//! when clocks change it shuts an hour earlier or later by the wall. Its cutoff ends new work that
//! long before its end; another window that overlaps it may keep the calendar open. Deliberately
//! not here: what is in flight when a window shuts (it is followed to its end), and texts in a plan
//! (`planfile`).

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

use super::cron::Expression;
use super::zone::{Zone, first_instant, last_instant};

/// Longest duration of one window: a year, and beyond it the plan means no window at all.
pub const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Most windows of one plan; every decision asks each of them.
pub const WINDOWS_MAX: usize = 50;

/// Most freezes of one plan; every decision asks each of them.
pub const FREEZES_MAX: usize = 500;

/// Most windows that are joined when one begins before or just as the other ends. Where that goes
/// on longer, [`Opening::Open`] names the instant reached, and asking again then goes on from
/// there.
const MERGES_MAX: usize = 100;

/// What the calendar says at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// New work may begin.
    Open {
        /// From this instant on it may not (cutoff, end of the last overlapping window, or start of
        /// a freeze); `None`: no end in sight.
        until: Option<Timestamp>,
    },
    /// New work may not begin.
    Shut {
        /// The next instant at which it may; `None`: never again.
        next: Option<Timestamp>,
        /// Which rule holds it shut now.
        by: ShutBy,
    },
}

/// The rule that holds a calendar shut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShutBy {
    /// `not_before` lies ahead.
    NotBefore,
    /// No window is open.
    Window,
    /// A window is open, but its cutoff has passed.
    Cutoff,
    /// A freeze is on, with its reason.
    Freeze(String),
}

/// A stretch of time in which new work may begin without a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// New work may begin from here on.
    pub open: Timestamp,
    /// From here on it may not; `None`: no end in sight.
    pub cutoff: Option<Timestamp>,
    /// The windows shut, or a freeze begins; not before `cutoff`. `None`: no end in sight.
    pub close: Option<Timestamp>,
}

/// Why something is not a window or a freeze.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A window that is never open, or for more than a year.
    #[error(
        "a window lasts from 1 ms to 366 days, this one lasts {found:?}; leave `windows` out to allow any time"
    )]
    Duration { found: Duration },
    /// A window in which nothing could begin.
    #[error("the cutoff of {cutoff:?} leaves nothing of a window of {duration:?}; make it shorter")]
    Cutoff { cutoff: Duration, duration: Duration },
    /// A freeze that ends before it begins.
    #[error("the freeze ends at {to}, which is not after {from}; exchange them")]
    Backwards { from: DateTime, to: DateTime },
    /// A freeze beyond the years that can be told.
    #[error(
        "the freeze from {from} to {to} lies beyond the years that can be told; write a year before 9999"
    )]
    Beyond { from: DateTime, to: DateTime },
}

/// Times at which work may be done: it opens at every start of a cron expression, for a duration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredWindow", into = "StoredWindow")]
pub struct Window {
    cron: Expression,
    duration: Duration,
    zone: Zone,
    cutoff: Duration,
}

impl Window {
    /// A window; `duration` and `cutoff` count in whole milliseconds, a zero `cutoff` is none.
    pub fn new(
        cron: Expression,
        duration: Duration,
        zone: Zone,
        cutoff: Duration,
    ) -> Result<Self, Error> {
        if duration < Duration::from_millis(1) || duration > DURATION_MAX {
            return Err(Error::Duration { found: duration });
        }
        let whole =
            |d: Duration| Duration::from_millis(u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        let (duration, cutoff) = (whole(duration), whole(cutoff));
        if cutoff >= duration {
            return Err(Error::Cutoff { cutoff, duration });
        }
        Ok(Self { cron, duration, zone, cutoff })
    }

    pub fn cron(&self) -> &Expression {
        &self.cron
    }

    /// How long it stays open, in elapsed time.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// The zone of its starts.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// How long before its end no new work begins any more.
    pub fn cutoff(&self) -> Duration {
        self.cutoff
    }

    /// Whether it is open at `at`, its cutoff aside.
    pub fn covers(&self, at: Timestamp) -> bool {
        self.end(at, Part::Whole).is_some()
    }

    /// The end of the latest start's stretch, if `at` lies in it.
    fn end(&self, at: Timestamp, part: Part) -> Option<Timestamp> {
        self.latest_end(at, part).filter(|end| at < *end)
    }

    /// The end of the latest start's stretch, whether it is over or not.
    fn latest_end(&self, at: Timestamp, part: Part) -> Option<Timestamp> {
        let start = self.cron.previous_or_at(at, self.zone.rules())?;
        let length = match part {
            Part::NewWork => self.duration - self.cutoff,
            Part::Whole => self.duration,
        };
        Some(start.checked_add(length).unwrap_or(Timestamp::MAX))
    }
}

/// Which part of a window is meant.
#[derive(Clone, Copy)]
enum Part {
    /// Up to the cutoff.
    NewWork,
    /// Up to the end.
    Whole,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredWindow {
    cron: Expression,
    duration_ms: u64,
    time_zone: Zone,
    #[serde(default, skip_serializing_if = "is_zero")]
    cutoff_ms: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl TryFrom<StoredWindow> for Window {
    type Error = Error;
    fn try_from(stored: StoredWindow) -> Result<Self, Error> {
        let StoredWindow { cron, duration_ms, time_zone, cutoff_ms } = stored;
        Self::new(
            cron,
            Duration::from_millis(duration_ms),
            time_zone,
            Duration::from_millis(cutoff_ms),
        )
    }
}
impl From<Window> for StoredWindow {
    fn from(window: Window) -> Self {
        let ms = |d: Duration| u64::try_from(d.as_millis()).expect("a window lasts a year at most");
        let (duration_ms, cutoff_ms) = (ms(window.duration), ms(window.cutoff));
        Self { cron: window.cron, duration_ms, time_zone: window.zone, cutoff_ms }
    }
}

/// A time in which no new work begins, whatever the windows say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredFreeze", into = "StoredFreeze")]
pub struct Freeze {
    stored: StoredFreeze,
    begin: Timestamp,
    end: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFreeze {
    from: DateTime,
    to: DateTime,
    time_zone: Zone,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
}

impl Freeze {
    /// A freeze between two wall-clock times of a zone. Where the clock shows one of them twice,
    /// the longer freeze is meant; where it skips one, the change of clocks is.
    pub fn new(from: DateTime, to: DateTime, zone: Zone, reason: String) -> Result<Self, Error> {
        let (Some(begin), Some(end)) =
            (first_instant(from, zone.rules()), last_instant(to, zone.rules()))
        else {
            return Err(Error::Beyond { from, to });
        };
        if from >= to || begin >= end {
            return Err(Error::Backwards { from, to });
        }
        Ok(Self { stored: StoredFreeze { from, to, time_zone: zone, reason }, begin, end })
    }

    pub fn begin(&self) -> Timestamp {
        self.begin
    }

    /// The first instant after it.
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// The zone in which it was written.
    pub fn zone(&self) -> &Zone {
        &self.stored.time_zone
    }

    /// Why, in the words of the plan; may be empty.
    pub fn reason(&self) -> &str {
        &self.stored.reason
    }

    fn holds(&self, at: Timestamp) -> bool {
        self.begin <= at && at < self.end
    }
}

impl TryFrom<StoredFreeze> for Freeze {
    type Error = Error;
    fn try_from(stored: StoredFreeze) -> Result<Self, Error> {
        Self::new(stored.from, stored.to, stored.time_zone, stored.reason)
    }
}
impl From<Freeze> for StoredFreeze {
    fn from(freeze: Freeze) -> Self {
        freeze.stored
    }
}

/// The union of the windows minus the freezes, from `not_before` on. Without any window: any time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    windows: Vec<Window>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    freezes: Vec<Freeze>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
}

impl Calendar {
    /// A calendar. Bounds on the numbers of windows and freezes ([`WINDOWS_MAX`], [`FREEZES_MAX`])
    /// are the plan reader's to check: they keep an answer cheap, and nothing goes wrong beyond
    /// them.
    pub fn new(windows: Vec<Window>, freezes: Vec<Freeze>, not_before: Option<Timestamp>) -> Self {
        Self { windows, freezes, not_before }
    }

    /// The calendar that never shuts.
    pub fn always() -> Self {
        Self::default()
    }

    /// Nothing begins before this instant.
    pub fn not_before(&self) -> Option<Timestamp> {
        self.not_before
    }

    /// The windows as written; none: any time.
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// The freezes as written.
    pub fn freezes(&self) -> &[Freeze] {
        &self.freezes
    }

    /// Whether nothing ever shuts it.
    pub fn is_always_open(&self) -> bool {
        self.windows.is_empty() && self.freezes.is_empty() && self.not_before.is_none()
    }

    /// Whether new work may begin at `now`, and until or from when.
    pub fn at(&self, now: Timestamp) -> Opening {
        if let Some(start) = self.not_before.filter(|start| now < *start) {
            return Opening::Shut { next: self.next(start), by: ShutBy::NotBefore };
        }
        if let Some(freeze) = self.freeze(now) {
            return Opening::Shut {
                next: self.next(now),
                by: ShutBy::Freeze(freeze.reason().to_owned()),
            };
        }
        if self.covers(now, Part::NewWork) {
            return Opening::Open { until: self.end(now, Part::NewWork) };
        }
        let by = if self.covers(now, Part::Whole) { ShutBy::Cutoff } else { ShutBy::Window };
        Opening::Shut { next: self.next(now), by }
    }

    /// Since when new work may not begin, by the rule that [`Self::at`] names; `None`: it may, or
    /// it never could.
    pub fn shut_since(&self, now: Timestamp) -> Option<Timestamp> {
        let Opening::Shut { by, .. } = self.at(now) else { return None };
        let ends = |part| {
            self.windows
                .iter()
                .filter_map(move |window| window.latest_end(now, part))
                .filter(|end| *end <= now)
                .max()
        };
        match by {
            ShutBy::NotBefore => None,
            ShutBy::Freeze(_) => {
                self.freezes.iter().filter(|freeze| freeze.holds(now)).map(Freeze::begin).min()
            }
            ShutBy::Cutoff => ends(Part::NewWork),
            ShutBy::Window => ends(Part::Whole),
        }
    }

    /// The next stretches in which new work may begin, freezes and `not_before` applied, at most
    /// `limit`. One that is open at `from` already is listed from `from` on.
    pub fn openings(&self, from: Timestamp, limit: usize) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        let mut from = Some(self.not_before.map_or(from, |start| start.max(from)));
        while stretches.len() < limit
            && let Some(open) = from.and_then(|from| self.next(from))
        {
            let cutoff = self.end(open, Part::NewWork);
            stretches.push(Stretch { open, cutoff, close: self.end(open, Part::Whole) });
            from = cutoff;
        }
        stretches
    }

    /// The freeze that is on; of several the one that ends last.
    fn freeze(&self, at: Timestamp) -> Option<&Freeze> {
        self.freezes.iter().filter(|freeze| freeze.holds(at)).max_by_key(|freeze| freeze.end)
    }

    fn covers(&self, at: Timestamp, part: Part) -> bool {
        self.windows.is_empty() || self.windows.iter().any(|window| window.end(at, part).is_some())
    }

    /// Where the open stretch that holds `at` ends, freezes applied; `at` itself must not be
    /// frozen.
    fn end(&self, at: Timestamp, part: Part) -> Option<Timestamp> {
        let freeze = self.freezes.iter().map(Freeze::begin).filter(|begin| *begin > at).min();
        if self.windows.is_empty() {
            return freeze;
        }
        let mut reached = at;
        for _ in 0..MERGES_MAX {
            let Some(end) =
                self.windows.iter().filter_map(|window| window.end(reached, part)).max()
            else {
                break;
            };
            reached = end;
            if freeze.is_some_and(|freeze| freeze <= reached) {
                return freeze;
            }
        }
        Some(reached)
    }

    /// The first instant from `from` on at which new work may begin, `not_before` left aside.
    fn next(&self, from: Timestamp) -> Option<Timestamp> {
        let mut at = from;
        // Each round but the last leaves a freeze behind or goes to a window's start; what begins
        // there is open unless frozen. So no freeze is met twice, and an opening that freezes
        // swallow costs one round.
        for _ in 0..=2 * self.freezes.len() + 1 {
            if let Some(freeze) = self.freeze(at) {
                at = freeze.end;
            } else if self.covers(at, Part::NewWork) {
                return Some(at);
            } else {
                at = self
                    .windows
                    .iter()
                    .filter_map(|window| window.cron.next(at, window.zone.rules()))
                    .min()?;
            }
        }
        Some(at)
    }
}
