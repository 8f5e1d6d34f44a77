//! One field of a cron expression: its text read into an explicit set of numbers.
//!
//! Job: accept what every implementation of standard cron understands in the same way, and nothing
//! else.
//!
//! Invariant: a set is never empty and holds only numbers of its field. Whatever is refused is
//! refused by name and, where it is clear what was meant, with the field's text as it should be
//! written.
//!
//! Deliberately not here: how the fields work together (`super`).

use std::fmt;

/// The five fields, in the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CronField {
    Minute,
    Hour,
    DayOfMonth,
    /// 1 to 12, or a three-letter name.
    Month,
    /// 0 to 7, Sunday being both 0 and 7, or a three-letter name.
    DayOfWeek,
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
pub(super) const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl CronField {
    /// All five, in the order in which they are written.
    pub const ALL: [Self; 5] =
        [Self::Minute, Self::Hour, Self::DayOfMonth, Self::Month, Self::DayOfWeek];

    fn least(self) -> u8 {
        match self {
            Self::Minute | Self::Hour | Self::DayOfWeek => 0,
            Self::DayOfMonth | Self::Month => 1,
        }
    }

    /// The greatest number that `*` covers: a Sunday counts once.
    fn greatest(self) -> u8 {
        match self {
            Self::Minute => 59,
            Self::Hour => 23,
            Self::DayOfMonth => 31,
            Self::Month => 12,
            Self::DayOfWeek => 6,
        }
    }

    /// The greatest number that may be written.
    fn greatest_written(self) -> u8 {
        if self == Self::DayOfWeek { 7 } else { self.greatest() }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Month => &MONTHS,
            Self::DayOfWeek => &WEEKDAYS,
            Self::Minute | Self::Hour | Self::DayOfMonth => &[],
        }
    }
}

impl fmt::Display for CronField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}

/// What a field's text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FieldSet {
    /// Bit n stands for the number n; Sunday is bit 0.
    bits: u64,
    /// Written `*` (or `*/1`): a day field so written leaves the choice to the other one. A field
    /// that merely covers everything does not.
    pub every: bool,
    /// Begins with `*`: an interval rather than a fixed time, which is what the rule for DST nights
    /// asks.
    pub starred: bool,
    /// Holds a `*/n` with n above 1; implementations disagree about such a day field beside another
    /// restricted one.
    pub stepped: bool,
}

impl FieldSet {
    pub fn contains(self, number: u8) -> bool {
        number < 64 && self.bits & (1 << number) != 0
    }

    pub fn numbers(self) -> impl Iterator<Item = u8> {
        (0..60).filter(move |n| self.contains(*n))
    }

    /// As one field of the `cron` crate: plain numbers, each raised by `shift`.
    pub fn list(self, shift: u8) -> String {
        if self.every {
            return "*".into();
        }
        let numbers: Vec<String> = self.numbers().map(|n| (n + shift).to_string()).collect();
        numbers.join(",")
    }
}

/// Why a field was refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FieldRefusal {
    /// What is wrong, naming the item.
    pub what: String,
    /// The item as it should be written, if that is clear.
    pub instead: Option<String>,
}

fn refused<T>(what: String, instead: Option<String>) -> Result<T, FieldRefusal> {
    Err(FieldRefusal { what, instead })
}

/// Reads a field; a refusal proposes the whole field's text.
pub(super) fn parse(field: CronField, text: &str) -> Result<FieldSet, FieldRefusal> {
    let items: Vec<&str> = text.split(',').collect();
    let mut set =
        FieldSet { bits: 0, every: false, starred: text.starts_with('*'), stepped: false };
    for (place, item) in items.iter().enumerate() {
        let part = parse_item(field, item).map_err(|refusal| FieldRefusal {
            what: refusal.what,
            instead: refusal.instead.map(|instead| {
                let mut items = items.clone();
                items[place] = &instead;
                items.join(",")
            }),
        })?;
        if part.every && items.len() > 1 {
            return refused(
                format!("`{item}` already means every one, so the rest of the list says nothing"),
                Some("*".into()),
            );
        }
        set.bits |= part.bits;
        set.every |= part.every;
        set.stepped |= part.stepped;
    }
    Ok(set)
}

