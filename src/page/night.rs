//! One night drawn: its windows, what each wave did in it, pauses, and what settled when.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::draw::{Timeline, TimelineRow, TimelineSpan, timeline};
use super::moment::ViewClock;
use super::tonight::ticks;
use crate::api::{Period, SettleKind};
use crate::domain::count::count;
use crate::domain::nights::Night;
use crate::domain::plan::Plan;

/// Bars of a drawing at most; a longer night has wider ones.
const BARS: i64 = 96;

/// How far a drawing goes on behind the last thing that happened.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// The wave of a change.
pub fn wave_of(plan: &Plan, ordinal: u32) -> usize {
    let waves = &plan.strategy.waves;
    waves
        .partition_point(|wave| wave.first + wave.size <= ordinal)
        .min(waves.len().saturating_sub(1))
}

/// The drawing; empty where nothing happened, and for several nights at once.
pub fn drawing(plan: &Plan, night: Option<&Night>, period: &Period, clock: &ViewClock) -> String {
    let Some(night) = night else { return String::new() };
    let moved = period.changes.values();
    let first = moved.clone().map(|change| change.first).min();
    let last = moved.map(|change| change.last).max();
    let (Some(first), Some(last)) = (first, last) else { return String::new() };
    let shuts = night.windows.iter().filter_map(|window| window.close).max();
    let from = night.opens().min(first);
    let to = shuts.unwrap_or(last).max(last + MARGIN).min(clock.now.max(last) + MARGIN);
    let step = [10, 30, 60, 300, 900, 1800, 3600, 7200, 14_400];
    let seconds = to.duration_since(from).as_secs();
    let step = step.into_iter().find(|step| seconds / step <= BARS).unwrap_or(86_400);
    let mut bins: BTreeMap<i64, [u32; 3]> = BTreeMap::new();
    for (at, _, outcome) in &period.settles {
        let counts = bins.entry(at.as_second().div_euclid(step) * step).or_default();
        match outcome {
            SettleKind::Well => counts[0] += 1,
            SettleKind::Failed => counts[1] += 1,
            SettleKind::InDoubt => counts[2] += 1,
            SettleKind::Left => {}
        }
    }
    let bins = bins
        .into_iter()
        .filter_map(|(at, counts)| Some((Timestamp::from_second(at).ok()?.max(from), counts)));
    let mut waves: BTreeMap<usize, (Timestamp, Timestamp, u32)> = BTreeMap::new();
    for (ordinal, change) in period.changes.iter().filter(|(_, change)| change.state != "queued") {
        let wave = waves.entry(wave_of(plan, *ordinal)).or_insert((change.first, change.last, 0));
        *wave = (wave.0.min(change.first), wave.1.max(change.last), wave.2 + 1);
    }
    let rows = waves.into_iter().map(|(place, (begins, ends, moved))| {
        let span = |from, to, kind, label| TimelineSpan { from, to, kind, label };
        let label = format!("{moved}, {}", clock.minute(ends));
        let mut spans = vec![span(begins, ends, "done", label)];
        for (since, until) in &period.pauses {
            let (since, until) = (begins.max(*since), until.unwrap_or(to).min(ends));
            if since < until {
                spans.push(span(since, until, "paused", String::new()));
            }
        }
        let name = plan.strategy.waves.get(place).map_or("", |wave| wave.name.as_str());
        TimelineRow { name: format!("{} {name}", place + 1), spans }
    });
    let open = night
        .windows
        .iter()
        .map(|window| (window.open.max(from), window.cutoff.unwrap_or(to).min(to)));
    let settled = u32::try_from(period.settles.len()).unwrap_or(u32::MAX);
    let says = format!(
        "{} between {} and {}",
        count(settled, "change settled", "changes settled"),
        clock.short(first).shown,
        clock.short(last).shown,
    );
    let line = Timeline {
        from,
        to,
        now: None,
        ticks: ticks(from, to, clock),
        open: open.filter(|(from, to)| from < to).collect(),
        rows: rows.collect(),
        bins: bins.collect(),
        bin_seconds: step,
    };
    timeline(&line, &says)
}
