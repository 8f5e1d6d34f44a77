//! What the callers of the store on disk share with its writers: the state, the queue of commits,
//! and how far each is.
//!
//! Invariants: commits are checked, folded and queued under one lock, so the journal has the order
//! of the state; after a failure nothing is accepted any more. Locks are taken in the order
//! [`CommitQueue`], [`Applied`]; the writer never takes the former while it holds the latter.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};

use crate::domain::histogram::Histogram;
use crate::domain::id::ChangeId;

use super::applied::{Applied, Closed, Filed, ReadError};
use super::backlog::Backlog;
use super::error::{QueueError, WriterFailure, panic_message};
use super::home::Home;
use super::packing::PackingLine;
use super::pending::PendingRecord;
use super::queue::Queue;
use super::reader::Reader;
use super::record::Mark;
use super::row::StoredChange;
use super::state::StoreState;
use super::submission::path;
use super::{SYNC_BOUNDS, Unavailable};

/// Commits of one batch at most: more buys nothing but latency.
const BATCH_COMMITS: usize = 256;

/// Lines of one batch, beyond which no further commit joins it: about 512 KiB.
const BATCH_LINES: usize = 1_024;

/// What all sides share.
#[derive(Debug)]
pub(crate) struct StoreShared {
    pub home: Home,
    pub queue: Queue,
    /// What the journal has and the queue not yet.
    pub backlog: Backlog,
    /// What is over and lies in the queue's trees still.
    pub packing: PackingLine,
    inner: Mutex<CommitQueue>,
    wake: Condvar,
    applied: RwLock<Applied>,
    synced: Mutex<SyncedUpTo>,
    progress: watch::Sender<WriterProgress>,
    failed: watch::Sender<Option<String>>,
    syncs: AtomicU64,
    sync_times: Mutex<Histogram>,
}

/// The state, and the commits that wait for the writer.
#[derive(Debug)]
pub(crate) struct CommitQueue {
    pub state: StoreState,
    items: VecDeque<Item>,
    stopping: bool,
    failed: Option<Unavailable>,
}

/// One commit in line.
#[derive(Debug)]
pub(crate) struct Item {
    pub records: Vec<PendingRecord>,
    /// Who waits for it to be durable.
    pub waits: Option<oneshot::Sender<Result<(), Unavailable>>>,
    /// Its place in line, given free when it is in the journal; held, never read.
    pub _place: OwnedSemaphorePermit,
}

#[derive(Debug, Clone)]
pub(crate) struct SyncedUpTo {
    pub mark: Mark,
    pub reader: Reader,
    pub journal_bytes: u64,
}

/// How far the writer is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WriterProgress {
    /// The journal is synced up to here.
    pub synced: u64,
    /// The queue shows everything up to here.
    pub applied: u64,
    over: bool,
}

impl StoreShared {
    /// Brings together what was opened.
    pub fn new(
        home: Home,
        queue: Queue,
        state: StoreState,
        applied: Applied,
        synced: SyncedUpTo,
        packing: PackingLine,
    ) -> Self {
        let seq = state.seq();
        Self {
            home,
            queue,
            backlog: Backlog::new(synced.mark),
            packing,
            inner: Mutex::new(CommitQueue {
                state,
                items: VecDeque::new(),
                stopping: false,
                failed: None,
            }),
            wake: Condvar::new(),
            applied: RwLock::new(applied),
            synced: Mutex::new(synced),
            progress: watch::channel(WriterProgress { synced: seq, applied: seq, over: false }).0,
            failed: watch::channel(None).0,
            syncs: AtomicU64::new(0),
            sync_times: Mutex::new(Histogram::new(&SYNC_BOUNDS)),
        }
    }

