//! Standard five-field cron expressions, read as every cron daemon reads them, through the `cron`
//! crate.
//!
//! Job: tell when an expression starts next, and when it started last, in a time zone.
//!
//! Invariants: [`Expression::next`] and [`Expression::previous_or_at`] walk the same strictly
//! increasing sequence of instants; an expression that never starts does not exist. On the nights
//! when clocks change: a fixed time that the clock skips starts at the first instant after the gap,
//! one that comes twice starts once, at its first pass; an expression whose minute or hour begins
//! with `*` starts whenever the clock matches, so nothing in a gap and in both passes of a fold.
//!
//! The crate counts weekdays from 1, joins the day fields with AND and walks backwards in a fold;
//! so it is only ever given plain number lists, one schedule for each restricted day field, and
//! wall-clock time dressed as UTC. Nothing of it, nor of `chrono`, leaves this file. Deliberately
//! not here: how long a window lasts (`window`).

mod field;
#[cfg(any(test, fuzzing))]
pub mod properties;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use ::cron::Schedule;
use chrono::{Datelike as _, NaiveDate, Timelike as _, Utc};
use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use field::CronField;
use field::{FieldSet, WEEKDAYS};

use super::zone::first_instant;

/// Longest expression, in bytes: with every number of every field written out it stays under 400.
pub const TEXT_MAX: usize = 512;

/// First and last year that the `cron` crate knows.
const YEARS: std::ops::RangeInclusive<i16> = 1970..=2100;

/// The macros and what they stand for; `@reboot` names no time and is refused.
const MACROS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// Why a text is not an expression that we take. The message names the field and, where it is clear
/// what was meant, the expression to write instead; [`Error::proposal`] gives that expression
/// alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a cron expression has five fields (minute, hour, day of month, month, day of week), this one has {found}{hint}{}", write(.proposal))]
    Fields {
        /// How many it has.
        found: usize,
        /// Empty, or what was probably meant.
        hint: &'static str,
        /// What to write instead.
        proposal: Option<String>,
    },
    /// An `@` word that names no times, or that nobody knows.
    #[error(
        "`{found}` is not one of @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually"
    )]
    Macro { found: String },
    /// A field that not every cron reads alike, or that none does.
    #[error("{field} `{text}`: {what}{}", write(.proposal))]
    Field {
        field: CronField,
        text: String,
        /// What is wrong with it.
        what: String,
        /// What to write instead: the whole expression.
        proposal: Option<String>,
    },
    /// The day never comes in any of the months.
    #[error(
        "it never starts: no month of `{months}` has a day of `{days}`; correct the day of month or the month"
    )]
    Never {
        /// The text of the month field.
        months: String,
        /// The text of the field for the day of month.
        days: String,
    },
    /// Longer than [`TEXT_MAX`].
    #[error(
        "a cron expression has at most {TEXT_MAX} bytes, this one has {found}; use ranges and steps"
    )]
    TooLong { found: usize },
}

fn write(proposal: &Option<String>) -> String {
    proposal.as_ref().map_or(String::new(), |text| format!("; write `{text}`"))
}

impl Error {
    /// The whole expression to write instead, if it is clear what was meant. It is valid.
    pub fn proposal(&self) -> Option<&str> {
        match self {
            Self::Fields { proposal, .. } | Self::Field { proposal, .. } => proposal.as_deref(),
            Self::Macro { .. } | Self::Never { .. } | Self::TooLong { .. } => None,
        }
    }
}

/// A cron expression. Equal when written alike; stored as its text; cheap to clone.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Expression {
    text: Arc<str>,
    /// One schedule, or two that are joined by OR.
    parts: Arc<[Schedule]>,
    /// Minute or hour begin with `*`.
    interval: bool,
    warnings: Arc<[String]>,
}

