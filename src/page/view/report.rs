//! The morning's report: what was done, what was not and why, who decided what, and what proves it.
//!
//! Invariant: whatever is not as planned comes first and is complete, or the view says that it is
//! not.

use std::collections::BTreeMap;

use askama::Template;
use jiff::Timestamp;

use super::rollout::held;
use crate::api::wire::{ChangeRow, JournalRow, RolloutDoc, TallyDoc, WaveDoc};
use crate::api::{MovedChange, Period, SettleKind};
use crate::domain::count::count;
use crate::domain::nights::Night;
use crate::domain::plan::Plan;
use crate::page::moment::{Moment, ViewClock};
use crate::page::night::{drawing, wave_of};
use crate::page::shell::{Shell, ViewSource};
use crate::page::state::{grouped, of_phase, spoken};
use crate::words::change::explain;
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
    whole: bool,
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
    well: u32,
    wrong: u32,
}

/// What a report is made from.
pub struct ReportSource {
    pub plan: std::sync::Arc<Plan>,
    /// All of them, up to now.
    pub nights: Vec<Night>,
    /// The one that is asked for; `None`: all.
    pub night: Option<usize>,
    pub period: Period,
    /// What is not as planned, failures first, with how it stood then, where it has moved since.
    pub unplanned: Vec<(ChangeRow, Option<MovedChange>)>,
    /// The words of the states of which there are more.
    pub more: Vec<&'static str>,
    /// The host by which the reader came.
    pub host: String,
}

/// Counts of changes by how they came out.
#[derive(Debug, Clone, Copy, Default)]
struct ReportSums {
    well: u32,
    failed: u32,
    in_doubt: u32,
    left: u32,
    moving: u32,
}

impl ReportSums {
    fn of<'a>(changes: impl IntoIterator<Item = &'a MovedChange>) -> Self {
        let mut sums = Self::default();
        for change in changes {
            match change.state.as_str() {
                "succeeded" | "reverted" => sums.well += 1,
                "failed" => sums.failed += 1,
                "in_doubt" => sums.in_doubt += 1,
                "skipped" | "cancelled" => sums.left += 1,
                "queued" => {}
                _ => sums.moving += 1,
            }
        }
        sums
    }

    fn whole(tally: &TallyDoc) -> Self {
        Self {
            well: tally.succeeded + tally.reverted,
            failed: tally.failed,
            in_doubt: tally.in_doubt,
            left: tally.skipped + tally.cancelled,
            moving: tally.active,
        }
    }

    fn begun(self) -> u32 {
        self.well + self.failed + self.in_doubt + self.left + self.moving
    }
}

