//! The reads: from what a client asks for to a document.
//!
//! Invariant: every listing has a limit and a cursor; what is shown is durable.
//!
//! Deliberately not here: paths, roles and HTTP (`routes`), and how a document is made
//! (`describe`).

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::fault::ApiError;
use super::wire::{
    ChangeJournal, ChangeRow, DaemonDoc, Events, ForecastDoc, JournalRow, Listing, RolloutDoc,
    RolloutRow, SavedJob,
};
use super::{Api, describe, find, hold};
use crate::domain::change::State as ChangeState;
use crate::domain::id::{CLOUD_ID_LEN, ChangeId, Name, RolloutId};
use crate::domain::plan::Plan;
use crate::engine::Snapshot;
use crate::store::{ChangeFilter, Rollout};
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

pub(super) fn limit(asked: Option<usize>) -> usize {
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
    /// Only changes of this wave: its name, or its number from 1.
    wave: Option<String>,
    /// Only changes that this lane reaches.
    lane: Option<String>,
    /// Only changes whose proxy's or instance's id begins so.
    id: Option<String>,
    /// The `next` of the page before.
    after: Option<u32>,
    /// Rows of the page at most.
    limit: Option<usize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChangeJournalQuery {
    /// The `next` of the page before.
    after: Option<u64>,
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

/// Which changes somebody asks for, in their words; `None`: any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangesAsked {
    /// Words of the change table, with commas between.
    pub state: Option<String>,
    /// A wave's name, or its number from 1.
    pub wave: Option<String>,
    /// A lane's name.
    pub lane: Option<String>,
    /// How the id of their proxy, or of its instance, begins.
    pub id: Option<String>,
}

impl ChangesAsked {
    /// The same as the store takes it, of a rollout of this plan.
    pub fn filter(self, plan: &Plan) -> Result<ChangeFilter, ApiError> {
        let lane = self.lane.map(|lane| Name::parse(&lane, "lane")).transpose();
        Ok(ChangeFilter {
            words: states(self.state.as_deref())?,
            wave: self.wave.map(|wave| wave_of(plan, &wave)).transpose()?,
            lane: lane.map_err(|error| ApiError::bad(error.to_string()))?,
            begins: self.id.map(beginning).transpose()?,
        })
    }
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

/// Place of the wave that somebody means: by its name, else by its number from 1.
fn wave_of(plan: &Plan, asked: &str) -> Result<u16, ApiError> {
    let waves = &plan.strategy.waves;
    let named = waves.iter().position(|wave| wave.name.as_str() == asked);
    let numbered = || asked.parse::<usize>().ok()?.checked_sub(1).filter(|n| *n < waves.len());
    let found = named.or_else(numbered).and_then(|place| u16::try_from(place).ok());
    found.ok_or_else(|| {
        let near = nearest(asked, waves.iter().map(|wave| wave.name.as_str()));
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has waves 1 to {}, each with a name", waves.len()),
        };
        ApiError::bad(format!("{} has no wave `{}`; {hint}", plan.name, asked.escape_debug()))
    })
}

fn no_change(rollout: &Rollout, ordinal: u32) -> ApiError {
    let (name, count) = (&rollout.plan.name, rollout.targets);
    let what = format!("{name} has no change {ordinal}: its {count} changes are counted from 0");
    ApiError::new(StatusCode::NOT_FOUND, what)
}

/// The beginning of an id of the cloud.
fn beginning(text: String) -> Result<String, ApiError> {
    let fits = (1..=CLOUD_ID_LEN).contains(&text.len());
    if fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(text);
    }
    let what = format!("`id` takes the first 1 to {CLOUD_ID_LEN} letters and digits of an id");
    Err(ApiError::bad(what))
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
        Ok(RolloutDoc { enforcement, ..doc }.with_forecast(forecast.map(ForecastDoc::from)))
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
        let rollout = find::rollout(&*self.store, reference).await?;
        let ChangesQuery { state, wave, lane, id, after, limit: rows } = asked;
        let filter = ChangesAsked { state, wave, lane, id }.filter(&rollout.plan)?;
        self.changes_fitting(&rollout, filter, after, limit(rows)).await
    }

    pub(super) async fn change(
        &self,
        reference: &str,
        ordinal: u32,
    ) -> Result<ChangeRow, ApiError> {
        let rollout = find::rollout(&*self.store, reference).await?;
        self.change_row(&rollout, ordinal).await?.ok_or_else(|| no_change(&rollout, ordinal))
    }

    pub(super) async fn change_journal(
        &self,
        reference: &str,
        ordinal: u32,
        asked: ChangeJournalQuery,
    ) -> Result<ChangeJournal, ApiError> {
        let rollout = find::rollout(&*self.store, reference).await?;
        if ordinal >= rollout.targets {
            return Err(no_change(&rollout, ordinal));
        }
        let id = ChangeId { rollout: rollout.id, ordinal };
        let found = self.store.story(id, asked.after, limit(asked.limit)).await?;
        if found.entries.is_empty() && asked.after.is_some() {
            return Err(ApiError::bad(
                "`after` is the `next` of the page before, of this very change",
            ));
        }
        Ok(ChangeJournal {
            rows: found.entries.iter().map(describe::entry).collect(),
            next: found.earlier.map(|earlier| earlier.to_string()),
            looked_to: found.looked_to,
        })
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
    fn a_wave_is_meant_by_its_name_or_by_its_number() {
        let plan = crate::store::fixtures::plan("night", &[1, 2, 3]);
        assert_eq!(wave_of(&plan, "wave-2").expect("a name"), 2);
        assert_eq!(wave_of(&plan, "1").expect("a number"), 0);
        let told = |asked: &str| format!("{:?}", wave_of(&plan, asked).expect_err("no wave"));
        assert!(told("wave-").contains("did you mean `wave-0`?"), "{}", told("wave-"));
        for asked in ["0", "4", "-1", "night"] {
            assert!(told(asked).contains("has no wave"), "{asked}: {}", told(asked));
        }
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
