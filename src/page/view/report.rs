//! The morning's report: what was done, what was not and why, who decided what, and what proves it.
//!
//! Invariant: whatever is not as planned comes first and is complete, or the view says that it is
//! not.

use std::collections::BTreeMap;

use askama::Template;
use jiff::Timestamp;

use super::rollout::held;
use crate::api::wire::{
    ChangeRow, JournalRow, ReportCounts, ReportDoc, RolloutDoc, UnplannedRow, WaveDoc,
};
use crate::api::{Morning, MovedChange, Period};
use crate::domain::count::count;
use crate::domain::nights::Night;
use crate::page::moment::{Moment, ViewClock};
use crate::page::night::drawing;
use crate::page::shell::{Shell, ViewSource};
use crate::page::state::{grouped, of_phase, spoken};
use crate::words::change::explain;
use crate::words::report::left_out;
use crate::words::rollout::phase;
use crate::words::text::seconds;

#[derive(Template)]
#[template(path = "report.html")]
pub struct ReportView {
    shell: Shell,
    rollout: RolloutDoc,
    title: String,
    tone: &'static str,
    phase: String,
    /// When new work could begin.
    windows: String,
    /// The nights before and after this one; their dates and how they are read.
    before: Option<(String, String)>,
    after: Option<(String, String)>,
    done: String,
    left: String,
    figures: Vec<Figure>,
    drawing: String,
    unplanned: Vec<UnplannedLine>,
    /// What is missing in the list.
    more: Option<String>,
    /// Changes that needed more than one switch and came out well.
    again: Option<String>,
    waves: Vec<WaveLine>,
    decisions: Vec<DecisionLine>,
    proven: Vec<(String, &'static str)>,
    versions: Vec<(String, u32)>,
    /// The first and the last entry, and the one before the first.
    entries: Option<(String, String, u64)>,
    count: u64,
    /// What was not read, and how to get it.
    left_out: Option<String>,
    nights: Vec<NightLine>,
    /// Where this report is, for paper.
    address: String,
    may_operate: bool,
    one_night: bool,
}

struct Figure {
    number: String,
    word: &'static str,
    tone: &'static str,
}

struct UnplannedLine {
    row: ChangeRow,
    /// As it was then.
    state: String,
    at: Option<Moment>,
    why: String,
    /// What may be done: the words and the verb.
    next: Option<(&'static str, &'static str)>,
    /// How it stands now, where it has moved since.
    since: Option<String>,
}

struct WaveLine {
    name: String,
    size: u32,
    began: Option<Moment>,
    ended: Option<Moment>,
    well: u32,
    failed: u32,
    in_doubt: u32,
    skipped: u32,
    /// How many are left, and why; `None`: not known of a night that is over.
    rest: Option<(String, String)>,
}

struct DecisionLine {
    at: Moment,
    who: String,
    did: String,
    /// The change that it was about.
    change: Option<(String, String)>,
    why: String,
    seq: u64,
}

struct NightLine {
    date: String,
    named: String,
    /// `None`: not known.
    well: Option<u32>,
    wrong: Option<u32>,
    tone: &'static str,
}

impl ReportView {
    /// The report of one night, or of the whole rollout.
    pub fn new(around: &ViewSource, source: &Morning, host: &str, clock: ViewClock) -> Self {
        let (period, document) = (&source.period, &source.document);
        let rollout = source.rollout.clone();
        let night = source.night.and_then(|place| source.nights.get(place));
        let sums = document.counts;
        let neighbour = |place: Option<usize>| {
            let night = place.and_then(|place| source.nights.get(place))?;
            Some((night.date.to_string(), named(night)))
        };
        // Instants of the night's own day are told by their time alone.
        let then = clock.at(night.map_or(clock.now, Night::opens));
        let title = match night {
            Some(night) if night.windows.iter().all(|window| window.close.is_some()) => {
                format!("The night of {}", named(night))
            }
            Some(night) => named(night),
            None => "The whole rollout".to_owned(),
        };
        let part = night.map(|night| format!("?night={}", night.date)).unwrap_or_default();
        let may = &around.caller.may;
        let latest = night.is_none_or(|night| night.to > clock.now);
        Self {
            tone: of_phase(
                &rollout.phase,
                rollout.paused.is_some(),
                sums.failed + sums.in_doubt > 0,
            ),
            phase: phase(&rollout.phase, rollout.paused.is_some()),
            windows: night.map(|night| windows(night, &clock)).unwrap_or_default(),
            before: neighbour(source.night.and_then(|place| place.checked_sub(1))),
            after: neighbour(source.night.map(|place| place + 1)),
            done: document.text.clone(),
            left: left(&rollout, night.is_some(), latest, sums, &clock),
            figures: figures(&rollout, period, night.is_some(), sums),
            drawing: drawing(&source.stored.plan, night, &source.work, &clock),
            unplanned: document.unplanned.iter().map(|row| line(row, &then)).collect(),
            more: (!document.more.is_empty()).then(|| document.more.join(", ")),
            again: again(period),
            waves: waves(document, &rollout, latest, (&clock, &then)),
            decisions: decisions(document, &then),
            proven: proven(&rollout, period, night.is_some()),
            versions: versions(&rollout, period, night.is_some()),
            entries: period
                .entries
                .map(|(first, last)| (grouped(&first), grouped(&last), first.saturating_sub(1))),
            count: period.count,
            left_out: said_left_out(source, &clock),
            nights: night_lines(source),
            address: format!("{host}/rollouts/{}/report{part}", rollout.id),
            may_operate: may.has(crate::domain::people::Role::Operate),
            one_night: night.is_some(),
            shell: Shell::new(around, "Rollouts", format!("{title}, {}", rollout.name), clock),
            title,
            rollout,
        }
    }
}

/// `Sat 28 Nov`, by the plan's zone, whatever zone the reader has.
fn named(night: &Night) -> String {
    night.date.strftime("%a %-d %b").to_string()
}

fn windows(night: &Night, clock: &ViewClock) -> String {
    let part = |window: &crate::domain::window::Stretch| match window.close {
        Some(close) => format!("{} to {}", clock.minute(window.open), clock.minute(close)),
        None => format!("from {} on", clock.minute(window.open)),
    };
    let parts: Vec<String> = night.windows.iter().take(4).map(part).collect();
    let more = night.windows.len().saturating_sub(parts.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let word = if night.windows.len() == 1 { "window" } else { "windows" };
    if parts.is_empty() {
        "no window".to_owned()
    } else {
        format!("{word} {}{more}", parts.join(", "))
    }
}

/// What is not done, and what comes next.
fn left(
    rollout: &RolloutDoc,
    one_night: bool,
    latest: bool,
    sums: ReportCounts,
    clock: &ViewClock,
) -> String {
    let mut parts = Vec::new();
    let wrong = sums.failed + sums.in_doubt;
    let say = |n: u32, one: &str, more: &str| {
        format!("{} {}", grouped(&n), if n == 1 { one } else { more })
    };
    if wrong > 0 {
        parts.push(say(wrong, "wants a person", "want a person"));
    }
    if sums.left > 0 {
        parts.push(say(sums.left, "was left alone", "were left alone"));
    }
    if sums.moving > 0 {
        let (one, more) = if latest { ("is", "are") } else { ("was", "were") };
        parts.push(say(sums.moving, &format!("{one} on its way"), &format!("{more} on their way")));
    }
    let mut text = if parts.is_empty() { String::new() } else { format!("{}.", parts.join(", ")) };
    let queued = rollout.tally.queued;
    if latest && queued > 0 && !rollout.is_final {
        let hold = rollout.holds.first().map(|hold| format!(" ({})", held(hold, clock)));
        let waits = say(queued, "waits", "wait");
        text.push_str(&format!(" {waits}{}.", hold.unwrap_or_default()));
        if let Some(end) = rollout.eta {
            let late = rollout.forecast.as_ref().and_then(|forecast| forecast.p90);
            let late =
                late.map(|late| format!(", nine times in ten by {}", clock.short(late).shown));
            let end = clock.short(end).shown;
            text.push_str(&format!(" The rollout ends {end}{}.", late.unwrap_or_default()));
        }
    } else if latest && rollout.is_final {
        text.push_str(&format!(" The rollout is {}.", rollout.phase));
    } else if one_night && !latest {
        text.push_str(" How the rollout went on is in the later nights.");
    }
    text.trim().to_owned()
}

fn figures(
    rollout: &RolloutDoc,
    period: &Period,
    one_night: bool,
    sums: ReportCounts,
) -> Vec<Figure> {
    let figure = |number: u32, word, tone| Figure {
        number: grouped(&number),
        word,
        tone: if number > 0 { tone } else { "" },
    };
    let well = if rollout.wire.is_some() { "effective and proven" } else { "effective" };
    let mut figures = vec![
        figure(sums.well, well, ""),
        figure(sums.failed, "failed", "red"),
        figure(sums.in_doubt, "in doubt", "violet"),
        figure(sums.left, "left alone", ""),
    ];
    let again = repeated(period);
    let again = if period.whole {
        figure(again, "sent again, then well", "")
    } else {
        Figure { number: "–".into(), word: "sent again, then well", tone: "" }
    };
    figures.push(again);
    figures.push(if one_night {
        figure(sums.moving, "on their way", "blue")
    } else {
        figure(rollout.tally.queued + rollout.tally.active, "still to do", "blue")
    });
    figures
}

/// Changes that came out well after more than one switch.
fn repeated(period: &Period) -> u32 {
    let again = |change: &&MovedChange| change.switches > 1 && change.state == "succeeded";
    u32::try_from(period.changes.values().filter(again).count()).unwrap_or(u32::MAX)
}

fn again(period: &Period) -> Option<String> {
    let changes = count(repeated(period), "change", "changes");
    let words = "needed more than one switch and came out well";
    (repeated(period) > 0).then(|| format!("{changes} {words}."))
}

fn line(unplanned: &UnplannedRow, clock: &ViewClock) -> UnplannedLine {
    let UnplannedRow { change: row, then } = unplanned;
    let then = then.as_ref();
    let next = match row.state.as_str() {
        _ if then.is_some() => None,
        "failed" => Some(("retry", "retry")),
        "in_doubt" => Some(("name its job", "resolve")),
        _ => None,
    };
    let hold = row.hold.as_ref().map(|hold| held(hold, clock));
    UnplannedLine {
        state: then.map_or_else(|| row.state.clone(), |then| then.state.clone()),
        at: then.map(|then| then.at).or(row.moved_at).map(|at| clock.short(at)),
        why: then.map_or_else(|| explain(&row.facts(hold.as_deref())), |then| then.why.clone()),
        next,
        since: then.map(|_| spoken(&row.state)),
        row: row.clone(),
    }
}

fn waves(
    document: &ReportDoc,
    rollout: &RolloutDoc,
    latest: bool,
    (clock, then): (&ViewClock, &ViewClock),
) -> Vec<WaveLine> {
    let lines = document.waves.iter();
    let lines =
        lines.filter_map(|line| Some((line, rollout.waves.get(usize::from(line.number - 1))?)));
    lines
        .map(|(line, wave)| {
            let over = wave.tally.queued + wave.tally.active == 0;
            WaveLine {
                name: format!("{} {}", line.number, line.name),
                size: line.size,
                began: line.began.map(|at| then.short(at)),
                ended: line.ended.filter(|_| over || !latest).map(|at| then.short(at)),
                well: line.counts.well,
                failed: line.counts.failed,
                in_doubt: line.counts.in_doubt,
                skipped: line.counts.left,
                rest: latest.then(|| rest(rollout, wave, clock)),
            }
        })
        .collect()
}

/// The document's sentence, its instants by the view's clock.
fn said_left_out(source: &Morning, clock: &ViewClock) -> Option<String> {
    let stops = source.document.read_to?;
    let (at, since) = (clock.short(stops.at).shown, stops.at.to_string());
    let counted = source.work.exact > 1;
    Some(left_out(stops.entry, &at, &since, &source.rollout.name, counted))
}

/// How many of a wave are left, and why.
fn rest(rollout: &RolloutDoc, wave: &WaveDoc, clock: &ViewClock) -> (String, String) {
    let left = wave.tally.queued + wave.tally.active;
    let why = match (left, rollout.holds.first()) {
        (0, _) => "nothing is left".to_owned(),
        (_, Some(hold)) => held(hold, clock),
        (_, None) if wave.state == "waiting" && wave.soak_seconds > 0 => {
            format!("the wave before it, then {} of soak", seconds(wave.soak_seconds))
        }
        (_, None) if wave.state == "waiting" => "the wave before it".to_owned(),
        (_, None) => "it is at work".to_owned(),
    };
    (grouped(&left), why)
}

fn decisions(document: &ReportDoc, clock: &ViewClock) -> Vec<DecisionLine> {
    let all = document.decisions.iter();
    all.map(|decided| decision(&decided.entry, decided.more, clock)).collect()
}

/// What somebody did, its instant by the view's clock.
fn shown(did: &str, clock: &ViewClock) -> String {
    let instant = did.rsplit_once(' ').and_then(|(words, at)| Some((words, at.parse().ok()?)));
    instant.map_or_else(
        || did.to_owned(),
        |(words, at): (&str, Timestamp)| format!("{words} {}", clock.short(at).shown),
    )
}

/// The journal's `paused by ada: lunch` as who, what and why.
fn decision(row: &JournalRow, more: u32, clock: &ViewClock) -> DecisionLine {
    let parts = row.by.as_ref().and_then(|by| row.why.split_once(&format!(" by {by}")));
    let (did, why) = match parts {
        Some((did, rest)) => {
            (shown(did, clock), rest.trim_start_matches([':', ';', ' ']).to_owned())
        }
        None if row.kind == "submitted" => ("submitted".to_owned(), row.why.clone()),
        None => (spoken(&row.to), row.why.clone()),
    };
    let more = if more > 0 { format!(", and of {} more", grouped(&more)) } else { String::new() };
    let change = row.ordinal.zip(row.proxy_id.as_ref()).map(|(ordinal, proxy)| {
        let head = crate::page::shell::head(proxy);
        (format!("{head}{more}"), format!("/rollouts/{}/changes/{ordinal}", row.rollout))
    });
    DecisionLine {
        at: clock.short(row.at),
        who: row.by.clone().unwrap_or_else(|| "Sealift".to_owned()),
        did,
        change,
        why,
        seq: row.seq,
    }
}

fn proven(rollout: &RolloutDoc, period: &Period, one_night: bool) -> Vec<(String, &'static str)> {
    if !one_night {
        return super::rollout::proven(rollout);
    }
    let counted = |has: fn(&MovedChange) -> bool| {
        if !period.whole {
            return "–".to_owned();
        }
        let n = period.changes.values().filter(|change| has(change)).count();
        grouped(&u32::try_from(n).unwrap_or(u32::MAX))
    };
    let mut steps = vec![
        (counted(|change| change.accepted), "accepted"),
        (counted(|change| change.completed), "job done"),
        (counted(|change| matches!(change.state.as_str(), "succeeded" | "reverted")), "effective"),
    ];
    if rollout.wire.is_some() {
        steps.push((counted(|change| change.proven.is_some()), "proven"));
    }
    steps
}

fn versions(rollout: &RolloutDoc, period: &Period, one_night: bool) -> Vec<(String, u32)> {
    let mut versions: BTreeMap<String, u32> = BTreeMap::new();
    if one_night && period.whole {
        for version in period.changes.values().filter_map(|change| change.proven) {
            *versions.entry(format!("TLS {version}")).or_default() += 1;
        }
    } else if !one_night
        && let Some(counted) = rollout.wire.as_ref().and_then(|wire| wire.versions.as_ref())
    {
        let word = |version: &String| super::rollout::version_word(version);
        versions.extend(counted.iter().map(|(version, n)| (word(version), *n)));
    }
    versions.into_iter().rev().collect()
}

fn night_lines(source: &Morning) -> Vec<NightLine> {
    let nights = source.nights.iter().zip(&source.document.nights).rev();
    nights
        .map(|(night, counted)| NightLine {
            date: counted.date.clone(),
            named: named(night),
            well: counted.well,
            wrong: counted.wrong,
            tone: if counted.wrong > Some(0) { " wrong" } else { "" },
        })
        .collect()
}
