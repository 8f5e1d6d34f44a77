//! The morning's report as a document: one night of a rollout, or all of it.
//!
//! Invariant: it costs a bounded number of reads; where the journal is longer than that, what
//! settled is taken from the counters of five minutes, and the document says what is left out.
//!
//! Deliberately not here: the walk (`report`), and how a report looks (`page`).

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::fault::ApiError;
use super::report::{MovedChange, Period, SettleKind};
use super::timeline::zone;
use super::wire::{
    PauseSpan, ReadTo, ReportCounts, ReportDecision, ReportDoc, ReportEntries, ReportNight,
    ReportWave, RolloutDoc, StoodThen, TallyDoc, UnplannedRow,
};
use crate::domain::nights::{Night, nights};
use crate::store::Rollout;
use crate::store::bins::{Activity, BIN, BinCounts};
use crate::words::report::{done, left_out};

/// Outcomes that no plan wants, the gravest first.
const UNPLANNED: [&str; 3] = ["failed", "in_doubt", "skipped"];

/// Changes that were not as planned and have moved since, at most: each is read for itself.
const SINCE_MAX: usize = 200;

/// Nights that are named to somebody who asked for another.
const NAMED_MAX: usize = 7;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReportQuery {
    /// The date of a night, as `nights` lists it; absent: the whole rollout.
    night: Option<String>,
}

/// A report, with what it was made from.
#[derive(Debug)]
pub struct Morning {
    pub stored: Rollout,
    pub rollout: RolloutDoc,
    /// All nights up to now.
    pub nights: Vec<Night>,
    /// The one that is asked for; `None`: all.
    pub night: Option<usize>,
    pub period: Period,
    pub work: NightWork,
    pub document: ReportDoc,
}

/// What was done when.
#[derive(Debug, Clone, Default)]
pub struct NightWork {
    /// By the place of the wave in the plan.
    pub waves: BTreeMap<usize, WaveWork>,
    /// When changes settled: well, failed, in doubt.
    pub settles: Vec<(Timestamp, [u32; 3])>,
    /// Seconds to which that is exact.
    pub exact: i64,
    /// When it was paused and when it went on; `None`: it still was at the end.
    pub pauses: Vec<(Timestamp, Option<Timestamp>)>,
}

/// What one wave did, and when.
#[derive(Debug, Clone, Copy)]
pub struct WaveWork {
    pub began: Timestamp,
    pub ended: Timestamp,
    pub counts: ReportCounts,
}

impl Api {
    pub(super) async fn report_asked(
        &self,
        reference: &str,
        asked: ReportQuery,
    ) -> Result<ReportDoc, ApiError> {
        Ok(self.morning(reference, asked.night.as_deref()).await?.document)
    }

    /// The report of a rollout, or of the night of this date.
    pub async fn morning(&self, reference: &str, asked: Option<&str>) -> Result<Morning, ApiError> {
        let (stored, rollout) = self.rollout(reference).await?;
        let now = rollout.as_of;
        let nights = nights(&stored.plan.calendar, &zone(&stored.plan), stored.submitted_at, now);
        let night = asked.map(|asked| place(&nights, asked)).transpose()?;
        let within = night.and_then(|place| nights.get(place));
        let span = within.map_or((stored.submitted_at, Timestamp::MAX), |n| (n.from, n.to));
        let period = self.period(&stored, span.0, span.1).await?;
        let until = span.1.min(now);
        let counted = match period.whole {
            true => None,
            false => Some(self.store.activity(stored.id, span.0, until).await?),
        };
        // Bins that do not reach back to the beginning say less than what was read.
        let counted = counted.filter(|known| known.since.is_none_or(|since| since <= span.0));
        let work = match &counted {
            Some(activity) => NightWork::counted(activity, &stored),
            None => NightWork::read(&period, &stored),
        };
        let (unplanned, more) = self.unplanned(&stored, &period, span).await?;
        let counts = match within {
            None => of_tally(&rollout.tally),
            Some(_) => work.sum(),
        };
        let whole = if within.is_some() { counts.begun() } else { rollout.tally.total };
        let stops = period.read_to.filter(|_| !period.whole);
        let left_out = stops.map(|(entry, at)| {
            let (at, name) = (at.to_string(), stored.plan.name.as_str());
            left_out(entry, &at, &at, name, counted.is_some())
        });
        let read = stops.filter(|_| counted.is_none()).map(|(_, at)| at);
        let document = ReportDoc {
            id: rollout.id.clone(),
            name: rollout.name.clone(),
            revision: rollout.revision,
            night: within.map(|night| night.date.to_string()),
            text: done(counts.well, whole, rollout.wire.is_some(), within.is_some()),
            counts,
            unplanned,
            more,
            waves: waves(&rollout, &work, within.is_some()),
            decisions: decisions(&period),
            pauses: work.pauses.iter().map(|(from, to)| pause(*from, *to)).collect(),
            entries: period.entries.map(|(first, last)| ReportEntries {
                first,
                last,
                count: period.count,
            }),
            read_to: stops.map(|(entry, at)| ReadTo { entry, at }),
            left_out,
            nights: nights.iter().map(|night| told(night, &work, within, read)).collect(),
            as_of: now,
        };
        Ok(Morning { stored, rollout, nights, night, period, work, document })
    }