impl ReportView {
    /// The report of one night, or of the whole rollout.
    pub fn new(
        around: &ViewSource,
        rollout: RolloutDoc,
        source: &ReportSource,
        clock: ViewClock,
    ) -> Self {
        let period = &source.period;
        let night = source.night.and_then(|place| source.nights.get(place));
        let sums = match night {
            Some(_) => ReportSums::of(period.changes.values()),
            None => ReportSums::whole(&rollout.tally),
        };
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
            done: done(&rollout, night.is_some(), sums),
            left: left(&rollout, night.is_some(), latest, sums, &clock),
            figures: figures(&rollout, period, night.is_some(), sums),
            drawing: drawing(&source.plan, night, period, &clock),
            unplanned: source
                .unplanned
                .iter()
                .map(|(row, moved)| line(row, moved.as_ref(), &then))
                .collect(),
            more: (!source.more.is_empty()).then(|| source.more.join(", ")),
            again: again(period),
            waves: waves(&source.plan, &rollout, period, night.is_some(), latest, (&clock, &then)),
            decisions: decisions(period, &then),
            proven: proven(&rollout, period, night.is_some()),
            versions: versions(&rollout, period, night.is_some()),
            entries: period
                .entries
                .map(|(first, last)| (grouped(&first), grouped(&last), first.saturating_sub(1))),
            count: period.count,
            whole: period.whole,
            nights: night_lines(source),
            address: format!("{}/rollouts/{}/report{part}", source.host, rollout.id),
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

/// The first sentence.
fn done(rollout: &RolloutDoc, one_night: bool, sums: ReportSums) -> String {
    let whole = if one_night { sums.begun() } else { rollout.tally.total };
    if whole == 0 {
        return "Nothing was begun.".to_owned();
    }
    let how = match (&rollout.wire, sums.well) {
        (_, 0) => "",
        (Some(_), 1) => ", proven on the wire",
        (Some(_), _) => ", each proven on the wire",
        (None, 1) => ", as the API shows",
        (None, _) => ", each as the API shows",
    };
    let begun = if one_night { " that began" } else { "" };
    let are = if sums.well == 1 { "is" } else { "are" };
    let changes =
        count(whole, "change", "changes").replacen(&whole.to_string(), &grouped(&whole), 1);
    format!("{} of {changes}{begun} {are} done{how}.", grouped(&sums.well))
}

/// What is not done, and what comes next.
fn left(
    rollout: &RolloutDoc,
    one_night: bool,
    latest: bool,
    sums: ReportSums,
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
    sums: ReportSums,
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
    let known = one_night || period.whole;
    let again = repeated(period);
    let again = if known {
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

fn line(row: &ChangeRow, then: Option<&MovedChange>, clock: &ViewClock) -> UnplannedLine {
    let next = match row.state.as_str() {
        _ if then.is_some() => None,
        "failed" => Some(("retry", "retry")),
        "in_doubt" => Some(("name its job", "resolve")),
        _ => None,
    };
    let hold = row.hold.as_ref().map(|hold| held(hold, clock));
    UnplannedLine {
        state: then.map_or_else(|| row.state.clone(), |then| then.state.clone()),
        at: then.map(|then| then.last).or(row.moved_at).map(|at| clock.short(at)),
        why: then.map_or_else(|| explain(&row.facts(hold.as_deref())), |then| then.why.clone()),
        next,
        since: then.map(|_| spoken(&row.state)),
        row: row.clone(),
    }
}

fn waves(
    plan: &Plan,
    rollout: &RolloutDoc,
    period: &Period,
    one_night: bool,
    latest: bool,
    (clock, then): (&ViewClock, &ViewClock),
) -> Vec<WaveLine> {
    let mut moved: BTreeMap<usize, Vec<&MovedChange>> = BTreeMap::new();
    for (ordinal, change) in &period.changes {
        moved.entry(wave_of(plan, *ordinal)).or_default().push(change);
    }
    let known = |place: &usize| !one_night || moved.contains_key(place);
    let lines = rollout.waves.iter().enumerate().filter(|(place, _)| known(place));
    lines
        .map(|(place, wave)| {
            let changes = moved.get(&place).map_or(&[][..], Vec::as_slice);
            let begun = changes.iter().filter(|change| change.state != "queued");
            let began = begun.clone().map(|change| change.first).min();
            let ended = begun.map(|change| change.last).max();
            let over = wave.tally.queued + wave.tally.active == 0;
            let sums = if one_night {
                ReportSums::of(changes.iter().copied())
            } else {
                ReportSums::whole(&wave.tally)
            };
            WaveLine {
                name: format!("{} {}", place + 1, wave.name),
                size: wave.size,
                began: began.map(|at| then.short(at)),
                ended: ended.filter(|_| over || !latest).map(|at| then.short(at)),
                well: sums.well,
                failed: sums.failed,
                in_doubt: sums.in_doubt,
                skipped: sums.left,
                rest: latest.then(|| rest(rollout, wave, clock)),
            }
        })
        .collect()
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

fn decisions(period: &Period, clock: &ViewClock) -> Vec<DecisionLine> {
    let by_people = period.decisions.iter().map(|(row, more)| decision(row, *more, clock));
    let guards = period.guards.iter().map(|row| decision(row, 0, clock));
    let mut lines: Vec<DecisionLine> = by_people.chain(guards).collect();
    lines.sort_by_key(|line| line.seq);
    lines
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
    if one_night {
        for version in period.changes.values().filter_map(|change| change.proven) {
            *versions.entry(format!("TLS {version}")).or_default() += 1;
        }
    } else if let Some(counted) = rollout.wire.as_ref().and_then(|wire| wire.versions.as_ref()) {
        let word = |version: &String| super::rollout::version_word(version);
        versions.extend(counted.iter().map(|(version, n)| (word(version), *n)));
    }
    versions.into_iter().rev().collect()
}

fn night_lines(source: &ReportSource) -> Vec<NightLine> {
    let lines = source.nights.iter().rev().map(|night| {
        let within = |at: Timestamp| night.from <= at && at < night.to;
        let settles = source.period.settles.iter().filter(|(at, ..)| within(*at));
        let count = |wanted: &[SettleKind]| {
            let n = settles.clone().filter(|(.., outcome)| wanted.contains(outcome)).count();
            u32::try_from(n).unwrap_or(u32::MAX)
        };
        NightLine {
            date: night.date.to_string(),
            named: named(night),
            well: count(&[SettleKind::Well]),
            wrong: count(&[SettleKind::Failed, SettleKind::InDoubt]),
        }
    });
    lines.collect()
}
