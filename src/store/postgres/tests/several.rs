//! Two daemons over one store, asked in turns: what one acknowledges the other shows.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::domain::change::Change;
use crate::domain::group::FullGroup;
use crate::domain::id::{ChangeId, InstanceId, JobId, Name, RolloutId};
use crate::domain::journal::Entry;
use crate::domain::target::Target;
use crate::store::bins::Activity;
use crate::store::postgres::PostgresStore;
use crate::store::{
    Active, Away, Candidates, ChangeFilter, ChangeStory, Commit, CommitError, DuePlace,
    Enforcement, EnforcementCommit, Health, Page, Pending, Rollout, Store, Submission, SubmitError,
    Submitted, Unavailable,
};

/// A store that hands each call to the next of its daemons.
pub(super) struct InTurns {
    stores: [PostgresStore; 2],
    turn: AtomicUsize,
}

impl InTurns {
    pub fn of(stores: [PostgresStore; 2]) -> Self {
        Self { stores, turn: AtomicUsize::new(0) }
    }

    pub fn into_stores(self) -> [PostgresStore; 2] {
        self.stores
    }

    fn next(&self) -> &PostgresStore {
        &self.stores[self.turn.fetch_add(1, Ordering::Relaxed) % 2]
    }
}

impl Store for InTurns {
    fn submit(&self, submission: Submission) -> Pending<'_, Result<Submitted, SubmitError>> {
        self.next().submit(submission)
    }
    fn commit(&self, commit: Commit) -> Pending<'_, Result<(), CommitError>> {
        self.next().commit(commit)
    }
    fn due(
        &self,
        now: Timestamp,
        after: Option<DuePlace>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Active>, Unavailable>> {
        self.next().due(now, after, limit)
    }
    fn open_rollouts(&self) -> Pending<'_, Result<Vec<Rollout>, Unavailable>> {
        self.next().open_rollouts()
    }
    fn rollouts(
        &self,
        after: Option<RolloutId>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Rollout>, Unavailable>> {
        self.next().rollouts(after, limit)
    }
    fn rollout(&self, id: RolloutId) -> Pending<'_, Result<Option<Rollout>, Unavailable>> {
        self.next().rollout(id)
    }
    fn change(&self, id: ChangeId) -> Pending<'_, Result<Option<Active>, Unavailable>> {
        self.next().change(id)
    }
    fn candidates(
        &self,
        id: RolloutId,
        wave: u16,
        limit: usize,
    ) -> Pending<'_, Result<Candidates, Unavailable>> {
        // What is counted ahead is counted by each for itself: one is asked until it has looked.
        self.stores[0].candidates(id, wave, limit)
    }
    fn stored(
        &self,
        id: RolloutId,
        words: &'static [&'static str],
        places: Range<u32>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Change>, Unavailable>> {
        self.next().stored(id, words, places, limit)
    }
    fn holder(&self, instance: &InstanceId) -> Pending<'_, Result<Option<ChangeId>, Unavailable>> {
        self.next().holder(instance)
    }
    fn full_group(
        &self,
        id: RolloutId,
        target: &Target,
    ) -> Pending<'_, Result<Option<FullGroup>, Unavailable>> {
        self.next().full_group(id, target)
    }
    fn known_jobs(&self, instance: &InstanceId) -> Pending<'_, Result<Vec<JobId>, Unavailable>> {
        self.next().known_jobs(instance)
    }
    fn filtered(
        &self,
        id: RolloutId,
        filter: ChangeFilter,
        after: Option<u32>,
        limit: usize,
    ) -> Pending<'_, Result<Page, Unavailable>> {
        self.next().filtered(id, filter, after, limit)
    }
    fn story(
        &self,
        id: ChangeId,
        from: Option<u64>,
        limit: usize,
    ) -> Pending<'_, Result<ChangeStory, Unavailable>> {
        self.next().story(id, from, limit)
    }
    fn journal(
        &self,
        rollout: Option<RolloutId>,
        after: u64,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Entry>, Unavailable>> {
        self.next().journal(rollout, after, limit)
    }
    fn activity(
        &self,
        id: RolloutId,
        from: Timestamp,
        to: Timestamp,
    ) -> Pending<'_, Result<Activity, Unavailable>> {
        self.next().activity(id, from, to)
    }
    fn targets(&self, id: RolloutId) -> Pending<'_, Result<Option<Vec<Target>>, Unavailable>> {
        self.next().targets(id)
    }
    fn enforcements(&self) -> Pending<'_, Result<Vec<Enforcement>, Unavailable>> {
        self.next().enforcements()
    }
    fn enforcement(&self, name: &Name) -> Pending<'_, Result<Option<Enforcement>, Unavailable>> {
        self.next().enforcement(name)
    }
    fn enforce(&self, commit: EnforcementCommit) -> Pending<'_, Result<(), CommitError>> {
        self.next().enforce(commit)
    }
    fn durable(&self) -> Pending<'_, Result<(), Unavailable>> {
        self.next().durable()
    }
    fn away(&self) -> watch::Receiver<Option<Away>> {
        self.next().away()
    }
    fn health(&self) -> Health {
        // Who has not been asked of late is behind.
        let both = self.stores.each_ref().map(|store| store.health());
        both.into_iter().max_by_key(|health| health.seq).expect("two")
    }
}