    /// The state and the queued commits, unless the store is out of order.
    pub fn commit_queue(&self) -> Result<MutexGuard<'_, CommitQueue>, Unavailable> {
        // A panic under this lock may have left the state half changed.
        let inner = self
            .inner
            .lock()
            .map_err(|_| Unavailable("the books were left half changed by a panic".into()))?;
        match &inner.failed {
            Some(failed) => Err(failed.clone()),
            None => Ok(inner),
        }
    }

    /// Queues a commit; the state must have been folded under the same lock.
    pub fn enqueue(&self, mut inner: MutexGuard<'_, CommitQueue>, item: Item) {
        inner.items.push_back(item);
        drop(inner);
        self.wake.notify_one();
    }

    /// The next batch, whole commits in their order; `None` when the store is closing and nothing
    /// waits.
    pub fn next_batch(&self) -> Option<Vec<Item>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        while inner.items.is_empty() {
            if inner.stopping || inner.failed.is_some() {
                return None;
            }
            inner = self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        let mut lines = 0;
        let fits = |item: &&Item| {
            let first = lines == 0;
            lines += item.records.len();
            first || lines <= BATCH_LINES
        };
        let count = inner.items.iter().take(BATCH_COMMITS).take_while(fits).count();
        Some(inner.items.drain(..count).collect())
    }

    /// Nothing more is accepted; the writer ends when nothing waits.
    pub fn stop(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).stopping = true;
        self.wake.notify_all();
        self.packing.end();
    }

    /// After the writer has ended: every later call is refused.
    pub fn closed(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.failed.get_or_insert_with(|| Unavailable("the store is closed".into()));
        drop(inner);
        self.progress.send_modify(|progress| progress.over = true);
    }

    /// A write or sync failed, or the queue is damaged: final for this process.
    pub fn fail(&self, reason: &str) -> Unavailable {
        let failed = Unavailable(reason.to_owned());
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let first = inner.failed.is_none();
        inner.failed.get_or_insert_with(|| failed.clone());
        let items: Vec<Item> = inner.items.drain(..).collect();
        drop(inner);
        for waits in items.into_iter().filter_map(|item| item.waits) {
            // Who committed may have gone away.
            let _ = waits.send(Err(failed.clone()));
        }
        if first {
            tracing::error!(reason, "the store has failed; the process must end and start again");
            self.failed.send_replace(Some(reason.to_owned()));
        }
        self.progress.send_modify(|progress| progress.over = true);
        self.backlog.abandon();
        self.packing.end();
        self.wake.notify_all();
        failed
    }

    /// Fails the store when its directory is not where it was opened.
    pub fn confirm(&self) -> Result<(), Unavailable> {
        self.home.confirm().map_err(|error| self.fail(&WriterFailure::Gone(error).to_string()))
    }

    /// The queue cannot be trusted: the next start rebuilds it.
    pub fn distrust(&self, reason: &str) -> Unavailable {
        if let Err(error) =
            super::files::write_whole(self.home.dir(), "queue.suspect", reason.as_bytes())
        {
            tracing::error!(%error, "cannot leave word that the queue is damaged; the next start may have to find out by itself");
        }
        self.fail(&format!(
            "the queue is damaged ({reason}); the next start builds it anew from the journal"
        ))
    }

    /// Does a thread's work on the queue; an error or a panic there is final for this process.
    pub fn guarded(&self, doing: &str, work: impl FnOnce() -> Result<(), QueueError>) {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(())) => {}
            Ok(Err(QueueError::Damaged(reason))) => drop(self.distrust(&reason)),
            Ok(Err(error)) => drop(self.fail(&format!("cannot {doing}: {error}"))),
            // sled panics on much that it cannot read.
            Err(panic) => drop(self.distrust(&panic_message(panic.as_ref()))),
        }
    }

    /// What a failed read means for the store.
    pub fn read_failed(&self, error: ReadError) -> Unavailable {
        match error {
            ReadError::Queue(QueueError::Damaged(reason)) => self.distrust(&reason),
            ReadError::Queue(error) => Unavailable(format!("cannot read the queue: {error}")),
            ReadError::Other(error) => error,
        }
    }

    /// Becomes `Some` when the store has failed.
    pub fn failure(&self) -> watch::Receiver<Option<String>> {
        self.failed.subscribe()
    }

    /// The rollouts as the queue shows them.
    pub fn applied(&self) -> RwLockReadGuard<'_, Applied> {
        // Only the writer changes it, and a writer that panicked has failed the store.
        self.applied.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the queue, and what it shows, to the end of a batch.
    pub fn absorb(&self, records: &[PendingRecord], reached: Mark) -> Result<(), QueueError> {
        self.applied.write().unwrap_or_else(PoisonError::into_inner).absorb(
            records,
            &self.queue,
            reached,
        )?;
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).state.applied(reached.seq);
        self.progress.send_modify(|progress| progress.applied = reached.seq);
        Ok(())
    }

    /// What is over since this was last asked.
    pub fn take_closed(&self) -> Vec<Closed> {
        self.applied.write().unwrap_or_else(PoisonError::into_inner).take_closed()
    }

    /// Rollouts that are over and have rows in the queue's trees.
    pub fn unpacked(&self) -> Result<Vec<Closed>, QueueError> {
        Ok(self.applied().over(&self.queue.unpacked()?))
    }

    /// Bytes that were written beside the journal since then: submissions, and the rows of what
    /// ended. A file is counted by when its rollout moved, because a queue that is rebuilt writes
    /// all of them again.
    pub fn filed_since(&self, since: Timestamp) -> Result<u64, Unavailable> {
        let Filed { submissions, over } = self.applied().filed_since(since);
        let folder = self.home.submissions();
        let submissions = submissions
            .into_iter()
            .map(|digest| path(&folder, digest).metadata().map(|meta| meta.len()));
        let over = over.into_iter().map(|id| self.queue.over.bytes_of(id));
        let bytes: std::io::Result<u64> = submissions.chain(over).sum();
        bytes.map_err(|error| {
            Unavailable(format!(
                "cannot look at what is stored in {}: {error}",
                self.home.dir().display()
            ))
        })
    }

    /// Does something to the queue while nobody reads rows of it.
    pub fn while_nobody_reads<T>(&self, work: impl FnOnce() -> T) -> T {
        let _landed = self.applied.write().unwrap_or_else(PoisonError::into_inner);
        work()
    }

    /// A settled change that the state no longer holds.
    pub fn settled(&self, id: ChangeId) -> Result<Option<StoredChange>, Unavailable> {
        self.applied().settled(id, &self.queue).map_err(|error| self.read_failed(error))
    }

    /// Journal or queue was synced to disk once more.
    pub fn count_sync(&self) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }

    /// How often journal or queue were synced to disk since the start.
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    /// A batch of the journal is written and synced, and took so long.
    pub fn time_sync(&self, took: Duration) {
        self.sync_times.lock().unwrap_or_else(PoisonError::into_inner).add(took);
    }

    /// How long batches of the journal took, since the start.
    pub fn sync_times(&self) -> Histogram {
        *self.sync_times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn synced(&self) -> SyncedUpTo {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The journal is synced up to here.
    pub fn set_synced(&self, synced: SyncedUpTo) {
        let seq = synced.mark.seq;
        *self.synced.lock().unwrap_or_else(PoisonError::into_inner) = synced;
        self.progress.send_modify(|progress| progress.synced = seq);
    }

    /// Waits until the writer is that far.
    pub async fn reach(
        &self,
        seq: u64,
        far: impl Fn(&WriterProgress) -> u64,
    ) -> Result<(), Unavailable> {
        let mut progress = self.progress.subscribe();
        let reached = progress
            .wait_for(|progress| progress.over || far(progress) >= seq)
            .await
            .map(|progress| far(&progress) >= seq);
        match reached {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(self
                .commit_queue()
                .err()
                .unwrap_or_else(|| Unavailable("the store is closed".into()))),
        }
    }
}
