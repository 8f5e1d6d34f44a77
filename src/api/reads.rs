//! The reads: from what a client asks for to a document.
//!
//! Invariant: every listing has a limit and a cursor; what is shown is durable.
//!
//! Deliberately not here: paths, roles and HTTP (`routes`), and how a document is made
//! (`describe`).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::fault::ApiError;
use super::wire::{
    ChangeRow, DaemonDoc, Events, JournalRow, Listing, RolloutDoc, RolloutRow, SavedJob,
};
use super::{Api, describe, find, hold};
use crate::domain::change::State as ChangeState;
use crate::domain::id::RolloutId;
use crate::engine::Snapshot;
use crate::store::Rollout;
use crate::yaml::suggest::nearest;

/// Rows of a page when the client does not say.
pub const PAGE_DEFAULT: usize = 200;

/// Rows of a page at most: some hundred kilobytes of JSON.
pub const PAGE_MAX: usize = 1000;

/// Pages of changes looked through for one page of jobs, so that a long queue without jobs costs
/// few requests.
const JOB_PAGES: usize = 20;

/// Batches of the journal looked through for one page of it, so that a filter that wants little
/// costs few requests and none of them takes long.
const JOURNAL_BATCHES: usize = 20;

/// Longest wait of `events`.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Open rollouts described in one answer of `events`.
const EVENTS_MAX: usize = 50;