    /// What came out otherwise than planned, with how it stood where it has moved since; and the
    /// words of which there is more.
    async fn unplanned(
        &self,
        stored: &Rollout,
        period: &Period,
        span: (Timestamp, Timestamp),
    ) -> Result<(Vec<UnplannedRow>, Vec<String>), ApiError> {
        let (mut rows, mut more) = (Vec::new(), Vec::new());
        for word in UNPLANNED {
            let (found, rest) = self.came_to(stored, word, span).await?;
            rows.extend(found.into_iter().map(|change| UnplannedRow { change, then: None }));
            more.extend(rest.then(|| word.to_owned()));
        }
        let listed: BTreeSet<u32> = rows.iter().map(|row| row.change.ordinal).collect();
        let wrong = period.changes.iter().filter(|(ordinal, change)| {
            UNPLANNED.contains(&change.state.as_str()) && !listed.contains(ordinal)
        });
        for (ordinal, moved) in wrong.take(SINCE_MAX) {
            if let Some(change) = self.change_row(stored, *ordinal).await? {
                let MovedChange { state, last: at, why, .. } = moved.clone();
                rows.push(UnplannedRow { change, then: Some(StoodThen { state, at, why }) });
            }
        }
        Ok((rows, more))
    }
}

/// The place of the night of this date.
fn place(nights: &[Night], asked: &str) -> Result<usize, ApiError> {
    let found = nights.iter().position(|night| night.date.to_string() == asked);
    found.ok_or_else(|| {
        let known: Vec<String> =
            nights.iter().rev().take(NAMED_MAX).map(|night| night.date.to_string()).collect();
        let asked = asked.escape_debug();
        ApiError::new(
            StatusCode::NOT_FOUND,
            format!("there is no night `{asked}`; its latest are {}", known.join(", ")),
        )
    })
}

impl NightWork {
    /// As the journal tells it.
    fn read(period: &Period, rollout: &Rollout) -> Self {
        let mut waves: BTreeMap<usize, WaveWork> = BTreeMap::new();
        for (ordinal, change) in &period.changes {
            let place = usize::from(rollout.plan.strategy.wave_of(*ordinal));
            let (began, ended) = (change.first, change.last);
            let none = WaveWork { began, ended, counts: ReportCounts::default() };
            if change.state == "queued" {
                continue;
            }
            let wave = waves.entry(place).or_insert(none);
            (wave.began, wave.ended) = (wave.began.min(began), wave.ended.max(ended));
            wave.counts.add(&change.state);
        }
        let settles = period.settles.iter().map(|(at, _, outcome)| {
            let counts = match outcome {
                SettleKind::Well => [1, 0, 0],
                SettleKind::Failed => [0, 1, 0],
                SettleKind::InDoubt => [0, 0, 1],
                SettleKind::Left => [0, 0, 0],
            };
            (*at, counts)
        });
        Self { waves, settles: settles.collect(), exact: 1, pauses: period.pauses.clone() }
    }