impl Expression {
    /// The first start after `after`. `None` when there is none before the year 2101.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if self.interval {
            self.next_of_interval(after, zone)
        } else {
            self.next_of_fixed(after, zone)
        }
    }

    /// The latest start at or before `at`. `None` when there is none after the year 1969.
    pub fn previous_or_at(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        if self.interval {
            self.previous_of_interval(at, zone)
        } else {
            self.previous_of_fixed(at, zone)
        }
    }

    /// Whether the clock of that zone shows one of its times at `at`; false for a start that a gap
    /// has moved.
    pub fn is_shown(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let civil = zone.to_datetime(at);
        self.previous_civil(civil) == Some(civil)
    }

    /// What is allowed and yet seldom meant, in words for the person who wrote it; most often
    /// empty.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    // Fixed times. From wall-clock time to its first instant the order is kept, so it is enough to
    // walk wall-clock times until the instant is on the right side; more than one step is needed
    // only in the second pass of a fold.

    fn next_of_fixed(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut civil = zone.to_datetime(after);
        loop {
            civil = self.next_civil(civil)?;
            let start = first_instant(civil, zone)?;
            if start > after {
                return Some(start);
            }
        }
    }

    fn previous_of_fixed(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut civil = zone.to_datetime(at);
        if let Some(change) = last_change(at, zone) {
            // In the second pass of a fold the clock shows less than it has shown already.
            let before = zone.to_offset(change.saturating_sub(NANOSECOND).ok()?);
            civil = civil.max(before.to_datetime(change).saturating_sub(SECOND));
        }
        loop {
            civil = self.previous_civil(civil)?;
            let start = first_instant(civil, zone)?;
            if start <= at {
                return Some(start);
            }
            civil = civil.saturating_sub(SECOND);
        }
    }

    // Intervals: whatever the clock shows counts, so each stretch of one offset is walked for
    // itself.

    fn next_of_interval(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut offset = zone.to_offset(after);
        let mut civil = offset.to_datetime(after);
        let mut from = after;
        loop {
            let start = offset.to_timestamp(self.next_civil(civil)?).ok()?;
            match zone.following(from).next() {
                Some(change) if change.timestamp() <= start => {
                    (from, offset) = (change.timestamp(), change.offset());
                    civil = offset.to_datetime(from).saturating_sub(SECOND);
                }
                Some(_) | None => return Some(start),
            }
        }
    }

    fn previous_of_interval(&self, at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut at = at;
        loop {
            let offset = zone.to_offset(at);
            let start = offset.to_timestamp(self.previous_civil(offset.to_datetime(at))?).ok()?;
            match last_change(at, zone) {
                Some(change) if start < change => at = change.saturating_sub(NANOSECOND).ok()?,
                Some(_) | None => return Some(start),
            }
        }
    }

    /// The first match after a wall-clock time, whatever fraction of a second that has.
    fn next_civil(&self, after: DateTime) -> Option<DateTime> {
        if after.year() > *YEARS.end() {
            return None;
        }
        let after = dress(after.max(date(YEARS.start() - 1, 12, 31).at(23, 59, 59, 0)))?;
        self.parts.iter().filter_map(|part| part.after(&after).next()).min().and_then(undress)
    }

    /// The last match at or before a wall-clock time.
    fn previous_civil(&self, at: DateTime) -> Option<DateTime> {
        if at.year() < *YEARS.start() {
            return None;
        }
        // The crate answers with what lies strictly before.
        let before = dress(at.min(date(*YEARS.end(), 12, 31).at(23, 59, 59, 0)))?
            + chrono::Duration::seconds(1);
        self.parts.iter().filter_map(|part| part.after(&before).next_back()).max().and_then(undress)
    }
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);
const NANOSECOND: SignedDuration = SignedDuration::from_nanos(1);

/// When the offset last changed, at or before `at`.
fn last_change(at: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    zone.preceding(at.saturating_add(NANOSECOND).ok()?).next().map(|change| change.timestamp())
}

/// Wall-clock time dressed as UTC, without its fraction of a second.
fn dress(civil: DateTime) -> Option<chrono::DateTime<Utc>> {
    let part = |n: i8| u32::try_from(n).ok();
    let day =
        NaiveDate::from_ymd_opt(i32::from(civil.year()), part(civil.month())?, part(civil.day())?)?;
    Some(
        day.and_hms_opt(part(civil.hour())?, part(civil.minute())?, part(civil.second())?)?
            .and_utc(),
    )
}

fn undress(dressed: chrono::DateTime<Utc>) -> Option<DateTime> {
    let part = |n: u32| i8::try_from(n).ok();
    let year = i16::try_from(dressed.year()).ok()?;
    let (month, day) = (part(dressed.month())?, part(dressed.day())?);
    DateTime::new(
        year,
        month,
        day,
        part(dressed.hour())?,
        part(dressed.minute())?,
        part(dressed.second())?,
        0,
    )
    .ok()
}

impl FromStr for Expression {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        if text.len() > TEXT_MAX {
            return Err(Error::TooLong { found: text.len() });
        }
        let trimmed = text.trim_ascii();
        let mut expanded = trimmed;
        if trimmed.starts_with('@') {
            let known = MACROS.iter().find(|(word, _)| *word == trimmed);
            expanded = known.ok_or_else(|| Error::Macro { found: trimmed.to_owned() })?.1;
        }
        let texts: Vec<&str> = expanded.split_ascii_whitespace().collect();
        let Ok(texts) = <[&str; 5]>::try_from(texts.as_slice()) else {
            return Err(wrong_number(&texts));
        };
        let mut sets = Vec::with_capacity(5);
        for (place, field) in CronField::ALL.into_iter().enumerate() {
            sets.push(
                field::parse(field, texts[place])
                    .map_err(|refusal| refuse(field, &texts, refusal.what, refusal.instead))?,
            );
        }
        let sets = <[FieldSet; 5]>::try_from(sets).expect("five fields give five sets");
        compile(trimmed, &texts, &sets)
    }
}

