//! What is read of the store that needs more than the state: rows, pages and the journal.

use std::ops::Range;
use std::sync::Arc;

use super::SledStore;
use crate::domain::change::Change;
use crate::domain::id::{ChangeId, InstanceId, JobId, RolloutId};
use crate::domain::journal::Entry;
use crate::domain::target::Target;
use crate::store::bins::{Activity, ActivityQuery};
use crate::store::instances::remember;
use crate::store::page::PageQuery;
use crate::store::shared::StoreShared;
use crate::store::state::{ChangePlace, RolloutState};
use crate::store::targets::all;
use crate::store::{Active, ChangeStory, Page, PassedMoves, TakesWhole, Unavailable};

/// How often a change is looked for again that moved between two places while it was read.
const LOOKS_MAX: usize = 8;

impl SledStore {
    pub(super) async fn targets_now(
        &self,
        id: RolloutId,
    ) -> Result<Option<Vec<Target>>, Unavailable> {
        let Some(targets) = self
            .shared
            .commit_queue()?
            .state
            .rollout(id)
            .map(|rollout| Arc::clone(&rollout.frozen.targets))
        else {
            return Ok(None);
        };
        self.read(move |_| {
            let list = all(targets.as_ref()).map(Some);
            targets.rest();
            list
        })
        .await
    }

    pub(super) fn change_now(&self, id: ChangeId) -> Result<Option<Active>, Unavailable> {
        for _ in 0..LOOKS_MAX {
            let plan = {
                let inner = self.shared.commit_queue()?;
                match inner.state.place_of(id)? {
                    ChangePlace::Nowhere => return Ok(None),
                    ChangePlace::Here(active) => return Ok(Some(*active)),
                    ChangePlace::Settled(rollout) => Arc::clone(&rollout.frozen.plan),
                }
            };
            if let Some(row) = self.shared.settled(id)? {
                return Ok(Some(row.active(id, &plan)));
            }
            // Not settled any more, then: a retry has put it back between the two looks.
        }
        Err(self.shared.distrust(&format!("the row of change {id} is missing")))
    }

    pub(super) fn known_jobs_now(&self, instance: &InstanceId) -> Result<Vec<JobId>, Unavailable> {
        let fresh: Vec<JobId> =
            self.shared.commit_queue()?.state.unapplied_jobs(instance).cloned().collect();
        let mut jobs = self
            .shared
            .queue
            .jobs(instance)
            .map_err(|error| self.shared.read_failed(error.into()))?;
        for job in &fresh {
            remember(&mut jobs, job);
        }
        Ok(jobs)
    }

    pub(super) async fn story_now(
        &self,
        id: ChangeId,
        from: Option<u64>,
        limit: usize,
    ) -> Result<ChangeStory, Unavailable> {
        let of = |rollout: &RolloutState| (rollout.first_seq, rollout.last_seq);
        let Some((first, last)) = self.shared.commit_queue()?.state.rollout(id.rollout).map(of)
        else {
            return Ok(ChangeStory::default());
        };
        let Some(Active { change, entry, .. }) = self.change_now(id)? else {
            return Ok(ChangeStory::default());
        };
        if change.record.version == 0 {
            return Ok(ChangeStory::default());
        }
        self.synced_up().await?;
        self.read(move |shared| {
            let reader = shared.synced().reader;
            match from.or(entry) {
                Some(from) => reader.story(id, from, first, limit),
                None => reader.story_by_walk(id, last, first, limit),
            }
        })
        .await
    }

    pub(super) async fn activity_now(&self, query: ActivityQuery) -> Result<Activity, Unavailable> {
        self.caught_up().await?;
        self.read(move |shared| {
            let activity = shared.applied().activity(query, &shared.queue);
            activity.map_err(|error| shared.read_failed(error.into()))
        })
        .await
    }

    pub(super) async fn page_now(&self, query: PageQuery) -> Result<Page, Unavailable> {
        self.caught_up().await?;
        self.read(move |shared| {
            shared.applied().page(&query, &shared.queue).map_err(|error| shared.read_failed(error))
        })
        .await
    }

    pub(super) async fn stored_now(
        &self,
        id: RolloutId,
        words: &'static [&'static str],
        places: Range<u32>,
        limit: usize,
    ) -> Result<Vec<Change>, Unavailable> {
        self.caught_up().await?;
        let stored = move |shared: &StoreShared| {
            shared
                .applied()
                .stored(id, words, places, limit, &shared.queue)
                .map_err(|error| shared.read_failed(error))
        };
        self.read(stored).await
    }

    pub(super) async fn passed_now(
        &self,
        after: u64,
        entries: usize,
        whole: TakesWhole,
    ) -> Result<PassedMoves, Unavailable> {
        let pass = move |shared: &StoreShared| {
            PassedMoves::read(&shared.synced().reader, after, entries, &whole)
        };
        self.read(pass).await
    }

    pub(super) async fn journal_now(
        &self,
        rollout: Option<RolloutId>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, Unavailable> {
        let of = match rollout {
            None => None,
            Some(id) => match self.shared.commit_queue()?.state.rollout(id) {
                Some(rollout) => Some((id, rollout.first_seq, rollout.last_seq)),
                None => return Ok(Vec::new()),
            },
        };
        self.synced_up().await?;
        self.read(move |shared| {
            let reader = shared.synced().reader;
            match of {
                None => reader.entries(None, after, u64::MAX, limit),
                Some((id, first, last)) => reader.entries_of(id, after.max(first - 1), last, limit),
            }
        })
        .await
    }
}
