//! Reads the journal along and draws the traces of changes that have settled.
//!
//! Job: remember where the entries of each change in flight stand, hold those of sampled changes
//! whole, and draw when the last one comes.
//!
//! Invariants: each line is passed once; of a change that is not sampled only places of lines are
//! kept, and read again if it fails. At most [`FOLLOWED_MAX`] changes are followed; beyond that,
//! and of what lies further back than [`LOOK_BACK`] at the start, a trace says that its beginning
//! is missing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::sender::TraceQueue;
use super::story;
use crate::domain::change::StateKind;
use crate::domain::id::ChangeId;
use crate::domain::journal::Entry;
use crate::domain::tally::Standing;
use crate::engine::Snapshot;
use crate::store::{PassedMove, Store, Unavailable};

/// Lines passed in one read.
const LINES: usize = 2_000;

/// Changes in flight that are followed.
const FOLLOWED_MAX: usize = 100_000;

/// Entries of one change that are drawn.
const ENTRIES_MAX: usize = 200;

/// Entries before the last one, at the start, in which changes in flight have begun.
const LOOK_BACK: u64 = 100_000;

/// The journal is read at most this often.
const PACE: Duration = Duration::from_secs(1);

/// A change in flight.
#[derive(Default)]
struct TracedChange {
    /// Its first entry was seen.
    whole: bool,
    /// Where its entries stand.
    places: Vec<u64>,
    /// The entries themselves, of one that is sampled.
    entries: Vec<Entry>,
}

struct JournalFollower {
    share: u32,
    store: Arc<dyn Store>,
    queue: TraceQueue,
    read_to: u64,
    /// Entries up to this one were there at the start: what they settled was drawn before, or
    /// never.
    old: u64,
    followed: BTreeMap<ChangeId, TracedChange>,
}

/// Follows until the engine or the store ends.
pub(super) async fn follow(
    share: u32,
    store: Arc<dyn Store>,
    mut snapshot: watch::Receiver<Arc<Snapshot>>,
    queue: TraceQueue,
) {
    let old = store.health().seq;
    let followed = BTreeMap::new();
    let read_to = old.saturating_sub(LOOK_BACK);
    let mut follower = JournalFollower { share, store, queue, read_to, old, followed };
    let mut tick = tokio::time::interval(PACE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if let Err(error) = follower.read_along().await {
            return tracing::warn!(%error, "no trace is drawn any more");
        }
        if snapshot.changed().await.is_err() {
            return;
        }
    }
}

impl JournalFollower {
    async fn read_along(&mut self) -> Result<(), Unavailable> {
        loop {
            let share = self.share;
            let sampled = Arc::new(move |id| story::is_sampled(id, share));
            let passed = self.store.passed_moves(self.read_to, LINES, sampled).await?;
            self.read_to = passed.up_to;
            for one in passed.moves {
                self.pass(one).await?;
            }
            if passed.is_last {
                return Ok(());
            }
        }
    }

    async fn pass(&mut self, passed: PassedMove) -> Result<(), Unavailable> {
        let PassedMove { seq, id, from, to, entry } = passed;
        let begins = from == StateKind::Queued;
        if begins && self.followed.len() < FOLLOWED_MAX {
            self.followed.insert(id, TracedChange { whole: true, ..TracedChange::default() });
        }
        let room = self.followed.len() < FOLLOWED_MAX;
        if !room && !self.followed.contains_key(&id) && !story::is_always_drawn(to) {
            return Ok(());
        }
        let followed = self.followed.entry(id).or_default();
        if followed.places.len() < ENTRIES_MAX {
            followed.places.push(seq);
            followed.entries.extend(entry);
        }
        if to == StateKind::Queued {
            // Released and recalled: nothing has happened.
            self.followed.remove(&id);
        } else if !matches!(Standing::of_kind(to), Standing::Queued | Standing::Active)
            && let Some(followed) = self.followed.remove(&id)
            && seq > self.old
        {
            self.draw(id, to, followed).await?;
        }
        Ok(())
    }

    async fn draw(
        &self,
        id: ChangeId,
        outcome: StateKind,
        followed: TracedChange,
    ) -> Result<(), Unavailable> {
        let TracedChange { whole, places, mut entries } = followed;
        if !story::is_sampled(id, self.share) {
            if !story::is_always_drawn(outcome) {
                return Ok(());
            }
            for place in places {
                entries.extend(self.store.journal(None, place - 1, 1).await?);
            }
        }
        let rollout = self.store.rollout(id.rollout).await?;
        let plan = rollout.map_or(String::new(), |rollout| rollout.plan.name.to_string());
        if let Some(drawn) = story::draw(id, &plan, &entries, !whole) {
            self.queue.push(drawn);
        }
        Ok(())
    }
}
