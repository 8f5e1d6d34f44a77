//! The forecast of a rollout that runs: made beside the requests, kept for a while, never waited
//! for long.
//!
//! Job: gather what is left of the rollout and what its journal tells of job times and calls, run
//! the engine in virtual time, keep the result. Invariants: an answer waits at most [`PATIENCE`]
//! for it; at most one forecast is made at a time, on one thread, and at most one part in [`SHARE`]
//! of that thread's time goes into them; a forecast is shown only while the rollout stands in the
//! phase in which it was made; an instant that has passed is not forecast.
//!
//! Deliberately not here: how a forecast is made (`rehearse`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::domain::change::State;
use crate::domain::id::RolloutId;
use crate::domain::lane::Lane;
use crate::domain::plan::Plan;
use crate::domain::quota::Quota;
use crate::domain::rollout::Phase;
use crate::domain::target::TargetList;
use crate::engine::Handle;
use crate::rehearse::forecast::CHANGES_MAX;
use crate::rehearse::measured::{ENOUGH, MeasuredCloud};
use crate::rehearse::{Forecast, Scenario, remainder};
use crate::store::{Rollout, Store, Unavailable};
use crate::yaml::length::Length;

/// How long an answer waits for the first forecast of a rollout, so that whoever asks once has it;
/// an old one is shown without waiting while the new one is made. A verb answers within a second.
const PATIENCE: Duration = Duration::from_millis(600);

/// How long somebody who checks a plan waits for its forecast.
const PLAN_PATIENCE: Duration = Duration::from_secs(3);

/// Changes simulated for one forecast while few are left: made within [`PATIENCE`] on a common
/// machine.
const CHANGES_QUICK: usize = 5_000;

/// How long a forecast is shown at least before a new one is made.
const FRESH: Duration = Duration::from_secs(5);

/// A forecast that took long is shown that many times as long.
const SHARE: u32 = 20;

/// Journal entries looked through for measured times: some hundred changes' whole lives.
const JOURNAL_TAIL: u64 = 5_000;

/// Rollouts whose forecast is kept; asking for one more forgets one.
const KEPT_MAX: usize = 64;

/// Rows read at once.
const BATCH: usize = 1000;

/// Makes and keeps forecasts.
#[derive(Clone)]
pub struct Forecaster {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    lanes: Arc<[Lane]>,
    handle: Handle,
    kept: Arc<Mutex<BTreeMap<RolloutId, CachedForecast>>>,
    one: Arc<tokio::sync::Semaphore>,
}

struct CachedForecast {
    phase: Phase,
    forecast: Option<Forecast>,
    /// Boot time until which it is shown.
    until: Duration,
}

