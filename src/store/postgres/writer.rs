//! The one task that appends: batches of work, a transaction each, under the store's lock.
//!
//! A batch is two flights of pipelined statements: begin, lock and the tail that others appended;
//! then, checked against the state as it is now, the lines, their index and `COMMIT`. The next batch
//! gathers while one is out; there is no timer.
//!
//! Invariants: lock and tail are two statements, because a statement sees what was committed before
//! it began, and the lock may be waited for; the lock is never held over a sync; nobody reads the
//! state between a fold of our own lines and the answer to their `COMMIT`; work whose answer was lost
//! is done if its last line is in the journal, and checked again if not.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{try_join, try_join_all, try_join3};
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

use super::client::DatabaseClient;
use super::fault::DatabaseFault;
use super::index::Statements;
use super::link::Link;
use super::load::load;
use super::schema::lock_key;
use super::shared::{JournalPlace, PostgresShared};
use super::tail::{SharedTail, submissions_of};
use crate::domain::id::Digest;
use crate::store::check::SettledRows;
use crate::store::pending::NewRollout;
use crate::store::replica::{AcceptedWork, LineBatch, Presence, RefusedWork, Replica, SharedWork};
use crate::store::{CommitError, Unavailable};

/// Pieces of work of one batch at most: more buys nothing but latency.
pub(super) const BATCH_WORK: usize = 256;

/// Lines of one batch, beyond which nothing further joins it: about 512 KiB.
const BATCH_LINES: usize = 1_024;

/// Before something is tried again that nobody is at fault for.
const PAUSE: Duration = Duration::from_millis(50);

/// Defects in a row, after each of which everything is read anew, before the store has failed.
const STRIKES: u32 = 2;

/// A piece of work in line.
pub(super) struct QueuedWork {
    pub work: SharedWork,
    pub answer: oneshot::Sender<WorkAnswer>,
}

/// What became of a piece of work, and in which reading of the journal.
pub(super) struct WorkAnswer {
    pub outcome: Result<AcceptedWork, RefusedWork>,
    pub epoch: u64,
}

pub(super) struct BatchWriter {
    pub shared: Arc<PostgresShared>,
    pub link: Link,
    pub inbox: mpsc::Receiver<QueuedWork>,
    pub waiting: VecDeque<QueuedWork>,
}

/// A batch until its end is known.
#[derive(Default)]
struct OpenBatch {
    work: Vec<QueuedWork>,
    /// Held from the first fold on until it is known what became of it.
    replica: Option<OwnedMutexGuard<Replica>>,
    /// What to answer if the lines that are folded turn out to be in the journal.
    doubt: Option<Vec<Result<AcceptedWork, RefusedWork>>>,
    /// Submissions of others that were fetched for it.
    fetched: BTreeMap<Digest, NewRollout>,
    strikes: u32,
}

/// How an attempt ended that did not fail.
enum Attempt {
    Done,
    /// These submissions are to be fetched first.
    Fetch(Vec<Digest>),
    /// More of the journal was read, or all of it anew.
    Anew,
}

