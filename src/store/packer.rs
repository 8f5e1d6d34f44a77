//! Moves the rows of rollouts that are over out of the queue's trees, each rollout's into a file of
//! its own (`over`).
//!
//! Invariants: the rows of a rollout that is over never move; its file is whole and synced before
//! the first row leaves the tree; rows leave only while nobody reads, so that a reader finds
//! either. The next start continues what a crash or a stop left unfinished.
//!
//! Deliberately not here: the form of a file.

use std::sync::Arc;

use super::applied::Closed;
use super::error::QueueError;
use super::queue::{Queue, id_of, rows_from};
use super::shared::StoreShared;
use super::value::change_key;
use crate::domain::id::{ChangeId, RolloutId};

/// Rows that leave the tree while readers wait: a few milliseconds.
const UNLOAD: usize = 500;

pub(crate) struct Packer {
    pub shared: Arc<StoreShared>,
}

impl Packer {
    /// Packs until nothing more comes or the store ends.
    pub fn run(self) {
        self.shared.guarded("pack what is over", || self.pack_all());
    }

    fn pack_all(&self) -> Result<(), QueueError> {
        let queue = &self.shared.queue;
        // First what the last process left, or a program of before did not do.
        let left = self.shared.unpacked()?;
        for Closed { id, rows } in
            left.into_iter().chain(std::iter::from_fn(|| self.shared.packing.next()))
        {
            if !queue.pack(id, rows, &|| !self.shared.packing.has_ended())? {
                return Ok(());
            }
            while self.shared.while_nobody_reads(|| queue.unload(id, UNLOAD))? {
                if self.shared.packing.has_ended() {
                    return Ok(());
                }
            }
            queue.sync()?;
        }
        Ok(())
    }
}

/// Packs what was closed while nobody else works on the queue; what it holds must be synced.
pub(super) fn pack_alone(queue: &Queue, closed: Vec<Closed>) -> Result<(), QueueError> {
    for Closed { id, rows } in closed {
        queue.pack(id, rows, &|| true)?;
        while queue.unload(id, UNLOAD)? {}
    }
    Ok(())
}

impl Queue {
    /// Writes the file of a rollout that is over: `count` rows, all settled and synced. `false`: it
    /// was broken off.
    pub fn pack(
        &self,
        id: RolloutId,
        count: u32,
        go_on: &dyn Fn() -> bool,
    ) -> Result<bool, QueueError> {
        let failures = self.failures.range(rows_from(id, 0)).keys().map(|key| {
            let key = key?;
            Ok(id_of(&key)?.ordinal)
        });
        let failures: Vec<u32> = failures.collect::<Result<_, QueueError>>()?;
        let mut stopped = false;
        let rows = self.settled.range(rows_from(id, 0)).map(|pair| {
            let (key, value) = pair?;
            Ok((id_of(&key)?.ordinal, value))
        });
        let rows = rows.take_while(|_| {
            stopped |= !go_on();
            !stopped
        });
        let written = self.over.write(id, count, rows, &failures);
        if stopped { Ok(false) } else { written.map(|()| true) }
    }

    /// Takes up to `limit` rows out of the trees that are in the rollout's file; says whether there
    /// may be more. Nobody may read meanwhile, who could have met neither the row nor the file.
    /// What failed leaves its list first, for the rows are what the next start finds.
    pub fn unload(&self, id: RolloutId, limit: usize) -> Result<bool, QueueError> {
        for tree in [&self.failures, &self.settled] {
            let mut batch = ::sled::Batch::default();
            let mut found = 0;
            for key in tree.range(rows_from(id, 0)).keys().take(limit) {
                batch.remove(key?);
                found += 1;
            }
            tree.apply_batch(batch)?;
            if found == limit {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The rollouts that have rows in the tree of settled changes.
    pub fn unpacked(&self) -> Result<Vec<RolloutId>, QueueError> {
        let mut ids = Vec::new();
        let mut next = self.settled.first()?;
        while let Some((key, _)) = next {
            let id = id_of(&key)?.rollout;
            ids.push(id);
            next = self.settled.get_gt(change_key(ChangeId { rollout: id, ordinal: u32::MAX }))?;
        }
        Ok(ids)
    }
}
