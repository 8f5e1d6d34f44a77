//! One night drawn: its windows, what each wave did in it, pauses, and what settled when.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::draw::{Timeline, TimelineRow, TimelineSpan, timeline};
use super::moment::ViewClock;
use super::tonight::ticks;
use crate::api::NightWork;
use crate::domain::count::count;
use crate::domain::nights::Night;
use crate::domain::plan::Plan;

/// Bars of a drawing at most; a longer night has wider ones.
const BARS: i64 = 96;

/// How far a drawing goes on behind the last thing that happened.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// The drawing; empty where nothing happened, and for several nights at once.
pub fn drawing(plan: &Plan, night: Option<&Night>, work: &NightWork, clock: &ViewClock) -> String {
    let Some(night) = night else { return String::new() };
    let first = work.waves.values().map(|wave| wave.began).min();
    let last = work.waves.values().map(|wave| wave.ended).max();
    let (Some(first), Some(last)) = (first, last) else { return String::new() };
    let shuts = night.windows.iter().filter_map(|window| window.close).max();
    let from = night.opens().min(first);
    let to = shuts.unwrap_or(last).max(last + MARGIN).min(clock.now.max(last) + MARGIN);
    let step = [10, 30, 60, 300, 900, 1800, 3600, 7200, 14_400];
    let seconds = to.duration_since(from).as_secs();
    let step = step.into_iter().find(|step| *step >= work.exact && seconds / step <= BARS);
    let step = step.unwrap_or(86_400);
    let mut bins: BTreeMap<i64, [u32; 3]> = BTreeMap::new();
    for (at, counts) in &work.settles {
        let sums = bins.entry(at.as_second().div_euclid(step) * step).or_default();
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    let settled: u32 =
        work.waves.values().map(|wave| wave.counts.begun() - wave.counts.moving).sum();
    let bins = bins
        .into_iter()
        .filter_map(|(at, counts)| Some((Timestamp::from_second(at).ok()?.max(from), counts)));
    let rows = work.waves.iter().map(|(place, wave)| {
        let (begins, ends) = (wave.began, wave.ended);
        let span = |from, to, kind, label| TimelineSpan { from, to, kind, label };
        let label = format!("{}, {}", wave.counts.begun(), clock.minute(ends));
        let mut spans = vec![span(begins, ends, "done", label)];
        for (since, until) in &work.pauses {
            let (since, until) = (begins.max(*since), until.unwrap_or(to).min(ends));
            if since < until {
                spans.push(span(since, until, "paused", String::new()));
            }
        }
        let name = plan.strategy.waves.get(*place).map_or("", |wave| wave.name.as_str());
        TimelineRow { name: format!("{} {name}", place + 1), spans }
    });
    let open = night
        .windows
        .iter()
        .map(|window| (window.open.max(from), window.cutoff.unwrap_or(to).min(to)));
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
