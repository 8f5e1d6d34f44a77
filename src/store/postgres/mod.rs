//! The store in PostgreSQL, which several daemons may share: the journal is a table, and every
//! daemon's state a fold of it.
//!
//! Job: append in batches under one lock (`writer`), make durable (`barrier`), write heartbeats
//! (`beat`), fold what others
//! append (`tail`), read rows, pages and entries (`reads`), keep copies of submissions
//! (`submissions`).
//!
//! Invariants: what is acknowledged as `Synced` was covered by a synchronous commit of the server;
//! no statement depends on anything of a session's, and all are unnamed, so any pooler that keeps
//! transactions whole will do; while a connection is down the store is away, and everything waits.
//!
//! Deliberately not here: the checks and the fold (`replica`, `check`, `state`), which are those of
//! the other stores.

mod barrier;
mod beat;
pub mod check;
mod client;
mod fault;
mod index;
mod link;
mod load;
pub mod options;
mod reads;
pub mod refusal;
pub mod schema;
mod seen;
mod shared;
mod submissions;
mod tail;
#[cfg(test)]
mod tests;
mod tls;
mod writer;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::barrier::{Barrier, Unsettled};
use self::client::DatabaseClient;
use self::link::{AwayBoard, Link, LinkKeeper};
use self::options::PostgresOptions;
use self::refusal::OpenRefused;
use self::seen::{begin, look, seen, write_seen};
use self::shared::{JournalPlace, PostgresShared, SharedParts};
use self::writer::{BATCH_WORK, BatchWriter, QueuedWork, WorkAnswer};
use super::bins::{Activity, ActivityQuery};
use super::maintenance::export::Export;
use super::page::PageQuery;
use super::replica::{AcceptedWork, RefusedWork, Replica, SharedWork};
use super::running::{DaemonRows, Exporter, RunningStore};
use super::{
    Active, Away, Candidates, ChangeFilter, ChangeStory, Commit, CommitError, DuePlace, Durability,
    Enforcement, EnforcementCommit, Health, Page, Pending, Rollout, Store, Submission, SubmitError,
    Submitted, Unavailable,
};
use crate::domain::change::Change;
use crate::domain::group::FullGroup;
use crate::domain::id::{ChangeId, InstanceId, JobId, Name, RolloutId};
use crate::domain::journal::Entry;
use crate::domain::target::Target;

/// How long a store that is being closed waits for the database.
const CLOSE: Duration = Duration::from_secs(5);

/// The store in PostgreSQL.
#[derive(Debug)]
pub struct PostgresStore {
    shared: Arc<PostgresShared>,
    inbox: Mutex<Option<mpsc::Sender<QueuedWork>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// For heartbeats, of a daemon that works beside others.
    beats: Option<Link>,
    new: bool,
}

impl PostgresStore {
    /// Opens the store, and makes it where there is none and the role may.
    pub async fn open(options: PostgresOptions) -> Result<Self, OpenRefused> {
        let options = Arc::new(options);
        let seen = seen(&options)?;
        let first = DatabaseClient::open(&options).await?;
        let known = seen.as_ref().map(|(id, _)| id.as_str());
        let (id, new) = schema::prepare(&first, &options, known).await?;
        let seen = seen.map(|(_, mark)| mark);
        let id: Arc<str> = id.into();
        let (end, board) = (CancellationToken::new(), Arc::new(AwayBoard::default()));
        let keeper = LinkKeeper {
            options: options.clone(),
            id: id.clone(),
            board: board.clone(),
            end: end.clone(),
        };
        let keep = |name, idle, connected| Link::keep(name, idle, connected, keeper.clone());
        let mut more = Vec::new();
        for _ in 0..3 {
            more.push(DatabaseClient::open(&options).await?);
        }
        let [reader, uploads, barrier] =
            <[DatabaseClient; 3]>::try_from(more).expect("three were made");
        let beats = match options.daemon.is_some() {
            true => Some(keep("heartbeats", true, DatabaseClient::open(&options).await?)),
            false => None,
        };
        let (reader, uploads) = (keep("reads", false, reader), keep("uploads", true, uploads));
        let shared = Arc::new(PostgresShared::new(SharedParts {
            options: options.clone(),
            id: id.clone(),
            reader,
            uploads,
            board: board.clone(),
            end: end.clone(),
        }));
        let opened = begin(&shared, &first, seen).await;
        if let Err(error) = opened {
            end.cancel();
            return Err(error);
        }
        let (inbox, work) = mpsc::channel(4 * BATCH_WORK);
        let writer = BatchWriter {
            shared: shared.clone(),
            link: keep("commits", false, first),
            inbox: work,
            waiting: VecDeque::new(),
        };
        let writer = tokio::spawn(writer.run());
        let barrier = Barrier { shared: shared.clone(), link: keep("syncs", false, barrier) };
        tokio::spawn(barrier.run());
        tokio::spawn(look(shared.clone()));
        let (inbox, writer) = (Mutex::new(Some(inbox)), Mutex::new(Some(writer)));
        Ok(Self { shared, inbox, writer, beats, new })
    }

