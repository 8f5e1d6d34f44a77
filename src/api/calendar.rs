//! The calendar of the next days: the windows of all open rollouts, the ticks of enforcements, and
//! lanes that are held.
//!
//! Deliberately not here: what a window is (`domain::window`) and what it will do
//! (`domain::openings`).

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use utoipa::IntoParams;

use super::fault::ApiError;
use super::wire::{
    CalendarDoc, ClockChangeRow, FreezeRow, LaneHours, OpeningDoc, RolloutWindows, TickRow,
};
use super::{Api, describe, find};
use crate::domain::openings::{ForeseenOpening, Meets};
use crate::store::Rollout;

/// Days that are looked ahead when the client does not say, and at most: two months, as people
/// plan.
const DAYS_DEFAULT: u16 = 7;
const DAYS_MAX: u16 = 62;

/// Rollouts in one calendar, the newest of those that are open.
const ROLLOUTS_MAX: usize = 50;

/// Openings told of one rollout: one a day for two months, and some nights with two.
const WINDOWS_MAX: usize = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CalendarQuery {
    /// Days to look ahead, 7 if it is not given and 62 at most.
    days: Option<u16>,
}

impl Api {
    pub(super) async fn calendar(&self, asked: CalendarQuery) -> Result<CalendarDoc, ApiError> {
        let days = asked.days.unwrap_or(DAYS_DEFAULT);
        if !(1..=DAYS_MAX).contains(&days) {
            return Err(ApiError::bad(format!("`days` takes 1 to {DAYS_MAX}")));
        }
        let from = self.now();
        let to = from
            .saturating_add(SignedDuration::from_hours(i64::from(days) * 24))
            .unwrap_or(Timestamp::MAX);
        let open = find::open_rollouts(&*self.store).await?;
        let mut open: Vec<&Rollout> =
            open.iter().rev().filter(|rollout| !rollout.record.phase.is_final()).collect();
        let more = open.len() > ROLLOUTS_MAX;
        open.truncate(ROLLOUTS_MAX);
        let enforced = self.enforcements().await?;
        let mut ticks: Vec<TickRow> = enforced
            .into_iter()
            .filter(|enforced| enforced.stage != "ended")
            .filter_map(|enforced| {
                let at = enforced.next_tick.filter(|tick| *tick < to)?;
                Some(TickRow {
                    name: enforced.name,
                    at,
                    time_zone: enforced.time_zone,
                    held: enforced.held,
                })
            })
            .collect();
        ticks.sort_by_key(|tick| tick.at);
        let engine = self.engine();
        let lanes = engine.lanes.iter().map(describe::lane).map(|lane| LaneHours {
            lane: lane.lane,
            held: lane.held,
            paused_until: lane.paused_until,
            paused_why: lane.paused_why,
        });
        let rollouts = open.into_iter().map(|rollout| windows(rollout, from, to)).collect();
        Ok(CalendarDoc { from, to, rollouts, more, ticks, lanes: lanes.collect() })
    }
}

fn windows(rollout: &Rollout, from: Timestamp, to: Timestamp) -> RolloutWindows {
    let calendar = &rollout.plan.calendar;
    let found = calendar.outlook(from, Some(to), WINDOWS_MAX);
    RolloutWindows {
        rollout: rollout.id.to_string(),
        name: rollout.plan.name.to_string(),
        time_zone: describe::time_zone(&rollout.plan),
        always: calendar.is_always_open(),
        windows: found.sights.iter().map(opening).collect(),
        more: found.more,
        missed: describe::missed(&rollout.record.windows),
    }
}

fn opening(sight: &ForeseenOpening<'_>) -> OpeningDoc {
    let freezes = sight.freezes.iter().map(|freeze| FreezeRow {
        from: freeze.begin(),
        to: freeze.end(),
        reason: freeze.reason().to_owned(),
    });
    let clocks = sight.clocks.iter().map(|change| {
        let meets = match change.how {
            Meets::StartSkipped => "start_skipped",
            Meets::StartTwice => "start_twice",
            Meets::Inside => "inside",
        };
        ClockChangeRow { at: change.at, meets: meets.into() }
    });
    OpeningDoc {
        open: sight.stretch.open,
        cutoff: sight.stretch.cutoff,
        close: sight.stretch.close,
        frozen: sight.frozen,
        open_already: sight.open_already,
        begins_late: sight.begins_late,
        freezes: freezes.collect(),
        clocks: clocks.collect(),
    }
}