impl Forecaster {
    /// Nothing is made before somebody asks.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        lanes: Arc<[Lane]>,
        handle: Handle,
    ) -> Self {
        Self {
            store,
            clock,
            lanes,
            handle,
            kept: Arc::default(),
            one: Arc::new(tokio::sync::Semaphore::new(1)),
        }
    }

    /// The forecast of this rollout, as far as it can be had at once and still lies ahead.
    pub async fn of(&self, rollout: &Rollout) -> Option<Forecast> {
        let forecast = self.at_hand(rollout).await;
        forecast.and_then(|forecast| forecast.ahead_of(self.clock.times().wall))
    }

    /// The forecast of a plan that is no rollout yet; `None` where it cannot be had soon.
    pub async fn of_plan(&self, plan: &Plan, targets: &TargetList) -> Option<Forecast> {
        if targets.len() > CHANGES_MAX {
            return None;
        }
        let lanes = self.lanes_now();
        let now = self.clock.times().wall;
        let scenario = Scenario::new(plan.clone(), targets.clone(), &lanes, now);
        let assumed = scenario.faults.job_time;
        let span = |length: Duration| Length::from(length).to_string();
        let basis = format!("jobs take {} to {}, assumed", span(assumed.min), span(assumed.max));
        let one = Arc::clone(&self.one);
        let changes = targets.len().max(CHANGES_QUICK);
        let making = async move {
            let permit = one.acquire_owned().await.ok()?;
            let made = tokio::task::spawn_blocking(move || {
                let made = Forecast::bounded(&scenario, vec![basis], changes, 1);
                drop(permit);
                made
            });
            made.await.ok()?.ok()?
        };
        tokio::time::timeout(PLAN_PATIENCE, making).await.ok()?
    }

    async fn at_hand(&self, rollout: &Rollout) -> Option<Forecast> {
        if !is_moving(rollout) {
            return None;
        }
        let boot = self.clock.times().boot;
        let known = self.with(|kept| {
            let kept = kept.get(&rollout.id).filter(|kept| kept.phase == rollout.record.phase)?;
            Some((kept.forecast.clone(), boot < kept.until))
        });
        let kept = match known {
            Some((shown, true)) => return shown,
            Some((old, false)) => Some(old),
            None => None,
        };
        // Somebody else is at it: what there is must do.
        let Ok(permit) = Arc::clone(&self.one).try_acquire_owned() else { return kept.flatten() };
        let (this, rollout) = (self.clone(), rollout.clone());
        let making = tokio::spawn(async move {
            let made = this.make(&rollout).await;
            drop(permit);
            made
        });
        old_or_first(kept, making).await
    }

    fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<RolloutId, CachedForecast>) -> T) -> T {
        look(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn make(&self, rollout: &Rollout) -> Option<Forecast> {
        let begun = self.clock.times();
        let forecast = match self.foresee(rollout, begun.wall).await {
            Ok(forecast) => forecast,
            Err(error) => {
                tracing::debug!(%error, "no forecast");
                None
            }
        };
        let done = self.clock.times().boot;
        let fresh = FRESH.max(done.saturating_sub(begun.boot).saturating_mul(SHARE));
        self.with(|kept| {
            if !kept.contains_key(&rollout.id) && kept.len() >= KEPT_MAX {
                kept.pop_first();
            }
            kept.insert(
                rollout.id,
                CachedForecast {
                    phase: rollout.record.phase.clone(),
                    forecast: forecast.clone(),
                    until: done + fresh,
                },
            );
        });
        forecast
    }

    /// The lanes with the quotas that their accounts give, as far as that was learnt.
    fn lanes_now(&self) -> Vec<Lane> {
        let snapshot = self.handle.snapshot().borrow().clone();
        let mut lanes = self.lanes.to_vec();
        for lane in &mut lanes {
            if let Some(known) = snapshot.lanes.iter().find(|known| known.lane == lane.name) {
                lane.quota = known
                    .quota
                    .map(|standing| Quota { requests: standing.ceiling, ..standing.quota });
            }
        }
        lanes
    }

    async fn foresee(
        &self,
        rollout: &Rollout,
        now: Timestamp,
    ) -> Result<Option<Forecast>, Unavailable> {
        let total = rollout.total();
        if (total.queued + total.active) as usize > CHANGES_MAX {
            return Ok(None);
        }
        let mut left = BTreeMap::new();
        let mut after = None;
        loop {
            let words = ["queued"].into_iter().chain(State::ACTIVE).map(str::to_owned).collect();
            let page = self.store.page(rollout.id, words, after, BATCH).await?;
            left.extend(
                page.changes
                    .into_iter()
                    .map(|active| (active.change.id.ordinal, active.change.target)),
            );
            after = page.next;
            if after.is_none() || left.len() > CHANGES_MAX {
                break;
            }
        }
        let Some(mut scenario) = remainder(rollout, &left, &self.lanes_now(), now) else {
            return Ok(None);
        };
        let Some(lane) = scenario.lanes.first() else { return Ok(None) };
        let seq = self.store.health().seq;
        let tail = usize::try_from(JOURNAL_TAIL).unwrap_or(usize::MAX);
        let entries =
            self.store.journal(Some(rollout.id), seq.saturating_sub(JOURNAL_TAIL), tail).await?;
        let measured = MeasuredCloud::of(&entries, &lane.timing);
        if let Some(latency) = measured.latency() {
            scenario.faults.latency = latency;
        }
        let span = |length: Duration| Length::from(length).to_string();
        let basis = if measured.job_times.len() >= ENOUGH {
            let (min, max) = measured.range();
            scenario.job_times = measured.job_times.as_slice().into();
            format!(
                "jobs take {} to {}, measured on {} of this rollout",
                span(min),
                span(max),
                measured.job_times.len()
            )
        } else {
            format!(
                "jobs take {} to {}, assumed until {ENOUGH} were seen",
                span(scenario.faults.job_time.min),
                span(scenario.faults.job_time.max)
            )
        };
        let changes = left.len().max(CHANGES_QUICK);
        let made = tokio::task::spawn_blocking(move || {
            Forecast::bounded(&scenario, vec![basis], changes, 1)
        })
        .await;
        match made {
            Ok(Ok(forecast)) => Ok(forecast),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no forecast");
                Ok(None)
            }
            Err(_) => Ok(None),
        }
    }
}

/// What is kept, also that there is no forecast; nothing but the first one is waited for.
async fn old_or_first(
    kept: Option<Option<Forecast>>,
    making: JoinHandle<Option<Forecast>>,
) -> Option<Forecast> {
    match kept {
        Some(old) => old,
        None => tokio::time::timeout(PATIENCE, making).await.ok()?.ok()?,
    }
}

/// Whether it moves without a person's doing, or would if one said so now.
fn is_moving(rollout: &Rollout) -> bool {
    let moving =
        matches!(rollout.record.phase.as_str(), "scheduled" | "advancing" | "soaking" | "awaiting");
    moving && rollout.record.paused.is_none()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn that_there_is_no_forecast_is_an_answer_and_only_the_first_is_waited_for() {
        let never = || tokio::spawn(std::future::pending());
        assert_eq!(old_or_first(Some(None), never()).now_or_never(), Some(None));
        assert_eq!(old_or_first(None, never()).now_or_never(), None, "it waits");
    }
}