fn parse_item(field: CronField, item: &str) -> Result<FieldSet, FieldRefusal> {
    if item.is_empty() {
        return refused("an item of the list is empty".into(), None);
    }
    if item == "?" {
        return refused("`?` is not part of standard cron".into(), Some("*".into()));
    }
    let (span, step) = match item.split_once('/') {
        Some((span, step)) => (span, Some(step)),
        None => (item, None),
    };
    let (least, greatest) = (field.least(), field.greatest());
    // What is proposed for a number or name is a part of the item only.
    let number = |text: &str| {
        number(field, text).map_err(|refusal| FieldRefusal {
            what: refusal.what,
            instead: refusal.instead.map(|instead| item.replacen(text, &instead, 1)),
        })
    };
    let (from, to) = match (span, span.split_once('-')) {
        ("*", _) => (least, greatest),
        (_, Some((from, to))) => range(field, item, number(from)?, number(to)?, step)?,
        (one, None) => {
            let one = number(one)?;
            if let Some(step) = step {
                let instead = format!("{one}-{greatest}/{step}");
                return refused(
                    format!(
                        "`{item}` has a step without a range, which not every cron reads alike"
                    ),
                    Some(instead),
                );
            }
            (one, one)
        }
    };
    let step = match step {
        None => 1,
        Some(step) => {
            let most = greatest - least;
            match digits(step) {
                Some(step) if (1..=most).contains(&step) => step,
                _ => {
                    return refused(
                        format!(
                            "`{step}` in `{item}` is not a step; a step is a number from 1 to {most}"
                        ),
                        None,
                    );
                }
            }
        }
    };
    let mut bits = 0u64;
    for n in (from..=to).step_by(usize::from(step)) {
        bits |= 1 << if field == CronField::DayOfWeek { n % 7 } else { n };
    }
    let every = span == "*" && step == 1;
    Ok(FieldSet { bits, every, starred: false, stepped: span == "*" && step > 1 })
}

fn range(
    field: CronField,
    item: &str,
    from: u8,
    to: u8,
    step: Option<&str>,
) -> Result<(u8, u8), FieldRefusal> {
    if from <= to {
        return Ok((from, to));
    }
    let (least, greatest) = (field.least(), field.greatest());
    // A step across the wrap has no agreed meaning, so nothing is proposed there.
    let instead = step.is_none().then(|| match (field, from, to) {
        (CronField::DayOfWeek, _, 0) => format!("{from}-7"),
        (CronField::DayOfWeek, 7, _) => format!("0-{to}"),
        _ if to == least => format!("{from}-{greatest},{least}"),
        _ => format!("{from}-{greatest},{least}-{to}"),
    });
    refused(format!("`{item}` runs backwards"), instead)
}

fn digits(text: &str) -> Option<u8> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn number(field: CronField, text: &str) -> Result<u8, FieldRefusal> {
    let (least, most) = (field.least(), field.greatest_written());
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return match digits(text) {
            Some(n) if (least..=most).contains(&n) => Ok(n),
            _ => refused(format!("`{text}` is not between {least} and {most}"), None),
        };
    }
    if text.is_empty() {
        return refused("a number is missing".into(), None);
    }
    let upper = text.to_ascii_uppercase();
    if let Some(place) = field.names().iter().position(|name| *name == upper) {
        return Ok(least + u8::try_from(place).expect("at most twelve names"));
    }
    if let Some(name) =
        field.names().iter().find(|name| upper.len() > 3 && upper.starts_with(**name))
    {
        return refused(format!("`{text}` is not a three-letter name"), Some((*name).into()));
    }
    let special = match upper.as_str() {
        _ if upper.contains('#') => {
            "`#` (the n-th weekday of a month) is not part of standard cron"
        }
        "LW" | "WL" => "`LW` (the last working day) is not part of standard cron",
        _ if field.names().is_empty() && upper.ends_with('W') => {
            "`W` (the nearest working day) is not part of standard cron"
        }
        _ if upper.starts_with('L') || upper.ends_with('L') => {
            "`L` (the last one) is not part of standard cron"
        }
        _ if upper == "H" || upper.starts_with("H(") => {
            "`H` (a hashed value) is not part of standard cron"
        }
        _ if field.names().is_empty() => {
            return refused(format!("`{text}` is not a number from {least} to {most}"), None);
        }
        _ => {
            return refused(
                format!(
                    "`{text}` is neither a number from {least} to {most} nor a three-letter name"
                ),
                None,
            );
        }
    };
    refused(special.into(), None)
}
