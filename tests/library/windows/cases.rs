//! Draws what the oracle is asked: expressions, zones, windows, freezes and instants, near changes
//! of clocks.

use fastrand::Rng;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sealift::domain::cron::Expression;
use serde::Serialize;

/// Zones of every kind: both hemispheres, half-hour shifts, changes at midnight, during Ramadan,
/// and none at all. Every one stands in Debian's `tzdata` under this name.
const ZONES: [&str; 30] = [
    "UTC",
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Asuncion",
    "America/Caracas",
    "America/Havana",
    "America/Los_Angeles",
    "America/New_York",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Amman",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Jerusalem",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Pyongyang",
    "Asia/Shanghai",
    "Asia/Singapore",
    "Asia/Tehran",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/London",
    "Pacific/Auckland",
    "Pacific/Chatham",
];

/// Starts on each side of the middle, about.
const STARTS: usize = 40;

/// Instants asked of each case.
const ASKED: usize = 16;

/// A spelling that croniter reads otherwise than cron does; it is given another that means what
/// ours means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Quirk {
    /// `5-5` is the fifth; croniter reads the whole field.
    RangeOfOne,
    /// `*/1` is `*`, so the other day field alone decides; croniter joins the two with OR.
    StepOfOne,
}

/// One window of a case.
#[derive(Debug, Clone, Serialize)]
pub struct WindowSpec {
    /// As we read it.
    pub cron: String,
    /// The same for croniter.
    pub spelt: String,
    pub quirk: Option<Quirk>,
    pub zone: &'static str,
    pub duration: i64,
    /// In seconds, less than the duration.
    pub cutoff: i64,
}

/// A freeze, in wall-clock time.
#[derive(Debug, Clone, Serialize)]
pub struct FreezeCase {
    pub from: DateTime,
    pub to: DateTime,
    pub zone: &'static str,
}

/// What is asked at once.
#[derive(Debug, Clone, Serialize)]
pub struct WindowCase {
    pub windows: Vec<WindowSpec>,
    pub freezes: Vec<FreezeCase>,
    /// First second looked at.
    pub begin: i64,
    /// The second after the last.
    pub end: i64,
    /// Seconds at which the calendar is asked.
    pub asked: Vec<i64>,
    /// What changes at the middle, if clocks change there: offset before, offset after.
    #[serde(skip)]
    pub change: Option<(i32, i32)>,
}

pub fn zone(name: &str) -> TimeZone {
    TimeZone::get(name)
        .unwrap_or_else(|error| panic!("{name}: {error}; `make test` installs the zone database"))
}

impl WindowCase {
    pub fn draw(rng: &mut Rng) -> Self {
        let name = ZONES[rng.usize(0..ZONES.len())];
        let (middle, change) = middle(rng, name);
        let (window, reach) = window(rng, name, middle);
        let mut windows = vec![window];
        // A second one in a zone of its own, dense enough to be met here.
        if reach <= 20 * DAY && rng.f64() < 0.3 {
            let other = ZONES[rng.usize(0..ZONES.len())];
            let (second, its_reach) = window_of_hours(rng, other);
            if its_reach <= reach {
                windows.push(second);
            }
        }
        let reach = windows
            .iter()
            .map(|window| lasting(window, middle, reach))
            .min()
            .expect("one window at least");
        let (begin, end) = (middle - reach, middle + reach);
        let freezes = (0..if rng.f64() < 0.4 { rng.usize(1..=2) } else { 0 })
            .map(|_| freeze(rng, name, middle, reach.min(3 * DAY)));
        let freezes = freezes.collect();
        let near = reach.min(DAY);
        let asked = (0..ASKED)
            .map(|n| {
                if n % 2 == 0 { rng.i64(middle - near..middle + near) } else { rng.i64(begin..end) }
            })
            .collect();
        Self { windows, freezes, begin, end, asked, change }
    }
}

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Three of four cases lie around a change of clocks, if the zone has one after the instant drawn.
fn middle(rng: &mut Rng, name: &str) -> (i64, Option<(i32, i32)>) {
    // 1975 to 2036: beyond lie rules that nobody has made yet.
    let drawn = Timestamp::from_second(rng.i64(157_766_400..2_082_758_400)).expect("an instant");
    let zone = zone(name);
    let next = zone.following(drawn).next().filter(|_| rng.f64() < 0.75);
    let Some(next) = next.filter(|next| next.timestamp().as_second() < 2_114_380_800) else {
        return (drawn.as_second() / MINUTE * MINUTE, None);
    };
    let before = zone.to_offset(next.timestamp() - SignedDuration::from_secs(1));
    (next.timestamp().as_second(), Some((before.seconds(), next.offset().seconds())))
}

/// How far around the middle is looked for a window that starts often: starts cost the oracle time,
/// and the changes of clocks are in the middle.
fn lasting(window: &WindowSpec, middle: i64, reach: i64) -> i64 {
    let Ok(expression) = window.cron.parse::<Expression>() else { return reach };
    let (zone, mut at) = (zone(window.zone), Timestamp::from_second(middle).expect("an instant"));
    for _ in 0..STARTS {
        match expression.next(at, &zone) {
            Some(next) => at = next,
            None => return reach,
        }
    }
    reach.min((at.as_second() - middle).max(5 * HOUR))
}

fn number(rng: &mut Rng, least: u32, greatest: u32) -> u32 {
    rng.u32(least..=greatest)
}

