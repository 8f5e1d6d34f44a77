//! What the callers of a store in PostgreSQL share with its tasks.
//!
//! Invariant: `replica` shows what is committed and nothing else, for whoever gets its lock; `place`
//! is its head, and `durable` the last entry that is known to survive the server's end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, Notify, watch};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};
use tokio_util::sync::CancellationToken;

use super::fault::DatabaseFault;
use super::link::{AwayBoard, Link};
use super::options::PostgresOptions;
use crate::domain::histogram::Histogram;
use crate::store::record::Mark;
use crate::store::replica::{Presence, Replica, SharedLine};
use crate::store::{SYNC_BOUNDS, Unavailable};

/// How often a read is tried that is nobody's fault, before it fails.
const READS_MAX: u32 = 5;

/// Before that.
const PAUSE: Duration = Duration::from_millis(50);

/// An entry of the journal, as it was in one reading of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct JournalPlace {
    /// Raised each time that the journal is read anew.
    pub epoch: u64,
    pub mark: Mark,
}

#[derive(Debug)]
pub(super) struct PostgresShared {
    pub options: Arc<PostgresOptions>,
    pub id: Arc<str>,
    pub replica: Arc<AsyncMutex<Replica>>,
    /// What is committed and folded.
    pub place: watch::Sender<JournalPlace>,
    /// What is known to be durable.
    pub durable: watch::Sender<JournalPlace>,
    /// What somebody waits for to become so.
    pub wanted: watch::Sender<u64>,
    /// The writer shall look whether the journal is still the one that was folded.
    pub resync: Notify,
    pub reader: Link,
    pub uploads: Link,
    pub board: Arc<AwayBoard>,
    pub failed: watch::Sender<Option<String>>,
    pub end: CancellationToken,
    pub sync_times: Mutex<Histogram>,
    pub journal_bytes: AtomicU64,
    pub index_bytes: AtomicU64,
    /// The last question for the tail that was asked, and the last one that is answered.
    asked: AtomicU64,
    answered: AsyncMutex<u64>,
}

/// What was given to open one.
pub(super) struct SharedParts {
    pub options: Arc<PostgresOptions>,
    pub id: Arc<str>,
    pub reader: Link,
    pub uploads: Link,
    pub board: Arc<AwayBoard>,
    pub end: CancellationToken,
}

impl PostgresShared {
    pub fn new(parts: SharedParts) -> Self {
        let SharedParts { options, id, reader, uploads, board, end } = parts;
        let begin = JournalPlace { epoch: 0, mark: Mark::BEGIN };
        Self {
            options,
            id,
            replica: Arc::default(),
            place: watch::channel(begin).0,
            durable: watch::channel(begin).0,
            wanted: watch::channel(0).0,
            resync: Notify::new(),
            reader,
            uploads,
            board,
            failed: watch::channel(None).0,
            end,
            sync_times: Mutex::new(Histogram::new(&SYNC_BOUNDS)),
            journal_bytes: AtomicU64::new(0),
            index_bytes: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            answered: AsyncMutex::new(0),
        }
    }

    pub fn place(&self) -> JournalPlace {
        *self.place.borrow()
    }

    pub fn durable_place(&self) -> JournalPlace {
        *self.durable.borrow()
    }

    /// Everything up to here is committed and folded; whoever says so holds the replica.
    pub fn set_place(&self, mark: Mark) {
        self.place.send_modify(|place| place.mark = mark);
    }

    /// The store has failed for good.
    pub fn fail(&self, reason: &str) -> Unavailable {
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            if first {
                tracing::error!(
                    reason,
                    "the store has failed; the process must end and start again"
                );
                *failed = Some(reason.to_owned());
            }
            first
        });
        self.end.cancel();
        Unavailable(reason.to_owned())
    }

    /// Why nothing is answered any more.
    pub fn closed(&self) -> Unavailable {
        let failed = self.failed.borrow().clone();
        Unavailable(failed.unwrap_or_else(|| "the store is closed".into()))
    }

    /// One read; waits while the database is away.
    pub async fn query(
        &self,
        sql: &str,
        parameters: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Unavailable> {
        let mut tries = 0;
        loop {
            let Some(connected) = self.reader.connected().await else { return Err(self.closed()) };
            match connected.ask(connected.client.query_typed(sql, parameters)).await {
                Ok(rows) => {
                    self.reader.works();
                    return Ok(rows);
                }
                Err(DatabaseFault::Away(why)) => {
                    self.reader.lost(&why);
                    connected.drop_it();
                    tokio::select! {
                        () = self.reader.another(&connected) => {}
                        () = self.end.cancelled() => return Err(self.closed()),
                    }
                }
                Err(fault @ DatabaseFault::Again(_)) => {
                    tries += 1;
                    if tries == READS_MAX {
                        return Err(fault.into());
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(fault @ DatabaseFault::Final(_)) => return Err(fault.into()),
            }
        }
    }

    /// Whether the journal still holds the entry of this place, by what was found there; where it
    /// does not, waits until it was read anew.
    pub async fn agrees(&self, place: JournalPlace, found: Option<&SharedLine>) -> bool {
        if place.mark.presence(found) == Presence::There {
            return true;
        }
        let mut places = self.place.subscribe();
        self.resync.notify_one();
        tokio::select! {
            // Neither ends while the store is open.
            _ = places.wait_for(|now| now.epoch != place.epoch) => {}
            () = self.end.cancelled() => {}
        }
        false
    }

    /// Folds all that any daemon has committed by now. Questions that come while one is out share
    /// the next.
    pub async fn catch_up(&self) -> Result<(), Unavailable> {
        if self.end.is_cancelled() {
            return Err(self.closed());
        }
        let ours = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut answered = self.answered.lock().await;
        if *answered >= ours {
            return Ok(());
        }
        let covered = self.asked.load(Ordering::SeqCst);
        self.read_tail().await?;
        *answered = covered;
        Ok(())
    }

    /// A sync of the database took so long.
    pub fn time_sync(&self, took: Duration) {
        self.sync_times.lock().unwrap_or_else(PoisonError::into_inner).add(took);
    }

    pub fn sync_times(&self) -> Histogram {
        *self.sync_times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
