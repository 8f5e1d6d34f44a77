//! The store on disk: a journal that is the truth, sled as the queue beside it, each with a thread
//! that writes it.
//!
//! Invariants: what was acknowledged survives a power cut (`Synced`), or is ordered before
//! everything that comes later (`Ordered`); lists, pages and the journal show only what is durable;
//! after a failed write or sync every call is refused, and [`SledStore::failed`] says so: the
//! process must end and start again.
//!
//! The crate is written `::sled` here, so that the file keeps its guessable name.
//!
//! Deliberately not here: checks (`check`), the order of commits (`writer`), and what a start does
//! (`open`).

mod reads;
mod submissions;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::ready;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::domain::change::Change;
use crate::domain::group::FullGroup;
use crate::domain::id::{ChangeId, InstanceId, JobId, Name, RolloutId};
use crate::domain::journal::Entry;
use crate::domain::target::Target;

use super::bins::{Activity, ActivityQuery};
use super::check::SettledRows;
use super::error::OpenError;
use super::failpoint::Failpoint;
use super::growth::growth;
use super::home::{IDENTITY, StoreIdentity};
use super::maintenance::export::Export;
use super::maintenance::provenance;
use super::open::{Headway, OpenSettings, OpenedStore, open};
use super::packer::Packer;
use super::packing::PackingLine;
use super::page::PageQuery;
use super::queue_writer::QueueWriter;
use super::running::{DaemonRows, Exporter, RunningStore};
use super::shared::{CommitQueue, Item, StoreShared, SyncedUpTo, WriterProgress};
use super::workers::{NoAnswer, Workers};
use super::writer::{JournalWriter, synced};
use super::{
    Active, Candidates, ChangeFilter, ChangeStory, Commit, CommitError, DuePlace, Durability,
    Enforcement, EnforcementCommit, Growth, Health, Milestones, Page, PassedMoves, Pending,
    Rollout, Store, Submission, SubmitError, Submitted, TakesWhole, Unavailable,
};

/// Commits that may be in line for the writer; who comes later waits for a place.
const LINE_MAX: usize = 4_096;

/// How long the queue gathers entries: longer than most changes live at full speed, so that most
/// are written to it once, and short beside the time that a start takes anyway.
const GATHER: Duration = Duration::from_millis(200);

/// Rows of what is over that may wait until they leave sled: more than a cloud's quota lets anybody
/// settle while the largest rollout is packed, and a few MiB of sled's table of pages.
const PACKING_ROWS_MAX: u64 = 100_000;

/// How a store on disk is opened.
#[derive(Debug, Clone)]
pub struct SledOptions {
    /// sled's cache, in bytes. A hint to sled, which keeps a page decoded at several times its
    /// size. With 1, 2 and 8 MiB a rollout of 60,000 changes at 64 in flight is equally fast,
    /// because the kernel keeps the file, and the process takes about 46, 48 and 60 MiB for it; at
    /// 256 in flight 1 MiB costs a tenth more processor time than 2.
    pub cache_bytes: u64,
    /// Free space on the file system, in bytes, below which no new rollout is accepted: what is
    /// accepted must be able to be carried to its end.
    pub floor_bytes: u64,
    /// Size of a journal segment, in bytes, at which the next one is begun.
    pub segment_bytes: u64,
    /// Journal entries after which the mark is renewed; a segment's begin and a clean stop renew it
    /// too.
    pub mark_every: u64,
    /// How long the queue gathers journal entries before it takes them in, at most: what a start
    /// after a crash replays from the journal. Zero: every batch at once. Whoever reads the queue
    /// does not wait for it.
    pub gather: Duration,
    /// Rows of what is over that may wait until they leave sled; while more do, the queue takes
    /// nothing in.
    pub packing_rows_max: u64,
    /// Whether the store's id stands beside its directory too, and a start without that store is
    /// refused.
    pub id_beside: bool,
    /// Told how far a start is that brings the queue after the journal.
    pub headway: watch::Sender<Headway>,
    pub(crate) failpoint: Failpoint,
}

