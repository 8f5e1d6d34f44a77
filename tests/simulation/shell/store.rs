//! The store in memory behind the trait that the shell uses: every commit is shown to the oracle,
//! and some take long.

use futures_util::future::pending;
use sealift::store::memory::MemoryStore;
use sealift::store::{Away, Commit, CommitError, Durability, Pending};
use tokio::sync::watch;
use tokio::time::sleep;

use super::RunShared;
use super::planted::RuntimeBug;
use crate::hooked_store::Hooks;
use crate::world::MS;

/// Longest sync of an honest store.
const SYNC_MAX: u64 = 50 * MS;
/// How long a commit of [`Wrong::CommitToldTooEarly`] takes after it was told.
const TOO_EARLY_BY: u64 = 200 * MS;
/// More commits than any honest run needs: beyond it something spins, and time stands.
const COMMITS_MAX: u64 = 50_000;
/// A planted bug of the store meets one commit in so many.
const ONE_IN: u64 = 40;

pub struct WatchedStore(pub RunShared);

impl Hooks for WatchedStore {
    fn store(&self) -> &MemoryStore {
        &self.0.store
    }

    fn away(&self) -> watch::Receiver<Option<Away>> {
        self.0.away.subscribe()
    }

    fn before_read(&self) -> Pending<'_, ()> {
        let shared = RunShared::clone(&self.0);
        Box::pin(async move { shared.read_comes().await })
    }

    fn commit(&self, commit: Commit) -> Pending<'_, Result<(), CommitError>> {
        let shared = RunShared::clone(&self.0);
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
}

async fn apply(shared: &RunShared, number: u64, commit: Commit) -> Result<(), CommitError> {
    if number > COMMITS_MAX {
        shared.violate("the engine commits without end");
        pending::<()>().await;
    }
    match shared.planted {
        RuntimeBug::CommitToldTooEarly if commit.moves.is_none() => {
            let later = RunShared::clone(shared);
            tokio::spawn(async move {
                sleep(later.draw(0, TOO_EARLY_BY)).await;
                let _ = later.apply(commit);
            });
            return Ok(());
        }
        RuntimeBug::CommitLost if commit.moves.is_none() && number.is_multiple_of(ONE_IN) => {
            return Ok(());
        }
        _ => {}
    }
    if shared.slow_store && commit.durability == Durability::Synced {
        shared.fire("slow_commit");
        sleep(shared.draw(0, SYNC_MAX)).await;
    }
    let words = || {
        commit
            .changes
            .iter()
            .map(|change| format!("{} {}", change.ordinal, change.record.state.as_str()))
            .collect::<Vec<_>>()
    };
    shared.tell(|| {
        format!("commit {number} {:?} {:?}", commit.moves.as_ref().map(|moves| &moves.why), words())
    });
    shared.apply(commit)
}