    /// Whether there was none before.
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// The store's id.
    pub fn id(&self) -> &str {
        &self.shared.id
    }

    async fn hand_in(&self, work: SharedWork) -> Result<WorkAnswer, Unavailable> {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(inbox) = inbox else { return Err(self.shared.closed()) };
        let (answer, answered) = oneshot::channel();
        let queued = QueuedWork { work, answer };
        inbox.send(queued).await.map_err(|_| self.shared.closed())?;
        answered.await.map_err(|_| self.shared.closed())
    }

    async fn commit_now(&self, work: SharedWork, synced: bool) -> Result<(), CommitError> {
        let WorkAnswer { outcome, epoch } = self.hand_in(work).await?;
        let mark = match outcome {
            Ok(AcceptedWork::Lines(mark)) => mark,
            Ok(AcceptedWork::Known(_)) => return Ok(()),
            Err(RefusedWork::Commit(error)) => return Err(error),
            Err(RefusedWork::Submit(_)) => return Err(CommitError::Conflict),
            Err(RefusedWork::Broken(error)) => return Err(error.into()),
        };
        if !synced {
            return Ok(());
        }
        match self.shared.settle(JournalPlace { epoch, mark }).await {
            Ok(()) => Ok(()),
            // It went with the server: whoever decided it reads and decides again.
            Err(Unsettled::Lost) => Err(CommitError::Conflict),
            Err(Unsettled::Unavailable(error)) => Err(error.into()),
        }
    }

    /// Answers from the state, once all that was committed by now is folded.
    async fn of_state<T>(&self, answer: impl FnOnce(&mut Replica) -> T) -> Result<T, Unavailable> {
        self.shared.catch_up().await?;
        Ok(answer(&mut *self.shared.replica.lock().await))
    }

    async fn close_now(&self) {
        drop(self.inbox.lock().unwrap_or_else(PoisonError::into_inner).take());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ending = async {
            if let Some(writer) = writer {
                // A panic there has failed nothing else; there is nobody to tell.
                let _ = writer.await;
            }
            self.shared.settled_up().await
        };
        // Where the database is away, what waits for it is decided again at the next start.
        let _ = tokio::time::timeout(CLOSE, ending).await;
        write_seen(&self.shared);
        self.shared.end.cancel();
    }
}

impl Exporter for PostgresStore {
    fn export(&self) -> Result<Export, Unavailable> {
        Err(Unavailable(format!(
            "this version copies stores on disk alone; copy the database at {} with `pg_dump`",
            self.shared.options.place
        )))
    }
}

impl RunningStore for PostgresStore {
    fn id(&self) -> &str {
        Self::id(self)
    }

    fn failed(&self) -> watch::Receiver<Option<String>> {
        self.shared.failed.subscribe()
    }

    fn daemon_rows(&self) -> Option<&dyn DaemonRows> {
        self.beats.as_ref().map(|_| self as &dyn DaemonRows)
    }

    fn fresh_import(&self) -> Option<&str> {
        None
    }

    fn close(&self) -> Result<(), Unavailable> {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.block_on(self.close_now());
        }
        match self.shared.failed.borrow().clone() {
            Some(reason) => Err(Unavailable(reason)),
            None => Ok(()),
        }
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.shared.end.cancel();
    }
}