impl Default for SledOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 2 << 20,
            floor_bytes: 256 << 20,
            segment_bytes: 64 << 20,
            mark_every: 10_000,
            gather: GATHER,
            packing_rows_max: PACKING_ROWS_MAX,
            id_beside: false,
            headway: watch::Sender::default(),
            failpoint: Failpoint::default(),
        }
    }
}

/// The store on disk.
#[derive(Debug)]
pub struct SledStore {
    /// What its threads share.
    pub(super) shared: Arc<StoreShared>,
    workers: Workers,
    places: Arc<Semaphore>,
    writer: Mutex<Option<JoinHandle<()>>>,
    options: SledOptions,
    rebuilt: Option<String>,
    torn: Option<String>,
    fresh_import: Option<String>,
}

impl SledStore {
    /// Whether there is a store in the directory.
    pub fn is_at(dir: &Path) -> bool {
        dir.join(IDENTITY).exists()
    }

    /// Opens the store in a directory, and creates it when it is not there. Blocks while it reads;
    /// damage of the queue is repaired (see [`Health::rebuilt`]), damage of the journal is refused.
    pub fn open(dir: &Path, options: SledOptions) -> Result<Self, OpenError> {
        let failpoint = options.failpoint.clone();
        let settings = OpenSettings {
            segment_bytes: options.segment_bytes,
            cache_bytes: options.cache_bytes,
            id_beside: options.id_beside,
            headway: options.headway.clone(),
            failpoint: failpoint.clone(),
        };
        let OpenedStore { home, journal, queue, state, applied, rebuilt, torn } =
            open(dir, &settings)?;
        let fail = |source| OpenError::Directory {
            what: "start the threads for",
            path: dir.to_owned(),
            source,
        };
        let fresh_import = provenance::fresh_import(dir, journal.mark())?;
        let packing = PackingLine::new(options.packing_rows_max);
        let shared =
            Arc::new(StoreShared::new(home, queue, state, applied, synced(&journal), packing));
        let workers = Workers::start().map_err(fail)?;
        let packer = Packer { shared: Arc::clone(&shared) };
        let packer = std::thread::Builder::new()
            .name("store-pack".into())
            .spawn(move || packer.run())
            .map_err(fail)?;
        let queue_writer = QueueWriter {
            shared: Arc::clone(&shared),
            gather: options.gather,
            packer: Some(packer),
        };
        let queue_writer = std::thread::Builder::new()
            .name("store-queue".into())
            .spawn(move || queue_writer.run());
        let queue_writer = queue_writer.map_err(|error| {
            shared.packing.end();
            fail(error)
        })?;
        let writer = JournalWriter {
            shared: Arc::clone(&shared),
            journal,
            failpoint,
            mark_every: options.mark_every,
            marked: 0,
            in_step: options.gather.is_zero(),
            queue_writer: Some(queue_writer),
        };
        let writer =
            std::thread::Builder::new().name("store-write".into()).spawn(move || writer.run());
        let writer = writer.map_err(|error| {
            shared.backlog.abandon();
            fail(error)
        })?;
        let places = Arc::new(Semaphore::new(LINE_MAX));
        Ok(Self {
            shared,
            workers,
            places,
            writer: Mutex::new(Some(writer)),
            options,
            rebuilt,
            torn,
            fresh_import,
        })
    }

    /// Becomes `Some` with the reason when the store has failed for good: the process must end with
    /// an error, so that it is started again.
    pub fn failed(&self) -> watch::Receiver<Option<String>> {
        self.shared.failure()
    }

    /// Rollouts that are over and have rows in the queue's trees.
    #[cfg(test)]
    pub(crate) fn unpacked(&self) -> Result<Vec<super::applied::Closed>, super::error::QueueError> {
        self.shared.unpacked()
    }

    /// How many of each thing it keeps in memory and in the queue's trees beside one entry a
    /// rollout.
    #[cfg(test)]
    pub(crate) fn kept(&self) -> Vec<(&'static str, usize)> {
        use super::draft::TreeName;
        let trees = self
            .shared
            .queue
            .trees()
            .into_iter()
            .filter(|(name, _)| !matches!(name, TreeName::Rollouts | TreeName::Bins));
        let state = self.shared.commit_queue().expect("in order").state.kept();
        state.into_iter().chain(trees.map(|(name, tree)| (name.as_str(), tree.len()))).collect()
    }

