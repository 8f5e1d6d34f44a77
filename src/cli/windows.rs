//! `windows`: the next openings of a plan, freezes applied, the nights marked on which clocks
//! change.

use std::io::Write;

use anstyle::{AnsiColor, Style as Paint};
use anyhow::Result;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::args::{OutputFormat, WindowsArgs};
use super::discovered::{known_lanes, refused};
use super::exit::{Exit, ExitFailure};
use super::output::{ListingPrinter, ListingRow, aligned, pretty};
use super::reach::DaemonAddress;
use super::term;
use super::text::count;
use crate::domain::openings::{ClockChange, ForeseenOpening, Meets, SIGHTS_MAX};
use crate::domain::zone::first_instant;
use crate::planfile::{self, ReadPlan};
use crate::words::text::{Style, clean, clean_lines, length};

/// Openings told unless more are asked for.
const OPENINGS: usize = 10;

/// What `windows` tells, as one document.
#[derive(Debug, Serialize)]
struct WindowsDoc {
    plan: String,
    revision: u32,
    /// From when on was looked.
    from: Timestamp,
    /// Until when, if asked.
    until: Option<Timestamp>,
    /// Nothing begins before it.
    not_before: Option<Timestamp>,
    windows: Vec<WindowRow>,
    /// How long new work may begin in all of them together; none: without end.
    new_work_seconds: Option<i64>,
    more: bool,
}

#[derive(Debug, Serialize)]
struct WindowRow {
    /// `open`, or `frozen` where a freeze swallows it.
    state: &'static str,
    open: Timestamp,
    /// From then on nothing new begins.
    cutoff: Option<Timestamp>,
    close: Option<Timestamp>,
    /// The same with the clock and the zone of the window.
    open_local: String,
    cutoff_local: Option<String>,
    close_local: Option<String>,
    time_zone: Option<String>,
    utc_offset: String,
    length_seconds: Option<i64>,
    new_work_seconds: Option<i64>,
    /// It was open before `from`.
    open_already: bool,
    freezes: Vec<FreezeDoc>,
    clock_changes: Vec<ClockDoc>,
    /// What a person should notice, in words.
    remarks: Vec<String>,
    #[serde(skip)]
    zone: TimeZone,
}

/// A freeze that takes something of an opening.
#[derive(Debug, Serialize)]
struct FreezeDoc {
    from: Timestamp,
    to: Timestamp,
    reason: String,
}

/// A change of clocks that an opening meets.
#[derive(Debug, Serialize)]
struct ClockDoc {
    at: Timestamp,
    before: String,
    after: String,
    /// `start_skipped`, `start_twice` or `inside`.
    how: &'static str,
}

/// `windows`.
pub fn windows(args: &WindowsArgs, daemon: &DaemonAddress, style: &Style) -> Result<Exit> {
    let read = planfile::read(&args.plan, None).map_err(refused)?;
    known_lanes(daemon, read.lanes())?;
    let zone = read
        .calendar()
        .windows()
        .first()
        .map_or_else(|| style.zone.clone(), |window| window.zone().rules().clone());
    let from = args.from.as_deref().map_or(Ok(style.now), |text| instant("--from", text, &zone))?;
    let until = args.until.as_deref().map(|text| instant("--until", text, &zone)).transpose()?;
    if until.is_some_and(|until| until <= from) {
        return Err(ExitFailure::new(
            Exit::Error,
            "--until must lie after --from (and after now, without --from)",
        )
        .into());
    }
    let limit = args.count.map_or(if until.is_some() { SIGHTS_MAX } else { OPENINGS }, usize::from);
    let document = document(&read, from, until, limit, style);
    let mut out = term::stdout();
    match args.output.output {
        OutputFormat::Table => write!(out, "{}", text(&document, &zone, style))?,
        OutputFormat::Json => writeln!(out, "{}", pretty(&document)?)?,
        OutputFormat::Jsonl | OutputFormat::Csv => {
            let mut listing = ListingPrinter::new(&mut out, args.output.output, style.clone());
            listing.page(&document.windows)?;
            listing.end::<WindowRow>()?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// An instant, or a date or time by the clock of the plan's first window.
pub(super) fn instant(flag: &str, text: &str, zone: &TimeZone) -> Result<Timestamp, ExitFailure> {
    let civil = || {
        text.parse::<DateTime>()
            .or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)))
            .ok()
    };
    let read = text.parse::<Timestamp>().ok().or_else(|| first_instant(civil()?, zone));
    read.ok_or_else(|| {
        let shown = clean(&text.chars().take(80).collect::<String>());
        ExitFailure::new(
            Exit::Error,
            format!("{flag} {shown:?} is no time; write 2026-03-28, 2026-03-28T22:00 or 2026-03-28T22:00:00+01:00"),
        )
    })
}

