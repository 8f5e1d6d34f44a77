//! The store in memory behind the trait that the shell uses: every commit is shown to the oracle, and some take long.

use futures_util::future::pending;
use jiff::Timestamp;
use sealift::domain::change::Change;
use sealift::domain::group::FullGroup;
use sealift::domain::id::{ChangeId, JobId, Name, RolloutId};
use sealift::domain::journal::Entry;
use sealift::domain::target::{InstanceKey, Target};
use sealift::store::{
    Active, Candidates, Commit, CommitError, Durability, Enforcement, EnforcementCommit, Health, Page, Pending, Rollout, Store, Submission,
    SubmitError, Submitted, Unavailable,
};
use tokio::time::sleep;

use super::Shared;
use super::planted::Wrong;
use crate::world::MS;

/// Longest sync of an honest store.
const SYNC_MAX: u64 = 50 * MS;
/// How long a commit of [`Wrong::CommitToldTooEarly`] takes after it was told.
const TOO_EARLY_BY: u64 = 200 * MS;
/// More commits than any honest run needs: beyond it something spins, and time stands.
const COMMITS_MAX: u64 = 50_000;
/// A planted bug of the store meets one commit in so many.
const ONE_IN: u64 = 40;

pub struct WatchedStore(pub Shared);

impl Store for WatchedStore {
    fn commit(&self, commit: Commit) -> Pending<'_, Result<(), CommitError>> {
        let shared = Shared::clone(&self.0);
        Box::pin(async move {
            let number = {
                let mut state = shared.state();
                state.commits += 1;
                state.committing += 1;
                state.commits
            };
            let result = apply(&shared, number, commit).await;
            shared.state().committing -= 1;
            result
        })
    }

    fn submit(&self, submission: Submission) -> Pending<'_, Result<Submitted, SubmitError>> {
        self.0.store.submit(submission)
    }

    fn touch(&self, id: ChangeId, version: u64, was: Option<Timestamp>, due: Timestamp) -> Pending<'_, Result<bool, Unavailable>> {
        self.0.store.touch(id, version, was, due)
    }

    fn due(&self, now: Timestamp, limit: usize) -> Pending<'_, Result<Vec<Active>, Unavailable>> {
        self.0.store.due(now, limit)
    }

    fn open_rollouts(&self) -> Pending<'_, Result<Vec<Rollout>, Unavailable>> {
        self.0.store.open_rollouts()
    }

    fn rollouts(&self, after: Option<RolloutId>, limit: usize) -> Pending<'_, Result<Vec<Rollout>, Unavailable>> {
        self.0.store.rollouts(after, limit)
    }

    fn rollout(&self, id: RolloutId) -> Pending<'_, Result<Option<Rollout>, Unavailable>> {
        self.0.store.rollout(id)
    }

    fn change(&self, id: ChangeId) -> Pending<'_, Result<Option<Active>, Unavailable>> {
        self.0.store.change(id)
    }

    fn candidates(&self, id: RolloutId, wave: u16, limit: usize) -> Pending<'_, Result<Candidates, Unavailable>> {
        self.0.store.candidates(id, wave, limit)
    }

    fn settled(
        &self,
        id: RolloutId,
        words: &'static [&'static str],
        places: std::ops::Range<u32>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Change>, Unavailable>> {
        self.0.store.settled(id, words, places, limit)
    }

    fn holder(&self, instance: &InstanceKey) -> Pending<'_, Result<Option<ChangeId>, Unavailable>> {
        self.0.store.holder(instance)
    }

    fn full_group(&self, id: RolloutId, target: &Target) -> Pending<'_, Result<Option<FullGroup>, Unavailable>> {
        self.0.store.full_group(id, target)
    }

    fn known_jobs(&self, instance: &InstanceKey) -> Pending<'_, Result<Vec<JobId>, Unavailable>> {
        self.0.store.known_jobs(instance)
    }

    fn page(&self, id: RolloutId, words: Vec<String>, after: Option<u32>, limit: usize) -> Pending<'_, Result<Page, Unavailable>> {
        self.0.store.page(id, words, after, limit)
    }

    fn journal(&self, rollout: Option<RolloutId>, after: u64, limit: usize) -> Pending<'_, Result<Vec<Entry>, Unavailable>> {
        self.0.store.journal(rollout, after, limit)
    }

    fn targets(&self, id: RolloutId) -> Pending<'_, Result<Option<Vec<Target>>, Unavailable>> {
        self.0.store.targets(id)
    }

    fn enforcements(&self) -> Pending<'_, Result<Vec<Enforcement>, Unavailable>> {
        self.0.store.enforcements()
    }

    fn enforcement(&self, name: &Name) -> Pending<'_, Result<Option<Enforcement>, Unavailable>> {
        self.0.store.enforcement(name)
    }

    fn enforce(&self, commit: EnforcementCommit) -> Pending<'_, Result<(), CommitError>> {
        self.0.store.enforce(commit)
    }

    fn health(&self) -> Health {
        self.0.store.health()
    }
}

async fn apply(shared: &Shared, number: u64, commit: Commit) -> Result<(), CommitError> {
    if number > COMMITS_MAX {
        shared.violate("the engine commits without end");
        pending::<()>().await;
    }
    match shared.planted {
        Wrong::CommitToldTooEarly if commit.moves.is_none() => {
            let later = Shared::clone(shared);
            tokio::spawn(async move {
                sleep(later.draw(0, TOO_EARLY_BY)).await;
                let _ = later.apply(commit);
            });
            return Ok(());
        }
        Wrong::CommitLost if commit.moves.is_none() && number.is_multiple_of(ONE_IN) => return Ok(()),
        _ => {}
    }
    if shared.slow_store && commit.durability == Durability::Synced {
        shared.fire("slow_commit");
        sleep(shared.draw(0, SYNC_MAX)).await;
    }
    let words = || commit.changes.iter().map(|change| format!("{} {}", change.ordinal, change.record.state.word())).collect::<Vec<_>>();
    shared.tell(|| format!("commit {number} {:?} {:?}", commit.moves.as_ref().map(|moves| &moves.why), words()));
    shared.apply(commit)
}
