//! Finds what an id is, wherever it stands: a rollout, a proxy, an instance, a job, a request of
//! the cloud.
//!
//! Invariants: a search ends within [`LASTS`] and says how far it got; what is open comes before
//! what is over, and the newest before the oldest.
//!
//! Deliberately not here: an index of request ids. They are asked for when the vendor's support
//! does, and stand in the journal.

use std::time::Duration;

use super::fault::ApiError;
use super::wire::{FoundDoc, FoundRow};
use super::{Api, find};
use crate::clock::Clock;
use crate::domain::id::RolloutId;
use crate::domain::journal::JournalEvent;
use crate::store::Rollout;

/// Time for one search.
const LASTS: Duration = Duration::from_secs(2);

/// What is found at most.
const FOUND_MAX: usize = 50;

/// Shorter beginnings fit too much.
pub const BEGINS_MIN: usize = 4;

/// Longer ones fit nothing.
pub const BEGINS_MAX: usize = 128;

/// Rollouts looked through, the newest.
const ROLLOUTS_MAX: usize = 200;

/// Changes or entries read at once.
const BATCH: usize = 1_000;

impl Api {
    /// Whatever has an id that begins so.
    pub async fn search(&self, begins: &str) -> Result<FoundDoc, ApiError> {
        let begins = begins.trim();
        if begins.len() < BEGINS_MIN || begins.len() > BEGINS_MAX || !begins.is_ascii() {
            return Err(ApiError::bad(format!(
                "`begins` takes the first {BEGINS_MIN} to {BEGINS_MAX} characters of an id"
            )));
        }
        let until = self.clock.times().boot + LASTS;
        let mut search = Search { begins, rows: Vec::new(), clock: &*self.clock, until };
        let open = find::open_rollouts(&*self.store).await?;
        let over = self.store.rollouts(None, ROLLOUTS_MAX).await?;
        let is_open = |rollout: &Rollout| open.iter().any(|one| one.id == rollout.id);
        let rollouts: Vec<&Rollout> =
            open.iter().rev().chain(over.iter().filter(|rollout| !is_open(rollout))).collect();
        for rollout in &rollouts {
            if rollout.id.to_string().starts_with(begins)
                || rollout.plan.name.as_str().starts_with(begins)
            {
                search.rows.push(FoundRow {
                    what: "rollout".into(),
                    id: rollout.id.to_string(),
                    rollout: rollout.id.to_string(),
                    name: rollout.plan.name.to_string(),
                    ordinal: None,
                    seq: None,
                    state: rollout.record.phase.as_str().into(),
                });
            }
        }
        let mut looked = 0;
        for rollout in &rollouts {
            if !search.goes_on() || !self.search_changes(rollout, &mut search).await? {
                break;
            }
            looked += 1;
        }
        let all = looked == rollouts.len() && over.len() < ROLLOUTS_MAX;
        // A request id stands nowhere but in the journal.
        let down_to =
            if search.rows.is_empty() { self.search_journal(&mut search).await? } else { None };
        let whole = all && down_to.is_none_or(|seq| seq <= 1);
        Ok(FoundDoc {
            rows: search.rows,
            whole,
            rollouts: u32::try_from(looked).unwrap_or(u32::MAX),
            journal_from: down_to,
        })
    }

    /// Whether all changes of the rollout were looked at.
    async fn search_changes(
        &self,
        rollout: &Rollout,
        search: &mut Search<'_>,
    ) -> Result<bool, ApiError> {
        let mut after = None;
        loop {
            let page = self.store.page(rollout.id, Vec::new(), after, BATCH).await?;
            for active in &page.changes {
                let (target, record) = (&active.change.target, &active.change.record);
                let ids = [
                    ("proxy", target.proxy_id.to_string()),
                    ("instance", target.instance_id.to_string()),
                ];
                let ids =
                    ids.into_iter().chain(record.jobs.iter().map(|job| ("job", job.to_string())));
                search.rows.extend(ids.filter(|(_, id)| id.starts_with(search.begins)).map(
                    |(what, id)| FoundRow {
                        what: what.into(),
                        id,
                        rollout: rollout.id.to_string(),
                        name: rollout.plan.name.to_string(),
                        ordinal: Some(active.change.id.ordinal),
                        seq: None,
                        state: record.state.as_str().into(),
                    },
                ));
            }
            after = page.next;
            if after.is_none() {
                return Ok(true);
            }
            if !search.goes_on() {
                return Ok(false);
            }
        }
    }

    /// Looks for a request id, newest first; returns the sequence down to which it looked.
    async fn search_journal(&self, search: &mut Search<'_>) -> Result<Option<u64>, ApiError> {
        let mut end = self.store.health().seq;
        while end > 0 && search.goes_on() {
            let from = end.saturating_sub(BATCH as u64);
            let entries = self.store.journal(None, from, BATCH).await?;
            for entry in entries.iter().rev().filter(|entry| entry.seq <= end) {
                let JournalEvent::Change { ordinal, answer: Some(answer), to, .. } = &entry.what
                else {
                    continue;
                };
                let Some(request) =
                    answer.request_id.as_ref().filter(|id| id.starts_with(search.begins))
                else {
                    continue;
                };
                let name = self.name_of(entry.rollout).await?;
                search.rows.push(FoundRow {
                    what: "request".into(),
                    id: request.clone(),
                    rollout: entry.rollout.to_string(),
                    name,
                    ordinal: Some(*ordinal),
                    seq: Some(entry.seq),
                    state: to.to_string(),
                });
            }
            end = from;
        }
        Ok(Some(end + 1))
    }

    async fn name_of(&self, id: RolloutId) -> Result<String, ApiError> {
        Ok(self
            .store
            .rollout(id)
            .await?
            .map(|rollout| rollout.plan.name.to_string())
            .unwrap_or_default())
    }
}

struct Search<'a> {
    begins: &'a str,
    rows: Vec<FoundRow>,
    clock: &'a dyn Clock,
    /// In boot time.
    until: Duration,
}

impl Search<'_> {
    fn goes_on(&self) -> bool {
        self.rows.len() < FOUND_MAX && self.clock.times().boot < self.until
    }
}
