//! Instants on a view: by the daemon's clock, in the zone that the view names.
//!
//! Invariant: the reader's own clock is never asked; what is shown as "so long ago" is so at the
//! instant of the view.

use askama::Template;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::words::text::length;

/// Instants further away than this are shown with their year.
const YEAR_SHOWN: SignedDuration = SignedDuration::from_hours(24 * 300);

/// Which clock a view shows.
#[derive(Debug, Clone)]
pub struct ViewClock {
    /// When the view was made.
    pub now: Timestamp,
    zone: TimeZone,
    /// The zone's name, as the view says it.
    pub name: String,
}

/// An instant as it is shown, and whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// RFC 3339, for programs.
    pub iso: String,
    /// With weekday, year, second, offset and zone.
    pub full: String,
    pub shown: String,
}

impl ViewClock {
    /// The clock of this zone; the machine's where there is none of that name.
    pub fn new(now: Timestamp, zone: Option<&str>) -> Self {
        let found = zone.and_then(|name| Some((TimeZone::get(name).ok()?, name.to_owned())));
        let (zone, name) = found.unwrap_or_else(|| {
            let zone = TimeZone::system();
            let name = zone.iana_name().unwrap_or("UTC").to_owned();
            (zone, name)
        });
        Self { now, zone, name }
    }

    /// The same clock at another instant: its day is told by times alone.
    pub fn at(&self, now: Timestamp) -> Self {
        Self { now, ..self.clone() }
    }

    /// The zone itself.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    fn format(&self, at: Timestamp, format: &str) -> String {
        at.to_zoned_datetime(self.zone.clone()).strftime(format).to_string()
    }

    fn moment(&self, at: Timestamp, shown: String) -> Moment {
        Moment {
            iso: at.to_string(),
            full: self.format(at, &format!("%A %-d %B %Y, %H:%M:%S %:::z ({})", self.name)),
            shown,
        }
    }

    /// `01:52:08`.
    pub fn second(&self, at: Timestamp) -> Moment {
        self.moment(at, self.format(at, "%H:%M:%S"))
    }

    /// `01:52:08.104`.
    pub fn fine(&self, at: Timestamp) -> Moment {
        self.moment(at, self.format(at, "%H:%M:%S%.3f"))
    }

    /// `+08`.
    pub fn offset(&self) -> String {
        self.format(self.now, "%:::z")
    }

    /// `Sat 28 Nov`.
    pub fn date(&self, at: Timestamp) -> String {
        let far = at.duration_since(self.now).abs() > YEAR_SHOWN;
        self.format(at, if far { "%a %-d %b %Y" } else { "%a %-d %b" })
    }

    /// `02:15` today, `Sat 28 Nov 02:15` on another day.
    pub fn short(&self, at: Timestamp) -> Moment {
        let time = self.format(at, "%H:%M");
        let shown = if self.date(at) == self.date(self.now) {
            time
        } else {
            format!("{} {time}", self.date(at))
        };
        self.moment(at, shown)
    }

    /// `Sat 28 Nov 01:52 +08`.
    pub fn long(&self, at: Timestamp) -> Moment {
        self.moment(at, format!("{} {}", self.date(at), self.format(at, "%H:%M %:::z")))
    }

    /// `5m 41s ago`.
    pub fn ago(&self, at: Timestamp) -> Moment {
        let past = self.now.duration_since(at);
        let shown = if past < SignedDuration::from_secs(1) {
            "just now".to_owned()
        } else {
            format!("{} ago", length(past))
        };
        self.moment(at, shown)
    }

    /// `22m 52s`, from now on or until now.
    pub fn apart(&self, at: Timestamp) -> String {
        length(at.duration_since(self.now).abs())
    }

    /// The first instant of the day of `at`, and of the days after it.
    pub fn days(&self, at: Timestamp, count: i32) -> Vec<Timestamp> {
        let date = at.to_zoned_datetime(self.zone.clone()).date();
        let day = |n: i32| {
            let day = date.checked_add(jiff::Span::new().days(n)).ok()?;
            self.zone.to_timestamp(day.to_datetime(jiff::civil::Time::midnight())).ok()
        };
        (0..count).filter_map(day).collect()
    }

    /// `28 Nov` with its weekday, for the head of a column.
    pub fn day(&self, at: Timestamp) -> String {
        self.format(at, "%a %-d")
    }

    /// `01:00`, for the axis of a drawing.
    pub fn minute(&self, at: Timestamp) -> String {
        self.format(at, "%H:%M")
    }
}

/// An instant as an element of the view.
#[derive(Template)]
#[template(
    source = r#"<time datetime="{{ at.iso }}" title="{{ at.full }}">{{ at.shown }}</time>"#,
    ext = "html"
)]
struct TimeElement<'a> {
    at: &'a Moment,
}

impl Moment {
    /// As an element of the view.
    pub fn html(&self) -> String {
        TimeElement { at: self }.render().expect("a string takes every text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    #[test]
    fn an_instant_is_shown_in_the_zone_and_whole_on_hover() {
        let clock = ViewClock::new(at("2026-11-27T17:52:08Z"), Some("Asia/Singapore"));
        assert_eq!(clock.short(at("2026-11-27T18:15:00Z")).shown, "02:15");
        assert_eq!(clock.short(at("2026-12-04T17:00:00Z")).shown, "Sat 5 Dec 01:00");
        assert_eq!(clock.long(at("2026-11-27T17:52:08Z")).shown, "Sat 28 Nov 01:52 +08");
        assert_eq!(clock.ago(at("2026-11-27T17:46:27Z")).shown, "5m 41s ago");
        assert_eq!(clock.long(at("2028-11-27T17:52:08Z")).shown, "Tue 28 Nov 2028 01:52 +08");
        let whole = clock.short(at("2026-11-27T18:15:00Z"));
        assert_eq!(whole.full, "Saturday 28 November 2026, 02:15:00 +08 (Asia/Singapore)");
        assert_eq!(whole.iso, "2026-11-27T18:15:00Z");
    }

    #[test]
    fn days_begin_at_midnight_also_on_the_nights_when_clocks_change() {
        let clock = ViewClock::new(at("2026-10-24T12:00:00Z"), Some("Europe/Berlin"));
        let days: Vec<String> = clock.days(clock.now, 3).iter().map(ToString::to_string).collect();
        assert_eq!(days, ["2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]);
    }
}