/// A field as text, never one of the quirks. With `near`, its numbers are drawn around that one.
fn field(rng: &mut Rng, least: u32, greatest: u32, near: Option<u32>) -> String {
    let one = |rng: &mut Rng| match near {
        Some(near) if rng.f64() < 0.7 => {
            (near + number(rng, 0, 3)).saturating_sub(1).clamp(least, greatest)
        }
        Some(_) | None => number(rng, least, greatest),
    };
    match rng.u8(0..10) {
        0..2 => "*".into(),
        2 => format!("*/{}", number(rng, 2, (greatest - least).min(20))),
        3..6 => one(rng).to_string(),
        6..8 => {
            let numbers: std::collections::BTreeSet<u32> =
                (0..number(rng, 2, 4)).map(|_| one(rng)).collect();
            numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
        }
        _ => {
            let from = one(rng).min(greatest - 1);
            let to = number(rng, from + 1, greatest);
            // The whole field written as a range is a quirk of its own.
            let from = if from == least && to == greatest {
                from + u32::from(from + 1 < to)
            } else {
                from
            };
            if rng.bool() {
                format!("{from}-{to}")
            } else {
                format!("{from}-{to}/{}", number(rng, 2, 4))
            }
        }
    }
}

const MONTHS: [&str; 12] =
    ["JAN", "feb", "Mar", "APR", "MAY", "JUN", "jul", "AUG", "SEP", "OCT", "NOV", "Dec"];
const WEEKDAYS: [&str; 8] = ["SUN", "mon", "Tue", "WED", "THU", "FRI", "Sat", "sun"];

fn named(rng: &mut Rng, text: String, names: &[&str], least: u32) -> String {
    match text.parse::<u32>() {
        Ok(n) if rng.bool() => names[(n - least) as usize].to_owned(),
        Ok(_) | Err(_) => text,
    }
}

/// An expression of any kind, and how far around the middle it must be looked at to be met.
fn window(rng: &mut Rng, name: &'static str, middle: i64) -> (WindowSpec, i64) {
    if rng.f64() < 0.5 {
        return window_of_hours(rng, name);
    }
    let civil = zone(name).to_datetime(Timestamp::from_second(middle).expect("an instant"));
    let part = |n: i8| u32::try_from(n).expect("a part of a date");
    let minute = number(rng, 0, 59).to_string();
    let hour = field(rng, 0, 23, Some(part(civil.hour())));
    let day = field(rng, 1, 31, Some(part(civil.day())));
    let month =
        if rng.f64() < 0.6 { "*".into() } else { field(rng, 1, 12, Some(part(civil.month()))) };
    let month = named(rng, month, &MONTHS, 1);
    let weekday = if rng.f64() < 0.5 { "*".to_owned() } else { field(rng, 0, 7, None) };
    // `*/n` counts from 0 to 6, and 7 is written for Sunday only.
    let weekday =
        if weekday.starts_with("*/7") { "*/2".into() } else { named(rng, weekday, &WEEKDAYS, 0) };
    let [mut ours, mut spelt] = [[minute, hour, day, month, weekday.clone()], Default::default()];
    spelt.clone_from(&ours);
    let mut quirk = None;
    match rng.u8(0..20) {
        0 => {
            let one = number(rng, 1, 28);
            (ours[2], spelt[2], quirk) =
                (format!("{one}-{one}"), one.to_string(), Some(Quirk::RangeOfOne));
            (ours[4], spelt[4]) = ("*".into(), "*".into());
        }
        1 => {
            let place = if rng.bool() { 2 } else { 4 };
            (ours[6 - place], spelt[6 - place]) = ("3".into(), "3".into());
            (ours[place], spelt[place], quirk) = ("*/1".into(), "*".into(), Some(Quirk::StepOfOne));
        }
        2 => {
            // Every weekday beside a day of the month is every day, as either may match.
            ours[2] = number(rng, 1, 28).to_string();
            ours[4] = "0-6".into();
            spelt.clone_from(&ours);
        }
        _ => {}
    }
    let reach = if ours[3] != "*" { 800 * DAY } else { 80 * DAY };
    let (cron, spelt) = (ours.join(" "), spelt.join(" "));
    let duration = rng.i64(1..=30 * 60) * MINUTE;
    (WindowSpec { cron, spelt, quirk, zone: name, duration, cutoff: cutoff(rng, duration) }, reach)
}

/// An expression of every day, whose starts lie in the night itself.
fn window_of_hours(rng: &mut Rng, name: &'static str) -> (WindowSpec, i64) {
    let minute = field(rng, 0, 59, None);
    let hour = if rng.f64() < 0.6 {
        let hours: std::collections::BTreeSet<u32> =
            (0..number(rng, 1, 3)).map(|_| number(rng, 0, 4)).collect();
        hours.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
    } else {
        field(rng, 0, 23, None)
    };
    let weekday = if rng.f64() < 0.2 { "SUN".into() } else { "*".to_owned() };
    let cron = format!("{minute} {hour} * * {weekday}");
    let dense = minute.contains(['*', '/', '-']);
    let reach = if dense { 2 * DAY } else { 9 * DAY };
    let duration = if dense { rng.i64(1..=40) } else { rng.i64(1..=36 * 60) * MINUTE };
    let window = WindowSpec {
        spelt: cron.clone(),
        cron,
        quirk: None,
        zone: name,
        duration,
        cutoff: cutoff(rng, duration),
    };
    (window, reach)
}

fn cutoff(rng: &mut Rng, duration: i64) -> i64 {
    if rng.bool() { 0 } else { rng.i64(0..duration) }
}

fn freeze(rng: &mut Rng, name: &'static str, middle: i64, reach: i64) -> FreezeCase {
    let civil = zone(name).to_datetime(Timestamp::from_second(middle).expect("an instant"));
    let from = civil + SignedDuration::from_mins(rng.i64(-reach / MINUTE..reach / MINUTE));
    FreezeCase { from, to: from + SignedDuration::from_mins(rng.i64(90..4 * 24 * 60)), zone: name }
}
