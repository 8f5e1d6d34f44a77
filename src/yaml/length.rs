//! A length of time as people write it: `4h`, `30m`, `1h 30m`, `500ms`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::fmt::friendly::{SpanParser, SpanPrinter};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use super::format::Complaint;

/// Longest length taken: a year and a day. Longer is a slip of the unit.
pub const LENGTH_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// A length of time, 0 to [`LENGTH_MAX`], in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Length(Duration);

impl Length {
    /// As a duration.
    pub fn get(self) -> Duration {
        self.0
    }

    /// In milliseconds.
    pub fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).expect("a length is bounded by a year")
    }
}

impl FromStr for Length {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        let examples = "write a number and a unit: `90s`, `30m`, `4h`, `1h 30m` or `500ms`";
        if let Ok(number) = text.parse::<u64>() {
            let help = if number == 0 {
                "write `0s`".to_owned()
            } else {
                format!("write `{number}s`, `{number}m` or `{number}h`")
            };
            return Err(Complaint::new("a length of time needs a unit").help(help));
        }
        if text.contains('d') || text.contains('w') {
            let days =
                text.trim_end_matches(['d', 'w']).parse::<u64>().ok().filter(|days| *days <= 366);
            let hours =
                days.map(|days| if text.ends_with('w') { days * 7 * 24 } else { days * 24 });
            let complaint = Complaint::new(
                "a day is not a fixed length of time: some nights it has 23 or 25 hours",
            );
            return Err(match hours {
                Some(hours) => {
                    complaint.help(format!("write `{hours}h`")).replace(format!("{hours}h"))
                }
                None => complaint.help(examples),
            });
        }
        // The parser knows many more spellings; a plan has one.
        let plain =
            text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'h' | b'm' | b's' | b' '));
        let parsed = plain.then(|| SpanParser::new().parse_unsigned_duration(text).ok()).flatten();
        let Some(length) = parsed else {
            return Err(Complaint::new("not a length of time").help(examples));
        };
        if length > LENGTH_MAX {
            return Err(Complaint::new("longer than a year").help(examples));
        }
        Ok(Self(length))
    }
}

impl From<Duration> for Length {
    fn from(length: Duration) -> Self {
        Self(length)
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&SpanPrinter::new().unsigned_duration_to_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|complaint: Complaint| serde::de::Error::custom(complaint.message))
    }
}

impl JsonSchema for Length {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Length".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A length of time: a number and a unit, such as `90s`, `30m`, `4h`, `1h 30m` or `500ms`.",
            "pattern": "^ *([0-9]+ *(h|m|s|ms) *)+$",
            "format": "length",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_write_is_read() {
        for (text, millis) in [
            ("4h", 14_400_000),
            ("30m", 1_800_000),
            ("90s", 90_000),
            ("500ms", 500),
            ("1h 30m", 5_400_000),
            ("1h30m", 5_400_000),
            ("0s", 0),
        ] {
            assert_eq!(text.parse::<Length>().map(Length::millis), Ok(millis), "{text}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for text in [
            "",
            "30",
            "0",
            "-5m",
            "5",
            "m",
            "1.5h",
            "1:30:00",
            "2 hours ago",
            "PT4H",
            "4H",
            "1d",
            "1mo",
            "9999999h",
            "99999999999999999999h",
        ] {
            assert!(
                text.parse::<Length>().is_err(),
                "{text:?} was read as {:?}",
                text.parse::<Length>()
            );
        }
    }

    proptest! {
        #[test]
        fn shown_lengths_read_back(millis in 0u64..31_622_400_000) {
            let length = Length(Duration::from_millis(millis));
            prop_assert_eq!(length.to_string().parse::<Length>(), Ok(length));
        }
    }
}
