//! Rebuilds a queue from a journal, in a directory of its own.
//!
//! Invariant: the code that folds and writes while a daemon runs folds and writes here, so the
//! outcome is what the queue must hold.

use std::path::Path;

use super::extent::Extent;
use super::offline::{journal, submissions};
use super::witness::CACHE;
use crate::store::applied::Applied;
use crate::store::error::OpenError;
use crate::store::failpoint::Failpoint;
use crate::store::open::{CHUNK, QueueRefusal, fold, guarded};
use crate::store::packer::pack_alone;
use crate::store::pending::PendingRecord;
use crate::store::queue::Queue;
use crate::store::record::Mark;
use crate::store::state::StoreState;

/// Builds the queue of the store in `dir` as it is after the entry `until`, in the directory
/// `queue`.
pub(super) fn build(
    dir: &Path,
    store: &str,
    extent: &Extent,
    until: u64,
    queue: &Path,
) -> Result<Queue, OpenError> {
    let built = guarded(|| fill(dir, store, extent, until, queue));
    built.map_err(|refused| match refused {
        QueueRefusal::Open(error) => error,
        QueueRefusal::Damaged(what) => {
            let what = format!("no queue can be built of it: {what}");
            OpenError::Damaged { path: journal(dir), line: 0, what }
        }
    })
}

fn fill(
    dir: &Path,
    store: &str,
    extent: &Extent,
    until: u64,
    queue: &Path,
) -> Result<Queue, QueueRefusal> {
    let folder = submissions(dir);
    let queue = Queue::open(queue, CACHE, store, true, Failpoint::default())?;
    let (mut state, mut applied) = (StoreState::default(), Applied::default());
    let mut records: Vec<PendingRecord> = Vec::new();
    let mut absorb = |records: &mut Vec<PendingRecord>, reached: Mark, state: &mut StoreState| {
        applied.absorb(records, &queue, reached)?;
        let closed = applied.take_closed();
        if !closed.is_empty() {
            queue.sync()?;
            pack_alone(&queue, closed)?;
        }
        state.applied(reached.seq);
        records.clear();
        Ok::<(), QueueRefusal>(())
    };
    let reached = extent.walk::<QueueRefusal>(until, &mut |walked| {
        let (whole, reached) =
            (walked.line.more == 0, Mark { seq: walked.line.entry.seq, head: walked.digest });
        records.push(fold(&folder, &mut state, walked.line)?);
        if whole && records.len() >= CHUNK {
            absorb(&mut records, reached, &mut state)?;
        }
        Ok(())
    })?;
    if !records.is_empty() {
        absorb(&mut records, reached, &mut state)?;
    }
    state.adds_up().map_err(QueueRefusal::Damaged)?;
    queue.sync()?;
    Ok(queue)
}