    /// As the counters of five minutes tell it; what is on its way is told of the latest night
    /// alone, by the rollout.
    fn counted(activity: &Activity, rollout: &Rollout) -> Self {
        let mut waves: BTreeMap<usize, WaveWork> = BTreeMap::new();
        let mut settles = Vec::new();
        for bin in &activity.bins {
            let ended = bin.at.checked_add(BIN).unwrap_or(bin.at);
            // The first five minutes begin before the rollout, and so before its first night.
            let began = bin.at.max(rollout.submitted_at);
            let none = WaveWork { began, ended, counts: ReportCounts::default() };
            let wave = waves.entry(usize::from(bin.wave)).or_insert(none);
            wave.ended = wave.ended.max(ended);
            let BinCounts { succeeded, failed, in_doubt, cancelled, reverted, skipped, .. } =
                bin.counts;
            wave.counts.well += succeeded + reverted;
            wave.counts.failed += failed;
            wave.counts.in_doubt += in_doubt;
            wave.counts.left += skipped + cancelled;
            settles.push((began, [succeeded + reverted, failed, in_doubt]));
        }
        let over = activity.pauses.iter().map(|(from, to)| (*from, Some(*to)));
        let stands = rollout.record.paused.iter().map(|mark| (mark.at, None));
        Self { waves, settles, exact: BIN.as_secs(), pauses: over.chain(stands).collect() }
    }

    /// Over all waves.
    fn sum(&self) -> ReportCounts {
        let mut sum = ReportCounts::default();
        for WaveWork { counts, .. } in self.waves.values() {
            sum.well += counts.well;
            sum.failed += counts.failed;
            sum.in_doubt += counts.in_doubt;
            sum.left += counts.left;
            sum.moving += counts.moving;
        }
        sum
    }
}

impl ReportCounts {
    /// One more change in this state.
    fn add(&mut self, state: &str) {
        match state {
            "succeeded" | "reverted" => self.well += 1,
            "failed" => self.failed += 1,
            "in_doubt" => self.in_doubt += 1,
            "skipped" | "cancelled" => self.left += 1,
            "queued" => {}
            _ => self.moving += 1,
        }
    }
}

fn of_tally(tally: &TallyDoc) -> ReportCounts {
    ReportCounts {
        well: tally.succeeded + tally.reverted,
        failed: tally.failed,
        in_doubt: tally.in_doubt,
        left: tally.skipped + tally.cancelled,
        moving: tally.active,
    }
}

/// Of one night the waves that did something; of the whole rollout all.
fn waves(rollout: &RolloutDoc, work: &NightWork, one_night: bool) -> Vec<ReportWave> {
    let waves = rollout.waves.iter().zip(1_u16..);
    let waves =
        waves.map(|(wave, number)| (wave, number, work.waves.get(&usize::from(number - 1))));
    let waves = waves.filter(|(.., did)| !one_night || did.is_some());
    waves
        .map(|(wave, number, did)| ReportWave {
            number,
            name: wave.name.clone(),
            size: wave.size,
            counts: match did.filter(|_| one_night) {
                Some(did) => did.counts,
                None => of_tally(&wave.tally),
            },
            began: did.map(|did| did.began),
            ended: did.map(|did| did.ended),
        })
        .collect()
}

fn decisions(period: &Period) -> Vec<ReportDecision> {
    let by_people = period.decisions.iter().map(|(row, more)| (row, *more));
    let guards = period.guards.iter().map(|row| (row, 0));
    let mut all: Vec<ReportDecision> = by_people
        .chain(guards)
        .map(|(entry, more)| ReportDecision { entry: entry.clone(), more })
        .collect();
    all.sort_by_key(|decision| decision.entry.seq);
    all
}

fn pause(from: Timestamp, to: Option<Timestamp>) -> PauseSpan {
    PauseSpan { from, to, by: None, reason: String::new() }
}

/// A night with what settled in it, where the report reaches to its end. `read`: up to when the
/// journal was read, where nothing else tells.
fn told(
    night: &Night,
    work: &NightWork,
    asked: Option<&Night>,
    read: Option<Timestamp>,
) -> ReportNight {
    let within = |at: Timestamp| night.from <= at && at < night.to;
    let mut sums = [0; 3];
    for (_, counts) in work.settles.iter().filter(|(at, _)| within(*at)) {
        for (sum, count) in sums.iter_mut().zip(counts) {
            *sum += count;
        }
    }
    let known =
        asked.is_none_or(|asked| asked == night) && read.is_none_or(|read| night.to <= read);
    ReportNight {
        date: night.date.to_string(),
        from: night.from,
        to: night.to,
        well: known.then_some(sums[0]),
        wrong: known.then_some(sums[1] + sums[2]),
    }
}
