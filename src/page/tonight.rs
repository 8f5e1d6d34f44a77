//! Tonight on a line: the window that is open or opens next, what the waves did in it and what is
//! expected.

use jiff::{SignedDuration, Timestamp};

use super::draw::{Timeline, TimelineRow, TimelineSpan, timeline};
use super::escape;
use super::moment::ViewClock;
use crate::api::wire::{RolloutDoc, TimelineBin, TimelineDoc};
use crate::domain::count::count;
use crate::domain::plan::Plan;

/// A night that has no end in sight is drawn so far.
const AHEAD: SignedDuration = SignedDuration::from_hours(4);

/// Nor is anything drawn that lies further back.
const BEHIND: SignedDuration = SignedDuration::from_hours(8);

/// Texts below the axis, at most.
const TICKS: i64 = 8;

/// Waves that are drawn around the current one.
const WAVES: usize = 5;

/// The stretch that is drawn.
pub fn stretch(rollout: &RolloutDoc, plan: &Plan, clock: &ViewClock) -> (Timestamp, Timestamp) {
    let now = clock.now;
    let sight = plan.calendar.outlook(now, None, 1).sights.into_iter().next();
    let (open, close) = sight.map_or((now, None), |sight| {
        (sight.stretch.open, sight.stretch.close.or(sight.stretch.cutoff))
    });
    let expected = rollout
        .forecast
        .iter()
        .flat_map(|forecast| forecast.waves.iter().filter_map(|wave| wave.p90.or(wave.p50)));
    let reaches = expected.min().unwrap_or(now + AHEAD);
    let from = open
        .max(now - BEHIND)
        .min(now)
        .max(rollout.submitted_at.min(now))
        .min(now - SignedDuration::from_mins(30));
    let to = close
        .unwrap_or(now + AHEAD)
        .min(now.max(reaches) + AHEAD)
        .max(now + SignedDuration::from_mins(30));
    (from, to)
}

/// The drawing of what was read of that stretch.
pub fn tonight(
    rollout: &RolloutDoc,
    plan: &Plan,
    known: &TimelineDoc,
    clock: &ViewClock,
) -> String {
    let (now, from, to) = (clock.now, known.from, known.to);
    let current = rollout.wave.map_or(0, usize::from);
    let first = current.saturating_sub(1).min(rollout.waves.len().saturating_sub(WAVES));
    let rows =
        rollout.waves.iter().enumerate().skip(first).take(WAVES).map(|(place, wave)| TimelineRow {
            name: format!("{} {}", place + 1, wave.name),
            spans: spans(rollout, place, current, known, clock),
        });
    let rows: Vec<TimelineRow> = rows.collect();
    let open = plan.calendar.openings(from, 4);
    let open = open
        .iter()
        .filter(|stretch| stretch.open < to)
        .map(|stretch| (stretch.open.max(from), stretch.cutoff.unwrap_or(to).min(to)));
    let line = Timeline {
        from,
        to,
        now: Some((now, format!("now {}", clock.minute(now)))),
        ticks: ticks(from, to, clock),
        open: open.collect(),
        rows,
        bins: known.bins.iter().map(counts).collect(),
        bin_seconds: known.bin_seconds.into(),
    };
    let end = rollout.eta.map_or_else(
        || "no end is in sight".to_owned(),
        |eta| format!("it ends {}", clock.short(eta).shown),
    );
    let uncounted = known.known_since.filter(|since| *since > from);
    let uncounted = uncounted.map_or_else(String::new, |since| {
        format!("; what happened before {} was not counted", clock.short(since).shown)
    });
    let paused = u32::try_from(known.pauses.len()).unwrap_or(u32::MAX);
    let paused = match paused {
        0 => String::new(),
        n => format!("; paused {}", count(n, "time", "times")),
    };
    let says = format!(
        "{} of {}; {end}{paused}{uncounted}",
        rollout.tally.settled(),
        count(rollout.tally.total, "change settled", "changes settled")
    );
    timeline(&line, &says)
}

/// What settled in a bin: well, failed, in doubt.
fn counts(bin: &TimelineBin) -> (Timestamp, [u32; 3]) {
    let well = bin.succeeded + bin.reverted + bin.skipped + bin.cancelled;
    (bin.at, [well, bin.failed, bin.in_doubt])
}

fn spans(
    rollout: &RolloutDoc,
    place: usize,
    current: usize,
    known: &TimelineDoc,
    clock: &ViewClock,
) -> Vec<TimelineSpan> {
    let mut spans = Vec::new();
    let (now, to) = (clock.now, known.to);
    let wave = &rollout.waves[place];
    let worked = known.waves.get(place).and_then(|wave| wave.worked_from.zip(wave.worked_to));
    spans.extend(worked.map(|(begun, ended)| TimelineSpan {
        from: begun.max(known.from),
        to: ended.min(now),
        kind: "done",
        label: String::new(),
    }));
    let over = wave.state == "done" && place < current;
    if let Some((begun, ended)) = worked {
        // A wave is at work until now, whatever its last change was.
        let ended = if over { ended } else { now };
        spans.extend(known.pauses.iter().filter_map(|pause| {
            let (from, to) = (pause.from.max(begun), pause.to.unwrap_or(now).min(ended).min(now));
            let (from, to) = (from.max(known.from), to);
            let label = String::new();
            (from < to).then_some(TimelineSpan { from, to, kind: "paused", label })
        }));
    }
    if over {
        return spans;
    }
    if place == current
        && let Some(until) = rollout.paused_until.filter(|until| *until > now)
    {
        spans.push(TimelineSpan {
            from: now,
            to: until.min(to),
            kind: "paused",
            label: format!("pause ends {}", clock.short(until).shown),
        });
    }
    let forecast = rollout
        .forecast
        .as_ref()
        .and_then(|forecast| forecast.waves.iter().find(|one| one.name == wave.name));
    if let Some(forecast) = forecast {
        let begins = forecast.begins.unwrap_or(now).max(now);
        if let Some(half) = forecast.p50.filter(|_| begins < to) {
            let label = format!(
                "{}{}",
                clock.short(half).shown,
                forecast.p90.map_or_else(String::new, |late| format!(
                    ", 9 of 10 by {}",
                    clock.short(late).shown
                ))
            );
            let late = forecast.p90.filter(|late| *late > half && half < to);
            spans.push(TimelineSpan {
                from: begins,
                to: half.min(to),
                kind: "expected",
                label: if late.is_none() { label.clone() } else { String::new() },
            });
            spans.extend(late.map(|late| TimelineSpan {
                from: half,
                to: late.min(to),
                kind: "forecast",
                label,
            }));
        }
    }
    spans
}

/// Instants of an axis from one instant to another, with their texts.
pub fn ticks(from: Timestamp, to: Timestamp, clock: &ViewClock) -> Vec<(Timestamp, String)> {
    let whole = to.duration_since(from).as_secs();
    let step = [300, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400]
        .into_iter()
        .find(|step| whole / step <= TICKS)
        .unwrap_or(172_800);
    let first = from.as_second().div_euclid(step) * step + step;
    let ticks = (0..=TICKS)
        .filter_map(|n| Timestamp::from_second(first + n * step).ok())
        .filter(|at| *at < to);
    ticks.map(|at| (at, if step >= 86_400 { clock.day(at) } else { clock.minute(at) })).collect()
}

/// What stands in its place where the store cannot tell.
pub fn unknown(why: &str) -> String {
    format!("<p class=\"said\" role=\"alert\">It cannot be drawn: {}</p>", escape::text(why))
}
