//! A store in memory behind the trait that the shell uses, with hooks where a run watches or plants
//! a bug.

use jiff::Timestamp;
use sealift::domain::change::Change;
use sealift::domain::group::FullGroup;
use sealift::domain::id::{ChangeId, InstanceId, JobId, Name, RolloutId};
use sealift::domain::journal::Entry;
use sealift::domain::target::Target;
use sealift::store::bins::Activity;
use sealift::store::memory::MemoryStore;
use sealift::store::{
    Active, Away, Candidates, ChangeFilter, ChangeStory, Commit, CommitError, DuePlace,
    Enforcement, EnforcementCommit, Health, Page, Pending, Rollout, Store, Submission, SubmitError,
    Submitted, Unavailable,
};
use tokio::sync::watch;

/// What a run does differently from the store itself; without a word, nothing.
pub trait Hooks: Send + Sync {
    fn store(&self) -> &MemoryStore;

    fn commit(&self, commit: Commit) -> Pending<'_, Result<(), CommitError>> {
        self.store().commit(commit)
    }

    fn enforce(&self, commit: EnforcementCommit) -> Pending<'_, Result<(), CommitError>> {
        self.store().enforce(commit)
    }

    /// Whether the store is away.
    fn away(&self) -> watch::Receiver<Option<Away>> {
        self.store().away()
    }

    /// What each read of the engine waits for.
    fn before_read(&self) -> Pending<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// What is told of a rollout that was read.
    fn rollout_read(&self, rollout: Rollout) -> Rollout {
        rollout
    }

    /// What is told of an enforcement that was read.
    fn enforcement_read(&self, enforcement: Enforcement) -> Enforcement {
        enforcement
    }
}

/// The store with its hooks.
pub struct Hooked<H>(pub H);

impl<H: Hooks> Store for Hooked<H> {
    fn commit(&self, commit: Commit) -> Pending<'_, Result<(), CommitError>> {
        self.0.commit(commit)
    }

    fn submit(&self, submission: Submission) -> Pending<'_, Result<Submitted, SubmitError>> {
        self.0.store().submit(submission)
    }

    fn due(
        &self,
        now: Timestamp,
        after: Option<DuePlace>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Active>, Unavailable>> {
        Box::pin(async move {
            self.0.before_read().await;
            self.0.store().due(now, after, limit).await
        })
    }

    fn open_rollouts(&self) -> Pending<'_, Result<Vec<Rollout>, Unavailable>> {
        Box::pin(async move {
            self.0.before_read().await;
            self.0.store().open_rollouts().await
        })
    }

    fn rollouts(
        &self,
        after: Option<RolloutId>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Rollout>, Unavailable>> {
        self.0.store().rollouts(after, limit)
    }

    fn rollout(&self, id: RolloutId) -> Pending<'_, Result<Option<Rollout>, Unavailable>> {
        Box::pin(async move {
            self.0.before_read().await;
            Ok(self.0.store().rollout(id).await?.map(|rollout| self.0.rollout_read(rollout)))
        })
    }

    fn change(&self, id: ChangeId) -> Pending<'_, Result<Option<Active>, Unavailable>> {
        Box::pin(async move {
            self.0.before_read().await;
            self.0.store().change(id).await
        })
    }

    fn candidates(
        &self,
        id: RolloutId,
        wave: u16,
        limit: usize,
    ) -> Pending<'_, Result<Candidates, Unavailable>> {
        Box::pin(async move {
            self.0.before_read().await;
            self.0.store().candidates(id, wave, limit).await
        })
    }

    fn stored(
        &self,
        id: RolloutId,
        words: &'static [&'static str],
        places: std::ops::Range<u32>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Change>, Unavailable>> {
        Box::pin(async move {
            self.0.before_read().await;
            self.0.store().stored(id, words, places, limit).await
        })
    }

    fn holder(&self, instance: &InstanceId) -> Pending<'_, Result<Option<ChangeId>, Unavailable>> {
        self.0.store().holder(instance)
    }

    fn full_group(
        &self,
        id: RolloutId,
        target: &Target,
    ) -> Pending<'_, Result<Option<FullGroup>, Unavailable>> {
        self.0.store().full_group(id, target)
    }

    fn known_jobs(&self, instance: &InstanceId) -> Pending<'_, Result<Vec<JobId>, Unavailable>> {
        let instance = *instance;
        Box::pin(async move {
            self.0.before_read().await;
            self.0.store().known_jobs(&instance).await
        })
    }

    fn filtered(
        &self,
        id: RolloutId,
        filter: ChangeFilter,
        after: Option<u32>,
        limit: usize,
    ) -> Pending<'_, Result<Page, Unavailable>> {
        self.0.store().filtered(id, filter, after, limit)
    }

    fn story(
        &self,
        id: ChangeId,
        from: Option<u64>,
        limit: usize,
    ) -> Pending<'_, Result<ChangeStory, Unavailable>> {
        self.0.store().story(id, from, limit)
    }

    fn journal(
        &self,
        rollout: Option<RolloutId>,
        after: u64,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Entry>, Unavailable>> {
        self.0.store().journal(rollout, after, limit)
    }

    fn activity(
        &self,
        id: RolloutId,
        from: Timestamp,
        to: Timestamp,
    ) -> Pending<'_, Result<Activity, Unavailable>> {
        self.0.store().activity(id, from, to)
    }

    fn targets(&self, id: RolloutId) -> Pending<'_, Result<Option<Vec<Target>>, Unavailable>> {
        self.0.store().targets(id)
    }

    fn enforcements(&self) -> Pending<'_, Result<Vec<Enforcement>, Unavailable>> {
        Box::pin(async move {
            let read = self.0.store().enforcements().await?;
            Ok(read.into_iter().map(|enforcement| self.0.enforcement_read(enforcement)).collect())
        })
    }

    fn enforcement(&self, name: &Name) -> Pending<'_, Result<Option<Enforcement>, Unavailable>> {
        let name = name.clone();
        Box::pin(async move {
            Ok(self
                .0
                .store()
                .enforcement(&name)
                .await?
                .map(|enforcement| self.0.enforcement_read(enforcement)))
        })
    }

    fn enforce(&self, commit: EnforcementCommit) -> Pending<'_, Result<(), CommitError>> {
        self.0.enforce(commit)
    }

    fn away(&self) -> watch::Receiver<Option<Away>> {
        self.0.away()
    }

    fn health(&self) -> Health {
        self.0.store().health()
    }
}