    /// How often journal or queue were synced to disk since the start.
    pub fn syncs(&self) -> u64 {
        self.shared.syncs()
    }

    /// What was cut off the journal's end at start: a commit that a crash left unfinished, and
    /// nobody was notified of.
    pub fn torn(&self) -> Option<&str> {
        self.torn.as_deref()
    }

    /// Where the journal lies, and what is synced of it.
    pub(crate) fn synced_journal(&self) -> (PathBuf, SyncedUpTo) {
        (self.shared.home.journal(), self.shared.synced())
    }

    /// The directory, and what it says of itself.
    pub(crate) fn home(&self) -> (PathBuf, StoreIdentity) {
        (self.shared.home.dir().to_owned(), self.shared.home.identity().clone())
    }

    /// What the store is called, drawn when it was made.
    pub fn id(&self) -> &str {
        &self.shared.home.identity().id
    }

    /// What there is to know of a store that was imported and has not moved since: calls that its
    /// original made are in no journal of ours.
    pub fn fresh_import(&self) -> Option<&str> {
        self.fresh_import.as_deref()
    }

    /// Writes all that waits, renews the mark and ends the threads. Blocks. Later calls are
    /// refused.
    pub fn close(&self) -> Result<(), Unavailable> {
        self.shared.stop();
        self.workers.stop();
        if let Some(writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the writer is caught where it happens and has failed the store.
            let _ = writer.join();
        }
        match self.failed().borrow().clone() {
            Some(reason) => Err(Unavailable(reason)),
            None => Ok(()),
        }
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, Unavailable> {
        Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_| Unavailable("the store is closed".into()))
    }

    /// Runs a read that may wait for the disk. One that panics has met damage in the queue.
    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&StoreShared) -> Result<T, Unavailable> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let shared = Arc::clone(&self.shared);
        match self.workers.run(move || job(&shared)).await {
            Ok(answer) => answer,
            Err(NoAnswer::Stopped) => Err(Unavailable("the store is closed".into())),
            Err(NoAnswer::Panicked(reason)) => Err(self.shared.distrust(&reason)),
        }
    }

    /// Answers from the state in memory; never waits for the disk longer than one block of a
    /// submission.
    fn answer_from_state<T: Send + 'static>(
        &self,
        answer: impl FnOnce(&mut CommitQueue) -> Result<T, Unavailable>,
    ) -> Pending<'static, Result<T, Unavailable>> {
        Box::pin(ready(self.shared.commit_queue().and_then(|mut inner| answer(&mut inner))))
    }

    /// Waits until lists and pages show all that was acknowledged by now.
    async fn caught_up(&self) -> Result<(), Unavailable> {
        let seq = self.shared.commit_queue()?.state.seq();
        self.shared.backlog.want(seq);
        self.shared.reach(seq, |progress: &WriterProgress| progress.applied).await
    }

    async fn synced_up(&self) -> Result<(), Unavailable> {
        let seq = self.shared.commit_queue()?.state.seq();
        self.shared.reach(seq, |progress: &WriterProgress| progress.synced).await
    }

    fn refusing(&self) -> Option<String> {
        let floor = self.options.floor_bytes;
        match self.shared.home.free_bytes() {
            Ok(free) if free >= floor => None,
            Ok(free) => Some(format!(
                "{} MiB are free at {}, the floor is {} MiB",
                free >> 20,
                self.shared.home.dir().display(),
                floor >> 20
            )),
            Err(error) => Some(format!(
                "cannot tell the free space at {}: {error}",
                self.shared.home.dir().display()
            )),
        }
    }

    async fn commit_now(&self, commit: Commit) -> Result<(), CommitError> {
        let place = self.place().await?;
        let synced = commit.durability == Durability::Synced;
        let durable = {
            let mut inner = self.shared.commit_queue()?;
            let mut settled = SettledRows::new();
            for id in inner.state.wants(&commit) {
                settled.extend(self.shared.settled(id)?.map(|row| (id, row)));
            }
            let prepared = inner.state.check(commit, &settled)?;
            let applied = inner.state.apply(prepared);
            let records = match applied {
                Ok(records) => records,
                Err(error) => {
                    // What is half folded may not be gone on with.
                    drop(inner);
                    return Err(self.shared.fail(&error.0).into());
                }
            };
            if records.is_empty() {
                return Ok(());
            }
            let (waits, durable) =
                if synced { Some(oneshot::channel()).unzip() } else { (None, None) };
            self.shared.enqueue(inner, Item { records, waits, _place: place });
            durable
        };
        match durable {
            Some(durable) => {
                Ok(durable.await.map_err(|_| Unavailable("the store has failed".into()))??)
            }
            None => Ok(()),
        }
    }

    async fn enforce_now(&self, commit: EnforcementCommit) -> Result<(), CommitError> {
        let place = self.place().await?;
        let durable = {
            let mut inner = self.shared.commit_queue()?;
            let pending = inner.state.enforce(commit)?;
            let (waits, durable) = oneshot::channel();
            self.shared
                .enqueue(inner, Item { records: vec![pending], waits: Some(waits), _place: place });
            durable
        };
        Ok(durable.await.map_err(|_| Unavailable("the store has failed".into()))??)
    }
}

