//! One rollout on a time line: what happened by the store's bins, and what the forecast and the
//! calendar expect.
//!
//! Invariant: nothing of the journal is read; what was not counted is told as not known, and never
//! as zero.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use utoipa::IntoParams;

use super::fault::ApiError;
use super::wire::{OpeningRow, PauseSpan, RolloutDoc, TimelineBin, TimelineDoc, WaveSpan};
use super::{Api, describe};
use crate::domain::plan::Plan;
use crate::store::Rollout;
use crate::store::bins::{Activity, BIN, BinCounts};

/// A time line that does not say where it ends looks so far ahead at most.
const AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// And so far back.
const BEHIND: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Longest stretch of one time line: a quarter of a year.
const LONGEST: SignedDuration = SignedDuration::from_hours(92 * 24);

/// Openings told of it.
const OPENINGS_MAX: usize = 100;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TimelineQuery {
    /// Where it begins; if it is not given, where the rollout did, a week ago at the earliest.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Where it ends; if it is not given, where nine of ten runs of the forecast have ended, a day
    /// ahead at the latest.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

impl Api {
    pub(super) async fn timeline_asked(
        &self,
        reference: &str,
        asked: TimelineQuery,
    ) -> Result<TimelineDoc, ApiError> {
        let (rollout, document) = self.rollout(reference).await?;
        let now = document.as_of;
        let latest = if document.is_final { document.moved_at } else { now };
        let back = latest.checked_sub(BEHIND).unwrap_or(Timestamp::MIN);
        let from = asked.from.unwrap_or_else(|| rollout.submitted_at.max(back));
        let end = if document.is_final {
            document.moved_at.max(from.saturating_add(BIN).unwrap_or(Timestamp::MAX))
        } else {
            now.checked_add(AHEAD).unwrap_or(Timestamp::MAX)
        };
        let expected =
            document.forecast.as_ref().and_then(|forecast| forecast.p90.or(forecast.p50));
        let to =
            asked.to.unwrap_or_else(|| expected.map_or(end, |expected| expected.max(now).min(end)));
        if to <= from || to.duration_since(from) > LONGEST {
            let days = LONGEST.as_hours() / 24;
            return Err(ApiError::bad(format!(
                "`to` must lie behind `from`, and {days} days at most"
            )));
        }
        self.timeline(&rollout, &document, from, to).await
    }

    /// What happened to a rollout, and what is expected of it, from `from` to `to`.
    pub async fn timeline(
        &self,
        rollout: &Rollout,
        document: &RolloutDoc,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<TimelineDoc, ApiError> {
        let activity = self.store.activity(rollout.id, from, to).await?;
        Ok(TimelineDoc {
            id: rollout.id.to_string(),
            name: rollout.plan.name.to_string(),
            from,
            to,
            bin_seconds: u32::try_from(BIN.as_secs()).unwrap_or(u32::MAX),
            known_since: activity.since,
            bins: bins(&activity),
            waves: waves(rollout, document, &activity),
            pauses: pauses(rollout, &activity),
            openings: openings(rollout, document, from, to),
            time_zone: describe::time_zone(&rollout.plan),
            as_of: document.as_of,
        })
    }
}

/// The zone of a plan's first window; without one the machine's.
pub(super) fn zone(plan: &Plan) -> TimeZone {
    let named = describe::time_zone(plan).and_then(|name| TimeZone::get(&name).ok());
    named.unwrap_or_else(TimeZone::system)
}

fn bins(activity: &Activity) -> Vec<TimelineBin> {
    let mut all: BTreeMap<Timestamp, BinCounts> = BTreeMap::new();
    for bin in &activity.bins {
        *all.entry(bin.at).or_default() += bin.counts;
    }
    all.into_iter().map(|(at, counts)| TimelineBin::of(at, counts)).collect()
}

fn waves(rollout: &Rollout, document: &RolloutDoc, activity: &Activity) -> Vec<WaveSpan> {
    let forecast = document.forecast.iter().flat_map(|forecast| &forecast.waves);
    let expected: BTreeMap<&str, _> = forecast.map(|wave| (wave.name.as_str(), wave)).collect();
    let waves = rollout.plan.strategy.waves.iter().zip(0_u16..);
    waves
        .map(|(wave, place)| {
            let mut worked = activity.bins.iter().filter(|bin| bin.wave == place).map(|bin| bin.at);
            let first = worked.next();
            let last = worked.next_back().or(first).and_then(|last| last.checked_add(BIN).ok());
            let expected = expected.get(wave.name.as_str());
            WaveSpan {
                name: wave.name.to_string(),
                worked_from: first,
                worked_to: last.map(|last| last.min(document.as_of)),
                begins: expected.and_then(|wave| wave.begins),
                p50: expected.and_then(|wave| wave.p50),
                p90: expected.and_then(|wave| wave.p90),
            }
        })
        .collect()
}

fn pauses(rollout: &Rollout, activity: &Activity) -> Vec<PauseSpan> {
    let over = activity.pauses.iter().map(|(from, to)| PauseSpan {
        from: *from,
        to: Some(*to),
        by: None,
        reason: String::new(),
    });
    let stands = rollout.record.paused.iter().map(|mark| PauseSpan {
        from: mark.at,
        to: rollout.record.paused_until,
        by: Some(mark.by.clone()),
        reason: mark.reason.clone(),
    });
    over.chain(stands).collect()
}

/// Of a rollout that is over nothing is expected, and what opened is no part of what happened.
fn openings(
    rollout: &Rollout,
    document: &RolloutDoc,
    from: Timestamp,
    to: Timestamp,
) -> Vec<OpeningRow> {
    if document.is_final {
        return Vec::new();
    }
    let found = rollout.plan.calendar.openings(from, OPENINGS_MAX);
    let inside = found.into_iter().take_while(|stretch| stretch.open < to);
    inside
        .map(|stretch| OpeningRow {
            from: stretch.open,
            until: stretch.cutoff,
            close: stretch.close,
        })
        .collect()
}