fn document(
    plan: &ReadPlan,
    from: Timestamp,
    until: Option<Timestamp>,
    limit: usize,
    style: &Style,
) -> WindowsDoc {
    let outlook = plan.calendar().outlook(from, until, limit);
    let new_work = outlook
        .sights
        .iter()
        .try_fold(0, |sum: i64, sight| Some(sum.saturating_add(sight.new_work()?.as_secs())));
    WindowsDoc {
        plan: plan.name().to_string(),
        revision: plan.revision(),
        from,
        until,
        not_before: plan.calendar().not_before(),
        windows: outlook.sights.iter().map(|sight| row(sight, style)).collect(),
        new_work_seconds: new_work,
        more: outlook.more,
    }
}

fn row(sight: &ForeseenOpening<'_>, style: &Style) -> WindowRow {
    let zone = sight.zone.map_or_else(|| style.zone.clone(), |zone| zone.rules().clone());
    let local = |at: Timestamp| at.to_zoned_datetime(zone.clone()).to_string();
    let stretch = sight.stretch;
    WindowRow {
        state: if sight.frozen { "frozen" } else { "open" },
        open: stretch.open,
        cutoff: stretch.cutoff,
        close: stretch.close,
        open_local: local(stretch.open),
        cutoff_local: stretch.cutoff.map(local),
        close_local: stretch.close.map(local),
        time_zone: sight.zone.map(|zone| zone.name().to_owned()),
        utc_offset: zone.to_offset(stretch.open).to_string(),
        length_seconds: stretch.close.map(|close| close.duration_since(stretch.open).as_secs()),
        new_work_seconds: sight.new_work().map(|length| length.as_secs()),
        open_already: sight.open_already,
        freezes: sight
            .freezes
            .iter()
            .map(|freeze| FreezeDoc {
                from: freeze.begin(),
                to: freeze.end(),
                reason: freeze.reason().to_owned(),
            })
            .collect(),
        clock_changes: sight.clocks.iter().map(clock).collect(),
        remarks: remarks(sight, &zone),
        zone,
    }
}

fn clock(change: &ClockChange) -> ClockDoc {
    let how = match change.how {
        Meets::StartSkipped => "start_skipped",
        Meets::StartTwice => "start_twice",
        Meets::Inside => "inside",
    };
    ClockDoc {
        at: change.at,
        before: change.before.to_string(),
        after: change.after.to_string(),
        how,
    }
}

fn remarks(sight: &ForeseenOpening<'_>, zone: &TimeZone) -> Vec<String> {
    let mut remarks = Vec::new();
    if sight.open_already {
        remarks.push("open already".to_owned());
    }
    if sight.begins_late {
        remarks.push("not_before cuts its beginning".to_owned());
    }
    for freeze in &sight.freezes {
        let reason = if freeze.reason().is_empty() {
            String::new()
        } else {
            format!(" ({})", freeze.reason())
        };
        let time = |at: Timestamp| {
            at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
        };
        let (begin, end) = (time(freeze.begin()), time(freeze.end()));
        remarks.push(match () {
            () if sight.frozen => format!("a freeze from {begin} to {end} covers it{reason}"),
            () if freeze.end() == sight.stretch.open => {
                format!("a freeze until {end} cuts its beginning{reason}")
            }
            () => format!("a freeze from {begin} cuts its end{reason}"),
        });
    }
    remarks
        .extend(sight.clocks.iter().map(|change| clock_remark(change, zone, sight.stretch.open)));
    remarks
}

/// A change of clocks in words.
pub(super) fn clock_remark(change: &ClockChange, zone: &TimeZone, open: Timestamp) -> String {
    let shown =
        |offset: jiff::tz::Offset| offset.to_datetime(change.at).strftime("%H:%M").to_string();
    let (before, after) = (shown(change.before), shown(change.after));
    match change.how {
        Meets::StartSkipped => {
            format!("clocks skip {before} to {after}: opens at the first instant after")
        }
        Meets::StartTwice => {
            let start = zone.to_datetime(open).strftime("%H:%M");
            format!("{start} comes twice that night: opens once, at the first")
        }
        Meets::Inside => {
            let way = if change.after > change.before { "forward" } else { "back" };
            format!("clocks go {way} in it, from {before} to {after}")
        }
    }
}