fn wrong_number(texts: &[&str]) -> Error {
    let valid =
        |texts: &[&str]| Some(texts.join(" ")).filter(|text| text.parse::<Expression>().is_ok());
    let (hint, proposal) = match texts {
        [zone, rest @ ..] if zone.contains("TZ=") => {
            ("; the zone has a key of its own, `time_zone`", valid(rest))
        }
        [_, rest @ ..] if rest.len() == 5 => ("; seconds are not accepted", valid(rest)),
        [_, rest @ .., _] if rest.len() == 5 => {
            ("; seconds and years are not accepted", valid(rest))
        }
        _ => ("", None),
    };
    Error::Fields { found: texts.len(), hint, proposal }
}

/// Proposes the whole expression with one field rewritten, if that makes it valid.
fn refuse(field: CronField, texts: &[&str; 5], what: String, instead: Option<String>) -> Error {
    let place = CronField::ALL.iter().position(|f| *f == field).expect("one of the five");
    let proposal = instead.and_then(|instead| {
        let mut corrected = *texts;
        corrected[place] = &instead;
        let text = corrected.join(" ");
        match text.parse::<Expression>() {
            Ok(_) => Some(text),
            // Something else is wrong as well; where it leads to something valid, that is the
            // proposal.
            Err(error) => error.proposal().map(str::to_owned),
        }
    });
    Error::Field { field, text: texts[place].to_owned(), what, proposal }
}

fn compile(text: &str, texts: &[&str; 5], sets: &[FieldSet; 5]) -> Result<Expression, Error> {
    let [minute, hour, day, month, weekday] = sets;
    let both = !day.every && !weekday.every;
    for (field, set) in [(CronField::DayOfMonth, day), (CronField::DayOfWeek, weekday)] {
        if both && set.stepped {
            let what = "beside another restricted day field, crons disagree whether a step means and or or".to_owned();
            let place = if field == CronField::DayOfMonth { 2 } else { 4 };
            let whole = if field == CronField::DayOfMonth { "1-31/" } else { "0-6/" };
            return Err(refuse(field, texts, what, Some(texts[place].replace("*/", whole))));
        }
    }
    let comes = month.numbers().any(|m| day.numbers().any(|d| d <= longest(m)));
    if !comes && weekday.every {
        return Err(Error::Never { months: texts[3].to_owned(), days: texts[2].to_owned() });
    }
    let schedule = |day: String, weekday: String| {
        let fields =
            format!("0 {} {} {day} {} {weekday}", minute.list(0), hour.list(0), month.list(0));
        Schedule::from_str(&fields)
            .expect("the crate takes plain lists of numbers within their ranges")
    };
    let mut parts = Vec::with_capacity(2);
    if comes && (!day.every || weekday.every) {
        parts.push(schedule(day.list(0), "*".into()));
    }
    if !weekday.every {
        // The crate counts Sunday as 1.
        parts.push(schedule("*".into(), weekday.list(1)));
    }
    Ok(Expression {
        text: text.into(),
        parts: parts.into(),
        interval: minute.starred || hour.starred,
        warnings: warnings(texts, sets, comes).into(),
    })
}

/// Days of a month in its longest year.
fn longest(month: u8) -> u8 {
    match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn warnings(texts: &[&str; 5], sets: &[FieldSet; 5], comes: bool) -> Vec<String> {
    let [minute, hour, day, _, weekday] = sets;
    let mut warnings = Vec::new();
    if minute.every && !hour.starred {
        let hours = texts[1];
        warnings.push(format!("minute `*` starts in every minute of hour {hours}; for one start an hour write minute `0`"));
    }
    if !day.every && !weekday.every {
        let mut warning = format!(
            "both day fields are given: it starts on day {} of the month and also on every {}",
            texts[2],
            describe(*weekday)
        );
        if let Some(nth) = nth_week(*day) {
            warning.push_str(&format!("; cron cannot say \"the {nth} {}\"", describe(*weekday)));
        }
        if !comes {
            warning.push_str("; the day of month never comes in these months");
        }
        warnings.push(warning);
    } else if let Some(first) = day.numbers().next().filter(|first| *first > 28) {
        warnings.push(format!("months that have no day {first} are passed over"));
    }
    warnings
}

fn describe(weekdays: FieldSet) -> String {
    const LONG: [&str; 7] =
        ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let names: Vec<&str> =
        (0..WEEKDAYS.len()).filter(|n| weekdays.contains(*n as u8)).map(|n| LONG[n]).collect();
    names.join(", ")
}

/// The days 1 to 7 are how people try to say "the first Monday".
fn nth_week(days: FieldSet) -> Option<&'static str> {
    let within = |from: u8, to: u8| {
        days.numbers().all(|day| (from..=to).contains(&day)) && days.numbers().count() > 1
    };
    let weeks = [
        ("first", 1, 7),
        ("second", 8, 14),
        ("third", 15, 21),
        ("fourth", 22, 28),
        ("last", 23, 31),
    ];
    weeks.into_iter().find(|(_, from, to)| within(*from, *to)).map(|(nth, _, _)| nth)
}

impl TryFrom<String> for Expression {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}
impl From<Expression> for String {
    fn from(expression: Expression) -> String {
        expression.text.as_ref().to_owned()
    }
}
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}
impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Expression {}
