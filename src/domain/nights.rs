//! The nights of a rollout: which morning's report an instant belongs to.
//!
//! Invariant: nights follow each other without a gap from the submission on, so whatever happened
//! is in exactly one of them. Pure: it depends on the calendar and the instants given.
//!
//! Deliberately not here: what happened in a night (`api`).

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp, civil};

use super::window::{Calendar, Stretch};

/// Nights told at once; a year of daily windows.
pub const NIGHTS_MAX: usize = 400;

/// How long after its windows shut a night goes on: what is in flight then is followed to its end.
const FOLLOWED: SignedDuration = SignedDuration::from_hours(6);

/// A window that is longer than this is told day by day.
const LONG: SignedDuration = SignedDuration::from_hours(24);

/// The windows that open on one day, and all that follows until the next night begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Night {
    /// The day on which its windows open, in the plan's zone.
    pub date: civil::Date,
    /// When the night before ended, or the rollout was submitted.
    pub from: Timestamp,
    /// When the next night begins; exclusive.
    pub to: Timestamp,
    /// When new work could begin; empty once no window opens any more.
    pub windows: Vec<Stretch>,
}

impl Night {
    /// When its first window opens.
    pub fn opens(&self) -> Timestamp {
        self.windows.first().map_or(self.from, |first| first.open)
    }
}

/// The nights of a rollout that was submitted at `submitted`, the latest being that of `now`. Where
/// windows have no end, a night is a day of the zone.
pub fn nights(
    calendar: &Calendar,
    zone: &TimeZone,
    submitted: Timestamp,
    now: Timestamp,
) -> Vec<Night> {
    let date = |at: Timestamp| at.to_zoned_datetime(zone.clone()).date();
    let mut nights: Vec<Night> = Vec::new();
    let (mut from, mut at) = (submitted, submitted);
    while from <= now && nights.len() < NIGHTS_MAX {
        let Some(first) = calendar.openings(at, 1).pop() else {
            match nights.last_mut() {
                Some(last) => last.to = Timestamp::MAX,
                None => nights.push(Night {
                    date: date(from),
                    from,
                    to: Timestamp::MAX,
                    windows: Vec::new(),
                }),
            }
            break;
        };
        let day = date(first.open);
        let (to, windows);
        if first.close.is_none_or(|close| close.duration_since(first.open) > LONG) {
            (to, windows) = (midnight(day, zone).unwrap_or(Timestamp::MAX), vec![first]);
            at = to;
        } else {
            let (all, next) = of_day(calendar, first, |at| date(at) == day);
            let end = all.iter().filter_map(|window| window.close).max().unwrap_or(first.open);
            let followed = end.checked_add(FOLLOWED).unwrap_or(Timestamp::MAX);
            to = next.map_or(followed, |next| next.clamp(end, followed));
            (at, windows) = (next.unwrap_or(to), all);
        }
        nights.push(Night { date: day, from, to, windows });
        from = to;
    }
    nights
}

/// The openings of the day of `first`, and when the next one after them begins.
fn of_day(
    calendar: &Calendar,
    first: Stretch,
    same: impl Fn(Timestamp) -> bool,
) -> (Vec<Stretch>, Option<Timestamp>) {
    let mut windows = vec![first];
    while let Some(cutoff) = windows.last().and_then(|last| last.cutoff) {
        let Some(next) = calendar.openings(cutoff, 1).pop() else { break };
        if !same(next.open) {
            return (windows, Some(next.open));
        }
        windows.push(next);
    }
    (windows, None)
}

/// When the day after this one begins.
fn midnight(day: civil::Date, zone: &TimeZone) -> Option<Timestamp> {
    let next = day.checked_add(Span::new().days(1)).ok()?;
    zone.to_timestamp(next.to_datetime(civil::Time::midnight())).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::window::{Freeze, Window};

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    fn window(cron: &str, hours: u64) -> Window {
        let length = Duration::from_secs(hours * 3600);
        let zone = "Asia/Singapore".parse().expect("a zone");
        Window::new(cron.parse().expect(cron), length, zone, Duration::ZERO).expect("a window")
    }

    /// `2026-11-28: 11-27T17:00 to 11-28T03:00, 1`.
    fn told(calendar: &Calendar, submitted: &str, now: &str) -> Vec<String> {
        let zone = TimeZone::get("Asia/Singapore").expect("a zone");
        let nights = nights(calendar, &zone, at(submitted), at(now));
        let gapless = nights.windows(2).all(|pair| pair[0].to == pair[1].from);
        assert!(gapless && nights.first().is_none_or(|first| first.from == at(submitted)));
        let shown = |at: Timestamp| at.strftime("%m-%dT%H:%M").to_string();
        let line = |night: &Night| {
            let (from, to) = (shown(night.from), shown(night.to));
            format!("{}: {from} to {to}, {}", night.date, night.windows.len())
        };
        nights.iter().map(line).collect()
    }

    #[test]
    fn a_night_ends_when_what_its_window_left_has_been_followed() {
        let weekly = Calendar::new(vec![window("0 1 * * SAT", 4)], Vec::new(), None);
        let told = told(&weekly, "2026-11-20T08:00:00Z", "2026-11-28T01:00:00Z");
        let wanted = [
            "2026-11-21: 11-20T08:00 to 11-21T03:00, 1",
            "2026-11-28: 11-21T03:00 to 11-28T03:00, 1",
        ];
        assert_eq!(told, wanted, "what is decided between two nights is told with the later one");
    }

    #[test]
    fn windows_of_one_day_are_one_night_also_over_midnight() {
        let evening = Calendar::new(vec![window("0 20,22 * * *", 1)], Vec::new(), None);
        let late = Calendar::new(vec![window("0 23 * * *", 4)], Vec::new(), None);
        let evening = told(&evening, "2026-11-27T08:00:00Z", "2026-11-27T18:00:00Z");
        assert_eq!(evening, ["2026-11-27: 11-27T08:00 to 11-27T21:00, 2"]);
        let late = told(&late, "2026-11-27T08:00:00Z", "2026-11-27T18:00:00Z");
        assert_eq!(late, ["2026-11-27: 11-27T08:00 to 11-28T01:00, 1"]);
    }

    #[test]
    fn without_an_end_a_night_is_a_day_and_a_freeze_changes_nothing_of_that() {
        let zone = || "Asia/Singapore".parse().expect("a zone");
        let civil = |text: &str| text.parse().expect("civil");
        let drill = Freeze::new(
            civil("2026-12-20T00:00"),
            civil("2026-12-27T00:00"),
            zone(),
            "drill".into(),
        );
        let frozen = Calendar::new(Vec::new(), vec![drill.expect("a freeze")], None);
        let always = Calendar::new(Vec::new(), Vec::new(), None);
        for calendar in [&frozen, &always] {
            let told = told(calendar, "2026-11-27T08:00:00Z", "2026-11-27T16:30:00Z");
            let wanted = [
                "2026-11-27: 11-27T08:00 to 11-27T16:00, 1",
                "2026-11-28: 11-27T16:00 to 11-28T16:00, 1",
            ];
            assert_eq!(told, wanted);
        }
    }
}
