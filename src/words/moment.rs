//! An instant as people write it: with its offset, by the clock on the wall here, or so far from
//! now.
//!
//! Invariant: what is read lies on the side of now that was asked for, or is refused.

use jiff::civil::{DateTime, Time};
use jiff::{Timestamp, ToSpan as _};

use super::text::Style;
use crate::yaml::format::Complaint;
use crate::yaml::length::Length;

/// Reads an instant that lies ahead.
pub fn moment(text: &str, style: &Style) -> Result<Timestamp, String> {
    let found = read(text, style, Side::Ahead).ok_or_else(|| no_time(text))?;
    if found <= style.now {
        return Err(format!("{text:?} is over already: it is {}", style.time(style.now)));
    }
    Ok(found)
}

/// Reads an instant that has passed: a time of day is the last one, a length so long ago.
pub fn past(text: &str, style: &Style) -> Result<Timestamp, String> {
    let found = read(text, style, Side::Past).ok_or_else(|| no_time(text))?;
    if found > style.now {
        return Err(format!("{text:?} has not come yet: it is {}", style.time(style.now)));
    }
    Ok(found)
}

fn no_time(text: &str) -> String {
    format!(
        "{text:?} is no time: write `06:00`, `2026-12-01T06:00`, `2026-12-01T06:00:00+08:00`, or a length such as `90m`"
    )
}

/// A length of time as a plan writes it.
pub fn length(text: &str) -> Result<Length, String> {
    text.parse().map_err(|complaint: Complaint| match complaint.help {
        Some(help) => format!("{}; {help}", complaint.message),
        None => complaint.message,
    })
}

/// Where from now an instant lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Ahead,
    Past,
}

fn read(text: &str, style: &Style, side: Side) -> Option<Timestamp> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    let local = |at: DateTime| style.zone.to_timestamp(at).ok();
    if let Ok(length) = text.parse::<Length>() {
        return match side {
            Side::Ahead => style.now.checked_add(length.get()).ok(),
            Side::Past => style.now.checked_sub(length.get()).ok(),
        };
    }
    let today = style.now.to_zoned_datetime(style.zone.clone()).date();
    if text.len() <= 8
        && let Ok(time) = text.parse::<Time>()
    {
        let first = local(today.to_datetime(time))?;
        return match (side, first > style.now) {
            (Side::Ahead, true) | (Side::Past, false) => Some(first),
            (Side::Ahead, false) => local(today.checked_add(1.day()).ok()?.to_datetime(time)),
            (Side::Past, true) => local(today.checked_sub(1.day()).ok()?.to_datetime(time)),
        };
    }
    local(text.parse::<DateTime>().ok()?)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn a_time_is_read_in_every_spelling_and_lies_ahead() {
        let now = "2026-11-30T20:00:00Z".parse().expect("an instant");
        let style = Style { now, zone: TimeZone::get("Asia/Singapore").expect("a zone") };
        for (text, expected) in [
            ("2026-12-01T06:00:00+08:00", "2026-11-30T22:00:00Z"),
            ("2026-11-30T22:00:00Z", "2026-11-30T22:00:00Z"),
            ("2026-12-01T06:00", "2026-11-30T22:00:00Z"),
            // 04:00 by the wall here: six is still to come today, three is tomorrow's.
            ("06:00", "2026-11-30T22:00:00Z"),
            ("03:00", "2026-12-01T19:00:00Z"),
            ("90m", "2026-11-30T21:30:00Z"),
            ("1h 30m", "2026-11-30T21:30:00Z"),
        ] {
            assert_eq!(moment(text, &style), Ok(expected.parse().expect("an instant")), "{text}");
        }
        assert!(
            moment("2026-12-01T03:00", &style)
                .is_err_and(|refusal| refusal.contains("over already"))
        );
        for bad in ["", "soon", "25:00", "6", "0s", "2026-13-01T00:00"] {
            assert!(moment(bad, &style).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_that_has_passed_is_the_last_one() {
        let now = "2026-11-30T20:00:00Z".parse().expect("an instant");
        let style = Style { now, zone: TimeZone::get("Asia/Singapore").expect("a zone") };
        for (text, expected) in [
            ("2026-12-01T03:00", "2026-11-30T19:00:00Z"),
            // 04:00 by the wall here: six was yesterday's, three was today.
            ("06:00", "2026-11-29T22:00:00Z"),
            ("03:00", "2026-11-30T19:00:00Z"),
            ("90m", "2026-11-30T18:30:00Z"),
        ] {
            assert_eq!(past(text, &style), Ok(expected.parse().expect("an instant")), "{text}");
        }
        assert!(
            past("2026-12-01T06:00", &style).is_err_and(|refusal| refusal.contains("not come yet"))
        );
        assert!(past("yesterday", &style).is_err());
    }
}