impl ListingRow for WindowRow {
    const COLUMNS: &'static [&'static str] =
        &["OPENS", "NEW WORK UNTIL", "CLOSES", "#LENGTH", "#NEW WORK", "ZONE", "REMARKS"];
    const FIELDS: &'static [&'static str] = &[
        "state",
        "open",
        "cutoff",
        "close",
        "open_local",
        "cutoff_local",
        "close_local",
        "time_zone",
        "utc_offset",
        "length_seconds",
        "new_work_seconds",
        "remarks",
    ];

    fn cells(&self, _: &Style) -> Vec<String> {
        let seconds =
            |n: Option<i64>| n.map_or_else(|| "-".into(), |n| length(SignedDuration::from_secs(n)));
        let until = if self.state == "frozen" { "frozen".into() } else { self.later(self.cutoff) };
        vec![
            self.open
                .to_zoned_datetime(self.zone.clone())
                .strftime("%a %Y-%m-%d %H:%M %:::z")
                .to_string(),
            until,
            self.later(self.close),
            seconds(self.length_seconds),
            seconds(self.new_work_seconds),
            self.time_zone.clone().unwrap_or_else(|| "-".into()),
            self.remarks.join("; "),
        ]
    }

    fn record(&self) -> Vec<String> {
        fn text<T: ToString>(value: Option<T>) -> String {
            value.map(|value| value.to_string()).unwrap_or_default()
        }
        vec![
            self.state.into(),
            self.open.to_string(),
            text(self.cutoff),
            text(self.close),
            self.open_local.clone(),
            text(self.cutoff_local.as_ref()),
            text(self.close_local.as_ref()),
            text(self.time_zone.as_ref()),
            self.utc_offset.clone(),
            text(self.length_seconds),
            text(self.new_work_seconds),
            self.remarks.join("; "),
        ]
    }
}

impl WindowRow {
    /// A later time of the same opening, with as much of date and offset as has changed since.
    fn later(&self, at: Option<Timestamp>) -> String {
        let Some(at) = at else { return "-".into() };
        let (open, at) = (
            self.open.to_zoned_datetime(self.zone.clone()),
            at.to_zoned_datetime(self.zone.clone()),
        );
        let date = match at.date() == open.date() {
            true => "",
            false if at.duration_since(&open) < SignedDuration::from_hours(6 * 24) => "%a ",
            false => "%Y-%m-%d ",
        };
        let seconds = if at.second() == 0 { "" } else { ":%S" };
        let offset = if at.offset() == open.offset() { "" } else { " %:::z" };
        at.strftime(&format!("{date}%H:%M{seconds}{offset}")).to_string()
    }
}

/// The outlook for people: a table, its frozen lines dim, its nights of changing clocks marked.
fn text(document: &WindowsDoc, zone: &TimeZone, style: &Style) -> String {
    let style = Style { now: style.now, zone: zone.clone() };
    let mut text = format!(
        "plan {} revision {}, windows from {}",
        document.plan,
        document.revision,
        style.time(document.from)
    );
    text.push_str(
        &document.until.map_or_else(String::new, |until| format!(" to {}", style.time(until))),
    );
    text.push('\n');
    if let Some(start) = document.not_before.filter(|start| *start > document.from) {
        text.push_str(&format!("nothing begins before {} (not_before)\n", style.time(start)));
    }
    if document.windows.is_empty() {
        let when = if document.until.is_some() { "in that time" } else { "any more" };
        text.push_str(&format!("\nno window opens {when}\n"));
        return clean_lines(&text);
    }
    text.push('\n');
    let cells: Vec<Vec<String>> = document
        .windows
        .iter()
        .map(|row| row.cells(&style).iter().map(|cell| clean(cell)).collect())
        .collect();
    let table = aligned(WindowRow::COLUMNS, true, &cells, &mut Vec::new());
    let mut text = clean_lines(&text);
    for (place, line) in table.lines().enumerate() {
        let row = place.checked_sub(1).and_then(|place| document.windows.get(place));
        let paint = match row {
            None => Paint::new().bold(),
            Some(row) if row.state == "frozen" => Paint::new().dimmed(),
            Some(row) if !row.clock_changes.is_empty() => AnsiColor::Yellow.on_default(),
            Some(_) => Paint::new(),
        };
        text.push_str(&format!("{paint}{line}{paint:#}\n"));
    }
    text.push_str(&format!("\n{}\n", total(document, &style)));
    text
}

fn total(document: &WindowsDoc, style: &Style) -> String {
    let n = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let frozen = document.windows.iter().filter(|row| row.state == "frozen").count();
    let open = n(document.windows.len() - frozen);
    let mut text = count(open, "opening", "openings");
    if let Some(seconds) = document.new_work_seconds {
        text.push_str(&format!(", {} for new work", length(SignedDuration::from_secs(seconds))));
    }
    if frozen > 0 {
        text.push_str(&format!(", and {} that a freeze covers", n(frozen)));
    }
    if let Some(next) = document.windows.iter().find(|row| row.state == "open") {
        let from = if next.open <= style.now {
            "open now".to_owned()
        } else {
            format!("first {}", style.until(next.open))
        };
        text.push_str(&format!("; {from}"));
    }
    if document.more {
        text.push_str("; more follow (--count, --until)");
    }
    text
}