fn limit(asked: Option<usize>) -> usize {
    asked.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RolloutsQuery {
    /// The `next` of the page before.
    after: Option<String>,
    /// Rows of the page at most.
    limit: Option<usize>,
    /// Only those that are not over.
    #[serde(default)]
    open: bool,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChangesQuery {
    /// Words of the change table, with commas between; `active` stands for all that is in flight.
    state: Option<String>,
    /// The `next` of the page before.
    after: Option<u32>,
    /// Rows of the page at most.
    limit: Option<usize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JobsQuery {
    /// The `next` of the page before.
    after: Option<u32>,
    /// Rows of the page at most.
    limit: Option<usize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JournalQuery {
    /// The `next` of the page before, or the sequence after which to begin.
    #[serde(default)]
    after: u64,
    /// Rows of the page at most.
    limit: Option<usize>,
    /// Only entries of changes whose proxy's id begins so.
    proxy: Option<String>,
    /// Only entries from this instant on.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
}

impl JournalQuery {
    fn filters(&self) -> bool {
        self.proxy.is_some() || self.since.is_some()
    }

    fn wants(&self, row: &JournalRow) -> bool {
        let of_proxy =
            |proxy: &String| row.proxy_id.as_ref().is_some_and(|id| id.starts_with(proxy.as_str()));
        self.proxy.as_ref().is_none_or(of_proxy) && self.since.is_none_or(|since| row.at >= since)
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Answer as soon as the journal has grown past this; absent: at once.
    after: Option<u64>,
    /// Only this rollout; absent: those that are not over.
    rollout: Option<String>,
    /// Seconds to wait at most, then answer whatever stands.
    wait: Option<u64>,
}

/// The words of a filter by states; none: every state.
pub fn states(asked: Option<&str>) -> Result<Vec<String>, ApiError> {
    let mut words: Vec<String> = Vec::new();
    for word in asked.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty())
    {
        match word {
            "active" => words.extend(ChangeState::ACTIVE.map(str::to_owned)),
            _ if ChangeState::WORDS.contains(&word) => words.push(word.to_owned()),
            _ => {
                let near = nearest(word, ChangeState::WORDS.into_iter().chain(["active"]));
                let hint = near.map_or_else(
                    || format!("use active, {}", ChangeState::WORDS.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                );
                return Err(ApiError::bad(format!(
                    "`{}` is no state; {hint}",
                    word.escape_debug()
                )));
            }
        }
    }
    Ok(words)
}

impl Api {
    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        self.clock.times().wall
    }

    pub(super) fn engine(&self) -> Arc<Snapshot> {
        self.handle.snapshot().borrow().clone()
    }

    /// How one rollout stands.
    pub(super) async fn describe(&self, rollout: &Rollout) -> Result<RolloutDoc, ApiError> {
        let now = self.now();
        let measured = self.meter.measure(rollout, now).await?;
        let forecast = self.forecaster.of(rollout).await;
        let enforcement = self.enforcement_of(rollout).await?.map(Box::new);
        let groups_full = hold::groups_full(rollout, &*self.store).await?;
        let doc = describe::rollout(rollout, &self.engine(), &measured, groups_full, now);
        Ok(RolloutDoc { enforcement, ..doc }.with_forecast(forecast))
    }

    /// The daemon, its store and its lanes.
    pub async fn daemon(&self) -> DaemonDoc {
        // Beside the rest of it; a store that is out of order is told by its health.
        let growth = self.store.growth(self.now()).await.unwrap_or_default();
        let plans = self.plans.borrow().clone();
        let doc =
            describe::daemon(&self.engine(), self.store.health(), growth, plans, self.started_at);
        DaemonDoc { stop_file: self.switches.stop_file(), notify: self.receivers(), ..doc }
    }

    pub(super) async fn rollouts(
        &self,
        asked: RolloutsQuery,
    ) -> Result<Listing<RolloutRow>, ApiError> {
        if asked.open {
            let rows =
                find::open_rollouts(&*self.store).await?.iter().rev().map(describe::row).collect();
            return Ok(Listing { rows, next: None });
        }
        let after = asked.after.map(|after| after.parse::<RolloutId>()).transpose();
        let after = after.map_err(|_| ApiError::bad("`after` is the `next` of the page before"))?;
        self.rollout_rows(after, limit(asked.limit)).await
    }

    pub(super) async fn changes(
        &self,
        reference: &str,
        asked: ChangesQuery,
    ) -> Result<Listing<ChangeRow>, ApiError> {
        let words = states(asked.state.as_deref())?;
        let rollout = find::rollout(&*self.store, reference).await?;
        self.change_rows(&rollout, words, asked.after, limit(asked.limit)).await
    }

    pub(super) async fn jobs(
        &self,
        reference: &str,
        asked: JobsQuery,
    ) -> Result<Listing<SavedJob>, ApiError> {
        let limit = limit(asked.limit);
        let rollout = find::rollout(&*self.store, reference).await?;
        let (mut rows, mut after) = (Vec::new(), asked.after);
        for _ in 0..JOB_PAGES {
            let page = self.store.page(rollout.id, Vec::new(), after, limit).await?;
            rows.extend(page.changes.iter().flat_map(|active| describe::jobs(active, &rollout)));
            after = page.next;
            if after.is_none() || rows.len() >= limit {
                break;
            }
        }
        Ok(Listing { rows, next: after.map(|next| next.to_string()) })
    }

    pub(super) async fn journal(
        &self,
        reference: &str,
        asked: JournalQuery,
    ) -> Result<Listing<JournalRow>, ApiError> {
        let limit = limit(asked.limit);
        let batch = if asked.filters() { PAGE_MAX } else { limit };
        let rollout = find::rollout(&*self.store, reference).await?;
        let (mut rows, mut after, mut more) = (Vec::new(), asked.after, true);
        for _ in 0..JOURNAL_BATCHES {
            let entries = self.store.journal(Some(rollout.id), after, batch).await?;
            more = entries.len() == batch;
            for entry in &entries {
                if rows.len() == limit {
                    more = true;
                    break;
                }
                after = entry.seq;
                rows.extend(Some(describe::entry(entry)).filter(|row| asked.wants(row)));
            }
            if !more || rows.len() == limit {
                break;
            }
        }
        Ok(Listing { rows, next: more.then(|| after.to_string()) })
    }

    /// Waits until something moved, then tells how the rollouts asked for stand.
    pub(super) async fn events(&self, asked: EventsQuery) -> Result<Events, ApiError> {
        let wait = asked.wait.map_or(WAIT_MAX, Duration::from_secs).min(WAIT_MAX);
        if let Some(after) = asked.after {
            let waited = self.grown(after);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = waited => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        let seq = self.store.health().seq;
        let found = match asked.rollout {
            Some(reference) => vec![find::rollout(&*self.store, &reference).await?],
            None => find::open_rollouts(&*self.store).await?,
        };
        let mut rollouts = Vec::new();
        for rollout in found.iter().take(EVENTS_MAX) {
            rollouts.push(self.describe(rollout).await?);
        }
        Ok(Events { seq, rollouts })
    }

    async fn grown(&self, after: u64) {
        let mut snapshot = self.handle.snapshot();
        while self.store.health().seq <= after {
            if snapshot.changed().await.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_takes_the_words_of_the_table_and_nothing_else() {
        assert_eq!(states(None).expect("no filter"), Vec::<String>::new());
        assert_eq!(states(Some("failed,in_doubt")).expect("two words"), ["failed", "in_doubt"]);
        assert_eq!(states(Some("active")).expect("the short word"), ChangeState::ACTIVE);
        let told = |word: &str| format!("{:?}", states(Some(word)).expect_err("no state"));
        assert!(told("fialed").contains("did you mean `failed`?"), "{}", told("fialed"));
        assert!(told("done").contains("use active, "), "{}", told("done"));
    }

    #[test]
    fn active_stands_for_every_state_that_is_neither_queued_nor_settled() {
        let rest: Vec<_> = ChangeState::WORDS
            .iter()
            .filter(|word| !ChangeState::ACTIVE.contains(word))
            .copied()
            .collect();
        assert_eq!(
            rest,
            ["queued", "succeeded", "failed", "in_doubt", "cancelled", "reverted", "skipped"]
        );
    }
}
