//! Times and lengths for people, and what keeps a hostile text from acting on whoever reads it.
//!
//! Invariant: whatever came from the network, a plan or the cloud passes [`clean`] before it is
//! shown to people.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::domain::group::GroupLimits;

/// How texts are made: what now is, whose clock people read, and whether colours are welcome.
#[derive(Debug, Clone)]
pub struct Style {
    pub now: Timestamp,
    /// The zone that times are shown in.
    pub zone: TimeZone,
}

impl Style {
    /// The machine's zone, at this instant.
    pub fn at(now: Timestamp) -> Self {
        Self { now, zone: TimeZone::system() }
    }

    /// The same instant, in the plan's zone where it has one.
    pub fn in_zone(&self, name: Option<&str>) -> Self {
        let zone = name.and_then(|name| TimeZone::get(name).ok());
        Self { now: self.now, zone: zone.unwrap_or_else(|| self.zone.clone()) }
    }

    /// `2026-11-24 01:00 +08`.
    pub fn time(&self, at: Timestamp) -> String {
        let local = at.to_zoned_datetime(self.zone.clone());
        if self.zone == TimeZone::UTC {
            local.strftime("%Y-%m-%d %H:%MZ").to_string()
        } else {
            local.strftime("%Y-%m-%d %H:%M %:::z").to_string()
        }
    }

    /// `2026-11-24 01:00:07 +08`.
    pub fn second(&self, at: Timestamp) -> String {
        let local = at.to_zoned_datetime(self.zone.clone());
        let format = if self.zone == TimeZone::UTC {
            "%Y-%m-%d %H:%M:%SZ"
        } else {
            "%Y-%m-%d %H:%M:%S %:::z"
        };
        local.strftime(format).to_string()
    }

    /// `01:00:07`.
    pub fn clock(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.clone()).strftime("%H:%M:%S").to_string()
    }

    /// `2026-11-24 01:00 +08 (in 3h 20m)`.
    pub fn until(&self, at: Timestamp) -> String {
        let left = at.duration_since(self.now);
        if left.is_positive() {
            format!("{} (in {})", self.time(at), length(left))
        } else {
            self.time(at)
        }
    }

    /// `3h 20m ago`.
    pub fn ago(&self, at: Timestamp) -> String {
        let past = self.now.duration_since(at);
        if past < SignedDuration::from_secs(1) {
            "just now".into()
        } else {
            format!("{} ago", length(past))
        }
    }
}

/// `3d 4h`, `3h 20m`, `4m 10s`, `12s`: the two largest units that say something.
pub fn length(length: SignedDuration) -> String {
    let seconds = length.as_secs().unsigned_abs();
    let (days, hours, minutes, seconds) =
        (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let pair = |big: u64, unit: &str, small: u64, sub: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit} {small}{sub}") }
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => pair(minutes, "m", seconds, "s"),
        (0, _, _) => pair(hours, "h", minutes, "m"),
        (_, _, _) => pair(days, "d", hours, "h"),
    }
}

/// Seconds as [`length`].
pub fn seconds(seconds: u64) -> String {
    length(SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)))
}

/// The text without characters that act on a terminal: control characters, and marks that reorder
/// what is shown.
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| !acts(*c)).collect()
}

/// As [`clean`], but line ends stay: for texts of several lines that we drew ourselves.
pub fn clean_lines(text: &str) -> String {
    text.chars().filter(|c| *c == '\n' || !acts(*c)).collect()
}

/// Whether a character acts on a terminal or reorders what is shown.
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// Cuts to `width` characters, with `…` where something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// What comes after a wave.
pub fn then(soak_seconds: u64, promote: &str) -> String {
    let soak = (soak_seconds > 0).then(|| format!("soak {}", seconds(soak_seconds)));
    let promotion = (promote == "manual").then(|| "promotion by a person".to_owned());
    let parts: Vec<String> = soak.into_iter().chain(promotion).collect();
    if parts.is_empty() { "-".into() } else { parts.join(", ") }
}

/// Group limits in words; `None` without any.
pub fn limits(limits: &BTreeMap<String, u32>) -> Option<String> {
    let limits: GroupLimits =
        limits.iter().filter_map(|(by, most)| Some((by.parse().ok()?, *most))).collect();
    (!limits.is_empty()).then(|| limits.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_name_their_two_largest_units() {
        for (seconds_, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (61, "1m 1s"),
            (3600, "1h"),
            (12_000, "3h 20m"),
            (90_000, "1d 1h"),
        ] {
            assert_eq!(seconds(seconds_), text);
        }
    }

    #[test]
    fn nothing_acts_on_the_terminal() {
        assert_eq!(clean("a\x1b[31mb\u{9b}c\u{202e}d\r\n"), "a[31mbcd");
    }
}
