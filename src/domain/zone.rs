//! A named time zone, and what a wall-clock time means in it on the two nights of the year when it
//! is not plain.
//!
//! Invariant: a [`Zone`] always has a name that the zone database knows, so a stored plan names
//! what it meant.
//!
//! Deliberately not here: reading the machine's own zone; a plan says which one it means.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::{Deserialize, Serialize};

/// A time zone by its IANA name, with its rules; cheap to clone.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// The zone database has no zone of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no time zone {name:?} in the zone database; use an IANA name such as `Asia/Singapore` or `UTC`"
)]
pub struct UnknownZone {
    /// The name as written.
    pub name: String,
}

impl Zone {
    pub fn utc() -> Self {
        Self { name: "UTC".into(), rules: TimeZone::UTC }
    }

    /// The IANA name as written.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn rules(&self) -> &TimeZone {
        &self.rules
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;
    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        match TimeZone::get(name) {
            // `Etc/Unknown` is in no database: it stands for a zone that could not be found.
            Ok(rules) if !rules.is_unknown() => Ok(Self { name: name.to_owned(), rules }),
            Ok(_) | Err(_) => Err(UnknownZone { name: name.chars().take(80).collect() }),
        }
    }
}
impl TryFrom<String> for Zone {
    type Error = UnknownZone;
    fn try_from(name: String) -> Result<Self, UnknownZone> {
        name.parse()
    }
}
impl From<Zone> for String {
    fn from(zone: Zone) -> String {
        zone.name
    }
}
impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Zone {}
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}
impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The first instant at which a clock in that zone shows `civil` or, in a gap, anything later.
/// `None` outside the years that an instant can have.
pub fn first_instant(civil: DateTime, rules: &TimeZone) -> Option<Timestamp> {
    match rules.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(civil).ok(),
        AmbiguousOffset::Gap { after, .. } => end_of_gap(civil, after, rules),
    }
}

/// As [`first_instant`], but the second of two when the clock shows `civil` twice.
pub fn last_instant(civil: DateTime, rules: &TimeZone) -> Option<Timestamp> {
    match rules.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Fold { after, .. } => after.to_timestamp(civil).ok(),
        AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Gap { .. } => {
            first_instant(civil, rules)
        }
    }
}

/// A time inside a gap, read with the offset that holds after it, lies before the change of clocks.
fn end_of_gap(civil: DateTime, after: jiff::tz::Offset, rules: &TimeZone) -> Option<Timestamp> {
    let before_the_change = after.to_timestamp(civil).ok()?;
    rules.following(before_the_change).next().map(|transition| transition.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin(civil: &str) -> (String, String) {
        let zone: Zone = "Europe/Berlin".parse().expect("a zone");
        let civil: DateTime = civil.parse().expect("a civil time");
        let text = |at: Option<Timestamp>| at.expect("in range").to_string();
        (text(first_instant(civil, zone.rules())), text(last_instant(civil, zone.rules())))
    }

    #[test]
    fn a_plain_time_is_one_instant() {
        assert_eq!(
            berlin("2026-07-01T02:30"),
            ("2026-07-01T00:30:00Z".into(), "2026-07-01T00:30:00Z".into())
        );
    }

    #[test]
    fn a_time_in_a_gap_is_the_change_of_clocks() {
        assert_eq!(
            berlin("2026-03-29T02:30"),
            ("2026-03-29T01:00:00Z".into(), "2026-03-29T01:00:00Z".into())
        );
        assert_eq!(berlin("2026-03-29T02:00").0, "2026-03-29T01:00:00Z");
    }

    #[test]
    fn a_time_that_comes_twice_has_a_first_and_a_last_instant() {
        assert_eq!(
            berlin("2026-10-25T02:30"),
            ("2026-10-25T00:30:00Z".into(), "2026-10-25T01:30:00Z".into())
        );
    }

    #[test]
    fn the_ends_of_the_calendar_are_not_instants() {
        assert_eq!(first_instant(DateTime::MAX, &TimeZone::fixed(jiff::tz::offset(-12))), None);
    }

    #[test]
    fn an_unknown_zone_is_reported_by_name() {
        for bad in ["Asia/Singapur", "", "Etc/Unknown", "../../etc/passwd", "Asia/Singapore\0"] {
            let error = bad.parse::<Zone>().expect_err(bad);
            assert!(error.to_string().contains(&format!("{bad:?}")), "{error}");
        }
    }

    #[test]
    fn a_zone_is_stored_by_its_name() {
        let zone: Zone = serde_json::from_str(r#""Asia/Singapore""#).expect("a zone");
        assert_eq!(serde_json::to_string(&zone).expect("a text"), r#""Asia/Singapore""#);
    }
}