impl Exporter for SledStore {
    fn export(&self) -> Result<Export, Unavailable> {
        let (dir, identity) = self.home();
        let (journal, synced) = self.synced_journal();
        Export::of_open(dir, identity, journal, &synced)
    }
}

impl RunningStore for SledStore {
    fn id(&self) -> &str {
        Self::id(self)
    }

    fn failed(&self) -> watch::Receiver<Option<String>> {
        Self::failed(self)
    }

    fn daemon_rows(&self) -> Option<&dyn DaemonRows> {
        None
    }

    fn fresh_import(&self) -> Option<&str> {
        Self::fresh_import(self)
    }

    fn close(&self) -> Result<(), Unavailable> {
        Self::close(self)
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        // A failure was told to everyone who asked; here nobody does.
        let _ = self.close();
    }
}

impl Store for SledStore {
    fn submit(&self, submission: Submission) -> Pending<'_, Result<Submitted, SubmitError>> {
        Box::pin(self.submit_now(submission))
    }

    fn commit(&self, commit: Commit) -> Pending<'_, Result<(), CommitError>> {
        Box::pin(self.commit_now(commit))
    }

    fn due(
        &self,
        now: Timestamp,
        after: Option<DuePlace>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Active>, Unavailable>> {
        self.answer_from_state(|inner| Ok(inner.state.due(now, after, limit)))
    }

    fn open_rollouts(&self) -> Pending<'_, Result<Vec<Rollout>, Unavailable>> {
        self.answer_from_state(|inner| Ok(inner.state.open_rollouts()))
    }

    fn rollouts(
        &self,
        after: Option<RolloutId>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Rollout>, Unavailable>> {
        Box::pin(async move {
            self.caught_up().await?;
            Ok(self.shared.applied().rollouts(after, limit))
        })
    }

    fn rollout(&self, id: RolloutId) -> Pending<'_, Result<Option<Rollout>, Unavailable>> {
        self.answer_from_state(|inner| {
            Ok(inner.state.rollout(id).map(|rollout| rollout.snapshot(id)))
        })
    }

    fn change(&self, id: ChangeId) -> Pending<'_, Result<Option<Active>, Unavailable>> {
        Box::pin(ready(self.change_now(id)))
    }

    fn candidates(
        &self,
        id: RolloutId,
        wave: u16,
        limit: usize,
    ) -> Pending<'_, Result<Candidates, Unavailable>> {
        self.answer_from_state(|inner| inner.state.candidates(id, wave, limit))
    }

    fn stored(
        &self,
        id: RolloutId,
        words: &'static [&'static str],
        places: Range<u32>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Change>, Unavailable>> {
        Box::pin(self.stored_now(id, words, places, limit))
    }

    fn holder(&self, instance: &InstanceId) -> Pending<'_, Result<Option<ChangeId>, Unavailable>> {
        let instance = *instance;
        self.answer_from_state(move |inner| Ok(inner.state.holder(&instance)))
    }

    fn full_group(
        &self,
        id: RolloutId,
        target: &Target,
    ) -> Pending<'_, Result<Option<FullGroup>, Unavailable>> {
        self.answer_from_state(|inner| Ok(inner.state.full_group(id, target)))
    }

    fn known_jobs(&self, instance: &InstanceId) -> Pending<'_, Result<Vec<JobId>, Unavailable>> {
        Box::pin(ready(self.known_jobs_now(instance)))
    }

    fn filtered(
        &self,
        id: RolloutId,
        filter: ChangeFilter,
        after: Option<u32>,
        limit: usize,
    ) -> Pending<'_, Result<Page, Unavailable>> {
        Box::pin(self.page_now(PageQuery { id, filter, after, limit }))
    }

    fn story(
        &self,
        id: ChangeId,
        from: Option<u64>,
        limit: usize,
    ) -> Pending<'_, Result<ChangeStory, Unavailable>> {
        Box::pin(self.story_now(id, from, limit))
    }

    fn journal(
        &self,
        rollout: Option<RolloutId>,
        after: u64,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Entry>, Unavailable>> {
        Box::pin(self.journal_now(rollout, after, limit))
    }

    fn activity(
        &self,
        id: RolloutId,
        from: Timestamp,
        to: Timestamp,
    ) -> Pending<'_, Result<Activity, Unavailable>> {
        Box::pin(self.activity_now(ActivityQuery { id, from, to }))
    }

    fn passed_moves(
        &self,
        after: u64,
        entries: usize,
        whole: TakesWhole,
    ) -> Pending<'_, Result<PassedMoves, Unavailable>> {
        Box::pin(self.passed_now(after, entries, whole))
    }

    fn milestones(&self, seq: u64, limit: usize) -> Pending<'_, Result<Milestones, Unavailable>> {
        let synced = self.shared.synced();
        if synced.mark.seq <= seq {
            // Asked for again and again while nothing happens.
            let nothing = Milestones { entries: Vec::new(), upto: seq };
            return Box::pin(ready(self.shared.commit_queue().map(|_| nothing)));
        }
        Box::pin(self.read(move |_| Milestones::read(&synced.reader, seq, limit)))
    }

    fn targets(&self, id: RolloutId) -> Pending<'_, Result<Option<Vec<Target>>, Unavailable>> {
        Box::pin(self.targets_now(id))
    }

    fn enforcements(&self) -> Pending<'_, Result<Vec<Enforcement>, Unavailable>> {
        self.answer_from_state(|inner| Ok(inner.state.enforcements()))
    }

    fn enforcement(&self, name: &Name) -> Pending<'_, Result<Option<Enforcement>, Unavailable>> {
        self.answer_from_state(|inner| Ok(inner.state.enforcement(name)))
    }

    fn enforce(&self, commit: EnforcementCommit) -> Pending<'_, Result<(), CommitError>> {
        Box::pin(self.enforce_now(commit))
    }

    fn durable(&self) -> Pending<'_, Result<(), Unavailable>> {
        Box::pin(self.synced_up())
    }

    fn growth(&self, now: Timestamp) -> Pending<'_, Result<Option<Growth>, Unavailable>> {
        let floor = self.options.floor_bytes;
        Box::pin(self.read(move |shared| {
            let dir = shared.home.dir();
            let free = shared.home.free_bytes();
            let free = free.map_err(|error| {
                Unavailable(format!("cannot tell the free space at {}: {error}", dir.display()))
            })?;
            growth(&shared.synced(), now, (free, floor), |since| shared.filed_since(since))
        }))
    }

    fn health(&self) -> Health {
        let synced = self.shared.synced();
        let (failed, free) = (self.failed().borrow().clone(), self.shared.home.free_bytes());
        Health {
            kind: "sled",
            seq: synced.mark.seq,
            head: synced.mark.head,
            refusing: failed.clone().or_else(|| self.refusing()),
            failed,
            free_bytes: free.ok(),
            syncs: self.shared.sync_times(),
            journal_bytes: synced.journal_bytes,
            queue_bytes: self.shared.queue.bytes(),
            rebuilt: self.rebuilt.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> (SledStore, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("a directory");
        let store =
            SledStore::open(dir.path(), SledOptions { floor_bytes: 0, ..SledOptions::default() })
                .expect("a new store");
        (store, dir)
    }

    crate::store::contract::suite!(fresh());
}