impl BatchWriter {
    /// Works until the store closes or fails.
    pub async fn run(mut self) {
        let mut known = None;
        loop {
            let Some(connected) = self.link.connected().await else { return };
            let unproven = known.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &connected));
            if self.waiting.is_empty() && !unproven {
                let mut more = Vec::new();
                tokio::select! {
                    count = self.inbox.recv_many(&mut more, BATCH_WORK) => if count == 0 { return },
                    () = self.shared.resync.notified() => {}
                    () = self.link.another(&connected) => {}
                }
                self.waiting.extend(more);
            }
            known = Some(connected);
            let batch = OpenBatch { work: self.next_work(), ..OpenBatch::default() };
            if let Err(error) = self.carry_out(batch).await {
                self.shared.fail(&error.0);
                return;
            }
        }
    }

    fn next_work(&mut self) -> Vec<QueuedWork> {
        let mut lines = 0;
        let fits = |queued: &&QueuedWork| {
            let first = lines == 0;
            lines += match &queued.work {
                SharedWork::Commit(commit) => commit.changes.len() + 1,
                SharedWork::Enforce(_) | SharedWork::Submit(_) => 1,
            };
            first || lines <= BATCH_LINES
        };
        let count = self.waiting.iter().take(BATCH_WORK).take_while(fits).count();
        self.waiting.drain(..count).collect()
    }

    async fn carry_out(&self, mut batch: OpenBatch) -> Result<(), Unavailable> {
        loop {
            // Where the store closes, whoever waits hears that from the lost answer.
            let Some(connected) = self.link.connected().await else { return Ok(()) };
            let fault = match self.attempt(&connected, &mut batch).await? {
                Ok(Attempt::Done) => {
                    self.link.works();
                    return Ok(());
                }
                Ok(Attempt::Fetch(digests)) => {
                    roll_back(&connected).await;
                    batch.fetched.extend(self.shared.fetch(&digests).await?);
                    continue;
                }
                Ok(Attempt::Anew) => continue,
                Err(fault) => fault,
            };
            match fault {
                DatabaseFault::Away(why) => {
                    self.link.lost(&why);
                    connected.drop_it();
                    self.link.another(&connected).await;
                }
                DatabaseFault::Again(why) => {
                    tracing::debug!(why, "a batch is tried again");
                    roll_back(&connected).await;
                    tokio::time::sleep(PAUSE).await;
                }
                // The tables refuse what the state allows: one of the two is wrong.
                DatabaseFault::Final(why) => {
                    batch.strikes += 1;
                    if batch.strikes == STRIKES {
                        return Err(DatabaseFault::Final(why).into());
                    }
                    tracing::error!(why, "the database refused a batch; all is read anew");
                    roll_back(&connected).await;
                }
            }
        }
    }

    /// The outer error is final.
    async fn attempt(
        &self,
        connected: &DatabaseClient,
        batch: &mut OpenBatch,
    ) -> Result<Result<Attempt, DatabaseFault>, Unavailable> {
        let shared = &self.shared;
        let from = match &batch.replica {
            Some(replica) => replica.head(),
            None => shared.place().mark,
        };
        let begin = format!(
            "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL statement_timeout = '5s'; \
             SET LOCAL lock_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = '2s'; \
             SELECT pg_advisory_xact_lock({})",
            lock_key(&shared.id)
        );
        let client = &connected.client;
        let first = try_join3(
            client.batch_execute(&begin),
            shared.stands(client),
            shared.tail(client, from),
        );
        let (stands, tail) = match connected.ask(first).await {
            Ok(((), stands, tail)) => (stands, tail),
            Err(fault) => return Ok(Err(fault)),
        };
        let replica = match batch.replica.take() {
            Some(replica) => replica,
            None => Arc::clone(&shared.replica).lock_owned().await,
        };
        let replica = batch.replica.insert(replica);
        // What readers have folded meanwhile is in the tail as well; what they have not is to be.
        if from.presence(tail.first()) != Presence::There {
            batch.doubt = None;
            return self.read_anew(connected, batch).await;
        }
        if let Some(outcomes) = batch.doubt.take() {
            self.answer(batch, outcomes);
            roll_back(connected).await;
            return Ok(Ok(Attempt::Done));
        }
        let news = replica.news(&tail).to_vec();
        let missing = submissions_of(&news).filter(|digest| !batch.fetched.contains_key(digest));
        let missing: Vec<Digest> = missing.collect();
        if !missing.is_empty() {
            batch.replica = None;
            return Ok(Ok(Attempt::Fetch(missing)));
        }
        replica.fold(&news, &|digest| batch.fetched.get(&digest).cloned())?;
        shared.set_place(replica.head());
        if tail.len() >= SharedTail::MAX {
            // There is more: the lock is not held for as long as that takes.
            batch.replica = None;
            roll_back(connected).await;
            return Ok(Ok(Attempt::Anew));
        }
        let wanted = replica.wants(batch.work.iter().map(|queued| &queued.work));
        let mut settled = SettledRows::new();
        if !wanted.is_empty() {
            match shared.settled_rows(connected, replica, wanted).await? {
                Ok(rows) => settled = rows,
                Err(fault) => return Ok(Err(fault)),
            }
        }
        let mut lines = LineBatch::default();
        let mut outcomes = Vec::with_capacity(batch.work.len());
        for queued in &batch.work {
            if !stands && !matches!(queued.work, SharedWork::Submit(_)) {
                // Lanes of ours were taken over: what was decided is to be decided anew.
                outcomes.push(Err(RefusedWork::Commit(CommitError::Conflict)));
                continue;
            }
            match replica.take(queued.work.clone(), &settled, &mut lines) {
                // What is half folded may not be gone on with.
                Err(RefusedWork::Broken(error)) => return Err(error),
                outcome => outcomes.push(outcome),
            }
        }
        if lines.lines.is_empty() {
            roll_back(connected).await;
            self.answer(batch, outcomes);
            if !stands {
                tracing::debug!(
                    "a batch lost: this run has no row, or a lane of it was taken over"
                );
                tokio::time::sleep(PAUSE).await;
            }
            return Ok(Ok(Attempt::Done));
        }
        let statements = Statements::of(&lines, replica, &shared.options.schema);
        batch.doubt = Some(outcomes);
        let statements = try_join_all(statements.execute(client));
        let done = connected.ask(try_join(statements, client.batch_execute("COMMIT"))).await;
        if let Err(fault) = done {
            return Ok(Err(fault));
        }
        let outcomes = batch.doubt.take().unwrap_or_default();
        self.answer(batch, outcomes);
        Ok(Ok(Attempt::Done))
    }

    /// The lines that are folded are in the journal: tells whoever waits, and lets others read.
    fn answer(&self, batch: &mut OpenBatch, outcomes: Vec<Result<AcceptedWork, RefusedWork>>) {
        let Some(mut replica) = batch.replica.take() else { return };
        let head = replica.head();
        replica.state.applied(head.seq);
        self.shared.set_place(head);
        drop(replica);
        let epoch = self.shared.place().epoch;
        for (queued, outcome) in batch.work.drain(..).zip(outcomes) {
            // Who asked may have gone away.
            let _ = queued.answer.send(WorkAnswer { outcome, epoch });
        }
    }

    /// The journal does not go on from what is folded here: what was only ordered may be lost, what
    /// was durable may not.
    async fn read_anew(
        &self,
        connected: &DatabaseClient,
        batch: &mut OpenBatch,
    ) -> Result<Result<Attempt, DatabaseFault>, Unavailable> {
        let shared = &self.shared;
        let durable = shared.durable_place().mark;
        let found = connected.ask(shared.tail(&connected.client, durable)).await;
        roll_back(connected).await;
        let found = match found {
            Ok(found) => found,
            Err(fault) => return Ok(Err(fault)),
        };
        match durable.presence(found.first()) {
            Presence::There => {}
            Presence::Forgotten { ends } => {
                return Err(Unavailable(format!(
                    "the database's journal ends with entry {ends}, and entry {} was durable there: it has forgotten what was acknowledged",
                    durable.seq
                )));
            }
            Presence::Replaced => {
                return Err(Unavailable(format!(
                    "the database's journal has another entry {} than the one that was durable there: there are two histories",
                    durable.seq
                )));
            }
        }
        let (state, head) = match load(connected, shared).await? {
            Ok(loaded) => loaded,
            Err(fault) => return Ok(Err(fault)),
        };
        tracing::warn!(
            seq = head.seq,
            "steps that were ordered and not yet durable are lost, or never happened; the journal was read anew"
        );
        if let Some(mut replica) = batch.replica.take() {
            *replica = Replica::at(state, head);
            let epoch = shared.place().epoch + 1;
            shared.place.send_replace(JournalPlace { epoch, mark: head });
        }
        Ok(Ok(Attempt::Anew))
    }
}

/// Ends a transaction that is not to happen. Where that fails, the connection's end does it.
async fn roll_back(connected: &DatabaseClient) {
    if connected.ask(connected.client.batch_execute("ROLLBACK")).await.is_err() {
        connected.drop_it();
    }
}