impl Store for PostgresStore {
    fn submit(&self, submission: Submission) -> Pending<'_, Result<Submitted, SubmitError>> {
        Box::pin(self.submit_now(submission))
    }

    fn commit(&self, commit: Commit) -> Pending<'_, Result<(), CommitError>> {
        let synced = commit.durability == Durability::Synced;
        Box::pin(self.commit_now(SharedWork::Commit(commit), synced))
    }

    fn due(
        &self,
        now: Timestamp,
        after: Option<DuePlace>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Active>, Unavailable>> {
        Box::pin(self.of_state(move |replica| replica.state.due(now, after, limit)))
    }

    fn open_rollouts(&self) -> Pending<'_, Result<Vec<Rollout>, Unavailable>> {
        Box::pin(self.of_state(|replica| replica.state.open_rollouts()))
    }

    fn rollouts(
        &self,
        after: Option<RolloutId>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Rollout>, Unavailable>> {
        Box::pin(async move {
            self.shared.catch_up().await?;
            self.shared.settled_up().await?;
            let replica = self.shared.replica.lock().await;
            let newest = replica.state.newest(after).take(limit);
            Ok(newest.filter_map(|id| Some(replica.state.rollout(id)?.snapshot(id))).collect())
        })
    }

    fn rollout(&self, id: RolloutId) -> Pending<'_, Result<Option<Rollout>, Unavailable>> {
        Box::pin(
            self.of_state(move |replica| {
                replica.state.rollout(id).map(|rollout| rollout.snapshot(id))
            }),
        )
    }

    fn change(&self, id: ChangeId) -> Pending<'_, Result<Option<Active>, Unavailable>> {
        Box::pin(self.shared.change_now(id))
    }

    fn candidates(
        &self,
        id: RolloutId,
        wave: u16,
        limit: usize,
    ) -> Pending<'_, Result<Candidates, Unavailable>> {
        Box::pin(async move {
            self.of_state(move |replica| replica.state.candidates(id, wave, limit)).await?
        })
    }

    fn stored(
        &self,
        id: RolloutId,
        words: &'static [&'static str],
        places: Range<u32>,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Change>, Unavailable>> {
        Box::pin(self.shared.stored_now(id, words, places, limit))
    }

    fn holder(&self, instance: &InstanceId) -> Pending<'_, Result<Option<ChangeId>, Unavailable>> {
        let instance = *instance;
        Box::pin(self.of_state(move |replica| replica.state.holder(&instance)))
    }

    fn full_group(
        &self,
        id: RolloutId,
        target: &Target,
    ) -> Pending<'_, Result<Option<FullGroup>, Unavailable>> {
        let target = target.clone();
        Box::pin(self.of_state(move |replica| replica.state.full_group(id, &target)))
    }

    fn known_jobs(&self, instance: &InstanceId) -> Pending<'_, Result<Vec<JobId>, Unavailable>> {
        let instance = *instance;
        Box::pin(async move { self.shared.known_jobs_now(&instance).await })
    }

    fn filtered(
        &self,
        id: RolloutId,
        filter: ChangeFilter,
        after: Option<u32>,
        limit: usize,
    ) -> Pending<'_, Result<Page, Unavailable>> {
        Box::pin(self.shared.page_now(PageQuery { id, filter, after, limit }))
    }

    fn story(
        &self,
        id: ChangeId,
        from: Option<u64>,
        limit: usize,
    ) -> Pending<'_, Result<ChangeStory, Unavailable>> {
        Box::pin(self.shared.story_now(id, from, limit))
    }

    fn journal(
        &self,
        rollout: Option<RolloutId>,
        after: u64,
        limit: usize,
    ) -> Pending<'_, Result<Vec<Entry>, Unavailable>> {
        Box::pin(self.shared.journal_now(rollout, after, limit))
    }

    fn activity(
        &self,
        id: RolloutId,
        from: Timestamp,
        to: Timestamp,
    ) -> Pending<'_, Result<Activity, Unavailable>> {
        Box::pin(self.shared.activity_now(ActivityQuery { id, from, to }))
    }

    fn targets(&self, id: RolloutId) -> Pending<'_, Result<Option<Vec<Target>>, Unavailable>> {
        Box::pin(self.shared.targets_now(id))
    }

    fn enforcements(&self) -> Pending<'_, Result<Vec<Enforcement>, Unavailable>> {
        Box::pin(self.of_state(|replica| replica.state.enforcements()))
    }

    fn enforcement(&self, name: &Name) -> Pending<'_, Result<Option<Enforcement>, Unavailable>> {
        let name = name.clone();
        Box::pin(self.of_state(move |replica| replica.state.enforcement(&name)))
    }

    fn enforce(&self, commit: EnforcementCommit) -> Pending<'_, Result<(), CommitError>> {
        Box::pin(self.commit_now(SharedWork::Enforce(commit), true))
    }

    fn durable(&self) -> Pending<'_, Result<(), Unavailable>> {
        let place = self.shared.place();
        Box::pin(async move {
            match self.shared.settle(place).await {
                Ok(()) => Ok(()),
                Err(Unsettled::Lost) => Err(Unavailable(
                    "what was read a moment ago went with the server; read it again".into(),
                )),
                Err(Unsettled::Unavailable(error)) => Err(error),
            }
        })
    }

    fn away(&self) -> watch::Receiver<Option<Away>> {
        self.shared.board.watch()
    }

    fn health(&self) -> Health {
        let JournalPlace { mark, .. } = self.shared.place();
        let failed = self.shared.failed.borrow().clone();
        Health {
            kind: "postgres",
            seq: mark.seq,
            head: mark.head,
            refusing: failed.clone(),
            failed,
            free_bytes: None,
            syncs: self.shared.sync_times(),
            journal_bytes: self.shared.journal_bytes.load(Ordering::Relaxed),
            queue_bytes: self.shared.index_bytes.load(Ordering::Relaxed),
            rebuilt: None,
        }
    }
}
